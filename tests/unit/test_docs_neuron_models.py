"""docs/neuron-models.md: its code runs, and its list is that of the registered models."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neurocomp
from neurocomp.api import Compiled
from neurocomp.models.neurons import NEURON_MODELS, program_of

PAGE = (Path(__file__).resolve().parents[2] / "docs/neuron-models.md").read_text(encoding="utf-8")
NETWORK = """
neurocomp: 1
name: tired
timestep: 1 ms
ticks: 40
populations:
  input: {kind: input, shape: [6]}
  cells: {shape: [4], neuron: {model: tired_lif, tau_mem: 20 ms, tau_rest: 10 ms}}
projections:
  - {from: input, to: cells, pattern: dense, weights: w.npz#w}
encode: {input: {scheme: bernoulli, seed: 1, gain: 0.5}}
data: {inputs: {input: w.npz#x}}
"""


def test_a_model_of_one_s_own_runs_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(3)
    np.savez(tmp_path / "w.npz", w=rng.normal(0.3, 0.3, (4, 6)), x=rng.random((3, 6)))
    (tmp_path / "tired.yaml").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    model, use = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len(model.splitlines()) < 60
    exec(compile(model, "docs/neuron-models.md", "exec"), {})
    exec(compile(use, "docs/neuron-models.md", "exec"), {"neurocomp": neurocomp})
    assert capsys.readouterr().out.splitlines() == [
        "reference True ('reference', 'fast') shared",
        "loihi2 True ('reference', 'fast', 'chip') shared",
    ]
    made = neurocomp.compile("tired.yaml", target="reference")
    assert isinstance(made, Compiled)
    quantized = made.artifact.quantized
    assert quantized is not None
    kinds = {v.register: v.kind for v in quantized.verdicts if v.population == "cells"}
    assert kinds == {"accumulator": "proved always", "v": "observed", "u": "proved always"}
    arrays = made.run("fast", probe="all", state=True).arrays
    assert arrays["spikes/cells"].any()
    assert np.abs(arrays["u/cells"]).max() <= next(
        v.bound for v in quantized.verdicts if (v.population, v.register) == ("cells", "u")
    )


@pytest.mark.slow
def test_a_package_with_a_model_is_found_by_the_command_line(tmp_path: Path) -> None:
    """As the page says it: the model in a package, its entry point, and no line of code beside it."""
    model, _ = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    entry = re.findall(r"```toml\n(.*?)```", PAGE, re.S)[0]
    name, place = re.findall(r'^(\w+) = "(.*)"$', entry, re.M)[0]
    assert '[project.entry-points."neurocomp.models"]' in entry
    package, info = tmp_path / place.split(":")[0], tmp_path / "theirs-0.1.dist-info"
    for folder in (package, info):
        folder.mkdir()
    (package / "__init__.py").write_text(model)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[neurocomp.models]\n{name} = {place}\n")
    np.savez(tmp_path / "w.npz", w=np.full((4, 6), 0.3), x=np.full((3, 6), 0.5))
    (tmp_path / "tired.yaml").write_text(NETWORK)
    path = os.pathsep.join([str(tmp_path), *sys.path])

    def run(*words: str, path: str = path, folder: Path = tmp_path) -> tuple[int, str]:
        command = [sys.executable, "-m", "neurocomp", *words]
        done = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    assert run("check", "tired.yaml", "--target", "loihi2", "--quiet") == (0, "")
    assert run("compile", "tired.yaml", "--target", "loihi2", "-o", "t.ncz", "--quiet")[0] == 0
    code, text = run("verify", "t.ncz")
    assert code == 0, text
    assert re.search(r"^cells +shared +exact$", text, re.M)
    code, text = run("check", "tired.yaml", "--target", "loihi")
    assert code == 4
    assert "NC0318" in text
    # `python -m` finds what lies in the folder where it runs.
    code, text = run("verify", str(tmp_path / "t.ncz"), path=os.pathsep.join(sys.path), folder=info)
    assert code == 3
    assert "there is no neuron model 'tired_lif'" in text


def test_every_registered_model_is_listed() -> None:
    rows = "".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    own = {"tired_lif", "rising", "theirs", "broken", "broken_words", "izhikevich_accommodating"}  # of tests and examples
    assert {name for name in NEURON_MODELS if f"`{name}`" not in rows} <= own
    assert program_of("izhikevich").name == "izhikevich"
