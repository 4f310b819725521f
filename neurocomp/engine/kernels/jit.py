"""How kernels are compiled: by numba, without Python's lock, kept on disk from one run to the next."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import config

F = TypeVar("F", bound=Callable[..., Any])

SOURCES = ("jit", "records", "synapses", "neurons", "machine", "layout")
"""The modules whose text decides what is compiled. numba looks at one file at a time, and kernels call one another."""


def user_cache() -> Path:
    """Return the folder where this user's programs keep what they can make again; ``NUMBA_CACHE_DIR`` names another."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(given)
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")


def _folder() -> Path:
    """Return the folder of the compiled kernels: one for each text of the kernels, version of numba and processor."""
    text = hashlib.sha256()
    for name in SOURCES:
        text.update((Path(__file__).parent / f"{name}.py").read_bytes())
    processor = numba.core.registry.cpu_target.target_context.codegen().magic_tuple()
    text.update(repr((numba.__version__, sys.version_info[:2], processor)).encode())
    folder = user_cache() / "neurocomp" / f"kernels-{text.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.gettempdir()) / f"neurocomp-kernels-{os.getuid() if hasattr(os, 'getuid') else 0}" / folder.name


FOLDER = _folder()
_MARK = FOLDER / "complete"


def are_compiled() -> bool:
    """Return whether every kernel lies compiled on disk."""
    return _MARK.exists()


def mark_compiled() -> None:
    """Note that every kernel lies compiled on disk."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    _MARK.touch()


def _compiled(function: F, **options: bool) -> F:
    before, config.CACHE_DIR = config.CACHE_DIR, str(FOLDER)
    try:
        compiled: F = numba.njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True, **options)(function)
    finally:
        config.CACHE_DIR = before
    return compiled


def entry(function: F) -> F:
    """Compile a kernel that Python calls, on its first call, or load what an earlier run compiled. It runs without the GIL."""
    return _compiled(function)


def kernel(function: F) -> F:
    """Compile a kernel that other kernels alone call."""
    return _compiled(function, no_cpython_wrapper=True)


def inlined(function: F) -> F:
    """Compile a function as part of each kernel that calls it, and not a second time on its own."""
    compiled: F = numba.njit(inline="always", error_model="numpy")(function)
    return compiled
