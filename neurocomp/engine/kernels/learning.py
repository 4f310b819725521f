"""Learning: weights that move by sums of products of traces, spikes, weights and tags; docs/semantics.md has the arithmetic.

What is touched is what spiked: a source its row, a target its column; only products of every epoch visit all synapses. The
products of trace factors are made once per neuron and tick of the epoch, not per synapse.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels.jit import entry, inlined, kernel

Array = NDArray[Any]
IntArray = NDArray[np.int64]

PRE, POST, EVERY = 0, 1, 2
"""Conditions of a product: the source spiked in the epoch, the target did, every 2**decimation epochs."""
X1, X2, Y1, Y2, Y3, WEIGHT, TAG = range(7)
"""Variables of factors."""
OF_WEIGHT, OF_TAG = 0, 1
TRACE_MAX, TAG_LOW, TAG_HIGH = 127, -257, 255
SUM_LOW, SUM_HIGH = -(1 << 15) - 1, (1 << 15) - 1
"""Where sums saturate, in steps of 1/128."""
NEURON_KEEP = float(np.exp(-1 / 65535))
"""What traces that neurons send keep per tick within an epoch."""
ROUNDING_SEED = 2

i32, i64 = np.int32, np.int64


class Rule(NamedTuple):
    """A rule, which never changes."""

    products: IntArray
    """(products, 7): of a weight or a tag, condition, decimation, mantissa, exponent, first factor, behind the last one."""
    factors: IntArray
    """(factors, 3): variable, constant, whether its sign is taken."""
    keep: NDArray[np.float64]
    """(5,): factor of each trace per tick."""
    impulse: IntArray
    """(5,): of each trace, in 256ths."""
    epoch: int
    low: int
    """Of weights."""
    high: int
    modulators: int
    """How many of the traces y2, y3 are received; 0: none."""


class Synapses(NamedTuple):
    """Which neurons the synapses join; they are sorted by source."""

    start: IntArray
    """(n_source + 1,)"""
    target: NDArray[np.int32]
    """(synapses,)"""
    back_start: IntArray
    """(n_target + 1,)"""
    back: NDArray[np.int32]
    """(synapses,): the synapses of each target."""
    source: NDArray[np.int32]
    """(synapses,): of those, where each comes from."""
    forth: NDArray[np.int32]
    """(synapses,): their numbers."""


class State(NamedTuple):
    """What moves."""

    weight: NDArray[np.int32]
    """(synapses,)"""
    tag: NDArray[np.int32]
    """(synapses,), or none where the rule has no tags."""
    x: IntArray
    """(2, n_source): traces."""
    y: IntArray
    """(3, n_target)."""
    x_time: IntArray
    """(n_source,): tick of the epoch of the last spike, from 1 on; 0: none."""
    y_time: IntArray
    x_history: IntArray
    """(epoch + 1, 2, n_source): scratch."""
    y_history: IntArray
    x_part: NDArray[np.int32]
    """(products, epoch + 1, n_source): the products of the factors of the source, of a tick; scratch."""
    y_part: NDArray[np.int32]
    sums: IntArray
    """(2, most synapses of a neuron): scratch, in steps of 1/128 of a weight and of a tag."""
    time: IntArray
    """(1,): steps in the sample."""


class Numbers(NamedTuple):
    """Random numbers of a sample: of each step two for each side, one per epoch for weights and tags."""

    x_decay: NDArray[np.float64]
    """(2 steps,)"""
    x_impulse: IntArray
    y_decay: NDArray[np.float64]
    y_impulse: IntArray
    rounding: NDArray[np.float64]
    """(epochs,)"""


class Generators(NamedTuple):
    """numpy's generators, as Lava seeds them."""

    traces: tuple[np.random.Generator, ...]
    """Decay and impulse of x, decay and impulse of y."""
    rounding: np.random.Generator


def generators_of(seed: int) -> Generators:
    """Return the generators of a rule behind the numbers that Lava draws before the first step."""
    found = Generators(tuple(np.random.default_rng(seed + k) for k in range(4)), np.random.default_rng(ROUNDING_SEED))
    for number, generator in enumerate(found.traces):
        generator.integers(0, 128) if number % 2 else generator.random()
    found.rounding.random()
    return found


def numbers_of(generators: Generators, steps: int, epoch: int) -> Numbers:
    """Draw the numbers of some steps."""
    x_decay, x_impulse, y_decay, y_impulse = generators.traces
    return Numbers(
        x_decay.random(2 * steps), x_impulse.integers(0, 128, size=2 * steps),
        y_decay.random(2 * steps), y_impulse.integers(0, 128, size=2 * steps),
        generators.rounding.random(steps // epoch),
    )  # fmt: skip


def synapses_of(sources: Array, targets: Array, n_source: int, n_target: int) -> tuple[Synapses, IntArray]:
    """Return the tables of some synapses, and the order in which they stand there: by source, else as given."""
    order = np.argsort(sources, kind="stable")
    source, target = sources[order], targets[order]
    start, back_start = (
        np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=n))]).astype(np.int64)
        for ends, n in ((source, n_source), (target, n_target))
    )
    back = np.argsort(target, kind="stable").astype(np.int32)
    forth = np.arange(len(order), dtype=np.int32)
    return Synapses(start, target.astype(np.int32), back_start, back, source[back].astype(np.int32), forth), order


def state_of(rule: Rule, synapses: Synapses, weight: NDArray[np.int32]) -> State:
    """Return the state at the start of a sample; ``weight`` (synapses,) is written in place."""
    n_source, n_target = len(synapses.start) - 1, len(synapses.back_start) - 1
    ticks, products = rule.epoch + 1, len(rule.products)
    most = max(int(np.diff(ends).max(initial=1)) for ends in (synapses.start, synapses.back_start))
    tags = len(weight) if (rule.products[:, 0] == OF_TAG).any() or (rule.factors[:, 0] == TAG).any() else 0
    return State(
        weight, np.zeros(tags, np.int32),
        np.zeros((2, n_source), np.int64), np.zeros((3, n_target), np.int64),
        np.zeros(n_source, np.int64), np.zeros(n_target, np.int64),
        np.zeros((ticks, 2, n_source), np.int64), np.zeros((ticks, 3, n_target), np.int64),
        np.zeros((products, ticks, n_source), np.int32), np.zeros((products, ticks, n_target), np.int32),
        np.zeros((2, most), np.int64),
        np.zeros(1, np.int64),
    )  # fmt: skip


def begin(state: State) -> None:
    """Begin a sample: all but the weights is 0."""
    for array in (state.tag, state.x, state.y, state.x_time, state.y_time, state.time):
        array[:] = 0


@kernel
def strike(traces, first, last, j, impulse, random):
    """Add their impulses to some traces of neuron j."""
    for n in range(first, last):
        given = impulse[n]
        whole = (given >> 8) + (random < (given & 255))
        traces[n - first, j] = min(max(traces[n - first, j] + whole, 0), TRACE_MAX)


@kernel
def decayed(value, keep, random):
    """Return a trace one tick later, rounded up where its fraction exceeds the random number."""
    if value == 0:
        return value
    exact = keep * value
    whole = np.floor(exact)
    return i64(whole) + i64(random < exact - whole)


@kernel
def history(past, traces, times, first, last, keep, impulse, decay, strikes, epoch, sent):
    """Write the traces first .. last - 1 of one side in all ticks of the epoch; ``sent``: neurons strike them themselves."""
    n = traces.shape[1]
    for t in range(last - first):
        for j in range(n):
            past[0, t, j] = traces[t, j]
    for e in range(1, epoch + 1):
        for t in range(last - first):
            kept = NEURON_KEEP if sent else keep[first + t]
            for j in range(n):
                past[e, t, j] = decayed(past[e - 1, t, j], kept, decay)
        for j in range(n):
            if times[j] == e:
                if sent:
                    for t in range(last - first):
                        past[e, t, j] = min(max(past[e, t, j], 0), TRACE_MAX)
                else:
                    strike(past[e], first, last, j, impulse, strikes)


@kernel
def parts(rule, past, first, last, out):
    """Multiply the factors of each product that are traces of one side, for every tick of the epoch."""
    for p in range(len(rule.products)):
        for e in range(1, rule.epoch + 1):
            for j in range(out.shape[2]):
                out[p, e, j] = 1
            for f in range(rule.products[p, 5], rule.products[p, 6]):
                variable, constant = rule.factors[f, 0], rule.factors[f, 1]
                if first <= variable < last:
                    for j in range(out.shape[2]):
                        value = min(max(past[e, variable - first, j] + constant, -(TRACE_MAX + 1)), TRACE_MAX)
                        out[p, e, j] *= i32(value)


@inlined
def limited(value):
    """Return a sum that saturates."""
    return min(max(value, i64(SUM_LOW)), i64(SUM_HIGH))


@inlined
def factors(rule, p, weight, tag):
    """Multiply the factors of a product that belong to the synapse."""
    m = i64(1)
    for f in range(rule.products[p, 5], rule.products[p, 6]):
        variable = rule.factors[f, 0]
        if variable >= WEIGHT:
            value = (weight if variable == WEIGHT else tag) + rule.factors[f, 1]
            if rule.factors[f, 2]:
                value = i64(value > 0) - i64(value < 0)
            m *= min(max(value, -512), 511)
    return m


@kernel
def move(rule, state, which, other, own, condition, part, other_part, time, other_time, every, up, skips):
    """Move the weights and tags of the synapses of one neuron, product after product.

    Args:
        rule: The rule.
        state: Its weights and tags change.
        which: The synapses.
        other: The neuron at the other end of each.
        own: The neuron.
        condition: That it spiked.
        part: What its traces contribute to each product, (products, epoch + 1, neurons).
        other_part: What those of the other side do.
        time: In which tick of the epoch each neuron of this side spiked, 0: none.
        other_time: Likewise.
        every: Whether products of every so many epochs count.
        up: What rounds.
        skips: Whether synapses whose other neuron spiked are left alone.
    """
    n, tagged = len(which), len(state.tag) > 0
    for k in range(n):
        state.sums[0, k] = i64(state.weight[which[k]]) << 7
        state.sums[1, k] = i64(state.tag[which[k]]) << 7 if tagged else i64(0)
    for p in range(len(rule.products)):
        mantissa, exponent, bits, plain = rule.products[p, 3], rule.products[p, 4], 4, True
        for f in range(rule.products[p, 5], rule.products[p, 6]):
            plain &= rule.factors[f, 0] < WEIGHT
            bits += 7 if rule.factors[f, 0] < WEIGHT else 9
        shift = max(0, bits - 15)
        sums = state.sums[rule.products[p, 0]]
        e = time[own] if rule.products[p, 1] == condition else rule.epoch if every else 0
        if rule.products[p, 1] == condition or rule.products[p, 1] == EVERY:
            scale = part[p, e, own] * mantissa
            if e == 0 or scale == 0:
                continue
            values = other_part[p, e]
            if plain:
                for k in range(n):
                    sums[k] = limited(sums[k] + limited(((scale * values[other[k]]) >> shift) << exponent))
            else:
                for k in range(n):
                    tag = i64(state.tag[which[k]]) if tagged else i64(0)
                    m = scale * values[other[k]] * factors(rule, p, i64(state.weight[which[k]]), tag)
                    sums[k] = limited(sums[k] + limited((m >> shift) << exponent))
        else:
            for k in range(n):
                e = other_time[other[k]]
                if e > 0:
                    tag = i64(state.tag[which[k]]) if tagged else i64(0)
                    m = mantissa * part[p, e, own] * other_part[p, e, other[k]]
                    m *= factors(rule, p, i64(state.weight[which[k]]), tag)
                    sums[k] = limited(sums[k] + limited((m >> shift) << exponent))
    for k in range(n):
        if skips and other_time[other[k]] > 0:
            continue
        weights = state.sums[0, k]
        if rule.low == 0:
            weights = max(weights, 0)
        elif rule.high == 0:
            weights = min(weights, 0)
        state.weight[which[k]] = i32(min(max((weights + up) >> 7, rule.low), rule.high))
        if tagged:
            state.tag[which[k]] = i32(min(max((state.sums[1, k] + up) >> 7, TAG_LOW), TAG_HIGH))


@entry
def step(rule, synapses, state, numbers, pre, post, y2, y3):
    """Take one step: the spikes of a tick enter, and at the end of an epoch weights and tags move.

    Args:
        rule: The rule.
        synapses: Whom they join.
        state: Changed in place.
        numbers: Of the sample.
        pre: Sources that spiked.
        post: Targets that spiked.
        y2: What the first modulator sends to each target, if there is one.
        y3: What the second one sends.
    """
    now = state.time[0]
    state.time[0] = now + 1
    place = now % rule.epoch + 1
    for j in pre:
        if state.x_time[j] > 0:
            strike(state.x, 0, 2, j, rule.impulse, 0)
        state.x_time[j] = place
    for i in post:
        if state.y_time[i] > 0 and rule.modulators == 0:
            strike(state.y, 2, 5, i, rule.impulse, numbers.y_impulse[2 * now])
        state.y_time[i] = place
    decay = numbers.y_decay[2 * now + 1]
    if rule.modulators > 0:
        for t in range(3):
            for i in range(state.y.shape[1]):
                if t == 1:
                    state.y[t, i] = min(max(y2[i], 0), TRACE_MAX)
                elif t == 2 and rule.modulators > 1:
                    state.y[t, i] = min(max(y3[i], 0), TRACE_MAX)
                else:
                    state.y[t, i] = decayed(state.y[t, i], rule.keep[2 + t], decay)
            if t == 0 or (t == 2 and rule.modulators == 1):
                for i in post:
                    strike(state.y[t : t + 1], 2 + t, 3 + t, i, rule.impulse, numbers.y_impulse[2 * now + 1])
    if place < rule.epoch:
        return
    strikes = numbers.y_impulse[2 * now + 1]
    history(
        state.x_history, state.x, state.x_time, 0, 2, rule.keep, rule.impulse,
        numbers.x_decay[2 * now + 1], numbers.x_impulse[2 * now + 1], rule.epoch, False,
    )  # fmt: skip
    history(
        state.y_history, state.y, state.y_time, 2, 5, rule.keep, rule.impulse, decay, strikes, rule.epoch, rule.modulators > 0
    )  # fmt: skip
    parts(rule, state.x_history, 0, 2, state.x_part)
    parts(rule, state.y_history, 2, 5, state.y_part)

    epochs = (now + 1) // rule.epoch
    up = 127 - i64(np.floor(128 * numbers.rounding[epochs - 1]))
    every, has_pre, has_post = False, False, False
    for p in range(len(rule.products)):
        condition = rule.products[p, 1]
        has_pre |= condition == PRE
        has_post |= condition == POST
        every |= condition == EVERY and epochs % (1 << rule.products[p, 2]) == 0
    for j in range(len(state.x_time)):
        if every or (has_pre and state.x_time[j] > 0):
            first, last = synapses.start[j], synapses.start[j + 1]
            move(
                rule, state, synapses.forth[first:last], synapses.target[first:last], j, PRE,
                state.x_part, state.y_part, state.x_time, state.y_time, every, up, False,
            )  # fmt: skip
    if has_post and not every:
        for i in range(len(state.y_time)):
            if state.y_time[i] > 0:
                first, last = synapses.back_start[i], synapses.back_start[i + 1]
                move(
                    rule, state, synapses.back[first:last], synapses.source[first:last], i, POST,
                    state.y_part, state.x_part, state.y_time, state.x_time, False, up, has_pre,
                )  # fmt: skip

    for t in range(2):
        for j in range(state.x.shape[1]):
            state.x[t, j] = state.x_history[rule.epoch, t, j]
    if rule.modulators == 0:
        for t in range(3):
            for i in range(state.y.shape[1]):
                state.y[t, i] = state.y_history[rule.epoch, t, i]
    state.x_time[:] = 0
    state.y_time[:] = 0


@entry
def add(synapses, weight, pre, out):
    """Add the weights of the sources that spiked to their targets."""
    for j in pre:
        for s in range(synapses.start[j], synapses.start[j + 1]):
            out[synapses.target[s]] += weight[s]
