"""Counts of what spikes cause on the cores of a chip, from the events of a block of ticks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels.jit import entry

HIGH = 32
"""Two counts share a 64-bit number: the one in the upper half never makes the lower one carry, as a tick has fewer than 2**32
events on a core."""


class Meter(NamedTuple):
    """What a spike of each neuron of each node causes; the neurons of all nodes stand one after another."""

    first: NDArray[np.int64]
    """(nodes,): the number of a node's first neuron."""
    begins: NDArray[np.int64]
    """(neurons + 1,): where the cores begin that listen to each neuron."""
    core: NDArray[np.int32]
    work: NDArray[np.int64]
    """Synaptic events << HIGH | synaptic operations there."""
    host: NDArray[np.int64]
    """1 where a spike is a message from the host."""
    home: NDArray[np.int32]
    """(neurons,): the core of the neuron, -1: none."""
    sent: NDArray[np.int64]
    """(neurons,): 1 << HIGH | messages per spike."""


class Counters(NamedTuple):
    """Counts of all samples: (samples, ticks, cores), and spikes of each neuron (samples, neurons)."""

    work: NDArray[np.int64]
    sent: NDArray[np.int64]
    host: NDArray[np.int64]
    spikes: NDArray[np.int64]


@entry
def tally(tables, meter, counters, chunk, t0, t1):
    """Count what the spikes of the ticks t0 .. t1 - 1 cause."""
    for s in range(chunk.ptr.shape[0]):
        sample = chunk.extent[0] + s
        for index in range(len(tables.nodes)):
            node, first = tables.nodes[index], meter.first[index]
            events = chunk.events[s, node.events :]
            place = node.ptr + node.history - t0
            spikes = counters.spikes[sample, first : first + node.n]
            for t in range(t0, t1):
                work, sent, host = counters.work[sample, t], counters.sent[sample, t], counters.host[sample, t]
                for k in range(chunk.ptr[s, place + t], chunk.ptr[s, place + t + 1]):
                    j = events[k]
                    spikes[j] += 1
                    for e in range(meter.begins[first + j], meter.begins[first + j + 1]):
                        work[meter.core[e]] += meter.work[e]
                        host[meter.core[e]] += meter.host[e]
                    home = meter.home[first + j]
                    if home >= 0:
                        sent[home] += meter.sent[first + j]
