"""The networks of the engine benchmark are what they are said to be, and a peer that fails stops nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import networks, peers


def test_n1_makes_the_operations_and_spikes_that_its_name_stands_for() -> None:
    network = networks.n1(samples=1)
    activity = networks.simulate_layered(network, 1)
    assert activity.operations.tolist() == [networks.N1_OPERATIONS]
    assert tuple(activity.spikes[:, 0]) == networks.N1_SPIKES
    assert network.stimulus.sum() * 1200 + activity.spikes[:, 0] @ [1200, 10, 0] == networks.N1_OPERATIONS


def test_a_sample_does_not_depend_on_how_many_there_are() -> None:
    for make in (networks.n1, networks.n2):
        one, three = make(samples=1), make(samples=3)
        assert np.array_equal(one.stimulus[0], three.stimulus[0])
        assert all(np.array_equal(a, b) for a, b in zip(one.weights, three.weights, strict=True))


def test_n2_fires_as_sparsely_as_a_trained_network() -> None:
    network = networks.n2()
    assert network.stimulus.shape == (20, 50, 1, 28, 28)
    assert 0.1 < network.stimulus.mean() < 0.2
    activity = networks.simulate_layered(network, 20)
    rates = activity.spikes.mean(axis=1) / 50 / np.array([16 * 24 * 24, 32 * 10 * 10, 10])
    assert np.all((rates > 0.05) & (rates < 0.1)), rates


def test_n2_equals_a_simulation_that_goes_from_connection_to_connection() -> None:
    network = networks.n2(samples=1)
    ticks = 6
    short = networks.Layered("n2", network.weights, network.pools, network.thresholds, network.stimulus[:, :ticks])
    k1, k2, k3 = (w.astype(int) for w in network.weights)
    connections: list[tuple[networks.Array, networks.Array]] = []
    for kernel, pool, (height, width) in ((k1, 1, (28, 28)), (k2, 2, (24, 24)), (k3.T.reshape(10, 32, 5, 5), 2, (10, 10))):
        outputs, inputs, rows, columns = kernel.shape
        out_shape = (outputs, height // pool - rows + 1, width // pool - columns + 1)
        matrix = np.zeros((inputs, height, width, *out_shape), int)
        exists = np.zeros(matrix.shape, bool)
        for y in range(height):
            for x in range(width):
                for i in range(out_shape[1]):
                    for j in range(out_shape[2]):
                        row, column = y // pool - i, x // pool - j
                        if 0 <= row < rows and 0 <= column < columns:
                            matrix[:, y, x, :, i, j] = kernel[:, :, row, column].T
                            exists[:, y, x, :, i, j] = True
        connections.append((matrix.reshape(inputs * height * width, -1), exists.reshape(inputs * height * width, -1)))
    v: list[networks.Array] = [np.zeros(matrix.shape[1], int) for matrix, _ in connections]
    spikes, operations = [0, 0, 0], 0
    for tick in range(ticks):
        fired: networks.Array = short.stimulus[0, tick].ravel()
        for k, (matrix, exists) in enumerate(connections):
            operations += int(exists[fired].sum())
            v[k] = np.trunc(v[k] * 3968 / 4096).astype(int) + matrix[fired].sum(axis=0)
            fired = v[k] > short.thresholds[k]
            v[k][fired] = 0
            spikes[k] += int(fired.sum())
    activity = networks.simulate_layered(short, 1)
    assert activity.spikes[:, 0].tolist() == spikes
    assert spikes[1] > 0
    assert activity.operations.tolist() == [operations]


def test_n3_neither_dies_nor_runs_away() -> None:
    network = networks.n3(neurons=5000)
    activity = networks.simulate_recurrent(network)
    rates = activity.spikes[0] / 5000
    assert 0.02 < rates.mean() < 0.04
    assert np.all((rates[5:] > 0.015) & (rates[5:] < 0.06))
    recurrent = 100 * np.concatenate([[0], activity.spikes[0, :-1]])
    assert activity.operations.tolist() == (recurrent + 50 * network.stimulus[0].sum(axis=1)).tolist()


def test_the_lif_rounds_toward_zero_and_resets_to_zero() -> None:
    v = np.array([-33, 33, 31, 1000])
    assert networks.lif(v, np.array([0, 0, 1, 33]), 128, 1000).tolist() == [False, False, False, True]
    assert v.tolist() == [-31, 31, 31, 0]


@pytest.mark.parametrize("name", ["n1", "n3"])
def test_a_saved_network_reads_back(name: str, tmp_path: Path) -> None:
    network = networks.n1(samples=1) if name == "n1" else networks.n3(neurons=100)
    networks.save(network, tmp_path / "network.npz")
    with np.load(tmp_path / "network.npz") as arrays:
        assert np.array_equal(arrays["stimulus"], network.stimulus)
        assert int(arrays["decay"]) == 128
        first = network.weights[0] if isinstance(network, networks.Layered) else network.weights
        assert np.array_equal(arrays["weights_0" if name == "n1" else "weights"], first)


REPORT = {"seconds": 0.5, "build_seconds": 2.0, "spikes": [1, 2, 3], "operations": 7, "version": "1.0", "repetitions": 5}


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the interpreter of every peer's environment is: a shell script that a test writes."""
    path = tmp_path / "python"
    monkeypatch.setattr(peers, "prepare", lambda name: path)
    monkeypatch.setattr(peers, "_spent", 0.0)
    monkeypatch.setitem(peers.PEERS, "lava", peers.Peer("lava", "lava", "integer", limit=1.0))
    return path


def script(path: Path, lines: str) -> None:
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


def test_a_peer_reports_in_the_last_line(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    lines = 'test -z "$OPENBLAS_CORETYPE" && test "$OMP_NUM_THREADS $4 $5 $6" = "2 /n1.npz 20 2" || exit 1'
    script(python, f"{lines}\necho a banner\necho '{json.dumps(REPORT)}'")
    assert peers.measure("lava", Path("/n1.npz"), samples=20, threads=2) == REPORT | {"threads": 2}


def test_the_better_number_of_threads_counts(python: Path) -> None:
    slower = json.dumps(REPORT | {"seconds": 0.7})
    script(python, f"if [ $6 = 1 ]; then echo '{json.dumps(REPORT)}'; else echo '{slower}'; fi")
    assert peers.measure("snntorch", Path("/n1.npz"), samples=20, threads=2) == REPORT | {"threads": 1}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("echo Traceback >&2; echo 'ImportError: no' >&2; exit 1", "ImportError: no"),
        ("kill -SEGV $$", "code -11"),
        ("echo no report", "Expecting value"),
        ("echo 3", "no report"),
        (":", "no report"),
        ("sleep 60 & sleep 60", "longer than 1 s"),
    ],
)
def test_a_peer_that_fails_is_unavailable(python: Path, lines: str, reason: str) -> None:
    script(python, lines)
    report = peers.measure("lava", Path("/n1.npz"))
    assert list(report) == ["unavailable"]
    assert reason in report["unavailable"]


def test_a_peer_that_cannot_be_started_is_unavailable(python: Path) -> None:
    assert "python" in peers.measure("lava", Path("/n1.npz"))["unavailable"]


def test_all_peers_together_have_a_budget(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(python, f"echo '{json.dumps(REPORT)}'")
    monkeypatch.setattr(peers, "_spent", peers.BUDGET)
    assert "used up" in peers.measure("lava", Path("/n1.npz"))["unavailable"]


def test_an_environment_that_cannot_be_installed_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROCOMP_BENCH_CACHE", str(tmp_path))
    monkeypatch.setitem(
        peers.ENVIRONMENTS, "lava", peers.Environment((f"nothing @ file://{tmp_path}/nothing.whl",), pythons=())
    )
    assert "nothing" in peers.measure("lava", Path("/n1.npz"))["unavailable"]
    assert not (tmp_path / "lava" / ".ready").exists()


def test_every_peer_has_its_script_and_environment() -> None:
    for name, on, kind in peers.NAMES:
        peer = peers.PEERS[name]
        assert peer.environment in peers.ENVIRONMENTS
        assert (Path(peers.__file__).parent / f"{peer.module}.py").is_file()
        assert on
        assert set(on) <= {"n1", "n2", "n3"}
        assert kind in ("float", "integer")
