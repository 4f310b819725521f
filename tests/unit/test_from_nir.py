"""NIR files become networks that do what their frameworks do."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp import api
from neurocomp.cli import check, command
from neurocomp.errors import InternalError, NetworkError, UsageError
from neurocomp.frontends import nir_probe, nir_rules
from neurocomp.frontends.from_nir import load
from neurocomp.frontends.nir_rules import RULES, Cell
from neurocomp.frontends.reading import COMPARISONS, FRAMEWORKS, INTEGRATIONS, RESETS, TIMES_OF_RESET, Reading, seconds
from neurocomp.ir.network import Network
from neurocomp.ir.text import network_text, quantized_text
from neurocomp.simulation import simulate
from neurocomp.testing.nir_files import (
    affine,
    chain,
    conv2d,
    cuba,
    integrator,
    lif,
    linear,
    nested,
    pool,
    sink,
    source,
    spikes,
    write,
)  # fmt: skip

Array = NDArray[Any]

SHARED = Path(__file__).parents[3] / "shared"
MODELS, DATA = SHARED / "models" / "nir", SHARED / "data"
RECORDED = Path(__file__).parents[1] / "golden" / "nir"
trained = pytest.mark.skipif(not MODELS.is_dir(), reason=f"too large to ship, and not beside the repository: {MODELS}")


def choice(network: Network, axis: str, subject: str | None = None) -> tuple[str, str]:
    """Return (value, origin) of the one choice of an axis."""
    found = {(c.value, c.origin) for c in network.choices if c.axis == axis and subject in (None, c.subject)}
    assert len(found) == 1, (axis, found)
    return found.pop()


def fed(network: Network, x: Array) -> Any:
    """Return the trace of a network with one input."""
    return simulate(network, {network.inputs[0].name: x})


# --- networks that others trained, and what they must give


def test_norse_spikes_where_norse_did() -> None:
    """A LIF of Norse, 1000 steps of 0.1 ms: the same spikes, the same potentials to the accuracy of float32."""
    network = load(RECORDED / "lif_norse.nir", Reading(dt=1e-4))
    rows = np.loadtxt(RECORDED / "lif_norse.expected.csv", delimiter=",")
    trace = fed(network, rows[None, :, :1].astype(np.int8))
    assert np.flatnonzero(trace.spikes["n1"][0, :, 0]).tolist() == np.flatnonzero(rows[:, 2]).tolist() == [460, 510, 710, 760]
    silent = rows[:, 2] == 0
    assert np.abs(trace.v["n1"][0, silent, 0] - rows[silent, 1]).max() < 1e-6
    assert choice(network, "timestep") == ("0.0001 s", "given")


def test_braille_is_that_of_snntorch() -> None:
    """The recurrent layer spikes as snnTorch recorded it, and the answer is right."""
    network = load(RECORDED / "braille_noDelay_bias_zero.nir", Reading(trained_in="snntorch", reset="zero"))
    sample = np.load(RECORDED / "braille_test_sample0.npz")
    recorded = np.load(RECORDED / "braille_noDelay_bias_zero.snntorch_layer1.npy")
    trace = fed(network, sample["x"][None].astype(np.int8))
    assert recorded.shape == (256, 38)
    assert recorded.sum() == 119
    assert int((trace.spikes["lif1.lif"][0] != recorded).sum()) == 0
    assert trace.spikes["lif2"][0].sum(axis=0).argmax() == sample["y"] == 1
    assert choice(network, "timestep") == ("0.0001 s", "inferred from r = tau/dt")
    assert choice(network, "reset") == ("zero", "given")
    assert choice(network, "delay", "lif1.lif->lif1.lif")[0] == "1 tick"


def test_braille_is_accurate() -> None:
    """600 recorded touches: 95 % and more in real numbers; on Loihi's integers, bit-exact in all engines, 95.5 %."""
    said = {"trained_in": "snntorch", "reset": "zero", "ticks": 256}
    network = neurocomp.load(RECORDED / "braille_noDelay_bias_zero.nir", **said)
    assert isinstance(network, Network)
    data = np.load(DATA / "braille_600.npz")
    trace = simulate(network, {"input": data["x"].astype(np.int8)}, record=["lif2"], state=False)
    assert (trace.spikes["lif2"].sum(axis=1).argmax(axis=1) == data["y"]).mean() >= 0.95
    compiled = neurocomp.compile(network, "loihi")
    fixed = compiled.run("fast", {"input": data["x"].astype(np.int8)}).arrays["spikes/lif2"]
    assert (fixed.sum(axis=1).argmax(axis=1) == data["y"]).mean() >= 0.955
    assert compiled.verify(["reference", "chip"], inputs={"input": data["x"][:2].astype(np.int8)}).bit_exact


@trained
def test_ours_counts_the_same_spikes() -> None:
    """784-128-10 LIF: 1000 test samples of 16 steps give the counts that snnTorch gave, in both layers."""
    network = load(MODELS / "ours_mlp.nir")
    test = np.load(MODELS / "ours_mlp_test.npz")
    x = np.unpackbits(test["spikes_packed"], axis=-1)[..., :784].transpose(1, 0, 2).astype(np.int8)
    trace = simulate(network, {"input": x}, state=False)
    assert (trace.spikes["lif2"].sum(axis=1) != test["out_counts"]).sum() == 0
    assert (trace.spikes["lif1"].sum(axis=1) != test["hidden0_counts"]).sum() == 0
    assert choice(network, "timestep") == ("0.0001 s", "metadata")
    assert choice(network, "reset") == ("zero", "metadata")


def sinabs_layers(path: Path, x: Array, *, floor: bool) -> Array:
    """Return spikes (ticks, 10) of the convolutional net by sinabs' rule, from the file alone.

    Per tick and layer: v += input; floor(v) spikes where v reaches 1; v -= spikes; v is at least -1.
    """

    def convolved(image: Array, weight: Array, stride: int) -> Array:
        k = weight.shape[2]
        padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
        view = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(1, 2))[:, ::stride, ::stride]
        return np.asarray(np.einsum("chwij,ocij->ohw", view, weight))

    def pooled(image: Array) -> Array:
        c, h, w = image.shape
        return np.asarray(image.reshape(c, h // 2, 2, w // 2, 2).sum(axis=(2, 4)))

    with h5py.File(path) as file:
        w = {name: file[f"node/nodes/{name}/weight"][()].astype(np.float64) for name in ("0", "2", "5", "9", "11")}
    state: dict[str, Array] = {}

    def fire(name: str, current: Array) -> Array:
        v = state.get(name, np.zeros_like(current)) + current
        count = np.where(v >= 1.0, np.floor(v), 0.0)
        state[name] = np.maximum(v - count, -1.0) if floor else v - count
        return count

    rows = []
    for image in x:
        a = fire("1", convolved(image.reshape(2, 34, 34).astype(np.float64), w["0"], 2))
        b = fire("3", convolved(a, w["2"], 1))
        c = fire("6", convolved(pooled(b), w["5"], 1))
        d = fire("10", w["9"] @ pooled(c).reshape(-1))
        rows.append(fire("12", w["11"] @ d))
    return np.array(rows)


@trained
def test_sinabs_sends_many_spikes() -> None:
    """The convolutional net by sinabs' rule equals a simulation that shares nothing with ours."""
    network = load(MODELS / "cnn_sinabs.nir", Reading(trained_in="sinabs"))
    x = spikes(1, 12, 2312, 0.15)
    trace = fed(network, x)
    expected = sinabs_layers(MODELS / "cnn_sinabs.nir", x[0], floor=True)
    assert expected.max() > 1  # several spikes in a tick
    assert trace.spikes["n12"][0].tolist() == expected.tolist()
    assert {n.semantics.v_floor for p in network.populations.values() if (n := p.neuron)} == {-1.0}


@trained
def test_the_convolutional_net_fits_loihi() -> None:
    """By its equation, with reset to zero, it compiles for Loihi, and all simulations agree."""
    compiled = neurocomp.compile(MODELS / "cnn_sinabs.nir", "loihi", reading={"ticks": 10}, effort="fast")
    assert compiled.verify(["reference", "chip"], inputs={"input": spikes(1, 10, 2312, 0.1)}).bit_exact


# --- rules of frameworks, each against its own few lines

Step = Callable[[float, dict[str, float]], int]


def leaky(dt: float, tau: float, r: float, compare: str, v_leak: float = 0.0, reset: float | None = 0.0) -> Step:
    """Return forward Euler of LIF."""

    def step(x: float, s: dict[str, float]) -> int:
        s["v"] += dt / tau * ((v_leak - s["v"]) + r * x)
        fired = s["v"] >= 1.0 if compare == ">=" else s["v"] > 1.0
        if fired:
            s["v"] = s["v"] - 1.0 if reset is None else reset
        return int(fired)

    return step


def sinabs_lif(x: float, s: dict[str, float]) -> int:
    """Decay by exp(-1/tau) with tau in ticks, add, send floor(v), subtract."""
    s["v"] = math.exp(-1 / 10) * s["v"] + x
    count = math.floor(s["v"]) if s["v"] >= 1 else 0
    s["v"] -= count
    return count


def sinabs_iaf(x: float, s: dict[str, float]) -> int:
    """Add, send floor(v), subtract, hold at -1."""
    s["v"] += x
    count = math.floor(s["v"]) if s["v"] >= 1 else 0
    s["v"] = max(s["v"] - count, -1.0)
    return count


def spyx_lif(x: float, s: dict[str, float]) -> int:
    """Compare the old potential, then decay, add and subtract."""
    fired = int(s["v"] > 1.0)
    s["v"] = 0.9 * s["v"] + x - fired
    return fired


def rockpool_lif(x: float, s: dict[str, float]) -> int:
    """Add to the current, decay both, add the current to the potential, subtract per spike."""
    s["i"] = (s.get("i", 0.0) + x) * math.exp(-1e-3 / 5e-3)
    s["v"] = s["v"] * math.exp(-1e-3 / 1e-2) + s["i"]
    count = math.floor(s["v"]) if s["v"] > 1 else 0
    s["v"] -= count
    return count


def snntorch_synaptic(x: float, s: dict[str, float]) -> int:
    """I = alpha I + x; v = beta v + I; reset to zero."""
    s["i"] = 0.8 * s.get("i", 0.0) + x
    s["v"] = 0.9 * s["v"] + s["i"]
    fired = int(s["v"] > 1.0)
    s["v"] = 0.0 if fired else s["v"]
    return fired


def sinabs_with_current(x: float, s: dict[str, float]) -> int:
    """Add to the current, decay it, add it to the decayed potential, send floor(v), subtract."""
    s["i"] = (s.get("i", 0.0) + x) * math.exp(-1 / 5)
    s["v"] = math.exp(-1 / 10) * s["v"] + s["i"]
    count = math.floor(s["v"]) if s["v"] >= 1 else 0
    s["v"] -= count
    return count


def snntorch_leaky(x: float, s: dict[str, float]) -> int:
    """Decay, add, take the threshold off where the last tick spiked, compare: reset_delay=True."""
    s["v"] = 0.9 * s["v"] + x - s.get("fired", 0.0)
    s["fired"] = float(s["v"] > 1.0)
    return int(s["fired"])


def norse_lif(x: float, s: dict[str, float]) -> int:
    """Add to the current, move the potential toward v_leak and the current, decay the current; v is counted from v_leak."""
    potential, i = s.get("potential", 0.25), s.get("i", 0.0) + x
    potential += 0.1 * ((0.25 - potential) + i)
    s["i"] = i - 0.2 * i
    fired = potential > 1.0
    s["potential"] = 0.0 if fired else potential
    s["v"] = s["potential"] - 0.25
    return int(fired)


def spikingjelly_lif(x: float, s: dict[str, float]) -> int:
    """Leak toward v_reset, where the potential also starts."""
    v = s["v"] if "run" in s else -0.5
    s["run"] = 1.0
    v += 0.1 * (-0.5 - v) + x
    s["v"] = -0.5 if v >= 1.0 else v
    return int(v >= 1.0)


def rate_of(tau: float, dt: float) -> float:
    """Return r as Rockpool exports it."""
    return tau * math.exp(-dt / tau) / dt


CASES: Mapping[str, tuple[dict[str, Any], Reading, Step, float]] = {
    "snntorch LIF": (lif(1), Reading(trained_in="snntorch"), leaky(1e-4, 1e-3, 10.0, ">"), 1e-4),
    "snntorch subtract": (
        lif(1), Reading(trained_in="snntorch", reset="subtract"), leaky(1e-4, 1e-3, 10.0, ">", reset=None), 1e-4,
    ),
    "snntorch CubaLIF": (cuba(1), Reading(trained_in="snntorch"), snntorch_synaptic, 1e-4),
    "norse": (
        lif(1, r=np.ones(1), tau=np.full(1, 0.01)), Reading(trained_in="norse"), leaky(1e-3, 1e-2, 1.0, ">"), 1e-3,
    ),
    "the equation, r of its own": (
        lif(1, r=np.full(1, 4.0), v_leak=np.full(1, 0.3), v_reset=np.full(1, -0.2)), Reading(dt=2e-4),
        leaky(2e-4, 1e-3, 4.0, ">", 0.3, -0.2), 2e-4,
    ),
    "sinabs": (lif(1, tau=np.full(1, 10.0), r=np.ones(1)), Reading(trained_in="sinabs"), sinabs_lif, 1e-3),
    "sinabs IF": (integrator(1), Reading(trained_in="sinabs"), sinabs_iaf, 1e-3),
    "sinabs CubaLIF": (
        cuba(1, tau_mem=np.full(1, 10.0), tau_syn=np.full(1, 5.0)), Reading(trained_in="sinabs"), sinabs_with_current, 1e-3,
    ),
    "snntorch subtract, in the next tick": (
        lif(1), Reading(trained_in="snntorch", reset="subtract", reset_when="next_update"), snntorch_leaky, 1e-4,
    ),
    "norse CubaLIF": (
        cuba(1, tau_mem=np.full(1, 1e-2), tau_syn=np.full(1, 5e-3), r=np.ones(1), w_in=np.ones(1), v_leak=np.full(1, 0.25)),
        Reading(trained_in="norse"), norse_lif, 1e-3,
    ),
    "spikingjelly, reset to a value": (
        lif(1, v_leak=np.full(1, -0.5), v_reset=np.full(1, -0.5)), Reading(trained_in="spikingjelly"), spikingjelly_lif, 1e-4,
    ),
    "spyx": (lif(1, tau=np.full(1, 10.0)), Reading(trained_in="spyx"), spyx_lif, 1e-3),
    "rockpool": (
        cuba(1, tau_mem=np.full(1, 1e-2), tau_syn=np.full(1, 5e-3), r=np.full(1, rate_of(1e-2, 1e-3)), w_in=np.ones(1)),
        Reading(trained_in="rockpool"), rockpool_lif, 1e-3,
    ),
    "spikingjelly": (
        lif(1, r=np.full(1, 1.0)), Reading(trained_in="spikingjelly"), leaky(1e-4, 1e-3, 1.0, ">="), 1e-4,
    ),
    "spikingjelly, input not decayed": (
        lif(1), Reading(trained_in="spikingjelly"), leaky(1e-4, 1e-3, 10.0, ">="), 1e-4,
    ),
    "lava": (lif(1), Reading(trained_in="lava"), leaky(1e-4, 1e-3, 10.0, ">"), 1e-4),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_frameworks(name: str, tmp_path: Path) -> None:
    """One neuron does in each tick what a few lines of the framework's rule do, on weights that are all different."""
    node, reading, step, timestep = CASES[name]
    n = 300
    direct = reading.trained_in in ("sinabs", "spyx", "rockpool") or "r" not in node or node["r"][0] == 10.0
    strength = 1.0 if direct else 10.0 / node["r"][0]
    x = np.random.Generator(np.random.Philox(5)).normal(0.25, 0.6, n) * strength
    if reading.trained_in == "spikingjelly":
        x[10:14] = 0.0
    path = write(tmp_path / "one.nir", *chain(("in", source(n)), ("w", {"type": "Linear", "weight": x[None]}),
                                             ("cell", node), ("out", sink(1))))  # fmt: skip
    network = load(path, reading)
    trace = simulate(network, {"in": np.eye(n, dtype=np.int8)[None]})
    state = {"v": 0.0}
    expected = []
    for tick in range(n):
        spike = step(float(x[tick]), state)
        expected.append((spike, state["v"]))
    assert trace.spikes["cell"][0, :, 0].tolist() == [spike for spike, _ in expected]
    assert np.abs(trace.v["cell"][0, :, 0] - [v for _, v in expected]).max() < 1e-9
    assert sum(spike for spike, _ in expected) > 3
    assert network.timestep == pytest.approx(timestep)


@pytest.mark.parametrize(
    ("framework", "node", "spikes"),
    [
        ("snntorch", lif(1), 0),
        ("norse", lif(1, tau=np.full(1, 1e-2)), 0),
        ("spikingjelly", lif(1), 1),
        ("lava", lif(1), 0),
        ("sinabs", lif(1, tau=np.full(1, 10.0), r=np.ones(1)), 1),
        ("spyx", lif(1, tau=np.full(1, 10.0)), 0),
        ("rockpool", lif(1, tau=np.full(1, 1e-2), r=np.full(1, rate_of(1e-2, 1e-3))), 0),
    ],
)
def test_a_potential_at_the_threshold(framework: str, node: dict[str, Any], spikes: int, tmp_path: Path) -> None:
    """A potential of the threshold itself spikes by the rules that say >=, and by no other one."""
    weight = {"type": "Linear", "weight": np.ones((1, 1))}
    parts = chain(("in", source(1)), ("w", weight), ("cell", node), ("out", sink(1)))
    x = np.array([[[1], [0], [0]]], np.int8)
    trace = fed(load(write(tmp_path / "n.nir", *parts), Reading(trained_in=framework)), x)
    assert trace.spikes["cell"].sum() == spikes
    if not spikes:
        assert trace.v["cell"][0, 0, 0] == node["v_threshold"][0]


def test_every_framework_has_a_rule() -> None:
    """The words of the command line's options are those that are known, and every framework has a rule."""
    assert sorted(FRAMEWORKS) == sorted(RULES)
    options = {option.name: option for option in check.command.params}
    words = {"trained_in": FRAMEWORKS, "reset": RESETS, "reset_when": TIMES_OF_RESET, "integration": INTEGRATIONS}
    assert {name: tuple(options[name].type.choices) for name in words} == words  # type: ignore[attr-defined]
    assert command.COMPARISONS == COMPARISONS


def test_spyx_refuses_what_it_has_no_words_for(tmp_path: Path) -> None:
    """Current-based neurons of Spyx reset before the decay, a tick late."""
    path = write(tmp_path / "n.nir", *chain(("in", source(2)), ("w", linear(3, 2)), ("cell", cuba(3)), ("out", sink(3))))
    with pytest.raises(NetworkError, match=r"NC0345 nir-node\]: node 'cell' \(CubaLIF\): spyx takes the threshold off"):
        load(path, Reading(trained_in="spyx"))


def test_what_is_given_goes_first(tmp_path: Path) -> None:
    """Given before metadata, metadata before what r tells, that before the framework's default."""
    parts = chain(("in", source(2)), ("w", linear(3, 2)), ("cell", lif(3)), ("out", sink(3)))
    path = write(tmp_path / "n.nir", *parts)
    assert choice(load(path), "timestep") == ("0.0001 s", "inferred from r = tau/dt")
    value, origin = choice(load(path, Reading(dt=2e-4)), "timestep")
    assert (value, origin) == ("0.0002 s", "given, where r = tau/dt would be 0.0001")
    said = {"cell": {**lif(3), "metadata": {"dt": 5e-4, "reset_mechanism": "subtract", "compare": ">="}}}
    path = write(tmp_path / "m.nir", {**parts[0], **said}, parts[1])
    network = load(path)
    assert choice(network, "timestep") == ("0.0005 s", "metadata")
    assert choice(network, "reset") == ("subtract", "metadata")
    assert choice(network, "compare") == (">=", "metadata")
    assert choice(load(path, Reading(reset="zero")), "reset") == ("zero", "given")
    path = write(tmp_path / "o.nir", {**parts[0], "cell": lif(3, r=np.ones(3))}, parts[1])
    assert choice(load(path, Reading(trained_in="snntorch")), "timestep") == ("0.0001 s", "default of snntorch")
    with pytest.raises(NetworkError, match=r"NC0219 left-open\]: nothing says how long a tick is"):
        load(path)


@pytest.mark.parametrize(
    ("changed", "reading", "message", "hint"),
    [
        ({"tau": np.array([1e-3, 2e-3, 1e-3])}, Reading(), "by r = tau/dt it is 0.0001 in node 'a' and 0.0002 in node 'b'",
         "say it with --dt, such as --dt 0.1ms, or name the framework with --trained-in"),
        ({"r": np.ones(3)}, Reading(), "r of node 'b' does not follow r = tau/dt",
         "say it with --dt, such as --dt 0.1ms, or name the framework with --trained-in"),
        ({"tau": np.full(3, 2e-3)}, Reading(trained_in="rockpool"), "by r = tau exp(-dt/tau)/dt it is",
         "say it with --dt, such as --dt 0.1ms"),
    ],
)  # fmt: skip
def test_why_nothing_says_how_long_a_tick_is(
    changed: dict[str, Any], reading: Reading, message: str, hint: str, tmp_path: Path
) -> None:
    """The formula and the nodes that break it are named; what has been said is not asked for again."""
    parts = chain(
        ("in", source(2)), ("w", linear(3, 2)), ("a", lif(3)), ("x", linear(3, 3)), ("b", lif(3, **changed)), ("out", sink(3))
    )
    with pytest.raises(NetworkError, match="NC0219") as caught:
        load(write(tmp_path / "n.nir", *parts), reading)
    assert message in caught.value.diagnostics[0].message
    assert caught.value.diagnostics[0].hint == hint


def test_lava_takes_a_tick_per_layer(tmp_path: Path) -> None:
    """Between populations a spike takes a tick; from an input it takes none."""
    parts = chain(("in", source(2)), ("w", linear(3, 2)), ("a", lif(3)), ("x", linear(2, 3)), ("b", lif(2)), ("out", sink(2)))
    network = load(write(tmp_path / "n.nir", *parts), Reading(trained_in="lava"))
    assert [int(q.delay) for q in network.projections] == [0, 1]


# --- every node


def reference(network: Network, x: Array) -> Array:
    """Return the potentials of 'cell', (ticks, n), of one sample."""
    return np.asarray(fed(network, x[None]).v["cell"][0])


def test_layers_without_neurons(tmp_path: Path) -> None:
    """Affine, Scale, Flatten and a Conv2d with a bias, and pools, in a row: what arrives is what they make one by one."""
    rng = np.random.Generator(np.random.Philox(2))
    scale = rng.normal(1, 0.2, (2, 6, 6))
    n = 3 * 2 * 2
    parts = chain(
        ("in", source(2, 6, 6)),
        ("scale", {"type": "Scale", "scale": scale}),
        ("conv", conv2d(3, 2)),
        ("sum", pool("Sum", 2, 1)),
        ("mean", pool("Avg", 2, 2)),
        ("flat", {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": np.array([3, 2, 2])}),
        ("fc", affine(4, n)),
        ("cell", {"type": "I", "r": np.ones(4)}),
        ("out", sink(4)),
    )  # fmt: skip
    network = load(write(tmp_path / "n.nir", *parts))
    x = spikes(1, 5, 72, 0.5)[0]
    total = np.zeros(4)
    for tick, image in enumerate(x):
        a = np.pad(image.reshape(2, 6, 6) * scale, ((0, 0), (1, 1), (1, 1)))
        view = np.lib.stride_tricks.sliding_window_view(a, (3, 3), axis=(1, 2))
        b = np.einsum("chwij,ocij->ohw", view, parts[0]["conv"]["weight"]) + parts[0]["conv"]["bias"][:, None, None]
        c = np.lib.stride_tricks.sliding_window_view(b, (2, 2), axis=(1, 2)).sum(axis=(3, 4))
        d = np.lib.stride_tricks.sliding_window_view(c, (2, 2), axis=(1, 2)).mean(axis=(3, 4))[:, ::2, ::2]
        total = total + parts[0]["fc"]["weight"] @ d.reshape(-1) + parts[0]["fc"]["bias"]
        assert np.allclose(reference(network, x[: tick + 1])[tick], total, atol=1e-5)
    assert network.decoders["cell"].scheme == "potential"


def test_conv1d(tmp_path: Path) -> None:
    """A Conv1d with padding 'same', a group per channel and a dilation equals numpy's correlation."""
    w = np.random.Generator(np.random.Philox(4)).normal(0, 1, (2, 1, 3))
    node = {"type": "Conv1d", "weight": w, "stride": 1, "padding": "same", "dilation": 2, "groups": 2, "bias": np.zeros(2),
            "input_shape": 7}  # fmt: skip
    parts = chain(("in", source(2, 7)), ("c", node), ("cell", {"type": "I", "r": np.ones((2, 7))}), ("out", sink(2, 7)))
    network = load(write(tmp_path / "n.nir", *parts))
    x = spikes(1, 1, 14, 0.5)[0]
    rows = [
        np.correlate(np.pad(row.astype(float), 2), np.insert(k, [1, 2], 0.0))
        for row, k in zip(x.reshape(2, 7), w[:, 0], strict=True)
    ]
    assert np.allclose(reference(network, x)[0], np.concatenate(rows))


def test_threshold_and_delay(tmp_path: Path) -> None:
    """A Threshold spikes where the input of the tick is above it; a Delay moves spikes by whole ticks, each by its own."""
    delays = np.array([0.0, 1e-3, 3e-3])
    parts = chain(
        ("in", source(3)), ("late", {"type": "Delay", "delay": delays}), ("w", {"type": "Linear", "weight": np.eye(3)}),
        ("cell", {"type": "Threshold", "threshold": np.array([0.5, 0.5, 1.0])}), ("out", sink(3)),
    )  # fmt: skip
    network = load(write(tmp_path / "n.nir", *parts), Reading(dt=1e-3))
    x = np.zeros((1, 6, 3), np.int8)
    x[0, 1] = 1
    found = fed(network, x).spikes["cell"][0]
    assert [np.flatnonzero(row).tolist() for row in found.T] == [[1], [2], []]  # 1 is not above 1


@pytest.mark.parametrize("form", ["flat", "nested"])
def test_recurrence(form: str, tmp_path: Path) -> None:
    """A cycle, flat with dots in its names or as a graph within the graph, takes spikes of the tick before, and its bias."""
    own, back, neurons = affine(3, 2), affine(3, 3, 9), cuba(3)
    if form == "flat":
        nodes = {"in": source(2), "fc": own, "l.lif": neurons, "l.w_rec": back, "out": sink(3)}
        edges = [("in", "fc"), ("fc", "l.lif"), ("l.lif", "l.w_rec"), ("l.w_rec", "l.lif"), ("l.lif", "out")]
    else:
        inner = {"input": source(3), "lif": neurons, "w_rec": back, "output": sink(3)}
        wires = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
        nodes = {"in": source(2), "fc": own, "l": nested(inner, wires), "out": sink(3)}
        edges = [("in", "fc"), ("fc", "l"), ("l", "out")]
    network = load(write(tmp_path / "n.nir", nodes, edges))
    assert list(network.populations) == ["in", "l.lif"]
    x = spikes(1, 40, 2)
    found = fed(network, x).spikes["l.lif"][0]
    i, v, s = np.zeros(3), np.zeros(3), np.zeros(3)
    for tick in range(40):
        i = 0.8 * i + own["weight"] @ x[0, tick] + own["bias"] + back["weight"] @ s + back["bias"]
        v = 0.9 * v + i
        s = (v > 1).astype(float)
        v = v * (1 - s)
        assert found[tick].tolist() == s.tolist(), tick
    assert found.sum() > 10


def test_a_longer_cycle_and_a_branch(tmp_path: Path) -> None:
    """Of two populations in a ring the edge that leads back takes the tick; sums of branches add their biases once."""
    nodes = {"in": source(2), "p": affine(3, 2), "q": affine(3, 2, 5), "a": lif(3), "w": linear(3, 3, 6), "b": lif(3),
             "back": linear(3, 3, 8), "out": sink(3)}  # fmt: skip
    edges = [
        ("in", "p"),
        ("in", "q"),
        ("p", "a"),
        ("q", "a"),
        ("a", "w"),
        ("w", "b"),
        ("b", "back"),
        ("back", "a"),
        ("b", "out"),
    ]
    network = load(write(tmp_path / "n.nir", nodes, edges))
    delays = {(q.source, q.target): int(q.delay) for q in network.projections}
    assert delays == {("in", "a"): 0, ("a", "b"): 0, ("b", "a"): 1}
    bias = sum(q.bias for q in network.projections if q.target == "a" and q.bias is not None)
    assert np.allclose(bias, nodes["p"]["bias"] + nodes["q"]["bias"])


def test_a_bias_before_other_layers_is_carried_through(tmp_path: Path) -> None:
    """The bias of a layer that another one follows arrives as the other one makes of it."""
    first, second = affine(4, 2), affine(3, 4, 5)
    parts = chain(("in", source(2)), ("a", first), ("b", second), ("cell", lif(3)), ("out", sink(3)))
    (projection,) = load(write(tmp_path / "n.nir", *parts)).projections
    assert projection.bias is not None
    assert np.allclose(projection.bias, second["weight"] @ first["bias"] + second["bias"])


def test_an_output_without_neurons_is_a_readout(tmp_path: Path) -> None:
    """A last layer without neurons becomes a population whose potential is the sum of the tick."""
    last = affine(2, 3, 4)
    parts = chain(("in", source(2)), ("w", linear(3, 2)), ("a", lif(3)), ("fc", last), ("out", sink(2)))
    network = load(write(tmp_path / "n.nir", *parts))
    trace = fed(network, spikes(1, 20, 2, 0.8))
    assert np.allclose(trace.v["out"][0], trace.spikes["a"][0] @ last["weight"].T + last["bias"], atol=1e-6)
    assert list(network.decoders) == ["out"]


@pytest.mark.parametrize(
    ("node", "reading"),
    [
        (cuba(3, v_leak=np.array([0.1, 0.2, 0.3]), v_reset=np.array([0.2, 0.3, 0.4])), Reading()),
        (lif(3, v_reset=np.array([0.0, 0.1, -0.5]), v_leak=np.full(3, 0.2)), Reading()),
        ({"type": "IF", "r": np.array([1.0, 2.0, 3.0]), "v_threshold": np.ones(3), "v_reset": np.array([0, 0.1, 0.2])},
         Reading(dt=0.5)),
        (cuba(3, r=np.array([1.0, 2.0, 3.0]), w_in=np.array([2.0, 0.5, 1.0])), Reading(dt=1e-4)),
        (cuba(3, tau_syn=np.array([1e-3, 2e-3, 3e-3])), Reading(dt=1e-4, integration="exact", compare=">=")),
        (lif(3, v_threshold=np.array([0.5, 1.0, 2.0])), Reading(reset="none", compare=">=")),
        (cuba(3, tau_mem=np.array([1e-3, 2e-3, np.inf]), v_threshold=np.full(3, 0.2)), Reading(trained_in="rockpool", dt=1e-4)),
    ],
)  # fmt: skip
def test_parameters_that_fold(node: dict[str, Any], reading: Reading, tmp_path: Path) -> None:
    """Leaks, resets and gains that differ between neurons become weights, thresholds and biases; the probe agrees."""
    weights = {"type": "Linear", "weight": np.full((3, 3), 0.4)}
    parts = chain(("in", source(3)), ("w", weights), ("cell", node), ("out", sink(3)))
    network = load(write(tmp_path / "n.nir", *parts), reading)
    trace = fed(network, spikes(1, 60, 3, 0.5))
    assert trace.spikes["cell"].any()


@pytest.mark.parametrize(
    "changed",
    [
        {"integration": "exact"}, {"reset": "subtract"}, {"reset_when": "next_update"},
        {"threshold_on": "old"}, {"v_floor": -1.0}, {"refractory": 1},
    ],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_the_probe_notices(changed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A neuron that does something else than its node is our bug, and names the node."""
    made = nir_rules.cell_of

    def wrong(*args: Any) -> Cell:
        cell = made(*args)
        semantics = replace(cell.neuron.semantics, **changed)
        return replace(cell, neuron=replace(cell.neuron, semantics=semantics))

    monkeypatch.setattr("neurocomp.frontends.from_nir.cell_of", wrong)
    path = write(tmp_path / "n.nir", *chain(("in", source(2)), ("w", linear(3, 2)), ("cell", lif(3)), ("out", sink(3))))
    with pytest.raises(InternalError, match=r"node 'cell' \(LIF\) does what its equation says"):
        load(path)
    assert nir_probe.TICKS > 40


def test_metadata_say_floors_inputs_and_late_resets(tmp_path: Path) -> None:
    """What from_sinabs and from_snntorch add to a graph is taken, and comes back from our own files."""
    said = {"v_floor": -0.25, "input": "equation", "reset_mechanism": "subtract", "reset_when": "next_update"}
    node = {**lif(3, tau=np.full(3, 10.0), r=np.ones(3)), "metadata": said}
    parts = chain(("in", source(2)), ("w", linear(3, 2)), ("cell", node), ("out", sink(3)))
    network = load(write(tmp_path / "n.nir", *parts), Reading(trained_in="sinabs", reset_when=None))
    neuron = network.populations["cell"].neuron
    assert neuron is not None
    axes = neuron.semantics
    assert (axes.v_floor, axes.input, axes.reset, axes.reset_when) == (-0.25, "current", "subtract", "next_update")
    assert choice(network, "v_floor") == ("-0.25", "metadata")
    assert choice(network, "reset_when") == ("next_update", "metadata")
    free = {**integrator(3), "metadata": {"v_floor": "none"}}
    parts = chain(("in", source(2)), ("w", linear(3, 2)), ("cell", free), ("out", sink(3)))
    unbound = load(write(tmp_path / "free.nir", *parts), Reading(trained_in="sinabs")).populations["cell"].neuron
    assert unbound is not None
    assert unbound.semantics.v_floor is None
    _, unsaid = api.export_network(network, tmp_path / "again.nir")
    assert "v_floor -0.25: in the metadata" in " ".join(unsaid)
    again = load(tmp_path / "again.nir").populations["cell"].neuron
    assert again is not None
    assert (again.semantics.v_floor, again.semantics.reset_when) == (-0.25, "next_update")


@pytest.mark.parametrize("name", ["from_norse", "from_sinabs", "from_snntorch", "from_spikingjelly"])
def test_a_framework_that_is_not_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is named, and how to get it."""
    monkeypatch.setitem(sys.modules, "nirtorch", None)
    with pytest.raises(UsageError) as caught:
        getattr(neurocomp, name)(None, None)
    (problem,) = caught.value.diagnostics
    framework = name.removeprefix("from_")
    assert problem.message.startswith(f"{name} needs {framework}, nir and nirtorch: ")
    assert problem.hint == f"install them beside neurocomp: pip install {framework} nir nirtorch"


def test_what_nir_writes_is_read(tmp_path: Path) -> None:
    """A graph of the package nir, written by it."""
    n = 4
    graph = nir.NIRGraph.from_list(
        nir.Input({"input": np.array([2])}), nir.Affine(np.ones((n, 2)), np.zeros(n)),
        nir.CubaLI(np.full(n, 5e-4), np.full(n, 1e-3), np.full(n, 10.0), np.zeros(n), np.full(n, 5.0)),
        nir.Output({"output": np.array([n])}),
    )  # fmt: skip
    nir.write(tmp_path / "n.nir", graph)
    network = load(tmp_path / "n.nir")
    assert [p.neuron.model for p in network.populations.values() if p.neuron] == ["cuba_li"]
    assert choice(network, "timestep") == ("0.0001 s", "inferred from r = tau/dt")


# --- out again


def same(a: Network, b: Network) -> None:
    """Check that two networks are equal but for their choices."""
    assert network_text(replace(a, choices=(), name="n")) == network_text(replace(b, choices=(), name="n"))


def examples(tmp_path: Path) -> dict[str, Network]:
    """Return networks of all kinds of nodes."""
    loop = {"in": source(2), "fc": affine(3, 2), "l.lif": cuba(3), "l.w_rec": affine(3, 3, 9), "out": sink(3)}
    edges = [("in", "fc"), ("fc", "l.lif"), ("l.lif", "l.w_rec"), ("l.w_rec", "l.lif"), ("l.lif", "out")]
    image = chain(
        ("0", source(1, 6, 6)), ("1", conv2d(2, 1)), ("2", integrator(2, 6, 6)),
        ("3", pool("Sum", 2, 2)), ("4", conv2d(2, 2, bias=np.zeros(2))), ("10", integrator(2, 3, 3)),
        ("11", linear(3, 18)), ("12", integrator(3, v_threshold=np.full(3, 0.7))), ("output", sink(3)),
    )  # fmt: skip
    slow = chain(("in", source(2)), ("d", {"type": "Delay", "delay": np.full(2, 3e-4)}), ("w", linear(3, 2)),
                 ("a", lif(3, tau=np.array([1e-3, 2e-3, 3e-3]), r=np.full(3, 2.0))), ("out", sink(3)))  # fmt: skip
    return {
        "loop": load(write(tmp_path / "loop.nir", loop, edges), Reading(reset="subtract", ticks=20)),
        "image": load(write(tmp_path / "image.nir", *image)),
        "slow": load(write(tmp_path / "slow.nir", *slow), Reading(dt=1e-4, integration="exact", compare=">=")),
    }


@pytest.mark.parametrize("name", ["loop", "image", "slow"])
def test_nir_and_back(name: str, tmp_path: Path) -> None:
    """What is exported and imported again is the same network; the package nir reads the file, types checked."""
    network = examples(tmp_path)[name]
    out = tmp_path / "out" / "again.nir"
    out.parent.mkdir()
    found, unsaid = api.export_network(network, out)
    graph = nir.read(out)
    assert found["nodes"] == len(graph.nodes)
    again = load(out)
    same(network, again)
    assert any("timestep" in line for line in unsaid)
    assert (name == "loop") == any("reset subtract" in line for line in unsaid)


@pytest.mark.parametrize("name", ["loop", "image", "slow"])
def test_yaml_and_back(name: str, tmp_path: Path) -> None:
    """net.yaml with its arrays loads to the same network, and compiles to the same integers."""
    network = examples(tmp_path)[name]
    files = api.write_network(network, tmp_path / "net", "x.nir")
    again = neurocomp.load(files[0])
    assert isinstance(again, Network)
    same(network, again)
    if name == "image":
        texts = [quantized_text(api.compile(n, "loihi").artifact.quantized) for n in (network, again)]  # type: ignore[arg-type]
        assert texts[0] == texts[1]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="is not empty"):
        api.write_network(network, tmp_path / "other", "x.nir")


def test_delays_per_synapse_become_matrices(tmp_path: Path) -> None:
    """A matrix per delay does the same."""
    text = """\
neurocomp: 1
name: late
timestep: 1 ms
ticks: 12
populations:
  a: {kind: input, shape: [2]}
  b: {shape: [2], neuron: {model: lif, tau_mem: 10 ms, v_threshold: 0.9, refractory: 2, reset: subtract, v_init: 0.5}}
projections:
  - {from: a, to: b, weights: [[1.0, 0.5], [0.25, 2.0]], delay: [[0, 1], [2, 1]], bias: [0.1, 0.0]}
"""
    (tmp_path / "net.yaml").write_text(text)
    network = neurocomp.load(tmp_path / "net.yaml")
    assert isinstance(network, Network)
    _, unsaid = api.export_network(network, tmp_path / "late.nir")
    assert "'a->b': delays per synapse: a matrix for each of 3" in unsaid
    assert "'b': refractory 2, v_init: lost" in unsaid
    again = load(tmp_path / "late.nir")
    neuron = network.populations["b"].neuron
    assert neuron is not None
    plain = replace(
        neuron, semantics=replace(neuron.semantics, refractory=0), parameters={**neuron.parameters, "v_init": np.zeros(())}
    )
    populations = {**network.populations, "b": replace(network.populations["b"], neuron=plain)}
    x = spikes(1, 12, 2, 0.5)
    assert fed(again, x).spikes["b"].tolist() == fed(replace(network, populations=populations), x).spikes["b"].tolist()


@pytest.mark.parametrize(
    ("text", "value"), [("0.1ms", 1e-4), ("0.1 ms", 1e-4), ("1e-4", 1e-4), ("100us", 1e-4), (1e-4, 1e-4), ("2 s", 2.0)]
)
def test_lengths_of_time(text: str | float, value: float) -> None:
    """A tick is given with a unit or in seconds, exactly."""
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "0", "-1ms", "1 h", "nan", "1e999", "ms"])
def test_no_lengths_of_time(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(UsageError, match="a time above 0 is needed"):
        seconds(text)
