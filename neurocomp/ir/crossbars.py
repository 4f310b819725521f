"""What a lowered network of crossbars claims, derived anew: that its axons and bits make up the user's synapses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.ir.lowered import LoweredNetwork, Part
from neurocomp.ir.quantized import AXON_TYPES, TRUENORTH, Crossbar, IntegerNetwork, IntegerProjection
from neurocomp.models.patterns import PATTERNS, Pattern

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


NEURON_BITS, DELAY_BITS, PLACE_BITS = 21, 6, 26
"""A synapse as one number: source population, place in it, delay from -`DROPPED` on, target neuron."""
WINDOWS = 1 << 25
"""From here on places are windows of maxima, not neurons."""


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """Synapses as numbers, ascending, and their weights; none is 0."""

    synapse: IntArray
    weight: IntArray

    @staticmethod
    def summed(synapses: Sequence[IntArray], weights: Sequence[IntArray]) -> _Weights:
        """Add up what has one number."""
        none = np.zeros(0, np.int64)
        synapse, inverse = np.unique(np.concatenate([none, *synapses]), return_inverse=True)
        total = np.zeros(len(synapse), np.int64)
        np.add.at(total, inverse.reshape(-1), np.concatenate([none, *weights]))
        return _Weights(synapse[total != 0], total[total != 0])

    def equals(self, other: _Weights) -> bool:
        """Return whether both hold the same synapses with the same weights."""
        return np.array_equal(self.synapse, other.synapse) and np.array_equal(self.weight, other.weight)


def _neuron(synapse: IntArray) -> IntArray:
    return synapse & ((1 << NEURON_BITS) - 1)


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
            of_map = lowered.map[name]
            self.claim(of_map.lag == lowered.lag[of_map.population], f"the representative of '{name}' has the lag of the map")
            expected = self._expected(name)
            physical = lowered.map[name].population
            part = lowered.parts[physical]
            self._same_neurons(name, physical)
            own = [of for of in channels if channels[of].logical == name]
            if not own:
                found = self._found(physical)
                self.claim(self._copied(expected, found, part.neurons, p.size), f"the axons of '{name}' carry its weights")
                continue
            synapses, weights = [], []
            for of in own:
                unit = channels[of].unit
                assert unit is not None
                found = self._found(of)
                channel = _neuron(found.synapse)
                synapses.append(found.synapse - channel + channels[of].neurons[channel])
                weights.append(np.sign(unit[channel]) * found.weight)
            whole = _Weights.summed(synapses, weights).equals(expected)
            self.claim(whole, f"the channels of '{name}' carry its weights")
            self._units(physical, part.neurons, own)
        self._holds()
        self._outputs()

    def _holds(self) -> None:
        """Check that hold sources are silent once the populations that they hold begin."""
        lowered, network = self.lowered, self.lowered.network
        for q in network.projections:
            source = network.populations[q.source]
            if source.dynamics == "pulse" and q.source not in self.quantized.populations:
                ends = source.values("first") + source.values("count")
                silent = bool((ends[:, None] + np.atleast_1d(q.delay) <= lowered.lag[q.target]).all())
                self.claim(silent, f"'{q.source}' ends when what it holds begins")

    def _outputs(self) -> None:
        """Check that each line off the chip repeats one neuron of a population that is read."""
        lowered, network = self.lowered, self.lowered.network
        read = [name for name in self.quantized.outputs if self.quantized.populations[name].has_neurons]
        self.claim(len(network.outputs) == len(read), "every population that is read has lines")
        for name, lines in zip(read, network.outputs, strict=False):
            found = np.full(self.quantized.populations[name].size, -1, np.int64)
            for q in (q for q in network.projections if q.target == lines):
                part = lowered.parts[q.source]
                sources, targets, delay = _messages(q)
                own = part.logical == name and part.role in ("neuron", "relay") and part.pool is None
                self.claim(own and bool((delay == 1).all()), f"the lines '{lines}' repeat '{name}' a tick later")
                found[targets] = part.neurons[sources]
            self.claim(np.array_equal(found, np.arange(len(found))), f"each line of '{lines}' repeats its neuron")

    def _code(self, source: int, place: IntArray, delay: IntArray) -> IntArray:
        """Return the numbers of lines, which those of synapses begin with."""
        small = source < 1 << 10 and (not place.size or int(place.max()) < 1 << PLACE_BITS)
        late = not delay.size or (int(delay.min()) >= -DROPPED and int(delay.max()) + DROPPED < 1 << DELAY_BITS)
        self.claim(small and late, "lines have numbers of 42 bits")
        return np.asarray(((source << PLACE_BITS | place) << DELAY_BITS | (delay + DROPPED)) << NEURON_BITS)

    def _expected(self, name: str) -> _Weights:
        """Return the synapses of the quantized network onto a population."""
        synapses, weights = [], []
        for q in self.quantized.projections:
            if q.target != name:
                continue
            listed = self.quantized.synapses(q)
            weight = q.weights.ravel()[listed.slot]
            delay = np.broadcast_to(q.delay, q.mantissa.shape).ravel()[listed.slot]
            source = self.number[q.source]
            lines = self._code(source, self._places(q, source)[listed.source], np.asarray(delay, np.int64))
            synapses.append(lines | listed.target)
            weights.append(weight)
        return _Weights.summed(synapses, weights)

    def _places(self, q: IntegerProjection, source: int) -> IntArray:
        """Return a number for each position that a pattern starts from: the neuron, or one for the window of a maximum."""
        if q.pool is None:
            return np.arange(self.quantized.populations[q.source].size)
        return self._windows_of(q.pool, q.source, np.arange(int(np.prod(self.quantized.shapes(q)[0]))))

    def _windows_of(self, pool: Pattern, source: str, places: IntArray) -> IntArray:
        """Return the numbers of the windows of a maximum over a population."""
        shape, kind, number = self.quantized.populations[source].shape, PATTERNS[pool.kind], self.number[source]
        pooled = kind.output_shape(pool, shape, ())
        assert pooled is not None
        return np.array(
            [self._window(number, kind.sources(pool, shape, pooled, places[i : i + 1])) for i in range(len(places))]
        )

    def _origins(self, part: Part) -> IntArray:
        """Return for each neuron of a part the number of the logical neuron or window that it stands for."""
        if part.pool is None:
            return part.neurons
        distinct, inverse = np.unique(part.neurons, return_inverse=True)
        return self._windows_of(part.pool, part.logical, distinct)[inverse.reshape(-1)]

    def _relays(self, name: str, part: Part) -> None:
        """Check that relays repeat what they stand for, in the same tick of the user."""
        origins, source = self._origins(part), self.number[part.logical]
        p = self.lowered.network.populations[name]
        lines = self._code(source, origins, np.zeros(len(origins), np.int64))
        expected = _Weights.summed([lines | np.arange(len(origins))], [np.ones(len(origins), np.int64)])
        self.claim(self._found(name).equals(expected), f"'{name}' hears what it repeats")
        rest = ("lambda", "beta", "R", "gamma", "TM", "V", "kappa", "epsilon", "c_lambda", "symmetric")
        plain = bool((p.values("alpha") == 1).all()) and not any(p.values(key).any() for key in rest)
        self.claim(plain, f"'{name}' repeats every spike")

    def _window(self, source: int, neurons: IntArray) -> int:
        if len(neurons) == 1:
            return int(neurons[0])
        key = source, np.sort(neurons).astype(np.int64).tobytes()
        return self.windows.setdefault(key, WINDOWS + len(self.windows))

    def _found(self, name: str) -> _Weights:
        """Return what a population's crossbar holds: as `_expected`, but with the index of the physical neuron."""
        c = next(c for c in self.lowered.network.crossbars if c.neurons == name)
        line = self._lines(c, name)
        synapses, weights = [], []
        for block in range(c.blocks):
            axons, own = c.of(block)
            values = c.weights(block)
            axon, neuron = np.nonzero(values)
            code = line[axons][axon]
            fed = code >= 0
            synapses.append(code[fed] | (own.start + neuron[fed]))
            weights.append(values[axon, neuron][fed])
        return _Weights.summed(synapses, weights)

    def _lines(self, c: Crossbar, name: str) -> IntArray:
        """Return the line that each axon of a population carries, (axons,); -1 where none is the user's."""
        lowered, network = self.lowered, self.lowered.network
        line = np.full(len(c.types), -1, np.int64)
        several: dict[int, list[tuple[int, int, int]]] = {}
        merged = np.zeros(len(c.types), np.bool_)
        merged[lowered.declared_merges.get(c.axons, np.zeros(0, np.int64))] = True
        for q in network.projections:
            part = lowered.parts.get(q.source)
            hold = part is None and q.source not in self.number
            if q.target != c.axons or hold or (part is not None and part.role == "channel"):
                continue
            logical = self.number[q.source if part is None else part.logical]
            sources, targets, delay = _messages(q)
            origin = sources if part is None else self._origins(part)[sources]
            ticks = np.asarray(delay, np.int64) - (lowered.lag[name] - lowered.lag[q.source])
            single = ~merged[targets]
            line[targets[single]] = self._code(logical, origin[single], ticks[single])
            for axon, place, tick in zip(targets[~single], origin[~single], ticks[~single], strict=True):
                several.setdefault(int(axon), []).append((logical, int(place), int(tick)))
        for axon, found in several.items():
            same = len({(source, tick) for source, _, tick in found}) == 1
            self.claim(same, f"the sources of an axon of '{name}' are one window")
            places = np.unique([place for _, place, _ in found])
            self.claim(len(places) == 1 or int(places[-1]) < WINDOWS, f"an axon of '{name}' takes one maximum")
            source, _, tick = found[0]
            line[axon] = self._code(source, np.array([self._window(source, places)]), np.array([tick]))[0]
        return line

    @staticmethod
    def _copied(expected: _Weights, found: _Weights, neurons: IntArray, size: int) -> bool:
        """Return whether every copy of every neuron has its weights, and nothing else."""
        copies = np.bincount(neurons, minlength=size)
        if len(found.synapse) != int(copies[_neuron(expected.synapse)].sum()):
            return False
        physical = _neuron(found.synapse)
        logical = found.synapse - physical + neurons[physical]
        at = np.searchsorted(expected.synapse, logical)
        inside = bool((at < len(expected.synapse)).all())
        return inside and np.array_equal(expected.synapse[at], logical) and np.array_equal(expected.weight[at], found.weight)

    def _same_neurons(self, name: str, physical: str) -> None:
        """Check that neurons are copies of the quantized ones."""
        logical, copies = self.quantized.populations[name], self.lowered.network.populations[physical]
        neurons = self.lowered.parts[physical].neurons
        self.claim(len(np.unique(neurons)) == logical.size, f"each neuron of '{name}' is there")
        first = self.lowered.map[name].neurons
        chosen = np.arange(copies.size) if first is None else first
        self.claim(np.array_equal(neurons[chosen], np.arange(logical.size)), f"the representatives of '{name}' are its neurons")
        for key in TRUENORTH:
            if key != "b" and (key != "V" or self.lowered.lag[physical] == 0):
                same = np.array_equal(copies.values(key), logical.values(key)[neurons])
                self.claim(same, f"'{key}' of '{name}' is that of the quantized neurons")
        c = next(c for c in self.lowered.network.crossbars if c.neurons == physical)
        stochastic = np.repeat(logical.values("b")[neurons, None], AXON_TYPES, axis=1) * (c.s != 0)
        self.claim(np.array_equal(c.b, stochastic), f"the synapses of '{name}' are stochastic where the quantized ones are")
        if c.b.any():
            self._draws(name, c, self._lines(c, physical) >> (NEURON_BITS + DELAY_BITS))

    def _draws(self, name: str, c: Crossbar, line: IntArray) -> None:
        """Check that the slots of the axons name the quantized synapses; ``line`` is the source and place of each, or < 0."""
        number, position, fed = c.slots >> 24, c.slots & 0xFFFFFF, line >= 0
        known = np.zeros(len(line), np.bool_)
        for i, q in enumerate(self.quantized.projections):
            here = fed & (number == i)
            if q.target != name or not here.any():
                continue
            source, places = self.number[q.source], self._places(q, self.number[q.source])
            inside = here & (position < len(places))
            expected = source << PLACE_BITS | places[np.where(inside, position, 0)]
            known |= inside & (line == expected)
        self.claim(bool(known[fed].all()), f"the axons of '{name}' draw what the quantized synapses draw")

    def _units(self, name: str, neurons: IntArray, channels: list[str]) -> None:
        """Check that a spike of a channel is worth its threshold at its neuron, and nothing elsewhere."""
        lowered, network = self.lowered, self.lowered.network
        c: Crossbar = next(c for c in network.crossbars if c.neurons == name)
        owner, unit = np.full(len(c.types), -1, np.int64), np.zeros(len(c.types), np.int64)
        heard = {source: np.zeros(network.populations[source].size, np.int64) for source in channels}
        for q in network.projections:
            if q.target != c.axons or q.source not in channels:
                continue
            part = lowered.parts[q.source]
            assert part.unit is not None
            sources, targets, delay = _messages(q)
            owner[targets], unit[targets] = part.neurons[sources], part.unit[sources]
            np.add.at(heard[q.source], sources, 1)
            in_time = bool((delay == lowered.lag[name] - lowered.lag[q.source]).all())
            self.claim(in_time, f"what '{q.source}' sends arrives in the tick that it belongs to")
            threshold = network.populations[q.source].values("alpha")
            self.claim(np.array_equal(np.abs(part.unit), threshold), f"a channel of '{name}' sends what it takes off")
        for block in range(c.blocks):
            axons, own = c.of(block)
            channel = owner[axons] >= 0
            expected = np.where(owner[axons, None] == neurons[own], unit[axons, None], 0)[channel]
            self.claim(np.array_equal(c.weights(block)[channel], expected), f"a channel of '{name}' counts its threshold")
        self.claim(all(bool((count == 1).all()) for count in heard.values()), f"every channel reaches '{name}' once")
