"""``neurocomp targets``."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import click

from neurocomp.cli.command import Command
from neurocomp.cli.output import Output
from neurocomp.errors import EngineUnavailable

if TYPE_CHECKING:
    from neurocomp.hardware import HardwareSpec


@click.command(
    cls=Command,
    examples=(
        ("neurocomp targets", "chips, their size, and what can simulate their programs here"),
        ("neurocomp targets --json", ""),
    ),
)
def command(output: Output) -> None:
    """List the chips that are installed.

    A chip of a known family is a YAML file: --target ./my_chip.yaml takes it without installing anything.
    """
    from neurocomp import registry

    found = [_document(spec) for spec in registry.specs().values()]
    if output.as_json:
        output.json({"targets": found})
    else:
        _print(found, output)


def _document(spec: HardwareSpec) -> dict[str, Any]:
    from neurocomp import registry

    backend = registry.backend(spec.backend)
    without_numba = None if importlib.util.find_spec("numba") else "numba is not installed"
    engines: dict[str, str | None] = {"reference": None, "fast": without_numba, "chip": None}
    try:
        backend.chip_simulator()
    except EngineUnavailable as error:
        engines["chip"] = error.diagnostics[0].message.removeprefix("engine 'chip' is not available: ")
    engines |= {witness.name: witness.unavailable() for witness in backend.witnesses}
    limit = spec.limit
    if spec.has_crossbars:
        engines["fast"] = "it has no crossbars"
        memory = limit("input_axons") * limit("neurons") // 8
    else:
        memory = limit("synapse_words") * 8
    return {
        "name": spec.name,
        "title": spec.title,
        "backend": spec.backend,
        "chips": limit("chips"),
        "cores_per_chip": limit("cores_per_chip"),
        "neurons_per_core": limit("neurons"),
        "synapse_memory_bytes_per_core": memory,
        "extensions": list(spec.extensions),
        "engines": {name: {"available": reason is None, "reason": reason} for name, reason in engines.items()},
        "costs": list(spec.costs),
        "default_costs": spec.default_costs,
    }


def _extensions(names: list[str]) -> str:
    """Return what simulations of a chip can do beyond it."""
    from neurocomp.hardware import EXTENSIONS

    return ", ".join(f"{name} ({EXTENSIONS[name][2]})" for name in names) + "; --allow-extension NAME"


def _print(found: list[dict[str, Any]], output: Output) -> None:
    from rich.text import Text

    from neurocomp.report import terminal

    for index, entry in enumerate(found):
        memory = f"{entry['synapse_memory_bytes_per_core'] // 1024:,} KiB of synapse memory"
        available = [name for name, engine in entry["engines"].items() if engine["available"]]
        missing = [(f"without {name}", engine["reason"]) for name, engine in entry["engines"].items() if engine["reason"]]
        output.show(
            *([Text()] if index else []),
            Text(entry["name"], "bold"),
            terminal.facts(
                [
                    ("  chip", entry["title"]),
                    ("  cores", f"{entry['cores_per_chip']:,} per chip, up to {terminal.counted(entry['chips'], 'chip')}"),
                    ("  per core", f"{entry['neurons_per_core']:,} neurons, {memory}"),
                    ("  engines", ", ".join(available)),
                    *((f"  {label}", reason) for label, reason in missing),
                    *([("  extensions", _extensions(entry["extensions"]))] if entry["extensions"] else []),
                    (
                        "  costs",
                        ", ".join(f"{n} (default)" if n == entry["default_costs"] else n for n in entry["costs"])
                        or "none is published",
                    ),
                ]
            ),
        )
