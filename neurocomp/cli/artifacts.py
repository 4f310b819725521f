"""Opens the artifact that a command names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from neurocomp.errors import Diagnostic, UsageError

if TYPE_CHECKING:
    from neurocomp.api import Compiled


def load_artifact(path: Path, command: str) -> Compiled:
    """Read an artifact.

    Raises:
        UsageError: The name is that of a network file.
        ArtifactError: The artifact is not intact.
    """
    if path.suffix != ".ncz":
        hint = f"compile it first: neurocomp compile {path} --target loihi -o {path.stem}.ncz"
        raise UsageError(Diagnostic("NC0801", f"{command} takes an artifact (.ncz), not '{path}'", hint=hint))
    from neurocomp import api

    loaded = api.load(path)
    assert isinstance(loaded, api.Compiled)
    return loaded
