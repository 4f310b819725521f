"""How far partitions of small networks are from the best one, which an exact solver has proved.

The optimum of every instance is stored; the test marked slow proves each anew with HiGHS. The model: x[v, c], neuron v is on
core c; y[s, c], source s needs an axon of core c; z[s, c] >= y[s, c] - x[s, c], its packets go there. Cores may stay empty.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.mapping_count import Caps, count
from benchmarks.mapping_networks import Convolution, Listed, dense, layered, liquid, rates, small_world
from neurocomp.engine.kernels.partitioning import Limits
from neurocomp.mapping.twins import partition_neurons

Array = NDArray[Any]

MEAN_GAP, WORST_GAP = 0.03, 0.10
MOST_SECONDS = 900.0


@dataclass(frozen=True)
class Instance:
    """A network, the caps and number of cores, and the fewest packets."""

    make: Callable[[], Listed]
    caps: Caps
    cores: int
    optimum: int


def scattered(n: int, fan_out: int, seed: int) -> Listed:
    """Return neurons with random targets."""
    rng = np.random.default_rng(seed)
    lists = [np.sort(rng.choice(np.delete(np.arange(n), s), fan_out, replace=False)) for s in range(n)]
    start = fan_out * np.arange(n + 1)
    every = np.array([0]), np.array([n]), np.array([1])
    return Listed(start, np.concatenate(lists).astype(np.int32), rates(n, seed), *every)


def lsm(rows: int, columns: int, seed: int) -> Callable[[], Listed]:
    return lambda: liquid(rows, columns, 3, (1.2, 0.8), seed)


def ring(n: int, seed: int) -> Callable[[], Listed]:
    return lambda: small_world(n, 4, 0.1, seed)


def mlp(sizes: tuple[int, ...], seed: int) -> Callable[[], Listed]:
    return lambda: dense(sizes, seed)


def conv(side: int, channels: int, seed: int) -> Callable[[], Listed]:
    return lambda: layered((1, side, side), [Convolution(channels, 3), 4], seed)


def random(n: int, seed: int) -> Callable[[], Listed]:
    return lambda: scattered(n, 3, seed)


INSTANCES = {
    "lsm 4x4 a": Instance(lsm(4, 4, 1), Caps(6, 12, 99), 3, 198),
    "lsm 4x4 b": Instance(lsm(4, 4, 2), Caps(6, 12, 99), 3, 218),
    "lsm 4x5 a": Instance(lsm(4, 5, 3), Caps(8, 15, 99), 3, 120),
    "lsm 4x5 b": Instance(lsm(4, 5, 4), Caps(8, 15, 99), 3, 188),
    "lsm 4x6": Instance(lsm(4, 6, 5), Caps(9, 17, 99), 3, 228),
    "ring 18 a": Instance(ring(18, 1), Caps(7, 14, 99), 3, 225),
    "ring 18 b": Instance(ring(18, 2), Caps(7, 14, 99), 3, 192),
    "ring 20": Instance(ring(20, 3), Caps(6, 13, 99), 4, 142),
    "ring 24 a": Instance(ring(24, 4), Caps(9, 16, 99), 3, 175),
    "ring 24 b": Instance(ring(24, 5), Caps(9, 16, 99), 3, 276),
    "mlp 6-8-4 a": Instance(mlp((6, 8, 4), 1), Caps(7, 14, 60), 3, 289),
    "mlp 6-8-4 b": Instance(mlp((6, 8, 4), 2), Caps(7, 14, 60), 3, 243),
    "mlp 5-6-6-3": Instance(mlp((5, 6, 6, 3), 3), Caps(8, 12, 45), 3, 192),
    "mlp 8-8-8": Instance(mlp((8, 8, 8), 4), Caps(9, 16, 64), 3, 318),
    "conv 4x4 2 a": Instance(conv(4, 2, 1), Caps(10, 20, 60), 3, 380),
    "conv 4x4 2 b": Instance(conv(4, 2, 2), Caps(11, 17, 50), 4, 290),
    "conv 4x4 1": Instance(conv(4, 1, 3), Caps(9, 14, 30), 3, 289),
    "random 14": Instance(random(14, 1), Caps(6, 13, 99), 3, 221),
    "random 16 a": Instance(random(16, 2), Caps(6, 13, 99), 3, 247),
    "random 16 b": Instance(random(16, 3), Caps(6, 14, 30), 3, 176),
    "random 18": Instance(random(18, 4), Caps(7, 15, 99), 3, 234),
    "random 20": Instance(random(20, 5), Caps(8, 17, 99), 3, 220),
}


def gap_of(name: str) -> float:
    """Return how much more than the optimum our partition sends, which must keep the caps."""
    i = INSTANCES[name]
    network = i.make()
    found = partition_neurons(
        network.start, network.target, network.rate, Limits(i.caps.neurons, i.caps.axons, i.caps.synapses), jobs=1
    )
    use = count(network.start, network.target, network.rate, found.core).verify(i.caps)
    assert use.packets == found.packets
    assert use.cores <= i.cores, f"{name}: the optimum is that of {i.cores} cores, the partition has {use.cores}"
    assert use.packets >= i.optimum, f"{name}: {use.packets} packets, and {i.optimum} are said to be the fewest"
    return use.packets / i.optimum - 1


def test_partitions_are_near_the_optimum() -> None:
    gaps = {name: gap_of(name) for name in INSTANCES}
    shown = {name: f"{100 * gap:.1f} %" for name, gap in gaps.items() if gap > 0}
    assert np.mean(list(gaps.values())) <= MEAN_GAP, shown
    assert max(gaps.values()) <= WORST_GAP, shown


def test_there_are_enough_instances() -> None:
    assert len(INSTANCES) >= 20
    assert all(i.make().size <= 28 for i in INSTANCES.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", INSTANCES)
def test_the_optimum_is_proved(name: str) -> None:
    assert solved(INSTANCES[name]) == INSTANCES[name].optimum


def solved(i: Instance) -> int:
    """Return the fewest packets of an instance, proved by HiGHS."""
    highspy: Any = importlib.import_module("highspy")  # its types are partial

    network = i.make()
    n, k = network.size, i.cores
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("time_limit", MOST_SECONDS)
    model.setOptionValue("mip_rel_gap", 0.0)
    model.setOptionValue("mip_abs_gap", 0.5)
    # Cores are numbered in the order of their first neurons.
    x = [[model.addBinary() if c <= v else None for c in range(k)] for v in range(n)]
    y = [[model.addVariable(lb=0, ub=1) for _ in range(k)] for _ in range(n)]
    z = [[model.addVariable(lb=0, ub=1, obj=float(network.rate[s])) for _ in range(k)] for s in range(n)]
    fan_in = np.bincount(network.target, minlength=n)

    def on(v: int, c: int) -> Any:
        return 0 if x[v][c] is None else x[v][c]

    for v in range(n):
        model.addConstr(sum(on(v, c) for c in range(k)) == 1)
        for c in range(1, min(k, v + 1)):
            model.addConstr(on(v, c) <= sum(on(u, c - 1) for u in range(c - 1, v)))
    for s in range(n):
        for c in range(k):
            for t in network.target[network.start[s] : network.start[s + 1]].tolist():
                if x[t][c] is not None:
                    model.addConstr(y[s][c] >= x[t][c])
            model.addConstr(z[s][c] >= y[s][c] - on(s, c))
    for c in range(k):
        model.addConstr(sum(on(v, c) for v in range(n)) <= i.caps.neurons)
        model.addConstr(sum(int(fan_in[v]) * on(v, c) for v in range(n)) <= i.caps.synapses)
        model.addConstr(sum(y[s][c] for s in range(n)) <= i.caps.axons)
    model.run()
    assert model.getModelStatus() == highspy.HighsModelStatus.kOptimal, model.modelStatusToString(model.getModelStatus())
    return round(float(model.getInfo().objective_function_value))
