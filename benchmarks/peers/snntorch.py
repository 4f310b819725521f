"""snnTorch: the step loop of its tutorials, in inference mode."""

from __future__ import annotations

import snntorch  # type: ignore[import-not-found, unused-ignore]
import torch  # type: ignore[import-not-found, unused-ignore]

from benchmarks.peers.harness import Task
from benchmarks.peers.torch_layers import layers, stimulus


def main() -> None:
    """Measure."""
    task = Task()
    torch.set_num_threads(task.threads)
    synapses = layers(task)
    neurons = [
        snntorch.Leaky(beta=task.leak, threshold=float(threshold), reset_mechanism="zero")
        for threshold in task.arrays["thresholds"]
    ]
    inputs = stimulus(task)
    spikes: list[torch.Tensor] = []

    def run() -> None:
        membranes = [neuron.reset_mem() for neuron in neurons]
        record: list[list[torch.Tensor]] = [[] for _ in neurons]
        for step in inputs:
            signal = step
            for k, (synapse, neuron) in enumerate(zip(synapses, neurons, strict=True)):
                signal, membranes[k] = neuron(synapse(signal), membranes[k])
                record[k].append(signal)
        spikes[:] = [torch.stack(steps) for steps in record]

    with torch.inference_mode():
        task.measure(run, lambda: [layer.sum(dim=(0, 1)).numpy() for layer in spikes], snntorch.__version__)


if __name__ == "__main__":
    main()
