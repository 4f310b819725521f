"""The rows of a core's synapse memory and their cost by both published formulas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp_hwspecs
from neurocomp.errors import InternalError
from neurocomp.hardware import HardwareSpec, read_spec
from neurocomp.ir.quantized import COMPARTMENT, IntegerNetwork, IntegerPopulation, IntegerProjection, SignMode
from neurocomp.mapping.pricing import Pricing, compile_kernels
from neurocomp.mapping.synapse_words import (
    CoreRows,
    RowFormat,
    axon_counts,
    index_bits_of,
    nengo_loihi_bits,
    nonzero_fan_out,
    nxtf_bits,
    nxtf_words,
    rows_of_core,
)
from neurocomp.models.patterns import PATTERNS, Pattern

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
    """All of y on one core, in order; what spikes meet there is counted without the rows, and must be what they hold."""
    inputs = IntegerPopulation("x", (n_source,), "input", {})
    network = IntegerNetwork("n", 1e-3, 1, spec.number_format, {"x": inputs, "y": population("y", n_target)}, projections)
    core = network, [("y", np.arange(n_target), np.arange(n_target))], spec
    found, counted = rows_of_core(*core), axon_counts(*core)
    ends = found.block_start[found.row_start]
    held = [np.count_nonzero(found.weight[a:b]) for a, b in pairwise(ends.tolist())]
    assert np.array_equal(counted.population, found.axon_population)
    assert np.array_equal(counted.neuron, found.axon_neuron)
    assert np.array_equal(counted.synapses, np.diff(ends)[found.axon_row])
    assert np.array_equal(counted.sops, np.array(held, np.int64)[found.axon_row])
    assert np.array_equal(counted.words, found.row_words(found.formula)[found.axon_row])
    return found


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
    assert np.diff(r.block_start).tolist() == [256, 256, 256]
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
    assert np.diff(r.block_start).tolist() == [2, 100]
    assert r.row_words("nxtf").tolist() == [1, 14]


def test_gaps_of_a_run_are_stored_as_zeros() -> None:
    r = rows(sparse([0, 0, 0], [2, 3, 5], [1, 2, 3]), n_source=1, n_target=64)

    assert not r.formats[0].sparse
    assert (r.index.tolist(), r.weight.tolist(), r.axon_base.tolist()) == ([0, 1, 2, 3], [1, 2, 0, 3], [2])


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
    assert r.block_start.tolist() == [0]


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


# Only the core's own synapses, exactly


def random_weights(rng: np.random.Generator, *shape: int) -> Any:
    """Few values, so that rows are alike, and many zeros, so that both layouts occur."""
    return (rng.integers(-2, 3, shape) * (rng.random(shape) < 0.6)).astype(np.int8)


def conv2d(groups: int, stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int]) -> Pattern:
    options = {"kernel": (3, 2), "stride": stride, "padding": padding, "dilation": dilation, "groups": (groups,)}
    return Pattern("conv2d", {}, options)


def patterns(rng: np.random.Generator) -> dict[str, tuple[Pattern, tuple[int, ...], tuple[int, ...]]]:
    """Name -> pattern, shape of the source, shape of the target."""
    conv1d = {"kernel": (3,), "stride": (2,), "padding": (1,), "dilation": (2,), "groups": (1,)}
    listed = {"sources": rng.integers(0, 20, 150), "targets": rng.integers(0, 30, 150)}
    return {
        "dense": (Pattern("dense"), (20,), (30,)),
        "one_to_one": (Pattern("one_to_one"), (30,), (30,)),
        "sparse": (Pattern("sparse", listed), (20,), (30,)),
        "block": (Pattern("block", {"indices": rng.integers(0, 20, (5, 4))}), (20,), (30,)),
        "conv1d": (Pattern("conv1d", {}, conv1d), (3, 13), (4, 6)),
        "conv2d": (conv2d(1, (1, 1), (1, 0), (1, 1)), (3, 6, 5), (4, 6, 4)),
        "stride, dilation": (conv2d(1, (2, 1), (2, 1), (1, 2)), (2, 6, 5), (3, 4, 5)),
        "groups": (conv2d(2, (1, 1), (1, 1), (1, 1)), (4, 4, 3), (6, 4, 4)),
        "one group per channel": (conv2d(4, (1, 1), (1, 0), (1, 1)), (4, 4, 3), (4, 4, 2)),
    }


def stored(r: CoreRows) -> list[tuple[int, int, int, int]]:
    """(source, compartment, weight field, delay) of all stored synapses of weights that are not 0, sorted."""
    found = []
    for axon, row in enumerate(r.axon_row):
        own = slice(r.block_start[r.row_start[row]], r.block_start[r.row_start[row + 1]])
        lists = (r.index[own] + r.axon_base[axon]).tolist(), r.weight[own].tolist(), r.delay[own].tolist()
        found += [(int(r.axon_neuron[axon]), c, w, d) for c, w, d in zip(*lists, strict=True) if w]
    return sorted(found)


@pytest.mark.parametrize("delays", [False, True])
@pytest.mark.parametrize("name", patterns(np.random.default_rng(0)))
def test_a_core_holds_the_synapses_of_its_neurons(name: str, delays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some neurons in any order on any compartments: what is stored is what the list of all synapses holds."""
    rng = np.random.default_rng(len(name))
    pattern, source, target = patterns(rng)[name]
    shape = PATTERNS[pattern.kind].weight_shape(pattern, source, target)
    delay = rng.integers(1, 4, shape) if delays else np.array(2)
    q = IntegerProjection("p", "x", "y", pattern, random_weights(rng, *shape), 1, "mixed", 8, 0, delay)
    populations = {"x": IntegerPopulation("x", source, "input", {}), "y": population("y", int(np.prod(target)))}
    populations["y"] = replace(populations["y"], shape=target)
    network = IntegerNetwork("n", 1e-3, 1, SPEC.number_format, populations, (q,))
    every = network.synapses(q)

    chosen = rng.permutation(populations["y"].size)[: populations["y"].size // 2]
    slots = rng.permutation(len(chosen) + 3)[: len(chosen)]
    wanted = []
    weights, at = q.mantissa.reshape(-1), np.broadcast_to(delay, shape).reshape(-1)
    slot_of = dict(zip(chosen.tolist(), slots.tolist(), strict=True))
    for s, t, w in zip(every.source.tolist(), every.target.tolist(), every.slot.tolist(), strict=True):
        if t in slot_of and weights[w]:
            wanted.append((s, slot_of[t], int(weights[w]) & 0xFF, int(at[w]) - 1))
    asked: list[Any] = []
    listing = IntegerNetwork.synapses

    def asking(self: IntegerNetwork, q: IntegerProjection, neurons: Any = None) -> Any:
        asked.append(neurons)
        return listing(self, q, neurons)

    monkeypatch.setattr(IntegerNetwork, "synapses", asking)
    r = rows_of_core(network, [("y", chosen, slots)], SPEC)
    assert stored(r) == sorted(wanted)
    assert len(wanted) > 5
    assert r.axon_neuron.tolist() == np.unique(every.source[np.isin(every.target, chosen)]).tolist()
    assert all(neurons is not None and set(neurons.tolist()) <= set(chosen.tolist()) for neurons in asked)
    for row in range(len(r.row_start) - 1):
        own = r.index[r.block_start[r.row_start[row]] : r.block_start[r.row_start[row + 1]]]
        assert own.min(initial=0) == 0
    monkeypatch.setattr("neurocomp.mapping.synapse_words.SYNAPSES_AT_ONCE", 7)
    fan_out = np.bincount(every.source[weights[every.slot] != 0], minlength=populations["x"].size)
    assert nonzero_fan_out(network, q).tolist() == fan_out.tolist()


def test_rows_that_are_shifts_of_one_another_are_stored_once() -> None:
    """x[i] -> y[i] and y[i + 1], with weights 1 and 2: all rows but the last are one, at bases 0, 1, 2, …"""
    n = 50
    first, second = (sparse(range(n - shift), range(shift, n), [shift + 1] * (n - shift)) for shift in (0, 1))
    both = Pattern("sparse", {
        key: np.concatenate([first.pattern.arrays[key], second.pattern.arrays[key]]) for key in ("sources", "targets")
    })  # fmt: skip
    q = replace(first, pattern=both, mantissa=np.concatenate([first.mantissa, second.mantissa]))
    r = rows(q, n_source=n, n_target=n)

    assert r.axon_row.tolist() == [0] * (n - 1) + [1]
    assert r.axon_base.tolist() == list(range(n))
    assert (r.index.tolist(), r.weight.tolist()) == ([0, 1, 0], [1, 2, 1])
    assert r.words == 2


def test_the_base_of_a_row_is_the_smallest_of_all_its_blocks() -> None:
    """Two projections of one source: the second one begins lower."""
    r = rows(sparse([0], [7], [1], "p"), sparse([0], [4], [2], "q"), n_source=1, n_target=9)

    assert (r.axon_base.tolist(), r.index.tolist(), r.weight.tolist()) == ([4], [3, 0], [1, 2])


def test_rows_differ_by_the_distance_of_their_blocks() -> None:
    """Equal blocks, but of the second source they lie further apart."""
    r = rows(sparse([0, 1], [3, 5], [1, 1], "p"), sparse([0, 1], [4, 7], [2, 2], "q"), n_source=2, n_target=9)

    assert r.axon_row.tolist() == [0, 1]
    assert (r.axon_base.tolist(), r.index.tolist()) == ([3, 5], [0, 1, 0, 2])


def test_rows_of_one_digest_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored does not depend on digests: with a digest that all rows share it is the same."""
    rng = np.random.default_rng(5)
    projections = [dense(random_weights(rng, 2, 30), name=name) for name in "pq"]
    usual = rows(*projections, n_source=30, n_target=2)
    monkeypatch.setattr("neurocomp.mapping.synapse_words.mixed", lambda values: values * 0)
    same = rows(*projections, n_source=30, n_target=2)

    assert 1 < len(usual.row_start) - 1 < 30
    for name in ("axon_row", "axon_base", "row_start", "block_format", "block_start", "index", "weight", "delay"):
        assert np.array_equal(getattr(usual, name), getattr(same, name)), name


def test_no_row_runs_over_a_reset_compartment() -> None:
    """Neurons on compartments 0, 2, 4, …: an index per synapse; a single synapse is a run."""
    network = IntegerNetwork(
        "n", 1e-3, 1, SPEC.number_format,
        {"x": IntegerPopulation("x", (2,), "input", {}), "y": replace(population("y", 4), compartments=2)},
        (sparse([0, 0, 0, 0, 1], [0, 1, 2, 3, 2], [1, 2, 3, 4, 5]),),
    )  # fmt: skip
    r = rows_of_core(network, [("y", np.arange(4), 2 * np.arange(4))], SPEC)

    assert r.compartments == 8
    assert [r.formats[form].sparse for form in r.block_format] == [True, False]
    assert (r.axon_base.tolist(), r.index.tolist()) == ([0, 4], [0, 2, 4, 6, 0])


def test_delay_bits_are_those_of_the_core() -> None:
    """The synapses onto y[1] have long delays; a core without it stores none."""
    q = dense([[1], [1]], delay=[[1], [9]])
    network = IntegerNetwork(
        "n", 1e-3, 1, SPEC.number_format, {"x": IntegerPopulation("x", (1,), "input", {}), "y": population("y", 2)}, (q,)
    )
    bits = [rows_of_core(network, [("y", array(n), array(0))], SPEC).formats[0].delay_bits for n in (0, 1)]

    assert bits == [0, 4]


# Prices


@pytest.mark.parametrize("formula", ["nxtf", "nengo_loihi"])
@pytest.mark.parametrize("name", patterns(np.random.default_rng(0)))
def test_the_price_is_that_of_the_rows(name: str, formula: str) -> None:
    """Two populations on a core, each with sources of its own: runs, neurons here and there, reset compartments, delays."""
    compile_kernels()
    spec, layouts = with_formula(formula), set[bool]()
    for seed in range(24):
        rng = np.random.default_rng([seed, len(name)])
        pattern, source, target = patterns(rng)[name]
        shape = PATTERNS[pattern.kind].weight_shape(pattern, source, target)
        wide, zeros = bool(seed & 1), (0.0, 0.05, 0.6, 1.0)[seed // 2 % 4]
        weights = (rng.integers(-2, 3, shape) * (rng.random(shape) >= zeros)).astype(np.int8 if seed % 3 else np.int16)
        delays = rng.integers(1, 4, shape) if seed & 4 else np.array(1 + seed % 3)
        mode: SignMode = "inhibitory" if seed >= 16 else "mixed"
        bits, shift = ((8, 1), (5, 4), (4, 4))[seed // 8]
        weights = abs(weights) if mode == "inhibitory" else weights
        first = IntegerProjection("p", "x", "y", pattern, weights, shift, mode, bits, seed % 2, delays)
        second = dense(rng.integers(-1, 2, (6, 9)).astype(np.int8), name="q")
        second = replace(second, source="u", target="z")
        y, z = population("y", int(np.prod(target))), population("z", 6)
        populations = {
            "x": IntegerPopulation("x", source, "input", {}), "u": IntegerPopulation("u", (9,), "input", {}),
            "y": replace(y, shape=target, compartments=1 + wide), "z": z,
        }  # fmt: skip
        network = IntegerNetwork("n", 1e-3, 1, SPEC.number_format, populations, (first, second))
        pricing = Pricing(network, spec)
        width = 1 + wide
        for run in (True, False):
            n = int(rng.integers(1, y.size + 1))
            begin = int(rng.integers(y.size - n + 1))
            own = np.arange(begin, begin + n) if run else rng.permutation(y.size)[:n]
            for members in (
                [("y", own, np.arange(n) * width)],
                [("z", np.arange(6), np.arange(6)), ("y", own, 6 + np.arange(n) * width)],
            ):
                r, price = rows_of_core(network, members, spec), pricing.price(members)
                assert price is not None
                longest = max((f.delay_bits for f in r.formats), default=0)
                assert (price.words, price.formats, price.delay_bits) == (r.words, len(r.formats), longest), (seed, run)
                layouts |= {f.sparse for f in r.formats}
    assert layouts == {False, True}


def test_rows_of_several_blocks_have_no_price() -> None:
    """Then the rows are laid out."""
    two = dense(np.ones((3, 2)), name="a"), dense(np.ones((3, 2)), name="b")
    populations = {"x": IntegerPopulation("x", (2,), "input", {}), "y": population("y", 3)}
    network = IntegerNetwork("n", 1e-3, 1, SPEC.number_format, populations, two)
    assert Pricing(network, SPEC).price([("y", np.arange(3), np.arange(3))]) is None
