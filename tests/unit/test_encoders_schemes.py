"""Codes of time and of signals, filters in front: by hand, by plain loops, by other libraries, and back again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp.encoding import ENCODERS, FILTERS, Operations, data_shape, encode, operations
from neurocomp.encoding import page as encoders_page
from neurocomp.encoding.signals import kernel
from neurocomp.errors import Location, NetworkError
from neurocomp.ir.network import Encoder, FrontFilter

Array = NDArray[Any]


def encoder(scheme: str, front: tuple[str, ...] = (), **options: Any) -> Encoder:
    defaults = {key: option.default for key, option in ENCODERS[scheme].options.items()}
    filters = tuple(FrontFilter(name, {key: o.default for key, o in FILTERS[name].options.items()}) for name in front)
    return Encoder(scheme, defaults | options, Location("net.yaml", 9, 3), filters)


def run(
    scheme: str, data: Any, *, ticks: int, shape: tuple[int, ...], first_sample: int = 0, front: tuple[str, ...] = (),
    **options: Any,
) -> Array:  # fmt: skip
    made = encoder(scheme, front, **options)
    size = math.prod(shape)
    return encode(
        made, np.asarray(data), scale=1.0, ticks=ticks, size=size, shape=shape, first_sample=first_sample, population="in"
    )


def trains(spikes: Array) -> list[str]:
    """Return the spikes of the first sample, a word per neuron."""
    return ["".join(map(str, neuron)) for neuron in spikes[0].T]


def wave(ticks: int) -> Array:
    return np.array([0.5 + 0.45 * math.sin(0.37 * k) for k in range(ticks)])


def test_log_latency_by_hand_and_by_the_logarithm() -> None:
    x = np.linspace(0.0, 1.3, 400)
    expected = [round(5 * math.log(v / (v - 0.01))) if v > 0.01 else 99 for v in x]

    spikes = run("log_latency", x[np.newaxis], ticks=12, shape=(400,))

    assert trains(run("log_latency", [[1.0, 0.02, 0.01, 0.0103]], ticks=6, shape=(4,))) == [
        "100000",
        "000100",
        "000000",
        "000000",
    ]
    for neuron, tick in enumerate(expected):
        assert list(np.flatnonzero(spikes[0, :, neuron])) == ([tick] if tick < 12 else [])


def test_latencies_of_snntorch() -> None:
    """`snntorch.spikegen.latency` 1.0.0: num_steps=8, threshold=0.01, tau=5, clip=True; then normalize=True, linear=True."""
    x = [[0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0]]

    logarithmic = run("log_latency", x, ticks=8, shape=(7,), tau=5.0, threshold=0.01)
    linear = run("latency", x, ticks=8, shape=(7,))

    assert logarithmic[0].argmax(axis=0).tolist() == [3, 1, 1, 0, 0, 0, 0]
    assert linear[0].argmax(axis=0).tolist() == [7, 7, 6, 5, 4, 2, 0]


def test_latency_keeps_values_to_half_a_tick() -> None:
    x = np.linspace(0.001, 1, 300)

    tick = run("latency", x[np.newaxis], ticks=33, shape=(300,))[0].argmax(axis=0)

    assert np.abs((1 - tick / 32) - x).max() <= 0.5 / 32 + 1e-12


def test_rank_order() -> None:
    x = [[0.2, 0.9, 0.0, 0.5, 0.9, -1.0]]

    assert trains(run("rank_order", x, ticks=3, shape=(6,))) == ["000", "100", "000", "001", "010", "000"]
    assert trains(run("rank_order", x, ticks=3, shape=(6,), per_tick=2)) == ["010", "100", "000", "010", "100", "000"]


def test_rank_order_by_a_loop() -> None:
    data = np.random.default_rng(1).integers(0, 6, (20, 9)) / 5
    spikes = run("rank_order", data, ticks=5, shape=(9,), per_tick=2)

    for sample, x in enumerate(data):
        order = sorted(range(9), key=lambda i: (-x[i], i))
        expected = np.zeros((5, 9), int)
        for rank, neuron in enumerate(order):
            if x[neuron] > 0 and rank // 2 < 5:
                expected[rank // 2, neuron] = 1
        np.testing.assert_array_equal(spikes[sample], expected)


def test_phase_is_binary_digits() -> None:
    assert trains(run("phase", [[0.625, 1.0, 0.0, 0.124]], ticks=7, shape=(4,), period=3)) == [
        "1011011", "1111111", "0000000", "0000000",
    ]  # fmt: skip
    x = np.random.default_rng(2).random(200)
    spikes = run("phase", x[np.newaxis], ticks=8, shape=(200,))
    back = (spikes[0] * 0.5 ** np.arange(1, 9)[:, np.newaxis]).sum(axis=0)
    assert ((back <= x) & (x < back + 2.0**-8)).all()


def test_burst() -> None:
    options: dict[str, Any] = {"spikes": 4, "interval_min": 1, "interval_max": 5}

    assert trains(run("burst", [[1.0, 0.5, 0.01, 0.0]], ticks=8, shape=(4,), **options)) == [
        "11110000", "10010000", "10000000", "00000000",
    ]  # fmt: skip


def test_burst_by_a_loop_and_back() -> None:
    x = np.random.default_rng(3).random(100)
    spikes = run("burst", x[np.newaxis], ticks=40, shape=(100,), spikes=5, interval_min=2, interval_max=7)[0]

    for neuron, value in enumerate(x):
        count = math.ceil(5 * value)
        interval = math.ceil(7 - 5 * value)
        assert list(np.flatnonzero(spikes[:, neuron])) == [k * interval for k in range(count)]
        assert 0 <= count / 5 - value <= 1 / 5


def test_population_by_a_loop_and_back() -> None:
    fields, x = 6, np.linspace(0, 1, 41)
    spikes = run("population", x.reshape(1, 41), ticks=21, shape=(41, fields), fields=fields)[0].reshape(21, 41, fields)
    width = 1 / (fields - 2)
    centres = [(2 * j - 3) / 2 * width for j in range(1, fields + 1)]

    for value in range(41):
        fired = {}
        for j, centre in enumerate(centres):
            response = math.exp(-((x[value] - centre) ** 2) / (2 * (width / 1.5) ** 2))
            if response >= 0.1:
                fired[j] = round((1 - response) * 20)
            assert list(np.flatnonzero(spikes[:, value, j])) == ([fired[j]] if j in fired else [])
        weights = {j: 1 - tick / 20 for j, tick in fired.items()}
        back = sum(centres[j] * w for j, w in weights.items()) / sum(weights.values())
        assert abs(back - x[value]) <= width / 2


def test_population_hands_responses_to_another_code() -> None:
    data = [[0.0, 0.5]]

    rates = run("population", data, ticks=100, shape=(2, 4), fields=4, code="rate", cutoff=0.0)[0].mean(axis=0).reshape(2, 4)
    draws = [run("population", data, ticks=50, shape=(2, 4), fields=4, code="bernoulli", seed=seed) for seed in (1, 1, 2)]

    expected = [[math.exp(-(((v - c) / (0.5 / 1.5)) ** 2) / 2) for c in (-0.25, 0.25, 0.75, 1.25)] for v in (0.0, 0.5)]
    np.testing.assert_allclose(rates, expected, atol=0.01)
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


def test_delta_by_hand() -> None:
    signal = np.array([0.0, 0.5, 0.75, 1.0, 1.0, 0.25])[np.newaxis, :, np.newaxis]

    assert trains(run("delta", signal, ticks=7, shape=(2, 1), threshold=0.5)) == ["0100000", "0000010"]
    assert trains(run("delta", signal, ticks=7, shape=(2,), threshold=0.5, reference="sent")) == ["0101000", "0000010"]
    assert trains(run("delta", signal, ticks=7, shape=(1,), threshold=0.25, polarity="up")) == ["0111000"]


def test_delta_of_snntorch() -> None:
    """`snntorch.spikegen.delta` 1.0.0: threshold=0.25, padding=True, off_spike=True."""
    signal = np.array([0.0, 0.3, 0.35, 0.7, 0.65, 0.2, 0.2, 0.5])
    up, down = run("delta", signal[np.newaxis, :, np.newaxis], ticks=8, shape=(2, 1), threshold=0.25)[0].T

    assert (up - down).tolist() == [0, 1, 0, 1, 0, -1, 0, 1]


def test_delta_that_adapts_takes_the_mean_and_the_deviation() -> None:
    signal = np.random.default_rng(4).random((3, 30, 2)).cumsum(axis=1) * 0.1
    spikes = run("delta", signal, ticks=30, shape=(2, 2), threshold=0.5, adapt="signal").reshape(3, 30, 2, 2)

    changes = np.diff(signal, axis=1)
    limit = changes.mean(axis=1) + 0.5 * changes.std(axis=1)
    np.testing.assert_array_equal(spikes[:, 1:, 0], changes >= limit[:, np.newaxis])
    assert not spikes[:, 0].any()


def test_step_forward_of_spike_encoding() -> None:
    """`spike_encoding.StepForwardConverter` 1.8.2 with the threshold 0.125."""
    up, down = run("step_forward", wave(24)[np.newaxis, :, np.newaxis], ticks=24, shape=(2, 1), threshold=0.125)[0].T

    assert up.tolist() == [0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0]
    assert down.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("scheme", "threshold"), [("step_forward", 0.08), ("step_forward", 0.2)])
def test_step_forward_keeps_a_slow_signal_to_its_threshold(scheme: str, threshold: float) -> None:
    signal = 0.5 + 0.4 * np.sin(np.arange(200) * threshold / 3)
    up, down = run(scheme, signal[np.newaxis, :, np.newaxis], ticks=200, shape=(2, 1), threshold=threshold)[0].T.astype(int)

    back = signal[0] + threshold * np.cumsum(up - down)

    assert np.abs(back - signal).max() <= threshold + 1e-9


def test_delta_from_the_last_spike_keeps_the_reference() -> None:
    """Between spikes a signal stays within the threshold of its value at the last one."""
    signal = wave(100)
    up, down = run("delta", signal[np.newaxis, :, np.newaxis], ticks=100, shape=(2, 1), threshold=0.2, reference="sent")[0].T
    reference = signal[0]

    for tick in range(100):
        reference = signal[tick] if up[tick] or down[tick] else reference
        assert abs(signal[tick] - reference) < 0.2


def bens_by_a_loop(signal: Array, taps: Array, threshold: float) -> list[int]:
    rest, spikes = list(signal), []
    for t in range(len(rest)):
        span = range(min(len(taps), len(rest) - t))
        with_spike, without = sum(abs(rest[t + j] - taps[j]) for j in span), sum(abs(rest[t + j]) for j in span)
        spikes.append(int(with_spike <= without - threshold))
        for j in span:
            rest[t + j] -= taps[j] * spikes[-1]
    return spikes


def hough_by_a_loop(signal: Array, taps: Array) -> list[int]:
    rest, spikes = list(signal), []
    for t in range(len(rest)):
        spikes.append(int(t + len(taps) <= len(rest) and all(rest[t + j] >= taps[j] for j in range(len(taps)))))
        for j in range(len(taps) if spikes[-1] else 0):
            rest[t + j] -= taps[j]
    return spikes


@pytest.mark.parametrize(
    ("shape", "heights"),
    [("boxcar", [1, 1, 1, 1, 1]), ("triangle", [1, 2, 3, 2, 1]), ("exponential", [math.exp(-3 * j / 5) for j in range(5)])],
)
def test_spikers_by_a_loop(shape: str, heights: list[float]) -> None:
    data = np.random.default_rng(5).random((4, 40, 3))
    options: dict[str, Any] = {"kernel": shape, "length": 5, "area": 0.9}
    taps = np.array(heights) * 0.9 / sum(heights)

    hough = run("hsa", data, ticks=44, shape=(3,), **options)
    bens = run("bsa", data, ticks=44, shape=(3,), threshold=0.1, **options)

    np.testing.assert_allclose(kernel(options), taps, rtol=1e-12)
    assert kernel(options).sum() == pytest.approx(0.9)
    assert hough.any()
    for sample in range(4):
        for neuron in range(3):
            signal = data[sample, :, neuron]
            assert hough[sample, :40, neuron].tolist() == hough_by_a_loop(signal, taps)
            assert bens[sample, :40, neuron].tolist() == bens_by_a_loop(signal, taps, 0.1)
    assert not hough[:, 40:].any()
    assert not bens[:, 40:].any()


def test_bens_spiker_of_spike_encoding() -> None:
    """`spike_encoding.BensSpikerAlgorithm` 1.8.2, threshold 0, four taps of 1/4; it leaves out its first tick."""
    signal = wave(24)[1:]

    spikes = run("bsa", signal[np.newaxis, :, np.newaxis], ticks=23, shape=(1,), kernel="boxcar", length=4, threshold=0.0)

    assert spikes[0, :, 0].tolist() == [1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0]


def test_spikers_give_the_signal_back() -> None:
    """Behind the filter's length BSA follows a slow signal to a hundredth or two; HSA, which stays below it, is worse."""
    signal = 0.5 + 0.35 * np.sin(np.arange(300) * 0.05)
    taps, error = kernel({"kernel": "triangle", "length": 16, "area": 1.0}), {}
    for scheme in ("hsa", "bsa"):
        spikes = run(scheme, signal[np.newaxis, :, np.newaxis], ticks=300, shape=(1,))[0, :, 0]
        error[scheme] = np.abs(np.convolve(spikes, taps)[16:280] - signal[16:280])

    assert error["bsa"].mean() < 0.015
    assert error["bsa"].mean() < error["hsa"].mean() < 0.04


def test_filters_answer_to_edges_alone() -> None:
    flat = np.full((1, 9, 9), 0.7)
    spot = np.zeros((1, 9, 9))
    spot[0, 4, 4] = 1.0
    for name in FILTERS:
        front = (name,)
        made = run("current", [flat[0], spot[0]], ticks=1, shape=(2, 9, 9), front=front).reshape(2, 2, 9, 9)
        assert np.abs(made[0]).max() < 1e-12
        assert made[1, 0, 4, 4] == made[1].max() > 0
        assert made[1, 1, 4, 7] > 0
        assert not (made[1, 0] * made[1, 1]).any()
        assert (made >= 0).all()


def test_difference_of_gaussians_by_a_loop() -> None:
    image = np.random.default_rng(6).random((2, 6, 5))
    made = run("current", image[np.newaxis], ticks=1, shape=(4, 6, 5), front=("dog",)).reshape(4, 6, 5)
    line = range(-3, 4)
    sums = [sum(math.exp(-(i * i + j * j) / (2 * s * s)) for i in line for j in line) for s in (1, 2)]

    for channel in range(2):
        for row in range(6):
            for column in range(5):
                total = 0.0
                for i in line:
                    for j in line:
                        value = image[channel, min(max(row + i, 0), 5), min(max(column + j, 0), 4)]
                        r = i * i + j * j
                        total += value * (math.exp(-r / 2) / sums[0] - math.exp(-r / 8) / sums[1])
                assert made[channel, row, column] == pytest.approx(max(total, 0), abs=1e-12)
                assert made[2 + channel, row, column] == pytest.approx(max(-total, 0), abs=1e-12)


def test_filters_stand_in_front_of_signals_and_of_one_another() -> None:
    movie = np.random.default_rng(7).random((2, 5, 1, 8, 8))

    both = run("delta", movie, ticks=5, shape=(4, 8, 8), front=("dog",), threshold=0.05)
    twice = encoder("latency", ("dog", "log"))

    assert both.shape == (2, 5, 256)
    assert both.any()
    assert data_shape(twice, (4, 8, 8)) == (1, 8, 8)
    assert operations(twice, (4, 8, 8), 10) == Operations(64 * 49 + 128 * 49 + 3 * 256, 2 * 64 + 2 * 128 + 3 * 256)


SMALL: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "population": ((4, 8), (4,)),
    "delta": ((2, 4), (9, 4)),
    "step_forward": ((2, 4), (9, 4)),
    "hsa": ((4,), (30, 4)),
    "bsa": ((4,), (30, 4)),
}
DRAWN = [name for name in ENCODERS if name not in ("direct", "graded", "events", "event_counts")]


@pytest.mark.parametrize("scheme", DRAWN)
def test_batches_change_nothing(scheme: str) -> None:
    shape, given = SMALL.get(scheme, ((4,), (4,)))
    data = np.random.default_rng(0).random((130, *given))
    whole = run(scheme, data, ticks=30, shape=shape)

    parts = [run(scheme, data[start : start + 47], ticks=30, shape=shape, first_sample=start) for start in range(0, 130, 47)]

    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert whole.any()
    assert set(np.unique(whole)) <= {0, 1} or scheme == "current"


def test_shapes() -> None:
    assert data_shape(encoder("population", fields=4), (3, 3, 4)) == (3, 3)
    assert data_shape(encoder("population", fields=4), (12,)) == (3,)
    assert data_shape(encoder("delta"), (2, 28, 28)) == (28, 28)
    assert data_shape(encoder("delta", polarity="up"), (2, 28, 28)) == (2, 28, 28)
    assert data_shape(encoder("rate", ("dog",)), (6, 28, 28)) == (3, 28, 28)


@pytest.mark.parametrize(
    ("made", "shape", "message"),
    [
        (encoder("population"), (12,), "the last axis holds the 8 fields of each value, and 12 is no multiple of 8"),
        (encoder("delta"), (3, 4), "one half of the first axis is for what rises, the other for what falls; 3 is odd"),
        (
            encoder("rate", ("dog",)),
            (16,),
            "on and off need an even number of channels, [2 C, H, W]; the filter would make [16]",
        ),
        (encoder("events"), (4, 4), "a camera has the shape [2, H, W], p = 0 before p = 1, not [4, 4]"),
    ],
)
def test_shapes_that_an_encoder_cannot_make(made: Encoder, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        encode(made, np.zeros((1, 1)), scale=1.0, ticks=4, size=math.prod(shape), shape=shape, population="in")

    assert str(caught.value) == (
        f"net.yaml:9:3: error[NC0202 shape-mismatch]: encoder of 'in': {message}\n"
        "hint:  give the population the shape of the spikes; docs/encoders.md says what it is"
    )


@pytest.mark.parametrize(
    ("scheme", "shape", "expected"),
    [
        ("rate", (5,), Operations(5 * 11, 5)),
        ("bernoulli", (5,), Operations(5, 60, 50)),
        ("poisson", (5,), Operations(130, 55, 50)),
        ("latency", (5,), Operations(15, 15)),
        ("rank_order", (5,), Operations(5, 20)),
        ("population", (5, 8), Operations(5 + 27 * 40 + 120, 40 + 120)),
        ("delta", (2, 5), Operations(100, 100)),
        ("bsa", (5,), Operations(66 * 50, 50)),
        ("direct", (5,), Operations()),
    ],
)
def test_operations(scheme: str, shape: tuple[int, ...], expected: Operations) -> None:
    assert operations(encoder(scheme), shape, 10) == expected


def test_the_page_is_that_of_the_registrations(request: pytest.FixtureRequest) -> None:
    path = request.config.rootpath / "docs/encoders.md"

    assert path.read_text(encoding="utf-8") == encoders_page.text(), "run: python -m neurocomp.encoding.page > docs/encoders.md"
    for table in (ENCODERS, FILTERS):
        for name in table:
            assert table[name].formula
            assert table[name].source
