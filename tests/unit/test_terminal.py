"""Text for terminals: numbers, verdicts, choices, bars."""

from __future__ import annotations

import doctest
from dataclasses import replace
from io import StringIO

from rich.console import Console, RenderableType

from neurocomp.energy.baselines import Baselines, Convention, Layer, Row
from neurocomp.energy.conventions import CONSTANTS
from neurocomp.energy.joules import Interval
from neurocomp.ir.network import Choice
from neurocomp.ir.quantized import Verdict
from neurocomp.report import terminal


def text(part: RenderableType, width: int = 80) -> list[str]:
    console = Console(file=StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(part)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_examples() -> None:
    failed, tried = doctest.testmod(terminal)
    assert (failed, tried > 0) == (0, True)


def test_si() -> None:
    assert [terminal.si(value, "J") for value in (9.998e-7, 0.99999, 1, 1234.5, 1e-17, -2e-3)] == [
        "1 µJ",
        "1 J",
        "1 J",
        "1,234 J",
        "0.01 fJ",
        "-2 mJ",
    ]


def test_verdicts() -> None:
    proved = Verdict("hidden", "u", "proved always", 10, 100)
    observed = [Verdict("hidden", register, "observed", 71, 100, samples=64) for register in ("accumulator", "v")]
    assert terminal.verdicts([proved] * 3) == "all 3 registers are proved never to clip or wrap"
    assert terminal.verdicts([proved, *observed]) == (
        "1 of 3 registers proved not to clip or wrap; "
        "observed: hidden.accumulator up to 71 %, hidden.v up to 71 % in 64 samples"
    )
    assert terminal.verdicts([proved, *observed * 2]).endswith("hidden.accumulator up to 71 % and 1 more in 64 samples")
    unseen = [Verdict("hidden", register, "observed", 0, 100) for register in ("accumulator", "v")]
    assert terminal.verdicts([proved, *unseen * 2]) == (
        "1 of 5 registers proved not to clip or wrap; "
        "neither proved nor observed, as there are no data: hidden.accumulator, hidden.v, hidden.accumulator and 1 more"
    )


def test_choices_are_grouped() -> None:
    axes = (("compare", ">"), ("reset", "zero"))
    left_open = [Choice(name, axis, value, "default") for name in "ab" for axis, value in axes]
    left_open.append(Choice("c", "compare", ">=", "NIR"))
    assert terminal.choices(left_open) == "a, b: compare >, reset zero (default); c: compare >= (NIR)"


def test_facts_wrap_under_their_text() -> None:
    assert text(terminal.facts([("note", "one two three four"), ("x", "five")]), 16) == [
        "note  one two",
        "      three four",
        "x     five",
    ]


def test_table_aligns_numbers_right() -> None:
    assert text(terminal.table(("name", "count"), [("a", "1"), ("long-name", "1,000")])) == [
        "name       count",
        "a              1",
        "long-name  1,000",
    ]


def test_names_of_users_are_no_markup() -> None:
    assert text(terminal.table(("name",), [("[bold]x[/bold]",), ("[0]:smile:",)])) == ["name", "[bold]x[/bold]", "[0]:smile:"]


def test_conventions_say_where_the_spiking_network_loses() -> None:
    """One layer of 2 x 1 synapses: at 1.5 spikes per synapse it wins by papers and loses to what memories cost."""
    wins = Row("x->a", "layer", pico(0), pico(2.7), {"ann": pico(9.2), "qann": None}, 1.5, pico(1.8))
    loses = Row("x->a", "layer", pico(50), pico(90), {"ann": pico(80), "qann": pico(79)}, 1.5, pico(60))
    conventions = tuple(
        Convention(name, (row,), replace(row, name="total", kind="total"))
        for name, row in (("papers", wins), ("integer", loses), ("memory", loses))
    )
    layer = Layer(
        name="x->a", target="a", sources=2, targets=1, synapses=2, connections=2, weight_bits=8, stored_weights=2, passes=1,
        activation_bits=4, share=1.0, potential_bits=24, ticks=10, sops=3.0, events=3.0, smallest=0, largest=1,
    )  # fmt: skip
    shown = text(terminal._baselines(Baselines((layer,), conventions, CONSTANTS, 10)), 100)
    assert shown[:8] == [
        "convention     SNN     ANN   QANN      vs ANN      vs QANN",
        "papers      2.7 pJ  9.2 pJ      -  1.5 < 5.11            -",
        "integer     140 pJ   80 pJ  79 pJ   1.5 ≥ 0.5  1.5 ≥ 0.483",
        "memory      140 pJ   80 pJ  79 pJ   1.5 ≥ 0.5  1.5 ≥ 0.483",
        "The spiking network costs more than: the ANN (integer), the bit-matched QANN (integer), the ANN",
        "(memory), the bit-matched QANN (memory).",
        "",
        "layer  bits  papers, ANN  integer, QANN  memory, QANN",
    ]
    assert any("above 0.15 to 1.38 spikes/synapse/inference" in line for line in shown)


def pico(value: float) -> Interval:
    return Interval(value * 1e-12, value * 1e-12, value * 1e-12)
