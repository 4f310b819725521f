"""Weights in blocks: their distribution, their rounding, and files without a name for large mantissas."""

from __future__ import annotations

import errno
import mmap
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocomp.data import arrays, load_array
from neurocomp.data.arrays import ArrayWriter
from neurocomp.errors import UsageError
from neurocomp.models import patterns
from neurocomp.models.patterns import blocks_of
from neurocomp.passes.quantize_weights import Distribution, Levels, Weights, group_sets, rounded

ONE = np.asarray(1.0)


def sums(top: int, groups: tuple[int, ...], signs: str) -> Any:
    """All magnitudes with their signs, in steps, that counts of these groups add up to, ascending."""
    counts = np.arange(-top if signs == "mixed" else 0, top + 1) * (-1 if signs == "inhibitory" else 1)
    found = np.zeros(1)
    for group in groups:
        found = np.unique(found[:, None] + counts * 2.0**group)
    return found


def brute(weights: Any, unit: float, top: int, groups: tuple[int, ...], signs: str) -> tuple[float, int]:
    """The squared error and how many round to 0, from a search over all sums of levels."""
    all_levels = sums(top, groups, signs) * unit
    nearest = np.array([all_levels[np.abs(weight - all_levels).argmin()] for weight in weights.reshape(-1)])
    return float(np.square(weights.reshape(-1) - nearest).sum()), int(((nearest == 0) & (weights.reshape(-1) != 0)).sum())


def heavy(seed: int, size: int, signs: str = "mixed") -> Any:
    rng = np.random.default_rng(seed)
    values = rng.standard_t(2, size) * 0.1
    return values if signs == "mixed" else np.abs(values) if signs == "excitatory" else -np.abs(values)


@pytest.mark.parametrize("signs", ["mixed", "excitatory", "inhibitory"])
@pytest.mark.parametrize("groups", [(0,), (0, 2), (0, 2, 4)])
def test_errors_of_the_distribution(signs: str, groups: tuple[int, ...]) -> None:
    """Sorted, summed in advance or value by value: the error is that of a search over all levels."""
    for seed, size in ((0, 300), (1, 9000)):  # below and above DIRECT_VALUES
        weights = heavy(seed, size, signs)
        known = Distribution.of(Weights(weights), exact=True)
        assert known.sign_mode == signs
        assert (known.low, known.high, known.largest) == (weights.min(), weights.max(), np.abs(weights).max())
        assert known.median == pytest.approx(np.median(np.abs(weights)), rel=0.02)
        for unit in (0.003, 0.01, 0.05):
            wanted, zeroed = brute(weights, unit, 127, groups, signs)
            assert known.error(unit, Levels(127, groups)) == pytest.approx(wanted, rel=1e-6)
            assert known.zeroed(unit) == zeroed
        assert known.beyond(0.5) == int((np.abs(weights) > 0.5).sum())


@pytest.mark.parametrize("signs", ["mixed", "excitatory", "inhibitory"])
@pytest.mark.parametrize("bits", range(2, 9))
def test_parts_add_up_to_the_nearest(bits: int, signs: str) -> None:
    """No part is larger than what is stored, none has another sign, and their sum is the nearest of all sums."""
    top = (1 << (bits - 1 if signs == "mixed" else bits)) - 1
    for groups in group_sets(top):
        weights = heavy(bits, 500, signs)
        every, unit = sums(top, groups, signs), float(np.abs(weights).max()) / (top * sum(1 << g for g in groups)) * 1.3
        found = rounded(Weights(weights), Distribution.of(Weights(weights), exact=True), unit, Levels(top, groups), ONE)
        whole = found.base.astype(np.int64)
        for (index, part), group in zip(found.members, groups[1:], strict=True):
            assert (np.abs(part.astype(int)) > 0).all()
            assert (np.abs(part.astype(int)) <= top).all()
            assert (np.sign(part.astype(int)) * np.sign(whole[index]) >= 0).all()
            whole[index] += part.astype(np.int64) << group
        assert (np.abs(found.base.astype(int)) <= top).all()
        whole = -whole if signs == "inhibitory" else whole
        assert np.isin(whole, every).all()
        nearest = np.abs(weights[:, None] / unit - every).min(axis=1)
        assert np.abs(np.abs(weights / unit - whole) - nearest).max() < 1e-9
        assert (np.diff(every) == 1).all()
        assert found.squared == pytest.approx(np.square(weights - whole * unit).sum(), rel=1e-3)
        assert found.clipped == 0
        assert not any(np.isin(np.flatnonzero(np.abs(whole) <= top), index).any() for index, _ in found.members)


def test_errors_of_a_histogram_are_close() -> None:
    """Of very many floats only bins are kept; errors then are within a thousandth."""
    weights = heavy(3, 50_000).astype(np.float32)
    exact = Distribution.of(Weights(weights), exact=True)
    coarse = Distribution.of(Weights(weights), exact=False)
    assert len(coarse.values) < len(exact.values)
    assert (coarse.low, coarse.high, coarse.size, coarse.count[-1]) == (exact.low, exact.high, exact.size, exact.count[-1])
    for unit in (0.002, 0.02, 0.2):
        for groups in ((0,), (0, 2, 4)):
            steps = Levels(127, groups)
            assert coarse.error(unit, steps) == pytest.approx(exact.error(unit, steps), rel=1e-3)
            assert coarse.zeroed(unit) == pytest.approx(exact.zeroed(unit), rel=1e-3)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, ">i2"])
def test_integers_are_counted(dtype: Any) -> None:
    rng = np.random.default_rng(4)
    low = 0 if np.dtype(dtype).kind == "u" else -100
    weights = rng.integers(low, 101, (40, 50)).astype(dtype)
    counted = Distribution.of(Weights(weights, np.asarray(-0.5)), exact=False)
    plain = Distribution.of(Weights(weights.astype(np.float64), np.asarray(-0.5)), exact=True)
    assert np.array_equal(counted.values, plain.values)
    assert np.array_equal(counted.count, plain.count)
    assert (counted.sign_mode, counted.low, counted.high) == (plain.sign_mode, plain.low, plain.high)
    assert counted.error(0.5, Levels(127)) == 0.0
    for unit, groups in ((0.2, (0,)), (0.07, (0, 2)), (1.3, (0,))):
        steps = Levels(127, groups)
        ours = rounded(Weights(weights, np.asarray(-0.5)), counted, unit, steps, ONE)
        theirs = rounded(Weights(weights.astype(np.float64), np.asarray(-0.5)), plain, unit, steps, ONE)
        assert np.array_equal(ours.base, theirs.base)
        assert ours.base.dtype == theirs.base.dtype
        assert (ours.clipped, ours.zeroed) == (theirs.clipped, theirs.zeroed)
        assert ours.squared == pytest.approx(theirs.squared, rel=1e-4, abs=1e-9)
        for mine, other in zip(ours.members, theirs.members, strict=True):
            assert np.array_equal(mine[0], other[0])
            assert np.array_equal(mine[1], other[1])


def test_blocks_do_not_change_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Distribution and rounding of 3 rows at a time are those of the whole."""
    weights = heavy(5, 40 * 50).reshape(40, 50)
    factor = np.random.default_rng(6).uniform(0.5, 2, (40, 1))
    larger = np.random.default_rng(7).choice([1.0, 2.0, 4.0], (40, 1))
    steps = Levels(127, (0, 2))

    def results() -> list[Any]:
        found: list[Any] = []
        for part in (Weights(weights, factor), Weights((weights * 100).astype(np.int8))):
            for exact in (True, False):
                known = Distribution.of(part, exact=exact)
                made = rounded(part, known, 0.02, steps, larger)
                found += [known.error(0.02, steps), made.base, made.clipped, made.zeroed, made.squared]
                found += [array for member in made.members for array in member]
        return found

    whole = results()
    monkeypatch.setattr(patterns, "BLOCK_BYTES", 3 * 8 * 50)
    assert len(list(blocks_of(weights))) == 14
    for mine, other in zip(results(), whole, strict=True):
        if isinstance(mine, float):
            assert mine == pytest.approx(other, rel=1e-12)
        else:
            assert np.array_equal(mine, other)


def mapped(array: Any) -> bool:
    """Whether the elements lie in a mapped file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def test_large_mantissas_lie_in_files_and_equal_ones_are_the_files_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "IN_MEMORY", 1000)
    np.save(tmp_path / "w.npy", np.random.default_rng(8).integers(-127, 128, (60, 70), np.int8))
    weights = load_array("w.npy", tmp_path)
    known = Distribution.of(Weights(weights), exact=False)
    same = rounded(Weights(weights), known, 1.0, Levels(127), ONE)
    assert np.shares_memory(same.base, weights)
    other = rounded(Weights(weights), known, 2.0, Levels(127), ONE)
    assert mapped(other.base)
    assert not other.base.flags.writeable
    assert np.array_equal(other.base, np.rint(weights / 2.0))
    assert list(tmp_path.iterdir()) == [tmp_path / "w.npy"]


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_arrays_are_written_in_order(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(arrays, "IN_MEMORY", limit)
    values = np.arange(1000, dtype=np.int16).reshape(10, 100)
    writer = ArrayWriter(values.shape, np.int16)
    for row in values:
        writer.append(row)
    made = writer.finish()
    assert np.array_equal(made, values)
    assert mapped(made) == (limit == 0)
    assert not made.flags.writeable


def test_no_room_for_a_temporary_file(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(arrays, "IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/tmp")
    with pytest.raises(UsageError) as caught:
        ArrayWriter((100,), np.int8).append(np.zeros(100))
    assert caught.value.render() == (
        "error[NC0801 usage]: a temporary file of 100 bytes cannot be written to '/tmp': No space left on device\n"
        "hint:  name a folder with more room in the environment variable TMPDIR"
    )


def test_pages_of_mapped_files_are_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each block the pages of a mapped array leave the memory of the process; its values stay what they are."""
    np.save(tmp_path / "big.npy", np.ones((64, 1 << 16), np.int8))
    array = load_array("big.npy", tmp_path)

    def resident() -> int:
        """Kilobytes of the mapping in memory; -1 where the system does not tell."""
        status = Path("/proc/self/smaps")
        text = status.read_text() if status.exists() else ""
        return int(text.split("big.npy", 1)[1].split("Rss:", 1)[1].split()[0]) if text else -1

    monkeypatch.setattr(patterns, "BLOCK_BYTES", 8 << 16)
    assert int(array[:4].sum()) == 4 << 16
    touched = resident()
    assert touched > 0 or touched == -1
    patterns.give_back(array)
    for block in blocks_of(array):
        assert resident() <= 0
        assert int(array[block].sum()) == 1 << 16
    assert resident() <= 0
    assert int(array.sum(dtype=np.int64)) == 64 << 16
