"""Filters in front of an encoder: what the retina does to an image before it becomes spikes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding.schemes import FloatArray, Operations, Option, Options, Problem, Shape, exp_minus
from neurocomp.ir.network import FrontFilter
from neurocomp.models.registration import Table

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class FilterScheme:
    """A linear filter of images (C, H, W) whose positive part fills channels 0 .. C - 1, its negative part C .. 2 C - 1."""

    name: str
    doc: str
    options: Mapping[str, Option]
    taps: Callable[[Options], FloatArray]
    """options -> (size, size), dimensionless."""
    problem: Callable[[Options], Problem | None]
    formula: str = ""
    cost: str = "C H W size^2 MACs, 2 C H W comparisons; per tick where the data have ticks"
    source: str = ""


FILTERS: Table[FilterScheme] = Table("filter")


def filtered_shape(shape: Shape) -> Shape:
    """Return the shape of what goes into a filter that makes ``shape``.

    >>> filtered_shape((2, 28, 28))
    (1, 28, 28)

    Raises:
        ValueError: With what is wrong with ``shape``.
    """
    if len(shape) != 3 or shape[0] % 2:
        message = f"on and off need an even number of channels, [2 C, H, W]; the filter would make {list(shape)}"
        raise ValueError(message)
    return (shape[0] // 2, *shape[1:])


def apply(filters: Sequence[FrontFilter], data: Array, shape: Shape) -> FloatArray:
    """Return what filters, one after the other, make of images.

    Args:
        filters: In the order in which they are applied.
        data: (..., *shape), any leading axes.
        shape: (C, H, W).

    Returns:
        (..., C 2**k, H, W), float64, nowhere negative. Taps are added in C order, so that every platform has the same bits;
        the image goes on beyond its edges as at them.
    """
    images = np.asarray(data, np.float64).reshape(-1, *shape)
    for entry in filters:
        taps = FILTERS[entry.kind].taps(entry.options)
        margin = len(taps) // 2
        padded = np.pad(images, ((0, 0), (0, 0), (margin, margin), (margin, margin)), mode="edge")
        response = np.zeros(images.shape)
        for (row, column), tap in np.ndenumerate(taps):
            response += tap * padded[:, :, row : row + shape[1], column : column + shape[2]]
        images = np.concatenate([np.maximum(response, 0.0), np.maximum(-response, 0.0)], axis=1)
    return images.reshape(*data.shape[: data.ndim - len(shape)], *images.shape[1:])


def operations(filters: Sequence[FrontFilter], shape: Shape) -> Operations:
    """Return the operations of filters on one image (C, H, W)."""
    total, values = Operations(), math.prod(shape)
    for entry in filters:
        size = int(entry.options["size"])
        total += Operations(values * size * size, 2 * values)
        values *= 2
    return total


def _squares(options: Options) -> FloatArray:
    """Return the squared distance of each tap from the middle."""
    line = np.arange(int(options["size"])) - int(options["size"]) // 2
    return np.asarray(line[:, np.newaxis] ** 2 + line**2, np.float64)


def _sum(values: FloatArray) -> float:
    """Add in C order."""
    total = 0.0
    for value in values.flat:
        total += float(value)
    return total


def _gaussian(options: Options, sigma: float) -> FloatArray:
    weights = exp_minus(_squares(options) / (2.0 * sigma * sigma))
    return weights / _sum(weights)


def _difference_of_gaussians(options: Options) -> FloatArray:
    """Return G(sigma) - G(sigma_surround), each with the sum 1, so that a uniform image has no response."""
    return _gaussian(options, float(options["sigma"])) - _gaussian(options, float(options["sigma_surround"]))


def _laplacian_of_gaussian(options: Options) -> FloatArray:
    """Return (1 - r**2 / (2 sigma**2)) exp(-r**2 / (2 sigma**2)) less its mean; the positive taps have the sum 1."""
    ratio = _squares(options) / (2.0 * float(options["sigma"]) ** 2)
    taps = (1.0 - ratio) * exp_minus(ratio)
    taps = taps - _sum(taps) / taps.size
    return taps / _sum(np.maximum(taps, 0.0))


def _size_problem(options: Options) -> Problem | None:
    size = int(options["size"])
    if size % 2 == 0:
        return Problem("size", f"a filter of {size} taps a side has no middle", f"write 'size: {size + 1}'")
    return None


def _surround_problem(options: Options) -> Problem | None:
    inner, outer = float(options["sigma"]), float(options["sigma_surround"])
    if inner >= outer:
        message = f"sigma is {inner:g}, not less than sigma_surround, {outer:g}"
        return Problem("sigma", message, f"write 'sigma_surround: {2 * inner:g}'")
    return _size_problem(options)


_SIZE = Option("taps a side, odd", 7, integer=True, minimum=3, maximum=101)

for _filter in (
    FilterScheme(
        "dog",
        "difference of Gaussians: a center against its surround",
        {
            "size": _SIZE,
            "sigma": Option("width of the center in pixels", 1.0, minimum=0.01, maximum=100.0),
            "sigma_surround": Option("width of the surround in pixels", 2.0, minimum=0.01, maximum=100.0),
        },
        _difference_of_gaussians,
        _surround_problem,
        formula="G(sigma) - G(sigma_surround), G(s) = exp(-r^2 / (2 s^2)) with the sum 1",
        source="R. Rodieck: Quantitative analysis of cat retinal ganglion cell response to visual stimuli. Vision "
        "Research 5, 1965; "
        "on and off as S. Kheradpisheh et al.: STDP-based spiking deep convolutional neural networks. Neural Networks 99, 2018",
    ),
    FilterScheme(
        "log",
        "Laplacian of Gaussian, the middle positive",
        {"size": _SIZE, "sigma": Option("width in pixels", 1.0, minimum=0.01, maximum=100.0)},
        _laplacian_of_gaussian,
        _size_problem,
        formula="(1 - q) exp(-q), q = r^2 / (2 sigma^2), less its mean, the positive taps with the sum 1",
        source="D. Marr, E. Hildreth: Theory of edge detection. Proceedings of the Royal Society B 207, 1980",
    ),
):
    FILTERS.register(_filter.name, _filter)
