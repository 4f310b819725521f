"""Hardware specs: the shipped ones load, and every impossible value has its message."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from neurocomp.errors import NetworkError, SpecError
from neurocomp.hardware import (
    COSTS,
    EXTENSIONS,
    FORMAT_FIELDS,
    KINDS,
    LIMITS,
    TABLES_HOLD,
    HardwareSpec,
    Mesh,
    NumberFormat,
    load_spec,
    read_spec,
)

LOIHI = Path(__file__).parents[2] / "hwspecs" / "neurocomp_hwspecs" / "loihi.yaml"
TEXT = LOIHI.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def loihi() -> HardwareSpec:
    return read_spec(LOIHI)


def problems(old: str, new: str) -> list[str]:
    """Return message and hint of each problem of Loihi's spec with ``new`` in the place of ``old``."""
    assert old in TEXT
    with pytest.raises(SpecError) as caught:
        load_spec(TEXT.replace(old, new, 1), "chip.yaml")
    assert {d.code for d in caught.value.diagnostics} == {"NC0502"}
    return [d.message + (f" | {d.hint}" if d.hint else "") for d in caught.value.diagnostics]


def line_of(text: str) -> int:
    """Return the number of the first line of Loihi's spec that holds ``text``."""
    return 1 + TEXT[: TEXT.index(text)].count("\n")


# --- what is shipped


def test_loihi_has_the_published_limits(loihi: HardwareSpec) -> None:
    assert {name: loihi.limit(name) for name in LIMITS if name in loihi.limits} == {
        "chips": 768,
        "cores_per_chip": 128,
        "neurons": 1024,
        "input_axons": 4096,
        "output_axons": 4096,
        "synapse_words": 16384,
        "decay_profiles": 31,
        "threshold_profiles": 7,
        "synapse_formats": 7,
        "synapses_per_entry": 60,
        "delay": 62,
        "delay_address_bits": 13,
        "refractory": 62,
    }
    assert (loihi.name, loihi.title, loihi.backend) == ("loihi", "Intel Loihi (2018), 14 nm", "loihi")
    assert loihi.synapse_cost == "nxtf"
    assert loihi.mesh == Mesh(8, 4, 4)


def test_loihi_has_lavas_number_format(loihi: HardwareSpec) -> None:
    form = loihi.number_format
    assert form == NumberFormat("loihi")
    assert (form.decay_one, form.threshold_max, form.bias_max, form.u_max, form.v_max) == (
        4096,
        131071,
        4095,
        1 << 23,
        (1 << 23) - 1,
    )


def test_every_value_says_where_it_comes_from(loihi: HardwareSpec) -> None:
    values = [*loihi.limits.values(), *(cost for table in loihi.costs.values() for cost in table.values())]
    for value in values:
        assert value.kind in KINDS
        assert value.source.split(",")[0] in loihi.sources
        assert value.low <= value.value <= value.high
        assert value.place.startswith("loihi.yaml:")
    assert loihi.default_costs in loihi.costs
    assert all(event in COSTS for table in loihi.costs.values() for event in table)


def test_a_limit_prints_with_its_line_and_source(loihi: HardwareSpec) -> None:
    assert loihi.limit_text("input_axons") == (
        f"input axons per core = 4096 (loihi.yaml:{line_of('input_axons:')}; davies2018, p. 89, constraint 4)"
    )


def test_a_published_interval_is_kept(loihi: HardwareSpec) -> None:
    event = loihi.costs["loihi"]["synaptic_event"]
    assert (event.low, event.value, event.high) == (19.7e-12, 23.6e-12, 35.5e-12)
    single = loihi.costs["loihi"]["hop_x"]
    assert single.low == single.value == single.high == 3e-12


def test_cores_fill_tiles_and_tiles_fill_rows() -> None:
    mesh = Mesh(3, 2, 4)
    assert [mesh.tile(core) for core in (0, 3, 4, 11, 12, 23)] == [(0, 0), (0, 0), (1, 0), (2, 0), (0, 1), (2, 1)]


def test_a_new_chip_of_the_family_is_three_lines() -> None:
    text = TEXT.replace("name: loihi\n", "name: mine\n", 1).replace("title: Intel Loihi (2018), 14 nm", "title: Mine")
    spec = load_spec(text.replace("neurons: {value: 1024", "neurons: {value: 8"), "mine.yaml")
    assert (spec.name, spec.title, spec.backend, spec.limit("neurons")) == ("mine", "Mine", "loihi", 8)
    assert spec.text.startswith("#")


def test_loihi_2_stands_on_loihi_1_where_nothing_is_published(loihi: HardwareSpec) -> None:
    spec = read_spec(LOIHI.parent / "loihi2.yaml")
    assert (spec.name, spec.backend, spec.number_format) == ("loihi2", "loihi", loihi.number_format)
    assert {name: spec.limit(name) for name in ("chips", "cores_per_chip", "neurons")} == {
        "chips": 1152, "cores_per_chip": 128, "neurons": 4096,
    }  # fmt: skip
    assert (spec.costs, spec.default_costs, spec.extensions) == ({}, "", ())
    assert spec.native["reset"] == ("zero", "subtract")
    assert [spec.does_natively(name) for name in EXTENSIONS] == [True] * len(EXTENSIONS)
    assert [loihi.does_natively(name) for name in EXTENSIONS] == [False] * len(EXTENSIONS)
    borrowed = [*spec.limits.values(), *spec.origins.values()]
    assert {value.kind for value in borrowed if value.source.startswith(("loihi1", "lava"))} == {"uncertain"}
    assert sum(value.source.startswith("loihi1") for value in borrowed) == 12


@pytest.mark.parametrize("name", ["loihi", "loihi2"])
def test_every_number_of_the_formats_says_where_it_comes_from(name: str) -> None:
    spec = read_spec(LOIHI.parent / f"{name}.yaml")
    assert set(spec.origins) == set(FORMAT_FIELDS)
    for field, origin in spec.origins.items():
        assert origin.value == getattr(spec.number_format, field)
        assert origin.source.split(",")[0] in spec.sources
    number = 1 + spec.text[: spec.text.index("threshold_bits: 17")].count("\n")
    found = spec.format_text("threshold_bits")
    assert found is not None
    assert found.startswith(f"bits of a threshold = 17 ({name}.yaml:{number}; lava, proc/lif/models.py")


def test_optional_sections_may_be_absent() -> None:
    """Costs, extensions, origins, optional axes of native and limits of what they do not list."""
    text = TEXT[: TEXT.index("# Joules per event")]
    text = text.replace(TEXT[TEXT.index("  origin:") : TEXT.index("limits:")], "\n")
    for line in (
        "extensions: [graded, ternary, programmed]",
        '  refractory: ["yes"]',
        '  periodic_reset: ["yes"]',
        "  u_overflow: fold",
    ):
        assert f"{line}\n" in text
        text = text.replace(f"{line}\n", "")
    start = text.index("  refractory: {")
    text = text[:start] + text[text.index("\n", start) + 1 :]
    spec = load_spec(text, "chip.yaml")
    assert (spec.costs, spec.default_costs, spec.extensions, spec.origins) == ({}, "", (), {})
    assert "refractory" not in spec.limits
    assert spec.format_text("weight_bits") is None
    assert not spec.has("refractory")


@pytest.mark.parametrize("limit", list(TABLES_HOLD))
def test_limits_end_with_what_the_tables_hold(limit: str) -> None:
    def text(value: int) -> str:
        changed, found = re.subn(rf"(\n  {limit}: {{value: )\d+", rf"\g<1>{value}", TEXT)
        assert found == 1
        return changed.replace("tiles_x: {value: 8", "tiles_x: {value: 16384")

    most = TABLES_HOLD[limit]
    assert load_spec(text(most), "chip.yaml").limit(limit) == most
    with pytest.raises(SpecError) as caught:
        load_spec(text(most + 1), "chip.yaml")
    assert [(d.message, d.hint) for d in caught.value.diagnostics] == [
        (f"limits.{limit}.value: {most + 1} is impossible", f"a whole number in 1..{most}")
    ]


# --- values that cannot be


def test_the_whole_message() -> None:
    line = line_of("  neurons:")
    with pytest.raises(SpecError) as caught:
        load_spec(TEXT.replace("neurons: {value: 1024", "neurons: {value: -1024"), "chip.yaml")
    assert str(caught.value) == (
        f"chip.yaml:{line}:20: error[NC0502 invalid-spec]: limits.neurons.value: -1024 is impossible\n"
        f'   {line} |   neurons: {{value: -1024, source: "davies2018, p. 86", kind: vendor}}\n'
        "      |                    ^^^^^\n"
        "hint:  a whole number in 1..4096"
    )
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("neurocomp_spec: 1", "neurocomp_spec: 2", "neurocomp_spec: schema version 2 is not known | write 1"),
        ("neurocomp_spec: 1", "neurocomp_spec: true", "neurocomp_spec: schema version True is not known | write 1"),
        ("name: loihi\n", "name: 5\n", "name: 5 is not a name"),
        ("name: loihi\n", "name: ''\n", "name: '' is not a name"),
        ("title: Intel Loihi (2018), 14 nm", "title: [a]", "title: ['a'] is not a name"),
        ("backend: loihi", "backend:", "backend: None is not a name"),
        ("  name: loihi\n", "  name: 1\n", "integers.name: 1 is not a name"),
        ("weight_bits: 8", "weight_bits: 9", "integers.weight_bits: 9 is impossible; it lies in 1..8"),
        ("weight_bits: 8", "weight_bits: 8.0", "integers.weight_bits: 8.0 is impossible; it lies in 1..8"),
        ("weight_bits: 8", "weight_bits: true", "integers.weight_bits: True is impossible; it lies in 1..8"),
        ("u_bits: 24", "u_bits: 64", "integers.u_bits: 64 is impossible; it lies in 8..24"),
        ("u_overflow: fold", "u_overflow: clamp", "integers.u_overflow: 'clamp' is not one of fold, wrap"),
        ("value: 768", "value: 0", "limits.chips.value: 0 is impossible | a whole number in 1..65536"),
        ("value: 768", "value: 1.5", "limits.chips.value: 1.5 is impossible | a whole number in 1..65536"),
        ("value: 768", "value: 1e30", "limits.chips.value: 1e+30 is impossible | a whole number in 1..65536"),
        ("value: 768", "value: .inf", "limits.chips.value: inf is not a number"),
        ("value: 768", "value: .nan", "limits.chips.value: nan is not a number"),
        ("value: 768", "value: many", "limits.chips.value: 'many' is not a number"),
        ("value: 768", "value: true", "limits.chips.value: True is not a number"),
        (
            'chips: {value: 768, source: "frady2020, Pohoiki Springs", kind: vendor}',
            "chips: 768",
            "limits.chips: needs a mapping {value, source, kind} | every value of a spec states where it comes from",
        ),
        (
            'Springs", kind: vendor',
            'Springs", kind: guessed',
            "limits.chips.kind: 'guessed' is not one of measured, pre-silicon, fitted, derived, vendor, uncertain",
        ),
        (
            "frady2020, Pohoiki",
            "frady, Pohoiki",
            "limits.chips.source: source 'frady' is not listed under 'sources' | did you mean 'frady2020'?",
        ),
        (
            "tiles_x: {value: 8",
            "tiles_x: {value: 1",
            "limits.cores_per_chip: 128 cores do not fit a mesh of 16 | enlarge mesh.tiles_x or mesh.tiles_y",
        ),
        ("reset: [zero]", "reset: [never]", "native.reset: 'never' is not one of zero, subtract, value, none"),
        ("reset: [zero]", "reset: zero", "native.reset: must be a list of words"),
        ("reset: [zero]", "resets: [zero]", "unknown field 'resets' | did you mean 'reset'?"),
        (
            "synapse_cost: nxtf",
            "synapse_cost: nxt",
            "synapse_cost: 'nxt' is not one of nxtf, nengo_loihi, crossbar, weights | did you mean 'nxtf'?",
        ),
        ("hop_x: {value: 3.0e-12", "hop_x: {value: -3.0e-12", "costs.loihi.hop_x.value: -3e-12 is impossible | a number >= 0"),
        (
            "low: 19.7e-12",
            "low: 29.7e-12",
            "costs.loihi.synaptic_event: low 2.97e-11 <= value 2.36e-11 <= high 3.55e-11 does not hold",
        ),
        ("hop_x:", "hop_z:", "unknown field 'hop_z' | did you mean 'hop_y'?"),
        (
            "default_costs: loihi",
            "default_costs: lohi",
            "default_costs: 'lohi' is not one of loihi, davies2018, sanafe | did you mean 'loihi'?",
        ),
        (
            "default_costs: loihi\n",
            "",
            "default_costs: '' is not one of loihi, davies2018, sanafe | known: davies2018, loihi, sanafe",
        ),
        ("extensions: [graded, ternary, programmed]", "extensions: graded", "extensions: must be a list of words"),
        (
            "extensions: [graded, ternary, programmed]",
            "extensions: [graded, tenary, programmed]",
            "extensions.1: 'tenary' is not one of graded, ternary, programmed | did you mean 'ternary'?",
        ),
        (
            "reset_when: [same_tick]",
            'reset_when: [same_tick]\n  graded: ["yes"]',
            "extensions.0: 'graded' is no extension: native.graded has 'yes' | list it once",
        ),
        ('refractory: ["yes"]', "refractory: [yes, no]", "native.refractory: 'no' is not one of yes"),
        (
            "  origin:\n",
            "  origin:\n    weight_bit: {source: lava, kind: vendor}\n",
            "unknown field 'weight_bit' | did you mean 'weight_bits'?",
        ),
        (
            'decay_bits: {source: "nengo_loihi, builder/discretize.py", kind: uncertain}',
            "decay_bits: lava",
            "integers.origin.decay_bits: needs a mapping {source, kind} | every value of a spec states where it comes from",
        ),
        (
            'decay_bits: {source: "nengo_loihi, builder/discretize.py", kind: uncertain}',
            'decay_bits: {source: "nengo, x", kind: uncertain}',
            "integers.origin.decay_bits.source: source 'nengo' is not listed under 'sources' | did you mean 'nengo_loihi'?",
        ),
        (
            'decay_bits: {source: "nengo_loihi, builder/discretize.py", kind: uncertain}',
            'decay_bits: {source: "nengo_loihi"}',
            "integers.origin.decay_bits: field 'kind' is missing",
        ),
        (
            'decay_bits: {source: "nengo_loihi, builder/discretize.py", kind: uncertain}',
            'decay_bits: {source: "nengo_loihi", kind: sure}',
            "integers.origin.decay_bits.kind: 'sure' is not one of measured, pre-silicon, fitted, derived, vendor, uncertain",
        ),
        ('frady2020: "E. P. Frady', "frady2020: 2020 #", "sources.frady2020: a source is one line of text"),
    ],
)  # fmt: skip
def test_an_impossible_value(old: str, new: str, message: str) -> None:
    assert problems(old, new) == [message]


def test_a_section_of_another_type() -> None:
    assert problems("mesh:\n", "mesh: 3\nmash:\n") == [
        "unknown field 'mash' | did you mean 'mesh'?",
        "mesh: must be a mapping",
    ]


def test_a_misspelt_field_is_unknown_and_missing() -> None:
    assert problems("  delay: {", "  delays: {") == [
        "unknown field 'delays' | did you mean 'delay'?",
        "limits: field 'delay' is missing",
    ]
    assert problems("backend: loihi", "bakend: loihi") == [
        "unknown field 'bakend' | did you mean 'backend'?",
        "the spec: field 'backend' is missing",
    ]


@pytest.mark.parametrize("section", ["sources", "integers", "limits", "mesh", "native"])
def test_a_missing_section_is_one_message(section: str) -> None:
    found = problems(f"\n{section}:\n", f"\nx_{section}:\n")
    assert found[0].endswith(f"unknown field 'x_{section}' | did you mean '{section}'?")
    assert found[1] == f"the spec: field '{section}' is missing"
    assert found[2:] == []


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("sources", "sources: lists no source | every value of a spec states where it comes from"),
        ("integers", "integers: field 'weight_bits' is missing"),
        ("limits", "limits: field 'delay_address_bits' is missing"),
        ("mesh", "mesh: field 'tiles_x' is missing"),
        ("native", "native: field 'patterns' is missing"),
    ],
)
def test_an_empty_section_lacks_its_fields(section: str, message: str) -> None:
    start = TEXT.index(f"\n{section}:\n") + 1
    block = re.compile(r"[a-z_]+:\n(?:(?:  .*|#.*|)\n)*").match(TEXT, start)
    assert block is not None
    assert message in problems(block.group(), f"{section}: {{}}\n")


def test_refractory_periods_need_a_limit() -> None:
    start = TEXT.index("  refractory: {value")
    text = TEXT[:start] + TEXT[TEXT.index("\n", start) + 1 :]
    with pytest.raises(SpecError) as caught:
        load_spec(text, "chip.yaml")
    assert [(d.message, d.hint) for d in caught.value.diagnostics] == [
        (
            "limits: field 'refractory' is missing, and 'native' says that the chip has refractory periods",
            "state how many silent ticks it has at most",
        )
    ]


def test_a_target_may_have_no_costs() -> None:
    text = TEXT[: TEXT.index("\ndefault_costs:")]
    spec = load_spec(text, "chip.yaml")
    assert (spec.costs, spec.default_costs) == ({}, "")


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("synapse_cost: weights", "synapse_cost: 1 does not go with 'synapse_cost: weights'"),
        ("synapse_cost: nxtf\nhop_ticks: 0", "hop_ticks: 0 does not go with 'synapse_cost: nxtf'"),
        ("synapse_cost: nxtf\nhop_ticks: 2", "hop_ticks: 2 is neither 0 nor 1"),
        ("synapse_cost: nxtf\nhop_ticks: false", "hop_ticks: False is neither 0 nor 1"),
    ],
)
def test_what_is_no_chip_says_so_twice(new: str, message: str) -> None:
    hint = "a chip has 1 and a formula; what is no chip has 0 and 'weights'"
    assert problems("synapse_cost: nxtf", new) == [message + (f" | {hint}" if "neither" not in message else "")]


def test_all_problems_come_together() -> None:
    broken = (
        TEXT.replace("value: 768", "value: 0").replace("weight_bits: 8", "weight_bits: 9").replace("reset: [zero]", "reset: 1")
    )
    with pytest.raises(SpecError) as caught:
        load_spec(broken, "chip.yaml")
    assert [d.message.split(":")[0] for d in caught.value.diagnostics] == [
        "integers.weight_bits",
        "limits.chips.value",
        "native.reset",
    ]


def test_every_field_of_the_number_format_is_read() -> None:
    """A field that the reader forgot would keep its default silently."""
    other = {"weight_bits": 7, "weight_exp_min": -4, "weight_exp_max": 3, "current_decay_offset": 0, "state_shift": 2}
    other |= {"threshold_bits": 9, "bias_bits": 5, "bias_exp_max": 2, "u_bits": 12, "v_bits": 13, "accumulator_bits": 9}
    text = TEXT.replace("u_overflow: fold", "u_overflow: wrap")
    for line in TEXT.splitlines():
        key = line.strip().split(":")[0]
        if key in other:
            text = text.replace(line, f"  {key}: {other.pop(key)}")
    form = load_spec(text, "chip.yaml").number_format
    assert other == {}
    default = NumberFormat("x")
    same = {f.name for f in fields(form) if getattr(form, f.name) == getattr(default, f.name)}
    assert same == {"decay_bits", "plain_weights", "checked"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "chip.yaml: error[NC0102 yaml-syntax]: the file is empty"),
        (
            "a: [",
            "chip.yaml:1:5: error[NC0102 yaml-syntax]: not valid YAML: "
            "expected the node content, but found '<stream end>'\n    1 | a: [\n      |     ^",
        ),
    ],
)
def test_no_yaml(text: str, message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        load_spec(text, "chip.yaml")
    assert str(caught.value) == message


def test_no_mapping() -> None:
    with pytest.raises(SpecError) as caught:
        load_spec("- a\n", "chip.yaml")
    assert str(caught.value) == "chip.yaml:1:1: error[NC0502 invalid-spec]: a hardware spec is a mapping"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_spec(tmp_path / "no.yaml")
    assert str(caught.value) == "error[NC0101 file-not-found]: cannot read the spec 'no.yaml': No such file or directory"
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError) as caught:
        read_spec(tmp_path / "binary.yaml")
    assert str(caught.value) == "error[NC0101 file-not-found]: cannot read the spec 'binary.yaml': not text"
