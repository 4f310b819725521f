"""``neurocomp export``."""

from __future__ import annotations

from pathlib import Path

import click

from neurocomp.cli.artifacts import load_artifact
from neurocomp.cli.command import Command, artifact_file
from neurocomp.cli.output import Output
from neurocomp.errors import Diagnostic, UsageError

FORMATS = {"integers": ".npz", "ranc": "", "sanafe": "", "truenorth-json": ".json"}
"""Format -> how the name of its file ends; nothing: it is a folder."""


@click.command(
    cls=Command,
    examples=(
        ("neurocomp export net.ncz --format integers -o net.npz", "every integer and synapse, for another simulator"),
        ("neurocomp export net.ncz --format ranc -o net/", "input.json and config.json of the RANC simulator"),
        ("neurocomp export net.ncz --format sanafe -o net/", "arch.yaml and net.yaml of the SANA-FE simulator"),
        ("neurocomp export net.ncz --format truenorth-json -o net.json", "a model file as IBM's tools write it"),
    ),
)
@artifact_file
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    required=True,
    help="'integers': every integer parameter and synapse (docs/integers.md); 'ranc', 'truenorth-json': see docs/ranc.md; "
    "'sanafe': see docs/sanafe.md.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    required=True,
    metavar="OUT",
    help="The file to write; for 'ranc' and 'sanafe' a folder.",
)
@click.option(
    "--stage",
    type=click.Choice(["lowered", "quantized"]),
    default="lowered",
    show_default=True,
    help="Of 'integers': the chip's own neurons with their places, or the integers before lowering.",
)
def command(path: Path, form: str, out: Path, stage: str, output: Output) -> None:
    """Write what was compiled in a form for other tools."""
    suffix = FORMATS[form]
    if suffix and out.suffix != suffix:
        raise UsageError(Diagnostic("NC0801", f"--out: '{out}' must end with {suffix}"))
    if form != "integers" and stage != "lowered":
        raise UsageError(Diagnostic("NC0801", f"the format '{form}' holds what was lowered", hint="leave --stage out"))
    compiled = load_artifact(path, "export")
    with output.busy(f"exporting {path.name}"):
        if form == "integers":
            arrays = compiled.export_integers(out, stage)
        else:
            found = compiled.export(form, out)
    output.not_on_this_chip(compiled.extensions)
    head = {"format": form, "stage": stage, "output": str(out)}
    if output.as_json and form == "integers":
        document = {key: {"shape": array.shape, "dtype": str(array.dtype)} for key, array in arrays.items()}
        output.json({**head, "arrays": document, "not_on_this_chip": compiled.extensions})
    elif output.as_json:
        output.json({**head, **found, "not_on_this_chip": compiled.extensions})
    elif not output.quiet and form == "integers":
        click.echo(f"{out}: {len(arrays)} arrays of the {stage} network")
    elif not output.quiet:
        click.echo(f"{out}: " + ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in found.items()))
