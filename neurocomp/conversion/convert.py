"""An artificial network becomes a `Network` of neurons that integrate and fire.

A ReLU is a population whose neurons' rates, in spikes per tick, are its activations over its scale lambda (Cao et al. 2015,
Diehl et al. 2015). With the weights W between ReLU k and ReLU l, and the bias b, in units of the threshold:

    x_l = sum over k of W lambda_k / lambda_l s_k + b / lambda_l        v_l += x_l, a spike where v_l > 1, then v_l -= 1

(Rueckauer et al. 2017; the reset by subtraction keeps what a reset to 0 loses). Potentials start at half the threshold, which
rounds rates instead of cutting them off (Bu et al. 2022). What lies between two ReLUs, pooling and sums of branches among it,
takes no neurons: it is a chain of patterns per way from one to the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from neurocomp.conversion.first_spike import timed
from neurocomp.conversion.graph import Array, FloatArray, Graph, Layer, carried
from neurocomp.conversion.maxima import pooled_as
from neurocomp.conversion.options import Options
from neurocomp.errors import Diagnostic, Location, NetworkError
from neurocomp.ir.network import Choice, Data, Decoder, Encoder, Network, Neuron, Population, Projection, Samples, Stage, frozen
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import PATTERNS, Pattern, Shape, size_of

MAX_PATHS = 1024
"""Ways between neurons."""
CALIBRATION = 256
"""Calibration samples that the network keeps, for quantization."""
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_]+")
_MODULE = re.compile(r"/(.+)/[A-Z][A-Za-z]*")
"""A name that PyTorch gives to the only node of a module: /MODULE/Operator."""


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """A part of a concatenation: it begins at ``start`` of the axis."""

    layer: Layer
    start: int
    part: Shape


_Step = Layer | _Place


def converted(
    graph: Graph, options: Options, scales: Mapping[str, float], calibration: Array, samples: Samples | None = None,
    scale: float = 1.0,
) -> Network:  # fmt: skip
    """Return the spiking network.

    Args:
        graph: The artificial network.
        options: How.
        scales: Of `neurocomp.conversion.normalize.scales`.
        calibration: Stored data (samples, *shape); the network keeps up to `CALIBRATION` of them, spread evenly.
        samples: What it declares to be run on, by the name of the input.
        scale: Factor from stored data to the values of the artificial network.

    Raises:
        NetworkError: No ReLU (NC0213), a maximum where none can be (NC0349), negative input that is to spike (NC0209).
    """
    return _Converter(graph, options, scales).network(calibration, samples, scale)


class _Converter:
    def __init__(self, graph: Graph, options: Options, scales: Mapping[str, float]) -> None:
        self.graph, self.options, self.scales = graph, options, dict(scales)
        self.where = Location(graph.name)
        self.problems: list[Diagnostic] = []
        self.names = names_of(graph)
        self.name = _FORBIDDEN.sub("-", graph.name.rpartition(".")[0] or graph.name).strip("-") or "network"
        self.choices = [Choice(self.names.get(subject, subject), "as written", what, why) for subject, what, why in graph.notes]

    def network(self, calibration: Array, samples: Samples | None, scale: float) -> Network:
        graph, options = self.graph, self.options
        entry = graph.input
        if not graph.activations:
            message = "the network has no ReLU, so that no layer becomes neurons that fire"
            raise NetworkError(Diagnostic("NC0213", message, self.where, hint="networks with ReLU between layers convert"))
        populations = {self.names[entry.name]: Population(self.names[entry.name], entry.shape)}
        projections: list[Projection] = []
        final = graph.layers[graph.output]
        relays = set()
        for goal in graph.layers.values():
            relay = self._is_relay(goal)
            if not (relay or goal.kind == "relu" or goal is final):
                continue
            name = self.names[goal.name]
            fires = goal.kind in ("relu", "max") or options.readout == "count"
            populations[name] = Population(name, goal.shape, _neuron(options, fires))
            if relay:
                relays.add(name)
                self.scales[goal.name] = self.scales.get(goal.inputs[0], 1.0)
                projections += self._into(goal.inputs[0], goal, (pooled_as(goal, "sum"),))
            else:
                projections += self._into(goal.inputs[0] if goal.kind == "relu" else goal.name, goal)
        if self.problems:
            raise NetworkError(self.problems)
        self._say()
        source, output = self.names[entry.name], self.names[final.name]
        gain = {} if options.encoder == "current" else {"gain": 1.0 / self.scales[entry.name]}
        others: dict[str, dict[str, float | int | str]] = {
            "bernoulli": {"seed": 0}, "poisson": {"seed": 0}, "latency": {"last": options.ticks},
        }  # fmt: skip
        encoder = Encoder(options.encoder, {"gain": 1.0, **gain, **others.get(options.encoder, {})})
        decoder = Decoder("count" if final.kind == "relu" or options.readout == "count" else "potential", {})
        every = np.linspace(0, len(calibration) - 1, min(len(calibration), CALIBRATION)).astype(np.int64)
        kept = np.ascontiguousarray(np.asarray(calibration)[every]).reshape(len(every), *entry.shape)
        data = Data(samples, Samples({source: frozen(kept)}), scale)
        made = Network(
            self.name, options.timestep, options.ticks, populations, tuple(projections), {source: encoder}, {output: decoder},
            data, tuple(self.choices),
        )  # fmt: skip
        if options.code == "ttfs":
            depths = {self.names[name]: depth for name, depth in depths_of(graph).items() if name in self.names}
            made = timed(made, depths, relays, options.ticks, options.start)
        return made.verify()

    def _say(self) -> None:
        o, whole = self.options, self.name
        law = f"percentile {o.percentile:g}" if o.normalize == "percentile" else o.normalize
        self.choices.append(Choice(whole, "normalize", law, "option"))
        for layer in self.graph.activations:
            self.choices.append(Choice(self.names[layer.name], "lambda", f"{self.scales[layer.name]:.5g}", o.normalize))
        final = self.graph.layers[self.graph.output]
        if (counted := self.scales.get(output_scale(final))) is not None:
            self.choices.append(Choice(self.names[final.name], "lambda", f"{counted:.5g}", o.normalize))
        if o.code == "ttfs":
            self.choices.append(Choice(whole, "code", f"times of first spikes, {o.ticks} ticks per layer", "option"))
        else:
            self.choices.append(Choice(whole, "reset", o.reset, "option"))
        self.choices.append(Choice(whole, "start", o.start, "option"))
        self.choices.append(Choice(self.names[self.graph.input.name], "encode", o.encoder, "option"))
        spikes = "first_spike" if o.code == "ttfs" else "count"
        decode, why = (spikes, "it ends in a ReLU") if final.kind == "relu" else (o.readout, "option")
        self.choices.append(Choice(self.names[final.name], "decode", decode, why))

    # ways into a population

    def _into(self, start: str, goal: Layer, steps: tuple[_Step, ...] = ()) -> list[Projection]:
        """Return the projections into a population, with the sum of all biases on the first."""
        paths: list[tuple[Layer, tuple[_Step, ...]]] = []
        bias = self._walk(start, steps, paths, goal)
        if self.problems:
            return []
        factor = 1.0 / self.scales.get(goal.name, self._scale_of_output(goal))
        made: list[Projection] = []
        numbers: dict[str, int] = {}
        for source, steps in paths:
            stages = self._stages(source, steps, goal.shape, self.scales[source.name] * factor)
            if stages is None:
                continue
            ends = f"{self.names[source.name]}->{self.names[goal.name]}"
            numbers[ends] = numbers.get(ends, 0) + 1
            name = ends if numbers[ends] == 1 else f"{ends}#{numbers[ends]}"
            last = stages[-1]
            made.append(Projection(name, self.names[source.name], self.names[goal.name], last.pattern, last.weights,
                                   before=tuple(stages[:-1])))  # fmt: skip
        if made and bias is not None and bias.any():
            made[0] = replace(made[0], bias=frozen(bias * factor))
        return made

    def _scale_of_output(self, goal: Layer) -> float:
        """Return what the weights of an output without ReLU are divided by."""
        return self.scales.get(output_scale(goal), 1.0)

    def _walk(
        self, name: str, steps: tuple[_Step, ...], paths: list[tuple[Layer, tuple[_Step, ...]]], goal: Layer
    ) -> FloatArray | None:
        """Collect the ways from neurons to a layer, and return what the biases on them add up to at the goal, (n,)."""
        layer = self.graph.layers[name]
        if len(paths) > MAX_PATHS:
            return None
        if layer.kind in ("relu", "input") or self._is_relay(layer):
            paths.append((layer, steps))
            if len(paths) > MAX_PATHS:
                self.bad(goal, "NC0349", f"more than {MAX_PATHS} ways lead into it", "put a ReLU between its branches")
            return None
        total: FloatArray | None = None

        def add(value: FloatArray | None) -> None:
            nonlocal total
            if value is not None:
                total = value if total is None else total + value

        if layer.kind == "max":
            layer = self._pooled(layer, steps)
        if layer.bias is not None:
            add(self._through(layer.bias, steps))
        start = 0
        for before in layer.inputs:
            step: tuple[_Step, ...] = ()
            if layer.kind == "concat":
                part = self.graph.layers[before].shape
                step = (_Place(layer, start, part),)
                start += part[layer.axis]
            elif layer.kind in ("linear", "max"):
                step = (layer,)
            add(self._walk(before, (*step, *steps), paths, goal))
        return total

    def _is_relay(self, layer: Layer) -> bool:
        """Return whether a maximum is the first spike of its window, which neurons pass on."""
        if layer.kind != "max" or self.options.code != "ttfs" or self.options.max_pool != "neurons":
            return False
        before = self.graph.layers[layer.inputs[0]]
        return before.kind in ("relu", "input") or self._is_relay(before)

    def _pooled(self, layer: Layer, steps: Sequence[_Step]) -> Layer:
        """Return what stands for a maximum."""
        assert layer.pattern is not None
        before = self.graph.layers[layer.inputs[0]]
        if self.options.max_pool == "average":
            return pooled_as(layer, "avg")
        if self.options.max_pool == "refuse":
            hint = "choose --max-pool neurons (more neurons), average (another network), or spikes (not on every chip)"
            self.bad(layer, "NC0349", "a maximum of rates is not a sum of spikes", hint)
        elif self.options.code == "ttfs" and self.options.max_pool == "spikes":
            hint = "choose --max-pool neurons, which pass on the first spike of a window, or average"
            self.bad(layer, "NC0349", "the maximum of the spikes of a tick is not that of times", hint)
        elif before.kind != "relu":
            hint = "put the ReLU in front of the maximum, which changes nothing, or choose --max-pool average"
            self.bad(layer, "NC0349", "the maximum is not taken of a ReLU's output, so that there are no spikes", hint)
        else:
            choice = Choice(self.names[before.name], "max pooling", "the maximum of the spikes of a tick", "option")
            if choice not in self.choices:
                self.choices.append(choice)
        return layer

    def _through(self, bias: FloatArray, steps: Sequence[_Step]) -> FloatArray:
        """Return what a constant is at the end of a way, (n,)."""
        x = bias[np.newaxis]
        for step in steps:
            if isinstance(step, _Place):
                whole = np.zeros((1, *step.layer.shape))
                index = (slice(None), *_window(step))
                whole[index] = x.reshape(1, *step.part)
                x = whole.reshape(1, -1)
            else:
                step = replace(step, bias=None)
                source = self.graph.layers[step.inputs[0]].shape
                x = carried(step, x, source)
        return np.asarray(x[0])

    def _stages(self, source: Layer, steps: Sequence[_Step], target: Shape, gain: float) -> list[Stage] | None:
        """Return the chain of a way, its weights times ``gain``; None: it carries nothing."""
        stages: list[Stage] = []
        shape, pending = source.shape, None
        for step in steps:
            if isinstance(step, _Place):
                if pending is not None:
                    stages.append(_placed(pending))
                pending = step
                continue
            assert step.pattern is not None
            assert step.weights is not None
            pattern, weights, made = step.pattern, np.asarray(step.weights, np.float64), step.shape
            if pending is not None:
                moved = _cut(step, pending)
                if moved is None:
                    stages.append(_placed(pending))
                    pending = None
                else:
                    pattern, weights, made, pending = moved
            stages = _appended(stages, Stage(pattern, weights, made), shape)
        if pending is not None:
            stages.append(_placed(pending))
        if not stages:
            stages.append(Stage(Pattern("one_to_one"), np.ones(size_of(target)), target))
        kinds = [*(stage.pattern.kind for stage in stages[1:]), ""]
        needless = [stage.pattern.kind == "flatten" and after in ("dense", "flatten")
                    for stage, after in zip(stages, kinds, strict=True)]  # fmt: skip
        stages = [stage for stage, gone in zip(stages, needless, strict=True) if not gone]  # a matrix takes any shape
        last = stages[-1]
        before = stages[-2].shape if len(stages) > 1 else source.shape
        factors = np.full(size_of(last.shape), gain)
        kind = PATTERNS[last.pattern.kind]
        scaled = kind.scaled(last.pattern, last.weights, factors, before, last.shape) if kind.linear else None
        if scaled is not None:
            stages[-1] = Stage(scaled[0], scaled[1], last.shape)
        else:
            stages.append(Stage(Pattern("scale"), factors, last.shape))
        return [Stage(stage.pattern, frozen(_single(stage.weights)), stage.shape) for stage in stages]

    def bad(self, layer: Layer, code: str, message: str, hint: str) -> None:
        """Note a problem, once."""
        found = Diagnostic(code, f"layer '{layer.name}': {message}", self.where, hint=hint)
        if found not in self.problems:
            self.problems.append(found)


def depths_of(graph: Graph) -> dict[str, int]:
    """Return how many layers of neurons lead to each layer, itself included; relays do not count."""
    found: dict[str, int] = {}
    for layer in graph.layers.values():
        fires = layer.kind == "relu" or (layer.name == graph.output and layer.kind != "input")
        found[layer.name] = max((found[name] for name in layer.inputs), default=0) + fires
    return found


def names_of(graph: Graph) -> dict[str, str]:
    """Return the names of populations: layer -> an identifier, of a node of PyTorch the module.

    A maximum has one too, as it may become neurons.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    maxima = [layer for layer in graph.layers.values() if layer.kind == "max"]
    for layer in (graph.input, *graph.activations, *maxima, graph.layers[graph.output]):
        if layer.name in found:
            continue
        short = _FORBIDDEN.sub("_", _MODULE.sub(r"\1", layer.name)).strip("_") or "layer"
        short = short if short[0].isalpha() else f"layer_{short}"
        name, number = short, 2
        while name in taken:
            name, number = f"{short}_{number}", number + 1
        taken.add(name)
        found[layer.name] = name
    return found


def output_scale(layer: Layer) -> str:
    """Return the name of the scale of an output without ReLU."""
    return f"output {layer.name}"


def _neuron(options: Options, fires: bool) -> Neuron:
    if not fires:
        parameters = {"tau_mem": frozen(np.float64(np.inf)), "r": frozen(np.float64(1)), "v_init": frozen(np.float64(0))}
        return Neuron("li", parameters, Semantics())
    start = 0.5 if options.start == "half" else 0.0
    parameters = {"v_threshold": frozen(np.float64(1)), "v_init": frozen(np.float64(start))}
    return Neuron("if", parameters, Semantics(reset=options.reset))


def _window(place: _Place) -> tuple[slice, ...]:
    """Return where a part lies in the whole."""
    axis = place.layer.axis
    return tuple(
        slice(place.start, place.start + extent) if number == axis else slice(None) for number, extent in enumerate(place.part)
    )


def _placed(place: _Place) -> Stage:
    """Return a part's way to its place as single synapses."""
    index = np.arange(place.layer.size).reshape(place.layer.shape)[_window(place)].ravel()
    arrays = {"sources": np.arange(len(index)), "targets": np.ascontiguousarray(index)}
    return Stage(Pattern("sparse", arrays), np.ones(len(index)), place.layer.shape)


def _cut(step: Layer, place: _Place) -> tuple[Pattern, Array, Shape, _Place | None] | None:
    """Return a linear step on a part of its source alone, and where what it makes lies; None: it needs the whole."""
    assert step.pattern is not None
    assert step.weights is not None
    pattern, weights = step.pattern, np.asarray(step.weights, np.float64)
    if pattern.kind == "dense":
        index = np.arange(place.layer.size).reshape(place.layer.shape)[_window(place)].ravel()
        return pattern, np.ascontiguousarray(weights[:, index]), step.shape, None
    if place.layer.axis != 0 or len(place.part) < 2:
        return None
    channels = slice(place.start, place.start + place.part[0])
    if pattern.kind.startswith("conv") and pattern.options["groups"] == (1,):
        return pattern, np.ascontiguousarray(weights[:, channels]), step.shape, None
    if "pool" in pattern.kind:
        made = (place.part[0], *step.shape[1:])
        whole = replace(place.layer, shape=step.shape)
        return pattern, weights, made, replace(place, layer=whole, part=made)
    if pattern.kind == "scale":
        values = np.broadcast_to(weights, (step.size,)).reshape(step.shape)[channels].ravel()
        return pattern, np.ascontiguousarray(values), place.part, place
    if pattern.kind == "flatten":
        per_channel = prod(place.part[1:])
        whole = replace(place.layer, shape=(step.size,))
        part = (size_of(place.part),)
        return pattern, weights, part, _Place(whole, place.start * per_channel, part)
    return None


def _appended(stages: list[Stage], stage: Stage, source: Shape) -> list[Stage]:
    """Return stages with one more; a scale goes into the weights before it where that is exact."""
    if stage.pattern.kind == "scale" and stages and stages[-1].shape == stage.shape:
        last, before = stages[-1], stages[-2].shape if len(stages) > 1 else source
        kind = PATTERNS[last.pattern.kind]
        if kind.weighting == "array" and kind.linear:
            factors = np.broadcast_to(np.asarray(stage.weights, np.float64), (size_of(stage.shape),))
            made = kind.scaled(last.pattern, last.weights, factors, before, last.shape)
            if made is not None:
                return [*stages[:-1], Stage(made[0], made[1], last.shape)]
    return [*stages, stage]


def _single(weights: Array) -> Array:
    """Return weights in the precision that they come in, where one number is not an array."""
    return np.asarray(weights, np.float64) if weights.ndim == 0 else np.asarray(weights, np.float32)
