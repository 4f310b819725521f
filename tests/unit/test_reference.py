"""The reference simulator's contract, and single features by hand; test_reference_oracle.py compares whole networks."""

from __future__ import annotations

import dataclasses
import doctest
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from neurocomp.errors import InternalError, NetworkError
from neurocomp.hardware import NumberFormat
from neurocomp.ir.network import Network
from neurocomp.ir.quantized import IntegerNetwork
from neurocomp.ir.trace import Event
from neurocomp.models.patterns import Pattern
from neurocomp.testing import golden
from neurocomp.testing.golden import (
    compartments,
    conv,
    current_population,
    driven,
    input_population,
    integer_network,
    integers_of,
    max_pool,
    synapses,
)
from neurocomp.testing.random_networks import LOIHI, Variety
from neurocomp.testing.strategies import random_network, random_real_network, real_networks
from neurocomp_reference import ReferenceSimulator, simulator, steps
from neurocomp_reference.steps import Weights, matrix_product, shift

Array = NDArray[Any]
M = 2**23


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


def test_a_start_comes_before_everything() -> None:
    """Nothing happens before tick 2: 131072 in tick 1 would overflow u, and the reset of tick 1 has nothing to clear."""
    neuron = compartments("n", 2, {"du": 0, "dv": 0, "vth": [100, 131071], "u_init": 500, "v_init": 6400})
    stimulus = {"a_in": np.array([[[9, 9], [131072, 131072], [1, 1], [0, 0]]])}
    trace = ReferenceSimulator().run(driven(dataclasses.replace(neuron, start=2, refractory=5)), stimulus)
    assert trace.u["n"][0].tolist() == [[0, 0], [0, 0], [563, 563], [562, 562]]
    assert trace.v["n"][0].tolist() == [[0, 0], [0, 0], [0, 6963], [0, 7525]]
    assert trace.spikes["n"][0].tolist() == [[0, 0], [0, 0], [1, 0], [0, 0]]
    assert trace.events == ()
    cleared = dataclasses.replace(neuron, start=2, reset_interval=1, reset_offset=1)
    assert ReferenceSimulator().run(driven(cleared), stimulus).v["n"][0, :3].tolist() == [[0, 0], [0, 0], [64, 64]]


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


def test_sums_are_exact_beyond_float64() -> None:
    big = np.array([[2**53 + 1, 1]])
    weights = np.array([[3], [1]])
    bound = 3 * (2**53 + 1) + 1
    assert matrix_product(big, weights, bound).tolist() == [[bound]]
    assert matrix_product(np.array([[2.0, 1.0]]), weights.astype(float), 7).tolist() == [[7]]


def test_large_matrices_are_made_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    reader = compartments("n", 50, {"du": 4095}, fires=False)
    each = synapses("x", "n", rng.integers(-256, 254, (50, 30)), delay=rng.integers(0, 3, (50, 30)), binary=False)
    network = integer_network([input_population("x", 30), reader], [each])
    stimulus = {"x": rng.integers(-100, 100, (3, 9, 30))}
    whole = ReferenceSimulator().run(network, stimulus)
    sizes: list[int] = []
    rows = Weights.rows

    def noted(weights: Weights, block: slice = slice(None)) -> Array:
        found = rows(weights, block)
        sizes.append(found.size)
        return found

    monkeypatch.setattr(Weights, "rows", noted)
    monkeypatch.setattr(steps, "HELD_WEIGHTS", 3 * 50 * 30 - 1)
    monkeypatch.setattr(steps, "BLOCK_WEIGHTS", 7 * 30)
    parts = ReferenceSimulator().run(network, stimulus)
    assert max(sizes) == 7 * 30
    assert len(sizes) == 8 * 3 * 2 + 8 * (9 + 8 + 7 - 3), "once for the bound and per tick, of each delay"
    np.testing.assert_array_equal(whole.v["n"], parts.v["n"])


def test_refractory_neurons_keep_their_residue() -> None:
    values = {"du": 4095, "dv": 0, "vth": 1, "bias_mant": 50}
    neuron = compartments("n", 1, values, reset="subtract", refractory=2)
    trace = ReferenceSimulator().run(integer_network([neuron], [], ticks=8), {})
    assert trace.v["n"].ravel().tolist() == [50, 36, 36, 36, 22, 22, 22, 8]
    assert trace.spikes["n"].ravel().tolist() == [0, 1, 0, 0, 1, 0, 0, 1]


def test_the_clock_ends_refractory_periods() -> None:
    values = {"du": 4095, "dv": 4095, "vth": 0, "bias_mant": 1}
    neuron = compartments("n", 1, values, refractory=9, reset_interval=3, reset_offset=2)
    trace = ReferenceSimulator().run(integer_network([neuron], [], ticks=9), {})
    assert trace.spikes["n"].ravel().tolist() == [1, 0, 1, 0, 0, 1, 0, 0, 1]


def test_a_current_acts_in_the_window_of_its_target() -> None:
    drive = current_population("i", 2)
    neuron = compartments("n", 2, {"du": 4095, "dv": 0, "vth": 131071}, current="i")
    network = integer_network([drive, neuron], [])
    currents = np.array([[[5, -3]] * 2, [[0, 7]] * 2])
    trace = ReferenceSimulator().run(network, {"i": currents}, lag={"n": 3})
    assert trace.v["n"].transpose(0, 2, 1).tolist() == [[[0, 0, 0, 5, 10], [0, 0, 0, -3, -6]], [[0] * 5, [0, 0, 0, 7, 14]]]
    assert trace.window(trace.v["n"], "n")[0, :, 0].tolist() == [5, 10]
    with pytest.raises(NetworkError) as caught:
        ReferenceSimulator().run(network, {"i": np.array([[[5, -3], [5, -2]]])})
    message = "error[NC0211 bad-stimulus]: the stimulus of 'i' changes within a sample; a current is one value per sample"
    assert str(caught.value).startswith(message)


def test_a_maximum_sees_windows() -> None:
    """Two channels of 3 places, windows of 2 with a step of 1: any spike in a window counts once."""
    pool = max_pool((2,), stride=(1,))
    pattern = Pattern("one_to_one")
    reader = compartments("n", (2, 2), {"du": 4095, "dv": 4095}, fires=False)
    through = synapses("x", "n", [2, 4, 8, 16], pattern=pattern, pool=pool)
    network = integer_network([input_population("x", (2, 3)), reader], [through])
    spikes = np.array([[[1, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 0]]])
    trace = ReferenceSimulator().run(network, {"x": spikes})
    assert (trace.u["n"][0] >> 6).tolist() == [[2, 0, 8, 16], [2, 4, 0, 0]]


def test_unknown_patterns_are_a_bug_of_ours() -> None:
    reader = compartments("n", (1, 2), {}, fires=False)
    options = {"kernel": (2,), "stride": (2,), "padding": (0,)}
    pool = synapses("x", "n", np.array(2), pattern=Pattern("sumpool1d", {}, options))
    network = integer_network([input_population("x", (1, 4)), reader], [pool])
    with pytest.raises(InternalError, match="the pattern 'sumpool1d' of 'x->n' is known"):
        ReferenceSimulator().run(network, {"x": np.ones((1, 1, 4), int)})


def test_memory_of_samples_is_bounded() -> None:
    """A convolution whose arrays are far larger than its weights makes the chunks of samples smaller."""
    wide = conv((3, 3), padding=1)
    weights = np.ones((8, 64, 3, 3))
    parts = [input_population("x", (64, 32, 32)), compartments("n", (8, 32, 32), {}, fires=False)]
    machine = simulator._Machine.of(integer_network(parts, [synapses("x", "n", weights, pattern=wide)]), 1, {"x": 0, "n": 0})
    assert machine.bytes_per_sample > 32 * (64 * 34 * 34 + 64 * 32 * 32)


def test_examples_in_docstrings() -> None:
    for module, least in ((steps, 4), (golden, 3)):
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
