"""Random networks and stimuli for property tests and sweeps, from any source of choices.

`random_network` draws from a seed. The Hypothesis strategies of `neurocomp.testing.strategies` are the same builders fed with
Hypothesis' choices, so both have the same variety; nothing here imports Hypothesis.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Stimulus
from neurocomp.hardware import NumberFormat
from neurocomp.ir.network import NativeWeights, Network, Neuron, Population, Projection, Stage, frozen
from neurocomp.ir.quantized import SignMode, weight_range, weight_shift
from neurocomp.models.neurons import NEURON_MODELS, Semantics
from neurocomp.models.patterns import PATTERNS, Pattern

Array = NDArray[Any]
T = TypeVar("T")

MOST_EDGES = 3
"""Into one population, before inputs that nobody hears are added: each may take two of a core's synapse formats."""
LOIHI = NumberFormat("loihi")
"""The format in whose ranges native networks lie."""


class Choices(Protocol):
    """Where decisions come from."""

    generator: np.random.Generator
    """For the elements of arrays."""

    def integer(self, low: int, high: int) -> int:
        """Return an integer in low..high."""
        ...

    def one_of(self, options: Sequence[T]) -> T:
        """Return one of the options; the first is the simplest."""
        ...

    def chance(self, percent: int) -> bool:
        """Return True in about ``percent`` of 100 cases; False is the simpler one."""
        ...


class SeededChoices:
    """Choices of a numpy generator."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def integer(self, low: int, high: int) -> int:
        """See `Choices.integer`."""
        return int(self.generator.integers(low, high, endpoint=True))

    def one_of(self, options: Sequence[T]) -> T:
        """See `Choices.one_of`."""
        return options[self.integer(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        """See `Choices.chance`."""
        return self.integer(0, 99) >= 100 - percent


@dataclasses.dataclass(frozen=True, slots=True)
class Variety:
    """What random networks may have."""

    biases: bool = True
    initial_states: bool = True
    recurrence: bool = True
    """Synapses within a population and back to an earlier one. A cycle always has at least as many ticks of delay as hops."""
    readouts: bool = True
    """Populations that never spike; nothing listens to them."""
    extremes: bool = True
    """Now and then a network is so strong that u overflows and v saturates."""
    max_delay: int = 20
    per_neuron: bool = True
    """Parameters may differ within a population; each has at most three values there, as cores hold few profiles."""
    spatial: bool = True
    """Populations may have channels, joined by convolutions, pools, chains and blocks."""
    semantics: bool = True
    """Refractory periods, resets by subtraction, reset schedules."""
    max_inputs: int = 3
    max_populations: int = 4
    max_size: int = 12


DEFAULT = Variety()


def random_network(seed: int, variety: Variety = DEFAULT) -> tuple[Network, Stimulus]:
    """Return a network of native Loihi integers and a stimulus of zeros and ones; the same seed gives the same."""
    choices = SeededChoices(seed)
    network = native_network(choices, variety)
    return network, stimulus(choices, network)


def random_real_network(seed: int, variety: Variety = DEFAULT) -> tuple[Network, Stimulus]:
    """Return a network of real numbers and a stimulus of zeros and ones; the same seed gives the same."""
    choices = SeededChoices(seed)
    network = real_network(choices, variety)
    return network, stimulus(choices, network)


def stimulus(choices: Choices, network: Network) -> dict[str, Array]:
    """Return zeros and ones, uint8 (samples 1..3, ticks 1..24, n) for each input."""
    shape = (choices.integer(1, 3), choices.integer(1, 24))
    return {
        population.name: (choices.generator.random((*shape, population.size)) < choices.one_of((0.3, 0.1, 0.8))).astype(
            np.uint8
        )
        for population in network.inputs
    }


@dataclasses.dataclass(frozen=True, slots=True)
class _Edge:
    """A projection to be: positions of source and target among all populations, and what joins them."""

    source: int
    target: int
    min_delay: int
    before: tuple[Stage, ...] = ()
    pattern: Pattern = dataclasses.field(default_factory=lambda: Pattern("dense"))


@dataclasses.dataclass(frozen=True, slots=True)
class _Layout:
    """Populations, inputs first, and who listens to whom."""

    names: Sequence[str]
    shapes: Sequence[tuple[int, ...]]
    n_inputs: int
    silent: Sequence[bool]
    """Which populations never spike."""
    edges: Sequence[_Edge]

    def weight_shape(self, edge: _Edge) -> tuple[int, ...]:
        """Return the shape of an edge's weights."""
        source = edge.before[-1].shape if edge.before else self.shapes[edge.source]
        return PATTERNS[edge.pattern.kind].weight_shape(edge.pattern, source, self.shapes[edge.target])

    def fan_in(self, edge: _Edge) -> int:
        """Return about how many weights reach a neuron."""
        shape = self.weight_shape(edge)
        return max(1, math.prod(shape) // (shape[0] * shape[1] if edge.pattern.kind == "block" else max(1, shape[0])))


def _edges(choices: Choices, variety: Variety, n_inputs: int, silent: Sequence[bool]) -> list[_Edge]:
    """Draw who listens to whom; populations are counted from 0, inputs first.

    Every population and every input has an edge; edges forward may have no delay. An edge back by k places has a delay of at
    least k + 1, so that every cycle has at least as many ticks as hops and a chip can run it.
    """
    edges: list[_Edge] = []
    for target in range(n_inputs, len(silent)):
        sources = [s for s in range(target) if not silent[s]]
        own = [_Edge(choices.one_of(sources[::-1]), target, 0)]
        own += [_Edge(source, target, 0) for source in sources if choices.chance(20)]
        if variety.recurrence:
            later = [s for s in range(target, len(silent)) if not silent[s]]
            own += [_Edge(source, target, source - target + 1) for source in later if choices.chance(20)]
        edges += own[:MOST_EDGES]
    for unused in sorted(set(range(n_inputs)) - {edge.source for edge in edges}):
        targets = range(n_inputs, len(silent))
        fewest = min(targets, key=lambda t: sum(edge.target == t for edge in edges))
        edges.append(_Edge(unused, fewest, 0))
    return edges


def _layout(choices: Choices, variety: Variety, *, averages: bool) -> _Layout:
    """Draw populations and edges; a population may have the shape that a convolution or a pool makes of its first source."""
    n_inputs, n_populations = choices.integer(1, variety.max_inputs), choices.integer(1, variety.max_populations)
    names = [f"in{i}" for i in range(n_inputs)] + [f"p{i}" for i in range(n_populations)]
    silent = [i >= n_inputs and variety.readouts and choices.chance(20) for i in range(len(names))]
    edges = _edges(choices, variety, n_inputs, silent)
    shapes: list[tuple[int, ...]] = []
    first: dict[int, _Edge] = {}
    for number in range(len(names)):
        edge = next((edge for edge in edges if edge.target == number and edge.source < number), None)
        made = _spatial(choices, shapes[edge.source], averages) if edge and variety.spatial and choices.chance(60) else None
        if edge is not None and made is not None:
            before, pattern, shape = made
            first[edges.index(edge)] = dataclasses.replace(edge, before=before, pattern=pattern)
        else:
            shape = _shape(choices, variety)
        shapes.append(shape)
    joined = [
        first.get(index) or _joined(choices, edge, shapes[edge.source], shapes[edge.target], variety)
        for index, edge in enumerate(edges)
    ]
    return _Layout(names, shapes, n_inputs, silent, joined)


def _shape(choices: Choices, variety: Variety) -> tuple[int, ...]:
    """Draw a shape without or with channels."""
    if variety.spatial and choices.chance(35):
        extents = tuple(choices.integer(2, 5) for _ in range(choices.one_of((2, 1))))
        return (choices.integer(1, 2), *extents)
    size = choices.integer(1, variety.max_size)
    return (size // 2, 2) if size >= 4 and choices.chance(20) else (size,)


def _spatial(
    choices: Choices, source: tuple[int, ...], averages: bool
) -> tuple[tuple[Stage, ...], Pattern, tuple[int, ...]] | None:
    """Draw a convolution, a pool, or the one behind the other from a shape with channels; None where there are no channels."""
    dims = len(source) - 1
    if dims not in (1, 2) or math.prod(source) > 80:
        return None
    before: tuple[Stage, ...] = ()
    if min(source[1:]) >= 2 and choices.chance(35):
        pool = Pattern(
            f"{choices.one_of(('sum', 'avg') if averages else ('sum',))}pool{dims}d", {},
            {"kernel": (2,) * dims, "stride": (2,) * dims, "padding": (0,) * dims},
        )  # fmt: skip
        shape = PATTERNS[pool.kind].output_shape(pool, source, ())
        assert shape is not None
        if choices.chance(30):
            return (), pool, shape
        before, source = (Stage(pool, frozen(np.float64(1.0)), shape),), shape
    groups = choices.one_of([g for g in (1, 2) if source[0] % g == 0])
    padding = tuple(choices.integer(0, 1) for _ in range(dims))
    kernel = tuple(choices.integer(1, min(3, n + 2 * p)) for n, p in zip(source[1:], padding, strict=True))
    dilation = tuple(
        choices.integer(1, 2) if k == 2 and n + 2 * p >= 3 else 1 for n, p, k in zip(source[1:], padding, kernel, strict=True)
    )
    options = {
        "kernel": kernel, "stride": tuple(choices.integer(1, 2) for _ in range(dims)), "padding": padding,
        "dilation": dilation, "groups": (groups,),
    }  # fmt: skip
    pattern = Pattern(f"conv{dims}d", {}, options)
    made = PATTERNS[pattern.kind].output_shape(pattern, source, (groups * choices.integer(1, 2), source[0] // groups, *kernel))
    assert made is not None
    return before, pattern, made


def _joined(choices: Choices, edge: _Edge, source: tuple[int, ...], target: tuple[int, ...], variety: Variety) -> _Edge:
    """Draw what joins two shapes: dense, sparse (at times with a pair twice or no synapse at all), one to one, block, conv."""
    n_source, n_target = math.prod(source), math.prod(target)
    kinds = ["dense", "dense", "sparse"]
    kinds += ["one_to_one"] if n_source == n_target else []
    if variety.spatial:
        kinds += ["block"] if n_target % 2 == 0 else []
        kinds += ["same", "same"] if source == target and len(source) in (2, 3) and min(source[1:]) > 1 else []
    kind = choices.one_of(kinds)
    pattern = Pattern(kind)
    if kind == "sparse":
        count = choices.integer(0 if choices.chance(10) else 1, max(1, n_source * n_target * 2 // 3))
        sources, targets = (choices.generator.integers(0, n, count) for n in (n_source, n_target))
        pattern = Pattern(kind, {"sources": frozen(sources), "targets": frozen(targets)})
    elif kind == "block":
        indices = choices.generator.integers(0, n_source, (2, choices.integer(1, n_source)))
        indices = np.stack([choices.generator.permutation(n_source)[: indices.shape[1]] for _ in range(2)])
        pattern = Pattern(kind, {"indices": frozen(indices)})
    elif kind == "same":
        dims = len(source) - 1
        one = (1,) * dims
        options = {"kernel": (3,) * dims, "stride": one, "padding": one, "dilation": one, "groups": (1,)}
        pattern = Pattern(f"conv{dims}d", {}, options)
    elif kind == "dense" and variety.spatial and choices.chance(30):
        flat = Stage(Pattern("flatten"), frozen(np.float64(1.0)), (n_source,))
        return dataclasses.replace(edge, before=(flat,), pattern=pattern)
    return dataclasses.replace(edge, pattern=pattern)


def _delay(choices: Choices, variety: Variety, low: int, shape: tuple[int, ...]) -> Array:
    """Draw delays of at least ``low``: none, one, or one per synapse."""
    high = min(variety.max_delay, low + (20 if choices.chance(10) else 6))
    kind = choices.one_of(("least", "one", "each"))
    if kind == "least" or high <= low:
        return frozen(np.array(low, np.int64))
    if kind == "one":
        return frozen(np.array(choices.integer(low, high), np.int64))
    return frozen(choices.generator.integers(low, high, shape, endpoint=True))


# Native integers


def native_network(choices: Choices, variety: Variety = DEFAULT) -> Network:
    """Return a network whose populations and weights are integers of the format ``loihi``; see `Variety`."""
    layout = _layout(choices, variety, averages=False)
    extreme = variety.extremes and choices.chance(12)
    projections: list[Projection] = []
    drive = [1.0] * len(layout.names)
    for index, edge in enumerate(layout.edges):
        shape = layout.weight_shape(edge)
        if PATTERNS[edge.pattern.kind].weighting == "scalar":
            weights, native = frozen(np.array(choices.one_of((2, 16, -6)), np.int16)), NativeWeights()
            fan_in = 4
        else:
            weights, native = _native_weights(choices, shape, extreme)
            fan_in = 1 if edge.pattern.kind == "one_to_one" else layout.fan_in(edge)
        strength = float(np.abs(weights).mean()) * 2.0**native.weight_exp if weights.size else 0.0
        drive[edge.target] = max(drive[edge.target], strength * math.sqrt(fan_in))
        source, target = layout.names[edge.source], layout.names[edge.target]
        delay = _delay(choices, variety, edge.min_delay, () if edge.before else shape)
        projections.append(
            Projection(f"{source}->{target}#{index}", source, target, edge.pattern, weights, None, delay, native, edge.before)
        )
    populations: dict[str, Population] = {}
    for i, (name, shape) in enumerate(zip(layout.names, layout.shapes, strict=True)):
        neuron = None
        if i >= layout.n_inputs:
            neuron = _native_neuron(choices, variety, math.prod(shape), layout.silent[i], drive[i], extreme)
        populations[name] = Population(name, shape, neuron)
    return Network("random", 1e-3, choices.integer(1, 24), populations, tuple(projections)).verify()


def _native_weights(choices: Choices, shape: tuple[int, ...], extreme: bool) -> tuple[Array, NativeWeights]:
    """Draw weights that the format represents without loss, int16."""
    modes: tuple[SignMode, ...] = ("mixed", "mixed", "excitatory", "excitatory", "inhibitory")
    mode = choices.one_of(modes)
    bits = choices.one_of((8, 8, 6, 4, 2))
    exponent = choices.integer(5, LOIHI.weight_exp_max) if extreme else choices.one_of((0, 0, 1, 2, 3, -1, -3))
    low, high = weight_range(mode, bits)
    step = max(1 << weight_shift(mode, bits), 1 << max(0, -exponent))
    if not extreme:
        cap = max(step, choices.one_of((256, 64, 16)))
        low, high = max(low, -cap // 2 if mode == "mixed" else -cap), min(high, cap)
    multiples = choices.generator.integers(-(-low // step), high // step, shape, endpoint=True)
    weights = (multiples * step).astype(np.int16)
    if choices.chance(30):
        weights[choices.generator.random(shape) < 0.5] = 0
    named = bool(choices.chance(50)) or bool((weights == -256).any())
    return frozen(weights), NativeWeights(exponent, bits, mode if named else None)


def _native_neuron(choices: Choices, variety: Variety, n: int, silent: bool, drive: float, extreme: bool) -> Neuron:
    """Draw a population's integers; the threshold is comparable to ``drive``, what the population receives at a time."""
    model = choices.one_of(("cuba_li", "li", "i") if silent else ("cuba_lif", "lif", "if"))

    def values(*options: int) -> Array:
        if variety.per_neuron and choices.chance(25):
            return frozen(choices.generator.choice(np.array(options[:3], np.int64), n))
        return frozen(np.array(choices.one_of(options), np.int64))

    def spread(low: int, high: int) -> Array:
        if choices.chance(50):
            return frozen(choices.generator.integers(low, high, n, endpoint=True))
        return frozen(np.array(choices.integer(low, high), np.int64))

    def threshold(factor: float) -> int:
        return int(np.clip(drive * factor, 1, LOIHI.threshold_max))

    zero = frozen(np.array(0, np.int64))
    vth = values(threshold(0.5), threshold(0.2), threshold(1.5))
    dv = values(409, 128, 2048, 0, 4095, 1)
    bias_mant, bias_exp = zero, zero
    if variety.biases and choices.chance(30):
        size = min(LOIHI.bias_max, max(1, int(drive * 16)))
        bias_mant, bias_exp = spread(-size // 2, size), values(0, 2, 3)
    if extreme:
        vth, dv = values(LOIHI.threshold_max, LOIHI.threshold_max // 2), values(0, 1, 4095)
        if variety.biases:
            bias_mant, bias_exp = spread(-LOIHI.bias_max, LOIHI.bias_max), values(LOIHI.bias_exp_max)
    if silent:
        vth = frozen(np.array(LOIHI.threshold_max, np.int64))
    state = int(64 * min(drive, 65536.0)) if variety.initial_states and choices.chance(25) else 0
    has_current = NEURON_MODELS[model].has_current
    parameters = {
        "du": values(0, 1, 1024)
        if has_current and extreme
        else values(409, 2048, 1024, 4095, 0, 1)
        if has_current
        else values(4095),
        "dv": zero if model in ("if", "i") else dv,
        "vth": vth,
        "bias_mant": bias_mant,
        "bias_exp": bias_exp,
        "u_init": spread(-state, state) if state and has_current else zero,
        "v_init": spread(-state, state) if state else zero,
    }
    return Neuron(model, parameters, _semantics(choices, variety, silent), LOIHI.name)


# Real numbers


def real_network(choices: Choices, variety: Variety = DEFAULT) -> Network:
    """Return a network of the built-in neuron models with real parameters, weights and biases."""
    layout = _layout(choices, variety, averages=True)
    populations: dict[str, Population] = {}
    for i, (name, shape) in enumerate(zip(layout.names, layout.shapes, strict=True)):
        neuron = None if i < layout.n_inputs else _real_neuron(choices, variety, math.prod(shape), layout.silent[i])
        populations[name] = Population(name, shape, neuron)
    projections: list[Projection] = []
    for index, edge in enumerate(layout.edges):
        shape = layout.weight_shape(edge)
        n_target = math.prod(layout.shapes[edge.target])
        dtype = choices.one_of((np.float32, np.float64))
        spread = choices.one_of((1.0, 0.3, 3.0)) / math.sqrt(1 if len(shape) < 2 else layout.fan_in(edge))
        weights = choices.generator.normal(0.3 * spread, spread, shape).astype(dtype)
        bias = choices.generator.normal(0, 0.2, n_target).astype(dtype) if variety.biases and choices.chance(25) else None
        source, target = layout.names[edge.source], layout.names[edge.target]
        projections.append(
            Projection(
                f"{source}->{target}#{index}", source, target, edge.pattern, frozen(weights),
                None if bias is None else frozen(bias),
                _delay(choices, variety, edge.min_delay, () if edge.before else shape), None, edge.before,
            )
        )  # fmt: skip
    return Network("random", 1e-3, choices.integer(1, 24), populations, tuple(projections)).verify()


def _real_neuron(choices: Choices, variety: Variety, n: int, silent: bool) -> Neuron:
    name = choices.one_of(("li", "cuba_li", "i") if silent else ("lif", "if", "cuba_lif"))
    ranges: Mapping[str, tuple[float, float]] = {
        "tau_mem": (2e-3, 50e-3),
        "tau_syn": (1.5e-3, 20e-3),
        "v_threshold": (0.3, 1.5),
        "r": (0.5, 20.0),
        "v_init": (-0.5, 0.5),
        "u_init": (-0.2, 0.2),
    }
    starts = variety.initial_states and choices.chance(25)

    def value(key: str, default: float | None) -> Array:
        if key in ("v_init", "u_init") and not starts:
            return frozen(np.array(0.0 if default is None else default))
        low, high = ranges[key]
        shared = not (variety.per_neuron and choices.chance(20))
        drawn = choices.generator.uniform(low, high, 1 if shared else min(n, 3))
        return frozen(np.array(drawn[0]) if shared else choices.generator.choice(drawn, n))

    parameters = {key: value(key, parameter.default) for key, parameter in NEURON_MODELS[name].parameters.items()}
    leaky = "tau_mem" in parameters
    semantics = dataclasses.replace(
        _semantics(choices, variety, silent),
        integration="euler" if choices.chance(25) else "exact",
        input="current" if leaky and choices.chance(25) else "delta",
    )
    return Neuron(name, parameters, semantics)


def _semantics(choices: Choices, variety: Variety, silent: bool) -> Semantics:
    """Draw what a spike does, how long a neuron rests after it, and when a clock resets it."""
    if not variety.semantics:
        return Semantics()
    interval = choices.integer(1, 9) if choices.chance(15) else None
    return Semantics(
        reset="subtract" if choices.chance(25) and not silent else "zero",
        refractory=choices.integer(1, 5) if choices.chance(25) and not silent else 0,
        reset_interval=interval,
        reset_offset=choices.integer(0, interval - 1) if interval else 0,
    )
