"""``neurocomp map show``: text, JSON, picture, and every kind of bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

Cli = Callable[..., Any]

SHOWN = """\
small on loihi: 1 core on 1 chip

Populations
  population  cores  shared  neurons    words  axons in  axons out
  A b             1       1   5  <1%  16  <1%   11  <1%     5  <1%
  B c             1       1   3  <1%  16  <1%   11  <1%     5  <1%
    all           1       1   8  <1%  16  <1%   11  <1%     5  <1%

  Percent: how full the fullest of its cores is. A core has 1,024 neurons, 16,384 64-bit synapse
  words, 4,096 input axons, 4,096 output axons. A shared core counts in full for each of its
  populations, except in neurons.

The core, the fullest first
  chip/core  holds   load  neurons  words  axons in  axons out  sends  gets
  0/0        AB     0.8 %        8     16        11          5      0     0

Traffic per tick
  rates        uniform: one spike per neuron and tick; --profile gives real rates
  packets      0 between cores, 5 from cores to themselves, 6 from the host
  off-core     0 % of the messages of cores go to other cores
  hops         0, 0.00 per packet
  multicast    0 packets and 0 hops, if a packet is copied where its ways part
  links        none of 104 carries packets
    multicast  none of 104 carries packets

What no mapping can do without
                    at least  reached
  cores                    1        1  ×1.00
  input axons             11       11  ×1.00
  packets per tick         0        0
  hops per tick            0        0
  Cores: as many as the neurons of the network need.

Runs out first
  input axons, at ×372 the width: a neuron of 'b' has 11 sources, a core has 4,096 input axons

Floorplan
  chip 0
  a···············
  ················
  ················
  ················
  ················
  ················
  ················
  ················

  A b; B c; small letter: the largest part of a shared core; · free core
"""


def test_text(cli: Cli) -> None:
    result = cli("map", "show", "net.ncz")
    assert (result.code, result.err) == (0, "")
    assert result.out == SHOWN


def test_json(cli: Cli) -> None:
    found = cli("map", "show", "net.ncz", "--json").document
    compiled = cli("compile", "net.yaml", "--target", "loihi", "-o", "new.ncz", "--json").document
    assert found.keys() == {
        *("schema", "network", "target", "chips", "utilization", "populations", "cores", "traffic", "bounds"),
        *("first_to_run_out", "floorplan", "not_on_this_chip"),
    }
    for key in ("utilization", "first_to_run_out", "target", "chips", "not_on_this_chip"):
        assert found[key] == compiled[key]
    b, c = found["populations"]
    assert (b["name"], b["size"], b["cores"], b["shared_cores"], b["chips"]) == ("b", 5, 1, 1, 1)
    assert b["neurons"] == {"used": 5, "available": 1024, "worst_core": 8, "per_core": 1024}
    assert c["neurons"]["used"] == 3
    assert found["cores"] == [
        {
            "chip": 0,
            "core": 0,
            "tile": [0, 0],
            "populations": {"b": 5, "c": 3},
            "neurons": 8,
            "synapse_words": 16,
            "input_axons": 11,
            "output_axons": 5,
            "load": 8 / 1024,
            "fullest": "neurons",
            "packets_out": 0,
            "packets_in": 0,
        }
    ]
    nothing = {"count": 104, "used": 0, "max": 0, "mean": 0, "congestion": 0, "busiest": None}
    assert found["traffic"] == {
        "rates": "uniform",
        "assumed": [],
        "pairs": 0,
        "local": 5,
        "host": 6,
        "off_core_share": 0,
        "unicast": {"packets": 0, "hops": 0, "chip_crossings": 0},
        "multicast": {"packets": 0, "hops": 0, "chip_crossings": 0},
        "hops": {"average": 0, "histogram": []},
        "links": {"unicast": nothing, "multicast": nothing},
    }
    assert found["bounds"] == {
        "cores": {"least": 1, "reached": 1},
        "input_axons": {"least": 11, "reached": 11},
        "packets": {"least": 0, "reached": 0},
        "hops": {"least": 0, "reached": 0},
        "cores_for": dict.fromkeys(
            ("neurons", "input_axons", "output_axons", "threshold_profiles", "decay_profiles"), 1
        ),
        "packets_from": {},
    }  # fmt: skip
    assert found["floorplan"] is None


def test_profile(cli: Cli) -> None:
    """Rates are means over samples and ticks; a packet of the input per tick and input neuron that spikes."""
    assert cli("run", "net.ncz", "--probe", "all", "-o", "trace.npz", "--quiet").code == 0
    found = cli("map", "show", "net.ncz", "--profile", "trace.npz", "--json").document["traffic"]
    with np.load("trace.npz") as trace:
        means = {name: trace[f"spikes/{name}"].mean(axis=(0, 1)).sum() for name in "abc"}
    assert (found["rates"], found["assumed"]) == ("profile", [])
    assert found["host"] == pytest.approx(means["a"])
    assert found["local"] == pytest.approx(means["b"])
    assert "rates        of the trace\n" in cli("map", "show", "net.ncz", "--profile", "trace.npz").out


@pytest.mark.parametrize("color", ["population", "load"])
def test_floorplan(cli: Cli, color: str) -> None:
    result = cli("map", "show", "net.ncz", "--floorplan", "net.svg", "--color", color)
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("\nwritten: net.svg\n")
    assert ("digit: tenths" in result.out) is (color == "load")
    text = Path("net.svg").read_bytes()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    found = cli("map", "show", "net.ncz", "--floorplan", "net.svg", "--color", color, "--json").document
    assert found["floorplan"] == "net.svg"
    assert Path("net.svg").read_bytes() == text


def test_truenorth_and_reference(cli: Cli) -> None:
    text = Path("net.yaml").read_text()
    for old, new in (
        ("model: lif, tau_mem: 10 ms", "model: if"),
        ("model: cuba_lif, tau_syn: 5 ms, tau_mem: 10 ms", "model: if"),
    ):
        text = text.replace(old, new)
    Path("if.yaml").write_text(text)
    for target, resources in (("truenorth", ["neurons", "input_axons"]), ("reference", ["neurons", "synapse_words"])):
        assert cli("compile", "if.yaml", "-t", target, "-o", "if.ncz", "--quiet").code == 0
        found = cli("map", "show", "if.ncz", "--json").document
        used = [name for name in ("neurons", "synapse_words", "input_axons", "output_axons") if name in found["cores"][0]]
        assert used == resources
        assert cli("map", "show", "if.ncz", "--cores").code == 0


def test_cores_lists_all(cli: Cli) -> None:
    assert cli("map", "show", "net.ncz", "--cores").out == SHOWN


def test_help(cli: Cli) -> None:
    bare, asked = cli("map"), cli("map", "--help")
    assert (bare.code, bare.out) == (0, asked.out)
    assert "  show    Show a mapping" in bare.out
    purpose, blank, title, example, *_ = cli("map", "show", "--help").out.splitlines()
    assert (purpose[-1], blank, title) == (".", "", "Examples:")
    assert example == "  neurocomp map show net.ncz"


# --- bad input


def refuses(cli: Cli, arguments: str, code: int, *messages: str) -> None:
    """Assert that a command line ends with a code, messages on stderr, nothing on stdout, and no picture."""
    result = cli(*arguments.split())
    assert (result.code, result.out) == (code, "")
    for message in messages:
        assert message in result.err
    assert not Path("net.svg").exists()


def test_bad_profiles(cli: Cli) -> None:
    show = "map show net.ncz --floorplan net.svg --profile"
    assert cli("run", "net.ncz", "-o", "outputs.npz", "--quiet").code == 0
    hint = "hint:  record all of them: neurocomp run ART --probe all -o TRACE.npz"
    missing = "outputs.npz: error[NC0203 array-not-found]: the trace has no spikes of"
    refuses(cli, f"{show} outputs.npz", 3, f"{missing} 'a', which", f"{missing} 'b', which", hint)
    refuses(
        cli,
        f"{show} output.npz",
        3,
        "output.npz: error[NC0101 file-not-found]: there is no file 'output.npz'",
        "'outputs.npz'?",
    )
    refuses(cli, f"{show} net.yaml", 3, "net.yaml: error[NC0101 file-not-found]: the file cannot be read as .npz")
    refuses(cli, f"{show} weights.npz", 3, "error[NC0203 array-not-found]: the file holds no arrays 'spikes/POP'")
    np.savez("other.npz", **{"spikes/d": np.zeros((1, 10, 3), np.int8)})  # type: ignore[arg-type]
    refuses(cli, f"{show} other.npz", 3, "error[NC0201 unknown-population]: 'spikes/d': there is no population 'd'")


def test_bad_command_lines(cli: Cli) -> None:
    refuses(cli, "map shwo net.ncz", 2, "error[NC0801 usage]: there is no command 'shwo'", "did you mean 'show'?")
    refuses(cli, "map show", 2, "error[NC0801 usage]: the argument ART is missing")
    refuses(cli, "map show net.yaml", 2, "map show takes an artifact (.ncz), not 'net.yaml'")
    refuses(cli, "map show net.ncz --floorplan net.png", 2, "'net.png' must end with .svg")
    refuses(cli, "map show net.ncz --floorplan none/net.svg", 2, "the folder 'none' does not exist", "with --floorplan")
    refuses(cli, "map show net.ncz --color rainbow", 2, "'--color'")
