"""A report as rows of one quantity of one subject each: what CSV files and the tables of pages are made of.

The rows are read from the JSON document of the report, so that every number is one of its numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
Number = float | int | None

BESIDE = ("baselines", "neurobench", "provenance")
"""Parts of a document that are shown as they are, whatever they hold."""
_UNITS = {"_j": "J", "_s": "s", "_w": "W", "_per_s": "1/s", "_bits": "bit", "_bytes": "B"}
_BOUNDS = {"low", "nominal", "high"}
_ENERGY = {"real_time": "in real time", "full_speed": "at full speed"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number with what is known of it. Counts and joules are per sample."""

    kind: str
    """What the subject is: report, event, population, projection, core, energy, latency, ..."""
    subject: str
    name: str
    unit: str
    """``1`` for counts and shares."""
    mean: Number
    sd: Number = None
    ci_low: Number = None
    ci_high: Number = None
    p95: Number = None
    worst: Number = None
    low: Number = None
    """With the low costs or times."""
    high: Number = None
    source: str = ""


def quantities(document: Document) -> Iterator[Quantity]:
    """Yield everything that a report states as a number.

    Args:
        document: What ``report --json`` prints.
    """
    yield from _of_report(document)
    yield from _of_events(document)
    yield from _of_layers(document)
    yield from _of_cores(document)
    yield from _of_energy(document)
    yield from _of_latency(document)
    yield from _of_rest(document)
    for kind in BESIDE:
        if document.get(kind):
            yield from leaves(document[kind], kind)


def _of_report(document: Document) -> Iterator[Quantity]:
    name, accuracy = document["network"], document["accuracy"]
    for key, unit in (("samples", "1"), ("ticks", "tick"), ("chip_ticks", "tick"), ("cores", "1"), ("chips", "1")):
        yield Quantity("report", name, key, unit, document[key])
    yield Quantity("report", name, "timestep", "s", document["timestep_s"])
    for key in ("fixed", "quantized"):
        if accuracy[key] is not None:
            yield Quantity("report", name, f"accuracy_{key}", "1", accuracy[key])


def _of_events(document: Document) -> Iterator[Quantity]:
    spreads = document["statistics"]["events"]
    for name, mean in document["per_sample"]["counts"].items():
        yield _spread("event", document["network"], name, "1", spreads[name]) if name in spreads else Quantity(
            "event", document["network"], name, "1", mean
        )  # fmt: skip


def _of_layers(document: Document) -> Iterator[Quantity]:
    samples, statistics = document["samples"], document["statistics"]
    for name, entry in document["per_population"].items():
        yield Quantity("population", name, "neurons", "1", entry["neurons"])
        yield _spread("population", name, "spikes", "1", statistics["populations"][name])
        for key in ("rate", "spikes_per_synapse"):
            yield Quantity("population", name, key, "1", entry[key])
        for key in ("updates", "updates_active"):
            yield Quantity("population", name, key, "1", entry[key] / samples)
    for name, entry in document["per_projection"].items():
        yield Quantity("projection", name, "synapses", "1", entry["synapses"])
        yield _spread("projection", name, "sops", "1", statistics["projections"][name])
        for key in ("sops_dense", "source_spikes"):
            yield Quantity("projection", name, key, "1", entry[key] / samples)
        yield Quantity("projection", name, "is_mac", "1", entry["is_mac"])
    for name, entry in document["lossy"].items():
        for key in ("spike_count_error", "van_rossum", "same_ticks"):
            yield Quantity("lossy", name, key, "1", entry[key], source=str(entry["reason"]))


def _of_cores(document: Document) -> Iterator[Quantity]:
    for core in document["per_core"]:
        name = f"{core['chip']}/{core['core']}"
        for key, busiest in core["busiest_tick"].items():
            yield Quantity("core", name, key, "1", core[key] / document["samples"])
            yield Quantity("core", name, f"busiest_tick_{key}", "1", busiest)
    for key, value in document["links"].items():
        yield Quantity("links", document["network"], key, "1", value)
    for name, entry in document["utilization"].items():
        for key, value in entry.items():
            yield Quantity("resource", name, key, "1", value)


def _of_energy(document: Document) -> Iterator[Quantity]:
    samples, energy = document["samples"], document["energy"]
    for line in energy["lines"]:
        source = f"{line['source']} ({line['kind']})"
        yield _bounded("cost", line["event"], "cost", "J", line["cost_j"], source)
        yield _bounded("energy", line["event"], "energy", "J", _divided(line["energy_j"], samples), source)
    for power in energy["powers"]:
        source = f"{power['source']} ({power['kind']})"
        yield _bounded("cost", power["part"], "power_per_chip", "W", power["per_chip_w"], source)
    if document["energy_j"] is not None:
        spread = document["statistics"]["energy_j"]["dynamic"]
        bounds = document["per_sample"]["energy_j"]
        yield _spread("energy", "dynamic", "energy", "J", spread, bounds["low"], bounds["high"], energy["costs"])
    for speed, parts in document["energy_of"].items():
        for part, bounds in parts.items():
            if bounds is not None:
                yield _bounded("energy", f"{part} {_ENERGY[speed]}", "energy", "J", _divided(bounds, samples), energy["costs"])


def _of_latency(document: Document) -> Iterator[Quantity]:
    latency = document["latency"]
    yield Quantity("latency", "real time", "inference", "s", latency["real_time_s"])
    for form, entry in latency["forms"].items():
        source = "; ".join(dict.fromkeys(f"{one['source']} ({one['kind']})" for one in entry["sources"]))
        for key, value in entry.items():
            if isinstance(value, Mapping):
                name, unit = _unit(key)
                yield _bounded("latency", form, name, unit, value, source)
        yield Quantity("latency", form, "slack", "s", entry["slack_s"], source=source)
        for limit in entry["limits"]:
            core = limit["core"]
            where = f" of core {core['chip']}/{core['core']}" if core else ""
            yield Quantity("latency", form, f"ticks limited by {limit['resource']}{where}", "1", limit["share"])


def _of_rest(document: Document) -> Iterator[Quantity]:
    samples = document["samples"]
    yield Quantity("host", document["network"], "macs", "1", document["host_macs"] / samples)
    for kind in ("encoders", "decoders"):
        for name, operations in document[kind].items():
            for key, value in operations.items():
                yield Quantity(kind.removesuffix("s"), name, key, "1", value / samples)
    for entry in document["early"]:
        subject = f"answer after {entry['ticks']} ticks"
        yield Quantity("early", subject, "accuracy", "1", entry["accuracy"])
        yield Quantity("early", subject, "synaptic_events", "1", entry["synaptic_events"])
        if entry["energy_j"] is not None:
            yield _bounded("early", subject, "energy", "J", entry["energy_j"], document["energy"]["costs"])


def leaves(part: Any, kind: str, path: tuple[str, ...] = ()) -> Iterator[Quantity]:
    """Yield the numbers of any part of a document; a ``source`` beside or above a number is taken for it."""
    yield from _leaves(part, kind, path, "")


def _leaves(part: Any, kind: str, path: tuple[str, ...], source: str) -> Iterator[Quantity]:
    name, unit = _unit(path[-1]) if path else ("", "1")
    subject = " ".join(path[:-1]) or kind
    if isinstance(part, Mapping):
        own = str(part.get("source", source))
        if part.keys() >= _BOUNDS:
            yield _bounded(kind, subject, name, unit, part, own)
        elif "mean" in part and "ci_low" in part:
            yield _spread(kind, subject, name, unit, part, source=own)
        else:
            for key, value in part.items():
                if key != "source":
                    yield from _leaves(value, kind, (*path, str(key)), own)
    elif isinstance(part, (list, tuple)):
        for index, value in enumerate(part):
            title = str(value.get("name", index)) if isinstance(value, Mapping) else str(index)
            yield from _leaves(value, kind, (*path, title), source)
    elif isinstance(part, (int, float)) and not isinstance(part, bool):
        yield Quantity(kind, subject, name, unit, part, source=source)


def texts(part: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield (where, text) of everything in a part of a document that is no number: digests, names, reasons."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key != "source":
                yield from texts(value, (*path, str(key)))
    elif isinstance(part, (list, tuple)):
        for index, value in enumerate(part):
            yield from texts(value, (*path, str(index)))
    elif isinstance(part, (str, bool)):
        yield " ".join(path).replace("_", " "), str(part)


def _unit(key: str) -> tuple[str, str]:
    """Return a key without the unit at its end, and the unit."""
    if key.endswith("_per_s_pipelined"):
        return f"{key.removesuffix('_per_s_pipelined')}_pipelined", "1/s"
    for suffix, unit in sorted(_UNITS.items(), key=lambda pair: -len(pair[0])):
        if key.endswith(suffix):
            return key.removesuffix(suffix), unit
    return key, "1"


def _divided(bounds: Mapping[str, float], samples: int) -> dict[str, float]:
    return {name: value / samples for name, value in bounds.items()}


def _bounded(kind: str, subject: str, name: str, unit: str, bounds: Mapping[str, Any], source: str = "") -> Quantity:
    return Quantity(kind, subject, name, unit, bounds["nominal"], low=bounds["low"], high=bounds["high"], source=source)


def _spread(
    kind: str, subject: str, name: str, unit: str, spread: Mapping[str, Any],
    low: Number = None, high: Number = None, source: str = "",
) -> Quantity:  # fmt: skip
    fields = {key: spread.get(key) for key in ("mean", "sd", "ci_low", "ci_high", "p95", "worst")}
    return Quantity(kind, subject, name, unit, **fields, low=low, high=high, source=source)
