"""The pictures of docs/neuron-models.md: ``python -m examples.families.neurons.plots FOLDER``.

Curves of integers are those of the engine ``reference``; beside them stand real numbers or closed forms.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

import neurocomp
from examples.families.neurons import patterns
from neurocomp.api import Compiled, run_network
from neurocomp.frontends import from_yaml
from neurocomp.ir.network import Network

Array = NDArray[Any]
IZHIKEVICH = {
    "RS  regular spiking": ("a: 0.02, b: 0.2, c: -65, d: 8", 10.0),
    "IB  intrinsically bursting": ("a: 0.02, b: 0.2, c: -55, d: 4", 10.0),
    "CH  chattering": ("a: 0.02, b: 0.2, c: -50, d: 2", 10.0),
    "FS  fast spiking": ("a: 0.1, b: 0.2, c: -65, d: 2", 10.0),
    "LTS  low-threshold spiking": ("a: 0.02, b: 0.25, c: -65, d: 2, u_init: -16.25", 10.0),
    "TC  thalamocortical, released": ("a: 0.02, b: 0.25, c: -65, d: 0.05, v_init: -87, u_init: -21.75", 0.0),
    "RZ  resonator, pulse at 150 ms": ("a: 0.1, b: 0.26, c: -65, d: 2, v_init: -61.6, u_init: -16.02", 0.2),
}
"""Panel -> parameters of the 2003 paper, and the constant current."""
PULSE, PULSE_TICKS = 10.0, range(300, 304)
"""Of the resonator."""
BLUE, GREY, RED = "#1f6fb2", "#b0b0b0", "#c0392b"


def network(neuron: str, current: float, ticks: int, *, timestep: str = "1 ms", weight: float = 1.0) -> Network:
    """Return one neuron with a constant input and a synapse from an input."""
    text = f"""
        neurocomp: 1
        name: one
        timestep: {timestep}
        ticks: {ticks}
        populations:
          x: {{kind: input, shape: [1]}}
          y: {{shape: [1], neuron: {{{neuron}}}}}
        projections: [{{from: x, to: y, pattern: one_to_one, weights: [{weight}], bias: [{current}]}}]
    """
    return from_yaml.loads(text, Path())


def run(net: Network, x: Array) -> tuple[dict[str, Array], dict[str, Array], float]:
    """Return spikes, v and u in real numbers, then of the integers in the same unit, and the integer of 1.0."""
    made = neurocomp.compile(net, target="reference")
    assert isinstance(made, Compiled)
    assert made.artifact.quantized is not None
    one = made.artifact.quantized.scales["y"].scale * 64
    real = run_network(net, {"x": x}, probe="all", state=True).arrays
    whole = made.run("reference", inputs={"x": x}, probe="all", state=True).arrays
    keys = {"s": "spikes/y", "v": "v/y", "u": "u/y"}
    found = [{k: arrays[key][0, :, 0] for k, key in keys.items() if key in arrays} for arrays in (real, whole)]
    return found[0], {k: values / (1 if k == "s" else one) for k, values in found[1].items()}, one


def izhikevich(path: Path) -> None:
    """Draw the firing patterns."""
    figure, axes = plt.subplots(len(IZHIKEVICH), 1, figsize=(8, 9), sharex=True)
    for axis, (title, (parameters, current)) in zip(axes, IZHIKEVICH.items(), strict=True):
        x = np.zeros((1, 800, 1), np.int8)
        if "pulse" in title:
            x[0, PULSE_TICKS] = 1
        net = network(f"model: izhikevich, {parameters}", current, 800, timestep="0.5 ms", weight=PULSE)
        real, whole, _ = run(net, x)
        for arrays, color, width in ((real, GREY, 2.5), (whole, BLUE, 0.9)):
            axis.plot(np.arange(800) / 2, np.where(arrays["s"] > 0, 30.0, arrays["v"]), color=color, linewidth=width)
        axis.set_title(title, fontsize=9, loc="left", pad=2)
        axis.set_ylim(-95, 40)
        axis.set_yticks([-65, 30])
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("ms")
    axes[len(axes) // 2].set_ylabel("v (mV)")
    axes[-1].set_xlim(0, 400)
    _save(figure, path)


@dataclass(frozen=True)
class Kernel:
    """What a neuron answers to one spike, or to a constant current, and the closed form of it."""

    title: str
    form: Array
    """Of every tick, in units of the potential."""
    whole: Array
    """The integers, in the same unit."""
    one: float
    """The integer of 1.0."""
    shown: int
    """Ticks that are drawn."""
    spikes: Array
    """Ticks in which it spikes."""


def kernels() -> dict[str, Kernel]:
    """Return adaptive threshold, alpha kernel and resonator with their closed forms."""
    ticks = np.arange(300)
    one_spike = np.zeros((1, 300, 1), np.int8)
    one_spike[0, 0] = 1
    made = {}

    def kernel(
        name: str, title: str, neuron: str, current: float, what: str, form: Callable[[Array], Array], shown: int
    ) -> None:
        _, whole, one = run(network(f"model: {neuron}", current, 300), one_spike)
        spikes = np.flatnonzero(whole["s"])
        made[name] = Kernel(title, form(spikes), whole[what], one, shown, spikes)

    rho = np.exp(-1 / 100)

    def threshold(spikes: Array) -> Array:
        age = ticks[:, None] - spikes
        return np.asarray(1.8 * (1 - rho) * np.where(age >= 0, rho ** np.maximum(age, 0), 0.0).sum(axis=1))

    title = "adaptive_lif: what is added to the threshold under a constant current, and its spikes"
    kernel("adaptive_lif", title, "adaptive_lif, tau_mem: 20 ms, tau_adapt: 100 ms, beta: 1.8", 0.2, "u", threshold, 300)
    title = "cuba_lif, tau_syn = tau_mem = 8 ms: the alpha kernel (n + 1) exp(-n / 8)"
    neuron = "cuba_lif, tau_mem: 8 ms, tau_syn: 8 ms, v_threshold: 30.0"
    kernel("alpha", title, neuron, 0.0, "v", lambda _: (ticks + 1) * np.exp(-ticks / 8), 80)
    title = "resonate_and_fire: exp(-n / 30) sin(2 pi n / 10) after one spike"
    neuron = "resonate_and_fire, tau_mem: 30 ms, period: 10 ms, v_threshold: 2.0"
    kernel("resonate_and_fire", title, neuron, 0.0, "v", lambda _: np.exp(-ticks / 30) * np.sin(2 * np.pi * ticks / 10), 80)
    return made


def draw_kernels(path: Path) -> None:
    """Draw adaptive threshold, alpha kernel and resonator against their closed forms."""
    figure, axes = plt.subplots(3, 1, figsize=(8, 7.5))
    for axis, kernel in zip(axes, kernels().values(), strict=True):
        ticks, every = np.arange(kernel.shown), 3 if kernel.shown > 100 else 1
        axis.plot(ticks, kernel.form[: kernel.shown], color=GREY, linewidth=2.5)
        axis.plot(ticks[::every], kernel.whole[: kernel.shown : every], ".", color=BLUE, markersize=3.5)
        axis.vlines(kernel.spikes, -0.02, 0.0, color=RED, linewidth=0.8)
        axis.set_title(kernel.title, fontsize=9, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    axes[2].set_xlabel("ticks of 1 ms")
    _save(figure, path)


def run_patterns(engine: str = "reference") -> tuple[dict[str, tuple[Array, Array]], dict[str, tuple[Array, Array]]]:
    """Return times of spikes (ms) and v (mV) of every firing pattern, in real numbers and in integers."""
    net = patterns.network()
    made = neurocomp.compile(net, target="reference")
    assert isinstance(made, Compiled)
    assert made.artifact.quantized is not None
    one = {name: scale.scale * 64 for name, scale in made.artifact.quantized.scales.items()}
    real = run_network(net, probe="all", state=True).arrays
    whole = made.run(engine, probe="all", state=True).arrays
    return patterns.traces(real, dict.fromkeys(one, 1.0)), patterns.traces(whole, one)


def draw_patterns(path: Path) -> None:
    """Draw the twenty firing patterns, and the current of each below."""
    figure, axes = plt.subplots(5, 4, figsize=(11, 11))
    runs = run_patterns()
    for axis, (letter, pattern) in zip(axes.flat, patterns.PATTERNS.items(), strict=True):
        t = patterns.TIMESTEP * np.arange(pattern.ticks)
        for found, color, width in zip(runs, (GREY, BLUE), (2.2, 0.8), strict=True):
            times, v = found[letter]
            axis.plot(t, np.where(np.isin(t, times), 30.0, v), color=color, linewidth=width)
        sent = pattern.step * pattern.drive()
        axis.plot(t, -112 + 14 * sent / np.abs(sent).max(), color=RED, linewidth=0.9)
        axis.set_title(f"{letter}  {pattern.name}", fontsize=8.5, loc="left", pad=2)
        axis.set_ylim(-130, 38)
        axis.set_yticks([-65, 30])
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("ms", fontsize=8)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main(folder: Path) -> None:
    """Draw all pictures into a folder."""
    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "neurocomp", "svg.fonttype": "none", "font.size": 9}
    izhikevich(folder / "neuron-izhikevich.svg")
    draw_kernels(folder / "neuron-kernels.svg")
    draw_patterns(folder / "neuron-patterns.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
