"""``neurocomp explain``."""

from __future__ import annotations

import click

from neurocomp.cli.command import Command, completed_by
from neurocomp.cli.output import Output
from neurocomp.errors import Diagnostic, UsageError, did_you_mean
from neurocomp.errors.catalogue import CATALOGUE, Entry


@click.command(
    cls=Command,
    examples=(
        ("neurocomp explain NC0412", "cause, way out and exit code"),
        ("neurocomp explain", "lists all codes"),
    ),
)
@click.argument("code", required=False, metavar="[CODE]", shell_complete=completed_by(*CATALOGUE))
def command(code: str | None, output: Output) -> None:
    """Say what a code such as NC0412 means; without a code, list all."""
    chosen = list(CATALOGUE) if code is None else [_find(code)]
    if output.as_json:
        output.json({"codes": [_document(key, CATALOGUE[key]) for key in chosen]})
    elif code is None:
        for key, entry in CATALOGUE.items():
            click.echo(f"{key}  exit {entry.exit_code}  {entry.name}")
    else:
        from neurocomp.report import terminal

        entry = CATALOGUE[chosen[0]]
        output.show(
            terminal.facts(
                [
                    ("code", f"{chosen[0]} {entry.name}"),
                    ("cause", entry.cause),
                    ("way out", entry.fix),
                    ("exit code", str(entry.exit_code)),
                ]
            )
        )


def _find(text: str) -> str:
    """Return the code that a user means: the code in any case, or its name."""
    by_name = {entry.name: code for code, entry in CATALOGUE.items()}
    code = by_name.get(text.lower(), text.upper())
    if code not in CATALOGUE:
        hint = did_you_mean(code, list(CATALOGUE)) or ""
        hint = hint if hint.startswith("did") else "'neurocomp explain' lists all codes"
        raise UsageError(Diagnostic("NC0801", f"there is no code '{text}'", hint=hint))
    return code


def _document(code: str, entry: Entry) -> dict[str, str | int]:
    return {"code": code, "name": entry.name, "cause": entry.cause, "fix": entry.fix, "exit_code": entry.exit_code}
