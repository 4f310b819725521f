"""Folded chains do what their patterns do, one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp.errors import Location, UnsupportedError
from neurocomp.ir.network import NativeWeights, Network, Neuron, Population, Projection, Stage, frozen
from neurocomp.models.neurons import NEURON_MODELS
from neurocomp.models.patterns import PATTERNS, Geometry, Pattern, Shape, size_of
from neurocomp.passes import legalize as module
from neurocomp.passes.legalize import legalize

Array = NDArray[Any]
Links = list[tuple[Pattern, Array]]

LEGAL = ("dense", "one_to_one", "sparse", "block", "conv1d", "conv2d")


def neuron(model: str = "if", **parameters: float) -> Neuron:
    values = {name: 0.0 if p.default is None else p.default for name, p in NEURON_MODELS[model].parameters.items()}
    return Neuron(model, {name: frozen(value, np.float64) for name, value in (values | parameters).items()})


def native_neuron() -> Neuron:
    integers = {"du": 4095, "dv": 0, "vth": 10, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0}
    return Neuron("if", {name: frozen(value, np.int64) for name, value in integers.items()}, number_format="loihi")


def conv(kernel: Any, *, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1) -> Pattern:
    """Return a two-dimensional convolution."""
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    two = {name: (value,) * 2 for name, value in (("stride", stride), ("padding", padding), ("dilation", dilation))}
    return Pattern("conv2d", {}, {"kernel": kernel, **two, "groups": (groups,)})


def pool(kind: str, kernel: int, stride: int | None = None, padding: int = 0) -> Pattern:
    """Return a two-dimensional pool."""
    two = {"kernel": kernel, "stride": stride or kernel, "padding": padding}
    return Pattern(kind, {}, {name: (value,) * 2 for name, value in two.items()})


ONE = np.float64(1.0)


def network_of(
    source: Shape, links: Links, shapes: list[Shape], *, delay: int = 0, bias: bool = False, native: bool = False,
    starts: Neuron | None = None,
) -> Network:  # fmt: skip
    """Return a network of one projection, the chain ``links``, which makes ``shapes``."""
    stages = tuple(
        Stage(pattern, frozen(weights), shape) for (pattern, weights), shape in zip(links[:-1], shapes[:-1], strict=True)
    )
    pattern, weights = links[-1]
    n = size_of(shapes[-1])
    q = Projection(
        "a->b", "a", "b", pattern, frozen(weights), frozen(np.arange(n) / 4) if bias else None, frozen(np.int64(delay)),
        NativeWeights() if native else None, stages, Location("net.yaml", 9, 5),
    )  # fmt: skip
    populations = {
        "a": Population("a", source, starts),
        "b": Population("b", shapes[-1], native_neuron() if native else neuron()),
    }
    return Network("n", 1e-3, 8, populations, (q,)).verify()


def arriving(network: Network, q: Projection, spikes: Array) -> Array:
    """Return what a projection makes of spikes, stage by stage."""
    shape = network.populations[q.source].shape
    for stage in q.before:
        spikes = PATTERNS[stage.pattern.kind].forward(
            stage.pattern, np.asarray(stage.weights, np.float64), spikes, shape, stage.shape
        )
        shape = stage.shape
    target = network.populations[q.target].shape
    return PATTERNS[q.pattern.kind].forward(q.pattern, np.asarray(q.weights, np.float64), spikes, shape, target)


def assert_equal(network: Network, legal: Network, seed: int = 0) -> Projection:
    """Check that a legal projection does the same as before, and return it."""
    (before,), (after,) = network.projections, legal.projections
    spikes = np.random.default_rng(seed).integers(0, 2, (6, network.populations["a"].size)).astype(np.float64)
    assert after.pattern.kind in LEGAL
    first = before.before[0].pattern if before.before else before.pattern
    assert len(after.before) == (0 if PATTERNS[first.kind].linear else 1)
    # Weights are small multiples of powers of two, so that float64 is exact whatever the order of sums and products.
    np.testing.assert_array_equal(arriving(legal, after, spikes), arriving(network, before, spikes))
    assert (after.name, after.delay, after.bias, after.origin) == (before.name, before.delay, before.bias, before.origin)
    assert not after.weights.flags.writeable
    return after


def random_chain(seed: int) -> Network:
    """Return a projection of one to four random patterns."""
    rng = np.random.default_rng(seed)
    dims = int(rng.integers(1, 3))
    source: Shape = (int(rng.choice([1, 2, 4])), *(int(n) for n in rng.integers(5, 11, dims)))
    links: Links = []
    shapes: list[Shape] = []
    shape = source
    if rng.random() < 0.2:
        links, shapes = [_windowed(rng, f"maxpool{dims}d", shape)], []
        shape = _made(links[0], shape)
        shapes.append(shape)
    for _ in range(int(rng.integers(1, 5))):
        kinds = ["dense", "scale", "flatten", "block", "one_to_one"]
        if len(shape) == dims + 1:
            kinds += [f"conv{dims}d"] * 4 + [f"sumpool{dims}d", f"avgpool{dims}d"] * 2
        link = _windowed(rng, str(rng.choice(kinds)), shape)
        links.append(link)
        shape = _made(link, shape)
        shapes.append(shape)
    if rng.random() < 0.2:
        n, target = int(rng.integers(0, 40)), (int(rng.integers(1, 7)),)
        arrays = {"sources": rng.integers(0, size_of(shape), n), "targets": rng.integers(0, target[0], n)}
        links.append((Pattern("sparse", arrays), rng.integers(-4, 5, n) / 4))
        shapes.append(target)
    return network_of(source, links, shapes, delay=int(rng.integers(0, 3)), bias=bool(rng.integers(2)))


def _made(link: tuple[Pattern, Array], shape: Shape) -> Shape:
    made = PATTERNS[link[0].kind].output_shape(link[0], shape, link[1].shape)
    assert made is not None
    return made


def _windowed(rng: np.random.Generator, kind: str, shape: Shape) -> tuple[Pattern, Array]:
    """Return a random pattern that can start from ``shape``, with weights that are multiples of 1/4."""

    def weights(*extents: int) -> Array:
        return rng.integers(-4, 5, extents) / 4

    n, dims = size_of(shape), len(shape) - 1
    match kind:
        case "dense":
            return Pattern(kind), weights(int(rng.integers(1, 7)), n)
        case "one_to_one":
            return Pattern(kind), weights(n)
        case "scale":
            per_channel = np.repeat(weights(shape[0]), n // shape[0])
            return Pattern(kind), per_channel if rng.random() < 0.7 else weights(n)
        case "flatten":
            return Pattern(kind), np.asarray(rng.integers(1, 4) / 2)
        case "block":
            blocks, k = int(rng.integers(1, 4)), int(rng.integers(1, 4))
            return Pattern(kind, {"indices": rng.integers(0, n, (blocks, k))}), weights(blocks, int(rng.integers(1, 4)), k)
    while True:
        is_conv = kind.startswith("conv")
        kernel = tuple(int(k) for k in rng.choice([1, 2, 4] if not is_conv else [1, 2, 3], dims))
        stride = tuple(int(s) for s in rng.integers(1, 4, dims))
        padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
        dilation = tuple(int(d) for d in rng.integers(1, 3, dims)) if is_conv else (1,) * dims
        if min(Geometry(kernel, stride, padding, dilation).output(shape[1:])) > 0:
            break
    options: dict[str, tuple[int, ...]] = {"kernel": kernel, "stride": stride, "padding": padding}
    if not is_conv:
        return Pattern(kind, {}, options), np.asarray(rng.integers(1, 4) / 2)
    groups = int(rng.choice([g for g in (1, 2, 4) if shape[0] % g == 0]))
    out = groups * int(rng.integers(1, 3))
    pattern = Pattern(kind, {}, options | {"dilation": dilation, "groups": (groups,)})
    return pattern, weights(out, shape[0] // groups, *kernel)


@pytest.mark.parametrize("seed", range(300))
def test_random_chains(seed: int) -> None:
    network = random_chain(seed)

    legal, notes = legalize(network)

    q = assert_equal(network, legal, seed)
    assert len(notes) <= 1
    if len(network.projections[0].before) and notes:
        assert notes[0].startswith("'a->b': ")
        assert f" became {'maxpool' if q.before else q.pattern.kind}" in notes[0]


def test_a_plain_network_stays_as_it_is() -> None:
    rng = np.random.default_rng(0)
    pattern = conv(3, padding=1)
    network = network_of((2, 5, 5), [(pattern, rng.normal(size=(3, 2, 3, 3)))], [(3, 5, 5)])

    legal, notes = legalize(network)

    assert legal is network
    assert notes == ()


def test_only_what_must_change_changes() -> None:
    network = network_of((1, 4, 4), [(pool("avgpool2d", 2), ONE)], [(1, 2, 2)])
    plain = Projection("plain", "a", "b", Pattern("dense"), frozen(np.ones((4, 16), np.float32)))
    both = Network("n", 1e-3, 8, network.populations, (plain, *network.projections)).verify()

    legal, notes = legalize(both)

    assert legal.projections[0] is plain
    assert legal.projections[1].pattern.kind == "conv2d"
    assert legal.populations is both.populations
    assert notes == ()


RNG = np.random.default_rng(7)
W = {shape: RNG.integers(-4, 5, shape) / 4 for shape in [(6, 4, 3, 3), (4, 2, 3, 3), (4, 4, 3, 3), (5, 36), (5, 100), (3, 5)]}


@pytest.mark.parametrize(
    ("source", "links", "shapes", "kind", "note"),
    [
        (
            (4, 10, 10), [(pool("avgpool2d", 2), ONE), (conv(3), W[6, 4, 3, 3])], [(4, 5, 5), (6, 3, 3)], "conv2d",
            "'a->b': avgpool2d -> conv2d became conv2d 6x6, stride 2x2, groups 1",
        ),
        (
            (4, 10, 10), [(pool("avgpool2d", 2), ONE), (conv(3, padding=1, groups=2), W[4, 2, 3, 3])], [(4, 5, 5), (4, 5, 5)],
            "conv2d", "'a->b': avgpool2d -> conv2d became conv2d 6x6, stride 2x2, groups 2",
        ),
        (
            (4, 8, 8), [(conv(3, padding=1), W[6, 4, 3, 3]), (pool("sumpool2d", 2), ONE)], [(6, 8, 8), (6, 4, 4)], "conv2d",
            "'a->b': conv2d -> sumpool2d became conv2d 4x4, stride 2x2, groups 1",
        ),
        (
            (4, 4, 4), [(pool("sumpool2d", 2), ONE), (pool("avgpool2d", 2), ONE)], [(4, 2, 2), (4, 1, 1)], "conv2d",
            "'a->b': sumpool2d -> avgpool2d became conv2d 4x4, stride 4x4, groups 4",
        ),
        (
            (4, 6, 6), [(Pattern("scale"), np.repeat([0.5, 1, 2, 4], 36)), (conv(3), W[6, 4, 3, 3])], [(4, 6, 6), (6, 4, 4)],
            "conv2d", "'a->b': scale -> conv2d became conv2d 3x3, stride 1x1, groups 1",
        ),
        (
            (4, 6, 6), [(conv(3), W[6, 4, 3, 3]), (Pattern("scale"), np.repeat([0.5, 1, 2, 4, 8, 16], 16))],
            [(6, 4, 4), (6, 4, 4)], "conv2d", "'a->b': conv2d -> scale became conv2d 3x3, stride 1x1, groups 1",
        ),
        (
            (4, 6, 6), [(pool("avgpool2d", 2), ONE), (Pattern("flatten"), ONE), (Pattern("dense"), W[5, 36])],
            [(4, 3, 3), (36,), (5,)], "dense", "'a->b': avgpool2d -> flatten -> dense became dense",
        ),
        (
            (100,), [(Pattern("dense"), W[5, 100]), (Pattern("scale"), np.arange(5) / 2), (Pattern("dense"), W[3, 5])],
            [(5,), (5,), (3,)], "dense", "'a->b': dense -> scale -> dense became dense",
        ),
        (
            (4, 6, 6), [(conv(3, padding=1), W[4, 4, 3, 3]), (conv(3, padding=1), W[6, 4, 3, 3])], [(4, 6, 6), (6, 6, 6)],
            "sparse", "'a->b': conv2d -> conv2d became sparse",
        ),
        (
            (4, 6, 6), [(conv(3), W[4, 4, 3, 3]), (Pattern("flatten"), ONE)], [(4, 4, 4), (64,)], "sparse",
            "'a->b': conv2d -> flatten became sparse",
        ),
        (
            (4, 6, 6), [(pool("maxpool2d", 2), ONE), (conv(3), W[6, 4, 3, 3])], [(4, 3, 3), (6, 1, 1)], "conv2d", None,
        ),
        (
            (4, 6, 6), [(pool("maxpool2d", 2), np.float64(0.5)), (Pattern("flatten"), ONE), (Pattern("dense"), W[5, 36])],
            [(4, 3, 3), (36,), (5,)], "dense", "'a->b': maxpool2d -> flatten -> dense became maxpool2d -> dense",
        ),
        ((4, 6, 6), [(pool("maxpool2d", 2), np.float64(0.5))], [(4, 3, 3)], "one_to_one", None),
        ((4, 6, 6), [(pool("avgpool2d", 2), ONE)], [(4, 3, 3)], "conv2d", None),
        ((4, 2), [(Pattern("flatten"), np.float64(0.5))], [(8,)], "one_to_one", None),
        ((8,), [(Pattern("scale"), np.arange(8) / 4)], [(8,)], "one_to_one", None),
    ],
)  # fmt: skip
def test_what_a_chain_becomes(source: Shape, links: Links, shapes: list[Shape], kind: str, note: str | None) -> None:
    network = network_of(source, links, shapes, bias=True, delay=2)

    legal, notes = legalize(network)

    assert assert_equal(network, legal).pattern.kind == kind
    if note is None and len(links) > 1:
        note = "'a->b': maxpool2d -> conv2d became maxpool2d -> conv2d 3x3, stride 1x1, groups 1"
    assert notes == (() if note is None else (note,))


def test_windows_beyond_the_edge_forbid_one_convolution() -> None:
    """The pool drops the last of 5 rows; one wide window would see it where the second convolution pads."""
    links: Links = [(pool("sumpool2d", 2), ONE), (conv(3, padding=1), W[6, 4, 3, 3])]
    network = network_of((4, 5, 5), links, [(4, 2, 2), (6, 2, 2)])

    assert assert_equal(network, legalize(network)[0]).pattern.kind == "sparse"


def test_synapses_of_weight_0_are_not_listed() -> None:
    first = np.zeros((4, 4, 3, 3))
    first[0, 0, 1, 1] = 1.0
    links: Links = [(conv(3, padding=1), first), (conv(3, padding=1), W[6, 4, 3, 3])]
    network = network_of((4, 6, 6), links, [(4, 6, 6), (6, 6, 6)])

    q = assert_equal(network, legalize(network)[0])

    assert q.pattern.arrays["sources"].max() < 36


def test_lists_in_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    block = Pattern("block", {"indices": rng.integers(0, 20, (7, 3))})
    dense, behind, before = (rng.integers(-4, 5, shape) / 4 for shape in ((5, 96), (7, 2, 3), (20, 144)))
    chains: list[tuple[Links, list[Shape]]] = [
        ([(conv(3), W[6, 4, 3, 3]), (Pattern("dense"), dense)], [(6, 4, 4), (5,)]),
        ([(Pattern("dense"), before), (block, behind)], [(20,), (14,)]),
    ]
    for links, shapes in chains:
        network = network_of((4, 6, 6), links, shapes)
        whole = legalize(network)[0].projections[0].weights
        with monkeypatch.context() as patch:
            patch.setattr(module, "BLOCK", 50)
            np.testing.assert_array_equal(legalize(network)[0].projections[0].weights, whole)
        assert_equal(network, legalize(network)[0])


def test_integers_of_a_chip_stay_whole() -> None:
    whole = RNG.integers(-9, 9, (6, 4, 3, 3)).astype(np.int8)
    links: Links = [(pool("sumpool2d", 2), np.int64(1)), (conv(3), whole)]
    network = network_of((4, 10, 10), links, [(4, 5, 5), (6, 3, 3)], native=True)

    q = assert_equal(network, legalize(network)[0])

    assert q.weights.dtype == np.int64
    assert q.native == network.projections[0].native


def refused(network: Network) -> str:
    with pytest.raises(UnsupportedError) as caught:
        legalize(network)
    return str(caught.value)


def test_averages_of_a_chips_integers_are_refused() -> None:
    network = network_of((4, 4, 4), [(pool("avgpool2d", 2), np.int64(2))], [(4, 2, 2)], native=True)

    assert refused(network) == (
        "net.yaml:9:5: error[NC0310 native-integers]: projection 'a->b': its chain makes weights that are not whole, "
        "in a chip's own integers\nhint:  use a sum in place of an average"
    )


def test_averages_that_are_whole_are_not() -> None:
    network = network_of((4, 4, 4), [(pool("avgpool2d", 2), np.int64(8))], [(4, 2, 2)], native=True)

    assert assert_equal(network, legalize(network)[0]).weights.max() == 2


def test_a_maximum_comes_first() -> None:
    links: Links = [(pool("sumpool2d", 2), ONE), (pool("maxpool2d", 2), ONE)]

    assert refused(network_of((1, 4, 4), links, [(1, 2, 2), (1, 1, 1)])) == (
        "net.yaml:9:5: error[NC0317 chain]: projection 'a->b': the maximum 'maxpool2d' comes after 'sumpool2d' in its chain\n"
        "hint:  a maximum can only be taken of spikes: put it first, or put a population of neurons before it"
    )


def test_a_maximum_of_signed_spikes_is_refused() -> None:
    ternary = neuron("ternary_lif", tau_mem=0.02, tau_syn=0.01)
    network = network_of((1, 4, 4), [(pool("maxpool2d", 2), ONE)], [(1, 2, 2)], starts=ternary)

    assert refused(network) == (
        "net.yaml:9:5: error[NC0317 chain]: projection 'a->b': 'maxpool2d' takes a maximum of the spikes of 'a', "
        "of which some are -1 (model 'ternary_lif')\nhint:  use a sum or an average"
    )


@pytest.mark.parametrize("limit", ["LARGEST_DENSE", "LARGEST_SPARSE"])
def test_sizes(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """A chain is written out at its limit and refused beyond it, with the exact size."""
    links: Links = [(conv(3, padding=1), W[4, 4, 3, 3])]
    if limit == "LARGEST_DENSE":
        links.append((Pattern("dense"), np.ones((5, 144))))
        size, what, kinds, shape = 5 * 144, "weights", "conv2d -> dense", (5,)
    else:
        links.append((conv(1, padding=0), np.ones((1, 4, 1, 1))))
        links.append((Pattern("flatten"), ONE))
        shape, what, kinds = (36,), "synapses", "conv2d -> conv2d -> flatten"
        size = 4 * 256  # 16 x 16 pairs of a place and one of its 3 x 3 window; one output channel, four inputs
    shapes: list[Shape] = [(4, 6, 6), *([(1, 6, 6)] if limit == "LARGEST_SPARSE" else []), shape]
    network = network_of((4, 6, 6), links, shapes)

    monkeypatch.setattr(module, limit, size)
    assert_equal(network, legalize(network)[0])
    monkeypatch.setattr(module, limit, size - 1)

    assert refused(network) == (
        f"net.yaml:9:5: error[NC0317 chain]: projection 'a->b': the chain {kinds} takes {size:,} {what}; "
        f"at most {size - 1:,} are written out\nhint:  put a population of neurons between its parts"
    )


def test_all_refusals_come_together() -> None:
    first = network_of((1, 4, 4), [(pool("sumpool2d", 2), ONE), (pool("maxpool2d", 2), ONE)], [(1, 2, 2), (1, 1, 1)])
    (q,) = first.projections
    second = Projection("other", q.source, q.target, q.pattern, q.weights, before=q.before)
    both = Network("n", 1e-3, 8, first.populations, (q, second)).verify()

    with pytest.raises(UnsupportedError) as caught:
        legalize(both)

    assert [d.message.split(":")[0] for d in caught.value.diagnostics] == ["projection 'a->b'", "projection 'other'"]
