"""Lava as a witness: the lowered network, built from Lava's own processes, in a child process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Stimulus
from neurocomp.errors import Diagnostic, EngineUnavailable
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.quantized import DYNAMICS, IntegerNetwork, IntegerPopulation, IntegerProduct, IntegerProjection
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import PATTERNS
from neurocomp_loihi.lava_shim import available

Array = NDArray[Any]

SECONDS_PER_STEP = 0.2
SECONDS_TO_BUILD = 180.0
SECONDS_TO_END = 5.0
SECONDS_PER_WINDOW = 2e-4
"""Lava's Conv takes a call of scipy per pair of channels and tick."""
SECONDS_PER_DELAYED_WEIGHT = 2e-7
"""DelayDense and DelaySparse rebuild the matrix of every delay in every tick."""
ARITHMETIC = {
    "decay_bits": 12,
    "current_decay_offset": 1,
    "state_shift": 6,
    "u_bits": 24,
    "u_overflow": "fold",
    "v_bits": 24,
}
"""What lava-nc's fixed-point LIF computes with, whatever the chip."""
LONGEST_DELAY = 64
"""Ticks: a step that every connection takes, and 63 that DelayDense and DelaySparse store."""
NEVER = 1 << 17
"""A threshold that no potential of 24 bits exceeds, for readouts; Lava does not check the width."""
CONV_EXTENT = 127
"""Lava's Conv computes its geometry in 8 bits: kernels, padded extents, channels, groups."""
CONV_BITS = 24
"""Lava's Conv wraps its sums at so many bits, where Dense does not."""
ENDLESS = 2.0**60
"""Ticks of a time constant from which on exp(-1 / tau) is 1 in float64; Lava's own variables hold no infinity."""

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
            else:
                reason = next(_beyond_lava(lowered.network), None)
        return reason

    def models(self, lowered: LoweredNetwork) -> Mapping[str, str]:
        """Return population -> ``stock`` or ``own``; inputs have no neurons and are left out."""
        return {p.name: _model(p) for p in lowered.network.populations.values() if not p.is_input}

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
            _run_child(folder, SECONDS_TO_BUILD + _seconds_per_step(lowered.network) * steps)
            return _read_trace(lowered, stimulus, folder, record, state)


def _beyond_lava(network: IntegerNetwork) -> Iterator[str]:
    """Yield what neither Lava's models nor ours can do."""
    for p in network.populations.values():
        if p.program is not None:
            yield f"'{p.name}' has the model {p.program}, a program of its own, which no process of Lava is"
        if p.compare != ">":
            yield f"'{p.name}' spikes where v >= threshold; Lava compares by >"
    for q in network.projections:
        if q.learning is not None and q.learning.modulators:
            yield f"'{q.name}' is modulated by '{q.learning.modulators[0]}'; no stock neuron of Lava sends what modulates"
        if q.learning is not None and (q.pattern.kind != "dense" or int(q.delay) != 1):
            yield f"'{q.name}' learns as '{q.pattern.kind}', delay {q.delay}; Lava's LearningDense is dense, with a delay of 1"
        if q.pool is not None:
            yield f"'{q.name}' has a max pool, which no process of Lava computes"
        if q.delay.size and int(q.delay.max()) > LONGEST_DELAY:
            yield f"'{q.name}' has a delay of {int(q.delay.max())} ticks; Lava's longest is {LONGEST_DELAY}"


def _model(p: IntegerPopulation) -> str:
    """Return ``stock`` where Lava's own models execute a population, ``own`` where ours change what a spike does.

    A late start changes nothing that is executed: before it the model does not run.
    """
    return "own" if p.refractory or p.reset != "zero" else "stock"


def _seconds_per_step(network: IntegerNetwork) -> float:
    """Return an upper estimate of the time that a tick takes."""
    seconds = SECONDS_PER_STEP
    for q in network.projections:
        if runs_as_conv(network, q):
            seconds += SECONDS_PER_WINDOW * q.mantissa.shape[0] * q.mantissa.shape[1]
        elif q.delay.size and int(q.delay.max()) > 1:
            weights = int(network.synapse_counts(q).sum())
            seconds += SECONDS_PER_DELAYED_WEIGHT * weights * int(q.delay.max())
    return seconds


def runs_as_conv(network: IntegerNetwork, q: IntegerProjection) -> bool:
    """Return whether Lava's Conv gives what a convolution means, exactly; else its synapses are listed for Sparse.

    It has no delays and no exponents (the weights are shifted for it), computes its geometry in 8 bits and wraps sums at 24.
    """
    kind = PATTERNS[q.pattern.kind]
    if not q.pattern.kind.startswith("conv") or not q.binary or q.delay.ndim or int(q.delay) != 1:
        return False
    source, target = network.shapes(q)
    options = q.pattern.options
    extents = [source[0], target[0], *options["kernel"], *options["stride"], *options["dilation"]]
    extents += [n + 2 * padding for n, padding in zip(source[1:], options["padding"], strict=True)]
    if max(extents) > CONV_EXTENT:
        return False
    if q.exponent < 0 and any(((1 << -q.exponent) - 1) & int(weight) for weight in np.unique(q.weights)):
        return False
    largest = max(int(part.max(initial=0)) for part in kind.sums(q.pattern, q.weights, source, target))
    return (largest << max(q.exponent, 0)) >> max(-q.exponent, 0) < 1 << (CONV_BITS - 1)


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
        parameters = {key: p.parameters[key] for key in DYNAMICS[p.dynamics]}
        if not p.fires:
            never = {"vth": np.int64(NEVER), "vth_low": np.int64(-NEVER)}
            parameters |= {key: np.asarray(threshold) for key, threshold in never.items() if key in parameters}
        return {
            **entry,
            "kind": "ternary" if p.dynamics == "ternary" else "cuba",
            **{_JOB_NAMES.get(key, key): value(index, key, array) for key, array in parameters.items()},
            "model": _model(p),
            "reset": p.reset,
            "refractory": p.refractory,
            "reset_interval": p.reset_interval,
            "reset_offset": p.reset_offset,
            "start": p.start,
            "current": None if p.current is None else store(f"p{index}_current.npy", stimulus[p.current]),
        }

    def projection(index: int, q: IntegerProjection) -> list[dict[str, Any]]:
        entry = {
            "name": q.name, "source": q.source, "target": q.target, "weight_exp": q.exponent,
            "weight_bits": q.weight_bits, "sign_mode": q.sign_mode, "binary": q.binary,
        }  # fmt: skip
        if q.learning is not None:
            weights = store(f"q{index}_weights.npy", q.weights)
            return [{**entry, "kind": "learning", "weights": weights, "index": index, "learning": _lesson(lowered, q, ticks)}]
        if q.pattern.kind == "dense":
            weights = store(f"q{index}_weights.npy", q.weights)
            delay = int(q.delay) if q.delay.ndim == 0 else store(f"q{index}_delay.npy", q.delay)
            return [{**entry, "kind": "dense", "weights": weights, "delay": delay}]
        if runs_as_conv(network, q):
            return [{**entry, "kind": "conv", **conv(index, q)}]
        synapses = network.synapses(q)
        values = q.weights.reshape(-1)[synapses.slot]
        delays = q.delay if q.delay.ndim == 0 else q.delay.reshape(-1)[synapses.slot]
        entries = []
        # Lava's Sparse adds up synapses of one pair before it clips them: repeated pairs go into connections of their own.
        for repeat, chosen in enumerate(_without_repeats(synapses.source, synapses.target)):
            part = f"q{index}_{repeat}"
            lists = {"data": values[chosen], "row": synapses.target[chosen], "col": synapses.source[chosen]}
            files = {key: store(f"{part}_{key}.npy", array) for key, array in lists.items()}
            delay = int(delays) if delays.ndim == 0 else store(f"{part}_delay.npy", delays[chosen])
            entries.append({**entry, "kind": "sparse", "weights": files, "delay": delay})
        return entries

    def conv(index: int, q: IntegerProjection) -> dict[str, Any]:
        """Return a convolution over two axes, the first of extent 1 if it has but one; weights with their exponent."""
        weights = q.weights << q.exponent if q.exponent > 0 else q.weights >> -q.exponent
        options = {key: list(values) for key, values in q.pattern.options.items()}
        shape = list(network.shapes(q)[0])
        if len(shape) == 2:
            weights, shape = weights[:, :, None, :], [shape[0], 1, shape[1]]
            options |= {"stride": [1, *options["stride"]], "padding": [0, *options["padding"]]}
            options["dilation"] = [1, *options["dilation"]]
        return {
            "weights": store(f"q{index}_weights.npy", weights),
            "source_shape": shape,
            "groups": options["groups"][0],
            **{key: options[key] for key in ("stride", "padding", "dilation")},
        }

    samples, ticks = _samples_and_ticks(lowered, stimulus)
    job = {
        "user_ticks": ticks,
        "chip_ticks": ticks + lowered.largest_lag,
        "samples": samples,
        "batched": samples_stay_apart(lowered),
        "populations": [population(i, p) for i, p in enumerate(_with_process(network))],
        "projections": [entry for i, q in enumerate(network.projections) for entry in projection(i, q)],
        "stimulus": {
            name: store(f"stimulus_{i}.npy", array)
            for i, (name, array) in enumerate(stimulus.items())
            if network.populations[name].dynamics != "current"
        },
    }
    (folder / "job.json").write_text(json.dumps(job))
    return job


def _lesson(lowered: LoweredNetwork, q: IntegerProjection, ticks: int) -> dict[str, Any]:
    """Return what `neurocomp_loihi.lava_run` reads of a rule."""
    learning = q.learning
    assert learning is not None

    def products(found: Sequence[IntegerProduct]) -> list[Any]:
        return [
            [p.condition, p.decimation, p.mantissa, p.exponent, [[f.variable, f.constant, f.sign] for f in p.factors]]
            for p in found
        ]

    first = lowered.lag[q.source]
    return {
        "first": first,
        "steps": max(0, lowered.lag[q.target] + ticks - first - int(q.delay)),
        "epoch": learning.epoch,
        "seed": learning.seed,
        "across_samples": learning.across_samples,
        "traces": {name: {"impulse": trace.impulse, "tau": min(trace.tau, ENDLESS)} for name, trace in learning.traces.items()},
        "dw": products(learning.weights),
        "dt": products(learning.tags),
    }


def _with_process(network: IntegerNetwork) -> list[IntegerPopulation]:
    """Return the populations that are a process of Lava, in the order of their files; a current is part of its target."""
    return [p for p in network.populations.values() if p.dynamics != "current"]


def _samples_and_ticks(lowered: LoweredNetwork, stimulus: Stimulus) -> tuple[int, int]:
    """Return the extents of a stimulus; a network without inputs runs one sample of the declared length."""
    for values in stimulus.values():
        return values.shape[0], values.shape[1]
    return 1, lowered.network.ticks


def _without_repeats(sources: Array, targets: Array) -> list[Array]:
    """Split a list of synapses into lists of indices in which no (source, target) pair stands twice."""
    if not len(sources):
        return []
    pairs = targets * (int(sources.max()) + 1) + sources
    remaining = np.arange(len(pairs))
    parts = []
    while len(remaining):
        first = np.sort(np.unique(pairs[remaining], return_index=True)[1])
        parts.append(remaining[first])
        remaining = np.delete(remaining, first)
    return parts


def samples_stay_apart(lowered: LoweredNetwork) -> bool:
    """Return whether samples can follow one another tick by tick: nothing of one is under way when the next one begins.

    It holds without cycles, with no delays but those that the lags ask for, and where every window provably begins as its
    neurons are when cleared: from u = v = 0, and for populations that run late without a bias that would move them before
    their window. What a sample leaves behind (a residue after a subtraction, a refractory neuron, the phase of a reset
    schedule) is cleared with u and v where the next window begins; currents flow in the window alone.
    """
    network = lowered.network
    if any(q.learning is not None for q in network.projections):
        return False
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from((q.source, q.target) for q in network.projections)
    if not nx.is_directed_acyclic_graph(graph):
        return False
    for q in network.projections:
        if (q.delay != lowered.lag[q.target] - lowered.lag[q.source]).any():
            return False
    for p in network.populations.values():
        if p.is_input:
            continue
        if p.start or p.parameters["u_init"].any() or p.parameters["v_init"].any():
            return False
        rests = not p.parameters["bias_mant"].any() and not (p.parameters["vth"] < 0).any()
        if p.dynamics == "ternary":
            rests = rests and not (p.parameters["vth_low"] > 0).any()
        if lowered.lag[p.name] and not rests:
            return False
    return True


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
    place = {p.name: index for index, p in enumerate(_with_process(lowered.network))}
    for p in lowered.network.populations.values():
        if record is not None and p.name not in record:
            continue
        if p.is_input:
            length = ticks if windowed else ticks + lowered.largest_lag
            spikes = np.zeros((samples, length, p.size), np.int32)
            spikes[:, :ticks] = stimulus[p.name]
            tables["spikes"][p.name] = spikes
            continue
        for register in ("spikes", "u", "v") if state else ("spikes",):
            tables[register][p.name] = np.load(folder / f"{register}_{place[p.name]}.npy", allow_pickle=False)
    weights = {}
    for index, q in enumerate(lowered.network.projections):
        if q.learning is not None:
            found = np.load(folder / f"weights_{index}.npy", allow_pickle=False)
            weights[q.name] = found if state or not q.learning.across_samples else found[-1:]
    return Trace("lava", ticks, lowered.lag, tables["spikes"], tables["u"], tables["v"], windowed, weights=weights)
