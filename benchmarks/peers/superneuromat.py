"""SuperNeuroMAT: its neurons leak by a constant, here by what one at its threshold loses in a tick."""

from __future__ import annotations

import importlib.metadata
import time

import numpy as np
from superneuromat import SNN  # type: ignore[import-not-found, unused-ignore]

from benchmarks.peers.harness import Task


def main() -> None:
    """Measure."""
    task = Task()
    ticks, inputs = task.stimulus.shape[1:]
    network = SNN()
    network.default_dtype = np.float32
    network.backend, network.sparse = "cpu", False
    network.manual_setup = True
    for _ in range(inputs):
        network.create_neuron()
    first = [0, inputs]
    for size, threshold in zip(*task.neurons(), strict=True):
        for _ in range(size):
            network.create_neuron(threshold=threshold, leak=threshold * task.decay / 4096)
        first.append(first[-1] + size)
    for source, target, i, j, weights in task.connections():
        # What create_synapse does, without its checks, which take a minute here.
        network.pre_synaptic_neuron_ids += (i + first[source]).tolist()
        network.post_synaptic_neuron_ids += (j + first[target]).tolist()
        network.synaptic_weights += weights.tolist()
        network.synaptic_delays += [1] * len(weights)
        network.enable_stdp += [False] * len(weights)

    def run() -> float:
        network.reset()
        for tick, neuron in np.argwhere(task.stimulus[0]).tolist():
            network.add_spike(tick, neuron)
        network.setup()
        network.setup_input_spikes(ticks)
        begin = time.perf_counter()
        network.simulate(ticks)
        return time.perf_counter() - begin

    def count() -> list[np.ndarray]:
        return np.split(np.sum(network.spike_train, axis=0), first[1:-1])[1:]

    task.measure(run, count, importlib.metadata.version("superneuromat"))


if __name__ == "__main__":
    main()
