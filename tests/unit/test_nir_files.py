"""Odd and broken NIR files: read where the meaning is clear, else refused with the node's name and a way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from neurocomp.cli import run
from neurocomp.errors import NetworkError
from neurocomp.frontends.from_nir import load
from neurocomp.frontends.nir_file import natural
from neurocomp.frontends.reading import Reading
from neurocomp.ir.network import Network
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
    write,
)  # fmt: skip

Nodes = dict[str, Mapping[str, Any]]
Change = Callable[[Nodes, list[tuple[str, str]]], None]


def base() -> tuple[Nodes, list[tuple[str, str]]]:
    """Return a network that is right: in(4) -> fc -> a(3) -> w -> b(2) -> out."""
    return chain(
        ("in", source(4)), ("fc", affine(3, 4)), ("a", lif(3)), ("w", linear(2, 3)), ("b", lif(2)), ("out", sink(2))
    )  # fmt: skip


def node(name: str, **changed: Any) -> Change:
    """Return a change of some keys of a node; None removes one."""

    def change(nodes: Nodes, edges: list[tuple[str, str]]) -> None:
        values = {**nodes[name], **changed}
        nodes[name] = {key: value for key, value in values.items() if value is not None}

    return change


def instead(name: str, values: Mapping[str, Any]) -> Change:
    """Return the change of a whole node."""
    return lambda nodes, edges: nodes.update({name: values})


def wired(*pairs: tuple[str, str], without: tuple[str, str] | None = None) -> Change:
    """Return a change of edges."""

    def change(nodes: Nodes, edges: list[tuple[str, str]]) -> None:
        edges += pairs
        if without is not None:
            edges.remove(without)

    return change


def both(*changes: Change) -> Change:
    """Return several changes as one."""

    def change(nodes: Nodes, edges: list[tuple[str, str]]) -> None:
        for one in changes:
            one(nodes, edges)

    return change


HOLE = {"type": "Linear", "weight": np.zeros((3, 3))}
ENDLESS: Change = both(
    instead("x", HOLE), instead("y", HOLE), wired(("a", "x"), ("x", "y"), ("y", "x"), ("y", "a"))
)  # fmt: skip

REFUSED: Mapping[str, tuple[Change, str, str]] = {
    "no type": (node("a", type=None), "NC0105", "node 'a' has no 'type'"),
    "unknown type": (node("a", type="LIFF"), "NC0208", "node 'a': there is no type 'LIFF' in NIR 1.0.8"),
    "type is a number": (node("a", type=3), "NC0105", "node 'a' has no 'type'"),
    "no weight": (node("fc", weight=None), "NC0105", "node 'fc' (Affine): the key 'weight' is missing"),
    "no tau": (node("a", tau=None), "NC0105", "node 'a' (LIF): the key 'tau' is missing"),
    "no threshold": (node("a", v_threshold=None), "NC0105", "node 'a' (LIF): the key 'v_threshold' is missing"),
    "an edge to nowhere": (wired(("a", "ww")), "NC0218", "edge a -> ww: there is no node 'ww'"),
    "an edge from nowhere": (wired(("aa", "w")), "NC0218", "edge aa -> w: there is no node 'aa'"),
    "an edge into an input": (wired(("a", "in")), "NC0218", "node 'in' (Input): an edge from 'a' leads into an input"),
    "an edge out of an output": (wired(("out", "w")), "NC0218", "node 'out' (Output): an edge leads from an output to 'w'"),
    "nothing leads to a matrix": (wired(without=("in", "fc")), "NC0218", "node 'fc' (Affine): no edge leads to it"),
    "nothing leads to the output": (wired(without=("b", "out")), "NC0218", "node 'out' (Output): no edge leads to it"),
    "a cycle without neurons": (ENDLESS, "NC0218", "node 'x' (Linear): the cycle x -> y -> x holds no neurons"),
    "a cycle of one": (wired(("w", "w")), "NC0218", "node 'w' (Linear): the cycle w -> w holds no neurons"),
    "a transposed matrix": (
        node("fc", weight=np.ones((4, 3))), "NC0202", "node 'fc' (Affine): weight has the shape (4, 3), and what arrives (4,)",
    ),
    "a matrix of three axes": (
        node("fc", weight=np.ones((2, 3, 4))), "NC0202", "node 'fc' (Affine): weight has the shape (2, 3, 4); a matrix",
    ),
    "a list for a matrix": (node("fc", weight=np.ones(4)), "NC0202", "node 'fc' (Affine): weight has the shape (4,); a matrix"),
    "a bias too long": (node("fc", bias=np.ones(5)), "NC0202", "node 'fc' (Affine): bias has the shape (5,); (3,) is needed"),
    "NaN in a matrix": (
        node("fc", weight=np.where(np.eye(3, 4) > 0, np.nan, 1.0)), "NC0204", "node 'fc' (Affine): weight[0, 0] is nan",
    ),
    "an endless threshold": (
        node("a", v_threshold=np.full(3, np.inf)), "NC0204", "node 'a' (LIF): v_threshold[0] is inf",
    ),
    "a matrix of text": (node("fc", weight="many"), "NC0207", "node 'fc' (Affine): weight has the dtype object"),
    "a matrix of complex numbers": (
        node("fc", weight=np.ones((3, 4), np.complex64)), "NC0207", "node 'fc' (Affine): weight has the dtype complex64",
    ),
    "a matrix of truths": (
        node("fc", weight=np.ones((3, 4), np.bool_)), "NC0207", "node 'fc' (Affine): weight has the dtype bool",
    ),
    "a group for a matrix": (node("fc", weight={"x": 1}), "NC0104", "node 'fc' (Affine): weight is a group, not an array"),
    "parameters of several shapes": (
        node("a", tau=np.full(2, 1e-3)), "NC0202", "node 'a' (LIF): its parameters differ in shape: tau (2,), r (3,)",
    ),
    "parameters of another layer": (
        instead("a", lif(7)), "NC0202", "node 'a' (LIF): its parameters have the shape (7,), and 'fc' gives (3,)",
    ),
    "tau 0": (
        node("a", tau=np.zeros(3), metadata={"dt": 1e-4}), "NC0209", "node 'a' (LIF): tau is 0; a time constant is above 0",
    ),
    "tau below a tick": (
        node("a", tau=np.full(3, 1e-5), metadata={"dt": 1e-4}), "NC0209",
        "node 'a' (LIF): tau 1e-05 is shorter than a tick of 0.0001",
    ),
    "an input of no shape": (node("in", shape=np.array([0])), "NC0209", "node 'in' (Input): its shape is [0]"),
    "an input of halves": (node("in", shape=np.array([1.5])), "NC0207", "node 'in' (Input): shape is [1.5]; whole numbers"),
    "an input too large": (
        both(instead("in", source(2**30, 8)), instead("fc", integrator(1)), instead("a", linear(3, 1))),
        "NC0209", "node 'in' (Input): it has the shape (1073741824, 8), 8,589,934,592 values",
    ),
    "an output of another size": (
        node("out", shape=np.array([5])), "NC0202", "node 'out' (Output): its shape is [5], and 'b' has the shape [2]",
    ),
    "potentials that travel": (
        instead("a", {key: v for key, v in lif(3).items() if "thr" not in key and "reset" not in key} | {"type": "LI"}),
        "NC0345", "node 'a' (LI): its potential is the input of other nodes, and it never spikes",
    ),
    "a delay of half a tick": (
        instead("w", {"type": "Delay", "delay": np.full(3, 0.5e-4)}),
        "NC0209", "node 'w' (Delay): delay is 0.5 ticks of 0.0001; whole ticks are needed",
    ),
    "a negative delay": (
        instead("w", {"type": "Delay", "delay": np.full(3, -1e-4)}), "NC0209", "node 'w' (Delay): delay -0.0001 is negative",
    ),
    "a scale of another size": (
        instead("w", {"type": "Scale", "scale": np.ones(5)}), "NC0202", "node 'w' (Scale): scale has the shape (5,)",
    ),
    "an image for a vector": (
        instead("w", conv2d(2, 1)), "NC0202", "node 'w' (Conv2d): what arrives has the shape (3,); (channels, height, width)",
    ),
    "a pool of a vector": (instead("w", pool("Sum", 2, 2)), "NC0202", "node 'w' (SumPool2d): what arrives has the shape (3,)"),
    "edges of three": (lambda nodes, edges: edges.append(("a", "b", "c")), "NC0202", "'edges' has the shape"),  # type: ignore[arg-type]
    "a graph without an input": (
        both(instead("g", nested({"lif": lif(3)}, [])), wired(("a", "g"))), "NC0218",
        "edge a -> g: the graph 'g' has no node of the type Input",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is refused by its code and the node's name, with a way out, and without a traceback."""
    change, code, message = REFUSED[name]
    nodes, edges = base()
    change(nodes, edges)
    path = tmp_path / "net.nir"
    if name == "edges of three":
        three = np.array([["in", "fc", "a"]], dtype=h5py.string_dtype())
        write(path, nodes, edges[:-1])
        with h5py.File(path, "a") as file:
            del file["node/edges"]
            file["node/edges"] = three
    else:
        write(path, nodes, edges)
    with pytest.raises(NetworkError) as caught:
        load(path)
    found = [d for d in caught.value.diagnostics if d.code == code and message in d.message]
    assert found, caught.value.render()
    assert str(found[0].location) == "net.nir"
    assert run(["check", str(path), "-t", "loihi"]) == 3
    err = capsys.readouterr().err
    assert f"net.nir: error[{code} " in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["an edge to nowhere", "a transposed matrix", "no type", "tau below a tick", "unknown type"])
def test_hints(name: str, tmp_path: Path) -> None:
    """The next step is said."""
    hints = {
        "an edge to nowhere": "did you mean 'w'?",
        "a transposed matrix": "the matrix looks transposed: weight.T fits",
        "no type": "add 'type', one of Input, Output, Affine",
        "tau below a tick": "use --integration exact, or a shorter --dt",
        "unknown type": "did you mean 'LIF'?",
    }
    nodes, edges = base()
    REFUSED[name][0](nodes, edges)
    with pytest.raises(NetworkError) as caught:
        load(write(tmp_path / "net.nir", nodes, edges))
    assert any((d.hint or "").startswith(hints[name]) for d in caught.value.diagnostics), caught.value.render()


def test_all_problems_together(tmp_path: Path) -> None:
    """Problems of several nodes come at once."""
    nodes, edges = base()
    node("a", tau=None)(nodes, edges)
    node("fc", weight=None)(nodes, edges)
    wired(("b", "zz"))(nodes, edges)
    with pytest.raises(NetworkError) as caught:
        load(write(tmp_path / "net.nir", nodes, edges))
    assert [d.code for d in caught.value.diagnostics] == ["NC0105", "NC0105", "NC0218"]


def small(path: Path) -> bytes:
    """Return the bytes of a right file."""
    return write(path, *base()).read_bytes()


FILES: Mapping[str, tuple[Callable[[Path], bytes], str, str]] = {
    "nothing": (lambda path: b"", "NC0109", "the file is not HDF5, which NIR files are: it is empty"),
    "text": (lambda path: b"neurocomp: 1\n", "NC0109", "begins with other bytes"),
    "the first half": (lambda path: small(path)[: len(small(path)) // 2], "NC0109", "the file is damaged"),
    "the first 100 bytes": (lambda path: small(path)[:100], "NC0109", "the file is damaged"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_none(name: str, tmp_path: Path) -> None:
    """What is no NIR file is said to be none."""
    content, code, message = FILES[name]
    path = tmp_path / "net.nir"
    path.write_bytes(content(tmp_path / "whole.nir"))
    with pytest.raises(NetworkError, match=code) as caught:
        load(path)
    assert message in caught.value.render()


def test_bytes_that_flip(tmp_path: Path) -> None:
    """Whatever byte of its numbers is wrong, the signs of infinity among them: the network, or an error that is ours.

    Bytes around the numbers are left alone: the HDF5 library itself may read what is damaged on purpose without an end.
    """
    whole = small(tmp_path / "whole.nir")
    path = tmp_path / "net.nir"
    nodes, _ = base()
    numbers = [
        np.asarray(nodes[name][key]).tobytes() for name, key in (("fc", "weight"), ("a", "tau"), ("b", "r"), ("b", "tau"))
    ]
    places = [whole.rindex(held) + at for held in numbers for at in range(0, len(held), 3)]
    outcomes: set[type] = set()
    for at in places:
        for value in (0x00, 0x7F, 0xFF, whole[at] ^ 0xFF):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                outcomes.add(type(load(path, Reading(dt=1e-4))))
            except NetworkError as error:
                outcomes.add(type(error))
    assert outcomes == {Network, NetworkError}


def test_other_files_are_not_opened(tmp_path: Path) -> None:
    """A link into another file leads nowhere."""
    nodes, edges = base()
    write(tmp_path / "other.nir", nodes, edges)
    path = write(tmp_path / "net.nir", nodes, edges)
    with h5py.File(path, "a") as file:
        del file["node/nodes/fc"]
        file["node/nodes/fc"] = h5py.ExternalLink("other.nir", "/node/nodes/fc")
        del file["node/nodes/w/weight"]
        file["node/nodes/w/weight"] = h5py.SoftLink("/nowhere")
    with pytest.raises(NetworkError) as caught:
        load(path)
    assert "node 'fc' is a link that leads nowhere or to another file" in caught.value.render()
    assert "node 'w' (Linear): the key 'weight' is missing" in caught.value.render()


def test_shapes_without_values(tmp_path: Path) -> None:
    """A matrix of a huge shape that the file does not fill takes no memory."""
    nodes, edges = base()
    path = write(tmp_path / "net.nir", nodes, edges)
    with h5py.File(path, "a") as file:
        for name, shape in (("fc", (1 << 20, 1 << 20)), ("w", (1 << 12, 1 << 12))):
            del file[f"node/nodes/{name}/weight"]
            file[f"node/nodes/{name}"].create_dataset("weight", shape, np.float32, chunks=(64, 64))
    with pytest.raises(NetworkError) as caught:
        load(path)
    assert "node 'fc' (Affine): weight has the shape (1048576, 1048576), 4,398,046,511,104 bytes" in caught.value.render()
    assert "node 'w' (Linear): weight has the shape (4096, 4096), but the file holds no values of it" in caught.value.render()


@pytest.mark.parametrize(
    ("key", "message"),
    [("other", "the file is HDF5 but no NIR file: it holds 'other'"), ("layer", "give the file the ending .net")],
)
def test_hdf5_of_something_else(key: str, message: str, tmp_path: Path) -> None:
    """HDF5 that holds no graph."""
    with h5py.File(tmp_path / "net.nir", "w") as file:
        file.create_group(key)
    with pytest.raises(NetworkError, match="NC0109") as caught:
        load(tmp_path / "net.nir")
    assert message in caught.value.render()


def test_no_file(tmp_path: Path) -> None:
    """A name that is none, with what lies beside; a folder."""
    small(tmp_path / "network.nir")
    with pytest.raises(NetworkError, match=r"NC0101.*there is no file 'netwrk\.nir'") as caught:
        load(tmp_path / "netwrk.nir")
    assert caught.value.diagnostics[0].hint == "did you mean 'network.nir'?"
    with pytest.raises(NetworkError, match="is a folder"):
        load(tmp_path)


def only_affine(nodes: Nodes, edges: list[tuple[str, str]]) -> None:
    """Leave no neurons."""
    for name in ("a", "w", "b"):
        del nodes[name]
    edges[:] = [("in", "fc"), ("fc", "out")]


def test_no_neurons(tmp_path: Path) -> None:
    """A network of layers alone does not spike."""
    nodes, edges = base()
    only_affine(nodes, edges)
    with pytest.raises(NetworkError, match=r"NC0213 no-neurons\]: the graph holds no neurons"):
        load(write(tmp_path / "net.nir", nodes, edges))


def once(**changed: Any) -> dict[str, Any]:
    """Return LIF neurons whose parameters are one number for all."""
    return {"type": "LIF", "tau": 1e-3, "r": 10.0, "v_leak": 0.0, "v_threshold": 1.0, **changed}


READ: Mapping[str, Change] = {
    "parameters of no axes": instead("a", once()),
    "parameters of one value": instead("a", {key: np.array([v]) if key != "type" else v for key, v in once().items()}),
    "parameters with a batch": instead("a", {key: v[None] if key != "type" else v for key, v in lif(3).items()}),
    "no v_reset": node("a", v_reset=None),
    "no v_leak": node("a", v_leak=None),
    "no bias": node("fc", bias=np.zeros(3)),
    "type of fixed length": node("a", type=np.bytes_(b"LIF")),
    "type in an array": node("a", type=np.array([b"LIF"])),
    "type in other letters": node("a", type="lif"),
    "an input with a batch": node("in", shape=np.array([1, 4])),
    "an input with batch and time": node("in", shape=np.array([-1, 100, 4])),
    "an input without a shape": node("in", shape=None),
    "an input of an empty shape": node("in", shape=h5py.Empty("i8")),
    "input_type in place of shape": both(node("in", shape=None), node("in", input_type=np.array([4]))),
    "an output with a batch": node("out", shape=np.array([1, 2])),
    "an output without a shape": node("out", shape=None),
    "an edge twice": wired(("a", "w")),
    "a layer that leads nowhere": both(instead("probe", linear(5, 3)), wired(("a", "probe"))),
    "keys that nobody knows": node("a", color="blue"),
    "weights of float16": node("w", weight=linear(2, 3)["weight"].astype(np.float16).astype(np.float32).astype(np.float16)),
    "a matrix with a batch": node("w", weight=linear(2, 3)["weight"][None]),
    "a flatten of what is flat": both(
        instead("flat", {"type": "Flatten", "start_dim": 1, "end_dim": -1, "input_type": np.array([3])}),
        wired(("a", "flat"), ("flat", "w"), without=("a", "w")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_read(name: str, tmp_path: Path) -> None:
    """Old and odd files whose meaning is clear give the same network as the right one."""
    from neurocomp.simulation import simulate

    nodes, edges = base()
    if name == "no bias":
        node("fc", bias=np.zeros(3))(nodes, edges)
        right = load(write(tmp_path / "right.nir", nodes, edges))
        node("fc", bias=None)(nodes, edges)
    else:
        right = load(write(tmp_path / "right.nir", nodes, edges))
        READ[name](nodes, edges)
    network = load(write(tmp_path / "net.nir", nodes, edges))
    assert {p.name: p.shape for p in network.populations.values()} == {p.name: p.shape for p in right.populations.values()}
    x = (np.random.Generator(np.random.Philox(1)).random((1, 60, 4)) < 0.6).astype(np.int8)
    v = [simulate(n, {"in": x}).v["b"] for n in (network, right)]
    assert np.allclose(v[0], v[1], atol=0.02 if "float16" in name else 0.0)
    assert v[0].any()


def test_no_version_and_an_old_head(tmp_path: Path) -> None:
    """Neither the version nor the type of the graph is needed."""
    path = write(tmp_path / "net.nir", *base())
    with h5py.File(path, "a") as file:
        del file["version"]
        del file["node/type"]
    assert list(load(path).populations) == ["in", "a", "b"]


def test_keys_count_as_people_do(tmp_path: Path) -> None:
    """Populations of the nodes 1 to 12 stand in the order of the network, not of the text; their names become words."""
    parts = []
    for number in range(12):
        parts += [(str(2 * number), linear(2, 2, number)), (str(2 * number + 1), lif(2))]
    nodes, edges = chain(("input", source(2)), *parts, ("output", sink(2)))
    network = load(write(tmp_path / "net.nir", nodes, edges))
    assert list(network.populations) == ["input", *(f"n{2 * number + 1}" for number in range(12))]
    assert sorted(["n10", "n9", "n1", "a"], key=natural) == ["a", "n1", "n9", "n10"]
    assert ("n1", "name", "n1", "'1' in the file") in [(c.subject, c.axis, c.value, c.origin) for c in network.choices]


def test_convolutions_of_open_shape(tmp_path: Path) -> None:
    """Without input_shape, and with an input that has a batch, the shapes follow from each other."""
    nodes, edges = chain(
        ("in", source(1, 2, 8, 8)), ("c", conv2d(3, 2)), ("a", integrator()), ("p", pool("Avg", 2, 2)),
        ("f", {"type": "Flatten", "start_dim": 1, "end_dim": -1}), ("w", linear(2, 48)), ("b", integrator(2)), ("out", sink(2)),
    )  # fmt: skip
    network = load(write(tmp_path / "net.nir", nodes, edges))
    assert {p.name: p.shape for p in network.populations.values()} == {"in": (2, 8, 8), "a": (3, 8, 8), "b": (2,)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"groups": 3}, "weight (3, 2, 3, 3) with 3 groups takes 6 channels; 2 arrive"),
        ({"stride": np.array([0, 1])}, "stride is [0, 1]; one number or 2, from 1 on, are needed"),
        ({"padding": "full"}, "padding is 'full'"),
        ({"padding": np.array([1, 1, 1])}, "padding is [1, 1, 1]; one number or 2"),
        ({"padding": "same", "stride": np.array([2, 2])}, "padding 'same' goes with a stride of 1, not [2, 2]"),
        ({"weight": np.ones((3, 2, 9, 9)), "padding": 0}, "conv2d: a window of (9, 9) does not fit into (8, 8)"),
        ({"weight": np.ones((3, 2, 3))}, "weight has the shape (3, 2, 3); (channels out, channels in / groups, height, width)"),
        ({"weight": np.ones((3, 2, 2, 2)), "padding": "same"}, "padding 'same' of a kernel [2, 2] puts one more zero behind"),
        ({"bias": np.ones(4)}, "bias has the shape (4,); (3,) is needed"),
    ],
)
def test_convolutions_that_mean_nothing(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Each is refused with the node's name."""
    nodes, edges = chain(("in", source(2, 8, 8)), ("c", conv2d(3, 2, **changed)), ("a", integrator()), ("out", sink(3, 8, 8)))
    with pytest.raises(NetworkError) as caught:
        load(write(tmp_path / "net.nir", nodes, edges))
    assert "node 'c' (Conv2d): " + message in caught.value.render()


def test_channels_last(tmp_path: Path) -> None:
    """An image whose channels stand last is known by its shape."""
    nodes, edges = chain(("in", source(8, 8, 2)), ("c", conv2d(3, 2)), ("a", integrator(3, 8, 8)), ("out", sink(3, 8, 8)))
    with pytest.raises(NetworkError) as caught:
        load(write(tmp_path / "net.nir", nodes, edges))
    assert caught.value.diagnostics[0].hint == "what arrives has its channels last; NIR has them first"


def test_unclear_cells(tmp_path: Path) -> None:
    """What no axis says is refused: a threshold taken off a potential that rests elsewhere."""
    nodes, edges = chain(("in", source(2)), ("w", linear(3, 2)), ("a", cuba(3, v_leak=np.full(3, 0.5))), ("out", sink(3)))
    path = write(tmp_path / "net.nir", nodes, edges)
    assert load(path).populations["a"].neuron is not None
    with pytest.raises(NetworkError, match=r"NC0345 nir-node\]: node 'a' \(CubaLIF\): 'subtract' takes the threshold off"):
        load(path, Reading(reset="subtract"))
