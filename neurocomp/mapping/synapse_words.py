"""What synapses cost: the rows of a core's synapse memory, and their 64-bit words by the two published formulas.

A row holds the synapses of one source neuron on one core, one block per projection. The same `CoreRows` is priced here and
encoded by a backend, whose bytes must have exactly the length that the formula says. docs/loihi-program.md shows the layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.fixedpoint import running_sum, shifted, to_field
from neurocomp.hardware import MOST_DELAY_BITS, SYNAPSE_COSTS, HardwareSpec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.quantized import IntegerNetwork, IntegerProjection, SignMode, weight_shift
from neurocomp.models.patterns import PATTERNS, Shape, size_of

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
NENGO_LOIHI_SYNAPSES_PER_ENTRY = 64


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

    @property
    def synapse_bits(self) -> int:
        """Bits of one synapse."""
        return self.weight_bits + self.delay_bits + (self.index_bits if self.sparse else 0)

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
    formats: tuple[RowFormat, ...]
    """In order of first use; ids count from 1."""
    row_start: IntArray
    """First block of each row, (rows + 1,)."""
    block_format: IntArray
    """Index into ``formats``, (blocks,)."""
    block_start: IntArray
    """First synapse of each block, (blocks + 1,)."""
    index: IntArray
    """Compartment, (synapses,)."""
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

    @property
    def axon_synapses(self) -> IntArray:
        """Stored synapses that a spike of each axon visits, (axons,)."""
        return np.asarray(np.diff(self.block_start[self.row_start])[self.axon_row])

    @property
    def axon_sops(self) -> IntArray:
        """Those of them whose weight is not zero, (axons,)."""
        return np.asarray(np.diff(running_sum(self.weight != 0)[self.block_start[self.row_start]])[self.axon_row])


def rows_of_core(network: IntegerNetwork, members: Members, spec: HardwareSpec) -> CoreRows:
    """Return the rows that a core with these neurons stores.

    For each row and projection the cheaper of two layouts is taken, a dense run on ties: a run from the first to the last
    compartment that the row reaches, or an index per synapse whose weight is not zero.

    Args:
        network: A lowered network: every delay is at least 1.
        members: Neurons and compartments of the core; (n,) each.
        spec: Its ``synapse_cost`` decides which layout is cheaper.
    """
    compartments = 1 + max((int(slots.max()) for _, _, slots in members if len(slots)), default=-1)
    per_entry = min(spec.limit("synapses_per_entry"), 1 << COUNT_BITS)
    index_bits = index_bits_of(compartments)
    position = {name: index for index, name in enumerate(network.populations)}
    formats: dict[RowFormat, int] = {}
    parts: list[_Blocks] = []
    for order, q in enumerate(network.projections):
        own = [(neurons, slots) for name, neurons, slots in members if name == q.target]
        if not own:
            continue
        table = _projection_table(q, *network.shapes(q))
        found = _gather(table, np.concatenate([neurons for neurons, _ in own]), np.concatenate([slots for _, slots in own]))
        if len(found[0]):
            place = position[q.source], order
            parts.append(_blocks(table, found, place, index_bits, formats, spec.synapse_cost, per_entry))
    return _assemble(parts, tuple(formats), spec.synapse_cost, per_entry, compartments)


def members_of(mapped: MappedNetwork, core: int) -> Members:
    """Return what a core holds, in the order of the network; ``core`` is its index in `MappedNetwork.cores`."""
    members = []
    for name in mapped.population_names:
        place = mapped.placements.get(name)
        neurons = np.flatnonzero(place.core == core) if place is not None else np.zeros(0, np.int64)
        if place is not None and len(neurons):
            members.append((name, neurons, place.slot[neurons]))
    return members


def words_by_formula(mapped: MappedNetwork, spec: HardwareSpec) -> dict[str, int]:
    """Return the words of all cores by each published formula; the spec's ``synapse_cost`` says which binds.

    A target without rows of synapses has the words of its weights alone.
    """
    if not spec.stores_rows:
        return {spec.synapse_cost: sum(core.synapse_words for core in mapped.cores)}
    network = mapped.lowered.network
    rows = [rows_of_core(network, members_of(mapped, core), spec) for core in range(len(mapped.cores))]
    return {formula: sum(r.words_by(formula) for r in rows) for formula in SYNAPSE_COSTS}


# From a projection to blocks


@dataclass(frozen=True, slots=True, eq=False)
class _ProjectionTable:
    """The synapses of a projection sorted by target, and what they have in common."""

    start: IntArray
    """First synapse of each target, (n_target + 1,)."""
    source: Array
    weight: Array
    """Fields as stored."""
    delay: Array
    """Stored delays, (synapses,) or (1,)."""
    sign_mode: SignMode
    weight_bits: int
    exponent: int
    delay_bits: int


@lru_cache(maxsize=64)
def _projection_table(q: IntegerProjection, source: Shape, target: Shape) -> _ProjectionTable:
    """Return the table of a projection; kept, as a mapper asks for many trial cores of the same network."""
    weight_bits = field_width(q.weight_bits, WEIGHT_BITS)
    shift = weight_shift(q.sign_mode, weight_bits)
    values = q.weights if q.sign_mode != "inhibitory" else -q.weights
    stored = shifted(values, -shift)
    fields = to_field(stored, weight_bits)
    span = 1 << weight_bits
    low, high = (-(span >> 1), (span >> 1) - 1) if q.sign_mode == "mixed" else (0, span - 1)
    if q.mantissa.size and not ((stored << shift == values).all() and low <= stored.min() <= stored.max() <= high):
        raise broken_invariant("map", f"the weights of '{q.name}' are whole numbers of {weight_bits} bits")
    delay = q.delay - 1
    largest = int(delay.max(initial=0))
    if delay.size and not 0 <= int(delay.min()) <= largest < 1 << DELAY_BITS[-1]:
        raise broken_invariant("map", f"a synapse stores the delays of '{q.name}'")

    n_source, n_target = size_of(source), size_of(target)
    synapses = PATTERNS[q.pattern.kind].synapses(q.pattern, source, target)
    by_target = np.argsort(synapses.target, kind="stable")
    slot = synapses.slot[by_target]
    count = np.bincount(synapses.target, minlength=n_target)
    return _ProjectionTable(
        start=running_sum(count),
        source=synapses.source[by_target].astype(np.uint16 if n_source <= 1 << 16 else np.int64),  # 16 bits sort fastest
        weight=fields.ravel()[slot].astype(np.uint8),
        delay=(delay.ravel()[slot] if delay.shape else delay.reshape(1)).astype(np.uint8),
        sign_mode=q.sign_mode,
        weight_bits=weight_bits,
        exponent=q.exponent,
        delay_bits=field_width(largest.bit_length(), DELAY_BITS),
    )


_Found = tuple[IntArray, IntArray, Array, Array]
"""(source, compartment, weight, delay) of synapses sorted by source, then compartment."""


def _gather(table: _ProjectionTable, neurons: IntArray, slots: IntArray) -> _Found:
    """Return the synapses onto some neurons of a core."""
    by_slot = np.argsort(slots, kind="stable")
    neurons, slots = neurons[by_slot], slots[by_slot]
    count = table.start[neurons + 1] - table.start[neurons]
    at = np.repeat(table.start[neurons] - running_sum(count)[:-1], count) + np.arange(count.sum())
    source = table.source[at]
    order = np.argsort(source, kind="stable")
    at = at[order]
    delay = table.delay[at] if table.delay.size != 1 else np.broadcast_to(table.delay, at.shape)
    return source[order].astype(np.int64), np.repeat(slots, count)[order], table.weight[at], delay


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """The blocks of one projection and the arrays of their synapses."""

    axon: IntArray
    """(population << 40) + neuron of each block's source."""
    order: int
    format: IntArray
    count: IntArray
    index: IntArray
    weight: Array
    delay: Array


def _blocks(
    table: _ProjectionTable,
    found: _Found,
    place: tuple[int, int],
    index_bits: int,
    formats: dict[RowFormat, int],
    formula: str,
    per_entry: int,
) -> _Blocks:
    """Choose dense or sparse for each source and lay its synapses out.

    ``place`` is the position of the source's population and of the projection in the network.
    """
    population, order = place
    source, slot, weight, delay = found
    change = source[1:] != source[:-1]
    first = np.flatnonzero(np.concatenate(([True], change)))
    last = np.append(first[1:], len(source)) - 1
    row = running_sum(change)
    present = weight != 0
    n_sparse = np.add.reduceat(present.astype(np.int64), first)
    n_dense = slot[last] - slot[first] + 1
    repeated = np.append(~change & (slot[1:] == slot[:-1]), False)
    single = ~np.logical_or.reduceat(repeated, first)

    common = table.sign_mode, table.weight_bits, table.exponent, table.delay_bits, index_bits
    layouts = RowFormat(*common, sparse=False), RowFormat(*common, sparse=True)
    costs = []
    for layout, n in zip(layouts, (n_dense, n_sparse), strict=True):
        bits = np.array(layout.synapse_bits), np.array(layout.header_bits)
        costs.append(nxtf_bits(n, *bits, per_entry) if formula == "nxtf" else nengo_loihi_bits(n, *bits))
    dense = single & (costs[0] <= costs[1])

    count = np.where(dense, n_dense, n_sparse)
    start = running_sum(count)
    kept = dense[row] | present
    within = np.where(dense[row], slot - slot[first][row], running_sum(present)[:-1] - running_sum(n_sparse)[row])
    at = (start[row] + within)[kept]
    total = int(start[-1])
    new_index = np.repeat(slot[first] - start[:-1], count) + np.arange(total)  # right for runs; the sparse ones follow
    new_index[at] = slot[kept]
    new_weight, new_delay = np.zeros(total, np.uint8), np.zeros(total, np.uint8)
    new_weight[at], new_delay[at] = weight[kept], delay[kept]

    ids = np.full(2, -1, np.int64)
    for which, used in enumerate(((dense & (count > 0)).any(), (~dense & (count > 0)).any())):
        if used:
            ids[which] = formats.setdefault(layouts[which], len(formats))
    return _Blocks(
        (population << 40) + source[first], order, np.where(dense, ids[0], ids[1]), count, new_index, new_weight, new_delay
    )


# From blocks to rows


def _assemble(
    parts: Sequence[_Blocks], formats: tuple[RowFormat, ...], formula: str, per_entry: int, compartments: int
) -> CoreRows:
    """Join the blocks of each source to a row and store identical rows once."""
    none = np.zeros(0, np.int64)
    axon = np.concatenate([none, *(p.axon for p in parts)])
    order = np.concatenate([none, *(np.full(len(p.axon), p.order, np.int64) for p in parts)])
    form, count = (np.concatenate([none, *(getattr(p, name) for p in parts)]) for name in ("format", "count"))
    index = np.concatenate([none, *(p.index for p in parts)])
    weight, delay = (np.concatenate([np.zeros(0, np.uint8), *(getattr(p, n) for p in parts)]) for n in ("weight", "delay"))
    begin = running_sum(count)[:-1]
    by_axon = np.lexsort((order, axon))
    keys, first = np.unique(axon[by_axon], return_index=True)
    bounds = np.append(first, len(axon))

    def content(block: int) -> tuple[int, bytes, bytes, bytes]:
        own = slice(begin[block], begin[block] + count[block])
        return int(form[block]), index[own].tobytes(), weight[own].tobytes(), delay[own].tobytes()

    seen: dict[tuple[tuple[int, bytes, bytes, bytes], ...], int] = {}
    axon_row = np.zeros(len(keys), np.int64)
    chosen: list[IntArray] = []
    row_blocks: list[int] = []
    for number in range(len(keys)):
        blocks = by_axon[bounds[number] : bounds[number + 1]]
        blocks = blocks[count[blocks] > 0]
        row = seen.setdefault(tuple(content(block) for block in blocks), len(seen))
        axon_row[number] = row
        if row == len(row_blocks):
            chosen.append(blocks)
            row_blocks.append(len(blocks))
    kept = np.concatenate([none, *chosen])
    block_start = running_sum(count[kept])
    if not np.array_equal(kept, np.arange(len(count))):
        at = np.repeat(begin[kept] - block_start[:-1], count[kept]) + np.arange(block_start[-1])
        index, weight, delay = index[at], weight[at], delay[at]
    return CoreRows(
        formula, per_entry, compartments, keys >> 40, keys & ((1 << 40) - 1), axon_row, formats,
        running_sum(np.array(row_blocks, np.int64)), form[kept], block_start,
        index, weight, delay,
    )  # fmt: skip
