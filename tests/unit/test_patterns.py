"""Every synapse pattern against loops written out by hand, and its short ways against the list of its synapses."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp.models import patterns
from neurocomp.models.patterns import PATTERNS, Geometry, Pattern, Pool, Shape, expanded, form_problem, size_of

Array = NDArray[Any]

SEEDS = range(25)
LINEAR = [name for name in PATTERNS if PATTERNS[name].linear]
WINDOWED = [name for name in PATTERNS if PATTERNS[name].dims]


def window_of(rng: np.random.Generator, kind: str, channels: tuple[int, int]) -> tuple[Pattern, Shape, Shape]:
    """Return a random convolution or pool and the shapes that it joins."""
    dims = PATTERNS[kind].dims
    is_conv = kind.startswith("conv")
    while True:
        kernel = tuple(int(k) for k in rng.integers(1, 5, dims))
        stride = tuple(int(s) for s in rng.integers(1, 4, dims))
        padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
        dilation = tuple(int(d) for d in rng.integers(1, 4, dims)) if is_conv else (1,) * dims
        space = tuple(int(n) for n in rng.integers(2, 12, dims))
        extents = Geometry(kernel, stride, padding, dilation).output(space)
        if min(extents) > 0:
            break
    options: dict[str, tuple[int, ...]] = {"kernel": kernel, "stride": stride, "padding": padding}
    c_in, c_out = channels
    if is_conv:
        groups = int(rng.choice([g for g in range(1, 7) if c_in % g == 0 and c_out % g == 0]))
        options |= {"dilation": dilation, "groups": (groups,)}
        return Pattern(kind, {}, options), (c_in, *space), (c_out, *extents)
    return Pattern(kind, {}, options), (c_in, *space), (c_in, *extents)


def random_pattern(kind: str, seed: int) -> tuple[Pattern, Shape, Shape]:
    """Return a random pattern of a kind and the shapes that it joins."""
    rng = np.random.default_rng([seed, *kind.encode()])
    if PATTERNS[kind].dims:
        return window_of(rng, kind, [(1, 1), (2, 4), (6, 6), (4, 2), (3, 6), (1, 5)][int(rng.integers(6))])
    source = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 4)))
    match kind:
        case "one_to_one" | "scale":
            return Pattern(kind), source, source
        case "flatten":
            return Pattern(kind), source, (size_of(source),)
        case "sparse":
            target = (int(rng.integers(1, 6)), int(rng.integers(1, 4)))
            n = int(rng.integers(0, 30))
            arrays = {"sources": rng.integers(0, size_of(source), n), "targets": rng.integers(0, size_of(target), n)}
            return Pattern(kind, arrays), source, target
        case "block":
            blocks, k, m = (int(n) for n in rng.integers(1, 5, 3))
            return Pattern(kind, {"indices": rng.integers(0, size_of(source), (blocks, k))}), source, (blocks * m,)
    return Pattern(kind), source, (int(rng.integers(1, 5)), int(rng.integers(1, 4)))


def random_weights(pattern: Pattern, source: Shape, target: Shape, seed: int) -> Array:
    """Return small whole numbers, so that sums are exact whatever their order."""
    return np.random.default_rng(seed).integers(-9, 10, PATTERNS[pattern.kind].weight_shape(pattern, source, target))


def matrix_of(pattern: Pattern, weights: Array, source: Shape, target: Shape) -> Array:
    """Return the dense matrix (targets, sources) that the synapses of a linear pattern add up to."""
    found = PATTERNS[pattern.kind].synapses(pattern, source, target)
    factor = PATTERNS[pattern.kind].factor(pattern) if pattern.kind.startswith("avg") else 1.0  # type: ignore[attr-defined]
    matrix = np.zeros((size_of(target), size_of(source)))
    np.add.at(matrix, (found.target, found.source), weights.ravel()[found.slot] * factor)
    return matrix


def naive_windows(pattern: Pattern, values: Array, source: Shape, target: Shape) -> Array:
    """Return (*target places, channels, *kernel) of one sample: the value under each kernel position, 0 in the padding."""
    o, dims = pattern.options, len(source) - 1
    dilation = o.get("dilation", (1,) * dims)
    image = values.reshape(source)
    result = np.zeros((*target[1:], source[0], *o["kernel"]), values.dtype)
    for place in itertools.product(*(range(n) for n in target[1:])):
        for at in itertools.product(*(range(k) for k in o["kernel"])):
            where = [place[x] * o["stride"][x] - o["padding"][x] + at[x] * dilation[x] for x in range(dims)]
            if all(0 <= where[x] < source[1 + x] for x in range(dims)):
                for channel in range(source[0]):
                    into, out_of = (*place, channel, *at), (channel, *where)
                    result[into] = image[out_of]
    return result


def naive_forward(pattern: Pattern, weights: Array, values: Array, source: Shape, target: Shape) -> Array:
    """Return what arrives of one sample, by loops."""
    windows = naive_windows(pattern, values, source, target)
    result = np.zeros(target)
    groups = pattern.options.get("groups", (source[0],))[0]
    n_in, per_group = source[0] // groups, target[0] // groups
    for out in range(target[0]):
        for place in itertools.product(*(range(n) for n in target[1:])):
            window, at = windows[place], (out, *place)
            if pattern.kind.startswith("conv"):
                first = out // per_group * n_in
                result[at] = (window[first : first + n_in] * weights[out]).sum()
            elif pattern.kind.startswith("max"):
                result[at] = window[out].max() * weights
            else:
                mean = size_of(pattern.options["kernel"]) if pattern.kind.startswith("avg") else 1
                result[at] = window[out].sum() / mean * weights
    return result.reshape(-1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", WINDOWED)
def test_windows_equal_naive_loops(kind: str, seed: int) -> None:
    pattern, source, target = random_pattern(kind, seed)
    weights = random_weights(pattern, source, target, seed)
    spikes = np.random.default_rng(seed).integers(0, 4, (3, size_of(source)))

    assert PATTERNS[kind].problem(pattern, source, target) is None
    assert PATTERNS[kind].output_shape(pattern, source, weights.shape) == target
    found = PATTERNS[kind].forward(pattern, weights.astype(np.float64), spikes.astype(np.float64), source, target)

    expected = np.stack([naive_forward(pattern, weights, sample, source, target) for sample in spikes])
    np.testing.assert_allclose(found, expected, rtol=1e-14 if kind.startswith("avg") else 0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LINEAR)
def test_forward_equals_the_matrix_of_the_synapses(kind: str, seed: int) -> None:
    pattern, source, target = random_pattern(kind, seed)
    weights = random_weights(pattern, source, target, seed)
    spikes = np.random.default_rng(seed + 1).integers(0, 3, (4, size_of(source))).astype(np.float64)

    found = PATTERNS[kind].forward(pattern, weights, spikes, source, target)

    expected = spikes @ matrix_of(pattern, weights, source, target).T
    np.testing.assert_allclose(found, expected, rtol=1e-13 if kind.startswith("avg") else 0, atol=1e-13)


@pytest.mark.parametrize("kind", sorted(PATTERNS))
def test_forward_of_no_samples(kind: str) -> None:
    pattern, source, target = random_pattern(kind, 3)
    weights = random_weights(pattern, source, target, 3).astype(np.float64)

    found = PATTERNS[kind].forward(pattern, weights, np.zeros((0, size_of(source))), source, target)

    assert found.shape == (0, size_of(target))


@pytest.mark.parametrize("kind", ["conv1d", "conv2d", "sumpool2d", "maxpool2d", "sparse"])
def test_blocks_of_samples_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pattern, source, target = random_pattern(kind, 5)
    weights = random_weights(pattern, source, target, 5).astype(np.float64)
    spikes = np.random.default_rng(5).integers(0, 2, (11, size_of(source))).astype(np.float64)
    whole = PATTERNS[kind].forward(pattern, weights, spikes, source, target)

    monkeypatch.setattr(patterns, "BLOCK_BYTES", 1)

    np.testing.assert_array_equal(PATTERNS[kind].forward(pattern, weights, spikes, source, target), whole)
    assert whole.any()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LINEAR)
def test_synapses_are_sorted_and_can_be_asked_for_some_neurons(kind: str, seed: int) -> None:
    pattern, source, target = random_pattern(kind, seed)
    every = PATTERNS[kind].synapses(pattern, source, target)
    rng = np.random.default_rng(seed + 2)
    neurons = rng.permutation(size_of(target))[: int(rng.integers(0, size_of(target) + 1))]

    some = PATTERNS[kind].synapses(pattern, source, target, neurons)

    keys = every.source * size_of(target) + every.target
    assert (np.diff(keys) >= 0).all()
    twins = np.flatnonzero(np.diff(keys) == 0)
    assert (every.slot[twins] < every.slot[twins + 1]).all() or PATTERNS[kind].weighting == "scalar"
    chosen = np.isin(every.target, neurons)
    for part in ("source", "target", "slot"):
        np.testing.assert_array_equal(getattr(some, part), getattr(every, part)[chosen])
    weight_size = size_of(PATTERNS[kind].weight_shape(pattern, source, target))
    assert every.slot.size == 0 or (every.slot.min() >= 0 and every.slot.max() < weight_size)
    np.testing.assert_array_equal(PATTERNS[kind].sources(pattern, source, target, neurons), np.unique(some.source))
    counts = np.bincount(every.target, minlength=size_of(target))
    np.testing.assert_array_equal(PATTERNS[kind].count(pattern, source, target), counts)
    assert PATTERNS[kind].count(pattern, source, target).dtype == np.int64


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LINEAR)
def test_sums(kind: str, seed: int, dtype: type[np.generic]) -> None:
    pattern, source, target = random_pattern(kind, seed)
    weights = np.asarray(random_weights(pattern, source, target, seed), dtype)
    found = PATTERNS[kind].synapses(pattern, source, target)
    values = weights.astype(np.float64).ravel()[found.slot]
    if kind.startswith("avg"):
        values /= size_of(pattern.options["kernel"])

    positive, negative = PATTERNS[kind].sums(pattern, weights, source, target)

    assert positive.shape == negative.shape == (size_of(target),)
    whole = dtype is not np.float32 and not kind.startswith("avg")
    assert positive.dtype == negative.dtype == (np.int64 if whole else np.float64)
    for part, expected in ((positive, np.maximum(values, 0)), (negative, np.maximum(-values, 0))):
        np.testing.assert_allclose(part, np.bincount(found.target, expected, size_of(target)), rtol=1e-13)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LINEAR)
def test_scaled(kind: str, seed: int) -> None:
    pattern, source, target = random_pattern(kind, seed)
    weights = random_weights(pattern, source, target, seed)
    factors = 2.0 ** np.random.default_rng(seed).integers(-3, 4, target)
    for by_channel in (False, True):
        if by_channel:
            factors[:] = factors.reshape(target[0], -1)[:, :1].reshape(-1, *(1,) * (len(target) - 1))
        result = PATTERNS[kind].scaled(pattern, weights, factors.reshape(-1), source, target)
        expected = matrix_of(pattern, weights, source, target) * factors.reshape(-1, 1)
        if result is None:
            assert PATTERNS[kind].dims
            assert not by_channel
            continue
        np.testing.assert_allclose(matrix_of(*result, source, target), expected, rtol=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LINEAR)
def test_expanded(kind: str, seed: int) -> None:
    pattern, source, target = random_pattern(kind, seed)
    weights = random_weights(pattern, source, target, seed)

    sparse, values = expanded(pattern, weights, source, target)

    assert values.all()
    expected = matrix_of(pattern, weights, source, target)
    np.testing.assert_allclose(matrix_of(sparse, values, source, target), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("source", "extents", "kernel", "stride", "padding", "dilation"),
    [
        ((28, 28), (24, 24), (5, 5), (1, 1), (0, 0), (1, 1)),
        ((28, 28), (14, 14), (3, 3), (2, 2), (1, 1), (1, 1)),
        ((7, 9), (2, 5), (3, 1), (2, 2), (0, 0), (2, 3)),
        ((3,), (1,), (3,), (5,), (0,), (1,)),
        ((3,), (0,), (4,), (1,), (0,), (1,)),
        ((3, 3), (-1, 3), (3, 1), (1, 1), (0, 0), (2, 1)),
    ],
)
def test_the_output_of_windows(
    source: Shape, extents: Shape, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape
) -> None:
    """The sizes that torch documents for Conv2d."""
    assert Geometry(kernel, stride, padding, dilation).output(source) == extents


CONV = Pattern("conv2d", {}, {"kernel": (3, 3), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": (2,)})
POOL = Pattern("avgpool2d", {}, {"kernel": (2, 2), "stride": (2, 2), "padding": (1, 1)})


@pytest.mark.parametrize(
    ("pattern", "source", "target", "problem"),
    [
        (CONV, (4, 5, 5), (2, 3, 3), None),
        (CONV, (4, 5), (2, 3, 3), "conv2d joins shapes (channels, height, width); its source has the shape (4, 5)"),
        (CONV, (4, 5, 5), (18,), "conv2d joins shapes (channels, height, width); its target has the shape (18,)"),
        (CONV, (3, 5, 5), (2, 3, 3), "conv2d: 2 groups do not divide both 3 channels of the source and 2 of the target"),
        (CONV, (4, 5, 5), (2, 3, 4), "conv2d makes (3, 3) of (5, 5); the target has (3, 4) behind its channels"),
        (CONV, (4, 2, 5), (2, 3, 3), "conv2d: a window of (3, 3) does not fit into (2, 5)"),
        (POOL, (4, 4, 4), (4, 3, 3), None),
        (POOL, (4, 4, 4), (2, 3, 3), "avgpool2d keeps the 4 channels of the source; the target has 2"),
        (POOL, (4, 4, 4), (4, 2, 2), "avgpool2d makes (3, 3) of (4, 4); the target has (2, 2) behind its channels"),
        (Pattern("scale"), (4,), (5,), "scale joins populations of one size, not 4 and 5 neurons"),
        (Pattern("flatten"), (4, 2), (8,), None),
        (Pattern("flatten"), (4, 2), (9,), "flatten joins populations of one size, not 8 and 9 neurons"),
        (Pattern("block", {"indices": np.array([[0, 3]])}), (4,), (5,), None),
        (Pattern("block", {"indices": np.array([[0, 4]])}), (4,), (5,), "indices holds the index 4, outside 0..3"),
        (Pattern("block", {"indices": np.array([[0], [-1]])}), (4,), (4,), "indices holds the index -1, outside 0..3"),
        (Pattern("block", {"indices": np.array([[0], [1]])}), (4,), (5,), "2 blocks do not divide 5 targets"),
        (
            Pattern("block", {"indices": np.array([0, 1])}),
            (4,),
            (5,),
            "indices (2,) must have the shape (blocks, sources per block)",
        ),
        (
            Pattern("sparse", {"sources": np.array([0]), "targets": np.array([0, 1])}),
            (4,),
            (5,),
            "sources (1,) and targets (2,) must be two lists of one length",
        ),
    ],
)
def test_problems(pattern: Pattern, source: Shape, target: Shape, problem: str | None) -> None:
    assert PATTERNS[pattern.kind].problem(pattern, source, target) == problem


@pytest.mark.parametrize("kind", sorted(PATTERNS))
def test_the_shape_that_a_pattern_makes(kind: str) -> None:
    pattern, source, target = random_pattern(kind, 11)
    weights = PATTERNS[kind].weight_shape(pattern, source, target)
    made = PATTERNS[kind].output_shape(pattern, source, weights)

    expected: dict[str, Shape | None] = {"dense": (size_of(target),), "sparse": None}
    assert made == expected.get(kind, target)


def test_scalar_patterns_are_averages_of_a_convolution() -> None:
    pool = PATTERNS["avgpool2d"]
    assert isinstance(pool, Pool)
    conv, weights = pool.as_conv(POOL, np.asarray(3), 4)

    assert conv.options == {"kernel": (2, 2), "stride": (2, 2), "padding": (1, 1), "dilation": (1, 1), "groups": (4,)}
    np.testing.assert_array_equal(weights, np.full((4, 1, 2, 2), 0.75))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("chosen", [np.arange(24), np.array([3]), np.array([7, 20])], ids=len)
def test_sources_of_windows_in_blocks(monkeypatch: pytest.MonkeyPatch, groups: int, chosen: np.ndarray) -> None:
    """A block of windows at a time, with marks per place or with a list of what is reached: the same sources."""
    options = {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": (groups,)}
    pattern, source, target = Pattern("conv2d", {}, options), (4, 6, 6), (2, 3, 4)
    assert PATTERNS["conv2d"].problem(pattern, source, target) is None
    expected = np.unique(PATTERNS["conv2d"].synapses(pattern, source, target, chosen).source)
    monkeypatch.setattr("neurocomp.models.patterns.BLOCK_BYTES", 400)
    np.testing.assert_array_equal(PATTERNS["conv2d"].sources(pattern, source, target, chosen), expected)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (Pattern("dense", {}, {"kernel": (1,)}), "dense has the options none, not kernel"),
        (Pattern("block"), "block has the arrays indices, not none"),
        (Pattern("maxpool1d", {}, {"kernel": (0,), "stride": (1,), "padding": (0,)}),
         "maxpool1d: 'kernel' is 1 x a number >= 1, not (0,)"),
        (Pattern("maxpool1d", {}, {"kernel": (1,), "stride": (1, 1), "padding": (0,)}),
         "maxpool1d: 'stride' is 1 x a number >= 1, not (1, 1)"),
        (Pattern("maxpool1d", {}, {"kernel": (1,), "stride": (1,), "padding": (0,)}), None),
    ],
)  # fmt: skip
def test_the_form_of_a_pattern(pattern: Pattern, problem: str | None) -> None:
    assert form_problem(pattern) == problem
