"""What a lowered network of crossbars claims, derived anew: that its axons and bits make up the user's synapses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.ir.lowered import LoweredNetwork, Part
from neurocomp.ir.quantized import AXON_TYPES, TRUENORTH, Crossbar, IntegerNetwork, IntegerProjection
from neurocomp.models.patterns import PATTERNS

IntArray = NDArray[np.int64]
Claim = Callable[[bool, str], None]

DROPPED = 16
"""The delay of a packet that a scheduler of 16 ticks drops."""


def verify_crossbars(
    lowered: LoweredNetwork, quantized: IntegerNetwork | None, *, max_axons: int, max_neurons: int, max_delay: int
) -> LoweredNetwork:
    """Check a lowered network of crossbars.

    Limits of blocks and delays; one target per neuron; one source per axon, or a declared merge. With the quantized network:
    that the bits times weights of a source's axons, summed over its copies and relays, are the quantized weights, at the
    quantized delays less lags; that the channels of partial sums together hold the weights of their neuron; that neurons are
    copies of the quantized ones but for corrected starts.

    Args:
        lowered: The network.
        quantized: What it was made of; None: it was imported as it is.
        max_axons: Of a block.
        max_neurons: Of a block.
        max_delay: Of a message from a neuron.
    """

    def claim(truth: bool, what: str) -> None:
        if not truth:
            raise broken_invariant("lower", what)

    lowered.network.verify("lower")
    claim(set(lowered.lag) == set(lowered.network.populations), "every population has a lag")
    for c in lowered.network.crossbars:
        claim(int(np.diff(c.axon_start).max(initial=0)) <= max_axons, f"a block of '{c.name}' has at most {max_axons} axons")
        largest = int(np.diff(c.neuron_start).max(initial=0))
        claim(largest <= max_neurons, f"a block of '{c.name}' has at most {max_neurons} neurons")
    for bank in {c.axons for c in lowered.network.crossbars}:
        sharing = [c for c in lowered.network.crossbars if c.axons == bank]
        same = all(
            np.array_equal(getattr(c, key), getattr(sharing[0], key))
            for c in sharing for key in ("axon_start", "types", "slots")
        )  # fmt: skip
        claim(same, f"the crossbars that share '{bank}' agree about its axons")
        together = int(np.sum([np.diff(c.neuron_start) for c in sharing], axis=0).max(initial=0))
        claim(together <= max_neurons, f"the neurons that share '{bank}' fit a core")
    _verify_routes(lowered, claim, max_delay)
    if quantized is not None:
        _Synapses(lowered, quantized, claim).verify()
    return lowered


def _verify_routes(lowered: LoweredNetwork, claim: Claim, max_delay: int) -> None:
    """Check what joins neurons to axons."""
    network = lowered.network
    sent = {p.name: np.zeros(p.size, np.int64) for p in network.populations.values()}
    arriving = {p.name: np.zeros(p.size, np.int64) for p in network.populations.values() if p.dynamics == "axons"}
    for q in network.projections:
        claim(q.pattern.kind == "sparse" and q.pool is None, f"'{q.name}' lists its messages")
        claim(q.target in arriving, f"'{q.name}' leads to axons")
        _, targets, delays = _messages(q)
        weights = q.mantissa
        claim(bool(((weights == 0) | (weights == 1)).all()), f"messages of '{q.name}' carry no weight")
        np.add.at(sent[q.source], q.pattern.arrays["sources"], 1)
        np.add.at(arriving[q.target], targets, 1)
        if network.populations[q.source].is_input:
            claim(bool((delays >= 0).all()), f"messages of '{q.name}' are not late")
        else:
            claim(bool(((delays >= 1) & (delays <= max_delay)).all()), f"delays of '{q.name}' lie in 1..{max_delay}")
            dropped = np.broadcast_to(q.delay, weights.shape)[weights == 0]
            claim(bool((dropped == max_delay + 1).all()), f"what is dropped of '{q.name}' waits {max_delay + 1} ticks")
    for p in network.populations.values():
        if p.dynamics == "truenorth":
            claim(int(sent[p.name].max(initial=0)) <= 1, f"each neuron of '{p.name}' has at most one target")
    for name, count in arriving.items():
        declared = np.zeros(len(count), np.bool_)
        declared[lowered.declared_merges.get(name, np.zeros(0, np.int64))] = True
        claim(not ((count > 1) & ~declared).any(), f"each axon of '{name}' has one source, or is a declared maximum")


def _messages(q: IntegerProjection) -> tuple[IntArray, IntArray, IntArray]:
    """Return sources, targets and delays of the messages that arrive."""
    kept = q.mantissa != 0
    delay = np.broadcast_to(q.delay, q.mantissa.shape)
    return q.pattern.arrays["sources"][kept], q.pattern.arrays["targets"][kept], delay[kept]


class _Synapses:
    """Compares the synapses of both networks, target population by target population."""

    def __init__(self, lowered: LoweredNetwork, quantized: IntegerNetwork, claim: Claim) -> None:
        self.lowered, self.quantized, self.claim = lowered, quantized, claim
        self.number = {name: index for index, name in enumerate(quantized.populations)}
        self.windows: dict[tuple[int, bytes], int] = {}
        """(number of the source population, the sources of a maximum) -> a number for it, as for a neuron."""

    def verify(self) -> None:
        """Check all neurons."""
        network, lowered = self.lowered.network, self.lowered
        channels = {
            c.neurons: lowered.parts[c.neurons] for c in network.crossbars if lowered.parts[c.neurons].role == "channel"
        }
        for name, part in lowered.parts.items():
            if part.role == "relay":
                self._relays(name, part)
        for name, p in self.quantized.populations.items():
            if not p.has_neurons:
                continue
            self.claim(name in lowered.map, f"'{name}' has a representative")
            expected = self._expected(name)
            physical = lowered.map[name].population
            part = lowered.parts[physical]
            self._same_neurons(name, physical)
            own = [of for of in channels if channels[of].logical == name]
            if not own:
                found = self._found(physical)
                copies = np.bincount(part.neurons, minlength=p.size)
                self.claim(self._equal(expected, found, part.neurons, copies), f"the axons of '{name}' carry its weights")
                continue
            summed: dict[tuple[int, int, int, int], int] = {}
            for of in own:
                unit = channels[of].unit
                assert unit is not None
                for (source, at, delay, neuron), weight in self._found(of).items():
                    key = source, at, delay, int(channels[of].neurons[neuron])
                    summed[key] = summed.get(key, 0) + int(np.sign(unit[neuron])) * weight
            self.claim({k: w for k, w in summed.items() if w} == expected, f"the channels of '{name}' carry its weights")
            self._units(physical, part.neurons, own)

    def _expected(self, name: str) -> dict[tuple[int, int, int, int], int]:
        """Return (source population, source, delay, neuron) -> weight of the quantized network."""
        result: dict[tuple[int, int, int, int], int] = {}
        for q in self.quantized.projections:
            if q.target != name:
                continue
            synapses = self.quantized.synapses(q)
            weight = q.weights.ravel()[synapses.slot]
            delay = np.broadcast_to(q.delay, q.mantissa.shape).ravel()[synapses.slot]
            source = self.number[q.source]
            places = self._places(q, source)
            for i, j, w, d in zip(synapses.source, synapses.target, weight, delay, strict=True):
                if w:
                    key = source, int(places[i]), int(d), int(j)
                    result[key] = result.get(key, 0) + int(w)
        return {key: weight for key, weight in result.items() if weight}

    def _places(self, q: IntegerProjection, source: int) -> IntArray:
        """Return a number for each position that a pattern starts from: the neuron, or one for the window of a maximum."""
        shape = self.quantized.populations[q.source].shape
        n_source = int(np.prod(self.quantized.shapes(q)[0]))
        if q.pool is None:
            return np.arange(n_source)
        pooled = self.quantized.shapes(q)[0]
        kind = PATTERNS[q.pool.kind]
        return np.array([self._window(source, kind.sources(q.pool, shape, pooled, np.array([at]))) for at in range(n_source)])

    def _origins(self, part: Part) -> IntArray:
        """Return for each neuron of a part the number of the logical neuron or window that it stands for."""
        if part.pool is None:
            return part.neurons
        shape, kind = self.quantized.populations[part.logical].shape, PATTERNS[part.pool.kind]
        pooled = kind.output_shape(part.pool, shape, ())
        assert pooled is not None
        source = self.number[part.logical]
        windows = {
            int(at): self._window(source, kind.sources(part.pool, shape, pooled, np.array([at])))
            for at in np.unique(part.neurons)
        }
        return np.array([windows[int(at)] for at in part.neurons], np.int64)

    def _relays(self, name: str, part: Part) -> None:
        """Check that relays repeat what they stand for, in the same tick of the user."""
        origins, source = self._origins(part), self.number[part.logical]
        p = self.lowered.network.populations[name]
        expected = {(source, int(origin), 0, j): 1 for j, origin in enumerate(origins)}
        self.claim(self._found(name) == expected, f"'{name}' hears what it repeats")
        plain = bool((p.values("alpha") == 1).all()) and not any(
            p.values(key).any() for key in ("lambda", "beta", "R", "gamma", "TM")
        )
        self.claim(plain, f"'{name}' repeats every spike")

    def _window(self, source: int, neurons: IntArray) -> int:
        if len(neurons) == 1:
            return int(neurons[0])
        return self.windows.setdefault((source, np.sort(neurons).astype(np.int64).tobytes()), -1 - len(self.windows))

    def _found(self, name: str) -> dict[tuple[int, int, int, int], int]:
        """Return what a population's crossbar holds: as `_expected`, but with the index of the physical neuron."""
        lowered, network = self.lowered, self.lowered.network
        c = next(c for c in network.crossbars if c.neurons == name)
        sources: list[list[tuple[int, int, int]]] = [[] for _ in range(len(c.types))]
        for q in network.projections:
            if q.target != c.axons or q.source.endswith(".hold"):
                continue
            part = lowered.parts.get(q.source)
            if part is not None and part.role == "channel":
                continue
            logical = q.source if part is None else part.logical
            from_, to, delay = _messages(q)
            origin = from_ if part is None else self._origins(part)[from_]
            late = lowered.lag[name] - lowered.lag[q.source]
            for i, axon, d in zip(origin, to, delay, strict=True):
                sources[axon].append((self.number[logical], int(i), int(d) - late))
        result: dict[tuple[int, int, int, int], int] = {}
        for block in range(c.blocks):
            axons, own = c.of(block)
            weights = c.weights(block)
            for i, axon in enumerate(range(axons.start, axons.stop)):
                if not sources[axon]:
                    continue
                population, window, ticks = sources[axon][0]
                if len(sources[axon]) > 1:
                    same = len({(s[0], s[2]) for s in sources[axon]}) == 1
                    self.claim(same, f"the sources of an axon of '{name}' are one window")
                    places = np.unique([s[1] for s in sources[axon]])
                    self.claim(len(places) == 1 or int(places[0]) >= 0, f"an axon of '{name}' takes one maximum")
                    window = self._window(population, places)
                for j in np.flatnonzero(weights[i]):
                    key = population, window, ticks, own.start + int(j)
                    result[key] = result.get(key, 0) + int(weights[i, j])
        return {key: weight for key, weight in result.items() if weight}

    @staticmethod
    def _equal(
        expected: dict[tuple[int, int, int, int], int], found: dict[tuple[int, int, int, int], int], neurons: IntArray,
        copies: IntArray,
    ) -> bool:  # fmt: skip
        """Return whether every copy of every neuron has its weights, and nothing else."""
        if len(found) != sum(int(copies[key[3]]) for key in expected):
            return False
        return all(expected.get((*key[:3], int(neurons[key[3]]))) == weight for key, weight in found.items())

    def _same_neurons(self, name: str, physical: str) -> None:
        """Check that neurons are copies of the quantized ones."""
        logical, copies = self.quantized.populations[name], self.lowered.network.populations[physical]
        neurons = self.lowered.parts[physical].neurons
        self.claim(len(np.unique(neurons)) == logical.size, f"each neuron of '{name}' is there")
        first = self.lowered.map[name].neurons
        chosen = np.arange(copies.size) if first is None else first
        self.claim(np.array_equal(neurons[chosen], np.arange(logical.size)), f"the representatives of '{name}' are its neurons")
        for key in TRUENORTH:
            if key not in ("V", "b"):
                same = np.array_equal(copies.values(key), logical.values(key)[neurons])
                self.claim(same, f"'{key}' of '{name}' is that of the quantized neurons")
        c = next(c for c in self.lowered.network.crossbars if c.neurons == physical)
        stochastic = np.repeat(logical.values("b")[neurons, None], AXON_TYPES, axis=1) * (c.s != 0)
        self.claim(np.array_equal(c.b, stochastic), f"the synapses of '{name}' are stochastic where the quantized ones are")

    def _units(self, name: str, neurons: IntArray, channels: list[str]) -> None:
        """Check that a spike of a channel is worth its threshold at its neuron, and nothing elsewhere."""
        lowered, network = self.lowered, self.lowered.network
        c: Crossbar = next(c for c in network.crossbars if c.neurons == name)
        owner, unit = np.full(len(c.types), -1, np.int64), np.zeros(len(c.types), np.int64)
        for q in network.projections:
            if q.target != c.axons or q.source not in channels:
                continue
            part = lowered.parts[q.source]
            assert part.unit is not None
            sources, targets, _ = _messages(q)
            owner[targets], unit[targets] = part.neurons[sources], part.unit[sources]
            threshold = network.populations[q.source].values("alpha")
            self.claim(np.array_equal(np.abs(part.unit), threshold), f"a channel of '{name}' sends what it takes off")
        for block in range(c.blocks):
            axons, own = c.of(block)
            channel = owner[axons] >= 0
            expected = np.where(owner[axons, None] == neurons[own], unit[axons, None], 0)[channel]
            self.claim(np.array_equal(c.weights(block)[channel], expected), f"a channel of '{name}' counts its threshold")
