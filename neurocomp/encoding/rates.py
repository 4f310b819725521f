"""Codes of a rate, and data that are spikes or a current already."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding import philox
from neurocomp.encoding.schemes import (
    ENCODERS,
    EXPONENTIAL,
    GAIN,
    SEED,
    UNIT,
    Encoded,
    EncoderScheme,
    FloatArray,
    Operations,
    Option,
    Options,
    Settings,
    Spikes,
    exp_minus,
)

Array = NDArray[Any]


def regular(data: Array, settings: Settings) -> Spikes:
    """With R = rint(min(x, 1) 2**32), tick t fires iff (R t + 2**31) div 2**32 grows from t to t + 1."""
    rate = np.rint(np.minimum(settings.scaled(data), 1.0) * 2.0**32).astype(np.int64)
    spikes = np.empty((len(rate), settings.ticks, rate.shape[1]), np.int8)
    sum_before = np.full(rate.shape, 1 << 31, np.int64)
    for tick in range(settings.ticks):
        sum_after = sum_before + rate
        spikes[:, tick] = (sum_after >> 32) - (sum_before >> 32)
        sum_before = sum_after
    return spikes


def bernoulli(data: Array, settings: Settings) -> Spikes:
    """Every tick fires with the probability x."""
    return fire(np.clip(settings.scaled(data), 0.0, 1.0), settings)


def _poisson(data: Array, settings: Settings) -> Spikes:
    """Every tick fires with the probability that a Poisson process of x expected events has at least one."""
    return fire(1.0 - exp_minus(np.maximum(settings.scaled(data), 0.0)), settings)


def fire(probability: FloatArray, settings: Settings) -> Spikes:
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


LARGEST = Option("largest magnitude of a value", 255, integer=True, minimum=1, maximum=32767)
POISSON = "D. Heeger: Poisson model of spike generation. Stanford University, 2000"


def scaled_once(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    """Return a multiplication by the gain per value."""
    return Operations(macs=values)


def _rate_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    return Operations(macs=values * (1 + ticks), comparisons=values)


def _bernoulli_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    return Operations(values, values * (2 + ticks), values * ticks)


def _poisson_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    return Operations(values * (1 + EXPONENTIAL + 1), values * (1 + ticks), values * ticks)


def _threshold_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    return Operations(values, values)


for _scheme in (
    EncoderScheme(
        "rate",
        "deterministic: evenly spaced spikes, x per tick",
        {"gain": GAIN},
        regular,
        clips_to=UNIT,
        refuses_negative=True,
        operations=_rate_operations,
        formula="R = rint(min(x, 1) 2^32); tick t fires where floor((R t + 2^31) / 2^32) grows from t to t + 1",
        cost="n (1 + T) MACs, n comparisons",
        source="the accumulator of a digital differential analyzer; E. Adrian: The impulses produced by sensory nerve endings. "
        "J. Physiology 61, 1926",
    ),
    EncoderScheme(
        "bernoulli",
        "random: fires with probability x",
        {"gain": GAIN, "seed": SEED},
        bernoulli,
        clips_to=UNIT,
        operations=_bernoulli_operations,
        formula="a draw < floor(p 2^32), p = x clipped to 0 … 1",
        cost="n MACs, n (2 + T) comparisons, n T random numbers",
        source=POISSON + " (a Bernoulli trial per bin)",
    ),
    EncoderScheme(
        "poisson",
        "random: fires with probability 1 - exp(-x)",
        {"gain": GAIN, "seed": SEED},
        _poisson,
        clips_to=(0.0, float("inf")),
        operations=_poisson_operations,
        formula="a draw < floor(p 2^32), p = 1 - exp(-max(x, 0))",
        cost="26 n MACs, n (1 + T) comparisons, n T random numbers",
        source=POISSON,
    ),
    EncoderScheme(
        "threshold",
        "a spike in every tick where x lies above the threshold",
        {"gain": GAIN, "threshold": Option("above it x is a spike", 0.5)},
        _threshold,
        operations=_threshold_operations,
        formula="every tick fires where x > threshold",
        cost="n MACs, n comparisons",
        source="S. Esser et al.: Convolutional networks for fast, energy-efficient neuromorphic computing. PNAS 113(41), 2016",
    ),
    EncoderScheme(
        "direct",
        "the data are spikes, 0 or 1 per tick",
        {},
        _direct,
        timed=True,
        formula="the data",
        cost="none",
        source="the user's own encoder",
    ),
    EncoderScheme(
        "graded",
        "the data are whole values per tick, which the weights multiply",
        {"largest": LARGEST},
        _graded,
        timed=True,
        graded=True,
        formula="the data, whole values in -largest … largest",
        cost="none",
        source="G. Orchard et al.: Efficient neuromorphic signal processing with Loihi 2. SiPS 2021",
    ),
    EncoderScheme(
        "current",
        "no spikes: x is a constant current that the weights multiply",
        {"gain": GAIN},
        _current,
        analog=True,
        operations=scaled_once,
        formula="x, in every tick",
        cost="n MACs (and those of the first layer, counted as the host's)",
        source="B. Rueckauer et al.: Conversion of continuous-valued deep networks to efficient event-driven networks. "
        "Frontiers in Neuroscience 11, 2017",
    ),
):
    ENCODERS.register(_scheme.name, _scheme)
