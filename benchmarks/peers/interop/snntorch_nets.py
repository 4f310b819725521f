"""snnTorch: its neurons, what its exporter makes of them, and what its importer makes of our files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nir
import snntorch as snn
import torch
from snntorch.export_nir import export_to_nir
from snntorch.import_nir import import_from_nir

import neurocomp
from benchmarks.peers.interop.cases import Cases, Recorder, convolution, linear, numbers, stimulus
from benchmarks.peers.interop.ours import Array

NEURONS = (snn.Leaky, snn.Synaptic, snn.RLeaky, snn.RSynaptic, snn.Lapicque, snn.Alpha)
Make = Callable[..., torch.nn.Module]


def two_layers(make: Make) -> torch.nn.Module:
    """Return two layers, whose neurons ``make(*shape)`` gives."""
    return torch.nn.Sequential(linear(1, 6, 10), make(10), linear(3, 10, 5, bias=True), make(5))


def convolutions(make: Make) -> torch.nn.Module:
    """Return two convolutions, an average pool and a linear layer."""
    return torch.nn.Sequential(
        convolution(1, 2, 4, padding=1), make(4, 8, 8), torch.nn.AvgPool2d(2), convolution(3, 4, 3), make(3, 2, 2),
        torch.nn.Flatten(), linear(5, 12, 5), make(5),
    )  # fmt: skip


def neurons(kind: Any, *shape: int, **options: Any) -> torch.nn.Module:
    """Return neurons that have parameters of their own each, without which the exporter fails."""
    own = {key: torch.full(shape, options.pop(key)) for key in ("alpha", "beta") if key in options}
    made: torch.nn.Module = kind(init_hidden=True, threshold=torch.ones(shape), **own, **options)
    return made


def recurrent(kind: Any, size: int, **options: Any) -> torch.nn.Module:
    """Return a recurrent layer."""
    layer: torch.nn.Module = kind(linear_features=size, init_hidden=True, **options)
    layer.recurrent.weight = torch.nn.Parameter(numbers(size, size, size, largest=4))
    layer.recurrent.bias = torch.nn.Parameter(numbers(size + 1, size, largest=1))
    return layer


def run(net: torch.nn.Module, x: torch.Tensor) -> list[Array]:
    """Return the spikes of each layer."""
    recorder = Recorder(net, NEURONS)
    for step in x:
        net(step)
    return recorder.arrays()


def run_alone(net: torch.nn.Module, x: torch.Tensor) -> list[Array]:
    """Return the spikes of each layer of an imported net for one sample, (ticks, *shape)."""
    recorder, state = Recorder(net, NEURONS), None
    for step in x:
        _, state = net(step, state)
    return recorder.alone()


def export(net: torch.nn.Module, sample: torch.Tensor, path: Path) -> None:
    """Write NIR."""
    nir.write(path, export_to_nir(net, sample, ignore_dims=[0]))


def rebuilt(reset: str, path: Path) -> torch.nn.Module:
    """Return the chain of a file of IF neurons, sums and convolutions, which the importer cannot read, layer by layer."""
    graph = nir.read(path)
    layers: list[torch.nn.Module] = []
    for name in sorted(set(graph.nodes) - {"input", "output"}, key=int):
        node = graph.nodes[name]
        if isinstance(node, nir.Conv2d):
            layer: torch.nn.Module = torch.nn.Conv2d(
                node.weight.shape[1], node.weight.shape[0], node.weight.shape[2:], tuple(node.stride), tuple(node.padding)
            )
        elif isinstance(node, nir.Affine):
            layer = torch.nn.Linear(node.weight.shape[1], node.weight.shape[0])
        elif isinstance(node, nir.SumPool2d):
            layer = torch.nn.AvgPool2d(tuple(node.kernel_size), tuple(node.stride), divisor_override=1)
        elif isinstance(node, nir.IF):
            layer = snn.Leaky(1.0, init_hidden=True, reset_mechanism=reset, reset_delay=reset == "subtract")
        else:
            layer = torch.nn.Flatten()
        if hasattr(node, "weight"):
            layer.weight = torch.nn.Parameter(torch.tensor(node.weight))
            layer.bias = torch.nn.Parameter(torch.tensor(node.bias))
        layers.append(layer)
    return torch.nn.Sequential(*layers)


def main() -> None:
    """Report."""
    cases = Cases(("snntorch", "nir", "nirtorch", "torch"))
    x, image = stimulus(7, 6), stimulus(8, 2, 8, 8)
    add: Callable[..., None] = partial(cases.add, run=run, export=export, take=neurocomp.from_snntorch)
    half: dict[str, Any] = {"beta": 0.5}
    both: dict[str, Any] = {"alpha": 0.5, "beta": 0.5}
    now: dict[str, Any] = {"reset_mechanism": "zero", "reset_delay": False}
    for reset in ("zero", "subtract", "none"):
        for delay in (True, False):
            how: dict[str, Any] = {"reset_mechanism": reset, "reset_delay": delay}
            name = f"{reset}_delayed" if delay else reset
            add(f"leaky_{name}", partial(two_layers, partial(neurons, snn.Leaky, **half, **how)), x)
            add(f"synaptic_{name}", partial(two_layers, partial(neurons, snn.Synaptic, **both, **how)), x)
            add(f"rleaky_{name}", partial(two_layers, partial(recurrent, snn.RLeaky, **half, **how)), x)
            if delay:  # without, RSynaptic raises in its first step
                add(f"rsynaptic_{name}", partial(two_layers, partial(recurrent, snn.RSynaptic, **both, **how)), x)
    add("conv", partial(convolutions, partial(neurons, snn.Leaky, **half, **now)), image)
    own = {"beta": torch.tensor([0.5, 0.75, 0.25, 0.5, 0.0]), "threshold": torch.tensor([1.0, 0.5, 0.75, 2.0, 1.0])}
    add("leaky_own", lambda: torch.nn.Sequential(linear(1, 6, 5), snn.Leaky(init_hidden=True, **own, **now)), x)
    add("leaky_scalar", partial(two_layers, lambda *_: snn.Leaky(0.5, init_hidden=True, **now)), x)
    add("rleaky_one_to_one", partial(two_layers, lambda n: snn.RLeaky(
        0.5, V=numbers(n, n, largest=4), all_to_all=False, init_hidden=True, **now)), x)  # fmt: skip
    add("lapicque", partial(two_layers, lambda *_: snn.Lapicque(0.5, init_hidden=True, reset_mechanism="zero")), x)
    add("alpha", partial(two_layers, lambda *_: snn.Alpha(0.75, 0.5, init_hidden=True, reset_mechanism="zero")), x)
    add("inhibition", partial(two_layers, lambda *_: snn.Leaky(0.5, init_hidden=True, inhibition=True, **now)), x)
    for reset in ("zero", "subtract"):
        cases.foreign(run, partial(rebuilt, reset), "cnn_sinabs", reset)
    cases.foreign(run_alone, lambda path: import_from_nir(nir.read(path)), "*", batched=False)
    cases.write()


if __name__ == "__main__":
    main()
