"""Protocols between the compiler and its backends and simulators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, Location, NetworkError, UsageError, did_you_mean
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.network import Network
from neurocomp.ir.program import Program
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, QuantizedNetwork
from neurocomp.ir.trace import Trace

Array = NDArray[Any]
Stimulus = Mapping[str, Array]
"""Input population -> (samples, ticks, n) integers, what comes out of the encoder."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a network breaks on a target."""

    code: str
    subject: str
    message: str
    actual: int | float | str
    limit: int | float | str
    source: str | None = None
    """The limit as messages print it, with its place and source."""
    hint: str | None = None
    also: str | None = None
    origin: Location | None = None

    def diagnostic(self) -> Diagnostic:
        """Return the violation as a printable finding."""
        return Diagnostic(self.code, self.message, self.origin, limit=self.source, also=self.also, hint=self.hint)

    def as_json(self) -> dict[str, Any]:
        """Return the keys that ``check --json`` prints."""
        return {
            "code": self.code,
            "subject": self.subject,
            "message": self.message,
            "actual": self.actual,
            "limit": self.limit,
            "source": self.source,
            "hint": self.hint,
            "also": self.also,
            "location": str(self.origin) if self.origin else None,
        }


class IntegerSimulator(Protocol):
    """Executes an integer network: ``reference``, later ``fast``."""

    name: str

    def run(
        self,
        network: IntegerNetwork,
        stimulus: Stimulus,
        *,
        lag: Mapping[str, int] | None = None,
        record: Sequence[str] | None = None,
        state: bool = True,
        first_sample: int = 0,
    ) -> Trace:
        """Run all samples from the initial state for (ticks of the stimulus + largest lag) ticks.

        Args:
            network: The network; a quantized one has no lags.
            stimulus: One array (samples, ticks, n) per input population; 0 beyond its ticks.
            lag: Of each population of a lowered network.
            record: Populations whose spikes (and state) the trace holds; None: all.
            state: Whether u and v are recorded.
            first_sample: The number of the first sample, which keys the random numbers of stochastic neurons.
        """
        ...


class ChipSimulator(Protocol):
    """Decodes an emitted program and nothing else."""

    name: str

    def run(
        self,
        program: Program,
        stimulus: Stimulus,
        *,
        record: Sequence[str] | None = None,
        state: bool = True,
        first_sample: int = 0,
    ) -> Trace:
        """Run all samples, numbered from ``first_sample``; the trace has counters per core."""
        ...


class Witness(Protocol):
    """An independent program of someone else that executes a lowered network, such as Lava."""

    name: str

    def unavailable(self, lowered: LoweredNetwork | None = None) -> str | None:
        """Return why it cannot run here (and how to get it), or why it cannot run this network; None: it can."""
        ...

    def run(
        self, lowered: LoweredNetwork, stimulus: Stimulus, *, record: Sequence[str] | None = None, state: bool = True
    ) -> Trace:
        """Run all samples."""
        ...

    def models(self, lowered: LoweredNetwork) -> Mapping[str, str]:
        """Return for each population with neurons who wrote the neuron model that executes it.

        ``stock``: the other program's own model computes u, v, spikes and resets. ``own``: code of ours changes what its model
        does, because it has no such neuron.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Injection:
    """A program with one corrupted table entry, and what was done to it."""

    program: Program
    description: str


@dataclass(frozen=True, slots=True, eq=False)
class Corruption:
    """A corrupted program, and the sample in which that should show."""

    program: Program
    description: str
    sample: int


CORRUPTIBLE = ("weight", "delay", "target", "threshold")
"""Kinds of table entries that `Backend.inject` corrupts."""
ATTEMPTS = 200
"""Corruptions tried at most; the first one nearly always shows itself."""


def first_that_shows(
    kind: str, corruptions: Callable[[], Iterable[Corruption]], shows: Callable[[Corruption], bool]
) -> Injection:
    """Return the first corruption of a kind of entry that shows when it runs.

    Raises:
        UsageError: There is no such kind (NC0801).
        NetworkError: None shows (NC0702).
    """
    if kind not in CORRUPTIBLE:
        hint = did_you_mean(kind, CORRUPTIBLE)
        raise UsageError(Diagnostic("NC0801", f"there is no entry of the kind '{kind}'", hint=hint))
    for corruption in islice(corruptions(), ATTEMPTS):
        if shows(corruption):
            return Injection(corruption.program, corruption.description)
    message = f"the stimulus exercises no {kind} of the program in a way that shows"
    raise NetworkError(Diagnostic("NC0702", message, hint="give a stimulus that makes the network spike"))


@dataclass(frozen=True, slots=True)
class Options:
    """Options of every backend, stored in the artifact. Backends derive their own frozen dataclass.

    A field of a backend's own is a whole number, a word, or a ``Literal`` of words; `neurocomp.pipeline.options_of` checks it.
    """

    ticks_per_step: int = 1
    """Ticks of the chip per tick of the network; more of them give cycles the time that their hops take."""
    extensions: tuple[str, ...] = ()
    """What the target does not do and is allowed nevertheless, by the names that its spec lists."""
    effort: Literal["fast", "default", "max"] = "default"
    """How much work the mapping may be."""
    seed: int = 1
    """Of the random numbers of the mapping's search."""
    mapper: Literal["default", "quality"] = "default"
    """Whether Mt-KaHyPar gives this search another start."""


@dataclass(frozen=True, slots=True)
class Pin:
    """Neurons ``first .. stop - 1`` of a population that a core is to hold."""

    population: str
    """The user's name."""
    first: int
    stop: int
    chip: int
    core: int
    origin: Location | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MappingPlan:
    """How neurons are to be put on cores."""

    effort: Literal["fast", "default", "max"] = "default"
    """How much work it may be; the time follows from the work, so that the result is the same everywhere."""
    seed: int = 1
    """Of the random numbers of the search."""
    mapper: Literal["default", "quality"] = "default"
    """Whether Mt-KaHyPar gives the search another start."""
    rates: Mapping[str, Array] | None = None
    """Population -> packets per tick of each neuron, (n,); None: one each."""
    pins: Sequence[Pin] = ()
    """What is where; a core that they name holds nothing else."""
    jobs: int | None = None
    """Threads; None: one per processor. The result does not depend on it."""
    progress: Callable[[float], None] | None = None
    """Is told which share of the work is done; an interruption then ends the search with the best that it found."""
    note: Callable[[str], None] = lambda text: None
    """Is told what the mapping did, a line each."""

    def rate(self, population: IntegerPopulation) -> Array:
        """Return the packets per tick of each neuron of a population, (n,): one each where nothing says how many."""
        known = None if self.rates is None else self.rates.get(population.name)
        return np.ones(population.size) if known is None else np.asarray(known, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Lowering:
    """What lowering returns: the network (with its map) and one line per technique that ran."""

    network: LoweredNetwork
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """What the files of another tool say: a lowered network in its place, and how to feed it."""

    network: Network
    """Only the interface: inputs with their encoders and samples, and the populations that are read."""
    mapped: MappedNetwork
    spec: HardwareSpec
    """A spec of the backend with the limits that the files state."""
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """What was found, merged and dropped, for the summary."""


class Importer(Protocol):
    """Reads a network of another tool."""

    def __call__(self, path: Path, ticks: int | None) -> Imported:
        """Read the files at ``path``; ``ticks`` per sample, None: what the files suggest.

        Raises:
            NetworkError: They are no such network.
            UnsupportedError: The chip family cannot do what they say.
        """
        ...


class Exporter(Protocol):
    """Writes a mapped network in the format of another tool."""

    def __call__(
        self, path: Path, mapped: MappedNetwork, program: Program, spec: HardwareSpec, stimulus: Stimulus
    ) -> Mapping[str, int]:
        """Write files at ``path`` and return what is in them, for the summary.

        Args:
            path: File or folder.
            mapped: What is written.
            program: What was emitted for it.
            spec: Of its target.
            stimulus: One sample for each input, (1, ticks, n); empty: there is none.

        Raises:
            UnsupportedError: The format cannot say it.
        """
        ...


class Backend(Protocol):
    """A chip family. Backends are found by the entry point group ``neurocomp.backends``.

    One that reads or writes formats of other tools has ``importers`` or ``exporters`` too: mappings from a format's name to an
    `Importer` or an `Exporter`.
    """

    name: str
    options: type[Options]
    """What the backend can be told, by name."""
    witnesses: Sequence[Witness]

    def check(
        self, stage: Network | QuantizedNetwork | LoweredNetwork | MappedNetwork, spec: HardwareSpec, options: Options
    ) -> Sequence[Violation]:
        """Return every rule that the stage breaks on the chip."""
        ...

    def legalize(
        self, network: Network, spec: HardwareSpec, options: Options, calibration: Stimulus | None
    ) -> tuple[Network, Sequence[str]]:
        """Rewrite what the chip lacks in real numbers, as far as the options allow it; return notes of what changed.

        ``calibration`` are encoded spikes per input, on which a change can be measured.
        """
        ...

    def weight_format(self, options: Options) -> str:
        """Return which levels the weights of crossbars have; other chips do not ask."""
        ...

    def lower(self, quantized: QuantizedNetwork, spec: HardwareSpec, options: Options, calibration: Trace | None) -> Lowering:
        """Rewrite the logical network into the chip's own parts."""
        ...

    def map(
        self, lowered: LoweredNetwork, spec: HardwareSpec, plan: MappingPlan
    ) -> tuple[MappedNetwork | None, Sequence[Violation]]:
        """Place every neuron: the mapped network and no violation, or None and what does not fit.

        Chips whose cores store rows of synapses have `neurocomp.mapping.mapper.map_network`.
        """
        ...

    def emit(self, mapped: MappedNetwork, spec: HardwareSpec) -> Program:
        """Write the tables that the cores are loaded with."""
        ...

    def utilization(self, program: Program, spec: HardwareSpec) -> Mapping[str, tuple[int, int, int]]:
        """Return resource -> (used over all cores, available per core, used on the fullest core), read from the bytes."""
        ...

    def chip_simulator(self) -> ChipSimulator:
        """Return the simulator of this family's programs.

        Raises:
            EngineUnavailable: There is none (NC0320).
        """
        ...

    def inject(self, program: Program, trace: Trace, kind: str, seed: int) -> Injection:
        """Corrupt one table entry of a kind (weight, delay, target, threshold) that ``trace`` exercises.

        Raises:
            NetworkError: The trace exercises none (NC0702).
        """
        ...


class WithoutCrossbars:
    """The methods of `Backend` that have nothing to do where no crossbars hold the synapses."""

    def legalize(
        self, network: Network, spec: HardwareSpec, options: Options, calibration: Stimulus | None
    ) -> tuple[Network, Sequence[str]]:
        """Return the network as it is."""
        return network, ()

    def weight_format(self, options: Options) -> str:
        """Return that there are no crossbars."""
        return "none"
