"""Brian2: Cython at run time, or a standalone C++ program. A spike is integrated one tick after it was fired."""

from __future__ import annotations

import math
import sys
import tempfile
import time
from pathlib import Path

import brian2 as b2  # type: ignore[import-not-found, unused-ignore]
import numpy as np

from benchmarks.peers.harness import Task


def main() -> None:
    """Measure."""
    task = Task()
    tick = 1 * b2.ms
    b2.defaultclock.dt = tick
    b2.prefs.core.default_float_dtype = np.float32
    standalone = task.peer == "brian2-standalone"
    with tempfile.TemporaryDirectory() as folder:
        if standalone:
            b2.set_device("cpp_standalone", build_on_run=False)
        else:
            b2.prefs.codegen.target = "cython"
            b2.prefs.codegen.runtime.cython.cache_dir = str(Path(sys.prefix) / "cython")
        ticks, inputs = np.nonzero(task.stimulus[0])
        groups = [b2.SpikeGeneratorGroup(task.stimulus.shape[2], inputs, ticks * tick)]
        namespace = {"tau": -tick / math.log(task.leak)}
        for size, threshold in zip(*task.neurons(), strict=True):
            equations = {"model": "dv/dt = -v / tau : 1", "threshold": f"v > {threshold}", "reset": "v = 0"}
            groups.append(b2.NeuronGroup(size, **equations, method="exact", namespace=namespace))
        synapses = []
        for source, target, i, j, weights in task.connections():
            synapses.append(b2.Synapses(groups[source], groups[target], "w : 1 (constant)", on_pre="v_post += w"))
            synapses[-1].connect(i=i, j=j)
            synapses[-1].w = weights
        counters = [b2.SpikeMonitor(group, record=False) for group in groups[1:]]
        network = b2.Network(groups, synapses, counters)
        duration = task.stimulus.shape[1] * tick
        if standalone:
            network.run(duration)
            b2.device.build(directory=folder, run=False)
        else:
            network.run(0 * tick)  # compiles
            network.store()

        def run() -> float | None:
            if standalone:
                b2.device.run(with_output=False)
                return float(b2.device._last_run_time)  # without start and reading of the synapses
            network.restore()
            begin = time.perf_counter()
            network.run(duration)
            return time.perf_counter() - begin

        task.measure(run, lambda: [np.asarray(counter.count[:]) for counter in counters], b2.__version__)


if __name__ == "__main__":
    main()
