"""What reaches a population: a line per source neuron (or window of a maximum) and delay, with the weights it carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.models.patterns import PATTERNS, Pattern

IntArray = NDArray[np.int64]

RANDOM = ("b", "c_lambda", "TM")
"""Parameters that make a neuron draw random numbers."""


def is_stochastic(p: IntegerPopulation) -> bool:
    """Return whether neurons of a population draw random numbers: copies on silicon would draw different ones."""
    return p.dynamics == "truenorth" and any(bool(p.values(name).any()) for name in RANDOM)


POSITION_BITS, DELAY_BITS, WHICH_BITS = 28, 14, 10
EARLIEST = -8192
"""Hold lines come before the user's time."""


def code_of(sender: IntArray, position: IntArray, delay: IntArray) -> IntArray:
    """Return a line as one number, which orders lines by sender, position and delay."""
    return np.asarray(((sender << POSITION_BITS | position) << DELAY_BITS) | (delay - EARLIEST))


@dataclass(frozen=True, slots=True, eq=False)
class Sender:
    """Where lines start: a population, or what a maximum over its windows makes of it."""

    population: str
    pool: Pattern | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The lines into one population, each with a sender, a position in it and a delay; and the synapses on them."""

    senders: tuple[Sender, ...]
    sender: IntArray
    """(lines,): index into ``senders``."""
    position: IntArray
    delay: IntArray
    slot: IntArray
    """What names the random numbers of the line's synapses."""
    line: IntArray
    """(synapses,): the line of each synapse; no two of a line reach one neuron."""
    neuron: IntArray
    weight: IntArray

    @property
    def count(self) -> int:
        """Number of lines."""
        return len(self.sender)

    def sources(self, network: IntegerNetwork) -> list[IntArray]:
        """Return the source neurons of each line: one, or those of the window."""
        found: list[IntArray] = [position[None] for position in self.position]
        for number, sender in enumerate(self.senders):
            if sender.pool is None:
                continue
            shape = network.populations[sender.population].shape
            pooled = PATTERNS[sender.pool.kind].output_shape(sender.pool, shape, ())
            assert pooled is not None
            for at in np.flatnonzero(self.sender == number):
                found[at] = PATTERNS[sender.pool.kind].sources(sender.pool, shape, pooled, self.position[at : at + 1])
        return found


def lines_of(network: IntegerNetwork, name: str) -> Lines:
    """Return the lines into a population; synapses of weight 0 are none, several on one line and neuron add up."""
    target = network.populations[name]
    apart = target.dynamics == "truenorth" and bool(target.values("b").any())
    senders: list[Sender] = []
    none = np.zeros(0, np.int64)
    parts: list[tuple[IntArray, ...]] = [(none,) * 6]
    for number, q in enumerate(network.projections):
        if q.target != name:
            continue
        source, neuron, weight, delay = synapses_of(network, q)
        sender = _number(senders, Sender(q.source, q.pool))
        which = np.full(len(source), number if apart else 0)
        parts.append((np.full(len(source), sender), source, delay, which, neuron, weight))
    sender_of, position, delay, which, neuron, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    codes = code_of(sender_of, position, delay) << WHICH_BITS | which
    _, first, line = np.unique(codes, return_index=True, return_inverse=True)
    line = line.reshape(-1)
    pairs, inverse = np.unique(line * max(1, target.size) + neuron, return_inverse=True)
    total = np.zeros(len(pairs), np.int64)
    np.add.at(total, inverse.reshape(-1), weight)
    kept = total != 0
    line, neuron = np.divmod(pairs[kept], max(1, target.size))
    return Lines(
        tuple(senders), sender_of[first], position[first], delay[first], (which[first] << 24 | position[first]) & 0xFFFFFFFF,
        line, neuron, total[kept],
    )  # fmt: skip


def merged(parts: Sequence[tuple[Lines, int, int]]) -> Lines:
    """Return the lines of several populations as those of one.

    Args:
        parts: Of each population its lines, the ticks by which their delays grow, and the number of its first neuron.
    """
    senders: list[Sender] = []
    keys, line, neuron, weight, slot = [], [], [], [], []
    count = 0
    for lines, late, first in parts:
        number = np.array([_number(senders, s) for s in lines.senders], np.int64)
        keys.append(np.stack([number[lines.sender], lines.position, lines.delay + late]))
        line.append(lines.line + count)
        neuron.append(lines.neuron + first)
        weight.append(lines.weight)
        slot.append(lines.slot)
        count += lines.count
    sender_of, position, delay = np.concatenate(keys, axis=1)
    _, first_of, inverse = np.unique(code_of(sender_of, position, delay), return_index=True, return_inverse=True)
    joined = inverse.reshape(-1)[np.concatenate(line)]
    return Lines(
        tuple(senders), sender_of[first_of], position[first_of], delay[first_of], np.concatenate(slot)[first_of], joined,
        np.concatenate(neuron), np.concatenate(weight),
    )  # fmt: skip


def synapses_of(network: IntegerNetwork, q: IntegerProjection) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Return source (in what the pattern starts from), target, weight and delay of the synapses that weigh something."""
    found = network.synapses(q)
    weight = q.weights.ravel()[found.slot]
    delay = np.broadcast_to(q.delay, q.mantissa.shape).ravel()[found.slot] if q.delay.ndim else np.full(len(weight), q.delay)
    kept = weight != 0
    return found.source[kept], found.target[kept], weight[kept], np.asarray(delay[kept], np.int64)


def _number(senders: list[Sender], sender: Sender) -> int:
    """Return the number of a sender in a list that grows by it if it is new; equal windows over one population are one."""
    for number, known in enumerate(senders):
        if known.population == sender.population and same_pattern(known.pool, sender.pool):
            return number
    senders.append(sender)
    return len(senders) - 1


def same_pattern(a: Pattern | None, b: Pattern | None) -> bool:
    """Return whether two maxima, or none, are the same."""
    if a is None or b is None:
        return a is b
    return a.kind == b.kind and dict(a.options) == dict(b.options)
