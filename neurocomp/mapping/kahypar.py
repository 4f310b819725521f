"""A start of the annealing from Mt-KaHyPar, a multilevel hypergraph partitioner, where it is installed."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels.partitioning import NOWHERE, Limits
from neurocomp.errors import Diagnostic, EngineUnavailable
from neurocomp.mapping.atoms import Atoms

IntArray = NDArray[np.int64]

WEIGHT_UNITS = 10_000
"""Neurons and memory are one weight: the larger of their shares of a core, in so many parts of it."""
MOST_PINS = 5_000_000
"""Beyond it the partitioner takes minutes."""
SLACK = 0.03
"""Blocks may be so much heavier than the average one."""


def require() -> None:
    """Refuse to go on without it.

    Raises:
        EngineUnavailable: It is not installed (NC0320).
    """
    if importlib.util.find_spec("mtkahypar") is None:
        hint = 'pip install "neurocomp[partition]", or leave --mapper out'
        raise EngineUnavailable(Diagnostic("NC0320", "--mapper quality needs Mt-KaHyPar, which is not installed", hint=hint))


def partitioned(atoms: Atoms, limits: Limits, cores: int, seed: int) -> IntArray | None:
    """Return the core of every atom, (n,), -1 on the host; limits of axons are not kept.

    Its objective is the same, packets; it knows one weight per atom and no axons. The deterministic preset is used.

    Returns:
        None where the network is too large for it, or has fewer than two cores.
    """
    g, inside = atoms.graph, np.flatnonzero(~atoms.host)
    if cores < 2 or atoms.pins > MOST_PINS:
        return None
    number = np.full(atoms.size, -1, np.int64)
    number[inside] = np.arange(len(inside))
    nets, rates = [], []
    for e in range(atoms.size):
        pins = number[g.out_index[g.out_start[e] : g.out_start[e + 1]]]
        pins = np.union1d(pins[pins >= 0], number[e : e + 1][number[e : e + 1] >= 0])
        if len(pins) > 1:
            nets.append(pins.tolist())
            rates.append(int(g.rate[e]))
    share = np.maximum(g.neurons[inside] / limits.neurons, g.memory[inside] / limits.memory)
    weights = np.maximum(1, np.ceil(share * WEIGHT_UNITS)).astype(int).tolist()
    library = _library()
    library.module.set_seed(seed)
    context = library.initialized.context_from_preset(library.module.PresetType.DETERMINISTIC)
    context.set_partitioning_parameters(cores, SLACK, library.module.Objective.KM1)
    context.logging = False
    graph = library.initialized.create_hypergraph(context, len(inside), len(nets), nets, weights, rates)
    blocks = graph.partition(context)
    core = np.full(atoms.size, NOWHERE, np.int64)
    core[inside] = [blocks.block_id(v) for v in range(len(inside))]
    return core


class _Library:
    """The library, which a process may initialize once."""

    def __init__(self) -> None:
        self.module: Any = importlib.import_module("mtkahypar")
        self.initialized: Any = self.module.initialize(1)


_loaded: list[_Library] = []


def _library() -> _Library:
    if not _loaded:
        _loaded.append(_Library())
    return _loaded[0]
