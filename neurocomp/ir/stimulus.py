"""What every simulator of integer networks asks of its arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, NetworkError, did_you_mean
from neurocomp.ir.quantized import IntegerNetwork

Array = NDArray[Any]


def recorded_populations(network: IntegerNetwork, record: Sequence[str] | None) -> tuple[str, ...]:
    """Return the populations to record, in the order of the network; None: all.

    Raises:
        NetworkError: A name is no population (NC0201).
    """
    if record is None:
        return tuple(network.populations)
    for name in record:
        if name not in network.populations:
            hint = did_you_mean(name, list(network.populations))
            raise NetworkError(Diagnostic("NC0201", f"there is no population '{name}' to record", hint=hint))
    return tuple(name for name in network.populations if name in record)


def samples_and_ticks(network: IntegerNetwork, stimulus: Mapping[str, Array]) -> tuple[int, int]:
    """Check a stimulus and return its number of samples and of ticks.

    Args:
        network: Whose inputs it feeds; one without inputs runs one sample for its own ticks.
        stimulus: Input -> (samples, ticks, n) integers.

    Raises:
        NetworkError: It does not belong to the network (NC0211); all problems.
    """
    inputs = {p.name: p for p in network.populations.values() if p.dynamics in ("input", "current")}
    problems: list[Diagnostic] = []
    extents: set[tuple[int, int]] = set()
    for name in (name for name in inputs if name not in stimulus):
        problems.append(Diagnostic("NC0211", f"the stimulus has no array for the input '{name}'"))
    for name, values in stimulus.items():
        if name not in inputs:
            hint = did_you_mean(name, list(inputs))
            problems.append(Diagnostic("NC0211", f"the stimulus names '{name}', which is no input", hint=hint))
        elif values.ndim != 3 or values.shape[2] != inputs[name].size or values.shape[1] < 1:
            expected = f"(samples, ticks >= 1, {inputs[name].size})"
            shape = f"the stimulus of '{name}' has the shape {values.shape}; {expected} is needed"
            problems.append(Diagnostic("NC0211", shape))
        elif values.dtype.kind not in "biu":
            dtype = f"the stimulus of '{name}' has the dtype {values.dtype}; integers are needed"
            problems.append(Diagnostic("NC0211", dtype))
        elif (
            values.size
            and not np.can_cast(values.dtype, np.int32)
            and not -(2**31) <= int(values.min()) <= int(values.max()) < 2**31
        ):
            problems.append(Diagnostic("NC0211", f"the stimulus of '{name}' has values beyond 32 bits"))
        elif inputs[name].dynamics == "current" and (values != values[:, :1]).any():
            changes = f"the stimulus of '{name}' changes within a sample; a current is one value per sample and neuron"
            problems.append(Diagnostic("NC0211", changes, hint="repeat one value in all ticks of a sample"))
        else:
            extents.add((values.shape[0], values.shape[1]))
    if len(extents) > 1:
        problems.append(Diagnostic("NC0211", f"inputs differ in (samples, ticks): {', '.join(map(str, sorted(extents)))}"))
    if problems:
        raise NetworkError(problems)
    return extents.pop() if extents else (1, network.ticks)
