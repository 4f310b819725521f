"""What ``import neurocomp`` offers: load, compile, and everything that a compiled network can do."""

from __future__ import annotations

import importlib
import logging
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp import artifact as artifacts
from neurocomp import pipeline, registry
from neurocomp.artifact import Artifact
from neurocomp.backend import Backend, Exporter, Imported, IntegerSimulator, Options, Pin, Stimulus, Violation, Witness
from neurocomp.conversion.options import Options as ConversionOptions
from neurocomp.conversion.waterfall import Waterfall
from neurocomp.data import Reference, load_samples, load_stimulus, load_trace
from neurocomp.data.whole_file import whole_file
from neurocomp.encoding import (
    DECODERS,
    ENCODERS,
    data_shape,
    decode,
    decode_early,
    decoder_operations,
    encode_samples,
    encoder_operations,
    possible_answers,
)
from neurocomp.energy.baselines import baselines_of
from neurocomp.energy.counts import counts_of, tally_of, wiring_of
from neurocomp.energy.joules import estimate
from neurocomp.energy.latency import latency_of
from neurocomp.energy.neurobench import neurobench_of
from neurocomp.energy.workload import Work, Worked
from neurocomp.engine.metering import Tally
from neurocomp.engine.threads import available_processors, in_order
from neurocomp.errors import Diagnostic, EngineUnavailable, Location, NetworkError, UnsupportedError, UsageError, did_you_mean
from neurocomp.frontends.from_map import read_pins
from neurocomp.frontends.reading import reading_of
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.distance import SpikeDistance
from neurocomp.ir.network import Choice, Network, Samples
from neurocomp.ir.quantized import TRACE_MAX, IntegerNetwork, QuantizedNetwork
from neurocomp.ir.trace import Event, Trace
from neurocomp.mapping.pins import pins_of
from neurocomp.mapping.profile import profile_of
from neurocomp.mapping.synapse_words import words_by_formula
from neurocomp.passes.host_currents import analog_inputs
from neurocomp.passes.quantize import with_currents
from neurocomp.passes.ticks_per_step import spikes_per_step, state_per_step, stretched
from neurocomp.report import Report
from neurocomp.report.mapping import MappingReport, mapping_report
from neurocomp.report.provenance import Provenance
from neurocomp.report.provenance import Stimulus as Simulated
from neurocomp.verify import VerifyReport, verify

Array = NDArray[Any]

ENGINES = ("float", "reference", "fast", "chip", "lava")
EVALUATING_ENGINES = ("reference", "fast", "chip")
INTEGER_ENGINES = ("reference", "fast")
"""Those that execute an integer network of any stage."""
BATCH = 64
"""Samples that go through encoders, a simulation and decoders at once; a batch may have fewer, see `_batch_size`."""
BATCH_BYTES = 32 << 20
BATCH_SYNAPSES = 2 * 10**10
"""Synapses of a batch times its ticks, beyond which it is smaller, down to `SMALLEST_BATCH`: it takes about a second."""
SMALLEST_BATCH = 8
SMALL_JOB = 2 * 10**6, 2 * 10**8
"""Neurons and synapses, both times samples and ticks, up to which the reference needs less than about a second."""
THREADS_BYTES = 2 << 30
THREAD_BYTES = 128 << 20
"""What a thread of a simulation in numpy may need beside the weights, which each has for itself."""
DEFAULT_SAMPLES = 20
"""How many of the declared samples ``verify`` and ``report`` run unless told otherwise."""
EARLY = 32
"""After at most so many different numbers of ticks a report reads the answer."""
RANDOM_RATE = 0.2
RANDOM_CURRENT = 1 << 12
"""Largest magnitude of a random direct current, in units of the potential."""

Progress = Callable[[int, int], None]
"""Is told how many samples are done, of how many; first (0, all)."""

logger = logging.getLogger("neurocomp")


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Arrays of one simulation, in the user's time and shapes: the keys of TRACE.npz."""

    engine: str
    """What really ran: where the caller chose none, the reference serves small jobs."""
    arrays: Mapping[str, Array]
    """``spikes/POP``, with state also ``v/POP`` and ``u/POP``: (samples, ticks, *shape); of projections that learn
    ``weights/NAME``, as they are at the end, or (samples, *shape) after each sample where none goes on from the one before."""
    events: tuple[Event, ...] = ()
    interrupted: bool = False
    """Whether these are only the samples that were finished before an interruption."""

    def save(self, path: Path) -> None:
        """Write TRACE.npz; the file is either whole or absent."""
        write_npz(path, self.arrays)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Accuracies of the ``float`` and the ``fixed`` network, fractions 0..1; None where not defined."""

    accuracy: Mapping[str, float | None]
    samples: int
    predictions: Mapping[str, Array] = field(default_factory=dict)
    engine: str | None = None
    """What executed the fixed-point network; None where there is none yet."""
    interrupted: bool = False
    """Whether these are only the samples that were finished before an interruption."""

    def as_json(self) -> dict[str, Any]:
        """Return what ``evaluate --json`` prints."""
        return {
            "schema": 1,
            "accuracy": dict(self.accuracy),
            "samples": self.samples,
            "engine": self.engine,
            "interrupted": self.interrupted,
        }


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays to an .npz that appears as a whole or not at all; the same arrays give the same bytes.

    Raises:
        UsageError: The file cannot be written there (NC0801).
    """
    _keep_what_is_not_ours(path)
    with whole_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)


def _keep_what_is_not_ours(path: Path) -> None:
    """Refuse to replace weights, data or a stimulus: an .npz with arrays of other names than we write."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile):
        return
    ours = ("spikes/", "u/", "v/", "population/", "projection/", "cores/", "lag/", "crossbar/", "logical/", "merge/")
    others = [name for name in names if name != "meta" and not name.startswith(ours)]
    if others:
        message = f"'{path}' holds {', '.join(others[:5])}, which are not results of neurocomp; it is not replaced"
        raise UsageError(Diagnostic("NC0801", message, hint="choose another name with -o"))


FRONTENDS = {
    ".nir": "neurocomp.frontends.from_nir",
    ".net": "neurocomp.frontends.from_netx",
    ".onnx": "neurocomp.frontends.from_onnx",
}
"""Ending of a network file of another tool -> the module whose ``load(path, reading)`` reads it."""


def load(path: str | Path, **reading: Any) -> Network | Compiled:
    """Read a network file or an artifact (.ncz).

    Args:
        path: The file; its ending says what it is, and a file without a known one is net.yaml.
        reading: What is said of a file whose format leaves it open, by the names of `neurocomp.frontends.reading.Reading`:
            ``dt`` (seconds, or text such as ``0.1ms``), ``reset``, ``compare``, ``integration``, ``trained_in``, ``ticks``.

    Raises:
        NetworkError: The network is invalid; all problems, with their places.
        ArtifactError: The artifact is not intact.
        UsageError: Something is said that is not known, or of a file that says it itself (NC0801).
    """
    from neurocomp.frontends import from_yaml

    registry.load_plugins()
    path, said = Path(path), reading_of(reading)
    if path.suffix in FRONTENDS:
        return load_foreign(path, path.suffix, reading)
    if said.said:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in said.said)
        message = f"{options}: '{path.name}' says this itself"
        hint = "write it into the network file" if path.suffix != ".ncz" else "say it where the network is compiled"
        raise UsageError(Diagnostic("NC0801", message, hint=hint))
    if path.suffix == ".ncz" or _is_archive(path):
        return Compiled(artifacts.read(path))
    return from_yaml.load(path)


def load_foreign(path: Path, suffix: str, reading: Mapping[str, Any]) -> Network:
    """Read a network file of another tool.

    Args:
        path: The file.
        suffix: What it is, a key of `FRONTENDS`.
        reading: See `load`.
    """
    registry.load_plugins()
    said = reading_of(reading)
    frontend: Any = importlib.import_module(FRONTENDS[suffix])
    network: Network = frontend.load(path, said)
    return network


@dataclass(frozen=True, slots=True)
class Conversion:
    """What an artificial network became, and what was lost on the way."""

    network: Network
    waterfall: Waterfall


LONGEST_SEARCH = 256
"""Ticks of the longest run from which ``--timesteps auto`` chooses."""
WINDOWS = (2, 4, 6, 8, 12, 16, 24, 32, 48, 62)
"""Ticks per layer from which it chooses where values are times; 62 are the longest that neurons of a Loihi are refractory."""
MAPPED_SAMPLES = 16
"""Samples that the program of the chip is measured on."""


def to_snn(
    path: str | Path, calibration: Array, *, test: Array | None = None, labels: Array | None = None, scale: float = 1.0,
    options: ConversionOptions | None = None, accuracy: float | None = None, target: str | None = "loihi", count: int = 200,
    progress: Progress | None = None,
) -> Conversion:  # fmt: skip
    """Turn the artificial network of an ONNX file into a spiking one, and measure every step of it.

    Args:
        path: The file.
        calibration: Data (samples, *shape) for the normalization and for quantization.
        test: Data to measure on; None: ``calibration``.
        labels: The right answers of ``test``, (samples,).
        scale: Factor from stored data to what the network takes.
        options: How; None: the defaults.
        accuracy: Take the fewest ticks, up to `LONGEST_SEARCH`, that reach this share of right answers in real numbers.
        target: Whose integers are measured; None: none.
        count: Samples that are run in integers; of them up to `MAPPED_SAMPLES` by the program of the chip.
        progress: Is told how many of the samples are measured.

    Raises:
        NetworkError: The file, the data or the network made of them have problems.
        UsageError: The package onnx is not there, or labels are needed (NC0801).
        UnsupportedError: The target cannot do what the network asks for.
        CapacityError: It does not fit.
    """
    from neurocomp.conversion.convert import converted, names_of
    from neurocomp.conversion.maxima import with_averages, with_differences
    from neurocomp.conversion.normalize import scales
    from neurocomp.conversion.waterfall import curve, measured
    from neurocomp.frontends import from_onnx

    registry.load_plugins()
    chosen, path = options or ConversionOptions(), Path(path)
    read = from_onnx.read(path)
    graph = with_averages(read) if chosen.max_pool == "average" else read
    if chosen.max_pool == "neurons":
        graph = with_differences(read, but_of_neurons=chosen.code == "ttfs")
    flat = _as_input(calibration, graph.input.shape, "the calibration data", path) * scale
    if not len(flat):
        message = "there are no calibration data"
        raise NetworkError(Diagnostic("NC0212", message, hint="name some with --calibration FILE.npz#key"))
    if chosen.encoder != "current" and flat.min() < 0:
        message = f"the calibration data hold {flat.min():g}, and no spikes stand for what is negative"
        hint = "choose --input current" + ("" if chosen.code == "rate" else " and --code rate")
        raise NetworkError(Diagnostic("NC0209", message, Location(path.name), hint=hint))
    found = scales(graph, chosen, flat)
    shown = calibration if test is None else test
    _as_input(shown[:1], graph.input.shape, "the test data", path)
    if labels is not None and (len(labels) != len(shown) or np.asarray(labels).ndim != 1):
        message = f"there are labels of the shape {np.asarray(labels).shape} for {len(shown)} samples"
        raise NetworkError(Diagnostic("NC0210", message, hint="one whole number per sample is needed"))
    entry = names_of(graph)[graph.input.name]
    samples = Samples({entry: np.asarray(shown).reshape(len(shown), *graph.input.shape)}, labels)
    if accuracy is not None:
        if labels is None:
            raise UsageError(Diagnostic("NC0801", "--timesteps auto needs labels", hint="name them with --labels FILE.npz#key"))

        def shares(ticks: int) -> Array:
            return curve(converted(graph, replace(chosen, ticks=ticks), found, calibration, samples, scale), samples)

        tried: Iterable[tuple[int, float]] = ((ticks, shares(ticks)[-1]) for ticks in WINDOWS)
        if chosen.code == "rate":
            tried = enumerate(shares(LONGEST_SEARCH), 1)
        best = (0, 0.0)
        for ticks, share in tried:
            best = max(best, (ticks, float(share)), key=lambda pair: pair[1])
            if share >= accuracy:
                break
        else:
            most = LONGEST_SEARCH if chosen.code == "rate" else f"{WINDOWS[-1]} per layer"
            message = f"no number of ticks up to {most} reaches {100 * accuracy:.2f} %"
            hint = f"the best is {100 * best[1]:.2f} % with {best[0]}; lower --accuracy, or choose another --normalize"
            raise NetworkError(Diagnostic("NC0209", message, Location(path.name), hint=hint))
        chosen = replace(chosen, ticks=best[0])
    network = converted(graph, chosen, found, calibration, samples, scale)
    if accuracy is not None:
        choice = Choice(network.name, "ticks", str(chosen.ticks), f"the fewest with {100 * accuracy:g} % of right answers")
        network = replace(network, choices=(*network.choices, choice))
    made: list[Compiled] = []

    def integers(network: Network, stimulus: Mapping[str, Array], stage: str) -> Mapping[str, Array]:
        if not made:
            made.append(compile(network, target or "loihi"))
        engine = "chip" if stage == "mapped" and made[0].artifact.program.backend != "reference" else None
        kind = "lowered" if stage == "mapped" else "quantized"
        return made[0].run(engine, stimulus, probe="all", state=True, stage=kind).arrays

    counts = {"quantized": count, "mapped": min(count, MAPPED_SAMPLES)}
    has_maxima = any(layer.kind == "max" for layer in read.layers.values())
    replaced = read if chosen.max_pool == "average" and has_maxima else None
    tell = None if progress is None else lambda done: progress(done, len(shown))
    runs = integers if target is not None and count else None
    window = chosen.ticks if chosen.code == "ttfs" else None
    waterfall = measured(graph, network, found, samples, runs, counts, replaced, tell, window)
    return Conversion(network, waterfall)


def _as_input(data: Array, shape: tuple[int, ...], what: str, path: Path) -> Array:
    """Return data as (samples, n) in float64."""
    values, size = np.asarray(data), int(np.prod(shape))
    if values.dtype.kind not in "fiub":
        raise NetworkError(Diagnostic("NC0207", f"{what} have the dtype {values.dtype}; numbers are needed"))
    if values.ndim < 2 or int(np.prod(values.shape[1:])) != size:
        message = f"{what} have the shape {values.shape}; '{path.name}' takes {list(shape)} per sample"
        raise NetworkError(Diagnostic("NC0210", message, hint=f"give an array (samples, {', '.join(map(str, shape))})"))
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise NetworkError(Diagnostic("NC0204", f"{what} hold NaN or infinity", hint="leave those samples out"))
    return np.asarray(values, np.float64).reshape(len(values), size)


def write_network(network: Network, folder: str | Path, source: str) -> list[Path]:
    """Write a network as net.yaml with its arrays into a folder; ``source`` names what it comes from. Return the files.

    Raises:
        UsageError: The folder holds something else (NC0801).
        UnsupportedError: net.yaml has no word for it (NC0342).
    """
    from neurocomp.frontends import to_yaml

    return to_yaml.write(network, Path(folder), source)


def export_network(network: Network, path: str | Path) -> tuple[dict[str, int], list[str]]:
    """Write a network as a NIR file; return what is in it, and what NIR could not say.

    Raises:
        UsageError: The file cannot be written (NC0801).
        UnsupportedError: NIR has no form for a part of it (NC0342).
    """
    from neurocomp.frontends import to_nir

    return to_nir.write(network, Path(path))


def _is_archive(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return False  # the reader of network files says what is wrong


def compile(
    network: Network | str | Path, target: str = "loihi", *, profile: str | Path | None = None,
    mapping: str | Path | None = None, progress: Callable[[float], None] | None = None, jobs: int | None = None,
    reading: Mapping[str, Any] | None = None, **options: Any,
) -> Compiled:  # fmt: skip
    """Compile a network for a target: the name of a hardware spec, or the path of one.

    Args:
        network: A network, or its file.
        target: The hardware spec.
        profile: A trace of `run` with the spikes of all populations, whose means weigh the ways of the mapping; None: the
            calibration samples weigh them where there are any, else all neurons alike.
        mapping: A file that pins populations, or some of their neurons, to cores; docs/mapping.md has the format. These cores
            hold nothing else.
        progress: Is told which share of the mapping is done; an interruption then keeps the best mapping so far.
        jobs: Threads of the mapping, which does not depend on them; None: one per processor.
        reading: What is said of a file whose format leaves it open; see `load`.
        options: Of the target's backend, by name: ``ticks_per_step``, ``extensions`` (names that the spec lists), and its own,
            such as ``compare`` of Loihi's; docs/cli.md says what they do.

    Raises:
        UsageError: The backend has no such option (NC0801).
        UnsupportedError: The target cannot do what the network asks for.
        CapacityError: The network does not fit.
        NetworkError: ``profile`` is no such trace, or ``mapping`` no such file.
    """
    loaded, spec, backend, simulator, chosen = _compilation(_network(network, reading), target, options)
    spikes, where = None, None
    if profile is not None:
        path = Path(profile)
        where = Location(path.name)
        spikes = load_trace(path, {name: p.shape for name, p in loaded.populations.items()})
    pins = () if mapping is None else read_pins(Path(mapping), loaded)
    wishes = pipeline.Wishes(spikes, where, pins, progress, jobs)
    return Compiled(pipeline.compile_network(loaded, spec, backend, simulator, chosen, wishes))


def check(
    network: Network | str | Path, target: str = "loihi", reading: Mapping[str, Any] | None = None, **options: Any
) -> tuple[Violation, ...]:
    """Return all violations of the first stage that has some; none means that `compile` with these arguments will succeed."""
    return check_stages(_network(network, reading), target, **options).violations


def check_stages(network: Network | str | Path, target: str = "loihi", **options: Any) -> pipeline.Checked:
    """Return how far a network gets, and all violations of the first stage that has some; nothing is emitted."""
    return pipeline.check_network(*_compilation(network, target, options), emits=False)


def import_network(path: str | Path, form: str, ticks: int | None = None) -> Compiled:
    """Read a network of another tool, from its lowered form onwards.

    Args:
        path: File or folder.
        form: Its format, such as ``ranc``.
        ticks: Per sample; None: what the files suggest.

    Raises:
        UsageError: No backend reads the format (NC0801).
        NetworkError: The files are no such network.
        UnsupportedError: The chip family cannot do what they say (NC0341).
    """
    known = {name: backend for backend in registry.backends().values() for name in getattr(backend, "importers", {})}
    if form not in known:
        raise UsageError(Diagnostic("NC0801", f"no backend imports the format '{form}'", hint=did_you_mean(form, list(known))))
    backend: Any = known[form]
    found: Imported = backend.importers[form](Path(path), ticks)
    network = found.network.verify()
    mapped, samples = found.mapped.verify(found.spec), network.data.samples
    made = Artifact(
        network=replace(network, data=replace(network.data, samples=None)), quantized=None, lowered=mapped.lowered,
        mapped=mapped, program=backend.emit(mapped, found.spec), spec=found.spec,
        options={"target": found.spec.name, "imported": form}, notes=found.notes, samples=samples,
        version=version("neurocomp"),
    )  # fmt: skip
    return Compiled(made.verify(), found.counts)


def _compilation(
    network: Network | str | Path, target: str, options: Mapping[str, Any]
) -> tuple[Network, HardwareSpec, Backend, IntegerSimulator, Options]:
    """Return what the pipeline takes."""
    loaded = _network(network)
    spec = registry.find_spec(target)
    backend = registry.backend(spec.backend)
    return loaded, spec, backend, registry.simulator("reference"), pipeline.options_of(backend, spec, options)


def _network(network: Network | str | Path, reading: Mapping[str, Any] | None = None) -> Network:
    loaded = network if isinstance(network, Network) else load(network, **(reading or {}))
    if isinstance(loaded, Compiled):
        raise UsageError(Diagnostic("NC0801", "this is an artifact, already compiled", hint="give the network file"))
    return loaded


def samples_of(network: Network, data: Mapping[str, str], labels: str | None, declared: Samples | None) -> Samples | None:
    """Return the declared samples, or those that ``--data POP=FILE.npz#key`` and ``--labels`` name.

    Raises:
        UsageError: A population of ``data`` is no input.
        NetworkError: The arrays do not fit the network.
    """
    if not data:
        if labels is None or declared is None:
            return declared
        read = load_samples({}, Reference(labels), shapes={}, timed=(), folder=Path()).labels
        if read is not None and len(read) != declared.count:
            message = f"--labels has {len(read)} labels for {declared.count} declared samples"
            raise NetworkError(Diagnostic("NC0210", message))
        return replace(declared, labels=read)
    inputs = {p.name: p.shape for p in network.inputs}
    shapes = {name: data_shape(network.encoders[name], s) if name in network.encoders else s for name, s in inputs.items()}
    for name in data:
        if name not in inputs:
            hint = did_you_mean(name, list(inputs))
            raise UsageError(Diagnostic("NC0801", f"--data: '{name}' is not an input population", hint=hint))
    timed = [name for name, e in network.encoders.items() if ENCODERS[e.scheme].timed]
    events = [name for name, e in network.encoders.items() if ENCODERS[e.scheme].events]
    references = {name: Reference(text) for name, text in data.items()}
    found = Reference(labels) if labels else None
    return load_samples(references, found, shapes=shapes, timed=timed, events=events, folder=Path())


def _take(samples: Samples, start: int, stop: int) -> Samples:
    labels = None if samples.labels is None else samples.labels[start:stop]
    return Samples({name: values[start:stop] for name, values in samples.inputs.items()}, labels)


def _no_data(what: str, stored_elsewhere: bool = False) -> NetworkError:
    if stored_elsewhere:
        message = f"{what} needs data; they were too large to be stored in the artifact"
        return NetworkError(Diagnostic("NC0604", message, hint="pass --data POP=FILE.npz#key (and --labels FILE.npz#key)"))
    hint = "declare 'data' in the network file, or pass --data POP=FILE.npz#key"
    hint += " and --labels FILE.npz#key" if what == "evaluate" else ", or encoded spikes with --input X.npz"
    return NetworkError(Diagnostic("NC0212", f"{what} needs data, and the network declares none", hint=hint))


def _encode(network: Network, samples: Samples, first: int = 0) -> dict[str, Array]:
    for p in network.inputs:
        if p.name not in network.encoders:
            hint = f"declare 'encode: {{{p.name}: {{scheme: rate}}}}', or pass encoded spikes with --input"
            raise NetworkError(Diagnostic("NC0212", f"input '{p.name}' has data but no encoder", p.origin, hint=hint))
    return encode_samples(network, samples, first)


def _flat(network: Network, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Check a stimulus given from Python and return it with flat populations."""
    result: dict[str, Array] = {}
    inputs, analog = [p.name for p in network.inputs], analog_inputs(network)
    for name in arrays:
        if name not in inputs:
            message = f"the stimulus names '{name}', which is no input"
            raise NetworkError(Diagnostic("NC0211", message, hint=did_you_mean(name, inputs)))
    for p in network.inputs:
        if p.name not in arrays:
            raise NetworkError(Diagnostic("NC0211", f"the stimulus has no array '{p.name}'"))
        array = np.asarray(arrays[p.name])
        kinds = "iubf" if p.name in analog else "iub"
        if array.dtype.kind not in kinds or array.ndim < 2 or int(np.prod(array.shape[2:])) != p.size:
            wanted = ", ".join(["samples", "ticks", *map(str, p.shape)])
            what = "numbers" if p.name in analog else "integers"
            message = f"the stimulus of '{p.name}' is {array.dtype} {array.shape}; {what} ({wanted}) are needed"
            raise NetworkError(Diagnostic("NC0211", message))
        result[p.name] = array if array.ndim == 3 else array.reshape(*array.shape[:2], p.size)
        if p.name in analog and array.dtype.kind != "f":
            result[p.name] = result[p.name].astype(np.float64)
    extents = {values.shape[:2] for values in result.values()}
    if len(extents) > 1:
        found = ", ".join(str(pair) for pair in sorted(extents))
        raise NetworkError(Diagnostic("NC0211", f"inputs differ in (samples, ticks): {found}"))
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Feed:
    """What goes into a simulation, batch by batch: spikes that are given, or data for the encoders."""

    network: Network
    given: Mapping[str, Array] | None
    raw: Samples
    total: int
    """Samples in all."""
    ticks: int
    """Per sample, of the network."""

    def batch(self, start: int, stop: int) -> dict[str, Array]:
        """Return the spikes of some samples; those of stochastic encoders depend on the samples' own numbers."""
        if self.given is not None:
            return {name: values[start:stop] for name, values in self.given.items()}
        return _encode(self.network, _take(self.raw, start, stop), start)


def _feed_of(
    network: Network, inputs: str | Path | Mapping[str, Array] | None, samples: Samples | None, count: int | None, what: str,
    *, stored_elsewhere: bool = False,
) -> _Feed:  # fmt: skip
    """Return what feeds a simulation; the arguments are those of `stimulus_of`."""
    if inputs is not None or not network.inputs:
        given: Mapping[str, Array] = {}
        if isinstance(inputs, (str, Path)):
            shapes = {p.name: p.shape for p in network.inputs}
            given = load_stimulus(Path(inputs), shapes, analog=analog_inputs(network))
        elif inputs is not None:
            given = _flat(network, inputs)
        found, ticks = next((values.shape[:2] for values in given.values()), (1, network.ticks))
        return _Feed(network, given, Samples({}), found if count is None or not given else min(count, found), ticks)
    if samples is None or not samples.count:
        raise _no_data(what, stored_elsewhere)
    return _Feed(network, None, samples, samples.count if count is None else min(count, samples.count), network.ticks)


def stimulus_of(
    network: Network, inputs: str | Path | Mapping[str, Array] | None, samples: Samples | None, count: int | None, what: str,
    *, stored_elsewhere: bool = False,
) -> dict[str, Array]:  # fmt: skip
    """Return the spikes that feed a simulation, (samples, ticks, n) per input.

    Args:
        network: Whose inputs are fed.
        inputs: X.npz or its arrays, what comes out of the encoder; None: ``samples`` go through the encoder.
        samples: Raw data.
        count: At most so many samples.
        what: Who asks, for messages.
        stored_elsewhere: The artifact holds only the digest of its data.
    """
    feed = _feed_of(network, inputs, samples, count, what, stored_elsewhere=stored_elsewhere)
    return feed.batch(0, feed.total)


@dataclass(frozen=True, slots=True)
class _Batches:
    """Samples, simulated batch by batch on threads; no result depends on the size of a batch or on the threads."""

    total: int
    size: int
    jobs: int
    progress: Progress | None = None
    keep_finished: bool = False

    @property
    def spans(self) -> list[tuple[int, int]]:
        """(first sample, the one behind the last) of each batch."""
        return [(start, min(start + self.size, self.total)) for start in range(0, self.total, self.size)] or [(0, 0)]

    def run(self, simulate: Callable[[int, int], Any], take: Callable[[int, int, Any], None]) -> tuple[int, bool]:
        """Simulate all batches and hand each result on, in order.

        Returns:
            How many samples are done, and whether an interruption ended the work before all were.

        Raises:
            KeyboardInterrupt: Unless ``keep_finished`` is set and a batch is done.
        """
        done, report = 0, self.progress or (lambda done, total: None)
        try:
            report(0, self.total)
            results = in_order(lambda span: simulate(*span), self.spans, self.jobs, interruptible=True)
            for (start, stop), result in zip(self.spans, results, strict=True):
                take(start, stop, result)
                done = stop
                report(done, self.total)
        except KeyboardInterrupt:
            if not self.keep_finished or not done:
                raise
            return done, True
        return done, False


def _batch_size(bytes_per_sample: int, synapses: int = 0) -> int:
    """Return how many samples make a batch, from the memory and the synapses times ticks of one."""
    lasting = max(SMALLEST_BATCH, BATCH_SYNAPSES // max(1, synapses))
    return max(1, min(BATCH, lasting, BATCH_BYTES // max(1, bytes_per_sample)))


def _bytes_per_sample(network: Network, ticks: int, probe: str, state: bool) -> int:
    """Return what a sample needs in the encoders' output and in what is recorded, at most."""
    recorded = sum(network.populations[name].size for name in _recorded(network, probe))
    return ticks * (8 * sum(p.size for p in network.inputs) + (4 + 16 * state) * recorded)


def _threads(jobs: int | None, weights: int = 0) -> int:
    """Return how many threads run: ``jobs``, or one per processor; fewer where each has ``weights`` in float64 for itself."""
    wanted = available_processors() if jobs is None else jobs
    return max(1, min(wanted, THREADS_BYTES // (8 * weights + THREAD_BYTES))) if weights else wanted


def _weights(network: Network) -> int:
    return sum(int(np.size(q.weights)) for q in network.projections)


def early_ticks(ticks: int) -> list[int]:
    """Return after how many ticks of a sample a report reads the answer: all of them, or `EARLY` in equal steps."""
    if ticks <= EARLY:
        return [*range(1, ticks + 1)] or [0]
    return [round(ticks * (index + 1) / EARLY) for index in range(EARLY)]


def is_small(network: IntegerNetwork, samples: int, ticks: int) -> bool:
    """Return whether the reference needs less than about a second for a job (`SMALL_JOB`).

    Such a job is not worth loading numba, let alone a first compilation of the kernels; its results are the same either way.
    Synapses are counted from shapes and patterns, not listed.
    """
    neurons, synapses = (samples * ticks * n for n in _extent(network))
    return neurons <= SMALL_JOB[0] and synapses <= SMALL_JOB[1]


def _extent(network: IntegerNetwork) -> tuple[int, int]:
    """Return the neurons and the synapses of a network."""
    synapses = sum(int(network.synapse_counts(q).sum()) for q in network.projections)
    synapses += sum(int(np.diff(c.axon_start) @ np.diff(c.neuron_start)) for c in network.crossbars)
    return sum(p.size for p in network.populations.values()), synapses


def _fast(jobs: int) -> IntegerSimulator:
    """Return the fast engine with its kernels compiled.

    Raises:
        EngineUnavailable: numba is not there, or does not compile them (NC0320).
    """
    hint = "use --engine reference, whose results are the same; 'neurocomp doctor' tests the installation"
    try:
        simulator: Any = registry.simulator("fast")
    except EngineUnavailable as error:
        message = f"engine 'fast' is not available: {error.diagnostics[0].message}"
        raise EngineUnavailable(Diagnostic("NC0320", message, hint=hint)) from error
    try:
        from neurocomp.engine.simulator import compile_kernels

        compile_kernels()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        message = f"engine 'fast' is not available: its kernels do not compile: {type(error).__name__}: {reason}"
        raise EngineUnavailable(Diagnostic("NC0320", message, hint=hint)) from error
    simulator.jobs = jobs
    made: IntegerSimulator = simulator
    return made


def _reason(error: EngineUnavailable, engine: str) -> str:
    """Return why an engine is not there, without its name."""
    return error.diagnostics[0].message.removeprefix(f"engine '{engine}' is not available: ")


class _Collected:
    """Arrays and events of the samples that are done, put together from batches."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.arrays: dict[str, Array] = {}
        self.events: dict[tuple[str, str], Event] = {}

    def take(self, start: int, stop: int, part: tuple[Mapping[str, Array], Sequence[Event]]) -> None:
        """Add a batch."""
        arrays, events = part
        for key, values in arrays.items():
            if key not in self.arrays and (len(values) == self.total or stop - start == self.total):
                self.arrays[key] = values
                continue
            whole = self.arrays.setdefault(key, np.empty((self.total, *values.shape[1:]), values.dtype))
            whole[start:stop] = values
        for event in events:
            key_of = event.population, event.register
            first = self.events.get(key_of)
            if first is None:
                self.events[key_of] = replace(event, sample=start + event.sample)
            else:
                self.events[key_of] = replace(first, count=first.count + event.count)

    def run(self, engine: str, done: int, interrupted: bool, order: Iterable[str]) -> Run:
        """Return what came out; events are in the order of populations and registers."""
        places = {name: index for index, name in enumerate(order)}
        registers = ("accumulator", "u", "v")
        keys = sorted(self.events, key=lambda key: (places.get(key[0], len(places)), registers.index(key[1])))
        arrays = {key: values[:done] if interrupted else values for key, values in self.arrays.items()}
        return Run(engine, arrays, tuple(self.events[key] for key in keys), interrupted)


def _shaped(trace: Trace, network: Network, probe: str, state: bool, ticks_per_step: int = 1) -> dict[str, Array]:
    """Return a trace as the keys of TRACE.npz, in the order of the file and in ticks of the network."""
    from neurocomp.models.neurons import NEURON_MODELS

    moved = trace.in_user_time()
    outputs = {p.name for p in network.outputs}
    arrays: dict[str, Array] = {}
    for p in network.populations.values():
        if probe != "all" and p.name not in outputs:
            continue
        registers = ["spikes"]
        if state and p.neuron is not None:
            registers += sorted(NEURON_MODELS[p.neuron.model].recorded)
        for register in registers:
            if p.name not in getattr(moved, register):
                continue  # a constant analog input, which the host takes in; a line that leaves a chip, which has no state
            values = getattr(moved, register)[p.name]
            if ticks_per_step > 1:
                has_current = p.neuron is not None and NEURON_MODELS[p.neuron.model].has_current
                values = (
                    spikes_per_step(values, ticks_per_step)
                    if register == "spikes"
                    else state_per_step(values, ticks_per_step, has_current)
                )
            arrays[f"{register}/{p.name}"] = values.reshape(*values.shape[:2], *p.shape)
    for q in network.projections:
        if q.learning is not None and q.name in trace.weights:
            found = trace.weights[q.name]
            arrays[f"weights/{q.name}"] = found[-1] if q.learning.across_samples else found
    return arrays


def _learns(network: Network) -> bool:
    """Return whether samples run one after the other in a single batch, as one may go on from what the others have learned."""
    return any(q.learning is not None for q in network.projections)


def _float_batches(
    network: Network, total: int, bytes_per_sample: int, jobs: int | None, progress: Progress | None, keep_finished: bool
) -> _Batches:
    """Return the batches of a network in real numbers."""
    if _learns(network):
        return _Batches(total, max(1, total), 1, progress, keep_finished)
    return _Batches(total, _batch_size(bytes_per_sample), _threads(jobs, _weights(network)), progress, keep_finished)


def _recorded(network: Network, probe: str) -> list[str]:
    return list(network.populations) if probe == "all" else [p.name for p in network.outputs]


def run_float(
    network: Network, stimulus: Stimulus, *, probe: str = "outputs", state: bool = False, first_sample: int = 0
) -> Run:
    """Run a network in real numbers."""
    from neurocomp.simulation import simulate

    trace = simulate(network, stimulus, record=_recorded(network, probe), state=state, first_sample=first_sample)
    return Run("float", _shaped(trace, network, probe, state), trace.events)


def run_network(
    network: Network,
    inputs: str | Path | Mapping[str, Array] | None = None,
    *,
    samples: Samples | None = None,
    count: int | None = None,
    probe: str = "outputs",
    state: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
    keep_finished: bool = False,
) -> Run:
    """Run a network in real numbers, on what `Compiled.run` takes."""
    feed = _feed_of(network, inputs, samples or network.data.samples, count, "run")
    size = _bytes_per_sample(network, feed.ticks, probe, state)
    batches = _float_batches(network, feed.total, size, jobs, progress, keep_finished)
    return _run_float(network, feed, batches, probe, state)


def _run_float(network: Network, feed: _Feed, batches: _Batches, probe: str, state: bool) -> Run:
    def simulate(start: int, stop: int) -> tuple[Mapping[str, Array], Sequence[Event]]:
        run = run_float(network, feed.batch(start, stop), probe=probe, state=state, first_sample=start)
        return run.arrays, run.events

    collected = _Collected(batches.total)
    done, interrupted = batches.run(simulate, collected.take)
    return collected.run("float", done, interrupted, network.populations)


def evaluate_network(
    network: Network, samples: Samples | None = None, count: int | None = None, *, jobs: int | None = None,
    progress: Progress | None = None, keep_finished: bool = False,
) -> Evaluation:  # fmt: skip
    """Return the accuracy of a network in real numbers on its declared samples, or on others; see `Compiled.evaluate`."""
    samples, total = _to_evaluate(network, samples or network.data.samples, count)
    size = _bytes_per_sample(network, network.ticks, "outputs", True)
    batches = _float_batches(network, total, size, jobs, progress, keep_finished)
    return _evaluate(network, samples, batches)


def _to_evaluate(
    network: Network, samples: Samples | None, count: int | None, stored_elsewhere: bool = False
) -> tuple[Samples, int]:
    """Return samples that can be evaluated, and how many of them are."""
    if samples is None or not samples.count:
        raise _no_data("evaluate", stored_elsewhere)
    if samples.labels is None:
        hint = "declare 'labels' under 'data', or pass --labels FILE.npz#key"
        raise NetworkError(Diagnostic("NC0212", "evaluate needs labels, and there are none", hint=hint))
    if len(network.decoders) != 1:
        names = ", ".join(network.decoders) or "none"
        hint = "declare 'decode: {POPULATION: {scheme: count}}' for one population"
        raise NetworkError(Diagnostic("NC0212", f"evaluate needs one decoder; the network declares {names}", hint=hint))
    return samples, samples.count if count is None else min(count, samples.count)


def _evaluate(
    network: Network, samples: Samples, batches: _Batches, engine: str | None = None,
    fixed: Callable[[int, Stimulus, bool], Mapping[str, Array]] | None = None,
) -> Evaluation:  # fmt: skip
    """Return accuracies; ``fixed`` runs the integers on a stimulus that begins with a sample, with or without state."""
    name, decoder = next(iter(network.decoders.items()))
    assert samples.labels is not None
    labels = _checked_labels(network, name, samples.labels[: batches.total])
    needs_state = DECODERS[decoder.scheme].reads_potential
    answers: dict[str, list[Array]] = {"float": [], **({"fixed": []} if fixed is not None else {})}

    def simulate(start: int, stop: int) -> dict[str, Array]:
        stimulus = _encode(network, _take(samples, start, stop), start)
        runs = {"float": run_float(network, stimulus, state=needs_state, first_sample=start).arrays}
        if fixed is not None:
            runs["fixed"] = fixed(start, stimulus, needs_state)
        found = {}
        for kind, arrays in runs.items():
            flat = {key: arrays[f"{key}/{name}"].reshape(len(arrays[f"spikes/{name}"]), network.ticks, -1)
                    for key in (("spikes", "v") if needs_state else ("spikes",))}  # fmt: skip
            found[kind] = decode(decoder, spikes=flat["spikes"], v=flat.get("v"))
        return found

    def take(start: int, stop: int, found: dict[str, Array]) -> None:
        for kind, values in found.items():
            answers[kind].append(values)

    done, interrupted = batches.run(simulate, take)
    predictions = {kind: np.concatenate(parts)[:done] for kind, parts in answers.items()}
    right = {kind: float((values == labels[:done]).mean()) for kind, values in predictions.items()}
    return Evaluation({"float": right.get("float"), "fixed": right.get("fixed")}, done, predictions, engine, interrupted)


def _checked_labels(network: Network, name: str, labels: Array) -> Array:
    """Return labels (samples,), each the index of a neuron of the decoded population."""
    size = network.populations[name].size
    answers = possible_answers(network.decoders[name], size) if name in network.decoders else size
    outside = (labels < 0) | (labels >= answers)
    if outside.any():
        what = f"the neurons of '{name}'" if answers == size else f"the classes that '{name}' votes for"
        message = f"label {labels[outside][0]} lies outside 0..{answers - 1}, {what}"
        raise NetworkError(Diagnostic("NC0210", message, hint="a label is the index of the neuron that should win"))
    return labels


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """What a report takes from one batch of samples."""

    tally: Tally
    work: Work | None
    """None: there is no quantized network."""
    answers: Array
    """Read after several numbers of ticks, (ticks, samples)."""
    quantized: Array | None
    """Answers of the quantized network, where they may differ."""
    distances: Mapping[str, SpikeDistance]


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A compiled network: what `compile` returns, and `load` of an artifact."""

    artifact: Artifact
    imported: Mapping[str, int] = field(default_factory=dict)
    """What `import_network` found, merged and dropped; not in the artifact."""

    @property
    def network(self) -> Network:
        """The user's network; of an import its inputs and what is read."""
        return self.artifact.network

    @property
    def extensions(self) -> tuple[str, ...]:
        """What the chip does not do and was allowed nevertheless; every output says so."""
        return self.artifact.lowered.extensions

    @property
    def ticks_per_step(self) -> int:
        """Ticks of the chip per tick of the network."""
        return int(self.artifact.options.get("ticks_per_step", 1))

    def _on_chip(self, stimulus: Mapping[str, Array], first: int = 0) -> dict[str, Array]:
        """Return a stimulus in ticks of the chip, with what the host computes of constant analog inputs.

        ``first`` is the number of its first sample, for messages.
        """
        quantized = self.artifact.quantized
        made = with_currents(stimulus, quantized.currents.values() if quantized is not None else (), first)
        return {name: stretched(values, self.ticks_per_step) for name, values in made.items()}

    def _quantized(self) -> QuantizedNetwork:
        """Return the integers before lowering, which an import does not have."""
        if self.artifact.quantized is None:
            message = "an imported network has no stage 'quantized'"
            raise UsageError(Diagnostic("NC0801", message, hint="use --stage lowered"))
        return self.artifact.quantized

    def save(self, path: str | Path) -> str:
        """Write the artifact and return its digest."""
        return artifacts.write(self.artifact, Path(path))

    def samples(self, data: Mapping[str, str] | None = None, labels: str | None = None) -> Samples | None:
        """Return the declared samples, or those that the arguments name; see `samples_of`."""
        return samples_of(self.network, data or {}, labels, self.artifact.samples)

    @property
    def _stored_elsewhere(self) -> bool:
        return self.artifact.samples is None and self.artifact.samples_digest is not None

    def stimulus(
        self, inputs: str | Path | Mapping[str, Array] | None = None, samples: Samples | None = None, count: int | None = None,
        what: str = "run",
    ) -> dict[str, Array]:  # fmt: skip
        """Return the spikes that feed a simulation, in ticks of the network.

        Raises:
            NetworkError: Spikes carry a value where those of the network do not (NC0314).
            UnsupportedError: A direct current changes within a sample (NC0319).
        """
        feed = self._feed(inputs, samples, count, what)
        return feed.batch(0, feed.total) if feed.given is not None else self._checked(feed.batch(0, feed.total))

    def _feed(
        self, inputs: str | Path | Mapping[str, Array] | None, samples: Samples | None, count: int | None, what: str
    ) -> _Feed:
        """Return what feeds a simulation; spikes that are given are checked at once, others when they are encoded."""
        declared = samples or self.artifact.samples
        feed = _feed_of(self.network, inputs, declared, count, what, stored_elsewhere=self._stored_elsewhere)
        if feed.given is not None:
            self._checked(feed.batch(0, feed.total))
        return feed

    def _checked(self, stimulus: dict[str, Array]) -> dict[str, Array]:
        """Return a stimulus whose values the network can take."""
        lowered, analog = self.artifact.lowered.network, analog_inputs(self.network)
        for name, values in stimulus.items():
            if name in analog or lowered.populations[name].dynamics == "current":
                _constant(name, values)
                continue
            if any(q.source == name and not q.binary for q in lowered.projections):
                continue
            largest = TRACE_MAX if _only_modulates(lowered, name) else 1
            wrong = (values < 0) | (values > largest)
            if wrong.any():
                bad = values[wrong].flat[0]
                if largest > 1:
                    message = f"the stimulus of '{name}' holds the value {bad}; what modulates is 0 to {largest}"
                    raise NetworkError(
                        Diagnostic("NC0314", message, hint="scale the rewards, and the rule's rate against them")
                    )
                message = f"the stimulus of '{name}' holds the value {bad}; a spike of an input carries no value"
                raise NetworkError(Diagnostic("NC0314", message, hint="write 0 or 1 per neuron and tick"))
        return stimulus

    def random_stimulus(self, samples: int, seed: int = 0) -> dict[str, Array]:
        """Return random spikes, and for direct currents a random value per sample, for a proof without data."""
        rng = np.random.default_rng(seed)
        stimulus: dict[str, Array] = {}
        for p in self.network.inputs:
            extents = samples, self.network.ticks, p.size
            if p.name in analog_inputs(self.network):
                stimulus[p.name] = np.broadcast_to(rng.random((samples, 1, p.size)), extents)
            elif self.artifact.lowered.network.populations[p.name].dynamics == "current":
                values = rng.integers(-RANDOM_CURRENT, RANDOM_CURRENT + 1, (samples, 1, p.size))
                stimulus[p.name] = np.broadcast_to(values, extents).copy()
            else:
                stimulus[p.name] = (rng.random(extents) < RANDOM_RATE).astype(np.int8)
        return stimulus

    def witnesses(self) -> dict[str, Witness]:
        """Return the programs of others that can execute this target's lowered networks."""
        return {witness.name: witness for witness in registry.backend(self.artifact.spec.backend).witnesses}

    def require(self, engine: str) -> None:
        """Raise an error that says why, if an engine cannot run this artifact here.

        Raises:
            UsageError: There is no such engine.
            EngineUnavailable: It is not installed (NC0320).
        """
        if engine not in ENGINES and engine not in self.witnesses():
            raise UsageError(Diagnostic("NC0801", f"there is no engine '{engine}'", hint=did_you_mean(engine, ENGINES)))
        if engine == "float" and self.artifact.quantized is None:
            message = "an imported network has integers only: engine 'float' has nothing to execute"
            raise EngineUnavailable(Diagnostic("NC0320", message, hint="use --engine reference or chip"))
        if engine == "fast" and self.artifact.lowered.network.crossbars:
            message = "engine 'fast' is not available: it has no crossbars, which the chip simulation executes as fast"
            raise EngineUnavailable(Diagnostic("NC0320", message, hint="use --engine chip or reference"))
        if engine == "fast":
            _fast(1)
        if engine == "chip":
            registry.backend(self.artifact.spec.backend).chip_simulator()
        witness = self.witnesses().get(engine)
        reason = witness.unavailable(self.artifact.lowered) if witness else None
        if reason is not None:
            raise EngineUnavailable(Diagnostic("NC0320", f"engine '{engine}' is not available: {reason}"))

    def run(
        self,
        engine: str | None = None,
        inputs: str | Path | Mapping[str, Array] | None = None,
        *,
        samples: Samples | None = None,
        count: int | None = None,
        probe: str = "outputs",
        state: bool = False,
        stage: str = "lowered",
        jobs: int | None = None,
        progress: Progress | None = None,
        keep_finished: bool = False,
    ) -> Run:
        """Simulate.

        Args:
            engine: ``float``, ``reference``, ``fast``, ``chip``, ``lava``; None: fast, while the reference serves jobs that
                are small (`is_small`) or that fast cannot run.
            inputs: X.npz or its arrays, what comes out of the encoder, (samples, ticks, *shape) integers per input population.
            samples: Raw data for the encoder instead; None: the declared ones.
            count: At most so many samples.
            probe: ``outputs``, or ``all`` populations of the network.
            state: Whether u and v are returned too.
            stage: ``lowered``, what the chip executes; or ``quantized``, for ``reference`` and ``fast``.
            jobs: Threads; None: one per processor. Results do not depend on it.
            progress: Is told after each batch how many samples are done.
            keep_finished: After an interruption return the samples that are finished, if there are any, instead of raising
                ``KeyboardInterrupt``.
        """
        for what, value, known in (("stage", stage, ("lowered", "quantized")), ("probe", probe, ("outputs", "all"))):
            if value not in known:
                raise UsageError(Diagnostic("NC0801", f"there is no {what} '{value}'", hint=did_you_mean(value, known)))
        if stage == "quantized" and engine not in (None, *INTEGER_ENGINES):
            if engine not in ENGINES:
                self.require(engine)
            message = f"engine '{engine}' does not execute the quantized network"
            raise UsageError(Diagnostic("NC0801", message, hint="use --engine reference or fast, or --stage lowered"))
        if stage == "quantized":
            self._quantized()
        if engine is not None:
            self.require(engine)
        feed = self._feed(inputs, samples, count, "run")
        size = _bytes_per_sample(self.network, feed.ticks * self.ticks_per_step, probe, state)
        if engine == "float":
            batches = _float_batches(self.network, feed.total, size, jobs, progress, keep_finished)
            return _run_float(self.network, feed, batches, probe, state)

        def simulated(chosen: str) -> Run:
            def simulate(start: int, stop: int) -> tuple[Mapping[str, Array], Sequence[Event]]:
                stimulus = feed.batch(start, stop)
                stimulus = self._on_chip(stimulus if feed.given is not None else self._checked(stimulus), start)
                trace = execute(stimulus, record, state, start)
                return _shaped(trace, self.network, probe, state, self.ticks_per_step), trace.events

            batches = self._batches(chosen, feed.total, feed.ticks, size, jobs, progress, keep_finished)
            execute, record = self._executor(chosen, stage, batches), _recorded(self.network, probe)
            collected = _Collected(feed.total)
            done, interrupted = batches.run(simulate, collected.take)
            return collected.run(chosen, done, interrupted, self.artifact.lowered.network.populations)

        found: Run = self._with_engine(engine, feed.total, feed.ticks, simulated)
        return found

    def _with_engine(self, engine: str | None, samples: int, ticks: int, work: Callable[[str], Any]) -> Any:
        """Return what ``work`` makes with an engine: the one that the caller chose, or a compiled one or the reference."""
        if engine is not None:
            logger.debug("engine %s, as asked for", engine)
            return work(engine)
        if is_small(self.artifact.lowered.network, samples, ticks * self.ticks_per_step):
            logger.debug("engine reference: a small job, not worth loading the compiled kernels")
            return work("reference")
        if self.artifact.lowered.network.crossbars:
            logger.debug("engine chip: the job is not small, and the chip simulation is the fastest that has crossbars")
            return work("chip")
        try:
            logger.debug("engine fast: the job is not small")
            return work("fast")
        except EngineUnavailable as error:
            logger.warning("the engine 'fast' is left out, the reference runs instead: %s", _reason(error, "fast"))
            return work("reference")

    def _batches(
        self, engine: str, total: int, ticks: int, bytes_per_sample: int, jobs: int | None, progress: Progress | None,
        keep_finished: bool, in_numpy: bool = False,
    ) -> _Batches:  # fmt: skip
        """Return the batches for an engine; ``in_numpy``: the network in real numbers runs beside it."""
        network = self.artifact.lowered.network
        if engine in self.witnesses() or _learns(self.network):
            return _Batches(total, max(1, total), 1, progress, keep_finished)
        synapses = _extent(network)[1]
        size = _batch_size(bytes_per_sample, synapses * ticks * self.ticks_per_step)
        threads = _threads(jobs, synapses if in_numpy or engine != "fast" else 0)
        plural = "" if threads == 1 else "s"
        logger.debug("%d samples in batches of %d on at most %d thread%s", total, min(size, total), threads, plural)
        return _Batches(total, size, threads, progress, keep_finished)

    def _executor(self, engine: str, stage: str, batches: _Batches) -> Callable[[Stimulus, Sequence[str], bool, int], Trace]:
        """Return what executes a stimulus in ticks of the chip on any thread and records some populations of the user.

        The arguments are the stimulus, the populations, whether their state is recorded, and the number of the first sample.
        """
        made, lowered = self.artifact, self.artifact.lowered
        chip = registry.backend(made.spec.backend).chip_simulator() if engine == "chip" else None
        if engine in INTEGER_ENGINES:
            # Where there are fewer batches than threads, each batch has some for its samples.
            simulator = registry.simulator(engine) if engine != "fast" else _fast(max(1, batches.jobs // len(batches.spans)))
        if stage == "quantized":
            integers = self._quantized().network

            def logical(stimulus: Stimulus, record: Sequence[str], state: bool, first: int) -> Trace:
                known = [name for name in record if name in integers.populations]
                return simulator.run(integers, stimulus, record=known, state=state, first_sample=first)

            return logical

        def physical(stimulus: Stimulus, record: Sequence[str], state: bool, first: int) -> Trace:
            known = list(dict.fromkeys(lowered.map[name].population for name in record if name in lowered.map))
            if engine in INTEGER_ENGINES:
                trace = simulator.run(
                    lowered.network, stimulus, lag=lowered.lag, record=known, state=state, first_sample=first
                )  # fmt: skip
            elif chip is not None:
                trace = chip.run(made.program, stimulus, record=known, state=state, first_sample=first)
            else:
                trace = self.witnesses()[engine].run(lowered, stimulus, record=known, state=state)
            return lowered.in_user_time(trace)

        return physical

    def verify(
        self,
        engines: Sequence[str] | None = None,
        *,
        inputs: str | Path | Mapping[str, Array] | None = None,
        samples: Samples | None = None,
        count: int | None = None,
        inject: tuple[str, int] | None = None,
    ) -> VerifyReport:
        """Compare all simulations bit for bit, tick by tick, in spikes and state.

        Args:
            engines: Names; None: all that can run this, the others are listed as skipped. The reference always runs.
            inputs: See `run`; without inputs and declared samples, random spikes.
            samples: See `run`.
            count: At most so many samples; None: all of ``inputs``, or `DEFAULT_SAMPLES` of the declared ones.
            inject: (``weight``, ``delay``, ``target`` or ``threshold``; seed): corrupt one table entry of the program first.

        Raises:
            EngineUnavailable: An engine asked for by name is not there, or none but the reference is.
            UsageError: ``engines`` names none to compare the reference with.
        """
        chosen = list(engines) if engines is not None else ["reference", "fast", "chip", *self.witnesses()]
        skipped: dict[str, str] = {}
        for engine in list(chosen):
            if engine == "float":
                message = "engine 'float' computes in real numbers and cannot agree bit for bit"
                raise UsageError(Diagnostic("NC0801", message, hint="compare accuracies with 'neurocomp evaluate'"))
            try:
                self.require(engine)
            except EngineUnavailable as error:
                if engines is not None:
                    raise
                skipped[engine] = _reason(error, engine)
                chosen.remove(engine)
        if not set(chosen) - {"reference"}:
            if engines is None:
                raise self._no_second_engine(skipped)
            message = "verify needs an engine to compare the reference with"
            raise UsageError(Diagnostic("NC0801", message, hint="add fast, chip or lava to --engines"))
        if inject is not None and "chip" not in chosen:
            self.require("chip")
            message = "--inject corrupts the program, which only the chip simulation executes"
            raise UsageError(Diagnostic("NC0801", message, hint="add chip to --engines"))
        backend = registry.backend(self.artifact.spec.backend)
        if inputs is None and samples is None and self.artifact.samples is None and not self._stored_elsewhere:
            stimulus = self.random_stimulus(count or DEFAULT_SAMPLES)
        else:
            default = None if inputs is not None else DEFAULT_SAMPLES
            stimulus = self.stimulus(inputs, samples, default if count is None else count, "verify")
        known = self.witnesses()
        report = verify(
            self.artifact, self._on_chip(stimulus), backend=backend, reference=registry.simulator("reference"),
            simulators=[_fast(_threads(None))] if "fast" in chosen else [], skips_simulators=engines is None,
            witnesses=[known[engine] for engine in chosen if engine in known], chip="chip" in chosen,
            skipped=skipped, inject=inject,
        )  # fmt: skip
        if not set(report.engines) - {"reference"}:
            raise self._no_second_engine(report.skipped)
        return report

    def _no_second_engine(self, skipped: Mapping[str, str]) -> EngineUnavailable:
        message = f"verify compares simulations, and there is no second one here of what '{self.artifact.spec.name}' executes"
        also = "; ".join(f"{engine}: {why}" for engine, why in skipped.items())
        hint = "'neurocomp doctor' says how to get the engine 'fast', which runs for every target"
        return EngineUnavailable(Diagnostic("NC0320", message, also=also or None, hint=hint))

    def evaluate(
        self, engine: str | None = None, *, samples: Samples | None = None, count: int | None = None, jobs: int | None = None,
        progress: Progress | None = None, keep_finished: bool = False,
    ) -> Evaluation:  # fmt: skip
        """Return accuracies of the float and of the lowered fixed-point network on the declared samples, or on others.

        Args:
            engine: What executes the fixed-point network: ``reference``, ``fast`` or ``chip``; None: see `run`.
            samples: Raw data with labels; None: the declared ones.
            count: At most so many samples.
            jobs: See `run`.
            progress: See `run`.
            keep_finished: See `run`.
        """
        if engine is not None and engine not in EVALUATING_ENGINES:
            hint = did_you_mean(engine, EVALUATING_ENGINES)
            raise UsageError(Diagnostic("NC0801", f"evaluate has no engine '{engine}'", hint=hint))
        if engine is not None:
            self.require(engine)
        given, total = _to_evaluate(self.network, samples or self.artifact.samples, count, self._stored_elsewhere)
        ticks = self.network.ticks
        size = _bytes_per_sample(self.network, ticks * self.ticks_per_step, "outputs", True)

        def evaluated(chosen: str) -> Evaluation:
            batches = self._batches(chosen, total, ticks, size, jobs, progress, keep_finished, in_numpy=True)
            execute, record = self._executor(chosen, "lowered", batches), _recorded(self.network, "outputs")

            def fixed(first: int, stimulus: Stimulus, state: bool) -> Mapping[str, Array]:
                trace = execute(self._on_chip(self._checked(dict(stimulus)), first), record, state, first)
                return _shaped(trace, self.network, "outputs", state, self.ticks_per_step)

            return _evaluate(self.network, given, batches, chosen, fixed)

        found: Evaluation = self._with_engine(engine, total, ticks, evaluated)
        return found

    def report(
        self, *, samples: Samples | None = None, count: int | None = None, costs: str | None = None,
        inputs: str | Path | Mapping[str, Array] | None = None, engine: str | None = None, jobs: int | None = None,
        progress: Progress | None = None, keep_finished: bool = False, raster: bool = False,
    ) -> Report:  # fmt: skip
        """Count events on declared samples (at most ``count``, default `DEFAULT_SAMPLES`) and estimate their energy.

        With ``raster`` the first sample runs once more, for the spikes of all its populations.
        """
        default = None if inputs is not None else DEFAULT_SAMPLES
        feed = self._feed(inputs, samples, default if count is None else count, "report")
        made, lowered, k = self.artifact, self.artifact.lowered, self.ticks_per_step
        labels = None if inputs is not None else (samples or made.samples or Samples({})).labels
        decoded = next(iter(self.network.decoders)) if labels is not None and len(self.network.decoders) == 1 else None
        wiring, reference = wiring_of(made.mapped, made.spec), registry.simulator("reference")
        loss = lowered.reached_by_loss(feed.ticks * k)
        read = early_ticks(feed.ticks)
        neurons = sum(p.size for p in lowered.network.populations.values())
        worked = Worked(made.quantized.network) if made.quantized is not None else None

        def simulated(chosen: str) -> Report:
            # The fast engine counts while it runs and gives spikes alone: state is recorded where a decoder may read it.
            size = (16 if chosen != "fast" else 8) * feed.ticks * k * neurons
            size += _bytes_per_sample(self.network, feed.ticks * k, "outputs", True) if chosen == "fast" else 0
            batches = self._batches(chosen, feed.total, feed.ticks, size, jobs, progress, keep_finished)
            fast: Any = _fast(max(1, batches.jobs // len(batches.spans))) if chosen == "fast" else None
            chip = registry.backend(made.spec.backend).chip_simulator() if chosen == "chip" else None
            compared = [name for name in loss if made.quantized is not None]
            answered = [decoded] if decoded is not None else []
            kept = list(dict.fromkeys([*answered, *(worked.populations if worked is not None else [])]))

            def simulate(start: int, stop: int) -> _Counted:
                stimulus = feed.batch(start, stop)
                stimulus = self._on_chip(stimulus if feed.given is not None else self._checked(stimulus), start)
                if fast is not None:
                    recorded, state = ([lowered.map[name].population for name in names] for names in (kept, answered))
                    recorded = list(dict.fromkeys(recorded))
                    trace, tally = fast.count(
                        lowered.network, stimulus, wiring, lag=lowered.lag, record=recorded, state=state, first_sample=start
                    )
                elif chip is not None:
                    trace = chip.run(made.program, stimulus, first_sample=start)
                    tally = tally_of(trace, lowered.network, wiring)
                else:
                    trace = reference.run(lowered.network, stimulus, lag=lowered.lag, first_sample=start)
                    tally = tally_of(trace, lowered.network, wiring)
                moved = lowered.in_user_time(trace)
                logical = moved
                if compared:
                    logical = reference.run(self._quantized().network, stimulus, record=kept, first_sample=start)
                return _Counted(
                    tally, worked.of(logical.spikes) if worked is not None else None, self._answers(moved, decoded, read),
                    self._answers(logical, decoded, read[-1:])[0] if compared else None,
                    {name: SpikeDistance.between(logical.spikes[name], moved.spikes[name]) for name in compared},
                )  # fmt: skip

            counted: list[_Counted] = []
            distances = dict.fromkeys(compared, SpikeDistance())

            def take(start: int, stop: int, part: _Counted) -> None:
                counted.append(part)
                for name, distance in part.distances.items():
                    distances[name] = distances[name] + distance

            done, interrupted = batches.run(simulate, take)
            counts = counts_of(Tally.merged([part.tally for part in counted]), made.mapped, feed.ticks * k)
            accuracy, before, early = None, None, {}
            if decoded is not None and labels is not None:
                right = _checked_labels(self.network, decoded, labels[:done])
                answers = np.concatenate([part.answers for part in counted], axis=1)
                shares = (answers == right).mean(axis=1).tolist()
                early, accuracy = dict(zip(read, shares, strict=True)), shares[-1]
                quantized = [part.quantized for part in counted if part.quantized is not None]
                before = float((np.concatenate(quantized) == right).mean()) if compared else accuracy
            energy = estimate(counts, made.spec, self.network.timestep / k, costs)
            latency = latency_of(counts, made.mapped, made.spec, self.network.timestep / k, energy.costs)
            macs = sum(current.macs for current in made.quantized.currents.values()) if made.quantized is not None else 0
            lossy = {name: {"reason": loss[name], **distances[name].as_json()} for name in compared}
            encoders = {} if feed.given is not None else encoder_operations(self.network, feed.raw)
            decoders = decoder_operations(self.network, feed.ticks)
            baselines, neurobench = None, None
            if made.quantized is not None:
                work = Work.merged([part.work for part in counted if part.work is not None])
                baselines = baselines_of(made.quantized.network, work, made.quantized.currents, encoders)
                neurobench = neurobench_of(made.quantized.network, work)
            return Report(
                self.network, made.mapped, made.spec, counts, energy, latency, self.utilization(), accuracy, k, macs, chosen,
                interrupted, lossy, before, encoders, decoders, baselines, neurobench,
                lambda: self._provenance(feed, done, samples, energy.costs), early,
                self._raster(feed, chosen, batches) if raster and feed.total else {}, self.extensions,
            )  # fmt: skip

        found: Report = self._with_engine(engine, feed.total, feed.ticks, simulated)
        return found

    def _provenance(self, feed: _Feed, done: int, samples: Samples | None, costs: str) -> Provenance:
        """Return what the numbers of a report on the first ``done`` samples depend on."""
        if feed.given is not None:
            origin, used = "given", Samples({name: values[:done] for name, values in feed.given.items()})
        else:
            is_declared = samples is None or samples is self.artifact.samples
            origin, used = "declared" if is_declared else "data", _take(feed.raw, 0, done)
        encoders = self.network.encoders.items() if feed.given is None else ()
        seeds = {name: int(encoder.options["seed"]) for name, encoder in encoders if "seed" in encoder.options}
        return Provenance(
            version("neurocomp"), self.artifact.version, **artifacts.digests_of(self.artifact),
            samples=Simulated(origin, done, artifacts.samples_digest(used)), ticks=feed.ticks,
            timestep_s=self.network.timestep, seeds=seeds, costs=costs,
        )  # fmt: skip

    def _raster(self, feed: _Feed, engine: str, batches: _Batches) -> dict[str, Array]:
        """Return the spikes of the first sample, (ticks, n) of each population."""
        stimulus = self._on_chip(feed.batch(0, 1))
        trace = self._executor(engine, "lowered", batches)(stimulus, _recorded(self.network, "all"), False, 0)
        found = _shaped(trace, self.network, "all", False, self.ticks_per_step)
        return {key.partition("/")[2]: values[0].reshape(values.shape[1], -1) for key, values in found.items()}

    def _answers(self, trace: Trace, population: str | None, ticks: Sequence[int]) -> Array:
        """Return what the decoder of a population makes of each sample after some ticks, (ticks, samples); nothing without."""
        if population is None:
            return np.zeros((len(ticks), 0), np.int64)
        shaped = _shaped(trace, self.network, "outputs", True, self.ticks_per_step)
        spikes, v = (shaped[f"{key}/{population}"] for key in ("spikes", "v"))
        spikes, v = (values.reshape(*values.shape[:2], -1) for values in (spikes, v))
        return np.stack([decode_early(self.network.decoders[population], t, spikes=spikes, v=v) for t in ticks])

    def export_integers(self, path: str | Path, stage: str = "lowered") -> dict[str, Array]:
        """Write every integer parameter and connection to an .npz, docs/integers.md lists its keys; return the arrays.

        Args:
            path: The file to write.
            stage: ``lowered``, what the chip executes, with places; or ``quantized``.
        """
        from neurocomp.frontends import to_integers

        if stage == "quantized":
            arrays = to_integers.from_quantized(self._quantized())
        else:
            arrays = to_integers.from_mapped(self.artifact.mapped)
        if self.artifact.quantized is not None:
            arrays |= to_integers.host_layers(self.artifact.quantized)
        write_npz(Path(path), arrays)
        return arrays

    def export(self, form: str, path: str | Path, samples: Samples | None = None) -> dict[str, int]:
        """Write what was compiled in the format of another tool; return what is in it.

        Args:
            form: A format that the target's backend knows, such as ``ranc``.
            path: The file or folder to write.
            samples: Raw data, of which the first sample goes in; None: the declared ones; without any, no stimulus does.

        Raises:
            UsageError: The backend has no such format (NC0801).
            UnsupportedError: The format cannot say it (NC0342).
        """
        made = self.artifact
        exporters: Mapping[str, Exporter] = getattr(registry.backend(made.spec.backend), "exporters", {})
        if form not in exporters:
            message = f"networks of {made.spec.name} cannot be written in the format '{form}'"
            known = f"use one of {', '.join(('integers', *exporters))}"
            raise UsageError(Diagnostic("NC0801", message, hint=did_you_mean(form, list(exporters)) or known))
        stimulus: Stimulus = {}
        given = samples or made.samples
        if given is not None and given.count and self.network.inputs:
            stimulus = self._on_chip(self.stimulus(None, given, 1, "export"))
        return dict(exporters[form](Path(path), made.mapped, made.program, made.spec, stimulus))

    def synapse_words(self) -> dict[str, int]:
        """Return the words of synapse memory by each published formula; ``spec.synapse_cost`` names the one that binds."""
        return words_by_formula(self.artifact.mapped, self.artifact.spec)

    def utilization(self) -> dict[str, dict[str, int]]:
        """Return resource -> used, available (on all used cores) and worst_core (used on the fullest core), from the bytes."""
        backend = registry.backend(self.artifact.spec.backend)
        table = backend.utilization(self.artifact.program, self.artifact.spec)
        cores = len(self.artifact.mapped.cores)
        return {
            name: {"used": used, "available": available * cores, "worst_core": worst, "per_core": available}
            for name, (used, available, worst) in table.items()
        }

    def pins(self) -> list[Pin]:
        """Return pins that put every neuron where it is.

        Raises:
            UnsupportedError: The target's neurons cannot be pinned (NC0344).
        """
        if not self.artifact.spec.stores_rows:
            message = f"neurons cannot be pinned to cores of {self.artifact.spec.name}"
            raise UnsupportedError(Diagnostic("NC0344", message, hint="'neurocomp map show --json' lists its cores"))
        return pins_of(self.artifact.mapped)

    def mapping(self, profile: str | Path | None = None) -> MappingReport:
        """Return where everything is: use of cores, traffic between them, lower bounds.

        Args:
            profile: A trace of `run` with the spikes of all populations; their means are the rates of neurons. None: each
                neuron spikes once per tick.

        Raises:
            NetworkError: The file is no such trace (NC0101, NC0201 to NC0203, NC0207).
        """
        made, found = self.artifact, None
        if profile is not None:
            shapes = {name: p.shape for name, p in self.network.populations.items()}
            path = Path(profile)
            found = profile_of(load_trace(path, shapes), shapes, made.lowered, Location(path.name))
        return mapping_report(made.mapped, made.spec, self.utilization(), found)


def _only_modulates(network: IntegerNetwork, name: str) -> bool:
    """Return whether an input is a reward and no source of spikes."""
    named = any(q.learning is not None and name in q.learning.modulators for q in network.projections)
    return named and all(q.source != name for q in network.projections)


def _constant(name: str, values: Array) -> None:
    """Refuse a direct current that changes within a sample: the host writes it once per sample."""
    changed = (values != values[:, :1]).any(axis=(0, 2))
    if changed.any():
        message = f"the current of '{name}' changes within a sample, first in tick {int(np.flatnonzero(changed)[0])}"
        raise UnsupportedError(
            Diagnostic("NC0319", message, hint="give one value per sample and neuron, or encode it as spikes")
        )
