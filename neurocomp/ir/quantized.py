"""The integer network: what the reference executes, whether quantized (logical) or lowered (the chip's own parts)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Location, broken_invariant
from neurocomp.hardware import NumberFormat
from neurocomp.ir.host import HostCurrent
from neurocomp.models.neurons import program_of
from neurocomp.models.patterns import PATTERNS, Pattern, Shape, Synapses, blocks_of, form_problem, size_of

Array = NDArray[Any]
IntArray = NDArray[np.int64]
SignMode = Literal["mixed", "excitatory", "inhibitory"]

COMPARTMENT = ("du", "dv", "vth", "bias_mant", "bias_exp", "u_init", "v_init")
"""The integer parameters of the dynamics ``compartment``; `NumberFormat` writes out its update."""
TRUENORTH = (
    "alpha",
    "beta",
    "lambda",
    "c_lambda",
    "epsilon",
    "TM",
    "gamma",
    "kappa",
    "R",
    "V",
    "b",
    "symmetric",
    "seed",
    "key",
)
"""The integer parameters of the dynamics ``truenorth``, by the names of Cassidy et al. 2013; docs/semantics.md has its update.

``b``: whether synapses onto the neuron are stochastic (where a crossbar feeds it, the crossbar says so per axon type).
``symmetric``: the negative threshold acts at ``V <= -beta``, not below it alone. ``seed`` and ``key`` say which random numbers
the neuron draws: ``key`` is the number of the user's neuron.
"""
DYNAMICS: Mapping[str, tuple[str, ...]] = {
    "input": (),
    "current": (),
    "pulse": ("first", "count"),
    "axons": (),
    "compartment": COMPARTMENT,
    "ternary": (*COMPARTMENT, "vth_low"),
    "truenorth": TRUENORTH,
    "programmed": (),
}
"""The integer updates and their parameters.

``input``: a stimulus of spikes. ``current``: a stimulus of integers, constant over the ticks of a sample, that the host writes
beside the biases of the population that names it. ``pulse``: the host sends a spike in the ``count`` chip ticks from ``first``
on. ``axons``: active, for one tick, where at least one spike arrives; the input axons of crossbars, and lines that leave a
chip. ``ternary``: also sends -1, and resets, where ``v < (vth_low << state_shift)``. ``programmed``: the update of the neuron
model that the population names, whose parameters are `ProgrammedModel.integer_parameters`.
"""
REGISTERS: Mapping[str, tuple[str, ...]] = {
    "compartment": ("accumulator", "u", "v"),
    "ternary": ("accumulator", "u", "v"),
    "truenorth": ("v",),
    "programmed": ("accumulator", "u", "v"),
}
"""The registers of the dynamics that have a state."""


@dataclass(frozen=True, slots=True, eq=False)
class IntegerPopulation:
    """Neurons with integer state.

    ``dynamics`` names the integer update (`DYNAMICS`), whose ``parameters`` are int64, 0-d or (n,). In a tick, in this order:
    the start; the reset schedule; u; v, held where the neuron is refractory; the comparison, of neurons that are not
    refractory; the reset. docs/semantics.md writes it out.
    """

    name: str
    shape: tuple[int, ...]
    dynamics: str
    parameters: Mapping[str, Array]
    fires: bool = True
    """False: a readout that never spikes, whatever its potential."""
    reset: Literal["zero", "subtract", "none"] = "zero"
    """What a spike does to v: clear it, subtract the threshold (``vth << state_shift``), nothing."""
    compare: Literal[">", ">="] = ">"
    refractory: int = 0
    """Ticks after a spike, from the next one on, in which v keeps its value after the reset and no spike is sent; u goes on."""
    reset_interval: int | None = None
    """u, v and refractory counters are cleared before the update of tick ``reset_offset`` (0-based) and every interval on."""
    reset_offset: int = 0
    current: str | None = None
    """The population of dynamics ``current`` whose value per neuron is added to v, like a bias, in each tick of its window."""
    start: int = 0
    """The tick before whose update the processor writes ``u_init`` and ``v_init``; the population does nothing until then.

    u and v are 0 up to it, no spike is sent, what arrives is lost. A lowered population starts in tick 0 or in its lag.
    """
    compartments: int = 1
    """Compartments of the chip per neuron; 2: the second one holds what a reset by subtraction takes off."""
    has_current: bool = False
    """The user's model has a current, so that ``u`` is among its results."""
    codebook: Array | None = None
    """Where plain weights were made of them: (n, m) values per neuron, of which each weight is a sum, each at most once."""
    program: str | None = None
    """Of the dynamics ``programmed``: the neuron model whose step its neurons execute."""
    origin: Location | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return size_of(self.shape)

    @property
    def is_input(self) -> bool:
        """Whether the host feeds it."""
        return self.dynamics in ("input", "current", "pulse")

    @property
    def has_neurons(self) -> bool:
        """Whether it has a state: neither the host's nor axons."""
        return self.dynamics in REGISTERS

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The parameters that it has."""
        return DYNAMICS[self.dynamics] if self.program is None else program_of(self.program).integer_parameters

    @property
    def profile(self) -> tuple[Array, Array, Array]:
        """Decay of the current, of the potential, and threshold, as cores share them; 0 where it has none."""
        none = np.zeros((), np.int64)
        du, dv, vth = (self.parameters.get(name, none) for name in ("du", "dv", "vth"))
        return du, dv, vth

    def values(self, name: str) -> Array:
        """Return a parameter as int64 (n,)."""
        return np.broadcast_to(self.parameters[name], (self.size,))


@dataclass(frozen=True, slots=True)
class IntegerFactor:
    """``variable + constant`` or its sign, as `neurocomp.models.learning.Factor`, in integers."""

    variable: str
    constant: int = 0
    sign: bool = False

    @property
    def bits(self) -> int:
        """Bits of the variable without its sign: the factor saturates at -2**bits and 2**bits - 1."""
        return 9 if self.variable in ("w", "t") else 7


@dataclass(frozen=True, slots=True)
class IntegerProduct:
    """``mantissa * 2**(exponent - 7) * condition * factors``, in steps of 1/128 of a weight."""

    condition: str
    mantissa: int
    exponent: int
    factors: tuple[IntegerFactor, ...] = ()
    decimation: int = 0

    @property
    def shift(self) -> int:
        """Low bits that the product of mantissa and factors loses before it is shifted by the exponent."""
        return max(0, sum(factor.bits for factor in self.factors) + MANTISSA_BITS - ACCUMULATOR_BITS)


@dataclass(frozen=True, slots=True)
class IntegerTrace:
    """A trace of 7 bits: what a spike adds, in 256ths, and the factor that it keeps per tick, a float64."""

    impulse: int
    keep: float
    tau: float
    """The time constant in ticks that ``keep`` was made of; inf: no decay."""


MANTISSA_BITS, ACCUMULATOR_BITS = 4, 15
MANTISSAS, EXPONENTS = (-7, 7), (0, 15)
MOST_PRODUCT_BITS = 31
"""Of a product before its shift: the words of 32 bits that it is computed in."""
TAG_RANGE = (-257, 255)
TRACE_MAX = 127


@dataclass(frozen=True, slots=True, eq=False)
class IntegerLearning:
    """How the weights of a projection learn, in the integers of lava-nc 0.10.0's fixed-point LearningDense.

    docs/semantics.md writes out the arithmetic and what happens in which tick.
    """

    traces: Mapping[str, IntegerTrace]
    weights: tuple[IntegerProduct, ...]
    tags: tuple[IntegerProduct, ...]
    modulators: tuple[str, ...]
    epoch: int
    seed: int
    across_samples: bool
    modulator_delay: int = 0
    """Ticks from a value of the modulators to the step that reads it."""

    @property
    def products(self) -> tuple[IntegerProduct, ...]:
        """All products, those of weights first."""
        return (*self.weights, *self.tags)

    def as_json(self) -> dict[str, Any]:
        """Return all fields as JSON can hold them: an endless ``tau`` is null."""
        document = asdict(self)
        for trace in document["traces"].values():
            trace["tau"] = trace["tau"] if math.isfinite(trace["tau"]) else None
        return document


def learned_range(sign_mode: str) -> tuple[int, int]:
    """Return the smallest and the largest weight that learning reaches."""
    return {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}[sign_mode]


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
    pool: Pattern | None = None
    """A maximum over windows that the spikes of the source pass before the weights, in the same tick; no chip has it."""
    group_of: str | None = None
    """For an exponent group: the projection of the user, of whose largest weights it holds the part beyond that one."""
    origin: Location | None = None
    learning: IntegerLearning | None = None
    """How its weights move; ``mantissa`` then holds those of the start, and those learned have 9 bits and no shift."""

    @property
    def weights(self) -> Array:
        """The signed weights at 8-bit scale, int64, of the pattern's shape: eight times the memory of the mantissa."""
        return self.weights_of(slice(None))

    def weights_of(self, block: slice) -> Array:
        """Return some rows (of the first axis) of the weights."""
        values = self.mantissa[block].astype(np.int64) << self.shift
        return -values if self.sign_mode == "inhibitory" else values


AXON_TYPES = 4
"""Types of input axons; a neuron of a crossbar has a weight for each."""
ROW_BYTES = 32
"""Bytes of a crossbar's row: 256 neurons of a block, one bit each."""


@dataclass(frozen=True, slots=True, eq=False)
class Crossbar:
    """Blocks of input axons and neurons with a bit for each pair, as cores of the TrueNorth family hold them.

    An active axon i of block k adds ``s[j, types[i]]`` to each neuron j of the block whose bit is set, in the same tick; where
    ``b[j, types[i]]`` is set it adds the sign of the weight, with the probability ``(|s| + 1) / 256``.
    """

    name: str
    axons: str
    """The population of dynamics ``axons``."""
    neurons: str
    axon_start: IntArray
    """(blocks + 1,): block k has the axons ``axon_start[k] .. axon_start[k + 1] - 1``."""
    neuron_start: IntArray
    types: IntArray
    """(n_axons,), 0..3."""
    bits: NDArray[np.uint8]
    """(n_axons, 32): bit ``j % 8`` of byte ``j // 8`` belongs to the j-th neuron of the axon's block."""
    s: IntArray
    """(n_neurons, 4)."""
    b: IntArray
    """(n_neurons, 4), 0 or 1."""
    slots: IntArray
    """(n_axons,): what tells the random numbers of the axons apart; it names the user's synapse."""

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.axon_start) - 1

    def connected(self, block: int) -> NDArray[np.bool_]:
        """Return the bits of a block, (axons, neurons)."""
        axons, neurons = self.of(block)
        bits = np.unpackbits(self.bits[axons], axis=1, bitorder="little")
        return np.asarray(bits[:, : neurons.stop - neurons.start], np.bool_)

    def weights(self, block: int) -> IntArray:
        """Return what each axon of a block adds to each neuron where it is not stochastic, (axons, neurons)."""
        axons, neurons = self.of(block)
        return np.where(self.connected(block), self.s[neurons][:, self.types[axons]].T, 0)

    def of(self, block: int) -> tuple[slice, slice]:
        """Return the axons and the neurons of a block."""
        axons = slice(int(self.axon_start[block]), int(self.axon_start[block + 1]))
        return axons, slice(int(self.neuron_start[block]), int(self.neuron_start[block + 1]))

    @staticmethod
    def packed(bits: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Return bits (axons, neurons of the block) as `bits` holds them."""
        padded = np.zeros((len(bits), 8 * ROW_BYTES), np.bool_)
        padded[:, : bits.shape[1]] = bits
        return np.packbits(padded, axis=1, bitorder="little")


@dataclass(frozen=True, slots=True, eq=False)
class IntegerNetwork:
    """Integer populations and projections; time in ticks."""

    name: str
    timestep: float
    ticks: int
    number_format: NumberFormat
    populations: Mapping[str, IntegerPopulation]
    projections: tuple[IntegerProjection, ...]
    crossbars: tuple[Crossbar, ...] = ()
    """What joins axons to neurons on chips of crossbar cores."""
    outputs: tuple[str, ...] = ()
    """The populations whose spikes are read."""

    def projections_to(self, name: str) -> tuple[IntegerProjection, ...]:
        """Return the projections into a population, in order."""
        return tuple(p for p in self.projections if p.target == name)

    def shapes(self, projection: IntegerProjection) -> tuple[Shape, Shape]:
        """Return the shapes that a projection's pattern joins: of its source, or what its pool makes of it, and its target."""
        source, target = self.populations[projection.source].shape, self.populations[projection.target].shape
        if projection.pool is not None:
            pooled = PATTERNS[projection.pool.kind].output_shape(projection.pool, source, ())
            if pooled is None:
                raise broken_invariant("quantize", f"the pool of '{projection.name}' follows from its source")
            source = pooled
        return source, target

    def synapses(self, projection: IntegerProjection, neurons: NDArray[np.int64] | None = None) -> Synapses:
        """Return every structural synapse of a projection (onto some target neurons), those of weight 0 included."""
        return PATTERNS[projection.pattern.kind].synapses(projection.pattern, *self.shapes(projection), neurons)

    def sources(self, projection: IntegerProjection, neurons: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the distinct sources of some target neurons, ascending; through a pool, those of its windows."""
        shape, target = self.shapes(projection)
        return self.behind_pool(
            projection, PATTERNS[projection.pattern.kind].sources(projection.pattern, shape, target, neurons)
        )

    def behind_pool(self, projection: IntegerProjection, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the distinct neurons of the source behind those that the pattern starts from; without a pool they are it."""
        if projection.pool is None:
            return places
        pool, source = projection.pool, self.populations[projection.source].shape
        return PATTERNS[pool.kind].sources(pool, source, self.shapes(projection)[0], places)

    def synapse_counts(self, projection: IntegerProjection) -> NDArray[np.int64]:
        """Return how many structural synapses each target neuron has, (n_target,)."""
        return PATTERNS[projection.pattern.kind].count(projection.pattern, *self.shapes(projection))

    def fan_in(self, name: str) -> NDArray[np.int64]:
        """Return how many distinct neurons each neuron of a population receives synapses from, (n,)."""
        size = self.populations[name].size
        result = np.zeros(size, np.int64)
        by_source: dict[str, list[IntegerProjection]] = {}
        for q in self.projections_to(name):
            by_source.setdefault(q.source, []).append(q)
        for source, projections in by_source.items():
            if len(projections) == 1 and projections[0].pattern.kind != "sparse":
                result += self.synapse_counts(projections[0])
                continue
            n_source = self.populations[source].size
            for start in range(0, size, step := max(1, (1 << 22) // max(1, n_source))):
                neurons = np.arange(start, min(start + step, size))
                lists = [self.synapses(q, neurons) for q in projections]
                pairs = np.unique(np.concatenate([s.target * n_source + s.source for s in lists]))
                result += np.bincount(pairs // n_source, minlength=size)
        return result

    def verify(self, stage: str) -> None:
        """Re-derive that every integer lies inside the number format and every shape follows from the populations."""
        form = self.number_format

        def claim(truth: bool, what: str) -> None:
            if not truth:
                raise broken_invariant(stage, what)

        for p in self.populations.values():
            claim(len(p.shape) > 0 and all(extent > 0 for extent in p.shape), f"'{p.name}' has extents >= 1")
        for p in self.populations.values():
            claim(p.dynamics in DYNAMICS, f"the dynamics '{p.dynamics}' of '{p.name}' are known")
            if p.dynamics in ("input", "current"):
                continue
            claim(p.compartments in (1, 2), f"a neuron of '{p.name}' has one or two compartments")
            claim((p.program is not None) == (p.dynamics == "programmed"), f"'{p.name}' names a program where it has one")
            claim(set(p.parameters) == set(p.parameter_names), f"'{p.name}' has the parameters {p.parameter_names}")
            driven = p.current is None or (
                self.populations[p.current].dynamics == "current" and self.populations[p.current].size == p.size
            )
            claim(driven, f"the current of '{p.name}' has a value per neuron")
            claim(p.compartments in (1, 2), f"a neuron of '{p.name}' has one compartment or two")
            claim(min(p.refractory, p.reset_offset, p.start) >= 0, f"'{p.name}' has no negative times")
            claim(p.refractory < 1 << 31, f"'{p.name}' rests for less than 2**31 ticks")
            claim(p.reset_interval is None or p.reset_interval > 0, f"'{p.name}' has a positive reset interval")
            for key, value in p.parameters.items():
                claim(
                    value.dtype == np.int64 and value.shape in ((), (p.size,)), f"'{p.name}'.{key} is int64, one or per neuron"
                )
            ranges = compartment_ranges(form, p.dynamics) if p.program is None else program_ranges(p.program)
            for key, low, high in ranges if form.checked else ():
                value = p.parameters[key]
                claim(bool((value >= low).all() and (value <= high).all()), f"'{p.name}'.{key} lies in {low}..{high}")
        for q in self.projections:
            kind = PATTERNS[q.pattern.kind]
            claim(kind.linear, f"the pattern of '{q.name}' is a weighted sum")
            for pattern in (q.pattern, q.pool):
                problem = form_problem(pattern) if pattern is not None else None
                claim(problem is None, f"the pattern of '{q.name}' is whole: {problem}")
            source, target = self.shapes(q)
            problem = kind.problem(q.pattern, source, target)
            if q.pool is not None:
                problem = PATTERNS[q.pool.kind].problem(q.pool, self.populations[q.source].shape, source) or problem
            claim(problem is None, f"the pattern of '{q.name}' joins its populations: {problem}")
            claim(q.mantissa.shape == kind.weight_shape(q.pattern, source, target), f"'{q.name}' has its pattern's shape")
            claim(
                q.delay.shape in ((), q.mantissa.shape) and (q.delay.size == 0 or int(q.delay.min()) >= 0),
                f"'{q.name}' has delays >= 0",
            )
            if q.pool is not None:
                claim(not PATTERNS[q.pool.kind].linear and q.binary, f"the pool of '{q.name}' is a maximum of 0 and 1")
            if q.learning is not None:
                self._verify_learning(q, q.learning, claim)
            if self.crossbars:
                whole = q.mantissa.dtype == np.uint8 and int(q.mantissa.max(initial=0)) <= 1 and q.shift == q.exponent == 0
                claim(whole, f"'{q.name}' sends packets, with weight 0 where schedulers drop them")
            elif form.plain_weights and form.checked:
                low, high = -form.weight_max, form.weight_max
                claim(q.mantissa.dtype == np.int16 and q.shift == q.exponent == 0, f"'{q.name}' holds its weights as they are")
                for block in blocks_of(q.mantissa):
                    found = q.mantissa[block]
                    inside = low <= int(found.min()) <= int(found.max()) <= high
                    claim(inside, f"the weights of '{q.name}' lie in {low}..{high}")
            elif form.checked:
                claim(q.mantissa.dtype == (np.int8 if q.sign_mode == "mixed" else np.uint8), f"'{q.name}' is stored in 8 bits")
                claim(form.weight_exp_min <= q.exponent <= form.weight_exp_max, f"the exponent of '{q.name}' is in range")
                claim(1 <= q.weight_bits <= form.weight_bits, f"'{q.name}' has 1..{form.weight_bits} weight bits")
                claim(0 <= q.shift <= 8, f"'{q.name}' stores its weights without 0..8 low bits")
                low, high = weight_range(q.sign_mode, q.weight_bits)
                for block in blocks_of(q.mantissa):
                    values = q.weights_of(block)
                    inside = low <= int(values.min()) <= int(values.max()) <= high
                    claim(inside, f"the weights of '{q.name}' lie in {low}..{high}")
                    if q.exponent < 0:
                        claim(not (values % (1 << -q.exponent)).any(), f"'{q.name}' loses no bit by its negative exponent")
        for c in self.crossbars:
            self._verify_crossbar(c, claim)

    def _verify_learning(self, q: IntegerProjection, learning: IntegerLearning, claim: Callable[[bool, str], None]) -> None:
        claim(q.delay.shape == () and q.pool is None and q.binary, f"'{q.name}' learns from spikes, with one delay")
        claim(q.pattern.kind in ("dense", "sparse", "one_to_one"), f"each synapse of '{q.name}' has its own weight")
        claim(1 <= learning.epoch <= 63 and learning.modulator_delay >= 0, f"the epochs of '{q.name}' have 1..63 ticks")
        claim(set(learning.traces) <= {"x1", "x2", "y1", "y2", "y3"}, f"the traces of '{q.name}' are known")
        for trace in learning.traces.values():
            claim(0 <= trace.impulse <= TRACE_MAX << 8 and 0.0 <= trace.keep <= 1.0, f"the traces of '{q.name}' have 7 bits")
        claim(len({p.decimation for p in learning.products if p.condition == "u"}) <= 1, f"'{q.name}' has one decimation")
        for p in learning.products:
            inside = MANTISSAS[0] <= p.mantissa <= MANTISSAS[1] and EXPONENTS[0] <= p.exponent <= EXPONENTS[1]
            claim(inside, f"the products of '{q.name}' have mantissas of 4 bits")
            bits = sum(factor.bits for factor in p.factors) + MANTISSA_BITS
            claim(p.condition in ("x0", "y0", "u") and bits <= MOST_PRODUCT_BITS, f"the products of '{q.name}' fit 32 bits")
        sizes = (1, self.populations[q.target].size)
        for name in learning.modulators:
            claim(name in self.populations and self.populations[name].size in sizes, f"'{q.name}' is modulated by a population")
        low, high = learned_range(q.sign_mode)
        for block in blocks_of(q.mantissa):
            values = q.weights_of(block)
            claim(
                low <= int(values.min()) and int(values.max()) <= high, f"the weights of '{q.name}' start within {low}..{high}"
            )

    def _verify_crossbar(self, c: Crossbar, claim: Callable[[bool, str], None]) -> None:
        axons, neurons = self.populations.get(c.axons), self.populations.get(c.neurons)
        ends = axons is not None and neurons is not None and axons.dynamics == "axons" and neurons.dynamics == "truenorth"
        claim(ends, f"the crossbar '{c.name}' joins axons to neurons")
        assert axons is not None
        assert neurons is not None
        claim(c.types.shape == c.slots.shape == (axons.size,), f"the crossbar '{c.name}' has a type for each axon")
        claim(c.bits.shape == (axons.size, ROW_BYTES) and c.bits.dtype == np.uint8, f"'{c.name}' has a row for each axon")
        claim(c.s.shape == c.b.shape == (neurons.size, AXON_TYPES), f"'{c.name}' has four weights for each neuron")
        claim(bool(((c.types >= 0) & (c.types < AXON_TYPES)).all()), f"the axon types of '{c.name}' are 0..3")
        claim(bool(((c.b == 0) | (c.b == 1)).all()), f"the modes of the synapses of '{c.name}' are 0 or 1")
        for start, size in ((c.axon_start, axons.size), (c.neuron_start, neurons.size)):
            steps = np.diff(start)
            whole = len(start) == c.blocks + 1 and int(start[0]) == 0 and int(start[-1]) == size and bool((steps >= 0).all())
            claim(whole, f"the blocks of '{c.name}' follow one another")
        claim(int(np.diff(c.neuron_start).max(initial=0)) <= 8 * ROW_BYTES, f"a block of '{c.name}' has at most 256 neurons")
        if self.number_format.checked:
            largest = (1 << self.number_format.weight_bits) - 1
            claim(int(np.abs(c.s).max(initial=0)) <= largest, f"the weights of '{c.name}' lie in -{largest}..{largest}")


def synapse_slot(projection: int, source: IntArray) -> IntArray:
    """Return what names the random numbers of stochastic synapses.

    Args:
        projection: The number of the projection in the quantized network.
        source: Index in what its pattern starts from.
    """
    return np.asarray((projection << 24 | source) & 0xFFFFFFFF, np.int64)


def compartment_ranges(form: NumberFormat, dynamics: str = "compartment") -> tuple[tuple[str, int, int], ...]:
    """Return (parameter, smallest, largest) of the parameters of some dynamics in a number format."""
    threshold = form.threshold_max
    if dynamics == "truenorth":
        half = 1 << (form.v_bits - 1)
        return (
            ("alpha", 0, threshold),
            ("beta", 0, threshold),
            ("lambda", -form.bias_max, form.bias_max),
            ("c_lambda", 0, 1),
            ("epsilon", 0, 1),
            ("TM", 0, form.threshold_bits),
            ("gamma", 0, 2),
            ("kappa", 0, 1),
            ("R", -threshold, threshold),
            ("V", -half, half - 1),
            ("b", 0, 1),
            ("symmetric", 0, 1),
            ("seed", 0, (1 << 32) - 1),
            ("key", 0, (1 << 32) - 1),
        )
    if dynamics == "pulse":
        return (("first", 0, (1 << 31) - 1), ("count", 0, (1 << 31) - 1))
    ranges = (
        ("du", 0, form.decay_one - 1),
        ("dv", 0, form.decay_one - 1),
        ("vth", 0, form.threshold_max),
        ("bias_mant", -form.bias_max, form.bias_max),
        ("bias_exp", 0, form.bias_exp_max),
        ("u_init", -(form.u_max - 1), form.u_max - 1),
        ("v_init", -form.v_max, form.v_max),
        ("vth_low", -form.threshold_max, 0),
    )
    return tuple(entry for entry in ranges if entry[0] in DYNAMICS[dynamics])


def program_ranges(name: str) -> tuple[tuple[str, int, int], ...]:
    """Return (parameter, smallest, largest) of the integers of a programmed neuron model."""
    model = program_of(name)
    starts = [(f"{array}_init", r.low, r.high) for array, r in zip(("v", "u"), model.registers, strict=False)]
    if len(starts) == 1:
        starts.append(("u_init", 0, 0))
    draws = [(key, 0, (1 << 32) - 1) for key in ("seed", "key") if key in model.integer_parameters]
    words = [(word, low, high) for word, (low, high) in model.words.items()]
    return (("bias", -(1 << 31), (1 << 31) - 1), *starts, *draws, *words)


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
    """What became of one population: ``integer = real * scale`` for thresholds, ``* scale << state_shift`` for states.

    Where rows list ``neuron scales``, weights, threshold, bias and state of a neuron are larger by its own power of two; on
    crossbars each neuron has a scale of its own, of which this is the median.
    """

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
    currents: Mapping[str, HostCurrent] = field(default_factory=dict)
    """Population of dynamics ``current`` -> how the host makes its values of the user's analog inputs."""

    def verify(self) -> QuantizedNetwork:
        """Check the claims of the type and return it."""
        self.network.verify("quantize")
        registers: dict[str, set[str]] = {}
        for verdict in self.verdicts:
            registers.setdefault(verdict.population, set()).add(verdict.register)
        for name, population in self.network.populations.items():
            if population.has_neurons and registers.get(name) != set(REGISTERS[population.dynamics]):
                raise broken_invariant("quantize", f"every register of '{name}' has a verdict")
        for name, current in self.currents.items():
            p = self.network.populations.get(name)
            target = self.network.populations.get(current.target)
            if p is None or target is None or p.dynamics != "current" or target.current != name or p.shape != target.shape:
                raise broken_invariant("quantize", f"the current '{name}' drives the population that it is made for")
            if not (0 <= current.mantissa_bits <= 32 and 0 <= current.exponent_max <= 24):
                raise broken_invariant("quantize", f"the current '{name}' fits a register")
        return self
