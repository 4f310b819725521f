"""The simulators reproduce the vectors that others made by running Lava 0.10."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import registry
from neurocomp.backend import IntegerSimulator
from neurocomp.hardware import LAVA_UNCHECKED
from neurocomp.ir.quantized import IntegerNetwork, SignMode
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import Pattern
from neurocomp.testing.golden import (
    canonical_weights,
    compartments,
    conv,
    driven,
    first_difference,
    input_population,
    integer_network,
    raw_synapses,
    sign_mode_of,
    synapses,
)

Array = NDArray[Any]
FOLDER = Path(__file__).parent / "lava_recorded"
READS_A = dataclasses.replace(LAVA_UNCHECKED, name="reads-a", state_shift=0, u_bits=32)
"""With this format and du = 4095 a compartment's u is its synaptic input of the tick, in a whole 32-bit word."""


def vectors(*patterns: str) -> list[str]:
    """Return the names of the vectors that match."""
    return sorted(path.stem for pattern in patterns for path in FOLDER.glob(pattern))


def load(name: str) -> dict[str, Array]:
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


@pytest.fixture(params=["reference", "fast"])
def simulator(request: pytest.FixtureRequest) -> IntegerSimulator:
    """Return each simulator of integer networks."""
    return registry.simulator(request.param)


def run(simulator: IntegerSimulator, network: IntegerNetwork, **stimulus: Array) -> Trace:
    """Run one sample; stimuli are (n, ticks), as Lava's are."""
    return simulator.run(network, {name: values.T[None].astype(np.int64) for name, values in stimulus.items()})


def assert_population(trace: Trace, name: str, **expected: Array) -> None:
    actual = {"s": trace.spikes[name][0], "u": trace.u[name][0], "v": trace.v[name][0]}
    difference = first_difference(actual, {register: values.T for register, values in expected.items()})
    assert difference is None, difference


@pytest.mark.parametrize("name", vectors("lif_*.npz", "lifreset_*.npz"))
def test_lif(name: str, simulator: IntegerSimulator) -> None:
    data = load(name)
    renamed = {"u": "u_init", "v": "v_init"}
    parameters = {renamed.get(k[5:], k[5:]): values for k, values in data.items() if k.startswith("par__")}
    interval, offset = None, 0
    if "reset_interval" in parameters:
        interval = int(parameters.pop("reset_interval"))
        offset = (int(parameters.pop("reset_offset")) - 1) % interval  # Lava counts steps from 1
    neurons = compartments("lif", len(data["out__a_in"]), parameters, reset_interval=interval, reset_offset=offset)
    trace = run(simulator, driven(neurons), a_in=data["out__a_in"])
    assert_population(trace, "lif", s=data["out__s_out"], u=data["out__u"], v=data["out__v"])


MODES: dict[str, SignMode] = {"mixed": "mixed", "exc": "excitatory", "inh": "inhibitory", "null": "excitatory"}


def connection_cases() -> list[tuple[str, str]]:
    """Return (vector, case) of every connection; a vector holds the weighted sums of several."""
    names = vectors("dense_*.npz", "sparse_*.npz", "delaydense.npz")
    if names == ["none"]:
        return [("none", "none")]
    return [(n, key[8:]) for n in names for key in load(n) if key.startswith("par__W__")]


@pytest.mark.parametrize(("name", "case"), connection_cases())
def test_connection(name: str, case: str, simulator: IntegerSimulator) -> None:
    data = load(name)
    match = re.fullmatch(r"c\d+_(?:mix|pos|neg)_(none|mixed|exc|inh|null)_nwb(\d)_we(-?\d+)", case)
    assert match is not None
    raw = data[f"par__W__{case}"]
    mode, bits, exponent = MODES.get(match[1]) or sign_mode_of(raw), int(match[2]), int(match[3])
    weights = canonical_weights(raw, mode, bits)
    if f"out__weff__{case}" in data:
        np.testing.assert_array_equal(weights, data[f"out__weff__{case}"])

    n_target, n_source = raw.shape
    delay = 1 + data.get("par__delays", np.int64(0))  # every connection of Lava takes a step
    pattern, values = Pattern("dense"), raw
    if name.startswith("sparse"):
        targets, sources = np.nonzero(raw)
        pattern, values = Pattern("sparse", {"sources": sources, "targets": targets}), raw[targets, sources]
    projection = synapses(
        "in", "sum", values, pattern=pattern, sign_mode=mode, weight_bits=bits, exponent=exponent, delay=delay,
        binary=int(data["par__num_message_bits"]) == 0,
    )  # fmt: skip
    reader = compartments("sum", n_target, {"du": 4095}, fires=False)
    network = integer_network([input_population("in", n_source), reader], [projection], form=READS_A)
    trace = run(simulator, network, **{"in": data["out__s_in"]})
    assert_population(trace, "sum", u=data[f"out__{case}"])


CONV_VECTORS = [("conv_binary", "c0"), ("conv_binary", "c1"), ("conv_binary", "c2"), ("conv_binary", "c3")]
CONV_VECTORS += [("conv_graded", "c0"), ("conv_graded", "c1")]
READS_24_BITS = dataclasses.replace(READS_A, name="reads-24-bits", u_bits=24, u_overflow="wrap")
"""As `READS_A`; Lava's Conv keeps its sums in 24 bits, which wrap."""


def pair(value: int | list[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def from_lava(image: Array) -> Array:
    """Return images (X, Y, C, ...) of Lava as (C, H, W, ...), taking its X for our W and its Y for our H."""
    return np.moveaxis(np.swapaxes(image, 0, 1), 2, 0)


@pytest.mark.parametrize(("name", "case"), CONV_VECTORS)
def test_conv(name: str, case: str, simulator: IntegerSimulator) -> None:
    """Lava's Conv flips its kernel, (out, X, Y, in / groups), and knows neither exponents nor widths of weights."""
    data = load(name)
    spec, raw = json.loads(str(data[f"par__spec__{case}"])), data[f"par__W__{case}"]
    flipped = raw[:, ::-1, ::-1]
    weights = flipped.transpose(0, 3, 2, 1)  # (out, in / groups, H, W)
    turned = {key: pair(spec[key])[::-1] for key in ("kernel", "stride", "padding", "dilation")}
    pattern = conv(
        turned["kernel"], stride=turned["stride"], padding=turned["padding"], dilation=turned["dilation"], groups=spec["groups"]
    )
    image, expected = from_lava(data["out__s_in"]), from_lava(data[f"out__{case}"])
    projection = raw_synapses("in", "sum", weights, pattern=pattern, delay=1, binary=int(data["par__num_message_bits"]) == 0)
    reader = compartments("sum", expected.shape[:3], {"du": 4095}, fires=False)
    network = integer_network([input_population("in", image.shape[:3]), reader], [projection], form=READS_24_BITS)
    trace = run(simulator, network, **{"in": image.reshape(-1, image.shape[3])})
    assert expected.any()
    assert_population(trace, "sum", u=expected.reshape(-1, expected.shape[3]))


def test_conv_vectors_are_all_there() -> None:
    found = [(name, key[8:]) for name in vectors("conv_*.npz") for key in load(name) if key.startswith("par__W__")]
    assert sorted(found) == CONV_VECTORS


def test_ternary(simulator: IntegerSimulator) -> None:
    data = load("ternarylif")
    renamed = {"vth_hi": "vth", "vth_lo": "vth_low"}
    parameters = {renamed.get(k[5:], k[5:]): values for k, values in data.items() if k.startswith("par__")}
    trace = run(simulator, driven(compartments("lif", len(data["out__a_in"]), parameters)), a_in=data["out__a_in"])
    assert set(np.unique(data["out__s_out"])) == {-1, 0, 1}
    assert_population(trace, "lif", s=data["out__s_out"], u=data["out__u"], v=data["out__v"])


def test_every_vector_is_reproduced_or_named() -> None:
    """Learning (stdp) and adaptive thresholds (atrlif) are no part of the integer semantics yet."""
    tested = vectors("lif_*.npz", "lifreset_*.npz", "dense_*.npz", "sparse_*.npz", "delaydense.npz", "conv_*.npz")
    tested += ["chain3", "recurrent", "ternarylif"]
    assert set(vectors("*.npz")) - set(tested) == {"atrlif_fixed", "stdp_epoch1"}
    for wanted in ("lif_init_state", "lif_bias", "lifreset_i4_o2"):
        assert wanted in tested


def test_chain(simulator: IntegerSimulator) -> None:
    data = load("chain3")
    spec = json.loads(str(data["par__params"]))
    populations = [input_population("x", data["par__W0"].shape[1])]
    projections = []
    for i, (neuron, exponent) in enumerate(zip(spec["P"], spec["weight_exp"], strict=True)):
        weights = data[f"par__W{i}"]
        populations.append(compartments(f"l{i}", len(weights), neuron))
        projections.append(synapses(populations[i].name, f"l{i}", weights, exponent=exponent, delay=1))
    trace = run(simulator, integer_network(populations, projections), x=data["out__x"])
    for i in range(3):
        assert data[f"out__s{i}"].any()
        assert_population(trace, f"l{i}", s=data[f"out__s{i}"], u=data[f"out__u{i}"], v=data[f"out__v{i}"])


def test_recurrence(simulator: IntegerSimulator) -> None:
    data = load("recurrent")
    neurons = compartments("lif", len(data["par__Wr"]), json.loads(str(data["par__params"])))
    projections = [synapses("x", "lif", data["par__Wi"], delay=1), synapses("lif", "lif", data["par__Wr"], delay=1)]
    trace = run(
        simulator, integer_network([input_population("x", data["par__Wi"].shape[1]), neurons], projections), x=data["out__x"]
    )
    assert_population(trace, "lif", s=data["out__s"], u=data["out__u"], v=data["out__v"])
