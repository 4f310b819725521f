# ruff: noqa: E501 - messages stand in one piece
"""netx files of lava-dl: real ones against what others recorded, small ones against equations written out here, wrong ones."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp.errors import NetworkError, UnsupportedError
from neurocomp.frontends import from_netx
from neurocomp.frontends.reading import Reading
from neurocomp.ir.network import Network

Array = NDArray[Any]
Layer = dict[str, Any]

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "tests" / "golden" / "netx"
ALL_IMAGES = ROOT.parent / "shared" / "data" / "mnist_t10k.npz"


# files


def write(path: Path, layers: list[Layer], **more: Any) -> Path:
    """Write layers as lava-dl does: types as bytes, of neurons with a variable length, weights as float32."""
    with h5py.File(path, "w") as file:
        for number, layer in enumerate(layers):
            _write_group(file.create_group(f"layer/{number}"), layer)
        _write_group(file, more)
    return path


def _write_group(group: h5py.Group, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _write_group(group.create_group(key), value)
        elif key == "type" and "iDecay" not in values and isinstance(value, str):
            group.create_dataset("type", (1,), "S10", [value.encode()])
        elif isinstance(value, str):
            group[key] = value.encode()
        elif key.startswith(("weight", "bias", "delay")) and not isinstance(value, np.ndarray):
            group[key] = np.asarray(value, np.float32)
        else:
            group[key] = value


def cuba(du: Any = 1024, dv: Any = 256, vth: Any = 40, **more: Any) -> Layer:
    return {"type": "CUBA", "iDecay": du, "vDecay": dv, "vThMant": vth, "refDelay": 1, "gradedSpike": False, **more}


def even(rng: np.random.Generator, *shape: int, low: int = -20, high: int = 26) -> Array:
    return (2 * rng.integers(low, high, shape)).astype(np.float32)


def read(tmp_path: Path, layers: list[Layer], ticks: int = 30, **said: Any) -> Network:
    return from_netx.load(write(tmp_path / "net.net", layers), Reading(ticks=ticks, **said))


# the equations of netx, in plain numpy and apart from everything that is tested


class Oracle:
    """u = tz(u (4096 - iDecay) / 4096) + (W s << 6); v = tz(v (4096 - vDecay) / 4096) + u + (bias << 6); spike; v = 0."""

    def __init__(self, layers: list[Layer], x: Array, compare: str = ">") -> None:
        self.layers, self.x, self.compare = layers, x.astype(np.int64), compare
        self.spikes: list[list[Array]] = [[] for _ in layers]
        sizes = [int(np.prod(layer.get("shape", 1))) for layer in layers]
        self.u = [np.zeros(n, np.int64) for n in sizes]
        self.v = [np.zeros(n, np.int64) for n in sizes]
        self.rest = [np.zeros(n, np.int64) for n in sizes]
        for t in range(len(x)):
            for i, layer in enumerate(layers):
                if "neuron" in layer:
                    self.step(i, layer, t)

    def step(self, i: int, layer: Layer, t: int) -> None:
        n = layer["neuron"]
        bias = np.asarray(layer.get("bias", 0), np.int64).reshape(-1)
        bias = np.repeat(bias, self.u[i].size // bias.size)
        if layer["type"] == "input":
            u = 64 * int(np.asarray(layer.get("weight", 64)).reshape(-1)[0]) * self.x[t].reshape(-1)
        else:
            u = self.decayed(self.u[i], n["iDecay"]) + (self.arriving(i, layer, t).reshape(-1) << 6)
            self.u[i] = u
        awake = self.rest[i] == 0
        v = np.where(awake, self.decayed(self.v[i], n["vDecay"]) + u + (bias << 6), self.v[i])
        level = n["vThMant"] << 6
        spike = (v > level if self.compare == ">" else v >= level) & awake
        v[spike] = 0
        self.v[i] = v
        self.rest[i] = np.where(spike, n["refDelay"] - 1, np.maximum(self.rest[i] - 1, 0))
        self.spikes[i].append(spike.astype(np.int64))

    @staticmethod
    def decayed(state: Array, decay: Any) -> Array:
        return np.asarray(np.sign(state) * ((np.abs(state) * (4096 - decay)) >> 12))

    def sent(self, i: int, t: int) -> Array:
        """Return what layer i shows to the next ones of tick t."""
        if i < 0:
            return self.x[t] if t >= 0 else np.zeros_like(self.x[0])
        layer = self.layers[i]
        shape = tuple(np.asarray(layer.get("shape", (1,))).reshape(-1))
        if layer["type"] == "flatten":
            return self.sent(i - 1, t).reshape(shape)
        if layer["type"] == "average":
            return np.asarray(self.sent(i - 1, t).reshape(int(np.prod(shape)), -1).mean(axis=1))
        if layer["type"] == "concat":
            return np.concatenate([self.sent(int(j), t) for j in layer["layers"]])
        if "neuron" not in layer:
            return self.window(layer, layer["weight"], self.sent(i - 1, t)) if layer["type"] == "pool" else self.sent(i - 1, t)
        late = np.zeros(int(np.prod(shape)), np.int64)
        delay = np.asarray(layer.get("delay", 0), np.int64)
        if delay.size > 1 and delay.shape != np.shape(layer["weight"]):
            late = np.repeat(delay.reshape(-1), late.size // delay.size)
        values = [self.spikes[i][t - d][k] if t - d >= 0 else 0 for k, d in enumerate(late)]
        return np.array(values, np.int64).reshape(shape)

    def arriving(self, i: int, layer: Layer, t: int) -> Array:
        """Return the weighted sum of what was sent a tick and the delays of the synapses before t."""
        weights = np.asarray(layer["weight"], np.int64)
        delay = np.asarray(layer.get("delay", 0), np.int64)
        if delay.size > 1 and delay.shape != weights.shape:
            delay = np.zeros((), np.int64)
        total: Array = np.zeros(int(np.prod(layer["shape"])), np.int64)
        for d in np.unique(delay):
            own = np.where(np.broadcast_to(delay.reshape(-1)[0] if delay.size == 1 else delay, weights.shape) == d, weights, 0)
            total = total + self.apply(layer, own, self.sent(i - 1, t - 1 - int(d))).reshape(-1)
            if "weight_rec" in layer and t - 1 - d >= 0:
                rec = np.asarray(layer["weight_rec"], np.int64)
                if delay.size == 1:
                    total = total + rec @ self.spikes[i][t - 1 - int(d)]
        if "weight_rec" in layer and delay.size > 1 and t >= 1:
            total = total + np.asarray(layer["weight_rec"], np.int64) @ self.spikes[i][t - 1]
        assert (np.asarray(total) == np.rint(total)).all()
        return np.asarray(total).astype(np.int64)

    def apply(self, layer: Layer, weights: Array, spikes: Array) -> Array:
        if layer["type"] in ("dense", "dense_rec"):
            return np.asarray(weights.reshape(int(np.prod(layer["shape"])), -1) @ spikes.reshape(-1))
        return self.window(layer, weights, spikes)

    @staticmethod
    def window(layer: Layer, weights: Array, x: Array) -> Array:
        """Return a correlation, place by place; a pool has one kernel for every channel."""
        out = np.zeros(tuple(layer["shape"]), np.int64)
        channels = x.shape[0]
        pool = layer["type"] == "pool"
        groups = channels if pool else int(layer.get("groups", 1))
        kernel = np.asarray(weights, np.int64).reshape(np.shape(weights)[:4])
        pair = {k: np.broadcast_to(layer.get(k, d), 2) for k, d in (("stride", 1), ("padding", 0), ("dilation", 1))}
        per_in, per_out = channels // groups, out.shape[0] // groups
        for o, y, z in np.ndindex(*out.shape):
            for c, a, b in np.ndindex(per_in, *kernel.shape[2:]):
                at_y = y * pair["stride"][0] - pair["padding"][0] + a * pair["dilation"][0]
                at_z = z * pair["stride"][1] - pair["padding"][1] + b * pair["dilation"][1]
                if 0 <= at_y < x.shape[1] and 0 <= at_z < x.shape[2]:
                    k = kernel[0, 0] if pool else kernel[o, c]
                    out[o, y, z] += k[a, b] * x[o // per_out * per_in + c, at_y, at_z]
        return out


def dense(rng: np.random.Generator, n: int, n_in: int, **more: Any) -> Layer:
    return {
        "type": "dense", "shape": [n], "inFeatures": n_in, "outFeatures": n, "weight": even(rng, n, n_in), "neuron": cuba(),
        **more,
    }  # fmt: skip


def conv(rng: np.random.Generator, shape: list[int], n_in: int, kernel: tuple[int, int], groups: int = 1, **more: Any) -> Layer:
    return {
        "type": "conv", "shape": shape, "weight": even(rng, shape[0], n_in // groups, *kernel, 1), "groups": groups,
        "inChannels": n_in, "outChannels": shape[0], "neuron": cuba(), "kernelSize": list(kernel), **more,
    }  # fmt: skip


def pool(shape: list[int], stride: list[int], kernel: tuple[int, int] = (2, 2), weight: int = 30, **more: Any) -> Layer:
    return {
        "type": "pool", "shape": shape, "weight": np.full((1, 1, *kernel, 1), weight, np.float32), "stride": stride,
        "kernelSize": list(kernel), "padding": [0, 0], "dilation": [1, 1], **more,
    }  # fmt: skip


def image(*shape: int) -> Layer:
    return {"type": "input", "shape": list(shape)}


def _networks() -> dict[str, Callable[[np.random.Generator], list[Layer]]]:
    """Name -> layers; every one must spike, which the test asserts."""
    return {
        "dense": lambda r: [dense(r, 7, 10), dense(r, 5, 7)],
        "dense with decays of their own": lambda r: [dense(r, 7, 10, neuron=cuba(4096, 1, 30)), dense(r, 5, 7, neuron=cuba(1, 4095, 90))],
        "input shape, 1-d weights": lambda r: [image(10), dense(r, 6, 10), dense(r, 1, 6, weight=even(r, 6, low=0))],
        "neurons differ": lambda r: [
            dense(r, 6, 10, neuron=cuba(900, np.arange(6) * 300, np.arange(20, 50, 5))), dense(r, 4, 6),
        ],
        "bias": lambda r: [dense(r, 7, 10, bias=r.integers(-9, 20, 7)), dense(r, 5, 7, bias=r.integers(-9, 20, 5))],
        "bias per channel": lambda r: [image(2, 4, 4), conv(r, [3, 3, 3], 2, (2, 2), bias=np.array([5, -4, 30])), dense(r, 4, 27)],
        "refDelay": lambda r: [dense(r, 7, 10, neuron=cuba(refDelay=4)), dense(r, 5, 7, neuron=cuba(refDelay=2))],
        "LOIHI": lambda r: [
            dense(r, 7, 10, neuron=cuba(type="LOIHI", wgtExp=0, theta=40 << 6, tauRho=1.0, scaleRho=1.0)), dense(r, 5, 7),
        ],
        "conv": lambda r: [
            image(2, 6, 5), conv(r, [4, 3, 4], 2, (3, 2), stride=[2, 1], padding=[1, 0]), conv(r, [2, 2, 2], 4, (2, 3)),
        ],
        "conv with dilation": lambda r: [image(2, 7, 6), conv(r, [3, 3, 4], 2, (3, 2), dilation=[2, 2])],
        "conv in groups": lambda r: [image(4, 5, 5), conv(r, [6, 3, 3], 4, (3, 3), groups=2), dense(r, 5, 54)],
        "conv without a layer before": lambda r: [conv(r, [3, 4, 3], 2, (3, 3), padding=[1, 0])],
        "flatten": lambda r: [
            image(2, 4, 5), conv(r, [3, 3, 4], 2, (2, 2)), {"type": "flatten", "shape": [1, 1, 36]}, dense(r, 5, 36),
        ],
        "flatten into an image": lambda r: [
            image(2, 2, 4), dense(r, 12, 16), {"type": "flatten", "shape": [2, 3, 2]}, conv(r, [3, 2, 1], 2, (2, 2)),
        ],
        "pool with neurons": lambda r: [
            image(2, 6, 4), pool([2, 3, 2], [2, 2], neuron=cuba(vth=50)), conv(r, [3, 2, 1], 2, (2, 2)),
        ],
        "pool that overlaps": lambda r: [image(3, 5, 5), pool([3, 2, 3], [2, 1], (3, 3), 14, neuron=cuba(vth=60))],
        "pool without neurons": lambda r: [
            image(2, 6, 4), pool([2, 3, 2], [2, 2], weight=1), conv(r, [3, 2, 1], 2, (2, 2), neuron=cuba(vth=30)),
            dense(r, 4, 6),
        ],
        "pool without neurons before dense": lambda r: [
            image(2, 6, 4), pool([2, 3, 2], [2, 2], weight=2), {"type": "flatten", "shape": [12, 1, 1]}, dense(r, 4, 12),
        ],
        "average": lambda r: [
            dense(r, 12, 10), {"type": "average", "shape": [4, 1, 1]}, dense(r, 5, 4, weight=3 * even(r, 5, 4, high=30)),
        ],
        "concat": lambda r: [
            dense(r, 6, 10), dense(r, 4, 6), {"type": "concat", "shape": [10], "layers": np.array([1, 0])}, dense(r, 5, 10),
        ],
        "concat of images": lambda r: [
            image(2, 4, 4), conv(r, [3, 4, 4], 2, (3, 3), padding=[1, 1]),
            {"type": "concat", "shape": [5, 4, 4], "layers": np.array([0, 1])}, conv(r, [2, 3, 3], 5, (2, 2)),
        ],
        "concat in groups": lambda r: [
            image(2, 4, 4), conv(r, [4, 4, 4], 2, (3, 3), padding=[1, 1]),
            {"type": "concat", "shape": [6, 4, 4], "layers": np.array([1, 0])}, conv(r, [4, 3, 3], 6, (2, 2), groups=2),
        ],
        "concat into a pool": lambda r: [
            image(2, 4, 4), conv(r, [3, 4, 4], 2, (3, 3), padding=[1, 1]),
            {"type": "concat", "layers": np.array([0, 1])}, pool([5, 2, 2], [2, 2], neuron=cuba(vth=30)), dense(r, 3, 20),
        ],
        "dense_rec": lambda r: [
            dense(r, 8, 10, type="dense_rec", weight_rec=even(r, 8, 8)), dense(r, 5, 8),
        ],
        "delay of all synapses": lambda r: [
            dense(r, 8, 10, type="dense_rec", weight_rec=even(r, 8, 8), delay=3), dense(r, 5, 8, delay=np.array([2.0])),
        ],
        "delay per synapse": lambda r: [
            dense(r, 7, 10, delay=r.integers(0, 9, (7, 10)).astype(np.float32)), dense(r, 5, 7, delay=r.integers(0, 62, (5, 7))),
        ],
        "delay per synapse of a layer within itself": lambda r: [
            dense(r, 7, 10, type="dense_rec", weight_rec=even(r, 7, 7), delay=r.integers(0, 5, (7, 10))), dense(r, 4, 7),
        ],
        "delay per neuron": lambda r: [
            dense(r, 7, 10, delay=r.integers(0, 9, 7).astype(np.float32)), dense(r, 5, 7, delay=r.integers(0, 9, (5, 7))),
        ],
        "delay per channel": lambda r: [
            image(2, 4, 4), conv(r, [4, 4, 4], 2, (3, 3), padding=[1, 1], delay=np.array([0.0, 5.0, 2.0, 1.0])),
            conv(r, [2, 3, 3], 4, (2, 2), groups=2), dense(r, 3, 18),
        ],
        "delay of a kernel": lambda r: [image(2, 4, 4), conv(r, [2, 3, 3], 2, (2, 2), delay=r.integers(0, 4, (2, 2, 2, 2, 1)))],
        "input neurons": lambda r: [
            {**image(10), "weight": np.array([[30]]), "bias": np.array([6]), "neuron": cuba(4096, 300, 44)}, dense(r, 6, 10),
        ],
        "input neurons past the current": lambda r: [
            {**image(10), "weight": 30, "neuron": cuba(1024, 300, 44)}, dense(r, 6, 10),
        ],
        "input neurons, gain of the loader": lambda r: [{**image(10), "neuron": cuba(4096, 300, 99)}, dense(r, 6, 10)],
        "more than ten layers": lambda r: [dense(r, 6, 6, weight=even(r, 6, 6, high=50), neuron=cuba(vth=20)) for _ in range(12)],
    }  # fmt: skip


NETWORKS = _networks()


def _input(layers: list[Layer], rng: np.random.Generator, ticks: int) -> Array:
    """Return random spikes, or values where the input has neurons, (ticks, *shape)."""
    first = layers[0]
    shape = tuple(first["shape"]) if first["type"] == "input" else (10,)
    if first["type"] == "dense":
        shape = (np.shape(first["weight"])[1],)
    if first["type"] == "conv":
        shape = (2, 4, 5)
    if "neuron" in first and first["type"] == "input":
        return rng.integers(-1, 4, (ticks, *shape))
    return (rng.random((ticks, *shape)) < 0.35).astype(np.int64)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("compare", [">", ">="])
def test_every_layer_spikes_as_the_equations_say(tmp_path: Path, name: str, compare: str) -> None:
    ticks = 30
    rng = np.random.default_rng(sorted(NETWORKS).index(name))
    layers = NETWORKS[name](rng)
    x = _input(layers, rng, ticks)
    network = read(tmp_path, layers, ticks, compare=compare)
    found = neurocomp.compile(network, target="reference").run("reference", {"input": x[None]}, probe="all").arrays
    oracle = Oracle(layers, x, compare)
    compared = 0
    for number, layer in enumerate(layers):
        if "neuron" in layer:
            spikes = np.array(oracle.spikes[number])
            np.testing.assert_array_equal(found[f"spikes/layer{number}"][0].reshape(ticks, -1), spikes, f"layer {number}")
            assert 0 < spikes.sum() < spikes.size
            compared += 1
    assert compared == sum(p.neuron is not None for p in network.populations.values())


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("bias", "loihi"),
        ("conv in groups", "loihi"),
        ("pool without neurons", "loihi"),
        ("concat in groups", "loihi"),
        ("dense_rec", "loihi"),
        ("delay per channel", "loihi"),
        ("input neurons", "loihi2"),
    ],
)
def test_the_chip_agrees(tmp_path: Path, name: str, target: str) -> None:
    rng = np.random.default_rng(3)
    layers = NETWORKS[name](rng)
    x = _input(layers, rng, 30)
    one = neurocomp.compile(read(tmp_path, layers), target=target)
    report = one.verify(["reference", "chip"], inputs={"input": x[None].astype(np.int8)})
    assert report.bit_exact
    assert not report.lossy
    last = len(layers) - 1
    spikes = one.run("chip", {"input": x[None].astype(np.int8)}).arrays[f"spikes/layer{last}"][0].reshape(30, -1)
    np.testing.assert_array_equal(spikes, np.array(Oracle(layers, x).spikes[last]))
    assert spikes.any()


# layers that are read in the end


def test_an_average_at_the_end_counts(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    layers = [dense(rng, 12, 10), {"type": "average", "shape": [3, 1, 1]}]
    x = _input(layers, rng, 30)
    network = read(tmp_path, layers)
    assert network.decoders["layer1"].scheme == "potential"
    found = (
        neurocomp.compile(network, target="reference").run("reference", {"input": x[None]}, state=True).arrays["v/layer1"][0]
    )
    sums = np.cumsum(np.array(Oracle(layers, x).spikes[0]).reshape(30, 3, 4).sum(axis=2), axis=0)
    np.testing.assert_array_equal(found, 64 * sums)
    assert sums[-1].min() > 0


@pytest.mark.parametrize("stated", [None, {"iDecay": 0, "vDecay": 4096, "vThMant": (1 << 18) - 1}])
def test_a_layer_that_never_spikes_sums_its_input(tmp_path: Path, stated: Layer | None) -> None:
    rng = np.random.default_rng(6)
    layers = [dense(rng, 8, 10), dense(rng, 3, 8, bias=np.array([7, 0, -2]))]
    del layers[1]["neuron"]
    if stated is not None:
        layers[1]["neuron"] = {"type": "CUBA", "refDelay": 1, **stated}
    x = _input(layers, rng, 30)
    run = neurocomp.compile(read(tmp_path, layers), target="reference").run("reference", {"input": x[None]}, state=True)
    spikes = np.array(Oracle(layers[:1], x).spikes[0])
    late = np.concatenate([np.zeros((1, 8), np.int64), spikes[:-1]])
    # Lava: u sums without decay, v copies it and adds the bias.
    sums = 64 * np.cumsum(late @ np.asarray(layers[1]["weight"], np.int64).T, axis=0) + 64 * np.array([7, 0, -2])
    np.testing.assert_array_equal(run.arrays["v/layer1"][0], sums)


# what is left open, and what the user says


def _choices(network: Network) -> dict[tuple[str, str], str]:
    return {(c.subject, c.axis): c.value for c in network.choices}


def test_what_the_file_leaves_open_is_a_choice(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    layers = [dense(rng, 7, 10, delay=np.arange(7) * 20, extra=1), dense(rng, 5, 7, neuron=cuba(messageBits=0))]
    network = from_netx.load(write(tmp_path / "n.net", layers))
    chosen = _choices(network)
    assert chosen["network", "ticks"] == "32"
    assert chosen["network", "timestep"] == "0.001 s"
    assert chosen["layer0", "compare"] == ">"
    assert chosen["layer0", "'extra'"] == "not used"
    assert chosen["layer1", "'messageBits'"] == "not used"
    assert chosen["layer0", "delay"].startswith("one per neuron")
    assert network.projections[1].delay.max() == 63  # 62, as Lava's loader clamps it, and the step of the layer
    assert network.projections[1].delay.shape == (5, 7)
    assert all(q.native is not None for q in network.projections)


def test_the_simulation_group_says_ticks_and_timestep(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    path = write(tmp_path / "n.net", [dense(rng, 3, 4)], simulation={"Ts": 2.0, "tSample": 300.0})
    network = from_netx.load(path)
    assert (network.ticks, network.timestep) == (150, 0.002)
    network = from_netx.load(path, Reading(ticks=9, dt=1e-4))
    assert (network.ticks, network.timestep) == (9, 1e-4)


def test_the_user_says_reset_and_comparison(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    network = read(tmp_path, [dense(rng, 3, 4)], compare=">=", reset="subtract", trained_in="lava")
    neuron = network.populations["layer0"].neuron
    assert neuron is not None
    assert (neuron.semantics.compare, neuron.semantics.reset) == (">=", "subtract")


def test_integers_come_through_unchanged(tmp_path: Path) -> None:
    rng = np.random.default_rng(10)
    layers = [dense(rng, 7, 10, bias=np.arange(7)), dense(rng, 5, 7, neuron=cuba(77, 88, 99, wgtExp=2))]
    one = neurocomp.compile(read(tmp_path, layers), target="loihi")
    first, second = (one.artifact.integers.network.populations[f"layer{i}"] for i in (0, 1))
    assert int(second.values("du")[0]) == 76
    assert int(second.values("dv")[0]) == 88
    assert int(second.values("vth")[0]) == 99
    np.testing.assert_array_equal(first.values("bias_mant") << first.values("bias_exp"), np.arange(7) << 6)
    for q, layer, exponent in zip(one.artifact.integers.network.projections, layers, (0, 2), strict=True):
        np.testing.assert_array_equal(q.weights, layer["weight"])
        assert q.exponent == exponent


# files that are wrong


def _good() -> list[Layer]:
    rng = np.random.default_rng(11)
    return [
        image(2, 4, 4), conv(rng, [3, 3, 3], 2, (2, 2)), {"type": "flatten", "shape": [27, 1, 1]},
        dense(rng, 5, 27, bias=np.arange(5)), dense(rng, 4, 5),
    ]  # fmt: skip


def _set(number: int, **values: Any) -> Callable[[list[Layer]], None]:
    def change(layers: list[Layer]) -> None:
        for key, value in values.items():
            if value is None:
                del layers[number][key]
            else:
                layers[number][key] = value

    return change


def _neuron(number: int, **values: Any) -> Callable[[list[Layer]], None]:
    def change(layers: list[Layer]) -> None:
        for key, value in values.items():
            if value is None:
                del layers[number]["neuron"][key]
            else:
                layers[number]["neuron"][key] = value

    return change


def _insert(number: int, layer: Layer) -> Callable[[list[Layer]], None]:
    return lambda layers: layers.insert(number, layer)


def _lists() -> Array:
    """Return four lists of different lengths."""
    lists = np.empty(4, h5py.vlen_dtype(np.int32))
    lists[:] = [np.arange(n, dtype=np.int32) for n in (1, 2, 3, 4)]
    return lists


NAN = np.full((4, 5), 2.0, np.float32)
NAN[1, 2] = np.nan
ODD: dict[str, tuple[Callable[[list[Layer]], None], str, str]] = {
    "no type": (_set(1, type=None), "NC0105", "layer 1: 'type' is missing"),
    "unknown type": (_set(1, type="konv"), "NC0208", "layer 1 (konv): there is no type 'konv' of layers"),
    "type is a number": (_set(1, type=3), "NC0104", "layer 1: 'type' must be a text, not whole numbers"),
    "type is no ASCII": (_set(1, type=np.array([b"\xff\xfe"])), "NC0104", "layer 1: 'type' is no text in ASCII"),
    "type with control characters": (_set(1, type="a\x1b[2J"), "NC0104", "layer 1: 'type' must be a text"),
    "no weight": (_set(4, weight=None), "NC0105", "layer 4 (dense): 'weight' is missing"),
    "no shape": (_set(4, shape=None), "NC0105", "layer 4 (dense): 'shape' is missing"),
    "shape of nothing": (_set(4, shape=[0]), "NC0209", "layer 4 (dense): 'shape' is [0]"),
    "negative shape": (_set(1, shape=[3, -3, 3]), "NC0209", "layer 1 (conv): 'shape' is [3, -3, 3]"),
    "huge shape": (_set(0, shape=[2**40, 2**40]), "NC0209", "layer 0 (input): 'shape' is"),
    "shape of another kernel": (_set(1, shape=[3, 4, 4]), "NC0202", "layer 1 (conv): the window makes (3, 3, 3) of (2, 4, 4), 'shape' says (3, 4, 4)"),
    "flatten of another size": (_set(2, shape=[28, 1, 1]), "NC0202", "layer 2 (flatten): 'shape' is (28, 1, 1), 28 values; 27 come in"),
    "weights transposed": (_set(4, weight=np.ones((5, 4))), "NC0202", "layer 4 (dense): 'weight' has the shape (5, 4); 5 values come in and it needs (4, 5)"),
    "weights of another rank": (_set(4, weight=np.ones((4, 5, 2))), "NC0202", "layer 4 (dense): 'weight' has the shape (4, 5, 2)"),
    "weights that are one number": (_set(4, weight=3.0), "NC0202", "layer 4 (dense): 'weight' has the shape ()"),
    "kernel of another rank": (_set(1, weight=np.ones((3, 2))), "NC0202", "layer 1 (conv): 'weight' has the shape (3, 2)"),
    "kernel that does not fit": (_set(1, weight=np.full((3, 2, 9, 9), 2.0), kernelSize=None), "NC0202", "layer 1 (conv): the window makes"),
    "kernelSize differs": (_set(1, kernelSize=[3, 3]), "NC0202", "layer 1 (conv): 'kernelSize' is (3, 3)"),
    "channels differ": (_set(1, inChannels=5), "NC0202", "layer 1 (conv): 'inChannels' is 5, and 2 by the arrays"),
    "features differ": (_set(4, inFeatures=9), "NC0202", "layer 4 (dense): 'inFeatures' is 9, and 5 by the arrays"),
    "groups that do not divide": (_set(1, groups=5), "NC0202", "layer 1 (conv): 'weight' has the shape (3, 2, 2, 2) with 5 groups"),
    "stride 0": (_set(1, stride=[0, 1]), "NC0209", "layer 1 (conv): 'stride' is (0, 1)"),
    "stride of three": (_set(1, stride=[1, 1, 1]), "NC0202", "layer 1 (conv): 'stride' must be one or two numbers"),
    "NaN": (_set(4, weight=NAN), "NC0204", "layer 4 (dense): 'weight'[1, 2] is nan; it must be finite"),
    "infinite": (_set(3, bias=np.array([1, np.inf, 0, 0, 0])), "NC0204", "layer 3 (dense): 'bias'[1] is inf"),
    "not whole": (_set(4, weight=np.full((4, 5), 0.5)), "NC0207", "layer 4 (dense): 'weight'[0, 0] is 0.5 (19 more); it must be whole numbers"),
    "complex": (_set(4, weight=np.ones((4, 5), complex)), "NC0207", "layer 4 (dense): 'weight' must be whole numbers, not complex numbers"),
    "text for weights": (_set(4, weight=np.array([b"a", b"b"])), "NC0207", "layer 4 (dense): 'weight' must be whole numbers, not text"),
    "lists for weights": (_set(4, weight=_lists()), "NC0207", "layer 4 (dense): 'weight' must be numbers or a text, not values of the type object"),
    "fields for weights": (_set(4, weight=np.zeros(4, "i4,f4")), "NC0207", "layer 4 (dense): 'weight' must be numbers or a text"),
    "real and imaginary weights": (_set(4, weight={"real": np.ones((4, 5)), "imag": np.ones((4, 5))}), "NC0208", "layer 4 (dense): 'weight' has a real and an imaginary part"),
    "weights beyond 8 bits": (_set(4, weight=np.full((4, 5), 300.0)), "NC0209", "layer 4 (dense): 'weight' holds 300; weights of 8 bits lie in -256..255"),
    "bias of another size": (_set(3, bias=np.arange(4)), "NC0202", "layer 3 (dense): 'bias' has the shape (4,)"),
    "bias beyond 32 bits": (_set(3, bias=np.full(5, 2.0**40)), "NC0209", "layer 3 (dense): 'bias' holds 1099511627776"),
    "delay of another size": (_set(4, delay=np.arange(3)), "NC0202", "layer 4 (dense): 'delay' has the shape (3,)"),
    "negative delay": (_set(4, delay=np.array(-1)), "NC0209", "layer 4 (dense): 'delay' is -1; it must not be negative"),
    "half a tick": (_set(4, delay=np.full((4, 5), 1.5)), "NC0207", "layer 4 (dense): 'delay'[0, 0] is 1.5"),
    "no neuron in between": (_set(1, neuron=None), "NC0209", "'layer1' never spikes"),
    "neuron is a number": (_set(4, neuron=3), "NC0104", "layer 4 (dense): 'neuron' must be a group"),
    "sigma-delta": (_neuron(4, type="SDNN"), "NC0208", "layer 4 (dense): neuron: 'SDNN' is a sigma-delta neuron"),
    "resonate and fire": (_neuron(1, type="RF_IZ"), "NC0208", "layer 1 (conv): neuron: 'RF_IZ' is a resonate-and-fire neuron"),
    "unknown neuron": (_neuron(1, type="CUBE"), "NC0208", "layer 1 (conv): neuron: there is no type 'CUBE' of neurons"),
    "neuron without type": (_neuron(1, type=None), "NC0105", "layer 1 (conv): neuron: 'type' is missing"),
    "neuron without threshold": (_neuron(1, vThMant=None), "NC0105", "layer 1 (conv): neuron: 'vThMant' is missing"),
    "graded spikes": (_neuron(1, gradedSpike=True), "NC0208", "layer 1 (conv): neuron: it sends graded spikes"),
    "decay beyond 12 bits": (_neuron(1, iDecay=5000), "NC0209", "layer 1 (conv): neuron: 'iDecay' is 5000; it must lie in 0..4096"),
    "a current that never decays": (_neuron(1, iDecay=0), "NC0209", "layer 1 (conv): neuron: 'iDecay' is 0: the current would never decay"),
    "a potential without memory": (_neuron(1, vDecay=4096), "NC0209", "layer 1 (conv): neuron: 'vDecay' is 4096: the potential would have no memory"),
    "negative threshold": (_neuron(1, vThMant=-1), "NC0209", "layer 1 (conv): neuron: 'vThMant' is -1"),
    "thresholds of another number": (_neuron(1, vThMant=[1, 2]), "NC0202", "layer 1 (conv): neuron: 'vThMant' has 2 values"),
    "some never spike": (_neuron(4, vThMant=[9, 9, 9, 1 << 18]), "NC0209", "for some neurons, which never spike"),
    "input in the middle": (_insert(2, image(3, 3, 3)), "NC0209", "layer 2 (input): an input can only be the first layer"),
    "transposed convolution": (_insert(4, {"type": "convT", "shape": [1, 1, 1]}), "NC0208", "layer 4 (convT): it is a transposed convolution"),
    "unpool": (_insert(4, {"type": "unpool"}), "NC0208", "layer 4 (unpool): it is an unpooling"),
    "average of odd groups": (_insert(4, {"type": "average", "shape": [2]}), "NC0202", "layer 4 (average): 5 values do not make 2 groups"),
    "average that leaves the integers": (_insert(2, {"type": "average", "shape": [27 // 9]}), "NC0202", "layer 3 (flatten): 'shape' is (27, 1, 1), 27 values; 3 come in"),
    "concat without list": (_insert(4, {"type": "concat", "shape": [9]}), "NC0105", "layer 4 (concat): 'layers' is missing"),
    "concat with what comes": (_insert(4, {"type": "concat", "layers": np.array([5])}), "NC0209", "layer 4 (concat): it joins layer 5, which does not come before it"),
    "concat of other images": (_insert(2, {"type": "concat", "layers": np.array([0, 1])}), "NC0202", "layer 2 (concat): it joins (2, 4, 4) and (3, 3, 3)"),
    "ends in a concat": (lambda layers: layers.append({"type": "concat", "layers": np.array([3, 4])}), "NC0105", "layer 5 (concat): the network ends in values that no neuron receives"),
    "pool of another shape": (_insert(2, pool([3, 2, 2], [2, 2], neuron=cuba())), "NC0202", "layer 2 (pool): the window makes (3, 1, 1) of (3, 3, 3)"),
    "pool without weight": (_insert(2, pool([3, 1, 1], [2, 2]) | {"weight": {}}), "NC0208", "layer 2 (pool): 'weight' has a real and an imaginary part"),
    "recurrent without its weights": (_set(4, type="dense_rec"), "NC0105", "layer 4 (dense_rec): 'weight_rec' is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_wrong_file_says_where(tmp_path: Path, name: str) -> None:
    change, code, message = ODD[name]
    layers = _good()
    assert read(tmp_path, copy.deepcopy(layers)).populations
    change(layers)
    with pytest.raises(NetworkError) as caught:
        read(tmp_path, layers)
    found = [d for d in caught.value.diagnostics if d.message.startswith(message) or message in d.message]
    assert found, str(caught.value)
    assert found[0].code == code
    assert found[0].hint
    assert found[0].location is not None
    assert found[0].location.file == "net.net"


def test_all_problems_come_together(tmp_path: Path) -> None:
    layers = _good()
    _neuron(1, type="SDNN")(layers)
    _set(3, weight=None)(layers)
    _set(4, weight=NAN, delay=np.array(-1))(layers)
    with pytest.raises(NetworkError) as caught:
        read(tmp_path, layers)
    assert [d.message.split(":")[0] for d in caught.value.diagnostics] == [
        "layer 1 (conv)",
        "layer 3 (dense)",
        "layer 4 (dense)",
    ]


def test_an_average_of_weights_that_do_not_divide(tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    layers = [dense(rng, 12, 10), {"type": "average", "shape": [4]}, dense(rng, 5, 4, weight=np.full((5, 4), 8.0))]
    with pytest.raises(NetworkError, match=r"weight 8 behind an average over 3 would be 2\.66667, which is not whole"):
        read(tmp_path, layers)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"trained_in": "norse"}, "trained in 'norse': netx files come from lava-dl"),
        ({"integration": "exact"}, "integration 'exact' has no place here"),
        ({"reset": "value"}, "a reset to a value needs the value"),
        ({"dt": 0.0}, "a tick of 0.0 s"),
        ({"ticks": 0}, "0 ticks per sample"),
    ],
)
def test_what_a_netx_file_cannot_follow(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "net.net", _good())
    with pytest.raises(NetworkError, match=message):
        from_netx.load(path, Reading(**said))


def _refused(path: Path, message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        from_netx.load(path)
    assert message in str(caught.value)
    assert str(path.parent) not in str(caught.value)


def test_files_that_are_no_netx(tmp_path: Path) -> None:
    _refused(tmp_path, "is a folder")
    _refused(tmp_path / "missing.net", "there is no file 'missing.net'")
    path = tmp_path / "a.net"
    path.write_bytes(b"")
    _refused(path, "the file is no HDF5")
    path.write_bytes(b"neurocomp: 1\n" * 100)
    _refused(path, "the file is no HDF5")
    whole = write(path, _good()).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    _refused(path, "the file is cut off")
    with h5py.File(path, "w"):
        pass
    _refused(path, "'layer' is missing")
    with h5py.File(path, "w") as file:
        file["layer"] = np.ones(3)
    _refused(path, "'layer' must be a group of values")
    with h5py.File(path, "w") as file:
        file.create_group("layer")
    _refused(path, "/layer holds no layers")
    with h5py.File(path, "w") as file:
        file.create_group("layer/one")
        file.create_group("layer/00")
    _refused(path, "/layer holds 'one'")


def test_layers_that_are_not_where_they_should_be(tmp_path: Path) -> None:
    path = write(tmp_path / "a.net", _good())
    with h5py.File(path, "a") as file:
        file.move("layer/4", "layer/7")
    _refused(path, "/layer goes up to 7 and lacks 4")
    path = write(tmp_path / "b.net", _good())
    with h5py.File(path, "a") as file:
        del file["layer/4"]
        file["layer/4"] = 3
    _refused(path, "'4' must be a group of values")
    path = write(tmp_path / "c.net", _good())
    with h5py.File(path, "a") as file:
        del file["layer/4/weight"]
        file["layer/4/weight"] = h5py.SoftLink("/nowhere")
    _refused(path, "layer 4 (dense): 'weight' cannot be read")
    with h5py.File(path, "a") as file:
        del file["layer/4/weight"]
        file["layer/4/weight"] = h5py.ExternalLink(str(tmp_path / "b.net"), "/layer/3/weight")
    _refused(path, "layer 4 (dense): 'weight' is a link to another file")
    with h5py.File(path, "a") as file:
        del file["layer/4/weight"]
        file.create_dataset("layer/4/weight", (1 << 30, 1 << 20), np.float32, chunks=(1, 1 << 10))
    _refused(path, "layer 4 (dense): 'weight' has the shape (1073741824, 1048576)")
    with h5py.File(path, "a") as file:
        del file["layer/4/weight"]
        file.create_dataset("layer/4/weight", data=h5py.Empty("f4"))
    _refused(path, "layer 4 (dense): 'weight' is empty")
    with h5py.File(path) as file:
        at = file["layer/3/neuron/type"].id.get_offset()
    damaged = bytearray(path.read_bytes())
    damaged[at : at + 4] = b"\xff\xff\xff\x7f"  # the length of the text
    (tmp_path / "d.net").write_bytes(damaged)
    _refused(tmp_path / "d.net", "layer 3 (dense): neuron: 'type' cannot be read: its text lies outside of the file")
    with h5py.File(path, "a") as file:
        file["layer/4/na\u00efve"] = 1
    _refused(path, "layer 4: it holds 'na\\xefve', which is no name of the format")


def test_flipped_bytes_are_an_error_or_a_network(tmp_path: Path) -> None:
    whole = bytearray(write(tmp_path / "a.net", _good()).read_bytes())
    rng = np.random.default_rng(13)
    refused = 0
    for trial in range(150):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 1 + trial % 20):
            data[at] ^= int(rng.integers(1, 256))
        path = tmp_path / "flipped.net"
        path.write_bytes(data)
        try:
            from_netx.load(path)
        except NetworkError:
            refused += 1
    assert 10 < refused < 150


# real networks


def _oxford() -> tuple[Array, Array]:
    """Return the input (1, 2000, 200), times rounded to ms and OR-binned, and the recorded spikes (2000, 200)."""
    events, recorded = np.load(MODELS / "oxford_input.npy"), np.load(MODELS / "oxford_ground_truth.npy")
    x, spikes = np.zeros((1, 2000, 200), np.int8), np.zeros((2000, 200), np.int8)
    x[0, np.round(events[:, 2]).astype(int), events[:, 0].astype(int)] = 1
    spikes[recorded[:, 2].astype(int), recorded[:, 0].astype(int)] = 1
    assert spikes.sum() == len(recorded) == 10178
    return x, spikes


def test_oxford_spikes_as_recorded() -> None:
    x, recorded = _oxford()
    network = from_netx.load(MODELS / "oxford.net", Reading(compare=">=", ticks=2000))
    one = neurocomp.compile(network, target="reference")
    for engine in ("reference", "fast"):
        # Each of the two layers acts a tick after its input: the recording's shift of 2.
        spikes = one.run(engine, {"input": x}).arrays["spikes/layer1"][0]
        assert (spikes != recorded).sum() == 0


def test_oxford_on_loihi_is_refused_or_measured() -> None:
    x, recorded = _oxford()
    network = from_netx.load(MODELS / "oxford.net", Reading(compare=">=", ticks=2000))
    with pytest.raises(UnsupportedError, match="compares with '>=', and no threshold of '>' gives the same spikes"):
        neurocomp.compile(network, target="loihi")
    one = neurocomp.compile(network, target="loihi", compare="gt")
    spikes = one.run("reference", {"input": x}).arrays["spikes/layer1"][0]
    assert (spikes.sum(), (spikes != recorded).sum()) == (9632, 3014)
    report = one.verify(["reference", "chip"], inputs={"input": x})
    assert report.bit_exact
    assert report.lossy["layer1"]["spikes_moved_or_lost"] == 3014


def _mnist(first: int, count: int, ticks: int) -> tuple[Array, Array]:
    """Return spikes of 16 ticks, (count, ticks, 784), and labels: v += pixel / 255, a spike and v = 0 where v > 1.

    The 500 images of the examples are the first of MNIST's 10,000.
    """
    shipped = first + count <= 500
    with np.load(ROOT / "examples" / "mnist_mlp" / "test.npz" if shipped else ALL_IMAGES) as stored:
        images, answers = (stored[key] for key in (("images", "labels") if shipped else ("x", "y")))
    x, labels = images[first : first + count].astype(np.float64), answers[first : first + count]
    spikes, v = np.zeros((len(x), ticks, 784), np.int8), np.zeros((len(x), 784))
    for tick in range(16):
        v += x / 255.0
        spikes[:, tick] = v > 1
        v[v > 1] = 0
    return spikes, labels


MNIST_TICKS = 16 + 3
"""The last spikes pass three layers, a tick each."""


@pytest.mark.parametrize(
    ("engine", "count"),
    [
        ("reference", 200),
        ("chip", 200),
        ("fast", 500),
        pytest.param(
            "fast", 10000, marks=pytest.mark.skipif(not ALL_IMAGES.is_file(), reason="the repository ships 500 images of MNIST")
        ),
    ],
)
def test_mnist_is_recognized(engine: str, count: int) -> None:
    network = from_netx.load(MODELS / "mnist_784_128_64_10.net", Reading(ticks=MNIST_TICKS))
    one = neurocomp.compile(network, target="loihi")
    right = 0
    for first in range(0, count, 1000):
        spikes, labels = _mnist(first, min(1000, count), MNIST_TICKS)
        answers = one.run(engine, {"input": spikes}).arrays["spikes/layer2"].sum(axis=1).argmax(axis=1)
        right += int((answers == labels).sum())
    assert right == {10000: 9524, 500: 479, 200: 196}[count]


def test_mnist_integers_are_those_of_the_file() -> None:
    network = from_netx.load(MODELS / "mnist_784_128_64_10.net", Reading(ticks=MNIST_TICKS))
    lowered = neurocomp.compile(network, target="loihi").artifact.lowered.network
    with h5py.File(MODELS / "mnist_784_128_64_10.net") as file:
        for number, q in enumerate(lowered.projections):
            np.testing.assert_array_equal(q.weights, file[f"layer/{number}/weight"][()])
    for p in lowered.populations.values():
        if not p.is_input:
            assert {key: int(p.values(key)[0]) for key in ("du", "dv", "vth")} == {"du": 409, "dv": 410, "vth": 64}


def test_mnist_engines_agree() -> None:
    one = neurocomp.compile(from_netx.load(MODELS / "mnist_784_128_64_10.net", Reading(ticks=MNIST_TICKS)), target="loihi")
    report = one.verify(["reference", "fast", "chip"], inputs={"input": _mnist(0, 200, MNIST_TICKS)[0]})
    assert report.bit_exact
    assert not report.lossy
    assert report.spikes_compared > 10000


@pytest.mark.lava
def test_mnist_in_lava() -> None:
    one = neurocomp.compile(from_netx.load(MODELS / "mnist_784_128_64_10.net", Reading(ticks=MNIST_TICKS)), target="loihi")
    assert one.witnesses()["lava"].unavailable(one.artifact.lowered) is None
    assert one.verify(["reference", "lava"], inputs={"input": _mnist(0, 20, MNIST_TICKS)[0]}).bit_exact
