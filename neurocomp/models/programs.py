"""Neuron models that are programs: one scalar step on integers, written once, which every engine executes.

A model of this kind is a registration. It says what its real parameters are, what it does in real numbers, which integers
they become, how wide its registers are, and its integer step for one neuron and one tick. The reference calls that step in
plain Python, the kernels and chip simulations compile it; as they share it, `verify` calls them shared witnesses.
docs/neuron-models.md shows how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurocomp.models.neuron import Array, FloatArray, Parameter, Semantics, State

IntArray = NDArray[np.int64]

MOST_REGISTERS = 2
"""Registers of a program: a trace shows the first as ``v`` and the second as ``u``."""
MOST_BITS = 32
STANDARD = ("bias", "v_init", "u_init", "seed", "key")
"""Integer parameters that belong to every program: what is added to its input, how its registers start, its random numbers."""
MEMORYLESS = np.asarray(0.0)
WORDS: Mapping[str, str] = {
    "integration": "exact", "input": "delta", "threshold_on": "new", "compare": ">", "spikes_per_tick": "one",
    "reset": "zero", "reset_when": "same_tick",
}  # fmt: skip
"""The axes of a program are its own: it leaves no choice, and these words say nothing."""


@dataclass(frozen=True, slots=True)
class Register:
    """A number that a neuron keeps from tick to tick."""

    name: str
    """Of the state in real numbers."""
    bits: int = 24
    """Width of the integer, a two's complement number."""
    overflow: Literal["saturate", "wrap"] = "saturate"
    """What becomes of a number that is too large; either way a simulation reports it."""
    init: str | None = None
    """The real parameter that it starts from, in units of the potential; None: 0."""

    @property
    def low(self) -> int:
        """The smallest number that it holds."""
        return -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """The largest number that it holds."""
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True, slots=True, eq=False)
class ProgrammedModel:
    """A neuron model that is a program; a member of `neurocomp.models.neurons.NEURON_MODELS`.

    In integers, 1.0 of the potential is ``one``, which quantization chooses; the input of a tick, ``x``, is the weighted spikes
    plus the bias in that unit. A program may compute with whole numbers of up to 64 bits: what it returns is then brought into
    the width of its registers.
    """

    name: str
    doc: str
    """One line on what it is, with its source."""
    parameters: Mapping[str, Parameter]
    """Real parameters by name."""
    registers: tuple[Register, ...]
    """The state. A trace shows the first as ``v``, the second as ``u``."""
    real: Callable[[State, FloatArray, Mapping[str, Array], float], FloatArray]
    """``real(state, x, parameters, dt)`` advances the state, arrays (samples, n), in place and returns the spikes."""
    program: Callable[..., tuple[int, tuple[int, ...]]] | None = None
    """``program(x, registers, words)`` returns the spike of a tick and the registers after it, all of them Python integers.

    It is plain Python that numba compiles: integer arithmetic and ``if``. With `draws` it takes a fourth argument, a random
    number of 32 bits. None: the model exists in real numbers alone, and every target refuses it.
    """
    words: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Integer parameters in the order in which the program gets them -> (smallest, largest)."""
    integers: Callable[[Mapping[str, FloatArray], FloatArray, float], Mapping[str, Any]] | None = None
    """``integers(parameters, one, dt)`` returns each word as a real number, which is then rounded to nearest."""
    threshold: str | None = "v_threshold"
    """The parameter that decides how fine the potential must be: its integer is made at least 256 where weights allow it."""
    headroom: float = 4.0
    """The registers hold at least so many thresholds."""
    spikes: tuple[int, int] = (0, 1)
    """Smallest and largest value of a spike; other values than 0 and 1 multiply the weights."""
    draws: bool = False
    bounds: Callable[[Mapping[str, IntArray], IntArray], Mapping[str, IntArray]] | None = None
    """``bounds(words, x)`` returns what the magnitude of registers can never exceed if that of the input never exceeds ``x``.

    What it does not name is observed on calibration data. The words include those of `STANDARD`.
    """
    crossbar: Callable[[Mapping[str, FloatArray], FloatArray], Mapping[str, Any]] | None = None
    """``crossbar(parameters, one)`` returns the integers, by the names of `neurocomp.ir.quantized.TRUENORTH`, with which
    TrueNorth's own neuron is this model; what it does not name is as for the model ``if``. None: there are no such integers."""
    has_current: bool = False
    """False: a program has no synaptic current that quantization would have to know."""

    def __post_init__(self) -> None:
        names = [register.name for register in self.registers]
        runs = self.program is not None
        problems = {
            f"has no register or one name twice: {', '.join(names)}": not names or len(set(names)) < len(names),
            f"has {len(names)} registers; a program has 1 or {MOST_REGISTERS}": runs and len(names) > MOST_REGISTERS,
            f"has a register of other than 2 to {MOST_BITS} bits": any(not 2 <= r.bits <= MOST_BITS for r in self.registers),
            "starts a register from no parameter of its own": any(
                r.init not in (None, *self.parameters) for r in self.registers
            ),
            f"names a word as every program does: {', '.join(STANDARD)}": any(word in STANDARD for word in self.words),
            "has a program, and nothing says what its words are: 'integers'": runs and self.integers is None,
            f"has no parameter '{self.threshold}', its threshold": self.threshold not in (None, *self.parameters),
            "sends values beyond 32 bits": not -(1 << 31) <= self.spikes[0] <= self.spikes[1] < 1 << 31,
        }
        if self.draws:
            object.__setattr__(self, "parameters", {"seed": Parameter("1", "of its random numbers", 0.0), **self.parameters})
        for problem, there in problems.items():
            if there:
                raise ValueError(f"neuron model '{self.name}' {problem}")

    # What is asked of every model: see `neurocomp.models.neuron.NeuronModel`.

    @property
    def fires(self) -> bool:
        """Whether it spikes at all."""
        return self.spikes != (0, 0)

    @property
    def signed(self) -> bool:
        """Whether spikes may be other than 0 and 1."""
        return self.spikes[0] < 0 or self.spikes[1] > 1

    @property
    def largest_spike(self) -> int:
        """The largest magnitude of a spike."""
        return max(abs(value) for value in self.spikes)

    @property
    def dynamics(self) -> str:
        """The integer update."""
        return "programmed"

    @property
    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """One word each."""
        return {axis: (word,) for axis, word in WORDS.items()}

    @property
    def recorded(self) -> Mapping[str, str]:
        """The registers that a trace shows."""
        return dict(zip(("v", "u"), (register.name for register in self.registers), strict=False))

    @property
    def integer_parameters(self) -> tuple[str, ...]:
        """The integer parameters of a population: those of every program, then its own."""
        return (*STANDARD[: 5 if self.draws else 3], *self.words)

    def decays(self, parameters: Mapping[str, Array], semantics: Semantics, dt: float) -> tuple[Array, Array]:
        """Return 0 and 0: what it remembers is its own."""
        return MEMORYLESS, MEMORYLESS

    def input_gain(self, parameters: Mapping[str, Array], semantics: Semantics, dt: float) -> Array:
        """Return 1."""
        return np.asarray(1.0)

    def start(self, parameters: Mapping[str, Array], shape: tuple[int, ...]) -> State:
        """Return the initial state, arrays of ``shape`` (samples, n)."""
        return {
            r.name: np.broadcast_to(np.asarray(0.0 if r.init is None else parameters[r.init], np.float64), shape).copy()
            for r in self.registers
        }

    def step(
        self, state: State, x: FloatArray, parameters: Mapping[str, Array], semantics: Semantics, dt: float, tick: int
    ) -> FloatArray:
        """Advance the state in place by one tick and return the spikes."""
        return np.asarray(self.real(state, x, parameters, dt), np.float64)
