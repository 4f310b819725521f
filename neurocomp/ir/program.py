"""What a core is loaded with: tables of bytes, and the symbols that feed inputs and name results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PopulationSymbol:
    """Where to read a lowered population: (n,) index of the core among the program's cores, and compartment on it."""

    shape: tuple[int, ...]
    lag: int
    core: IntArray
    compartment: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class InputSymbol:
    """Where the host sends the spikes of an input population: triples (neuron, index of the core, input axon)."""

    shape: tuple[int, ...]
    neuron: IntArray
    core: IntArray
    axon: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class CoreTables:
    """The tables of one core by name, each a read-only uint8 array of the chip's own layout."""

    chip: int
    core: int
    tables: Mapping[str, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A target program. The chip simulation decodes ``cores`` alone; symbols only feed inputs and name results."""

    backend: str
    format: str
    """Name and version of the table layout, such as ``loihi-1``."""
    cores: tuple[CoreTables, ...]
    populations: Mapping[str, PopulationSymbol]
    inputs: Mapping[str, InputSymbol]
    ticks: int
    """Ticks per sample in the user's time."""

    @property
    def largest_lag(self) -> int:
        """How many chip ticks run after the last input tick."""
        return max((symbol.lag for symbol in self.populations.values()), default=0)

    def digest(self) -> str:
        """Return the SHA-256 of all tables and symbols."""
        digest = hashlib.sha256()
        head: list[Any] = [self.backend, self.format, self.ticks]
        head += [[name, list(s.shape), s.lag] for name, s in self.populations.items()]
        head += [[name, list(s.shape)] for name, s in self.inputs.items()]
        head += [[core.chip, core.core, list(core.tables)] for core in self.cores]
        digest.update(json.dumps(head).encode())
        arrays: list[NDArray[Any]] = [table for core in self.cores for table in core.tables.values()]
        for population in self.populations.values():
            arrays += [population.core, population.compartment]
        for source in self.inputs.values():
            arrays += [source.neuron, source.core, source.axon]
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
