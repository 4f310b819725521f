"""The integers of populations whose neuron model is a program: each word by the model's own rule, rounded to nearest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, EngineUnavailable
from neurocomp.ir.network import Population, frozen
from neurocomp.ir.quantized import IntegerPopulation, program_ranges
from neurocomp.models.neurons import program_of

Array = NDArray[Any]
FloatArray = NDArray[np.float64]


def programmed_population(
    p: Population, one: FloatArray, bias: Array, first_key: int, dt: float, warnings: list[str]
) -> tuple[IntegerPopulation, list[tuple[str, str, str]]]:
    """Return the integer population and what each of its numbers became.

    Args:
        p: The population.
        one: The integer of 1.0 of the potential, 0-d or (n,).
        bias: What is added to the input of each tick, in units of the potential.
        first_key: Keys the random numbers of its first neuron; that of the next one is larger by 1.
        dt: Of a tick, s.
        warnings: What lies outside the range of its integer, and is clipped, is added here.

    Raises:
        EngineUnavailable: The model's own rule leaves words out (NC0320).
    """
    assert p.neuron is not None
    model = program_of(p.neuron.model)
    assert model.integers is not None
    parameters: Mapping[str, Array] = {key: np.asarray(value, np.float64) for key, value in p.neuron.parameters.items()}
    real: dict[str, Array] = {"bias": np.asarray(bias * one)}
    for array, register in zip(("v_init", "u_init"), (*model.registers, None), strict=False):
        init = None if register is None else register.init
        real[array] = np.zeros(()) if init is None else np.asarray(parameters[init] * one)
    if model.draws:
        real |= {"seed": parameters["seed"], "key": first_key + np.arange(p.size)}
    real |= {word: np.asarray(value, np.float64) for word, value in model.integers(parameters, one, dt).items()}
    if missing := [word for word in model.words if word not in real]:
        message = f"the neuron model '{model.name}' has words that its 'integers' does not return: {', '.join(missing)}"
        raise EngineUnavailable(Diagnostic("NC0320", message, hint="'integers' returns a number for each of 'words'"))
    values: dict[str, Array] = {}
    rows: list[tuple[str, str, str]] = []
    for name, low, high in program_ranges(model.name):
        exact = np.rint(real[name])
        if (outside := (exact < low) | (exact > high)).any():
            worst = float(exact[outside].flat[0])
            warnings.append(f"'{p.name}': {name} is limited to {low}..{high}; it would be {worst:.6g}")
        values[name] = frozen(np.clip(exact, low, high), np.int64)
        if name in model.words or (name not in ("seed", "key") and exact.any()):
            rows.append((name, _span(real[name]), _span(values[name])))
    rows.insert(0, ("1.0 of the potential", "1", _span(one)))
    unit = IntegerPopulation(
        p.name, p.shape, "programmed", {name: values[name] for name in model.integer_parameters}, model.fires,
        has_current=len(model.registers) > 1, origin=p.origin, program=model.name,
    )  # fmt: skip
    return unit, rows


def _span(values: Array) -> str:
    low, high = np.min(values), np.max(values)
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"
