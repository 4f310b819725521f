"""What needs a process of its own, or has to do with its streams, signals and environment."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
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


def test_the_progress_of_samples_at_a_terminal(folder: Path, terminal: Callable[..., tuple[str, str]]) -> None:
    for arguments, what in (
        (["run", "net.ncz"], "running net.ncz"),
        (["evaluate", "net.ncz"], "evaluating net.ncz"),
        (["report", "net.ncz"], "counting the events of net.ncz"),
    ):
        _, err = terminal(*arguments, NO_COLOR="1")
        assert what in err
        assert "12/12" in err
        assert "samples/s, ETA" in err
        assert max(len(line) for line in re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", err).replace("\r", "\n").split("\n")) <= 80
        for quiet in (terminal(*arguments, "--quiet")[1], terminal(*arguments, TERM="dumb")[1]):
            assert quiet == ""


def test_a_narrow_terminal_keeps_the_numbers(folder: Path, terminal: Callable[..., tuple[str, str]]) -> None:
    _, err = terminal("report", "net.ncz", NO_COLOR="1", COLUMNS="44")
    assert re.search(r"cou… 12/12 [0-9.,]+ samples/s, ETA 00:00", err)


# --- what numba is for

SMALL = """
import sys
from neurocomp.cli import run
for line in (
    "--help", "compile net.yaml -t loihi -o new.ncz", "check net.yaml -t loihi", "run net.ncz", "run net.yaml",
    "run net.ncz -e chip", "evaluate net.ncz", "report net.ncz", "targets", "explain NC0320",
):
    assert run([*line.split(), *(["-q"] if line != "--help" else [])]) == 0, line
print("END", "numba" in sys.modules)
assert run("run net.ncz --engine fast --json".split()) == 0
print("END", "numba" in sys.modules)
"""


def test_small_jobs_do_not_load_numba(folder: Path) -> None:
    done = start(SMALL)
    ends = [line for line in done.stdout.splitlines() if line.startswith("END")]
    assert (done.returncode, ends) == (0, ["END False", "END True"]), done.stderr
    assert '"engine": "fast"' in done.stdout


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
from neurocomp import api, cli
api.SMALL_JOB = (0, 0)
sys.argv = ["neurocomp", *{arguments!r}.split()]
cli.main()
"""


def test_without_numba(folder: Path) -> None:
    named = start(WITHOUT_NUMBA.format(arguments="run net.ncz --engine fast"))
    assert (named.returncode, named.stdout) == (4, "")
    assert named.stderr.startswith("error[NC0320 engine-unavailable]: engine 'fast' is not available: ")
    assert "numba" in named.stderr
    chosen = start(WITHOUT_NUMBA.format(arguments="evaluate net.ncz --json"))
    assert chosen.returncode == 0
    assert '"engine": "reference"' in chosen.stdout
    assert chosen.stderr.startswith("warning: the engine 'fast' is left out, the reference runs instead: ")
    doctor = start(WITHOUT_NUMBA.format(arguments="doctor"))
    assert doctor.returncode == 1
    assert re.search(r"^fast engine +error +ModuleNotFoundError: .*numba", doctor.stdout, re.MULTILINE)


def test_kernels_are_compiled_once_with_a_message_and_doctor_compiles_nothing(folder: Path, tmp_path: Path) -> None:
    """The compilation itself is left out: it takes its time, and every other test of the fast engine needs it."""
    program = """
from neurocomp.engine import warm
warm.run_every_kernel = lambda simulator: print("COMPILING")
from neurocomp.cli import run
from neurocomp.engine.simulator import compile_kernels
from neurocomp.engine.kernels import jit
from neurocomp.engine.warm import ENGINE
import json, logging, sys
codes = [run(["doctor"])]
assert not jit.are_compiled(ENGINE)
from neurocomp.engine.simulator import FastSimulator
from neurocomp_reference import ReferenceSimulator
FastSimulator.run = lambda self, *given, **options: ReferenceSimulator().run(*given, **options)
codes += [run(["run", "net.ncz", "-e", "fast", *options]) for options in ([], [])]
codes += [run(["doctor"])]
print(codes)
"""
    done = start(program, NUMBA_CACHE_DIR=str(tmp_path / "kernels"))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[0, 0, 0, 0]"), done.stderr
    assert done.stdout.count("COMPILING") == 1
    assert done.stderr == "compiling the kernels of the fast engine, once for this machine and version ...\n"
    first, second = re.findall(r"^fast engine +(\w+) ", done.stdout, re.MULTILINE)
    assert (first, second) == ("note", "ok")
    assert (tmp_path / "kernels").is_dir()


# --- Ctrl-C

SLOW = """
import os, sys, threading
from neurocomp import api, cli
api.BATCH = 2
finished, original, told = {finished}, api._Batches.run, threading.Event()
def run(self, simulate, take):
    def simulated(start, stop):
        if start >= 2 * finished:
            told.wait()
            os.write(2, b"WAITING\\n")
            threading.Event().wait()
        return simulate(start, stop)
    advance = self.progress
    def progress(done, total):
        advance(done, total)
        if done == 2 * finished:
            told.set()
    object.__setattr__(self, "progress", progress)
    return original(self, simulated, take)
api._Batches.run = run
sys.argv = ["neurocomp", *{arguments!r}.split()]
cli.main()
"""


def interrupt(arguments: str, finished: int) -> tuple[int, str, str]:
    """Send SIGINT when some batches of two samples are finished and another one, which never ends, has begun."""
    command = [sys.executable, "-c", SLOW.format(arguments=arguments, finished=finished)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    ) as process:  # fmt: skip
        guard = threading.Timer(100, process.kill)
        guard.start()
        assert process.stderr is not None
        before = []
        for line in process.stderr:
            if line == "WAITING\n":
                break
            before.append(line)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        guard.cancel()
    return process.returncode, out, "".join(before) + err.replace("WAITING\n", "")


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_writes_the_samples_that_are_finished(folder: Path, cli: Cli, jobs: int) -> None:
    assert cli("run", "net.ncz", "--probe", "all", "-o", "whole.npz", "-q").code == 0
    code, out, err = interrupt(f"run net.ncz -e reference --probe all -o trace.npz --json --jobs {jobs}", 3)
    assert code == 130
    assert err == "interrupted: 6 of 12 samples were finished; they are in trace.npz\n"
    document = json.loads(out)
    assert (document["interrupted"], document["samples"], document["engine"]) == (True, 6, "reference")
    with np.load("whole.npz") as whole, np.load("trace.npz") as trace:
        assert whole.files == trace.files
        assert all(np.array_equal(trace[key], whole[key][:6]) for key in trace.files)


def test_ctrl_c_compares_over_the_samples_that_are_finished(folder: Path, cli: Cli) -> None:
    shorter = cli("evaluate", "net.ncz", "--samples", "4", "--json").document
    code, out, err = interrupt("evaluate net.ncz --json --jobs 1", 2)
    assert (code, err) == (130, "interrupted: 4 of 12 samples were finished; the accuracy is theirs\n")
    document = json.loads(out)
    assert (document["interrupted"], document["samples"]) == (True, 4)
    assert document["accuracy"] == shorter["accuracy"]


def test_ctrl_c_before_anything_is_finished(folder: Path) -> None:
    code, out, err = interrupt("run net.ncz -o trace.npz", 0)
    assert (code, out, err.strip()) == (130, "", "interrupted")
    assert not Path("trace.npz").exists()


# --- --verbose


def test_verbose_says_what_was_chosen(cli: Cli) -> None:
    small = "engine reference: a small job, not worth loading the compiled kernels\n"
    for command in ("run net.ncz -v", "evaluate net.ncz --verbose"):
        result = cli(*command.split())
        assert result.code == 0
        assert result.err.startswith(f"{small}12 samples in batches of 12 on at most ")
    assert cli("report", "net.ncz", "-v").err.startswith(small)
    assert cli("run", "net.ncz", "-e", "chip", "-v", "-j", "1").err == (
        "engine chip, as asked for\n12 samples in batches of 12 on at most 1 thread\n"
    )
    for command in ("run net.ncz", "run net.ncz -v -q"):
        assert cli(*command.split()).err == ""
