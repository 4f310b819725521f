"""What every peer's script needs, inside the peer's environment: the task, the clock and the report."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPETITIONS = 5
LEAST_SECONDS, MOST_SECONDS = 1.0, 10.0


class Task:
    """The network of the .npz and how to run it, from the command line: ``PEER NPZ SAMPLES THREADS``."""

    def __init__(self) -> None:
        self.peer, path, samples, threads = sys.argv[1:]
        self.samples, self.threads = int(samples), int(threads)
        with np.load(path) as arrays:
            self.arrays: dict[str, NDArray[Any]] = dict(arrays)
        self.stimulus = self.arrays["stimulus"][: self.samples]
        self.decay = int(self.arrays["decay"])
        self.leak = 1 - self.decay / 4096
        self._begin = time.perf_counter()

    def items(self, field: str) -> list[NDArray[Any]]:
        """Return the items of a field that is a tuple."""
        return [self.arrays[f"{field}_{i}"] for i in range(sum(name.startswith(f"{field}_") for name in self.arrays))]

    def measure(self, run: Callable[[], float | None], count: Callable[[], list[NDArray[Any]]], version: str) -> None:
        """Repeat a run and print the report.

        `run` simulates all samples from rest and may return the seconds that its framework measured itself. `count`
        returns the spikes of the last run per layer and neuron, summed over ticks and samples. Building is all that
        happened since the task was made.
        """
        build = time.perf_counter() - self._begin
        seconds: list[float] = []
        while (len(seconds) < REPETITIONS or sum(seconds) < LEAST_SECONDS) and sum(seconds) < MOST_SECONDS:
            begin = time.perf_counter()
            own = run()
            seconds.append(time.perf_counter() - begin if own is None else own)
        self.report(min(seconds), build, count(), version, len(seconds))

    def report(self, seconds: float, build: float, counts: list[NDArray[Any]], version: str, repetitions: int = 1) -> None:
        """Print the report. A synaptic operation is one connection of a source that spiked."""
        sources = [self.stimulus.sum(axis=(0, 1)), *counts]
        operations = sum(int(np.sum(n * fan_out)) for n, fan_out in zip(sources, self.items("fan_out"), strict=False))
        print(
            json.dumps(
                {
                    "seconds": seconds,
                    "build_seconds": build,
                    "spikes": [int(n.sum()) for n in counts],
                    "operations": operations,
                    "version": version,
                    "repetitions": repetitions,
                }
            )
        )
