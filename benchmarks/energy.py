"""Energy and latency beside SANA-FE's on the same mapped networks, and beside what was published of chips.

``python -m benchmarks.energy [--json] [--peers none]`` prints one object:

- ``sanafe``: the largest relative differences of energy and time over all networks and mappings, and how many times as long
  SANA-FE takes for a big network. `benchmarks.energy_sanafe` says what exactly is compared.
- ``published``: measurements of chips with our estimates and their intervals, of `benchmarks.energy_published`.

It ends with 1 where SANA-FE's totals differ by more than rounding, or where the interval of a spec's default costs does not
cover a measurement.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks import energy_published, energy_sanafe

MOST_ENERGY, MOST_TIME = 1e-9, 1e-6
OTHER_COSTS = ("davies2018", "sanafe")
"""Cost sources of Loihi beside the default: single numbers, whose misfit is printed and asks for nothing."""


def measure(with_peers: bool) -> dict[str, Any]:
    """Return both parts."""
    return {"sanafe": energy_sanafe.measure(with_peers), "published": dict(energy_published.measure())}


def holds(result: Mapping[str, Any]) -> bool:
    """Return whether what was measured is as it must be."""
    sanafe, published = result["sanafe"], result["published"].values()
    equal = (sanafe["max_rel_energy"] or 0) <= MOST_ENERGY and (sanafe["max_rel_time"] or 0) <= MOST_TIME
    return equal and all(row["covers"] for row in published if row["costs"] not in OTHER_COSTS)


def print_tables(result: Mapping[str, Any]) -> None:
    """Print both parts."""
    print("sanafe:")
    for line in energy_sanafe.rows(result["sanafe"]):
        print(line)
    print("published:")
    print(f"  {'':<28} {'measured':>9} {'estimated':>9} {'low':>9} {'high':>9} {'misfit':>9}")
    for name, row in result["published"].items():
        numbers = " ".join(f"{row[key]:9.4g}" for key in ("measured", "estimated", "low", "high"))
        covers = "" if row["covers"] else "  does not cover the measurement"
        print(f"  {name:<28} {numbers} {row['misfit_percent']:+7.1f} %  {row['unit']}{covers}")
        print(f"  {'':<28} {row['note']}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.energy", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--peers", choices=("all", "none"), default="all", help="whether pip's sanafe runs the networks")
    arguments = parser.parse_args()
    result = measure(arguments.peers == "all")
    if arguments.json:
        print(json.dumps(result, indent=1))
    else:
        print_tables(result)
    return int(not holds(result))


if __name__ == "__main__":
    sys.exit(main())
