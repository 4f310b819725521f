"""The limit matrix: for each limit of loihi.yaml a network that meets it exactly, and one that exceeds it by one.

Chips with small limits keep it fast: each spec is loihi.yaml with other values. A chip of one core shows what "too many for a
core" means, as larger systems spread a population over cores.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

import neurocomp_hwspecs
from neurocomp import pipeline, registry
from neurocomp.artifact import Artifact
from neurocomp.frontends.from_yaml import loads
from neurocomp.hardware import FORMAT_FIELDS, LIMITS, HardwareSpec, load_spec
from neurocomp.pipeline import Checked, options_of, violation_error

TEXT = (Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml").read_text(encoding="utf-8")
ONE_CORE = {"chips": 1, "cores_per_chip": 1}
NET = """neurocomp: 1
name: net
timestep: 1 ms
ticks: 4
populations:
{populations}
projections:
{projections}
"""


@cache
def chip(values: frozenset[tuple[str, int]]) -> HardwareSpec:
    """Return Loihi with other numbers in the fields of ``limits`` and ``integers`` that are named, as a user would write it."""
    text = TEXT.replace("name: loihi\n", "name: mini\n", 1)
    for name, value in values:
        text, found = re.subn(rf"(\n  {name}: (?:\{{value: )?)-?\d+", rf"\g<1>{value}", text)
        assert found == 1, name
    return load_spec(text, "mini.yaml")


def neurons(name: str, n: int, more: str = "") -> str:
    return f"  {name}: {{shape: [{n}], neuron: {{model: if, format: loihi, vth: 100{more}}}}}"


def compiled(populations: list[str], projections: list[str], /, **values: int) -> tuple[Checked, HardwareSpec]:
    spec = chip(frozenset(values.items()))
    net = NET.format(populations="\n".join(populations), projections="\n".join(projections) or "  []")
    backend = registry.backend(spec.backend)
    options = options_of(backend, spec, {})
    network = loads(net, Path())
    return pipeline.check_network(network, spec, backend, registry.simulator("reference"), options), spec


def fits(populations: list[str], projections: list[str], /, **values: int) -> Artifact:
    """Compile; the bytes are there."""
    checked, _ = compiled(populations, projections, **values)
    assert checked.violations == ()
    assert checked.artifact is not None
    return checked.artifact


def refused(message: str, populations: list[str], projections: list[str], /, **values: int) -> None:
    """Check the whole error, without the excerpt of the network file; LIMIT:name stands for the limit with its source."""
    checked, spec = compiled(populations, projections, **values)
    lines = violation_error(checked.violations).render().splitlines()
    printed = "\n".join(line for line in lines if not re.match(r"[ \d]+\|", line))
    for name in sorted((*spec.limits, *FORMAT_FIELDS), key=len, reverse=True):
        text = spec.limit_text(name) if name in spec.limits else spec.format_text(name)
        assert text is not None
        message = message.replace(f"LIMIT:{name}", text)
    assert printed == message


X = "  x: {kind: input, shape: [1]}"


def wide(n: int) -> tuple[list[str], list[str]]:
    """Return one input and n neurons."""
    weights = ", ".join(["[2]"] * n)
    return [X, neurons("a", n)], [f"  - {{from: x, to: a, weights: [{weights}], weight_exp: 0}}"]


def cores(needed: int, has: int) -> str:
    return (
        f"error[NC0401 cores]: 'net' needs {needed} cores; mini has {has}\n"
        "limit: LIMIT:cores_per_chip; LIMIT:chips\n"
        "hint:  use a target with more chips or cores, or a smaller network"
    )


def too_many_neurons(count: int, needed: int, has: int) -> str:
    """The message of a network whose neurons alone need too many cores, before anything of their number is made."""
    return (
        f"error[NC0401 cores]: 'net' has {count} neurons and needs at least {needed} cores; mini has {has}\n"
        "limit: LIMIT:neurons; LIMIT:cores_per_chip; LIMIT:chips\n"
        "hint:  use a target with more chips or cores, or a smaller network"
    )


# How many there are


def test_chips() -> None:
    values = {"chips": 2, "cores_per_chip": 1, "neurons": 2}
    assert fits(*wide(4), **values).mapped.chips == 2
    refused(too_many_neurons(5, 3, 2), *wide(5), **values)


def test_cores_per_chip() -> None:
    values = {"chips": 1, "cores_per_chip": 3, "neurons": 2}
    assert len(fits(*wide(6), **values).mapped.cores) == 3
    refused(too_many_neurons(7, 4, 3), *wide(7), **values)


def test_neurons() -> None:
    fits(*wide(4), neurons=4, **ONE_CORE)
    refused(too_many_neurons(5, 2, 1), *wide(5), neurons=4, **ONE_CORE)


def test_a_network_beyond_every_core_is_refused_before_arrays_of_its_size_are_made() -> None:
    most = 2**31 - 1
    populations = [X, neurons("a", 1).replace("shape: [1]", f"shape: [{most}]")]
    refused(
        "error[NC0401 cores]: 'net' has 2,147,483,647 neurons and needs at least 1,073,741,824 cores; mini has 1\n"
        "limit: LIMIT:neurons; LIMIT:cores_per_chip; LIMIT:chips\n"
        "hint:  use a target with more chips or cores, or a smaller network",
        populations, [], neurons=2, **ONE_CORE,
    )  # fmt: skip


def test_two_compartments_count_twice() -> None:
    """A neuron whose reset subtracts takes two; one neuron alone that exceeds a core is named."""
    populations, projections = wide(1)
    populations[1] = populations[1].replace("vth: 100", "vth: 100, reset: subtract")
    refused(
        "net.yaml:7:3: error[NC0407 compartments]: neuron 'a[0]' alone needs 2 of 1 compartments of a mini core, "
        "one of them for its reset by subtraction\n"
        "limit: LIMIT:neurons\n"
        "hint:  write 'reset: zero', or use a target with a larger core",
        populations, projections, neurons=1,
    )  # fmt: skip


def test_input_axons() -> None:
    def net(n: int) -> tuple[list[str], list[str]]:
        weights = ", ".join(str(2 * i + 2) for i in range(n))
        return [f"  x: {{kind: input, shape: [{n}]}}", neurons("a", 1)], [f"  - {{from: x, to: a, weights: [[{weights}]]}}"]

    fits(*net(4), input_axons=4)
    refused(
        "net.yaml:7:3: error[NC0412 fan-in]: neuron 'a[0]' has 5 sources; mini has 4 input axons per core\n"
        "limit: LIMIT:input_axons\n"
        "hint:  splitting the population does not help: put one in between, or prune inputs and list the rest as sparse",
        *net(5), input_axons=4,
    )  # fmt: skip


def test_output_axons() -> None:
    """One neuron that listens to nobody sends to as many cores as its target needs."""

    def net(n: int) -> tuple[list[str], list[str]]:
        weights = ", ".join(["[2]"] * n)
        return [neurons("a", 1, ", bias_mant: 100"), neurons("b", n)], [f"  - {{from: a, to: b, weights: [{weights}]}}"]

    assert len(fits(*net(2), neurons=1, output_axons=2).mapped.cores) == 3
    refused(
        "net.yaml:6:3: error[NC0405 output-axons]: a neuron of 'a' sends to at least 3 cores; "
        "mini has 2 output axons per core\n"
        "limit: LIMIT:output_axons\n"
        "hint:  lower its fan-out",
        *net(3), neurons=1, output_axons=2,
    )  # fmt: skip


# What synapses need


def test_synapse_words() -> None:
    """A row of one synapse takes a word; rows of different weights are not shared."""

    def net(n: int) -> tuple[list[str], list[str]]:
        weights = ", ".join(str(2 * i + 2) for i in range(n))
        return [f"  x: {{kind: input, shape: [{n}]}}", neurons("a", 1)], [f"  - {{from: x, to: a, weights: [[{weights}]]}}"]

    assert fits(*net(4), synapse_words=4).mapped.cores[0].synapse_words == 4
    refused(
        "net.yaml:7:3: error[NC0402 synapse-memory]: neuron 'a[0]' alone needs 5 of 4 synapse words of a mini core\n"
        "limit: LIMIT:synapse_words\n"
        "hint:  lower its fan-in, or use a target with a larger core",
        *net(5), synapse_words=4,
    )  # fmt: skip


def test_synapse_formats() -> None:
    """Projections of different exponents take a format each."""

    def net(n: int) -> tuple[list[str], list[str]]:
        return [X, neurons("a", 1)], [f"  - {{from: x, to: a, weights: [[2]], weight_exp: {i}}}" for i in range(n)]

    fits(*net(2), synapse_formats=2)
    refused(
        "net.yaml:7:3: error[NC0408 synapse-formats]: neuron 'a[0]' alone needs 3 of 2 synapse formats of a mini core\n"
        "limit: LIMIT:synapse_formats\n"
        "hint:  let its projections share sign, exponent, weight bits and delay range",
        *net(3), synapse_formats=2,
    )  # fmt: skip


def test_synapses_per_entry_is_layout_alone() -> None:
    """No network can exceed it: a row that is longer than an entry goes on in a second one, whose header costs bits."""

    def words(per_entry: int) -> int:
        return fits(*wide(5), synapses_per_entry=per_entry).mapped.cores[0].synapse_words

    # 5 x 8 bits and a header of 16 are 56 bits; with a second header 72.
    assert [words(5), words(4)] == [1, 2]


def test_delay() -> None:
    """A synapse waits 5 ticks beyond the one of its hop."""

    def net(delay: int) -> tuple[list[str], list[str]]:
        return [X, neurons("a", 1)], [f"  - {{from: x, to: a, weights: [[2]], delay: {delay}}}"]

    fits(*net(6), delay=5)
    refused(
        "net.yaml:9:5: error[NC0309 delay-limit]: projection 'x->a' needs synapses that wait 6 ticks "
        "(a delay of 7, less the tick that every hop takes); mini stores 5\n"
        "limit: LIMIT:delay\n"
        "hint:  shorten the delay, or insert a relay population",
        *net(7), delay=5,
    )  # fmt: skip


def test_delay_address_bits() -> None:
    """Stored delays up to 7 take 3 bits and leave 5 of 8 to address 32 neurons."""

    def net(n: int) -> tuple[list[str], list[str]]:
        populations, (projection,) = wide(n)
        return populations, [projection.replace("}", ", delay: 8}")]

    fits(*net(32), delay_address_bits=8, **ONE_CORE)
    refused(cores(2, 1), *net(33), delay_address_bits=8, **ONE_CORE)


# Profiles: a population of many spreads over cores, so that only a full system refuses it


@pytest.mark.parametrize(("limit", "parameter"), [("decay_profiles", "dv"), ("threshold_profiles", "vth")])
def test_profiles(limit: str, parameter: str) -> None:
    def net(n: int) -> tuple[list[str], list[str]]:
        values = f"{parameter}: [{', '.join(str(10 + i) for i in range(n))}]"
        others = ", dv: 0" if parameter == "vth" else ", vth: 100"
        weights = ", ".join(["[2]"] * n)
        population = f"  a: {{shape: [{n}], neuron: {{model: lif, format: loihi, {values}{others}}}}}"
        return [X, population], [f"  - {{from: x, to: a, weights: [{weights}]}}"]

    fits(*net(3), **{limit: 3}, **ONE_CORE)
    refused(cores(2, 1), *net(4), **{limit: 3}, **ONE_CORE)


def test_refractory() -> None:
    def net(ticks: int) -> tuple[list[str], list[str]]:
        populations = [X, "  a: {shape: [1], neuron: {model: if, v_threshold: 1.0, reset: zero, refractory: N ms}}"]
        return [p.replace("N", str(ticks)) for p in populations], ["  - {from: x, to: a, weights: [[0.5]]}"]

    fits(*net(3), refractory=3)
    refused(
        "net.yaml:7:3: error[NC0303 refractory]: population 'a' is refractory for 4 ticks; mini has at most 3\n"
        "limit: LIMIT:refractory\n"
        "hint:  shorten 'refractory' to 3, or lengthen the timestep",
        *net(4), refractory=3,
    )  # fmt: skip


# The number format


@pytest.mark.parametrize(
    ("field", "value", "parameter", "low", "high"),
    [
        ("threshold_bits", 7, "vth", 0, 127),
        ("decay_bits", 12, "dv", 0, 4095),
        ("decay_bits", 12, "du", 0, 4095),
        ("bias_bits", 4, "bias_mant", -15, 15),
        ("bias_exp_max", 2, "bias_exp", 0, 2),
        ("u_bits", 10, "u_init", -511, 511),
        ("v_bits", 10, "v_init", -511, 511),
    ],
)
def test_numbers_of_a_neuron(field: str, value: int, parameter: str, low: int, high: int) -> None:
    def net(number: int) -> tuple[list[str], list[str]]:
        values = {"du": 4095, "dv": 0, "vth": 100} | {parameter: number}
        text = ", ".join(f"{key}: {entry}" for key, entry in values.items())
        population = f"  a: {{shape: [1], neuron: {{model: cuba_lif, format: loihi, {text}}}}}"
        return [X, population], ["  - {from: x, to: a, weights: [[2]]}"]

    for inside in (low, high):
        fits(*net(inside), **{field: value})
    for outside in (low - 1, high + 1):
        refused(
            f"net.yaml:7:3: error[NC0310 native-integers]: population 'a': {parameter} is {outside}; mini holds {low}..{high}\n"
            f"limit: LIMIT:{field}\n"
            "hint:  bring it into the range, or drop 'format' so that real values are quantized",
            *net(outside), **{field: value},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("inside", "outside", "message"),
    [
        ("weight_bits: 4", "weight_bits: 5", "weight_bits 5; mini has 4\nlimit: LIMIT:weight_bits"),
        ("weight_exp: 3", "weight_exp: 4", "weight_exp 4 lies outside -2..3\nlimit: LIMIT:weight_exp_max"),
        ("weight_exp: -2", "weight_exp: -3", "weight_exp -3 lies outside -2..3\nlimit: LIMIT:weight_exp_min"),
    ],
)
def test_formats_of_weights(inside: str, outside: str, message: str) -> None:
    def net(option: str) -> tuple[list[str], list[str]]:
        bits = "" if option.startswith("weight_bits") else ", weight_bits: 4"
        return [X, neurons("a", 2)], [f"  - {{from: x, to: a, weights: [[32], [-64]], {option}{bits}}}"]

    values = {"weight_bits": 4, "weight_exp_min": -2, "weight_exp_max": 3}
    fits(*net(inside), **values)
    refused(f"net.yaml:9:5: error[NC0310 native-integers]: projection 'x->a': {message}", *net(outside), **values)


@pytest.mark.parametrize(
    ("signs", "bits", "low", "high", "step"),
    [
        ("mixed", 8, -256, 254, 2),
        ("mixed", 4, -256, 224, 32),
        ("excitatory", 8, 0, 255, 1),
        ("excitatory", 4, 0, 240, 16),
        ("inhibitory", 1, -128, 0, 128),
    ],
)
def test_weights(signs: str, bits: int, low: int, high: int, step: int) -> None:
    def net(weight: int) -> tuple[list[str], list[str]]:
        option = f"weight_bits: {bits}, sign: {signs}"
        return [X, neurons("a", 2)], [f"  - {{from: x, to: a, weights: [[{weight}], [0]], {option}}}"]

    fits(*net(low))
    fits(*net(high))
    for outside in (low - step, high + step):
        refused(
            f"net.yaml:9:5: error[NC0310 native-integers]: projection 'x->a': "
            f"weight {outside} lies outside {low}..{high} of {bits} bits, {signs}",
            *net(outside),
        )  # fmt: skip


def test_the_sum_of_a_tick_is_watched_not_refused() -> None:
    """What a sum, current or potential may reach is a verdict: proved, or observed and reported as an event."""

    def verdict(n: int) -> tuple[str, int, int]:
        weights = ", ".join(["127"] * n)
        made = fits(
            [f"  x: {{kind: input, shape: [{n}]}}", neurons("a", 1)],
            [f"  - {{from: x, to: a, weights: [[{weights}]]}}"], accumulator_bits=10,
        )  # fmt: skip
        (found,) = (v for v in made.integers.verdicts if v.register == "accumulator")
        return found.kind, found.bound, found.limit

    assert verdict(4) == ("proved always", 508, 511)
    assert verdict(5) == ("observed", 0, 511)


def test_every_limit_and_every_number_is_in_this_matrix() -> None:
    """A limit that is added to the specs needs a row here; two numbers parametrize the update and bound nothing.

    Axon types belong to chips of crossbars, whose limits have tests of their own.
    """
    text = Path(__file__).read_text(encoding="utf-8")
    bounds = {*LIMITS, *FORMAT_FIELDS} - {"current_decay_offset", "state_shift", "axon_types"}
    assert {name for name in bounds if re.search(rf"\b{name}\b", text)} == bounds
