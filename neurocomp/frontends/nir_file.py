"""NIR files: HDF5 as the package ``nir`` writes it (1.0.8 and before) becomes one flat graph of nodes.

A file comes from anywhere: nothing in it may run code, lead to another file or take memory that it does not fill; `hdf5` reads
its members.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, Location, NetworkError, did_you_mean
from neurocomp.frontends import hdf5
from neurocomp.frontends.files import content

Array = NDArray[Any]

LARGEST_ARRAY = 8 << 30
"""Bytes of the largest array that is read."""
DEEPEST = 32
"""Graphs within graphs."""

_CONVOLUTION = ("weight", "stride", "padding", "dilation", "groups", "bias", "input_shape")
_POOL = ("kernel_size", "stride", "padding")
KINDS: Mapping[str, tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": ("shape",),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Conv1d": _CONVOLUTION,
    "Conv2d": _CONVOLUTION,
    "SumPool2d": _POOL,
    "AvgPool2d": _POOL,
    "Flatten": ("start_dim", "end_dim", "input_type"),
    "Delay": ("delay",),
    "Threshold": ("threshold",),
    "I": ("r",),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
}
"""Type of a node -> the keys of its file that are read; `NIRGraph`, which holds nodes, is the one that is not here."""
NEEDED: Mapping[str, tuple[str, ...]] = {
    "Affine": ("weight",),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Conv1d": ("weight",),
    "Conv2d": ("weight",),
    "SumPool2d": ("kernel_size",),
    "AvgPool2d": ("kernel_size",),
    "Delay": ("delay",),
    "Threshold": ("threshold",),
    "IF": ("v_threshold",),
    "LI": ("tau",),
    "LIF": ("tau", "v_threshold"),
    "CubaLI": ("tau_syn", "tau_mem"),
    "CubaLIF": ("tau_syn", "tau_mem", "v_threshold"),
}
"""Type of a node -> the keys without which it means nothing."""
TEXTS = ("padding",)
"""Keys whose value may be a word."""
WHOLE = ("shape", "input_shape", "input_type", "stride", "padding", "dilation", "groups", "kernel_size", "start_dim", "end_dim")
"""Keys of whole numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node: its type and what its file holds, by key; a key that holds nothing is not there."""

    name: str
    kind: str
    values: Mapping[str, Array]
    words: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    is_inner: bool = False
    """An end of a graph within the graph, which hands on what it gets."""


@dataclass(slots=True, eq=False)
class Graph:
    """The nodes of a file by name, those of graphs within it as ``GRAPH.NODE``, and its edges."""

    file: str
    nodes: dict[str, Node]
    edges: list[tuple[str, str]]
    metadata: dict[str, Any]
    problems: list[Diagnostic]
    notes: list[tuple[str, str, str]]
    """(subject, what, why): what was read in another way than it stands there."""

    def bad(self, code: str, message: str, hint: str | None = None) -> None:
        """Note a problem."""
        self.problems.append(Diagnostic(code, message, Location(self.file), hint=hint))


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key by which names with numbers sort as people count: 2 before 10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def read(path: Path) -> Graph:
    """Read a file.

    Returns:
        The graph, with the problems that were found so far.

    Raises:
        NetworkError: The file cannot be read (NC0101), or is no NIR file (NC0109).
    """
    name = path.name
    begins = content(path, "*.nir", "net.nir", 8)
    try:
        if not h5py.is_hdf5(path):
            what = "is empty" if not begins else "begins with other bytes"
            raise _not_nir(name, f"the file is not HDF5, which NIR files are: it {what}", "write it with nir.write(...)")
        with h5py.File(path, "r") as file:
            return _graph(file, name)
    except hdf5.UNREADABLE as error:
        if isinstance(error, NetworkError):
            raise
        message = f"the file is damaged: {hdf5.reason(error)}"
        raise _not_nir(name, message, "copy it again, or write it again with nir.write(...)") from None


def _not_nir(name: str, message: str, hint: str) -> NetworkError:
    return NetworkError(Diagnostic("NC0109", message, Location(name), hint=hint))


def _graph(file: h5py.File, name: str) -> Graph:
    found = _member(file, "node")
    if not isinstance(found, h5py.Group) and _member(file, "nodes") is not None:
        found = file  # an old writer put the graph itself at the top
    if not isinstance(found, h5py.Group):
        keys = ", ".join(f"'{key}'" for key in list(file)[:8]) or "nothing"
        hint: str | None
        if _member(file, "layer") is not None:
            hint = "this is a network of lava-dl: give the file the ending .net"
        else:
            hint = "NIR files hold a graph under 'node'"
        raise _not_nir(name, f"the file is HDF5 but no NIR file: it holds {keys}", hint)
    graph = Graph(name, {}, [], {}, [], [])
    kind = _text(_member(found, "type"))
    if kind not in (None, "NIRGraph"):
        advice = "put the node into a graph: nir.NIRGraph.from_list(node)"
        hint = advice if kind in KINDS else did_you_mean(str(kind), ["NIRGraph"])
        raise _not_nir(name, f"the file holds a single node of the type '{kind}', not a graph", hint or "")
    _Reader(graph).graph(found, "", 0)
    graph.metadata |= _metadata(_member(file, "metadata"))
    return graph


class _Reader:
    """Reads one file into a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph_ = graph

    def graph(self, group: h5py.Group, prefix: str, depth: int) -> None:
        """Add the nodes and edges of a group that holds a graph."""
        graph, what = self.graph_, f"node '{prefix[:-1]}'" if prefix else "the graph"
        if not prefix:
            graph.metadata |= _metadata(_member(group, "metadata"))
        nodes = _member(group, "nodes")
        if not isinstance(nodes, h5py.Group):
            graph.bad("NC0105", f"{what} has no group 'nodes'", "write the file again with nir.write(...)")
            return
        inner: dict[str, list[str]] = {}
        for key in sorted(nodes, key=natural):
            name = f"{prefix}{key}"
            entry = _member(nodes, key)
            if not isinstance(entry, h5py.Group):
                why = "an array" if isinstance(entry, h5py.Dataset) else "a link that leads nowhere or to another file"
                graph.bad("NC0104", f"node '{name}' is {why}, not a group with a 'type'", "write the file again")
                continue
            kind = _text(_member(entry, "type"))
            if kind == "NIRGraph":
                if depth >= DEEPEST:
                    graph.bad("NC0209", f"node '{name}': graphs are nested more than {DEEPEST} deep")
                    continue
                before = set(graph.nodes)
                self.graph(entry, f"{name}.", depth + 1)
                inner[key] = [found for found in graph.nodes if found not in before]
                continue
            node = self.node(entry, name, kind, is_inner=bool(prefix))
            if node is not None:
                graph.nodes[name] = node
        self.edges(group, prefix, what, list(nodes), inner)

    def node(self, group: h5py.Group, name: str, kind: str | None, *, is_inner: bool) -> Node | None:
        """Read one node."""
        graph = self.graph_
        if kind is None:
            hint = f"add 'type', one of {', '.join(KINDS)}"
            graph.bad("NC0105", f"node '{name}' has no 'type'", hint)
            return None
        if kind not in KINDS:
            alike = [known for known in KINDS if known.lower() == kind.lower()]
            if not alike:
                alike_hint = did_you_mean(kind, list(KINDS))
                graph.bad("NC0208", f"node '{name}': there is no type '{kind}' in NIR 1.0.8", alike_hint)
                return None
            graph.notes.append((name, alike[0], f"the file writes '{kind}'"))
            kind = alike[0]
        values: dict[str, Array] = {}
        words: dict[str, str] = {}
        before = len(graph.problems)
        for key in KINDS[kind]:
            entry = _member(group, key)
            if entry is None and key == "shape":
                entry = _member(group, "input_type" if kind == "Input" else "output_type")
                if isinstance(entry, h5py.Group):
                    entry = _member(entry, "input" if kind == "Input" else "output")
            if isinstance(entry, h5py.Group) and key == "input_type":
                entry = _member(entry, "input")
            if entry is None:
                if key in NEEDED.get(kind, ()):
                    graph.bad("NC0105", f"node '{name}' ({kind}): the key '{key}' is missing", f"add '{key}' to the node")
                continue
            self._value(name, kind, key, entry, values, words)
        if len(graph.problems) > before:
            return None
        return Node(name, kind, values, words, _metadata(_member(group, "metadata")), is_inner)

    def _value(self, name: str, kind: str, key: str, entry: Any, values: dict[str, Array], words: dict[str, str]) -> None:
        what = f"node '{name}' ({kind}): {key}"
        if not isinstance(entry, h5py.Dataset):
            self.graph_.bad("NC0104", f"{what} is a group, not an array", "write the file again")
            return
        if entry.shape is None:
            return  # an empty dataset stands for None
        if key in TEXTS and h5py.check_string_dtype(entry.dtype) is not None:
            word = _text(entry)
            if word not in ("same", "valid"):
                self.graph_.bad("NC0104", f"{what} is '{word}'", "write a number of zeros, 'same' or 'valid'")
            else:
                words[key] = word
            return
        array = self._array(what, entry)
        if array is None:
            return
        if key not in WHOLE:
            values[key] = array
            return
        rounded = np.rint(np.asarray(array, np.float64))
        if not np.isfinite(rounded).all() or (rounded != array).any() or (np.abs(rounded) >= 2.0**31).any():
            self.graph_.bad("NC0207", f"{what} is {_shown(array)}; whole numbers below 2**31 are needed")
            return
        values[key] = rounded.astype(np.int64).reshape(-1)

    def _array(self, what: str, entry: h5py.Dataset) -> Array | None:
        """Return an array of numbers, or None after noting why not."""
        bad = self.graph_.bad
        if entry.dtype.kind not in "biuf":
            text = _text(entry)
            if text == "None":
                return None
            bad("NC0207", f"{what} has the dtype {entry.dtype}; numbers are needed")
        elif entry.nbytes > LARGEST_ARRAY:
            bad("NC0209", f"{what} has the shape {entry.shape}, {entry.nbytes:,} bytes; at most {LARGEST_ARRAY:,} are read")
        else:
            try:
                return np.asarray(hdf5.values(entry))
            except hdf5.UnreadableError as error:
                bad("NC0109", f"{what} {error}", error.hint)
        return None

    def edges(self, group: h5py.Group, prefix: str, what: str, keys: list[str], inner: dict[str, list[str]]) -> None:
        """Add the edges of one graph; an edge to a graph within it leads to that one's input."""
        graph = self.graph_
        entry = _member(group, "edges")
        if not isinstance(entry, h5py.Dataset):
            graph.bad("NC0105", f"{what} has no array 'edges'", "add pairs of names of nodes, (edges, 2)")
            return
        if entry.shape is None or 0 in entry.shape:
            return
        if len(entry.shape) != 2 or entry.shape[1] != 2 or entry.size > 1 << 24:
            graph.bad("NC0202", f"{what}: 'edges' has the shape {entry.shape}; pairs of names, (edges, 2), are needed")
            return
        if h5py.check_string_dtype(entry.dtype) is None and entry.dtype.kind not in "iu":
            graph.bad("NC0207", f"{what}: 'edges' has the dtype {entry.dtype}; names of nodes are needed")
            return
        try:
            pairs = hdf5.values(entry).tolist()
        except hdf5.UnreadableError as error:
            graph.bad("NC0109", f"{what}: 'edges' {error}", error.hint)
            return
        seen: set[tuple[str, str]] = set()
        for pair in pairs:
            ends = [end.decode("utf-8", "replace") if isinstance(end, bytes) else str(end) for end in pair]
            shown = f"{prefix}{ends[0]} -> {prefix}{ends[1]}"
            if tuple(ends) in seen:
                graph.notes.append((shown, "one edge", "the file lists it more than once"))
                continue
            seen.add((ends[0], ends[1]))
            found = [self._end(end, prefix, shown, keys, inner, is_source=at == 0) for at, end in enumerate(ends)]
            if found[0] is not None and found[1] is not None:
                graph.edges.append((found[0], found[1]))

    def _end(
        self, end: str, prefix: str, shown: str, keys: list[str], inner: dict[str, list[str]], *, is_source: bool
    ) -> str | None:
        graph, full = self.graph_, f"{prefix}{end}"
        if end in inner:
            wanted = "Output" if is_source else "Input"
            ends = [
                name
                for name in inner[end]
                if name in graph.nodes and graph.nodes[name].kind == wanted and "." not in name[len(full) + 1 :]
            ]
            if len(ends) == 1:
                return ends[0]
            count = f"{len(ends)} nodes" if ends else "no node"
            message = f"edge {shown}: the graph '{full}' has {count} of the type {wanted}"
            graph.bad("NC0218", message, f"name the one that is meant, such as '{end}.{wanted.lower()}'")
            return None
        if full in graph.nodes:
            return full
        if end not in keys:
            known = [*keys, *(name[len(prefix) :] for name in graph.nodes if name.startswith(prefix))]
            graph.bad("NC0218", f"edge {shown}: there is no node '{full}'", did_you_mean(end, sorted(set(known))))
        return None  # what is wrong with the node has been said


def _member(group: Any, key: str) -> Any:
    """Return a member of a group, or None; links to other files are not followed."""
    try:
        return hdf5.member(group, key) if isinstance(group, h5py.Group) else None
    except hdf5.UnreadableError:
        return None


def _text(entry: Any) -> str | None:
    """Return the text of a dataset, or None."""
    if not isinstance(entry, h5py.Dataset) or entry.shape is None or entry.size != 1:
        return None
    if h5py.check_string_dtype(entry.dtype) is None:
        return None
    try:
        value = np.asarray(hdf5.values(entry)).reshape(-1)[0]
    except hdf5.UnreadableError:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _metadata(group: Any) -> dict[str, Any]:
    """Return the texts and single numbers of a group."""
    found: dict[str, Any] = {}
    for key, entry in _datasets(group):
        text = _text(entry)
        if text is not None:
            found[key] = text
        elif entry.dtype.kind in "biuf" and entry.shape is not None and entry.size == 1:
            with suppress(hdf5.UnreadableError):
                found[key] = np.asarray(hdf5.values(entry)).reshape(-1)[0].item()
    return found


def _datasets(group: Any) -> Iterator[tuple[str, h5py.Dataset]]:
    if isinstance(group, h5py.Group):
        for key in group:
            entry = _member(group, key)
            if isinstance(entry, h5py.Dataset):
                yield key, entry


def _shown(array: Array) -> str:
    return str(array.reshape(-1)[:4].tolist()) + (" ..." if array.size > 4 else "")
