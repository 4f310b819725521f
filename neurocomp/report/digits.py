"""How many digits of a number to print: as many as its uncertainty leaves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

SIGNIFICANT = 3
"""Digits of numbers without an interval."""
PREFIXES = ((1e0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))


def place(value: float, digits: int) -> int:
    """Return how many decimals show so many significant digits; negative: tens, hundreds and so on are rounded.

    >>> place(0.0123, 2), place(1234, 2), place(0, 2)
    (3, -2, 0)
    """
    return digits - 1 - math.floor(math.log10(abs(value))) if value else 0


def fixed(value: float, decimals: int) -> str:
    """Return a number with so many decimals, without a sign in front of zero.

    >>> fixed(1234.5, -2), fixed(0.126, 2), fixed(-0.001, 1)
    ('1200', '0.13', '0.0')
    """
    text = f"{round(value, decimals) + 0.0:.{max(0, decimals)}f}"
    return text.lstrip("-") if float(text) == 0 else text


def significant(value: float, digits: int = SIGNIFICANT) -> str:
    """Return a number with so many digits; whole numbers keep all of theirs.

    >>> significant(0.012345), significant(1234.56), significant(200704), significant(0)
    ('0.0123', '1235', '200704', '0')
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if value == int(value) or abs(value) >= 10**digits:
        return f"{value:.0f}"
    rounded = round(value, place(value, digits))  # 9.996 becomes 10.0, which has a digit more before the point
    return fixed(rounded, max(0, place(rounded, digits)))


@dataclass(frozen=True, slots=True)
class Rounded:
    """A mean with the interval around it, all to the same place: the interval's half width has two digits."""

    mean: str
    low: str | None = None
    high: str | None = None
    decimals: int | None = None

    def like(self, value: float) -> str:
        """Return another number to the place of the mean, or with three digits where that has no interval."""
        return significant(value) if self.decimals is None else fixed(value, self.decimals)

    @property
    def interval(self) -> str:
        """The interval alone, or nothing."""
        return "" if self.low is None else f"[{self.low}, {self.high}]"


def rounded(mean: float, low: float | None = None, high: float | None = None) -> Rounded:
    """Return a mean and its interval as they are printed.

    >>> rounded(371517.2, 323456, 419876)
    Rounded(mean='372000', low='323000', high='420000', decimals=-3)
    >>> rounded(9.4567, 8.12, 10.9).interval
    '[8.1, 10.9]'
    """
    if low is None or high is None or low == high:
        alone = significant(mean)
        return Rounded(alone) if low is None or high is None else Rounded(alone, alone, alone)
    decimals = place((high - low) / 2, 2)
    return Rounded(fixed(mean, decimals), fixed(low, decimals), fixed(high, decimals), decimals)


def prefix(value: float) -> tuple[float, str]:
    """Return the size and the name of the prefix under which a value has one to three digits before the point.

    >>> prefix(2.36e-5)
    (1e-06, 'µ')
    """
    return next(
        ((size, name) for size, name in PREFIXES if abs(value) >= size * 0.9995), PREFIXES[-1] if value else PREFIXES[0]
    )


def of_spread(spread: Mapping[str, float | None], scale: float = 1.0) -> Rounded:
    """Return the mean and interval of an entry of ``statistics``, in units of ``scale``."""
    mean, low, high = (spread[name] for name in ("mean", "ci_low", "ci_high"))
    return rounded((mean or 0.0) / scale, *(None if bound is None else bound / scale for bound in (low, high)))
