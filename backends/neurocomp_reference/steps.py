"""The arithmetic of one tick: every formula of docs/semantics.md, once, in plain numpy.

Everything is int64, in which no intermediate value overflows; a register of the simulated machine that is narrower says so by
calling `wrap`. The formulas are those of lava-nc 0.10.0's fixed-point LIF and connections, whose variables are 32-bit words; on
values inside a chip's number format these words never overflow. "Overflow" always means: the register holds another number
than unbounded integers would give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.hardware import NumberFormat
from neurocomp.ir.quantized import IntegerPopulation

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
WORD = 32
"""Bits of the words in which Lava's models keep what they compute."""


# Integer arithmetic


def wrap(values: IntArray, bits: int) -> IntArray:
    """Return ``values`` as two's complement numbers of ``bits`` bits.

    >>> wrap(np.array([127, 128, -129]), 8)
    array([ 127, -128,  127])
    """
    half = 1 << (bits - 1)
    return np.asarray((values + half) % (2 * half) - half)


def fold(values: IntArray, bits: int) -> IntArray:
    """Bring ``values`` back once: subtract 2**bits above 2**(bits - 1), add it at or below -2**(bits - 1).

    Lava's way of overflowing u. It differs from `wrap` at 2**(bits - 1), which stays, and where one fold is not enough.

    >>> fold(np.array([128, 129, -127, -128, 400]), 8)
    array([ 128, -127, -127,  128,  144])
    """
    half = 1 << (bits - 1)
    return np.where(values > half, values - 2 * half, np.where(values <= -half, values + 2 * half, values))


def shift(values: IntArray, exponent: IntArray | int) -> IntArray:
    """Return ``values`` << exponent, or for a negative exponent ``values`` >> -exponent, rounded to minus infinity.

    >>> shift(np.array([5, -5]), 2), shift(np.array([5, -5]), -1)
    (array([ 20, -20]), array([ 2, -3]))
    """
    left, right = np.maximum(exponent, 0), np.maximum(np.negative(exponent), 0)
    return np.asarray((values << left) >> right)


def decayed(state: IntArray, decay: IntArray, bits: int) -> IntArray:
    """Return ``state * (2**bits - decay) / 2**bits``, rounded toward zero; a decay of 2**bits clears the state.

    >>> decayed(np.array([100, -100]), np.array([410, 410]), bits=12)
    array([ 89, -89])
    """
    product = state * ((1 << bits) - decay)
    return np.asarray(np.sign(product) * (np.abs(product) >> bits))


# Synapses: the weighted sums of one pattern


Sums = Callable[[IntArray], IntArray]
"""Spikes (samples, n_source) -> weighted sums (samples, n_target)."""
Shape = tuple[int, ...]
Options = Mapping[str, tuple[int, ...]]
"""Options of a pattern: whole numbers per axis."""


def dense(weights: IntArray, arrays: Mapping[str, IntArray], options: Options, source: Shape, target: Shape) -> Sums:
    """Every source reaches every target; weights (n_target, n_source).

    The product runs in float64, for which numpy has fast code. It is exact: weights, spikes and partial sums are integers,
    and as long as the largest possible sum of magnitudes is below 2**53 each of them is a float64, so that nothing is
    ever rounded, in whatever order the products are added. Beyond that bound it runs in int64.
    """
    matrix = weights.T.astype(np.float64)
    largest_row = int(np.abs(weights).sum(axis=1).max(initial=0))

    def sums(spikes: IntArray) -> IntArray:
        if largest_row * int(np.abs(spikes).max(initial=0)) < 1 << 53:
            return np.asarray((spikes.astype(np.float64) @ matrix).astype(np.int64))
        return np.asarray(spikes @ weights.T)

    return sums


def one_to_one(weights: IntArray, arrays: Mapping[str, IntArray], options: Options, source: Shape, target: Shape) -> Sums:
    """Source i reaches target i; weights (n,)."""
    return lambda spikes: np.asarray(spikes * weights)


def sparse(weights: IntArray, arrays: Mapping[str, IntArray], options: Options, source: Shape, target: Shape) -> Sums:
    """Synapse k leads from ``sources[k]`` to ``targets[k]``; weights (n_synapses,); equal pairs add up."""
    present = weights != 0
    sources, targets, values = arrays["sources"][present], arrays["targets"][present], weights[present]
    n_target = math.prod(target)

    def sums(spikes: IntArray) -> IntArray:
        total = np.zeros((n_target, len(spikes)), np.int64)
        np.add.at(total, targets, (spikes[:, sources] * values).T)
        return np.asarray(total.T)

    return sums


PATTERNS: dict[str, Callable[[IntArray, Mapping[str, IntArray], Options, Shape, Shape], Sums]] = {
    "dense": dense,
    "one_to_one": one_to_one,
    "sparse": sparse,
}


@dataclass(frozen=True, slots=True)
class DelayGroup:
    """The synapses of one projection that share a delay."""

    source: str
    delay: int
    exponent: int
    binary: bool
    sums: Sums

    def activation(self, spikes: NDArray[np.int32]) -> IntArray:
        """Return what the group adds to its targets' input: the weighted sum, then shifted by the exponent.

        Args:
            spikes: What the source sent ``delay`` ticks ago, (samples, n_source).

        Returns:
            (samples, n_target). The sum is a 32-bit word, as in Lava; only values of graded spikes can fill it.
        """
        sent = (spikes != 0).astype(np.int64) if self.binary else spikes.astype(np.int64)
        return shift(wrap(self.sums(sent), WORD), self.exponent)


# Neurons: the compartment


@dataclass(frozen=True, slots=True)
class Tick:
    """The outcome of one tick of a population; every array is (samples, n)."""

    u: IntArray
    v: IntArray
    spikes: BoolArray
    overflows: Mapping[str, BoolArray]
    """Where a register (``accumulator``, ``u``, ``v``) left its width."""


@dataclass(frozen=True, slots=True)
class Compartment:
    """The current-based leaky integrate-and-fire compartment of `NumberFormat`."""

    form: NumberFormat
    du: IntArray
    dv: IntArray
    bias: IntArray
    """The bias as it enters v: mantissa << exponent."""
    threshold: IntArray
    """The threshold as v is compared with it: vth << state_shift."""
    fires: bool

    @classmethod
    def of(cls, population: IntegerPopulation, form: NumberFormat) -> Compartment:
        """Read the parameters of a population; mantissa and exponent of the bias are 16-bit words in Lava."""
        mantissa, exponent = (wrap(population.values(name), 16) for name in ("bias_mant", "bias_exp"))
        bias = wrap(shift(mantissa, np.clip(exponent, -WORD, WORD)), WORD)
        threshold = population.values("vth") << form.state_shift
        return cls(form, population.values("du"), population.values("dv"), bias, threshold, population.fires)

    def step(self, u: IntArray, v: IntArray, activation: IntArray) -> Tick:
        """Advance by one tick.

        Args:
            u: The current after the last tick, (samples, n).
            v: The potential after the last tick, (samples, n).
            activation: The sum of all projections' activations of this tick, (samples, n).
        """
        form = self.form

        unbounded_u = decayed(u, self.du + form.current_decay_offset, form.decay_bits) + (activation << form.state_shift)
        overflow = fold if form.u_overflow == "fold" else wrap
        new_u = overflow(wrap(unbounded_u, WORD), form.u_bits)

        unbounded_v = decayed(v, self.dv, form.decay_bits) + new_u + self.bias
        largest = (1 << (form.v_bits - 1)) - 1
        new_v = np.clip(wrap(unbounded_v, WORD), -largest, largest)

        spikes = new_v > self.threshold if self.fires else np.zeros(new_v.shape, np.bool_)
        half = 1 << (form.accumulator_bits - 1)
        overflows = {
            "accumulator": (activation < -half) | (activation >= half),
            "u": new_u != unbounded_u,
            "v": new_v != unbounded_v,
        }
        return Tick(new_u, np.where(spikes, 0, new_v), spikes, overflows)


DYNAMICS: dict[str, Callable[[IntegerPopulation, NumberFormat], Compartment]] = {"compartment": Compartment.of}


def start(population: IntegerPopulation, name: str, samples: int) -> NDArray[Any]:
    """Return the initial ``u`` or ``v`` of all samples, (samples, n), kept in Lava's 32-bit words."""
    return np.tile(wrap(population.values(f"{name}_init"), WORD), (samples, 1))
