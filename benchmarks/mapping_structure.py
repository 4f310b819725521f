"""How long mapping a million neurons with a billion synapses of dense and convolutional layers takes, and how much memory.

The network is written to a temporary folder; a child process loads, quantizes and lowers it, and maps it. The resident memory
of that process is measured while it maps, without the pages of mapped files of weights.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SIDE, DENSE, WIDTH = 144, 84, 3072
"""Of the image; dense layers; neurons of each."""
CONVOLUTIONS = ((16, 1), (16, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (32, 2))
"""Channels and stride of each layer of 3 x 3."""
TARGET = {"seconds": 10, "peak_mb": 1_000}


def write_network(folder: Path, side: int = SIDE, dense: int = DENSE, width: int = WIDTH, seed: int = 0) -> None:
    """Write ``net.yaml`` and its weights."""
    rng = np.random.default_rng(seed)
    neuron = "{model: lif, tau_mem: 20 ms, v_threshold: 2000.0, reset: zero}"
    populations = [f"  image: {{kind: input, shape: [3, {side}, {side}]}}"]
    projections = []
    before, shape = "image", (3, side, side)
    for i, (channels, stride) in enumerate(CONVOLUTIONS, 1):
        np.save(folder / f"c{i}.npy", rng.integers(-127, 128, (channels, shape[0], 3, 3), np.int8))
        shape = (channels, (shape[1] + stride - 1) // stride, (shape[2] + stride - 1) // stride)
        populations.append(f"  c{i}: {{shape: {list(shape)}, neuron: {neuron}}}")
        pattern = f"pattern: {{conv2d: {{padding: 1, stride: {stride}}}}}"
        projections.append(f"  - {{from: {before}, to: c{i}, {pattern}, weights: c{i}.npy}}")
        before = f"c{i}"
    n = int(np.prod(shape))
    for i in range(1, dense + 1):
        np.save(folder / f"d{i}.npy", rng.integers(-127, 128, (width, n), np.int8))
        populations.append(f"  d{i}: {{shape: [{width}], neuron: {neuron}}}")
        projections.append(f"  - {{from: {before}, to: d{i}, pattern: dense, weights: d{i}.npy}}")
        before, n = f"d{i}", width
    lines = ["neurocomp: 1", "name: structured", "timestep: 1 ms", "ticks: 16", "populations:", *populations]
    (folder / "net.yaml").write_text("\n".join([*lines, "projections:", *projections]) + "\n")


def child(path: Path) -> dict[str, Any]:
    """Compile a network as far as its mapping, and return what that took."""
    import neurocomp
    from neurocomp.backend import MappingPlan
    from neurocomp.ir.network import Network
    from neurocomp.mapping import partition, placement, pricing
    from neurocomp.passes.legalize import legalize
    from neurocomp.passes.quantize import quantize
    from neurocomp.pipeline import verified
    from neurocomp.registry import backend, find_spec, simulator

    for part in (partition, placement, pricing):
        part.compile_kernels()
    network = neurocomp.load(path)
    assert isinstance(network, Network)
    spec = find_spec("loihi")
    chip = backend(spec.backend)
    legal, _ = legalize(network)
    quantization = quantize(legal, spec.number_format, simulator("reference"))
    lowering = chip.lower(quantization.network, spec, chip.options(), quantization.calibration)
    lowered = verified(lowering.network, quantization.network, spec)
    of = lowered.network
    notes: list[str] = []
    before, begin = time.process_time(), time.perf_counter()
    with Watch() as watch:
        mapped, violations = chip.map(lowered, spec, MappingPlan(note=notes.append))
    seconds, cpu = time.perf_counter() - begin, time.process_time() - before
    assert mapped is not None, violations
    mapped.verify(spec)
    return {
        "neurons": sum(p.size for p in of.populations.values() if not p.is_input),
        "synapses": sum(int(of.synapse_counts(q).sum()) for q in of.projections),
        "cores": len(mapped.cores), "seconds": seconds, "cpu_seconds": cpu, "peak_mb": watch.peak, "notes": notes,
    }  # fmt: skip


class Watch:
    """Looks at the memory of this process, without the pages of mapped files, twenty times a second."""

    def __init__(self) -> None:
        self.peak = 0.0
        """MB"""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.05):
            lines = Path("/proc/self/status").read_text().splitlines()
            self.peak = max(self.peak, *(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")))


def measure() -> dict[str, Any]:
    """Write the network and map it in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="neurocomp-layers-") as name:
        folder = Path(name)
        write_network(folder)
        command = [sys.executable, "-m", "benchmarks.mapping_structure", str(folder / "net.yaml")]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | {"TMPDIR": name}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"target": TARGET, "met": all(found[key] <= value for key, value in TARGET.items())}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path, nargs="?", help="a net.yaml; without one the network is made")
    given = parser.parse_args().network
    print(json.dumps(measure() if given is None else child(given)))
