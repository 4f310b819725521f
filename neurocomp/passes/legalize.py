"""Legalize: a network in the language's own terms becomes one of single patterns, Network to Network.

Chains of linear patterns fold into one pattern where that is exact: pools are convolutions with one group per channel, a
convolution of a convolution is one whose window is the two together, whatever passes a dense is dense. Else they are written
out as sparse up to a size, and refused beyond it. A maximum is not linear: it stays in front of the pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding import carries_values
from neurocomp.errors import Diagnostic, UnsupportedError
from neurocomp.ir.network import Network, Projection, Stage, frozen
from neurocomp.models.patterns import PATTERNS, Conv, IntArray, Pattern, Pool, Shape, Synapses, expanded, size_of

Array = NDArray[Any]
FloatArray = NDArray[np.float64]

LARGEST_DENSE = 1 << 26
"""Weights of the largest matrix that a chain folds into."""
LARGEST_SPARSE = 1 << 24
"""Synapses of the longest list that a chain is written out to."""
BLOCK = 1 << 22
"""Synapses of one pattern that are listed at once."""


@dataclass(frozen=True, slots=True, eq=False)
class _Link:
    """One linear pattern on its way to be folded."""

    pattern: Pattern
    weights: Array
    source: Shape
    target: Shape

    @property
    def is_diagonal(self) -> bool:
        """Whether it reaches neuron i from neuron i alone."""
        return self.pattern.kind in ("one_to_one", "scale", "flatten")

    @property
    def factors(self) -> FloatArray:
        """The factors of a diagonal link, (n,)."""
        return np.broadcast_to(np.asarray(self.weights, np.float64), (size_of(self.target),))


def legalize(network: Network) -> tuple[Network, tuple[str, ...]]:
    """Return the network with one pattern per projection (and at most one maximum before it), and what was folded.

    Projections that are legal as they are stay the same objects; a network of such alone is returned itself.

    Raises:
        UnsupportedError: A chain that cannot be folded (NC0317), with all that there are.
    """
    problems: list[Diagnostic] = []
    notes: list[str] = []
    projections: list[Projection] = []
    for q in network.projections:
        try:
            legal, note = _legal(network, q)
        except UnsupportedError as error:
            problems += error.diagnostics
            continue
        projections.append(legal)
        notes += [note] if note else []
    if problems:
        raise UnsupportedError(problems)
    if all(legal is q for legal, q in zip(projections, network.projections, strict=True)):
        return network, ()
    return replace(network, projections=tuple(projections)).verify(), tuple(notes)


def _legal(network: Network, q: Projection) -> tuple[Projection, str | None]:
    if not q.before and q.pattern.kind in ("dense", "one_to_one", "sparse", "block", "conv1d", "conv2d"):
        return q, None
    source, target = network.populations[q.source], network.populations[q.target].shape
    maximum: tuple[Stage, ...] = ()
    links: list[_Link] = []
    shape = source.shape
    stages = (*q.before, Stage(q.pattern, q.weights, target))
    for number, stage in enumerate(stages):
        if PATTERNS[stage.pattern.kind].linear:
            links.append(_normal(_Link(stage.pattern, stage.weights, shape, stage.shape)))
            shape = stage.shape
            continue
        if number:
            before = stages[number - 1].pattern.kind
            message = f"projection '{q.name}': the maximum '{stage.pattern.kind}' comes after '{before}' in its chain"
            hint = "a maximum can only be taken of spikes: put it first, or put a population of neurons before it"
            raise UnsupportedError(Diagnostic("NC0317", message, q.origin, hint=hint))
        if carries_values(network, source.name):
            what = "which carry values" if source.neuron is None else f"of which some are -1 (model '{source.neuron.model}')"
            message = f"projection '{q.name}': '{stage.pattern.kind}' takes a maximum of the spikes of '{source.name}', {what}"
            raise UnsupportedError(Diagnostic("NC0317", message, q.origin, hint="use a sum or an average"))
        after = PATTERNS[stage.pattern.kind].output_shape(stage.pattern, shape, ())
        assert after is not None
        maximum = (Stage(stage.pattern, frozen(np.float64(1.0)), after),)
        links.append(_Link(Pattern("flatten"), stage.weights, after, stage.shape))
        shape = stage.shape
    folded = _final(_folded(links, q))
    weights = folded.weights
    if q.native is not None and weights.dtype.kind == "f":
        whole = np.rint(weights)
        if (whole != weights).any():
            message = f"projection '{q.name}': its chain makes weights that are not whole, in a chip's own integers"
            raise UnsupportedError(Diagnostic("NC0310", message, q.origin, hint="use a sum in place of an average"))
        weights = whole.astype(np.int64)
    legal = replace(q, pattern=folded.pattern, weights=frozen(weights), before=maximum)
    names = " -> ".join(stage.pattern.kind for stage in stages)
    becomes = folded.pattern.kind
    if "kernel" in folded.pattern.options:
        o = folded.pattern.options
        becomes += f" {'x'.join(map(str, o['kernel']))}, stride {'x'.join(map(str, o['stride']))}, groups {o['groups'][0]}"
    if maximum:
        becomes = f"{maximum[0].pattern.kind} -> {becomes}"
    note = f"'{q.name}': {names} became {becomes}"
    return legal, note if len(stages) > 1 and names != becomes else None


def _normal(link: _Link) -> _Link:
    """Return a pool as the convolution that it is."""
    kind = PATTERNS[link.pattern.kind]
    if isinstance(kind, Pool):
        pattern, weights = kind.as_conv(link.pattern, link.weights, link.source[0])
        return replace(link, pattern=pattern, weights=weights)
    return link


def _final(link: _Link) -> _Link:
    """Return a diagonal link as one_to_one."""
    if link.is_diagonal:
        return replace(link, pattern=Pattern("one_to_one"), weights=link.factors.copy())
    return link


def _folded(links: Sequence[_Link], q: Projection) -> _Link:
    """Return one link that does what all do, one after the other."""
    links = _merged(links, _diagonal)
    dense = next((number for number, link in enumerate(links) if link.pattern.kind == "dense"), None)
    if dense is None:
        links = _merged(links, _conv_of_conv)
        dense = 0
    folded = links[dense]
    for link in reversed(links[:dense]):
        folded = _written_out(link, folded, q)
    for link in links[dense + 1 :]:
        folded = _written_out(folded, link, q)
    return folded


def _merged(links: Sequence[_Link], merge: Callable[[_Link, _Link], _Link | None]) -> list[_Link]:
    """Return the links with neighbours merged where ``merge`` can, from the first on."""
    result = [links[0]]
    for link in links[1:]:
        found = merge(result[-1], link)
        if found is None:
            result.append(link)
        else:
            result[-1] = found
    return result


def _diagonal(first: _Link, second: _Link) -> _Link | None:
    """Fold two links of which one is diagonal."""
    if first.is_diagonal and second.is_diagonal:
        return _Link(Pattern("one_to_one"), first.factors * second.factors, first.source, second.target)
    if first.is_diagonal:
        return _before(first, second)
    return _after(first, second) if second.is_diagonal else None


def _written_out(first: _Link, second: _Link, q: Projection) -> _Link:
    """Fold two links into dense if one of them is, else into sparse."""
    if "dense" in (first.pattern.kind, second.pattern.kind):
        return _to_dense(first, second, q)
    return _to_sparse(first, second, q)


def _after(first: _Link, second: _Link) -> _Link | None:
    """Fold a diagonal link behind another one, where the pattern can bear the new shape."""
    if second.target != first.target and first.pattern.kind not in ("dense", "sparse", "block"):
        return None
    scaled = PATTERNS[first.pattern.kind].scaled(first.pattern, first.weights, second.factors, first.source, first.target)
    return scaled and _Link(*scaled, first.source, second.target)


def _before(first: _Link, second: _Link) -> _Link | None:
    """Fold a diagonal link in front of another one."""
    factors, kind = first.factors, second.pattern.kind
    weights = np.asarray(second.weights, np.float64)
    if kind == "dense":
        return _Link(second.pattern, weights * factors, first.source, second.target)
    if kind == "sparse":
        return _Link(second.pattern, weights * factors[second.pattern.arrays["sources"]], first.source, second.target)
    if kind == "block":
        gathered = factors[second.pattern.arrays["indices"]]
        return _Link(second.pattern, weights * gathered[:, None, :], first.source, second.target)
    per_channel = factors.reshape(second.source[0], -1)
    if first.source != second.source or (per_channel != per_channel[:, :1]).any():
        return None
    groups = second.pattern.options["groups"][0]
    inner = per_channel[:, 0].reshape(groups, 1, weights.shape[1])
    rows = weights.reshape(groups, weights.shape[0] // groups, weights.shape[1], -1) * inner[..., None]
    return _Link(second.pattern, rows.reshape(weights.shape), first.source, second.target)


def _conv_of_conv(first: _Link, second: _Link) -> _Link | None:
    """Fold two convolutions where what the second one sees in its padding is 0 for the two together as well."""
    if first.pattern.kind != second.pattern.kind or not isinstance(PATTERNS[first.pattern.kind], Conv):
        return None
    one, two = first.pattern.options, second.pattern.options
    if not _padding_is_zero(first, second):
        return None
    dims = len(one["kernel"])
    groups = int(np.gcd(one["groups"][0], two["groups"][0]))
    # A place of the combined kernel: the second kernel's place in steps of the first stride, plus the first kernel's place.
    axes = zip(one["kernel"], two["kernel"], one["stride"], one["dilation"], two["dilation"], strict=True)
    places = [[i * d2 * s1 + j * d1 for i in range(k2) for j in range(k1)] for k1, k2, s1, d1, d2 in axes]
    step = tuple(int(np.gcd.reduce(p)) or 1 for p in places)
    kernel = tuple(max(p) // s + 1 for p, s in zip(places, step, strict=True))
    shape = (second.target[0], first.source[0] // groups, *kernel)
    if size_of(shape) > LARGEST_DENSE:
        return None
    out = np.zeros(shape)
    a = _ungrouped(np.asarray(first.weights, np.float64), one["groups"][0], groups)
    b = _ungrouped(np.asarray(second.weights, np.float64), two["groups"][0], groups)
    per_out = b.shape[1]
    for g in range(groups):
        rows = slice(g * per_out, (g + 1) * per_out)
        for i in np.ndindex(*two["kernel"]):
            for j in np.ndindex(*one["kernel"]):
                at = tuple(
                    (i[x] * two["dilation"][x] * one["stride"][x] + j[x] * one["dilation"][x]) // step[x] for x in range(dims)
                )
                here: tuple[slice | int, ...] = (rows, slice(None), *at)
                out[here] += _at(b[g], i) @ _at(a[g], j)
    options = {
        "kernel": kernel,
        "stride": tuple(s1 * s2 for s1, s2 in zip(one["stride"], two["stride"], strict=True)),
        "padding": tuple(p1 + s1 * p2 for p1, s1, p2 in zip(one["padding"], one["stride"], two["padding"], strict=True)),
        "dilation": step,
        "groups": (groups,),
    }
    return _Link(Pattern(first.pattern.kind, {}, options), out, first.source, second.target)


def _padding_is_zero(first: _Link, second: _Link) -> bool:
    """Return whether the first convolution, moved to where the second one pads, would see nothing but its own padding."""
    one, two = first.pattern.options, second.pattern.options
    for x, (n, made, n_out) in enumerate(zip(first.source[1:], first.target[1:], second.target[1:], strict=True)):
        starts = np.arange(n_out) * two["stride"][x] - two["padding"][x]
        places = (starts[:, None] + np.arange(two["kernel"][x]) * two["dilation"][x]).reshape(-1)
        padded = places[(places < 0) | (places >= made)]
        seen = padded[:, None] * one["stride"][x] - one["padding"][x] + np.arange(one["kernel"][x]) * one["dilation"][x]
        if ((seen >= 0) & (seen < n)).any():
            return False
    return True


def _at(weights: FloatArray, place: tuple[int, ...]) -> FloatArray:
    """Return the matrix (out, in) at a place of the kernel of weights (out, in, *kernel)."""
    where: tuple[slice | int, ...] = (slice(None), slice(None), *place)
    return np.asarray(weights[where])


def _ungrouped(weights: FloatArray, groups: int, wanted: int) -> FloatArray:
    """Return (wanted groups, out, in, *kernel) of weights (out, in / groups, *kernel); ``wanted`` divides ``groups``."""
    per_out, per_in, inner = weights.shape[0] // groups, weights.shape[1], groups // wanted
    whole = np.zeros((wanted, inner * per_out, inner * per_in, *weights.shape[2:]))
    for g in range(groups):
        outer, i = divmod(g, inner)
        rows = weights[g * per_out : (g + 1) * per_out]
        whole[outer, i * per_out : (i + 1) * per_out, i * per_in : (i + 1) * per_in] = rows
    return whole


def _to_dense(first: _Link, second: _Link, q: Projection) -> _Link:
    n_source, n_target = size_of(first.source), size_of(second.target)
    if n_source * n_target > LARGEST_DENSE:
        raise _too_large(q, n_source * n_target, "weights", LARGEST_DENSE)
    result = np.zeros((n_target, n_source))
    if second.pattern.kind == "dense":
        matrix = np.asarray(second.weights, np.float64)
        if first.pattern.kind == "dense":
            result = matrix @ np.asarray(first.weights, np.float64)
        for found, values in _listed(first):
            for row in range(n_target):
                result[row] += np.bincount(found.source, matrix[row, found.target] * values, n_source)
    else:
        matrix = np.asarray(first.weights, np.float64)
        for found, values in _listed(second):
            for column in range(n_source):
                result[:, column] += np.bincount(found.target, matrix[found.source, column] * values, n_target)
    return _Link(Pattern("dense"), result, first.source, second.target)


def _listed(link: _Link) -> Iterator[tuple[Synapses, FloatArray]]:
    """Yield the synapses of a link and their weights, in blocks of target neurons; nothing of dense."""
    if link.pattern.kind == "dense":
        return
    kind, shapes = PATTERNS[link.pattern.kind], (link.source, link.target)
    weights = np.asarray(link.weights, np.float64).ravel()
    for neurons in _neurons(kind.count(link.pattern, *shapes)):
        found = kind.synapses(link.pattern, *shapes, neurons)
        yield found, weights[found.slot]


def _neurons(counts: IntArray) -> list[IntArray]:
    """Return the target neurons in runs that have about `BLOCK` synapses each."""
    block = np.cumsum(counts) // BLOCK
    return np.split(np.arange(len(counts)), np.flatnonzero(np.diff(block)) + 1)


def _to_sparse(first: _Link, second: _Link, q: Projection) -> _Link:
    for link in (first, second):
        size = int(PATTERNS[link.pattern.kind].count(link.pattern, link.source, link.target).sum())
        if size > LARGEST_SPARSE:
            raise _too_large(q, size, "synapses", LARGEST_SPARSE)
    one, a = expanded(first.pattern, np.asarray(first.weights, np.float64), first.source, first.target)
    two, b = expanded(second.pattern, np.asarray(second.weights, np.float64), second.source, second.target)
    order = np.argsort(one.arrays["targets"], kind="stable")
    between, sources, a = one.arrays["targets"][order], one.arrays["sources"][order], a[order]
    start = np.searchsorted(between, two.arrays["sources"])
    count = np.searchsorted(between, two.arrays["sources"], "right") - start
    total = int(count.sum())
    if total > LARGEST_SPARSE:
        raise _too_large(q, total, "synapses", LARGEST_SPARSE)
    at = np.repeat(start - (np.cumsum(count) - count), count) + np.arange(total)
    key = np.repeat(two.arrays["targets"], count) * size_of(first.source) + sources[at]
    pairs, inverse = np.unique(key, return_inverse=True)
    values = np.bincount(inverse.reshape(-1), np.repeat(b, count) * a[at], len(pairs))
    targets, sources = np.divmod(pairs, size_of(first.source))
    arrays = {"sources": frozen(sources), "targets": frozen(targets)}
    return _Link(Pattern("sparse", arrays), values, first.source, second.target)


def _too_large(q: Projection, size: int, what: str, limit: int) -> UnsupportedError:
    names: Sequence[str] = [*(stage.pattern.kind for stage in q.before), q.pattern.kind]
    message = f"projection '{q.name}': the chain {' -> '.join(names)} takes {size:,} {what}; at most {limit:,} are written out"
    hint = "put a population of neurons between its parts"
    return UnsupportedError(Diagnostic("NC0317", message, q.origin, hint=hint))
