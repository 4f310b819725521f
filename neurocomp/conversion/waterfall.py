"""Where a conversion loses: from the artificial network to its clipped form, T ticks, integers and the chip's program.

Per layer the mean size of what a step changes, in units of the mean activation of the layer, and of that what the layers in
front of it do not have already. Rates are spikes per tick times the layer's scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.conversion.convert import depths_of, names_of
from neurocomp.conversion.first_spike import worth
from neurocomp.conversion.graph import BATCH, Array, FloatArray, Graph
from neurocomp.encoding import DECODERS, decode, encode
from neurocomp.ir.network import Network, Samples
from neurocomp.ir.trace import Trace
from neurocomp.simulation.float_simulator import simulate

CAUSES: Mapping[str, str] = {
    "clipped": "activations above lambda",
    "ticks": "rates in steps of 1/T, and spikes that come late or too early",
    "times": "times in steps of 1/T",
    "quantized": "integer weights, biases and thresholds",
    "mapped": "the program of the chip",
}
Integers = Callable[[Network, Mapping[str, Array], str], Mapping[str, Array]]
"""(network, stimulus, ``quantized`` or ``mapped``) -> ``spikes/POPULATION`` and ``v/POPULATION``, (samples, ticks, ...)."""
_CHUNK_BYTES = 192 << 20


class Stage(NamedTuple):
    """One step: its accuracy over ``samples`` samples, None without labels, and the share of answers as before it."""

    name: str
    accuracy: float | None
    samples: int
    agreement: float
    before: float | None
    """Accuracy of the step before over the same samples."""


@dataclass(frozen=True, slots=True)
class LayerLoss:
    """One layer at one step."""

    layer: str
    stage: str
    error: float
    """Mean size of the change over the mean activation."""
    added: float
    """Of it what the layers in front do not have."""
    correlation: float
    """Of the values after the step with the activations; NaN where one of them is constant."""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Accuracies step by step, and the layers' part in them."""

    stages: tuple[Stage, ...]
    layers: tuple[LayerLoss, ...]
    ticks: int
    window: int | None = None
    """Ticks per layer, where values are times of first spikes."""
    curve: Mapping[int, float] = field(default_factory=dict)
    """Ticks -> accuracy of the real-valued spiking network."""

    @property
    def costliest(self) -> tuple[Stage, LayerLoss] | None:
        """The step that loses most accuracy (without labels: changes most answers), and the layer that adds most in it."""
        steps = [stage for stage in self.stages if any(loss.stage == stage.name for loss in self.layers)]
        if not steps:
            return None

        def worst(stage: Stage) -> LayerLoss:
            return max((loss for loss in self.layers if loss.stage == stage.name), key=lambda loss: loss.added)

        def lost(stage: Stage) -> tuple[float, float, float]:
            drop = 0.0 if stage.accuracy is None or stage.before is None else stage.before - stage.accuracy
            return drop, 1.0 - stage.agreement, worst(stage).added

        step = max(steps, key=lost)
        return step, worst(step)

    def cause(self, stage: Stage) -> str:
        """Return why a step loses."""
        return CAUSES["times" if self.window is not None and stage.name == "ticks" else stage.name]

    def as_json(self) -> dict[str, Any]:
        """Return what ``import --json`` prints."""
        found = self.costliest
        return {
            "ticks": self.ticks,
            "window": self.window,
            "stages": [stage._asdict() for stage in self.stages],
            "layers": [
                {"layer": x.layer, "stage": x.stage, "error": x.error, "added": x.added,
                 "correlation": None if np.isnan(x.correlation) else x.correlation}
                for x in self.layers
            ],
            "curve": {str(ticks): share for ticks, share in self.curve.items()},
            "largest": None if found is None else {
                "stage": found[0].name, "layer": found[1].layer, "cause": self.cause(found[0]), "added": found[1].added,
            },
        }  # fmt: skip


@dataclass(slots=True, eq=False)
class _Error:
    """Sums over samples of one layer at one step."""

    change: float = 0.0
    size: float = 0.0
    moments: FloatArray = field(default_factory=lambda: np.zeros(6))

    def add(self, before: FloatArray, after: FloatArray, exact: FloatArray) -> None:
        self.change += float(np.abs(after - before).sum())
        self.size += float(np.abs(exact).sum())
        a, b = after.ravel(), exact.ravel()
        self.moments += np.array([a.size, a.sum(), b.sum(), a @ a, b @ b, a @ b])

    @property
    def relative(self) -> float:
        return self.change / self.size if self.size else 0.0

    @property
    def correlation(self) -> float:
        n, a, b, aa, bb, ab = self.moments
        spread = np.sqrt(max(aa * n - a * a, 0.0)) * np.sqrt(max(bb * n - b * b, 0.0))
        return float((ab * n - a * b) / spread) if spread > 0 else float("nan")


def measured(
    graph: Graph, network: Network, scales: Mapping[str, float], samples: Samples, integers: Integers | None = None,
    counts: Mapping[str, int] | None = None, replaced: Graph | None = None, progress: Callable[[int], None] | None = None,
    window: int | None = None,
) -> Waterfall:  # fmt: skip
    """Measure every step.

    Args:
        graph: The artificial network as it is computed, with averages in place of maxima where they are replaced.
        network: What was made of it.
        scales: Of `neurocomp.conversion.normalize.scales`.
        samples: Data of the network's input, and labels.
        integers: Runs the integers; None: the last two steps are left out.
        counts: Step of ``quantized`` and ``mapped`` -> how many samples it takes, the first ones.
        replaced: The artificial network as it was read, where it differs from ``graph``.
        progress: Is told how many samples are done.
        window: Ticks per layer where values are times of first spikes; None: they are rates.
    """
    entry, names = network.inputs[0], names_of(graph)
    stored = samples.inputs[entry.name]
    total, labels = len(stored), samples.labels
    layers = [layer.name for layer in graph.activations]
    depths = depths_of(graph)
    worths = {name: np.full(network.ticks, scales[name] / network.ticks) if window is None
              else scales[name] * worth(depths[name], window, network.ticks) for name in layers}  # fmt: skip
    final = network.outputs[0].name
    decoder = network.decoders[final]
    caps = {name: scales[name] for name in layers}
    if network.encoders[entry.name].scheme != "current":
        caps[graph.input.name] = scales[graph.input.name]
    wanted = {stage: min(total, count) for stage, count in (counts or {}).items()} if integers is not None else {}
    answers: dict[str, list[NDArray[np.int64]]] = {}
    errors: dict[tuple[str, str], _Error] = {}
    running = np.zeros(network.ticks, np.int64)

    def answer(stage: str, found: NDArray[np.int64]) -> None:
        answers.setdefault(stage, []).append(np.asarray(found, np.int64))

    def compare(stage: str, before: Mapping[str, FloatArray], after: Mapping[str, FloatArray],
                exact: Mapping[str, FloatArray]) -> None:  # fmt: skip
        for name in layers:
            errors.setdefault((stage, name), _Error()).add(before[name], after[name], exact[name])

    for start in range(0, total, _chunk(network)):
        part = stored[start : start + _chunk(network)]
        real = np.asarray(part, np.float64).reshape(len(part), -1) * network.data.scale
        if replaced is not None:
            answer("ANN", _values(replaced, real, [replaced.output])[replaced.output].argmax(axis=1))
        exact = _values(graph, real, [*layers, graph.output])
        answer("ANN" if replaced is None else "averages", exact[graph.output].argmax(axis=1))
        clipped = _values(graph, real, [*layers, graph.output], caps)
        answer("clipped", clipped[graph.output].argmax(axis=1))
        compare("clipped", exact, clipped, exact)
        stimulus = encode(network.encoders[entry.name], np.asarray(part), scale=network.data.scale, ticks=network.ticks,
                          size=entry.size, first_sample=start, population=entry.name)  # fmt: skip
        recorded = [name for name in network.populations if name != entry.name]
        trace = simulate(network, {entry.name: stimulus}, record=recorded, state=DECODERS[decoder.scheme].reads_potential)
        spikes, v = trace.spikes, trace.v
        answer("ticks", decode(decoder, spikes=spikes[final], v=v.get(final)))
        if labels is not None:
            running += _right(network, trace, labels[start : start + len(part)])
        rates = {name: np.einsum("stn,t->sn", spikes[names[name]], worths[name]) for name in layers}
        compare("ticks", clipped, rates, exact)
        before = rates
        for stage in ("quantized", "mapped"):
            count = min(len(part), wanted.get(stage, 0) - start)
            if count <= 0 or integers is None:
                continue
            found = integers(network, {entry.name: stimulus[:count]}, stage)
            shaped = found[f"spikes/{final}"].reshape(count, network.ticks, -1)
            state = found.get(f"v/{final}")
            answer(stage, decode(decoder, spikes=shaped, v=None if state is None else state.reshape(count, network.ticks, -1)))
            raw = {name: found[f"spikes/{names[name]}"].reshape(count, network.ticks, -1) for name in layers}
            whole = {name: np.einsum("stn,t->sn", raw[name], worths[name]) for name in layers}
            compare(stage, {n: before[n][:count] for n in layers}, whole, {n: exact[n][:count] for n in layers})
            before = whole
        if progress is not None:
            progress(min(total, start + len(part)))
    return Waterfall(
        tuple(_stages(answers, labels)), tuple(_losses(graph, errors)), network.ticks, window,
        {} if labels is None else {t + 1: float(running[t]) / total for t in _shown(network.ticks)},
    )  # fmt: skip


def curve(network: Network, samples: Samples) -> FloatArray:
    """Return the accuracy of a network in real numbers after each of its ticks, (ticks,)."""
    entry, final = network.inputs[0], network.outputs[0].name
    stored = samples.inputs[entry.name]
    assert samples.labels is not None
    right = np.zeros(network.ticks)
    for start in range(0, len(stored), BATCH):
        part = np.asarray(stored[start : start + BATCH])
        stimulus = encode(network.encoders[entry.name], part, scale=network.data.scale, ticks=network.ticks, size=entry.size,
                          first_sample=start, population=entry.name)  # fmt: skip
        trace = simulate(network, {entry.name: stimulus}, record=[final])
        right += _right(network, trace, samples.labels[start : start + len(part)])
    return right / max(1, len(stored))


def _right(network: Network, trace: Trace, labels: Array) -> NDArray[np.int64]:
    """Return how many answers are right after each tick, (ticks,)."""
    final = network.outputs[0].name
    reads = DECODERS[network.decoders[final].scheme].reads_potential
    shown = trace.v[final] if reads else trace.spikes[final].cumsum(axis=1)
    return np.asarray((shown.argmax(axis=2) == np.asarray(labels)[:, np.newaxis]).sum(axis=0), np.int64)


def _values(
    graph: Graph, data: FloatArray, names: Sequence[str], caps: Mapping[str, float] | None = None
) -> dict[str, FloatArray]:
    parts = list(graph.forward(data, record=names, caps=caps))
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _chunk(network: Network) -> int:
    """Return how many samples are measured at once."""
    size = sum(p.size for p in network.populations.values())
    return int(max(1, min(256, _CHUNK_BYTES // (12 * size * network.ticks))))


def _shown(ticks: int) -> list[int]:
    """Return the ticks, from 0 on, after which the curve is shown: powers of two, and the last one."""
    return sorted({2**k - 1 for k in range(ticks.bit_length()) if 2**k <= ticks} | {ticks - 1})


def _stages(answers: Mapping[str, list[NDArray[np.int64]]], labels: Array | None) -> list[Stage]:
    found: list[Stage] = []
    before: NDArray[np.int64] | None = None
    for name, parts in answers.items():
        given = np.concatenate(parts)
        count = len(given)
        right = None if labels is None else float((given == labels[:count]).mean())
        same = 1.0 if before is None else float((given == before[:count]).mean())
        earlier = None if labels is None or before is None else float((before[:count] == labels[:count]).mean())
        found.append(Stage(name, right, count, same, earlier))
        before = given
    return found


def _losses(graph: Graph, errors: Mapping[tuple[str, str], _Error]) -> list[LayerLoss]:
    fronts = _fronts(graph)
    found = []
    for (stage, name), error in errors.items():
        before = [errors[stage, front].relative for front in fronts[name] if (stage, front) in errors]
        added = max(0.0, error.relative - max(before, default=0.0))
        found.append(LayerLoss(name, stage, error.relative, added, error.correlation))
    return found


def _fronts(graph: Graph) -> dict[str, set[str]]:
    """Return the ReLUs in front of each ReLU."""
    reached: dict[str, set[str]] = {}
    found: dict[str, set[str]] = {}
    for layer in graph.layers.values():
        before = set().union(*(reached[name] for name in layer.inputs)) if layer.inputs else set()
        if layer.kind == "relu":
            found[layer.name] = before
            before = {layer.name}
        reached[layer.name] = before
    return found
