"""Which limit of a core binds each population, by how much, and what would help, before any weight is read.

Everything follows from the shapes and the geometry of patterns, in a time that grows with the layers; a list of synapses takes
a few passes over its indices. For chips whose cores store rows of synapses. What is said is of two kinds:

- **proved**: no mapping needs fewer cores. Compartments over those of a core; distinct sources of any n neurons over the input
  axons (`neurocomp.mapping.reach`); cores that each neuron sends to over the output axons.
- **estimated**: synapse words, as zeros and equal rows are known by the weights alone; how many sources neurons have in common
  that a mapping puts together; output axons, by how often sources are heard.

Only what is proved refuses a network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Violation
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.network import Network, Population
from neurocomp.mapping.reach import Reach, reach_of
from neurocomp.models.neurons import NEURON_MODELS
from neurocomp.models.patterns import PATTERNS, Conv, Dense

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

RESOURCES = ("neurons", "input_axons", "synapse_words", "output_axons")
"""Limits of a core that are looked at."""
MORE_CORES = "use a target with more chips or cores, or a smaller network"
LARGEST = 3
"""Populations that a message names."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What one limit of a core says about a population."""

    resource: str
    proof: bool
    """Whether no mapping needs fewer cores; else it is an estimate."""
    needs: int
    """What as many neurons need of it as a core has compartments for, or the whole population if it is smaller."""
    has: int
    """What a core has of it."""
    neurons_per_core: int
    """Neurons of the population that a core holds by this limit alone, at most or about."""
    cores: int
    """That the population needs by this limit alone, at least or about."""

    @property
    def share(self) -> float:
        """Needs over has: beyond 1 the limit, not the compartments, says how many neurons a core holds."""
        return self.needs / self.has

    def filled(self, neurons: int) -> float:
        """Return the cores that so many neurons fill, the last one in part."""
        return neurons / self.neurons_per_core if self.cores > 1 else self.share


@dataclass(frozen=True, slots=True)
class Row:
    """What the limits of a core say about one population of neurons."""

    population: str
    neurons: int
    limits: tuple[Limit, ...]
    """Of input axons, a proved one and, for lists of synapses, an estimate."""
    binds: Limit
    """The one that asks for the most cores."""
    helps: str | None
    """One step that lets a core hold more of its neurons; None where its compartments are what it lacks."""

    @property
    def cores_at_least(self) -> int:
        """Cores that hold some of it, in every mapping."""
        return max(limit.cores for limit in self.limits if limit.proof)

    @property
    def cores_about(self) -> int:
        """Cores that it fills by the estimates, at least as many as are proved."""
        return max(limit.cores for limit in self.limits)

    def as_json(self) -> dict[str, Any]:
        """Return what ``check --json`` lists."""
        return {
            "population": self.population,
            "neurons": self.neurons,
            "cores_at_least": self.cores_at_least,
            "cores_about": self.cores_about,
            "binds": self.binds.resource,
            "proof": self.binds.proof,
            "share": self.binds.share,
            "helps": self.helps,
            "limits": [
                {
                    "resource": limit.resource,
                    "proof": limit.proof,
                    "needs": limit.needs,
                    "has": limit.has,
                    "neurons_per_core": limit.neurons_per_core,
                    "cores": limit.cores,
                }
                for limit in self.limits
            ],
        }


@dataclass(frozen=True, slots=True)
class Feasibility:
    """What the limits of the cores say about a network."""

    rows: tuple[Row, ...]
    """Per population of neurons, in the order of the network."""
    cores_for: Mapping[str, int]
    """Reason -> cores that the network needs at least."""
    cores_about: int
    """Cores that it needs by the estimates, of which populations may share some."""
    violations: tuple[Violation, ...]
    """What is proved not to fit."""

    @property
    def cores_at_least(self) -> int:
        """Cores that every mapping needs."""
        return max(self.cores_for.values())

    def estimate_note(self, name: str, spec: HardwareSpec) -> str | None:
        """Return that a network seems not to fit, where nothing proves it."""
        limit = _cores_of(spec)
        if self.cores_about <= limit or self.violations:
            return None
        return (
            f"'{name}' seems to need {self.cores_about:,} cores, and {spec.name} has {limit:,}: {largest_of(self.rows)}. "
            f"This is an estimate; what is proved is at least {self.cores_at_least:,}"
        )


def feasibility_of(
    network: Network, spec: HardwareSpec, on_host: Collection[str] = (), written: Network | None = None
) -> Feasibility:
    """Return what the limits of the cores say about a legal network; weights are not read.

    Args:
        network: Of real numbers, or of a chip's integers.
        spec: A chip whose cores store rows of synapses.
        on_host: Inputs that the host adds up, so that no core hears from them.
        written: The network before its chains of patterns were folded: what a pool adds up has equal rows.
    """
    neurons = [p for p in network.populations.values() if not p.is_input]
    compartments = {p.name: _compartments(p, spec) for p in neurons}
    into: dict[str, list[Reach]] = {p.name: [] for p in neurons}
    # Of a network whose neurons alone are too many nothing of their number is made.
    fits = sum(p.size * compartments[p.name] for p in neurons) <= spec.limit("neurons") * _cores_of(spec)
    chains = {q.name: q for q in (written or network).projections}
    for q in network.projections if fits else ():
        if q.source not in on_host:
            room = max(1, spec.limit("neurons") // compartments[q.target])
            into[q.target].append(reach_of(network, q, spec, room, chains.get(q.name)))
    found = {p.name: _Found(p, compartments[p.name], into[p.name], spec) for p in neurons}
    out = _outputs(network, found)
    rows = tuple(_row(found[p.name], *out[p.name], spec) for p in neurons)
    cores_for = _cores_for(found, rows, out, spec)
    filled = sum(max(limit.filled(row.neurons) for limit in row.limits if _adds_up(limit)) for row in rows)
    about = max(*cores_for.values(), int(np.ceil(filled)))
    violations = _violations(found, out, spec) or _too_many(network, cores_for, found, rows, spec)
    return Feasibility(rows, cores_for, about, tuple(violations))


def _adds_up(limit: Limit) -> bool:
    """Return whether populations need a limit for each of them: those that fit a core together may have common sources."""
    return limit.cores > 1 or limit.resource in ("neurons", "synapse_words")


def _compartments(p: Population, spec: HardwareSpec) -> int:
    """Return the compartments of each neuron: a second one for a reset by subtraction that the chip does not do."""
    assert p.neuron is not None
    subtracts = NEURON_MODELS[p.neuron.model].fires and p.neuron.semantics.reset == "subtract"
    return 2 if subtracts and not spec.has("reset", "subtract") else 1


# The limits of a population


class _Found:
    """What the limits of a core but the output axons say about a population, and what n of its neurons need."""

    def __init__(self, p: Population, compartments: int, into: Sequence[Reach], spec: HardwareSpec) -> None:
        self.population, self.compartments, self.into, self.spec = p, compartments, into, spec
        self.sources = tuple(dict.fromkeys(reach.source for reach in into))
        self.room = max(1, min(p.size, spec.limit("neurons") // compartments))

    def least(self, n: int, source: str | None = None) -> int:
        """Return the distinct sources of n neurons at least, of all populations or of one."""
        return int(self._axons(n, source, lambda reach: reach.least(n)))

    def about(self, n: int, source: str | None = None) -> float:
        """Return the distinct sources of n neurons, about."""
        return float(self._axons(n, source, lambda reach: max(reach.about(n), reach.least(n))))

    def _axons(self, n: int, source: str | None, of: Callable[[Reach], float]) -> float:
        names = self.sources if source is None else (source,)
        return sum(max(of(reach) for reach in self.into if reach.source == name) for name in names)

    def words(self, n: int) -> float:
        """Return the synapse words of n neurons, about."""
        return sum(reach.words(n) for reach in self.into)

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        """Neurons, input axons and synapse words."""
        p, spec = self.population, self.spec
        limits = [
            Limit("neurons", True, self.room * self.compartments, spec.limit("neurons"), self.room, -(-p.size // self.room))
        ]
        least = self._limit("input_axons", True, self.least)
        axons = spec.limit("input_axons")
        for reach in self.into:
            if reach.drawn is not None:
                others = sum(self.least(1, name) for name in self.sources if name != reach.source)
                cores = reach.drawn.least_cores(axons - others)
                if cores > least.cores:
                    least = Limit("input_axons", True, least.needs, axons, -(-p.size // cores), cores)
        limits.append(least)
        if any(not reach.exact for reach in self.into):
            limits.append(self._limit("input_axons", False, self.about))
        limits.append(self._limit("synapse_words", False, self.words))
        return tuple(limits)

    def _limit(self, resource: str, proof: bool, needs: Callable[[int], float]) -> Limit:
        has, low, high = self.spec.limit(resource), 1, self.room
        whole = needs(high)
        if whole <= has:
            low = high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if needs(middle) <= has else (low, middle)
        return Limit(resource, proof, int(np.ceil(whole)), has, low, -(-self.population.size // low))

    @cached_property
    def cores(self) -> int:
        """Cores that are proved without the output axons."""
        return max(limit.cores for limit in self.limits if limit.proof)

    @cached_property
    def per_core(self) -> int:
        """Neurons that a core holds without the output axons, about."""
        return min(self.room, *(limit.neurons_per_core for limit in self.limits))


def _outputs(network: Network, found: Mapping[str, _Found]) -> dict[str, tuple[int, float]]:
    """Return to how many cores each neuron of a population sends at least, and on average, about."""
    least, about = dict.fromkeys(found, 0), dict.fromkeys(found, 0.0)
    for of in found.values():
        for name in of.sources:
            if name in found and of.population.size:
                whole = any(reach.whole for reach in of.into if reach.source == name)
                least[name] = max(least[name], of.cores if whole else 0)
                cores = of.population.size / of.per_core
                reached = min(of.about(of.per_core, name), network.populations[name].size)
                about[name] += max(cores, 1.0 if whole else 0.0) * reached / network.populations[name].size
    return {name: (least[name], about[name]) for name in found}


def _row(found: _Found, least: int, about: float, spec: HardwareSpec) -> Row:
    p, has = found.population, spec.limit("output_axons")
    limits = [*found.limits]
    for proof, each in ((True, least), (False, about)):
        if each:
            per_core = max(1, min(int(has / each), found.room)) if each * found.room > has else found.room
            limits.append(Limit("output_axons", proof, int(np.ceil(each * found.room)), has, per_core, -(-p.size // per_core)))
    binds = max(limits, key=lambda limit: (limit.cores, limit.resource != "output_axons", limit.share, limit.proof))
    return Row(p.name, p.size, tuple(limits), binds, _helps(found, binds, limits[0]))


# What would help


def _helps(found: _Found, binds: Limit, neurons: Limit) -> str | None:
    """Return one step that lets a core hold more of a population's neurons."""
    name = found.population.name
    if binds.resource == "neurons" or binds.share <= 1:
        return f"'{name}': 'reset: zero' takes one compartment per neuron" if found.compartments > 1 else None
    more = f"a core would hold {found.room:,} of its neurons, not {binds.neurons_per_core:,}"
    if binds.resource == "output_axons":
        return f"'{name}': let its neurons send to fewer or smaller populations; {more}"
    largest = max(
        found.into,
        key=lambda reach: reach.words(found.room) if binds.resource == "synapse_words" else reach.about(found.room),
    )
    q, kind = largest.projection, PATTERNS[largest.projection.pattern.kind]
    if binds.resource == "synapse_words":
        part = binds.has / binds.needs
        if isinstance(kind, Conv):
            step = f"a smaller kernel or fewer channels of '{q.name}'"
        elif isinstance(kind, Dense):
            step = f"prune '{q.name}' to {100 * part / 2:.0f} % of its weights and write the rest as sparse"
        else:
            step = f"keep {100 * part:.0f} % of the synapses of '{q.name}'"
        return f"'{name}': {step}; {more}"
    if isinstance(kind, Conv):
        step = f"fewer channels of '{q.source}', a smaller kernel, or groups"
    elif largest.drawn is not None:
        few = max(1, binds.has // found.room)
        most = "one source" if few == 1 else f"{few:,} sources"
        step = f"at most {most} per neuron in '{q.name}', common ones, or a small population in between"
    else:
        step = f"a population between '{q.source}' and it, or prune '{q.name}' and write the rest as sparse"
    return f"'{name}': {step}; {more}"


def _word(resource: str) -> str:
    return {"synapse_words": "synapse memory"}.get(resource, resource.replace("_", " "))


def largest_of(rows: Sequence[Row]) -> str:
    """Return the populations that take the most cores, as a message names them."""
    largest = sorted(rows, key=lambda row: -row.cores_about)[:LARGEST]
    return ", ".join(f"'{row.population}' {_cores(row)} by its {_word(row.binds.resource)}" for row in largest)


def _cores(row: Row) -> str:
    return f"at least {row.binds.cores:,}" if row.binds.proof else f"about {row.binds.cores:,}"


# The network


def _cores_of(spec: HardwareSpec) -> int:
    return spec.limit("chips") * spec.limit("cores_per_chip")


def _cores_for(
    found: Mapping[str, _Found], rows: Sequence[Row], out: Mapping[str, tuple[int, float]], spec: HardwareSpec
) -> dict[str, int]:
    """Return reason -> cores that the network needs at least.

    Input axons: as many as the sources of each population, on each core of a dense layer all of them, take; and populations
    each of whose neurons has more sources than half of a core's axons share a core only where their sources are the same.
    """
    neurons, axons = spec.limit("neurons"), spec.limit("input_axons")
    total = sum(of.population.size * of.compartments for of in found.values())
    heard: dict[str, int] = {}
    for of in found.values():
        for reach in of.into:
            if of.population.size:
                least = reach.drawn.n_sources if reach.drawn else 0
                least = max(least, reach.least(of.population.size), reach.least(1) * (of.cores if reach.whole else 1))
                heard[reach.source] = max(heard.get(reach.source, 0), least)
    sent = sum(of.population.size * out[name][0] for name, of in found.items())
    cores = {
        "neurons": max(1, -(-total // neurons)),
        "input_axons": max(-(-sum(heard.values()) // axons), _apart(found.values(), neurons, axons)),
        "output_axons": -(-sent // spec.limit("output_axons")),
    }
    for row in rows:
        for limit in row.limits:
            if limit.proof:
                cores[limit.resource] = max(cores[limit.resource], limit.cores)
    return cores


def _apart(found: Iterable[_Found], neurons: int, axons: int) -> int:
    """Return the cores of populations with many sources, which share none unless some sources are of the same population."""
    group: dict[str, str] = {}

    def root(name: str) -> str:
        while group.setdefault(name, name) != name:
            group[name] = name = group[group[name]]
        return name

    many = [of for of in found if of.population.size and 2 * of.least(1) > axons]
    for of in many:
        for name in of.sources:
            group[root(name)] = root(of.sources[0])
    cores: dict[str, int] = {}
    held: dict[str, int] = {}
    for of in many:
        name = root(of.sources[0])
        cores[name] = max(cores.get(name, 0), of.cores)
        held[name] = held.get(name, 0) + of.population.size * of.compartments
    return sum(max(cores[name], -(-held[name] // neurons)) for name in cores)


def _violations(found: Mapping[str, _Found], out: Mapping[str, tuple[int, float]], spec: HardwareSpec) -> list[Violation]:
    """Return neurons of lists with too many sources, and with too many cores to send to."""
    violations = []
    limit, source = spec.limit("input_axons"), spec.limit_text("input_axons")
    for of in found.values():
        p = of.population
        for reach in of.into:
            drawn = reach.drawn
            if drawn is not None and drawn.fan_in.max(initial=0) > limit:
                largest = int(drawn.fan_in.argmax())
                subject, fan_in = f"{p.name}[{int(drawn.neurons[largest]) * drawn.unit}]", int(drawn.fan_in[largest])
                message = f"neuron '{subject}' has at least {fan_in} sources; {spec.name} has {limit} input axons per core"
                hint = f"prune '{reach.projection.name}', or put a population in between"
                violations.append(Violation("NC0412", subject, message, fan_in, limit, source, hint, origin=p.origin))
                break
    limit, source = spec.limit("output_axons"), spec.limit_text("output_axons")
    for name, (cores, _) in out.items():
        if cores > limit:
            p = found[name].population
            message = f"a neuron of '{name}' sends to at least {cores} cores; {spec.name} has {limit} output axons per core"
            violations.append(
                Violation("NC0405", name, message, cores, limit, source, "lower its fan-out", origin=p.origin)
            )  # fmt: skip
    return violations


def _too_many(
    network: Network, cores_for: Mapping[str, int], found: Mapping[str, _Found], rows: Sequence[Row], spec: HardwareSpec
) -> list[Violation]:
    """Return that the network needs more cores than there are; neurons that no core holds are another error."""
    limit = _cores_of(spec)
    resource = max(cores_for, key=lambda name: cores_for[name])
    cores = cores_for[resource]
    if cores <= limit or any(of.least(1) > spec.limit("input_axons") for of in found.values()):
        return []
    by = f"needs at least {cores:,} cores by its {_word(resource)}"
    if resource == "neurons":
        by = f"has {sum(row.neurons for row in rows):,} neurons and needs at least {cores:,} cores"
    message = f"'{network.name}' {by}; {spec.name} has {limit:,}"
    source = "; ".join(spec.limit_text(name) for name in (resource, "cores_per_chip", "chips"))
    helps = [row for row in rows if row.binds.resource == resource != "neurons" and row.helps]
    hint = max(helps, key=lambda row: row.cores_about).helps if helps else MORE_CORES
    also = f"the largest: {largest_of(rows)}" if len(rows) > 1 else None
    return [Violation("NC0401", network.name, message, cores, limit, source, hint, also)]
