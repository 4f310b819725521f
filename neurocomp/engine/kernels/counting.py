"""Counts of what spikes cause on the cores of a chip, from the events of a block of ticks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels.jit import entry
from neurocomp.engine.kernels.records import Array, row_of

HIGH = 32
"""Two counts share a 64-bit number: the one in the lower half never carries into the upper one, as a tick has fewer than 2**32
events on a core."""
WORK, SENT, HOST, WAYS = 0, 1, 2, 3

COLUMN = row_of(
    "node",
    "kind",  # WORK: synaptic events << HIGH | synaptic operations; SENT: spikes << HIGH | messages; HOST; WAYS
    "place",  # core, or which way
    "amount",  # what every spike causes, where that is the same for all neurons
    "values",  # else the offset of what a spike of each neuron causes
)
"""Something that spikes of a node cause, added up per tick and core."""


class Meter(NamedTuple):
    """What a spike of each neuron of each node causes; the neurons of all nodes stand one after another."""

    first: NDArray[np.int64]
    """(nodes,): the number of a node's first neuron."""
    columns: Array
    values: NDArray[np.int64]
    begins: NDArray[np.int64]
    """(neurons + 1,): where the cores begin that listen to a neuron, for nodes that few neurons of which reach each core."""
    core: NDArray[np.int64]
    work: NDArray[np.int64]
    host: NDArray[np.int64]


class Counters(NamedTuple):
    """Counts of all samples, (samples, ticks, cores), and of ways, (samples, 3)."""

    work: NDArray[np.int64]
    sent: NDArray[np.int64]
    host: NDArray[np.int64]
    ways: NDArray[np.int64]


@entry
def tally(tables, meter, counters, spikes, chunk, t0, t1):
    """Count what the spikes of the ticks t0 .. t1 - 1 cause; ``spikes`` counts those of each neuron, all samples together."""
    for s in range(chunk.ptr.shape[0]):
        sample = chunk.extent[0] + s
        for index in range(len(tables.nodes)):
            node, first = tables.nodes[index], meter.first[index]
            events = chunk.events[s, node.events :]
            place = node.ptr + node.history - t0
            own = spikes[first : first + node.n]
            for k in range(chunk.ptr[s, place + t0], chunk.ptr[s, place + t1]):
                own[np.uint32(events[k])] += 1
            if meter.begins[first] == meter.begins[first + node.n]:
                continue
            for t in range(t0, t1):
                work, host = counters.work[sample, t], counters.host[sample, t]
                for k in range(chunk.ptr[s, place + t], chunk.ptr[s, place + t + 1]):
                    j = first + events[k]
                    for e in range(meter.begins[j], meter.begins[j + 1]):
                        work[meter.core[e]] += meter.work[e]
                        host[meter.core[e]] += meter.host[e]
        for number in range(len(meter.columns)):
            column = meter.columns[number]
            node = tables.nodes[column.node]
            events, values = chunk.events[s, node.events :], meter.values[column.values :]
            place = node.ptr + node.history - t0
            for t in range(t0, t1):
                begin, end = chunk.ptr[s, place + t], chunk.ptr[s, place + t + 1]
                total = (end - begin) * column.amount
                if column.amount == 0:
                    for k in range(begin, end):
                        total += values[np.uint32(events[k])]
                if column.kind == WORK:
                    counters.work[sample, t, column.place] += total
                elif column.kind == SENT:
                    counters.sent[sample, t, column.place] += total
                elif column.kind == HOST:
                    counters.host[sample, t, column.place] += total
                else:
                    counters.ways[sample, column.place] += total
