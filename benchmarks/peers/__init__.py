"""Other simulators, measured on our networks: each runs in its own environment, so its pins do not touch ours.

`measure` prepares the environment where there is none yet, below ``$NEUROCOMP_BENCH_CACHE`` or ``.cache/benchmark-peers``,
and runs ``benchmarks/peers/<peer>.py`` in it. Whatever goes wrong there becomes an entry ``{"unavailable": reason}``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUDGET = 900.0
"""Seconds that all peers together may take, preparing included."""


class Unavailable(Exception):
    """A peer cannot be measured; the message says why."""


@dataclass(frozen=True)
class Environment:
    """What to install, by pip where it may find a build of torch that uv does not, and the Pythons to try first."""

    requirements: tuple[str, ...]
    pythons: tuple[str, ...] = ("3.11", "3.12", "3.10")
    pip: bool = False


@dataclass(frozen=True)
class Peer:
    """Where a peer runs, what it can run, its arithmetic (float or integer) or what else it does, and seconds it may take."""

    environment: str
    module: str
    kind: str
    networks: tuple[str, ...] = ("n1",)
    batches: bool = False
    threaded: bool = False
    limit: float = 90.0


FRAMEWORKS = {
    "snntorch": ("snntorch==1.0.0", "nir==1.0.8", "nirtorch==2.6"),
    "norse": ("norse==1.1.0", "nir==1.0.8", "nirtorch==2.6"),
    "sinabs": ("sinabs==3.1.3", "nir==1.0.4", "nirtorch==2.0.2"),
    "spikingjelly": ("spikingjelly[nir]==2.0.0", "nir==1.0.8", "nirtorch==2.6"),
}
"""What tests/interop exchanges networks with; each environment holds neurocomp too, as a user's own would."""
ENVIRONMENTS = {
    "torch": Environment(("torch==2.13.0", "snntorch==1.0.0", "spikingjelly==2.0.0", "numpy==2.2.6"), pip=True),
    "lava": Environment(("lava-nc==0.10.0", "numpy==1.26.4", "networkx==2.8.7"), ("3.10", "3.11", "3.12")),
    "brian2": Environment(("brian2==2.9.0", "numpy==1.26.4", "setuptools")),
    "nest": Environment(("nest-simulator==3.10.0", "numpy==2.2.6")),
    "sanafe": Environment(("sanafe==2.2.9", "numpy==2.2.6")),
    "superneuromat": Environment(("superneuromat==3.5.0", "numpy==2.2.6")),
    "metis": Environment(("pymetis==2025.2.2", "numpy==2.2.6")),
    "mtkahypar": Environment(("mtkahypar==1.7.post1", "numpy==2.2.6")),
    **{
        f"interop-{name}": Environment(("torch==2.13.0", *packages, f"--editable={ROOT}"), pip=True)
        for name, packages in FRAMEWORKS.items()
    },
    "neurobench": Environment(
        ("torch==2.13.0", "snntorch==1.0.0", "numpy==2.2.6", "neurobench==2.3.0"), ("3.11", "3.10", "3.12"), pip=True
    ),
    "nengo-loihi": Environment(("nengo-loihi==1.1.0", "nengo==3.2.0", "numpy==1.23.5"), ("3.11", "3.10")),
}
PEERS = {
    "snntorch": Peer("torch", "snntorch", "float", ("n1", "n2"), batches=True, threaded=True),
    "spikingjelly": Peer("torch", "spikingjelly", "float", ("n1", "n2"), batches=True, threaded=True),
    "brian2-standalone": Peer("brian2", "brian2", "float", ("n1", "n3")),
    "brian2-cython": Peer("brian2", "brian2", "float", limit=180.0),
    "nest": Peer("nest", "nest", "float", ("n1", "n3")),
    "superneuromat": Peer("superneuromat", "superneuromat", "float"),
    "sanafe": Peer("sanafe", "sanafe", "float", limit=600.0),
    "lava": Peer("lava", "lava", "integer", batches=True),
    "nengo-loihi": Peer("nengo-loihi", "nengo_loihi", "integer"),
    "metis": Peer("metis", "metis", "partition", (), limit=60.0),
    "mtkahypar": Peer("mtkahypar", "mtkahypar", "partition", (), limit=60.0),
    "neurobench": Peer("neurobench", "neurobench", "metrics", (), limit=240.0),
}
NAMES = tuple((name, peer.networks, peer.kind) for name, peer in PEERS.items() if peer.networks)

_spent = 0.0


def prepare(name: str) -> Path:
    """Return the interpreter of an environment, which is made where there is none; raise `Unavailable`."""
    environment = ENVIRONMENTS[name]
    folder = cache() / name
    python, stamp, wanted = folder / "bin" / "python", folder / ".ready", "\n".join(environment.requirements)
    if stamp.is_file() and stamp.read_text() == wanted and python.exists():
        return python
    base = _interpreter(environment.pythons)
    shutil.rmtree(folder, ignore_errors=True)
    with_uv = importlib.util.find_spec("uv") is not None and not environment.pip
    uv = [sys.executable, "-m", "uv"]
    variables = os.environ | {"UV_PYTHON_DOWNLOADS": "never", "UV_HTTP_TIMEOUT": "30"}
    if with_uv:
        commands = [[*uv, "venv", "--python", base, str(folder)], [*uv, "pip", "install", "--python", str(python)]]
    else:
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--timeout", "30", "--retries", "1"]
        commands = [[base, "-m", "venv", str(folder)], pip]
    commands[1] += environment.requirements
    for command in commands:
        _run(command, 600.0, variables)
    stamp.write_text(wanted)
    return python


def measure(name: str, network: Path, samples: int = 1, threads: int = 1, cores: int | None = None) -> dict[str, Any]:
    """Return what the peer made of the network in an .npz of `networks.save`, or why it made nothing of it.

    ``seconds`` is the best repetition without building, ``build_seconds`` the building, ``spikes`` are per layer and
    ``operations`` follow from them, both over all samples. A peer with threads is measured with one as well and the
    faster counts, since threads that spin for one another are slow where another process needs a core. ``cores`` keeps all
    that it starts on so many processors.
    """
    peer = PEERS[name]
    reports = []
    try:
        for count in sorted({1, threads} if peer.threaded else {threads}):
            arguments = (name, str(network.resolve()), str(samples), str(count))
            with _on(cores):
                report = call(name, peer.module, arguments, count)
            if "seconds" not in report:
                raise Unavailable("printed no report")
            reports.append(report | {"threads": count})
    except (Unavailable, OSError, ValueError) as error:
        return {"unavailable": str(error)}
    return min(reports, key=lambda report: float(report["seconds"]))


def call(name: str, module: str, arguments: Sequence[str], threads: int = 1) -> dict[str, Any]:
    """Return the object that ``benchmarks/peers/<module>.py`` prints last in the environment of a peer.

    Raises:
        Unavailable: There is no such environment, or the module does not end well in the peer's time.
        OSError: A process cannot be started.
        ValueError: What is printed last is no JSON.
    """
    peer = PEERS[name]
    output = run(peer.environment, f"benchmarks.peers.{module}", arguments, peer.limit, threads).strip()
    report = json.loads(output.splitlines()[-1]) if output else None
    if not isinstance(report, dict):
        raise Unavailable("printed no report")
    return report


def run(environment: str, module: str, arguments: Sequence[str], limit: float, threads: int = 1) -> str:
    """Return what a module of this repository prints in an environment, in at most ``limit`` seconds; raise `Unavailable`."""
    return _run([str(prepare(environment)), "-m", module, *arguments], limit, _variables(threads))


@contextlib.contextmanager
def _on(cores: int | None) -> Iterator[None]:
    """Keep what is started meanwhile on so many of our processors, where the system can."""
    if cores is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(ours)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)


def cache() -> Path:
    """Return the folder of the environments."""
    return Path(os.environ.get("NEUROCOMP_BENCH_CACHE") or ROOT / ".cache" / "benchmark-peers").resolve()


def _variables(threads: int) -> dict[str, str]:
    # The two of OpenBLAS make its current builds slow; what concerns our own interpreter is not the peer's.
    ours = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
    variables = {key: value for key, value in os.environ.items() if key not in ours}
    pools = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    return variables | dict.fromkeys(pools, str(threads)) | {"PYTHONWARNINGS": "ignore"}


def _interpreter(versions: tuple[str, ...]) -> str:
    """Return the first Python of the versions that runs, on the path or among those of pyenv, else our own."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in versions:
        for candidate in (shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python{version}"))):
            if candidate and subprocess.run([candidate, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0:
                return str(candidate)
    return sys.executable


def _run(command: list[str], limit: float, variables: dict[str, str]) -> str:
    """Return what the command prints. Ends all that it started; output goes to files, as orphans would hold a pipe open."""
    global _spent
    limit = min(limit, BUDGET - _spent)
    if limit <= 0:
        raise Unavailable(f"the {BUDGET:.0f} s for all peers are used up")
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            command, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"took longer than {limit:.0f} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            _spent += time.perf_counter() - begin
        out.seek(0)
        err.seek(0)
        output, errors = out.read(), err.read().strip()
    if code != 0:
        last = (errors or output.strip() or f"ended with code {code}").splitlines()[-1]
        raise Unavailable(last[:300])
    return output
