"""SANA-FE on files: how long it simulates an exported network, without any trace.

``python -m benchmarks.peers.sanafe_time FOLDER TICKS`` prints one object.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import sanafe  # type: ignore[import-not-found, unused-ignore]


def main() -> None:
    """Load and run once."""
    folder, ticks = Path(sys.argv[1]), int(sys.argv[2])
    begin = time.perf_counter()
    architecture = sanafe.load_arch(folder / "arch.yaml")
    chip = sanafe.SpikingChip(architecture)
    chip.load(sanafe.load_net(folder / "net.yaml", architecture))
    loaded, busy = time.perf_counter(), time.process_time()
    result = chip.sim(ticks, timing_model="simple", processing_threads=1)
    ran, worked = time.perf_counter() - loaded, time.process_time() - busy
    report = {"load_seconds": loaded - begin, "seconds": ran, "processor_seconds": worked}
    print(json.dumps(report | {"energy": result["energy"]["total"], "sim_time": result["sim_time"]}))


if __name__ == "__main__":
    main()
