"""Rates from a trace: packets per tick times ticks are the packets that a simulation counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import api
from neurocomp.data import load_trace
from neurocomp.energy.counts import count
from neurocomp.errors import Location, NetworkError
from neurocomp.mapping.profile import profile_of
from neurocomp.mapping.traffic import traffic_of
from neurocomp.testing.random_crossbars import random_crossbar_case, random_lowerable_network
from neurocomp.testing.random_networks import random_real_network
from neurocomp_reference import ReferenceSimulator

Array = NDArray[Any]


@pytest.mark.parametrize("target", ["loihi", "truenorth"])
@pytest.mark.parametrize("seed", range(8))
def test_packets_are_those_that_are_counted(target: str, seed: int) -> None:
    """With the rates of all chip ticks of the chip's own neurons, traffic and `count` agree."""
    network, stimulus = random_lowerable_network(seed) if target == "truenorth" else random_real_network(seed)
    made = api.compile(network, target).artifact
    integers = made.lowered.network
    spikes = {p.name: np.asarray(stimulus[p.name]) for p in network.inputs}
    trace = ReferenceSimulator().run(integers, spikes, lag=made.lowered.lag)
    counts = count(trace, made.mapped, made.spec)
    samples, ticks = counts.samples, counts.ticks
    rates = {name: (values != 0).mean(axis=(0, 1)) for name, values in trace.spikes.items()}
    found = traffic_of(made.mapped, made.spec, rates)
    totals, each = counts.totals(), samples * ticks
    assert (found.unicast.packets + found.local) * each == pytest.approx(totals["packets"])
    assert found.host * each == pytest.approx(totals["host_packets"])
    assert found.unicast.hops * each == pytest.approx(totals["hops"])
    assert found.unicast.crossings * each == pytest.approx(totals["chip_crossings"])


def recorded(compiled: api.Compiled, stimulus: dict[str, Array], folder: Path) -> Path:
    path = folder / "trace.npz"
    compiled.run(None, stimulus, probe="all").save(path)
    return path


@pytest.mark.parametrize("seed", range(14))
def test_copies_and_relays_have_the_rates_of_their_neurons(seed: int, tmp_path: Path) -> None:
    """A trace of the user's neurons gives each of the chip's own what it sends, but for partial sums, which are named."""
    case = random_crossbar_case(seed)
    compiled = api.compile(case.network, "truenorth", **case.options)
    report = compiled.mapping(recorded(compiled, dict(case.stimulus), tmp_path))
    assert report.profile is not None
    lowered = compiled.artifact.lowered
    channels = {name for name, part in lowered.parts.items() if part.role == "channel"}
    assert set(report.profile.assumed) >= channels & set(report.profile.rates)
    with np.load(tmp_path / "trace.npz") as arrays:
        for name, rates in report.profile.rates.items():
            part = lowered.parts.get(name)
            if part is None or name in report.profile.assumed or part.pool is not None:
                continue
            values = arrays[f"spikes/{part.logical}"]
            mean = (values != 0).reshape(-1, values[0, 0].size).mean(axis=0)
            np.testing.assert_allclose(rates, mean[part.neurons])


def test_host_messages_are_those_of_the_report(tmp_path: Path) -> None:
    network, stimulus = random_real_network(0)
    compiled = api.compile(network, "loihi")
    given = {p.name: np.asarray(stimulus[p.name]).reshape(*stimulus[p.name].shape[:2], *p.shape) for p in network.inputs}
    report = compiled.mapping(recorded(compiled, given, tmp_path))
    counted = compiled.report(inputs=given).counts
    ticks = next(iter(given.values())).shape[1]
    assert report.traffic.host * counted.samples * ticks == pytest.approx(counted.totals()["host_packets"])
    assert (report.rates, report.as_json()["traffic"]["assumed"]) == ("profile", [])


def test_steps_count_spikes_and_graded_spikes_count_once() -> None:
    """Where a tick of the network is several of the chip, a trace holds counts; values of graded spikes are no counts."""
    lowered = api.compile(random_real_network(0)[0], "loihi").artifact.lowered
    shapes = {name: p.shape for name, p in lowered.network.populations.items()}
    spikes = {name: np.full((2, 3, *shape), 2, np.int8) for name, shape in shapes.items()}
    profile = profile_of(spikes, shapes, lowered, Location("trace.npz"))
    graded = {q.source for q in lowered.network.projections if not q.binary}
    for name, rates in profile.rates.items():
        assert set(rates.tolist()) == {1.0 if name in graded else 2.0}


@pytest.mark.parametrize(
    ("arrays", "code", "message"),
    [
        ({"spikes/b": np.zeros((1, 2, 3), np.int8)}, "NC0201", "there is no population 'b'"),
        ({"spikes/a": np.zeros((1, 2, 4), np.int8)}, "NC0202", "(samples, ticks, 3) is needed"),
        ({"spikes/a": np.zeros((0, 2, 3), np.int8)}, "NC0202", "at least 1 sample of 1 tick"),
        ({"v/a": np.zeros((1, 2, 3), np.int8)}, "NC0203", "no arrays 'spikes/POP'"),
        ({"spikes/a": np.zeros((1, 2, 3), np.float32)}, "NC0207", "spikes are integers"),
        ({"spikes/a": np.zeros((1, 2, 3), "U1")}, "NC0207", "spikes are integers"),
        (
            {"spikes/a": np.zeros((1, 2, 3), np.int8), "spikes/c": np.zeros((1, 5, 1), np.int8)},
            "NC0202",
            "'a' has 1 x 2, 'c' has 1 x 5",
        ),
    ],
)
def test_what_is_no_trace(arrays: dict[str, Array], code: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(NetworkError) as error:
        load_trace(path, {"a": (3,), "c": (1,)})
    (problem,) = error.value.diagnostics
    assert problem.code == code
    assert message in problem.message


def test_no_file_and_no_archive(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    for name, message in (("text.npz", "cannot be read as .npz"), ("test.npz", "there is no file 'test.npz'")):
        with pytest.raises(NetworkError, match=message) as error:
            load_trace(tmp_path / name, {"a": (3,)})
        assert error.value.diagnostics[0].code == "NC0101"
