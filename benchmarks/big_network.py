"""How much memory checking and quantizing a network of a billion synapses takes: dense and convolutions of random int8 weights.

The network is written to a temporary folder; a child process loads it, verifies it, asks the backend what the target cannot do,
and quantizes it. The resident memory of that process, pages of mapped files included, is measured at its peak.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

DENSE_BLOCKS = 8
SYNAPSES = 1_000_000_000
KERNEL = 3
CHANNELS = 16
ROWS = 1 << 22
"""Weights written at a time."""
CHILD = """
import json, resource, sys, time
from pathlib import Path

import neurocomp
from neurocomp.ir.network import Network
from neurocomp.passes.legalize import legalize
from neurocomp.passes.quantize import quantize
from neurocomp.registry import backend, find_spec, simulator

begin = time.perf_counter()
marks = {}

def mark(name):
    marks[name] = (round(time.perf_counter() - begin, 2), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

mark("start")
network = neurocomp.load(Path(sys.argv[1]))
assert isinstance(network, Network)
mark("load")
network.verify()
mark("verify")
legal, _ = legalize(network)
spec = find_spec("loihi")
chip = backend(spec.backend)
violations = chip.check(legal, spec, chip.options())
mark("check")
quantized = quantize(legal, spec.number_format, simulator("reference")).network
mark("quantize")
synapses = sum(int(quantized.network.synapse_counts(q).sum()) for q in quantized.network.projections)
print(json.dumps({"marks": marks, "synapses": synapses, "violations": [v.message for v in violations]}))
"""


def write_network(folder: Path, synapses: int, seed: int = 0) -> int:
    """Write ``net.yaml`` and its weights, about 19 of 20 synapses dense, the others in convolutions; return the largest block.

    Returns:
        Bytes of the largest array of weights.
    """
    rng = np.random.default_rng(seed)
    per_block = int(synapses * 0.96) // DENSE_BLOCKS
    n = max(64, int(per_block**0.5) // 16 * 16)
    side = max(4, int((synapses * 0.04 / 2 / (CHANNELS * CHANNELS * KERNEL * KERNEL)) ** 0.5))
    lines = ["neurocomp: 1", "name: big", "timestep: 1 ms", "ticks: 16", "populations:"]
    neuron = "{model: lif, tau_mem: 20 ms, v_threshold: 2000.0, reset: zero}"
    lines += [f"  image: {{kind: input, shape: [{CHANNELS}, {side}, {side}]}}", f"  x0: {{kind: input, shape: [{n}]}}"]
    lines += [f"  c{i}: {{shape: [{CHANNELS}, {side}, {side}], neuron: {neuron}}}" for i in (1, 2)]
    lines += [f"  x{i + 1}: {{shape: [{n}], neuron: {neuron}}}" for i in range(DENSE_BLOCKS)]
    lines.append("projections:")
    conv = f"pattern: {{conv2d: {{padding: {KERNEL // 2}}}}}"
    for i, (a, b) in enumerate((("image", "c1"), ("c1", "c2"))):
        np.save(folder / f"k{i}.npy", rng.integers(-127, 128, (CHANNELS, CHANNELS, KERNEL, KERNEL), np.int8))
        lines.append(f"  - {{from: {a}, to: {b}, {conv}, weights: k{i}.npy}}")
    for i in range(DENSE_BLOCKS):
        # Every other block holds the whole range of int8, which a chip's mixed weights do not: those are rounded anew.
        low = -128 if i % 2 else -127
        path = folder / f"w{i}.npy"
        with path.open("wb") as stream:
            header = {"descr": "|i1", "fortran_order": False, "shape": (n, n)}
            np.lib.format.write_array_header_1_0(stream, header)
            for start in range(0, n * n, ROWS):
                rng.integers(low, 128, min(ROWS, n * n - start), np.int8).tofile(stream)
        lines.append(f"  - {{from: x{i}, to: x{i + 1}, pattern: dense, weights: w{i}.npy}}")
    (folder / "net.yaml").write_text("\n".join(lines) + "\n")
    return n * n


def run(synapses: int) -> dict[str, Any]:
    """Write a network of about so many synapses, check and quantize it in a child process, and return what it took."""
    with tempfile.TemporaryDirectory(prefix="neurocomp-big-") as name:
        folder = Path(name)
        largest = write_network(folder, synapses)
        environment = os.environ | {"TMPDIR": name}
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(folder / "net.yaml")],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    found = json.loads(done.stdout)
    seconds, peak = found["marks"]["quantize"]
    allowed = 1.5 * largest + 500e6
    return {
        "synapses": found["synapses"],
        "largest block (MB)": largest / 1e6,
        "peak memory (MB)": peak / 1e6,
        "peak after load, verify, check (MB)": " ".join(
            f"{found['marks'][m][1] / 1e6:.0f}" for m in ("load", "verify", "check")
        ),
        "allowed: 1.5 x largest block + 500 MB (MB)": allowed / 1e6,
        "share of what is allowed": peak / allowed,
        "time (s)": seconds,
        "violations": len(found["violations"]),
    }


def measure(peers: bool) -> dict[str, Any]:
    """Return peak memory and time for a billion synapses; there is no peer that quantizes such a network for a chip."""
    return run(SYNAPSES)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--synapses", type=float, default=SYNAPSES, help="about so many (default: 1e9)")
    for key, value in run(int(parser.parse_args().synapses)).items():
        print(f"{key:<44} {value:.4g}" if isinstance(value, float) else f"{key:<44} {value}")
