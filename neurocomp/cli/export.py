"""``neurocomp export``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from neurocomp.cli.artifacts import load_artifact
from neurocomp.cli.command import Command, comparison, network_or_artifact, reading
from neurocomp.cli.output import Output
from neurocomp.errors import Diagnostic, UsageError

FORMATS = {"nir": ".nir", "integers": ".npz", "ranc": "", "sanafe": "", "truenorth-json": ".json"}
"""Format -> how the name of its file ends; nothing: it is a folder."""


@click.command(
    cls=Command,
    examples=(
        ("neurocomp export net.yaml --format nir -o net.nir", "for other frameworks; what NIR cannot say is listed"),
        ("neurocomp export net.ncz --format integers -o net.npz", "every integer and synapse, for another simulator"),
        ("neurocomp export net.ncz --format ranc -o net/", "input.json and config.json of the RANC simulator"),
        ("neurocomp export net.ncz --format sanafe -o net/", "arch.yaml and net.yaml of the SANA-FE simulator"),
        ("neurocomp export net.ncz --format truenorth-json -o net.json", "a model file as IBM's tools write it"),
    ),
)
@network_or_artifact
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    required=True,
    help="'nir': the network in real numbers (docs/nir.md); 'integers': every integer parameter and synapse "
    "(docs/integers.md); 'ranc', 'truenorth-json': see docs/ranc.md; 'sanafe': see docs/sanafe.md.",
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
@comparison
@reading
def command(path: Path, form: str, out: Path, stage: str, reading: Mapping[str, Any], output: Output) -> None:
    """Write what was compiled in a form for other tools, or a network as NIR."""
    suffix = FORMATS[form]
    if suffix and out.suffix != suffix:
        raise UsageError(Diagnostic("NC0801", f"--out: '{out}' must end with {suffix}"))
    if form != "integers" and stage != "lowered":
        raise UsageError(Diagnostic("NC0801", f"the format '{form}' holds what was lowered", hint="leave --stage out"))
    if form == "nir":
        _nir(path, out, reading, output)
        return
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


def _nir(path: Path, out: Path, reading: Mapping[str, Any], output: Output) -> None:
    """Write a network as NIR, and list what NIR could not say."""
    from neurocomp import api

    with output.busy(f"exporting {path.name}"):
        loaded = api.load(path, **reading)
        network = loaded.network if isinstance(loaded, api.Compiled) else loaded
        found, unsaid = api.export_network(network, out)
    if isinstance(loaded, api.Compiled):
        unsaid = [*unsaid, "the chip's integers: the file holds the real numbers that they were made of"]
    if output.as_json:
        output.json({"format": "nir", "output": str(out), **found, "not_in_nir": unsaid})
    elif not output.quiet:
        click.echo(f"{out}: " + ", ".join(f"{count:,} {what}" for what, count in found.items()))
        for line in unsaid:
            click.echo(f"not in NIR: {line}")
