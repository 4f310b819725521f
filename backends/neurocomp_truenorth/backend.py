"""What the compiler calls; every method imports what it needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neurocomp.backend import (
    ChipSimulator,
    Exporter,
    Importer,
    Injection,
    Lowering,
    MappingPlan,
    Options,
    Stimulus,
    Violation,
    Witness,
)
from neurocomp.errors import Diagnostic, EngineUnavailable
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.network import Network
from neurocomp.ir.program import Program
from neurocomp.ir.quantized import QuantizedNetwork
from neurocomp.ir.trace import Trace

if TYPE_CHECKING:
    from neurocomp_truenorth.options import TrueNorthOptions


class TrueNorthBackend:
    """Chips whose cores hold binary crossbars; see `neurocomp.backend.Backend` for the methods."""

    name = "truenorth"
    witnesses: Sequence[Witness] = ()

    @property
    def options(self) -> type[Options]:
        """`neurocomp_truenorth.options.TrueNorthOptions`."""
        from neurocomp_truenorth.options import TrueNorthOptions

        return TrueNorthOptions

    @property
    def importers(self) -> Mapping[str, Importer]:
        """Formats of other tools that become lowered networks; docs/ranc.md describes them."""
        from neurocomp_truenorth.ranc import import_ranc

        return {"ranc": import_ranc}

    @property
    def exporters(self) -> Mapping[str, Exporter]:
        """Formats of other tools that lowered networks can be written in; docs/ranc.md describes them."""
        from neurocomp_truenorth.model_json import export_model
        from neurocomp_truenorth.ranc_export import export_ranc

        return {"ranc": export_ranc, "truenorth-json": export_model}

    def check(
        self, stage: Network | QuantizedNetwork | LoweredNetwork | MappedNetwork, spec: HardwareSpec, options: Options
    ) -> Sequence[Violation]:
        """Return every rule that the stage breaks."""
        from neurocomp_truenorth.check import check

        return check(stage, spec, _own(options))

    def legalize(
        self, network: Network, spec: HardwareSpec, options: Options, calibration: Stimulus | None
    ) -> tuple[Network, Sequence[str]]:
        """Replace leaks: those that leave nothing exactly, others by linear ones where the options allow it."""
        from neurocomp_truenorth.legalize import forgetful

        own = _own(options)
        changed, notes = forgetful(network)
        if own.compare == "ge":
            from neurocomp_truenorth.legalize import inclusive

            changed, notes = inclusive(changed)
        if own.approximate_leak:
            from neurocomp_truenorth.legalize import approximate_leaks

            changed, more = approximate_leaks(changed, calibration)
            notes = [*notes, *more]
        return changed, notes

    def weight_format(self, options: Options) -> str:
        """Return the option ``weights``."""
        return _own(options).weights

    def lower(self, quantized: QuantizedNetwork, spec: HardwareSpec, options: Options, calibration: Trace | None) -> Lowering:
        """Rewrite the logical network into crossbars."""
        from neurocomp_truenorth.lower import lower

        return lower(quantized, spec, _own(options), calibration)

    def map(
        self, lowered: LoweredNetwork, spec: HardwareSpec, plan: MappingPlan
    ) -> tuple[MappedNetwork | None, Sequence[Violation]]:
        """Place the blocks of all crossbars on cores."""
        from neurocomp_truenorth.mapping import map_network

        return map_network(lowered, spec, plan=plan)

    def emit(self, mapped: MappedNetwork, spec: HardwareSpec) -> Program:
        """Write the core tables; docs/truenorth-program.md has their layout."""
        from neurocomp_truenorth.emit import emit

        return emit(mapped, spec)

    def utilization(self, program: Program, spec: HardwareSpec) -> Mapping[str, tuple[int, int, int]]:
        """Return the use of each resource."""
        from neurocomp_truenorth.emit import utilization

        return utilization(program, spec)

    def chip_simulator(self) -> ChipSimulator:
        """Return the simulation of the core tables; its kernels are loaded when it runs.

        Raises:
            EngineUnavailable: numba is not installed (NC0320).
        """
        if importlib.util.find_spec("numba") is None:
            message = "engine 'chip' is not available: numba is not installed"
            raise EngineUnavailable(Diagnostic("NC0320", message, hint="use --engine reference, whose results are the same"))
        return _ChipSimulation()

    def inject(self, program: Program, trace: Trace, kind: str, seed: int) -> Injection:
        """Corrupt one table entry that the trace exercises."""
        from neurocomp_truenorth.inject import inject

        return inject(program, trace, kind, seed)


class _ChipSimulation:
    """`neurocomp_truenorth.chip.ChipSimulation`, imported by the first run."""

    name = "chip"

    def __init__(self) -> None:
        self._simulation: ChipSimulator | None = None

    def run(
        self,
        program: Program,
        stimulus: Stimulus,
        *,
        record: Sequence[str] | None = None,
        state: bool = True,
        first_sample: int = 0,
    ) -> Trace:
        """See `neurocomp.backend.ChipSimulator`."""
        if self._simulation is None:
            from neurocomp_truenorth.chip import ChipSimulation

            self._simulation = ChipSimulation()
        return self._simulation.run(program, stimulus, record=record, state=state, first_sample=first_sample)


def _own(options: Options) -> TrueNorthOptions:
    """Return the options of this backend; what others have in common gets its defaults beside it."""
    from neurocomp_truenorth.options import TrueNorthOptions

    return options if isinstance(options, TrueNorthOptions) else TrueNorthOptions(options.ticks_per_step, options.extensions)
