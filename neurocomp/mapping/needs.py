"""What neurons need of a core, exactly; what is alike is counted once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neurocomp.fixedpoint import distinct
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import RESET_DECAY_PROFILE, decay_profiles
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import IntegerNetwork, IntegerProjection
from neurocomp.mapping.synapse_words import Members, rows_of_core
from neurocomp.models.patterns import PATTERNS, Conv, Dense, size_of

if TYPE_CHECKING:
    from neurocomp.mapping.pricing import Pricing

IntArray = NDArray[np.int64]

KERNELS_FROM = 100
"""After so many cores their synapses are priced by kernels that numba compiles: for fewer, loading it would take longer."""


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """What neurons take of a core; ``broken`` is the first limit that they exceed, beyond which nothing is computed."""

    needs: Mapping[str, int]
    """Limit -> what they need of it."""
    limits: Mapping[str, int]
    broken: str | None
    axon_population: IntArray
    axon_neuron: IntArray


Held = Sequence[tuple[str, IntArray]]
"""What a core holds: populations and their neurons in the order of their compartments, in the order of the network."""


def axons_by_population(use: Use) -> list[tuple[int, IntArray]]:
    """Return the populations that have axons, as numbers in the network, with their neurons, ascending both."""
    if not len(use.axon_population):
        return []
    first = np.flatnonzero(np.diff(use.axon_population, prepend=-1))
    return list(zip(use.axon_population[first].tolist(), np.split(use.axon_neuron, first[1:]), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """What some places of an image receive through a convolution of one group: m places, K positions of the kernel."""

    projection: IntegerProjection
    flat: IntArray
    """(m, K): the place of the source behind each position."""
    inside: NDArray[np.bool_]
    """(m, K): which of them exist."""
    first: int
    """Of the channels."""
    channels: int


class Needs:
    """Counts what neurons of a network need of the cores of a target."""

    def __init__(self, network: IntegerNetwork, spec: HardwareSpec) -> None:
        self.network, self.spec = network, spec
        self.number = {name: number for number, name in enumerate(network.populations)}
        self.into = {name: network.projections_to(name) for name in network.populations}
        neurons = [p for p in network.populations.values() if not p.is_input]
        self.decays = {p.name: _single(decay_profiles(p)) for p in neurons}
        self.thresholds = {p.name: _single(p.profile[2]) for p in neurons}
        self.alike: dict[bytes, Use] = {}
        """By geometry: what places of an image need, others with the same windows do too."""
        self.of_dense: dict[tuple[str, ...], tuple[IntArray, IntArray]] = {}
        """Populations that only dense projections reach -> the sources of any of their neurons."""
        self.counted = 0
        self.pricing: Pricing | None = None

    def of(self, held: Held) -> Use:
        """Return what populations with some of their neurons, in the order of their compartments, need of a core."""
        decays: set[int] = set()
        thresholds: set[int] = set()
        members, slot = [], 0
        for name, neurons in held:
            p = self.network.populations[name]
            decays |= _distinct(self.decays[name], neurons)
            decays |= {RESET_DECAY_PROFILE} if p.compartments > 1 else set()
            thresholds |= _distinct(self.thresholds[name], neurons)
            members.append((name, neurons, slot + np.arange(len(neurons)) * p.compartments))
            slot += len(neurons) * p.compartments
        key, windows = self._geometry(members)
        if key is None or len(decays) > 1 or len(thresholds) > 1:
            return self._counted(members, windows, len(decays), len(thresholds))
        if key not in self.alike:
            self.alike[key] = self._counted(members, windows, 1, 1)
            return self.alike[key]
        known = self.alike[key]
        if known.broken is not None:
            return known
        return Use(known.needs, known.limits, None, *self._sources(members, windows))

    def _counted(self, members: Members, windows: Sequence[Windows], decays: int, thresholds: int) -> Use:
        """Count first what shapes alone tell, then, exactly, the rows."""
        spec = self.spec
        needs: dict[str, int] = {}
        limits: dict[str, int] = {}
        none = np.zeros(0, np.int64)

        def broken(name: str, needed: int, limit: int | None = None) -> bool:
            needs[name], limits[name] = needed, spec.limit(name) if limit is None else limit
            return needed > limits[name]

        neurons = sum(len(of) * self.network.populations[name].compartments for name, of, _ in members)
        for name, needed in (("neurons", neurons), ("decay_profiles", decays), ("threshold_profiles", thresholds)):
            if broken(name, needed):
                return Use(needs, limits, name, none, none)
        axon_population, axon_neuron = self._sources(members, windows)
        if broken("input_axons", len(axon_neuron)):
            return Use(needs, limits, "input_axons", none, none)
        words, formats, delay_bits = self._synapses(members, windows)
        checks: list[tuple[str, int, int | None]] = [("synapse_words", words, None), ("synapse_formats", formats, None)]
        if delay_bits:
            checks.append(("delay_address_bits", neurons, 1 << (spec.limit("delay_address_bits") - delay_bits)))
        first = next((name for name, needed, limit in checks if broken(name, needed, limit)), None)
        if first is not None:
            return Use(needs, limits, first, none, none)
        for name in ("decay_profiles", "threshold_profiles", "synapse_formats"):
            del needs[name]  # they do not grow with the size of a slice
        return Use(needs, limits, None, axon_population, axon_neuron)

    def _synapses(self, members: Members, windows: Sequence[Windows]) -> tuple[int, int, int]:
        """Return the words of synapses, the formats of their rows, and the most bits of a delay in one."""
        self.counted += 1
        if self.counted > KERNELS_FROM:
            if self.pricing is None:
                from neurocomp.mapping.pricing import Pricing, compile_kernels

                compile_kernels()
                self.pricing = Pricing(self.network, self.spec)
            price = None
            if windows:
                price = self.pricing.price_of_places(self.network.populations[members[0][0]], windows)
            price = price or self.pricing.price(members)
            if price is not None:
                return price.words, price.formats, price.delay_bits
        rows = rows_of_core(self.network, members, self.spec)
        return rows.words, len(rows.formats), max((f.delay_bits for f in rows.formats), default=0)

    def _geometry(self, members: Members) -> tuple[bytes | None, Sequence[Windows]]:
        """Return what decides the rows of neighbours in a population, or of some places of an image; None for anything else.

        With it come what whole places of an image receive, nothing for anything else.

        Rows of a convolution depend on which places its windows join, and not on where in the image these are: two cores whose
        places have the same windows, but for a shift of the source, store the same rows.
        """
        if len(members) != 1:
            return None, ()
        name, neurons, _ = members[0]
        p, into = self.network.populations[name], self.into[name]
        first, count = int(neurons[0]), len(neurons)
        if int(neurons[-1]) - first == count - 1 and (np.diff(neurons) == 1).all():
            return f"{name} {first} {count}".encode(), ()
        if len(p.shape) < 2 or not into:
            return None, ()
        places = size_of(p.shape[1:])
        channels = 1 + int(np.argmin(np.append(np.diff(neurons) == places, False)))
        channel, here = divmod(neurons[::channels], places)
        if count % channels or (channel != channel[0]).any():
            return None, ()
        if (neurons.reshape(-1, channels) != neurons[::channels, None] + np.arange(channels) * places).any():
            return None, ()
        digest = hashlib.sha256(f"{name} {len(here)} {channel[0]} {channels}".encode())
        at = np.stack(np.unravel_index(here, p.shape[1:]), axis=1)
        windows: list[Windows] = []
        for q in into:
            kind = PATTERNS[q.pattern.kind]
            if not isinstance(kind, Conv) or q.pool is not None or q.pattern.options["groups"] != (1,) or q.delay.ndim:
                return None, ()
            flat, inside = kind.geometry(q.pattern).inputs(self.network.shapes(q)[0][1:], at)
            if not inside.any():
                return None, ()
            windows.append(Windows(q, flat, inside, int(channel[0]), channels))
        origin: dict[str, int] = {}  # of each source, as its rows join those of all projections from it
        for w in windows:
            lowest = int(w.flat[w.inside].min())
            origin[w.projection.source] = min(lowest, origin.get(w.projection.source, lowest))
        for w in windows:
            digest.update(np.packbits(w.inside).tobytes())
            digest.update(np.where(w.inside, w.flat - origin[w.projection.source], -1).tobytes())
        return digest.digest(), windows

    def _sources(self, members: Members, windows: Sequence[Windows]) -> tuple[IntArray, IntArray]:
        """Return the distinct sources: population, as its number in the network, and neuron, in the order of both."""
        names = tuple(dict.fromkeys(name for name, _, _ in members))
        dense = all(isinstance(PATTERNS[q.pattern.kind], Dense) and q.pool is None for name in names for q in self.into[name])
        if dense and names in self.of_dense:
            return self.of_dense[names]
        reached: dict[str, list[IntArray]] = {}
        for w in windows:
            source = self.network.shapes(w.projection)[0]
            channels, places = np.arange(source[0])[:, None] * size_of(source[1:]), distinct(w.flat[w.inside])
            reached.setdefault(w.projection.source, []).append((channels + places).reshape(-1))
        for name, neurons, _ in members if not windows else ():
            for q in self.into[name]:
                reached.setdefault(q.source, []).append(self.network.sources(q, neurons))
        population, neuron = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for name in sorted(reached, key=self.number.__getitem__):
            lists = reached[name]
            once = lists[0] if len(lists) == 1 else distinct(np.concatenate(lists))
            population.append(np.full(len(once), self.number[name], np.int64))
            neuron.append(once)
        found = frozen(np.concatenate(population)), frozen(np.concatenate(neuron))
        if dense:
            self.of_dense[names] = found
        return found


def _distinct(values: IntArray, neurons: IntArray) -> set[int]:
    """Return the distinct values of some neurons; 0-d: all have one."""
    return set(distinct(values[neurons]).tolist()) if values.ndim else {int(values)}


def _single(values: IntArray) -> IntArray:
    """Return the value that all have, 0-d, or the values where they differ."""
    return values.reshape(-1)[0] if values.size and (values == values.reshape(-1)[0]).all() else values
