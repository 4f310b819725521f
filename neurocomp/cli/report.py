"""``neurocomp report``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurocomp.cli.artifacts import load_artifact
from neurocomp.cli.command import Command, data, jobs, labels, refuse_two_stimuli, samples, stimulus
from neurocomp.cli.failures import INTERRUPTED
from neurocomp.cli.output import Output, json_text, text_of
from neurocomp.cli.replay import artifact_of, compare
from neurocomp.errors import Diagnostic, UsageError
from neurocomp.report.files import ENDINGS, FOLDERS, FORMATS, PICTURED, STEM, files_of, format_of

if TYPE_CHECKING:
    from neurocomp.report import Report

ON_STDOUT = ("text", "json", "csv")
"""Formats that need no file."""


@click.command(
    cls=Command,
    examples=(
        ("neurocomp report net.ncz", "20 of the declared samples, as text"),
        ("neurocomp report net.ncz --samples 500 --json", ""),
        ("neurocomp report net.ncz -o net.html", "one page to look at and to pass on; also .json .csv .tex .txt"),
        ("neurocomp report net.ncz -o paper", "a folder with everything: tables, .bib, figures, page, data"),
        ("neurocomp report net.ncz --costs davies2018", "other published costs of the same chip"),
        ("neurocomp report --replay report.json", "whether the numbers of a report come out again"),
    ),
)
@click.argument("path", metavar="[ART]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--engine",
    "-e",
    type=click.Choice(["reference", "fast", "chip"]),
    help="What simulates; default: fast, chip where there are crossbars, reference where that is quicker.",
)
@samples
@stimulus
@data
@labels
@jobs
@click.option("--costs", metavar="NAME", help="A cost source of the target; default: the one that its spec names.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="latex is a .tex with a .bib, figures are SVG, PDF and PNG of one and two columns, all is everything. "
    "Default: by the ending of -o, all for a folder, text without -o. json is the same as --json.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The file to write, or the folder for figures and all. text, json and csv go to stdout without it.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    metavar="REPORT.json",
    help="Count what this report counted and compare every number; ART is found by its digest beside the report or here.",
)
def command(
    path: Path | None,
    engine: str | None,
    samples: int | None,
    inputs: Path | None,
    data: Mapping[str, str],
    labels: str | None,
    jobs: int | None,
    costs: str | None,
    form: str | None,
    out: Path | None,
    replay: Path | None,
    output: Output,
) -> int:
    """Count events, and estimate energy and time from them.

    Ctrl-C ends it early and reports on the samples that are finished.
    """
    refuse_two_stimuli(inputs, data)
    chosen = _format(form, out, output.as_json)
    before = None
    if replay is not None:
        if out is not None:
            raise UsageError(Diagnostic("NC0801", "--replay compares and writes nothing", hint="leave -o out"))
        if samples is not None or costs is not None:
            raise UsageError(Diagnostic("NC0801", "--replay takes the samples and costs of its report", hint="leave both out"))
        from neurocomp.energy.joules import UNPRICED
        from neurocomp.report.provenance import read_report

        before = read_report(replay)
        path = artifact_of(before, replay, path)
        samples, costs = before["provenance"]["samples"]["count"], before["provenance"].get("costs")
        costs = None if costs == UNPRICED else costs
    if out is not None and chosen not in FOLDERS:
        from neurocomp.data.whole_file import check_folder

        check_folder(out)
    if path is None:
        raise UsageError(Diagnostic("NC0801", "report takes an artifact", hint="neurocomp report net.ncz"))
    compiled = load_artifact(path, "report")
    with output.progress(f"counting the events of {path.name}") as advance:
        given = compiled.samples(data, labels) if data or labels else None
        result = compiled.report(
            samples=given, count=samples, costs=costs, inputs=inputs, engine=engine, jobs=jobs, progress=advance,
            keep_finished=True, raster=chosen in PICTURED,
        )  # fmt: skip
    if result.interrupted:
        output.interrupted(advance, "the report is about them")
    if before is not None and not result.interrupted:
        return compare(before, {"schema": 1, **_document(result)}, output)
    if out is not None:
        _write(result, chosen, out, output)
    elif chosen == "json":
        output.json(_document(result))
    else:
        _print(result, chosen, output)
    return INTERRUPTED if result.interrupted else 0


def _format(form: str | None, out: Path | None, as_json: bool) -> str:
    """Return which format is meant.

    Raises:
        UsageError: It needs a file and has none, or the name of the file says nothing (NC0801).
    """
    chosen = form or (("json" if as_json else "text") if out is None else format_of(out))
    if chosen is None:
        hint = f"end it with {', '.join(ENDINGS)}, name a folder, or say what it is with --format"
        raise UsageError(Diagnostic("NC0801", f"'{out}' does not say which format is wanted", hint=hint))
    if out is None and chosen not in ON_STDOUT:
        where = f"{STEM}.tex" if chosen == "latex" else f"{STEM}.html" if chosen == "html" else "FOLDER"
        raise UsageError(Diagnostic("NC0801", f"--format {chosen} writes files", hint=f"say where, with -o {where}"))
    if out is not None and chosen == "latex" and out.suffix != ".tex":
        raise UsageError(Diagnostic("NC0801", f"'{out}' must end with .tex", hint="LaTeX finds the file by that ending"))
    if as_json and out is None and chosen != "json":
        raise UsageError(Diagnostic("NC0801", f"--json and --format {chosen} both say what to print", hint="leave one out"))
    return chosen


def _document(result: Report) -> dict[str, Any]:
    return {**result.as_json(), "not_on_this_chip": list(result.not_on_this_chip), "interrupted": result.interrupted}


def _print(result: Report, form: str, output: Output) -> None:
    if form == "csv":
        from neurocomp.report.csv import csv_text

        click.echo(csv_text(_document(result)), nl=False)
        return
    from neurocomp.report import terminal

    output.not_on_this_chip(result.not_on_this_chip)
    output.show(terminal.report(result))


def _write(result: Report, form: str, out: Path, output: Output) -> None:
    """Write the files, each whole or not at all, and say what was written."""
    from neurocomp import registry
    from neurocomp.data.whole_file import made_folder, whole_file
    from neurocomp.report import terminal

    def text() -> str:
        head = f"not on this chip: {', '.join(result.not_on_this_chip)}\n" if result.not_on_this_chip else ""
        return head + text_of(terminal.report(result))

    folder = out if form in FOLDERS else out.parent
    if form in FOLDERS:
        made_folder(out)
    written: list[Path] = []
    stem = STEM if form in FOLDERS else out.stem
    with output.busy(f"writing {out}"):
        for name, content in files_of(result, form, stem, registry.references(), text, json_text):
            # The first file of a format has the name that was asked for, whatever its ending.
            target = out if not written and form not in FOLDERS else folder / name
            with whole_file(target) as file:
                file.write(content)
            written.append(target)
    missing: dict[str, str] = {}
    if form in FOLDERS:
        from neurocomp.report.figures import missing_figures

        missing = missing_figures(result)
    if output.as_json:
        output.json({**_document(result), "files": [str(file) for file in written], "not_drawn": missing})
        return
    output.not_on_this_chip(result.not_on_this_chip)
    output.summary(terminal.summary(result))
    lines = [f"written: {file}" for file in written] if len(written) <= 3 else [f"written: {len(written)} files in {folder}"]
    output.summary("\n" + "\n".join((*lines, *(f"not drawn: {name}, as {why}" for name, why in missing.items()))))
