"""SANA-FE on files: how long it simulates an exported network, without any trace.

``python -m benchmarks.peers.sanafe_time FOLDER TICKS REPETITIONS`` prints one object.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import sanafe  # type: ignore[import-not-found, unused-ignore]

THREADS = (1, 2)


def main() -> None:
    """Load once, run chips from their start, and keep the fastest run of any number of threads."""
    folder, ticks, repetitions = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    begin = time.perf_counter()
    architecture = sanafe.load_arch(folder / "arch.yaml")
    network = sanafe.load_net(folder / "net.yaml", architecture)
    loaded = time.perf_counter()
    seconds: dict[int, float] = {}
    energies, times = set(), set()
    for threads in THREADS * repetitions:
        chip = sanafe.SpikingChip(architecture)
        chip.load(network)
        start = time.perf_counter()
        result = chip.sim(ticks, timing_model="simple", processing_threads=threads)
        seconds[threads] = min(seconds.get(threads, float("inf")), time.perf_counter() - start)
        energies.add(result["energy"]["total"])
        times.add(result["sim_time"])
    report = {"load_seconds": loaded - begin, "seconds": min(seconds.values()), "seconds_of_threads": seconds}
    print(json.dumps(report | {"energies": sorted(energies), "sim_times": sorted(times)}))


if __name__ == "__main__":
    main()
