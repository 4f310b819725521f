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
class Reset:
    """What a spike does to v where it does not always clear it; arrays that broadcast to (n,)."""

    clears: BoolArray
    """v becomes 0; else it loses an amount, which may be 0."""
    amount: IntArray
    """What a spike of 1 takes off."""
    amount_low: IntArray
    """What a spike of -1 takes off."""


@dataclass(frozen=True, slots=True, eq=False)
class Compartments:
    """What does not change from tick to tick: integers, or arrays that broadcast to (n,).

    What only some neurons do is None where none does it, and then costs no time.
    """

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
    threshold_low: IntArray | None = None
    """Below it a neuron spikes -1, as v is compared with it; below every v for neurons that never do."""
    refractory: IntArray | None = None
    """Ticks after a spike in which v is held."""
    reset: Reset | None = None
    """None: every spike clears v."""


class Tick(NamedTuple):
    """State after a tick and where a register overflowed; every array is (samples, n)."""

    u: Int32Array
    v: Int32Array
    spikes: BoolArray | NDArray[np.int8]
    """-1, 0 or 1 with a lower threshold, else bool."""
    u_overflow: BoolArray
    v_overflow: BoolArray
    waiting: NDArray[np.int16] | None
    """Ticks for which v will be held; None without refractory neurons."""


def scaled(state: NDArray[Any], keep: IntArray, bits: int) -> IntArray:
    """Return ``state * keep / 2**bits`` rounded toward zero, for ``keep >= 0``.

    An arithmetic shift rounds down, so negative products get ``2**bits - 1`` first.

    >>> scaled(np.array([100, -100]), np.array(3686), 12)
    array([ 89, -89])
    """
    product = state * np.asarray(keep, np.int64)
    return np.asarray((product + ((product >> 63) & ((1 << bits) - 1))) >> bits)


def update(
    form: Compartments,
    u: Int32Array,
    v: Int32Array,
    activation: IntArray,
    waiting: NDArray[np.int16] | None = None,
    current: IntArray | None = None,
) -> Tick:
    """Advance by one tick.

    Args:
        form: Parameters of the n compartments.
        u: Current after the last tick, (samples, n).
        v: Potential after the last tick, (samples, n).
        activation: Sum of the weights that arrive in this tick, before the state's shift, (samples, n).
        waiting: Ticks for which v is still held, (samples, n); needed if ``form`` has refractory neurons, else ignored.
        current: What the host adds to the bias, (samples, n); None: nothing.
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
    if current is not None:
        exact_v += current
    top = np.int32((1 << (form.v_bits - 1)) - 1)
    new_v = np.minimum(np.maximum(exact_v.astype(np.int32), -top), top)
    v_overflow = new_v != exact_v

    spikes: BoolArray | NDArray[np.int8] = new_v > form.threshold
    if form.threshold_low is not None:
        spikes = spikes.astype(np.int8) - (new_v < form.threshold_low)
    if form.refractory is not None and waiting is not None:
        held = waiting > 0
        new_v = np.where(held, v, new_v)
        v_overflow &= ~held
        spikes[held] = 0
        waiting = np.where(spikes != 0, form.refractory, waiting - held).astype(np.int16)
    if form.reset is None:
        new_v = np.where(spikes, np.int32(0), new_v)
    else:
        amount = np.where(spikes > 0, form.reset.amount, form.reset.amount_low)
        after = np.where(form.reset.clears, 0, new_v - amount)
        new_v = np.where(spikes, after, new_v).astype(np.int32)
    return Tick(new_u, new_v, spikes, new_u != exact_u, v_overflow, waiting)
