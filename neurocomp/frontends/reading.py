"""What a user says of a file whose format leaves it open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Reading:
    """Choices for files of other tools; None: the file, the framework that trained it, or the default of the format decides."""

    dt: float | None = None
    """Length of a tick, in seconds."""
    reset: Literal["zero", "subtract", "value", "none"] | None = None
    compare: Literal[">", ">="] | None = None
    integration: Literal["exact", "euler"] | None = None
    trained_in: str | None = None
    """Framework whose documented rules hold: snntorch, norse, sinabs, spyx, rockpool, spikingjelly, lava."""
    ticks: int | None = None
    """Ticks per sample."""


NOTHING_SAID = Reading()
