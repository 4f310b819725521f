"""Energy and time by the costs and times ``sanafe`` of Loihi's spec, and those of pip's ``sanafe`` on the same mapped networks.

A network is compiled, exported with its mapping and one sample, and run by SANA-FE with its timing ``simple``. What SANA-FE
traced is then replayed through our counts: the spikes of its neurons and inputs, and which updates it had to do. Compared are
the whole energy, that of somas, synapses and network, and the whole time; nothing is left out on either side. Two things are
counted here that `neurocomp report` does not count:

- Hops of the host's messages. Reports leave the way from the host to a core out. The export puts the host on a tile of its own
  beside the chip, and SANA-FE charges these hops like others. They are counted from the spikes of the inputs and the places of
  the cores, and priced as ``hop_x`` and ``hop_y``.
- Active updates by SANA-FE's rule, found by experiment: an update is active if the potential before it is not 0, the neuron has
  a bias, or a message reached the neuron in the tick before. Reports ask for what is left after the update: u or v is not 0, or
  a spike. Every update that is active by their rule is active by SANA-FE's; the others end at 0 without a spike.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neurocomp
from benchmarks import peers
from benchmarks.sanafe_export import COSTS, WITHOUT, changed_spec, example, joined, native, of_neurons, recurrent, sample_of
from neurocomp.api import Compiled
from neurocomp.artifact import Artifact
from neurocomp.energy.counts import Counts, count
from neurocomp.energy.joules import estimate
from neurocomp.energy.latency import tick_seconds
from neurocomp.ir.network import Encoder, Network, Population, Samples, frozen
from neurocomp.ir.trace import Trace
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern
from neurocomp_loihi import formats as fm

Array = NDArray[Any]

TICKS, INPUTS = 60, 100
BIG, BIG_FAN_IN, BIG_TICKS, REACH = 10_000, 40, 100, 500
REPETITIONS = 3
SUBTRACTS = ("  reset: [zero]", "  reset: [zero, subtract]")
"""SANA-FE's somas subtract by themselves; Loihi's take a second compartment for it, which is updated too."""


def neighbours(
    target: str | Path = "loihi", neurons: int = 1500, fan_in: int = 100, reach: int = REACH, ticks: int = TICKS, **options: Any
) -> Compiled:
    """Return leaky neurons in a row, with biases and refractory ticks, each of which hears from random ones nearby."""
    rng = np.random.default_rng(5)
    away = np.concatenate([rng.choice(2 * reach, fan_in, replace=False) - reach for _ in range(neurons)])
    targets = np.repeat(np.arange(neurons), fan_in)
    sources = (targets + away + (away >= 0)) % neurons
    order = np.lexsort((sources, targets))
    inner = native(
        Semantics(refractory=2), vth=rng.integers(600, 640, neurons), dv=rng.integers(0, 200, neurons),
        bias_mant=rng.integers(0, 1500, neurons) * (rng.random(neurons) < 0.5),
    )  # fmt: skip
    weights = rng.integers(1, 60, len(sources)) * rng.choice([-1, 1], len(sources))
    lists = Pattern("sparse", {"sources": frozen(sources[order]), "targets": frozen(targets)})
    heard = Pattern(
        "sparse",
        {"sources": frozen(rng.integers(0, INPUTS, 10 * neurons)), "targets": frozen(np.repeat(np.arange(neurons), 10))},
    )
    projections = (
        joined("noise", "row", heard, rng.integers(1, 90, 10 * neurons)),
        joined("row", "row", lists, weights),
    )
    populations = {"noise": Population("noise", (INPUTS,)), "row": Population("row", (neurons,), inner)}
    network = Network("row", 1e-3, ticks, populations, projections, {"noise": Encoder("direct", {})}).verify()
    found = neurocomp.compile(network, target=str(target), **options)
    assert isinstance(found, Compiled)
    return found


def noise(ticks: int) -> Samples:
    """Return one sample of random input spikes."""
    return Samples({"noise": (np.random.default_rng(1).random((1, ticks, INPUTS)) < 0.1).astype(np.uint8)})


Make = Callable[[str | Path], Compiled]


@dataclass(frozen=True)
class Case:
    """A network with two mappings, each what is changed in the spec and how it is compiled."""

    make: Callable[..., Compiled]
    mappings: Mapping[str, tuple[tuple[tuple[str, str], ...], Mapping[str, Any]]]
    samples: Samples | None = None


def on_cores(*numbers: int, also: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    """Return mappings onto cores of so many neurons."""
    return {f"cores of {n}": ((*((of_neurons(n),) if n != 1024 else ()), *also), {}) for n in numbers}


CASES: Mapping[str, Case] = {
    "mnist_mlp, lif": Case(lambda t, **o: example("mnist_mlp/net.yaml", t, **o), on_cores(1024, 64)),
    "mnist_mlp, if, subtracting": Case(
        lambda t, **o: example("mnist_mlp/net_if.yaml", t, compare="gt", **o), on_cores(1024, 64, also=(SUBTRACTS,))
    ),
    "mnist_conv, lif": Case(lambda t, **o: example("mnist_conv/net.yaml", t, **o), on_cores(1024, 256)),
    "recurrent, cuba_lif": Case(lambda t, **o: example("recurrent/net.yaml", t, **o), on_cores(1024, 32)),
    "random, if": Case(lambda t, **o: recurrent(t, **o), on_cores(1024, 60, also=(SUBTRACTS,)), sample_of("random")),
    "row, lif": Case(
        neighbours,
        {
            "cores of 100, fast, seed 1": ((of_neurons(100),), {"effort": "fast", "seed": 1}),
            "cores of 100, default, seed 2": ((of_neurons(100),), {"effort": "default", "seed": 2}),
        },
        noise(TICKS),
    ),
}


@contextmanager
def target_of(changes: tuple[tuple[str, str], ...]) -> Iterator[str | Path]:
    """Give the spec of Loihi with its changes."""
    if not changes:
        yield "loihi"
        return
    with changed_spec(*changes) as path:
        yield path


def measure() -> dict[str, Any]:
    """Compare all networks in all mappings, and the time that a big one takes."""
    pairs: dict[str, Any] = {}
    for name, case in CASES.items():
        for mapping, (changes, options) in case.mappings.items():
            with target_of(changes) as target:
                pairs[f"{name}; {mapping}"] = compared(case.make(target, **options), case.samples)
    speed = speeds()
    return {
        "networks": len(pairs),
        "max_rel_energy": max(pair["rel_energy"] for pair in pairs.values()),
        "max_rel_time": max(pair["rel_time"] for pair in pairs.values()),
        "speedup": speed["speedup"],
        "pairs": pairs,
        "speed": speed,
    }


def compared(compiled: Compiled, samples: Samples | None) -> dict[str, Any]:
    """Return both sides of one mapped network."""
    made = compiled.artifact
    with tempfile.TemporaryDirectory() as folder:
        summary = compiled.export("sanafe", folder, samples)
        report = peers.call("sanafe", "sanafe_files", (folder, str(summary["ticks"]), "simple"))
        with np.load(Path(folder) / "potentials.npz") as arrays:
            potentials = {name: arrays[name] != 0 for name in arrays.files}
    trace = replayed(made, report, potentials)
    edges = edges_of(made)
    ours = count(trace, made.mapped, made.spec, updated(made, trace, potentials, compiled.stimulus(samples=samples, count=1)))
    parts = joules(made, ours)
    host = host_hops(made, trace)
    price = made.spec.costs[COSTS]
    added = {axis: host[axis] * price[f"hop_{axis}"].value for axis in "xy"}
    parts["network"] += sum(added.values())
    seconds = tick_seconds("sum", ours, made.mapped, made.spec, made.spec.times[COSTS])[0]
    theirs = report["energy"]
    return {
        "cores": len(made.mapped.cores), "tiles": summary["tiles"], "synapses": summary["synapses"],
        "spikes": int(sum((s != 0).sum() for s in trace.spikes.values())),
        "rel_energy": relative(sum(parts.values()), theirs["total"]),
        "rel_time": relative(float(seconds.sum()), report["sim_time"]),
        "rel_parts": {part: relative(value, theirs[part]) for part, value in parts.items()},
        "updates_differ_in_ticks": int((ours.per_core["updates_active"].sum(axis=(0, 1)) + inputs_fired(made, trace) != report["updated_in_ticks"]).sum()),
        "energy_j": {"neurocomp": sum(parts.values()), "sanafe": theirs["total"]},
        "host_hops_j": sum(added.values()), "time_s": {"neurocomp": float(seconds.sum()), "sanafe": report["sim_time"]},
        "without": summary.get(WITHOUT, 0),
    }  # fmt: skip


def relative(a: float, b: float) -> float:
    return abs(a - b) / abs(b) if b else float(a != b)


def inputs_fired(made: Artifact, trace: Trace) -> Array:
    """Return how many inputs fired in each tick, (ticks,): SANA-FE counts each as an update, which costs nothing."""
    return np.sum([(trace.spikes[name] != 0).sum(axis=(0, 2)) for name in made.program.inputs if name in trace.spikes], axis=0)


def replayed(made: Artifact, report: Mapping[str, Any], potentials: Mapping[str, Array]) -> Trace:
    """Return the spikes of SANA-FE as a trace."""
    ticks = len(report["seconds_of_ticks"])
    spikes = {}
    network = made.lowered.network
    for name, p in network.populations.items():
        if p.dynamics == "current":
            continue
        fired = np.zeros((1, ticks, p.size), np.int8)
        at = np.array(report["spikes"].get(name, []), np.int64).reshape(-1, 2)
        fired[0, at[:, 0], at[:, 1]] = 1
        spikes[name] = fired
    return Trace("sanafe", ticks - made.lowered.largest_lag, made.lowered.lag, spikes)


def edges_of(made: Artifact) -> None:
    return None


def updated(made: Artifact, trace: Trace, potentials: Mapping[str, Array], stimulus: Mapping[str, Array]) -> dict[str, Array]:
    """Return which updates are active by SANA-FE's rule, (1, ticks, n) for each population."""
    network, found = made.lowered.network, {}
    for name in made.program.populations:
        p = network.populations[name]
        bias = p.values("bias_mant") << p.values("bias_exp")
        if p.current is not None and p.current in stimulus:
            bias = bias + stimulus[p.current][0, 0]
        active = np.broadcast_to(bias != 0, potentials[name].shape).copy()
        active[1:] |= potentials[name][:-1]
        found[name] = active
    for source, neuron, target, reached in messages(made):
        ticks = np.flatnonzero(trace.spikes[source][0, :-1, neuron]) + 1
        if len(ticks):
            found[target][np.ix_(ticks, reached)] = True
    return {name: active[None] for name, active in found.items()}


def messages(made: Artifact) -> Iterator[tuple[str, int, str, Array]]:
    """Yield source and neuron of every input axon in the emitted tables, and which neurons of a population its row reaches."""
    names = made.mapped.population_names
    for index, (core, tables) in enumerate(zip(made.mapped.cores, made.program.cores, strict=True)):
        d = fm.decode_core(tables)
        owner = np.full(len(d.integrates), -1)
        neuron = np.full(len(d.integrates), -1)
        for number, symbol in enumerate(made.program.populations.values()):
            here = np.flatnonzero(symbol.core == index)
            owner[symbol.compartment[here]], neuron[symbol.compartment[here]] = number, here
        ends = d.rows.block_start[d.rows.row_start]
        targets = list(made.program.populations)
        axons = zip(
            core.axon_population.tolist(), core.axon_neuron.tolist(), d.axon_row.tolist(), d.axon_base.tolist(), strict=True
        )
        for population, source, row, base in axons:
            reached = base + d.rows.index[ends[row] : ends[row + 1]]
            for number in np.unique(owner[reached]).tolist():
                yield names[population], source, targets[number], neuron[reached[owner[reached] == number]]


def host_hops(made: Artifact, trace: Trace) -> dict[str, int]:
    """Return the hops of the messages of the host, whose tile is the first one behind the last column."""
    names, mesh = made.mapped.population_names, made.spec.mesh
    column = mesh.tiles_x * made.mapped.chips
    hops = {"x": 0, "y": 0}
    for core in made.mapped.cores:
        x, y = core.chip * mesh.tiles_x + core.tile[0], core.tile[1]
        for name in made.program.inputs:
            here = core.axon_neuron[core.axon_population == names.index(name)]
            sent = int((trace.spikes[name][0][:, here] != 0).sum()) if name in trace.spikes else 0
            hops["x"] += sent * (column - x)
            hops["y"] += sent * y
    return hops


def joules(made: Artifact, counts: Counts) -> dict[str, float]:
    from benchmarks.sanafe_export import energies

    return energies(counts, made)


def speeds() -> dict[str, Any]:
    """Return how long both take for a big network."""
    with target_of(()) as target:
        compiled = neighbours(target, BIG, BIG_FAN_IN, ticks=BIG_TICKS, effort="fast")
    samples = noise(BIG_TICKS)
    with tempfile.TemporaryDirectory() as folder:
        summary = compiled.export("sanafe", folder, samples)
        theirs = peers.call("sanafe", "sanafe_time", (folder, str(summary["ticks"]), str(REPETITIONS)))
    ours = []
    for _ in range(REPETITIONS + 1):
        begin = time.perf_counter()
        report = compiled.report(samples=samples, engine="fast", costs=COSTS)
        ours.append(time.perf_counter() - begin)
    totals = report.counts.totals()
    return {
        "neurons": BIG,
        "synapses": summary["synapses"],
        "ticks": summary["ticks"],
        "spikes": totals["spikes"],
        "speedup": theirs["seconds"] / min(ours),
        "neurocomp_s": min(ours),
        "neurocomp_first_s": ours[0],
        "sanafe_s": theirs["seconds"],
        "sanafe": theirs,
    }


if __name__ == "__main__":
    import sys

    if len(sys.argv) > 1 and sys.argv[1] == "speed":
        print(json.dumps(speeds(), indent=1))
    else:
        for name, case in CASES.items():
            if len(sys.argv) > 1 and sys.argv[1] not in name:
                continue
            for mapping, (changes, options) in case.mappings.items():
                begin = time.perf_counter()
                with target_of(changes) as target:
                    print(
                        name,
                        mapping,
                        json.dumps(compared(case.make(target, **options), case.samples), indent=None),
                        time.perf_counter() - begin,
                        flush=True,
                    )
