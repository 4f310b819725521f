"""The chip simulation of crossbar cores, against a simulation in plain integers that loops over neurons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp.errors import ArtifactError, InternalError, NetworkError
from neurocomp.ir.program import CoreTables, InputSymbol, OutputSymbol, PopulationSymbol, Program, PulseSymbol
from neurocomp.ir.trace import Event, Trace
from neurocomp_truenorth import formats as fm
from neurocomp_truenorth.chip import COUNTERS, ChipSimulation

Array = NDArray[Any]
SYNAPSE, LEAK, THRESHOLD = 2, 3, 4


# The oracle. It takes what the tables were packed from, not the tables.


def philox(counter: list[int], key: list[int]) -> int:
    """Return the first word of Philox-4x32-10."""
    word = 0xFFFFFFFF
    a, b, c, d = counter
    k0, k1 = key
    for _ in range(10):
        p, q = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (q >> 32) ^ b ^ k0, q & word, (p >> 32) ^ d ^ k1, p & word
        k0, k1 = (k0 + 0x9E3779B9) & word, (k1 + 0xBB67AE85) & word
    return a


def sgn(x: int) -> int:
    return (x > 0) - (x < 0)


class Oracle:
    """One core after another, one neuron after another."""

    def __init__(self, program: Program, images: list[fm.CoreImage]) -> None:
        self.program, self.images = program, images
        self.at = {(image.x, image.y): c for c, image in enumerate(images)}
        self.neurons = [
            [
                (n, {name: image.neurons[name][n].tolist() for name in fm.NEURON.names or ()})
                for n in np.flatnonzero(image.used).tolist()
            ]
            for image in images
        ]

    def draw(self, c: int, n: int, purpose: int, tick: int, sample: int, slot: int = 0) -> int:
        keys = self.images[c].keys
        assert keys is not None
        seed, key, lag = keys[n].tolist()
        return philox([key, (tick - lag) % 2**32, sample % 2**32, purpose << 24], [seed, slot])

    def step(self, c: int, n: int, p: Mapping[str, Any], v: int, active: list[int], tick: int, sample: int) -> Any:
        """Return the potential after a tick, whether the neuron spikes and whether a clamp acted."""
        image, flags = self.images[c], p["flags"]
        gamma, kappa, symmetric = (flags >> 7) & 3, (flags >> 6) & 1, (flags >> 9) & 1
        clamped = False

        def clamp(x: int) -> int:
            nonlocal clamped
            y = max(-(2**19), min(2**19 - 1, x))
            clamped |= x != y
            return y

        for axon in active:
            if image.bits[axon, n]:
                kind = int(image.types[axon])
                s = p["s"][kind]
                if (flags >> kind) & 1:
                    assert image.slots is not None
                    rho = self.draw(c, n, SYNAPSE, tick, sample, int(image.slots[axon])) & 0xFF
                    s = sgn(s) if abs(s) >= rho else 0
                v += s
        v = clamp(v)
        step = p["lambda"]
        if (flags >> 4) & 1:
            step = sgn(step) if abs(step) >= self.draw(c, n, LEAK, tick, sample) & 0xFF else 0
        v = clamp(v + step * (sgn(v) if (flags >> 5) & 1 else 1))
        eta = self.draw(c, n, THRESHOLD, tick, sample) & 0x3FFFF & (2 ** p["TM"] - 1) if p["TM"] else 0
        alpha, beta = p["alpha"], p["beta"]
        if v >= alpha + eta:
            return (p["R"], v - (alpha + eta), v)[gamma], True, clamped
        bound = -beta if kappa else -(beta + eta)
        if v < bound or (symmetric and v == bound):
            v = -beta if kappa else (-p["R"], v + beta + eta, v)[gamma]
        return v, False, clamped

    def run(self, stimulus: Mapping[str, Array], first_sample: int) -> dict[str, Any]:
        program, n_cores = self.program, len(self.images)
        some = next(iter(stimulus.values())) if stimulus else np.zeros((1, program.ticks, 0), np.int64)
        samples, ticks = some.shape[:2]
        chip_ticks = ticks + program.largest_lag
        shape = (samples, chip_ticks)
        counts = {name: np.zeros((n_cores, *shape), np.int64) for name in COUNTERS}
        hops = np.zeros((2, samples), np.int64)
        size = {
            name: int(np.prod(symbol.shape))
            for table in (program.inputs, program.pulses, program.populations, program.axons, program.outputs)
            for name, symbol in table.items()
        }
        spikes = {name: np.zeros((*shape, n), np.int64) for name, n in size.items()}
        v_of = {name: np.zeros((*shape, size[name]), np.int64) for name in program.populations}
        clamps: dict[str, list[tuple[int, int, int]]] = {name: [] for name in program.populations}
        names = {
            (c, n): (name, i)
            for name, symbol in program.populations.items()
            for i, (c, n) in enumerate(zip(symbol.core.tolist(), symbol.compartment.tolist(), strict=True))
        }
        for sample in range(samples):
            v = [[int(x) for x in image.neurons["V"]] for image in self.images]
            arriving: dict[int, list[tuple[int, int]]] = {}
            for t in range(chip_ticks):
                for name, source in program.inputs.items():
                    delays = source.delay if len(source.delay) else np.zeros(len(source.core), np.int64)
                    for neuron, c, axon, delay in zip(source.neuron, source.core, source.axon, delays, strict=True):
                        if t < ticks and stimulus[name][sample, t, neuron] != 0:
                            arriving.setdefault(t + int(delay), []).append((int(c), int(axon)))
                            counts["host_packets"][c, sample, t] += 1
                    if t < ticks:
                        spikes[name][sample, t] = stimulus[name][sample, t]
                for name, pulse in program.pulses.items():
                    on = [f <= t < f + k for f, k in zip(pulse.first.tolist(), pulse.count.tolist(), strict=True)]
                    spikes[name][sample, t] = on
                    for unit, c, axon, delay in zip(pulse.unit, pulse.core, pulse.axon, pulse.delay, strict=True):
                        if on[unit]:
                            arriving.setdefault(t + int(delay), []).append((int(c), int(axon)))
                            counts["host_packets"][c, sample, t] += 1
                came = arriving.pop(t, [])
                for c, axon in set(came):
                    counts["merges"][c, sample, t] += came.count((c, axon)) - 1
                    row, kind = self.images[c].bits[axon], self.images[c].types[axon]
                    counts["synaptic_events"][c, sample, t] += row.sum()
                    counts["sops"][c, sample, t] += (row & (self.images[c].neurons["s"][:, kind] != 0)).sum()
                for name, bank in program.axons.items():
                    for i, place in enumerate(zip(bank.core.tolist(), bank.compartment.tolist(), strict=True)):
                        spikes[name][sample, t, i] = place in came
                for c in range(n_cores):
                    active = sorted({axon for core, axon in came if core == c})
                    for n, p in self.neurons[c]:
                        v[c][n], spike, clamped = self.step(c, n, p, v[c][n], active, t, first_sample + sample)
                        counts["updates"][c, sample, t] += 1
                        counts["updates_active"][c, sample, t] += spike or v[c][n] != 0
                        counts["spikes"][c, sample, t] += spike
                        if (c, n) in names:
                            name, i = names[c, n]
                            spikes[name][sample, t, i], v_of[name][sample, t, i] = spike, v[c][n]
                            if clamped:
                                clamps[name].append((sample, t, i))
                        if spike:
                            self.send(c, p, t, sample, arriving, counts, hops, spikes)
        events = tuple(Event(name, "v", len(found), *min(found)) for name, found in clamps.items() if found)
        return {"spikes": spikes, "v": v_of, "events": events, "counters": counts | {"hops_x": hops[0], "hops_y": hops[1]}}

    def send(
        self, c: int, p: Mapping[str, Any], t: int, sample: int, arriving: Any, counts: Any, hops: Array, spikes: Any
    ) -> None:
        if p["target"] == fm.OUTPUT:
            counts["outputs"][c, sample, t] += 1
            for name, output in self.program.outputs.items():
                for i in np.flatnonzero(output.line == p["axon"]):
                    if t + 1 < spikes[name].shape[1]:
                        spikes[name][sample, t + 1, i] = 1
        elif p["target"] == fm.CORE:
            there = self.at.get((self.images[c].x + p["dx"], self.images[c].y + p["dy"]))
            if there is None or p["delay"] > 15:
                counts["dropped"][c, sample, t] += 1
            else:
                counts["packets"][c, sample, t] += 1
                hops[:, sample] += abs(p["dx"]), abs(p["dy"])
                arriving.setdefault(t + p["delay"], []).append((there, p["axon"]))


# Random programs


def random_core(
    rng: np.random.Generator, x: int, y: int, places: list[tuple[int, int]], axons: Array, mode: int
) -> fm.CoreImage:
    """Return a core; mode 0: no random numbers and no leak reversal; 1: everything; 2: stochastic synapses alone; 3: mostly
    at rest; 4: at the clamps."""
    neurons = fm.no_neurons()
    slots = rng.permutation(256)[: rng.integers(3, 14)]
    n = len(slots)
    own = np.zeros(n, fm.NEURON)
    own["s"] = rng.integers(-255, 256, (n, 4)) if rng.random() < 0.4 else rng.integers(-9, 10, (n, 4))
    own["s"][rng.random((n, 4)) < 0.2] = 0
    own["alpha"] = rng.integers(0, 60, n) * rng.choice([1, 1, 20], n)
    own["beta"] = rng.integers(0, 40, n) * rng.choice([0, 1, 10], n)
    own["R"] = rng.integers(-20, 20, n)
    own["V"] = rng.integers(-50, 50, n)
    own["lambda"] = rng.integers(-6, 7, n)
    flags = fm.USED | rng.integers(0, 3, n) << 7 | rng.integers(0, 2, n) << 6 | rng.integers(0, 2, n) << 9
    if mode in (1, 2):
        flags |= np.where(rng.random(n) < 0.6, rng.integers(0, 16, n), 0)
    if mode == 1:
        flags |= rng.integers(0, 2, n) << 4 | rng.integers(0, 2, n) << 5
        own["lambda"] *= np.where(rng.random(n) < 0.5, 40, 1).astype(np.int16)
        own["TM"] = rng.integers(0, 8, n) * (rng.random(n) < 0.5)
        own["TM"][rng.random(n) < 0.1] = 18
    elif mode == 3:
        own["lambda"] *= rng.random(n) < 0.2
        own["alpha"] += 40
        own["beta"] += 60
    elif mode == 4:
        flags = fm.USED | rng.integers(0, 3, n) << 7 | (rng.integers(0, 2, n) << 5) * int(rng.integers(0, 2))
        own["V"] = rng.choice([-1, 1], n) * (2**19 - rng.integers(1, 400, n))
        own["alpha"], own["beta"] = rng.integers(2**17, 2**18, n), rng.integers(0, 2**18, n)
        own["lambda"] = rng.choice([-255, 0, 3, 255], n)
    own["flags"] = flags
    own["target"] = rng.choice([0, 1, 1, 1, 2], n)
    for i in range(n):
        if own["target"][i] == fm.CORE:
            there = places[rng.integers(len(places))]
            own["dx"][i], own["dy"][i] = there[0] - x, there[1] - y
            own["axon"][i] = rng.choice(axons)
            own["delay"][i] = rng.integers(1, 18)
        elif own["target"][i] == fm.OUTPUT:
            own["axon"][i] = rng.choice([0, 3, 4, 1000])
    neurons[slots] = own
    types, bits = rng.integers(0, 4, 256), rng.random((256, 256)) < rng.random()
    if not fm.is_stochastic(neurons).any() and rng.random() < 0.7:
        return fm.CoreImage(x, y, types, bits, neurons)
    keys = np.zeros(256, fm.KEY)
    keys["seed"], keys["key"] = rng.integers(0, 2**32, 256), rng.integers(0, 2**32, 256)
    keys["lag"] = rng.integers(0, 5, 256)
    return fm.CoreImage(x, y, types, bits, neurons, keys, rng.integers(0, 2**32, 256).astype(np.uint32))


def random_program(seed: int) -> tuple[Program, list[fm.CoreImage], dict[str, Array]]:
    """Return a program with every kind of symbol, what its tables were packed from, and a stimulus."""
    rng = np.random.default_rng(seed)
    places = [(int(x), int(y)) for x, y in {tuple(rng.integers(-3, 4, 2).tolist()) for _ in range(rng.integers(2, 7))}]
    taken = places[: max(1, len(places) - int(rng.integers(0, 2)))]
    axons = rng.permutation(256)[:6]
    images = [random_core(rng, x, y, places, axons, int(rng.integers(0, 5))) for x, y in taken]
    n_cores = len(images)
    slots = np.concatenate([np.stack([np.full(i.used.sum(), c), np.flatnonzero(i.used)]) for c, i in enumerate(images)], axis=1)
    slots = slots[:, rng.permutation(slots.shape[1])]
    one, two, three = slots.shape[1] // 3, 2 * slots.shape[1] // 3, slots.shape[1] - 1
    populations = {
        "a": PopulationSymbol((one,), int(rng.integers(0, 4)), *slots[:, :one]),
        "b": PopulationSymbol((two - one,), 0, *slots[:, one:two]),
        "c": PopulationSymbol((1, three - two), 2, *slots[:, two:three]),
    }
    few, ticks, samples = rng.random() < 0.5, int(rng.integers(3, 22)), int(rng.integers(1, 4))
    inputs, stimulus = {}, {}
    for name, size in (("x", 8), ("y", 300))[: rng.integers(0, 3)]:
        n = int(rng.integers(size // 2, 2 * size))
        axon = rng.choice(axons, n) if size < 10 else rng.integers(0, 256, n)
        delay = rng.integers(0, 21, n) if rng.random() < 0.5 else np.zeros(0, np.int64)
        core = rng.integers(0, n_cores, n) if size < 10 else np.where(rng.random(n) < 0.8, 0, n_cores - 1)
        inputs[name] = InputSymbol((size,), rng.integers(0, size, n), core, axon, delay=delay)
        rate = 0.05 if few else 0.5 * rng.random()
        stimulus[name] = (rng.random((samples, ticks, size)) < rate) * rng.integers(1, 3, (samples, ticks, size))
        if not few and size > 10:
            stimulus[name][:, rng.integers(ticks)] = 1
    n = int(rng.integers(0, 6))
    pulses = {
        "p": PulseSymbol(
            (3,), rng.integers(0, ticks, 3), rng.integers(0, 4, 3), rng.integers(0, 3, n), rng.integers(0, n_cores, n),
            rng.choice(axons, n), rng.integers(0, 4, n),
        )
    }  # fmt: skip
    outputs = {"o": OutputSymbol((3,), np.array([3, 7, 0])), "q": OutputSymbol((1,), np.array([4]))}
    bank = [(c, int(axon)) for c in range(n_cores) for axon in axons[:4]] + [(0, int(rng.integers(256)))]
    bank = [bank[i] for i in rng.permutation(len(bank))]
    core, axon = np.array(list(dict.fromkeys(bank))).T
    banks = {"k": PopulationSymbol((len(core),), 1, core, axon)}
    cores = tuple(CoreTables(0, c, fm.pack(image)) for c, image in enumerate(images))
    program = Program("truenorth", "truenorth-1", cores, populations, inputs, ticks, {}, pulses, outputs, banks)
    return program.verify(), images, stimulus


def assert_same(trace: Trace, expected: Mapping[str, Any]) -> None:
    assert set(trace.spikes) == set(expected["spikes"])
    assert set(trace.v) == set(expected["v"])
    assert set(trace.counters) == set(expected["counters"])
    for table, found in (("counters", trace.counters), ("spikes", trace.spikes), ("v", trace.v)):
        for name, values in expected[table].items():
            np.testing.assert_array_equal(found[name], values, f"{table} of {name}")
    assert trace.events == expected["events"]


SEEDS = range(80)


@cache
def case(seed: int) -> tuple[Program, list[fm.CoreImage], dict[str, Array], dict[str, Any]]:
    """Return a random program and what the oracle says that it does."""
    program, images, stimulus = random_program(seed)
    return program, images, stimulus, Oracle(program, images).run(stimulus, 5 * seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_programs_do_what_the_equations_say(seed: int) -> None:
    program, _, stimulus, expected = case(seed)
    trace = ChipSimulation().run(program, stimulus, first_sample=5 * seed).verify()
    assert_same(trace, expected)
    assert all(values.dtype == np.int32 for table in (trace.spikes, trace.v) for values in table.values())


def test_the_random_programs_reach_everything() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        _, images, _, expected = case(seed)
        counters = expected["counters"]
        seen.update({name: int(values.sum()) for name, values in counters.items()})
        seen["clamps"] += sum(event.count for event in expected["events"])
        seen["more than 128 axons"] += int((counters["host_packets"] - counters["merges"] > 128).sum())
        for name, values in expected["spikes"].items():
            seen[f"spikes of {name}"] += int(values.sum())
        for image in images:
            neurons = image.neurons[image.used]
            kind = "any random number" if fm.is_stochastic(neurons).any() else "none"
            seen[f"cores with {kind}"] += 1
            seen.update(f"delay {delay}" for delay in neurons["delay"][neurons["target"] == fm.CORE].tolist())
            seen.update(f"gamma {gamma}" for gamma in ((neurons["flags"] >> 7) & 3).tolist())
            seen.update(f"TM {mask}" for mask in neurons["TM"].tolist())
            for bit in (0, 1, 2, 3, 4, 5, 6, 9):
                seen[f"flag {bit}"] += int(((neurons["flags"] >> bit) & 1).sum())
    kinds = [f"delay {delay}" for delay in range(1, 18)] + [f"TM {mask}" for mask in (*range(8), 18)]
    kinds += [f"gamma {gamma}" for gamma in range(3)]
    assert not [what for what in {*seen, *kinds} if seen[what] < 5]


# One thing at a time


def core_of(x: int = 0, y: int = 0, **fields: Any) -> fm.CoreImage:
    """Return a core with one neuron in slot 0 that every axon reaches."""
    neurons = fm.no_neurons()
    for name, value in ({"alpha": 1, "flags": fm.USED, "s": 1} | fields).items():
        neurons[name][0] = value
    bits = np.zeros((256, 256), np.bool_)
    bits[:, 0] = True
    return fm.CoreImage(x, y, np.zeros(256, np.int64), bits, neurons)


def program_of(*images: fm.CoreImage, **parts: Any) -> Program:
    core = np.arange(len(images))
    populations = {"n": PopulationSymbol((len(images),), 0, core, np.zeros_like(core))}
    cores = tuple(CoreTables(0, c, fm.pack(image)) for c, image in enumerate(images))
    return replace(Program("truenorth", "truenorth-1", cores, populations, {}, 6), **parts)


def spikes_of(program: Program, name: str = "n", **stimulus: Any) -> list[Any]:
    given = {name: np.asarray(values) for name, values in stimulus.items()}
    found: list[Any] = ChipSimulation().run(program, given).spikes[name][0].T.tolist()
    return found


def first_axon(delay: Any = ()) -> dict[str, InputSymbol]:
    return {"x": InputSymbol((1,), np.zeros(1, int), np.zeros(1, int), np.zeros(1, int), delay=np.array(delay, np.int64))}


@pytest.mark.parametrize("delay", [0, 1, 3, 40])
def test_the_hosts_spikes_act_in_the_tick_of_the_stimulus_plus_their_delay(delay: int) -> None:
    program = program_of(core_of(), inputs=first_axon([delay]))
    stimulus = np.zeros((1, 44, 1), np.int64)
    stimulus[0, 2] = 7
    spikes = spikes_of(program, x=stimulus)[0]
    assert np.flatnonzero(spikes).tolist() == [2 + delay] * (2 + delay < 44)


def test_a_packet_takes_its_delay_and_an_output_line_one_tick() -> None:
    sender = core_of(2, 5, target=fm.CORE, dx=-3, dy=1, delay=2, axon=9)
    receiver = core_of(-1, 6, target=fm.OUTPUT, axon=70)
    program = program_of(sender, receiver, inputs=first_axon(), outputs={"o": OutputSymbol((1,), np.array([70]))})
    x = np.array([0, 1, 0, 0, 0, 0]).reshape(1, 6, 1)
    assert spikes_of(program, x=x) == [[0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]]
    assert spikes_of(program, "o", x=x) == [[0, 0, 0, 0, 1, 0]]
    counters = ChipSimulation().run(program, {"x": x}).counters
    assert (counters["hops_x"].tolist(), counters["hops_y"].tolist()) == ([3], [1])


def test_the_lags_of_populations_lengthen_the_run() -> None:
    program = program_of(core_of(alpha=0), inputs=first_axon())
    symbol = replace(program.populations["n"], lag=3)
    trace = ChipSimulation().run(replace(program, populations={"n": symbol}), {"x": np.zeros((2, 4, 1), np.int64)})
    assert trace.spikes["n"].shape == trace.spikes["x"].shape == (2, 7, 1)
    assert trace.spikes["n"].all()
    assert (dict(trace.lag), trace.ticks) == ({"x": 0, "n": 3}, 4)


def test_a_core_at_rest_wakes_up_and_settles_again() -> None:
    program = program_of(core_of(alpha=3, V=1, flags=fm.USED | fm.LINEAR << 7), inputs=first_axon())
    x = np.array([0, 0, 0, 1, 0, 0, 1, 0, 1]).reshape(1, 9, 1)
    trace = ChipSimulation().run(program, {"x": x})
    assert trace.v["n"][0, :, 0].tolist() == [1, 1, 1, 2, 2, 2, 0, 0, 1]
    assert trace.counters["updates_active"][0, 0].tolist() == [1, 1, 1, 1, 1, 1, 1, 0, 1]
    assert trace.counters["updates"][0, 0].tolist() == [1] * 9


def test_an_input_that_the_leak_undoes_does_not_put_a_core_to_rest() -> None:
    program = program_of(core_of(**{"s": 5, "lambda": -5, "alpha": 9, "beta": 100}), inputs=first_axon())
    trace = ChipSimulation().run(program, {"x": np.array([1, 0, 0]).reshape(1, 3, 1)})
    assert trace.v["n"][0, :, 0].tolist() == [0, -5, -10]


@pytest.mark.parametrize("fields", [{"lambda": 3, "flags": fm.USED | fm.STOCHASTIC_LEAK}, {"TM": 5, "V": 101}])
def test_a_core_that_draws_does_not_rest_in_a_tick_without_change(fields: dict[str, int]) -> None:
    image = core_of(**{"alpha": 100, "flags": fm.USED | fm.KEEP << 7} | fields)
    image = replace(image, keys=np.ones(256, fm.KEY), slots=np.zeros(256, np.uint32))
    program = replace(program_of(image), ticks=400)
    expected = Oracle(program, [image]).run({}, 0)
    quiet = (expected["spikes"]["n"][0, 1:] == 0) & (np.diff(expected["v"]["n"][0], axis=0) == 0)
    assert 300 < quiet.sum() < 399
    assert_same(ChipSimulation().run(program, {}), expected)


def test_a_program_without_cores_and_a_stimulus_without_samples_run() -> None:
    empty = Program("truenorth", "truenorth-1", (), {}, {}, 3)
    assert ChipSimulation().run(empty, {}).counters["spikes"].shape == (0, 1, 3)
    trace = ChipSimulation(jobs=2).run(program_of(core_of(), inputs=first_axon()), {"x": np.zeros((0, 2, 1), np.int64)})
    assert trace.verify().spikes["n"].shape == trace.v["n"].shape == (0, 2, 1)


@pytest.mark.parametrize(
    ("fields", "potentials"),
    [
        ({"V": 2**19 - 4, "lambda": 2, "alpha": 2**18 - 1}, [2**19 - 2] + [2**19 - 1] * 5),
        ({"V": 3 - 2**19, "lambda": -2, "beta": 2**18 - 1}, [1 - 2**19] + [-(2**19)] * 5),
    ],
)
def test_a_potential_at_a_clamp_is_reported_in_every_tick(fields: dict[str, int], potentials: list[int]) -> None:
    trace = ChipSimulation().run(program_of(core_of(**fields | {"flags": fm.USED | fm.KEEP << 7})), {})
    assert trace.v["n"][0, :, 0].tolist() == potentials
    assert trace.events == (Event("n", "v", 5, 0, 1, 0),)


def test_a_clamp_before_the_leak_is_a_clamp() -> None:
    neuron = core_of(**{"V": 2**19 - 1, "lambda": -1, "alpha": 2**18 - 1, "flags": fm.USED | fm.KEEP << 7})
    trace = ChipSimulation().run(program_of(neuron, inputs=first_axon()), {"x": np.ones((1, 1, 1), np.int64)})
    assert trace.v["n"][0].tolist() == [[2**19 - 2]]
    assert trace.events == (Event("n", "v", 1, 0, 0, 0),)


def test_all_axons_with_the_largest_weights_add_up() -> None:
    axons = np.arange(256)
    zero = np.zeros(256, np.int64)
    program = program_of(
        core_of(s=[255] * 4, alpha=2**18 - 1), core_of(1, s=[-255] * 4, alpha=1, beta=2**18 - 1),
        inputs={"x": InputSymbol((1,), np.zeros(512, int), np.append(zero, zero + 1), np.append(axons, axons))},
    )  # fmt: skip
    trace = ChipSimulation().run(program, {"x": np.ones((1, 1, 1), np.int64)})
    assert trace.v["n"][0, 0].tolist() == [65280, -65280]


def test_draws_are_those_of_philox() -> None:
    assert philox([0, 0, 0, 0], [0, 0]) == 0x6627E8D5
    image = core_of(TM=18, alpha=0, flags=fm.USED, V=0)
    keys = np.zeros(256, fm.KEY)
    keys[0] = (9, 8, 1)
    image = replace(image, keys=keys, slots=np.zeros(256, np.uint32))
    image.neurons["lambda"][0] = 255
    ticks = 200
    trace = ChipSimulation().run(replace(program_of(image), ticks=ticks), {}, first_sample=2**32 - 1)
    v, expected = 0, []
    for t in range(ticks):
        v += 255
        spike = v >= philox([8, (t - 1) % 2**32, 2**32 - 1, THRESHOLD << 24], [9, 0]) % 2**18
        v = 0 if spike else v
        expected.append(int(spike))
    assert 0 < sum(expected) < ticks
    assert trace.spikes["n"][0, :, 0].tolist() == expected


# What must not matter


@pytest.mark.parametrize("seed", [3, 12, 27, 40])
def test_the_order_of_cores_changes_nothing_that_has_a_name(seed: int) -> None:
    program, images, stimulus = random_program(seed)
    order = np.roll(np.arange(len(images)), 1)
    where = np.argsort(order)

    def moved(table: Mapping[str, Any]) -> dict[str, Any]:
        return {name: replace(symbol, core=where[symbol.core]) for name, symbol in table.items()}

    other = replace(
        program, cores=tuple(program.cores[i] for i in order), populations=moved(program.populations),
        inputs=moved(program.inputs), pulses=moved(program.pulses), axons=moved(program.axons),
    )  # fmt: skip
    assert len(images) > 1
    one, two = (ChipSimulation().run(p, stimulus) for p in (program, other))
    assert sum(int(values.sum()) for values in one.spikes.values()) > 0
    for name in one.spikes:
        np.testing.assert_array_equal(one.spikes[name], two.spikes[name])
    for name in one.v:
        np.testing.assert_array_equal(one.v[name], two.v[name])
    for name in COUNTERS:
        np.testing.assert_array_equal(one.counters[name][order], two.counters[name])
    assert one.events == two.events


@pytest.mark.parametrize("seed", [5, 6, 9, 31])
def test_threads_batches_and_what_is_recorded_change_nothing(seed: int) -> None:
    program, _, stimulus = random_program(seed)
    stimulus = {name: np.concatenate([values] * 3) for name, values in stimulus.items()}
    whole = ChipSimulation().run(program, stimulus, first_sample=3)
    threads = ChipSimulation(jobs=3).run(program, stimulus, first_sample=3)
    samples = len(whole.spikes["a"])
    simulation = ChipSimulation()
    parts = [
        simulation.run(program, {name: values[i : i + 1] for name, values in stimulus.items()}, first_sample=3 + i)
        for i in range(samples)
    ]
    for name, values in whole.spikes.items():
        np.testing.assert_array_equal(threads.spikes[name], values)
        np.testing.assert_array_equal(np.concatenate([part.spikes[name] for part in parts]), values)
        alone = simulation.run(program, stimulus, record=[name], state=False, first_sample=3)
        assert (set(alone.spikes), set(alone.v)) == ({name}, set())
        np.testing.assert_array_equal(alone.spikes[name], values)
        np.testing.assert_array_equal(alone.counters["sops"], whole.counters["sops"])
    assert threads.events == whole.events


# What is refused


def broken(table: str, at: int, value: int, core: CoreTables) -> CoreTables:
    """Return a core with one byte changed."""
    changed = core.tables[table].copy()
    changed[at] = value
    changed.flags.writeable = False
    return replace(core, tables=dict(core.tables) | {table: changed})


def at(field: str) -> int:
    """Return the first byte of a field of neuron 0."""
    fields = fm.NEURON.fields
    assert fields is not None
    return int(fields[field][1])


@pytest.mark.parametrize(
    ("field", "byte", "value", "message"),
    [
        ("s", 1, 1, "the s of a neuron is 257"),
        ("lambda", 1, 0x80, "the lambda of a neuron is -32768"),
        ("alpha", 2, 4, "the alpha of a neuron is 262145"),
        ("beta", 3, 0x80, "the beta of a neuron is -2147483648"),
        ("R", 2, 8, "the R of a neuron is 524288"),
        ("V", 3, 0xFF, "the V of a neuron is -16777216"),
        ("TM", 0, 19, "the TM of a neuron is 19"),
        ("TM", 0, 1, "draws random numbers"),
        ("flags", 0, 1, "draws random numbers"),
        ("flags", 1, 0x0C, "the flags of a neuron is 3072"),
        ("flags", 1, 0, "does not exist has parameters"),
        ("target", 0, 3, "the target of a neuron is 3"),
        ("pad", 0, 1, "the pad of a neuron is 1"),
        ("axon", 1, 1, "an axon that does not exist"),
        ("delay", 0, 0, "without delay"),
    ],
)
def test_neurons_without_a_meaning_are_refused(field: str, byte: int, value: int, message: str) -> None:
    program = program_of(core_of(target=fm.CORE, delay=1))
    ChipSimulation().run(program, {})
    bad = replace(program, cores=(broken("neurons", at(field) + byte, value, program.cores[0]),))
    with pytest.raises(ArtifactError, match=message) as caught:
        ChipSimulation().run(bad, {})
    assert caught.value.diagnostics[0].code == "NC0602"


def test_a_reset_and_an_output_line_that_do_not_exist_are_refused() -> None:
    program = program_of(core_of(target=fm.OUTPUT, flags=fm.USED | fm.LINEAR << 7))
    for field, byte, value, message in (("flags", 1, 0x05, "a reset"), ("axon", 3, 0x80, "an output line")):
        changed = broken("neurons", at("flags"), 0x80, program.cores[0])
        if field == "axon":
            changed = broken("neurons", at("axon") + byte, value, program.cores[0])
        else:
            changed = broken("neurons", at("flags") + 1, value, changed)
        with pytest.raises(ArtifactError, match=message):
            ChipSimulation().run(replace(program, cores=(changed,)), {})


@pytest.mark.parametrize("table", [*fm.SIZES])
def test_tables_that_are_cut_or_missing_are_refused(table: str) -> None:
    keys, slots = np.zeros(256, fm.KEY), np.zeros(256, np.uint32)
    program = program_of(replace(core_of(), keys=keys, slots=slots))
    ChipSimulation().run(program, {})
    core = program.cores[0]
    rest = {name: values for name, values in core.tables.items() if name != table}
    for tables in (rest, core.tables | {table: core.tables[table][:-1]}, core.tables | {f"{table}2": core.tables[table]}):  # type: ignore[operator]
        with pytest.raises(ArtifactError, match="table"):
            ChipSimulation().run(replace(program, cores=(replace(core, tables=tables),)), {})


def test_programs_that_contradict_themselves_are_refused() -> None:
    program = program_of(core_of(), inputs=first_axon())
    zero, stimulus = np.zeros(1, np.int64), {"x": np.ones((1, 2, 1), np.int64)}
    ChipSimulation().run(program, stimulus)
    source = program.inputs["x"]
    wrong = [
        replace(program, cores=(*program.cores, program.cores[0])),
        replace(program, inputs={"x": replace(source, axon=zero + 256)}),
        replace(program, inputs={"x": replace(source, core=zero + 1)}),
        replace(program, inputs={"x": replace(source, neuron=zero + 1)}),
        replace(program, inputs={"x": replace(source, delay=zero - 1)}),
        replace(program, inputs={"x": replace(source, graded=True)}),
        replace(program, populations={"n": PopulationSymbol((1,), 0, zero, zero + 1)}),
        replace(program, populations={"n": PopulationSymbol((2,), 0, np.zeros(2, int), np.zeros(2, int))}),
        replace(program, axons={"k": PopulationSymbol((1,), 0, zero, zero + 256)}),
        replace(program, axons={"n": PopulationSymbol((1,), 0, zero, zero)}),
        replace(program, outputs={"o": OutputSymbol((1,), zero - 1)}),
        replace(program, pulses={"p": PulseSymbol((1,), zero, zero + 1, zero, zero + 1, zero, zero)}),
        replace(program, pulses={"p": PulseSymbol((1,), zero, zero + 1, zero + 1, zero, zero, zero)}),
    ]
    for bad in wrong:
        with pytest.raises(ArtifactError) as caught:
            ChipSimulation().run(bad, stimulus)
        assert caught.value.diagnostics[0].code == "NC0602"
    with pytest.raises(ArtifactError, match="truenorth-1"):
        ChipSimulation().run(replace(program, format="truenorth-0"), stimulus)


def test_stimuli_and_names_that_do_not_fit_are_refused() -> None:
    program = program_of(core_of(), inputs=first_axon())
    good = np.ones((1, 2, 1), np.int64)
    for stimulus in ({}, {"x": good[:, :, [0, 0]]}, {"x": good.astype(np.float64)}, {"x": good, "z": good}, {"x": good[0]}):
        with pytest.raises(NetworkError) as caught:
            ChipSimulation().run(program, stimulus)
        assert caught.value.diagnostics[0].code == "NC0211"
    with pytest.raises(NetworkError, match="'m'"):
        ChipSimulation().run(program, {"x": good}, record=["m"])


def test_what_could_not_be_unpacked_is_not_packed() -> None:
    for image in (core_of(s=256), core_of(target=fm.CORE), replace(core_of(), keys=np.zeros(256, fm.KEY))):
        with pytest.raises(InternalError):
            fm.pack(image)


def test_unpacking_returns_what_was_packed() -> None:
    for seed in range(6):
        _, images, _ = random_program(seed)
        for image in images:
            again = fm.unpack(CoreTables(0, 0, fm.pack(image)))
            assert (again.x, again.y) == (image.x, image.y)
            for name in ("types", "bits", "neurons", "keys", "slots"):
                np.testing.assert_array_equal(getattr(again, name), getattr(image, name))
