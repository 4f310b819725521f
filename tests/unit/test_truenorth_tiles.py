"""Blocks keep the limits of a core, and every neuron is in one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp_truenorth.tiles import Layout, Needs, tile

IntArray = NDArray[np.int64]


def check(needs: Needs, copies: IntArray, blocks: list[IntArray], axons: int, neurons: int) -> None:
    """Each neuron once, ascending in its block; no block needs more than a core has."""
    assert np.array_equal(np.sort(np.concatenate(blocks)), np.arange(len(copies)))
    for block in blocks:
        assert len(block)
        assert (np.diff(block) > 0).all()
        assert len(np.unique(np.concatenate([needs.by_neuron(int(j)) for j in block]))) <= axons
        assert int(copies[block].sum()) <= neurons


@pytest.mark.parametrize("seed", range(20))
def test_random_needs(seed: int) -> None:
    """Any lists of axons, copies of neurons, shapes."""
    rng = np.random.default_rng(seed)
    shape = [(60,), (3, 20), (4, 5, 6), (120, 1), (1, 11, 11)][seed % 5]
    n, n_axons = int(np.prod(shape)), int(rng.integers(10, 400))
    sizes = rng.integers(0, min(40, n_axons) + 1, n)
    pairs = [(j, axon) for j in range(n) for axon in rng.choice(n_axons, sizes[j], False)]
    neuron, axon = (np.array([p[i] for p in pairs], np.int64) for i in (0, 1))
    needs = Needs.of(neuron, axon, n)
    assert np.array_equal(needs.sizes, sizes)
    copies = rng.integers(1, 9, n)
    axons, neurons = int(rng.integers(40, 257)), int(rng.integers(9, 257))
    check(needs, copies, tile(needs, copies, Layout.of(shape), axons, neurons), axons, neurons)


def test_neighbours_share_a_block() -> None:
    """A 3 x 3 window over 32 x 32 places takes about as few blocks as patches allow, not one per pair of rows."""
    side, kernel = 32, 3
    places = np.stack(np.unravel_index(np.arange(side * side), (side, side)), axis=1)
    neuron, axon = [], []
    for j, (y, x) in enumerate(places):
        for dy, dx in np.ndindex(kernel, kernel):
            neuron.append(j)
            axon.append((y + dy) * (side + 2) + x + dx)
    needs = Needs.of(np.array(neuron), np.array(axon), side * side)
    copies = np.ones(side * side, np.int64)
    blocks = tile(needs, copies, Layout.of((1, side, side)), 256, 256)
    check(needs, copies, blocks, 256, 256)
    rows = tile(needs, copies, Layout.of((side * side,)), 256, 256)
    assert len(blocks) <= 6
    assert len(blocks) <= len(rows)


def test_groups_share_no_axons() -> None:
    """Channels of different parts hear different lines; both parts fit, each in its order."""
    n = 40
    group = np.arange(n) % 2
    neuron = np.repeat(np.arange(n), 100)
    axon = np.tile(np.arange(100), n) + 100 * group[neuron]
    needs, copies = Needs.of(neuron, axon, n), np.ones(n, np.int64)
    blocks = tile(needs, copies, Layout((n,), np.arange(n), group), 128, 256)
    check(needs, copies, blocks, 128, 256)
    assert len(blocks) == 2


def test_nothing_to_hear() -> None:
    """Neurons without inputs are blocks too."""
    needs, copies = Needs.of(np.zeros(0, np.int64), np.zeros(0, np.int64), 300), np.ones(300, np.int64)
    check_sizes = [len(block) for block in tile(needs, copies, Layout.of((300,)), 256, 256)]
    assert sum(check_sizes) == 300
    assert max(check_sizes) <= 256
