"""Networks exported for SANA-FE, run by pip's ``sanafe``, and what it counts beside what we count.

``python -m benchmarks.sanafe_export [--json] [--peers none]``. Each network is compiled for Loihi and exported with its mapping
and one sample. What must agree in every network: the neurons, on each core too, and, for the spikes that SANA-FE made, the
messages between each pair of cores, those of the host, the hops and the visited synapses, counted by us from the mapping. Where
the export says that SANA-FE does all that the chip does (``exact``), each spike of each neuron must agree with the chip
simulation too; elsewhere it is printed in how many ticks a whole population agrees.

The energies are SANA-FE's, and what the counts of the chip simulation cost by the same prices. Hops of the host's messages,
which we do not count, are taken off SANA-FE's. Its somas differ where a reset takes a second compartment, which it does not
know, and where an update leaves a potential of 0, which is an active one there and none here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neurocomp
from benchmarks import peers
from neurocomp.api import Compiled
from neurocomp.artifact import Artifact
from neurocomp.energy.counts import Counts, count
from neurocomp.energy.joules import estimate
from neurocomp.ir.network import Encoder, NativeWeights, Network, Neuron, Population, Projection, Samples, frozen
from neurocomp.ir.trace import Trace
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern
from neurocomp.registry import backend, find_spec

Array = NDArray[Any]

EXAMPLES = Path(__file__).parents[1] / "examples"
COSTS = "sanafe"
COUNTED = ("packets", "host_packets", "hops_x", "hops_y", "synaptic_events")
CONTENTS = ("tiles", "cores", "neurons", "input_neurons", "synapses", "ticks")
"""What an export counts beside what SANA-FE does otherwise."""
WITHOUT = "axons_without_synapses"
"""Of that, what changes no spike: a synapse of weight 0 that no core stores."""
TICKS, INPUTS, NEURONS, FAN_IN, SMALL = 60, 100, 2500, 200, 60


def example(name: str, target: str | Path = "loihi", **options: Any) -> Compiled:
    """Return a compiled example."""
    found = neurocomp.compile(EXAMPLES / name, target=str(target), **options)
    assert isinstance(found, Compiled)
    return found


def native(semantics: Semantics, **values: Any) -> Neuron:
    """Return a neuron of Loihi's integers, without leak, biases and first state where nothing else is said."""
    zero = dict.fromkeys(("dv", "bias_mant", "bias_exp", "u_init", "v_init"), 0)
    numbers = {key: frozen(np.asarray(value, np.int64)) for key, value in ({"du": 4095} | zero | values).items()}
    return Neuron("if", numbers, semantics, "loihi")


def joined(source: str, target: str, pattern: Pattern, weights: Array) -> Projection:
    """Return a projection whose weights are so many steps of 2, with a delay of one tick."""
    values, late = frozen((2 * weights).astype(np.int16)), frozen(np.int64(1))
    return Projection(f"{source}->{target}", source, target, pattern, values, delay=late, native=NativeWeights(0, 8, "mixed"))


def recurrent(target: str | Path = "loihi", seed: int = 0, neurons: int = NEURONS, fan_in: int = FAN_IN) -> Compiled:
    """Return random integrate-and-fire neurons that hear from some of their own, with biases, on several tiles."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(neurons), fan_in)
    sources = np.concatenate([rng.choice(neurons, fan_in, replace=False) for _ in range(neurons)])

    inner = native(Semantics(), vth=frozen(rng.integers(600, 604, neurons)), bias_mant=rng.integers(0, 1500, neurons))
    populations = {
        "noise": Population("noise", (INPUTS,)),
        "recurrent": Population("recurrent", (neurons,), inner),
        "sums": Population("sums", (50,), native(Semantics(reset="subtract", refractory=1), vth=900)),
    }
    lists = Pattern("sparse", {"sources": frozen(sources), "targets": frozen(targets)})
    projections = (
        joined("noise", "recurrent", Pattern("dense"), rng.integers(-20, 30, (neurons, INPUTS))),
        joined("recurrent", "recurrent", lists, rng.integers(-60, 40, len(sources))),
        joined("recurrent", "sums", Pattern("dense"), rng.integers(-20, 24, (50, neurons))),
    )
    network = Network("random", 1e-3, TICKS, populations, projections, {"noise": Encoder("direct", {})}).verify()
    found = neurocomp.compile(network, target=str(target))
    assert isinstance(found, Compiled)
    return found


@contextlib.contextmanager
def changed_spec(*changes: tuple[str, str]) -> Iterator[Path]:
    """Write the spec of Loihi with other text in some places, for a while."""
    text = find_spec("loihi").text
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loihi.yaml"
        path.write_text(text, encoding="utf-8")
        yield path


def of_neurons(number: int) -> tuple[str, str]:
    """Return the change of the spec after which cores hold so many neurons."""
    return "neurons: {value: 1024", f"neurons: {{value: {number}"


def on_small_cores() -> Compiled:
    """Return the same neurons on cores of `SMALL`, which take several rows of tiles."""
    with changed_spec(of_neurons(SMALL)) as path:
        return recurrent(path)


NETWORKS: Mapping[str, Callable[[], Compiled]] = {
    "mnist_mlp, if": lambda: example("mnist_mlp/net_if.yaml", compare="gt"),
    "random, if": recurrent,
    "random, if, small cores": on_small_cores,
    "mnist_mlp, lif": lambda: example("mnist_mlp/net.yaml"),
    "mnist_conv, lif": lambda: example("mnist_conv/net.yaml"),
    "recurrent, cuba_lif": lambda: example("recurrent/net.yaml"),
}


def sample_of(name: str) -> Samples | None:
    """Return the sample of a network that declares none."""
    if not name.startswith("random"):
        return None
    return Samples({"noise": (np.random.default_rng(1).random((1, TICKS, INPUTS)) < 0.1).astype(np.uint8)})


def measure(with_peers: bool) -> dict[str, Any]:
    """Return for each network what was exported, what SANA-FE says of it, and what differs."""
    result: dict[str, Any] = {}
    for name, make in NETWORKS.items():
        compiled = make()
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            summary = compiled.export("sanafe", folder, sample_of(name))
            result[name] = {"export (s)": time.perf_counter() - begin, **summary}
            result[name]["exact"] = set(summary) <= {*CONTENTS, WITHOUT}
            if not with_peers:
                continue
            try:
                report = peers.call("sanafe", "sanafe_files", (folder, str(summary["ticks"])))
            except (peers.Unavailable, OSError, ValueError) as error:
                result[name]["sanafe"] = f"unavailable: {error}"
                continue
        stimulus = compiled.stimulus(samples=sample_of(name), count=1)
        made = compiled.artifact
        trace = backend(made.spec.backend).chip_simulator().run(made.program, stimulus)
        result[name] |= compared(made, trace, report, visited=WITHOUT not in summary)
    return result


def compared(made: Artifact, trace: Trace, report: Mapping[str, Any], *, visited: bool) -> dict[str, Any]:
    """Return both sides of what can be compared, and under ``differences`` what should agree and does not.

    ``visited`` says whether SANA-FE has the stored synapses and no others.
    """
    theirs = {name: np.zeros_like(spikes) for name, spikes in trace.spikes.items()}
    for name, fired in report["spikes"].items():
        ticks, neurons = np.array(fired, np.int64).reshape(-1, 2).T
        theirs[name][0, ticks, neurons] = 1
    agree = {name: (trace.spikes[name] == theirs[name])[0].all(axis=1) for name in theirs}
    ours = count(trace, made.mapped, made.spec)
    here, followed = ours.totals(), count(replace(trace, spikes=theirs), made.mapped, made.spec).totals()
    sizes = {name: p.size for name, p in made.lowered.network.populations.items()}
    found = report["counts"]
    host = sum(found[f"host_hops_{axis}"] * made.spec.costs[COSTS][f"hop_{axis}"].value for axis in "xy")
    joules = report["energy"] | {"network": report["energy"]["network"] - host}
    checked = [what for what in COUNTED if visited or what != "synaptic_events"]
    differences = {
        "neurons": differing(sizes, report["neurons"]),
        "neurons per core": differing(neurons_per_core(made), report["neurons_per_core"]),
        "packets between cores": differing(packets_between(made, theirs), report["packets_between"]),
        "of sanafe's spikes": differing({what: followed[what] for what in checked}, {what: found[what] for what in checked}),
    }
    return {
        "spikes": {name: sides(int((trace.spikes[name] != 0).sum()), int(theirs[name].sum())) for name in theirs},
        "ticks that agree": {name: f"{int(same.sum())} of {len(same)}" for name, same in agree.items()},
        "every spike agrees": all(bool(same.all()) for same in agree.values()),
        **{what: sides(here[what], found[what]) for what in COUNTED},
        "pairs of cores with packets": sides(len(packets_between(made, trace.spikes)), len(report["packets_between"])),
        "updates": sides(
            here["updates_active"], report["updated"] - sum(int(theirs[name].sum()) for name in made.program.inputs)
        ),
        "energy (J)": {part: sides(value, joules[part]) for part, value in energies(ours, made).items()},
        "hops of the host (J)": host,
        "time (s)": report["sim_time"],
        "load (s)": report["load_seconds"],
        "run (s)": report["seconds"],
        "version": report["version"],
        "differences": {what: which for what, which in differences.items() if which},
    }


def sides(chip: float, sanafe: float) -> dict[str, float]:
    """Return a figure of the chip simulation beside SANA-FE's."""
    return {"chip": chip, "sanafe": sanafe}


def differing(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the entries of two tables that differ; a missing one is 0."""
    keys = (*ours, *(key for key in theirs if key not in ours))
    return {key: sides(ours.get(key, 0), theirs.get(key, 0)) for key in keys if ours.get(key, 0) != theirs.get(key, 0)}


def core_names(made: Artifact) -> list[str]:
    """Return the cores of a network as SANA-FE numbers them: tiles column by column, chips side by side."""
    mesh = made.spec.mesh
    tiles = [(core.chip * mesh.tiles_x + core.tile[0]) * mesh.tiles_y + core.tile[1] for core in made.mapped.cores]
    return [f"{tile}.{core.core % mesh.cores_per_tile}" for tile, core in zip(tiles, made.mapped.cores, strict=True)]


def neurons_per_core(made: Artifact) -> dict[str, int]:
    """Return how many neurons each core holds, compartments of resets left out."""
    found = np.zeros(len(made.mapped.cores), np.int64)
    for place in made.mapped.placements.values():
        found += np.bincount(place.core, minlength=len(found))
    return dict(zip(core_names(made), found.tolist(), strict=True))


def packets_between(made: Artifact, spikes: Mapping[str, Array]) -> dict[str, int]:
    """Return the messages from core to core of a raster: one for each spike and input axon of its neuron."""
    mapped, names = made.mapped, core_names(made)
    found: Counter[str] = Counter()
    for target, core in enumerate(mapped.cores):
        for number, name in enumerate(mapped.population_names):
            neurons = core.axon_neuron[core.axon_population == number]
            if name not in mapped.placements or not len(neurons):
                continue
            sent, source = (spikes[name][0][:, neurons] != 0).sum(axis=0), mapped.placements[name].core[neurons]
            for index in np.unique(source[sent > 0]).tolist():
                found[f"{names[index]} -> {names[target]}"] += int(sent[source == index].sum())
    return dict(found)


def energies(counts: Counts, made: Artifact) -> dict[str, float]:
    """Return the joules of counts by the prices that the export writes, parted as SANA-FE parts them."""
    lines = estimate(counts, made.spec, made.network.timestep, COSTS).lines
    parts = dict.fromkeys(("synapse", "network", "soma"), 0.0)
    for line in lines:
        part = "network" if line.part == "network on chip" else "synapse" if line.event == "synaptic_event" else "soma"
        parts[part] += line.energy.nominal
    return parts


def print_table(figures: Mapping[str, Any], prefix: str = "") -> None:
    """Print figures line by line, those of both sides beside one another."""
    for key, value in figures.items():
        if isinstance(value, Mapping) and set(value) != {"chip", "sanafe"}:
            print_table(value, f"{prefix}{key}: ")
            continue
        columns = value.values() if isinstance(value, Mapping) else (value,)
        shown = (f"{v:.4g}" if isinstance(v, float) else f"{v:,}" if type(v) is int else str(v) for v in columns)
        print(f"  {prefix + key:<44}" + "".join(f" {text:>14}" for text in shown))


def main() -> int:
    """Measure and print; 1 where something that must agree does not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sanafe_export", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--peers", choices=("all", "none"), default="all", help="whether pip's sanafe runs the files")
    arguments = parser.parse_args()
    result = measure(arguments.peers == "all")
    if arguments.json:
        print(json.dumps(result, indent=1))
    else:
        for name, figures in result.items():
            print(f"{name}:")
            print_table(figures)
    wrong = (f for f in result.values() if f.get("differences") or (f["exact"] and f.get("every spike agrees") is False))
    return int(any(wrong))


if __name__ == "__main__":
    sys.exit(main())
