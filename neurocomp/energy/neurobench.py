"""NeuroBench's workload metrics of the quantized network in the user's ticks, under its names and by its rules.

The rules are those of `neurobench` 2.3 (Yik et al. 2025, Nature Communications 16), where a call is one tick of one
sample. Its own harness calls a layer with a whole batch, so that one graded value makes the tick of all its samples a MAC; with
a batch of one sample both agree.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from neurocomp.energy.workload import Work
from neurocomp.ir.quantized import IntegerNetwork
from neurocomp.models.patterns import PATTERNS

REGISTER_BYTES = 4
"""Of a parameter of neurons, or a delay of its own, in the footprint: an int32."""


@dataclass(frozen=True, slots=True)
class NeuroBench:
    """The metrics; operations are means per sample.

    Connection layers are the projections with weights of their own: pools and flattening are none, and biases do not count. An
    operation is a value other than 0 at a weight other than 0. It is an AC where every value that the layer took in that tick
    is -1, 0 or 1 (also where all are 0), else a MAC. ``Dense`` is every synapse in every tick, weights of 0 included and zeros
    of padding excluded.
    """

    Effective_MACs: float
    Effective_ACs: float
    Dense: float
    activation_sparsity: float
    """Zeros among the outputs of all neurons that can spike, over ticks and samples; 0 is dense."""
    connection_sparsity: float
    """Weights that are 0, of all, to 4 decimals as NeuroBench rounds it; a convolution has those of its kernels."""
    footprint: int
    """Bytes of weights as they are stored (one each for 8 bits) and of the neurons' parameters, `REGISTER_BYTES` each."""

    def as_json(self) -> dict[str, float]:
        """Return the metrics by name."""
        return asdict(self)


def neurobench_of(network: IntegerNetwork, work: Work) -> NeuroBench:
    """Return the metrics.

    Args:
        network: The quantized network.
        work: What the samples made it do.
    """
    layers = [q for q in network.projections if PATTERNS[q.pattern.kind].weighting == "array"]
    own = [q for q in layers if q.group_of is None]
    done = [work.layers[q.name] for q in own]
    macs = sum(int(w.macs.sum()) for w in done)
    sops = sum(int(w.sops.sum()) for w in done)
    dense = work.ticks * sum(int(network.synapse_counts(q).sum()) for q in own)
    weights = sum(q.mantissa.size for q in own)
    used = sum(int(np.count_nonzero(q.mantissa)) for q in layers)
    spiking = [p for p in network.populations.values() if p.has_neurons and p.fires]
    outputs = work.samples * work.ticks * sum(p.size for p in spiking)
    spikes = sum(int(work.spikes[p.name].sum()) for p in spiking)
    parameters = [value for p in network.populations.values() if p.has_neurons for value in p.parameters.values()]
    parameters += [q.delay for q in network.projections if q.delay.size > 1]
    return NeuroBench(
        macs / work.samples,
        (sops - macs) / work.samples,
        float(dense),
        (outputs - spikes) / outputs if outputs else 0.0,
        round((weights - used) / weights, 4) if weights else 0.0,
        sum(q.mantissa.nbytes for q in network.projections) + REGISTER_BYTES * sum(value.size for value in parameters),
    )
