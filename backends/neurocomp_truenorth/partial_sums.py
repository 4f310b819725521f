"""Fan-in beyond a core's axons: rate-coded partial sums, one channel per sign, that a neuron of its own adds up."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from neurocomp.hardware import HardwareSpec, NumberFormat
from neurocomp.ir.lowered import Part
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import TRUENORTH, IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import PATTERNS, Pattern
from neurocomp_truenorth.codebooks import find_codebook
from neurocomp_truenorth.lags import quiet_tick
from neurocomp_truenorth.lines import Lines, lines_of, same_pattern

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

PERCENTILES = (90.0, 95.0, 97.0, 99.0, 99.7)
"""Of the one-sided sums of a tick: the thresholds of channels that are tried."""
MOST_SAMPLES = 32
"""Of the calibration data, to try thresholds on."""
CHANNELS_AT_ONCE = 4096
UNCALIBRATED = 0.25
"""Of the largest possible sum: the threshold where there is no calibration data."""


@dataclass(frozen=True, slots=True, eq=False)
class PartialSums:
    """A network in which a population hears channels, and what they cost."""

    network: IntegerNetwork
    part: Part
    part_of: IntArray
    """(channels,): which part each one adds up."""
    count_error: float | None
    """Mean difference of spike counts on the calibration data, of the mean count; None: not calibrated."""


def axons_per_line(lines: Lines, target: IntegerPopulation, spec: HardwareSpec) -> int:
    """Return how many axons a line takes where the sign lies in the channel; 0: no codebook has the weights."""
    channel = 2 * lines.neuron + (lines.weight < 0)
    largest, types = spec.number_format.weight_max_type, spec.limit("axon_types")
    found = find_codebook(channel, np.abs(lines.weight), 2 * target.size, largest, types=types)
    known = [] if found is None else [found.axons]
    if target.codebook is not None and target.codebook.shape[1] <= types:
        known.append(target.codebook.shape[1])
    return min(known, default=0)


def partial_sums(network: IntegerNetwork, name: str, form: NumberFormat, trace: Trace | None, parts: int) -> PartialSums:
    """Put channels in front of a population.

    The lines are dealt out to parts in turn, so that each sees its share of any region. For each neuron and part a channel adds
    up the positive weights, another one the sizes of the negative ones; both reset by subtraction, so that they carry what they
    have not sent yet, and each of their spikes counts as much as their threshold, which all channels of a neuron share.

    Args:
        network: Integer network, in the user's time.
        name: The population; each of its synapses has a codebook.
        form: The number format.
        trace: Of the quantized network on the calibration stimulus; None: not calibrated.
        parts: How many.
    """
    target, lines = network.populations[name], lines_of(network, name)
    part_of = np.arange(lines.count) % parts
    keys = (part_of[lines.line] * target.size + lines.neuron) * 2 + (lines.weight < 0)
    channels, channel = np.unique(keys, return_inverse=True)
    channel = channel.reshape(-1)
    owner, negative = channels // 2 % target.size, channels % 2
    unit, start, error = _thresholds(network, target, lines, channel, owner, negative, trace, form.weight_max_type)

    partial = IntegerPopulation(
        f"{name}.partial", (len(channels),), "truenorth", _channel_parameters(unit[owner], start[owner], form), compare=">=",
        codebook=None if target.codebook is None else frozen(np.where(negative == 1, -1, 1)[:, None] * target.codebook[owner]),
        origin=target.origin,
    )  # fmt: skip
    signed = np.where(negative == 1, -unit[owner], unit[owner])
    final = IntegerProjection(
        f"{partial.name}->{name}", partial.name, name,
        Pattern("sparse", {"sources": frozen(np.arange(len(channels))), "targets": frozen(owner)}),
        frozen(signed, np.int16), 0, "mixed", 8, 0, frozen(np.int64(0)), origin=target.origin,
    )  # fmt: skip
    served: set[int] = set()
    projections = tuple(
        _into_channels(q, partial.name, lines, channel, served) if q.target == name else q for q in network.projections
    )
    populations: dict[str, IntegerPopulation] = {}
    for p in network.populations.values():
        if p.name == name:
            populations[partial.name] = partial
        populations[p.name] = p
    rewritten = replace(network, populations=populations, projections=(*projections, final))
    part = Part(name, "channel", frozen(owner), frozen(signed))
    return PartialSums(rewritten, part, frozen(channels // (2 * target.size)), error)


def _channel_parameters(threshold: IntArray, start: IntArray, form: NumberFormat) -> dict[str, IntArray]:
    values = {key: np.zeros(len(threshold), np.int64) for key in TRUENORTH}
    values |= {"alpha": threshold, "beta": np.full(len(threshold), form.threshold_max), "V": start}
    values["kappa"][:] = 1
    values["gamma"][:] = 1
    return {key: frozen(value, np.int64) for key, value in values.items()}


def _into_channels(q: IntegerProjection, partial: str, lines: Lines, channel: IntArray, served: set[int]) -> IntegerProjection:
    """Return what reaches the channels in place of a projection, so that the numbers of the others stay.

    The first projection of a sender carries all of its lines, in which synapses of one source and neuron are added up already;
    further ones carry nothing.
    """
    sender = next(
        s for s, known in enumerate(lines.senders) if known.population == q.source and same_pattern(known.pool, q.pool)
    )
    own = np.flatnonzero(lines.sender[lines.line] == sender) if sender not in served else np.zeros(0, np.int64)
    served.add(sender)
    line = lines.line[own]
    arrays = {"sources": frozen(lines.position[line]), "targets": frozen(channel[own])}
    weight, delay = frozen(np.abs(lines.weight[own]), np.int16), frozen(lines.delay[line])
    return replace(q, target=partial, pattern=Pattern("sparse", arrays), mantissa=weight, delay=delay)


# Thresholds


def _thresholds(
    network: IntegerNetwork, target: IntegerPopulation, lines: Lines, channel: IntArray, owner: IntArray, negative: IntArray,
    trace: Trace | None, largest: int,
) -> tuple[IntArray, IntArray, float | None]:  # fmt: skip
    """Return threshold and start of the channels of each neuron, (n,), and the error of spike counts that they make."""
    if trace is None:
        top = np.zeros(target.size)
        np.maximum.at(top, owner, np.bincount(channel, np.abs(lines.weight), len(owner)) * UNCALIBRATED)
        unit = np.clip(np.rint(top), 1, largest).astype(np.int64)
        return unit, unit // 2, None
    order = np.argsort(owner, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    activity = _activity(network, lines, trace)
    samples, ticks, _ = activity.shape
    sums = np.zeros((samples * ticks, len(owner)), np.int32)
    for begin in range(0, len(owner), CHANNELS_AT_ONCE):
        # The channels of a neuron side by side.
        here = (place[channel] >= begin) & (place[channel] < begin + CHANNELS_AT_ONCE)
        weights = np.zeros((lines.count, min(CHANNELS_AT_ONCE, len(owner) - begin)), np.float32)
        weights[lines.line[here], place[channel[here]] - begin] = np.abs(lines.weight[here])
        sums[:, begin : begin + weights.shape[1]] = np.rint(activity.reshape(samples * ticks, -1) @ weights)
    wanted = trace.spikes[target.name][:samples].astype(np.int64).sum(axis=1)
    best: tuple[float, IntArray, IntArray] | None = None
    ordered = np.sort(sums, axis=0)
    for percentile in PERCENTILES:
        at = ordered[int(percentile / 100 * (len(ordered) - 1))]
        highest = np.ones(target.size)
        np.maximum.at(highest, owner[order], at)
        threshold = np.clip(highest, 1, largest).astype(np.int64)
        for start in (threshold * 0, threshold // 2):
            made = _counts(target, sums.reshape(samples, ticks, -1), owner[order], negative[order], threshold, start)
            error = float(np.abs(made - wanted).mean()) / max(1e-9, float(wanted.mean()))
            if best is None or error < best[0]:
                best = error, threshold, start
    assert best is not None
    return best[1], best[2], best[0]


def _activity(network: IntegerNetwork, lines: Lines, trace: Trace) -> NDArray[np.float32]:
    """Return what each line carries in each tick of a trace, (samples, ticks, lines)."""
    samples, ticks, _ = next(iter(trace.spikes.values())).shape
    samples = min(samples, MOST_SAMPLES)
    result = np.zeros((samples, ticks, lines.count), np.float32)
    for number, sender in enumerate(lines.senders):
        own = np.flatnonzero(lines.sender == number)
        sent = (trace.spikes[sender.population][:samples] != 0).astype(np.float32)
        if sender.pool is not None:
            shape = network.populations[sender.population].shape
            pooled = PATTERNS[sender.pool.kind].output_shape(sender.pool, shape, ())
            assert pooled is not None
            flat = sent.reshape(samples * ticks, -1)
            sent = PATTERNS[sender.pool.kind].forward(sender.pool, np.float32(1.0), flat, shape, pooled)
            sent = sent.reshape(samples, ticks, -1)
        for delay in np.unique(lines.delay[own]):
            here = own[lines.delay[own] == delay]
            if delay < ticks:
                result[:, delay:, here] = sent[:, : ticks - delay, lines.position[here]]
    return result


def _counts(
    target: IntegerPopulation, sums: NDArray[np.int32], owner: IntArray, negative: IntArray, threshold: IntArray,
    start: IntArray,
) -> IntArray:  # fmt: skip
    """Return the spike counts (samples, n) of a population behind channels whose input sums are given, sorted by owner."""
    samples, ticks, _ = sums.shape
    limit = threshold[owner].astype(np.int32)
    signed = np.where(negative == 1, -limit, limit)
    owners, first = np.unique(owner, return_index=True)
    held = np.tile(start[owner].astype(np.int32), (samples, 1))
    v = np.tile(target.values("V"), (samples, 1))
    counts = np.zeros((samples, target.size), np.int64)
    for tick in range(ticks):
        held += sums[:, tick]
        fired = held >= limit
        held -= fired * limit
        if len(owners):
            v[:, owners] += np.add.reduceat(fired * signed, first, axis=1)
        v, spikes, _ = quiet_tick(target, v)
        counts += spikes
    return counts
