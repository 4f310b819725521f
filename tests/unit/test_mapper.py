"""The mapper: every limit of a core is kept exactly, and what does not fit is named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp_hwspecs
from neurocomp.backend import Violation
from neurocomp.errors import InternalError
from neurocomp.hardware import HardwareSpec, load_spec
from neurocomp.ir.lowered import LoweredNetwork, Representative
from neurocomp.ir.mapped import MappedNetwork, Placement, Route
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.mapping.mapper import map_network
from neurocomp.mapping.synapse_words import rows_of_core
from neurocomp.models.patterns import Pattern
from neurocomp_loihi import LoihiBackend
from neurocomp_loihi.check import check_lowered

TEXT = (Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml").read_text(encoding="utf-8")


@cache
def spec_with(**limits: int) -> HardwareSpec:
    """Loihi with other limits."""
    text = TEXT
    for name, value in limits.items():
        text, found = re.subn(rf"(\n  {name}: {{value: )\d+", rf"\g<1>{value}", text)
        assert found == 1, name
    return load_spec(text, "loihi.yaml")


LOIHI = spec_with()


def compartments(name: str, size: int, **parameters: Any) -> IntegerPopulation:
    values = {"du": 4095, "dv": 0, "vth": 100, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0} | parameters
    arrays = {key: np.asarray(value, np.int64) for key, value in values.items()}
    return IntegerPopulation(name, (size,), "compartment", arrays)


def source(name: str, size: int) -> IntegerPopulation:
    return IntegerPopulation(name, (size,), "input", {})


def dense(a: str, b: str, shape: tuple[int, int], *, delay: Any = 1, exponent: int = 0, name: str = "") -> IntegerProjection:
    """All weights differ a little, so that no two rows are one."""
    n_target, n_source = shape
    values = (np.arange(n_source)[None, :] + 7 * np.arange(n_target)[:, None]) % 61 + 1
    weights = values.astype(np.int8)
    return IntegerProjection(
        name or f"{a}->{b}", a, b, Pattern("dense"), weights, 1, "mixed", 8, exponent, np.asarray(delay, np.int64)
    )


def one_to_one(a: str, b: str, n: int) -> IntegerProjection:
    weights = np.full(n, 10, np.int8)
    return IntegerProjection(f"{a}->{b}", a, b, Pattern("one_to_one"), weights, 1, "mixed", 8, 0, np.array(1))


def lowered(populations: Sequence[IntegerPopulation], projections: Sequence[IntegerProjection]) -> LoweredNetwork:
    """Every hop takes its tick; lags do not matter here."""
    table = {p.name: p for p in populations}
    network = IntegerNetwork("net", 1e-3, 4, LOIHI.number_format, table, tuple(projections))
    return LoweredNetwork(network, dict.fromkeys(table, 0), {name: Representative(name, 0) for name in table})


def mapped(net: LoweredNetwork, spec: HardwareSpec) -> MappedNetwork:
    """Map it; the result verifies, and its bytes hold what the mapping says."""
    result, violations = map_network(net, spec)
    assert result is not None, violations
    assert not violations
    result.verify(spec)
    backend = LoihiBackend()
    used = backend.utilization(backend.emit(result, spec), spec)
    sizes = [sum(int((p.core == i).sum()) for p in result.placements.values()) for i in range(len(result.cores))]
    assert used["neurons"] == (sum(sizes), spec.limit("neurons"), max(sizes))
    axons = [len(core.axon_neuron) for core in result.cores]
    assert used["input_axons"] == (sum(axons), spec.limit("input_axons"), max(axons))
    words = [core.synapse_words for core in result.cores]
    assert used["synapse_words"] == (sum(words), spec.limit("synapse_words"), max(words))
    for resource, (_, available, worst) in used.items():
        assert worst <= available, resource
    return result


def cores_used(net: LoweredNetwork, spec: HardwareSpec) -> int:
    return len(mapped(net, spec).cores)


def printed(violations: Sequence[Violation]) -> list[str]:
    """The violations as they are printed; the lines of loihi.yaml, which comments move, become N."""
    return [re.sub(r"yaml:\d+", "yaml:N", v.diagnostic().render()) for v in violations]


# Each limit: met exactly on one core, exceeded by one on two


def test_neurons() -> None:
    def net(n: int) -> LoweredNetwork:
        return lowered([source("x", 1), compartments("a", n)], [dense("x", "a", (n, 1))])

    assert cores_used(net(1024), LOIHI) == 1
    result = mapped(net(1025), LOIHI)
    assert len(result.cores) == 2
    assert np.bincount(result.placements["a"].core).tolist() == [1024, 1]


def test_neurons_of_several_populations_share_a_core() -> None:
    def net(n: int) -> LoweredNetwork:
        populations = [source("x", 1), compartments("a", 5), compartments("b", n)]
        return lowered(populations, [dense("x", "a", (5, 1)), dense("x", "b", (n, 1))])

    spec = spec_with(neurons=8)
    assert cores_used(net(3), spec) == 1
    result = mapped(net(4), spec)
    assert result.placements["b"].core.tolist() == [0, 0, 0, 1]
    assert result.placements["b"].slot.tolist() == [5, 6, 7, 0]


def test_input_axons() -> None:
    """Two neurons of different sources: together one source too many."""

    def net(n: int) -> LoweredNetwork:
        sparse = Pattern("sparse", {"sources": np.arange(n), "targets": np.arange(n) % 2})
        projection = IntegerProjection("p", "x", "a", sparse, np.full(n, 4, np.int8), 1, "mixed", 8, 0, np.array(1))
        return lowered([source("x", n), compartments("a", 2)], [projection])

    assert cores_used(net(4096), LOIHI) == 1
    assert cores_used(net(4097), LOIHI) == 2


def test_synapse_words() -> None:
    net = lowered([source("x", 40), compartments("a", 30)], [dense("x", "a", (30, 40))])
    words = mapped(net, LOIHI).cores[0].synapse_words
    assert words == rows_of_core(net.network, [("a", np.arange(30), np.arange(30))], LOIHI).words > 40

    assert cores_used(net, spec_with(synapse_words=words)) == 1
    assert cores_used(net, spec_with(synapse_words=words - 1)) == 2


def test_decay_profiles() -> None:
    """A profile is a pair of decays."""

    def net(n: int) -> LoweredNetwork:
        each = np.arange(n)
        return lowered([source("x", 1), compartments("a", n, du=each % 4, dv=each // 4)], [dense("x", "a", (n, 1))])

    assert cores_used(net(31), LOIHI) == 1
    result = mapped(net(32), LOIHI)
    assert np.bincount(result.placements["a"].core).tolist() == [31, 1]


def test_threshold_profiles() -> None:
    def net(n: int) -> LoweredNetwork:
        return lowered([source("x", 1), compartments("a", n, vth=100 + np.arange(n))], [dense("x", "a", (n, 1))])

    assert cores_used(net(7), LOIHI) == 1
    result = mapped(net(8), LOIHI)
    assert np.bincount(result.placements["a"].core).tolist() == [7, 1]


def test_synapse_formats() -> None:
    """Each exponent needs a format of its own; two populations part where one core has too few."""

    def net(n: int) -> LoweredNetwork:
        first = [dense("x", "a", (2, 3), exponent=e, name=f"a{e}") for e in range(4)]
        second = [dense("x", "b", (2, 3), exponent=e, name=f"b{e}") for e in range(4, 4 + n)]
        return lowered([source("x", 3), compartments("a", 2), compartments("b", 2)], [*first, *second])

    assert cores_used(net(3), LOIHI) == 1
    result = mapped(net(4), LOIHI)
    assert [sorted(set(p.core.tolist())) for p in result.placements.values()] == [[0], [1]]


def test_delay_address_bits() -> None:
    """Delays of 3 bits leave bits for 2**(13 - 3) compartments, of 6 bits for 2**(13 - 6)."""

    def net(n: int, delay: int) -> LoweredNetwork:
        return lowered([source("x", 1), compartments("a", n)], [dense("x", "a", (n, 1), delay=1 + delay)])

    spec = spec_with(delay_address_bits=7)
    assert cores_used(net(16, 7), spec) == 1
    assert np.bincount(mapped(net(17, 7), spec).placements["a"].core).tolist() == [16, 1]
    assert cores_used(net(17, 0), spec) == 1
    assert cores_used(net(128, 62), LOIHI) == 1
    assert np.bincount(mapped(net(129, 62), LOIHI).placements["a"].core).tolist() == [128, 1]


def fan_out_net(n: int, targets: int) -> LoweredNetwork:
    """n neurons of a, each to every neuron of b; b's neurons have a threshold each."""
    b = compartments("b", targets, vth=100 + np.arange(targets))
    return lowered(
        [source("x", n), compartments("a", n), b], [one_to_one("x", "a", n), dense("a", "b", (targets, n))]
    )  # fmt: skip


def test_output_axons() -> None:
    """b fills 3 cores, so each neuron of a has 3 output axons."""
    limits = {"threshold_profiles": 1, "neurons": 8}
    assert mapped(fan_out_net(4, 3), spec_with(output_axons=12, **limits)).placements["a"].core.tolist() == [0] * 4
    result = mapped(fan_out_net(4, 3), spec_with(output_axons=11, **limits))
    assert np.bincount(result.placements["a"].core).tolist()[:2] == [3, 1]


def test_output_axons_of_real_size() -> None:
    net = fan_out_net(1024, 5)
    spec = spec_with(threshold_profiles=1)
    result = mapped(net, spec)
    per_core = np.bincount(result.placements["a"].core)
    assert per_core.max() * 5 <= 4096
    assert per_core.tolist()[:2] == [819, 205]


def test_output_axons_of_a_shared_core_part_its_populations() -> None:
    """a and b, one neuron each, keep the limit alone and not together: no violation."""
    populations = [source("x", 1), compartments("a", 1), compartments("b", 1), compartments("c", 3, vth=[100, 200, 300])]
    projections = [dense("x", "a", (1, 1)), dense("x", "b", (1, 1)), dense("a", "c", (3, 1)), dense("b", "c", (3, 1))]
    net = lowered(populations, projections)
    spec = spec_with(threshold_profiles=1, output_axons=6)
    assert len({int(result.placements[name].core[0]) for result in (mapped(net, spec),) for name in "ab"}) == 1
    result = mapped(net, spec_with(threshold_profiles=1, output_axons=5))
    assert result.placements["a"].core.tolist() != result.placements["b"].core.tolist()


def test_too_many_output_axons_of_one_neuron() -> None:
    result, violations = map_network(fan_out_net(2, 5), spec_with(threshold_profiles=1, output_axons=4))
    assert result is None
    assert printed(violations) == [
        "error[NC0405 output-axons]: a neuron of 'a' sends to 5 cores; loihi has 4 output axons per core\n"
        "limit: output axons per core = 4 (loihi.yaml:N; davies2018, p. 89, constraint 3)\n"
        "hint:  lower its fan-out"
    ]


def test_cores() -> None:
    def net(n: int) -> LoweredNetwork:
        return lowered([source("x", 1), compartments("a", n)], [dense("x", "a", (n, 1))])

    spec = spec_with(neurons=4, chips=1, cores_per_chip=3)
    assert cores_used(net(12), spec) == 3
    result, violations = map_network(net(13), spec)
    assert result is None
    assert printed(violations) == [
        "error[NC0401 cores]: 'net' needs 4 cores; loihi has 3\n"
        "limit: cores per chip = 3 (loihi.yaml:N; davies2018, p. 86); "
        "chips per system = 1 (loihi.yaml:N; frady2020, Pohoiki Springs)\n"
        "hint:  use a target with more chips or cores, or a smaller network"
    ]
    assert (violations[0].actual, violations[0].limit) == (4, 3)


def test_chips_fill_one_after_the_other() -> None:
    """Cores 0, 1 on chip 0, then 2, 3 on chip 1; messages between chips cross their boundary."""
    n = 8
    net = lowered(
        [source("x", n), compartments("a", n), compartments("b", n)], [one_to_one("x", "a", n), one_to_one("a", "b", n)]
    )
    result = mapped(net, spec_with(neurons=4, cores_per_chip=2))
    assert [(c.chip, c.core) for c in result.cores] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert result.chips == 2
    assert [(r.source, r.target, r.chips) for r in result.routes] == [(0, 2, 1), (1, 3, 1)]


def test_routes_count_tiles() -> None:
    """Four cores a tile: core 0 and core 4 are one tile apart in x; a core reaches itself without a hop."""
    n = 5
    net = lowered([source("x", n), compartments("a", n)], [one_to_one("x", "a", n), dense("a", "a", (n, n))])
    result = mapped(net, spec_with(neurons=1))
    hops = {(r.source, r.target): (r.hops_x, r.hops_y) for r in result.routes}
    assert len(hops) == 25
    assert hops[0, 3] == hops[0, 0] == (0, 0)
    assert hops[0, 4] == hops[4, 1] == (1, 0)


def test_layer_order_decides_the_order_of_cores() -> None:
    net = lowered(
        [source("x", 2), compartments("a", 3), compartments("b", 3)], [dense("x", "a", (3, 2)), dense("a", "b", (3, 3))]
    )
    result = mapped(net, spec_with(neurons=3))
    assert (result.placements["a"].core.tolist(), result.placements["b"].core.tolist()) == ([0] * 3, [1] * 3)


# What fits nowhere


def test_fan_in_is_found_before_mapping() -> None:
    n = 4098
    net = lowered([source("x", n), compartments("a", 2)], [dense("x", "a", (2, n))])
    assert printed(check_lowered(net, LOIHI)) == [
        "error[NC0412 fan-in]: neuron 'a[0]' has 4098 sources; loihi has 4096 input axons per core\n"
        "limit: input axons per core = 4096 (loihi.yaml:N; davies2018, p. 89, constraint 4)\n"
        "also:  1 more neurons of 'a'; the largest is a[0] with 4098\n"
        "hint:  splitting the population does not lower its fan-in: put a population in between, or prune its inputs"
    ]
    assert check_lowered(lowered([source("x", 4096), compartments("a", 2)], [dense("x", "a", (2, 4096))]), LOIHI) == []


def test_fan_in_counts_distinct_sources() -> None:
    """A source that reaches a neuron twice takes one axon."""
    projections = [dense("x", "a", (1, 3)), dense("x", "a", (1, 3), delay=4, name="late"), dense("y", "a", (1, 2))]
    net = lowered([source("x", 3), source("y", 2), compartments("a", 1)], projections)
    assert check_lowered(net, spec_with(input_axons=5)) == []
    (violation,) = check_lowered(net, spec_with(input_axons=4))
    assert (violation.actual, violation.limit, violation.also) == (5, 4, None)


def test_one_neuron_that_no_core_holds() -> None:
    """All populations with such a neuron are named, not the first alone."""
    populations = [source("x", 50), compartments("a", 2), compartments("b", 3)]
    net = lowered(populations, [dense("x", "a", (2, 50)), dense("x", "b", (3, 50))])
    result, violations = map_network(net, spec_with(input_axons=49))
    assert result is None
    assert [v.message for v in violations] == [
        "neuron 'a[0]' alone needs 50 of 49 input axons of a loihi core",
        "neuron 'b[0]' alone needs 50 of 49 input axons of a loihi core",
    ]
    assert {v.code for v in violations} == {"NC0412"}
    _, violations = map_network(net, spec_with(synapse_words=9))
    assert [(v.code, v.message) for v in violations] == [
        ("NC0402", "neuron 'a[0]' alone needs 50 of 9 synapse words of a loihi core"),
        ("NC0402", "neuron 'b[0]' alone needs 50 of 9 synapse words of a loihi core"),
    ]


# verify()


def two_cores() -> tuple[MappedNetwork, HardwareSpec]:
    n = 4
    net = lowered(
        [source("x", n), compartments("a", n), compartments("b", n)], [one_to_one("x", "a", n), dense("a", "b", (n, n))]
    )
    spec = spec_with(neurons=4, cores_per_chip=8)
    return mapped(net, spec), spec


def test_verify_catches_planted_corruptions() -> None:
    good, spec = two_cores()
    first, second = good.cores
    a, b = good.placements["a"], good.placements["b"]
    twice = Placement(a.core, np.array([0, 1, 2, 2]))
    gap = Placement(a.core, np.array([0, 1, 2, 5]))
    moved = Placement(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 4]))
    corruptions: dict[str, MappedNetwork] = {
        "no core is used twice": replace(good, cores=(first, replace(second, core=0, tile=(0, 0)))),
        "cores exist": replace(good, cores=(first, replace(second, core=8, tile=(2, 0)))),
        "a core's tile follows from its number": replace(good, cores=(first, replace(second, tile=(1, 0)))),
        "each neuron of 'a' is placed once": replace(good, placements={"a": Placement(a.core[1:], a.slot[1:]), "b": b}),
        "input 'x' is on the host": replace(good, placements={**good.placements, "x": a}),
        "no compartment is used twice": replace(good, placements={"a": twice, "b": b}),
        "the compartments of core 0 are numbered from 0": replace(good, placements={"a": gap, "b": b}),
        "core 1 has at most 4 neurons": replace(good, placements={"a": moved, "b": b}),
        "core 0 has exactly the input axons of its synapses": replace(
            good, cores=(replace(first, axon_neuron=first.axon_neuron[1:], axon_population=first.axon_population[1:]), second)
        ),
        "core 0 has one input axon per source": replace(
            good, cores=(replace(first, axon_neuron=first.axon_neuron * 0), second)
        ),
        "core 1 keeps its synapse memory": replace(good, cores=(first, replace(second, synapse_words=16385))),
        "every message has a route": replace(good, routes=()),
        "hops follow from the tiles": replace(good, routes=(Route(0, 1, 1, 0, 0),)),
    }
    for claim, bad in corruptions.items():
        with pytest.raises(InternalError) as caught:
            bad.verify(spec)
        assert caught.value.diagnostics[0].message == f"map broke an invariant: {claim}"
