"""Which limit binds each population, as text for terminals, pipes and files: 80 columns are enough."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from neurocomp.hardware import HardwareSpec
from neurocomp.mapping.feasibility import Feasibility, Row
from neurocomp.report.terminal import counted, label, percent, section, table

MOST_ROWS = 12
"""Populations that are listed: those that take the most cores."""
MOST_HELPS = 3
"""Populations of which it is said what would help."""
LEGEND = (
    "Cores at least: proved for every mapping. About: estimated, where weights decide, which are not read yet. Needs: what as "
    "many neurons as a core has compartments for take of the limit that asks for the most cores."
)


def feasibility(found: Feasibility, name: str, spec: HardwareSpec) -> Group:
    """Return a table of populations, and what would help those that a limit other than the neurons binds."""
    cores = f"at least {counted(found.cores_at_least, 'core')}"
    if found.cores_about > found.cores_at_least:
        cores += f", about {found.cores_about:,}"
    has = spec.limit("chips") * spec.limit("cores_per_chip")
    shown = set(sorted(found.rows, key=lambda row: -row.cores_about)[:MOST_ROWS])
    rows = [row for row in found.rows if row in shown]
    parts: list[RenderableType] = [_table(rows)]
    if len(rows) < len(found.rows):
        parts.append(
            Text(f"and {counted(len(found.rows) - len(rows), 'population')} that take no more cores; --json lists all")
        )
    helped = sorted((row for row in rows if row.helps), key=lambda row: -row.cores_about)[:MOST_HELPS]
    return Group(
        Text(f"{name} on {spec.name}, by its shapes: {cores} of {has:,}", "bold"),
        *section("What binds each population", Group(*parts), Text(LEGEND)),
        *(section("What would help", *[Text(row.helps or "") for row in helped]) if helped else ()),
    )


def _table(rows: Sequence[Row]) -> Table:
    return table(
        ("population", "binds", "proof", "neurons", "at least", "about", "needs", "of", "share"),
        [
            (
                row.population,
                label(row.binds.resource).replace("64-bit ", ""),
                "proved" if row.binds.proof else "estimate",
                f"{row.neurons:,}",
                f"{row.cores_at_least:,}",
                f"{row.cores_about:,}",
                f"{row.binds.needs:,}",
                f"{row.binds.has:,}",
                percent(row.binds.share) if row.binds.share <= 1 else f"×{row.binds.share:.3g}",
            )
            for row in rows
        ],
        left=3,
    )
