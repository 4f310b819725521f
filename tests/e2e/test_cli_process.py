"""What needs a process of its own, or has to do with its streams, signals and environment."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from neurocomp import api
from neurocomp.cli import run

Cli = Callable[..., Any]


def start(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python on a text; output is UTF-8."""
    variables: Mapping[str, str] = {**os.environ, "PYTHONIOENCODING": "utf-8", **environment}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=variables, timeout=120, check=False)


def test_help_imports_click_alone() -> None:
    program = (
        "import sys\n"
        "from neurocomp.cli import run\n"
        "codes = [run(['--help']), run(['compile', '--help']), run(['verify', '--help'])]\n"
        "heavy = {'numpy', 'rich', 'pydantic', 'networkx', 'yaml', 'neurocomp.api'} & set(sys.modules)\n"
        "print('END', codes, sorted(heavy))\n"
    )
    assert start(program).stdout.endswith("END [0, 0, 0] []\n")


KILLED = """
import os, signal, sys
from neurocomp import cli
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.{signal})
sys.argv = ["neurocomp", "compile", "net.yaml", "--target", "loihi", "-o", "{out}"]
cli.main()
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("out", ["net.ncz", "new.ncz"])
def test_a_killed_compile_leaves_nothing_half_written(folder: Path, name: str, out: str) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = start(KILLED.format(signal=name, out=out))
    code = -signal.SIGKILL if name == "SIGKILL" else 128 + signal.SIGTERM
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_reader_that_has_enough_is_no_error() -> None:
    command = f"{sys.executable} -m neurocomp explain; echo $? >&2"
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b"141\n"


def test_terminals_that_lack_our_signs(folder: Path) -> None:
    program = "from neurocomp.cli import main; import sys; sys.argv = ['neurocomp', 'report', 'net.ncz']; main()"
    done = start(program, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == "SIMULATED COUNTS - ESTIMATED ENERGY - NOT MEASURED"


def test_closed_streams(folder: Path) -> None:
    for closed in (">&-", "2>&-"):
        command = f"{sys.executable} -m neurocomp verify nix.ncz {closed}"
        assert subprocess.run(["sh", "-c", command], capture_output=True, check=False, timeout=60).returncode == 3


def test_completion_knows_commands_options_and_targets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def complete(line: str) -> list[str]:
        monkeypatch.setenv("_NEUROCOMP_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        with pytest.raises(SystemExit):
            run([])
        return [entry.partition(",")[2] for entry in capsys.readouterr().out.splitlines()]

    assert complete("neurocomp com") == ["compile"]
    assert complete("neurocomp compile --ta") == ["--target"]
    assert complete("neurocomp compile --target lo") == ["loihi", "loihi2"]
    assert complete("neurocomp run --engine re") == ["reference"]


# --- failures that are not the user's


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make every command that reads a file fail."""

    def load(path: Path) -> None:
        raise error

    monkeypatch.setattr(api, "load", load)


INTERNAL = """\
error[NC0901 internal]: neurocomp failed where it should not: KeyError: 'oops'
hint:  this is a bug of neurocomp; please report it with the network file and the output under NEUROCOMP_DEBUG=1
"""


def test_our_bugs(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyError("oops"))
    result = cli("run", "net.ncz")
    assert (result.code, result.out, result.err) == (1, "", INTERNAL)
    monkeypatch.setenv("NEUROCOMP_DEBUG", "1")
    result = cli("run", "net.ncz")
    assert result.code == 1
    assert result.err.startswith("Traceback (most recent call last):\n")
    assert result.err.endswith(INTERNAL)


def test_interruption(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    result = cli("run", "net.ncz")
    assert (result.code, result.out) == (130, "")
    assert result.err.strip() == "interrupted"


def test_no_memory(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, MemoryError())
    result = cli("run", "net.ncz")
    assert result.code == 1
    assert result.err == (
        "error[NC0901 internal]: the memory of this machine is used up\n"
        "hint:  give less at once, such as --samples 10, or use a machine with more memory\n"
    )


def test_a_full_disk(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, OSError(28, "No space left on device"))
    result = cli("run", "net.ncz")
    assert (result.code, result.err) == (1, "error[NC0901 internal]: the system refused the output: no space left on device\n")


# --- terminals


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        """Claim it."""
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, str]]:
    """Run a command line at a terminal of 80 columns; return what it prints to stdout and to stderr."""

    def call(*arguments: str, **environment: str) -> tuple[str, str]:
        out, err = Terminal(), Terminal()
        with monkeypatch.context() as patch:
            for name in ("NO_COLOR", "FORCE_COLOR"):
                patch.delenv(name, raising=False)
            for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", **environment}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            run(arguments)
        return out.getvalue(), err.getvalue()

    return call


def test_colors_and_the_next_step_at_a_terminal(folder: Path, terminal: Callable[..., tuple[str, str]]) -> None:
    out, err = terminal("compile", "net.yaml", "--target", "loihi")
    assert "\x1b[1mnetwork" in out
    assert "compiling net.yaml for loihi ..." in err
    assert "next: neurocomp verify net.ncz" in err
    _, err = terminal("compile", "net.yaml", "--target", "lohi")
    assert "\x1b[1;31merror[NC0501 unknown-target]\x1b[0m: there is no target 'lohi'\n" in err


def test_no_color(folder: Path, terminal: Callable[..., tuple[str, str]]) -> None:
    out, err = terminal("compile", "net.yaml", "--target", "loihi", NO_COLOR="1", TERM="dumb")
    assert "\x1b" not in out + err
    out, err = terminal("compile", "net.yaml", "--target", "loihi", NO_COLOR="1")
    assert "\x1b" not in out


def test_80_columns_are_enough(folder: Path, terminal: Callable[..., tuple[str, str]]) -> None:
    for arguments in (
        ["compile", "net.yaml", "-t", "loihi"],
        ["report", "net.ncz"],
        ["verify", "net.ncz", "--engines", "chip"],
    ):
        out, _ = terminal(*arguments, NO_COLOR="1")
        assert max(len(line) for line in out.splitlines()) <= 80
        assert "…" not in out
