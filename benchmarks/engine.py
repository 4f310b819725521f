"""The fast engine: synaptic operations per second on N1, N2 and N3 beside other simulators, and what bounds it.

``python -m benchmarks.engine --json`` prints one object. Rates are operations (connections of sources that spike) per second of
wall time, best of several repetitions, kernels compiled; the machine's own bandwidth and add throughput are measured in the
same run. Samples that the engine runs are compared with an exact simulation first.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

import neurocomp
from benchmarks import networks, peers
from benchmarks.networks import Layered, Recurrent
from neurocomp.energy.counts import wiring_of
from neurocomp.engine import product
from neurocomp.engine.metering import Axons, Ways, Wiring, node_key
from neurocomp.engine.simulator import FastSimulator, compile_kernels
from neurocomp.hardware import NumberFormat
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.models.patterns import Pattern

ROOT = Path(__file__).resolve().parent.parent
Array = NDArray[Any]
Stimulus = dict[str, Array]

FORM = NumberFormat("benchmark", state_shift=0, accumulator_bits=24)
"""The neurons of the benchmark: v = toward_zero(v * (4096 - decay) / 4096) + sum, without a current that lasts."""
BATCH, THREADS = 20, 2
LARGE = 16384
"""Sources and targets of a dense layer that no cache holds: 268 MB."""
STREAMED = 512 << 20
GIANT_DENSE, GIANT_SIDE, GIANT_CHANNELS = 30_000, 174, 16


# Networks as the engine takes them


def population(name: str, shape: tuple[int, ...], threshold: int, decay: int) -> IntegerPopulation:
    """Return LIF neurons of the benchmark."""
    values = {"du": 4095, "dv": decay, "vth": threshold, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0}
    return IntegerPopulation(name, shape, "compartment", {key: np.asarray(value, np.int64) for key, value in values.items()})


def projection(source: str, target: str, pattern: Pattern, weights: Array, delay: int = 0) -> IntegerProjection:
    """Return synapses with int8 weights."""
    stored, ticks = frozen(np.ascontiguousarray(weights), np.int8), np.asarray(delay, np.int64)
    return IntegerProjection(f"{source} to {target}", source, target, pattern, stored, 0, "mixed", 8, 0, ticks)


def network_of(
    name: str, populations: Sequence[IntegerPopulation], projections: Sequence[IntegerProjection], ticks: int
) -> IntegerNetwork:
    """Return a network of the parts."""
    return IntegerNetwork(name, 1e-3, ticks, FORM, {p.name: p for p in populations}, tuple(projections))


def input_of(name: str, shape: tuple[int, ...]) -> IntegerPopulation:
    """Return an input population."""
    return IntegerPopulation(name, shape, "input", {})


def from_layers(network: Layered) -> tuple[IntegerNetwork, Stimulus]:
    """Return a layered network and its stimulus; a pool in front of a layer is folded into its weights, which is exact."""
    populations, projections = [input_of("x0", network.stimulus.shape[2:])], []
    out: tuple[int, ...]
    for k, (weights, pool, threshold) in enumerate(zip(network.weights, network.pools, network.thresholds, strict=True)):
        shape = populations[-1].shape
        if weights.ndim == 2:
            matrix = weights.T
            if pool > 1:
                pooled = matrix.reshape(-1, shape[0], shape[1] // pool, shape[2] // pool)
                matrix = pooled.repeat(pool, 2).repeat(pool, 3).reshape(len(matrix), -1)
            pattern, out, stored = Pattern("dense"), (weights.shape[1],), matrix
        else:
            stored = weights.repeat(pool, 2).repeat(pool, 3)
            kernel = stored.shape[2:]
            options = {"kernel": kernel, "stride": (pool, pool), "padding": (0, 0), "dilation": (1, 1), "groups": (1,)}
            pattern = Pattern("conv2d", {}, options)
            extents = (int((n - k) // pool + 1) for n, k in zip(shape[1:], kernel, strict=True))
            out = (len(weights), *extents)
        populations.append(population(f"x{k + 1}", out, threshold, network.decay))
        projections.append(projection(f"x{k}", f"x{k + 1}", pattern, stored))
    made = network_of(network.name, populations, projections, network.stimulus.shape[1])
    made.verify("the benchmark")
    return made, {"x0": network.stimulus.reshape(*network.stimulus.shape[:2], -1)}


def from_recurrent(network: Recurrent) -> tuple[IntegerNetwork, Stimulus]:
    """Return a recurrent network and its stimulus."""
    parts = []
    for source, targets, weights, delay in (
        ("in", network.input_targets, network.input_weights, 0),
        ("x", network.targets, network.weights, 1),
    ):
        pairs = {"sources": np.repeat(np.arange(len(targets)), targets.shape[1]), "targets": targets.ravel().astype(np.int64)}
        parts.append(projection(source, "x", Pattern("sparse", pairs), weights.ravel(), delay))
    neurons = population("x", (len(network.targets),), network.threshold, network.decay)
    made = network_of(network.name, [input_of("in", (len(network.input_targets),)), neurons], parts, 100)
    made.verify("the benchmark")
    return made, {"in": network.stimulus}


def dense(n: int, m: int, threshold: int, seed: int = 0) -> IntegerNetwork:
    """Return one dense layer of random weights."""
    weights = np.random.default_rng(seed).integers(-127, 128, (m, n), np.int8)
    parts = [input_of("x0", (n,)), population("x1", (m,), threshold, networks.DECAY)]
    return network_of("dense", parts, [projection("x0", "x1", Pattern("dense"), weights)], 1)


# Measuring


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep Python's collector out of what is measured."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def best(work: Callable[[], Any], repetitions: int = 7, seconds: float = 20.0) -> float:
    """Return the shortest time of a call, after one that is not counted."""
    work()
    with uncollected():
        times: list[float] = []
        end = time.perf_counter() + seconds
        while len(times) < repetitions and (not times or time.perf_counter() < end):
            begin = time.perf_counter()
            work()
            times.append(time.perf_counter() - begin)
    return min(times)


def run_time(network: IntegerNetwork, stimulus: Stimulus, samples: int, jobs: int, repetitions: int = 15) -> float:
    """Return the seconds that the engine takes for the first samples; the spikes of the last population are recorded."""
    engine, part = FastSimulator(jobs=jobs), {name: values[:samples] for name, values in stimulus.items()}
    last = list(network.populations)[-1]
    return best(lambda: engine.run(network, part, record=[last], state=False), repetitions)


def bandwidth() -> float:
    """Return the bytes per second that one core reads from memory."""
    memory = np.zeros(STREAMED // 8, np.int64)
    memory += 1
    return memory.nbytes / best(memory.max)


def add_throughput() -> float:
    """Return the weights per second that one core adds where they lie in its second-level cache and every source spikes."""
    network, ticks = dense(512, 512, 1 << 16), 400
    return 512 * 512 * ticks / run_time(network, {"x0": np.ones((1, ticks, 512), np.int8)}, 1, 1)


def checked(network: IntegerNetwork, stimulus: Stimulus, expected: Sequence[int]) -> None:
    """Raise if the first sample does not spike as the exact simulation says."""
    trace = FastSimulator(jobs=1).run(network, {name: values[:1] for name, values in stimulus.items()}, state=False)
    found = [int(np.count_nonzero(trace.spikes[name])) for name, p in network.populations.items() if not p.is_input]
    if found != list(expected):
        raise SystemExit(f"{network.name} spikes {found} times, expected {list(expected)}")


def beside_peers(name: str, network: Layered | Recurrent, single: float, batch: float | None) -> dict[str, Any]:
    """Return what the peers make of a network and the ratios of our rates to theirs."""
    entries: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="neurocomp-bench-") as folder:
        path = Path(folder) / f"{name}.npz"
        networks.save(network, path)
        for peer, runs, _ in peers.NAMES:
            if name.lower() not in runs:
                continue
            print(f"{name}: {peer} ...", file=sys.stderr, flush=True)
            entries[peer] = {"single": peers.measure(peer, path, cores=1)}
            if peer == "lava":  # a process for each population
                entries[peer]["all_cores"] = peers.measure(peer, path)
            if batch is not None and peers.PEERS[peer].batches:
                entries[peer]["batch"] = peers.measure(peer, path, BATCH, THREADS)
    rates = {
        peer: {mode: found["operations"] / found["seconds"] for mode, found in entry.items() if "seconds" in found}
        for peer, entry in entries.items()
    }
    kinds = {peer: kind for peer, _, kind in peers.NAMES}
    floating = [rate for peer, rate in rates.items() if kinds[peer] == "float"]
    ratios: dict[str, Any] = {}
    for key, ours, mode in (("ratio_best_float", single, "single"), ("ratio_best_float_batch", batch, "batch")):
        theirs = [rate[mode] for rate in floating if mode in rate]
        ratios[key] = ours / max(theirs) if ours is not None and theirs else None
    if "lava" in entries:
        for key, mode in (("ratio_lava", "single"), ("ratio_lava_all_cores", "all_cores")):
            ratios[key] = single / rates["lava"][mode] if mode in rates["lava"] else None
    missing = {peer: e["single"]["unavailable"] for peer, e in entries.items() if "unavailable" in e["single"]}
    return ratios | {"peers": rates, "unavailable": missing}


def n1_wiring(network: IntegerNetwork) -> Wiring:
    """Return N1 on three cores of 1,024 neurons at most, every row of which is stored."""
    sizes = {name: p.size for name, p in network.populations.items()}
    homes = {name: np.arange(n) // 600 + (index - 1) * 2 for index, (name, n) in enumerate(sizes.items()) if index}
    cores = 1 + max(int(home.max()) for home in homes.values())
    axons: list[list[Axons]] = [[] for _ in range(cores)]
    for q in network.projections:
        for core in np.unique(homes[q.target]):
            here, n = np.asarray(q.mantissa)[homes[q.target] == core], sizes[q.source]
            events, worked = np.full(n, len(here), np.int64), np.count_nonzero(here, axis=0).astype(np.int64)
            host = network.populations[q.source].is_input
            axons[core].append(Axons(node_key(q.source, None), np.arange(n), events, worked, events // 8, from_host=host))
    ones = {name: Ways(*(np.full(sizes[name], k, np.int64) for k in (2, 1, 1, 0))) for name in homes}
    return Wiring(tuple(tuple(a) for a in axons), homes, ones)


def counting_overhead(network: IntegerNetwork, stimulus: Stimulus, wiring: Wiring, lag: Mapping[str, int]) -> float:
    """Return by which share counting for the energy model makes a run longer, on one core."""
    engine, last = FastSimulator(jobs=1), list(network.populations)[-1]
    plain = best(lambda: engine.run(network, stimulus, lag=lag, record=[last], state=False), 15)
    counted = best(lambda: engine.count(network, stimulus, wiring, lag=lag, record=[last], state=False), 15)
    return counted / plain - 1


def counting_small() -> float:
    """Return the same for the MNIST example, 784-256-10, where a spike reaches few synapses."""
    compiled = neurocomp.compile(ROOT / "examples" / "mnist_mlp" / "net.yaml", target="loihi").artifact
    lowered = compiled.lowered
    rng = np.random.default_rng(5)
    shapes = {p.name: (200, lowered.network.ticks, p.size) for p in lowered.network.populations.values() if p.is_input}
    stimulus = {name: rng.random(shape) < 0.1 for name, shape in shapes.items()}
    return counting_overhead(lowered.network, stimulus, wiring_of(compiled.mapped, compiled.spec), lowered.lag)


def linear() -> list[dict[str, float]]:
    """Return operations and seconds of a dense layer, 1200 to 1200, from silence over two decades of activity."""
    network, rng, points = dense(1200, 1200, 1 << 16), np.random.default_rng(1), []
    for share in (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        spikes = rng.random((1, 400, 1200)) < share
        points.append({"operations": float(spikes.sum()) * 1200, "seconds": run_time(network, {"x0": spikes}, 1, 1)})
    return points


def products() -> dict[str, float]:
    """Return weights per second of a dense layer whose sources all spike: rows of spikes without values and with values, where
    a matrix product is not taken and where it is, and numpy's product alone.
    """
    plain, ticks = dense(1200, 1200, 1 << 16), 100
    (synapses,) = plain.projections
    graded = replace(plain, projections=(replace(synapses, binary=False),))
    ones, total = np.ones((1, ticks, 1200), np.int8), 1200 * 1200 * ticks
    result = {"rows": total / run_time(plain, {"x0": ones}, 1, 1), "product": total / run_time(graded, {"x0": ones}, 1, 1)}
    with patch.object(product, "ACTIVITY", 2.0):
        result["rows_with_values"] = total / run_time(graded, {"x0": ones}, 1, 1)
    left, right = np.ones((ticks, 1200), np.float32), np.ones((1200, 1216), np.float32)
    return result | {"numpy": 1216 * 1200 * ticks / best(lambda: left @ right, 15)}


def large(streamed: float) -> dict[str, float]:
    """Return rates of a dense layer that no cache holds, also as shares of the bandwidth.

    ``single`` and ``eight`` samples have 5 % of the sources spike in a tick; ``eight_busy`` have 20 %, and share more rows.
    """
    network, rng = dense(LARGE, LARGE, 1 << 16), np.random.default_rng(2)
    result: dict[str, float] = {}
    ticks, share = 32, 0.05
    alone = rng.random((1, ticks, LARGE)) < share
    apart = rng.random((8, ticks, LARGE)) < share
    busy = rng.random((8, ticks, LARGE)) < 4 * share
    for name, spikes in (("single", alone), ("eight", apart), ("eight_busy", busy)):
        rate = float(spikes.sum()) * LARGE / run_time(network, {"x0": spikes}, len(spikes), 1, 5)
        result |= {f"{name}_sops": rate, f"{name}_of_bandwidth": rate / streamed}
    return result | {"weights_bytes": float(LARGE * LARGE)}


def child(*arguments: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what another process measures, whose memory and compiled kernels are its own."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.engine_child", *arguments],
        env=os.environ | dict(variables or {}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"process_seconds": time.perf_counter() - begin}


def cold_start() -> dict[str, float]:
    """Return the seconds of compiling every kernel, and of a process that finds them compiled, up to the first result."""
    with tempfile.TemporaryDirectory(prefix="neurocomp-kernels-") as folder:
        variables = {"NUMBA_CACHE_DIR": folder}
        compiling = child("start", variables=variables)["seconds"]
        again = min(child("start", variables=variables)["process_seconds"] for _ in range(3))
    return {"compile_seconds": compiling, "first_result_seconds": again}


def measure_ours() -> dict[str, Any]:
    """Return everything that needs no peer."""
    compile_kernels()
    streamed, adds = bandwidth(), add_throughput()
    result: dict[str, Any] = {"bandwidth": streamed, "add_throughput": adds}
    for name, made in (("N1", networks.n1(BATCH)), ("N2", networks.n2(BATCH))):
        network, stimulus = from_layers(made)
        activity = networks.simulate_layered(made, BATCH)
        checked(network, stimulus, activity.spikes[:, 0].tolist())
        if name == "N1" and int(activity.operations[0]) != networks.N1_OPERATIONS:
            raise SystemExit(f"N1 makes {activity.operations[0]} operations, expected {networks.N1_OPERATIONS}")
        single = activity.operations[0] / run_time(network, stimulus, 1, 1)
        batch = activity.operations.sum() / run_time(network, stimulus, BATCH, THREADS)
        result[name] = {
            "operations": int(activity.operations[0]), "single_sops": single, "batch_sops": batch,
            "of_add_throughput": single / adds,
        }  # fmt: skip
        if name == "N1":
            result[name]["counting_overhead"] = counting_overhead(network, stimulus, n1_wiring(network), {})
    made_n3 = networks.n3()
    network, stimulus = from_recurrent(made_n3)
    recurrent = networks.simulate_recurrent(made_n3)
    checked(network, stimulus, [int(recurrent.spikes.sum())])
    operations = int(recurrent.operations.sum())
    single = operations / run_time(network, stimulus, 1, 1, 5)
    # A synapse of a list takes five bytes: four for its target.
    result["N3"] = {"operations": operations, "single_sops": single, "of_bandwidth": 5 * single / streamed}
    result["linear"] = linear()
    result["products"] = products()
    result["counting_overhead_small"] = counting_small()
    result["large"] = large(streamed)
    result["billion"] = child("billion")
    result["cold"] = cold_start()
    return result


def measure(with_peers: bool) -> dict[str, Any]:
    """Return all figures; with peers also theirs, and our rates as multiples of theirs."""
    result = measure_ours()
    if with_peers:
        for name, network in (("N1", networks.n1(BATCH)), ("N2", networks.n2(BATCH)), ("N3", networks.n3())):
            entry = result[name]
            entry |= beside_peers(name, network, entry["single_sops"], entry.get("batch_sops"))
    return result


def flat(result: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested figures as lines."""
    lines: dict[str, Any] = {}
    for key, value in result.items():
        if isinstance(value, Mapping):
            lines |= flat(value, f"{prefix}{key} ")
        elif isinstance(value, list):
            lines |= {f"{prefix}{key} {p['operations']:.3g} operations (s)": p["seconds"] for p in value}
        else:
            lines[f"{prefix}{key}"] = value
    return lines


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--peers", choices=("all", "none"), default="all", help="whether others are measured beside us")
    parser.add_argument("--figure", type=Path, metavar="FILE.svg", help="draw the time over the operations")
    arguments = parser.parse_args()
    result = measure(arguments.peers == "all")
    if arguments.figure:
        from benchmarks.engine_figure import draw

        draw(result["linear"], arguments.figure)
    if arguments.json:
        print(json.dumps(result, indent=1))
    else:
        for key, value in flat(result).items():
            print(f"{key:<44} {value:.4g}" if isinstance(value, float) else f"{key:<44} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
