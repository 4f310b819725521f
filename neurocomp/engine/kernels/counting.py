"""Counts of what spikes cause on the cores of a chip, from the events of a block of ticks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels.jit import entry, kernel
from neurocomp.engine.kernels.records import Array, row_of

HIGH = 32
"""Two counts share a 64-bit number: the one in the lower half never carries into the upper one, as a tick has fewer than 2**32
events on a core."""
WORK, SENT, HOST, SUMS, ARRIVED = 0, 1, 2, 3, 4

NOTHING = -1

COLUMN = row_of(
    "node",
    "kind",  # WORK: synaptic events << HIGH | operations; SENT: spikes, ARRIVED: words, each << HIGH | messages; HOST; SUMS
    "place",  # core, or which sum
    "amount",  # what every spike causes
)
"""Something that all spikes of a node cause alike, added up per tick and core."""
QUARTET = row_of(
    "node", "kind0", "kind1", "kind2", "kind3", "place0", "place1", "place2", "place3",
    "values",  # offset of what a spike of each neuron causes, (neurons, 4)
)  # fmt: skip
"""Up to four things (the others NOTHING) of which each neuron causes its own amount: added with one instruction."""


class Meter(NamedTuple):
    """What a spike of each neuron of each node causes; the neurons of all nodes stand one after another."""

    first: NDArray[np.int64]
    """(nodes,): the number of a node's first neuron."""
    columns: Array
    quartets: Array
    values: NDArray[np.int64]
    begins: NDArray[np.int64]
    """(neurons + 1,): where the cores begin that listen to a neuron, for nodes that few neurons of which reach each core."""
    listed: NDArray[np.int64]
    """(listeners, 4): the core, and what a spike adds there to work, host and arrived; together, as they are read together."""
    home: NDArray[np.int64]
    """(neurons,): the core of each neuron of nodes that are on many; NOTHING: columns and quartets say what its core sends."""
    sent: NDArray[np.int64]
    """(neurons,): what a spike adds at that core."""


class Counters(NamedTuple):
    """Counts of all samples, (samples, ticks, cores), and what they sum up to wherever it happens, (samples, sums)."""

    work: NDArray[np.int64]
    sent: NDArray[np.int64]
    host: NDArray[np.int64]
    arrived: NDArray[np.int64]
    sums: NDArray[np.int64]


@kernel
def put(counters, sample, t, kind, place, total):
    """Add what spikes of a tick caused."""
    if kind == WORK:
        counters.work[sample, t, place] += total
    elif kind == SENT:
        counters.sent[sample, t, place] += total
    elif kind == HOST:
        counters.host[sample, t, place] += total
    elif kind == ARRIVED:
        counters.arrived[sample, t, place] += total
    elif kind == SUMS:
        counters.sums[sample, place] += total


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
            sends = node.n > 0 and meter.home[first] != NOTHING
            if not sends and meter.begins[first] == meter.begins[first + node.n]:
                continue
            for t in range(t0, t1):
                work, host, arrived = counters.work[sample, t], counters.host[sample, t], counters.arrived[sample, t]
                sent = counters.sent[sample, t]
                for k in range(chunk.ptr[s, place + t], chunk.ptr[s, place + t + 1]):
                    j = first + events[k]
                    if sends:
                        sent[meter.home[j]] += meter.sent[j]
                    for e in range(np.uint64(meter.begins[j]), np.uint64(meter.begins[j + 1])):
                        core = np.uint64(meter.listed[e, 0])
                        work[core] += meter.listed[e, 1]
                        host[core] += meter.listed[e, 2]
                        arrived[core] += meter.listed[e, 3]
        for number in range(len(meter.columns)):
            column = meter.columns[number]
            node = tables.nodes[column.node]
            place = node.ptr + node.history - t0
            for t in range(t0, t1):
                count = chunk.ptr[s, place + t + 1] - chunk.ptr[s, place + t]
                put(counters, sample, t, column.kind, column.place, count * column.amount)
        for number in range(len(meter.quartets)):
            q = meter.quartets[number]
            node, values = tables.nodes[q.node], meter.values[q.values :]
            events = chunk.events[s, node.events :]
            place = node.ptr + node.history - t0
            for t in range(t0, t1):
                a, b, c, d = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
                for k in range(chunk.ptr[s, place + t], chunk.ptr[s, place + t + 1]):
                    j = np.uint64(4) * np.uint64(events[k])
                    a += values[j]
                    b += values[j + np.uint64(1)]
                    c += values[j + np.uint64(2)]
                    d += values[j + np.uint64(3)]
                put(counters, sample, t, q.kind0, q.place0, a)
                put(counters, sample, t, q.kind1, q.place1, b)
                put(counters, sample, t, q.kind2, q.place2, c)
                put(counters, sample, t, q.kind3, q.place3, d)
