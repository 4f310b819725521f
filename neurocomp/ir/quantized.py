"""The integer network: what the reference executes, whether quantized (logical) or lowered (the chip's own parts)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Location, broken_invariant
from neurocomp.hardware import NumberFormat
from neurocomp.models.patterns import PATTERNS, Pattern, Synapses

Array = NDArray[Any]
SignMode = Literal["mixed", "excitatory", "inhibitory"]

COMPARTMENT = ("du", "dv", "vth", "bias_mant", "bias_exp", "u_init", "v_init")
"""The integer parameters of the dynamics ``compartment``; `NumberFormat` writes out its update."""


@dataclass(frozen=True, slots=True, eq=False)
class IntegerPopulation:
    """Neurons with integer state.

    ``dynamics`` names the integer update: ``input`` (none) or ``compartment`` (`neurocomp.hardware.NumberFormat`), whose
    ``parameters`` are `COMPARTMENT`, int64, 0-d or (n,).
    """

    name: str
    shape: tuple[int, ...]
    dynamics: str
    parameters: Mapping[str, Array]
    fires: bool = True
    """False: a readout that never spikes, whatever its potential."""
    reset_interval: int | None = None
    """u and v are cleared before the update of each tick t (0-based) with t % interval == offset."""
    reset_offset: int = 0
    has_current: bool = False
    """The user's model has a current, so that ``u`` is among its results."""
    origin: Location | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def is_input(self) -> bool:
        """Whether a stimulus feeds it."""
        return self.dynamics == "input"

    def values(self, name: str) -> Array:
        """Return a parameter as int64 (n,)."""
        return np.broadcast_to(self.parameters[name], (self.size,))


@dataclass(frozen=True, slots=True, eq=False)
class IntegerProjection:
    """Synapses with integer weights: what arrives at the target in a tick is ``sum(weights) << exponent``.

    ``mantissa`` holds ``weights >> shift`` in 8 bits: int8 for mixed signs (whose lowest bit a chip does not store), uint8
    magnitudes for one sign; int16 where a file holds integers beyond that (``lava-unchecked``). A negative ``exponent`` shifts
    the sum of each delay right, rounding to minus infinity.
    """

    name: str
    source: str
    target: str
    pattern: Pattern
    mantissa: Array
    shift: int
    sign_mode: SignMode
    weight_bits: int
    exponent: int
    delay: Array
    """Ticks from spike to effect, 0-d or of the mantissa's shape."""
    binary: bool = True
    """Sources count as 0 or 1 (Loihi 1); False: their value multiplies the weight (graded spikes)."""
    origin: Location | None = None

    @property
    def weights(self) -> Array:
        """The signed weights at 8-bit scale, int64, of the pattern's shape."""
        values = self.mantissa.astype(np.int64) << self.shift
        return -values if self.sign_mode == "inhibitory" else values


@dataclass(frozen=True, slots=True, eq=False)
class IntegerNetwork:
    """Integer populations and projections; time in ticks."""

    name: str
    timestep: float
    ticks: int
    number_format: NumberFormat
    populations: Mapping[str, IntegerPopulation]
    projections: tuple[IntegerProjection, ...]

    def projections_to(self, name: str) -> tuple[IntegerProjection, ...]:
        """Return the projections into a population, in order."""
        return tuple(p for p in self.projections if p.target == name)

    def synapses(self, projection: IntegerProjection) -> Synapses:
        """Return every structural synapse of a projection, those of weight 0 included."""
        source, target = self.populations[projection.source], self.populations[projection.target]
        return PATTERNS[projection.pattern.kind].synapses(projection.pattern, source.size, target.size)

    def fan_in(self, name: str) -> NDArray[np.int64]:
        """Return how many distinct neurons each neuron of a population receives synapses from, (n,)."""
        first, total = {}, 0
        for p in self.populations.values():
            first[p.name] = total
            total += p.size
        pairs = [np.zeros(0, np.int64)]
        for q in self.projections_to(name):
            synapses = self.synapses(q)
            pairs.append(np.unique(synapses.target * total + first[q.source] + synapses.source))
        distinct = np.unique(np.concatenate(pairs))
        return np.bincount(distinct // max(total, 1), minlength=self.populations[name].size)

    def verify(self, stage: str) -> None:
        """Re-derive that every integer lies inside the number format and every shape follows from the populations."""
        form = self.number_format

        def claim(truth: bool, what: str) -> None:
            if not truth:
                raise broken_invariant(stage, what)

        for p in self.populations.values():
            if p.is_input:
                continue
            claim(set(p.parameters) == set(COMPARTMENT), f"'{p.name}' has the parameters {COMPARTMENT}")
            for key, value in p.parameters.items():
                claim(
                    value.dtype == np.int64 and value.shape in ((), (p.size,)), f"'{p.name}'.{key} is int64, one or per neuron"
                )
            for key, low, high in compartment_ranges(form) if form.checked else ():
                value = p.parameters[key]
                claim(bool((value >= low).all() and (value <= high).all()), f"'{p.name}'.{key} lies in {low}..{high}")
        for q in self.projections:
            source, target = self.populations[q.source], self.populations[q.target]
            kind = PATTERNS[q.pattern.kind]
            claim(
                q.mantissa.shape == kind.weight_shape(q.pattern, source.size, target.size),
                f"'{q.name}' has its pattern's shape",
            )
            claim(
                q.delay.shape in ((), q.mantissa.shape) and (q.delay.size == 0 or int(q.delay.min()) >= 0),
                f"'{q.name}' has delays >= 0",
            )
            if form.checked:
                claim(q.mantissa.dtype == (np.int8 if q.sign_mode == "mixed" else np.uint8), f"'{q.name}' is stored in 8 bits")
                claim(form.weight_exp_min <= q.exponent <= form.weight_exp_max, f"the exponent of '{q.name}' is in range")
                claim(q.weight_bits <= form.weight_bits, f"'{q.name}' has at most {form.weight_bits} weight bits")
                low, high = weight_range(q.sign_mode, q.weight_bits)
                inside = q.mantissa.size == 0 or low <= int(q.weights.min()) <= int(q.weights.max()) <= high
                claim(bool(inside), f"the weights of '{q.name}' lie in {low}..{high}")
                if q.exponent < 0:
                    claim(not (q.weights % (1 << -q.exponent)).any(), f"'{q.name}' loses no bit by its negative exponent")


def compartment_ranges(form: NumberFormat) -> tuple[tuple[str, int, int], ...]:
    """Return (parameter, smallest, largest) of the dynamics ``compartment`` in a number format."""
    return (
        ("du", 0, form.decay_one - 1),
        ("dv", 0, form.decay_one - 1),
        ("vth", 0, form.threshold_max),
        ("bias_mant", -form.bias_max, form.bias_max),
        ("bias_exp", 0, form.bias_exp_max),
        ("u_init", -(form.u_max - 1), form.u_max - 1),
        ("v_init", -form.v_max, form.v_max),
    )


def weight_shift(sign_mode: str, weight_bits: int) -> int:
    """Return how many low bits of an 8-bit weight a format of ``weight_bits`` does not store."""
    return 8 - weight_bits + (1 if sign_mode == "mixed" else 0)


def weight_range(sign_mode: str, weight_bits: int) -> tuple[int, int]:
    """Return the smallest and largest weight of a format, at 8-bit scale."""
    shift = weight_shift(sign_mode, weight_bits)
    if sign_mode == "mixed":
        half = 1 << (weight_bits - 1)
        return -half << shift, (half - 1) << shift
    top = ((1 << weight_bits) - 1) << shift
    return (0, top) if sign_mode == "excitatory" else (-top, 0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about one register of a population (``accumulator``, ``u`` or ``v``) staying inside its width."""

    population: str
    register: str
    kind: Literal["proved always", "proved for T ticks", "observed"]
    bound: int
    """Largest magnitude: proved, or seen."""
    limit: int
    ticks: int | None = None
    """For ``proved for T ticks``: for how many at least."""
    samples: int = 0

    @property
    def proved(self) -> bool:
        """Whether no clip or wrap can happen in a sample of the declared length."""
        return self.kind != "observed"


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """What became of one population: ``integer = real * scale`` for thresholds, ``* scale << state_shift`` for states."""

    population: str
    scale: float
    rows: tuple[tuple[str, str, str], ...]
    """(what, the real value, the integer and its effective value), as printed."""


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedNetwork:
    """The integer network of the logical populations, with what each float became."""

    network: IntegerNetwork
    scales: Mapping[str, Scale]
    verdicts: tuple[Verdict, ...]
    warnings: tuple[str, ...] = ()

    def verify(self) -> QuantizedNetwork:
        """Check the claims of the type and return it."""
        self.network.verify("quantize")
        for name, population in self.network.populations.items():
            if not population.is_input:
                registers = {v.register for v in self.verdicts if v.population == name}
                if registers != {"accumulator", "u", "v"}:
                    raise broken_invariant("quantize", f"every register of '{name}' has a verdict")
        return self
