"""The simulation of TrueNorth-style chips: cores and ticks per second of processor time, on one core.

``python -m benchmarks.truenorth --json`` prints one object. A core-tick is one tick of one core of 256 axons and 256 neurons,
half of whose synapses exist. In the recurrent networks each neuron drives one axon somewhere, and a leak makes it spike in
2 % or 20 % of the ticks, so as many axons are active; on silent cores nothing happens. The frames run through three layers of
16 cores without memory, each frame alone, one tick per layer; the digits are those of ``examples/mnist_truenorth``, its 500
images again and again, whose votes are equal in the quantized network, the lowered one and the chip simulation. ``numpy`` is
the same as the recurrent networks in a few lines of numpy, on the same program, and its potentials are the same. RANC's
simulator in C++ is not run here: it scans the whole crossbar of a core in each tick, 400 to 1,000 core-ticks/s were measured
(UA-RCL/RANC at 08ae4bd, optimized build, one core of a shared machine, another day).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neurocomp
from neurocomp.ir.program import CoreTables, InputSymbol, PopulationSymbol, Program
from neurocomp_truenorth import formats as fm
from neurocomp_truenorth.chip import ChipSimulation

Array = NDArray[Any]

EXAMPLE = Path(__file__).parents[1] / "examples" / "mnist_truenorth"
SIZES = (8, 64, 512)
DENSITY = 0.5
PERIODS = {"2 %": 50, "20 %": 5}
"""Axon activity -> ticks from spike to spike of a neuron."""
CORE_TICKS, SILENT_CORE_TICKS, NUMPY_CORE_TICKS = 1 << 16, 1 << 22, 1 << 11
REPEATS = 3
LAYERS, WIDTH = 3, 16
FRAMES, BATCH = 10_000, 1_000
PIXELS = 0.2
"""Share of the axons of the first layer that a frame makes active."""


def _core(index: int, x: int, neurons: Array, rng: np.random.Generator) -> CoreTables:
    bits = rng.random((fm.AXONS, fm.NEURONS)) < DENSITY
    return CoreTables(0, index, fm.pack(fm.CoreImage(x, 0, rng.integers(0, fm.TYPES, fm.AXONS), bits, neurons)))


def recurrent(n_cores: int, period: int | None, seed: int = 0) -> Program:
    """Return cores whose neurons spike about once in ``period`` ticks, each into an axon of its own; None: never."""
    rng = np.random.default_rng(seed)
    targets = rng.permutation(n_cores * fm.AXONS).reshape(n_cores, fm.NEURONS)
    cores: list[CoreTables] = []
    for c in range(n_cores):
        neurons = fm.no_neurons()
        neurons["flags"] = fm.USED | fm.LINEAR << fm.RESET_SHIFT
        neurons["s"] = rng.permuted(np.tile([-2, -1, 1, 2], (fm.NEURONS, 1)), axis=1)
        neurons["alpha"], neurons["beta"] = 10 * (period or 100), (1 << fm.THRESHOLD_BITS) - 1
        if period is not None:
            neurons["lambda"], neurons["V"] = 10, rng.integers(0, 10 * period, fm.NEURONS)
        neurons["target"], neurons["delay"] = fm.CORE, rng.integers(1, 16, fm.NEURONS)
        neurons["dx"], neurons["axon"] = targets[c] // fm.AXONS - c, targets[c] % fm.AXONS
        cores.append(_core(c, c, neurons, rng))
    return Program("truenorth", fm.PROGRAM_FORMAT, tuple(cores), {}, {}, 1)


def memoryless(seed: int = 0) -> Program:
    """Return three layers of 16 cores; neurons forget everything, and the first layer takes an input per axon."""
    rng = np.random.default_rng(seed)
    cores: list[CoreTables] = []
    n = WIDTH * fm.NEURONS
    for layer in range(LAYERS):
        targets = rng.permutation(n).reshape(WIDTH, fm.NEURONS)
        for i in range(WIDTH):
            neurons = fm.no_neurons()
            neurons["flags"] = fm.USED
            neurons["s"] = np.array([1, -1, 1, -1])
            neurons["lambda"] = rng.integers(-8, 2, fm.NEURONS)
            if layer < LAYERS - 1:
                neurons["target"], neurons["delay"] = fm.CORE, 1
                neurons["dx"] = WIDTH + targets[i] // fm.AXONS - i
                neurons["axon"] = targets[i] % fm.AXONS
            else:
                neurons["target"], neurons["axon"] = fm.OUTPUT, np.arange(fm.NEURONS) % 10
            cores.append(_core(len(cores), len(cores), neurons, rng))
    axon = np.arange(n)
    last = PopulationSymbol((n,), LAYERS - 1, (LAYERS - 1) * WIDTH + axon // fm.NEURONS, axon % fm.NEURONS)
    frames = InputSymbol((n,), axon, axon // fm.AXONS, axon % fm.AXONS)
    return Program("truenorth", fm.PROGRAM_FORMAT, tuple(cores), {"votes": last}, {"pixels": frames}, 1)


class WithNumpy:
    """Deterministic cores whose neurons reset linearly and saturate nowhere, one tick at a time."""

    def __init__(self, program: Program) -> None:
        images = [fm.unpack(core) for core in program.cores]
        neurons = np.stack([image.neurons for image in images])
        self.bits = np.stack([image.bits for image in images]).astype(np.int32)
        self.types = np.stack([image.types for image in images])
        self.s = np.moveaxis(neurons["s"].astype(np.int32), 2, 1)
        self.alpha, self.beta, self.leak, self.v = (neurons[k].astype(np.int32) for k in ("alpha", "beta", "lambda", "V"))
        self.core = np.arange(len(images))[:, None] + neurons["dx"]
        self.axon, self.delay = neurons["axon"].astype(np.int64), neurons["delay"].astype(np.int64)
        self.ring = np.zeros((fm.LAST_DELAY + 1, len(images), fm.AXONS), np.bool_)

    def step(self, t: int) -> None:
        """Run one tick."""
        now = self.ring[t % len(self.ring)]
        for c in np.flatnonzero(now.any(axis=1)):
            for kind in range(fm.TYPES):
                rows = self.bits[c, now[c] & (self.types[c] == kind)]
                if len(rows):
                    self.v[c] += rows.sum(axis=0) * self.s[c, kind]
        now[:] = False
        self.v += self.leak
        spikes = self.v >= self.alpha
        below = self.v < -self.beta
        self.v -= spikes * self.alpha
        self.v += below * self.beta
        self.ring[(t + self.delay[spikes]) % len(self.ring), self.core[spikes], self.axon[spikes]] = True


def _best(run: Callable[[], Any], repeats: int = REPEATS) -> float:
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return min(times)


def _with_population(program: Program) -> Program:
    """Return the program with a name for all its neurons."""
    n = len(program.cores) * fm.NEURONS
    symbol = PopulationSymbol((n,), 0, np.arange(n) // fm.NEURONS, np.arange(n) % fm.NEURONS)
    return Program(program.backend, program.format, program.cores, {"all": symbol}, {}, program.ticks)


def _rate(program: Program, ticks: int) -> tuple[float, Any]:
    """Return core-ticks per second of processor time, and the last trace."""
    simulation = ChipSimulation()
    timed = Program(program.backend, program.format, program.cores, {}, {}, ticks)
    simulation.run(timed, {}, record=(), state=False)
    traces = []
    seconds = _best(lambda: traces.append(simulation.run(timed, {}, record=(), state=False)))
    return len(program.cores) * ticks / seconds, traces[-1]


def measure(peers: bool) -> dict[str, Any]:
    """Return core-ticks per second of processor time, the best of `REPEATS`, and the time of 10,000 frames."""
    result: dict[str, Any] = {}
    for n_cores in SIZES:
        for title, period in (*PERIODS.items(), ("silent", None)):
            program = recurrent(n_cores, period)
            ticks = (SILENT_CORE_TICKS if period is None else CORE_TICKS) // n_cores
            rate, trace = _rate(program, ticks)
            name = f"{n_cores} cores, {title}"
            result[f"{name} (core-ticks/s)"] = rate
            if period is not None:
                packets = trace.counters["packets"] - trace.counters["merges"]
                result[f"{name}, axons active (%)"] = 100 * float(packets[:, :, ticks // 2 :].mean()) / fm.AXONS
                if peers:
                    result |= _with_numpy(program, name, rate)
    result |= _frames()
    result |= _digits()
    return result


def _with_numpy(program: Program, name: str, rate: float) -> dict[str, Any]:
    ticks = max(NUMPY_CORE_TICKS // len(program.cores), 3 * (fm.LAST_DELAY + 1))
    other = WithNumpy(program)
    begin = time.process_time()
    for t in range(ticks):
        other.step(t)
    seconds = time.process_time() - begin
    named = _with_population(program)
    named = Program(named.backend, named.format, named.cores, named.populations, {}, ticks)
    v = ChipSimulation().run(named, {}).v["all"][0, -1]
    assert np.array_equal(v, other.v.reshape(-1)), "numpy and the chip simulation differ"
    theirs = len(program.cores) * ticks / seconds
    return {f"{name}, numpy (core-ticks/s)": theirs, f"{name}, of numpy": rate / theirs}


def _frames() -> dict[str, Any]:
    program, simulation = memoryless(), ChipSimulation()
    pixels = np.random.default_rng(1).random((BATCH, 1, WIDTH * fm.AXONS)) < PIXELS
    counters = simulation.run(program, {"pixels": pixels}, record=["votes"], state=False).counters
    active = sum(counters[name].sum() - counters["merges"].sum() / 2 for name in ("host_packets", "packets"))

    def run() -> None:
        for _ in range(FRAMES // BATCH):
            simulation.run(program, {"pixels": pixels}, record=["votes"], state=False)

    frames = _best(run)
    return {
        "frames: axons active (%)": 100 * float(active) / counters["merges"].size / fm.AXONS,
        f"frames: {FRAMES} frames, 48 cores, 3 ticks (s)": frames,
        "frames: core-ticks/s": FRAMES * LAYERS * LAYERS * WIDTH / frames,
    }


def _digits() -> dict[str, Any]:
    """Return the time of 10,000 digits through ``examples/mnist_truenorth``, and that all its simulations give equal votes."""
    compiled = neurocomp.compile(EXAMPLE / "net.yaml", "truenorth")
    stimulus = compiled.stimulus(None)
    images = np.concatenate([stimulus["pixels"]] * -(-FRAMES // len(stimulus["pixels"])))[:FRAMES]
    program, simulation = compiled.artifact.program, ChipSimulation()
    batches = [images[start : start + BATCH] for start in range(0, FRAMES, BATCH)]

    def run() -> None:
        for batch in batches:
            simulation.run(program, {"pixels": batch}, record=["votes"], state=False)

    seconds = _best(run)
    votes = [compiled.run(engine, {"pixels": stimulus["pixels"]}).arrays["spikes/votes"] for engine in ("reference", "chip")]
    quantized = compiled.run("reference", {"pixels": stimulus["pixels"]}, stage="quantized").arrays["spikes/votes"]
    assert all(np.array_equal(quantized, found) for found in votes), "quantized, lowered and chip differ"
    cores = len(program.cores)
    return {
        "examples/mnist_truenorth: cores": cores,
        f"examples/mnist_truenorth: {FRAMES} digits (s)": seconds,
        "examples/mnist_truenorth: core-ticks/s": FRAMES * (1 + program.largest_lag) * cores / seconds,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truenorth", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--peers", choices=("all", "none"), default="all", help="whether others are measured beside us")
    arguments = parser.parse_args()
    result = measure(arguments.peers == "all")
    if arguments.json:
        print(json.dumps(result, indent=1))
    else:
        for key, value in result.items():
            print(f"{key:<52} {value:,.4g}" if value < 1000 else f"{key:<52} {value:,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
