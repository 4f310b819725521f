"""The artifact file: nothing lost, the same bytes everywhere, atomic to write, safe to read."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import random
import resource
import struct
import subprocess
import sys
import textwrap
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp.artifact as artifact_module
from neurocomp import api
from neurocomp.artifact import EMBED_LIMIT, Artifact, arrays, bounds, container, read, samples_digest, write
from neurocomp.artifact.codec import Malformed
from neurocomp.errors import ArtifactError, InternalError, Location, UsageError
from neurocomp.frontends.from_yaml import loads
from neurocomp.ir.network import Choice, Data, Samples

HINT = "hint:  copy the file again, or compile the network again"
MAKE_ONE = "hint:  make one with 'neurocomp compile NET --target T -o OUT.ncz'"


def differences(a: Any, b: Any, place: str = "artifact") -> list[str]:
    """Return where two values of stages differ, in type, dtype, shape, order or bits; source text aside."""
    if isinstance(a, (np.ndarray, np.generic)):
        same = a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        return [] if same else [place]
    if type(a) is not type(b):
        return [f"{place}: {type(a)} {type(b)}"]
    if isinstance(a, Location):
        return [] if a.without_text() == b.without_text() else [place]
    if is_dataclass(a):
        pairs = [(getattr(a, f.name), getattr(b, f.name), f"{place}.{f.name}") for f in fields(a)]
    elif isinstance(a, Mapping):
        if list(a) != list(b):
            return [place]
        pairs = [(a[key], b[key], f"{place}.{key}") for key in a]
    elif isinstance(a, tuple):
        if len(a) != len(b):
            return [place]
        pairs = [(x, y, f"{place}[{i}]") for i, (x, y) in enumerate(zip(a, b, strict=True))]
    else:
        return [] if repr(a) == repr(b) else [place]
    return [line for x, y, where in pairs for line in differences(x, y, where)]


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def repacked(members: Mapping[str, bytes]) -> bytes:
    """Return a well-formed artifact file of these members, whose manifest agrees with them; arrays keep their names."""
    content = {name: data for name, data in members.items() if name != "manifest.json"}
    documents = [name for name in content if not name.startswith("arrays/")]
    names = documents + sorted(name for name in content if name.startswith("arrays/"))
    listing = {n: {"sha256": hashlib.sha256(content[n]).hexdigest(), "size": len(content[n])} for n in names}
    manifest = artifact_module._json(artifact_module._manifest("0.1.0", listing), indent=1)
    file = io.BytesIO()
    container.pack(file, [("manifest.json", [manifest]), *((n, [content[n]]) for n in names)])
    return file.getvalue()


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Artifact], bytes]:
    """Return what gives the bytes of the tiny artifact, written once."""
    contents: list[bytes] = []

    def once(tiny: Artifact) -> bytes:
        if not contents:
            file = tmp_path_factory.mktemp("intact") / "net.ncz"
            write(tiny, file)
            contents.append(file.read_bytes())
        return contents[0]

    return once


@pytest.fixture
def path(tiny: Artifact, intact: Callable[[Artifact], bytes], tmp_path: Path) -> Path:
    """Return a small, intact artifact file."""
    target = tmp_path / "net.ncz"
    target.write_bytes(intact(tiny))
    return target


def refused(path: Path, content: bytes) -> str:
    """Return the message with which ``content`` is refused."""
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        read(path)
    return str(caught.value).replace(str(path), "net.ncz")


# --- what goes in comes out


def test_nothing_is_lost(tiny: Artifact, path: Path) -> None:
    back = read(path)

    def stored(a: Artifact) -> Artifact:
        return replace(a, network=replace(a.network, data=Data()), samples_digest=None)

    assert differences(stored(tiny), stored(back)) == []
    assert back.network.data.scale == tiny.network.data.scale
    assert back.network.data.samples is back.samples
    assert back.samples_digest == samples_digest(tiny.samples or Samples({}))
    assert back.mapped.lowered is back.lowered


def test_locations_lose_their_text_and_calibration_is_left_out(tiny: Artifact, path: Path) -> None:
    back = read(path)
    origin = tiny.network.populations["hidden"].origin
    assert origin is not None
    assert origin.text is not None
    assert back.network.populations["hidden"].origin == origin.without_text()
    assert tiny.network.data.calibration is not None
    assert back.network.data.calibration is None
    assert b"some text of the user" not in path.read_bytes()


def test_arrays_are_read_only(path: Path) -> None:
    weights = read(path).network.projections[0].weights
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 1


def test_writing_what_was_read_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    write(read(path), tmp_path / "again.ncz")
    assert (tmp_path / "again.ncz").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("value", [0.1, 1e-300, -0.0, float("inf"), float("-inf"), float("nan"), 1 / 3])
def test_floats_are_exact(tiny: Artifact, tmp_path: Path, value: float) -> None:
    write(replace(tiny, options={"a": value, "b": [value, {"c": value}]}), tmp_path / "x.ncz")
    assert repr(read(tmp_path / "x.ncz").options) == repr({"a": value, "b": [value, {"c": value}]})


@pytest.mark.parametrize(
    "array",
    [
        np.array(3.5),
        np.zeros((0, 4), np.int8),
        np.arange(12, dtype=">i4").reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24)[::2],
        np.array([True, False]),
        np.array([np.nan, np.inf, -0.0], np.float32),
        np.ones((1, 2, 1, 2), np.uint16),
    ],
    ids=lambda a: f"{a.dtype.str}{a.shape}",
)
def test_array_members_are_what_numpy_reads(array: np.ndarray) -> None:
    content = b"".join(arrays.chunks(array))
    for back in (arrays.parse(content), np.load(io.BytesIO(content), allow_pickle=False)):
        assert back.shape == array.shape
        assert back.dtype == array.dtype.newbyteorder("<")
        np.testing.assert_array_equal(back, array)
    assert content[6:8] == b"\x01\x00"


def test_equal_arrays_are_stored_once(path: Path) -> None:
    stored = [content for name, content in members_of(path).items() if name.startswith("arrays/")]
    assert len(set(stored)) == len(stored) > 0
    assert all(name == f"arrays/{hashlib.sha256(content).hexdigest()}.npy"
               for name, content in members_of(path).items() if name.startswith("arrays/"))  # fmt: skip


def test_samples_beyond_the_limit_leave_their_digest(tiny: Artifact, tmp_path: Path) -> None:
    image = np.zeros(1, np.uint8)
    many = Samples({"pixels": np.broadcast_to(image, (EMBED_LIMIT // 3 + 1, 3))})
    write(replace(tiny, samples=many), tmp_path / "x.ncz")
    back = read(tmp_path / "x.ncz")
    assert back.samples is None
    assert back.network.data.samples is None
    assert back.samples_digest == samples_digest(many)
    assert (tmp_path / "x.ncz").stat().st_size < 100_000
    write(back, tmp_path / "y.ncz")
    assert read(tmp_path / "y.ncz").samples_digest == samples_digest(many)


def test_no_samples(tiny: Artifact, tmp_path: Path) -> None:
    write(replace(tiny, samples=None), tmp_path / "x.ncz")
    back = read(tmp_path / "x.ncz")
    assert (back.samples, back.samples_digest, back.network.data.scale) == (None, None, 1 / 255)


# --- the same bytes everywhere


def test_bytes_depend_on_nothing_but_the_artifact(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import importlib.util, sys
        from pathlib import Path
        from neurocomp.artifact import write
        spec = importlib.util.spec_from_file_location("conftest", sys.argv[1])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        print(write(module.make_tiny(), Path("net.ncz")))
        """
    )
    seen: set[tuple[str, bytes]] = set()
    for seed, zone, mask in (("0", "UTC", 0o022), ("1", "Asia/Tokyo", 0o077), ("99", "America/New_York", 0o002)):
        folder = tmp_path / f"folder {seed}"
        folder.mkdir()
        run = subprocess.run(
            [sys.executable, "-c", script, str(Path(__file__).with_name("conftest.py"))],
            cwd=folder, env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone}, umask=mask, capture_output=True, text=True,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        seen.add((run.stdout.strip(), (folder / "net.ncz").read_bytes()))
    assert len(seen) == 1


def test_the_zip_is_plain(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        infos = archive.infolist()
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED}
    assert {info.external_attr for info in infos} == {0o100644 << 16}
    names = [info.filename for info in infos]
    assert names[:9] == [
        "manifest.json", "network.json", "quantized.json", "lowered.json", "mapped.json", "program.json", "samples.json",
        "compilation.json", "spec.yaml",
    ]  # fmt: skip
    assert names[9:] == sorted(names[9:])


def test_absolute_file_names_of_origins_are_cut(tiny: Artifact, tmp_path: Path) -> None:
    hidden = tiny.network.populations["hidden"]
    assert hidden.origin is not None
    moved = replace(hidden, origin=replace(hidden.origin, file="/home/somebody/net.yaml"))
    network = replace(tiny.network, populations={**tiny.network.populations, "hidden": moved})
    write(replace(tiny, network=network), tmp_path / "x.ncz")
    assert b"somebody" not in (tmp_path / "x.ncz").read_bytes()


def test_the_digest_is_in_the_manifest_and_names_the_content(tiny: Artifact, tmp_path: Path) -> None:
    first, second = write(tiny, tmp_path / "a.ncz"), write(replace(tiny, notes=("other",)), tmp_path / "b.ncz")
    assert first != second
    assert f'"digest": "{first}"'.encode() in members_of(tmp_path / "a.ncz")["manifest.json"]


def test_sizes_beyond_32_bits_use_zip64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MANY", 3)
    file = io.BytesIO()
    contents = {f"m{i}": bytes([i]) * i for i in range(5)}
    container.pack(file, [(name, [content]) for name, content in contents.items()])
    assert b"PK\x06\x06" in file.getvalue()
    size = file.tell()
    file.seek(0)
    assert dict(container.unpack(file, size)) == contents


def test_a_large_member_has_the_fields_of_zip64() -> None:
    entry = container.Entry("big", 1, 5 << 30, 6 << 30)
    assert entry.local_header().endswith(struct.pack("<HHQQ", 1, 16, 5 << 30, 5 << 30))
    assert entry.central_header().endswith(struct.pack("<HHQQQ", 1, 24, 5 << 30, 5 << 30, 6 << 30))
    header = entry.local_header()
    assert container._read_local_header(io.BytesIO(header[4:]), 6 << 30) == (entry, len(header))


# --- writing is all or nothing


def test_the_file_appears_at_once_and_replaces_the_old_one(tiny: Artifact, tmp_path: Path) -> None:
    target = tmp_path / "net.ncz"
    target.write_bytes(b"old")
    write(tiny, target)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.ncz"]
    read(target)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupted_write_leaves_what_was_there(
    tiny: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, step: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    target = tmp_path / "net.ncz"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises((KeyboardInterrupt, UsageError, MemoryError)) as caught:
        write(tiny, target)
    if isinstance(error, OSError):
        assert str(caught.value) == (
            f"error[NC0801 usage]: cannot write '{target}': no space left on device\nhint:  choose another place with -o"
        )
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {"net.ncz": b"old"}


def test_a_missing_folder(tiny: Artifact, tmp_path: Path) -> None:
    target = tmp_path / "no" / "net.ncz"
    with pytest.raises(UsageError) as caught:
        write(tiny, target)
    assert str(caught.value) == (
        f"error[NC0801 usage]: cannot write '{target}': the folder '{target.parent}' does not exist\n"
        "hint:  make it, or choose another place with -o"
    )


def test_a_folder_in_the_place_of_the_file(tiny: Artifact, tmp_path: Path) -> None:
    (tmp_path / "net.ncz").mkdir()
    with pytest.raises(UsageError, match=r"cannot write .*: is a directory"):
        write(tiny, tmp_path / "net.ncz")
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.ncz"]


def test_an_unwritable_folder(tiny: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UsageError, match=r"cannot write .*: permission denied"):
        write(tiny, tmp_path / "net.ncz")
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_its_type_does_not_allow_is_our_bug(tiny: Artifact, tmp_path: Path) -> None:
    wrong = replace(tiny, network=replace(tiny.network, choices=(Choice("a", "b", 3, "d"),)))  # type: ignore[arg-type]
    with pytest.raises(InternalError) as caught:
        write(wrong, tmp_path / "x.ncz")
    assert caught.value.diagnostics[0].message == "the artifact broke an invariant: network.choices[0].value is not a str"
    with pytest.raises(InternalError, match=r"compilation\.options\.path is not a number, a word, a list or a mapping"):
        write(replace(tiny, options={"path": tmp_path}), tmp_path / "x.ncz")
    assert list(tmp_path.iterdir()) == []


# --- reading what is no artifact


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        read(tmp_path / "no.ncz")
    assert str(caught.value) == f"error[NC0101 file-not-found]: there is no file '{tmp_path / 'no.ncz'}'"


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not a file"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "it is empty"),
        (b"neurocomp: 1\nname: mnist\n", "it is not a zip"),
        (b"P", "it is not a zip"),
        (b"\x93NUMPY\x01\x00" + bytes(100), "it is not a zip"),
        (b"PK\x05\x06" + bytes(18), "it is not a zip"),
    ],
    ids=["empty", "text", "one byte", "npy", "empty zip"],
)
def test_something_else(tmp_path: Path, content: bytes, what: str) -> None:
    message = refused(tmp_path / "net.ncz", content)
    assert message == f"error[NC0601 not-an-artifact]: 'net.ncz' is not an artifact of neurocomp: {what}\n{MAKE_ONE}"


def zipped(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    container.pack(file, [(name, [content]) for name, content in members.items()])
    return file.getvalue()


def test_another_zip(tmp_path: Path) -> None:
    message = refused(tmp_path / "net.ncz", zipped({"word/document.xml": b"<x/>"}))
    assert message == (
        "error[NC0601 not-an-artifact]: 'net.ncz' is not an artifact of neurocomp: "
        f"it is a zip that starts with 'word/document.xml', not with manifest.json\n{MAKE_ONE}"
    )
    message = refused(tmp_path / "net.ncz", zipped({"manifest.json": b'{"name": "an extension of a browser"}'}))
    assert "its manifest.json is that of something else" in message
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", "{}" * 1000)
    assert "the header of the member at byte 0 is not one that neurocomp writes" in refused(
        tmp_path / "net.ncz", file.getvalue()
    )


def test_another_version(path: Path) -> None:
    members = members_of(path)
    members["manifest.json"] = members["manifest.json"].replace(b'"format": 5', b'"format": 6')
    assert refused(path, zipped(members)) == (
        "error[NC0603 artifact-version]: 'net.ncz' has the format version 6; this neurocomp reads version 5\n"
        "hint:  it was compiled by neurocomp 0.1.0: use that version, or compile the network again"
    )


def test_a_file_beyond_the_limit_is_not_read(path: Path) -> None:
    size = path.stat().st_size
    with pytest.raises(ArtifactError) as caught:
        read(path, limit=size - 1)
    assert f"has {size} bytes, more than the {size - 1} that are read\n" in str(caught.value)
    read(path, limit=size)


# --- reading what is damaged


def test_a_truncated_file_is_refused_wherever_it_ends(path: Path) -> None:
    content = path.read_bytes()
    places = {*range(100), *range(len(content) - 50, len(content)), *range(0, len(content), 397)}
    messages = {refused(path, content[:place]) for place in places}
    assert all("NC0601" in message or "NC0602" in message for message in messages)
    assert refused(path, content[: len(content) // 3]).startswith(
        "error[NC0602 damaged-artifact]: 'net.ncz' is damaged: it ends "
    )


def test_any_flipped_byte_is_refused(path: Path) -> None:
    content = path.read_bytes()
    rng = random.Random(1)
    places = {*range(50), *range(len(content) - 50, len(content)), *rng.sample(range(len(content)), 150)}
    for place in sorted(places):
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.randrange(8)
        assert refused(path, bytes(flipped)).startswith(("error[NC0601", "error[NC0602"))


def test_random_edits_never_end_in_a_traceback(path: Path) -> None:
    content = path.read_bytes()
    rng = random.Random(2)
    for _ in range(60):
        edited = bytearray(content)
        start = rng.randrange(len(edited))
        match rng.randrange(3):
            case 0:
                del edited[start : start + rng.randrange(1, 400)]
            case 1:
                edited[start:start] = rng.randbytes(rng.randrange(1, 50))
            case _:
                edited[start : start + 30] = rng.randbytes(30)
        assert refused(path, bytes(edited)).startswith(("error[NC0601", "error[NC0602"))


def test_appended_bytes_are_refused(path: Path) -> None:
    assert "its directory does not match its members" in refused(path, path.read_bytes() + b"x")


def test_a_changed_member_with_a_valid_checksum(path: Path) -> None:
    members = members_of(path)
    members["spec.yaml"] = members["spec.yaml"].replace(b"value: 128", b"value: 129")
    assert refused(path, zipped(members)) == (
        "error[NC0602 damaged-artifact]: 'net.ncz' is damaged: "
        f"the digest of its member 'spec.yaml' does not match its manifest\n{HINT}"
    )


def test_a_changed_manifest_with_a_valid_checksum(path: Path) -> None:
    members = members_of(path)
    members["manifest.json"] = members["manifest.json"].replace(b'"neurocomp": "0.1.0"', b'"neurocomp": "0.1.1"')
    assert "its manifest.json does not match its digest" in refused(path, zipped(members))


@pytest.mark.parametrize("name", ["../evil.npy", "/etc/passwd", "arrays/../x.npy", "arrays/short.npy", "more.json"])
def test_members_of_other_names(path: Path, name: str) -> None:
    content = repacked({**members_of(path), name: b"x"})
    assert "its manifest.json lists other members than an artifact has" in refused(path, content)
    assert [entry.name for entry in path.parent.iterdir()] == ["net.ncz"]


def test_missing_extra_and_doubled_members(path: Path) -> None:
    members = list(members_of(path).items())

    def packed(chosen: list[tuple[str, bytes]]) -> bytes:
        file = io.BytesIO()
        container.pack(file, [(name, [content]) for name, content in chosen])
        return file.getvalue()

    assert f"its member '{members[-1][0]}' is missing" in refused(path, packed(members[:-1]))
    assert "its manifest does not list 'network.json' at this place" in refused(path, packed([*members, members[1]]))
    assert "its manifest does not list 'network.json' at this place" in refused(path, packed([*members[:2], *members[1:]]))


def test_an_announced_size_takes_no_memory(path: Path) -> None:
    for size in (0xFFFFFFFE, 1 << 62):
        header = container.Entry("manifest.json", 0, size).local_header()
        assert "bytes before the end of its member 'manifest.json'" in refused(path, header + bytes(100))


def replaced_array(path: Path, content: bytes) -> str:
    """Return the message for an artifact in which one array has other bytes, with all names and digests made to fit."""
    members = members_of(path)
    old = next(name for name in members if name.startswith("arrays/"))
    new = hashlib.sha256(content).hexdigest()
    changed = {
        (f"arrays/{new}.npy" if name == old else name): (
            content if name == old else data.replace(old[7:71].encode(), new.encode())
        )
        for name, data in members.items()
    }
    return refused(path, repacked(changed))


def npy(description: str, shape: str, content: bytes) -> bytes:
    text = f"{{'descr': '{description}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(-(-(len(text) + 11) // 64) * 64 - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + content


def pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (pickled(), "the header is not that of an array of booleans, integers or floats"),
        (npy("<c8", "(1,)", bytes(8)), "the header is not that of an array of booleans, integers or floats"),
        (npy("<U1", "(1,)", bytes(4)), "the header is not that of an array of booleans, integers or floats"),
        (npy("<f8", "(__import__('os'),)", b""), "the header is not that of an array of booleans, integers or floats"),
        (npy("<f8", "(" * 500, b""), "the header is not that of an array of booleans, integers or floats"),
        (b"\x93NUMPY\x01\x00\xff\xff" + bytes(65535), "the header is not that of an array of booleans, integers or floats"),
        (b"", "the header is not that of an array of booleans, integers or floats"),
        (npy("<f8", "(007,)", bytes(56)), "the header is not the one that neurocomp writes"),
        (npy("<f8", "(3,)", bytes(16)), "shape (3,) of float64 does not match the 16 bytes that follow"),
        (npy("<f8", "(1000000000, 1000000000)", b""), "of float64 does not match the 0 bytes that follow"),
        (npy("<f8", "(0, 999999999999999999, 999999999999999999)", b""), "is impossible"),
        (npy("<f4", "(999999999999999999, 0)", b""), "is impossible"),
        (npy("|b1", "(2,)", b"\x00\x02"), "a boolean is neither 0 nor 1"),
    ],
    ids=[
        "pickle",
        "complex",
        "text",
        "code",
        "nested",
        "long header",
        "empty",
        "zeros",
        "short",
        "bomb",
        "huge",
        "nothing",
        "bool",
    ],
)
def test_hostile_arrays(path: Path, content: bytes, what: str) -> None:
    message = replaced_array(path, content)
    assert message.startswith("error[NC0602 damaged-artifact]: 'net.ncz' is damaged: arrays/")
    assert what in message


Edit = Callable[[bytes], bytes]


def substitute(old: str, new: str) -> Edit:
    def edit(content: bytes) -> bytes:
        assert old.encode() in content
        return content.replace(old.encode(), new.encode(), 1)

    return edit


@pytest.mark.parametrize(
    ("member", "edit", "what"),
    [
        ("network.json", lambda _: b"[" * 100_000, "network.json is not JSON of the expected form"),
        ("network.json", lambda _: b"\xff", "network.json is not JSON of the expected form"),
        ("network.json", lambda _: b"NaN", "network.json is not JSON of the expected form"),
        ("network.json", lambda _: b'{"a": 1, "a": 2}', "network.json is not JSON of the expected form"),
        ("network.json", lambda _: b"9" * 10_000, "network"),
        ("network.json", lambda _: b"null", "network is not a Network with the fields name, timestep, ticks"),
        ("network.json", substitute('"ticks":8', '"ticks":"8"'), "network.ticks is not a int"),
        ("network.json", substitute('"ticks":8', '"ticks":true'), "network.ticks is not a int"),
        ("network.json", substitute('"timestep":0.001', '"timestep":1'), "network.timestep is not a float"),
        ("network.json", substitute('"ticks":8', '"more":8'), "network is not a Network with the fields"),
        ("network.json", substitute('"integration":"exact"', '"integration":"x"'), "is not one of exact, euler"),
        ("network.json", substitute('["net.yaml",5,3]', '["net.yaml",5]'), "populations.pixels.origin is not a list of 3"),
        (
            "network.json",
            substitute('"source":"pixels"', '"source":"pixel"'),
            "projection 'p0': there is no population 'pixel'",
        ),
        (
            "network.json",
            substitute('"scale":0.00392156862745098', '"scale":{"float":"1"}'),
            "network.data.scale is not a number",
        ),
        ("mapped.json", substitute('{"shared":"LoweredNetwork"}', "{}"), "is not a reference to the LoweredNetwork"),
        ("mapped.json", substitute('"core":4', '"core":128'), "map broke an invariant: cores exist"),
        ("mapped.json", substitute('"hops_x":1', '"hops_x":2'), "map broke an invariant: hops follow from the tiles"),
        ("lowered.json", substitute('"hidden":1', '"hidden":0'), "lower broke an invariant"),
        (
            "lowered.json",
            substitute('"population":"hidden"', '"population":"x"'),
            "stages contradict each other (KeyError: 'x')",
        ),
        (
            "program.json",
            substitute('"ticks":8', '"ticks":9'),
            "the artifact broke an invariant: all stages have the same ticks",
        ),
        ("program.json", substitute('"lag":1', '"lag":3'), "'hidden' has one lag in program and lowered network"),
        (
            "compilation.json",
            substitute('"samples_digest":"', '"samples_digest":"0'),
            "is not the digest of the stored samples",
        ),
        ("spec.yaml", substitute("value: 128", "value: -1"), "limits.cores_per_chip.value: -1 is impossible"),
        ("spec.yaml", lambda _: b"[" * 5000, "is damaged"),
        ("spec.yaml", lambda _: b"\xff", "spec.yaml is not UTF-8"),
        ("spec.yaml", lambda _: b" " * (2 << 20), "spec.yaml is not at most 262144 bytes long"),
    ],
)
def test_wrong_documents_with_valid_digests(path: Path, member: str, edit: Edit, what: str) -> None:
    members = members_of(path)
    members[member] = edit(members[member])
    message = refused(path, repacked(members))
    assert message.startswith("error[NC0602 damaged-artifact]: 'net.ncz' is damaged: ")
    assert what in message


def test_a_model_that_is_not_installed_is_no_damage(path: Path) -> None:
    members = members_of(path)
    members["network.json"] = substitute('"model":"lif"', '"model":"lfi"')(members["network.json"])
    message = refused(path, repacked(members))
    assert message.startswith("error[NC0208 unknown-kind]: 'net.ncz' needs more than is here: there is no neuron model 'lfi'")
    assert "install the package that registers it" in message


def test_random_edits_of_documents_with_valid_digests(path: Path) -> None:
    """Behind the digests stands the codec: whatever a stranger writes there is read whole or refused."""
    members = members_of(path)
    rng = random.Random(3)
    pieces = [b"null", b"-1", b"1e999", b"[]", b"{}", b'""', b"99999999999999999999999", b"true", b'"pixels"', b"0", b":", b"}"]
    documents = [name for name in members if name.endswith(".json") and name != "manifest.json"]
    outcomes: set[str] = set()
    for _ in range(150):
        name = rng.choice(documents)
        content = members[name]
        tokens = [m for m in range(len(content)) if content[m : m + 1] in b":,["]
        place = rng.choice(tokens) + 1
        end = min((e for e in (content.find(c, place) for c in (b",", b"]", b"}")) if e >= 0), default=place)
        path.write_bytes(repacked({**members, name: content[:place] + rng.choice(pieces) + content[end:]}))
        try:
            read(path)
            outcomes.add("read")
        except ArtifactError as error:
            outcomes.add(error.diagnostics[0].code)
    assert outcomes <= {"read", "NC0602", "NC0208"}
    assert "NC0602" in outcomes


# --- what a number costs

Step = str | int
REFUSED = ("NC0602", "NC0208")
"""Damaged, or a model that is not installed."""
HEADROOM = 512 << 20
"""Bytes beyond those of the interpreter with its libraries, in a process that reads what strangers wrote."""


def places_of(value: Any, place: tuple[Step, ...] = ()) -> list[tuple[Step, ...]]:
    """Return the place of every scalar and every list of a document."""
    children: list[tuple[Step, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    own = [] if isinstance(value, dict) or not place else [place]
    return own + [found for step, child in children for found in places_of(child, (*place, step))]


def edited(document: Any, *changes: tuple[tuple[Step, ...], Any]) -> Any:
    """Return a document with other values at some places."""
    document = json.loads(json.dumps(document))
    for place, value in changes:
        *way, last = place
        around = document
        for step in way:
            around = around[step]
        around[last] = value
    return document


def hostile_values(value: Any, numbers: Sequence[int], names: list[str]) -> list[Any]:
    """Return what a stranger might write in the place of a value."""
    if isinstance(value, list):
        return [[], [1 << 31] * 32]
    if isinstance(value, str):
        return [next((name for name in names if value in names and name != value), "")]
    return [other for other in numbers if other != value]


def sweep(path: Path, numbers: Sequence[int]) -> None:
    """Read a file with each value of its documents replaced, in a process of little memory; print place and outcome of each."""
    artifact_module.load_spec = cache(artifact_module.load_spec)  # type: ignore[attr-defined]
    members = members_of(path)
    documents = {name: json.loads(content) for name, content in members.items() if name.endswith(".json")}
    del documents["manifest.json"]
    names = list(documents["network.json"]["populations"])
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + HEADROOM,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (120, 120))  # a loop without end is ended
    target = path.with_name("hostile.ncz")
    for name, document in documents.items():
        for place in places_of(document):
            old = document
            for step in place:
                old = old[step]
            for value in hostile_values(old, numbers, names) if "origin" not in place else ():
                print(name, *place, str(value)[:30], end=": ", flush=True)
                content = artifact_module._json(edited(document, (place, value)))
                target.write_bytes(repacked({**members, name: content}))
                try:
                    read(target)
                    print("read")
                except ArtifactError as error:
                    print(error.diagnostics[0].code, error.diagnostics[0].message.replace("\n", " "))


WINDOWS = """neurocomp: 1
name: windows
timestep: 1 ms
ticks: 4
populations:
  x: {kind: input, shape: [1, 6, 6]}
  a: {shape: [2, 4, 4], neuron: {model: cuba_lif, tau_syn: 4 ms, tau_mem: 9 ms, reset: subtract, refractory: 2,
      reset_every: {interval: 3, offset: 1}}}
  b: {shape: [3], neuron: {model: lif, tau_mem: 9 ms, reset: zero}}
projections:
  - {from: x, to: a, pattern: conv2d, weights: w.npz#xa}
  - {from: a, to: b, pattern: [{maxpool2d: {kernel: 2}}, flatten, {dense: {weights: w.npz#ab}}]}
  - {from: b, to: b, weights: w.npz#bb, delay: 2}
"""


def windows(folder: Path) -> Path:
    """Write the artifact of a network with a convolution, a maximum, a loop and resets; return its file."""
    rng = np.random.default_rng(3)
    arrays = {name: rng.normal(0.2, 0.4, shape) for name, shape in (("xa", (2, 1, 3, 3)), ("ab", (3, 8)), ("bb", (3, 3)))}
    np.savez(folder / "w.npz", **arrays)  # type: ignore[arg-type]
    api.compile(loads(WINDOWS, folder), "reference").save(folder / "windows.ncz")
    return folder / "windows.ncz"


@pytest.mark.parametrize(("which", "numbers"), [("tiny", "-1, 1 << 31, 1 << 62"), ("windows", "1 << 31, ")])
def test_no_number_of_a_document_costs_more_than_the_file(path: Path, tmp_path: Path, which: str, numbers: str) -> None:
    """Every scalar and every list of every document, one at a time, is replaced by what would be costly to believe."""
    file = path if which == "tiny" else windows(tmp_path)
    script = textwrap.dedent(
        f"""
        import importlib.util, sys
        from pathlib import Path
        spec = importlib.util.spec_from_file_location("test_artifact", sys.argv[1])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.sweep(Path(sys.argv[2]), ({numbers}))
        """
    )
    run = subprocess.run([sys.executable, "-c", script, __file__, str(file)], capture_output=True, text=True)
    lines = run.stdout.splitlines()
    assert run.returncode == 0, (lines[-1:], run.stderr)
    outcomes = {line: line.rpartition(": ")[2] if line.endswith(": read") else line.split(": ", 1)[1] for line in lines}
    assert [line for line, outcome in outcomes.items() if outcome != "read" and not outcome.startswith(REFUSED)] == []
    assert [line for line in lines if "MemoryError" in line] == []
    assert len(lines) > 600
    assert any(line.endswith(": read") for line in lines)


def change(path: Path, member: str, *changes: tuple[tuple[Step, ...], Any]) -> str:
    """Return the message for an artifact with other values in one document."""
    members = members_of(path)
    members[member] = artifact_module._json(edited(json.loads(members[member]), *changes))
    return refused(path, repacked(members))


FORM = ("network", "number_format")
POOL = ("network", "projections", 1, "pool", "options")
CONV = ("network", "projections", 0, "pattern", "options")
INPUT = ("network", "populations", "x", "shape")


@pytest.mark.parametrize(
    ("member", "changes", "what"),
    [
        (
            "lowered.json",
            [(("network", "populations", "a", "compartments"), 1 << 62)],
            "a neuron of 'a' has one or two compartments",
        ),
        ("lowered.json", [((*FORM, "threshold_bits"), 1 << 31)], "all stages have the number format of the spec"),
        ("quantized.json", [((*FORM, "u_bits"), 1 << 40)], "all stages have the number format of the spec"),
        ("network.json", [(("ticks",), 10**23)], "network.ticks is not a int of 64 bits"),
        ("network.json", [(("populations", "x", "shape"), [2] * 33)], "shape is not a list of at most 32 numbers"),
        ("lowered.json", [(INPUT, [0, 6, 6])], "'x' has extents >= 1"),
        ("lowered.json", [((*CONV, "stride"), [0, 1])], "'stride' is 2 x a number >= 1, not (0, 1)"),
        ("lowered.json", [((*CONV, "groups"), [-1])], "'groups' is 1 x a number >= 1, not (-1,)"),
        ("lowered.json", [((*CONV, "padding"), [1])], "'padding' is 2 x a number >= 0, not (1,)"),
        ("lowered.json", [(CONV, {"kernel": [3, 3]})], "has the options kernel, stride, padding, dilation, groups, not kernel"),
        # an input of 2**40 neurons, of which the windows of a convolution see a few
        (
            "lowered.json",
            [(INPUT, [1, 1 << 30, 6]), ((*CONV, "stride"), [1 << 28, 1])],
            "lowered.network.projections[0] is not between as few neurons as windows of an artifact of this size join",
        ),
        # windows of 2**40 places, nearly all of them padding
        (
            "lowered.json",
            [((*POOL, "kernel"), [1 << 40, 2]), ((*POOL, "padding"), [1 << 39, 0]), ((*POOL, "stride"), [3, 2])],
            "lowered.network.projections[1] is not within the windows that an artifact of this size has",
        ),
        ("lowered.json", [((*POOL, "stride"), [0, 2])], "'stride' is 2 x a number >= 1, not (0, 2)"),
        ("lowered.json", [((*POOL, "padding"), [2, 2])], "the padding (2, 2) is more than half of the kernel (2, 2)"),
        ("lowered.json", [(("network", "projections", 0, "weight_bits"), -(1 << 40))], "has 1..8 weight bits"),
        ("lowered.json", [(("network", "projections", 0, "shift"), 1 << 31)], "stores its weights without 0..8 low bits"),
    ],
)
def test_numbers_that_cost(tmp_path: Path, member: str, changes: list[tuple[tuple[Step, ...], Any]], what: str) -> None:
    message = change(windows(tmp_path), member, *changes)
    assert message.startswith("error[NC0602 damaged-artifact]: 'net.ncz' is damaged: ")
    assert what in message


def test_one_array_in_many_places(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of 64 letters stands for a whole array, so how often arrays are named is bounded, too."""
    monkeypatch.setattr(bounds, "FEW_BYTES", 1 << 10)
    members = members_of(path)
    read(path)
    network = json.loads(members["network.json"])
    lengthy = b"".join(arrays.chunks(np.zeros(1 << 15)))
    name = hashlib.sha256(lengthy).hexdigest()
    network["populations"]["hidden"]["neuron"]["parameters"] = {f"p{i}": name for i in range(40)}
    content = {**members, "network.json": artifact_module._json(network), f"arrays/{name}.npy": lengthy}
    assert f"arrays/{name}.npy is not within the bytes that an artifact of this size names" in refused(path, repacked(content))


def test_many_cores_for_many_projections(tiny: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each projection is looked at on each core of its targets: both lists may be long, their product not."""
    monkeypatch.setattr(bounds, "FEW_CORES", 2)
    bounds.check(tiny.lowered.network, tiny.mapped, 0)
    monkeypatch.setattr(bounds, "FEW_CORES", 1)
    bounds.check(tiny.lowered.network, tiny.mapped, 16)
    with pytest.raises(Malformed, match=r"projections\[1\] is not within the cores that an artifact of this size has"):
        bounds.check(tiny.lowered.network, tiny.mapped, 15)


def test_a_long_name_is_not_copied_for_all_that_it_holds(path: Path) -> None:
    """A million letters around a hundred thousand numbers: written out for each, they would take 100 GB."""
    options = {"n" * 1_000_000: [0] * 100_000}
    members = members_of(path)
    compilation = json.loads(members["compilation.json"])
    path.write_bytes(repacked({**members, "compilation.json": artifact_module._json({**compilation, "options": options})}))
    assert read(path).options == options


def test_a_missing_core_or_axon(path: Path) -> None:
    members = members_of(path)
    mapped = json.loads(members["mapped.json"])
    cores = mapped["cores"]
    cores[0]["axon_neuron"] = cores[1]["axon_neuron"]
    message = refused(path, repacked({**members, "mapped.json": artifact_module._json(mapped)}))
    assert "map broke an invariant: core 0 has exactly the input axons of its synapses" in message


def test_arrays_that_nothing_uses(path: Path) -> None:
    content = b"".join(arrays.chunks(np.arange(77)))
    extra = hashlib.sha256(content).hexdigest()
    message = refused(path, repacked({**members_of(path), f"arrays/{extra}.npy": content}))
    assert f"arrays/{extra}.npy is not used by any stage" in message


def test_an_array_of_another_dtype(path: Path) -> None:
    back = read(path)

    def name_of(array: np.ndarray) -> bytes:
        return hashlib.sha256(b"".join(arrays.chunks(array))).hexdigest().encode()

    members = members_of(path)
    slots, mantissa = back.mapped.placements["digits"].slot, back.lowered.network.projections[0].mantissa
    members["mapped.json"] = members["mapped.json"].replace(name_of(slots), name_of(mantissa))
    assert "slot is not the name of a stored array of its dtype" in refused(path, repacked(members))


def test_crc_of_the_container_is_that_of_zip() -> None:
    assert container.Entry("a", zlib.crc32(b"x"), 1).local_header()[14:18] == struct.pack("<I", zlib.crc32(b"x"))
