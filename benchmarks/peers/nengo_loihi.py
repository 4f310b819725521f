"""nengo-loihi: its emulator of Loihi, with blocks of any size, as the emulator allows, and weights rounded by it."""

from __future__ import annotations

import math
import time
from typing import Any

import nengo_loihi  # type: ignore[import-not-found, unused-ignore]
import numpy as np
from nengo_loihi.block import Axon, LoihiBlock, Synapse  # type: ignore[import-not-found, unused-ignore]
from nengo_loihi.builder import Model  # type: ignore[import-not-found, unused-ignore]
from nengo_loihi.builder.discretize import discretize_model  # type: ignore[import-not-found, unused-ignore]
from nengo_loihi.emulator import EmulatorInterface  # type: ignore[import-not-found, unused-ignore]
from nengo_loihi.inputs import SpikeInput  # type: ignore[import-not-found, unused-ignore]
from nengo_loihi.probe import LoihiProbe  # type: ignore[import-not-found, unused-ignore]

from benchmarks.peers.harness import Task


def main() -> None:
    """Measure."""
    task = Task()
    ticks = task.stimulus.shape[1]
    model = Model()
    source = SpikeInput(task.stimulus.shape[2])
    for tick in range(ticks):
        source.add_spikes(tick + 1, np.flatnonzero(task.stimulus[0, tick]), permanent=True)
    model.add_input(source)
    probes = []
    for weights, threshold in zip(task.items("weights"), task.neurons()[1], strict=True):
        block = LoihiBlock(weights.shape[1])
        block.compartment.configure_lif(
            tau_rc=-model.dt / math.log(task.leak), tau_ref=0.0, vth=threshold, dt=model.dt, min_voltage=-np.inf
        )
        block.compartment.configure_filter(0.0, dt=model.dt)
        block.compartment.scale_v = False  # a spike adds its weight, whatever the decay
        synapse = Synapse(len(weights))
        synapse.set_weights(weights.astype(float))
        block.add_synapse(synapse)
        axon = Axon(len(weights))
        axon.target = synapse
        source.add_axon(axon)
        model.add_block(block)
        probes.append(LoihiProbe(target=block, key="spiked"))
        model.add_probe(probes[-1])
        source = block
    discretize_model(model)
    counts: list[Any] = []

    def run() -> float:
        emulator = EmulatorInterface(model, seed=0)
        begin = time.perf_counter()
        emulator.run_steps(ticks)
        seconds = time.perf_counter() - begin
        counts[:] = [np.sum(emulator.collect_probe_output(probe), axis=0).astype(int) for probe in probes]
        return seconds

    task.measure(run, lambda: counts, nengo_loihi.__version__)


if __name__ == "__main__":
    main()
