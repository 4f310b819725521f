# ruff: noqa: E501 - messages stand in one piece
"""net.yaml becomes a network, or whole messages."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from neurocomp.errors import NetworkError, NeurocompError, UnsupportedError
from neurocomp.frontends.from_yaml import load, loads
from neurocomp.ir.network import Choice, Network, Projection
from neurocomp.models.inexpressible import inexpressible
from neurocomp.models.learning import LEARNING_RULES
from neurocomp.models.neurons import NEURON_MODELS
from neurocomp.models.patterns import Pattern

ROOT = Path(__file__).parents[2]

NET = """\
neurocomp: 1
name: tiny
timestep: 1 ms
ticks: 8
populations:
  pixels: {kind: input, shape: [4]}
  hidden: {shape: [3], neuron: {model: lif, tau_mem: 20 ms, reset: zero}}
  digits: {shape: [2], neuron: {model: lif, tau_mem: 20 ms, reset: zero}}
projections:
  - {from: pixels, to: hidden, weights: w.npz#w1, bias: w.npz#b1}
  - {from: hidden, to: digits, weights: w.npz#w2, delay: 0}
encode: {pixels: {scheme: bernoulli, gain: 0.5, seed: 7}}
decode: {digits: {scheme: count}}
data: {inputs: {pixels: d.npz#x}, labels: d.npz#y, scale: 1/255}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    w2 = rng.normal(size=(2, 3))
    bad = w2.copy()
    bad[1, 2] = np.nan
    np.savez(
        tmp_path / "w.npz",
        w1=rng.normal(size=(3, 4)).astype(np.float32),
        b1=np.zeros(3, np.float32),
        w2=w2,
        bad=bad,
        turned=w2.T,
        text=np.array([["a"]]),
        whole=np.array([[-3, 4, 5], [6, 7, 8]], np.int8),
        taus=np.array([0.01, 0.02, 0.03]),
    )
    np.savez(
        tmp_path / "p.npz",
        k=np.arange(216.0).reshape(6, 4, 3, 3),
        grouped=np.ones((6, 2, 3, 3)),
        out=np.ones((5, 54)),
        flat=np.ones((6, 36)),
        empty=np.ones((6, 0, 3, 3)),
        six=np.arange(6.0),
        image=np.arange(216.0).reshape(6, 6, 6),
        half=np.float64(0.5),
        delays=np.arange(216).reshape(6, 4, 3, 3) % 3,
    )
    np.savez(tmp_path / "d.npz", x=np.arange(20, dtype=np.uint8).reshape(5, 4), y=np.arange(5) % 2, nan=np.full((5, 4), np.nan))
    (tmp_path / "net.yaml").write_text(NET)
    return tmp_path


def changed(old: str, new: str, text: str = NET) -> str:
    assert old in text
    return text.replace(old, new, 1)


def message(text: str, folder: Path, kind: type[NeurocompError] = NetworkError) -> str:
    with pytest.raises(NeurocompError) as caught:
        loads(text, folder)
    assert type(caught.value) is kind
    return str(caught.value)


def summary(text: str, folder: Path, kind: type[NeurocompError] = NetworkError) -> list[str]:
    """Return the problems without excerpts: ``line:column CODE message | hint``."""
    heads = []
    for part in message(text, folder, kind).split("\n\n"):
        lines = part.splitlines()
        place, code, rest = re.fullmatch(r"net\.yaml:?(\S*?):? error\[(\w+) [\w-]+\]: (.*)", lines[0]).groups()  # type: ignore[union-attr]
        hints = [line.removeprefix("hint:  ") for line in lines if line.startswith("hint:")]
        heads.append(" | ".join([f"{place} {code} {rest}", *hints]))
    return heads


def test_the_whole_network(folder: Path) -> None:
    network = load(folder / "net.yaml")

    assert (network.name, network.timestep, network.ticks) == ("tiny", 0.001, 8)
    assert {name: p.shape for name, p in network.populations.items()} == {"pixels": (4,), "hidden": (3,), "digits": (2,)}
    assert [p.name for p in network.inputs] == ["pixels"]
    assert [p.name for p in network.outputs] == ["digits"]
    hidden = network.populations["hidden"].neuron
    assert hidden is not None
    assert {key: float(value) for key, value in hidden.parameters.items()} == {
        "tau_mem": 0.02,
        "r": 1.0,
        "v_threshold": 1.0,
        "v_init": 0.0,
    }
    first, second = network.projections
    assert (first.name, second.name) == ("pixels->hidden", "hidden->digits")
    assert first.weights.dtype == np.float32
    assert first.bias is not None
    assert not first.weights.flags.writeable
    assert network.encoders["pixels"].options == {"gain": 0.5, "seed": 7}
    assert network.data.scale == 1 / 255
    assert network.data.samples is not None
    assert network.data.samples.labels is not None
    assert network.data.samples.count == 5


def test_origins(folder: Path) -> None:
    network = load(folder / "net.yaml")

    hidden, projection, encoder = (
        network.populations["hidden"].origin,
        network.projections[1].origin,
        network.encoders["pixels"].origin,
    )
    assert hidden is not None
    assert projection is not None
    assert (str(hidden), hidden.length) == ("net.yaml:7:3", len(NET.splitlines()[6]) - 2)
    assert str(projection) == "net.yaml:11:5"
    assert str(encoder) == "net.yaml:12:10"


def test_open_axes_are_recorded(folder: Path) -> None:
    network = load(folder / "net.yaml")
    axes = [(c.axis, c.value) for c in network.choices if c.subject == "hidden"]

    assert axes == [
        ("integration", "exact"),
        ("input", "delta"),
        ("threshold_on", "new"),
        ("compare", ">"),
        ("spikes_per_tick", "one"),
        ("reset_when", "same_tick"),
    ]
    assert Choice("digits", "compare", ">", "default") in network.choices


def test_only_axes_that_matter_are_recorded(folder: Path) -> None:
    network = loads(changed("{model: lif, tau_mem: 20 ms, reset: zero}", "{model: i}"), folder)

    assert [c for c in network.choices if c.subject == "hidden"] == []


def neuron(keys: str, folder: Path) -> Network:
    return loads(changed("{model: lif, tau_mem: 20 ms, reset: zero}", "{" + keys + "}"), folder)


def test_semantic_axes(folder: Path) -> None:
    network = neuron(
        'model: cuba_lif, tau_mem: 20 ms, tau_syn: 5 ms, integration: euler, input: current, threshold_on: old, compare: ">=", '
        "spikes_per_tick: many, reset: {value: -0.5}, reset_when: next_tick, refractory: 3 ms, v_floor: -1, "
        "reset_every: {interval: 4, offset: 1}",
        folder,
    )
    found = network.populations["hidden"].neuron
    assert found is not None
    axes = found.semantics

    assert (axes.integration, axes.input, axes.threshold_on, axes.compare) == ("euler", "current", "old", ">=")
    assert (axes.spikes_per_tick, axes.reset, axes.reset_value, axes.reset_when) == ("many", "value", -0.5, "next_tick")
    assert (axes.refractory, axes.v_floor, axes.reset_interval, axes.reset_offset) == (3, -1.0, 4, 1)


def test_parameters_per_neuron(folder: Path) -> None:
    for taus in ("w.npz#taus", "[10 ms, 0.02 s, 30000 us]"):
        found = neuron(f"model: lif, tau_mem: {taus}, v_threshold: [1, 2, 3.5]", folder).populations["hidden"].neuron
        assert found is not None
        assert found.parameters["tau_mem"].tolist() == [0.01, 0.02, 0.03]
        assert found.parameters["v_threshold"].tolist() == [1.0, 2.0, 3.5]


@pytest.mark.parametrize("tau", ["inf", "inf s", ".inf"])
def test_time_constants_may_be_infinite(folder: Path, tau: str) -> None:
    found = neuron(f"model: lif, tau_mem: {tau}", folder).populations["hidden"].neuron
    assert found is not None
    assert np.isposinf(found.parameters["tau_mem"])


PROJECTION = "{from: hidden, to: digits, weights: w.npz#w2, delay: 0}"


def projections(entries: str, folder: Path) -> Network:
    return loads(changed("- " + PROJECTION, entries), folder)


def test_patterns(folder: Path) -> None:
    network = projections(
        "- {from: hidden, to: digits, pattern: {sparse: {sources: [0, 2], targets: [1, 0]}}, weights: [1, 2], delay: [1, 3]}\n"
        "  - {from: hidden, to: digits, pattern: [{sparse: {sources: [0], targets: [1]}}], weights: 2, delay: 2 ms}\n"
        "  - {from: digits, to: digits, pattern: one_to_one, weights: -0.5, delay: 1}\n"
        "  - {from: hidden, to: digits, weights: w.npz#turned, transpose: true, name: again}\n"
        "  - {from: hidden, to: digits, weights: [[1, 2, 3], [4, 5, 6.5]]}",
        folder,
    )

    assert [q.name for q in network.projections] == [
        "pixels->hidden",
        "hidden->digits",
        "hidden->digits#2",
        "digits->digits",
        "again",
        "hidden->digits#3",
    ]
    sparse, scalar, own, turned, inline = network.projections[1:]
    assert sparse.weights.dtype == np.int64
    assert sparse.delay.tolist() == [1, 3]
    assert (scalar.weights.tolist(), int(scalar.delay)) == ([2], 2)
    assert own.weights.tolist() == [-0.5, -0.5]
    assert turned.weights.shape == (2, 3)
    assert inline.weights.tolist() == [[1, 2, 3], [4, 5, 6.5]]


def native(parameters: str, projection: str, folder: Path) -> Network:
    old = "digits: {shape: [2], neuron: {model: lif, tau_mem: 20 ms, reset: zero}}"
    text = changed(old, f"digits: {{shape: [2], neuron: {{{parameters}}}}}")
    return loads(changed(PROJECTION, f"{{from: hidden, to: digits, {projection}}}", text), folder)


def test_native_integers(folder: Path) -> None:
    network = native(
        "model: lif, format: loihi, dv: [1, 2], vth: 100, bias_mant: -3, reset_every: {interval: 4}",
        "weights: w.npz#whole, weight_exp: -1, weight_bits: 6",
        folder,
    )
    found, projection = network.populations["digits"].neuron, network.projections[1]
    assert found is not None
    assert projection.native is not None

    assert found.number_format == "loihi"
    assert {key: value.tolist() for key, value in found.parameters.items()} == {
        "du": 4095,
        "dv": [1, 2],
        "vth": 100,
        "bias_mant": -3,
        "bias_exp": 0,
        "u_init": 0,
        "v_init": 0,
    }
    assert all(value.dtype == np.int64 for value in found.parameters.values())
    assert projection.weights.dtype == np.int8
    assert (projection.native.weight_exp, projection.native.weight_bits, projection.native.sign_mode) == (-1, 6, "mixed")
    assert [c.axis for c in network.choices if c.subject == "digits"] == [
        "threshold_on",
        "compare",
        "spikes_per_tick",
        "reset",
        "reset_when",
    ]


@pytest.mark.parametrize(
    ("weights", "sign"),
    [
        ("[[1.0, 2, 3], [4, 5, 6]]", "excitatory"),
        ("[[-1, 0, 0], [0, 0, 0]]", "inhibitory"),
        ("[[0, 0, 0], [0, 0, 0]]", "excitatory"),
    ],
)
def test_the_sign_of_native_weights(folder: Path, weights: str, sign: str) -> None:
    projection = native("model: if, format: lava-unchecked, vth: 9", f"weights: {weights}", folder).projections[1]
    assert projection.native is not None

    assert projection.native.sign_mode == sign
    assert projection.weights.dtype == np.int64


def test_native_integers_and_real_numbers_do_not_mix(folder: Path) -> None:
    with pytest.raises(NetworkError) as caught:
        native(
            "model: lif, format: loihi, tau_mem: 20 ms, dv: 1.5, vth: 3",
            "weights: [[0.5, 1, 1], [1, 1, 1]], bias: [1, 1]",
            folder,
        )
    assert [(d.code, d.message, d.hint) for d in caught.value.diagnostics] == [
        (
            "NC0103",
            "population 'digits': neuron: unknown key 'tau_mem'",
            "with 'format: loihi' a neuron states du, dv, vth, bias_mant, bias_exp, u_init, v_init",
        ),
        ("NC0104", "population 'digits': dv must be a whole number, not the number 1.5", None),
        ("NC0207", "projection 'hidden->digits': weights[0, 0] is 0.5; whole numbers are needed", None),
        (
            "NC0103",
            "projection 'hidden->digits': unknown key 'bias'",
            "integers of a chip have their bias in the neuron: bias_mant, bias_exp",
        ),
    ]


def test_a_whole_message(folder: Path) -> None:
    assert message(changed("tau_mem: 20 ms, reset", "tau_mem: 20 ms, rest"), folder) == (
        "net.yaml:7:61: error[NC0103 unknown-key]: population 'hidden': neuron: unknown key 'rest'\n"
        "    7 |   hidden: {shape: [3], neuron: {model: lif, tau_mem: 20 ms, rest: zero}}\n"
        "      |                                                             ^^^^\n"
        "hint:  did you mean 'reset'?"
    )


def test_shape_mismatch_message(folder: Path) -> None:
    assert message(changed("#w2", "#turned"), folder) == (
        "net.yaml:11:5: error[NC0202 shape-mismatch]: projection 'hidden->digits': weights have the shape (3, 2), "
        "'hidden' -> 'digits' (dense) needs (2, 3)\n"
        "   11 |   - {from: hidden, to: digits, weights: w.npz#turned, delay: 0}\n"
        "      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "hint:  the array looks transposed; 'transpose: true' turns it"
    )


def test_cycle_message(folder: Path) -> None:
    assert message(
        changed("encode:", "  - {from: digits, to: hidden, weights: w.npz#w2, transpose: true}\nencode:"), folder
    ) == (
        "net.yaml:12:5: error[NC0205 zero-delay-cycle]: the cycle hidden -> digits -> hidden has a total delay of 0 ticks\n"
        "   12 |   - {from: digits, to: hidden, weights: w.npz#w2, transpose: true}\n"
        "      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "hint:  give projection 'digits->hidden' 'delay: 1'"
    )


UNIT = "write a number and one of s, ms, us, ns, such as '20 ms'"
WRITE = "write 'FILE.npz#key' or 'FILE.npy'"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("neurocomp: 1", "neurocomp: 2", "1:12 NC0107 schema version 2 is not known | write 'neurocomp: 1'"),
        ("ticks: 8", "ticks: 0", "4:8 NC0209 ticks is 0; it must lie in 1..2147483647"),
        ("ticks: 8\n", "", "1:1 NC0105 the network: the key 'ticks' is missing"),
        ("ticks: 8", "tick: 8\nticks: 8", "4:1 NC0103 the network: unknown key 'tick' | did you mean 'ticks'?"),
        ("timestep: 1 ms", "timestep: 1", f"3:11 NC0106 timestep is a time and needs a unit; it is 1 | {UNIT}"),
        ("timestep: 1 ms", "timestep: 1 mV", f"3:11 NC0106 timestep is a time; in '1 mV' the unit 'mV' is none of time | {UNIT}"),
        ("timestep: 1 ms", "timestep: -1 ms", "3:11 NC0209 timestep must be positive, not '-1 ms'"),
        ("timestep: 1 ms", "timestep: inf s", "3:11 NC0209 timestep must be finite"),
        ("timestep: 1 ms", "timestep: 1e-999999999 ms", "3:11 NC0209 timestep must be positive, not '1e-999999999 ms'"),
        ("shape: [4]", "shape: []", "6:32 NC0104 population 'pixels': shape must be a list of sizes, not an empty list"),
        ("shape: [4]", "shape: 4", "6:32 NC0104 population 'pixels': shape must be a list of sizes, not the number 4 | write [4]"),
        ("shape: [4]", "shape: [0]", "6:33 NC0209 population 'pixels': an extent of the shape is 0; it must lie in 1..2147483647"),
        ("kind: input", "kind: inptu", "6:18 NC0104 population 'pixels': kind must be input, not 'inptu' | did you mean 'input'?"),
        ("model: lif", "model: lef", "7:40 NC0208 population 'hidden': model: there is no neuron model 'lef' | did you mean 'lif'?"),
        ("tau_mem: 20 ms, ", "", "7:32 NC0105 population 'hidden': model 'lif' needs 'tau_mem', the membrane time constant"),
        ("tau_mem: 20 ms", "tau_mem: 20", f"7:54 NC0106 population 'hidden': tau_mem is a time and needs a unit; it is 20 | {UNIT}"),
        ("reset: zero", "v_threshold: 1 mV", "7:74 NC0106 population 'hidden': v_threshold has no unit; it is '1 mV' | write 1"),
        ("reset: zero", "v_threshold: .nan", "7:74 NC0204 population 'hidden': v_threshold must be finite, not the number nan"),
        (
            "reset: zero",
            "reset: zeor",
            "7:68 NC0104 population 'hidden': reset must be zero or subtract or none or {value: x}, not 'zeor' | did you mean 'zero'?",
        ),
        ("reset: zero", "du: 3", "7:61 NC0103 population 'hidden': neuron: unknown key 'du' | integers of a chip need 'format: loihi'"),
        (
            "tau_mem: 20 ms",
            "tau_mem: 0.5 ms, integration: euler",
            "7:54 NC0209 population 'hidden': tau_mem 0.0005 s is shorter than the timestep 0.001 s, "
            "which 'integration: euler' cannot follow | write 'exact'",
        ),
        (
            "reset: zero",
            "refractory: 1.5 ms",
            "7:73 NC0209 population 'hidden': refractory is '1.5 ms', 1.5 ticks; a whole number of ticks is needed | a tick is 0.001 s",
        ),
        ("to: digits", "to: digit", "11:24 NC0201 projection 'hidden->digit': there is no population 'digit' | did you mean 'digits'?"),
        ("w.npz#w2", "v.npz#w2", "11:41 NC0101 there is no file 'v.npz' | did you mean 'w.npz'?"),
        (
            "w.npz#w2",
            "w.npz#w9",
            "11:41 NC0203 'w.npz' holds no array 'w9'; its keys: w1, b1, w2, bad, turned, text, whole, taus",
        ),
        ("w.npz#w2", "w.npz#text", "11:41 NC0207 'w.npz#text' has the dtype <U1; integers, floats or booleans are needed"),
        ("w.npz#w2", "w.npz#bad", "11:5 NC0204 projection 'hidden->digits': weights[1, 2] is nan"),
        (
            "w.npz#w2",
            "[[1, 2, 3], [4, 5]]",
            "11:53 NC0202 projection 'hidden->digits': weights: row 1 has the shape (2,), row 0 (3,) | all rows need the same length",
        ),
        (
            "w.npz#w2",
            "0.5",
            "11:41 NC0104 projection 'hidden->digits': weights of the pattern 'dense' must be an array, not the number 0.5"
            " | write 'FILE.npz#key', 'FILE.npy' or a list of rows",
        ),
        ("w.npz#w2", "w.npz#w2, weight_exp: 1", "11:51 NC0103 projection 'hidden->digits': unknown key 'weight_exp'"
         " | it belongs to integers of a chip; 'digits' has no 'format'"),
        ("delay: 0", "delay: -1", "11:58 NC0209 projection 'hidden->digits': delay is -1; it must lie in 0..2147483647"),
        ("delay: 0", "delay: 1.0", "11:58 NC0104 projection 'hidden->digits': delay must be a whole number, not the number 1.0"),
        ("delay: 0", "delay: [[0.5]]", "11:58 NC0207 projection 'hidden->digits': delay has the dtype float64; whole ticks are needed"),
        ("delay: 0", "pattern: dens", "11:60 NC0208 projection 'hidden->digits': pattern: there is no pattern 'dens'"
         " | did you mean 'dense'?"),
        ("delay: 0", "pattern: {sparse: {sources: [9], targets: [0]}}",
         "11:5 NC0202 projection 'hidden->digits': sources holds the index 9, outside 0..2"),
        ("pixels: {scheme", "pixel: {scheme", "12:10 NC0201 encoder of 'pixel': there is no population 'pixel' | did you mean 'pixels'?"),
        ("pixels: {scheme", "hidden: {scheme", "12:10 NC0201 encoder of 'hidden': the population must be an input"),
        ("bernoulli", "bernuli", "12:27 NC0208 encoder of 'pixels': scheme: there is no encoder 'bernuli' | did you mean 'bernoulli'?"),
        ("gain: 0.5", "gain: -1", "12:44 NC0209 encoder of 'pixels': gain is -1.0; it must be at least 0"),
        ("seed: 7", "gian: 7", "12:49 NC0103 encoder of 'pixels': unknown key 'gian' | did you mean 'gain'?"),
        ("digits: {scheme", "pixels: {scheme", "13:10 NC0201 decoder of 'pixels': the population must not be an input"),
        ("d.npz#x", "d.npz#nan", "14:25 NC0204 data of 'pixels': [0, 0] is nan"),
        ("d.npz#x", "d.npz#y", "14:25 NC0210 data of 'pixels' have the shape (5,); (samples, 4) is needed"),
        ("d.npz#x", "x", f"14:25 NC0104 data.inputs.pixels must name an array in a file, not 'x' | {WRITE}"),
        ("1/255", "1/0", "14:59 NC0104 data.scale must be a number or a fraction, not '1/0' | write such as 1/255"),
        ("1/255", "-1", "14:59 NC0209 data.scale is -1; it must be positive"),
    ],
)  # fmt: skip
def test_bad_values(folder: Path, old: str, new: str, problem: str) -> None:
    assert summary(changed(old, new), folder) == [problem]


WINDOWS = """\
neurocomp: 1
name: windows
timestep: 1 ms
ticks: 4
populations:
  a: {kind: input, shape: [4, 8, 8]}
  v: {kind: input, shape: [256]}
  b: {shape: [6, 6, 6], neuron: {model: if}}
  s: {shape: [6, 3, 3], neuron: {model: if}}
  c: {shape: [4, 4, 4], neuron: {model: if}}
  o: {shape: [5], neuron: {model: if}}
projections:
"""


def windows(projection: str, folder: Path) -> Projection:
    (found,) = loads(f"{WINDOWS}  - {{{projection}}}\n", folder).projections
    return found


def options(pattern: Pattern) -> dict[str, tuple[int, ...]]:
    return {key: tuple(values) for key, values in pattern.options.items()}


def test_convolutions(folder: Path) -> None:
    plain = windows("from: a, to: b, pattern: conv2d, weights: p.npz#k, bias: p.npz#six, delay: p.npz#delays", folder)
    strided = windows("from: a, to: s, pattern: {conv2d: {stride: 2, padding: [0, 0], kernel: 3}}, weights: p.npz#k", folder)
    grouped = windows("from: a, to: b, pattern: {conv2d: {groups: 2}}, weights: p.npz#grouped, bias: p.npz#image", folder)

    assert options(plain.pattern) == {
        "kernel": (3, 3), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": (1,),
    }  # fmt: skip
    assert plain.bias is not None
    assert grouped.bias is not None
    np.testing.assert_array_equal(plain.bias, np.repeat(np.arange(6.0), 36))
    np.testing.assert_array_equal(grouped.bias, np.arange(216))
    assert plain.delay.shape == plain.weights.shape == (6, 4, 3, 3)
    assert options(strided.pattern)["stride"] == (2, 2)
    assert options(grouped.pattern)["groups"] == (2,)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{avgpool2d: 2}", {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)}),
        ("{sumpool2d: [2, 2]}", {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)}),
        ("{maxpool2d: {kernel: 3, stride: [2, 2], padding: 1}}", {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1)}),
    ],
)
def test_pools(folder: Path, pattern: str, expected: dict[str, tuple[int, ...]]) -> None:
    pool = windows(f"from: a, to: c, pattern: {pattern}", folder)
    half = [windows(f"from: a, to: c, pattern: {pattern}, weights: {weights}", folder) for weights in ("0.5", "p.npz#half")]

    assert options(pool.pattern) == expected
    assert (pool.weights.shape, float(pool.weights)) == ((), 1.0)
    assert [float(q.weights) for q in half] == [0.5, 0.5]


def test_a_chain(folder: Path) -> None:
    q = windows(
        "from: a, to: o, pattern: [{scale: {weights: [1, 2, 3, 4]}}, {conv2d: {weights: p.npz#k}}, {sumpool2d: {kernel: 2, "
        "weights: 2}}, flatten, dense], weights: p.npz#out, delay: 2",
        folder,
    )

    assert [(s.pattern.kind, s.shape, s.weights.shape) for s in q.before] == [
        ("scale", (4, 8, 8), (256,)),
        ("conv2d", (6, 6, 6), (6, 4, 3, 3)),
        ("sumpool2d", (6, 3, 3), ()),
        ("flatten", (54,), ()),
    ]
    np.testing.assert_array_equal(q.before[0].weights, np.repeat([1, 2, 3, 4], 64))
    assert [float(s.weights) for s in q.before[2:]] == [2.0, 1.0]
    assert (q.pattern.kind, q.weights.shape, int(q.delay)) == ("dense", (5, 54), 2)
    assert not any(s.weights.flags.writeable for s in q.before)


@pytest.mark.parametrize("weights", ["0.5", "p.npz#six", "p.npz#image"])
def test_the_weights_of_scale(folder: Path, weights: str) -> None:
    q = windows(f"from: a, to: b, pattern: [{{conv2d: {{weights: p.npz#k}}}}, scale], weights: {weights}", folder)
    expected = {"0.5": np.full(216, 0.5), "p.npz#six": np.repeat(np.arange(6.0), 36), "p.npz#image": np.arange(216.0)}

    np.testing.assert_array_equal(q.weights, expected[weights])


def test_transpose_turns_the_dense_of_a_chain(folder: Path) -> None:
    np.save(folder / "turned.npy", np.arange(270.0).reshape(54, 5))
    chain = "[{conv2d: {weights: p.npz#k}}, {avgpool2d: 2}, dense]"

    q = windows(f"from: a, to: o, pattern: {chain}, weights: turned.npy, transpose: true", folder)

    np.testing.assert_array_equal(q.weights, np.arange(270.0).reshape(54, 5).T)


def test_all_patterns_take_a_chips_integers(folder: Path) -> None:
    text = WINDOWS.replace("b: {shape: [6, 6, 6], neuron: {model: if}}", "b: {shape: [6, 6, 6], neuron: "
                           "{model: if, format: loihi, vth: 9}}")  # fmt: skip
    text += "  - {from: a, to: b, pattern: conv2d, weights: p.npz#k}\n"
    text += "  - {from: a, to: b, pattern: [{scale: {weights: [1, 2, -3, 4]}}, {conv2d: {weights: p.npz#k}}]}\n"
    text += "  - {from: c, to: b, pattern: [{sumpool2d: {kernel: 1}}, flatten, {block: {indices: w.npy}}], weights: v.npy}\n"
    np.save(folder / "w.npy", np.arange(54).reshape(54, 1))
    np.save(folder / "v.npy", np.full((54, 4, 1), 3.0))

    plain, chain, block = loads(text, folder).projections

    assert plain.native is not None
    assert chain.native is not None
    assert (plain.native.sign_mode, chain.native.sign_mode) == ("excitatory", None)
    assert {w.dtype.kind for q in (plain, chain, block) for w in (*(s.weights for s in q.before), q.weights)} == {"i"}
    assert summary(text.replace("[1, 2, -3, 4]", "[1, 2, 0.5, 4]"), folder) == [
        "14:50 NC0207 projection 'a->b' (pattern 1 of its chain): weights[2] is 0.5; whole numbers are needed"
    ]


CHAIN = "(pattern {} of its chain)"
ROWS = "write 'FILE.npz#key', 'FILE.npy' or a list of rows"


@pytest.mark.parametrize(
    ("projection", "problem"),
    [
        ("to: b, pattern: {conv2d: {stride: 2}}, weights: p.npz#k", "13:5 NC0202 projection 'a->b': conv2d makes (3, 3) of (8, 8); "
         "the target has (6, 6) behind its channels | give 'b' the shape [6, 3, 3]"),
        ("to: c, pattern: {conv2d: {padding: [0, 0], stride: [2, 1]}}, weights: p.npz#k", "13:5 NC0202 projection 'a->c': conv2d makes "
         "(3, 6) of (8, 8); the target has (4, 4) behind its channels | give 'c' the shape [6, 3, 6]"),
        ("to: b, pattern: conv2d, weights: p.npz#grouped", "13:5 NC0202 projection 'a->b': weights have the shape (6, 2, 3, 3), "
         "'a' -> 'b' (conv2d) needs (6, 4, 3, 3) | 'groups: 2' would fit the weights"),
        ("to: b, pattern: {conv2d: {groups: 2}}, weights: p.npz#k", "13:5 NC0202 projection 'a->b': weights have the shape (6, 4, 3, 3), "
         "'a' -> 'b' (conv2d) needs (6, 2, 3, 3) | 'groups: 1' would fit the weights"),
        ("to: b, pattern: {conv2d: {groups: 3}}, weights: p.npz#k", "13:5 NC0202 projection 'a->b': conv2d: 3 groups do not divide both "
         "4 channels of the source and 6 of the target | 'groups: 1' would fit the weights"),
        ("to: b, pattern: {conv2d: {dilation: 5}}, weights: p.npz#k", "13:5 NC0202 projection 'a->b': conv2d: a window of (3, 3) with "
         "a dilation of (5, 5) does not fit into (8, 8)"),
        ("to: o, pattern: conv2d, weights: p.npz#k", "13:5 NC0202 projection 'a->o': conv2d joins shapes (channels, height, width); "
         "its target has the shape (5,) | give 'o' the shape [6, 6, 6]"),
        ("to: b, pattern: {conv2d: {kernel: 5}}, weights: p.npz#k", "13:49 NC0202 projection 'a->b': kernel (5, 5) and the weights, of "
         "the shape (6, 4, 3, 3), do not agree | leave 'kernel' out; it follows from the weights"),
        ("to: b, pattern: conv2d, weights: p.npz#flat", "13:48 NC0202 projection 'a->b': weights have the shape (6, 36); conv2d needs "
         "(channels out, channels in / groups, height, width)"),
        ("to: b, pattern: conv2d, weights: p.npz#empty", "13:48 NC0202 projection 'a->b': weights have the shape (6, 0, 3, 3); conv2d "
         "needs (channels out, channels in / groups, height, width)"),
        ("to: b, pattern: conv1d, weights: p.npz#k", "13:48 NC0202 projection 'a->b': weights have the shape (6, 4, 3, 3); conv1d needs "
         "(channels out, channels in / groups, length)"),
        ("to: b, pattern: conv2d, weights: 0.5", "13:48 NC0104 projection 'a->b': weights of the pattern 'conv2d' must be an array, "
         f"not the number 0.5 | {ROWS}"),
        ("to: b, pattern: conv2d", "13:5 NC0105 projection 'a->b': the key 'weights' is missing"),
        ("to: b, pattern: {conv2d: 2}, weights: p.npz#k", "13:40 NC0104 projection 'a->b': pattern 'conv2d' must be a mapping, not the "
         "number 2"),
        ("to: b, pattern: {conv2d: {strid: 2}}, weights: p.npz#k", "13:41 NC0103 projection 'a->b': pattern 'conv2d': unknown key "
         "'strid' | did you mean 'stride'?"),
        ("to: b, pattern: {conv2d: {stride: 0}}, weights: p.npz#k", "13:49 NC0209 projection 'a->b': pattern 'conv2d': stride is 0; it "
         "must lie in 1..2147483647"),
        ("to: b, pattern: {conv2d: {stride: [1, 2, 3]}}, weights: p.npz#k", "13:49 NC0104 projection 'a->b': pattern 'conv2d': stride "
         "must be one whole number or a list of 2, not a list of 3"),
        ("to: b, pattern: {conv2d: {stride: 1.5}}, weights: p.npz#k", "13:49 NC0104 projection 'a->b': pattern 'conv2d': stride must be "
         "a whole number or a list of 2, one per axis, not the number 1.5"),
        ("to: b, pattern: {conv2d: {groups: [2]}}, weights: p.npz#k", "13:49 NC0104 projection 'a->b': pattern 'conv2d': groups must be "
         "one whole number, not a list of 1"),
        ("to: b, pattern: conv2d, weights: p.npz#k, transpose: true", "13:68 NC0104 projection 'a->b': 'transpose' turns the matrix of "
         "dense; 'conv2d' has none"),
        ("to: b, pattern: conv2d, weights: p.npz#k, bias: [1, 2]", "13:5 NC0202 projection 'a->b': bias has the shape (2,), 'b' needs "
         "one per neuron, (216,), or one per channel, (6,)"),
        ("to: b, pattern: conv2d, weights: p.npz#k, delay: [1, 2]", "13:5 NC0202 projection 'a->b': delays have the shape (2,), the "
         "weights (6, 4, 3, 3)"),
        ("to: c, pattern: avgpool2d", "13:31 NC0105 projection 'a->c': pattern 'avgpool2d': the key 'kernel' is missing"
         " | write {avgpool2d: 2}"),
        ("to: c, pattern: {avgpool2d: two}", "13:43 NC0104 projection 'a->c': pattern 'avgpool2d': kernel must be a whole number or a "
         "list of 2, one per axis, not 'two'"),
        ("to: c, pattern: {avgpool2d: {kernel: 2, padding: 2}}", "13:5 NC0202 projection 'a->c': avgpool2d: the padding (2, 2) is more "
         "than half of the kernel (2, 2)"),
        ("to: b, pattern: {avgpool2d: 2}", "13:5 NC0202 projection 'a->b': avgpool2d keeps the 4 channels of the source; the target "
         "has 6 | give 'b' the shape [4, 4, 4]"),
        ("to: c, pattern: {avgpool2d: 2}, weights: p.npz#six", "13:56 NC0202 projection 'a->c': the weights of 'avgpool2d' are one "
         "number, not an array of the shape (6,) | put 'scale' into the chain for one per channel or per neuron"),
        ("to: b, pattern: [{avgpool2d: 2}, flatten]", f"13:5 NC0202 projection 'a->b' {CHAIN.format(2)}: flatten joins populations of "
         "one size, not 64 and 216 neurons | give 'b' the shape [64]"),
        ("to: o, pattern: [conv2d, {avgpool2d: 2}], weights: p.npz#k", f"13:5 NC0202 projection 'a->o' {CHAIN.format(2)}: avgpool2d joins "
         "shapes (channels, height, width); its target has the shape (5,) | give 'o' the shape [6, 3, 3]"),
        ("to: o, pattern: [flatten, {conv2d: {weights: p.npz#k}}, dense], weights: p.npz#out", "13:50 NC0202 projection 'a->o' "
         f"{CHAIN.format(2)}: conv2d joins shapes (channels, height, width); its source has the shape (256,) | what comes before it "
         "must make [channels, height, width]"),
        ("to: o, pattern: [conv2d, dense], weights: p.npz#k", "13:31 NC0216 projection 'a->o': 'conv2d', 'dense' have no weights of their "
         "own; the projection's 'weights' are for one pattern | state the others' with them, such as "
         "{conv2d: {weights: F.npz#w}}"),
        ("to: o, pattern: [{dense: {weights: p.npz#out}}], weights: p.npz#out", "13:73 NC0216 projection 'a->o': 'weights' belong to no "
         "pattern; those that need some state their own | remove one of them"),
        ("to: o, pattern: [{conv2d: {weights: p.npz#k}}, {avgpool2d: 9}, dense], weights: p.npz#out", "13:74 NC0202 projection 'a->o' "
         f"{CHAIN.format(2)}: avgpool2d: a window of (9, 9) does not fit into (6, 6)"),
        ("to: o, pattern: [{conv2d: {weights: p.npz#k}}, {avgpool2d: 2}, dense], weights: p.npz#flat", "13:5 NC0202 projection 'a->o' "
         f"{CHAIN.format(3)}: weights have the shape (6, 36), dense from (6, 3, 3) to (5,) needs (5, 54)"),
        ("to: b, pattern: [{scale: {weights: [1, 2, 3]}}, conv2d], weights: p.npz#k", "13:5 NC0202 projection 'a->b' "
         f"{CHAIN.format(1)}: weights have the shape (3,), scale from (4, 8, 8) to (4, 8, 8) needs (256,)"),
        ("to: b, pattern: [{scale: {weights: 2}}, conv2d], weights: p.npz#k, delay: p.npz#delays", "13:5 NC0202 projection 'a->b': a chain "
         "of patterns has one delay, not one per synapse | write one pattern with its own weights"),
        ("to: o, pattern: [{sparse: {sources: [0], targets: [0], weights: [1]}}, dense], weights: p.npz#out", "13:41 NC0217 projection "
         f"'a->o' {CHAIN.format(1)}: the shape that 'sparse' makes of (4, 8, 8) does not follow | put it last, where the target's shape "
         "is taken, or put a population of neurons behind it"),
        ("to: o, pattern: [{conv2d: {padding: 99999, weights: p.npz#k}}, dense], weights: p.npz#out", "13:41 NC0209 projection 'a->o' "
         f"{CHAIN.format(1)}: 'conv2d' makes (6, 200004, 200004), 240009600096 values; 1 to 2147483647 are possible"),
        ("to: o, pattern: [dense, []], weights: p.npz#out", "13:39 NC0104 projection 'a->o': pattern must be the name of one, not an empty list "
         "| known: avgpool1d, avgpool2d, block, conv1d, conv2d, dense, flatten, maxpool1d, maxpool2d, one_to_one, scale, sparse, "
         "sumpool1d, sumpool2d"),
        ("to: o, pattern: {dense: {}, flatten: {}}, weights: p.npz#out", "13:31 NC0104 projection 'a->o': pattern must be one name with "
         "its options, not 2 | write such as {conv2d: {stride: 2}}; a chain is a list of such"),
        ("to: o, pattern: {dense: {stride: 2}}, weights: p.npz#out", "13:40 NC0103 projection 'a->o': pattern 'dense': unknown key "
         "'stride' | known: weights"),
    ],
)  # fmt: skip
def test_bad_patterns(folder: Path, projection: str, problem: str) -> None:
    found = summary(f"{WINDOWS}  - {{from: a, {projection}}}\n", folder)

    assert found == [problem]


def test_a_window_needs_channels(folder: Path) -> None:
    text = f"{WINDOWS}  - {{from: v, to: b, pattern: conv2d, weights: p.npz#k}}\n"

    assert summary(text, folder) == [
        "13:5 NC0202 projection 'v->b': conv2d joins shapes (channels, height, width); its source has the shape (256,)"
        " | give 'v' the shape [channels, height, width]"
    ]


def test_a_shape_that_flatten_would_mend(folder: Path) -> None:
    text = WINDOWS.replace("o: {shape: [5]", "o: {shape: [54]") + "  - {from: b, to: o, pattern: {sumpool2d: 2}}\n"

    (found,) = summary(text, folder)

    assert found.endswith(" | give 'o' the shape [6, 3, 3], or let 'flatten' follow")


def test_ternary_neurons(folder: Path) -> None:
    found = (
        neuron("model: ternary_lif, tau_mem: 20 ms, tau_syn: 5 ms, v_threshold_low: -0.5", folder).populations["hidden"].neuron
    )
    assert found is not None
    assert list(found.parameters) == ["tau_mem", "r", "tau_syn", "v_threshold", "v_threshold_low", "v_init", "u_init"]
    assert float(found.parameters["v_threshold_low"]) == -0.5

    whole = native("model: ternary_lif, format: loihi, du: 0, dv: 0, vth: 9, vth_low: [-9, 0]", "weights: w.npz#whole", folder)
    integers = whole.populations["digits"].neuron
    assert integers is not None
    assert integers.parameters["vth_low"].tolist() == [-9, 0]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ('compare: ">="', "7:3 NC0215 population 'hidden': the model 'ternary_lif' has no 'compare: >=' | write 'compare: >'"),
        (
            "spikes_per_tick: many",
            "7:3 NC0215 population 'hidden': the model 'ternary_lif' has no 'spikes_per_tick: many' | write 'spikes_per_tick: one'",
        ),
        ("v_threshold_low: 0", "7:3 NC0209 population 'hidden': v_threshold_low must be negative, it is 0.0"),
        ("v_threshold: -1", "7:3 NC0209 population 'hidden': v_threshold must be positive, it is -1.0"),
    ],
)
def test_what_ternary_neurons_do_not_have(folder: Path, keys: str, problem: str) -> None:
    old = "{model: lif, tau_mem: 20 ms, reset: zero}"
    text = changed(old, f"{{model: ternary_lif, tau_mem: 20 ms, tau_syn: 5 ms, {keys}}}")

    assert summary(text, folder) == [problem]


def test_the_lower_threshold_of_integers_is_needed(folder: Path) -> None:
    with pytest.raises(NetworkError) as caught:
        native("model: ternary_lif, format: loihi, du: 0, dv: 0, vth: 9", "weights: w.npz#whole", folder)

    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.message) == (
        "NC0105",
        "population 'digits': model 'ternary_lif' in a chip's integers needs 'vth_low'",
    )


def test_currents_are_constant(folder: Path) -> None:
    np.save(folder / "films.npy", np.zeros((5, 3, 4)))
    text = changed("{scheme: bernoulli, gain: 0.5, seed: 7}", "{scheme: current, gain: 2}")
    network = loads(text, folder)

    assert network.encoders["pixels"].options == {"gain": 2.0}
    assert message(changed("d.npz#x", "films.npy", text), folder) == (
        "net.yaml:14:25: error[NC0214 time-varying-current]: data of 'pixels' have the shape (5, 3, 4), 3 values per sample and "
        "neuron: a current that changes in time\n"
        "   14 | data: {inputs: {pixels: films.npy}, labels: d.npz#y, scale: 1/255}\n"
        "      |                         ^^^^^^^^^\n"
        "hint:  'scheme: current' takes one value per sample and neuron; average over the ticks, or make spikes for "
        "'scheme: direct'"
    )
    assert summary(changed("d.npz#x", "d.npz#y", text), folder) == [
        "14:25 NC0210 data of 'pixels' have the shape (5,); (samples, 4) is needed"
    ]


def test_all_problems_come_together(folder: Path) -> None:
    text = changed("20 ms", "20")
    text = changed("to: digits", "to: digit", text)
    text = changed("w.npz#w1", "nowhere.npz#w1", text)
    text = changed("count", "cuont", text)

    assert [line.split(" ")[:2] for line in summary(text, folder)] == [
        ["7:54", "NC0106"],
        ["10:41", "NC0101"],
        ["11:24", "NC0201"],
        ["13:27", "NC0208"],
    ]


def test_two_projections_of_one_name(folder: Path) -> None:
    text = changed("delay: 0}", "name: a}\n  - {from: hidden, to: digits, weights: w.npz#w2, name: a}")

    assert summary(text, folder) == ["12:57 NC0206 there are two projections 'a'"]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", "net.yaml: error[NC0102 yaml-syntax]: the file is empty"),
        (
            "[1]",
            "net.yaml:1:1: error[NC0104 wrong-type]: a network file is a mapping, not a list\n"
            "    1 | [1]\n      | ^^^\nhint:  it begins with 'neurocomp: 1'",
        ),
        (
            "a: b: c",
            "net.yaml:1:5: error[NC0102 yaml-syntax]: not valid YAML: mapping values are not allowed here\n"
            "    1 | a: b: c\n      |     ^",
        ),
        ("[" * 3000, "net.yaml: error[NC0102 yaml-syntax]: the file is nested too deeply, or an anchor contains itself"),
        ("a: &a [*a]", "net.yaml: error[NC0102 yaml-syntax]: the file is nested too deeply, or an anchor contains itself"),
        ("a: \x00", "net.yaml: error[NC0102 yaml-syntax]: not valid YAML: special characters are not allowed"),
    ],
)
def test_files_that_are_no_networks(tmp_path: Path, text: str, whole: str) -> None:
    assert message(text, tmp_path) == whole


@pytest.mark.parametrize("text", ["populations: 3", "populations: {a: 3}", "projections: {}", "encode: [1]", "data: 3", "decode: {a: }",
                                  "projections: [3, [], {from: [1], to: 2}]", "populations: {a: {shape: [[1]], neuron: 3}}",
                                  "populations: {1a: {}}", "data: {inputs: {}, labels: 3, scale: []}", "name: [1]", "neurocomp: null",
                                  "populations: {a: {shape: [1], neuron: {model: [lif]}}}", "encode: {a: {scheme: {}}}",
                                  "populations: {a: {shape: [2], neuron: {model: if, v_threshold: [1, a], reset_every: 3}}}",
                                  "populations: {a: {shape: [99999, 99999, 99999], neuron: {model: if}}}"])  # fmt: skip
def test_no_shape_of_a_document_escapes(tmp_path: Path, text: str) -> None:
    with pytest.raises(NetworkError) as caught:
        loads(text, tmp_path)

    assert {"NC0104", "NC0105", "NC0107", "NC0209"} >= {d.code for d in caught.value.diagnostics} - {"NC0201"}


def test_paths_that_are_no_files(folder: Path) -> None:
    for path, whole in [
        (folder / "nte.yaml", "error[NC0101 file-not-found]: there is no file 'nte.yaml'\nhint:  did you mean 'net.yaml'?"),
        (folder / "w.npz", "w.npz: error[NC0102 yaml-syntax]: the file is not text in UTF-8"),
        (
            folder,
            f"error[NC0101 file-not-found]: '{folder.name}' is a folder, not a network file\n"
            "hint:  give the network file itself, such as net.yaml",
        ),
    ]:
        with pytest.raises(NetworkError) as caught:
            load(path)
        assert str(caught.value) == whole


def test_what_comes_later_has_its_own_code(tmp_path: Path) -> None:
    """Groups are refused as not there yet, not as a slip of the pen."""
    text = """neurocomp: 1
name: later
timestep: 1 ms
ticks: 1
groups: {}
populations:
  x: {kind: input, shape: [1]}
  a: {shape: [1], neuron: {model: if}}
projections:
  - {from: x, to: a, weights: [[1]]}
"""
    with pytest.raises(UnsupportedError) as caught:
        loads(text, tmp_path)
    assert [d.code for d in caught.value.diagnostics] == ["NC0311"]
    assert caught.value.diagnostics[0].message == "the network: 'groups' is not understood yet"


@pytest.mark.parametrize("name", ["phased_lstm", "Phased-LSTM", "lstm"])
def test_a_known_construct_that_cannot_be_said_is_refused_by_name(tmp_path: Path, name: str) -> None:
    text = f"""\
neurocomp: 1
name: gated
timestep: 1 ms
ticks: 1
populations:
  x: {{kind: input, shape: [1]}}
  a: {{shape: [1], neuron: {{model: {name}, period: 20 ms}}}}
projections:
  - {{from: x, to: a, weights: [[1]], learn: {{rule: e-prop, rate: 0.1}}}}
"""
    with pytest.raises(UnsupportedError) as caught:
        loads(text, tmp_path)
    assert [d.code for d in caught.value.diagnostics] == ["NC0324", "NC0324"]
    assert all(d.limit and d.hint and d.location and d.location.line for d in caught.value.diagnostics)
    assert f"'{name}' is no neuron model" in caught.value.diagnostics[0].message
    with pytest.raises(NetworkError):
        loads(text.replace("ticks: 1\n", "ticks: 0\n"), tmp_path)
    with pytest.raises(NetworkError) as caught_unknown:
        loads(text.replace("e-prop", "a-prop").replace(f"model: {name}, period: 20 ms", "model: if"), tmp_path)
    assert [d.code for d in caught_unknown.value.diagnostics] == ["NC0208"]


def test_no_construct_that_is_refused_by_name_is_registered() -> None:
    for kind, table in (("neuron model", NEURON_MODELS), ("learning rule", LEARNING_RULES)):
        assert [name for name in table if inexpressible(kind, name)] == []
