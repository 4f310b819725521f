"""``python -m examples.families``: every family of the literature on every chip, measured now."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from examples.families import families, table
from examples.families.processes import in_processes


def main() -> int:
    """Measure and print; 1 where a family fails in another way than by being refused."""
    parser = argparse.ArgumentParser(prog="python -m examples.families", description=__doc__)
    parser.add_argument("keys", metavar="KEY", nargs="*", help="families; default: all")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="leave the artifacts in DIR/KEY/TARGET.ncz")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="families at a time; default: one per processor")
    parser.add_argument("--write", action="store_true", help="put what was measured into the table of docs/families.md")
    parser.add_argument("--train", action="store_true", help="make the shipped weights anew, and measure nothing")
    arguments = parser.parse_args()
    known = families()
    unknown = [key for key in arguments.keys if key not in known]
    if unknown:
        parser.error(f"there is no family {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = arguments.keys or list(known)
    if arguments.train:
        for key in chosen:
            if (train := known[key].train) is not None:
                print(f"{key}: training", file=sys.stderr)
                train()
        return 0
    result: dict[str, Any] = {}
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for key, found, seconds in in_processes(chosen, arguments.keep or Path(folder), max(arguments.jobs, 1)):
            if isinstance(found, str):
                failed = True
                print(f"{key}: {found}", file=sys.stderr)
                continue
            result[key] = found
            print(f"{key}: {seconds:.0f} s", file=sys.stderr, flush=True)
            if not arguments.json:
                _print(key, found)
    if arguments.json:
        print(json.dumps(result, indent=1))
    if arguments.write:
        table.write({key: table.rows(key, known[key], found) for key, found in result.items()})
    return int(failed)


def _print(key: str, entry: dict[str, Any]) -> None:
    for target, found in entry.items():
        if target == "parts":
            for part, own in found.items():
                _print(f"  {key}/{part}", own)
            continue
        accuracy = [
            f"{value:.4f}" if value is not None else "-" for value in (found["accuracy_float"], found["accuracy_fixed"])
        ]
        distance = found["float_distance"]
        what = found["code"] or ("" if distance is None else f"{100 * distance:.2f} % of spikes differ from real numbers")
        print(f"{key:<24} {target:<10} {found['lowering']:<8} {accuracy[0]:>7} {accuracy[1]:>7}  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
