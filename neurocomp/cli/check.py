"""``neurocomp check``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neurocomp.cli.command import Command, compilation, network_file, reading, target
from neurocomp.cli.failures import colored
from neurocomp.cli.output import Output, has_color
from neurocomp.errors import CapacityError, Diagnostic, NeurocompError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from neurocomp.ir.network import Network
    from neurocomp.mapping.feasibility import Feasibility


@click.command(
    cls=Command,
    examples=(
        ("neurocomp check net.yaml --target loihi", "exit code 0: compiles; 4: unsupported; 5: does not fit"),
        ("neurocomp check net.yaml --target ./my_chip.yaml --json", ""),
        ("neurocomp check net.yaml --target loihi --ticks-per-step 2", "options are those of compile"),
    ),
)
@network_file
@target
@compilation
@reading
def command(path: Path, target: str, options: Mapping[str, Any], reading: Mapping[str, Any], output: Output) -> int:
    """List every reason why a network does not run on a chip.

    All violations of the first stage that has some are listed; nothing is written. For chips of the Loihi family a table says
    which limit of a core binds each population, by how much, and what would help.
    """
    from neurocomp import api, pipeline, registry

    found: list[Diagnostic] = []
    documents: list[dict[str, Any]] = []
    failure: NeurocompError | None = None
    extensions: tuple[str, ...] = ()
    feasible: Feasibility | None = None
    network: Network | None = None
    with output.busy(f"checking {path.name} for {target}"):
        try:
            loaded = api.load(path, **reading)
            if isinstance(loaded, api.Compiled):
                hint = "give the network file"
                raise UsageError(Diagnostic("NC0801", f"'{path}' is an artifact, already compiled", hint=hint))
            network = loaded
            checked = api.check_stages(network, target, **options)
            violations, extensions = checked.violations, checked.lowered.extensions if checked.lowered else ()
            feasible = checked.feasibility
            found = [violation.diagnostic() for violation in violations]
            documents = [violation.as_json() for violation in violations]
            failure = pipeline.violation_error(violations) if violations else None
        except (UnsupportedError, CapacityError) as error:
            found, failure = list(error.diagnostics), error
            documents = [_document(diagnostic) for diagnostic in found]
    if output.as_json:
        output.json(
            {
                "target": target,
                "inputs": {p.name: p.shape for p in network.inputs} if network else {},
                "outputs": {p.name: p.shape for p in network.outputs} if network else {},
                "ok": not found,
                "violations": documents,
                "not_on_this_chip": extensions,
                "feasibility": [row.as_json() for row in feasible.rows] if feasible else [],
            }
        )
        return failure.exit_code if failure else 0
    output.not_on_this_chip(extensions)
    if not output.quiet:
        if network is not None and feasible is not None and (failure is None or failure.exit_code == CapacityError.exit_code):
            from neurocomp.report.feasibility import feasibility

            output.show(feasibility(feasible, network.name, registry.find_spec(target)))
            click.echo()
        for diagnostic in found:
            click.echo(colored(diagnostic.render(), has_color(sys.stdout)) + "\n")
        count = "1 violation" if len(found) == 1 else f"{len(found)} violations"
        name = network.name if network else path.name
        click.echo(f"'{name}' has {count} on {target}" if found else f"'{name}' compiles for {target}")
    return failure.exit_code if failure else 0


def _document(diagnostic: Diagnostic) -> dict[str, Any]:
    """Return what a pass refused in the form of a violation."""
    unknown = dict.fromkeys(("subject", "actual"))
    where = str(diagnostic.location) if diagnostic.location else None
    return {
        "code": diagnostic.code,
        **unknown,
        "message": diagnostic.message,
        "limit": diagnostic.limit,
        "source": diagnostic.limit,
        "hint": diagnostic.hint,
        "also": diagnostic.also,
        "location": where,
    }
