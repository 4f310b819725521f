"""Mt-KaHyPar: the hypergraph of the network, a net per neuron and its targets, whose sum of rate x (cores - 1) is packets."""

from __future__ import annotations

import time
from typing import Any

import mtkahypar  # type: ignore[import-not-found, unused-ignore]
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.partitioned import run, weights

Array = NDArray[Any]
MOST_PINS = 300_000
"""With more, the preset for large numbers of blocks is taken, since the default one takes minutes."""
IMBALANCE = 0.03
_known: list[Any] = []


def partition(network: dict[str, Array], k: int, threads: int) -> tuple[Array, float]:
    """Return the core of every atom, and seconds."""
    if not _known:
        _known.append(mtkahypar.initialize(threads))
    library = _known[0]
    start, target, rate = (network[key].tolist() for key in ("start", "target", "rate"))
    nets, costs = [], []
    for source, cost in enumerate(rate):
        pins = target[start[source] : start[source + 1]]
        if pins and pins != [source]:
            nets.append(pins if source in pins else [source, *pins])
            costs.append(cost)
    large = len(target) > MOST_PINS
    context = library.context_from_preset(mtkahypar.PresetType.LARGE_K if large else mtkahypar.PresetType.DEFAULT)
    context.set_partitioning_parameters(k, IMBALANCE, mtkahypar.Objective.KM1)
    context.logging = False
    mtkahypar.set_seed(0)
    hypergraph = library.create_hypergraph(context, len(rate), len(nets), nets, weights(network).tolist(), costs)
    begin = time.perf_counter()
    found = hypergraph.partition(context)
    return np.asarray(found.get_partition(), np.int64), time.perf_counter() - begin


if __name__ == "__main__":
    run("mtkahypar", partition)
