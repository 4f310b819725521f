"""Which atoms share a core: growth by shared sources, then annealing in which every limit of a core is exact.

The objective is the packets per unit of time: over all atoms the rate times the cores reached beside the atom's own. Limits
may be overdrawn while it is hot, at a price that rises until none is; the best partition that keeps all of them is returned.
A large network is annealed in groups of neighbouring cores, which other groups neither write nor heed: the result depends on
the seed and on nothing else, least of all on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels import partitioning as kernels
from neurocomp.engine.kernels.partitioning import NOWHERE, Cores, Limits, Prices, Queue
from neurocomp.engine.threads import available_processors, in_order
from neurocomp.engine.warm import compile_once
from neurocomp.fixedpoint import running_sum
from neurocomp.mapping.atoms import Atoms, atoms_of, reordered

IntArray = NDArray[np.int64]
Array = NDArray[Any]
Effort = Literal["fast", "default", "max"]
Progress = Callable[[float], None]
"""Is told which share of the work is done."""

UNPLACED = -2
HOT, WARM, COLD = 4.0, 0.5, 0.2
"""First temperature without and with a partition to begin with, and the last one, in packets of the average atom."""
HOTTER = 3.0
"""Every second start is so much hotter: layers that all reach one another are stuck below that."""
ROUNDS = 48
"""Pieces of an annealing; after each the best is kept and prices are set anew."""
SPLITS = (ROUNDS * 5 // 8, ROUNDS * 7 // 8, ROUNDS - 1)
"""After these rounds cores that hold too much are split."""
LEAST_PRICE = (8.0, 2.0, 8.0)
"""Lowest price of a neuron, an axon and the memory of the average neuron, in packets of the average neuron."""
DEARER, CHEAPER = 1.3, 0.95
"""Factors of a price after a round that ends with the limit overdrawn, and after one that does not."""
GROUPED_FROM = 48
"""So many cores or more are annealed in groups."""
GROUP_CORES = 48
"""Cores of a group, about."""
FULL_WORK_FROM = 16
"""A network of fewer cores has little to gain, and is given less work."""
LINKS_SAMPLED = 1 << 15
"""Pairs of atoms that show which cores are neighbours."""
FEW_ATOMS = 256
"""So many atoms or fewer are exchanged between cores too, as hardly one can move alone where cores are full."""
EXCHANGE_RUNS = 12
"""Annealings by exchanges, one after the other, each from the best so far."""
ROUGH_FROM, ROUGH_PART = 20_000_000, 8
"""With so many pins or more, atoms come side by side before they are grown, by every eighth pin: caches are small."""
STEP_WORK = 12
"""What a tried move costs beside its sources, in sources."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Work of an annealing, in visited sources; it bounds the time."""

    starts: int
    """Annealings of a network of few cores, from different starts."""
    started: int
    """Least work of all of them together."""
    grouped: int
    """Least work of the annealing of a network of many cores."""
    per_pin: int
    """Work for each pin, where that is more,"""
    most: int
    """up to so much."""
    sweeps: int
    """Moves per atom at most, of each annealing."""
    exchanges: int
    """Exchanges per atom in each annealing of few atoms."""


BUDGETS: dict[str, Budget] = {
    "fast": Budget(2, 60_000_000, 150_000_000, 10, 400_000_000, 500, 200),
    "default": Budget(6, 400_000_000, 520_000_000, 42, 1_200_000_000, 3_000, 1_000),
    "max": Budget(16, 4_000_000_000, 4_000_000_000, 300, 40_000_000_000, 5_000, 4_000),
}


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """The core of every atom, (n,); cores are numbered from 0 without gaps, -1 is the host."""

    core: IntArray
    cores: int
    packets: int
    """Sum over atoms of rate x cores reached beside the own one."""
    complete: bool = True
    """Whether the work was not interrupted."""


def partition(
    atoms: Atoms, limits: Limits, *, effort: Effort = "default", seed: int = 0, jobs: int | None = None,
    start: IntArray | None = None, progress: Progress | None = None,
) -> Partition:  # fmt: skip
    """Put atoms on cores.

    Args:
        atoms: Each of which fits a core of its own.
        limits: Of every core.
        effort: How much work; the time grows with it.
        seed: Of all random numbers.
        jobs: Threads; None: one per processor. The result does not depend on it.
        start: The core of every atom, -1 on the host, in a partition to begin with, which is then little disturbed; None: one
            is grown.
        progress: Is told about the work done.

    Raises:
        ValueError: An atom fits no core.
    """
    _refuse_large(atoms, limits)
    if not (~atoms.host).any():
        return Partition(np.full(atoms.size, NOWHERE, np.int64), 0, 0)
    budget, jobs = BUDGETS[effort], jobs or available_processors()
    rough = _rough_order(atoms, limits, seed) if start is None and atoms.pins >= ROUGH_FROM else None
    nearby = atoms if rough is None else reordered(atoms, rough)
    first = grown(nearby, limits, seed) if start is None else start
    hot = HOT if start is None else WARM
    # Atoms of a core side by side, so that what an annealing looks at stays in the cache.
    order = np.argsort(first, kind="stable")
    sorted_atoms, sorted_first = reordered(nearby, order), first[order]
    order = order if rough is None else rough[order]
    del nearby
    task = _Task(sorted_atoms, limits, budget, seed, jobs, hot, progress)
    if int(first.max()) + 1 >= GROUPED_FROM:
        found, complete = _in_groups(task, sorted_first)
    else:
        found, complete = _from_starts(task, sorted_first, order if start is None else None)
    core = np.empty_like(found)
    core[order] = found
    return _finished(atoms, core, complete)


def compile_kernels() -> None:
    """Compile what is not compiled yet."""

    def run() -> None:
        # Atoms too many for exchanges, and few; some without sources.
        for n in (FEW_ATOMS + 2, 6):
            ones, chain = np.ones(n, np.int64), np.arange(1, n, dtype=np.int32)
            start = np.minimum(np.arange(n + 1), n - 1)
            for most in (3, n):
                partition(atoms_of(ones, ones, ones, start, chain), Limits(most, n, n), effort="fast", jobs=1)

    compile_once("the partition", run)


def _refuse_large(atoms: Atoms, limits: Limits) -> None:
    g, inside, axons = atoms.graph, ~atoms.host, fan_in(atoms)
    needs = {
        "neurons": (g.neurons, limits.neurons),
        "axons": (axons, limits.axons),
        "units of synapse memory": (g.memory + limits.axon_memory * axons, limits.memory),
    }
    for what, (needed, limit) in needs.items():
        if (needed[inside] > limit).any():
            raise ValueError(f"an atom needs {int(needed[inside].max())} {what}, a core has {limit}")


def fan_in(atoms: Atoms) -> IntArray:
    """Return the axons that each atom needs, (n,)."""
    g = atoms.graph
    if (g.axons == 1).all():
        return np.asarray(np.diff(g.in_start))
    total = running_sum(g.axons[g.in_index])
    return np.asarray(total[g.in_start[1:]] - total[g.in_start[:-1]])


# Where an annealing starts


def grown(atoms: Atoms, limits: Limits, seed: int, *, stretch: float = 1.0) -> IntArray:
    """Return the core of every atom, one core filled after the other; ``stretch`` > 1 overdraws axons."""
    rng = np.random.default_rng([seed, 1])
    core = np.where(atoms.host, NOWHERE, UNPLACED)
    has_sources = np.diff(atoms.graph.in_start) > 0
    inside = np.flatnonzero(~atoms.host & has_sources)
    k = _grow(atoms, limits._replace(axons=int(limits.axons * stretch)), core, rng.permutation(inside))
    return _attached(atoms, limits, core, k)


def _rough_order(atoms: Atoms, limits: Limits, seed: int) -> IntArray:
    """Return the atoms in the order of cores that are grown by a part of the pins."""
    g = atoms.graph
    start, target = -(-g.out_start // ROUGH_PART), g.out_index[::ROUGH_PART]
    sample = atoms_of(g.neurons, g.rate, g.memory, start, target, axons=g.axons, family=g.family, host=atoms.host)
    return np.argsort(grown(sample, limits, seed), kind="stable")


def _grow(atoms: Atoms, limits: Limits, core: IntArray, order: IntArray) -> int:
    """Place atoms whose core is -2 on cores of their own, numbered from 0; return how many."""
    n, needed = atoms.size, fan_in(atoms)
    none = np.full(n, -1, np.int64)
    return int(
        kernels.grow(
            atoms.graph, order, needed, limits, core, np.zeros(n, np.int64), np.zeros(n, np.int64), none,
            Queue(np.full(int(needed.max(initial=0)) + 1, -1, np.int64), none.copy(), none.copy()),
        )
    )  # fmt: skip


def _attached(atoms: Atoms, limits: Limits, core: IntArray, k: int) -> IntArray:
    """Place what has no sources."""
    g, rest = atoms.graph, np.flatnonzero(core == UNPLACED)
    rest = rest[np.argsort(-g.rate[rest], kind="stable")]
    held, family = np.zeros(k + len(rest), np.int64), np.zeros(k + len(rest), np.int64)
    placed = np.flatnonzero(core >= 0)
    np.add.at(held, core[placed], g.neurons[placed])
    family[core[placed]] = g.family[placed]
    kernels.attach(g, rest, core, k, limits.neurons, held, family, np.zeros(k + len(rest), np.int64))
    return core


def in_order_of(atoms: Atoms, limits: Limits, order: IntArray) -> IntArray:
    """Return the core of every atom, filled one after the other in a given order of all that are not on the host."""
    g = atoms.graph
    core = np.full(atoms.size, NOWHERE, np.int64)
    k, neurons, memory, family = -1, 0, 0, -1
    axons: set[int] = set()
    held = 0
    for v in order.tolist():
        sources = g.in_index[g.in_start[v] : g.in_start[v + 1]].tolist()
        fresh = [e for e in sources if e not in axons]
        needed = held + int(g.axons[fresh].sum()) if fresh else held
        size, bits = int(g.neurons[v]), int(g.memory[v])
        full = (
            neurons + size > limits.neurons
            or needed > limits.axons
            or memory + bits + limits.axon_memory * needed > limits.memory
        )
        if k < 0 or full or int(g.family[v]) != family:
            k, neurons, memory, family, axons, fresh = k + 1, 0, 0, int(g.family[v]), set(), sources
            needed = int(g.axons[sources].sum())
        axons.update(fresh)
        held, neurons, memory = needed, neurons + size, memory + bits
        core[v] = k
    return core


# Annealing


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What is to be annealed, and how."""

    atoms: Atoms
    limits: Limits
    budget: Budget
    seed: int
    jobs: int
    hot: float
    progress: Progress | None


@dataclass(slots=True, eq=False)
class _Annealing:
    """A partition that is being annealed, and the best one so far that keeps every limit."""

    task: _Task
    core: IntArray
    steps: int
    seed: int
    k: int = 0
    best: IntArray | None = None
    best_packets: int = 0
    best_cores: int = 0
    cores: Cores = field(init=False)
    packets: int = 0
    mean_rate: float = field(init=False)
    floor: NDArray[np.float64] = field(init=False)
    """The lowest prices of neurons, axons and memory."""
    price: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        g = self.task.atoms.graph
        inside = ~self.task.atoms.host
        self.mean_rate = max(1.0, float(g.rate[inside].mean()))
        per_neuron = max(1.0, float(g.rate[inside].sum() / max(1, g.neurons[inside].sum())))
        per_memory = float(g.neurons[inside].sum() / max(1, g.memory[inside].sum()))
        self.floor = per_neuron * np.array([LEAST_PRICE[0], LEAST_PRICE[1], LEAST_PRICE[2] * per_memory])
        self.price = 1.5 * self.floor
        self.hold(self.core)
        self.keep()

    def hold(self, core: IntArray) -> None:
        """Go on from a partition."""
        g = self.task.atoms.graph
        self.core = core
        self.k = k = int(core.max()) + 1
        smallest = np.min_scalar_type(int(np.diff(g.out_start).max(initial=0)))
        self.cores = Cores(np.zeros((k, self.task.atoms.size), smallest), *(np.zeros(k, np.int64) for _ in range(4)))
        self.packets = int(kernels.tally(g, core, self.cores))

    def overdrawn(self) -> NDArray[np.bool_]:
        """Return whether each core has too many neurons, axons, or too much memory, (3, k)."""
        c, of = self.cores, self.task.limits
        return np.stack([c.neurons > of.neurons, c.axons > of.axons, c.memory + of.axon_memory * c.axons > of.memory])

    def split(self, rng: np.random.Generator) -> None:
        """Spread the atoms of every core that holds too much over cores that do not."""
        full = np.flatnonzero(self.overdrawn().any(axis=0))
        if not len(full):
            return
        empty = np.flatnonzero(self.cores.neurons == 0).tolist()
        core, k = self.core.copy(), self.k
        for number in full.tolist():
            members = np.flatnonzero(core == number)
            core[members] = UNPLACED
            parts = _grow(self.task.atoms, self.task.limits, core, rng.permutation(members))
            names = [number, *empty[: parts - 1]]
            del empty[: parts - 1]
            names += range(k, k + parts - len(names))
            k = max(k, names[-1] + 1)
            core[members] = np.array(names)[core[members]]
        self.hold(core)

    def keep(self) -> None:
        """Keep what is best."""
        if self.overdrawn().any():
            return
        cores = int(np.count_nonzero(self.cores.neurons))
        if self.best is None or (self.packets, cores) < (self.best_packets, self.best_cores):
            self.best, self.best_packets, self.best_cores = self.core.copy(), self.packets, cores

    def rounds(self, run: Callable[[float, float, int, int], int], progress: Progress | None, hotter: float = 1.0) -> None:
        """Anneal; ``run`` does a round, given its temperatures, steps and number, and returns the change in packets."""
        hot, cold = hotter * self.task.hot * self.mean_rate, COLD * self.mean_rate
        for r in range(ROUNDS):
            begin, end = (hot * (cold / hot) ** (x / ROUNDS) for x in (r, r + 1))
            self.packets += run(begin, end, self.steps // ROUNDS, r)
            too_much = self.overdrawn().any(axis=1)
            self.price = np.where(too_much, self.price * DEARER, np.maximum(self.floor, self.price * CHEAPER))
            if r in SPLITS:
                self.split(np.random.default_rng([self.seed, 5, r]))
            self.keep()
            if progress is not None:
                progress(min(1.0, (r + 1) / ROUNDS))

    @property
    def prices(self) -> Prices:
        """Of what is overdrawn."""
        return Prices(*(float(p) for p in self.price))


def _steps(atoms: Atoms, budget: Budget, least: int, share: int) -> int:
    """Return the moves that a share of the budget pays for."""
    n = int(np.count_nonzero(~atoms.host))
    work = min(max(least, budget.per_pin * atoms.pins), budget.most) // share
    return max(ROUNDS * 32, min(int(work / (STEP_WORK + atoms.pins / max(1, n))), budget.sweeps * n))


def _from_starts(task: _Task, first: IntArray, order: IntArray | None) -> tuple[IntArray, bool]:
    """Anneal from several starts, or the given one alone, and return the best, and whether the work was not interrupted.

    ``order`` has the number of each atom in the order of the network; None: ``first`` is the only start.
    """
    atoms, limits, seed = task.atoms, task.limits, task.seed
    inside = np.flatnonzero(~atoms.host)
    starts = task.budget.starts if order is not None else 1
    few = min(1.0, (int(first.max()) + 1) / FULL_WORK_FROM)
    steps = _steps(atoms, task.budget, int(task.budget.started * few**2), task.budget.starts)
    done = [0.0] * starts
    kept: list[_Annealing | None] = [None] * starts

    def start(index: int) -> IntArray:
        if index == 0 or order is None:
            return first
        if index == 1:
            return in_order_of(atoms, limits, inside[np.argsort(order[inside])])
        return grown(atoms, limits, seed + index, stretch=1 + 0.04 * (index // 2))

    def run(index: int) -> None:
        a = kept[index] = _Annealing(task, start(index), steps, seed + index)
        state = np.array([np.random.default_rng([seed, 2, index]).integers(1 << 63)], np.uint64)

        def one(hot: float, cold: float, steps: int, r: int) -> int:
            group = np.zeros(a.k, np.int64)
            return int(
                kernels.anneal(atoms.graph, a.core, a.cores, task.limits, a.prices, inside, group, 0, hot, cold, steps, state)
            )

        def tell(share: float) -> None:
            done[index] = share
            if task.progress is not None:
                task.progress(sum(done) / starts)

        a.rounds(one, tell, HOTTER if index % 2 else 1.0)

    complete = True
    try:
        for _ in in_order(run, range(starts), task.jobs, interruptible=task.progress is not None):
            pass
    except KeyboardInterrupt:
        if task.progress is None:
            raise
        complete = False
    found = [(a.best_packets, a.best_cores, i, a.best) for i, a in enumerate(kept) if a is not None and a.best is not None]
    best = min(found, key=lambda x: x[:3])[3] if found else first
    if complete and found and len(inside) <= FEW_ATOMS:
        best = _exchanged(task, best, inside)
    return best, complete


def _exchanged(task: _Task, core: IntArray, inside: IntArray) -> IntArray:
    """Return the best partition that annealings by moves and exchanges within every limit find."""
    mean_rate = max(1.0, float(task.atoms.graph.rate[inside].mean()))
    state = np.array([np.random.default_rng([task.seed, 6]).integers(1 << 63)], np.uint64)
    for _ in range(EXCHANGE_RUNS):
        a = _Annealing(task, core.copy(), 0, task.seed)
        core = np.empty_like(core)
        steps = task.budget.exchanges * len(inside)
        hot, cold = HOT * mean_rate, COLD * mean_rate
        kernels.exchange(task.atoms.graph, a.core, a.cores, task.limits, inside, hot, cold, steps, state, core)
    return core


def _in_groups(task: _Task, first: IntArray) -> tuple[IntArray, bool]:
    """Anneal groups of cores side by side, other groups in every round; return as `_from_starts` does."""
    atoms, seed = task.atoms, task.seed
    a = _Annealing(task, first, _steps(atoms, task.budget, task.budget.grouped, 1), seed)
    inside = np.flatnonzero(~atoms.host)

    def one(hot: float, cold: float, steps: int, r: int) -> int:
        group = _groups(atoms, a.core, a.k, np.random.default_rng([seed, 3, r]))
        number = int(group.max()) + 1
        of = group[a.core[inside]]
        order = np.argsort(of, kind="stable")
        members = np.split(inside[order], np.searchsorted(of[order], np.arange(1, number)))
        states = np.random.default_rng([seed, 4, r]).integers(1 << 63, size=(number, 1)).astype(np.uint64)

        def anneal(g: int) -> int:
            if not len(members[g]):
                return 0
            own = max(1, steps * len(members[g]) // len(inside))
            return int(
                kernels.anneal(
                    atoms.graph, a.core, a.cores, task.limits, a.prices, members[g], group, g, hot, cold, own, states[g]
                )
            )

        return sum(in_order(anneal, range(number), task.jobs, interruptible=task.progress is not None))

    complete = True
    try:
        a.rounds(one, task.progress)
    except KeyboardInterrupt:
        if task.progress is None:
            raise
        complete = False
    return (first if a.best is None else a.best), complete


def _groups(atoms: Atoms, core: IntArray, k: int, rng: np.random.Generator) -> IntArray:
    """Return the group of each core, (k,): cores whose atoms reach one another are together, from a random one on."""
    g = atoms.graph
    pins = rng.integers(0, max(1, atoms.pins), LINKS_SAMPLED)
    source = np.searchsorted(g.out_start, pins, side="right") - 1
    a, b = core[source], core[g.out_index[pins]]
    apart = (a != b) & (a >= 0) & (b >= 0)
    pair, weight = np.unique(np.stack([np.minimum(a, b), np.maximum(a, b)], axis=1)[apart], axis=0, return_counts=True)
    links: list[list[tuple[int, int]]] = [[] for _ in range(k)]
    for (x, y), w in zip(pair.tolist(), weight.tolist(), strict=True):
        links[x].append((y, w))
        links[y].append((x, w))
    number = max(2, round(k / GROUP_CORES))
    group = np.full(k, -1, np.int64)
    rank = np.empty(k, np.int64)
    order = rng.permutation(k)
    rank[order] = np.arange(k)
    at = 0
    for index in range(number):
        size = (k * (index + 1)) // number - (k * index) // number
        edge: dict[int, int] = {}
        for _ in range(size):
            if edge:
                c = max(edge, key=lambda x: (edge[x], -rank[x]))
                del edge[c]
            else:
                while group[order[at]] >= 0:
                    at += 1
                c = int(order[at])
            group[c] = index
            for other, w in links[c]:
                if group[other] < 0:
                    edge[other] = edge.get(other, 0) + w
    return group


def _finished(atoms: Atoms, core: IntArray, complete: bool) -> Partition:
    """Return a partition with its cores numbered in the order of their first atoms."""
    inside = np.flatnonzero(core >= 0)
    used, first, number = np.unique(core[inside], return_index=True, return_inverse=True)
    rank = np.empty(len(used), np.int64)
    rank[np.argsort(first)] = np.arange(len(used))
    result = np.full(len(core), NOWHERE, np.int64)
    result[inside] = rank[number]
    packets = int(kernels.packets_of(atoms.graph, result, np.full(len(used), -1, np.int64)))
    return Partition(result, len(used), packets, complete)
