"""The table of docs/families.md: what became of each network on each target, with accuracies where it answers something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from examples.families import TARGETS, Family

PAGE = Path(__file__).parents[2] / "docs" / "families.md"
BEGIN, END = "<!-- python -m examples.families --write -->", "<!-- end -->"
HEAD = f"| family | {' | '.join(f'`{target}`' for target in TARGETS)} | real numbers |\n|---|{'---|' * (len(TARGETS) + 1)}"


def rows(key: str, family: Family, result: Mapping[str, Any]) -> list[str]:
    """Return the rows of a family, one per network.

    Args:
        key: Of the family.
        family: The family; its table names parts in the order in which it has them.
        result: What `examples.families.measure` returned.
    """
    return [_row(f"`{key}`" if not name else f"`{key}`, {name}", _of(result, name)) for name in family.parts]


def _of(result: Mapping[str, Any], part: str) -> Mapping[str, Mapping[str, Any]]:
    entries: Mapping[str, Mapping[str, Any]] = result["parts"][part] if part else result
    return {target: entries[target] for target in TARGETS if target in entries}


def _row(name: str, entries: Mapping[str, Mapping[str, Any]]) -> str:
    real = {entry["accuracy_float"] for entry in entries.values()}
    cells = [_cell(entries[target]) if target in entries else "" for target in TARGETS]
    return f"| {name} | {' | '.join(cells)} | {', '.join(_percent(value) for value in sorted(real - {None}))} |"


def _cell(entry: Mapping[str, Any]) -> str:
    if entry["lowering"] == "refused":
        return f"refused, {entry['code']}"
    extension = ", not on this chip" if entry["not_on_this_chip"] else ""
    accuracy, distance = entry["accuracy_fixed"], entry["float_distance"]
    measured = (
        f", {_percent(accuracy)}" if accuracy is not None else "" if distance is None else f", {_percent(distance)} differ"
    )
    return f"{entry['lowering']}{extension}{measured}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def documented(key: str) -> list[str]:
    """Return the rows of a family in docs/families.md."""
    return [line for line in _lines() if line.startswith((f"| `{key}` |", f"| `{key}`,"))]


def keys() -> list[str]:
    """Return the families that docs/families.md has rows of, in its order."""
    return list(dict.fromkeys(line.split("`")[1] for line in _lines() if line.startswith("| `")))


def _lines() -> Iterator[str]:
    text = PAGE.read_text(encoding="utf-8")
    return iter(text.split(BEGIN, 1)[1].split(END, 1)[0].splitlines()[3:])


def write(found: Mapping[str, list[str]]) -> None:
    """Put rows into docs/families.md, in place of those that the same families had."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    table = {key: documented(key) for key in keys()} | dict(found)
    lines = [line for key in sorted(table) for line in table[key]]
    PAGE.write_text("\n".join([before + BEGIN, HEAD, *lines, END + after]), encoding="utf-8")
