"""The command line in this process, on a small network in a folder of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocomp.cli import run
from neurocomp.engine.simulator import compile_kernels
from neurocomp.mapping import partition, placement

NET = """\
neurocomp: 1
name: small
timestep: 1 ms
ticks: 10
populations:
  a: {kind: input, shape: [2, 3]}
  b: {shape: [5], neuron: {model: lif, tau_mem: 10 ms, v_threshold: 1.0, reset: zero}}
  c: {shape: [3], neuron: {model: cuba_lif, tau_syn: 5 ms, tau_mem: 10 ms, v_threshold: 0.5, reset: zero}}
projections:
  - {from: a, to: b, weights: weights.npz#ab}
  - {from: b, to: b, weights: weights.npz#bb, delay: 2}
  - {from: b, to: c, weights: weights.npz#bc, delay: 1}
encode: {a: {scheme: bernoulli, gain: 0.6, seed: 3}}
decode: {c: {scheme: count}}
data: {inputs: {a: data.npz#images}, labels: data.npz#labels, scale: 1/255}
"""


@dataclass(frozen=True)
class Result:
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout."""
        document: dict[str, Any] = json.loads(self.out)
        return document


Cli = Callable[..., Result]


def write_network(folder: Path) -> None:
    """Write net.yaml with its arrays."""
    rng = np.random.Generator(np.random.Philox(5))
    weights = {"ab": (5, 6), "bb": (5, 5), "bc": (3, 5)}
    arrays = {name: rng.normal(0.2, 0.5, shape).astype(np.float32) for name, shape in weights.items()}
    np.savez(folder / "weights.npz", **arrays)  # type: ignore[arg-type]
    np.savez(
        folder / "data.npz",
        images=rng.integers(0, 256, (12, 2, 3), dtype=np.uint8),
        labels=rng.integers(0, 3, 12),
    )
    (folder / "net.yaml").write_text(NET)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the network and what it compiles to; the kernels are compiled, which says so once."""
    for compiles in (compile_kernels, partition.compile_kernels, placement.compile_kernels):
        compiles()
    folder = tmp_path_factory.mktemp("compiled")
    write_network(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["compile", "net.yaml", "--target", "loihi", "--quiet"]) == 0
    return folder


@pytest.fixture
def folder(compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a copy of the network and of net.ncz."""
    shutil.copytree(compiled, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command line in `folder`."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call
