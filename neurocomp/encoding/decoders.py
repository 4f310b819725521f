"""Decoders: which answer the spikes or potentials of a population give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding.encoders import Option
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
    answer: Callable[[Array, Mapping[str, float | int | str]], Answers]
    """(spikes or potentials, options) -> answers."""
    reads_potential: bool = False
    """``answer`` takes v instead of the spikes."""
    options: Mapping[str, Option] = field(default_factory=dict)
    of_classes: bool = False
    """Answers are classes, as many as the option ``classes`` says, instead of neurons."""


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
        Indices of neurons (of classes, for ``vote``), (samples,); of equals the lowest; -1 where ``first_spike`` saw no spike.

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


def _count(spikes: Array, options: Mapping[str, float | int | str]) -> Answers:
    return np.asarray(np.argmax(spikes.sum(axis=1, dtype=np.int64), axis=1), np.int64)


def _first_spike(spikes: Array, options: Mapping[str, float | int | str]) -> Answers:
    fired = spikes > 0
    first = np.where(fired.any(axis=1), fired.argmax(axis=1), spikes.shape[1])
    return np.where(fired.any(axis=(1, 2)), first.argmin(axis=1), NO_ANSWER).astype(np.int64)


def _potential(v: Array, options: Mapping[str, float | int | str]) -> Answers:
    return np.asarray(np.argmax(v[:, -1], axis=1), np.int64)


def _vote(spikes: Array, options: Mapping[str, float | int | str]) -> Answers:
    classes = int(options["classes"])
    counts = spikes.sum(axis=1, dtype=np.int64)
    votes = np.zeros((len(counts), classes), np.int64)
    for first in range(0, counts.shape[1], classes):
        part = counts[:, first : first + classes]
        votes[:, : part.shape[1]] += part
    return np.asarray(np.argmax(votes, axis=1), np.int64)


DECODERS: Table[DecoderScheme] = Table("decoder")
for _scheme in (
    DecoderScheme("count", "the neuron with the most spikes", _count),
    DecoderScheme(
        "vote",
        "the class with the most spikes; neuron i votes for class i mod classes",
        _vote,
        options={"classes": Option("number of classes", 10, integer=True, minimum=1, maximum=2**31 - 1)},
        of_classes=True,
    ),
    DecoderScheme("first_spike", "the neuron that fires first; -1 if none does", _first_spike),
    DecoderScheme("potential", "the neuron with the largest potential after the last tick", _potential, True),
):
    DECODERS.register(_scheme.name, _scheme)
