"""How many sources neurons of a projection's target have together, at least and about, and the words of their synapses, about.

By the geometry of the pattern alone:

- dense: all of them. Convolution: at least those of the n places whose windows overlap the most; about those of rows of the
  image or of a square tile, whose ways to see a source are also its rows in the synapse memory.
- a list of synapses: a few neurons are drawn. If any two of them share c of their k sources at most, a core with A axons has
  room for (k - c) / (k**2 / A - c) of them (the bound of Johnson on codes of constant weight), so that they need that many
  cores. How many sources neurons have that share a core is estimated from those next to a few: in order, or by common sources.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from neurocomp.hardware import HardwareSpec
from neurocomp.ir.network import Network, Projection
from neurocomp.mapping.synapse_words import (
    DELAY_BITS,
    HEADER_BITS,
    WEIGHT_BITS,
    WORD,
    field_width,
    index_bits_of,
    nengo_loihi_bits,
    nxtf_bits,
    nxtf_words,
)
from neurocomp.models.patterns import PATTERNS, Blocks, Conv, Dense, Geometry, OneToOne, Pool, Shape, Sparse, size_of

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

DRAWN = 2048
"""Neurons of a list of synapses that are drawn for its bound, at most."""
PAIRS = 1 << 22
"""Pairs of them with a common source that are counted, about."""
QUANTILES = (0.0, 0.25, 0.5, 0.75)
"""Of their fan-in, from which on the bound is tried."""
STARTS = 4
"""Neurons of a list next to which it is estimated how many share a core."""
MOST_RANKS = np.iinfo(np.int16).max
LISTED = 1 << 24
"""Of longer lists every k-th synapse says how many there are, and who has common sources."""
AT_ONCE = 1 << 18
"""Synapses that are looked through at a time."""
SEED = 1


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What n target neurons of a projection need, as functions of n >= 1."""

    projection: Projection
    least: Callable[[int], int]
    """Distinct sources, at least."""
    about: Callable[[int], float]
    """Distinct sources, about."""
    words: Callable[[int], float]
    """Synapse words, about."""
    whole: bool = False
    """Whether every target hears from every source; not said of chains."""
    drawn: Drawn | None = None
    """Of a list of synapses that is no part of a chain."""
    exact: bool = False
    """Whether ``about`` is ``least``."""

    @property
    def source(self) -> str:
        """Name of the population that it starts from."""
        return self.projection.source


def reach_of(network: Network, q: Projection, spec: HardwareSpec, room: int, chain: Projection | None = None) -> Reach:
    """Return what a projection of a legal network needs.

    Args:
        network: The network.
        q: The projection.
        spec: The chip.
        room: So many neurons of the target have compartments on a core.
        chain: The projection as the network's file has it, which may be a chain.
    """
    shape, target = network.populations[q.source].shape, network.populations[q.target].shape
    source = q.source_shape(shape)
    kind, pattern = PATTERNS[q.pattern.kind], q.pattern
    cost = Cost.of(q, spec)
    pooled = size_of(shape) / size_of(source) if q.before else 1.0
    n_source, n_target = size_of(source), size_of(target)
    if isinstance(kind, Dense):
        made = Reach(
            q, lambda n: n_source, lambda n: n_source, lambda n: n_source * float(cost.run(np.array(n))), whole=True, exact=True
        )
    elif isinstance(kind, OneToOne):
        distinct, one = 1 << cost.weight_bits, float(cost.listed(np.array(1)))
        made = Reach(q, lambda n: n, lambda n: n, lambda n: min(n, distinct) * one, exact=True)
    elif isinstance(kind, Conv):
        windows = Windows(kind.geometry(pattern), source, target, pattern.options["groups"][0])
        made = Reach(q, windows.least, windows.about, lambda n: windows.words(n, cost))
    elif isinstance(kind, (Sparse, Blocks)):
        if isinstance(kind, Blocks):
            indices = pattern.arrays["indices"]
            blocks, per_block = indices.shape
            unit = n_target // blocks
            sources, targets = indices.reshape(-1), np.repeat(np.arange(blocks), per_block)
        else:
            unit, sources, targets = 1, pattern.arrays["sources"], pattern.arrays["targets"]
        drawn = Drawn(sources, targets, n_source, n_target // unit, unit, room)
        made = Reach(q, lambda n: 0, drawn.about, lambda n: drawn.words(n, cost), drawn=drawn)
    else:
        made = Reach(q, lambda n: 0, lambda n: 0.0, lambda n: 0.0)
    pooled_rows = _rows_of_pool(chain, target, cost) if chain is not None and not q.before else None
    if pooled_rows is not None:
        made = replace(made, words=pooled_rows)
    if not q.before:
        return made
    # A maximum over windows of the source: of how many neurons each depends on where it is.
    return Reach(q, lambda n: 0, lambda n: pooled * made.about(n), lambda n: made.words(n) * pooled)


def _rows_of_pool(chain: Projection, target: Shape, cost: Cost) -> Callable[[int], float] | None:
    """Return the synapse words of a chain that begins with a sum over windows side by side: all of a window share a row."""
    stages = [(stage.pattern, stage.shape) for stage in chain.before]
    first = PATTERNS[stages[0][0].kind] if stages else None
    if not isinstance(first, Pool) or not first.linear or stages[0][0].options["kernel"] != stages[0][0].options["stride"]:
        return None
    rest = [pattern for pattern, _ in stages[1:] if pattern.kind != "flatten"] + [chain.pattern]
    shape = stages[0][1]
    kind = PATTERNS[rest[0].kind]
    if len(rest) > 1:
        return None
    if isinstance(kind, Dense):
        return lambda n: size_of(shape) * float(cost.run(np.array(n)))
    if isinstance(kind, Conv):
        windows = Windows(kind.geometry(rest[0]), shape, target, rest[0].options["groups"][0])
        return lambda n: windows.words(n, cost)
    return None


@dataclass(frozen=True, slots=True)
class Cost:
    """Words of a row of so many synapses, none of them 0 or stored twice."""

    formula: str
    per_entry: int
    index_bits: int
    weight_bits: int
    delay_bits: int

    @classmethod
    def of(cls, q: Projection, spec: HardwareSpec) -> Cost:
        bits = q.native.weight_bits if q.native is not None else spec.number_format.weight_bits
        late = max(0, int(q.delay.max()) - 1) if q.delay.size else 0
        delay_bits = field_width(min(late.bit_length(), DELAY_BITS[-1]), DELAY_BITS)
        index_bits = index_bits_of(spec.limit("neurons"))
        return cls(
            spec.synapse_cost, spec.limit("synapses_per_entry"), index_bits, field_width(bits, WEIGHT_BITS), delay_bits
        )  # fmt: skip

    def run(self, synapses: IntArray) -> FloatArray:
        """Return the words of runs of compartments."""
        return self._words(synapses, self.weight_bits + self.delay_bits, HEADER_BITS + self.index_bits)

    def listed(self, synapses: IntArray) -> FloatArray:
        """Return the words of synapses with an index each."""
        return self._words(synapses, self.weight_bits + self.delay_bits + self.index_bits, HEADER_BITS)

    def _words(self, synapses: IntArray, bits: int, header: int) -> FloatArray:
        one, head = np.array(bits), np.array(header)
        if self.formula == "nxtf":
            return nxtf_words(nxtf_bits(synapses, one, head, self.per_entry)).astype(np.float64)
        return nengo_loihi_bits(synapses, one, head) / WORD


@dataclass(frozen=True, slots=True)
class Axis:
    """Windows along one axis: any n of them reach step * n + more sources at least, n = 1 .. windows.

    From ``ends`` windows on, which reach both ends of the axis, ``more`` is ``more_at_ends``, as there is nothing beyond.
    """

    windows: int
    step: int
    more: int
    ends: int
    more_at_ends: int

    @classmethod
    def of(cls, windows: int, extent: int, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
        """Return the bound of windows over so many sources; with gaps in the kernel, of one of its places alone.

        Where windows touch or overlap, each adds its stride to those before it, and the first one the rest of the kernel,
        unless that lies beyond an end. Else each adds itself. Of windows at both ends both may lack a part.
        """
        if dilation > 1:
            offset = kernel // 2 * dilation - padding
            inside = sum(1 for x in range(windows) if 0 <= x * stride + offset < extent)
            step, reached, more = 1, inside, inside - windows
        else:
            left, right = padding, max(0, (windows - 1) * stride + kernel - padding - extent)
            step, rest = min(stride, kernel), max(0, kernel - stride)
            reached = max(0, step * windows + rest - left - right)
            more = min(rest - left, rest - right, 2 * rest - left - right)
        at_ends = min(more, reached - step * windows)
        if at_ends < 0:  # step * n + more >= (step + more) * n
            return cls(windows, max(0, step + at_ends), 0, windows + 1, 0)
        return cls(windows, step, more, (reached - more) // step + 1, at_ends)


class Windows:
    """Distinct sources of places of a convolution, at least, whichever places they are.

    Let n places be in h rows, the longest of which has w of them: h + w - 1 <= n <= h w. A row of a places reaches as many
    sources of a source row as a windows along x, and b rows as many source rows as b windows along y. Each source row has at
    least what the longest row that reaches it has; summed over rows by their length this is at least
    step_x step_y n + more_x step_y h + more_y step_x w + more_x more_y.
    """

    def __init__(self, geometry: Geometry, source: tuple[int, ...], target: tuple[int, ...], groups: int) -> None:
        self.inner, self.outer, self.groups = source[0] // groups, target[0] // groups, groups
        options = zip(
            target[1:], source[1:], geometry.kernel, geometry.stride, geometry.padding, geometry.dilation, strict=True
        )  # fmt: skip
        axes = [Axis.of(*of) for of in options]
        self.y, self.x = axes if len(axes) == 2 else (Axis(1, 1, 0, 2, 0), axes[0])
        self.geometry, self.source, self.target = geometry, source, target

    def places_reached(self, n: int) -> int:
        """Return the source places that any n places reach, at least."""
        if self.groups > 1:
            return max(self._reached(1), self.x.step * self.y.step * n)
        return self._reached(n)

    def _reached(self, n: int) -> int:
        x, y = self.x, self.y
        w = np.arange(-(-n // y.windows), min(n, x.windows) + 1)
        least = -(-n // w)
        more_x = np.where(w < x.ends, x.more, x.more_at_ends)
        found = []
        for h in (least, np.maximum(least, y.ends)):
            more_y = np.where(h < y.ends, y.more, y.more_at_ends)
            value = x.step * y.step * n + more_x * y.step * h + more_y * x.step * w + more_x * more_y
            found.append(int(np.where((h <= y.windows) & (h + w - 1 <= n), value, np.iinfo(np.int64).max).min()))
        return max(0, min(found))

    def least(self, n: int) -> int:
        """Return the sources that any n neurons have, at least."""
        return self.inner * self.places_reached(-(-n // self.outer))

    def about(self, n: int) -> float:
        """Return the sources of n neurons that follow each other or are a square tile, whichever are fewer."""
        return min(math.prod(sources for sources, _, _ in tile) * self.source[0] for tile in self._tiles(n))

    def words(self, n: int, cost: Cost) -> float:
        """Return the synapse words of n such neurons: sources that a tile's windows see alike share their row."""
        found = []
        outer = min(n, self.outer)
        for tile in self._tiles(n):
            (_, height, down), (_, width, across) = tile if len(tile) == 2 else ((0, 1, _ONE), tile[0])
            del height
            y, x = down[:, None, 0], across[None, :, 0]
            span = ((y - 1) * width + x - 1) * outer * self.groups + outer
            rows = np.minimum(cost.listed(y * x * outer), cost.run(span))
            found.append(float((rows * down[:, None, 1] * across[None, :, 1]).sum()) * self.source[0])
        return min(found)

    def _tiles(self, n: int) -> list[list[tuple[int, int, IntArray]]]:
        """Return per axis the sources, the places and `_seen` of tiles with n neurons: some rows of the image, and a square."""
        g, places = self.geometry, -(-n // (self.outer * self.groups))
        *above, width = self.target[1:]
        widths = {min(places, width), min(math.ceil(math.sqrt(places)), width)} if above else {places}
        tiles = []
        for across in sorted(widths):
            extents = (min(-(-places // across), above[0]), across) if above else (across,)
            axes = zip(extents, self.target[1:], self.source[1:], g.kernel, g.stride, g.padding, g.dilation, strict=True)
            tiles.append([_seen(*axis) for axis in axes])
        return tiles


_ONE = np.array([[1, 1]])


@lru_cache(maxsize=4096)
def _seen(
    places: int, windows: int, extent: int, kernel: int, stride: int, padding: int, dilation: int
) -> tuple[int, int, IntArray]:
    """Return of so many places in the middle of an axis: their sources, their number, and how sources see them.

    The last is (ways, 2): how many of the places see a source in this way, by the same taps of the kernel, and in how many ways
    so many do.
    """
    first = (windows - places) // 2
    low = first * stride - padding
    high = low + (places - 1) * stride + (kernel - 1) * dilation + 1
    edge = 2 * (stride + kernel * dilation)
    near = sorted({*range(low, min(high, low + edge)), *range(max(low, high - edge), high)} & set(range(extent)))
    ways = set()
    for source in near:
        taps = []
        for tap in range(kernel):
            place, rest = divmod(source + padding - tap * dilation, stride)
            if not rest and first <= place < first + places:
                taps.append(tap)
        if taps:
            ways.add(tuple(taps))
    counts: dict[int, int] = {}
    for way in ways:
        counts[len(way)] = counts.get(len(way), 0) + 1
    inside = min(high, extent) - max(low, 0)
    reached = min(inside, places * kernel) if stride > 1 or dilation > 1 else inside
    return max(0, reached), places, np.array(sorted(counts.items()) or [(0, 0)])


class Drawn:
    """A list of synapses, of whose target neurons some are drawn; targets are counted in units of ``unit`` neurons."""

    def __init__(
        self, sources: IntArray, targets: IntArray, n_source: int, units: int, unit: int, room: int
    ) -> None:  # fmt: skip
        self.unit, self.units = unit, units
        step = max(1, -(-len(sources) // LISTED))
        some = slice(None, None, step)
        self.some_sources, self.some_targets = sources[some], targets[some]
        self.count = np.bincount(self.some_targets, minlength=units)
        fan_out = np.bincount(self.some_sources, minlength=n_source) * step
        self.n_sources = int(np.count_nonzero(fan_out))
        """Sources that have synapses, at least."""
        heard = np.flatnonzero(self.count)
        self.mean = len(sources) / units
        """Synapses per neuron."""
        self.neurons = self.fan_in = np.zeros(0, np.int64)
        """Drawn neurons, ascending, and their distinct sources."""
        self.common = 0
        """Sources that two of them have in common, at most."""
        self.curve: FloatArray = np.zeros(1)
        if not len(heard):
            return
        rng = np.random.default_rng(SEED)
        second = float((fan_out.astype(np.float64) ** 2).sum())
        most = int(min(len(heard), DRAWN, max(STARTS, units * np.sqrt(PAIRS / second), 1)))
        top = heard[np.argpartition(self.count[heard], -1)[-1:]]  # the largest fan-in is the first that may exceed a core
        self.neurons = np.union1d(rng.choice(heard, most, replace=False), top)
        at, source = self._of(sources, targets, self.neurons, n_source)
        self.fan_in = np.bincount(at, minlength=len(self.neurons))
        self.common = _most_common(at, source, len(self.neurons))
        starts = rng.choice(len(self.neurons), min(STARTS, len(self.neurons)), replace=False)
        self.curve = self._grown(
            sources, targets, n_source, -(-room // unit), [source[at == start] for start in starts], starts
        )

    def _of(self, sources: IntArray, targets: IntArray, neurons: IntArray, n_source: int) -> tuple[IntArray, IntArray]:
        """Return the distinct synapses onto some neurons: position among these, which ascends, and source."""
        position = np.full(self.units, -1, np.int16)
        position[neurons] = np.arange(len(neurons), dtype=np.int16)
        chosen = _where(position >= 0, targets)
        pairs = np.sort(position[targets[chosen]].astype(np.int64) * n_source + sources[chosen])
        distinct = pairs[np.diff(pairs, prepend=-1) > 0]
        return distinct // n_source, distinct % n_source

    def _grown(
        self, sources: IntArray, targets: IntArray, n_source: int, room: int, own: Sequence[IntArray], starts: IntArray
    ) -> FloatArray:
        """Return how many distinct sources 1, 2, ... neurons next to each other have, the mean over some starts.

        Next to a start are the neurons that follow it, or those most of whose sources it has, whichever share more.
        """
        room = min(room, self.units, MOST_RANKS)
        bits = np.zeros(n_source, np.uint8)
        for index, of in enumerate(own):
            bits[of] |= np.uint8(1 << index)
        seen = bits[self.some_sources]
        chosen = np.flatnonzero(seen)
        seen, reached = seen[chosen], self.some_targets[chosen]
        orders = []
        for index, start in enumerate(starts.tolist()):
            first = int(self.neurons[start])
            overlap = np.bincount(reached[(seen >> index) & 1 == 1], minlength=self.units) / np.maximum(self.count, 1)
            overlap[first] = np.inf
            near = np.argpartition(-overlap, room - 1)[:room]
            orders.append((near[np.argsort(-overlap[near], kind="stable")], (first + np.arange(room)) % self.units))
        wanted = np.zeros(self.units, np.bool_)
        for pair in orders:
            for order in pair:
                wanted[order] = True
        kept = _where(wanted, targets)
        sources, targets = sources[kept], targets[kept]
        curves = [min((self._union(sources, targets, order, n_source) for order in pair), key=np.sum) for pair in orders]
        return np.asarray(np.mean(curves, axis=0))

    def _union(self, sources: IntArray, targets: IntArray, order: IntArray, n_source: int) -> FloatArray:
        """Return the distinct sources of the first 1, 2, ... neurons of an order."""
        rank = np.full(self.units, -1, np.int16)
        rank[order] = np.arange(len(order), dtype=np.int16)
        at = rank[targets]
        chosen = np.flatnonzero(at >= 0)
        by_rank = chosen[np.argsort(at[chosen], kind="stable")[::-1]]
        first = np.full(n_source, -1, np.int16)
        first[sources[by_rank]] = at[by_rank]  # of equal sources the last one, the smallest rank, stays
        return np.cumsum(np.bincount(first[first >= 0], minlength=len(order))).astype(np.float64)

    def about(self, n: int) -> float:
        """Return the distinct sources of n neurons, about; beyond a core's room, in proportion."""
        unit = -(-n // self.unit)
        return float(self.curve[min(unit, len(self.curve)) - 1]) * max(1.0, unit / len(self.curve))

    def words(self, n: int, cost: Cost) -> float:
        """Return the synapse words of n neurons, about: each of their sources has the same share of their synapses."""
        rows = self.about(n)
        return rows * float(cost.listed(np.array(math.ceil(self.mean * n / max(1.0, rows)))))

    def least_cores(self, axons: int) -> int:
        """Return how many cores with so many input axons the drawn neurons need at least."""
        cores, c = 0, self.common
        for k in np.unique(np.quantile(self.fan_in, QUANTILES, method="lower")).tolist() if len(self.fan_in) else ():
            if axons > 0 and k > c and k * k > c * axons:
                held = max(1, (k - c) * axons // (k * k - c * axons))
                cores = max(cores, -(-int(np.count_nonzero(self.fan_in >= k)) // held))
        return cores


def _where(wanted: NDArray[np.bool_], targets: IntArray) -> IntArray:
    """Return which synapses are onto some neurons, block by block of the list."""
    blocks = range(0, len(targets), AT_ONCE)
    return np.concatenate([start + np.flatnonzero(wanted[targets[start : start + AT_ONCE]]) for start in blocks])


def _most_common(at: IntArray, source: IntArray, n: int) -> int:
    """Return how many sources two of n neurons have in common, at most; more than any have where that takes too long."""
    order = np.argsort(source, kind="stable")
    at, source = at[order], source[order]
    here, shift, found, left = np.arange(len(source)), 1, [np.zeros(0, np.int64)], 4 * PAIRS
    while True:
        here = here[here + shift < len(source)]
        here = here[source[here] == source[here + shift]]
        if not len(here):
            break
        left -= len(here)
        if left < 0:
            return len(source)
        found.append(at[here] * n + at[here + shift])
        shift += 1
    return int(np.bincount(np.concatenate(found), minlength=1).max())
