"""The partition: exact counts, limits that hold, the same result for every number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from neurocomp.engine.kernels import partitioning as kernels
from neurocomp.engine.kernels.partitioning import Limits
from neurocomp.mapping import partition as module
from neurocomp.mapping.atoms import Atoms, atoms_of, transposed
from neurocomp.mapping.partition import Effort, Partition, fan_in, partition
from neurocomp.mapping.twins import contracted, find_twins, partition_neurons

Array = NDArray[Any]
Synapses = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]


def random_network(n: int, fan_out: int, seed: int) -> Synapses:
    """Return neurons that reach others near them."""
    rng = np.random.default_rng(seed)
    lists = [np.unique((s + rng.integers(-3 * fan_out, 3 * fan_out, fan_out)) % n) for s in range(n)]
    start = np.concatenate(([0], np.cumsum([len(x) for x in lists]))).astype(np.int64)
    return start, np.concatenate(lists).astype(np.int32), rng.integers(1, 50, n)


def layers(sizes: list[int], seed: int) -> Synapses:
    """Return layers of which each neuron reaches the whole next one."""
    ends = np.cumsum([0, *sizes])
    lists = [np.arange(ends[i + 1], ends[min(i + 2, len(sizes))]) for i, size in enumerate(sizes) for _ in range(size)]
    start = np.concatenate(([0], np.cumsum([len(x) for x in lists]))).astype(np.int64)
    rate = np.random.default_rng(seed).integers(1, 50, ends[-1])
    return start, np.concatenate(lists).astype(np.int32), rate


def recounted(network: Synapses, core: Array) -> tuple[int, dict[int, tuple[int, int, int]]]:
    """Return packets, and core -> (neurons, axons, synapses), synapse by synapse."""
    start, target, rate = network
    packets = 0
    axons: dict[int, set[int]] = {c: set() for c in set(core.tolist())}
    neurons = dict.fromkeys(axons, 0)
    synapses = dict.fromkeys(axons, 0)
    for s in range(len(rate)):
        neurons[int(core[s])] += 1
        reached = set()
        for t in target[start[s] : start[s + 1]].tolist():
            c = int(core[t])
            reached.add(c)
            axons[c].add(s)
            synapses[c] += 1
        packets += int(rate[s]) * len(reached - {int(core[s])})
    return packets, {c: (neurons[c], len(axons[c]), synapses[c]) for c in axons}


def atoms_from(network: Synapses) -> Atoms:
    start, target, rate = network
    return atoms_of(np.ones(len(rate), np.int64), rate, np.bincount(target, minlength=len(rate)), start, target)


def assert_keeps(network: Synapses, limits: Limits, found: Partition) -> None:
    packets, use = recounted(network, found.core)
    assert packets == found.packets
    assert len(use) == found.cores
    assert sorted(use) == list(range(found.cores))
    for neurons, axons, synapses in use.values():
        assert neurons <= limits.neurons
        assert axons <= limits.axons
        assert synapses + limits.axon_memory * axons <= limits.memory


class TestPartition:
    @settings(max_examples=25, deadline=None)
    @given(
        n=st.integers(2, 70), fan_out=st.integers(1, 6), seed=st.integers(0, 1 << 30),
        neurons=st.integers(1, 20), axons=st.integers(0, 25), memory=st.integers(0, 60), each=st.integers(0, 3),
    )  # fmt: skip
    def test_limits_hold_and_packets_are_those_of_a_recount(
        self, n: int, fan_out: int, seed: int, neurons: int, axons: int, memory: int, each: int
    ) -> None:
        network = random_network(n, fan_out, seed)
        needed = fan_in(atoms_from(network))
        largest = int(needed.max())
        limits = Limits(neurons, largest + axons, int((1 + each) * largest) + memory, each)
        assert_keeps(network, limits, partition_neurons(*network, limits, effort="fast", seed=seed))

    @pytest.mark.parametrize("sizes", [[20, 30, 30, 5], [7, 64, 9]])
    def test_layers_of_twins(self, sizes: list[int]) -> None:
        network = layers(sizes, 3)
        limits = Limits(24, 70, 700)
        assert_keeps(network, limits, partition_neurons(*network, limits, effort="fast"))

    @pytest.mark.parametrize("effort", ["fast", "default"])
    def test_many_cores_are_annealed_in_groups(self, effort: Effort) -> None:
        network = random_network(900, 5, 1)
        limits = Limits(12, 60, 200)
        found = partition_neurons(*network, limits, effort=effort, seed=5)
        assert found.cores >= module.GROUPED_FROM
        assert_keeps(network, limits, found)

    @pytest.mark.parametrize("limits", [Limits(12, 60, 200), Limits(200, 900, 5_000)])
    def test_threads_change_nothing_and_the_seed_does(self, limits: Limits) -> None:
        network = random_network(900, 5, 2)
        one, three = (partition_neurons(*network, limits, effort="fast", seed=1, jobs=jobs) for jobs in (1, 3))
        assert np.array_equal(one.core, three.core)
        other = partition_neurons(*network, limits, effort="fast", seed=2)
        assert not np.array_equal(one.core, other.core)

    def test_annealing_is_no_worse_than_its_start(self) -> None:
        network = random_network(300, 5, 4)
        atoms, limits = atoms_from(network), Limits(40, 150, 400)
        first = module.grown(atoms, limits, 0)
        found = partition(atoms, limits, effort="fast")
        assert found.packets < recounted(network, first)[0]

    def test_families_never_share_a_core(self) -> None:
        start, target, rate = random_network(200, 4, 6)
        family = np.arange(200) % 3
        none = np.bincount(target, minlength=200)
        atoms = atoms_of(np.ones(200, np.int64), rate, none, start, target, family=family)
        found = partition(atoms, Limits(30, 200, 1_000), effort="fast")
        assert all(len(np.unique(family[found.core == c])) == 1 for c in range(found.cores))

    def test_atoms_on_the_host_are_on_no_core_and_send_to_all_that_they_reach(self) -> None:
        network = start, target, rate = random_network(120, 4, 7)
        host = np.arange(120) < 30
        # What the host holds receives nothing.
        keep = ~host[target]
        source = np.repeat(np.arange(120), np.diff(start))[keep]
        start, target = np.searchsorted(source, np.arange(121)), target[keep]
        memory = np.bincount(target, minlength=120)
        atoms = atoms_of(np.ones(120, np.int64), rate, memory, start, target, host=host)
        found = partition(atoms, Limits(20, 120, 400), effort="fast")
        assert (found.core[host] == -1).all()
        assert (found.core[~host] >= 0).all()
        packets, _ = recounted((start, target, rate), found.core)
        assert packets == found.packets
        assert len(network[2]) == 120

    def test_an_atom_that_fits_no_core_is_refused(self) -> None:
        network = layers([30, 4], 0)
        with pytest.raises(ValueError, match="an atom needs 30 axons, a core has 29"):
            partition_neurons(*network, Limits(10, 29, 1_000))

    def test_interruption_keeps_the_best_so_far(self) -> None:
        network = random_network(900, 5, 2)
        limits = Limits(12, 60, 200)

        def interrupt(share: float) -> None:
            if share > 0.7:
                raise KeyboardInterrupt

        found = partition_neurons(*network, limits, progress=interrupt)
        assert not found.complete
        assert_keeps(network, limits, found)


class TestMoves:
    @pytest.mark.parametrize("itself", [False, True])
    def test_every_move_changes_what_a_recount_says(self, itself: bool) -> None:
        rng = np.random.default_rng(8)
        n, k = 40, 4
        lists = [np.unique(np.append(rng.integers(0, n, 5), [s] if itself else [])) for s in range(n)]
        start = np.concatenate(([0], np.cumsum([len(x) for x in lists]))).astype(np.int64)
        target = np.concatenate(lists).astype(np.int32)
        neurons, rate, memory = (rng.integers(1, 9, n) for _ in range(3))
        atoms = atoms_of(neurons, rate, memory, start, target)
        core = rng.integers(0, k, n)

        def counted() -> tuple[int, kernels.Cores]:
            cores = kernels.Cores(np.zeros((k, n), np.uint8), *(np.zeros(k, np.int64) for _ in range(4)))
            return int(kernels.tally(atoms.graph, core, cores)), cores

        packets, cores = counted()
        limits = Limits(1 << 40, 1 << 40, 1 << 40)
        prices = kernels.Prices(0.0, 0.0, 0.0)
        state = np.array([3], np.uint64)
        for _ in range(60):
            arguments = np.arange(n), np.zeros(k, np.int64), 0, 30.0, 30.0, 7, state
            packets += int(kernels.anneal(atoms.graph, core, cores, limits, prices, *arguments))
            again, truth = counted()
            assert packets == again
            for mine, theirs in zip(cores, truth, strict=True):
                assert np.array_equal(mine, theirs) or mine is cores.family

    def test_exchanges_keep_limits_and_their_change_is_that_of_a_recount(self) -> None:
        rng = np.random.default_rng(9)
        n, k = 30, 4
        network = random_network(n, 4, 9)
        atoms, core = atoms_from(network), rng.permutation(np.arange(n) % k)
        cores = kernels.Cores(np.zeros((k, n), np.uint8), *(np.zeros(k, np.int64) for _ in range(4)))
        packets = int(kernels.tally(atoms.graph, core, cores))
        most = [int(held.max()) for held in (cores.neurons, cores.axons, cores.memory)]
        limits = Limits(*most)
        best = np.empty(n, np.int64)
        for hot, saves in ((30.0, True), (1e9, False)):
            state = np.array([4], np.uint64)
            change = int(kernels.exchange(atoms.graph, core, cores, limits, np.arange(n), hot, hot / 9, 5_000, state, best))
            assert recounted(network, best)[0] == packets + change
            assert (change < 0) or not saves
            packets, use = recounted(network, core)
            for c in range(k):
                now = int(cores.neurons[c]), int(cores.axons[c]), int(cores.memory[c])
                assert now == use.get(c, (0, 0, 0))
                assert all(held <= limit for held, limit in zip(now, most, strict=True))


class TestTwins:
    def test_atoms_count_as_their_neurons_do(self) -> None:
        network = layers([12, 40, 20, 4], 2)
        start, target, rate = network
        twins = find_twins(start, target, rate)
        assert sorted(twins.sizes.tolist()) == [4, 12, 20, 40]
        atoms, atom = contracted(start, target, rate, twins, np.full(4, 6))
        assert np.bincount(atom).max() <= 6
        core = np.random.default_rng(1).integers(0, 5, atoms.size)
        cores = kernels.Cores(np.zeros((5, atoms.size), np.uint16), *(np.zeros(5, np.int64) for _ in range(4)))
        packets = int(kernels.tally(atoms.graph, core, cores))
        expected, use = recounted(network, core[atom])
        assert packets == expected
        assert {c: (int(cores.neurons[c]), int(cores.axons[c]), int(cores.memory[c])) for c in range(5)} == use

    def test_twins_have_the_same_sources_and_targets(self) -> None:
        start, target, rate = random_network(60, 2, 9)
        sources = transposed(60, start, target)
        twins = find_twins(start, target, rate)

        def both(i: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
            into = sources[1][sources[0][i] : sources[0][i + 1]]
            return tuple(sorted(target[start[i] : start[i + 1]].tolist())), tuple(into.tolist())

        for a, b in zip(twins.start[:-1], twins.start[1:], strict=True):
            assert len({both(int(i)) for i in twins.order[a:b]}) == 1
        assert len({both(i) for i in range(60)}) == len(twins.sizes)
