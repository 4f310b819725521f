"""``neurocomp doctor``."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from neurocomp import __version__
from neurocomp.cli.command import Command
from neurocomp.cli.output import Output
from neurocomp.errors import NeurocompError

SELF_TEST = """\
neurocomp: 1
name: self-test
timestep: 1 ms
ticks: 12
populations:
  a: {kind: input, shape: [3]}
  b: {shape: [4], neuron: {model: lif, tau_mem: 10 ms, v_threshold: 1.0, reset: zero}}
  c: {shape: [2], neuron: {model: cuba_lif, tau_syn: 5 ms, tau_mem: 10 ms, v_threshold: 0.5, reset: zero}}
projections:
  - {from: a, to: b, weights: [[0.9, -0.4, 0.3], [0.2, 0.8, 0.1], [-0.5, 0.6, 0.7], [0.4, 0.4, 0.4]]}
  - {from: b, to: c, weights: [[0.5, 0.3, -0.2, 0.6], [0.4, -0.1, 0.7, 0.2]], delay: 2}
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``ok``, ``note`` (something optional is missing) or ``error``."""

    name: str
    state: str
    text: str


@click.command(
    cls=Command,
    examples=(
        ("neurocomp doctor", "exit code 0 where everything that is needed works"),
        ("neurocomp doctor --json", "for bug reports"),
    ),
)
def command(output: Output) -> int:
    """Test this installation."""
    findings = [
        Finding("neurocomp", "ok", f"{__version__} in {Path(__file__).parents[1]}"),
        Finding("python", "ok", f"{platform.python_version()} ({sys.executable})"),
        Finding("platform", "ok", platform.platform()),
        *_dependencies(),
        _tried("temporary files", _temporary_files),
        _tried("hardware specs", _specs),
        _tried("fast engine", _fast_engine),
        *_witnesses(),
        _tried("self test", _self_test),
    ]
    healthy = all(finding.state != "error" for finding in findings)
    if output.as_json:
        document = [{"name": f.name, "state": f.state, "text": f.text} for f in findings]
        output.json({"ok": healthy, "findings": document})
    elif not output.quiet:
        _print(findings, healthy, output)
    return 0 if healthy else 1


def _tried(name: str, probe: Callable[[], str | Finding]) -> Finding:
    """Return what a probe says; whatever it raises is an error of the installation."""
    try:
        found = probe()
        return found if isinstance(found, Finding) else Finding(name, "ok", found)
    except NeurocompError as error:
        return Finding(name, "error", error.render())
    except Exception as error:
        return Finding(name, "error", f"{type(error).__name__}: {error}")


def _dependencies() -> list[Finding]:
    """Return the distributions that this version needs, with what is installed."""
    findings = []
    for requirement in importlib.metadata.requires("neurocomp") or ():
        name, _, condition = requirement.partition(";")
        if "extra" in condition:
            continue
        wanted = name.strip()
        match = re.match(r"[A-Za-z0-9._-]+", wanted)
        project = match[0] if match else wanted
        try:
            findings.append(Finding(project, "ok", importlib.metadata.version(project)))
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(project, "error", f"not installed; {wanted} is needed: pip install '{wanted}'"))
    return findings


def _temporary_files() -> str:
    with tempfile.NamedTemporaryFile(prefix="neurocomp-") as file:
        file.write(b"neurocomp")
    return f"{tempfile.gettempdir()} can be written"


def _specs() -> str:
    from neurocomp import registry

    names = list(registry.specs())
    if not names:
        raise RuntimeError("no hardware spec is installed; reinstall neurocomp")
    return ", ".join(names)


def _fast_engine() -> Finding:
    """Return whether numba is there and the kernels are compiled; they are not compiled here."""
    import numba

    from neurocomp.engine.kernels import jit
    from neurocomp.engine.warm import ENGINE

    if jit.are_compiled(ENGINE):
        return Finding("fast engine", "ok", f"kernels compiled by numba {numba.__version__} in {jit.FOLDER}")
    text = f"its kernels are compiled by the first job that needs them, once, by numba {numba.__version__} into {jit.FOLDER}"
    return Finding("fast engine", "note", text)


def _witnesses() -> list[Finding]:
    """Return the programs of others that can execute what was compiled; they are optional."""
    from neurocomp import registry

    findings: dict[str, Finding] = {}
    try:
        for backend in registry.backends().values():
            for witness in backend.witnesses:
                reason = witness.unavailable()
                findings[witness.name] = Finding(witness.name, "note" if reason else "ok", reason or "available")
    except NeurocompError as error:
        findings["backends"] = Finding("backends", "error", error.render())
    return list(findings.values())


def _self_test() -> str:
    """Compile a tiny network, and compare the reference with the chip's bytes."""
    from neurocomp import api
    from neurocomp.frontends import from_yaml

    with tempfile.TemporaryDirectory(prefix="neurocomp-") as folder:
        compiled = api.compile(from_yaml.loads(SELF_TEST, Path(folder), "self-test.yaml"), "loihi")
        artifact = Path(folder) / "self-test.ncz"
        compiled.save(artifact)
        again = api.load(artifact)
        assert isinstance(again, api.Compiled)
        report = again.verify(["reference", "chip"], count=4)
    if not report.bit_exact:
        raise RuntimeError(str(report.first_divergence))
    return f"compiled, saved, read and simulated: reference == chip in {report.values_compared:,} values"


def _print(findings: list[Finding], healthy: bool, output: Output) -> None:
    from rich.text import Text

    from neurocomp.report import terminal

    style = {"ok": "green", "note": "yellow", "error": "bold red"}
    rows = [(finding.name, Text(f"{finding.state:<6}", style[finding.state]) + Text(finding.text)) for finding in findings]
    verdict = (
        Text("everything that is needed works", "bold green") if healthy else Text("this installation is broken", "bold red")
    )
    output.show(terminal.facts(rows), verdict)
