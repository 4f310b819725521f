"""Codebooks: weights as axons of up to four types, exact and as few as there can be."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp_truenorth.codebooks import SLICES, Codebook, find_codebook

IntArray = NDArray[np.int64]
LARGEST = 255


def check(book: Codebook, neuron: IntArray, weight: IntArray, largest: int = LARGEST) -> None:
    """Digits times what the types are worth are the weights, and no type has more axons than the book says."""
    multiplicity = np.zeros(4, np.int64)
    multiplicity[: len(book.multiplicity)] = book.multiplicity
    assert (book.digits >= 0).all()
    assert (book.digits <= multiplicity).all()
    assert np.array_equal((book.digits * book.s[neuron]).sum(axis=1), weight)
    assert np.abs(book.s).max(initial=0) <= largest


def of_levels(levels: Any, unit: Any = 1, neurons: int = 6, seed: int = 0) -> tuple[IntArray, IntArray]:
    """Return neuron and weight of synapses: every neuron has every level but 0, times its unit."""
    values = np.array([value for value in levels if value], np.int64)
    neuron = np.repeat(np.arange(neurons), len(values))
    weight = np.tile(values, neurons) * np.resize(np.atleast_1d(unit), neurons)[neuron]
    order = np.random.default_rng(seed).permutation(len(weight))
    return neuron[order], weight[order]


@pytest.mark.parametrize(
    ("low", "high", "axons"),
    [
        (0, 1, 1), (-1, 0, 1), (-1, 1, 2), (0, 3, 2), (-3, 0, 2), (0, 7, 3), (-4, 3, 3), (-3, 4, 3), (-8, 7, 4), (-7, 8, 4),
        (-7, 7, 4), (0, 15, 4), (-15, 15, 6), (0, 31, 6), (-31, 31, 8), (-63, 63, 10), (-127, 127, 14), (-128, 127, 14),
    ],
)  # fmt: skip
def test_whole_ranges_take_few_axons(low: int, high: int, axons: int) -> None:
    """Every range of whole numbers has its number of axons, for units of all sizes that fit."""
    for unit in (1, [1, 2, 1]) if high < 100 else (1,):
        neuron, weight = of_levels(range(low, high + 1), unit)
        book = find_codebook(neuron, weight, 6, LARGEST)
        assert book is not None
        check(book, neuron, weight)
        assert book.axons == axons


def test_each_neuron_has_its_own_step_and_sign() -> None:
    """Neurons differ in unit and in which sign is larger; the axons are those that the worst one needs."""
    neuron = np.array([0, 0, 1, 1, 2, 2, 3])
    weight = np.array([255, -255, 17, -17, 90, -90, -3])
    book = find_codebook(neuron, weight, 5, LARGEST)
    assert book is not None
    check(book, neuron, weight)
    assert book.axons == 2
    assert not book.s[4].any()


def test_free_books() -> None:
    """Sums of any two, three or four values, per neuron, without a common step."""
    rng = np.random.default_rng(1)
    for size in (1, 2, 3, 4):
        for _ in range(20):
            values = np.stack([rng.choice(np.arange(-255, 256), size, False) for _ in range(5)])
            weights = [np.unique([np.dot(mask, row) for mask in product((0, 1), repeat=size)]) for row in values]
            neuron = np.repeat(np.arange(5), [len(w) for w in weights])
            weight = np.concatenate(weights)
            neuron, weight = neuron[weight != 0], weight[weight != 0]
            book = find_codebook(neuron, weight, 5, LARGEST)
            assert book is not None
            check(book, neuron, weight)
            assert book.axons <= size


def test_no_smaller_book_exists() -> None:
    """Up to two axons, against all books of so many values."""
    rng = np.random.default_rng(2)
    small = range(-12, 13)
    for _ in range(120):
        weight = np.unique(rng.integers(-9, 10, rng.integers(1, 4)))
        weight = weight[weight != 0]
        book = find_codebook(np.zeros(len(weight), np.int64), weight, 1, 12)
        least = next(
            (
                m for m in (0, 1, 2)
                if any(set(weight.tolist()) <= {sum(s) for n in range(m + 1) for s in combinations(values, n)}
                       for values in combinations(small, m))
            ),
            3,
        )  # fmt: skip
        assert book is not None
        check(book, np.zeros(len(weight), np.int64), weight, 12)
        # A book of one axon serves neurons without synapses too.
        assert book.axons == max(1, least) if least < 3 else book.axons >= 3


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_one_hot(size: int) -> None:
    """Stochastic synapses take one axon each; a neuron has as many weights as there are types."""
    rng = np.random.default_rng(size)
    values = np.stack([rng.choice(np.concatenate([np.arange(-255, 0), np.arange(1, 256)]), size, False) for _ in range(4)])
    neuron = np.repeat(np.arange(4), 5)
    weight = values[neuron, rng.integers(0, size, 20)]
    for j in range(4):
        weight[5 * j : 5 * j + size] = values[j]
    book = find_codebook(neuron, weight, 4, LARGEST, one_hot=True)
    assert book is not None
    check(book, neuron, weight)
    assert (book.digits.sum(axis=1) == 1).all()
    assert book.axons == size


def test_what_no_book_has() -> None:
    """Weights beyond the types, levels beyond the books, and five stochastic weights."""
    one = np.zeros(1, np.int64)
    assert find_codebook(one, np.array([4 * 255 + 1]), 1, LARGEST) is None
    assert find_codebook(np.zeros(5, np.int64), np.array([1, 2, 3, 4, 5]), 1, LARGEST, one_hot=True) is None
    every = np.concatenate([np.arange(-255, 0), np.arange(1, 256)])
    assert find_codebook(np.zeros(len(every), np.int64), every, 1, LARGEST) is None


def test_no_synapses() -> None:
    """Neurons that hear nothing have a book of one axon that nobody takes."""
    none = np.zeros(0, np.int64)
    book = find_codebook(none, none, 3, LARGEST)
    assert book is not None
    assert book.axons == 1
    assert not book.s.any()
    assert book.digits.shape == (0, 4)


@pytest.mark.parametrize("number", range(len(SLICES)))
def test_slices_are_complete(number: int) -> None:
    """Every count between the ends is a sum, with no more axons of a type than there are."""
    slices = SLICES[number]
    counts = np.arange(slices.low, slices.high + 1)
    digits = slices.digits(counts)
    assert np.array_equal(digits[:, : len(slices.steps)] @ np.array(slices.steps), counts)
    assert (digits[:, : len(slices.steps)] <= np.array(slices.multiplicity)).all()
    assert (digits >= 0).all()
