"""Samples go through encoders, simulations and decoders in batches, on threads: neither changes a result."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp import api
from neurocomp.api import Compiled, Run
from neurocomp.engine.threads import available_processors, in_order
from neurocomp.errors import Diagnostic, EngineUnavailable, UsageError
from neurocomp.ir.network import Network
from neurocomp.ir.trace import Event, Trace
from neurocomp_reference import ReferenceSimulator

NET = """\
neurocomp: 1
name: batched
timestep: 1 ms
ticks: 9
populations:
  x: {kind: input, shape: [5]}
  a: {shape: [7], neuron: {model: cuba_lif, tau_syn: 4 ms, tau_mem: 10 ms, v_threshold: 0.8, reset: zero}}
  b: {shape: [3], neuron: {model: lif, tau_mem: 10 ms, v_threshold: 0.6, reset: zero}}
projections:
  - {from: x, to: a, weights: weights.npz#xa}
  - {from: a, to: a, weights: weights.npz#aa, delay: 2}
  - {from: a, to: b, weights: weights.npz#ab}
encode: {x: {scheme: bernoulli, gain: 0.8, seed: 3}}
decode: {b: {scheme: count}}
data: {inputs: {x: data.npz#values}, labels: data.npz#labels, scale: 1/255}
"""
SAMPLES = 23


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network whose encoder is stochastic, with 23 labelled samples."""
    path = tmp_path_factory.mktemp("net")
    rng = np.random.default_rng(4)
    weights = {"xa": (7, 5), "aa": (7, 7), "ab": (3, 7)}
    arrays = {name: rng.normal(0.25, 0.4, shape).astype(np.float32) for name, shape in weights.items()}
    np.savez(path / "weights.npz", **arrays)  # type: ignore[arg-type]
    values = rng.integers(0, 256, (SAMPLES, 5), dtype=np.uint8)
    np.savez(path / "data.npz", values=values, labels=rng.integers(0, 3, SAMPLES))
    (path / "net.yaml").write_text(NET)
    loaded = neurocomp.load(path / "net.yaml")
    assert isinstance(loaded, Network)
    return loaded


@pytest.fixture(scope="module")
def compiled(network: Network) -> Compiled:
    return neurocomp.compile(network, target="loihi")


def equal(one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> bool:
    return list(one) == list(other) and all(
        one[key].dtype == other[key].dtype and np.array_equal(one[key], other[key]) for key in one
    )


# Results


@pytest.mark.parametrize("engine", ["reference", "fast", "chip", "float"])
@pytest.mark.parametrize("batch", [1, 4, 64])
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_neither_batches_nor_threads_change_a_run(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch, engine: str, batch: int, jobs: int
) -> None:
    whole = compiled.run(engine, compiled.stimulus(), probe="all", state=True, jobs=1)
    assert whole.arrays["spikes/b"].any()
    monkeypatch.setattr(api, "BATCH", batch)
    encoded = compiled.run(engine, probe="all", state=True, jobs=jobs)
    given = compiled.run(engine, compiled.stimulus(), probe="all", state=True, jobs=jobs)
    for run in (encoded, given):
        assert (run.engine, run.events, run.interrupted) == (engine, whole.events, False)
        assert equal(run.arrays, whole.arrays)


@pytest.mark.parametrize("stage", ["lowered", "quantized"])
def test_fast_and_reference_are_equal(compiled: Compiled, stage: str) -> None:
    one, other = (compiled.run(engine, probe="all", state=True, stage=stage) for engine in ("reference", "fast"))
    assert equal(one.arrays, other.arrays)


@pytest.mark.parametrize("engine", ["reference", "fast", "chip"])
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_neither_batches_nor_threads_change_an_evaluation(
    compiled: Compiled, network: Network, monkeypatch: pytest.MonkeyPatch, engine: str, jobs: int
) -> None:
    whole = compiled.evaluate("reference", jobs=1)
    alone = api.evaluate_network(network, jobs=1)
    monkeypatch.setattr(api, "BATCH", 3)
    found = compiled.evaluate(engine, jobs=jobs)
    assert (found.accuracy, found.samples, found.engine, found.interrupted) == (whole.accuracy, SAMPLES, engine, False)
    assert equal(found.predictions, whole.predictions)
    again = api.evaluate_network(network, jobs=jobs)
    assert (again.accuracy, again.engine) == (alone.accuracy, None)
    assert equal(again.predictions, alone.predictions)


def test_a_count_and_a_stimulus_of_no_samples(compiled: Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BATCH", 4)
    assert compiled.run("reference", count=6).arrays["spikes/b"].shape == (6, 9, 3)
    assert compiled.run("reference", compiled.stimulus(), count=6).arrays["spikes/b"].shape == (6, 9, 3)
    none = compiled.run("reference", {"x": np.zeros((0, 9, 5), np.int8)})
    assert none.arrays["spikes/b"].shape == (0, 9, 3)


def test_events_are_put_together(compiled: Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts add up; the first place is that of the first sample, by its number in the whole job."""
    original = ReferenceSimulator.run

    def run(self: ReferenceSimulator, network: Any, stimulus: Any, **options: Any) -> Trace:
        trace = original(self, network, stimulus, **options)
        samples = len(stimulus["x"])
        events = (Event("b", "v", 2, samples - 1, 3, 1), Event("a", "u", 1, 0, 5, 0))
        return replace(trace, events=events[: 1 + (samples == 3)])

    monkeypatch.setattr(ReferenceSimulator, "run", run)
    monkeypatch.setattr(api, "BATCH", 4)
    events = compiled.run("reference").events
    assert events == (Event("a", "u", 1, 20, 5, 0), Event("b", "v", 12, 3, 3, 1))


def test_batches_are_small_where_memory_or_work_is_large() -> None:
    assert api._batch_size(1000, 10**6) == api.BATCH
    assert api._batch_size(1 << 22) == 8
    assert api._batch_size(1 << 40) == 1
    assert api._batch_size(1000, api.BATCH_SYNAPSES // 20) == 20
    assert api._batch_size(1000, 10**15) == api.SMALLEST_BATCH


def test_threads_are_few_where_each_has_the_weights_for_itself() -> None:
    assert api._threads(None) == available_processors()
    assert api._threads(300) == 300
    assert api._threads(300, 1000) == api.THREADS_BYTES // (8000 + api.THREAD_BYTES)
    assert api._threads(300, 10**10) == 1


# Progress and interruptions


def test_progress(compiled: Compiled, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BATCH", 8)
    for work in (
        lambda progress: compiled.run("fast", progress=progress, jobs=2),
        lambda progress: compiled.evaluate(progress=progress),
        lambda progress: api.evaluate_network(network, progress=progress),
        lambda progress: api.run_network(network, progress=progress),
    ):
        seen: list[tuple[int, int]] = []
        work(lambda done, total, seen=seen: seen.append((done, total)))
        assert seen == [(0, 23), (8, 23), (16, 23), (23, 23)]


def interrupted_after(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Let the reference be interrupted in the batch after some."""
    original = ReferenceSimulator.run
    done: list[bool] = []

    def run(self: ReferenceSimulator, *arguments: Any, **options: Any) -> Trace:
        if len(done) == batches:
            raise KeyboardInterrupt
        done.append(True)
        return original(self, *arguments, **options)

    monkeypatch.setattr(ReferenceSimulator, "run", run)
    monkeypatch.setattr(api, "BATCH", 5)


def test_an_interrupted_run_keeps_what_is_finished(compiled: Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compiled.run("reference", probe="all", state=True)
    interrupted_after(monkeypatch, 3)
    run = compiled.run("reference", probe="all", state=True, jobs=1, keep_finished=True)
    assert run.interrupted
    assert equal(run.arrays, {key: values[:15] for key, values in whole.arrays.items()})


def test_an_interrupted_evaluation_keeps_what_is_finished(compiled: Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compiled.evaluate("reference", count=10)
    interrupted_after(monkeypatch, 2)
    found = compiled.evaluate("reference", jobs=1, keep_finished=True)
    assert (found.interrupted, found.samples, found.accuracy) == (True, 10, first.accuracy)
    assert equal(found.predictions, first.predictions)


@pytest.mark.parametrize(("batches", "keep"), [(2, False), (0, True)])
def test_python_raises_unless_something_is_to_be_kept(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch, batches: int, keep: bool
) -> None:
    interrupted_after(monkeypatch, batches)
    with pytest.raises(KeyboardInterrupt):
        compiled.run("reference", jobs=1, keep_finished=keep)


def test_an_interruption_waits_for_no_thread() -> None:
    """One of two threads is at an item that ends only after the caller has its answer."""
    release, finished = threading.Event(), threading.Event()

    def work(item: int) -> int:
        if item == 1:
            raise KeyboardInterrupt
        if item == 0:
            return item
        release.wait(60)
        finished.set()
        return item

    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        seen.extend(in_order(work, list(range(50)), 2))
    assert not finished.is_set()
    release.set()


def test_items_come_in_order() -> None:
    for jobs in (1, 2, 3, 50):
        for interruptible in (False, True):
            assert list(in_order(lambda n: n * n, range(20), jobs, interruptible=interruptible)) == [n * n for n in range(20)]
            assert list(in_order(str, [], jobs, interruptible=interruptible)) == []


# Which engine runs


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what was logged so far, and forget it."""
    caplog.set_level(logging.DEBUG, "neurocomp")

    def messages() -> list[str]:
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return found

    return messages


def test_the_reference_serves_small_jobs(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]
) -> None:
    small = compiled.run()
    assert small.engine == "reference"
    assert said()[0] == "engine reference: a small job, not worth loading the compiled kernels"
    monkeypatch.setattr(api, "SMALL_JOB", (0, 0))
    run = compiled.run()
    assert run.engine == "fast"
    assert said()[0] == "engine fast: the job is not small"
    assert equal(run.arrays, small.arrays)
    assert compiled.evaluate().engine == "fast"
    assert compiled.run("reference").engine == "reference"


def test_what_is_small() -> None:
    compiled = neurocomp.load(Path(__file__).parents[2] / "examples" / "mnist_mlp" / "net.yaml")
    assert isinstance(compiled, Network)
    network = neurocomp.compile(compiled, "reference").artifact.lowered.network
    neurons, synapses = api._extent(network)
    assert (neurons, synapses) == (1050, 203264)
    most = min(api.SMALL_JOB[0] // neurons, api.SMALL_JOB[1] // synapses)
    assert api.is_small(network, 1, most)
    assert not api.is_small(network, most + 1, 1)


def test_the_reference_takes_what_the_fast_engine_cannot(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]
) -> None:
    from neurocomp.engine.simulator import FastSimulator

    def run(self: FastSimulator, *arguments: Any, **options: Any) -> Trace:
        raise EngineUnavailable(Diagnostic("NC0320", "potentials leave 32 bits"))

    monkeypatch.setattr(FastSimulator, "run", run)
    monkeypatch.setattr(api, "SMALL_JOB", (0, 0))
    found: Run = compiled.run()
    assert found.engine == "reference"
    assert "the engine 'fast' is left out, the reference runs instead: potentials leave 32 bits" in said()
    with pytest.raises(EngineUnavailable, match="potentials leave 32 bits"):
        compiled.run("fast")
    report = compiled.verify(count=2)
    assert (report.bit_exact, report.skipped["fast"]) == (True, "potentials leave 32 bits")
    assert "fast" not in report.engines
    with pytest.raises(EngineUnavailable, match="potentials leave 32 bits"):
        compiled.verify(["fast"], count=2)


def test_kernels_that_do_not_compile(compiled: Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    from neurocomp.engine import simulator

    def fails() -> None:
        raise RuntimeError("no such instruction\nand more")

    monkeypatch.setattr(simulator, "compile_kernels", fails)
    reason = "its kernels do not compile: RuntimeError: no such instruction"
    with pytest.raises(EngineUnavailable) as caught:
        compiled.run("fast")
    assert caught.value.diagnostics[0].message == f"engine 'fast' is not available: {reason}"
    assert compiled.verify(count=2).skipped["fast"] == reason


def test_evaluate_knows_its_engines(compiled: Compiled) -> None:
    with pytest.raises(UsageError, match="evaluate has no engine 'lava'"):
        compiled.evaluate("lava")


def test_a_difference_of_the_fast_engine_is_found(compiled: Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    from neurocomp.engine.simulator import FastSimulator

    original = FastSimulator.run

    def run(self: FastSimulator, *arguments: Any, **options: Any) -> Trace:
        trace = original(self, *arguments, **options)
        trace.v["a"][1, 4, 2] += 1
        return trace

    monkeypatch.setattr(FastSimulator, "run", run)
    report = compiled.verify(["fast", "chip"], count=3)
    assert not report.bit_exact
    found = report.first_divergence
    assert found is not None
    assert (found.engines, found.population, found.register) == (("reference", "fast"), "a", "v")
    assert (found.sample, found.neuron) == (1, 2)
