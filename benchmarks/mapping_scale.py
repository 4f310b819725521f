"""How time and memory of a mapping grow with an irregular network, each size in a process of its own; then one of layers.

``python -m benchmarks.mapping_scale NET.npz`` is such a process: it maps the network and prints one object. Its peak of memory
includes the network.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
FIGURE = ROOT / "docs" / "mapping-growth.svg"
SIDES = (100, 178, 316, 562, 1000)
"""Of the torus on which the neurons are."""
FAN_OUT, REACH, SEED = 110, (8.0, 4.0), 7
"""As lsm100k, with more synapses: some targets are drawn twice, and 100 shall be left."""
CAPS = "ideal-loihi"
TARGET = {"seconds": 90, "peak_mb": 6_000}
LIMIT = 900.0


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """Measure every size and draw the growth."""
    from benchmarks import mapping_structure
    from benchmarks.mapping_networks import liquid

    points = []
    for side in SIDES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.npz"
            network = liquid(side, side, FAN_OUT, REACH, SEED)
            np.savez(path, ptr=network.start, idx=network.target, w=network.rate)
            del network
            command = [sys.executable, "-m", "benchmarks.mapping_scale", str(path)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
            if done.returncode:
                raise RuntimeError(done.stderr.strip().splitlines()[-1])
            points.append(json.loads(done.stdout.splitlines()[-1]))
            say(json.dumps(points[-1]))
    draw(points, FIGURE)
    layers = mapping_structure.measure()
    say(json.dumps(layers))
    last = points[-1]
    return {
        "points": points, "target": TARGET, "met": all(last[key] <= value for key, value in TARGET.items()),
        "layers": layers,
    }  # fmt: skip


def peak_mb() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def child(path: Path) -> dict[str, Any]:
    """Map a network once."""
    from benchmarks.mapping import limits_of, timed, warm
    from benchmarks.mapping_count import CAPS as ALL
    from benchmarks.mapping_count import count
    from neurocomp.mapping.twins import partition_neurons

    warm()
    with np.load(path) as file:
        ptr, idx, w = (file[key] for key in ("ptr", "idx", "w"))
    loaded = peak_mb()
    found, seconds = timed(partition_neurons, ptr, idx, w, limits_of(ALL[CAPS]))
    figures = {"neurons": len(w), "synapses": len(idx), **seconds, "peak_mb": peak_mb(), "loaded_mb": loaded}
    use = count(ptr, idx, w, found.core).verify(ALL[CAPS])
    return figures | {"packets": use.packets / 1000, "cores": use.cores, "effort": "default", "caps": CAPS}


def draw(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw seconds and memory over synapses, on logarithmic axes; the same points give the same bytes."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams |= {"svg.hashsalt": "neurocomp", "svg.fonttype": "none", "font.size": 9}
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
    synapses = [p["synapses"] for p in points]
    left.loglog(synapses, [p["seconds"] for p in points], "o-", color="#0072b2", linewidth=1, label="by the clock")
    left.loglog(synapses, [p["cpu_seconds"] for p in points], "s-", color="#d55e00", linewidth=1, label="of all processors")
    left.set_ylabel("seconds")
    left.legend(frameon=False)
    right.loglog(synapses, [p["peak_mb"] for p in points], "o-", color="#0072b2", linewidth=1, label="peak of the process")
    right.loglog(synapses, [p["loaded_mb"] for p in points], "s-", color="#666666", linewidth=1, label="with the network alone")
    right.set_ylabel("MB")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.set_xlabel("synapses")
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"Irregular networks of {points[0]['neurons']:,} to {points[-1]['neurons']:,} neurons, Loihi's caps", fontsize=9
    )
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    print(json.dumps(child(Path(sys.argv[1]))))
