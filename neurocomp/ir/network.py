"""The hardware-agnostic network: populations and projections in real numbers, encoders, decoders and declared data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, Location, NetworkError, broken_invariant
from neurocomp.models.learning import LEARNING_RULES, LONGEST_EPOCH, LearningForm
from neurocomp.models.neurons import NEURON_MODELS, ProgrammedModel, Semantics
from neurocomp.models.patterns import PATTERNS, Pattern, Shape, blocks_of, form_problem, size_of

Array = NDArray[Any]


def frozen(array: Any, dtype: Any = None) -> Array:
    """Return ``array`` as a read-only numpy array; a copy is made only if a writable owner could change it later."""
    result = np.asarray(array, dtype)
    if result.flags.writeable:
        result = result.copy() if result is array or not result.flags.owndata else result
        result.flags.writeable = False
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Neuron:
    """A neuron model with parameters and semantic axes.

    ``number_format`` None: ``parameters`` are real numbers in SI units by the model's names. Otherwise they are integers of
    that chip's format by the names of the model's dynamics (`neurocomp.ir.quantized.DYNAMICS`; ``du``, ``dv``, ``vth``,
    ``bias_mant``, ``bias_exp``, ``u_init``, ``v_init``) and pass through quantization unchanged. Each is 0-d or has one value
    per neuron, in C order of the population's shape.
    """

    model: str
    parameters: Mapping[str, Array]
    semantics: Semantics = field(default_factory=Semantics)
    number_format: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """A named group of neurons of one model; ``neuron`` is None for an input."""

    name: str
    shape: tuple[int, ...]
    neuron: Neuron | None = None
    origin: Location | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return size_of(self.shape)

    @property
    def is_input(self) -> bool:
        """Whether an encoder or a stimulus feeds it."""
        return self.neuron is None


@dataclass(frozen=True, slots=True, eq=False)
class NativeWeights:
    """Says that a projection's weights are integers of a chip: their exponent, magnitude bits and sign mode."""

    weight_exp: int = 0
    weight_bits: int = 8
    sign_mode: str | None = None
    """``mixed``, ``excitatory``, ``inhibitory``; None: by the content, as Lava does it."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One pattern of a chain before the last: what it makes of the source's spikes is an array of ``shape``."""

    pattern: Pattern
    weights: Array
    shape: tuple[int, ...]


LEARNING_PATTERNS = ("dense", "sparse", "one_to_one")
"""Patterns whose synapses each have a weight of their own, which can learn."""


@dataclass(frozen=True, slots=True)
class Learning:
    """How the weights of a projection learn while it runs; docs/learning.md writes out when what happens."""

    rule: str
    """The registered name."""
    parameters: Mapping[str, float | str]
    """Numbers, times in seconds, and text, by the names of the rule; all that have a default are present."""
    modulators: tuple[str, ...] = ()
    """Populations of one neuron, or one per target neuron, whose values are the traces y2 and y3."""
    epoch: int = 1
    """Weights move every so many ticks."""
    seed: int = 0
    """Of the stochastic rounding."""
    across_samples: bool = True
    """Whether a sample starts with what the ones before it have learned, or each with the stored weights."""

    def form(self) -> LearningForm:
        """Return the sums of products.

        Raises:
            ValueError: The parameters do not go together.
        """
        return LEARNING_RULES[self.rule].form({**self.parameters, "modulators": float(len(self.modulators))})

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest weight, of weights that are real numbers."""
        return float(self.parameters["w_min"]), float(self.parameters["w_max"])


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """All synapses of one pattern from ``source`` to ``target``, or of a chain: the stages ``before``, in order, then it.

    ``weights`` have the pattern's shape and the file's dtype; ``bias`` (n_target,) is added to the weighted sum in every tick;
    ``delay`` is 0-d or has the weights' shape, in ticks; 0 acts in the tick of the spike.
    """

    name: str
    source: str
    target: str
    pattern: Pattern
    weights: Array
    bias: Array | None = None
    delay: Array = field(default_factory=lambda: frozen(np.int64(0)))
    native: NativeWeights | None = None
    before: tuple[Stage, ...] = ()
    origin: Location | None = None
    learning: Learning | None = None

    def source_shape(self, source: Shape) -> Shape:
        """Return the shape that ``pattern`` starts from, where the population ``source`` has the shape given."""
        return self.before[-1].shape if self.before else source


NO_EVENT = -1
"""The time stamp of rows that fill up a sample with fewer events than the longest, where data are events (t, x, y, p)."""


@dataclass(frozen=True, slots=True, eq=False)
class FrontFilter:
    """A filter of images in front of an encoder: its registered name and its options."""

    kind: str
    options: Mapping[str, float | int | str]


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """How data of an input population becomes spikes: the scheme's registered name and its options.

    ``front`` are the filters that the data pass before, in their order.
    """

    scheme: str
    options: Mapping[str, float | int | str]
    origin: Location | None = None
    front: tuple[FrontFilter, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Decoder:
    """How spikes or potentials of a population become an answer: the scheme's registered name and its options."""

    scheme: str
    options: Mapping[str, float | int | str]
    origin: Location | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Data per input population, as its encoder takes them (`neurocomp.encoding.encode`); labels (samples,) or None."""

    inputs: Mapping[str, Array]
    labels: Array | None = None

    @property
    def count(self) -> int:
        """Number of samples."""
        return min((len(values) for values in self.inputs.values()), default=0)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """The declared samples: ``scale`` turns stored values into what encoders expect; ``calibration`` is for quantization."""

    samples: Samples | None = None
    calibration: Samples | None = None
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A semantic axis that the file left open (or that a frontend inferred), as it is printed and stored."""

    subject: str
    axis: str
    value: str
    origin: str

    def as_json(self) -> dict[str, str]:
        """Return what ``--json`` prints of it."""
        return {"subject": self.subject, "axis": self.axis, "value": self.value, "origin": self.origin}


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The whole of one network file."""

    name: str
    timestep: float
    """Length of a tick in seconds."""
    ticks: int
    """Ticks per sample."""
    populations: Mapping[str, Population]
    projections: tuple[Projection, ...]
    encoders: Mapping[str, Encoder] = field(default_factory=dict)
    decoders: Mapping[str, Decoder] = field(default_factory=dict)
    data: Data = field(default_factory=Data)
    choices: tuple[Choice, ...] = ()

    @property
    def inputs(self) -> tuple[Population, ...]:
        """The input populations, in file order."""
        return tuple(p for p in self.populations.values() if p.is_input)

    @property
    def outputs(self) -> tuple[Population, ...]:
        """Decoded populations; without decoders, those that no other population listens to."""
        if self.decoders:
            return tuple(p for p in self.populations.values() if p.name in self.decoders)
        sources = {q.source for q in self.projections if q.source != q.target}
        return tuple(p for p in self.populations.values() if not p.is_input and p.name not in sources)

    def verify(self) -> Network:
        """Check what the type claims and return the network.

        Raises:
            NetworkError: All problems of the user's making: unknown ends, shapes, values, zero-delay cycles.
        """
        problems: list[Diagnostic] = []
        if all(population.is_input for population in self.populations.values()):
            message = f"the network '{self.name}' has no neurons, only inputs"
            problems.append(Diagnostic("NC0213", message, hint="add a population with a 'neuron'"))
        for population in self.populations.values():
            problems += _population_problems(population)
        for projection in self.projections:
            problems += self._projection_problems(projection)
        names = [projection.name for projection in self.projections]
        if len(set(names)) != len(names):
            raise broken_invariant("the frontend", "projection names are unique")
        for kind, table in (("encoder", self.encoders), ("decoder", self.decoders)):
            for name, entry in table.items():
                if name not in self.populations:
                    problems.append(Diagnostic("NC0201", f"{kind} of '{name}': there is no population '{name}'", entry.origin))
                elif self.populations[name].is_input != (kind == "encoder"):
                    expected = "an input" if kind == "encoder" else "not an input"
                    problems.append(
                        Diagnostic("NC0201", f"{kind} of '{name}': the population must be {expected}", entry.origin)
                    )
        if not problems:
            problems += self._cycle_problems()
        if problems:
            raise NetworkError(problems)
        return self

    def _projection_problems(self, projection: Projection) -> list[Diagnostic]:
        where, name = projection.origin, projection.name
        for end in (projection.source, projection.target):
            if end not in self.populations:
                return [Diagnostic("NC0201", f"projection '{name}': there is no population '{end}'", where)]
        source, target = self.populations[projection.source], self.populations[projection.target]
        if target.is_input:
            return [Diagnostic("NC0201", f"projection '{name}': '{target.name}' is an input and takes no synapses", where)]
        problems: list[Diagnostic] = []
        shape = source.shape
        for number, stage in enumerate((*projection.before, None)):
            pattern, weights = (stage.pattern, stage.weights) if stage else (projection.pattern, projection.weights)
            after = stage.shape if stage else target.shape
            kind = PATTERNS[pattern.kind]
            where_in = f" (pattern {number + 1} of its chain)" if projection.before else ""
            problem = form_problem(pattern)
            if problem is not None:
                return [Diagnostic("NC0202", f"projection '{name}'{where_in}: {problem}", where)]
            problem = kind.problem(pattern, shape, after)
            hint = shape_hint(pattern, weights.shape, shape, source, target if stage is None else None)
            if problem is not None:
                return [Diagnostic("NC0202", f"projection '{name}'{where_in}: {problem}", where, hint=hint)]
            expected = kind.weight_shape(pattern, shape, after)
            if weights.shape != expected:
                if kind.kind == "dense" and weights.shape == expected[::-1]:
                    hint = "the array looks transposed; 'transpose: true' turns it"
                joined = f"'{source.name}' -> '{target.name}' ({kind.kind})"
                if projection.before:
                    joined = f"{kind.kind} from {shape} to {after}"
                message = f"projection '{name}'{where_in}: weights have the shape {weights.shape}, {joined} needs {expected}"
                problems.append(Diagnostic("NC0202", message, where, hint=hint))
            shape = after
        if projection.bias is not None and projection.bias.shape != (target.size,):
            needed = f"{(target.size,)}"
            if len(target.shape) > 1:
                needed = f"one per neuron, {needed}, or one per channel, {target.shape[:1]}"
            message = f"projection '{name}': bias has the shape {projection.bias.shape}, '{target.name}' needs {needed}"
            problems.append(Diagnostic("NC0202", message, where))
        if projection.before and projection.delay.ndim:
            message = f"projection '{name}': a chain of patterns has one delay, not one per synapse"
            problems.append(Diagnostic("NC0202", message, where, hint="write one pattern with its own weights"))
        elif projection.delay.ndim and projection.delay.shape != projection.weights.shape:
            problems.append(
                Diagnostic(
                    "NC0202",
                    f"projection '{name}': delays have the shape {projection.delay.shape}, "
                    f"the weights {projection.weights.shape}",
                    where,
                )
            )
        if projection.delay.dtype.kind not in "iu":
            problems.append(
                Diagnostic("NC0207", f"projection '{name}': delays are whole ticks, not {projection.delay.dtype}", where)
            )
        elif projection.delay.size and projection.delay.min() < 0:
            problems.append(Diagnostic("NC0209", f"projection '{name}': delay {projection.delay.min()} is negative", where))
        chained = [(f"weights of '{stage.pattern.kind}'", stage.weights) for stage in projection.before]
        for what, array in (*chained, ("weights", projection.weights), ("bias", projection.bias)):
            if array is None:
                continue
            if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
                problems.append(
                    Diagnostic("NC0207", f"projection '{name}': {what} have the dtype {array.dtype}; numbers are needed", where)
                )
            elif array.dtype.kind == "f":
                problems += _not_finite(array, f"projection '{name}': {what}", where)
        if projection.learning is not None and not problems:
            problems += self._learning_problems(projection, projection.learning)
        return problems

    def _learning_problems(self, projection: Projection, learning: Learning) -> list[Diagnostic]:
        where, name = projection.origin, projection.name
        rule = LEARNING_RULES[learning.rule]
        problems: list[Diagnostic] = []

        def bad(code: str, message: str, hint: str | None = None) -> None:
            problems.append(Diagnostic(code, f"projection '{name}': {message}", where, hint=hint))

        if projection.before or projection.pattern.kind not in LEARNING_PATTERNS:
            kinds = ", ".join(LEARNING_PATTERNS)
            bad(
                "NC0220",
                f"'{projection.pattern.kind}' shares weights or is a chain; {kinds} can learn",
                "write it as one of these",
            )
        if projection.delay.ndim:
            bad("NC0220", "synapses that learn have one delay, not one each", "write one number of ticks")
        ends = projection.pattern.arrays
        if projection.pattern.kind == "sparse":
            pairs = np.stack([ends["sources"], ends["targets"]])
            if np.unique(pairs, axis=1).shape[1] < pairs.shape[1]:
                bad("NC0220", "a pair of neurons has two synapses, which could not be told apart", "join them")
        source = self.populations[projection.source]
        if not source.is_input and source.neuron is not None and NEURON_MODELS[source.neuron.model].signed:
            bad("NC0220", f"'{source.name}' also sends -1; learning counts spikes", "let an unsigned model be the source")
        if not 1 <= learning.epoch <= LONGEST_EPOCH:
            bad("NC0209", f"epoch {learning.epoch} lies outside 1..{LONGEST_EPOCH}")
        least, most = rule.modulated
        if not least <= len(learning.modulators) <= most:
            count = f"{least}" if least == most else f"{least} to {most}"
            bad("NC0220", f"the rule '{rule.name}' has {count} modulators, {len(learning.modulators)} given")
        for modulator in learning.modulators:
            if modulator not in self.populations:
                bad("NC0201", f"there is no population '{modulator}' to modulate it")
                continue
            sender, size = self.populations[modulator], self.populations[projection.target].size
            if sender.size not in (1, size):
                bad(
                    "NC0220",
                    f"the modulator '{modulator}' has {sender.size} neurons; 1 or {size}, as '{projection.target}', are needed",
                )
            if sender.neuron is not None and NEURON_MODELS[sender.neuron.model].signed:
                bad(
                    "NC0220", f"the modulator '{modulator}' also sends -1; values from 0 on are needed", "use one for each sign"
                )
        try:
            learning.form()
        except ValueError as error:
            bad("NC0220", str(error))
        if projection.native is None and not problems:
            low, high = learning.bounds
            if high <= 0 or low not in (0.0, -high):
                bad("NC0209", f"w_min {low:g} and w_max {high:g}; w_max > 0 and w_min 0 or -w_max are needed")
            elif projection.weights.size and (projection.weights.min() < low or projection.weights.max() > high):
                worst = projection.weights.min() if projection.weights.min() < low else projection.weights.max()
                bad(
                    "NC0209", f"a weight is {worst:g}; it learns within {low:g}..{high:g}", "change w_min, w_max or the weights"
                )
        return problems

    def _cycle_problems(self) -> list[Diagnostic]:
        graph = nx.DiGraph()
        graph.add_nodes_from(self.populations)
        graph.add_edges_from((q.source, q.target) for q in self.projections if q.delay.size == 0 or q.delay.min() == 0)
        start = _before_a_cycle(graph)
        if start is None:
            return []
        cycle = [edge[0] for edge in nx.find_cycle(graph, start)]
        closing = next(q for q in self.projections if q.source == cycle[-1] and q.target == cycle[0])
        path = " -> ".join([*cycle, cycle[0]])
        return [
            Diagnostic(
                "NC0205",
                f"the cycle {path} has a total delay of 0 ticks",
                closing.origin,
                hint=f"give projection '{closing.name}' 'delay: 1'",
            )
        ]


def _before_a_cycle(graph: nx.DiGraph[str]) -> str | None:
    """Return the first node that leads into a cycle: from any other, `nx.find_cycle` would walk long chains again and again."""
    parts = nx.strongly_connected_components(graph)
    found = [node for part in parts for node in part if len(part) > 1 or graph.has_edge(node, node)]
    leading = set(found)
    while found:
        ahead = [node for node in graph.predecessors(found.pop()) if node not in leading]
        leading.update(ahead)
        found += ahead
    return next((node for node in graph if node in leading), None)


def shape_hint(pattern: Pattern, weights: Shape, shape: Shape, source: Population, target: Population | None) -> str | None:
    """Return which shape would be right where a pattern does not join two.

    Args:
        pattern: The pattern, the last one of its chain if ``target`` is given.
        weights: The shape of its weights.
        shape: What it starts from: the shape of ``source``, or what the pattern before it makes.
        source: The population that the projection starts from.
        target: The population that the pattern reaches.
    """
    kind = PATTERNS[pattern.kind]
    if kind.dims and len(shape) != kind.dims + 1:
        axes = "[channels, length]" if kind.dims == 1 else "[channels, height, width]"
        return f"give '{source.name}' the shape {axes}" if shape == source.shape else f"what comes before it must make {axes}"
    if "groups" in pattern.options and len(weights) == kind.dims + 2 and weights[1]:
        groups, rest = divmod(shape[0], weights[1])
        if groups and not rest and weights[0] % groups == 0 and groups != pattern.options["groups"][0]:
            return f"'groups: {groups}' would fit the weights"
    made = kind.output_shape(pattern, shape, weights)
    if made is None or target is None or min(made, default=1) < 1 or made == target.shape:
        return None
    if kind.problem(pattern, shape, made) is not None or kind.weight_shape(pattern, shape, made) != weights:
        return None
    hint = f"give '{target.name}' the shape {list(made)}"
    if size_of(made) == target.size and kind.dims:
        hint += ", or let 'flatten' follow"
    return hint


def _not_finite(array: Array, what: str, where: Location | None) -> list[Diagnostic]:
    """Note NaN and infinities, looking at a block of a large array at a time."""
    first: tuple[int, ...] | None = None
    count = 0
    flat = array.reshape(1) if not array.ndim else array
    for block in blocks_of(flat):
        bad = ~np.isfinite(flat[block])
        if bad.any():
            count += int(bad.sum())
            if first is None:
                start, *rest = (int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
                first = (start + block.start, *rest)
    if first is None:
        return []
    index = "[" + ", ".join(map(str, first)) + "]" if array.ndim else ""
    message = f"{what}{index} is {flat[first]}"
    return [Diagnostic("NC0204", message, where, also=f"{count - 1} more" if count > 1 else None)]


def _population_problems(population: Population) -> list[Diagnostic]:
    where, name = population.origin, population.name
    problems: list[Diagnostic] = []
    if not population.shape or any(extent < 1 for extent in population.shape):
        return [Diagnostic("NC0209", f"population '{name}': shape {list(population.shape)} needs extents >= 1", where)]
    if population.neuron is None:
        return []
    neuron = population.neuron
    model = NEURON_MODELS[neuron.model]
    for key, value in neuron.parameters.items():
        if value.ndim and value.shape != (population.size,):
            problems.append(
                Diagnostic(
                    "NC0202",
                    f"population '{name}': {key} has {value.size} values in the shape {value.shape}, "
                    f"the population {population.size} neurons",
                    where,
                )
            )
        elif value.dtype.kind not in "fiu" or value.dtype.itemsize > 8:
            problems.append(
                Diagnostic("NC0207", f"population '{name}': {key} has the dtype {value.dtype}; numbers are needed", where)
            )
        elif np.isnan(np.asarray(value, np.float64)).any():
            problems.append(Diagnostic("NC0204", f"population '{name}': {key} is NaN", where))
        elif neuron.number_format is None and model.parameters[key].positive and not (value > 0).all():
            problems.append(Diagnostic("NC0209", f"population '{name}': {key} must be positive, it is {np.min(value)}", where))
        elif neuron.number_format is None and model.parameters[key].negative and not (value < 0).all():
            problems.append(Diagnostic("NC0209", f"population '{name}': {key} must be negative, it is {np.max(value)}", where))
    semantics = neuron.semantics
    for axis, words in model.axes.items():
        word = getattr(semantics, axis)
        if word not in words:
            message = f"population '{name}': the model '{model.name}' has no '{axis}: {word}'"
            problems.append(Diagnostic("NC0215", message, where, hint=f"write '{axis}: {' or '.join(words)}'"))
    if isinstance(model, ProgrammedModel):
        others = {"refractory": semantics.refractory, "v_floor": semantics.v_floor, "reset_every": semantics.reset_interval}
        for key in (key for key, value in others.items() if value not in (0, None)):
            message = f"population '{name}': the model '{model.name}' is a program of its own and has no '{key}'"
            problems.append(Diagnostic("NC0215", message, where, hint=f"remove '{key}'"))
    if semantics.refractory < 0:
        problems.append(Diagnostic("NC0209", f"population '{name}': refractory {semantics.refractory} is negative", where))
    if semantics.reset_interval is not None and not 0 <= semantics.reset_offset < semantics.reset_interval:
        problems.append(
            Diagnostic(
                "NC0209",
                f"population '{name}': reset every {semantics.reset_interval} ticks with offset {semantics.reset_offset}; "
                "0 <= offset < interval is needed",
                where,
            )
        )
    return problems
