"""How kernels are compiled: by numba, without Python's lock, kept on disk from one run to the next."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

Function = Callable[..., Any]

SOURCES = (
    "jit",
    "records",
    "synapses",
    "learning",
    "neurons",
    "programs",
    "machine",
    "layout",
    "counting",
    "crossbar",
    "tiling",
    "partitioning",
    "placing",
    "pricing",
)
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
        # A folder of this process alone: what others can write must not be loaded as code.
        return Path(tempfile.mkdtemp(prefix="neurocomp-kernels-"))


_config: Any = numba.config
_njit: Any = numba.njit
FOLDER = _folder()


def are_compiled(of: str) -> bool:
    """Return whether every kernel of a part of the program lies compiled on disk."""
    return _mark(of).exists()


def mark_compiled(of: str) -> None:
    """Note that every kernel of a part of the program lies compiled on disk."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    _mark(of).touch()


def _mark(of: str) -> Path:
    return FOLDER / f"complete-{of.replace(' ', '-')}"


def _compiled(function: Function, **options: bool) -> Function:
    before, _config.CACHE_DIR = _config.CACHE_DIR, str(FOLDER)
    try:
        compiled: Function = _njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True, _nrt=False, **options)(
            function
        )
    finally:
        _config.CACHE_DIR = before
    return compiled


def entry(function: Function) -> Function:
    """Compile a kernel that Python calls, on its first call, or load what an earlier run compiled. It runs without the GIL."""
    return _compiled(function)


def kernel(function: Function) -> Function:
    """Compile a kernel that other kernels alone call."""
    return _compiled(function, no_cpython_wrapper=True)


def inlined(function: Function) -> Function:
    """Compile a function as part of each kernel that calls it, and not a second time on its own."""
    compiled: Function = _njit(inline="always", error_model="numpy")(function)
    return compiled


@intrinsic
def fetch(_: Any, array: Any, index: Any) -> Any:
    """Ask the memory for the cache line of an element, and do not wait for it; the index may lie anywhere."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        place = context.make_array(kind)(context, builder, arguments[0])
        offset = context.cast(builder, arguments[1], signature.args[1], types.intp)
        byte = ir.IntType(8).as_pointer()
        address = builder.bitcast(builder.gep(place.data, [offset]), byte)
        number = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, number, number, number]), "llvm.prefetch.p0"
        )
        builder.call(function, [address, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate
