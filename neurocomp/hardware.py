"""Hardware specs: limits, number formats, mesh and costs of a chip; every value with its unit, source and kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from neurocomp.errors import Diagnostic, Location, SpecError, did_you_mean
from neurocomp.located import LocatedYaml, parse

Kind = Literal["measured", "pre-silicon", "fitted", "derived", "vendor", "uncertain"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Sourced:
    """A number of a spec with where it comes from. ``low`` and ``high`` equal ``value`` where one number is published."""

    value: float
    source: str
    kind: Kind
    low: float
    high: float
    place: str
    """``loihi.yaml:12``, for messages."""

    @property
    def limit_text(self) -> str:
        """Return ``(loihi.yaml:12; Davies 2018, p. 86)``."""
        return f"({self.place}; {self.source})"


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """What "integer" means: the arithmetic of one chip family, with the widths of one chip.

    The update of a compartment, with ``tz`` rounding toward zero (Lava 0.10's fixed-point LIF; see docs/semantics.md):

        u <- tz(u (2**decay_bits - du - current_decay_offset) / 2**decay_bits) + (a << state_shift)     then u_overflow
        v <- tz(v (2**decay_bits - dv) / 2**decay_bits) + u + (bias_mant << bias_exp)                   then v saturates
        spike where v > (vth << state_shift); v <- 0
    """

    name: str
    weight_bits: int = 8
    """Magnitude bits of a synaptic weight without sign; mixed signs lose the lowest bit."""
    weight_exp_min: int = -8
    weight_exp_max: int = 7
    decay_bits: int = 12
    current_decay_offset: int = 1
    state_shift: int = 6
    threshold_bits: int = 17
    bias_bits: int = 12
    """Magnitude bits of the bias mantissa, beside its sign."""
    bias_exp_max: int = 7
    u_bits: int = 24
    u_overflow: Literal["fold", "wrap"] = "fold"
    """``fold``: one conditional subtraction or addition of 2**u_bits, as Lava does it; ``wrap``: two's complement."""
    v_bits: int = 24
    """v saturates at +-(2**(v_bits - 1) - 1), as Lava does it."""
    accumulator_bits: int = 16
    """Width with sign of the sum of weights of one tick, before the shift; Lava does not enforce it, the compiler proves it."""
    plain_weights: bool = False
    """Weights are whole numbers as they are; else mantissas of 8 bits with a shift and an exponent."""
    checked: bool = True
    """False: values outside the widths are let through; for vectors of simulators that do not check (``lava-unchecked``)."""

    @property
    def decay_one(self) -> int:
        """The decay that clears a state."""
        return 1 << self.decay_bits

    @property
    def threshold_max(self) -> int:
        """The largest threshold mantissa."""
        return (1 << self.threshold_bits) - 1

    @property
    def bias_max(self) -> int:
        """The largest magnitude of a bias mantissa."""
        return (1 << self.bias_bits) - 1

    @property
    def u_max(self) -> int:
        """The magnitude beyond which u overflows."""
        return 1 << (self.u_bits - 1)

    @property
    def v_max(self) -> int:
        """The magnitude at which v saturates."""
        return (1 << (self.v_bits - 1)) - 1

    @property
    def weight_max(self) -> int:
        """The largest magnitude of a plain weight: what 16 bits hold; several axons of a source can add up to it."""
        return (1 << 15) - 1

    @property
    def weight_max_type(self) -> int:
        """The largest magnitude of a neuron's weight for an axon type, where weights are plain."""
        return (1 << self.weight_bits) - 1

    @property
    def accumulator_max(self) -> int:
        """The largest magnitude that the accumulator holds with either sign."""
        return (1 << (self.accumulator_bits - 1)) - 1


CROSSBAR_FORMAT: dict[str, Any] = {
    "weight_exp_min": 0,
    "weight_exp_max": 0,
    "current_decay_offset": 0,
    "state_shift": 0,
    "bias_exp_max": 0,
    "plain_weights": True,
}
"""What the number format of a crossbar chip has in place of exponents and shifts."""

LAVA_UNCHECKED = NumberFormat("lava-unchecked", checked=False)
"""Lava's arithmetic without any range check, for golden vectors only."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """The network on chip: tiles of ``cores_per_tile`` cores on a ``tiles_x`` by ``tiles_y`` grid per chip, x before y."""

    tiles_x: int
    tiles_y: int
    cores_per_tile: int

    def tile(self, core: int) -> tuple[int, int]:
        """Return the (x, y) tile of a core of one chip: cores fill a tile, tiles fill a row."""
        tile = core // self.cores_per_tile
        return tile % self.tiles_x, tile // self.tiles_x


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that events take, by one source."""

    events: Mapping[str, Sourced]
    """Name of `TIMES` -> seconds."""
    barrier: Mapping[int, Sourced]
    """So many tiles in use or more -> seconds that every tick takes beyond its work."""

    def barrier_of(self, tiles: int) -> Sourced | None:
        """Return what a tick takes beyond its work where so many tiles are in use; None where nothing is stated."""
        stated = [least for least in self.barrier if least <= tiles]
        return self.barrier[max(stated)] if stated else None


@dataclass(frozen=True, slots=True)
class HardwareSpec:
    """One chip of a family that a backend knows."""

    name: str
    title: str
    backend: str
    number_format: NumberFormat
    limits: Mapping[str, Sourced]
    mesh: Mesh
    native: Mapping[str, tuple[str, ...]]
    """Per semantic axis the values that the chip has natively."""
    synapse_cost: str
    """Which published formula gives the words of a core's synapse memory: ``nxtf`` or ``nengo_loihi``; or ``weights``."""
    costs: Mapping[str, Mapping[str, Sourced]]
    """Cost source -> event -> joules (or watts, for ``static_power_per_chip``)."""
    default_costs: str
    """The source that reports use unless they are told otherwise; empty where the spec states no costs."""
    sources: Mapping[str, str]
    """Source key -> full reference."""
    text: str
    """The YAML as read; artifacts carry it."""
    file: str
    extensions: tuple[str, ...] = ()
    """What simulations of the chip can do beyond it, if it is allowed by name and printed as not on this chip."""
    origins: Mapping[str, Sourced] = field(default_factory=dict)
    """Field of the number format -> its value with where it comes from; fields without a stated origin are absent."""
    times: Mapping[str, Times] = field(default_factory=dict)
    """Cost source -> what takes how long; sources without times are absent."""

    def has(self, axis: str, word: str = "yes") -> bool:
        """Return whether the chip does something natively."""
        return word in self.native.get(axis, ())

    def does_natively(self, extension: str) -> bool:
        """Return whether what `EXTENSIONS` names needs no extension on this chip."""
        return self.has(*EXTENSIONS[extension][:2])

    hop_ticks: int = 1
    """Ticks that a spike takes at least from neuron to neuron; 0 on what is no chip."""

    @property
    def stores_rows(self) -> bool:
        """Whether cores store rows of synapses by a published formula; else crossbars, or the weights as they are."""
        return self.synapse_cost in SYNAPSE_COSTS

    @property
    def has_crossbars(self) -> bool:
        """Whether cores hold crossbars of bits."""
        return self.synapse_cost == CROSSBAR

    def limit(self, name: str) -> int:
        """Return a limit as an integer."""
        return int(self.limits[name].value)

    def limit_text(self, name: str) -> str:
        """Return a limit as messages print it: ``input axons per core = 4096 (loihi.yaml:31; Davies 2018, p. 89)``."""
        return f"{LIMITS[name]} = {self.limit(name)} {self.limits[name].limit_text}"

    def format_text(self, name: str) -> str | None:
        """Return a field of the number format as messages print it: ``bits of a threshold = 17 (loihi.yaml:27; lava, ...)``.

        None where the spec does not say where the number comes from.
        """
        if name not in self.origins:
            return None
        return f"{FORMAT_FIELDS[name]} = {int(self.origins[name].value)} {self.origins[name].limit_text}"


LIMITS: dict[str, str] = {
    "chips": "chips per system",
    "cores_per_chip": "cores per chip",
    "neurons": "neurons per core",
    "input_axons": "input axons per core",
    "output_axons": "output axons per core",
    "synapse_words": "64-bit synapse words per core",
    "decay_profiles": "decay profiles per core",
    "threshold_profiles": "threshold profiles per core",
    "synapse_formats": "synapse formats per core",
    "synapses_per_entry": "synapses per synapse entry",
    "delay": "delay ticks per synapse",
    "delay_address_bits": "bits of delay and neuron index per synapse",
    "refractory": "silent ticks after a spike",
    "axon_types": "types of input axons per core",
}
"""Every limit that a spec states, with its name in messages."""

OPTIONAL_LIMITS = ("refractory",)
"""Limits of what a chip may lack altogether; needed where ``native`` lists it."""

CROSSBAR_LIMITS = ("chips", "cores_per_chip", "neurons", "input_axons", "axon_types", "delay")
"""The limits of a chip whose cores hold crossbars; others have all but ``axon_types``."""

LARGEST_LIMIT = 2**31 - 1
"""No chip has more of anything; beyond it a number is a slip."""

TABLES_HOLD: dict[str, int] = {
    "chips": 1 << 16,
    "cores_per_chip": 1 << 16,
    "neurons": 1 << 12,
    "input_axons": 1 << 16,
    "decay_profiles": 1 << 8,
    "threshold_profiles": 1 << 8,
    "synapse_formats": 15,
    "synapses_per_entry": 64,
    "delay": 63,
    "delay_address_bits": 32,
    "refractory": 62,
}
"""The largest values of a chip's limits: the published table formats have no more bits; docs/loihi-program.md draws them."""

CROSSBARS_HOLD: dict[str, int] = {
    "chips": 1 << 15,
    "cores_per_chip": 1 << 15,
    "neurons": 256,
    "input_axons": 256,
    "axon_types": 4,
    "delay": 15,
}
"""The same of a chip whose cores hold crossbars; docs/truenorth-program.md draws the tables."""

EVENTS: tuple[str, ...] = (
    "synaptic_event",
    "neuron_update_active",
    "neuron_update_inactive",
    "spike",
    "packet",
    "packet_received",
    "word_read",
    "hop_x",
    "hop_y",
)
"""What happens on a chip and may cost energy and time."""
COSTS = (*EVENTS, "chip_crossing", "static_power_per_chip", "host_power_per_chip")
"""What a cost source may state, in joules per event and watts per chip."""
TIMES = (*EVENTS, "link", "tick")
"""What a source of times may state beside ``barrier``, in seconds; ``tick`` alone is a clock that the work does not change."""
SYNAPSE_COSTS = ("nxtf", "nengo_loihi")
CROSSBAR = "crossbar"
"""The ``synapse_cost`` of a chip whose cores hold a bit for each pair of input axon and neuron."""
WEIGHTS_ALONE = "weights"
"""The ``synapse_cost`` of a target that is no chip: the bytes of the stored weights, and no rows."""
AXES: dict[str, tuple[str, ...]] = {
    "input": ("delta", "current"),
    "threshold_on": ("new", "old"),
    "compare": (">", ">="),
    "spikes_per_tick": ("one", "many"),
    "reset": ("zero", "subtract", "value", "none"),
    "reset_when": ("same_tick", "next_tick", "next_update"),
    "refractory": ("yes",),
    "v_floor": ("yes",),
    "periodic_reset": ("yes",),
    "graded": ("yes",),
    "programmed": ("yes",),
    "learning": ("yes",),
}
"""Axes of ``native`` and their words."""

EXTENSIONS: dict[str, tuple[str, str, str]] = {
    "graded": ("graded", "yes", "spikes that carry a value"),
    "ternary": ("neuron_models", "ternary_lif", "neurons that send +1 and -1"),
    "programmed": ("programmed", "yes", "neurons that are programs of a core"),
}
"""Extension -> (axis of ``native``, its word there, what it is): what simulations can do beyond a chip that lacks it."""

MOST_DELAY_BITS = 6
"""Bits of the largest delay field of a synapse."""

FORMAT_FIELDS: dict[str, str] = {
    "weight_bits": "bits of a weight",
    "weight_exp_min": "smallest exponent of weights",
    "weight_exp_max": "largest exponent of weights",
    "decay_bits": "bits of a decay",
    "current_decay_offset": "offset of the decay of a current",
    "state_shift": "shift of thresholds and sums",
    "threshold_bits": "bits of a threshold",
    "bias_bits": "bits of a bias beside its sign",
    "bias_exp_max": "largest exponent of a bias",
    "u_bits": "bits of a current with sign",
    "v_bits": "bits of a potential with sign",
    "accumulator_bits": "bits of the sum of a tick with sign",
}
"""The numbers of a number format, with their names in messages."""

# Bounds of the fields of ``integers``: beyond them the published formats and our 64-bit simulators have no meaning.
_FORMAT_FIELDS: dict[str, tuple[int, int]] = {
    "weight_bits": (1, 8),
    "weight_exp_min": (-8, 0),
    "weight_exp_max": (0, 7),
    "decay_bits": (12, 12),
    "current_decay_offset": (0, 1),
    "state_shift": (0, 6),
    "threshold_bits": (1, 17),
    "bias_bits": (0, 12),
    "bias_exp_max": (0, 7),
    "u_bits": (8, 24),
    "v_bits": (8, 24),
    "accumulator_bits": (8, 16),
}


_CROSSBAR_FIELDS: dict[str, tuple[int, int]] = {
    "weight_bits": (1, 8),
    "threshold_bits": (1, 18),
    "bias_bits": (1, 8),
    "v_bits": (8, 20),
}
"""The same of a chip whose cores hold crossbars: its neurons have no decays, exponents or currents."""


def load_spec(text: str, file: str) -> HardwareSpec:
    """Read a hardware spec.

    Args:
        text: The YAML document; docs/hwspecs.md describes every field.
        file: Its name for messages, without folders.

    Raises:
        SpecError: With all fields that are wrong (NC0502), each at its place.
        NetworkError: The text is not YAML (NC0102).
    """
    document = parse(text, file)
    return _SpecReader(document, file, text).read()


class _SpecReader:
    """Collects every problem of one document before it raises."""

    def __init__(self, document: LocatedYaml, file: str, text: str) -> None:
        self.document, self.file, self.text = document, file, text
        self.problems: list[Diagnostic] = []
        self.sources: dict[str, str] = {}

    def read(self) -> HardwareSpec:
        root = self.document.value
        if not isinstance(root, dict):
            raise SpecError(Diagnostic("NC0502", "a hardware spec is a mapping", Location(self.file, 1, 1)))
        known: tuple[str, ...] = (
            "neurocomp_spec",
            "name",
            "title",
            "backend",
            "sources",
            "integers",
            "limits",
            "mesh",
            "native",
        )
        known += ("synapse_cost",)
        optional = ("costs", "default_costs", "times", "extensions", "hop_ticks")
        self.keys((), root, (*known, *optional), known)
        if "neurocomp_spec" in root and (root["neurocomp_spec"] != 1 or root["neurocomp_spec"] is True):
            self.bad(("neurocomp_spec",), f"schema version {root['neurocomp_spec']} is not known", "write 1")
        sources = self.mapping((), "sources")
        if self.stands("sources") and not sources:
            self.bad(("sources",), "lists no source", "every value of a spec states where it comes from")
        for key, reference in sources.items():
            self.sources[key] = str(reference)
            if not isinstance(reference, str):
                self.bad(("sources", key), "a source is one line of text", None)
        for key in ("name", "title", "backend"):
            self.word((key,), root)
        synapse_cost = self.choice("synapse_cost", (*SYNAPSE_COSTS, CROSSBAR, WEIGHTS_ALONE))
        crossbars = synapse_cost == CROSSBAR
        number_format, origins = self.number_format(crossbars)
        hop_ticks = self.hop_ticks(synapse_cost)
        bounds = CROSSBARS_HOLD if crossbars else TABLES_HOLD if hop_ticks else {}
        known_limits = CROSSBAR_LIMITS if crossbars else tuple(name for name in LIMITS if name != "axon_types")
        limits = {
            name: self.sourced(("limits", name), most=bounds.get(name, LARGEST_LIMIT))
            for name in self.section("limits", known_limits, optional=OPTIONAL_LIMITS)
        }
        mesh_values = {
            name: self.sourced(("mesh", name), most=LARGEST_LIMIT)
            for name in self.section("mesh", ("tiles_x", "tiles_y", "cores_per_tile"))
        }
        native = self.native()
        extensions = self.extensions(native)
        costs: dict[str, dict[str, Sourced]] = {}
        for name, table in self.mapping((), "costs").items():
            path = ("costs", name)
            if not isinstance(table, dict):
                self.bad(path, "a cost source is a mapping of events to costs", None)
                continue
            self.keys(path, table, COSTS, ())
            costs[name] = {event: self.sourced((*path, event)) for event in table if event in COSTS}
        default_costs = self.choice("default_costs", tuple(costs)) if costs or "default_costs" in root else ""
        times = self.times(tuple(costs))
        if not self.problems:
            mesh = Mesh(*(int(mesh_values[n].value) for n in ("tiles_x", "tiles_y", "cores_per_tile")))
            tiles = mesh.tiles_x * mesh.tiles_y * mesh.cores_per_tile
            if not crossbars and limits["delay_address_bits"].value < MOST_DELAY_BITS:
                message = f"{int(limits['delay_address_bits'].value)} bits are fewer than a delay takes ({MOST_DELAY_BITS})"
                self.bad(("limits", "delay_address_bits"), message, None)
            if tiles < int(limits["cores_per_chip"].value):
                self.bad(
                    ("limits", "cores_per_chip"),
                    f"{int(limits['cores_per_chip'].value)} cores do not fit a mesh of {tiles}",
                    "enlarge mesh.tiles_x or mesh.tiles_y",
                )
            if "yes" in native.get("refractory", ()) and "refractory" not in limits:
                message = "field 'refractory' is missing, and 'native' says that the chip has refractory periods"
                self.bad(("limits",), message, "state how many silent ticks it has at most")
        if self.problems:
            raise SpecError(self.problems)
        return HardwareSpec(
            str(root["name"]), str(root["title"]), str(root["backend"]), number_format, limits, mesh, native,
            synapse_cost, costs, default_costs, self.sources, self.text, self.file, extensions, origins, times, hop_ticks,
        )  # fmt: skip

    def bad(self, path: tuple[str | int, ...], message: str, hint: str | None) -> None:
        name = ".".join(str(part) for part in path) or "the spec"
        self.problems.append(Diagnostic("NC0502", f"{name}: {message}", self.document.at(path), hint=hint))

    def word(self, path: tuple[str, ...], table: Mapping[str, Any]) -> str:
        value = table.get(path[-1], "-")
        if not isinstance(value, str) or not value.strip():
            self.bad(path, f"{value!r} is not a name", None)
        return str(value)

    def keys(self, path: tuple[str, ...], table: Mapping[str, Any], known: tuple[str, ...], needed: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                where = self.document.key_at((*path, key))
                self.problems.append(Diagnostic("NC0502", f"unknown field '{key}'", where, hint=did_you_mean(key, known)))
        for key in needed:
            if key not in table:
                self.bad(path, f"field '{key}' is missing", None)

    def mapping(self, path: tuple[str, ...], key: str) -> Mapping[str, Any]:
        value: Any = self.document.value
        for part in (*path, key):
            value = value.get(part, {}) if isinstance(value, dict) else {}
        if not isinstance(value, dict):
            self.bad((*path, key), "must be a mapping", None)
            return {}
        return value

    def stands(self, name: str) -> bool:
        """Return whether a section is there as a mapping, an empty one too: what is wrong otherwise is said elsewhere."""
        return isinstance(self.document.value.get(name), dict)

    def section(self, name: str, fields: tuple[str, ...], optional: tuple[str, ...] = ()) -> tuple[str, ...]:
        table = self.mapping((), name)
        if self.stands(name):
            self.keys((name,), table, fields, tuple(field for field in fields if field not in optional))
        return tuple(field for field in fields if field in table)

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.document.value.get(name, "")
        if value not in allowed:
            self.bad((name,), f"'{value}' is not one of {', '.join(allowed)}", did_you_mean(str(value), allowed))
        return str(value)

    def sourced(self, path: tuple[str, ...], *, most: int | None = None) -> Sourced:
        """Return a number; with ``most`` a whole one in 1..most."""
        value: Any = self.document.value
        for part in path:
            value = value[part]
        place = f"{self.file}:{self.document.at(path).line}"
        nothing = Sourced(1, "", "uncertain", 1, 1, place)
        if not isinstance(value, dict):
            self.bad(path, "needs a mapping {value, source, kind}", "every value of a spec states where it comes from")
            return nothing
        self.keys(path, value, ("value", "source", "kind", "low", "high"), ("value", "source", "kind"))
        if any(part not in value for part in ("value", "source", "kind")):
            return nothing
        numbers = {name: value[name] for name in ("value", "low", "high") if name in value}
        for name, number in numbers.items():
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
                self.bad((*path, name), f"{number!r} is not a number", None)
                return nothing
            if number < 0 or (most is not None and (not 1 <= number <= most or number != int(number))):
                allowed = f"a whole number in 1..{most}" if most is not None else "a number >= 0"
                self.bad((*path, name), f"{number} is impossible", allowed)
                return nothing
        if not self.stated(path, value):
            return nothing
        number = float(value["value"])
        low, high = float(value.get("low", number)), float(value.get("high", number))
        if not low <= number <= high:
            self.bad(path, f"low {low} <= value {number} <= high {high} does not hold", None)
        return Sourced(number, str(value["source"]), value["kind"], low, high, place)

    def times(self, costs: tuple[str, ...]) -> dict[str, Times]:
        result: dict[str, Times] = {}
        for name, table in self.mapping((), "times").items():
            path = ("times", name)
            if name not in costs:
                hint = did_you_mean(name, list(costs)) or "times go with the costs of the same name"
                self.bad(path, f"'{name}' is no cost source", hint)
            if not isinstance(table, dict):
                self.bad(path, "a source of times is a mapping of events to seconds", None)
                continue
            self.keys(path, table, (*TIMES, "barrier"), ())
            events = {event: self.sourced((*path, event)) for event in table if event in TIMES}
            barrier: dict[int, Sourced] = {}
            for tiles in self.mapping(path, "barrier"):
                if not tiles.isdecimal() or int(tiles) < 1:
                    self.bad((*path, "barrier", tiles), f"'{tiles}' is no number of tiles", "1 or more")
                else:
                    barrier[int(tiles)] = self.sourced((*path, "barrier", tiles))
            result[name] = Times(events, barrier)
        return result

    def number_format(self, crossbars: bool) -> tuple[NumberFormat, dict[str, Sourced]]:
        table = self.mapping((), "integers")
        numbers = _CROSSBAR_FIELDS if crossbars else _FORMAT_FIELDS
        known = ("name", "origin", *numbers) if crossbars else ("name", "u_overflow", "origin", *numbers)
        if self.stands("integers"):
            self.keys(("integers",), table, known, ("name", *numbers))
        values: dict[str, Any] = {"name": self.word(("integers", "name"), table)}
        if crossbars:
            values |= CROSSBAR_FORMAT
        else:
            values["u_overflow"] = table.get("u_overflow", "fold")
            if values["u_overflow"] not in ("fold", "wrap"):
                self.bad(("integers", "u_overflow"), f"'{values['u_overflow']}' is not one of fold, wrap", None)
        for name, (low, high) in numbers.items():
            if name not in table:
                continue
            number = table[name]
            if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
                self.bad(("integers", name), f"{number!r} is impossible; it lies in {low}..{high}", None)
            else:
                values[name] = number
        return NumberFormat(**values), self.origins(values)

    def origins(self, values: Mapping[str, Any]) -> dict[str, Sourced]:
        """Return where the numbers of ``integers`` come from, as far as it is stated beside them."""
        table = self.mapping(("integers",), "origin")
        self.keys(("integers", "origin"), table, tuple(_FORMAT_FIELDS), ())
        found: dict[str, Sourced] = {}
        for name, entry in table.items():
            path = ("integers", "origin", name)
            if not isinstance(entry, dict):
                self.bad(path, "needs a mapping {source, kind}", "every value of a spec states where it comes from")
                continue
            self.keys(path, entry, ("source", "kind"), ("source", "kind"))
            if name in values and self.stated(path, entry):
                number, place = float(values[name]), f"{self.file}:{self.document.at(('integers', name)).line}"
                found[name] = Sourced(number, str(entry["source"]), entry["kind"], number, number, place)
        return found

    def stated(self, path: tuple[str, ...], entry: Mapping[str, Any]) -> bool:
        """Return whether an entry has a kind that there is and a source that is listed."""
        if "source" not in entry or "kind" not in entry:
            return False
        if entry["kind"] not in KINDS:
            self.bad((*path, "kind"), f"'{entry['kind']}' is not one of {', '.join(KINDS)}", None)
            return False
        key = str(entry["source"]).split(",")[0].strip()
        if self.sources and key not in self.sources:
            self.bad(
                (*path, "source"), f"source '{key}' is not listed under 'sources'", did_you_mean(key, list(self.sources)[:50])
            )
        return True

    def hop_ticks(self, synapse_cost: str) -> int:
        value = self.document.value.get("hop_ticks", 1)
        if isinstance(value, bool) or value not in (0, 1):
            self.bad(("hop_ticks",), f"{value!r} is neither 0 nor 1", None)
        elif (value == 0) != (synapse_cost == WEIGHTS_ALONE):
            message = f"{value} does not go with 'synapse_cost: {synapse_cost}'"
            hint = f"a chip has 1 and a formula; what is no chip has 0 and '{WEIGHTS_ALONE}'"
            self.bad(("hop_ticks",) if "hop_ticks" in self.document.value else ("synapse_cost",), message, hint)
        return int(value == 1)

    def native(self) -> dict[str, tuple[str, ...]]:
        table = self.mapping((), "native")
        if self.stands("native"):
            self.keys(("native",), table, ("neuron_models", "patterns", *AXES), ("neuron_models", "patterns"))
        result: dict[str, tuple[str, ...]] = {}
        for axis, values in table.items():
            if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
                self.bad(("native", axis), "must be a list of words", None)
                continue
            for value in values:
                if axis in AXES and value not in AXES[axis]:
                    self.bad(("native", axis), f"'{value}' is not one of {', '.join(AXES[axis])}", None)
            result[axis] = tuple(values)
        return result

    def extensions(self, native: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        values = self.document.value.get("extensions", [])
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            self.bad(("extensions",), "must be a list of words", None)
            return ()
        for index, value in enumerate(values):
            if value not in EXTENSIONS:
                message = f"'{value}' is not one of {', '.join(EXTENSIONS)}"
                self.bad(("extensions", index), message, did_you_mean(value, list(EXTENSIONS)))
            elif EXTENSIONS[value][1] in native.get(EXTENSIONS[value][0], ()):
                axis, word, _ = EXTENSIONS[value]
                self.bad(("extensions", index), f"'{value}' is no extension: native.{axis} has '{word}'", "list it once")
        return tuple(dict.fromkeys(values))


def read_spec(path: Path) -> HardwareSpec:
    """Read a spec from a file of the user.

    Raises:
        SpecError: The file cannot be read (NC0101) or holds wrong fields (NC0502).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise SpecError(Diagnostic("NC0101", f"cannot read the spec '{path.name}': {reason}")) from None
    return load_spec(text, path.name)
