"""The target ``reference``: what the integer semantics have, without any chip's limits.

Lowering is the identity, one core holds everything, and the program is the integers themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import ChipSimulator, Injection, Lowering, MappingPlan, Options, Violation, WithoutCrossbars, Witness
from neurocomp.errors import Diagnostic, EngineUnavailable
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork, Representative
from neurocomp.ir.mapped import Core, MappedNetwork, Placement, Route
from neurocomp.ir.network import Network, frozen
from neurocomp.ir.program import CoreTables, InputSymbol, PopulationSymbol, Program
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection, QuantizedNetwork
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import Pattern

Array = NDArray[Any]
IntArray = NDArray[np.int64]
ByteArray = NDArray[np.uint8]

FORMAT = "reference-1"
WORD_BYTES = 8


class ReferenceBackend(WithoutCrossbars):
    """Targets that are no chip; see `neurocomp.backend.Backend` for the methods."""

    name = "reference"
    options = Options
    witnesses: Sequence[Witness] = ()

    def check(
        self,
        stage: Network | QuantizedNetwork | LoweredNetwork | MappedNetwork,
        spec: HardwareSpec,
        options: Options | None = None,
    ) -> Sequence[Violation]:
        """Return every rule that the stage breaks; what is lowered and mapped keeps all."""
        from neurocomp_reference import check

        match stage:
            case Network():
                return check.check_network(stage, spec)
            case QuantizedNetwork():
                return check.check_quantized(stage, spec)
            case LoweredNetwork() | MappedNetwork():
                return ()

    def lower(self, quantized: QuantizedNetwork, spec: HardwareSpec, options: Options, calibration: Trace | None) -> Lowering:
        """Return the network as it is: no population runs late."""
        network = quantized.network
        lag = dict.fromkeys(network.populations, 0)
        return Lowering(LoweredNetwork(network, lag, {name: Representative(name, 0) for name in network.populations}))

    def map(
        self, lowered: LoweredNetwork, spec: HardwareSpec, plan: MappingPlan
    ) -> tuple[MappedNetwork | None, Sequence[Violation]]:
        """Put all neurons on one core, one after the other; what a spec limits beside the number of neurons is not used."""
        network = lowered.network
        neurons = [p for p in network.populations.values() if not p.is_input]
        total = sum(p.size for p in neurons)
        if total > spec.limit("neurons"):
            limit, source = spec.limit("neurons"), spec.limit_text("neurons")
            message = f"'{network.name}' has {total} neurons; {spec.name} has one core of {limit}"
            hint = "raise the limit: it belongs to no chip"
            return None, [Violation("NC0401", network.name, message, total, limit, source, hint)]
        first = np.cumsum([0, *(p.size for p in neurons)])
        placements = {
            p.name: Placement(frozen(np.zeros(p.size, np.int64)), frozen(start + np.arange(p.size)))
            for p, start in zip(neurons, first, strict=False)
        }
        sources = _sources(network)
        inner = any(len(found) and not network.populations[name].is_input for name, found in sources.items())
        population = [np.full(len(found), i, np.int64) for i, found in enumerate(sources.values())]
        core = Core(
            0,
            0,
            spec.mesh.tile(0),
            frozen(np.concatenate(population)),
            frozen(np.concatenate(list(sources.values()))),
            sum(_words(q.mantissa.nbytes) for q in network.projections),
        )
        return MappedNetwork(lowered, (core,), placements, (Route(0, 0, 0, 0, 0),) if inner else ()), ()

    def emit(self, mapped: MappedNetwork, spec: HardwareSpec) -> Program:
        """Write the integers; docs/reference-program.md has the layout."""
        network, core = mapped.lowered.network, mapped.cores[0]
        populations = {
            name: PopulationSymbol(network.populations[name].shape, 0, place.core, place.slot)
            for name, place in mapped.placements.items()
        }
        inputs = {}
        for index, p in enumerate(network.populations.values()):
            if p.is_input:
                axon = np.flatnonzero(core.axon_population == index)
                core_of = frozen(np.zeros(len(axon), np.int64))
                inputs[p.name] = InputSymbol(p.shape, frozen(core.axon_neuron[axon]), core_of, frozen(axon))
        tables = CoreTables(0, 0, _Tables(network).written)
        return Program("reference", FORMAT, (tables,), populations, inputs, network.ticks)

    def utilization(self, program: Program, spec: HardwareSpec) -> Mapping[str, tuple[int, int, int]]:
        """Return the neurons and the words of weights, read from the bytes."""
        tables = program.cores[0].tables
        network = json.loads(tables["network"].tobytes())
        neurons = sum(int(np.prod(p["shape"])) for p in network["populations"] if p["parameters"])
        words = sum(_words(tables[q["mantissa"]["table"]].size) for q in network["projections"])
        return {
            resource: (used, spec.limit(resource), used)
            for resource, used in (("neurons", neurons), ("synapse_words", words))
        }  # fmt: skip

    def chip_simulator(self) -> ChipSimulator:
        """Raise: there is no chip whose tables could be decoded."""
        _no_chip()

    def inject(self, program: Program, trace: Trace, kind: str, seed: int) -> Injection:
        """Raise: nothing executes the program."""
        _no_chip()


def _no_chip() -> NoReturn:
    reason = "the target 'reference' is no chip: its program is the integers that the engine 'reference' executes"
    hint = "compile for a chip to have its bytes simulated: neurocomp compile NET --target loihi"
    raise EngineUnavailable(Diagnostic("NC0320", f"engine 'chip' is not available: {reason}", hint=hint))


def _words(n_bytes: int) -> int:
    return -(-n_bytes // WORD_BYTES)


def _sources(network: IntegerNetwork) -> dict[str, IntArray]:
    """Return for each population which of its neurons have synapses, ascending."""
    reached = {name: np.zeros(p.size, np.bool_) for name, p in network.populations.items()}
    for q in network.projections:
        reached[q.source][network.sources(q, np.arange(network.populations[q.target].size))] = True
    return {name: np.flatnonzero(mask) for name, mask in reached.items()}


class _Tables:
    """The tables of a network: JSON that names arrays, and the arrays."""

    def __init__(self, network: IntegerNetwork) -> None:
        arrays: dict[str, ByteArray] = {}
        self.arrays = arrays
        document = {
            "name": network.name,
            "timestep": network.timestep,
            "ticks": network.ticks,
            "number_format": asdict(network.number_format),
            "populations": [self.population(p) for p in network.populations.values()],
            "projections": [self.projection(q) for q in network.projections],
        }
        text = json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii")
        self.written: dict[str, ByteArray] = {"network": frozen(np.frombuffer(text, np.uint8)), **arrays}

    def stored(self, name: str, array: Array) -> dict[str, Any]:
        """Store the elements of an array, little-endian and in C order, and return how to read them."""
        dtype = array.dtype.newbyteorder("<")
        elements = np.ascontiguousarray(array, dtype).reshape(-1)
        self.arrays[name] = frozen(elements.view(np.uint8))
        return {"table": name, "dtype": dtype.str, "shape": list(array.shape)}

    def population(self, p: IntegerPopulation) -> dict[str, Any]:
        """Return the fields of a population, its parameters stored."""
        names = ("name", "shape", "dynamics", "fires", "reset", "compare", "refractory", "reset_interval", "reset_offset")
        parameters = {key: self.stored(f"populations/{p.name}/{key}", values) for key, values in p.parameters.items()}
        program = {} if p.program is None else {"program": p.program}
        return {**{key: getattr(p, key) for key in (*names, "current")}, **program, "parameters": parameters}

    def projection(self, q: IntegerProjection) -> dict[str, Any]:
        """Return the fields of a projection, its arrays stored."""
        names = ("name", "source", "target", "shift", "sign_mode", "weight_bits", "exponent", "binary")
        return {
            **{key: getattr(q, key) for key in names},
            "pattern": self.pattern(f"projections/{q.name}", q.pattern),
            "pool": None if q.pool is None else self.pattern(f"projections/{q.name}/pool", q.pool),
            "mantissa": self.stored(f"projections/{q.name}/mantissa", q.mantissa),
            "delay": self.stored(f"projections/{q.name}/delay", q.delay),
            **({} if q.learning is None else {"learning": q.learning.as_json()}),
        }

    def pattern(self, place: str, pattern: Pattern) -> dict[str, Any]:
        """Return kind and options of a pattern, its index arrays stored."""
        arrays = {key: self.stored(f"{place}/{key}", values) for key, values in pattern.arrays.items()}
        return {"kind": pattern.kind, "options": {k: list(v) for k, v in pattern.options.items()}, "arrays": arrays}
