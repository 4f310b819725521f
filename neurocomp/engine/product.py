"""Dense synapses as matrix products, where that is faster than adding rows and exact."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels.layout import spread
from neurocomp.engine.kernels.records import BLOCK, CONVOLUTION, DENSE, SPARSE, Chunk
from neurocomp.engine.plan import Plan

logger = logging.getLogger("neurocomp")

ACTIVITY = 0.4
"""Share of sources that send from which on a product is faster, for spikes that carry values: one row at a time adds 15 G/s of
them, numpy's product in float32 does 47 G/s of all. Spikes without values never get there: rows of 8 bits add 50 G/s.
`python -m benchmarks.engine` measures both."""
EXACT = 1 << 24
"""Whole numbers below it are float32, and so is each sum on the way."""
HELD_BYTES = 256 << 20
"""Matrices of at most so many bytes are multiplied; they are kept as float32."""


KINDS = {DENSE: "rows", SPARSE: "lists", BLOCK: "blocks", CONVOLUTION: "kernels"}


@dataclass(slots=True, eq=False)
class Products:
    """The dense groups of a plan that may become products; one per run, for all its threads."""

    plan: Plan

    def multiply(self, chunk: Chunk, first: int, last: int, t0: int, t1: int) -> None:
        """Add what arrives in a block of ticks through the groups for which a product pays; the kernels then leave them out.

        Args:
            chunk: The samples, with the spikes of all that the stage hears outside of itself.
            first: The first population of the stage.
            last: Behind the last one.
            t0: The first tick of the block.
            t1: Behind the last one.
        """
        for index in range(
            self.plan.tables.populations[first]["first_group"], self.plan.tables.populations[last - 1]["last_group"]
        ):
            candidate = last - first == 1 and self._may_be_one(first, index)
            if candidate or index not in self.plan.told:
                self._choose(chunk, first, index, candidate, t0, t1)

    def _may_be_one(self, population: int, index: int) -> bool:
        """Return whether a group is dense, of spikes that carry values, and of a population that runs whole blocks."""
        g, row = self.plan.groups[index], self.plan.tables.groups[index]
        whole = self.plan.tables.populations[population]["slots"] > 1
        return bool(whole and g.kind == DENSE and not g.projection.binary and 4 * row["sources"] * row["stride"] <= HELD_BYTES)

    def _choose(self, chunk: Chunk, population: int, index: int, candidate: bool, t0: int, t1: int) -> None:
        """Choose by the share of sources that send, and say what was chosen where that is new."""
        row, p = self.plan.tables.groups[index], self.plan.tables.populations[population]
        node = self.plan.tables.nodes[row["node"]]
        place = int(node["ptr"] + node["history"] - row["delay"])
        begins = chunk.ptr[:, place : place + t1 - t0 + 1]
        activity = float((begins[:, -1] - begins[:, 0]).sum() / (begins.shape[0] * (t1 - t0) * node["n"]))
        chosen = candidate and activity >= ACTIVITY and self._add(chunk, row, p, node, place, t0, t1)
        chunk.multiplied[index] = chosen
        if self.plan.told.get(index) != chosen:
            self.plan.told[index] = chosen
            how = "matrix product" if chosen else f"event-driven {KINDS[row['kind']]}"
            heard = f"{100 * activity:.1f} % of the sources send in a tick" if candidate or p["slots"] > 1 else "tick by tick"
            logger.debug("%s: %s (%s)", self.plan.groups[index].projection.name, how, heard)

    def _add(self, chunk: Chunk, row: Any, p: Any, node: Any, place: int, t0: int, t1: int) -> bool:
        """Add the product to the sums, if it is exact."""
        samples, ticks, n, pad = chunk.ptr.shape[0], t1 - t0, int(row["sources"]), int(p["pad"])
        sent = np.zeros((samples, ticks, n), np.float32)
        largest = spread(chunk, node, place, ticks, sent)
        weights, bound = self._matrix(row, pad)
        if bound * largest >= EXACT:
            return False
        size = int(p["slots"]) * pad
        start = (int(p["acc"]) + int(row["key"] - p["first_key"]) * size) * samples
        sums = chunk.sums[start : start + samples * size].reshape(samples, -1, pad)[:, :ticks]
        sums += (sent.reshape(-1, n) @ weights).astype(np.int32).reshape(samples, ticks, pad)
        return True

    def _matrix(self, row: Any, pad: int) -> tuple[NDArray[np.float32], int]:
        """Return the weights (sources, targets) as float32, and the largest sum of magnitudes of a target; both are kept."""
        start, stride, n = int(row["weights"]), int(row["stride"]), int(row["sources"])
        kept = self.plan.matrices
        if start not in kept:
            stored = (self.plan.tables.signed, self.plan.tables.unsigned)[row["width"]]
            matrix = stored[start : start + n * stride].reshape(n, stride)[:, :pad].astype(np.float32)
            kept[start] = matrix, int(np.abs(matrix).sum(axis=0, dtype=np.float64).max(initial=0))
        return kept[start]
