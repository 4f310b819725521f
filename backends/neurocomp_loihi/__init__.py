"""The Loihi backend: lowering, core tables, their simulation, and Lava as a witness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neurocomp.backend import (
    ChipSimulator,
    Exporter,
    Injection,
    Lowering,
    MappingPlan,
    Options,
    Violation,
    WithoutCrossbars,
    Witness,
)
from neurocomp.errors import Diagnostic, SpecError
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.network import Network
from neurocomp.ir.program import Program
from neurocomp.ir.quantized import QuantizedNetwork
from neurocomp.ir.trace import Trace

if TYPE_CHECKING:
    from neurocomp_loihi.lower import LoihiOptions


class LoihiBackend(WithoutCrossbars):
    """Chips of the Loihi family; see `neurocomp.backend.Backend` for the methods."""

    name = "loihi"

    @property
    def options(self) -> type[Options]:
        """`neurocomp_loihi.lower.LoihiOptions`."""
        from neurocomp_loihi.lower import LoihiOptions

        return LoihiOptions

    @property
    def witnesses(self) -> Sequence[Witness]:
        """Lava."""
        from neurocomp_loihi.lava import LavaWitness

        return (LavaWitness(),)

    @property
    def exporters(self) -> Mapping[str, Exporter]:
        """SANA-FE's files."""
        from neurocomp_loihi.sanafe_export import export_sanafe

        return {"sanafe": export_sanafe}

    def check(
        self, stage: Network | QuantizedNetwork | LoweredNetwork | MappedNetwork, spec: HardwareSpec, options: Options
    ) -> Sequence[Violation]:
        """Return every rule that the stage breaks; mapping itself keeps the limits of the cores."""
        from neurocomp_loihi import check

        if not spec.stores_rows:
            message = f"{spec.file}: the backend 'loihi' writes rows of synapses"
            hint = "write 'synapse_cost: nxtf' or 'synapse_cost: nengo_loihi', and 'hop_ticks: 1'"
            raise SpecError(Diagnostic("NC0502", message, hint=hint))
        match stage:
            case Network():
                return check.check_network(stage, spec, _own(options))
            case QuantizedNetwork():
                return check.check_quantized(stage, spec, _own(options))
            case LoweredNetwork():
                return check.check_lowered(stage, spec)
            case MappedNetwork():
                return ()

    def lower(self, quantized: QuantizedNetwork, spec: HardwareSpec, options: Options, calibration: Trace | None) -> Lowering:
        """Rewrite the logical network into compartments and synapses."""
        from neurocomp_loihi.lower import lower

        return lower(quantized, spec, _own(options))

    def map(
        self, lowered: LoweredNetwork, spec: HardwareSpec, plan: MappingPlan
    ) -> tuple[MappedNetwork | None, Sequence[Violation]]:
        """Spread neurons over cores, and cores over the mesh."""
        from neurocomp.mapping.mapper import map_network

        return map_network(lowered, spec, plan)

    def emit(self, mapped: MappedNetwork, spec: HardwareSpec) -> Program:
        """Write the core tables; docs/loihi-program.md has their layout."""
        from neurocomp_loihi.emit import emit

        return emit(mapped, spec)

    def utilization(self, program: Program, spec: HardwareSpec) -> Mapping[str, tuple[int, int, int]]:
        """Return the use of each resource, read from the bytes."""
        from neurocomp_loihi.emit import utilization

        return utilization(program, spec)

    def chip_simulator(self) -> ChipSimulator:
        """Return the simulation of the core tables."""
        from neurocomp_loihi.chip import ChipSimulation

        return ChipSimulation()

    def inject(self, program: Program, trace: Trace, kind: str, seed: int) -> Injection:
        """Corrupt one table entry that the trace exercises."""
        from neurocomp_loihi.inject import inject

        return inject(program, trace, kind, seed)


def _own(options: Options) -> LoihiOptions:
    """Return the options of this backend; what others have in common gets its defaults beside it."""
    from neurocomp_loihi.lower import LoihiOptions

    return options if isinstance(options, LoihiOptions) else LoihiOptions(options.ticks_per_step, options.extensions)


__all__ = ["LoihiBackend"]
