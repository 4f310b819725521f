"""Means over samples with their spread, as papers print them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

RESAMPLES = 2000
SEED = 20190228
COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class Spread:
    """One quantity over the samples. With a single sample there is no spread: the fields that need two are None."""

    mean: float
    sd: float | None
    """Sample standard deviation, with n - 1."""
    ci_low: float | None
    ci_high: float | None
    """95 % interval of the mean: percentiles of `RESAMPLES` bootstrap resamples (Efron 1979) of a fixed seed."""
    p95: float
    """What 95 of 100 samples stay below, linearly interpolated."""
    worst: float
    worst_sample: int
    """The first sample with the largest value, counted from 0 among those that ran."""

    def as_json(self) -> dict[str, float | int | None]:
        """Return the fields by name."""
        return asdict(self)


def spreads(quantities: Mapping[str, NDArray[np.generic]]) -> dict[str, Spread]:
    """Return the spread of each quantity over the same samples.

    Args:
        quantities: Name -> value per sample, (samples,).
    """
    if not quantities:
        return {}
    values = np.stack([np.asarray(each, np.float64) for each in quantities.values()])
    samples = values.shape[1]
    means = values.mean(axis=1)
    p95 = np.percentile(values, 95, axis=1)
    worst = values.argmax(axis=1)
    none: list[float | None] = [None] * len(values)
    sd, low, high = none, none, none
    if samples > 1:
        sd = values.std(axis=1, ddof=1).tolist()
        tails = (100 * (1 - COVERAGE) / 2, 100 * (1 + COVERAGE) / 2)
        low, high = (bound.tolist() for bound in np.percentile(_resampled(values), tails, axis=1))
    return {
        name: Spread(
            float(means[i]), sd[i], low[i], high[i], float(p95[i]), float(values[i, worst[i]]), int(worst[i])
        )
        for i, name in enumerate(quantities)
    }  # fmt: skip


def _resampled(values: FloatArray) -> FloatArray:
    """Return the means of resamples with replacement, the same samples for all quantities, (quantities, resamples)."""
    samples = values.shape[1]
    rng = np.random.Generator(np.random.Philox(SEED))
    means = np.empty((len(values), RESAMPLES))
    for index in range(RESAMPLES):
        means[:, index] = values @ np.bincount(rng.integers(0, samples, samples), minlength=samples)
    return np.asarray(means / samples)
