"""Encoders, decoders and the random numbers behind them."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp.encoding import clipping_warning, decode, encode
from neurocomp.encoding.philox import draw, philox
from neurocomp.encoding.schemes import ENCODERS, exp_minus
from neurocomp.errors import Location, NetworkError
from neurocomp.ir.network import Decoder, Encoder

Array = NDArray[Any]


def run(scheme: str, data: Any, *, ticks: int, size: int, scale: float = 1.0, first_sample: int = 0, **options: Any) -> Array:
    defaults: dict[str, Any] = {} if scheme == "direct" else {"gain": 1.0, "seed": 0}
    encoder = Encoder(scheme, defaults | options, Location("net.yaml", 9, 3))
    data = np.asarray(data)
    return encode(encoder, data, scale=scale, ticks=ticks, size=size, first_sample=first_sample, population="in")


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_known_answers(counter: tuple[int, ...], key: tuple[int, int], words: tuple[int, ...]) -> None:
    """The vectors that Random123 publishes in kat_vectors."""
    c0, c1, c2, c3 = (np.array([word], np.uint64) for word in counter)

    assert tuple(int(word[0]) for word in philox((c0, c1, c2, c3), key)) == words


def test_draw_has_the_documented_layout() -> None:
    c0, c1, c2, c3 = (np.array(word, np.uint64) for word in (5, 7, 11, (3 << 24) | 13))
    expected = int(philox((c0, c1, c2, c3), (0x89ABCDEF, 0x01234567))[0])

    assert int(draw(0x0123456789ABCDEF, purpose=3, sample=11, neuron=5, tick=7, slot=13)) == expected


def test_rate_of_bytes_is_the_integer_accumulator() -> None:
    x = np.arange(256)
    t = np.arange(1000)[:, np.newaxis]
    expected = ((t + 1) * x + 127) // 255 - (t * x + 127) // 255

    spikes = run("rate", x[np.newaxis].astype(np.uint8), scale=1 / 255, ticks=1000, size=256)

    np.testing.assert_array_equal(spikes[0], expected)
    assert spikes.dtype == np.int8


def test_rate_clips_above_one_and_says_so() -> None:
    encoder = Encoder("rate", {"gain": 2.0}, Location("net.yaml", 9, 3))
    data = np.array([[0.25, 0.5, 0.75]])

    spikes = encode(encoder, data, scale=1.0, ticks=4, size=3, population="in")
    warning = clipping_warning(encoder, data, scale=1.0, population="in")

    np.testing.assert_array_equal(spikes[0], [[1, 1, 1], [0, 1, 1], [1, 1, 1], [0, 1, 1]])
    assert warning is not None
    assert warning.render() == (
        "net.yaml:9:3: warning[NC0209 out-of-range]: encoder of 'in': 1 of 3 values lie outside 0..1 and are clipped\n"
        "hint:  lower 'gain', or 'scale' of the data"
    )
    assert clipping_warning(encoder, data, scale=0.5, population="in") is None


def test_bernoulli_is_the_threshold_on_the_documented_draw() -> None:
    p = np.array([[0.0, 0.3, 1.0, 2.0, -1.0]])
    slot = zlib.crc32(b"in") & 0xFFFFFF
    numbers = draw(7, purpose=1, sample=4, neuron=np.arange(5), tick=np.arange(50)[:, np.newaxis], slot=slot)
    thresholds = np.array([0, int(0.3 * 2**32), 2**32, 2**32, 0], np.uint64)

    spikes = run("bernoulli", p, ticks=50, size=5, first_sample=4, seed=7)

    np.testing.assert_array_equal(spikes[0], numbers < thresholds)
    assert spikes[0, :, 2].all()


@pytest.mark.parametrize("scheme", ["rate", "bernoulli", "poisson", "latency", "current"])
def test_batches_change_nothing(scheme: str) -> None:
    data = np.random.default_rng(0).random((150, 3, 4))
    whole = run(scheme, data, ticks=9, size=12)

    parts = [run(scheme, data[start : start + 47], ticks=9, size=12, first_sample=start) for start in range(0, 150, 47)]

    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert whole.any()


def test_populations_of_one_seed_differ() -> None:
    encoder = Encoder("bernoulli", {"gain": 1.0, "seed": 0})
    data = np.full((1, 64), 0.5)
    left, right = (encode(encoder, data, scale=1.0, ticks=16, size=64, population=name) for name in ("left", "right"))

    assert (left != right).any()


def test_poisson_rate() -> None:
    spikes = run("poisson", np.array([[0.0, 0.5, 3.0, 1e9]]), ticks=4000, size=4)

    assert spikes[0].mean(axis=0) == pytest.approx([0.0, 1 - np.exp(-0.5), 1 - np.exp(-3.0), 1.0], abs=0.02)


def test_exp_series() -> None:
    x = np.linspace(0, 64, 10_001)

    np.testing.assert_allclose(exp_minus(x), np.exp(-x), rtol=1e-13, atol=0)


def test_latency() -> None:
    spikes = run("latency", np.array([[1.0, 0.5, 0.0, 0.1, 7.0]]), ticks=6, size=5)

    assert [list(np.flatnonzero(column)) for column in spikes[0].T] == [[0], [2], [], [4], [0]]


def test_latency_in_a_part_of_the_sample() -> None:
    """``last`` is the tick of the smallest x."""
    x = np.array([[1.0, 0.5, 0.0, 0.1, 0.05, 7.0]])

    for last in (5, -4):
        spikes = run("latency", x, ticks=9, size=6, last=last)
        assert [list(np.flatnonzero(column)) for column in spikes[0].T] == [[0], [2], [], [4], [5], [0]]
    problem = ENCODERS["latency"].problem({"gain": 1.0, "last": 9}, 9)
    assert problem is not None
    assert problem.message == "the last tick of the code is 9; a sample has the ticks 0 to 8"
    assert ENCODERS["latency"].problem({"gain": 1.0, "last": -9}, 9) is None


def test_a_current_is_the_scaled_data_in_every_tick() -> None:
    data = np.random.default_rng(0).integers(-255, 256, (150, 2, 3))

    current = run("current", data, ticks=5, size=6, scale=1 / 255, gain=3.0)

    assert current.dtype == np.float64
    assert current.shape == (150, 5, 6)
    for tick in range(5):
        np.testing.assert_array_equal(current[:, tick], (data * (1 / 255) * 3.0).reshape(150, 6))
    assert current.strides[1] == 0
    assert clipping_warning(Encoder("current", {"gain": 3.0}), data, scale=1.0, population="in") is None


def test_a_current_of_one_tick_is_a_current() -> None:
    """(samples, 1, n) has one value per sample and neuron."""
    np.testing.assert_array_equal(run("current", [[[1, 2]]], ticks=2, size=2), [[[1.0, 2.0]] * 2])


def test_direct_is_filled_with_silence() -> None:
    data = np.array([[[1, 0], [0, 1]]], bool)

    np.testing.assert_array_equal(run("direct", data, ticks=3, size=2), [[[1, 0], [0, 1], [0, 0]]])


@pytest.mark.parametrize(
    ("scheme", "data", "message"),
    [
        ("rate", [[0.5, -0.25]], "NC0209 out-of-range]: encoder of 'in': sample 3 holds -0.25; a rate is not negative"),
        ("rate", [[0.5, np.nan]], "NC0204 not-finite]: encoder of 'in': sample 3 holds nan"),
        (
            "rate",
            [[0.5]],
            "NC0210 data-mismatch]: encoder of 'in': data have the shape (1, 1); "
            "'rate' needs (samples, ...) with 2 values per sample",
        ),
        (
            "direct",
            [[0, 1]],
            "NC0210 data-mismatch]: encoder of 'in': data have the shape (1, 2); "
            "'direct' needs (samples, ticks, ...) with 2 values per tick",
        ),
        ("direct", [[[0, 2]]], "NC0209 out-of-range]: encoder of 'in': sample 3, tick 0, neuron 1 is 2; spikes are 0 or 1"),
        (
            "direct",
            [[[0, 1]] * 5],
            "NC0210 data-mismatch]: encoder of 'in': the data have 5 ticks per sample, the network 4\n"
            "hint:  declare 'ticks: 5'",
        ),
        (
            "current",
            [[[0.5, 0.25]] * 3],
            "NC0214 time-varying-current]: encoder of 'in': data have the shape (1, 3, 2), 3 values per sample and neuron: "
            "a current that changes in time\nhint:  'scheme: current' takes one value per sample and neuron; "
            "average over the ticks, or make spikes for 'scheme: direct'",
        ),
        (
            "current",
            [[0.5, 0.25, 1.0]],
            "NC0210 data-mismatch]: encoder of 'in': data have the shape (1, 3); "
            "'current' needs (samples, ...) with 2 values per sample",
        ),
        ("current", [[0.5, np.inf]], "NC0204 not-finite]: encoder of 'in': sample 3 holds inf"),
        ("rate", [["a", "b"]], "NC0207 wrong-dtype]: encoder of 'in': data have the dtype <U1; numbers are needed"),
    ],
)
def test_data_that_cannot_be_encoded(scheme: str, data: Any, message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        run(scheme, data, ticks=4, size=2, first_sample=3)

    assert str(caught.value) == f"net.yaml:9:3: error[{message}"


def test_decoders() -> None:
    spikes = np.zeros((4, 3, 3), np.int32)
    spikes[0, :, 1] = 1
    spikes[1, 1, [1, 2]] = 1
    spikes[1, 2, 0] = 2
    spikes[2, 0, 2] = 1
    v = np.zeros((4, 3, 3))
    v[:, -1] = [[0, 0, 1], [2, 2, 0], [-3, -1, -2], [0, 0, 0]]

    assert decode(Decoder("count", {}), spikes=spikes).tolist() == [1, 0, 2, 0]
    assert decode(Decoder("first_spike", {}), spikes=spikes).tolist() == [1, 1, 2, -1]
    assert decode(Decoder("potential", {}), spikes=spikes, v=v).tolist() == [2, 0, 1, 0]


def test_potential_needs_the_state() -> None:
    with pytest.raises(NetworkError) as caught:
        decode(Decoder("potential", {}), spikes=np.zeros((1, 1, 1)))

    assert str(caught.value) == (
        "error[NC0212 no-data]: the decoder 'potential' reads potentials, and the run recorded none\nhint:  record the state"
    )
