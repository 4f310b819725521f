"""The open sets of the language: one table per kind, filled by the modules that define its members and by plug-ins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from neurocomp.errors import Diagnostic, NetworkError, did_you_mean

T = TypeVar("T")


class Table(Generic[T]):
    """Named members of one kind, such as neuron models.

    >>> table = Table[int]("pattern")
    >>> table.register("dense", 1)
    >>> table["dense"]
    1
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._members: dict[str, T] = {}

    def register(self, name: str, member: T) -> None:
        """Add a member; a name that is taken is an error of the plug-in."""
        if name in self._members:
            raise ValueError(f"{self.kind} '{name}' is registered twice")
        self._members[name] = member

    def __getitem__(self, name: str) -> T:
        try:
            return self._members[name]
        except KeyError:
            message = f"there is no {self.kind} '{name}'"
            raise NetworkError(Diagnostic("NC0208", message, hint=did_you_mean(name, list(self)))) from None

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)
