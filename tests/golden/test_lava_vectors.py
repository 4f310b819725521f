"""The simulators reproduce the project's own vectors (lava/README.md), which Lava 0.10 made; Lava is not needed here."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import registry
from neurocomp.backend import IntegerSimulator
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

Array = NDArray[Any]
VECTORS = sorted(path.stem for path in (Path(__file__).parent / "lava").glob("*.npz"))


def load(name: str) -> dict[str, Array]:
    with np.load(Path(__file__).parent / "lava" / f"{name}.npz", allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def shape_of(n: int | list[int]) -> tuple[int, ...]:
    """Return (n,), or the (channels, y, x) of Lava's (x, y, channels)."""
    return (n,) if isinstance(n, int) else tuple(reversed(n))


def rows(values: Array) -> Array:
    """Return (ticks, n) of Lava's (n, ticks) or (x, y, channels, ticks): in C order of `shape_of`, all axes are reversed."""
    return np.asarray(values.T.reshape(values.shape[-1], -1))


def population(name: str, description: dict[str, Any]) -> IntegerPopulation:
    options = dict(description)
    shape = shape_of(options.pop("n"))
    size = int(np.prod(shape))
    if options.pop("source", False):
        return dataclasses.replace(input_population(name, size), shape=shape)
    interval, offset = options.pop("reset_interval", None), options.pop("reset_offset", 0)
    if interval is not None:
        offset = (offset - 1) % interval  # Lava counts steps from 1
    low = options.pop("vth_lo", None)
    renamed = {"u": "u_init", "v": "v_init", "vth_hi": "vth"}
    parameters = {renamed.get(key, key): value for key, value in options.items()}
    made = compartments(name, size, parameters, reset_interval=interval, reset_offset=offset)
    if low is not None:
        made = dataclasses.replace(
            made, dynamics="ternary", parameters={**made.parameters, "vth_low": np.asarray(low, np.int64)}
        )
    return dataclasses.replace(made, shape=shape)


def projection(index: int, description: dict[str, Any], data: dict[str, Array], n_target: int) -> IntegerProjection:
    process, source, target = (description[key] for key in ("process", "from", "to"))
    if process == "none":
        return synapses(source, target, np.ones(n_target), name=str(index), pattern=Pattern("one_to_one"), binary=False)
    if process == "Conv":
        return convolution(index, description, data)
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


def convolution(index: int, description: dict[str, Any], data: dict[str, Array]) -> IntegerProjection:
    """Return Lava's Conv, which flips the kernel and takes its weights as they are, as a correlation over (y, x)."""
    weights = data[f"weights/{index}"][:, ::-1, ::-1].transpose(0, 3, 2, 1)
    pairs = {"padding": (0, 0), "stride": (1, 1), "dilation": (1, 1)}
    options = {key: tuple(reversed(description.get(key, default))) for key, default in pairs.items()}
    options |= {"kernel": weights.shape[2:], "groups": (description.get("groups", 1),)}
    mantissa = np.ascontiguousarray(weights, np.int16)
    return IntegerProjection(
        str(index), description["from"], description["to"], Pattern("conv2d", {}, options), mantissa, 0, "mixed", 8, 0,
        np.asarray(1), description.get("num_message_bits", 0) == 0,
    )  # fmt: skip


def network(data: dict[str, Array]) -> IntegerNetwork:
    spec = json.loads(str(data["spec"]))
    populations = [population(name, description) for name, description in spec["populations"].items()]
    sizes = {p.name: p.size for p in populations}
    projections = [projection(i, c, data, sizes[c["to"]]) for i, c in enumerate(spec["connections"])]
    return integer_network(populations, projections)


@pytest.fixture(params=["reference", "fast"])
def simulator(request: pytest.FixtureRequest) -> IntegerSimulator:
    """Return each simulator of integer networks."""
    return registry.simulator(request.param)


def run(simulator: IntegerSimulator, data: dict[str, Array], net: IntegerNetwork) -> Trace:
    return simulator.run(net, {key[3:]: rows(values)[None] for key, values in data.items() if key.startswith("in/")})


def differences(data: dict[str, Array], trace: Trace) -> list[str]:
    found = []
    for name in trace.u:
        actual = {"s": trace.spikes[name][0], "u": trace.u[name][0], "v": trace.v[name][0]}
        difference = first_difference(actual, {register: rows(data[f"{register}/{name}"]) for register in "suv"})
        found += [f"{name}: {difference}"] if difference else []
    return found


def test_every_vector_is_there() -> None:
    assert len(VECTORS) == 23
    for wanted in (
        "v_saturates",
        "u_folds",
        "a_overflows",
        "out_of_range",
        "delays",
        "recurrence",
        "lifreset_4_2",
        "conv",
        "ternary",
    ):
        assert wanted in VECTORS


@pytest.mark.parametrize("name", VECTORS)
def test_simulator_equals_lava(name: str, simulator: IntegerSimulator) -> None:
    data = load(name)
    assert differences(data, run(simulator, data, network(data))) == []


@pytest.mark.parametrize(
    ("name", "population", "registers"),
    [
        ("v_saturates", "n", {"accumulator", "v"}),
        ("u_folds", "n", {"accumulator", "u", "v"}),
        ("a_overflows", "n", {"accumulator", "u", "v"}),
        ("chain", "a", set()),
    ],
)
def test_overflows_become_events(name: str, population: str, registers: set[str], simulator: IntegerSimulator) -> None:
    data = load(name)
    events = run(simulator, data, network(data)).events
    assert {event.register for event in events if event.population == population} == registers


@pytest.mark.parametrize("name", ["chain", "recurrence", "lif_decays", "lif_bias"])
def test_another_decay_is_noticed(name: str, simulator: IntegerSimulator) -> None:
    data = load(name)
    right = network(data)
    changed = {
        key: p if p.is_input else dataclasses.replace(p, parameters={**p.parameters, "dv": p.parameters["dv"] + 1})
        for key, p in right.populations.items()
    }
    assert differences(data, run(simulator, data, dataclasses.replace(right, populations=changed))) != []


def tick_by_tick(data: dict[str, Array]) -> dict[str, Array]:
    """Compute spikes, u and v once more from a file alone, in Lava's own axes: LIF, LIFReset, TernaryLIF, Dense, Conv."""
    spec = json.loads(str(data["spec"]))
    ticks = next(values.shape[-1] for key, values in data.items() if key.startswith("in/"))
    found = {key: np.zeros_like(values, np.int64) for key, values in data.items() if key[:2] in ("s/", "u/", "v/")}
    found |= {f"s/{key[3:]}": values.astype(np.int64) for key, values in data.items() if key.startswith("in/")}
    neurons = {name: p for name, p in spec["populations"].items() if not p.get("source")}
    state = {
        name: [np.zeros(found[f"u/{name}"].shape[:-1], np.int64) + p.get(x, 0) for x in "uv"] for name, p in neurons.items()
    }
    for t in range(ticks):
        for name, p in neurons.items():
            u, v = state[name]
            a = np.zeros_like(u)
            for index, connection in enumerate(spec["connections"]):
                if connection["to"] == name:
                    a += arriving(connection, index, data, found[f"s/{connection['from']}"], t)
            if "reset_interval" in p and (t + 1) % p["reset_interval"] == p["reset_offset"] % p["reset_interval"]:
                u, v = u * 0, v * 0
            u = np.sign(u) * (np.abs(u) * (4095 - p["du"]) >> 12) + 64 * a
            bias = np.asarray(p.get("bias_mant", 0)) << p.get("bias_exp", 0)
            v = np.sign(v) * (np.abs(v) * (4096 - p["dv"]) >> 12) + u + bias
            s = (v > 64 * p.get("vth", p.get("vth_hi"))).astype(np.int64) - (v < 64 * p.get("vth_lo", -(1 << 20)))
            v = np.where(s != 0, 0, v)
            state[name] = [u, v]
            for register, values in zip("suv", (s, u, v), strict=True):
                found[f"{register}/{name}"][..., t] = values
    return found


def arriving(connection: dict[str, Any], index: int, data: dict[str, Array], spikes: Array, t: int) -> Array:
    """Return what a connection sends in tick t."""
    weights = data[f"weights/{index}"].astype(np.int64)
    sent = spikes if connection.get("num_message_bits") else (spikes != 0).astype(np.int64)
    before = [sent[..., t - d] if t >= d else np.zeros(sent.shape[:-1], np.int64) for d in range(1, 6)]
    if connection["process"] != "Conv":
        even = np.clip(weights, -256, 255) >> 1 << 1
        delays = data.get(f"delays/{index}", np.zeros(weights.shape, np.int64))
        return np.asarray(sum(np.where(delays == d, even, 0) @ before[d] for d in range(5)))
    (px, py), (sx, sy), (dx, dy) = (
        connection.get(k, one) for k, one in (("padding", [0, 0]), ("stride", [1, 1]), ("dilation", [1, 1]))
    )
    padded = np.pad(before[0], ((px, px), (py, py), (0, 0)))
    n_out, kx, ky, n_in = weights.shape
    nx, ny = (padded.shape[0] - dx * (kx - 1) - 1) // sx + 1, (padded.shape[1] - dy * (ky - 1) - 1) // sy + 1
    out = np.zeros((nx, ny, n_out), np.int64)
    for o, x, y in np.ndindex(n_out, kx, ky):
        first = o // (n_out // connection.get("groups", 1)) * n_in
        i, j = (kx - 1 - x) * dx, (ky - 1 - y) * dy
        window = padded[i : i + sx * nx : sx, j : j + sy * ny : sy, first : first + n_in][:nx, :ny]
        out[:, :, o] += window @ weights[o, x, y]
    return out


@pytest.mark.parametrize("name", ["conv", "ternary", "lifreset_layers"])
def test_files_say_all_that_lava_needed(name: str) -> None:
    data = load(name)
    for key, values in tick_by_tick(data).items():
        if key in data:
            np.testing.assert_array_equal(values, data[key], key)
