"""Neurons to cores and cores to places: packets, cores and seconds, beside those of others on the same networks.

``python -m benchmarks.mapping [--json] [--peers none]`` measures the networks of `mapping_networks` on cores of ideal chips:
packets per tick are the sum over neurons of the rate x the cores reached beside the own one. Every figure is counted anew from
single synapses, by numpy, which also refuses a core beyond a cap. Kernels are compiled before any time is taken: seconds are
those of mapping a network that is in memory, twins and atoms included. A row has the effort "default" where its time is
limited or the target is met, else "max"; both are shown.

``--csr NET.npz --caps ideal-loihi --assignment OUT.npy`` maps any network given as lists of synapses, for anyone to count
again: ptr (n + 1) and idx, the targets of each neuron ascending; w, spikes of each neuron in 1000 ticks; lo and hi of its
layers, which are not needed. No geometry is given and none is guessed: neurons with the same sources and targets are
recognized ("twins"), a network with few of them is "irregular".

``--scale`` measures irregular networks of up to a million neurons and draws docs/mapping-growth.svg.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from benchmarks import mapping_baselines as baselines
from benchmarks import mapping_scale, peers
from benchmarks.mapping_count import CAPS, Caps, Use, count, hops
from benchmarks.mapping_networks import NETWORKS, Listed, build, liquid
from neurocomp.engine.kernels.partitioning import Limits
from neurocomp.mapping.atoms import Atoms, atoms_of
from neurocomp.mapping.partition import Effort
from neurocomp.mapping.placement import Grid, core_graph, grid_of, place_cores
from neurocomp.mapping.twins import contracted, find_twins, partition_neurons

Array = NDArray[Any]
IntArray = NDArray[np.int64]

TICKS = 1000
"""Rates are spikes in so many ticks."""
SMALL = 30_000
"""Networks from --csr with so many neurons or fewer are mapped with the effort "max", unless one is given."""
UNSEEN = 1.03
"""Targets are met on other seeds if packets are this much at most."""
LARGEST_RATE = 1 << 31
ATOM = 16
"""Peers get atoms of so many twins at most."""
MORE_CORES = 110
"""Peers are asked for so many per cent of our cores too, since their balance has some slack."""
RANDOM_SEEDS = 3


class Refused(Exception):
    """A network cannot be mapped as it is given; the message says why."""


@dataclass(frozen=True)
class Row:
    """A network of the table: where it goes, and what is to be reached."""

    caps: str
    packets: float
    cores: int
    seconds: float | None = None


ROWS = {
    "mlp": Row("ideal-loihi", 424, 20),
    "lenet": Row("ideal-loihi", 50, 10),
    "vgg": Row("ideal-loihi", 5_900, 329, 10),
    "lsm10k": Row("ideal-loihi", 575, 11),
    "lsm100k": Row("ideal-loihi", 5_700, 108, 15),
    "sw20k": Row("ideal-loihi", 3_600, 53),
    "lsm10k_f16": Row("ideal-truenorth", 940, 273),
}


@dataclass(frozen=True)
class Placed:
    """A network of which the cores are placed on a mesh, and the packets x hops per tick to be reached."""

    network: str
    caps: str
    columns: int
    rows: int
    hops: float


PLACEMENTS = {
    "8x16": Placed("lsm100k", "ideal-loihi", 8, 16, 12_500),
    "19x19": Placed("vgg", "ideal-loihi", 19, 19, 18_000),
    "64x64": Placed("lsm100k_f16", "ideal-truenorth", 64, 64, 48_000),
}


@dataclass(frozen=True, eq=False)
class Mapped:
    """Our cores of a network, their count and the seconds."""

    core: IntArray
    use: Use
    figures: dict[str, Any]


def limits_of(caps: Caps) -> Limits:
    """Return what the partition is given."""
    return Limits(caps.neurons, caps.axons, caps.synapses)


def timed(function: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, dict[str, float]]:
    """Return what a function returns, and its seconds by the clock and of the processors."""
    begin, cpu = time.perf_counter(), time.process_time()
    found = function(*arguments, **options)
    return found, {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu}


def warm() -> None:
    """Compile every kernel, or load it, on small networks: few cores and many, narrow counts and wide ones."""
    wide = Listed(
        np.array([0, 300, *[300] * 300]),
        np.arange(1, 301, dtype=np.int32),
        np.ones(301, np.int64),
        *(np.zeros(0, np.int64),) * 3,
    )
    for network in (liquid(10, 20, 4, (2, 1), 0), wide):
        for neurons in (3, 100):
            found = partition_neurons(
                network.start, network.target, network.rate, Limits(neurons, 400, 100_000), effort="fast", seed=0
            )
            count(network.start, network.target, network.rate, found.core, pairs=True)
    place_cores(core_graph(3, np.array([0, 1]), np.array([1, 2]), np.ones(2)), grid_of(2, 2, 1), effort="fast")


def mapped(network: Listed, caps: Caps, effort: Effort, seed: int, jobs: int | None, *, pairs: bool = False) -> Mapped:
    """Map a network and count anew; raise where a core is beyond a cap or the count is another."""
    found, seconds = timed(
        partition_neurons, network.start, network.target, network.rate, limits_of(caps), effort=effort, seed=seed, jobs=jobs
    )
    use = count(network.start, network.target, network.rate, found.core, pairs=pairs).verify(caps)
    if (use.packets, use.cores) != (found.packets, found.cores):
        raise AssertionError(f"the partition says {found.packets} on {found.cores}, the count {use.packets} on {use.cores}")
    return Mapped(found.core, use, {"packets": use.packets / TICKS, "cores": use.cores, **seconds})


def structure(network: Listed) -> dict[str, Any]:
    """Return what is recognized of a network."""
    classes = len(find_twins(network.start, network.target, network.rate).sizes)
    return {
        "neurons": network.size, "synapses": network.synapses,
        "structure": "twins" if 2 * classes <= network.size else "irregular", "classes": classes,
    }  # fmt: skip


# The table


def measure(
    with_peers: bool, *, names: tuple[str, ...] = tuple(ROWS), effort: Effort | None = None, seed: int = 0,
    network_seed: int | None = None, jobs: int | None = None, say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Return the rows of the table and the placements.

    Args:
        with_peers: Whether others map the same networks.
        names: Of the rows; placements are those whose network is among them.
        effort: The only one; None: "default", and "max" where the target is missed and time is not limited.
        seed: Of the mapping.
        network_seed: Of the networks; None: those of the table.
        jobs: Threads; None: one per processor.
        say: Is told what has been measured.
    """
    warm()
    result: dict[str, Any] = {}
    kept: dict[str, Mapped] = {}
    for name in names:
        if name not in ROWS:
            continue
        row, network = ROWS[name], build(name, network_seed)
        caps = CAPS[row.caps]
        by_effort: dict[Effort, Mapped] = {}
        for level in levels(effort):
            if by_effort and (row.seconds is not None or met(row, by_effort["default"].figures, network_seed)):
                break
            pairs = any(p.network == name for p in PLACEMENTS.values())
            by_effort[level] = mapped(network, caps, level, seed, jobs, pairs=pairs)
        level, kept[name] = list(by_effort.items())[-1]
        figures = kept[name].figures
        result[name] = {
            **figures, "effort": level, "caps": row.caps, **structure(network),
            "target": {"packets": row.packets, "cores": row.cores} | ({"seconds": row.seconds} if row.seconds else {}),
            "met": met(row, figures, network_seed), "efforts": {key: value.figures for key, value in by_effort.items()},
        }  # fmt: skip
        result[name]["peers"] = dict(others(network, caps, kept[name].use.cores, with_peers))
        say(f"{name}: {json.dumps(result[name])}")
    result["placement"] = {}
    for name, placed in PLACEMENTS.items():
        if placed.network not in names and (placed.network in ROWS or names != tuple(ROWS)):
            continue
        if placed.network not in kept:
            network = build(placed.network, network_seed)
            kept[placed.network] = mapped(network, CAPS[placed.caps], effort or "default", seed, jobs, pairs=True)
        result["placement"][name] = placement(placed, kept[placed.network], effort, seed, jobs, network_seed)
        say(f"{name}: {json.dumps(result['placement'][name])}")
    return result


def levels(effort: Effort | None) -> tuple[Effort, ...]:
    """Return the efforts to try one after the other."""
    return (effort,) if effort else ("default", "max")


def met(row: Row, figures: Mapping[str, Any], network_seed: int | None) -> bool:
    """Return whether a row reaches its target, within 3 % on another seed than that of the table."""
    slack = 1.0 if network_seed is None else UNSEEN
    in_time = row.seconds is None or figures["seconds"] <= row.seconds
    return bool(figures["packets"] <= slack * row.packets and figures["cores"] <= slack * row.cores and in_time)


def placement(
    placed: Placed, of: Mapped, effort: Effort | None, seed: int, jobs: int | None, network_seed: int | None
) -> dict[str, Any]:  # fmt: skip
    """Place the cores of a network on a mesh of one chip, and count hops anew."""
    use, k = of.use, of.use.cores
    mesh: Grid = grid_of(placed.columns, placed.rows, 1)
    traffic, preparing = timed(core_graph, k, use.source, use.target, use.traffic / TICKS)
    slack = 1.0 if network_seed is None else UNSEEN
    efforts: dict[Effort, dict[str, float]] = {}
    for level in levels(effort):
        if efforts and efforts["default"]["hops"] <= slack * placed.hops:
            break
        place, seconds = timed(place_cores, traffic, mesh, effort=level, seed=seed, jobs=jobs)
        if len(np.unique(place)) != k or place.min() < 0 or place.max() >= placed.columns * placed.rows:
            raise AssertionError("two cores share a place, or one has none")
        total = hops(use, place % placed.columns, place // placed.columns) / TICKS
        efforts[level] = {"hops": total, "hops_per_packet": total / of.figures["packets"], **seconds}
    level, figures = list(efforts.items())[-1]

    def by(x: IntArray, y: IntArray) -> float:
        return hops(use, x, y) / TICKS

    random = []
    for draw in range(RANDOM_SEEDS):
        at = np.random.default_rng(draw).permutation(placed.columns * placed.rows)[:k]
        random.append(by(at % placed.columns, at // placed.columns))
    return {
        **figures, "effort": level, "network": placed.network, "packets": of.figures["packets"], "cores": k,
        "traffic_seconds": preparing["seconds"], "target": {"hops": placed.hops}, "met": figures["hops"] <= slack * placed.hops,
        "efforts": efforts,
        "peers": {
            "random, mean": float(np.mean(random)),
            "row by row": by(*baselines.row_major(k, placed.columns)),
            "Hilbert curve": by(*baselines.hilbert(k, placed.columns, placed.rows)),
        },
    }  # fmt: skip


# Others


def others(network: Listed, caps: Caps, ours: int, with_peers: bool) -> Iterator[tuple[str, Any]]:
    """Yield what other mappers make of a network: cores filled in two orders, and with peers METIS and Mt-KaHyPar.

    Peers partition atoms of twins, which is exact, or neurons where there are none; each is asked for as many cores as we use,
    and for a tenth more. What it gives back is counted as it is, repaired, and improved further.
    """
    twins = find_twins(network.start, network.target, network.rate)
    fan_in = np.bincount(network.target, minlength=network.size)
    each = atoms_of(np.ones(network.size, np.int64), network.rate, fan_in, network.start, network.target)
    orders = {"sequential": np.arange(network.size)}
    if (network.channels > 1).any() and (network.channels < network.high - network.low).any():
        orders = {"sequential, channels first": np.arange(network.size), "sequential, channels last": network.channels_last()}
    for name, order in orders.items():
        by_break = []
        for breaks in (None, network.low) if len(network.low) > 1 else (None,):
            core, seconds = timed(baselines.in_order, each, caps, order, breaks)
            figures = counted(network, caps, core)
            by_break.append(figures | seconds | {"new core for each layer": breaks is not None})
        yield name, min(by_break, key=lambda figures: figures["packets"])
    if not with_peers:
        return
    atoms, atom = contracted(
        network.start, network.target, network.rate, twins, np.minimum(twins.sizes, _atom_size(network, caps))
    )
    ours = max(2, ours)
    for name in ("metis", "mtkahypar"):
        try:
            yield name, peer(name, network, caps, atoms, atom, (ours, -(-ours * MORE_CORES // 100)))
        except (peers.Unavailable, OSError, ValueError) as error:
            yield name, {"unavailable": str(error)}


def _atom_size(network: Listed, caps: Caps) -> int:
    """Return the neurons of a peer's atom: as ours, a sixth of what the neuron with the most sources leaves room for."""
    most = int(np.bincount(network.target, minlength=network.size).max(initial=1))
    return max(1, min(ATOM, min(caps.neurons, caps.synapses // max(1, most)) // 6))


def peer(name: str, network: Listed, caps: Caps, atoms: Atoms, atom: IntArray, ks: tuple[int, ...]) -> dict[str, Any]:
    """Return what a partitioner in its own environment makes of atoms, best of several numbers of cores."""
    g = atoms.graph
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.npz"
        np.savez(
            path, start=g.out_start, target=g.out_index, rate=g.rate, neurons=g.neurons, memory=g.memory,
            caps=np.array([caps.neurons, caps.axons, caps.synapses]),
        )  # fmt: skip
        runs: list[dict[str, Any]] = []
        for k in ks:
            try:
                report = peers.call(name, name, (str(path), str(k), "2"), 2)
            except peers.Unavailable:
                if not runs:
                    raise
                break
            run = report.pop("runs")[0]
            raw = np.load(path.with_name(f"cores-{k}.npy"))
            fixed, repair = timed(baselines.repaired, atoms, caps, raw)
            better, refine = timed(baselines.refined, atoms, caps, fixed)
            runs.append(
                {
                    "asked for": run["cores"],
                    "as it is": counted(network, caps, raw[atom])
                    | {key: value for key, value in run.items() if key != "cores"},
                    "repaired": counted(network, caps, fixed[atom]) | repair,
                    "repaired, then moves": counted(network, caps, better[atom]) | refine,
                }
            )
    best = min(runs, key=lambda run: run["repaired, then moves"]["packets"])
    allowed = [step for step in ("as it is", "repaired", "repaired, then moves") if "beyond" not in best[step]]
    chosen = best[min(allowed, key=lambda step: best[step]["packets"])]
    return {
        "packets": chosen["packets"], "cores": chosen["cores"], "atoms": atoms.size, "pins": atoms.pins, **report, "runs": runs,
    }  # fmt: skip


def counted(network: Listed, caps: Caps, core: IntArray) -> dict[str, Any]:
    """Return packets and cores of an assignment, and how many cores are beyond which cap."""
    _, core = np.unique(core, return_inverse=True)
    use = count(network.start, network.target, network.rate, core)
    beyond = {kind: len(cores) for kind, cores in use.beyond(caps).items() if len(cores)}
    return {"packets": use.packets / TICKS, "cores": use.cores} | ({"beyond": beyond} if beyond else {})


# Networks of others


def read(path: Path) -> Listed:
    """Return a network from an .npz of ptr, idx, w and perhaps lo and hi.

    Raises:
        Refused: It is none.
    """
    try:
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise Refused(f"{path}: {error}") from None
    if missing := [key for key in ("ptr", "idx", "w") if key not in arrays]:
        raise Refused(f"{path}: has no {', '.join(missing)}; it has {', '.join(arrays) or 'nothing'}")
    if ("lo" in arrays) != ("hi" in arrays):
        raise Refused(f"{path}: has one of lo and hi; it needs both or none")
    for key in ("ptr", "idx", "w", "lo", "hi"):
        if key in arrays and (arrays[key].ndim != 1 or arrays[key].dtype.kind not in "iu"):
            found = f"{arrays[key].dtype} of shape {arrays[key].shape}"
            raise Refused(f"{path}: {key} must be a list of integers, it is {found}")
    ptr, idx, w = (arrays[key] for key in ("ptr", "idx", "w"))
    if len(ptr) < 2 or ptr[0] != 0 or ptr[-1] != len(idx):
        ends = f"{len(ptr)} numbers" + (f" from {ptr[0]} to {ptr[-1]}" if len(ptr) else "")
        raise Refused(f"{path}: ptr must go from 0 to the length of idx, {len(idx)}; it has {ends}")
    ptr = ptr.astype(np.int64)
    if (np.diff(ptr) < 0).any():
        raise Refused(f"{path}: ptr falls after neuron {int(np.argmax(np.diff(ptr) < 0))}")
    n = len(ptr) - 1
    if len(w) != n:
        raise Refused(f"{path}: w has {len(w)} rates, ptr {n} neurons")
    if n > np.iinfo(np.int32).max:
        raise Refused(f"{path}: has {n} neurons; {np.iinfo(np.int32).max} can be numbered")
    if (w < 0).any() or (w >= LARGEST_RATE).any():
        worst = int(np.argmax((w < 0) | (w >= LARGEST_RATE)))
        raise Refused(f"{path}: the rate of neuron {worst} is {w[worst]}; it must be 0 .. {LARGEST_RATE - 1}")
    _check_targets(path, n, ptr, idx)
    low, high = (arrays.get(key, np.array([end])).astype(np.int64) for key, end in (("lo", 0), ("hi", n)))
    if len(low) != len(high) or (low < 0).any() or (high > n).any() or (low > high).any():
        raise Refused(f"{path}: lo and hi must be the first neurons of the layers and those after the last, of {n} neurons")
    return Listed(ptr, idx.astype(np.int32), w.astype(np.int64), low, high, np.ones(len(low), np.int64))


def _check_targets(path: Path, n: int, ptr: IntArray, idx: Array) -> None:
    def source(position: int) -> int:
        return int(np.searchsorted(ptr, position, side="right")) - 1

    outside = (idx < 0) | (idx >= n)
    if outside.any():
        at = int(np.argmax(outside))
        raise Refused(f"{path}: neuron {source(at)} has the target {idx[at]}; there are 0 .. {n - 1}")
    falls = idx[1:] <= idx[:-1]
    begins = ptr[1:-1]
    falls[begins[(begins > 0) & (begins < len(idx))] - 1] = False
    if falls.any():
        at = int(np.argmax(falls)) + 1
        what = "twice" if idx[at] == idx[at - 1] else f"after {idx[at - 1]}"
        raise Refused(f"{path}: neuron {source(at)} has the target {idx[at]} {what}; targets must ascend, each once")


def fitting(network: Listed, name: str) -> None:
    """Refuse a network of which a neuron fits no core."""
    caps = CAPS[name]
    fan_in = np.bincount(network.target, minlength=network.size)
    for limit, what in ((caps.axons, "axons"), (caps.synapses, "synapses")):
        if (fan_in > limit).any():
            worst, more = int(np.argmax(fan_in)), int(np.count_nonzero(fan_in > limit)) - 1
            also = f"; {more} more neurons have too many" if more else ""
            raise Refused(f"neuron {worst} has {fan_in[worst]} sources, and a core of {name} {limit} {what}{also}")


def map_csr(
    path: Path, name: str, assignment: Path | None, effort: Effort | None, seed: int, jobs: int | None
) -> dict[str, Any]:  # fmt: skip
    """Map a network of a file, write the core of each of its neurons and return a row."""
    network = read(path)
    fitting(network, name)
    warm()
    level: Effort = effort or ("max" if network.size <= SMALL else "default")
    found = mapped(network, CAPS[name], level, seed, jobs)
    if assignment is not None:
        with assignment.open("wb") as file:
            np.save(file, found.core.astype(np.int32))
    return {**found.figures, "effort": level, "seed": seed, "caps": name, **structure(network)}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mapping", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--peers", choices=("all", "none"), default="all", help="whether others map the same networks")
    parser.add_argument("--rows", help=f"of {', '.join(ROWS)}, by commas; all without it")
    parser.add_argument("--csr", type=Path, metavar="NET.npz", help="map this network instead: ptr, idx, w")
    parser.add_argument("--caps", choices=CAPS, default="ideal-loihi", help="cores for --csr")
    parser.add_argument("--assignment", type=Path, metavar="OUT.npy", help="write the core of each neuron of --csr")
    parser.add_argument("--seed", type=int, default=0, help="of the mapping")
    parser.add_argument("--network-seed", type=int, help="of the networks of the table, for ones on which nothing was tuned")
    parser.add_argument("--effort", choices=get_args(Effort), help="the only one, instead of the rule above")
    parser.add_argument("--jobs", type=int, help="threads; the result does not depend on them")
    parser.add_argument("--scale", action="store_true", help="measure the growth with the network instead, and draw it")
    arguments = parser.parse_args()
    if arguments.assignment is not None and arguments.csr is None:
        parser.error("--assignment goes with --csr")
    names = tuple(ROWS) if arguments.rows is None else tuple(arguments.rows.split(","))
    if unknown := [name for name in names if name not in NETWORKS]:
        parser.error(f"there is no row {', '.join(unknown)}; there are {', '.join(ROWS)}")

    def say(line: str) -> None:
        if not arguments.json:
            print(line, flush=True)

    chosen: dict[str, Any] = {"seed": arguments.seed, "effort": arguments.effort, "jobs": arguments.jobs}
    if arguments.csr is not None:
        try:
            result = map_csr(arguments.csr, arguments.caps, arguments.assignment, **chosen)
        except (Refused, OSError) as error:
            print(f"benchmarks.mapping: {error}", file=sys.stderr)
            return 1
        if not arguments.json:
            print("\n".join(f"{key:<12} {value}" for key, value in result.items()))
    elif arguments.scale:
        result = mapping_scale.measure(say)
    else:
        result = measure(arguments.peers == "all", names=names, network_seed=arguments.network_seed, say=say, **chosen)
    if arguments.json:
        print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
