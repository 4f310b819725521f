"""Random integer networks with every feature of a tick, far beyond what the compiler makes: what simulators must agree on.

`random_integer_network` draws from a seed; `neurocomp.testing.strategies.integer_networks` feeds the same builder with
Hypothesis' choices. Networks of the test kit's other builders come out of the compiler; these do not go through it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.hardware import NumberFormat
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection, SignMode
from neurocomp.models.patterns import PATTERNS, Pattern
from neurocomp.testing.golden import (
    compartments,
    conv,
    current_population,
    input_population,
    integer_network,
    max_pool,
    raw_synapses,
    synapses,
)
from neurocomp.testing.random_networks import Choices, SeededChoices

Array = NDArray[Any]
Shape = tuple[int, ...]
Case = tuple[IntegerNetwork, dict[str, Array], dict[str, int]]
"""A network, a stimulus (samples, ticks, n) per input, and the lag of each population."""


@dataclasses.dataclass(frozen=True, slots=True)
class IntegerVariety:
    """What random integer networks may have."""

    extremes: bool = False
    """Parameters at and beyond the ends of their ranges: registers of all widths, weights of 16 bits, values and currents near
    2**31, exponents -8..7, thresholds of either sign, long refractory periods."""
    max_size: int = 9
    """Neurons of a population without channels."""
    max_delay: int = 4
    max_ticks: int = 9
    max_samples: int = 2
    max_populations: int = 4


PLAIN = IntegerVariety()
EXTREME = IntegerVariety(extremes=True, max_size=90, max_delay=62, max_ticks=40, max_samples=3)


def random_integer_network(seed: int, variety: IntegerVariety = PLAIN) -> Case:
    """Return a network, a stimulus and lags; the same seed gives the same."""
    return any_integer_network(SeededChoices(seed), variety)


def any_integer_network(choices: Choices, variety: IntegerVariety = PLAIN) -> Case:
    """Return a network, a stimulus and lags made by ``choices``."""
    return _Maker(choices, variety).network()


class _Maker:
    """Draws one network."""

    def __init__(self, choices: Choices, variety: IntegerVariety) -> None:
        self.choices, self.variety, self.rng = choices, variety, choices.generator
        self.integer, self.chance = choices.integer, choices.chance
        self.populations: list[IntegerPopulation] = []
        self.projections: list[IntegerProjection] = []
        self.values: dict[str, tuple[int, int]] = {}
        """Smallest and largest value of what an input sends."""

    def one_of(self, *options: Any) -> Any:
        return self.choices.one_of(options)

    def shape(self) -> Shape:
        axes = self.one_of(0, 1, 2, 2)
        if axes == 0:
            return (self.integer(1, self.variety.max_size),)
        return (self.integer(1, 4), *(self.integer(1, 7 if axes == 1 else 5) for _ in range(axes)))

    def window(self, extents: Shape, *, dilated: bool) -> dict[str, Shape]:
        """Draw a window that fits at least once."""
        drawn: dict[str, Shape] = dict.fromkeys(("kernel", "stride", "dilation", "padding"), ())
        for n in extents:
            dilation = self.integer(1, 3) if dilated else 1
            kernel = self.integer(1, 3)
            padding = self.integer(0, 2 if dilated else kernel // 2)
            if n + 2 * padding < dilation * (kernel - 1) + 1:
                kernel, padding = 1, 0
            for key, value in (
                ("kernel", kernel), ("stride", self.integer(1, 3)), ("dilation", dilation), ("padding", padding),
            ):  # fmt: skip
                drawn[key] = (*drawn[key], value)
        return drawn

    def pattern(self, source: Shape, target: Shape | None) -> tuple[Pattern, Shape, Shape]:
        """Draw a pattern from a source into a target of a given or an open shape: pattern, shape of the target, of weights."""
        if target is None and len(source) > 1 and self.chance(70):
            window = self.window(source[1:], dilated=True)
            groups = self.one_of(*(g for g in range(1, source[0] + 1) if source[0] % g == 0))
            pattern = conv(**window, groups=groups)
            out = groups * self.integer(1, 2)
            axes = zip(source[1:], *(window[key] for key in ("kernel", "stride", "padding", "dilation")), strict=True)
            extents = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)
            return pattern, (out, *extents), (out, source[0] // groups, *window["kernel"])
        target = target or self.shape()
        n_source, n_target = math.prod(source), math.prod(target)
        kind = self.one_of("dense", "sparse", "block", *(["one_to_one"] * 3 if n_source == n_target else []))
        if kind == "dense":
            return Pattern("dense"), target, (n_target, n_source)
        if kind == "one_to_one":
            return Pattern("one_to_one"), target, (n_target,)
        if kind == "sparse":
            count = self.integer(0, 2 * n_target)
            ends = {"sources": n_source, "targets": n_target}
            return Pattern("sparse", {k: frozen(self.rng.integers(0, n, count)) for k, n in ends.items()}), target, (count,)
        blocks = self.one_of(*(b for b in range(1, n_target + 1) if n_target % b == 0))
        indices = self.rng.integers(0, n_source, (blocks, self.integer(1, 5)))
        return Pattern("block", {"indices": frozen(indices)}), target, (blocks, n_target // blocks, indices.shape[1])

    def project(self, source: IntegerPopulation, name: str, target: Shape | None, least: int) -> Shape:
        """Add a projection with delays of at least ``least`` and return the shape of its target."""
        extreme, most_delay = self.variety.extremes, self.variety.max_delay
        binary, pool, shape = self.chance(60), None, source.shape
        if len(shape) > 1 and self.chance(35):
            window = self.window(shape[1:], dilated=False)
            pool, binary = max_pool(window["kernel"], stride=window["stride"], padding=window["padding"]), True
            pooled = PATTERNS[pool.kind].output_shape(pool, shape, ())
            assert pooled is not None
            shape = pooled
        pattern, target, weights = self.pattern(shape, target)
        delay: Any = least if self.chance(40) else least + self.integer(0, most_delay - 1)
        if self.chance(35):
            delay = self.rng.integers(least, least + most_delay, weights, endpoint=True)
            if extreme:  # a few far ones: each distinct delay is a sum of its own
                delay = self.rng.choice(np.array([least, least + 1, self.integer(least, most_delay), most_delay]), weights)
        exponent = self.integer(-8, 7) if extreme else self.one_of(0, 0, 1, 3, -1, -2, -5)
        full_name = f"{source.name}->{name}#{len(self.projections)}"
        if extreme and self.chance(30):
            low, high = self.one_of((-32768, 32767), (-300, 300), (0, 32767), (-5, 0))
            values = self.rng.integers(low, high, weights, endpoint=True)
            made = raw_synapses(
                source.name, name, values, pattern=pattern, exponent=exponent, delay=delay, binary=binary,
            )  # fmt: skip
            self.projections.append(dataclasses.replace(made, name=full_name, pool=pool))
            return target
        signs: SignMode = self.one_of("mixed", "mixed", "excitatory", "inhibitory")
        bits, most = self.one_of(8, 8, 5, 2), self.one_of(20, 60, 255)
        values = self.rng.integers(-most if signs != "excitatory" else 0, most if signs != "inhibitory" else 0, weights)
        if extreme and self.chance(20):
            values[...] = self.one_of(-256, 255)
        self.projections.append(
            synapses(
                source.name, name, values, name=full_name, pattern=pattern, sign_mode=signs, weight_bits=bits,
                exponent=exponent, delay=delay, binary=binary, pool=pool,
            )
        )  # fmt: skip
        return target

    def each(self, size: int, *options: int) -> Any:
        """Draw one value of the options, or one per neuron."""
        if self.chance(40):
            return self.rng.choice(np.array(options, np.int64), size)
        return self.one_of(*options)

    def parameters(self, size: int, form: NumberFormat) -> dict[str, Any]:
        """Draw what the neurons of a population compute with."""

        def values(low: int, high: int) -> Any:
            return self.rng.integers(low, high, size if self.chance(40) else (), endpoint=True)

        top = max(1, (1 << (form.v_bits - 1)) >> form.state_shift)
        vth = min(self.one_of(5, 100, 400), top)
        parameters = {"du": values(0, 4095), "dv": values(0, 4095), "vth": values(max(1, vth // 2), vth)}
        if self.chance(30):
            parameters |= {"du": 4095, "dv": 0}
        if self.chance(40):
            parameters |= {"bias_mant": values(-800, 1500), "bias_exp": values(-2, 3)}
        if self.chance(40):
            parameters |= {"u_init": values(-3000, 3000), "v_init": values(-2000, 2000)}
        if self.chance(25):
            parameters["vth_low"] = values(-vth, -max(1, vth // 2))
        return parameters

    def extreme_parameters(self, size: int) -> dict[str, Any]:
        """Draw the same at and beyond the ends of the ranges."""
        decays = (0, 1, 2048, 4094, 4095, 4096, 5000)
        usual = decays[:-2] if self.chance(60) else decays
        thresholds = (1 << 17) - 1, 1, 0, -1, -(1 << 17), 100, 1 << 24, -(1 << 24)
        parameters = {
            "du": self.each(size, *usual), "dv": self.each(size, *usual),
            "vth": self.each(size, *(thresholds[:1] * 2 + thresholds[5:6] * 4 if self.chance(60) else thresholds)),
        }  # fmt: skip
        if self.chance(50):
            parameters["bias_mant"] = self.each(size, 4095, -4095, 32767, -32768, 1, -1)
            parameters["bias_exp"] = self.each(size, *((0, 7, 3) if self.chance(60) else (-16, -3, 0, 7, 13, 16, 32, 40)))
        if self.chance(40):
            ends = (1 << 23) - 1, -(1 << 23), 1 << 23, (1 << 31) - 1, -(1 << 31), (1 << 25) + 1, 0
            parameters["u_init"], parameters["v_init"] = self.each(size, *ends), self.each(size, *ends)
        if self.chance(25):
            parameters["vth_low"] = self.each(size, -(1 << 17), -100, -1, 0, 100, -(1 << 24))
        return parameters

    def population(self, name: str, shape: Shape, form: NumberFormat) -> IntegerPopulation:
        """Draw a population and, at times, the population of its currents."""
        size, extreme = math.prod(shape), self.variety.extremes
        parameters = self.extreme_parameters(size) if extreme else self.parameters(size, form)
        current = None
        if self.chance(25):
            current = f"current of {name}"
            self.populations.append(current_population(current, shape))
            large = [(-(1 << 31), (1 << 31) - 1), ((1 << 29) - 3, (1 << 29) + 3)] if extreme else []
            self.values[current] = self.one_of((-2000, 5000), *large)
        clock = {"reset_interval": self.integer(1, 6), "reset_offset": self.integer(0, 7)} if self.chance(30) else {}
        population = compartments(
            name, shape, parameters, fires=self.chance(90), reset=self.one_of("zero", "subtract", "none"),
            compare=self.one_of(">", ">="), refractory=self.one_of(0, 0, 1, 2, 3, *((63, 40000) if extreme else ())),
            current=current, **clock,
        )  # fmt: skip
        return dataclasses.replace(population, start=self.integer(1, 5) if self.chance(20) else 0)

    def number_format(self) -> NumberFormat:
        """Draw widths of registers."""
        widths = (24, 24, 16, 8) if self.variety.extremes else (24, 24, 16, 10)
        return NumberFormat(
            "drawn", current_decay_offset=self.integer(0, 1), state_shift=self.one_of(6, 6, 0, 3),
            u_bits=self.one_of(*widths), u_overflow=self.one_of("fold", "wrap"), v_bits=self.one_of(24, 20, 13),
            accumulator_bits=self.one_of(16, 9), checked=False,
        )  # fmt: skip

    def network(self) -> Case:
        """Draw a network, a stimulus and lags."""
        variety, form = self.variety, self.number_format()
        graded = [(-(1 << 31), (1 << 31) - 1), ((1 << 31) - 9, (1 << 31) - 1), (0, 255)] if variety.extremes else []
        for i in range(self.integer(1, 2)):
            self.populations.append(input_population(f"in{i}", self.shape()))
            self.values[f"in{i}"] = self.one_of((0, 1), (0, 1), (-20, 40), *graded)
        senders = list(self.populations)
        for i in range(self.integer(1, variety.max_populations)):
            shape: Shape | None = None
            for _ in range(self.integer(1, 2)):
                shape = self.project(senders[-1 if self.chance(60) else self.integer(0, len(senders) - 1)], f"p{i}", shape, 0)
            assert shape is not None
            population = self.population(f"p{i}", shape, form)
            self.populations.append(population)
            senders.append(population)
            if self.chance(40):
                back = self.one_of(*(p for p in senders if not p.is_input))
                self.project(population, back.name, back.shape, 1)
        samples, ticks = self.integer(1, variety.max_samples), self.integer(1, variety.max_ticks)
        stimulus: dict[str, Array] = {}
        for p in self.populations:
            if not p.is_input:
                continue
            low, high = self.values[p.name]
            extent = (samples, 1 if p.dynamics == "current" else ticks, p.size)
            drawn = self.rng.integers(low, high, extent, endpoint=True) * (self.rng.random(extent) < 0.6)
            dtypes = [np.int16, np.int64] if max(-low, high) < 1 << 15 else [np.int32, np.int64]
            stimulus[p.name] = np.broadcast_to(drawn, (samples, ticks, p.size)).astype(self.one_of(*dtypes))
        lag = {p.name: 0 if p.is_input else self.integer(0, 2) for p in self.populations}
        order = [self.populations[i] for i in self.rng.permutation(len(self.populations))]
        return integer_network(order, self.projections, form=form, name="drawn", ticks=ticks), stimulus, lag
