"""The main job, as ``make demo`` runs it: compile trained networks, prove the programs, measure accuracy, count and price."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (
    "compile examples/mnist_mlp/net.yaml --target loihi -o out/mnist_mlp.ncz",
    "verify out/mnist_mlp.ncz --samples 20",
    "verify out/mnist_mlp.ncz --samples 20 --engines reference,chip --inject weight:1",
    "evaluate out/mnist_mlp.ncz",
    "report out/mnist_mlp.ncz --samples 20",
    "compile examples/mnist_conv/net.yaml --target loihi -o out/mnist_conv.ncz",
    "verify out/mnist_conv.ncz --samples 5 --engines reference,chip",
)
"""The third must fail: it corrupts one weight of the program, and exit code 6 says that the proof noticed."""
EXPECTED = (0, 0, 6, 0, 0, 0, 0)


def main() -> int:
    """Run the commands one after the other; the first that does not end as expected ends the demo with its exit code."""
    (ROOT / "out").mkdir(exist_ok=True)
    begin = time.monotonic()
    for command, expected in zip(COMMANDS, EXPECTED, strict=True):
        print(f"\n$ neurocomp {command}", flush=True)
        code = subprocess.call([sys.executable, "-m", "neurocomp", *command.split()], cwd=ROOT, env=os.environ)
        if code != expected:
            print(f"demo: this ended with exit code {code}, not {expected}", file=sys.stderr)
            return code or 1
        if expected:
            print(f"(exit code {expected}: the corrupted program was caught, as it must be)")
    print(f"\ndemo: done in {time.monotonic() - begin:.0f} s; the programs are out/mnist_mlp.ncz and out/mnist_conv.ncz")
    return 0


if __name__ == "__main__":
    sys.exit(main())
