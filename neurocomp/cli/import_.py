"""``neurocomp import``."""

from __future__ import annotations

from pathlib import Path

import click

from neurocomp.cli.command import Command, FileName, completed_by
from neurocomp.cli.output import Output


@click.command(
    cls=Command,
    examples=(
        ("neurocomp import net/ --format ranc -o net.ncz", "a folder with RANC's input.json and config.json"),
        ("neurocomp run net.ncz --engine chip -o trace.npz", "then plays its packets; spikes/bus holds RANC's output"),
    ),
)
@click.argument("path", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    metavar="F",
    required=True,
    shell_complete=completed_by("ranc"),
    help="'ranc': a network of the RANC simulator; docs/ranc.md describes what is read.",
)
@click.option(
    "--out", "-o", type=FileName(".ncz"), metavar="OUT.ncz", help="The artifact; default: DIR's name with .ncz, here."
)
@click.option("--ticks", type=click.IntRange(min=1), metavar="N", help="Ticks per sample, in place of what the files suggest.")
def command(path: Path, form: str, out: Path | None, ticks: int | None, output: Output) -> None:
    """Read a network of another tool into one file (.ncz).

    It holds the network from its lowered form onwards, with the packets of the host as its sample.
    """
    from neurocomp import api

    out = out or Path(f"{path.resolve().name}.ncz")
    with output.busy(f"reading {path.name}"):
        compiled = api.import_network(path, form, ticks)
        digest = compiled.save(out)
    made = compiled.artifact
    if output.as_json:
        output.json(
            {
                "format": form,
                "artifact": str(out),
                "digest": digest,
                "target": made.spec.name,
                "chips": made.mapped.chips,
                "ticks": made.network.ticks,
                **compiled.imported,
                "inputs": {p.name: p.shape for p in made.network.inputs},
                "outputs": {p.name: p.shape for p in made.network.outputs},
                "utilization": compiled.utilization(),
                "notes": made.notes,
            }
        )
        return
    if output.quiet:
        return
    from neurocomp.report import terminal

    found = compiled.imported
    rows = [
        ("network", f"{made.network.name}: {terminal.counted(found['neurons'], 'neuron')}, {found['synapses']:,} synapses"),
        ("cores", f"{found['cores']:,} with {found['axons']:,} axons ({made.spec.title})"),
        ("time", terminal.counted(made.network.ticks, "tick")),
        ("packets", f"{found['packets']:,} of the host to {sum(p.size for p in made.network.inputs):,} axons"),
        ("outputs", f"{found['lines']:,} lines"),
        *(("note", note) for note in made.notes),
        ("written", f"{out} ({out.stat().st_size / 1000:,.0f} kB, sha256 {digest[:12]})"),
    ]
    output.summary(terminal.facts(rows))
    output.suggest(f"neurocomp verify {out}")
