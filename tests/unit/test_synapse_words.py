"""The rows of a core's synapse memory and their cost by both published formulas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp_hwspecs
from neurocomp.errors import InternalError
from neurocomp.hardware import HardwareSpec, read_spec
from neurocomp.ir.quantized import COMPARTMENT, IntegerNetwork, IntegerPopulation, IntegerProjection, SignMode
from neurocomp.mapping.synapse_words import (
    CoreRows,
    RowFormat,
    index_bits_of,
    nengo_loihi_bits,
    nxtf_bits,
    nxtf_words,
    rows_of_core,
)
from neurocomp.models.patterns import Pattern

SPEC = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml")


def array(*values: int) -> Any:
    return np.array(values, np.int64)


def population(name: str, size: int) -> IntegerPopulation:
    return IntegerPopulation(name, (size,), "compartment", {key: np.array(0) for key in COMPARTMENT})


def dense(mantissa: Any, *, mode: SignMode = "mixed", bits: int = 8, delay: Any = 1, name: str = "p") -> IntegerProjection:
    """A projection x -> y; its weights are ``mantissa`` times the step of the format."""
    values = np.asarray(mantissa, np.int8 if mode == "mixed" else np.uint8)
    shift = 8 - bits + (mode == "mixed")
    return IntegerProjection(name, "x", "y", Pattern("dense"), values, shift, mode, bits, 0, np.asarray(delay, np.int64))


def sparse(sources: Sequence[int], targets: Sequence[int], mantissa: Sequence[int], name: str = "p") -> IntegerProjection:
    pattern = Pattern("sparse", {"sources": np.array(sources), "targets": np.array(targets)})
    return IntegerProjection(name, "x", "y", pattern, np.array(mantissa, np.int8), 1, "mixed", 8, 0, np.array(1))


def rows(*projections: IntegerProjection, n_source: int, n_target: int, spec: HardwareSpec = SPEC) -> CoreRows:
    """All of y on one core, in order."""
    inputs = IntegerPopulation("x", (n_source,), "input", {})
    network = IntegerNetwork("n", 1e-3, 1, spec.number_format, {"x": inputs, "y": population("y", n_target)}, projections)
    return rows_of_core(network, [("y", np.arange(n_target), np.arange(n_target))], spec)


def with_formula(formula: str) -> HardwareSpec:
    return replace(SPEC, synapse_cost=formula)


# The formulas


@pytest.mark.parametrize(
    ("synapses", "bits"),
    [(1, 64), (6, 64), (7, 128), (14, 128), (64, 576), (65, 640), (128, 1152), (256, 2304), (1024, 9216)],
)
def test_nengo_loihi_dense(synapses: int, bits: int) -> None:
    """The values that nengo-loihi prints, also with the first index that our runs store and its runs do not."""
    form = RowFormat("mixed", 8, 0, 0, index_bits_of(synapses), sparse=False)

    assert nengo_loihi_bits(array(synapses), array(8), array(10)) == bits
    assert nengo_loihi_bits(array(synapses), array(form.synapse_bits), array(form.header_bits)) == bits


@pytest.mark.parametrize(("synapses", "bits"), [(64, 1216), (256, 4864), (1024, 19456)])
def test_nengo_loihi_sparse(synapses: int, bits: int) -> None:
    form = RowFormat("mixed", 8, 0, 0, 10, sparse=True)

    assert nengo_loihi_bits(array(synapses), array(form.synapse_bits), array(form.header_bits)) == bits


def test_nxtf() -> None:
    """bits = 4 + 6 + index + n * weight for each entry of at most 60; words as `SynapseGroup._updateCost` rounds them."""
    bits = nxtf_bits(array(1, 60, 61, 256), array(8), array(18), 60)

    assert bits.tolist() == [26, 498, 36 + 488, 5 * 18 + 2048]
    assert nxtf_words(bits).tolist() == [1, 8, 9, 34]
    assert nxtf_words(array(0, 58, 59, 63, 64, 65, 122, 123)).tolist() == [1, 1, 2, 2, 2, 2, 2, 3]


def test_index_bits_skip_the_widths_that_do_not_exist() -> None:
    assert [index_bits_of(n) for n in (0, 1, 2, 64, 65, 512, 513, 1024, 4096)] == [0, 0, 6, 6, 7, 9, 10, 10, 12]


# Rows


def test_a_full_row_is_dense_and_known_to_the_bit() -> None:
    r = rows(dense(np.arange(768).reshape(256, 3) % 100 + 1), n_source=3, n_target=256)

    assert r.formats == (RowFormat("mixed", 8, 0, 0, 8, sparse=False),)
    assert r.row_words("nxtf").tolist() == [34, 34, 34]
    assert (r.words, r.words_by("nxtf"), r.words_by("nengo_loihi")) == (102, 102, 108)
    assert r.axon_synapses.tolist() == [256, 256, 256]
    assert np.array_equal(r.index.reshape(3, 256), np.tile(np.arange(256), (3, 1)))


def test_a_mostly_empty_row_is_sparse_and_stores_no_zeros() -> None:
    weights = np.zeros((100, 2))
    weights[[3, 90], 0] = [5, -7]
    weights[:, 1] = 1
    r = rows(dense(weights), n_source=2, n_target=100)

    assert r.formats == (RowFormat("mixed", 8, 0, 0, 7, sparse=False), RowFormat("mixed", 8, 0, 0, 7, sparse=True))
    assert r.block_format.tolist() == [1, 0]
    assert (r.index[:2].tolist(), r.weight[:2].tolist()) == ([0, 87], [5, 256 - 7])
    assert r.axon_base.tolist() == [3, 0]
    assert (r.axon_synapses.tolist(), r.axon_sops.tolist()) == ([2, 100], [2, 100])
    assert r.row_words("nxtf").tolist() == [1, 14]


def test_gaps_of_a_run_are_stored_as_zeros() -> None:
    r = rows(sparse([0, 0, 0], [2, 3, 5], [1, 2, 3]), n_source=1, n_target=64)

    assert not r.formats[0].sparse
    assert (r.index.tolist(), r.weight.tolist(), r.axon_base.tolist()) == ([0, 1, 2, 3], [1, 2, 0, 3], [2])
    assert (r.axon_synapses.tolist(), r.axon_sops.tolist()) == ([4], [3])


def test_a_tie_is_dense() -> None:
    """Two synapses: dense 10 + 6 + 3 * 8 = 40 bits; sparse 10 + 2 * 14 = 38; with one more compartment between them 48."""
    near, far = (rows(sparse([0, 0], [0, last], [1, 1]), n_source=1, n_target=64) for last in (1, 2))
    one = rows(sparse([0], [7], [1]), n_source=1, n_target=64)

    assert [r.formats[0].sparse for r in (near, far, one)] == [False, True, False]


def test_two_synapses_onto_one_compartment_are_sparse() -> None:
    r = rows(sparse([0, 0, 0], [0, 1, 1], [1, 2, 3]), n_source=1, n_target=2)

    assert r.formats[0].sparse
    assert (r.index.tolist(), r.weight.tolist()) == ([0, 1, 1], [1, 2, 3])


def test_identical_rows_are_stored_once() -> None:
    weights = np.array([[1, 2, 1, 0], [3, 4, 3, 0]])
    r = rows(dense(weights), n_source=4, n_target=2)

    assert r.axon_row.tolist() == [0, 1, 0, 2]
    assert r.axon_neuron.tolist() == [0, 1, 2, 3]
    assert r.row_words("nxtf").tolist() == [1, 1, 1]
    assert r.row_words("nengo_loihi").tolist() == [1, 1, 0]


def test_a_row_has_one_block_per_projection_in_order() -> None:
    r = rows(
        dense([[1], [2]], name="p"),
        dense([[3], [4]], mode="excitatory", bits=4, delay=[[1], [6]], name="q"),
        n_source=1, n_target=2,
    )  # fmt: skip

    assert r.formats == (RowFormat("mixed", 8, 0, 0, 6, sparse=False), RowFormat("excitatory", 4, 0, 3, 6, sparse=False))
    assert r.block_start.tolist() == [0, 2, 4]
    assert (r.weight.tolist(), r.delay.tolist()) == ([1, 2, 3, 4], [0, 0, 0, 5])
    assert r.row_words("nxtf").tolist() == [2]  # 16 + 16 + 16 + 14 = 62 bits leave less than 6
    assert r.row_words("nengo_loihi").tolist() == [2]


@pytest.mark.parametrize(("delay", "bits"), [(1, 0), (2, 3), (8, 3), (9, 4), (32, 5), (63, 6)])
def test_delay_bits(delay: int, bits: int) -> None:
    assert rows(dense([[1]], delay=delay), n_source=1, n_target=1).formats[0].delay_bits == bits


@pytest.mark.parametrize(("bits", "stored"), [(1, 1), (6, 6), (7, 8), (8, 8)])
def test_seven_bits_are_stored_as_eight(bits: int, stored: int) -> None:
    r = rows(dense([[1]], mode="excitatory", bits=bits), n_source=1, n_target=1)

    assert r.formats[0].weight_bits == stored
    assert r.weight.tolist() == [(1 << (8 - bits)) >> (8 - stored)]


def test_inhibitory_weights_are_magnitudes() -> None:
    r = rows(dense([[200]], mode="inhibitory"), n_source=1, n_target=1)

    assert (r.formats[0].sign_mode, r.weight.tolist()) == ("inhibitory", [200])


def test_the_layout_follows_the_formula_that_binds() -> None:
    weights = np.zeros((64, 1))
    weights[:6] = 1
    weights[[0, 7]] = 1
    by = {name: rows(dense(weights), n_source=1, n_target=64, spec=with_formula(name)) for name in ("nxtf", "nengo_loihi")}

    for name, r in by.items():
        assert r.words == r.words_by(name)
        assert r.formula == name


def test_neurons_and_compartments_may_be_in_any_order() -> None:
    network = IntegerNetwork(
        "n", 1e-3, 1, SPEC.number_format, {"x": IntegerPopulation("x", (2,), "input", {}), "y": population("y", 4)},
        (dense([[1, 2], [3, 4], [5, 6], [7, 8]]),),
    )  # fmt: skip
    r = rows_of_core(network, [("y", array(3), array(1)), ("y", array(1), array(0))], SPEC)

    assert r.compartments == 2
    assert (r.index.tolist(), r.weight.tolist()) == ([0, 1, 0, 1], [3, 7, 4, 8])


def test_a_core_without_synapses() -> None:
    r = rows(n_source=1, n_target=3)

    assert (r.words, len(r.axon_row), r.formats, r.compartments) == (0, 0, (), 3)
    assert r.axon_synapses.tolist() == r.axon_sops.tolist() == []


def test_weights_that_a_field_cannot_hold_are_our_bug() -> None:
    projection = replace(dense([[1]], bits=8), weight_bits=4)

    with pytest.raises(InternalError, match="the weights of 'p' are whole numbers of 4 bits"):
        rows(projection, n_source=1, n_target=1)


@pytest.mark.parametrize("formula", ["nxtf", "nengo_loihi"])
@pytest.mark.parametrize("seed", range(5))
def test_costs_by_counting(formula: str, seed: int) -> None:
    """The vectorised cost is the one that a loop over rows, entries and synapses counts."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(-128, 128, (150, 20)) * (rng.random((150, 20)) < rng.random(20))
    r = rows(dense(weights, delay=rng.integers(1, 9, (150, 20))), n_source=20, n_target=150, spec=with_formula(formula))
    words = 0
    for column in {tuple(c) for c in r_columns(r)}:
        bits = 0
        for form, synapses in column:
            f = r.formats[form]
            limit = 60 if formula == "nxtf" else 64
            for first in range(0, len(synapses), limit):
                entry = f.header_bits + len(synapses[first : first + limit]) * f.synapse_bits
                bits += entry if formula == "nxtf" else -(-entry // 64) * 64
        words += -(-bits // 64) + (formula == "nxtf" and (bits % 64 == 0 or bits % 64 >= 59))

    assert r.words == words


def r_columns(r: CoreRows) -> list[tuple[tuple[int, tuple[tuple[int, int, int], ...]], ...]]:
    """Every axon's row as nested tuples (format, synapses)."""
    items = list(zip(r.index.tolist(), r.weight.tolist(), r.delay.tolist(), strict=True))
    blocks = [
        (int(r.block_format[b]), tuple(items[r.block_start[b] : r.block_start[b + 1]])) for b in range(len(r.block_format))
    ]
    return [tuple(blocks[r.row_start[row] : r.row_start[row + 1]]) for row in r.axon_row]
