"""``neurocomp cite``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from neurocomp import __version__
from neurocomp.cli.command import Command
from neurocomp.cli.output import Output

if TYPE_CHECKING:
    from neurocomp.report.bibliography import Sources

YEAR = 2026
TITLE = "neurocomp: a compiler that brings spiking neural networks onto neuromorphic chips"


@click.command(
    cls=Command,
    examples=(
        ("neurocomp cite", "neurocomp itself"),
        ("neurocomp cite net.ncz", "and the sources of the costs and times of its chip"),
        ("neurocomp cite net.ncz --format bibtex > net.bib", ""),
    ),
)
@click.argument("path", metavar="[ART]", required=False, type=click.Path(path_type=Path))
@click.option("--costs", metavar="NAME", help="A cost source of the target; default: the one that its spec names.")
@click.option("--format", "form", type=click.Choice(["text", "bibtex"]), default="text", show_default=True, help="How.")
def command(path: Path | None, costs: str | None, form: str, output: Output) -> None:
    """Say how to cite neurocomp, and what the numbers of a report rest on.

    'neurocomp report ART --format latex' writes a .bib of exactly the works that its tables cite.
    """
    own = f"@software{{neurocomp,\n  author  = {{{{The neurocomp developers}}}},\n  title   = {{{TITLE}}},\n"
    own += f"  version = {{{__version__}}},\n  year    = {{{YEAR}}}\n}}"
    works = {"neurocomp": (f"The neurocomp developers, {TITLE}, version {__version__}, {YEAR}", own)}
    if path is not None:
        sources, keys = _sources(path, costs)
        works |= {key: (sources.plain(key), sources.entry(key).text) for key in keys}
    if output.as_json:
        output.json({"works": [{"key": key, "text": text, "bibtex": entry} for key, (text, entry) in works.items()]})
    else:
        click.echo("\n\n".join(entry if form == "bibtex" else text for text, entry in works.values()))


def _sources(path: Path, costs: str | None) -> tuple[Sources, list[str]]:
    """Return the sources of an artifact's spec, and the keys that its costs and times name."""
    from neurocomp import registry
    from neurocomp.cli.artifacts import load_artifact
    from neurocomp.energy.joules import table_of
    from neurocomp.report.bibliography import Sources, cited, entries

    spec = load_artifact(path, "cite").artifact.spec
    name, table = table_of(spec, costs)
    sources = Sources(spec.sources, entries(registry.references()))
    times = spec.times.get(name)
    stated = [*table.values(), *((*times.events.values(), *times.barrier.values()) if times is not None else ())]
    return sources, cited(" ".join(sources.marked(cost.source) for cost in stated))
