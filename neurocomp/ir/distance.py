"""How far two spike trains of the same neurons are apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

VAN_ROSSUM_TICKS = 4.0
"""Time constant of the van Rossum distance, in ticks."""


def spike_distance(a: Array, b: Array) -> dict[str, float | None]:
    """Return how far spikes b are from spikes a, (samples, ticks, n) each.

    ``spike_count_error``: the mean difference of spike counts per sample and neuron, as a share of the mean count of a (None
    where a is silent and b is not). ``van_rossum``: the van Rossum distance with a time constant of `VAN_ROSSUM_TICKS`,
    normalized so that one spike more or less is a distance of 1, root mean square over samples and neurons (M. van Rossum,
    Neural Computation 13, 2001). ``same_ticks``: the share of (sample, tick, neuron) in which both do the same.
    """
    first, second = (np.asarray(x) != 0 for x in (a, b))
    counts = [x.sum(axis=1, dtype=np.int64) for x in (first, second)]
    error, mean = float(np.abs(counts[0] - counts[1]).mean()), float(counts[0].mean())
    decay = float(np.exp(-1.0 / VAN_ROSSUM_TICKS))
    difference = first.astype(np.float64) - second
    trace, energy = np.zeros_like(difference[:, 0]), np.zeros_like(difference[:, 0])
    for tick in range(difference.shape[1]):
        trace = trace * decay + difference[:, tick]
        energy += trace**2
    # What is left after the last tick decays on; one spike alone has the energy 1 / (1 - decay ** 2).
    energy += trace**2 * decay**2 / (1.0 - decay**2)
    return {
        "spike_count_error": error / mean if mean else None if error else 0.0,
        "van_rossum": float(np.sqrt((energy * (1.0 - decay**2)).mean())),
        "same_ticks": float((first == second).mean()),
    }
