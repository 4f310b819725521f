"""Lava's stock process models, recorded and started afresh with each sample, and own rules for what they cannot do.

The classes above `_OwnRules` do something before or after the stock ``run_spk`` and nothing in between: a population runs on
Lava's stock models. The classes below it change what a neuron does: such a population is printed as ``witness: own``. Even
there u and v before the comparison are computed by Lava.

Recording inside the model is what makes Lava fast enough to be a witness: ``Var.get`` sends one element at a time, and a probe
costs a process and a message per register and step.

``lava_shim.install`` must have run before this module is imported.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from lava.magma.core.model.py.type import LavaPyType
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc, PyLearningDenseModelBitApproximate
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc, PyTernLifModelFixed
from lava.proc.sparse.models import PyDelaySparseModelBitAcc, PySparseModelBitAcc


@dataclass(frozen=True)
class Course:
    """What happens to a population from outside, and where its registers go.

    Tick k of sample n's part of the files is Lava's step ``offset + n * ticks + k + 1``, and chip tick ``offset + k`` of the
    sample. Steps outside these parts are not kept.
    """

    spikes: str
    """``.npy`` file of shape (samples, ticks, n), as those of u and v."""
    u: str
    v: str
    samples: int
    ticks: int
    offset: int
    restarts: bool = False
    """u and v take their initial values at tick ``start`` of each part (LIFReset does it by itself)."""
    start: int = 0
    """Before this tick of each part the model does not run: u = v = 0, no spike is sent, what arrives is dropped."""
    reset_interval: int | None = None
    """u and v are cleared before the update of chip tick ``reset_offset`` and every interval on; LIFReset by itself again."""
    reset_offset: int = 0
    bias: Any = None
    """The bias of each neuron beside its ``current``, int32."""
    current: str | None = None
    """``.npy`` file (samples, user ticks, n) of what is added to the bias from chip tick ``current_offset`` on."""
    current_offset: int = 0


class _Neurons:
    """Write to a stock model what the host writes, let it run its step, record the step."""

    proc_params: Any
    time_step: int
    u: Any
    v: Any
    bias_mant: Any
    a_in: Any
    s_out: Any
    _fired: Any
    _files: tuple[Any, Any, Any] | None = None
    _current: Any = None

    def run_spk(self) -> None:
        """Run the stock step, from the start on, between what comes before and after it in this tick."""
        course: Course = self.proc_params["course"]
        sample, tick = divmod(self.time_step - 1 - course.offset, course.ticks)
        inside = 0 <= sample < course.samples
        if inside and tick < course.start:
            self._start(0, 0)
            self.a_in.recv()
            self._fired = np.zeros_like(self.v)
            self.s_out.send(self._fired)
            self._record(course, sample, tick)
            return
        if inside and tick == course.start and course.restarts:
            self._start(self.proc_params["u"], self.proc_params["v"])
        if inside and course.reset_interval is not None:
            since = tick + course.offset - course.reset_offset
            if since >= 0 and since % course.reset_interval == 0:
                self._start(0, 0)
        if course.current is not None:
            self.bias_mant[:] = course.bias
            if self._current is None:
                self._current = np.load(course.current, mmap_mode="r")
            since = tick + course.offset - course.current_offset
            if inside and 0 <= since < self._current.shape[1]:
                self.bias_mant[:] += self._current[sample, since]
        super().run_spk()  # type: ignore[misc]
        if inside:
            self._record(course, sample, tick)

    def reset_voltage(self, spike_vector: Any) -> None:
        """Keep the spikes, which not every stock model does, and let the stock model reset its neurons."""
        self._fired = spike_vector
        super().reset_voltage(spike_vector=spike_vector)  # type: ignore[misc]

    def _start(self, u: Any, v: Any) -> None:
        self.u[:] = u
        self.v[:] = v

    def _record(self, course: Course, sample: int, tick: int) -> None:
        if self._files is None:
            self._files = (
                np.load(course.spikes, mmap_mode="r+"),
                np.load(course.u, mmap_mode="r+"),
                np.load(course.v, mmap_mode="r+"),
            )
        spikes, u, v = self._files
        spikes[sample, tick] = self._fired
        u[sample, tick] = self.u
        v[sample, tick] = self.v


class Lif(_Neurons, PyLifModelBitAcc):
    """LIF."""


class LifReset(_Neurons, PyLifResetModelBitAcc):
    """LIFReset."""


class TernaryLif(_Neurons, PyTernLifModelFixed):
    """TernaryLIF."""


class DrivenLif(_Neurons, PyLifModelBitAcc):
    """LIF whose bias mantissa has 32 bits, for the currents that the host adds to it; its exponent is 0."""

    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)


class DrivenTernaryLif(_Neurons, PyTernLifModelFixed):
    """TernaryLIF, likewise."""

    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)


class _Emptied:
    """Drop what is under way in a connection at the first step of each sample, before the stock model runs it."""

    proc_params: Any
    time_step: int
    buffer = "a_buff"

    def run_spk(self) -> None:
        """Empty the buffer if a sample begins here, then run the stock step."""
        if (self.time_step - 1) % self.proc_params["sample_steps"] == 0:
            setattr(self, self.buffer, np.zeros_like(getattr(self, self.buffer)))
        super().run_spk()  # type: ignore[misc]


class EmptiedDense(_Emptied, PyDenseModelBitAcc):
    """Dense that begins each sample with nothing under way."""


class EmptiedSparse(_Emptied, PySparseModelBitAcc):
    """Sparse that begins each sample with nothing under way."""


class EmptiedDelayDense(_Emptied, PyDelayDenseModelBitAcc):
    """DelayDense that begins each sample with nothing under way."""


class EmptiedDelaySparse(_Emptied, PyDelaySparseModelBitAcc):
    """DelaySparse that begins each sample with nothing under way."""


class EmptiedConv(_Emptied, PyConvModelFixed):
    """Conv that begins each sample with nothing under way."""

    buffer = "a_buf"


@dataclass(frozen=True)
class Lesson:
    """When a connection learns, and where its weights go.

    Step k of a sample is its chip tick ``first + k``; outside of the steps nothing is learned and no random number drawn.
    """

    weights: str
    """``.npy`` file of shape (samples, n_target, n_source): after each sample."""
    samples: int
    ticks: int
    """Of a sample's part of Lava's steps."""
    first: int
    steps: int
    across_samples: bool


class LearningDense(PyLearningDenseModelBitApproximate):
    """LearningDense that learns in a part of each sample, begins each with traces and tags of 0, and keeps its weights.

    Lava computes every trace, tag and weight, and draws the random numbers; here only whether a step is one of learning.
    """

    proc_params: Any
    time_step: int
    a_buff: Any
    _learning_rule: Any

    def _sample_and_step(self) -> tuple[int, int]:
        lesson: Lesson = self.proc_params["lesson"]
        sample, tick = divmod(self.time_step - 1, lesson.ticks)
        step = tick - lesson.first
        return sample, step if 0 <= step < lesson.steps else -1

    def run_spk(self) -> None:
        """Begin a sample where one begins, then run the stock step."""
        lesson: Lesson = self.proc_params["lesson"]
        if (self.time_step - 1) % lesson.ticks == 0:
            self.a_buff = np.zeros_like(self.a_buff)
            for name in ("x1", "x2", "y1", "y2", "y3", "tx", "ty", "tag_1"):
                setattr(self, name, np.zeros_like(getattr(self, name)))
            if not lesson.across_samples:
                self.weights, self.weights_set = self.proc_params["first_weights"].copy(), False
                self._init_randoms()
        super().run_spk()
        sample, _ = self._sample_and_step()
        if sample < lesson.samples and (self.time_step - 1) % lesson.ticks == 0:
            self._keep(sample)

    def recv_traces(self, s_in: Any) -> None:
        """Take the spikes of both sides; those outside of the steps of learning are dropped."""
        if self._sample_and_step()[1] < 0:
            self.s_in_bap.recv()
        else:
            super().recv_traces(s_in)

    def _within_epoch_time_step(self) -> int:
        return int(self._sample_and_step()[1] % self._learning_rule.t_epoch + 1)

    def lrn_guard(self) -> bool:
        """Return whether an epoch ends in this step."""
        step = self._sample_and_step()[1]
        return bool(step >= 0 and (step + 1) % self._learning_rule.t_epoch == 0)

    def run_lrn(self) -> None:
        """Let Lava move weights and tags, by the sample's own clock, and keep the weights."""
        sample, step = self._sample_and_step()
        now, self.time_step = self.time_step, step + 1
        super().run_lrn()
        self.time_step = now
        self._keep(sample)

    def _keep(self, sample: int) -> None:
        np.load(self.proc_params["lesson"].weights, mmap_mode="r+")[sample] = self.weights


class _OwnRules:
    """A refractory period, and a reset that subtracts the threshold or does nothing, around Lava's update of u and v.

    Lava has a refractory period in floating point only and resets to zero only.
    """

    proc_params: Any
    u: Any
    v: Any
    _waiting: Any
    """Ticks for which each neuron is still refractory."""
    _held: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)  # type: ignore[call-arg]
        self._waiting = np.zeros(proc_params["shape"], np.int32)

    def _start(self, u: Any, v: Any) -> None:
        super()._start(u, v)  # type: ignore[misc]
        self._waiting[:] = 0

    def subthr_dynamics(self, activation_in: Any) -> None:
        """Let Lava update u and v, and take back v where a neuron is refractory."""
        self._held = self._waiting > 0
        kept = self.v[self._held]
        super().subthr_dynamics(activation_in=activation_in)  # type: ignore[misc]
        self.v[self._held] = kept

    def spiking_activation(self) -> Any:
        """Return the spikes that Lava's comparison gives, without those of refractory neurons."""
        return super().spiking_activation() * ~self._held  # type: ignore[misc]

    def reset_voltage(self, spike_vector: Any) -> None:
        """Reset the neurons that spiked by the population's rule, and begin their refractory period."""
        self._fired = spike_vector
        rule = self.proc_params["reset"]
        if rule == "zero":
            self.v[spike_vector != 0] = 0
        elif rule == "subtract":
            self.v[:] -= self._taken_off(spike_vector)
        self._waiting[:] = np.where(spike_vector != 0, self.proc_params["refractory"], np.maximum(self._waiting - 1, 0))

    @abstractmethod
    def _taken_off(self, spike_vector: Any) -> Any:
        """Return what a reset by subtraction takes off v: the threshold is the stock model's own, so each subclass says it."""


class OwnLif(_OwnRules, DrivenLif):
    """LIF with our rules."""

    effective_vth: Any

    def _taken_off(self, spike_vector: Any) -> Any:
        return np.where(spike_vector, self.effective_vth, 0)


class OwnTernaryLif(_OwnRules, DrivenTernaryLif):
    """TernaryLIF with our rules."""

    effective_vth_hi: Any
    effective_vth_lo: Any

    def _taken_off(self, spike_vector: Any) -> Any:
        return np.where(spike_vector > 0, self.effective_vth_hi, np.where(spike_vector < 0, self.effective_vth_lo, 0))
