"""Encoders: what each scheme makes of data, exactly, on every platform."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding import philox
from neurocomp.errors import Diagnostic, Location, NetworkError
from neurocomp.ir.network import Encoder, Network
from neurocomp.models.neurons import NEURON_MODELS
from neurocomp.models.registration import Table

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
Spikes = NDArray[np.int8]
Encoded = NDArray[Any]
"""Spikes int8, or a current float64, (samples, ticks, n)."""

_SAMPLES_AT_A_TIME = 64


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a scheme, a number in ``minimum`` .. ``maximum``."""

    doc: str
    default: float | int
    integer: bool = False
    minimum: float | int | None = None
    maximum: float | int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a scheme knows besides the data."""

    ticks: int
    scale: float
    options: Mapping[str, float | int | str]
    first_sample: int
    """Index in the whole data set of the first sample of ``data``."""
    population: str

    @property
    def seed(self) -> int:
        """The seed of random schemes."""
        return int(self.options["seed"])

    def scaled(self, data: Array) -> FloatArray:
        """Return ``data * scale * gain`` in float64, multiplied in this order."""
        return np.asarray(np.asarray(data, np.float64) * self.scale * float(self.options["gain"]))


@dataclass(frozen=True, slots=True)
class EncoderScheme:
    """A way to turn data into spikes, or into a current."""

    name: str
    doc: str
    options: Mapping[str, Option]
    stimulus: Callable[[Array, Settings], Encoded]
    """(data, settings) -> (samples, ticks, n); data (samples, n), or (samples, ticks of the data, n) where ``timed``."""
    timed: bool = False
    """The data carry ticks."""
    graded: bool = False
    """The data are whole values up to the option ``largest``, which weights multiply: spikes that carry a value."""
    analog: bool = False
    """It makes a current: float64, the same in every tick of a sample; weights multiply it as it is."""
    clips_to: tuple[float, float] | None = field(default=None)
    """Scaled values outside are clipped."""
    refuses_negative: bool = False


def encode(
    encoder: Encoder, data: Array, *, scale: float, ticks: int, size: int, first_sample: int = 0, population: str
) -> Encoded:
    """Turn the data of one input population into spikes, or into a current where the scheme is ``analog``.

    What a sample becomes depends on nothing but its own data and its index, so a data set may be split at will.

    Args:
        encoder: The scheme and its options.
        data: Stored values, (samples, *shape), or (samples, ticks', *shape) for ``direct``.
        scale: Factor from stored values to those that encoders expect.
        ticks: Ticks per sample.
        size: Neurons of the population.
        first_sample: Index in the whole data set of the first sample.
        population: Its name, for messages and to tell the random numbers of several populations apart.

    Returns:
        Shape (samples, ticks, size), neurons in C order of the population's shape. Spikes: 0 or 1, int8. A current: float64,
        a read-only array that holds each sample once, however many ticks it has.

    Raises:
        NetworkError: The shape does not fit the population, or direct spikes last longer than ``ticks`` (NC0210); the data of
            a current change in time (NC0214); values are not finite (NC0204), negative where rates are needed or not 0 or 1
            where spikes are needed (NC0209), or no numbers (NC0207).
    """
    scheme = ENCODERS[encoder.scheme]
    axes = 2 if scheme.timed else 1
    lead, rest = data.shape[:axes], data.shape[axes:]

    def error(code: str, message: str, hint: str | None = None) -> NetworkError:
        return NetworkError(Diagnostic(code, f"encoder of '{population}': {message}", encoder.origin, hint=hint))

    if len(lead) < axes or math.prod(rest) != size:
        if scheme.analog and changes_in_time(data.shape, size):
            raise NetworkError(time_varying(f"encoder of '{population}': data", data.shape, encoder.origin))
        wanted = "(samples, ticks, ...)" if scheme.timed else "(samples, ...)"
        message = f"data have the shape {data.shape}; '{scheme.name}' needs {wanted} with {size} values"
        raise error("NC0210", f"{message} per {'tick' if scheme.timed else 'sample'}")
    if data.dtype.kind not in "biuf":
        raise error("NC0207", f"data have the dtype {data.dtype}; numbers are needed")
    if scheme.timed and lead[1] > ticks:
        hint = f"declare 'ticks: {lead[1]}'"
        raise error("NC0210", f"the data have {lead[1]} ticks per sample, the network {ticks}", hint)
    dtype: type[np.generic] = np.float64 if scheme.analog else np.int32 if scheme.graded else np.int8
    stimulus: Encoded = np.zeros((lead[0], 1 if scheme.analog else ticks, size), dtype)
    for start in range(0, lead[0], _SAMPLES_AT_A_TIME):
        block = data[start : start + _SAMPLES_AT_A_TIME]
        block = block.reshape(len(block), *lead[1:], size)
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            bad = tuple(int(i) for i in np.argwhere(~np.isfinite(block))[0])
            raise error("NC0204", f"sample {first_sample + start + bad[0]} holds {block[bad]}")
        if scheme.graded:
            largest = int(encoder.options["largest"])
            wrong = (np.abs(np.asarray(block, np.float64)) > largest) | (block != np.rint(np.asarray(block, np.float64)))
            if wrong.any():
                sample, tick, neuron = (int(i) for i in np.argwhere(wrong)[0])
                place = f"sample {first_sample + start + sample}, tick {tick}, neuron {neuron}"
                message = f"{place} is {block[sample, tick, neuron]}; values are whole numbers in -{largest}..{largest}"
                raise error("NC0209", message, "round the data, or raise 'largest'")
        elif scheme.timed and ((block != 0) & (block != 1)).any():
            sample, tick, neuron = (int(i) for i in np.argwhere((block != 0) & (block != 1))[0])
            place = f"sample {first_sample + start + sample}, tick {tick}, neuron {neuron}"
            raise error("NC0209", f"{place} is {block[sample, tick, neuron]}; spikes are 0 or 1")
        if scheme.refuses_negative and block.size and block.min() * scale < 0:
            sample = int(np.argwhere(block * scale < 0)[0][0])
            message = f"sample {first_sample + start + sample} holds {block[sample].min()}; a rate is not negative"
            raise error("NC0209", message)
        settings = Settings(ticks, scale, encoder.options, first_sample + start, population)
        stimulus[start : start + len(block)] = scheme.stimulus(block, settings)
    return np.broadcast_to(stimulus, (lead[0], ticks, size)) if scheme.analog else stimulus


def largest_value(encoder: Encoder | None) -> int:
    """Return the largest magnitude of a spike that an encoder sends: 1, unless its spikes carry a value."""
    graded = encoder is not None and ENCODERS[encoder.scheme].graded
    return int(encoder.options["largest"]) if encoder is not None and graded else 1


def carries_values(network: Network, population: str) -> bool:
    """Return whether spikes of a population may be other than 0 and 1, so that weights multiply their value."""
    neuron = network.populations[population].neuron
    if neuron is not None:
        return NEURON_MODELS[neuron.model].signed
    encoder = network.encoders.get(population)
    return encoder is not None and ENCODERS[encoder.scheme].graded


def changes_in_time(shape: tuple[int, ...], size: int) -> bool:
    """Return whether data of a shape are (samples, ticks, ...) for a population of ``size`` neurons."""
    return len(shape) > 2 and math.prod(shape[2:]) == size != math.prod(shape[1:])


def time_varying(what: str, shape: tuple[int, ...], where: Location | None) -> Diagnostic:
    """Return what is wrong with data (samples, ticks, ...) of a current."""
    message = f"{what} have the shape {shape}, {shape[1]} values per sample and neuron: a current that changes in time"
    hint = (
        "'scheme: current' takes one value per sample and neuron; average over the ticks, or make spikes for 'scheme: direct'"
    )
    return Diagnostic("NC0214", message, where, hint=hint)


def clipping_warning(encoder: Encoder, data: Array, *, scale: float, population: str) -> Diagnostic | None:
    """Return a warning that counts the values which the scheme clips to its range, or None."""
    scheme = ENCODERS[encoder.scheme]
    if scheme.clips_to is None:
        return None
    low, high = scheme.clips_to
    settings = Settings(0, scale, encoder.options, 0, population)
    clipped = 0
    for start in range(0, len(data), _SAMPLES_AT_A_TIME):
        x = settings.scaled(data[start : start + _SAMPLES_AT_A_TIME])
        clipped += int(np.count_nonzero((x < low) | (x > high)))
    if not clipped:
        return None
    message = f"encoder of '{population}': {clipped} of {data.size} values lie outside {low:g}..{high:g} and are clipped"
    hint = "lower 'gain', or 'scale' of the data"
    return Diagnostic("NC0209", message, encoder.origin, hint=hint, severity="warning")


def _rate(data: Array, settings: Settings) -> Spikes:
    """With R = rint(min(x, 1) 2**32), tick t fires iff (R t + 2**31) div 2**32 grows from t to t + 1."""
    rate = np.rint(np.minimum(settings.scaled(data), 1.0) * 2.0**32).astype(np.int64)
    spikes = np.empty((len(rate), settings.ticks, rate.shape[1]), np.int8)
    sum_before = np.full(rate.shape, 1 << 31, np.int64)
    for tick in range(settings.ticks):
        sum_after = sum_before + rate
        spikes[:, tick] = (sum_after >> 32) - (sum_before >> 32)
        sum_before = sum_after
    return spikes


def _bernoulli(data: Array, settings: Settings) -> Spikes:
    """Every tick fires with the probability x."""
    return _fire(np.clip(settings.scaled(data), 0.0, 1.0), settings)


def _poisson(data: Array, settings: Settings) -> Spikes:
    """Every tick fires with the probability that a Poisson process of x expected events has at least one."""
    return _fire(1.0 - exp_minus(np.maximum(settings.scaled(data), 0.0)), settings)


def _fire(probability: FloatArray, settings: Settings) -> Spikes:
    """Fire where a 32-bit draw lies below floor(probability 2**32). See `neurocomp.encoding.philox.draw`."""
    threshold = np.floor(probability * 2.0**32).astype(np.uint64)
    spikes = np.zeros((len(threshold), settings.ticks, threshold.shape[1]), np.int8)
    spikes[:] = (threshold == 1 << 32)[:, np.newaxis]
    sample, neuron = np.nonzero((threshold > 0) & (threshold < 1 << 32))
    threshold = threshold[sample, neuron]
    slot = zlib.crc32(settings.population.encode()) & 0xFFFFFF
    for tick in range(settings.ticks):
        number = philox.draw(
            settings.seed,
            purpose=philox.ENCODER,
            sample=sample + settings.first_sample,
            neuron=neuron,
            tick=tick,
            slot=slot,
        )
        spikes[sample, tick, neuron] = number < threshold
    return spikes


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


def _latency(data: Array, settings: Settings) -> Spikes:
    """Fire once, at tick rint((1 - x) (ticks - 1)); x = 0 does not fire."""
    x = np.clip(settings.scaled(data), 0.0, 1.0)
    tick = np.rint((1.0 - x) * (settings.ticks - 1)).astype(np.int64)
    spikes = np.zeros((len(x), settings.ticks, x.shape[1]), np.int8)
    sample, neuron = np.nonzero(x > 0)
    spikes[sample, tick[sample, neuron], neuron] = 1
    return spikes


def _threshold(data: Array, settings: Settings) -> Spikes:
    """Every tick fires where x lies above the threshold."""
    above = settings.scaled(data) > float(settings.options["threshold"])
    return np.repeat(above[:, np.newaxis].astype(np.int8), settings.ticks, axis=1)


def _direct(data: Array, settings: Settings) -> Spikes:
    """The data are the spikes; ticks that they lack stay silent."""
    spikes = np.zeros((len(data), settings.ticks, data.shape[2]), np.int8)
    spikes[:, : data.shape[1]] = data
    return spikes


def _graded(data: Array, settings: Settings) -> Encoded:
    """The data are the values of the spikes; ticks that they lack stay silent."""
    values = np.zeros((len(data), settings.ticks, data.shape[2]), np.int32)
    values[:, : data.shape[1]] = data
    return values


def _current(data: Array, settings: Settings) -> Encoded:
    """The data are the current, in every tick."""
    return settings.scaled(data)[:, np.newaxis]


_LARGEST = Option("largest magnitude of a value", 255, integer=True, minimum=1, maximum=32767)
_GAIN = Option("factor on the scaled data", 1.0, minimum=0.0)
_SEED = Option("seed of the random numbers", 0, integer=True, minimum=0, maximum=2**64 - 1)
_UNIT = (0.0, 1.0)

ENCODERS: Table[EncoderScheme] = Table("encoder")
for _scheme in (
    EncoderScheme(
        "rate",
        "deterministic: evenly spaced spikes, x per tick",
        {"gain": _GAIN},
        _rate,
        clips_to=_UNIT,
        refuses_negative=True,
    ),
    EncoderScheme("bernoulli", "random: fires with probability x", {"gain": _GAIN, "seed": _SEED}, _bernoulli, clips_to=_UNIT),
    EncoderScheme(
        "poisson",
        "random: fires with probability 1 - exp(-x)",
        {"gain": _GAIN, "seed": _SEED},
        _poisson,
        clips_to=(0.0, float("inf")),
    ),
    EncoderScheme("latency", "one spike, the earlier the larger x", {"gain": _GAIN}, _latency, clips_to=_UNIT),
    EncoderScheme(
        "threshold",
        "a spike in every tick where x lies above the threshold",
        {"gain": _GAIN, "threshold": Option("above it x is a spike", 0.5)},
        _threshold,
    ),
    EncoderScheme("direct", "the data are spikes, 0 or 1 per tick", {}, _direct, timed=True),
    EncoderScheme(
        "graded",
        "the data are whole values per tick, which the weights multiply",
        {"largest": _LARGEST},
        _graded,
        timed=True,
        graded=True,
    ),
    EncoderScheme(
        "current", "no spikes: x is a constant current that the weights multiply", {"gain": _GAIN}, _current, analog=True
    ),
):
    ENCODERS.register(_scheme.name, _scheme)
