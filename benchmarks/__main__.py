"""Run benchmarks by name, all without one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from benchmarks import (
    big_network,
    command_line,
    energy,
    engine,
    learning,
    mapping,
    quantization,
    sanafe_export,
    simulators,
    truenorth,
)

BENCHMARKS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "big_network": big_network.measure,
    "command_line": command_line.measure,
    "energy": energy.measure,
    "engine": engine.measure,
    "learning": learning.measure,
    "mapping": mapping.measure,
    "quantization": quantization.measure,
    "sanafe_export": sanafe_export.measure,
    "simulators": simulators.measure,
    "truenorth": truenorth.measure,
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all without one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--peers", choices=("all", "none"), default="all", help="whether others are measured beside us")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    results = {}
    for name in arguments.names or BENCHMARKS:
        results[name] = BENCHMARKS[name](arguments.peers == "all")
        if not arguments.json:
            print(f"{name}:")
            for key, value in engine.flat(results[name]).items():
                print(f"  {key:<44} {value:.4g}" if isinstance(value, float) else f"  {key:<44} {value}")
    if arguments.json:
        print(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
