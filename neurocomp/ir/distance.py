"""How far two spike trains of the same neurons are apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

VAN_ROSSUM_TICKS = 4.0
"""Time constant of the van Rossum distance, in ticks."""


@dataclass(frozen=True, slots=True)
class SpikeDistance:
    """Sums over samples and neurons, from which the distances of all batches together follow."""

    moved: int = 0
    """Differences of spike counts per sample and neuron, summed."""
    spikes: int = 0
    """Of the first trains."""
    energy: float = 0.0
    """Squared van Rossum distances, summed."""
    same: int = 0
    """(sample, tick, neuron) in which both do the same."""
    trains: int = 0
    """(sample, neuron)."""
    places: int = 0
    """(sample, tick, neuron)."""

    @staticmethod
    def between(a: Array, b: Array) -> SpikeDistance:
        """Measure how far spikes b are from spikes a, (samples, ticks, n) each."""
        first, second = (np.asarray(x) != 0 for x in (a, b))
        counts = [x.sum(axis=1, dtype=np.int64) for x in (first, second)]
        decay = float(np.exp(-1.0 / VAN_ROSSUM_TICKS))
        difference = first.astype(np.float64) - second
        trace = np.zeros_like(difference[:, 0])
        energy = 0.0
        for tick in range(difference.shape[1]):
            trace = trace * decay + difference[:, tick]
            energy += float((trace**2).sum())
        # What is left after the last tick decays on; one spike alone has the energy 1 / (1 - decay ** 2).
        energy = energy * (1.0 - decay**2) + float((trace**2).sum()) * decay**2
        return SpikeDistance(
            int(np.abs(counts[0] - counts[1]).sum()), int(counts[0].sum()), energy, int((first == second).sum()),
            counts[0].size, first.size,
        )  # fmt: skip

    def __add__(self, other: SpikeDistance) -> SpikeDistance:
        return SpikeDistance(
            self.moved + other.moved, self.spikes + other.spikes, self.energy + other.energy, self.same + other.same,
            self.trains + other.trains, self.places + other.places,
        )  # fmt: skip

    def as_json(self) -> dict[str, float | None]:
        """Return the distances by name.

        ``spike_count_error``: the mean difference of spike counts per sample and neuron, as a share of the mean count of a
        (None where a is silent and b is not). ``van_rossum``: the van Rossum distance with a time constant of
        `VAN_ROSSUM_TICKS`, normalized so that one spike more or less is a distance of 1, root mean square over samples and
        neurons (M. van Rossum, Neural Computation 13, 2001). ``same_ticks``: the share of (sample, tick, neuron) in which both
        do the same.
        """
        return {
            "spike_count_error": self.moved / self.spikes if self.spikes else None if self.moved else 0.0,
            "van_rossum": float(np.sqrt(self.energy / max(1, self.trains))),
            "same_ticks": self.same / max(1, self.places),
        }


def spike_distance(a: Array, b: Array) -> dict[str, float | None]:
    """Return how far spikes b are from spikes a, (samples, ticks, n) each, by the names of `SpikeDistance.as_json`."""
    return SpikeDistance.between(a, b).as_json()
