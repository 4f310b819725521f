"""Lava: its fixed-point Loihi models on the CPU, one run for all samples, which LIFReset tells apart.

Lava makes a process of the operating system of each of its processes, so it uses all cores even for one sample.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.metadata
import sys
import time
from typing import Any

import numpy as np

if sys.version_info >= (3, 11):  # dataclasses refuse the defaults that this module of Lava 0.10 has
    original = dataclasses.dataclass
    dataclasses.dataclass = functools.partial(original, unsafe_hash=True)  # type: ignore[assignment]
    importlib.import_module("lava.magma.compiler.var_model")
    dataclasses.dataclass = original

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.process import Dense
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIFReset

from benchmarks.peers.harness import Task


class Counter(AbstractProcess):  # type: ignore[misc]
    """Count the spikes of each neuron: a stock sink keeps every tick, and reading those out takes longer than the run."""

    def __init__(self, size: int) -> None:
        super().__init__(shape=(size,))
        self.a_in = InPort(shape=(size,))
        self.count = Var(shape=(size,), init=np.zeros(size))


@implements(proc=Counter, protocol=LoihiProtocol)  # type: ignore[untyped-decorator, unused-ignore]
@requires(CPU)  # type: ignore[untyped-decorator, unused-ignore]
@tag("fixed_pt")  # type: ignore[untyped-decorator, unused-ignore]
class CounterModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Model of `Counter`."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    count: Any = LavaPyType(np.ndarray, np.int32)

    def run_spk(self) -> None:
        """Add a tick."""
        self.count += self.a_in.recv()


def main() -> None:
    """Measure."""
    task = Task()
    ticks = task.stimulus.shape[1]
    source_data = task.stimulus.reshape(-1, task.stimulus.shape[2]).T.astype(int)
    counts: list[Any] = []

    def run() -> float:
        # Var.set puts a run back to its start in more time than a build takes, so each repetition builds; only run is timed.
        source = RingBuffer(data=source_data)
        signal, counters = source.s_out, []
        for layer, (weights, threshold) in enumerate(zip(task.items("weights"), task.neurons()[1], strict=True)):
            # Weights of both signs are even numbers up to ±254 in Lava, so weights and thresholds are doubled.
            dense = Dense(weights=2 * weights.T.astype(int), num_message_bits=0)
            # Spikes reach layer k after k + 1 ticks, so that is when its sample begins.
            reset = {"reset_interval": ticks, "reset_offset": (layer + 2) % ticks}
            neurons = LIFReset(shape=(weights.shape[1],), du=4095, dv=task.decay, vth=2 * threshold, **reset)
            counters.append(Counter(weights.shape[1]))
            signal.connect(dense.s_in)
            dense.a_out.connect(neurons.a_in)
            neurons.s_out.connect(counters[-1].a_in)
            signal = neurons.s_out
        models = dict.fromkeys(counters, CounterModel)
        source.create_runtime(run_cfg=Loihi1SimCfg(select_tag="fixed_pt", exception_proc_model_map=models))
        begin = time.perf_counter()
        source.run(condition=RunSteps(num_steps=task.samples * ticks))
        seconds = time.perf_counter() - begin
        counts[:] = [counter.count.get().astype(int) for counter in counters]
        source.stop()
        return seconds

    task.measure(run, lambda: counts, importlib.metadata.version("lava-nc"))


if __name__ == "__main__":
    main()
