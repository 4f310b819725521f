"""``neurocomp evaluate``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from neurocomp.cli.command import Command, data, labels, network_or_artifact, samples
from neurocomp.cli.output import Output

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
@samples
@data
@labels
def command(path: Path, samples: int | None, data: Mapping[str, str], labels: str | None, output: Output) -> None:
    """Compare accuracies: real numbers and the chip's integers."""
    from neurocomp import api

    loaded = api.load(path)
    extensions: tuple[str, ...] | None = loaded.extensions if isinstance(loaded, api.Compiled) else None
    with output.busy(f"evaluating {path.name}"):
        if isinstance(loaded, api.Compiled):
            given = loaded.samples(data, labels) if data or labels else None
            result = loaded.evaluate(samples=given, count=samples)
        else:
            given = api.samples_of(loaded, data, labels, loaded.data.samples)
            result = api.evaluate_network(loaded, given, samples)
    output.not_on_this_chip(extensions or ())
    if output.as_json:
        output.json(result.as_json() | ({} if extensions is None else {"not_on_this_chip": extensions}))
    else:
        _print(result, path, output)


def _print(result: Evaluation, path: Path, output: Output) -> None:
    from rich.text import Text

    from neurocomp.report import terminal

    rows = [(kind, "not compiled yet" if share is None else f"{100 * share:.2f} %") for kind, share in result.accuracy.items()]
    exact, fixed = result.accuracy["float"], result.accuracy["fixed"]
    if exact is not None and fixed is not None:
        rows.append(("difference", f"{100 * (fixed - exact):+.2f} points"))
    output.show(Text(f"{path}: accuracy over {terminal.counted(result.samples, 'sample')}", "bold"), terminal.facts(rows))
