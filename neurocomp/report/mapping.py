"""What there is to say about a mapping: use of the cores, traffic between them, and how far it is from the lower bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.mapping.bounds import Bounds, bounds_of
from neurocomp.mapping.profile import Profile
from neurocomp.mapping.traffic import Flow, Traffic, traffic_of
from neurocomp.mapping.usage import Usage, usage_of
from neurocomp.report.headroom import Headroom, first_to_run_out

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gap:
    """A lower bound beside what was reached."""

    what: str
    least: float
    reached: float

    @property
    def ratio(self) -> float | None:
        """What was reached over the bound; None where the bound is 0."""
        return self.reached / self.least if self.least else None


@dataclass(frozen=True, slots=True, eq=False)
class MappingReport:
    """A mapping with what follows from it."""

    mapped: MappedNetwork
    spec: HardwareSpec
    utilization: Mapping[str, Mapping[str, int]]
    """Resource -> used, available, worst_core and per_core, from the bytes of the program."""
    usage: Usage
    traffic: Traffic
    bounds: Bounds
    headroom: Headroom
    profile: Profile | None = None
    """Rates of the neurons; None: each spikes once per tick."""

    @property
    def rates(self) -> Literal["uniform", "profile"]:
        """Where rates come from."""
        return "uniform" if self.profile is None else "profile"

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Every bound, with what was reached."""
        axons = sum(len(core.axon_neuron) for core in self.mapped.cores)
        return (
            Gap("cores", self.bounds.cores, len(self.mapped.cores)),
            Gap("input axons", self.bounds.input_axons, axons),
            Gap("packets per tick", self.bounds.packets, self.traffic.unicast.packets),
            Gap("hops per tick", self.bounds.hops, self.traffic.unicast.hops),
        )

    def packets(self) -> tuple[FloatArray, FloatArray]:
        """Return the packets per tick that each core sends to others and receives from them, both (cores,)."""
        pairs, packets, cores = self.traffic.pairs, self.traffic.packets, len(self.mapped.cores)
        sent, received = (np.bincount(pairs[:, end], packets, cores).astype(np.float64) for end in (0, 1))
        return sent, received

    def as_json(self) -> dict[str, Any]:
        """Return what ``map show --json`` prints, but for the schema."""
        traffic = self.traffic
        return {
            "network": self.mapped.lowered.network.name,
            "target": self.spec.name,
            "chips": self.mapped.chips,
            "utilization": {name: dict(entry) for name, entry in self.utilization.items()},
            "populations": self._populations(),
            "cores": self._cores(),
            "traffic": {
                "rates": self.rates,
                "assumed": list(self.profile.assumed) if self.profile is not None else [],
                "pairs": len(traffic.pairs),
                "local": traffic.local,
                "host": traffic.host,
                "off_core_share": traffic.off_core_share,
                "unicast": _flow(traffic.unicast),
                "multicast": _flow(traffic.multicast),
                "hops": {"average": traffic.average_hops, "histogram": traffic.histogram.tolist()},
                "links": {
                    name: self._links(flow) for name, flow in (("unicast", traffic.unicast), ("multicast", traffic.multicast))
                },
            },
            "bounds": {
                **{
                    gap.what.removesuffix(" per tick").replace(" ", "_"): {"least": gap.least, "reached": gap.reached}
                    for gap in self.gaps
                },
                "cores_for": dict(self.bounds.cores_for),
                "packets_from": dict(self.bounds.packets_from),
            },
            "first_to_run_out": {
                "resource": self.headroom.resource,
                "factor": self.headroom.factor,
                "reason": self.headroom.reason,
            },
        }

    def _populations(self) -> list[dict[str, Any]]:
        chip = np.array([core.chip for core in self.mapped.cores], np.int64)
        return [
            {
                "name": name,
                "size": here.neurons,
                "cores": len(here.core),
                "shared_cores": int(np.count_nonzero(self.usage.shared[here.core])),
                "chips": len(np.unique(chip[here.core])),
                **self.usage.of(name),
            }
            for name, here in self.usage.residents.items()
        ]

    def _cores(self) -> list[dict[str, Any]]:
        usage, (sent, received) = self.usage, self.packets()
        holds: list[dict[str, int]] = [{} for _ in self.mapped.cores]
        for name, here in usage.residents.items():
            for core, compartments in zip(here.core.tolist(), here.compartments.tolist(), strict=True):
                holds[core][name] = compartments
        return [
            {
                "chip": core.chip,
                "core": core.core,
                "tile": list(core.tile),
                "populations": held,
                **{name: int(values[index]) for name, values in usage.used.items()},
                "load": load,
                "fullest": fullest,
                "packets_out": float(sent[index]),
                "packets_in": float(received[index]),
            }
            for index, (core, held, load, fullest) in enumerate(
                zip(self.mapped.cores, holds, usage.load.tolist(), usage.fullest(), strict=True)
            )
        ]

    def _links(self, flow: Flow) -> dict[str, Any]:
        links, busiest = flow.links, self.busiest(flow)
        return {
            "count": links.count,
            "used": links.used,
            "max": links.largest,
            "mean": links.mean,
            "congestion": links.congestion,
            "busiest": busiest and {"chip": busiest[0], "from": list(busiest[1]), "to": list(busiest[2])},
        }

    def busiest(self, flow: Flow) -> tuple[int, tuple[int, int], tuple[int, int]] | None:
        """Return the busiest link: the chip that it begins on, and its two tiles; None where no packet goes anywhere.

        Where all chips are one mesh, tiles are counted over all of them.
        """
        found = flow.links.busiest()
        if found is None:
            return None
        mesh, start, stop = found
        return start[0] // self.spec.mesh.tiles_x if self.spec.has_crossbars else mesh, start, stop


def mapping_report(
    mapped: MappedNetwork, spec: HardwareSpec, utilization: Mapping[str, Mapping[str, int]], profile: Profile | None = None
) -> MappingReport:
    """Return everything about a mapping.

    Args:
        mapped: The mapping.
        spec: Its target.
        utilization: Of its program: resource -> used, available, worst_core and per_core.
        profile: Rates of the neurons; None: one spike per neuron and tick.
    """
    rates = None if profile is None else profile.rates
    return MappingReport(
        mapped,
        spec,
        utilization,
        usage_of(mapped, spec),
        traffic_of(mapped, spec, rates),
        bounds_of(mapped.lowered, spec, rates),
        first_to_run_out(mapped, spec, utilization),
        profile,
    )


def _flow(flow: Flow) -> dict[str, float]:
    return {"packets": flow.packets, "hops": flow.hops, "chip_crossings": flow.crossings}
