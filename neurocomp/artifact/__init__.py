"""The artifact: every stage of one compilation in one reproducible file. docs/artifact.md describes the format."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NoReturn

from neurocomp.artifact import arrays, bounds, container
from neurocomp.artifact.codec import Array, Codec, Malformed
from neurocomp.data.whole_file import whole_file
from neurocomp.errors import ArtifactError, Diagnostic, broken_invariant
from neurocomp.hardware import HardwareSpec, load_spec
from neurocomp.ir.crossbars import verify_crossbars
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.network import Data, Network, Samples
from neurocomp.ir.program import Program
from neurocomp.ir.quantized import QuantizedNetwork

FORMAT = 5
"""Version of the file format; another one is refused."""
EMBED_LIMIT = 64_000_000
"""Bytes up to which the declared samples are stored, not only their digest."""
READ_LIMIT = 4 << 30
"""Bytes of the largest file that `read` takes unless it is told to take more."""
JSON_LIMIT = 256 << 20
SPEC_LIMIT = 1 << 18

MANIFEST = "manifest.json"
COMPILATION = "compilation.json"
SPEC = "spec.yaml"
STAGES: dict[str, Any] = {
    "network.json": Network,
    "quantized.json": QuantizedNetwork | None,
    "lowered.json": LoweredNetwork,
    "mapped.json": MappedNetwork,
    "program.json": Program,
    "samples.json": Samples | None,
}
_ARRAY_NAME = re.compile(r"arrays/([0-9a-f]{64})\.npy")

Chunks = tuple[container.Chunk, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """What one compilation made, from the user's network to the bytes for the chip.

    Calibration data is used while compiling and not kept; a network that was read back holds none, and its locations hold no
    source text.
    """

    network: Network
    """The user's; of an import only its interface: inputs, and the populations that are read."""
    quantized: QuantizedNetwork | None
    """None: the lowered network was imported from another tool."""
    lowered: LoweredNetwork
    mapped: MappedNetwork
    program: Program
    spec: HardwareSpec
    options: Mapping[str, Any] = field(default_factory=dict)
    """How it was compiled, as plain numbers, words, lists and mappings: the target, and the backend's options."""
    notes: tuple[str, ...] = ()
    """What each pass changed, as printed."""
    samples: Samples | None = None
    """The declared samples, as the file holds them; None where there are none or more than `EMBED_LIMIT` bytes of them."""
    samples_digest: str | None = None
    """`samples_digest` of the declared samples, also where they are not stored."""
    version: str = ""
    """The version of neurocomp that compiled it."""

    @property
    def integers(self) -> QuantizedNetwork:
        """The integers before lowering, of an artifact that was compiled.

        Raises:
            InternalError: It was imported.
        """
        if self.quantized is None:
            raise broken_invariant("the artifact", "what was compiled has a quantized network")
        return self.quantized

    def verify(self) -> Artifact:
        """Re-derive what each stage claims, and that the stages belong together; return the artifact.

        Raises:
            NetworkError: The network itself is invalid.
            InternalError: A later stage broke an invariant.
        """
        for stage in (self.quantized, self.lowered):
            if stage is not None and stage.network.number_format != self.spec.number_format:
                raise broken_invariant("the artifact", "all stages have the number format of the spec")
        self.network.verify()
        if self.quantized is not None:
            self.quantized.verify()
        delays = {q.name: q.delay for q in self.quantized.network.projections} if self.quantized is not None else {}
        axons, neurons, delay = (self.spec.limit(name) for name in ("input_axons", "neurons", "delay"))
        self.lowered.verify(delays, delay, self.spec.hop_ticks)
        if self.lowered.network.crossbars:
            # What the bits make up is derived anew by compilation alone: it takes as long as lowering.
            verify_crossbars(self.lowered, None, max_axons=axons, max_neurons=neurons, max_delay=delay)
        self.mapped.verify(self.spec)
        self.program.verify()
        self._verify_links()
        return self

    def _verify_links(self) -> None:
        def claim(truth: bool, what: str) -> None:
            if not truth:
                raise broken_invariant("the artifact", what)

        lowered, program = self.lowered.network, self.program
        logical: Mapping[str, Any] = self.network.populations
        if self.quantized is not None:
            logical = self.quantized.network.populations
            claim(self.quantized.network.ticks == lowered.ticks, "all stages have the same ticks")
        else:
            claim(set(self.lowered.map) == set(logical), "what is fed and read is in the lowered network")
        claim(self.mapped.lowered is self.lowered, "the mapped network maps the lowered one")
        claim(self.program.backend == self.spec.backend, "the program and the spec belong to one backend")
        claim(program.ticks == lowered.ticks, "all stages have the same ticks")
        claim(set(self.lowered.map) <= set(logical), "the map starts at the user's populations")
        for name, representative in self.lowered.map.items():
            size = lowered.populations[representative.population].size
            size = size if representative.neurons is None else len(representative.neurons)
            claim(logical[name].size == size, f"'{name}' keeps its size")
        for name, symbol in program.populations.items():
            claim(lowered.populations[name].shape == symbol.shape, f"'{name}' has one shape in program and lowered network")
            claim(self.lowered.lag[name] == symbol.lag, f"'{name}' has one lag in program and lowered network")
        for name, source in program.inputs.items():
            claim(lowered.populations[name].shape == source.shape, f"input '{name}' has one shape in program and network")
        for table in (program.axons, program.pulses, program.outputs):
            for name, place in table.items():
                claim(name in lowered.populations, f"'{name}' of the program is in the lowered network")
                claim(lowered.populations[name].shape == place.shape, f"'{name}' has one shape in program and lowered network")
        for name, current in program.currents.items():
            claim(lowered.populations[name].shape == current.shape, f"current '{name}' has one shape in program and network")
        if self.samples is not None:
            inputs = {population.name for population in self.network.inputs}
            claim(set(self.samples.inputs) <= inputs, "samples belong to input populations")


@dataclass(frozen=True, slots=True, eq=False)
class _Compilation:
    """The rest of an artifact, beside its stages."""

    options: Mapping[str, Any]
    notes: tuple[str, ...]
    samples_digest: str | None
    spec_file: str


def samples_digest(samples: Samples) -> str:
    """Return the SHA-256 that names samples: it depends on names, dtypes, shapes and values alone."""
    members = {f"inputs/{name}": values for name, values in samples.inputs.items()}
    if samples.labels is not None:
        members["labels"] = samples.labels
    listing = [[name, _sha256(arrays.chunks(members[name]))] for name in sorted(members)]
    return hashlib.sha256(_json(listing)).hexdigest()


# --- writing


def write(artifact: Artifact, path: Path) -> str:
    """Write an artifact so that ``path`` holds either the whole of it or what it held before.

    The bytes depend on the artifact alone: not on the folder, the time, the user, or the versions of Python and numpy.

    Args:
        artifact: What to write.
        path: The file; one that exists is replaced.

    Returns:
        The artifact's digest: the SHA-256 of the listing of its members, which its manifest holds too.

    Raises:
        UsageError: The file cannot be written there (NC0801).
        InternalError: A stage holds a value that its type does not allow.
    """
    members, digest = _members_of(artifact)
    with whole_file(path) as file:
        container.pack(file, members)
    return digest


def stored_digest(path: Path) -> str | None:
    """Return the digest that a file says it has, unchecked; None: it is no artifact that can be read."""
    try:
        with path.open("rb") as file:
            name, manifest = next(container.unpack(file, path.stat().st_size))
        digest = json.loads(manifest)["digest"] if name == MANIFEST else None
    except (OSError, ValueError, KeyError, TypeError, StopIteration, container.Foreign, container.Damaged):
        return None
    return digest if isinstance(digest, str) else None


def digests_of(artifact: Artifact) -> dict[str, str]:
    """Return the digests of an artifact and of what a number can depend on: artifact, network, weights, spec."""
    members, digest = _members_of(artifact)
    listing = json.loads(members[0][1][0])["members"]
    named = [name for name in listing if name.startswith("arrays/")]
    return {
        "artifact": digest,
        "network": listing["network.json"]["sha256"],
        "weights": hashlib.sha256(_json(named)).hexdigest(),
        "spec": listing[SPEC]["sha256"],
    }


def _members_of(artifact: Artifact) -> tuple[list[tuple[str, Chunks]], str]:
    """Return the members in the order of the file, manifest first, and the digest."""
    stored: dict[str, Chunks] = {}

    def store(array: Array) -> str:
        chunks = arrays.chunks(array)
        digest = _sha256(chunks)
        stored[digest] = chunks
        return digest

    samples, digest_of_samples = artifact.samples, artifact.samples_digest
    if samples is not None:
        digest_of_samples = samples_digest(samples)
        if sum(values.nbytes for values in (*samples.inputs.values(), samples.labels) if values is not None) > EMBED_LIMIT:
            samples = None
    stages: dict[str, Any] = {
        "network.json": replace(artifact.network, data=Data(scale=artifact.network.data.scale)),
        "quantized.json": artifact.quantized,
        "lowered.json": artifact.lowered,
        "mapped.json": artifact.mapped,
        "program.json": artifact.program,
        "samples.json": samples,
    }
    compilation = _Compilation(artifact.options, artifact.notes, digest_of_samples, artifact.spec.file)
    codec = Codec(store, lambda name: None)
    sharing = replace(codec, shared={LoweredNetwork: artifact.lowered})
    documents: dict[str, Chunks] = {}
    try:
        for name, value in stages.items():
            encoder = sharing if name == "mapped.json" else codec
            documents[name] = (_json(encoder.encode(value, STAGES[name], name.removesuffix(".json"))),)
        documents[COMPILATION] = (_json(codec.encode(compilation, _Compilation, "compilation")),)
    except (Malformed, arrays.MalformedArray) as error:
        raise broken_invariant("the artifact", str(error)) from error
    documents[SPEC] = (artifact.spec.text.encode("utf-8"),)
    members = [*documents.items(), *((f"arrays/{digest}.npy", stored[digest]) for digest in sorted(stored))]
    listing = {name: {"sha256": _sha256(chunks), "size": sum(len(c) for c in chunks)} for name, chunks in members}
    manifest = _manifest(artifact.version, listing)
    return [(MANIFEST, (_json(manifest, indent=1),)), *members], manifest["digest"]


def _manifest(version: str, listing: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    head = {"format": FORMAT, "neurocomp": version}
    digest = hashlib.sha256(_json([head, list(listing.items())])).hexdigest()
    return {**head, "digest": digest, "members": dict(listing)}


def _json(value: Any, indent: int | None = None) -> bytes:
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(value, indent=indent, separators=separators, allow_nan=False).encode("ascii") + b"\n"


def _sha256(chunks: Sequence[container.Chunk]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


# --- reading


def read(path: Path, *, limit: int = READ_LIMIT) -> Artifact:
    """Read an artifact, also one from a stranger: no code of the file runs, nothing is taken on trust.

    Args:
        path: The file.
        limit: Bytes of the largest file to take into memory.

    Raises:
        ArtifactError: There is no such file (NC0101), it is something else (NC0601), damaged (NC0602), with
            programs of neurons that are not installed (NC0208), or of another
            version of the format (NC0603).
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ArtifactError(Diagnostic("NC0101", f"'{path}' is not a file"))
        if size > limit:
            message = f"'{path}' has {size} bytes, more than the {limit} that are read"
            raise ArtifactError(Diagnostic("NC0602", message, hint="raise the limit if you trust its origin"))
        with path.open("rb") as file:
            version, contents = _read_members(file, size, path)
    except FileNotFoundError:
        raise ArtifactError(Diagnostic("NC0101", f"there is no file '{path}'")) from None
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise ArtifactError(Diagnostic("NC0101", f"cannot read '{path}': {reason}")) from None
    try:
        return _intact(version, contents, size)
    except Malformed as error:
        _damaged(path, str(error))
    except Exception as error:  # whatever a stranger's values break in a check is a fault of the file
        problem = getattr(error, "diagnostics", None)
        if problem and problem[0].code == "NC0208" and "neuron model" in problem[0].message:
            hint = "install the package that registers it: an artifact names programs of neurons, and does not hold them"
            raise ArtifactError(
                Diagnostic("NC0208", f"'{path}' needs more than is here: {problem[0].message}", hint=hint)
            ) from None
        _damaged(path, problem[0].message if problem else f"its stages contradict each other ({type(error).__name__}: {error})")


def _intact(version: str, contents: Mapping[str, bytes], size: int) -> Artifact:
    """Return the artifact of the members of a file of ``size`` bytes after every check, cheap ones first."""
    artifact = _decode(version, contents, bounds.referenced(size))
    bounds.check(artifact.lowered.network, artifact.mapped, size)
    return artifact.verify()


def _damaged(path: Path, what: str) -> NoReturn:
    message = f"'{path}' is damaged: {what}"
    raise ArtifactError(Diagnostic("NC0602", message, hint="copy the file again, or compile the network again"))


def _foreign(path: Path, what: str) -> NoReturn:
    hint = "make one with 'neurocomp compile NET --target T -o OUT.ncz'"
    raise ArtifactError(Diagnostic("NC0601", f"'{path}' is not an artifact of neurocomp: {what}", hint=hint))


def _read_members(file: IO[bytes], size: int, path: Path) -> tuple[str, dict[str, bytes]]:
    """Return the version that compiled the artifact, and the content of every member that the manifest lists."""
    if size == 0:
        _foreign(path, "it is empty")
    contents: dict[str, bytes] = {}
    members = container.unpack(file, size)
    try:
        name, manifest = next(members)
        if name != MANIFEST:
            _foreign(path, f"it is a zip that starts with '{name}', not with {MANIFEST}")
        version, listing = _read_manifest(manifest, path)
        expected = iter(listing.items())
        for name, content in members:
            expected_name, properties = next(expected, (None, None))
            if name != expected_name:
                _damaged(path, f"its manifest does not list '{name}' at this place")
            if properties != {"sha256": _sha256([content]), "size": len(content)}:
                _damaged(path, f"the digest of its member '{name}' does not match its manifest")
            contents[name] = content
    except container.Foreign:
        _foreign(path, "it is not a zip")
    except container.Damaged as error:
        _damaged(path, str(error))
    missing = next(expected, None)
    if missing is not None:
        _damaged(path, f"its member '{missing[0]}' is missing")
    return version, contents


def _read_manifest(content: bytes, path: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return the version and the listing of a manifest whose form, names and digest are right."""
    try:
        manifest = _parse_json(content, MANIFEST)
    except Malformed as error:
        _damaged(path, str(error))
    if not isinstance(manifest, dict) or "format" not in manifest or "neurocomp" not in manifest:
        _foreign(path, f"its {MANIFEST} is that of something else")
    if manifest["format"] != FORMAT:
        message = f"'{path}' has the format version {manifest['format']!r}; this neurocomp reads version {FORMAT}"
        compiled_by = f"it was compiled by neurocomp {manifest['neurocomp']}: use that version, or compile the network again"
        raise ArtifactError(Diagnostic("NC0603", message, hint=compiled_by))
    version, listing = manifest["neurocomp"], manifest.get("members")
    if not isinstance(version, str) or not isinstance(listing, dict):
        _damaged(path, f"its {MANIFEST} lists no members")
    if manifest != _manifest(version, listing):
        _damaged(path, f"its {MANIFEST} does not match its digest")
    documents = [*STAGES, COMPILATION, SPEC]
    names = list(listing)
    stored = names[len(documents) :]
    if names[: len(documents)] != documents or stored != sorted(stored) or not all(map(_ARRAY_NAME.fullmatch, stored)):
        _damaged(path, f"its {MANIFEST} lists other members than an artifact has")
    return version, listing


def _parse_json(content: bytes, name: str) -> Any:
    """Return a JSON document in which no key stands twice.

    Raises:
        Malformed: It is larger than `JSON_LIMIT` or not such a document.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise ValueError("a key stands twice")
        return table

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    if len(content) > JSON_LIMIT:
        raise Malformed(name, f"at most {JSON_LIMIT} bytes long")
    try:
        return json.loads(content.decode("ascii"), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise Malformed(name, "JSON of the expected form") from None


def _decode(version: str, contents: Mapping[str, bytes], most: int) -> Artifact:
    """Make the stages from the members of an artifact, whose arrays hold at most ``most`` bytes, counted wherever one stands.

    Raises:
        Malformed: A member does not have the form of what it stands for.
        NeurocompError: The spec is invalid.
    """
    stored: dict[str, Array] = {}
    for name, content in contents.items():
        match = _ARRAY_NAME.fullmatch(name)
        if match is None:
            continue
        try:
            stored[match[1]] = arrays.parse(content)
        except arrays.MalformedArray as error:
            raise Malformed(name, f"an array: {error}") from None
        if match[1] != _sha256([content]):
            raise Malformed(name, "named by its digest")
    unused = set(stored)
    left = most

    def fetch(name: str) -> Array | None:
        nonlocal left
        unused.discard(name)
        array = stored.get(name)
        left -= array.nbytes if array is not None else 0
        if left < 0:
            raise Malformed(f"arrays/{name}.npy", "within the bytes that an artifact of this size names")
        return array

    codec = Codec(_no_store, fetch)

    def stage(name: str, decoder: Codec = codec) -> Any:
        return decoder.decode(_parse_json(contents[name], name), STAGES[name], name.removesuffix(".json"))

    network: Network = stage("network.json")
    lowered: LoweredNetwork = stage("lowered.json")
    samples: Samples | None = stage("samples.json")
    rest: _Compilation = codec.decode(_parse_json(contents[COMPILATION], COMPILATION), _Compilation, "compilation")
    if samples is not None and rest.samples_digest != samples_digest(samples):
        raise Malformed("compilation.samples_digest", "the digest of the stored samples")
    artifact = Artifact(
        network=replace(network, data=replace(network.data, samples=samples)),
        quantized=stage("quantized.json"),
        lowered=lowered,
        mapped=stage("mapped.json", replace(codec, shared={LoweredNetwork: lowered})),
        program=stage("program.json"),
        spec=_decode_spec(contents[SPEC], rest.spec_file),
        options=rest.options,
        notes=rest.notes,
        samples=samples,
        samples_digest=rest.samples_digest,
        version=version,
    )
    if unused:
        raise Malformed(f"arrays/{min(unused)}.npy", "used by any stage")
    return artifact


def _decode_spec(content: bytes, file: str) -> HardwareSpec:
    if len(content) > SPEC_LIMIT:
        raise Malformed(SPEC, f"at most {SPEC_LIMIT} bytes long")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed(SPEC, "UTF-8") from None
    return load_spec(text, file)


def _no_store(array: Array) -> str:
    raise AssertionError("reading stores nothing")
