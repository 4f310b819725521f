"""What limits of cores say before weights are read: no mapping has fewer cores than are proved, and closed forms are counts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pytest

from neurocomp import pipeline, registry
from neurocomp.backend import Violation
from neurocomp.cli.output import Output
from neurocomp.hardware import HardwareSpec, Sourced
from neurocomp.ir.network import NativeWeights, Network, Neuron, Population, Projection, frozen
from neurocomp.mapping.feasibility import Feasibility, feasibility_of
from neurocomp.mapping.reach import Drawn, Windows, reach_of
from neurocomp.mapping.synapse_words import rows_of_core
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import PATTERNS, Geometry, Pattern
from neurocomp.pipeline import Checked
from neurocomp.report.feasibility import feasibility
from neurocomp.testing.random_networks import Variety, random_network, random_real_network

BACKEND, REFERENCE = registry.backend("loihi"), registry.simulator("reference")
BOARD = {"chips": 1, "cores_per_chip": 128}


@cache
def chip(**limits: int) -> HardwareSpec:
    """A Loihi with other limits."""
    spec = registry.find_spec("loihi")
    changed = {name: Sourced(value, "test", "derived", value, value, "test") for name, value in limits.items()}
    return replace(spec, limits={**spec.limits, **changed})


def neurons(name: str, *shape: int, reset: Literal["zero", "subtract"] = "zero") -> Population:
    values = {"du": 4095, "dv": 128, "vth": 10000, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0}
    parameters = {key: frozen(np.int64(value)) for key, value in values.items()}
    return Population(name, shape, Neuron("lif", parameters, Semantics(reset=reset), "loihi"))


def network(populations: list[Population], *projections: Projection) -> Network:
    return Network("net", 1e-3, 4, {p.name: p for p in populations}, projections)


def unread(*shape: int) -> Any:
    return np.zeros(shape, np.int8).view(Unread) if np.prod(shape) < 10**6 else np.broadcast_to(np.int8(0), shape).view(Unread)


class Unread(np.ndarray[Any, Any]):
    """Weights that have a shape and a type, and fail where a value is asked for."""

    def __getitem__(self, key: Any) -> Any:
        raise AssertionError("weights are read")

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("weights are read")

    def __array_function__(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("weights are read")


def dense(source: str, target: str, weights: Any) -> Projection:
    return Projection(
        f"{source}->{target}", source, target, Pattern("dense"), weights, delay=frozen(np.int64(1)), native=NATIVE
    )


NATIVE = NativeWeights()


def listed(source: str, target: str, sources: Any, targets: Any) -> Projection:
    arrays = {"sources": np.asarray(sources, np.int64), "targets": np.asarray(targets, np.int64)}
    weights = unread(len(arrays["sources"]))
    return Projection(f"{source}->{target}", source, target, Pattern("sparse", arrays), weights, native=NATIVE)


def conv(geometry: Geometry, groups: int = 1) -> Pattern:
    options = {"kernel": geometry.kernel, "stride": geometry.stride, "padding": geometry.padding}
    return Pattern(f"conv{len(geometry.kernel)}d", {}, {**options, "dilation": geometry.dilation, "groups": (groups,)})


def check(net: Network, spec: HardwareSpec) -> Checked:
    return pipeline.check_network(net, spec, BACKEND, REFERENCE, BACKEND.options(effort="fast"), emits=False)


def messages(violations: tuple[Violation, ...]) -> list[str]:
    """The violations without the limits, whose places are those of the spec."""
    return ["\n".join(line for line in v.diagnostic().render().splitlines() if line[:6] != "limit:") for v in violations]


# Nothing is below what is proved


def test_no_mapping_is_below_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of networks of every pattern, on chips so small that each limit binds now and then; what is refused does not map."""
    found: list[Feasibility] = []
    mapped: list[Any] = []
    backend_map = type(BACKEND).map

    def found_alone(*args: Any) -> None:
        found.append(feasibility_of(*args))

    def kept(*args: Any) -> Any:
        mapped.append(backend_map(*args))
        return mapped[-1]

    monkeypatch.setattr(pipeline, "feasibility_of", found_alone)
    monkeypatch.setattr(type(BACKEND), "map", kept)
    refused = 0
    reached: set[str] = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        make = random_network if seed % 2 else random_real_network
        net, _ = make(seed, Variety(extremes=False, initial_states=False, max_size=24, max_populations=6))
        room = (2, 9) if seed % 4 < 2 else (8, 25)
        ranges = {"neurons": room, "input_axons": (12, 50), "output_axons": (8, 30), "synapse_words": (60, 400)}
        limits = {name: int(rng.integers(*between)) for name, between in ranges.items()}
        spec = chip(chips=1, cores_per_chip=int(rng.integers(2, 40)), **limits)
        mapped.clear()
        checked = check(net, spec)
        if found[-1].violations:
            refused += 1
            assert checked.violations, seed
        if checked.violations:
            continue
        cores, placements = mapped[0][0].cores, mapped[0][0].placements
        assert found[-1].cores_at_least <= len(cores), seed
        for row in found[-1].rows:
            assert row.cores_at_least <= len(np.unique(placements[row.population].core)), seed
            reached |= {limit.resource for limit in row.limits if limit.proof and limit.cores > row.limits[0].cores}
    assert refused >= 3
    assert len(found) - refused >= 12
    assert reached == {"input_axons", "output_axons"}


@pytest.mark.parametrize("seed", range(30))
def test_drawn_neurons_need_no_more_cores_than_the_best_assignment(seed: int) -> None:
    """Of so few neurons that every assignment can be tried."""
    rng = np.random.default_rng(seed)
    n, pool = 7, int(rng.integers(8, 40))
    sets = [frozenset(rng.choice(pool, int(rng.integers(4, 7)), replace=False).tolist()) for _ in range(n)]
    synapses = [(source, target) for target, own in enumerate(sets) for source in own]
    sources, targets = np.array(synapses).T
    drawn = Drawn(sources, targets, pool, n, 1, n)
    for axons in (7, 9, 12):
        assert drawn.least_cores(axons) <= fewest_cores(sets, axons)


def fewest_cores(sets: list[frozenset[int]], axons: int) -> int:
    """Return the fewest cores with so many input axons that hold neurons with these sources."""

    def place(rest: list[frozenset[int]], cores: list[frozenset[int]]) -> int:
        if not rest:
            return len(cores)
        first, *others = rest
        options = [[*cores[:i], cores[i] | first, *cores[i + 1 :]] for i in range(len(cores)) if len(cores[i] | first) <= axons]
        return min(place(others, option) for option in [*options, [*cores, first]])

    return place(sets, [])


def test_the_bound_of_drawn_neurons_is_reached() -> None:
    """Lines of the projective plane of order 7: 8 points each, any two share one, so that 22 points hold three."""
    plane = [(x, y, 1) for x in range(7) for y in range(7)] + [(x, 1, 0) for x in range(7)] + [(1, 0, 0)]
    lines = [[i for i, p in enumerate(plane) if sum(a * b for a, b in zip(p, line, strict=True)) % 7 == 0] for line in plane]
    sources = np.array(lines).reshape(-1)
    drawn = Drawn(sources, np.repeat(np.arange(57), 8), 57, 57, 1, 57)
    assert (drawn.fan_in == 8).all()
    assert drawn.common == 1
    assert [drawn.least_cores(axons) for axons in (8, 15, 22, 57)] == [57, 29, 19, 1]


# Closed forms


WINDOWS = [
    ((3, 4), (3, 3), (1, 1), (1, 1), (1, 1)),
    ((3, 4), (3, 3), (1, 1), (0, 0), (1, 1)),
    ((2, 5), (2, 2), (2, 2), (0, 0), (1, 1)),
    ((3, 3), (3, 3), (2, 2), (1, 1), (1, 1)),
    ((3, 4), (5, 3), (1, 2), (2, 0), (1, 1)),
    ((3, 3), (1, 2), (2, 3), (0, 1), (1, 1)),
    ((3, 4), (3, 3), (1, 1), (2, 2), (2, 2)),
    ((4, 3), (3, 1), (1, 1), (2, 0), (1, 1)),
    ((10,), (3,), (1,), (1,), (1,)),
    ((9,), (4,), (2,), (3,), (1,)),
]


@pytest.mark.parametrize(("places", "kernel", "stride", "padding", "dilation"), WINDOWS)
def test_no_places_reach_fewer_sources(places: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    """Of all sets of places of small images."""
    geometry = Geometry(kernel, stride, padding, dilation)
    extents = zip(places, kernel, stride, padding, dilation, strict=True)
    source = tuple((n - 1) * s + d * (k - 1) + 1 - 2 * p for n, k, s, p, d in extents)
    windows = Windows(geometry, (2, *source), (3, *places), 1)
    grid = np.stack(np.unravel_index(np.arange(np.prod(places)), places), axis=1)
    flat, inside = geometry.inputs(source, grid)
    reached = [frozenset(row[real].tolist()) for row, real in zip(flat, inside, strict=True)]
    for n in range(1, len(reached) + 1):
        fewest = min(len(frozenset().union(*chosen)) for chosen in combinations(reached, n))
        assert windows.least(3 * n) <= 2 * fewest


@pytest.mark.parametrize(
    ("n", "places"),
    [(1, 4), (2, 6), (4, 9), (6, 12), (9, 16), (64, 64)],
)
def test_squares_in_a_corner_reach_the_fewest(n: int, places: int) -> None:
    """Of an 8 x 8 image with 3 x 3 windows and as many places: the bound is what these reach."""
    windows = Windows(Geometry((3, 3), (1, 1), (1, 1), (1, 1)), (5, 8, 8), (4, 8, 8), 1)
    assert windows.least(4 * n) == 5 * places


@pytest.mark.parametrize("pattern", ["dense", "one_to_one", "conv", "strided", "conv1d", "grouped"])
def test_estimates_of_whole_rows_are_counts(pattern: str) -> None:
    """Sources and synapse words of neurons in order, from shapes, are those of the rows that a core then stores."""
    same = Geometry((3, 3), (1, 1), (1, 1), (1, 1))
    made, source, target, n = {
        "dense": (Pattern("dense"), (70,), (90,), 80),
        "one_to_one": (Pattern("one_to_one"), (40,), (40,), 30),
        "conv": (conv(same), (3, 9, 9), (8, 9, 9), 3 * 9 * 8),
        "strided": (conv(Geometry((5, 5), (2, 2), (0, 0), (1, 1))), (2, 13, 13), (4, 5, 5), 2 * 5 * 4),
        "conv1d": (conv(Geometry((4,), (1,), (0,), (1,))), (2, 23), (3, 20), 20 * 3),
        "grouped": (conv(same, 3), (3, 9, 9), (9, 9, 9), 3 * 9 * 9),
    }[pattern]
    rng = np.random.default_rng(1)
    shape = PATTERNS[made.kind].weight_shape(made, source, target)
    # Weights of one_to_one differ, so that rows do; all others have enough of them to.
    weights = 2 * (1 + rng.permutation(40)) if pattern == "one_to_one" else 2 * rng.integers(1, 127, shape)
    q = Projection("x->a", "x", "a", made, frozen(weights.astype(np.int16)), native=NativeWeights(sign_mode="mixed"))
    net = network([Population("x", source), neurons("a", *target)], q)
    spec = chip()
    reach = reach_of(net, q, spec, 1024)
    lowered = check(net, spec).lowered
    assert lowered is not None
    channels, places = target[0], int(np.prod(target[1:]))
    order = np.arange(channels * places).reshape(channels, places).T.reshape(-1)[:n] if len(target) > 1 else np.arange(n)
    if pattern in ("conv", "strided", "grouped"):  # in the middle of the image, as the estimate has it
        order = order + (target[1] - n // channels // target[2]) // 2 * target[2]
    rows = rows_of_core(lowered.network, [("a", order, np.arange(n))], chip(neurons=n))
    assert reach.about(n) == len(rows.axon_neuron)
    assert reach.about(n) >= reach.least(n)
    cost = reach_of(net, q, chip(neurons=n), 1024)
    assert cost.words(n) == rows.words


def test_neurons_along_a_ring_share_sources() -> None:
    """Each of 600 neurons hears from the 10 before it: k of them in order have k + 9 sources."""
    n = 600
    sources = (np.arange(n)[:, None] + np.arange(10)) % n
    drawn = Drawn(sources.reshape(-1), np.repeat(np.arange(n), 10), n, n, 1, 50)
    assert [drawn.about(k) for k in (1, 2, 30, 50)] == [10, 11, 39, 59]
    assert drawn.n_sources == n


def test_blocks_hear_as_one() -> None:
    """Four blocks of 25 neurons, each with 6 sources of its own."""
    pattern = Pattern("block", {"indices": np.arange(24).reshape(4, 6)})
    q = Projection("x->a", "x", "a", pattern, unread(4, 25, 6), native=NATIVE)
    net = network([Population("x", (24,)), neurons("a", 100)], q)
    reach = reach_of(net, q, chip(), 1024)
    assert [reach.about(n) for n in (1, 25, 26, 100)] == [6, 6, 12, 24]
    found = feasibility_of(net, chip(input_axons=11))
    assert found.rows[0].cores_at_least == 4


# What binds


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables have 100 columns wherever the tests run."""
    monkeypatch.setenv("COLUMNS", "100")


def shown(found: Feasibility, spec: HardwareSpec, capsys: pytest.CaptureFixture[str]) -> str:
    Output().show(feasibility(found, "net", spec))
    out: str = capsys.readouterr().out
    return out


def test_neurons_bind() -> None:
    net = network([Population("x", (5,)), neurons("a", 10, reset="subtract")], dense("x", "a", unread(10, 5)))
    row = feasibility_of(net, chip(neurons=8)).rows[0]
    assert (row.binds.resource, row.binds.proof, row.cores_at_least, row.cores_about) == ("neurons", True, 3, 3)
    assert row.helps == "'a': 'reset: zero' takes one compartment per neuron"
    assert messages(check(net, chip(neurons=8, chips=1, cores_per_chip=2)).violations) == [
        "error[NC0401 cores]: 'net' has 10 neurons and needs at least 3 cores; loihi has 2\n"
        "hint:  use a target with more chips or cores, or a smaller network"
    ]


def test_input_axons_of_a_convolution_bind() -> None:
    pattern = conv(Geometry((3, 3), (1, 1), (1, 1), (1, 1)))
    q = Projection("x->a", "x", "a", pattern, unread(2, 256, 3, 3), native=NATIVE)
    net = network([Population("x", (256, 16, 16)), neurons("a", 2, 16, 16)], q)
    row = feasibility_of(net, chip()).rows[0]
    # (3 + 1)**2 * 256 = 4096 sources of 9 places in a corner, with two neurons each.
    assert (row.binds.resource, row.binds.proof) == ("input_axons", False)
    proved = next(limit for limit in row.limits if limit.resource == "input_axons" and limit.proof)
    assert (proved.neurons_per_core, proved.cores) == (18, 29)
    assert messages(check(net, chip(chips=1, cores_per_chip=28)).violations) == [
        "error[NC0401 cores]: 'net' needs at least 29 cores by its input axons; loihi has 28\n"
        "hint:  'a': fewer channels of 'x', a smaller kernel, or groups; a core would hold 512 of its neurons, not 8"
    ]


def test_dense_layers_with_many_sources_share_no_core() -> None:
    layers = [f"l{i}" for i in range(5)]
    populations = [Population("x", (3000,)), *(neurons(name, 3000) for name in layers)]
    net = network(populations, *(dense(a, b, unread(3000, 3000)) for a, b in zip(["x", *layers], layers, strict=False)))
    found = feasibility_of(net, chip())
    assert found.cores_for == {"neurons": 15, "input_axons": 15, "output_axons": 9}
    assert feasibility_of(net, chip(neurons=2048)).cores_for == {"neurons": 8, "input_axons": 10, "output_axons": 6}
    assert messages(check(net, chip(neurons=2048, chips=1, cores_per_chip=9)).violations) == [
        "error[NC0401 cores]: 'net' needs at least 10 cores by its input axons; loihi has 9\n"
        "also:  the largest: 'l0' about 84 by its synapse memory, 'l1' about 84 by its synapse memory, "
        "'l2' about 84 by its synapse memory\n"
        "hint:  use a target with more chips or cores, or a smaller network"
    ]


def test_layers_with_common_sources_share_a_core() -> None:
    populations = [Population("x", (3000,)), neurons("a", 100), neurons("b", 100)]
    net = network(populations, dense("x", "a", unread(100, 3000)), dense("x", "b", unread(100, 3000)))
    assert feasibility_of(net, chip()).cores_at_least == 1


def test_output_axons_bind() -> None:
    """Each of 60 neurons sends to three cores; one with room for 64 has 90 axons."""
    net = network([neurons("a", 60), neurons("b", 180)], dense("a", "b", unread(180, 60)))
    found = feasibility_of(net, chip(neurons=64, output_axons=90))
    assert (found.rows[0].binds.resource, found.rows[0].binds.proof) == ("output_axons", True)
    assert (found.rows[0].cores_at_least, found.cores_for["output_axons"]) == (2, 2)
    assert found.rows[0].helps == (
        "'a': let its neurons send to fewer or smaller populations; a core would hold 60 of its neurons, not 30"
    )
    assert messages(check(net, chip(neurons=64, output_axons=2)).violations) == [
        "error[NC0405 output-axons]: a neuron of 'a' sends to at least 3 cores; loihi has 2 output axons per core\n"
        "hint:  lower its fan-out"
    ]


TABLE = """\
net on loihi, by its shapes: at least 1 core, about 9 of 4

What binds each population
  population  binds          proof     neurons  at least  about    needs      of  share
  a           synapse words  estimate    1,000         1      9  131,000  16,384     ×8

  Cores at least: proved for every mapping. About: estimated, where weights decide, which are not
  read yet. Needs: what as many neurons as a core has compartments for take of the limit that asks
  for the most cores.

What would help
  'a': prune 'x->a' to 6 % of its weights and write the rest as sparse; a core would hold 1,000 of
  its neurons, not 120
"""


def test_synapse_words_bind_by_estimate_alone(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    """Rows of zeros need no memory, so the network compiles, and it is said before that this was not likely."""
    net = network([Population("x", (1000,)), neurons("a", 1000)], dense("x", "a", frozen(np.zeros((1000, 1000), np.int8))))
    spec = chip(chips=1, cores_per_chip=4)
    with caplog.at_level("WARNING", "neurocomp"):
        checked = check(net, spec)
    assert not checked.violations
    assert caplog.messages == [
        "'net' seems to need 9 cores, and loihi has 4: 'a' about 9 by its synapse memory. "
        "This is an estimate; what is proved is at least 1"
    ]
    assert checked.feasibility is not None
    assert shown(checked.feasibility, spec, capsys) == TABLE


def test_a_list_with_too_many_sources() -> None:
    sources = np.concatenate([np.arange(50), np.arange(9)])
    net = network([Population("x", (50,)), neurons("a", 10)], listed("x", "a", sources, np.repeat([3, 4], [50, 9])))
    assert messages(check(net, chip(input_axons=40)).violations) == [
        "error[NC0412 fan-in]: neuron 'a[3]' has at least 50 sources; loihi has 40 input axons per core\n"
        "hint:  prune 'x->a', or put a population in between"
    ]


def test_synapses_that_are_listed_twice_count_once() -> None:
    sources = np.concatenate([np.tile(np.arange(30), 2), np.arange(9)])
    net = network([Population("x", (50,)), neurons("a", 10)], listed("x", "a", sources, np.repeat([3, 4], [60, 9])))
    assert feasibility_of(net, chip(input_axons=40)).violations == ()


# Hopeless cases


def random_list(n: int, fan_in: int) -> Network:
    rng = np.random.default_rng(0)
    sources = rng.integers(0, n, n * fan_in)
    return network([Population("x", (n,)), neurons("a", n)], listed("x", "a", sources, np.repeat(np.arange(n), fan_in)))


def test_random_sources_are_refused_before_weights_are_read() -> None:
    """A core holds one neuron of 300 sources each that have next to nothing in common."""
    net = random_list(10000, 300)
    assert messages(check(net, chip(input_axons=500, **BOARD)).violations) == [
        "error[NC0401 cores]: 'net' needs at least 682 cores by its input axons; loihi has 128\n"
        "hint:  'a': at most one source per neuron in 'x->a', common ones, or a small population in between; "
        "a core would hold 1,024 of its neurons, not 1"
    ]


def test_a_stack_of_dense_layers_is_refused_before_weights_are_read() -> None:
    layers = [f"l{i}" for i in range(40)]
    populations = [Population("x", (4096,)), *(neurons(name, 4096) for name in layers)]
    net = network(populations, *(dense(a, b, unread(4096, 4096)) for a, b in zip(["x", *layers], layers, strict=False)))
    assert messages(check(net, chip(**BOARD)).violations) == [
        "error[NC0401 cores]: 'net' has 163,840 neurons and needs at least 160 cores; loihi has 128\n"
        "also:  the largest: 'l0' at least 4 by its neurons, 'l1' at least 4 by its neurons, 'l2' at least 4 by its neurons\n"
        "hint:  use a target with more chips or cores, or a smaller network"
    ]


def test_what_fits_is_read() -> None:
    """So that nothing is read where something is refused is no accident."""
    net = network([Population("x", (5,)), neurons("a", 10)], dense("x", "a", unread(10, 5)))
    with pytest.raises(AssertionError, match="weights are read"):
        check(net, chip())


def test_networks_beyond_every_core_are_not_looked_into() -> None:
    """Their neurons alone are too many; a list of synapses would make arrays of their number."""
    net = network([Population("x", (3,)), neurons("a", 2**40)], listed("x", "a", [0], [2**40 - 1]))
    found = feasibility_of(net, chip())
    assert (found.rows[0].binds.resource, found.rows[0].cores_at_least) == ("neurons", 2**30)
    assert found.violations[0].code == "NC0401"


# What is printed


def test_json() -> None:
    net = network([Population("x", (40,)), neurons("a", 60)], dense("x", "a", unread(60, 40)))
    (row,) = feasibility_of(net, chip(neurons=32)).rows
    document = row.as_json()
    assert {key: document[key] for key in document if key != "limits"} == {
        "population": "a", "neurons": 60, "cores_at_least": 2, "cores_about": 2, "binds": "neurons", "proof": True,
        "share": 1.0, "helps": None,
    }  # fmt: skip
    assert document["limits"] == [
        {"resource": "neurons", "proof": True, "needs": 32, "has": 32, "neurons_per_core": 32, "cores": 2},
        {"resource": "input_axons", "proof": True, "needs": 40, "has": 4096, "neurons_per_core": 32, "cores": 2},
        {"resource": "synapse_words", "proof": False, "needs": 200, "has": 16384, "neurons_per_core": 32, "cores": 2},
    ]


def test_of_many_populations_the_largest_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"p{i}" for i in range(15)]
    populations = [Population("x", (8,)), *(neurons(name, 10 + 10 * i) for i, name in enumerate(names))]
    net = network(populations, *(dense("x", name, unread(10 + 10 * i, 8)) for i, name in enumerate(names)))
    out = shown(feasibility_of(net, chip(neurons=10)), chip(neurons=10), capsys)
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  p")] == ["population", *names[3:]]
    assert "  and 3 populations that take no more cores; --json lists all\n" in out
