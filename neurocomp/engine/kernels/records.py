"""What the kernels read and write: tables of a network, which never change, and the arrays of some samples that run.

All tables are rows of 64-bit integers; an "offset" is a place in one of the long arrays of `Tables` or `Chunk`. Neurons are
counted in the order in which the engine holds them: that of the population, but channels last where a convolution arrives.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TILE = 1024
"""Neurons that are updated together: their state, parameters and sums stay in the first-level cache."""
LINE = 64
"""Rows of weights and sums are padded to a multiple of so many elements."""

DENSE, SPARSE, BLOCK, CONVOLUTION = 0, 1, 2, 3
INT8, UINT8, INT32 = 0, 1, 2
SETTLED, LARGE = 1, 2
"""Flags of a tile: nothing changes without input; a state is beyond what the narrow update can hold."""


def row_of(*fields: str) -> np.dtype[Any]:
    """Return the type of a row of 64-bit integers with these names."""
    return np.dtype([(name, np.int64) for name in fields])


NODE = row_of(
    "n",  # neurons
    "events",  # offset of its spikes in a sample's row of events
    "ptr",  # offset of the first of history + block + 1 places in a sample's row of ptr
    "history",  # ticks before the block whose spikes are kept
    "graded",  # whether its spikes carry values
)
"""Where spikes come from: a population, or a maximum over windows of one."""

POOL = row_of(
    "node", "source", "channels", "height", "width", "last",  # of the source; last: channels are its last axis
    "kernel_y", "kernel_x", "stride_y", "stride_x", "pad_y", "pad_x", "out_height", "out_width",
)  # fmt: skip
"""A maximum over windows of a node's spikes; what it makes is a node whose channels come first."""

GROUP = row_of(
    "kind", "node", "delay", "key", "graded",
    "width",  # which array holds the weights: INT8, UINT8, INT32
    "weights",  # offset
    "stride",  # dense: elements from row to row
    "sources",  # dense: rows; one of zeros follows the last
    "table",  # offset in table: sparse and block: where rows begin, n + 1; convolution: the taps of both axes
    "targets",  # sparse: offset in targets
    "length",  # block: targets of a block
    "channels", "height", "width_in", "last",  # convolution: of the source
    "in_group", "out_group", "out_channels", "out_height", "out_width",
    "kernel_y", "kernel_x", "stride_y", "stride_x", "pad_y", "pad_x",
    "table_x",  # offset of the taps along x
)  # fmt: skip
"""The synapses of a projection that have one delay."""

KEY = row_of("shift", "negative", "exponent")
"""What becomes of a sum: times 2**shift, its sign, a 32-bit word; then times 2**exponent, rounded to minus infinity."""

POPULATION = row_of(
    "n", "pad", "node", "state", "tile", "acc",
    "waiting",  # offset of its refractory counters, -1: none
    "first_group", "last_group", "first_key", "last_key",
    "slots",  # ticks whose sums are held: a block, or one where populations hear one another
    "first_pool", "last_pool",
    "keep_u", "keep_v", "bias", "threshold", "amount",  # offsets of parameters, 32 bits, one per neuron or a tile of equal ones
    "wide_keep_u", "wide_keep_v", "wide_bias", "wide_threshold", "wide_lower",  # offsets of parameters, 64 bits
    "each",  # bits: which of these is one per neuron
    "u_init", "v_init",  # offsets in wide, one or one per neuron
    "narrow",  # whether the 32-bit update can hold it
    "large",  # whether the initial state is beyond the 32-bit update
    "no_current",  # whether nothing of u is kept from tick to tick
    "fires", "clears", "subtracts", "inclusive", "ternary", "refractory",
    "start", "reset_interval", "reset_offset",
    "lag", "current",  # offset of the currents in a sample's row, -1: none
    "program",  # address of the loop of its program, 0: it has none
    "given", "words",  # offset in wide of the words of each neuron, and how many it has
    "seed", "key",  # offsets in wide of what keys its random numbers, -1: it draws none
    "order",  # offset in targets of the place of each neuron in the population's order, -1: the same
)  # fmt: skip

FORM = row_of("decay_bits", "state_shift", "u_bits", "u_folds", "v_bits", "accumulator_bits")
"""The number format."""


class Tables(NamedTuple):
    """A network."""

    nodes: Array
    pools: Array
    groups: Array
    keys: Array
    populations: Array
    form: Array
    """One row."""
    signed: NDArray[np.int8]
    unsigned: NDArray[np.uint8]
    words: NDArray[np.int32]
    targets: NDArray[np.int32]
    table: NDArray[np.int64]
    narrow: NDArray[np.int32]
    wide: NDArray[np.int64]


class Chunk(NamedTuple):
    """Samples that run together, and what they need on the way."""

    events: NDArray[np.int32]
    """(samples, places): spiking neurons, node after node, tick after tick, ascending."""
    values: NDArray[np.int32]
    """(samples, places): values of the spikes of graded nodes; one column where there are none."""
    ptr: NDArray[np.int64]
    """(samples, places): where the spikes of each tick begin, counted from the node's first."""
    u: NDArray[np.int32]
    v: NDArray[np.int32]
    waiting: NDArray[np.int32]
    flags: NDArray[np.uint8]
    """(samples, tiles)"""
    sums: NDArray[np.int32]
    """Per population, from its offset times samples on: (keys, samples, slots, pad), all 0 between blocks."""
    current: NDArray[np.int32]
    arrivals: NDArray[np.int64]
    """(samples, slots): spikes that reach the population at hand."""
    spikes: NDArray[np.int8]
    """(slots, pad of the largest population)"""
    spike_words: NDArray[np.int64]
    """The same memory."""
    hot: NDArray[np.int64]
    """(slots, tiles): spikes of each tile."""
    tile: NDArray[np.int32]
    """(rows, TILE): for the update."""
    row: NDArray[np.int16]
    """Sums of rows of 8-bit weights."""
    overflows: NDArray[np.int64]
    """(samples, populations, registers, 3): how many, and tick and neuron of the first."""
    record: NDArray[np.int32]
    """Recorded arrays, one after another."""
    recorded: NDArray[np.int64]
    """(populations, 3): offsets of spikes, u and v in ``record``, -1: not recorded."""
    multiplied: NDArray[np.uint8]
    """(groups,): 1 where a matrix product has already added what arrives in the block."""
    active: NDArray[np.int64]
    """(samples, ticks, cores): active updates; no cores where they are not counted."""
    active_neurons: NDArray[np.int64]
    """(samples, populations): the same by population."""
    segments: NDArray[np.int64]
    """(segments, 3): neurons of a tile that lie side by side on one core: the first, behind the last, the core."""
    tile_segments: NDArray[np.int64]
    """(tiles + 1,): where the segments of each tile begin."""
    sent: NDArray[np.int32]
    """(slots, pad of the largest population): values of the spikes of programs."""
    work: NDArray[np.int64]
    """(3, TILE): input, random numbers and spikes of a tile of programs."""
    state: NDArray[np.int64]
    """(TILE, 2): v and u of a tile of programs."""
    clips: NDArray[np.uint8]
    """(TILE, 3): which registers of a tile of programs overflowed."""
    changed: NDArray[np.uint8]
    """(TILE,): whether a neuron of a tile of programs changed."""
    extent: NDArray[np.int64]
    """The first sample, the ticks recorded per sample, the ticks of the user, whether a current is beyond 32-bit updates; then
    what the run numbers its first sample, which keys random numbers."""
