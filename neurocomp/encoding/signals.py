"""Codes of signals: data that change from tick to tick, (samples, ticks, ...)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding.schemes import (
    ENCODERS,
    GAIN,
    EncoderScheme,
    FloatArray,
    Operations,
    Option,
    Options,
    Problem,
    Settings,
    Spikes,
    exp_minus,
    silent,
    up_and_down,
)

Array = NDArray[Any]

_THRESHOLD = 0.955
"""Of BSA, where the filter's area is 1; a convention."""


def _halves(spikes: Spikes, settings: Settings) -> tuple[Spikes, Spikes | None]:
    """Return the spikes of the neurons of what rises, and of what falls; None where those are left out."""
    if settings.options["polarity"] == "up":
        return spikes, None
    half = spikes.shape[2] // 2
    return spikes[:, :, :half], spikes[:, :, half:]


def _delta(data: Array, settings: Settings) -> Spikes:
    """Fire up where x - r >= limit, down where x - r <= -limit; the first tick is silent.

    r is the value of the tick before, or the one of the neuron's last spike, whichever ``reference`` says. The limit is
    ``threshold``, or with ``adapt: signal`` that many standard deviations of the changes above their mean, per sample and
    value.

    B. Petro, N. Kasabov, R. Kiss: Selection and optimization of temporal spike encoding methods for spiking neural networks.
    IEEE
    Transactions on Neural Networks and Learning Systems 31(2), 2020; P. Lichtsteiner, C. Posch, T. Delbruck: A 128x128 120 dB
    15 us latency asynchronous temporal contrast vision sensor. IEEE JSSC 43(2), 2008 (``reference: sent``).
    """
    x, options = settings.scaled(data), settings.options
    spikes = silent(len(data), settings)
    up, down = _halves(spikes, settings)
    limit = np.full((len(x), x.shape[2]), float(options["threshold"]))
    if options["adapt"] == "signal":
        limit = _mean_and_deviation(x[:, 1:] - x[:, :-1], float(options["threshold"]))
    before = x[:, 0].copy() if x.shape[1] else x
    for tick in range(1, x.shape[1]):
        change = x[:, tick] - before
        rises, falls = (change >= limit) & (change > 0), (change <= -limit) & (change < 0)
        up[:, tick] = rises
        if down is not None:
            down[:, tick] = falls
        fires = (rises | falls) if options["reference"] == "sent" else np.ones_like(rises)
        before = np.where(fires, x[:, tick], before)
    return spikes


def _mean_and_deviation(changes: FloatArray, deviations: float) -> FloatArray:
    """Return mean + deviations * standard deviation over the ticks, summed in their order."""
    count = max(changes.shape[1], 1)
    mean, square = np.zeros(changes.shape[::2]), np.zeros(changes.shape[::2])
    for tick in range(changes.shape[1]):
        mean += changes[:, tick]
    mean /= count
    for tick in range(changes.shape[1]):
        square += (changes[:, tick] - mean) * (changes[:, tick] - mean)
    return np.asarray(mean + deviations * np.sqrt(square / count))


def _step_forward(data: Array, settings: Settings) -> Spikes:
    """Fire up where x > base + threshold, down where x < base - threshold, and move the base by the threshold that way.

    The base starts at the first value.

    N. Kasabov et al.: Evolving spatio-temporal data machines based on the NeuCube neuromorphic framework. Neural Networks
    78, 2016.
    """
    x, threshold = settings.scaled(data), float(settings.options["threshold"])
    spikes = silent(len(data), settings)
    up, down = _halves(spikes, settings)
    base = x[:, 0].copy() if x.shape[1] else x
    for tick in range(1, x.shape[1]):
        rises, falls = x[:, tick] > base + threshold, x[:, tick] < base - threshold
        up[:, tick] = rises
        if down is not None:
            down[:, tick] = falls
        base += threshold * rises
        base -= threshold * falls
    return spikes


def kernel(options: Options) -> FloatArray:
    """Return the taps of the filter that turns spikes back into the signal, (length,), dimensionless, their sum ``area``.

    Tap j of L is 1 (``boxcar``), min(j + 1, L - j) (``triangle``) or exp(-3 j / L) (``exponential``), times one factor.

    >>> kernel({"kernel": "triangle", "length": 3, "area": 2.0})
    array([0.5, 1. , 0.5])
    """
    length, j = int(options["length"]), np.arange(int(options["length"]), dtype=np.float64)
    shape = {"boxcar": np.ones(length), "triangle": np.minimum(j + 1, length - j), "exponential": exp_minus(3.0 * j / length)}
    taps = shape[str(options["kernel"])]
    total = 0.0
    for tap in taps:
        total += float(tap)
    return np.asarray(taps * (float(options["area"]) / total))


def _hough(data: Array, settings: Settings) -> Spikes:
    """Fire where the signal from that tick on lies nowhere below the filter's taps, and subtract them; past the end it is 0.

    M. Hough, H. de Garis, M. Korkin, F. Gers, N. Nawa: SPIKER: analog waveform to digital spiketrain conversion in ATR's
    artificial brain (CAM-Brain) project. AROB 1999.
    """
    rest, spikes, taps = settings.scaled(data).copy(), silent(len(data), settings), kernel(settings.options)
    for tick in range(rest.shape[1] - len(taps) + 1):
        window = rest[:, tick : tick + len(taps)]
        fires = (window >= taps[:, np.newaxis]).all(axis=1)
        spikes[:, tick] = fires
        window -= taps[:, np.newaxis] * fires[:, np.newaxis]
    return spikes


def _bens(data: Array, settings: Settings) -> Spikes:
    """Fire where subtracting the filter's taps makes the sum of |signal| smaller by the threshold, and subtract them.

    The sums go over the ticks of the filter that the signal has.

    B. Schrauwen, J. Van Campenhout: BSA, a fast and accurate spike train encoding scheme. IJCNN 2003.
    """
    rest, spikes, taps = settings.scaled(data).copy(), silent(len(data), settings), kernel(settings.options)
    threshold = float(settings.options["threshold"])
    for tick in range(rest.shape[1]):
        window = rest[:, tick : tick + len(taps)]
        with_spike, without = np.zeros(window.shape[::2]), np.zeros(window.shape[::2])
        for j in range(window.shape[1]):
            with_spike += np.abs(window[:, j] - taps[j])
            without += np.abs(window[:, j])
        fires = with_spike <= without - threshold
        spikes[:, tick] = fires
        window -= taps[: window.shape[1], np.newaxis] * fires[:, np.newaxis]
    return spikes


def _hough_problem(options: Options, ticks: int) -> Problem | None:
    length = int(options["length"])
    if length > ticks:
        message = f"a spike needs the {length} ticks of the filter; the network has {ticks} per sample, so that none fires"
        return Problem("length", message, f"write 'length: {ticks}' or less, or raise 'ticks'")
    return None


def _bens_problem(options: Options, ticks: int) -> Problem | None:
    threshold, area = float(options["threshold"]), float(options["area"])
    if threshold <= area:
        return None
    message = (
        f"threshold is {threshold:g}; a spike lowers the error by the filter's area, {area:g}, at most, so that none fires"
    )
    return Problem("threshold", message, f"write 'threshold: {_THRESHOLD * area:g}'")


def _delta_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    extra = 4 if options["adapt"] == "signal" else 0
    return Operations((2 + extra) * values * ticks, 2 * values * ticks)


def _step_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    return Operations(4 * values * ticks, 2 * values * ticks)


def _hough_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    length = int(options["length"])
    return Operations((1 + length) * values * ticks, length * values * ticks)


def _bens_operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    length = int(options["length"])
    return Operations((2 + 4 * length) * values * ticks, values * ticks)


_POLARITY = Option(
    "whether the second half of the population fires for what falls, or nothing does", "both", words=("both", "up")
)
_FILTER = {
    "gain": GAIN,
    "kernel": Option("the filter that turns spikes back", "triangle", words=("boxcar", "triangle", "exponential")),
    "length": Option("ticks of the filter", 16, integer=True, minimum=1, maximum=4096),
    "area": Option("sum of the filter's taps: x of a neuron that always fires", 1.0, minimum=1e-9),
}
_BACK = "; the signal is the spikes convolved with the taps"

for _scheme in (
    EncoderScheme(
        "delta",
        "delta modulation, temporal contrast: spikes where the signal changes",
        {
            "gain": GAIN,
            "threshold": Option(
                "smallest change that fires; deviations above the mean with 'adapt: signal'", 0.1, minimum=1e-9
            ),
            "adapt": Option("whether the limit follows from the signal's changes", "none", words=("none", "signal")),
            "reference": Option("what a change is measured from", "previous", words=("previous", "sent")),
            "polarity": _POLARITY,
        },
        _delta,
        timed=True,
        signal=True,
        data_shape=up_and_down,
        operations=_delta_operations,
        formula="up where x(t) - r >= limit, down where x(t) - r <= -limit; r = x(t - 1), or x of the last spike (`sent`); "
        "limit = threshold, or mean + threshold × deviation of x(t) - x(t - 1) (`adapt: signal`)",
        cost="2 v T MACs (6 v T with `adapt: signal`), 2 v T comparisons",
        source="B. Petro, N. Kasabov, R. Kiss: Selection and optimization of temporal spike encoding methods for "
        "spiking neural "
        "networks. IEEE TNNLS 31(2), 2020; P. Lichtsteiner, C. Posch, T. Delbruck: A 128×128 120 dB 15 µs latency asynchronous "
        "temporal contrast vision sensor. IEEE JSSC 43(2), 2008; snntorch.spikegen.delta",
    ),
    EncoderScheme(
        "step_forward",
        "spikes that move a base by the threshold after the signal",
        {"gain": GAIN, "threshold": Option("step of the base", 0.1, minimum=1e-9), "polarity": _POLARITY},
        _step_forward,
        timed=True,
        signal=True,
        data_shape=up_and_down,
        operations=_step_operations,
        formula="base b = x(0); up where x(t) > b + threshold, then b += threshold; down where x(t) < b - threshold, "
        "then b -= threshold",
        cost="4 v T MACs, 2 v T comparisons",
        source="N. Kasabov et al.: Evolving spatio-temporal data machines based on the NeuCube neuromorphic framework. "
        "Neural Networks 78, 2016",
    ),
    EncoderScheme(
        "hsa",
        "Hough spiker: spikes whose filtered sum stays below the signal",
        _FILTER,
        _hough,
        timed=True,
        signal=True,
        problem=_hough_problem,
        operations=_hough_operations,
        formula="fires where x(t + j) >= h(j) for all taps j, and then subtracts them" + _BACK,
        cost="(1 + L) v T MACs, L v T comparisons, L = length",
        source="M. Hough et al.: SPIKER: analog waveform to digital spiketrain conversion in ATR's artificial brain "
        "(CAM-Brain) "
        "project. AROB 1999",
    ),
    EncoderScheme(
        "bsa",
        "Ben's spiker: spikes whose filtered sum comes close to the signal",
        {**_FILTER, "threshold": Option("by how much a spike must lower the error", _THRESHOLD, minimum=0.0)},
        _bens,
        timed=True,
        signal=True,
        problem=_bens_problem,
        operations=_bens_operations,
        formula="fires where sum |x(t + j) - h(j)| <= sum |x(t + j)| - threshold, and then subtracts the taps h" + _BACK,
        cost="(2 + 4 L) v T MACs, v T comparisons, L = length",
        source="B. Schrauwen, J. Van Campenhout: BSA, a fast and accurate spike train encoding scheme. IJCNN 2003",
    ),
):
    ENCODERS.register(_scheme.name, _scheme)
