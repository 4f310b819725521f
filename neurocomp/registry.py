"""Finds backends, simulators, hardware specs and plug-ins by their entry points; loads only what is asked for.

Our own ones come through the same door as those of other distributions. docs/hwspecs.md shows how to add a chip.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import resources
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurocomp.errors import Diagnostic, EngineUnavailable, SpecError, UsageError, did_you_mean
from neurocomp.hardware import HardwareSpec, load_spec, read_spec

if TYPE_CHECKING:
    from importlib.abc import Traversable

    from neurocomp.backend import Backend, IntegerSimulator

BACKENDS = "neurocomp.backends"
SIMULATORS = "neurocomp.simulators"
SPECS = "neurocomp.hwspecs"
PLUGINS = "neurocomp.plugins"


def backends() -> dict[str, Backend]:
    """Return all backends by name. Imports every one of them; `backend` imports one.

    Raises:
        UsageError: Two distributions register one name (NC0801).
        EngineUnavailable: A backend cannot be imported (NC0320).
    """
    return {name: _made(entry) for name, entry in _entries(BACKENDS).items()}


def backend(name: str) -> Backend:
    """Return one backend.

    Raises:
        EngineUnavailable: There is none of that name, or it cannot be imported (NC0320).
    """
    made: Backend = _made(_entry(BACKENDS, name))
    return made


def simulators() -> dict[str, IntegerSimulator]:
    """Return all simulators of integer networks by name; errors as `backends`."""
    return {name: _made(entry) for name, entry in _entries(SIMULATORS).items()}


def simulator(name: str) -> IntegerSimulator:
    """Return one simulator of integer networks; errors as `backend`."""
    made: IntegerSimulator = _made(_entry(SIMULATORS, name))
    return made


def spec_files() -> dict[str, Traversable]:
    """Return the installed hardware specs by name, unread: each is ``NAME.yaml`` in a package of specs.

    Raises:
        UsageError: Two packages hold a spec of one name (NC0801).
        EngineUnavailable: A package of specs cannot be imported (NC0320).
    """
    files: dict[str, Traversable] = {}
    owners: dict[str, EntryPoint] = {}
    for entry in _entries(SPECS).values():
        for file in resources.files(_loaded(entry)).iterdir():
            name, extension = os.path.splitext(file.name)
            if extension != ".yaml":
                continue
            if name in files:
                raise _taken("hardware spec", name, owners[name], entry)
            files[name], owners[name] = file, entry
    return dict(sorted(files.items()))


def references() -> str:
    """Return the ``.bib`` files beside the installed specs: the works that specs cite, one text after another."""
    files = (file for entry in _entries(SPECS).values() for file in resources.files(_loaded(entry)).iterdir())
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.name.endswith(".bib"))


def specs() -> dict[str, HardwareSpec]:
    """Return all installed hardware specs by name.

    Raises:
        SpecError: One of them is invalid (NC0502).
    """
    return {name: _read_installed(name, file) for name, file in spec_files().items()}


def find_spec(target: str) -> HardwareSpec:
    """Return the hardware spec that a user names: an installed one, or a file ``*.yaml`` or with a folder in its name.

    Raises:
        UsageError: There is none (NC0501).
        SpecError: It is invalid (NC0502).
    """
    if target.endswith((".yaml", ".yml")) or "/" in target or os.sep in target:
        path = Path(target)
        if not path.exists():
            hint = "a name without folder and '.yaml' means an installed spec: see 'neurocomp targets'"
            raise UsageError(Diagnostic("NC0501", f"there is no hardware spec at '{target}'", hint=hint))
        return read_spec(path)
    files = spec_files()
    if target not in files:
        known = f"known: {', '.join(files)}" if files else "no spec is installed"
        close = did_you_mean(target, list(files))
        hint = f"{close} {known}" if close and close != known else known
        raise UsageError(Diagnostic("NC0501", f"there is no target '{target}'", hint=f"{hint}; or name a file, ./my_chip.yaml"))
    return _read_installed(target, files[target])


def load_plugins() -> None:
    """Import the modules of other distributions that register neuron models, patterns, encoders or decoders."""
    for entry in _entries(PLUGINS).values():
        _loaded(entry)


def _read_installed(name: str, file: Traversable) -> HardwareSpec:
    spec = _spec_of(file.read_text(encoding="utf-8"), file.name)
    if spec.name != name:
        message = f"the installed spec '{file.name}' calls itself '{spec.name}'; file and spec must have one name"
        raise SpecError(Diagnostic("NC0502", message))
    return spec


@lru_cache(maxsize=32)
def _spec_of(text: str, name: str) -> HardwareSpec:
    """Return the spec of a text; reading one takes a tenth of a second."""
    return load_spec(text, name)


def _entries(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name, in alphabetical order."""
    found: dict[str, EntryPoint] = {}
    for entry in _installed(group, entry_points):
        other = found.setdefault(entry.name, entry)
        if other is not entry and (other.value, _distribution(other)) != (entry.value, _distribution(entry)):
            raise _taken(_kind(group), entry.name, other, entry)
    return found


@lru_cache(maxsize=32)
def _installed(group: str, find: Callable[..., Iterable[EntryPoint]]) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group in the order of names and distributions; reading them takes 20 ms."""
    return tuple(sorted(find(group=group), key=lambda e: (e.name, _distribution(e))))


def _entry(group: str, name: str) -> EntryPoint:
    entries = _entries(group)
    if name not in entries:
        hint = did_you_mean(name, list(entries)) or "none is installed"
        raise EngineUnavailable(Diagnostic("NC0320", f"there is no {_kind(group)} '{name}'", hint=hint))
    return entries[name]


def _loaded(entry: EntryPoint) -> Any:
    """Return what an entry point names; whatever its import raises becomes one clear error."""
    try:
        return entry.load()
    except Exception as error:
        raise _broken(entry, error) from error


def _made(entry: EntryPoint) -> Any:
    """Return an instance of the class that an entry point names."""
    cls = _loaded(entry)
    try:
        return cls()
    except Exception as error:
        raise _broken(entry, error) from error


def _broken(entry: EntryPoint, error: Exception) -> EngineUnavailable:
    owner = _distribution(entry)
    message = f"the {_kind(entry.group)} '{entry.name}' ({entry.value}, of {owner}) cannot be loaded"
    reason = f"{type(error).__name__}: {error}"
    return EngineUnavailable(Diagnostic("NC0320", f"{message}: {reason}", hint=f"reinstall {owner}, or remove it"))


def _taken(kind: str, name: str, first: EntryPoint, second: EntryPoint) -> UsageError:
    owners = f"{first.value} (of {_distribution(first)}) and {second.value} (of {_distribution(second)})"
    return UsageError(Diagnostic("NC0801", f"the {kind} '{name}' is registered twice: by {owners}", hint="remove one of them"))


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown distribution"


def _kind(group: str) -> str:
    return {BACKENDS: "backend", SIMULATORS: "engine", SPECS: "package of hardware specs", PLUGINS: "plug-in"}[group]
