"""SpikingJelly: its multi-step mode, in which a layer's map is applied to all ticks at once."""

from __future__ import annotations

import importlib.metadata

import torch  # type: ignore[import-not-found, unused-ignore]
from spikingjelly.activation_based import functional, layer, neuron  # type: ignore[import-not-found, unused-ignore]

from benchmarks.peers.harness import Task
from benchmarks.peers.torch_layers import layers, stimulus


def main() -> None:
    """Measure."""
    task = Task()
    torch.set_num_threads(task.threads)
    network = torch.nn.Sequential()
    for synapse, threshold in zip(layers(task), task.arrays["thresholds"], strict=True):
        lif = neuron.LIFNode(tau=4096 / task.decay, decay_input=False, v_threshold=float(threshold), v_reset=0.0, step_mode="m")
        network.append(layer.SeqToANNContainer(synapse)).append(lif)
    network.eval()
    inputs = stimulus(task)
    spikes: list[torch.Tensor] = []

    def run() -> None:
        functional.reset_net(network)
        spikes.clear()
        signal = inputs
        for module in network:
            signal = module(signal)
            if isinstance(module, neuron.LIFNode):
                spikes.append(signal)

    with torch.inference_mode():
        count = lambda: [record.sum(dim=(0, 1)).numpy() for record in spikes]  # noqa: E731
        task.measure(run, count, importlib.metadata.version("spikingjelly"))


if __name__ == "__main__":
    main()
