"""The networks of the mapping benchmark are those that its figures are about."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from benchmarks import mapping_networks
from benchmarks.mapping_networks import Convolution, Listed, build, dense, layered, liquid, small_world

DIGESTS = {
    "mlp": "25b303ccf932b623",
    "lenet": "2b866c84623a179a",
    "lsm10k": "7b8af32ea5ec562d",
    "lsm10k_f16": "9707650641e69172",
    "sw20k": "07c0c100109dcf48",
}
"""Of the networks that the targets of the benchmark were set on: they were built by other code, array for array the same."""


def digest(network: Listed) -> str:
    found = hashlib.sha256()
    for array in (network.start, network.target, network.rate, network.low, network.high):
        found.update(str(array.dtype).encode() + array.tobytes())
    return found.hexdigest()[:16]


@pytest.mark.parametrize("name", DIGESTS)
def test_the_networks_of_the_table_stay_as_they_are(name: str) -> None:
    assert digest(build(name)) == DIGESTS[name]


OTHERS = {
    1: ("f4816e8a376d9d64", "b55fb19187403dc2", "3767851379e9de93", "1411c12b4a13d6d4"),
    11: ("f78fee25f7d4eaa9", "bcab11ca6bb8f9ce", "4d040efab303342a", "dafc5201467925dd"),
}
"""Seed -> digests of small networks of the same families, which that other code built too."""


@pytest.mark.parametrize("seed", OTHERS)
def test_others_of_the_same_families(seed: int) -> None:
    layers: list[Convolution | int] = [Convolution(4, 3, 2, 1), Convolution(5, 2, 2), 6, 3]
    built = (
        dense((5, 7, 3), seed),
        layered((2, 9, 12), layers, seed),
        liquid(13, 17, 8, (3, 1), seed),
        small_world(90, 6, 0.2, seed),
    )
    assert tuple(map(digest, built)) == OTHERS[seed]


def test_parts_of_sources_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = liquid(13, 17, 8, (3, 1), 2)
    monkeypatch.setattr(mapping_networks, "SOURCES_AT_ONCE", 20)
    parts = liquid(13, 17, 8, (3, 1), 2)
    assert np.array_equal(whole.start, parts.start)
    assert np.array_equal(whole.target, parts.target)


def test_a_seed_draws_another_network() -> None:
    one, other = build("lsm10k_f16"), build("lsm10k_f16", 99)
    assert one.size == other.size
    assert not np.array_equal(one.target[:100], other.target[:100])
    assert one.rate.min() >= 1
    assert abs(float(one.rate.mean()) - 20) < 0.1


def test_channels_last_is_an_order_of_all_neurons() -> None:
    network = layered((2, 2, 2), [Convolution(3, 2), 4], 0)
    assert network.channels_last().tolist() == [0, 4, 1, 5, 2, 6, 3, 7, *range(8, 15)]
