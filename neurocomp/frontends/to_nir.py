"""A `Network` becomes a NIR file, as far as NIR has words for it; the rest is listed.

What NIR has no words for and neurocomp reads again (the length of a tick, resets, comparisons) goes into the metadata, which
other tools need not read.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from neurocomp.data.whole_file import whole_file
from neurocomp.errors import Diagnostic, UnsupportedError
from neurocomp.frontends import nir_rules
from neurocomp.ir.network import Network, Neuron, Population, Projection
from neurocomp.models.neurons import NEURON_MODELS
from neurocomp.models.patterns import PATTERNS, Pool, Shape, size_of

Array = NDArray[Any]

VERSION = "1.0.8"
MODELS: Mapping[str, str] = {model: kind for kind, model in nir_rules.MODELS.items() if kind != "Threshold"}
"""Neuron model -> type of a node."""
LARGEST_DENSE = 1 << 24
"""Weights of the largest matrix that a list of synapses is written as."""
LARGEST_IDENTITY = 2048
"""Neurons of the largest population whose bias takes a matrix of its own."""
MOST_DELAYS = 64


def write(network: Network, path: Path) -> tuple[dict[str, int], list[str]]:
    """Write a NIR file.

    Returns:
        How many nodes and edges it has, and what NIR could not say, each as a sentence.

    Raises:
        UnsupportedError: A population or a projection has no form in NIR (NC0342), with all that have none.
        UsageError: The file cannot be written (NC0801).
    """
    graph = _Graph(network)
    graph.fill()
    if graph.problems:
        raise UnsupportedError(graph.problems)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("version", data=VERSION, dtype=h5py.string_dtype())
        group = file.create_group("node")
        group.create_dataset("type", data="NIRGraph", dtype=h5py.string_dtype())
        nodes = group.create_group("nodes")
        for name, values in graph.nodes.items():
            put(nodes.create_group(name), values)
        group.create_dataset("edges", data=np.array(graph.edges, dtype=object).reshape(-1, 2), dtype=h5py.string_dtype())
        put(group.create_group("metadata"), {"dt": network.timestep, "ticks": network.ticks})
    with whole_file(path) as stream:
        stream.write(buffer.getvalue())
    return {"nodes": len(graph.nodes), "edges": len(graph.edges)}, graph.lost


def put(group: h5py.Group, values: Mapping[str, Any]) -> None:
    """Write values by key into a group of HDF5, mappings as groups."""
    for key, value in values.items():
        if isinstance(value, dict):
            put(group.create_group(key), value)
        elif isinstance(value, str):
            group.create_dataset(key, data=value, dtype=h5py.string_dtype())
        elif isinstance(value, np.ndarray) and value.ndim:
            group.create_dataset(key, data=value, compression="gzip")
        else:
            group.create_dataset(key, data=value)


class _Graph:
    """The nodes and edges that a network becomes."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.nodes: dict[str, dict[str, Any]] = {}
        self.edges: list[tuple[str, str]] = []
        self.lost: list[str] = []
        self.problems: list[Diagnostic] = []

    def bad(self, message: str, origin: Any, hint: str | None = None) -> None:
        """Note what has no form in NIR."""
        self.problems.append(Diagnostic("NC0342", message, origin, hint=hint))

    def node(self, name: str, kind: str, **values: Any) -> str:
        """Add a node and return its name."""
        free, number = name, 2
        while free in self.nodes or (free in self.network.populations and kind not in (*MODELS.values(), "Input")):
            free, number = f"{name}_{number}", number + 1
        self.nodes[free] = {"type": kind, **values}
        return free

    def fill(self) -> None:
        """Add everything."""
        network = self.network
        self.lost.append(f"the timestep, {network.timestep:g} s, and {network.ticks} ticks per sample: in the metadata")
        for population in network.populations.values():
            if population.neuron is None:
                self.node(population.name, "Input", shape=np.array(population.shape))
            else:
                self.neurons(population, population.neuron)
        for projection in network.projections:
            self.projection(projection)
        outputs = network.outputs
        for population in outputs:
            name = "output" if len(outputs) == 1 else f"output_{population.name}"
            self.edges.append((population.name, self.node(name, "Output", shape=np.array(population.shape))))
        if network.encoders:
            self.lost.append(f"encoders ({', '.join(f'{n}: {e.scheme}' for n, e in network.encoders.items())})")
        if network.decoders:
            self.lost.append(f"decoders ({', '.join(f'{n}: {d.scheme}' for n, d in network.decoders.items())})")
        if network.data.samples is not None or network.data.calibration is not None:
            self.lost.append("the declared data")

    def neurons(self, population: Population, neuron: Neuron) -> None:
        """Add a node of neurons."""
        name, where = population.name, population.origin
        if neuron.model not in MODELS or neuron.number_format is not None:
            what = f"integers of {neuron.number_format}" if neuron.number_format else f"the model '{neuron.model}'"
            self.bad(f"population '{name}': NIR has no {what}", where, "export it with --format integers")
            return
        model, s, dt = NEURON_MODELS[neuron.model], neuron.semantics, self.network.timestep
        p = {key: np.asarray(value, np.float64) for key, value in neuron.parameters.items()}
        kind = MODELS[neuron.model]
        current, potential = model.decays(p, s, dt)
        values: dict[str, Any] = {}
        if kind in ("I", "IF"):
            values["r"] = 1.0 / dt
        else:
            if (potential == 1.0).any() or (model.has_current and (current == 1.0).any()):
                self.bad(f"population '{name}': r of neurons that never leak would be endless", where, "use the model 'if'")
                return
            values["tau_mem" if model.has_current else "tau"] = p["tau_mem"]
            values["r"] = 1.0 / (1.0 - potential) if s.input == "delta" else p["r"]
            values["v_leak"] = 0.0
        if model.has_current:
            values |= {"tau_syn": p["tau_syn"], "w_in": 1.0 / (1.0 - current)}
        metadata: dict[str, Any] = {"dt": dt}
        if kind not in ("I", "IF"):
            metadata["integration"] = s.integration
        if model.fires:
            values |= {"v_threshold": p["v_threshold"]}
            # 0 is what NIR takes it for, and nir 1.0.4, which sinabs needs, does not know the key.
            values |= {"v_reset": s.reset_value} if s.reset == "value" and s.reset_value else {}
            metadata |= {"compare": s.compare}
            metadata |= {} if s.reset == "value" else {"reset_mechanism": s.reset}
            metadata |= {} if s.spikes_per_tick == "one" else {"spikes_per_tick": s.spikes_per_tick}
            metadata |= {} if s.threshold_on == "new" else {"threshold_on": s.threshold_on}
            metadata |= {} if s.reset_when == "same_tick" else {"reset_when": s.reset_when}
        metadata |= {} if s.v_floor is None else {"v_floor": s.v_floor}
        self.unsaid(name, neuron, fires=model.fires, leaks=kind not in ("I", "IF"))
        full = {
            key: np.full(population.shape, np.reshape(v, population.shape) if np.ndim(v) else v) for key, v in values.items()
        }
        self.node(name, kind, **full, metadata=metadata)

    def unsaid(self, name: str, neuron: Neuron, *, fires: bool, leaks: bool) -> None:
        """List what NIR has no words for."""
        s = neuron.semantics
        kept, lost = [], []
        if leaks and s.integration == "exact":
            kept.append("integration exact")
        if fires:
            kept += [f"reset {s.reset}"] if s.reset in ("subtract", "none") else []
            kept += ["compare >="] if s.compare == ">=" else []
            kept += ["spikes_per_tick many"] if s.spikes_per_tick == "many" else []
            kept += ["threshold_on old"] if s.threshold_on == "old" else []
            kept += [f"reset_when {s.reset_when}"] if s.reset_when != "same_tick" and s.reset != "none" else []
            lost += [f"refractory {s.refractory}"] if s.refractory else []
        kept += [f"v_floor {s.v_floor:g}"] if s.v_floor is not None else []
        lost += [f"reset_every {s.reset_interval}"] if s.reset_interval is not None else []
        lost += [key for key in ("v_init", "u_init") if np.any(neuron.parameters.get(key, 0))]
        if kept:
            self.lost.append(f"'{name}': {', '.join(kept)}: in the metadata")
        if lost:
            self.lost.append(f"'{name}': {', '.join(lost)}: lost")

    def projection(self, q: Projection) -> None:
        """Add the nodes between two populations."""
        if q.source not in self.nodes or q.target not in self.nodes:
            return  # one of them has been refused
        if q.native is not None:
            self.bad(f"projection '{q.name}': NIR has no integers of a chip", q.origin)
            return
        if q.learning is not None:
            self.lost.append(f"'{q.name}': its learning rule, {q.learning.rule}: lost")
        if q.delay.ndim:
            self.by_delay(q)
            return
        ticks = int(q.delay)
        at = q.source
        if ticks and not (ticks == 1 and q.source == q.target):
            at = self.delayed(q, at, np.full(self.network.populations[q.source].shape, float(ticks)))
        self.chain(q, at)

    def delayed(self, q: Projection, at: str, ticks: Array) -> str:
        """Add a delay behind a node."""
        node = self.node(f"{q.source}_{q.target}_delay", "Delay", delay=ticks * self.network.timestep)
        self.edges.append((at, node))
        return node

    def by_delay(self, q: Projection) -> None:
        """Add a matrix per delay."""
        found = np.unique(q.delay)
        source, target = self.network.populations[q.source], self.network.populations[q.target]
        matrices = self.matrix(q, source.shape, target.shape, by_delay=True)
        if matrices is None or len(found) > MOST_DELAYS:
            message = f"projection '{q.name}': NIR has one delay per neuron, this has {len(found)} over its synapses"
            self.bad(message, q.origin, f"use at most {MOST_DELAYS} different delays")
            return
        for number, (ticks, weights) in enumerate(matrices):
            at = self.delayed(q, q.source, np.full(source.shape, float(ticks))) if ticks else q.source
            if len(source.shape) > 1:
                at = self.flattened(q, at, source.shape)
            self.affine(q, at, weights, q.bias if number == 0 else None, last=True)
        self.lost.append(f"'{q.name}': delays per synapse: a matrix for each of {len(matrices)}")

    def matrix(self, q: Projection, source: Shape, target: Shape, *, by_delay: bool = False) -> list[tuple[int, Array]] | None:
        """Return (delay, matrix) of a pattern that lists its synapses; None where it would be too large."""
        if size_of(source) * size_of(target) > LARGEST_DENSE or q.before or not PATTERNS[q.pattern.kind].linear:
            return None
        listed = PATTERNS[q.pattern.kind].synapses(q.pattern, source, target)
        weights = np.asarray(q.weights, np.float64).reshape(-1)[listed.slot]
        delays = np.asarray(q.delay).reshape(-1)[listed.slot] if by_delay else np.zeros(len(weights), np.int64)
        result = []
        for ticks in np.unique(delays):
            found = np.zeros((size_of(target), size_of(source)))
            chosen = delays == ticks
            np.add.at(found, (listed.target[chosen], listed.source[chosen]), weights[chosen])
            result.append((int(ticks), found))
        return result

    def affine(self, q: Projection, at: str, weights: Array, bias: Array | None, *, last: bool) -> str:
        """Add a matrix behind a node."""
        name = f"{q.source}_{q.target}"
        if bias is None:
            node = self.node(name, "Linear", weight=np.asarray(weights))
        else:
            node = self.node(name, "Affine", weight=np.asarray(weights), bias=np.asarray(bias))
        self.edges.append((at, node))
        if last:
            self.edges.append((node, q.target))
        return node

    def flattened(self, q: Projection, at: str, shape: Shape) -> str:
        """Add a node that flattens."""
        values = {"start_dim": 0, "end_dim": -1, "input_type": np.array(shape)}
        node = self.node(f"{q.source}_{q.target}_flatten", "Flatten", **values)
        self.edges.append((at, node))
        return node

    def chain(self, q: Projection, at: str) -> None:
        """Add the patterns of a projection, one after the other, and its bias."""
        source, target = self.network.populations[q.source].shape, self.network.populations[q.target].shape
        shape, bias = source, q.bias
        stages = [(stage.pattern, stage.weights, stage.shape) for stage in q.before]
        stages.append((q.pattern, q.weights, target))
        for number, (pattern, weights, made) in enumerate(stages):
            last = number == len(stages) - 1
            kind, name = pattern.kind, f"{q.source}_{q.target}"
            if kind in ("sparse", "block"):
                found = self.matrix(q, shape, made)
                if found is None:
                    self.bad(f"projection '{q.name}': NIR has no list of synapses, and a matrix is too large", q.origin)
                    return
                self.lost.append(f"'{q.name}': a list of synapses: written as a matrix")
                kind, weights = "dense", found[0][1]
            if isinstance(PATTERNS[kind], Pool) and kind not in ("sumpool2d", "avgpool2d") and PATTERNS[kind].linear:
                pool: Any = PATTERNS[kind]
                pattern, weights = pool.as_conv(pattern, weights, shape[0])
                kind = pattern.kind
            o = pattern.options
            if kind == "dense":
                at = self.flattened(q, at, shape) if len(shape) > 1 else at
                at, bias = self.affine(q, at, weights, bias if last else None, last=False), None if last else bias
            elif kind in ("conv1d", "conv2d"):
                own = np.zeros(made[0], weights.dtype if weights.dtype.kind == "f" else np.float64)
                if last and bias is not None:
                    channels = bias.reshape(made[0], -1)
                    if (channels == channels[:, :1]).all():
                        own, bias = channels[:, 0], None
                values = {key: np.array(o[key]) for key in ("stride", "padding", "dilation")}
                node = self.node(
                    name, f"Conv{kind[4:]}", input_shape=np.array(shape[1:]) if len(shape) > 2 else shape[1],
                    weight=np.asarray(weights), groups=o["groups"][0], bias=np.asarray(own), **values,
                )  # fmt: skip
                self.edges.append((at, node))
                at = node
            elif kind in ("sumpool2d", "avgpool2d"):
                window = {"kernel_size": o["kernel"], "stride": o["stride"], "padding": o["padding"]}
                word = "SumPool2d" if kind == "sumpool2d" else "AvgPool2d"
                node = self.node(name, word, **{key: np.array(value) for key, value in window.items()})
                self.edges.append((at, node))
                at = node if weights == 1 else self.scaled(q, node, np.full(made, float(weights)))
            elif kind == "flatten":
                at = self.flattened(q, at, shape) if len(shape) > 1 or shape != made else at
                at = at if weights == 1 else self.scaled(q, at, np.full(made, float(weights)))
            elif kind in ("scale", "one_to_one"):
                plain = (weights == 1).all()
                at = at if plain else self.scaled(q, at, np.asarray(weights).reshape(shape))
            else:
                self.bad(f"projection '{q.name}': NIR has no '{kind}'", q.origin, "use a sum or an average")
                return
            shape = made
        if bias is not None:
            size = size_of(target)
            if size > LARGEST_IDENTITY:
                message = f"projection '{q.name}': NIR has no bias per neuron behind '{q.pattern.kind}'"
                self.bad(message, q.origin, "use one bias per channel")
                return
            at = self.flattened(q, at, target) if len(target) > 1 else at
            at = self.affine(q, at, np.eye(size), bias, last=False)
            self.lost.append(f"'{q.name}': its bias: on a matrix of ones of its own")
        self.edges.append((at, q.target))

    def scaled(self, q: Projection, at: str, scale: Array) -> str:
        """Add factors behind a node."""
        node = self.node(f"{q.source}_{q.target}_scale", "Scale", scale=scale)
        self.edges.append((at, node))
        return node
