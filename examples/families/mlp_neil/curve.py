"""The picture docs/family-mlp-neil.svg: ``python -m examples.families.mlp_neil.curve FOLDER``; about a minute."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from examples.families import ann
from examples.families.mlp_neil import family

DIGITS, TICKS = 500, 40
LAWS: dict[Any, tuple[str, str]] = {
    "data": ("#1f6fb2", "largest activation (Diehl et al. 2015)"),
    "percentile": ("#2a9d5c", "percentile 99.9 (Rueckauer et al. 2017)"),
    "none": ("#c0392b", "no normalization"),
}


def macs(weights: dict[str, ann.Array], digits: ann.Array) -> tuple[float, float]:
    """Return multiplications per digit of the artificial network: all, and those of two factors that are not 0."""
    dense, needed = 0.0, 0.0
    layers = ("pixels", "relu1", "relu2")
    flat = digits.reshape(len(digits), -1) / 255
    for values in family.build(weights).forward(flat, record=layers):
        for layer, w in zip(layers, weights.values(), strict=True):
            needed += float(((values[layer] != 0) @ (w != 0).sum(axis=0)).sum())
            dense += w.size * len(values[layer])
    return dense / len(digits), needed / len(digits)


def main(folder: Path) -> None:
    """Draw it."""
    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "neurocomp", "svg.fonttype": "none", "font.size": 9}
    weights, (digits, labels) = ann.read_weights(family.WEIGHTS), ann.images("test")
    exact = float((ann.answers(family.build(weights), digits) == labels).mean())
    figure, axis = plt.subplots(figsize=(7, 4.2))
    for law, (color, label) in LAWS.items():
        net = family.network(replace(family.OPTIONS, normalize=law, ticks=TICKS))
        operations, right = family.curve(net, DIGITS)
        axis.plot(operations / 1e6, 100 * right, ".-", color=color, lw=1.2, ms=4, label=label)
        for tick in (4, 8, 16, 32):
            if law == "data":
                axis.annotate(f"{tick} ticks", (operations[tick - 1] / 1e6, 100 * right[tick - 1]), xytext=(5, -13),
                              textcoords="offset points", fontsize=8, color=color)  # fmt: skip
        shown = (f"{t}: {operations[t - 1] / 1e6:.2f} M, {100 * right[t - 1]:.1f} %" for t in (2, 4, 6, 8, 12, 16, 24, 32, 40))
        print(f"{law}, ticks: operations, right answers  {'; '.join(shown)}")
    dense, needed = macs(weights, digits)
    print(f"artificial network: {100 * exact:.1f} %, {dense / 1e6:.2f} M, not 0: {needed / 1e6:.2f} M")
    axis.axhline(100 * exact, color="#808080", lw=0.8)
    axis.plot([dense / 1e6], [100 * exact], "s", color="black", ms=7, label="artificial network, every product")
    label = "artificial network, products that are not 0"
    axis.plot([needed / 1e6], [100 * exact], "D", color="black", ms=6, mfc="white", label=label)
    axis.set_xscale("log")
    axis.set_xticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
    axis.minorticks_off()
    axis.set_ylim(50, 100.9)
    axis.set_xlabel("million operations per digit")
    axis.set_ylabel(f"right answers (%), {DIGITS} digits")
    axis.set_title("784-1200-1200-10: each point is one tick more", fontsize=10)
    axis.grid(alpha=0.25)
    axis.legend(loc="lower right", fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / "family-mlp-neil.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
