"""NEST: its leaky integrate-and-fire neuron with delta synapses and the least delay, one tick, everywhere."""

from __future__ import annotations

import math
import time
from typing import Any

import nest  # type: ignore[import-not-found, unused-ignore]
import numpy as np

from benchmarks.peers.harness import Task


def main() -> None:
    """Measure."""
    task = Task()
    ticks = task.stimulus.shape[1]
    leaky = {"E_L": 0.0, "V_m": 0.0, "V_reset": 0.0, "t_ref": 0.0, "C_m": 1.0, "tau_m": -1 / math.log(task.leak)}
    populations: list[Any] = []
    counts: list[Any] = []

    def run() -> float:
        # A simulated network cannot go back to its start, so each repetition builds it; only Run is timed.
        nest.ResetKernel()
        nest.set(resolution=1.0, local_num_threads=task.threads, print_time=False)
        times = [{"spike_times": np.flatnonzero(train) + 2.0} for train in task.stimulus[0].T]
        populations[:] = [nest.Create("spike_generator", len(times), times)]
        recorders = []
        for size, threshold in zip(*task.neurons(), strict=True):
            populations.append(nest.Create("iaf_psc_delta", size, {**leaky, "V_th": float(threshold)}))
            recorders.append(nest.Create("spike_recorder"))
            nest.Connect(populations[-1], recorders[-1])
        for source, target, i, j, weights in task.connections():
            parameters = {"weight": weights.astype(float), "delay": np.ones(len(weights))}
            first = populations[source].global_id[0], populations[target].global_id[0]
            nest.Connect(i + first[0], j + first[1], "one_to_one", {"synapse_model": "static_synapse", **parameters})
        nest.Prepare()
        nest.Run(1.0)  # an empty tick, in which it sorts its connections
        begin = time.perf_counter()
        nest.Run(ticks + 1.0)
        seconds = time.perf_counter() - begin
        nest.Cleanup()
        counts[:] = [
            np.bincount(recorder.events["senders"] - population.global_id[0], minlength=len(population))
            for population, recorder in zip(populations[1:], recorders, strict=True)
        ]
        return seconds

    task.measure(run, lambda: counts, nest.__version__)


if __name__ == "__main__":
    main()
