"""Which core of the chip each core of a partition becomes: a start from the traffic's own geometry, then annealing by swaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import MappingPlan
from neurocomp.engine.kernels import placing as kernels
from neurocomp.engine.kernels.placing import FREE, CoreGraph, Places
from neurocomp.engine.threads import available_processors, in_order
from neurocomp.engine.warm import compile_once
from neurocomp.fixedpoint import running_sum
from neurocomp.hardware import HardwareSpec
from neurocomp.mapping.partition import Effort, Progress

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

SWAPS = {"fast": 2_000, "default": 20_000, "max": 100_000}
"""Swaps tried per core, for each start."""
FULL_WORK_FROM = 8
"""Fewer cores have fewer places to try."""
MOST_SWAPS = {"fast": 2_000_000, "default": 20_000_000, "max": 400_000_000}
MOST_VISITS = {"fast": 100_000_000, "default": 250_000_000, "max": 100_000_000_000}
"""A swap looks at the traffic of two cores: so many pairs of cores in all, for each start."""
SMOOTHINGS, FOLD_EVERY = 600, 20
"""Steps of the power iteration for the coordinates, and after how many they are made orthogonal again."""
MOST_SMOOTHED = 200_000_000
"""Fewer steps, but never fewer than those between two orthogonalizations, where all would visit more pairs of cores."""
COORDINATES = 4
NO_COORDINATE = 1e-12
"""A few cores have fewer coordinates: what is smaller than this part of the largest is rounding."""
HOT, COLD = 0.5, 0.002
"""First and last temperature of a start, in packets x hops of the average core."""
ROUNDS = 16
CHIP_HOPS = 8.0
"""What a way from chip to chip counts in hops of the mesh; published figures differ more than that."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Places for cores, numbered chip by chip."""

    places: Places
    cores_per_chip: int
    open: NDArray[np.bool_]
    """(places,): which ones cores may take; the table of the places lists these alone."""

    @property
    def size(self) -> int:
        """Number of places."""
        return len(self.places.x)


def grid_of(
    tiles_x: int, tiles_y: int, cores_per_tile: int, *, chips: int = 1, cores_per_chip: int | None = None,
    global_x: bool = True, crossing: float = 0.0,
) -> Grid:  # fmt: skip
    """Return the places of chips that lie side by side in the direction of x.

    Args:
        tiles_x, tiles_y: Of a chip.
        cores_per_tile: Of a chip.
        chips: How many.
        cores_per_chip: Fewer than all tiles would have; None: all.
        global_x: Hops are counted on the mesh of all chips; else on each chip, and chips beside them.
        crossing: Hops that a way from chip to chip counts beside those of the mesh.
    """
    per_chip = cores_per_chip or tiles_x * tiles_y * cores_per_tile
    number = np.arange(chips * per_chip)
    chip, core = np.divmod(number, per_chip)
    tile, depth = np.divmod(core, cores_per_tile)
    x, y = tile % tiles_x, tile // tiles_x
    table = np.full((chips * tiles_x, tiles_y, cores_per_tile), -1, np.int64)
    column = chip * tiles_x + x
    table[column, y, depth] = number
    places = Places(column if global_x else x, y, chip, column, y, table, float(crossing))
    return Grid(places, per_chip, np.ones(len(number), np.bool_))


def compact(grid: Grid, k: int, kept: IntArray) -> Grid:
    """Return a mesh of which k cores may take the most square corner of tiles with room for them, and some kept places.

    Where k cores need several chips, the mesh is as it was.
    """
    p = grid.places
    if k > grid.cores_per_chip:
        return grid
    columns, rows = int(p.column[: grid.cores_per_chip].max()) + 1, int(p.row.max()) + 1
    sizes = np.zeros((columns, rows), np.int64)
    np.add.at(sizes, (p.column[: grid.cores_per_chip], p.row[: grid.cores_per_chip]), 1)
    room = np.cumsum(np.cumsum(sizes, axis=0), axis=1)
    width, height = (x + 1 for x in np.indices(room.shape))
    enough = np.where(room >= k, width + height, np.iinfo(np.int64).max)
    most_square = np.lexsort((np.abs(width - height).reshape(-1), room.reshape(-1), enough.reshape(-1)))[0]
    w, h = int(width.reshape(-1)[most_square]), int(height.reshape(-1)[most_square])
    usable = (p.column < w) & (p.row < h)
    usable[kept] = True
    table = np.where(p.table >= 0, np.where(usable[p.table], p.table, -1), -1)
    return Grid(p._replace(table=table), grid.cores_per_chip, usable)


def core_graph(k: int, source: IntArray, target: IntArray, packets: FloatArray) -> CoreGraph:
    """Return the traffic between k cores from packets of ordered pairs; those from a core to itself are left out."""
    apart = source != target
    a, b, w = source[apart], target[apart], packets[apart]
    low, high = np.minimum(a, b), np.maximum(a, b)
    key, which = np.unique(low * k + high, return_inverse=True)
    total = np.bincount(which, weights=w, minlength=len(key))
    low, high = key // k, key % k
    first, second, both = np.concatenate([low, high]), np.concatenate([high, low]), np.concatenate([total, total])
    order = np.lexsort((second, first))
    start = running_sum(np.bincount(first, minlength=k))
    return CoreGraph(start, second[order].astype(np.int32), np.ascontiguousarray(both[order], np.float64))


def hop_packets(graph: CoreGraph, grid: Grid, place: IntArray) -> float:
    """Return the sum of packets x hops."""
    return float(kernels.hops(graph, grid.places, place))


def places_on(
    spec: HardwareSpec, plan: MappingPlan, k: int, flows: tuple[IntArray, IntArray, FloatArray],
    fixed: IntArray | None = None,
) -> IntArray:  # fmt: skip
    """Return the numbers that k cores get on the chips of a spec, counted over all chips, (k,).

    Chips of crossbars share a mesh, on which a border of chips is a hop as any other. Else packets go along x and y on a chip
    of their own, and from chip to chip beside that.

    Args:
        spec: Its mesh and cores.
        plan: How much work it may be.
        k: Number of cores.
        flows: Source, target and packets per tick of pairs of cores.
        fixed: (k,): numbers of cores that stay where they are, -1 for others; None: none does.
    """
    of, per_chip = spec.mesh, spec.limit("cores_per_chip")
    if k <= of.cores_per_tile and fixed is None:
        return np.arange(k)
    compile_kernels()
    furthest = k - 1 if fixed is None else max(k - 1, int(fixed.max(initial=0)))
    grid = grid_of(
        of.tiles_x, of.tiles_y, of.cores_per_tile, chips=furthest // per_chip + 1, cores_per_chip=per_chip,
        global_x=spec.has_crossbars, crossing=0.0 if spec.has_crossbars else CHIP_HOPS,
    )  # fmt: skip
    return place_cores(
        core_graph(k, *flows), grid, effort=plan.effort, seed=plan.seed, jobs=plan.jobs, fixed=fixed
    )  # fmt: skip


def place_cores(
    graph: CoreGraph, grid: Grid, *, effort: Effort = "default", seed: int = 0, jobs: int | None = None,
    fixed: IntArray | None = None, progress: Progress | None = None,
) -> IntArray:  # fmt: skip
    """Return the place of each core, (k,): the best of annealings from several starts.

    Args:
        graph: Packets between the cores.
        grid: At least as many places; the first chips are used.
        effort: How many swaps are tried.
        seed: Of all random numbers; the result does not depend on the threads.
        jobs: Threads; None: one per processor.
        fixed: (k,): places of cores that stay where they are, -1 for others; None: none does.
        progress: Is told which share of the work is done.
    """
    k = len(graph.start) - 1
    if k > grid.size:
        raise ValueError(f"{k} cores have {grid.size} places")
    if k < 2 and fixed is None:
        return np.zeros(k, np.int64)
    fixed = np.full(k, -1, np.int64) if fixed is None else fixed
    chips = -(-k // grid.cores_per_chip)
    grid = compact(grid, k, fixed[fixed >= 0])
    starts = [_pinned(start, fixed, grid) for start in _starts(graph, grid, chips, seed)]
    done = [0.0] * len(starts)
    best: list[tuple[float, int, IntArray]] = [
        (hop_packets(graph, grid, start), index, start) for index, start in enumerate(starts)
    ]  # fmt: skip
    swaps = min(
        SWAPS[effort] * k * min(k, FULL_WORK_FROM) // FULL_WORK_FROM, MOST_SWAPS[effort],
        MOST_VISITS[effort] * k // max(1, len(graph.other)),
    )  # fmt: skip

    def run(index: int) -> None:
        place = starts[index].copy()
        held = np.full(grid.size, FREE, np.int64)
        held[place] = np.arange(k)
        state = np.array([np.random.default_rng([seed, 11, index]).integers(1 << 63)], np.uint64)
        mean = max(1e-9, 2 * best[index][0] / k)
        wide = max(grid.places.table.shape[:2])
        for r in range(ROUNDS):
            part, following = r / ROUNDS, (r + 1) / ROUNDS
            hot, cold = (mean * HOT * (COLD / HOT) ** x for x in (part, following))
            reach = max(3, int(wide * 0.5 * (1 - part)))
            kernels.anneal_places(
                graph, grid.places, place, held, reach, hot, cold, swaps // ROUNDS, fixed >= 0, state
            )  # fmt: skip
            found = hop_packets(graph, grid, place)
            if found < best[index][0]:
                best[index] = found, index, place.copy()
            done[index] = following
            if progress is not None:
                progress(sum(done) / len(starts))

    try:
        for _ in in_order(run, range(len(starts)), jobs or available_processors(), interruptible=progress is not None):
            pass
    except KeyboardInterrupt:
        if progress is None:
            raise
    return min(best, key=lambda entry: entry[:2])[2]


def compile_kernels() -> None:
    """Compile what is not compiled yet."""

    def run() -> None:
        graph = core_graph(3, np.array([0, 1]), np.array([1, 2]), np.ones(2))
        place_cores(graph, grid_of(2, 2, 1), effort="fast", jobs=1)

    compile_once("the placement", run)


def _pinned(place: IntArray, fixed: IntArray, grid: Grid) -> IntArray:
    """Return a placement in which fixed cores are where they must be, and who was there is where they were."""
    place = place.copy()
    held = np.full(grid.size, FREE, np.int64)
    held[place] = np.arange(len(place))
    for core in np.flatnonzero(fixed >= 0).tolist():
        at, wanted = int(place[core]), int(fixed[core])
        other = int(held[wanted])
        place[core], held[wanted] = wanted, core
        held[at] = other
        if other >= 0 and other != core:
            place[other] = at
    return place


# Starts


def _starts(graph: CoreGraph, grid: Grid, chips: int, seed: int) -> list[IntArray]:
    """Return a start from two coordinates of the traffic, and one along a Hilbert curve in the order of the first."""
    coordinates = spectral(graph, seed)
    order = np.argsort(coordinates[:, 0], kind="stable")
    spread, curve = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    per_chip = grid.cores_per_chip
    for chip in range(chips):
        of = order[chip * len(order) // chips : (chip + 1) * len(order) // chips]
        own = np.arange(chip * per_chip, (chip + 1) * per_chip)
        own = own[grid.open[own]]
        spread[of] = _in_columns(of, coordinates, own, grid)
        curve[of] = _along_hilbert(own, grid)[: len(of)]
    return [spread, curve]


def spectral(graph: CoreGraph, seed: int) -> FloatArray:
    """Return coordinates of the cores, (k, COORDINATES): the slowest modes of a random walk on the traffic.

    They are found by a power iteration with a fixed number of steps, so that they are the same everywhere.
    """
    k = len(graph.start) - 1
    weight = np.add.reduceat(np.append(graph.packets, 0.0), np.minimum(graph.start[:-1], len(graph.packets)))
    weight = np.where(np.diff(graph.start) > 0, weight, 0.0)
    weight = weight / weight.sum() if weight.sum() > 0 else np.full(k, 1 / k)
    x = np.random.default_rng([seed, 12]).standard_normal((k, COORDINATES))
    other = np.empty_like(x)
    for step in range(max(FOLD_EVERY, min(SMOOTHINGS, MOST_SMOOTHED // max(1, len(graph.other))))):
        if step % FOLD_EVERY == 0:
            x = _orthogonal(x, weight)
        kernels.smooth(graph, x, COORDINATES, other)
        x, other = other, x
    return _orthogonal(x, weight)


def _orthogonal(x: FloatArray, weight: FloatArray) -> FloatArray:
    """Return columns without mean and orthogonal under the weights; the slowest come first. What weighs nothing is at 0."""
    x = np.where(weight[:, None] > 0, x - weight @ x, 0.0)
    values, vectors = np.linalg.eigh(x.T @ (weight[:, None] * x))
    values, vectors = values[::-1], vectors[:, ::-1]
    known = values > NO_COORDINATE * values[0]
    scale = np.where(known, 1 / np.sqrt(np.where(known, values, 1.0)), 0.0)
    return np.ascontiguousarray((x @ vectors) * scale)


def _in_columns(cores: IntArray, coordinates: FloatArray, places: IntArray, grid: Grid) -> IntArray:
    """Return places of cores: columns by the first coordinate, in each column by the second."""
    p = grid.places
    by_column = places[np.lexsort((p.row[places], p.column[places]))]
    n, total = len(cores), len(places)
    # The part of each column that is used, so that a chip that is not full is used evenly.
    used = by_column[np.unique(np.arange(n) * total // n)] if n < total else by_column
    order = cores[np.argsort(coordinates[cores, 0], kind="stable")]
    result = np.empty(n, np.int64)
    position = {int(core): index for index, core in enumerate(cores.tolist())}
    columns = p.column[used]
    for column in np.unique(columns):
        here = np.flatnonzero(columns == column)
        own = order[here]
        own = own[np.argsort(coordinates[own, 1], kind="stable")]
        for core, place in zip(own.tolist(), used[here].tolist(), strict=True):
            result[position[core]] = place
    return result


def _along_hilbert(places: IntArray, grid: Grid) -> IntArray:
    """Return the places of a chip in the order in which a Hilbert curve through it visits them."""
    p = grid.places
    x, y = p.column[places] - p.column[places].min(), p.row[places]
    side = 1
    while side < max(int(x.max()), int(y.max())) + 1:
        side *= 2
    rank = np.array([_hilbert(side, int(a), int(b)) for a, b in zip(x, y, strict=True)])
    return places[np.argsort(rank, kind="stable")]


def _hilbert(side: int, x: int, y: int) -> int:
    """Return the position of a point on the Hilbert curve of a square whose side is a power of two."""
    distance, s = 0, side // 2
    while s > 0:
        right, up = int(x & s > 0), int(y & s > 0)
        distance += s * s * ((3 * right) ^ up)
        if not up:
            if right:
                x, y = side - 1 - x, side - 1 - y
            x, y = y, x
        s //= 2
    return distance
