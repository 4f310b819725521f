"""What synapses cost: the rows of a core's synapse memory, and their 64-bit words by the two published formulas.

A row holds the synapses of one source neuron on one core, one block per projection. The same `CoreRows` is priced here and
encoded by a backend, whose bytes must have exactly the length that the formula says. docs/loihi-program.md shows the layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.fixedpoint import mixed, running_sum, shifted, to_field
from neurocomp.hardware import MOST_DELAY_BITS, SYNAPSE_COSTS, HardwareSpec
from neurocomp.ir.mapped import MappedNetwork, by_core
from neurocomp.ir.quantized import IntegerNetwork, IntegerProjection, SignMode, weight_shift
from neurocomp.models.patterns import PATTERNS, Conv, Dense, Pattern, Sparse, size_of

Array = NDArray[Any]
IntArray = NDArray[np.int64]
Members = Sequence[tuple[str, IntArray, IntArray]]
"""What a core holds: (population, neuron indices, their compartments on the core)."""

WORD = 64
FORMAT_ID_BITS = 4
COUNT_BITS = 6
HEADER_BITS = FORMAT_ID_BITS + COUNT_BITS
WEIGHT_BITS = (0, 1, 2, 3, 4, 5, 6, 8)
INDEX_BITS = (0, 6, 7, 8, 9, 10, 11, 12)
DELAY_BITS = (0, 3, 4, 5, MOST_DELAY_BITS)
LEARNED_BITS, TAG_BITS = 1, 9
"""What a synapse that learns holds beside the 8 bits of its start weight: its sign, and the tag of rules that have one."""
NENGO_LOIHI_SYNAPSES_PER_ENTRY = 64
SYNAPSES_AT_ONCE = 1 << 22
"""Counts over whole projections work through so many synapses at a time."""


@dataclass(frozen=True, slots=True)
class RowFormat:
    """How the synapses of a block are stored: an entry of the core's synapse format table."""

    sign_mode: SignMode
    weight_bits: int
    """Bits of the weight field, one of `WEIGHT_BITS`; for mixed signs the sign is one of them."""
    exponent: int
    delay_bits: int
    index_bits: int
    sparse: bool
    """One index per synapse; else a run of compartments from a first one on, zero weights included."""

    learning: int = 0
    """Number of the rule among those of the program, from 1 on; 0: the weights stay."""
    learning_bits: int = 0
    """Bits beside the start weight that learning needs: the weight's ninth, and the tag."""

    @property
    def synapse_bits(self) -> int:
        """Bits of one synapse."""
        return self.weight_bits + self.delay_bits + self.learning_bits + (self.index_bits if self.sparse else 0)

    @property
    def header_bits(self) -> int:
        """Bits of one entry beside its synapses."""
        return HEADER_BITS + (0 if self.sparse else self.index_bits)


def field_width(needed: int, allowed: Sequence[int]) -> int:
    """Return the smallest allowed width that holds ``needed`` bits.

    >>> field_width(7, WEIGHT_BITS), field_width(1, INDEX_BITS)
    (8, 6)
    """
    return min(width for width in allowed if width >= needed)


def index_bits_of(compartments: int) -> int:
    """Return the index bits that address a core with so many compartments.

    >>> index_bits_of(1), index_bits_of(64), index_bits_of(65), index_bits_of(1024)
    (0, 6, 7, 10)
    """
    return field_width((max(compartments, 1) - 1).bit_length(), INDEX_BITS)


def nxtf_bits(synapses: IntArray, synapse_bits: IntArray, header_bits: IntArray, per_entry: int) -> IntArray:
    """Return the bits of blocks of NxTF entries: each entry of at most ``per_entry`` synapses has its own header.

    All arrays are of one shape, one element per block.
    """
    return np.asarray(-(-synapses // per_entry) * header_bits + synapses * synapse_bits)


def nxtf_words(bits: IntArray) -> IntArray:
    """Return the words of NxTF rows of so many bits: rounded up, and one more where fewer than 6 zero bits would end the row.

    >>> nxtf_words(np.array([0, 58, 59, 64, 65]))
    array([1, 1, 2, 2, 2])
    """
    rest = bits % WORD
    return np.asarray(-(-bits // WORD) + ((rest == 0) | (rest >= 59)))


def nengo_loihi_bits(synapses: IntArray, synapse_bits: IntArray, header_bits: IntArray) -> IntArray:
    """Return the bits of nengo-loihi's blocks: entries of at most 64 synapses, each rounded up to whole words.

    >>> nengo_loihi_bits(np.array([6, 7, 128]), np.array(8), np.array(10))
    array([  64,  128, 1152])
    """
    full, rest = synapses // NENGO_LOIHI_SYNAPSES_PER_ENTRY, synapses % NENGO_LOIHI_SYNAPSES_PER_ENTRY

    def rounded(count: IntArray | int) -> IntArray:
        return np.asarray(-(-(count * synapse_bits + header_bits) // WORD) * WORD)

    return np.asarray(full * rounded(NENGO_LOIHI_SYNAPSES_PER_ENTRY) + np.where(rest > 0, rounded(rest), 0))


@dataclass(frozen=True, slots=True, eq=False)
class CoreRows:
    """The input axons of a core and the distinct rows behind them.

    Rows are lists of blocks, blocks lists of synapses; ``*_start`` has one element more than there are rows or blocks.
    Axons are in canonical order: populations in the order of the network, neurons ascending.
    """

    formula: str
    per_entry: int
    """Synapses per NxTF entry."""
    compartments: int
    axon_population: IntArray
    """Index of the source's population in the network, (axons,)."""
    axon_neuron: IntArray
    axon_row: IntArray
    """Index of the row, (axons,)."""
    axon_base: IntArray
    """Compartment that is added to every index of the row, (axons,)."""
    formats: tuple[RowFormat, ...]
    """In order of first use; ids count from 1."""
    row_start: IntArray
    """First block of each row, (rows + 1,)."""
    block_format: IntArray
    """Index into ``formats``, (blocks,)."""
    block_start: IntArray
    """First synapse of each block, (blocks + 1,)."""
    index: IntArray
    """Compartment, less the base of the axon, (synapses,)."""
    weight: NDArray[np.uint8]
    """Weight field as stored."""
    delay: NDArray[np.uint8]
    """Ticks beyond the one that every hop takes."""

    def words_by(self, formula: str) -> int:
        """Return the words of all distinct rows by ``nxtf`` or ``nengo_loihi``; the blocks stay as they are."""
        return int(self.row_words(formula).sum())

    def row_words(self, formula: str) -> IntArray:
        """Return the words of each distinct row."""
        synapses = np.diff(self.block_start)
        synapse_bits = np.array([f.synapse_bits for f in self.formats], np.int64)[self.block_format]
        header_bits = np.array([f.header_bits for f in self.formats], np.int64)[self.block_format]
        if formula == "nxtf":
            bits = nxtf_bits(synapses, synapse_bits, header_bits, self.per_entry)
            return nxtf_words(np.diff(running_sum(bits)[self.row_start]))
        bits = nengo_loihi_bits(synapses, synapse_bits, header_bits)
        return np.asarray(np.diff(running_sum(bits)[self.row_start]) // WORD)

    @property
    def words(self) -> int:
        """Words of the core by the formula that binds on the target."""
        return self.words_by(self.formula)


def rows_of_core(network: IntegerNetwork, members: Members, spec: HardwareSpec) -> CoreRows:
    """Return the rows that a core with these neurons stores; time and memory grow with the synapses onto these neurons alone.

    For each row and projection the cheaper of two layouts is taken, a dense run on ties: a run from the first to the last
    compartment that the row reaches, unless reset compartments lie between, or an index per synapse whose weight is not zero.
    Indices of a row count from its smallest
    compartment, the base of its axons; rows that are then equal are stored once.

    Args:
        network: A lowered network: every delay is at least 1.
        members: Neurons and compartments of the core; (n,) each.
        spec: Its ``synapse_cost`` decides which layout is cheaper.
    """
    core = _Layout.of(network, members, spec)
    formats: dict[RowFormat, int] = {}
    parts = [_blocks(q, found, place, core, formats) for q, found, place in core.incoming(network, members)]
    return _assemble(parts, tuple(formats), core.formula, core.per_entry, core.compartments)


@dataclass(frozen=True, slots=True, eq=False)
class AxonCounts:
    """What a spike of each input axon of a core meets there, in the order of the axons of `CoreRows`; each (axons,)."""

    population: IntArray
    """Index of the source's population in the network."""
    neuron: IntArray
    synapses: IntArray
    """Stored synapses."""
    sops: IntArray
    """Those of them whose weight is not zero."""
    words: IntArray
    """Words of synapse memory that are read, by the formula that binds."""


def axon_counts(network: IntegerNetwork, members: Members, spec: HardwareSpec) -> AxonCounts:
    """Return what the rows of `rows_of_core` hold, without the rows: a third of its time."""
    core = _Layout.of(network, members, spec)
    columns: list[IntArray] = [np.zeros((4, 0), np.int64)]
    for q, found, (population, _) in core.incoming(network, members):
        weight_bits, delay_bits = _widths(q, found)
        _, _, count, bits = core.layouts(q, found, weight_bits, delay_bits)
        source = (population << 40) + found.source
        columns.append(np.stack([source.ravel(), count.ravel(), found.nonzero.ravel(), np.where(count > 0, bits, 0).ravel()]))
    axon, *amounts = np.concatenate(columns, axis=1)
    keys, owner = np.unique(axon, return_inverse=True)
    synapses, sops, bits = (np.zeros(len(keys), np.int64) for _ in amounts)
    for total, amount in zip((synapses, sops, bits), amounts, strict=True):
        np.add.at(total, owner, amount)
    words = nxtf_words(bits) if core.formula == "nxtf" else bits // WORD
    return AxonCounts(keys >> 40, keys & ((1 << 40) - 1), synapses, sops, words)


def learning_numbers(network: IntegerNetwork) -> dict[str, int]:
    """Return the number of each projection that learns, from 1 on."""
    return {q.name: number for number, q in enumerate((q for q in network.projections if q.learning is not None), 1)}


def members_of(mapped: MappedNetwork, core: int) -> Members:
    """Return what a core holds, in the order of the network; ``core`` is its index in `MappedNetwork.cores`."""
    members = []
    for name in mapped.population_names:
        place = mapped.placements.get(name)
        neurons = np.flatnonzero(place.core == core) if place is not None else np.zeros(0, np.int64)
        if place is not None and len(neurons):
            members.append((name, neurons, place.slot[neurons]))
    return members


def members_by_core(mapped: MappedNetwork) -> list[Members]:
    """Return what `members_of` returns for every core, in one pass over the neurons."""
    result: list[list[tuple[str, IntArray, IntArray]]] = [[] for _ in mapped.cores]
    for name in mapped.population_names:
        if name in mapped.placements:
            place = mapped.placements[name]
            for core, neurons in by_core(place.core):
                result[core].append((name, neurons, place.slot[neurons]))
    return list(result)


def words_by_formula(mapped: MappedNetwork, spec: HardwareSpec) -> dict[str, int]:
    """Return the words of all cores by each published formula; the spec's ``synapse_cost`` says which binds.

    A target without rows of synapses has the words of its weights alone.
    """
    if not spec.stores_rows:
        return {spec.synapse_cost: sum(core.synapse_words for core in mapped.cores)}
    words = dict.fromkeys(SYNAPSE_COSTS, 0)
    for members in members_by_core(mapped):
        rows = rows_of_core(mapped.lowered.network, members, spec)
        for formula in words:
            words[formula] += rows.words_by(formula)
    return words


def nonzero_fan_out(network: IntegerNetwork, q: IntegerProjection) -> IntArray:
    """Return how many synapses whose weight is not zero each source of a projection's pattern has, (n_source,)."""
    result = np.zeros(size_of(network.shapes(q)[0]), np.int64)
    ends = running_sum(network.synapse_counts(q))
    start, size = 0, len(ends) - 1
    while start < size:
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + SYNAPSES_AT_ONCE, side="right")) - 1)
        neurons = np.arange(start, stop)
        found = incoming(network, q, neurons, neurons)
        result[found.source] += found.nonzero
        start = stop
    return result


# From a projection to the synapses onto a core


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """The synapses of a projection onto some neurons of a core: copies of a few rows, of other sources with other weights.

    Row r of copy j belongs to ``source[j, r]`` and reaches the compartments ``slot[start[r] : start[r + 1]]``, ascending. A
    dense projection has one row, a copy per source; a convolution a copy per input channel.
    """

    source: IntArray
    """(copies, rows), each source once."""
    start: IntArray
    """(rows + 1,)"""
    slot: IntArray
    """(synapses of a copy,)"""
    mantissa: Array
    """(copies, synapses of a copy)"""
    delay: Array
    """0-d, or as the mantissa."""

    @property
    def nonzero(self) -> IntArray:
        """Synapses whose weight is not zero, (copies, rows); no row is empty."""
        if self.source.shape[1] == 1:
            return np.asarray(np.count_nonzero(self.mantissa, axis=1)).reshape(-1, 1)
        present = (self.mantissa != 0).view(np.uint8)
        return np.asarray(np.add.reduceat(present, self.start[:-1], axis=1, dtype=np.int64))


def by_population(members: Members) -> dict[str, tuple[IntArray, IntArray]]:
    """Return population -> its neurons and their compartments, which ascend."""
    result: dict[str, tuple[IntArray, IntArray]] = {}
    for name in dict.fromkeys(name for name, neurons, _ in members if len(neurons)):
        neurons, slots = (np.concatenate([m[part] for m in members if m[0] == name]) for part in (1, 2))
        if (slots[1:] < slots[:-1]).any():
            by_slot = np.argsort(slots, kind="stable")
            neurons, slots = neurons[by_slot], slots[by_slot]
        result[name] = neurons, slots
    return result


def incoming(network: IntegerNetwork, q: IntegerProjection, neurons: IntArray, slots: IntArray) -> Incoming:
    """Return the synapses of a projection onto some neurons whose compartments ascend."""
    read = _READERS.get(type(PATTERNS[q.pattern.kind]), _from_synapses)
    return read(network, q, neurons, slots)


def _from_dense(network: IntegerNetwork, q: IntegerProjection, neurons: IntArray, slots: IntArray) -> Incoming:
    run = len(neurons) > 0 and bool((np.diff(neurons) == 1).all())
    rows = slice(int(neurons[0]), int(neurons[0]) + len(neurons)) if run else neurons
    source = np.arange(q.mantissa.shape[1])[:, None]
    delay = q.delay[rows].T if q.delay.shape else q.delay
    return Incoming(source, np.array([0, len(slots)]), slots, q.mantissa[rows].T, delay)


def _from_convolution(network: IntegerNetwork, q: IntegerProjection, neurons: IntArray, slots: IntArray) -> Incoming:
    """One copy per input channel of a group: all of them reach the same places."""
    kind = PATTERNS[q.pattern.kind]
    assert isinstance(kind, Conv)
    source, target = network.shapes(q)
    channels, inner, *kernel = q.mantissa.shape
    positions, n_place = size_of(tuple(kernel)), size_of(source[1:])
    channel, place = np.divmod(neurons, size_of(target[1:]))
    places, which = np.unique(place, return_inverse=True)
    flat, inside = kind.geometry(q.pattern).inputs(source[1:], np.stack(np.unravel_index(places, target[1:]), axis=1))
    neuron, position = np.nonzero(inside[which])
    group = channel * q.pattern.options["groups"][0] // channels
    key = group[neuron] * n_place + flat[which[neuron], position]
    order = _stable_order(key)
    key = key[order]
    first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1]))) if len(key) else np.zeros(0, np.int64)
    at = (channel[neuron] * positions + position)[order]

    def of(values: Array) -> Array:
        return np.take(np.moveaxis(values.reshape(channels, inner, positions), 1, 0).reshape(inner, -1), at, axis=1)

    group_of, place_of = np.divmod(key[first], n_place)
    sources = (group_of * inner + np.arange(inner)[:, None]) * n_place + place_of
    delay = of(q.delay) if q.delay.shape else q.delay
    return Incoming(sources, np.append(first, len(key)), slots[neuron[order]], of(q.mantissa), delay)


def _from_list(network: IntegerNetwork, q: IntegerProjection, neurons: IntArray, slots: IntArray) -> Incoming:
    order, start = _by_target(q.pattern, network.populations[q.target].size)
    count = start[neurons + 1] - start[neurons]
    at = order[np.repeat(start[neurons] - running_sum(count)[:-1], count) + np.arange(count.sum())]
    source = q.pattern.arrays["sources"][at]
    by_source = _stable_order(source)
    return _rows_by_source(q, source[by_source], np.repeat(slots, count)[by_source], at[by_source])


@lru_cache(maxsize=16)
def _by_target(pattern: Pattern, n_target: int) -> tuple[IntArray, IntArray]:
    """Return the synapses of a list by target, and where each target begins; kept, as all cores of a network need the same."""
    targets = pattern.arrays["targets"]
    return _stable_order(targets), running_sum(np.bincount(targets, minlength=n_target))


def _from_synapses(network: IntegerNetwork, q: IntegerProjection, neurons: IntArray, slots: IntArray) -> Incoming:
    """Any pattern can list its synapses."""
    found = network.synapses(q, neurons)
    by_neuron = np.argsort(neurons, kind="stable")
    slot = slots[by_neuron][np.searchsorted(neurons[by_neuron], found.target)]
    if (neurons[1:] < neurons[:-1]).any():
        order = np.lexsort((slot, found.source))
        return _rows_by_source(q, found.source[order], slot[order], found.slot[order])
    return _rows_by_source(q, found.source, slot, found.slot)


def _rows_by_source(q: IntegerProjection, source: IntArray, slot: IntArray, at: IntArray) -> Incoming:
    """Return a single copy of synapses that are sorted by source, then compartment; ``at`` is their place in the weights."""
    first = np.flatnonzero(np.concatenate(([True], source[1:] != source[:-1]))) if len(source) else np.zeros(0, np.int64)
    delay = q.delay.reshape(-1)[at][None] if q.delay.shape else q.delay
    start = np.append(first, len(source))
    return Incoming(source[first][None].astype(np.int64), start, slot, q.mantissa.reshape(-1)[at][None], delay)


def _stable_order(keys: IntArray) -> IntArray:
    """Return a stable sorting order of keys >= 0."""
    small = len(keys) > 0 and int(keys.max()) < 1 << 16
    return np.argsort(keys.astype(np.uint16) if small else keys, kind="stable")  # 16 bits sort fastest


_READERS = {Dense: _from_dense, Conv: _from_convolution, Sparse: _from_list}


# From synapses to blocks


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """The blocks of one projection and the arrays of their synapses."""

    axon: IntArray
    """(population << 40) + neuron of each block's source."""
    order: int
    format: IntArray
    count: IntArray
    index: IntArray
    weight: NDArray[np.uint8]
    delay: NDArray[np.uint8]
    learns: bool


def stored_weights(q: IntegerProjection, mantissa: Array, weight_bits: int) -> NDArray[np.uint8]:
    """Return the weight fields of some mantissas of a projection."""
    shift = q.shift - weight_shift(q.sign_mode, weight_bits)
    span = 1 << weight_bits
    low, high = (-(span >> 1), (span >> 1) - 1) if q.sign_mode == "mixed" else (0, span - 1)
    kind = np.iinfo(mantissa.dtype)
    if shift == 0 and mantissa.dtype.itemsize == 1 and low <= kind.min and kind.max <= high:
        return np.ascontiguousarray(mantissa).view(np.uint8)
    values = mantissa.astype(np.int64)
    stored = shifted(values, shift)
    if stored.size and not (
        low <= int(stored.min()) <= int(stored.max()) <= high and (shifted(stored, -shift) == values).all()
    ):
        raise broken_invariant("map", f"the weights of '{q.name}' are whole numbers of {weight_bits} bits")
    return to_field(stored, weight_bits).astype(np.uint8)


def stored_delays(q: IntegerProjection, delay: Array) -> NDArray[np.uint8]:
    """Return the delay fields of some delays of a projection."""
    if delay.size and not 1 <= int(delay.min()) <= int(delay.max()) <= 1 << DELAY_BITS[-1]:
        raise broken_invariant("map", f"a synapse stores the delays of '{q.name}'")
    return np.asarray(delay - 1).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """What decides how synapses onto a core are laid out."""

    formula: str
    per_entry: int
    compartments: int
    index_bits: int
    no_neurons: IntArray
    """How many of the first 0, 1, … compartments are no neurons, (compartments + 1,)."""
    lessons: Mapping[str, int]
    """The numbers of the projections that learn."""

    @classmethod
    def of(cls, network: IntegerNetwork, members: Members, spec: HardwareSpec) -> _Layout:
        """Look at what a core holds."""
        width = {name: network.populations[name].compartments for name, _, _ in members}
        compartments = max((int(slots.max()) + width[name] for name, _, slots in members if len(slots)), default=0)
        no_neuron = np.zeros(compartments, np.int64)
        for name, _, slots in members:
            for behind in range(1, width[name]):
                no_neuron[slots + behind] = 1
        per_entry = min(spec.limit("synapses_per_entry"), 1 << COUNT_BITS)
        index_bits, lessons = index_bits_of(compartments), learning_numbers(network)
        return cls(spec.synapse_cost, per_entry, compartments, index_bits, running_sum(no_neuron), lessons)

    def incoming(
        self, network: IntegerNetwork, members: Members
    ) -> Iterator[tuple[IntegerProjection, Incoming, tuple[int, int]]]:
        """Yield projections with their synapses onto the core, and the positions of source and projection in the network."""
        position = {name: index for index, name in enumerate(network.populations)}
        here = by_population(members)
        for order, q in enumerate(network.projections):
            if q.target in here:
                found = incoming(network, q, *here[q.target])
                if found.source.size:
                    yield q, found, (position[q.source], order)

    def layouts(
        self, q: IntegerProjection, found: Incoming, weight_bits: int, delay_bits: int
    ) -> tuple[tuple[RowFormat, RowFormat], NDArray[np.bool_], IntArray, IntArray]:
        """Return both formats of a projection and, for each source, whether dense is chosen, synapses and bits that are stored.

        The last three have the shape (copies, rows).
        """
        first, last, slot = found.start[:-1], found.start[1:] - 1, found.slot
        n_sparse, n_dense = found.nonzero, slot[last] - slot[first] + 1
        repeated = np.zeros(len(slot), np.bool_)
        repeated[1:] = slot[1:] == slot[:-1]
        repeated[first] = False
        run = ~np.logical_or.reduceat(repeated, first) & (self.no_neurons[slot[last]] == self.no_neurons[slot[first]])
        lesson, extra = 0, 0
        if q.learning is not None:  # weights of 0 may grow: all are stored, in runs without gaps or in lists
            lesson, extra = self.lessons[q.name], LEARNED_BITS + (TAG_BITS if q.learning.tags else 0)
            n_sparse = np.broadcast_to(np.diff(found.start), n_sparse.shape)
            run = run & (n_dense == np.diff(found.start))
        common = q.sign_mode, weight_bits, q.exponent, delay_bits, self.index_bits
        layouts = RowFormat(*common, False, lesson, extra), RowFormat(*common, True, lesson, extra)
        costs = []
        for layout, n in zip(layouts, (n_dense, n_sparse), strict=True):
            bits = np.array(layout.synapse_bits), np.array(layout.header_bits)
            costs.append(nxtf_bits(n, *bits, self.per_entry) if self.formula == "nxtf" else nengo_loihi_bits(n, *bits))
        dense = run & (costs[0] <= costs[1])
        return layouts, dense, np.where(dense, n_dense, n_sparse), np.where(dense, costs[0], costs[1])


def _widths(q: IntegerProjection, found: Incoming) -> tuple[int, int]:
    """Return the bits of weight and delay of a projection's synapses onto a core."""
    most = int(stored_delays(q, found.delay).max(initial=0))
    return field_width(q.weight_bits, WEIGHT_BITS), field_width(most.bit_length(), DELAY_BITS)


def _blocks(
    q: IntegerProjection, found: Incoming, place: tuple[int, int], core: _Layout, formats: dict[RowFormat, int]
) -> _Blocks:
    """Choose dense or sparse for each source and lay its synapses out.

    ``place`` is the position of the source's population and of the projection in the network.
    """
    population, order = place
    copies = len(found.source)
    weight_bits, delay_bits = _widths(q, found)
    weight, delay = stored_weights(q, found.mantissa, weight_bits), stored_delays(q, found.delay)
    layouts, dense, count, _ = core.layouts(q, found, weight_bits, delay_bits)
    slot, n_stored, n_sparse = found.slot, np.diff(found.start), found.nonzero

    if (count == n_stored).all():  # runs without gaps, lists without zeros: the arrays are what is stored
        index, weight = np.tile(slot, copies), weight.reshape(-1)
        delay = np.broadcast_to(delay, found.mantissa.shape).reshape(-1)
    else:
        index, weight, delay = _with_gaps(found, weight, delay, dense.reshape(-1), count.reshape(-1), n_sparse.reshape(-1))
    ids = np.full(2, -1, np.int64)
    for which, used in enumerate(((dense & (count > 0)).any(), (~dense & (count > 0)).any())):
        if used:
            ids[which] = formats.setdefault(layouts[which], len(formats))
    form = np.where(dense, ids[0], ids[1]).reshape(-1)
    axon = (population << 40) + found.source.reshape(-1)
    return _Blocks(axon, order, form, count.reshape(-1), index, weight, delay, q.learning is not None)


def _with_gaps(
    found: Incoming, weight: Array, delay: Array, dense: NDArray[np.bool_], count: IntArray, n_sparse: IntArray
) -> tuple[IntArray, NDArray[np.uint8], NDArray[np.uint8]]:
    """Return index, weight and delay of what is stored: runs with zeros in their gaps, lists without zeros."""
    copies, rows = found.source.shape
    row = np.repeat(np.arange(copies * rows), np.tile(np.diff(found.start), copies))
    slot, first = np.tile(found.slot, copies), np.tile(found.slot[found.start[:-1]], copies)
    present = weight.reshape(-1) != 0
    start, in_run = running_sum(count), dense[row]
    kept = in_run | present
    within = np.where(in_run, slot - first[row], running_sum(present)[:-1] - running_sum(n_sparse)[row])
    at = (start[row] + within)[kept]
    total = int(start[-1])
    index = np.repeat(first - start[:-1], count) + np.arange(total)  # right for runs; the sparse ones follow
    index[at] = slot[kept]
    new_weight, new_delay = np.zeros(total, np.uint8), np.zeros(total, np.uint8)
    new_weight[at] = weight.reshape(-1)[kept]
    new_delay[at] = np.broadcast_to(delay, found.mantissa.shape).reshape(-1)[kept] if delay.ndim else delay
    return index, new_weight, new_delay


# From blocks to rows


def _assemble(
    parts: Sequence[_Blocks], formats: tuple[RowFormat, ...], formula: str, per_entry: int, compartments: int
) -> CoreRows:
    """Join the blocks of each source to a row, count its indices from its base, and store identical rows once."""
    none, nothing = np.zeros(0, np.int64), np.zeros(0, np.uint8)
    axon = np.concatenate([none, *(p.axon for p in parts)])
    order = np.concatenate([none, *(np.full(len(p.axon), p.order, np.int64) for p in parts)])
    form, count = (np.concatenate([none, *(getattr(p, name) for p in parts)]) for name in ("format", "count"))
    index = np.concatenate([none, *(p.index for p in parts)])
    weight, delay = (np.concatenate([nothing, *(getattr(p, name) for p in parts)]) for name in ("weight", "delay"))
    keys, owner = np.unique(axon, return_inverse=True)
    blocks = np.lexsort((order, owner))
    blocks = blocks[count[blocks] > 0]
    begin = running_sum(count)[:-1]

    base = np.full(len(keys), compartments, np.int64)
    np.minimum.at(base, owner[blocks], index[begin[blocks]])
    base[base == compartments] = 0  # rows without synapses
    index = index - np.repeat(base[owner], count)
    content = (index << 16) | (weight.astype(np.int64) << 8) | delay
    if any(p.learns for p in parts):  # a row that learns is no one else's, whatever it starts with
        learns = np.concatenate([np.full(len(p.axon), p.learns) for p in parts])
        content |= np.repeat(np.where(learns, owner + 1, 0), count) << 32

    lists = _Lists(
        running_sum(np.bincount(owner[blocks], minlength=len(keys))), form[blocks], begin[blocks], count[blocks], content
    )
    axon_row, chosen = lists.distinct()
    n_blocks = np.diff(lists.start)[chosen]
    kept = blocks[_ranges(lists.start[chosen], n_blocks)]
    block_start = running_sum(count[kept])
    if int(block_start[-1]) < len(index) or (np.diff(kept) < 0).any():
        at = _ranges(begin[kept], count[kept])
        index, weight, delay = index[at], weight[at], delay[at]
    return CoreRows(
        formula, per_entry, compartments, keys >> 40, keys & ((1 << 40) - 1), axon_row, base, formats,
        running_sum(n_blocks), form[kept], block_start,
        index, weight, delay,
    )  # fmt: skip


def _ranges(first: IntArray, count: IntArray) -> IntArray:
    """Return ``first[i] .. first[i] + count[i] - 1`` of all i, one after the other."""
    start = running_sum(count)
    return np.asarray(np.repeat(first - start[:-1], count) + np.arange(start[-1]))


@dataclass(frozen=True, slots=True, eq=False)
class _Lists:
    """Rows as lists of blocks that are not empty: ``start`` (rows + 1,), the others (blocks,), ``content`` per synapse."""

    start: IntArray
    format: IntArray
    begin: IntArray
    count: IntArray
    content: IntArray

    def distinct(self) -> tuple[IntArray, IntArray]:
        """Return the number of each row's content, (rows,), in order of first use, and the first row of each content."""
        _, first, group = np.unique(self.digests(), return_index=True, return_inverse=True)
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        number, chosen = rank[group], np.sort(first)
        return (number, chosen) if self.equal(np.arange(len(number)), chosen[number]) else self.distinct_by_content()

    def digests(self) -> NDArray[np.uint64]:
        """Return a number per row that equal rows share, and others hardly ever."""
        longest = max(int(self.count.max(initial=0)), int(np.diff(self.start).max(initial=0)))
        factor = mixed(np.arange(2, longest + 2, dtype=np.uint64))
        # In the order of the memory, so that the sums of blocks are sums of neighbours.
        by_begin = np.argsort(self.begin, kind="stable")
        count = self.count[by_begin]
        position = np.arange(count.sum()) - np.repeat(running_sum(count)[:-1], count)
        terms = (self.content.view(np.uint64) + np.uint64(1)) * factor[position]
        sums = np.zeros(len(count), np.uint64)
        if len(count):
            sums[by_begin] = np.add.reduceat(terms, self.begin[by_begin])
        sums = mixed(sums + mixed((self.format << 32 | self.count).view(np.uint64)))
        n_blocks = np.diff(self.start)
        sums *= factor[np.arange(len(sums)) - np.repeat(self.start[:-1], n_blocks)]
        result = np.zeros(len(n_blocks), np.uint64)
        if len(sums):
            result[n_blocks > 0] = np.add.reduceat(sums, self.start[:-1][n_blocks > 0])
        return result

    def equal(self, rows: IntArray, others: IntArray) -> bool:
        """Return whether each row holds what the other one of the pair holds."""
        pairs = rows != others
        rows, others = rows[pairs], others[pairs]
        n_blocks = np.diff(self.start)
        if not np.array_equal(n_blocks[rows], n_blocks[others]):
            return False
        a, b = _ranges(self.start[rows], n_blocks[rows]), _ranges(self.start[others], n_blocks[others])
        if not (np.array_equal(self.format[a], self.format[b]) and np.array_equal(self.count[a], self.count[b])):
            return False
        return np.array_equal(
            self.content[_ranges(self.begin[a], self.count[a])], self.content[_ranges(self.begin[b], self.count[b])]
        )

    def distinct_by_content(self) -> tuple[IntArray, IntArray]:
        """Do what `distinct` does, row by row: where two contents share a digest."""
        seen: dict[tuple[tuple[int, bytes], ...], int] = {}
        number = np.zeros(len(self.start) - 1, np.int64)
        chosen: list[int] = []
        for row in range(len(number)):
            blocks = range(int(self.start[row]), int(self.start[row + 1]))
            content = tuple(
                (int(self.format[b]), self.content[self.begin[b] : self.begin[b] + self.count[b]].tobytes()) for b in blocks
            )
            number[row] = seen.setdefault(content, len(seen))
            if number[row] == len(chosen):
                chosen.append(row)
        return number, np.array(chosen, np.int64)
