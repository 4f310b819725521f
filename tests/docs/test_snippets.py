"""Commands and code of the documentation do what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("README.md", "docs/cli.md", "docs/mapping.md", "docs/nir.md")


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Return (id, content) of every fenced block of a language."""
    for name in FILES:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        for number, match in enumerate(re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)):
            yield f"{name}:{number}", match.group(1)


def commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """Return each command of a console block with the lines that it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output.rstrip("\n").splitlines()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that looks like a checkout to the commands of the documentation."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "out").mkdir()
    return folder


@pytest.mark.parametrize("block", [pytest.param(content, id=name) for name, content in blocks("console")])
def test_console_blocks(block: str, checkout: Path) -> None:
    """Each command prints the lines shown; ``...`` stands for anything."""
    environment = {**os.environ, "COLUMNS": "100", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command, expected in commands(block):
        result = subprocess.run(command, shell=True, cwd=checkout, env=environment, capture_output=True, text=True)
        pattern = ".*".join(re.escape(part) for part in "\n".join(expected).split("..."))
        assert re.search(pattern, result.stdout + result.stderr, re.DOTALL), f"$ {command}\n{result.stdout}{result.stderr}"


@pytest.mark.parametrize("block", [pytest.param(content, id=name) for name, content in blocks("python")])
def test_python_blocks(block: str, checkout: Path) -> None:
    """Each block runs, and prints what its comments say."""
    result = subprocess.run([sys.executable, "-c", block], cwd=checkout, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == re.findall(r"# prints (\S+)", block)
