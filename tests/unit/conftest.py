"""A small compilation, made by hand, so that tests of files and texts need no compiler."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp.artifact import Artifact
from neurocomp.errors import Location
from neurocomp.hardware import HardwareSpec, read_spec
from neurocomp.ir.lowered import LoweredNetwork, Representative
from neurocomp.ir.mapped import Core, MappedNetwork, Placement, Route
from neurocomp.ir.network import Choice, Data, Decoder, Encoder, Network, Neuron, Population, Projection, Samples, frozen
from neurocomp.ir.program import CoreTables, InputSymbol, PopulationSymbol, Program
from neurocomp.ir.quantized import (
    COMPARTMENT,
    IntegerNetwork,
    IntegerPopulation,
    IntegerProjection,
    QuantizedNetwork,
    Scale,
    Verdict,
)
from neurocomp.models.patterns import Pattern

ROOT = Path(__file__).parents[2]
LOIHI = ROOT / "hwspecs" / "neurocomp_hwspecs" / "loihi.yaml"


@cache
def spec() -> HardwareSpec:
    """Return the shipped spec of Loihi."""
    return read_spec(LOIHI)


def origin(line: int) -> Location:
    """Return a place in a network file, with its text as frontends give it."""
    return Location("net.yaml", line, 3, "  some text of the user", 4)


def samples() -> Samples:
    """Return five samples of three bytes, and labels."""
    return Samples({"pixels": frozen(np.arange(15, dtype=np.uint8).reshape(5, 3))}, frozen(np.array([0, 1, 0, 1, 0])))


def network() -> Network:
    """Return three pixels, four hidden neurons and two digits."""
    lif = {
        "tau_mem": frozen(0.02),
        "r": frozen(1.0),
        "v_threshold": frozen([1, 1.5, 2, 0.1], np.float32),
        "v_init": frozen(0.0),
    }
    li = {"tau_mem": frozen(np.inf), "r": frozen(1.0), "v_init": frozen(0.0)}
    hidden = np.arange(-1.5, 1.5, 0.25, dtype=np.float32).reshape(4, 3)
    chain = Pattern("sparse", {"sources": frozen(np.array([0, 1, 3])), "targets": frozen(np.array([1, 0, 1]))})
    return Network(
        name="tiny",
        timestep=0.001,
        ticks=8,
        populations={
            "pixels": Population("pixels", (3,), None, origin(5)),
            "hidden": Population("hidden", (2, 2), Neuron("lif", lif), origin(6)),
            "digits": Population("digits", (2,), Neuron("li", li), origin(7)),
        },
        projections=(
            Projection("p0", "pixels", "hidden", Pattern("dense"), frozen(hidden), frozen(np.zeros(4)), origin=origin(9)),
            Projection("p1", "hidden", "digits", chain, frozen(np.array([0.5, -0.25, 1.0])), delay=frozen(np.array([0, 1, 2]))),
        ),
        encoders={"pixels": Encoder("bernoulli", {"gain": 0.5, "seed": 7, "mode": "plain"}, origin(11))},
        decoders={"digits": Decoder("potential", {}, origin(12))},
        data=Data(samples(), samples(), 1 / 255),
        choices=(Choice("hidden", "compare", ">", "default"),),
    )


def integers(lag: dict[str, int]) -> IntegerNetwork:
    """Return the integer network, its delays those after re-timing by ``lag``."""

    def compartments(**values: Any) -> dict[str, NDArray[Any]]:
        return {name: frozen(values.get(name, 0), np.int64) for name in COMPARTMENT}

    mantissa = np.arange(-60, 60, 10, dtype=np.int8).reshape(4, 3)
    return IntegerNetwork(
        name="tiny",
        timestep=0.001,
        ticks=8,
        number_format=spec().number_format,
        populations={
            "pixels": IntegerPopulation("pixels", (3,), "input", {}, origin=origin(5)),
            "hidden": IntegerPopulation("hidden", (2, 2), "compartment", compartments(dv=200, vth=[100, 150, 200, 10])),
            "digits": IntegerPopulation("digits", (2,), "compartment", compartments(dv=1), fires=False),
        },
        projections=(
            IntegerProjection(
                "p0", "pixels", "hidden", Pattern("dense"), frozen(mantissa), 1,
                "mixed", 8, 0, frozen(np.int64(lag["hidden"])),
            ),
            IntegerProjection(
                "p1", "hidden", "digits", network().projections[1].pattern, frozen(np.array([50, -25, 100], np.int8)), 1,
                "mixed", 8, 2, frozen(np.array([0, 1, 2]) + lag["digits"] - lag["hidden"]),
            ),
        ),
    )  # fmt: skip


def quantized() -> QuantizedNetwork:
    """Return the quantized network with a verdict for each register."""
    verdicts = tuple(
        Verdict(population, register, kind, bound, limit, ticks, count)  # type: ignore[arg-type]
        for population in ("hidden", "digits")
        for register, kind, bound, limit, ticks, count in (
            ("accumulator", "proved always", 766, 32768, None, 0),
            ("u", "proved for T ticks", 49024, 8388608, 8, 0),
            ("v", "observed", 12345, 8388606, None, 5),
        )
    )
    scale = Scale("hidden", 100.0, (("v_threshold", "0.1 .. 2.0", "10 .. 200"), ("tau_mem", "20 ms", "200 (19.97 ms)")))
    no_lag = dict.fromkeys(("pixels", "hidden", "digits"), 0)
    return QuantizedNetwork(integers(no_lag), {"hidden": scale}, verdicts, ("1 of 12 weights rounded to 0",))


def make_tiny() -> Artifact:
    """Return a whole compilation: hidden on core 0, digits on core 4, which is on another tile."""
    chip = spec()
    lag = {"pixels": 0, "hidden": 1, "digits": 2}
    lowered = LoweredNetwork(
        integers(lag),
        lag,
        {name: Representative(name, lag[name]) for name in lag},
        ("every hop takes one tick",),
    )
    axes = np.zeros(3, np.int64), np.arange(3)
    listeners = np.ones(3, np.int64), np.array([0, 1, 3])
    hidden, digits = (np.zeros(4, np.int64), np.arange(4)), (np.ones(2, np.int64), np.arange(2))
    mapped = MappedNetwork(
        lowered,
        (Core(0, 0, chip.mesh.tile(0), *axes, 9), Core(0, 4, chip.mesh.tile(4), *listeners, 3)),
        {"hidden": Placement(*hidden), "digits": Placement(*digits)},
        (Route(0, 1, 1, 0, 0),),
    )
    tables = {"synapses": frozen(np.arange(72, dtype=np.uint8)), "axons": frozen(np.zeros(0, np.uint8))}
    program = Program(
        backend="loihi",
        format="loihi-1",
        cores=(CoreTables(0, 0, tables), CoreTables(0, 4, {"synapses": frozen(np.ones(24, np.uint8))})),
        populations={
            "hidden": PopulationSymbol((2, 2), 1, *hidden),
            "digits": PopulationSymbol((2,), 2, *digits),
        },
        inputs={"pixels": InputSymbol((3,), np.arange(3), np.zeros(3, np.int64), np.arange(3))},
        ticks=8,
    )
    options = {"target": "loihi", "seed": 0, "backend": {"synapse_cost": "nxtf", "ratio": 1.5, "none": None}}
    return Artifact(
        network(), quantized(), lowered, mapped, program, chip, options, ("p0: 12 weights in 8 bits",), samples(), None, "0.1.0"
    )


@pytest.fixture
def tiny() -> Artifact:
    """See `make_tiny`."""
    return make_tiny()
