"""``neurocomp report``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from neurocomp.cli.artifacts import load_artifact
from neurocomp.cli.command import Command, data, jobs, labels, refuse_two_stimuli, samples, stimulus
from neurocomp.cli.failures import INTERRUPTED
from neurocomp.cli.output import Output
from neurocomp.cli.replay import artifact_of, compare
from neurocomp.errors import Diagnostic, UsageError


@click.command(
    cls=Command,
    examples=(
        ("neurocomp report net.ncz", "20 of the declared samples"),
        ("neurocomp report net.ncz --samples 500 --json", ""),
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
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json is the same as --json.",
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
    form: str,
    replay: Path | None,
    output: Output,
) -> int:
    """Count events, and estimate energy from them.

    Ctrl-C ends it early and reports on the samples that are finished.
    """
    refuse_two_stimuli(inputs, data)
    before = None
    if replay is not None:
        if samples is not None or costs is not None:
            raise UsageError(Diagnostic("NC0801", "--replay takes the samples and costs of its report", hint="leave both out"))
        from neurocomp.energy.joules import UNPRICED
        from neurocomp.report.provenance import read_report

        before = read_report(replay)
        path = artifact_of(before, replay, path)
        samples, costs = before["provenance"]["samples"]["count"], before["provenance"].get("costs")
        costs = None if costs == UNPRICED else costs
    if path is None:
        raise UsageError(Diagnostic("NC0801", "report takes an artifact", hint="neurocomp report net.ncz"))
    compiled = load_artifact(path, "report")
    with output.progress(f"counting the events of {path.name}") as advance:
        given = compiled.samples(data, labels) if data or labels else None
        result = compiled.report(
            samples=given, count=samples, costs=costs, inputs=inputs, engine=engine, jobs=jobs, progress=advance,
            keep_finished=True,
        )  # fmt: skip
    interrupted = bool(getattr(result, "interrupted", False))
    if interrupted:
        output.interrupted(advance, "the report is about them")
    code = INTERRUPTED if interrupted else 0
    if before is not None:
        document = {"schema": 1, **result.as_json(), "not_on_this_chip": compiled.extensions, "interrupted": interrupted}
        return code or compare(before, document, output)
    if output.as_json or form == "json":
        output.json({**result.as_json(), "not_on_this_chip": compiled.extensions, "interrupted": interrupted})
        return code
    from neurocomp.report import terminal

    output.not_on_this_chip(compiled.extensions)
    output.show(terminal.report(result))
    return code
