"""The reference simulator against a scalar transcription of docs/semantics.md, and its contract; random networks too."""

from __future__ import annotations

import dataclasses
import doctest
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from neurocomp.errors import InternalError, NetworkError
from neurocomp.hardware import NumberFormat
from neurocomp.ir.network import Network
from neurocomp.ir.quantized import IntegerNetwork
from neurocomp.ir.trace import Event
from neurocomp.models.neurons import NEURON_MODELS
from neurocomp.models.patterns import PATTERNS, Pattern
from neurocomp.testing import golden
from neurocomp.testing.golden import compartments, driven, first_difference, input_population, integer_network, synapses
from neurocomp.testing.random_networks import LOIHI, Variety
from neurocomp.testing.strategies import native_networks, random_network, random_real_network, real_networks, stimuli
from neurocomp_reference import ReferenceSimulator, simulator, steps
from neurocomp_reference.steps import dense, shift

Array = NDArray[Any]
M = 2**23


def integers_of(network: Network) -> IntegerNetwork:
    """Return a native network as integers, without the compiler."""
    populations = []
    for p in network.populations.values():
        if p.neuron is None:
            populations.append(input_population(p.name, p.size))
        else:
            populations.append(compartments(p.name, p.size, p.neuron.parameters, fires=NEURON_MODELS[p.neuron.model].fires))
    projections = []
    for q in network.projections:
        assert q.native is not None
        projection = synapses(
            q.source,
            q.target,
            q.weights,
            name=q.name,
            pattern=q.pattern,
            sign_mode=q.native.sign_mode,  # type: ignore[arg-type]
            weight_bits=q.native.weight_bits,
            exponent=q.native.weight_exp,
            delay=q.delay,
        )
        np.testing.assert_array_equal(projection.weights, q.weights)  # nothing is clipped or truncated
        projections.append(projection)
    return integer_network(populations, projections, form=LOIHI, ticks=network.ticks)


def scalar_run(network: IntegerNetwork, stimulus: dict[str, list[list[int]]], ticks: int) -> dict[str, list[list[int]]]:
    """Run one sample with Python integers, neuron by neuron and synapse by synapse.

    Args:
        network: A checked Loihi network.
        stimulus: Input -> tick -> neuron -> value.
        ticks: How long.

    Returns:
        ``s/name``, ``u/name``, ``v/name`` -> tick -> neuron -> value.
    """
    into: dict[tuple[str, int], list[tuple[int, str, int, int, int, int]]] = {}
    for number, q in enumerate(network.projections):
        listed = PATTERNS[q.pattern.kind].synapses(q.pattern, *network.shapes(q))
        weights, delays = q.weights.ravel(), np.broadcast_to(q.delay, q.mantissa.shape).ravel()
        for source, target, slot in zip(listed.source, listed.target, listed.slot, strict=True):
            entry = (number, q.source, int(source), int(weights[slot]), int(delays[slot]), q.exponent)
            into.setdefault((q.target, int(target)), []).append(entry)
    order: list[str] = []
    waiting = list(network.populations)
    while waiting:
        ready = [
            name
            for name in waiting
            if not any(
                q.target == name and q.source in waiting and q.delay.size and q.delay.min() == 0 for q in network.projections
            )
        ]
        order += ready
        waiting = [name for name in waiting if name not in ready]

    out: dict[str, list[list[int]]] = {f"{r}/{name}": [] for name in order for r in "suv"}
    for t in range(ticks):
        for name in order:
            population = network.populations[name]
            if population.is_input:
                out[f"s/{name}"].append(stimulus[name][t])
                continue
            rows: dict[str, list[int]] = {"s": [], "u": [], "v": []}
            for i in range(population.size):
                du, dv, vth, mant, exp, u0, v0 = (int(population.values(key)[i]) for key in (
                    "du", "dv", "vth", "bias_mant", "bias_exp", "u_init", "v_init"
                ))  # fmt: skip
                groups: dict[tuple[int, int], int] = {}
                exponents: dict[tuple[int, int], int] = {}
                for number, source, j, weight, delay, exponent in into.get((name, i), []):
                    if t >= delay and out[f"s/{source}"][t - delay][j]:
                        groups[number, delay] = groups.get((number, delay), 0) + weight
                        exponents[number, delay] = exponent
                a = sum(g << exponents[k] if exponents[k] >= 0 else g >> -exponents[k] for k, g in groups.items())
                u = out[f"u/{name}"][t - 1][i] if t else u0
                v = out[f"v/{name}"][t - 1][i] if t else v0
                product = abs(u) * (4096 - du - 1) // 4096
                u = (product if u >= 0 else -product) + 64 * a
                u = u - 2 * M if u > M else u + 2 * M if u <= -M else u
                product = abs(v) * (4096 - dv) // 4096
                v = (product if v >= 0 else -product) + u + mant * 2**exp
                v = max(-(M - 1), min(M - 1, v))
                spike = population.fires and v > 64 * vth
                for register, value in (("s", int(spike)), ("u", u), ("v", 0 if spike else v)):
                    rows[register].append(value)
            for register, row in rows.items():
                out[f"{register}/{name}"].append(row)
    return out


def assert_equals_scalar(network: Network, stimulus: Any) -> None:
    integers = integers_of(network)
    trace = ReferenceSimulator().run(integers, stimulus)
    for sample in range(next(iter(trace.spikes.values())).shape[0]):
        expected = scalar_run(integers, {name: values[sample].tolist() for name, values in stimulus.items()}, trace.ticks)
        for name in trace.u:
            actual = {"s": trace.spikes[name][sample], "u": trace.u[name][sample], "v": trace.v[name][sample]}
            difference = first_difference(actual, {r: np.array(expected[f"{r}/{name}"]) for r in "suv"})
            assert difference is None, f"{name}, sample {sample}: {difference}"


@pytest.mark.parametrize("seed", range(40))
def test_seeded_networks_equal_the_scalar_transcription(seed: int) -> None:
    assert_equals_scalar(*random_network(seed))


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_drawn_networks_equal_the_scalar_transcription(data: st.DataObject) -> None:
    network = data.draw(native_networks())
    assert_equals_scalar(network, data.draw(stimuli(network)))


@given(real_networks())
@settings(max_examples=25, deadline=None)
def test_real_networks_are_valid(network: Network) -> None:
    assert network.verify() is network
    assert all(p.neuron is None or p.neuron.number_format is None for p in network.populations.values())


def test_random_networks_have_variety() -> None:
    spiking, kinds, events, delayed = 0, set(), set(), 0
    for seed in range(150):
        network, stimulus = random_network(seed)
        trace = ReferenceSimulator().run(integers_of(network), stimulus)
        spiking += any(trace.spikes[p].any() for p in trace.u)
        kinds |= {q.pattern.kind for q in network.projections}
        events |= {event.register for event in trace.events}
        delayed += any(q.delay.ndim for q in network.projections)
    assert spiking > 110
    assert kinds == {"dense", "one_to_one", "sparse"}
    assert events == {"accumulator", "u", "v"}
    assert delayed > 50


def test_random_networks_follow_their_seed_and_variety() -> None:
    (first, a), (again, b), (other, _) = random_network(5), random_network(5), random_network(6)
    assert [p.shape for p in first.populations.values()] == [p.shape for p in again.populations.values()]
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert [q.name for q in first.projections] != [q.name for q in other.projections]
    plain = Variety(biases=False, initial_states=False, recurrence=False, readouts=False, extremes=False, max_delay=0)
    for seed in range(40):
        network, _ = random_network(seed, plain)
        position = {name: i for i, name in enumerate(network.populations)}
        assert all(position[q.source] < position[q.target] and not q.delay.any() for q in network.projections)
        neurons = [p.neuron for p in network.populations.values() if p.neuron is not None]
        assert not any(n.parameters[key].any() for n in neurons for key in ("bias_mant", "u_init", "v_init"))
    real, stimulus = random_real_network(1)
    assert set(stimulus) == {p.name for p in real.inputs}


def test_samples_are_independent_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    network, _ = random_network(3)
    spikes = {p.name: (np.random.default_rng(0).random((7, 12, p.size)) < 0.4).astype(np.uint8) for p in network.inputs}
    whole = ReferenceSimulator().run(integers_of(network), spikes)
    monkeypatch.setattr(simulator, "CHUNK_BYTES", 1)
    single = ReferenceSimulator().run(integers_of(network), spikes)
    for table in ("spikes", "u", "v"):
        for name, values in getattr(whole, table).items():
            np.testing.assert_array_equal(values, getattr(single, table)[name])
    assert whole.events == single.events


def relay(delay: int = 0, **parameters: int) -> IntegerNetwork:
    """Return in -> a -> b with weight 2 and threshold 1, so that a spike runs through."""
    parts = [input_population("in", 1), *(compartments(n, 1, {"du": 4095, "dv": 4095, "vth": 1, **parameters}) for n in "ab")]
    return integer_network(
        parts[:1] + parts[:0:-1], [synapses("a", "b", [[2]], delay=delay), synapses("in", "a", [[2]])], ticks=5
    )


ONE = np.array([[[1], [0], [0], [0]]])


def test_no_delay_acts_in_the_tick_of_the_spike() -> None:
    trace = ReferenceSimulator().run(relay(), {"in": ONE})
    assert trace.spikes["a"].ravel().tolist() == [1, 0, 0, 0]
    assert trace.spikes["b"].ravel().tolist() == [1, 0, 0, 0]


def test_delay_and_lag() -> None:
    trace = ReferenceSimulator().run(relay(3), {"in": ONE}, lag={"in": 0, "a": 0, "b": 2})
    assert trace.spikes["b"].ravel().tolist() == [0, 0, 0, 1, 0, 0]
    assert trace.ticks == 4
    assert trace.window(trace.spikes["b"], "b").ravel().tolist() == [0, 1, 0, 0]
    assert trace.u["b"].dtype == trace.spikes["b"].dtype == np.int32


def test_record_and_state() -> None:
    trace = ReferenceSimulator().run(relay(), {"in": ONE}, record=["b", "in"])
    assert (list(trace.spikes), list(trace.u), list(trace.v)) == (["in", "b"], ["b"], ["b"])
    assert ReferenceSimulator().run(relay(), {"in": ONE}, state=False).u == {}
    with pytest.raises(NetworkError, match=r"^error\[NC0201 unknown-population\]: there is no population 'bb' to record"):
        ReferenceSimulator().run(relay(), {"in": ONE}, record=["bb"])


def test_without_inputs_the_network_says_how_long() -> None:
    network = integer_network([compartments("n", 2, {"du": 4095, "bias_mant": [64, 10], "vth": [1, 131071]})], [], ticks=5)
    trace = ReferenceSimulator().run(network, {})
    assert trace.v["n"][0].T.tolist() == [[64, 0, 64, 0, 64], [10, 20, 30, 40, 50]]
    assert trace.spikes["n"][0, :, 0].tolist() == [0, 1, 0, 1, 0]


def test_readout_never_spikes() -> None:
    network = driven(compartments("n", 1, {"du": 4095}, fires=False))
    trace = ReferenceSimulator().run(network, {"a_in": np.array([[[5], [5]]])})
    assert not trace.spikes["n"].any()
    assert trace.v["n"].ravel().tolist() == [320, 640]


def test_periodic_reset_comes_before_the_update() -> None:
    neuron = compartments("n", 1, {"du": 0, "vth": 131071, "u_init": 500, "v_init": 7}, reset_interval=3, reset_offset=1)
    trace = ReferenceSimulator().run(driven(neuron), {"a_in": np.full((1, 5, 1), 1)})
    assert trace.u["n"].ravel().tolist() == [563, 64, 127, 190, 64]


@pytest.mark.parametrize(("overflow", "expected"), [("fold", [M, -M + 64, 2 * M]), ("wrap", [-M, -M + 64, 0])])
def test_current_overflows(overflow: Any, expected: list[int]) -> None:
    form = NumberFormat("odd", u_overflow=overflow, checked=False)
    network = driven(compartments("n", 1, {"du": 4095, "dv": 4096, "vth": 131071}, fires=False), form=form)
    trace = ReferenceSimulator().run(network, {"a_in": np.array([[[131072], [131073], [524288]]])})
    assert trace.u["n"].ravel().tolist() == expected


def test_events_name_the_first_place_and_count() -> None:
    network = driven(
        compartments("n", 2, {"du": 4095, "vth": 131071}, fires=False), form=dataclasses.replace(LOIHI, checked=False)
    )
    a = np.zeros((2, 3, 2), np.int64)
    a[0, 1, 1], a[0, 2, 0], a[1, 0, 0] = 32768, -32768, 131073
    trace = ReferenceSimulator().run(network, {"a_in": a})
    assert trace.events == (Event("n", "accumulator", 2, 0, 1, 1), Event("n", "u", 1, 1, 0, 0))


def test_dense_sums_are_exact_beyond_float64() -> None:
    weights = np.array([[3, 1]])
    big = np.array([[2**53 + 1, 0], [1, 2]])
    assert dense(weights, {}, {}, (2,), (1,))(big).tolist() == [[3 * 2**53 + 3], [5]]


def test_examples_in_docstrings() -> None:
    for module, least in ((steps, 4), (golden, 2)):
        result = doctest.testmod(module)
        assert result.failed == 0
        assert result.attempted >= least


def test_shift_rounds_to_minus_infinity() -> None:
    assert shift(np.array([-1, 1, -8, 9]), -3).tolist() == [-1, 0, -1, 1]


@pytest.mark.parametrize(
    ("stimulus", "message"),
    [
        ({}, "error[NC0211 bad-stimulus]: the stimulus has no array for the input 'in'"),
        (
            {"in": ONE, "im": ONE},
            "error[NC0211 bad-stimulus]: the stimulus names 'im', which is no input\nhint:  known: in",
        ),
        (
            {"in": np.zeros((1, 4, 2), int)},
            "error[NC0211 bad-stimulus]: the stimulus of 'in' has the shape (1, 4, 2); (samples, ticks >= 1, 1) is needed",
        ),
        ({"in": ONE * 0.5}, "error[NC0211 bad-stimulus]: the stimulus of 'in' has the dtype float64; integers are needed"),
        ({"in": ONE * 2**31}, "error[NC0211 bad-stimulus]: the stimulus of 'in' has values beyond 32 bits"),
    ],
)
def test_bad_stimulus(stimulus: dict[str, Array], message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        ReferenceSimulator().run(relay(), stimulus)
    assert str(caught.value) == message


def test_inputs_must_agree() -> None:
    network = integer_network([input_population("x", 1), input_population("y", 1)], [])
    with pytest.raises(NetworkError) as caught:
        ReferenceSimulator().run(network, {"x": ONE, "y": ONE[:, :2]})
    assert str(caught.value) == "error[NC0211 bad-stimulus]: inputs differ in (samples, ticks): (1, 2), (1, 4)"


def test_a_cycle_without_delay_is_a_bug_of_ours() -> None:
    neuron = compartments("n", 1, {})
    loop = synapses("n", "n", [1], pattern=Pattern("one_to_one"))
    with pytest.raises(InternalError, match="has no cycle of projections without delay"):
        ReferenceSimulator().run(integer_network([neuron], [loop]), {})
