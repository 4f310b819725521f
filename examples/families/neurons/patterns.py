"""The twenty firing patterns of Izhikevich (IEEE Trans. Neural Networks 15, 2004, Fig. 1), each with what its name demands.

Parameters and currents are those of the program that the author published with the figure (``figure1.m``). Differences:

- All have one timestep, 0.25 ms; the program has 0.1 to 0.5 ms. The model here takes two half steps for v, and what lies at the
  edge of a pattern moves: the pulse of I is 7.2 in place of 7.04, the inhibition of M and N 18 in place of 15, d of T is 0 in
  place of -2, and the second pulse of P comes at 131 in place of 216 ms. A and E last longer.
- G and L have v' = 0.04 v² + 4.1 v + 108 - u + I there. With v = w + 11.25 that is the usual 0.04 w² + 5 w + 140 - u' + I'
  of ``izhikevich``: c, v_peak and the start move by 11.25, and I' = I + 20.3125 for b = -0.1.
- The ramps of G, H and R are stairs, as what an input sends is a whole number.
- R has u' = a b (v + 65), without the term -a u: no parameters of ``izhikevich`` make that. It is a model of its own,
  `ACCOMMODATING`, registered as any user registers one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.frontends.from_yaml import loads
from neurocomp.ir.network import Data, Network, Samples
from neurocomp.models.neuron import Array, FloatArray, State
from neurocomp.models.neurons import NEURON_MODELS, register_model
from neurocomp.models.programmed import IZHIKEVICH

TIMESTEP = 0.25
"""ms."""
Times = NDArray[Any]


# R: a recovery that does not leak


def _real(state: State, x: FloatArray, p: Mapping[str, Array], dt: float) -> FloatArray:
    v, u, half = state["v"], state["u"], dt * 500.0
    for first in (True, False):
        moved = v + half * (0.04 * v * v + 5.0 * v + 140.0 - u + x)
        v = moved if first else np.where(v < p["v_peak"], moved, v)
    u = u + 2.0 * half * p["a"] * p["b"] * (v + 65.0)
    spikes = v >= p["v_peak"]
    state["v"], state["u"] = np.where(spikes, p["c"], v), np.where(spikes, u + p["d"], u)
    return np.asarray(spikes, np.float64)


def _program(x: int, registers: tuple[int, int], words: tuple[int, ...]) -> tuple[int, tuple[int, int]]:
    v, u = registers
    square, square_shift, linear, constant, half, rate, rest, c, d, peak = words
    v += ((v * v * square) >> square_shift) + ((v * linear + (x - u) * half) >> 16) + constant
    if v < peak:
        v += ((v * v * square) >> square_shift) + ((v * linear + (x - u) * half) >> 16) + constant
    u += (rate * (v + rest)) >> 16
    if v >= peak:
        return 1, (c, u + d)
    return 0, (v, u)


def _integers(p: Mapping[str, FloatArray], one: FloatArray, dt: float) -> Mapping[str, Any]:
    assert IZHIKEVICH.integers is not None
    words = dict(IZHIKEVICH.integers(p, one, dt))
    words |= {"rate": p["a"] * p["b"] * dt * 1e3 * 65536, "rest": 65.0 * one}
    return {name: words[name] for name in ACCOMMODATING.words}


ACCOMMODATING = replace(
    IZHIKEVICH,
    name="izhikevich_accommodating",
    doc="quadratic membrane whose recovery does not leak: pattern R of Izhikevich 2004",
    real=_real,
    program=_program,
    words={
        **{name: IZHIKEVICH.words[name] for name in ("square", "square_shift", "linear", "constant", "half")},
        "rate": IZHIKEVICH.words["a"],
        "rest": IZHIKEVICH.words["constant"],
        **{name: IZHIKEVICH.words[name] for name in ("c", "d", "peak")},
    },
    integers=_integers,
)
"""u <- u + dt a b (v + 65)."""
if ACCOMMODATING.name not in NEURON_MODELS:
    register_model(ACCOMMODATING)


# What the names demand; times of spikes in ms, v of every tick in mV


def _between(times: Times, first: float, last: float = np.inf) -> Times:
    return times[(times >= first) & (times < last)]


def _bursts(times: Times, gap: float) -> list[int]:
    """Return the spikes of each burst; bursts are more than ``gap`` ms apart."""
    return [len(part) for part in np.split(times, np.flatnonzero(np.diff(times) > gap) + 1)] if len(times) else []


def _even(times: Times, spread: float = 0.1) -> bool:
    """Whether at least 3 intervals are equal to within a share."""
    intervals = np.diff(times)
    return len(intervals) >= 3 and bool(np.ptp(intervals) <= spread * intervals.mean())


@dataclass(frozen=True)
class FiringPattern:
    """One panel."""

    name: str
    parameters: Mapping[str, float]
    """a, b, c, d, and where v starts; u starts at b v unless it is given."""
    end: float
    """ms."""
    current: Callable[[Times], Times]
    """I of times in ms; what is above ``constant`` is sent in the nearest whole multiples of ``step``."""
    demand: str
    """What the name asks for."""
    meets: Callable[[Times, Times], bool]
    """Whether times of spikes and v of all ticks do."""
    constant: float = 0.0
    """A bias."""
    step: float = 0.1
    """What a unit of the input is worth; steps are alike, as one scale of 8 bits holds them all."""
    model: str = "izhikevich"

    @property
    def ticks(self) -> int:
        """Of the panel."""
        return round(self.end / TIMESTEP)

    @property
    def values(self) -> dict[str, float]:
        """The parameters by the model's names."""
        p = {"v_peak": 30.0, **self.parameters}
        v = p.pop("v")
        return {**{key: float(value) for key, value in p.items() if key != "u"}, "v_init": v, "u_init": p.get("u", p["b"] * v)}

    def drive(self, ticks: int | None = None) -> NDArray[np.int64]:
        """Return what the input sends in every tick, whole numbers; 0 after the panel's end."""
        t = TIMESTEP * np.arange(self.ticks)
        sent = np.rint((self.current(t) - self.constant) / self.step).astype(np.int64)
        return np.pad(sent, (0, (ticks or self.ticks) - self.ticks))


def _p(a: float, b: float, c: float, d: float, v: float, **more: float) -> dict[str, float]:
    return {"a": a, "b": b, "c": c, "d": d, "v": v, **more}


def _on(t: Times, first: float, last: float = np.inf) -> Times:
    return np.asarray((t > first) & (t < last), np.float64)


def _off(t: Times) -> Times:
    return np.asarray((t < 50) | (t > 250), np.float64)


def _waves(v: Times, first: float) -> int:
    """Return how often v rises 0.05 mV above its median after a time; 0 unless each wave is lower than the one before it."""
    after = v[int(first / TIMESTEP) :]
    after = after - (np.median(after) if len(after) else 0.0)
    above = np.r_[False, after > 0.05, False]
    starts, ends = np.flatnonzero(~above[:-1] & above[1:]), np.flatnonzero(above[:-1] & ~above[1:])
    tops = np.array([after[a:b].max() for a, b in zip(starts, ends, strict=True)])
    return len(tops) if bool((np.diff(tops) < 0).all()) else 0


MOVED = 11.25
"""By which v of G and L is moved, mV."""
CLASS_1 = _p(0.02, -0.1, -55 - MOVED, 6, -60 - MOVED, u=6 + 0.1 * MOVED, v_peak=30 - MOVED)
SHIFT = 20.3125


PATTERNS: Mapping[str, FiringPattern] = {
    "A": FiringPattern(
        "tonic spiking", _p(0.02, 0.2, -65, 6, -70), 200, lambda t: 14 * _on(t, 10),
        "spikes in even intervals to the end, none before the current",
        lambda s, v: len(_between(s, 0, 10)) == 0 and _even(_between(s, 30)) and s[-1] > 170, step=0.14,
    ),
    "B": FiringPattern(
        "phasic spiking", _p(0.02, 0.25, -65, 6, -64), 200, lambda t: 0.5 * _on(t, 20),
        "one spike, at the onset of the current", lambda s, v: len(s) == 1 and 20 < s[0] < 60, step=0.1,
    ),
    "C": FiringPattern(
        "tonic bursting", _p(0.02, 0.2, -50, 2, -70), 220, lambda t: 15 * _on(t, 22),
        "at least 4 bursts of at least 2 spikes",
        lambda s, v: len(b := _bursts(s, 10)) >= 4 and min(b[:-1]) >= 2 and s[0] > 22 and s[-1] > 180, step=0.15,
    ),
    "D": FiringPattern(
        "phasic bursting", _p(0.02, 0.25, -55, 0.05, -64), 200, lambda t: 0.6 * _on(t, 20),
        "one burst of at least 3 spikes, at the onset",
        lambda s, v: len(s) >= 3 and len(_bursts(s, 15)) == 1 and s[0] > 20 and s[-1] < 100, step=0.1,
    ),
    "E": FiringPattern(
        "mixed mode", _p(0.02, 0.2, -55, 4, -70), 240, lambda t: 10 * _on(t, 16),
        "a burst at the onset, single spikes in even intervals after it",
        lambda s, v: np.diff(s)[0] < 8 and _even(_between(s, 50)) and np.diff(s)[-1] > 2.5 * np.diff(s)[0], step=0.1,
    ),
    "F": FiringPattern(
        "spike frequency adaptation", _p(0.01, 0.2, -65, 8, -70), 85, lambda t: 30 * _on(t, 8.5),
        "intervals that grow",
        lambda s, v: len(s) >= 5 and bool((np.diff(s, 2) > -0.5).all()) and np.diff(s)[-1] > 1.8 * np.diff(s)[0], step=0.15,
    ),
    "G": FiringPattern(
        "class 1 excitable", CLASS_1, 300, lambda t: SHIFT + 0.15 * np.floor(np.maximum(t - 30, 0) * 0.075 / 0.15),
        "a rate that begins below 30 Hz and at least doubles as the current grows",
        lambda s, v: len(s) >= 6 and np.diff(s)[0] > 1000 / 30 and np.diff(s)[0] > 2 * np.diff(s)[-1] and s[0] > 60,
        constant=SHIFT, step=0.15,
    ),
    "H": FiringPattern(
        "class 2 excitable", _p(0.2, 0.26, -65, 0, -64), 300,
        lambda t: -0.5 + 0.06 * np.floor(np.maximum(t - 30, 0) * 0.015 / 0.06),
        "a rate that begins above 40 Hz as the current grows",
        lambda s, v: len(s) >= 6 and np.diff(s)[0] < 1000 / 40 and s[0] > 60, constant=-0.5, step=0.06,
    ),
    "I": FiringPattern(
        "spike latency", _p(0.02, 0.2, -65, 6, -70), 100, lambda t: 7.2 * _on(t, 10, 13),
        "one spike, at least 5 ms after the pulse is over", lambda s, v: len(s) == 1 and 18 < s[0] < 60, step=0.072,
    ),
    "J": FiringPattern(
        "subthreshold oscillations", _p(0.05, 0.26, -60, 0, -62), 200, lambda t: 2 * _on(t, 20, 25),
        "one spike, then at least 2 damped waves below the threshold",
        lambda s, v: len(s) == 1 and _waves(v, s[0] + 8) >= 2, step=0.1,
    ),
    "K": FiringPattern(
        "resonator", _p(0.1, 0.26, -60, -1, -62), 400,
        lambda t: 0.65 * (_on(t, 40, 44) + _on(t, 60, 64) + _on(t, 280, 284) + _on(t, 320, 324)),
        "a spike after two pulses a period of 40 ms apart, none after two that are 20 ms apart",
        lambda s, v: len(s) == 1 and 320 < s[0] < 345, step=0.13,
    ),
    "L": FiringPattern(
        "integrator", CLASS_1, 100,
        lambda t: SHIFT + 9 * (_on(t, 9.1, 11.1) + _on(t, 14.1, 16.1) + _on(t, 70, 72) + _on(t, 80, 82)),
        "a spike after two pulses 5 ms apart, none after two pulses 10 ms apart",
        lambda s, v: len(s) == 1 and 14 < s[0] < 30, constant=SHIFT, step=0.1,
    ),
    "M": FiringPattern(
        "rebound spike", _p(0.03, 0.25, -60, 4, -64), 200, lambda t: -18 * _on(t, 20, 25),
        "one spike, after the inhibition is over", lambda s, v: len(s) == 1 and 25 < s[0] < 80, step=0.15,
    ),
    "N": FiringPattern(
        "rebound burst", _p(0.03, 0.25, -52, 0, -64), 200, lambda t: -18 * _on(t, 20, 25),
        "one burst of at least 3 spikes, after the inhibition is over",
        lambda s, v: len(s) >= 3 and len(_bursts(s, 15)) == 1 and s[0] > 25, step=0.15,
    ),
    "O": FiringPattern(
        "threshold variability", _p(0.03, 0.25, -60, 4, -64), 100,
        lambda t: _on(t, 10, 15) + _on(t, 80, 85) - 6 * _on(t, 70, 75),
        "none after a pulse, a spike after the same pulse behind an inhibition",
        lambda s, v: len(s) == 1 and s[0] > 80, step=0.1,
    ),
    "P": FiringPattern(
        "bistability", _p(0.1, 0.26, -60, 0, -61), 300, lambda t: 0.24 + _on(t, 37.5, 42.5) + _on(t, 131, 136),
        "a pulse turns tonic spiking on, a second one turns it off",
        lambda s, v: s[0] > 37.5 and len(_between(s, 40, 131)) >= 3 and not len(_between(s, 150)), constant=0.24, step=0.1,
    ),
    "Q": FiringPattern(
        "depolarizing after-potential", _p(1, 0.2, -60, -21, -70), 50, lambda t: 20 * _on(t, 9, 11),
        "one spike, then v above its rest by 5 mV",
        lambda s, v: len(s) == 1 and v[int(s[0] / TIMESTEP) + 1 :].max() > v[:30].mean() + 5, step=0.1,
    ),
    "R": FiringPattern(
        "accommodation", _p(0.02, 1, -55, 4, -65, u=-16), 400,
        lambda t: np.where(t < 200, t / 25, np.where((t >= 300) & (t < 312.5), (t - 300) / 12.5 * 4, 0)),
        "none under a slow ramp to 8, a spike under a steep one to 4",
        lambda s, v: len(s) >= 1 and s[0] > 300, step=0.16, model="izhikevich_accommodating",
    ),
    "S": FiringPattern(
        "inhibition-induced spiking", _p(-0.02, -1, -60, 8, -63.8), 350, lambda t: 80 - 5 * (1 - _off(t)),
        "spikes while the current is lower, none before and after",
        lambda s, v: len(_between(s, 50, 250)) >= 3 and not len(_between(s, 0, 50)) and not len(_between(s, 275)),
        constant=80, step=0.1,
    ),
    "T": FiringPattern(
        "inhibition-induced bursting", _p(-0.026, -1, -45, 0, -63.8), 350, lambda t: 80 - 5 * (1 - _off(t)),
        "bursts of at least 2 spikes while the current is lower, none before and after",
        lambda s, v: len(b := _bursts(_between(s, 50, 255), 15)) >= 2 and max(b) >= 2 and not len(_between(s, 0, 50))
        and not len(_between(s, 280)), constant=80, step=0.1,
    ),
}  # fmt: skip


def network(letters: Iterable[str] = PATTERNS) -> Network:
    """Return patterns as one network with one sample: an input that sends whole numbers, and a population for each model."""
    chosen = [PATTERNS[letter] for letter in letters]
    ticks = max(p.ticks for p in chosen)
    sent = np.stack([p.drive(ticks) for p in chosen], axis=1)
    populations, projections = [], []
    for model in dict.fromkeys(p.model for p in chosen):
        own = [number for number, p in enumerate(chosen) if p.model == model]
        values = {key: [chosen[number].values[key] for number in own] for key in chosen[own[0]].values}
        neuron = ", ".join(f"{key}: {value}" for key, value in values.items())
        populations.append(f"  {model}: {{shape: [{len(own)}], neuron: {{model: {model}, {neuron}}}}}")
        projections.append(
            f"  - {{from: drive, to: {model}, pattern: {{sparse: {{sources: {own}, targets: {list(range(len(own)))}}}}}, "
            f"weights: {[chosen[n].step for n in own]}, bias: {[chosen[n].constant for n in own]}}}"
        )
    lines = [
        "neurocomp: 1", "name: firing-patterns", f"timestep: {TIMESTEP} ms", f"ticks: {ticks}", "populations:",
        f"  drive: {{kind: input, shape: [{len(chosen)}]}}", *populations, "projections:", *projections,
        f"encode: {{drive: {{scheme: graded, largest: {np.abs(sent).max()}}}}}",
    ]  # fmt: skip
    made = loads("\n".join(lines), Path())
    return replace(made, data=Data(Samples({"drive": sent[None]}, None))).verify()


def traces(
    arrays: Mapping[str, Array], one: Mapping[str, float], letters: Iterable[str] = PATTERNS
) -> dict[str, tuple[Times, Times]]:
    """Return of every pattern the times of its spikes in ms, and v in mV of each tick of its panel.

    Args:
        arrays: Of a run of `network` with state.
        one: Population -> what 1 mV is there.
        letters: Of the network.
    """
    found, count = {}, dict.fromkeys(one, 0)
    for letter in letters:
        p = PATTERNS[letter]
        n = count[p.model]
        count[p.model] += 1
        spikes, v = (arrays[f"{what}/{p.model}"][0, : p.ticks, n] for what in ("spikes", "v"))
        found[letter] = np.flatnonzero(spikes) * TIMESTEP, v / one[p.model]
    return found
