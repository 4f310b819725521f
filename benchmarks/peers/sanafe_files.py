"""SANA-FE on files: what it makes of an exported network, and what it counts while it runs it.

``python -m benchmarks.peers.sanafe_files FOLDER TICKS [TIMING]`` prints one object; the timing is detailed unless it is said.
With one, the potentials stand in ``FOLDER/potentials.npz``, an array (ticks, neurons) for each population. Cores are named
"tile.core".
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import sanafe  # type: ignore[import-not-found, unused-ignore]

HOST = "host"


def places(network: Any) -> dict[str, int]:
    """Return the neurons of each core: as SANA-FE saves the network again, since it tells it nowhere else."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "again.yaml"
        network.save(path)
        found = Counter(re.findall(r"^\s+core: (\d+\.\d+)$", path.read_text(), re.MULTILINE))
    return dict(found)


def main() -> None:
    """Load, run and count."""
    folder, ticks, timing = Path(sys.argv[1]), int(sys.argv[2]), [*sys.argv[3:], None][0]
    begin = time.perf_counter()
    architecture = sanafe.load_arch(folder / "arch.yaml")
    network = sanafe.load_net(folder / "net.yaml", architecture)
    chip = sanafe.SpikingChip(architecture)
    neurons = {name: list(group.neurons) for name, group in network.groups.items()}
    for neuron in (neuron for group in neurons.values() for neuron in group if timing):
        neuron.set_attributes(log_potential=True)
    chip.load(network)
    loaded = time.perf_counter()
    traces = {"spike_trace": True, "message_trace": True, "perf_trace": True, "potential_trace": bool(timing) or None}
    result = chip.sim(ticks, timing_model=timing or "detailed", **traces)
    ran = time.perf_counter()
    if timing:
        # A list for each tick: groups by their names, neurons by their numbers.
        every, names = np.array(result["potential_trace"], np.float64), sorted(neurons)
        ends = np.cumsum([len(neurons[name]) for name in names])
        np.savez(folder / "potentials.npz", **dict(zip(names, np.split(every, ends[:-1], axis=1), strict=True)))
    host = next((tile.id for tile in architecture.tiles if tile.name.partition("[")[0] == HOST), None)
    spikes: dict[str, list[tuple[int, int]]] = {name: [] for name in network.groups}
    for tick, fired in enumerate(result["spike_trace"]):
        for neuron in fired:
            spikes[neuron.group_name].append((tick, neuron.neuron_offset))
    packets: Counter[str] = Counter()
    counts = dict.fromkeys(("packets", "host_packets", "hops_x", "hops_y", "host_hops_x", "host_hops_y", "synaptic_events"), 0)
    for message in (m for sent in result["message_trace"] for m in sent if not m["placeholder"]):
        who = "host_" if message["src_tile_id"] == host else ""
        counts[f"{who}packets"] += 1
        counts[f"{who}hops_x"] += abs(message["src_x"] - message["dest_x"])
        counts[f"{who}hops_y"] += abs(message["src_y"] - message["dest_y"])
        counts["synaptic_events"] += message["spikes"]
        if not who:
            packets[" -> ".join(f"{message[f'{end}_tile_id']}.{message[f'{end}_core_offset']}" for end in ("src", "dest"))] += 1
    report = {
        "version": importlib.metadata.version("sanafe"),
        "load_seconds": loaded - begin,
        "seconds": ran - loaded,
        "neurons": {name: len(group) for name, group in neurons.items()},
        "neurons_per_core": {core: count for core, count in places(network).items() if core != f"{host}.0"},
        "spikes": spikes,
        "updated": sum(result["perf_trace"]["updated"]),
        "updated_in_ticks": result["perf_trace"]["updated"],
        "seconds_of_ticks": result["perf_trace"]["sim_time"],
        "packets_between": packets,
        "counts": counts,
        "energy": result["energy"],
        "sim_time": result["sim_time"],
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
