"""Random networks on crossbars: quantized equals lowered equals chip, however cores are placed, and every corruption shows."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp import registry
from neurocomp.api import Compiled
from neurocomp.errors import CapacityError, InternalError, NetworkError, NeurocompError, UnsupportedError
from neurocomp.ir.crossbars import verify_crossbars
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.network import frozen
from neurocomp.ir.program import CoreTables, Program
from neurocomp.ir.quantized import Crossbar, IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.ir.trace import Trace
from neurocomp.testing.random_crossbars import RECIPES, CrossbarCase, random_crossbar_case
from neurocomp_reference import ReferenceSimulator
from neurocomp_truenorth import formats as fm
from neurocomp_truenorth.chip import ChipSimulation
from neurocomp_truenorth.emit import emit
from neurocomp_truenorth.mapping import map_network

Array = NDArray[Any]

CHUNK = 42
"""Seeds per test: three of each recipe."""
DEFAULT, SLOW = 420, 2940
"""Seeds that run by default, and behind the marker."""
MOST_REFUSED = 1 / 3
ENGINES = ("reference", "chip")


@lru_cache(maxsize=DEFAULT)
def compiled(seed: int) -> tuple[CrossbarCase, Compiled | NeurocompError]:
    """Compile a case, or return why it does not lower."""
    case = random_crossbar_case(seed)
    try:
        return case, neurocomp.compile(case.network, "truenorth", **case.options)
    except (UnsupportedError, CapacityError) as error:
        return case, error


def lowered_cases(seeds: Sequence[int]) -> Iterator[tuple[int, CrossbarCase, Compiled]]:
    """Yield the cases that lower."""
    for seed in seeds:
        case, made = compiled(seed)
        if isinstance(made, Compiled):
            yield seed, case, made


# Quantized, lowered and chip


def techniques(made: Compiled) -> set[str]:
    """Name what ran in a lowering, from what it left in the network."""
    lowered = made.artifact.lowered
    network, found = lowered.network, set[str]()
    for name, part in lowered.parts.items():
        found.add({"neuron": "neurons", "relay": "relays", "channel": "partial sums"}[part.role])
        if part.role == "neuron" and len(part.neurons) > len(np.unique(part.neurons)):
            found.add("copies")
        if network.populations[name].values("b").size and any(c.b.any() for c in network.crossbars if c.neurons == name):
            found.add("stochastic synapses")
        if part.role == "relay" and made.artifact.quantized is not None:
            of = made.artifact.quantized.network.populations[part.logical].values
            if of("b").any() or of("TM").any() or of("c_lambda").any():
                found.add("relays of stochastic neurons")
    banks = Counter(c.axons for c in network.crossbars)
    checks = {
        "lags": any(lowered.lag.values()),
        "maxima": bool(lowered.declared_merges),
        "shared axons": max(banks.values()) > 1,
        "several blocks": any(c.blocks > 1 for c in network.crossbars),
        "shared cores": sum(c.blocks for c in network.crossbars) > len(made.artifact.mapped.cores),
        "four types": any(len(np.unique(c.types)) == 4 for c in network.crossbars),
        "repeated types": any(int(n) > 4 for note in made.artifact.notes for n in re.findall(r"x up to (\d+)", note)),
        "holds": any(name.endswith(".hold") for name in network.populations),
        "bias lines": any(name.endswith(".bias") for name in network.populations),
        "corrected starts": any("corrected potential" in note for note in made.artifact.notes),
        "early spikes": any("early spikes" in (r.reason or "") for r in lowered.map.values()),
        "several outputs": len(network.outputs) > 1,
        "recurrence": any(q.source == q.target for q in made.network.projections),
    }
    return found | {name for name, ran in checks.items() if ran}


LEAST: Mapping[str, int] = {
    "neurons": 280, "copies": 100, "relays": 40, "relays of stochastic neurons": 20, "partial sums": 15, "lags": 150,
    "maxima": 40, "shared axons": 4, "several blocks": 15, "shared cores": 150, "four types": 60, "repeated types": 10,
    "holds": 5, "corrected starts": 15, "bias lines": 4, "stochastic synapses": 20, "several outputs": 80, "recurrence": 30,
}  # fmt: skip
"""In so many of the default cases that lower each technique runs."""


class TestEngines:
    """Three executions of one network: quantized and lowered in the reference, the chip's tables in the chip simulation."""

    @pytest.mark.parametrize("first", range(0, DEFAULT, CHUNK))
    def test_they_agree(self, first: int) -> None:
        """Lowered equals chip in every tick, quantized equals lowered wherever no lossy step reaches."""
        check_engines(range(first, first + CHUNK))

    @pytest.mark.slow
    @pytest.mark.parametrize("first", range(10_000, 10_000 + SLOW, 7 * CHUNK))
    def test_they_agree_in_more_networks(self, first: int) -> None:
        """The same, for more seeds."""
        check_engines(range(first, first + 7 * CHUNK))

    def test_every_technique_runs(self) -> None:
        """The generator makes each technique of lowering necessary, alone and with others, and few networks are refused."""
        found: Counter[str] = Counter()
        together: Counter[int] = Counter()
        recipes: Counter[str] = Counter()
        for _, case, made in lowered_cases(range(DEFAULT)):
            ran = techniques(made)
            found.update(ran)
            recipes[case.recipe] += 1
            main = {"copies", "relays", "partial sums", "lags", "maxima", "shared axons", "holds", "corrected starts"}
            together[len(main & ran)] += 1
        missing = {name: (found[name], least) for name, least in LEAST.items() if found[name] < least}
        assert not missing, f"(found, wanted): {missing}"
        assert sum(recipes.values()) >= 300
        assert all(recipes[recipe] >= 15 for recipe in RECIPES), recipes
        assert together[1] >= 40
        assert sum(count for number, count in together.items() if number >= 3) >= 40

    def test_what_is_refused_is_said_so(self) -> None:
        """Networks that do not lower are refused with a code of their kind and a hint."""
        refused = [made for _, made in map(compiled, range(DEFAULT)) if not isinstance(made, Compiled)]
        assert len(refused) <= MOST_REFUSED * DEFAULT
        for error in refused:
            for diagnostic in error.diagnostics:
                assert diagnostic.code.startswith(("NC03", "NC04")), diagnostic
                assert diagnostic.hint
                assert len(diagnostic.message) > 20

    def test_lines_off_the_chip_carry_the_outputs(self) -> None:
        """Line i of an output repeats neuron i, a tick after its population's time."""
        spikes = 0
        for seed, case, made in lowered_cases(range(DEFAULT)):
            lowered, quantized = made.artifact.lowered, made.artifact.quantized
            assert quantized is not None
            if not quantized.network.outputs:
                continue
            loss = lowered.reached_by_loss(next(iter(case.stimulus.values())).shape[1])
            wanted = ReferenceSimulator().run(quantized.network, case.stimulus, state=False)
            chip = ChipSimulation().run(made.artifact.program, case.stimulus, state=False)
            for name in quantized.network.outputs:
                # What is read last may leave the chip after the run.
                first = lowered.lag[f"{name}.out"] + 1
                found = chip.spikes[f"{name}.out"][:, first : first + wanted.ticks]
                if name not in loss:
                    assert np.array_equal(found, wanted.spikes[name][:, : found.shape[1]]), f"{seed}: {name}"
                    spikes += int(found.sum())
        assert spikes > 100 * 250

    def test_sample_numbers_key_random_numbers(self) -> None:
        """The chip draws for sample 7 what the reference draws for it, and not what it draws for sample 0."""
        different = 0
        for seed, case, made in lowered_cases(range(DEFAULT)):
            if case.recipe != "stochastic":
                continue
            lowered = made.artifact.lowered
            runs = [ReferenceSimulator().run(lowered.network, case.stimulus, lag=lowered.lag, first_sample=n) for n in (0, 7)]
            chip = ChipSimulation().run(made.artifact.program, case.stimulus, first_sample=7)
            assert differences(runs[1], chip) == [], seed
            different += bool(differences(*runs))
        assert different >= 10


def check_engines(seeds: Sequence[int]) -> None:
    """Compile and verify; all that lower are exact, and few do not lower."""
    refused = spikes = 0
    for seed in seeds:
        case, made = compiled(seed)
        if not isinstance(made, Compiled):
            refused += 1
            continue
        report = made.verify(ENGINES, inputs=case.stimulus)
        assert report.engines == ENGINES
        assert report.bit_exact, f"{seed} ({case.recipe}, {case.options}): {report.first_divergence}"
        spikes += report.spikes_compared
    assert refused <= MOST_REFUSED * len(seeds)
    assert spikes > 300 * len(seeds)


def differences(a: Trace, b: Trace) -> list[str]:
    """Return which arrays of two traces differ, among those that both have."""
    return [
        f"{register} of {name}"
        for register in ("spikes", "v")
        for name, values in getattr(a, register).items()
        if name in getattr(b, register) and not np.array_equal(values, getattr(b, register)[name])
    ]


# A simulation of its own, in plain Python


def philox(counter: Sequence[int], key: Sequence[int]) -> int:
    """Return the first word of Philox-4x32-10."""
    c, (k0, k1) = list(counter), key
    for _ in range(10):
        left, right = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [right >> 32 ^ c[1] ^ k0, right & 0xFFFFFFFF, left >> 32 ^ c[3] ^ k1, left & 0xFFFFFFFF]
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return c[0]


@dataclass(slots=True)
class Wire:
    """What a neuron hears of some neurons of a population, of which one has to spike."""

    population: str
    sources: list[int]
    delay: int
    weight: int
    slot: int


@dataclass(slots=True)
class PlainNeuron:
    """A neuron of integers with its wires."""

    values: dict[str, int]
    wires: list[Wire] = field(default_factory=list)
    v: int = 0

    def tick(self, heard: list[Wire], tick: int, sample: int) -> int:
        """Advance by a tick and return whether it spikes."""
        p = self.values

        def draw(purpose: int, slot: int = 0) -> int:
            return philox((p["key"], tick & 0xFFFFFFFF, sample, purpose << 24), (p["seed"], slot))

        def clamp(v: int) -> int:
            return max(-(1 << 19), min((1 << 19) - 1, v))

        def by_chance(size: int, word: int) -> int:
            return ((size > 0) - (size < 0)) if abs(size) >= (word & 0xFF) else 0

        v = self.v
        for wire in heard:
            v += by_chance(wire.weight, draw(2, wire.slot)) if p["b"] else wire.weight
        v = clamp(v)
        leak = by_chance(p["lambda"], draw(3)) if p["c_lambda"] else p["lambda"]
        if p["epsilon"]:
            leak *= (v > 0) - (v < 0)
        v = clamp(v + leak)
        eta = draw(4) & ((1 << p["TM"]) - 1) if p["TM"] else 0
        spike = v >= p["alpha"] + eta
        floor = p["beta"] if p["kappa"] else p["beta"] + eta
        if spike:
            v = (p["R"], v - p["alpha"] - eta, v)[p["gamma"]]
        elif v < -floor or (p["symmetric"] and v == -floor):
            v = -p["beta"] if p["kappa"] else (-p["R"], v + p["beta"] + eta, v)[p["gamma"]]
        self.v = v
        return int(spike)


def pairs(kind: str, q: IntegerProjection, source: tuple[int, ...], target: tuple[int, ...]) -> Iterator[tuple[int, int, Any]]:
    """Yield (source, target, index of the weight) of a pattern, written out."""
    n_source, n_target = int(np.prod(source)), int(np.prod(target))
    if kind == "dense":
        yield from ((i, j, (j, i)) for j in range(n_target) for i in range(n_source))
    elif kind == "one_to_one":
        yield from ((i, i, (i,)) for i in range(n_target))
    elif kind == "sparse":
        ends = zip(q.pattern.arrays["sources"].tolist(), q.pattern.arrays["targets"].tolist(), strict=True)
        yield from ((i, j, (k,)) for k, (i, j) in enumerate(ends))
    elif kind == "block":
        indices = q.pattern.arrays["indices"].tolist()
        rows = n_target // len(indices)
        for b, row in itertools.product(range(len(indices)), range(rows)):
            yield from ((i, b * rows + row, (b, row, k)) for k, i in enumerate(indices[b]))
    else:
        yield from _convolved(q.pattern.options, q.mantissa.shape, source, target)


def _convolved(
    options: Mapping[str, tuple[int, ...]], weights: tuple[int, ...], source: tuple[int, ...], target: tuple[int, ...]
) -> Iterator[tuple[int, int, Any]]:
    per_group, out_of_group = weights[1], weights[0] // options["groups"][0]
    for out in itertools.product(*map(range, target)):
        group = out[0] // out_of_group
        for inner in itertools.product(range(per_group), *map(range, options["kernel"])):
            at = _seen(out[1:], inner[1:], options, options["dilation"], source[1:])
            if at is not None:
                i = int(np.ravel_multi_index((group * per_group + inner[0], *at), source))
                yield i, int(np.ravel_multi_index(out, target)), (out[0], *inner)


def _seen(
    out: Sequence[int], inner: Sequence[int], options: Mapping[str, tuple[int, ...]], dilation: Sequence[int],
    extents: Sequence[int],
) -> tuple[int, ...] | None:  # fmt: skip
    """Return the place that a position of a window covers; None outside."""
    at = tuple(
        x * stride + k * wide - padding
        for x, k, wide, stride, padding in zip(out, inner, dilation, options["stride"], options["padding"], strict=True)
    )
    return at if all(0 <= x < extent for x, extent in zip(at, extents, strict=True)) else None


def windows(options: Mapping[str, tuple[int, ...]], source: tuple[int, ...]) -> tuple[list[list[int]], tuple[int, ...]]:
    """Return the neurons of each window of a maximum, and the shape of what it makes."""
    sides = zip(source[1:], options["kernel"], options["stride"], options["padding"], strict=True)
    made = (source[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in sides))
    found = []
    for out in itertools.product(*map(range, made)):
        places = (
            _seen(out[1:], inner, options, [1] * len(inner), source[1:])
            for inner in itertools.product(*map(range, options["kernel"]))
        )
        found.append([int(np.ravel_multi_index((out[0], *at), source)) for at in places if at is not None])
    return found, made


def plain_neurons(network: IntegerNetwork) -> dict[str, list[PlainNeuron]]:
    """Return the neurons of an integer network with everything that they hear."""
    neurons = {
        p.name: [PlainNeuron({key: int(p.values(key)[j]) for key in p.parameters}) for j in range(p.size)]
        for p in network.populations.values() if p.dynamics == "truenorth"
    }  # fmt: skip
    for number, q in enumerate(network.projections):
        source = network.populations[q.source].shape
        groups = [[i] for i in range(int(np.prod(source)))]
        if q.pool is not None:
            groups, source = windows(q.pool.options, source)
        for i, j, index in pairs(q.pattern.kind, q, source, network.populations[q.target].shape):
            weight, delay = int(q.mantissa[index]), int(q.delay[index] if q.delay.ndim else q.delay)
            if weight:
                slot = (number << 24 | i) & 0xFFFFFFFF
                neurons[q.target][j].wires.append(Wire(q.source, groups[i], delay, weight, slot))
    return neurons


def plain_run(network: IntegerNetwork, stimulus: Mapping[str, Array], first_sample: int) -> dict[str, tuple[Array, Array]]:
    """Return spikes and v (samples, ticks, n) of each population with neurons."""
    neurons = plain_neurons(network)
    samples, ticks, _ = next(iter(stimulus.values())).shape
    order, rest = list[str](), list(neurons)
    while rest:
        ready = next(
            name for name in rest
            if all(w.delay or w.population not in rest for neuron in neurons[name] for w in neuron.wires)
        )  # fmt: skip
        order.append(ready)
        rest.remove(ready)
    shape = (samples, ticks)
    found = {name: (np.zeros((*shape, len(own)), np.int32), np.zeros((*shape, len(own)), np.int32)) for name, own in
             neurons.items()}  # fmt: skip
    for sample in range(samples):
        spikes: dict[str, list[list[int]]] = {name: [] for name in network.populations}
        for name, p in network.populations.items():
            if p.dynamics == "input":
                spikes[name] = (stimulus[name][sample] != 0).astype(int).tolist()
            elif p.dynamics == "pulse":
                since = [[t - int(first) for first in p.values("first")] for t in range(ticks)]
                last = p.values("count").tolist()
                spikes[name] = [[int(0 <= s < n) for s, n in zip(row, last, strict=True)] for row in since]
        for own in neurons.values():
            for neuron in own:
                neuron.v = neuron.values["V"]
        for t in range(ticks):
            for name in order:
                row = []
                for j, neuron in enumerate(neurons[name]):
                    heard = [
                        w for w in neuron.wires
                        if w.delay <= t and any(spikes[w.population][t - w.delay][i] for i in w.sources)
                    ]  # fmt: skip
                    row.append(neuron.tick(heard, t, first_sample + sample))
                    found[name][1][sample, t, j] = neuron.v
                found[name][0][sample, t] = row
                spikes[name].append(row)
    return found


class TestPlainSimulation:
    """The reference against a loop over ticks, neurons and synapses that shares nothing with it."""

    MOST_WORK = 60_000
    """Synapses times ticks times samples."""

    @pytest.mark.parametrize("first", range(0, DEFAULT, 105))
    def test_the_reference_is_right(self, first: int) -> None:
        """Spikes and v of the quantized network, draws included."""
        compared = stochastic = spikes = 0
        for seed, case, made in lowered_cases(range(first, first + 105)):
            assert made.artifact.quantized is not None
            network = made.artifact.quantized.network
            samples, ticks, _ = next(iter(case.stimulus.values())).shape
            if sum(q.mantissa.size for q in network.projections) * samples * ticks > self.MOST_WORK:
                continue
            trace = ReferenceSimulator().run(network, case.stimulus, first_sample=seed)
            for name, (fired, v) in plain_run(network, case.stimulus, seed).items():
                assert np.array_equal(trace.spikes[name], fired), f"{seed}: spikes of {name}"
                assert np.array_equal(trace.v[name], v), f"{seed}: v of {name}"
                spikes += int(fired.sum())
                of = network.populations[name].values
                stochastic += bool(of("b").any() or of("TM").any() or of("c_lambda").any())
            compared += 1
        assert compared >= 40
        assert stochastic >= 8
        assert spikes > 50 * compared


# Placement


def permuted(program: Program, rng: np.random.Generator) -> Program:
    """Return a program whose cores are in another order and in other places; every packet goes to the same core."""
    n = len(program.cores)
    order = rng.permutation(n)
    index = np.argsort(order)
    images = [fm.unpack(core) for core in program.cores]
    at = {(image.x, image.y): number for number, image in enumerate(images)}
    cells = rng.permutation(64 * 64)[:n]
    places = np.stack([cells // 64, cells % 64], axis=1)
    cores = []
    for new, old in enumerate(order.tolist()):
        image, neurons = images[old], images[old].neurons.copy()
        for slot in np.flatnonzero(neurons["target"] == fm.CORE):
            there = at[image.x + int(neurons["dx"][slot]), image.y + int(neurons["dy"][slot])]
            neurons["dx"][slot], neurons["dy"][slot] = places[there] - places[old]
        x, y = places[old].tolist()
        tables = fm.pack(replace(image, x=x, y=y, neurons=neurons))
        cores.append(CoreTables(program.cores[new].chip, program.cores[new].core, tables))

    def moved(table: Mapping[str, Any]) -> dict[str, Any]:
        return {name: replace(symbol, core=frozen(index[symbol.core])) for name, symbol in table.items()}

    return replace(
        program, cores=tuple(cores), populations=moved(program.populations), inputs=moved(program.inputs),
        pulses=moved(program.pulses), axons=moved(program.axons),
    ).verify()  # fmt: skip


class TestPlacement:
    """Where cores are changes no result."""

    def test_cores_in_any_order_and_place(self) -> None:
        """The same named results, and the same counts per core."""
        rng = np.random.default_rng(5)
        several = 0
        for seed, case, made in lowered_cases(range(0, DEFAULT, 3)):
            program = made.artifact.program
            wanted = ChipSimulation().run(program, case.stimulus)
            other = permuted(program, rng)
            found = ChipSimulation().run(other, case.stimulus)
            assert found.spikes.keys() == wanted.spikes.keys()
            assert differences(wanted, found) == [], seed
            for counter in ("spikes", "packets", "sops", "merges", "dropped"):
                assert np.array_equal(wanted.counters[counter].sum(axis=0), found.counters[counter].sum(axis=0)), counter
            several += len(program.cores) > 1
        assert several >= 20

    def test_any_placement(self) -> None:
        """Each block on a core of its own, drawn from all chips: the same as small blocks that share cores."""
        rng, spec = np.random.default_rng(6), registry.find_spec("truenorth")
        several = 0
        for seed, case, made in lowered_cases(range(1, DEFAULT, 4)):
            lowered = made.artifact.lowered
            banks = {c.axons: c.blocks for c in lowered.network.crossbars}
            blocks = sum(banks.values())
            mapped, violations = map_network(lowered, spec, rng.permutation(16 * 4096)[:blocks].tolist())
            assert mapped is not None
            assert not violations
            found = ChipSimulation().run(emit(mapped.verify(spec), spec).verify(), case.stimulus)
            wanted = ChipSimulation().run(made.artifact.program, case.stimulus)
            assert differences(wanted, found) == [], seed
            several += blocks > len(made.artifact.mapped.cores)
        assert several >= 20


# Faults


class TestFaults:
    """What is corrupted is found."""

    @pytest.mark.parametrize("kind", ["weight", "delay", "target", "threshold"])
    def test_in_the_tables(self, kind: str) -> None:
        """One corrupted entry that the stimulus exercises always shows."""
        caught = idle = 0
        for seed, case, made in lowered_cases(range(0, DEFAULT, 7)):
            try:
                report = made.verify(ENGINES, inputs=case.stimulus, inject=(kind, seed))
            except NetworkError as error:
                if [d.code for d in error.diagnostics] != ["NC0702"]:
                    raise
                idle += 1
                continue
            assert report.injection
            assert not report.bit_exact, f"{seed}: not caught: {report.injection}"
            caught += 1
        assert caught >= 12, f"{idle} of {caught + idle} exercise no {kind}"

    @pytest.mark.parametrize("number", range(9))
    def test_in_the_lowered_network(self, number: int) -> None:
        """The checks between lowering and mapping derive the synapses again and refuse any other ones."""
        corruption = CORRUPTIONS[number]
        rng, spec = np.random.default_rng(number), registry.find_spec("truenorth")
        axons, neurons, delay = (spec.limit(name) for name in ("input_axons", "neurons", "delay"))
        refused, missed = 0, list[int]()
        for seed, _, made in lowered_cases(range(number, DEFAULT, 5)):
            assert made.artifact.quantized is not None
            broken = corruption(made.artifact.lowered, rng)
            if broken is None:
                continue
            try:
                verify_crossbars(broken, made.artifact.quantized.network, max_axons=axons, max_neurons=neurons, max_delay=delay)
            except InternalError:
                refused += 1
            else:
                missed.append(seed)
        assert not missed, f"{corruption.__name__} is not found in {missed}"
        assert refused >= 10, corruption.__name__


Corruption = Callable[[LoweredNetwork, np.random.Generator], "LoweredNetwork | None"]


def _with_crossbar(lowered: LoweredNetwork, old: Crossbar, **changed: Any) -> LoweredNetwork:
    crossbars = tuple(replace(c, **changed) if c is old else c for c in lowered.network.crossbars)
    return replace(lowered, network=replace(lowered.network, crossbars=crossbars))


def _with_projection(lowered: LoweredNetwork, old: IntegerProjection, **changed: Any) -> LoweredNetwork:
    projections = tuple(replace(q, **changed) if q is old else q for q in lowered.network.projections)
    return replace(lowered, network=replace(lowered.network, projections=projections))


def _driven(lowered: LoweredNetwork, c: Crossbar) -> Array:
    """Return the axons of a crossbar that somebody drives, and not the host to hold neurons before their time."""
    found = np.zeros(len(c.types), np.bool_)
    for q in lowered.network.projections:
        if q.target == c.axons and not q.source.endswith(".hold"):
            found[q.pattern.arrays["targets"]] = True
    return np.flatnonzero(found)


def flip_a_bit(lowered: LoweredNetwork, rng: np.random.Generator) -> LoweredNetwork | None:
    """Flip a bit whose neuron has a weight for the axon's type."""
    c = lowered.network.crossbars[rng.integers(len(lowered.network.crossbars))]
    for axon in rng.permutation(_driven(lowered, c)):
        block = int(np.searchsorted(c.axon_start, axon, side="right")) - 1
        own = c.of(block)[1]
        slots = np.flatnonzero(c.s[own][:, c.types[axon]])
        if len(slots):
            bits, slot = c.bits.copy(), int(rng.choice(slots))
            bits[axon, slot // 8] ^= 1 << slot % 8
            return _with_crossbar(lowered, c, bits=frozen(bits))
    return None


def change_a_weight(lowered: LoweredNetwork, rng: np.random.Generator) -> LoweredNetwork | None:
    """Change what an axon type is worth at a neuron that hears it."""
    c = lowered.network.crossbars[rng.integers(len(lowered.network.crossbars))]
    for block in rng.permutation(c.blocks):
        axons, neurons = c.of(int(block))
        driven = np.isin(np.arange(axons.start, axons.stop), _driven(lowered, c))
        heard = np.argwhere(c.weights(int(block))[driven])
        if len(heard):
            axon, neuron = rng.permutation(heard)[0]
            s = c.s.copy()
            kind = c.types[axons][driven][axon]
            s[neurons.start + neuron, kind] += 1 if s[neurons.start + neuron, kind] < 255 else -1
            return _with_crossbar(lowered, c, s=frozen(s))
    return None


def change_a_type(lowered: LoweredNetwork, rng: np.random.Generator) -> LoweredNetwork | None:
    """Give an axon another type, with which some neuron adds something else."""
    c = lowered.network.crossbars[rng.integers(len(lowered.network.crossbars))]
    for axon in rng.permutation(_driven(lowered, c)):
        block = int(np.searchsorted(c.axon_start, axon, side="right")) - 1
        own = c.of(block)[1]
        connected = c.connected(block)[axon - c.axon_start[block]]
        old = c.s[own][connected][:, c.types[axon]]
        for kind in range(4):
            if not np.array_equal(c.s[own][connected][:, kind], old):
                types = c.types.copy()
                types[axon] = kind
                return _with_crossbar(lowered, c, types=frozen(types))
    return None


def _routes(lowered: LoweredNetwork, rng: np.random.Generator) -> Iterator[IntegerProjection]:
    banks = {c.axons for c in lowered.network.crossbars}
    found = [q for q in lowered.network.projections if q.target in banks and not q.source.endswith(".hold")]
    yield from (found[int(i)] for i in rng.permutation(len(found)) if found[int(i)].mantissa.size)


def change_a_delay(lowered: LoweredNetwork, rng: np.random.Generator) -> LoweredNetwork | None:
    """Let a message arrive a tick later."""
    for q in _routes(lowered, rng):
        if lowered.parts.get(q.source) is not None and lowered.parts[q.source].role == "channel":
            continue
        delay = np.broadcast_to(q.delay, q.mantissa.shape).copy()
        at = rng.integers(len(delay))
        delay[at] += 1 if delay[at] < 15 else -1
        return _with_projection(lowered, q, delay=frozen(delay))
    return None


def swap_sources(lowered: LoweredNetwork, rng: np.random.Generator) -> LoweredNetwork | None:
    """Let two different logical neurons drive each other's axons, where their columns differ."""
    for q in _routes(lowered, rng):
        part = lowered.parts.get(q.source)
        sources = q.pattern.arrays["sources"]
        logical = sources if part is None else part.neurons[sources]
        c = next(c for c in lowered.network.crossbars if c.axons == q.target)
        rows = c.bits[q.pattern.arrays["targets"]]
        delay = np.broadcast_to(q.delay, q.mantissa.shape)
        pools = lowered.declared_merges.get(q.target, np.zeros(0, np.int64))
        for a, b in rng.integers(0, len(sources), (30, 2)):
            targets = q.pattern.arrays["targets"][[a, b]]
            if (
                logical[a] != logical[b] and not np.array_equal(rows[a], rows[b]) and rows[a].any() and rows[b].any()
                and c.types[targets[0]] == c.types[targets[1]] and delay[a] == delay[b] and not np.isin(targets, pools).any()
            ):  # fmt: skip
                swapped = sources.copy()
                swapped[[a, b]] = swapped[[b, a]]
                pattern = replace(q.pattern, arrays={**q.pattern.arrays, "sources": frozen(swapped)})
                return _with_projection(lowered, q, pattern=pattern)
    return None


def repeat_a_target(lowered: LoweredNetwork, rng: np.random.Generator) -> LoweredNetwork | None:
    """Let a neuron have a second target: the axon of another one."""
    for q in _routes(lowered, rng):
        sources = q.pattern.arrays["sources"].copy()
        if len(sources) < 2 or lowered.network.populations[q.source].is_input:
            continue
        a, b = rng.permutation(len(sources))[:2]
        sources[a] = sources[b]
        return _with_projection(lowered, q, pattern=replace(q.pattern, arrays={**q.pattern.arrays, "sources": frozen(sources)}))
    return None


def change_a_parameter(lowered: LoweredNetwork, rng: np.random.Generator) -> LoweredNetwork | None:
    """Change a parameter of a copy of a neuron, a relay or a channel."""
    name = list(lowered.parts)[rng.integers(len(lowered.parts))]
    p, role = lowered.network.populations[name], lowered.parts[name].role
    keys = {"neuron": ("alpha", "beta", "lambda", "epsilon", "gamma", "kappa", "R", "TM", "c_lambda", "seed", "key"),
            "relay": ("alpha", "lambda", "TM", "gamma", "R"), "channel": ("alpha",)}[role]  # fmt: skip
    key = keys[rng.integers(len(keys))]
    values = p.values(key).copy()
    at = rng.integers(len(values))
    values[at] += 1 if values[at] == 0 else -1
    return _with_population(lowered, replace(p, parameters={**p.parameters, key: frozen(values)}))


def _with_population(lowered: LoweredNetwork, p: IntegerPopulation) -> LoweredNetwork:
    return replace(lowered, network=replace(lowered.network, populations={**lowered.network.populations, p.name: p}))


def lose_a_message(lowered: LoweredNetwork, rng: np.random.Generator) -> LoweredNetwork | None:
    """Leave out a message to an axon that somebody hears."""
    for q in _routes(lowered, rng):
        c = next(c for c in lowered.network.crossbars if c.axons == q.target)
        heard = np.flatnonzero([bool(c.bits[axon].any()) for axon in q.pattern.arrays["targets"]])
        if not len(heard):
            continue
        kept = np.delete(np.arange(q.mantissa.size), rng.choice(heard))
        arrays = {key: frozen(values[kept]) for key, values in q.pattern.arrays.items()}
        delay = frozen(np.broadcast_to(q.delay, q.mantissa.shape)[kept])
        return _with_projection(
            lowered, q, pattern=replace(q.pattern, arrays=arrays), mantissa=frozen(q.mantissa[kept]), delay=delay
        )
    return None


def change_a_lag(lowered: LoweredNetwork, rng: np.random.Generator) -> LoweredNetwork | None:
    """Say that a population runs a tick later than it does."""
    names = [name for name in lowered.parts if lowered.parts[name].role == "neuron"]
    name = names[rng.integers(len(names))]
    lag = {**lowered.lag, name: lowered.lag[name] + 1}
    return replace(lowered, lag=lag)


CORRUPTIONS: Sequence[Corruption] = (
    flip_a_bit, change_a_weight, change_a_type, change_a_delay, swap_sources, repeat_a_target, change_a_parameter,
    lose_a_message, change_a_lag,
)  # fmt: skip
