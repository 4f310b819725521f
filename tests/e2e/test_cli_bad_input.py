"""Every kind of bad input: its exit code and its whole message."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocomp import registry
from neurocomp.errors import Diagnostic, EngineUnavailable

Cli = Callable[..., Any]


def edit(file: str, *changes: tuple[str, str]) -> None:
    """Replace texts in a file; each must be there."""
    text = Path(file).read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    Path(file).write_text(text)


def store(**arrays: Any) -> None:
    """Replace arrays of weights.npz."""
    with np.load("weights.npz") as old:
        np.savez("weights.npz", **{**old, **arrays})


def chip(*changes: tuple[str, str]) -> None:
    """Write chip.yaml, a Loihi with other values."""
    text = registry.spec_files()["loihi"].read_text(encoding="utf-8")
    Path("chip.yaml").write_text(text)
    edit("chip.yaml", ("name: loihi\ntitle", "name: mini\ntitle"), *changes)


def refuses(cli: Cli, arguments: str, code: int, message: str) -> None:
    """Assert that a command line ends with a code, a message on stderr, nothing on stdout, and no file written."""
    before = {path: path.stat().st_mtime_ns for path in Path().iterdir()}
    result = cli(*arguments.split())
    assert result.err == message
    assert (result.code, result.out) == (code, "")
    assert {path: path.stat().st_mtime_ns for path in Path().iterdir()} == before


# --- the network file


def test_wrong_shape(cli: Cli) -> None:
    store(ab=np.zeros((6, 5), np.float32))
    refuses(
        cli,
        "compile net.yaml --target loihi",
        3,
        """\
net.yaml:10:5: error[NC0202 shape-mismatch]: projection 'a->b': weights have the shape (6, 5), 'a' -> 'b' (dense) needs (5, 6)
   10 |   - {from: a, to: b, weights: weights.npz#ab}
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
hint:  the array looks transposed; 'transpose: true' turns it
""",
    )


def test_unknown_keys(cli: Cli) -> None:
    edit("net.yaml", ("v_threshold: 1.0", "v_treshold: 1.0"), ("timestep:", "timestp:"))
    refuses(
        cli,
        "compile net.yaml --target loihi",
        3,
        """\
net.yaml:3:1: error[NC0103 unknown-key]: the network: unknown key 'timestp'
    3 | timestp: 1 ms
      | ^^^^^^^
hint:  did you mean 'timestep'?

net.yaml:1:1: error[NC0105 missing-key]: the network: the key 'timestep' is missing
    1 | neurocomp: 1
      | ^^^^^^^^^^^^

net.yaml:7:56: error[NC0103 unknown-key]: population 'b': neuron: unknown key 'v_treshold'
    7 |   b: {shape: [5], neuron: {model: lif, tau_mem: 10 ms, v_treshold: 1.0, reset: zero}}
      |                                                        ^^^^^^^^^^
hint:  did you mean 'v_threshold'?
""",
    )


def test_missing_network_file(cli: Cli) -> None:
    refuses(
        cli,
        "compile nets.yaml --target loihi",
        3,
        """\
error[NC0101 file-not-found]: there is no file 'nets.yaml'
hint:  did you mean 'net.yaml'?
""",
    )


def test_missing_files_and_arrays(cli: Cli) -> None:
    edit("net.yaml", ("weights.npz#ab", "weigths.npz#ab"), ("weights.npz#bc", "weights.npz#cb"))
    refuses(
        cli,
        "compile net.yaml --target loihi",
        3,
        """\
net.yaml:10:31: error[NC0101 file-not-found]: there is no file 'weigths.npz'
   10 |   - {from: a, to: b, weights: weigths.npz#ab}
      |                               ^^^^^^^^^^^^^^
hint:  did you mean 'weights.npz'?

net.yaml:12:31: error[NC0203 array-not-found]: 'weights.npz' holds no array 'cb'; its keys: ab, bb, bc
   12 |   - {from: b, to: c, weights: weights.npz#cb, delay: 1}
      |                               ^^^^^^^^^^^^^^
""",
    )


def test_nan(cli: Cli) -> None:
    weights = np.ones((5, 6), np.float32)
    weights[2, 3], weights[0, 5] = np.nan, np.inf
    store(ab=weights)
    refuses(
        cli,
        "compile net.yaml --target loihi",
        3,
        """\
net.yaml:10:5: error[NC0204 not-finite]: projection 'a->b': weights[0, 5] is inf
   10 |   - {from: a, to: b, weights: weights.npz#ab}
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
also:  1 more
""",
    )


def test_dangling_names(cli: Cli) -> None:
    edit("net.yaml", ("to: c", "to: cc"), ("decode: {c:", "decode: {d:"))
    refuses(
        cli,
        "compile net.yaml --target loihi",
        3,
        """\
net.yaml:12:19: error[NC0201 unknown-population]: projection 'b->cc': there is no population 'cc'
   12 |   - {from: b, to: cc, weights: weights.npz#bc, delay: 1}
      |                   ^^
hint:  did you mean 'c'?

net.yaml:14:10: error[NC0201 unknown-population]: decoder of 'd': there is no population 'd'
   14 | decode: {d: {scheme: count}}
      |          ^
hint:  known: a, b, c
""",
    )


def test_zero_delay_cycle(cli: Cli) -> None:
    edit("net.yaml", ("weights.npz#bc, delay: 1}", "weights.npz#bc}\n  - {from: c, to: b, weights: weights.npz#cb}"))
    store(cb=np.ones((5, 3)))
    refuses(
        cli,
        "compile net.yaml --target loihi",
        3,
        """\
net.yaml:13:5: error[NC0205 zero-delay-cycle]: the cycle b -> c -> b has a total delay of 0 ticks
   13 |   - {from: c, to: b, weights: weights.npz#cb}
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
hint:  give projection 'c->b' 'delay: 1'
""",
    )


def test_wrong_dtype(cli: Cli) -> None:
    store(ab=np.full((5, 6), "x"))
    refuses(
        cli,
        "compile net.yaml --target loihi",
        3,
        """\
net.yaml:10:31: error[NC0207 wrong-dtype]: 'weights.npz#ab' has the dtype <U1; integers, floats or booleans are needed
   10 |   - {from: a, to: b, weights: weights.npz#ab}
      |                               ^^^^^^^^^^^^^^
""",
    )


# --- what the target does not do


RESETS = """\
net.yaml:7:3: error[NC0301 reset]: population 'b' resets by 'none'; loihi natively has 'zero'
    7 |   b: {shape: [5], neuron: {model: lif, tau_mem: 10 ms, v_threshold: 1.0, refractory: 63 ms, reset: none}}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
hint:  write 'reset: zero' or 'reset: subtract' and retrain, or use a target that resets in this way

net.yaml:7:3: error[NC0303 refractory]: population 'b' is refractory for 63 ticks; loihi has at most 62
    7 |   b: {shape: [5], neuron: {model: lif, tau_mem: 10 ms, v_threshold: 1.0, refractory: 63 ms, reset: none}}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
limit: silent ticks after a spike = 62 (loihi.yaml:61; nengo_loihi, hardware/validate.py: refract delay 1..63)
hint:  shorten 'refractory' to 62, or lengthen the timestep
"""


def test_unsupported(cli: Cli) -> None:
    edit("net.yaml", ("v_threshold: 1.0, reset: zero", "v_threshold: 1.0, refractory: 63 ms, reset: none"))
    refuses(cli, "compile net.yaml --target loihi", 4, RESETS)
    result = cli("check", "net.yaml", "--target", "loihi")
    assert (result.code, result.err) == (4, "")
    assert result.out == f"{RESETS}\n'small' has 2 violations on loihi\n"


FAN_IN = """\
net.yaml:7:3: error[NC0412 fan-in]: neuron 'b[0]' has 11 sources; mini has 4 input axons per core
    7 |   b: {shape: [5], neuron: {model: lif, tau_mem: 10 ms, v_threshold: 1.0, reset: zero}}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
limit: input axons per core = 4 (chip.yaml:52; davies2018, p. 89, constraint 4)
also:  4 more neurons of 'b'; the largest is b[0] with 11
hint:  splitting the population does not help: put one in between, or prune inputs and list the rest as sparse

net.yaml:8:3: error[NC0412 fan-in]: neuron 'c[0]' has 5 sources; mini has 4 input axons per core
    8 |   c: {shape: [3], neuron: {model: cuba_lif, tau_syn: 5 ms, tau_mem: 10 ms, v_threshold: 0.5, reset: zero}}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
limit: input axons per core = 4 (chip.yaml:52; davies2018, p. 89, constraint 4)
also:  2 more neurons of 'c'; the largest is c[0] with 5
hint:  splitting the population does not help: put one in between, or prune inputs and list the rest as sparse
"""


def test_does_not_fit(cli: Cli) -> None:
    chip(("input_axons: {value: 4096", "input_axons: {value: 4"))
    refuses(cli, "compile net.yaml --target ./chip.yaml", 5, FAN_IN)
    result = cli("check", "net.yaml", "--target", "./chip.yaml", "--json")
    assert (result.code, result.err) == (5, "")
    found = result.document
    assert (found["inputs"], found["outputs"], found["ok"]) == ({"a": [2, 3]}, {"c": [3]}, False)
    assert [(v["code"], v["subject"], v["actual"], v["limit"]) for v in found["violations"]] == [
        ("NC0412", "b[0]", 11, 4),
        ("NC0412", "c[0]", 5, 4),
    ]
    assert {v["source"] for v in found["violations"]} == {
        "input axons per core = 4 (chip.yaml:52; davies2018, p. 89, constraint 4)"
    }
    assert all(v["hint"].startswith("splitting the population") for v in found["violations"])


def test_too_few_cores(cli: Cli) -> None:
    chip(
        ("cores_per_chip: {value: 128", "cores_per_chip: {value: 1"),
        ("chips: {value: 768", "chips: {value: 1"),
        ("neurons: {value: 1024", "neurons: {value: 4"),
    )
    refuses(
        cli,
        "compile net.yaml --target ./chip.yaml",
        5,
        """\
error[NC0401 cores]: 'small' has 8 neurons and needs at least 2 cores; mini has 1
limit: neurons per core = 4 (chip.yaml:51; davies2018, p. 86); \
cores per chip = 1 (chip.yaml:50; davies2018, p. 86); chips per system = 1 (chip.yaml:49; frady2020, Pohoiki Springs)
also:  the largest: 'b' at least 2 by its neurons, 'c' at least 1 by its neurons
hint:  use a target with more chips or cores, or a smaller network
""",
    )


# --- specs


def test_unknown_target(cli: Cli) -> None:
    refuses(
        cli,
        "compile net.yaml --target lohi",
        2,
        """\
error[NC0501 unknown-target]: there is no target 'lohi'
hint:  did you mean 'loihi'? known: loihi, loihi2, reference, truenorth; or name a file, ./my_chip.yaml
""",
    )


def test_impossible_spec(cli: Cli) -> None:
    chip(("neurons: {value: 1024", "neurons: {value: -3"), ("weight_bits: 8", "weight_bits: 80"))
    refuses(
        cli,
        "compile net.yaml --target ./chip.yaml",
        3,
        """\
chip.yaml:21:16: error[NC0502 invalid-spec]: integers.weight_bits: 80 is impossible; it lies in 1..8
   21 |   weight_bits: 80
      |                ^^

chip.yaml:51:20: error[NC0502 invalid-spec]: limits.neurons.value: -3 is impossible
   51 |   neurons: {value: -3, source: "davies2018, p. 86", kind: vendor}
      |                    ^^
hint:  a whole number in 1..4096
""",
    )


# --- artifacts


def test_missing_artifact(cli: Cli) -> None:
    refuses(
        cli,
        "verify nets.ncz",
        3,
        """\
error[NC0101 file-not-found]: there is no file 'nets.ncz'
""",
    )


@pytest.mark.parametrize("command", ["verify", "run", "report", "evaluate", "export --format integers -o x.npz"])
def test_damaged_artifact(cli: Cli, command: str) -> None:
    content = bytearray(Path("net.ncz").read_bytes())
    place = content.index(b'"ticks":10')
    content[place + 8] ^= 1
    Path("net.ncz").write_bytes(content)
    name, *options = command.split()
    refuses(
        cli,
        " ".join([name, "net.ncz", *options]),
        3,
        """\
error[NC0602 damaged-artifact]: 'net.ncz' is damaged: the bytes of its member 'network.json' do not match their checksum
hint:  copy the file again, or compile the network again
""",
    )


def test_truncated_artifact(cli: Cli) -> None:
    content = Path("net.ncz").read_bytes()
    Path("net.ncz").write_bytes(content[: len(content) // 2])
    result = cli("verify", "net.ncz")
    assert (result.code, result.out) == (3, "")
    assert re.fullmatch(
        r"error\[NC0602 damaged-artifact\]: 'net.ncz' is damaged: it ends \d+ bytes before the end of its member '[\w./]+'\n"
        "hint:  copy the file again, or compile the network again\n",
        result.err,
    )


@pytest.mark.parametrize(("content", "reason"), [(b"", "it is empty"), (b"hello" * 100, "it is not a zip")])
def test_foreign_artifact(cli: Cli, content: bytes, reason: str) -> None:
    Path("net.ncz").write_bytes(content)
    refuses(
        cli,
        "run net.ncz",
        3,
        f"""\
error[NC0601 not-an-artifact]: 'net.ncz' is not an artifact of neurocomp: {reason}
hint:  make one with 'neurocomp compile NET --target T -o OUT.ncz'
""",
    )


# --- stimuli and data


def test_stimulus_of_wrong_shape(cli: Cli) -> None:
    np.savez("x.npz", a=np.zeros((2, 10, 3, 2), int), z=np.zeros(3))
    refuses(
        cli,
        "run net.ncz --input x.npz",
        3,
        """\
x.npz: error[NC0211 bad-stimulus]: 'z' is no input population; the inputs: a

x.npz: error[NC0211 bad-stimulus]: 'a' has the shape (2, 10, 3, 2); (samples, ticks, 2, 3) is needed
""",
    )


def test_stimulus_of_wrong_dtype(cli: Cli) -> None:
    np.savez("x.npz", a=np.zeros((2, 10, 2, 3)))
    refuses(
        cli,
        "run net.ncz --input x.npz",
        3,
        """\
x.npz: error[NC0211 bad-stimulus]: 'a' has the dtype float64; integers (or booleans) are needed
hint:  these look like data; '--raw' sends them through the encoder
""",
    )


def test_stimulus_with_values(cli: Cli) -> None:
    np.savez("x.npz", a=np.full((2, 10, 2, 3), 2))
    refuses(
        cli,
        "run net.ncz --input x.npz",
        3,
        """\
error[NC0314 graded-input]: the stimulus of 'a' holds the value 2; a spike of an input carries no value
hint:  write 0 or 1 per neuron and tick
""",
    )


def test_raw_data_of_wrong_shape(cli: Cli) -> None:
    np.savez("x.npz", a=np.zeros((2, 4, 3)))
    refuses(
        cli,
        "run net.ncz --raw --input x.npz",
        3,
        """\
error[NC0210 data-mismatch]: data of 'a' have the shape (2, 4, 3); (samples, 2, 3) is needed
""",
    )


def test_no_data(cli: Cli) -> None:
    edit("net.yaml", ("data: {inputs: {a: data.npz#images}, labels: data.npz#labels, scale: 1/255}\n", ""))
    refuses(
        cli,
        "evaluate net.yaml",
        3,
        """\
error[NC0212 no-data]: evaluate needs data, and the network declares none
hint:  declare 'data' in the network file, or pass --data POP=FILE.npz#key and --labels FILE.npz#key
""",
    )


# --- command lines


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ("comple", "there is no command 'comple'", "did you mean 'compile'?"),
        ("compile net.yaml", "the option '--target' is missing", None),
        (
            "compile net.yaml -t loihi --ticks-per-step 1.5",
            "invalid value for '--ticks-per-step': '1.5' is not a whole number",
            "see 'neurocomp compile --help'",
        ),
        ("compile --target loihi", "the argument NET is missing", "see 'neurocomp compile --help'"),
        ("compile net.yaml --tarnget loihi", "there is no option '--tarnget'", "did you mean '--target'?"),
        ("compile net.yaml -t loihi --emit quantised", "--emit: there is no stage 'quantised'", "did you mean 'quantized'?"),
        (
            "compile net.yaml -t loihi -o net.bin",
            "invalid value for '--out' / '-o': 'net.bin' must end with .ncz",
            "see 'neurocomp compile --help'",
        ),
        (
            "compile net.yaml -t loihi -o out/net.ncz",
            "cannot write 'out/net.ncz': the folder 'out' does not exist",
            "make it, or choose another place with -o",
        ),
        # before anything is read or computed
        *(
            (
                f"{command} none.ncz -o out/{name}",
                f"cannot write 'out/{name}': the folder 'out' does not exist",
                "make it, or choose another place with -o",
            )
            for command, name in (("run", "trace.npz"), ("report", "page.html"), ("report", "data.json"))
        ),
        ("compile net.ncz -t loihi", "this is an artifact, already compiled", "give the network file"),
        ("check net.ncz -t loihi", "'net.ncz' is an artifact, already compiled", "give the network file"),
        (
            "run net.yaml --engine chip",
            "engine 'chip' executes what was compiled, and 'net.yaml' is a network",
            "compile it first: neurocomp compile net.yaml --target loihi -o net.ncz",
        ),
        (
            "run net.yaml --stage quantized",
            "'net.yaml' is a network and has no stage 'quantized'",
            "compile it first: neurocomp compile net.yaml --target loihi -o net.ncz",
        ),
        ("run net.ncz --engine chp", "there is no engine 'chp'", "did you mean 'chip'?"),
        ("run net.ncz --raw", "--raw says what --input holds", "add --input X.npz"),
        (
            "run net.ncz --engine chip --stage quantized",
            "engine 'chip' does not execute the quantized network",
            "use --engine reference or fast, or --stage lowered",
        ),
        ("run net.ncz --data b=data.npz#images", "--data: 'b' is not an input population", "known: a"),
        (
            "run net.ncz --data data.npz",
            "invalid value for '--data': 'data.npz' is not POP=FILE.npz#key",
            "see 'neurocomp run --help'",
        ),
        ("run net.ncz --input x.npz --data a=x.npz#a", "--input and --data both say what goes in", "leave one of them out"),
        ("verify net.ncz --input x.npz --data a=x.npz#a", "--input and --data both say what goes in", "leave one of them out"),
        ("report net.ncz --input x.npz --data a=x.npz#a", "--input and --data both say what goes in", "leave one of them out"),
        (
            "verify net.yaml",
            "verify takes an artifact (.ncz), not 'net.yaml'",
            "compile it first: neurocomp compile net.yaml --target loihi -o net.ncz",
        ),
        (
            "verify net.ncz --inject wait:1",
            "invalid value for '--inject': 'wait:1' is not KIND:SEED with KIND one of weight, delay, target, threshold",
            "see 'neurocomp verify --help'",
        ),
        (
            "verify net.ncz --inject weight",
            "invalid value for '--inject': 'weight' needs a seed, a whole number, such as weight:1",
            "see 'neurocomp verify --help'",
        ),
        (
            "verify net.ncz --engines float",
            "engine 'float' computes in real numbers and cannot agree bit for bit",
            "compare accuracies with 'neurocomp evaluate'",
        ),
        ("report net.ncz --costs davis2018", "loihi has no cost source 'davis2018'", "did you mean 'davies2018'?"),
        ("explain NC0419", "there is no code 'NC0419'", "did you mean 'NC0415'?"),
        ("explain nonsense", "there is no code 'nonsense'", "'neurocomp explain' lists all codes"),
    ],
)
def test_usage(cli: Cli, arguments: str, message: str, hint: str | None) -> None:
    if hint is None:
        hint = "--target: name of a chip ('neurocomp targets' lists them), or of a file that describes one, ./my_chip.yaml"
    refuses(cli, arguments, 2, f"error[NC0801 usage]: {message}\nhint:  {hint}\n")


@pytest.mark.parametrize("command", ["run net.ncz --engine fast", "evaluate net.ncz -e fast", "verify net.ncz --engines fast"])
def test_engine_that_is_not_there(cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    simulator = registry.simulator

    def without_fast(name: str) -> object:
        if name == "fast":
            raise EngineUnavailable(Diagnostic("NC0320", "numba went fishing"))
        return simulator(name)

    monkeypatch.setattr(registry, "simulator", without_fast)
    refuses(
        cli,
        command,
        4,
        """\
error[NC0320 engine-unavailable]: engine 'fast' is not available: numba went fishing
hint:  use --engine reference, whose results are the same; 'neurocomp doctor' tests the installation
""",
    )


def test_errors_as_json(cli: Cli) -> None:
    store(ab=np.zeros((6, 5), np.float32))
    result = cli("compile", "net.yaml", "--target", "loihi", "--json")
    assert result.code == 3
    assert result.err.startswith("net.yaml:10:5: error[NC0202 shape-mismatch]: ")
    assert result.document == {
        "schema": 1,
        "error": {
            "exit_code": 3,
            "diagnostics": [
                {
                    "code": "NC0202",
                    "name": "shape-mismatch",
                    "location": {"file": "net.yaml", "line": 10, "column": 5},
                    "message": "projection 'a->b': weights have the shape (6, 5), 'a' -> 'b' (dense) needs (5, 6)",
                    "limit": None,
                    "also": None,
                    "hint": "the array looks transposed; 'transpose: true' turns it",
                }
            ],
        },
    }
