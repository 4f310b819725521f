"""``neurocomp run``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurocomp.cli.command import (
    Command,
    FileName,
    comparison,
    completed_by,
    data,
    jobs,
    network_or_artifact,
    reading,
    refuse_two_stimuli,
    samples,
    stimulus,
)
from neurocomp.cli.failures import INTERRUPTED
from neurocomp.cli.output import Output, event_text, events_as_json
from neurocomp.errors import Diagnostic, UsageError

if TYPE_CHECKING:
    from neurocomp.api import Run
    from neurocomp.ir.network import Network, Samples

ENGINES = ("float", "reference", "fast", "chip", "lava")


@click.command(
    cls=Command,
    examples=(
        ("neurocomp run net.yaml -o trace.npz", "in real numbers, on the declared data"),
        ("neurocomp run net.ncz --engine chip --input spikes.npz -o trace.npz", "the bytes for the chip, on given spikes"),
        ("neurocomp run net.ncz --probe all --state --samples 1 -o trace.npz", "every spike, current and potential"),
    ),
)
@network_or_artifact
@click.option(
    "--engine",
    "-e",
    metavar="E",
    shell_complete=completed_by(*ENGINES),
    help=f"One of {', '.join(ENGINES)}; default: float for a network; for an artifact fast, chip where it has crossbars, "
    "reference where that is quicker.",
)
@stimulus
@click.option("--raw", is_flag=True, help="X.npz holds data (samples, *shape), which go through the encoders first.")
@click.option(
    "--out", "-o", type=FileName(".npz"), metavar="TRACE.npz", help="Write the arrays; docs/cli.md lists their names."
)
@click.option(
    "--probe",
    type=click.Choice(["outputs", "all"]),
    default="outputs",
    show_default=True,
    help="Populations that are recorded.",
)
@click.option("--state", is_flag=True, help="Record potentials, and currents where the model has them.")
@click.option(
    "--stage",
    type=click.Choice(["lowered", "quantized"]),
    default="lowered",
    show_default=True,
    help="What is executed: the chip's own neurons, or the integers before lowering.",
)
@samples
@data
@jobs
@comparison
@reading
def command(
    path: Path,
    engine: str | None,
    inputs: Path | None,
    raw: bool,
    out: Path | None,
    probe: str,
    state: bool,
    stage: str,
    samples: int | None,
    data: Mapping[str, str],
    jobs: int | None,
    reading: Mapping[str, Any],
    output: Output,
) -> int:
    """Simulate a network, or what was compiled from it.

    Ctrl-C ends it early and writes the samples that are finished.
    """
    if raw and inputs is None:
        raise UsageError(Diagnostic("NC0801", "--raw says what --input holds", hint="add --input X.npz"))
    refuse_two_stimuli(inputs, data)
    from neurocomp import api

    loaded = api.load(path, **reading)
    extensions: tuple[str, ...] | None = loaded.extensions if isinstance(loaded, api.Compiled) else None
    spikes = None if raw else inputs
    with output.progress(f"running {path.name}") as advance:
        if isinstance(loaded, api.Compiled):
            given = _samples(loaded.network, inputs, raw, data, loaded.artifact.samples)
            result = loaded.run(
                engine, spikes, samples=given, count=samples, probe=probe, state=state, stage=stage, jobs=jobs,
                progress=advance, keep_finished=True,
            )  # fmt: skip
            network = loaded.network
        else:
            _only_float(path, engine or "float", stage)
            network = loaded
            given = _samples(network, inputs, raw, data, network.data.samples)
            result = api.run_network(
                network, spikes, samples=given, count=samples, probe=probe, state=state, jobs=jobs, progress=advance,
                keep_finished=True,
            )  # fmt: skip
    if out is not None:
        with output.busy(f"writing {out}"):
            result.save(out)
    if result.interrupted:
        output.interrupted(advance, f"they are in {out}" if out else "what follows is about them")
    for event in result.events:
        output.warn(event_text(event))
    output.not_on_this_chip(extensions or ())
    if output.as_json:
        n_samples, n_ticks = next(iter(result.arrays.values())).shape[:2]
        output.json(
            {
                "engine": result.engine,
                "samples": n_samples,
                "ticks": n_ticks,
                "output": str(out) if out else None,
                "arrays": {key: {"shape": a.shape, "dtype": str(a.dtype)} for key, a in result.arrays.items()},
                "events": events_as_json(result.events),
                "interrupted": result.interrupted,
                **({} if extensions is None else {"not_on_this_chip": extensions}),
            }
        )
    elif not output.quiet:
        _print(result, network, out, output)
    return INTERRUPTED if result.interrupted else 0


def _only_float(path: Path, engine: str, stage: str) -> None:
    """Refuse what needs integers, as a network has none yet."""
    hint = f"compile it first: neurocomp compile {path} --target loihi -o {path.stem}.ncz"
    if engine != "float":
        message = f"engine '{engine}' executes what was compiled, and '{path}' is a network"
        raise UsageError(Diagnostic("NC0801", message, hint=hint))
    if stage != "lowered":
        raise UsageError(Diagnostic("NC0801", f"'{path}' is a network and has no stage '{stage}'", hint=hint))


def _samples(
    network: Network, inputs: Path | None, raw: bool, data: Mapping[str, str], declared: Samples | None
) -> Samples | None:
    """Return the data for the encoders: of ``--input X.npz --raw``, of ``--data``, or what the file declares."""
    from neurocomp import api

    if raw:
        data = {p.name: f"{inputs}#{p.name}" for p in network.inputs}
    return api.samples_of(network, data, None, declared)


def _print(result: Run, network: Network, out: Path | None, output: Output) -> None:
    from rich.text import Text

    from neurocomp.report import terminal

    rows = []
    for key, array in result.arrays.items():
        kind, _, name = key.partition("/")
        if kind == "spikes":
            n_samples, n_ticks = array.shape[:2]
            spikes, size = int((array != 0).sum()), network.populations[name].size
            rate = spikes / (n_samples * n_ticks * size)
            hertz = f"{rate / network.timestep:,.1f} Hz"
            rows.append((name, f"{size:,}", f"{spikes:,}", terminal.number(spikes / n_samples), terminal.percent(rate), hertz))
    head = f"{network.name} on {result.engine}: {terminal.counted(n_samples, 'sample')} of {terminal.counted(n_ticks, 'tick')}"
    titles = ("population", "neurons", "spikes", "per sample", "per neuron and tick", "rate")
    output.summary(Text(head, "bold"), terminal.table(titles, rows))
    if out is not None:
        output.summary(Text(f"written: {out} ({', '.join(result.arrays)})"))
