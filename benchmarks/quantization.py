"""How accurate integers are beside real numbers, by weight bits: the examples, and a recurrent network with outliers.

For the examples: accuracy on their test samples. For the network with outliers, whose weights are drawn: the share of samples
on which integers and real numbers give the same answer, with one exponent per projection, and with exponent groups and scales
of single neurons.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neurocomp
from neurocomp.backend import Stimulus
from neurocomp.encoding import decode, encode_samples
from neurocomp.ir.network import Data, Decoder, Encoder, Network, Neuron, Population, Projection, Samples, frozen
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import Pattern
from neurocomp.passes.legalize import legalize
from neurocomp.passes.quantize import FORMATS, PROFILES, Quantization, quantize
from neurocomp.pipeline import calibration_stimulus
from neurocomp.registry import find_spec, simulator
from neurocomp.simulation import simulate

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ("mnist_mlp", "mnist_conv", "recurrent")
BITS = (8, 6, 4)
SAMPLES = 300
CLASSES = 7


def answers(network: Network, trace: Trace) -> NDArray[Any]:
    """Return the answer to each sample."""
    (name,) = network.decoders
    return decode(network.decoders[name], spikes=trace.spikes[name], v=trace.v.get(name))


def quantized(network: Network, bits: int, calibration: Stimulus | None, *, refined: bool = True) -> Quantization:
    """Quantize to so many weight bits; not ``refined``: one exponent per projection, one scale per population."""
    form = replace(find_spec("loihi").number_format, weight_bits=bits)
    profiles, formats = (PROFILES, FORMATS) if refined else (1, 0)
    return quantize(network, form, simulator("reference"), calibration, profiles=profiles, formats=formats)


def with_outliers(seed: int = 0) -> Network:
    """Return a recurrent network whose weights have a median of 0.1 and go up to 13, as those of a trained Braille reader."""
    rng = np.random.default_rng(seed)

    def weights(to: int, source: int, spread: float) -> NDArray[Any]:
        return frozen(np.clip(rng.standard_t(1.6, (to, source)) * spread, -13.4, 6.0))

    values = {"tau_mem": 0.01, "tau_syn": 0.002, "r": 1.0, "v_threshold": 1.0, "v_init": 0.0, "u_init": 0.0}
    neuron = Neuron("cuba_lif", {key: frozen(np.float64(value)) for key, value in values.items()})
    populations = {
        "x": Population("x", (12,)),
        "hidden": Population("hidden", (64,), neuron),
        "answer": Population("answer", (CLASSES,), neuron),
    }
    ends = (("x", "hidden", 0.2, 0), ("hidden", "hidden", 0.1, 1), ("hidden", "answer", 0.1, 0))
    projections = tuple(
        Projection(
            f"{a}->{b}", a, b, Pattern("dense"), weights(populations[b].size, populations[a].size, spread), None,
            frozen(np.int64(delay)),
        )
        for a, b, spread, delay in ends
    )  # fmt: skip
    spikes = (rng.random((SAMPLES + 40, 128, 12)) < rng.random((SAMPLES + 40, 1, 12)) * 0.3).astype(np.int8)
    data = Data(Samples({"x": spikes[:SAMPLES]}), Samples({"x": spikes[SAMPLES:]}))
    encoders, decoders = {"x": Encoder("direct", {})}, {"answer": Decoder("count", {})}
    return Network("outliers", 1e-3, 128, populations, projections, encoders, decoders, data).verify()


def grouped(found: Quantization) -> int:
    """Return the synapses that exponent groups hold."""
    return sum(int(np.count_nonzero(q.mantissa)) for q in found.network.network.projections if q.group_of is not None)


def measure(peers: bool) -> dict[str, Any]:
    """Return accuracies in percent; other quantizers are not run."""
    result: dict[str, Any] = {}
    for example in EXAMPLES:
        path = ROOT / "examples" / example / "net.yaml"
        network = neurocomp.load(path)
        assert isinstance(network, Network)
        result |= _example(example, legalize(network)[0])
    return result | _outliers()


def _example(name: str, network: Network) -> dict[str, Any]:
    samples = network.data.samples
    assert samples is not None
    assert samples.labels is not None
    stimulus = encode_samples(network, samples)
    calibration = calibration_stimulus(network)[0]
    outputs = list(network.decoders)
    real = answers(network, simulate(network, stimulus, record=outputs))
    result: dict[str, Any] = {f"{name}: float (%)": 100 * float((real == samples.labels).mean())}
    for bits in BITS:
        begin = time.perf_counter()
        found = quantized(network, bits, calibration)
        seconds = time.perf_counter() - begin
        trace = simulator("reference").run(found.network.network, stimulus, record=outputs)
        result[f"{name}: {bits} bits (%)"] = 100 * float((answers(network, trace) == samples.labels).mean())
        if bits == BITS[0]:
            result[f"{name}: time of quantizing (s)"] = seconds
    return result


def _outliers() -> dict[str, Any]:
    network = with_outliers()
    assert network.data.samples is not None
    stimulus = encode_samples(network, network.data.samples)
    calibration = calibration_stimulus(network)[0]
    real = answers(network, simulate(network, stimulus, record=["answer"]))
    result: dict[str, Any] = {"outliers: different answers of float": len(np.unique(real))}
    for bits in BITS:
        for title, refined in (("one exponent", False), ("groups", True)):
            found = quantized(network, bits, calibration, refined=refined)
            trace = simulator("reference").run(found.network.network, stimulus, record=["answer"])
            same = 100 * float((answers(network, trace) == real).mean())
            result[f"outliers: {bits} bits, {title}, same answer (%)"] = same
        result[f"outliers: {bits} bits, weights in groups"] = grouped(found)
    return result
