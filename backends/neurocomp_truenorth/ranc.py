"""Reads networks of RANC (UA-RCL/RANC, MIT): ``input.json`` and ``config.json`` of its simulator. docs/ranc.md describes them.

Tick k of ours is tick k + 1 of RANC's. A packet in row k with ``destination_tick`` d is a spike of the stimulus in tick k + d,
a neuron's ``destination_tick`` d a delay of d + 1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Imported
from neurocomp.errors import Diagnostic, Location, NetworkError, UnsupportedError, broken_invariant
from neurocomp.hardware import CROSSBARS_HOLD, HardwareSpec, NumberFormat, load_spec
from neurocomp.ir.lowered import LoweredNetwork, Representative
from neurocomp.ir.network import Data, Encoder, Network, Neuron, Population, Samples, frozen
from neurocomp.ir.quantized import (
    AXON_TYPES,
    TRUENORTH,
    Crossbar,
    IntegerNetwork,
    IntegerPopulation,
    IntegerProjection,
    compartment_ranges,
)
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern
from neurocomp_truenorth.mapping import map_network

Array = NDArray[Any]
IntArray = NDArray[np.int64]

PACKETS, AXONS, NEURONS, BUS = "packets", "axons", "neurons", "bus"
"""Populations of an imported network."""
INPUT, CONFIG, OUTPUT, META = "input.json", "config.json", "output.txt", "meta.json"
DRAINING = 16
"""Ticks that are run after the last row of packets where no file says how many."""
MOST_TICKS = 1 << 24
MOST_BYTES = 1 << 30
"""Of one file."""
MOST_CELLS = 1 << 31
"""Ticks times distinct destinations of packets."""
LONGEST = 16
"""Slots of RANC's scheduler, and ours; a packet for the last one is dropped."""
TIMESTEP = 1e-3
INT32 = (1 << 31) - 1
FIELDS = {
    "alpha": "positive_threshold",
    "beta": "negative_threshold",
    "lambda": "leak",
    "R": "reset_potential",
    "V": "current_potential",
    "gamma": "reset_mode",
}
"""Parameter of a neuron -> RANC's name of it."""

SPEC = """\
# The grid of one RANC network, written by 'neurocomp import'. Widths are those of the TrueNorth tables that hold it.
neurocomp_spec: 1
name: ranc
title: RANC, {x} by {y} cores
backend: truenorth

sources:
  ranc: "RANC, UA-RCL/RANC, config.json of the network"
  truenorth: "the field widths of truenorth.yaml"

integers:
  name: truenorth
  weight_bits: 8
  threshold_bits: 18
  bias_bits: 8
  v_bits: 20
  origin:
    weight_bits: {{source: truenorth, kind: derived}}
    threshold_bits: {{source: truenorth, kind: derived}}
    bias_bits: {{source: truenorth, kind: derived}}
    v_bits: {{source: truenorth, kind: derived}}

limits:
  chips: {{value: 1, source: ranc, kind: vendor}}
  cores_per_chip: {{value: {cores}, source: "ranc, num_cores_x times num_cores_y", kind: vendor}}
  neurons: {{value: {neurons}, source: "ranc, num_neurons", kind: vendor}}
  input_axons: {{value: {axons}, source: "ranc, num_axons", kind: vendor}}
  axon_types: {{value: {weights}, source: "ranc, num_weights", kind: vendor}}
  delay: {{value: {delay}, source: "ranc, max_tick_offset - 1", kind: vendor}}

mesh:
  tiles_x: {{value: {x}, source: "ranc, num_cores_x", kind: vendor}}
  tiles_y: {{value: {y}, source: "ranc, num_cores_y", kind: vendor}}
  cores_per_tile: {{value: 1, source: ranc, kind: vendor}}

native:
  neuron_models: [truenorth]
  patterns: [dense, one_to_one, sparse, block]
  input: [delta]
  threshold_on: [new]
  compare: [">="]
  spikes_per_tick: [one]
  reset: [zero, subtract]
  reset_when: [same_tick]

hop_ticks: 1
synapse_cost: crossbar
"""


def import_ranc(path: Path, ticks: int | None) -> Imported:
    """Read a folder with ``input.json`` and ``config.json``.

    Args:
        path: The folder. Ticks come from its ``output.txt`` (rows), else its ``meta.json`` (``ticks``), else they are the rows
            of packets and `DRAINING` more.
        ticks: As many instead.

    Raises:
        NetworkError: A file is missing, no JSON, or says what has no meaning; with its place.
        UnsupportedError: A number is beyond what the tables hold (NC0341).
    """
    if not path.is_dir():
        hint = f"give the folder that holds {INPUT} and {CONFIG}"
        raise NetworkError(Diagnostic("NC0101", f"'{path.name}' is no folder", hint=hint))
    config = _Config.of(_read(path / CONFIG))
    root = _read(path / INPUT)
    bus = _Bus.of(root.key("output_bus"), config)
    cores = _cores(root.key("cores"), config, bus)
    rows = root.key("packets").items(None)
    ticks = ticks if ticks is not None else _ticks(path, len(rows))
    if ticks > MOST_TICKS:
        raise NetworkError(Diagnostic("NC0209", f"{ticks} ticks are more than {MOST_TICKS}"))
    return _assembled(_name(path), config, bus, cores, _packets(rows, config, bus, cores, ticks), ticks)


# JSON with places


@dataclass(frozen=True, slots=True)
class _Node:
    """A value of a JSON file and where it stands."""

    value: Any
    file: str
    path: str = ""

    def fail(self, code: str, what: str, hint: str | None = None) -> NoReturn:
        """Raise an error about the value."""
        kind = UnsupportedError if code == "NC0341" else NetworkError
        raise kind(Diagnostic(code, f"{self.path or 'the file'} {what}", Location(self.file), hint=hint))

    def find(self, name: str) -> _Node | None:
        """Return a key of an object; None: it has no such key."""
        if not isinstance(self.value, dict):
            self.fail("NC0104", f"is {_kind(self.value)}, not an object")
        if name not in self.value:
            return None
        return _Node(self.value[name], self.file, f"{self.path}.{name}" if self.path else name)

    def key(self, name: str, hint: str | None = None) -> _Node:
        """Return a key of an object that must be there."""
        found = self.find(name)
        if found is None:
            self.fail("NC0105", f"has no '{name}'", hint)
        return found

    def items(self, most: int | None, what: str = "entries", least: int = 0) -> list[_Node]:
        """Return the entries of a list of ``least`` to ``most``."""
        return [_Node(value, self.file, f"{self.path}[{i}]") for i, value in enumerate(self.raw(most, what, least))]

    def raw(self, most: int | None, what: str = "entries", least: int = 0) -> list[Any]:
        """Return the values of such a list."""
        if not isinstance(self.value, list):
            self.fail("NC0104", f"is {_kind(self.value)}, not a list")
        if not least <= len(self.value) <= (len(self.value) if most is None else most):
            allowed = f"{most}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
            self.fail("NC0209", f"has {len(self.value)} {what}; {allowed} are possible")
        return self.value

    def integer(self, low: int = -INT32 - 1, high: int = INT32, code: str = "NC0209", why: str = "") -> int:
        """Return a whole number of a range."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self.fail("NC0104", f"is {_kind(self.value)}, not a whole number")
        if abs(self.value) > 1 << 63:
            self.fail("NC0209", "is a number beyond 64 bits")
        if not low <= self.value <= high:
            self.fail(code, f"is {self.value}, not {low} to {high}{why}")
        return self.value

    def pair(self) -> tuple[int, int]:
        """Return two whole numbers."""
        x, y = self.items(2, "numbers", 2)
        return x.integer(), y.integer()


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", float: "a fraction", type(None): "null"}
    return names.get(type(value), "a whole number")


def _read(file: Path) -> _Node:
    """Read a JSON file, with or without a byte-order mark."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise NetworkError(Diagnostic("NC0209", f"'{file.name}' is larger than {MOST_BYTES} bytes"))
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise NetworkError(Diagnostic("NC0101", f"cannot read '{file.name}': {reason}")) from None
    except UnicodeDecodeError:
        raise NetworkError(Diagnostic("NC0108", "the file is not UTF-8", Location(file.name))) from None
    try:
        return _Node(json.loads(text), file.name)
    except json.JSONDecodeError as error:
        where = Location(file.name, error.lineno, error.colno)
        raise NetworkError(Diagnostic("NC0108", error.msg[:1].lower() + error.msg[1:], where)) from None
    except (ValueError, RecursionError):
        raise NetworkError(Diagnostic("NC0108", "nesting or a number is beyond all measure", Location(file.name))) from None


def _ticks(path: Path, rows: int) -> int:
    """Return how many ticks the files suggest."""
    if (path / OUTPUT).is_file():
        try:
            text = (path / OUTPUT).read_bytes().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError):
            raise NetworkError(Diagnostic("NC0101", f"cannot read '{OUTPUT}'", hint="give --ticks N")) from None
        found = sum(1 for line in text.splitlines() if line.strip())
        if found:
            return found
    if (path / META).is_file():
        stated = _read(path / META).find("ticks")
        if stated is not None:
            return stated.integer(1, MOST_TICKS)
    return rows + DRAINING


def _name(path: Path) -> str:
    return re.sub(r"[^\w.-]", "_", path.resolve().name) or "ranc"


# What the files say


@dataclass(frozen=True, slots=True)
class _Config:
    """The grid and the limits of its cores."""

    x: int
    y: int
    neurons: int
    axons: int
    weights: int
    slots: int
    """Of the scheduler."""
    symmetric: int

    @classmethod
    def of(cls, root: _Node) -> _Config:
        """Read ``config.json``."""

        def limit(name: str, most: int) -> int:
            return root.key(name).integer(1, most, "NC0341", ", which cores can have")

        x, y = root.key("num_cores_x").integer(1), root.key("num_cores_y").integer(1)
        if x * y > CROSSBARS_HOLD["cores_per_chip"]:
            root.fail("NC0341", f"has a grid of {x * y} cores; at most {CROSSBARS_HOLD['cores_per_chip']} are possible")
        slots = root.find("max_tick_offset")
        reset = root.find("neuron_reset_type")
        return cls(
            x, y, limit("num_neurons", CROSSBARS_HOLD["neurons"]), limit("num_axons", CROSSBARS_HOLD["input_axons"]),
            limit("num_weights", AXON_TYPES),
            LONGEST if slots is None else slots.integer(2, LONGEST, "NC0341", ", which schedulers have"),
            0 if reset is None else reset.integer(0, 1),
        )  # fmt: skip

    def spec(self) -> HardwareSpec:
        """Return the grid as a hardware spec."""
        text = SPEC.format(
            x=self.x, y=self.y, cores=self.x * self.y, neurons=self.neurons, axons=self.axons, weights=self.weights,
            delay=self.slots - 1,
        )  # fmt: skip
        return load_spec(text, "ranc.yaml")

    def place(self, node: _Node, x: int, y: int, what: str) -> tuple[int, int]:
        """Return coordinates that lie on the grid."""
        if not (0 <= x < self.x and 0 <= y < self.y):
            node.fail("NC0209", f"{what} ({x}, {y}), outside of the grid of {self.x} by {self.y}")
        return x, y


@dataclass(frozen=True, slots=True)
class _Bus:
    """Where spikes leave the grid."""

    place: tuple[int, int]
    outputs: int

    @classmethod
    def of(cls, node: _Node, config: _Config) -> _Bus:
        """Read ``output_bus``."""
        where = node.key("coordinates")
        place = config.place(where, *where.pair(), "is")
        return cls(place, node.key("num_outputs").integer(1, 1 << 20))


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a neuron sends its spikes."""

    place: tuple[int, int]
    axon: int
    delay: int
    dropped: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Core:
    """One core of the file."""

    place: tuple[int, int]
    types: IntArray
    """(axons,)."""
    connected: NDArray[np.bool_]
    """(axons, neurons)."""
    weights: IntArray
    """(neurons, 4)."""
    parameters: Mapping[str, IntArray]
    """By TrueNorth's names, each (neurons,)."""
    targets: Sequence[_Target]


def _cores(node: _Node, config: _Config, bus: _Bus) -> list[_Core]:
    """Read ``cores``, ordered by place."""
    cores: dict[tuple[int, int], _Core] = {}
    for entry in node.items(None):
        core = _core(entry, config, bus)
        if core.place in cores or core.place == bus.place:
            what = "the output bus" if core.place == bus.place else "another core"
            entry.key("coordinates").fail("NC0206", f"is the place of {what}")
        cores[core.place] = core
    if not any(len(core.targets) for core in cores.values()):
        node.fail("NC0213", "hold no neurons")
    return sorted(cores.values(), key=lambda core: core.place[::-1])


def _core(node: _Node, config: _Config, bus: _Bus) -> _Core:
    where = node.key("coordinates")
    place = config.place(where, *where.pair(), "is")
    types = np.zeros(config.axons, np.int64)
    for index, axon in enumerate(node.key("axons").items(config.axons, "axons")):
        types[index] = axon.integer(0, config.weights - 1)
    neurons = node.key("neurons").items(config.neurons, "neurons")
    rows = node.key("connections").items(config.neurons, "rows", len(neurons))
    connected = np.zeros((config.axons, len(neurons)), np.bool_)
    for index, row in enumerate(rows):
        values = row.raw(config.axons, "axons")
        if not set(map(type, values)) <= {int, bool} or not set(values) <= {0, 1}:
            bad = next(i for i, value in enumerate(values) if type(value) not in (int, bool) or value not in (0, 1))
            row.items(None)[bad].fail("NC0209", f"is {_kind(values[bad])} other than 0 and 1")
        if index < len(neurons):
            connected[: len(values), index] = values
    weights = np.zeros((len(neurons), AXON_TYPES), np.int64)
    table = np.zeros((len(neurons), len(FIELDS)), np.int64)
    targets = []
    for index, neuron in enumerate(neurons):
        for kind, weight in enumerate(neuron.key("weights").items(config.weights, "weights")):
            weights[index, kind] = weight.integer(-255, 255, "NC0341", ", which a weight can be")
        table[index] = _parameters(neuron)
        targets.append(_target(neuron, place, config, bus))
    parameters = dict(zip(FIELDS, table.T, strict=True))
    return _Core(place, types, connected, weights, parameters, targets)


def _number_format() -> NumberFormat:
    return _Config(1, 1, 1, 1, 1, LONGEST, 0).spec().number_format


RANGES = {name: (low, high) for name, low, high in compartment_ranges(_number_format(), "truenorth") if name in FIELDS}
"""What the parameters of a neuron can be; the negative threshold is -beta."""


def _parameters(neuron: _Node) -> list[int]:
    """Return the numbers of a neuron in the order of `FIELDS`."""
    found = []
    for name, field_name in FIELDS.items():
        low, high = RANGES[name]
        node = neuron.key(field_name)
        if name == "beta":
            found.append(-node.integer(-high, -low, "NC0341", ", which the tables hold"))
        elif name == "gamma":
            found.append(node.integer(low, high))
        else:
            found.append(node.integer(low, high, "NC0341", ", which the tables hold"))
    return found


def _target(neuron: _Node, place: tuple[int, int], config: _Config, bus: _Bus) -> _Target:
    offset = neuron.find("destination_core_offset")
    if offset is None:
        old = neuron.find("destination_core")
        hint = "RANC now has 'destination_core_offset', relative to the neuron's own core"
        if old is None or place != (0, 0):
            neuron.key("destination_core_offset", hint if old is not None else None)
        assert old is not None
        offset = old  # at (0, 0) both readings of the old name are one
    dx, dy = offset.pair()
    there = config.place(offset, place[0] + dx, place[1] + dy, "leads to")
    tick = neuron.key("destination_tick").integer(0, config.slots - 1)
    axon = neuron.key("destination_axon")
    if there == bus.place:
        return _Target(there, axon.integer(0, bus.outputs - 1), 1, False)
    return _Target(there, axon.integer(0, config.axons - 1), tick + 1, tick == config.slots - 1)


@dataclass(slots=True)
class _Packets:
    """What the host sends."""

    places: IntArray
    """(n, 2): core, as an index, and axon of each destination, sorted."""
    spikes: NDArray[np.uint8]
    """(ticks, n)."""
    counts: dict[str, int] = field(default_factory=dict)


def _packets(rows: list[_Node], config: _Config, bus: _Bus, cores: Sequence[_Core], ticks: int) -> _Packets:
    index = {core.place: number for number, core in enumerate(cores)}
    counts = dict.fromkeys(("packets", "dropped", "lost", "late"), 0)
    found: list[tuple[int, int, int]] = []
    for k, row in enumerate(rows):
        for packet in row.items(None):
            counts["packets"] += 1
            where = packet.key("destination_core")
            place = config.place(where, *where.pair(), "is")
            axon = packet.key("destination_axon").integer(0, config.axons - 1)
            tick = packet.key("destination_tick").integer(0, config.slots - 1)
            if place == bus.place:
                where.fail("NC0341", "is the output bus, which takes spikes of neurons only")
            if tick == config.slots - 1:
                counts["dropped"] += 1
            elif place not in index:
                counts["lost"] += 1
            elif k + tick >= ticks:
                counts["late"] += 1
            else:
                found.append((index[place], axon, k + tick))
    table = np.array(found, np.int64).reshape(-1, 3)
    places, neuron = np.unique(table[:, :2], axis=0, return_inverse=True)
    if len(places) * ticks > MOST_CELLS:
        raise NetworkError(Diagnostic("NC0209", f"{ticks} ticks of {len(places)} destinations are too many to hold"))
    spikes = np.zeros((ticks, len(places)), np.uint8)
    spikes[table[:, 2], neuron.reshape(-1)] = 1
    counts["merged"] = len(found) - int(spikes.sum())
    return _Packets(places, spikes, counts)


# The network


def _assembled(name: str, config: _Config, bus: _Bus, cores: list[_Core], packets: _Packets, ticks: int) -> Imported:
    spec = config.spec()
    neurons = [len(core.targets) for core in cores]
    crossbar = Crossbar(
        name="cores", axons=AXONS, neurons=NEURONS,
        axon_start=frozen(np.arange(len(cores) + 1) * config.axons),
        neuron_start=frozen(np.cumsum([0, *neurons])),
        types=frozen(np.concatenate([core.types for core in cores])),
        bits=frozen(np.concatenate([Crossbar.packed(core.connected) for core in cores])),
        s=frozen(np.concatenate([core.weights for core in cores])),
        b=frozen(np.zeros((sum(neurons), AXON_TYPES), np.int64)),
        slots=frozen(np.arange(len(cores) * config.axons)),
    )  # fmt: skip
    parameters: dict[str, Array] = dict.fromkeys(TRUENORTH, frozen(np.int64(0)))
    for key in FIELDS:
        parameters[key] = frozen(np.concatenate([core.parameters[key] for core in cores]))
    parameters["symmetric"] = frozen(np.int64(config.symmetric))
    populations = {
        AXONS: IntegerPopulation(AXONS, (len(cores) * config.axons,), "axons", {}),
        NEURONS: IntegerPopulation(NEURONS, (sum(neurons),), "truenorth", parameters),
        BUS: IntegerPopulation(BUS, (bus.outputs,), "axons", {}),
    }
    projections = list(_hops(config, bus, cores, crossbar))
    n_packets = len(packets.places)
    if n_packets:
        populations = {PACKETS: IntegerPopulation(PACKETS, (n_packets,), "input", {}), **populations}
        target = packets.places[:, 0] * config.axons + packets.places[:, 1]
        ones = np.ones(n_packets, np.uint8)
        projections.insert(0, _projection(PACKETS, AXONS, np.arange(n_packets), target, ones, np.zeros(n_packets, np.int64)))
    network = IntegerNetwork(
        name, TIMESTEP, ticks, spec.number_format, populations, tuple(projections), (crossbar,), (BUS,)
    )  # fmt: skip
    merges = _merges(network)
    counts = _counts(network, cores, packets, merges)
    read = [name for name in (PACKETS, BUS) if name in populations]
    lowered = LoweredNetwork(
        network, dict.fromkeys(populations, 0), {name: Representative(name, 0) for name in read}, declared_merges=merges
    )
    mapped, violations = map_network(lowered, spec, [core.place[1] * config.x + core.place[0] for core in cores])
    if mapped is None:
        raise broken_invariant("import", f"the cores fit their own grid: {violations[0].message}")
    samples = Samples({PACKETS: frozen(packets.spikes[None])}) if n_packets else None
    return Imported(_interface(name, ticks, populations, samples), mapped, spec, _notes(counts, ticks), counts)


def _hops(config: _Config, bus: _Bus, cores: list[_Core], crossbar: Crossbar) -> Iterator[IntegerProjection]:
    """Yield what neurons send to cores, and to the bus."""
    index = {core.place: number for number, core in enumerate(cores)}
    inside, outside = [], []
    for number, core in enumerate(cores):
        for neuron, target in enumerate(core.targets, int(crossbar.neuron_start[number])):
            if target.place == bus.place:
                outside.append((neuron, target.axon, 1, 1))
            elif target.place in index:
                axon = index[target.place] * config.axons + target.axon
                inside.append((neuron, axon, 0 if target.dropped else 1, target.delay))
    for name, found in ((AXONS, inside), (BUS, outside)):
        if found:
            source, target_axon, weight, delay = np.array(found, np.int64).T
            yield _projection(NEURONS, name, source, target_axon, weight.astype(np.uint8), delay)


def _projection(
    source: str, target: str, sources: IntArray, targets: IntArray, weight: NDArray[np.uint8], delay: IntArray
) -> IntegerProjection:
    arrays = {"sources": frozen(np.ascontiguousarray(sources)), "targets": frozen(np.ascontiguousarray(targets))}
    return IntegerProjection(
        f"{source}_{target}", source, target, Pattern("sparse", arrays, {}), frozen(np.ascontiguousarray(weight)), 0,
        "excitatory", 1, 0, frozen(np.ascontiguousarray(delay)),
    )  # fmt: skip


def _merges(network: IntegerNetwork) -> dict[str, IntArray]:
    """Return the axons and lines at which packets of several sources can meet."""
    found = {}
    for name in (AXONS, BUS):
        sources = np.zeros(network.populations[name].size, np.int64)
        for q in network.projections_to(name):
            np.add.at(sources, q.pattern.arrays["targets"][q.mantissa != 0], 1)
        if (sources > 1).any():
            found[name] = frozen(np.flatnonzero(sources > 1))
    return found


def _counts(
    network: IntegerNetwork, cores: Sequence[_Core], packets: _Packets, merges: Mapping[str, IntArray]
) -> dict[str, int]:
    sent = [q for q in network.projections if q.source == NEURONS]
    neurons = network.populations[NEURONS].size
    return {
        "cores": len(cores),
        "axons": network.populations[AXONS].size,
        "neurons": neurons,
        "lines": network.populations[BUS].size,
        "synapses": int(sum(np.count_nonzero(core.connected) for core in cores)),
        "merges": sum(len(axons) for axons in merges.values()),
        "dropped": sum(int((q.mantissa == 0).sum()) for q in sent),
        "lost": neurons - sum(len(q.mantissa) for q in sent),
        **{"packets" if name == "packets" else f"packets_{name}": count for name, count in packets.counts.items()},
    }


def _notes(counts: Mapping[str, int], ticks: int) -> tuple[str, ...]:
    """Return what was found that a reader may not expect."""
    texts = {
        "merges": "{n} axons or output lines take packets of several sources, of which those of one tick become one",
        "dropped": "{n} neurons send packets that the scheduler drops (the last destination_tick)",
        "lost": "{n} neurons send to places without a core",
        "packets_dropped": "{n} packets of the host are dropped by the scheduler (the last destination_tick)",
        "packets_merged": "{n} packets of the host become one with others of their tick",
        "packets_lost": "{n} packets of the host go to places without a core",
        "packets_late": "{n} packets of the host arrive after the last tick",
    }
    where = "tick k is RANC's tick k + 1; row t of its output is the bus in tick t"
    found = (f"{ticks} ticks: {where}", *(text.format(n=counts[name]) for name, text in texts.items() if counts[name]))
    return tuple(re.sub(r"^1 (\w+?)s\b", r"1 \1", note) for note in found)


def _interface(name: str, ticks: int, populations: Mapping[str, IntegerPopulation], samples: Samples | None) -> Network:
    """Return what feeds the network and what is read."""
    bus = Population(
        BUS, populations[BUS].shape, Neuron("truenorth", {}, replace(Semantics(), compare=">="), "truenorth")
    )  # fmt: skip
    if samples is None:
        return Network(name, TIMESTEP, ticks, {BUS: bus}, ())
    inputs = {PACKETS: Population(PACKETS, populations[PACKETS].shape)}
    encoders = {PACKETS: Encoder("direct", {})}
    return Network(name, TIMESTEP, ticks, {**inputs, BUS: bus}, (), encoders, data=Data(samples=samples))
