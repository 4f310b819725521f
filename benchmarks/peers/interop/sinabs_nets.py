"""sinabs: its layers, what its exporter makes of them, and what its importer makes of our files."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nir
import sinabs.layers as sl
import torch
from sinabs.activation import MembraneReset, SingleSpike
from sinabs.nir import from_nir, to_nir

import neurocomp
from benchmarks.peers.interop.cases import Cases, convolution, linear, stimulus
from benchmarks.peers.interop.ours import Array

NEURONS = (
    sl.IAF, sl.LIF, sl.ExpLeak, sl.ALIF, sl.IAFSqueeze, sl.LIFSqueeze, sl.ExpLeakSqueeze, sl.LIFRecurrent, sl.IAFRecurrent,
)  # fmt: skip
TAU = 1 / math.log(2)
"""Half of a state is left after a tick, to the accuracy of float32."""
OFF_GRID = 1.0303
"""A threshold that no sum of multiples of powers of two reaches, as that half is none in float64."""


def run(net: torch.nn.Module, x: torch.Tensor, *, squeeze: bool = True) -> list[Array]:
    """Return the spikes of each layer."""
    found: list[Array] = []
    inputs = x.swapaxes(0, 1)
    samples, ticks = inputs.shape[:2]

    def keep(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
        found.append(output.detach().numpy().reshape(samples, ticks, -1).copy())

    for module in net.modules():
        if type(module) in NEURONS:
            module.register_forward_hook(keep)
    net(inputs.reshape(-1, *inputs.shape[2:]) if squeeze else inputs)
    return found


def export(net: torch.nn.Module, sample: torch.Tensor, path: Path) -> None:
    """Write NIR."""
    nir.write(path, to_nir(net, sample))


def imported(path: Path) -> torch.nn.Module:
    """Return a net that takes one sample after the other, as its neurons do not tell samples of one batch apart."""
    net: torch.nn.Module = from_nir(nir.read(path), batch_size=1)
    return net


def run_alone(net: torch.nn.Module, x: torch.Tensor) -> list[Array]:
    """Return the spikes of each layer for one sample, (ticks, *shape)."""
    return [layer[0] for layer in run(net, x[:, None])]


def two_layers(make: Callable[[int], torch.nn.Module]) -> torch.nn.Module:
    """Return two layers, whose neurons ``make(size)`` gives."""
    return torch.nn.Sequential(linear(1, 6, 10, bias=True), make(10), linear(3, 10, 5), make(5))


def main() -> None:
    """Report."""
    cases = Cases(("sinabs", "nir", "nirtorch", "torch"))
    x, image = stimulus(7, 6), stimulus(8, 2, 8, 8)
    ticks, with_time = len(x), x.swapaxes(0, 1)[:1]
    add: Callable[..., None] = partial(cases.add, run=run, export=export, take=neurocomp.from_sinabs, sample=x[:, 0])
    floor, single = {"min_v_mem": -1.0}, {"spike_fn": SingleSpike}
    plain: dict[str, Any] = {"tau_mem": TAU, "norm_input": False, "spike_threshold": torch.tensor(OFF_GRID)}

    def same(kind: Any, **options: Any) -> Callable[[], torch.nn.Module]:
        return partial(two_layers, lambda _size: kind(num_timesteps=ticks, **options))

    add("iaf", same(sl.IAFSqueeze), x)
    add("iaf_floor", same(sl.IAFSqueeze, **floor), x)
    add("iaf_single", same(sl.IAFSqueeze, **floor, **single), x)
    add("iaf_reset", same(sl.IAFSqueeze, **floor, **single, reset_fn=MembraneReset()), x)
    add("iaf_syn", same(sl.IAFSqueeze, tau_syn=TAU), x)
    add("lif", same(sl.LIFSqueeze, **plain), x)
    add("lif_floor", same(sl.LIFSqueeze, **plain, min_v_mem=-0.25), x)
    add("lif_norm_input", same(sl.LIFSqueeze, tau_mem=TAU, spike_threshold=torch.tensor(0.2303)), x)
    add("lif_syn", same(sl.LIFSqueeze, **plain, tau_syn=TAU), x)
    add(
        "lif_own",
        partial(
            two_layers,
            lambda n: sl.LIFSqueeze(
                num_timesteps=ticks, norm_input=False, tau_mem=torch.full((n,), TAU), spike_threshold=torch.full((n,), OFF_GRID)
            ),
        ),
        x,
    )
    add("exp_leak", lambda: torch.nn.Sequential(
        linear(1, 6, 10), sl.IAFSqueeze(num_timesteps=ticks, **floor), linear(3, 10, 5),
        sl.ExpLeakSqueeze(tau_mem=TAU, num_timesteps=ticks)), x)  # fmt: skip
    time = {"run": partial(run, squeeze=False), "sample": with_time}
    add("iaf_with_time", partial(two_layers, lambda _size: sl.IAF(**floor)), x, **time)
    add("alif", partial(two_layers, lambda _size: sl.ALIF(tau_mem=TAU, tau_adapt=TAU)), x, **time)
    add("lif_recurrent", partial(two_layers, lambda n: sl.LIFRecurrent(rec_connect=linear(5, n, n), **plain)), x, **time)
    add("conv", lambda: torch.nn.Sequential(
        convolution(1, 2, 4, padding=1), sl.IAFSqueeze(num_timesteps=ticks), sl.SumPool2d(2), convolution(3, 4, 3),
        sl.IAFSqueeze(num_timesteps=ticks), torch.nn.Flatten(), linear(5, 12, 5), sl.IAFSqueeze(num_timesteps=ticks)),
        image, sample=image[:, 0])  # fmt: skip
    cases.foreign(run_alone, imported, "*", batched=False)
    cases.write()


if __name__ == "__main__":
    main()
