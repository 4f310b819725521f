"""Verify: the same stimulus through several simulations, compared tick by tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.artifact import Artifact
from neurocomp.backend import Backend, IntegerSimulator, Stimulus, Witness
from neurocomp.errors import EngineUnavailable, broken_invariant
from neurocomp.ir.distance import spike_distance
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.quantized import REGISTERS as STATE
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation
from neurocomp.ir.trace import Event, Trace

Array = NDArray[Any]

REGISTERS = ("spikes", "u", "v")
COMPARED = (*REGISTERS, "weights")


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first difference between two simulations: the earliest tick, then sample, population order, register, neuron.

    Of ``weights``, which are compared after each sample, ``population`` is a projection and ``neuron`` a weight's number.
    """

    engines: tuple[str, str]
    population: str
    neuron: int
    sample: int
    tick: int
    """In the user's time of the population (negative: before its window); chip ticks start at 0 - lag."""
    register: str
    values: tuple[int, int]

    def __str__(self) -> str:
        return (
            f"{self.engines[0]} and {self.engines[1]} differ first in {self.register} of {self.population}[{self.neuron}] "
            f"at tick {self.tick} of sample {self.sample}: {self.values[0]} and {self.values[1]}"
        )


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was compared and what came out."""

    bit_exact: bool
    engines: tuple[str, ...]
    skipped: Mapping[str, str]
    """Engine -> why it did not run."""
    samples: int
    ticks: int
    spikes_compared: int
    values_compared: int
    witnesses: Mapping[str, str]
    """Population -> ``independent``: simulations that share no code agree on it; ``shared``; ``none``."""
    lossy: Mapping[str, Mapping[str, Any]]
    """Population -> reason and measured distance between quantized and lowered."""
    first_divergence: Divergence | None = None
    injection: str | None = None
    events: tuple[Event, ...] = field(default=())
    witness_models: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Witness that ran -> population with neurons -> ``stock``: the witness's own model executed it; ``own``: one of ours, in
    the witness's framework, because it has none that could."""
    not_on_this_chip: tuple[str, ...] = ()
    """Extensions: what was compiled and verified although the chip does not do it."""

    def as_json(self) -> dict[str, Any]:
        """Return what ``verify --json`` prints."""
        d = self.first_divergence
        first = d and {
            "engines": list(d.engines), "population": d.population, "neuron": d.neuron, "sample": d.sample, "tick": d.tick,
            "register": d.register, "values": list(d.values),
        }  # fmt: skip
        return {
            "schema": 1,
            "bit_exact": self.bit_exact,
            "engines": list(self.engines),
            "skipped": dict(self.skipped),
            "samples": self.samples,
            "ticks": self.ticks,
            "spikes_compared": self.spikes_compared,
            "values_compared": self.values_compared,
            "witnesses": dict(self.witnesses),
            "lossy": {name: dict(entry) for name, entry in self.lossy.items()},
            "first_divergence": first,
            "injection": self.injection,
            "events": [asdict(event) for event in self.events],
            "witness_models": {engine: dict(models) for engine, models in self.witness_models.items()},
            "not_on_this_chip": list(self.not_on_this_chip),
        }


def verify(
    artifact: Artifact,
    stimulus: Stimulus,
    *,
    backend: Backend,
    reference: IntegerSimulator,
    simulators: Sequence[IntegerSimulator] = (),
    skips_simulators: bool = False,
    witnesses: Sequence[Witness] = (),
    chip: bool = True,
    skipped: Mapping[str, str] | None = None,
    inject: tuple[str, int] | None = None,
) -> VerifyReport:
    """Run the stimulus through every simulation and compare.

    Two links are checked. The lowered network in the reference against every other engine, all chip ticks (engines that run
    samples one behind the other: each population's window), in spikes, u and v; of inputs the spikes, of currents that the host
    writes their values where an engine repeats them. The quantized against the lowered network, each population in its window,
    wherever no lossy step reaches; the others are reported with their distance.

    Args:
        artifact: What was compiled.
        stimulus: Encoded spikes, (samples, ticks, n) per input.
        backend: Of the artifact's target.
        reference: Executes the quantized and the lowered network.
        simulators: Execute the lowered network as the reference does, and share no code with it.
        skips_simulators: Whether one of them that cannot run this network is listed as skipped; else its error is raised.
        witnesses: Further programs that execute the lowered network, all available.
        chip: Whether the chip simulation of the program runs.
        skipped: Engines that were left out, with the reason.
        inject: (kind, seed): corrupt one table entry first; the report must then not be bit exact.
    """
    lowered = artifact.lowered
    first = reference.run(lowered.network, stimulus, lag=lowered.lag)
    program, injection = artifact.program, None
    if inject is not None:
        corrupted = backend.inject(program, first, *inject)
        program, injection = corrupted.program, corrupted.description
    others: list[Trace] = []
    left_out = dict(skipped or {})
    for simulator in simulators:
        try:
            others.append(simulator.run(lowered.network, stimulus, lag=lowered.lag))
        except EngineUnavailable as error:
            if not skips_simulators:
                raise
            left_out[simulator.name] = error.diagnostics[0].message
    if chip:
        others.append(backend.chip_simulator().run(program, stimulus))
    others += [witness.run(lowered, stimulus) for witness in witnesses]
    for trace in (first, *others):
        trace.verify()

    spikes_compared = values_compared = 0
    divergences: list[Divergence] = []
    for other in others:
        for p in lowered.network.populations.values():
            for register in _registers(p):
                a, b = (_register(trace, register, p) for trace in (first, other))
                if a is None or b is None:
                    continue
                lag = lowered.lag[p.name]
                if other.windowed or p.dynamics == "current":
                    a, b, lag = first.window(a, p.name), other.window(b, p.name), 0
                found = _first_difference(a, b, p.name, register, (first.engine, other.engine), lag)
                divergences += [found] if found else []
                values_compared += a.size
                spikes_compared += int((a != 0).sum()) if register == "spikes" and p.dynamics != "current" else 0
        for name, weights in first.weights.items():
            found = _first_weight(weights, other.weights[name], name, (first.engine, other.engine), first.ticks)
            divergences += [found] if found else []
            values_compared += weights.size

    quantized = artifact.quantized.network if artifact.quantized is not None else None
    logical = reference.run(quantized, stimulus) if quantized is not None else first
    samples, ticks = next(iter(first.spikes.values())).shape[0], first.ticks
    loss = lowered.reached_by_loss(ticks)
    lossy: dict[str, dict[str, Any]] = {}
    for population, representative in lowered.map.items():
        if quantized is None:
            break
        p, chip_p = quantized.populations[population], lowered.network.populations[representative.population]
        pairs = []
        for register in (name for name in _registers(p) if name in _registers(chip_p)):
            a, b = _register(logical, register, p), _register(first, register, chip_p)
            if a is not None and b is not None:
                pairs.append((register, a, representative.of(first.window(b, chip_p.name))))
        if population in loss:
            spikes_a, spikes_b = pairs[0][1], pairs[0][2]
            counts_a, counts_b = (np.count_nonzero(spikes, axis=1) for spikes in (spikes_a, spikes_b))
            lossy[population] = {
                "reason": loss[population],
                "spike_count_difference": int(np.abs(counts_a - counts_b).sum()),
                "spikes_moved_or_lost": int((spikes_a != spikes_b).sum()),
                "spikes": int((spikes_a != 0).sum()),
                **spike_distance(spikes_a, spikes_b),
            }
            continue
        for register, a, b in pairs:
            found = _first_difference(a, b, population, register, ("quantized", "lowered"), 0)
            divergences += [found] if found else []
            values_compared += a.size

    for name in logical.weights if not loss else ():
        found = _first_weight(logical.weights[name], first.weights[name], name, ("quantized", "lowered"), ticks)
        divergences += [found] if found else []
        values_compared += logical.weights[name].size

    order = {name: index for index, name in enumerate(lowered.network.populations)}
    divergences.sort(key=lambda d: (d.tick, d.sample, order.get(d.population, 0), COMPARED.index(d.register), d.neuron))
    events = tuple(dict.fromkeys(event for trace in (first, *others) for event in trace.events))
    return VerifyReport(
        bit_exact=not divergences and bool(others),
        engines=(first.engine, *(other.engine for other in others)),
        skipped=left_out,
        samples=samples,
        ticks=ticks,
        spikes_compared=spikes_compared,
        values_compared=values_compared,
        witnesses=_witnesses(lowered, quantized, compared=bool(others)),
        lossy=lossy,
        first_divergence=divergences[0] if divergences else None,
        injection=injection,
        events=events,
        witness_models={witness.name: _logical_models(lowered, witness.models(lowered)) for witness in witnesses},
        not_on_this_chip=tuple(lowered.extensions),
    )


def _witnesses(lowered: LoweredNetwork, quantized: IntegerNetwork | None, *, compared: bool) -> dict[str, str]:
    """Return how far agreement is a proof, by the user's populations: a program is one step that all simulations share."""
    chip = lowered.network.populations
    shared = {name for name, r in lowered.map.items() if chip[r.population].program is not None}
    names = quantized.populations if quantized is not None else lowered.map
    return {name: "none" if not compared else "shared" if name in shared else "independent" for name in names}


def _registers(p: IntegerPopulation) -> tuple[str, ...]:
    """Return what is compared of a population."""
    return ("spikes", *(register for register in REGISTERS if register in STATE.get(p.dynamics, ())))


def _register(trace: Trace, register: str, p: IntegerPopulation) -> Array | None:
    """Return an array of a trace that must hold it; None: the values of a current, which not every engine repeats."""
    values: Array | None = getattr(trace, register).get(p.name)
    if values is None and p.dynamics != "current":
        raise broken_invariant("verify", f"'{trace.engine}' returns {register} of '{p.name}'")
    return values


def _logical_models(lowered: LoweredNetwork, models: Mapping[str, str]) -> dict[str, str]:
    """Return the models by the user's populations; parts of the chip that represent none keep their own names."""
    found = {name: models[r.population] for name, r in lowered.map.items() if r.population in models}
    represented = {r.population for r in lowered.map.values()}
    return {name: model for name, model in models.items() if name not in represented} | found


def _first_weight(a: Array, b: Array, projection: str, engines: tuple[str, str], ticks: int) -> Divergence | None:
    """Return the first weight that two simulations have learned differently, after the first sample where some are."""
    if a.shape != b.shape:
        raise ValueError(f"{engines}: weights of {projection} have the shapes {a.shape} and {b.shape}")
    different = np.argwhere(a.reshape(len(a), -1) != b.reshape(len(b), -1))
    if not len(different):
        return None
    sample, index = (int(i) for i in different[0])
    values = (int(a[sample].flat[index]), int(b[sample].flat[index]))
    return Divergence(engines, projection, index, sample, ticks, "weights", values)


def _first_difference(
    a: Array, b: Array, population: str, register: str, engines: tuple[str, str], lag: int
) -> Divergence | None:
    """Return the first place, in order of ticks, where two (samples, ticks, n) arrays differ."""
    if a.shape != b.shape:
        raise ValueError(f"{engines}: {register} of {population} have the shapes {a.shape} and {b.shape}")
    different = a != b
    if not different.any():
        return None
    tick = int(np.flatnonzero(different.any(axis=(0, 2)))[0])
    sample, neuron = (int(i) for i in np.argwhere(different[:, tick])[0])
    values = (int(a[sample, tick, neuron]), int(b[sample, tick, neuron]))
    return Divergence(engines, population, neuron, sample, tick - lag, register, values)
