"""What is installed is found by name, loaded only on demand, and every failure names who caused it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path

import pytest

from neurocomp import registry
from neurocomp.errors import EngineUnavailable, SpecError, UsageError
from neurocomp.hardware import read_spec

LOIHI = Path(__file__).parents[2] / "hwspecs" / "neurocomp_hwspecs" / "loihi.yaml"


class Distribution(PathDistribution):
    """A distribution that exists only by its name."""

    def __init__(self, name: str) -> None:
        self.given = name

    @property
    def name(self) -> str:
        return self.given


def entry(group: str, name: str, value: str, distribution: str) -> EntryPoint:
    point = EntryPoint(name, value, group)
    vars(point).update(dist=Distribution(distribution))
    return point


def install(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    """Pretend that exactly these entry points are installed."""
    monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in points if p.group == group])


def specs_package(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, **files: str) -> EntryPoint:
    """Make a package of hardware specs and return its entry point."""
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "notes.txt").write_text("not a spec")
    for file, text in files.items():
        (package / f"{file}.yaml").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    return entry(registry.SPECS, name, name, f"dist-{name}")


def test_the_shipped_specs_are_found() -> None:
    assert "loihi" in registry.spec_files()
    assert registry.find_spec("loihi") == read_spec(LOIHI)
    assert registry.specs()["loihi"] == read_spec(LOIHI)


def test_listing_targets_imports_no_backend_and_no_numpy() -> None:
    script = (
        "import sys; from neurocomp import registry; assert registry.specs();"
        "print([m for m in ('numpy', 'networkx', 'neurocomp_loihi', 'neurocomp_reference', 'lava') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    assert (run.stdout, run.stderr) == ("[]\n", "")


def test_a_path_is_read_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chip = tmp_path / "my_chip.yaml"
    chip.write_text(LOIHI.read_text().replace("name: loihi\n", "name: mine\n", 1))
    monkeypatch.chdir(tmp_path)
    for target in ("my_chip.yaml", "./my_chip.yaml", str(chip)):
        assert registry.find_spec(target).name == "mine"


def test_an_unknown_target(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, specs_package(monkeypatch, tmp_path, "specs_a", loihi="", truenorth=""))
    with pytest.raises(UsageError) as caught:
        registry.find_spec("lohi")
    assert str(caught.value) == (
        "error[NC0501 unknown-target]: there is no target 'lohi'\n"
        "hint:  did you mean 'loihi'? known: loihi, truenorth; or name a file, ./my_chip.yaml"
    )
    with pytest.raises(UsageError) as caught:
        registry.find_spec("tpu")
    assert str(caught.value) == (
        "error[NC0501 unknown-target]: there is no target 'tpu'\nhint:  known: loihi, truenorth; or name a file, ./my_chip.yaml"
    )


def test_a_missing_spec_file() -> None:
    with pytest.raises(UsageError) as caught:
        registry.find_spec("chips/mine.yaml")
    assert str(caught.value) == (
        "error[NC0501 unknown-target]: there is no hardware spec at 'chips/mine.yaml'\n"
        "hint:  a name without folder and '.yaml' means an installed spec: see 'neurocomp targets'"
    )


def test_no_specs_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(UsageError, match="hint:  no spec is installed; or name a file"):
        registry.find_spec("loihi")


def test_one_spec_name_in_two_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = specs_package(monkeypatch, tmp_path, "specs_b", loihi="")
    second = specs_package(monkeypatch, tmp_path, "specs_c", loihi="")
    install(monkeypatch, first, second)
    with pytest.raises(UsageError) as caught:
        registry.spec_files()
    assert str(caught.value) == (
        "error[NC0801 usage]: the hardware spec 'loihi' is registered twice: "
        "by specs_b (of dist-specs_b) and specs_c (of dist-specs_c)\nhint:  remove one of them"
    )


def test_an_installed_spec_of_another_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, specs_package(monkeypatch, tmp_path, "specs_d", other=LOIHI.read_text()))
    with pytest.raises(SpecError) as caught:
        registry.find_spec("other")
    assert str(caught.value) == (
        "error[NC0502 invalid-spec]: the installed spec 'other.yaml' calls itself 'loihi'; file and spec must have one name"
    )


def test_backends_and_simulators_are_made_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    install(
        monkeypatch,
        entry(registry.BACKENDS, "b", "collections:OrderedDict", "other"),
        entry(registry.BACKENDS, "a", "collections:Counter", "neurocomp"),
        entry(registry.SIMULATORS, "s", "collections:deque", "neurocomp"),
    )
    assert [(name, type(made).__name__) for name, made in registry.backends().items()] == [
        ("a", "Counter"),
        ("b", "OrderedDict"),
    ]
    assert type(registry.backend("b")).__name__ == "OrderedDict"
    assert [type(made).__name__ for made in registry.simulators().values()] == ["deque"]
    assert type(registry.simulator("s")).__name__ == "deque"


def test_an_unknown_backend_or_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, entry(registry.BACKENDS, "loihi", "collections:Counter", "neurocomp"))
    with pytest.raises(EngineUnavailable) as caught:
        registry.backend("lohi")
    assert str(caught.value) == "error[NC0320 engine-unavailable]: there is no backend 'lohi'\nhint:  did you mean 'loihi'?"
    with pytest.raises(EngineUnavailable) as caught:
        registry.simulator("fast")
    assert str(caught.value) == "error[NC0320 engine-unavailable]: there is no engine 'fast'\nhint:  none is installed"


def test_one_backend_name_in_two_distributions(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = entry(registry.BACKENDS, "loihi", "collections:Counter", "neurocomp")
    install(monkeypatch, entry(registry.BACKENDS, "loihi", "theirs:Backend", "theirs"), ours)
    with pytest.raises(UsageError) as caught:
        registry.backend("loihi")
    assert str(caught.value) == (
        "error[NC0801 usage]: the backend 'loihi' is registered twice: "
        "by collections:Counter (of neurocomp) and theirs:Backend (of theirs)\nhint:  remove one of them"
    )
    install(monkeypatch, ours, entry(registry.BACKENDS, "loihi", "collections:Counter", "neurocomp"))
    registry.backend("loihi")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("class Backend:\n    def __init__(self): raise ValueError('no chip')", "ValueError: no chip"),
    ],
)
def test_a_backend_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, reason: str) -> None:
    module = f"broken_{abs(hash(body))}"
    (tmp_path / f"{module}.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    fine = entry(registry.BACKENDS, "fine", "collections:Counter", "neurocomp")
    install(monkeypatch, fine, entry(registry.BACKENDS, "mine", f"{module}:Backend", "my-chips"))
    with pytest.raises(EngineUnavailable) as caught:
        registry.backend("mine")
    assert str(caught.value) == (
        f"error[NC0320 engine-unavailable]: the backend 'mine' ({module}:Backend, of my-chips) cannot be loaded: {reason}\n"
        "hint:  reinstall my-chips, or remove it"
    )
    registry.backend("fine")


def test_plugins_are_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "my_neurons.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    install(monkeypatch, entry(registry.PLUGINS, "neurons", "my_neurons", "my-neurons"))
    assert "my_neurons" not in sys.modules
    registry.load_plugins()
    assert sys.modules.pop("my_neurons")
