"""An event camera: in which direction does a bar move?

A camera sends events (t, x, y, p) where the light changes: the edges of bright or dark bars that cross it at 1.6 to 2.4 ms per
pixel, with jitter, lost events and noise. Nothing is learned: a cell sees a patch of 4 x 4 pixels, each of them through the
delay that makes all events of a bar of the cell's direction arrive at once, as in the detectors of Jeffress (1948) and
Reichardt (1961). The events are generated, not recorded; ``up.aedat`` is one more bar, in the format of a DVS128.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part

Array = NDArray[Any]
HERE = Path(__file__).parent
SIDE, PATCH, PER_PIXEL = 12, 4, 2
"""Pixels of the camera and of a patch; ticks that a bar takes for a pixel."""
DIRECTIONS = ("right", "left", "down", "up")
TESTED, CALIBRATED = 240, 32


def synapses() -> dict[str, Array]:
    """Return sources, targets and delays (ticks) of the synapses from the pixels (2, y, x) to the cells (direction, y, x)."""
    places = SIDE // PATCH
    _, y, x = np.indices((2, SIDE, SIDE)).reshape(3, -1)
    along = (x % PATCH, PATCH - 1 - x % PATCH, y % PATCH, PATCH - 1 - y % PATCH)
    """How far along each direction a pixel lies in its patch."""
    patch = y // PATCH * places + x // PATCH
    return {
        "sources": np.tile(np.arange(len(x)), len(DIRECTIONS)),
        "targets": np.concatenate([number * places**2 + patch for number in range(len(DIRECTIONS))]),
        "delays": PER_PIXEL * (PATCH - 1 - np.concatenate(along)),
    }


def bar(rng: np.random.Generator, direction: int) -> Array:
    """Return the events of a bar, (events, 4): t in us, x, y, p; p = 1 is brighter."""
    pace, wide, length = rng.uniform(1600, 2400), int(rng.integers(2, 5)), int(rng.integers(5, 10))
    first = rng.integers(0, SIDE - length + 1)
    far, across, trailing = (index.ravel() for index in np.indices((SIDE, length, 2)))
    t = pace * (far + 0.5 + wide * trailing) + rng.normal(0, 300, far.size)
    along = far if direction % 2 == 0 else SIDE - 1 - far
    x, y = (along, first + across) if direction < 2 else (first + across, along)
    bright = rng.integers(0, 2)
    events = np.stack([t, x, y, trailing ^ bright], axis=1)[rng.random(far.size) < 0.85]
    count = rng.poisson(20)
    noise = [rng.uniform(0, 36000, count), *rng.integers(0, (SIDE, SIDE, 2), (count, 3)).T]
    events = np.concatenate([events, np.stack(noise, axis=1)])
    return np.asarray(np.maximum(events[np.argsort(events[:, 0])], 0), np.int64)


def bars(seed: int, count: int) -> tuple[dict[str, Array], Array]:
    """Return the events of samples as a file holds them, and the directions."""
    rng = np.random.default_rng(seed)
    directions = rng.permutation(np.arange(count) % len(DIRECTIONS))
    found = [bar(rng, int(direction)) for direction in directions]
    sample = np.repeat(np.arange(count), [len(events) for events in found])
    t, x, y, p = np.concatenate(found).T
    fields = {"t": t.astype(np.uint16), "x": x.astype(np.uint8), "y": y.astype(np.uint8), "p": p.astype(np.uint8)}
    return fields | {"sample": sample.astype(np.uint16)}, directions


def aedat(events: Array) -> bytes:
    """Return events (events, 4) as a file of AEDAT 2.0 that a DVS128 would have written (iniVation, AEDAT file formats)."""
    t, x, y, p = events.T
    return b"#!AER-DAT2.0\r\n" + np.stack([y << 8 | x << 1 | 1 - p, t], axis=1).astype(">u4").tobytes()


def make() -> None:
    """Write the synapses and the events."""
    events, directions = bars(1, TESTED)
    np.savez_compressed(HERE / "synapses.npz", **cast("dict[str, Any]", synapses()))
    np.savez_compressed(HERE / "bars.npz", **cast("dict[str, Any]", events))
    np.savez_compressed(HERE / "calibration.npz", **cast("dict[str, Any]", bars(2, CALIBRATED)[0]))
    np.save(HERE / "labels.npy", directions)
    (HERE / "up.aedat").write_bytes(aedat(bar(np.random.default_rng(3), DIRECTIONS.index("up"))))
    print(f"{len(events['t'])} events of {TESTED} bars", file=sys.stderr)


FAMILY = Family(
    "Event camera: cells with delays tell in which of four directions a bar moves",
    "Lichtsteiner, Posch, Delbruck 2008 (camera); Jeffress 1948, Reichardt 1961 (detectors)",
    {"": Part(HERE / "net.yaml", {"truenorth": {"approximate_leak": True}})},
    make,
)
"""What becomes of the camera's network on each chip."""
