"""The published schema, the reader and the documentation agree."""

from __future__ import annotations

import json
import re
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
    np.savez(folder / "test.npz", images=np.zeros((5, 784), np.uint8), labels=np.arange(5))


def test_the_published_schema_is_the_one_of_the_code() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.schema())

    assert (ROOT / "docs/net.schema.json").read_text(encoding="utf-8") == schema.text()
    assert json.loads(schema.text()) == schema.schema()


def test_the_example_of_the_issue() -> None:
    assert valid(yaml.safe_load(ISSUE))


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    example_arrays(tmp_path)
    whole, population = examples()

    assert valid(parse(whole, "net.yaml").value)
    assert loads(whole, tmp_path).name == "two-layers"
    hidden = parse(population, "net.yaml").value
    assert valid({"neurocomp": 1, "name": "n", "timestep": "1 ms", "ticks": 1, "populations": hidden})


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
    ],
)
def test_schema_and_reader_refuse_the_same(tmp_path: Path, old: str, new: str) -> None:
    text = ISSUE.replace(old, new, 1)
    assert text != ISSUE

    assert not valid(parse(text, "net.yaml").value)
    with pytest.raises(NetworkError):
        loads(text, tmp_path)
