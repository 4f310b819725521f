"""The plan of a lowering: which techniques each population takes, its axons, copies and blocks, its lag and its start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Violation
from neurocomp.errors import CapacityError, Diagnostic, UnsupportedError
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import Part
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import AXON_TYPES, TRUENORTH, IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import PATTERNS, Pattern
from neurocomp_truenorth.codebooks import Codebook, find_codebook, known_codebook
from neurocomp_truenorth.lags import Start, is_memoryless, lags, starts
from neurocomp_truenorth.lines import Lines, is_stochastic, lines_of, merged, same_pattern
from neurocomp_truenorth.mapping import first_fit
from neurocomp_truenorth.options import TrueNorthOptions
from neurocomp_truenorth.partial_sums import PartialSums, axons_per_line, partial_sums
from neurocomp_truenorth.tiles import Layout, Needs, tile

IntArray = NDArray[np.int64]

ROUNDS = 60
"""Of letting copies in a cycle grow until they suffice."""
MOST_SHARED = 64
"""Cores up to which it is looked whether populations can share axons: what that saves is parts of cores."""
LOSS_WORTH = 1.1
"""Fewer partial sums, which lose less, may take so many times the cores."""
WORTH_CUTTING = 8
"""Blocks of a population from which on it is looked whether partial sums, where they are allowed, take far fewer cores."""


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

    def feeds(self, axons: Sequence[IntArray], sizes: Mapping[str, int]) -> dict[str, IntArray]:
        """Return source population -> how many axons of the blocks, given by their axons, each of its neurons drives."""
        found = {sender.population: np.zeros(sizes[sender.population], np.int64) for sender in self.lines.senders}
        for own_axons in axons:
            line = own_axons // self.slots
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


def inputs_of(
    network: IntegerNetwork, members: Sequence[tuple[str, int]], spec: HardwareSpec, hold: IntArray | None = None
) -> Inputs | None:
    """Return the inputs of populations that share axons; None: no codebook represents their weights.

    Args:
        network: Integer network.
        members: The populations, each with the ticks that it runs later than the first one.
        spec: How large the weights of an axon type may be, and how many types there are.
        hold: Of each neuron of a single one, what a hold axon adds: the line from ``NAME.hold``, which takes a type of its own.
    """
    largest, types = spec.number_format.weight_max_type, spec.limit("axon_types")
    name, size = members[0][0], sum(network.populations[member].size for member, _ in members)
    lines, stochastic = lines_of(network, name), bool(network.populations[name].values("b").any())
    if len(members) > 1:
        first = np.cumsum([0, *(network.populations[member].size for member, _ in members)])
        own = [lines_of(network, member) for member, _ in members]
        lines = merged([(of, late, int(at)) for of, (_, late), at in zip(own, members, first, strict=False)])
    holding = np.zeros(len(lines.line), np.bool_)
    if hold is not None:
        sender = next(i for i, s in enumerate(lines.senders) if s.population == hold_name(name))
        holding = lines.sender[lines.line] == sender
    others = ~holding
    book = find_codebook(lines.neuron[others], lines.weight[others], size, largest, one_hot=stochastic, types=types)
    books = network.populations[name].codebook
    known = books is not None and books.shape[1] <= types and len(members) == 1 and not stochastic
    if books is not None and known and (book is None or book.axons > books.shape[1]):
        book = known_codebook(lines.neuron[others], lines.weight[others], books, largest) or book
    if book is None:
        return None
    digits = np.zeros((len(lines.line), AXON_TYPES), np.int64)
    digits[others] = book.digits
    multiplicity, s = list(book.multiplicity), book.s
    if holding.any():
        if len(multiplicity) == types:
            return None
        digits[holding, len(multiplicity)] = 1
        s = s.copy()
        s[lines.neuron[holding], len(multiplicity)] = lines.weight[holding]
        multiplicity.append(1)
    type_of = np.repeat(np.arange(len(multiplicity)), multiplicity)
    first = np.concatenate([[0], np.cumsum(multiplicity)])
    bits = []
    for g, most in enumerate(multiplicity):
        for repeat in range(most):
            used = np.flatnonzero(digits[:, g] > repeat)
            bits.append(np.stack([lines.neuron[used], lines.line[used] * len(type_of) + first[g] + repeat]))
    neuron, axon = np.concatenate(bits, axis=1)
    sources = lines.sources(network)
    start = np.concatenate([[0], np.cumsum([len(found) for found in sources])]).astype(np.int64)
    flat = np.concatenate(sources) if sources else np.zeros(0, np.int64)
    whole = Codebook(tuple(multiplicity), s, digits)
    return Inputs(lines, whole, type_of, neuron, axon, Needs.of(neuron, axon, size), start, flat)


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
    axons: tuple[IntArray, ...]
    """The axons of each block, ascending."""


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
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Key of ``placed`` -> the populations on these cores, whose neurons follow one another: itself, and its guests."""

    @property
    def cores(self) -> int:
        """Number of blocks, each at most a core."""
        return sum(len(placed.blocks) for placed in self.placed.values())


@dataclass(slots=True, eq=False)
class _State:
    """A network on its way to a plan: what the techniques that ran so far made of it."""

    network: IntegerNetwork
    parts: dict[str, Part]
    part_of: dict[str, IntArray]
    """Population of channels -> the number of the part that each one adds up."""
    outputs: dict[str, str]
    inputs: dict[str, Inputs]
    """Of populations that are known already."""
    guests: dict[str, tuple[str, ...]]
    """Population -> those that hear the same axons, on the same cores."""
    lossy: dict[str, str]
    notes: list[str]

    def branch(self) -> _State:
        """Return a copy that can be changed without a trace."""
        return _State(
            self.network, dict(self.parts), dict(self.part_of), dict(self.outputs), dict(self.inputs), dict(self.guests),
            dict(self.lossy), list(self.notes),
        )  # fmt: skip

    @property
    def hosts(self) -> dict[str, str]:
        """Population -> the one whose cores it is on, itself or its host."""
        return {member: name for name in self.parts for member in self.members(name)}

    def members(self, name: str) -> tuple[str, ...]:
        """Return a population and its guests; nothing for a guest."""
        if any(name in guests for guests in self.guests.values()):
            return ()
        return (name, *self.guests.get(name, ()))

    def size(self, name: str) -> int:
        """Return the neurons of a population and its guests."""
        return sum(self.network.populations[member].size for member in self.members(name))

    def layout(self, name: str) -> Layout:
        """Return where the neurons of a population are beside one another."""
        part, p = self.parts[name], self.network.populations[name]
        if self.guests.get(name):
            return Layout.of((self.size(name),))
        if part.role != "channel":
            return Layout.of(p.shape)
        return Layout(self.network.populations[part.logical].shape, part.neurons, self.part_of[name])

    def lose(self, logical: str, reason: str) -> None:
        """Note that a population is not exact."""
        self.lossy.setdefault(logical, reason)


class Planner:
    """Plans one network."""

    def __init__(self, network: IntegerNetwork, spec: HardwareSpec, options: TrueNorthOptions, trace: Trace | None) -> None:
        self.spec, self.options, self.trace = spec, options, trace
        self.form = network.number_format
        self.max_axons, self.max_neurons = spec.limit("input_axons"), spec.limit("neurons")
        neurons = [p for p in network.populations.values() if p.has_neurons]
        parts = {p.name: Part(p.name, "neuron", frozen(np.arange(p.size))) for p in neurons}
        outputs = {name: name for name in network.outputs if name in parts}
        self.start = _State(network, parts, {}, outputs, {}, {}, {}, [])

    def plan(self) -> Plan:
        """Return the plan."""
        base = self._cut_what_does_not_fit(self.start)
        state, placed = self._fan_out(base)
        if self.options.partial_sums:
            state, placed = self._cut_what_is_expensive(base, state, placed)
        shared, there = self._share(state.branch(), placed)
        found = self._time(shared, there)
        if shared.guests and any(start.inexact is not None for start in found.values()):
            # A core that is shared has no hold axon.
            found = self._time(state, placed)
        else:
            state, placed = shared, there
        if any(start.hold is not None for start in found.values()):
            placed = self._place(state)
        for name, start in found.items():
            if start.inexact is not None:
                state.lose(state.parts[name].logical, start.inexact)
        self._check_copies(state, placed)
        for name, part in state.parts.items():
            most = int(_copies(state, placed, name).max(initial=1))
            if most > 1 and part.role == "neuron":
                total = int(_copies(state, placed, name).sum())
                state.notes.append(f"copies: '{name}' has up to {most} copies of a neuron, {total} neurons in all")
        return Plan(
            state.network, state.parts, placed, lags(state.network)[0], found, state.outputs, state.lossy, tuple(state.notes),
            {name: state.members(name) for name in placed},
        )  # fmt: skip

    # fan-in

    def _cut_what_does_not_fit(self, state: _State) -> _State:
        """Put partial sums in front of populations whose neurons need more axons than a core has."""
        state = state.branch()
        for name in list(state.parts):
            most = int(self._inputs(state, name).needs.sizes.max(initial=0))
            if most <= self.max_axons:
                continue
            if not self.options.partial_sums:
                message = f"a neuron of '{name}' needs {most} axons; {self.spec.name} has {self.max_axons} per core"
                raise CapacityError(Diagnostic("NC0412", message, hint="--partial-sums cuts it into parts, which is lossy"))
            self._cut(state, name, "its fan-in is beyond a core's axons")
        return state

    def _cut_what_is_expensive(
        self, base: _State, state: _State, placed: dict[str, Placed]
    ) -> tuple[_State, dict[str, Placed]]:
        """Put partial sums also where they at least halve the cores: the user allows them."""
        order = sorted((n for n in placed if state.parts[n].role == "neuron"), key=lambda n: -len(placed[n].blocks))
        for name in order:
            p = base.network.populations[name]
            taken = f"{name}.partial" in base.parts
            if taken or len(placed[name].blocks) < WORTH_CUTTING or is_memoryless(p) or p.values("b").any():
                continue
            trial = base.branch()
            self._cut(trial, name, "that halves the cores of the network at least")
            other, there = self._fan_out(trial)
            if 2 * self._packed(there) <= self._packed(placed):
                base, state, placed = trial, other, there
        return state, placed

    def _cut(self, state: _State, name: str, why: str) -> None:
        """Put partial sums in front of a population, in as many parts as take the fewest cores."""
        before = state.network
        lines = lines_of(before, name)
        each = axons_per_line(lines, before.populations[name], self.spec)
        fan_in = int(np.bincount(lines.neuron, minlength=1).max())
        least, of_all = (-(-count * each // self.max_axons) for count in (fan_in, lines.count))
        if not each:
            raise CapacityError(no_codebook(name, before.populations[name], self.spec).diagnostic())
        spread = {least, least + 1, 2 * least, 3 * least} if len(before.populations[name].shape) > 1 else {least}
        tried = sorted({*spread, of_all, of_all + 1} - {0})
        costs = {parts: self._cost_of(state, name, parts) for parts in tried if 2 * parts <= self.max_axons}
        cheapest = min(costs.values(), default=np.inf)
        if not np.isfinite(cheapest):
            raise self._too_many_copies(before, name, f"{2 * least} channels of a neuron need more axons than a core has")
        # Fewer parts lose less.
        parts = next(parts for parts, cost in costs.items() if cost <= cheapest * LOSS_WORTH)
        made = partial_sums(before, name, self.form, self.trace, parts)
        channels = self._take(state, name, made)
        how = "not calibrated, as there are no data"
        if made.count_error is not None:
            how = f"spike counts off by {100 * made.count_error:.1f} % on the calibration data"
        state.lose(name, f"its input is cut into {parts} rate-coded partial sums")
        size = made.network.populations[channels].size
        state.notes.append(
            f"partial sums: '{name}' has {lines.count} inputs; {_counted(parts, 'part')} of {size} channels, as {why}; "
            f"+1 tick, lossy ({how})"
        )

    def _take(self, state: _State, name: str, made: PartialSums) -> str:
        """Make a network with partial sums that of a state; return the name of the channels."""
        channels = f"{name}.partial"
        state.network = made.network
        state.parts[channels], state.part_of[channels] = made.part, made.part_of
        state.inputs.pop(name, None)
        return channels

    def _cost_of(self, state: _State, name: str, parts: int) -> float:
        """Return about how many cores partial sums in so many parts take, copies of the sources included."""
        trial = state.branch()
        channels = self._take(trial, name, partial_sums(state.network, name, self.form, None, parts))
        sizes = {p.name: p.size for p in trial.network.populations.values()}
        total = 0.0
        for population in (channels, name):
            if int(self._inputs(trial, population).needs.sizes.max(initial=0)) > self.max_axons:
                return float("inf")
            placed = self._blocks(trial, population, np.ones(sizes[population], np.int64))
            senders = placed.inputs.lines.senders
            copied = np.array([s.population in trial.parts and s.population != channels for s in senders], np.bool_)
            for axons in placed.axons if copied.any() else ():
                sender = placed.inputs.lines.sender[axons // placed.inputs.slots]
                total += int(copied[sender].sum()) / self.max_neurons
            total += len(placed.blocks)
        return total

    # fan-out

    def _fan_out(self, base: _State) -> tuple[_State, dict[str, Placed]]:
        """Place all populations, with relays where neurons that reach several axons cannot, or should not, be copied."""
        state = base.branch()
        placed = self._place(state)
        for name in [n for n, part in base.parts.items() if part.role == "neuron"]:
            most = int(placed[name].copies.max(initial=1))
            random = is_stochastic(state.network.populations[name])
            if most == 1 or (self.options.fan_out == "duplicate" and not random):
                continue
            trial = state.branch()
            self._add_relays(trial, name, random)
            _, cycle = lags(trial.network)
            if cycle is not None:
                if random:
                    why = f"the neurons of '{name}' are stochastic, so that relays must carry their spikes"
                    raise _no_time(cycle, why, state.network.populations[name])
                continue
            there = self._place(trial)
            difference = self._packed(there) - self._packed(placed)
            if not random and self.options.fan_out == "auto" and difference >= 0:
                continue
            more = f"{abs(difference)} cores {'fewer' if difference <= 0 else 'more'} than copies of neurons"
            why = "its neurons are stochastic and cannot be copied" if random else more
            trial.notes.append(f"relays: '{name}' reaches up to {most} axons through splitter cores, +1 tick ({why})")
            state, placed = trial, there
        return state, placed

    def _share(self, state: _State, placed: dict[str, Placed]) -> tuple[_State, dict[str, Placed]]:
        """Let populations that hear the same spikes at the same time share axons, where that takes fewer cores."""
        if _cores(placed) > MOST_SHARED:
            return state, placed
        lag, _ = lags(state.network)
        free = [
            name for name, part in state.parts.items()
            if part.role == "neuron" and not state.network.populations[name].values("b").any()
        ]  # fmt: skip
        for guest in free:
            for host in free:
                if guest == host or not state.members(guest) or not state.members(host) or state.guests.get(guest):
                    continue
                senders = [{s.population for s in placed[name].inputs.lines.senders} for name in (guest, host)]
                if not senders[0] or not senders[0] <= senders[1]:
                    continue
                trial = state.branch()
                trial.guests[host] = (*trial.guests.get(host, ()), guest)
                trial.inputs.pop(host, None)
                trial.inputs.pop(guest, None)
                try:
                    there = self._place(trial)
                except CapacityError:
                    continue
                if self._packed(there) < self._packed(placed):
                    note = f"sharing: '{guest}' hears the axons of '{host}' on the same cores (lag {lag[guest]})"
                    trial.notes.append(note)
                    state, placed = trial, there
        return state, placed

    def _packed(self, placed: Mapping[str, Placed]) -> int:
        """Return how many cores blocks take where small ones share them."""
        sizes = [
            (len(axons), int(p.copies[block].sum()))
            for p in placed.values()
            for block, axons in zip(p.blocks, p.axons, strict=True)
        ]
        home, _, _ = first_fit(np.array(sizes, np.int64).reshape(-1, 2), (self.max_axons, self.max_neurons))
        return int(home.max(initial=-1)) + 1

    def _add_relays(self, state: _State, name: str, random: bool) -> None:
        """Let relays send what a population sends, or what maxima over it make; stochastic neurons have one target alone."""
        network, p = state.network, state.network.populations[name]
        consumers = [q for q in network.projections if q.source == name]
        kinds: list[Pattern | None] = []
        for q in consumers:
            pool = None if random else q.pool
            if not any(same_pattern(pool, known) for known in kinds):
                kinds.append(pool)
        populations, projections = dict(network.populations), list(network.projections)
        for number, pool in enumerate(kinds):
            relay = f"{name}.relay" if number == 0 else f"{name}.relay{number + 1}"
            shape = p.shape if pool is None else PATTERNS[pool.kind].output_shape(pool, p.shape, ())
            assert shape is not None
            size = int(np.prod(shape))
            values = {key: np.zeros(size, np.int64) for key in TRUENORTH}
            values["alpha"][:] = 1
            parameters = {key: frozen(value) for key, value in values.items()}
            populations[relay] = IntegerPopulation(relay, shape, "truenorth", parameters, compare=">=", origin=p.origin)
            for at, q in enumerate(projections):
                if q.source == name and q in consumers and same_pattern(None if random else q.pool, pool):
                    projections[at] = replace(q, source=relay, pool=q.pool if random else None)
                    state.inputs.pop(q.target, None)
            projections.append(
                IntegerProjection(
                    f"{name}->{relay}", name, relay, Pattern("one_to_one"), frozen(np.ones(size), np.int16), 0, "mixed", 8, 0,
                    frozen(np.int64(0)), pool=pool, origin=p.origin,
                )
            )  # fmt: skip
            state.parts[relay] = Part(name, "relay", frozen(np.arange(size)), pool=pool)
            if pool is None:
                state.outputs = {read: relay if sender == name else sender for read, sender in state.outputs.items()}
        state.network = replace(network, populations=populations, projections=tuple(projections))

    # blocks

    def _inputs(self, state: _State, name: str) -> Inputs:
        if name not in state.inputs:
            lag = lags(state.network)[0] if state.guests.get(name) else {}
            members = [(member, lag.get(member, 0) - lag.get(name, 0)) for member in state.members(name)]
            found = inputs_of(state.network, members, self.spec)
            if found is None:
                raise CapacityError(no_codebook(name, state.network.populations[name], self.spec).diagnostic())
            state.inputs[name] = found
        return state.inputs[name]

    def _place(self, state: _State) -> dict[str, Placed]:
        """Return the blocks of all populations: from the last ones back, as copies follow from what they reach.

        Neurons with more copies than a core has neurons are let be: `_check_copies` refuses them in the end.
        """
        network, hosts = state.network, state.hosts
        names = list(dict.fromkeys(hosts.values()))
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(names)
        graph.add_edges_from((hosts[q.source], hosts[q.target]) for q in network.projections if q.source in hosts)
        sizes = {p.name: p.size for p in network.populations.values()}
        leaving = list(state.outputs.values())
        fed: dict[str, dict[str, IntArray]] = {}

        def copies(name: str) -> IntArray:
            """Return how many axons, and lines off the chip, each neuron serves, as far as is known."""
            wanted = []
            for member in state.members(name):
                own = np.full(sizes[member], leaving.count(member), np.int64)
                for by_source in fed.values():
                    own = own + by_source.get(member, 0)
                wanted.append(np.maximum(own, 1))
            return np.concatenate(wanted)

        placed: dict[str, Placed] = {}
        condensed = nx.condensation(graph)
        for node in reversed(list(nx.topological_sort(condensed))):
            members = sorted(condensed.nodes[node]["members"], key=names.index)
            for _ in range(ROUNDS):
                for name in members:
                    placed[name] = self._blocks(state, name, copies(name))
                    fed[name] = placed[name].inputs.feeds(placed[name].axons, sizes)
                if all(np.array_equal(copies(name), placed[name].copies) for name in members):
                    break
            else:
                raise self._too_many_copies(network, members[0], "copies in its cycle never suffice")
        return {name: placed[name] for name in names}

    def _blocks(self, state: _State, name: str, copies: IntArray) -> Placed:
        inputs = self._inputs(state, name)
        blocks = tile(inputs.needs, copies, state.layout(name), self.max_axons, self.max_neurons)
        return Placed(inputs, copies, tuple(blocks), tuple(inputs.axons_of(block) for block in blocks))

    def _check_copies(self, state: _State, placed: Mapping[str, Placed]) -> None:
        """Refuse neurons that reach more axons than a core has neurons for their copies."""
        for name in state.parts:
            copies = _copies(state, placed, name)
            if int(copies.max(initial=0)) > self.max_neurons:
                neuron = int(copies.argmax())
                raise self._too_many_copies(state.network, name, f"{name}[{neuron}] reaches {int(copies[neuron])} axons")

    def _too_many_copies(self, network: IntegerNetwork, name: str, why: str) -> CapacityError:
        p = network.populations[name]
        message = f"population '{name}' has a fan-out that copies cannot serve: {why}; a core has {self.max_neurons} neurons"
        hint = "--partial-sums cuts the layer behind it, which then takes far fewer axons (lossy)"
        recurrent = any(q.source == q.target == name and int(q.delay.min(initial=0)) < 2 for q in network.projections)
        if self.options.partial_sums or recurrent:
            hint = "use fewer distinct delays, coarser weights (--weights trinary), or a smaller layer behind it"
        return CapacityError(Diagnostic("NC0414", message, p.origin, limit=self.spec.limit_text("neurons"), hint=hint))

    # time

    def _time(self, state: _State, placed: Mapping[str, Placed]) -> dict[str, Start]:
        """Return how all populations start; hold sources that they need go into the state."""
        network = state.network
        lag, cycle = lags(network)
        if cycle is not None:
            raise _no_time(cycle, "every hop from core to core takes a tick", network.populations[cycle[0]])
        may_hold = {
            name: len(p.inputs.codebook.multiplicity) < self.spec.limit("axon_types")
            and not state.guests.get(name)
            and int(p.inputs.needs.sizes.max(initial=0)) < self.max_axons
            and not network.populations[name].values("b").any()
            for name, p in placed.items()
        }
        found = starts(network, lag, may_hold)
        populations, projections = dict(network.populations), list(network.projections)
        for name, start in found.items():
            if start.corrected:
                state.notes.append(
                    f"start: '{name}' starts {_counted(lag[name], 'tick')} early from a corrected potential, exact"
                )
            if start.hold is None:
                continue
            source = hold_name(name)
            pulses = {"first": frozen(np.int64(0)), "count": frozen(np.int64(lag[name]))}
            populations[source] = IntegerPopulation(source, (1,), "pulse", pulses)
            weights = frozen(start.hold[:, None], np.int16)
            # What the host sends arrives in the tick in which it is sent, before the population's own time.
            early = frozen(np.int64(-lag[name]))
            q = IntegerProjection(f"{source}->{name}", source, name, Pattern("dense"), weights, 0, "mixed", 8, 0, early)
            projections.append(q)
            state.notes.append(
                f"start: '{name}' is held by an axon of the host for its first {_counted(lag[name], 'tick')}, +1 axon per "
                "core, exact"
            )
        state.network = replace(network, populations=populations, projections=tuple(projections))
        for name, start in found.items():
            if start.hold is not None:
                made = inputs_of(state.network, [(name, 0)], self.spec, start.hold)
                if made is None:
                    raise CapacityError(no_codebook(name, network.populations[name], self.spec).diagnostic())
                state.inputs[name] = made
        return found


def _copies(state: _State, placed: Mapping[str, Placed], name: str) -> IntArray:
    """Return the copies of each neuron of a population."""
    host, first = state.hosts[name], 0
    for member in state.members(host):
        size = state.network.populations[member].size
        if member == name:
            return placed[host].copies[first : first + size]
        first += size
    raise KeyError(name)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _cores(placed: Mapping[str, Placed]) -> int:
    return sum(len(p.blocks) for p in placed.values())


def no_codebook(name: str, p: IntegerPopulation, spec: HardwareSpec) -> Violation:
    """Return what is wrong with weights that no axon types represent."""
    types = spec.limit("axon_types")
    what = f"its weights are no sums of {types} axon types"
    if p.values("b").any():
        what = f"its stochastic synapses have more than {types} different weights per neuron, one for each axon type"
    hint = "use fewer levels (--weights int4), or smaller whole weights"
    source = spec.limit_text("axon_types")
    return Violation("NC0413", name, f"population '{name}': {what}", "no codebook", types, source, hint, origin=p.origin)


def _no_time(cycle: Sequence[str], why: str, p: IntegerPopulation) -> UnsupportedError:
    message = f"the cycle {' -> '.join(cycle)} has fewer delay ticks than its hops take: {why}"
    return UnsupportedError(Diagnostic("NC0315", message, p.origin, hint="raise the delays along it"))
