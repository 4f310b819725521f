"""Draw an ensemble from the trained probabilities of this example; write its network, or measure its accuracy.

    python make_ensemble.py --copies 4 --seed 0                                # net.yaml and weights.npz
    python make_ensemble.py --measure t10k.npz --copies 1 4 16 --draws 8       # accuracy, over seeds 0 to 7

Every copy is the same network of two layers of binary neurons, with connections drawn for itself:

    patches (4, 64)    block b sees one of 2x2 patches of 16x16 pixels (brighter than 128), 12 apart
    votes (250,)       sees all of `patches`

A synapse is there with its trained probability. Its weight is the sign of its source, 1 or -1, the same for all neurons:
so a source takes one input of a core. A neuron spikes where its weighted spikes plus its bias are 0 or more. Neuron i of
`votes` votes for the digit i mod 10; the votes of all copies are added, and the lowest digit wins a tie.

Needs NumPy alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

BRIGHT = 128  # pixels above it spike
CLASSES = 10
PATCHES, SIDE, APART = 2, 16, 12  # patches per axis, pixels per axis of a patch, and from one patch to the next
HIDDEN, VOTERS = 64, 250  # neurons per patch, and of the last layer
CERTAIN = 255  # probabilities are stored in 255ths

Bytes = npt.NDArray[np.uint8]
Signed = npt.NDArray[np.int8]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

NET = """\
# {copies} copies of a small network of binary neurons, each with its own drawn synapses; their votes are added. Written by
# make_ensemble.py --copies {copies} --seed {seed}
neurocomp: 1
name: ensemble-truenorth
timestep: 1 ms
ticks: 1                 # one image is one tick

populations:
  pixels: {{kind: input, shape: [784]}}
  # A binary neuron has no memory: it spikes on a tick where its weighted input spikes plus its bias reach v_threshold.
  patches: {{shape: [{copies}, {blocks}, {hidden}], neuron: {{model: binary, v_threshold: 0.0}}}}
  votes: {{shape: [{copies}, {voters}], neuron: {{model: binary, v_threshold: 0.0}}}}

# file#array. Block b joins the sources indices[b] to the b-th {hidden} of `patches` and the b-th {voters} of `votes`; weights
# are (blocks, to, from): 0 where no synapse was drawn, else the sign of the source.
projections:
  - from: pixels
    to: patches
    pattern: {{block: {{indices: weights.npz#i1}}}}
    weights: weights.npz#w1
    bias: weights.npz#b1
  - from: patches
    to: votes
    pattern: {{block: {{indices: weights.npz#i2}}}}
    weights: weights.npz#w2
    bias: weights.npz#b2

encode: {{pixels: {{scheme: threshold, threshold: 0.502}}}}   # pixels brighter than 128 of 255 spike
decode: {{votes: {{scheme: vote, classes: 10}}}}              # neuron i votes for the digit i mod 10

data:
  inputs: {{pixels: test.npz#images}}            # 500 test images to run and to verify with
  labels: test.npz#labels
  scale: 1/255                                 # 8-bit pixels to 0..1
"""


def signs() -> tuple[Signed, Signed]:
    """The signs of the 256 inputs of a block: a chessboard over a patch, and in turn over the neurons of `patches`."""
    y, x = np.divmod(np.arange(SIDE * SIDE), SIDE)
    turn = np.arange(PATCHES * PATCHES * HIDDEN)
    return (1 - 2 * ((y + x) % 2)).astype(np.int8), (1 - 2 * (turn % 2)).astype(np.int8)


def patches() -> npt.NDArray[np.int32]:
    """The pixels of each block, (4, 256)."""
    pixel, starts = np.arange(784).reshape(28, 28), range(0, PATCHES * APART, APART)
    return np.array([pixel[y : y + SIDE, x : x + SIDE].reshape(-1) for y in starts for x in starts], np.int32)


def draw(probabilities: Bytes, sign: Signed, copies: int, generator: np.random.Generator) -> Signed:
    """Weights (copies, *shape) of -1, 0 and 1 for probabilities in 255ths, whose last axis is the source."""
    there = generator.integers(CERTAIN, size=(copies, *probabilities.shape)) < probabilities
    return there.astype(np.int8) * sign


def sample(trained: dict[str, Bytes], copies: int, seed: int) -> tuple[Signed, Signed]:
    """The weights of an ensemble: (copies, 4, 64, 256) and (copies, 250, 256)."""
    generator = np.random.default_rng(seed)
    first, second = signs()
    return draw(trained["c1"], first, copies, generator), draw(trained["c2"], second, copies, generator)


def simulate(w1: Signed, b1: Integers, w2: Signed, b2: Integers, images: Bytes) -> Integers:
    """The votes of each copy, (copies, n, 10), for images (n, 784). All sums are small integers: float32 is exact."""
    spikes = (images > BRIGHT).astype(np.float32)
    votes = np.empty((len(w1), len(images), CLASSES), np.int64)
    for copy in range(len(w1)):
        blocks = [
            spikes[:, pixels] @ w1[copy, b].T.astype(np.float32) + b1[b].astype(np.float32) >= 0
            for b, pixels in enumerate(patches())
        ]
        hidden = np.concatenate(blocks, 1).astype(np.float32)
        fired = hidden @ w2[copy].T.astype(np.float32) + b2.astype(np.float32) >= 0
        votes[copy] = fired.reshape(len(images), -1, CLASSES).sum(1)
    return votes


def measure(trained: dict[str, Bytes], images: Bytes, labels: Bytes, sizes: list[int], draws: int) -> None:
    """Print the accuracy of ensembles of each size, over `draws` seeds from 0."""
    b1, b2 = trained["b1"].astype(np.int64), trained["b2"].astype(np.int64)
    for copies in sizes:
        right = []
        for seed in range(draws):
            w1, w2 = sample(trained, copies, seed)
            right.append(simulate(w1, b1, w2, b2, images).sum(0).argmax(1) == labels)
        each = np.array(right)
        print(
            f"{copies} {'copy' if copies == 1 else 'copies'}: {each.mean():.2%} of {len(images)} (of {draws} draws the worst "
            f"{each.mean(1).min():.2%}, the best {each.mean(1).max():.2%}); {each[:, :500].mean():.2%} of the first 500 "
            f"({each[0, :500].mean():.2%} with seed 0)",
            flush=True,
        )


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description="Draw an ensemble from the trained probabilities of this example.")
    parser.add_argument("--copies", type=int, nargs="+", default=[4], metavar="E", help="copies of the network (4)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (%(default)s)")
    parser.add_argument("--out", type=Path, default=here, help="where to write net.yaml and weights.npz (default: here)")
    parser.add_argument(
        "--measure", type=Path, metavar="FILE", help="write nothing, measure on an .npz file with x (n, 784) and y (n,)"
    )
    parser.add_argument("--draws", type=int, default=8, help="ensembles of each size to measure (%(default)s)")
    args = parser.parse_args()

    with np.load(here / "probabilities.npz") as data:
        trained = dict(data)
    if args.measure:
        with np.load(args.measure) as data:
            images, labels = data["x"].reshape(-1, 784), data["y"]
        measure(trained, images, labels, args.copies, args.draws)
        return
    if len(args.copies) != 1:
        parser.error("several numbers of copies are for --measure")

    copies, blocks = args.copies[0], PATCHES * PATCHES
    w1, w2 = sample(trained, copies, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        args.out / "weights.npz",
        w1=w1.reshape(copies * blocks, HIDDEN, -1),
        w2=w2,
        i1=np.tile(patches(), (copies, 1)),
        i2=np.arange(copies * blocks * HIDDEN, dtype=np.int32).reshape(copies, -1),
        b1=np.tile(trained["b1"], (copies, 1)).reshape(copies, blocks, HIDDEN),
        b2=np.tile(trained["b2"], (copies, 1)),
    )
    text = NET.format(copies=copies, seed=args.seed, blocks=blocks, hidden=HIDDEN, voters=VOTERS)
    (args.out / "net.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
