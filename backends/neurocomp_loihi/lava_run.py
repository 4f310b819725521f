"""Run one job on Lava, in a process of its own: ``python -m neurocomp_loihi.lava_run JOB_DIR``.

``JOB_DIR/job.json`` describes a network in the chip's own integers, with its arrays in ``.npy`` files beside it. For
population i of its list, unless it is an input, this writes ``spikes_i.npy``, ``u_i.npy`` and ``v_i.npy`` (int32,
(samples, ticks, n)), and at the very end ``done.json``. On a failure it writes ``error.txt`` with the traceback of
the Lava child that failed, ends every process that it started and exits with 1.

Two modes, both with one build for all samples:

- batched: the samples follow one another without a gap, each population's u and v (and refractory counters) are zeroed where
  the sample's window begins (lag steps after the input's), by LIFReset where that is all there is to do, and a file holds the
  windows: ``user_ticks`` per sample. Right only if no spike crosses from one sample into the next, and if every window
  begins with u = v = 0, which the caller knows.
- not batched: each sample has its ``chip_ticks`` to itself; at its first step every connection is emptied and u and v are set
  to u0 and v0, or in a population with a later ``start`` to 0, where they stay, without a spike, until that chip tick sets
  them to u0 and v0. A file holds all chip ticks.

Lava runs each population and each projection as a process, and each weakly connected part of the network by itself.
Populations are flat; a convolution gets and gives its (x, y, channel) through Lava's virtual ports, which cost no tick.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from neurocomp_loihi import lava_shim

IntArray = npt.NDArray[np.int64]

MESSAGE_BITS = 24
"""Anything but 0 lets the value of a spike multiply the weights in Lava; how many bits makes no difference."""


class LavaError(Exception):
    """A process of Lava failed; the text is its traceback."""


@dataclass(frozen=True)
class Job:
    """A job as its files describe it."""

    folder: Path
    user_ticks: int
    chip_ticks: int
    samples: int
    batched: bool
    populations: list[dict[str, Any]]
    projections: list[dict[str, Any]]
    stimulus: dict[str, str]

    @classmethod
    def load(cls, folder: Path) -> Job:
        """Read ``job.json``."""
        content = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        return cls(folder=folder.resolve(), **content)

    def array(self, value: int | str) -> int | IntArray:
        """Return a number of the job: itself, or the array that its file holds."""
        if isinstance(value, int):
            return value
        array: npt.NDArray[Any] = np.load(self.folder / value, allow_pickle=False)
        if not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"{value} holds {array.dtype}, integers are needed")
        return array.astype(np.int64)

    def output(self, register: str, index: int) -> str:
        """Return the path of the file that receives a register of population ``index``."""
        return str(self.folder / f"{register}_{index}.npy")

    @property
    def steps(self) -> int:
        """The steps that Lava runs for all samples."""
        if self.batched:
            largest_lag: int = max(p["lag"] for p in self.populations)
            return self.samples * self.user_ticks + largest_lag
        return self.samples * self.chip_ticks

    def parts(self) -> list[set[str]]:
        """Return the names of the populations of each weakly connected part: Lava finds only what is connected."""
        part = {p["name"]: {p["name"]} for p in self.populations}
        for projection in self.projections:
            one, other = part[projection["source"]], part[projection["target"]]
            if one is not other:
                one |= other
                part.update(dict.fromkeys(other, one))
        return list({id(names): names for names in part.values()}.values())


def stock_reset(job: Job, population: dict[str, Any]) -> dict[str, int] | None:
    """Return the arguments with which Lava's LIFReset clears u and v when it must and never else; None: there are none.

    Its steps count from 1 and its schedule goes through all samples, so it serves where the samples keep it in phase.
    """
    interval: int | None = population["reset_interval"]
    first: int = population["reset_offset"]
    if job.batched:
        if interval is not None and not (first == population["lag"] and job.user_ticks % interval == 0):
            return None
        interval, first = interval or job.user_ticks, population["lag"]
    elif interval is None or first >= interval or (job.samples > 1 and job.chip_ticks % interval):
        return None
    return {"reset_interval": interval, "reset_offset": (first + 1) % interval}


class Network:
    """The Lava processes of one connected part, each with the model that runs it."""

    def __init__(self, job: Job, names: set[str]) -> None:
        from lava.magma.core.run_configs import Loihi1SimCfg

        self.job = job
        self.models: dict[Any, Any] = {}
        self.populations: dict[str, Any] = {}
        for index, population in enumerate(job.populations):
            if population["name"] in names:
                build = self._input if population["kind"] == "input" else self._neurons
                self.populations[population["name"]] = build(index, population)
        for projection in job.projections:
            if projection["source"] in names:
                self._connection(projection)
        # Keyed by process and not by class: only so does Lava not search for models.
        self.config = Loihi1SimCfg(select_tag="fixed_pt", exception_proc_model_map=self.models)

    def _input(self, index: int, population: dict[str, Any]) -> Any:
        from lava.proc.io.source import PySendModelFixed, RingBuffer

        job = self.job
        spikes = np.asarray(job.array(job.stimulus[population["name"]]))
        expected = (job.samples, job.user_ticks, population["n"])
        if spikes.shape != expected:
            raise ValueError(f"the stimulus of {population['name']} has the shape {spikes.shape}, not {expected}")
        period = job.user_ticks if job.batched else job.chip_ticks
        data = np.zeros((population["n"], job.steps), dtype=np.int32)
        for sample in range(job.samples):
            first = sample * period + population["lag"]
            data[:, first : first + job.user_ticks] = spikes[sample].T
        process = RingBuffer(data=data)
        self.models[process] = PySendModelFixed
        return process

    def _neurons(self, index: int, population: dict[str, Any]) -> Any:
        """Return LIF, LIFReset or TernaryLIF with one of our recording models: stock arithmetic, or own rules around it."""
        from lava.proc.lif.process import LIF, LIFReset, TernaryLIF

        from neurocomp_loihi.lava_processes import models

        job, n = self.job, population["n"]
        ternary, current, interval = population["kind"] == "ternary", population["current"], population["reset_interval"]
        ticks, offset = (job.user_ticks, population["lag"]) if job.batched else (job.chip_ticks, 0)
        files = {register: job.output(register, index) for register in ("spikes", "u", "v")}
        for path in files.values():
            np.lib.format.open_memmap(path, mode="w+", dtype=np.int32, shape=(job.samples, ticks, n))
        course: dict[str, Any] = {**files, "samples": job.samples, "ticks": ticks, "offset": offset}

        parameters: dict[str, Any] = {key: job.array(population[key]) for key in ("du", "dv", "bias_mant", "bias_exp")}
        if current is not None:
            bias, exponent = np.asarray(parameters["bias_mant"]), np.asarray(parameters["bias_exp"])
            bias = np.broadcast_to((bias << np.maximum(exponent, 0)) >> np.maximum(-exponent, 0), (n,)).astype(np.int32)
            parameters["bias_mant"], parameters["bias_exp"] = bias, 0
            course |= {"bias": bias, "current": str(job.folder / current), "current_offset": population["lag"]}
        thresholds = {"vth_hi": "vth", "vth_lo": "vth_low"} if ternary else {"vth": "vth"}
        parameters |= {key: job.array(population[name]) for key, name in thresholds.items()}

        plain = population["model"] == "stock" and not ternary and current is None
        reset = stock_reset(job, population) if plain else None
        if not (reset and job.batched):
            parameters |= {"u": job.array(population["u0"]), "v": job.array(population["v0"])}
            course |= {"restarts": True, "start": population["start"]}
        if reset:
            parameters |= reset
        elif interval is not None:
            course |= {"reset_interval": interval, "reset_offset": population["reset_offset"]}
        process = (TernaryLIF if ternary else LIFReset if reset else LIF)(shape=(n,), **parameters)
        for key in thresholds if ternary else ():
            # TernaryLIF declares one threshold for all neurons; its model compares elementwise.
            getattr(process, key).shape = np.shape(parameters[key]) or (1,)
        if population["model"] == "own":
            model = models.OwnTernaryLif if ternary else models.OwnLif
            process.proc_params["reset"], process.proc_params["refractory"] = population["reset"], population["refractory"]
        elif current is not None:
            model = models.DrivenTernaryLif if ternary else models.DrivenLif
        else:
            model = models.TernaryLif if ternary else models.LifReset if reset else models.Lif
        process.proc_params["course"] = models.Course(**course)
        self.models[process] = model
        return process

    def _connection(self, projection: dict[str, Any]) -> None:
        if projection["kind"] == "conv":
            self._convolution(projection)
            return
        if projection["kind"] == "learning":
            self._learning(projection)
            return
        from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
        from lava.proc.dense.process import DelayDense, Dense
        from lava.proc.sparse.models import PyDelaySparseModelBitAcc, PySparseModelBitAcc
        from lava.proc.sparse.process import DelaySparse, Sparse
        from lava.utils.weightutils import SignMode

        from neurocomp_loihi.lava_processes import models

        sparse = projection["kind"] == "sparse"
        # Lava's connection itself takes one tick from spike to effect; its delays count further ones.
        delay = np.asarray(self.job.array(projection["delay"])) - 1
        if delay.size and delay.min() < 0:
            raise ValueError(f"projection {projection['name']} has a delay of less than one tick")
        delayed = bool(delay.any())
        arguments: dict[str, Any] = {
            "weight_exp": projection["weight_exp"],
            "num_weight_bits": projection["weight_bits"],
            "sign_mode": SignMode[projection["sign_mode"].upper()],
            "num_message_bits": 0 if projection["binary"] else MESSAGE_BITS,
        }
        if sparse:
            arguments["weights"], delays = self._sparse(projection, delay)
        else:
            arguments["weights"] = np.asarray(self.job.array(projection["weights"]))
            delays = np.broadcast_to(delay, arguments["weights"].shape).copy()
        if delayed:
            arguments["delays"] = delays

        stock, emptied, kind = {
            (False, False): (PyDenseModelBitAcc, models.EmptiedDense, Dense),
            (False, True): (PyDelayDenseModelBitAcc, models.EmptiedDelayDense, DelayDense),
            (True, False): (PySparseModelBitAcc, models.EmptiedSparse, Sparse),
            (True, True): (PyDelaySparseModelBitAcc, models.EmptiedDelaySparse, DelaySparse),
        }[sparse, delayed]
        process = kind(**arguments)
        self._run_by(process, stock, emptied)
        self.populations[projection["source"]].s_out.connect(process.s_in)
        process.a_out.connect(self.populations[projection["target"]].a_in)

    def _learning(self, projection: dict[str, Any]) -> None:
        """Add Lava's LearningDense, whose target sends its spikes back to it."""
        from lava.proc.dense.process import LearningDense
        from lava.utils.weightutils import SignMode

        from neurocomp_loihi.lava_processes import models

        job, learning = self.job, projection["learning"]
        weights = np.asarray(job.array(projection["weights"]))
        process = LearningDense(
            weights=weights, weight_exp=projection["weight_exp"], num_weight_bits=projection["weight_bits"],
            sign_mode=SignMode[projection["sign_mode"].upper()], learning_rule=learning_rule(learning),
        )  # fmt: skip
        path = str(job.folder / f"weights_{projection['index']}.npy")
        np.lib.format.open_memmap(path, mode="w+", dtype=np.int16, shape=(job.samples, *weights.shape))
        process.proc_params["lesson"] = models.Lesson(
            path, job.samples, job.chip_ticks, learning["first"], learning["steps"], learning["across_samples"]
        )
        process.proc_params["first_weights"] = weights.astype(np.int32)
        self.models[process] = models.LearningDense
        source, target = self.populations[projection["source"]], self.populations[projection["target"]]
        source.s_out.connect(process.s_in)
        process.a_out.connect(target.a_in)
        target.s_out.connect(process.s_in_bap)

    def _convolution(self, projection: dict[str, Any]) -> None:
        """Add Lava's Conv, which ignores exponents, flips kernels and orders axes as (x, y, channel)."""
        from lava.proc.conv.models import PyConvModelFixed
        from lava.proc.conv.process import Conv

        from neurocomp_loihi.lava_processes import models

        weights = np.asarray(self.job.array(projection["weights"]))
        shape = tuple(projection["source_shape"])
        process = Conv(
            weight=np.ascontiguousarray(weights[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)),
            input_shape=shape[::-1],
            **{option: tuple(reversed(projection[option])) for option in ("padding", "stride", "dilation")},
            groups=projection["groups"],
        )
        self._run_by(process, PyConvModelFixed, models.EmptiedConv)
        source, target = self.populations[projection["source"]], self.populations[projection["target"]]
        source.s_out.reshape(shape).transpose((2, 1, 0)).connect(process.s_in)
        process.a_out.transpose((2, 1, 0)).reshape(target.a_in.shape).connect(target.a_in)

    def _run_by(self, process: Any, stock: Any, emptied: Any) -> None:
        """Let a connection be run by its stock model, or where samples have their ticks to themselves by the emptied one."""
        if self.job.batched:
            self.models[process] = stock
        else:
            process.proc_params["sample_steps"] = self.job.chip_ticks
            self.models[process] = emptied

    def _sparse(self, projection: dict[str, Any], delay: IntArray) -> tuple[Any, Any]:
        """Return the weights and the further delays of a sparse projection as matrices (n_post, n_pre)."""
        from scipy.sparse import csr_matrix

        size = {p["name"]: p["n"] for p in self.job.populations}
        shape = (size[projection["target"]], size[projection["source"]])
        data, row, col = (np.asarray(self.job.array(projection["weights"][key])) for key in ("data", "row", "col"))
        if len(np.unique(row * shape[1] + col)) != len(data):
            raise ValueError(f"projection {projection['name']} joins a pair of neurons twice, which Lava's Sparse cannot hold")
        delays = np.broadcast_to(delay, data.shape)
        return csr_matrix((data, (row, col)), shape=shape), csr_matrix((delays, (row, col)), shape=shape)

    def run(self) -> None:
        """Build, run all steps, stop. Raises `LavaError` as soon as a process of Lava has failed."""
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal

        process = next(iter(self.models))
        with _interrupted_by_a_dead_child(process):
            process.create_runtime(run_cfg=self.config)
        runtime = process.runtime
        actors = runtime._messaging_infrastructure.actors
        answers = runtime.service_to_runtime
        process.run(RunSteps(num_steps=self.job.steps, blocking=False))
        # A blocking run would join the healthy processes before it looks at the one that failed, and hang.
        while not all(port.probe() for port in answers):
            if any(actor.exitcode is not None for actor in actors):
                raise LavaError(_tracebacks(actors))
            time.sleep(0.002)
        if not all(enum_equal(port.peek(), MGMT_RESPONSE.DONE) for port in answers):
            raise LavaError(_tracebacks(actors))
        process.wait()
        process.stop()


def learning_rule(learning: dict[str, Any]) -> Any:
    """Return Lava's rule of the products and traces of a job.

    Raises:
        LavaError: Lava reads other products than those that are meant.
    """
    from lava.magma.core.learning.learning_rule import Loihi2FLearningRule

    traces: dict[str, float] = {}
    for name, trace in learning["traces"].items():
        traces |= {f"{name}_impulse": trace["impulse"] / 256, f"{name}_tau": trace["tau"]}
    sums = {key: learning[key] for key in ("dw", "dt") if learning[key]}
    texts = {key: " + ".join(_product_text(product) for product in products) for key, products in sums.items()}
    rule = Loihi2FLearningRule(**texts, **traces, t_epoch=learning["epoch"], rng_seed=learning["seed"])
    for key, products in sums.items():
        read = [
            [
                p.dependency,
                p.decimate_exponent or 0,
                p.s_mantissa,
                p.s_exp,
                [[f.state_var, f.const or 0, f.is_sgn] for f in p.factors],
            ]
            for p in getattr(rule, key).products
        ]
        if read != products:
            raise LavaError(f"Lava reads '{texts[key]}' as {read}, not {products}")
    return rule


def _product_text(product: list[Any]) -> str:
    """Return a product (condition, decimation, mantissa, exponent, factors) in the language of Lava's rules."""
    condition, decimation, mantissa, exponent, factors = product
    parts = [f"({mantissa})", f"2 ^ {exponent - 7}", f"u{decimation}" if condition == "u" else condition]
    for variable, constant, sign in factors:
        text = f"({variable} {'-' if constant < 0 else '+'} {abs(constant)})" if constant else variable
        parts.append(f"sgn({variable})" if sign and not constant else f"sgn{text}" if sign else text)
    return " * ".join(parts)


def _tracebacks(actors: list[Any]) -> str:
    """Return the tracebacks that Lava's processes have sent to their parent, waiting a little for the first."""
    start = time.monotonic()
    while True:
        found = [actor.exception[1] for actor in actors if actor.exception]
        dead = [f"{actor.name} ended with exit code {actor.exitcode}" for actor in actors if actor.exitcode]
        if found or time.monotonic() - start > (0.5 if dead else 5.0):
            return "\n".join(found + dead) or "a process of Lava failed and left no traceback"
        time.sleep(0.01)


@contextmanager
def _interrupted_by_a_dead_child(process: Any) -> Iterator[None]:
    """While Lava builds, it waits for every child's answer, and for ever if one has died: an alarm ends that wait.

    It rings again and again because an exception that it raises in a finalizer is swallowed.
    """

    def check(*_: object) -> None:
        infrastructure = process.runtime and process.runtime._messaging_infrastructure
        actors = infrastructure.actors if infrastructure else []
        if any(actor.exitcode is not None for actor in actors):
            signal.setitimer(signal.ITIMER_REAL, 2, 2)  # not while the tracebacks are collected
            raise LavaError(_tracebacks(actors))

    before = signal.signal(signal.SIGALRM, check)
    signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _end_on_sigterm() -> None:
    """Let SIGTERM end this process with its children, and a child at once."""
    parent = os.getpid()

    def end(*_: object) -> None:
        if os.getpid() != parent:
            os._exit(143)
        raise SystemExit("ended by SIGTERM")

    signal.signal(signal.SIGTERM, end)


def run_job(folder: Path) -> None:
    """Run the job in ``folder`` and write its outputs."""
    start = time.perf_counter()
    reason = lava_shim.available()
    if reason is not None:
        raise LavaError(reason)
    lava_shim.install()
    job = Job.load(folder)
    inputs = {p["name"] for p in job.populations if p["kind"] == "input"}
    for names in job.parts():
        if not names <= inputs:
            Network(job, names).run()
    done = {
        "windowed": job.batched,
        "seconds": round(time.perf_counter() - start, 3),
        "lava_version": metadata.version("lava-nc"),
        "numpy": np.__version__,
    }
    (folder / "done.json").write_text(json.dumps(done) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> NoReturn:
    """Run the job that the command line names and end this process."""
    if len(arguments) != 1:
        sys.exit("usage: python -m neurocomp_loihi.lava_run JOB_DIR")
    folder = Path(arguments[0])
    for outcome in ("done.json", "error.txt"):
        (folder / outcome).unlink(missing_ok=True)
    _end_on_sigterm()
    try:
        run_job(folder)
    except BaseException as error:
        # Lava keeps a child's traceback in `trace` if the child failed while it was built.
        text = getattr(error, "trace", None) or (str(error) if isinstance(error, LavaError) else traceback.format_exc())
        print(text, file=sys.stderr)
        (folder / "error.txt").write_text(text + "\n", encoding="utf-8")
        _end(1)
    _end(0)


def _end(code: int) -> NoReturn:
    """End at once, with every child. Lava's finalizers, at exit or when an exception is let go, wait for dead children."""
    for child in multiprocessing.active_children():
        child.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
