"""What a neuron model is: its parameters, the axes of its semantics, and what the compiler asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Semantics:
    """The axes on which simulators disagree; every one is explicit.

    With ``decay = exp(-dt/tau)`` (``integration: exact``) or ``1 - dt/tau`` (``euler``), ``x`` the weighted spikes plus bias of
    the tick, one tick of a population is, in this order: decay the state and add the input; refractory neurons keep their reset
    potential; compare with the threshold; reset; clip to ``v_floor``.
    """

    integration: Literal["exact", "euler"] = "exact"
    input: Literal["delta", "current"] = "delta"
    """``delta`` adds x to the state as it is; ``current`` integrates it as the membrane equation does: times (1 - decay)."""
    threshold_on: Literal["new", "old"] = "new"
    """Compare the potential after (``new``) or before (``old``) this tick's update with the threshold."""
    compare: Literal[">", ">="] = ">"
    spikes_per_tick: Literal["one", "many"] = "one"
    reset: Literal["zero", "subtract", "value", "none"] = "zero"
    reset_when: Literal["same_tick", "next_tick", "next_update"] = "same_tick"
    """Reset in the tick of the spike, in the next one before its update, or there between its update and the comparison."""
    reset_value: float = 0.0
    """The potential after a spike where ``reset`` is ``value``."""
    refractory: int = 0
    """Ticks of silence after a spike, counted from the next tick; v keeps its value after the reset, the current goes on."""
    v_floor: float | None = None
    reset_interval: int | None = None
    """State is cleared before the update of every tick t (0-based) with t % interval == offset; None: only at the start."""
    reset_offset: int = 0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a neuron model; ``unit`` is ``s`` for times, ``1`` for the dimensionless units of v."""

    unit: Literal["s", "1"]
    doc: str
    default: float | None = None
    positive: bool = False
    negative: bool = False


State = dict[str, FloatArray]


class NeuronModel(Protocol):
    """What the compiler asks of a neuron model. Members live in `NEURON_MODELS`."""

    @property
    def name(self) -> str:
        """The registered name."""
        ...

    @property
    def doc(self) -> str:
        """One line on what it is."""
        ...

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Its parameters by name."""
        ...

    @property
    def has_current(self) -> bool:
        """Whether the model has a synaptic current u besides the potential v."""
        ...

    @property
    def fires(self) -> bool:
        """Whether it spikes at all."""
        ...

    @property
    def threshold(self) -> str | None:
        """The parameter whose integer decides how fine the potential is; None: there is none."""
        ...

    @property
    def recorded(self) -> Mapping[str, str]:
        """Array of a trace (``v``, ``u``) -> the state that it holds."""
        ...

    @property
    def largest_spike(self) -> int:
        """The largest magnitude of a spike."""
        ...

    @property
    def signed(self) -> bool:
        """Whether spikes may be other than 0 and 1: their value multiplies the weights."""
        ...

    @property
    def draws(self) -> bool:
        """Whether it draws a random number per neuron and tick: the state ``random`` then holds words of 32 bits."""
        ...

    @property
    def dynamics(self) -> str:
        """The integer update that it becomes, a key of `neurocomp.ir.quantized.DYNAMICS`."""
        ...

    @property
    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """The only words that a semantic axis may have with it; axes that are not named are free."""
        ...

    def decays(self, parameters: Mapping[str, Array], semantics: Semantics, dt: float) -> tuple[Array, Array]:
        """Return the factors per tick of the current (0: no memory) and of the potential."""
        ...

    def input_gain(self, parameters: Mapping[str, Array], semantics: Semantics, dt: float) -> Array:
        """Return the factor on weighted spikes and bias before they enter the state."""
        ...

    def start(self, parameters: Mapping[str, Array], shape: tuple[int, ...]) -> State:
        """Return the initial state, arrays of ``shape`` (samples, n)."""
        ...

    def step(
        self, state: State, x: FloatArray, parameters: Mapping[str, Array], semantics: Semantics, dt: float, tick: int
    ) -> FloatArray:
        """Advance ``state`` in place by one tick with input ``x`` (samples, n) and return the spikes per neuron."""
        ...
