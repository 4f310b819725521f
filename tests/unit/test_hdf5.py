"""HDF5 from anywhere: members that lie in other files, are not there or would lead the library astray."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from neurocomp.frontends import hdf5
from neurocomp.frontends.nir_file import read
from neurocomp.testing.nir_files import linear, sink, source, write

SECRET = "secret12"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a file of the user and a file of someone else beside ``a.h5``."""
    (tmp_path / "user.txt").write_text(SECRET)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = np.ones(3)
    return tmp_path


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3,), np.float64)
    layout[:] = h5py.VirtualSource("b.h5", "x", (3,))
    file.create_virtual_dataset("x", layout)


def _twice(file: h5py.File) -> None:
    file["other"] = h5py.ExternalLink("b.h5", "/")
    file["x"] = h5py.SoftLink("/other/x")


MEMBERS: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "nothing": (lambda file: None, "cannot be read: "),
    "a link to nothing": (lambda file: file.__setitem__("x", h5py.SoftLink("/nowhere")), "cannot be read: "),
    "a link to another file": (lambda file: file.__setitem__("x", h5py.ExternalLink("b.h5", "x")), "is a link to another file"),
    "a link to such a link": (_twice, "is a link to another file"),
    "parts of another file": (_virtual, "is stored in another file"),
    "bytes of another file": (
        lambda file: file.create_dataset("x", (1,), "S8", external=[("user.txt", 0, 8)]), "is stored in another file",
    ),
    "nothing stored": (
        lambda file: file.create_dataset("x", (1 << 20,), np.float32, chunks=(64,)),
        "has the shape (1048576,), but the file holds no values of it",
    ),
    "a text of nothing": (lambda file: file.create_dataset("x", (1,), "S2000000", chunks=(1,)), "holds no values"),
}  # fmt: skip


@pytest.mark.parametrize("name", MEMBERS)
def test_what_is_not_in_the_file(name: str, folder: Path) -> None:
    """What lies elsewhere, or nowhere, is not read."""
    put, message = MEMBERS[name]
    with h5py.File(folder / "a.h5", "w") as file:
        put(file)
    with h5py.File(folder / "a.h5") as file, pytest.raises(hdf5.UnreadableError) as caught:
        hdf5.values(hdf5.member(file, "x"))
    assert message in str(caught.value)
    assert str(folder) not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("count", [1, 3000])
def test_texts(count: int, tmp_path: Path) -> None:
    """Texts of variable length are read, in as many heaps as they fill; with a wrong length or place they are refused."""
    texts = [f"text {number}" * (number % 5) for number in range(1, count + 1)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=texts, dtype=h5py.string_dtype())
    with h5py.File(tmp_path / "a.h5") as file:
        assert [text.decode() for text in hdf5.values(file["x"])] == texts
        at = file["x"].id.get_offset() + 16 * (count - 1)
    sound = (tmp_path / "a.h5").read_bytes()
    for first, wrong in ((0, b"\xff\xff\xff\x7f"), (4, b"\xff\xff\xff\x00"), (12, b"\xff\xff\x00\x00")):
        damaged = bytearray(sound)
        damaged[at + first : at + first + 4] = wrong
        (tmp_path / "b.h5").write_bytes(damaged)
        with h5py.File(tmp_path / "b.h5") as file, pytest.raises(hdf5.UnreadableError, match="lies outside of the file"):
            hdf5.values(file["x"])


def _external(group: h5py.Group, key: str, shape: tuple[int, ...], kind: str) -> None:
    del group[key]
    group.create_dataset(key, shape, kind, external=[("user.txt", 0, 8)])


NIR: dict[str, tuple[Callable[[h5py.Group], None], str]] = {
    "weights": (lambda node: _external(node, "nodes/w/weight", (2, 1), "i4"), "weight is stored in another file"),
    "edges": (lambda node: _external(node, "edges", (1, 2), "S4"), "'edges' is stored in another file"),
    "the type": (lambda node: _external(node, "nodes/w/type", (1,), "S8"), "node 'w' has no 'type'"),
    "metadata": (lambda node: _external(node, "metadata/by", (1,), "S8"), ""),
    "a number of the metadata": (lambda node: _external(node, "metadata/by", (1,), "i8"), ""),
}


@pytest.mark.parametrize("name", NIR)
def test_nir_files_show_no_other_file(name: str, folder: Path) -> None:
    """Neither messages nor the graph hold anything of another file."""
    nodes = {"in": source(2), "w": linear(2, 2), "out": sink(2)}
    path = write(folder / "net.nir", nodes, [("in", "w"), ("w", "out")])
    put, message = NIR[name]
    with h5py.File(path, "a") as file:
        file["node/metadata/by"] = "me"
        put(file["node"])
    graph = read(path)
    shown = " ".join(problem.render() for problem in graph.problems)
    assert message in shown
    assert bool(graph.problems) == bool(message)
    assert SECRET[:4] not in shown
    assert graph.metadata.get("by") == (None if "metadata" in name else "me")
