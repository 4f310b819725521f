"""Errors as part of the product: where, stable code, what, which limit, one next step."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a user's file. ``file`` is relative to the folder of the network file, so that artifacts hold no paths."""

    file: str
    line: int | None = None
    column: int | None = None
    text: str | None = None
    """The source line, for the excerpt; not stored in artifacts."""
    length: int = 0
    """How many characters of ``text`` from ``column`` on are underlined."""

    def __str__(self) -> str:
        parts = [self.file]
        if self.line is not None:
            parts.append(str(self.line))
            if self.column is not None:
                parts.append(str(self.column))
        return ":".join(parts)

    def without_text(self) -> Location:
        """Return the location as artifacts store it."""
        return replace(self, text=None, length=0)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. ``code`` is a key of `neurocomp.errors.catalogue.CATALOGUE`."""

    code: str
    message: str
    location: Location | None = None
    limit: str | None = None
    also: str | None = None
    hint: str | None = None
    severity: str = "error"

    def render(self) -> str:
        """Return the finding as printed: ``file:line:col: error[CODE name]: message`` and its details."""
        from neurocomp.errors.catalogue import CATALOGUE

        name = CATALOGUE[self.code].name
        head = f"{self.severity}[{self.code} {name}]: {self.message}"
        lines = [f"{self.location}: {head}" if self.location else head]
        if self.location is not None and self.location.text and self.location.line is not None:
            gutter = f"{self.location.line:>5}"
            lines.append(f"{gutter} | {self.location.text}")
            column = self.location.column or 1
            width = max(1, min(self.location.length or 1, len(self.location.text) - column + 1))
            lines.append(f"{'':>5} | {' ' * (column - 1)}{'^' * width}")
        for label, text in (("limit", self.limit), ("also", self.also), ("hint", self.hint)):
            if text:
                lines.append(f"{label + ':':<6} {text}")
        return "\n".join(lines)


class NeurocompError(Exception):
    """Base of every error that neurocomp raises on purpose; carries one or more diagnostics.

    ``exit_code`` is what the command line returns: see the README's table.
    """

    exit_code = 1

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        super().__init__(self.render())

    def render(self) -> str:
        """Return all findings as one text, at most `MAX_SHOWN` in full."""
        shown = [d.render() for d in self.diagnostics[:MAX_SHOWN]]
        if len(self.diagnostics) > MAX_SHOWN:
            shown.append(f"... and {len(self.diagnostics) - MAX_SHOWN} more")
        return "\n\n".join(shown)


class UsageError(NeurocompError, ValueError):
    """The command or call itself makes no sense."""

    exit_code = 2


class NetworkError(NeurocompError, ValueError):
    """The network, its arrays or a stimulus are invalid."""

    exit_code = 3


class SpecError(NeurocompError, ValueError):
    """A hardware spec is invalid."""

    exit_code = 3


class ArtifactError(NeurocompError, ValueError):
    """A file is not an intact artifact."""

    exit_code = 3


class UnsupportedError(NeurocompError, ValueError):
    """The target cannot do what the network asks for."""

    exit_code = 4


class EngineUnavailable(NeurocompError, RuntimeError):
    """A simulation engine is not installed or does not exist."""

    exit_code = 4


class CapacityError(NeurocompError, ValueError):
    """The network does not fit the target."""

    exit_code = 5


class VerifyMismatch(NeurocompError):
    """Two simulations disagree."""

    exit_code = 6


class InternalError(NeurocompError):
    """A stage broke an invariant: a bug of neurocomp, never the user's fault."""

    exit_code = 1


def broken_invariant(stage: str, claim: str) -> InternalError:
    """Return the error for a stage type whose ``verify()`` failed."""
    return InternalError(
        Diagnostic(
            "NC0901",
            f"{stage} broke an invariant: {claim}",
            hint="this is a bug of neurocomp; please report it with the network file",
        )
    )


def did_you_mean(name: str, known: Sequence[str]) -> str | None:
    """Return ``did you mean 'x'?`` for the closest known name, else the list of known names."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    if known:
        return "known: " + ", ".join(sorted(known))
    return None
