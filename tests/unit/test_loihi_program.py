"""Every feature of the program format, alone and together: emitted bytes against a scalar transcription of the semantics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import neurocomp_hwspecs
from neurocomp.backend import CORRUPTIBLE
from neurocomp.errors import ArtifactError, InternalError, NetworkError
from neurocomp.hardware import read_spec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import Core, MappedNetwork, Placement
from neurocomp.ir.program import CoreTables, CurrentSymbol, Program
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.ir.text import program_text
from neurocomp.ir.trace import Event, Trace
from neurocomp.mapping.mapper import map_in_order
from neurocomp.mapping.synapse_words import CoreRows, rows_of_core
from neurocomp.models.patterns import Pattern
from neurocomp_loihi import chip
from neurocomp_loihi import emit as emission
from neurocomp_loihi import formats as fm
from neurocomp_loihi.chip import ChipSimulation
from neurocomp_loihi.emit import emit, utilization
from neurocomp_loihi.inject import inject
from neurocomp_reference import ReferenceSimulator

LOIHI = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml")
LOIHI_2 = replace(LOIHI, name="loihi2", native={**LOIHI.native, "reset": ("zero", "subtract", "none")})
REGISTERS = ("spikes", "u", "v")


def population(name: str, size: int, parameters: Mapping[str, Any] | None = None, **fields: Any) -> IntegerPopulation:
    """Without other parameters: a current without memory, a potential without leak."""
    values = {"du": 4095, "dv": 0, "vth": 100, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0} | dict(parameters or {})
    dynamics = "ternary" if "vth_low" in values else "compartment"
    arrays = {key: np.asarray(value, np.int64) for key, value in values.items()}
    return IntegerPopulation(name, (size,), dynamics, arrays, **fields)


def feed(name: str, *shape: int) -> IntegerPopulation:
    return IntegerPopulation(name, shape, "input", {})


def current(name: str, size: int) -> IntegerPopulation:
    return IntegerPopulation(name, (size,), "current", {})


def projection(
    source: str, target: str, weights: Any, delay: Any = 1, exponent: int = 0, binary: bool = True
) -> IntegerProjection:
    """Dense, mixed signs; ``weights`` are even."""
    mantissa = (np.asarray(weights) >> 1).astype(np.int8)
    delays = np.asarray(delay, np.int64)
    return IntegerProjection(
        f"{source}-{target}", source, target, Pattern("dense"), mantissa, 1, "mixed", 8, exponent, delays, binary
    )


def network(
    populations: Sequence[IntegerPopulation], projections: Sequence[IntegerProjection] = (), ticks: int = 4
) -> IntegerNetwork:
    net = IntegerNetwork("n", 1e-3, ticks, LOIHI.number_format, {p.name: p for p in populations}, tuple(projections))
    net.verify("lower")
    return net


def program_of(
    net: IntegerNetwork, cores: Sequence[Sequence[str]], lag: Mapping[str, int] | None = None, spec: Any = LOIHI_2
) -> Program:
    """Each core takes whole populations."""
    placements, made = {}, []
    for index, names in enumerate(cores):
        slot, members = 0, []
        for name in names:
            p = net.populations[name]
            slots = slot + p.compartments * np.arange(p.size)
            placements[name] = Placement(np.full(p.size, index), slots)
            members.append((name, np.arange(p.size), slots))
            slot += p.compartments * p.size
        rows = rows_of_core(net, members, spec)
        made.append(Core(0, index, (0, 0), rows.axon_population, rows.axon_neuron, rows.words))
    lags = dict.fromkeys(net.populations, 0) | dict(lag or {})
    program = emit(MappedNetwork(LoweredNetwork(net, lags, {}), tuple(made), placements, ()), spec)
    assert program.verify() is program
    return program


def changed(program: Program, core: int, table: str, **fields: Any) -> Program:
    """Overwrite fields of the records of a table."""
    old = program.cores[core]
    records = fm.records_of(old, table).copy()
    for name, values in fields.items():
        records[name] = values
    new = CoreTables(old.chip, old.core, {**old.tables, table: fm.to_bytes(records)})
    return replace(program, cores=(*program.cores[:core], new, *program.cores[core + 1 :]))


# The transcription


@dataclass
class Told:
    """What the transcription says of one sample: register -> population -> tick -> neuron; and totals."""

    spikes: dict[str, list[list[int]]]
    u: dict[str, list[list[int]]]
    v: dict[str, list[list[int]]]
    active: int = 0
    cleared: int = 0
    started: int = 0
    sops: int = 0


def tz(x: int, k: int) -> int:
    """x * k / 4096 toward zero."""
    return abs(x * k) // 4096 * (1 if x * k >= 0 else -1)


def told(net: IntegerNetwork, lag: Mapping[str, int], stimulus: Mapping[str, list[list[int]]], ticks: int) -> Told:
    """Run one sample of a lowered network with Python integers."""
    chip_ticks = ticks + max(lag.values())
    into: dict[tuple[str, int], list[tuple[IntegerProjection, int, int, int]]] = {}
    for q in net.projections:
        listed, weights, delays = net.synapses(q), q.weights.ravel(), np.broadcast_to(q.delay, q.mantissa.shape).ravel()
        for source, target, slot in zip(listed.source.tolist(), listed.target.tolist(), listed.slot.tolist(), strict=True):
            into.setdefault((q.target, target), []).append((q, source, int(weights[slot]), int(delays[slot])))
    result = Told({}, {}, {})
    for name, p in net.populations.items():
        result.spikes[name] = []
        if p.is_input:
            result.spikes[name] = [*stimulus[name], *([[0] * p.size] * (chip_ticks - ticks))]
        else:
            result.u[name], result.v[name] = [], []
    neurons = [p for p in net.populations.values() if not p.is_input]
    u = {p.name: p.values("u_init").tolist() for p in neurons}
    v = {p.name: p.values("v_init").tolist() for p in neurons}
    counter = {p.name: [0] * p.size for p in neurons}
    for t in range(chip_ticks):
        for p in neurons:
            name, sent = p.name, [0] * p.size
            if t == p.start:
                u[name], v[name], counter[name] = p.values("u_init").tolist(), p.values("v_init").tolist(), [0] * p.size
                result.started += p.size if p.start else 0
            if p.reset_interval is not None and t >= p.reset_offset and (t - p.reset_offset) % p.reset_interval == 0:
                u[name], v[name], counter[name] = [0] * p.size, [0] * p.size, [0] * p.size
                result.cleared += p.size
            for i in range(p.size):
                a = 0
                for q, source, weight, delay in into.get((name, i), []):
                    value = result.spikes[q.source][t - delay][source] if t >= delay else 0
                    a += weight * (int(value != 0) if q.binary else value) * 2**q.exponent
                x = {key: int(p.values(key)[i]) for key in p.parameters}
                new_u = tz(u[name][i], 4096 - x["du"] - 1) + 64 * a
                new_u += -(2**24) if new_u > 2**23 else 2**24 if new_u <= -(2**23) else 0
                u[name][i] = new_u
                if counter[name][i]:
                    counter[name][i] -= 1
                else:
                    written = p.current is not None and lag[name] <= t < lag[name] + ticks
                    extra = stimulus[p.current][0][i] if written and p.current is not None else 0
                    new_v = tz(v[name][i], 4096 - x["dv"]) + new_u + x["bias_mant"] * 2 ** x["bias_exp"] + extra
                    new_v = max(-(2**23) + 1, min(2**23 - 1, new_v))
                    if new_v > 64 * x["vth"]:
                        sent[i], amount = 1, 64 * x["vth"]
                    elif "vth_low" in x and new_v < 64 * x["vth_low"]:
                        sent[i], amount = -1, 64 * x["vth_low"]
                    if sent[i]:
                        new_v = {"zero": 0, "subtract": new_v - amount, "none": new_v}[p.reset]
                        counter[name][i] = p.refractory
                    v[name][i] = new_v
                if t < p.start:
                    sent[i] = u[name][i] = v[name][i] = counter[name][i] = 0
                result.active += int(bool(sent[i] or u[name][i] or v[name][i]))
            result.spikes[name].append(sent)
            result.u[name].append(list(u[name]))
            result.v[name].append(list(v[name]))
    for (_, _), entries in into.items():
        for q, source, weight, _ in entries:
            result.sops += sum(bool(row[source]) for row in result.spikes[q.source]) * (weight != 0)
    return result


def assert_equals_told(net: IntegerNetwork, program: Program, stimulus: Mapping[str, Any]) -> Trace:
    trace = ChipSimulation().run(program, stimulus)
    trace.verify()
    samples = next(iter(stimulus.values())).shape[0] if stimulus else 1
    lag = dict(trace.lag)
    for sample in range(samples):
        expected = told(net, lag, {name: values[sample].tolist() for name, values in stimulus.items()}, trace.ticks)
        for register in REGISTERS:
            for name, values in getattr(trace, register).items():
                assert values[sample].tolist() == getattr(expected, register)[name], f"{register} of {name}, sample {sample}"
        totals = {event: int(counts[:, sample].sum()) for event, counts in trace.counters.items()}
        assert (totals["updates_active"], totals["resets"]) == (expected.active, expected.cleared)
        assert totals["starts"] == expected.started
        assert totals["sops"] == expected.sops
        assert totals["dropped"] == 0
    return trace


# One feature by hand


def relay(size: int = 1, **fields: Any) -> tuple[IntegerNetwork, dict[str, Any]]:
    """x drives a one to one with a weight of 10, so u = 640 in the tick after each spike."""
    parameters = {"vth": 15} | fields.pop("parameters", {})
    net = network(
        [feed("x", size), population("a", size, parameters, **fields)], [projection("x", "a", 10 * np.eye(size, dtype=int))], 12
    )
    return net, {"x": np.ones((1, 12, size), np.int64)}


def test_refractory_by_hand() -> None:
    """v holds what the reset left, nothing is compared, u goes on; three ticks after the spike it counts again."""
    net, spikes = relay(refractory=3)
    program = program_of(net, [["a"]])
    trace = ChipSimulation().run(program, spikes)

    assert trace.v["a"][0, :, 0].tolist() == [0, 640, 0, 0, 0, 0, 640, 0, 0, 0, 0, 640]
    assert trace.spikes["a"][0, :, 0].tolist() == [0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert trace.u["a"][0, 1:, 0].tolist() == [640] * 11
    assert_equals_told(net, program, spikes)


def test_a_held_potential_does_not_overflow() -> None:
    """It saturates and spikes in ticks 0 and 4; what would have been added in between is added to nothing."""
    net = network(
        [population("a", 1, {"bias_mant": 4095, "bias_exp": 7, "v_init": 2**23 - 1}, reset="none", refractory=3)], [], 6
    )
    trace = assert_equals_told(net, program_of(net, [["a"]]), {})

    assert trace.spikes["a"][0, :, 0].tolist() == [1, 0, 0, 0, 1, 0]
    assert trace.events == (Event("a", "v", 2, 0, 0, 0),)


def test_decay_profiles_differ_in_refractory_ticks() -> None:
    net = network([population("a", 2, refractory=3), population("b", 1), population("c", 1, refractory=255)])
    program = program_of(net, [["a", "b", "c"]])
    profiles = fm.records_of(program.cores[0], "decay_profiles")

    assert profiles["refractory"].tolist() == [0, 3, 255]
    assert fm.records_of(program.cores[0], "compartments")["decay_profile"].tolist() == [1, 1, 0, 2]


def test_a_pair_subtracts_the_threshold_of_its_second_compartment() -> None:
    net, spikes = relay(2, reset="subtract", compartments=2, refractory=1)
    program = program_of(net, [["a"]], spec=LOIHI)
    records = fm.records_of(program.cores[0], "compartments")
    trace = assert_equals_told(net, program, spikes)

    assert trace.v["a"][0, :6, 0].tolist() == [0, 640, 320, 320, 960, 640]
    assert (records["reset"].tolist(), records["role"].tolist()) == ([2, 0, 2, 0], [0, 2, 0, 2])
    decays = fm.records_of(program.cores[0], "decay_profiles")[records["decay_profile"]]
    assert [decays[name].tolist() for name in ("du", "dv", "refractory")] == [[4095] * 4, [0, 4095] * 2, [1, 0] * 2]
    assert len(fm.records_of(program.cores[0], "threshold_profiles")) == 1
    assert program.populations["a"].compartment.tolist() == [0, 2]
    assert utilization(program, LOIHI)["neurons"] == (4, 1024, 4)
    assert (trace.counters["updates"] == 4).all()
    assert trace.counters["updates_active"].max() == 2
    # What it takes off is the second compartment's own: with another profile there, another amount.
    thresholds = np.array([(15,), (12,)], fm.THRESHOLD_PROFILE)
    core = CoreTables(0, 0, {**program.cores[0].tables, "threshold_profiles": fm.to_bytes(thresholds)})
    other = changed(replace(program, cores=(core,)), 0, "compartments", threshold_profile=[0, 1, 0, 0])
    assert ChipSimulation().run(other, spikes).v["a"][0, 2].tolist() == [1280 - 12 * 64, 320]


def test_one_compartment_subtracts_its_own_threshold() -> None:
    net, spikes = relay(reset="subtract")
    program = program_of(net, [["a"]])
    trace = assert_equals_told(net, program, spikes)

    assert trace.v["a"][0, :5, 0].tolist() == [0, 640, 320, 960, 640]
    assert fm.records_of(program.cores[0], "compartments")["reset"].tolist() == [1]


def test_no_reset() -> None:
    net, spikes = relay(reset="none")
    program = program_of(net, [["a"]])
    trace = assert_equals_told(net, program, spikes)

    assert trace.v["a"][0, :4, 0].tolist() == [0, 640, 1280, 1920]
    assert trace.spikes["a"][0, :4, 0].tolist() == [0, 0, 1, 1]
    assert fm.records_of(program.cores[0], "compartments")["reset"].tolist() == [3]


def test_the_reset_schedule_clears_before_the_update() -> None:
    """Ticks 4, 7 and 10: v starts again from the u of that tick; a refractory period ends."""
    net, spikes = relay(2, reset_interval=3, reset_offset=4, refractory=9, parameters={"u_init": 5 * 64, "v_init": [0, 7]})
    program = program_of(net, [["a"]])
    trace = assert_equals_told(net, program, spikes)

    assert fm.records_of(program.cores[0], "resets").tolist() == [(0, 2, 3, 4)]
    assert trace.counters["resets"][0, 0].tolist() == [0, 0, 0, 0, 2, 0, 0, 2, 0, 0, 2, 0]
    assert trace.v["a"][0, :, 0].tolist() == [0, 640, 0, 0, 640, 0, 0, 640, 0, 0, 640, 0]
    assert trace.v["a"][0, :3, 1].tolist() == [7, 647, 0]


def test_pairs_are_cleared_and_counted_as_neurons() -> None:
    populations = [
        population("a", 3, reset="subtract", compartments=2, reset_interval=2),
        population("b", 2),
        population("c", 1, reset_interval=5, reset_offset=1),
    ]
    program = program_of(network(populations), [["a", "b", "c"]])

    assert fm.records_of(program.cores[0], "resets").tolist() == [(0, 6, 2, 0), (8, 1, 5, 1)]
    assert ChipSimulation().run(program, {}).counters["resets"][0, 0].tolist() == [3, 1, 3, 0]


def test_a_population_in_pieces_is_cleared_in_runs() -> None:
    net = network([population("a", 4, reset_interval=2), population("b", 1)])
    placements = {
        "a": Placement(np.zeros(4, np.int64), np.array([0, 1, 3, 4])),
        "b": Placement(np.zeros(1, np.int64), np.array([2])),
    }
    mapped = MappedNetwork(
        LoweredNetwork(net, {"a": 0, "b": 0}, {}),
        (Core(0, 0, (0, 0), np.zeros(0, np.int64), np.zeros(0, np.int64), 0),),
        placements,
        (),
    )

    assert fm.records_of(emit(mapped, LOIHI).cores[0], "resets").tolist() == [(0, 2, 2, 0), (3, 2, 2, 0)]


def test_a_start_by_hand() -> None:
    """Until tick 3 nothing happens: 640 per spike of x is lost, the bias too; then v has 7 + 640 + 2 at once."""
    net, spikes = relay(2, start=3, refractory=2, parameters={"v_init": [7, 5000], "bias_mant": 2, "u_init": -1, "du": 0})
    program = program_of(net, [["a"]])
    trace = assert_equals_told(net, program, spikes)

    assert fm.records_of(program.cores[0], "starts").tolist() == [(0, 2, 3)]
    assert trace.v["a"][0, :4].tolist() == [[0, 0]] * 3 + [[649, 0]]
    assert trace.u["a"][0, :4, 0].tolist() == [0, 0, 0, 640]
    assert trace.spikes["a"][0, :5, 1].tolist() == [0, 0, 0, 1, 0]
    assert trace.counters["starts"][0, 0].tolist() == [0, 0, 0, 2, *([0] * 8)]
    assert trace.counters["updates"][0, 0].tolist() == [2] * 12
    assert trace.counters["updates_active"][0, 0, :4].tolist() == [0, 0, 0, 2]
    assert trace.counters["packets_received"][0, 0].tolist() == [2] * 12


def test_no_event_is_reported_before_a_start() -> None:
    parameters = {"bias_mant": 4095, "bias_exp": 7, "v_init": 2**23 - 1}
    net = network([population("a", 1, parameters, reset="none", start=2)], [], 4)
    trace = assert_equals_told(net, program_of(net, [["a"]]), {})

    assert trace.events == (Event("a", "v", 2, 0, 2, 0),)


def test_pairs_are_started_and_counted_as_neurons() -> None:
    populations = [
        population("a", 3, {"v_init": 5}, reset="subtract", compartments=2, start=1),
        population("b", 2),
        population("c", 1, {"u_init": 6}, start=4, reset_interval=2),
    ]
    net = network(populations, ticks=5)
    program = program_of(net, [["a", "b", "c"]])

    assert fm.records_of(program.cores[0], "starts").tolist() == [(0, 6, 1), (8, 1, 4)]
    assert assert_equals_told(net, program, {}).counters["starts"][0, 0].tolist() == [0, 3, 0, 0, 1]


def test_currents_act_in_the_window_of_their_population() -> None:
    net = network(
        [
            current("i", 2),
            population("a", 2, {"vth": 5}, current="i"),
            population("b", 2, {"vth": 1000, "bias_mant": 1}, current="i"),
        ]
    )
    program = program_of(net, [["a"], ["b"]], {"a": 0, "b": 2})
    stimulus = {"i": np.array([[[100, -7]] * 5, [[200, 2**30]] * 5])}
    trace = assert_equals_told(net, program, stimulus)

    assert trace.v["a"][0, :, 0].tolist() == [100, 200, 300, 0, 100, 100, 100]
    assert trace.v["b"][0, :, 1].tolist() == [1, 2, -4, -10, -16, -22, -28]
    assert trace.spikes["i"][1, :, 0].tolist() == [200] * 5 + [0, 0]
    assert trace.counters["host_writes"].tolist() == [[[2, 0, 0, 0, 0, 0, 0]] * 2, [[0, 0, 2, 0, 0, 0, 0]] * 2]
    assert program.currents["i"].populations == ("a", "b")
    assert not program.inputs
    assert "i [2] current of a, b" in program_text(program)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.array([[[1, 2], [1, 3]]]),
            "the current 'i' changes within a sample; the host writes one value per sample and neuron\n"
            "hint:  give each sample the same value in all its ticks",
        ),
        (np.array([[[1, 2**31]]]), "the stimulus of 'i' has values beyond 32 bits"),
        (np.zeros((1, 2, 3), int), "the stimulus of 'i' has the shape (1, 2, 3); (samples, ticks >= 1, 2) is needed"),
        (None, "the stimulus has no array for the input 'i'"),
    ],
)
def test_a_wrong_current(values: Any, message: str) -> None:
    program = program_of(network([current("i", 2), population("a", 2, current="i")]), [["a"]])
    with pytest.raises(NetworkError) as caught:
        ChipSimulation().run(program, {} if values is None else {"i": values})

    assert str(caught.value) == f"error[NC0211 bad-stimulus]: {message}"


def ternary_net() -> tuple[IntegerNetwork, dict[str, Any]]:
    net = network(
        [feed("x", 2), population("a", 2, {"vth": 15, "vth_low": -9}), population("b", 1, {"vth": 131071})],
        [projection("x", "a", [[10, 0], [0, 10]], binary=False), projection("a", "b", [[20, -30]], [[1, 2]], binary=False)],
        8,
    )
    return net, {"x": np.array([[[1, -1]] * 8, [[-3, 7]] * 8])}


def test_ternary_spikes_and_values() -> None:
    net, stimulus = ternary_net()
    program = program_of(net, [["a"], ["b"]])
    trace = assert_equals_told(net, program, stimulus)

    assert trace.spikes["a"][0].T.tolist() == [[0, 0, 1, 0, 1, 0, 1, 0], [0, -1, -1, -1, -1, -1, -1, -1]]
    assert trace.v["a"][0].T.tolist() == [[0, 640, 0, 640, 0, 640, 0, 640], [0] * 8]
    assert trace.u["b"][0, :5, 0].tolist() == [0, 0, 0, (20 + 30) * 64, 30 * 64]
    assert trace.spikes["a"].dtype == np.int32
    assert fm.records_of(program.cores[0], "header")["payload"].tolist() == [1]
    records = fm.records_of(program.cores[0], "compartments")
    assert (records["role"].tolist(), records["threshold_low"].tolist()) == ([1, 1], [-9, -9])
    assert program.inputs["x"].graded
    # Messages are counted, not what they carry.
    assert trace.counters["spikes"][0, 0].tolist() == [0, 1, 2, 1, 2, 1, 2, 1]
    assert trace.counters["packets"][0, 0].tolist() == [0, 1, 2, 1, 2, 1, 2, 1]
    assert trace.counters["packets_received"][:, 1].tolist() == [[2] * 8, [0, 2, 2, 2, 2, 2, 2, 2]]
    assert trace.counters["host_packets"][0, 1].tolist() == [2] * 8


def test_without_values_messages_count_one() -> None:
    """The same bytes with the payload 0: signs and magnitudes are lost on that core."""
    net, stimulus = ternary_net()
    program = changed(changed(program_of(net, [["a"], ["b"]]), 0, "header", payload=0), 1, "header", payload=0)
    binary = replace(net, projections=tuple(replace(q, binary=True) for q in net.projections))

    assert_equals_told(binary, program, stimulus)


def test_a_binary_input_beside_values_sends_one() -> None:
    net = network(
        [feed("x", 1), feed("y", 1), population("a", 1)],
        [projection("x", "a", [[2]]), projection("y", "a", [[4]], binary=False)],
    )
    program = program_of(net, [["a"]])
    trace = assert_equals_told(net, program, {"x": np.array([[[5], [0], [-1]]]), "y": np.array([[[5], [0], [-1]]])})

    assert trace.u["a"][0, :, 0].tolist() == [0, (2 + 4 * 5) * 64, 0]
    assert (program.inputs["x"].graded, program.inputs["y"].graded) == (False, True)


@pytest.mark.parametrize("size", [1, 40], ids=["matrix", "list"])
def test_sums_of_values_are_exact_beyond_float64(size: int) -> None:
    """300 sources add up beyond 2**53 and as many take it off again; one odd product remains."""
    huge, targets = 2**31 - 1, np.arange(size) == 0
    big = np.where(targets[:, None], np.full((1, 300), 254), 0)
    one = np.where(targets[:, None], [[2]], 0)
    net = network(
        [feed("p", 300), feed("s", 1), feed("m", 300), population("a", size)],
        [projection("p", "a", big, exponent=7, binary=False), projection("s", "a", one, exponent=-1, binary=False),
         projection("m", "a", -big, exponent=7, binary=False)],
    )  # fmt: skip
    program = program_of(net, [["a"]])
    stimulus = {"p": np.full((1, 2, 300), huge), "s": np.full((1, 2, 1), 77), "m": np.full((1, 2, 300), huge)}
    trace = ChipSimulation().run(program, stimulus)

    assert 300 * 254 * 128 * huge > 2**53
    assert trace.u["a"][0, 1].tolist() == [77 * 64, *[0] * (size - 1)]
    assert not trace.events


def test_u_is_right_where_the_words_of_lava_wrap() -> None:
    """A sum of values beyond 32 bits wraps in the reference, as in Lava; before its overflow u is such a word anyway."""
    rng = np.random.default_rng(5)
    net = network(
        [feed("x", 30), population("a", 9, {"vth": 131071, "du": 10})],
        [projection("x", "a", rng.integers(-100, 127, (9, 30)) * 2, exponent=3, binary=False)],
        6,
    )
    stimulus = {"x": rng.integers(-(2**31), 2**31, (2, 6, 30))}
    a, b = ChipSimulation().run(program_of(net, [["a"]]), stimulus), ReferenceSimulator().run(net, stimulus)

    assert np.array_equal(a.u["a"], b.u["a"])
    assert np.array_equal(a.v["a"], b.v["a"])
    assert {event.register for event in a.events} >= {"accumulator", "u"}


def test_two_messages_of_opposite_values_to_one_axon() -> None:
    """Their sum is 0, and yet both arrive."""
    net, stimulus = ternary_net()
    program = changed(program_of(net, [["a"], ["b"]]), 1, "input_axons", pointer=0)
    program = changed(program, 0, "output_axons", axon=0)
    trace = ChipSimulation().run(program, stimulus)

    assert trace.counters["packets_received"][1, 0].tolist() == [0, 1, 2, 1, 2, 1, 2, 1]
    assert trace.u["b"][0, :5, 0].tolist() == [0, 0, -20 * 64, 0, -20 * 64]


# Bases


def with_bases(program: Program) -> Program:
    """Return the program with each row counted from its smallest compartment, and equal ones stored once."""
    cores = []
    for core in program.cores:
        d = fm.decode_core(core)
        h, f = d.header, d.formats
        rows = [d.rows.row(int(row)) for row in d.axon_row]
        indices = [row.index + int(base) for row, base in zip(rows, d.axon_base, strict=True)]
        bases = [int(index.min(initial=1 << 15)) % (1 << 15) for index in indices]
        axons, words, seen = np.zeros(len(rows), fm.INPUT_AXON), np.zeros(0, np.uint64), {}
        for axon, (row, index, base) in enumerate(zip(rows, indices, bases, strict=True)):
            new, _ = fm.encode_rows(replace(row, index=index - base), f, h["cost_formula"], h["synapses_per_entry"])
            if new.tobytes() not in seen:
                seen[new.tobytes()] = len(words)
                words = np.append(words, new)
            axons[axon] = (seen[new.tobytes()], len(new), base, 0)
        tables = {"input_axons": fm.to_bytes(axons), "synapse_words": fm.to_bytes(words)}
        cores.append(CoreTables(core.chip, core.core, {**core.tables, **tables}))
    return replace(program, cores=tuple(cores))


def conv_net() -> tuple[IntegerNetwork, dict[str, Any]]:
    """A convolution of 3 by 3 over 8 by 8 pixels, whose inner pixels reach the same synapses, shifted."""
    rng = np.random.default_rng(3)
    pattern = Pattern("conv2d", {}, {"kernel": (3, 3), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": (1,)})
    kernel = rng.integers(1, 60, (2, 1, 3, 3)).astype(np.int8)
    a = IntegerPopulation("a", (2, 6, 6), "compartment", population("a", 1, {"vth": 200, "dv": 100}).parameters)
    conv = IntegerProjection("x-a", "x", "a", pattern, kernel, 1, "mixed", 8, 0, np.asarray(1))
    net = network(
        [feed("x", 1, 8, 8), a, population("b", 3)], [conv, projection("a", "b", rng.integers(-60, 60, (3, 72)) * 2, 2)]
    )
    return net, {"x": (rng.random((2, 10, 64)) < 0.3).astype(np.int64)}


def test_axons_with_a_base_share_a_row() -> None:
    net, stimulus = conv_net()
    mapped, violations = map_in_order(LoweredNetwork(net, {"x": 0, "a": 0, "b": 1}, {}), LOIHI)
    assert mapped is not None, violations
    plain = emit(mapped, LOIHI)
    program = with_bases(plain)
    core = fm.decode_core(program.cores[0])
    trace = assert_equals_told(net, program, stimulus)

    assert len(np.unique(core.axon_row[:64])) < 32 < len({tuple(row) for row in synapses_of(program)[:64]})
    assert len(np.unique(core.axon_base)) > 20
    before = ChipSimulation().run(plain, stimulus)
    for name in before.counters:
        assert np.array_equal(before.counters[name], trace.counters[name]), name


def test_an_index_beyond_the_compartments_is_dropped_and_counted() -> None:
    net = network([feed("x", 2), population("a", 3)], [projection("x", "a", [[2, 4], [6, 8], [10, 12]])])
    program = changed(program_of(net, [["a"]]), 0, "input_axons", base=[0, 2])
    trace = ChipSimulation().run(program, {"x": np.ones((1, 2, 2), int)})

    assert trace.counters["dropped"][0, 0].tolist() == [2, 2]
    assert trace.counters["synaptic_events"][0, 0].tolist() == [6, 6]
    assert trace.u["a"][0, 1].tolist() == [2 * 64, 6 * 64, (10 + 4) * 64]
    far = changed(program, 0, "input_axons", base=65535)
    assert ChipSimulation().run(far, {"x": np.ones((1, 2, 2), int)}).counters["dropped"][0, 0].tolist() == [6, 6]


def test_a_synapse_into_a_reset_compartment_is_dropped_and_counted() -> None:
    net, spikes = relay(reset="subtract", compartments=2)
    program = changed(program_of(net, [["a"]]), 0, "input_axons", base=1)
    trace = ChipSimulation().run(program, spikes)

    assert trace.counters["dropped"][0, 0].tolist() == [1] * 12
    assert not trace.u["a"].any()
    assert not trace.counters["updates_active"].any()


def test_a_reset_compartment_never_integrates() -> None:
    """Whatever its other fields say: they are not read."""
    net, spikes = relay(reset="subtract", compartments=2, parameters={"du": 100})
    program = program_of(net, [["a"]])
    fields = {"bias_mantissa": [0, 4095], "bias_exponent": [0, 7], "u_init": [0, 99], "v_init": [0, 99], "reset": [2, 3]}
    other = changed(program, 0, "compartments", **fields)
    a, b = (ChipSimulation().run(p, spikes) for p in (program, other))

    assert np.array_equal(a.v["a"], b.v["a"])
    assert all(np.array_equal(a.counters[name], b.counters[name]) for name in a.counters)


# All features together

Kind = Literal["zero", "subtract", "pair", "none"]


def random_case(seed: int) -> tuple[IntegerNetwork, Program, dict[str, Any]]:
    """A lowered network of a random choice of features on one to three cores, and a stimulus of two samples."""
    rng = np.random.default_rng(seed)
    values = bool(rng.random() < 0.5)
    ticks = int(rng.integers(6, 25))
    populations = [feed("x", int(rng.integers(1, 5)))]
    lag = {"x": 0}
    stimulus: dict[str, Any] = {}
    for index in range(int(rng.integers(1, 5))):
        name, size = "abcd"[index], int(rng.integers(1, 6))
        lag[name] = index
        kind: Kind = rng.choice(["zero", "subtract", "pair", "none"])
        parameters: dict[str, Any] = {
            "du": rng.choice([4095, 4095, 1000, 0]), "dv": rng.choice([0, 128, 4095]),
            "vth": rng.choice([10, 30, 31, 50, 100, 115], size),
            "bias_mant": rng.integers(-40, 90, size) * int(rng.integers(0, 2)), "bias_exp": rng.integers(0, 6),
            "u_init": rng.integers(-999, 1000, size), "v_init": rng.integers(-3000, 3000, size),
        }  # fmt: skip
        if values and rng.random() < 0.5:
            parameters["vth_low"] = -rng.integers(0, 120, size)
        fields: dict[str, Any] = {
            "reset": "subtract" if kind == "pair" else kind,
            "compartments": 2 if kind == "pair" else 1,
            "refractory": int(rng.choice([0, 0, 1, 2, 5])),
        }
        if rng.random() < 0.4:
            fields |= {"reset_interval": int(rng.integers(1, 9)), "reset_offset": int(rng.integers(0, 9))}
        if rng.random() < 0.2:
            fields["start"] = int(rng.integers(1, 5))
        if rng.random() < 0.3:
            fields["current"] = f"i{index}"
            populations.append(current(f"i{index}", size))
            lag[f"i{index}"] = 0
            stimulus[f"i{index}"] = np.repeat(rng.integers(-900, 2500, (2, 1, size)), ticks, axis=1)
        populations.append(population(name, size, parameters, **fields))
    by_name = {p.name: p for p in populations}
    neurons = [p for p in populations if not p.is_input]
    graded_input = values and bool(rng.random() < 0.5)
    sources = [p for p in populations if p.dynamics != "current"]
    projections = []
    for target in neurons:
        for source in rng.choice(np.array([p.name for p in sources]), int(rng.integers(1, 3)), replace=False).tolist():
            shape = (target.size, by_name[source].size)
            delay = rng.integers(1, 6, shape) if rng.random() < 0.4 else int(rng.integers(1, 4))
            weights = rng.integers(-30, 50, shape) * 2
            binary = not (by_name[source].dynamics == "ternary" or (source == "x" and graded_input))
            projections.append(projection(source, target.name, weights, delay, int(rng.integers(0, 3)), binary))
    spread = int(rng.integers(1, 4))
    cores = [[p.name for p in neurons[part::spread]] for part in range(min(spread, len(neurons)))]
    net = network(populations, projections, ticks)
    spikes = rng.integers(-3, 4, (2, ticks, by_name["x"].size)) * (rng.random((2, ticks, by_name["x"].size)) < 0.5)
    stimulus["x"] = spikes if graded_input else np.abs(np.sign(spikes))
    return net, program_of(net, cores, lag), stimulus


@pytest.mark.parametrize("seed", range(120))
def test_random_programs_equal_the_transcription(seed: int) -> None:
    net, program, stimulus = random_case(seed)
    trace = assert_equals_told(net, program, stimulus)
    shared = ChipSimulation().run(with_bases(program), stimulus)

    for register in REGISTERS:
        for name, values in getattr(trace, register).items():
            assert np.array_equal(getattr(shared, register)[name], values)


@pytest.mark.parametrize("seed", range(1000, 1030))
def test_random_programs_of_the_mapper_equal_the_transcription(seed: int) -> None:
    """Placed by the mapper instead of by hand, on a chip whose neurons are single compartments."""
    net, by_hand, stimulus = random_case(seed)
    single = {p.name: replace(p, compartments=1) for p in net.populations.values()}
    net = replace(net, populations=single)
    lag = {name: by_hand.populations[name].lag if name in by_hand.populations else 0 for name in single}
    mapped, violations = map_in_order(LoweredNetwork(net, lag, {}), LOIHI_2)
    assert mapped is not None, violations

    assert_equals_told(net, emit(mapped.verify(LOIHI_2), LOIHI_2), stimulus)


def test_random_programs_have_variety() -> None:
    found: dict[str, int] = {}
    for seed in range(120):
        net, program, stimulus = random_case(seed)
        trace = ChipSimulation().run(program, stimulus)
        for p in net.populations.values():
            if not p.is_input and trace.spikes[p.name].any():
                reset = "pair" if p.compartments == 2 else p.reset
                for feature in (reset, p.dynamics, "refractory" if p.refractory else "", "current" if p.current else ""):
                    found[feature] = found.get(feature, 0) + 1
        for name in ("resets", "host_writes", "starts"):
            found[name] = found.get(name, 0) + bool(trace.counters[name].any())
        found["-1"] = found.get("-1", 0) + any((s < 0).any() for n, s in trace.spikes.items() if n in program.populations)

    least = dict.fromkeys(
        ("pair", "subtract", "none", "zero", "ternary", "refractory", "current", "resets", "host_writes", "starts", "-1"), 15
    )
    assert {name: found[name] >= n for name, n in least.items()} == dict.fromkeys(least, True), found


def test_samples_are_independent_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(20):
        _, program, stimulus = random_case(seed)
        whole = ChipSimulation().run(program, stimulus)
        with monkeypatch.context() as patch:
            patch.setattr(chip, "CHUNK_BYTES", 1)
            single = ChipSimulation().run(program, stimulus)
        for register in (*REGISTERS, "counters"):
            for name, values in getattr(whole, register).items():
                assert np.array_equal(values, getattr(single, register)[name])


# Injection


def differs(program: Program, trace: Trace) -> bool:
    stimulus = {name: trace.spikes[name][:, : trace.ticks] for name in (*program.inputs, *program.currents)}
    run = ChipSimulation().run(program, stimulus)
    pairs = ((run.spikes, trace.spikes), (run.u, trace.u), (run.v, trace.v))
    return any(not np.array_equal(run.window(a[n], n), trace.window(b[n], n)) for a, b in pairs for n in b)


@pytest.mark.parametrize("kind", CORRUPTIBLE)
def test_every_injection_shows(kind: str) -> None:
    """Whatever the features; most of the networks have something to corrupt, and the first candidates show it."""
    injected = 0
    for seed in range(40):
        _, program, stimulus = random_case(seed)
        program = with_bases(program)
        trace = ChipSimulation().run(program, stimulus)
        try:
            injection = inject(program, trace, kind, seed)
        except NetworkError as error:
            if [diagnostic.code for diagnostic in error.diagnostics] != ["NC0702"]:
                raise
            continue
        injected += 1
        assert differs(injection.program, trace)
        assert injection.program.digest() == inject(program, trace, kind, seed).program.digest()

    assert injected > 30


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
def test_an_injection_changes_one_synapse_of_one_axon_of_a_shared_row(kind: str) -> None:
    net, stimulus = conv_net()
    program = with_bases(program_of(net, [["b", "a"]], {"b": 1}, LOIHI))
    trace = ChipSimulation().run(program, stimulus)
    before = synapses_of(program)
    moved = 0
    for seed in range(25):
        after = inject(program, trace, kind, seed).program
        rows = [(a, b) for a, b in zip(before, synapses_of(after), strict=True) if a != b]
        assert len(rows) == 1
        removed, added = ([x for x in first if x not in second] for first, second in (rows[0], rows[0][::-1]))
        assert (len(removed), len(added)) == (1, 1)
        same = [name for name, a, b in zip(("target", "weight", "delay"), removed[0], added[0], strict=True) if a == b]
        assert kind not in same
        assert len(same) == 2
        old, new = (fm.records_of(p.cores[0], "input_axons")["base"] for p in (program, after))
        moved += not np.array_equal(old, new)
    assert (moved > 0) == (kind == "target")


def test_a_held_potential_is_no_reason_to_lower_a_threshold() -> None:
    """Between its spikes the neuron only ever holds a residue that nothing compares: its threshold can only be raised."""
    net, spikes = relay(reset="subtract", refractory=1, parameters={"vth": 5})
    program = program_of(net, [["a"]])
    trace = ChipSimulation().run(program, spikes)

    assert trace.v["a"][0, :5, 0].tolist() == [0, 320, 320, 640, 640]
    assert inject(program, trace, "threshold", 0).description == "threshold of a[0] 5 -> 131071"
    unheld, spikes = relay(reset="subtract", parameters={"vth": 15})
    program = program_of(unheld, [["a"]])
    trace = ChipSimulation().run(program, spikes)
    assert inject(program, trace, "threshold", 0).description == "threshold of a[0] 15 -> 14"


def test_a_windowed_trace_does_not_tell_what_was_held_at_its_start() -> None:
    net = network([feed("x", 1), population("a", 1, {"vth": 5, "v_init": 3000}, refractory=9, reset="subtract")], [], 4)
    program = program_of(net, [["a"]], {"a": 2})
    trace = ChipSimulation().run(program, {"x": np.zeros((1, 4, 1), int)}).in_user_time()

    assert trace.v["a"].tolist() == [[[2680]] * 4]
    with pytest.raises(NetworkError, match="the stimulus exercises no threshold"):
        inject(program, trace, "threshold", 0)


def test_a_threshold_of_a_pair_is_shared_with_its_reset_compartment() -> None:
    net, spikes = relay(reset="subtract", compartments=2)
    program = program_of(net, [["a"]], spec=LOIHI)
    injection = inject(program, ChipSimulation().run(program, spikes), "threshold", 0)

    assert injection.description == "threshold of a[0] 15 -> 14, a profile shared with 1 more compartments"


def test_a_lower_threshold_alone_is_no_reason_to_raise_the_upper_one() -> None:
    """It spikes -1 in each tick, and no other tick is left."""
    net = network([feed("x", 1), population("a", 1, {"vth": 15, "vth_low": -3, "bias_mant": -999})], [], 4)
    program = program_of(net, [["a"]])
    trace = ChipSimulation().run(program, {"x": np.zeros((1, 4, 1), int)})

    assert trace.spikes["a"].tolist() == [[[-1]] * 4]
    with pytest.raises(NetworkError, match="the stimulus exercises no threshold"):
        inject(program, trace, "threshold", 0)


def test_a_synapse_can_be_sent_to_a_reset_compartment() -> None:
    net, spikes = relay(reset="subtract", compartments=2)
    program = program_of(net, [["a"]])
    injection = inject(program, ChipSimulation().run(program, spikes), "target", 0)

    assert injection.description == "target of x[0] -> a[0] becomes the reset compartment of a[0]"
    assert ChipSimulation().run(injection.program, spikes).counters["dropped"].sum() == 12


# What emission refuses, and what a program claims


@pytest.mark.parametrize(
    ("net", "spec", "claim"),
    [
        (network([population("a", 1, compare=">=")]), LOIHI, "'a' spikes where its potential exceeds its threshold"),
        (network([population("a", 1, fires=False)]), LOIHI, "'a' spikes where its potential exceeds its threshold"),
        (network([population("a", 1, reset="subtract")]), LOIHI, "compartments of loihi reset as 'a' does"),
        (network([population("a", 1, reset="none")]), LOIHI, "compartments of loihi reset as 'a' does"),
        (network([population("a", 1, compartments=2)]), LOIHI_2, "compartments of loihi2 reset as 'a' does"),
        (network([population("a", 1, refractory=256)]), LOIHI, "the refractory ticks of 'a' fit their field"),
        (network([population("a", 1, reset_interval=2**32)]), LOIHI, "the reset schedule of 'a' fits its fields"),
        (network([population("a", 1, start=2**32)]), LOIHI, "the start of 'a' fits its field"),
        (
            network(
                [feed("x", 1), population("a", 1)],
                [projection("x", "a", [[2]]), projection("x", "a", [[4]], binary=False)],
            ),
            LOIHI_2,
            "'x-a' counts messages as 1 on a core where they carry values",
        ),
        (
            network(
                [feed("x", 1), population("t", 1, {"vth_low": -4}), population("a", 1)],
                [projection("t", "a", [[2]]), projection("x", "a", [[4]], binary=False)],
            ),
            LOIHI_2,
            "'t-a' counts messages as 1 on a core where they carry values",
        ),
        (
            network([current("i", 1), population("a", 1)], [projection("i", "a", [[2]])]),
            LOIHI,
            "the current 'i' has no synapses",
        ),
    ],
)  # fmt: skip
def test_what_compartments_cannot_do_is_our_bug(net: IntegerNetwork, spec: Any, claim: str) -> None:
    cores = [[p.name] for p in net.populations.values() if not p.is_input]
    with pytest.raises(InternalError, match=claim):
        program_of(net, cores, spec=spec)


def test_a_synapse_into_a_reset_compartment_is_our_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    net, _ = relay(reset="subtract", compartments=2)

    def one_further(*arguments: Any) -> CoreRows:
        rows = rows_of_core(*arguments)
        return replace(rows, axon_base=rows.axon_base + 1)

    monkeypatch.setattr(emission, "rows_of_core", one_further)
    with pytest.raises(InternalError, match="no synapse leads to a reset compartment"):
        program_of(net, [["a"]])


def test_messages_count_one_where_only_other_cores_need_values() -> None:
    """A ternary population and a graded input may reach binary synapses on a core of their own."""
    net = network(
        [feed("x", 1), population("t", 1, {"vth": 5, "vth_low": -4}), population("a", 1), population("b", 1)],
        [projection("x", "t", [[20]], binary=False), projection("t", "a", [[2]], binary=False), projection("t", "b", [[2]]),
         projection("x", "b", [[4]])],
    )  # fmt: skip
    program = program_of(net, [["t", "a"], ["b"]])

    assert [int(fm.records_of(core, "header")["payload"][0]) for core in program.cores] == [1, 0]
    assert_equals_told(net, program, {"x": np.array([[[3], [-5], [0], [-1], [0], [0]]])})


def test_programs_verify_their_currents() -> None:
    program = program_of(network([current("i", 2), population("a", 2, current="i"), population("b", 2)]), [["a", "b"]])
    broken = {
        "no population has two currents": {"i": CurrentSymbol((2,), ("a", "a"))},
        "'b' is a current and nothing else": {"b": CurrentSymbol((2,), ())},
        "the current 'i' has a value for each neuron that it drives": {"i": CurrentSymbol((3,), ("a",))},
    }

    for claim, currents in broken.items():
        with pytest.raises(InternalError, match=claim):
            replace(program, currents=currents).verify()
    with pytest.raises(InternalError, match="the current 'i' has a value for each neuron that it drives"):
        replace(program, currents={"i": CurrentSymbol((2,), ("z",))}).verify()


def test_the_digest_covers_all_symbols() -> None:
    net, _ = ternary_net()
    program = program_of(net, [["a"], ["b"]])
    others = [
        replace(program, currents={"i": CurrentSymbol((2,), ("a",))}),
        replace(program, currents={"i": CurrentSymbol((2,), ())}),
        replace(program, inputs={"x": replace(program.inputs["x"], graded=False)}),
        changed(program, 0, "header", payload=0),
        changed(program, 0, "input_axons", base=1),
    ]

    assert len({program.digest(), *(other.digest() for other in others)}) == 6


@pytest.mark.parametrize(
    ("table", "fields"),
    [
        ("header", {"payload": 9}),
        ("compartments", {"reset": 7}),
        ("compartments", {"role": 9}),
        ("compartments", {"reset": 0}),
        ("resets", {"interval": 0}),
        ("resets", {"count": 3}),
        ("starts", {"count": 3}),
    ],
)
def test_corrupted_bytes_are_refused(table: str, fields: dict[str, int]) -> None:
    net, spikes = relay(reset="subtract", compartments=2, reset_interval=3, start=1)
    program = program_of(net, [["a"]])
    ChipSimulation().run(program, spikes)

    with pytest.raises(ArtifactError) as caught:
        ChipSimulation().run(changed(program, 0, table, **fields), spikes)
    assert caught.value.diagnostics[0].code == "NC0602"
