"""SpikingJelly: its neurons, what its exporter makes of them, and what its importer makes of our files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nir
import torch
from spikingjelly.activation_based import layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir

import neurocomp
from benchmarks.peers.interop.cases import Cases, Recorder, convolution, linear, stimulus
from benchmarks.peers.interop.ours import Array

NEURONS = (neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode, neuron.CUBALIFNode)


def two_layers(make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """Return two layers."""
    return torch.nn.Sequential(linear(1, 6, 10), make(), linear(3, 10, 5, bias=True), make())


def run(net: torch.nn.Module, x: torch.Tensor) -> list[Array]:
    """Return the spikes of each layer."""
    recorder = Recorder(net, NEURONS)
    for step in x:
        net(step)
    return recorder.arrays()


def export(net: torch.nn.Module, sample: torch.Tensor, path: Path) -> None:
    """Write NIR."""
    nir.write(path, export_to_nir(net, sample))


def run_imported(net: Any, x: torch.Tensor) -> list[Array]:
    """Return the spikes of each layer of a net that `import_from_nir` made, which hands its state on."""
    kinds = tuple({type(module) for module in net.modules() if hasattr(module, "module")})
    recorder, state = Recorder(net, kinds), None
    for step in x:
        _, state = net(step, state)
    return recorder.arrays()


def main() -> None:
    """Report."""
    cases = Cases(("spikingjelly", "nir", "nirtorch", "torch"))
    x, image = stimulus(7, 6), stimulus(8, 2, 8, 8)
    add: Callable[..., None] = partial(cases.add, run=run, export=export, take=neurocomp.from_spikingjelly)
    for name, reset in (("hard", 0.0), ("hard_value", -0.25), ("soft", None)):
        add(f"if_{name}", lambda v=reset: two_layers(lambda: neuron.IFNode(v_reset=v)), x)
        for decay in (True, False):
            how = {"v_reset": reset, "decay_input": decay, "v_threshold": 0.5}
            kind = f"{name}{'_decay_input' if decay else ''}"
            add(f"lif_{kind}", lambda o=how: two_layers(lambda: neuron.LIFNode(tau=2.0, **o)), x)
            add(f"plif_{kind}", lambda o=how: two_layers(lambda: neuron.ParametricLIFNode(init_tau=2.0, **o)), x)
        add(f"cuba_{name}", lambda v=reset: two_layers(
            lambda: neuron.CUBALIFNode(c_decay=0.5, v_decay=0.5, v_threshold=1.0, v_reset=v)), x)  # fmt: skip
    add("conv", lambda: torch.nn.Sequential(
        convolution(1, 2, 4, padding=1), neuron.IFNode(), layer.AvgPool2d(2), convolution(3, 4, 3), neuron.IFNode(),
        layer.Flatten(), linear(5, 12, 5), neuron.LIFNode(tau=2.0)), image)  # fmt: skip
    cases.foreign(run_imported, lambda path: import_from_nir(nir.read(path), dt=1e-4), "*")
    cases.write()


if __name__ == "__main__":
    main()
