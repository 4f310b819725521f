"""The chip simulation: executes the bytes of a program, and nothing else that the compiler knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels.compartment import Compartments, Reset, update
from neurocomp.fixedpoint import PROGRAM, philox, shifted
from neurocomp.ir.program import Program
from neurocomp.ir.programs import NeuronProgram, neuron_program
from neurocomp.ir.trace import Event, Trace
from neurocomp_loihi import formats as fm

if TYPE_CHECKING:
    from neurocomp_loihi.chip_learning import Learner

Array = NDArray[Any]
IntArray = NDArray[np.int64]

COUNTERS = (
    "synaptic_events",
    "sops",
    "words_read",
    "updates",
    "updates_active",
    "spikes",
    "packets",
    "packets_received",
    "host_packets",
    "dropped",
    "resets",
    "host_writes",
    "starts",
)
"""Counters of a trace, each int64 (cores, samples, chip ticks).

What a spike causes is counted in the tick of the spike, whatever its delay and its value. At the core of the source:
``packets``, ``spikes``. At the core of the target: ``packets_received`` (of which ``host_packets`` come from the host),
``synaptic_events`` (stored synapses visited), ``sops`` (those whose weight is not zero) and ``words_read`` (words of synapse
memory, by the length of the axons' rows). ``dropped`` counts messages to a core or axon that does not exist, at their sender,
or the host's at the core meant, and synapses visited whose compartment does not exist or is no neuron.
``updates``: all compartments; ``updates_active``: those whose u or v is not 0 afterwards or that spiked, of programs those
whose registers changed or that spiked.
``resets``: neurons cleared by the reset schedule. ``host_writes``: currents that the host wrote, once per neuron and sample, in
the first tick of their window. ``starts``: neurons whose initial state the processor wrote after tick 0.
"""
CHUNK_BYTES = 256 << 20
"""Samples run together as long as their state and spikes need no more memory than about this."""
REGISTERS = ("accumulator", "u", "v")
EXACT = 1 << 53
"""Up to it float64 holds every integer."""
NEVER = 1 << 40
"""A threshold that no 32-bit potential passes."""


class ChipSimulation:
    """Runs Loihi programs; see `neurocomp.backend.ChipSimulator`."""

    name = "chip"

    def run(
        self, program: Program, stimulus: Mapping[str, Array], *, record: Sequence[str] | None = None, state: bool = True,
        first_sample: int = 0,
    ) -> Trace:  # fmt: skip
        """Run all samples from the initial state for (ticks of the stimulus + largest lag) ticks.

        Args:
            program: A program of the format ``loihi-3``.
            stimulus: One array of 32-bit integers (samples, ticks, n) per input and current. Of an input, not 0: a spike;
                none beyond its ticks. Of a current: the same value in all ticks; how the host's bias registers hold it is
                the compiler's care, here it is added as it is. For a program without either it is empty: one sample runs
                for the program's ticks.
            record: Populations whose spikes (and state) the trace holds; None: all.
            state: Whether u and v are recorded.
            first_sample: The number of the first sample, which keys the random numbers of programs.

        Returns:
            Spikes (-1, 0 or 1, of programs what they send), u and v as int32 (samples, chip ticks, n), not windowed; the spikes
            of an input or a current are its stimulus. Counters: see `COUNTERS`. Events: the first place (by sample, then tick,
            then neuron) and number of overflows per register.

        Raises:
            NetworkError: The stimulus does not belong to the program (NC0211), or ``record`` names no population (NC0201).
            ArtifactError: The bytes are no program (NC0602, NC0603).
        """
        fm.check_format(program)
        samples, ticks = program.extent(stimulus)
        recorded = program.recorded(record)
        chip_ticks = ticks + program.largest_lag
        machine = _Machine.of(program)
        shape = (samples, chip_ticks)
        spikes = {n: np.zeros((*shape, _size(program, n)), np.int32) for n in recorded}
        with_state = [name for name in recorded if state and name in program.populations]
        u, v = ({n: np.zeros((*shape, _size(program, n)), np.int32) for n in with_state} for _ in range(2))
        counters = {name: np.zeros((len(program.cores), *shape), np.int64) for name in COUNTERS}
        overflows = _Overflows(machine)
        for name in recorded:
            if name not in program.populations:
                spikes[name][:, :ticks] = stimulus[name]
        per_sample = 8 * (machine.depth + 10) * max(machine.n_compartments, 1) + 17 * machine.n_axons
        learns = bool(program.learned)
        size = 1 if learns else max(1, CHUNK_BYTES // per_sample)
        for learner in machine.learners:
            learner.load()
        kept: dict[str, list[Array]] = {name: [] for name in program.learned}
        if learns:
            from neurocomp_loihi.chip_learning import weights_of
        for begin in range(0, samples, size):
            chunk = slice(begin, min(begin + size, samples))
            machine.run(stimulus, chunk, ticks, chip_ticks, (spikes, u, v), counters, overflows, first_sample)
            across = all(learner.across_samples for learner in machine.learners)
            for name, found in program.learned.items() if state or not across or chunk.stop == samples else ():
                kept[name].append(weights_of(program, found, machine.learners, machine.sent))
        weights = {name: np.stack(values) for name, values in kept.items()}
        lag = dict.fromkeys((*program.inputs, *program.currents), 0) | {
            name: symbol.lag for name, symbol in program.populations.items()
        }
        return Trace(self.name, ticks, lag, spikes, u, v, events=overflows.events(), weights=weights, counters=counters)


@dataclass(frozen=True, slots=True, eq=False)
class _Synapses:
    """The synapses of one core that share a delay, from input axons to compartments.

    As a matrix where it is well filled, else as a list sorted by axon. Products run in float64 as long as no sum of magnitudes
    can reach 2**53, so that all are exact in whatever order they are added; what counts messages never does. Values can: then
    products run in int64.
    """

    delay: int
    matrix: NDArray[np.float64] | None
    """(axons, compartments)."""
    start: IntArray
    """First synapse of each axon in the list, (axons + 1,); the list is empty where there is a matrix."""
    compartment: NDArray[np.uint16]
    weight: NDArray[np.float32]
    """Exact: weights have 8 bits and exponents end at 7."""
    largest: int
    """Sum of the magnitudes of the weights of a compartment, of the one where it is largest."""

    @classmethod
    def of(
        cls, delay: int, axon: IntArray, compartment: IntArray, weight: IntArray, n_axons: int, n_compartments: int
    ) -> _Synapses:
        """Join synapses, given by axon in ascending order."""
        values = weight.astype(np.float64)
        largest = int(np.bincount(compartment, np.abs(values)).max(initial=0))
        matrix = None
        if 8 * len(axon) >= n_axons * n_compartments:
            flat = np.bincount(axon * n_compartments + compartment, values, n_axons * n_compartments)
            matrix = np.asarray(flat, np.float64).reshape(n_axons, n_compartments)
            axon, compartment, values = axon[:0], compartment[:0], values[:0]
        start = np.searchsorted(axon, np.arange(n_axons + 1))
        return cls(delay, matrix, start, compartment.astype(np.uint16), values.astype(np.float32), largest)

    def sums(self, active: Array, n_compartments: int, exact: bool = True) -> IntArray:
        """Return what messages add to each compartment.

        ``active`` is the number of messages or the sum of their values, float64 (samples, axons); ``exact`` says whether
        float64 holds the sums.
        """
        samples = len(active)
        if self.matrix is not None:
            if exact:
                return np.asarray(active @ self.matrix).astype(np.int64)
            return np.asarray(active.astype(np.int64) @ self.matrix.astype(np.int64))
        sample, axon = np.nonzero(active)
        first, count = self.start[axon], self.start[axon + 1] - self.start[axon]
        at = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(count.sum())
        place = np.repeat(sample, count) * n_compartments + self.compartment[at]
        if exact:
            values = self.weight[at] * np.repeat(active[sample, axon], count)
            return np.bincount(place, values, samples * n_compartments).astype(np.int64).reshape(samples, n_compartments)
        result = np.zeros(samples * n_compartments, np.int64)
        np.add.at(result, place, self.weight[at].astype(np.int64) * np.repeat(active[sample, axon].astype(np.int64), count))
        return result.reshape(samples, n_compartments)


@dataclass(frozen=True, slots=True, eq=False)
class _Core:
    """One core, decoded: its ranges among all compartments and axons, parameters and synapses."""

    compartments: slice
    axons: slice
    form: Compartments
    u_init: IntArray
    v_init: IntArray
    accumulator_half: int
    takes_values: bool
    """Whether the values of messages multiply weights; else each message counts 1."""
    resets: tuple[_Schedule, ...]
    starts: tuple[_Start, ...]
    programs: tuple[_Program, ...]
    synapses: tuple[_Synapses, ...]
    axon_counts: NDArray[np.float64]
    """(axons, 4): stored synapses visited by a message, those with a weight, those without a neuron, words read."""


@dataclass(frozen=True, slots=True, eq=False)
class _Program:
    """A run of compartments (among all) whose update is a program."""

    compartments: slice
    program: NeuronProgram
    lag: int
    bias: IntArray
    seed: IntArray
    key: IntArray
    words: IntArray
    """(compartments, words), of one column at least."""
    start: int
    """The tick in which they start."""

    def advance(self, x: IntArray, u: Array, v: Array, numbers: IntArray, t: int) -> tuple[Array, Array, Array, Array]:
        """Advance by one tick; the program that the engine executes too.

        Args:
            x: What arrives, in the unit of the state, with bias and current, (samples, n).
            u: Second register, (samples, n).
            v: First register, (samples, n).
            numbers: Of the samples, which key random numbers.
            t: The tick.

        Returns:
            u, v, spikes and overflows of the input, of u and of v, (samples, n, 3).
        """
        from neurocomp.engine.kernels.programs import compiled

        p = self.program
        loop = compiled(p.step, p.low, p.high, p.wraps, len(p.words), p.draws).advance
        state = np.stack([v, u], axis=2).astype(np.int64)
        random, spikes = np.zeros_like(x), np.zeros_like(x)
        if p.draws:
            parts = (self.key, np.int64(t - self.lag) & 0xFFFFFFFF, numbers[:, None], PROGRAM << 24)
            key, when, sample, purpose = (np.broadcast_to(np.asarray(part, np.uint64), x.shape) for part in parts)
            random = philox((key, when, sample, purpose), (self.seed, 0))[0].astype(np.int64)
        overflows = np.zeros((*x.shape, 3), np.uint8)
        for s in range(len(x)):
            loop(x[s], state[s], self.words, random[s], spikes[s], overflows[s])
        return state[:, :, 1], state[:, :, 0], spikes, overflows != 0


@dataclass(frozen=True, slots=True)
class _Schedule:
    """A run of compartments (among all) that a clock clears: u, v and what is left of refractory periods."""

    compartments: slice
    neurons: int
    """Of them, without reset compartments."""
    interval: int
    tick: int

    def due(self, t: int) -> bool:
        """Return whether tick t begins with it."""
        return t >= self.tick and (t - self.tick) % self.interval == 0


@dataclass(frozen=True, slots=True, eq=False)
class _Start:
    """A run of compartments (among all) that does nothing before a tick, and then begins from its initial state."""

    compartments: slice
    neurons: int
    """Of them, without reset compartments."""
    tick: int
    u_init: IntArray
    v_init: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class _Messages:
    """Who sends to which axon: messages from sources (numbered somehow) to axons of the whole machine."""

    source: IntArray | slice
    axon: IntArray | slice
    distinct: bool
    """Whether no two of them go to one axon."""
    graded: bool = True
    """Whether they carry the values of their sources, to axons that take values; else 1."""

    @classmethod
    def of(cls, source: IntArray, axon: IntArray, graded: bool = True) -> _Messages:
        """Take messages; numpy copies a slice several times as fast as a list of places."""
        return cls(_as_slice(source), _as_slice(axon), len(np.unique(axon)) == len(axon), graded)

    def send(self, spikes: Array, active: Array, values: Array | None) -> None:
        """Send the messages of ``spikes`` (samples, sources), one where it is not 0.

        Their number is added to ``active``, what they carry to ``values``, both (samples, axons).
        """
        sent = spikes[:, self.source]
        self._add(active, sent != 0)
        if values is not None:
            self._add(values, sent if self.graded else sent != 0)

    def _add(self, axons: Array, sent: Array) -> None:
        if self.distinct:
            axons[:, self.axon] += sent
        else:
            np.add.at(axons.T, self.axon, sent.T)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class _Machine:
    """All cores of a program, made ready to run."""

    program: Program
    cores: tuple[_Core, ...]
    n_compartments: int
    n_axons: int
    depth: int
    """Ticks from a message to the last effect it can have, beyond the one that every hop takes, plus one."""
    messages: _Messages
    """From compartments."""
    output_count: IntArray
    """Messages per spike of each compartment, (compartments,)."""
    lost: IntArray
    """Of them, those to nowhere."""
    inputs: Mapping[str, _Messages]
    lost_inputs: Mapping[str, tuple[IntArray, IntArray]]
    """(neuron, core) of the host's messages to axons that do not exist."""
    places: Mapping[str, IntArray | slice]
    """Compartment of each neuron, among all."""
    learners: tuple[Learner, ...]
    sent: IntArray
    """Messages as (core, compartment, target core, axon), where some weights learn."""

    @classmethod
    def of(cls, program: Program) -> _Machine:
        """Decode a program."""
        index_of = {(core.chip, core.core): index for index, core in enumerate(program.cores)}
        made: list[_Core] = []
        sources, targets, axons_there = [], [], []
        learners: list[Learner] = []
        decoded = []
        compartment_start, axon_start = np.zeros((2, len(program.cores) + 1), np.int64)
        for index, core in enumerate(program.cores):  # one at a time: what is decoded is larger than what is kept
            d = fm.decode_core(core)
            first, first_axon = int(compartment_start[index]), int(axon_start[index])
            made.append(_core(program, index, d, first, first_axon, learners))
            if program.learned:
                decoded.append((index, d, _targets(d, index_of)))
            sources.append(d.output_source + first)
            targets.append(_targets(d, index_of))
            axons_there.append(d.output_axon)
            compartment_start[index + 1] = first + d.header["compartments"]
            axon_start[index + 1] = first_axon + len(d.axon_row)
        cores = tuple(made)
        n_axons_of = np.diff(axon_start)
        source, target, axon = _joined(sources), _joined(targets), _joined(axons_there)
        exists = (target >= 0) & (axon < n_axons_of[target]) if len(target) else np.zeros(0, np.bool_)
        n = int(compartment_start[-1])

        inputs, lost_inputs = {}, {}
        for name, symbol in program.inputs.items():
            there = symbol.axon < n_axons_of[symbol.core] if len(symbol.core) else np.zeros(0, np.bool_)
            axons = (axon_start[symbol.core] + symbol.axon)[there]
            inputs[name] = _Messages.of(symbol.neuron[there], axons, symbol.graded)
            lost_inputs[name] = symbol.neuron[~there], symbol.core[~there]
        return cls(
            program,
            cores,
            n,
            int(axon_start[-1]),
            1 + max((s.delay for core in cores for s in core.synapses), default=0),
            _Messages.of(source[exists], axon_start[target[exists]] + axon[exists]),
            np.bincount(source, minlength=n),
            np.bincount(source[~exists], minlength=n),
            inputs,
            lost_inputs,
            {n: _as_slice(compartment_start[s.core] + s.compartment) for n, s in program.populations.items()},
            tuple(learners),
            _sent_messages(decoded),
        )

    def run(
        self,
        stimulus: Mapping[str, Array],
        chunk: slice,
        ticks: int,
        chip_ticks: int,
        recorded: tuple[Mapping[str, Array], Mapping[str, Array], Mapping[str, Array]],
        counters: Mapping[str, IntArray],
        overflows: _Overflows,
        first_sample: int,
    ) -> None:
        """Run some samples together and write what they did into the rows ``chunk`` of the recorded arrays and counters."""
        samples = chunk.stop - chunk.start
        numbers = first_sample + np.arange(chunk.start, chunk.stop)
        values_of_spikes: type[np.generic] = np.bool_
        if any(core.programs for core in self.cores):
            values_of_spikes = np.int32
        elif any(core.form.threshold_low is not None for core in self.cores):
            values_of_spikes = np.int8
        u, v, spiked = (np.zeros((samples, self.n_compartments), t) for t in (np.int32, np.int32, values_of_spikes))
        for core in self.cores:
            u[:, core.compartments], v[:, core.compartments] = core.u_init, core.v_init
        arriving = np.zeros((self.depth, samples, self.n_compartments), np.int64)
        """What arrives in tick t lies at t % depth until then."""
        flags = {register: np.zeros((samples, self.n_compartments), np.bool_) for register in REGISTERS}
        active = np.zeros((samples, self.n_axons))
        values = np.zeros_like(active) if any(core.takes_values for core in self.cores) else None
        waits = any(core.form.refractory is not None for core in self.cores)
        waiting = np.zeros((samples, self.n_compartments), np.int16) if waits else None
        current = np.zeros((samples, self.n_compartments), np.int64) if self.program.currents else None
        for learner in self.learners:
            learner.begin(ticks)

        for t in range(chip_ticks):
            if current is not None:
                self._write_currents(stimulus, chunk, ticks, t, current, counters)
            arrived = arriving[t % self.depth]
            for number, core in enumerate(self.cores):
                for start in core.starts:
                    if t == start.tick:
                        u[:, start.compartments], v[:, start.compartments] = start.u_init, start.v_init
                        counters["starts"][number, chunk, t] += start.neurons
                for schedule in core.resets:
                    if schedule.due(t):
                        for state in (u, v, waiting):
                            if state is not None:
                                state[:, schedule.compartments] = 0
                        counters["resets"][number, chunk, t] += schedule.neurons
                at = core.compartments
                activation = arrived[:, at]
                tick = update(
                    core.form, u[:, at], v[:, at], activation,
                    None if waiting is None else waiting[:, at], None if current is None else current[:, at],
                )  # fmt: skip
                before = [(u[:, run.compartments].copy(), v[:, run.compartments].copy()) for run in core.programs]
                u[:, at], v[:, at], spiked[:, at] = tick.u, tick.v, tick.spikes
                if waiting is not None and tick.waiting is not None:
                    waiting[:, at] = tick.waiting
                flags["accumulator"][:, at] = (activation < -core.accumulator_half) | (activation >= core.accumulator_half)
                flags["u"][:, at], flags["v"][:, at] = tick.u_overflow, tick.v_overflow
                for run, (old_u, old_v) in zip(core.programs, before, strict=True):
                    here = run.compartments
                    x = (arrived[:, here] << core.form.state_shift) + run.bias
                    if current is not None:
                        x += current[:, here]
                    u[:, here], v[:, here], spiked[:, here], clips = run.advance(x, old_u, old_v, numbers, t)
                    flags["accumulator"][:, here] |= clips[:, :, 0]
                    flags["u"][:, here], flags["v"][:, here] = clips[:, :, 1], clips[:, :, 2]
                for start in core.starts:
                    if t < start.tick:
                        for state in (u, v, spiked, waiting, *flags.values()):
                            if state is not None:
                                state[:, start.compartments] = 0
                fired = spiked[:, at] != 0
                counters["updates"][number, chunk, t] = at.stop - at.start
                works = (u[:, at] != 0) | (v[:, at] != 0) | fired
                for run, (old_u, old_v) in zip(core.programs, before, strict=True):
                    here, own = run.compartments, slice(run.compartments.start - at.start, run.compartments.stop - at.start)
                    changed = (u[:, here] != old_u) | (v[:, here] != old_v) | fired[:, own]
                    works[:, own] = changed & (t >= run.start)
                counters["updates_active"][number, chunk, t] = works.sum(axis=1)
                for name, per_spike in (("spikes", None), ("packets", self.output_count), ("dropped", self.lost)):
                    sent = fired if per_spike is None else fired * per_spike[at]
                    counters[name][number, chunk, t] += sent.sum(axis=1)
            overflows.add(flags, chunk.start, t)
            arrived[:] = 0

            active[:] = 0
            if values is not None:
                values[:] = 0
            if t < ticks:
                self._host(stimulus, chunk, t, active, values, counters)
            self.messages.send(spiked, active, values)
            self._deliver(active, values, arriving, t, chunk, counters)
            for learner in self.learners:
                learner.add(active[0], arriving[(t + 1) % self.depth, 0])
                learner.learn(active[0], spiked[0], stimulus, chunk.start, t, ticks)
            for name, place in self.places.items():
                for table, state in zip(recorded, (spiked, u, v), strict=True):
                    if name in table:
                        table[name][chunk, t] = state[:, place]

    def _write_currents(
        self,
        stimulus: Mapping[str, Array],
        chunk: slice,
        ticks: int,
        t: int,
        current: IntArray,
        counters: Mapping[str, IntArray],
    ) -> None:
        """Begin and end the windows of currents: what the host has written beside the biases holds until it writes again."""
        for name, symbol in self.program.currents.items():
            for population in symbol.populations:
                driven = self.program.populations[population]
                if t == driven.lag:
                    current[:, self.places[population]] = stimulus[name][chunk, 0]
                    for core, neurons in zip(*np.unique(driven.core, return_counts=True), strict=True):
                        counters["host_writes"][core, chunk, t] += neurons
                elif t == driven.lag + ticks:
                    current[:, self.places[population]] = 0

    def _host(
        self,
        stimulus: Mapping[str, Array],
        chunk: slice,
        t: int,
        active: Array,
        values: Array | None,
        counters: Mapping[str, IntArray],
    ) -> None:
        """Enter the host's spikes of a tick into the input axons; nothing else is in ``active`` yet."""
        for name, messages in self.inputs.items():
            spikes = stimulus[name][chunk, t]
            messages.send(spikes, active, values)
            neuron, core = self.lost_inputs[name]
            for n, c in zip(neuron, core, strict=True):
                counters["dropped"][c, chunk, t] += spikes[:, n] != 0
        for number, one in enumerate(self.cores):
            counters["host_packets"][number, chunk, t] = active[:, one.axons].sum(axis=1)

    def _deliver(
        self,
        active: Array,
        values: Array | None,
        arriving: IntArray,
        t: int,
        chunk: slice,
        counters: Mapping[str, IntArray],
    ) -> None:
        """Send the messages of tick t through the synapses: with a delay of d they act in tick t + 1 + d."""
        for number, core in enumerate(self.cores):
            own = active[:, core.axons]
            if not own.any():
                continue
            counters["packets_received"][number, chunk, t] = own.sum(axis=1)
            visited = (own @ core.axon_counts).astype(np.int64)
            for column, name in enumerate(("synaptic_events", "sops", "dropped", "words_read")):
                counters[name][number, chunk, t] += visited[:, column]
            largest = 0
            if core.takes_values and values is not None:
                own = values[:, core.axons]
                largest = int(np.abs(own).max(initial=0))
            for synapses in core.synapses:
                size = core.compartments.stop - core.compartments.start
                exact = synapses.largest * largest < EXACT
                arriving[(t + 1 + synapses.delay) % self.depth][:, core.compartments] += synapses.sums(own, size, exact)


def _sent_messages(decoded: Sequence[tuple[int, fm.DecodedCore, IntArray]]) -> IntArray:
    """Return (core, compartment, target core, axon) of each message of some cores and the indices of its targets."""
    rows = [np.stack([np.full(len(to), c), d.output_source, to, d.output_axon], axis=1) for c, d, to in decoded]
    return np.concatenate([np.zeros((0, 4), np.int64), *rows])


def _core(
    program: Program, index: int, d: fm.DecodedCore, first_compartment: int, first_axon: int, learners: list[Learner]
) -> _Core:
    """Make a decoded core ready to run; its synapses that learn join ``learners``."""
    h, c = d.header, d.compartments
    programmed, ternary = c["role"] == fm.PROGRAM, c["role"] == fm.TERNARY
    stateful, neuron = d.integrates, d.integrates & ~programmed
    form = Compartments(
        keep_u=np.where(neuron, (1 << h["decay_bits"]) - c["du"] - h["current_decay_offset"], 0),
        keep_v=np.where(neuron, (1 << h["decay_bits"]) - c["dv"], 0),
        bias=np.where(neuron, shifted(c["bias_mantissa"], c["bias_exponent"]), 0),
        threshold=np.where(neuron, c["threshold"] << h["state_shift"], NEVER),
        decay_bits=h["decay_bits"],
        state_shift=h["state_shift"],
        u_bits=h["u_bits"],
        u_wraps=h["u_overflow"] == fm.WRAP,
        v_bits=h["v_bits"],
        threshold_low=np.where(ternary, c["threshold_low"] << h["state_shift"], -NEVER) if ternary.any() else None,
        refractory=np.where(neuron, c["refractory"], 0) if c["refractory"][neuron].any() else None,
        reset=_reset(c, h["state_shift"]) if (c["reset"][neuron] != fm.TO_ZERO).any() else None,
    )
    u_init, v_init = np.where(stateful, c["u_init"], 0), np.where(stateful, c["v_init"], 0)
    n_axons, n = len(d.axon_row), h["compartments"]
    items = d.rows.block_start[d.rows.row_start]
    count = np.diff(items)[d.axon_row]
    axon = np.repeat(np.arange(n_axons), count)
    item = np.repeat(items[d.axon_row] - (np.cumsum(count) - count), count) + np.arange(count.sum())
    weight = d.formats.contributions(d.rows.item_format, d.rows.weight)[item]
    has_weight = (d.formats.weights(d.rows.item_format, d.rows.weight) != 0)[item]
    compartment, delay = d.rows.index[item] + np.repeat(d.axon_base, count), d.rows.delay[item]
    exists = np.append(stateful, False)[np.minimum(compartment, n)]
    axon_counts = [count, *(np.bincount(axon[some], minlength=n_axons) for some in (has_weight, ~exists)), d.axon_words]
    learns = (d.formats.learning[d.rows.item_format] > 0)[item]
    if learns.any():
        own = np.flatnonzero(learns & exists)
        at = item[own]
        from neurocomp_loihi.chip_learning import learners_of

        learners += learners_of(
            program, index, d, axon[own], compartment[own], d.rows.item_format[at],
            d.formats.weights(d.rows.item_format, d.rows.weight)[at],
            slice(first_axon, first_axon + n_axons), slice(first_compartment, first_compartment + n),
        )  # fmt: skip
    kept = exists & (weight != 0) & ~learns
    synapses = []
    for value in np.unique(delay[kept]):
        these = kept & (delay == value)
        synapses.append(_Synapses.of(int(value), axon[these], compartment[these], weight[these], n_axons, n))
    return _Core(
        slice(first_compartment, first_compartment + n), slice(first_axon, first_axon + n_axons),
        form, u_init, v_init, 1 << (h["accumulator_bits"] - 1),
        h["payload"] == fm.VALUE, _schedules(d, first_compartment),
        _starts(d, first_compartment, u_init, v_init),
        tuple(_program(d, run, first_compartment) for run in d.programs), tuple(synapses),
        np.stack(axon_counts, axis=1).astype(np.float64),
    )  # fmt: skip


def _program(d: fm.DecodedCore, run: fm.ProgramRun, first_compartment: int) -> _Program:
    """Find the program of a run.

    Raises:
        NetworkError: No registered neuron model has it (NC0208).
        ArtifactError: It takes other words than the run has (NC0602).
    """
    program = neuron_program(run.name)
    bias, seed, key = (np.ascontiguousarray(run.words[:, column]) for column in range(fm.OWN_WORDS))
    words = np.ascontiguousarray(run.words[:, fm.OWN_WORDS :])
    if words.shape[1] != len(program.words):
        what = f"the program '{run.name}' takes {len(program.words)} words, and its compartments have {words.shape[1]}"
        raise fm.damaged_core(d, what)
    first = first_compartment + run.first
    start = int(d.start[run.first]) if len(words) else 0
    words = words if words.shape[1] else np.zeros((len(words), 1), np.int64)
    return _Program(slice(first, first + len(words)), program, run.lag, bias, seed, key, words, start)


def _reset(c: Mapping[str, IntArray], state_shift: int) -> Reset:
    """Return what spikes do to v: neurons in pairs lose the thresholds of the compartment behind them."""
    from_next = c["reset"] == fm.SUBTRACT_NEXT
    high, low = (np.where(from_next, np.roll(c[name], -1), c[name]) << state_shift for name in ("threshold", "threshold_low"))
    keeps = c["reset"] == fm.KEEP
    return Reset(c["reset"] == fm.TO_ZERO, np.where(keeps, 0, high), np.where(keeps, 0, low))


def _schedules(d: fm.DecodedCore, first_compartment: int) -> tuple[_Schedule, ...]:
    columns = (d.resets[name].tolist() for name in ("first", "count", "interval", "tick"))
    return tuple(
        _Schedule(
            slice(first_compartment + first, first_compartment + first + count),
            int(d.integrates[first : first + count].sum()), interval, tick,
        )
        for first, count, interval, tick in zip(*columns, strict=True)
    )  # fmt: skip


def _starts(d: fm.DecodedCore, first_compartment: int, u_init: IntArray, v_init: IntArray) -> tuple[_Start, ...]:
    starts = []
    for first, count, tick in zip(*(d.starts[name].tolist() for name in ("first", "count", "tick")), strict=True):
        run, own = slice(first_compartment + first, first_compartment + first + count), slice(first, first + count)
        starts.append(_Start(run, int(d.integrates[own].sum()), tick, u_init[own], v_init[own]))
    return tuple(starts)


def _targets(d: fm.DecodedCore, index_of: Mapping[tuple[int, int], int]) -> IntArray:
    """Return the index of the core of each message, -1 where no core of the program is meant."""
    key = (d.output_chip << 32) + d.output_core
    places, inverse = np.unique(key, return_inverse=True)
    index = np.array([index_of.get((int(k) >> 32, int(k) & 0xFFFFFFFF), -1) for k in places], np.int64)
    return np.asarray(index[inverse.reshape(-1)])


def _as_slice(places: IntArray) -> IntArray | slice:
    """Return consecutive places as a slice, others as they are."""
    if len(places) and np.array_equal(places, np.arange(places[0], places[0] + len(places))):
        return slice(int(places[0]), int(places[0]) + len(places))
    return places


def _joined(parts: Iterable[IntArray]) -> IntArray:
    return np.concatenate([np.zeros(0, np.int64), *parts])


@dataclass(slots=True)
class _Overflows:
    """Counts registers that left their width, by population."""

    machine: _Machine
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    first: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    """(population, register) -> the smallest (sample, tick, neuron)."""

    def add(self, flags: Mapping[str, Array], first_sample: int, tick: int) -> None:
        """Note the overflows of one tick; each flag is (samples of the chunk, compartments)."""
        for register, where in flags.items():
            if not where.any():
                continue
            for name, place in self.machine.places.items():
                own = np.argwhere(where[:, place])
                if len(own):
                    at = (first_sample + int(own[0, 0]), tick, int(own[0, 1]))
                    self.first[name, register] = min(self.first.get((name, register), at), at)
                    self.counts[name, register] = self.counts.get((name, register), 0) + len(own)

    def events(self) -> tuple[Event, ...]:
        """Return one event per population and register, in the order of the program."""
        keys = [(name, register) for name in self.machine.places for register in REGISTERS]
        return tuple(Event(*key, self.counts[key], *self.first[key]) for key in keys if key in self.counts)


def _size(program: Program, name: str) -> int:
    symbol = program.populations.get(name) or program.inputs.get(name) or program.currents[name]
    return int(np.prod(symbol.shape, dtype=np.int64))
