"""The network families of the literature, each compiled for each chip: lowered exactly, with a measured loss, or refused.

A family is a folder ``examples/families/KEY`` with ``family.py``, whose ``FAMILY`` says which networks it has. ``measure``
compiles them, verifies what was compiled, and measures; nothing it returns is stored anywhere.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import neurocomp
from neurocomp.api import Compiled, evaluate_network, run_network
from neurocomp.errors import CapacityError, NeurocompError, UnsupportedError
from neurocomp.ir.distance import SpikeDistance
from neurocomp.ir.network import Network

HERE = Path(__file__).parent
TARGETS = ("reference", "loihi", "loihi2", "truenorth")
SAMPLES = 5
"""How many of the declared samples are verified, unless a part says otherwise."""


Measured = Callable[[str], dict[str, Any]]
"""Of the tests' fixture: key -> what `measure` returns, after it was compared with docs/families.md."""


class DisagreementError(Exception):
    """Simulations of an artifact do not agree."""


@dataclass(frozen=True, slots=True)
class Part:
    """One network of a family."""

    network: Path | Callable[[], Network]
    """net.yaml, or what builds the network; with declared samples, which the artifacts take along."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Target -> options of `neurocomp.compile`; a target that is not named takes none."""
    targets: Sequence[str] = ("reference", "loihi", "truenorth")
    samples: int = SAMPLES
    """How many of the declared samples are verified."""
    evaluated: int | None = None
    """How many of the declared samples the accuracies are of; None: all."""
    engines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Target -> the engines that verify; a target that is not named takes all that it has."""

    def load(self) -> Network:
        """Return the network."""
        if not isinstance(self.network, Path):
            return self.network()
        found = neurocomp.load(self.network)
        assert isinstance(found, Network)
        return found


@dataclass(frozen=True, slots=True)
class Family:
    """One family: where it comes from and which networks stand for it; the main one has the name ''."""

    title: str
    source: str
    parts: Mapping[str, Part]
    train: Callable[[], None] | None = None
    """Makes the shipped weights anew; None: nothing was trained."""


def families() -> dict[str, Family]:
    """Return key -> family, in the order of their keys."""
    keys = sorted(path.parent.name for path in HERE.glob("*/family.py"))
    return {key: importlib.import_module(f"examples.families.{key}.family").FAMILY for key in keys}


def measure(key: str, family: Family, keep: Path) -> dict[str, Any]:
    """Return what became of a family on each target; the artifacts are in ``keep``/KEY, those of parts in ``keep``/KEY/PART."""
    test = next((str(path.relative_to(HERE.parents[1])) for path in sorted((HERE / key).glob("test_*.py"))), None)
    result: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for name, part in family.parts.items():
        folder = keep / key / name
        found = {target: entry | {"test": test} for target, entry in _targets(part, folder)}
        if name:
            parts[name] = found
        else:
            result |= found
    return result | ({"parts": parts} if parts else {})


def _targets(part: Part, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        network = part.load()
    except UnsupportedError as error:  # no target has what the file names
        yield from ((target, _refused(error, None)) for target in part.targets)
        return
    real = _Real(network, part)
    for target in part.targets:
        options = dict(part.options.get(target, {}))
        try:
            compiled = neurocomp.compile(network, target=target, **options)
        except (UnsupportedError, CapacityError) as error:
            yield target, _refused(error, real.accuracy)
            continue
        assert isinstance(compiled, Compiled)
        folder.mkdir(parents=True, exist_ok=True)
        compiled.save(folder / f"{target}.ncz")
        yield target, _compiled(real, compiled, part.engines.get(target))


@dataclass(frozen=True)
class _Real:
    """A network in real numbers, simulated when it is asked for and once."""

    network: Network
    part: Part

    @property
    def has_answers(self) -> bool:
        samples = self.network.data.samples
        return samples is not None and samples.labels is not None and len(self.network.decoders) == 1

    @cached_property
    def accuracy(self) -> float | None:
        if not self.has_answers:
            return None
        return evaluate_network(self.network, count=self.part.evaluated).accuracy["float"]

    @cached_property
    def arrays(self) -> Mapping[str, Any]:
        return run_network(self.network, count=self.part.samples, probe="all").arrays


def _refused(error: NeurocompError, accuracy: float | None) -> dict[str, Any]:
    first = error.diagnostics[0]
    return {
        "lowering": "refused", "witness": [], "float_distance": None, "accuracy_float": accuracy, "accuracy_fixed": None,
        "code": first.code, "message": first.message, "limit": first.limit, "hint": first.hint,
    }  # fmt: skip


def _compiled(real: _Real, compiled: Compiled, engines: Sequence[str] | None) -> dict[str, Any]:
    report = compiled.verify(engines, count=real.part.samples)
    if not report.bit_exact:
        raise DisagreementError(f"{real.network.name} on {compiled.artifact.spec.name}: {report.first_divergence}")
    accuracy: Mapping[str, float | None] = {}
    if real.has_answers:
        accuracy = compiled.evaluate(count=real.part.evaluated).accuracy
    return {
        "lowering": "lossy" if report.lossy else "exact",
        "witness": [engine for engine in report.engines if engine != "reference"],
        "witnesses": sorted(set(report.witnesses.values())),
        "float_distance": _float_distance(real, compiled),
        "accuracy_float": accuracy.get("float"),
        "accuracy_fixed": accuracy.get("fixed"),
        "code": None,
        "not_on_this_chip": list(report.not_on_this_chip),
        "samples": report.samples,
    }


def _float_distance(real: _Real, compiled: Compiled) -> float | None:
    """Return the share of (sample, tick, neuron) in which the spikes of the chip are not those of real numbers."""
    fixed = compiled.run(None, count=real.part.samples, probe="all").arrays
    distance = SpikeDistance()
    for name, p in real.network.populations.items():
        if not p.is_input:
            a, b = (
                np.asarray(arrays[f"spikes/{name}"]).reshape(-1, real.network.ticks, p.size) for arrays in (real.arrays, fixed)
            )
            distance = distance + SpikeDistance.between(a, b)
    return 1 - distance.same / distance.places if distance.places else None
