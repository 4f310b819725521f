"""How long a user waits: for ``--help``, and for the compilation of the MNIST example, warm."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REPEATS = 5


def measure(peers: bool) -> dict[str, Any]:
    """Return seconds (the best of `REPEATS`, which is what the machine can do) and ratios to a bare interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        artifact = f"{folder}/mnist_mlp.ncz"
        commands = {
            "interpreter": [sys.executable, "-c", "pass"],
            "import numpy": [sys.executable, "-c", "import numpy"],
            "help": [sys.executable, "-m", "neurocomp", "--help"],
            "targets": [sys.executable, "-m", "neurocomp", "targets"],
            "compile mnist_mlp": [
                sys.executable, "-m", "neurocomp", "compile", "examples/mnist_mlp/net.yaml",
                "--target", "loihi", "-o", artifact,
            ],
            "verify mnist_mlp, 20 samples, reference and chip": [
                sys.executable, "-m", "neurocomp", "verify", artifact, "--samples", "20", "--engines", "reference,chip",
            ],
        }  # fmt: skip
        seconds = {name: _best(command) for name, command in commands.items()}
    result: dict[str, Any] = {f"{name} (s)": value for name, value in seconds.items()}
    result["help / interpreter"] = seconds["help"] / seconds["interpreter"]
    result["compile / import numpy"] = seconds["compile mnist_mlp"] / seconds["import numpy"]
    return result


def _best(command: list[str]) -> float:
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - begin)
    return min(times)
