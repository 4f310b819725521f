"""What a scheme of encoding says about itself: options, shapes, operations, formula and source; and its data in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.models.registration import Table

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
Spikes = NDArray[np.int8]
Encoded = NDArray[Any]
"""Spikes int8, or a current float64, (samples, ticks, n)."""
Shape = tuple[int, ...]
Options = Mapping[str, float | int | str]


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a scheme: a number in ``minimum`` .. ``maximum``, or one of ``words``."""

    doc: str
    default: float | int | str
    integer: bool = False
    minimum: float | int | None = None
    maximum: float | int | None = None
    words: tuple[str, ...] = ()


class Problem(NamedTuple):
    """What is wrong with options that are each in their range: the option to blame, the message, the next step."""

    option: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Operations:
    """Operations of the host for one sample; each multiplication with its addition, or one without the other, is a MAC."""

    macs: int = 0
    comparisons: int = 0
    random_numbers: int = 0

    def __add__(self, other: Operations) -> Operations:
        """Return the sums."""
        return Operations(
            self.macs + other.macs, self.comparisons + other.comparisons, self.random_numbers + other.random_numbers
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """What a scheme knows besides the data."""

    ticks: int
    scale: float
    options: Options
    first_sample: int
    """Index in the whole data set of the first sample of ``data``."""
    population: str
    shape: Shape = ()
    """Of the population."""

    @property
    def seed(self) -> int:
        """The seed of random schemes."""
        return int(self.options["seed"])

    def scaled(self, data: Array) -> FloatArray:
        """Return ``data * scale * gain`` in float64, multiplied in this order."""
        return np.asarray(np.asarray(data, np.float64) * self.scale * float(self.options["gain"]))


def same_shape(shape: Shape, options: Options) -> Shape:
    """Return the shape of the data where each value has a neuron."""
    return shape


def up_and_down(shape: Shape, options: Options) -> Shape:
    """Return the shape of the data where a first axis holds what rises, then what falls; a pair alone loses the axis.

    >>> up_and_down((2, 5), {}), up_and_down((6, 4, 4), {}), up_and_down((8,), {})
    ((5,), (3, 4, 4), (4,))

    Raises:
        ValueError: With what is wrong with the population's shape.
    """
    if options.get("polarity") == "up":
        return shape
    if shape[0] % 2:
        raise ValueError(f"one half of the first axis is for what rises, the other for what falls; {shape[0]} is odd")
    return shape[1:] if shape[0] == 2 and len(shape) > 1 else (shape[0] // 2, *shape[1:])


def nothing(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    """Return the operations of a scheme that hands its data on."""
    return Operations()


def no_problem(options: Options, ticks: int) -> Problem | None:
    """Return what is wrong with options that restrict one another in no way."""
    return None


@dataclass(frozen=True, slots=True)
class EncoderScheme:
    """A way to turn data into spikes, or into a current."""

    name: str
    doc: str
    options: Mapping[str, Option]
    stimulus: Callable[[Array, Settings], Encoded]
    """(data, settings) -> (samples, ticks, n); data (samples, values), (samples, ticks of the data, values) where ``timed``."""
    timed: bool = False
    """The data carry ticks."""
    graded: bool = False
    """Whole values up to the option ``largest``, which weights multiply: spikes that carry a value."""
    analog: bool = False
    """It makes a current: float64, the same in every tick of a sample; weights multiply it as it is."""
    clips_to: tuple[float, float] | None = field(default=None)
    """Scaled values outside are clipped."""
    refuses_negative: bool = False
    signal: bool = False
    """The data of a ``timed`` scheme are a real signal, not spikes."""
    events: bool = False
    """The data are events (samples, events, 4): t, x, y, p; a sample of fewer events ends in rows of t = `NO_EVENT`."""
    data_shape: Callable[[Shape, Options], Shape] = same_shape
    """(the population's shape, options) -> shape of the data per sample, and per tick where ``timed``; or a ValueError."""
    problem: Callable[[Options, int], Problem | None] = no_problem
    """(options, ticks of the network) -> what is wrong with options that are each in their range."""
    operations: Callable[[int, int, int, Options], Operations] = nothing
    """(values or events, neurons, ticks, options) -> operations per sample; where they depend on data, the most."""
    formula: str = ""
    """For docs/encoders.md, as the next two."""
    cost: str = ""
    source: str = ""


ENCODERS: Table[EncoderScheme] = Table("encoder")

GAIN = Option("factor on the scaled data", 1.0, minimum=0.0)
SEED = Option("seed of the random numbers", 0, integer=True, minimum=0, maximum=2**64 - 1)
UNIT = (0.0, 1.0)


def exp_minus(x: FloatArray) -> FloatArray:
    """Return exp(-x) for x >= 0 by additions and multiplications alone, so that every platform has the same bits.

    y = -min(x, 64) / 64; sum of y**k / k! for k = 0 .. 18 by Horner's rule; squared six times. The relative error stays
    below 1e-13.

    >>> float(exp_minus(np.array([0.0]))[0])
    1.0
    """
    y = -np.minimum(x, 64.0) / 64.0
    result = np.ones_like(y)
    for k in range(18, 0, -1):
        result = 1.0 + y / k * result
    for _ in range(6):
        result = result * result
    return result


EXPONENTIAL = 18 + 6
"""Multiplications of `exp_minus`."""


def silent(samples: int, settings: Settings) -> Spikes:
    """Return no spikes, (samples, ticks, n)."""
    return np.zeros((samples, settings.ticks, math.prod(settings.shape)), np.int8)


def at_tick(tick: NDArray[np.int64], settings: Settings, fires: NDArray[np.bool_]) -> Spikes:
    """Return one spike per neuron: at ``tick`` (samples, n) where it ``fires``, unless the sample has ended."""
    spikes = np.zeros((len(tick), settings.ticks, tick.shape[1]), np.int8)
    sample, neuron = np.nonzero(fires & (tick < settings.ticks))
    spikes[sample, tick[sample, neuron], neuron] = 1
    return spikes
