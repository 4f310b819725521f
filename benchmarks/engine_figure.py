"""The time of the fast engine over the synaptic operations, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt


def draw(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw seconds over operations, both on logarithmic axes, beside the line through them and the cost of silence.

    Args:
        points: ``operations`` and ``seconds``; the one without operations is the silent network.
        path: An .svg; the same points give the same bytes.
    """
    silent = next(p["seconds"] for p in points if not p["operations"])
    busy = [p for p in points if p["operations"]]
    x, y = [p["operations"] for p in busy], [1e3 * p["seconds"] for p in busy]
    low, high = busy[0], busy[-1]
    slope = (high["seconds"] - low["seconds"]) / (high["operations"] - low["operations"])
    base = low["seconds"] - slope * low["operations"]
    plt.rcParams |= {"svg.hashsalt": "neurocomp", "svg.fonttype": "none", "font.size": 9}
    figure, axes = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    axes.loglog(x, y, "o", color="#0072b2", label="measured")
    label = f"{1e3 * base:.2f} ms + {1e12 * slope:.0f} ps per operation"
    axes.loglog(x, [1e3 * (base + slope * n) for n in x], "-", color="#d55e00", linewidth=1, label=label)
    axes.axhline(1e3 * silent, color="#666666", linewidth=1, linestyle=":", label=f"silent: {1e3 * silent:.2f} ms")
    axes.set_xlabel("synaptic operations")
    axes.set_ylabel("time (ms)")
    axes.set_title("Dense layer 1200 to 1200, 400 ticks, one core", fontsize=9)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
