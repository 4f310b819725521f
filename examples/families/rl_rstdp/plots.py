"""The picture of docs/learning.md: ``python examples/families/rl_rstdp/plots.py FOLDER``.

Points are integers of the engine ``reference``, each the mean of `REPEATED` synapses, whose rounding differs as their pairs
stand at different ticks; bars are a standard deviation of single synapses. Lines are closed forms.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

import neurocomp
from neurocomp.api import Compiled
from neurocomp.frontends import from_yaml
from neurocomp.ir.network import Network

Array = NDArray[Any]
REPEATED, BEFORE, TICKS = 24, 45, 120
"""Synapses of a point; ticks before the first spike of a source."""
HIGH, SHARE = 0.5, 16
"""Largest weight; ``a_plus`` of the rule with rewards, so that tags have many steps."""
GAPS = np.array([*range(-40, 41, 2), 1])
"""Ticks from the arrival of a spike of the source to the spike of the target."""
BLUE, GREY, RED = "#1f6fb2", "#b0b0b0", "#c0392b"


def network(rule: str, weights: Array) -> Network:
    """Return neurons with a synapse that learns each, and one each that makes them spike."""
    n = len(weights)
    text = f"""
        neurocomp: 1
        name: pairs
        timestep: 1 ms
        ticks: {TICKS}
        populations:
          source: {{kind: input, shape: [{n}]}}
          teacher: {{kind: input, shape: [{n}]}}
          reward: {{kind: input, shape: [{n}]}}
          cells: {{shape: [{n}], neuron: {{model: lif, tau_mem: 1 ms, v_threshold: 1.0, reset: zero}}}}
        projections:
          - {{from: source, to: cells, pattern: one_to_one, weights: {weights.tolist()}, learn: {{{rule}, w_max: {HIGH}}}}}
          - {{from: teacher, to: cells, pattern: one_to_one, weights: 3.0}}
    """
    return from_yaml.loads(text, Path())


def steps(rule: str, gaps: Array, weights: Array, rewards: Array | None = None) -> tuple[Array, Array]:
    """Return the steps of weights (n, REPEATED) that each had a pair of spikes, of integers and of real numbers.

    Args:
        rule: What ``learn`` says.
        gaps: (n,), ticks.
        weights: (n,), before.
        rewards: (n,), ticks from the pair to the reward; None: there is no reward.
    """
    n = len(gaps)
    made = network(rule, np.repeat(weights, REPEATED))
    first = np.tile(BEFORE + np.arange(REPEATED), n)
    given = {name: np.zeros((1, TICKS, n * REPEATED), np.int8) for name in ("source", "teacher", "reward")}
    each = np.arange(n * REPEATED)
    given["source"][0, first, each] = 1
    # A spike meets the trace of the ticks before: what answers in the tick of the arrival comes one tick after it.
    given["teacher"][0, first + np.repeat(gaps, REPEATED) - 1, each] = 1
    if rewards is not None:
        given["reward"][0, first + np.repeat(gaps, REPEATED) + np.repeat(rewards, REPEATED), each] = 1
    compiled = neurocomp.compile(made, "reference")
    assert isinstance(compiled, Compiled)
    assert compiled.artifact.quantized is not None
    start = compiled.artifact.quantized.network.projections[0].weights * (HIGH / 255)
    found = compiled.run("reference", given).arrays["weights/source->cells"] * (HIGH / 255) - start
    real = compiled.run("float", given).arrays["weights/source->cells"] - np.repeat(weights, REPEATED)
    return found.reshape(n, REPEATED), real.reshape(n, REPEATED)[:, 0]


def pair(gaps: Array, plus: Array | float, minus: Array | float) -> Array:
    """Return the window of pair STDP with time constants of 10 and 20 ticks; of spikes that meet both sides count."""
    up = np.where(gaps >= 0, plus * np.exp(-np.abs(gaps) / 10), 0.0)
    return up - np.where(gaps <= 0, minus * np.exp(-np.abs(gaps) / 20), 0.0)


WINDOWS = "a_plus: 0.04, a_minus: 0.03, tau_plus: 10 ms, tau_minus: 20 ms"


def panels() -> dict[str, tuple[str, list[tuple[str, Array, Array, Array, Array]]]]:
    """Return title -> what stands below, and (label, x, steps of integers, real numbers, closed form) of each curve."""
    at = np.sort(GAPS)
    same = np.full(len(at), 0.2)
    held, ratio = np.linspace(0.02, 0.46, 23), 0.4
    late = np.arange(1, 40, 2)
    gap = "ticks from the arrival at the target to its spike"
    curves: dict[str, tuple[str, list[tuple[str, Array, Array, Array, Array]]]] = {
        "stdp": (gap, [("", at, *steps(f"rule: stdp, {WINDOWS}", at, same), pair(at, 0.04, 0.03))]),
        "stdp_soft, from weights of 0.1 and 0.4": (gap, [
            (f"{w:g}", at, *steps(f"rule: stdp_soft, {WINDOWS.replace('0.0', '0.')}", at, np.full(len(at), w)),
             pair(at, ratio * (HIGH - w), 0.3 * w)) for w in (0.1, 0.4)
        ]),
        "stdp_sign": (gap, [
            ("", at, *steps("rule: stdp_sign, a_plus: 0.0464, a_minus: 0.0314", at, same), np.where(at >= 0, 0.0464, -0.0314))
        ]),
        "stdp_multiplicative, source before and after": ("weight", [
            (name, held, *steps("rule: stdp_multiplicative, a_plus: 0.8, a_minus: 0.6", np.full(len(held), g), held),
             a * held * (HIGH - held)) for name, g, a in (("before", 5, 0.8), ("after", -5, -0.6))
        ]),
        "rstdp, pair 3 ticks apart, one reward, a_plus: 16": ("ticks from the spike of the target to the reward", [
            ("", late, *steps("rule: rstdp, rate: 0.005, a_plus: 16, tag_leak: 0.0625, tau_plus: 10 ms, modulator: reward",
                              np.full(len(late), 3), np.full(len(late), 0.2), late),
             SHARE * 0.005 * np.exp(-3 / 10) * (1 - 0.0625) ** (late - 1))
        ]),
    }  # fmt: skip
    return curves


def draw(path: Path) -> None:
    """Draw what each rule does with a pair of spikes."""
    found = panels()
    figure, axes = plt.subplots(len(found), 1, figsize=(8, 2.3 * len(found)))
    for axis, (title, (below, curves)) in zip(axes, found.items(), strict=True):
        for (label, x, whole, _, form), color in zip(curves, (BLUE, RED), strict=False):
            axis.plot(x, form, color=GREY, linewidth=2.5)
            mean, deviation = whole.mean(axis=1), whole.std(axis=1)
            axis.errorbar(x, mean, deviation, fmt=".", color=color, markersize=4, elinewidth=0.7, label=label)
        axis.axhline(0, color="black", linewidth=0.5)
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_xlabel(below)
        axis.set_ylabel("step of the weight")
        axis.spines[["top", "right"]].set_visible(False)
        if len(curves) > 1:
            axis.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main(folder: Path) -> None:
    """Draw the picture into a folder."""
    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "neurocomp", "svg.fonttype": "none", "font.size": 9}
    draw(folder / "learning-windows.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
