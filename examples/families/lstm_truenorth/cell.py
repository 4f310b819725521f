"""A long short-term memory of integrate-and-fire neurons: gates release potentials as bursts of spikes.

A step of the memory takes `Timing.period` ticks. Numbers are whole, -L ... L, and each is carried by a pair of neurons: spikes
of one count up, those of the other count down. With x the inputs and h what the memory said,

    gate   = 1 where W_gate x + U_gate h + b_gate > 0, else 0      (i, f and o; one bit)
    g      = clip(W_g x + U_g h, -L, L)
    c      = clip(f c + i g, -L, L)
    h      = o c

All neurons are ``if`` that spike at 1 and are reset to 0, without leak, floor or bias: every chip has them.
A clock, which the host sends, tells neurons when to act:

- *hold*: -B, below every sum that may arrive. What arrives adds up, and no neuron spikes.
- *release*: +B takes the hold away, by a clock or by the spike of a gate that is open: an AND without a product.
- *ramp*: -L while held, and +1 in each of L ticks afterwards. A neuron with the sum n then spikes in the last n of them, as
  after its first spike each +1 is a spike: a potential becomes a burst of clip(n, 0, L) spikes.
- *clear*: +2 B. Every neuron spikes once and is at 0, whatever it held. Both neurons of a pair do, and as their weights are
  opposite, nothing arrives of it; behind gates, which are not pairs, a clock takes it off.

Signed channels, and a state that is stored and released as bursts, are those of Shrestha et al. (ICCAD 2017). The circuit is
our own, and its gates have one bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.network import Data, Decoder, Encoder, Network, Neuron, Population, Projection, Samples, frozen
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern

Array = NDArray[Any]
IntArray = NDArray[np.int64]
HOLD = 31
"""B: sums stay below it."""


@dataclass(frozen=True)
class Memory:
    """The weights, whole numbers; n units, m inputs, k answers."""

    w_gates: IntArray
    """(3, n, m): input, forget and output gate."""
    u_gates: IntArray
    """(3, n, n)."""
    b_gates: IntArray
    """(3, n), -3 ... 3."""
    w: IntArray
    """(n, m)."""
    u: IntArray
    """(n, n)."""
    w_out: IntArray
    """(k, n): the answer is the largest of w_out h after the last step."""
    levels: int = 1
    """L."""
    answer: int = 1
    """The largest count of an answer; what is above is cut off, as is what is below 0."""

    def step(self, x: IntArray, c: IntArray, h: IntArray) -> tuple[IntArray, IntArray]:
        """Return c and h, (samples, n), after one step with inputs (samples, m): the equations, without spikes."""
        i, f, o = (x @ w.T + h @ u.T + b > 0 for w, u, b in zip(self.w_gates, self.u_gates, self.b_gates, strict=True))
        g = np.clip(x @ self.w.T + h @ self.u.T, -self.levels, self.levels)
        c = np.clip(f * c + i * g, -self.levels, self.levels)
        return c, o * c

    def run(self, x: IntArray) -> tuple[IntArray, IntArray]:
        """Return h, (samples, steps, n), and the counts of the answers, of inputs (samples, steps, m)."""
        c = h = np.zeros((len(x), len(self.w)), np.int64)
        said = []
        for step in range(x.shape[1]):
            c, h = self.step(x[:, step], c, h)
            said.append(h)
        return np.stack(said, axis=1), np.clip(h @ self.w_out.T, 0, self.answer)


@dataclass(frozen=True)
class Timing:
    """Ticks of a step, from its first: gates decide at ``decide``, two ramps of L ticks follow."""

    levels: int
    steps: int
    answer: int

    @property
    def decide(self) -> int:
        """When all inputs and both lines of the biases, which last 1 and 2 ticks, have arrived."""
        return max(self.levels, 2)

    @property
    def cell(self) -> int:
        """When the cells begin to release."""
        return self.decide + self.levels + 2

    @property
    def period(self) -> int:
        """Ticks per step."""
        return self.cell + self.levels + 3

    @property
    def said(self) -> slice:
        """When the outputs of a step spike."""
        return slice(self.cell + 1, self.cell + 1 + self.levels)

    @property
    def answered(self) -> int:
        """When the answer begins."""
        return (self.steps - 1) * self.period + self.cell + self.levels + 2

    @property
    def ticks(self) -> int:
        """Ticks per sample."""
        return self.answered + self.answer


LINES = (
    "gate_release", "gate_clear", "gate_hold", "bias_1", "bias_2",
    "store_down", "store_ramp", "store_clear", "store_clear_2", "store_hold", "after_gates",
    "cell_down", "cell_ramp", "cell_release", "cell_clear", "cell_clear_2", "cell_hold",
    "out_clear", "out_clear_2", "out_hold",
    "answer_clear", "answer_clear_2", "answer_clear_3", "answer_hold", "answer_release", "answer_ramp",
)  # fmt: skip
"""Lines of the clock."""
OUT = ("out_clear", "out_clear_2", "out_hold", "after_gates")


def clock(at: Timing) -> Array:
    """Return the spikes of the clock, (ticks, lines)."""
    levels, d = at.levels, at.decide
    store, cell, out = d + levels + 1, at.cell + levels, at.cell + levels + 2
    of_step: Mapping[str, Iterable[int]] = {
        "gate_release": [d], "gate_clear": [d + 1], "gate_hold": [d + 2], "bias_1": [0], "bias_2": [0, 1],
        "store_down": range(levels), "store_ramp": range(d + 1, d + 1 + levels), "store_clear": [store],
        "store_clear_2": [store], "store_hold": [store + 1], "after_gates": [d + 2],
        "cell_down": range(levels), "cell_release": [at.cell], "cell_ramp": range(at.cell, cell), "cell_clear": [cell],
        "cell_clear_2": [cell], "cell_hold": [cell + 1], "out_clear": [out], "out_clear_2": [out], "out_hold": [0],
        "answer_clear": [at.cell], "answer_clear_2": [at.cell], "answer_clear_3": [at.cell], "answer_hold": [at.cell + 1],
    }  # fmt: skip
    spikes = np.zeros((at.ticks, len(LINES)), np.uint8)
    for line, ticks in of_step.items():
        when = np.asarray(list(ticks))[:, None] + at.period * np.arange(at.steps)
        spikes[when[when < at.ticks], LINES.index(line)] = 1
    spikes[at.answered, LINES.index("answer_release")] = 1
    spikes[at.answered : at.answered + at.answer, LINES.index("answer_ramp")] = 1
    return spikes


def _from_clock(size: int, weights: Mapping[str, int | IntArray]) -> IntArray:
    """Return weights (size, lines) of the lines that are named."""
    found = np.zeros((size, len(LINES)), np.int64)
    for line, weight in weights.items():
        found[:, LINES.index(line)] = weight
    return found


def network(name: str, memory: Memory, x: Array, labels: Array) -> Network:
    """Return the memory as a network of spikes, with its samples.

    Args:
        name: Of the network.
        memory: Its weights.
        x: Inputs of the samples, (samples, steps, m), 0 ... L.
        labels: The right answers, (samples,).
    """
    n, m = memory.w.shape
    at = Timing(memory.levels, x.shape[1], memory.answer)
    pair = np.array([[1, -1], [-1, 1]])
    both = np.kron(pair, np.eye(n, dtype=np.int64))

    def signed(weights: IntArray) -> IntArray:
        """From pairs (h+, h-) to one neuron."""
        return np.concatenate([weights, -weights], axis=-1)

    def opposite(weights: IntArray) -> IntArray:
        """To pairs."""
        return np.concatenate([weights, -weights], axis=0)

    def gate(number: int) -> IntArray:
        """From the gates to both neurons of the pairs behind one of them."""
        row = np.zeros((1, 3), np.int64)
        row[0, number] = HOLD
        return np.tile(np.kron(row, np.eye(n, dtype=np.int64)), (2, 1))

    bias = memory.b_gates.ravel()
    low, high = _binary(bias)
    store = {
        "store_down": -1, "store_ramp": 1, "store_clear": HOLD, "store_clear_2": HOLD, "store_hold": -HOLD,
        "after_gates": -HOLD,
    }  # fmt: skip
    cell = {
        "cell_down": -1, "cell_ramp": 1, "cell_release": HOLD, "cell_clear": HOLD, "cell_clear_2": HOLD, "cell_hold": -HOLD,
    }  # fmt: skip
    # Released as far as its ramp takes it, so that nothing has to lower it first.
    answer = dict.fromkeys(("answer_clear", "answer_clear_2", "answer_clear_3", "answer_release"), HOLD - memory.answer) | {
        "answer_hold": -HOLD,
        "answer_ramp": 1,
    }
    joined = {
        "x->gates": memory.w_gates.reshape(3 * n, m),
        "out->gates": signed(memory.u_gates.reshape(3 * n, n)),
        "x->candidate": opposite(memory.w),
        "out->candidate": opposite(signed(memory.u)),
        "gates->candidate": gate(0),
        "gates->kept": gate(1),
        "gates->out": gate(2),
        "candidate->cell": both,
        "kept->cell": both,
        "cell->kept": both,
        "cell->out": both,
        "out->answer": signed(memory.w_out),
        "clock->gates": _from_clock(
            3 * n, {"gate_release": HOLD, "gate_clear": HOLD, "gate_hold": -HOLD, "bias_1": low, "bias_2": high}
        ),
        "clock->candidate": _from_clock(2 * n, store),
        "clock->kept": _from_clock(2 * n, store),
        "clock->cell": _from_clock(2 * n, cell),
        "clock->out": _from_clock(2 * n, {key: store[key.replace("out", "store")] for key in OUT}),
        "clock->answer": _from_clock(len(memory.w_out), answer),
    }  # fmt: skip

    def neurons(name: str, size: int, start: int) -> Population:
        values = {"v_threshold": 0.5, "v_init": float(start)}
        neuron = Neuron("if", {key: frozen(np.float64(v)) for key, v in values.items()}, Semantics(compare=">", reset="zero"))
        return Population(name, (size,), neuron)

    sizes = {"gates": 3 * n, "candidate": 2 * n, "kept": 2 * n, "cell": 2 * n, "out": 2 * n, "answer": len(memory.w_out)}
    populations = {"x": Population("x", (m,)), "clock": Population("clock", (len(LINES),))}
    populations |= {key: neurons(key, size, 0 if key == "out" else -HOLD) for key, size in sizes.items()}
    projections = []
    for key, weights in joined.items():
        source, target = key.split("->")
        late = frozen(np.int64(source not in ("x", "clock")))
        projections.append(Projection(key, source, target, Pattern("dense"), frozen(weights, np.float32), delay=late))
    spikes = np.zeros((len(x), at.ticks, m), np.uint8)
    for step in range(at.steps):
        for tick in range(memory.levels):
            spikes[:, step * at.period + tick] = x[:, step] > tick
    data = Data(Samples({"x": spikes, "clock": np.broadcast_to(clock(at), (len(x), at.ticks, len(LINES)))}, labels))
    decoder = Decoder("window", {"first": at.answered, "last": at.ticks - 1})
    encoders = {"x": Encoder("direct", {}), "clock": Encoder("direct", {})}
    return Network(name, 1e-3, at.ticks, populations, tuple(projections), encoders, {"answer": decoder}, data).verify()


def _binary(values: IntArray) -> tuple[IntArray, IntArray]:
    """Return a and b of -1, 0, 1 with values = a + 2 b."""
    high = np.sign(values) * (np.abs(values) > 1)
    return values - 2 * high, high
