"""``neurocomp evaluate``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurocomp.cli.command import Command, comparison, data, jobs, labels, network_or_artifact, reading, samples
from neurocomp.cli.failures import INTERRUPTED
from neurocomp.cli.output import Output
from neurocomp.errors import Diagnostic, UsageError

if TYPE_CHECKING:
    from neurocomp.api import Evaluation


@click.command(
    cls=Command,
    examples=(
        ("neurocomp evaluate net.ncz", "real numbers beside the chip's integers, on the declared data"),
        ("neurocomp evaluate net.yaml --samples 100", "real numbers alone"),
        ("neurocomp evaluate net.ncz --data pixels=mnist.npz#images --labels mnist.npz#labels", ""),
    ),
)
@network_or_artifact
@click.option(
    "--engine",
    "-e",
    type=click.Choice(["reference", "fast", "chip"]),
    help="What executes the chip's integers; default: fast, chip where there are crossbars, reference where that is quicker.",
)
@samples
@data
@labels
@jobs
@comparison
@reading
def command(
    path: Path,
    engine: str | None,
    samples: int | None,
    data: Mapping[str, str],
    labels: str | None,
    jobs: int | None,
    reading: Mapping[str, Any],
    output: Output,
) -> int:
    """Compare accuracies: real numbers and the chip's integers.

    Ctrl-C ends it early and compares over the samples that are finished.
    """
    from neurocomp import api

    loaded = api.load(path, **reading)
    extensions: tuple[str, ...] | None = loaded.extensions if isinstance(loaded, api.Compiled) else None
    with output.progress(f"evaluating {path.name}") as advance:
        if isinstance(loaded, api.Compiled):
            given = loaded.samples(data, labels) if data or labels else None
            result = loaded.evaluate(
                engine, samples=given, count=samples, jobs=jobs, progress=advance, keep_finished=True
            )  # fmt: skip
        else:
            if engine is not None:
                message = f"engine '{engine}' executes what was compiled, and '{path}' is a network"
                hint = f"compile it first: neurocomp compile {path} --target loihi -o {path.stem}.ncz"
                raise UsageError(Diagnostic("NC0801", message, hint=hint))
            given = api.samples_of(loaded, data, labels, loaded.data.samples)
            result = api.evaluate_network(loaded, given, samples, jobs=jobs, progress=advance, keep_finished=True)
    if result.interrupted:
        output.interrupted(advance, "the accuracy is theirs")
    output.not_on_this_chip(extensions or ())
    if output.as_json:
        output.json(result.as_json() | ({} if extensions is None else {"not_on_this_chip": extensions}))
    else:
        _print(result, path, output)
    return INTERRUPTED if result.interrupted else 0


def _print(result: Evaluation, path: Path, output: Output) -> None:
    from rich.text import Text

    from neurocomp.report import terminal

    rows = [(kind, "not compiled yet" if share is None else f"{100 * share:.2f} %") for kind, share in result.accuracy.items()]
    exact, fixed = result.accuracy["float"], result.accuracy["fixed"]
    if exact is not None and fixed is not None:
        rows.append(("difference", f"{100 * (fixed - exact):+.2f} points"))
    output.show(Text(f"{path}: accuracy over {terminal.counted(result.samples, 'sample')}", "bold"), terminal.facts(rows))
