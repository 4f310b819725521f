"""The same input gives the same bytes: from any folder, hash seed, time zone and number of threads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mnist_mlp"
FILES = ("net.yaml", "weights.npz", "test.npz", "calibration.npz")


def compiled(folder: Path, **variables: str) -> bytes:
    """Copy the example to a folder, compile it there and return the artifact's bytes."""
    folder.mkdir(parents=True)
    for name in FILES:
        shutil.copy(EXAMPLE / name, folder / name)
    command = [sys.executable, "-m", "neurocomp", "compile", "net.yaml", "--target", "loihi", "-o", "net.ncz", "--quiet"]
    subprocess.run(command, cwd=folder, env={**os.environ, **variables}, check=True)
    return (folder / "net.ncz").read_bytes()


def test_same_bytes_everywhere(tmp_path: Path) -> None:
    """Folders, hash seeds, time zones and threads leave no trace."""
    first = compiled(tmp_path / "a", PYTHONHASHSEED="1", TZ="UTC", OPENBLAS_NUM_THREADS="1")
    second = compiled(tmp_path / "another place" / "b", PYTHONHASHSEED="271828", TZ="Asia/Tokyo", OPENBLAS_NUM_THREADS="2")
    assert first == second
    assert str(tmp_path).encode() not in first
