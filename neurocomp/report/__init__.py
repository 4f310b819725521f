"""Reports: what a compilation and a simulation say, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from neurocomp.encoding import Operations
from neurocomp.energy.counts import PER_CORE, Counts
from neurocomp.energy.joules import BADGE, Energy
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.network import Network


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Counts of a simulation of declared samples, and the energy estimated from them."""

    network: Network
    mapped: MappedNetwork
    spec: HardwareSpec
    counts: Counts
    energy: Energy
    utilization: Mapping[str, Mapping[str, int]]
    accuracy: float | None = None
    """Of the integers on the same samples, 0..1; None where labels or a single decoder are missing."""
    ticks_per_step: int = 1
    """Ticks of the chip per tick of the network."""
    host_macs: int = 0
    """Multiplications and additions of the host per sample, for constant analog inputs."""
    engine: str = "reference"
    """What simulated the samples."""
    interrupted: bool = False
    """Whether these are only the samples that were finished before an interruption."""
    lossy: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Population that a lossy step of lowering reaches -> reason, and its distances from the quantized network."""
    accuracy_quantized: float | None = None
    """Of the quantized network on the same samples; that of the lowered one where nothing lossy ran."""
    encoders: Mapping[str, Operations] = field(default_factory=dict)
    """Input population -> what its encoder computes on the host per sample; none where the stimulus came from elsewhere."""
    decoders: Mapping[str, Operations] = field(default_factory=dict)
    """Decoded population -> what its decoder computes on the host per sample."""

    @property
    def ticks(self) -> int:
        """Ticks per sample of the stimulus, in the user's time."""
        return (self.counts.ticks - self.mapped.lowered.largest_lag) // self.ticks_per_step

    def as_json(self) -> dict[str, Any]:
        """Return what ``report --json`` prints: counts and joules summed over all samples, and the same per sample.

        Joules are null where the target has no costs.
        """
        counts, samples = self.counts, self.counts.samples
        totals = counts.totals()
        mapped, total = self.mapped, self.energy.total.as_json() if self.energy.is_priced else None
        return {
            "schema": 1,
            "badge": BADGE,
            "network": self.network.name,
            "target": self.spec.name,
            "engine": self.engine,
            "samples": samples,
            "ticks": self.ticks,
            "chip_ticks": counts.ticks,
            "timestep_s": self.network.timestep,
            "accuracy": {"fixed": self.accuracy, "quantized": self.accuracy_quantized},
            "lossy": {name: dict(entry) for name, entry in self.lossy.items()},
            "counts": totals,
            "host_macs": self.host_macs * samples,
            "encoders": {name: _summed(own, samples) for name, own in self.encoders.items()},
            "decoders": {name: _summed(own, samples) for name, own in self.decoders.items()},
            "energy_j": total,
            "energy": self.energy.as_json(),
            "per_sample": {
                "counts": {name: value if name == "sops_per_spike" else value / samples for name, value in totals.items()},
                "energy_j": total and {name: value / samples for name, value in total.items()},
            },
            "per_population": {name: dict(entry) for name, entry in counts.per_population.items()},
            "per_projection": {name: dict(entry) for name, entry in counts.per_projection.items()},
            "per_core": [
                {
                    "chip": core.chip,
                    "core": core.core,
                    "tile": list(core.tile),
                    **{name: int(counts.per_core[name][index].sum()) for name in PER_CORE},
                    "busiest_tick": {name: int(counts.per_core[name][index].max(initial=0)) for name in PER_CORE},
                }
                for index, core in enumerate(mapped.cores)
            ],
            "cores": len(mapped.cores),
            "chips": mapped.chips,
            "utilization": {name: dict(entry) for name, entry in self.utilization.items()},
        }


def _summed(operations: Operations, samples: int) -> dict[str, int]:
    return {name: value * samples for name, value in asdict(operations).items()}
