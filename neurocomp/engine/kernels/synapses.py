"""Sums of weights: every kernel adds what the spikes of some ticks send through one group of synapses.

Sums are 32-bit words that wrap. That is what the number format asks of the sum of one group; `neurocomp.engine.plan` lets
groups share sums only where none of them can leave 32 bits. ``place`` plus a tick is where the spikes that arrive in it begin.
"""

from __future__ import annotations

import numpy as np

from neurocomp.engine.kernels.jit import fetch, inlined, kernel

ROWS = 8
"""Rows of weights added in one pass."""
SHARED = 1 << 23
"""Bytes of weights that the last-level cache holds."""
BLOCK = 1 << 19
"""Bytes of larger weights that are used for many sums while they stay in the second-level cache."""
LINE = 64
"""Bytes that the memory delivers together."""
NARROW, WIDE = 512, 1024
"""Columns of such a block; columns of rows that come straight from the memory."""
COLUMNS = 8192
"""Most targets whose sums are made in one go; their 16-bit sums stay in the first-level cache."""

AHEAD = 4
"""Spikes ahead of the one at hand whose synapses are asked of the memory."""

i32, i16, u32 = np.int32, np.int16, np.uint32


@inlined
def below(events, first, last, bound):
    """Return where in the ascending events first .. last - 1 those begin that are not below a bound."""
    while first < last:
        middle = (first + last) >> 1
        if events[middle] < bound:
            first = middle + 1
        else:
            last = middle
    return first


@kernel
def add_rows(weights, start, stride, zero, most, events, first, last, ahead, row, out):
    """Add the rows of 8-bit weights of the events first .. last - 1, `ROWS` in one pass.

    Args:
        weights: All weights.
        start: Where the columns at hand begin in row 0.
        stride: From row to row.
        zero: Number of the row that holds zeros.
        most: Rows whose sums always fit 16 bits.
        events: Row numbers.
        first: The first event.
        last: Behind the last one.
        ahead: Whether the rows of the next pass are asked of the memory before this pass.
        row: 16-bit numbers, at least as many as ``out``.
        out: The sums.
    """
    n = len(out)
    k = first
    while k < last:
        end = min(last, k + most)
        single = end - k <= ROWS
        if not single:
            for i in range(n):
                row[i] = i16(0)
        while k < end:
            if ahead:
                for q in range(k + ROWS, min(k + 2 * ROWS, end)):
                    for i in range(0, n, LINE):
                        fetch(weights, start + events[q] * stride + i)
            o0 = start + events[k] * stride
            o1 = start + (events[k + 1] if k + 1 < end else zero) * stride
            o2 = start + (events[k + 2] if k + 2 < end else zero) * stride
            o3 = start + (events[k + 3] if k + 3 < end else zero) * stride
            o4 = start + (events[k + 4] if k + 4 < end else zero) * stride
            o5 = start + (events[k + 5] if k + 5 < end else zero) * stride
            o6 = start + (events[k + 6] if k + 6 < end else zero) * stride
            o7 = start + (events[k + 7] if k + 7 < end else zero) * stride
            a, b, c, d = weights[o0 : o0 + n], weights[o1 : o1 + n], weights[o2 : o2 + n], weights[o3 : o3 + n]
            e, f, g, h = weights[o4 : o4 + n], weights[o5 : o5 + n], weights[o6 : o6 + n], weights[o7 : o7 + n]
            if single:
                for i in range(n):
                    low = i16(a[i]) + i16(b[i]) + i16(c[i]) + i16(d[i])
                    out[i] += i32(i16(low + i16(e[i]) + i16(f[i]) + i16(g[i]) + i16(h[i])))
            else:
                for i in range(n):
                    low = i16(a[i]) + i16(b[i]) + i16(c[i]) + i16(d[i])
                    row[i] = i16(row[i] + low + i16(e[i]) + i16(f[i]) + i16(g[i]) + i16(h[i]))
            k += ROWS
        k = end
        if not single:
            for i in range(n):
                out[i] += i32(row[i])


@kernel
def dense(g, weights, most, chunk, node, place, base, pad, slots, t0, t1):
    """Every source reaches every target; row j holds the weights of source j.

    Where many sums need rows that do not stay in the cache, blocks of rows and columns do, for all samples and ticks.
    """
    samples = chunk.ptr.shape[0]
    total = 0
    for s in range(samples):
        total += chunk.ptr[s, place + t1] - chunk.ptr[s, place + t0]
    columns, rows, ahead = COLUMNS, g.sources, False
    slots_here = samples * (t1 - t0)
    tiled = g.sources * g.stride > SHARED and 2 * total > 3 * g.sources and slots_here > 1
    if tiled:
        columns, rows = min(pad, NARROW), max(64, BLOCK // NARROW)
    elif g.sources * g.stride > SHARED:
        columns, ahead = min(pad, WIDE), True
    for c in range(0, pad, columns):
        width = min(columns, pad - c)
        lines = (width + LINE - 1) // LINE
        for r in range(0, g.sources, rows):
            number = 0
            following = min(rows, g.sources - r - rows) * lines
            for s in range(samples):
                events = chunk.events[s, node.events :]
                for t in range(t0, t1):
                    if tiled:
                        # Each sum asks for its part of the next block of rows, which is there when its turn comes.
                        for k in range(number * following // slots_here, (number + 1) * following // slots_here):
                            row = r + rows + k // lines
                            fetch(weights, g.weights + row * g.stride + c + k % lines * LINE)
                        number += 1
                    first, last = chunk.ptr[s, place + t], chunk.ptr[s, place + t + 1]
                    if rows < g.sources:
                        first = below(events, first, last, r)
                        last = below(events, first, last, r + rows)
                    if first < last:
                        o = base + (s * slots + t - t0) * pad + c
                        out = chunk.sums[o : o + width]
                        add_rows(
                            weights, g.weights + c, g.stride, g.sources, most, events, first, last, ahead, chunk.row, out
                        )  # fmt: skip


@kernel
def dense_values(g, weights, chunk, node, place, base, pad, slots, t0, t1):
    """The same for spikes that carry values, one row at a time."""
    for s in range(chunk.ptr.shape[0]):
        for t in range(t0, t1):
            o = base + (s * slots + t - t0) * pad
            out = chunk.sums[o : o + pad]
            for k in range(chunk.ptr[s, place + t], chunk.ptr[s, place + t + 1]):
                w = g.weights + chunk.events[s, node.events + k] * g.stride
                row = weights[w : w + pad]
                value = chunk.values[s, node.events + k] if g.graded else i32(1)
                for i in range(pad):
                    out[i] += i32(i32(row[i]) * value)


@kernel
def sparse(g, weights, targets, table, chunk, node, place, base, pad, slots, t0, t1):
    """Source j reaches the targets listed from table[j] on."""
    rows, reached, given, graded = table[g.table :], targets[g.targets :], weights[g.weights :], g.graded
    for s in range(chunk.ptr.shape[0]):
        events, values = chunk.events[s, node.events :], chunk.values[s, node.events * graded :]
        for t in range(t0, t1):
            o = base + (s * slots + t - t0) * pad
            out = chunk.sums[o : o + pad]
            first, last = chunk.ptr[s, place + t], chunk.ptr[s, place + t + 1]
            for k in range(first, last):
                if k + 2 * AHEAD < last:
                    fetch(rows, events[k + 2 * AHEAD])
                if k + AHEAD < last:
                    begin, end = rows[events[k + AHEAD]], rows[events[k + AHEAD] + 1]
                    for r in range(begin, end, 16):
                        fetch(reached, r)
                    for r in range(begin, end, 64):
                        fetch(given, r)
                j = events[k]
                begin, end = rows[j], rows[j + 1]
                if graded:
                    for r in range(begin, end):
                        out[u32(reached[r])] += i32(i32(given[r]) * values[k])
                else:
                    for r in range(begin, end):
                        out[u32(reached[r])] += i32(given[r])


@kernel
def block(g, weights, targets, table, chunk, node, place, base, pad, slots, t0, t1):
    """Source j reaches runs of ``length`` targets, from the places listed from table[j] on."""
    rows = table[g.table :]
    for s in range(chunk.ptr.shape[0]):
        for t in range(t0, t1):
            o = base + (s * slots + t - t0) * pad
            for k in range(chunk.ptr[s, place + t], chunk.ptr[s, place + t + 1]):
                j = chunk.events[s, node.events + k]
                value = chunk.values[s, node.events + k] if g.graded else i32(1)
                for r in range(rows[j], rows[j + 1]):
                    start, w = o + targets[g.targets + r], g.weights + r * g.length
                    out, row = chunk.sums[start : start + g.length], weights[w : w + g.length]
                    for i in range(g.length):
                        out[i] += i32(i32(row[i]) * value)


@kernel
def convolution(g, weights, table, chunk, node, place, base, pad, slots, t0, t1):
    """A spike adds its kernel around its place: for each row of the kernel, runs of places times channels.

    The targets hold their channels last. The taps along x are ordered so that those which meet in a run of neighbouring places
    lie side by side, and so do their weights: (channel, kernel y, tap along x, channels out of a group).
    """
    sums, graded, last, channels = chunk.sums, g.graded, g.last, g.channels
    width, area, first_weight = g.width_in, g.height * g.width_in, g.weights
    stride_y, stride_x, pad_y, pad_x, kernel_y, kernel_x = (
        g.stride_y, g.stride_x, g.pad_y, g.pad_x, g.kernel_y, g.kernel_x,
    )  # fmt: skip
    out_height, out_width, out_channels, out_group, in_group = (
        g.out_height, g.out_width, g.out_channels, g.out_group, g.in_group,
    )  # fmt: skip
    taps_y, taps_x = table[g.table :], table[g.table_x :]
    for s in range(chunk.ptr.shape[0]):
        events, values = chunk.events[s, node.events :], chunk.values[s, node.events * graded :]
        for t in range(t0, t1):
            o = base + (s * slots + t - t0) * pad
            for k in range(chunk.ptr[s, place + t], chunk.ptr[s, place + t + 1]):
                # Divisions are what costs most besides the sums, so there are no more than needed.
                j = np.int64(events[k])
                at = j // channels if last else j % area
                c = j - at * channels if last else j // area
                y = at // width
                x = at - y * width + pad_x
                y += pad_y
                quotient_y = y if stride_y == 1 else y // stride_y
                quotient_x = x if stride_x == 1 else x // stride_x
                residue_y, residue_x = y - quotient_y * stride_y, x - quotient_x * stride_x
                value = values[k] if graded else i32(1)
                shift = 0 if out_group == out_channels else c // in_group * out_group
                for a in range(taps_y[residue_y], taps_y[residue_y + 1]):
                    out_y = quotient_y - taps_y[2 * a + 1]
                    if out_y < 0 or out_y >= out_height:
                        continue
                    row = first_weight + (c * kernel_y + taps_y[2 * a]) * kernel_x * out_group
                    for b in range(taps_x[residue_x], taps_x[residue_x + 1]):
                        tap, out_x, run = taps_x[3 * b], quotient_x - taps_x[3 * b + 1], taps_x[3 * b + 2]
                        if out_x < 0:
                            tap, run, out_x = tap - out_x, run + out_x, 0
                        run = min(run, out_width - out_x)
                        if run <= 0:
                            continue
                        w = row + tap * out_group
                        start = o + (out_y * out_width + out_x) * out_channels + shift
                        if out_group == out_channels:
                            n = run * out_group
                            out, part = sums[start : start + n], weights[w : w + n]
                            if value == 1:
                                for i in range(n):
                                    out[i] += i32(part[i])
                            else:
                                for i in range(n):
                                    out[i] += i32(i32(part[i]) * value)
                        else:
                            for r in range(run):
                                for i in range(out_group):
                                    weight = i32(weights[w + r * out_group + i])
                                    sums[start + r * out_channels + i] += i32(weight * value)


@inlined
def send(g, weights, most, tables, chunk, place, base, pad, slots, t0, t1):
    """Add what arrives in the ticks t0 .. t1 - 1 through one group of 8-bit weights."""
    node = tables.nodes[g.node]
    if g.kind == 0:
        if g.graded:
            dense_values(g, weights, chunk, node, place, base, pad, slots, t0, t1)
        else:
            dense(g, weights, most, chunk, node, place, base, pad, slots, t0, t1)
    elif g.kind == 1:
        sparse(g, weights, tables.targets, tables.table, chunk, node, place, base, pad, slots, t0, t1)
    elif g.kind == 2:
        block(g, weights, tables.targets, tables.table, chunk, node, place, base, pad, slots, t0, t1)
    else:
        convolution(g, weights, tables.table, chunk, node, place, base, pad, slots, t0, t1)
