"""What a user says of a file whose format leaves it open."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Literal

from neurocomp.errors import Diagnostic, UsageError, did_you_mean
from neurocomp.frontends.vocabulary import MAX_COUNT, UNITS


@dataclass(frozen=True, slots=True)
class Reading:
    """Choices for files of other tools; None: the file, the framework that trained it, or the default of the format decides."""

    dt: float | None = None
    """Length of a tick, in seconds."""
    reset: Literal["zero", "subtract", "value", "none"] | None = None
    reset_when: Literal["same_tick", "next_tick", "next_update"] | None = None
    compare: Literal[">", ">="] | None = None
    integration: Literal["exact", "euler"] | None = None
    trained_in: str | None = None
    """Framework whose documented rules hold: snntorch, norse, sinabs, spyx, rockpool, spikingjelly, lava."""
    ticks: int | None = None
    """Ticks per sample."""

    @property
    def said(self) -> tuple[str, ...]:
        """The names of what is given."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) is not None)


NOTHING_SAID = Reading()
RESETS = ("zero", "subtract", "value", "none")
TIMES_OF_RESET = ("same_tick", "next_tick", "next_update")
COMPARISONS = (">", ">=")
INTEGRATIONS = ("exact", "euler")
FRAMEWORKS = ("snntorch", "norse", "sinabs", "spyx", "rockpool", "spikingjelly", "lava")
_TIME = re.compile(r"\s*(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)\s*([a-zµ]*)\s*")


def seconds(text: str | float) -> float:
    """Return a length of time, ``0.1ms`` or a number of seconds.

    >>> seconds("0.1ms"), seconds("1e-4"), seconds(0.001)
    (0.0001, 0.0001, 0.001)

    Raises:
        UsageError: It is none above 0 (NC0801).
    """
    found = _TIME.fullmatch(str(text)) if not isinstance(text, bool) else None
    if found is not None and (found[2] or "s") in UNITS:
        value = float(Decimal(found[1]).scaleb(UNITS[found[2] or "s"]))
        if 0 < value < math.inf:
            return value
    hint = "write a number with s, ms, us or ns, or of seconds: 0.1ms, 1e-4"
    raise UsageError(Diagnostic("NC0801", f"dt is '{text}'; a time above 0 is needed", hint=hint))


def reading_of(said: Mapping[str, Any]) -> Reading:
    """Return what is said by name; None says nothing.

    Raises:
        UsageError: A name or a word is not known, or a value is none of its kind (NC0801).
    """
    words = {
        "reset": RESETS,
        "reset_when": TIMES_OF_RESET,
        "compare": COMPARISONS,
        "integration": INTEGRATIONS,
        "trained_in": FRAMEWORKS,
    }
    known = [f.name for f in fields(Reading)]
    values: dict[str, Any] = {}
    for name, value in said.items():
        if name not in known:
            raise UsageError(Diagnostic("NC0801", f"nothing is known of '{name}'", hint=did_you_mean(name, known)))
        if value is None:
            continue
        if name in words and value not in words[name]:
            hint = did_you_mean(str(value), words[name])
            raise UsageError(Diagnostic("NC0801", f"{name.replace('_', '-')} is '{value}', which is not known", hint=hint))
        if name == "ticks" and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_COUNT):
            raise UsageError(Diagnostic("NC0801", f"ticks is {value}; a whole number from 1 on is needed"))
        values[name] = seconds(value) if name == "dt" else value
    return Reading(**values)
