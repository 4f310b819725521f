"""Lava's stock process models, unchanged in their arithmetic, that also record and start samples afresh.

Each class does something before or after the stock ``run_spk`` and nothing in between. Recording inside the model is
what makes Lava fast enough to be a witness: ``Var.get`` sends one element at a time, and a probe costs a process and a
message per register and step.

``lava_shim.install`` must have run before this module is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc
from lava.proc.sparse.models import PyDelaySparseModelBitAcc, PySparseModelBitAcc


@dataclass(frozen=True)
class Recording:
    """Where a population's registers go: three ``.npy`` files of shape (samples, ticks, n), and which steps they hold.

    Tick k of sample n is Lava's step ``offset + n * ticks + k + 1``; steps outside the windows are not kept.
    """

    spikes: str
    u: str
    v: str
    samples: int
    ticks: int
    offset: int


class _Recorder:
    """Write spikes, u and v of every step after the stock model has run it."""

    proc_params: Any
    time_step: int
    u: Any
    v: Any
    _fired: Any
    _files: tuple[Any, Any, Any] | None = None

    def reset_voltage(self, spike_vector: Any) -> None:
        """Keep the spikes, which not every stock model does, and let the stock model reset its neurons."""
        self._fired = spike_vector
        super().reset_voltage(spike_vector=spike_vector)  # type: ignore[misc]

    def _record(self) -> None:
        recording: Recording = self.proc_params["recording"]
        if self._files is None:
            self._files = (
                np.load(recording.spikes, mmap_mode="r+"),
                np.load(recording.u, mmap_mode="r+"),
                np.load(recording.v, mmap_mode="r+"),
            )
        sample, tick = divmod(self.time_step - 1 - recording.offset, recording.ticks)
        if 0 <= sample < recording.samples:
            spikes, u, v = self._files
            spikes[sample, tick] = self._fired
            u[sample, tick] = self.u
            v[sample, tick] = self.v


def _sample_begins(model: Any) -> bool:
    begins: bool = (model.time_step - 1) % model.proc_params["sample_steps"] == 0
    return begins


class RecordingLifReset(_Recorder, PyLifResetModelBitAcc):
    """LIFReset, which zeroes u and v at the start of each sample's window by itself."""

    def run_spk(self) -> None:
        """Run the stock step, then record it."""
        super().run_spk()
        self._record()


class RecordingLif(_Recorder, PyLifModelBitAcc):
    """LIF that goes back to its initial u and v at the first step of each sample."""

    def run_spk(self) -> None:
        """Start the sample afresh if it begins here, run the stock step, record it."""
        if _sample_begins(self):
            self.u[:] = self.proc_params["u"]
            self.v[:] = self.proc_params["v"]
        super().run_spk()
        self._record()


class _Emptied:
    """Drop what is under way in a connection at the first step of each sample, before the stock model runs it."""

    a_buff: Any

    def run_spk(self) -> None:
        """Empty the buffer if a sample begins here, then run the stock step."""
        if _sample_begins(self):
            self.a_buff = np.zeros_like(self.a_buff)
        super().run_spk()  # type: ignore[misc]


class EmptiedDense(_Emptied, PyDenseModelBitAcc):
    """Dense that begins each sample with nothing under way."""


class EmptiedSparse(_Emptied, PySparseModelBitAcc):
    """Sparse that begins each sample with nothing under way."""


class EmptiedDelayDense(_Emptied, PyDelayDenseModelBitAcc):
    """DelayDense that begins each sample with nothing under way."""


class EmptiedDelaySparse(_Emptied, PyDelaySparseModelBitAcc):
    """DelaySparse that begins each sample with nothing under way."""
