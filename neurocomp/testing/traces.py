"""The comparison of what two simulators of integer networks say of one network."""

from __future__ import annotations

import numpy as np

from neurocomp.ir.trace import Trace

REGISTERS = ("spikes", "u", "v")


def trace_difference(actual: Trace, expected: Trace) -> str | None:
    """Return one line about the first thing that differs, or None if both traces say the same.

    Populations, dtypes, shapes, all elements of spikes, u and v, learned weights, ticks, lags and events are compared; engines
    may differ.
    """
    if (actual.ticks, dict(actual.lag)) != (expected.ticks, dict(expected.lag)):
        return f"ticks and lags are {actual.ticks}, {dict(actual.lag)}, expected {expected.ticks}, {dict(expected.lag)}"
    for register in REGISTERS:
        found, wanted = getattr(actual, register), getattr(expected, register)
        if list(found) != list(wanted):
            return f"{register} has the populations {list(found)}, expected {list(wanted)}"
        for name, values in wanted.items():
            if (found[name].dtype, found[name].shape) != (values.dtype, values.shape):
                return (
                    f"{register} of '{name}' is {found[name].dtype} {found[name].shape}, expected {values.dtype} {values.shape}"
                )
            if not np.array_equal(found[name], values):
                place = np.argwhere(found[name] != values)
                sample, tick, neuron = (int(i) for i in place[np.argmin(place[:, 1])])
                at = f"{register} of '{name}', sample {sample}, tick {tick}, neuron {neuron}"
                return f"{at}: {found[name][sample, tick, neuron]}, expected {values[sample, tick, neuron]}"
    if list(actual.weights) != list(expected.weights):
        return f"weights are learned of {list(actual.weights)}, expected {list(expected.weights)}"
    for name, values in expected.weights.items():
        if actual.weights[name].shape != values.shape or not np.array_equal(actual.weights[name], values):
            return f"the learned weights of '{name}' differ"
    if actual.events != expected.events:
        return f"events are {actual.events}, expected {expected.events}"
    return None
