"""What the host computes once per sample: the first layer of a constant analog input, as integers beside the chip's biases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, NetworkError
from neurocomp.models.patterns import PATTERNS, Pattern, Shape

Array = NDArray[Any]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class HostProjection:
    """A projection from a constant analog input, in real numbers."""

    name: str
    source: str
    """The user's input population."""
    source_shape: Shape
    pattern: Pattern
    weights: Array
    bias: Array | None = None
    """(n_target,), added to the weighted sum."""

    def synapses(self, target: Shape) -> int:
        """Return how many there are onto a population of a shape."""
        return int(PATTERNS[self.pattern.kind].count(self.pattern, self.source_shape, target).sum())


@dataclass(frozen=True, slots=True, eq=False)
class HostCurrent:
    """The current of one population: what its analog inputs make of a sample, as the chip adds it to v in every tick.

    With x the inputs' values, the integer of neuron i is ``rint(scale_i * (sum(weights x) + bias))``, rounded once more to a
    number of ``mantissa_bits`` magnitude bits times a power of two, as a bias register holds it.
    """

    population: str
    """Of dynamics ``current``, in the integer network."""
    target: str
    target_shape: Shape
    projections: tuple[HostProjection, ...]
    scale: Array
    """Units of the state per 1.0 of the input sum, 0-d or (n,)."""
    mantissa_bits: int
    exponent_max: int

    @property
    def macs(self) -> int:
        """Multiplications and additions of the host per sample: one per synapse of the layer."""
        return sum(q.synapses(self.target_shape) for q in self.projections)

    def sums(self, values: Mapping[str, Array]) -> NDArray[np.float64]:
        """Return the weighted sums (samples, n) of the inputs' values (samples, n_source), in float64."""
        total: NDArray[np.float64] = np.zeros(())
        for q in self.projections:
            weights = np.asarray(q.weights, np.float64)
            x = np.asarray(values[q.source], np.float64)
            total = total + PATTERNS[q.pattern.kind].forward(q.pattern, weights, x, q.source_shape, self.target_shape)
            if q.bias is not None:
                total = total + np.asarray(q.bias, np.float64)
        return total

    def integers(self, values: Mapping[str, Array], first_sample: int = 0) -> IntArray:
        """Return what the host writes, (samples, n); ``first_sample`` is the number of the first one, for messages.

        Raises:
            NetworkError: A register cannot hold a value (NC0332).
        """
        real = self.sums(values) * self.scale
        largest = (1 << self.mantissa_bits) - 1
        beyond = np.abs(real) >= (largest << self.exponent_max) + 0.5
        if beyond.any():
            sample, neuron = (int(i) for i in np.argwhere(beyond)[0])
            message = (
                f"the constant current of '{self.target}[{neuron}]' in sample {first_sample + sample} is "
                f"{real[sample, neuron]:.6g} in the chip's units; a bias holds at most {largest << self.exponent_max}"
            )
            hint = "declare calibration data with such values, so that the scale leaves room for them"
            raise NetworkError(Diagnostic("NC0332", message, hint=hint))
        exact = np.rint(real).astype(np.int64)
        exponent = np.zeros_like(exact)
        while (over := (np.abs(exact) > (largest << exponent)) & (exponent < self.exponent_max)).any():
            exponent += over
        half = np.where(exponent > 0, 1 << np.maximum(exponent - 1, 0), 0)
        mantissa = np.minimum((np.abs(exact) + half) >> exponent, largest)
        return np.asarray(np.sign(exact) * (mantissa << exponent))
