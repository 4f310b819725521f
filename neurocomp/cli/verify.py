"""``neurocomp verify``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from neurocomp.cli.artifacts import load_artifact
from neurocomp.cli.command import Command, artifact_file, completed_by, data, refuse_two_stimuli, samples, stimulus
from neurocomp.cli.output import Output, event_text
from neurocomp.errors import Diagnostic, InternalError, NeurocompError, VerifyMismatch

if TYPE_CHECKING:
    from neurocomp.verify import VerifyReport

KINDS = ("weight", "delay", "target", "threshold")


def _injection(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, int] | None:
    if value is None:
        return None
    kind, colon, seed = value.partition(":")
    if kind not in KINDS:
        raise click.BadParameter(f"'{value}' is not KIND:SEED with KIND one of {', '.join(KINDS)}", ctx, param)
    if not colon or not seed.isdecimal():
        raise click.BadParameter(f"'{value}' needs a seed, a whole number, such as {kind}:1", ctx, param)
    return kind, int(seed)


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


@click.command(
    cls=Command,
    examples=(
        ("neurocomp verify net.ncz", "every engine that is here, on 20 declared samples"),
        ("neurocomp verify net.ncz --engines chip --samples 500", ""),
        ("neurocomp verify net.ncz --inject weight:1", "a corrupted weight must be found: exit code 6"),
    ),
)
@artifact_file
@click.option(
    "--engines",
    callback=_names,
    metavar="A,B",
    shell_complete=completed_by("fast", "chip", "lava"),
    help="Engines to compare with the reference (fast, chip, lava); default: all that are installed.",
)
@samples
@stimulus
@data
@click.option(
    "--inject",
    callback=_injection,
    metavar="KIND:SEED",
    help=f"Corrupt one entry of the program first ({', '.join(KINDS)}), which must then be found.",
)
def command(
    path: Path,
    engines: list[str] | None,
    samples: int | None,
    inputs: Path | None,
    data: Mapping[str, str],
    inject: tuple[str, int] | None,
    output: Output,
) -> int:
    """Prove that all simulations agree bit for bit.

    The same stimulus runs through several independent simulations; spikes and state are compared tick by tick.
    """
    refuse_two_stimuli(inputs, data)
    compiled = load_artifact(path, "verify")
    with output.busy(f"verifying {path.name}"):
        given = compiled.samples(data) if data else None
        report = compiled.verify(engines, inputs=inputs, samples=given, count=samples, inject=inject)
    for event in report.events:
        output.warn(event_text(event))
    output.not_on_this_chip(report.not_on_this_chip)
    if output.as_json:
        output.json(report.as_json())
    elif not output.quiet:
        _print(report, path, output)
    failure = _failure(report)
    if failure is not None and not output.as_json:
        raise failure
    return failure.exit_code if failure is not None else 0


def _failure(report: VerifyReport) -> NeurocompError | None:
    """Return what is wrong: simulations that disagree, or a corruption that none of them noticed."""
    if not report.bit_exact:
        return VerifyMismatch(_mismatch(report))
    if report.injection is not None:
        return InternalError(
            Diagnostic("NC0901", f"no engine noticed: {report.injection}", hint="please report it with the artifact")
        )
    return None


def _mismatch(report: VerifyReport) -> Diagnostic:
    if report.injection is not None:
        return Diagnostic("NC0701", str(report.first_divergence), also=f"injected: {report.injection}")
    hint = "this is a bug of neurocomp; please report it with the network file, and do not deploy the program"
    return Diagnostic("NC0701", str(report.first_divergence), hint=hint)


def _print(report: VerifyReport, path: Path, output: Output) -> None:
    from rich.text import Text

    from neurocomp.report import terminal

    samples, ticks = terminal.counted(report.samples, "sample"), terminal.counted(report.ticks, "tick")
    output.show(Text(f"{path}: {samples} of {ticks} through {', '.join(report.engines)}", "bold"))
    for engine, reason in report.skipped.items():
        output.show(Text(f"skipped: {engine} ({reason})", "yellow"))
    if report.injection is not None:
        output.show(Text(f"injected: {report.injection}", "yellow"))
    rows = []
    for name, witness in report.witnesses.items():
        loss = report.lossy.get(name)
        lowering = "exact" if loss is None else f"{loss['spikes_moved_or_lost']:,} spikes moved: {loss['reason']}"
        models = [f"{engine} {of[name]}" for engine, of in report.witness_models.items() if name in of]
        rows.append((name, witness, lowering, ", ".join(models)) if report.witness_models else (name, witness, lowering))
    columns = ("population", "witnesses", "lowering", *(("models",) if report.witness_models else ()))
    output.show(terminal.table(columns, rows, left=len(columns)))
    for engine, models_of in report.witness_models.items():
        own = ", ".join(name for name, model in models_of.items() if model == "own")
        if own:
            output.show(Text(f"witness: own for {own} ({engine} has no such neurons; models of neurocomp ran inside it)"))
    if report.bit_exact:
        compared = f"{report.spikes_compared:,} spikes, {report.values_compared:,} values compared over {samples}"
        output.show(Text(f"BIT-EXACT: {compared}", "bold green"))
    else:
        found = " (as it must be: the corruption was found)" if report.injection is not None else ""
        output.show(Text(f"NOT BIT-EXACT{found}", "bold red"))
