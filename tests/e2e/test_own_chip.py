"""A chip of the user's own: what docs/hwspecs.md shows is what happens."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

Cli = Callable[..., Any]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "hwspecs.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


def test_three_lines_make_another_chip(cli: Cli, folder: Path) -> None:
    """The documented change of loihi.yaml compiles the example; its commands run as written; reference and chip agree."""
    text = (ROOT / "hwspecs" / "neurocomp_hwspecs" / "loihi.yaml").read_text(encoding="utf-8")
    lines = block("diff").splitlines()
    pairs = [(old[1:], new[1:]) for old, new in zip(lines[::2], lines[1::2], strict=True)]
    assert len(pairs) == 3
    for old, new in pairs:
        assert text.count(f"{old}\n") == 1
        text = text.replace(f"{old}\n", f"{new}\n")
    (folder / "my_chip.yaml").write_text(text)
    (folder / "examples").symlink_to(ROOT / "examples")
    results = [cli(*shlex.split(line)[1:]) for line in block("sh").splitlines()]
    assert [(result.code, result.err) for result in results] == [(0, "")] * 3
    compiled, verified, evaluated = (" ".join(result.out.split()) for result in results)
    assert "cores 5 on 1 chip (16 per chip" in compiled
    assert "neurons 100 % ██████████ 64 of 64" in compiled
    assert "BIT-EXACT: " in verified
    fixed = re.search(r"fixed ([\d.]+) %", evaluated)
    assert fixed is not None
    assert float(fixed.group(1)) > 97


def test_the_page_names_every_field() -> None:
    from neurocomp.hardware import AXES, COSTS, CROSSBARS_HOLD, EXTENSIONS, FORMAT_FIELDS, LIMITS, TABLES_HOLD

    for name in (*AXES, *COSTS, *EXTENSIONS, *FORMAT_FIELDS, *LIMITS):
        assert f"`{name}`" in PAGE, name
    # Chips that store rows have their table first, those of crossbars theirs behind it.
    for table, bounds in ((0, TABLES_HOLD), (-1, CROSSBARS_HOLD)):
        for name, most in bounds.items():
            rows = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[1]]
            assert str(most) in rows[table].split("|")[2].replace(",", ""), name
