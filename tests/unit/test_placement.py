"""The placement: hops as brute force counts them, the best place of few cores, the same result for every number of threads."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp.engine.kernels.placing import CoreGraph
from neurocomp.mapping.placement import Grid, core_graph, grid_of, hop_packets, place_cores

Array = NDArray[Any]


def random_traffic(k: int, seed: int, degree: int = 3) -> tuple[CoreGraph, Array]:
    """Return traffic between random pairs, and the packets from each core to each."""
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, k, (2, degree * k))
    packets = rng.integers(1, 30, degree * k).astype(np.float64)
    table = np.zeros((k, k))
    np.add.at(table, (source, target), packets)
    return core_graph(k, source, target, packets), table


def brute_force(table: Array, at: list[tuple[int, int]]) -> float:
    """Return packets x hops of cores at (x, y)."""
    total = 0.0
    for a, (ax, ay) in enumerate(at):
        for b, (bx, by) in enumerate(at):
            total += float(table[a, b]) * (abs(ax - bx) + abs(ay - by))
    return total


def test_traffic_is_that_of_both_directions_without_the_own_core() -> None:
    traffic, table = random_traffic(7, 1)
    both = table + table.T
    np.fill_diagonal(both, 0.0)
    found = np.zeros((7, 7))
    for a in range(7):
        for i in range(traffic.start[a], traffic.start[a + 1]):
            found[a, traffic.other[i]] = traffic.packets[i]
    assert np.array_equal(found, both)


@pytest.mark.parametrize("seed", range(4))
def test_hops_are_those_of_brute_force(seed: int) -> None:
    traffic, table = random_traffic(11, seed)
    place = np.random.default_rng(seed + 9).permutation(24)[:11]
    at = [(int(p) // 2 % 3, int(p) // 6) for p in place]
    assert hop_packets(traffic, grid_of(3, 4, 2), place) == pytest.approx(brute_force(table, at))


def test_hops_between_chips() -> None:
    traffic = core_graph(2, np.array([0]), np.array([1]), np.array([5.0]))
    # (0, 0) on the first chip of 2 x 2 and (1, 1) on the third.
    place = np.array([0, 11])
    assert hop_packets(traffic, grid_of(2, 2, 1, chips=3), place) == 5 * (5 + 1)
    assert hop_packets(traffic, grid_of(2, 2, 1, chips=3, crossing=10.0), place) == 5 * (5 + 1 + 2 * 10)
    assert hop_packets(traffic, grid_of(2, 2, 1, chips=3, global_x=False, crossing=10.0), place) == 5 * (1 + 1 + 2 * 10)


@pytest.mark.parametrize(("columns", "rows", "k"), [(3, 2, 6), (2, 4, 7), (8, 1, 8), (2, 2, 3), (2, 1, 2), (3, 3, 5)])
def test_few_cores_have_the_best_places(columns: int, rows: int, k: int) -> None:
    traffic, table = random_traffic(k, 10 * k + columns)
    mesh = grid_of(columns, rows, 1)
    at = [(p % columns, p // columns) for p in range(columns * rows)]
    best = min(brute_force(table, [at[p] for p in place]) for place in permutations(range(columns * rows), k))
    place = place_cores(traffic, mesh)
    assert len(set(place.tolist())) == k
    assert hop_packets(traffic, mesh, place) == pytest.approx(best)


def test_nine_cores_have_the_best_places() -> None:
    for seed in range(3):
        traffic, table = random_traffic(9, seed, degree=2)
        both = table + table.T
        orders = np.array(list(permutations(range(9))), np.int8)
        total = np.zeros(len(orders))
        for a in range(9):
            for b in range(a):
                if both[a, b]:
                    p, q = orders[:, a], orders[:, b]
                    total += both[a, b] * (np.abs(p % 3 - q % 3) + np.abs(p // 3 - q // 3))
        mesh = grid_of(3, 3, 1)
        assert hop_packets(traffic, mesh, place_cores(traffic, mesh)) == pytest.approx(total.min())


def test_threads_change_nothing_and_the_seed_may() -> None:
    traffic, _ = random_traffic(60, 5)
    mesh = grid_of(8, 8, 1)
    one, three = (place_cores(traffic, mesh, effort="fast", seed=2, jobs=jobs) for jobs in (1, 3))
    assert np.array_equal(one, three)
    assert not np.array_equal(one, place_cores(traffic, mesh, effort="fast", seed=3))


def assert_places(place: Array, mesh: Grid) -> None:
    assert len(np.unique(place)) == len(place)
    assert place.min() >= 0
    assert place.max() < mesh.size


@pytest.mark.parametrize(
    "mesh", [grid_of(5, 5, 1), grid_of(3, 2, 2, chips=3, crossing=4.0), grid_of(3, 3, 2, cores_per_chip=15)]
)
def test_fixed_cores_stay(mesh: Grid) -> None:
    traffic, _ = random_traffic(15, 6)
    fixed = np.full(15, -1, np.int64)
    fixed[[2, 7, 11]] = [mesh.size - 1, 0, 9]
    place = place_cores(traffic, mesh, effort="fast", fixed=fixed)
    assert_places(place, mesh)
    assert place[[2, 7, 11]].tolist() == [mesh.size - 1, 0, 9]


def test_places_are_better_than_random_ones() -> None:
    side = 7
    at = np.arange(side * side).reshape(side, side)
    source = np.concatenate([at[:, :-1].reshape(-1), at[:-1].reshape(-1)])
    target = np.concatenate([at[:, 1:].reshape(-1), at[1:].reshape(-1)])
    shuffled = np.random.default_rng(0).permutation(side * side)
    traffic = core_graph(side * side, shuffled[source], shuffled[target], np.ones(len(source)))
    mesh = grid_of(side, side, 1)
    # A grid of cores on a mesh of its size: every packet takes one hop.
    assert hop_packets(traffic, mesh, place_cores(traffic, mesh)) == len(source)


def test_cores_of_few_chips_are_on_the_first_ones() -> None:
    traffic, _ = random_traffic(10, 7)
    mesh = grid_of(3, 2, 1, chips=4, crossing=20.0)
    place = place_cores(traffic, mesh, effort="fast")
    assert_places(place, mesh)
    assert place.max() < 2 * mesh.cores_per_chip


def test_groups_that_fit_chips_are_not_torn_apart() -> None:
    rng = np.random.default_rng(8)
    chip = rng.permutation(np.repeat(np.arange(2), 6))
    source, target = rng.integers(0, 12, (2, 200))
    same = chip[source] == chip[target]
    traffic = core_graph(12, source[same], target[same], np.ones(int(same.sum())))
    mesh = grid_of(3, 2, 1, chips=2, crossing=50.0)
    place = place_cores(traffic, mesh)
    assert all(len(np.unique(place[chip == c] // 6)) == 1 for c in range(2))


def test_free_places_and_no_cores() -> None:
    mesh = grid_of(2, 2, 1)
    none = core_graph(0, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    assert len(place_cores(none, mesh)) == 0
    alone = core_graph(1, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    assert_places(place_cores(alone, mesh), mesh)
    silent = core_graph(4, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    assert_places(place_cores(silent, mesh), mesh)


def test_too_many_cores_are_refused() -> None:
    traffic, _ = random_traffic(5, 0)
    with pytest.raises(ValueError, match="5 cores have 4 places"):
        place_cores(traffic, grid_of(2, 2, 1))
