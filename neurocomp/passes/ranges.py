"""Range proofs: what is known about each register of an integer network staying inside its width."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.fixedpoint import shifted
from neurocomp.ir.programs import neuron_program
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection, Verdict, learned_range
from neurocomp.ir.trace import Trace
from neurocomp.models.neurons import ProgrammedModel, program_of
from neurocomp.models.patterns import PATTERNS, blocks_of

IntArray = NDArray[np.int64]

UNBOUNDED = 1 << 48
"""Stands for a register that grows for ever: far beyond every width, and far below the end of int64."""
SETTLED = 20_000
"""Ticks followed one by one; beyond them the bound for ever stands for the bound of a leaky register."""


def input_bounds(network: IntegerNetwork, name: str) -> tuple[IntArray, IntArray]:
    """Return the largest positive and negative magnitude (n,) that one tick's spikes can add to a population's accumulator.

    Sources that count 0 or 1: the sum of positive and of negative weights, as each synapse contributes at most once per tick.
    Where a value multiplies the weight: the sum of magnitudes times the largest magnitude that the source sends, which is 1 for
    neurons; what a graded input sends is not known, and the bound is `UNBOUNDED` where any weight is not 0.
    """
    size = network.populations[name].size
    positive, negative = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for q in network.projections_to(name):
        # Of the mantissas, so that large ones are never widened. A negative exponent loses no bit in a checked format; in
        # another one the sum of each delay is rounded down.
        if q.learning is not None:
            low, high = learned_range(q.sign_mode)
            synapses = network.synapse_counts(q)
            positive += shifted(synapses * high, q.exponent)
            negative += shifted(synapses * -low, q.exponent) + (q.exponent < 0)
            continue
        above, below = PATTERNS[q.pattern.kind].sums(q.pattern, q.mantissa, *network.shapes(q))
        if q.sign_mode == "inhibitory":
            above, below = below, above
        above, below = _sent(network, q, np.asarray(above, np.int64), np.asarray(below, np.int64))
        left = q.shift + q.exponent
        up, down = (np.where(part < UNBOUNDED, shifted(part, left), UNBOUNDED) for part in (above, below))
        positive += up
        negative += down if left >= 0 or network.number_format.checked else down + len(np.unique(q.delay))
    return np.minimum(positive, UNBOUNDED), np.minimum(negative, UNBOUNDED)


def _sent(network: IntegerNetwork, q: IntegerProjection, above: IntArray, below: IntArray) -> tuple[IntArray, IntArray]:
    """Return the bounds of a projection's sum of weights from the sums of each sign."""
    source = network.populations[q.source]
    if q.binary or source.dynamics == "compartment":
        return above, below
    both = above + below
    if source.program is not None:
        both = both * neuron_program(source.program).largest_spike
    elif source.dynamics != "ternary":
        both = np.where(both > 0, UNBOUNDED, 0)
    return both, both


def _steady(start: IntArray, keep: IntArray, add: IntArray, bits: int) -> IntArray:
    """Return the bound of x <- floor(x keep / 2**bits) + add for ever, started at ``start >= 0``; `UNBOUNDED` where none is."""
    one = 1 << bits
    settled = np.maximum(start, np.minimum(-(-np.minimum(add, UNBOUNDED) * one // np.maximum(one - keep, 1)), UNBOUNDED))
    return np.where(keep < one, settled, np.where((keep == one) & (add == 0), start, UNBOUNDED))


def _timed(start: IntArray, keep: IntArray, add: IntArray, ticks: int, bits: int) -> IntArray:
    """Return the bound of x <- floor(x keep / 2**bits) + add over ``ticks`` ticks, started at ``start >= 0``."""
    one = 1 << bits
    add = np.minimum(add, UNBOUNDED)
    leaks = keep < one
    loop_keep, loop_add, bound = np.where(leaks, keep, 0), np.where(leaks, add, 0), np.where(leaks, start, 0)
    for _ in range(min(ticks, SETTLED)):
        after = np.minimum((bound * loop_keep >> bits) + loop_add, UNBOUNDED)
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
        network: Integer network.
        ticks: Declared ticks per sample, for registers that grow without bound.
        observed: Calibration trace with spikes of all populations, u and v; None: there is none.
        limits: Largest magnitude of ``accumulator``, ``u`` and ``v`` without clip or wrap.
    """
    result: list[Verdict] = []
    for p in network.populations.values():
        if p.program is not None:
            result += _program_verdicts(network, p, program_of(p.program), observed, limits["accumulator"])
        elif not p.is_input:
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

    def judge(register: str, always: IntArray, timed: IntArray, seen: Callable[[], int]) -> Verdict:
        limit = limits[register]
        if register == "v" and not p.fires:
            limit = min(limit, form.threshold_max << shift)  # beyond it, a compartment of the chip spikes
        if int(always.max(initial=0)) <= limit:
            return Verdict(p.name, register, "proved always", int(always.max(initial=0)), limit)
        if int(timed.max(initial=0)) <= limit:
            return Verdict(p.name, register, "proved for T ticks", int(timed.max(initial=0)), limit, ticks)
        samples = 0 if observed is None else next(iter(observed.spikes.values())).shape[0]
        return Verdict(p.name, register, "observed", seen(), limit, samples=samples)

    a = np.maximum(positive, negative)
    verdict_a = judge("accumulator", a, a, lambda: _seen_accumulator(network, p, observed))

    up, un = positive << shift, negative << shift
    steady_p = _steady(np.maximum(u_init, 0), keep_u, up, bits)
    steady_n = _steady(np.maximum(-u_init, 0), keep_u, un, bits)
    timed_p, timed_n = (
        _timed(np.maximum(u_init, 0), keep_u, up, ticks, bits),
        _timed(np.maximum(-u_init, 0), keep_u, un, ticks, bits),
    )

    def seen_u() -> int:
        return 0 if observed is None else int(np.abs(observed.u[p.name].astype(np.int64)).max(initial=0))

    verdict_u = judge("u", np.maximum(steady_p, steady_n), np.maximum(timed_p, timed_n), seen_u)

    # What each sample's own values add per tick beside the bias is not known.
    bias_p, bias_n = (np.maximum(sign * bias, 0) + (0 if p.current is None else UNBOUNDED) for sign in (1, -1))
    threshold = p.values("vth") << shift
    low = -(p.values("vth_low") << shift) if p.dynamics == "ternary" else None
    high_always = _potential(p, threshold, v_init, keep_v, steady_p + bias_p, None, bits)
    high_timed = _potential(p, threshold, v_init, keep_v, timed_p + bias_p, ticks, bits)
    low_always = _potential(p, low, -v_init, keep_v, steady_n + bias_n, None, bits)
    low_timed = _potential(p, low, -v_init, keep_v, timed_n + bias_n, ticks, bits)
    always, timed = np.maximum(high_always, low_always), np.maximum(high_timed, low_timed)
    verdict_v = judge("v", always, timed, lambda: 0 if observed is None else _seen_potential(p, observed, bias))
    return [verdict_a, verdict_u, verdict_v]


def _program_verdicts(
    network: IntegerNetwork, p: IntegerPopulation, model: ProgrammedModel, observed: Trace | None, limit: int
) -> list[Verdict]:
    """Judge the accumulator by the weights, and the registers by what the model says or by calibration data."""
    shift = network.number_format.state_shift
    a = int(np.maximum(*input_bounds(network, p.name)).max(initial=0))
    samples = 0 if observed is None else next(iter(observed.spikes.values())).shape[0]

    def judge(register: str, bound: int, most: int, seen: Callable[[], int]) -> Verdict:
        if bound <= most:
            return Verdict(p.name, register, "proved always", bound, most)
        return Verdict(p.name, register, "observed", seen(), most, samples=samples)

    x = (a << shift) + np.abs(p.values("bias")) + (0 if p.current is None else UNBOUNDED)
    proved = {} if model.bounds is None else model.bounds({name: p.values(name) for name in p.parameters}, x)
    most = min(limit, model.registers[0].high >> shift)
    result = [judge("accumulator", a, most, lambda: _seen_accumulator(network, p, observed))]
    tables = {} if observed is None else {"u": observed.u, "v": observed.v}
    seen = {array: int(np.abs(table[p.name].astype(np.int64)).max(initial=0)) for array, table in tables.items()}
    for array in ("u", "v"):
        name = model.recorded.get(array)
        if name is None:
            result.append(Verdict(p.name, array, "proved always", 0, 0))
            continue
        most = next(register.high for register in model.registers if register.name == name)
        bound = int(np.max(proved[name], initial=0)) if name in proved else UNBOUNDED
        result.append(judge(array, bound, most, lambda array=array: seen.get(array, 0)))  # type: ignore[misc]
    return result


def _potential(
    p: IntegerPopulation,
    threshold: IntArray | None,
    v_init: IntArray,
    keep: IntArray,
    add: IntArray,
    ticks: int | None,
    bits: int,
) -> IntArray:
    """Return the bound of v in one direction, before the reset: what the last tick left of it plus what a tick adds.

    A refractory neuron keeps its v, and a periodic reset clears it: neither takes it beyond what a tick may leave.

    Args:
        p: Says how a spike resets v.
        threshold: In this direction, in units of v and at least 0; None: there is none.
        v_init: Where v starts, positive in this direction.
        keep: Factor of the decay, of 2**bits.
        add: The largest current plus bias.
        ticks: For so many; None: for ever.
        bits: Of the decay.
    """
    start = np.maximum(v_init, 0)
    if threshold is None or not p.fires or p.reset == "none":
        return _steady(start, keep, add, bits) if ticks is None else _timed(start, keep, add, ticks, bits)
    # A tick leaves at most the threshold, or what lies above it after a spike took off one threshold.
    left = np.maximum(threshold, start)
    if p.reset == "subtract":
        more = np.maximum(add - threshold, 0)
        left = _steady(left, keep, more, bits) if ticks is None else _timed(left, keep, more, ticks, bits)
    return np.asarray((np.minimum(left, UNBOUNDED) * keep >> bits) + add)


def _seen_potential(p: IntegerPopulation, observed: Trace, bias: IntArray) -> int:
    """Return a bound on the potential before its reset: traces hold it after the reset."""
    v, u = observed.v[p.name].astype(np.int64), observed.u[p.name].astype(np.int64)
    quiet = int(np.abs(v).max(initial=0))
    spiking = observed.spikes[p.name] != 0
    if not spiking.any():
        return quiet
    start = np.broadcast_to(p.values("v_init"), v[:, :1].shape)
    before = np.abs(np.concatenate([start, v[:, :-1]], axis=1)) + np.abs(u) + np.abs(bias)
    if p.current is not None:
        before = before + np.abs(observed.spikes[p.current].astype(np.int64))
    return max(quiet, int(before[spiking].max()))


def _seen_accumulator(network: IntegerNetwork, p: IntegerPopulation, observed: Trace | None) -> int:
    """Return the largest magnitude of the accumulator on the observed spikes."""
    if observed is None:
        return 0
    if any(q.learning is not None for q in network.projections_to(p.name)):
        return int(
            np.maximum(*input_bounds(network, p.name)).max(initial=0)
        )  # weights that moved are not recorded tick by tick
    samples, ticks, _ = next(iter(observed.spikes.values())).shape
    a = np.zeros((samples * ticks, p.size), np.int64)
    for q in network.projections_to(p.name):
        spikes = observed.spikes[q.source]
        for d in np.unique(q.delay):
            moved = np.zeros(spikes.shape, np.float64)
            moved[:, d:] = spikes[:, : max(0, ticks - d)]
            if q.binary:
                moved = (moved != 0).astype(np.float64)
            sent = moved.reshape(samples * ticks, -1)
            if q.pool is not None:
                source = network.populations[q.source].shape
                sent = PATTERNS[q.pool.kind].forward(q.pool, np.float64(1.0), sent, source, network.shapes(q)[0])
            _add_sums(network, q, int(d), sent, a)
    return int(np.abs(a).max(initial=0))


def _add_sums(network: IntegerNetwork, q: IntegerProjection, delay: int, sent: NDArray[Any], a: IntArray) -> None:
    """Add to the accumulator (rows, n_target) what the synapses of one delay make of ``sent``; dense weights in blocks."""
    shapes = network.shapes(q)
    for block in blocks_of(q.mantissa) if q.pattern.kind == "dense" else (slice(None),):
        weights = q.weights_of(block).astype(np.float64)
        if q.delay.ndim:
            weights = np.where(q.delay[block] == delay, weights, 0.0)
        if q.pattern.kind == "dense":
            sums, columns = sent @ weights.T, block
        else:
            sums, columns = PATTERNS[q.pattern.kind].forward(q.pattern, weights, sent, *shapes), slice(None)
        a[:, columns] += shifted(np.rint(sums).astype(np.int64), q.exponent)
