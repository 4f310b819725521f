"""``neurocomp report --replay``: the same report once more, and whether every number is the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurocomp.errors import Diagnostic, NetworkError

if TYPE_CHECKING:
    from neurocomp.cli.output import Output

DIFFERENT = 6
"""The exit code where a number differs: a comparison failed."""
SHOWN = 10
NO_NUMBER = ("engine", "interrupted", "provenance.neurocomp")
"""What may differ: all engines count the same, whatever version they are of."""


def artifact_of(report: Mapping[str, Any], beside: Path, given: Path | None) -> Path:
    """Return the artifact that a report was made from: the one given, or the one beside the report or here that has its digest.

    Raises:
        NetworkError: It is another one, or there is none (NC0347).
    """
    from neurocomp.artifact import stored_digest

    digest = str(report["provenance"].get("artifact"))
    if given is not None:
        found = stored_digest(given)
        if found is not None and found != digest:
            message = f"'{given.name}' has the digest {found[:12]}, the report is of {digest[:12]}"
            raise NetworkError(Diagnostic("NC0347", message, hint="compile the same network with the same version and options"))
        return given
    folders = dict.fromkeys((beside.resolve().parent, Path.cwd()))
    candidates = (path for folder in folders for path in sorted(folder.glob("*.ncz")))
    match = next((path for path in candidates if stored_digest(path) == digest), None)
    if match is None:
        message = f"no artifact with the digest {digest[:12]} lies beside '{beside.name}' or here"
        raise NetworkError(Diagnostic("NC0347", message, hint=f"name it: neurocomp report ART --replay {beside.name}"))
    return match


def compare(before: Mapping[str, Any], now: Mapping[str, Any], output: Output) -> int:
    """Say which numbers differ, and return the exit code."""
    import json

    from neurocomp.report.provenance import differences, numbers_of

    again = json.loads(json.dumps(now))
    found = [(where, a, b) for where, a, b in differences(before, again) if where not in NO_NUMBER]
    if output.as_json:
        listed = [{"where": where, "before": a, "now": b} for where, a, b in found]
        output.json({"replayed": numbers_of(again), "differences": listed})
        return DIFFERENT if found else 0
    if not found:
        output.summary(f"replayed: all {numbers_of(again):,} numbers are the same")
        return 0
    lines = [f"{where}: {a!r} before, {b!r} now" for where, a, b in found[:SHOWN]]
    more = [f"and {len(found) - SHOWN:,} more; --json has all"] if len(found) > SHOWN else []
    output.show("\n".join([f"DIFFERENT: {len(found):,} of {numbers_of(again):,} numbers", *lines, *more]))
    return DIFFERENT
