"""Cores of a binary crossbar whose neurons have one weight per axon type: all ticks of some samples.

A tick of a core: rows of the active axons are added up, the neurons advance, the spikes go to the scheduler. Most cores advance
in 32-bit numbers without clamps, 256 neurons in a few vector instructions; where a potential leaves its width, or neurons draw
random numbers or reverse their leak, `advance_exactly` does what the equations say, neuron by neuron. A core on which nothing
is active and nothing changed before is skipped.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from neurocomp.engine.kernels.jit import entry, inlined, kernel

NEURONS = AXONS = 256
WORDS = 4
"""64-bit words of axons per core."""
LANES = 32
"""Neurons of a word of a row."""
BATCH = 128
"""Axons whose weights of 8 bits and a sign always add up to a 16-bit number."""
NEVER = 1 << 30
"""A threshold that no potential reaches, before or after the clamps."""
MOST, LEAST = (1 << 19) - 1, -(1 << 19)
"""What a potential can be."""

STOCHASTIC_LEAK, REVERSAL, KAPPA, RESET_SHIFT, SYMMETRIC, USED = 16, 32, 64, 7, 512, 1024
"""Flags of neurons; bits 0 to 3: inputs of an axon type are stochastic."""
RANDOM_SYNAPSE, RANDOM_LEAK, RANDOM_THRESHOLD, REVERSES = 15, 16, 32, 64
"""Flags of a core: which inputs, leaks and thresholds draw random numbers; whether a leak is reversed."""
EXACTLY = RANDOM_LEAK | RANDOM_THRESHOLD | REVERSES
"""What the plain update cannot do."""
SYNAPSE, LEAK, THRESHOLD = 2, 3, 4
"""What a random number is for."""

DELAY_SHIFT, PLACE_SHIFT, X_SHIFT, Y_SHIFT = 8, 12, 32, 48
"""Fields of a route: axon, delay, core, |dx|, |dy|. A delay of 0: no packet, and the axon field says what instead."""
SILENT, LINE, LOST = 0, 1, 2
"""Instead of a packet: nothing; a spike on the output line in the field of the core; a dropped packet."""

VISITS_SHIFT = 17
"""The set bits of all rows of a core fit a number of so many bits."""

SPIKES, ACTIVE, EVENTS, SOPS, PACKETS, OUTPUTS, HOST, MERGES, DROPPED = range(9)
COUNTS = 9
"""Counts of a core and tick."""

i32 = np.int32
u64 = np.uint64
ZERO = i32(0)
ONE = u64(1)
LOW = u64(0xFFFFFFFF)


class Cores(NamedTuple):
    """What the cores are loaded with; the first axis is the core, neurons that do not exist never change and never spike."""

    rows: NDArray[np.uint32]
    """(cores, axons * 8): neuron n of a row is bit n % 32 of word n // 32."""
    types: NDArray[np.uint8]
    """(cores, axons)"""
    weight: NDArray[np.int16]
    """(cores, types * neurons): of deterministic inputs, else 0."""
    chance: NDArray[np.int16]
    """(cores of random numbers, types * neurons): of stochastic inputs, else 0."""
    visits: NDArray[np.uint32]
    """(cores, axons): of the set bits of a row those with a weight, plus all of them shifted left by `VISITS_SHIFT`."""
    kind: NDArray[np.uint8]
    """(cores,): flags."""
    v: NDArray[np.int32]
    """(cores, neurons): at the start."""
    alpha: NDArray[np.int32]
    low: NDArray[np.int32]
    """Below it the negative threshold acts, without random numbers."""
    leak: NDArray[np.int16]
    after_spike: NDArray[np.int32]
    """What a spike leaves: this, plus the potential where the mask is -1."""
    keeps_spike: NDArray[np.int8]
    after_low: NDArray[np.int32]
    keeps_low: NDArray[np.int8]
    flags: NDArray[np.uint16]
    beta: NDArray[np.int32]
    reset: NDArray[np.int32]
    mask: NDArray[np.int32]
    """What is taken of a draw for the thresholds."""
    route: NDArray[np.uint64]
    """Where a spike goes."""
    random: NDArray[np.int32]
    """(cores,): row of the core in the tables of random numbers, -1: it has none."""
    seed: NDArray[np.uint64]
    """(cores of random numbers, neurons), 32 bits each, like the next two."""
    key: NDArray[np.uint64]
    lag: NDArray[np.uint64]
    slot: NDArray[np.uint64]
    """(cores of random numbers, axons)"""
    population: NDArray[np.int32]
    """(cores, neurons): number of the population, behind the last: none; and place of the neuron in it."""
    place: NDArray[np.int32]


class Host(NamedTuple):
    """What the host sends."""

    stimulus: NDArray[np.uint64]
    """(samples, ticks, words): the spikes of all inputs, eight to a word, each a byte that is 0 or 1."""
    begin: NDArray[np.int64]
    """(neurons + 1,): where the messages of each neuron begin."""
    core: NDArray[np.int32]
    axon: NDArray[np.int32]
    delay: NDArray[np.int64]
    pulse_first: NDArray[np.int64]
    """One per message of a pulse: first tick and first tick after."""
    pulse_last: NDArray[np.int64]
    pulse_core: NDArray[np.int32]
    pulse_axon: NDArray[np.int32]
    pulse_delay: NDArray[np.int64]


class Records(NamedTuple):
    """Where a run is written down. A place of -1: not at all."""

    values: NDArray[np.int32]
    """All recorded arrays (samples, ticks, n), one behind another."""
    spike_place: NDArray[np.int64]
    """(cores, neurons), or nothing: place of the first sample and tick; what follows has the distance of the width."""
    v_place: NDArray[np.int64]
    width: NDArray[np.int64]
    axon_place: NDArray[np.int64]
    """(cores, axons), or nothing."""
    axon_width: NDArray[np.int64]
    lines: NDArray[np.uint8]
    """(samples, ticks, lines + 1): what left the chip; the last one takes lines that no one reads."""
    counts: NDArray[np.int32]
    """(samples, ticks, COUNTS, cores)"""
    hops: NDArray[np.int64]
    """(2, samples)"""


class Work(NamedTuple):
    """The state of one sample, for one thread."""

    v: NDArray[np.int32]
    """(cores, neurons)"""
    ring: NDArray[np.uint64]
    """(depth, cores * WORDS): the scheduler; depth is a power of 2."""
    settled: NDArray[np.uint8]
    """(cores,): nothing changes as long as nothing arrives."""
    alive: NDArray[np.int32]
    """(cores,): neurons whose potential is not 0, of settled cores."""
    sums: NDArray[np.int32]
    new: NDArray[np.int32]
    rho: NDArray[np.int32]
    eta: NDArray[np.int32]
    spikes: NDArray[np.uint8]
    active: NDArray[np.int32]
    clamps: NDArray[np.int64]
    """(populations + 1, 4): how many potentials were clamped; sample, tick and neuron of the first."""


def _vector(bits: int, lanes: int) -> Any:
    return ir.VectorType(ir.IntType(bits), lanes)


@intrinsic
def add_rows(_: Any, sums: Any, rows: Any, weights: Any, kinds: Any, active: Any, begin: Any, end: Any) -> Any:
    """Add to ``sums`` the weights that the rows of the axons ``active[begin:end]``, at most `BATCH`, let through."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = [
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args[:5], arguments[:5], strict=True)
        ]
        total, row, weight, kind, number = places
        first, last = (
            context.cast(builder, value, of, types.intp) for value, of in zip(arguments[5:], signature.args[5:], strict=True)
        )
        word = ir.IntType(64)
        short, long, mask = _vector(16, LANES), _vector(32, LANES), ir.VectorType(ir.IntType(1), LANES)
        parts = NEURONS // LANES
        nothing = ir.Constant(short, None)
        accumulators = [cgutils.alloca_once_value(builder, nothing) for _ in range(parts)]
        with cgutils.for_range(builder, last, start=first) as loop:
            axon = builder.zext(builder.load(builder.gep(number, [loop.index])), word)
            own = builder.zext(builder.load(builder.gep(kind, [axon])), word)
            weights_of = builder.gep(weight, [builder.mul(own, word(NEURONS))])
            row_of = builder.gep(row, [builder.mul(axon, word(parts))])
            for part in range(parts):
                bits = builder.bitcast(builder.load(builder.gep(row_of, [word(part)]), align=4), mask)
                at = builder.bitcast(builder.gep(weights_of, [word(part * LANES)]), short.as_pointer())
                let = builder.select(bits, builder.load(at, align=2), nothing)
                builder.store(builder.add(builder.load(accumulators[part]), let), accumulators[part])
        for part in range(parts):
            at = builder.bitcast(builder.gep(total, [word(part * LANES)]), long.as_pointer())
            value = builder.sext(builder.load(accumulators[part]), long)
            builder.store(builder.add(builder.load(at, align=4), value), at, align=4)
        return context.get_dummy_value()

    return types.void(sums, rows, weights, kinds, active, begin, end), generate


@intrinsic
def set_bytes(_: Any, array: Any, index: Any) -> Any:
    """Return the 64-bit word whose bits say which of the 64 bytes from ``index`` on are not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.gep(data, [context.cast(builder, arguments[1], signature.args[1], types.intp)])
        kind = _vector(8, 64)
        value = builder.load(builder.bitcast(place, kind.as_pointer()), align=1)
        return builder.bitcast(builder.icmp_unsigned("!=", value, ir.Constant(kind, None)), ir.IntType(64))

    return types.uint64(array, index), generate


@intrinsic
def lowest_bit(_: Any, value: Any) -> Any:
    """Return the number of the lowest bit that is set, of a 64-bit word that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@kernel
def advance(v, sums, alpha, low, leak, after_spike, keeps_spike, after_low, keeps_low, new, spikes):
    """Advance the neurons of a core, without clamps, to ``new``.

    Returns:
        Spikes; neurons that spiked or whose potential is not 0; whether a potential changed (not 0); the largest and smallest
        potential on the way, which tell whether a clamp would have acted.
    """
    high, least, change, count, alive = ZERO, ZERO, ZERO, ZERO, ZERO
    for i in range(NEURONS):
        old = v[i]
        x = i32(old + sums[i])
        high, least = max(high, x), min(least, x)
        x = i32(x + i32(leak[i]))
        high, least = max(high, x), min(least, x)
        spike, below = x >= alpha[i], x < low[i]
        up = i32(i32(x & i32(keeps_spike[i])) + after_spike[i])
        down = i32(i32(x & i32(keeps_low[i])) + after_low[i])
        y = up if spike else (down if below else x)
        new[i] = y
        spikes[i] = np.uint8(spike)
        change |= i32(y ^ old)
        count += i32(spike)
        alive += i32((y != ZERO) | spike)
    return count, alive, change, high, least


@kernel
def draw(key, seed, lag, slot, tick, sample, purpose, mask, out):
    """Draw one random number for each neuron: the first word of Philox-4x32-10 of the key (seed, slot) and the counter
    (key, tick - lag, sample, purpose * 2**24), its bits of ``mask``."""
    step0, step1 = u64(0x9E3779B9), u64(0xBB67AE85)
    by0, by1, half = u64(0xD2511F53), u64(0xCD9E8D57), u64(32)
    third, fourth = u64(sample) & LOW, u64(purpose) << u64(24)
    for i in range(NEURONS):
        c0, c1, c2, c3 = key[i], (u64(tick) - lag[i]) & LOW, third, fourth
        k0, k1 = seed[i], u64(slot)
        for _ in range(10):
            p0, p1 = (c0 & LOW) * by0, (c2 & LOW) * by1
            c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ k0, p1 & LOW, (p0 >> half) ^ c3 ^ k1, p0 & LOW
            k0, k1 = (k0 + step0) & LOW, (k1 + step1) & LOW
        out[i] = i32(c0 & u64(mask))


@kernel
def add_by_chance(row, chance, rho, sums):
    """Add what a stochastic axon adds: -1, 0 or 1."""
    for i in range(NEURONS):
        s = i32(chance[i])
        if (row[i >> 5] >> np.uint32(i & 31)) & np.uint32(1):
            sums[i] += i32(s > 0 and s >= rho[i]) - i32(s < 0 and -s >= rho[i])


@inlined
def sign(x):
    """Return -1, 0 or 1."""
    return np.int64(x > 0) - np.int64(x < 0)


@kernel
def advance_exactly(cores, work, c, v, sample, t):
    """Advance the neurons of a core to ``work.new``, as the equations say; note the clamps.

    Returns:
        Spikes; neurons that spiked or whose potential is not 0; whether a potential changed or was clamped.
    """
    flags, beta, reset = cores.flags[c], cores.beta[c], cores.reset[c]
    leak, alpha, kind = cores.leak[c], cores.alpha[c], cores.kind[c]
    count, alive, change = 0, 0, False
    for i in range(NEURONS):
        own = np.int64(flags[i])
        work.spikes[i], work.new[i] = 0, 0
        if not own & USED:
            continue
        old = np.int64(v[i])
        x = old + work.sums[i]
        y = min(max(x, LEAST), MOST)
        clamped = x != y
        step = np.int64(leak[i])
        if own & STOCHASTIC_LEAK:
            step = sign(step) if abs(step) >= work.rho[i] else 0
        if own & REVERSAL:
            step *= sign(y)
        x = y + step
        y = min(max(x, LEAST), MOST)
        clamped |= x != y
        eta = np.int64(work.eta[i]) & cores.mask[c, i] if kind & RANDOM_THRESHOLD else 0
        gamma = (own >> RESET_SHIFT) & 3
        threshold, bound = alpha[i] + eta, -np.int64(beta[i])
        if not own & KAPPA:
            bound -= eta
        spike = y >= threshold
        if spike:
            y = reset[i] if gamma == 0 else (y - threshold if gamma == 1 else y)
        elif y < bound or (own & SYMMETRIC and y == bound):
            left = -reset[i] if gamma == 0 else (y - bound if gamma == 1 else y)
            y = bound if own & KAPPA else left
        work.new[i] = i32(y)
        work.spikes[i] = spike
        count += spike
        alive += spike or y != 0
        change |= clamped or y != old
        if clamped:
            note(work.clamps[cores.population[c, i]], sample, t, cores.place[c, i])
    return count, alive, change


@kernel
def note(entry, sample, tick, neuron):
    """Count a clamp; the first one is that of the smallest tick, then neuron, as samples come in order."""
    if entry[0] == 0 or (sample == entry[1] and tick == entry[2] and neuron < entry[3]):
        entry[1], entry[2], entry[3] = sample, tick, neuron
    entry[0] += 1


@inlined
def arrive(ring, slot, core, axon):
    """Make an axon active; return whether it was already."""
    place = WORDS * core + (axon >> 6)
    bit = ONE << u64(axon & 63)
    before = ring[slot, place]
    ring[slot, place] = before | bit
    return (before & bit) != u64(0)


@kernel
def send_host(host, work, out, sample, t, ticks, chip_ticks):
    """Send what the host sends in tick t."""
    wrap = work.ring.shape[0] - 1
    counts = out.counts[sample]
    if t < ticks:
        words = host.stimulus[sample, t]
        for w in range(len(words)):
            bytes_left = words[w]
            while bytes_left != u64(0):
                n = 8 * w + (lowest_bit(bytes_left) >> 3)
                bytes_left &= bytes_left - ONE
                for k in range(host.begin[n], host.begin[n + 1]):
                    core, there = host.core[k], t + host.delay[k]
                    counts[t, HOST, core] += 1
                    if there < chip_ticks and arrive(work.ring, there & wrap, core, host.axon[k]):
                        counts[there, MERGES, core] += 1
    for k in range(len(host.pulse_core)):
        if host.pulse_first[k] <= t < host.pulse_last[k]:
            core, there = host.pulse_core[k], t + host.pulse_delay[k]
            counts[t, HOST, core] += 1
            if there < chip_ticks and arrive(work.ring, there & wrap, core, host.pulse_axon[k]):
                counts[there, MERGES, core] += 1


@kernel
def integrate(cores, work, c, slot, sample, t, sample_name, counts, out):
    """Add up the rows of the active axons of a core and forget them; return how many there are."""
    n, visits = 0, u64(0)
    for w in range(WORDS):
        bits = work.ring[slot, WORDS * c + w]
        work.ring[slot, WORDS * c + w] = u64(0)
        while bits != u64(0):
            axon = 64 * w + lowest_bit(bits)
            bits &= bits - ONE
            work.active[n] = axon
            n += 1
            visits += u64(cores.visits[c, axon])
    counts[t, EVENTS, c] = i32(visits >> u64(VISITS_SHIFT))
    counts[t, SOPS, c] = i32(visits & u64((1 << VISITS_SHIFT) - 1))
    for begin in range(0, n, BATCH):
        add_rows(work.sums, cores.rows[c], cores.weight[c], cores.types[c], work.active, begin, min(n, begin + BATCH))
    if len(out.axon_place) > 0:
        row = sample * counts.shape[0] + t
        for k in range(n):
            place = out.axon_place[c, work.active[k]]
            if place >= 0:
                out.values[place + row * out.axon_width[c, work.active[k]]] = 1
    if cores.kind[c] & RANDOM_SYNAPSE:
        r = cores.random[c]
        for k in range(n):
            axon = work.active[k]
            kind = cores.types[c, axon]
            if (cores.kind[c] >> kind) & 1:
                draw(
                    cores.key[r], cores.seed[r], cores.lag[r], cores.slot[r, axon], t, sample_name, SYNAPSE, 0xFF, work.rho
                )  # fmt: skip
                row_of = cores.rows[c, 8 * axon : 8 * axon + 8]
                add_by_chance(row_of, cores.chance[r, NEURONS * kind : NEURONS * (kind + 1)], work.rho, work.sums)
    return n


@kernel
def send(cores, work, c, sample, t, chip_ticks, counts, out):
    """Send the spikes of a core."""
    wrap = work.ring.shape[0] - 1
    packets, lost, left, both, y = ZERO, ZERO, ZERO, u64(0), u64(0)
    recorded = len(out.spike_place) > 0
    row = sample * chip_ticks + t
    for w in range(NEURONS // 64):
        bits = set_bytes(work.spikes, 64 * w)
        while bits != u64(0):
            i = 64 * w + lowest_bit(bits)
            bits &= bits - ONE
            route = cores.route[c, i]
            delay = np.int64((route >> u64(DELAY_SHIFT)) & u64(15))
            axon = np.int64(route & u64(255))
            core = np.int64((route >> u64(PLACE_SHIFT)) & u64(0xFFFFF))
            if delay != 0:
                packets += i32(1)
                both += route >> u64(X_SHIFT)
                y += route >> u64(Y_SHIFT)
                if arrive(work.ring, (t + delay) & wrap, core, axon) and t + delay < chip_ticks:
                    counts[t + delay, MERGES, core] += 1
            elif axon == LINE:
                left += i32(1)
                out.lines[sample, t, core] = 1
            elif axon == LOST:
                lost += i32(1)
            if recorded and out.spike_place[c, i] >= 0:
                out.values[out.spike_place[c, i] + row * out.width[c, i]] = 1
    counts[t, PACKETS, c], counts[t, OUTPUTS, c], counts[t, DROPPED, c] = packets, left, lost
    out.hops[0, sample] += np.int64(both - (y << u64(Y_SHIFT - X_SHIFT)))
    out.hops[1, sample] += np.int64(y)


@entry
def run(cores, host, work, out, first, last, ticks, chip_ticks, first_sample):
    """Run the samples ``first .. last - 1`` one after another, each from the initial state.

    Args:
        cores: All cores.
        host: What the host sends.
        work: State of a sample.
        out: What is recorded, of all samples.
        first: See above.
        last: See above.
        ticks: Of the stimulus.
        chip_ticks: Of the run.
        first_sample: Name of the stimulus' first sample, for random numbers.
    """
    n_cores = len(cores.kind)
    wrap = work.ring.shape[0] - 1
    for sample in range(first, last):
        for c in range(n_cores):
            for i in range(NEURONS):
                work.v[c, i] = cores.v[c, i]
        work.ring[:, :] = u64(0)
        work.settled[:] = 0
        counts = out.counts[sample]
        for t in range(chip_ticks):
            send_host(host, work, out, sample, t, ticks, chip_ticks)
            slot = t & wrap
            now = work.ring[slot]
            for c in range(n_cores):
                silent = (now[4 * c] | now[4 * c + 1] | now[4 * c + 2] | now[4 * c + 3]) == u64(0)
                if silent and work.settled[c]:
                    if work.alive[c] != ZERO:
                        counts[t, ACTIVE, c] = work.alive[c]
                    continue
                v, kind = work.v[c], cores.kind[c]
                work.sums[:] = ZERO
                if not silent:
                    integrate(cores, work, c, slot, sample, t, first_sample + sample, counts, out)
                exactly = kind & EXACTLY != 0
                if not exactly:
                    count, alive, change, high, least = advance(
                        v, work.sums, cores.alpha[c], cores.low[c], cores.leak[c], cores.after_spike[c], cores.keeps_spike[c],
                        cores.after_low[c], cores.keeps_low[c], work.new, work.spikes,
                    )  # fmt: skip
                    exactly = high > MOST or least < LEAST
                    changed = change != ZERO
                if exactly:
                    if kind & RANDOM_LEAK:
                        r = cores.random[c]
                        draw(cores.key[r], cores.seed[r], cores.lag[r], 0, t, first_sample + sample, LEAK, 0xFF, work.rho)
                    if kind & RANDOM_THRESHOLD:
                        r = cores.random[c]
                        name = first_sample + sample
                        draw(cores.key[r], cores.seed[r], cores.lag[r], 0, t, name, THRESHOLD, 0x3FFFF, work.eta)
                    count, alive, changed = advance_exactly(cores, work, c, v, sample, t)
                for i in range(NEURONS):
                    v[i] = work.new[i]
                work.settled[c] = silent and not changed and count == 0 and kind & (RANDOM_LEAK | RANDOM_THRESHOLD) == 0
                work.alive[c] = alive
                counts[t, ACTIVE, c] = alive
                if count > 0:
                    counts[t, SPIKES, c] = count
                    send(cores, work, c, sample, t, chip_ticks, counts, out)
            if len(out.v_place) > 0:
                row = sample * chip_ticks + t
                for c in range(n_cores):
                    for i in range(NEURONS):
                        if out.v_place[c, i] >= 0:
                            out.values[out.v_place[c, i] + row * out.width[c, i]] = work.v[c, i]
