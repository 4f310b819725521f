"""Make lava-nc 0.10 importable on Python 3.11 and 3.12 and with current numpy, or say why it is not.

lava-nc declares Python 3.10 and numpy 1. Two things break outside that, and ``install`` mends both without touching
the installed package:

- ``lava/magma/compiler/var_model.py`` gives dataclass instances as defaults of dataclass fields. From Python 3.11 on
  ``dataclass`` refuses a default that cannot be hashed, so the module is imported while ``dataclass`` makes hashable
  classes.
- ``ReshapePort`` calls ``numpy.reshape(newshape=...)``, an argument that numpy 2.4 removed.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.metadata
import importlib.util
import sys
from typing import Any

_HOW = 'pip install "neurocomp[lava]" on Python 3.10; in a checkout of neurocomp, make setup on Python 3.10 to 3.12'


def available() -> str | None:
    """Return None where Lava can be imported, else one line that says why not. Imports nothing of Lava."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        return f"Lava runs on Python 3.10 to 3.12, this is Python {version} ({_HOW})"
    if sys.platform == "win32":
        return "Lava starts its processes by fork, which Windows does not have"
    try:
        release = importlib.metadata.version("lava-nc")
    except importlib.metadata.PackageNotFoundError:
        return f"Lava is not installed ({_HOW})"
    if not release.startswith("0.10."):
        return f"lava-nc {release} is installed, 0.10 is needed ({_HOW})"
    if importlib.util.find_spec("lava") is None:
        return f"lava-nc {release} is installed but has no package lava ({_HOW})"
    return None


def install() -> None:
    """Import Lava's base so that everything else of it can be imported as usual. Safe to call again."""
    if sys.version_info >= (3, 11) and "lava.magma.compiler.var_model" not in sys.modules:
        original = dataclasses.dataclass
        dataclasses.dataclass = functools.partial(original, unsafe_hash=True)  # type: ignore[assignment]
        try:
            importlib.import_module("lava.magma.compiler.var_model")
        finally:
            dataclasses.dataclass = original

    reshape_port: Any = importlib.import_module("lava.magma.core.process.ports.ports").ReshapePort
    reshape_port.get_transform_func_fwd = _reshape_forward
    reshape_port.get_transform_func_bwd = _reshape_backward


# Lava sends these to its child processes, so they are functions of a module and not closures.


def _reshape(shape: tuple[int, ...], data: Any) -> Any:
    return data.reshape(shape)


def _reshape_forward(port: Any) -> functools.partial[Any]:
    return functools.partial(_reshape, port.shape)


def _reshape_backward(port: Any) -> functools.partial[Any]:
    return functools.partial(_reshape, port.old_shape)
