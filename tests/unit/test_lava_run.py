"""The Lava child process against a plain rewriting of Lava's formulas (reference: loihi-semantics 1.2 and 1.3)."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from neurocomp_loihi import lava_shim
from neurocomp_loihi.lava_run import Job, stock_reset

Array = npt.NDArray[np.int64]
Registers = dict[str, tuple[Array, Array, Array]]


def test_lava_is_there_wherever_it_runs() -> None:
    """So that tests with Lava are left out on Pythons without it alone; `make setup` installs it."""
    missing = lava_shim.available()
    assert (missing is None) == (sys.version_info < (3, 13)), missing


M = 1 << 23


class JobFolder:
    """Writes a job as the parent does, and runs it."""

    def __init__(self, folder: Path, *, ticks: int, samples: int, batched: bool) -> None:
        self.folder = folder
        self.ticks, self.samples, self.batched = ticks, samples, batched
        self.populations: list[dict[str, Any]] = []
        self.projections: list[dict[str, Any]] = []
        self.stimulus: dict[str, Array] = {}
        self.files = 0

    @property
    def chip_ticks(self) -> int:
        return self.ticks + max(int(p["lag"]) for p in self.populations)

    def value(self, value: Any) -> int | str:
        if isinstance(value, int):
            return value
        self.files += 1
        name = f"array_{self.files}.npy"
        np.save(self.folder / name, value)
        return name

    def input(self, name: str, spikes: Array, lag: int = 0) -> None:
        self.populations.append({"name": name, "n": spikes.shape[2], "kind": "input", "lag": lag})
        self.stimulus[name] = spikes

    def cuba(self, name: str, n: int, lag: int, **parameters: Any) -> None:
        defaults = {"du": 0, "dv": 0, "vth": 100, "bias_mant": 0, "bias_exp": 0, "u0": 0, "v0": 0}
        plain = {"model": "stock", "reset": "zero", "refractory": 0, "reset_interval": None, "reset_offset": 0}
        plain |= {"start": 0, "current": None}
        self.populations.append({"name": name, "n": n, "kind": "cuba", "lag": lag, **plain, **defaults, **parameters})

    def connect(
        self, source: str, target: str, weights: Array, *, sparse: bool = False, delay: Any = 1, **options: Any
    ) -> None:
        defaults = {"weight_exp": 0, "weight_bits": 8, "sign_mode": "mixed", "binary": True}
        entry = {"name": f"{source}_{target}", "source": source, "target": target, **defaults, **options}
        self.projections.append({**entry, "kind": "sparse" if sparse else "dense", "weights": weights, "delay": delay})

    def write(self) -> None:
        np_keys = ("du", "dv", "vth", "bias_mant", "bias_exp", "u0", "v0")
        populations = [{k: self.value(v) if k in np_keys else v for k, v in p.items()} for p in self.populations]
        projections = []
        for p in self.projections:
            entry = dict(p)
            if p["kind"] == "sparse":
                row, col = np.nonzero(p["weights"])
                parts = {"data": p["weights"][row, col], "row": row, "col": col}
                entry["weights"] = {key: self.value(array) for key, array in parts.items()}
                entry["delay"] = self.value(p["delay"] if isinstance(p["delay"], int) else p["delay"][row, col])
            else:
                entry["weights"], entry["delay"] = self.value(p["weights"]), self.value(p["delay"])
            projections.append(entry)
        job = {
            "user_ticks": self.ticks,
            "chip_ticks": self.chip_ticks,
            "samples": self.samples,
            "batched": self.batched,
            "populations": populations,
            "projections": projections,
            "stimulus": {name: self.value(spikes) for name, spikes in self.stimulus.items()},
        }
        (self.folder / "job.json").write_text(json.dumps(job), encoding="utf-8")

    def start(self) -> subprocess.Popen[bytes]:
        self.write()
        self.alive, inherited = os.pipe()
        with (self.folder / "output.txt").open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "neurocomp_loihi.lava_run", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(inherited,),
            )
        os.close(inherited)
        return child

    def finish(self, child: subprocess.Popen[bytes]) -> int:
        """Wait for the exit code, and see that nothing is left that inherited the pipe."""
        code = child.wait(timeout=120)
        ended, _, _ = select.select([self.alive], [], [], 10)
        os.close(self.alive)
        assert ended, "a process of Lava outlived the job"
        return code

    def run(self) -> int:
        return self.finish(self.start())

    def output(self) -> str:
        return (self.folder / "output.txt").read_text(encoding="utf-8")

    def results(self) -> Registers:
        results = {}
        for index, population in enumerate(self.populations):
            if population["kind"] == "cuba":
                arrays = [np.load(self.folder / f"{register}_{index}.npy") for register in ("spikes", "u", "v")]
                assert all(array.dtype == np.int32 for array in arrays)
                results[population["name"]] = (arrays[0], arrays[1], arrays[2])
        return results

    def expected(self) -> Registers:
        """What Lava's formulas give: every sample by itself, then the windows if the job is batched."""
        whole = {p["name"]: [self.alone(sample)[p["name"]] for sample in range(self.samples)] for p in self.populations}
        results = {}
        for population in self.populations:
            if population["kind"] == "cuba":
                arrays = [np.stack(parts) for parts in zip(*whole[population["name"]], strict=True)]
                if self.batched:
                    lag = population["lag"]
                    arrays = [array[:, lag : lag + self.ticks] for array in arrays]
                results[population["name"]] = (arrays[0], arrays[1], arrays[2])
        return results

    def alone(self, sample: int) -> Registers:
        """One sample from the initial state, every chip tick."""
        ticks = self.chip_ticks
        registers = {p["name"]: tuple(np.zeros((ticks, p["n"]), np.int64) for _ in range(3)) for p in self.populations}
        state = {p["name"]: [np.zeros(p["n"], np.int64) for _ in range(2)] for p in self.populations}
        for p in self.populations:
            if p["kind"] == "input":
                registers[p["name"]][0][p["lag"] : p["lag"] + self.ticks] = self.stimulus[p["name"]][sample]
            elif not self.batched:
                state[p["name"]] = [np.zeros(p["n"], np.int64) + p["u0"], np.zeros(p["n"], np.int64) + p["v0"]]
        for t in range(ticks):
            for p in self.populations:
                if p["kind"] == "input":
                    continue
                if self.batched and t == p["lag"]:
                    state[p["name"]] = [np.zeros(p["n"], np.int64) for _ in range(2)]
                a = np.zeros(p["n"], np.int64)
                for projection in self.projections:
                    if projection["target"] == p["name"]:
                        a += arriving(projection, registers[projection["source"]][0], t)
                u, v = state[p["name"]]
                u = toward_zero(u * (4096 - (p["du"] + 1))) + (a << 6)
                u = np.where(u > M, u - 2 * M, np.where(u <= -M, u + 2 * M, u))
                v = np.clip(toward_zero(v * (4096 - p["dv"])) + u + (p["bias_mant"] << p["bias_exp"]), 1 - M, M - 1)
                spikes = v > p["vth"] << 6
                v = np.where(spikes, 0, v)
                state[p["name"]] = [u, v]
                for register, now in zip(registers[p["name"]], (spikes, u, v), strict=True):
                    register[t] = now
        return {name: (s, u, v) for name, (s, u, v) in registers.items()}


def toward_zero(product: Array) -> Array:
    return np.asarray(np.sign(product) * (np.abs(product) >> 12))


def arriving(projection: dict[str, Any], spikes: Array, tick: int) -> Array:
    weights = stored(projection["weights"], projection["sign_mode"], projection["weight_bits"])
    delays = np.broadcast_to(projection["delay"], weights.shape)
    exponent = projection["weight_exp"]
    total = np.zeros(len(weights), np.int64)
    for delay in np.unique(delays):
        if tick >= delay:
            summed = np.where(delays == delay, weights, 0) @ spikes[tick - delay]
            total += summed << exponent if exponent > 0 else summed >> -exponent
    return total


def stored(weights: Array, sign_mode: str, bits: int) -> Array:
    if sign_mode == "inhibitory":
        shift = 8 - bits
        return np.asarray(-((np.clip(-weights, 0, 255) >> shift) << shift))
    shift = 8 - bits + (sign_mode == "mixed")
    clipped = np.clip(weights, -256, 255) if sign_mode == "mixed" else np.clip(weights, 0, 255)
    return np.asarray((clipped >> shift) << shift)


def compare(job: JobFolder) -> None:
    assert job.run() == 0, job.output()
    done = json.loads((job.folder / "done.json").read_text(encoding="utf-8"))
    assert done["windowed"] is job.batched
    assert done["lava_version"].startswith("0.10.")
    results, expected = job.results(), job.expected()
    assert list(results) == list(expected)
    for name in expected:
        for register, actual, wanted in zip(("spikes", "u", "v"), results[name], expected[name], strict=True):
            np.testing.assert_array_equal(actual, wanted, err_msg=f"{name} {register}")
        assert expected[name][0].any(), f"{name} never fires, which would prove little"


def spikes(rng: np.random.Generator, samples: int, ticks: int, n: int, rate: float = 0.4) -> Array:
    return np.asarray(rng.random((samples, ticks, n)) < rate, np.int64)


def matrix(rng: np.random.Generator, n_post: int, n_pre: int, low: int = -128, high: int = 200) -> Array:
    return np.asarray(rng.integers(low, high, (n_post, n_pre)), np.int64)


def layered(job: JobFolder, rng: np.random.Generator) -> None:
    """Two layers with everything that a population can have; dense and sparse; odd weights, which Lava truncates."""
    n = (12, 9, 5)
    job.input("input", spikes(rng, job.samples, job.ticks, n[0]))
    job.cuba(
        "hidden", n[1], 1, du=rng.integers(0, 4096, n[1]), dv=410, vth=rng.integers(50, 300, n[1]), bias_mant=-7, bias_exp=3
    )
    job.cuba(
        "output", n[2], 2, du=4095, dv=4096, vth=60, bias_mant=rng.integers(0, 200, n[2]), bias_exp=rng.integers(0, 5, n[2])
    )
    job.connect("input", "hidden", matrix(rng, n[1], n[0]))
    job.connect("hidden", "output", matrix(rng, n[2], n[1]) * (rng.random((n[2], n[1])) < 0.6), sparse=True, weight_exp=1)


def recurrent(job: JobFolder, rng: np.random.Generator) -> None:
    """Two inputs, a population that excites and inhibits itself with delays, and one without any projection."""
    job.input("left", spikes(rng, job.samples, job.ticks, 6))
    job.input("right", spikes(rng, job.samples, job.ticks, 4))
    job.cuba("ring", 8, 1, du=1000, dv=200, vth=120, u0=rng.integers(-9000, 9000, 8), v0=rng.integers(-9000, 9000, 8))
    job.cuba("pacemaker", 1, 0, vth=500, bias_mant=90, bias_exp=7, v0=77)
    job.connect("left", "ring", matrix(rng, 8, 6, 0, 256), sign_mode="excitatory", weight_bits=6, delay=3)
    job.connect("right", "ring", matrix(rng, 8, 4, -255, 1), sign_mode="inhibitory", weight_bits=5, weight_exp=-2)
    kept = rng.random((8, 8)) < 0.5
    job.connect("ring", "ring", matrix(rng, 8, 8) * kept, sparse=True, delay=rng.integers(1, 6, (8, 8)))


def delayed(job: JobFolder, rng: np.random.Generator) -> None:
    """A skip connection whose delays differ: dense and sparse delays in one network."""
    job.input("input", spikes(rng, job.samples, job.ticks, 7))
    job.cuba("a", 6, 1, du=300, dv=300, vth=150, u0=640, v0=-640)
    job.cuba("b", 4, 2, du=4095, dv=1000, vth=200)
    job.connect("input", "a", matrix(rng, 6, 7), delay=rng.integers(1, 5, (6, 7)), weight_exp=-1)
    job.connect("input", "b", matrix(rng, 4, 7), sparse=True, delay=2)
    job.connect("a", "b", matrix(rng, 4, 6))


@pytest.mark.lava
@pytest.mark.parametrize("build", [layered, recurrent, delayed])
def test_one_sample_after_another(build: Callable[..., None], tmp_path: Path) -> None:
    job = JobFolder(tmp_path, ticks=9, samples=3, batched=False)
    build(job, np.random.default_rng(7))
    compare(job)


@pytest.mark.lava
@pytest.mark.parametrize(("ticks", "samples"), [(9, 4), (2, 5), (1, 6)])
def test_samples_in_one_run(ticks: int, samples: int, tmp_path: Path) -> None:
    job = JobFolder(tmp_path, ticks=ticks, samples=samples, batched=True)
    layered(job, np.random.default_rng(11))
    compare(job)


@pytest.mark.lava
def test_lags_may_exceed_the_window(tmp_path: Path) -> None:
    """Three layers at two ticks; the skip connection has the delay that equals the lag that it spans."""
    rng = np.random.default_rng(5)
    job = JobFolder(tmp_path, ticks=2, samples=4, batched=True)
    job.input("input", spikes(rng, 4, 2, 8, rate=0.7))
    for lag, (source, target) in enumerate([("input", "a"), ("a", "b"), ("b", "c")], start=1):
        job.cuba(target, 8, lag, du=2048, dv=100, vth=30)
        job.connect(source, target, matrix(rng, 8, 8, -60, 256))
    job.connect("input", "c", matrix(rng, 8, 8), delay=3)
    compare(job)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("lag", [0, 2])
def test_a_stock_schedule_clears_when_it_must_and_never_else(batched: bool, samples: int, lag: int) -> None:
    """LIFReset's rule, ``step % interval == offset`` with steps from 1, over all samples; and each sample's own schedule."""
    ticks, chip_ticks = 12, 14
    job = Job(Path(), ticks, chip_ticks, samples, batched, [], [], {})
    stock = 0
    for interval, first in [(None, 0), *((i, f) for i in range(1, 16) for f in range(16))]:
        found = stock_reset(job, {"reset_interval": interval, "reset_offset": first, "lag": lag})
        period, begin = (ticks, lag) if batched else (chip_ticks, 0)
        wanted = set()
        for sample in range(samples):
            due = [t for t in range(begin, begin + period) if interval and t >= first and (t - first) % interval == 0]
            if batched:
                due.append(lag)  # where the sample begins, u and v are zeroed in any case
            wanted |= {sample * period + t for t in due}
        if found is None:
            continue
        stock += 1
        steps = range(begin, samples * period + begin)
        cleared = {t for t in steps if (t + 1) % found["reset_interval"] == found["reset_offset"]}
        assert cleared == wanted, (interval, first)
    assert stock >= 5


@pytest.mark.lava
def test_the_traceback_of_a_lava_child_arrives(tmp_path: Path) -> None:
    """Lava refuses delays beyond 64 only in the child that runs the connection, in its first step."""
    job = JobFolder(tmp_path, ticks=4, samples=1, batched=False)
    job.input("input", np.ones((1, 4, 3), np.int64))
    job.cuba("a", 2, 1)
    job.connect("input", "a", np.full((2, 3), 64), delay=70)
    assert job.run() == 1
    error = (tmp_path / "error.txt").read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in error
    assert "DelayDense Process 'delays' expects values between 0 and 63" in error
    assert not (tmp_path / "done.json").exists()


@pytest.mark.lava
def test_a_fault_in_the_job_is_reported(tmp_path: Path) -> None:
    job = JobFolder(tmp_path, ticks=4, samples=1, batched=False)
    job.input("input", np.ones((1, 3, 3), np.int64))
    job.cuba("a", 2, 1)
    job.connect("input", "a", np.full((2, 3), 64))
    assert job.run() == 1
    error = (tmp_path / "error.txt").read_text(encoding="utf-8")
    assert "the stimulus of input has the shape (1, 3, 3), not (1, 4, 3)" in error


@pytest.mark.lava
def test_sigterm_ends_all_of_lava(tmp_path: Path) -> None:
    job = JobFolder(tmp_path, ticks=20000, samples=1, batched=False)
    job.input("input", np.ones((1, 20000, 3), np.int64))
    job.cuba("a", 2, 1)
    job.connect("input", "a", np.full((2, 3), 64))
    child = job.start()
    spikes_file = tmp_path / "spikes_1.npy"
    while child.poll() is None and not (spikes_file.exists() and np.load(spikes_file).any()):
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGTERM)
    assert job.finish(child) == 1, job.output()
    assert "ended by SIGTERM" in (tmp_path / "error.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", [(3, 9, 0), (3, 13, 0)])
def test_a_python_without_lava_is_named(version: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    assert lava_shim.available() == (
        f"Lava runs on Python 3.10 to 3.12, this is Python 3.{version[1]} "
        '(pip install "neurocomp[lava]" on Python 3.10; in a checkout of neurocomp, make setup on Python 3.10 to 3.12)'
    )
