"""An integer network made ready for the kernels: what follows from its integers and shapes, in a few long arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
from numba.core.errors import NumbaError
from numpy.typing import NDArray

from neurocomp.engine.kernels import layout, learning, records
from neurocomp.engine.kernels.counting import Meter
from neurocomp.engine.kernels.programs import Compiled, compiled
from neurocomp.engine.kernels.records import LINE, TILE, Chunk, Tables
from neurocomp.engine.metering import NodeKey, Wiring, node_key
from neurocomp.errors import Diagnostic, EngineUnavailable, broken_invariant
from neurocomp.fixedpoint import running_sum, shifted
from neurocomp.ir.programs import NeuronProgram, neuron_program
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection, learned_range
from neurocomp.models.patterns import Pattern, Shape, blocks_of, size_of

Array = NDArray[Any]
IntArray = NDArray[np.int64]

BLOCK_SUMS = 1 << 20
"""Bytes of the sums of the largest population of a block of ticks, unless the block would be shorter than the least."""
KINDS = ("input", "current", "compartment", "ternary", "programmed")
"""The dynamics that it executes."""
LEAST_BLOCK, MOST_BLOCK = 8, 128
WORD = 1 << 31
"""Sums below it are 32-bit words that do not wrap."""
INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the kernels need of a network for samples of so many ticks."""

    network: IntegerNetwork
    chip_ticks: int
    tables: Tables
    block: int
    """Ticks that a population runs before the next one does."""
    populations: tuple[str, ...]
    """Those with neurons, in the order in which they run."""
    stages: tuple[tuple[int, int], ...]
    """First and last + 1 of the populations that run together: one, or all of a cycle, tick by tick."""
    nodes: tuple[NodeKey, ...]
    inputs: Mapping[str, int]
    """Input population -> its node."""
    currents: Mapping[str, int]
    """Population with a current -> where its currents begin in a sample's row."""
    orders: Mapping[str, IntArray]
    """Population whose neurons the engine holds in another order -> the number in the population of each."""
    groups: tuple[Group, ...]
    learned: tuple[Learned, ...]
    events: int
    """Places of a sample's row; the next ones likewise."""
    ptr: int
    state: int
    tiles: int
    waiting: int
    sums: int
    current: int
    width: int
    """Neurons of the largest population, padded."""
    graded: bool
    """Whether any spike carries a value."""
    programs: tuple[Compiled, ...] = ()
    """Keeps the compiled programs alive, whose addresses the tables hold."""
    matrices: dict[int, tuple[NDArray[np.float32], int]] = field(default_factory=dict)
    """What `neurocomp.engine.product` keeps of dense weights, by their place."""
    wired: dict[int, tuple[Wiring, Meter, IntArray, IntArray]] = field(default_factory=dict)
    """What `neurocomp.engine.counting` made of the last wiring."""
    told: dict[int, bool] = field(default_factory=dict)
    """Group -> whether messages say that it is a matrix product."""
    free: dict[int, list[Chunk]] = field(default_factory=dict)
    """Number of samples -> memory of chunks of so many that no thread uses."""

    @property
    def bytes_per_sample(self) -> int:
        """Memory that a sample needs while it runs, if one neuron in four spikes."""
        return 4 * self.sums + self.events * (2 if self.graded else 1) + 8 * self.state + 8 * self.ptr

    @property
    def bytes_of_weights(self) -> int:
        """Memory of all weights and what leads to them."""
        return sum(array.nbytes for array in self.tables)

    def place(self, name: str) -> IntArray:
        """Return where the engine holds each neuron of a population."""
        return place_of(self.orders, name, self.network.populations[name].size)


def place_of(orders: Mapping[str, IntArray], name: str, n: int) -> IntArray:
    """Return where each of the n neurons of a population is held."""
    if name not in orders:
        return np.arange(n)
    result = np.empty(n, np.int64)
    result[orders[name]] = np.arange(n)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """A projection that learns: its weights, in the tables, are what moves."""

    projection: IntegerProjection
    rule: learning.Rule
    synapses: learning.Synapses
    slots: IntArray
    """Where the weight of each synapse stands in the projection's flat array."""
    place: int
    """Where the weights begin among the words."""
    source: int
    """Its node."""
    target: int
    start: int
    """The first tick of the target in which it takes a step."""
    end: int
    """Behind the last one."""


@dataclass(slots=True, eq=False)
class Group:
    """The synapses of one projection that have one delay, before their weights have a place."""

    projection: IntegerProjection
    delay: int
    kind: int
    source: tuple[str, Pattern | None]
    """Population, and the maximum that its spikes pass."""
    fan_in: int
    """Most synapses of a target."""
    loses: int
    """Low bits that all stored weights may lose as they are 0."""
    pairs: tuple[IntArray, IntArray, Array] | None = None
    """Sparse: sources, targets, stored weights."""
    learned: tuple[learning.Synapses, IntArray] | None = None
    """Where it learns: whom its synapses join, and which of the projection's each is."""
    key: int = -1
    record: dict[str, int] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Which array holds the weights."""
        if self.projection.learning is not None:
            return records.INT32
        return {np.dtype(np.int8): records.INT8, np.dtype(np.uint8): records.UINT8}.get(
            self.projection.mantissa.dtype, records.INT32
        )

    @property
    def largest(self) -> int:
        """No stored weight has a larger magnitude."""
        if self.width == records.INT32:
            return max((int(np.abs(self.projection.mantissa[b]).max()) for b in blocks_of(self.projection.mantissa)), default=0)
        return 128 if self.width == records.INT8 else 255


@dataclass(slots=True)
class _Arena:
    """A long array that is filled piece by piece."""

    dtype: Any
    size: int = 0
    pieces: list[tuple[int, Array]] = field(default_factory=list)

    def reserve(self, size: int, align: int = 1) -> int:
        """Return where ``size`` elements begin."""
        start = -(-self.size // align) * align
        self.size = start + size
        return start

    def add(self, values: Array) -> int:
        """Append values; return where they begin."""
        start = self.reserve(len(values))
        self.pieces.append((start, values))
        return start

    def array(self) -> Array:
        """Return the array, which begins at a cache line; reserved pieces are not written yet."""
        itemsize = np.dtype(self.dtype).itemsize
        memory = np.empty(max(1, self.size) * itemsize + LINE, np.uint8)
        start = -memory.ctypes.data % LINE
        result: Array = memory[start : start + max(1, self.size) * itemsize].view(self.dtype)
        for place, values in self.pieces:
            result[place : place + len(values)] = values
        return result


def plan_of(network: IntegerNetwork, chip_ticks: int, lag: Mapping[str, int]) -> Plan:
    """Prepare a network for samples of ``chip_ticks`` ticks.

    Raises:
        EngineUnavailable: There are neurons or crossbars that it does not execute, or potentials leave 32 bits, which only
            formats without limits allow (NC0320).
    """
    other = next((p for p in network.populations.values() if p.dynamics not in KINDS), None)
    if other is not None:
        message = f"engine 'fast' is not available: it has no neurons of the kind '{other.dynamics}', as '{other.name}' has"
        hint = "use --engine reference, or chip; their results are the same"
        raise EngineUnavailable(Diagnostic("NC0320", message, other.origin, hint=hint))
    return _Planner(network, chip_ticks, lag).plan()


class _Planner:
    """Collects the tables of one network."""

    def __init__(self, network: IntegerNetwork, chip_ticks: int, lag: Mapping[str, int]) -> None:
        self.network, self.chip_ticks, self.lag = network, chip_ticks, lag
        self.arenas = {
            records.INT8: _Arena(np.int8), records.UINT8: _Arena(np.uint8), records.INT32: _Arena(np.int32),
        }  # fmt: skip
        self.targets, self.table = _Arena(np.int32), _Arena(np.int64)
        self.narrow, self.wide = _Arena(np.int32), _Arena(np.int64)
        self.constants: dict[int, int] = {}
        self.programs: list[Compiled] = []
        self.orders = {name: order for name in network.populations if (order := self.held_order(name)) is not None}
        self.order_places = {name: self.targets.add(order) for name, order in self.orders.items()}

    def held_order(self, name: str) -> IntArray | None:
        """Return the number of each neuron as the engine holds them, channels last; None: they stand as they are."""
        shape = self.network.populations[name].shape
        arrives = any(q.pattern.kind in ("conv1d", "conv2d") for q in self.network.projections_to(name))
        if not arrives or shape[0] == 1 or size_of(shape[1:]) == 1:
            return None
        return np.ascontiguousarray(np.arange(size_of(shape)).reshape(shape[0], -1).T.ravel())

    def place(self, name: str) -> IntArray:
        """Return where the engine holds each neuron of a population."""
        return place_of(self.orders, name, self.network.populations[name].size)

    def plan(self) -> Plan:
        """Lay out everything."""
        stages = stages_of(self.network)
        names = [name for stage in stages for name in stage]
        groups = {name: list(self.groups_to(name)) for name in names}
        nodes = self.nodes()
        single = {
            name
            for stage in stages
            for name in stage
            if len(stage) == 1 and not self.hears_itself(name) and not any(g.projection.learning for g in groups[name])
        }
        widest = max((_padded(p.size) for p in self.network.populations.values()), default=LINE)
        block = min(self.chip_ticks, max(LEAST_BLOCK, min(MOST_BLOCK, BLOCK_SUMS // (4 * widest))))

        keys = {name: _share_keys(groups[name]) for name in names}
        node_rows, node_number, events, ptr = self.node_rows(nodes, groups, block)
        pool_rows, pools = self.pool_rows(nodes, node_number)
        rows: list[dict[str, int]] = []
        group_rows: list[dict[str, int]] = []
        key_rows: list[tuple[int, int, int]] = []
        state = tile = acc = waiting = current = 0
        currents: dict[str, int] = {}
        for name in names:
            p, pad = self.network.populations[name], _padded(self.network.populations[name].size)
            slots = block if name in single else 1
            row = self.parameters(p, keys[name])
            row |= {
                "n": p.size, "pad": pad, "node": node_number[name, None], "state": state, "tile": tile, "acc": acc,
                "waiting": waiting if p.refractory else -1, "slots": slots,
                "first_group": len(group_rows), "last_group": len(group_rows) + len(groups[name]),
                "first_key": len(key_rows), "last_key": len(key_rows) + len(keys[name]),
                "first_pool": pools.get(name, (0, 0))[0], "last_pool": pools.get(name, (0, 0))[1],
                "lag": self.lag[name], "current": current if p.current is not None else -1,
                "order": self.order_places.get(name, -1),
            }  # fmt: skip
            rows.append(row)
            group_rows += [self.group_row(g, node_number, len(key_rows)) for g in groups[name]]
            key_rows += keys[name]
            state, tile, acc = state + pad, tile + -(-p.size // TILE), acc + len(keys[name]) * slots * pad
            waiting += p.size if p.refractory else 0
            if p.current is not None:
                currents[name] = current
                current += p.size
        form = self.network.number_format
        form_row = (form.decay_bits, form.state_shift, form.u_bits, int(form.u_overflow == "fold"), form.v_bits,
                    form.accumulator_bits)  # fmt: skip
        every = tuple(g for name in names for g in groups[name])
        tables = Tables(
            _rows(records.NODE, node_rows), _rows(records.POOL, pool_rows), _rows(records.GROUP, group_rows),
            np.array(key_rows, records.KEY), _rows(records.POPULATION, rows), np.array([form_row], records.FORM),
            self.arenas[records.INT8].array(), self.arenas[records.UINT8].array(), self.arenas[records.INT32].array(),
            self.targets.array(), self.table.array(), self.narrow.array(), self.wide.array(),
        )  # fmt: skip
        for g in every:
            self.write_weights(g, tables)
        positions = {name: index for index, name in enumerate(names)}
        return Plan(
            self.network, self.chip_ticks, tables, block, tuple(names),
            tuple((positions[stage[0]], positions[stage[-1]] + 1) for stage in stages),
            tuple(node_number),
            {name: node_number[name, None] for name, p in self.network.populations.items() if p.dynamics == "input"},
            currents, self.orders, every, tuple(self.learned(g, node_number) for g in every if g.learned),
            events, ptr, state, tile, waiting, acc, current, widest,
            any(row["graded"] for row in node_rows), tuple(self.programs),
        )  # fmt: skip

    def learned(self, g: Group, node_number: Mapping[NodeKey, int]) -> Learned:
        """Return what the kernel of learning needs of a group."""
        q = g.projection
        assert q.learning is not None
        assert g.learned is not None
        synapses, slots = g.learned
        begin, end = self.lag[q.source] + g.delay, self.lag[q.target] + self.chip_ticks - max(self.lag.values(), default=0)
        return Learned(
            q,
            rule_of(q),
            synapses,
            slots,
            g.record["weights"],
            node_number[q.source, None],
            node_number[q.target, None],
            begin,
            end,
        )

    def hears_itself(self, name: str) -> bool:
        """Return whether a population has synapses onto itself."""
        return any(q.source == name for q in self.network.projections_to(name))

    # Groups of synapses

    def groups_to(self, name: str) -> Iterator[Group]:
        """Split the projections into a population by delay; what cannot arrive in time is left out."""
        for q in self.network.projections_to(name):
            if not q.mantissa.size:
                continue
            if self.network.populations[q.source].dynamics == "current":
                message = f"engine 'fast' has no synapses from a current, as '{q.name}' are"
                raise EngineUnavailable(Diagnostic("NC0320", message, q.origin, hint="use --engine reference"))
            source, _ = self.network.shapes(q)
            loses = _low_zeros(q)
            kind = q.pattern.kind
            # Weights of more than 8 bits, which no chip has, are listed: one kernel is enough for them.
            convolves = kind in ("conv1d", "conv2d") and q.mantissa.dtype.itemsize == 1
            plain = (
                q.mantissa.dtype.itemsize == 1
                and q.delay.ndim == 0
                and (kind == "dense" or (kind == "block" and name not in self.orders))
            )
            for delay in (int(d) for d in np.unique(q.delay)):
                if delay >= self.chip_ticks and q.learning is None:
                    continue
                if q.learning is not None:
                    yield Group(q, delay, records.SPARSE, (q.source, None), 0, 0, self.pairs(q, delay))
                elif convolves:
                    fan_in = size_of(q.mantissa.shape[1:])
                    yield Group(q, delay, records.CONVOLUTION, (q.source, q.pool), fan_in, loses)
                elif plain:
                    dense = kind == "dense"
                    fan_in = size_of(source) if dense else q.mantissa.shape[2]
                    yield Group(q, delay, records.DENSE if dense else records.BLOCK, (q.source, q.pool), fan_in, loses)
                else:
                    pairs = self.pairs(q, delay)
                    fan_in = int(np.bincount(pairs[1], minlength=1).max())
                    yield Group(q, delay, records.SPARSE, (q.source, q.pool), fan_in, loses, pairs)

    def pairs(self, q: IntegerProjection, delay: int) -> tuple[IntArray, IntArray, Array]:
        """Return sources, targets and stored weights of the synapses with a delay, as the engine holds the neurons."""
        if q.pattern.kind == "sparse":
            sources, targets = q.pattern.arrays["sources"], q.pattern.arrays["targets"]
            weights, delays = q.mantissa, q.delay
        else:
            found = self.network.synapses(q)
            sources, targets, weights = found.source, found.target, q.mantissa.ravel()[found.slot]
            delays = q.delay.ravel()[found.slot] if q.delay.ndim else q.delay
        if q.delay.ndim:
            kept = delays == delay
            sources, targets, weights = sources[kept], targets[kept], weights[kept]
        if q.pool is None and q.source in self.orders:
            sources = self.place(q.source)[sources]
        if q.target in self.orders:
            targets = self.place(q.target)[targets]
        return sources, targets, weights

    def group_row(self, g: Group, node_number: Mapping[NodeKey, int], first_key: int) -> dict[str, int]:
        """Return the record of a group, and reserve the place of its weights."""
        q = g.projection
        source, target = self.network.shapes(q)
        row = dict.fromkeys(records.GROUP.names or (), 0)
        row |= {
            "kind": g.kind, "node": node_number[node_key(*g.source)], "delay": g.delay, "key": first_key + g.key,
            "graded": int(not q.binary), "width": g.width,
        }  # fmt: skip
        arena = self.arenas[g.width]
        if g.kind == records.DENSE:
            # An odd number of cache lines from row to row: the rows of a block then fall into different sets of the cache.
            stride = (-(-size_of(target) // LINE) | 1) * LINE
            row |= {"stride": stride, "sources": size_of(source)}
            row["weights"] = arena.reserve((size_of(source) + 1) * stride, LINE)
        elif g.kind == records.SPARSE:
            assert g.pairs is not None
            sources, targets, weights = g.pairs
            n = size_of(source)
            if q.learning is not None:
                # Weights of 0 stay: they may grow.
                synapses, by_source = learning.synapses_of(sources, targets, n, size_of(target))
                places = np.arange(len(by_source)) if q.pattern.kind == "sparse" else self.network.synapses(q).slot
                g.learned = synapses, places[by_source]
                row |= {"table": self.table.add(synapses.start), "targets": self.targets.add(synapses.target)}
                row["weights"], g.pairs, g.record = arena.add(np.zeros(len(by_source), np.int32)), None, row
                return row
            dtype = arena.dtype
            begins, found = np.zeros(n + 1, np.int64), int(np.count_nonzero(weights))
            out_targets, out_weights = np.empty(found, np.int32), np.empty(found, dtype)
            kept = np.ones(1, np.bool_)
            layout.rows_of(
                layout.readable(np.ascontiguousarray(sources, np.int64)),
                layout.readable(np.ascontiguousarray(targets, np.int64)),
                np.ascontiguousarray(weights, dtype) >> dtype(g.loses), np.broadcast_to(kept, len(weights)).copy(),
                begins, out_targets, out_weights,
            )  # fmt: skip
            row |= {"table": self.table.add(begins), "targets": self.targets.add(out_targets)}
            row["weights"] = arena.add(out_weights)
            g.pairs = None
        elif g.kind == records.BLOCK:
            indices = q.pattern.arrays["indices"]
            blocks, k = indices.shape
            m = q.mantissa.shape[1]
            by_source = np.argsort(indices.ravel(), kind="stable")
            begins = running_sum(np.bincount(indices.ravel(), minlength=size_of(source)))
            order = by_source if q.source not in self.orders or q.pool is not None else None
            if order is None:
                held = self.place(q.source)[indices.ravel()]
                order, begins = np.argsort(held, kind="stable"), running_sum(np.bincount(held, minlength=size_of(source)))
            row |= {"table": self.table.add(begins), "targets": self.targets.add(order // k * m), "length": m}
            columns = np.asarray(q.mantissa).transpose(0, 2, 1).reshape(blocks * k, m)[order] >> g.loses
            row["weights"] = arena.add(columns.ravel())
        else:
            self.convolution_row(g, row, source, target)
        g.record = row
        return row

    def convolution_row(self, g: Group, row: dict[str, int], source: Shape, target: Shape) -> None:
        """Complete the record of a convolution: taps in the order of the places that they reach."""
        q = g.projection
        options = q.pattern.options
        ones = (1,) * (3 - len(source))
        height, width = (*ones, *source[1:])
        kernel, stride, dilation = ((*ones, *options[name]) for name in ("kernel", "stride", "dilation"))
        padding = (*(0 for _ in ones), *options["padding"])
        (parts,) = options["groups"]
        out, per_group = target[0] // parts, source[0] // parts
        y_table, _ = _taps(kernel[0], stride[0], dilation[0])
        x_table, order = _runs(kernel[1], stride[1], dilation[1])
        values = q.mantissa if not q.delay.ndim else np.where(q.delay == g.delay, q.mantissa, 0)
        values = np.asarray(values, self.arenas[g.width].dtype) >> g.loses
        taps = values.reshape(parts, out, per_group, *kernel).transpose(0, 2, 3, 4, 1).reshape(-1, *kernel, out)
        row |= {
            "weights": self.arenas[g.width].add(np.ascontiguousarray(taps[:, :, order]).ravel()),
            "table": self.table.add(y_table), "table_x": self.table.add(x_table),
            "channels": source[0], "height": height, "width_in": width,
            "last": int(q.pool is None and q.source in self.orders),
            "in_group": per_group, "out_group": out, "out_channels": target[0],
            "out_height": (1, *target)[-2] if len(target) == 3 else 1, "out_width": target[-1],
            "kernel_y": kernel[0], "kernel_x": kernel[1], "stride_y": stride[0], "stride_x": stride[1],
            "pad_y": padding[0], "pad_x": padding[1],
        }  # fmt: skip

    def write_weights(self, g: Group, tables: Tables) -> None:
        """Write a dense matrix as rows of its sources, and the row of zeros behind them."""
        if g.kind != records.DENSE:
            return
        q, row = g.projection, g.record
        out = (tables.signed, tables.unsigned)[g.width]
        source, target = self.network.shapes(q)
        n, m, stride = size_of(source), size_of(target), row["stride"]
        whole = out[row["weights"] : row["weights"] + (n + 1) * stride].reshape(n + 1, stride)
        whole[:, m:] = 0
        whole[n] = 0
        order = self.orders.get(q.source) if q.pool is None else None
        place = self.place(q.target)
        for part in blocks_of(q.mantissa, q.mantissa.shape[1] * q.mantissa.itemsize):
            weights = np.array(q.mantissa[part], out.dtype, order="C")
            layout.turn(
                weights, part.start, g.loses, out, row["weights"], stride, place, np.arange(n) if order is None else order
            )

    # Nodes: where spikes come from

    def nodes(self) -> list[tuple[str, Pattern | None]]:
        """Return every population that spikes, and every maximum over windows of one."""
        result: list[tuple[str, Pattern | None]] = [
            (name, None) for name, p in self.network.populations.items() if p.dynamics != "current"
        ]
        seen = {node_key(*node) for node in result}
        for q in self.network.projections:
            if node_key(q.source, q.pool) not in seen:
                seen.add(node_key(q.source, q.pool))
                result.append((q.source, q.pool))
        return result

    def pooled_shape(self, source: str, pool: Pattern) -> Shape:
        """Return what a maximum makes of a population's shape."""
        o = pool.options
        shape = self.network.populations[source].shape
        axes = zip(shape[1:], o["kernel"], o["stride"], o["padding"], strict=True)
        return (shape[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in axes))

    def node_rows(
        self, nodes: list[tuple[str, Pattern | None]], groups: Mapping[str, list[Group]], block: int
    ) -> tuple[list[dict[str, int]], dict[NodeKey, int], int, int]:
        """Return the records of the nodes, their numbers, and the places of a sample's rows of events and of ptr."""
        listening = [g for each in groups.values() for g in each]
        rows: list[dict[str, int]] = []
        number: dict[NodeKey, int] = {}
        events = ptr = 0
        for source, pool in nodes:
            n = self.network.populations[source].size if pool is None else size_of(self.pooled_shape(source, pool))
            key = node_key(source, pool)
            heard = [g for g in listening if node_key(*g.source) == key]
            history = max((g.delay for g in heard), default=0)
            for q in self.network.projections if pool is None else ():
                if q.learning is not None:
                    # Learning sees the answers of the tick before, and modulators as late as the spikes that arrive.
                    history = max(
                        history, int(q.target == source), self.modulation(q) if source in q.learning.modulators else 0
                    )
            graded = int(any(not g.projection.binary for g in heard))
            number[key] = len(rows)
            rows.append({"n": n, "events": events, "ptr": ptr, "history": history, "graded": graded})
            # A word of spikes is written whole: eight numbers, of which only those that spiked count.
            events, ptr = events + n * (history + block) + 8, ptr + history + block + 1
        return rows, number, events, ptr

    @staticmethod
    def modulation(q: IntegerProjection) -> int:
        """Return how many ticks after a modulator's value the step that reads it is taken."""
        assert q.learning is not None
        return int(q.delay) + q.learning.modulator_delay

    def pool_rows(
        self, nodes: list[tuple[str, Pattern | None]], node_number: Mapping[NodeKey, int]
    ) -> tuple[list[dict[str, int]], dict[str, tuple[int, int]]]:
        """Return the records of the maxima, and which ones follow each population."""
        rows: list[dict[str, int]] = []
        spans: dict[str, tuple[int, int]] = {}
        pooled = [(source, pool) for source, pool in nodes if pool is not None]
        for source, pool in sorted(pooled, key=lambda node: node[0]):
            shape, o = self.network.populations[source].shape, pool.options
            ones = (1,) * (3 - len(shape))
            extent, out = (*ones, *shape[1:]), (*ones, *self.pooled_shape(source, pool)[1:])
            kernel, stride = (*ones, *o["kernel"]), (*ones, *o["stride"])
            padding = (*(0 for _ in ones), *o["padding"])
            spans[source] = (spans.get(source, (len(rows), 0))[0], len(rows) + 1)
            rows.append({
                "node": node_number[node_key(source, pool)], "source": node_number[source, None], "channels": shape[0],
                "height": extent[0], "width": extent[1], "last": int(source in self.orders),
                "kernel_y": kernel[0], "kernel_x": kernel[1], "stride_y": stride[0], "stride_x": stride[1],
                "pad_y": padding[0], "pad_x": padding[1], "out_height": out[0], "out_width": out[1],
            })  # fmt: skip
        return rows, spans

    # Neurons

    def parameters(self, p: IntegerPopulation, keys: list[tuple[int, int, int]]) -> dict[str, int]:
        """Return the fields of a population's record that say how its neurons update."""
        if p.program is not None:
            return self.program(p, neuron_program(p.program))
        form = self.network.number_format
        one, order = 1 << form.decay_bits, self.orders.get(p.name)

        def values(name: str) -> IntArray:
            raw = p.parameters[name]
            return np.asarray(raw if raw.ndim == 0 or order is None else raw[order], np.int64)

        keep_u, keep_v = one - (values("du") + form.current_decay_offset), one - values("dv")
        bias = bias_of(values("bias_mant"), values("bias_exp"))
        ternary, inclusive = p.dynamics == "ternary", p.compare == ">=" and p.dynamics != "ternary"
        vth = np.asarray(values("vth") << form.state_shift)
        lower = np.asarray(values("vth_low") << form.state_shift) if ternary else np.zeros((), np.int64)
        u_init, v_init = (np.asarray(values(name).astype(np.int32), np.int64) for name in ("u_init", "v_init"))
        parameters = (keep_u, keep_v, bias, vth, lower, u_init, v_init)
        top = 1 << 31
        if p.reset == "subtract" and max(_peak(vth), _peak(lower)) + (1 << (form.v_bits - 1)) >= top:
            message = f"engine 'fast' keeps potentials in 32 bits, which those of '{p.name}' leave when a spike resets them"
            raise EngineUnavailable(Diagnostic("NC0320", message, p.origin, hint="use --engine reference"))

        threshold = vth - inclusive if p.fires else np.asarray(top, np.int64)
        amount = vth if p.reset == "subtract" else np.zeros((), np.int64)
        each = sum(1 << bit for bit, value in enumerate(parameters) if value.ndim)
        narrow = (
            not ternary
            and form.decay_bits <= 15
            and form.u_bits <= 24
            and form.v_bits <= 24
            and form.accumulator_bits - 1 + form.state_shift <= 29
            and all(int(k.min()) >= 0 and int(k.max()) <= one for k in (keep_u, keep_v))
            and _peak(bias) < 1 << 30
            and all(exponent >= 0 and shift + exponent <= 20 for shift, _, exponent in keys)
        )
        limits = {"u": 1 << (form.u_bits - 1), "v": 1 << 25}
        resets = {"zero": (1, 0), "subtract": (0, 1), "none": (0, 0)}[p.reset]
        row = {
            "keep_u": self.narrow_parameter(keep_u, bool(each & 1)), "keep_v": self.narrow_parameter(keep_v, bool(each & 2)),
            "bias": self.narrow_parameter(bias, bool(each & 4)),
            "threshold": self.narrow_parameter(threshold, bool(each & 8), p.size),
            "amount": self.narrow_parameter(amount, bool(each & 8), p.size),
            "each": each, "narrow": int(narrow), "no_current": int(not keep_u.any()),
            "large": int(_peak(u_init) > limits["u"] or _peak(v_init) > limits["v"]),
            "fires": int(p.fires), "clears": resets[0], "subtracts": resets[1], "inclusive": int(inclusive),
            "ternary": int(ternary), "refractory": p.refractory, "start": p.start,
            "reset_interval": p.reset_interval or 0, "reset_offset": p.reset_offset,
            "program": 0, "given": 0, "words": 0, "seed": -1, "key": -1,
        }  # fmt: skip
        names = ("wide_keep_u", "wide_keep_v", "wide_bias", "wide_threshold", "wide_lower", "u_init", "v_init")
        return row | {name: self.wide.add(np.atleast_1d(value)) for name, value in zip(names, parameters, strict=True)}

    def program(self, p: IntegerPopulation, program: NeuronProgram) -> dict[str, int]:
        """Return the same for neurons that are programs."""
        made = loop_of(program)
        self.programs.append(made)
        order = self.orders.get(p.name)

        def held(name: str) -> IntArray:
            return p.values(name) if order is None else p.values(name)[order]

        words = [held(name) for name in program.words] or [np.zeros(p.size, np.int64)]
        row = dict.fromkeys(records.POPULATION.names or (), 0) | {
            "each": 4 | 32 | 64, "fires": int(p.fires), "start": p.start, "program": made.address, "words": len(words),
            "given": self.wide.add(np.stack(words, axis=1).reshape(-1)), "wide_bias": self.wide.add(held("bias")),
            "u_init": self.wide.add(held("u_init")), "v_init": self.wide.add(held("v_init")), "seed": -1, "key": -1,
        }  # fmt: skip
        return row | ({name: self.wide.add(held(name)) for name in ("seed", "key")} if program.draws else {})

    def narrow_parameter(self, value: IntArray, each: bool, size: int = 0) -> int:
        """Return where a parameter begins: one per neuron, or a tile of equal ones, which are stored once."""
        clipped = np.clip(value, INT32.min, INT32.max).astype(np.int32)
        if each:
            return self.narrow.add(np.broadcast_to(clipped, (size or len(value),)))
        number = int(clipped)
        if number not in self.constants:
            self.constants[number] = self.narrow.add(np.full(TILE, number, np.int32))
        return self.constants[number]


def loop_of(program: NeuronProgram) -> Compiled:
    """Return the compiled loop of a program, which is not ours.

    Raises:
        EngineUnavailable: numba does not compile it (NC0320).
    """
    try:
        return compiled(program.step, program.low, program.high, program.wraps, len(program.words), program.draws)
    except NumbaError as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        message = f"engine 'fast' is not available: the program of '{program.name}' cannot be compiled: {reason}"
        hint = "a program is integer arithmetic and 'if', and returns a spike and a tuple of registers"
        raise EngineUnavailable(Diagnostic("NC0320", message, hint=hint)) from error


CONDITIONS = {"x0": learning.PRE, "y0": learning.POST, "u": learning.EVERY}
VARIABLES = {"x1": learning.X1, "x2": learning.X2, "y1": learning.Y1, "y2": learning.Y2, "y3": learning.Y3,
             "w": learning.WEIGHT, "t": learning.TAG}  # fmt: skip


def rule_of(q: IntegerProjection) -> learning.Rule:
    """Return the rule of a projection that learns as its kernel reads it."""
    assert q.learning is not None
    products: list[tuple[int, ...]] = []
    factors: list[tuple[int, ...]] = []
    for kind, found in ((learning.OF_WEIGHT, q.learning.weights), (learning.OF_TAG, q.learning.tags)):
        for p in found:
            first = len(factors)
            factors += [(VARIABLES[f.variable], f.constant, int(f.sign)) for f in p.factors]
            products.append((kind, CONDITIONS[p.condition], p.decimation, p.mantissa, p.exponent, first, len(factors)))
    traces = [q.learning.traces.get(name) for name in ("x1", "x2", "y1", "y2", "y3")]
    low, high = learned_range(q.sign_mode)
    return learning.Rule(
        np.array(products, np.int64).reshape(-1, 7), np.array(factors, np.int64).reshape(-1, 3),
        np.array([0.0 if t is None else t.keep for t in traces]), np.array([0 if t is None else t.impulse for t in traces]),
        q.learning.epoch, low, high, len(q.learning.modulators),
    )  # fmt: skip


def stages_of(network: IntegerNetwork) -> list[list[str]]:
    """Return the populations with neurons in the order in which they run; those that hear one another run together.

    Within a stage each follows those whose spikes reach it in the same tick.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(name for name, p in network.populations.items() if not p.is_input)
    immediate = graph.copy()
    for q in network.projections:
        if q.source in graph and q.mantissa.size:
            graph.add_edge(q.source, q.target)
            if int(q.delay.min()) == 0:
                immediate.add_edge(q.source, q.target)
        if q.learning is not None:
            graph.add_edges_from((name, q.target) for name in q.learning.modulators if name in graph)
    if not nx.is_directed_acyclic_graph(immediate):
        raise broken_invariant("the fast engine", f"'{network.name}' has no cycle of projections without delay")
    place = {name: index for index, name in enumerate(nx.topological_sort(immediate))}
    components = nx.condensation(graph)
    return [sorted(components.nodes[c]["members"], key=place.__getitem__) for c in nx.topological_sort(components)]


def bias_of(mantissa: IntArray, exponent: IntArray) -> IntArray:
    """Return a bias as it enters v: a 32-bit word of a 16-bit mantissa shifted by a 16-bit exponent."""
    mantissa, exponent = mantissa.astype(np.int16).astype(np.int64), exponent.astype(np.int16).astype(np.int64)
    return np.asarray(shifted(mantissa, np.clip(exponent, -32, 32)).astype(np.int32), np.int64)


def _share_keys(groups: list[Group]) -> list[tuple[int, int, int]]:
    """Give each group a key: groups whose sums provably stay within 32 bits, and are multiplied alike, share sums."""
    keys: list[tuple[int, int, int]] = []
    bounds: dict[int, int] = {}
    for g in groups:
        q = g.projection
        if q.learning is not None:
            g.key = len(keys)
            keys.append((0, 0, q.exponent))
            continue
        shift, negative = q.shift + g.loses, int(q.sign_mode == "inhibitory")
        bound = g.fan_in * g.largest
        total = shift + q.exponent
        if q.binary and total >= 0 and bound << max(shift, total) < WORD:
            key = (total, negative, 0)
            shared = next((i for i, b in bounds.items() if keys[i] == key and b + (bound << total) < WORD), None)
            if shared is None:
                shared = len(keys)
                keys.append(key)
            g.key, bounds[shared] = shared, bounds.get(shared, 0) + (bound << total)
        else:
            g.key = len(keys)
            keys.append((shift, negative, q.exponent))
    return keys


def _low_zeros(q: IntegerProjection) -> int:
    """Return how many low bits the stored weights do without, of those that a negative exponent shifts out."""
    wanted = max(0, -(q.shift + q.exponent))
    if not wanted or q.mantissa.dtype.itemsize > 1 or wanted > 7:
        return 0
    low = (1 << wanted) - 1
    return 0 if any((q.mantissa[block] & low).any() for block in blocks_of(q.mantissa)) else wanted


def _taps(kernel: int, stride: int, dilation: int) -> tuple[IntArray, list[int]]:
    """Return for each residue of a padded place the taps that see it: pairs (tap, steps back of the output).

    The table begins with where the pairs of each residue begin, in pairs from the start of the table.
    """
    begins: list[int] = []
    pairs: list[tuple[int, int]] = []
    first = (stride + 2) // 2
    for residue in range(stride):
        begins.append(first + len(pairs))
        pairs += [(k, (k * dilation - residue) // stride) for k in range(kernel) if k * dilation % stride == residue]
    table = np.zeros(2 * first, np.int64)
    table[: stride + 1] = [*begins, first + len(pairs)]
    return np.concatenate([table, np.array(pairs, np.int64).reshape(-1)]), [k for k, _ in pairs]


def _runs(kernel: int, stride: int, dilation: int) -> tuple[IntArray, list[int]]:
    """Return for each residue runs of taps that reach neighbouring places, and the order of the taps in which they do.

    A run is (its first tap in that order, steps back of its first place, how many). The table begins as that of `_taps`.
    """
    order: list[int] = []
    begins: list[int] = []
    runs: list[list[int]] = []
    first = (stride + 3) // 3
    for residue in range(stride):
        begins.append(first + len(runs))
        seen = [(k, (k * dilation - residue) // stride) for k in range(kernel) if k * dilation % stride == residue]
        for k, steps in reversed(seen):
            if len(runs) > begins[-1] - first and runs[-1][1] - runs[-1][2] == steps:
                runs[-1][2] += 1
            else:
                runs.append([len(order), steps, 1])
            order.append(k)
    table = np.zeros(3 * first, np.int64)
    table[: stride + 1] = [*begins, first + len(runs)]
    return np.concatenate([table, np.array(runs, np.int64).reshape(-1)]), order


def _padded(n: int) -> int:
    return -(-n // LINE) * LINE


def _peak(values: IntArray) -> int:
    return int(np.abs(values).max(initial=0))


def _rows(dtype: np.dtype[Any], rows: list[dict[str, int]]) -> Array:
    names = dtype.names or ()
    return np.array([tuple(row[name] for name in names) for row in rows], dtype)
