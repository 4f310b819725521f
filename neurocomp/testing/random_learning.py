"""Random integer networks that learn, for tests of engines against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.hardware import LAVA_UNCHECKED
from neurocomp.ir.quantized import (
    MANTISSA_BITS,
    MOST_PRODUCT_BITS,
    IntegerFactor,
    IntegerLearning,
    IntegerNetwork,
    IntegerPopulation,
    IntegerProduct,
    IntegerProjection,
    IntegerTrace,
    SignMode,
)
from neurocomp.models.patterns import Pattern

Array = NDArray[Any]
TRACES = ("x1", "x2", "y1", "y2", "y3")


def learning_network(
    seed: int, ticks: int = 40, *, for_lava: bool = False, samples: int | None = None
) -> tuple[IntegerNetwork, dict[str, Array]]:
    """Return a network in which one projection learns, onto cells that feed others back, and a stimulus of 1 to 3 samples.

    Args:
        seed: Of everything.
        ticks: Per sample.
        samples: Of the stimulus; None: 1 to 3.
        for_lava: A dense projection without modulators, whose spikes take a tick, as all others do.
    """
    r = np.random.default_rng(seed)
    kind = "dense" if for_lava else str(r.choice(["dense", "sparse", "one_to_one"], p=[0.6, 0.2, 0.2]))
    n, m = int(r.integers(1, 9)), int(r.integers(1, 7))
    m = n if kind == "one_to_one" else m
    modulators = () if for_lava else ("r", "p")[: int(r.choice([0, 0, 1, 2]))]
    sign: SignMode = ("mixed", "excitatory", "inhibitory")[int(r.choice(3, p=[0.6, 0.3, 0.1]))]
    shape = {"dense": (m, n), "sparse": (max(1, 2 * n * m // 3),), "one_to_one": (n,)}[kind]
    arrays = {}
    if kind == "sparse":
        pairs = r.choice(n * m, shape, replace=False)
        arrays = {"sources": pairs % n, "targets": pairs // n}
    stored = r.integers(-128, 128, shape).astype(np.int8) if sign == "mixed" else r.integers(0, 256, shape).astype(np.uint8)
    delay = 1 if for_lava else int(r.integers(0, 3))
    least = int(for_lava)
    projections = [
        IntegerProjection(
            "learned", "x", "y", Pattern(kind, arrays), stored, int(sign == "mixed"), sign, 8, int(r.integers(0, 3)),
            np.asarray(delay, np.int64), learning=_learning(r, modulators),
        ),
        _fixed(r, "on", "y", "z", m, least),
    ]  # fmt: skip
    if r.random() < 0.5:
        projections.append(_fixed(r, "back", "z", "y", m, int(r.integers(1, 3))))
    populations = [IntegerPopulation("x", (n,), "input", {})]
    populations += [IntegerPopulation(name, (size,), "input", {}) for name, size in zip(modulators, (1, m), strict=False)]
    populations += [
        _cells("y", m, du=4095, dv=int(r.integers(0, 400)), vth=int(r.integers(50, 300)), bias_mant=int(r.integers(0, 3000))),
        _cells("z", m, du=1000, dv=100, vth=100, bias_mant=0),
    ]
    network = IntegerNetwork("learning", 1e-3, ticks, LAVA_UNCHECKED, {p.name: p for p in populations}, tuple(projections))
    network.verify("random learning")
    drawn = int(r.integers(1, 4))
    samples = drawn if samples is None else samples
    stimulus: dict[str, Array] = {"x": (r.random((samples, ticks, n)) < 0.3).astype(np.int8)}
    for name, size in zip(modulators, (1, m), strict=False):
        values = r.integers(0, 140, (samples, ticks, size)) * (r.random((samples, ticks, size)) < 0.3)
        stimulus[name] = values.astype(np.int32)
    return network, stimulus


def _cells(name: str, size: int, **parameters: int) -> IntegerPopulation:
    values = {"bias_exp": 0, "u_init": 0, "v_init": 0, **parameters}
    return IntegerPopulation(name, (size,), "compartment", {key: np.asarray(value, np.int64) for key, value in values.items()})


def _fixed(r: np.random.Generator, name: str, source: str, target: str, size: int, delay: int) -> IntegerProjection:
    weights = r.integers(-100, 100, (size, size)).astype(np.int8)
    return IntegerProjection(name, source, target, Pattern("dense"), weights, 1, "mixed", 8, 0, np.asarray(delay, np.int64))


def _learning(r: np.random.Generator, modulators: tuple[str, ...]) -> IntegerLearning:
    decimation = int(r.integers(0, 3))

    def product() -> IntegerProduct:
        condition = str(r.choice(["x0", "y0", "u"]))
        factors: list[IntegerFactor] = []
        for _ in range(int(r.integers(0, 4))):
            variable = str(r.choice([*TRACES, "w", "t"]))
            sign = variable in ("w", "t") and r.random() < 0.3
            factor = IntegerFactor(variable, int(r.choice([0, 0, 3, -5, 100])), bool(sign))
            if sum(f.bits for f in [*factors, factor]) + MANTISSA_BITS <= MOST_PRODUCT_BITS:
                factors.append(factor)
        mantissa, exponent = int(r.choice([-7, -5, -1, 1, 2, 7])), int(r.integers(0, 10))
        return IntegerProduct(condition, mantissa, exponent, tuple(factors), decimation if condition == "u" else 0)

    traces = {}
    for name in TRACES:
        if r.random() < 0.8:
            tau = float(r.choice([3.0, 7.5, 10.0, 20.0]))
            impulse = int(r.integers(0, 60)) * 256 + int(r.choice([0, 100]))
            traces[name] = IntegerTrace(impulse, float(np.exp(np.array([-1 / tau]))[0]), tau)
    return IntegerLearning(
        traces, tuple(product() for _ in range(int(r.integers(1, 4)))), tuple(product() for _ in range(int(r.integers(0, 3)))),
        modulators, int(r.choice([1, 1, 2, 3, 7])), int(r.integers(0, 1000)), bool(r.random() < 0.6),
    )  # fmt: skip
