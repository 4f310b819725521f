"""The neuron models that are programs: adaptive threshold, Izhikevich, resonator, sigma-delta, stochastic, Hodgkin-Huxley.

Real numbers follow the publication named in each model; integers have 16 bits behind the point where a factor is below 1, and
``>>`` rounds to minus infinity. docs/neuron-models.md writes all equations out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.models.neuron import Array, FloatArray, Parameter, State
from neurocomp.models.programs import ProgrammedModel, Register

IntArray = NDArray[np.int64]
Pair = tuple[int, tuple[int, int]]

ONE = 1 << 16
"""1.0 of a factor."""
FACTOR = (-(1 << 20), 1 << 20)
POTENTIAL = (-(1 << 31), (1 << 31) - 1)
POSITIVE = (1, (1 << 31) - 1)

TAU_MEM = Parameter("s", "membrane time constant", positive=True)
V_THRESHOLD = Parameter("1", "threshold of the potential", default=1.0, positive=True)
V_INIT = Parameter("1", "potential at the start of a sample", default=0.0)


def _decay(tau: FloatArray, dt: float) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(-np.where(np.isinf(tau), 0.0, dt / tau)))


# Adaptive threshold


def _adaptive_real(state: State, x: FloatArray, p: Mapping[str, Array], dt: float) -> FloatArray:
    keep_v, keep_a = _decay(p["tau_mem"], dt), _decay(p["tau_adapt"], dt)
    v, threshold = state["v"] * keep_v + x, p["v_threshold"] + state["a"]
    spikes = v > threshold
    state["v"] = np.where(spikes, v - threshold, v)
    state["a"] = state["a"] * keep_a + np.where(spikes, p["beta"] * (1.0 - keep_a), 0.0)
    return np.asarray(spikes, np.float64)


def _adaptive_program(x: int, registers: tuple[int, int], words: tuple[int, int, int, int]) -> Pair:
    v, a = registers
    keep_v, keep_a, threshold, jump = words
    v = ((v * keep_v) >> 16) + x
    a_kept = (a * keep_a) >> 16
    if v > threshold + a:
        return 1, (v - threshold - a, a_kept + jump)
    return 0, (v, a_kept)


def _adaptive_integers(p: Mapping[str, FloatArray], one: FloatArray, dt: float) -> Mapping[str, Any]:
    keep_v, keep_a = _decay(p["tau_mem"], dt), _decay(p["tau_adapt"], dt)
    return {
        "keep_v": keep_v * ONE, "keep_a": keep_a * ONE,
        "threshold": p["v_threshold"] * one, "jump": p["beta"] * (1.0 - keep_a) * one,
    }  # fmt: skip


def _adaptive_bounds(words: Mapping[str, IntArray], x: IntArray) -> Mapping[str, IntArray]:
    # a <- a keep / ONE + jump settles at jump / (1 - keep / ONE), from wherever it starts below; it starts at 0.
    lost = ONE - words["keep_a"]
    return {"a": np.where(lost > 0, -(-np.abs(words["jump"]) * ONE // np.maximum(lost, 1)), 1 << 40)}


ADAPTIVE_LIF = ProgrammedModel(
    name="adaptive_lif",
    doc="leaky integrate and fire whose threshold rises with every spike and decays (Bellec et al. 2018)",
    parameters={
        "tau_mem": TAU_MEM,
        "tau_adapt": Parameter("s", "time constant of the threshold", positive=True),
        "v_threshold": V_THRESHOLD,
        "beta": Parameter("1", "what a spike in every tick would add to the threshold", default=1.8),
        "v_init": V_INIT,
    },
    registers=(Register("v", init="v_init"), Register("a")),
    real=_adaptive_real,
    program=_adaptive_program,
    words={"keep_v": (0, ONE), "keep_a": (0, ONE), "threshold": POSITIVE, "jump": POTENTIAL},
    integers=_adaptive_integers,
    bounds=_adaptive_bounds,
    headroom=8.0,
)


# Izhikevich 2003


def _izhikevich_real(state: State, x: FloatArray, p: Mapping[str, Array], dt: float) -> FloatArray:
    v, u, half = state["v"], state["u"], dt * 500.0
    for first in (True, False):
        moved = v + half * (0.04 * v * v + 5.0 * v + 140.0 - u + x)
        v = moved if first else np.where(v < p["v_peak"], moved, v)
    u = u + 2.0 * half * p["a"] * (p["b"] * v - u)
    spikes = v >= p["v_peak"]
    state["v"], state["u"] = np.where(spikes, p["c"], v), np.where(spikes, u + p["d"], u)
    return np.asarray(spikes, np.float64)


def _izhikevich_program(x: int, registers: tuple[int, int], words: tuple[int, ...]) -> Pair:
    v, u = registers
    square, square_shift, linear, constant, half, a, b, c, d, peak = words
    v += ((v * v * square) >> square_shift) + ((v * linear + (x - u) * half) >> 16) + constant
    if v < peak:
        v += ((v * v * square) >> square_shift) + ((v * linear + (x - u) * half) >> 16) + constant
    u += (a * (((b * v) >> 16) - u)) >> 16
    if v >= peak:
        return 1, (c, u + d)
    return 0, (v, u)


def _izhikevich_integers(p: Mapping[str, FloatArray], one: FloatArray, dt: float) -> Mapping[str, Any]:
    half = dt * 500.0
    square = 0.04 * half / np.asarray(one, np.float64)
    shift = 13 - np.floor(np.log2(square))  # so that 'square' has 14 bits
    return {
        "square": square * 2.0**shift, "square_shift": shift, "linear": 5.0 * half * ONE, "constant": 140.0 * half * one,
        "half": half * ONE, "a": p["a"] * 2.0 * half * ONE, "b": p["b"] * ONE,
        "c": p["c"] * one, "d": p["d"] * one, "peak": p["v_peak"] * one,
    }  # fmt: skip


IZHIKEVICH = ProgrammedModel(
    name="izhikevich",
    doc="quadratic membrane with recovery, in mV and ms (Izhikevich 2003); its input is a current",
    parameters={
        "a": Parameter("1", "rate of the recovery u, 1/ms", default=0.02),
        "b": Parameter("1", "sensitivity of u to v", default=0.2),
        "c": Parameter("1", "v after a spike, mV", default=-65.0),
        "d": Parameter("1", "what a spike adds to u", default=8.0),
        "v_peak": Parameter("1", "v at which a spike is cut off, mV", default=30.0, positive=True),
        "v_init": Parameter("1", "v at the start of a sample, mV", default=-65.0),
        "u_init": Parameter("1", "u at the start of a sample", default=-13.0),
    },
    registers=(Register("v", init="v_init"), Register("u", init="u_init")),
    real=_izhikevich_real,
    program=_izhikevich_program,
    words={
        "square": (1, ONE),
        "square_shift": (0, 62),
        "linear": POSITIVE,
        "constant": POSITIVE,
        "half": POSITIVE,
        "a": FACTOR,
        "b": FACTOR,
        "c": POTENTIAL,
        "d": POTENTIAL,
        "peak": POSITIVE,
    },
    integers=_izhikevich_integers,
    threshold="v_peak",
    headroom=5.0,
)


# Resonate and fire


def _rotation(p: Mapping[str, Array], dt: float) -> tuple[FloatArray, FloatArray]:
    size, angle = _decay(p["tau_mem"], dt), 2.0 * np.pi * dt / np.asarray(p["period"], np.float64)
    return np.asarray(size * np.cos(angle)), np.asarray(size * np.sin(angle))


def _resonator_real(state: State, x: FloatArray, p: Mapping[str, Array], dt: float) -> FloatArray:
    cosine, sine = _rotation(p, dt)
    re, im = state["re"], state["im"]
    re, im = cosine * re - sine * im + x, sine * re + cosine * im
    spikes = im >= p["v_threshold"]
    state["re"], state["im"] = np.where(spikes, 0.0, re), np.where(spikes, p["v_threshold"], im)
    return np.asarray(spikes, np.float64)


def _resonator_program(x: int, registers: tuple[int, int], words: tuple[int, int, int]) -> Pair:
    im, re = registers
    cosine, sine, threshold = words
    turned = (sine * re + cosine * im) >> 16
    re = ((cosine * re - sine * im) >> 16) + x
    if turned >= threshold:
        return 1, (threshold, 0)
    return 0, (turned, re)


def _resonator_integers(p: Mapping[str, FloatArray], one: FloatArray, dt: float) -> Mapping[str, Any]:
    cosine, sine = _rotation(p, dt)
    return {"cosine": cosine * ONE, "sine": sine * ONE, "threshold": p["v_threshold"] * one}


RESONATE_AND_FIRE = ProgrammedModel(
    name="resonate_and_fire",
    doc="damped oscillator z' = (-1/tau + i 2 pi / period) z that spikes where Im z reaches the threshold (Izhikevich 2001)",
    parameters={
        "tau_mem": Parameter("s", "time constant of the damping", positive=True),
        "period": Parameter("s", "of the oscillation", positive=True),
        "v_threshold": V_THRESHOLD,
    },
    registers=(Register("im"), Register("re")),
    real=_resonator_real,
    program=_resonator_program,
    words={"cosine": (-ONE, ONE), "sine": (-ONE, ONE), "threshold": POSITIVE},
    integers=_resonator_integers,
    headroom=8.0,
)


# Sigma-delta

MOST_SENT = 127
"""The largest magnitude of a message; what is beyond it follows in the next ticks."""


def _sigma_delta_real(state: State, x: FloatArray, p: Mapping[str, Array], dt: float) -> FloatArray:
    state["sigma"] = state["sigma"] + x
    late = np.maximum(state["sigma"], 0.0) - state["sent"]
    steps = np.clip(np.trunc(late / p["v_threshold"]), -MOST_SENT, MOST_SENT)
    state["sent"] = state["sent"] + steps * p["v_threshold"]
    return np.asarray(steps, np.float64)


def _sigma_delta_program(x: int, registers: tuple[int, int], words: tuple[int]) -> Pair:
    sigma, sent = registers
    (threshold,) = words
    sigma += x
    late = max(sigma, 0) - sent
    steps = min(abs(late) // threshold, 127)
    if late < 0:
        steps = -steps
    return steps, (sigma, sent + steps * threshold)


SIGMA_DELTA = ProgrammedModel(
    name="sigma_delta",
    doc="sums its input up and sends, in whole thresholds, by how much the rectified sum changed (sigma-delta; O'Connor 2016)",
    parameters={"v_threshold": Parameter("1", "one step of what is sent", default=1.0, positive=True)},
    registers=(Register("sigma"), Register("sent")),
    real=_sigma_delta_real,
    program=_sigma_delta_program,
    words={"threshold": POSITIVE},
    integers=lambda p, one, dt: {"threshold": p["v_threshold"] * one},
    spikes=(-MOST_SENT, MOST_SENT),
    headroom=64.0,
)


# Stochastic threshold


def _stochastic_real(state: State, x: FloatArray, p: Mapping[str, Array], dt: float) -> FloatArray:
    v = state["v"] + x
    spikes = v >= p["v_threshold"] + p["noise"] * (state["random"] / 2.0**32)
    state["v"] = np.where(spikes, 0.0, v)
    return np.asarray(spikes, np.float64)


def _stochastic_program(x: int, registers: tuple[int], words: tuple[int, int], random: int) -> tuple[int, tuple[int]]:
    threshold, noise = words
    v = registers[0] + x
    if v >= threshold + ((random * noise) >> 32):
        return 1, (0,)
    return 0, (v,)


def _stochastic_crossbar(p: Mapping[str, FloatArray], one: FloatArray) -> Mapping[str, Any]:
    # The chip draws TM bits: the width of the range is a power of two.
    width = np.maximum(p["noise"] * one, 1.0)
    return {"alpha": p["v_threshold"] * one, "TM": np.rint(np.log2(width)), "seed": p["seed"]}


STOCHASTIC_IF = ProgrammedModel(
    name="stochastic_if",
    doc="integrate and fire with a threshold that is drawn anew in every tick, uniform in [v_threshold, v_threshold + noise)",
    parameters={
        "v_threshold": V_THRESHOLD,
        "noise": Parameter("1", "width of the range in which the threshold is drawn", default=1.0),
        "v_init": V_INIT,
    },
    registers=(Register("v", init="v_init"),),
    real=_stochastic_real,
    program=_stochastic_program,
    words={"threshold": POSITIVE, "noise": (0, (1 << 30) - 1)},
    integers=lambda p, one, dt: {"threshold": p["v_threshold"] * one, "noise": p["noise"] * one},
    draws=True,
    headroom=8.0,
    crossbar=_stochastic_crossbar,
)


# Hodgkin-Huxley

_FINE = 1e-5
"""Longest step of Euler's method, s."""


def _ratio(x: FloatArray, width: float) -> FloatArray:
    """Return x / (1 - exp(-x / width)), which is ``width`` at 0."""
    safe = np.where(np.abs(x) < 1e-6, 1.0, x)
    return np.where(np.abs(x) < 1e-6, width, safe / -np.expm1(-safe / width))


def _hodgkin_huxley_real(state: State, x: FloatArray, p: Mapping[str, Array], dt: float) -> FloatArray:
    v, m, h, n = state["v"], state["m"], state["h"], state["n"]
    before, parts = v, int(np.ceil(dt / _FINE - 1e-9))
    step = 1e3 * dt / parts
    for _ in range(parts):
        sodium, potassium = 120.0 * m**3 * h * (v - 50.0), 36.0 * n**4 * (v + 77.0)
        leak = 0.3 * (v + 54.387)
        m_new = m + step * (0.1 * _ratio(v + 40.0, 10.0) * (1.0 - m) - 4.0 * np.exp(-(v + 65.0) / 18.0) * m)
        h_new = h + step * (0.07 * np.exp(-(v + 65.0) / 20.0) * (1.0 - h) - h / (1.0 + np.exp(-(v + 35.0) / 10.0)))
        n_new = n + step * (0.01 * _ratio(v + 55.0, 10.0) * (1.0 - n) - 0.125 * np.exp(-(v + 65.0) / 80.0) * n)
        v = v + step * (x - sodium - potassium - leak) / p["capacitance"]
        m, h, n = m_new, h_new, n_new
    state |= {"v": v, "m": m, "h": h, "n": n}
    return np.asarray((before < p["v_threshold"]) & (v >= p["v_threshold"]), np.float64)


HODGKIN_HUXLEY = ProgrammedModel(
    name="hodgkin_huxley",
    doc="squid axon in mV and ms, input in uA/cm2 (Hodgkin and Huxley 1952); real numbers alone",
    parameters={
        "capacitance": Parameter("1", "uF/cm2", default=1.0, positive=True),
        "v_threshold": Parameter("1", "potential that counts as a spike where v passes it upward, mV", default=0.0),
        "v_init": Parameter("1", "v at the start of a sample, mV", default=-65.0),
        "m_init": Parameter("1", "activation of sodium at the start", default=0.0529),
        "h_init": Parameter("1", "inactivation of sodium at the start", default=0.5961),
        "n_init": Parameter("1", "activation of potassium at the start", default=0.3177),
    },
    registers=tuple(Register(name, init=f"{name}_init") for name in ("v", "m", "h", "n")),
    real=_hodgkin_huxley_real,
    threshold=None,
)

MODELS = (ADAPTIVE_LIF, IZHIKEVICH, RESONATE_AND_FIRE, SIGMA_DELTA, STOCHASTIC_IF, HODGKIN_HUXLEY)
"""The models of this module."""
