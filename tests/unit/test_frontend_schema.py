"""The published schema, the reader and the documentation agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest
import yaml

from neurocomp.errors import NetworkError
from neurocomp.frontends import schema
from neurocomp.frontends.from_yaml import loads
from neurocomp.located import parse

ROOT = Path(__file__).parents[2]

ISSUE = """\
neurocomp: 1                                   # schema version
name: mnist-mlp
timestep: 1 ms
ticks: 32                                      # per sample
populations:
  pixels: {kind: input, shape: [784]}
  hidden: {shape: [256], neuron: {model: lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero}}
  digits: {shape: [10],  neuron: {model: lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero}}
projections:
  - {from: pixels, to: hidden, pattern: dense, weights: weights.npz#w1, bias: weights.npz#b1}
  - {from: hidden, to: digits, pattern: dense, weights: weights.npz#w2, delay: 0}
encode: {pixels: {scheme: bernoulli, gain: 0.5, seed: 7}}
decode: {digits: {scheme: count}}
data: {inputs: {pixels: test.npz#images}, labels: test.npz#labels, scale: 1/255}
"""


HEAD_OF_CONVOLUTIONS = """\
neurocomp: 1
name: convolutions
timestep: 1 ms
ticks: 8
populations:
  image: {kind: input, shape: [1, 28, 28]}
  edges: {shape: [8, 24, 24], neuron: {model: if}}
  corners: {shape: [16, 12, 12], neuron: {model: if}}
  digits: {shape: [10], neuron: {model: if}}
  means: {shape: [16, 1, 1], neuron: {model: i}}
"""


def valid(document: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema.schema()).is_valid(document))


def examples() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/net-yaml.md").read_text(), re.DOTALL)


def example_arrays(folder: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(
        folder / "weights.npz",
        w1=rng.normal(size=(256, 784)),
        b1=np.zeros(256),
        s=rng.integers(0, 256, 30),
        t=rng.integers(0, 10, 30),
        w2=rng.normal(size=30),
    )
    np.savez(
        folder / "w.npz",
        edges=rng.normal(size=(8, 1, 5, 5)),
        b=np.zeros(8),
        corners=rng.normal(size=(16, 4, 3, 3)),
        s=rng.normal(size=8),
        c5=rng.normal(size=(16, 8, 3, 3)),
        out=rng.normal(size=(10, 256)),
    )
    np.savez(folder / "test.npz", images=np.zeros((5, 784), np.uint8), labels=np.arange(5))


def arrays_of_the_issue(folder: Path) -> None:
    np.savez(folder / "weights.npz", w1=np.ones((256, 784)), b1=np.zeros(256), w2=np.ones((10, 256)))
    np.savez(folder / "test.npz", images=np.zeros((5, 784), np.uint8), labels=np.arange(5))
    np.save(folder / "w.npy", np.ones((256, 784)))


def test_the_published_schema_is_the_one_of_the_code() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.schema())

    # In a process of its own: other tests of this one register models.
    written = subprocess.run([sys.executable, "-m", "neurocomp.frontends.schema"], capture_output=True, check=True, text=True)
    assert (ROOT / "docs/net.schema.json").read_text(encoding="utf-8") == written.stdout
    assert json.loads(schema.text()) == schema.schema()


def test_the_example_of_the_issue() -> None:
    assert valid(yaml.safe_load(ISSUE))


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    example_arrays(tmp_path)
    whole, population, cells, convolutions = examples()

    assert valid(parse(whole, "net.yaml").value)
    assert loads(whole, tmp_path).name == "two-layers"
    for example in (population, cells):
        named = parse(example, "net.yaml").value
        assert valid({"neurocomp": 1, "name": "n", "timestep": "1 ms", "ticks": 1, "populations": named})
    text = HEAD_OF_CONVOLUTIONS + convolutions
    assert valid(parse(text, "net.yaml").value)
    assert [len(q.before) + 1 for q in loads(text, tmp_path).projections] == [1, 2, 2, 3, 1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ticks: 32", "ticks: 0"),
        ("timestep: 1 ms", "timestep: 1"),
        ("reset: zero", "rest: zero"),
        ("model: lif", "model: lef"),
        ("tau_mem: 20 ms, ", ""),
        ("tau_mem: 20 ms", "tau_mem: 20"),
        ("pattern: dense", "pattern: dens"),
        ("delay: 0", "delay: -1"),
        ("kind: input", "kind: output"),
        ("scheme: count", "scheme: cuont"),
        ("gain: 0.5", "gain: -0.5"),
        ("scale: 1/255", "scale: x"),
        ("weights: weights.npz#w2", "weights: weights.csv"),
        ("labels: test.npz#labels", "lables: test.npz#labels"),
        (", weights: weights.npz#w2", ""),
        ("pattern: dense", "pattern: maxpool2d"),
        ("pattern: dense", "pattern: {avgpool2d: 0}"),
        ("pattern: dense", "pattern: {avgpool2d: [2, 2, 2]}"),
        ("pattern: dense", "pattern: {conv2d: 3}"),
        ("pattern: dense", "pattern: {conv2d: {groups: [1, 1]}}"),
        ("pattern: dense", "pattern: {conv2d: {strides: 2}}"),
        ("pattern: dense", "pattern: {dense: {stride: 2}}"),
        ("pattern: dense", "pattern: []"),
        ("pattern: dense", "pattern: [[dense]]"),
        ("pattern: dense", "pattern: [{dense: {weights: []}, flatten: {}}]"),
        ("pattern: dense", "pattern: {flatten: {weights: w.npy}}"),
        ("model: lif, tau_mem: 20 ms", "model: ternary_lif, tau_mem: 20 ms, tau_syn: 5 ms, compare: '>='"),
        ("model: lif, tau_mem: 20 ms", "model: ternary_lif, tau_mem: 20 ms, tau_syn: 5 ms, spikes_per_tick: many"),
        ("scheme: bernoulli", "scheme: current"),
    ],
)
def test_schema_and_reader_refuse_the_same(tmp_path: Path, old: str, new: str) -> None:
    arrays_of_the_issue(tmp_path)
    loads(ISSUE, tmp_path)
    text = ISSUE.replace(old, new, 1)
    assert text != ISSUE

    assert not valid(parse(text, "net.yaml").value)
    with pytest.raises(NetworkError):
        loads(text, tmp_path)


@pytest.mark.parametrize(
    "projection",
    [
        "pattern: conv2d, weights: w.npz#edges",
        "pattern: {conv2d: {kernel: 5, stride: 1, padding: [0, 0], groups: 1}}, weights: w.npz#edges, bias: w.npz#b",
        "pattern: [{conv2d: {weights: w.npz#edges}}]",
        "pattern: [{scale: {weights: 0.5}}, {conv2d: {weights: w.npz#edges}}]",
        "pattern: [flatten, {scale: {weights: w.npy}}, {block: {indices: i.npy}}], weights: w.npz#blocks",
        "pattern: [{sumpool2d: {kernel: [5, 5], stride: 1, weights: 2}}]",
        "pattern: {maxpool2d: {kernel: 5, stride: [1, 1]}}, weights: 0.5",
    ],
)
def test_schema_and_reader_take_the_same(tmp_path: Path, projection: str) -> None:
    example_arrays(tmp_path)
    np.save(tmp_path / "w.npy", np.ones(784))
    np.save(tmp_path / "i.npy", np.zeros((8, 1), np.int64))
    np.savez(tmp_path / "w.npz", edges=np.ones((8, 1, 5, 5)), b=np.zeros(8), blocks=np.ones((8, 576, 1)))
    head = HEAD_OF_CONVOLUTIONS
    if "pool" in projection:
        head = head.replace("edges: {shape: [8, 24, 24]", "edges: {shape: [1, 24, 24]")
    text = f"{head}projections:\n  - {{from: image, to: edges, {projection}}}\n"

    assert valid(parse(text, "net.yaml").value)
    assert len(loads(text, tmp_path).projections) == 1
