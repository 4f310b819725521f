"""Encoders: what each scheme makes of data, exactly, on every platform."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding import front
from neurocomp.encoding.events import pixels_of, ticks_of
from neurocomp.encoding.schemes import ENCODERS, Encoded, EncoderScheme, Operations, Problem, Settings, Shape
from neurocomp.errors import Diagnostic, Location, NetworkError
from neurocomp.ir.network import NO_EVENT, Encoder, Network
from neurocomp.models.neurons import NEURON_MODELS

Array = NDArray[Any]

_SAMPLES_AT_A_TIME = 64
_SHAPE_HINT = "give the population the shape of the spikes; docs/encoders.md says what it is"


def data_shape(encoder: Encoder, shape: Shape) -> Shape:
    """Return the shape of the data per sample, and per tick where they have ticks; of events, of one event.

    Args:
        encoder: The scheme, its options and what stands in front of it.
        shape: Of the input population, which is that of the spikes.

    Raises:
        ValueError: The scheme or a filter cannot make ``shape``, with the reason.
    """
    return _between(encoder, shape)[0]


def _between(encoder: Encoder, shape: Shape) -> tuple[Shape, Shape]:
    """Return the shape of the data, and that of what the scheme takes, behind the filters in front."""
    taken = found = ENCODERS[encoder.scheme].data_shape(shape, encoder.options)
    for _ in encoder.front:
        found = front.filtered_shape(found)
    return found, taken


def takes_front(scheme: EncoderScheme) -> bool:
    """Return whether filters may stand in front of a scheme: whether it takes values, not spikes or events."""
    return not scheme.events and (scheme.signal or not scheme.timed)


def encoder_problem(encoder: Encoder, shape: Shape, ticks: int) -> tuple[str, Problem] | None:
    """Return what is wrong with an encoder whose options are each in their range: the code of the error, and the problem.

    Its ``option`` is an option of the scheme, ``front``, ``front.N.FILTER.OPTION`` with N from 0, or ``scheme``.
    """
    scheme = ENCODERS[encoder.scheme]
    for index, entry in enumerate(encoder.front):
        found = front.FILTERS[entry.kind].problem(entry.options)
        if found is not None:
            at = f"front.{index}.{entry.kind}.{found.option}"
            return "NC0209", found._replace(option=at, message=f"{entry.kind}: {found.message}")
    if encoder.front and not takes_front(scheme):
        message = f"'{scheme.name}' takes no values that a filter could make"
        hint = "filter before you make the data, or encode values: latency, rate, delta"
        return "NC0209", Problem("front", message, hint)
    found = scheme.problem(encoder.options, ticks)
    if found is not None:
        return "NC0209", found
    try:
        data_shape(encoder, shape)
    except ValueError as problem:
        return "NC0202", Problem("scheme", str(problem), _SHAPE_HINT)
    return None


def operations(encoder: Encoder, shape: Shape, ticks: int, events: int = 0) -> Operations:
    """Return what an encoder and the filters in front of it compute for one sample.

    Args:
        encoder: The scheme, its options and what stands in front of it.
        shape: Of the input population.
        ticks: Per sample.
        events: Of the sample, for schemes that take events.
    """
    scheme = ENCODERS[encoder.scheme]
    given, taken = _between(encoder, shape)
    own = scheme.operations(events if scheme.events else math.prod(taken), math.prod(shape), ticks, encoder.options)
    filtered = front.operations(encoder.front, given)
    for _ in range(ticks if scheme.timed else 1):
        own += filtered
    return own


def encode(
    encoder: Encoder, data: Array, *, scale: float, ticks: int, size: int, first_sample: int = 0, population: str,
    shape: Shape | None = None,
) -> Encoded:  # fmt: skip
    """Turn the data of one input population into spikes, or into a current where the scheme is ``analog``.

    What a sample becomes depends on nothing but its own data and its index, so a data set may be split at will.

    Args:
        encoder: The scheme, its options and what stands in front of it.
        data: Stored values, (samples, *shape), where the shape is that of `data_shape`; (samples, ticks', *shape) for
            ``direct``, ``graded`` and signals; (samples, events, 4) for events.
        scale: Factor from stored values to those that encoders expect.
        ticks: Ticks per sample.
        size: Neurons of the population.
        first_sample: Index in the whole data set of the first sample.
        population: Its name, for messages and to tell the random numbers of several populations apart.
        shape: The population's shape; None: (size,).

    Returns:
        Shape (samples, ticks, size), neurons in C order of the population's shape. Spikes: 0 or 1, int8. A current: float64,
        a read-only array that holds each sample once, however many ticks it has.

    Raises:
        NetworkError: The shape does not fit the population, or spikes or a signal last longer than ``ticks`` (NC0210); the
            data of a current change in time (NC0214); values are not finite (NC0204), negative where rates are needed, not 0
            or 1 where spikes are needed, or events beside the camera (NC0209), or no numbers (NC0207); the scheme or a filter
            in front cannot make the population's shape (NC0202).
    """
    scheme = ENCODERS[encoder.scheme]
    axes = 2 if scheme.timed or scheme.events else 1
    lead, rest = data.shape[:axes], data.shape[axes:]
    shape = (size,) if shape is None else shape

    def error(code: str, message: str, hint: str | None = None) -> NetworkError:
        return NetworkError(Diagnostic(code, f"encoder of '{population}': {message}", encoder.origin, hint=hint))

    try:
        given, taken = _between(encoder, shape)
    except ValueError as problem:
        raise error("NC0202", str(problem), _SHAPE_HINT) from None
    values = math.prod(taken)
    if len(lead) < axes or math.prod(rest) != math.prod(given):
        if scheme.analog and changes_in_time(data.shape, math.prod(given)):
            raise NetworkError(time_varying(f"encoder of '{population}': data", data.shape, encoder.origin))
        wanted = "(samples, events, 4)" if scheme.events else "(samples, ticks, ...)" if scheme.timed else "(samples, ...)"
        message = f"data have the shape {data.shape}; '{scheme.name}' needs {wanted} with {math.prod(given)} values"
        raise error("NC0210", f"{message} per {'event' if scheme.events else 'tick' if scheme.timed else 'sample'}")
    if data.dtype.kind not in "biuf":
        raise error("NC0207", f"data have the dtype {data.dtype}; numbers are needed")
    if scheme.timed and lead[1] > ticks:
        hint = f"declare 'ticks: {lead[1]}'"
        raise error("NC0210", f"the data have {lead[1]} ticks per sample, the network {ticks}", hint)
    dtype: type[np.generic] = np.float64 if scheme.analog else np.int32 if scheme.graded else np.int8
    stimulus: Encoded = np.zeros((lead[0], 1 if scheme.analog else ticks, size), dtype)
    for start in range(0, lead[0], _SAMPLES_AT_A_TIME):
        block = data[start : start + _SAMPLES_AT_A_TIME]
        block = block.reshape(len(block), *lead[1:], math.prod(given))
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            bad = tuple(int(i) for i in np.argwhere(~np.isfinite(block))[0])
            raise error("NC0204", f"sample {first_sample + start + bad[0]} holds {block[bad]}")
        if encoder.front:
            block = front.apply(encoder.front, block.reshape(*block.shape[:-1], *given), given)
            block = block.reshape(len(block), *lead[1:], values)
        if scheme.events:
            beside = _event_problem(block, encoder, shape)
            if beside is not None:
                raise error("NC0209", f"sample {first_sample + start + beside[0]}, {beside[1]}", beside[2])
        elif scheme.graded:
            largest = int(encoder.options["largest"])
            off = (np.abs(np.asarray(block, np.float64)) > largest) | (block != np.rint(np.asarray(block, np.float64)))
            if off.any():
                sample, tick, neuron = (int(i) for i in np.argwhere(off)[0])
                place = f"sample {first_sample + start + sample}, tick {tick}, neuron {neuron}"
                message = f"{place} is {block[sample, tick, neuron]}; values are whole numbers in -{largest}..{largest}"
                raise error("NC0209", message, "round the data, or raise 'largest'")
        elif scheme.timed and not scheme.signal and ((block != 0) & (block != 1)).any():
            sample, tick, neuron = (int(i) for i in np.argwhere((block != 0) & (block != 1))[0])
            place = f"sample {first_sample + start + sample}, tick {tick}, neuron {neuron}"
            raise error("NC0209", f"{place} is {block[sample, tick, neuron]}; spikes are 0 or 1")
        if scheme.refuses_negative and block.size and block.min() * scale < 0:
            sample = int(np.argwhere(block * scale < 0)[0][0])
            message = f"sample {first_sample + start + sample} holds {block[sample].min()}; a rate is not negative"
            raise error("NC0209", message)
        settings = Settings(ticks, scale, encoder.options, first_sample + start, population, shape)
        stimulus[start : start + len(block)] = scheme.stimulus(block, settings)
    return np.broadcast_to(stimulus, (lead[0], ticks, size)) if scheme.analog else stimulus


def _event_problem(events: Array, encoder: Encoder, shape: Shape) -> tuple[int, str, str] | None:
    """Return the first event that no neuron has, as (sample, message, hint)."""
    there = events[:, :, 0] != NO_EVENT
    p, y, x = pixels_of(events, encoder.options)
    wrong = there & ((p < 0) | (p >= 2) | (y < 0) | (y >= shape[1]) | (x < 0) | (x >= shape[2]))
    if wrong.any():
        sample, event = (int(i) for i in np.argwhere(wrong)[0])
        t, column, row, polarity = (int(value) for value in events[sample, event])
        pool = int(encoder.options["pool"])
        message = f"event {event} (t {t}) is at x {column}, y {row}, p {polarity}; the camera has x 0..{shape[2] * pool - 1}, "
        hint = f"give the population the camera's shape [2, H, W]{'' if pool == 1 else f', divided by pool, {pool}'}, or crop"
        return sample, f"{message}y 0..{shape[1] * pool - 1}, p 0..1", hint
    return None


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


def clipping_warning(
    encoder: Encoder, data: Array, *, scale: float, population: str, shape: Shape | None = None, ticks: int | None = None
) -> Diagnostic | None:
    """Return a warning that counts the values which the scheme clips to its range, or the events after the last tick, or None.

    Args:
        encoder: The scheme, its options and what stands in front of it.
        data: See `encode`.
        scale: Factor from stored values to those that encoders expect.
        population: Its name, for the message.
        shape: The population's shape; needed where filters stand in front.
        ticks: Per sample; needed for events.
    """
    scheme = ENCODERS[encoder.scheme]
    if scheme.events and ticks is not None:
        return _late_events(encoder, data, population, ticks)
    if scheme.clips_to is None:
        return None
    low, high = scheme.clips_to
    settings = Settings(0, scale, encoder.options, 0, population)
    clipped = total = 0
    for start in range(0, len(data), _SAMPLES_AT_A_TIME):
        block = data[start : start + _SAMPLES_AT_A_TIME]
        if encoder.front and shape is not None:
            given = data_shape(encoder, shape)
            block = front.apply(encoder.front, block.reshape(len(block), *given), given)
        x = settings.scaled(block)
        clipped, total = clipped + int(np.count_nonzero((x < low) | (x > high))), total + x.size
    if not clipped:
        return None
    message = f"encoder of '{population}': {clipped} of {total} values lie outside {low:g}..{high:g} and are clipped"
    hint = "lower 'gain', or 'scale' of the data"
    return Diagnostic("NC0209", message, encoder.origin, hint=hint, severity="warning")


def _late_events(encoder: Encoder, data: Array, population: str, ticks: int) -> Diagnostic | None:
    """Return a warning that counts the events which come after the last tick."""
    late = total = needed = 0
    for start in range(0, len(data), _SAMPLES_AT_A_TIME):
        tick = ticks_of(data[start : start + _SAMPLES_AT_A_TIME], encoder.options)
        late, total = late + int(np.count_nonzero(tick >= ticks)), total + int(np.count_nonzero(tick >= 0))
        needed = max(needed, int(tick.max(initial=0)) + 1)
    if not late:
        return None
    message = f"encoder of '{population}': {late} of {total} events come after tick {ticks - 1}, the last, and are left out"
    hint = f"raise 'ticks' to {needed}, or 'interval'"
    return Diagnostic("NC0209", message, encoder.origin, hint=hint, severity="warning")
