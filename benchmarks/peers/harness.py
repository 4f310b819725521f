"""What every peer's script needs, inside the peer's environment: the task, the clock and the report."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPETITIONS = 5
LEAST_SECONDS, MOST_SECONDS = 2.0, 10.0


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

    def neurons(self) -> tuple[list[int], list[int]]:
        """Return the sizes and the thresholds of the dense layers or of the recurrent population."""
        if "weights" in self.arrays:
            return [len(self.arrays["weights"])], [int(self.arrays["threshold"])]
        return [weights.shape[1] for weights in self.items("weights")], self.arrays["thresholds"].tolist()

    def connections(self) -> Iterator[tuple[int, int, NDArray[Any], NDArray[Any], NDArray[Any]]]:
        """Yield source and target population, 0 is the input, and source index, target index and weight per connection."""
        if "weights" in self.arrays:
            for source, prefix in enumerate(("input_", "")):
                targets = self.arrays[f"{prefix}targets"]
                sources = np.repeat(np.arange(len(targets)), targets.shape[1])
                yield source, 1, sources, targets.ravel(), self.arrays[f"{prefix}weights"].ravel()
        else:
            for layer, weights in enumerate(self.items("weights")):
                rows, columns = np.indices(weights.shape)
                yield layer, layer + 1, rows.ravel(), columns.ravel(), weights.ravel()

    def measure(self, run: Callable[[], float | None], count: Callable[[], list[NDArray[Any]]], version: str) -> None:
        """Repeat a run and print the report.

        `run` simulates all samples from rest and may return the seconds that the simulation in it took, without building.
        `count` returns the spikes of the last run per layer and neuron, summed over ticks and samples. What happens up to
        the end of the first run and is not simulation is called building.
        """
        seconds: list[float] = []
        first = time.perf_counter()
        elapsed = build = 0.0
        while (len(seconds) < REPETITIONS or elapsed < LEAST_SECONDS) and elapsed < MOST_SECONDS:
            # What building left behind is no work for the collector during a run: Cython's compiler leaves a lot.
            gc.collect()
            gc.freeze()
            begin = time.perf_counter()
            own = run()
            seconds.append(time.perf_counter() - begin if own is None else own)
            build = build or time.perf_counter() - self._begin - seconds[0]
            elapsed = time.perf_counter() - first
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
