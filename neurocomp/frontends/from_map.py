"""Pins of a mapping, from a file of the user; docs/mapping.md has the format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurocomp.backend import Pin
from neurocomp.errors import Diagnostic, NetworkError, did_you_mean
from neurocomp.frontends.reader import described
from neurocomp.ir.network import Network
from neurocomp.located import LocatedYaml, parse
from neurocomp.located import Path as Place

SCHEMA = 1
KEYS = ("population", "neurons", "chip", "core")


def read_pins(path: Path, network: Network) -> tuple[Pin, ...]:
    """Read pins.

    Raises:
        NetworkError: The file cannot be read (NC0101), is no such file (NC0102, NC0104), or says what cannot be: a population
            that does not exist or is an input (NC0201), neurons beyond it (NC0209), a neuron twice (NC0206).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise NetworkError(Diagnostic("NC0101", f"--mapping: cannot read '{path}': {reason}")) from None
    return _Pins(parse(text, path.name), network).read()


class _Pins:
    """A file of pins that is being read; all problems come together."""

    def __init__(self, document: LocatedYaml, network: Network) -> None:
        self.document, self.network = document, network
        self.problems: list[Diagnostic] = []
        self.pinned: dict[str, Any] = {}
        self.unknown: set[str] = set()

    def bad(self, code: str, place: Place, message: str, hint: str | None = None) -> None:
        self.problems.append(Diagnostic(code, message, self.document.at(place), hint=hint))

    def read(self) -> tuple[Pin, ...]:
        value = self.document.value
        entries = value.get("pins") if isinstance(value, dict) else None
        if not isinstance(value, dict) or value.get("neurocomp_mapping") != SCHEMA or not isinstance(entries, list):
            hint = (
                f'write {{"neurocomp_mapping": {SCHEMA}, "pins": [{{"population": "hidden", "neurons": [0, 64], "core": 0}}]}}'
            )
            self.bad("NC0104", (), "this is no mapping: it lacks 'neurocomp_mapping' or its list of 'pins'", hint)
            raise NetworkError(self.problems)
        for key in value:
            if key not in ("neurocomp_mapping", "pins"):
                self.bad("NC0104", (key,), f"'{key}' is not understood", did_you_mean(key, ["pins"]))
        pins = [self._pin(("pins", index), entry) for index, entry in enumerate(entries)]
        if self.problems:
            raise NetworkError(self.problems)
        return tuple(pin for pin in pins if pin is not None)

    def _pin(self, place: Place, entry: Any) -> Pin | None:
        if not isinstance(entry, dict):
            self.bad("NC0104", place, f"a pin must be a mapping, not {described(entry)}")
            return None
        before = len(self.problems)
        for key in entry:
            if key not in KEYS:
                self.bad("NC0104", (*place, key), f"a pin has no '{key}'", did_you_mean(key, KEYS))
        name = entry.get("population")
        known = [p.name for p in self.network.populations.values() if not p.is_input]
        if name not in known and str(name) in self.unknown:
            return None  # said once
        if name not in known:
            self.unknown.add(str(name))
            hint = did_you_mean(str(name), known) or "inputs are on the host, and only populations with neurons on cores"
            self.bad("NC0201", (*place, "population"), f"there is no population '{name}' to pin", hint)
        chip, core = (self._number(place, entry, key) for key in ("chip", "core"))
        if len(self.problems) > before or chip is None or core is None:
            return None
        size = self.network.populations[str(name)].size
        first, stop = self._range((*place, "neurons"), entry.get("neurons", [0, size]), str(name), size)
        if len(self.problems) > before:
            return None
        pinned = self.pinned.setdefault(str(name), np.zeros(size, np.bool_))
        twice = np.flatnonzero(pinned[first:stop])
        if len(twice):
            self.bad("NC0206", place, f"neuron '{name}[{first + int(twice[0])}]' is pinned twice", "pin it once")
        pinned[first:stop] = True
        return Pin(str(name), first, stop, chip, core, self.document.at(place))

    def _number(self, place: Place, entry: dict[str, Any], key: str) -> int | None:
        if key not in entry and key == "chip":
            return 0
        value = entry.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            what = "is missing" if key not in entry else f"must be a whole number from 0 on, not {described(value)}"
            self.bad("NC0104", (*place, key), f"the {key} of a pin {what}")
            return None
        return value

    def _range(self, place: Place, value: Any, name: str, size: int) -> tuple[int, int]:
        numbers = isinstance(value, list) and len(value) == 2 and all(type(x) is int for x in value)
        if not numbers:
            self.bad("NC0104", place, f"neurons must be [first, last + 1], not {described(value)}")
            return 0, 0
        first, stop = value
        if not 0 <= first < stop <= size:
            self.bad("NC0209", place, f"'{name}' has neurons 0 to {size - 1}; this range is [{first}, {stop}]")
        return first, stop


def pins_text(pins: Sequence[Pin]) -> str:
    """Return a file of pins, a pin a line."""
    lines = [
        json.dumps({"population": p.population, "neurons": [p.first, p.stop], "chip": p.chip, "core": p.core}) for p in pins
    ]
    return f'{{"neurocomp_mapping": {SCHEMA}, "pins": [\n  ' + ",\n  ".join(lines) + "\n]}\n"
