"""Lava as a witness: the lowered network, built from Lava's own stock processes, in a child process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Stimulus
from neurocomp.errors import Diagnostic, EngineUnavailable
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.quantized import COMPARTMENT, IntegerPopulation, IntegerProjection
from neurocomp.ir.trace import Trace
from neurocomp_loihi.lava_shim import available

Array = NDArray[Any]

SECONDS_PER_STEP = 0.2
SECONDS_TO_BUILD = 180.0
SECONDS_TO_END = 5.0
ARITHMETIC = {
    "decay_bits": 12,
    "current_decay_offset": 1,
    "state_shift": 6,
    "u_bits": 24,
    "u_overflow": "fold",
    "v_bits": 24,
}
"""What lava-nc's fixed-point LIF computes with, whatever the chip."""
_JOB_NAMES = {"u_init": "u0", "v_init": "v0"}


class LavaWitness:
    """Runs a lowered network through lava-nc's fixed-point processes; see `neurocomp.backend.Witness`."""

    name = "lava"

    def unavailable(self, lowered: LoweredNetwork | None = None) -> str | None:
        """Return why Lava cannot run here (and how to get it), or not this network; its arithmetic is fixed."""
        reason = available()
        if reason is None and lowered is not None:
            form = lowered.network.number_format
            other = [
                f"{name} {getattr(form, name)}, not {value}"
                for name, value in ARITHMETIC.items()
                if getattr(form, name) != value
            ]
            if other:
                reason = f"Lava's arithmetic is not that of '{form.name}': {'; '.join(other)}"
        return reason

    def run(
        self, lowered: LoweredNetwork, stimulus: Stimulus, *, record: Sequence[str] | None = None, state: bool = True
    ) -> Trace:
        """Run all samples in one build; one run where no spike can cross samples, else state is cleared between them.

        Raises:
            EngineUnavailable: Lava is not installed, failed or did not end in time (NC0320).
        """
        reason = self.unavailable(lowered)
        if reason is not None:
            raise EngineUnavailable(Diagnostic("NC0320", f"engine 'lava' is not available: {reason}"))
        with tempfile.TemporaryDirectory(prefix="neurocomp-lava-") as name:
            folder = Path(name)
            job = write_job(lowered, stimulus, folder)
            steps = job["samples"] * (job["user_ticks"] if job["batched"] else job["chip_ticks"])
            _run_child(folder, SECONDS_TO_BUILD + SECONDS_PER_STEP * steps)
            return _read_trace(lowered, stimulus, folder, record, state)


def write_job(lowered: LoweredNetwork, stimulus: Stimulus, folder: Path) -> dict[str, Any]:
    """Write what `neurocomp_loihi.lava_run` reads, and return its job.json."""
    network = lowered.network

    def store(name: str, array: Array) -> str:
        np.save(folder / name, np.ascontiguousarray(array), allow_pickle=False)
        return name

    def value(index: int, key: str, array: Array) -> int | str:
        return int(array) if array.ndim == 0 else store(f"p{index}_{key}.npy", array)

    def population(index: int, p: IntegerPopulation) -> dict[str, Any]:
        entry: dict[str, Any] = {"name": p.name, "n": p.size, "lag": lowered.lag[p.name]}
        if p.is_input:
            return {**entry, "kind": "input"}
        parameters = {_JOB_NAMES.get(key, key): value(index, key, p.parameters[key]) for key in COMPARTMENT}
        return {**entry, "kind": "cuba", **parameters}

    def projection(index: int, q: IntegerProjection) -> list[dict[str, Any]]:
        entry = {
            "name": q.name, "source": q.source, "target": q.target, "weight_exp": q.exponent,
            "weight_bits": q.weight_bits, "sign_mode": q.sign_mode,
        }  # fmt: skip
        if q.pattern.kind == "dense":
            weights = store(f"q{index}_weights.npy", q.weights)
            delay = int(q.delay) if q.delay.ndim == 0 else store(f"q{index}_delay.npy", q.delay)
            return [{**entry, "kind": "dense", "weights": weights, "delay": delay}]
        each = np.arange(q.mantissa.size)
        sources, targets = q.pattern.arrays.get("sources", each), q.pattern.arrays.get("targets", each)
        entries = []
        # Lava's Sparse adds up synapses of one pair before it clips them: repeated pairs go into connections of their own.
        for repeat, chosen in enumerate(_without_repeats(sources, targets)):
            part = f"q{index}_{repeat}"
            lists = {"data": q.weights[chosen], "row": targets[chosen], "col": sources[chosen]}
            files = {key: store(f"{part}_{key}.npy", array) for key, array in lists.items()}
            delay = int(q.delay) if q.delay.ndim == 0 else store(f"{part}_delay.npy", q.delay[chosen])
            entries.append({**entry, "kind": "sparse", "weights": files, "delay": delay})
        return entries

    samples, ticks = _samples_and_ticks(lowered, stimulus)
    job = {
        "user_ticks": ticks,
        "chip_ticks": ticks + lowered.largest_lag,
        "samples": samples,
        "batched": samples_stay_apart(lowered),
        "populations": [population(i, p) for i, p in enumerate(network.populations.values())],
        "projections": [entry for i, q in enumerate(network.projections) for entry in projection(i, q)],
        "stimulus": {name: store(f"stimulus_{i}.npy", array) for i, (name, array) in enumerate(stimulus.items())},
    }
    (folder / "job.json").write_text(json.dumps(job))
    return job


def _samples_and_ticks(lowered: LoweredNetwork, stimulus: Stimulus) -> tuple[int, int]:
    """Return the extents of a stimulus; a network without inputs runs one sample of the declared length."""
    for values in stimulus.values():
        return values.shape[0], values.shape[1]
    return 1, lowered.network.ticks


def _without_repeats(sources: Array, targets: Array) -> list[Array]:
    """Split a list of synapses into lists of indices in which no (source, target) pair stands twice."""
    remaining = np.arange(len(sources))
    parts = []
    while len(remaining):
        pairs = np.stack([sources[remaining], targets[remaining]], axis=1)
        first = np.sort(np.unique(pairs, axis=0, return_index=True)[1])
        parts.append(remaining[first])
        remaining = np.delete(remaining, first)
    return parts


def samples_stay_apart(lowered: LoweredNetwork) -> bool:
    """Return whether samples can follow one another tick by tick: nothing of one is under way when the next one begins.

    It holds without cycles, without delays beyond those that the lags ask for, and where every window starts from zero.
    """
    network = lowered.network
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from((q.source, q.target) for q in network.projections)
    if not nx.is_directed_acyclic_graph(graph):
        return False
    for q in network.projections:
        if q.delay.size and int(q.delay.max()) > lowered.lag[q.target] - lowered.lag[q.source]:
            return False
    return not any(
        p.parameters[key].any() for p in network.populations.values() if not p.is_input for key in ("u_init", "v_init")
    )


def _run_child(folder: Path, timeout: float) -> None:
    """Run the child in its own process group, and end the group with it."""
    log = folder / "log.txt"
    command = [sys.executable, "-m", "neurocomp_loihi.lava_run", str(folder)]
    problem = None
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        try:
            code = child.wait(timeout)
            if code != 0:
                problem = f"its process ended with exit code {code}"
        except subprocess.TimeoutExpired:
            problem = f"it did not end within {timeout:.0f} s"
        finally:
            _end(child)
    if problem is None and not (folder / "done.json").exists():
        problem = "it ended without a result"
    if problem is not None:
        error = folder / "error.txt"
        text = (error if error.exists() else log).read_text(errors="replace").strip()
        tail = "\n".join(text.splitlines()[-25:])
        raise EngineUnavailable(
            Diagnostic("NC0320", f"engine 'lava' failed: {problem}\n{tail}", hint="'neurocomp doctor' checks the installation")
        )


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child and its process group: asked first, so that Lava gives its shared memory back, then by force."""
    with suppress(subprocess.TimeoutExpired):
        child.terminate()
        child.wait(SECONDS_TO_END)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _read_trace(lowered: LoweredNetwork, stimulus: Stimulus, folder: Path, record: Sequence[str] | None, state: bool) -> Trace:
    windowed = bool(json.loads((folder / "done.json").read_text())["windowed"])
    samples, ticks = _samples_and_ticks(lowered, stimulus)
    tables: Mapping[str, dict[str, Array]] = {"spikes": {}, "u": {}, "v": {}}
    for index, p in enumerate(lowered.network.populations.values()):
        if record is not None and p.name not in record:
            continue
        if p.is_input:
            length = ticks if windowed else ticks + lowered.largest_lag
            spikes = np.zeros((samples, length, p.size), np.int32)
            spikes[:, :ticks] = stimulus[p.name]
            tables["spikes"][p.name] = spikes
            continue
        for register in ("spikes", "u", "v") if state else ("spikes",):
            tables[register][p.name] = np.load(folder / f"{register}_{index}.npy", allow_pickle=False)
    return Trace("lava", ticks, lowered.lag, tables["spikes"], tables["u"], tables["v"], windowed)
