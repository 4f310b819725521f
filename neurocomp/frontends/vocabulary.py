"""The keys and words of net.yaml, shared by the reader and the JSON Schema."""

from __future__ import annotations

from typing import get_args, get_type_hints

from neurocomp.ir.quantized import DYNAMICS
from neurocomp.models.neurons import NATIVE_FORMATS, NeuronModel, Semantics
from neurocomp.models.patterns import PatternType

SCHEMA_VERSION = 1
IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_.-]*"
MAX_COUNT = 2**31 - 1
"""Ticks per sample, neurons per population and delays stay below 2**31."""

NETWORK_KEYS = ("neurocomp", "name", "timestep", "ticks", "populations", "projections", "encode", "decode", "data")
NETWORK_NEEDS = ("neurocomp", "name", "timestep", "ticks", "populations")
INPUT_KEYS = ("kind", "shape")
POPULATION_KEYS = ("shape", "neuron")
NATIVE_PROJECTION_KEYS = ("weight_exp", "weight_bits", "sign")
PROJECTION_KEYS = ("name", "from", "to", "pattern", "weights", "transpose", "bias", "delay", "learn", *NATIVE_PROJECTION_KEYS)
PROJECTION_NEEDS = ("from", "to")
TRANSPOSABLE = ("dense",)
"""Patterns whose weights are a matrix that 'transpose' turns."""
DATA_KEYS = ("inputs", "labels", "calibration", "scale")

_hints = get_type_hints(Semantics)
WORD_AXES: dict[str, tuple[str, ...]] = {
    axis: get_args(_hints[axis])
    for axis in ("integration", "input", "threshold_on", "compare", "spikes_per_tick", "reset", "reset_when")
}
"""Semantic axis -> its words; ``reset`` also takes a mapping with the key ``value``."""
MEMBRANE_AXES = ("integration", "input")
"""Axes that a model without time constants and a chip's integers do not have."""
OTHER_AXES = ("refractory", "v_floor", "reset_every")

FORMATS = ("loihi", "lava-unchecked", "truenorth")
NO_CURRENT_DU = 4095
"""The current's decay that leaves no memory."""
HIGHEST_VTH = 131071

WEIGHT_BITS = (1, 8)
SIGNS = ("mixed", "excitatory", "inhibitory")

LEARN_KEYS = ("rule", "modulator", "epoch", "seed", "across_samples")
"""What every learning rule may state beside its own parameters."""
BOUND_KEYS = ("w_min", "w_max")

LATER_KEYS = ("groups",)
"""Keys that the language will have; a file that uses one is refused with a code of its own."""

UNITS = {"s": 0, "ms": -3, "us": -6, "µs": -6, "ns": -9}
"""Unit of time -> power of ten in seconds."""


def native_defaults(model: NeuronModel) -> dict[str, int | None]:
    """Return the integer parameters of a model's dynamics; None marks those that have no default."""
    if model.dynamics == "truenorth":
        # What numbers its random draws follows from the network.
        names = (name for name in DYNAMICS["truenorth"] if name != "key")
        return {name: None if name in ("alpha", "beta") else 0 for name in names} if model.name in NATIVE_FORMATS else {}
    defaults: dict[str, int | None] = {
        "du": None if model.has_current else NO_CURRENT_DU,
        "dv": None if "tau_mem" in model.parameters else 0,
        "vth": None if model.fires else HIGHEST_VTH,
        "vth_low": None,
        **dict.fromkeys(("bias_mant", "bias_exp", "u_init", "v_init"), 0),
    }
    return {name: defaults[name] for name in DYNAMICS[model.dynamics]}


def options_of(kind: PatternType) -> tuple[str, ...]:
    """Return the keys that a pattern may have in a network file."""
    return (*kind.array_names, *kind.options, "weights")


def axes_of(model: NeuronModel) -> tuple[str, ...]:
    """Return the worded axes on which a model in real numbers leaves a choice."""
    has_time = any(parameter.unit == "s" for parameter in model.parameters.values())
    free = (axis for axis in WORD_AXES if len(model.axes.get(axis, WORD_AXES[axis])) > 1)
    return tuple(axis for axis in free if (has_time if axis in MEMBRANE_AXES else model.fires))
