"""The exported integers name every axis of a population and the maximum before a projection."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from neurocomp.artifact import Artifact
from neurocomp.frontends import to_integers
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import IntegerPopulation, IntegerProjection
from neurocomp.models.patterns import Pattern

USUAL = {
    "reset": "zero", "compare": ">", "refractory": 0, "reset_interval": None, "reset_offset": 0, "current": None,
    "start": 0, "compartments": 1,
}  # fmt: skip


def test_usual_populations_and_projections(tiny: Artifact) -> None:
    arrays = to_integers.from_mapped(tiny.mapped)
    meta = json.loads(str(arrays["meta"]))

    assert meta["schema"] == 2
    assert meta["populations"][1] == {"name": "hidden", "shape": [2, 2], "dynamics": "compartment", "lag": 1} | USUAL
    assert [q["pool"] for q in meta["projections"]] == [None, None]


def test_every_axis(tiny: Artifact) -> None:
    network = tiny.integers.network
    hidden = network.populations["hidden"]
    ternary = replace(
        hidden, dynamics="ternary", parameters={**hidden.parameters, "vth_low": frozen(np.int64(-7))}, reset="subtract",
        refractory=3, reset_interval=4, reset_offset=1, current="drive", compartments=2, start=5,
    )  # fmt: skip
    digits = replace(network.populations["digits"], compare=">=", reset="none")
    drive = IntegerPopulation("drive", (2, 2), "current", {})
    changed = replace(network, populations={**network.populations, "hidden": ternary, "digits": digits, "drive": drive})
    changed.verify("test")

    arrays = to_integers.from_quantized(replace(tiny.integers, network=changed))

    by_name = {p["name"]: p for p in json.loads(str(arrays["meta"]))["populations"]}
    axes = {
        "dynamics": "ternary", "reset": "subtract", "refractory": 3, "reset_interval": 4, "reset_offset": 1, "current": "drive",
        "start": 5, "compartments": 2,
    }  # fmt: skip
    assert by_name["hidden"] == {"name": "hidden", "shape": [2, 2], "lag": 0} | USUAL | axes
    assert by_name["digits"] == {"name": "digits", "shape": [2], "dynamics": "compartment", "lag": 0} | USUAL | {
        "compare": ">=",
        "reset": "none",
    }
    assert by_name["drive"] == {"name": "drive", "shape": [2, 2], "dynamics": "current", "lag": 0} | USUAL
    np.testing.assert_array_equal(arrays["population/hidden/vth_low"], [-7] * 4)
    assert [key for key in arrays if key.startswith("population/drive/")] == []


def test_a_convolution_behind_a_maximum_is_listed_from_what_the_maximum_makes(tiny: Artifact) -> None:
    network = tiny.integers.network
    pool = Pattern("maxpool1d", {}, {"kernel": (2,), "stride": (2,), "padding": (1,)})
    conv = Pattern(
        "conv1d", {}, {"kernel": (2,), "stride": (1,), "padding": (0,), "dilation": (1,), "groups": (1,)}
    )  # fmt: skip
    source = IntegerPopulation("pixels", (1, 3), "input", {})
    target = replace(network.populations["digits"], shape=(1, 1))
    mantissa = frozen(np.array([[[3, -4]]], np.int8))
    q = IntegerProjection("q", "pixels", "digits", conv, mantissa, 1, "mixed", 8, 2, frozen(np.int64(1)), pool=pool)
    changed = replace(network, populations={"pixels": source, "digits": target}, projections=(q,))
    changed.verify("test")

    arrays = to_integers.from_quantized(replace(tiny.integers, network=changed))

    (entry,) = json.loads(str(arrays["meta"]))["projections"]
    assert entry["pool"] == {"pattern": "maxpool1d", "kernel": [2], "stride": [2], "padding": [1], "shape": [1, 2]}
    listed = {key: arrays[f"projection/q/{key}"].tolist() for key in ("source", "target", "weight", "delay", "exponent")}
    assert listed == {"source": [0, 1], "target": [0, 0], "weight": [6, -8], "delay": [1, 1], "exponent": 2}
