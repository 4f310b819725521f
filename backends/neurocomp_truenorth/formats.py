"""The bytes of a TrueNorth program: records, packing and unpacking. docs/truenorth-program.md describes them.

Everything is little-endian; bit 0 is the lowest. The chip simulation reads programs through this module alone, so it imports
nothing of the compiler's stages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import ArtifactError, Diagnostic, broken_invariant
from neurocomp.ir.program import CoreTables, Program

Array = NDArray[Any]
ByteArray = NDArray[np.uint8]

PROGRAM_FORMAT = "truenorth-1"
AXONS = NEURONS = 256
TYPES = 4
"""Axon types, and weights per neuron."""
LAST_DELAY = 15
"""A packet of a longer delay finds no place in the scheduler and is dropped."""
OUTPUT_LINES = 1 << 31
V_BITS = 20
THRESHOLD_BITS = 18
LARGEST_WEIGHT = 255
"""Of weights and leaks: a sign and 8 bits."""
LARGEST_MASK = 18
"""Bits of a draw that a threshold can take."""

STOCHASTIC_SYNAPSE = 0b1111
"""Flag bits 0 to 3: inputs of this axon type add -1, 0 or 1."""
STOCHASTIC_LEAK, LEAK_REVERSAL, SATURATES = 1 << 4, 1 << 5, 1 << 6
"""c, epsilon and kappa."""
RESET_SHIFT, RESET_MASK = 7, 3
"""gamma, in bits 7 and 8."""
TO_VALUE, LINEAR, KEEP = 0, 1, 2
"""gamma: a spike sets V to R, takes the threshold off, does nothing."""
SYMMETRIC, USED = 1 << 9, 1 << 10
"""The negative threshold acts on V <= -beta, not V < -beta; the neuron exists."""
ALL_FLAGS = (1 << 11) - 1

NOWHERE, CORE, OUTPUT = 0, 1, 2
"""Targets."""

PLACE = np.dtype([("x", "<i4"), ("y", "<i4")])
NEURON = np.dtype(
    [
        ("s", "<i2", (TYPES,)),
        ("alpha", "<i4"),
        ("beta", "<i4"),
        ("R", "<i4"),
        ("V", "<i4"),
        ("lambda", "<i2"),
        ("flags", "<u2"),
        ("TM", "u1"),
        ("target", "u1"),
        ("dx", "<i2"),
        ("dy", "<i2"),
        ("delay", "u1"),
        ("pad", "u1"),
        ("axon", "<u4"),
    ]
)
KEY = np.dtype([("seed", "<u4"), ("key", "<u4"), ("lag", "<u4")])
SLOT = np.dtype("<u4")

SIZES = {
    "place": PLACE.itemsize,
    "axon_types": AXONS // 4,
    "crossbar": AXONS * NEURONS // 8,
    "neurons": NEURONS * NEURON.itemsize,
    "keys": NEURONS * KEY.itemsize,
    "slots": AXONS * SLOT.itemsize,
}
"""Table -> its bytes, in the order of `CoreTables.tables`; the last two are there only where neurons draw random numbers."""
RANDOM_TABLES = ("keys", "slots")

RANGES = {
    "s": (-LARGEST_WEIGHT, LARGEST_WEIGHT),
    "lambda": (-LARGEST_WEIGHT, LARGEST_WEIGHT),
    "alpha": (0, (1 << THRESHOLD_BITS) - 1),
    "beta": (0, (1 << THRESHOLD_BITS) - 1),
    "R": (-(1 << (V_BITS - 1)), (1 << (V_BITS - 1)) - 1),
    "V": (-(1 << (V_BITS - 1)), (1 << (V_BITS - 1)) - 1),
    "TM": (0, LARGEST_MASK),
    "flags": (0, ALL_FLAGS),
    "target": (NOWHERE, OUTPUT),
    "pad": (0, 0),
}
"""What the fields of a neuron can hold."""


@dataclass(frozen=True, slots=True, eq=False)
class CoreImage:
    """One core as arrays."""

    x: int
    y: int
    """Global coordinates, what relative targets count in."""
    types: Array
    """(256,): type of each axon, 0 to 3."""
    bits: NDArray[np.bool_]
    """(256, 256): whether axon a reaches neuron n."""
    neurons: Array
    """(256,) records `NEURON`; those that do not exist are all zero."""
    keys: Array | None = None
    """(256,) records `KEY`, what random numbers depend on; None: no neuron draws any."""
    slots: Array | None = None
    """(256,) uint32: what tells the draws of a neuron's axons apart; None: no neuron draws any."""

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which neurons exist, (256,)."""
        return np.asarray((self.neurons["flags"] & USED) != 0)


def no_neurons() -> Array:
    """Return the records of a core without neurons, (256,), to be filled in."""
    return np.zeros(NEURONS, NEURON)


def is_stochastic(neurons: Array) -> NDArray[np.bool_]:
    """Return which neurons draw random numbers."""
    return np.asarray(((neurons["flags"] & (STOCHASTIC_SYNAPSE | STOCHASTIC_LEAK)) != 0) | (neurons["TM"] > 0))


def pack(image: CoreImage) -> dict[str, ByteArray]:
    """Return the tables of a core, read-only.

    Raises:
        InternalError: The core says what `unpack` refuses.
    """
    types = np.asarray(image.types).astype(np.uint8).reshape(AXONS // 4, 4)
    tables = {
        "place": to_bytes(np.array([(image.x, image.y)], PLACE)),
        "axon_types": to_bytes(np.bitwise_or.reduce(types << np.array([0, 2, 4, 6], np.uint8), axis=1)),
        "crossbar": to_bytes(np.packbits(image.bits, axis=1, bitorder="little")),
        "neurons": to_bytes(image.neurons.astype(NEURON)),
    }
    if image.keys is not None and image.slots is not None:
        tables["keys"], tables["slots"] = to_bytes(image.keys.astype(KEY)), to_bytes(image.slots.astype(SLOT))
    problem = _size_problem(tables) or _problem(image)
    if problem is not None or (image.keys is None) != (image.slots is None):
        raise broken_invariant("emit", problem or "keys and slots come together")
    return tables


def unpack(core: CoreTables) -> CoreImage:
    """Return what `pack` wrote.

    Raises:
        ArtifactError: The bytes contradict each other or have no meaning (NC0602).
    """
    problem = _size_problem(core.tables)
    if problem is not None:
        raise damaged(core, problem)
    x, y = np.frombuffer(core.tables["place"].tobytes(), PLACE)[0].tolist()
    types = (core.tables["axon_types"][:, None] >> np.array([0, 2, 4, 6], np.uint8)) & 3
    bits = np.unpackbits(core.tables["crossbar"].reshape(AXONS, NEURONS // 8), axis=1, bitorder="little").astype(np.bool_)
    keys = slots = None
    if "keys" in core.tables:
        keys = np.frombuffer(core.tables["keys"].tobytes(), KEY)
        slots = np.frombuffer(core.tables["slots"].tobytes(), SLOT)
    neurons = np.frombuffer(core.tables["neurons"].tobytes(), NEURON)
    image = CoreImage(x, y, types.reshape(AXONS), bits, neurons, keys, slots)
    problem = _problem(image)
    if problem is not None:
        raise damaged(core, problem)
    return image


def to_bytes(records: Array) -> ByteArray:
    """Return a table of records as read-only bytes."""
    table = np.frombuffer(np.ascontiguousarray(records).tobytes(), np.uint8)
    table.flags.writeable = False
    return table


def damaged(core: CoreTables, what: str) -> ArtifactError:
    """Return the error for bytes of a core that are no program."""
    return damaged_program(f"core {core.core} of chip {core.chip}: {what}")


def damaged_program(what: str) -> ArtifactError:
    """Return the error for a program that contradicts itself."""
    return ArtifactError(Diagnostic("NC0602", what, hint="compile the network again"))


def check_format(program: Program) -> None:
    """Refuse programs of another layout.

    Raises:
        ArtifactError: The program's format is not ours (NC0603).
    """
    if program.format != PROGRAM_FORMAT:
        message = f"the program's format is '{program.format}'; '{PROGRAM_FORMAT}' is needed"
        raise ArtifactError(Diagnostic("NC0603", message, hint="compile the network again"))


def _size_problem(tables: Any) -> str | None:
    for name, size in SIZES.items():
        if name in tables and tables[name].nbytes != size:
            return f"the table '{name}' has {tables[name].nbytes} bytes, not {size}"
        if name not in tables and name not in RANDOM_TABLES:
            return f"the table '{name}' is missing"
    unknown = [name for name in tables if name not in SIZES]
    if unknown:
        return f"there is no table '{unknown[0]}'"
    if ("keys" in tables) != ("slots" in tables):
        return "of the tables 'keys' and 'slots' one is missing"
    return None


def _problem(image: CoreImage) -> str | None:
    """Return what a core says that has no meaning."""
    neurons = image.neurons
    if np.asarray(image.types).min() < 0 or np.asarray(image.types).max() >= TYPES:
        return "an axon has a type that does not exist"
    for name, (low, high) in RANGES.items():
        values = neurons[name].astype(np.int64)
        if values.min() < low or values.max() > high:
            worst = int(values.min() if values.min() < low else values.max())
            return f"the {name} of a neuron is {worst}, not {low} to {high}"
    if (((neurons["flags"] >> RESET_SHIFT) & RESET_MASK) > KEEP).any():
        return "a neuron has a reset that does not exist"
    if (neurons[~image.used] != np.zeros((), NEURON)).any():
        return "a neuron that does not exist has parameters"
    target, axon = neurons["target"], neurons["axon"]
    if ((target == CORE) & (axon >= AXONS)).any():
        return "a neuron sends to an axon that does not exist"
    if ((target == CORE) & (neurons["delay"] == 0)).any():
        return "a neuron sends a packet without delay"
    if ((target == OUTPUT) & (axon >= OUTPUT_LINES)).any():
        return "a neuron sends to an output line that does not exist"
    if image.keys is None and is_stochastic(neurons).any():
        return "a neuron draws random numbers, but the core has no keys"
    return None
