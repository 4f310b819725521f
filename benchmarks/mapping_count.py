"""What a mapping costs, counted from single synapses by plain numpy: nothing of it is shared with what makes the mappings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
IntArray = NDArray[np.int64]

TABLE, SYNAPSES = 1 << 25, 1 << 22
"""Elements of a table of sources and cores, and synapses, that are looked at in one piece."""
SHOWN = 5


class CapExceeded(Exception):
    """A core holds more than a cap allows, or a neuron more than any core does."""


@dataclass(frozen=True)
class Caps:
    """What a core of an ideal chip may hold; a synapse takes a byte, nothing is shared."""

    neurons: int
    axons: int
    synapses: int


CAPS = {"ideal-loihi": Caps(1024, 4096, 131_072), "ideal-truenorth": Caps(256, 256, 65_536)}
"""A crossbar of 256 x 256 has room for all synapses."""


@dataclass(frozen=True, eq=False)
class Use:
    """What an assignment of neurons to cores costs; axons of a core are the distinct sources of its neurons."""

    packets: int
    """Sum over neurons of the rate x cores reached beside the own one."""
    neurons: IntArray
    axons: IntArray
    synapses: IntArray
    source: IntArray
    """Pairs of cores that send and receive, if asked for,"""
    target: IntArray
    traffic: IntArray
    """and their packets."""

    @property
    def cores(self) -> int:
        """Cores that hold something."""
        return int(np.count_nonzero(self.neurons))

    def beyond(self, caps: Caps) -> dict[str, IntArray]:
        """Return the cores that hold too many neurons, axons, synapses."""
        kinds = ("neurons", "axons", "synapses")
        return {kind: np.flatnonzero(getattr(self, kind) > getattr(caps, kind)) for kind in kinds}

    def verify(self, caps: Caps) -> Use:
        """Return itself.

        Raises:
            CapExceeded: A core holds too much.
        """
        for kind, cores in self.beyond(caps).items():
            if len(cores):
                worst = int(getattr(self, kind)[cores].max())
                shown = ", ".join(map(str, cores[:SHOWN])) + (", ..." if len(cores) > SHOWN else "")
                raise CapExceeded(f"{len(cores)} cores hold more than {getattr(caps, kind)} {kind}, up to {worst}: {shown}")
        return self


def count(start: IntArray, target: Array, rate: IntArray, core: IntArray, *, pairs: bool = False) -> Use:
    """Count what an assignment costs.

    Args:
        start: (n + 1,): neuron i reaches ``target[start[i]:start[i + 1]]``.
        target: Neurons, each once per source.
        rate: Of each neuron, (n,).
        core: Of each neuron, (n,), from 0 on.
        pairs: Whether the packets between pairs of cores are counted too.
    """
    n = len(rate)
    if len(core) != n or (n and core.min() < 0):
        raise ValueError("every neuron needs a core")
    k = int(core.max(initial=-1)) + 1
    packets, axons, between = 0, np.zeros(k, np.int64), np.zeros(k * k if pairs else 0, np.int64)
    first = 0
    while first < n:
        last = int(np.searchsorted(start, start[first] + SYNAPSES, side="right")) - 1
        last = min(n, max(first + 1, min(last, first + max(1, TABLE // k))))
        reached = np.zeros((last - first, k), np.bool_)
        source = np.repeat(np.arange(last - first), np.diff(start[first : last + 1]))
        reached[source, core[target[start[first] : start[last]]]] = True
        axons += reached.sum(axis=0)
        reached[np.arange(last - first), core[first:last]] = False
        packets += int(reached.sum(axis=1) @ rate[first:last])
        if pairs:
            sender, receiver = np.nonzero(reached)
            np.add.at(between, core[first + sender] * k + receiver, rate[first + sender])
        first = last
    fan_in = np.bincount(target, minlength=n)
    held = np.bincount(core, minlength=k), np.bincount(core, weights=fan_in, minlength=k).astype(np.int64)
    some = np.flatnonzero(between)
    return Use(packets, held[0], axons, held[1], some // max(k, 1), some % max(k, 1), between[some])


def hops(use: Use, x: IntArray, y: IntArray) -> int:
    """Return the packets x hops of cores at (x, y): one packet to each target core, on a shortest way in the mesh."""
    away = np.abs(x[use.source] - x[use.target]) + np.abs(y[use.source] - y[use.target])
    return int(away @ use.traffic)
