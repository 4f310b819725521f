"""What ``import neurocomp`` offers: load, compile, and everything that a compiled network can do."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp import artifact as artifacts
from neurocomp import pipeline, registry
from neurocomp.artifact import Artifact
from neurocomp.backend import Backend, IntegerSimulator, Options, Stimulus, Violation, Witness
from neurocomp.data import Reference, load_samples, load_stimulus
from neurocomp.data.whole_file import whole_file
from neurocomp.encoding import DECODERS, ENCODERS, decode
from neurocomp.energy.counts import count as count_events
from neurocomp.energy.joules import estimate
from neurocomp.errors import Diagnostic, EngineUnavailable, NetworkError, UnsupportedError, UsageError, did_you_mean
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.network import Network, Samples
from neurocomp.ir.trace import Event, Trace
from neurocomp.mapping.synapse_words import words_by_formula
from neurocomp.passes.host_currents import analog_inputs
from neurocomp.passes.quantize import with_currents
from neurocomp.passes.ticks_per_step import spikes_per_step, state_per_step, stretched
from neurocomp.report import Report
from neurocomp.verify import VerifyReport, verify

Array = NDArray[Any]

ENGINES = ("float", "reference", "fast", "chip", "lava")
BATCH = 250
"""Samples simulated at once where many are evaluated."""
DEFAULT_SAMPLES = 20
"""How many of the declared samples ``verify`` and ``report`` run unless told otherwise."""
RANDOM_RATE = 0.2
RANDOM_CURRENT = 1 << 12
"""Largest magnitude of a random direct current, in units of the potential."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Arrays of one simulation, in the user's time and shapes: the keys of TRACE.npz."""

    engine: str
    arrays: Mapping[str, Array]
    """``spikes/POP``, with state also ``v/POP`` and ``u/POP``: (samples, ticks, *shape)."""
    events: tuple[Event, ...] = ()

    def save(self, path: Path) -> None:
        """Write TRACE.npz; the file is either whole or absent."""
        write_npz(path, self.arrays)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Accuracies of the ``float`` and the ``fixed`` network, fractions 0..1; None where not defined."""

    accuracy: Mapping[str, float | None]
    samples: int
    predictions: Mapping[str, Array] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return what ``evaluate --json`` prints."""
        return {"schema": 1, "accuracy": dict(self.accuracy), "samples": self.samples}


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
    ours = ("spikes/", "u/", "v/", "population/", "projection/", "cores/", "lag/")
    others = [name for name in names if name != "meta" and not name.startswith(ours)]
    if others:
        message = f"'{path}' holds {', '.join(others[:5])}, which are not results of neurocomp; it is not replaced"
        raise UsageError(Diagnostic("NC0801", message, hint="choose another name with -o"))


def load(path: str | Path) -> Network | Compiled:
    """Read a network file or an artifact (.ncz).

    Raises:
        NetworkError: The network is invalid; all problems, with their places.
        ArtifactError: The artifact is not intact.
    """
    from neurocomp.frontends import from_yaml

    registry.load_plugins()
    path = Path(path)
    if path.suffix == ".ncz" or _is_archive(path):
        return Compiled(artifacts.read(path))
    return from_yaml.load(path)


def _is_archive(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return False  # the reader of network files says what is wrong


def compile(network: Network | str | Path, target: str = "loihi", **options: Any) -> Compiled:
    """Compile a network for a target: the name of a hardware spec, or the path of one.

    Args:
        network: A network, or its file.
        target: The hardware spec.
        options: Of the target's backend, by name: ``ticks_per_step``, ``extensions`` (names that the spec lists), and its own,
            such as ``compare`` of Loihi's; docs/cli.md says what they do.

    Raises:
        UsageError: The backend has no such option (NC0801).
        UnsupportedError: The target cannot do what the network asks for.
        CapacityError: The network does not fit.
    """
    return Compiled(pipeline.compile_network(*_compilation(network, target, options)))


def check(network: Network | str | Path, target: str = "loihi", **options: Any) -> tuple[Violation, ...]:
    """Return all violations of the first stage that has some; none means that `compile` with these arguments will succeed."""
    return check_stages(network, target, **options).violations


def check_stages(network: Network | str | Path, target: str = "loihi", **options: Any) -> pipeline.Checked:
    """Return how far a network gets, and all violations of the first stage that has some; nothing is emitted."""
    return pipeline.check_network(*_compilation(network, target, options), emits=False)


def _compilation(
    network: Network | str | Path, target: str, options: Mapping[str, Any]
) -> tuple[Network, HardwareSpec, Backend, IntegerSimulator, Options]:
    """Return what the pipeline takes."""
    loaded = _network(network)
    spec = registry.find_spec(target)
    backend = registry.backend(spec.backend)
    return loaded, spec, backend, registry.simulator("reference"), pipeline.options_of(backend, spec, options)


def _network(network: Network | str | Path) -> Network:
    loaded = network if isinstance(network, Network) else load(network)
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
    for name in data:
        if name not in inputs:
            hint = did_you_mean(name, list(inputs))
            raise UsageError(Diagnostic("NC0801", f"--data: '{name}' is not an input population", hint=hint))
    timed = [name for name, e in network.encoders.items() if ENCODERS[e.scheme].timed]
    references = {name: Reference(text) for name, text in data.items()}
    return load_samples(references, Reference(labels) if labels else None, shapes=inputs, timed=timed, folder=Path())


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
    return pipeline.encode_samples(network, samples, first)


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
    if inputs is not None:
        if isinstance(inputs, (str, Path)):
            shapes = {p.name: p.shape for p in network.inputs}
            stimulus = load_stimulus(Path(inputs), shapes, analog=analog_inputs(network))
        else:
            stimulus = _flat(network, inputs)
        return {name: values[:count] for name, values in stimulus.items()}
    if not network.inputs:
        return {}
    if samples is None or not samples.count:
        raise _no_data(what, stored_elsewhere)
    return _encode(network, _take(samples, 0, samples.count if count is None else min(count, samples.count)))


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
            registers += ["u", "v"] if NEURON_MODELS[p.neuron.model].has_current else ["v"]
        for register in registers:
            if p.name not in moved.spikes:
                continue  # a constant analog input, which the host takes in
            values = getattr(moved, register)[p.name]
            if ticks_per_step > 1:
                has_current = p.neuron is not None and NEURON_MODELS[p.neuron.model].has_current
                values = (
                    spikes_per_step(values, ticks_per_step)
                    if register == "spikes"
                    else state_per_step(values, ticks_per_step, has_current)
                )
            arrays[f"{register}/{p.name}"] = values.reshape(*values.shape[:2], *p.shape)
    return arrays


def _recorded(network: Network, probe: str) -> list[str]:
    return list(network.populations) if probe == "all" else [p.name for p in network.outputs]


def run_float(network: Network, stimulus: Stimulus, *, probe: str = "outputs", state: bool = False) -> Run:
    """Run a network in real numbers."""
    from neurocomp.simulation import simulate

    trace = simulate(network, stimulus, record=_recorded(network, probe), state=state)
    return Run("float", _shaped(trace, network, probe, state), trace.events)


def evaluate_network(network: Network, samples: Samples | None = None, count: int | None = None) -> Evaluation:
    """Return the accuracy of a network in real numbers on its declared samples, or on others."""
    samples = samples or network.data.samples
    return _evaluate(network, samples, count, None)


def _evaluate(
    network: Network, samples: Samples | None, count: int | None, compiled: Compiled | None, stored_elsewhere: bool = False
) -> Evaluation:
    if samples is None or not samples.count:
        raise _no_data("evaluate", stored_elsewhere)
    if samples.labels is None:
        hint = "declare 'labels' under 'data', or pass --labels FILE.npz#key"
        raise NetworkError(Diagnostic("NC0212", "evaluate needs labels, and there are none", hint=hint))
    if len(network.decoders) != 1:
        names = ", ".join(network.decoders) or "none"
        hint = "declare 'decode: {POPULATION: {scheme: count}}' for one population"
        raise NetworkError(Diagnostic("NC0212", f"evaluate needs one decoder; the network declares {names}", hint=hint))
    (name, decoder), total = next(iter(network.decoders.items())), samples.count if count is None else min(count, samples.count)
    needs_state = DECODERS[decoder.scheme].reads_potential
    answers: dict[str, list[Array]] = {"float": [], "fixed": []}
    for start, batch in _batches(samples, total):
        stimulus = _encode(network, batch, start)
        runs = {"float": run_float(network, stimulus, state=needs_state)}
        if compiled is not None:
            runs["fixed"] = compiled.run("reference", stimulus, state=needs_state)
        for kind, run in runs.items():
            flat = {key: run.arrays[f"{key}/{name}"].reshape(len(run.arrays[f"spikes/{name}"]), network.ticks, -1)
                    for key in (("spikes", "v") if needs_state else ("spikes",))}  # fmt: skip
            answers[kind].append(decode(decoder, spikes=flat["spikes"], v=flat.get("v")))
    labels = _checked_labels(network, name, samples.labels[:total])
    predictions = {kind: np.concatenate(parts) for kind, parts in answers.items() if parts}
    right = {kind: float((values == labels).mean()) for kind, values in predictions.items()}
    return Evaluation({"float": right.get("float"), "fixed": right.get("fixed")}, total, predictions)


def _checked_labels(network: Network, name: str, labels: Array) -> Array:
    """Return labels (samples,), each the index of a neuron of the decoded population."""
    size = network.populations[name].size
    outside = (labels < 0) | (labels >= size)
    if outside.any():
        message = f"label {labels[outside][0]} lies outside 0..{size - 1}, the neurons of '{name}'"
        raise NetworkError(Diagnostic("NC0210", message, hint="a label is the index of the neuron that should win"))
    return labels


def _batches(samples: Samples, total: int) -> Iterator[tuple[int, Samples]]:
    for start in range(0, total, BATCH):
        yield start, _take(samples, start, min(start + BATCH, total))


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A compiled network: what `compile` returns, and `load` of an artifact."""

    artifact: Artifact

    @property
    def network(self) -> Network:
        """The user's network."""
        return self.artifact.network

    @property
    def extensions(self) -> tuple[str, ...]:
        """What the chip does not do and was allowed nevertheless; every output says so."""
        return self.artifact.lowered.extensions

    @property
    def ticks_per_step(self) -> int:
        """Ticks of the chip per tick of the network."""
        return int(self.artifact.options.get("ticks_per_step", 1))

    def _on_chip(self, stimulus: Mapping[str, Array]) -> dict[str, Array]:
        """Return a stimulus in ticks of the chip, with what the host computes of constant analog inputs."""
        made = with_currents(stimulus, self.artifact.quantized.currents.values())
        return {name: stretched(values, self.ticks_per_step) for name, values in made.items()}

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
        declared = samples or self.artifact.samples
        stimulus = stimulus_of(self.network, inputs, declared, count, what, stored_elsewhere=self._stored_elsewhere)
        lowered, analog = self.artifact.lowered.network, analog_inputs(self.network)
        for name, values in stimulus.items():
            if name in analog or lowered.populations[name].dynamics == "current":
                _constant(name, values)
                continue
            if any(q.source == name and not q.binary for q in lowered.projections):
                continue
            wrong = (values != 0) & (values != 1)
            if wrong.any():
                bad = values[wrong].flat[0]
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
        if engine == "fast":
            raise _no_fast_engine()
        if engine == "chip":
            registry.backend(self.artifact.spec.backend).chip_simulator()
        witness = self.witnesses().get(engine)
        reason = witness.unavailable(self.artifact.lowered) if witness else None
        if reason is not None:
            raise EngineUnavailable(Diagnostic("NC0320", f"engine '{engine}' is not available: {reason}"))

    def _has_chip(self) -> bool:
        try:
            self.require("chip")
        except EngineUnavailable:
            return False
        return True

    def run(
        self,
        engine: str = "reference",
        inputs: str | Path | Mapping[str, Array] | None = None,
        *,
        samples: Samples | None = None,
        count: int | None = None,
        probe: str = "outputs",
        state: bool = False,
        stage: str = "lowered",
    ) -> Run:
        """Simulate.

        Args:
            engine: ``float``, ``reference``, ``chip``, ``lava``.
            inputs: X.npz or its arrays, what comes out of the encoder, (samples, ticks, *shape) integers per input population.
            samples: Raw data for the encoder instead; None: the declared ones.
            count: At most so many samples.
            probe: ``outputs``, or ``all`` populations of the network.
            state: Whether u and v are returned too.
            stage: ``lowered``, what the chip executes; or ``quantized``, for the reference alone.
        """
        self.require(engine)
        for what, value, known in (("stage", stage, ("lowered", "quantized")), ("probe", probe, ("outputs", "all"))):
            if value not in known:
                raise UsageError(Diagnostic("NC0801", f"there is no {what} '{value}'", hint=did_you_mean(value, known)))
        if stage == "quantized" and engine != "reference":
            message = f"engine '{engine}' does not execute the quantized network"
            raise UsageError(Diagnostic("NC0801", message, hint="use --engine reference, or --stage lowered"))
        stimulus = self.stimulus(inputs, samples, count)
        if engine == "float":
            return run_float(self.network, stimulus, probe=probe, state=state)
        stimulus = self._on_chip(stimulus)
        lowered = self.artifact.lowered
        record = [name for name in _recorded(self.network, probe) if name in lowered.network.populations]
        if engine == "chip":
            trace = registry.backend(self.artifact.spec.backend).chip_simulator().run(
                self.artifact.program, stimulus, record=record, state=state
            )  # fmt: skip
        elif engine == "reference":
            reference = registry.simulator("reference")
            if stage == "quantized":
                trace = reference.run(self.artifact.quantized.network, stimulus, record=record, state=state)
            else:
                trace = reference.run(lowered.network, stimulus, lag=lowered.lag, record=record, state=state)
        else:
            trace = self.witnesses()[engine].run(lowered, stimulus, record=record, state=state)
        return Run(engine, _shaped(trace, self.network, probe, state, self.ticks_per_step), trace.events)

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
            engines: Names; None: all that are available, the others are listed as skipped. The reference always runs.
            inputs: See `run`; without inputs and declared samples, random spikes.
            samples: See `run`.
            count: At most so many samples; None: all of ``inputs``, or `DEFAULT_SAMPLES` of the declared ones.
            inject: (``weight``, ``delay``, ``target`` or ``threshold``; seed): corrupt one table entry of the program first.

        Raises:
            EngineUnavailable: An engine asked for by name is not there, or none but the reference is.
            UsageError: ``engines`` names none to compare the reference with.
        """
        chosen = list(engines) if engines is not None else ["reference", "chip", *self.witnesses()]
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
                skipped[engine] = error.diagnostics[0].message.removeprefix(f"engine '{engine}' is not available: ")
                chosen.remove(engine)
        if not set(chosen) - {"reference"} and (engines is None or not self._has_chip()):
            target = self.artifact.spec.name
            message = f"verify compares simulations, and there is no second one yet of what '{target}' executes"
            also = "; ".join(f"{engine}: {why}" for engine, why in skipped.items())
            hint = "compile for a chip to have a proof: neurocomp compile NET --target loihi"
            raise EngineUnavailable(Diagnostic("NC0320", message, also=also or None, hint=hint))
        if not set(chosen) - {"reference"}:
            message = "verify needs an engine to compare the reference with"
            raise UsageError(Diagnostic("NC0801", message, hint="add chip or lava to --engines"))
        if inject is not None and "chip" not in chosen:
            message = "--inject corrupts the program, which only the chip simulation executes"
            raise UsageError(Diagnostic("NC0801", message, hint="add chip to --engines"))
        backend = registry.backend(self.artifact.spec.backend)
        if inputs is None and samples is None and self.artifact.samples is None and not self._stored_elsewhere:
            stimulus = self.random_stimulus(count or DEFAULT_SAMPLES)
        else:
            default = None if inputs is not None else DEFAULT_SAMPLES
            stimulus = self.stimulus(inputs, samples, default if count is None else count, "verify")
        known = self.witnesses()
        return verify(
            self.artifact, self._on_chip(stimulus), backend=backend, reference=registry.simulator("reference"),
            witnesses=[known[engine] for engine in chosen if engine in known], chip="chip" in chosen,
            skipped=skipped, inject=inject,
        )  # fmt: skip

    def evaluate(self, *, samples: Samples | None = None, count: int | None = None) -> Evaluation:
        """Return accuracies of the float and of the lowered fixed-point network on the declared samples, or on others."""
        return _evaluate(self.network, samples or self.artifact.samples, count, self, self._stored_elsewhere)

    def report(
        self, *, samples: Samples | None = None, count: int | None = None, costs: str | None = None,
        inputs: str | Path | Mapping[str, Array] | None = None,
    ) -> Report:  # fmt: skip
        """Count events on declared samples (at most ``count``, default `DEFAULT_SAMPLES`) and estimate their energy."""
        default = None if inputs is not None else DEFAULT_SAMPLES
        stimulus = self.stimulus(inputs, samples, default if count is None else count, "report")
        lowered, k = self.artifact.lowered, self.ticks_per_step
        trace = registry.simulator("reference").run(lowered.network, self._on_chip(stimulus), lag=lowered.lag)
        counts = count_events(trace, self.artifact.mapped, self.artifact.spec)
        energy = estimate(counts, self.artifact.spec, self.network.timestep / k, costs)
        labels = None if inputs is not None else (samples or self.artifact.samples or Samples({})).labels
        accuracy = None
        if labels is not None and len(self.network.decoders) == 1:
            (name, decoder), shaped = (
                next(iter(self.network.decoders.items())),
                _shaped(trace, self.network, "outputs", True, k),
            )
            spikes, v = (shaped[f"{key}/{name}"].reshape(*shaped[f"{key}/{name}"].shape[:2], -1) for key in ("spikes", "v"))
            answers = decode(decoder, spikes=spikes, v=v)
            accuracy = float((answers == _checked_labels(self.network, name, labels[: len(answers)])).mean())
        made = self.artifact
        macs = sum(current.macs for current in made.quantized.currents.values())
        return Report(self.network, made.mapped, made.spec, counts, energy, self.utilization(), accuracy, k, macs)

    def export_integers(self, path: str | Path, stage: str = "lowered") -> dict[str, Array]:
        """Write every integer parameter and connection to an .npz, docs/integers.md lists its keys; return the arrays.

        Args:
            path: The file to write.
            stage: ``lowered``, what the chip executes, with places; or ``quantized``.
        """
        from neurocomp.frontends import to_integers

        if stage == "quantized":
            arrays = to_integers.from_quantized(self.artifact.quantized)
        else:
            arrays = to_integers.from_mapped(self.artifact.mapped)
        arrays |= to_integers.host_layers(self.artifact.quantized)
        write_npz(Path(path), arrays)
        return arrays

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


def _constant(name: str, values: Array) -> None:
    """Refuse a direct current that changes within a sample: the host writes it once per sample."""
    changed = (values != values[:, :1]).any(axis=(0, 2))
    if changed.any():
        message = f"the current of '{name}' changes within a sample, first in tick {int(np.flatnonzero(changed)[0])}"
        raise UnsupportedError(
            Diagnostic("NC0319", message, hint="give one value per sample and neuron, or encode it as spikes")
        )


def _no_fast_engine() -> EngineUnavailable:
    message = "engine 'fast' is not available: this version of neurocomp has no fast engine yet"
    return EngineUnavailable(Diagnostic("NC0320", message, hint="use --engine reference; results are the same by definition"))
