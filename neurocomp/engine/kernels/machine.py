"""The run: what arrives, the update, the spikes that it makes, for some ticks of the populations of one stage."""

from __future__ import annotations

import numpy as np

from neurocomp.engine.kernels.jit import entry, inlined, kernel
from neurocomp.engine.kernels.neurons import narrow, programmed, wide
from neurocomp.engine.kernels.records import INT8, LARGE, SETTLED, TILE, UINT8
from neurocomp.engine.kernels.synapses import send, sparse

SIGNED_ROWS, UNSIGNED_ROWS = 248, 128
"""Rows of 8-bit weights whose sums always fit 16 bits: 248 * 128 and 128 * 255 are below 2**15."""


@kernel
def collect(words, n, start, events, position):
    """Write the numbers of the bytes that are not 0, counted from ``start`` on; return the position behind the last one.

    Args:
        words: The bytes, eight at a time; bytes beyond n in the last word are 0.
        n: Bytes.
        start: Number of the first byte.
        events: Where the numbers go; it has room for eight more than there are.
        position: Where the first one goes.
    """
    for i in range((n + 7) >> 3):
        w = words[i]
        if w != 0:
            number = np.int32(start + 8 * i)
            for b in range(8):
                events[position] = number + np.int32(b)
                position += ((w >> (8 * b)) & 0xFF) != 0
    return position


@inlined
def accumulate(p, tables, chunk, b0, t0, t1):
    """Add up what arrives at a population in the ticks t0 .. t1 - 1, and note how many spikes do."""
    samples = chunk.ptr.shape[0]
    for s in range(samples):
        for slot in range(t1 - t0):
            chunk.arrivals[s, slot] = 0
    for index in range(p.first_group, p.last_group):
        g = tables.groups[index]
        node = tables.nodes[g.node]
        place = node.ptr + node.history - g.delay - b0
        base = (p.acc + (g.key - p.first_key) * p.slots * p.pad) * samples
        for s in range(samples):
            for t in range(t0, t1):
                chunk.arrivals[s, t - t0] += chunk.ptr[s, place + t + 1] - chunk.ptr[s, place + t]
        if chunk.multiplied[index]:
            continue
        if g.width == INT8:
            send(g, tables.signed, SIGNED_ROWS, tables, chunk, place, base, p.pad, p.slots, t0, t1)
        elif g.width == UINT8:
            send(g, tables.unsigned, UNSIGNED_ROWS, tables, chunk, place, base, p.pad, p.slots, t0, t1)
        else:
            node = tables.nodes[g.node]
            sparse(g, tables.words, tables.targets, tables.table, chunk, node, place, base, p.pad, p.slots, t0, t1)


@kernel
def recorded(p, tables, source, n, start, out, at):
    """Write a tile to a recorded array, whose neurons stand in the population's order."""
    if p.order >= 0:
        for i in range(n):
            out[at + tables.targets[p.order + start + i]] = source[i]
    else:
        for i in range(n):
            out[at + start + i] = source[i]


@kernel
def restart(p, tables, chunk, s, waits):
    """Give the neurons of a sample the state of their start, or that of neurons which wait for it."""
    for i in range(p.n):
        if waits > 0:
            u, v = np.int64(0), np.int64(0)
        else:
            u = tables.wide[p.u_init + (i if p.each & 32 else 0)]
            v = tables.wide[p.v_init + (i if p.each & 64 else 0)]
        chunk.u[s, p.state + i], chunk.v[s, p.state + i] = np.int32(u), np.int32(v)
        if p.waiting >= 0:
            chunk.waiting[s, p.waiting + i] = 0
    for tile in range((p.n + TILE - 1) // TILE):
        chunk.flags[s, p.tile + tile] = LARGE if p.large and waits == 0 else 0


@inlined
def count_active(p, chunk, s, start, n, flag, spiked, t, spikes):
    """Count the neurons of a tile whose u or v is not 0 or that spiked, on their cores; return how many."""
    at = p.state + start
    u, v, active = chunk.u[s, at : at + n], chunk.v[s, at : at + n], chunk.active[s, t]
    total = np.int64(0)
    for k in range(chunk.tile_segments[flag], chunk.tile_segments[flag + 1]):
        first, last = chunk.segments[k, 0], chunk.segments[k, 1]
        some_u, some_v, some_spikes = u[first:last], v[first:last], spikes[first:last]
        count = np.int32(0)
        if spiked > 0:
            for i in range(last - first):
                count += np.int32((some_u[i] | some_v[i] | some_spikes[i]) != 0)
        else:
            for i in range(last - first):
                count += np.int32((some_u[i] | some_v[i]) != 0)
        active[chunk.segments[k, 2]] += count
        total += count
    return total


@inlined
def count_changed(chunk, s, flag, t):
    """Count the neurons of a tile of programs that changed, on their cores; return how many."""
    active, changed = chunk.active[s, t], chunk.changed
    total = np.int64(0)
    for k in range(chunk.tile_segments[flag], chunk.tile_segments[flag + 1]):
        count = np.int64(0)
        for i in range(chunk.segments[k, 0], chunk.segments[k, 1]):
            count += changed[i]
        active[chunk.segments[k, 2]] += count
        total += count
    return total


@inlined
def update(p, index, tables, chunk, s, b0, t0, t1):
    """Advance the neurons of a sample, tile after tile; their spikes are left as bytes."""
    samples, step = chunk.ptr.shape[0], chunk.ptr.shape[0] * p.slots * p.pad
    ticks, first = chunk.extent[1], chunk.extent[0] + s
    user = chunk.extent[2]
    for tile in range((p.n + TILE - 1) // TILE):
        start = tile * TILE
        n = min(TILE, p.n - start)
        flag = p.tile + tile
        for t in range(t0, t1):
            slot = t - t0
            o = p.acc * samples + (s * p.slots + slot) * p.pad + start
            arrived = chunk.arrivals[s, slot] > 0
            spikes = chunk.spikes[slot, start : start + ((n + 7) & ~7)]
            count = 0
            if t < p.start:
                if arrived:
                    for key in range(p.last_key - p.first_key):
                        chunk.sums[o + key * step : o + key * step + n] = 0
                chunk.hot[slot, tile] = 0
                continue
            since = t - p.reset_offset
            if p.reset_interval > 0 and since >= 0 and since % p.reset_interval == 0:
                at = p.state + start
                chunk.u[s, at : at + n] = 0
                chunk.v[s, at : at + n] = 0
                if p.waiting >= 0:
                    chunk.waiting[s, p.waiting + start : p.waiting + start + n] = 0
                chunk.flags[s, flag] = 0
            acting = p.current >= 0 and p.lag <= t < p.lag + user
            if p.current >= 0 and (t == p.lag or t == p.lag + user):
                chunk.flags[s, flag] &= 255 - SETTLED
            settled = (chunk.flags[s, flag] & SETTLED) != 0
            if not settled or arrived:
                count = -1
                if p.narrow and not chunk.flags[s, flag] & LARGE and not (acting and chunk.extent[3]):
                    at, w, c = p.state + start, max(p.waiting, 0) + start, max(p.current, 0) + start
                    count, settled = narrow(
                        p, tables.form[0], tables.keys, tables.narrow, chunk.sums, chunk.tile, chunk.u[s, at : at + n],
                        chunk.v[s, at : at + n], chunk.waiting[s, w : w + n], chunk.current[s, c : c + n],
                        start, n, o, step, arrived, acting, settled, spikes,
                    )  # fmt: skip
                if p.program != 0:
                    count, settled = programmed(p, index, tables, chunk, s, slot, start, n, o, step, arrived, acting, t, spikes)
                elif count < 0:
                    count, settled = wide(p, index, tables, chunk, s, start, n, o, step, arrived, acting, t, spikes)
                if settled:
                    chunk.flags[s, flag] |= SETTLED
                else:
                    chunk.flags[s, flag] &= 255 - SETTLED
            elif p.program != 0:
                chunk.changed[:n] = 0
            chunk.hot[slot, tile] = count
            if chunk.active.shape[2] > 0 and p.program != 0:
                chunk.active_neurons[s, index] += count_changed(chunk, s, flag, t)
            elif chunk.active.shape[2] > 0:
                chunk.active_neurons[s, index] += count_active(p, chunk, s, start, n, flag, count, t, spikes)
            if count > 0:
                for i in range(n, len(spikes)):
                    spikes[i] = 0
            if chunk.recorded[index, 0] >= 0 and count > 0:
                at = chunk.recorded[index, 0] + (first * ticks + t) * p.n
                if p.program != 0:
                    recorded(p, tables, chunk.sent[slot, start : start + n], n, start, chunk.record, at)
                else:
                    recorded(p, tables, spikes, n, start, chunk.record, at)
            if chunk.recorded[index, 1] >= 0:
                at = p.state + start
                row = (first * ticks + t) * p.n
                recorded(p, tables, chunk.u[s, at : at + n], n, start, chunk.record, chunk.recorded[index, 1] + row)
                recorded(p, tables, chunk.v[s, at : at + n], n, start, chunk.record, chunk.recorded[index, 2] + row)


@inlined
def emit(p, tables, chunk, s, b0, t0, t1):
    """Turn the bytes of a sample's spikes into the ascending events of its node."""
    node = tables.nodes[p.node]
    events = chunk.events[s, node.events :]
    place = node.ptr + node.history - b0
    position = chunk.ptr[s, place + t0]
    for t in range(t0, t1):
        for tile in range((p.n + TILE - 1) // TILE):
            if chunk.hot[t - t0, tile] > 0:
                start = tile * TILE
                begin = position
                words = chunk.spike_words[t - t0, start >> 3 :]
                position = collect(words, min(TILE, p.n - start), start, events, position)
                if node.graded:
                    for k in range(begin, position):
                        value = np.int32(chunk.spikes[t - t0, events[k]])
                        chunk.values[s, node.events + k] = chunk.sent[t - t0, events[k]] if p.program != 0 else value
        chunk.ptr[s, place + t + 1] = position


@kernel
def pool(q, tables, chunk, b0, t0, t1):
    """Make the spikes of a maximum over windows: a window spikes where any neuron in it does."""
    source, node = tables.nodes[q.source], tables.nodes[q.node]
    area = q.height * q.width
    mark = chunk.spikes[0]
    size = q.out_height * q.out_width
    for s in range(chunk.ptr.shape[0]):
        from_place, to_place = source.ptr + source.history - b0, node.ptr + node.history - b0
        position = chunk.ptr[s, to_place + t0]
        for t in range(t0, t1):
            first, last = chunk.ptr[s, from_place + t], chunk.ptr[s, from_place + t + 1]
            if first < last:
                mark[: (node.n + 7) & ~7] = 0
            for k in range(first, last):
                j = chunk.events[s, source.events + k]
                if q.last:
                    at, c = j // q.channels, j % q.channels
                else:
                    c, at = j // area, j % area
                y, x = at // q.width + q.pad_y, at % q.width + q.pad_x
                for oy in range(max(0, (y - q.kernel_y) // q.stride_y + 1), min(q.out_height, y // q.stride_y + 1)):
                    for ox in range(max(0, (x - q.kernel_x) // q.stride_x + 1), min(q.out_width, x // q.stride_x + 1)):
                        mark[c * size + oy * q.out_width + ox] = 1
            if first < last:
                position = collect(chunk.spike_words[0], node.n, 0, chunk.events[s, node.events :], position)
            chunk.ptr[s, to_place + t + 1] = position


@inlined
def take(stimulus, node, chunk, b0, t0, t1):
    """Turn a stimulus (samples, ticks, n) into the events of its node; beyond its ticks there are none."""
    words, row = chunk.spike_words[0], chunk.spikes[0]
    n = node.n
    place = node.ptr + node.history - b0
    for s in range(chunk.ptr.shape[0]):
        position = chunk.ptr[s, place + t0]
        for t in range(t0, t1):
            if t < stimulus.shape[1]:
                values = stimulus[chunk.extent[0] + s, t]
                begin = position
                for i in range(n):
                    row[i] = values[i] != 0
                for i in range(n, (n + 7) & ~7):
                    row[i] = 0
                position = collect(words, n, 0, chunk.events[s, node.events :], position)
                if node.graded:
                    for k in range(begin, position):
                        chunk.values[s, node.events + k] = values[chunk.events[s, node.events + k]]
            chunk.ptr[s, place + t + 1] = position


@entry
def inputs(stimulus, index, tables, chunk, b0, t0, t1):
    """Take in a stimulus for the node with a number, and what maxima make of it."""
    take(stimulus, tables.nodes[index], chunk, b0, t0, t1)
    for q in range(len(tables.pools)):
        if tables.pools[q].source == index:
            pool(tables.pools[q], tables, chunk, b0, t0, t1)


@entry
def begin(tables, chunk):
    """Give every population its first state: that of its start, or nothing until then."""
    chunk.ptr[:, :] = 0
    chunk.overflows[:, :, :, :] = 0
    chunk.active[:, :, :] = 0
    chunk.active_neurons[:, :] = 0
    for index in range(len(tables.populations)):
        p = tables.populations[index]
        for s in range(chunk.ptr.shape[0]):
            restart(p, tables, chunk, s, p.start)


@inlined
def advance(p, index, tables, chunk, b0, t0, t1):
    """Run one population for the ticks t0 .. t1 - 1."""
    samples = chunk.ptr.shape[0]
    accumulate(p, tables, chunk, b0, t0, t1)
    for s in range(samples):
        if t0 <= p.start < t1 and p.start > 0:
            # The ticks before the start leave the state alone, so it can be written at once.
            restart(p, tables, chunk, s, 0)
        update(p, index, tables, chunk, s, b0, t0, t1)
        emit(p, tables, chunk, s, b0, t0, t1)
    for q in range(p.first_pool, p.last_pool):
        pool(tables.pools[q], tables, chunk, b0, t0, t1)


@entry
def run_stage(tables, chunk, first, last, b0, t0, t1):
    """Run the populations first .. last - 1 for a block of ticks: one at once, several that hear one another tick by tick.

    Args:
        tables: The network.
        chunk: The samples.
        first: The first population.
        last: Behind the last one.
        b0: The first tick of the block.
        t0: The first tick that is run.
        t1: Behind the last one.
    """
    ticks = t1 - t0 if tables.populations[first].slots > 1 else 1
    for t in range(t0, t1, ticks):
        for index in range(first, last):
            advance(tables.populations[index], index, tables, chunk, b0, t, t + ticks)


@entry
def forget(tables, chunk, t0, t1):
    """Move the spikes that later blocks still need to the front."""
    for index in range(len(tables.nodes)):
        node = tables.nodes[index]
        ticks = t1 - t0
        for s in range(chunk.ptr.shape[0]):
            shift = chunk.ptr[s, node.ptr + ticks]
            end = chunk.ptr[s, node.ptr + ticks + node.history]
            for k in range(shift, end):
                chunk.events[s, node.events + k - shift] = chunk.events[s, node.events + k]
            if node.graded:
                for k in range(shift, end):
                    chunk.values[s, node.events + k - shift] = chunk.values[s, node.events + k]
            for i in range(node.history + 1):
                chunk.ptr[s, node.ptr + i] = chunk.ptr[s, node.ptr + ticks + i] - shift
