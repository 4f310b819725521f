"""What `benchmarks.engine` measures in a process of its own: the start, and a billion synapses."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

BEGIN = time.perf_counter()


def start() -> dict[str, float]:
    """Run the smallest network: a first process compiles every kernel, later ones load them."""
    from neurocomp.engine.simulator import FastSimulator, compile_kernels
    from neurocomp.engine.warm import smallest_network

    begin = time.perf_counter()
    compile_kernels()
    seconds = time.perf_counter() - begin
    import numpy as np

    FastSimulator(jobs=1).run(smallest_network(), {"x": np.ones((1, 2, 2), np.int8)})
    return {"seconds": seconds}


def billion() -> dict[str, float]:
    """Run 100 ticks of a million neurons with a billion synapses, dense and convolution; weights lie in a mapped file."""
    import numpy as np

    from benchmarks.engine import GIANT_CHANNELS, GIANT_DENSE, GIANT_SIDE, input_of, network_of, population, projection
    from neurocomp.engine.simulator import FastSimulator
    from neurocomp.ir.quantized import IntegerProjection
    from neurocomp.models.patterns import Pattern

    rng = np.random.default_rng(4)
    shape, ticks = (GIANT_CHANNELS, GIANT_SIDE, GIANT_SIDE), 100
    with tempfile.TemporaryDirectory(prefix="neurocomp-billion-") as folder:
        path = Path(folder) / "weights.npy"
        with path.open("wb") as stream:
            header = {"descr": "|i1", "fortran_order": False, "shape": (GIANT_DENSE, GIANT_DENSE)}
            np.lib.format.write_array_header_1_0(stream, header)
            for _ in range(0, GIANT_DENSE, 500):
                rng.integers(-127, 128, 500 * GIANT_DENSE, np.int8).tofile(stream)
        weights = np.load(path, mmap_mode="r")
        kernel = rng.integers(-127, 128, (GIANT_CHANNELS, GIANT_CHANNELS, 3, 3), np.int8)
        options = {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": (1,)}
        one = np.ones((), np.int64)
        parts = [
            input_of("image", shape), population("maps", shape, 1100, 128),
            input_of("vector", (GIANT_DENSE,)), population("units", (GIANT_DENSE,), 4000, 128),
        ]  # fmt: skip
        network = network_of("billion", parts, [
            projection("image", "maps", Pattern("conv2d", {}, options), kernel, 1),
            IntegerProjection("dense", "vector", "units", Pattern("dense"), weights, 0, "mixed", 8, 0, one),
        ], ticks)  # fmt: skip
        stimulus = {p.name: rng.random((1, ticks, p.size), np.float32) < 0.01 for p in parts if p.is_input}
        synapses = sum(int(network.synapse_counts(q).sum()) for q in network.projections)
        engine = FastSimulator(jobs=1)
        begin = time.perf_counter()
        trace = engine.run(network, stimulus, record=["units"], state=False)
        first = time.perf_counter() - begin
        begin = time.perf_counter()
        engine.run(network, stimulus, record=["units"], state=False)
        again = time.perf_counter() - begin
    return {
        "neurons": sum(p.size for p in parts),
        "synapses": synapses,
        "seconds": first,
        "seconds_prepared": again,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "rate_of_units": float(trace.spikes["units"].mean()),
    }


if __name__ == "__main__":
    print(json.dumps({"start": start, "billion": billion}[sys.argv[1]]()))
