"""Decoders: which answer the spikes or potentials of a population give."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding.schemes import Operations, Option, Options, Problem
from neurocomp.errors import Diagnostic, NetworkError
from neurocomp.ir.network import Decoder
from neurocomp.models.registration import Table

Array = NDArray[Any]
Answers = NDArray[np.int64]

NO_ANSWER = -1


@dataclass(frozen=True, slots=True)
class DecoderScheme:
    """A way to read an answer, the index of a neuron, from spikes or from potentials (samples, ticks, n)."""

    name: str
    doc: str
    answer: Callable[[Array, Options], Answers]
    """(spikes or potentials, options) -> answers."""
    reads_potential: bool = False
    """``answer`` takes v instead of the spikes."""
    options: Mapping[str, Option] = field(default_factory=dict)
    of_classes: bool = False
    """Answers are classes, as many as the option ``classes`` says, instead of neurons."""
    problem: Callable[[Options, int, int], Problem | None] = lambda options, neurons, ticks: None
    """(options, neurons, ticks of the network) -> what is wrong with options that are each in their range."""
    operations: Callable[[int, int, Options], Operations] = lambda neurons, ticks, options: Operations(
        macs=neurons * ticks, comparisons=neurons
    )
    """(neurons, ticks, options) -> operations of the host for one sample."""
    formula: str = ""
    """For docs/encoders.md, as the next two."""
    cost: str = "n T MACs, n comparisons"
    source: str = ""


def possible_answers(decoder: Decoder, size: int) -> int:
    """Return how many different answers a decoder can give of a population of ``size`` neurons."""
    return int(decoder.options["classes"]) if DECODERS[decoder.scheme].of_classes else size


def decode(decoder: Decoder, *, spikes: Array, v: Array | None = None) -> Answers:
    """Return the answer of each sample.

    Args:
        decoder: The scheme.
        spikes: (samples, ticks, n), counts per tick, in the user's time.
        v: (samples, ticks, n), the potentials after each tick; needed where the scheme ``reads_potential``.

    Returns:
        Indices of neurons (of classes, for schemes ``of_classes``), (samples,); of equals the lowest; -1 where ``first_spike``
        saw no spike.

    Raises:
        NetworkError: The scheme reads potentials and ``v`` is None (NC0212).
    """
    scheme = DECODERS[decoder.scheme]
    if not scheme.reads_potential:
        return scheme.answer(spikes, decoder.options)
    if v is None:
        message = f"the decoder '{scheme.name}' reads potentials, and the run recorded none"
        raise NetworkError(Diagnostic("NC0212", message, decoder.origin, hint="record the state"))
    return scheme.answer(v, decoder.options)


def decode_early(decoder: Decoder, ticks: int, *, spikes: Array, v: Array) -> Answers:
    """Return the answer of each sample if it is read after some of its ticks; arguments as `decode`.

    Spikes after that are left out, while windows of ticks stay where they are.
    """
    if DECODERS[decoder.scheme].reads_potential:
        return decode(decoder, spikes=spikes[:, :ticks], v=v[:, :ticks])
    seen = np.arange(spikes.shape[1])[None, :, None] < ticks
    return decode(decoder, spikes=np.where(seen, spikes, 0), v=v)


def _count(spikes: Array, options: Options) -> Answers:
    return np.asarray(np.argmax(spikes.sum(axis=1, dtype=np.int64), axis=1), np.int64)


def _first_spike(spikes: Array, options: Options) -> Answers:
    fired = spikes > 0
    first = np.where(fired.any(axis=1), fired.argmax(axis=1), spikes.shape[1])
    return np.where(fired.any(axis=(1, 2)), first.argmin(axis=1), NO_ANSWER).astype(np.int64)


def _potential(v: Array, options: Options) -> Answers:
    """Read v after the last tick, its largest value, or its sum over the ticks."""
    over = str(options.get("over", "last"))
    wide = np.float64 if v.dtype.kind == "f" else np.int64
    read = v[:, -1] if over == "last" else v.max(axis=1) if over == "max" else v.sum(axis=1, dtype=wide)
    return np.asarray(np.argmax(read, axis=1), np.int64)


def class_of(neurons: int, options: Options) -> NDArray[np.int64]:
    """Return the class of each neuron: i mod classes, or in blocks i classes div n."""
    classes, index = int(options["classes"]), np.arange(neurons, dtype=np.int64)
    return index * classes // neurons if options.get("groups") == "blocks" else index % classes


def _vote(spikes: Array, options: Options) -> Answers:
    counts = spikes.sum(axis=1, dtype=np.int64)
    votes = np.zeros((len(counts), int(options["classes"])), np.int64)
    for neuron, own in enumerate(class_of(counts.shape[1], options)):
        votes[:, own] += counts[:, neuron]
    return np.asarray(np.argmax(votes, axis=1), np.int64)


def _rank(spikes: Array, options: Options) -> Answers:
    """Give the class the largest sum of modulation**r; r is how many neurons fired before the neuron's own first spike.

    Powers are products, and sums go in the order of the neurons, so that every platform has the same bits.

    S. Thorpe, J. Gautrais: Rank order coding. Computational Neuroscience: Trends in Research, 1998.
    """
    fired = spikes > 0
    neurons = fired.shape[2]
    first = np.where(fired.any(axis=1), fired.argmax(axis=1), spikes.shape[1])
    ordered = np.sort(first, axis=1)
    rank = np.stack([np.searchsorted(row, own) for row, own in zip(ordered, first, strict=True)]) if len(first) else first
    powers = np.ones(neurons + 1)
    for index in range(neurons):
        powers[index + 1] = powers[index] * float(options["modulation"])
    value = np.where(fired.any(axis=1), powers[rank], 0.0)
    scores = np.zeros((len(value), int(options["classes"])))
    for neuron, own in enumerate(class_of(neurons, options)):
        scores[:, own] += value[:, neuron]
    return np.asarray(np.argmax(scores, axis=1), np.int64)


def _window(spikes: Array, options: Options) -> Answers:
    first, stop = _bounds(options, spikes.shape[1])
    return _count(spikes[:, max(first, 0) : max(stop, 0)], options)


def _bounds(options: Options, ticks: int) -> tuple[int, int]:
    """Return the first tick of the window and the one behind its last; negative ones count from the end."""
    first, last = int(options["first"]), int(options["last"])
    return first + ticks * (first < 0), last + ticks * (last < 0) + 1


def _window_problem(options: Options, neurons: int, ticks: int) -> Problem | None:
    first, stop = _bounds(options, ticks)
    for key, tick in (("first", first), ("last", stop - 1)):
        if not 0 <= tick < ticks:
            message = f"{key} is {options[key]}; the ticks of a sample are 0..{ticks - 1}, or -{ticks}..-1 from the end"
            return Problem(key, message, f"write '{key}: {0 if key == 'first' else -1}', or raise 'ticks'")
    if first >= stop:
        message = f"the window from tick {first} to {stop - 1} is empty"
        return Problem("first", message, f"write 'last: {first}' or more")
    return None


def _class_problem(options: Options, neurons: int, ticks: int) -> Problem | None:
    classes = int(options["classes"])
    if classes > neurons and options["groups"] == "blocks":
        message = f"{neurons} neurons cannot make {classes} blocks"
        return Problem("classes", message, f"write 'classes: {neurons}' or less")
    return None


def decoder_problem(decoder: Decoder, neurons: int, ticks: int) -> Problem | None:
    """Return what is wrong with a decoder whose options are each in their range."""
    return DECODERS[decoder.scheme].problem(decoder.options, neurons, ticks)


_CLASSES = Option("number of classes", 10, integer=True, minimum=1, maximum=2**31 - 1)
_GROUPS = Option("which neurons belong to a class", "interleaved", words=("interleaved", "blocks"))
_TICK = 2**31 - 1
_WINDOW = "{} tick of the window; negative ones count from the end"

DECODERS: Table[DecoderScheme] = Table("decoder")
for _scheme in (
    DecoderScheme(
        "count",
        "the neuron with the most spikes",
        _count,
        formula="the neuron with the most spikes; spikes of -1 are subtracted",
        source="E. Adrian: The impulses produced by sensory nerve endings. J. Physiology 61, 1926",
    ),
    DecoderScheme(
        "window",
        "the neuron with the most spikes in a window of ticks",
        _window,
        options={
            "first": Option(
                "first tick of the window; negative ones count from the end", 0, integer=True, minimum=-_TICK, maximum=_TICK
            ),
            "last": Option(
                "last tick of the window; negative ones count from the end", -1, integer=True, minimum=-_TICK, maximum=_TICK
            ),
        },
        problem=_window_problem,
        formula="`count` of the ticks first … last, both included; negative ones count from the end of the sample",
        source="as `count`",
    ),
    DecoderScheme(
        "vote",
        "the class with the most spikes of its neurons",
        _vote,
        options={"classes": _CLASSES, "groups": _GROUPS},
        of_classes=True,
        problem=_class_problem,
        formula="the class with the most spikes; neuron i votes for class i mod classes, or in `blocks` for floor(i "
        "classes / n)",
        source="P. Diehl, M. Cook: Unsupervised learning of digit recognition using spike-timing-dependent plasticity. "
        "Frontiers in "
        "Computational Neuroscience 9, 2015",
    ),
    DecoderScheme(
        "first_spike",
        "the neuron that fires first; -1 if none does",
        _first_spike,
        operations=lambda neurons, ticks, options: Operations(comparisons=neurons * (ticks + 1)),
        formula="the neuron that fires first; -1 if none does; spikes of -1 do not count",
        cost="n (T + 1) comparisons",
        source="S. Thorpe, A. Delorme, R. Van Rullen: Spike-based strategies for rapid processing. Neural Networks 14, 2001",
    ),
    DecoderScheme(
        "rank",
        "the class whose neurons fire first, the earlier a neuron the more it counts",
        _rank,
        options={
            "classes": _CLASSES,
            "groups": _GROUPS,
            "modulation": Option("factor per rank", 0.9, minimum=0.0, maximum=1.0),
        },
        of_classes=True,
        problem=_class_problem,
        operations=lambda neurons, ticks, options: Operations(
            2 * neurons, neurons * (ticks + math.ceil(math.log2(max(neurons, 1)))) + int(options["classes"])
        ),
        formula="the class with the largest sum of modulation^r over its neurons, r = how many neurons had their first "
        "spike in an "
        "earlier tick; neurons that never fire add 0; classes as `vote`",
        cost="2 n MACs, n (T + ceil(log2 n)) + classes comparisons",
        source="S. Thorpe, J. Gautrais: Rank order coding. Computational Neuroscience: Trends in Research, 1998",
    ),
    DecoderScheme(
        "potential",
        "the neuron with the largest potential after the last tick, over all ticks, or in sum",
        _potential,
        True,
        options={"over": Option("what of the ticks is read", "last", words=("last", "max", "sum"))},
        operations=lambda neurons, ticks, options: Operations(
            macs=neurons * ticks if options.get("over") == "sum" else 0,
            comparisons=neurons * (ticks if options.get("over") == "max" else 1),
        ),
        formula="the neuron with the largest v after the last tick, with the largest v of all ticks (`max`), or with "
        "the largest "
        "sum of v (`sum`)",
        cost="n comparisons; n T with `max`; and n T MACs with `sum`",
        source="B. Cramer et al.: The Heidelberg spiking data sets for the systematic evaluation of spiking neural "
        "networks. IEEE "
        "TNNLS 33(7), 2022 (`max`)",
    ),
):
    DECODERS.register(_scheme.name, _scheme)
