"""Values as times: every neuron fires at most once, in the window of its layer, the earlier the larger its value.

After A. Stanojevic et al., An exact mapping from ReLU networks to spiking neural networks, Neural Networks 2023, in ticks. The
input and each ReLU have a window of T ticks that begins at tick D T, D the number of ReLUs up to it. A spike k ticks before
the window's end stands for the activation lambda k / T; no spike for 0. With the current u of a synapse that does not decay, a
spike adds w in every tick from its own on, so that at the end of the sources' window

    v = sum of w k + bias T = V, in units of a count k of the layer

Then each source that has fired is answered by its neuron in the population of stops, which takes w off u again. A clock adds 1
to u instead, so that v passes the threshold, T + 1/2, in the tick that stands for V, rounded, and takes it off at the end. Two
more beats of the clock keep partial sums from firing before the window. A neuron that fires is refractory for T ticks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from math import inf

import numpy as np

from neurocomp.conversion.graph import FloatArray
from neurocomp.encoding import encode
from neurocomp.ir.network import Choice, Decoder, Network, Neuron, Population, Projection, frozen
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern
from neurocomp.simulation.float_simulator import simulate

SLOW = 4096.0
"""Time constant of the currents in ticks: the longest that a Loihi compartment has, which keeps 4095/4096 of u per tick."""
HOLD_MARGIN = 1.25
"""The clock holds back so many times the largest partial sum of the calibration data."""
_OBSERVED = 64
"""Calibration samples of which partial sums are observed."""
_SAFE = float(1 << 20)
"""What holds back all partial sums while they are observed, in counts."""
_CHUNK = 16


def timed(network: Network, depths: Mapping[str, int], relays: Collection[str], window: int, start: str) -> Network:
    """Return a network of rates as one of first spikes.

    Args:
        network: Of neurons ``if``, or ``li`` for outputs without ReLU; its encoder is ``latency`` within the first window.
        depths: Population -> number of its window, from 0.
        relays: Populations that pass on the first spike that they get.
        window: Ticks T.
        start: ``half`` rounds values, ``zero`` cuts them off.
    """
    held = {
        name: _SAFE for name, p in network.populations.items() if p.neuron and p.neuron.model == "if" and name not in relays
    }
    threshold = window + (0.5 if start == "half" else 1.0)
    free = _built(network, depths, relays, window, threshold, held, inf)
    needed = _needed(free, depths, held, window, threshold)
    choices = [Choice(name, "held back", f"{needed[name]:.4g} counts", "calibration's partial sums") for name in held]
    made = _built(network, depths, relays, window, threshold, needed, SLOW * network.timestep)
    return replace(made, choices=(*network.choices, *choices))


def worth(depth: int, window: int, ticks: int) -> FloatArray:
    """Return what a spike in each tick stands for, (ticks,), in units of lambda."""
    return np.clip((depth + 1) * window - np.arange(ticks), 0, window) / window


def _built(
    network: Network, depths: Mapping[str, int], relays: Collection[str], window: int, threshold: float,
    held: Mapping[str, float], tau_syn: float,
) -> Network:  # fmt: skip
    output = network.outputs[0].name
    ticks = window * (depths[output] + (output in held))
    beats = -(-ticks // window)
    clock = _free_name("clock", network.populations)
    stops = {q.source: _free_name(f"{q.source}_stop", network.populations) for q in network.projections if q.target in held}
    keeps = 1.0 - network.timestep / tau_syn
    populations: dict[str, Population] = {}
    projections: list[Projection] = []
    bias = {name: np.zeros(p.size) for name, p in network.populations.items()}
    for q in network.projections:
        wait = 0 if q.target in relays else (depths[q.target] - 1 - depths[q.source]) * window
        q = replace(q, bias=None, delay=frozen(np.int64(wait)))
        projections.append(q)
        if q.target in held:
            name = q.name.replace(q.source, stops[q.source], 1)
            projections.append(replace(q, name=name, source=stops[q.source], weights=frozen(-q.weights)))
    for q in network.projections:
        if q.bias is not None:
            bias[q.target] += q.bias

    def from_clock(name: str, weights: Mapping[int, float], number: str = "") -> None:
        """Add synapses of the clock: beat -> weight; beat 2 l is in tick l T, 2 l + 1 in the tick after it."""
        made = np.zeros((populations[name].size, 2 * beats), np.float32)
        for beat, weight in weights.items():
            made[:, beat] = weight
        projections.append(Projection(f"{clock}->{name}{number}", clock, name, Pattern("dense"), frozen(made)))

    populations[clock] = _clock(clock, beats)
    projections.append(_chain(clock, beats, window))
    for name, p in network.populations.items():
        depth, first = depths[name], bias[name] * window
        common = {"tau_mem": inf, "tau_syn": tau_syn, "r": 1.0, "u_init": 0.0}
        if p.neuron is None:
            populations[name] = p
        elif name in relays:
            populations[name] = replace(p, neuron=_neuron("if", {"v_threshold": 0.5, "v_init": 0.0}, window))
        elif name not in held:
            populations[name] = replace(p, neuron=_neuron("cuba_li", {**common, "v_init": first}))
        else:
            # The beats of +-hold leave a little of the current; what it adds to v until the window begins is taken off.
            first = first - held[name] * (1.0 - keeps ** (depth * window))
            neuron = _neuron("cuba_lif", {**common, "v_threshold": threshold, "v_init": first}, window)
            populations[name] = replace(p, neuron=neuron)
            end = {2 * depth + 2: -1.0} if depth + 1 < beats else {}
            from_clock(name, {2 * depth: 1.0, **end})
            from_clock(name, {0: -held[name], 1: held[name], 2 * depth: held[name], 2 * depth + 1: -held[name]}, "#2")
        if name in stops:
            stop = stops[name]
            populations[stop] = Population(stop, p.shape, _neuron("if", {"v_threshold": 1.5, "v_init": 0.0}))
            ones = frozen(np.ones(p.size, np.float32))
            projections.append(Projection(f"{name}->{stop}", name, stop, Pattern("one_to_one"), ones))
            from_clock(stop, {2 * depth + 2: 1.0})
    decoders = {output: Decoder("first_spike", {}) if output in held else network.decoders[output]}
    return replace(network, populations=populations, projections=tuple(projections), ticks=ticks, decoders=decoders).verify()


def _free_name(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _neuron(model: str, parameters: Mapping[str, float | FloatArray], refractory: int = 0) -> Neuron:
    semantics = Semantics(integration="euler", refractory=refractory)
    return Neuron(model, {key: frozen(np.asarray(value, np.float64)) for key, value in parameters.items()}, semantics)


def _clock(name: str, beats: int) -> Population:
    """Return neurons that fire once each, the first one by itself in tick 0."""
    start = np.zeros(2 * beats)
    start[0] = 2.0
    return Population(name, (2 * beats,), _neuron("if", {"v_threshold": 1.0, "v_init": start}))


def _chain(name: str, beats: int, window: int) -> Projection:
    """Return the synapses from beat to beat: ``window`` ticks, and a tick to the beat between."""
    even = 2 * np.arange(beats)
    arrays = {"sources": frozen(np.r_[even, even[:-1]]), "targets": frozen(np.r_[even + 1, even[1:]])}
    delays = np.r_[np.ones(beats, np.int64), np.full(beats - 1, window, np.int64)]
    weights = np.full(len(delays), 2.0, np.float32)
    return Projection(f"{name}->{name}", name, name, Pattern("sparse", arrays), frozen(weights), delay=frozen(delays))


def _needed(
    network: Network, depths: Mapping[str, int], held: Mapping[str, float], window: int, threshold: float
) -> dict[str, float]:
    """Return what each layer has to be held back by, in counts, as observed on the calibration data."""
    entry = network.inputs[0]
    assert network.data.calibration is not None
    stored = network.data.calibration.inputs[entry.name]
    stored = stored[:: -(-len(stored) // _OBSERVED)]
    found = dict.fromkeys(held, threshold)
    for start in range(0, len(stored), _CHUNK):
        part = stored[start : start + _CHUNK]
        stimulus = encode(network.encoders[entry.name], part, scale=network.data.scale, ticks=network.ticks, size=entry.size,
                          population=entry.name)  # fmt: skip
        trace = simulate(network, {entry.name: stimulus}, record=list(held))
        for name, hold in held.items():
            begin = depths[name] * window
            early = float(trace.v[name][:, :begin].max()) + hold - threshold
            found[name] = max(found[name], HOLD_MARGIN * early)
    return found
