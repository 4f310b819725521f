"""Filling cores with neurons that share axons, in a given order."""

from __future__ import annotations

from neurocomp.engine.kernels.jit import entry, kernel


@kernel
def count_fresh(start, axons, order, first, stop, stamp, block, seen, mark):
    """Return how many axons the neurons ``order[first:stop]`` need that the block does not have; each counts once."""
    fresh = 0
    for at in range(first, stop):
        j = order[at]
        for k in range(start[j], start[j + 1]):
            a = axons[k]
            if stamp[a] != block and seen[a] != mark:
                seen[a] = mark
                fresh += 1
    return fresh


@entry
def fill(start, axons, order, cell, copies, max_axons, max_neurons, stamp, seen, block_of):
    """Put cells of neurons one after the other into blocks; a new block begins where axons or copies would be too many.

    A cell that does not fit a block of its own is put there neuron by neuron.

    Args:
        start: (n + 1,): neuron j needs ``axons[start[j]:start[j + 1]]``.
        axons: Of all neurons.
        order: (n,): the neurons as they are put.
        cell: (n,): the cell of each neuron in this order; the neurons of a cell follow one another.
        copies: (n,): of each neuron.
        max_axons: Different axons of a block.
        max_neurons: Copies in a block.
        stamp: One number per axon, all -1; is overwritten.
        seen: The same.
        block_of: (n,): gets the block of each neuron.

    Returns:
        The number of blocks, and the sum of their axons.
    """
    n = len(order)
    block, held, used, total, mark = 0, 0, 0, 0, 0
    first = 0
    while first < n:
        stop = first
        size = 0
        while stop < n and cell[stop] == cell[first]:
            size += copies[order[stop]]
            stop += 1
        mark += 1
        fresh = count_fresh(start, axons, order, first, stop, stamp, block, seen, mark)
        whole = held + fresh <= max_axons and used + size <= max_neurons
        if not whole and used:
            mark += 1
            alone = count_fresh(start, axons, order, first, stop, stamp, -2, seen, mark)
            if alone <= max_axons and size <= max_neurons:
                total += held
                block, held, used, whole = block + 1, 0, 0, True
        for at in range(first, stop):
            j = order[at]
            if not whole:
                mark += 1
                fresh = count_fresh(start, axons, order, at, at + 1, stamp, block, seen, mark)
                if used and (held + fresh > max_axons or used + copies[j] > max_neurons):
                    total += held
                    block, held, used = block + 1, 0, 0
            for k in range(start[j], start[j + 1]):
                if stamp[axons[k]] != block:
                    stamp[axons[k]] = block
                    held += 1
            used += copies[j]
            block_of[j] = block
        first = stop
    return (block + 1 if n else 0), total + held
