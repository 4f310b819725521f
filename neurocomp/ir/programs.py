"""The programs of neurons as simulations execute them: found by the model's name, which networks and target programs hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neurocomp.models.neurons import program_of

NAME_BYTES = 32
"""Longest name that a target program can hold."""


@dataclass(frozen=True, slots=True)
class NeuronProgram:
    """One scalar step on integers.

    In a tick of a neuron: ``x``, the sum of its input shifted to the unit of the state, plus bias and current, saturates at the
    width of the first register; the step makes spike and registers of it; each register saturates or wraps at its own width.
    """

    name: str
    step: Callable[..., tuple[int, tuple[int, ...]]]
    """``step(x, registers, words)``, and a fourth argument of 32 random bits where it draws."""
    low: tuple[int, ...]
    """The smallest number of each register, of v first."""
    high: tuple[int, ...]
    wraps: tuple[bool, ...]
    words: tuple[str, ...]
    """Names of its own parameters, in order."""
    draws: bool
    signed: bool
    """Whether spikes may be other than 0 and 1."""
    largest_spike: int


def neuron_program(name: str) -> NeuronProgram:
    """Return the program of a registered neuron model.

    Raises:
        NetworkError: There is none of that name (NC0208).
    """
    model = program_of(name)
    assert model.program is not None
    registers = model.registers
    return NeuronProgram(
        name, model.program, tuple(r.low for r in registers), tuple(r.high for r in registers),
        tuple(r.overflow == "wrap" for r in registers), tuple(model.words), model.draws, model.signed, model.largest_spike,
    )  # fmt: skip
