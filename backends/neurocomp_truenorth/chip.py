"""The chip simulation: executes the bytes of a program, and nothing else that the compiler knows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels import crossbar as xb
from neurocomp.ir.program import Program, PulseSymbol
from neurocomp.ir.trace import Event, Trace
from neurocomp_truenorth import formats as fm

Array = NDArray[Any]
IntArray = NDArray[np.int64]

KERNEL_COUNTERS = {
    "spikes": xb.SPIKES,
    "updates_active": xb.ACTIVE,
    "synaptic_events": xb.EVENTS,
    "sops": xb.SOPS,
    "packets": xb.PACKETS,
    "outputs": xb.OUTPUTS,
    "host_packets": xb.HOST,
    "merges": xb.MERGES,
    "dropped": xb.DROPPED,
}
COUNTERS = ("updates", *KERNEL_COUNTERS)
"""Counters of a trace, each int32 (cores, samples, chip ticks); beside them ``hops_x`` and ``hops_y``, int64 (samples,).

At the core of the source, in the tick of the spike, whatever the delay: ``spikes``, ``packets`` (those on their way to a core),
``outputs`` (spikes that leave the chip), ``dropped`` (packets with a delay beyond 15 or to a place without a core). At the core
of the target: ``host_packets``, in the tick in which the host sends; ``merges``, in the tick in which the axon is active, one
for each packet, also of the host, beyond the first to the same axon. ``synaptic_events``: set bits in the rows of active axons,
of which ``sops`` have a weight that is not 0. ``updates``: all neurons; ``updates_active``: those that spiked or whose
potential is not 0 afterwards. Hops: |dx| and |dy| of all packets.
"""
LARGEST_HOST_DELAY = 4095
LARGEST_PROGRAM = 1 << 20
"""Cores, and output lines that are read."""
NO_PLACE = np.zeros((0, xb.NEURONS), np.int64)


class ChipSimulation:
    """Runs TrueNorth programs; see `neurocomp.backend.ChipSimulator`."""

    name = "chip"

    def __init__(self, jobs: int = 1) -> None:
        """Set the number of threads, which share the samples. Results do not depend on it."""
        self.jobs = jobs
        self._machine: tuple[Program, _Machine] | None = None
        self._lock = threading.Lock()

    def run(
        self,
        program: Program,
        stimulus: Mapping[str, Array],
        *,
        record: Sequence[str] | None = None,
        state: bool = True,
        first_sample: int = 0,
    ) -> Trace:
        """Run all samples from the initial state for (ticks of the stimulus + largest lag) ticks.

        Args:
            program: A program of the format ``truenorth-1``.
            stimulus: One array of integers (samples, ticks, n) per input; not 0: a spike; none beyond its ticks. For a program
                without inputs it is empty: one sample runs for the program's ticks.
            record: Populations, inputs, pulses, axon banks and outputs whose spikes the trace holds; None: all.
            state: Whether v of populations is recorded.
            first_sample: Name of the stimulus' first sample, on which random numbers depend.

        Returns:
            Spikes (0 or 1) and v as int32 (samples, chip ticks, n), not windowed. Of an input: its stimulus; of a bank: which
            axons were active; of an output: a tick after the neurons' spikes, those of the last tick are lost. Counters: see
            `COUNTERS`. Events: number of neurons and ticks in which a potential was clamped, and the first (by sample, then
            tick, then neuron).

        Raises:
            NetworkError: The stimulus does not belong to the program (NC0211), or ``record`` names nothing (NC0201).
            ArtifactError: The bytes are no program (NC0602, NC0603).
        """
        machine = self._decoded(program)
        samples, ticks = program.extent(stimulus)
        recorded = program.recorded(record)
        chip_ticks = ticks + program.largest_lag
        shape = (samples, chip_ticks)

        parts = {
            (kind, name): machine.sizes[name]
            for kind, names in (("spikes", recorded), ("v", recorded if state else ()))
            for name in names
            if name in program.populations or (kind == "spikes" and name in program.axons)
        }
        offset = np.cumsum([0, *parts.values()]) * samples * chip_ticks
        values = np.zeros(int(offset[-1]), np.int32)
        place = dict(zip(parts, offset[:-1].tolist(), strict=True))
        arrays = {
            key: values[place[key] : place[key] + samples * chip_ticks * size].reshape(*shape, size)
            for key, size in parts.items()
        }
        out = machine.records(values, place, shape)
        host = machine.host(stimulus, samples, ticks, chip_ticks)

        def chunk(first: int, last: int) -> IntArray:
            work = machine.work()
            xb.run(machine.cores, host, work, out, first, last, ticks, chip_ticks, first_sample)
            return work.clamps[:-1]

        spans = list(_spans(samples, self.jobs))
        if len(spans) > 1:
            with ThreadPoolExecutor(len(spans)) as pool:
                clamps = list(pool.map(lambda span: chunk(*span), spans))
        else:
            clamps = [chunk(*span) for span in spans]

        spikes = {name: self._spikes(program, machine, name, stimulus, arrays, out, shape) for name in recorded}
        v = {name: array for (kind, name), array in arrays.items() if kind == "v"}
        counters = {name: np.moveaxis(out.counts[:, :, number], 2, 0) for name, number in KERNEL_COUNTERS.items()}
        updates = np.broadcast_to(machine.used[:, None, None], (len(machine.used), *shape))
        counters = {"updates": updates} | counters | {"hops_x": out.hops[0], "hops_y": out.hops[1]}
        lag = dict.fromkeys((*program.inputs, *program.pulses, *program.outputs), 0)
        lag |= {name: symbol.lag for table in (program.populations, program.axons) for name, symbol in table.items()}
        return Trace(self.name, ticks, lag, spikes, {}, v, events=_events(program, clamps), counters=counters)

    def _decoded(self, program: Program) -> _Machine:
        """Return the program made ready; the last one is kept."""
        with self._lock:
            if self._machine is None or self._machine[0] is not program:
                self._machine = (program, _Machine.of(program))
            return self._machine[1]

    @staticmethod
    def _spikes(
        program: Program,
        machine: _Machine,
        name: str,
        stimulus: Mapping[str, Array],
        arrays: Mapping[tuple[str, str], Array],
        out: xb.Records,
        shape: tuple[int, int],
    ) -> Array:
        if ("spikes", name) in arrays:
            return arrays["spikes", name]
        result = np.zeros((*shape, machine.sizes[name]), np.int32)
        if name in program.inputs:
            result[:, : stimulus[name].shape[1]] = stimulus[name]
        elif name in program.pulses:
            first, last = _ticks_of(program.pulses[name])
            t = np.arange(shape[1])[:, None]
            result[:] = (first <= t) & (t < last)
        else:
            result[:, 1:] = out.lines[:, : shape[1] - 1, machine.line_of(program.outputs[name].line)]
        return result


@dataclass(frozen=True, slots=True, eq=False)
class _Machine:
    """All cores of a program, made ready to run."""

    program: Program
    cores: xb.Cores
    used: NDArray[np.int32]
    """(cores,): neurons."""
    sizes: Mapping[str, int]
    """Neurons, axons or units of everything that has a name."""
    lines: IntArray
    """Output lines that are read, ascending."""
    depth: int
    """Ticks of the scheduler, a power of 2."""
    begin: IntArray
    messages: IntArray
    """(3, messages): core, axon and delay of each message of the inputs, by neuron."""
    pulses: IntArray
    """(5, messages): first tick, tick after the last, core, axon, delay."""

    @classmethod
    def of(cls, program: Program) -> _Machine:
        """Decode a program.

        Raises:
            ArtifactError: It contradicts itself (NC0602), or has another format (NC0603).
        """
        fm.check_format(program)
        if len(program.cores) >= LARGEST_PROGRAM:
            raise fm.damaged_program(f"{len(program.cores)} cores are too many")
        images = [fm.unpack(core) for core in program.cores]
        index_of = {(image.x, image.y): index for index, image in enumerate(images)}
        if len(index_of) < len(images):
            raise fm.damaged_program("two cores are in one place")
        used = np.array([image.used for image in images], np.bool_).reshape(-1, fm.NEURONS)
        sizes = _check_symbols(program, used)
        read = [symbol.line for symbol in program.outputs.values()]
        lines = np.unique(np.concatenate([np.zeros(0, np.int64), *read]))
        if len(lines) >= LARGEST_PROGRAM or (len(lines) and not 0 <= lines[0] <= lines[-1] < fm.OUTPUT_LINES):
            raise fm.damaged_program("an output line does not exist")

        first, messages = 0, [np.zeros((4, 0), np.int64)]
        for name, source in program.inputs.items():
            delay = source.delay if len(source.delay) else np.zeros(len(source.core), np.int64)
            messages.append(np.stack([source.neuron + first, source.core, source.axon, delay]))
            first += sizes[name]
        message = np.concatenate(messages, axis=1)
        message = message[:, np.argsort(message[0], kind="stable")]
        pulses = [np.zeros((5, 0), np.int64)]
        for pulse in program.pulses.values():
            begin, end = _ticks_of(pulse)
            pulses.append(np.stack([begin[pulse.unit], end[pulse.unit], pulse.core, pulse.axon, pulse.delay]))
        pulse_messages = np.concatenate(pulses, axis=1)
        longest = max(fm.LAST_DELAY, int(message[3].max(initial=0)), int(pulse_messages[4].max(initial=0)))
        return cls(
            program, _cores(program, images, index_of, lines), used.sum(axis=1).astype(np.int32), sizes, lines,
            1 << longest.bit_length(), np.searchsorted(message[0], np.arange(first + 1)), message[1:], pulse_messages,
        )  # fmt: skip

    def line_of(self, line: IntArray) -> IntArray:
        """Return the index among `lines` of some of them."""
        return np.searchsorted(self.lines, line)

    def records(self, values: NDArray[np.int32], place: Mapping[tuple[str, str], int], shape: tuple[int, int]) -> xb.Records:
        """Return where a run is written down, whose recorded arrays begin at ``place`` in ``values``."""
        program, n = self.program, len(self.used)

        def places(kind: str, symbols: Mapping[str, Any]) -> tuple[IntArray, IntArray]:
            if not any(where == kind and name in symbols for where, name in place):
                return NO_PLACE, NO_PLACE
            at, width = np.full((n, xb.NEURONS), -1, np.int64), np.zeros((n, xb.NEURONS), np.int64)
            for name, symbol in symbols.items():
                if (kind, name) in place:
                    at[symbol.core, symbol.compartment] = place[kind, name] + np.arange(self.sizes[name])
                    width[symbol.core, symbol.compartment] = self.sizes[name]
            return at, width

        spike_place, width = places("spikes", program.populations)
        axon_place, axon_width = places("spikes", program.axons)
        lines = np.zeros((*shape, len(self.lines) + 1), np.uint8)
        counts = np.zeros((*shape, xb.COUNTS, n), np.int32)
        return xb.Records(
            values, spike_place, places("v", program.populations)[0], width, axon_place, axon_width, lines, counts,
            np.zeros((2, shape[0]), np.int64),
        )  # fmt: skip

    def host(self, stimulus: Mapping[str, Array], samples: int, ticks: int, chip_ticks: int) -> xb.Host:
        """Return what the host sends in a run."""
        spikes = np.zeros((samples, ticks, -(-(len(self.begin) - 1) // 8) * 8), np.bool_)
        first = 0
        for name in self.program.inputs:
            np.not_equal(stimulus[name], 0, out=spikes[:, :, first : first + self.sizes[name]])
            first += self.sizes[name]
        core, axon, delay = self.messages
        own = self.pulses[:, self.pulses[0] < chip_ticks]
        return xb.Host(
            spikes.view(np.uint64), self.begin, core.astype(np.int32), axon.astype(np.int32), delay.copy(),
            own[0].copy(), own[1].copy(), own[2].astype(np.int32), own[3].astype(np.int32), own[4].copy(),
        )  # fmt: skip

    def work(self) -> xb.Work:
        """Return the state for one thread."""
        n = len(self.used)
        numbers = np.zeros((4, xb.NEURONS), np.int32)
        return xb.Work(
            v=np.zeros((n, xb.NEURONS), np.int32),
            ring=np.zeros((self.depth, n * xb.WORDS), np.uint64),
            settled=np.zeros(n, np.uint8),
            alive=np.zeros(n, np.int32),
            sums=numbers[0],
            new=numbers[1],
            rho=numbers[2],
            eta=numbers[3],
            spikes=np.zeros(xb.NEURONS, np.uint8),
            active=np.zeros(xb.AXONS, np.int32),
            clamps=np.zeros((len(self.program.populations) + 1, 4), np.int64),
        )


def _cores(
    program: Program, images: Sequence[fm.CoreImage], index_of: Mapping[tuple[int, int], int], lines: IntArray
) -> xb.Cores:
    """Return the cores as the kernels read them."""
    n = len(images)
    neurons = np.array([image.neurons for image in images], fm.NEURON).reshape(n, fm.NEURONS)
    types = np.array([image.types for image in images], np.uint8).reshape(n, fm.AXONS)
    bits = np.array([image.bits for image in images], np.bool_).reshape(n, fm.AXONS, fm.NEURONS)
    flags = neurons["flags"]
    used = (flags & fm.USED) != 0
    alpha, beta, reset = (neurons[name].astype(np.int32) for name in ("alpha", "beta", "R"))
    gamma = (flags >> fm.RESET_SHIFT) & fm.RESET_MASK
    linear, keeps = gamma == fm.LINEAR, gamma == fm.KEEP
    saturates = (flags & fm.SATURATES) != 0
    symmetric = (flags & fm.SYMMETRIC) != 0

    weight = np.moveaxis(neurons["s"], 2, 1).astype(np.int16)
    by_chance = ((flags[:, None, :] >> np.arange(fm.TYPES, dtype=np.uint16)[:, None]) & 1) != 0
    random = np.array([image.keys is not None for image in images], np.bool_)
    keys = np.array([image.keys for image in images if image.keys is not None], fm.KEY).reshape(-1, fm.NEURONS)
    slots = np.array([image.slots for image in images if image.slots is not None], np.uint32).reshape(-1, fm.AXONS)
    kind = (by_chance.any(axis=2) << np.arange(fm.TYPES)).sum(axis=1)
    kind |= np.where(((flags & fm.STOCHASTIC_LEAK) != 0).any(axis=1), xb.RANDOM_LEAK, 0)
    kind |= np.where((neurons["TM"] > 0).any(axis=1), xb.RANDOM_THRESHOLD, 0)
    kind |= np.where(((flags & fm.LEAK_REVERSAL) != 0).any(axis=1), xb.REVERSES, 0)

    population, place = np.full((n, fm.NEURONS), len(program.populations), np.int32), np.zeros((n, fm.NEURONS), np.int32)
    for number, symbol in enumerate(program.populations.values()):
        population[symbol.core, symbol.compartment] = number
        place[symbol.core, symbol.compartment] = np.arange(len(symbol.core))
    sops = np.zeros((n, fm.AXONS), np.uint32)
    for c in range(n):
        sops[c] = (bits[c] & (weight[c] != 0)[types[c]]).sum(axis=1)
    packed = np.packbits(bits, axis=2, bitorder="little")
    return xb.Cores(
        rows=packed.reshape(n, fm.AXONS * fm.NEURONS // 8).view("<u4").astype(np.uint32),
        types=types,
        weight=np.where(by_chance, 0, weight).astype(np.int16).reshape(n, fm.TYPES * fm.NEURONS),
        chance=np.where(by_chance, weight, 0).astype(np.int16).reshape(n, fm.TYPES * fm.NEURONS)[random],
        visits=sops | bits.sum(axis=2, dtype=np.uint32) << np.uint32(xb.VISITS_SHIFT),
        kind=kind.astype(np.uint8),
        v=neurons["V"].astype(np.int32),
        alpha=np.where(used, alpha, xb.NEVER).astype(np.int32),
        low=np.where(used, symmetric - beta, -xb.NEVER).astype(np.int32),
        leak=neurons["lambda"].astype(np.int16),
        after_spike=np.select([linear, keeps], [-alpha, 0], reset).astype(np.int32),
        keeps_spike=-(linear | keeps).astype(np.int8),
        after_low=np.select([saturates, linear, keeps], [-beta, beta, 0], -reset).astype(np.int32),
        keeps_low=-((linear | keeps) & ~saturates).astype(np.int8),
        flags=flags.astype(np.uint16),
        beta=beta,
        reset=reset,
        mask=((1 << neurons["TM"].astype(np.int32)) - 1).astype(np.int32),
        route=_routes(images, neurons, index_of, lines),
        random=np.where(random, np.cumsum(random) - 1, -1).astype(np.int32),
        seed=keys["seed"].astype(np.uint64),
        key=keys["key"].astype(np.uint64),
        lag=keys["lag"].astype(np.uint64),
        slot=slots.astype(np.uint64),
        population=population,
        place=place,
    )


def _routes(
    images: Sequence[fm.CoreImage], neurons: Array, index_of: Mapping[tuple[int, int], int], lines: IntArray
) -> NDArray[np.uint64]:
    """Return where the spikes of each neuron go, (cores, neurons)."""
    places = np.array([(image.x, image.y) for image in images], np.int64).reshape(-1, 2)
    dx, dy = neurons["dx"].astype(np.int64), neurons["dy"].astype(np.int64)
    there = np.stack([places[:, :1] + dx, places[:, 1:] + dy], axis=2).reshape(-1, 2)
    distinct, inverse = np.unique(there, axis=0, return_inverse=True)
    known = np.array([index_of.get((int(x), int(y)), -1) for x, y in distinct], np.int64)
    core = known[inverse.reshape(-1)].reshape(dx.shape)
    to_core, to_line = neurons["target"] == fm.CORE, neurons["target"] == fm.OUTPUT
    arrives = to_core & (core >= 0) & (neurons["delay"] <= fm.LAST_DELAY)
    line = np.searchsorted(lines, neurons["axon"]) if len(lines) else np.zeros(dx.shape, np.int64)
    is_read = np.append(lines, -1)[line] == neurons["axon"]
    instead = np.where(to_line, xb.LINE, np.where(to_core, xb.LOST, xb.SILENT))
    field = np.where(arrives, core, np.where(to_line, np.where(is_read, line, len(lines)), 0))
    route = np.where(arrives, neurons["axon"] | neurons["delay"].astype(np.int64) << xb.DELAY_SHIFT, instead)
    route = (route | field << xb.PLACE_SHIFT).astype(np.uint64)
    hops = np.where(arrives, np.abs(dx) << xb.X_SHIFT, 0).astype(np.uint64)
    return np.asarray(route | hops | (np.where(arrives, np.abs(dy), 0).astype(np.uint64) << np.uint64(xb.Y_SHIFT)))


# Symbols


def _check_symbols(program: Program, used: NDArray[np.bool_]) -> dict[str, int]:
    """Check that the symbols lead to neurons and axons that exist; return the size of everything that has a name.

    Raises:
        ArtifactError: They do not (NC0602).
    """
    tables: tuple[Mapping[str, Any], ...] = (
        program.inputs, program.pulses, program.populations, program.axons, program.outputs,
    )  # fmt: skip
    sizes = {name: int(np.prod(symbol.shape, dtype=np.int64)) for table in tables for name, symbol in table.items()}
    if len(sizes) < sum(map(len, tables)):
        raise fm.damaged_program("two symbols have one name")
    if program.currents:
        raise fm.damaged_program("there is a current, which these cores do not take")

    def claim(truth: Any, what: str) -> None:
        if not np.all(truth):
            raise fm.damaged_program(what)

    def claim_places(core: IntArray, slot: IntArray, what: str) -> None:
        claim((core >= 0) & (core < len(used)) & (slot >= 0) & (slot < xb.NEURONS), f"{what} names what does not exist")

    for what, table in (("population", program.populations), ("bank", program.axons)):
        taken = np.zeros(used.shape, np.int64)
        for name, symbol in table.items():
            claim(symbol.core.shape == symbol.compartment.shape == (sizes[name],), f"the {what} '{name}' has another size")
            claim_places(symbol.core, symbol.compartment, f"the {what} '{name}'")
            np.add.at(taken, (symbol.core, symbol.compartment), 1)
        claim(taken <= 1, f"a {what} shares a place")
        claim(used[taken > 0] | (what == "bank"), "a population names a neuron that does not exist")
    for name, source in program.inputs.items():
        claim_places(source.core, source.axon, f"the input '{name}'")
        claim((source.neuron >= 0) & (source.neuron < sizes[name]), f"the input '{name}' names what does not exist")
        claim((source.delay >= 0) & (source.delay <= LARGEST_HOST_DELAY), f"the input '{name}' has an impossible delay")
        claim(not source.graded, f"the input '{name}' sends values, which these cores do not take")
        claim(source.delay.shape in ((0,), source.core.shape), f"the input '{name}' lacks delays")
        claim(source.neuron.shape == source.core.shape == source.axon.shape, f"the input '{name}' lacks messages")
    for name, pulse in program.pulses.items():
        claim_places(pulse.core, pulse.axon, f"the pulses '{name}'")
        claim((pulse.unit >= 0) & (pulse.unit < sizes[name]), f"the pulses '{name}' name what does not exist")
        claim((pulse.delay >= 0) & (pulse.delay <= LARGEST_HOST_DELAY), f"the pulses '{name}' have an impossible delay")
        claim((pulse.first >= 0) & (pulse.count >= 0), f"the pulses '{name}' have impossible ticks")
        claim(pulse.first.shape == pulse.count.shape == (sizes[name],), f"the pulses '{name}' lack ticks")
        lists = {pulse.unit.shape, pulse.core.shape, pulse.axon.shape, pulse.delay.shape}
        claim(len(lists) == 1, f"the pulses '{name}' lack messages")
    for name, output in program.outputs.items():
        claim(output.line.shape == (sizes[name],), f"the output '{name}' lacks lines")
    return sizes


def _ticks_of(pulse: PulseSymbol) -> tuple[IntArray, IntArray]:
    """Return the first tick of each unit and the one after its last; further away than any run they all stay there."""
    far = 1 << 40
    first = np.minimum(pulse.first.astype(np.int64), far)
    return first, first + np.minimum(pulse.count.astype(np.int64), far)


def _events(program: Program, clamps: Sequence[IntArray]) -> tuple[Event, ...]:
    """Return one event per population that was clamped, in the order of the program; threads come in order of samples."""
    events = []
    for number, name in enumerate(program.populations):
        own = [entry[number].tolist() for entry in clamps if entry[number, 0]]
        if own:
            _, sample, tick, neuron = own[0]
            events.append(Event(name, "v", sum(entry[0] for entry in own), sample, tick, neuron))
    return tuple(events)


def _spans(samples: int, jobs: int) -> Iterator[tuple[int, int]]:
    """Yield the first sample of each thread and the one after its last."""
    size = max(1, -(-samples // max(jobs, 1)))
    for first in range(0, samples, size):
        yield first, min(samples, first + size)
