"""docs/targets.md tells the truth: each row of its tables is compiled for each target that it speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocomp import api
from neurocomp.errors import NeurocompError
from neurocomp.errors.catalogue import CATALOGUE
from neurocomp.frontends.from_yaml import loads

PAGE = (Path(__file__).resolve().parents[2] / "docs/targets.md").read_text(encoding="utf-8")
TARGETS = ("loihi", "loihi2", "truenorth", "reference")
# A population of lif neurons that input spikes reach after a tick, so that nothing runs late by itself.
NET = {
    "neuron": "model: lif, tau_mem: 10 ms, v_threshold: 1.0",
    "from": "[2]",
    "to": "[2]",
    "projection": "weights: [[0.25, 0.5], [0.5, 0.25]], delay: 1",
    "other": "",
    "more": "",
    "encode": "scheme: rate",
    "decode": "scheme: count",
}
# The neurons where the target has no exponential leak.
BASE = {"truenorth": "model: if, v_threshold: 1.0"}
# What a pattern joins and its weights; what needs no weights has one number.
LINE, PLANE = "weights: w.npz#line", "weights: w.npz#plane"
PATTERNS = {
    "conv1d": ("[2, 6]", "[3, 4]", LINE),
    "{conv1d: {stride: 2, padding: 1, dilation: 2}}": ("[2, 6]", "[3, 2]", LINE),
    "conv2d": ("[2, 6, 6]", "[3, 4, 4]", PLANE),
    "{conv2d: {groups: 2}}": ("[4, 6, 6]", "[2, 4, 4]", "weights: w.npz#grouped"),
    "{sumpool1d: 2}": ("[2, 6]", "[2, 3]", "weights: 0.5"),
    "{avgpool2d: 2}": ("[2, 6, 6]", "[2, 3, 3]", "weights: 1.0"),
    "{maxpool2d: 2}": ("[2, 6, 6]", "[2, 3, 3]", "weights: 1.0"),
    "flatten": ("[2, 2]", "[4]", "weights: 1.0"),
    "scale": ("[2, 2]", "[2, 2]", "weights: [0.5, 0.25]"),
    "one_to_one": ("[2]", "[2]", "weights: 0.5"),
    "{sparse: {sources: w.npz#i, targets: w.npz#i}}": ("[2]", "[2]", "weights: 0.5"),
    "{block: {indices: w.npz#blocks}}": ("[4]", "[4]", "weights: w.npz#of_blocks"),
    "[{avgpool2d: 2}, conv2d]": ("[2, 6, 6]", "[3, 1, 1]", PLANE),
    "[{avgpool2d: 2}, flatten, dense]": ("[2, 4, 4]", "[2]", "weights: w.npz#dense"),
    "[{maxpool2d: 2}, conv2d]": ("[2, 6, 6]", "[3, 1, 1]", PLANE),
    "[conv2d, {maxpool2d: 2}]": ("[2, 6, 6]", "[3, 2, 2]", PLANE),
}


def rows(heading: str) -> Iterator[tuple[str, list[str]]]:
    """Return (what is written in net.yaml, the cell of each target) of the table under a heading."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            written, *cells = (cell.strip() for cell in line.strip("|\n ").split(" | "))
            yield written.strip("`"), cells


def cases(heading: str) -> list[object]:
    """Return (written, target, cell), a test each."""
    return [
        pytest.param(written, target, cell, id=f"{written} on {target}")
        for written, cells in rows(heading)
        for target, cell in zip(TARGETS, cells, strict=True)
    ]


def attempt(text: str, folder: Path, target: str, **options: Any) -> tuple[set[str], tuple[str, ...], tuple[str, ...]]:
    """Compile; return the codes that refuse it, what is not on the chip, and what became something else on the way."""
    try:
        network = loads(text, folder)
        artifact = api.compile(network, target, **options).artifact
    except NeurocompError as error:
        return {diagnostic.code for diagnostic in error.diagnostics}, (), ()
    changes = [note for note in artifact.notes if "calibrated" not in note and not note.startswith("crossbars:")]
    assert artifact.quantized is not None
    integers = artifact.quantized.network if artifact.lowered.network.crossbars else artifact.lowered.network
    for q in integers.projections:
        given = next((p for p in network.projections if p.name == q.name), None)
        if given is None:
            continue
        if q.pool is not None:  # its maximum stays what it is, and the chain is printed beside it
            changes = [note for note in changes if not note.startswith(f"'{q.name}':")]
        elif given.pattern.kind != q.pattern.kind:
            changes.append(f"{given.pattern.kind} became {q.pattern.kind}")
    if any(p.lossy for p in artifact.lowered.map.values()):
        changes.append("lossy")
    return set(), artifact.lowered.extensions, tuple(changes)


def hold(cell: str, folder: Path, target: str, **given: str) -> None:
    """The target does with a network what a cell says."""
    net = {**NET, "neuron": BASE.get(target, NET["neuron"]), **given}
    text = (
        "neurocomp: 1\nname: row\ntimestep: 1 ms\nticks: 8\npopulations:\n"
        f"  a: {{kind: input, shape: {net['from']}}}\n  b: {{shape: {net['to']}, neuron: {{{net['neuron']}}}}}\n{net['other']}"
        f"projections:\n  - {{from: a, to: b, {net['projection']}}}\n{net['more']}"
        f"encode: {{a: {{{net['encode']}}}}}\ndecode: {{b: {{{net['decode']}}}}}\n"
    )
    rng = np.random.default_rng(3)
    shapes = {"line": (3, 2, 3), "plane": (3, 2, 3, 3), "grouped": (2, 2, 3, 3), "dense": (2, 8), "of_blocks": (2, 2, 2)}
    arrays = {name: rng.random(shape) / 4 for name, shape in shapes.items()}
    np.savez(folder / "w.npz", i=np.arange(2), blocks=np.array([[0, 1], [1, 3]]), **arrays)  # type: ignore[arg-type]
    codes, extensions, changes = attempt(text, folder, target)
    word, *rest = re.findall(r"[A-Za-z0-9]+", cell)
    if word in ("refused", "extension"):
        named = {code for code in rest if code in CATALOGUE} if word == "refused" else {"NC0318"}
        assert codes == named, text
    else:
        assert codes == set(), text
        assert extensions == ()
        assert "lossy" not in changes
        assert {"native": not changes, "lowered": bool(changes), "host": True}[word], changes
    option = re.search(r"`--([a-z-]+)(?: (\w+))?`", cell)
    options: dict[str, object] = {}
    if word == "extension":
        options = {"extensions": (rest[0],)}
    elif option:
        value = option[2] or True
        options = {option[1].replace("-", "_"): int(value) if str(value).isdigit() else value}
    if options:
        codes, extensions, _ = attempt(text, folder, target, **options)
        assert (codes, extensions) == (set(), options.get("extensions", ()))


@pytest.mark.parametrize(("written", "target", "cell"), cases("Neurons"))
def test_neurons(written: str, target: str, cell: str, tmp_path: Path) -> None:
    base = BASE.get(target, NET["neuron"])
    neuron = written if written.startswith(("model", "format")) else f"{base}, {written}"
    given = {"neuron": neuron}
    if re.match(r"model: (i|li|cuba_li)\b", written):
        given["decode"] = "scheme: potential"
    if "format" in written or "model: truenorth" in written:
        given["projection"] = "weights: [[8, 4], [4, 8]], delay: 1"
    hold(cell, tmp_path, target, **given)


@pytest.mark.parametrize(("written", "target", "cell"), cases("Patterns"))
def test_patterns(written: str, target: str, cell: str, tmp_path: Path) -> None:
    source, to, weights = PATTERNS.get(written.removeprefix("pattern: "), ("[2]", "[2]", "weights: [[0.25, 0.5], [0.5, 0.25]]"))
    hold(cell, tmp_path, target, **{"from": source, "to": to, "projection": f"{written}, {weights}, delay: 1"})


@pytest.mark.parametrize(("written", "target", "cell"), cases("Time"))
def test_time(written: str, target: str, cell: str, tmp_path: Path) -> None:
    weights = "weights: [[0.25, 0.5], [0.5, 0.25]]"
    if written.startswith("{"):
        base = BASE.get(target, NET["neuron"])
        other = f"  c: {{shape: [2], neuron: {{{base}}}}}\n" if "to: c" in written else ""
        more = "".join(f"  - {entry[:-1]}, {weights}}}\n" for entry in re.findall(r"{.*?}", written))
        hold(cell, tmp_path, target, other=other, more=more)
    else:
        hold(cell, tmp_path, target, projection=f"{weights}, {written}")


@pytest.mark.parametrize(("written", "target", "cell"), cases("Data in and out"))
def test_encoders_and_decoders(written: str, target: str, cell: str, tmp_path: Path) -> None:
    side, scheme, more = re.fullmatch(r"(encode|decode): {(.*?)}(?:, (.*))?", written).groups(default="")  # type: ignore[union-attr]
    given = {side: scheme}
    if "current" in scheme:
        given["projection"] = NET["projection"].replace("delay: 1", more if more.startswith("delay") else "delay: 0")
    if more.startswith("model"):
        given["neuron"] = more
    hold(cell, tmp_path, target, **given)
