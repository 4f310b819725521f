"""Text for terminals: numbers, verdicts, choices, bars."""

from __future__ import annotations

import doctest
from io import StringIO

from rich.console import Console, RenderableType

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
