"""Nothing is lost and nothing is counted twice: counts are recounted from the bytes that cores are loaded with.

The recount goes spike by spike, message by message and tile by tile. It reads the tables by docs/loihi-program.md and
docs/truenorth-program.md alone and shares nothing with what it checks, which counts from the patterns and the mapping.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp import registry
from neurocomp.api import Compiled
from neurocomp.artifact import Artifact
from neurocomp.energy.counts import Counts, count
from neurocomp.ir.trace import Trace
from neurocomp.mapping.traffic import DIRECTIONS, traffic_of
from neurocomp.testing.random_crossbars import random_lowerable_network

Array = NDArray[Any]

SAMPLES = 3
SEEDS = (6, 18, 26, 33, 39)

# Networks: several chips of small cores, so that there is something to walk

SMALL = {"neurons": 12, "cores_per_chip": 24, "tiles_x": 4, "tiles_y": 3, "cores_per_tile": 2}
FEW = {"neurons": 12, "cores_per_chip": 6, "tiles_x": 3, "tiles_y": 2, "cores_per_tile": 1}
LARGE = {**FEW, "neurons": 40}

RECURRENT = """\
neurocomp: 1
name: recurrent
timestep: 1 ms
ticks: 12
populations:
  x: {kind: input, shape: [20]}
  a: {shape: [240], neuron: {model: if, format: loihi, du: 4095, dv: 100, vth: 60, bias_mant: 90, refractory: 2}}
  b: {shape: [100], neuron: {model: if, format: loihi, du: 2000, dv: 0, vth: 80}}
projections:
  - {from: x, to: a, weights: w.npz#xa, delay: 1}
  - {from: a, to: a, pattern: {sparse: {sources: w.npz#from, targets: w.npz#to}}, weights: w.npz#aa, delay: w.npz#late}
  - {from: a, to: b, weights: w.npz#ab, delay: 3}
  - {from: b, to: a, weights: w.npz#ba, delay: 1}
encode: {x: {scheme: direct}}
"""

CONV = """\
neurocomp: 1
name: conv
timestep: 1 ms
ticks: 8
populations:
  x: {kind: input, shape: [2, 8, 8]}
  a: {shape: [4, 8, 8], neuron: {model: if, format: loihi, du: 4095, dv: 0, vth: 40}}
  b: {shape: [3, 3, 3], neuron: {model: if, format: loihi, du: 4095, dv: 0, vth: 60}}
  c: {shape: [5], neuron: {model: if, format: loihi, du: 4095, dv: 0, vth: 30}}
projections:
  - {from: x, to: a, pattern: {conv2d: {padding: 1}}, weights: w.npz#first}
  - {from: a, to: b, pattern: {conv2d: {stride: 2}}, weights: w.npz#second}
  - {from: b, to: c, weights: w.npz#last}
encode: {x: {scheme: direct}}
"""

SUBTRACT = """\
neurocomp: 1
name: subtract
timestep: 1 ms
ticks: 15
populations:
  x: {kind: input, shape: [30]}
  a: {shape: [70], neuron: {model: if, format: loihi, du: 4095, dv: 0, vth: 50, reset: subtract}}
  b: {shape: [20], neuron: {model: if, format: loihi, du: 4095, dv: 0, vth: 90, reset: subtract}}
projections:
  - {from: x, to: a, weights: w.npz#first}
  - {from: x, to: b, weights: w.npz#skip}
  - {from: a, to: b, weights: w.npz#second}
encode: {x: {scheme: direct}}
"""

GRADED = """\
neurocomp: 1
name: graded
timestep: 1 ms
ticks: 9
populations:
  x: {kind: input, shape: [1, 6, 6]}
  a: {shape: [3, 5, 5], neuron: {model: if, format: loihi, du: 4095, dv: 0, vth: 200}}
  b: {shape: [11], neuron: {model: if, format: loihi, du: 409, dv: 128, vth: 900}}
projections:
  - {from: x, to: a, pattern: {conv2d: {}}, weights: w.npz#conv}
  - {from: x, to: b, weights: w.npz#native, delay: 2}
  - {from: a, to: b, weights: w.npz#out}
encode: {x: {scheme: graded, largest: 20}}
"""


def weights() -> dict[str, dict[str, Array]]:
    """Even weights of both signs, many of them 0."""
    rng = np.random.default_rng(11)

    def some(*shape: int) -> Array:
        return np.where(rng.random(shape) < 0.3, 0, 2 * rng.integers(-20, 30, shape))

    ends = np.unique(rng.integers(0, 240, (1500, 2)), axis=0)
    return {
        "recurrent": {
            "xa": some(240, 20), "from": ends[:, 0], "to": ends[:, 1], "aa": some(len(ends)),
            "late": rng.integers(1, 9, len(ends)), "ab": some(100, 240), "ba": some(240, 100),
        },
        "conv": {"first": some(4, 2, 3, 3), "second": some(3, 4, 3, 3), "last": some(5, 27)},
        "subtract": {"first": some(70, 30), "skip": some(20, 30), "second": some(20, 70)},
        "graded": {"conv": some(3, 1, 2, 2), "native": some(11, 36), "out": some(11, 75)},
    }  # fmt: skip


class Case(NamedTuple):
    text: str
    target: str
    numbers: Mapping[str, int]
    options: Mapping[str, Any]


CASES = {
    "recurrent": Case(RECURRENT, "loihi", SMALL, {}),
    "conv": Case(CONV, "loihi", SMALL, {}),
    "conv, other places": Case(CONV, "loihi", LARGE, {"seed": 5, "effort": "fast"}),
    "subtract": Case(SUBTRACT, "loihi", FEW, {}),
    "graded": Case(GRADED, "loihi2", FEW, {}),
}


def spec_file(folder: Path, target: str, numbers: Mapping[str, int]) -> Path:
    """A shipped chip with other numbers of what its limits and its mesh have."""
    text = registry.spec_files()[target].read_text(encoding="utf-8")
    for name, value in numbers.items():
        # Without an interval of its own.
        text, found = re.subn(rf"^(  {name}: {{value: )\d+,( low: \d+, high: \d+,)?", rf"\g<1>{value},", text, flags=re.M)
        assert found == 1, name
    path = folder / f"{target}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def compiled(name: str, folder: Path) -> Artifact:
    case = CASES[name]
    arrays: Any = weights()[case.text.split("name: ")[1].split()[0]]
    np.savez(folder / "w.npz", **arrays)
    (folder / "net.yaml").write_text(case.text)
    found = neurocomp.compile(folder / "net.yaml", target=str(spec_file(folder, case.target, case.numbers)), **case.options)
    assert isinstance(found, Compiled)
    return found.artifact


def stimulus(made: Artifact, seed: int = 3) -> dict[str, Array]:
    """Spikes for every input, values where it takes them."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, symbol in made.program.inputs.items():
        shape = SAMPLES, made.program.ticks, int(np.prod(symbol.shape))
        values = rng.integers(-20, 21, shape) if symbol.graded else np.ones(shape, np.int64)
        found[name] = np.where(rng.random(shape) < 0.4, values, 0)
    return found


def simulated(made: Artifact, given: Mapping[str, Array]) -> Trace:
    lowered = made.lowered
    return registry.simulator("reference").run(lowered.network, given, lag=lowered.lag)


# The recount


@dataclass
class Recount:
    """What was recounted: event -> (cores, samples, ticks), and what was seen on the way."""

    per_core: dict[str, Array]
    hops: Array
    """(2, samples), in x and y."""
    crossings: Array
    """(samples,)"""
    links: Counter[tuple[int, int, int, int, int]] = field(default_factory=Counter)
    """(mesh, x, y) of the tile that a packet leaves and (x, y) of the next one -> packets."""

    @classmethod
    def empty(cls, cores: int, trace: Trace) -> Recount:
        samples, ticks, _ = next(iter(trace.spikes.values())).shape
        events = (
            "spikes", "packets", "packets_received", "host_packets", "synaptic_events", "sops", "words_read", "outputs"
        )  # fmt: skip
        per_core = {event: np.zeros((cores, samples, ticks), np.int64) for event in events}
        return cls(per_core, np.zeros((2, samples), np.int64), np.zeros(samples, np.int64))

    def walk(self, sample: int, mesh: int, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Go from tile to tile, along x, then along y."""
        x, y = start
        while (x, y) != end:
            step = (1 if end[0] > x else -1, 0) if x != end[0] else (0, 1 if end[1] > y else -1)
            self.links[mesh, x, y, x + step[0], y + step[1]] += 1
            self.hops[0 if step[0] else 1, sample] += 1
            x, y = x + step[0], y + step[1]


def records(table: Array, *fields: tuple[int, int]) -> list[list[int]]:
    """Read little-endian records: (offset, bytes) of each field; the last field ends the record."""
    size, raw = sum(fields[-1]), table.tobytes()
    assert len(raw) % size == 0
    return [[int.from_bytes(raw[i + at : i + at + n], "little") for at, n in fields] for i in range(0, len(raw), size)]


WEIGHT_BITS, INDEX_BITS = (0, 1, 2, 3, 4, 5, 6, 8), (0, 6, 7, 8, 9, 10, 11, 12)


class LoihiCore:
    """The tables of a core, as docs/loihi-program.md has them, with the layout ``nxtf`` of the synapse memory."""

    def __init__(self, tables: Mapping[str, Array]) -> None:
        assert tables["header"][2] == 1
        self.axons = records(tables["input_axons"], (0, 4), (4, 4), (8, 2), (10, 2))
        self.lists = records(tables["output_lists"], (0, 4), (4, 4))
        self.messages = records(tables["output_axons"], (0, 2), (2, 2), (4, 2), (6, 2))
        self.formats = [word for (word,) in records(tables["synapse_formats"], (0, 4))]
        self.words = tables["synapse_words"].tobytes()
        self.rows: dict[tuple[int, int], tuple[int, int]] = {}

    def row(self, axon: int) -> tuple[int, int, int]:
        """Return the words that a message to an axon reads, the synapses in them, and those whose weight is not 0."""
        pointer, length, *_ = self.axons[axon]
        if (pointer, length) not in self.rows:
            self.rows[pointer, length] = self.read(int.from_bytes(self.words[8 * pointer : 8 * (pointer + length)], "little"))
        return (length, *self.rows[pointer, length])

    def read(self, bits: int) -> tuple[int, int]:
        stored = nonzero = 0
        while bits & 15:
            form, number = self.formats[(bits & 15) - 1], (bits >> 4 & 63) + 1
            weight, delay, index = WEIGHT_BITS[form & 7], form >> 9 & 7, INDEX_BITS[form >> 12 & 7]
            dense = (form >> 15 & 3) == 3
            bits >>= 10 + (index if dense else 0)
            for _ in range(number):
                stored, nonzero = stored + 1, nonzero + bool(bits & ((1 << weight) - 1))
                bits >>= weight + delay + (0 if dense else index)
        return stored, nonzero


def loihi(made: Artifact, trace: Trace) -> Recount:
    program, mesh = made.program, made.spec.mesh
    cores = [LoihiCore(core.tables) for core in program.cores]
    where = {(core.chip, core.core): index for index, core in enumerate(program.cores)}
    found = Recount.empty(len(cores), trace)

    def tile(core: int) -> tuple[int, int]:
        y, x = divmod(program.cores[core].core // mesh.cores_per_tile, mesh.tiles_x)
        return x, y

    def arrive(core: int, axon: int, at: tuple[int, int], *events: str) -> None:
        words, stored, nonzero = cores[core].row(axon)
        numbers = {"words_read": words, "synaptic_events": stored, "sops": nonzero, **dict.fromkeys(events, 1)}
        for event, number in numbers.items():
            found.per_core[event][core, at[0], at[1]] += number

    for name, symbol in program.inputs.items():
        for neuron, core, axon in zip(symbol.neuron.tolist(), symbol.core.tolist(), symbol.axon.tolist(), strict=True):
            for sample, tick in np.argwhere(trace.spikes[name][:, :, neuron]).tolist():
                arrive(core, axon, (sample, tick), "packets_received", "host_packets")
    for name, place in program.populations.items():
        for sample, tick, neuron in np.argwhere(trace.spikes[name]).tolist():
            home = int(place.core[neuron])
            found.per_core["spikes"][home, sample, tick] += 1
            first, number = cores[home].lists[int(place.compartment[neuron])]
            for chip, core, axon, _ in cores[home].messages[first : first + number]:
                target = where[chip, core]
                found.per_core["packets"][home, sample, tick] += 1
                arrive(target, axon, (sample, tick), "packets_received")
                found.walk(sample, program.cores[home].chip, tile(home), tile(target))
                found.crossings[sample] += abs(chip - program.cores[home].chip)
    return found


def loihi_fan_outs(made: Artifact) -> dict[str, Array]:
    """Return the synapses of weight other than 0 that each neuron and input has on all cores."""
    program = made.program
    cores = [LoihiCore(core.tables) for core in program.cores]
    where = {(core.chip, core.core): index for index, core in enumerate(program.cores)}
    found = {name: np.zeros(int(np.prod(symbol.shape)), np.int64) for name, symbol in program.inputs.items()}
    for name, symbol in program.inputs.items():
        for neuron, core, axon in zip(symbol.neuron.tolist(), symbol.core.tolist(), symbol.axon.tolist(), strict=True):
            found[name][neuron] += cores[core].row(axon)[2]
    for name, place in program.populations.items():
        found[name] = np.zeros(len(place.core), np.int64)
        for neuron, (home, compartment) in enumerate(zip(place.core.tolist(), place.compartment.tolist(), strict=True)):
            first, number = cores[home].lists[compartment]
            for chip, core, axon, _ in cores[home].messages[first : first + number]:
                found[name][neuron] += cores[where[chip, core]].row(axon)[2]
    return found


def assert_equal(found: Counts, recount: Recount) -> None:
    for event, values in recount.per_core.items():
        if event in found.per_core or values.any():
            np.testing.assert_array_equal(found.per_core[event], values, event)
    np.testing.assert_array_equal(found.hops_x, recount.hops[0])
    np.testing.assert_array_equal(found.hops_y, recount.hops[1])
    np.testing.assert_array_equal(found.chip_crossings, recount.crossings)


def assert_links(found: Counts, recount: Recount, made: Artifact) -> None:
    """The load of every link is the packets that were seen to cross it."""
    spikes = {name: values.astype(np.float64) for name, values in found.spikes_of_neurons.items()}
    links = traffic_of(made.mapped, made.spec, spikes).unicast.links
    expected = np.zeros(links.load.shape)
    for (mesh, x, y, to_x, to_y), packets in recount.links.items():
        expected[DIRECTIONS.index((to_x - x, to_y - y)), mesh, y, x] = packets
    np.testing.assert_array_equal(links.load, expected)
    assert expected.sum() == found.totals()["hops"]


@pytest.mark.parametrize("name", CASES)
def test_counts_of_loihi_are_those_of_its_tables(name: str, tmp_path: Path) -> None:
    made = compiled(name, tmp_path)
    assert made.mapped.chips > 1
    trace = simulated(made, stimulus(made))
    counts, recount = count(trace, made.mapped, made.spec), loihi(made, trace)
    assert_equal(counts, recount)
    assert_links(counts, recount, made)
    totals = counts.totals()
    assert min(totals[event] for event in ("spikes", "packets", "host_packets", "hops_x", "hops_y", "chip_crossings")) > 0
    assert totals["packets"] == totals["packets_received"] - totals["host_packets"]
    assert totals["synaptic_events"] >= totals["sops"]


@pytest.mark.parametrize("name", CASES)
def test_spikes_times_fan_out_are_the_sops_of_loihi(name: str, tmp_path: Path) -> None:
    """The fan-out of a neuron: what the chip's own counter says of a single spike; nothing is dropped."""
    made = compiled(name, tmp_path)
    given = stimulus(made)
    trace = simulated(made, given)
    fan_outs, counts = loihi_fan_outs(made), count(trace, made.mapped, made.spec)
    spikes = {key: (values != 0).sum(axis=(0, 1)) for key, values in trace.spikes.items()}
    assert sum(int(spikes[key] @ fan_outs[key]) for key in spikes) == counts.totals()["sops"]
    assert counts.totals()["sops"] == sum(own["sops"] for own in counts.per_projection.values())
    chip = registry.backend(made.spec.backend).chip_simulator().run(made.program, given)
    assert not chip.counters["dropped"].any()
    assert chip.counters["sops"].sum() == counts.totals()["sops"]


# TrueNorth

NEURON = ((0, 2), (2, 2), (4, 2), (6, 2), (29, 1), (30, 2), (32, 2), (34, 1), (36, 4))
"""s by axon type, target, dx, dy, delay, axon."""
CORE, LINE, LONGEST = 1, 2, 15
CHIPLET = {"cores_per_chip": 4, "tiles_x": 2, "tiles_y": 2}


def signed(value: int, size: int) -> int:
    return value - (value >> (8 * size - 1) << (8 * size))


class TrueNorthCore:
    """The tables of a core, as docs/truenorth-program.md has them."""

    def __init__(self, tables: Mapping[str, Array]) -> None:
        place = tables["place"].tobytes()
        self.place = signed(int.from_bytes(place[:4], "little"), 4), signed(int.from_bytes(place[4:], "little"), 4)
        self.neurons = records(tables["neurons"], *NEURON)
        types, crossbar = tables["axon_types"].tolist(), tables["crossbar"].tobytes()
        every = [sum(1 << n for n in range(256) if self.neurons[n][kind]) for kind in range(4)]
        rows = [int.from_bytes(crossbar[32 * a : 32 * a + 32], "little") for a in range(256)]
        kinds = [types[a // 4] >> 2 * (a % 4) & 3 for a in range(256)]
        self.stored = np.array([row.bit_count() for row in rows])
        self.nonzero = np.array([(row & every[kind]).bit_count() for row, kind in zip(rows, kinds, strict=True)])


def truenorth(made: Artifact, trace: Trace) -> Recount:
    program = made.program
    cores = [TrueNorthCore(core.tables) for core in program.cores]
    where = {core.place: index for index, core in enumerate(cores)}
    found = Recount.empty(len(cores), trace)
    _, samples, ticks = found.per_core["spikes"].shape
    active = np.zeros((len(cores), samples, ticks + 4096, 256), np.bool_)

    def arrive(core: int, axon: int, sample: int, tick: int, delay: int, *events: str) -> None:
        active[core, sample, tick + delay, axon] = True
        for event in events:
            found.per_core[event][core, sample, tick] += 1

    sent = {name: [(s.neuron, s.core, s.axon, s.delay)] for name, s in program.inputs.items()}
    sent |= {name: [(s.unit, s.core, s.axon, s.delay)] for name, s in program.pulses.items()}
    for name, triples in sent.items():
        for unit, core, axon, delay in zip(*(column.tolist() for column in triples[0]), strict=True):
            for sample, tick in np.argwhere(trace.spikes[name][:, :, unit]).tolist():
                arrive(core, axon, sample, tick, delay, "packets_received", "host_packets")
    for name, at in program.populations.items():
        for sample, tick, unit in np.argwhere(trace.spikes[name]).tolist():
            home = int(at.core[unit])
            *_, target, dx, dy, delay, axon = cores[home].neurons[int(at.compartment[unit])]
            found.per_core["spikes"][home, sample, tick] += 1
            found.per_core["outputs"][home, sample, tick] += target == LINE
            if target == CORE and delay <= LONGEST:
                x, y = cores[home].place
                to = x + signed(dx, 2), y + signed(dy, 2)
                found.per_core["packets"][home, sample, tick] += 1
                arrive(where[to], axon, sample, tick, delay, "packets_received")
                found.walk(sample, 0, (x, y), to)
                found.crossings[sample] += abs(to[0] // made.spec.mesh.tiles_x - x // made.spec.mesh.tiles_x)
    for index, core in enumerate(cores):
        now = active[index, :, :ticks].astype(np.int64)
        found.per_core["synaptic_events"][index] = now @ core.stored
        found.per_core["sops"][index] = now @ core.nonzero
        found.per_core["words_read"][index] = 4 * now.sum(axis=2)
    return found


TILES = """\
neurocomp: 1
name: tiles
timestep: 1 ms
ticks: 10
populations:
  x: {kind: input, shape: [1, 12, 12]}
  a: {shape: [4, 12, 12], neuron: {model: if, v_threshold: 2.0, reset: subtract, compare: ">="}}
  b: {shape: [5, 5, 5], neuron: {model: if, v_threshold: 3.0, compare: ">="}}
projections:
  - {from: x, to: a, pattern: {conv2d: {padding: 1}}, weights: w.npz#first}
  - {from: a, to: b, pattern: {conv2d: {stride: 2}}, weights: w.npz#second}
encode: {x: {scheme: direct}}
"""


def tiles(folder: Path) -> Artifact:
    """Layers that take cores of three chips, whose neurons reach several cores through copies."""
    rng = np.random.default_rng(12)
    np.savez(folder / "w.npz", first=rng.integers(-1, 2, (4, 1, 3, 3)), second=rng.integers(-1, 2, (5, 4, 3, 3)))
    (folder / "net.yaml").write_text(TILES)
    one = neurocomp.compile(folder / "net.yaml", target=str(spec_file(folder, "truenorth", CHIPLET)))
    assert isinstance(one, Compiled)
    return one.artifact


def assert_truenorth(made: Artifact, given: Mapping[str, Array]) -> Counts:
    trace = simulated(made, given)
    counts, recount = count(trace, made.mapped, made.spec), truenorth(made, trace)
    assert_equal(counts, recount)
    assert_links(counts, recount, made)
    totals = counts.totals()
    assert totals["packets"] == totals["packets_received"] - totals["host_packets"]
    assert totals["sops"] == sum(own["sops"] for own in counts.per_projection.values())
    assert min(totals[event] for event in ("packets", "host_packets", "sops")) > 0
    return counts


@pytest.mark.parametrize("seed", SEEDS)
def test_counts_of_truenorth_are_those_of_its_tables(seed: int, tmp_path: Path) -> None:
    network, given = random_lowerable_network(seed)
    one = neurocomp.compile(network, target=str(spec_file(tmp_path, "truenorth", CHIPLET)))
    assert_truenorth(one.artifact, one.stimulus(inputs=given))


def test_counts_of_several_chips_of_truenorth_are_those_of_their_tables(tmp_path: Path) -> None:
    made = tiles(tmp_path)
    assert made.mapped.chips > 2
    totals = assert_truenorth(made, stimulus(made)).totals()
    assert min(totals[event] for event in ("hops_x", "hops_y", "chip_crossings")) > 0
