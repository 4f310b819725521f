"""The bytes of a Loihi program: bit layouts, encoding and decoding. docs/loihi-program.md draws them.

Everything is little-endian; bit 0 is the lowest. The chip simulation reads programs through this module alone, so it imports
nothing of the compiler's stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import ArtifactError, Diagnostic, broken_invariant
from neurocomp.fixedpoint import from_field, running_sum, shifted, to_field
from neurocomp.ir.program import CoreTables, Program

Array = NDArray[Any]
IntArray = NDArray[np.int64]
ByteArray = NDArray[np.uint8]
WordArray = NDArray[np.uint64]

PROGRAM_FORMAT = "loihi-3"
WEIGHT_BITS = np.array([0, 1, 2, 3, 4, 5, 6, 8])
"""Weight field widths by their code."""
INDEX_BITS = np.array([0, 6, 7, 8, 9, 10, 11, 12])
"""Compartment index widths by their code."""
MIXED, EXCITATORY, INHIBITORY = 1, 2, 3
SPARSE, DENSE = 0, 3
NXTF, NENGO_LOIHI = 1, 2
COST_FORMULAS = {"nxtf": NXTF, "nengo_loihi": NENGO_LOIHI}
FOLD, WRAP = 0, 1
ONE, VALUE = 0, 1
"""Payload of messages: each counts 1, or carries a value that multiplies weights."""
TO_ZERO, SUBTRACT_OWN, SUBTRACT_NEXT, KEEP = 0, 1, 2, 3
"""What a spike does to v: clear it; take the neuron's threshold off, or that of the compartment behind it; nothing."""
NEURON, TERNARY, AMOUNT, PROGRAM = 0, 1, 2, 3
"""Role of a compartment; `AMOUNT`: no neuron, but what `SUBTRACT_NEXT` takes off the potential of the one before it; `PROGRAM`:
a neuron whose update the table of programs names."""
WORD = 64
ID_BITS, COUNT_BITS = 4, 6
LAST_FORMAT_ID = (1 << ID_BITS) - 1

HEADER = np.dtype(
    [
        ("compartments", "<u2"),
        ("cost_formula", "u1"),
        ("synapses_per_entry", "u1"),
        ("decay_bits", "u1"),
        ("current_decay_offset", "u1"),
        ("state_shift", "u1"),
        ("u_bits", "u1"),
        ("u_overflow", "u1"),
        ("v_bits", "u1"),
        ("accumulator_bits", "u1"),
        ("payload", "u1"),
    ]
)
COMPARTMENT = np.dtype(
    [
        ("decay_profile", "u1"),
        ("threshold_profile", "u1"),
        ("bias_mantissa", "<i2"),
        ("bias_exponent", "u1"),
        ("reset", "u1"),
        ("role", "u1"),
        ("zero", "u1"),
        ("threshold_low", "<i4"),
        ("u_init", "<i4"),
        ("v_init", "<i4"),
    ]
)
DECAY_PROFILE = np.dtype([("du", "<u2"), ("dv", "<u2"), ("refractory", "u1"), ("zero", "u1", (3,))])
THRESHOLD_PROFILE = np.dtype([("mantissa", "<u4")])
INPUT_AXON = np.dtype([("pointer", "<u4"), ("length", "<u4"), ("base", "<u2"), ("zero", "<u2")])
OUTPUT_LIST = np.dtype([("first", "<u4"), ("count", "<u4")])
OUTPUT_AXON = np.dtype([("chip", "<u2"), ("core", "<u2"), ("axon", "<u2"), ("zero", "<u2")])
RESET = np.dtype([("first", "<u2"), ("count", "<u2"), ("interval", "<u4"), ("tick", "<u4")])
START = np.dtype([("first", "<u2"), ("count", "<u2"), ("tick", "<u4")])
RUN = np.dtype(
    [
        ("name", "S32"), ("first", "<u2"), ("count", "<u2"), ("words", "<u2"), ("zero", "<u2"), ("pointer", "<u4"),
        ("lag", "<u4"),
    ]
)  # fmt: skip
"""Compartments of one program: its name, how many words each has, where the first word of the first is, and what a clock of
random numbers is behind by."""
PROGRAM_WORD = np.dtype("<i8")
"""Of each compartment: the bias; seed and key of its random numbers, 0 where it draws none; then its own words."""
OWN_WORDS = 3
"""Words of a compartment before those that its program names."""
LESSON = np.dtype(
    [
        ("rule", "u1"),
        ("epoch", "u1"),
        ("modulators", "u1"),
        ("across_samples", "u1"),
        ("first_product", "<u2"),
        ("products", "<u2"),
        ("start", "<u4"),
        ("lag", "<u4"),
        ("seed", "<u4"),
        ("keep", "<f8", (5,)),
        ("impulse", "<u2", (5,)),
        ("modulator_delay", "<u2"),
    ]
)
LEARNING_PRODUCT = np.dtype(
    [
        ("target", "u1"),
        ("condition", "u1"),
        ("decimation", "u1"),
        ("mantissa", "i1"),
        ("exponent", "u1"),
        ("factors", "u1"),
        ("first_factor", "<u2"),
    ]
)
LEARNING_FACTOR = np.dtype([("variable", "u1"), ("sign", "u1"), ("constant", "<i2")])
SYNAPSE_FORMAT = np.dtype("<u4")
SYNAPSE_WORD = np.dtype("<u8")

RECORDS: dict[str, np.dtype[Any]] = {
    "header": HEADER,
    "compartments": COMPARTMENT,
    "decay_profiles": DECAY_PROFILE,
    "threshold_profiles": THRESHOLD_PROFILE,
    "input_axons": INPUT_AXON,
    "synapse_formats": SYNAPSE_FORMAT,
    "synapse_words": SYNAPSE_WORD,
    "output_lists": OUTPUT_LIST,
    "output_axons": OUTPUT_AXON,
    "resets": RESET,
    "starts": START,
    "programs": RUN,
    "program_words": PROGRAM_WORD,
    "lessons": LESSON,
    "learning_products": LEARNING_PRODUCT,
    "learning_factors": LEARNING_FACTOR,
}
"""Table -> its record, in the order of `CoreTables.tables`."""
OPTIONAL = ("programs", "program_words", "lessons", "learning_products", "learning_factors")
"""Tables that a core without programs, or without synapses that learn, leaves out."""

HEADER_RANGES: Mapping[str, tuple[int, int]] = {
    "cost_formula": (NXTF, NENGO_LOIHI),
    "synapses_per_entry": (1, 64),
    "decay_bits": (1, 16),
    "current_decay_offset": (0, 1),
    "state_shift": (0, 16),
    "u_bits": (2, 30),
    "u_overflow": (FOLD, WRAP),
    "v_bits": (2, 32),
    "accumulator_bits": (1, 32),
    "payload": (ONE, VALUE),
}
"""What a header can say: widths with which the simulation's own words are right, and codes that have a meaning."""

# Bit fields of a synapse format: name -> (lowest bit, width).
FORMAT_FIELDS = {
    "weight_code": (0, 3),
    "sign_mode": (3, 2),
    "exponent": (5, 4),
    "delay_bits": (9, 3),
    "index_code": (12, 3),
    "compression": (15, 2),
    "learning": (17, 4),
    "learning_bits": (21, 4),
}


@dataclass(frozen=True, slots=True, eq=False)
class Formats:
    """A core's synapse formats, one element per format; entries name them from 1 on, as an id of 0 ends a row."""

    sign_mode: IntArray
    weight_bits: IntArray
    exponent: IntArray
    delay_bits: IntArray
    index_bits: IntArray
    compression: IntArray
    learning: IntArray
    """Number of the rule in the table of lessons, from 1 on; 0: the weights stay."""
    learning_bits: IntArray
    """Bits at the end of a synapse that learning needs; 0 at the start."""

    @property
    def shift(self) -> IntArray:
        """Low bits of an 8-bit weight that the field does not hold."""
        return np.asarray(8 - self.weight_bits + (self.sign_mode == MIXED))

    @property
    def item_bits(self) -> IntArray:
        """Bits of a synapse: weight, delay and, in sparse entries, index."""
        index = np.where(self.compression == SPARSE, self.index_bits, 0)
        return np.asarray(self.weight_bits + self.delay_bits + index + self.learning_bits)

    @property
    def header_bits(self) -> IntArray:
        """Bits before the synapses of an entry: format id, count and, in dense entries, the first index."""
        return np.asarray(ID_BITS + COUNT_BITS + np.where(self.compression == DENSE, self.index_bits, 0))

    def weights(self, form: IntArray, stored: IntArray) -> IntArray:
        """Return the signed weights, at 8-bit scale, of fields ``stored`` under the formats ``form`` (index, from 0)."""
        mode = self.sign_mode[form]
        values = np.where(mode == MIXED, from_field(stored, self.weight_bits[form]), stored) << self.shift[form]
        return np.where(mode == INHIBITORY, -values, values)

    def contributions(self, form: IntArray, stored: IntArray) -> IntArray:
        """Return what each synapse adds to the activation: its weight times 2**exponent, rounded down."""
        return shifted(self.weights(form, stored), self.exponent[form])

    def with_format(self, **values: int) -> Formats:
        """Return the formats and one more at the end."""
        return Formats(**{f.name: np.append(getattr(self, f.name), values[f.name]) for f in fields(self)})

    def one(self, index: int) -> dict[str, int]:
        """Return one format by field."""
        return {f.name: int(getattr(self, f.name)[index]) for f in fields(self)}


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Synapses in blocks of one format, blocks in rows; ``*_start`` has one element more than there are rows or blocks."""

    row_start: IntArray
    block_format: IntArray
    """Index into the formats, from 0."""
    block_start: IntArray
    index: IntArray
    """Compartment, (synapses,)."""
    weight: IntArray
    """The field as stored."""
    delay: IntArray

    @property
    def item_format(self) -> IntArray:
        """The format of each synapse."""
        return np.repeat(self.block_format, np.diff(self.block_start))

    def row(self, number: int) -> Blocks:
        """Return one row alone."""
        blocks = slice(int(self.row_start[number]), int(self.row_start[number + 1]))
        start = self.block_start[blocks.start : blocks.stop + 1]
        items = slice(int(start[0]), int(start[-1]))
        return Blocks(
            np.array([0, blocks.stop - blocks.start]), self.block_format[blocks], start - start[0],
            self.index[items], self.weight[items], self.delay[items],
        )  # fmt: skip


# Records


def to_bytes(records: Array) -> ByteArray:
    """Return a table of records as read-only bytes."""
    table = np.frombuffer(np.ascontiguousarray(records).tobytes(), np.uint8)
    table.flags.writeable = False
    return table


def records_of(core: CoreTables, name: str) -> Array:
    """Return a table of a core as its records.

    Raises:
        ArtifactError: There is no such table, or it does not hold whole records (NC0602).
    """
    table = core.tables.get(name)
    record = RECORDS[name]
    if table is None and name in OPTIONAL:
        return np.zeros(0, record)
    if table is None or table.nbytes % record.itemsize:
        raise damaged(core, f"the table '{name}' does not hold whole records")
    return np.frombuffer(table.tobytes(), record)


def damaged(core: CoreTables, what: str) -> ArtifactError:
    """Return the error for bytes that are no program."""
    message = f"core {core.core} of chip {core.chip}: {what}"
    return ArtifactError(Diagnostic("NC0602", message, hint="compile the network again"))


def damaged_core(core: DecodedCore, what: str) -> ArtifactError:
    """Return the same for a core that is decoded already."""
    return damaged(CoreTables(core.chip, core.core, {}), what)


def check_format(program: Program) -> None:
    """Refuse programs of another layout.

    Raises:
        ArtifactError: The program's format is not ours (NC0603).
    """
    if program.format != PROGRAM_FORMAT:
        message = f"the program's format is '{program.format}'; '{PROGRAM_FORMAT}' is needed"
        raise ArtifactError(Diagnostic("NC0603", message, hint="compile the network again"))


# Synapse formats


def encode_formats(formats: Formats) -> Array:
    """Return the synapse format table."""
    codes = {
        "weight_code": np.searchsorted(WEIGHT_BITS, formats.weight_bits),
        "sign_mode": formats.sign_mode,
        "exponent": to_field(formats.exponent, FORMAT_FIELDS["exponent"][1]),
        "delay_bits": formats.delay_bits,
        "index_code": np.searchsorted(INDEX_BITS, formats.index_bits),
        "compression": formats.compression,
        "learning": formats.learning,
        "learning_bits": formats.learning_bits,
    }
    table = np.zeros(len(formats.sign_mode), np.int64)
    for name, (low, _) in FORMAT_FIELDS.items():
        table |= codes[name].astype(np.int64) << low
    return table.astype(SYNAPSE_FORMAT)


def decode_formats(table: Array) -> Formats:
    """Return what `encode_formats` wrote."""
    codes = {name: to_field(table.astype(np.int64) >> low, width) for name, (low, width) in FORMAT_FIELDS.items()}
    return Formats(
        codes["sign_mode"], WEIGHT_BITS[codes["weight_code"]], from_field(codes["exponent"], FORMAT_FIELDS["exponent"][1]),
        codes["delay_bits"], INDEX_BITS[codes["index_code"]], codes["compression"], codes["learning"], codes["learning_bits"],
    )  # fmt: skip


# Synapse memory


def encode_rows(blocks: Blocks, formats: Formats, cost_formula: int, per_entry: int) -> tuple[WordArray, IntArray]:
    """Pack rows into words.

    Args:
        blocks: The rows.
        formats: Their formats.
        cost_formula: `NXTF`: a row's entries follow each other bit by bit and at least 6 zero bits end it. `NENGO_LOIHI`:
            every entry starts at a word.
        per_entry: Synapses per entry at most.

    Returns:
        The words of all rows, one row after the other, and the words of each row.

    Raises:
        InternalError: A field is too narrow for its value.
    """
    f = blocks.item_format
    narrow = [(blocks.index, formats.index_bits), (blocks.weight, formats.weight_bits), (blocks.delay, formats.delay_bits)]
    if any((values >> bits[f]).any() for values, bits in narrow):
        raise broken_invariant("emit", "every field of a synapse fits its width")
    count = np.diff(blocks.block_start)
    n_entries = -(-count // per_entry)
    block = np.repeat(np.arange(len(count)), n_entries)
    part = np.arange(len(block)) - np.repeat(np.cumsum(n_entries) - n_entries, n_entries)
    form = blocks.block_format[block]
    first = blocks.block_start[block] + part * per_entry
    size = np.minimum(per_entry, blocks.block_start[block + 1] - first)
    header_bits, item_bits = formats.header_bits[form], formats.item_bits[form]
    bits = header_bits + size * item_bits

    entries_of_row = np.diff(running_sum(n_entries)[blocks.row_start])
    if cost_formula == NENGO_LOIHI:
        bits = -(-bits // WORD) * WORD
    row_bits = np.diff(running_sum(bits)[running_sum(entries_of_row)])
    words = -(-row_bits // WORD)
    if cost_formula == NXTF:
        words += (words * WORD - row_bits < ID_BITS + 2) | (row_bits == 0)
    row = np.repeat(np.arange(len(words)), entries_of_row)
    at = (running_sum(words)[:-1] * WORD - running_sum(row_bits)[:-1])[row] + running_sum(bits)[:-1]

    memory = np.zeros(int(words.sum()), np.uint64)
    dense = formats.compression[form] == DENSE
    index = blocks.index[np.minimum(first, max(len(blocks.index) - 1, 0))]
    header = (form + 1) | ((size - 1) << ID_BITS) | np.where(dense, index << (ID_BITS + COUNT_BITS), 0)
    _put(memory, at, header)

    entry = np.repeat(np.arange(len(size)), size)
    within = np.arange(len(f)) - np.repeat(running_sum(size)[:-1], size)
    item = blocks.weight | (blocks.delay << formats.weight_bits[f])
    item |= np.where(formats.compression[f] == SPARSE, blocks.index << (formats.weight_bits[f] + formats.delay_bits[f]), 0)
    _put(memory, (at + header_bits)[entry] + within * item_bits[entry], item)
    return memory, words


def decode_rows(
    core: CoreTables, words: WordArray, formats: Formats, pointer: IntArray, length: IntArray, cost_formula: int
) -> Blocks:
    """Unpack the rows at some places of the synapse memory; one block per entry.

    Raises:
        ArtifactError: A row leaves the memory, or an entry its row, or names a format that does not exist (NC0602).
    """
    if len(pointer) and int((pointer + length).max()) > len(words):
        raise damaged(core, "an input axon points beyond the synapse memory")
    end = (pointer + length) * WORD
    cursor = pointer * WORD
    live = np.flatnonzero(length > 0)
    found: list[tuple[IntArray, ...]] = []
    while len(live):
        at = cursor[live]
        form = _take(words, at, ID_BITS) - 1
        live, at, form = live[form >= 0], at[form >= 0], form[form >= 0]
        if (form >= len(formats.sign_mode)).any():
            raise damaged(core, "a synapse entry names a format that does not exist")
        size = _take(words, at + ID_BITS, COUNT_BITS) + 1
        dense = formats.compression[form] == DENSE
        index = np.where(dense, _take(words, at + ID_BITS + COUNT_BITS, formats.index_bits[form]), 0)
        items = at + formats.header_bits[form]
        after = items + size * formats.item_bits[form]
        if (after > end[live]).any():
            raise damaged(core, "a synapse entry leaves its row")
        found.append((live, form, size, index, items))
        cursor[live] = -(-after // WORD) * WORD if cost_formula == NENGO_LOIHI else after
        live = live[cursor[live] + ID_BITS + COUNT_BITS <= end[live]]
    none = np.zeros(0, np.int64)
    columns = zip(*found, strict=True) if found else [()] * 5
    row, form, size, index, items = (np.concatenate([none, *column]) for column in columns)
    order = np.argsort(row, kind="stable")
    row, form, size, index, items = row[order], form[order], size[order], index[order], items[order]

    f = np.repeat(form, size)
    within = np.arange(len(f)) - np.repeat(running_sum(size)[:-1], size)
    item = _take(words, np.repeat(items, size) + within * formats.item_bits[f], formats.item_bits[f])
    weight_bits, delay_bits = formats.weight_bits[f], formats.delay_bits[f]
    sparse = formats.compression[f] == SPARSE
    return Blocks(
        row_start=running_sum(np.bincount(row, minlength=len(pointer))),
        block_format=form,
        block_start=running_sum(size),
        index=np.where(sparse, item >> (weight_bits + delay_bits), np.repeat(index, size) + within),
        weight=to_field(item, weight_bits),
        delay=to_field(item >> weight_bits, delay_bits),
    )


def _put(memory: WordArray, at: IntArray, values: IntArray) -> None:
    """Write values of less than 64 bits, in ascending and disjoint places, into memory that is zero there."""
    word, offset = at >> 6, (at & 63).astype(np.uint64)
    value = values.astype(np.uint64)
    high = (value >> np.uint64(1)) >> (np.uint64(63) - offset)
    _merge(memory, word, value << offset)
    spill = high != 0
    _merge(memory, word[spill] + 1, high[spill])


def _merge(memory: WordArray, word: IntArray, bits: WordArray) -> None:
    if len(word):
        start = np.flatnonzero(np.concatenate(([True], word[1:] != word[:-1])))
        memory[word[start]] |= np.bitwise_or.reduceat(bits, start)


def _take(memory: WordArray, at: IntArray, bits: IntArray | int) -> IntArray:
    """Read fields of less than 63 bits; what lies behind the memory reads as 0."""
    padded = np.append(memory, np.zeros(2, np.uint64))
    word, offset = np.minimum(at >> 6, len(memory)), (at & 63).astype(np.uint64)
    low = padded[word] >> offset
    high = (padded[word + 1] << np.uint64(1)) << (np.uint64(63) - offset)
    mask = (np.uint64(1) << np.asarray(bits, np.uint64)) - np.uint64(1)
    return np.asarray((low | high) & mask).astype(np.int64)


# A core


@dataclass(frozen=True, slots=True, eq=False)
class ProgramRun:
    """Consecutive compartments of one program."""

    name: str
    first: int
    lag: int
    words: IntArray
    """(compartments, `OWN_WORDS` and its own)."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedCore:
    """A core's tables as plain arrays."""

    chip: int
    core: int
    header: Mapping[str, int]
    compartments: Mapping[str, IntArray]
    """Fields of the compartments, and of their profiles: du, dv, refractory, threshold (mantissa); each (n,)."""
    formats: Formats
    axon_row: IntArray
    """Row of each input axon, (axons,)."""
    axon_base: IntArray
    """Compartment that each input axon adds to the indices of its row, (axons,)."""
    axon_words: IntArray
    """Words of synapse memory that a message to each input axon reads, (axons,)."""
    rows: Blocks
    """Every distinct row once, with the indices that it stores."""
    output_source: IntArray
    """Compartment of each message in the order of the output lists, (messages,)."""
    output_chip: IntArray
    output_core: IntArray
    output_axon: IntArray
    resets: Mapping[str, IntArray]
    """Fields of the reset schedule, (entries,)."""
    starts: Mapping[str, IntArray]
    """Fields of the late starts, (entries,)."""
    lessons: tuple[Lesson, ...]
    """The rules by which synapses learn."""
    programs: tuple[ProgramRun, ...] = ()

    @property
    def start(self) -> IntArray:
        """The tick in which each compartment starts, (n,); 0 where nothing else is said."""
        start = np.zeros(self.header["compartments"], np.int64)
        for first, count, tick in zip(*(self.starts[name].tolist() for name in ("first", "count", "tick")), strict=True):
            start[first : first + count] = tick
        return start

    @property
    def integrates(self) -> NDArray[np.bool_]:
        """Whether a compartment is a neuron, (n,); the others have no state and take no synapse."""
        return np.asarray(self.compartments["role"] != AMOUNT)


def decode_core(core: CoreTables) -> DecodedCore:
    """Return a core's tables as plain arrays.

    Raises:
        ArtifactError: The bytes contradict each other (NC0602).
    """
    header_table = records_of(core, "header")
    if len(header_table) != 1:
        raise damaged(core, "there is not one header")
    header = {name: int(header_table[0][name]) for name in HEADER.names or ()}
    table = records_of(core, "compartments")
    if len(table) != header["compartments"]:
        raise damaged(core, f"the header promises {header['compartments']} compartments, the table has {len(table)}")
    for name, (low, high) in HEADER_RANGES.items():
        if not low <= header[name] <= high:
            raise damaged(core, f"the header's {name} is {header[name]}, not {low} to {high}")
    decays, thresholds = records_of(core, "decay_profiles"), records_of(core, "threshold_profiles")
    for what, profiles in (("decay", decays), ("threshold", thresholds)):
        if len(table) and int(table[f"{what}_profile"].max()) >= len(profiles):
            raise damaged(core, f"a compartment names a {what} profile that does not exist")
    compartments = {name: table[name].astype(np.int64) for name in COMPARTMENT.names or () if name != "zero"}
    for name in ("du", "dv", "refractory"):
        compartments[name] = decays[name][table["decay_profile"]].astype(np.int64)
    compartments["threshold"] = thresholds["mantissa"][table["threshold_profile"]].astype(np.int64)
    _check_pairs(core, compartments["reset"], compartments["role"])

    formats = decode_formats(records_of(core, "synapse_formats"))
    if not (np.isin(formats.sign_mode, (MIXED, EXCITATORY, INHIBITORY)) & np.isin(formats.compression, (SPARSE, DENSE))).all():
        raise damaged(core, "a synapse format has no meaning")
    axons = records_of(core, "input_axons")
    places, axon_row = np.unique(np.stack([axons["pointer"], axons["length"]]).astype(np.int64), axis=1, return_inverse=True)
    words = records_of(core, "synapse_words").astype(np.uint64)
    rows = decode_rows(core, words, formats, places[0], places[1], header["cost_formula"])

    lists, messages = records_of(core, "output_lists"), records_of(core, "output_axons")
    if len(lists) != len(table):
        raise damaged(core, "the output lists do not match the compartments")
    first, count = lists["first"].astype(np.int64), lists["count"].astype(np.int64)
    if len(lists) and int((first + count).max()) > len(messages):
        raise damaged(core, "an output list leaves the output-axon table")
    if count[compartments["role"] == AMOUNT].any():
        raise damaged(core, "a reset compartment has an output list")
    message = np.repeat(first - running_sum(count)[:-1], count) + np.arange(count.sum())
    chip, place, axon = (messages[name][message].astype(np.int64) for name in ("chip", "core", "axon"))
    return DecodedCore(
        core.chip, core.core, header, compartments, formats, axon_row.reshape(-1), axons["base"].astype(np.int64),
        axons["length"].astype(np.int64), rows, np.repeat(np.arange(len(lists)), count), chip, place, axon,
        _runs(core, "resets", len(table)), _runs(core, "starts", len(table)), _lessons(core, formats),
        _programs(core, compartments["role"]),
    )  # fmt: skip


def _programs(core: CoreTables, role: IntArray) -> tuple[ProgramRun, ...]:
    """Return the runs of programs, which hold the compartments of that role and no others."""
    words = records_of(core, "program_words").astype(np.int64)
    runs: list[ProgramRun] = []
    taken = np.zeros(len(role), np.int64)
    for run in records_of(core, "programs"):
        first, count, each, pointer = (int(run[name]) for name in ("first", "count", "words", "pointer"))
        if first + count > len(role) or each < OWN_WORDS or pointer + count * each > len(words):
            raise damaged(core, "a program names compartments or words that do not exist")
        taken[first : first + count] += 1
        own = words[pointer : pointer + count * each].reshape(count, each)
        try:
            name = bytes(run["name"]).decode("ascii")
        except UnicodeDecodeError:
            raise damaged(core, "a program has no name") from None
        runs.append(ProgramRun(name, first, int(run["lag"]), own))
    if not np.array_equal(taken, role == PROGRAM):
        raise damaged(core, "programs and the compartments of that role do not match")
    return tuple(runs)


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A rule by which synapses of a core learn; docs/loihi-program.md has the fields."""

    fields: Mapping[str, int]
    keep: NDArray[np.float64]
    impulse: IntArray
    products: IntArray
    """(products, 7): target, condition, decimation, mantissa, exponent, first factor, behind the last one."""
    factors: IntArray
    """(factors, 3): variable, constant, sign."""


def _lessons(core: CoreTables, formats: Formats) -> tuple[Lesson, ...]:
    """Return the rules of a core, and check that synapses, products and factors name nothing that is not there."""
    lessons, products, factors = (records_of(core, name) for name in ("lessons", "learning_products", "learning_factors"))
    if len({*formats.learning.tolist()} - {0, *lessons["rule"].tolist()}):
        raise damaged(core, "a synapse format names a rule of learning that does not exist")
    ranges = {"target": 1, "condition": 2, "exponent": 15}
    if any((products[name] > most).any() for name, most in ranges.items()) or (factors["variable"] > 6).any():
        raise damaged(core, "a product of a rule of learning has no meaning")
    found = []
    for record in lessons:
        first, last = int(record["first_product"]), int(record["first_product"]) + int(record["products"])
        if last > len(products) or not 1 <= int(record["epoch"]) <= 63:
            raise damaged(core, "a rule of learning has an epoch or products that do not exist")
        own = products[first:last]
        begin = own["first_factor"].astype(np.int64)
        end = begin + own["factors"]
        if (end > len(factors)).any():
            raise damaged(core, "a product of a rule of learning leaves the table of factors")
        columns = [own[name].astype(np.int64) for name in ("target", "condition", "decimation", "mantissa", "exponent")]
        every = [factors[name].astype(np.int64) for name in ("variable", "constant", "sign")]
        names = [name for name in LESSON.names or () if name not in ("keep", "impulse")]
        found.append(
            Lesson(
                {name: int(record[name]) for name in names}, np.ascontiguousarray(record["keep"], np.float64),
                record["impulse"].astype(np.int64), np.stack([*columns, begin, end], axis=1), np.stack(every, axis=1),
            )
        )  # fmt: skip
    return tuple(found)


def _check_pairs(core: CoreTables, reset: IntArray, role: IntArray) -> None:
    """Check that each neuron which subtracts the next compartment has one, and that no such compartment stands alone."""
    if (reset > KEEP).any() or (role > PROGRAM).any():
        raise damaged(core, "a compartment has a reset or a role that does not exist")
    amount = role == AMOUNT
    wants = (reset == SUBTRACT_NEXT) & ~amount
    if not np.array_equal(np.append(False, wants), np.append(amount, False)):
        raise damaged(core, "neurons that subtract the next compartment and reset compartments do not form pairs")


def _runs(core: CoreTables, name: str, compartments: int) -> Mapping[str, IntArray]:
    """Return the fields of a table of runs of compartments: the reset schedule, or the late starts."""
    records = records_of(core, name)
    table = {column: records[column].astype(np.int64) for column in RECORDS[name].names or ()}
    what = {"resets": "the reset schedule names", "starts": "the late starts name"}[name]
    if (table["first"] + table["count"] > compartments).any():
        raise damaged(core, f"{what} compartments that do not exist")
    if (table.get("interval", np.ones(0)) == 0).any():
        raise damaged(core, "the reset schedule has an interval of 0 ticks")
    return table
