"""``python -m examples.families``: every family of the literature on every chip, measured now."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from examples.families import families, measure


def main() -> int:
    """Measure and print; 1 where a family fails in another way than by being refused."""
    parser = argparse.ArgumentParser(prog="python -m examples.families", description=__doc__)
    parser.add_argument("keys", metavar="KEY", nargs="*", help="families; default: all")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="leave the artifacts in DIR/KEY/TARGET.ncz")
    parser.add_argument("--train", action="store_true", help="make the shipped weights anew, and measure nothing")
    arguments = parser.parse_args()
    known = families()
    unknown = [key for key in arguments.keys if key not in known]
    if unknown:
        parser.error(f"there is no family {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = {key: known[key] for key in arguments.keys or known}
    if arguments.train:
        for key, family in chosen.items():
            if family.train is not None:
                print(f"{key}: training", file=sys.stderr)
                family.train()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        result: dict[str, Any] = {}
        for key, family in chosen.items():
            result[key] = measure(key, family, arguments.keep or Path(folder))
            if not arguments.json:
                _print(key, result[key])
    if arguments.json:
        print(json.dumps(result, indent=1))
    return 0


def _print(key: str, entry: dict[str, Any], indent: str = "") -> None:
    for target, found in entry.items():
        if target == "parts":
            for part, own in found.items():
                _print(f"{key}/{part}", own, "  ")
            continue
        accuracy = [
            f"{value:.4f}" if value is not None else "-" for value in (found["accuracy_float"], found["accuracy_fixed"])
        ]
        distance = found["float_distance"]
        what = found["code"] or ("" if distance is None else f"{100 * distance:.2f} % of spikes differ from real numbers")
        print(f"{indent}{key:<22} {target:<10} {found['lowering']:<8} {accuracy[0]:>7} {accuracy[1]:>7}  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
