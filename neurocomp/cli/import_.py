"""``neurocomp import``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from neurocomp.cli.command import Command, comparison, completed_by, reading
from neurocomp.cli.output import Output
from neurocomp.cli.to_snn import conversion
from neurocomp.cli.written import network_document, print_network
from neurocomp.errors import Diagnostic, UsageError


@click.command(
    cls=Command,
    examples=(
        ("neurocomp import net.nir --dt 0.1ms -o net/", "NIR into net/net.yaml and its arrays, with every choice printed"),
        ("neurocomp import net.nir --trained-in snntorch --reset zero -o net/", "by the rule of the framework that made it"),
        (
            "neurocomp import ann.onnx --to-snn --calibration train.npz#x --labels train.npz#y -o net/",
            "an artificial network of ReLU becomes a spiking one; what each step loses is printed",
        ),
        ("neurocomp import net/ --format ranc -o net.ncz", "a folder with RANC's input.json and config.json"),
        ("neurocomp run net.ncz --engine chip -o trace.npz", "then plays its packets; spikes/bus holds RANC's output"),
    ),
)
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    metavar="F",
    shell_complete=completed_by("nir", "onnx", "ranc"),
    help="'nir': docs/nir.md describes what is read; 'ranc': a network of the RANC simulator (docs/ranc.md). Default: as the "
    "name of the file ends.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="A folder for net.yaml and its arrays; of 'ranc' the artifact, OUT.ncz. Default: PATH's name, here.",
)
@conversion
@comparison
@reading
def command(
    path: Path,
    form: str | None,
    out: Path | None,
    to_snn: bool,
    conversion: Mapping[str, Any],
    reading: Mapping[str, Any],
    output: Output,
) -> None:
    """Read a network of another tool.

    Of a file of a framework it writes net.yaml and its arrays into a folder, and prints what the file left open and what it was
    taken for. Of 'ranc' it writes one file (.ncz) with the network from its lowered form onwards, and the packets of the host
    as its sample.
    """
    from neurocomp import api

    suffix = path.suffix if form is None else f".{form}"
    if form is None and suffix not in api.FRONTENDS:
        message = f"'{path}' does not say what it is"
        hint = f"say it with --format ranc, or name a file that ends with {', '.join(api.FRONTENDS)}"
        raise UsageError(Diagnostic("NC0801", message, hint=hint))
    if to_snn:
        if suffix != ".onnx":
            raise UsageError(
                Diagnostic("NC0801", f"--to-snn: '{path}' is no ONNX file", hint="NIR files hold spiking networks")
            )
        from neurocomp.cli.to_snn import convert

        convert(path, out or Path(path.stem), conversion, reading, output)
        return
    if conversion:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in conversion)
        raise UsageError(Diagnostic("NC0801", f"{names}: of conversions alone", hint="add --to-snn"))
    if suffix in api.FRONTENDS:
        _network(path, suffix, out, reading, output)
        return
    others = [f"--{name.replace('_', '-')}" for name in reading if name != "ticks"]
    if others:
        raise UsageError(Diagnostic("NC0801", f"{', '.join(others)}: files of '{form}' say this themselves"))
    if out is not None and out.suffix != ".ncz":
        raise UsageError(Diagnostic("NC0801", f"--out: '{out}' must end with .ncz"))
    _artifact(path, str(form), out, reading.get("ticks"), output)


def _network(path: Path, suffix: str, out: Path | None, reading: Mapping[str, Any], output: Output) -> None:
    """Write net.yaml and its arrays."""
    from neurocomp import api

    out = out or Path(path.stem)
    with output.busy(f"reading {path.name}"):
        network = api.load_foreign(path, suffix, reading)
        files = api.write_network(network, out, path.name)
    if output.as_json:
        output.json({"format": suffix[1:], **network_document(network, files)})
        return
    print_network(network, files, output)
    output.suggest(f"neurocomp compile {files[0]} --target loihi")


def _artifact(path: Path, form: str, out: Path | None, ticks: int | None, output: Output) -> None:
    """Write an artifact of a network that has been placed by another tool."""
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
