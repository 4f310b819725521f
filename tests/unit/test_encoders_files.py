"""Encoders and decoders in network files: events of cameras, options that cannot be, and each scheme on a chip."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocomp import api
from neurocomp.artifact import read as load_artifact
from neurocomp.data import load_events
from neurocomp.encoding import ENCODERS, clipping_warning, decode, encode_samples
from neurocomp.errors import NetworkError
from neurocomp.frontends.from_yaml import loads
from neurocomp.ir.network import Decoder

EVENTS = {"t": [2500, 1000, 1999, 3000, 9000], "x": [1, 0, 0, 3, 2], "y": [0, 1, 1, 2, 2], "p": [1, 0, 0, 1, 0]}


def net(
    shape: str = "[4]", encode: str = "scheme: rate", data: str = "", ticks: int = 16, decode: str = "scheme: count"
) -> str:
    return (
        f"neurocomp: 1\nname: codes\ntimestep: 1 ms\nticks: {ticks}\npopulations:\n  in: {{kind: input, shape: {shape}}}\n"
        "  out: {shape: [3], neuron: {model: lif, tau_mem: 10 ms, v_threshold: 1.0}}\n"
        "projections:\n  - {from: in, to: out, pattern: [flatten, dense], weights: w.npz#w}\n"
        f"encode: {{in: {{{encode}}}}}\ndecode: {{out: {{{decode}}}}}\n{data}"
    )


def read(folder: Path, size: int, **parts: Any) -> Any:
    np.savez(folder / "w.npz", w=np.random.default_rng(0).normal(0.3, 0.5, (3, size)))
    return loads(net(**parts), folder)


def save(path: Path, arrays: dict[str, Any]) -> None:
    made: dict[str, Any] = {key: np.array(values) for key, values in arrays.items()}
    np.savez(path, **made)


def test_events_become_spikes_of_their_tick_pixel_and_polarity(tmp_path: Path) -> None:
    save(tmp_path / "e.npz", EVENTS)
    network = read(tmp_path, 24, shape="[2, 3, 4]", encode="scheme: events", ticks=4, data="data: {inputs: {in: e.npz}}\n")
    counted = read(
        tmp_path, 24, shape="[2, 3, 4]", encode="scheme: event_counts", ticks=4, data="data: {inputs: {in: e.npz}}\n"
    )

    spikes = encode_samples(network, network.data.samples)["in"].reshape(4, 2, 3, 4)
    counts = encode_samples(counted, counted.data.samples)["in"].reshape(4, 2, 3, 4)
    warning = clipping_warning(network.encoders["in"], network.data.samples.inputs["in"], scale=1.0, population="in", ticks=4)

    assert np.argwhere(spikes).tolist() == [[0, 0, 1, 0], [1, 1, 0, 1], [2, 1, 2, 3]]
    assert counts[0, 0, 1, 0] == 2
    assert counts.sum() == 4
    assert warning is not None
    assert warning.render() == (
        "net.yaml:10:10: warning[NC0209 out-of-range]: encoder of 'in': 1 of 5 events come after tick 3, the last, and are "
        "left out\n   10 | encode: {in: {scheme: events}}\n      |          ^^^^^^^^^^^^^^^^^^^^\n"
        "hint:  raise 'ticks' to 9, or 'interval'"
    )


def test_events_of_several_samples_pool(tmp_path: Path) -> None:
    table = np.zeros(5, [("t", "i8"), ("x", "u2"), ("y", "u2"), ("p", "?"), ("sample", "i4")])
    for key, values in EVENTS.items():
        table[key] = values
    table["sample"] = [1, 0, 0, 1, 1]
    np.save(tmp_path / "e.npy", table)
    encode = "scheme: events, pool: 2, interval: 500, start: zero"
    network = read(tmp_path, 8, shape="[2, 2, 2]", encode=encode, ticks=20, data="data: {inputs: {in: [e.npy, e.npy]}}\n")

    samples = network.data.samples
    spikes = encode_samples(network, samples)["in"].reshape(4, 20, 2, 2, 2)

    assert samples.inputs["in"].shape == (4, 3, 4)
    assert np.argwhere(spikes[0]).tolist() == [[2, 0, 0, 0], [3, 0, 0, 0]]
    assert np.argwhere(spikes[1]).tolist() == [[5, 1, 0, 0], [6, 1, 1, 1], [18, 0, 1, 1]]
    np.testing.assert_array_equal(spikes[2:], spikes[:2])


def test_aedat_2_of_a_dvs128_and_a_davis(tmp_path: Path) -> None:
    address = [5 << 8 | 3 << 1, 127 << 8 | 126 << 1 | 1, 1 << 15]
    body = b"".join(struct.pack(">II", word, t) for word, t in zip(address, (10, 20, 30), strict=True))
    (tmp_path / "a.aedat").write_bytes(b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n" + body)
    address = [1 << 11 | 7 << 12 | 9 << 22, 1 << 31, 1 << 10]
    body = b"".join(struct.pack(">II", word, t) for word, t in zip(address, (10, 20, 30), strict=True))
    (tmp_path / "b.aedat").write_bytes(b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n" + body)

    assert load_events(["a.aedat"], tmp_path).tolist() == [[[10, 3, 5, 1], [20, 126, 127, 0]]]
    assert load_events(["b.aedat"], tmp_path).tolist() == [[[10, 7, 9, 1]]]


def test_aedat_3(tmp_path: Path) -> None:
    def packet(kind: int, overflow: int, events: list[tuple[int, int]]) -> bytes:
        head = struct.pack("<hhiiiiii", kind, 1, 8, 4, overflow, len(events), len(events), len(events))
        return head + b"".join(struct.pack("<II", *event) for event in events)

    words = [(1 | 1 << 1 | 5 << 2 | 7 << 17, 100), (5 << 2, 101), (1 | 6 << 2 | 8 << 17, 102)]
    content = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n" + packet(1, 0, words) + packet(0, 0, [(3, 4)])
    (tmp_path / "c.aedat").write_bytes(content + packet(1, 1, words[:1]))
    (tmp_path / "d.aedat").write_bytes(content[:-4])

    assert load_events(["c.aedat"], tmp_path).tolist() == [[[100, 7, 5, 1], [102, 8, 6, 0], [2**31 + 100, 7, 5, 1]]]
    with pytest.raises(NetworkError, match=r"'d\.aedat' is truncated or damaged at byte"):
        load_events(["d.aedat"], tmp_path)


def test_aedat_4_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is installed, it cannot be imported here."""
    monkeypatch.setitem(sys.modules, "aedat", None)
    (tmp_path / "e.aedat4").write_bytes(b"#!AER-DAT4.0\r\n")

    with pytest.raises(NetworkError) as caught:
        load_events(["e.aedat4"], tmp_path)

    assert str(caught.value) == (
        "error[NC0101 file-not-found]: 'e.aedat4' is AEDAT 4, which the package 'aedat' reads, and it is not installed\n"
        "hint:  pip install aedat"
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"t": [1], "x": [1], "y": [1]}, "NC0203 array-not-found]: 'e.npz' holds no p of events; it holds: t, x, y"),
        ({"t": [1, 2], "x": [1], "y": [1], "p": [1]}, "NC0210 data-mismatch]: 'e.npz' has arrays that differ"),
        ({"t": [1.5], "x": [1], "y": [1], "p": [1]}, "NC0207 wrong-dtype]: 'e.npz' has 't' of the dtype float64"),
        ({"t": [-5], "x": [1], "y": [1], "p": [1]}, "NC0209 out-of-range]: 'e.npz' has 't' -5; it is not negative"),
        ({"t": [2**63], "x": [1], "y": [1], "p": [1]}, f"NC0209 out-of-range]: 'e.npz' has 't' {2**63}; the largest that"),
        ({"t": [1e30], "x": [1], "y": [1], "p": [1]}, "NC0209 out-of-range]: 'e.npz' has 't' 1e+30; the largest that"),
        (
            {"t": [1], "x": [1], "y": [1], "p": [1], "sample": [10**9]},
            "NC0209 out-of-range]: 'e.npz' has the sample 1000000000; samples are numbered 0..1048575\n",
        ),
    ],
)
def test_files_that_hold_no_events(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    save(tmp_path / "e.npz", arrays)

    with pytest.raises(NetworkError) as caught:
        read(tmp_path, 24, shape="[2, 3, 4]", encode="scheme: events", data="data: {inputs: {in: e.npz}}\n")

    assert f"error[{message}" in str(caught.value)
    assert str(caught.value).startswith("net.yaml:12:21: ")


@pytest.mark.parametrize("damage", ["no archive", "compressed data"])
def test_damaged_files_of_events(damage: str, tmp_path: Path) -> None:
    content = bytearray(b"events")
    if damage == "compressed data":
        values = np.arange(20000) * 7 % 1000
        np.savez_compressed(tmp_path / "e.npz", t=values, x=values, y=values, p=values)
        content = bytearray((tmp_path / "e.npz").read_bytes())
        content[80:400] = bytes(byte ^ 0x55 for byte in content[80:400])
    (tmp_path / "e.npz").write_bytes(content)

    with pytest.raises(NetworkError, match=r"NC0101 file-not-found\]: 'e\.npz' cannot be read: ") as caught:
        load_events(["e.npz"], tmp_path)

    assert "pickle" not in str(caught.value)


def test_a_file_of_events_that_is_not_there(tmp_path: Path) -> None:
    save(tmp_path / "events.npz", EVENTS)

    with pytest.raises(NetworkError) as caught:
        load_events(["event.npz"], tmp_path)

    assert str(caught.value) == "error[NC0101 file-not-found]: there is no file 'event.npz'\nhint:  did you mean 'events.npz'?"


def test_an_event_beside_the_camera(tmp_path: Path) -> None:
    save(tmp_path / "e.npz", EVENTS)
    network = read(tmp_path, 12, shape="[2, 2, 3]", encode="scheme: events", ticks=4, data="data: {inputs: {in: e.npz}}\n")

    with pytest.raises(NetworkError) as caught:
        encode_samples(network, network.data.samples)

    assert (
        "NC0209 out-of-range]: encoder of 'in': sample 0, event 3 (t 3000) is at x 3, y 2, p 1; the camera has x 0..2, y 0..1, "
        "p 0..1\n"
    ) in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "column", "message"),
    [
        (
            {"encode": "scheme: phase, period: 20"},
            38,
            "encoder of 'in': a period has 20 phases, a tick each; the network has 16",
        ),
        (
            {"encode": "scheme: burst, spikes: 20"},
            38,
            "encoder of 'in': 20 spikes 1 ticks apart take 20 ticks; the network has 16",
        ),
        ({"encode": "scheme: burst, interval_min: 9"}, 44, "encoder of 'in': interval_min is 9, more than interval_max, 6"),
        (
            {"encode": "scheme: bsa, threshold: 2"},
            39,
            "encoder of 'in': threshold is 2; a spike lowers the error by the filter's",
        ),
        ({"encode": "scheme: hsa, length: 17"}, 36, "encoder of 'in': a spike needs the 17 ticks of the filter; the network"),
        ({"encode": "scheme: population, low: 2"}, 40, "encoder of 'in': low is 2, not less than high, 1"),
        ({"encode": "scheme: population"}, 23, "encoder of 'in': the last axis holds the 8 fields of each value, and 4 is no"),
        ({"encode": "scheme: delta, polarity: down"}, 40, "encoder of 'in': polarity must be both or up, not 'down'"),
        (
            {"encode": "scheme: rate, front: {dog: {size: 4}}"},
            49,
            "encoder of 'in': dog: a filter of 4 taps a side has no middle",
        ),
        ({"encode": "scheme: direct, front: dog"}, 38, "encoder of 'in': 'direct' takes no values that a filter could make"),
        ({"encode": "scheme: rate, front: dig"}, 36, "encoder of 'in': front: there is no filter 'dig'"),
        (
            {"encode": "scheme: rate, front: [{dog: {sigma: 3}}]"},
            51,
            "encoder of 'in': dog: sigma is 3, not less than sigma_sur",
        ),
        ({"decode": "scheme: window, first: 16"}, 39, "decoder of 'out': first is 16; the ticks of a sample are 0..15, or -16"),
        ({"decode": "scheme: window, first: 5, last: 4"}, 39, "decoder of 'out': the window from tick 5 to 4 is empty"),
        ({"decode": "scheme: vote, classes: 4, groups: blocks"}, 39, "decoder of 'out': 3 neurons cannot make 4 blocks"),
    ],
)
def test_options_that_cannot_be(parts: dict[str, str], column: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(NetworkError) as caught:
        read(tmp_path, 4, **parts)

    place = f"net.yaml:{11 if 'decode' in parts else 10}:{column}: error["
    assert str(caught.value).startswith(place)
    assert f"]: {message}" in str(caught.value)
    assert "hint:" in str(caught.value) or "polarity" in message


DATA: dict[str, tuple[str, int, tuple[int, ...], str]] = {
    "population": ("[4, 5]", 20, (4,), ", fields: 5"),
    "delta": ("[2, 4]", 8, (16, 4), ""),
    "step_forward": ("[2, 4]", 8, (16, 4), ""),
    "hsa": ("[4]", 4, (16, 4), ", length: 4"),
    "bsa": ("[4]", 4, (16, 4), ", length: 4"),
}


@pytest.mark.parametrize("scheme", [name for name in ENCODERS if name not in ("direct", "graded", "current", "event_counts")])
def test_every_binary_code_is_the_same_on_the_chip(scheme: str, tmp_path: Path) -> None:
    shape, size, given, more = DATA.get(scheme, ("[4]", 4, (4,), ""))
    data = "data: {inputs: {in: x.npy}}\n"
    if scheme == "events":
        shape, size, data = "[2, 3, 4]", 24, "data: {inputs: {in: e.npz}}\n"
        save(tmp_path / "e.npz", EVENTS)
    np.save(tmp_path / "x.npy", np.random.default_rng(1).random((3, *given)))

    compiled = api.compile(read(tmp_path, size, shape=shape, encode=f"scheme: {scheme}{more}", data=data), "loihi")
    verdict = compiled.verify(engines=["chip"])
    compiled.save(tmp_path / "net.ncz")
    again = load_artifact(tmp_path / "net.ncz").network.encoders["in"]
    report = compiled.report().as_json()

    assert verdict.bit_exact
    assert (again.scheme, again.options) == (scheme, compiled.network.encoders["in"].options)
    assert report["encoders"]["in"]["macs"] > 0
    assert report["counts"]["input_spikes"] > 0


def test_a_filter_in_front_goes_into_the_artifact_and_the_text(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(1).random((3, 4, 4)))
    encode = "scheme: latency, gain: 3, front: [{dog: {size: 5}}]"
    network = read(tmp_path, 32, shape="[2, 4, 4]", encode=encode, data="data: {inputs: {in: x.npy}}\n")

    compiled = api.compile(network, "loihi")
    compiled.save(tmp_path / "net.ncz")

    loaded = load_artifact(tmp_path / "net.ncz").network.encoders["in"]
    assert [(f.kind, dict(f.options)) for f in loaded.front] == [("dog", {"size": 5, "sigma": 1.0, "sigma_surround": 2.0})]
    assert compiled.verify(engines=["chip"]).bit_exact


def spikes_at(*pairs: tuple[int, int], ticks: int = 6, neurons: int = 4) -> Any:
    spikes = np.zeros((1, ticks, neurons), np.int8)
    for tick, neuron in pairs:
        spikes[0, tick, neuron] = 1
    return spikes


def test_decoders_by_hand() -> None:
    spikes = spikes_at((0, 3), (1, 0), (1, 1), (4, 2), (5, 2))

    def answer(scheme: str, **options: Any) -> int:
        return int(decode(Decoder(scheme, options), spikes=spikes)[0])

    assert answer("window", first=0, last=-1) == 2
    assert answer("window", first=0, last=0) == 3
    assert answer("window", first=1, last=3) == 0  # a tie
    assert answer("window", first=-2, last=-1) == 2
    assert answer("vote", classes=2) == 0  # neurons 0 and 2
    assert answer("vote", classes=2, groups="blocks") == 1  # neurons 2 and 3
    assert answer("vote", classes=4) == 2
    # Ranks: neuron 3 0, neurons 0 and 1 1, neuron 2 3.
    assert answer("rank", classes=2, groups="interleaved", modulation=0.5) == 1  # 0.5 + 0.125 against 0.5 + 1
    assert answer("rank", classes=2, groups="blocks", modulation=1.0) == 0  # 2 against 2
    assert answer("rank", classes=4, groups="interleaved", modulation=0.5) == 3


def test_potentials_over_the_ticks() -> None:
    v = np.array([[[5, 0, 1], [0, 4, 2], [0, 0, 2]]])

    answers = [int(decode(Decoder("potential", {"over": over}), spikes=v, v=v)[0]) for over in ("last", "max", "sum")]

    assert answers == [2, 0, 0]


def test_rank_by_a_loop() -> None:
    spikes = (np.random.default_rng(8).random((50, 6, 9)) < 0.1).astype(np.int8)
    found = decode(Decoder("rank", {"classes": 3, "groups": "interleaved", "modulation": 0.7}), spikes=spikes)

    for sample in range(50):
        first = [next((t for t in range(6) if spikes[sample, t, i]), None) for i in range(9)]
        scores = [0.0] * 3
        for i, own in enumerate(first):
            if own is not None:
                scores[i % 3] += 0.7 ** sum(other is not None and other < own for other in first)
        best = max(scores)
        assert scores[found[sample]] == pytest.approx(best)
