"""Norse: its cells, what its exporter makes of them, and what its importer makes of our files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nir
import norse.torch as norse
import torch
from norse.torch.functional.reset import reset_subtract, reset_value
from norse.torch.module.iaf import IAFCell, IAFParameters
from norse.torch.module.leaky_integrator_box import LIBoxCell, LIBoxParameters
from norse.torch.module.lif import LIFCell, LIFParameters, LIFRecurrentCell
from norse.torch.module.lif_box import LIFBoxCell, LIFBoxParameters

import neurocomp
from benchmarks.peers.interop.cases import Cases, Recorder, convolution, linear, numbers, stimulus
from benchmarks.peers.interop.ours import Array

CELLS = (LIFBoxCell, LIFCell, LIBoxCell, IAFCell, LIFRecurrentCell)
DT = 2.0**-10
HALF = 2.0**9
"""An inverse time constant with which a tick of `DT` leaves half of a state."""


def layers(*cells: torch.nn.Module) -> torch.nn.Module:
    """Return layers of 10 and 5 neurons."""
    return norse.SequentialState(linear(1, 6, 10, bias=True), cells[0], linear(3, 10, 5), cells[1])


def run(net: torch.nn.Module, x: torch.Tensor) -> list[Array]:
    """Return the spikes of each layer."""
    recorder, state = Recorder(net, CELLS), None
    for step in x:
        _, state = net(step, state)
    return recorder.arrays()


def run_alone(net: torch.nn.Module, x: torch.Tensor) -> list[Array]:
    """Return the spikes of each layer for one sample, (ticks, *shape)."""
    recorder, state = Recorder(net, CELLS), None
    for step in x:
        _, state = net(step, state)
    return recorder.alone()


def per(size: int, value: float) -> torch.Tensor:
    """Return a parameter of a layer."""
    return torch.full((size,), value)


def box(size: int, **options: Any) -> torch.nn.Module:
    """Return LIFBox neurons, half of whose potential is left after a tick."""
    p = {"tau_mem_inv": HALF, "v_th": 0.5, "v_leak": 0.0, "v_reset": 0.0}
    method = {"reset_method": options.pop("reset_method", reset_value)}
    values = {key: per(size, value) for key, value in {**p, **options}.items()} | method
    return LIFBoxCell(LIFBoxParameters(**values), dt=DT)


def current(size: int) -> torch.nn.Module:
    """Return current-based neurons."""
    p = {"tau_mem_inv": HALF, "tau_syn_inv": HALF, "v_th": 0.5, "v_leak": 0.0, "v_reset": 0.0}
    return LIFCell(LIFParameters(**{key: per(size, value) for key, value in p.items()}), dt=DT)


def default() -> torch.nn.Module:
    """Return neurons with the parameters that Norse gives them, and weights that reach their threshold."""
    layer = linear(1, 6, 5)
    layer.weight = torch.nn.Parameter(numbers(1, 5, 6, largest=64))
    return norse.SequentialState(layer, LIFBoxCell(dt=DT))


def export(net: torch.nn.Module, sample: torch.Tensor, path: Path, **options: Any) -> None:
    """Write NIR."""
    nir.write(path, norse.to_nir(net, sample, **options))


def main() -> None:
    """Report."""
    cases = Cases(("norse", "nir", "nirtorch", "torch"))
    x, image = stimulus(7, 6), stimulus(8, 2, 8, 8)
    add: Callable[..., None] = partial(cases.add, run=run, take=neurocomp.from_norse)
    for name, dt in (("", 1.0), ("_default_dt", DT)):
        how = {"export": partial(export, dt=dt)}
        add(f"box{name}", lambda: layers(box(10), box(5)), x, **how)
        add(f"lif{name}", lambda: layers(current(10), current(5)), x, **how)
        add(f"iaf{name}", lambda: layers(*(IAFCell(IAFParameters(v_th=per(n, 1.0)), dt=DT) for n in (10, 5))), x, **how)
        add(f"box_li{name}", lambda: layers(box(10), LIBoxCell(LIBoxParameters(per(5, HALF), per(5, 0.25)), dt=DT)), x, **how)
    how = {"export": partial(export, dt=1.0)}
    add("box_leak", lambda: layers(box(10, v_leak=0.25), box(5, v_leak=-0.125)), x, **how)
    add("box_reset", lambda: layers(box(10, v_reset=-0.5), box(5, v_reset=0.25)), x, **how)
    add("box_subtract", lambda: layers(box(10, reset_method=reset_subtract), box(5, reset_method=reset_subtract)), x, **how)
    add("box_default", default, x, **how)
    add("recurrent", lambda: norse.SequentialState(LIFRecurrentCell(6, 5, dt=DT)), x, **how)
    add("conv", lambda: norse.SequentialState(
        convolution(1, 2, 4, padding=1), IAFCell(IAFParameters(v_th=torch.ones(4, 8, 8)), dt=DT),
        convolution(3, 4, 3, stride=2), IAFCell(IAFParameters(v_th=torch.ones(3, 3, 3)), dt=DT)), image, **how)  # fmt: skip
    cases.foreign(run_alone, lambda path: norse.from_nir(nir.read(path), dt=1e-4), "*", batched=False)
    cases.write()


if __name__ == "__main__":
    main()
