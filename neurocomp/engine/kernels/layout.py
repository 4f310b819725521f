"""How weights come to lie as the kernels read them."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurocomp.engine.kernels.jit import entry

SIDE = 64
"""Weights are turned in squares of so many rows and columns."""


class _Alias:
    """The memory of an array; numpy keeps it alive as the owner of the arrays that it makes of it."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array
        self.__array_interface__ = array.__array_interface__ | {"data": (array.__array_interface__["data"][0], False)}


def readable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the same memory not marked as read-only, for kernels that only read it: else they are compiled once more."""
    return array if array.flags.writeable or not array.size else np.asarray(_Alias(array))


@entry
def turn(weights, first, shift, out, start, stride, target_place, source_order):
    """Write rows ``first ..`` of a matrix (targets, sources) as columns.

    Args:
        weights: Some rows of the matrix.
        first: Number of the first one.
        shift: Low bits that every weight has and that are left out.
        out: Where row j of the result, the weights of source j, begins at ``start + j * stride``.
        start: See above.
        stride: See above.
        target_place: The column of each target.
        source_order: The source of each row of the result.
    """
    n, m = weights.shape
    for i0 in range(0, n, SIDE):
        for j0 in range(0, m, SIDE):
            for j in range(j0, min(m, j0 + SIDE)):
                source, row = source_order[j], start + j * stride
                for i in range(i0, min(n, i0 + SIDE)):
                    out[row + target_place[first + i]] = weights[i, source] >> shift


@entry
def rows_of(sources, targets, weights, kept, rows, out_targets, out_weights):
    """Sort a list of synapses by source, those of weight 0 left out; the order of equal sources stays.

    Args:
        sources: (synapses,)
        targets: (synapses,)
        weights: (synapses,)
        kept: (synapses,) which ones count at all.
        rows: (n + 1,) zeros; becomes where the synapses of each source begin.
        out_targets: (synapses,)
        out_weights: (synapses,)
    """
    for k in range(len(sources)):
        if kept[k] and weights[k] != 0:
            rows[sources[k] + 1] += 1
    for j in range(len(rows) - 1):
        rows[j + 1] += rows[j]
    for k in range(len(sources)):
        if kept[k] and weights[k] != 0:
            j = sources[k]
            out_targets[rows[j]] = targets[k]
            out_weights[rows[j]] = weights[k]
            rows[j] += 1
    for j in range(len(rows) - 1, 0, -1):
        rows[j] = rows[j - 1]
    rows[0] = 0


@entry
def spread(chunk, node, place, ticks, out):
    """Write the spikes of a node as a matrix (samples, ticks, n) of zeros and values; return the largest magnitude.

    Args:
        chunk: The samples.
        node: The record of the node; its spikes carry values.
        place: Where the spikes of the first tick begin in a sample's row of ptr.
        ticks: How many.
        out: (samples, ticks, n) zeros.
    """
    largest = np.int64(0)
    for s in range(out.shape[0]):
        for t in range(ticks):
            for k in range(chunk.ptr[s, place + t], chunk.ptr[s, place + t + 1]):
                value = np.int64(chunk.values[s, node.events + k])
                out[s, t, chunk.events[s, node.events + k]] = value
                largest = max(largest, abs(value))
    return largest
