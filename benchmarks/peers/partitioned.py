"""What the peers that partition graphs have in common: the network they are given, and the report they print."""

from __future__ import annotations

import importlib.metadata
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SCALE = 10_000
"""Weight of a full core."""


def weights(network: dict[str, Array]) -> Array:
    """Return one weight per atom: the larger part of a core that its neurons and its synapses take."""
    neurons, synapses = network["caps"][0], network["caps"][2]
    part = np.maximum(network["neurons"] / neurons, network["memory"] / synapses)
    return np.asarray(np.maximum(1, np.ceil(SCALE * part)), np.int64)


def run(package: str, partition: Callable[[dict[str, Array], int, int], tuple[Array, float]]) -> None:
    """Partition the atoms of a file once for each number of cores and write their cores beside it.

    ``python -m benchmarks.peers.NAME FILE CORES,CORES,... THREADS``; ``partition`` returns the cores and its seconds, without
    the conversion of its input.
    """
    path, threads = Path(sys.argv[1]), int(sys.argv[3])
    with np.load(path) as file:
        network = {key: file[key] for key in file.files}
    runs = []
    for k in map(int, sys.argv[2].split(",")):
        begin, cpu = time.perf_counter(), time.process_time()
        core, seconds = partition(network, k, threads)
        spent = time.perf_counter() - begin
        np.save(path.with_name(f"cores-{k}.npy"), core.astype(np.int64))
        report = {
            "cores": k,
            "seconds": seconds,
            "conversion_seconds": spent - seconds,
            "cpu_seconds": time.process_time() - cpu,
        }
        runs.append(report)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"runs": runs, "version": importlib.metadata.version(package), "peak_mb": memory}))
