"""Arrays and stimuli in files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocomp.data import Reference, is_reference, load_array, load_samples, load_stimulus
from neurocomp.errors import Location, NetworkError

WHERE = Location("net.yaml", 3, 12, "  weights: weights.npz#w1", 14)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    w1 = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.savez(tmp_path / "weights.npz", w1=w1, turned=np.asfortranarray(w1), empty=np.zeros((0, 3)))
    np.savez_compressed(tmp_path / "packed.npz", w1=w1)
    np.save(tmp_path / "plain.npy", w1)
    np.savez(tmp_path / "objects.npz", o=np.array([{}, 1], dtype=object), text=np.array(["a"]))
    return tmp_path


def is_mapped(array: Any) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


@pytest.mark.parametrize(
    ("reference", "mapped"),
    [("weights.npz#w1", True), ("weights.npz#turned", True), ("plain.npy", True), ("packed.npz#w1", False)],
)
def test_arrays_keep_dtype_and_are_read_only(folder: Path, reference: str, mapped: bool) -> None:
    array = load_array(reference, folder, WHERE)

    np.testing.assert_array_equal(array, np.arange(12).reshape(3, 4))
    assert array.dtype == np.float32
    assert not array.flags.writeable
    assert is_mapped(array) is mapped


def test_empty_array(folder: Path) -> None:
    assert load_array("weights.npz#empty", folder).shape == (0, 3)


@pytest.mark.parametrize(("text", "truth"), [("a.npy", True), ("d/a.npz#k", True), ("20 ms", False), ("a.txt", False)])
def test_is_reference(text: str, truth: bool) -> None:
    assert is_reference(text) is truth


EXCERPT = "\n    3 |   weights: weights.npz#w1\n      |            ^^^^^^^^^^^^^^"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "weigths.npz#w1",
            "net.yaml:3:12: error[NC0101 file-not-found]: there is no file 'weigths.npz'"
            + EXCERPT
            + "\nhint:  did you mean 'weights.npz'?",
        ),
        ("no/w.npy", "net.yaml:3:12: error[NC0101 file-not-found]: there is no file 'no/w.npy', nor its folder" + EXCERPT),
        (
            "weights.npz#tuned",
            "net.yaml:3:12: error[NC0203 array-not-found]: 'weights.npz' holds no array 'tuned'; "
            "its keys: w1, turned, empty" + EXCERPT + "\nhint:  did you mean 'turned'?",
        ),
        (
            "weights.npz",
            "net.yaml:3:12: error[NC0203 array-not-found]: 'weights.npz' holds several arrays; "
            "its keys: w1, turned, empty" + EXCERPT + "\nhint:  write 'weights.npz#w1'",
        ),
        (
            "objects.npz#o",
            "net.yaml:3:12: error[NC0207 wrong-dtype]: 'objects.npz#o' has the dtype object; "
            "integers, floats or booleans are needed" + EXCERPT,
        ),
        (
            "plain.npy#w1",
            "net.yaml:3:12: error[NC0104 wrong-type]: 'plain.npy' holds one array and takes no '#w1'"
            + EXCERPT
            + "\nhint:  write 'plain.npy'",
        ),
        (
            "weights.csv",
            "net.yaml:3:12: error[NC0104 wrong-type]: 'weights.csv' does not name an array"
            + EXCERPT
            + "\nhint:  write 'FILE.npz#key' or 'FILE.npy'",
        ),
    ],
)
def test_bad_references(folder: Path, reference: str, message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        load_array(reference, folder, WHERE)

    assert str(caught.value) == message


def test_strings_are_no_numbers(folder: Path) -> None:
    with pytest.raises(NetworkError, match=r"NC0207 .* has the dtype <U1; integers, floats or booleans are needed"):
        load_array("objects.npz#text", folder)


def test_damaged_files(folder: Path) -> None:
    (folder / "short.npy").write_bytes((folder / "plain.npy").read_bytes()[:-5])
    (folder / "garbage.npy").write_bytes(b"\x00" * 64)
    (folder / "garbage.npz").write_bytes(b"no archive at all")
    flipped = bytearray((folder / "weights.npz").read_bytes())
    flipped[flipped.index(np.float32(7).tobytes())] ^= 1
    (folder / "flipped.npz").write_bytes(flipped)
    (folder / "cut.npz").write_bytes((folder / "weights.npz").read_bytes()[:-30])

    for reference, reason in [
        ("short.npy", r"'short\.npy' cannot be read: it is truncated; its header announces the shape \(3, 4\) of float32"),
        ("garbage.npy", r"'garbage\.npy' cannot be read: "),
        ("garbage.npz#w1", r"'garbage\.npz' cannot be read: File is not a zip file"),
        ("flipped.npz#w1", r"'flipped\.npz' cannot be read: the checksum of 'w1' is wrong"),
        ("cut.npz#w1", r"'cut\.npz' cannot be read: File is not a zip file"),
    ]:
        with pytest.raises(NetworkError, match=rf"error\[NC0101 file-not-found\]: {reason}"):
            load_array(reference, folder)


def test_a_member_that_announces_more_than_it_holds(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000, 10000000000), }"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", member)

    with pytest.raises(NetworkError, match=r"'bomb\.npz' cannot be read: it is truncated"):
        load_array("bomb.npz#a", tmp_path)


def test_stimulus(tmp_path: Path) -> None:
    a = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 2, 2)
    b = np.ones((2, 3, 5), bool)
    np.savez(tmp_path / "x.npz", b=b, a=a)

    stimulus = load_stimulus(tmp_path / "x.npz", {"a": (2, 2), "b": (5,)})

    assert list(stimulus) == ["a", "b"]
    np.testing.assert_array_equal(stimulus["a"], a.reshape(2, 3, 4))
    assert stimulus["b"].dtype == np.int8


def stimulus_error(path: Path, inputs: dict[str, tuple[int, ...]]) -> str:
    with pytest.raises(NetworkError) as caught:
        load_stimulus(path, inputs)
    return str(caught.value)


def test_stimulus_problems_come_together(tmp_path: Path) -> None:
    spikes = np.ones((2, 3, 4), np.int8)
    np.savez(tmp_path / "x.npz", left=spikes[:, :, :3], rigth=spikes, raw=spikes.astype(float), late=spikes[:0])

    assert stimulus_error(tmp_path / "x.npz", {"left": (4,), "right": (4,), "raw": (4,), "late": (4,)}) == "\n\n".join(
        [
            "x.npz: error[NC0211 bad-stimulus]: 'rigth' is no input population; the inputs: left, right, raw, late\n"
            "hint:  did you mean 'right'?",
            "x.npz: error[NC0211 bad-stimulus]: 'left' has the shape (2, 3, 3); (samples, ticks, 4) is needed",
            "x.npz: error[NC0211 bad-stimulus]: there is no array for the input population 'right'; "
            "the file holds: left, rigth, raw, late",
            "x.npz: error[NC0211 bad-stimulus]: 'raw' has the dtype float64; integers (or booleans) are needed\n"
            "hint:  these look like data; '--raw' sends them through the encoder",
            "x.npz: error[NC0211 bad-stimulus]: 'late' has 0 samples of 3 ticks; at least 1 of 1 is needed",
        ]
    )


def test_stimulus_of_unequal_lengths(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.ones((2, 3, 4), np.int8), b=np.ones((2, 5, 4), np.int8))

    assert stimulus_error(tmp_path / "x.npz", {"a": (4,), "b": (4,)}) == (
        "x.npz: error[NC0211 bad-stimulus]: all inputs need the same samples and ticks; 'a' has 2 x 3, 'b' has 2 x 5"
    )


def test_stimulus_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"abc")
    np.savez(tmp_path / "objects.npz", a=np.array([None], dtype=object))

    assert stimulus_error(tmp_path / "x.npz", {"a": (4,)}) == "\n\n".join(
        ["x.npz: error[NC0211 bad-stimulus]: the file cannot be read as .npz: File is not a zip file"]
    )
    assert stimulus_error(tmp_path / "objects.npz", {"a": (4,)}) == (
        "objects.npz: error[NC0211 bad-stimulus]: 'a' has the dtype object; integers (or booleans) are needed"
    )
    assert stimulus_error(tmp_path / "y.npz", {"a": (4,)}) == (
        "y.npz: error[NC0101 file-not-found]: there is no file 'y.npz'\nhint:  did you mean 'x.npz'?"
    )


def test_samples_take_any_shape_with_as_many_values(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", flat=np.arange(12).reshape(3, 4), timed=np.zeros((3, 7, 4), bool), y=np.arange(3))

    samples = load_samples(
        {"a": Reference("d.npz#flat"), "b": Reference("d.npz#timed")},
        Reference("d.npz#y"),
        shapes={"a": (2, 2), "b": (4,)},
        timed=["b"],
        folder=tmp_path,
    )

    assert samples.inputs["a"].shape == (3, 2, 2)
    assert samples.inputs["b"].shape == (3, 7, 4)
    assert samples.count == 3
    assert not any(array.flags.writeable for array in samples.inputs.values())


def test_samples_that_do_not_belong_together(tmp_path: Path) -> None:
    bad = np.ones((3, 4))
    bad[1, 2] = np.nan
    np.savez(tmp_path / "d.npz", a=np.ones((3, 4)), b=np.ones((3, 5)), nan=bad, y=np.arange(2), real=np.ones(3))

    def problems(inputs: dict[str, str], labels: str) -> list[str]:
        with pytest.raises(NetworkError) as caught:
            load_samples(
                {name: Reference(text) for name, text in inputs.items()},
                Reference(labels),
                shapes={"a": (2, 2), "b": (4,)},
                timed=(),
                folder=tmp_path,
            )
        return str(caught.value).split("\n\n")

    assert problems({"a": "d.npz#a", "b": "d.npz#b"}, "d.npz#y") == [
        "error[NC0210 data-mismatch]: data of 'b' have the shape (3, 5); (samples, 4) is needed",
        "error[NC0210 data-mismatch]: numbers of samples differ: 'a' 3, labels 2",
    ]
    assert problems({"a": "d.npz#nan"}, "d.npz#real") == [
        "error[NC0204 not-finite]: data of 'a': [1, 2] is nan",
        "error[NC0210 data-mismatch]: there are no data for the input population 'b'",
        "error[NC0207 wrong-dtype]: labels have the dtype float64; integers are needed",
    ]
