"""What synapses cost a core, without laying them out.

The price is that of `rows_of_core`, many times faster: equal rows are told by numbers of 64 bits. Two different rows share one
with a probability of about 1e-19; a backend that lays the rows out claims that they have the words of the price.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels import pricing as kernels
from neurocomp.engine.kernels.layout import readable
from neurocomp.engine.kernels.pricing import RUN, Layouts, Rows
from neurocomp.engine.warm import compile_once
from neurocomp.fixedpoint import running_sum
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.mapping.needs import Windows
from neurocomp.mapping.synapse_words import (
    COUNT_BITS,
    DELAY_BITS,
    WEIGHT_BITS,
    WORD,
    Members,
    RowFormat,
    by_population,
    field_width,
    incoming,
    index_bits_of,
    nengo_loihi_bits,
    nxtf_bits,
    nxtf_words,
    stored_delays,
    stored_weights,
)
from neurocomp.models.patterns import PATTERNS, Conv, Dense

IntArray = NDArray[np.int64]
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Price:
    """What the synapses of a core need."""

    words: int
    formats: int
    """Entries of the table of formats."""
    delay_bits: int
    """Of the format with the longest delays."""


class Pricing:
    """Prices cores of a lowered network; `compile_kernels` comes first."""

    def __init__(self, network: IntegerNetwork, spec: HardwareSpec) -> None:
        self.network, self.cost = network, (spec.synapse_cost, min(spec.limit("synapses_per_entry"), 1 << COUNT_BITS))
        self.into = {name: network.projections_to(name) for name in network.populations}
        self.dense = {q.name: _rows_of_dense(q) for q in network.projections}
        self.kernels = {q.name: _kernel_of(q) for q in network.projections}
        self.groups: dict[tuple[str, int, int], NDArray[np.uint8]] = {}
        self.formats: dict[RowFormat, int] = {}
        self.layouts: dict[tuple[str, int, int, int], tuple[Layouts, tuple[RowFormat, RowFormat]]] = {}
        self.rows, self.scratch = _rows(0), _scratch(0)

    def price(self, members: Members) -> Price | None:
        """Return what the synapses onto some neurons need of a core; None where a source has several projections onto it,
        or some learn.

        Args:
            members: Neurons and compartments of the core; (n,) each.
        """
        here = by_population(members)
        into = [q for name in here for q in self.into[name]]
        if len({q.source for q in into}) < len(into) or any(q.learning is not None for q in into):
            return None
        self._make_room(into)
        width = {name: self.network.populations[name].compartments for name in here}
        compartments = max(int(slots[-1]) + width[name] for name, (_, slots) in here.items())
        count, used = 0, set[RowFormat]()
        no_neuron: IntArray | None = None
        for q in into:
            neurons, slots = here[q.target]
            priced = self._priced_runs(q, neurons, slots, compartments, count)
            if priced is None:
                no_neuron = _no_neuron(here, width, compartments) if no_neuron is None else no_neuron
                priced = self._priced_rows(q, neurons, slots, no_neuron, count)
            count, used = count + priced[0], used | priced[1]
        return self._total(count, used)

    def price_of_places(self, p: IntegerPopulation, windows: Sequence[Windows]) -> Price | None:
        """Return what the synapses onto whole places of an image need of a core, in the order of the places.

        None where `price` has to look at each neuron.
        """
        weights = [self.kernels[w.projection.name] for w in windows]
        if any(w.projection.learning is not None for w in windows):
            return None
        if p.compartments > 1 or len({w.projection.source for w in windows}) < len(windows):
            return None
        self._make_room(w.projection for w in windows)
        compartments = windows[0].channels * len(windows[0].flat)
        count, used = 0, set[RowFormat]()
        for w, own in zip(windows, weights, strict=True):
            if own is None:
                return None
            place, position = np.nonzero(w.inside)
            key = w.flat[place, position]
            order = np.argsort(key, kind="stable")
            place, position, key = place[order], position[order], key[order]
            start = np.append(np.flatnonzero(np.diff(key, prepend=-1)), len(key))
            delay = int(w.projection.delay) - 1
            layouts, both = self._layouts(w.projection, compartments, delay, compartments)
            group = w.projection.name, w.first, w.channels
            if group not in self.groups:
                self.groups[group] = np.ascontiguousarray(own[..., w.first : w.first + w.channels])
            own = self.groups[group]
            taken = kernels.price_places(
                own, delay, place, position, start, _factors(compartments), layouts, self.rows, count
            )  # fmt: skip
            count += len(own) * (len(start) - 1)
            used |= {layout for number, layout in enumerate(both) if taken >> number & 1}
        return self._total(count, used)

    def _make_room(self, projections: Iterable[IntegerProjection]) -> None:
        room = sum(self.network.populations[q.source].size for q in projections)
        if room > len(self.rows.number):
            self.rows = _rows(room)

    def _total(self, count: int, used: set[RowFormat]) -> Price:
        """Return what so many rows need together."""
        table = np.empty(1 << (2 * count).bit_length(), np.int64)
        words = int(kernels.distinct_words(self.rows, count, table))
        return Price(words, len(used), max((layout.delay_bits for layout in used), default=0))

    def _layouts(
        self, q: IntegerProjection, compartments: int, longest_delay: int, most: int
    ) -> tuple[Layouts, tuple[RowFormat, RowFormat]]:
        """Return what blocks of up to ``most`` synapses cost in both layouts, and these."""
        index_bits, delay_bits = index_bits_of(compartments), field_width(longest_delay.bit_length(), DELAY_BITS)
        key = q.name, index_bits, delay_bits, most
        if key not in self.layouts:
            common = q.sign_mode, field_width(q.weight_bits, WEIGHT_BITS), q.exponent, delay_bits, index_bits
            both = RowFormat(*common, sparse=False), RowFormat(*common, sparse=True)
            numbers = np.array([self.formats.setdefault(layout, len(self.formats)) for layout in both])
            self.layouts[key] = Layouts(*_costs(*both, *self.cost, most), numbers), both
        return self.layouts[key]

    def _priced_runs(
        self, q: IntegerProjection, neurons: IntArray, slots: IntArray, compartments: int, begin: int
    ) -> tuple[int, set[RowFormat]] | None:
        """Price the rows of dense weights whose targets follow each other, (rows, formats); None where not all are runs."""
        weights, first, n = self.dense[q.name], int(neurons[0]), len(neurons)
        if weights is None or slots[-1] - slots[0] != n - 1 or neurons[-1] - first != n - 1:
            return None
        if n > 2 and not ((neurons[1:] - neurons[:-1] == 1).all() and (slots[1:] - slots[:-1] == 1).all()):
            return None
        sources = weights.shape[1]
        if sources > len(self.scratch[0]):
            self.scratch = _scratch(sources)
        delay = int(q.delay) - 1
        layouts, both = self._layouts(q, compartments, delay, n)
        stored = weights[first : first + n]
        lists = kernels.price_dense(stored, delay, _factors(n), layouts, *self.scratch, self.rows, begin)
        return None if lists else (sources, {both[RUN]})

    def _priced_rows(
        self, q: IntegerProjection, neurons: IntArray, slots: IntArray, no_neuron: IntArray, begin: int
    ) -> tuple[int, set[RowFormat]]:
        """Price the rows of a projection onto some neurons, whose compartments ascend: (rows, formats)."""
        found = incoming(self.network, q, neurons, slots)
        if not found.source.size:
            return 0, set()
        stored = stored_weights(q, found.mantissa, field_width(q.weight_bits, WEIGHT_BITS))
        delay = np.atleast_2d(stored_delays(q, found.delay))
        compartments = len(no_neuron) - 1
        most = max(int(np.diff(found.start).max()), compartments)
        layouts, both = self._layouts(q, compartments, int(delay.max(initial=0)), most)
        used = kernels.price_rows(
            readable(np.ascontiguousarray(stored)), readable(np.ascontiguousarray(delay)), found.start, found.slot, no_neuron,
            _factors(most), layouts, self.rows, begin,
        )  # fmt: skip
        return found.source.size, {layout for number, layout in enumerate(both) if used >> number & 1}


def _rows_of_dense(q: IntegerProjection) -> NDArray[np.uint8] | None:
    """Return the stored weights of a dense projection, (targets, sources), where these are the bytes of its mantissas."""
    if not isinstance(PATTERNS[q.pattern.kind], Dense) or q.pool is not None or q.delay.shape or q.mantissa.itemsize > 1:
        return None
    bytes_of = np.asarray(q.mantissa)
    stored = stored_weights(q, bytes_of[:1], field_width(q.weight_bits, WEIGHT_BITS))
    return readable(bytes_of.view(np.uint8)) if np.shares_memory(stored, bytes_of) else None


def _kernel_of(q: IntegerProjection) -> NDArray[np.uint8] | None:
    """Return the stored weights of a convolution of one group, (channels of the source, positions, channels)."""
    if not isinstance(PATTERNS[q.pattern.kind], Conv) or q.pool is not None or q.delay.shape:
        return None
    if q.pattern.options["groups"] != (1,):
        return None
    stored = stored_weights(q, q.mantissa, field_width(q.weight_bits, WEIGHT_BITS))
    return np.ascontiguousarray(stored.reshape(*stored.shape[:2], -1).transpose(1, 2, 0))


def _no_neuron(here: dict[str, tuple[IntArray, IntArray]], width: dict[str, int], compartments: int) -> IntArray:
    """Return how many of the first 0, 1, … compartments reset others, (compartments + 1,)."""
    found = np.zeros(compartments, np.int64)
    for name, (_, slots) in here.items():
        for behind in range(1, width[name]):
            found[slots + behind] = 1
    return running_sum(found)


def _rows(count: int) -> Rows:
    return Rows(np.empty(count, np.uint64), np.empty(count, np.int64))


def _scratch(count: int) -> tuple[NDArray[np.int32], NDArray[np.uint32], NDArray[np.uint32]]:
    return np.empty(count, np.int32), np.empty(count, np.uint32), np.empty(count, np.uint32)


@lru_cache(maxsize=256)
def _costs(run: RowFormat, listed: RowFormat, formula: str, per_entry: int, most: int) -> tuple[IntArray, IntArray]:
    """Return bits and words of rows of 0, 1, …, ``most`` synapses as runs and as lists, (2, most + 1)."""
    count = np.arange(most + 1)
    bits = np.zeros((2, most + 1), np.int64)
    for number, layout in enumerate((run, listed)):
        one = np.array(layout.synapse_bits), np.array(layout.header_bits)
        bits[number] = nxtf_bits(count, *one, per_entry) if formula == "nxtf" else nengo_loihi_bits(count, *one)
    return bits, nxtf_words(bits) if formula == "nxtf" else bits // WORD


@lru_cache(maxsize=256)
def _factors(count: int) -> NDArray[np.uint32]:
    """Return two odd factors for each position, (2, count); those of a shorter list are the first of a longer one."""
    halves = np.random.default_rng(0).integers(0, 1 << 31, (count, 2), np.uint32)
    return np.ascontiguousarray((halves * np.uint32(2) + np.uint32(1)).T)


def compile_kernels() -> None:
    """Compile what is not compiled yet."""

    def run() -> None:
        rows, factors = _rows(2), _factors(2)
        layouts = Layouts(np.ones((2, 3), np.int64), np.ones((2, 3), np.int64), np.zeros(2, np.int64))
        stored = np.ones((1, 2), np.uint8)
        kernels.price_dense(stored, 0, factors, layouts, *_scratch(2), rows, 0)
        kernels.price_places(stored[None], 0, np.arange(1), np.arange(1), np.arange(2), factors, layouts, rows, 0)
        kernels.price_rows(stored, stored, np.array([0, 2]), np.arange(2), np.zeros(3, np.int64), factors, layouts, rows, 0)
        kernels.distinct_words(rows, 2, np.zeros(8, np.int64))

    compile_once("the mapping", run)
