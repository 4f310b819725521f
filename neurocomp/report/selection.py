"""What pictures show of a report, where it is not all or not as it stands there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def picked_neurons(count: int, most: int) -> NDArray[np.int64]:
    """Return the neurons that stand for all of a population: all, or so many that are drawn, always the same ones."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.Generator(np.random.Philox(0)).choice(count, most, replace=False))


def sensitivity(document: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return event -> dynamic joules per sample with its low and its high cost, all others nominal; the widest first."""
    samples, total, found = document["samples"], document["per_sample"]["energy_j"]["nominal"], {}
    for line in document["energy"]["lines"]:
        own = {key: value / samples for key, value in line["energy_j"].items()}
        if own["low"] != own["high"]:
            found[line["event"]] = (total + own["low"] - own["nominal"], total + own["high"] - own["nominal"])
    return dict(sorted(found.items(), key=lambda pair: pair[1][0] - pair[1][1]))
