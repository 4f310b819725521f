"""SANA-FE: its model of Loihi with the simple timing, each layer on as many cores as it needs."""

from __future__ import annotations

import importlib.metadata
import time
from typing import Any

import numpy as np
import sanafe  # type: ignore[import-not-found, unused-ignore]

from benchmarks.peers.harness import Task

NEURONS_PER_CORE = 1024
TRAINS = 40  # a reset does not rewind the trains of the input, so they are given once per repetition


def main() -> None:
    """Measure."""
    task = Task()
    ticks, inputs = task.stimulus.shape[1:]
    architecture = sanafe.load_loihi()
    cores = iter(architecture.cores())
    network = sanafe.Network()
    leaky = {"leak_decay": task.leak, "reset": 0.0, "force_update": True}
    groups = [network.create_neuron_group("input", inputs)]
    core = next(cores)
    for i, neuron in enumerate(groups[0].neurons):
        train = task.stimulus[0, :, i].tolist() * TRAINS
        neuron.set_attributes(soma_hw_name=f"loihi_inputs[{i}]", model_attributes={"spikes": train})
        neuron.map_to_core(core)
    for layer, (size, threshold) in enumerate(zip(*task.neurons(), strict=True)):
        attributes = {**leaky, "threshold": float(threshold)}
        groups.append(network.create_neuron_group(f"layer{layer}", size, attributes, log_spikes=True, soma_hw_name="loihi_lif"))
        for i, neuron in enumerate(groups[-1].neurons):
            if i % NEURONS_PER_CORE == 0:
                core = next(cores)
            neuron.map_to_core(core)
    for source, target, _, _, weights in task.connections():
        groups[source].connect_neurons_dense(groups[target], {"w": weights.astype(float)})
    chip = sanafe.SpikingChip(architecture)
    chip.load(network)
    trace: list[Any] = []

    def run() -> float:
        chip.reset()
        begin = time.perf_counter()
        result = chip.sim(ticks, timing_model="simple", processing_threads=task.threads, spike_trace=True)
        seconds = time.perf_counter() - begin
        assert result["spikes"], "the trains are at their end"
        trace[:] = result["spike_trace"]
        return seconds

    def count() -> list[Any]:
        counts = [np.zeros(size, int) for size in task.neurons()[0]]
        for tick in trace:
            for neuron in tick:
                counts[int(neuron.group_name.removeprefix("layer"))][neuron.neuron_offset] += 1
        return counts

    task.measure(run, count, importlib.metadata.version("sanafe"))


if __name__ == "__main__":
    main()
