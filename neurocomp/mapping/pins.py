"""Cores that a user has filled: what each of them holds, and whether it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Pin, Violation
from neurocomp.errors import Location
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.mapping.filling import SINGLE, Assignment, Without, order_of
from neurocomp.mapping.needs import Held, Needs, Use

IntArray = NDArray[np.int64]

IN_WORDS = {name: words for name, (_, words, _) in SINGLE.items()} | {"output_axons": "output axons"}


@dataclass(frozen=True, slots=True, eq=False)
class Pinned:
    """Cores that pins fill."""

    places: IntArray
    """The number of each such core, counted over all chips, ascending."""
    cores: Assignment
    without: Without
    """Population -> which of its neurons are pinned, (size,)."""
    origins: Mapping[int, Location | None]
    """Place -> where its first pin is written."""


def pinned_cores(lowered: LoweredNetwork, spec: HardwareSpec, pins: Sequence[Pin]) -> tuple[Pinned, Sequence[Violation]]:
    """Return the cores that pins fill, and what is wrong with them.

    Args:
        lowered: A network without crossbars.
        spec: Its limits hold for pinned cores too.
        pins: Of populations that exist, no neuron twice.
    """
    network, per_chip = lowered.network, spec.limit("cores_per_chip")
    place_of: dict[str, IntArray] = {}
    origins: dict[int, Location | None] = {}
    violations: list[Violation] = []
    for pin in pins:
        if pin.core >= per_chip or pin.chip >= spec.limit("chips"):
            name, number = ("cores_per_chip", pin.core) if pin.core >= per_chip else ("chips", pin.chip)
            what = "core" if pin.core >= per_chip else "chip"
            message = f"'{pin.population}' is pinned to {what} {number}; {spec.name} has {spec.limit(name):,}, counted from 0"
            most, source, hint = spec.limit(name) - 1, spec.limit_text(name), "pin it to one that exists"
            violations.append(Violation("NC0415", pin.population, message, number, most, source, hint, origin=pin.origin))
            continue
        there = lowered.map.get(pin.population)
        if there is None:
            message = f"'{pin.population}' is pinned, but was folded into what it feeds and is on no core"
            hint = "leave this pin out"
            violations.append(Violation("NC0415", pin.population, message, 0, 0, None, hint, origin=pin.origin))
            continue
        size = network.populations[there.population].size
        own = place_of.setdefault(there.population, np.full(size, -1, np.int64))
        neurons = np.arange(pin.first, pin.stop)
        place = pin.chip * per_chip + pin.core
        own[neurons if there.neurons is None else there.neurons[neurons]] = place
        origins.setdefault(place, pin.origin)
    needs, places = Needs(network, spec), np.array(sorted(origins), np.int64)
    held: list[Held] = []
    uses: list[Use] = []
    orders = {name: order_of(network, network.populations[name])[0] for name in place_of}
    names = [name for name in network.populations if name in place_of]
    for place in places.tolist():
        found = [(name, orders[name][place_of[name][orders[name]] == place]) for name in names]
        held.append([(name, neurons) for name, neurons in found if len(neurons)])
        use = needs.of(held[-1])
        uses.append(use)
        if use.broken is not None:
            needed, limit = use.needs[use.broken], use.limits[use.broken]
            violations.append(too_much(spec, place, use.broken, needed, limit, origins[place]))
    without = {name: own >= 0 for name, own in place_of.items()}
    return Pinned(places, Assignment(tuple(held), tuple(uses)), without, origins), violations


def too_much(spec: HardwareSpec, place: int, name: str, needed: int, limit: int, origin: Location | None) -> Violation:
    """Return that a pinned core needs too much of something."""
    chip, core = divmod(place, spec.limit("cores_per_chip"))
    message = (
        f"what is pinned to core {core} of chip {chip} needs {needed:,} {IN_WORDS[name]}; a {spec.name} core has {limit:,}"
    )
    hint = "pin fewer neurons to it"
    return Violation("NC0415", f"core {chip}/{core}", message, needed, limit, spec.limit_text(name), hint, origin=origin)


def pins_of(mapped: MappedNetwork) -> list[Pin]:
    """Return pins that put every neuron where it is."""
    pins = []
    for name, there in mapped.lowered.map.items():
        if there.population not in mapped.placements:
            continue
        core = mapped.placements[there.population].core
        core = core if there.neurons is None else core[there.neurons]
        ends = np.flatnonzero(np.append(np.diff(core) != 0, True)) + 1
        first = 0
        for stop in ends.tolist():
            of = mapped.cores[int(core[first])]
            pins.append(Pin(name, first, stop, of.chip, of.core))
            first = stop
    return pins
