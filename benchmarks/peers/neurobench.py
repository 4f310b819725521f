"""NeuroBench: its harness on networks of snnTorch with our integer weights, for tests/interop.

Called as ``neurobench NPZ``. Its ``populations`` are JSON: per population a ``threshold`` and ``synapses``, each of a ``kind``
(``linear`` or ``conv2d``, with ``stride``, ``padding``, ``dilation`` and ``groups``), the name of its ``weights`` among the
arrays and its ``source`` (0 is the input, k population k). ``batch`` is the number of samples of a call, ``stored_*`` are the
arrays whose footprint is asked for.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import snntorch  # type: ignore[import-not-found, unused-ignore]
import torch  # type: ignore[import-not-found, unused-ignore]
from neurobench.benchmarks import Benchmark  # type: ignore[import-not-found, unused-ignore]
from neurobench.metrics.static import ConnectionSparsity, Footprint  # type: ignore[import-not-found, unused-ignore]
from neurobench.metrics.workload import (  # type: ignore[import-not-found, unused-ignore]
    ActivationSparsity,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel  # type: ignore[import-not-found, unused-ignore]

Arrays = dict[str, Any]


class Net(torch.nn.Module):  # type: ignore[misc, unused-ignore]
    """Populations one after another; each adds up what its synapses make of its sources."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        populations = json.loads(str(arrays["populations"]))
        self.sources = [[synapse["source"] for synapse in p["synapses"]] for p in populations]
        self.synapses = torch.nn.ModuleList(
            torch.nn.ModuleList(_synapse(synapse, arrays[synapse["weights"]]) for synapse in p["synapses"]) for p in populations
        )
        self.neurons = torch.nn.ModuleList(
            snntorch.Leaky(1.0, p["threshold"], reset_mechanism="zero", reset_delay=False, init_hidden=True, output=True)
            for p in populations
        )
        self.last: list[Any] = []
        self.trains: list[list[Any]] = []
        """Of every population, the spikes of all ticks of the batch."""

    def reset(self) -> None:
        """Start a batch."""
        for neuron in self.neurons:
            neuron.reset_mem()
        self.last = [None] * len(self.neurons)
        self.trains = [[] for _ in self.neurons]

    def forward(self, x: Any) -> Any:
        """Make one tick of (batch, ...) values; a population that comes later in the list is heard in the next tick."""
        made = [x]
        for k, (sources, synapses, neuron) in enumerate(zip(self.sources, self.synapses, self.neurons, strict=True)):
            total: Any = 0
            for source, synapse in zip(sources, synapses, strict=True):
                values = made[source] if source <= k else self.last[source - 1]
                if values is None:
                    values = torch.zeros(len(x), synapse.in_features)
                total = total + synapse(values.flatten(1) if isinstance(synapse, torch.nn.Linear) else values)
            spikes, mem = neuron(total)
            self.trains[k].append(spikes)
            made.append(spikes)
        self.last = made[1:]
        return made[-1], mem


def _synapse(options: Arrays, weights: Any) -> Any:
    kernel = torch.from_numpy(weights.astype(np.float32))
    if options["kind"] == "linear":
        result = torch.nn.Linear(kernel.shape[1], kernel.shape[0], bias=False)
    else:
        size = kernel.shape
        result = torch.nn.Conv2d(
            size[1] * options["groups"], size[0], size[2:], options["stride"], options["padding"], options["dilation"],
            options["groups"], bias=False,
        )  # fmt: skip
    result.weight = torch.nn.Parameter(kernel, requires_grad=False)
    return result


class Stored(torch.nn.Module):  # type: ignore[misc, unused-ignore]
    """Arrays as buffers of their own width."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        for name, values in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.array(values)))


def main() -> None:
    """Print the metrics and the spikes of each population, in all samples and ticks."""
    with np.load(sys.argv[1]) as loaded:
        arrays: Arrays = dict(loaded)
    net, inputs = Net(arrays), torch.from_numpy(arrays["input"].astype(np.float32))
    spikes = np.zeros(len(net.neurons), int)

    def counted(output: Any) -> Any:
        for k, train in enumerate(net.trains):
            spikes[k] += int(sum(int(tick.count_nonzero()) for tick in train))
        return output

    dataset = torch.utils.data.TensorDataset(inputs, torch.zeros(len(inputs)))
    loader = torch.utils.data.DataLoader(dataset, batch_size=int(arrays["batch"]), shuffle=False)
    metrics = [[ConnectionSparsity], [ActivationSparsity, SynapticOperations]]
    with torch.inference_mode():
        results = Benchmark(SNNTorchModel(net), loader, [], [counted], metrics).run(quiet=True)
    stored = Stored({name: values for name, values in arrays.items() if name.startswith("stored_")})
    found = results["SynapticOperations"]
    print(
        json.dumps(
            {
                **{name: float(found[name]) for name in ("Effective_MACs", "Effective_ACs", "Dense")},
                "activation_sparsity": float(results["ActivationSparsity"]),
                "connection_sparsity": float(results["ConnectionSparsity"]),
                "footprint": int(Footprint()(SNNTorchModel(stored))),
                "spikes": spikes.tolist(),
            }
        )
    )


if __name__ == "__main__":
    main()
