"""Neurons in layer order fill one core after the other, within every limit of the spec.

Neurons of a population that receives a convolution are in the order of places, all channels of a place next to each other, so
that a core holds a tile of the image and the rows of its sources are shifts of one another. A population with more parameter
profiles than a core has is split into pieces whose profiles fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Violation
from neurocomp.fixedpoint import distinct, running_sum
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import RESET_DECAY_PROFILE, decay_profiles
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation
from neurocomp.mapping.needs import Held, Needs, Use, axons_by_population
from neurocomp.mapping.synapse_words import WORD
from neurocomp.models.patterns import PATTERNS, Conv, size_of

IntArray = NDArray[np.int64]

Tile = tuple[int, int, int]
"""Rows and columns of places, and channels of each place, that a core holds together."""
Without = Mapping[str, NDArray[np.bool_]]
"""Population -> which of its neurons are left out, (size,)."""
NOTHING: Without = {}
NO_TILES: Mapping[str, Tile] = {}

WORTH_GROWING = 16
"""A slice as large as that of the core before is taken as it is, unless the core seems to have room for 1 / 16 more."""
MOST_TRIALS = 32
"""So many tiles of an image are priced at most."""
HOPELESS = 1.5
"""Tiles whose rows have so many times the words of a core are not: only zeros would make them fit."""
MOST_OPEN_CORES = 64
"""So many earlier cores that only their profiles closed are tried for a piece."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Neurons of a population whose profiles fit one core, in the order in which they fill cores."""

    population: IntegerPopulation
    neurons: IntArray
    decays: frozenset[int]
    """Decay profiles, with that of reset compartments where there are any."""
    thresholds: frozenset[int]
    unit: int
    """So many neurons stay together where a core can hold them: the channels of a place."""
    tile: int
    """So many neurons should stay together: those of a tile, or as many as ``unit``."""

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self.neurons)


@dataclass(frozen=True, slots=True)
class Slice:
    """Neurons ``start .. stop - 1`` of a piece, in the order of their compartments on a core."""

    piece: Piece
    start: int
    stop: int

    @property
    def population(self) -> str:
        """Name of the population."""
        return self.piece.population.name

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.stop - self.start

    @property
    def neurons(self) -> IntArray:
        """Indices in the population, (size,)."""
        return self.piece.neurons[self.start : self.stop]

    @property
    def compartments(self) -> int:
        """Compartments of a core that they take."""
        return self.size * self.piece.population.compartments


@dataclass(slots=True, eq=False)
class OpenCore:
    """A core that is being filled."""

    slices: list[Slice] = field(default_factory=list)
    decays: Set[int] = frozenset()
    thresholds: Set[int] = frozenset()

    @property
    def compartments(self) -> int:
        return sum(s.compartments for s in self.slices)

    def neurons_of(self, population: str) -> int:
        return sum(s.size for s in self.slices if s.population == population)

    def add(self, taken: Slice) -> None:
        self.slices.append(taken)
        self.decays = self.decays | taken.piece.decays
        self.thresholds = self.thresholds | taken.piece.thresholds


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """What each core holds, and what that needs of it."""

    held: tuple[Held, ...]
    uses: tuple[Use, ...]


def row_by_row(needs: Needs, found: Assignment, tiles: Mapping[str, Tile]) -> Assignment | None:
    """Return the assignment with the neurons of each core in the order without tiles; None where a core then needs too much."""
    rank = {}
    for name in tiles:
        order = order_of(needs.network, needs.network.populations[name])[0]
        rank[name] = np.empty(len(order), np.int64)
        rank[name][order] = np.arange(len(order))
    held, uses = list(found.held), list(found.uses)
    for index, of in enumerate(found.held):
        if any(name in tiles for name, _ in of):
            held[index] = [
                (name, neurons[np.argsort(rank[name][neurons])] if name in tiles else neurons) for name, neurons in of
            ]
            uses[index] = needs.of(held[index])
            if uses[index].broken:
                return None
    return Assignment(tuple(held), tuple(uses))


def tiles_of(needs: Needs, found: Assignment) -> dict[str, Tile]:
    """Return for images how they are best cut into tiles.

    A tile divides its image, and its channels those of the image. Those that may need fewer axons and cores than now, the sum
    of both in parts of what they are now, are tried, the best first, by the geometry of the convolutions; the first whose
    middle fits a core by the exact formulas is taken. Rows of the image that are cut share less of the synapse memory, and rows
    of several places with some of the channels share more of it than rows of one place with all of them.
    """
    tiles = {}
    for p in needs.network.populations.values():
        if len(p.shape) == 3 and any(isinstance(PATTERNS[q.pattern.kind], Conv) for q in needs.into[p.name]):
            for tile in _tiles_to_try(needs, p, found)[:MOST_TRIALS]:
                if needs.of([(p.name, _middle(needs.network, p, tile))]).broken is None:
                    tiles[p.name] = tile
                    break
    return tiles


def _tiles_to_try(needs: Needs, p: IntegerPopulation, found: Assignment) -> list[Tile]:
    """Return tiles that may take fewer sources and cores than a population does now, the best first."""
    network, spec = needs.network, needs.spec
    cores = axons = 0.0
    for held, use in zip(found.held, found.uses, strict=True):
        part = sum(len(neurons) for name, neurons in held if name == p.name) / sum(len(neurons) for _, neurons in held)
        cores, axons = cores + part, axons + part * len(use.axon_neuron)
    if not cores:
        return []
    channels, rows, columns = p.shape
    grouped = any(q.pattern.options.get("groups", (1,)) != (1,) for q in needs.into[p.name])
    fitting: list[tuple[float, int, Tile]] = []
    for tile in ((h, w, c) for h in _divisors(rows) for w in _divisors(columns) for c in _divisors(channels)):
        if size_of(tile) * p.compartments > spec.limit("neurons") or (grouped and tile[2] < channels):
            continue
        most, every = _sources_of_tiles(network, p, tile)
        cost = every / max(axons, 1) + p.size / size_of(tile) / cores
        hopeful = _words_of_tile(network, p, tile) <= HOPELESS * spec.limit("synapse_words")
        if most <= spec.limit("input_axons") and cost < 2 and hopeful:
            fitting.append((cost, -tile[1], tile))
    return [tile for _, _, tile in sorted(fitting)]


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def _sources_of_tiles(network: IntegerNetwork, p: IntegerPopulation, tile: Tile) -> tuple[int, int]:
    """Return the sources of the tile that has the most by its convolutions, and those of all tiles together."""
    most = every = 0
    for q in network.projections_to(p.name):
        kind = PATTERNS[q.pattern.kind]
        if isinstance(kind, Conv):
            g, source = kind.geometry(q.pattern), network.shapes(q)[0]
            spans = []
            for axis, (t, n) in enumerate(zip(tile[:2], source[1:], strict=True)):
                first = np.arange(0, p.shape[1 + axis], t) * g.stride[axis] - g.padding[axis]
                last = first + (t - 1) * g.stride[axis] + g.dilation[axis] * (g.kernel[axis] - 1)
                spans.append(np.maximum(0, np.minimum(last, n - 1) - np.maximum(first, 0) + 1))
            most += source[0] * int(spans[0].max()) * int(spans[1].max())
            every += source[0] * int(spans[0].sum()) * int(spans[1].sum()) * (p.shape[0] // tile[2])
    return most, every


def _words_of_tile(network: IntegerNetwork, p: IntegerPopulation, tile: Tile) -> float:
    """Return about how many words the rows of a tile have, those that are shifts of one another once, if no weight is 0."""
    words = 0.0
    for q in network.projections_to(p.name):
        kind = PATTERNS[q.pattern.kind]
        if isinstance(kind, Conv):
            g = kind.geometry(q.pattern)
            joined = [
                _distinct_windows(t, *of) for t, *of in zip(tile[:2], g.kernel, g.stride, g.dilation, strict=True)
            ]  # fmt: skip
            inner = network.shapes(q)[0][0] // q.pattern.options["groups"][0]
            words += inner * joined[0] * joined[1] * tile[2] * q.weight_bits / WORD
    return words


@lru_cache(maxsize=1024)
def _distinct_windows(extent: int, kernel: int, stride: int, dilation: int) -> int:
    """Return along an axis how many (target, position of the kernel) the sources of a tile have, alike sources once."""
    of: dict[int, list[tuple[int, int]]] = {}
    for target in range(extent):
        for position in range(kernel):
            of.setdefault(target * stride + position * dilation, []).append((target, position))
    return sum(len(shape) for shape in {tuple((t - pairs[0][0], k) for t, k in pairs) for pairs in of.values()})


def _middle(network: IntegerNetwork, p: IntegerPopulation, tile: Tile) -> IntArray:
    """Return the neurons of the first channels of the tile in the middle of an image."""
    size = size_of(tile)
    down, across = p.shape[1] // tile[0], p.shape[2] // tile[1]
    number = down // 2 * across + across // 2
    order = order_of(network, p, tile)[0]
    return order[number * size : (number + 1) * size]


def _held(slices: Sequence[Slice]) -> Held:
    """Return slices as populations with their neurons."""
    names = dict.fromkeys(s.population for s in slices)
    return [(name, np.concatenate([s.neurons for s in slices if s.population == name])) for name in names]


# From populations to pieces


def pieces_of(
    network: IntegerNetwork, spec: HardwareSpec, p: IntegerPopulation, without: Without = NOTHING, tile: Tile | None = None
) -> list[Piece]:
    """Return a population of neurons in the order and the pieces in which it fills cores.

    It is split where it has more threshold profiles than a core, then each part where it has more decay profiles.
    """
    order, places = order_of(network, p, tile)
    if p.name in without:
        order = order[~without[p.name][order]]
    if not len(order):
        return []
    pieces: list[Piece] = []
    own = {RESET_DECAY_PROFILE} if p.compartments > 1 else set()
    decay, threshold = decay_profiles(p)[order], np.broadcast_to(p.profile[2], (p.size,))[order]
    for by_threshold in _parted(threshold, spec.limit("threshold_profiles"), set()):
        for members in _parted(decay[by_threshold], spec.limit("decay_profiles"), own):
            of = by_threshold[members]
            decays = frozenset(distinct(decay[of]).tolist()) | own
            thresholds = frozenset(distinct(threshold[of]).tolist())
            unit = _unit(order[of], places)
            if tile is not None and unit == p.shape[0]:
                unit = tile[2]
            pieces.append(Piece(p, order[of], decays, thresholds, unit, unit * size_of(tile[:2] if tile else (1, 1))))
    return pieces


def order_of(network: IntegerNetwork, p: IntegerPopulation, tile: Tile | None = None) -> tuple[IntArray, int]:
    """Return the neurons as they should follow each other, and the number of places that they share; 0: no places.

    Places follow each other row by row, with a tile tile by tile, whose extents divide those of the image, one group of
    channels after the other.
    """
    if any(PATTERNS[q.pattern.kind].dims for q in network.projections_to(p.name)):
        places = size_of(p.shape[1:])
        order, channels = np.arange(places), p.shape[0]
        if tile is not None:
            (rows, columns), (height, width, channels) = p.shape[1:], tile
            order = order.reshape(rows // height, height, columns // width, width).swapaxes(1, 2).reshape(-1)
        return np.arange(p.size).reshape(-1, channels, places)[:, :, order].swapaxes(1, 2).reshape(-1), places
    return np.arange(p.size), 0


def _unit(neurons: IntArray, places: int) -> int:
    """Return how many of the neurons each place has; 1 where places differ or there are none."""
    if not places:
        return 1
    per_place = np.bincount(neurons % places)
    per_place = per_place[per_place > 0]
    return int(per_place[0]) if (per_place == per_place[0]).all() else 1


def _parted(profiles: IntArray, limit: int, own: set[int]) -> list[IntArray]:
    """Return the positions of a list of profiles in parts, each with ``limit`` different ones at most, ``own`` included."""
    distinct, which = np.unique(profiles, return_inverse=True)
    part_of, part, held = np.zeros(len(distinct), np.int64), 0, set(own)
    fresh = True
    for index, profile in enumerate(distinct.tolist()):
        if not fresh and len(held | {profile}) > limit:
            part, held = part + 1, set(own)
        held.add(profile)
        part_of[index], fresh = part, False
    if part == 0:
        return [np.arange(len(profiles))]
    label = part_of[which]
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)


# From pieces to cores


def _as_full(use: Use, before: Use | None, as_large: bool) -> bool:
    """Return whether as many neurons as on the core before leave no more room than there."""
    if before is None or not as_large:
        return False
    return all(use.needs.get(name, 0) * WORTH_GROWING >= n * (WORTH_GROWING - 1) for name, n in before.needs.items())


class Filling:
    """Fills cores with the neurons of a network; what slices need, and how pieces are cut, is found once."""

    def __init__(self, needs: Needs, without: Without = NOTHING) -> None:
        """Take a network without the neurons of which some populations have a list, (size,) each."""
        self.needs, self.network, self.spec, self.without = needs, needs.network, needs.spec, without
        self.pieces: dict[tuple[str, Tile | None], list[Piece]] = {}
        self.bits: dict[Piece, IntArray] = {}
        self.parted: set[tuple[Piece, int]] = set()  # pieces of which an empty core cannot hold so many neurons together
        self.uses: dict[tuple[Slice, ...], Use] = {}
        self.cuts: dict[tuple[Piece, int, int | None], list[int]] = {}
        """Piece, first neuron on an empty core, neurons of a core at most -> where it is cut."""

    def fill(self, tiles: Mapping[str, Tile] = NO_TILES) -> tuple[Assignment | None, Sequence[Violation]]:
        """Place every neuron, populations with tiles by tiles.

        Returns:
            What each core holds and no violation, or None and what does not fit.
        """
        caps: dict[str, int] = {}
        apart: set[str] = set()
        while True:
            cores, violations = self._filled(tiles, caps, apart)
            if violations:
                return None, violations
            uses = [self.use(core.slices) for core in cores]
            too_wide = _output_overflow(self.network, self.spec, cores, uses, apart)
            if not too_wide:
                break
            for name, (cap, fan_out) in too_wide.items():
                if fan_out > self.spec.limit("output_axons"):
                    return None, [_fan_out_violation(self.network.populations[name], fan_out, self.spec)]
                if cap < 1:
                    apart.add(name)
                else:
                    caps[name] = min(cap, caps.get(name, cap))
        held = tuple(_held(core.slices) for core in cores)
        return Assignment(held, tuple(uses)), ()

    def pieces_of(self, p: IntegerPopulation, tile: Tile | None = None) -> list[Piece]:
        """Return the pieces of a population of neurons."""
        key = p.name, tile
        if key not in self.pieces:
            self.pieces[key] = pieces_of(self.network, self.spec, p, self.without, tile)
        return self.pieces[key]

    def _filled(
        self, tiles: Mapping[str, Tile], caps: Mapping[str, int], apart: Set[str]
    ) -> tuple[list[OpenCore], list[Violation]]:
        """Fill cores; a population has at most ``caps`` neurons on each, and begins on a new one if it is in ``apart``."""
        cores: list[OpenCore] = []
        open_cores: list[OpenCore] = []  # earlier ones that nothing but their profiles closed
        violations: list[Violation] = []
        failed, begun = "", ""
        neurons = [p for p in self.network.populations.values() if not p.is_input]
        for piece in (piece for p in neurons for piece in self.pieces_of(p, tiles.get(p.name))):
            name = piece.population.name
            if name == failed:
                continue
            alone = name in apart and name != begun
            begun = name
            if name not in apart and self._on_earlier_core(open_cores, piece, caps):
                continue
            start, guess, before, cuts = 0, 0, None, list[int]()
            while start < piece.size:
                if cores and cores[-1].slices and start == 0 and (alone or not self._admits(cores[-1], piece)):
                    if not alone:
                        open_cores.append(cores[-1])
                    cores.append(OpenCore())
                if not cores:
                    cores.append(OpenCore())
                core = cores[-1]
                first = not core.slices
                if first and not guess:
                    key = piece, start, caps.get(name)
                    if key in self.cuts:
                        for stop in self.cuts[key]:
                            cores[-1].add(Slice(piece, start, stop))
                            start = stop
                            if stop < piece.size:
                                cores.append(OpenCore())
                        break
                    cuts = self.cuts[key] = []
                count = self._largest(core, piece, start, caps.get(name), guess, before)
                if count == 0 and first:
                    violations.append(self._single_violation(piece, start))
                    failed = name
                    break
                if count:
                    core.add(Slice(piece, start, start + count))
                    start += count
                    cuts.append(start)
                    guess = count if first else 0
                    before = self.use(core.slices) if first else None
                if start < piece.size:
                    cores.append(OpenCore())
        limit = self.spec.limit("chips") * self.spec.limit("cores_per_chip")
        used = [core for core in cores if core.slices]
        if not violations and len(used) > limit:
            violations.append(cores_violation(self.network, self.spec, len(used), limit))
        return used, violations

    def _admits(self, core: OpenCore, piece: Piece) -> bool:
        """Return whether the profiles of a core and of a piece fit one core."""
        return (
            len(core.thresholds | piece.thresholds) <= self.spec.limit("threshold_profiles")
            and len(core.decays | piece.decays) <= self.spec.limit("decay_profiles")
        )  # fmt: skip

    def _on_earlier_core(self, open_cores: list[OpenCore], piece: Piece, caps: Mapping[str, int]) -> bool:
        """Put a whole piece on the first open core that holds it; one that is too full for it, axons or synapses, is closed."""
        name, whole = piece.population.name, Slice(piece, 0, piece.size)
        for core in open_cores[-MOST_OPEN_CORES:]:
            if not self._admits(core, piece) or core.compartments + whole.compartments > self.spec.limit("neurons"):
                continue
            if name in caps and core.neurons_of(name) + piece.size > caps[name]:
                continue
            if self.use([*core.slices, whole]).broken is None:
                core.add(whole)
                return True
            open_cores.remove(core)
        return False

    def _largest(self, core: OpenCore, piece: Piece, start: int, cap: int | None, guess: int, before: Use | None) -> int:
        """Return how many further neurons of a piece the core can take: whole units, unless an empty core cannot hold one."""
        p = piece.population
        room = min(piece.size - start, (self.spec.limit("neurons") - core.compartments) // p.compartments)
        if cap is not None:
            room = min(room, cap - core.neurons_of(p.name))
        if not self._admits(core, piece):
            return 0
        for unit in (piece.tile, piece.unit):
            if unit > 1 and (piece, unit) not in self.parted:
                count = self._searched(core, piece, start, room, guess, before, unit)
                if count or core.slices:
                    return count
                self.parted.add((piece, unit))
        return self._searched(core, piece, start, room, guess, before, 1)

    def _searched(self, core: OpenCore, piece: Piece, start: int, room: int, guess: int, before: Use | None, unit: int) -> int:
        """Return the largest multiple of ``unit`` neurons up to ``room`` that fits.

        What a slice needs grows with its size, so the answer lies between one that fits and one that does not. The first trial
        is ``guess``, the slice of the core before, as cores of a large population are alike: if it fits it is the answer,
        unless much room is left, and more than in the core ``before``, where more was tried. Without a guess the synapse counts
        give the first trial. A trial says by how much it fails or could grow.
        """
        fits, fails, step, failures = 0, max(room, 0) // unit + 1, 1, 0
        count = (min(guess, room) if guess else self._estimate(core, piece, start, room)) // unit
        while fails - fits > 1:
            count = min(max(count, fits + 1), fails - 1)
            use = self.use([*core.slices, Slice(piece, start, start + count * unit)])
            if use.broken is None:
                fits = count
                grown = min([4 * count, *(count * use.limits[name] // max(n, 1) for name, n in use.needs.items())])
                if guess and (grown < fits + max(1, fits // WORTH_GROWING) or _as_full(use, before, count * unit == guess)):
                    break
                count, step = max(grown, fits + step) if not failures else (fits + fails) // 2, 2 * step
            else:
                fails, failures = count, failures + 1
                count = count * use.limits[use.broken] // use.needs[use.broken]
                if failures > 2 or not fits < count < fails:
                    count = (fits + fails) // 2
        return fits * unit

    def _estimate(self, core: OpenCore, piece: Piece, start: int, room: int) -> int:
        """Return for how many neurons the synapse memory would last if no row were shared and no weight were 0."""
        if piece not in self.bits:
            bits = np.zeros(piece.population.size, np.int64)
            for q in self.needs.into[piece.population.name]:
                bits += self.network.synapse_counts(q) * q.weight_bits
            self.bits[piece] = running_sum(bits[piece.neurons])
        bits = self.bits[piece]
        left = self.spec.limit("synapse_words") - (self.use(core.slices).needs["synapse_words"] if core.slices else 0)
        return min(room, int(np.searchsorted(bits, bits[start] + left * WORD, side="right")) - 1 - start)

    def use(self, slices: Sequence[Slice]) -> Use:
        """Return what slices need of a core: first what counts alone tell, then, exactly, the rows."""
        key = tuple(slices)
        if key not in self.uses:
            self.uses[key] = self.needs.of(_held(key))
        return self.uses[key]

    def _single_violation(self, piece: Piece, start: int) -> Violation:
        """Explain why one neuron alone does not fit an empty core."""
        p, spec = piece.population, self.spec
        use = self.use([Slice(piece, start, start + 1)])
        assert use.broken is not None
        name, actual, limit = use.broken, use.needs[use.broken], use.limits[use.broken]
        code, what, hint = SINGLE[name]
        subject = f"{p.name}[{int(piece.neurons[start])}]"
        message = f"neuron '{subject}' alone needs {actual} of {limit} {what} of a {spec.name} core"
        if p.compartments > 1 and name in ("neurons", "decay_profiles"):
            message += ", one of them for its reset by subtraction"
        return Violation(code, subject, message, actual, limit, spec.limit_text(name), hint, origin=p.origin)


_LOWER_FAN_IN = "lower its fan-in, or use a target with a larger core"
SINGLE: Mapping[str, tuple[str, str, str]] = {
    "neurons": ("NC0407", "compartments", "write 'reset: zero', or use a target with a larger core"),
    "decay_profiles": ("NC0406", "decay profiles", "write 'reset: zero', or use a target with more profiles"),
    "threshold_profiles": ("NC0406", "threshold profiles", "use a target with more profiles"),
    "input_axons": ("NC0412", "input axons", _LOWER_FAN_IN),
    "synapse_words": ("NC0402", "synapse words", _LOWER_FAN_IN),
    "synapse_formats": ("NC0408", "synapse formats", "let its projections share sign, exponent, weight bits and delay range"),
    "delay_address_bits": ("NC0409", "compartments that its delays leave", "shorten its delays"),
}
"""Limit that a single neuron breaks -> code, what it needs in words, hint."""


def cores_violation(network: IntegerNetwork, spec: HardwareSpec, cores: int, limit: int) -> Violation:
    message = f"'{network.name}' needs {cores} cores; {spec.name} has {limit}"
    source = f"{spec.limit_text('cores_per_chip')}; {spec.limit_text('chips')}"
    hint = "use a target with more chips or cores, or a smaller network"
    return Violation("NC0401", network.name, message, cores, limit, source, hint)


def _fan_out_violation(p: IntegerPopulation, fan_out: int, spec: HardwareSpec) -> Violation:
    limit, source = spec.limit("output_axons"), spec.limit_text("output_axons")
    message = f"a neuron of '{p.name}' sends to {fan_out} cores; {spec.name} has {limit} output axons per core"
    return Violation("NC0405", p.name, message, fan_out, limit, source, "lower its fan-out", origin=p.origin)


# Messages


def fan_outs(network: IntegerNetwork, uses: Sequence[Use]) -> dict[str, IntArray]:
    """Return to how many cores each neuron sends, (n,) per population: one input axon on each."""
    fan_out = {p.name: np.zeros(p.size, np.int64) for p in network.populations.values() if not p.is_input}
    found = senders(network, uses)
    times = Counter(id(neurons) for _, _, neurons in found)
    for name, neurons in {id(neurons): (name, neurons) for _, name, neurons in found}.values():
        fan_out[name][neurons] += times[id(neurons)]
    return fan_out


def senders(network: IntegerNetwork, uses: Sequence[Use]) -> list[tuple[int, str, IntArray]]:
    """Return (core, population, its neurons with an axon there) for all populations that are not inputs.

    Cores with the same array of axons, as those of dense layers have, share the lists made of it.
    """
    names = list(network.populations)
    found = []
    known: dict[int, list[tuple[int, IntArray]]] = {}
    for index, use in enumerate(uses):
        if id(use.axon_neuron) not in known:
            known[id(use.axon_neuron)] = axons_by_population(use)
        for population, neurons in known[id(use.axon_neuron)]:
            if not network.populations[names[population]].is_input:
                found.append((index, names[population], neurons))
    return found


def _output_overflow(
    network: IntegerNetwork, spec: HardwareSpec, cores: Sequence[OpenCore], uses: Sequence[Use], apart: Set[str]
) -> dict[str, tuple[int, int]]:
    """Return population -> (neurons per core that keep its output axons, largest fan-out) where a core has too many.

    0 neurons: the population, the last one of a core that several share, has to begin on another core.
    """
    fan_out = fan_outs(network, uses)
    result: dict[str, tuple[int, int]] = {}
    limit = spec.limit("output_axons")
    for core in cores:
        of = {
            name: np.concatenate([fan_out[name][s.neurons] for s in core.slices if s.population == name])
            for name in dict.fromkeys(s.population for s in core.slices)
        }
        if sum(int(values.sum()) for values in of.values()) <= limit:
            continue
        worst = max(of, key=lambda name: int(of[name].max()))
        worst_out = int(of[worst].max())
        last = core.slices[-1].population
        if len(of) > 1 and worst_out <= limit and last not in apart:
            result.setdefault(last, (0, worst_out))
        else:
            cap = min(limit // worst_out, len(of[worst]) - 1)
            result[worst] = (min(cap, result.get(worst, (cap, 0))[0]), worst_out)
    return result


def cores_of(network: IntegerNetwork, held: Sequence[Held]) -> dict[str, IntArray]:
    """Return the core of every neuron, (n,) per population."""
    core_of = {p.name: np.full(p.size, -1, np.int64) for p in network.populations.values() if not p.is_input}
    for index, of in enumerate(held):
        for name, neurons in of:
            core_of[name][neurons] = index
    return core_of
