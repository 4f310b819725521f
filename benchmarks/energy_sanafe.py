"""Energy and time by the costs and times ``sanafe`` of Loihi's spec, and those of pip's ``sanafe`` on the same mapped networks.

A network is compiled, exported with its mapping and one sample, and run by SANA-FE with its timing ``simple``. What SANA-FE
traced is then replayed through our counts: the spikes of its neurons and inputs, and its potentials. Compared are its whole
energy and its whole time; nothing is taken off either side. Three things are counted here that reports do not count so:

- Hops of the host's messages. Reports leave out the way from the host to a core. The export puts the host on a tile of its own
  beside the chip, and SANA-FE charges these hops like others. They are counted from the spikes of the inputs and the places of
  the cores, and priced as ``hop_x`` and ``hop_y``; ``host_hops_j`` says how much they are.
- Active updates by SANA-FE's rule, as experiments on single neurons showed it: an update is active if the potential before it
  is not 0, the neuron has a bias, or a message reached the neuron in the tick before. Reports ask what an update leaves: u or v
  that is not 0, or a spike. By these means an update that ends at 0 without a spike is inactive here and may be active there.

- Visits that the export adds. An axon whose row stores nothing gets a synapse of weight 0, without which SANA-FE would send it
  no message; ``visits_added`` says how often it is visited.

SANA-FE's somas subtract by themselves, where Loihi's take a second compartment, which is updated too. Networks that reset by
subtraction are therefore compiled for a Loihi that subtracts natively.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neurocomp
from benchmarks import peers
from benchmarks.sanafe_export import (
    COSTS,
    INPUTS,
    TICKS,
    changed_spec,
    energies,
    example,
    joined,
    native,
    of_neurons,
    recurrent,
)
from neurocomp.api import Compiled
from neurocomp.artifact import Artifact
from neurocomp.energy.counts import count
from neurocomp.energy.latency import tick_seconds
from neurocomp.ir.network import Encoder, Network, Population, Samples, frozen
from neurocomp.ir.trace import Trace
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern
from neurocomp_loihi import formats as fm

Array = NDArray[Any]
Changes = tuple[tuple[str, str], ...]

BIG, BIG_FAN_IN, BIG_TICKS = 10_000, 100, 500
REACH, HEARD = 500, 10
REPETITIONS = 3
SUBTRACTS = ("  reset: [zero]", "  reset: [zero, subtract]")


def neighbours(target: str | Path, neurons: int = 1500, fan_in: int = 100, ticks: int = TICKS, **options: Any) -> Compiled:
    """Return leaky neurons in a ring, half of them with biases, each of which hears from some up to `REACH` places away."""
    rng = np.random.default_rng(5)
    targets = np.repeat(np.arange(neurons), fan_in)
    away = np.concatenate([rng.choice(2 * REACH, fan_in, replace=False) - REACH for _ in range(neurons)])
    sources = (targets + away + (away >= 0)) % neurons
    order = np.lexsort((sources, targets))
    ring = native(
        Semantics(refractory=2), vth=rng.integers(600, 640, neurons), dv=rng.integers(0, 200, neurons),
        bias_mant=rng.integers(0, 1500, neurons) * (rng.random(neurons) < 0.5),
    )  # fmt: skip
    inner = Pattern("sparse", {"sources": frozen(sources[order]), "targets": frozen(targets)})
    lists = {"sources": rng.integers(0, INPUTS, HEARD * neurons), "targets": np.repeat(np.arange(neurons), HEARD)}
    outer = Pattern("sparse", {name: frozen(values) for name, values in lists.items()})
    projections = (
        joined("noise", "ring", outer, rng.integers(1, 90, HEARD * neurons)),
        joined("ring", "ring", inner, rng.integers(1, 60, len(sources)) * rng.choice([-1, 1], len(sources))),
    )
    populations = {"noise": Population("noise", (INPUTS,)), "ring": Population("ring", (neurons,), ring)}
    network = Network("ring", 1e-3, ticks, populations, projections, {"noise": Encoder("direct", {})}).verify()
    found = neurocomp.compile(network, target=str(target), **options)
    assert isinstance(found, Compiled)
    return found


def noise(ticks: int) -> Samples:
    """Return one sample of random input spikes."""
    return Samples({"noise": (np.random.default_rng(1).random((1, ticks, INPUTS)) < 0.1).astype(np.uint8)})


@dataclass(frozen=True)
class Mapped:
    """How a network is mapped: what the spec says otherwise, and options of `neurocomp.compile`."""

    changes: Changes = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A network with its mappings by name, and its sample where it declares none."""

    make: Callable[..., Compiled]
    mappings: Mapping[str, Mapped]
    samples: Samples | None = None


def of(file: str, **options: Any) -> Callable[..., Compiled]:
    """Return what compiles an example."""
    return lambda target, **more: example(file, target, **options, **more)


def on_cores(*numbers: int, also: Changes = ()) -> dict[str, Mapped]:
    """Return mappings onto cores of so many neurons."""
    return {f"cores of {n}": Mapped((*((of_neurons(n),) if n != 1024 else ()), *also)) for n in numbers}


CASES: Mapping[str, Case] = {
    "mnist_mlp, lif": Case(of("mnist_mlp/net.yaml"), on_cores(1024, 64)),
    "mnist_mlp, if, subtracting": Case(of("mnist_mlp/net_if.yaml", compare="gt"), on_cores(1024, 64, also=(SUBTRACTS,))),
    "mnist_conv, lif": Case(of("mnist_conv/net.yaml"), on_cores(1024, 512)),
    "recurrent, cuba_lif": Case(of("recurrent/net.yaml"), on_cores(1024, 32)),
    "random, if, subtracting": Case(
        lambda target, **options: recurrent(target, neurons=800, fan_in=100),
        on_cores(1024, 60, also=(SUBTRACTS,)),
        noise(TICKS),
    ),
    "ring, lif": Case(
        neighbours,
        {
            "cores of 100, fast, seed 1": Mapped((of_neurons(100),), {"effort": "fast", "seed": 1}),
            "cores of 100, default, seed 2": Mapped((of_neurons(100),), {"seed": 2}),
        },
        noise(TICKS),
    ),
}


@contextmanager
def target_of(changes: Changes) -> Iterator[str | Path]:
    """Give the spec of Loihi with its changes."""
    if not changes:
        yield "loihi"
        return
    with changed_spec(*changes) as path:
        yield path


def measure(with_peers: bool) -> dict[str, Any]:
    """Compare all networks in all mappings, and how long both take for a big one."""
    result: dict[str, Any] = dict.fromkeys(("networks", "max_rel_energy", "max_rel_time", "speedup"))
    if not with_peers:
        return result | {"networks": 0, "unavailable": "--peers none"}
    pairs: dict[str, Any] = {}
    for name, case in CASES.items():
        for mapping, how in case.mappings.items():
            with target_of(how.changes) as target:
                pairs[f"{name}; {mapping}"] = _attempt(compared, case.make(target, **how.options), case.samples)
    speed = _attempt(speeds)
    found = [pair for pair in pairs.values() if "unavailable" not in pair]
    whole = [name for name in CASES if all("unavailable" not in pairs[f"{name}; {m}"] for m in CASES[name].mappings)]
    result |= {"networks": len(whole), "mappings": len(found), "pairs": pairs, "speed": speed, "speedup": speed.get("speedup")}
    if found:
        result |= {f"max_{what}": max(pair[what] for pair in found) for what in ("rel_energy", "rel_time")}
    return result


def _attempt(what: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Return a result, or why the peer gave none."""
    try:
        return what(*arguments)
    except peers.Unavailable as error:
        return {"unavailable": str(error)}


def _call(module: str, *arguments: str) -> dict[str, Any]:
    """Return what a module of the peer prints; whatever goes wrong there, it is unavailable."""
    try:
        return peers.call("sanafe", module, arguments)
    except (OSError, ValueError) as error:
        raise peers.Unavailable(str(error)) from error


def compared(compiled: Compiled, samples: Samples | None) -> dict[str, Any]:
    """Return both sides of one mapped network."""
    made = compiled.artifact
    with tempfile.TemporaryDirectory() as folder:
        summary = compiled.export("sanafe", folder, samples)
        report = _call("sanafe_files", folder, str(summary["ticks"]), "simple")
        with np.load(Path(folder) / "potentials.npz") as arrays:
            charged = {name: arrays[name] != 0 for name in arrays.files}
    trace = replayed(made, report["spikes"], summary["ticks"])
    active = updated(made, trace, charged, compiled.stimulus(samples=samples, count=1))
    counts, added = count(trace, made.mapped, made.spec, active), visits_added(made, trace)
    visits = {"synaptic_events": counts.per_core["synaptic_events"] + added}
    counts = replace(counts, per_core={**counts.per_core, **visits})
    host = sum(hops * made.spec.costs[COSTS][f"hop_{axis}"].value for axis, hops in host_hops(made, trace).items())
    joules, theirs = energies(counts, made), report["energy"]
    joules["network"] += host
    seconds = tick_seconds("sum", counts, made.mapped, made.spec, made.spec.times[COSTS])[0]
    # SANA-FE counts the spike of an input as an update, which costs nothing.
    updates = counts.per_core["updates_active"].sum(axis=(0, 1)) + spikes_of_inputs(made, trace)
    return {
        "cores": len(made.mapped.cores), "tiles": summary["tiles"], "synapses": summary["synapses"], "ticks": summary["ticks"],
        "packets": counts.totals()["packets"], "hops": counts.totals()["hops"],
        "energy_j": sum(joules.values()), "sanafe_energy_j": theirs["total"], "host_hops_j": host,
        "visits_added": int(added.sum()),
        "time_s": float(seconds.sum()), "sanafe_time_s": report["sim_time"],
        "rel_energy": relative(sum(joules.values()), theirs["total"]),
        "rel_energy_of_parts": {part: relative(value, theirs[part]) for part, value in joules.items()},
        "rel_time": relative(float(seconds.sum()), report["sim_time"]),
        "rel_time_of_worst_tick": max(map(relative, seconds.tolist(), report["seconds_of_ticks"])),
        "ticks_with_other_updates": int((updates != report["updated_in_ticks"]).sum()),
        "updates_active_of_reports": counts_of_reports(compiled, samples),
        "updates_active_of_sanafe": counts.totals()["updates_active"],
    }  # fmt: skip


def relative(ours: float, theirs: float) -> float:
    """Return how far two numbers are apart, as a share of the second."""
    return abs(ours - theirs) / abs(theirs) if theirs else float(ours != theirs)


def counts_of_reports(compiled: Compiled, samples: Samples | None) -> int:
    """Return the active updates that a report counts of the same sample, by its own rule and its own simulation."""
    report = compiled.report(samples=samples, count=1, costs=COSTS)
    return int(report.counts.totals()["updates_active"])


def replayed(made: Artifact, spikes: Mapping[str, list[tuple[int, int]]], ticks: int) -> Trace:
    """Return the spikes of SANA-FE, lists of (tick, neuron), as a trace of one sample."""
    found = {}
    for name, p in made.lowered.network.populations.items():
        if p.dynamics != "current":
            fired = np.zeros((1, ticks, p.size), np.int8)
            at = np.array(spikes[name], np.int64).reshape(-1, 2)
            fired[0, at[:, 0], at[:, 1]] = 1
            found[name] = fired
    return Trace("sanafe", ticks - made.lowered.largest_lag, made.lowered.lag, found)


def spikes_of_inputs(made: Artifact, trace: Trace) -> Array:
    """Return how many inputs spiked in each tick, (ticks,)."""
    return np.asarray(sum(trace.spikes[name][0].sum(axis=1, dtype=np.int64) for name in made.program.inputs))


def updated(
    made: Artifact, trace: Trace, charged: Mapping[str, Array], stimulus: Mapping[str, Array]
) -> dict[str, NDArray[np.bool_]]:
    """Return which updates are active by SANA-FE's rule, (1, ticks, n) for each population.

    Args:
        made: The network.
        trace: Its spikes.
        charged: Whether the potential is not 0 after a tick, (ticks, n) for each population.
        stimulus: What the host writes as currents, which the export adds to biases.
    """
    found = {}
    for name in made.program.populations:
        p = made.lowered.network.populations[name]
        bias = p.values("bias_mant") << p.values("bias_exp")
        if p.current is not None and p.current in stimulus:
            bias = bias + stimulus[p.current][0, 0]
        found[name] = np.broadcast_to(bias != 0, charged[name].shape).copy()
        found[name][1:] |= charged[name][:-1]
    for source, neuron, target, reached in messages(made):
        after = np.flatnonzero(trace.spikes[source][0, :-1, neuron]) + 1
        found[target][np.ix_(after, reached)] = True
    return {name: active[None] for name, active in found.items()}


def messages(made: Artifact) -> Iterator[tuple[str, int, str, Array]]:
    """Yield population and neuron of every input axon, and which neurons of which population its stored synapses reach."""
    names, populations = made.mapped.population_names, list(made.program.populations)
    for index, core in enumerate(made.mapped.cores):
        d = fm.decode_core(made.program.cores[index])
        owner, neuron = np.full((2, len(d.integrates)), -1)
        for number, name in enumerate(populations):
            symbol = made.program.populations[name]
            here = np.flatnonzero(symbol.core == index)
            owner[symbol.compartment[here]], neuron[symbol.compartment[here]] = number, here
        ends = d.rows.block_start[d.rows.row_start]
        sources = zip(core.axon_population.tolist(), core.axon_neuron.tolist(), strict=True)
        for (population, source), row, base in zip(sources, d.axon_row.tolist(), d.axon_base.tolist(), strict=True):
            reached = base + d.rows.index[ends[row] : ends[row + 1]]
            for number in np.unique(owner[reached]).tolist():
                yield names[population], source, populations[number], neuron[reached[owner[reached] == number]]


def visits_added(made: Artifact, trace: Trace) -> Array:
    """Return how often spikes come to axons without synapses, (cores, 1, ticks)."""
    names = made.mapped.population_names
    samples, ticks, _ = next(iter(trace.spikes.values())).shape
    found = np.zeros((len(made.mapped.cores), samples, ticks), np.int64)
    for index, core in enumerate(made.mapped.cores):
        d = fm.decode_core(made.program.cores[index])
        empty = np.diff(d.rows.block_start[d.rows.row_start])[d.axon_row] == 0
        for population, neuron in zip(core.axon_population[empty].tolist(), core.axon_neuron[empty].tolist(), strict=True):
            found[index] += trace.spikes[names[population]][:, :, neuron]
    return found


def host_hops(made: Artifact, trace: Trace) -> dict[str, int]:
    """Return the hops of the host's messages in x and y; its tile is the first one behind the last column of the chips."""
    names, mesh, hops = made.mapped.population_names, made.spec.mesh, {"x": 0, "y": 0}
    for core in made.mapped.cores:
        x, y = core.chip * mesh.tiles_x + core.tile[0], core.tile[1]
        for name in made.program.inputs:
            here = core.axon_neuron[core.axon_population == names.index(name)]
            sent = int(trace.spikes[name][0][:, here].sum(dtype=np.int64))
            hops["x"] += sent * (mesh.tiles_x * made.mapped.chips - x)
            hops["y"] += sent * y
    return hops


def speeds() -> dict[str, Any]:
    """Return how long counts, energy and latency of a big network take us, its simulation included, and SANA-FE's ``sim``.

    Ours is all that a report does with a network in memory, the fastest of a few; theirs is one simulation without traces and
    on one thread, as two took longer. Left out: reading files, `SpikingChip.load` there, and compiling kernels here.
    """
    compiled, samples = neighbours("loihi", BIG, BIG_FAN_IN, BIG_TICKS, effort="fast"), noise(BIG_TICKS)
    with tempfile.TemporaryDirectory() as folder:
        summary = compiled.export("sanafe", folder, samples)
        theirs = _call("sanafe_time", folder, str(summary["ticks"]))
    ours, processor = [], []
    for _ in range(REPETITIONS + 1):
        begin, busy = time.perf_counter(), time.process_time()
        report = compiled.report(samples=samples, engine="fast", costs=COSTS)
        ours.append(time.perf_counter() - begin)
        processor.append(time.process_time() - busy)
    totals = report.counts.totals()
    return {
        "neurons": BIG, "synapses": summary["synapses"], "ticks": summary["ticks"], "cores": summary["cores"],
        "spikes": totals["spikes"], "synaptic_events": totals["synaptic_events"], "packets": totals["packets"],
        "neurocomp_s": min(ours), "sanafe_s": theirs["seconds"], "neurocomp_processor_s": min(processor),
        "sanafe_processor_s": theirs["processor_seconds"], "sanafe_load_s": theirs["load_seconds"],
        "speedup": theirs["seconds"] / min(ours), "speedup_of_processor_time": theirs["processor_seconds"] / min(processor),
    }  # fmt: skip


def rows(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is printed without ``--json``."""
    if "pairs" not in result:
        yield f"  not measured: {result['unavailable']}"
        return
    for name, pair in result["pairs"].items():
        if "unavailable" in pair:
            yield f"  {name:<48} {pair['unavailable']}"
            continue
        yield (
            f"  {name:<48} {1e6 * pair['energy_j']:9.3f} uJ, apart by {pair['rel_energy']:.0e}"
            f"   {1e6 * pair['time_s']:9.2f} us, apart by {pair['rel_time']:.0e}"
        )
    speed = result["speed"]
    if "unavailable" in speed:
        yield f"  {BIG:,} neurons: {speed['unavailable']}"
        return
    yield (
        f"  {speed['neurons']:,} neurons, {speed['synapses']:,} synapses, {speed['ticks']} ticks: "
        f"{speed['neurocomp_s']:.3f} s; "
        f"sanafe {speed['sanafe_s']:.2f} s, {speed['speedup']:.1f} times as long"
    )
