"""The reference against a transcription of docs/semantics.md in Python integers, neuron by neuron and synapse by synapse.

Both run random networks: integer networks with every feature and the native networks of the test kit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.ir.trace import Event
from neurocomp.models.patterns import Pattern
from neurocomp.passes.legalize import legalize
from neurocomp.testing.golden import (
    first_difference,
    integers_of,
)
from neurocomp.testing.random_integers import random_integer_network
from neurocomp.testing.strategies import native_networks, random_network, stimuli
from neurocomp_reference import ReferenceSimulator

Array = NDArray[Any]
Shape = tuple[int, ...]
Rows = list[list[int]]


# The oracle


def places(shape: Shape) -> Iterator[Shape]:
    """Yield the indices of a shape in C order."""
    return itertools.product(*(range(n) for n in shape))


def flat(place: Shape, shape: Shape) -> int:
    """Return the number of an index in C order."""
    number = 0
    for i, n in zip(place, shape, strict=True):
        number = number * n + i
    return number


def seen(at: Shape, k: Shape, options: dict[str, Shape], extents: Shape) -> Shape | None:
    """Return which place of the source an output place sees through a position of the kernel; None: the padding."""
    dilation = options.get("dilation", (1,) * len(k))
    where = tuple(
        i * s + j * d - p
        for i, j, s, d, p in zip(at, k, options["stride"], dilation, options["padding"], strict=True)
    )  # fmt: skip
    return where if all(0 <= i < n for i, n in zip(where, extents, strict=True)) else None


def listed(q: IntegerProjection, source: Shape, target: Shape) -> Iterator[tuple[int, int, int]]:
    """Yield (source neuron, target neuron, number of the weight) of every synapse."""
    kind, n_source, n_target = q.pattern.kind, math.prod(source), math.prod(target)
    if kind == "dense":
        yield from ((j, i, i * n_source + j) for i in range(n_target) for j in range(n_source))
    elif kind == "one_to_one":
        yield from ((i, i, i) for i in range(n_target))
    elif kind == "sparse":
        pairs = zip(q.pattern.arrays["sources"].tolist(), q.pattern.arrays["targets"].tolist(), strict=True)
        yield from ((j, i, k) for k, (j, i) in enumerate(pairs))
    elif kind == "block":
        indices = q.pattern.arrays["indices"].tolist()
        m, k = n_target // len(indices), len(indices[0])
        yield from ((indices[i // m][j], i, i * k + j) for i in range(n_target) for j in range(k))
    else:
        options = dict(q.pattern.options)
        (groups,), kernel = options["groups"], options["kernel"]
        inner, outer = source[0] // groups, target[0] // groups
        for channel, *at in places(target):
            for c in range(inner):
                for k_place in places(kernel):
                    where = seen(tuple(at), k_place, options, source[1:])
                    if where is not None:
                        weight = flat((channel, c, *k_place), (target[0], inner, *kernel))
                        place = flat((channel // outer * inner + c, *where), source)
                        yield place, flat((channel, *at), target), weight


def pooled_shape(pool: Pattern, source: Shape) -> Shape:
    """Return what a maximum makes of a shape."""
    o = pool.options
    axes = zip(source[1:], o["kernel"], o["stride"], o["padding"], strict=True)
    return (source[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in axes))


def pooled(spikes: list[int], pool: Pattern, source: Shape) -> list[int]:
    """Return the maximum of zeros and ones over each window."""
    result = []
    for channel, *at in places(pooled_shape(pool, source)):
        found = [seen(tuple(at), k, dict(pool.options), source[1:]) for k in places(pool.options["kernel"])]
        result.append(max([0, *(spikes[flat((channel, *place), source)] for place in found if place is not None)]))
    return result


def wrapped(x: int, bits: int) -> int:
    """Return x in two's complement."""
    x &= (1 << bits) - 1
    return x - (1 << bits) if x >> (bits - 1) else x


def shifted(x: int, exponent: int) -> int:
    return x << exponent if exponent >= 0 else x >> -exponent


def decayed(x: int, keep: int, bits: int) -> int:
    """Return x * keep / 2**bits, rounded toward zero."""
    magnitude = abs(x * keep) >> bits
    return magnitude if x * keep >= 0 else -magnitude


@dataclass
class Oracle:
    """One sample of a network."""

    network: IntegerNetwork
    stimulus: dict[str, Rows]
    """Input -> tick -> neuron -> value."""
    ticks: int
    lag: dict[str, int]
    out: dict[str, Rows] = field(default_factory=dict)
    """``s/name``, ``u/name``, ``v/name`` -> tick -> neuron -> value."""
    overflows: dict[tuple[str, str], list[tuple[int, int]]] = field(default_factory=dict)
    """(population, register) -> (tick, neuron) of every overflow."""

    def run(self) -> Oracle:
        """Run all ticks."""
        network = self.network
        shapes = {name: p.shape for name, p in network.populations.items()}
        self.synapses: list[list[tuple[int, int, int, int]]] = []
        for q in network.projections:
            source = shapes[q.source] if q.pool is None else pooled_shape(q.pool, shapes[q.source])
            weights, delays = q.weights.ravel().tolist(), np.broadcast_to(q.delay, q.mantissa.shape).ravel().tolist()
            self.synapses.append([(j, i, weights[k], delays[k]) for j, i, k in listed(q, source, shapes[q.target])])
        self.rest = {name: [0] * p.size for name, p in network.populations.items()}
        self.out = {f"{r}/{name}": [] for name in network.populations for r in "suv"}
        for t in range(self.ticks + max(self.lag.values())):
            for name in self.order():
                self.update(network.populations[name], t)
        return self

    def order(self) -> list[str]:
        """Return populations so that each follows those that reach it without delay."""
        result: list[str] = []
        waiting = list(self.network.populations)
        while waiting:
            blocked = {q.target for q in self.network.projections if q.source in waiting and q.delay.size and not q.delay.min()}
            ready = [name for name in waiting if name not in blocked]
            result += ready
            waiting = [name for name in waiting if name not in ready]
        return result

    def sent(self, q: IntegerProjection, t: int) -> list[int]:
        """Return what a source sends into a projection in tick t; nothing before the first tick."""
        source = self.network.populations[q.source]
        spikes = self.out[f"s/{q.source}"][t] if t >= 0 else [0] * source.size
        spikes = [int(s != 0) for s in spikes] if q.binary else spikes
        return spikes if q.pool is None else pooled(spikes, q.pool, source.shape)

    def activation(self, name: str, t: int) -> list[int]:
        """Return the synaptic input of a population."""
        total = [0] * self.network.populations[name].size
        for q, entries in zip(self.network.projections, self.synapses, strict=True):
            if q.target != name:
                continue
            sums: dict[tuple[int, int], int] = {}
            sent = {delay: self.sent(q, t - delay) for delay in {entry[3] for entry in entries}}
            for j, i, weight, delay in entries:
                sums[i, delay] = sums.get((i, delay), 0) + weight * sent[delay][j]
            for (i, _), value in sums.items():
                total[i] += shifted(wrapped(value, 32), q.exponent)
        return total

    def update(self, p: IntegerPopulation, t: int) -> None:
        """Do one tick of a population."""
        if p.is_input:
            values = self.stimulus[p.name]
            self.out[f"s/{p.name}"].append(values[t] if t < self.ticks else [0] * p.size)
            return
        if t < p.start:
            for register in "suv":
                self.out[f"{register}/{p.name}"].append([0] * p.size)
            return
        form, rest = self.network.number_format, self.rest[p.name]
        activation = self.activation(p.name, t)
        clocked = p.reset_interval is not None and t >= p.reset_offset and (t - p.reset_offset) % p.reset_interval == 0
        rows: dict[str, list[int]] = {"s": [], "u": [], "v": []}
        for i, a in enumerate(activation):
            own = {key: int(p.values(key)[i]) for key in p.parameters}
            u = self.out[f"u/{p.name}"][t - 1][i] if t > p.start else wrapped(own["u_init"], 32)
            v = self.out[f"v/{p.name}"][t - 1][i] if t > p.start else wrapped(own["v_init"], 32)
            if clocked:
                u = v = rest[i] = 0

            one, half = 1 << form.decay_bits, 1 << (form.u_bits - 1)
            exact = decayed(u, one - own["du"] - form.current_decay_offset, form.decay_bits) + a * (1 << form.state_shift)
            u = wrapped(exact, 32)
            if form.u_overflow == "wrap":
                u = wrapped(u, form.u_bits)
            elif u > half:
                u -= 2 * half
            elif u <= -half:
                u += 2 * half
            self.note(p, "accumulator", t, i, a != wrapped(a, form.accumulator_bits))
            self.note(p, "u", t, i, u != exact)

            spike, threshold = 0, own["vth"] << form.state_shift
            low = own["vth_low"] << form.state_shift if p.dynamics == "ternary" else None
            if rest[i] == 0:
                bias = wrapped(shifted(own["bias_mant"], own["bias_exp"]), 32)
                if p.current is not None and self.lag[p.name] <= t < self.lag[p.name] + self.ticks:
                    bias += self.stimulus[p.current][0][i]
                exact = decayed(v, one - own["dv"], form.decay_bits) + u + bias
                most = (1 << (form.v_bits - 1)) - 1
                v = max(-most, min(most, wrapped(exact, 32)))
                self.note(p, "v", t, i, v != exact)
                if p.fires and (v > threshold or (p.compare == ">=" and low is None and v == threshold)):
                    spike += 1
                if p.fires and low is not None and v < low:
                    spike -= 1
            if spike:
                rest[i] = p.refractory
                if p.reset == "zero":
                    v = 0
                if p.reset == "subtract":
                    v -= threshold if spike > 0 else low or 0
            elif rest[i]:
                rest[i] -= 1
            for register, value in (("s", spike), ("u", u), ("v", v)):
                rows[register].append(value)
        for register, row in rows.items():
            self.out[f"{register}/{p.name}"].append(row)

    def note(self, p: IntegerPopulation, register: str, t: int, neuron: int, overflow: bool) -> None:
        if overflow:
            self.overflows.setdefault((p.name, register), []).append((t, neuron))


def assert_equals_oracle(network: IntegerNetwork, stimulus: Any, lag: dict[str, int] | None = None) -> Any:
    """Compare spikes, u, v and events of all samples, and return the trace."""
    trace = ReferenceSimulator().run(network, stimulus, lag=lag)
    lags = dict.fromkeys(network.populations, 0) | (lag or {})
    events: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for sample in range(next(iter(trace.spikes.values())).shape[0]):
        one = {name: values[sample].astype(np.int64).tolist() for name, values in stimulus.items()}
        oracle = Oracle(network, one, trace.ticks, lags).run()
        for name in trace.u:
            actual = {"s": trace.spikes[name][sample], "u": trace.u[name][sample], "v": trace.v[name][sample]}
            difference = first_difference(actual, {r: np.array(oracle.out[f"{r}/{name}"]) for r in "suv"})
            assert difference is None, f"{name}, sample {sample}: {difference}"
        for key, found in oracle.overflows.items():
            events.setdefault(key, []).extend((sample, *place) for place in found)
    assert {(e.population, e.register): e for e in trace.events} == {
        key: Event(*key, len(found), *min(found)) for key, found in events.items()
    }
    return trace


# Random integer networks


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_random_networks_equal_the_oracle(first: int) -> None:
    for seed in range(first, first + 20):
        assert_equals_oracle(*random_integer_network(seed))


def test_random_networks_have_every_feature() -> None:
    seen_features: dict[str, int] = {}
    for seed in range(200):
        network, stimulus, lag = random_integer_network(seed)
        trace = ReferenceSimulator().run(network, stimulus, lag=lag)
        active = {name for name, values in trace.spikes.items() if values.any()}
        found = {f"{e.register} overflows" for e in trace.events}
        for q in network.projections:
            if q.source in active and q.mantissa.any():
                own = {q.pattern.kind, "exponent < 0" if q.exponent < 0 else "exponent >= 0"}
                own |= {f"{q.pattern.kind} with delays"} if q.delay.ndim and q.delay.size else set()
                own |= {f"max pool {len(q.pool.options['kernel'])}d"} if q.pool else set()
                own |= {"graded"} if not q.binary else set()
                own |= {"recurrent"} if q.source == q.target else set()
                for name in ("stride", "padding", "dilation", "groups"):
                    values = q.pattern.options.get(name, ())
                    own |= {name} if values and max(values) > (name != "padding") else set()
                found |= own
        for p in network.populations.values():
            if p.name in active and not p.is_input:
                found |= {f"reset {p.reset}", f"compare {p.compare}", p.dynamics}
                found |= {"refractory"} if p.refractory else set()
                found |= {"refractory ternary, subtract"} if p.refractory and p.dynamics == "ternary" else set()
                found |= {"clock"} if p.reset_interval else set()
                found |= {"start"} if p.start else set()
                found |= {"current"} if p.current in active else set()
                found |= {"down"} if (trace.spikes[p.name] < 0).any() else set()
        for name in found:
            seen_features[name] = seen_features.get(name, 0) + 1
    kinds = {"dense", "one_to_one", "sparse", "block", "conv1d", "conv2d"}
    expected = {*kinds, *(f"{kind} with delays" for kind in kinds), "max pool 1d", "max pool 2d", "graded", "recurrent"}
    expected |= {
        "stride",
        "padding",
        "dilation",
        "groups",
        "exponent < 0",
        "exponent >= 0",
        "refractory",
        "clock",
        "current",
        "start",
    }
    expected |= {"reset zero", "reset subtract", "reset none", "compare >", "compare >=", "compartment", "ternary", "down"}
    expected |= {"refractory ternary, subtract", "accumulator overflows", "u overflows", "v overflows"}
    assert set(seen_features) == expected
    assert min(seen_features.values()) >= 5, seen_features


# The native networks of the test kit


@pytest.mark.parametrize("seed", range(40))
def test_seeded_native_networks_equal_the_oracle(seed: int) -> None:
    network, stimulus = random_network(seed)
    assert_equals_oracle(integers_of(legalize(network)[0]), stimulus)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_drawn_native_networks_equal_the_oracle(data: st.DataObject) -> None:
    network = data.draw(native_networks())
    assert_equals_oracle(integers_of(legalize(network)[0]), data.draw(stimuli(network)))
