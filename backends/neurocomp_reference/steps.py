"""The arithmetic of one tick: every formula of docs/semantics.md, once, in plain numpy.

Everything is int64, in which no intermediate value overflows; a register of the simulated machine that is narrower says so by
calling `wrap`. The formulas are those of lava-nc 0.10.0's fixed-point LIF and connections, whose variables are 32-bit words; on
values inside a chip's number format these words never overflow. "Overflow" always means: the register holds another number
than unbounded integers would give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, EngineUnavailable
from neurocomp.hardware import NumberFormat
from neurocomp.ir.programs import NeuronProgram, neuron_program
from neurocomp.ir.quantized import Crossbar, IntegerPopulation, IntegerProjection

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
WORD = 32
"""Bits of the words in which Lava's models keep what they compute."""


# Integer arithmetic


def wrap(values: IntArray, bits: int) -> IntArray:
    """Return ``values`` as two's complement numbers of ``bits`` bits.

    >>> wrap(np.array([127, 128, -129]), 8)
    array([ 127, -128,  127])
    """
    half = 1 << (bits - 1)
    return np.asarray((values + half) % (2 * half) - half)


def fold(values: IntArray, bits: int) -> IntArray:
    """Bring ``values`` back once: subtract 2**bits above 2**(bits - 1), add it at or below -2**(bits - 1).

    Lava's way of overflowing u. It differs from `wrap` at 2**(bits - 1), which stays, and where one fold is not enough.

    >>> fold(np.array([128, 129, -127, -128, 400]), 8)
    array([ 128, -127, -127,  128,  144])
    """
    half = 1 << (bits - 1)
    return np.where(values > half, values - 2 * half, np.where(values <= -half, values + 2 * half, values))


def shift(values: IntArray, exponent: IntArray | int) -> IntArray:
    """Return ``values`` << exponent, or for a negative exponent ``values`` >> -exponent, rounded to minus infinity.

    >>> shift(np.array([5, -5]), 2), shift(np.array([5, -5]), -1)
    (array([ 20, -20]), array([ 2, -3]))
    """
    left, right = np.maximum(exponent, 0), np.maximum(np.negative(exponent), 0)
    return np.asarray((values << left) >> right)


def decayed(state: IntArray, decay: IntArray, bits: int) -> IntArray:
    """Return ``state * (2**bits - decay) / 2**bits``, rounded toward zero; a decay of 2**bits clears the state.

    >>> decayed(np.array([100, -100]), np.array([410, 410]), bits=12)
    array([ 89, -89])
    """
    product = state * ((1 << bits) - decay)
    return np.asarray(np.sign(product) * (np.abs(product) >> bits))


# Random numbers

SYNAPSE, LEAK, THRESHOLD, PROGRAM = 2, 3, 4, 5
"""What a random number is for."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Which draws a tick makes."""

    samples: IntArray
    """The numbers of the samples, (samples,)."""
    tick: int
    """In the population's own time: without its lag, so that it may be negative."""


def philox(counter: tuple[IntArray, ...], key: tuple[IntArray, ...]) -> IntArray:
    """Return the first word of Philox-4x32-10 (Salmon et al., SC 2011); all words are 32 bits and broadcast.

    >>> hex(int(philox((np.int64(0),) * 4, (np.int64(0),) * 2)))
    '0x6627e8d5'
    """
    mask = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = (np.asarray(word, np.uint64) & mask for word in counter)
    k0, k1 = (np.asarray(word, np.uint64) & mask for word in key)
    for _ in range(10):
        first, second = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (second >> np.uint64(32)) ^ c1 ^ k0, second & mask, (first >> np.uint64(32)) ^ c3 ^ k1, first & mask
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & mask, (k1 + np.uint64(0xBB67AE85)) & mask
    return np.asarray(c0, np.int64)


def draw(population: IntegerPopulation, purpose: int, clock: Clock) -> IntArray:
    """Return one random word for each sample and neuron, (samples, n)."""
    counter = (population.values("key"), np.int64(clock.tick), clock.samples[:, None], np.int64(purpose << 24))
    return philox(counter, (population.values("seed"), np.int64(0)))


# Synapses: the weighted sums of one pattern


Shape = tuple[int, ...]
HELD_WEIGHTS = 1 << 24
"""Up to so many weights, all delays together, a matrix is held as float64; parts of a larger one are made when needed."""
BLOCK_WEIGHTS = 1 << 21
"""Matrices are worked through in blocks of about so many weights."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of a projection, in the places of the pattern, whose synapses have one delay; 0 in all other places."""

    projection: IntegerProjection
    delay: int

    def rows(self, block: slice = slice(None)) -> IntArray:
        """Return some rows of the weights' first axis."""
        values = self.projection.weights_of(block)
        each = self.projection.delay
        return np.where(each[block] == self.delay, values, 0) if each.ndim else values


@dataclass(frozen=True, slots=True)
class Sums:
    """What a pattern makes of spikes."""

    of: Callable[[IntArray], IntArray]
    """Spikes (samples, n_source) -> weighted sums (samples, n_target)."""
    terms: int
    """How many numbers the largest array on the way holds per sample."""


def matrix_product(left: FloatArray, right: FloatArray, bound: int) -> IntArray:
    """Return ``left @ right`` of whole numbers, exactly.

    numpy has fast code for float64. It is exact here: where the largest possible sum of magnitudes is below 2**53, each
    product and partial sum is a float64, so that nothing is ever rounded, in whatever order the products are added. Beyond
    that bound the product runs in int64.

    Args:
        left: Whole numbers below 2**53.
        right: The same.
        bound: No sum of magnitudes of products is larger.
    """
    if bound < 1 << 53:
        return np.asarray((left @ right).astype(np.int64))
    return np.asarray(left.astype(np.int64) @ right.astype(np.int64))


def largest(values: IntArray) -> int:
    """Return the largest magnitude."""
    return int(np.abs(values).max(initial=0))


def dense(weights: Weights, source: Shape, target: Shape) -> Sums:
    """Every source reaches every target; weights (n_target, n_source)."""
    n_target, n_source = math.prod(target), math.prod(source)
    step = max(1, BLOCK_WEIGHTS // max(1, n_source))
    blocks = [slice(start, start + step) for start in range(0, n_target, step)]
    row = max((largest(np.abs(weights.rows(block)).sum(axis=1)) for block in blocks), default=0)

    def columns(block: slice) -> FloatArray:
        return np.asarray(weights.rows(block).T, np.float64)

    n_delays = len(np.unique(weights.projection.delay))
    held = [columns(block) for block in blocks] if n_target * n_source * n_delays <= HELD_WEIGHTS else None

    def sums(spikes: IntArray) -> IntArray:
        result = np.zeros((len(spikes), n_target), np.int64)
        sent, bound = spikes.astype(np.float64), row * largest(spikes)
        for number, block in enumerate(blocks):
            matrix = held[number] if held is not None else columns(block)
            result[:, block] = matrix_product(sent, matrix, bound)
        return result

    return Sums(sums, n_source + n_target)


def one_to_one(weights: Weights, source: Shape, target: Shape) -> Sums:
    """Source i reaches target i; weights (n,)."""
    values = weights.rows()
    return Sums(lambda spikes: np.asarray(spikes * values), len(values))


def sparse(weights: Weights, source: Shape, target: Shape) -> Sums:
    """Synapse k leads from ``sources[k]`` to ``targets[k]``; weights (n_synapses,); equal pairs add up."""
    values, arrays = weights.rows(), weights.projection.pattern.arrays
    present = values != 0
    sources, targets, values = arrays["sources"][present], arrays["targets"][present], values[present]

    def sums(spikes: IntArray) -> IntArray:
        total = np.zeros((math.prod(target), len(spikes)), np.int64)
        np.add.at(total, targets, (spikes[:, sources] * values).T)
        return np.asarray(total.T)

    return Sums(sums, len(values) + math.prod(target))


def block(weights: Weights, source: Shape, target: Shape) -> Sums:
    """The k sources ``indices[b]`` reach the m targets b m .. (b + 1) m - 1; weights (blocks, m, k)."""
    indices, values = weights.projection.pattern.arrays["indices"], weights.rows()
    matrices, row = values.astype(np.float64), int(np.abs(values).sum(axis=2).max(initial=0))

    def sums(spikes: IntArray) -> IntArray:
        gathered = spikes[:, indices].transpose(1, 2, 0).astype(np.float64)  # (blocks, k, samples)
        found = matrix_product(matrices, gathered, row * largest(spikes))  # (blocks, m, samples)
        return np.asarray(found.reshape(-1, len(spikes)).T)

    return Sums(sums, indices.size + math.prod(target))


def convolution(weights: Weights, source: Shape, target: Shape) -> Sums:
    """A window slides over the axes behind the channels, its kernel not flipped; weights (out, in / groups, *kernel).

    In one dimension, with groups 1: target (o, x) receives the sum over c and k of ``weights[o, c, k]`` times source
    ``(c, x * stride + k * dilation - padding)``, nothing where that is outside. Output channels fall into ``groups`` equal
    parts, each of which sees its own part of the input channels.
    """
    options = weights.projection.pattern.options
    (groups,), values = options["groups"], weights.rows()
    out, per_group = values.shape[0] // groups, values.shape[1]
    row = int(np.abs(values).reshape(len(values), -1).sum(axis=1).max(initial=0))
    offsets = []
    for number, place in enumerate(np.ndindex(*options["kernel"])):
        matrix = values.reshape(len(values), per_group, -1)[:, :, number]
        if matrix.any():
            seen = window(place, target[1:], options["stride"], options["dilation"])
            offsets.append((seen, matrix.reshape(groups, out, per_group).astype(np.float64)))

    def sums(spikes: IntArray) -> IntArray:
        samples, peak = len(spikes), largest(spikes)
        image = padded(spikes, source, options["padding"]).astype(np.float64)
        total = np.zeros((samples, groups, out, math.prod(target[1:])), np.int64)
        for seen, matrix in offsets:
            columns = image[seen].reshape(samples, groups, per_group, -1)
            total += matrix_product(matrix, columns, row * peak)
        return total.reshape(samples, -1)

    return Sums(sums, padded_size(source, options["padding"]) + (source[0] + 2 * target[0]) * math.prod(target[1:]))


def maximum(options: Mapping[str, Shape], source: Shape) -> tuple[Sums, Shape]:
    """Return the maximum of spikes 0 or 1 over windows of each channel, and the shape (channels, *extents) it makes.

    Nothing outside of the source spikes.
    """
    kernel, stride, padding = options["kernel"], options["stride"], options["padding"]
    extents = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(source[1:], kernel, stride, padding, strict=True))
    target = (source[0], *extents)

    def maxima(spikes: IntArray) -> IntArray:
        image = padded(spikes, source, padding)
        result = np.zeros((len(spikes), *target), np.int64)
        for place in np.ndindex(*kernel):
            np.maximum(result, image[window(place, extents, stride, (1,) * len(kernel))], out=result)
        return result.reshape(len(spikes), -1)

    return Sums(maxima, padded_size(source, padding) + math.prod(target)), target


def padded(spikes: IntArray, source: Shape, padding: Shape) -> IntArray:
    """Return spikes (samples, n_source) as (samples, *source) with ``padding`` zeros on both sides of each axis."""
    return np.pad(spikes.reshape(len(spikes), *source), [(0, 0), (0, 0), *((p, p) for p in padding)])


def padded_size(source: Shape, padding: Shape) -> int:
    """Return how many numbers of a sample `padded` makes."""
    return source[0] * math.prod(n + 2 * p for n, p in zip(source[1:], padding, strict=True))


def window(place: Shape, extents: Shape, stride: Shape, dilation: Shape) -> tuple[slice, ...]:
    """Return what a position of the kernel sees of a padded image (samples, channels, *axes), for all ``extents`` at once."""
    axes = zip(place, extents, stride, dilation, strict=True)
    return (slice(None), slice(None), *(slice(k * d, k * d + (n - 1) * s + 1, s) for k, n, s, d in axes))


PATTERNS: dict[str, Callable[[Weights, Shape, Shape], Sums]] = {
    "dense": dense,
    "one_to_one": one_to_one,
    "sparse": sparse,
    "block": block,
    "conv1d": convolution,
    "conv2d": convolution,
}


@dataclass(frozen=True, slots=True)
class DelayGroup:
    """The synapses of one projection that share a delay."""

    source: str
    delay: int
    exponent: int
    binary: bool
    pool: Sums | None
    sums: Sums

    @classmethod
    def of(cls, projection: IntegerProjection, delay: int, source: Shape, target: Shape) -> DelayGroup:
        """Read the synapses with a delay; the shapes are those of the populations."""
        pool = None
        if projection.pool is not None:
            pool, source = maximum(projection.pool.options, source)
        sums = PATTERNS[projection.pattern.kind](Weights(projection, delay), source, target)
        return cls(projection.source, delay, projection.exponent, projection.binary, pool, sums)

    @property
    def terms(self) -> int:
        """How many numbers the largest array on the way holds per sample."""
        return max(self.sums.terms, self.pool.terms if self.pool is not None else 0)

    def activation(self, spikes: NDArray[np.int32], clock: Clock | None = None) -> IntArray:
        """Return what the group adds to its targets' input: the weighted sum, then shifted by the exponent.

        Args:
            spikes: What the source sent ``delay`` ticks ago, (samples, n_source).
            clock: For random numbers, of which it draws none.

        Returns:
            (samples, n_target). The sum is a 32-bit word, as in Lava; only values of graded spikes can fill it.
        """
        sent = (spikes != 0).astype(np.int64) if self.binary else spikes.astype(np.int64)
        if self.pool is not None:
            sent = self.pool.of(sent)
        return shift(wrap(self.sums.of(sent), WORD), self.exponent)


# Neurons: the compartment


@dataclass(frozen=True, slots=True)
class State:
    """What a population remembers from tick to tick; every array is (samples, n)."""

    u: IntArray
    """The current."""
    v: IntArray
    """The potential."""
    rest: IntArray
    """Ticks that a neuron stays refractory; 0: it is not."""

    @classmethod
    def first(cls, population: IntegerPopulation, samples: int) -> State:
        """Return the state in which a population starts: ``u_init``, ``v_init`` in Lava's 32-bit words, nobody refractory."""
        u, v = (np.tile(wrap(population.values(name), WORD), (samples, 1)) for name in ("u_init", "v_init"))
        return cls(u, v, np.zeros_like(u))

    def cleared(self) -> State:
        """Return the state after a reset by the clock."""
        return State(np.zeros_like(self.u), np.zeros_like(self.v), np.zeros_like(self.rest))


@dataclass(frozen=True, slots=True)
class Tick:
    """The outcome of one tick of a population; every array is (samples, n)."""

    state: State
    spikes: IntArray
    """1 where a neuron spiked, -1 where a ternary one did downwards."""
    overflows: Mapping[str, BoolArray]
    """Where a register (``accumulator``, ``u``, ``v``) left its width."""


@dataclass(frozen=True, slots=True)
class Compartment:
    """The current-based leaky integrate-and-fire compartment of `NumberFormat`, with a second threshold where it is ternary."""

    form: NumberFormat
    du: IntArray
    dv: IntArray
    bias: IntArray
    """The bias as it enters v: mantissa << exponent."""
    threshold: IntArray
    """The threshold as v is compared with it: vth << state_shift."""
    lower: IntArray | None
    """The threshold of spikes of -1, vth_low << state_shift; None: there are none."""
    fires: bool
    reset: str
    """What a spike does to v: ``zero``, ``subtract`` the threshold, ``none``."""
    inclusive: bool
    """Whether a potential at the threshold spikes (``>=``)."""
    refractory: int
    reset_interval: int | None
    reset_offset: int

    @classmethod
    def of(cls, population: IntegerPopulation, form: NumberFormat) -> Compartment:
        """Read the parameters of a population; mantissa and exponent of the bias are 16-bit words in Lava."""
        mantissa, exponent = (wrap(population.values(name), 16) for name in ("bias_mant", "bias_exp"))
        ternary = population.dynamics == "ternary"
        return cls(
            form,
            population.values("du"),
            population.values("dv"),
            wrap(shift(mantissa, np.clip(exponent, -WORD, WORD)), WORD),
            population.values("vth") << form.state_shift,
            population.values("vth_low") << form.state_shift if ternary else None,
            population.fires,
            population.reset,
            population.compare == ">=" and not ternary,
            population.refractory,
            population.reset_interval,
            population.reset_offset,
        )

    def first(self, population: IntegerPopulation, samples: int) -> State:
        """Return the state in which the population starts."""
        return State.first(population, samples)

    def is_cleared(self, t: int) -> bool:
        """Return whether the clock clears the state before the update of tick ``t``."""
        since = t - self.reset_offset
        return self.reset_interval is not None and since >= 0 and since % self.reset_interval == 0

    def step(self, state: State, activation: IntArray, current: IntArray | None = None, clock: Clock | None = None) -> Tick:
        """Advance by one tick.

        Args:
            state: After the last tick, or cleared.
            activation: The sum of all projections' activations of this tick, (samples, n).
            current: Added to v as a bias is, (samples, n); None: nothing.
            clock: For random numbers, of which it draws none.
        """
        form = self.form

        unbounded_u = decayed(state.u, self.du + form.current_decay_offset, form.decay_bits) + (activation << form.state_shift)
        overflow = fold if form.u_overflow == "fold" else wrap
        u = overflow(wrap(unbounded_u, WORD), form.u_bits)

        awake = state.rest == 0
        bias = self.bias if current is None else self.bias + current
        unbounded_v = decayed(state.v, self.dv, form.decay_bits) + u + bias
        most = (1 << (form.v_bits - 1)) - 1
        v = np.where(awake, np.clip(wrap(unbounded_v, WORD), -most, most), state.v)

        spikes = np.where(awake, self.compared(v), 0)
        rest = np.where(spikes != 0, self.refractory, np.maximum(state.rest - 1, 0))

        half = 1 << (form.accumulator_bits - 1)
        overflows = {
            "accumulator": (activation < -half) | (activation >= half),
            "u": u != unbounded_u,
            "v": awake & (v != unbounded_v),
        }
        return Tick(State(u, self.after_spikes(v, spikes), rest), spikes, overflows)

    def compared(self, v: IntArray) -> IntArray:
        """Return 1 where the potential is beyond the threshold, -1 where it is beyond the lower one, else 0."""
        if not self.fires:
            return np.zeros_like(v)
        above = v >= self.threshold if self.inclusive else v > self.threshold
        below = v < self.lower if self.lower is not None else np.zeros_like(above)
        return above.astype(np.int64) - below.astype(np.int64)

    def after_spikes(self, v: IntArray, spikes: IntArray) -> IntArray:
        """Return the potential after the reset of the neurons that spiked."""
        if self.reset == "none":
            return v
        if self.reset == "zero":
            return np.where(spikes != 0, 0, v)
        passed = self.threshold if self.lower is None else np.where(spikes < 0, self.lower, self.threshold)
        return np.where(spikes != 0, v - passed, v)


# Neurons: the TrueNorth neuron


@dataclass(frozen=True, slots=True)
class TrueNorthNeuron:
    """The neuron of Cassidy et al. 2013: integrate, leak, compare, reset, in this order.

    Its potential is a two's complement number of ``v_bits`` bits that saturates after integration and after the leak, which the
    publications leave open; a leak that overshoots 0 is not held there.
    """

    population: IntegerPopulation
    v_bits: int

    @classmethod
    def of(cls, population: IntegerPopulation, form: NumberFormat) -> TrueNorthNeuron:
        """Read the parameters of a population."""
        return cls(population, form.v_bits)

    def first(self, population: IntegerPopulation, samples: int) -> State:
        """Return the state in which a population starts."""
        v = np.tile(population.values("V"), (samples, 1))
        return State(np.zeros_like(v), v, np.zeros_like(v))

    def is_cleared(self, t: int) -> bool:
        """Return False: the chip has no clock that clears."""
        return False

    def step(self, state: State, activation: IntArray, current: IntArray | None = None, clock: Clock | None = None) -> Tick:
        """Advance by one tick; the arguments are those of `Compartment.step`."""
        assert clock is not None
        of = self.population.values

        integrated = self.saturated(state.v + activation)
        v = self.saturated(integrated + self.leak(integrated, clock))
        overflow = (integrated != state.v + activation) | (v != integrated + self.leak(integrated, clock))

        mask = (1 << of("TM")) - 1
        eta = draw(self.population, THRESHOLD, clock) & mask if mask.any() else np.zeros_like(v)
        spikes = v >= of("alpha") + eta
        floor = -np.where(of("kappa") == 1, of("beta"), of("beta") + eta)
        below = ~spikes & np.where(of("symmetric") == 1, v <= floor, v < floor)

        after_spike = np.choose(of("gamma"), [np.broadcast_to(of("R"), v.shape), v - (of("alpha") + eta), v])
        after_floor = np.choose(of("gamma"), [np.broadcast_to(-of("R"), v.shape), v + (of("beta") + eta), v])
        after_floor = np.where(of("kappa") == 1, -of("beta"), after_floor)
        after = np.where(spikes, after_spike, np.where(below, after_floor, v))
        return Tick(State(state.u, after, state.rest), spikes.astype(np.int64), {"v": overflow})

    def leak(self, v: IntArray, clock: Clock) -> IntArray:
        """Return what the leak adds to the potential v."""
        of = self.population.values
        size = of("lambda")
        if of("c_lambda").any():
            step = np.where(np.abs(size) >= (draw(self.population, LEAK, clock) & 0xFF), np.sign(size), 0)
            size = np.where(of("c_lambda") == 1, step, size)
        return np.where(of("epsilon") == 1, np.sign(v) * size, size)

    def saturated(self, v: IntArray) -> IntArray:
        """Return potentials as the register holds them."""
        half = 1 << (self.v_bits - 1)
        return np.clip(v, -half, half - 1)


# Neurons: programs


@dataclass(frozen=True, slots=True)
class ProgrammedNeuron:
    """A neuron whose model brings its own step: called in plain Python, neuron by neuron.

    The engines execute the same step, so that their agreement proves nothing about it, only about all that is around it.
    """

    population: IntegerPopulation
    program: NeuronProgram
    form: NumberFormat

    @classmethod
    def of(cls, population: IntegerPopulation, form: NumberFormat) -> ProgrammedNeuron:
        """Find the program of a population."""
        assert population.program is not None
        return cls(population, neuron_program(population.program), form)

    def first(self, population: IntegerPopulation, samples: int) -> State:
        """Return the state in which a population starts: v is the first register, u the second or 0."""
        return State.first(population, samples)

    def is_cleared(self, t: int) -> bool:
        """Return False: no program has a reset schedule."""
        return False

    def step(self, state: State, activation: IntArray, current: IntArray | None = None, clock: Clock | None = None) -> Tick:
        """Advance by one tick; the arguments are those of `Compartment.step`."""
        program, of = self.program, self.population.values
        half = 1 << (self.form.accumulator_bits - 1)
        wanted = (activation << self.form.state_shift) + of("bias") + (0 if current is None else current)
        x = np.clip(wanted, program.low[0], program.high[0])
        overflows = {"accumulator": (activation < -half) | (activation >= half) | (x != wanted)}
        random = None
        if program.draws:
            assert clock is not None
            random = draw(self.population, PROGRAM, clock)

        words = np.array([of(name) for name in program.words], np.int64).reshape(-1, x.shape[1]).T.tolist()
        registers = (state.v, state.u)[: len(program.low)]
        spikes, made = np.zeros_like(x), [np.zeros_like(x) for _ in registers]
        for sample, neuron in np.ndindex(*x.shape):
            before = tuple(int(register[sample, neuron]) for register in registers)
            given = (int(x[sample, neuron]), before, tuple(words[neuron]))
            drawn = () if random is None else (int(random[sample, neuron]),)
            try:
                spikes[sample, neuron], after = program.step(*given, *drawn)
                for register, value in zip(made, after, strict=True):
                    register[sample, neuron] = value
            except Exception as error:
                raise self.failure(neuron, error) from error

        kept = [self.stored(number, values) for number, values in enumerate(made)]
        for name, values, unbounded in zip(("v", "u"), kept, made, strict=False):
            overflows[name] = values != unbounded
        u = kept[1] if len(kept) > 1 else state.u
        return Tick(State(u, kept[0], state.rest), spikes, overflows)

    def failure(self, neuron: int, error: Exception) -> EngineUnavailable:
        """Return what to say of a program, which is not ours, that fails."""
        name = f"{self.population.name}[{neuron}]"
        message = f"the program of the neuron model '{self.program.name}' fails in '{name}': {type(error).__name__}: {error}"
        hint = "it returns a spike and one number for each register, all of them whole numbers of up to 64 bits"
        return EngineUnavailable(Diagnostic("NC0320", message, self.population.origin, hint=hint))

    def stored(self, number: int, values: IntArray) -> IntArray:
        """Return what a register makes of numbers."""
        low, high = self.program.low[number], self.program.high[number]
        return wrap(values, high.bit_length() + 1) if self.program.wraps[number] else np.clip(values, low, high)


Neurons = Compartment | TrueNorthNeuron | ProgrammedNeuron


def stochastic_step(weights: IntArray, words: IntArray) -> IntArray:
    """Return what stochastic synapses add: the sign of the weight where its size reaches the lowest 8 random bits."""
    return np.where(np.abs(weights) >= (words & 0xFF), np.sign(weights), 0)


@dataclass(frozen=True, slots=True)
class StochasticSynapses:
    """Synapses of one delay onto neurons of which some take stochastic steps, as a list."""

    population: IntegerPopulation
    """The target."""
    delay: int
    source: str
    sources: IntArray
    targets: IntArray
    weights: IntArray
    slots: IntArray
    pool: Sums | None

    @property
    def terms(self) -> int:
        """How many numbers the largest array on the way holds per sample."""
        return 4 * len(self.sources) + self.population.size

    def activation(self, spikes: NDArray[np.int32], clock: Clock) -> IntArray:
        """Return what the synapses add to their targets, (samples, n), of spikes (samples, n_source)."""
        sent = (spikes != 0).astype(np.int64)
        if self.pool is not None:
            sent = self.pool.of(sent)
        sample, synapse = np.nonzero(sent[:, self.sources])
        target, weight = self.targets[synapse], self.weights[synapse]
        of = self.population.values
        counter = (of("key")[target], np.int64(clock.tick), clock.samples[sample], np.int64(SYNAPSE << 24))
        steps = stochastic_step(weight, philox(counter, (of("seed")[target], self.slots[synapse])))
        added = np.where(of("b")[target] == 1, steps, weight)
        total = np.zeros((len(spikes), self.population.size), np.int64)
        np.add.at(total, (sample, target), added)
        return total


@dataclass(frozen=True, slots=True)
class CrossbarSums:
    """What the active axons of a crossbar add to its neurons."""

    crossbar: Crossbar
    population: IntegerPopulation
    """The neurons."""
    delay: int = 0

    @property
    def source(self) -> str:
        """The bank of axons."""
        return self.crossbar.axons

    @property
    def terms(self) -> int:
        """How many numbers the largest array on the way holds per sample."""
        return len(self.crossbar.types) + self.population.size

    def activation(self, spikes: NDArray[np.int32], clock: Clock) -> IntArray:
        """Return the sums (samples, n) of active axons (samples, n_axons)."""
        total = np.zeros((len(spikes), self.population.size), np.int64)
        for block in range(self.crossbar.blocks):
            axons, neurons = self.crossbar.of(block)
            active = spikes[:, axons] != 0
            if active.any():
                total[:, neurons] = self.block(block, active, clock)
        return total

    def block(self, number: int, active: BoolArray, clock: Clock) -> IntArray:
        """Return the sums of one block."""
        c = self.crossbar
        axons, neurons = c.of(number)
        weights = c.weights(number)
        stochastic = c.b[neurons][:, c.types[axons]].T.astype(np.bool_) & (weights != 0)
        certain = np.where(stochastic, 0, weights).astype(np.float64)
        sums = matrix_product(active.astype(np.float64), certain, int(np.abs(weights).sum(axis=0).max(initial=0)))
        if stochastic.any():
            of = self.population.values
            axon, neuron = np.nonzero(stochastic)
            sample, synapse = np.nonzero(active[:, axon])
            target, slot = neurons.start + neuron[synapse], c.slots[axons][axon[synapse]]
            counter = (of("key")[target], np.int64(clock.tick), clock.samples[sample], np.int64(SYNAPSE << 24))
            words = philox(counter, (of("seed")[target], slot))
            np.add.at(sums, (sample, neuron[synapse]), stochastic_step(weights[axon, neuron][synapse], words))
        return sums


DYNAMICS: dict[str, Callable[[IntegerPopulation, NumberFormat], Neurons]] = {
    "compartment": Compartment.of,
    "ternary": Compartment.of,
    "truenorth": TrueNorthNeuron.of,
    "programmed": ProgrammedNeuron.of,
}
