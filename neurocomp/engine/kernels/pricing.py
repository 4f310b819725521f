"""What the rows of a core cost: how long each is in either layout, and which are equal, told by numbers of 64 bits.

A row's number has two halves, each a sum of what is stored times a factor of its position: of the compartments from the first
one on in a run, of the synapses that are stored in a list. Gaps of a run hold 0 and add nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels.jit import entry, kernel
from neurocomp.engine.kernels.partitioning import STEP, finalized

Array = NDArray[Any]

RUN, LIST = 0, 1


class Layouts(NamedTuple):
    """The two layouts of the blocks of a projection, by the number of synapses that they store, ``(2, most + 1)``."""

    bits: NDArray[np.int64]
    words: NDArray[np.int64]
    """Of a row that has no other block."""
    format: NDArray[np.int64]
    """(2,): numbers of their formats, which other projections may share."""


class Rows(NamedTuple):
    """Rows of a core, one after the other; ``(rows,)`` each."""

    number: NDArray[np.uint64]
    words: NDArray[np.int64]


@kernel
def settle(rows, at, layouts, span, present, runs, run_number, list_number):
    """Choose the layout of a row that reaches ``span`` compartments by ``present`` synapses that are not 0; -1: it is empty."""
    chosen, count, number = LIST, present, list_number
    if runs and layouts.bits[RUN, span] <= layouts.bits[LIST, present]:
        chosen, count, number = RUN, span, run_number
    rows.words[at] = layouts.words[chosen, count]
    if count == 0:
        rows.number[at] = 0
        return -1
    kind = finalized(STEP * (np.uint64(layouts.format[chosen]) << np.uint64(32)) | np.uint64(count))
    rows.number[at] = finalized(STEP * (number + kind))
    return chosen


@entry
def price_dense(stored, delay, factors, layouts, present, first, second, rows, begin):
    """Price the rows of a dense projection, one per source; return how many would rather be lists, which have no numbers yet.

    Args:
        stored: Weights, (targets, sources), targets in the order of their compartments, which follow each other.
        delay: Of all synapses.
        factors: (2, compartments), uint32.
        layouts: What blocks cost.
        present: Scratch, (sources,) int32; ``first`` and ``second`` uint32.
        rows: Are written from ``begin`` on.
    """
    targets, sources = stored.shape
    for s in range(sources):
        present[s] = 0
        first[s] = 0
        second[s] = 0
    for t in range(targets):
        a, b = factors[0, t], factors[1, t]
        for s in range(sources):
            weight = np.uint32(stored[t, s])
            present[s] += np.int32(weight != np.uint32(0))
            first[s] += weight * a
            second[s] += weight * b
    a, b = np.uint32(0), np.uint32(0)
    for t in range(targets):
        a = np.uint32(a + np.uint32(delay << 8) * factors[0, t])
        b = np.uint32(b + np.uint32(delay << 8) * factors[1, t])
    lists = 0
    for s in range(sources):
        number = (np.uint64(np.uint32(first[s] + a)) << np.uint64(32)) | np.uint64(np.uint32(second[s] + b))
        lists += settle(rows, begin + s, layouts, targets, present[s], True, number, np.uint64(0)) != RUN
    return lists


@entry
def price_rows(stored, delay, start, slot, no_neuron, factors, layouts, rows, begin):
    """Price copies of rows: row r of copy j reaches the compartments ``slot[start[r] : start[r + 1]]``, ascending.

    Returns which layouts are taken: the sum of 1 << layout.

    Args:
        stored: Weights, (copies, synapses of a copy).
        delay: As the weights, or (1, 1).
        start: (rows + 1,)
        slot: (synapses of a copy,)
        no_neuron: How many of the first 0, 1, … compartments are none.
        factors, layouts: As for `price_dense`.
        rows: Are written from ``begin`` on, copy after copy.
    """
    copies, used = len(stored), 0
    single = delay.shape != stored.shape
    for j in range(copies):
        for r in range(len(start) - 1):
            low, high = start[r], start[r + 1]
            runs = no_neuron[slot[low]] == no_neuron[slot[high - 1]]
            base, before, present = np.int64(-1), np.int64(-1), 0
            first, second = np.uint32(0), np.uint32(0)
            one, two = np.uint32(0), np.uint32(0)
            for i in range(low, high):
                weight = np.uint32(stored[j, i])
                content = np.uint32(weight | (np.uint32(delay[0, 0] if single else delay[j, i]) << np.uint32(8)))
                at = slot[i]
                if at == before:
                    runs = False
                before = at
                place = at - slot[low]
                first = np.uint32(first + content * factors[0, place])
                second = np.uint32(second + content * factors[1, place])
                if weight:
                    if base < 0:
                        base = at
                    content = np.uint32(content | (np.uint32(at - base) << np.uint32(16)))
                    one = np.uint32(one + content * factors[0, present])
                    two = np.uint32(two + content * factors[1, present])
                    present += 1
            span = slot[high - 1] - slot[low] + 1
            run_number = (np.uint64(first) << np.uint64(32)) | np.uint64(second)
            list_number = (np.uint64(one) << np.uint64(32)) | np.uint64(two)
            at = begin + j * (len(start) - 1) + r
            chosen = settle(rows, at, layouts, span, present, runs, run_number, list_number)
            if chosen >= 0:
                used |= 1 << chosen
    return used


@entry
def price_places(weights, delay, place, position, start, factors, layouts, rows, begin):
    """Price the rows of a convolution onto whole places of an image, whose channels are on compartments next to each other.

    Row r of copy j, a source place and channel, reaches the places ``place[start[r] : start[r + 1]]``, ascending, through as
    many positions of the kernel.

    Args:
        weights: (channels of the source, positions, channels).
        delay: Of all synapses.
        factors, layouts, rows, begin: As for `price_rows`, whose result this has.
    """
    copies, _, channels = weights.shape
    used, later = 0, np.uint32(delay << 8)
    for j in range(copies):
        for r in range(len(start) - 1):
            low = place[start[r]] * channels
            first, second, present = np.uint32(0), np.uint32(0), 0
            for e in range(start[r], start[r + 1]):
                offset = place[e] * channels - low
                one, two, found = np.uint32(0), np.uint32(0), np.uint32(0)
                for c in range(channels):
                    weight = np.uint32(weights[j, position[e], c])
                    content = np.uint32(weight | later)
                    one = np.uint32(one + np.uint32(content * factors[0, offset + c]))
                    two = np.uint32(two + np.uint32(content * factors[1, offset + c]))
                    found = np.uint32(found + np.uint32(weight != np.uint32(0)))
                first, second, present = np.uint32(first + one), np.uint32(second + two), present + np.int64(found)
            span = (place[start[r + 1] - 1] + 1) * channels - low
            at = begin + j * (len(start) - 1) + r
            number = (np.uint64(first) << np.uint64(32)) | np.uint64(second)
            chosen = settle(rows, at, layouts, span, present, True, number, np.uint64(0))
            if chosen == LIST:
                base, count = np.int64(-1), 0
                first, second = np.uint32(0), np.uint32(0)
                for e in range(start[r], start[r + 1]):
                    for c in range(channels):
                        weight = np.uint32(weights[j, position[e], c])
                        if weight:
                            slot = place[e] * channels + c
                            if base < 0:
                                base = slot
                            content = np.uint32(weight | later | np.uint32(np.uint32(slot - base) << np.uint32(16)))
                            first = np.uint32(first + content * factors[0, count])
                            second = np.uint32(second + content * factors[1, count])
                            count += 1
                number = (np.uint64(first) << np.uint64(32)) | np.uint64(second)
                settle(rows, at, layouts, span, present, False, np.uint64(0), number)
            if chosen >= 0:
                used |= 1 << chosen
    return used


@entry
def distinct_words(rows, count, table):
    """Return the words of the first ``count`` rows, equal ones once; ``table`` is scratch, a power of two, twice as long."""
    mask = np.uint64(len(table) - 1)
    for i in range(len(table)):
        table[i] = -1
    total = 0
    for i in range(count):
        at = rows.number[i] & mask
        while table[at] >= 0 and rows.number[table[at]] != rows.number[i]:
            at = (at + np.uint64(1)) & mask
        if table[at] < 0:
            table[at] = i
            total += rows.words[i]
    return total
