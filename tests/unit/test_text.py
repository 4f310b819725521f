"""The canonical text of every stage, pinned whole."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

import numpy as np
import pytest

from neurocomp.artifact import Artifact
from neurocomp.ir import text
from neurocomp.ir.lowered import Representative
from neurocomp.ir.mapped import Route
from neurocomp.ir.network import Data, NativeWeights, Samples, Stage, frozen
from neurocomp.ir.quantized import IntegerPopulation, Verdict
from neurocomp.models.patterns import Pattern

INTEGERS = """\
number format loihi
  weight_bits 8, weight_exp_min -8, weight_exp_max 7, decay_bits 12, current_decay_offset 1
  state_shift 6, threshold_bits 17, bias_bits 12, bias_exp_max 7, u_bits 24
  u_overflow fold, v_bits 24, accumulator_bits 16
populations
  pixels [3] input
  hidden [2, 2] compartment
    du 0, dv 200, bias_mant 0, bias_exp 0, u_init 0, v_init 0
    vth int64 [4] 100 150 200 10
  digits [2] compartment silent
    du 0, dv 1, vth 0, bias_mant 0, bias_exp 0, u_init 0, v_init 0
projections
"""


def test_network(tiny: Artifact) -> None:
    assert text.network_text(tiny.network) == dedent(
        """\
        network tiny: 8 ticks of 0.001 s
        populations
          pixels [3] input
          hidden [2, 2] lif
            tau_mem 0.02, r 1.0, v_init 0.0
            v_threshold float32 [4] 1.0 1.5 2.0 0.1
            integration exact, input delta, threshold_on new, compare >, spikes_per_tick one, reset zero, reset_when same_tick
          digits [2] li
            tau_mem inf, r 1.0, v_init 0.0
            integration exact, input delta, threshold_on new, compare >, spikes_per_tick one, reset zero, reset_when same_tick
        projections
          p0: pixels -> hidden dense, delay 0
            weights float32 [4, 3] -1.5 -1.25 -1.0 -0.75 -0.5 -0.25 0.0 0.25 0.5 0.75 1.0 1.25
            bias float64 [4] 0.0 0.0 0.0 0.0
          p1: hidden -> digits sparse (sources int64 [3] 0 1 3; targets int64 [3] 1 0 1), delay int64 [3] 0 1 2
            weights float64 [3] 0.5 -0.25 1.0
        encoders
          pixels  bernoulli  gain 0.5, seed 7, mode plain
        decoders
          digits  potential
        data
          scale 0.00392156862745098
          samples pixels uint8 [5, 3] 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14
          samples labels int64 [5] 0 1 0 1 0
          calibration pixels uint8 [5, 3] 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14
          calibration labels int64 [5] 0 1 0 1 0
        choices
          hidden  compare  >  (default)
        """
    )


def test_sections_without_content_are_left_out(tiny: Artifact) -> None:
    bare = replace(tiny.network, encoders={}, decoders={}, data=Data(), choices=(), projections=(), populations={})
    assert text.network_text(bare) == "network tiny: 8 ticks of 0.001 s\npopulations\n"


def test_native_integers_and_unusual_semantics(tiny: Artifact) -> None:
    hidden = tiny.network.populations["hidden"]
    assert hidden.neuron is not None
    semantics = replace(hidden.neuron.semantics, reset="value", reset_value=0.25, v_floor=-1.0, refractory=2, reset_interval=4)
    neuron = replace(hidden.neuron, number_format="loihi", semantics=semantics)
    projection = replace(tiny.network.projections[0], native=NativeWeights(2, 6))
    network = replace(tiny.network, populations={"hidden": replace(hidden, neuron=neuron)}, projections=(projection,))
    lines = text.network_text(network).splitlines()
    assert "  hidden [2, 2] lif, integers of loihi" in lines
    assert any(
        line.endswith(
            "reset value, reset_when same_tick, reset_value 0.25, refractory 2, v_floor -1.0, reset_interval 4, reset_offset 0"
        )
        for line in lines
    )
    assert "    native integers: 6 bits, exponent 2, signs by content" in lines


def test_quantized(tiny: Artifact) -> None:
    assert text.quantized_text(tiny.integers) == (
        """\
quantized tiny: 8 ticks of 0.001 s, integers of loihi
scale of hidden: integer = real * 100.0
  v_threshold  0.1 .. 2.0  10 .. 200
  tau_mem      20 ms       200 (19.97 ms)
verdicts
  hidden.accumulator proved always: |accumulator| <= 766 < 32768
  hidden.u proved for 8 ticks: |u| <= 49024 < 8388608
  hidden.v observed: |v| <= 12345 < 8388606 in 5 samples
  digits.accumulator proved always: |accumulator| <= 766 < 32768
  digits.u proved for 8 ticks: |u| <= 49024 < 8388608
  digits.v observed: |v| <= 12345 < 8388606 in 5 samples
warnings
  1 of 12 weights rounded to 0
"""
        + INTEGERS
        + """\
  p0: pixels -> hidden dense, delay 0
    mixed, 8 bits, shift 1, exponent 0
    mantissa int8 [4, 3] -60 -50 -40 -30 -20 -10 0 10 20 30 40 50
  p1: hidden -> digits sparse (sources int64 [3] 0 1 3; targets int64 [3] 1 0 1), delay int64 [3] 0 1 2
    mixed, 8 bits, shift 1, exponent 2
    mantissa int8 [3] 50 -25 100
"""
    )


def test_lowered(tiny: Artifact) -> None:
    lossy = {**tiny.lowered.map, "digits": Representative("digits", 2, True, "its start is approximated")}
    lowered = replace(tiny.lowered, map=lossy)
    assert text.lowered_text(lowered) == (
        """\
lowered tiny: 8 ticks of 0.001 s, integers of loihi, largest lag 2
map
  pixels  -> pixels  lag 0  exact
  hidden  -> hidden  lag 1  exact
  digits  -> digits  lag 2  lossy: its start is approximated
lags
  pixels  0
  hidden  1
  digits  2
notes
  every hop takes one tick
"""
        + INTEGERS
        + """\
  p0: pixels -> hidden dense, delay 1
    mixed, 8 bits, shift 1, exponent 0
    mantissa int8 [4, 3] -60 -50 -40 -30 -20 -10 0 10 20 30 40 50
  p1: hidden -> digits sparse (sources int64 [3] 0 1 3; targets int64 [3] 1 0 1), delay int64 [3] 1 2 3
    mixed, 8 bits, shift 1, exponent 2
    mantissa int8 [3] 50 -25 100
"""
    )


def test_mapped(tiny: Artifact) -> None:
    assert text.mapped_text(tiny.mapped) == dedent(
        """\
        mapped tiny: 2 cores on 1 chip
        core 0 (chip 0, core 0, tile 0 0): 4 neurons, 3 input axons, 9 words
          hidden[0:4] in slots [0:4]
          axons from pixels[0:3]
        core 1 (chip 0, core 4, tile 1 0): 2 neurons, 3 input axons, 3 words
          digits[0:2] in slots [0:2]
          axons from hidden[0:2] [3]
        routes: 1, 0 of them from a core to itself, sha256 7f4a894929e0
          all: hops x 1, y 0; chips crossed 0
          0 -> 1: hops x 1, y 0; chips crossed 0
        """
    )


def test_many_routes_are_summarised(tiny: Artifact) -> None:
    routes = tuple(Route(0, target, target, 1, 0) for target in range(20))
    lines = text.mapped_text(replace(tiny.mapped, routes=routes)).splitlines()
    assert lines[-2].startswith("routes: 20, 1 of them from a core to itself, sha256 ")
    assert lines[-1] == "  all: hops x 190, y 20; chips crossed 0"


def test_program(tiny: Artifact) -> None:
    assert text.program_text(tiny.program) == dedent(
        f"""\
        program for loihi, format loihi-1: 2 cores, 8 ticks, largest lag 2
        sha256 {tiny.program.digest()}
        core 0 (chip 0, core 0)
          synapses  72 bytes  sha256 107de2bc788e
          axons     0 bytes   sha256 e3b0c44298fc
        core 1 (chip 0, core 4)
          synapses  24 bytes  sha256 5b8b4d29020e
        symbols
          hidden [2, 2] lag 1, on cores [0], sha256 9372cbe73471
          digits [2] lag 2, on cores [1], sha256 b98406b651db
          pixels [3] input to 3 input axons on cores [0], sha256 f92cf49d1770
        """
    )


def test_any_change_of_a_large_array_shows() -> None:
    values = np.zeros((5, 5))
    changed = values.copy()
    changed[2, 2] = -0.0
    assert text.array_text(values) != text.array_text(changed)
    assert text.array_text(values) == text.array_text(np.asfortranarray(values)) == text.array_text(values.astype(">f8"))


def test_numbers_are_written_as_the_dtype_has_them() -> None:
    assert text.array_text(np.float32(0.1).reshape(())) == "0.1"
    assert text.array_text(np.array([0.1, 1e-9], np.float32)) == "float32 [2] 0.1 1e-09"
    assert text.array_text(np.array([True, False])) == "bool [2] True False"
    assert text.array_text(np.zeros((0, 3), np.int8)) == "int8 [0, 3]"
    assert text.array_text(np.arange(17)).startswith("int64 [17] 0 .. 16, sha256 ")


def test_scattered_indices_are_summarised() -> None:
    scattered = text.ranges_text(range(0, 100, 2))
    assert scattered.startswith("[0 ... 98: 50 ranges, sha256 ")
    assert scattered != text.ranges_text([*range(0, 96, 2), 97, 98])


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict("a", "v", "proved for T ticks", 5, 9, 1), "a.v proved for 1 tick: |v| <= 5 < 9"),
        (Verdict("a", "u", "observed", 9, 9, None, 1), "a.u observed: |u| <= 9 = 9 in 1 sample"),
        (Verdict("a", "u", "observed", 10, 9, None, 2), "a.u observed: |u| <= 10 > 9 in 2 samples"),
    ],
)
def test_verdicts(verdict: Verdict, expected: str) -> None:
    assert text.verdict_text(verdict) == expected


def test_data_without_labels(tiny: Artifact) -> None:
    data = Data(Samples({"pixels": np.zeros((2, 3), np.uint8)}), None, 1.0)
    assert "\ndata\n  scale 1.0\n  samples pixels uint8 [2, 3] 0 0 0 0 0 0\nchoices" in text.network_text(
        replace(tiny.network, data=data)
    )


def test_a_chain_is_written_pattern_by_pattern(tiny: Artifact) -> None:
    window = {"kernel": (2, 3), "stride": (1, 1), "padding": (0, 0)}
    stages = (Stage(Pattern("avgpool2d", {}, window), frozen(np.float64(1.0)), (1, 2, 2)),)
    q = replace(tiny.network.projections[1], before=stages, delay=frozen(np.int64(1)))
    lines = text.network_text(replace(tiny.network, projections=(q,))).splitlines()
    start = lines.index("projections")
    assert lines[start + 1 : start + 5] == [
        "  p1: hidden -> digits, a chain of 2, delay 1",
        "    avgpool2d (kernel 2x3; stride 1x1; padding 0x0) makes [1, 2, 2], weights 1.0",
        "    sparse (sources int64 [3] 0 1 3; targets int64 [3] 1 0 1)",
        "    weights float64 [3] 0.5 -0.25 1.0",
    ]


def test_unusual_integer_populations_and_projections(tiny: Artifact) -> None:
    network = tiny.lowered.network
    hidden = replace(
        network.populations["hidden"], reset="subtract", refractory=1, reset_interval=5, reset_offset=6, current="drive",
        compartments=2, start=1,
    )  # fmt: skip
    digits = replace(network.populations["digits"], compare=">=")
    drive = IntegerPopulation("drive", (2, 2), "current", {})
    pool = Pattern("maxpool1d", {}, {"kernel": (2,), "stride": (2,), "padding": (0,)})
    changed = replace(
        network,
        populations={"drive": drive, "hidden": hidden, "digits": digits},
        projections=(replace(network.projections[0], pool=pool, binary=False),),
    )
    lowered = replace(tiny.lowered, network=changed, extensions=("ternary spikes",))
    lines = text.lowered_text(lowered).splitlines()

    at = lines.index("extensions (not on this chip)")
    assert lines[at : at + 3] == ["extensions (not on this chip)", "  ternary spikes", "notes"]
    at = lines.index("populations")
    assert lines[at + 1 :] == [
        "  drive [2, 2] current",
        "  hidden [2, 2] compartment reset every 5 ticks at 6",
        "    du 0, dv 200, bias_mant 0, bias_exp 0, u_init 0, v_init 0",
        "    vth int64 [4] 100 150 200 10",
        "    reset subtract, refractory 1 tick, current from drive, started in tick 1, 2 compartments per neuron",
        "  digits [2] compartment silent",
        "    du 0, dv 1, vth 0, bias_mant 0, bias_exp 0, u_init 0, v_init 0",
        "    compare >=",
        "projections",
        "  p0: pixels -> hidden dense, delay 1",
        "    of maxpool1d (kernel 2; stride 2; padding 0)",
        "    mixed, 8 bits, shift 1, exponent 0, graded spikes",
        "    mantissa int8 [4, 3] -60 -50 -40 -30 -20 -10 0 10 20 30 40 50",
    ]
