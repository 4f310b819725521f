"""The networks of the mapping benchmark are those that its figures are about."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmarks import mapping_networks
from benchmarks.mapping_networks import Convolution, Listed, build, dense, layered, liquid, small_world

TOOL = Path(__file__).parents[2] / ".." / "shared" / "tools" / "mapping_nets.py"


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Return the definitions that ours are written after."""
    if not TOOL.is_file():
        pytest.skip("no definitions beside the repository (../shared/tools/mapping_nets.py); the digests are compared without")
    spec = importlib.util.spec_from_file_location("mapping_nets", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAPPING_NETS", str(tmp_path_factory.mktemp("nets")))
        spec.loader.exec_module(module)
    return module


def assert_same(ours: Listed, theirs: dict[str, object]) -> None:
    assert np.array_equal(ours.start, theirs["ptr"])  # type: ignore[arg-type]
    assert np.array_equal(ours.target, theirs["idx"])  # type: ignore[arg-type]
    assert np.array_equal(ours.rate, theirs["w"])  # type: ignore[arg-type]
    assert [(int(a), int(b)) for a, b in zip(ours.low, ours.high, strict=True)] == [
        layer[-2:] for layer in theirs["layers"]  # type: ignore[attr-defined]
    ]  # fmt: skip


DIGESTS = {
    "mlp": "25b303ccf932b623",
    "lenet": "2b866c84623a179a",
    "lsm10k": "7b8af32ea5ec562d",
    "lsm10k_f16": "9707650641e69172",
    "sw20k": "07c0c100109dcf48",
}
"""Of networks that were equal to those of ../shared/tools, so that this is tested without it too."""


@pytest.mark.parametrize("name", DIGESTS)
def test_the_networks_of_the_table_stay_as_they_are(name: str) -> None:
    network = build(name)
    digest = hashlib.sha256()
    for array in (network.start, network.target, network.rate, network.low, network.high):
        digest.update(str(array.dtype).encode() + array.tobytes())
    assert digest.hexdigest()[:16] == DIGESTS[name]


@pytest.mark.parametrize("name", DIGESTS)
def test_the_networks_of_the_table(tool: ModuleType, name: str) -> None:
    assert_same(build(name), tool.BUILD[name]())


@pytest.mark.parametrize("seed", [1, 11])
def test_others_of_the_same_families(tool: ModuleType, seed: int) -> None:
    assert_same(dense((5, 7, 3), seed), tool.dense_stack([5, 7, 3], seed))
    layers: list[Convolution | int] = [Convolution(4, 3, 2, 1), Convolution(5, 2, 2), 6, 3]
    theirs = [("conv", 4, 3, 2, 1), ("conv", 5, 2, 2, 0), ("fc", 6), ("fc", 3)]
    assert_same(layered((2, 9, 12), layers, seed), tool.convnet((2, 9, 12), theirs, seed=seed))
    assert_same(liquid(13, 17, 8, (3, 1), seed), tool.lsm(13, 17, 8, 3, 1, seed))
    assert_same(small_world(90, 6, 0.2, seed), tool.smallworld(90, 6, 0.2, seed))


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
