"""The update of neurons, a tile of them at a time.

`narrow` computes in 32 bits, several neurons in one instruction; it says so where that cannot hold a value or where a register
overflows, and has then changed nothing. `wide` computes in 64 bits, does everything, and counts overflows.
"""

from __future__ import annotations

import numpy as np

from neurocomp.engine.kernels.jit import inlined, kernel
from neurocomp.engine.kernels.programs import call, drawn
from neurocomp.engine.kernels.records import LARGE, TILE

i32, i8 = np.int32, np.int8
ZERO, ONE = np.int32(0), np.int32(1)
LARGEST_SUM = 1 << 30
LARGEST_V = 1 << 25
"""The narrow update starts from potentials up to here: those of 24 bits less a threshold of 24 bits."""


@inlined
def word(x):
    """Return a number as a two's complement word of 32 bits."""
    return ((x + 0x80000000) & 0xFFFFFFFF) - 0x80000000


@inlined
def decayed(x, keep, bits):
    """Return ``x * keep / 2**bits``, rounded toward zero."""
    product = x * keep
    return product >> bits if product >= 0 else -((-product) >> bits)


@inlined
def first_tile(p, offset, each, start):
    """Return where the parameters of a tile begin: one per neuron, or a tile of equal ones."""
    return offset + start if (p.each >> each) & 1 else offset


@inlined
def summed(p, keys, all_sums, out, o, step, n):
    """Write the synaptic input of a tile; False: 32 bits may not hold it.

    Args:
        p: The population.
        keys: What becomes of the sums of each key.
        all_sums: All sums.
        out: The synaptic input.
        o: Where the sums of the tile for the first key begin.
        step: From key to key.
        n: Neurons of the tile.
    """
    bound = 0
    for key in range(p.first_key, p.last_key):
        at = o + (key - p.first_key) * step
        sums = all_sums[at : at + n]
        high, low = ZERO, ZERO
        for i in range(n):
            high = max(high, sums[i])
            low = min(low, sums[i])
        bound += max(np.int64(high), -np.int64(low)) << (keys[key].shift + keys[key].exponent)
    if bound > LARGEST_SUM:
        return False
    for key in range(p.first_key, p.last_key):
        at = o + (key - p.first_key) * step
        sums = all_sums[at : at + n]
        factor = i32(1 << (keys[key].shift + keys[key].exponent))
        if keys[key].negative:
            factor = i32(-factor)
        if key == p.first_key:
            for i in range(n):
                out[i] = i32(sums[i] * factor)
        else:
            for i in range(n):
                out[i] = i32(out[i] + i32(sums[i] * factor))
    return True


@kernel
def narrow(
    p, form, keys, parameters, sums, scratch, u, v, waiting, current, start, n, o, step, arrived, acting, settled, spikes
):
    """Advance a tile by one tick in 32-bit numbers.

    Args:
        p: The population.
        form: The number format.
        keys: What becomes of the sums of each key.
        parameters: All parameters of 32 bits.
        sums: All sums.
        scratch: Rows of a tile.
        u: Of the tile.
        v: Of the tile.
        waiting: Refractory counters of the tile; nothing where there are none.
        current: Of the tile; nothing where there is none.
        start: First neuron of the tile.
        n: Neurons of the tile.
        o: Where the sums of the tile for the first key begin.
        step: From key to key.
        arrived: Whether any spike arrives at the population; else all sums are 0.
        acting: Whether a current acts in this tick.
        settled: Whether nothing changes as long as nothing arrives.
        spikes: Bytes of the tile, 1 where a neuron spikes.

    Returns:
        The number of spikes, and whether nothing changed though nothing arrived; -1: `wide` has to do it.
    """
    total, new_u, new_v, biases = scratch[0], scratch[1], scratch[2], scratch[3]
    bits, shift = i32(form.decay_bits), i32(form.state_shift)
    mask = i32((1 << form.decay_bits) - 1)

    quiet = True
    if arrived:
        if not summed(p, keys, sums, total, o, step, n):
            return -1, False
        high, low = ZERO, ZERO
        for i in range(n):
            high = max(high, total[i])
            low = min(low, total[i])
        half = 1 << (form.accumulator_bits - 1)
        if high >= half or low < -half:
            return -1, False
        quiet = high == 0 and low == 0
    if quiet:
        if settled:
            if arrived:
                clear(p, sums, o, step, n)
            return 0, True
        for i in range(n):
            total[i] = ZERO

    high, low = ZERO, ZERO
    if p.no_current:
        for i in range(n):
            x = i32(total[i] << shift)
            new_u[i] = x
            high = max(high, x)
            low = min(low, x)
    else:
        keeps = parameters[first_tile(p, p.keep_u, 0, start) :]
        for i in range(n):
            old = u[i]
            sign = i32(old >> i32(31))
            size = i32(i32(old ^ sign) - sign)
            kept = i32(i32(i32(size >> bits) * keeps[i]) + i32(i32(i32(size & mask) * keeps[i]) >> bits))
            x = i32(i32(i32(kept ^ sign) - sign) + i32(total[i] << shift))
            new_u[i] = x
            high = max(high, x)
            low = min(low, x)
    half = 1 << (form.u_bits - 1)
    if high > half or (high == half and not form.u_folds) or low < -half or (low == -half and form.u_folds):
        return -1, False

    bias = parameters[first_tile(p, p.bias, 2, start) :]
    if acting:
        for i in range(n):
            biases[i] = i32(bias[i] + current[i])
        bias = biases
    keeps = parameters[first_tile(p, p.keep_v, 1, start) :]
    threshold = parameters[first_tile(p, p.threshold, 3, start) :]
    amount = parameters[first_tile(p, p.amount, 3, start) :]
    cleared = i32(0 if p.clears else -1)
    high, low, change, count = ZERO, ZERO, ZERO, ZERO
    if p.waiting < 0:
        for i in range(n):
            old = v[i]
            sign = i32(old >> i32(31))
            size = i32(i32(old ^ sign) - sign)
            kept = i32(i32(i32(size >> bits) * keeps[i]) + i32(i32(i32(size & mask) * keeps[i]) >> bits))
            x = i32(i32(i32(kept ^ sign) - sign) + i32(new_u[i] + bias[i]))
            high = max(high, x)
            low = min(low, x)
            spike = x > threshold[i]
            after = i32(i32(x - amount[i]) & cleared) if spike else x
            new_v[i] = after
            spikes[i] = i8(spike)
            count += i32(spike)
            change |= i32(i32(after ^ old) | i32(new_u[i] ^ u[i]))
    else:
        new_waiting = scratch[4]
        period = i32(p.refractory)
        for i in range(n):
            old = v[i]
            sign = i32(old >> i32(31))
            size = i32(i32(old ^ sign) - sign)
            kept = i32(i32(i32(size >> bits) * keeps[i]) + i32(i32(i32(size & mask) * keeps[i]) >> bits))
            x = i32(i32(i32(kept ^ sign) - sign) + i32(new_u[i] + bias[i]))
            awake = waiting[i] == 0
            x = x if awake else ZERO
            high = max(high, x)
            low = min(low, x)
            spike = awake & (x > threshold[i])
            after = i32(i32(x - amount[i]) & cleared) if spike else x
            after = after if awake else old
            new_v[i] = after
            spikes[i] = i8(spike)
            count += i32(spike)
            change |= i32(i32(after ^ old) | i32(new_u[i] ^ u[i])) | waiting[i]
            new_waiting[i] = period if spike else max(i32(waiting[i] - ONE), ZERO)
    most = (1 << (form.v_bits - 1)) - 1
    if high > most or low < -most:
        return -1, False

    for i in range(n):
        u[i] = new_u[i]
        v[i] = new_v[i]
    if p.waiting >= 0:
        for i in range(n):
            waiting[i] = scratch[4, i]
    if arrived:
        clear(p, sums, o, step, n)
    return np.int64(count), quiet and change == 0 and count == 0


@inlined
def clear(p, all_sums, o, step, n):
    """Clear the sums of a tile."""
    for key in range(p.first_key, p.last_key):
        at = o + (key - p.first_key) * step
        sums = all_sums[at : at + n]
        for i in range(n):
            sums[i] = ZERO


@inlined
def note(chunk, s, index, register, tick, neuron):
    """Count an overflow; the first one is that of the smallest tick, then neuron."""
    entry = chunk.overflows[s, index, register]
    if entry[0] == 0 or tick < entry[1] or (tick == entry[1] and neuron < entry[2]):
        entry[1], entry[2] = tick, neuron
    entry[0] += 1
    return True


@inlined
def activation(p, tables, chunk, o, step, i):
    """Return the synaptic input of neuron i of a tile."""
    total = np.int64(0)
    for k in range(p.first_key, p.last_key):
        key = tables.keys[k]
        x = np.int64(chunk.sums[o + (k - p.first_key) * step + i]) << key.shift
        x = word(-x if key.negative else x)
        total += x << key.exponent if key.exponent >= 0 else x >> -key.exponent
    return total


@kernel
def programmed(p, index, tables, chunk, s, slot, start, n, o, step, arrived, acting, t, spikes):
    """Advance a tile of programs by one tick; arguments and results as for `wide`, slot is where the values of spikes go."""
    form = tables.form[0]
    half = 1 << (form.accumulator_bits - 1)
    x, random, sent = chunk.work[0, :n], chunk.work[1, :n], chunk.work[2, :n]
    state, overflows, changed = chunk.state[:n], chunk.clips[:n], chunk.changed
    at, clips, moved = p.state + start, False, False
    for i in range(n):
        neuron = start + i
        total = activation(p, tables, chunk, o, step, i) if arrived else np.int64(0)
        name = np.int64(tables.targets[p.order + neuron]) if p.order >= 0 else neuron
        moved |= total != 0
        wide_sum = total < -half or total >= half
        if wide_sum:
            clips |= note(chunk, s, index, 0, t, name)
        changed[i] = wide_sum
        x[i] = (total << form.state_shift) + tables.wide[p.wide_bias + (neuron if p.each & 4 else 0)]
        if acting:
            x[i] += np.int64(chunk.current[s, p.current + neuron])
        random[i] = 0
        if p.key >= 0:
            number = chunk.extent[4] + chunk.extent[0] + s
            random[i] = drawn(tables.wide[p.seed + neuron], tables.wide[p.key + neuron], t - p.lag, number)
        state[i, 0], state[i, 1] = np.int64(chunk.v[s, at + i]), np.int64(chunk.u[s, at + i])
    first = p.given + start * p.words
    given = tables.wide[first : first + n * p.words]
    call(p.program, x, state, given, random, sent, overflows, n)
    count = 0
    for i in range(n):
        name = np.int64(tables.targets[p.order + start + i]) if p.order >= 0 else start + i
        # An accumulator that is too narrow, and an input that is, are one overflow.
        if overflows[i, 0] and not changed[i]:
            clips |= note(chunk, s, index, 0, t, name)
        for register in range(1, 3):
            if overflows[i, register]:
                clips |= note(chunk, s, index, register, t, name)
        v, u = i32(state[i, 0]), i32(state[i, 1])
        changed[i] = chunk.v[s, at + i] != v or chunk.u[s, at + i] != u or sent[i] != 0
        moved |= changed[i] != 0
        chunk.v[s, at + i], chunk.u[s, at + i] = v, u
        chunk.sent[slot, start + i] = i32(sent[i])
        spikes[i] = i8(sent[i] != 0)
        count += sent[i] != 0
    if arrived:
        clear(p, chunk.sums, o, step, n)
    return count, not moved and not clips and p.key < 0


@kernel
def wide(p, index, tables, chunk, s, start, n, o, step, arrived, acting, t, spikes):
    """Advance a tile by one tick in 64-bit numbers; arguments and results as for `narrow`, index and t number both."""
    form = tables.form[0]
    half_a, half_u = 1 << (form.accumulator_bits - 1), 1 << (form.u_bits - 1)
    most = (1 << (form.v_bits - 1)) - 1
    count, changed, large, overflow = 0, False, False, False
    for i in range(n):
        neuron = start + i
        name = np.int64(tables.targets[p.order + neuron]) if p.order >= 0 else neuron
        keep_u = tables.wide[p.wide_keep_u + (neuron if p.each & 1 else 0)]
        keep_v = tables.wide[p.wide_keep_v + (neuron if p.each & 2 else 0)]
        bias = tables.wide[p.wide_bias + (neuron if p.each & 4 else 0)]
        threshold = tables.wide[p.wide_threshold + (neuron if p.each & 8 else 0)]
        total = activation(p, tables, chunk, o, step, i) if arrived else np.int64(0)
        if total < -half_a or total >= half_a:
            overflow |= note(chunk, s, index, 0, t, name)

        at = p.state + neuron
        old_u, old_v = np.int64(chunk.u[s, at]), np.int64(chunk.v[s, at])
        exact = decayed(old_u, keep_u, form.decay_bits) + (total << form.state_shift)
        u = word(exact)
        if form.u_folds:
            if u > half_u:
                u -= 2 * half_u
            elif u <= -half_u:
                u += 2 * half_u
        else:
            u = ((u + half_u) & (2 * half_u - 1)) - half_u
        if u != exact:
            overflow |= note(chunk, s, index, 1, t, name)

        rest = np.int64(chunk.waiting[s, p.waiting + neuron]) if p.waiting >= 0 else 0
        v, spike = old_v, 0
        if rest == 0:
            if acting:
                bias += np.int64(chunk.current[s, p.current + neuron])
            exact = decayed(old_v, keep_v, form.decay_bits) + u + bias
            v = min(max(word(exact), -most), most)
            if v != exact:
                overflow |= note(chunk, s, index, 2, t, name)
            if p.fires:
                if v > threshold or (p.inclusive and v == threshold):
                    spike = 1
                if p.ternary:
                    lower = tables.wide[p.wide_lower + (neuron if p.each & 16 else 0)]
                    if v < lower:
                        spike -= 1
                    if spike < 0:
                        threshold = lower
            if spike != 0:
                v = 0 if p.clears else (v - threshold if p.subtracts else v)
        if p.waiting >= 0:
            chunk.waiting[s, p.waiting + neuron] = i32(p.refractory if spike != 0 else max(rest - 1, 0))
        spikes[i] = i8(spike)
        count += spike != 0
        changed |= total != 0 or rest != 0 or spike != 0 or u != old_u or v != old_v
        large |= u > half_u or u < -half_u or v > LARGEST_V or v < -LARGEST_V
        chunk.u[s, at], chunk.v[s, at] = i32(u), i32(v)
    flag = p.tile + start // TILE
    if large:
        chunk.flags[s, flag] |= LARGE
    else:
        chunk.flags[s, flag] &= 255 - LARGE
    if arrived:
        clear(p, chunk.sums, o, step, n)
    # A register that overflows in every tick has to be counted in every tick.
    return count, not changed and not overflow
