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
from neurocomp.ir.network import NativeWeights, Network, Neuron, Population, Projection, frozen
from neurocomp.ir.quantized import SignMode, weight_range, weight_shift
from neurocomp.models.neurons import NEURON_MODELS, Semantics
from neurocomp.models.patterns import PATTERNS, Pattern

Array = NDArray[Any]
T = TypeVar("T")

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
    """A projection to be: positions of source and target among all populations."""

    source: int
    target: int
    min_delay: int


def _edges(choices: Choices, variety: Variety, n_inputs: int, silent: Sequence[bool]) -> list[_Edge]:
    """Draw who listens to whom; populations are counted from 0, inputs first.

    Every population and every input has an edge; edges forward may have no delay. An edge back by k places has a delay of at
    least k + 1, so that every cycle has at least as many ticks as hops and a chip can run it.
    """
    edges: list[_Edge] = []
    for target in range(n_inputs, len(silent)):
        sources = [s for s in range(target) if not silent[s]]
        edges.append(_Edge(choices.one_of(sources[::-1]), target, 0))
        edges += [_Edge(source, target, 0) for source in sources if choices.chance(20)]
        if not variety.recurrence:
            continue
        later = [s for s in range(target, len(silent)) if not silent[s]]
        edges += [_Edge(source, target, source - target + 1) for source in later if choices.chance(20)]
    for unused in set(range(n_inputs)) - {edge.source for edge in edges}:
        edges.append(_Edge(unused, choices.integer(n_inputs, len(silent) - 1), 0))
    return edges


def _populations(choices: Choices, variety: Variety) -> tuple[list[tuple[str, tuple[int, ...]]], int, list[bool]]:
    """Draw names and shapes, inputs first; how many inputs there are; and which populations never spike."""
    n_inputs, n_populations = choices.integer(1, variety.max_inputs), choices.integer(1, variety.max_populations)
    names = [f"in{i}" for i in range(n_inputs)] + [f"p{i}" for i in range(n_populations)]
    shapes: list[tuple[int, ...]] = []
    for _ in names:
        size = choices.integer(1, variety.max_size)
        shapes.append((size // 2, 2) if size >= 4 and choices.chance(20) else (size,))
    silent = [i >= n_inputs and variety.readouts and choices.chance(20) for i in range(len(names))]
    return list(zip(names, shapes, strict=True)), n_inputs, silent


def _pattern(choices: Choices, n_source: int, n_target: int) -> Pattern:
    """Draw a pattern: dense, one to one where sizes agree, or sparse, at times with a pair twice or no synapse at all."""
    kind = choices.one_of(("dense", "dense", "sparse", "one_to_one") if n_source == n_target else ("dense", "dense", "sparse"))
    if kind != "sparse":
        return Pattern(kind)
    count = choices.integer(0 if choices.chance(10) else 1, max(1, n_source * n_target * 2 // 3))
    sources, targets = (choices.generator.integers(0, n, count) for n in (n_source, n_target))
    return Pattern(kind, {"sources": frozen(sources), "targets": frozen(targets)})


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
    described, n_inputs, silent = _populations(choices, variety)
    extreme = variety.extremes and choices.chance(12)
    sizes = [math.prod(shape) for _, shape in described]
    projections: list[Projection] = []
    drive = [1.0] * len(described)
    for index, edge in enumerate(_edges(choices, variety, n_inputs, silent)):
        n_source, n_target = sizes[edge.source], sizes[edge.target]
        pattern = _pattern(choices, n_source, n_target)
        shape = PATTERNS[pattern.kind].weight_shape(pattern, described[edge.source][1], described[edge.target][1])
        weights, native = _native_weights(choices, shape, extreme)
        fan_in = 1 if pattern.kind == "one_to_one" else n_source
        strength = float(np.abs(weights).mean()) * 2.0**native.weight_exp if weights.size else 0.0
        drive[edge.target] = max(drive[edge.target], strength * math.sqrt(fan_in))
        source, target = described[edge.source][0], described[edge.target][0]
        delay = _delay(choices, variety, edge.min_delay, shape)
        projections.append(Projection(f"{source}->{target}#{index}", source, target, pattern, weights, None, delay, native))
    populations: dict[str, Population] = {}
    for i, (name, shape) in enumerate(described):
        neuron = None if i < n_inputs else _native_neuron(choices, variety, sizes[i], silent[i], drive[i], extreme)
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
    return Neuron(model, parameters, Semantics(), LOIHI.name)


# Real numbers


def real_network(choices: Choices, variety: Variety = DEFAULT) -> Network:
    """Return a network of the built-in neuron models with real parameters, weights and biases."""
    described, n_inputs, silent = _populations(choices, variety)
    sizes = [math.prod(shape) for _, shape in described]
    populations: dict[str, Population] = {}
    for i, (name, shape) in enumerate(described):
        neuron = None if i < n_inputs else _real_neuron(choices, variety, sizes[i], silent[i])
        populations[name] = Population(name, shape, neuron)
    projections: list[Projection] = []
    for index, edge in enumerate(_edges(choices, variety, n_inputs, silent)):
        n_source, n_target = sizes[edge.source], sizes[edge.target]
        pattern = _pattern(choices, n_source, n_target)
        shape = PATTERNS[pattern.kind].weight_shape(pattern, described[edge.source][1], described[edge.target][1])
        dtype = choices.one_of((np.float32, np.float64))
        spread = choices.one_of((1.0, 0.3, 3.0)) / math.sqrt(1 if pattern.kind == "one_to_one" else n_source)
        weights = choices.generator.normal(0.3 * spread, spread, shape).astype(dtype)
        bias = choices.generator.normal(0, 0.2, n_target).astype(dtype) if variety.biases and choices.chance(25) else None
        source, target = described[edge.source][0], described[edge.target][0]
        projections.append(
            Projection(
                f"{source}->{target}#{index}", source, target, pattern, frozen(weights), None if bias is None else frozen(bias),
                _delay(choices, variety, edge.min_delay, shape),
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
    semantics = Semantics(
        integration="euler" if choices.chance(25) else "exact", input="current" if leaky and choices.chance(25) else "delta"
    )
    return Neuron(name, parameters, semantics)
