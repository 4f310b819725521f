"""``neurocomp map``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from neurocomp.cli.artifacts import load_artifact
from neurocomp.cli.command import Command, CommandGroup, FileName, artifact_file, profile
from neurocomp.cli.output import Output

if TYPE_CHECKING:
    from neurocomp.report.floorplan import Color

command = CommandGroup(
    "map",
    examples=(
        ("neurocomp map show net.ncz", "tables, traffic, lower bounds and a floorplan"),
        ("neurocomp map show net.ncz --floorplan net.svg", "the floorplan as a picture, too"),
        ("neurocomp map export net.ncz -o map.json", "for --mapping of compile"),
    ),
    help="Show or export where everything is, and what it sends.\n\nIts commands take --json, --quiet and --verbose.",
)


@command.command(
    "show",
    cls=Command,
    examples=(
        ("neurocomp map show net.ncz", "as if every neuron spiked in every tick"),
        (
            "neurocomp map show net.ncz --profile trace.npz",
            "with the rates of 'neurocomp run net.ncz --probe all -o trace.npz'",
        ),
        ("neurocomp map show net.ncz --color load --floorplan net.svg", "how full the cores are, also as a picture"),
        ("neurocomp map show net.ncz --cores", "every core, not the fullest alone"),
    ),
)
@artifact_file
@profile
@click.option(
    "--color",
    type=click.Choice(["population", "load"]),
    default="population",
    show_default=True,
    help="What the floorplan shows: whose neurons a core holds, or how full it is.",
)
@click.option("--floorplan", type=FileName(".svg"), metavar="FILE.svg", help="Write the floorplan as a picture.")
@click.option("--cores", "all_cores", is_flag=True, help="List all cores, not the fullest alone.")
def show(path: Path, profile: Path | None, color: Color, floorplan: Path | None, all_cores: bool, output: Output) -> None:
    """Show a mapping: use of the cores, traffic, lower bounds, floorplan.

    A packet is one spike to one other core that listens. Without --profile every neuron spikes in every tick.
    """
    compiled = load_artifact(path, "map show")
    with output.busy(f"counting the packets of {path.name}"):
        report = compiled.mapping(profile)
    if floorplan is not None:
        from neurocomp.data.whole_file import whole_file
        from neurocomp.report.floorplan import svg

        with whole_file(floorplan, "--floorplan") as file:
            file.write(svg(report, color).encode())
    if output.as_json:
        output.json(
            {
                **report.as_json(),
                "floorplan": str(floorplan) if floorplan else None,
                "not_on_this_chip": compiled.extensions,
            }
        )
        return
    from neurocomp.report.mapping_terminal import mapping

    output.not_on_this_chip(compiled.extensions)
    output.show(mapping(report, color, all_cores=all_cores))
    if floorplan is not None:
        output.summary(f"\nwritten: {floorplan}")


@command.command(
    "export",
    cls=Command,
    examples=(
        ("neurocomp map export net.ncz -o map.json", "every neuron and its core"),
        ("neurocomp compile net.yaml -t loihi --mapping map.json", "puts them there again; drop pins to free their neurons"),
    ),
)
@artifact_file
@click.option("--out", "-o", type=FileName(".json"), required=True, metavar="MAP.json", help="The file to write.")
def export(path: Path, out: Path, output: Output) -> None:
    """Write a mapping as pins that compile --mapping reads."""
    from neurocomp.data.whole_file import whole_file
    from neurocomp.frontends.from_map import pins_text

    compiled = load_artifact(path, "map export")
    pins = compiled.pins()
    with whole_file(out) as file:
        file.write(pins_text(pins).encode())
    cores = len(compiled.artifact.mapped.cores)
    if output.as_json:
        output.json({"map": str(out), "pins": len(pins), "cores": cores, "not_on_this_chip": compiled.extensions})
    elif not output.quiet:
        click.echo(f"wrote {out}: {len(pins):,} pins of {cores:,} cores")
