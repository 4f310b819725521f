"""A first run of every kernel, which compiles it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from neurocomp.engine.kernels import jit
from neurocomp.engine.metering import Ways, Wiring
from neurocomp.hardware import NumberFormat
from neurocomp.ir.quantized import (
    COMPARTMENT,
    IntegerFactor,
    IntegerLearning,
    IntegerNetwork,
    IntegerPopulation,
    IntegerProduct,
    IntegerProjection,
    IntegerTrace,
)
from neurocomp.models.patterns import Pattern

if TYPE_CHECKING:
    from neurocomp.engine.simulator import FastSimulator


logger = logging.getLogger("neurocomp")

ENGINE = "the fast engine"
"""What the kernels of the simulation belong to."""
LEARNING = "learning in the fast engine"
"""What those of learning belong to, which few networks need."""

_compiling = threading.Lock()


def compile_once(of: str, run: Callable[[], None]) -> None:
    """Compile kernels that are not compiled yet, once for a machine and a version; with a message, as it takes a while.

    Args:
        of: What they belong to.
        run: Runs every one of them.
    """
    if jit.are_compiled(of):
        return
    with _compiling:
        if jit.are_compiled(of):
            return
        logger.info("compiling the kernels of %s, once for this machine and version ...", of)
        run()
        jit.mark_compiled(of)


def smallest_network() -> IntegerNetwork:
    """Return a network that needs every kernel: dense and sparse synapses of each width of weights."""
    parameters = {name: np.zeros((), np.int64) for name in COMPARTMENT}
    populations = [IntegerPopulation("x", (2,), "input", {}), IntegerPopulation("y", (2,), "compartment", parameters)]
    pair = {"sources": np.array([0, 1]), "targets": np.array([1, 0])}
    one = np.ones((), np.int64)
    projections = [
        IntegerProjection(f"{pattern.kind} {dtype.__name__}", "x", "y", pattern, np.ones(shape, dtype), 0, "mixed", 8, 0, one)
        for pattern, shape in ((Pattern("dense"), (2, 2)), (Pattern("sparse", pair), (2,)))
        for dtype in (np.int8, np.uint8, np.int16)
    ]
    projections.append(replace(projections[0], name="values", binary=False))
    unchecked = NumberFormat("warm", checked=False)
    return IntegerNetwork("warm", 1e-3, 2, unchecked, {p.name: p for p in populations}, tuple(projections))


def run_learning(simulator: FastSimulator) -> None:
    """Run the smallest network that learns; those of `ENGINE` are compiled."""
    network = smallest_network()
    product = IntegerProduct("y0", 1, 7, (IntegerFactor("x1"),))
    learning = IntegerLearning({"x1": IntegerTrace(256, 0.5, 1.0)}, (product,), (), (), 1, 0, True)
    learned = replace(network.projections[0], name="learned", learning=learning)
    simulator.simulate(replace(network, projections=(learned,)), {"x": np.ones((1, 2, 2), np.int8)})


def run_every_kernel(simulator: FastSimulator) -> None:
    """Run the smallest network on stimuli of every width."""
    network = smallest_network()
    nowhere = np.zeros(2, np.int64)
    wiring = Wiring((), {"y": nowhere}, {"y": Ways(nowhere, nowhere, nowhere, nowhere)})
    for dtype in (np.int8, np.int32):
        simulator.simulate(network, {"x": np.ones((1, 2, 2), dtype)}, wiring=wiring)
