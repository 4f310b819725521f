"""Events of a camera (t, x, y, p), binned to ticks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding.rates import LARGEST
from neurocomp.encoding.schemes import (
    ENCODERS,
    Encoded,
    EncoderScheme,
    Operations,
    Option,
    Options,
    Settings,
    Shape,
    Spikes,
)
from neurocomp.ir.network import NO_EVENT

Array = NDArray[Any]
Integers = NDArray[np.int64]


def ticks_of(events: Array, options: Options) -> Integers:
    """Return the tick of each event, (samples, events): from the first event of the sample on, or from t = 0; -1 for none.

    Args:
        events: (samples, events, 4): t, x, y, p.
        options: ``interval``, time stamps per tick, and ``start``.
    """
    t = events[:, :, 0].astype(np.int64)
    exists = t != NO_EVENT
    first: Integers = np.zeros((len(t), 1), np.int64)
    if options["start"] == "first" and t.shape[1]:
        first = np.where(exists, t, np.iinfo(np.int64).max).min(axis=1, keepdims=True)
    return np.where(exists, (t - first) // int(options["interval"]), -1)


def pixels_of(events: Array, options: Options) -> tuple[Integers, Integers, Integers]:
    """Return (p, y, x) of each event after pooling, (samples, events) each."""
    pool = int(options["pool"])
    x, y, p = (events[:, :, column].astype(np.int64) for column in (1, 2, 3))
    return p, y // pool, x // pool


def _counts(data: Array, settings: Settings) -> Integers:
    """Return the number of events per tick and neuron of (2, H, W): channel 0 has those of p = 0, 1 those of p = 1."""
    _, height, width = settings.shape
    p, y, x = pixels_of(data, settings.options)
    tick = ticks_of(data, settings.options)
    counts = np.zeros((len(data), settings.ticks, 2 * height * width), np.int64)
    sample, event = np.nonzero((tick >= 0) & (tick < settings.ticks))
    neuron = ((p * height + y) * width + x)[sample, event]
    np.add.at(counts, (sample, tick[sample, event], neuron), 1)
    return counts


def _events(data: Array, settings: Settings) -> Spikes:
    """Fire in each tick in which the pixel has at least one event of that polarity."""
    return (_counts(data, settings) > 0).astype(np.int8)


def _event_counts(data: Array, settings: Settings) -> Encoded:
    """Send the number of events of each tick, pixel and polarity, at most ``largest``."""
    return np.minimum(_counts(data, settings), int(settings.options["largest"])).astype(np.int32)


def _shape(shape: Shape, options: Options) -> Shape:
    """Return (4,): an event is four numbers; the population has the shape of the camera behind the pooling."""
    if len(shape) != 3 or shape[0] != 2:
        message = f"a camera has the shape [2, H, W], p = 0 before p = 1, not {list(shape)}"
        raise ValueError(message)
    return (4,)


def _operations(values: int, neurons: int, ticks: int, options: Options) -> Operations:
    return Operations(3 * values, values)


_OPTIONS = {
    "interval": Option("time stamps per tick; 1000 of 1 us are 1 ms", 1000, integer=True, minimum=1, maximum=2**40),
    "start": Option("what tick 0 begins with: the sample's first event, or the time stamp 0", "first", words=("first", "zero")),
    "pool": Option("pixels a side that make one", 1, integer=True, minimum=1, maximum=2**16),
}
_FORMULA = "tick floor((t - t0) / interval), pixel (floor(y / pool), floor(x / pool)), channel p; t0 the first t, or 0"
_COST = "3 MACs and 1 comparison per event"
_SOURCE = (
    "P. Lichtsteiner, C. Posch, T. Delbruck: A 128×128 120 dB 15 µs latency asynchronous temporal contrast vision sensor. "
    "IEEE JSSC 43(2), 2008"
)

for _scheme in (
    EncoderScheme(
        "events",
        "events of a camera: a spike in each tick with at least one",
        _OPTIONS,
        _events,
        events=True,
        data_shape=_shape,
        operations=_operations,
        formula=_FORMULA + "; a spike where there is at least one event",
        cost=_COST,
        source=_SOURCE,
    ),
    EncoderScheme(
        "event_counts",
        "events of a camera: spikes that carry their number in each tick",
        {**_OPTIONS, "largest": LARGEST},
        _event_counts,
        events=True,
        graded=True,
        data_shape=_shape,
        operations=_operations,
        formula=_FORMULA + "; the number of events, at most largest",
        cost=_COST,
        source=_SOURCE,
    ),
):
    ENCODERS.register(_scheme.name, _scheme)
