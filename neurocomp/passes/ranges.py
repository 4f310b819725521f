"""Range proofs: what is known about each register of an integer network staying inside its width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.fixedpoint import shifted
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection, Verdict
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import PATTERNS

IntArray = NDArray[np.int64]

UNBOUNDED = 1 << 48
"""Stands for a register that grows for ever: far beyond every width, and far below the end of int64."""
SETTLED = 20_000
"""Ticks followed one by one; beyond them the bound for ever stands for the bound of a leaky register."""


def input_bounds(network: IntegerNetwork, name: str) -> tuple[IntArray, IntArray]:
    """Return the largest positive and negative magnitude (n,) that one tick's spikes can add to a population's accumulator.

    Binary sources: the sum of positive and of negative weights, as each synapse contributes at most once per tick.
    """
    size = network.populations[name].size
    positive, negative = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for q in network.projections_to(name):
        # Of the mantissas, so that large ones are never widened. A negative exponent loses no bit in a checked format; in
        # another one the sum of each delay is rounded down.
        above, below = PATTERNS[q.pattern.kind].sums(q.pattern, q.mantissa, *network.shapes(q))
        if q.sign_mode == "inhibitory":
            above, below = below, above
        left = q.shift + q.exponent
        up, down = (shifted(np.asarray(part, np.int64), left) for part in (above, below))
        positive += up
        negative += down if left >= 0 or network.number_format.checked else down + len(np.unique(q.delay))
    return positive, negative


def _steady(start: IntArray, keep: IntArray, add: IntArray, bits: int) -> IntArray:
    """Return the bound of x <- floor(x keep / 2**bits) + add for ever, started at ``start >= 0``; `UNBOUNDED` where none is."""
    one = 1 << bits
    settled = np.maximum(start, -(-add * one // np.maximum(one - keep, 1)))
    return np.where(keep < one, settled, np.where((keep == one) & (add == 0), start, UNBOUNDED))


def _timed(start: IntArray, keep: IntArray, add: IntArray, ticks: int, bits: int) -> IntArray:
    """Return the bound of x <- floor(x keep / 2**bits) + add over ``ticks`` ticks, started at ``start >= 0``."""
    one = 1 << bits
    leaks = keep < one
    loop_keep, loop_add, bound = np.where(leaks, keep, 0), np.where(leaks, add, 0), np.where(leaks, start, 0)
    for _ in range(min(ticks, SETTLED)):
        after = (bound * loop_keep >> bits) + loop_add
        if np.array_equal(after, bound):
            break
        bound = after
    if ticks > SETTLED:
        bound = _steady(start, np.minimum(keep, one - 1), add, bits)
    integrated = np.where(keep == one, start + np.minimum(add, UNBOUNDED // (2 * ticks)) * ticks, UNBOUNDED)
    return np.where(leaks, np.maximum(bound, start), integrated)


def verdicts(network: IntegerNetwork, ticks: int, observed: Trace | None, limits: Mapping[str, int]) -> tuple[Verdict, ...]:
    """Return a verdict for the accumulator, u and v of every population.

    Args:
        network: Integer network with binary sources.
        ticks: Declared ticks per sample, for registers that grow without bound.
        observed: Calibration trace with spikes of all populations, u and v; None: there is none.
        limits: Largest magnitude of ``accumulator``, ``u`` and ``v`` without clip or wrap.
    """
    result: list[Verdict] = []
    for p in network.populations.values():
        if not p.is_input:
            result += _population_verdicts(network, p, ticks, observed, limits)
    return tuple(result)


def _population_verdicts(
    network: IntegerNetwork, p: IntegerPopulation, ticks: int, observed: Trace | None, limits: Mapping[str, int]
) -> list[Verdict]:
    form = network.number_format
    bits, shift = form.decay_bits, form.state_shift
    positive, negative = input_bounds(network, p.name)
    keep_u = form.decay_one - (p.values("du") + form.current_decay_offset)
    keep_v = form.decay_one - p.values("dv")
    bias: IntArray = np.left_shift(p.values("bias_mant"), p.values("bias_exp"), dtype=np.int64)
    u_init, v_init = p.values("u_init"), p.values("v_init")

    def judge(register: str, always: IntArray, timed: IntArray, seen: int) -> Verdict:
        limit = limits[register]
        if register == "v" and not p.fires:
            limit = min(limit, form.threshold_max << shift)  # beyond it, a compartment of the chip spikes
        if int(always.max(initial=0)) <= limit:
            return Verdict(p.name, register, "proved always", int(always.max(initial=0)), limit)
        if int(timed.max(initial=0)) <= limit:
            return Verdict(p.name, register, "proved for T ticks", int(timed.max(initial=0)), limit, ticks)
        samples = 0 if observed is None else next(iter(observed.spikes.values())).shape[0]
        return Verdict(p.name, register, "observed", seen, limit, samples=samples)

    a = np.maximum(positive, negative)
    verdict_a = judge("accumulator", a, a, _seen_accumulator(network, p, observed))

    up, un = positive << shift, negative << shift
    steady_p = _steady(np.maximum(u_init, 0), keep_u, up, bits)
    steady_n = _steady(np.maximum(-u_init, 0), keep_u, un, bits)
    timed_p, timed_n = (
        _timed(np.maximum(u_init, 0), keep_u, up, ticks, bits),
        _timed(np.maximum(-u_init, 0), keep_u, un, ticks, bits),
    )
    seen_u = 0 if observed is None else int(np.abs(observed.u[p.name].astype(np.int64)).max(initial=0))
    verdict_u = judge("u", np.maximum(steady_p, steady_n), np.maximum(timed_p, timed_n), seen_u)

    # v: what the last tick left of it (neurons that spike are reset), plus the largest u, plus the bias.
    bias_p, bias_n = np.maximum(bias, 0), np.maximum(-bias, 0)
    low_start = np.maximum(-v_init, 0)
    threshold = p.values("vth") << shift
    if p.fires and p.reset == "zero" and p.dynamics == "compartment":
        top = np.maximum(threshold, np.maximum(v_init, 0))
        high_always = (top * keep_v >> bits) + steady_p + bias_p
        high_timed = (top * keep_v >> bits) + timed_p + bias_p
    elif p.fires and p.reset == "subtract" and p.dynamics == "compartment":
        # A tick leaves at most the threshold, or what lies above it after a spike took off one threshold.
        start = np.maximum(threshold, np.maximum(v_init, 0))
        left_always = _steady(start, keep_v, np.maximum(steady_p + bias_p - threshold, 0), bits)
        left_timed = _timed(start, keep_v, np.maximum(timed_p + bias_p - threshold, 0), ticks, bits)
        high_always = (np.minimum(left_always, UNBOUNDED) * keep_v >> bits) + steady_p + bias_p
        high_timed = (np.minimum(left_timed, UNBOUNDED) * keep_v >> bits) + timed_p + bias_p
    else:
        high_always = _steady(np.maximum(v_init, 0), keep_v, steady_p + bias_p, bits)
        high_timed = _timed(np.maximum(v_init, 0), keep_v, timed_p + bias_p, ticks, bits)
    low_always = _steady(low_start, keep_v, steady_n + bias_n, bits)
    low_timed = _timed(low_start, keep_v, timed_n + bias_n, ticks, bits)
    seen_v = 0 if observed is None else _seen_potential(p, observed, bias)
    verdict_v = judge("v", np.maximum(high_always, low_always), np.maximum(high_timed, low_timed), seen_v)
    return [verdict_a, verdict_u, verdict_v]


def _seen_potential(p: IntegerPopulation, observed: Trace, bias: IntArray) -> int:
    """Return a bound on the potential before its reset: traces hold it after the reset."""
    v, u = observed.v[p.name].astype(np.int64), observed.u[p.name].astype(np.int64)
    quiet = int(np.abs(v).max(initial=0))
    spiking = observed.spikes[p.name] != 0
    if not spiking.any():
        return quiet
    start = np.broadcast_to(p.values("v_init"), v[:, :1].shape)
    before = np.concatenate([start, v[:, :-1]], axis=1)
    return max(quiet, int((np.abs(before) + np.abs(u) + np.abs(bias))[spiking].max()))


def _seen_accumulator(network: IntegerNetwork, p: IntegerPopulation, observed: Trace | None) -> int:
    """Return the largest magnitude of the accumulator on the observed spikes."""
    if observed is None:
        return 0
    samples, ticks, _ = next(iter(observed.spikes.values())).shape
    a = np.zeros((samples, ticks, p.size), np.int64)
    for q in network.projections_to(p.name):
        spikes = observed.spikes[q.source]
        kind = PATTERNS[q.pattern.kind]
        weights = q.weights.astype(np.float64) * 2.0**q.exponent

        def sent(values: NDArray[Any], q: IntegerProjection = q) -> NDArray[Any]:
            if q.pool is None:
                return values
            source = network.populations[q.source].shape
            return PATTERNS[q.pool.kind].forward(q.pool, np.float64(1.0), values, source, network.shapes(q)[0])

        delay = np.broadcast_to(q.delay, weights.shape)
        for d in np.unique(delay):
            chosen: NDArray[Any] = np.where(delay == d, weights, 0.0)
            moved = np.zeros(spikes.shape, np.float64)
            moved[:, d:] = spikes[:, : max(0, ticks - d)]
            sums = kind.forward(q.pattern, chosen, sent(moved.reshape(samples * ticks, -1)), *network.shapes(q))
            a += np.rint(sums).astype(np.int64).reshape(a.shape)
    return int(np.abs(a).max(initial=0))
