"""NIR becomes a `Network`: nodes of neurons are populations, what lies between them are projections.

docs/nir.md says what is read, by which rule of which framework, and which choices there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding import DECODERS
from neurocomp.errors import Diagnostic, Location, NetworkError
from neurocomp.frontends import nir_file
from neurocomp.frontends.nir_file import KINDS, Graph, natural
from neurocomp.frontends.nir_linear import LinearNodes, Step, broadcasts, fitted, stage_of, without_batch
from neurocomp.frontends.nir_probe import probe
from neurocomp.frontends.nir_rules import DEFAULTS, FIRING, MODELS, Cell, Chosen, Unclear, cell_of, choose
from neurocomp.frontends.reading import NOTHING_SAID, Reading
from neurocomp.frontends.vocabulary import IDENTIFIER, MAX_COUNT
from neurocomp.ir.network import Choice, Decoder, Encoder, Network, Neuron, Population, Projection, Stage, frozen
from neurocomp.models.neurons import NEURON_MODELS, Semantics
from neurocomp.models.patterns import PATTERNS, Pattern, Shape, size_of

Array = NDArray[Any]
FloatArray = NDArray[np.float64]

NEURONS = tuple(MODELS)
DEFAULT_TICKS = 100
FARTHEST = 1e15
"""Parameters of neurons have smaller magnitudes; time constants, r and w_in have larger ones than its inverse, or are 0."""
MAX_PATHS = 4096
"""Ways between two populations, and all into one population."""


def load(path: Path, reading: Reading = NOTHING_SAID) -> Network:
    """Read a NIR file.

    Args:
        path: The file.
        reading: What the user says of it; the rest is of the metadata, inferred, of the framework or the default.

    Raises:
        NetworkError: The file cannot be read (NC0101), is no NIR file (NC0109), or its graph is none that runs: all problems
            that its nodes have (NC0104, NC0105, NC0202, NC0204, NC0207 to NC0209, NC0218, NC0345), by name; or something is
            left open (NC0219).
    """
    graph = nir_file.read(path)
    return _Importer(graph, reading, path.stem or "nir").network()


class _Importer:
    """Turns one graph into a network."""

    def __init__(self, graph: Graph, reading: Reading, name: str) -> None:
        self.graph, self.reading, self.name = graph, reading, name
        self.where = Location(graph.file)
        self.nodes = graph.nodes
        self.choices: list[Choice] = [Choice(subject, "as written", value, why) for subject, value, why in graph.notes]
        self.names: dict[str, str] = {}
        self.shapes: dict[str, Shape | None] = {}
        self.steps: dict[tuple[str, Shape], Step] = {}
        self.told: set[tuple[str, str]] = set()
        self.open: set[str] = set()

    def bad(self, node: str, code: str, message: str, hint: str | None = None) -> None:
        """Note a problem of a node, once."""
        if (node, message) in self.told:
            return
        self.told.add((node, message))
        what = f"node '{node}' ({self.nodes[node].kind})"
        self.graph.problems.append(Diagnostic(code, f"{what}: {message}", self.where, hint=hint))

    def stop(self) -> None:
        """Raise what was found so far."""
        if self.graph.problems:
            raise NetworkError(self.graph.problems)

    def note(self, subject: str, axis: str, value: str, origin: str) -> None:
        """Record a choice, once."""
        choice = Choice(subject, axis, value, origin)
        if choice not in self.choices:
            self.choices.append(choice)

    def network(self) -> Network:
        """Return the network, or raise every problem of a stage at once."""
        self._check_nodes()
        self._sort()
        neurons = [self.nodes[name] for name in self.neurons]
        if not neurons and not self.graph.problems:
            hint = "a network that is compiled spikes: put LIF or other neurons between its layers"
            message = "the graph holds no neurons"
            self.graph.problems.append(Diagnostic("NC0213", message, self.where, hint=hint))
        self.stop()
        chosen = choose(self.graph, self.reading, neurons, self.name)
        self.chosen: Chosen = chosen
        self.linear = LinearNodes(chosen.dt, self.note)
        self.choices += chosen.choices
        for name in (*self.inputs, *self.neurons):
            self._shape_of(name)
        self.stop()
        cells = {name: cell for name in self.neurons if (cell := self._cell(name)) is not None}
        self.stop()
        self._name_all()
        populations = {self.names[name]: self._population(name, cells.get(name)) for name in (*self.inputs, *self.neurons)}
        projections = self._projections(cells)
        outputs = self._readouts(populations, projections)
        self.stop()
        projections = self._with_delays(populations, projections)
        self.stop()
        probe({name: (self.nodes[name], self._values(name, flat=True), cell) for name, cell in cells.items()}, chosen)
        return self._whole(populations, projections, outputs).verify()

    # the nodes

    def _check_nodes(self) -> None:
        """Note numbers that mean nothing."""
        for name, node in self.nodes.items():
            for key, array in node.values.items():
                if array.dtype.kind == "b":
                    self.bad(name, "NC0207", f"{key} has the dtype bool; numbers are needed")
                elif array.dtype.kind == "f" and not np.isfinite(array).all():
                    at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
                    index = f"[{', '.join(map(str, at))}]" if at else ""
                    if np.isnan(array[at]) or not key.startswith("tau"):
                        self.bad(name, "NC0204", f"{key}{index} is {array[at]}", "train again, or replace it")
                elif node.kind in NEURONS and _meaningless(array, key):
                    odd = array[np.isfinite(array)]
                    far = float(odd.flat[int(np.abs(np.log(np.maximum(np.abs(odd), 1e-300))).argmax())])
                    message = f"{key} holds {far:g}; numbers from {1 / FARTHEST:g} to {FARTHEST:g} have a meaning"
                    self.bad(name, "NC0209", message, "mend the file")
                elif not array.size and key not in ("input_shape", "input_type", "shape"):
                    self.bad(name, "NC0202", f"{key} has the shape {array.shape}, which holds nothing")
                elif array.dtype.itemsize > 8:
                    self.bad(name, "NC0207", f"{key} has the dtype {array.dtype}; at most 64 bits are read")
            if node.kind in NEURONS:
                self._own_shape(name)
        self.stop()

    def _sort(self) -> None:
        """Part the nodes into inputs, neurons, outputs and what lies between them."""
        nodes, flow = self.nodes, nx.DiGraph()
        flow.add_nodes_from(sorted(nodes, key=natural))
        flow.add_edges_from(sorted(self.graph.edges, key=lambda edge: (natural(edge[0]), natural(edge[1]))))
        for name in [n for n in flow if nodes[n].is_inner and nodes[n].kind in ("Input", "Output")]:
            before, after = [*flow.predecessors(name)], [*flow.successors(name)]
            if before and after and name not in before:
                flow.add_edges_from((a, b) for a in before for b in after)
                flow.remove_node(name)
        self.flow = flow
        self.inputs = [n for n in flow if nodes[n].kind == "Input" and not nodes[n].is_inner]
        self.outputs = [n for n in flow if nodes[n].kind == "Output" and not nodes[n].is_inner]
        neurons = [n for n in flow if nodes[n].kind in NEURONS]
        for name in self.inputs:
            for before in flow.predecessors(name):
                self.bad(name, "NC0218", f"an edge from '{before}' leads into an input", "remove the edge")
        for name in self.outputs:
            for after in flow.successors(name):
                self.bad(name, "NC0218", f"an edge leads from an output to '{after}'", "let it start at the node before")
        between = [n for n in flow if n not in {*self.inputs, *self.outputs, *neurons}]
        goals = {*neurons, *self.outputs}
        leading = set(goals).union(*(nx.ancestors(flow, goal) for goal in goals)) if goals else set()
        for name in between:
            if name not in leading:
                self.note(name, "node", "left out", "nothing follows it")
                flow.remove_node(name)
            elif not flow.in_degree(name):
                hint = "add the edge that leads to it, or remove the node"
                self.bad(name, "NC0218", "no edge leads to it", hint)
        inner = flow.subgraph([n for n in between if n in flow])
        for part in nx.strongly_connected_components(inner):
            first = min(part, key=natural)
            if len(part) > 1 or inner.has_edge(first, first):
                cycle = [edge[0] for edge in nx.find_cycle(inner.subgraph(part), first)]
                path = " -> ".join([*cycle, cycle[0]])
                self.bad(first, "NC0218", f"the cycle {path} holds no neurons", "a cycle needs neurons, which end the tick")
        for name in neurons:
            if not flow.in_degree(name):
                self.note(name, "input", "none", "no edge leads to it")
        self.neurons = self._ordered(neurons)

    def _ordered(self, neurons: Sequence[str]) -> list[str]:
        """Return neurons from the inputs on, as far as cycles allow."""
        rank = {
            name: number for number, name in enumerate(reversed([*nx.dfs_postorder_nodes(_rooted(self.flow, self.inputs))]))
        }
        return sorted(neurons, key=lambda name: rank[name])

    # shapes

    def _values(self, name: str, *, flat: bool) -> dict[str, FloatArray]:
        """Return the parameters of neurons, each 0-d or (n,), or in the shape of the population."""
        node = self.nodes[name]
        shape = self.shapes[name]
        assert shape is not None
        result: dict[str, FloatArray] = {}
        for key in KINDS[node.kind]:
            if key in node.values:
                stored = node.values[key]
                value = _decimal(stored) if key.startswith("tau") else np.asarray(stored, np.float64)
                value = fitted(value, shape)
                result[key] = value.reshape(-1) if flat and value.ndim else value
        return result

    def _own_shape(self, name: str) -> Shape | None:
        """Return the shape that the parameters of neurons have; None where they are one for all."""
        node, shapes = self.nodes[name], {}
        for key in KINDS[node.kind]:
            if key in node.values and node.values[key].size > 1:
                shapes[key] = without_batch(node.values[key].shape)
        try:
            return tuple(np.broadcast_shapes(*shapes.values())) if shapes else None
        except ValueError:
            listed = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
            self.bad(name, "NC0202", f"its parameters differ in shape: {listed}", "give each the shape of the layer")
            return None

    def _shape_of(self, name: str) -> Shape | None:
        """Return the shape of what a node hands on; None where it is not known (yet)."""
        if name in self.shapes:
            return self.shapes[name]
        if name in self.open:
            return None
        self.open.add(name)
        try:
            found = self._found_shape(name)
        finally:
            self.open.discard(name)
        if found is not None and not 0 < size_of(found) <= MAX_COUNT:
            self.bad(name, "NC0209", f"it has the shape {found}, {size_of(found):,} values; 1 to {MAX_COUNT:,} are possible")
            found = None
        if found is not None or not self.open:
            self.shapes[name] = found
        return found

    def _found_shape(self, name: str) -> Shape | None:
        kind = self.nodes[name].kind
        if name in self.inputs:
            return self._input_shape(name)
        arriving = [shape for before in self.flow.predecessors(name) if (shape := self._shape_of(before)) is not None]
        if kind not in NEURONS:
            if not arriving:
                return None
            step = self._step(name, arriving[0])
            return None if step is None else step.shape
        own = self._own_shape(name)
        if self.graph.problems and own is None and not arriving:
            return None
        if not arriving:
            if own is None and not self.flow.in_degree(name):
                return (1,)
            return own
        come = arriving[0]
        if own is None:
            return come
        if size_of(own) == size_of(come):
            return own if len(own) >= len(come) else come
        if len(own) <= len(come) and broadcasts(own, come):
            return come
        before = next(iter(self.flow.predecessors(name)))
        message = f"its parameters have the shape {own}, and '{before}' gives {come}"
        self.bad(name, "NC0202", message, "give the parameters the shape of the layer")
        return None

    def _input_shape(self, name: str) -> Shape | None:
        stated = self.nodes[name].values.get("shape")
        needed = self._needed(name)
        if stated is None or not stated.size:
            if needed is None or needed[0] is None:
                hint = "add 'shape' to it, without batch and time"
                self.bad(name, "NC0105", "its shape is missing, and what follows does not tell it", hint)
                return None
            self.note(name, "shape", str(list(needed[0])), "what follows needs it")
            return needed[0]
        whole = tuple(int(extent) for extent in stated)
        shape = whole
        while len(shape) > 1 and shape[0] < 1:
            shape = shape[1:]
        if min(shape) < 1:
            self.bad(name, "NC0209", f"its shape is {list(whole)}; extents are 1 or more", "write it without batch and time")
            return None
        if needed is not None and needed[0] is not None and size_of(shape) != size_of(needed[0]):
            wanted = needed[0]
            if len(shape) > len(wanted) and shape[-len(wanted) :] == wanted:
                shape = wanted
        elif needed is not None and needed[0] is not None and size_of(shape) == size_of(needed[0]):
            shape = needed[0] if len(needed[0]) > 1 else shape
        elif needed is not None and needed[1]:
            shape = shape[-needed[1] :] if len(shape) > needed[1] else shape
        if len(shape) > 1 and shape != whole[-len(shape) :]:
            self.note(name, "shape", str(list(shape)), f"what follows needs it, the file says {list(whole)}")
        elif shape != whole:
            self.note(name, "shape", str(list(shape)), f"the file says {list(whole)}, with batch or time")
        trimmed = without_batch(shape)
        return trimmed if needed is not None and needed[0] is not None and trimmed == needed[0] else shape

    def _needed(self, name: str) -> tuple[Shape | None, int] | None:
        """Return what the first node behind an input takes: its shape, or None and how many axes."""
        for after in self.flow.successors(name):
            node = self.nodes[after]
            weight = node.values.get("weight")
            if node.kind in ("Affine", "Linear") and weight is not None and weight.ndim == 2:
                return (weight.shape[1],), 0
            if node.kind in ("Conv1d", "Conv2d") and weight is not None:
                dims = int(node.kind[4])
                channels = int(weight.shape[1] * node.values.get("groups", np.ones(1))[0]) if weight.ndim == dims + 2 else 0
                inner = node.values.get("input_shape")
                if channels and inner is not None and len(inner) == dims and inner.min() > 0:
                    return (channels, *(int(extent) for extent in inner)), dims + 1
                return None, dims + 1
            if node.kind in ("SumPool2d", "AvgPool2d"):
                return None, 3
            if node.kind == "Flatten" and "input_type" in node.values and node.values["input_type"].size:
                shape = tuple(int(extent) for extent in node.values["input_type"] if extent > 0)
                return (shape, len(shape)) if shape else None
            if node.kind in NEURONS:
                own = self._own_shape(after)
                return None if own is None else (own, len(own))
        return None

    # linear nodes

    def _step(self, name: str, shape: Shape) -> Step | None:
        """Return what a linear node does to values of a shape, or None after noting why it cannot."""
        key = name, shape
        if key not in self.steps:
            node = self.nodes[name]
            try:
                step: Step | None = self.linear.step(node, shape)
            except Unclear as problem:
                self.bad(name, *problem.args)
                step = None
            if step is None:
                return None
            self.steps[key] = step
        return self.steps[key]

    # populations

    def _cell(self, name: str) -> Cell | None:
        shape = self.shapes.get(name)
        if shape is None:
            self.bad(name, "NC0202", "its shape does not follow from the file", "give its parameters the shape of the layer")
            return None
        node = self.nodes[name]
        try:
            values = self._values(name, flat=True)
            for key, value in values.items():
                if value.ndim and value.shape != (size_of(shape),):
                    raise Unclear("NC0202", f"{key} has {value.size} values for {size_of(shape)} neurons", "give one for each")
            missing = [key for key in KINDS[node.kind] if key not in values and key in DEFAULTS and key != "v_reset"]
            for key in missing:
                self.note(name, key, f"{DEFAULTS[key]:g}", "the file has none")
            return cell_of(node, self._identifier(name), size_of(shape), values, self.chosen)
        except Unclear as unclear:
            code, message, hint = unclear.args
            self.bad(name, code, message, hint)
            return None

    def _identifier(self, name: str) -> str:
        """Return a name as networks have them."""
        if re.fullmatch(IDENTIFIER, name):
            return name
        clean = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        return clean if re.fullmatch(IDENTIFIER, clean) else f"n{clean}"

    def _name_all(self) -> None:
        taken: set[str] = set()
        for name in (*self.inputs, *self.neurons, *self.outputs):
            new, number = self._identifier(name), 2
            while new in taken:
                new, number = f"{self._identifier(name)}_{number}", number + 1
            taken.add(new)
            self.names[name] = new
            if new != name and name not in self.outputs:
                self.note(new, "name", new, f"'{name}' in the file")

    def _population(self, name: str, cell: Cell | None) -> Population:
        shape = self.shapes[name]
        assert shape is not None
        if cell is not None:
            self.choices += cell.choices
        return Population(self.names[name], shape, None if cell is None else cell.neuron, self.where)

    # projections

    def _projections(self, cells: Mapping[str, Cell]) -> list[Projection]:
        found: list[Projection] = []
        for name in self.neurons:
            found += self._into(name, self.names[name], self.shapes[name] or (1,), cells[name])
        return found

    def _into(self, name: str, target: str, shape: Shape, cell: Cell | None) -> list[Projection]:
        """Return the projections into a population, one per way from another one, each with the bias of its last node."""
        found: list[Projection] = []
        biased: set[str] = set()
        own = cell.bias if cell is not None else None
        try:
            for path in self._paths(name):
                projection = self._projection(path, target, shape, cell)
                if projection is None:
                    continue
                last = path[-1]
                bias = None
                if last not in biased and last not in self.inputs and last not in self.neurons:
                    bias = self._constant(last)
                    biased.add(last)
                bias = self._scaled_bias(bias, cell, shape)
                if own is not None:
                    bias = own if bias is None else np.asarray(bias, np.float64) + own
                    own = None
                found.append(projection if bias is None else replace(projection, bias=frozen(bias)))
        except Unclear as problem:
            self.bad(name, *problem.args)
        if own is not None and not self.graph.problems:
            self.bad(name, "NC0345", "v_leak drives it, and no edge leads to it, where a bias could be", "add an input to it")
        return found

    def _scaled_bias(self, bias: Array | None, cell: Cell | None, shape: Shape) -> Array | None:
        if bias is None:
            return None
        if bias.size != size_of(shape):
            return None  # the projection has been refused
        return bias if cell is None or (cell.gain == 1.0).all() else np.asarray(bias, np.float64) * cell.gain

    def _paths(self, name: str) -> Iterator[list[str]]:
        """Yield the ways into a node: the population that each begins at, then the nodes between."""
        count = 0
        stack = [[before] for before in reversed([*self.flow.predecessors(name)])]
        while stack:
            path = stack.pop()
            if path[0] in self.inputs or path[0] in self.neurons:
                count += 1
                if count > MAX_PATHS:
                    hint = "join branches in fewer nodes"
                    raise Unclear("NC0209", f"more than {MAX_PATHS} ways of nodes without neurons lead to it", hint)
                yield path
                continue
            stack += [[before, *path] for before in reversed([*self.flow.predecessors(path[0])])]

    def _projection(self, path: Sequence[str], target: str, shape: Shape, cell: Cell | None) -> Projection | None:
        source, nodes = path[0], path[1:]
        if self.nodes[source].kind in NEURONS and self.nodes[source].kind not in FIRING:
            hint = "only spikes travel: use spiking neurons, or a CubaLIF in place of LI and LIF"
            self.bad(source, "NC0345", "its potential is the input of other nodes, and it never spikes", hint)
            return None
        made = self.shapes[source]
        assert made is not None
        stages: list[Stage] = []
        delays: list[tuple[int, FloatArray]] = []
        for name in nodes:
            step = self._step(name, made)
            if step is None:
                return None
            if step.delay is not None and step.delay.any():
                delays.append((len(stages), step.delay))
            stages += step.stages
            made = step.shape
        if size_of(made) != size_of(shape):
            self.bad(nodes[-1] if nodes else source, "NC0202", f"it makes {made}, and '{target}' has the shape {shape}",
                     "give both one shape")  # fmt: skip
            return None
        gain = np.ones(()) if cell is None else cell.gain
        stages = _tidied(stages, self.shapes[source] or (1,), shape, gain)
        delay = self._ticks(path, stages, delays, self.shapes[source] or (1,))
        if delay is None:
            return None
        last = stages[-1]
        return Projection(
            f"{self.names[source]}->{target}", self.names[source], target, last.pattern, last.weights, None, delay,
            None, tuple(stages[:-1]), self.where,
        )  # fmt: skip

    def _ticks(
        self, path: Sequence[str], stages: Sequence[Stage], delays: Sequence[tuple[int, FloatArray]], source: Shape
    ) -> Array | None:
        """Return the delay of a projection: 0-d, or per synapse of a matrix."""
        total = np.zeros((), np.int64)
        for at, ticks in delays:
            whole = ticks.astype(np.int64)
            if (whole == whole[0]).all():
                total = total + whole[0]
                continue
            kind = stages[0].pattern.kind
            if len(stages) > 1 or kind not in ("dense", "one_to_one", "scale"):
                name = next(n for n in path if self.nodes[n].kind == "Delay")
                self.bad(name, "NC0345", "delays that differ, next to anything but one matrix, have no words here",
                         "use one delay for all, or put the Delay next to an Affine or Linear alone")  # fmt: skip
                return None
            if kind == "dense":
                whole = whole[None, :] if at == 0 and len(whole) == size_of(source) else whole[:, None]
            total = total + np.broadcast_to(whole, stages[0].weights.shape)
        return frozen(np.asarray(total, np.int64))

    def _constant(self, name: str) -> Array | None:
        """Return what a linear node gives in every tick where nothing spikes: its bias, and what it makes of others'."""
        arriving: FloatArray | None = None
        shape: Shape | None = None
        for before in self.flow.predecessors(name):
            shape = shape or self._shape_of(before)
            if before in self.inputs or before in self.neurons:
                continue
            found = self._constant(before)
            if found is not None:
                arriving = np.asarray(found, np.float64) if arriving is None else arriving + found
        if shape is None:
            return None
        step = self._step(name, shape)
        if step is None:
            return None
        if arriving is None:
            return step.bias
        if step.delay is not None and step.delay.any():
            message = "a bias comes before it, which it would hold back at the start"
            self.bad(name, "NC0345", message, "put the Delay before the node that has the bias")
            return None
        x = arriving[None, :]
        for stage in step.stages:
            x = PATTERNS[stage.pattern.kind].forward(
                stage.pattern, np.asarray(stage.weights, np.float64), x, shape, stage.shape
            )
            shape = stage.shape
        return np.asarray(x[0]) if step.bias is None else np.asarray(x[0]) + step.bias

    # outputs, delays

    def _readouts(self, populations: dict[str, Population], projections: list[Projection]) -> list[str]:
        """Return the populations that outputs show; sums without neurons become a population that holds no memory."""
        shown: list[str] = []
        for name in self.outputs:
            befores = [*self.flow.predecessors(name)]
            if not befores:
                self.bad(name, "NC0218", "no edge leads to it", "let an edge lead from the last layer to it")
            for before in befores:
                if before in self.inputs:
                    self.bad(name, "NC0218", f"the input '{before}' leads to it without neurons", "remove the edge")
                elif before in self.neurons:
                    shown.append(self.names[before])
            sums = [before for before in befores if before not in self.inputs and before not in self.neurons]
            if not sums:
                self._check_output(name, befores)
                continue
            if len(sums) < len(befores):
                self.bad(name, "NC0345", "neurons and sums without neurons lead to it", "use an output for each")
                continue
            self.open.clear()
            shape = next((found for before in sums if (found := self._shape_of(before)) is not None), None)
            if shape is None:
                continue
            one_tick = frozen(np.float64(self.chosen.timestep))
            parameters = {"tau_mem": one_tick, "r": frozen(np.float64(1)), "v_init": frozen(np.float64(0))}
            neuron = Neuron("li", parameters, Semantics(integration="euler"))
            new = self.names[name]
            populations[new] = Population(new, shape, neuron, self.where)
            projections += self._into(name, new, shape, None)
            self.note(new, "output", "a population 'li' without memory", "no neurons lead to the output")
            shown.append(new)
        if not self.outputs:
            self.note(self.name, "outputs", "populations that no other listens to", "the file has no Output")
        return list(dict.fromkeys(shown))

    def _check_output(self, name: str, befores: Sequence[str]) -> None:
        stated = self.nodes[name].values.get("shape")
        for before in befores:
            shape = self.shapes.get(before)
            if stated is None or shape is None or not stated.size:
                continue
            whole = tuple(int(extent) for extent in stated)
            if size_of(whole) == size_of(shape) or whole[-len(shape) :] == shape:
                if whole != shape:
                    self.note(self.names[before], "shape", str(list(shape)), f"output '{name}' says {list(whole)}")
                continue
            message = f"its shape is {list(whole)}, and '{before}' has the shape {list(shape)}"
            self.bad(name, "NC0202", message, "correct the shape of the output")

    def _with_delays(self, populations: Mapping[str, Population], projections: Sequence[Projection]) -> list[Projection]:
        """Return projections with the ticks that cycles need and frameworks add, and names that differ."""
        latency = self.chosen.rule.latency
        found = list(projections)
        if latency:
            for at, q in enumerate(found):
                if not populations[q.source].is_input:
                    found[at] = replace(q, delay=frozen(q.delay + latency))
                    self.note(q.name, "delay", "1 tick more", f"rule of {self.chosen.rule.name}")
        graph = nx.DiGraph()
        graph.add_nodes_from(populations)
        graph.add_edges_from((q.source, q.target) for q in found if q.delay.min() == 0)
        backward = _backward(_rooted(graph, [p.name for p in populations.values() if p.is_input]))
        for at, q in enumerate(found):
            if (q.source, q.target) in backward and q.delay.min() == 0:
                found[at] = replace(q, delay=frozen(np.maximum(q.delay, 1)))
                self.note(q.name, "delay", "1 tick", "it closes a cycle, which spikes of the tick before go round")
        names: set[str] = set()
        for at, q in enumerate(found):
            name, number = q.name, 2
            while name in names:
                name, number = f"{q.name}#{number}", number + 1
            names.add(name)
            found[at] = replace(q, name=name)
        return found

    def _whole(
        self, populations: Mapping[str, Population], projections: Sequence[Projection], outputs: Sequence[str]
    ) -> Network:
        ticks, origin = self.reading.ticks, "given"
        stated = self.graph.metadata.get("ticks")
        if ticks is None and isinstance(stated, int) and 0 < stated <= MAX_COUNT:
            ticks, origin = stated, "metadata"
        self.note(self.name, "ticks", str(ticks or DEFAULT_TICKS), origin if ticks else "default")
        encoders, decoders = {}, {}
        for p in populations.values():
            if p.is_input:
                encoders[p.name] = Encoder("direct", {}, self.where)
                self.note(p.name, "encode", "direct", "default")
            elif p.name in outputs and p.neuron is not None:
                scheme = "count" if NEURON_MODELS[p.neuron.model].fires else "potential"
                decoders[p.name] = Decoder(scheme, {key: o.default for key, o in DECODERS[scheme].options.items()}, self.where)
                self.note(p.name, "decode", scheme, "default")
        order = {name: number for number, name in enumerate(populations)}
        listed = sorted(projections, key=lambda q: (order[q.target], order[q.source]))
        return Network(
            self.name, self.chosen.timestep, ticks or DEFAULT_TICKS, populations, tuple(listed), encoders, decoders,
            choices=tuple(self.choices),
        )  # fmt: skip


def _decimal(times: Array) -> FloatArray:
    """Return time constants; one in float32 is the shortest decimal number that it stands for, as its author wrote it."""
    if times.dtype != np.float32:
        return np.asarray(times, np.float64)
    different, where = np.unique(times, return_inverse=True)
    return np.array([float(str(time)) for time in different])[where].reshape(times.shape)


def _meaningless(array: Array, key: str) -> bool:
    """Return whether parameters are so large, or times and gains so small, that no arithmetic follows them."""
    size = np.abs(np.asarray(array, np.float64))
    size = size[np.isfinite(size)]
    return bool(
        (size > FARTHEST).any() or (key.startswith(("tau", "r", "w_in")) and ((size > 0) & (size < 1 / FARTHEST)).any())
    )


def _tidied(stages: Sequence[Stage], source: Shape, target: Shape, gain: FloatArray) -> list[Stage]:
    """Return stages that end in the target's shape, with the factor on all, and without what changes nothing."""
    found: list[Stage] = []
    for at, stage in enumerate(stages):
        after = stages[at + 1] if at + 1 < len(stages) else None
        if stage.pattern.kind == "flatten" and after is not None and after.pattern.kind in ("dense", "flatten"):
            continue  # a matrix takes any shape
        found.append(stage)
    if found and found[-1].pattern.kind == "flatten" and len(found) > 1 and found[-2].pattern.kind in ("dense", "scale"):
        found.pop()
    if not found:
        found = [Stage(Pattern("one_to_one"), frozen(np.ones(size_of(source))), target)]
    if not (gain == 1.0).all():
        last = found[-1]
        before = found[-2].shape if len(found) > 1 else source
        factors = np.broadcast_to(gain, (size_of(target),))
        made = PATTERNS[last.pattern.kind].scaled(last.pattern, last.weights, factors, before, last.shape)
        if made is None:
            found.append(stage_of(Pattern("scale"), np.ascontiguousarray(factors), target))
        else:
            found[-1] = Stage(made[0], frozen(made[1]), last.shape)
    last = found[-1]
    if last.shape != target:
        if last.pattern.kind in ("dense", "one_to_one", "flatten", "sparse", "scale"):
            found[-1] = replace(last, shape=target)
        else:
            found.append(Stage(Pattern("flatten"), frozen(np.asarray(1, np.int64)), target))
    return found


def _rooted(graph: nx.DiGraph[str], roots: Sequence[str]) -> nx.DiGraph[str]:
    """Return the graph with its nodes in an order that begins with the roots."""
    found: nx.DiGraph[str] = nx.DiGraph()
    found.add_nodes_from([*roots, *graph])
    found.add_edges_from(graph.edges)
    return found


def _backward(graph: nx.DiGraph[str]) -> set[tuple[str, str]]:
    """Return the edges that lead back to a node that a walk from the first nodes on has not left yet."""
    found: set[tuple[str, str]] = set()
    done: set[str] = set()
    for root in graph:
        if root in done:
            continue
        active, walk = {root}, [(root, iter(graph.successors(root)))]
        while walk:
            node, others = walk[-1]
            for after in others:
                if after in active:
                    found.add((node, after))
                elif after not in done:
                    active.add(after)
                    walk.append((after, iter(graph.successors(after))))
                    break
            else:
                walk.pop()
                active.discard(node)
                done.add(node)
    return found
