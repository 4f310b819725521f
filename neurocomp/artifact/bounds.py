"""What the check of a file may cost: no more than a small multiple of its size plus a constant.

A check computes with what the file stores, but its cost also follows from numbers and from how often something stored is named:
a window of 2**40 places, the same array in thousands of populations. What is asked for here holds for every artifact that was
compiled, with much room, because each of its neurons, axons and synapses is stored somewhere.
"""

from __future__ import annotations

import numpy as np

from neurocomp.artifact.codec import Malformed
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.quantized import IntegerNetwork
from neurocomp.models.patterns import form_problem, size_of

FEW = 1 << 24
"""Values that any file may ask for."""
FEW_CORES = 1 << 16
"""Cores that any file may ask for, those of each projection's targets together."""
FEW_BYTES = 1 << 28
"""Bytes of arrays that any file may name, each counted as often as it is named."""


def referenced(size: int) -> int:
    """Return how many bytes of arrays a file of ``size`` bytes may name, each counted as often as it is named."""
    return FEW_BYTES + 16 * size


def check(network: IntegerNetwork, mapped: MappedNetwork, size: int) -> None:
    """Refuse a lowered network whose axons would cost more to derive than a file of ``size`` bytes can be worth.

    Only extents are looked at; that patterns and shapes are right is for the stages to check.

    Raises:
        Malformed: A window, or the number of cores, is too large.
    """
    windows = cores = 0
    used = {name: len(np.unique(place.core)) for name, place in mapped.placements.items()}
    for index, q in enumerate(network.projections):
        place = f"lowered.network.projections[{index}]"
        source, target = network.populations.get(q.source), network.populations.get(q.target)
        if source is None or target is None:
            raise Malformed(place, "between populations of the network")
        if any(form_problem(pattern) is not None for pattern in (q.pattern, q.pool) if pattern is not None):
            continue  # the network's own check says what is wrong, before it computes anything
        pooled = network.shapes(q)[0]
        for pattern, start, end in ((q.pool, source.shape, pooled), (q.pattern, pooled, target.shape)):
            if pattern is None or "kernel" not in pattern.options:
                continue
            if max(size_of(start), size_of(end)) > FEW + size:
                raise Malformed(place, "between as few neurons as windows of an artifact of this size join")
            windows += size_of(end) * size_of(pattern.options["kernel"])
        cores += used.get(q.target, 0)
        if windows > FEW + 64 * size:
            raise Malformed(place, "within the windows that an artifact of this size has")
        if cores > FEW_CORES + size // 16:
            raise Malformed(place, "within the cores that an artifact of this size has")
