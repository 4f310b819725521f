"""The simulators learn what Lava's LearningDense learned (lava_learning/README.md), step by step; Lava is not needed here."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import registry
from neurocomp.hardware import LAVA_UNCHECKED
from neurocomp.ir.quantized import (
    IntegerFactor,
    IntegerLearning,
    IntegerNetwork,
    IntegerPopulation,
    IntegerProduct,
    IntegerProjection,
    IntegerTrace,
)
from neurocomp.models.patterns import Pattern

Array = NDArray[Any]


def network_of(vector: dict[str, Array]) -> IntegerNetwork:
    """Return the network of a file."""
    given = json.loads(str(vector["par__params"]))
    traces = {
        name: IntegerTrace(int(given[f"{name}_impulse"] * 256), math.exp(-1 / given[f"{name}_tau"]), given[f"{name}_tau"])
        for name in ("x1", "y1")
    }
    products = tuple(
        IntegerProduct(p["dep"], p["mant"], p["exp"], tuple(IntegerFactor(name, const or 0) for name, const in p["factors"]))
        for p in given["products"]
    )
    learning = IntegerLearning(traces, products, (), (), given["t_epoch"], given["rng_seed"], True)
    weights = vector["par__W"]
    neurons = {**given["lif"], "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0}
    populations = {
        "x": IntegerPopulation("x", (weights.shape[1],), "input", {}),
        "y": IntegerPopulation(
            "y", (weights.shape[0],), "compartment", {key: np.asarray(value, np.int64) for key, value in neurons.items()}
        ),
    }
    one = np.asarray(1, np.int64)
    q = IntegerProjection(
        "learned", "x", "y", Pattern("dense"), (weights >> 1).astype(np.int8), 1, "mixed", 8, 0, one, learning=learning
    )
    return IntegerNetwork("golden", 1e-3, vector["out__x"].shape[1], LAVA_UNCHECKED, populations, (q,))


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_weights_spikes_and_potentials_are_those_of_lava(engine: str) -> None:
    with np.load(Path(__file__).parent / "lava_learning" / "stdp_epoch1.npz", allow_pickle=False) as archive:
        vector = {key: archive[key] for key in archive.files}
    network, spikes = network_of(vector), vector["out__x"].T[None]
    assert np.ptp(vector["out__w"], axis=2).all(), "every weight moves"
    for ticks in (2, 9, 30, 60):
        trace = registry.simulator(engine).run(network, {"x": spikes[:, :ticks]})
        assert np.array_equal(trace.spikes["y"][0].T, vector["out__s"][:, :ticks])
        assert np.array_equal(trace.v["y"][0].T, vector["out__v"][:, :ticks])
        # Tick t of the target ends with Lava's learning of the step before.
        assert np.array_equal(trace.weights["learned"][0], vector["out__w"][:, :, ticks - 2])
