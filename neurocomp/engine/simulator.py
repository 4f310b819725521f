"""The fast simulator: compiled kernels, samples in parallel, equal to the reference bit for bit."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.counting import Counting
from neurocomp.engine.kernels import counting, machine
from neurocomp.engine.kernels.layout import readable
from neurocomp.engine.kernels.records import TILE, Chunk
from neurocomp.engine.learning import Learner
from neurocomp.engine.metering import Tally, Wiring
from neurocomp.engine.plan import Plan, plan_of
from neurocomp.engine.product import Products
from neurocomp.engine.threads import available_processors, in_order
from neurocomp.ir.quantized import IntegerNetwork
from neurocomp.ir.stimulus import recorded_populations, samples_and_ticks
from neurocomp.ir.trace import Event, Trace

Array = NDArray[Any]

logger = logging.getLogger("neurocomp")

REGISTERS = ("accumulator", "u", "v")
CHUNK_BYTES = 256 << 20
"""Samples run together as long as they need no more memory than about this."""
CHUNK_SUMS = 1 << 22
"""Samples run together as long as their sums need no more memory than this, which a core's own cache holds."""
MOST_SAMPLES = 64
SHARED_WEIGHTS, SHARING_SAMPLES = 16 << 20, 8
"""Beyond so many bytes of weights, which no cache holds, at least so many samples share their rows."""


class FastSimulator:
    """Executes an integer network with compiled kernels; see `neurocomp.backend.IntegerSimulator`."""

    name = "fast"

    def __init__(self, jobs: int | None = None) -> None:
        """Set the number of threads; None: one per processor that may be used. Results do not depend on it."""
        self.jobs = available_processors() if jobs is None else jobs
        self._plan: tuple[IntegerNetwork, int, dict[str, int], Plan] | None = None
        self._lock = threading.Lock()
        self._learning = threading.Lock()

    def run(
        self,
        network: IntegerNetwork,
        stimulus: Mapping[str, Array],
        *,
        lag: Mapping[str, int] | None = None,
        record: Sequence[str] | None = None,
        state: bool = True,
        first_sample: int = 0,
    ) -> Trace:
        """Run all samples from the initial state for (ticks of the stimulus + largest lag) ticks.

        Args:
            network: The network; a quantized one has no lags.
            stimulus: One array of integers (samples, ticks, n) per input population; 0 beyond its ticks.
            lag: Of each population of a lowered network.
            record: Populations whose spikes (and state) the trace holds; None: all.
            state: Whether u and v are recorded.
            first_sample: The number of the first sample, which keys random numbers.

        Returns:
            What the reference returns: spikes, u and v as int32 (samples, chip ticks, n), and events.

        Raises:
            NetworkError: The stimulus does not belong to the network (NC0211), or ``record`` names no population (NC0201).
            EngineUnavailable: A number leaves 32 bits (NC0320); only formats without limits allow that.
        """
        compile_kernels()
        compile_learning(network)
        return self.simulate(network, stimulus, lag=lag, record=record, state=state, first_sample=first_sample)[0]

    def count(
        self,
        network: IntegerNetwork,
        stimulus: Mapping[str, Array],
        wiring: Wiring,
        *,
        lag: Mapping[str, int] | None = None,
        record: Sequence[str] | None = None,
        state: bool | Collection[str] = True,
        first_sample: int = 0,
    ) -> tuple[Trace, Tally]:
        """Do what `run` does, and count what happens on cores that are wired so; nothing need be recorded for it.

        ``state`` may also name those of the recorded populations whose u and v are recorded.
        """
        compile_kernels()
        compile_learning(network)
        trace, tally = self.simulate(
            network, stimulus, lag=lag, record=record, state=state, wiring=wiring, first_sample=first_sample
        )
        assert tally is not None
        return trace, tally

    def simulate(
        self,
        network: IntegerNetwork,
        stimulus: Mapping[str, Array],
        *,
        lag: Mapping[str, int] | None = None,
        record: Sequence[str] | None = None,
        state: bool | Collection[str] = True,
        wiring: Wiring | None = None,
        first_sample: int = 0,
    ) -> tuple[Trace, Tally | None]:
        """Do what `run` and `count` do, with kernels that are compiled on the way."""
        samples, ticks = samples_and_ticks(network, stimulus)
        lags = dict.fromkeys(network.populations, 0) | dict(lag or {})
        names = recorded_populations(network, record)
        plan = self.plan(network, ticks + max(lags.values(), default=0), lags)
        readable_stimulus = {name: _readable(values) for name, values in stimulus.items()}
        run = _Run(plan, readable_stimulus, samples, ticks, names, state, wiring, first_sample)
        workers = _Workers(run)
        weights: dict[str, Array] = {}
        if plan.learned:
            with self._learning:  # what moves are the weights of the plan
                weights = workers.learn(bool(state))
        else:
            parts = list(_spans(samples, _together(plan, samples, self.jobs)))
            for _ in in_order(workers.run, parts, self.jobs):
                pass
        run.take_inputs(stimulus)
        trace = Trace(self.name, ticks, lags, run.spikes, run.u, run.v, events=run.events(), weights=weights)
        return trace, run.count.tally() if run.count is not None else None

    def plan(self, network: IntegerNetwork, chip_ticks: int, lag: dict[str, int]) -> Plan:
        """Return the network made ready; the last one is kept."""
        with self._lock:
            if self._plan is None or self._plan[0] is not network or self._plan[1:3] != (chip_ticks, lag):
                self._plan = (network, chip_ticks, lag, plan_of(network, chip_ticks, lag))
            return self._plan[3]


def compile_kernels() -> None:
    """Compile what is not compiled yet."""
    from neurocomp.engine import warm

    warm.compile_once(warm.ENGINE, lambda: warm.run_every_kernel(FastSimulator(jobs=1)))


def compile_learning(network: IntegerNetwork) -> None:
    """Compile the kernels of learning if the network needs them and they are not compiled yet."""
    from neurocomp.engine import warm

    if any(q.learning is not None for q in network.projections):
        warm.compile_once(warm.LEARNING, lambda: warm.run_learning(FastSimulator(jobs=1)))


def _spans(samples: int, size: int) -> Iterator[tuple[int, int]]:
    for first in range(0, samples, size):
        yield first, min(size, samples - first)


def _together(plan: Plan, samples: int, jobs: int) -> int:
    """Return how many samples run together: those that share weights which no cache holds, few enough for memory."""
    fitting = max(1, CHUNK_BYTES // max(1, plan.bytes_per_sample))
    cached = min(MOST_SAMPLES, CHUNK_SUMS // max(1, 4 * plan.sums))
    wanted = max(cached, SHARING_SAMPLES if plan.bytes_of_weights > SHARED_WEIGHTS else 1)
    return max(1, min(fitting, wanted, -(-samples // jobs)))


def _readable(values: Array) -> Array:
    """Return a stimulus as the kernels read it: C-contiguous, of 8 or 32 bits, without a copy where it is that already."""
    if values.dtype.itemsize == 1 and values.dtype != np.uint8:
        return readable(np.ascontiguousarray(values).view(np.int8))
    if values.dtype == np.uint8 and (not values.size or values.max() < 128):
        return readable(np.ascontiguousarray(values).view(np.int8))
    return readable(np.ascontiguousarray(values, np.int32))


class _Run:
    """One call of `FastSimulator.run`: the stimulus and where results go."""

    def __init__(
        self, plan: Plan, stimulus: Mapping[str, Array], samples: int, ticks: int, names: Sequence[str],
        state: bool | Collection[str], wiring: Wiring | None, first_sample: int,
    ) -> None:  # fmt: skip
        self.first_sample = first_sample
        self.count = None if wiring is None else Counting(plan, wiring, samples)
        self.products = Products(plan)
        self.plan, self.stimulus, self.samples, self.ticks = plan, stimulus, samples, ticks
        populations = plan.network.populations
        self.recorded = np.full((max(1, len(plan.populations)), 3), -1, np.int64)
        offset = 0
        tables: list[dict[str, tuple[int, int]]] = [{}, {}, {}]
        for name in names:
            size = samples * plan.chip_ticks * populations[name].size
            has_state = state if isinstance(state, bool) else name in state
            registers = 3 if has_state and not populations[name].is_input else 1
            for register in range(registers):
                tables[register][name] = (offset, size)
                if not populations[name].is_input:
                    self.recorded[plan.populations.index(name), register] = offset
                offset += size
        self.record = np.zeros(max(1, offset), np.int32)
        self.spikes, self.u, self.v = (
            {
                name: self.record[o : o + size].reshape(samples, plan.chip_ticks, populations[name].size)
                for name, (o, size) in table.items()
            }
            for table in tables
        )
        self.overflows: dict[int, Array] = {}
        limit = 1 << 29
        self.large_current = int(
            any(int(np.abs(stimulus[populations[name].current][:, 0]).max(initial=0)) > limit for name in plan.currents)  # type: ignore[index]
        )

    def take_inputs(self, stimulus: Mapping[str, Array]) -> None:
        """Record the stimulus as what the inputs sent."""
        for name, values in stimulus.items():
            if name in self.spikes:
                self.spikes[name][:, : self.ticks] = values

    def events(self) -> tuple[Event, ...]:
        """Return one event per population and register that overflowed, in the order of the network."""
        result = []
        for name in self.plan.network.populations:
            if name not in self.plan.populations:
                continue
            index = self.plan.populations.index(name)
            for number, register in enumerate(REGISTERS):
                found = [(s, o[index, number]) for s, o in sorted(self.overflows.items()) if o[index, number, 0]]
                if found:
                    sample, first = found[0]
                    total = sum(int(o[0]) for _, o in found)
                    result.append(Event(name, register, total, sample, int(first[1]), int(first[2])))
        return tuple(result)


@dataclass(slots=True, eq=False)
class _Workers:
    """Runs chunks of samples; the memory of a chunk serves the next one."""

    work: _Run
    learners: tuple[Learner, ...] = ()

    def learn(self, state: bool) -> dict[str, Array]:
        """Run all samples one after the other and return the learned weights: `neurocomp.ir.trace.Trace.weights`."""
        plan, samples = self.work.plan, self.work.samples
        self.learners = tuple(Learner(plan, learned) for learned in plan.learned)
        kept: dict[str, list[Array]] = {learner.learned.projection.name: [] for learner in self.learners}
        for sample in range(samples):
            for learner in self.learners:
                learner.begin()
            self.run((sample, 1))
            for learner in self.learners:
                if state or not learner.integers.across_samples or sample == samples - 1:
                    kept[learner.learned.projection.name].append(learner.stored())
        return {name: np.stack(values) for name, values in kept.items()}

    def run(self, span: tuple[int, int]) -> int:
        """Run some samples, (first, how many), and return how many they were."""
        plan, count = self.work.plan, span[1]
        free = plan.free.setdefault(count, [])
        try:
            chunk = free.pop()
        except IndexError:
            chunk = chunk_of(plan, count)
        self._run(chunk, *span)
        # Only now: what was interrupted leaves sums behind that are not 0.
        free.append(chunk)
        return count

    def _run(self, kept: Chunk, first: int, count: int) -> None:
        plan, work = self.work.plan, self.work
        chunk = kept._replace(record=work.record, recorded=work.recorded)
        if work.count is not None:
            chunk = chunk._replace(
                active=np.zeros((count, plan.chip_ticks, work.count.cores), np.int64),
                segments=work.count.segments, tile_segments=work.count.tile_segments,
            )  # fmt: skip
        chunk.extent[:] = first, plan.chip_ticks, work.ticks, work.large_current, work.first_sample
        for name, place in plan.currents.items():
            source = plan.network.populations[name].current
            assert source is not None
            values = work.stimulus[source][first : first + count, 0]
            order = plan.orders.get(name)
            chunk.current[:, place : place + values.shape[1]] = values if order is None else values[:, order]
        tables = plan.tables
        count_of = work.count
        spikes = count_of.spikes_of_chunk() if count_of is not None else np.zeros(0, np.int64)
        machine.begin(tables, chunk)
        for t0 in range(0, plan.chip_ticks, plan.block):
            t1 = min(t0 + plan.block, plan.chip_ticks)
            for name, node in plan.inputs.items():
                machine.inputs(work.stimulus[name], node, tables, chunk, t0, t0, t1)
            for begin, end in plan.stages:
                if plan.graded or logger.isEnabledFor(logging.DEBUG):
                    work.products.multiply(chunk, begin, end, t0, t1)
                names = plan.populations[begin:end]
                learners = [learner for learner in self.learners if learner.learned.projection.target in names]
                for tick, last in ((t, t + 1) for t in range(t0, t1)) if learners else ((t0, t1),):
                    machine.run_stage(tables, chunk, begin, end, t0, tick, last)
                    for learner in learners:
                        learner.step(chunk, work.stimulus, first, t0, last - 1)
            if count_of is not None:
                counting.tally(tables, count_of.meter, count_of.counters, spikes, chunk, t0, t1)
            machine.forget(tables, chunk, t0, t1)
        if count_of is not None:
            count_of.take(chunk, spikes, first, count)
        if chunk.overflows.any():
            for s in range(count):
                work.overflows[first + s] = chunk.overflows[s].copy()


def chunk_of(plan: Plan, samples: int) -> Chunk:
    """Return the arrays with which so many samples run together; they record and count nothing yet."""
    slots, width = max(1, plan.block), plan.width
    widest = max([width, *(int(n) for n in plan.tables.nodes["n"])], default=width)
    # Rows of bytes: a tile more than the largest population, so that every tile can be written whole.
    bytes_row = -(-widest // TILE) * TILE + TILE
    spikes = np.zeros((slots, bytes_row), np.int8)
    return Chunk(
        np.empty((samples, max(1, plan.events)), np.int32),
        np.empty((samples, max(1, plan.events) if plan.graded else 1), np.int32),
        np.zeros((samples, max(1, plan.ptr)), np.int64),
        np.zeros((samples, max(1, plan.state)), np.int32),
        np.zeros((samples, max(1, plan.state)), np.int32),
        np.zeros((samples, max(1, plan.waiting)), np.int32),
        np.zeros((samples, max(1, plan.tiles)), np.uint8),
        np.zeros(max(1, plan.sums * samples), np.int32),
        np.zeros((samples, max(1, plan.current)), np.int32),
        np.zeros((samples, slots), np.int64),
        spikes,
        spikes.view(np.int64),
        np.zeros((slots, bytes_row // TILE), np.int64),
        np.zeros((5, TILE), np.int32),
        np.zeros(max(width, 1), np.int16),
        np.zeros((samples, max(1, len(plan.populations)), 3, 3), np.int64),
        np.zeros(1, np.int32),
        np.full((max(1, len(plan.populations)), 3), -1, np.int64),
        np.zeros(max(1, len(plan.groups)), np.uint8),
        np.zeros((samples, 1, 0), np.int64),
        np.zeros((samples, max(1, len(plan.populations))), np.int64),
        np.zeros((1, 3), np.int64),
        np.zeros(1, np.int64),
        np.zeros((slots, bytes_row) if plan.programs else (1, 1), np.int32),
        np.zeros((3, TILE), np.int64),
        np.zeros((TILE, 2), np.int64),
        np.zeros((TILE, 3), np.uint8),
        np.zeros(TILE, np.uint8),
        np.zeros(5, np.int64),
    )
