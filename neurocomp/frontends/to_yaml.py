"""A `Network` becomes net.yaml with its arrays beside it, which load to the same network again."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.data.whole_file import whole_file
from neurocomp.errors import Diagnostic, UnsupportedError, UsageError
from neurocomp.frontends.vocabulary import MEMBRANE_AXES, WORD_AXES
from neurocomp.ir.network import Learning, Network, Neuron, Population, Projection, Samples, Stage
from neurocomp.models.learning import LEARNING_RULES
from neurocomp.models.neurons import NATIVE_FORMATS, NEURON_MODELS
from neurocomp.models.patterns import PATTERNS, Shape

Array = NDArray[Any]

HEAD = "# neurocomp import"
WEIGHTS, DATA = "weights.npz", "data.npz"


def write(network: Network, folder: Path, source: str) -> list[Path]:
    """Write ``net.yaml``, ``weights.npz`` and, where there are samples, ``data.npz``.

    Args:
        network: What to write. Its choices stand at the head of the file, and every axis is said in full.
        folder: Where to; it is made.
        source: Name of the file that the network comes from.

    Returns:
        The files, the network file first.

    Raises:
        UsageError: The folder holds something else (NC0801).
        UnsupportedError: A shape within a chain of patterns that the file has no word for (NC0342).
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(Diagnostic("NC0801", f"'{folder}' is a file", hint="name a folder, such as -o net/"))
    if folder.is_dir() and any(folder.iterdir()):
        old = folder / "net.yaml"
        if not old.is_file() or not old.read_bytes().startswith(HEAD.encode()):
            message = f"the folder '{folder}' is not empty, and nothing of an import is in it; it is not written to"
            raise UsageError(Diagnostic("NC0801", message, hint="choose another name with -o"))
    writer = _Writer(network)
    text = "\n".join(writer.lines(source)) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "net.yaml"]
    for name, arrays in ((WEIGHTS, writer.arrays), (DATA, writer.data)):
        if arrays:
            files.append(folder / name)
            _write_arrays(folder / name, arrays)
    with whole_file(files[0]) as file:
        file.write(text.encode("utf-8"))
    return files


def _write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an .npz whose members can be mapped into memory; the same arrays give the same bytes."""
    with whole_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)


class _Writer:
    """Writes one network as lines, and collects its arrays."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.arrays: dict[str, Array] = {}
        self.data: dict[str, Array] = {}

    def lines(self, source: str) -> Iterator[str]:
        """Yield the lines of net.yaml."""
        network = self.network
        yield f"{HEAD} {source}"
        if network.choices:
            yield "# what the file left open, and what it was taken for:"
        for choice in network.choices:
            yield f"#   {' '.join(f'{choice.subject}: {choice.axis} {choice.value} ({choice.origin})'.split())}"
        yield "neurocomp: 1"
        yield f"name: {json.dumps(network.name)}"
        yield f"timestep: {_number(network.timestep)} s"
        yield f"ticks: {network.ticks}"
        yield "populations:"
        for population in network.populations.values():
            yield f"  {json.dumps(population.name)}: {_flow(self.population(population))}"
        yield "projections:" if network.projections else "projections: []"
        for q in network.projections:
            yield f"  - {_flow(self.projection(q))}"
        for title, table in (("encode", network.encoders), ("decode", network.decoders)):
            if table:
                yield f"{title}:"
            for name, entry in table.items():
                yield f"  {json.dumps(name)}: {_flow({'scheme': entry.scheme, **entry.options})}"
        data = self.samples()
        if data:
            yield f"data: {_flow(data)}"

    def population(self, population: Population) -> dict[str, Any]:
        """Return the entry of a population."""
        if population.neuron is None:
            return {"kind": "input", "shape": list(population.shape)}
        return {"shape": list(population.shape), "neuron": self.neuron(population.name, population.neuron)}

    def neuron(self, name: str, neuron: Neuron) -> dict[str, Any]:
        """Return the entry of a neuron, with every axis that it has."""
        model, s, native = NEURON_MODELS[neuron.model], neuron.semantics, neuron.number_format is not None
        entry: dict[str, Any] = {"model": neuron.model}
        if native and neuron.model not in NATIVE_FORMATS:
            entry["format"] = neuron.number_format
        for key, value in neuron.parameters.items():
            if value.ndim:
                entry[key] = self.reference(f"{name}.{key}", value)
            elif native:
                entry[key] = int(value)
            else:
                timed = model.parameters[key].unit == "s"
                entry[key] = _Plain(f"{_number(float(value))} s") if timed else float(value)
        for axis in WORD_AXES:
            if native and axis in MEMBRANE_AXES:
                continue
            word = getattr(s, axis)
            if word in model.axes.get(axis, WORD_AXES[axis]):
                entry[axis] = {"value": s.reset_value} if axis == "reset" and word == "value" else word
        if s.refractory:
            entry["refractory"] = s.refractory
        if s.v_floor is not None:
            entry["v_floor"] = s.v_floor
        if s.reset_interval is not None:
            entry["reset_every"] = {"interval": s.reset_interval, "offset": s.reset_offset}
        return entry

    def projection(self, q: Projection) -> dict[str, Any]:
        """Return the entry of a projection."""
        shape = self.network.populations[q.source].shape
        target = self.network.populations[q.target].shape
        patterns: list[Any] = []
        stages = (*q.before, Stage(q.pattern, q.weights, target))
        for number, stage in enumerate(stages):
            kind, options = PATTERNS[stage.pattern.kind], stage.pattern.options
            table: dict[str, Any] = {}
            for key, array in stage.pattern.arrays.items():
                table[key] = self.reference(f"{q.name}.{number}.{key}", array)
            table |= {key: list(values) if len(values) > 1 else values[0] for key, values in options.items()}
            if stage.weights.ndim:
                table["weights"] = self.reference(f"{q.name}.{number}" if len(stages) > 1 else q.name, stage.weights)
            elif stage.weights != 1:
                table["weights"] = stage.weights.item()
            made = target if number == len(stages) - 1 else kind.output_shape(stage.pattern, shape, stage.weights.shape)
            if made != stage.shape:
                raise self.unspoken(q, stage, made)
            patterns.append({stage.pattern.kind: table} if table else stage.pattern.kind)
            shape = stage.shape
        entry: dict[str, Any] = {"name": q.name, "from": q.source, "to": q.target}
        if not _is_default_name(q):
            entry["name"] = q.name
        else:
            del entry["name"]
        entry["pattern"] = patterns[0] if len(patterns) == 1 else patterns
        if q.bias is not None:
            entry["bias"] = self.reference(f"{q.name}.bias", q.bias)
        entry["delay"] = self.reference(f"{q.name}.delay", q.delay) if q.delay.ndim else int(q.delay)
        if q.native is not None:
            entry |= {"weight_exp": q.native.weight_exp, "weight_bits": q.native.weight_bits}
            entry |= {} if q.native.sign_mode is None else {"sign": q.native.sign_mode}
        if q.learning is not None:
            entry["learn"] = self.learning(q.learning)
        return entry

    def learning(self, learning: Learning) -> dict[str, Any]:
        """Return what a projection says about its learning."""
        parameters = LEARNING_RULES[learning.rule].parameters
        entry: dict[str, Any] = {"rule": learning.rule}
        for key, value in learning.parameters.items():
            timed = key in parameters and parameters[key].unit == "s"
            if not (timed and value == 0.0):
                entry[key] = _Plain(f"{_number(float(value))} s") if timed else value
        if learning.modulators:
            entry["modulator"] = list(learning.modulators)
        return {**entry, "epoch": learning.epoch, "seed": learning.seed, "across_samples": learning.across_samples}

    def unspoken(self, q: Projection, stage: Stage, made: Shape | None) -> UnsupportedError:
        """Return the error for a shape that does not follow from the patterns."""
        message = f"projection '{q.name}': '{stage.pattern.kind}' makes {stage.shape}, where net.yaml makes {made}"
        hint = "compile the file itself, which needs no net.yaml"
        return UnsupportedError(Diagnostic("NC0342", message, q.origin, hint=hint))

    def reference(self, key: str, array: Array) -> str:
        """Return the reference of an array that is put beside the file."""
        name, number = key.replace("->", "-"), 2
        while name in self.arrays:
            name, number = f"{key.replace('->', '-')}_{number}", number + 1
        self.arrays[name] = array
        return f"{WEIGHTS}#{name}"

    def samples(self) -> dict[str, Any]:
        """Return the entry of the data."""
        data = self.network.data
        entry: dict[str, Any] = {}
        for title, samples in (("inputs", data.samples), ("calibration", data.calibration)):
            if samples is not None:
                entry[title] = self.of_samples(title, samples)
        if data.samples is not None and data.samples.labels is not None:
            self.data["labels"] = data.samples.labels
            entry["labels"] = f"{DATA}#labels"
        return {**entry, "scale": data.scale} if entry and data.scale != 1.0 else entry

    def of_samples(self, title: str, samples: Samples) -> dict[str, str]:
        """Return references to the data of inputs."""
        for name, values in samples.inputs.items():
            self.data[f"{title}.{name}"] = values
        return {name: f"{DATA}#{title}.{name}" for name in samples.inputs}


class _Plain(str):
    """Text that needs no quotes."""


def _is_default_name(q: Projection) -> bool:
    return q.name == f"{q.source}->{q.target}" or q.name.startswith(f"{q.source}->{q.target}#")


def _number(value: float) -> str:
    """Return a number as YAML 1.1 reads it: with a point wherever there is an exponent."""
    if np.isinf(value):
        return "-.inf" if value < 0 else ".inf"
    mantissa, e, exponent = repr(value).partition("e")
    return mantissa if not e else f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent}"


def _flow(value: Any) -> str:
    """Return a value in YAML's flow style."""
    if isinstance(value, Mapping):
        return (
            "{"
            + ", ".join(
                f"{json.dumps(key) if not key.isidentifier() or key in _WORDS else key}: {_flow(entry)}"
                for key, entry in value.items()
            )
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, _Plain):
        return str(value)
    if isinstance(value, str):
        return value if value.isidentifier() and value not in _WORDS else json.dumps(value)
    if isinstance(value, float):
        return _number(value)
    return str(value)


_WORDS = {
    word
    for lower in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
    for word in (lower, lower.upper(), lower.title())
}
"""Names that YAML 1.1 takes for something else."""
