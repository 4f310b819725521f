"""METIS by pip's ``pymetis``: the edge cut of the network without directions, each synapse weighted with its source's rate."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pymetis  # type: ignore[import-not-found, unused-ignore]
from numpy.typing import NDArray

from benchmarks.peers.partitioned import run, weights

Array = NDArray[Any]


def undirected(network: dict[str, Array]) -> tuple[Array, Array, Array]:
    """Return lists of neighbours, and the packets between each and its neighbour, of both directions."""
    start, target, rate = network["start"], network["target"].astype(np.int64), network["rate"]
    n = len(rate)
    source = np.repeat(np.arange(n), np.diff(start))
    apart = source != target
    source, target = source[apart], target[apart]
    key = np.concatenate([source * n + target, target * n + source])
    order = np.argsort(key, kind="stable")
    key, rate_of = key[order], np.concatenate([rate[source], rate[source]])[order]
    first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    weight = np.add.reduceat(rate_of, first)
    source, target = np.divmod(key[first], n)
    return np.concatenate(([0], np.cumsum(np.bincount(source, minlength=n)))), target, weight


def partition(network: dict[str, Array], k: int, threads: int) -> tuple[Array, float]:
    """Return the core of every atom, and seconds."""
    start, neighbours, packets = undirected(network)
    balanced = weights(network)
    begin = time.perf_counter()
    _, part = pymetis.part_graph(
        k, xadj=start, adjncy=neighbours, vweights=balanced, eweights=packets, recursive=False, options=pymetis.Options(seed=0)
    )
    return np.asarray(part, np.int64), time.perf_counter() - begin


if __name__ == "__main__":
    run("pymetis", partition)
