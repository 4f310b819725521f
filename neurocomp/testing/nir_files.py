"""Writes NIR files, right ones and broken ones, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Nodes = Mapping[str, Mapping[str, Any]]
Edges = Sequence[tuple[str, str]]


def put(group: h5py.Group, values: Mapping[str, Any]) -> None:
    """Write values by key, mappings as groups."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            put(group.create_group(key), value)
        elif isinstance(value, str):
            group.create_dataset(key, data=value, dtype=h5py.string_dtype())
        else:
            group.create_dataset(key, data=value)


def graph(nodes: Nodes, edges: Edges) -> dict[str, Any]:
    """Return a graph as a node."""
    pairs = np.array([list(edge) for edge in edges], dtype=object).reshape(-1, 2)
    return {"type": "NIRGraph", "nodes": dict(nodes), "edges": pairs}


def write(path: Path, nodes: Nodes, edges: Edges, **more: Any) -> Path:
    """Write a file with one graph."""
    with h5py.File(path, "w") as file:
        put(file, {"version": "1.0.8"})
        group = file.create_group("node")
        content = graph(nodes, edges)
        pairs = content.pop("edges")
        put(group, {**content, **more})
        group.create_dataset("edges", data=pairs, dtype=h5py.string_dtype())
    return path


def nested(nodes: Nodes, edges: Edges) -> dict[str, Any]:
    """Return a graph to be put into another one with `write`."""
    content = graph(nodes, edges)
    content["edges"] = np.array(content["edges"].tolist(), dtype=h5py.string_dtype())
    return content


def chain(*nodes: tuple[str, Mapping[str, Any]]) -> tuple[dict[str, Mapping[str, Any]], list[tuple[str, str]]]:
    """Return nodes one after the other, and the edges between them."""
    names = [name for name, _ in nodes]
    return dict(nodes), list(pairwise(names))


def lif(n: int, **changed: Any) -> dict[str, Any]:
    """Return LIF neurons as snnTorch exports them: beta 0.9 at 0.1 ms."""
    values: dict[str, Any] = {"tau": 1e-3, "r": 10.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    return {"type": "LIF", **{key: np.full(n, value) for key, value in values.items()}, **changed}


def cuba(n: int, **changed: Any) -> dict[str, Any]:
    """Return CubaLIF neurons as snnTorch exports them: alpha 0.8, beta 0.9 at 0.1 ms."""
    values: dict[str, Any] = {
        "tau_syn": 5e-4, "tau_mem": 1e-3, "r": 10.0, "v_leak": 0.0, "w_in": 5.0, "v_threshold": 1.0, "v_reset": 0.0,
    }  # fmt: skip
    return {"type": "CubaLIF", **{key: np.full(n, value) for key, value in values.items()}, **changed}


def integrator(*shape: int, **changed: Any) -> dict[str, Any]:
    """Return IF neurons that take their input as it is, in a file whose times are ticks."""
    return {"type": "IF", "r": np.ones(shape), "v_threshold": np.ones(shape), "v_reset": np.zeros(shape), **changed}


def pool(what: str, kernel: int, stride: int) -> dict[str, Any]:
    """Return a pool, of the kind ``Sum`` or ``Avg``."""
    values = {"kernel_size": np.full(2, kernel), "stride": np.full(2, stride), "padding": np.zeros(2, np.int64)}
    return {"type": f"{what}Pool2d", **values}


def source(*shape: int) -> dict[str, Any]:
    """Return an input."""
    return {"type": "Input", "shape": np.array(shape)}


def sink(*shape: int) -> dict[str, Any]:
    """Return an output."""
    return {"type": "Output", "shape": np.array(shape)}


def linear(n_out: int, n_in: int, seed: int = 1) -> dict[str, Any]:
    """Return a matrix."""
    rng = np.random.Generator(np.random.Philox(seed))
    return {"type": "Linear", "weight": rng.normal(0.2, 0.6, (n_out, n_in)).astype(np.float32)}


def affine(n_out: int, n_in: int, seed: int = 1) -> dict[str, Any]:
    """Return a matrix with a bias."""
    bias = np.random.Generator(np.random.Philox(seed + 100)).normal(0.1, 0.1, n_out).astype(np.float32)
    return {**linear(n_out, n_in, seed), "type": "Affine", "bias": bias}


def conv2d(n_out: int, n_in: int, kernel: int = 3, **changed: Any) -> dict[str, Any]:
    """Return a convolution."""
    rng = np.random.Generator(np.random.Philox(7))
    values: dict[str, Any] = {
        "weight": rng.normal(0.1, 0.4, (n_out, n_in, kernel, kernel)).astype(np.float32),
        "stride": np.array([1, 1]), "padding": np.array([1, 1]), "dilation": np.array([1, 1]), "groups": 1,
        "bias": rng.normal(0.0, 0.1, n_out).astype(np.float32),
    }  # fmt: skip
    return {"type": "Conv2d", **values, **changed}


def spikes(samples: int, ticks: int, n: int, rate: float = 0.3, seed: int = 3) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Return random spikes (samples, ticks, n)."""
    rng = np.random.Generator(np.random.Philox(seed))
    return (rng.random((samples, ticks, n)) < rate).astype(np.int8)
