"""NeuroBench's metrics: ours equal those of its own harness on the same network of snnTorch.

The torch network has our integer weights as they act, and integrate-and-fire neurons, whose sums are exact in float32. Both
simulate it themselves, and their spikes are compared first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp_hwspecs
from benchmarks import peers
from neurocomp.energy.neurobench import neurobench_of
from neurocomp.energy.workload import Worked
from neurocomp.hardware import read_spec
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.models.patterns import Pattern
from neurocomp_reference import ReferenceSimulator

pytestmark = pytest.mark.interop

SPEC = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml")
RNG = np.random.default_rng(11)


def neurons(name: str, shape: tuple[int, ...], threshold: int) -> IntegerPopulation:
    """Integrate-and-fire: no current that outlives its tick, no leak, reset to zero."""
    values = {"du": 4095, "dv": 0, "vth": threshold, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0}
    return IntegerPopulation(name, shape, "compartment", {key: np.array(value) for key, value in values.items()})


def inputs(shape: tuple[int, ...]) -> IntegerPopulation:
    return IntegerPopulation("x", shape, "input", {})


def weights(*shape: int) -> NDArray[np.int8]:
    """A third of them 0."""
    return np.where(RNG.random(shape) < 1 / 3, 0, RNG.integers(-6, 12, shape)).astype(np.int8)


def dense(a: IntegerPopulation, b: IntegerPopulation, delay: int = 0, binary: bool = True) -> IntegerProjection:
    mantissa = weights(b.size, a.size)
    return IntegerProjection(
        f"{a.name}->{b.name}", a.name, b.name, Pattern("dense"), mantissa, 1, "mixed", 8, 0, np.array(delay), binary
    )


def conv(a: IntegerPopulation, b: IntegerPopulation, groups: int = 1, **options: tuple[int, int]) -> IntegerProjection:
    chosen = {"kernel": (3, 3), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": (groups,)} | options
    mantissa = weights(b.shape[0], a.shape[0] // groups, *chosen["kernel"])
    return IntegerProjection(
        f"{a.name}->{b.name}", a.name, b.name, Pattern("conv2d", {}, chosen), mantissa, 1, "mixed", 8, 0, np.array(0)
    )


def binary(*shape: int) -> NDArray[np.int8]:
    return (RNG.random(shape) < 0.3).astype(np.int8)


def network(*parts: IntegerPopulation | IntegerProjection) -> IntegerNetwork:
    populations = {p.name: p for p in parts if isinstance(p, IntegerPopulation)}
    projections = tuple(q for q in parts if isinstance(q, IntegerProjection))
    return IntegerNetwork("n", 1e-3, 9, SPEC.number_format, populations, projections)


def case(name: str) -> tuple[IntegerNetwork, NDArray[np.int8], int]:
    """A network, its input (samples, ticks, n), and the samples of a call."""
    if name == "dense":
        x, a, b = inputs((20,)), neurons("a", (15,), 60), neurons("b", (4,), 30)
        return network(x, a, b, dense(x, a), dense(a, b)), binary(6, 9, 20), 4
    if name == "conv":
        x, a, b = inputs((2, 7, 6)), neurons("a", (4, 7, 6), 25), neurons("b", (4, 3, 3), 40)
        c, strided = neurons("c", (5,), 20), conv(a, b, 2, stride=(2, 2), padding=(1, 1), dilation=(2, 1))
        return network(x, a, b, c, conv(x, a, padding=(1, 1)), strided, dense(b, c)), binary(5, 9, 84), 2
    if name == "recurrent":
        x, a, b = inputs((12,)), neurons("a", (10,), 50), neurons("b", (3,), 30)
        return network(x, a, b, dense(x, a), dense(a, a, delay=1), dense(b, a, delay=1), dense(a, b)), binary(4, 9, 12), 3
    x, a, b = inputs((10,)), neurons("a", (8,), 60), neurons("b", (3,), 20)
    stimulus = RNG.integers(-1, 2, (5, 9, 10)) * RNG.choice([0, 1, 1, 3], (5, 9, 1))
    return network(x, a, b, dense(x, a, binary=False), dense(a, b)), stimulus.astype(np.int8), 1


def described(net: IntegerNetwork) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """Return populations and arrays as the peer's script takes them."""
    order = [name for name, p in net.populations.items()]
    arrays: dict[str, NDArray[Any]] = {}
    populations = []
    for name in order[1:]:
        synapses = []
        for q in net.projections_to(name):
            arrays[q.name] = q.weights
            entry: dict[str, Any] = {"kind": "linear", "source": order.index(q.source), "weights": q.name}
            if q.pattern.kind == "conv2d":
                options = q.pattern.options
                entry |= {"kind": "conv2d", **{key: options[key] for key in ("stride", "padding", "dilation")}}
                entry["groups"] = options["groups"][0]
            synapses.append(entry)
        populations.append({"threshold": int(net.populations[name].parameters["vth"]), "synapses": synapses})
    return populations, arrays


@pytest.mark.parametrize("name", ["dense", "conv", "recurrent", "graded"])
def test_equal_to_its_own_harness(name: str, tmp_path: Path) -> None:
    net, stimulus, batch = case(name)
    spikes = ReferenceSimulator().run(net, {"x": stimulus}).spikes
    ours = neurobench_of(net, Worked(net).of({**spikes, "x": stimulus})).as_json()
    populations, arrays = described(net)
    stored: dict[str, NDArray[Any]] = {f"stored_{i}": q.mantissa for i, q in enumerate(net.projections)}
    for p in net.populations.values():
        stored |= {f"stored_{p.name}_{key}": np.asarray(value, np.int32) for key, value in p.parameters.items()}
    shaped = stimulus.reshape(*stimulus.shape[:2], *net.populations["x"].shape)
    file = tmp_path / "network.npz"
    arrays |= {"populations": np.array(json.dumps(populations)), "input": shaped, "batch": np.array(batch)}
    np.savez(file, **arrays, **stored)  # type: ignore[arg-type]
    try:
        theirs = peers.call("neurobench", "neurobench", (str(file),))
    except peers.Unavailable as reason:
        pytest.fail(f"no NeuroBench here: {reason}")
    assert theirs.pop("spikes") == [int(np.count_nonzero(spikes[p])) for p in list(net.populations)[1:]]
    assert min(np.count_nonzero(spikes[p]) for p in list(net.populations)[1:]) > 0
    assert (ours["Effective_MACs"] > 0) == (name == "graded")
    assert ours["Effective_ACs"] > 0
    # NeuroBench averages the sparsity over calls, in another order.
    assert theirs.pop("activation_sparsity") == pytest.approx(ours.pop("activation_sparsity"), rel=1e-12)
    assert theirs == ours
