"""Random networks for chips of crossbar cores: real numbers and TrueNorth's own integers, with what each technique needs.

Every seed has a recipe (`RECIPES`), which sees to it that some technique of lowering has to run; all else is drawn. Not every
network lowers: recurrence may lack the ticks that hops take, and random integers are not always sums of four axon types.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp import api
from neurocomp.backend import Stimulus
from neurocomp.errors import CapacityError, UnsupportedError
from neurocomp.ir.network import Decoder, NativeWeights, Network, Neuron, Population, Projection, Stage, frozen
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import PATTERNS, Pattern
from neurocomp.testing.random_networks import Choices, SeededChoices

Array = NDArray[Any]
IntArray = NDArray[np.int64]

FORMAT = "truenorth"
RECIPES = (
    "any", "copies", "relays", "stochastic", "recurrent", "skips", "biases", "maxima", "native", "spatial", "outputs",
    "weights", "shared", "partial sums",
)  # fmt: skip
"""What a network is made for. ``relays``, ``weights`` and ``partial sums`` also draw the options that say so."""
LEVELS: Mapping[str, tuple[int, int]] = {"trinary": (-1, 1), "int4": (-7, 7), "int8": (-127, 127), "nonneg": (0, 7)}
"""Kinds of weights -> the smallest and the largest multiple of a neuron's step."""
FLAT = ("dense", "sparse", "dense", "sparse", "one_to_one", "block")
"""Patterns without regard to places."""
MOST_DELAY = 15
MOST_CORES_WORTH = 40
"""Synapses times axons of a dense projection, in hundreds: beyond it cheaper weights are drawn."""


@dataclasses.dataclass(frozen=True, slots=True)
class CrossbarCase:
    """A network, a stimulus of zeros and ones, and the options to compile with."""

    recipe: str
    network: Network
    stimulus: Stimulus
    options: Mapping[str, Any]


def random_crossbar_case(seed: int) -> CrossbarCase:
    """Return a case; the same seed gives the same."""
    recipe = RECIPES[seed % len(RECIPES)]
    builder = _Builder(SeededChoices(seed), recipe)
    network = builder.network()
    return CrossbarCase(recipe, network, builder.stimulus(network), builder.options())


def random_crossbar_network(seed: int) -> tuple[Network, Stimulus]:
    """Return the network and the stimulus of a case that needs no options; ``partial sums`` become ``any``."""
    recipe = RECIPES[seed % len(RECIPES)]
    recipe = "any" if recipe == "partial sums" else recipe
    builder = _Builder(SeededChoices(seed), recipe)
    network = builder.network()
    return network, builder.stimulus(network)


def random_lowerable_network(seed: int) -> tuple[Network, Stimulus]:
    """Return the first network that lowers to ``truenorth`` of those of a seed, and its stimulus."""
    for attempt in range(100):
        network, stimulus = random_crossbar_network(seed + 1_000_000 * attempt)
        try:
            if not api.check(network, FORMAT):
                return network, stimulus
        except (CapacityError, UnsupportedError):
            continue
    raise AssertionError(f"no network of seed {seed} lowers")


@dataclasses.dataclass(slots=True)
class _Plan:
    """A population to be."""

    name: str
    shape: tuple[int, ...]
    kind: str = "input"
    """``input``, ``real`` or ``native``."""
    model: str = "if"
    levels: str = "int4"
    stochastic: bool = False
    """Whether synapses are: their weights are few."""
    pull: float = 0.0
    """About the largest sum of positive weights."""

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)


class _Builder:
    """Draws one network."""

    def __init__(self, choices: Choices, recipe: str) -> None:
        self.choices, self.recipe, self.rng = choices, recipe, choices.generator
        self.plans: list[_Plan] = []
        self.projections: list[Projection] = []
        self.books: dict[str, Array] = {}
        """Population -> the weights that its neurons may have, (n, values), where they have a codebook."""
        self.steps: dict[str, Array] = {}
        self.levels = "trinary"

    def options(self) -> dict[str, Any]:
        """Return the options to compile with."""
        found: dict[str, Any] = {}
        if self.recipe == "relays":
            found["fan_out"] = "split"
        elif self.recipe == "copies":
            found["fan_out"] = "duplicate"
        elif self.choices.chance(15):
            found["fan_out"] = self.choices.one_of(("duplicate", "split"))
        if self.recipe == "partial sums":
            found["partial_sums"] = True
        if self.recipe == "weights":
            found["weights"] = self.choices.one_of(
                ("int4", "trinary", "int5", "int6", "int8", "codebook2", "codebook3", "codebook4")
            )
        if any(q.kind == "real" for q in self.plans) and self.choices.chance(30):
            found["compare"] = "ge"
        return found

    def stimulus(self, network: Network) -> dict[str, Array]:
        """Return zeros and ones, uint8 (samples 1..2, ticks, n) for each input."""
        shape = (self.choices.integer(1, 2), self.choices.integer(8, 20))
        rate = self.choices.one_of((0.3, 0.15, 0.6))
        return {p.name: (self.rng.random((*shape, p.size)) < rate).astype(np.uint8) for p in network.inputs}

    def network(self) -> Network:
        """Return the network."""
        choices = self.choices
        spatial = self.recipe in ("spatial", "maxima") or choices.chance(20)
        for i in range(choices.integer(1, 2)):
            shape = self._spatial_shape() if spatial else (choices.integer(4, 30),)
            self.plans.append(_Plan(f"in{i}", shape))
        if self.recipe == "partial sums":
            self.plans[0].shape = (choices.integer(150, 420),)
        elif self.recipe == "shared":
            # Two cores where everybody has axons of his own, one where they are shared.
            self.levels, axons = choices.one_of((("trinary", 2), ("int4", 4), ("nonneg", 3)))
            self.plans[0].shape = (choices.integer(140, 250) // axons,)
        n_inputs = len(self.plans)
        count = {"skips": 3, "shared": 2, "biases": 2, "stochastic": 2}.get(self.recipe, 1)
        count = choices.integer(count, 3 if self.recipe != "partial sums" else 2)
        for i in range(count):
            self._population(f"p{i}", n_inputs, spatial)
        self._extra(n_inputs)
        populations = {plan.name: Population(plan.name, plan.shape, self._neuron(plan)) for plan in self.plans}
        listened = {q.source for q in self.projections if q.source != q.target}
        decoders = {}
        if self.recipe == "outputs" or choices.chance(30):
            decoders = {
                plan.name: Decoder("count", {}) for plan in self.plans[n_inputs:]
                if plan.name not in listened or choices.chance(60)
            }  # fmt: skip
        return Network(
            "random", 1e-3, choices.integer(8, 20), populations, tuple(self._biased(q) for q in self.projections), {}, decoders
        ).verify()

    # Populations

    def _spatial_shape(self) -> tuple[int, ...]:
        dims = self.choices.one_of((2, 2, 1))
        extents = tuple(self.choices.integer(3, 5) for _ in range(dims))
        return (self.choices.integer(1, 2), *extents)

    def _population(self, name: str, n_inputs: int, spatial: bool) -> None:
        """Draw a population and its first projection."""
        choices, number = self.choices, len(self.plans) - n_inputs
        if self.recipe == "shared" and number:
            source = 0
        elif number == 0 or self.recipe == "shared":
            source = 0 if self.recipe == "partial sums" else choices.integer(0, n_inputs - 1)
        else:
            source = len(self.plans) - 1 if choices.chance(75) else choices.integer(0, len(self.plans) - 1)
        native = self.recipe in ("native", "stochastic") or choices.chance(25)
        if self.recipe in ("biases", "weights"):
            native = choices.chance(15)
        if self.recipe == "biases":
            # What is behind another population has a lag, in which its leak acts.
            source = len(self.plans) - 1
        partial = self.recipe == "partial sums" and number == 0
        wide = self.recipe in ("shared", "partial sums")
        plan = _Plan(name, (choices.integer(3, 24),), "native" if native else "real")
        plan.model = "truenorth" if native else choices.one_of(("if", "if", "linear_lif", "binary"))
        if plan.model == "linear_lif" and self.recipe == "biases":
            plan.model = "if"
        plan.levels = choices.one_of(("int4", "trinary", "trinary", "int4", "nonneg", "codebook", "int8", "few"))
        if partial:
            plan.levels = choices.one_of(("trinary", "int4", "nonneg"))
        elif self.recipe == "shared":
            plan.levels = self.levels
        elif self.recipe == "biases":
            # An axon type is left for a hold axon.
            plan.levels = choices.one_of(("trinary", "nonneg", "trinary", "int4"))
        before: tuple[Stage, ...] = ()
        shape = self.plans[source].shape
        pattern = Pattern("dense")
        if len(shape) > 1 and (self.recipe == "maxima" or choices.chance(25)) and min(shape[1:]) >= 2:
            before = (self._maximum(shape),)
            shape = before[0].shape
        if len(shape) > 1 and spatial and choices.chance(75):
            pattern, plan.shape = self._convolution(shape)
        elif not partial:
            pattern, plan.shape = self._flat(plan.shape, math.prod(shape), ("sparse", "dense") if wide else FLAT)
        if native and not partial:
            plan.stochastic = choices.chance(60 if self.recipe == "stochastic" else 15)
        if plan.stochastic:
            plan.levels = "few"
        self.plans.append(plan)
        self._project(self.plans[source], plan, pattern, before, 0)

    def _maximum(self, shape: tuple[int, ...]) -> Stage:
        dims = len(shape) - 1
        stride = self.choices.integer(1, 2)
        padding = self.choices.integer(0, 1)
        options = {"kernel": (2,) * dims, "stride": (stride,) * dims, "padding": (padding,) * dims}
        pattern = Pattern(f"maxpool{dims}d", {}, options)
        made = PATTERNS[pattern.kind].output_shape(pattern, shape, ())
        assert made is not None
        return Stage(pattern, frozen(np.float64(1.0)), made)

    def _convolution(self, shape: tuple[int, ...]) -> tuple[Pattern, tuple[int, ...]]:
        choices, dims = self.choices, len(shape) - 1
        groups = choices.one_of([g for g in (1, 2) if shape[0] % g == 0])
        padding = tuple(choices.integer(0, 1) for _ in range(dims))
        kernel = tuple(choices.integer(1, min(3, n + 2 * p)) for n, p in zip(shape[1:], padding, strict=True))
        stride = tuple(choices.integer(1, 2) for _ in range(dims))
        options = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": (1,) * dims, "groups": (groups,)}
        pattern = Pattern(f"conv{dims}d", {}, options)
        weights = (groups * choices.integer(1, 3), shape[0] // groups, *kernel)
        made = PATTERNS[pattern.kind].output_shape(pattern, shape, weights)
        assert made is not None
        return pattern, made

    def _flat(self, shape: tuple[int, ...], n_source: int, kinds: Sequence[str] = FLAT) -> tuple[Pattern, tuple[int, ...]]:
        """Draw a pattern from so many sources without regard to places, and the shape of the target."""
        choices, rng, n_target = self.choices, self.rng, math.prod(shape)
        kind = choices.one_of(kinds)
        if kind == "one_to_one":
            return Pattern(kind), (n_source,)
        if kind == "block":
            blocks = choices.integer(1, 3)
            width = choices.integer(1, min(12, n_source))
            indices = np.stack([rng.permutation(n_source)[:width] for _ in range(blocks)])
            return Pattern(kind, {"indices": frozen(indices)}), (blocks * choices.integer(1, 6),)
        if kind == "sparse":
            synapses = choices.integer(1, max(1, min(n_source * n_target // 2, 250)))
            synapses = max(synapses, 3 * n_source) if n_source > 30 else synapses
            sources, targets = rng.integers(0, n_source, synapses), rng.integers(0, n_target, synapses)
            return Pattern(kind, {"sources": frozen(sources), "targets": frozen(targets)}), shape
        return Pattern("dense"), shape

    def _extra(self, n_inputs: int) -> None:
        """Draw skips and recurrence."""
        choices, plans = self.choices, self.plans
        unheard = [i for i in range(n_inputs) if all(q.source != plans[i].name for q in self.projections)]
        edges = [(i, choices.integer(n_inputs, len(plans) - 1), 0) for i in unheard]
        for target in range(n_inputs, len(plans)):
            for source in range(len(plans)):
                if self.recipe == "partial sums" and source == 0:
                    continue
                back = source - target + 1 if source >= target else 0
                percent = {True: 60 if self.recipe == "recurrent" else 6, False: 50 if self.recipe == "skips" else 10}[back > 0]
                if choices.chance(percent):
                    # Relays, partial sums and merges may take more ticks than a hop per population.
                    edges.append((source, target, min(MOST_DELAY, 2 * back + choices.integer(0, 2)) if back else 0))
        for source, target, least in edges:
            n_source, n_target = plans[source].size, plans[target].size
            pattern, shape = self._flat((n_target,), n_source)
            if math.prod(shape) != n_target:
                pattern = Pattern("sparse", {
                    "sources": frozen(self.rng.integers(0, n_source, 2 * n_target)),
                    "targets": frozen(self.rng.integers(0, n_target, 2 * n_target)),
                })  # fmt: skip
            self._project(plans[source], plans[target], pattern, (), least)

    # Projections

    def _project(self, source: _Plan, target: _Plan, pattern: Pattern, before: tuple[Stage, ...], least: int) -> None:
        shape = before[-1].shape if before else source.shape
        wanted = PATTERNS[pattern.kind].weight_shape(pattern, shape, target.shape)
        if target.levels == "int8" and math.prod(wanted) > 100 * MOST_CORES_WORTH // 14:
            target.levels = "int4"
        rows = self._rows(pattern, wanted, target)
        weights = self._weights(target, rows, pattern.arrays.get("sources"))
        name = f"{source.name}->{target.name}#{len(self.projections)}"
        native = NativeWeights() if target.kind == "native" else None
        values = frozen(weights.astype(np.int16) if target.kind == "native" else weights)
        delay = self._delay(least, () if before else wanted)
        positive = np.zeros(target.size)
        np.add.at(positive, rows.ravel() % target.size, np.maximum(weights, 0).ravel())
        target.pull += float(positive.max(initial=0))
        self.projections.append(Projection(name, source.name, target.name, pattern, values, None, delay, native, before))

    def _rows(self, pattern: Pattern, shape: tuple[int, ...], target: _Plan) -> IntArray:
        """Return the target neuron (of a convolution its channel) of each weight, of the weights' shape."""
        if pattern.kind == "sparse":
            return np.asarray(pattern.arrays["targets"], np.int64)
        if pattern.kind == "block":
            return np.broadcast_to(np.arange(target.size).reshape(shape[0], -1, 1), shape)
        return np.broadcast_to(np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)), shape)

    def _weights(self, target: _Plan, rows: IntArray, sources: IntArray | None) -> Array:
        """Draw weights: per neuron multiples of a step, or values of a codebook."""
        rng, real = self.rng, target.kind == "real"
        density = self.choices.one_of((1.0, 0.7, 0.4))
        if target.name not in self.steps:
            # Convolutions and others share what a neuron may have, or the sums of both have no codebook.
            shared = len(target.shape) > 1
            n = 1 if shared else target.size
            self.steps[target.name] = np.resize(rng.uniform(0.02, 0.6, n) if real else rng.integers(1, 3, n), target.size)
            size = self.choices.integer(1, 3)
            book = rng.integers(-60, 90, (n, size)) if target.levels != "few" else rng.integers(-200, 256, (n, size))
            self.books[target.name] = np.resize(book, (target.size, size))
        step = self.steps[target.name][rows % target.size]
        kept = rng.random(rows.shape) < density
        if sources is not None and target.stochastic:
            # Two synapses of one source would draw one random number.
            first = np.unique(sources * target.size + rows, return_index=True)[1]
            kept &= np.isin(np.arange(len(rows)), first)
        if target.levels in LEVELS:
            low, high = LEVELS[target.levels]
            values: Array = rng.integers(low, high, rows.shape, endpoint=True) * step
        else:
            book = self.books[target.name][rows % target.size]
            chosen = rng.random(book.shape) < 0.5
            if target.levels == "few":
                chosen = np.arange(book.shape[-1]) == rng.integers(0, book.shape[-1], (*rows.shape, 1))
            values = (book * chosen).sum(axis=-1) * (step / 16 if real else 1)
        return np.asarray(np.where(kept, values, 0), np.float64 if real else np.int64)

    def _delay(self, least: int, shape: tuple[int, ...]) -> Array:
        """Draw delays of at least ``least``: none, one, or one per synapse."""
        choices = self.choices
        high = min(MOST_DELAY - 3, least + choices.one_of((2, 1, 4, 12)))
        kind = choices.one_of(("least", "least" if self.recipe in ("shared", "biases") else "one", "least", "each"))
        if kind == "least" or high <= least:
            return frozen(np.array(least, np.int64))
        if kind == "one" or not shape:
            return frozen(np.array(choices.integer(least, high), np.int64))
        few = self.rng.integers(least, high, 3, endpoint=True)
        return frozen(few[self.rng.integers(0, 3, shape)])

    def _biased(self, q: Projection) -> Projection:
        """Give some projections of real numbers a bias."""
        target = next(plan for plan in self.plans if plan.name == q.target)
        if target.kind != "real" or not self.choices.chance(70 if self.recipe == "biases" else 12):
            return q
        step = self.steps[q.target]
        bias = self.rng.integers(-2, 3, target.size) * step if self.choices.chance(50) else self.rng.normal(0, step)
        return dataclasses.replace(q, bias=frozen(np.asarray(bias, np.float64)))

    # Neurons

    def _neuron(self, plan: _Plan) -> Neuron | None:
        if plan.kind == "input":
            return None
        return self._native(plan) if plan.kind == "native" else self._real(plan)

    def _real(self, plan: _Plan) -> Neuron:
        choices, step = self.choices, self.steps[plan.name]
        whole = choices.chance(60)
        top = max(2.0, plan.pull / float(step.mean()) * choices.one_of((0.3, 0.1, 0.6)))
        counts: Array = self.rng.integers(1, int(min(top, 900)), plan.size, endpoint=True)
        threshold = counts * step if whole else self.rng.uniform(0.3, top, plan.size) * step
        if plan.model == "binary":
            if choices.chance(30):
                threshold = threshold - step * choices.integer(0, 4)
            return Neuron("binary", {"v_threshold": frozen(threshold)}, Semantics(compare=">="))
        parameters = {"v_threshold": frozen(threshold), "v_init": frozen(np.array(0.0))}
        if choices.chance(25):
            parameters["v_init"] = frozen(self.rng.integers(-3, 4, plan.size) * step)
        if plan.model == "linear_lif":
            parameters["leak"] = frozen(choices.integer(1, 3) * step if whole else self.rng.uniform(0.2, 2.0) * step)
        reset = choices.one_of(("zero", "subtract", "zero", "none"))
        compare = ">=" if reset == "subtract" or choices.chance(50) else ">"
        lowest, percent = (1, 75) if self.recipe == "biases" else (6, 30)
        floor = -float(step.mean()) * choices.integer(0, lowest) if choices.chance(percent) else None
        return Neuron(plan.model, parameters, Semantics(compare=compare, reset=reset, v_floor=floor))  # type: ignore[arg-type]

    def _native(self, plan: _Plan) -> Neuron:
        choices, rng, n = self.choices, self.rng, plan.size
        top = max(4, min(60_000, int(plan.pull * choices.one_of((0.3, 0.1, 0.8)))))

        def mixed(low: int, high: int, percent: int = 50) -> IntArray:
            """Return values that are mostly 0, mostly the same, or all different."""
            if not choices.chance(percent):
                return np.zeros(n, np.int64)
            if choices.chance(40):
                return np.full(n, choices.integer(low, high))
            return rng.integers(low, high, n, endpoint=True)

        random = self.recipe == "stochastic" or choices.chance(15)
        signs = rng.integers(0, 2, n) * 2 - 1
        values: dict[str, IntArray] = {
            "alpha": rng.integers(0 if choices.chance(20) else 1, top, n, endpoint=True),
            "beta": rng.integers(0, top, n, endpoint=True),
            "lambda": mixed(-6, 6) if choices.chance(85) else mixed(-255, 255),
            "c_lambda": mixed(0, 1) if random else np.zeros(n, np.int64),
            "epsilon": mixed(0, 1),
            "TM": mixed(0, choices.one_of((3, 6, 18)), 60) if random else np.zeros(n, np.int64),
            "gamma": mixed(0, 2, 70),
            "kappa": mixed(0, 1),
            "R": signs * ((1 << mixed(0, 4, 40)) - 1),
            "V": mixed(-top, top, 30),
            "b": (rng.random(n) < choices.one_of((1.0, 0.5))).astype(np.int64) if plan.stochastic else np.zeros(n, np.int64),
            "symmetric": np.zeros(n, np.int64),
            "seed": np.full(n, choices.integer(0, (1 << 32) - 1)),
        }
        parameters = {key: frozen(value.astype(np.int64)) for key, value in values.items()}
        return Neuron("truenorth", parameters, Semantics(compare=">="), FORMAT)


__all__ = ["RECIPES", "CrossbarCase", "random_crossbar_case", "random_crossbar_network", "random_lowerable_network"]
