"""What is said of a network that was read, or converted, and written as net.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurocomp.cli.output import Output

if TYPE_CHECKING:
    from neurocomp.ir.network import Network


def network_document(network: Network, files: list[Path]) -> dict[str, Any]:
    """Return the network and its choices for ``--json``."""
    return {
        "files": [str(file) for file in files],
        "ticks": network.ticks,
        "timestep": network.timestep,
        "inputs": {p.name: p.shape for p in network.inputs},
        "outputs": {p.name: p.shape for p in network.outputs},
        "populations": {p.name: p.shape for p in network.populations.values()},
        "projections": [q.name for q in network.projections],
        "choices": [choice.as_json() for choice in network.choices],
    }


def print_network(network: Network, files: list[Path], output: Output) -> None:
    """Print what was read, and the choices."""
    if output.quiet:
        return
    from neurocomp.report import terminal

    neurons = sum(p.size for p in network.populations.values() if not p.is_input)
    inputs = sum(p.size for p in network.inputs)
    projections = terminal.counted(len(network.projections), "projection")
    head = f"{network.name}: {terminal.counted(inputs, 'input')}, {terminal.counted(neurons, 'neuron')}, {projections}"
    output.summary(terminal.facts([("network", head), ("written", ", ".join(map(str, files)))]))
    titles = ("what", "left open", "taken as", "because")
    by_value: dict[tuple[str, str, str], list[str]] = {}
    for choice in network.choices:
        by_value.setdefault((choice.axis, choice.value, choice.origin), []).append(choice.subject)
    rows = [(", ".join(subjects), *key) for key, subjects in by_value.items()]
    output.summary(terminal.table(titles, rows, left=4))
