"""The wheel works in a clean environment, from another folder, without Lava."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = [sys.executable, "-m", "uv"]


@pytest.mark.slow
def test_wheel(tmp_path: Path) -> None:
    """Build it, install it, compile and verify the example; the engine lava says how to get it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(*command: str, expected: int = 0) -> str:
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert result.returncode == expected, result.stdout + result.stderr
        return result.stdout + result.stderr

    run(*UV, "build", "--quiet", "--wheel", "--out-dir", "dist", str(ROOT))
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert top == {"neurocomp", "neurocomp_reference", "neurocomp_loihi", "neurocomp_truenorth", "neurocomp_hwspecs"}

    run(*UV, "venv", "--quiet", "--python", sys.executable, "clean")
    run(*UV, "pip", "install", "--quiet", "--python", "clean/bin/python", str(wheel))
    example = tmp_path / "example"
    example.mkdir()
    for name in ("net.yaml", "weights.npz", "test.npz", "calibration.npz"):
        shutil.copy(ROOT / "examples" / "mnist_mlp" / name, example / name)
    neurocomp = "clean/bin/neurocomp"
    assert "loihi" in run(neurocomp, "targets")
    run(neurocomp, "compile", "example/net.yaml", "--target", "loihi", "-o", "net.ncz", "--quiet")
    report = json.loads(run(neurocomp, "verify", "net.ncz", "--samples", "5", "--json"))
    assert report["bit_exact"]
    assert report["engines"] == ["reference", "fast", "chip"]
    assert "neurocomp[lava]" in report["skipped"]["lava"]
    assert "neurocomp[lava]" in run(neurocomp, "run", "net.ncz", "--engine", "lava", expected=4)
    lossy = ("--approximate-leak", "--partial-sums")
    run(neurocomp, "compile", "example/net.yaml", "--target", "truenorth", *lossy, "-o", "tn.ncz", "--quiet")
    report = json.loads(run(neurocomp, "verify", "tn.ncz", "--samples", "2", "--json", "--engines", "reference,chip"))
    assert report["bit_exact"]
