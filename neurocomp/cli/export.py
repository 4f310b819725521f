"""``neurocomp export``."""

from __future__ import annotations

from pathlib import Path

import click

from neurocomp.cli.artifacts import load_artifact
from neurocomp.cli.command import Command, FileName, artifact_file
from neurocomp.cli.output import Output


@click.command(
    cls=Command,
    examples=(("neurocomp export net.ncz --format integers -o net.npz", "every integer and synapse, for another simulator"),),
)
@artifact_file
@click.option(
    "--format",
    "form",
    type=click.Choice(["integers"]),
    required=True,
    help="'integers': every integer parameter and synapse; docs/integers.md lists the keys.",
)
@click.option("--out", "-o", type=FileName(".npz"), required=True, metavar="X.npz", help="The file to write.")
@click.option(
    "--stage",
    type=click.Choice(["lowered", "quantized"]),
    default="lowered",
    show_default=True,
    help="The chip's own neurons with their places, or the integers before lowering.",
)
def command(path: Path, form: str, out: Path, stage: str, output: Output) -> None:
    """Write what was compiled in a form for other tools."""
    compiled = load_artifact(path, "export")
    with output.busy(f"exporting {path.name}"):
        arrays = compiled.export_integers(out, stage)
    output.not_on_this_chip(compiled.extensions)
    if output.as_json:
        document = {key: {"shape": array.shape, "dtype": str(array.dtype)} for key, array in arrays.items()}
        output.json(
            {"format": form, "stage": stage, "output": str(out), "arrays": document, "not_on_this_chip": compiled.extensions}
        )
    elif not output.quiet:
        click.echo(f"{out}: {len(arrays)} arrays of the {stage} network")
