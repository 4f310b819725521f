"""Reports: what a compilation and a simulation say, as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding import Operations
from neurocomp.energy.baselines import Baselines
from neurocomp.energy.counts import PER_CORE, Counts
from neurocomp.energy.joules import BADGE, EVENTS, Energy, Interval
from neurocomp.energy.latency import Latency
from neurocomp.energy.neurobench import NeuroBench
from neurocomp.energy.statistics import Spread, spreads
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.network import Network
from neurocomp.mapping.traffic import traffic_of
from neurocomp.report.provenance import Provenance


@dataclass(frozen=True, eq=False)
class Report:
    """Counts of a simulation of declared samples, and the energy estimated from them."""

    network: Network
    mapped: MappedNetwork
    spec: HardwareSpec
    counts: Counts
    energy: Energy
    latency: Latency
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
    baselines: Baselines | None = None
    """The conventions beside the chip's estimate; None without a quantized network, as imported programs are."""
    neurobench: NeuroBench | None = None
    traced: Callable[[], Provenance] | None = None
    """Finds where the numbers come from; it takes the digests of the whole artifact, so that it is called when asked for."""
    early: Mapping[int, float] = field(default_factory=dict)
    """Ticks of the user -> accuracy of the answers that are read after so many; none without labels and a single decoder."""
    raster: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Population of the user -> spikes of the first sample, (ticks, n), in the user's time; none unless asked for."""
    not_on_this_chip: tuple[str, ...] = ()
    """Extensions that the network was compiled with: what simulations do and the chip cannot."""

    @cached_property
    def provenance(self) -> Provenance | None:
        """Where the numbers come from."""
        return self.traced() if self.traced is not None else None

    @property
    def ticks(self) -> int:
        """Ticks per sample of the stimulus, in the user's time."""
        return (self.counts.ticks - self.mapped.lowered.largest_lag) // self.ticks_per_step

    @cached_property
    def spread(self) -> Mapping[str, Mapping[str, Spread]]:
        """Events, dynamic joules, spikes of populations and sops of projections over the samples: their means and spread."""
        counts = self.counts
        events = counts.per_sample()
        inputs = sum(events[name] for name in ("spikes", "input_spikes"))
        events["sops_per_spike"] = np.divide(events["sops"], inputs, out=np.zeros(counts.samples), where=inputs > 0)
        return {
            "events": spreads(events),
            "energy_j": spreads({"dynamic": self.energy.of_samples}) if self.energy.is_priced else {},
            "populations": spreads(counts.spikes_of_samples),
            "projections": spreads(counts.sops_of_samples),
        }

    def joules(self) -> dict[str, dict[str, Interval | None]]:
        """Return the parts of the energy of all samples and their sum, run in real time and at full speed.

        The sum is of what is priced. At full speed a sample takes `Latency.inference`; without times it is not stated.
        """
        seconds = self.counts.ticks * self.latency.timestep
        timings = {"real_time": Interval(seconds, seconds, seconds)}
        if self.latency.inference is not None:
            timings["full_speed"] = Interval(*self.latency.inference)
        result: dict[str, dict[str, Interval | None]] = {}
        for name, sample in timings.items():
            parts = self.energy.parts | self.energy.drawn(sample * self.counts.samples)
            priced = [part for part in parts.values() if part is not None]
            result[name] = {**parts, "total": sum(priced, Interval()) if priced else None}
        return result

    def until(self, ticks: int) -> dict[str, Any]:
        """Return what was spent when the answer is read after some ticks of the user: ``synaptic_events``, ``energy_j``.

        That is the chip's ticks until then, the largest lag included, per sample. Hops count by the packets of these ticks.
        """
        last, samples = ticks * self.ticks_per_step + self.mapped.lowered.largest_lag, self.counts.samples
        spent = Interval()
        for line in self.energy.lines:
            until = self._until.get(EVENTS[line.event][1], self._until["packets"])
            spent += line.energy * (float(until[last - 1] / until[-1]) if until[-1] else 0.0)
        events, joules = float(self._until["synaptic_events"][last - 1] / samples), spent * (1 / samples)
        return {"synaptic_events": events, "energy_j": joules.as_json() if self.energy.is_priced else None}

    @cached_property
    def _until(self) -> dict[str, NDArray[np.int64]]:
        """Event per core -> how many there were in all samples up to each chip tick, (ticks,)."""
        until = {name: values.sum(axis=(0, 1)).cumsum() for name, values in self.counts.per_core.items()}
        return {**until, "updates_inactive": until["updates"] - until["updates_active"]}

    def rates(self) -> dict[str, dict[str, float]]:
        """Return population -> spikes per neuron and chip tick, and of what it hears per synapse and sample."""
        counts = self.counts
        into: dict[str, list[str]] = {}
        for q in self.mapped.lowered.network.projections:
            if q.name in counts.per_projection:
                into.setdefault(q.target, []).append(q.name)
        result = {}
        for name, entry in counts.per_population.items():
            sops, synapses = (sum(counts.per_projection[q][key] for q in into.get(name, ())) for key in ("sops", "synapses"))
            result[name] = {
                "rate": entry["spikes"] / (max(1, entry["neurons"]) * counts.samples * counts.ticks),
                "spikes_per_synapse": sops / (synapses * counts.samples) if synapses else 0.0,
            }
        return result

    def links(self) -> dict[str, Any]:
        """Return the loads of the links between tiles, in packets per tick of all samples on average."""
        counts = self.counts
        ticks = counts.samples * counts.ticks
        links = traffic_of(
            self.mapped, self.spec, {name: spikes / ticks for name, spikes in counts.spikes_of_neurons.items()}
        ).unicast.links
        return {"count": links.count, "used": links.used, "max": links.largest, "mean": links.mean}

    def as_json(self) -> dict[str, Any]:
        """Return what ``report --json`` prints: counts and joules summed over all samples, and the same per sample.

        Joules are null where the target has no costs.
        """
        counts, samples = self.counts, self.counts.samples
        totals, rates = counts.totals(), self.rates()
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
            "early": [{"ticks": ticks, "accuracy": accuracy, **self.until(ticks)} for ticks, accuracy in self.early.items()],
            "lossy": {name: dict(entry) for name, entry in self.lossy.items()},
            "counts": totals,
            "host_macs": self.host_macs * samples,
            "encoders": {name: _summed(own, samples) for name, own in self.encoders.items()},
            "decoders": {name: _summed(own, samples) for name, own in self.decoders.items()},
            "energy_j": total,
            "energy": self.energy.as_json(),
            "energy_of": {
                speed: {part: value and value.as_json() for part, value in parts.items()}
                for speed, parts in self.joules().items()
            },
            "latency": self.latency.as_json(),
            "baselines": self.baselines and self.baselines.as_json(),
            "neurobench": self.neurobench and self.neurobench.as_json(),
            "statistics": {kind: {name: spread.as_json() for name, spread in own.items()} for kind, own in self.spread.items()},
            "links": self.links(),
            "per_sample": {
                "counts": {name: value if name == "sops_per_spike" else value / samples for name, value in totals.items()},
                "energy_j": total and {name: value / samples for name, value in total.items()},
            },
            "per_population": {name: {**entry, **rates[name]} for name, entry in counts.per_population.items()},
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
            "provenance": self.provenance and self.provenance.as_json(),
            "cores": len(mapped.cores),
            "chips": mapped.chips,
            "utilization": {name: dict(entry) for name, entry in self.utilization.items()},
        }


def _summed(operations: Operations, samples: int) -> dict[str, int]:
    return {name: value * samples for name, value in asdict(operations).items()}
