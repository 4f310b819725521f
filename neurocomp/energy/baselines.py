"""Conventions that stand beside the chip's estimate: what papers print, at the real widths, with memory; and the ANN's side.

Everything is per sample and per layer. A layer is a projection of the quantized network in the user's ticks; its *connections*
are the synapses whose integer weight is not 0, for the spiking network and for the others alike. A *sop* is a spike at a
connection, so that the rate of a layer is counted once, in its sops. The host's layers (constant analog inputs) and encoders
multiply in FP32 in every convention. Nothing here knows the chip.

The artificial networks have the same graph: each connection is one multiplication and addition (MAC) per sample; a projection
inside a cycle is one per tick, since a recurrent network repeats it. The ``ann`` has 8-bit activations (FP32 in ``papers``).
The ``qann`` has as many bits as the spikes of a neuron per sample can tell apart, ``ceil(log2(T + 1))`` for T ticks of 0 and 1
(Yan et al., arXiv:2409.08290); where values of a tick go from a to b, ``ceil(log2((b - a) T + 1))``; inside a cycle, T is 1.

``papers``: an AC is an FP32 addition, a MAC an FP32 multiplication and addition. A layer whose spikes carry values (beyond -1,
0, 1) has MACs, all others have ACs. An integer product has no place in FP32, so there is no ``qann``.

``integer``: weights, values and activations have the bits that they have. An addition costs what is published for 8 bits at
least and for 32 bits at most, which is nominal since states are that wide. A product of a by b bits costs that of 8 by 8, times
``a b / 64``, the cells of an array multiplier (of 32 by 32 this gives 3.2 pJ, published are 3.1); at most as if widths below 8
were 8.

``memory``: the operations of ``integer`` and, after Lemaire et al. 2022 (arXiv:2210.13107), memory and addressing, where every
operation fetches what it needs (no reuse).

- A spiking layer writes and reads each spike once, reads a weight and reads and writes a potential for each sop. Each neuron
  reads and writes its potential in each tick, adds twice and (nominal, high) multiplies once: bias, comparison, leak.
- An artificial layer writes each activation once, reads a weight and an activation for each MAC, and keeps the sum in a
  register. Each neuron adds twice: bias, activation.
- Addresses: two 32-bit additions for each sop and each MAC; a 32-bit multiplication and an addition for each spike and for each
  neuron of the artificial network; an addition for each neuron and tick of the spiking one.
- What neurons cost is shared out to the layers that feed them, by their connections.
- An access costs that of 64 bits of a memory of the size of what it holds (nominal, high), or the share of its bits where words
  are packed (low). Memories hold the weights as stored, the potentials of the target, one event per source neuron, the
  activations of the source. Energies are interpolated between 8 KB, 32 KB and 1 MB by straight lines in log-log; smaller
  memories cost as 8 KB, larger ones are banks of 1 MB.
- Left out, for all alike: the encoder's memory, traffic between memories, static power.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np

from neurocomp.encoding import Operations
from neurocomp.energy.conventions import CONSTANTS, THRESHOLDS, Constant
from neurocomp.energy.joules import Interval
from neurocomp.energy.workload import Work
from neurocomp.ir.host import HostCurrent
from neurocomp.ir.quantized import IntegerNetwork, IntegerProjection
from neurocomp.models.patterns import size_of

FORMULAS: Mapping[str, str] = {
    "papers": "SNN: 4.6 pJ x MACs + 0.9 pJ x ACs, ANN: 4.6 pJ x MACs; FP32, 45 nm; the rate is in the ACs, once",
    "integer": "the same operations at the integer widths that are used, 45 nm",
    "memory": "integer operations + SRAM accesses + addressing, 45 nm, after Lemaire et al. 2022",
}
"""Convention -> what is summed."""
ANN_BITS = 8
OTHERS = ("ann", "qann")
WORD = 64
"""Bits of an access."""
SIZES = ((8 << 10, "sram_8KB"), (32 << 10, "sram_32KB"), (1 << 20, "sram_1MB"))


@dataclass(frozen=True, slots=True)
class Layer:
    """One projection, as the conventions see it."""

    name: str
    target: str
    sources: int
    targets: int
    synapses: int
    """Weights of 0 included."""
    connections: int
    weight_bits: int
    stored_weights: int
    passes: int
    """How often the artificial network computes it per sample."""
    activation_bits: int
    """Of the bit-matched network."""
    share: float
    """Of the cost of its target's neurons."""
    potential_bits: int
    ticks: int
    sops: float
    """Per sample, as all that follows."""
    events: float
    smallest: int
    largest: int
    on_host: bool = False

    @property
    def is_mac(self) -> bool:
        """Whether weights are multiplied by values."""
        return self.on_host or self.smallest < -1 or self.largest > 1

    @property
    def value_bits(self) -> int:
        """Bits of what a spike carries."""
        return bits_for(self.largest - self.smallest)

    @property
    def spikes_per_synapse(self) -> float | None:
        """Sops per connection and inference; None of the host's layers, which have no spikes."""
        return None if self.on_host else self.sops / self.connections if self.connections else 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """What a layer, an encoder, or all of them cost in one convention; joules per sample."""

    name: str
    kind: str
    """``layer``, ``host layer``, ``encoder``, ``neurons`` or ``total``."""
    fixed: Interval
    """Of the spiking network, however many spikes there are."""
    variable: Interval
    """Of the spiking network, in proportion to its spikes."""
    others: Mapping[str, Interval | None]
    """Of `OTHERS`."""
    spikes_per_synapse: float | None
    """Per inference."""
    per_spike: Interval
    """``variable`` at one spike per synapse; where there are none, of a layer whose sources all spike once."""

    @property
    def snn(self) -> Interval:
        """What the spiking network costs."""
        return self.fixed + self.variable

    def crossover(self, other: str) -> Interval | None:
        """Return the spikes per synapse and inference below which the spiking network costs less; 0: it never does.

        Its spikes are scaled as they are. Low and high are the smallest and largest of what the low, nominal and high costs of
        both sides give. None: no spikes, or no such network.
        """
        cost = self.others[other]
        if cost is None or self.spikes_per_synapse is None or not self.per_spike.nominal:
            return None
        ends = [
            max(0.0, getattr(cost, end) - getattr(self.fixed, end)) / getattr(self.per_spike, end)
            for end in ("low", "nominal", "high")
        ]
        return Interval(min(ends), ends[1], max(ends))

    def wins(self, other: str) -> bool | None:
        """Return whether the spiking network costs less than another, by nominal costs; None: there is no other."""
        cost = self.others[other]
        return None if cost is None else self.snn.nominal < cost.nominal

    def as_json(self) -> dict[str, Any]:
        """Return what ``report --json`` prints of it."""

        def shown(value: Interval | None) -> dict[str, float] | None:
            return None if value is None else value.as_json()

        return {
            "name": self.name,
            "kind": self.kind,
            "snn_j": self.snn.as_json(),
            **{f"{other}_j": shown(self.others[other]) for other in OTHERS},
            "crossover": {other: shown(self.crossover(other)) for other in OTHERS},
            "snn_costs_less_than": {other: self.wins(other) for other in OTHERS},
        }


@dataclass(frozen=True, slots=True)
class Convention:
    """All rows by one way of counting."""

    name: str
    rows: tuple[Row, ...]
    total: Row


@dataclass(frozen=True, slots=True)
class Baselines:
    """The conventions beside the chip's estimate."""

    layers: tuple[Layer, ...]
    conventions: tuple[Convention, ...]
    constants: Mapping[str, Constant]
    ticks: int

    def as_json(self) -> dict[str, Any]:
        """Return what ``report --json`` prints under ``baselines``; all numbers are per sample."""
        return {
            "per": "sample",
            "ticks": self.ticks,
            "layers": [
                {
                    "name": x.name, "synapses": x.synapses, "connections": x.connections, "weight_bits": x.weight_bits,
                    "macs": x.sops if x.is_mac else 0.0, "acs": 0.0 if x.is_mac else x.sops,
                    "ann_macs": x.connections * x.passes,
                    "qann_activation_bits": x.activation_bits, "on_host": x.on_host, "spikes_per_synapse": x.spikes_per_synapse,
                    "published": published(x.spikes_per_synapse, x.ticks),
                }
                for x in self.layers
            ],
            "conventions": {
                c.name: {
                    "formula": FORMULAS[c.name], "rows": [row.as_json() for row in c.rows],
                    "total": c.total.as_json() | {"spikes_per_synapse": c.total.spikes_per_synapse},
                }
                for c in self.conventions
            },
            "published": published(self.conventions[0].total.spikes_per_synapse, self.ticks),
            "thresholds": {
                name: {"low": t.low, "high": t.high, "unit": t.unit, "source": t.source, "key": t.key}
                for name, t in THRESHOLDS.items()
            },
            "constants": {name: constant.as_json() for name, constant in self.constants.items()},
        }  # fmt: skip


def published(spikes_per_synapse: float | None, ticks: int) -> dict[str, str] | None:
    """Return published threshold -> where a layer lies; None where there are no spikes."""
    if spikes_per_synapse is None:
        return None
    return {name: threshold.place(spikes_per_synapse, ticks) for name, threshold in THRESHOLDS.items()}


def bits_for(steps: int) -> int:
    """Return the bits that tell 0 to ``steps`` apart, at least one: ``ceil(log2(steps + 1))``."""
    return max(1, steps.bit_length())


def baselines_of(
    network: IntegerNetwork, work: Work, currents: Mapping[str, HostCurrent], encoders: Mapping[str, Operations],
    constants: Mapping[str, Constant] = CONSTANTS,
) -> Baselines:  # fmt: skip
    """Price what samples made a network do by each convention.

    Args:
        network: The quantized network.
        work: What the samples made it do.
        currents: Its layers on the host.
        encoders: Input -> what its encoder computes per sample.
        constants: Joules of operations and accesses, as `CONSTANTS` names them.
    """
    layers = tuple(layers_of(network, work, currents))
    fed = {layer.target for layer in layers if layer.connections}
    alone = [p.size for p in network.populations.values() if p.has_neurons and p.name not in fed]
    prices = Prices(constants)
    makers: Mapping[str, Callable[[Layer], Row]] = {
        "papers": prices.papers, "integer": prices.integer, "memory": prices.memory,
    }  # fmt: skip
    made = []
    for name, row_of in makers.items():
        rows = [row_of(layer) for layer in layers]
        for source, operations in encoders.items():
            cost = prices.fp32_mac * operations.macs
            nothing: dict[str, Interval | None] = {"ann": Interval(), "qann": None if name == "papers" else Interval()}
            rows.append(Row(source, "encoder", cost, Interval(), nothing, None, Interval()))
        if name == "memory" and alone:
            rows.append(prices.neurons(sum(alone), network.number_format.v_bits, work.ticks))
        made.append(Convention(name, tuple(rows), _total(rows, layers)))
    return Baselines(layers, tuple(made), constants, work.ticks)


def layers_of(network: IntegerNetwork, work: Work, currents: Mapping[str, HostCurrent]) -> list[Layer]:
    """Return the projections of a quantized network and the layers on its host, with their mean work per sample."""
    parts: dict[str, list[IntegerProjection]] = {}
    for q in network.projections:
        parts.setdefault(q.group_of or q.name, []).append(q)
    hosted = [(h, current, h.synapses(current.target_shape)) for current in currents.values() for h in current.projections]
    into = Counter({current.target: 0 for _, current, _ in hosted})
    for _, current, count in hosted:
        into[current.target] += count
    for name, (q, *_) in parts.items():
        into[q.target] += work.layers[name].connections
    repeated, potential_bits = _repeated(network), network.number_format.v_bits
    layers = [
        Layer(
            name=h.name, target=current.target, sources=size_of(h.source_shape), targets=size_of(current.target_shape),
            synapses=count, connections=count, weight_bits=ANN_BITS, stored_weights=int(np.size(h.weights)), passes=1,
            activation_bits=ANN_BITS, share=count / max(1, into[current.target]), potential_bits=potential_bits,
            ticks=work.ticks, sops=float(count), events=0.0, smallest=0, largest=1, on_host=True,
        )
        for h, current, count in hosted
    ]  # fmt: skip
    for name, (q, *groups) in parts.items():
        done = work.layers[name]
        passes = work.ticks if (q.source, q.target) in repeated else 1
        smallest, largest = min(0, done.smallest), max(1, done.largest)
        layers.append(
            Layer(
                name=name, target=q.target, sources=size_of(network.shapes(q)[0]), targets=network.populations[q.target].size,
                synapses=int(network.synapse_counts(q).sum()), connections=done.connections, weight_bits=q.weight_bits,
                stored_weights=sum(part.mantissa.size for part in (q, *groups)), passes=passes,
                activation_bits=bits_for((largest - smallest) * (work.ticks // passes)),
                share=done.connections / max(1, into[q.target]), potential_bits=potential_bits, ticks=work.ticks,
                sops=float(done.sops.mean()), events=float(done.events.mean()), smallest=smallest, largest=largest,
            )
        )  # fmt: skip
    return layers


def _repeated(network: IntegerNetwork) -> set[tuple[str, str]]:
    """Return source and target of the projections inside a cycle."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(network.populations)
    graph.add_edges_from((q.source, q.target) for q in network.projections)
    part = {name: number for number, names in enumerate(nx.strongly_connected_components(graph)) for name in names}
    return {edge for edge in graph.edges if part[edge[0]] == part[edge[1]]}


def _total(rows: Sequence[Row], layers: Sequence[Layer]) -> Row:
    """Return the sums of rows, with the spikes per synapse of all layers of spikes together."""
    fixed, variable, at_one = (
        sum((getattr(row, part) for row in rows), Interval()) for part in ("fixed", "variable", "per_spike")
    )
    others: dict[str, Interval | None] = {}
    for other in OTHERS:
        known = [cost for row in rows if (cost := row.others[other]) is not None]
        others[other] = sum(known, Interval()) if len(known) == len(rows) else None
    spiking = [x for x in layers if not x.on_host]
    connections = sum(x.connections for x in spiking)
    s = sum(x.sops for x in spiking) / connections if connections else None
    return Row("total", "total", fixed, variable, others, s, variable * (1 / s) if s else at_one)


class Prices:
    """What operations and accesses cost by a table of constants; joules."""

    def __init__(self, constants: Mapping[str, Constant]) -> None:
        self.value = {name: constant.value for name, constant in constants.items()}
        v = self.value
        self.fp32_add = _exactly(v["fp32_add"])
        self.fp32_mac = _exactly(v["fp32_mul"] + v["fp32_add"])
        self.add = Interval(v["int8_add"], v["int32_add"], v["int32_add"])
        self.add32, self.mul32 = _exactly(v["int32_add"]), _exactly(v["int32_mul"])
        self.output = self.add32 * 3 + self.mul32
        """A neuron of an artificial network: bias, activation and its address."""

    def mac(self, a: int, b: int) -> Interval:
        """Return a product of a by b bits and its addition."""
        cell, wide = self.value["int8_mul"] / 64, max(a, 8) * max(b, 8)
        return Interval(cell * a * b, cell * a * b, cell * wide) + self.add

    def access(self, count: int, bits: int) -> Interval:
        """Return reading or writing one of ``count`` values of ``bits`` bits."""
        size = min(max(count * bits / 8, SIZES[0][0]), SIZES[-1][0])
        sizes, energies = [math.log(size) for size, _ in SIZES], [math.log(self.value[name]) for _, name in SIZES]
        whole = math.exp(float(np.interp(math.log(size), sizes, energies)))
        return Interval(whole * min(1.0, bits / WORD), whole, whole)

    def papers(self, x: Layer) -> Row:
        """Return a layer in FP32."""
        dense = self.fp32_mac * (x.connections * x.passes)
        each = self.fp32_mac if x.is_mac else self.fp32_add
        return self._row(x, dense if x.on_host else Interval(), each, Interval(), {"ann": dense, "qann": None})

    def integer(self, x: Layer) -> Row:
        """Return a layer at the widths that are used."""
        each = self.mac(x.weight_bits, x.value_bits) if x.is_mac else self.add
        others: dict[str, Interval | None] = {
            other: self.mac(x.weight_bits, bits) * (x.connections * x.passes) for other, bits in _bits(x)
        }
        return self._row(x, self.fp32_mac * x.connections if x.on_host else Interval(), each, Interval(), others)

    def memory(self, x: Layer) -> Row:
        """Return a layer with what it reads and writes, and its addresses."""
        event_bits = bits_for(x.sources - 1) + (x.value_bits if x.is_mac else 0)
        weight = self.access(x.stored_weights, x.weight_bits)
        potential = self.access(x.targets, x.potential_bits)
        event = self.access(x.sources, event_bits) * 2 + self.mul32 + self.add32
        operation = self.mac(x.weight_bits, x.value_bits) if x.is_mac else self.add
        others: dict[str, Interval | None] = {
            other: self.artificial(x, self.mac(x.weight_bits, bits), x.weight_bits, bits) for other, bits in _bits(x)
        }
        fixed = self.updates(x.targets, x.potential_bits, x.ticks) * x.share
        if x.on_host:
            fixed = fixed + self.artificial(x, self.fp32_mac, 32, 32)
        return self._row(x, fixed, operation + weight + potential * 2 + self.add32 * 2, event, others)

    def artificial(self, x: Layer, mac: Interval, weight_bits: int, activation_bits: int) -> Interval:
        """Return a layer of an artificial network."""
        activation = self.access(x.sources, activation_bits)
        each = mac + self.access(x.stored_weights, weight_bits) + activation + self.add32 * 2
        return (each * x.connections + activation * x.sources + self.output * (x.targets * x.share)) * x.passes

    def updates(self, neurons: int, bits: int, ticks: int) -> Interval:
        """Return the updates of neurons in all ticks."""
        work = Interval(0.0, self.mul32.nominal, self.mul32.high) + self.add32 * 3
        return (self.access(neurons, bits) * 2 + work) * (neurons * ticks)

    def neurons(self, neurons: int, bits: int, ticks: int) -> Row:
        """Return the neurons that no layer feeds."""
        cost = self.output * neurons
        fixed = self.updates(neurons, bits, ticks)
        return Row("(unfed)", "neurons", fixed, Interval(), dict.fromkeys(OTHERS, cost), None, Interval())

    def _row(self, x: Layer, fixed: Interval, sop: Interval, event: Interval, others: Mapping[str, Interval | None]) -> Row:
        if x.on_host:
            return Row(x.name, "host layer", fixed, Interval(), others, None, Interval())
        variable, s = sop * x.sops + event * x.events, x.spikes_per_synapse
        at_one = variable * (1 / s) if s else sop * x.connections + event * x.sources
        return Row(x.name, "layer", fixed, variable, others, s, at_one)


def _exactly(value: float) -> Interval:
    return Interval(value, value, value)


def _bits(x: Layer) -> tuple[tuple[str, int], ...]:
    return ("ann", ANN_BITS), ("qann", x.activation_bits)
