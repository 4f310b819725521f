"""784 x 400 synapses that learn by STDP: images of 100 ticks per minute on one core, checked against the reference.

``python -m benchmarks.learning --json`` prints one object. The network is that of Diehl & Cook 2015 without their homeostasis:
images as Bernoulli spikes, 400 leaky cells that inhibit one another, pair STDP onto them. Images are random blobs. The rate is
wall time of the fast engine on one thread, kernels compiled, encoding left out; the first images are run in the reference too
and must agree in every spike, potential and weight.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.simulator import FastSimulator, compile_kernels
from neurocomp.hardware import LAVA_UNCHECKED
from neurocomp.ir.network import Learning, Projection, frozen
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.models.patterns import Pattern
from neurocomp.passes.quantize_learning import integers_of
from neurocomp_reference.simulator import ReferenceSimulator

Array = NDArray[Any]

SIDE, CELLS, TICKS = 28, 400, 100
ASKED = 1000
"""Images per minute."""


def network(rule: str = "stdp") -> IntegerNetwork:
    """Return the network in the integers of Loihi."""
    generator = np.random.default_rng(1)
    values = {"du": 4095, "dv": 40, "vth": 2500, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0}
    cells = IntegerPopulation(
        "cells", (CELLS,), "compartment", {key: np.asarray(value, np.int64) for key, value in values.items()}, refractory=5
    )
    pixels = IntegerPopulation("pixels", (SIDE * SIDE,), "input", {})
    parameters: dict[str, float | str] = {
        "a_plus": 6.0, "a_minus": 4.0, "tau_plus": 0.02, "tau_minus": 0.02, "w_min": 0.0, "w_max": 255.0,
    }  # fmt: skip
    weights = generator.integers(0, 96, (CELLS, SIDE * SIDE)).astype(np.uint8)
    zero, one = np.asarray(0, np.int64), np.asarray(1, np.int64)
    q = Projection("learned", "pixels", "cells", Pattern("dense"), frozen(weights), learning=Learning(rule, parameters, seed=5))
    learning, _ = integers_of(q, 1.0, 1e-3, [])
    learned = IntegerProjection(
        "learned", "pixels", "cells", q.pattern, frozen(weights), 0, "excitatory", 8, 0, zero, learning=learning
    )
    inhibition = frozen((120 * (1 - np.eye(CELLS))).astype(np.uint8))
    lateral = IntegerProjection("lateral", "cells", "cells", Pattern("dense"), inhibition, 0, "inhibitory", 8, 2, one)
    return IntegerNetwork(
        "learning", 1e-3, TICKS, LAVA_UNCHECKED, {p.name: p for p in (pixels, cells)}, (learned, lateral)
    )  # fmt: skip


def images(count: int) -> Array:
    """Return spikes (images, ticks, pixels), int8, of random blobs that cover about a fifth of the image."""
    generator = np.random.default_rng(2)
    y, x = np.mgrid[:SIDE, :SIDE]
    result = np.empty((count, TICKS, SIDE * SIDE), np.int8)
    for image in range(count):
        centers = generator.uniform(6, SIDE - 6, (4, 2))
        spread = np.stack([np.exp(-((y - a) ** 2 + (x - b) ** 2) / 12) for a, b in centers]).max(axis=0)
        result[image] = generator.random((TICKS, SIDE * SIDE)) < 0.2 * spread.ravel()
    return result


def measured(count: int, checked: int) -> dict[str, Any]:
    """Run ``count`` images in the fast engine and the first ``checked`` in the reference too."""
    compile_kernels()
    integers, spikes, fast = network(), images(count), FastSimulator(jobs=1)
    first = fast.run(integers, {"pixels": spikes[:checked]})
    start = time.perf_counter()
    reference = ReferenceSimulator().run(integers, {"pixels": spikes[:checked]})
    of_reference = time.perf_counter() - start
    exact = all(np.array_equal(a[name], b[name]) for a, b in zip(*((t.spikes, t.v, t.weights) for t in (first, reference)),
                                                                strict=True) for name in a)  # fmt: skip
    start = time.perf_counter()
    trace = fast.run(integers, {"pixels": spikes}, record=["cells"], state=False)
    seconds = time.perf_counter() - start
    start_weights, end = integers.projections[0].weights, trace.weights["learned"][-1]
    return {
        "benchmark": "learning",
        "synapses": [SIDE * SIDE, CELLS],
        "ticks_per_image": TICKS,
        "images": count,
        "images_per_minute": round(60 * count / seconds, 1),
        "asked": ASKED,
        "threads": 1,
        "images_per_minute_of_the_reference": round(60 * checked / of_reference, 1),
        "input_spikes_per_image": round(float(np.count_nonzero(spikes)) / count, 1),
        "spikes_of_cells_per_image": round(float(np.count_nonzero(trace.spikes["cells"])) / count, 1),
        "weights_moved": int(np.count_nonzero(end != start_weights)),
        "images_checked": checked,
        "bit_exact": bool(exact),
    }


def measure(peers: bool) -> dict[str, Any]:
    """Return the figures; there are no peers beside it."""
    return measured(100, 2)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; 1 where the engines disagree or the rate is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--images", type=int, default=100, help="how many images are timed (default: 100)")
    parser.add_argument("--check", type=int, default=3, help="how many are compared with the reference (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args(arguments)
    found = measured(max(given.images, given.check, 1), max(given.check, 1))
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        for key, value in found.items():
            print(f"{key:36} {value}")
    return 0 if found["bit_exact"] and found["images_per_minute"] >= ASKED else 1


if __name__ == "__main__":
    sys.exit(main())
