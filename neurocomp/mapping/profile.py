"""Spikes per tick of the chip's own neurons, from the trace of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, Location, NetworkError
from neurocomp.ir.lowered import LoweredNetwork, Part
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import IntegerPopulation
from neurocomp.mapping.traffic import Rates
from neurocomp.models.patterns import PATTERNS

Array = NDArray[Any]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """How often neurons spike. ``rates``: population that sends -> mean spikes per tick of the network, (n,)."""

    rates: Rates
    assumed: tuple[str, ...]
    """Populations of which no trace says anything, taken for one spike per neuron and tick, the most there can be."""


def profile_of(
    spikes: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], lowered: LoweredNetwork, where: Location | None
) -> Profile:
    """Return the rates of all populations that send.

    Args:
        spikes: The user's population -> what it sent, (samples, ticks, *shape), of one number of samples and ticks.
        shapes: The user's population -> shape.
        lowered: What was made of the user's network.
        where: The file of the trace, for messages; None: what it lacks is taken for one spike per neuron and tick.

    Raises:
        NetworkError: A population that sends is not in the trace (NC0203).
    """
    network = lowered.network
    carries_values = {q.source for q in network.projections if not q.binary}
    carries_values |= {name for name, p in network.populations.items() if p.dynamics == "ternary"}
    logical = {r.population: name for name, r in lowered.map.items() if r.neurons is None and r.population not in lowered.parts}
    ticks = next((int(values.shape[1]) for values in spikes.values()), network.ticks)
    rates: dict[str, FloatArray] = {}
    assumed: list[str] = []
    missing: list[str] = []
    for name in dict.fromkeys(q.source for q in network.projections):
        p = network.populations[name]
        part = lowered.parts.get(name)
        origin = part.logical if part is not None else logical.get(name, name)
        if p.dynamics == "pulse":
            rates[name] = p.values("count") / ticks
        elif origin not in shapes or (part is not None and part.role == "channel") or (where is None and origin not in spikes):
            rates[name] = np.ones(p.size)
            assumed.append(name)
        elif origin not in spikes:
            missing.append(origin)
        else:
            rates[name] = _mean(spikes[origin], shapes[origin], p, part, name in carries_values)
    if missing:
        hint = "record all of them: neurocomp run ART --probe all -o TRACE.npz"
        problems = [f"the trace has no spikes of '{name}', which sends on the chip" for name in dict.fromkeys(missing)]
        raise NetworkError(Diagnostic("NC0203", problem, where, hint=hint) for problem in problems)
    return Profile({name: frozen(values, np.float64) for name, values in rates.items()}, tuple(assumed))


def _mean(spikes: Array, shape: tuple[int, ...], p: IntegerPopulation, part: Part | None, carries_values: bool) -> FloatArray:
    """Return the spikes per tick of the neurons of a population from those of the user's, (n,).

    Where a tick of the network is several of the chip, spikes are counts; values of graded spikes are not.
    """
    sent = (spikes != 0) if carries_values else spikes
    samples, ticks = spikes.shape[:2]
    if part is not None and part.pool is not None:
        pooled = PATTERNS[part.pool.kind].output_shape(part.pool, shape, ())
        assert pooled is not None
        flat = (sent != 0).reshape(samples * ticks, -1).astype(np.float32)
        sent = PATTERNS[part.pool.kind].forward(part.pool, np.float32(1.0), flat, shape, pooled)
    mean = sent.reshape(samples * ticks, -1).mean(axis=0, dtype=np.float64)
    return np.asarray(mean if part is None else mean[part.neurons])
