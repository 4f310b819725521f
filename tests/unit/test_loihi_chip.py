"""Emission, the chip simulation on hand-computed numbers, and injected faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp_hwspecs
from neurocomp.backend import CORRUPTIBLE
from neurocomp.errors import InternalError, NetworkError, UsageError
from neurocomp.hardware import read_spec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import Core, MappedNetwork, Placement
from neurocomp.ir.program import CoreTables, Program
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.ir.trace import Event, Trace
from neurocomp.mapping.synapse_words import rows_of_core
from neurocomp.models.patterns import Pattern
from neurocomp_loihi import formats as fm
from neurocomp_loihi.chip import COUNTERS, ChipSimulation, _Synapses
from neurocomp_loihi.emit import emit, utilization
from neurocomp_loihi.inject import inject

SPEC = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml")


def population(name: str, size: int, **parameters: int) -> IntegerPopulation:
    """Without other parameters: a current without memory, a potential without leak."""
    values = {"du": 4095, "dv": 0, "vth": 100, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0} | parameters
    return IntegerPopulation(name, (size,), "compartment", {key: np.array(value) for key, value in values.items()})


def stimulus(name: str, size: int) -> IntegerPopulation:
    return IntegerPopulation(name, (size,), "input", {})


def projection(source: str, target: str, weights: Any, delay: Any = 1, exponent: int = 0) -> IntegerProjection:
    """Dense, mixed signs; ``weights`` are even."""
    mantissa = (np.asarray(weights) >> 1).astype(np.int8)
    delays = np.asarray(delay, np.int64)
    return IntegerProjection(f"{source}-{target}", source, target, Pattern("dense"), mantissa, 1, "mixed", 8, exponent, delays)


def network(
    populations: Sequence[IntegerPopulation], projections: Sequence[IntegerProjection], ticks: int = 4
) -> IntegerNetwork:
    return IntegerNetwork("n", 1e-3, ticks, SPEC.number_format, {p.name: p for p in populations}, tuple(projections))


def mapped_by_hand(net: IntegerNetwork, lag: Mapping[str, int], cores: Sequence[Sequence[str]]) -> MappedNetwork:
    """Each core takes whole populations; the second core and later ones are on chip 1."""
    placements, made = {}, []
    for index, names in enumerate(cores):
        slot, members = 0, []
        for name in names:
            n = net.populations[name].size
            slots = np.arange(slot, slot + n)
            placements[name] = Placement(np.full(n, index), slots)
            members.append((name, np.arange(n), slots))
            slot += n
        rows = rows_of_core(net, members, SPEC)
        made.append(Core(min(index, 1), 10 + index, (0, 0), rows.axon_population, rows.axon_neuron, rows.words))
    return MappedNetwork(LoweredNetwork(net, lag, {}), tuple(made), placements, ())


def two_cores() -> tuple[Program, dict[str, Any]]:
    """x (2) -> a (1) on core 0 -> b (2) on core 1, and a stimulus of four ticks."""
    net = network(
        [stimulus("x", 2), population("a", 1, vth=15), population("b", 2, vth=20)],
        [projection("x", "a", [[10, 6]]), projection("a", "b", [[20], [-4]], [[1], [3]])],
    )
    program = emit(mapped_by_hand(net, {"x": 0, "a": 1, "b": 2}, [["a"], ["b"]]), SPEC)
    return program, {"x": np.array([[[1, 0], [1, 1], [0, 0], [0, 0]]])}


def changed(program: Program, core: int, table: str, records: Any) -> Program:
    old = program.cores[core]
    new = CoreTables(old.chip, old.core, {**old.tables, table: fm.to_bytes(records)})
    return replace(program, cores=(*program.cores[:core], new, *program.cores[core + 1 :]))


# Two cores by hand


def test_two_cores_by_hand() -> None:
    program, spikes = two_cores()
    trace = ChipSimulation().run(program, spikes)

    assert (trace.engine, trace.ticks, dict(trace.lag), trace.windowed) == ("chip", 4, {"x": 0, "a": 1, "b": 2}, False)
    # Tick 1: 10 << 6; tick 2: (10 + 6) << 6 more, 1664 > 15 << 6: a spikes.
    assert trace.u["a"][0, :, 0].tolist() == [0, 640, 1024, 0, 0, 0]
    assert trace.v["a"][0, :, 0].tolist() == [0, 640, 0, 0, 0, 0]
    assert trace.spikes["a"][0, :, 0].tolist() == [0, 0, 1, 0, 0, 0]
    # b[0] one tick later, exactly its threshold: no spike. b[1] three ticks later.
    assert trace.u["b"][0].T.tolist() == [[0, 0, 0, 1280, 0, 0], [0, 0, 0, 0, 0, -256]]
    assert trace.v["b"][0].T.tolist() == [[0, 0, 0, 1280, 1280, 1280], [0, 0, 0, 0, 0, -256]]
    assert not trace.spikes["b"].any()
    assert trace.spikes["x"][0].T.tolist() == [[1, 1, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]]
    assert all(values.dtype == np.int32 for table in (trace.spikes, trace.u, trace.v) for values in table.values())


def test_counters_by_hand() -> None:
    program, spikes = two_cores()
    trace = ChipSimulation().run(program, spikes)

    assert set(trace.counters) == set(COUNTERS)
    assert all(values.shape == (2, 1, 6) and values.dtype == np.int64 for values in trace.counters.values())
    assert {name: values[:, 0].tolist() for name, values in trace.counters.items()} == {
        "synaptic_events": [[1, 2, 0, 0, 0, 0], [0, 0, 2, 0, 0, 0]],
        "sops": [[1, 2, 0, 0, 0, 0], [0, 0, 2, 0, 0, 0]],
        "words_read": [[1, 2, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]],
        "updates": [[1] * 6, [2] * 6],
        "updates_active": [[0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 2]],
        "spikes": [[0, 0, 1, 0, 0, 0], [0] * 6],
        "packets": [[0, 0, 1, 0, 0, 0], [0] * 6],
        "packets_received": [[1, 2, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]],
        "host_packets": [[1, 2, 0, 0, 0, 0], [0] * 6],
        "dropped": [[0] * 6, [0] * 6],
        "resets": [[0] * 6, [0] * 6],
        "host_writes": [[0] * 6, [0] * 6],
        "starts": [[0] * 6, [0] * 6],
    }


def test_symbols_and_utilization() -> None:
    program, _ = two_cores()

    assert [(c.chip, c.core) for c in program.cores] == [(0, 10), (1, 11)]
    assert program.populations["b"].core.tolist() == [1, 1]
    assert program.populations["b"].compartment.tolist() == [0, 1]
    x = program.inputs["x"]
    assert list(zip(x.neuron, x.core, x.axon, strict=True)) == [(0, 0, 0), (1, 0, 1)]
    assert utilization(program, SPEC) == {
        "neurons": (3, 1024, 2),
        "input_axons": (3, 4096, 2),
        "output_axons": (1, 4096, 1),
        "synapse_words": (3, 16384, 2),
        "decay_profiles": (2, 31, 1),
        "threshold_profiles": (2, 7, 1),
        "synapse_formats": (2, 7, 1),
    }


def test_all_samples_start_afresh_and_a_part_can_be_recorded() -> None:
    program, spikes = two_cores()
    both = {"x": np.concatenate([spikes["x"], spikes["x"]])}
    trace = ChipSimulation().run(program, both, record=["b"])

    assert list(trace.spikes) == list(trace.u) == list(trace.v) == ["b"]
    assert np.array_equal(trace.v["b"][0], trace.v["b"][1])
    assert not ChipSimulation().run(program, both, state=False).v


def test_without_inputs_the_ticks_are_the_programs() -> None:
    net = network([population("a", 1, vth=10, bias_mant=300, bias_exp=1, v_init=40)], [])
    trace = ChipSimulation().run(emit(mapped_by_hand(net, {"a": 0}, [["a"]]), SPEC), {})

    assert trace.v["a"][0, :, 0].tolist() == [640, 0, 600, 0]
    assert trace.spikes["a"][0, :, 0].tolist() == [0, 1, 0, 1]


def test_overflows_are_events() -> None:
    """u folds at 2**23, v saturates, and the sum of 256 weights of 254 exceeds 16 bits."""
    net = network(
        [stimulus("x", 256), population("a", 1, du=0, vth=131071, v_init=-8388600)],
        [projection("x", "a", np.full((1, 256), 254), exponent=2)],
    )
    program = emit(mapped_by_hand(net, {"x": 0, "a": 0}, [["a"]]), SPEC)
    trace = ChipSimulation().run(program, {"x": np.ones((1, 2, 256), int)})
    u = (256 * 254 * 4 << 6) - (1 << 24)

    assert trace.u["a"][0, :, 0].tolist() == [0, u]
    assert trace.v["a"][0, :, 0].tolist() == [-8388600, -8388607]
    assert trace.events == tuple(Event("a", register, 1, 0, 1, 0) for register in ("accumulator", "u", "v"))


# What does not exist


def test_a_message_to_a_core_that_does_not_exist_is_dropped() -> None:
    program, spikes = two_cores()
    broken = changed(program, 0, "output_axons", np.array([(1, 99, 0, 0)], fm.OUTPUT_AXON))
    trace = ChipSimulation().run(broken, spikes)

    assert trace.counters["dropped"][:, 0].tolist() == [[0, 0, 1, 0, 0, 0], [0] * 6]
    assert trace.counters["packets"].sum() == 1
    assert not trace.u["b"].any()


def test_a_message_to_an_axon_that_does_not_exist_is_dropped() -> None:
    program, spikes = two_cores()
    broken = changed(program, 0, "output_axons", np.array([(1, 11, 7, 0)], fm.OUTPUT_AXON))
    cut = changed(program, 0, "input_axons", fm.records_of(program.cores[0], "input_axons")[:1])

    assert ChipSimulation().run(broken, spikes).counters["dropped"].sum() == 1
    assert ChipSimulation().run(cut, spikes).counters["dropped"][0, 0].tolist() == [0, 1, 0, 0, 0, 0]


def test_two_messages_to_one_axon_count_twice() -> None:
    program, spikes = two_cores()
    twice = changed(program, 0, "output_axons", np.array([(1, 11, 0, 0)] * 2, fm.OUTPUT_AXON))
    twice = changed(twice, 0, "output_lists", np.array([(0, 2)], fm.OUTPUT_LIST))

    assert ChipSimulation().run(twice, spikes).u["b"][0, 3].tolist() == [2560, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "the stimulus has no array for the input 'x'"),
        ({"x": np.zeros((1, 4, 3), int)}, "the stimulus of 'x' has the shape (1, 4, 3); (samples, ticks >= 1, 2) is needed"),
        ({"x": np.zeros((1, 4, 2))}, "the stimulus of 'x' has the dtype float64; integers are needed"),
    ],
)
def test_a_wrong_stimulus(values: Any, message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        ChipSimulation().run(two_cores()[0], values)

    assert str(caught.value) == f"error[NC0211 bad-stimulus]: {message}"


def test_a_wrong_population_to_record() -> None:
    with pytest.raises(NetworkError, match="there is no population 'c' to record"):
        ChipSimulation().run(*two_cores(), record=["c"])


def test_emission_refuses_another_number_of_words() -> None:
    net = network([stimulus("x", 1), population("a", 1)], [projection("x", "a", [[2]])])
    mapped = mapped_by_hand(net, {"x": 0, "a": 0}, [["a"]])
    wrong = replace(mapped, cores=(replace(mapped.cores[0], synapse_words=9),))

    with pytest.raises(InternalError, match="core 10 has the synapse words that the mapper counted"):
        emit(wrong, SPEC)


# Injection


def busy(seed: int) -> tuple[Program, Trace]:
    """Three populations on two cores, with delays, shared rows and a recurrent projection; 2 samples."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-60, 61, (6, 4)) * 2
    rows[:, 1] = rows[:, 0]  # one row behind two axons
    net = network(
        [stimulus("x", 4), population("a", 6, vth=40, dv=300), population("b", 3, vth=60), population("c", 1, vth=131071)],
        [
            projection("x", "a", rows),
            projection("a", "b", rng.integers(-60, 61, (3, 6)) * 2, rng.integers(1, 9, (3, 6))),
            projection("b", "b", rng.integers(-60, 61, (3, 3)) * 2, 2),
            projection("b", "c", rng.integers(1, 61, (1, 3)) * 4, 1, exponent=-2),
        ],
    )
    program = emit(mapped_by_hand(net, {"x": 0, "a": 1, "b": 2, "c": 3}, [["a", "c"], ["b"]]), SPEC)
    return program, ChipSimulation().run(program, {"x": (rng.random((2, 20, 4)) < 0.5).astype(np.int64)})


def differs(program: Program, trace: Trace) -> bool:
    run = ChipSimulation().run(program, {"x": trace.spikes["x"][:, : trace.ticks]})
    pairs = ((run.spikes, trace.spikes), (run.u, trace.u), (run.v, trace.v))
    return any(not np.array_equal(run.window(a[n], n), trace.window(b[n], n)) for a, b in pairs for n in b)


@pytest.mark.parametrize("kind", CORRUPTIBLE)
@pytest.mark.parametrize("seed", range(12))
def test_every_injection_shows(kind: str, seed: int) -> None:
    program, trace = busy(seed % 4)
    digest = program.digest()
    injection = inject(program, trace, kind, seed)

    assert differs(injection.program, trace)
    assert not differs(program, trace)
    assert program.digest() == digest
    assert injection.description == inject(program, trace, kind, seed).description
    assert injection.program.digest() == inject(program, trace, kind, seed).program.digest()
    assert (injection.program.populations, injection.program.inputs) == (program.populations, program.inputs)
    touched = {
        n
        for a, b in zip(program.cores, injection.program.cores, strict=True)
        for n in a.tables
        if not np.array_equal(a.tables[n], b.tables[n])
    }
    allowed = {"threshold_profiles"} if kind == "threshold" else {"input_axons", "synapse_words", "synapse_formats"}
    assert touched
    assert touched <= allowed


def synapses_of(program: Program) -> list[list[tuple[int, int, int]]]:
    """Per axon of all cores, its (compartment, weight, delay) where there is a weight, sorted."""
    result = []
    for core in program.cores:
        d = fm.decode_core(core)
        for number, base in zip(d.axon_row.tolist(), d.axon_base.tolist(), strict=True):
            row = d.rows.row(number)
            weights = d.formats.weights(row.item_format, row.weight)
            items = zip((row.index + base).tolist(), weights.tolist(), row.delay.tolist(), strict=True)
            result.append(sorted(item for item in items if item[1]))
    return result


@pytest.mark.parametrize("kind", ["weight", "delay", "target"])
@pytest.mark.parametrize("seed", range(12))
def test_an_injection_changes_one_synapse_of_one_axon(kind: str, seed: int) -> None:
    program, trace = busy(seed % 4)
    before, after = synapses_of(program), synapses_of(inject(program, trace, kind, seed).program)
    rows = [(a, b) for a, b in zip(before, after, strict=True) if a != b]

    assert len(rows) == 1
    removed, added = ([x for x in first if x not in second] for first, second in (rows[0], rows[0][::-1]))
    assert (len(removed), len(added)) == (1, 1)
    same = [name for name, a, b in zip(("target", "weight", "delay"), removed[0], added[0], strict=True) if a == b]
    assert kind not in same
    assert len(same) == 2


def test_injections_say_what_changed() -> None:
    net = network([stimulus("x", 1), population("a", 1, vth=15)], [projection("x", "a", [[10]])])
    program = emit(mapped_by_hand(net, {"x": 0, "a": 0}, [["a"]]), SPEC)
    trace = ChipSimulation().run(program, {"x": np.array([[[1], [0], [0]]])})

    assert [inject(program, trace, kind, 0).description for kind in CORRUPTIBLE] == [
        "weight of x[0] -> a[0] 10 -> 12",
        "delay of x[0] -> a[0] 1 -> 2 ticks",
        "target of x[0] -> a[0] becomes compartment 1 of core 0, which does not exist",
        "threshold of a[0] 15 -> 9",
    ]


def test_a_threshold_is_raised_where_every_potential_spikes() -> None:
    net = network([stimulus("x", 1), population("a", 1, vth=5)], [projection("x", "a", [[10]])])
    program = emit(mapped_by_hand(net, {"x": 0, "a": 0}, [["a"]]), SPEC)
    trace = ChipSimulation().run(program, {"x": np.array([[[1], [0], [0]]])})

    assert inject(program, trace, "threshold", 0).description == "threshold of a[0] 5 -> 131071"


def test_a_dropped_synapse_is_counted() -> None:
    net = network([stimulus("x", 1), population("a", 1, vth=15)], [projection("x", "a", [[10]])])
    program = emit(mapped_by_hand(net, {"x": 0, "a": 0}, [["a"]]), SPEC)
    spikes = {"x": np.array([[[1], [0], [0]]])}
    injection = inject(program, ChipSimulation().run(program, spikes), "target", 0)

    assert ChipSimulation().run(injection.program, spikes).counters["dropped"][0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("kind", CORRUPTIBLE)
def test_nothing_to_inject(kind: str) -> None:
    program, spikes = two_cores()
    trace = ChipSimulation().run(program, {"x": np.zeros_like(spikes["x"])})

    with pytest.raises(NetworkError) as caught:
        inject(program, trace, kind, 1)

    assert str(caught.value) == (
        f"error[NC0702 nothing-to-inject]: the stimulus exercises no {kind} of the program in a way that shows\n"
        "hint:  give a stimulus that makes the network spike"
    )


def test_an_unknown_kind() -> None:
    program, spikes = two_cores()

    with pytest.raises(UsageError, match="there is no entry of the kind 'weights'"):
        inject(program, ChipSimulation().run(program, spikes), "weights", 0)


def test_synapses_are_held_once_and_exactly() -> None:
    """A filled matrix replaces the list, whose narrow numbers hold the widest weights: both give the same sums."""
    axon = np.repeat(np.arange(6), 3)
    compartment = np.tile(np.array([0, 2, 4095]), 6)
    weight = np.random.default_rng(0).choice(np.array([255 << 7, -(255 << 7), 1, -1]), 18)
    few = _Synapses.of(0, axon, compartment, weight, 6, 4096)
    many = _Synapses.of(0, axon, np.minimum(compartment, 3), weight, 6, 4)
    assert few.matrix is None
    assert many.matrix is not None
    assert (few.weight.nbytes, few.compartment.nbytes) == (4 * 18, 2 * 18)
    assert (many.weight.size, many.compartment.size) == (0, 0)
    active = np.arange(12.0).reshape(2, 6) - 5
    expected = np.einsum("sa,ak->sk", active.astype(np.int64), weight.reshape(6, 3))
    for exact in (True, False):
        assert np.array_equal(few.sums(active, 4096, exact)[:, [0, 2, 4095]], expected)
        assert np.array_equal(many.sums(active, 4, exact)[:, [0, 2, 3]], expected)
