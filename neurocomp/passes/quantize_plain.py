"""Quantize for crossbars: weights on a few levels per neuron, thresholds and leaks beside them, all plain whole numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import IntegerSimulator, Stimulus
from neurocomp.errors import Diagnostic, UnsupportedError
from neurocomp.hardware import NumberFormat
from neurocomp.ir.network import Network, Population, Projection, frozen
from neurocomp.ir.quantized import (
    TRUENORTH,
    IntegerNetwork,
    IntegerPopulation,
    IntegerProjection,
    QuantizedNetwork,
    Scale,
    Verdict,
)
from neurocomp.ir.trace import Trace
from neurocomp.models.neurons import NEURON_MODELS, ProgrammedModel
from neurocomp.models.patterns import Pattern
from neurocomp.passes.quantize import Quantization, activity_warnings, pool_of
from neurocomp.passes.quantize_weights import along
from neurocomp.passes.ranges import input_bounds

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

EXACT = 1e-5
"""Of a step: weights that lie on whole multiples of it to within so much are taken for exact."""
FINE_THRESHOLD = 256
"""Thresholds from here on are rounded by less than 0.2 %; weights are multiplied by up to so much until theirs is as large."""
CLIP_OCTAVES = 3
STEPS_PER_OCTAVE = 8
PARTIAL_BOOK = 31
"""The largest value of codebooks whose neurons have more inputs than a core has axons."""
ROUNDS = 12
"""Of fitting a codebook."""
FEW = 4096
"""Weights on which a format is tried before all are looked at."""
BIAS_LINES = 8
"""Lines of the host per population that carry a bias which no leak can."""


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """What weights may be: ``top`` steps in either direction, or the subset sums of ``codebook`` free values."""

    name: str
    top: int
    codebook: int = 0


WEIGHT_FORMATS: Mapping[str, WeightFormat] = {
    f.name: f
    for f in (
        WeightFormat("trinary", 1),
        WeightFormat("int4", 7),
        WeightFormat("int5", 15),
        WeightFormat("int6", 31),
        WeightFormat("int8", 127),
        WeightFormat("codebook2", 0, 2),
        WeightFormat("codebook3", 0, 3),
        WeightFormat("codebook4", 0, 4),
    )
}
DEFAULT_FORMAT = "int4"
"""What ``auto`` takes where weights are not on the levels of a cheaper format."""


def quantize_plain(
    network: Network, form: NumberFormat, simulator: IntegerSimulator, calibration: Stimulus | None, weights: str = "auto",
    *, max_axons: int,
) -> Quantization:  # fmt: skip
    """Quantize a network for a chip of crossbars.

    Each neuron (each channel of a convolution) has a step of its own, of the smallest squared error; its weights are whole
    multiples of that step, its threshold and bias are rounded to the same scale, which is a multiple of one per step where that
    makes thresholds finer. Weights that lie on the levels of a format already stay as they are.

    Args:
        network: A network whose semantics the target has.
        form: A number format with plain weights.
        simulator: Executes the quantized network on the calibration stimulus.
        calibration: Encoded spikes per input, (samples, ticks, n).
        weights: A name of `WEIGHT_FORMATS`, or ``auto``: the cheapest that represents a population's weights exactly, or else
            `DEFAULT_FORMAT`.
        max_axons: Of a core: codebooks of neurons with more are coarser, as thresholds of partial sums are no larger than the
            weight of an axon type.

    Raises:
        UnsupportedError: No scale represents a population (NC0312).
    """
    populations: dict[str, IntegerPopulation] = {}
    projections: dict[str, IntegerProjection] = {}
    biases: list[IntegerProjection] = []
    scales: dict[str, Scale] = {}
    warnings: list[str] = []
    problems: list[Diagnostic] = []
    first = 0
    for p in network.populations.values():
        keys = first + np.arange(p.size)
        first += p.size
        if p.neuron is None:
            populations[p.name] = IntegerPopulation(p.name, p.shape, "input", {}, origin=p.origin)
            continue
        incoming = [q for q in network.projections if q.target == p.name]
        if p.neuron.number_format is not None:
            parameters = {key: frozen(value, np.int64) for key, value in p.neuron.parameters.items()}
            populations[p.name] = _population(p, {**parameters, "key": frozen(keys, np.int64)})
            scales[p.name] = Scale(p.name, 0.0, ())
            projections |= {q.name: _projection(q, np.asarray(q.weights, np.int64)) for q in incoming}
            continue
        try:
            part = _Part.of(network, p, incoming, form, weights, keys, max_axons)
        except UnsupportedError as error:
            problems += error.diagnostics
            continue
        populations[p.name], scales[p.name] = part.population, part.scale
        projections |= part.projections
        warnings += part.warnings
        if part.bias_source is not None and part.bias_projection is not None:
            populations[part.bias_source.name] = part.bias_source
            biases.append(part.bias_projection)
    if problems:
        raise UnsupportedError(problems)
    ordered = (*(projections[q.name] for q in network.projections), *biases)
    outputs = tuple(p.name for p in network.outputs)
    integer = IntegerNetwork(
        network.name, network.timestep, network.ticks, form, populations, ordered, outputs=outputs
    )  # fmt: skip
    trace = simulator.run(integer, calibration) if calibration is not None else None
    found = tuple(_verdict(integer, p, trace) for p in populations.values() if p.has_neurons)
    warnings += [w for p in populations.values() if p.has_neurons for w in _self_firing(p)]
    if trace is not None:
        warnings += activity_warnings(network, trace)
    for verdict in found:
        if not verdict.proved and verdict.bound >= verdict.limit:
            warnings.append(
                f"'{verdict.population}': v reaches {verdict.bound}, where the register holds it, on the calibration data; "
                "the chip does the same, the network in real numbers does not"
            )
    return Quantization(QuantizedNetwork(integer, scales, found, tuple(warnings)).verify(), trace)


BITS_OFF = 0.15
"""Bits of a random threshold that rounding may be off by before a warning says so: a tenth of its range."""


def _population(p: Population, parameters: Mapping[str, Array]) -> IntegerPopulation:
    ordered = {name: parameters[name] for name in TRUENORTH}
    return IntegerPopulation(p.name, p.shape, "truenorth", ordered, compare=">=", origin=p.origin)


def _projection(q: Projection, weights: IntArray) -> IntegerProjection:
    return IntegerProjection(
        q.name, q.source, q.target, q.pattern, frozen(weights, np.int16), 0, "mixed", 8, 0, q.delay, pool=pool_of(q),
        origin=q.origin,
    )  # fmt: skip


# Steps


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The weights into a population, and which group of neurons shares the step of each."""

    groups: int
    group_of: IntArray
    """Target neuron -> its group."""
    weights: Sequence[FloatArray]
    """Per projection, in its own shape."""
    number: Sequence[IntArray]
    """Per projection, the group of each weight."""

    @staticmethod
    def of(p: Population, incoming: Sequence[Projection]) -> _Rows:
        """Collect them: one group per neuron, or per channel where a convolution shares its kernels."""
        group_of = np.arange(p.size)
        if any(q.pattern.kind in ("conv1d", "conv2d") for q in incoming):
            group_of = group_of // (p.size // p.shape[0])
        weights = [np.asarray(q.weights, np.float64) for q in incoming]
        number = []
        for q, w in zip(incoming, weights, strict=True):
            aligned = along(q.pattern, group_of, w, p.shape)
            assert aligned is not None
            number.append(np.broadcast_to(aligned, w.shape).astype(np.int64))
        return _Rows(int(group_of.max()) + 1, group_of, weights, number)

    def some(self) -> _Rows:
        """Return a few of the weights, which tell at once where most are on no levels."""
        weights, number = self.flat()
        chosen = slice(None, None, max(1, len(weights) // FEW))
        return _Rows(self.groups, self.group_of, [weights[chosen]], [number[chosen]])

    def flat(self) -> tuple[FloatArray, IntArray]:
        """Return all weights and their groups."""
        none = np.zeros(0)
        weights = np.concatenate([none, *(w.ravel() for w in self.weights)])
        return weights, np.concatenate([none.astype(np.int64), *(n.ravel() for n in self.number)])


def _steps(rows: _Rows, top: int) -> tuple[FloatArray, FloatArray]:
    """Return for each group the step of the smallest squared error with ``top`` steps, and that error."""
    w, number = rows.flat()
    largest, smallest = np.zeros(rows.groups), np.full(rows.groups, np.inf)
    np.maximum.at(largest, number, np.abs(w))
    np.minimum.at(smallest, number[w != 0], np.abs(w[w != 0]))
    smallest = np.where(np.isfinite(smallest), smallest, 1.0)
    largest = np.where(largest > 0, largest, 1.0)
    candidates = [largest / k for k in range(1, top + 1)] if top <= 31 else [largest / top]
    candidates += [smallest / k for k in range(1, min(top, 8) + 1)]
    candidates += [largest / top * 2.0 ** (-i / STEPS_PER_OCTAVE) for i in range(CLIP_OCTAVES * STEPS_PER_OCTAVE)]
    best, chosen = np.full(rows.groups, np.inf), largest / top
    for step in candidates:
        k = np.clip(np.rint(w / step[number]), -top, top)
        error = np.bincount(number, (w - k * step[number]) ** 2, rows.groups)
        better = error < best * (1 - 1e-9) - 1e-300
        best, chosen = np.where(better, error, best), np.where(better, step, chosen)
    return chosen, best


def _on_levels(rows: _Rows, step: FloatArray, top: int) -> bool:
    """Return whether all weights are whole multiples of the steps."""
    w, number = rows.flat()
    ratio = w / step[number]
    return bool((np.abs(ratio - np.rint(ratio)) < EXACT).all() and (np.abs(np.rint(ratio)) <= top).all())


def _codebooks(rows: _Rows, size: int) -> FloatArray:
    """Return ``size`` values per group whose subset sums represent its weights with a small squared error."""
    w, number = rows.flat()
    order = np.argsort(number, kind="stable")
    parts = np.split(w[order], np.cumsum(np.bincount(number, minlength=rows.groups))[:-1])
    patterns = np.array(list(product((0, 1), repeat=size)), np.float64)
    books = np.zeros((rows.groups, size))
    for group, values in enumerate(parts):
        spread = float(np.abs(values).max(initial=0))
        if not spread:
            continue
        starts = [spread / 2.0 ** np.arange(size)]
        starts.append(np.where(np.arange(size) == 0, -1, 1) * spread / 2.0 ** np.maximum(np.arange(size) - 1, 0))
        best = np.inf
        for book in starts:
            for _ in range(ROUNDS):
                chosen = patterns[np.abs(values[:, None] - (patterns @ book)[None]).argmin(axis=1)]
                book = np.linalg.lstsq(chosen, values, rcond=None)[0]
            error = float(((values - (patterns @ book)[np.abs(values[:, None] - patterns @ book).argmin(axis=1)]) ** 2).sum())
            if error < best:
                best, books[group] = error, book
    return books


# Populations


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What became of one population and the projections into it."""

    population: IntegerPopulation
    projections: Mapping[str, IntegerProjection]
    scale: Scale
    warnings: Sequence[str]
    bias_source: IntegerPopulation | None = None
    bias_projection: IntegerProjection | None = None

    @staticmethod
    def of(
        network: Network, p: Population, incoming: Sequence[Projection], form: NumberFormat, weights: str, keys: IntArray,
        max_axons: int,
    ) -> _Part:  # fmt: skip
        """Quantize a population of real numbers."""
        rows = _Rows.of(p, incoming)
        builder = _Builder(network, p, incoming, form, rows, _format_of(rows, weights), max_axons)
        return builder.part(keys)


def _format_of(rows: _Rows, weights: str) -> WeightFormat:
    if weights != "auto":
        return WEIGHT_FORMATS[weights]
    for name in ("trinary", "int4", "int5", "int6"):
        found = WEIGHT_FORMATS[name]
        if all(_on_levels(part, _steps(part, found.top)[0], found.top) for part in (rows.some(), rows)):
            return found
    return WEIGHT_FORMATS[DEFAULT_FORMAT]


@dataclass(frozen=True, slots=True, eq=False)
class _Builder:
    """Makes the integers of one population."""

    network: Network
    p: Population
    incoming: Sequence[Projection]
    form: NumberFormat
    rows: _Rows
    format: WeightFormat
    max_axons: int

    @property
    def model(self) -> str:
        """The neuron model."""
        assert self.p.neuron is not None
        return self.p.neuron.model

    def real(self, name: str) -> FloatArray:
        """Return a parameter per neuron."""
        assert self.p.neuron is not None
        return np.broadcast_to(np.asarray(self.p.neuron.parameters[name], np.float64), (self.p.size,))

    @property
    def bias(self) -> FloatArray:
        """The sum of all biases, (n,)."""
        total = np.zeros(self.p.size)
        for q in self.incoming:
            total = total + (np.asarray(q.bias, np.float64) if q.bias is not None else 0.0)
        return total

    def part(self, keys: IntArray) -> _Part:
        """Return the integers."""
        p, form, rows = self.p, self.form, self.rows
        threshold, bias = self.real("v_threshold"), self.bias
        books = _codebooks(rows, self.format.codebook) if self.format.codebook else None
        if books is None:
            step, _ = _steps(rows, self.format.top)
            largest = np.full(rows.groups, self._largest_slot(), np.float64)
        else:
            fan_in = np.bincount(rows.flat()[1], minlength=1).max(initial=0) * self.format.codebook
            most = form.weight_max_type if fan_in <= self.max_axons else PARTIAL_BOOK
            step = np.where(np.abs(books).max(axis=1) > 0, np.abs(books).max(axis=1), 1.0) / most
            largest = np.ones(rows.groups)
        factor = self._factors(step, threshold, bias, largest) if books is None else np.ones(rows.groups)
        scale = (factor / step)[rows.group_of]
        made, rms = {}, 0.0
        for q, w, number in zip(self.incoming, rows.weights, rows.number, strict=True):
            if books is None:
                counts = np.clip(np.rint(w / step[number]), -self.format.top, self.format.top)
                integers = counts * factor[number]
            else:
                integers = self._from_books(np.rint(books / step[:, None]), w / step[number], number)
            rms += float(((w - integers * (step / factor)[number]) ** 2).sum())
            made[q.name] = _projection(q, integers.astype(np.int64))
        size = max(1, sum(w.size for w in rows.weights))
        warnings: list[str] = []
        parameters = self.parameters(scale, threshold, bias, warnings)
        population = _population(p, {**parameters, "key": frozen(keys, np.int64)})
        if books is not None:
            whole = np.rint(books / step[:, None]).astype(np.int64)
            population = replace(population, codebook=frozen(whole[rows.group_of]))
        text = f"{self.format.name}, {_span(step / factor)} per unit"
        listing = [("weights", _span(rows.flat()[0]), f"{text}, rms error {np.sqrt(rms / size):.3g}")]
        listing.append(("v_threshold", _span(threshold), f"alpha {_span(parameters['alpha'])}"))
        if bias.any():
            listing.append(("bias", _span(bias), f"lambda {_span(parameters['lambda'])}"))
        if scale.min() != scale.max():
            listing.append(("neuron scales", _span(scale), "one for each neuron; their median stands for the population"))
        source = projection = None
        if self.model == "linear_lif":
            listing.append(("leak", _span(self.real("leak")), f"lambda {_span(parameters['lambda'])}, toward 0"))
            if bias.any():
                source, projection = self._bias_lines(step, factor)
        return _Part(
            population, made, Scale(p.name, float(np.median(scale)), tuple(listing)), warnings, source, projection
        )  # fmt: skip

    def _largest_slot(self) -> int:
        """Return the largest share of a weight that one axon carries, in steps: the sign bit of two's complement."""
        most = self.format.top * self._synapses_of_a_pair()
        return 1 << most.bit_length() if most > 1 else 1

    def _synapses_of_a_pair(self) -> int:
        """Return how many synapses may join one source to one neuron, whose weights add up on the chip's axons."""
        together: dict[str, int] = {}
        for q in self.incoming:
            count = 1
            if q.pattern.kind == "sparse" and len(q.pattern.arrays["sources"]):
                pairs = q.pattern.arrays["sources"] * self.p.size + q.pattern.arrays["targets"]
                count = int(np.unique(pairs, return_counts=True)[1].max())
            elif q.pattern.kind == "block":
                rows = np.sort(q.pattern.arrays["indices"], axis=1)
                count = 1 + int((np.diff(rows, axis=1) == 0).sum(axis=1).max(initial=0))
            together[q.source] = together.get(q.source, 0) + count
        return max(together.values(), default=1)

    def _factors(self, step: FloatArray, threshold: FloatArray, bias: FloatArray, largest: FloatArray) -> FloatArray:
        """Return by how much each group's weights are multiplied.

        The least that makes threshold, bias and leak whole, where there is one; else a power of 2 for fine thresholds.
        """
        group_of, groups = self.rows.group_of, self.rows.groups

        def worst(values: FloatArray) -> FloatArray:
            result = np.zeros(groups)
            np.maximum.at(result, group_of, values)
            return result

        per_step = threshold / step[group_of], bias / step[group_of]
        leak = self.real("leak") / step[group_of] if self.model == "linear_lif" else np.zeros(self.p.size)
        size = worst(np.abs(per_step[0]))
        memoryless = self.model == "binary"
        carried = worst(np.abs(per_step[1] - per_step[0]) if memoryless else np.abs(per_step[1]))
        carried = np.maximum(carried, worst(leak))
        room = np.minimum(self.form.weight_max_type / largest, self.form.bias_max / np.maximum(carried, 1e-9))
        room = np.minimum(room, self.form.threshold_max / np.maximum(size, 1e-9))
        wanted = np.where(memoryless | (size <= 0), 1.0, FINE_THRESHOLD / np.maximum(size, 1e-9))
        factor = 2.0 ** np.floor(np.log2(np.clip(np.minimum(room, wanted), 1.0, None)))
        # Multiples that stay on the format's own levels always have axons.
        weights, number = self.rows.flat()
        counts = np.zeros(groups)
        np.maximum.at(counts, number, np.abs(np.rint(weights / step[number])))
        room = np.maximum(room, self.format.top // np.maximum(counts, 1.0))
        exact = np.zeros(groups)
        for k in range(int(min(room.max(), FINE_THRESHOLD)), 0, -1):
            off = np.maximum.reduce([worst(np.abs(k * v - np.rint(k * v))) for v in (*per_step, leak)])
            exact = np.where((off < EXACT) & (k <= room), float(k), exact)
        return np.where(exact > 0, exact, factor)

    def _from_books(self, books: FloatArray, w: FloatArray, number: IntArray) -> FloatArray:
        """Return the subset sums of whole codebooks (groups, m) nearest to weights in their steps."""
        patterns = np.array(list(product((0, 1), repeat=books.shape[1])), np.float64)
        levels = books @ patterns.T
        result = np.zeros(w.size)
        flat, group = w.ravel(), number.ravel()
        for start in range(0, w.size, 1 << 18):
            part = slice(start, start + (1 << 18))
            own = levels[group[part]]
            result[part] = own[np.arange(len(own)), np.abs(own - flat[part, None]).argmin(axis=1)]
        return result.reshape(w.shape)

    def parameters(self, scale: FloatArray, threshold: FloatArray, bias: FloatArray, warnings: list[str]) -> dict[str, Array]:
        """Return the parameters of the neurons."""
        assert self.p.neuron is not None
        p, form, semantics = self.p, self.form, self.p.neuron.semantics
        size = p.size
        values = {name: np.zeros(size, np.int64) for name in TRUENORTH if name != "key"}
        if self.model == "binary":
            # The comparison with 0 that the leak makes of the threshold; 0 is also what every tick leaves.
            limit = (threshold - bias) * scale
            values["lambda"] = -(np.floor(limit + EXACT).astype(np.int64) + 1 if semantics.compare == ">" else _up(limit))
            self._inside("threshold minus bias", values["lambda"], form.bias_max, "bias_bits")
            return {name: frozen(array, np.int64) for name, array in values.items()}
        limit = threshold * scale
        values["alpha"] = np.rint(limit).astype(np.int64) if semantics.reset == "subtract" or bias.any() else _up(limit)
        if semantics.compare == ">":
            values["alpha"] = np.floor(limit + EXACT).astype(np.int64) + 1
        self._inside("threshold", values["alpha"], form.threshold_max, "threshold_bits")
        values["beta"] = np.full(size, form.threshold_max, np.int64)
        if semantics.v_floor is not None:
            values["beta"] = np.minimum(np.rint(-semantics.v_floor * scale), form.threshold_max).astype(np.int64)
        values["kappa"][:] = 1
        values["gamma"][:] = {"zero": 0, "subtract": 1, "none": 2}[semantics.reset]
        values["V"] = np.rint(self.real("v_init") * scale).astype(np.int64)
        self._inside("start of v", values["V"], form.v_max, "v_bits")
        if self.model == "linear_lif":
            values["epsilon"][:] = 1
            values["lambda"] = -np.maximum(np.rint(self.real("leak") * scale), 1).astype(np.int64)
            self._inside("leak", values["lambda"], form.bias_max, "bias_bits")
        else:
            values["lambda"] = np.rint(bias * scale).astype(np.int64)
            self._inside("bias", values["lambda"], form.bias_max, "bias_bits")
            lost = (bias != 0) & (np.abs(values["lambda"] - bias * scale) > 0.1 * np.abs(bias * scale))
            if lost.any():
                warnings.append(f"'{p.name}': {int(lost.sum())} of {size} biases are rounded by more than 10 %")
        model = NEURON_MODELS[self.model]
        if isinstance(model, ProgrammedModel) and model.crossbar is not None:
            given = {name: self.real(name) for name in model.parameters}
            for name, exact in model.crossbar(given, scale).items():
                values[name] = np.rint(np.broadcast_to(exact, (size,))).astype(np.int64)
                wide = 2.0 ** (values[name] - exact) if name == "TM" else np.ones(1)
                if np.abs(np.log2(wide)).max(initial=0) > BITS_OFF:
                    became = f"{float(np.min(wide)):.2g} to {float(np.max(wide)):.2g} times as wide"
                    warnings.append(f"'{p.name}': its random threshold has a whole number of bits, so its range is {became}")
            self._inside("threshold", values["alpha"], form.threshold_max, "threshold_bits")
            self._inside("noise", values["TM"], form.threshold_bits, "threshold_bits")
        return {name: frozen(array, np.int64) for name, array in values.items()}

    def _bias_lines(self, step: FloatArray, factor: FloatArray) -> tuple[IntegerPopulation, IntegerProjection]:
        """Return a source that spikes in every tick, and synapses that carry the bias of neurons whose leak is taken."""
        group = self.rows.group_of
        counts = np.rint(self.bias / step[group]).astype(np.int64)
        top = max(self.format.top, 1)
        lines = -(-int(np.abs(counts).max(initial=0)) // top)
        if lines > BIAS_LINES:
            message = f"population '{self.p.name}': its bias is up to {lines} times its largest weight"
            hint = "train without bias, or with a smaller one"
            raise UnsupportedError(Diagnostic("NC0312", message, self.p.origin, hint=hint))
        lines = max(1, lines)
        weights = np.zeros((self.p.size, lines), np.int64)
        for line in range(lines):
            weights[:, line] = np.clip(counts, -top, top)
            counts -= weights[:, line]
        weights *= factor[group].astype(np.int64)[:, None]
        name = f"{self.p.name}.bias"
        pulses = {"first": frozen(np.int64(0)), "count": frozen(np.int64((1 << 31) - 1))}
        source = IntegerPopulation(name, (lines,), "pulse", pulses, origin=self.p.origin)
        q = Projection(f"{name}->{self.p.name}", name, self.p.name, Pattern("dense"), weights)
        return source, _projection(q, weights)

    def _inside(self, what: str, values: IntArray, largest: int, field: str) -> None:
        """Refuse values that a register cannot hold."""
        wrong = np.abs(values) > largest
        if wrong.any():
            neuron = int(np.flatnonzero(wrong)[0])
            message = (
                f"population '{self.p.name}': the {what} of neuron {neuron} is {int(values[neuron])} "
                f"in units of its weights; at most {largest} fit"
            )
            hint = "train with smaller thresholds and biases beside the weights, or ask for coarser weights (--weights)"
            raise UnsupportedError(Diagnostic("NC0312", message, self.p.origin, hint=hint))


def _up(values: FloatArray) -> IntArray:
    """Return the next whole number above, but for errors of rounding."""
    return np.asarray(np.ceil(values - EXACT), np.int64)


def _span(values: Array) -> str:
    if not values.size:
        return "none"
    low, high = float(values.min()), float(values.max())
    return f"{low:.6g}" if low == high else f"{low:.6g} .. {high:.6g}"


# Verdicts


def _verdict(network: IntegerNetwork, p: IntegerPopulation, observed: Trace | None) -> Verdict:
    """Return what is known about the potential: its largest size between integration and reset."""
    form = network.number_format
    limit = form.v_max
    positive, negative = input_bounds(network, p.name)
    of, ticks = p.values, max(1, network.ticks)
    mask = (1 << of("TM")) - 1
    both = (of("epsilon") == 1) | (of("c_lambda") == 1)
    up = np.where(both, np.abs(of("lambda")), np.maximum(of("lambda"), 0))
    down = np.where(both, np.abs(of("lambda")), np.maximum(-of("lambda"), 0))

    def reach(
        threshold: IntArray, gamma: IntArray, reset: IntArray, start: IntArray, add: IntArray
    ) -> tuple[IntArray, IntArray]:
        """Return the bounds for ever (or `limit` + 1) and for the declared ticks."""
        left = np.maximum(np.maximum(threshold + mask, reset), np.maximum(start, 0))
        grows = (gamma == 2) | ((gamma == 1) & (add > threshold))
        long = np.where(grows, limit + 1, left + add)
        timed = np.where(grows, np.minimum(left + add * ticks, limit + 1), left + add)
        return np.minimum(long, limit + 1), timed

    def judged(always: IntArray, timed: IntArray, most: int, seen: int) -> Verdict:
        if int(always.max(initial=0)) <= most:
            return Verdict(p.name, "v", "proved always", int(always.max(initial=0)), most)
        if int(timed.max(initial=0)) <= most:
            return Verdict(p.name, "v", "proved for T ticks", int(timed.max(initial=0)), most, ticks)
        samples = 0 if observed is None else next(iter(observed.spikes.values())).shape[0]
        return Verdict(p.name, "v", "observed", seen, most, samples=samples)

    v = np.zeros(1, np.int64) if observed is None else observed.v[p.name].astype(np.int64)
    above = judged(*reach(of("alpha"), of("gamma"), of("R"), of("V"), positive + up), limit, int(v.max(initial=0)))
    add = negative + down
    held = of("kappa") == 1
    always, timed = reach(of("beta"), np.where(held, 0, of("gamma")), np.where(held, 0, of("R")), -of("V"), add)
    if held.any() and (of("beta")[held] == form.threshold_max).all():
        # The largest beta is no floor that anyone asked for: below it the chip holds what real numbers would not.
        start = np.maximum(-of("V"), 0)
        always = np.where(held, np.where(add > 0, limit + 1, start), always)
        timed = np.where(held, np.minimum(start + add * ticks, limit + 1), timed)
        below = judged(always, timed, form.threshold_max, int(-v.min(initial=0)))
    else:
        below = judged(always, timed, limit, int(-v.min(initial=0)))
    rank = {"proved always": 0, "proved for T ticks": 1, "observed": 2}
    return max((above, below), key=lambda verdict: (rank[verdict.kind], verdict.bound / verdict.limit))


def _self_firing(p: IntegerPopulation) -> list[str]:
    """Name neurons that fire in their first tick without any input."""
    of = p.values
    leak = np.where(of("epsilon") == 1, np.sign(of("V")) * of("lambda"), of("lambda"))
    firing = (of("V") + leak >= of("alpha")) & (of("TM") == 0) & (of("c_lambda") == 0)
    zero = int((firing & (of("alpha") == 0)).sum())
    if not zero:
        return []
    first = int(np.flatnonzero(firing & (of("alpha") == 0))[0])
    return [f"'{p.name}': {zero} of {p.size} neurons have alpha = 0 and fire without input, the first is {p.name}[{first}]"]
