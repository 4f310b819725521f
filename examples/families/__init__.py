"""The network families of the literature, each compiled for each chip: lowered exactly, with a measured loss, or refused.

A family is a folder ``examples/families/KEY`` with ``family.py``, whose ``FAMILY`` says which networks it has. ``measure``
compiles them, verifies what was compiled, and measures; nothing it returns is stored anywhere.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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


class DisagreementError(Exception):
    """Simulations of an artifact do not agree."""


@dataclass(frozen=True, slots=True)
class Part:
    """One network of a family."""

    network: Path | Callable[[], Network]
    """net.yaml, or what builds the network, with its declared samples."""
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
        yield from ((target, _refused(None, part, error)) for target in part.targets)
        return
    for target in part.targets:
        options = dict(part.options.get(target, {}))
        try:
            compiled = neurocomp.compile(network, target=target, **options)
        except (UnsupportedError, CapacityError) as error:
            yield target, _refused(network, part, error)
            continue
        assert isinstance(compiled, Compiled)
        folder.mkdir(parents=True, exist_ok=True)
        compiled.save(folder / f"{target}.ncz")
        yield target, _compiled(network, part, compiled, part.engines.get(target))


def _refused(network: Network | None, part: Part, error: NeurocompError) -> dict[str, Any]:
    first = error.diagnostics[0]
    accuracy = None
    if network is not None and _has_answers(network):
        accuracy = evaluate_network(network, count=part.evaluated).accuracy["float"]
    return {
        "lowering": "refused", "witness": [], "float_distance": None, "accuracy_float": accuracy, "accuracy_fixed": None,
        "code": first.code, "message": first.message, "limit": first.limit, "hint": first.hint,
    }  # fmt: skip


def _compiled(network: Network, part: Part, compiled: Compiled, engines: Sequence[str] | None) -> dict[str, Any]:
    report = compiled.verify(engines, count=part.samples)
    if not report.bit_exact:
        raise DisagreementError(f"{network.name} on {compiled.artifact.spec.name}: {report.first_divergence}")
    accuracy: Mapping[str, float | None] = {}
    if _has_answers(network):
        accuracy = compiled.evaluate(count=part.evaluated).accuracy
    return {
        "lowering": "lossy" if report.lossy else "exact",
        "witness": [engine for engine in report.engines if engine != "reference"],
        "witnesses": sorted(set(report.witnesses.values())),
        "float_distance": _float_distance(network, compiled, part.samples),
        "accuracy_float": accuracy.get("float"),
        "accuracy_fixed": accuracy.get("fixed"),
        "code": None,
        "not_on_this_chip": list(report.not_on_this_chip),
        "samples": report.samples,
    }


def _has_answers(network: Network) -> bool:
    samples = network.data.samples
    return samples is not None and samples.labels is not None and len(network.decoders) == 1


def _float_distance(network: Network, compiled: Compiled, samples: int) -> float | None:
    """Return the share of (sample, tick, neuron) in which the spikes of the chip are not those of real numbers."""
    has_samples = network.data.samples is not None
    inputs = None if has_samples else compiled.random_stimulus(samples)
    count = samples if has_samples else None
    real = run_network(network, inputs, count=count, probe="all").arrays
    fixed = compiled.run(None, inputs=inputs, count=count, probe="all").arrays
    distance = SpikeDistance()
    for name, p in network.populations.items():
        if not p.is_input:
            a, b = (np.asarray(arrays[f"spikes/{name}"]).reshape(samples, -1, p.size) for arrays in (real, fixed))
            distance = distance + SpikeDistance.between(a, b)
    return 1 - distance.same / distance.places if distance.places else None
