"""Lava 0.10 learns what the reference learns: its LearningDense in whole networks, and with a reward by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp.frontends.from_yaml import loads
from neurocomp.hardware import LAVA_UNCHECKED
from neurocomp.ir.lowered import LoweredNetwork, Representative
from neurocomp.ir.quantized import (
    IntegerFactor,
    IntegerLearning,
    IntegerNetwork,
    IntegerPopulation,
    IntegerProduct,
    IntegerProjection,
    IntegerTrace,
)
from neurocomp.models.patterns import Pattern
from neurocomp.testing.random_learning import learning_network
from neurocomp.testing.traces import trace_difference
from neurocomp_loihi import lava_shim
from neurocomp_loihi.lava import LavaWitness
from neurocomp_reference import ReferenceSimulator
from neurocomp_reference.learning import Synapses

Array = NDArray[Any]
UNAVAILABLE = lava_shim.available()
needs_lava = pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))

NETWORKS, TICKS = 12, 25


def side_by_side(samples: int) -> tuple[LoweredNetwork, dict[str, Array]]:
    """Return random networks as unconnected parts of one: Lava runs each by itself, in one process."""
    populations: dict[str, IntegerPopulation] = {}
    projections: list[IntegerProjection] = []
    lag: dict[str, int] = {}
    stimulus: dict[str, Array] = {}
    for number in range(NETWORKS):
        network, given = learning_network(100 + number, TICKS, for_lava=True, samples=samples)
        ring = any(q.name == "back" for q in network.projections)
        for name, p in network.populations.items():
            populations[f"{name}{number}"] = replace(p, name=f"{name}{number}")
            lag[f"{name}{number}"] = {"x": 0, "y": 1, "z": 1 if ring else 2}[name]
        for q in network.projections:
            source, target = f"{q.source}{number}", f"{q.target}{number}"
            projections.append(replace(q, name=f"{q.name}{number}", source=source, target=target))
        stimulus |= {f"{name}{number}": values for name, values in given.items()}
    network = IntegerNetwork("many", 1e-3, TICKS, LAVA_UNCHECKED, populations, tuple(projections))
    return LoweredNetwork(network, lag, {name: Representative(name, ticks) for name, ticks in lag.items()}), stimulus


@needs_lava
@pytest.mark.parametrize("samples", [1, 3])
def test_networks_learn_as_lava_learns(samples: int) -> None:
    """Spikes, potentials and weights of twelve networks; weights of each sample, whether samples go on or begin anew."""
    lowered, stimulus = side_by_side(samples)
    wanted = ReferenceSimulator().run(lowered.network, stimulus, lag=lowered.lag)
    moved = [
        bool((wanted.weights[q.name][-1] != q.weights).any()) for q in lowered.network.projections if q.learning is not None
    ]
    assert sum(moved) > NETWORKS // 2
    found = LavaWitness().run(lowered, stimulus)
    assert trace_difference(replace(found, u=wanted.u, events=wanted.events), wanted) is None


@needs_lava
def test_homeostasis_is_that_of_lava() -> None:
    """Weak and strong drive, a rule without traces and with a condition of every other epoch, from the network to Lava."""
    text = """neurocomp: 1
name: even
timestep: 1 ms
ticks: 60
populations:
  tonic: {kind: input, shape: [1]}
  drive: {kind: input, shape: [3]}
  cells: {shape: [3], neuron: {model: lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero}}
projections:
  - {from: drive, to: cells, pattern: one_to_one, weights: [0.01, 0.4, 1.0]}
  - from: tonic
    to: cells
    weights: [[0.0], [0.0], [0.0]]
    learn: {rule: homeostasis, rate: 0.01, target_rate: 0.1, every: 2, w_min: -0.5, w_max: 0.5, epoch: 2, seed: 7}
"""
    drive = (np.random.default_rng(2).random((2, 60, 3)) < 0.5).astype(np.int8)
    given = {"tonic": np.ones((2, 60, 1), np.int8), "drive": drive}
    made = neurocomp.compile(loads(text, Path()), "loihi")
    report = made.verify(["reference", "lava"], inputs=given)
    assert report.bit_exact, str(report.first_divergence)
    assert report.engines == ("reference", "lava")
    learned = made.run("lava", given).arrays["weights/tonic->cells"].ravel()
    assert learned[0] > 15
    assert (learned[1:] < 0).all()


def test_what_lava_has_not_is_said() -> None:
    lowered, _ = side_by_side(1)
    first = next(q for q in lowered.network.projections if q.learning is not None)
    assert first.learning is not None
    modulated = replace(first, learning=replace(first.learning, modulators=("x0",)))
    late = replace(first, delay=np.asarray(2, np.int64))
    for changed, reason in (
        (modulated, "'learned0' is modulated by 'x0'; no stock neuron of Lava sends what modulates"),
        (late, "'learned0' learns as 'dense', delay 2; Lava's LearningDense is dense, with a delay of 1"),
    ):
        projections = tuple(changed if q.name == first.name else q for q in lowered.network.projections)
        network = replace(lowered, network=replace(lowered.network, projections=projections))
        assert LavaWitness().unavailable(network) in (reason, UNAVAILABLE)


# A reward: Lava's three-factor rule between ring buffers, its stock model alone

RULES = [
    (("u", 2, 4, ("t", "y2")),),
    (("u", 3, 3, ("t", "y2")), ("u", -3, 3, ("t", "y3"))),
    (("y0", 1, 6, ("x1", "y2")), ("x0", -1, 6, ("y1",))),
]
TAGS = (("x0", -1, 7, ("y1",)), ("y0", 1, 7, ("x1",)), ("u", -1, 3, ("t",)))
EPOCHS = (1, 3, 4)

CHILD = """
import json, sys
import numpy as np
from neurocomp_loihi import lava_shim
lava_shim.install()
from lava.magma.core.learning.learning_rule import Loihi3FLearningRule
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg
from lava.proc.dense.process import LearningDense
from lava.proc.io.source import RingBuffer
folder = sys.argv[1]
for number, job in enumerate(json.load(open(f"{folder}/jobs.json"))):
    given = np.load(f"{folder}/given{number}.npz")
    rule = Loihi3FLearningRule(dw=job["dw"], dt=job["dt"], x1_impulse=16, x1_tau=10, t_epoch=job["epoch"], rng_seed=job["seed"])
    dense = LearningDense(weights=given["weights"], learning_rule=rule)
    for port, name in (("s_in", "x"), ("s_in_bap", "y"), ("s_in_y1", "y1"), ("s_in_y2", "y2"), ("s_in_y3", "y3")):
        RingBuffer(data=given[name]).s_out.connect(getattr(dense, port))
    kept = []
    for _ in range(given["x"].shape[1]):
        dense.run(condition=RunSteps(1), run_cfg=Loihi1SimCfg(select_tag="fixed_pt"))
        kept.append((dense.weights.get(), dense.tag_1.get()))
    dense.stop()
    np.savez(f"{folder}/found{number}.npz", weights=[w for w, _ in kept], tags=[t for _, t in kept])
"""


def products(found: tuple[Any, ...]) -> tuple[IntegerProduct, ...]:
    return tuple(IntegerProduct(c, m, e, tuple(IntegerFactor(name) for name in names)) for c, m, e, names in found)


def text(found: tuple[Any, ...]) -> str:
    return " + ".join(
        " * ".join([f"({m})", f"2 ^ {e - 7}", "u0" if c == "u" else c, *names]) for c, m, e, names in found
    )  # fmt: skip


@needs_lava
def test_rewards_move_tags_and_weights_as_in_lava(tmp_path: Path) -> None:
    r = np.random.default_rng(3)
    jobs, wanted = [], []
    for number, (rule, epoch) in enumerate(zip(RULES, EPOCHS, strict=True)):
        keep = float(np.exp(np.array([-1 / 10.0]))[0])
        learning = IntegerLearning(
            {"x1": IntegerTrace(4096, keep, 10.0), "y1": IntegerTrace(4096, keep, 10.0)}, products(rule), products(TAGS),
            ("a", "b"), epoch, 40 + number, True,
        )  # fmt: skip
        n, m, ticks = 4, 3, 24
        weights = 2 * r.integers(-60, 60, (m, n))
        populations = {"x": IntegerPopulation("x", (n,), "input", {}), "y": IntegerPopulation("y", (m,), "input", {})}
        q = IntegerProjection(
            "q", "x", "y", Pattern("dense"), (weights >> 1).astype(np.int8), 1, "mixed", 8, 0, np.asarray(1, np.int64),
            learning=learning,
        )  # fmt: skip
        synapses = Synapses.of(IntegerNetwork("n", 1e-3, ticks, LAVA_UNCHECKED, populations, (q,)), q)
        synapses.begin()
        x, y = (r.random((size, ticks)) < 0.3 for size in (n, m))
        y2, y3 = (r.integers(0, 20, (m, ticks)) * (r.random((m, ticks)) < 0.4) for _ in range(2))
        sent, kept = [], []
        for t in range(ticks):
            synapses.learn(x[:, t], y[:, t], {"y2": y2[:, t], "y3": y3[:, t]})
            sent.append(synapses.traces["y1"])
            tags = np.zeros(m * n, np.int64)
            tags[synapses.slots] = synapses.tags
            kept.append((synapses.stored(), tags.reshape(m, n)))
        wanted.append(kept)
        np.savez(
            tmp_path / f"given{number}.npz", weights=weights, x=x.astype(np.int32), y=y.astype(np.int32),
            y1=np.stack(sent, axis=1).astype(np.int32), y2=y2.astype(np.int32), y3=y3.astype(np.int32),
        )  # fmt: skip
        jobs.append({"dw": text(rule), "dt": text(TAGS), "epoch": epoch, "seed": 40 + number})
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, timeout=240, check=False
    )
    assert child.returncode == 0, child.stderr[-2000:]
    for number, kept in enumerate(wanted):
        with np.load(tmp_path / f"found{number}.npz") as found:
            for t, (learned, tagged) in enumerate(kept):
                assert np.array_equal(found["weights"][t], learned), f"rule {number}, step {t}"
                assert np.array_equal(found["tags"][t], tagged), f"rule {number}, step {t}"
        assert any(not np.array_equal(kept[0][0], learned) for learned, _ in kept)
