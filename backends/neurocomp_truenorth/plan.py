"""The plan of a lowering: which techniques each population takes, its axons, copies and blocks, its lag and its start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import CapacityError, Diagnostic
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import Part
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import AXON_TYPES, TRUENORTH, IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import Pattern
from neurocomp_truenorth.codebooks import Codebook, find_codebook
from neurocomp_truenorth.lags import Start, lags, starts
from neurocomp_truenorth.lines import Lines, is_stochastic, lines_of
from neurocomp_truenorth.options import TrueNorthOptions
from neurocomp_truenorth.partial_sums import partial_sums
from neurocomp_truenorth.tiles import Needs, tile

IntArray = NDArray[np.int64]

ROUNDS = 60
"""Of letting copies in a cycle grow until they suffice."""


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What a population hears, as axons: an axon is a line and one of the slots (types, with repeats) of the codebook."""

    lines: Lines
    codebook: Codebook
    types: IntArray
    """(slots,): the axon type of each slot."""
    neuron: IntArray
    """(bits,): a bit joins an axon and a neuron."""
    axon: IntArray
    """(bits,): ``line * slots + slot``."""
    needs: Needs
    line_start: IntArray
    """Source neurons of line i: ``line_sources[line_start[i]:line_start[i + 1]]``."""
    line_sources: IntArray

    @property
    def slots(self) -> int:
        """Number of slots."""
        return len(self.types)

    def feeds(self, blocks: Sequence[IntArray], sizes: Mapping[str, int]) -> dict[str, IntArray]:
        """Return source population -> how many axons of the blocks each of its neurons drives."""
        found = {sender.population: np.zeros(sizes[sender.population], np.int64) for sender in self.lines.senders}
        for block in blocks:
            line = self.axons_of(block) // self.slots
            for number, sender in enumerate(self.lines.senders):
                own = line[self.lines.sender[line] == number]
                first, stop = self.line_start[own], self.line_start[own + 1]
                if len(own):
                    index = np.concatenate([np.arange(a, b) for a, b in zip(first, stop, strict=True)])
                    np.add.at(found[sender.population], self.line_sources[index], 1)
        return found

    def axons_of(self, block: IntArray) -> IntArray:
        """Return the axons that a block needs, ascending."""
        parts = [self.needs.by_neuron(int(j)) for j in block]
        return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.int64)


def inputs_of(network: IntegerNetwork, name: str, largest: int, hold: IntArray | None = None) -> Inputs | None:
    """Return the inputs of a population; None: no codebook represents its weights.

    Args:
        network: Integer network.
        name: The population.
        largest: Magnitude of the largest weight of an axon type.
        hold: Of each neuron, what a hold axon adds: the line from ``NAME.hold``, which takes a type of its own.
    """
    lines, p = lines_of(network, name), network.populations[name]
    holding = np.zeros(len(lines.line), np.bool_)
    if hold is not None:
        sender = next(i for i, s in enumerate(lines.senders) if s.population == hold_name(name))
        holding = lines.sender[lines.line] == sender
    others = ~holding
    one_hot = bool(p.values("b").any())
    book = find_codebook(lines.neuron[others], lines.weight[others], p.size, largest, one_hot=one_hot)
    if book is None:
        return None
    digits = np.zeros((len(lines.line), AXON_TYPES), np.int64)
    digits[others] = book.digits
    multiplicity, s = list(book.multiplicity), book.s
    if holding.any():
        if len(multiplicity) == AXON_TYPES:
            return None
        digits[holding, len(multiplicity)] = 1
        s = s.copy()
        s[lines.neuron[holding], len(multiplicity)] = lines.weight[holding]
        multiplicity.append(1)
    types = np.repeat(np.arange(len(multiplicity)), multiplicity)
    first = np.concatenate([[0], np.cumsum(multiplicity)])
    bits = []
    for g, most in enumerate(multiplicity):
        for repeat in range(most):
            used = np.flatnonzero(digits[:, g] > repeat)
            bits.append(np.stack([lines.neuron[used], lines.line[used] * len(types) + first[g] + repeat]))
    neuron, axon = np.concatenate(bits, axis=1)
    sources = lines.sources(network)
    start = np.concatenate([[0], np.cumsum([len(found) for found in sources])]).astype(np.int64)
    flat = np.concatenate(sources) if sources else np.zeros(0, np.int64)
    whole = Codebook(tuple(multiplicity), s, digits)
    return Inputs(lines, whole, types, neuron, axon, Needs.of(neuron, axon, p.size), start, flat)


def hold_name(name: str) -> str:
    """Return the name of the host's source that drives the hold axons of a population."""
    return f"{name}.hold"


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """One population in blocks."""

    inputs: Inputs
    copies: IntArray
    """How many physical neurons each neuron takes, (n,)."""
    blocks: tuple[IntArray, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A network as it is placed, in the user's time, and how."""

    network: IntegerNetwork
    """With channels, relays and hold sources in it."""
    parts: Mapping[str, Part]
    placed: Mapping[str, Placed]
    lag: Mapping[str, int]
    starts: Mapping[str, Start]
    outputs: Mapping[str, str]
    """Population that is read -> the one whose neurons send its spikes off the chip."""
    lossy: Mapping[str, str]
    notes: tuple[str, ...] = field(default=())

    @property
    def cores(self) -> int:
        """Number of blocks, each at most a core."""
        return sum(len(placed.blocks) for placed in self.placed.values())


class Planner:
    """Plans one network."""

    def __init__(self, network: IntegerNetwork, spec: HardwareSpec, options: TrueNorthOptions, trace: Trace | None) -> None:
        self.network, self.spec, self.options, self.trace = network, spec, options, trace
        self.largest = network.number_format.weight_max_type
        self.max_axons, self.max_neurons = spec.limit("input_axons"), spec.limit("neurons")
        self.parts = {
            p.name: Part(p.name, "neuron", frozen(np.arange(p.size)))
            for p in network.populations.values()
            if p.has_neurons
        }  # fmt: skip
        self.cache: dict[str, Inputs] = {}
        self.lossy: dict[str, str] = {}
        self.notes: list[str] = []
        self.outputs = {name: name for name in network.outputs if network.populations[name].has_neurons}

    def plan(self) -> Plan:
        """Return the plan."""
        self._cut_fan_in()
        placed = self._fan_out()
        network, found = self._time(placed)
        if network is not self.network:
            self.network = network
            placed = self._place(network)
        lag, _ = lags(network)
        for name, start in found.items():
            if start.inexact is not None:
                self._lose(self.parts[name].logical, start.inexact)
        return Plan(network, self.parts, placed, lag, found, self.outputs, self.lossy, tuple(self.notes))

    # fan-in

    def _cut_fan_in(self) -> None:
        """Put partial sums in front of populations whose neurons need more axons than a core has."""
        for name in list(self.parts):
            inputs = self._inputs(self.network, name)
            most = int(inputs.needs.sizes.max(initial=0))
            if most <= self.max_axons:
                continue
            if not self.options.partial_sums:
                message = f"a neuron of '{name}' needs {most} axons; {self.spec.name} has {self.max_axons} per core"
                raise CapacityError(Diagnostic("NC0412", message, hint="--partial-sums cuts it into parts, which is lossy"))
            made = partial_sums(self.network, name, self.network.number_format, self.trace, self.max_axons)
            self.network = made.network
            channels = f"{name}.partial"
            self.parts[channels] = made.part
            self.cache.pop(name)
            how = "not calibrated" if made.count_error is None else f"spike counts off by {100 * made.count_error:.1f} %"
            reason = f"its input is cut into {made.parts} rate-coded partial sums"
            self._lose(name, reason)
            self.notes.append(
                f"partial sums: '{name}' has {inputs.lines.count} inputs x {inputs.slots} axons; {made.parts} parts of "
                f"{made.network.populations[channels].size} channels, +1 tick, lossy ({how} on the calibration data)"
            )

    def _lose(self, logical: str, reason: str) -> None:
        self.lossy.setdefault(logical, reason)

    # fan-out

    def _fan_out(self) -> dict[str, Placed]:
        """Place all populations, with relays where neurons that reach several axons cannot, or should not, be copied."""
        placed = self._place(self.network)
        for name in [n for n, part in self.parts.items() if part.role == "neuron"]:
            most = int(placed[name].copies.max(initial=1))
            if most == 1:
                continue
            random = is_stochastic(self.network.populations[name])
            if not random and (self.options.fan_out == "duplicate" or not self._relays_pay(placed, name)):
                continue
            before = self.network, dict(self.parts), dict(self.outputs)
            self._add_relays(name)
            _, cycle = lags(self.network)
            if cycle is not None and not random:
                self.network, self.parts, self.outputs = before
                self.cache.pop(f"{name}.relay", None)
                continue
            if cycle is not None:
                raise _no_time(cycle, f"the neurons of '{name}' are stochastic, so that relays must carry their spikes")
            after = self._place(self.network)
            if not random and self.options.fan_out == "auto" and _cores(after) >= _cores(placed):
                self.network, self.parts, self.outputs = before
                self.cache.pop(f"{name}.relay", None)
                continue
            saved = _cores(placed) - _cores(after)
            placed = after
            why = "its neurons are stochastic and cannot be copied" if random else f"{saved} cores fewer than copies"
            self.notes.append(f"relays: '{name}' reaches up to {most} axons through splitter cores, +1 tick ({why})")
        for name, part in self.parts.items():
            most = int(placed[name].copies.max(initial=1))
            if most > 1 and part.role == "neuron":
                total = int(placed[name].copies.sum())
                self.notes.append(f"copies: '{name}' has up to {most} copies of a neuron, {total} neurons in all")
        return placed

    def _relays_pay(self, placed: Mapping[str, Placed], name: str) -> bool:
        """Return whether relays may take fewer cores than copies; what copies cost upstream is seen when both are placed."""
        if self.options.fan_out == "split":
            return True
        own = placed[name]
        single = tile(
            own.inputs.needs, np.ones_like(own.copies), self.network.populations[name].shape, self.max_axons, self.max_neurons
        )
        relays = -(-int(own.copies.sum()) // self.max_neurons)
        return len(single) + relays < len(own.blocks) or len(own.blocks) > 1 + len(single)

    def _add_relays(self, name: str) -> None:
        """Let a population of relays send what a population sends."""
        network, p = self.network, self.network.populations[name]
        relay = f"{name}.relay"
        values = {key: np.zeros(p.size, np.int64) for key in TRUENORTH}
        values["alpha"][:] = 1
        made = IntegerPopulation(
            relay, p.shape, "truenorth", {key: frozen(value) for key, value in values.items()}, compare=">=", origin=p.origin
        )
        into = IntegerProjection(
            f"{name}->{relay}", name, relay, Pattern("one_to_one"), frozen(np.ones(p.size), np.int16), 0, "mixed", 8, 0,
            frozen(np.int64(0)), origin=p.origin,
        )  # fmt: skip
        projections = tuple(replace(q, source=relay) if q.source == name else q for q in network.projections)
        populations: dict[str, IntegerPopulation] = {}
        for known in network.populations.values():
            populations[known.name] = known
            if known.name == name:
                populations[relay] = made
        self.network = replace(network, populations=populations, projections=(*projections, into))
        self.parts = {**self.parts, relay: Part(name, "relay", frozen(np.arange(p.size)))}
        self.outputs = {read: relay if sender == name else sender for read, sender in self.outputs.items()}
        stale = {q.target for q in self.network.projections if q.source == relay}
        for target in stale:
            self.cache.pop(target, None)

    # blocks

    def _inputs(self, network: IntegerNetwork, name: str) -> Inputs:
        if name not in self.cache:
            found = inputs_of(network, name, self.largest)
            if found is None:
                raise no_codebook(name, network.populations[name], self.spec)
            self.cache[name] = found
        return self.cache[name]

    def _place(self, network: IntegerNetwork) -> dict[str, Placed]:
        """Return the blocks of all populations: from the last ones back, as copies follow from what they reach."""
        names = list(self.parts)
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(names)
        graph.add_edges_from((q.source, q.target) for q in network.projections if q.source in self.parts)
        sizes = {p.name: p.size for p in network.populations.values()}
        leaving = list(self.outputs.values())
        fed: dict[str, dict[str, IntArray]] = {}

        def copies(name: str) -> IntArray:
            """Return how many axons, and lines off the chip, each neuron serves, as far as is known."""
            wanted = np.full(sizes[name], leaving.count(name), np.int64)
            for by_source in fed.values():
                wanted = wanted + by_source.get(name, 0)
            return np.maximum(wanted, 1)

        placed: dict[str, Placed] = {}
        condensed = nx.condensation(graph)
        for node in reversed(list(nx.topological_sort(condensed))):
            members = sorted(condensed.nodes[node]["members"], key=names.index)
            for _ in range(ROUNDS):
                for name in members:
                    placed[name] = self._blocks(network, name, copies(name))
                    fed[name] = placed[name].inputs.feeds(placed[name].blocks, sizes)
                if all(np.array_equal(copies(name), placed[name].copies) for name in members):
                    break
            else:
                raise self._too_many_copies(network, members[0], "copies in its cycle never suffice")
        return {name: placed[name] for name in names}

    def _blocks(self, network: IntegerNetwork, name: str, copies: IntArray) -> Placed:
        inputs = self._inputs(network, name)
        if int(copies.max(initial=0)) > self.max_neurons:
            neuron = int(copies.argmax())
            raise self._too_many_copies(network, name, f"{name}[{neuron}] would reach {int(copies[neuron])} axons")
        shape = network.populations[name].shape
        blocks = tile(inputs.needs, copies, shape, self.max_axons, self.max_neurons)
        return Placed(inputs, copies, tuple(blocks))

    def _too_many_copies(self, network: IntegerNetwork, name: str, why: str) -> CapacityError:
        p = network.populations[name]
        message = f"population '{name}' has a fan-out that copies cannot serve: {why}; a core has {self.max_neurons} neurons"
        hint = "use fewer distinct delays or targets, or '--fan-out split'"
        return CapacityError(Diagnostic("NC0412", message, p.origin, limit=self.spec.limit_text("neurons"), hint=hint))

    # time

    def _time(self, placed: Mapping[str, Placed]) -> tuple[IntegerNetwork, dict[str, Start]]:
        """Return the network with the hold sources that it needs, and how all populations start."""
        network = self.network
        lag, cycle = lags(network)
        if cycle is not None:
            raise _no_time(cycle, "every hop from core to core takes a tick")
        may_hold = {
            name: len(p.inputs.codebook.multiplicity) < AXON_TYPES
            and int(p.inputs.needs.sizes.max(initial=0)) < self.max_axons
            and not network.populations[name].values("b").any()
            for name, p in placed.items()
        }
        found = starts(network, lag, may_hold)
        populations, projections = dict(network.populations), list(network.projections)
        for name, start in found.items():
            if start.corrected:
                self.notes.append(f"start: '{name}' starts {lag[name]} ticks early from a corrected potential, exact")
            if start.hold is None:
                continue
            source = hold_name(name)
            pulses = {"first": frozen(np.int64(0)), "count": frozen(np.int64(lag[name]))}
            populations[source] = IntegerPopulation(source, (1,), "pulse", pulses)
            weights = frozen(start.hold[:, None], np.int16)
            # What the host sends arrives in the tick in which it is sent, before the population's own time.
            q = IntegerProjection(
                f"{source}->{name}", source, name, Pattern("dense"), weights, 0, "mixed", 8, 0, frozen(np.int64(-lag[name]))
            )
            projections.append(q)
            self.cache[name] = self._with_hold(network, populations, projections, name, start.hold)
            self.notes.append(
                f"start: '{name}' is held by an axon of the host for its first {lag[name]} ticks, +1 axon per core, exact"
            )
        if len(projections) == len(network.projections):
            return network, found
        return replace(network, populations=populations, projections=tuple(projections)), found

    def _with_hold(
        self, network: IntegerNetwork, populations: Mapping[str, IntegerPopulation], projections: list[IntegerProjection],
        name: str, hold: IntArray,
    ) -> Inputs:  # fmt: skip
        with_source = replace(network, populations=populations, projections=tuple(projections))
        found = inputs_of(with_source, name, self.largest, hold)
        if found is None:
            raise no_codebook(name, network.populations[name], self.spec)
        return found


def _cores(placed: Mapping[str, Placed]) -> int:
    return sum(len(p.blocks) for p in placed.values())


def no_codebook(name: str, p: IntegerPopulation, spec: HardwareSpec) -> CapacityError:
    """Return the error for weights that no axon types represent."""
    what = "stochastic synapses with more than 4 different weights per neuron" if p.values("b").any() else "its weights"
    message = f"population '{name}': {spec.name} has {AXON_TYPES} axon types per core, which cannot represent {what}"
    hint = "use fewer levels (--weights int4), or smaller whole weights"
    return CapacityError(Diagnostic("NC0413", message, p.origin, limit=spec.limit_text("axon_types"), hint=hint))


def _no_time(cycle: Sequence[str], why: str) -> CapacityError:
    message = f"the cycle {' -> '.join(cycle)} has fewer delay ticks than its hops take: {why}"
    hint = "raise the delays along it by that much, or use '--fan-out duplicate'"
    return CapacityError(Diagnostic("NC0315", message, hint=hint))
