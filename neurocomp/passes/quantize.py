"""Quantize: real numbers become the integers of a chip's number format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import IntegerSimulator, Stimulus
from neurocomp.errors import Diagnostic, UnsupportedError
from neurocomp.hardware import NumberFormat
from neurocomp.ir.network import Network, Population, Projection, frozen
from neurocomp.ir.quantized import (
    IntegerNetwork,
    IntegerPopulation,
    IntegerProjection,
    QuantizedNetwork,
    Scale,
    SignMode,
    weight_range,
    weight_shift,
)
from neurocomp.ir.trace import Trace
from neurocomp.models.neurons import NEURON_MODELS
from neurocomp.models.patterns import PATTERNS, Pattern, Shape, expanded
from neurocomp.passes.ranges import verdicts

Array = NDArray[Any]

STEPS_PER_OCTAVE = 8
"""Scales tried per factor of two."""
MIN_THRESHOLD = 256
"""Preferred smallest threshold mantissa: its rounding is then below 0.2 %."""
HEADROOM = 0.75
"""Share of a register that calibration data may fill in a population whose scale had to be lowered."""
PROVED_TICKS = 4096
"""Proofs are sought for samples up to this length."""
PROOF_MARGIN = 0.97
"""Of the largest scale that real numbers allow, for the rounding of weights."""
PROOF_WORTH = 2.0
"""A scale at which no register can overflow may cost so many times the squared error of one where that is only observed."""
BLIND_PROOF_WORTH = 16.0
"""The same without calibration data, when nothing is observed."""
SMALLEST_SCALE = 2.0**-20
"""Scales are not lowered beyond this: a population that still overflows is reported."""
ERROR_RESOLUTION = 1 << 16
"""Squared errors are added in fractions of 1 / ERROR_RESOLUTION of a squared step."""
LARGEST_ERROR = 2.0**20
"""Squared steps by which a clipped weight counts at most; more would be beyond `CLIP_OCTAVES`."""
VANISHING = 1e-200
"""Weights of which none is larger are taken for 0."""
CLIP_OCTAVES = 3
"""Weight steps down to 2**-CLIP_OCTAVES of the one that represents the largest weight are tried; larger weights clip."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """The quantized network, and the trace of its calibration (None without calibration data)."""

    network: QuantizedNetwork
    calibration: Trace | None


def quantize(
    network: Network, form: NumberFormat, simulator: IntegerSimulator, calibration: Stimulus | None = None
) -> Quantization:
    """Quantize a network.

    One scale per population is shared by its weights, thresholds, biases and state; each projection has its own power-of-two
    exponent. The scale minimises the squared error of the weights, keeps thresholds at or above `MIN_THRESHOLD` where the
    format allows, and is lowered until nothing overflows on the calibration stimulus. All sums are integer or over fixed
    orders, so that results do not depend on threads or CPU.

    Args:
        network: A network whose semantics the target has natively.
        form: The target's number format. Populations that declare it hold its integers already and pass unchanged.
        simulator: Executes the quantized network on the calibration stimulus.
        calibration: Encoded spikes per input, (samples, ticks, n).

    Raises:
        UnsupportedError: No scale represents a population (NC0312).
    """
    trace: Trace | None = None
    if calibration is None:
        integer, scales, warnings = _build(network, form, {}, calibrated=False)
    else:
        integer, scales, warnings, trace = _calibrate(network, form, simulator, calibration)
    found = verdicts(integer, network.ticks, trace, _limits(form))
    if trace is not None:
        warnings += _activity_warnings(network, trace)
    for verdict in found:
        if not verdict.proved and verdict.bound > verdict.limit:
            warnings.append(
                f"'{verdict.population}': {verdict.register} reaches {verdict.bound} of {verdict.limit} "
                "on the calibration data; it will clip or wrap"
            )
    quantized = QuantizedNetwork(integer, scales, found, tuple(warnings)).verify()
    return Quantization(quantized, trace)


_Built = tuple[IntegerNetwork, dict[str, Scale], list[str]]


def _limits(form: NumberFormat) -> dict[str, int]:
    return {"accumulator": form.accumulator_max, "u": form.u_max - 1, "v": form.v_max}


def _calibrate(
    network: Network, form: NumberFormat, simulator: IntegerSimulator, calibration: Stimulus
) -> tuple[IntegerNetwork, dict[str, Scale], list[str], Trace]:
    """Lower the scales of populations that overflow on the calibration stimulus, then give back what `HEADROOM` allows."""
    caps: dict[str, float] = {}
    raised: set[str] = set()
    while True:
        integer, scales, warnings = _build(network, form, caps, calibrated=True)
        trace = simulator.run(integer, calibration)
        overflowing = {event.population for event in trace.events if scales[event.population].scale > SMALLEST_SCALE}
        if overflowing:
            caps |= {name: scales[name].scale / 2 for name in overflowing}
            continue
        candidates = {name: cap for name, cap in caps.items() if name not in raised and scales[name].scale > SMALLEST_SCALE}
        if not candidates:
            return integer, scales, warnings, trace
        raised |= set(candidates)
        judged = verdicts(integer, network.ticks, trace, _limits(form))
        for name, cap in candidates.items():
            used = max((v.bound / v.limit for v in judged if v.population == name and not v.proved), default=1.0)
            caps[name] = max(cap, min(cap * 1.9, scales[name].scale * HEADROOM / max(used, 1e-9)))


def _build(network: Network, form: NumberFormat, caps: Mapping[str, float], *, calibrated: bool) -> _Built:
    populations: dict[str, IntegerPopulation] = {}
    scales: dict[str, Scale] = {}
    projections: dict[str, IntegerProjection] = {}
    warnings: list[str] = []
    problems: list[Diagnostic] = []
    for p in network.populations.values():
        if p.neuron is None:
            populations[p.name] = IntegerPopulation(p.name, p.shape, "input", {}, origin=p.origin)
            continue
        incoming = [q for q in network.projections if q.target == p.name]
        if p.neuron.number_format is not None:
            populations[p.name] = _native_population(p)
            for q in incoming:
                projections[q.name] = _native_projection(q, form)
            scales[p.name] = Scale(p.name, 0.0, ())
            continue
        try:
            plan = _PopulationPlan.of(network, p, incoming, form)
            scale, exponents = plan.choose(caps.get(p.name, np.inf), calibrated)
        except UnsupportedError as error:
            problems += error.diagnostics
            continue
        populations[p.name], rows = plan.integers(scale, warnings)
        for q, pattern, weights, exponent in zip(incoming, plan.patterns, plan.weights, exponents, strict=True):
            projections[q.name], row = _projection(replace(q, pattern=pattern), weights, scale, exponent, form)
            rows.append(row)
            if np.any(weights) and not projections[q.name].mantissa.any():
                warnings.append(f"all weights of '{q.name}' round to 0: they are too small beside the rest of '{p.name}'")
        scales[p.name] = Scale(p.name, scale, tuple(rows))
    if problems:
        raise UnsupportedError(problems)
    ordered = tuple(projections[q.name] for q in network.projections)
    integer = IntegerNetwork(network.name, network.timestep, network.ticks, form, populations, ordered)
    return integer, scales, warnings


# -- integers that the file already holds ---------------------------------------------------------------------------------


def _native_population(p: Population) -> IntegerPopulation:
    assert p.neuron is not None
    model = NEURON_MODELS[p.neuron.model]
    parameters = {key: frozen(value, np.int64) for key, value in p.neuron.parameters.items()}
    return IntegerPopulation(
        p.name, p.shape, "compartment", parameters, model.fires, has_current=model.has_current, origin=p.origin,
        **_integer_semantics(p),
    )  # fmt: skip


def _integer_semantics(p: Population) -> dict[str, Any]:
    """Return the axes of a population that its integers keep as they are; the targets refuse those that they have not."""
    assert p.neuron is not None
    semantics = p.neuron.semantics
    if not NEURON_MODELS[p.neuron.model].fires:
        return {"reset_interval": semantics.reset_interval, "reset_offset": semantics.reset_offset}
    return {
        "reset": semantics.reset,
        "compare": semantics.compare,
        "refractory": semantics.refractory,
        "reset_interval": semantics.reset_interval,
        "reset_offset": semantics.reset_offset,
    }


def _native_projection(q: Projection, form: NumberFormat) -> IntegerProjection:
    assert q.native is not None
    weights = np.asarray(q.weights, np.int64)
    sign_mode = native_sign_mode(q)
    shift = weight_shift(sign_mode, q.native.weight_bits)
    magnitude = -weights if sign_mode == "inhibitory" else weights
    stored: type[np.generic] = np.int8 if sign_mode == "mixed" else np.uint8
    if not form.checked:
        shift, stored = 0, np.int16
    mantissa = frozen((magnitude >> shift).astype(stored))
    return IntegerProjection(
        q.name, q.source, q.target, q.pattern, mantissa, shift, sign_mode, q.native.weight_bits, q.native.weight_exp,
        q.delay, pool=pool_of(q), origin=q.origin,
    )  # fmt: skip


def native_sign_mode(q: Projection) -> SignMode:
    """Return the sign mode of a projection of a chip's integers: as declared, else by the content, as Lava does it."""
    assert q.native is not None
    match q.native.sign_mode:
        case "mixed":
            return "mixed"
        case "excitatory":
            return "excitatory"
        case "inhibitory":
            return "inhibitory"
    return sign_mode_of(q.weights)


def sign_mode_of(weights: Array) -> SignMode:
    """Return ``excitatory`` where no weight is negative, ``inhibitory`` where none is positive, else ``mixed``."""
    if weights.size == 0 or weights.min() >= 0:
        return "excitatory"
    return "inhibitory" if weights.max() <= 0 else "mixed"


def pool_of(q: Projection) -> Pattern | None:
    """Return the maximum that a legal projection takes before its pattern, if any."""
    return q.before[0].pattern if q.before else None


# -- real numbers -----------------------------------------------------------------------------------------------------------


def _fits(form: NumberFormat, sign_mode: SignMode) -> tuple[int, int]:
    """Return (step, largest count of steps) of an 8-bit-scale weight, symmetric so that every emulator represents it."""
    step = 1 << weight_shift(sign_mode, form.weight_bits)
    low, high = weight_range(sign_mode, form.weight_bits)
    return step, max(high, -low if sign_mode == "inhibitory" else high) // step


def _integer_weights(weights: Array, unit: float, sign_mode: SignMode, form: NumberFormat) -> NDArray[np.int64]:
    """Return the nearest counts of steps (magnitudes for ``inhibitory``) when one step is worth ``unit``."""
    _, top = _fits(form, sign_mode)
    signed = -weights if sign_mode == "inhibitory" else weights
    counts = np.rint(np.asarray(signed, np.float64) / unit)
    return np.clip(counts, -top if sign_mode == "mixed" else 0, top).astype(np.int64)


_Rank = tuple[int, float, float, tuple[int, ...]]
"""(lost threshold bits, weighted squared error, scale, exponents) of a candidate scale."""


class _Errors:
    """Squared error of one projection's weights by the worth of a step; each worth is computed once."""

    def __init__(self, weights: Array, form: NumberFormat) -> None:
        self.weights, self.form = np.asarray(weights, np.float64).ravel(), form
        self.sign_mode = sign_mode_of(self.weights)
        self.step, top = _fits(form, self.sign_mode)
        largest = float(np.abs(self.weights).max(initial=0.0))
        self.largest = largest if largest > VANISHING else 0.0
        if self.largest and not top:
            message = f"weights of both signs need at least 2 bits; '{form.name}' has {form.weight_bits}"
            raise UnsupportedError(Diagnostic("NC0312", message, hint="raise integers.weight_bits of the spec"))
        self.unit_of_largest = self.largest / max(top, 1)
        self.known: dict[float, float] = {}

    def of(self, unit: float) -> float:
        """Return the error when a step is worth ``unit``; far finer than the largest weight counts as hopeless."""
        if self.largest == 0.0:
            return 0.0
        if unit < self.unit_of_largest * 2.0**-CLIP_OCTAVES * 0.99:
            return np.inf
        if unit not in self.known:
            sign = -1.0 if self.sign_mode == "inhibitory" else 1.0
            counts = _integer_weights(self.weights, unit, self.sign_mode, self.form)
            # In units of a step and summed as integers: no order of summation, thread or CPU can change a scale.
            with np.errstate(over="ignore", invalid="ignore"):
                steps = np.square(self.weights / unit - sign * counts)
                total = int(np.rint(np.minimum(steps, LARGEST_ERROR) * ERROR_RESOLUTION).astype(np.int64).sum())
                self.known[unit] = total / ERROR_RESOLUTION * unit * unit
        return self.known[unit]


@dataclass(frozen=True, slots=True)
class _PopulationPlan:
    """The real numbers of one population, in units of its potential."""

    population: Population
    form: NumberFormat
    ticks: int
    patterns: tuple[Pattern, ...]
    sources: tuple[Shape, ...]
    """The shape that each pattern starts from."""
    weights: tuple[Array, ...]
    """Of each incoming projection, with the input gain."""
    decay_u: Array
    decay_v: Array
    threshold: Array | None
    bias: Array
    """Added to v each tick."""
    u_init: Array
    v_init: Array
    has_current: bool
    errors: tuple[_Errors, ...]

    @staticmethod
    def of(network: Network, p: Population, incoming: list[Projection], form: NumberFormat) -> _PopulationPlan:
        """Gather the numbers; a current-based neuron's bias moves exactly to v: b / (1 - decay_u), and u starts below by it."""
        assert p.neuron is not None
        model, parameters, semantics = NEURON_MODELS[p.neuron.model], p.neuron.parameters, p.neuron.semantics
        decay_u, decay_v = model.decays(parameters, semantics, network.timestep)
        gain = model.input_gain(parameters, semantics, network.timestep)
        sources = tuple(q.source_shape(network.populations[q.source].shape) for q in incoming)
        weights, patterns = [], []
        for q in incoming:
            pattern, scaled = q.pattern, q.weights
            if gain.ndim or float(gain) != 1.0:
                shapes = q.source_shape(network.populations[q.source].shape), p.shape
                factors = np.broadcast_to(gain, (p.size,))
                found = PATTERNS[q.pattern.kind].scaled(q.pattern, q.weights, factors, *shapes)
                pattern, scaled = found or expanded_and_scaled(q, factors, *shapes)
            weights.append(scaled)
            patterns.append(pattern)
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
        return _PopulationPlan(
            p, form, network.ticks, tuple(patterns), sources, tuple(weights), decay_u, decay_v,
            np.asarray(parameters["v_threshold"], np.float64) if model.fires else None,
            bias, u_init, np.asarray(parameters["v_init"], np.float64), model.has_current,
            tuple(_Errors(w, form) for w in weights),
        )  # fmt: skip

    @property
    def resets_to_zero(self) -> bool:
        """Whether a spike clears the potential."""
        assert self.population.neuron is not None
        return self.population.neuron.semantics.reset == "zero"

    def provable_scale(self) -> float:
        """Return up to which scale it can be proved that nothing overflows in a sample, whatever the spikes."""
        size, form = self.population.size, self.form
        positive, negative = np.zeros(size), np.zeros(size)
        for pattern, source, weights in zip(self.patterns, self.sources, self.weights, strict=True):
            above, below = PATTERNS[pattern.kind].sums(pattern, weights, source, self.population.shape)
            positive += above
            negative += below
        current, potential = np.zeros(size), np.zeros(size)
        for sums, sign in ((positive, 1.0), (negative, -1.0)):
            u = np.maximum(sign * self.u_init, 0.0) + np.zeros(size)
            v = np.maximum(sign * self.v_init, 0.0) + np.zeros(size)
            bias = np.maximum(sign * self.bias, 0.0)
            for _ in range(min(self.ticks, PROVED_TICKS)):
                u = u * self.decay_u + sums
                if sign > 0 and self.threshold is not None and self.resets_to_zero:
                    v = np.minimum(v, np.maximum(self.threshold, np.maximum(self.v_init, 0.0)))
                v = v * self.decay_v + u + bias
                current, potential = np.maximum(current, u), np.maximum(potential, v)
        state_one = float(1 << form.state_shift)
        v_limit = form.v_max if self.threshold is not None else min(form.v_max, form.threshold_max << form.state_shift)
        pairs = (
            (form.accumulator_max, np.maximum(positive, negative)),
            ((form.u_max - 1) / state_one, current),
            (v_limit / state_one, potential),
        )
        largest = [limit / float(bound.max()) for limit, bound in pairs if bound.size and bound.max() > 0]
        return PROOF_MARGIN * min(largest, default=np.inf)

    def choose(self, cap: float, calibrated: bool) -> tuple[float, tuple[int, ...]]:
        """Return the scale (threshold mantissa per 1.0 of the potential) and the exponent of each projection."""
        form = self.form
        state_one = float(1 << form.state_shift)
        highest = cap
        if self.threshold is not None and self.threshold.size:
            highest = min(highest, form.threshold_max / max(float(np.abs(self.threshold).max()), 1e-300))
        starts = (self.u_init, form.u_max - 1), (self.v_init, form.v_max)
        for value, limit in ((self.bias, form.bias_max << form.bias_exp_max), *starts):
            largest = float(np.abs(value).max(initial=0.0))
            if largest:
                highest = min(highest, limit / state_one / largest)
        wanted = 1.0
        if self.threshold is not None and self.threshold.size:
            smallest = (
                float(np.abs(self.threshold[self.threshold != 0]).min(initial=np.inf)) if self.threshold.any() else np.inf
            )
            wanted = MIN_THRESHOLD / smallest if np.isfinite(smallest) else 1.0
        units = [e.unit_of_largest / e.step for e in self.errors if e.largest]
        if not units and not np.isfinite(highest):
            return wanted, (0,) * len(self.errors)
        # The scale at which exponent 0 holds the largest weight; scales around it are tried, an octave each way per exponent.
        base = 1.0 / max(units) if units else wanted
        wanted = min(wanted, base * 2.0**form.weight_exp_max)  # no weight clips for the sake of the threshold's rounding
        lowest_octave = int(np.floor(np.log2(min(base, wanted, highest)))) - 1
        top_octave = int(np.ceil(np.log2(max(base * 2.0**form.weight_exp_max, wanted)))) + CLIP_OCTAVES
        provable, worth = self.provable_scale(), PROOF_WORTH if calibrated else BLIND_PROOF_WORTH
        best: _Rank | None = None
        for octave in range(lowest_octave, top_octave + 1):
            for step in range(STEPS_PER_OCTAVE):
                scale = 2.0 ** (octave + step / STEPS_PER_OCTAVE)
                if scale > highest:
                    continue
                choices = [min((e.of(e.step * 2.0**x / scale), x) for x in self._exponents(e, scale)) for e in self.errors]
                error = float(sum(choice[0] for choice in choices))
                if not np.isfinite(error):
                    continue
                coarse = max(0, int(np.ceil(np.log2(wanted / scale))))
                weight = 1.0 if scale <= provable else worth
                rank = (coarse, error * weight, scale, tuple(choice[1] for choice in choices))
                if best is None or self._better(rank, best):
                    best = rank
        if best is None:
            step, top = _fits(form, "mixed")
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

    def _exponents(self, errors: _Errors, scale: float) -> range:
        """Return the exponents worth trying: those at which the largest weight neither clips much nor wastes its bits."""
        if errors.largest == 0.0:
            return range(1)
        exact = np.log2(errors.unit_of_largest * scale / errors.step)
        low = min(max(int(np.floor(exact)) - CLIP_OCTAVES, 0), self.form.weight_exp_max)
        high = min(max(int(np.ceil(exact)), low), self.form.weight_exp_max)
        return range(low, high + 1)

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

    def population_parameters(self, scale: float, warnings: list[str]) -> dict[str, Array]:
        """Return the integers of `COMPARTMENT`, rounded to nearest; what the format clips is added to ``warnings``."""
        form, name = self.form, self.population.name
        one = form.decay_one
        keep_u = np.rint(one * np.asarray(self.decay_u, np.float64)).astype(np.int64)
        keep_v = np.rint(one * np.asarray(self.decay_v, np.float64)).astype(np.int64)
        du, dv = one - form.current_decay_offset - keep_u, one - keep_v
        for what, wanted in (("du", du), ("dv", dv)):
            if (wanted >= one).any() or (wanted < 0).any():
                warnings.append(f"'{name}': {what} is limited to 0..{one - 1}; a decay of the file is beyond it")
        state = scale * (1 << form.state_shift)
        bias = np.rint(np.asarray(self.bias, np.float64) * state).astype(np.int64)
        exponent = np.zeros_like(bias)
        while (over := np.abs(bias) > (form.bias_max << exponent)).any():
            exponent = exponent + over
        half = np.where(exponent > 0, 1 << np.maximum(exponent - 1, 0), 0)
        mantissa = np.clip((np.abs(bias) + half) >> exponent, 0, form.bias_max) * np.sign(bias)
        threshold: Array = np.asarray(form.threshold_max)
        if self.threshold is not None:
            threshold = np.clip(np.rint(self.threshold * scale), 0, form.threshold_max)
        values: dict[str, Array] = {
            "du": np.clip(du, 0, one - 1),
            "dv": np.clip(dv, 0, one - 1),
            "vth": threshold,
            "bias_mant": mantissa,
            "bias_exp": exponent,
            "u_init": np.clip(np.rint(self.u_init * state), -(form.u_max - 1), form.u_max - 1),
            "v_init": np.clip(np.rint(self.v_init * state), -form.v_max, form.v_max),
        }
        return {key: frozen(np.asarray(value, np.int64)) for key, value in values.items()}

    def integers(self, scale: float, warnings: list[str]) -> tuple[IntegerPopulation, list[tuple[str, str, str]]]:
        """Return the integer population and what each of its numbers became."""
        p, form = self.population, self.form
        values = self.population_parameters(scale, warnings)
        one, state = form.decay_one, scale * (1 << form.state_shift)
        rows: list[tuple[str, str, str]] = []
        if self.has_current:
            effective = (one - form.current_decay_offset - values["du"]) / one
            rows.append(("current decay", _span(self.decay_u), f"du {_span(values['du'])} = {_span(effective)}"))
        rows.append(("potential decay", _span(self.decay_v), f"dv {_span(values['dv'])} = {_span((one - values['dv']) / one)}"))
        if self.threshold is not None:
            rows.append(("threshold", _span(self.threshold), f"{_span(values['vth'])} = {_span(values['vth'] / scale)}"))
        if self.bias.any():
            effective = (values["bias_mant"] << values["bias_exp"]) / state
            text = f"{_span(values['bias_mant'])} << {_span(values['bias_exp'])} = {_span(effective)}"
            rows.append(("bias per tick, into v", _span(self.bias), text))
        for what, real in (("u_init", self.u_init), ("v_init", self.v_init)):
            if real.any():
                rows.append((what, _span(real), f"{_span(values[what])} = {_span(values[what] / state)}"))
        population = IntegerPopulation(
            p.name, p.shape, "compartment", values, self.threshold is not None, has_current=self.has_current, origin=p.origin,
            **_integer_semantics(p),
        )  # fmt: skip
        return population, rows


def expanded_and_scaled(q: Projection, factors: Array, source: Shape, target: Shape) -> tuple[Pattern, Array]:
    """Return a projection as sparse, with one factor per target neuron."""
    pattern, weights = expanded(q.pattern, q.weights, source, target)
    return pattern, np.asarray(weights, np.float64) * factors[pattern.arrays["targets"]]


def _span(values: Array) -> str:
    """Return one number, or the range of several."""
    values = np.asarray(values)
    if values.size == 0:
        return "none"
    low, high = values.min(), values.max()
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"


def _projection(
    q: Projection, weights: Array, scale: float, exponent: int, form: NumberFormat
) -> tuple[IntegerProjection, tuple[str, str, str]]:
    sign_mode = sign_mode_of(weights)
    shift = weight_shift(sign_mode, form.weight_bits)
    unit = 2.0 ** (exponent + shift) / scale
    counts = _integer_weights(weights, unit, sign_mode, form)
    mantissa = frozen(counts.astype(np.int8 if sign_mode == "mixed" else np.uint8))
    result = IntegerProjection(
        q.name, q.source, q.target, q.pattern, mantissa, shift, sign_mode, form.weight_bits, exponent, q.delay, pool=pool_of(q),
        origin=q.origin,
    )  # fmt: skip
    _, top = _fits(form, sign_mode)
    clipped = int((np.abs(np.rint(np.asarray(weights, np.float64) / unit)) > top).sum())
    zeroed = int(((counts == 0) & (np.asarray(weights) != 0)).sum())
    sign = -1.0 if sign_mode == "inhibitory" else 1.0
    error = np.sqrt(np.square(np.asarray(weights, np.float64) - sign * counts * unit).mean()) if counts.size else 0.0
    text = (
        f"{sign_mode} {form.weight_bits} bit, step {unit:.6g} ({1 << shift} << {exponent}), rms error {error:.3g}, "
        f"{clipped} clipped, {zeroed} of {counts.size} rounded to 0"
    )
    return result, (f"weights {q.name}", _span(np.asarray(weights)), text)


def _activity_warnings(network: Network, trace: Trace) -> list[str]:
    """Name populations that never spike, or neurons that spike in every tick, on the calibration data."""
    warnings = []
    for p in network.populations.values():
        if p.neuron is None or not NEURON_MODELS[p.neuron.model].fires:
            continue
        spikes = trace.spikes[p.name] != 0
        if not spikes.any():
            warnings.append(f"'{p.name}' never spikes on the calibration data (dead)")
        elif always := int(spikes.all(axis=(0, 1)).sum()):
            warnings.append(
                f"{always} of {p.size} neurons of '{p.name}' spike in every tick of the calibration data (saturated)"
            )
    return warnings
