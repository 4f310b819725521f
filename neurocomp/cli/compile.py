"""``neurocomp compile``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurocomp.cli.command import Command, FileName, compilation, completed_by, jobs, network_file, profile, reading, target
from neurocomp.cli.output import Output
from neurocomp.errors import Diagnostic, UsageError, did_you_mean

if TYPE_CHECKING:
    from neurocomp.api import Compiled
    from neurocomp.report.headroom import Headroom

STAGES = ("network", "quantized", "lowered", "mapped", "program")


@click.command(
    cls=Command,
    examples=(
        ("neurocomp compile net.yaml --target loihi", "writes net.ncz here and prints what it needs"),
        ("neurocomp compile net.yaml -t loihi -o out/net.ncz --json", ""),
        ("neurocomp compile net.yaml -t loihi --effort max", "searches longer for a mapping with fewer packets"),
        ("neurocomp compile net.yaml -t loihi --emit quantized", "shows what each number became"),
        ("neurocomp compile net.yaml -t truenorth --partial-sums", "cuts fan-in that no core has; lossy, measured"),
        ("neurocomp compile net.yaml -t loihi --ticks-per-step 2", "gives a cycle of two hops and a delay of 1 its time"),
        ("neurocomp compile net.nir -t loihi --trained-in snntorch --reset zero", "NIR leaves open what a spike does"),
        ("neurocomp compile net.yaml -t loihi --allow-extension graded", "simulates spikes with values, which Loihi 1 lacks"),
    ),
)
@network_file
@target
@compilation
@reading
@click.option(
    "--out", "-o", type=FileName(".ncz"), metavar="OUT.ncz", help="The artifact; default: NET's name with .ncz, here."
)
@click.option(
    "--emit",
    multiple=True,
    metavar="STAGE,...",
    shell_complete=completed_by(*STAGES),
    help=f"Print stages as text: {', '.join(STAGES)}; the summary then goes to stderr.",
)
@profile
@click.option(
    "--mapping",
    type=click.Path(path_type=Path),
    metavar="MAP.json",
    help="Pins populations, or some of their neurons, to cores ('neurocomp map export' writes such a file).",
)
@jobs
def command(
    path: Path, target: str, out: Path | None, emit: tuple[str, ...], profile: Path | None, mapping: Path | None,
    jobs: int | None, options: Mapping[str, Any], reading: Mapping[str, Any], output: Output,
) -> None:  # fmt: skip
    """Compile a network for a chip into one file (.ncz).

    The mapping shows on a terminal how far it is; Ctrl-C then ends it with the best one so far.
    """
    stages = _stages(emit)
    from neurocomp import api
    from neurocomp.report.headroom import first_to_run_out

    with output.share(f"compiling {path.name} for {target}") as progress:
        compiled = api.compile(
            path, target, profile=profile, mapping=mapping, progress=progress, jobs=jobs, reading=reading, **options
        )
        out = out or Path(path.stem + ".ncz")
        digest = compiled.save(out)
        utilization = compiled.utilization()
        headroom = first_to_run_out(compiled.artifact.mapped, compiled.artifact.spec, utilization)
    texts = {stage: _text(compiled, stage) for stage in stages}
    if output.as_json:
        output.json(_document(compiled, out, digest, headroom, texts))
        return
    output.not_on_this_chip(compiled.extensions, messages=bool(texts))
    for stage, text in texts.items():
        click.echo(f"--- {stage}\n{text}", nl=False)
    if not output.quiet:
        from neurocomp.report import terminal

        written = f"{out} ({out.stat().st_size / 1000:,.0f} kB, sha256 {digest[:12]})"
        made = compiled.artifact
        summary = terminal.compilation(
            made.network,
            made.integers,
            made.mapped,
            made.spec,
            notes=made.notes,
            utilization=utilization,
            headroom=headroom,
            written=written,
            ticks_per_step=compiled.ticks_per_step,
        )
        output.summary(summary, messages=bool(texts))
        output.suggest(f"neurocomp verify {out}")


def _stages(emit: tuple[str, ...]) -> list[str]:
    """Return the stages to print, in the order of the path."""
    wanted = [stage.strip() for value in emit for stage in value.split(",") if stage.strip()]
    for stage in wanted:
        if stage not in STAGES:
            hint = did_you_mean(stage, STAGES)
            raise UsageError(Diagnostic("NC0801", f"--emit: there is no stage '{stage}'", hint=hint))
    return [stage for stage in STAGES if stage in wanted]


def _text(compiled: Compiled, stage: str) -> str:
    from neurocomp.ir import text

    write: Any = getattr(text, f"{stage}_text")
    result: str = write(getattr(compiled.artifact, stage))
    return result


def _document(compiled: Compiled, out: Path, digest: str, headroom: Headroom, texts: dict[str, str]) -> dict[str, Any]:
    artifact, network = compiled.artifact, compiled.network
    warnings = artifact.integers.warnings
    document = {
        "artifact": str(out),
        "target": artifact.spec.name,
        "cores": len(artifact.mapped.cores),
        "chips": artifact.mapped.chips,
        "utilization": compiled.utilization(),
        "synapse_words": {**compiled.synapse_words(), "binds": artifact.spec.synapse_cost},
        "inputs": {p.name: p.shape for p in network.inputs},
        "outputs": {p.name: p.shape for p in network.outputs},
        "ticks": network.ticks,
        "ticks_per_step": compiled.ticks_per_step,
        "chip_ticks": network.ticks * compiled.ticks_per_step + artifact.lowered.largest_lag,
        "not_on_this_chip": compiled.extensions,
        "digest": digest,
        "folded": [name for name in network.populations if name not in artifact.lowered.map],
        "lags": dict(artifact.lowered.lag),
        "warnings": warnings,
        "notes": [note for note in artifact.notes if note not in warnings],
        "choices": [choice.as_json() for choice in network.choices],
        "verdicts": [
            {
                "population": v.population,
                "register": v.register,
                "kind": v.kind,
                "bound": v.bound,
                "limit": v.limit,
                "ticks": v.ticks,
                "samples": v.samples,
            }
            for v in artifact.integers.verdicts
        ],
        "first_to_run_out": {"resource": headroom.resource, "factor": headroom.factor, "reason": headroom.reason},
    }
    return {**document, "emit": texts} if texts else document
