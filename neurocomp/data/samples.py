"""Samples and labels as a network declares them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.data.arrays import load_array
from neurocomp.data.events import load_events
from neurocomp.errors import Diagnostic, Location, NetworkError
from neurocomp.ir.network import Samples

Array = NDArray[Any]

_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of an array, ``FILE.npz#key`` or ``FILE.npy``, or of events, and where it stands."""

    text: str
    location: Location | None = None
    others: tuple[str, ...] = ()
    """Further files of events, whose samples follow."""


def load_samples(
    inputs: Mapping[str, Reference],
    labels: Reference | None,
    *,
    shapes: Mapping[str, tuple[int, ...]],
    timed: Collection[str],
    folder: Path,
    events: Collection[str] = (),
) -> Samples:
    """Open samples and check that they belong to the input populations.

    Args:
        inputs: Input population -> its data, (samples, *shape), or (samples, ticks, *shape) for the ``timed``; any other
            shape with as many values per sample (and tick) is taken in C order.
        labels: The right answers, integers (samples,).
        shapes: Every input population -> shape of the data per sample (and tick); of events, (4,).
        timed: The populations whose encoder takes data that carry ticks.
        folder: The references are relative to it.
        events: The populations whose encoder takes events; their data are (samples, events, 4), see `load_events`.

    Raises:
        NetworkError: With all problems: unreadable arrays (see `load_array`), shapes, numbers of samples or populations
            that do not belong together (NC0210), elements of a wrong type (NC0207), NaN (NC0204).
    """
    problems: list[Diagnostic] = []
    arrays: dict[str, Array] = {}

    def read(reference: Reference) -> Array | None:
        try:
            return load_array(reference.text, folder, reference.location)
        except NetworkError as error:
            problems.extend(error.diagnostics)
            return None

    def bad(code: str, message: str, reference: Reference, hint: str | None = None) -> None:
        problems.append(Diagnostic(code, message, reference.location, hint=hint))

    for name, reference in inputs.items():
        if name in events:
            try:
                array = load_events((reference.text, *reference.others), folder, reference.location)
            except NetworkError as error:
                problems.extend(error.diagnostics)
                continue
        elif reference.others:
            message = f"data of '{name}' are several files, which only events of a camera may be"
            bad("NC0104", message, reference, "write one 'FILE.npz#key', or 'scheme: events'")
            continue
        else:
            found = read(reference)
            if found is None:
                continue
            array = found
        axes = 2 if name in timed or name in events else 1
        size = math.prod(shapes[name])
        lead, rest = array.shape[:axes], array.shape[axes:]
        if len(lead) < axes or math.prod(rest) != size:
            wanted = ", ".join(["samples", "ticks"][:axes] + [str(extent) for extent in shapes[name]])
            bad("NC0210", f"data of '{name}' have the shape {array.shape}; ({wanted}) is needed", reference)
        elif not lead[0]:
            bad("NC0210", f"data of '{name}' hold no sample", reference)
        elif (place := _first_not_finite(array)) is not None:
            index = ", ".join(map(str, place))
            bad("NC0204", f"data of '{name}': [{index}] is {array[place]}", reference)
        else:
            arrays[name] = array.reshape(*lead, *shapes[name])
    if missing := [name for name in shapes if name not in inputs]:
        names = ", ".join(f"'{name}'" for name in missing)
        where = next(iter(inputs.values()), Reference(""))
        bad("NC0210", f"there are no data for the input population {names}", where)
    answers = read(labels) if labels is not None else None
    if labels is not None and answers is not None:
        if answers.dtype.kind not in "iu":
            bad("NC0207", f"labels have the dtype {answers.dtype}; integers are needed", labels)
        elif answers.ndim != 1:
            bad("NC0210", f"labels have the shape {answers.shape}; one per sample is needed", labels)
    counts = {f"'{name}'": len(array) for name, array in arrays.items()}
    if answers is not None and answers.ndim == 1:
        counts["labels"] = len(answers)
    if len(set(counts.values())) > 1:
        parts = ", ".join(f"{name} {count}" for name, count in counts.items())
        bad("NC0210", f"numbers of samples differ: {parts}", labels or next(iter(inputs.values())))
    if problems:
        raise NetworkError(problems)
    for array in arrays.values():
        array.flags.writeable = False
    return Samples(arrays, answers)


def _first_not_finite(array: Array) -> tuple[int, ...] | None:
    """Return the index of the first NaN or infinity, looking at a bounded number of samples at a time."""
    if array.dtype.kind != "f":
        return None
    step = max(1, _BLOCK // max(1, array[0].size))
    for start in range(0, len(array), step):
        finite = np.isfinite(array[start : start + step])
        if not finite.all():
            first, *rest = (int(i) for i in np.argwhere(~finite)[0])
            return (start + first, *rest)
    return None
