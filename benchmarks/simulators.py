"""How fast the simulations of one compiled network are beside one another: the MNIST example, with Lava where it is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import neurocomp
from neurocomp.api import Compiled
from neurocomp.ir.network import Network

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = 20


def measure(peers: bool) -> dict[str, Any]:
    """Return samples per second of each engine on the same images, and the ratio to Lava, whose time includes its start."""
    network = neurocomp.load(ROOT / "examples" / "mnist_mlp" / "net.yaml")
    assert isinstance(network, Network)
    compiled = neurocomp.compile(network, target="loihi")
    assert isinstance(compiled, Compiled)
    engines = ["float", "reference", "chip"]
    lava = compiled.witnesses()["lava"]
    if peers and lava.unavailable() is None:
        engines.append("lava")
    result: dict[str, Any] = {}
    for engine in engines:
        begin = time.perf_counter()
        compiled.run(engine, count=SAMPLES, probe="all", state=True)
        result[f"{engine} (samples/s)"] = SAMPLES / (time.perf_counter() - begin)
    if "lava" in engines:
        for engine in ("reference", "chip"):
            result[f"{engine} / lava"] = result[f"{engine} (samples/s)"] / result["lava (samples/s)"]
    return result
