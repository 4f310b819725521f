"""``neurocomp report lint``."""

from __future__ import annotations

from pathlib import Path

import click

from neurocomp.cli.command import Command
from neurocomp.cli.output import Output

DOUBTS = 7
"""The exit code of ``--strict`` where something was found: a bar was missed."""


@click.command(
    cls=Command,
    examples=(
        ("neurocomp report lint paper.tex", "numbers in a text, and what must stand beside them"),
        ("neurocomp report lint claims.yaml", "numbers of a table, recomputed (docs/energy.md has the fields)"),
        ("neurocomp report lint report.json --strict", "a report of neurocomp; exit code 7 if there are doubts"),
    ),
)
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Exit with 7 where something was found.")
def command(paths: tuple[Path, ...], strict: bool, output: Output) -> int:
    """Look for what reviewers find in claims about energy.

    Reads claims (YAML or JSON), reports of neurocomp (JSON) and texts (.tex, .md, .rst, .txt). What it finds in a text is a
    question: it sees numbers and words, not their meaning.
    """
    from neurocomp.report.claims import lint

    found = [finding for path in paths for finding in lint(path)]
    if output.as_json:
        output.json({"findings": [finding.as_json() for finding in found]})
    else:
        for finding in found:
            where = finding.where
            click.echo(f"{where.file}:{where.line}: warning[{finding.rule.name}]: {finding.message}")
            click.echo(f"  why:    {finding.rule.what}\n  source: {finding.rule.source}\n  hint:   {finding.rule.hint}")
        if not output.quiet:
            doubts = f"{len(found)} doubt{'s' if len(found) != 1 else ''}" if found else "nothing found"
            click.echo(f"{doubts} in {len(paths)} file{'s' if len(paths) != 1 else ''}", err=True)
    return DOUBTS if strict and found else 0
