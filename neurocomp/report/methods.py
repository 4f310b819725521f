"""The paragraph on methods and limits, ready to paste, with citations marked as in `neurocomp.report.bibliography`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

from neurocomp.energy.statistics import RESAMPLES
from neurocomp.report import Report
from neurocomp.report.bibliography import Sources, cited
from neurocomp.report.terminal import counted, si

MODELS = {"sum": "sanafe", "max": "timcheck2026"}
"""Form of the latency -> the work that published it."""


def methods(report: Report, sources: Sources) -> str:
    """Return what was done and what it does not say, in sentences that name what is true of this report."""
    parts = [*_simulation(report), *_spread(report), *_energy(report, sources), *_latency(report, sources)]
    return " ".join((*parts, *limitations(report)))


def limitations(report: Report) -> Iterable[str]:
    """Yield the sentences on what the numbers are not."""
    spec = report.spec.title
    estimates = "energies and times are estimates" if report.energy.is_priced else "no energy is stated"
    yield (
        f"Limitations: the counts are of a simulation and {estimates}; nothing was measured on {spec}, and no number here "
        "should be read as a measurement."
    )
    left_out = ["encoding, decoding, and input and output on the host"]
    if report.energy.is_priced and report.energy.parts["static"] is None:
        left_out.append("static power, of which no value is stated")
    if report.energy.unpriced and report.energy.is_priced:
        events = ", ".join(event.replace("_", " ") for event in report.energy.unpriced)
        left_out.append(f"events for which the source states no cost ({events})")
    if report.energy.is_priced:
        yield f"The energies leave out {_listed(left_out)}."
    if report.not_on_this_chip:
        yield f"The chip itself does not do this: {_listed(list(report.not_on_this_chip))}; simulations do."
    if report.lossy:
        yield f"Lowering to the chip changed the spikes of {_listed(list(report.lossy))}."
    if report.counts.samples < 2:
        yield "All numbers are of a single sample, so that nothing is known of their spread."


def _simulation(report: Report) -> Iterable[str]:
    cores, chips = counted(len(report.mapped.cores), "core"), counted(report.mapped.chips, "chip")
    yield (
        f"The network {report.network.name} was compiled with neurocomp {version('neurocomp')} for {report.spec.title}, onto "
        f"{cores} of {chips}. Its integers were simulated on {counted(report.counts.samples, 'sample')} of "
        f"{counted(report.ticks, 'tick')} of {si(report.network.timestep, 's')} ({report.counts.ticks} on the chip, with the "
        "delays of its layers), and events were counted."
    )
    yield (
        "A synaptic operation (SOP) is one spike at one synapse whose integer weight is not zero; a synaptic event is one "
        "spike at one synapse that is stored, weights of zero included."
    )
    if report.accuracy is not None:
        yield f"The accuracy of the integers on these samples is {report.accuracy:.2%}."


def _spread(report: Report) -> Iterable[str]:
    if report.counts.samples > 1:
        yield (
            f"Values are means over the samples, and brackets hold the 95 % interval of the mean, percentiles of {RESAMPLES:,} "
            "bootstrap resamples [@efron1979]."
        )


def _energy(report: Report, sources: Sources) -> Iterable[str]:
    energy = report.energy
    if not energy.is_priced:
        yield f"No energy of an event of {report.spec.title} is published, so that none is stated."
        return
    used = cited(" ".join(sources.marked(line.cost.source) for line in energy.lines))
    kinds = _listed(list(dict.fromkeys(line.cost.kind for line in energy.lines)))
    yield (
        f"Dynamic energy is the sum over events of count times cost per event, from the cost source {energy.costs} "
        f"{_cites(used)} ({kinds}). Low and high take the lowest and highest published costs together; they are a range of "
        "sources, no confidence interval."
    )
    drawn = {"static": "static power of whole chips", "host": "power of the processors on the chips"}
    powers = [f"{drawn[power.part]} {_cites(cited(sources.marked(power.watts.source)))}" for power in energy.powers]
    if powers:
        named = _listed(powers)
        verb = "stand" if len(powers) > 1 else "stands"
        yield f"{named[0].upper()}{named[1:]} {verb} apart, over the time of the samples."


def _latency(report: Report, sources: Sources) -> Iterable[str]:
    for timing in report.latency.timings:
        used = _cites(cited(" ".join(sources.marked(one.source) for one in timing.sources)))
        if timing.form == "sum":
            yield (
                "In the first form of the latency, a tick takes as long as the slowest core needs to send what it produces or "
                f"to work through what it receives, and then the barrier [@{MODELS['sum']}]."
            )
        elif timing.form == "max":
            yield (
                f"In the second, all resources work at once, and the busiest one sets the pace [@{MODELS['max']}]. "
                f"Times of events are published ones {used}."
            )
        else:
            yield f"A tick takes as long as the published clock {used}."


def _cites(keys: list[str]) -> str:
    return " ".join(f"[@{key}]" for key in keys)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
