"""The mapper: every limit of a core is kept exactly, and what does not fit is named."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Mapping, Sequence
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
from neurocomp.mapping.mapper import map_in_order
from neurocomp.mapping.synapse_words import members_by_core, rows_of_core
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
    result, violations = map_in_order(net, spec)
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


def placed(net: LoweredNetwork, spec: HardwareSpec) -> MappedNetwork:
    """Map and verify it, without emitting."""
    result, violations = map_in_order(net, spec)
    assert result is not None, violations
    return result.verify(spec)


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
    result, violations = map_in_order(fan_out_net(2, 5), spec_with(threshold_profiles=1, output_axons=4))
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
    result, violations = map_in_order(net(13), spec)
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


# Profiles


def with_profiles(sizes: Mapping[str, Any]) -> LoweredNetwork:
    """Populations with the parameters given, n neurons each, all reached from x."""
    populations = [source("x", 1), *(compartments(name, **values) for name, values in sizes.items())]
    return lowered(populations, [dense("x", p.name, (p.size, 1)) for p in populations[1:]])


def per_core(result: MappedNetwork, name: str, values: Any) -> list[set[int]]:
    """The values that the neurons of a population have on each core."""
    core = result.placements[name].core
    return [set(np.broadcast_to(values, core.shape)[core == index].tolist()) for index in range(len(result.cores))]


def test_many_thresholds_spread_over_cores_by_groups() -> None:
    """20 thresholds, one after the other: 3 cores with 7, 7 and 6 of them, not a core for each 7 neurons."""
    vth = 100 + np.arange(700) % 20
    result = mapped(with_profiles({"a": {"size": 700, "vth": vth}}), LOIHI)
    assert per_core(result, "a", vth) == [set(range(100, 107)), set(range(107, 114)), set(range(114, 120))]
    assert np.bincount(result.placements["a"].core).tolist() == [245, 245, 210]
    for index in range(3):
        here = result.placements["a"].core == index
        assert result.placements["a"].slot[here].tolist() == list(range(here.sum()))


def test_many_decays_spread_over_cores_by_groups() -> None:
    dv = np.arange(400) % 40
    result = mapped(with_profiles({"a": {"size": 400, "dv": dv}}), LOIHI)
    assert per_core(result, "a", dv) == [set(range(31)), set(range(31, 40))]


def test_thresholds_part_a_population_first_then_decays() -> None:
    """8 thresholds and 32 decays, all pairs: 7 thresholds x 31 decays, then the last decay; then the last threshold."""
    pairs = np.arange(2 * 256)
    vth, dv = 100 + pairs % 8, pairs // 8 % 32
    result = mapped(with_profiles({"a": {"size": 512, "vth": vth, "dv": dv}}), LOIHI)
    assert np.bincount(result.placements["a"].core).tolist() == [2 * 7 * 31, 2 * 7, 2 * 31, 2]


def test_a_refractory_period_is_part_of_a_decay_profile() -> None:
    def net(refractory: int) -> LoweredNetwork:
        both: dict[str, dict[str, Any]] = {"a": {"size": 31, "dv": np.arange(31)}, "b": {"size": 4, "dv": 5}}
        result = with_profiles(both)
        populations = dict(result.network.populations)
        populations["b"] = replace(populations["b"], refractory=refractory)
        return replace(result, network=replace(result.network, populations=populations))

    assert len(placed(net(0), LOIHI).cores) == 1
    assert len(placed(net(3), LOIHI).cores) == 2


def test_small_populations_share_a_core_when_their_profiles_fit() -> None:
    """c fits beside a, whose core b's thresholds closed, and d beside b; exactly 7 thresholds each."""
    each = {"a": 4, "b": 5, "c": 3, "d": 2}
    first = np.cumsum([0, *each.values()]).tolist()
    sizes = {
        name: {"size": 10 * n, "vth": 100 + start + np.arange(10 * n) % n}
        for (name, n), start in zip(each.items(), first, strict=False)
    }
    result = mapped(with_profiles(sizes), LOIHI)
    assert {name: set(place.core.tolist()) for name, place in result.placements.items()} == {
        "a": {0}, "b": {1}, "c": {0}, "d": {1},
    }  # fmt: skip
    wider = mapped(with_profiles(sizes | {"c": {"size": 40, "vth": 200 + np.arange(40) % 4}}), LOIHI)
    assert set(wider.placements["c"].core.tolist()) == {2}


def test_a_population_that_does_not_fit_an_earlier_core_whole_begins_another() -> None:
    sizes = {"a": {"size": 1000, "vth": 1}, "b": {"size": 10, "vth": 2}, "c": {"size": 25, "vth": 1}}
    result = mapped(with_profiles(sizes), spec_with(threshold_profiles=1))
    assert [set(p.core.tolist()) for p in result.placements.values()] == [{0}, {1}, {2}]
    smaller = mapped(with_profiles(sizes | {"c": {"size": 24, "vth": 1}}), spec_with(threshold_profiles=1))
    assert [set(p.core.tolist()) for p in smaller.placements.values()] == [{0}, {1}, {0}]


# Two compartments per neuron


def subtracting(net: LoweredNetwork, *names: str) -> LoweredNetwork:
    """The populations named reset by subtraction, with a compartment for it."""
    populations = {
        name: replace(p, reset="subtract", compartments=2) if name in names else p
        for name, p in net.network.populations.items()
    }
    return replace(net, network=replace(net.network, populations=populations))


def test_a_neuron_with_a_reset_compartment_takes_two_slots() -> None:
    net = subtracting(with_profiles({"a": {"size": 3}, "b": {"size": 2}, "c": {"size": 2}}), "a", "c")
    result = placed(net, LOIHI)
    slots = {name: place.slot.tolist() for name, place in result.placements.items()}
    assert slots == {"a": [0, 2, 4], "b": [6, 7], "c": [8, 10]}


def test_reset_compartments_count_as_neurons_of_the_core() -> None:
    def cores(n: int) -> list[int]:
        net = subtracting(with_profiles({"a": {"size": n}}), "a")
        return [int(n) for n in np.bincount(placed(net, LOIHI).placements["a"].core)]

    assert cores(512) == [512]
    assert cores(513) == [512, 1]


def test_an_odd_core_has_no_room_for_half_a_neuron() -> None:
    net = subtracting(with_profiles({"a": {"size": 2}}), "a")
    assert placed(net, spec_with(neurons=3)).placements["a"].core.tolist() == [0, 1]


def test_a_reset_compartment_takes_a_decay_profile() -> None:
    """30 decays and that of the reset compartments are 31; where the population itself has it, it counts once."""

    def cores(n: int, *more: int) -> int:
        dv = [*range(n), *more]
        net = subtracting(with_profiles({"a": {"size": len(dv), "du": 4095, "dv": dv}}), "a")
        return len(placed(net, LOIHI).cores)

    assert (cores(30), cores(31), cores(30, 4095), cores(31, 4095)) == (1, 2, 1, 2)


def test_the_profile_of_reset_compartments_is_shared() -> None:
    """Beside 30 other decays, populations with and without reset compartments share a core; with 31 they do not."""
    for n, cores in ((29, {0}), (30, {1})):
        net = subtracting(with_profiles({"a": {"size": n, "dv": np.arange(n)}, "b": {"size": 2, "dv": 99}}), "b")
        assert set(placed(net, LOIHI).placements["b"].core.tolist()) == cores


def test_what_one_neuron_alone_breaks_has_its_code() -> None:
    net = subtracting(with_profiles({"a": {"size": 2}}), "a")
    _, violations = map_in_order(net, spec_with(neurons=1))
    assert printed(violations) == [
        "error[NC0407 compartments]: neuron 'a[0]' alone needs 2 of 1 compartments of a loihi core, one of them for its reset "
        "by subtraction\nlimit: neurons per core = 1 (loihi.yaml:N; davies2018, p. 86)\n"
        "hint:  write 'reset: zero', or use a target with a larger core"
    ]
    net = subtracting(with_profiles({"a": {"size": 2, "dv": 7}}), "a")
    assert map_in_order(net, spec_with(decay_profiles=2))[0] is not None
    _, violations = map_in_order(net, spec_with(decay_profiles=1))
    assert printed(violations) == [
        "error[NC0406 profiles]: neuron 'a[0]' alone needs 2 of 1 decay profiles of a loihi core, one of them for its reset by "
        "subtraction\nlimit: decay profiles per core = 1 (loihi.yaml:N; nengo_loihi, hardware/builder.py)\n"
        "hint:  write 'reset: zero', or use a target with more profiles"
    ]
    several = [dense("x", "a", (2, 3), exponent=e, name=f"a{e}") for e in range(3)]
    net = lowered([source("x", 3), compartments("a", 2)], several)
    assert map_in_order(net, spec_with(synapse_formats=3))[0] is not None
    _, violations = map_in_order(net, spec_with(synapse_formats=2))
    assert printed(violations) == [
        "error[NC0408 synapse-formats]: neuron 'a[0]' alone needs 3 of 2 synapse formats of a loihi core\n"
        "limit: synapse formats per core = 2 (loihi.yaml:N; nxtf, dnn_layers.py)\n"
        "hint:  let its projections share sign, exponent, weight bits and delay range"
    ]
    net = subtracting(lowered([source("x", 1), compartments("a", 2)], [dense("x", "a", (2, 1), delay=63)]), "a")
    assert map_in_order(net, spec_with(delay_address_bits=7))[0] is not None
    _, violations = map_in_order(net, spec_with(delay_address_bits=6))
    assert printed(violations) == [
        "error[NC0409 delay-address]: neuron 'a[0]' alone needs 2 of 1 compartments that its delays leave of a loihi core\n"
        "limit: bits of delay and neuron index per synapse = 6 (loihi.yaml:N; nxtf, s2lWrapper.py: 2^(13 - delay bits) "
        "neurons)\nhint:  shorten its delays"
    ]


# Convolutions


def convolution(
    shape: tuple[int, int, int], channels: int, *, padding: int = 1, groups: int = 1, **parameters: Any
) -> LoweredNetwork:
    """x -> a, 3 x 3, stride 1; weights that are not 0 and all differ a little."""
    options = {"kernel": (3, 3), "stride": (1, 1), "padding": (padding,) * 2, "dilation": (1, 1), "groups": (groups,)}
    weights = (np.arange(channels * shape[0] // groups * 9) % 113 + 1).astype(np.int8)
    q = IntegerProjection(
        "conv", "x", "a", Pattern("conv2d", {}, options), weights.reshape(channels, shape[0] // groups, 3, 3), 1,
        "mixed", 8, 0, np.array(1),
    )  # fmt: skip
    target = (channels, shape[1] + 2 * padding - 2, shape[2] + 2 * padding - 2)
    x, a = IntegerPopulation("x", shape, "input", {}), compartments("a", int(np.prod(target)), **parameters)
    return lowered([x, replace(a, shape=target)], [q])


def test_a_core_holds_a_tile_of_a_convolution() -> None:
    """16 channels on 16 x 16: 64 places of all channels on a core, which are 4 lines, and 6 lines of the input."""
    result = placed(convolution((8, 16, 16), 16), LOIHI)
    core, slot = (values.reshape(16, 16, 16) for values in (result.placements["a"].core, result.placements["a"].slot))
    assert (core == np.arange(16)[None, :, None] // 4).all()
    assert (slot == ((np.arange(16) % 4 * 16)[:, None] + np.arange(16)) * 16 + np.arange(16)[:, None, None]).all()
    assert [len(c.axon_neuron) for c in result.cores] == [8 * lines * 16 for lines in (5, 6, 6, 5)]


def test_the_weights_of_a_convolution_are_stored_once_per_core() -> None:
    """An inner core has 5 kinds of lines: above, first, inside (twice), last, below; each has rows left, inside and right."""
    net = convolution((8, 16, 16), 16)
    result = placed(net, LOIHI)
    shapes = zip(members_by_core(result), (5, 6, 6, 5), (4, 5, 5, 4), strict=True)
    for core, (members, lines, kinds) in enumerate(shapes):
        r = rows_of_core(net.network, members, LOIHI)
        assert len(r.axon_row) == 8 * 16 * lines
        assert len(r.row_start) - 1 == 8 * 3 * kinds
        assert r.words == result.cores[core].synapse_words
        inside = r.axon_neuron[r.axon_row == r.axon_row[8]]
        assert np.diff(inside).tolist() == [1] * 13
        assert np.diff(r.axon_base[r.axon_row == r.axon_row[8]]).tolist() == [16] * 13
    # Per input channel and 1, 2, 3 lines reached: left + inside + right. One line is a run (20 + 8 n bits), more are lists of
    # n = 16 channels x 2 or 3 x lines synapses (10 per 60 + 18 n bits): 5 + 7 + 5, 19 + 28 + 19, 28 + 42 + 28 words.
    inner, border = 2 * 17 + 2 * 66 + 98, 17 + 2 * 66 + 98
    assert [c.synapse_words for c in result.cores] == [8 * border, 8 * inner, 8 * inner, 8 * border]
    assert sum(c.synapse_words for c in result.cores) * 64 < 8 * int(
        net.network.synapse_counts(net.network.projections[0]).sum()
    )


def test_slices_of_a_convolution_are_whole_places() -> None:
    """Each core could hold 1023 neurons, and takes 63 places of 16."""
    result = placed(convolution((2, 16, 16), 16), spec_with(neurons=1023))
    assert np.bincount(result.placements["a"].core).tolist() == [63 * 16] * 4 + [4 * 16]


def test_a_place_that_no_core_holds_is_parted() -> None:
    result = placed(convolution((2, 4, 4), 16), spec_with(neurons=10))
    assert np.bincount(result.placements["a"].core).tolist() == [10] * 25 + [6]


def test_a_place_is_not_parted_to_fill_a_shared_core() -> None:
    """12 neurons are left beside b; a begins on the next core, at a whole place."""
    net = convolution((2, 4, 4), 16)
    populations = {"x": net.network.populations["x"], "b": compartments("b", 20), "a": net.network.populations["a"]}
    net = replace(net, network=replace(net.network, populations=populations))
    result = placed(net, spec_with(neurons=32))
    assert set(result.placements["b"].core.tolist()) == {0}
    assert np.bincount(result.placements["a"].core).tolist() == [0] + [32] * 8


def test_profiles_part_the_channels_of_a_convolution() -> None:
    """A threshold per channel, 8 of them: 7 channels of all places, then the last one."""
    vth = np.repeat(100 + np.arange(8), 36)
    result = placed(convolution((3, 6, 6), 8, vth=vth), LOIHI)
    core, slot = (values.reshape(8, 36) for values in (result.placements["a"].core, result.placements["a"].slot))
    assert (core == np.array([0] * 7 + [1])[:, None]).all()
    assert (slot[:7] == np.arange(36) * 7 + np.arange(7)[:, None]).all()
    assert slot[7].tolist() == list(range(36))


def test_channels_that_do_not_mix_share_rows_only_with_themselves() -> None:
    """One group per channel: a row per channel and border variant."""
    net = convolution((4, 8, 8), 4, groups=4, padding=0)
    r = rows_of_core(net.network, members_by_core(placed(net, LOIHI))[0], LOIHI)
    assert len(r.axon_row) == 4 * 64
    assert len(r.row_start) - 1 == 4 * 5 * 5  # per axis: 1, 2 or 3 places reached, on either side


# Currents


def test_currents_have_no_axons_and_no_place() -> None:
    net = with_profiles({"a": {"size": 3}})
    current = IntegerPopulation("i", (3,), "current", {})
    populations = {"i": current, **net.network.populations}
    populations["a"] = replace(populations["a"], current="i")
    net = replace(net, network=replace(net.network, populations=populations), lag=dict.fromkeys(populations, 0))
    result = placed(net, LOIHI)
    assert set(result.placements) == {"a"}
    assert result.cores[0].axon_population.tolist() == [1]


# Size


def test_the_memory_of_mapping_is_that_of_some_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 M synapses on 34 cores: what is allocated is far below an index per synapse, and no list of synapses is made."""

    def refuse(*arguments: Any) -> Any:
        raise AssertionError("the synapses of a projection were listed")

    monkeypatch.setattr(IntegerNetwork, "synapses", refuse)
    n, m = 1000, 4000
    net = lowered([source("x", n), compartments("a", m)], [dense("x", "a", (m, n))])
    weights = np.random.default_rng(0).integers(-128, 128, (m, n), np.int8)
    net = replace(net, network=replace(net.network, projections=(replace(net.network.projections[0], mantissa=weights),)))
    tracemalloc.start()
    try:
        result = placed(net, LOIHI)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(result.cores) == 34
    assert peak < 24 << 20


# What fits nowhere


def test_fan_in_is_found_before_mapping() -> None:
    n = 4098
    net = lowered([source("x", n), compartments("a", 2)], [dense("x", "a", (2, n))])
    assert printed(check_lowered(net, LOIHI)) == [
        "error[NC0412 fan-in]: neuron 'a[0]' has 4098 sources; loihi has 4096 input axons per core\n"
        "limit: input axons per core = 4096 (loihi.yaml:N; davies2018, p. 89, constraint 4)\n"
        "also:  1 more neurons of 'a'; the largest is a[0] with 4098\n"
        "hint:  splitting the population does not help: put one in between, or prune inputs and list the rest as sparse"
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
    result, violations = map_in_order(net, spec_with(input_axons=49))
    assert result is None
    assert [v.message for v in violations] == [
        "neuron 'a[0]' alone needs 50 of 49 input axons of a loihi core",
        "neuron 'b[0]' alone needs 50 of 49 input axons of a loihi core",
    ]
    assert {v.code for v in violations} == {"NC0412"}
    _, violations = map_in_order(net, spec_with(synapse_words=9))
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
        "the cores of 'a' exist": replace(good, placements={"a": Placement(a.core + 2, a.slot), "b": b}),
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


def test_verify_catches_reset_compartments_that_overlap() -> None:
    good = placed(subtracting(with_profiles({"a": {"size": 2}, "b": {"size": 1}}), "a"), LOIHI)
    a, b = good.placements["a"], good.placements["b"]
    corruptions = {
        "no compartment is used twice": {"a": Placement(a.core, np.array([0, 1])), "b": Placement(b.core, np.array([3]))},
        "the compartments of core 0 are numbered from 0": {
            "a": Placement(a.core, np.array([0, 3])),
            "b": Placement(b.core, np.array([5])),
        },
    }
    for claim, placements in corruptions.items():
        with pytest.raises(InternalError) as caught:
            replace(good, placements=placements).verify(LOIHI)
        assert caught.value.diagnostics[0].message == f"map broke an invariant: {claim}"


def test_verify_catches_too_many_profiles() -> None:
    net = with_profiles({"a": {"size": 7, "vth": np.arange(7), "dv": np.arange(7)}})
    good = placed(net, LOIHI)
    for limit, claim in (("threshold_profiles", "6 threshold profiles"), ("decay_profiles", "6 decay profiles")):
        with pytest.raises(InternalError, match=f"core 0 has at most {claim}"):
            good.verify(spec_with(**{limit: 6}))
    with pytest.raises(InternalError, match="core 0 has at most 7 decay profiles"):
        placed(subtracting(net, "a"), LOIHI).verify(spec_with(decay_profiles=7))
