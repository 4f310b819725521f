"""One input through every encoder and decoder, as a picture: ``python rasters.py [OUT.svg]``.

Eight values, or eight signals made of them, go through each scheme; each panel has a row per neuron, and a mark per spike. The
answers of the decoders to the spikes of ``rate``, ``latency`` and ``rank_order`` are printed.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding import DECODERS, ENCODERS, decode, encode
from neurocomp.ir.network import Decoder, Encoder

Array = NDArray[Any]

TICKS = 32
VALUES = np.array([0.3, 0.6, 0.15, 0.9, 0.05, 0.75, 0.0, 0.45])
SIGNALS = VALUES * (0.5 - 0.5 * np.cos(np.arange(TICKS) / TICKS * 4 * np.pi))[:, np.newaxis]
# (shape of the population, data, options) where they are not those of eight values.
CASES: dict[str, tuple[tuple[int, ...], Array, dict[str, Any]]] = {
    "log_latency": ((8,), VALUES, {"tau": 25.0, "threshold": 0.1}),
    "population": ((8, 4), VALUES, {"fields": 4}),
    "delta": ((2, 8), SIGNALS, {}),
    "step_forward": ((2, 8), SIGNALS, {}),
    "hsa": ((8,), SIGNALS, {"length": 4}),
    "bsa": ((8,), SIGNALS, {"length": 4, "threshold": 0.5}),
    "direct": ((8,), SIGNALS > 0.4, {}),
    "graded": ((8,), np.rint(SIGNALS * 255), {}),
    # A dot that crosses a camera of 4 x 4 pixels, on and off by turns.
    "events": ((2, 4, 4), np.array([[2000 * k, k // 2 % 4, 1, k % 2] for k in range(16)]), {}),
    # Another one with ever more events per tick, up to four of each polarity.
    "event_counts": ((2, 4, 4), np.array([[1000 * t, t // 8, 1, k % 2] for t in range(32) for k in range(2 + t // 8 * 2)]), {}),
}


def encoded(scheme: str) -> Array:
    """Return what a scheme makes of its input, (ticks, neurons)."""
    shape, data, options = CASES.get(scheme, ((8,), VALUES, {}))
    defaults = {key: option.default for key, option in ENCODERS[scheme].options.items()}
    made = Encoder(scheme, defaults | options)
    size = int(np.prod(shape))
    found: Array = encode(made, data[np.newaxis], scale=1.0, ticks=TICKS, size=size, shape=shape, population="input")[0]
    return found


def answers(spikes: Array) -> dict[str, int]:
    """Return the answer of each decoder; the potential is that of a neuron that adds up its spikes."""
    found = {}
    for name in DECODERS:
        options = {key: option.default for key, option in DECODERS[name].options.items()}
        options |= {"classes": spikes.shape[1]} if "classes" in options else {}
        found[name] = int(decode(Decoder(name, options), spikes=spikes[np.newaxis], v=spikes[np.newaxis].cumsum(axis=1))[0])
    return found


def picture() -> str:
    """Return an SVG with a panel per encoder."""
    columns, width, height, gap = 4, 256, 96, 28
    names = list(ENCODERS)
    rows = -(-len(names) // columns)
    parts = []
    for number, name in enumerate(names):
        values = encoded(name)
        left, top = 8 + number % columns * (width + 16), 20 + number // columns * (height + gap)
        step, row = width / TICKS, height / values.shape[1]
        parts.append(f'<text x="{left}" y="{top - 5}">{escape(name)}</text>')
        parts.append(f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#bbb"/>')
        largest = float(np.abs(values).max())
        for tick, neuron in np.argwhere(values):
            shade = abs(float(values[tick, neuron])) / largest
            parts.append(
                f'<rect x="{left + tick * step + step / 4:.2f}" y="{top + neuron * row + row / 8:.2f}" width="{step / 2:.2f}" '
                f'height="{row * 3 / 4:.2f}" fill="#123a6b" fill-opacity="{shade:.2f}"/>'
            )
    size = (columns * (width + 16), 20 + rows * (height + gap))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, f'<rect width="{size[0]}" height="{size[1]}" fill="white"/>', *parts, "</svg>", ""])


def main() -> None:
    """Print the answers and write the picture."""
    for scheme in ("rate", "latency", "rank_order"):
        print(f"{scheme}: " + ", ".join(f"{name} {answer}" for name, answer in answers(encoded(scheme)).items()))
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "rasters.svg")
    path.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
