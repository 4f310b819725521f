"""examples/codes shows what its README says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from neurocomp.encoding import ENCODERS

FOLDER = Path(__file__).resolve().parents[2] / "examples/codes"


def test_the_picture_and_the_answers_are_those_of_the_readme(tmp_path: Path) -> None:
    path = tmp_path / "rasters.svg"
    made = subprocess.run([sys.executable, FOLDER / "rasters.py", path], capture_output=True, text=True, check=True)

    assert made.stdout
    assert made.stdout in (FOLDER / "README.md").read_text(encoding="utf-8")
    assert path.read_bytes() == (FOLDER / "rasters.svg").read_bytes()
    assert all(f">{name}</text>" in path.read_text(encoding="utf-8") for name in ENCODERS)
