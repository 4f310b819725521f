"""The scale of one population: what it costs each projection, and which exponents and groups go with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding import DECODERS, carries_values, largest_value
from neurocomp.errors import Diagnostic, UnsupportedError
from neurocomp.hardware import NumberFormat
from neurocomp.ir.network import Network, Population, Projection, frozen
from neurocomp.ir.quantized import IntegerPopulation, weight_range, weight_shift
from neurocomp.models.neurons import NEURON_MODELS, ProgrammedModel
from neurocomp.models.patterns import PATTERNS, Pattern, Shape, size_of
from neurocomp.passes.quantize_weights import (
    EXACT_VALUES,
    GROUPED,
    Distribution,
    Levels,
    Weights,
    along,
    group_sets,
)

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STEPS_PER_OCTAVE = 8
"""Scales tried per factor of two."""
MIN_THRESHOLD = 256
"""Preferred smallest threshold mantissa: its rounding is then below 0.2 %."""
PROVED_TICKS = 4096
"""Proofs are sought for samples up to this length."""
PROOF_MARGIN = 0.97
"""Of the largest scale that real numbers allow, for the rounding of weights."""
PROOF_WORTH = 2.0
"""A scale at which no register can overflow may cost so many times the squared error of one where that is only observed."""
BLIND_PROOF_WORTH = 16.0
"""The same without calibration data, when nothing is observed."""
CLIP_OCTAVES = 3
"""Weight steps down to 2**-CLIP_OCTAVES of the one that represents the largest weight are tried; larger weights clip."""

NEED = 0.1
"""Of a median weight: below this rms error in every projection one scale and one exponent each are good enough."""
FINE = NEED / 8
"""Of a median weight: with groups, a smaller rms error than this is no better."""
GROUP_COST = 2.0
"""Each further group must divide the squared error by this."""
GROUP_MEMORY = 0.5
"""Groups may take up to this share of the projection's own synapse memory in addition; with scales of neurons, of all."""
MOST_MEMBERS = 1 << 20
"""Weights of a projection that may have parts in groups: each is listed with its source and target."""
LAYOUTS = 2
"""Synapse formats that a projection may take per exponent on a core: a dense and a sparse one."""
INDEX_BITS, HEADER_BITS, WORD = 10, 20, 64
"""For estimates of synapse memory: bits of a compartment's index on a full core, of a row's entry beside its synapses."""

LEARNED_HIGH = 255
"""The largest weight that learning reaches."""

NEURON_SCALES = (1, 2, 4, 8)
"""Powers of two by which weights, threshold and state of single neurons may be larger."""
NEURON_GAIN = 1.5
"""Scales per neuron must divide the squared error by this."""
LARGEST_SCALED = 1 << 24
"""Synapses of the largest population for which scales of neurons are looked at."""

HEADROOM = 0.75
"""Share of a register that calibration data may fill; other inputs find the rest of it free."""
SMALL_ROUNDING = 1 / 256
"""Of the threshold: a bias or start may be off by so much for the sake of potentials that stay whole thresholds' units."""
DRIVE_MARGIN = 2.0
"""A constant input may be so many times as large as on the calibration data before its register is too small."""
BIAS_ROUNDING = 0.1
"""Of a bias: beyond it a warning says what became of it."""


def steps_of(form: NumberFormat, sign_mode: str) -> tuple[int, int]:
    """Return (step, largest count of steps) of an 8-bit-scale weight, symmetric so that every emulator represents it."""
    step = 1 << weight_shift(sign_mode, form.weight_bits)
    low, high = weight_range(sign_mode, form.weight_bits)
    return step, max(high, -low if sign_mode == "inhibitory" else high) // step


class Choice(NamedTuple):
    """Exponent and groups of one projection at some scale."""

    cost: float
    """The squared error, or that of `FINE` where groups are looked at, times `GROUP_COST` per further group."""
    error: float
    exponent: int
    groups: tuple[int, ...]


_Rank = tuple[int, float, float, tuple[Choice, ...]]
"""(lost threshold bits, weighted cost, scale, choices) of a candidate scale."""


@dataclass(slots=True, eq=False)
class Incoming:
    """One projection into the population, in units of its potential."""

    projection: Projection
    pattern: Pattern
    source: Shape
    """The shape that the pattern starts from."""
    target: Shape
    weights: Weights
    gain: FloatArray
    """The part of `Weights.factor` that belongs to the target neurons, 0-d or (n_target,)."""
    form: NumberFormat
    graded: bool
    """Whether its source sends other values than 0 and 1."""
    reach: int
    """The largest magnitude of what its source sends."""
    waiting: int
    """Bits of the longest delay that a synapse has to store: see `waiting_bits`."""
    distribution: Distribution
    known: dict[tuple[float, tuple[int, ...]], float] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """A step of the weights, at 8-bit scale."""
        return steps_of(self.form, self.distribution.sign_mode)[0]

    def steps(self, groups: tuple[int, ...] = (0,)) -> Levels:
        """Return the levels of the weights."""
        return Levels(steps_of(self.form, self.distribution.sign_mode)[1], groups)

    def group_sets(self) -> Sequence[tuple[int, ...]]:
        """Return which groups there may be."""
        return group_sets(self.steps().top)[: None if self.pattern.kind in GROUPED else 1]

    @property
    def unit_of_largest(self) -> float:
        """What a step is worth where the largest weight is the largest level."""
        return self.distribution.largest / max(self.steps().top, 1)

    def error(self, unit: float, groups: tuple[int, ...] = (0,)) -> float:
        """Return the squared error when a step is worth ``unit``; far finer than the largest weight counts as hopeless."""
        if self.distribution.largest == 0.0:
            return 0.0
        if unit * (1 << groups[-1]) < self.unit_of_largest * 2.0**-CLIP_OCTAVES * 0.99:
            return math.inf
        key = unit, groups
        if key not in self.known:
            self.known[key] = self.distribution.error(unit, self.steps(groups))
        return self.known[key]

    def unit(self, scale: float, exponent: int) -> float:
        """Return what a step is worth at a scale."""
        return self.step * 2.0**exponent / scale

    def options(self, scale: float, group_sets: Sequence[tuple[int, ...]], *, all_coarser: bool = False) -> list[Choice]:
        """Return the exponents worth trying: those at which the largest weight neither clips much nor wastes its bits.

        Args:
            scale: Of the population.
            group_sets: Which groups there may be.
            all_coarser: Also those that waste bits, for the sake of fewer synapse formats.
        """
        if self.distribution.largest == 0.0:
            return [Choice(0.0, 0.0, 0, (0,))]
        found = []
        least = (FINE * self.distribution.median) ** 2 * self.distribution.size if len(group_sets) > 1 else 0.0
        for groups in group_sets:
            most = self.form.weight_exp_max - groups[-1]
            if most < 0:
                continue
            exact = np.log2(self.unit_of_largest * scale / self.step) - groups[-1]
            low = min(max(int(np.floor(exact)) - CLIP_OCTAVES, 0), most)
            high = most if all_coarser else min(max(int(np.ceil(exact)), low), most)
            for exponent in range(low, high + 1):
                unit = self.unit(scale, exponent)
                if len(groups) > 1 and not self.affords(self.members(unit, groups)):
                    continue
                error = self.error(unit, groups)
                found.append(Choice(max(error, least) * GROUP_COST ** (len(groups) - 1), error, exponent, groups))
        return found

    def members(self, unit: float, groups: tuple[int, ...]) -> list[int]:
        """Return how many weights have a part in each further group, at most."""
        return [self.distribution.beyond((reach + 0.5) * unit) for reach in self.steps(groups).reach[:-1]]

    def memory(self, members: Sequence[int]) -> tuple[int, int]:
        """Return about how many bits of synapse memory groups of so many members take, and how many the projection itself.

        Rows of every source on a single core are assumed, each with an entry per group.
        """
        rows = size_of(self.source)
        copies = size_of(self.target[1:]) if self.pattern.kind.startswith("conv") else 1
        weight_bits = self.form.weight_bits
        index = INDEX_BITS if self.pattern.kind == "sparse" else 0
        own = self.weights.size * copies * (weight_bits + index) + rows * HEADER_BITS
        extra = sum(m * copies * (weight_bits + INDEX_BITS) + min(m * copies, rows) * HEADER_BITS for m in members)
        return extra, own

    def affords(self, members: Sequence[int]) -> bool:
        """Whether groups of so many members are few enough."""
        extra, own = self.memory(members)
        return sum(members) <= MOST_MEMBERS and extra <= GROUP_MEMORY * own

    def formats(self, choice: Choice) -> set[tuple[str, int, int]]:
        """Return what tells the synapse formats apart that a choice takes; weights of 0 take none."""
        if self.distribution.largest == 0.0:
            return set()
        return {(self.distribution.sign_mode, choice.exponent + group, self.waiting) for group in choice.groups}


@dataclass(frozen=True, slots=True, eq=False)
class PopulationPlan:
    """The real numbers of one population, in units of its potential."""

    population: Population
    form: NumberFormat
    ticks: int
    incoming: tuple[Incoming, ...]
    decay_u: Array
    decay_v: Array
    threshold: Array | None
    threshold_low: Array | None
    """Of a model that also sends -1: at most 0."""
    bias: Array
    """Added to v each tick."""
    u_init: Array
    v_init: Array
    has_current: bool
    is_decoded: bool
    """Whether an answer is read from its potential, so that all neurons need one scale."""
    profiles: int
    formats: int
    gain: Array
    """The input gain, 0-d or (n,)."""
    drive: Array
    """Largest magnitude of a constant input that the host adds to v each tick, as far as calibration tells."""

    @staticmethod
    def of(
        network: Network, p: Population, incoming: Sequence[Projection], form: NumberFormat, *, profiles: int, formats: int,
        drive: Array | None = None,
    ) -> PopulationPlan:  # fmt: skip
        """Gather the numbers; a current-based neuron's bias moves exactly to v: b / (1 - decay_u), and u starts below by it."""
        assert p.neuron is not None
        model, parameters, semantics = NEURON_MODELS[p.neuron.model], p.neuron.parameters, p.neuron.semantics
        decay_u, decay_v = model.decays(parameters, semantics, network.timestep)
        gain = np.asarray(model.input_gain(parameters, semantics, network.timestep), np.float64)
        if gain.ndim and (gain == gain.flat[0]).all():
            gain = gain.reshape(-1)[0]
        floats = sum(q.weights.size for q in incoming if q.weights.dtype.kind not in "iu" or q.weights.dtype.itemsize > 2)
        waiting = waiting_bits(network)
        parts = tuple(
            _incoming(network, q, np.asarray(gain), form, waiting[q.name], exact=floats <= EXACT_VALUES) for q in incoming
        )
        bias = np.zeros(p.size)
        for q in incoming:
            if q.bias is not None:
                bias = bias + np.asarray(q.bias, np.float64) * gain
        u_init = np.asarray(parameters["u_init"] if model.has_current else 0.0, np.float64)
        if model.has_current and bias.any():
            bias = bias / (1.0 - decay_u)
            u_init = u_init - bias
        if not bias.any():
            bias = np.zeros(())
        low = parameters.get("v_threshold_low")
        decoder = network.decoders.get(p.name)
        return PopulationPlan(
            p, form, network.ticks, parts, decay_u, decay_v,
            None if model.threshold is None else np.asarray(parameters[model.threshold], np.float64),
            None if low is None else np.asarray(low, np.float64),
            bias, u_init, np.asarray(parameters.get("v_init", 0.0), np.float64), model.has_current,
            decoder is not None and DECODERS[decoder.scheme].reads_potential, profiles, formats,
            gain, np.zeros(()) if drive is None else drive * np.abs(gain),
        )  # fmt: skip

    @property
    def reset(self) -> str:
        """What a spike does to the potential."""
        assert self.population.neuron is not None
        return self.population.neuron.semantics.reset

    @property
    def program(self) -> ProgrammedModel | None:
        """Its model where that is a program."""
        assert self.population.neuron is not None
        model = NEURON_MODELS[self.population.neuron.model]
        return model if isinstance(model, ProgrammedModel) else None

    def provable_scales(self) -> FloatArray:
        """Return up to which scale of each neuron it can be proved that nothing overflows in a sample, whatever the spikes."""
        size, form = self.population.size, self.form
        sums = {1.0: np.zeros(size), -1.0: np.zeros(size)}
        for i in self.incoming:
            above, below = PATTERNS[i.pattern.kind].sums(i.pattern, i.weights.stored, i.source, self.population.shape)
            gain = np.broadcast_to(i.gain, (size,))
            up, down = np.where(gain >= 0, above, below) * np.abs(gain), np.where(gain >= 0, below, above) * np.abs(gain)
            sums[1.0] += (up + down) * i.reach if i.graded else up
            sums[-1.0] += (up + down) * i.reach if i.graded else down
        current, potential = np.zeros(size), np.zeros(size)
        for sign, added in sums.items():
            u = np.maximum(sign * self.u_init, 0.0) + np.zeros(size)
            v = np.maximum(sign * self.v_init, 0.0) + np.zeros(size)
            bias = np.maximum(sign * self.bias, 0.0) + self.drive
            threshold = self.threshold if sign > 0 else None if self.threshold_low is None else -self.threshold_low
            rest = None if threshold is None else np.maximum(threshold, np.maximum(sign * self.v_init, 0.0))
            for _ in range(min(self.ticks, PROVED_TICKS)):
                u = u * self.decay_u + added
                if rest is not None and threshold is not None and self.reset == "zero":
                    v = np.minimum(v, rest)
                elif rest is not None and threshold is not None and self.reset == "subtract":
                    v = np.where(v > rest, np.maximum(rest, v - threshold), v)
                v = v * self.decay_v + u + bias
                current, potential = np.maximum(current, u), np.maximum(potential, v)
        state_one = float(1 << form.state_shift)
        v_limit = form.v_max if self.threshold is not None else min(form.v_max, form.threshold_max << form.state_shift)
        scales = np.full(size, np.inf)
        for limit, bound in (
            (form.accumulator_max, np.maximum(sums[1.0], sums[-1.0])),
            ((form.u_max - 1) / state_one, current),
            (v_limit / state_one, potential),
        ):
            with np.errstate(divide="ignore"):
                scales = np.minimum(scales, np.where(bound > 0, limit / np.maximum(bound, 1e-300), np.inf))
        return np.asarray(PROOF_MARGIN * scales, np.float64)

    def highest(self) -> FloatArray:
        """Return the largest scale of each neuron, (n,), at which threshold, bias and start are in their ranges."""
        form, size = self.form, self.population.size
        state_one = float(1 << form.state_shift)
        largest = (form.bias_max << form.bias_exp_max) / state_one
        program = self.program
        if program is not None:
            largest = ((1 << 31) - 1) / state_one
        limits = [(self.bias, largest), (self.drive, largest / DRIVE_MARGIN)]
        if program is not None and self.threshold is not None:
            limits.append((program.headroom * self.threshold, min(r.high for r in program.registers) / state_one))
        limits += [(self.u_init, (form.u_max - 1) / state_one), (self.v_init, form.v_max / state_one)]
        limits += [(t, float(form.threshold_max)) for t in (self.threshold, self.threshold_low) if t is not None]
        result = np.full(size, np.inf)
        for value, limit in limits:
            magnitude = np.broadcast_to(np.abs(value), (size,))
            result = np.minimum(result, np.where(magnitude > 0, limit / np.maximum(magnitude, 1e-300), np.inf))
        return result

    def choose(
        self, cap: float, calibrated: bool, ceilings: FloatArray | None = None
    ) -> tuple[float, tuple[Choice, ...], FloatArray]:
        """Return the scale, the choice of each projection, and each neuron's power of two, 0-d where all are 1.

        The scale is the threshold mantissa per 1.0 of the potential; ``cap`` is the largest allowed one, and ``ceilings``,
        (n,), how large powers of two may make it, as far as calibration tells.
        """
        highest, provable = self.highest(), self.provable_scales()
        if not highest.all():  # of all that bounds a scale only the bias may have no bits at all
            message = f"population '{self.population.name}' has a bias; '{self.form.name}' has none"
            hint = "remove the bias, or raise integers.bias_bits of the spec"
            raise UnsupportedError(Diagnostic("NC0312", message, self.population.origin, hint=hint))
        plain: list[Sequence[tuple[int, ...]]] = [((0,),)] * len(self.incoming)
        scale, choices = self._search(cap, calibrated, float(highest.min(initial=np.inf)), provable, plain)
        if all(self._coarse(i, c) <= NEED for i, c in zip(self.incoming, choices, strict=True)):
            return scale, choices, np.asarray(1.0)
        sets = [i.group_sets() for i in self.incoming]
        scale, choices = self._search(cap, calibrated, float(highest.min(initial=np.inf)), provable, sets)
        # A neuron may come no closer to its limits than the closest does anyway; where nobody will look, not even as close.
        margin = 1.0 if calibrated else HEADROOM
        bound = np.maximum(provable / scale, margin * provable / max(float(provable.min(initial=np.inf)), 1e-300))
        bound = np.minimum(highest / scale, np.where(np.isnan(bound), np.inf, bound))
        if ceilings is not None:
            bound = np.minimum(bound, ceilings / scale)
        return scale, choices, self._neuron_scales(scale, choices, bound)

    def pinned(self, scale: float) -> tuple[float, tuple[Choice, ...]]:
        """Return the scale, if possible at most the one given, at which the bounds of weights that learn are those of 9 bits.

        Raises:
            UnsupportedError: There is none: bounds of two projections that are no power of two apart, gains that differ between
                neurons, or a threshold beyond its range (NC0351).
        """
        learning = [i for i in self.incoming if i.projection.learning is not None]
        where = learning[0].projection.origin

        def refuse(message: str, hint: str) -> UnsupportedError:
            return UnsupportedError(Diagnostic("NC0351", f"population '{self.population.name}' {message}", where, hint=hint))

        if self.gain.ndim or float(self.gain) <= 0:
            raise refuse("learns, and its neurons take inputs by different factors", "give its neurons one time constant")
        ones = []
        for i in learning:
            assert i.projection.learning is not None
            ones.append(LEARNED_HIGH / (i.projection.learning.bounds[1] * float(self.gain)))
        octaves = [math.log2(one / min(ones)) for one in ones]
        if any(octave != round(octave) for octave in octaves):
            raise refuse("learns within bounds that are no powers of two apart", "make the w_max of its projections equal")
        highest = float(self.highest().min(initial=np.inf))
        most = min(max(math.floor(math.log2(scale / max(ones))), 0), self.form.weight_exp_max - round(max(octaves)))
        for exponent in range(most, -1, -1):
            found = math.ldexp(max(ones), exponent)
            choices = self._choices(found, [((0,),)] * len(self.incoming))
            others = [c for i, c in zip(self.incoming, choices, strict=True) if i.projection.learning is None]
            if found <= highest and all(math.isfinite(choice.error) for choice in others):
                fixed = iter(Choice(0.0, 0.0, exponent + round(max(octaves) - octave), (0,)) for octave in octaves)
                return found, tuple(
                    next(fixed) if i.projection.learning is not None else c for i, c in zip(self.incoming, choices, strict=True)
                )
        bound = 1 / (min(ones) * float(self.gain)) * LEARNED_HIGH
        raise refuse(f"learns weights up to {bound:g}, far below its threshold or other weights", "raise w_max, or lower those")

    @staticmethod
    def _coarse(i: Incoming, choice: Choice) -> float:
        """Return the rms error of a projection as a share of its median weight."""
        median = i.distribution.median
        return math.sqrt(choice.error / i.distribution.size) / median if median else 0.0

    def _search(
        self, cap: float, calibrated: bool, highest: float, provable: FloatArray, sets: Sequence[Sequence[tuple[int, ...]]]
    ) -> tuple[float, tuple[Choice, ...]]:
        form = self.form
        highest = min(highest, cap)
        wanted = 1.0
        if self.threshold is not None and self.threshold.any():
            wanted = MIN_THRESHOLD / float(np.abs(self.threshold[self.threshold != 0]).min())
        units = [i.unit_of_largest / i.step for i in self.incoming if i.distribution.largest]
        if not units and not np.isfinite(highest):
            return wanted, (Choice(0.0, 0.0, 0, (0,)),) * len(self.incoming)
        # The scale at which exponent 0 holds the largest weight; scales around it are tried, an octave each way per exponent.
        base = 1.0 / max(units) if units else wanted
        wanted = min(wanted, base * 2.0**form.weight_exp_max)  # no weight clips for the sake of the threshold's rounding
        lowest_octave = int(np.floor(np.log2(min(base, wanted, highest)))) - 1
        top_octave = int(np.ceil(np.log2(max(base * 2.0**form.weight_exp_max, wanted)))) + CLIP_OCTAVES
        proved = float(provable.min(initial=np.inf))

        def worth(beyond: float) -> float:
            if calibrated:
                return PROOF_WORTH
            # With groups a larger scale always makes finer steps, and squared errors fall with its square: not enough alone.
            return BLIND_PROOF_WORTH * (beyond**3 if any(len(allowed) > 1 for allowed in sets) else 1.0)

        best: _Rank | None = None
        for octave, step in product(range(lowest_octave, top_octave + 1), range(STEPS_PER_OCTAVE)):
            scale = math.ldexp(2.0 ** (step / STEPS_PER_OCTAVE), octave)  # so that units of neighbouring octaves are equal
            if scale > highest:
                continue
            choices = self._choices(scale, sets)
            cost = math.fsum(choice.cost for choice in choices)
            if not math.isfinite(cost):
                continue
            coarse = max(0, int(np.ceil(np.log2(wanted / scale))))
            rank = (coarse, cost * (1.0 if scale <= proved else worth(scale / proved)), scale, choices)
            if best is None or self._better(rank, best):
                best = rank
        if best is None:
            step, top = steps_of(form, "mixed")
            limits = f"thresholds up to {form.threshold_max}, weights up to {step * top} << {form.weight_exp_max}"
            raise UnsupportedError(
                Diagnostic(
                    "NC0312",
                    f"no scale of '{form.name}' holds weights, threshold, bias and start of '{self.population.name}' together",
                    self.population.origin,
                    limit=limits,
                    hint="rescale the population so that weights and threshold are of similar size",
                )
            )
        return self._snap(best[2], highest), best[3]

    def _choices(self, scale: float, sets: Sequence[Sequence[tuple[int, ...]]]) -> tuple[Choice, ...]:
        """Return the cheapest choice of each projection; with groups, all together within the synapse formats of a core."""
        options = [i.options(scale, allowed) for i, allowed in zip(self.incoming, sets, strict=True)]
        best = tuple(min(found) for found in options)
        if all(len(choice.groups) == 1 for choice in best) or self._fits(best):
            return best
        coarser = [i.options(scale, allowed, all_coarser=True) for i, allowed in zip(self.incoming, sets, strict=True)]
        tried = []
        kinds = sorted({groups for allowed in sets for groups in allowed[1:]})
        for first, groups in product(range(self.form.weight_exp_max + 1), kinds):
            shared = {first + group for group in groups}
            within = [
                [c for c in found if not i.distribution.largest or {c.exponent + g for g in c.groups} <= shared]
                for i, found in zip(self.incoming, coarser, strict=True)
            ]
            if all(within):
                chosen = tuple(min(found) for found in within)
                if self._fits(chosen):
                    tried.append((math.fsum(c.cost for c in chosen), chosen))
        plain = tuple(min(c for c in found if len(c.groups) == 1) for found in options)
        return min([*tried, (math.fsum(c.cost for c in plain), plain)])[1]

    def _fits(self, choices: Sequence[Choice]) -> bool:
        used = set().union(*(i.formats(c) for i, c in zip(self.incoming, choices, strict=True)))
        return LAYOUTS * len(used) <= self.formats

    @staticmethod
    def _better(a: _Rank, b: _Rank) -> bool:
        """Fewer lost threshold bits, then less error; of nearly equal errors the smaller scale, which leaves more headroom."""
        if a[0] != b[0]:
            return a[0] < b[0]
        if abs(a[1] - b[1]) > 1e-3 * max(a[1], b[1]):
            return a[1] < b[1]
        return a[2] < b[2]

    def _snap(self, scale: float, highest: float) -> float:
        """Return the closest scale, at most ``highest``, at which a shared threshold is a whole mantissa."""
        if self.threshold is None or self.threshold.size == 0:
            return scale
        first = float(self.threshold.flat[0])
        if first <= 0 or not (self.threshold == first).all() or scale * first < 1:
            return scale
        mantissa = min(np.rint(scale * first), np.floor(highest * first))
        return min(float(mantissa / first), highest) if mantissa >= 1 else scale

    # -- scales of single neurons

    def _neuron_scales(self, scale: float, choices: Sequence[Choice], bound: FloatArray) -> FloatArray:
        """Return each neuron's power of two, (n,), where they divide the squared error by `NEURON_GAIN`, else 0-d 1.

        ``bound``, (n,): the largest of each neuron; 1 is always allowed.
        """
        one, size = np.asarray(1.0), self.population.size
        total = sum(i.weights.size for i in self.incoming)
        if self.threshold is None or self.is_decoded or total > LARGEST_SCALED or self.profiles < 2:
            return one
        rows, n_rows = self._rows()
        if n_rows < 2 or any(along(i.pattern, rows, i.weights.stored, self.population.shape) is None for i in self.incoming):
            return one
        allowed = np.full(n_rows, np.inf)
        np.minimum.at(allowed, rows, bound)
        found = [self._at_factor(scale, choices, rows, n_rows, f) for f in NEURON_SCALES]
        errors, members = np.stack([error for error, _ in found]), [m for _, m in found]
        usable = np.array(NEURON_SCALES)[:, None] <= np.maximum(allowed, 1.0)
        chosen = np.where(usable, errors, np.inf).argmin(axis=0)  # of equal errors the smaller scale
        chosen = self._affordable(chosen, members)
        before, after = math.fsum(errors[0].tolist()), math.fsum(errors[chosen, np.arange(n_rows)].tolist())
        factors = np.array(NEURON_SCALES, np.float64)[chosen][rows]
        profiles = len(np.unique(np.broadcast_to(self.threshold, (size,)) * factors))
        if before <= NEURON_GAIN * after or profiles > self.profiles:
            return one
        return np.asarray(factors, np.float64)

    def _rows(self) -> tuple[IntArray, int]:
        """Return which neurons must share a scale: each its own, or the places of a channel behind a convolution."""
        p = self.population
        if any(i.pattern.kind.startswith("conv") for i in self.incoming):
            return np.repeat(np.arange(p.shape[0]), size_of(p.shape[1:])), p.shape[0]
        return np.arange(p.size), p.size

    def _at_factor(
        self, scale: float, choices: Sequence[Choice], rows: IntArray, n_rows: int, factor: int
    ) -> tuple[FloatArray, list[IntArray]]:
        """Return what becomes of each row when it is larger by a factor.

        Returns:
            The squared errors of their weights, (n_rows,); per projection, how many have a part in each further group,
            (groups, n_rows).
        """
        errors, members = np.zeros(n_rows), []
        for i, choice in zip(self.incoming, choices, strict=True):
            unit = i.unit(scale, choice.exponent) / factor
            steps = i.steps(choice.groups)
            row = along(i.pattern, rows, i.weights.stored, self.population.shape)
            assert row is not None
            count = np.zeros((len(choice.groups) - 1, n_rows), np.int64)
            for block, real in i.weights.blocks():
                whole = np.rint(np.abs(real) / unit)
                at = np.broadcast_to(row[block], real.shape)
                squares = np.square(np.abs(real) - np.minimum(whole, steps.limit) * unit)
                errors += np.bincount(at.reshape(-1), squares.reshape(-1), n_rows)
                for number, finer in enumerate(steps.reach[:-1]):
                    count[number] += np.bincount(at[whole > finer], minlength=n_rows)
            members.append(count)
        return errors, members

    def _affordable(self, chosen: IntArray, members: Sequence[Sequence[IntArray]]) -> IntArray:
        """Return indices into `NEURON_SCALES`, (n_rows,), no larger than ``chosen``, whose groups take little enough memory."""
        each = np.arange(len(chosen))
        for most in range(int(chosen.max(initial=0)), 0, -1):
            taken = np.minimum(chosen, most)
            counts = [
                np.stack(factors)[taken, :, each].sum(axis=0).tolist() for factors in zip(*members, strict=True)
            ]  # of each projection
            memory = [i.memory(count) for i, count in zip(self.incoming, counts, strict=True)]
            extra, own = (sum(bits) for bits in zip(*memory, strict=True))
            if extra <= GROUP_MEMORY * own and all(sum(count) <= MOST_MEMBERS for count in counts):
                return taken
        return np.zeros_like(chosen)

    # -- integers

    def parameters(self, scale: float, factors: FloatArray, warnings: list[str]) -> tuple[dict[str, Array], str | None]:
        """Return the integers of the dynamics, rounded to nearest, and a note on how biases and starts were rounded.

        What the format clips, and a bias that is off by more than `BIAS_ROUNDING`, is added to ``warnings``.
        """
        form, name = self.form, self.population.name
        one = form.decay_one
        keep_u = np.rint(one * np.asarray(self.decay_u, np.float64)).astype(np.int64)
        keep_v = np.rint(one * np.asarray(self.decay_v, np.float64)).astype(np.int64)
        du, dv = one - form.current_decay_offset - keep_u, one - keep_v
        for what, wanted in (("du", du), ("dv", dv)):
            if (wanted >= one).any() or (wanted < 0).any():
                warnings.append(f"'{name}': {what} is limited to 0..{one - 1}; a decay of the file is beyond it")
        du, dv = np.clip(du, 0, one - 1), np.clip(dv, 0, one - 1)
        scales = scale * factors
        state = scales * (1 << form.state_shift)
        exact_bias, exact_u, exact_v = self.bias * state, self.u_init * state, self.v_init * state
        whole = self._keeps_whole(du, dv) and self._whole(exact_bias, exact_v, state)
        unit = 1 << form.state_shift if whole else 1
        bias = (np.rint(exact_bias / unit) * unit).astype(np.int64)
        exponent = np.where(bias == 0, 0, form.state_shift if whole else 0)
        while (over := np.abs(bias) > (form.bias_max << exponent)).any():
            exponent = exponent + over
        half = np.where(exponent > 0, 1 << np.maximum(exponent - 1, 0), 0)
        mantissa = np.clip((np.abs(bias) + half) >> exponent, 0, form.bias_max) * np.sign(bias)
        self._warn_of_biases(mantissa << exponent, exact_bias, warnings)
        threshold: Array = np.asarray(form.threshold_max)
        if self.threshold is not None:
            threshold = np.clip(np.rint(self.threshold * scales), 0, form.threshold_max)
        values: dict[str, Array] = {
            "du": du,
            "dv": dv,
            "vth": threshold,
            "bias_mant": mantissa,
            "bias_exp": exponent,
            "u_init": np.clip(np.rint(exact_u), -(form.u_max - 1), form.u_max - 1),
            "v_init": np.clip(np.rint(exact_v / unit) * unit, -form.v_max, form.v_max),
        }
        if self.threshold_low is not None:
            values["vth_low"] = np.clip(np.rint(self.threshold_low * scales), -form.threshold_max, 0)
        note = f"whole multiples of {unit}, as v then always is one and '>=' is '>' of the threshold before" if whole else None
        return {key: np.asarray(value, np.int64) for key, value in values.items()}, note

    def _keeps_whole(self, du: Array, dv: Array) -> bool:
        """Whether '>=' can be lowered if bias and start are multiples of a threshold's unit: nothing decays."""
        assert self.population.neuron is not None
        form = self.form
        forgets = bool((du == form.decay_one - form.current_decay_offset).all()) and not self.u_init.any()
        compares = self.threshold is not None and self.population.neuron.semantics.compare == ">="
        return compares and forgets and not dv.any() and form.bias_exp_max >= form.state_shift

    def _whole(self, bias: Array, v_init: Array, state: Array) -> bool:
        """Whether multiples of a threshold's unit are close enough to a bias and a start, given in units of the state."""
        assert self.threshold is not None
        unit = 1 << self.form.state_shift
        small = np.min(np.abs(self.threshold) * state, initial=np.inf) * SMALL_ROUNDING
        off_bias, off_start = (np.abs(np.rint(x / unit) * unit - x) for x in (bias, v_init))
        return bool((off_bias <= np.minimum(small, BIAS_ROUNDING * np.abs(bias))).all() and (off_start <= small).all())

    def _warn_of_biases(self, integer: Array, exact: Array, warnings: list[str]) -> None:
        off = np.abs(integer - exact) > BIAS_ROUNDING * np.abs(exact)
        if not off.any():
            return
        exact, integer, off = np.broadcast_arrays(exact, integer, off)
        worst = int(np.argmax(np.where(off, np.abs(integer - exact) / np.maximum(np.abs(exact), 1e-300), -1.0)))
        real = float(np.broadcast_to(self.bias, exact.shape).flat[worst])
        became = real * float(integer.flat[worst]) / float(exact.flat[worst])
        many = f"{int(off.sum())} of {exact.size} biases" if exact.size > 1 else "the bias"
        neuron = (
            f" (the most at neuron {worst}: {real:.3g} becomes {became:.3g})"
            if exact.size > 1
            else (f": {real:.3g} becomes {became:.3g}")
        )
        warnings.append(f"'{self.population.name}': {many} per tick round by more than {BIAS_ROUNDING:.0%}{neuron}")

    def integers(
        self, scale: float, factors: FloatArray, semantics: dict[str, Any], warnings: list[str]
    ) -> tuple[IntegerPopulation, list[tuple[str, str, str]]]:
        """Return the integer population and what each of its numbers became."""
        p, form = self.population, self.form
        values, note = self.parameters(scale, factors, warnings)
        for value in values.values():
            value.flags.writeable = False
        one, scales = form.decay_one, scale * factors
        state = scales * (1 << form.state_shift)
        rows: list[tuple[str, str, str]] = []
        if self.has_current:
            effective = (one - form.current_decay_offset - values["du"]) / one
            rows.append(("current decay", span(self.decay_u), f"du {span(values['du'])} = {span(effective)}"))
        rows.append(("potential decay", span(self.decay_v), f"dv {span(values['dv'])} = {span((one - values['dv']) / one)}"))
        for what, real, key in (
            ("threshold", self.threshold, "vth"),
            ("lower threshold", self.threshold_low, "vth_low"),
        ):
            if real is not None:
                rows.append((what, span(real), f"{span(values[key])} = {span(values[key] / scales)}"))
        because = f" ({note})" if note else ""
        if self.bias.any():
            effective = (values["bias_mant"] << values["bias_exp"]) / state
            text = f"{span(values['bias_mant'])} << {span(values['bias_exp'])} = {span(effective)}{because}"
            rows.append(("bias per tick, into v", span(self.bias), text))
        for what, real in (("u_init", self.u_init), ("v_init", self.v_init)):
            if real.any():
                rows.append((what, span(real), f"{span(values[what])} = {span(values[what] / state)}{because}"))
        dynamics = dynamics_of(p)
        population = IntegerPopulation(
            p.name, p.shape, dynamics, values, self.threshold is not None, has_current=self.has_current, origin=p.origin,
            **semantics,
        )  # fmt: skip
        return population, rows


def dynamics_of(p: Population) -> str:
    """Return the integer update of a population of neurons: that of its model."""
    assert p.neuron is not None
    return NEURON_MODELS[p.neuron.model].dynamics


def waiting_bits(network: Network) -> dict[str, int]:
    """Return the bits of the longest delay of each projection beyond the tick that every hop takes on a chip.

    Populations run as late as the longest path to them makes them, and shorter paths wait for it. Only synapse formats are
    counted by it; the chip's lowering finds its own lags.
    """
    least = {q.name: int(q.delay.min()) for q in network.projections if q.delay.size}
    lag = dict.fromkeys(network.populations, 0)
    for _ in range(len(lag)):
        for q in network.projections:
            if q.name in least:
                lag[q.target] = max(lag[q.target], lag[q.source] + 1 - least[q.name])
    longest = {q.name: int(q.delay.max()) for q in network.projections if q.delay.size}
    return {
        q.name: max(longest.get(q.name, 0) + lag[q.target] - lag[q.source] - 1, 0).bit_length() for q in network.projections
    }


def _incoming(network: Network, q: Projection, gain: FloatArray, form: NumberFormat, waiting: int, *, exact: bool) -> Incoming:
    source_population, target = network.populations[q.source], network.populations[q.target].shape
    source = q.source_shape(source_population.shape)
    pattern, delay = q.pattern, q.delay
    if not gain.ndim:
        weights = Weights(q.weights, gain)
    else:
        factor = along(pattern, gain, q.weights, target)
        if factor is None:
            pattern, weights, delay = _expanded(q, gain, source, target)
        else:
            weights = Weights(q.weights, factor)
    graded, reach = carries_values(network, q.source), _largest_sent(network, q.source)
    distribution = Distribution.of(weights, exact=exact)
    result = Incoming(
        replace(q, pattern=pattern, delay=delay),
        pattern,
        source,
        target,
        weights,
        gain,
        form,
        graded,
        reach,
        waiting,
        distribution,
    )
    if distribution.largest and not result.steps().top:
        message = f"projection '{q.name}': weights of both signs need at least 2 bits; '{form.name}' has {form.weight_bits}"
        hint = "raise integers.weight_bits of the spec, or give the projection weights of one sign"
        raise UnsupportedError(Diagnostic("NC0312", message, q.origin, hint=hint))
    return result


def _largest_sent(network: Network, source: str) -> int:
    """Return the largest magnitude of a spike of a population."""
    neuron = network.populations[source].neuron
    return NEURON_MODELS[neuron.model].largest_spike if neuron is not None else largest_value(network.encoders.get(source))


def _expanded(q: Projection, gain: FloatArray, source: Shape, target: Shape) -> tuple[Pattern, Weights, Array]:
    """Return a projection as sparse, with one gain per target neuron, and its delay."""
    found = PATTERNS[q.pattern.kind].synapses(q.pattern, source, target)
    values = np.asarray(q.weights).ravel()[found.slot]
    kept = values != 0
    pattern = Pattern("sparse", {"sources": found.source[kept], "targets": found.target[kept]})
    delay = frozen(q.delay.ravel()[found.slot][kept]) if q.delay.ndim else q.delay
    return pattern, Weights(values[kept], gain[found.target[kept]]), delay


def span(values: Array) -> str:
    """Return one number, or the range of several."""
    values = np.asarray(values)
    if values.size == 0:
        return "none"
    low, high = values.min(), values.max()
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"
