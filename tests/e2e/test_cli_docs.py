"""Every command and every Python snippet of the pages about the command line works as written."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neurocomp.cli import COMMANDS

Cli = Callable[..., Any]
DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["cli.md", "integers.md", "ranc.md", "sanafe.md"])
def test_commands(cli: Cli, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from neurocomp_loihi.lava import LavaWitness

    # Lava takes half a minute to build; what it says is tested elsewhere.
    monkeypatch.setattr(LavaWitness, "unavailable", lambda self, lowered=None: "this test goes without it")
    shutil.copytree(Path(__file__).parents[1] / "golden" / "ranc" / "symmetric", "grid")
    Path("claims.yaml").write_text("claims: [{name: mine, snn_energy_j: 1.0e-6, ticks: 4}]\n")
    lines = [shlex.split(line) for block in blocks(page, "sh") for line in block.splitlines()]
    assert all(line[0] == "neurocomp" for line in lines)
    for line in lines:
        result = cli(*line[1:])
        assert (line, result.code, result.err if "--emit" not in line else "") == (line, 0, "")
    if page == "cli.md":
        assert {name for line in lines for name in (line[1], " ".join(line[1:3]))} >= set(COMMANDS)
        assert {line[1] for line in lines} <= set(COMMANDS)
    for snippet in blocks(page, "python"):
        exec(compile(snippet, page, "exec"), {})
