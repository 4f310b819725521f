"""Neurons that are programs: a scalar step, which is not of ours, compiled into a loop that the engine calls by its address.

The address is what the tables of a network hold, so that the kernels need not be compiled anew for each model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy.typing import NDArray

from neurocomp.engine.kernels.jit import inlined

Function = Callable[..., Any]
Array = NDArray[Any]
u64 = np.uint64
LOW = u64(0xFFFFFFFF)
PROGRAM = 5
"""What a random number is for, if a program draws it."""
REGISTERS = 2
"""Columns of a state: v, u."""


class Compiled(NamedTuple):
    """A program, compiled."""

    advance: Function
    """``advance(x, state, words, random, spikes, overflows)``: all neurons by one tick, see `compiled`."""
    address: int
    """Of the same for pointers, called by `call`."""
    keep: Any
    """What has to live as long as the address."""


@lru_cache(maxsize=256)
def compiled(
    step: Function, low: tuple[int, ...], high: tuple[int, ...], wraps: tuple[bool, ...], words: int, draws: bool
) -> Compiled:
    """Return the loop over neurons of a scalar step.

    Args:
        step: ``step(x, registers, words)``, and ``random`` where it draws; it returns the spike and the registers.
        low: Smallest number of each register, one or two.
        high: Largest number of each register.
        wraps: Whether a register wraps; else it saturates.
        words: How many words the step takes.
        draws: Whether it takes a random number.

    The loop takes int64 ``x`` (n,), which saturates at the width of the first register, ``state`` (n, 2) in place, ``words``
    (n, words), ``random`` (n,), and writes ``spikes`` (n,) and ``overflows`` (n, 3), uint8: whether input, second and first
    register left their widths.
    """
    part = numba.njit(error_model="numpy")
    scalar = part(step)
    low_v, high_v, wraps_v, low_u, high_u, wraps_u = low[0], high[0], wraps[0], low[-1], high[-1], wraps[-1]
    two, some_words = len(low) > 1, max(words, 1)

    @part
    def stored(value, low, high, wraps):
        if wraps:
            return ((value - low) & (high - low)) + low
        return min(max(value, low), high)

    if draws:

        @part
        def one(x, registers, given, random):
            return scalar(x, registers, given, random)

    else:

        @part
        def one(x, registers, given, random):
            return scalar(x, registers, given)

    if two:

        @part
        def moved(x, state, given, random):
            spike, after = one(x, (state[0], state[1]), given, random)
            return np.int64(spike), np.int64(after[0]), np.int64(after[1])

    else:

        @part
        def moved(x, state, given, random):
            spike, after = one(x, (state[0],), given, random)
            return np.int64(spike), np.int64(after[0]), state[1]

    @numba.njit(nogil=True, error_model="numpy")
    def advance(x, state, given, random, spikes, overflows):
        for i in range(len(x)):
            bounded = min(max(x[i], low_v), high_v)
            spike, v, u = moved(bounded, state[i], to_fixed_tuple(given[i], some_words), random[i])
            spikes[i] = spike
            state[i, 0] = stored(v, low_v, high_v, wraps_v)
            state[i, 1] = stored(u, low_u, high_u, wraps_u) if two else u
            overflows[i, 0], overflows[i, 1], overflows[i, 2] = bounded != x[i], state[i, 1] != u, state[i, 0] != v

    long, byte, size = types.CPointer(types.int64), types.CPointer(types.uint8), types.int64

    @numba.cfunc(types.void(long, long, long, long, long, byte, size))
    def by_pointers(x, state, given, random, spikes, overflows, n):
        advance(
            numba.carray(x, n), numba.carray(state, (n, REGISTERS)), numba.carray(given, (n, some_words)),
            numba.carray(random, n), numba.carray(spikes, n), numba.carray(overflows, (n, 3)),
        )  # fmt: skip

    return Compiled(advance, int(by_pointers.address or 0), by_pointers)


@intrinsic
def call(_: Any, address: Any, x: Any, state: Any, given: Any, random: Any, spikes: Any, overflows: Any, n: Any) -> Any:
    """Call the program at an address for n neurons; arrays are C-contiguous, of the types that `compiled` names."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = []
        for kind, value in zip(signature.args[1:7], arguments[1:7], strict=True):
            data = context.make_array(kind)(context, builder, value).data
            pointers.append(builder.bitcast(data, ir.IntType(8).as_pointer()))
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(64)
        form = ir.FunctionType(ir.VoidType(), [byte] * 6 + [number])
        function = builder.inttoptr(context.cast(builder, arguments[0], signature.args[0], types.int64), form.as_pointer())
        builder.call(function, [*pointers, context.cast(builder, arguments[7], signature.args[7], types.int64)])
        return context.get_dummy_value()

    return types.void(address, x, state, given, random, spikes, overflows, n), generate


@inlined
def drawn(seed, key, tick, sample):
    """Return the first word of Philox-4x32-10 of the key (seed, 0) and the counter (key, tick, sample, purpose * 2**24)."""
    step0, step1 = u64(0x9E3779B9), u64(0xBB67AE85)
    by0, by1, half = u64(0xD2511F53), u64(0xCD9E8D57), u64(32)
    c0, c1, c2, c3 = u64(key) & LOW, u64(tick) & LOW, u64(sample) & LOW, u64(PROGRAM) << u64(24)
    k0, k1 = u64(seed) & LOW, u64(0)
    for _ in range(10):
        p0, p1 = (c0 & LOW) * by0, (c2 & LOW) * by1
        c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ k0, p1 & LOW, (p0 >> half) ^ c3 ^ k1, p0 & LOW
        k0, k1 = (k0 + step0) & LOW, (k1 + step1) & LOW
    return np.int64(c0)
