"""Codes of time: when a neuron fires, in which order, in which phase, at which intervals, and which of several fires."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding.rates import bernoulli, regular
from neurocomp.encoding.schemes import (
    ENCODERS,
    EXPONENTIAL,
    GAIN,
    SEED,
    UNIT,
    EncoderScheme,
    Operations,
    Option,
    Options,
    Problem,
    Settings,
    Shape,
    Spikes,
    at_tick,
    exp_minus,
    silent,
)

Array = NDArray[Any]


def _latency(data: Array, settings: Settings) -> Spikes:
    """Fire once, at tick rint((1 - x) L), L the tick ``last``; x = 0 does not fire.

    S. Thorpe, A. Delorme, R. Van Rullen: Spike-based strategies for rapid processing. Neural Networks 14, 2001.
    """
    x, last = np.clip(settings.scaled(data), 0.0, 1.0), _last(settings.options, settings.ticks)
    return at_tick(np.rint((1.0 - x) * last).astype(np.int64), settings, x > 0)


def _last(options: Options, ticks: int) -> int:
    last = int(options.get("last", -1))
    return last if last >= 0 else ticks + last


def _latency_problem(options: Options, ticks: int) -> Problem | None:
    if 0 <= _last(options, ticks) < ticks:
        return None
    message = f"the last tick of the code is {options.get('last')}; a sample has the ticks 0 to {ticks - 1}"
    return Problem("last", message, "write 'last: -1', which is the last tick of a sample")


def _log_latency(data: Array, settings: Settings) -> Spikes:
    """Fire once, when a leaky neuron under the current x reaches the threshold: tick rint(tau ln(x / (x - threshold))).

    x is compared with the values at which that number passes k - 1/2, threshold / (1 - exp((1/2 - k) / tau)), so that no
    logarithm is needed; x <= threshold, and what comes after the last tick, does not fire.

    W. Gerstner, W. Kistler: Spiking Neuron Models, 4.1. Cambridge University Press 2002; `snntorch.spikegen.latency`.
    """
    x, threshold = settings.scaled(data), float(settings.options["threshold"])
    half = np.asarray((np.arange(1, settings.ticks + 1) - 0.5) / float(settings.options["tau"]), np.float64)
    tick = np.zeros(x.shape, np.int64)
    for level in threshold / (1.0 - exp_minus(half)):
        tick += x <= level
    return at_tick(tick, settings, x > threshold)


def _rank_order(data: Array, settings: Settings) -> Spikes:
    """Fire once, in the order of falling x, ``per_tick`` neurons per tick; of equals the lowest index first.

    x <= 0 and what comes after the last tick do not fire.

    S. Thorpe, J. Gautrais: Rank order coding. Computational Neuroscience: Trends in Research, 1998.
    """
    x = settings.scaled(data)
    order = np.argsort(-x, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(x.shape[1]), x.shape), axis=1)
    return at_tick(rank // int(settings.options["per_tick"]), settings, x > 0)


def _phase(data: Array, settings: Settings) -> Spikes:
    """Fire in phase k (from 0) of each period where the bit of weight 2**-(k + 1) of x is set.

    With P phases the bits are those of min(floor(x 2**P), 2**P - 1); a period that the sample's end cuts is sent as far as it
    goes.

    J. Kim et al.: Deep neural networks with weighted spikes. Neurocomputing 311, 2018.
    """
    period = int(settings.options["period"])
    x = np.clip(settings.scaled(data), 0.0, 1.0)
    bits = np.minimum(np.floor(x * 2.0**period), 2.0**period - 1).astype(np.int64)
    spikes = silent(len(data), settings)
    for tick in range(settings.ticks):
        spikes[:, tick] = bits >> (period - 1 - tick % period) & 1
    return spikes


def _burst(data: Array, settings: Settings) -> Spikes:
    """Fire ceil(spikes x) times from tick 0 on, ceil(interval_max - (interval_max - interval_min) x) ticks apart.

    W. Guo et al.: Neural coding in spiking neural networks: a comparative study. Frontiers in Neuroscience 15, 2021.
    """
    most, low, high = (int(settings.options[key]) for key in ("spikes", "interval_min", "interval_max"))
    x = np.clip(settings.scaled(data), 0.0, 1.0)
    count = np.ceil(most * x).astype(np.int64)
    interval = np.ceil(high - (high - low) * x).astype(np.int64)
    spikes = silent(len(data), settings)
    for tick in range(settings.ticks):
        spikes[:, tick] = (tick % interval == 0) & (tick < count * interval)
    return spikes


def _burst_problem(options: Options, ticks: int) -> Problem | None:
    most, low, high = (int(options[key]) for key in ("spikes", "interval_min", "interval_max"))
    if low > high:
        message = f"interval_min is {low}, more than interval_max, {high}"
        return Problem("interval_min", message, f"write 'interval_max: {low}' or more")
    if (most - 1) * low >= ticks:
        message = f"{most} spikes {low} ticks apart take {(most - 1) * low + 1} ticks; the network has {ticks} per sample"
        return Problem("spikes", message, f"write 'spikes: {(ticks - 1) // low + 1}', or raise 'ticks'")
    return None


def _phase_problem(options: Options, ticks: int) -> Problem | None:
    period = int(options["period"])
    if period > ticks:
        message = f"a period has {period} phases, a tick each; the network has {ticks} ticks per sample"
        return Problem("period", message, f"write 'period: {ticks}', or raise 'ticks'")
    return None


def _population(data: Array, settings: Settings) -> Spikes:
    """Encode each value by neurons with Gaussian receptive fields, whose responses 0 .. 1 a second code turns into spikes.

    Field j of m has its centre at low + (2 j - 1) / 2 w, w = (high - low) / (m - 2), and the width w / beta; responses below
    ``cutoff`` do not fire. Neuron i m + j has field j of value i.

    S. Bohte, H. La Poutré, J. Kok: Unsupervised clustering with spiking neurons by sparse temporal coding and multilayer RBF
    networks. IEEE Transactions on Neural Networks 13(2), 2002.
    """
    options, fields = settings.options, int(settings.options["fields"])
    low, high = float(options["low"]), float(options["high"])
    width = (high - low) / (fields - 2)
    centres = low + (2.0 * np.arange(fields) - 1.0) / 2.0 * width
    distance = (settings.scaled(data)[:, :, np.newaxis] - centres) / (width / float(options["beta"]))
    response = exp_minus(distance * distance / 2.0).reshape(len(data), -1)
    response = np.where(response < float(options["cutoff"]), 0.0, response)
    code = {"latency": _latency, "rate": regular, "bernoulli": bernoulli}[str(options["code"])]
    return code(response, replace(settings, scale=1.0, options={"gain": 1.0, "seed": options["seed"]}))


def _population_shape(shape: Shape, options: Options) -> Shape:
    fields = int(options["fields"])
    if shape[-1] % fields:
        message = f"the last axis holds the {fields} fields of each value, and {shape[-1]} is no multiple of {fields}"
        raise ValueError(message)
    return shape[:-1] if shape[-1] == fields and len(shape) > 1 else (*shape[:-1], shape[-1] // fields)


def _population_problem(options: Options, ticks: int) -> Problem | None:
    low, high = float(options["low"]), float(options["high"])
    if low < high:
        return None
    return Problem("low", f"low is {low:g}, not less than high, {high:g}", f"write 'high: {low + 1:g}', or the data's range")


def _population_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    code = ENCODERS[str(options["code"])].operations(neurons, neurons, ticks, options)
    return Operations(values + neurons * (3 + EXPONENTIAL), neurons) + code


def _latency_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    return Operations(3 * values, 3 * values)


def _log_latency_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    return Operations(values, values * (1 + ticks))


def _rank_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    return Operations(values, values * (1 + math.ceil(math.log2(max(values, 1)))))


def _phase_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    return Operations(2 * values, 3 * values)


def _burst_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    return Operations(3 * values, 2 * values)


for _scheme in (
    EncoderScheme(
        "latency",
        "one spike, the earlier the larger x",
        {
            "gain": GAIN,
            "last": Option(
                "tick of the smallest x; negative ones count from the end",
                -1,
                integer=True,
                minimum=-(2**31),
                maximum=2**31 - 1,
            ),
        },
        _latency,
        clips_to=UNIT,
        problem=_latency_problem,
        operations=_latency_operations,
        formula="one spike at tick rint((1 - x) last), x clipped to 0 … 1, ties to the even tick; none for x = 0; a negative "
        "last counts from the end, -1 is T - 1",
        cost="3 n MACs, 3 n comparisons",
        source="S. Thorpe, A. Delorme, R. Van Rullen: Spike-based strategies for rapid processing. Neural Networks 14, 2001",
    ),
    EncoderScheme(
        "log_latency",
        "one spike, when a leaky neuron under the current x reaches the threshold",
        {
            "gain": GAIN,
            "tau": Option("time constant of the leaky neuron in ticks", 5.0, minimum=0.01, maximum=1e6),
            "threshold": Option("x up to it does not fire", 0.01, minimum=1e-9),
        },
        _log_latency,
        operations=_log_latency_operations,
        formula="one spike at tick rint(tau ln(x / (x - threshold))); none for x <= threshold, or after the last tick",
        cost="n MACs, n (1 + T) comparisons",
        source="W. Gerstner, W. Kistler: Spiking Neuron Models. Cambridge University Press 2002; snntorch.spikegen.latency",
    ),
    EncoderScheme(
        "rank_order",
        "one spike, in the order of falling x",
        {"gain": GAIN, "per_tick": Option("neurons that fire per tick", 1, integer=True, minimum=1, maximum=2**31 - 1)},
        _rank_order,
        operations=_rank_operations,
        formula="rank r, from 0, of falling x, of equals the lowest index first: one spike at tick floor(r / per_tick); "
        "none for x <= 0, or after the last tick",
        cost="n MACs, at most n (1 + ceil(log2 n)) comparisons",
        source="S. Thorpe, J. Gautrais: Rank order coding. Computational Neuroscience: Trends in Research, 1998",
    ),
    EncoderScheme(
        "phase",
        "the bits of x, the highest first, in every period",
        {"gain": GAIN, "period": Option("bits of x, a tick each", 8, integer=True, minimum=1, maximum=32)},
        _phase,
        clips_to=UNIT,
        problem=_phase_problem,
        operations=_phase_operations,
        formula="tick t fires where bit P - 1 - t mod P of min(floor(x 2^P), 2^P - 1) is set, P = period, x clipped to 0 … 1",
        cost="2 n MACs, 3 n comparisons",
        source="J. Kim et al.: Deep neural networks with weighted spikes. Neurocomputing 311, 2018",
    ),
    EncoderScheme(
        "burst",
        "the more spikes, and the closer, the larger x",
        {
            "gain": GAIN,
            "spikes": Option("spikes where x is 1", 5, integer=True, minimum=1, maximum=2**31 - 1),
            "interval_min": Option("ticks between spikes where x is 1", 1, integer=True, minimum=1, maximum=2**31 - 1),
            "interval_max": Option("ticks between spikes where x is near 0", 6, integer=True, minimum=1, maximum=2**31 - 1),
        },
        _burst,
        clips_to=UNIT,
        problem=_burst_problem,
        operations=_burst_operations,
        formula="ceil(spikes x) spikes from tick 0 on, ceil(interval_max - (interval_max - interval_min) x) ticks apart, "
        "x clipped to 0 … 1; none after the last tick",
        cost="3 n MACs, 2 n comparisons",
        source="W. Guo et al.: Neural coding in spiking neural networks: a comparative study. Frontiers in Neuroscience "
        "15, 2021",
    ),
    EncoderScheme(
        "population",
        "several neurons per value, with Gaussian receptive fields",
        {
            "gain": GAIN,
            "fields": Option("neurons per value, the last axis of the population", 8, integer=True, minimum=3, maximum=2**16),
            "low": Option("smallest x", 0.0),
            "high": Option("largest x", 1.0),
            "beta": Option("distance of the centres per width of a field", 1.5, minimum=0.01, maximum=100.0),
            "cutoff": Option("responses below it do not fire", 0.1, minimum=0.0, maximum=1.0),
            "code": Option("the scheme that turns responses into spikes", "latency", words=("latency", "rate", "bernoulli")),
            "seed": SEED,
        },
        _population,
        data_shape=_population_shape,
        problem=_population_problem,
        operations=_population_operations,
        formula="field j = 0 … m - 1 of m = fields responds with a = exp(-((x - c) / s)^2 / 2), c = low + (2 j - 1) / 2 w, "
        "s = w / beta, w = (high - low) / (m - 2); a < cutoff counts as 0; then `code` of a",
        cost="n / m + 27 n MACs, n comparisons, and those of `code` for n values",
        source="S. Bohte, H. La Poutré, J. Kok: Unsupervised clustering with spiking neurons by sparse temporal coding and "
        "multilayer RBF networks. IEEE Transactions on Neural Networks 13(2), 2002",
    ),
):
    ENCODERS.register(_scheme.name, _scheme)
