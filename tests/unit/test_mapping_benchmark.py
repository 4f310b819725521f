"""The mapping benchmark: its count is right, refuses what exceeds a cap, and networks of files are checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import mapping, mapping_baselines, mapping_count
from benchmarks.mapping_count import CapExceeded, Caps, count, hops
from benchmarks.mapping_networks import Convolution, Listed, dense, layered, liquid
from neurocomp.mapping.atoms import Atoms, atoms_of

Array = NDArray[Any]


def network_of() -> Listed:
    return liquid(8, 9, 6, (2, 1), 3)


def atoms_from(network: Listed) -> Atoms:
    memory = np.bincount(network.target, minlength=network.size)
    return atoms_of(np.ones(network.size, np.int64), network.rate, memory, network.start, network.target)


def test_the_count_is_that_of_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    network, k = network_of(), 5
    core = np.random.default_rng(1).integers(0, k, network.size)
    whole = count(network.start, network.target, network.rate, core, pairs=True)
    monkeypatch.setattr(mapping_count, "TABLE", 30)
    pieces = count(network.start, network.target, network.rate, core, pairs=True)
    packets, axons, synapses, between = 0, np.zeros(k, int), np.zeros(k, int), np.zeros((k, k), int)
    for s in range(network.size):
        targets = network.target[network.start[s] : network.start[s + 1]]
        np.add.at(synapses, core[targets], 1)
        for c in {int(core[t]) for t in targets}:
            axons[c] += 1
            if c != core[s]:
                packets += int(network.rate[s])
                between[core[s], c] += int(network.rate[s])
    for use in (whole, pieces):
        assert use.packets == packets
        assert np.array_equal(use.axons, axons)
        assert np.array_equal(use.synapses, synapses)
        assert np.array_equal(use.neurons, np.bincount(core, minlength=k))
        assert np.array_equal(between[use.source, use.target], use.traffic)
        assert use.traffic.sum() == packets
    x, y = np.array([0, 3, 1, 2, 2]), np.array([1, 0, 2, 2, 0])
    away = np.abs(x[:, None] - x) + np.abs(y[:, None] - y)
    assert hops(whole, x, y) == int((away * between).sum())


def test_a_core_beyond_a_cap_is_refused() -> None:
    network = network_of()
    use = count(network.start, network.target, network.rate, np.zeros(network.size, np.int64))
    use.verify(Caps(72, 72, 1_000))
    with pytest.raises(CapExceeded, match="1 cores hold more than 71 neurons, up to 72: 0"):
        use.verify(Caps(71, 72, 1_000))
    with pytest.raises(ValueError, match="every neuron needs a core"):
        count(network.start, network.target, network.rate, np.full(network.size, -1))


@pytest.mark.parametrize("network", [network_of(), dense((20, 30, 9), 1), layered((2, 6, 6), [Convolution(3, 3), 8], 2)])
def test_baselines_keep_the_caps(network: Listed) -> None:
    caps, atoms = Caps(14, 60, 400), atoms_from(network)
    fill = mapping_baselines.in_order(atoms, caps, network.channels_last(), network.low)
    before = count(network.start, network.target, network.rate, fill).verify(caps)
    full = np.random.default_rng(0).integers(0, 3, network.size)
    assert len(mapping_baselines.violating(atoms, caps, full)) == 3
    fixed = mapping_baselines.repaired(atoms, caps, full)
    repaired = count(network.start, network.target, network.rate, fixed).verify(caps)
    moved = mapping_baselines.refined(atoms, caps, fixed)
    after = count(network.start, network.target, network.rate, np.unique(moved, return_inverse=True)[1]).verify(caps)
    assert after.packets <= repaired.packets
    assert before.packets > 0


def test_a_hilbert_curve_visits_neighbours() -> None:
    x, y = mapping_baselines.hilbert(64, 8, 8)
    assert len({*zip(x.tolist(), y.tolist(), strict=True)}) == 64
    assert (np.abs(np.diff(x)) + np.abs(np.diff(y)) == 1).all()
    x, y = mapping_baselines.hilbert(20, 8, 3)
    assert (len(x), int(y.max())) == (20, 2)


def saved(path: Path, **changes: Any) -> Path:
    network = network_of()
    known = {"ptr": network.start, "idx": network.target, "w": network.rate, "lo": network.low, "hi": network.high}
    arrays: dict[str, Any] = known | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


@pytest.mark.parametrize("caps", ["ideal-loihi", "ideal-truenorth"])
def test_a_network_of_a_file_is_mapped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, caps: str
) -> None:
    monkeypatch.setitem(mapping_count.CAPS, caps, Caps(20, 60, 200))
    path, out = saved(tmp_path / "net.npz", lo=None, hi=None), tmp_path / "cores"
    arguments = ["mapping", "--csr", str(path), "--caps", caps, "--assignment", str(out), "--effort", "fast", "--json"]
    monkeypatch.setattr("sys.argv", arguments)
    assert mapping.main() == 0
    row = json.loads(capsys.readouterr().out)
    network, core = network_of(), np.load(out)
    use = count(network.start, network.target, network.rate, core).verify(Caps(20, 60, 200))
    assert (row["packets"], row["cores"]) == (use.packets / 1000, use.cores)
    assert (row["structure"], row["effort"], row["caps"]) == ("irregular", "fast", caps)


def test_twins_are_recognized() -> None:
    assert mapping.structure(dense((20, 30, 9), 1))["classes"] == 3
    assert mapping.structure(dense((20, 30, 9), 1))["structure"] == "twins"


NET = network_of()
FIRST = int(np.flatnonzero(np.diff(NET.start) > 2)[0])
AT = int(NET.start[FIRST])


def with_target(at: int, value: int) -> Array:
    target = NET.target.copy()
    target[at] = value
    return np.asarray(target)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"w": None}, "has no w; it has ptr, idx, lo, hi"),
        ({"lo": None}, "has one of lo and hi; it needs both or none"),
        ({"w": NET.rate / 3}, r"w must be a list of integers, it is float64 of shape \(72,\)"),
        ({"idx": NET.target.reshape(1, -1)}, "idx must be a list of integers"),
        ({"ptr": NET.start[1:]}, f"ptr must go from 0 to the length of idx, {len(NET.target)}; it has 72 numbers from"),
        ({"ptr": np.where(np.arange(73) == 5, 0, NET.start)}, "ptr falls after neuron 4"),
        ({"w": NET.rate[1:]}, "w has 71 rates, ptr 72 neurons"),
        ({"w": -NET.rate}, "the rate of neuron 0 is -"),
        ({"idx": with_target(AT, -1)}, f"neuron {FIRST} has the target -1; there are 0 .. 71"),
        ({"idx": with_target(len(NET.target) - 1, 72)}, "neuron 71 has the target 72; there are 0 .. 71"),
        ({"idx": with_target(AT + 1, int(NET.target[AT]))}, f"neuron {FIRST} has the target {NET.target[AT]} twice"),
        ({"idx": with_target(AT, int(NET.target[AT + 1]) + 1)}, f"neuron {FIRST} has the target .* after .*must ascend"),
        ({"hi": np.array([80, 90])}, "lo and hi must be the first neurons of the layers"),
    ],
)  # fmt: skip
def test_what_is_no_network_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(mapping.Refused, match=message):
        mapping.read(saved(tmp_path / "net.npz", **changes))


def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "net.npz"
    text.write_text("no archive")
    for path in (text, tmp_path / "none.npz"):
        monkeypatch.setattr("sys.argv", ["mapping", "--csr", str(path)])
        assert mapping.main() == 1
        assert capsys.readouterr().err.startswith("benchmarks.mapping: ")


def test_a_neuron_that_fits_no_core_is_named() -> None:
    message = "neuron 300 has 300 sources, and a core of ideal-truenorth 256 axons; 9 more neurons have too many"
    with pytest.raises(mapping.Refused, match=message):
        mapping.fitting(dense((300, 10), 0), "ideal-truenorth")
