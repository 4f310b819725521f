"""The reference reproduces the project's own vectors (lava/README.md), which Lava 0.10 made; Lava is not needed here."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import Pattern
from neurocomp.testing.golden import (
    compartments,
    first_difference,
    input_population,
    integer_network,
    sign_mode_of,
    synapses,
)
from neurocomp_reference import ReferenceSimulator

Array = NDArray[Any]
VECTORS = sorted(path.stem for path in (Path(__file__).parent / "lava").glob("*.npz"))


def load(name: str) -> dict[str, Array]:
    with np.load(Path(__file__).parent / "lava" / f"{name}.npz", allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def population(name: str, description: dict[str, Any]) -> IntegerPopulation:
    options = dict(description)
    n = options.pop("n")
    if options.pop("source", False):
        return input_population(name, n)
    interval, offset = options.pop("reset_interval", None), options.pop("reset_offset", 0)
    if interval is not None:
        offset = (offset - 1) % interval  # Lava counts steps from 1
    renamed = {"u": "u_init", "v": "v_init"}
    parameters = {renamed.get(key, key): value for key, value in options.items()}
    return compartments(name, n, parameters, reset_interval=interval, reset_offset=offset)


def projection(index: int, description: dict[str, Any], data: dict[str, Array], n_target: int) -> IntegerProjection:
    process, source, target = (description[key] for key in ("process", "from", "to"))
    if process == "none":
        return synapses(source, target, np.ones(n_target), name=str(index), pattern=Pattern("one_to_one"), binary=False)
    weights, delay = data[f"weights/{index}"], 1 + data.get(f"delays/{index}", np.zeros((), np.int64)).astype(np.int64)
    mode = {None: sign_mode_of(weights), "NULL": "excitatory"}.get(description.get("sign_mode"))
    pattern = None
    if "Sparse" in process:
        targets, sources = np.nonzero(weights)
        pattern, weights = Pattern("sparse", {"sources": sources, "targets": targets}), weights[targets, sources]
        delay = delay[targets, sources] if delay.ndim else delay
    return synapses(
        source,
        target,
        weights,
        name=str(index),
        pattern=pattern,
        sign_mode=mode or description["sign_mode"].lower(),
        weight_bits=description.get("num_weight_bits", 8),
        exponent=description.get("weight_exp", 0),
        delay=delay,
        binary=description.get("num_message_bits", 0) == 0,
    )


def network(data: dict[str, Array]) -> IntegerNetwork:
    spec = json.loads(str(data["spec"]))
    populations = [population(name, description) for name, description in spec["populations"].items()]
    sizes = {p.name: p.size for p in populations}
    projections = [projection(i, c, data, sizes[c["to"]]) for i, c in enumerate(spec["connections"])]
    return integer_network(populations, projections)


def run(data: dict[str, Array], net: IntegerNetwork) -> Trace:
    return ReferenceSimulator().run(net, {key[3:]: values.T[None] for key, values in data.items() if key.startswith("in/")})


def differences(data: dict[str, Array], trace: Trace) -> list[str]:
    found = []
    for name in trace.u:
        actual = {"s": trace.spikes[name][0], "u": trace.u[name][0], "v": trace.v[name][0]}
        difference = first_difference(actual, {register: data[f"{register}/{name}"].T for register in "suv"})
        found += [f"{name}: {difference}"] if difference else []
    return found


def test_every_vector_is_there() -> None:
    assert len(VECTORS) == 20
    for wanted in ("v_saturates", "u_folds", "a_overflows", "out_of_range", "delays", "recurrence", "lifreset_4_2"):
        assert wanted in VECTORS


@pytest.mark.parametrize("name", VECTORS)
def test_reference_equals_lava(name: str) -> None:
    data = load(name)
    assert differences(data, run(data, network(data))) == []


@pytest.mark.parametrize(
    ("name", "population", "registers"),
    [
        ("v_saturates", "n", {"accumulator", "v"}),
        ("u_folds", "n", {"accumulator", "u", "v"}),
        ("a_overflows", "n", {"accumulator", "u", "v"}),
        ("chain", "a", set()),
    ],
)
def test_overflows_become_events(name: str, population: str, registers: set[str]) -> None:
    data = load(name)
    events = run(data, network(data)).events
    assert {event.register for event in events if event.population == population} == registers


@pytest.mark.parametrize("name", ["chain", "recurrence", "lif_decays", "lif_bias"])
def test_another_decay_is_noticed(name: str) -> None:
    data = load(name)
    right = network(data)
    changed = {
        key: p if p.is_input else dataclasses.replace(p, parameters={**p.parameters, "dv": p.parameters["dv"] + 1})
        for key, p in right.populations.items()
    }
    assert differences(data, run(data, dataclasses.replace(right, populations=changed))) != []
