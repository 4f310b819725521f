"""The update of Loihi-style compartments for all samples and neurons of one tick.

The formulas are those of `neurocomp.hardware.NumberFormat`, written for speed and apart from the reference's: the machine's
words have 32 bits and two's complement, so a cast to int32 is the wrap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Int32Array = NDArray[np.int32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Compartments:
    """What does not change from tick to tick: integers, or arrays that broadcast to (n,)."""

    keep_u: IntArray
    """What is kept of u in a tick, as numerator over ``2**decay_bits``."""
    keep_v: IntArray
    bias: IntArray
    """As it enters v: mantissa << exponent."""
    threshold: IntArray
    """As v is compared with it: mantissa << state_shift."""
    decay_bits: int
    state_shift: int
    u_bits: int
    u_wraps: bool
    """Whether u overflows as two's complement; else it is folded back once."""
    v_bits: int


class Tick(NamedTuple):
    """State after a tick and where a register overflowed; every array is (samples, n)."""

    u: Int32Array
    v: Int32Array
    spikes: BoolArray
    u_overflow: BoolArray
    v_overflow: BoolArray


def scaled(state: NDArray[Any], keep: IntArray, bits: int) -> IntArray:
    """Return ``state * keep / 2**bits`` rounded toward zero, for ``keep >= 0``.

    An arithmetic shift rounds down, so negative products get ``2**bits - 1`` first.

    >>> scaled(np.array([100, -100]), np.array(3686), 12)
    array([ 89, -89])
    """
    product = state * np.asarray(keep, np.int64)
    return np.asarray((product + ((product >> 63) & ((1 << bits) - 1))) >> bits)


def update(form: Compartments, u: Int32Array, v: Int32Array, activation: IntArray) -> Tick:
    """Advance by one tick.

    Args:
        form: Parameters of the n compartments.
        u: Current after the last tick, (samples, n).
        v: Potential after the last tick, (samples, n).
        activation: Sum of the weights that arrive in this tick, before the state's shift, (samples, n).
    """
    exact_u = scaled(u, form.keep_u, form.decay_bits) + (activation << form.state_shift)
    word_u = exact_u.astype(np.int32)
    half = np.int32(1 << (form.u_bits - 1))
    mask = np.int32((1 << form.u_bits) - 1)
    if form.u_wraps:
        new_u = ((word_u.astype(np.int64) + half) & mask).astype(np.int32) - half
    else:
        span = half * np.int32(2)
        new_u = word_u - span * (word_u > half) + span * (word_u <= -half)

    exact_v = scaled(v, form.keep_v, form.decay_bits) + new_u + form.bias
    top = np.int32((1 << (form.v_bits - 1)) - 1)
    new_v = np.minimum(np.maximum(exact_v.astype(np.int32), -top), top)

    spikes = new_v > form.threshold
    return Tick(new_u, np.where(spikes, np.int32(0), new_v), spikes, new_u != exact_u, new_v != exact_v)
