"""The bytes of a Loihi program: what is encoded comes back, and damaged bytes are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurocomp.errors import ArtifactError, InternalError
from neurocomp.ir.program import CoreTables, Program
from neurocomp_loihi import formats as fm

CORE = CoreTables(2, 5, {})


def array(*values: int) -> Any:
    return np.array(values, np.int64)


FORMATS = fm.Formats(
    sign_mode=array(fm.MIXED, fm.EXCITATORY, fm.INHIBITORY, fm.MIXED),
    weight_bits=array(8, 8, 3, 6),
    exponent=array(0, 7, -8, -1),
    delay_bits=array(0, 3, 6, 0),
    index_bits=array(10, 12, 0, 8),
    compression=array(fm.DENSE, fm.SPARSE, fm.SPARSE, fm.DENSE),
    learning=array(0, 1, 0, 2),
    learning_bits=array(0, 10, 0, 1),
)


def random_rows(rng: np.random.Generator, n_rows: int) -> fm.Blocks:
    """Rows of 0 to 3 blocks whose fields fill their widths."""
    per_row = rng.integers(0, 4, n_rows)
    form = rng.integers(0, 4, per_row.sum())
    count = rng.integers(1, 150, per_row.sum())
    start = np.concatenate([[0], np.cumsum(count)])
    f = np.repeat(form, count)
    run = np.repeat(rng.integers(0, 50, len(count)), count) + np.arange(start[-1]) - np.repeat(start[:-1], count)
    index = np.where(FORMATS.compression[f] == fm.DENSE, run, rng.integers(0, 1 << 12, len(f)) % (1 << FORMATS.index_bits[f]))
    weight = rng.integers(0, 1 << 8, len(f)) % (1 << FORMATS.weight_bits[f])
    delay = rng.integers(0, 1 << 6, len(f)) % (1 << FORMATS.delay_bits[f])
    return fm.Blocks(np.concatenate([[0], np.cumsum(per_row)]), form, start, index, weight, delay)


@pytest.mark.parametrize(("layout", "per_entry"), [(fm.NXTF, 60), (fm.NENGO_LOIHI, 64)])
@pytest.mark.parametrize("seed", range(5))
def test_rows_come_back(layout: int, per_entry: int, seed: int) -> None:
    """Entries take the place of blocks; the synapses of each row stay as they are."""
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, 40)
    words, length = fm.encode_rows(rows, FORMATS, layout, per_entry)
    pointer = np.cumsum(length) - length
    back = fm.decode_rows(CORE, words, FORMATS, pointer, length, layout)

    assert length.sum() == len(words)
    assert np.array_equal(back.block_start[back.row_start], rows.block_start[rows.row_start])
    assert np.diff(back.block_start).max() <= per_entry
    for name in ("item_format", "index", "weight", "delay"):
        assert np.array_equal(getattr(back, name), getattr(rows, name))


def test_words_to_the_bit() -> None:
    """One dense entry of three 8-bit weights from compartment 5 on: id 1, count 3 - 1, index 5, weights 1, 2, 255."""
    rows = fm.Blocks(array(0, 1), array(0), array(0, 3), array(5, 6, 7), array(1, 2, 255), array(0, 0, 0))
    expected = 1 | 2 << 4 | 5 << 10 | 1 << 20 | 2 << 28 | 255 << 36

    for layout in (fm.NXTF, fm.NENGO_LOIHI):
        words, length = fm.encode_rows(rows, FORMATS, layout, 60)

        assert (words.tolist(), length.tolist()) == ([expected], [1])


def test_a_sparse_synapse_to_the_bit() -> None:
    """Id 2, one synapse: weight 200, delay 6, compartment 4095."""
    rows = fm.Blocks(array(0, 1), array(1), array(0, 1), array(4095), array(200), array(6))
    words, _ = fm.encode_rows(rows, FORMATS, fm.NXTF, 60)

    assert words.tolist() == [2 | 200 << 10 | 6 << 18 | 4095 << 21]


@pytest.mark.parametrize(("index", "weight", "delay"), [(1024, 1, 0), (0, 256, 0), (0, 1, 1)])
def test_a_field_that_is_too_narrow_is_our_bug(index: int, weight: int, delay: int) -> None:
    rows = fm.Blocks(array(0, 1), array(0), array(0, 1), array(index), array(weight), array(delay))

    with pytest.raises(InternalError, match="every field of a synapse fits its width"):
        fm.encode_rows(rows, FORMATS, fm.NXTF, 60)


def test_an_empty_row_is_one_zero_word_or_none() -> None:
    rows = fm.Blocks(array(0, 0), array(), array(0), array(), array(), array())

    assert fm.encode_rows(rows, FORMATS, fm.NXTF, 60)[0].tolist() == [0]
    assert fm.encode_rows(rows, FORMATS, fm.NENGO_LOIHI, 64)[0].tolist() == []


def test_formats_come_back_from_25_bits() -> None:
    table = fm.encode_formats(FORMATS)
    back = fm.decode_formats(table)

    assert table.tolist()[:2] == [7 | 1 << 3 | 5 << 12 | 3 << 15, 7 | 2 << 3 | 7 << 5 | 3 << 9 | 7 << 12 | 1 << 17 | 10 << 21]
    assert [back.one(i) for i in range(4)] == [FORMATS.one(i) for i in range(4)]


def test_weights_of_every_sign_mode() -> None:
    form, stored = array(0, 0, 1, 2, 3), array(255, 127, 255, 7, 32)

    assert FORMATS.weights(form, stored).tolist() == [-2, 254, 255, -224, -256]
    assert FORMATS.contributions(form, stored).tolist() == [-2, 254, 255 << 7, -1, -128]


@pytest.mark.parametrize(
    ("name", "size"),
    [("header", 12), ("compartments", 20), ("decay_profiles", 8), ("threshold_profiles", 4), ("input_axons", 12),
     ("synapse_formats", 4), ("synapse_words", 8), ("output_lists", 8), ("output_axons", 8), ("resets", 12),
     ("lessons", 72), ("learning_products", 8), ("learning_factors", 4)],
)  # fmt: skip
def test_record_sizes(name: str, size: int) -> None:
    assert fm.RECORDS[name].itemsize == size


HEADER = {
    "compartments": 2, "cost_formula": fm.NXTF, "synapses_per_entry": 60, "decay_bits": 12, "current_decay_offset": 1,
    "state_shift": 6, "u_bits": 24, "u_overflow": fm.FOLD, "v_bits": 24, "accumulator_bits": 16, "payload": fm.ONE,
}  # fmt: skip


def header(**changed: int) -> Any:
    table = np.zeros(1, fm.HEADER)
    for name, value in (HEADER | changed).items():
        table[name] = value
    return table


def compartments(**changed: Any) -> Any:
    table = np.zeros(2, fm.COMPARTMENT)
    for name, values in ({"threshold_profile": [0, 1], "bias_mantissa": [-3, 4]} | changed).items():
        table[name] = values
    return table


def lesson(rule: int, first: int, count: int) -> tuple[Any, ...]:
    """A rule with its products, x1 of impulse 16 that keeps 0.9, and a seed of its own."""
    return rule, 4, 0, 1, first, count, 3, 2, 70 + rule, (0.9, 0, 0, 0, 0), (4096, 0, 0, 0, 0), 0


def tables(**changed: Any) -> CoreTables:
    """A core of two compartments and one axon with the words of `test_words_to_the_bit`, with some records changed."""
    records = {
        "header": header(),
        "compartments": compartments(),
        "decay_profiles": np.array([(4095, 100, 5, 0)], fm.DECAY_PROFILE),
        "threshold_profiles": np.array([(64,), (131071,)], fm.THRESHOLD_PROFILE),
        "input_axons": np.array([(0, 1, 0, 0), (0, 1, 7, 0)], fm.INPUT_AXON),
        "synapse_formats": fm.encode_formats(FORMATS),
        "synapse_words": np.array([1 | 1 << 4 | 0 << 10 | 9 << 20 | 254 << 28], "<u8"),
        "output_lists": np.array([(0, 2), (2, 1)], fm.OUTPUT_LIST),
        "output_axons": np.array([(0, 1, 7, 0), (0, 2, 8, 0), (3, 127, 4095, 0)], fm.OUTPUT_AXON),
        "resets": np.array([(0, 2, 9, 4)], fm.RESET),
        "starts": np.array([(1, 1, 3)], fm.START),
        "lessons": np.array([lesson(1, 0, 2), lesson(2, 2, 1)], fm.LESSON),
        "learning_products": np.array(
            [(0, 0, 0, -3, 7, 1, 0), (1, 1, 0, 1, 7, 2, 1), (0, 2, 3, 5, 0, 0, 0)], fm.LEARNING_PRODUCT
        ),
        "learning_factors": np.array([(2, 0, 0), (0, 0, -5), (5, 1, 100)], fm.LEARNING_FACTOR),
    }
    return CoreTables(2, 5, {name: fm.to_bytes(changed.get(name, records[name])) for name in records})


def test_a_core_comes_back() -> None:
    core = fm.decode_core(tables())

    assert core.header["compartments"] == 2
    assert core.compartments["threshold"].tolist() == [64, 131071]
    assert core.compartments["du"].tolist() == [4095, 4095]
    assert core.compartments["refractory"].tolist() == [5, 5]
    assert core.compartments["bias_mantissa"].tolist() == [-3, 4]
    assert core.integrates.tolist() == [True, True]
    assert (core.axon_row.tolist(), core.axon_base.tolist()) == ([0, 0], [0, 7])  # one row, decoded once
    assert {name: values.tolist() for name, values in core.resets.items()} == {
        "first": [0], "count": [2], "interval": [9], "tick": [4],
    }  # fmt: skip
    assert {name: values.tolist() for name, values in core.starts.items()} == {"first": [1], "count": [1], "tick": [3]}
    assert core.start.tolist() == [0, 3]
    assert [one.fields["seed"] for one in core.lessons] == [71, 72]
    assert [one.products.tolist() for one in core.lessons] == [
        [[0, 0, 0, -3, 7, 0, 1], [1, 1, 0, 1, 7, 1, 3]], [[0, 2, 3, 5, 0, 0, 0]],
    ]  # fmt: skip
    assert core.lessons[0].factors.tolist() == [[2, 0, 0], [0, -5, 0], [5, 100, 1]]
    assert core.lessons[0].keep.tolist() == [0.9, 0, 0, 0, 0]
    assert core.rows.index.tolist() == [0, 1]
    assert core.formats.weights(core.rows.item_format, core.rows.weight).tolist() == [18, -4]
    assert core.output_source.tolist() == [0, 0, 1]
    assert list(zip(core.output_chip, core.output_core, core.output_axon, strict=True)) == [
        (0, 1, 7),
        (0, 2, 8),
        (3, 127, 4095),
    ]


PAIRS = "neurons that subtract the next compartment and reset compartments do not form pairs"


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"header": np.zeros(0, fm.HEADER)}, "there is not one header"),
        ({"header": np.zeros(1, fm.HEADER)}, "the header promises 0 compartments, the table has 2"),
        ({"header": header(payload=2)}, "the header's payload is 2, not 0 to 1"),
        ({"header": header(u_bits=0)}, "the header's u_bits is 0, not 2 to 30"),
        ({"header": header(cost_formula=3)}, "the header's cost_formula is 3, not 1 to 2"),
        ({"header": header(decay_bits=255)}, "the header's decay_bits is 255, not 1 to 16"),
        ({"compartments": compartments(reset=[0, 4])}, "a compartment has a reset or a role that does not exist"),
        ({"compartments": compartments(role=[4, 0])}, "a compartment has a reset or a role that does not exist"),
        ({"compartments": compartments(role=[3, 0])}, "programs and the compartments of that role do not match"),
        *(
            ({"compartments": compartments(reset=reset, role=role)}, PAIRS)
            for reset, role in [
                ([2, 0], [0, 0]),  # the next compartment is a neuron
                ([0, 2], [0, 0]),  # there is no next compartment
                ([0, 0], [0, 2]),  # the neuron before does not subtract it
                ([0, 0], [2, 0]),  # there is no neuron before
                ([2, 2], [2, 2]),  # neither is a neuron
            ]
        ),
        ({"compartments": compartments(reset=[2, 0], role=[0, 2])}, "a reset compartment has an output list"),
        ({"synapse_formats": np.array([7], "<u4")}, "a synapse format has no meaning"),
        ({"synapse_formats": np.array([7 | 1 << 3 | 1 << 15], "<u4")}, "a synapse format has no meaning"),
        ({"resets": np.array([(1, 2, 9, 4)], fm.RESET)}, "the reset schedule names compartments that do not exist"),
        ({"resets": np.array([(0, 2, 0, 4)], fm.RESET)}, "the reset schedule has an interval of 0 ticks"),
        ({"starts": np.array([(1, 2, 3)], fm.START)}, "the late starts name compartments that do not exist"),
        ({"starts": np.zeros(7, np.uint8)}, "the table 'starts' does not hold whole records"),
        ({"resets": np.zeros(13, np.uint8)}, "the table 'resets' does not hold whole records"),
        ({"lessons": np.zeros(0, fm.LESSON)}, "a synapse format names a rule of learning that does not exist"),
        (
            {"lessons": np.array([lesson(1, 0, 2), lesson(2, 2, 2)], fm.LESSON)},
            "a rule of learning has an epoch or products that do not exist",
        ),
        ({"learning_factors": np.zeros(2, fm.LEARNING_FACTOR)}, "a product of a rule of learning leaves the table of factors"),
        (
            {"learning_products": np.array([(0, 3, 0, 1, 7, 0, 0)] * 3, fm.LEARNING_PRODUCT)},
            "a product of a rule of learning has no meaning",
        ),
        ({"decay_profiles": np.zeros(0, fm.DECAY_PROFILE)}, "a compartment names a decay profile that does not exist"),
        (
            {"threshold_profiles": np.zeros(1, fm.THRESHOLD_PROFILE)},
            "a compartment names a threshold profile that does not exist",
        ),
        ({"input_axons": np.array([(0, 2, 0, 0)], fm.INPUT_AXON)}, "an input axon points beyond the synapse memory"),
        ({"synapse_words": np.array([9], "<u8")}, "a synapse entry names a format that does not exist"),
        ({"synapse_words": np.array([1 | 59 << 4], "<u8")}, "a synapse entry leaves its row"),
        ({"synapse_words": np.zeros(9, np.uint8)}, "the table 'synapse_words' does not hold whole records"),
        ({"output_lists": np.zeros(1, fm.OUTPUT_LIST)}, "the output lists do not match the compartments"),
        ({"output_axons": np.zeros(1, fm.OUTPUT_AXON)}, "an output list leaves the output-axon table"),
    ],
)
def test_damaged_tables_are_refused(changed: dict[str, Any], what: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        fm.decode_core(tables(**changed))

    assert str(caught.value) == f"error[NC0602 damaged-artifact]: core 5 of chip 2: {what}\nhint:  compile the network again"


def test_another_layout_is_refused() -> None:
    with pytest.raises(ArtifactError) as caught:
        fm.check_format(Program("loihi", "loihi-1", (), {}, {}, 1))

    assert str(caught.value) == (
        "error[NC0603 artifact-version]: the program's format is 'loihi-1'; 'loihi-3' is needed\n"
        "hint:  compile the network again"
    )
