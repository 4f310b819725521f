"""The neuron models: those of chips' compartments and crossbars, whose integer updates the engines have, and all programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from neurocomp.errors import Diagnostic, NetworkError
from neurocomp.models import programmed
from neurocomp.models.neuron import Array, FloatArray, NeuronModel, Parameter, Semantics, State
from neurocomp.models.programs import ProgrammedModel
from neurocomp.models.registration import Table

__all__ = [
    "NATIVE_FORMATS",
    "NEURON_MODELS",
    "Array",
    "FloatArray",
    "IntegrateAndFire",
    "NeuronModel",
    "Parameter",
    "ProgrammedModel",
    "Semantics",
    "State",
    "decay_factor",
    "program_of",
    "register_model",
]


def decay_factor(tau: Array, semantics: Semantics, dt: float) -> Array:
    """Return the factor by which a state with time constant ``tau`` (s, may be inf) shrinks in one tick ``dt`` (s)."""
    with np.errstate(divide="ignore"):
        rate = np.where(np.isinf(tau), 0.0, dt / tau)
    return np.asarray(np.exp(-rate) if semantics.integration == "exact" else 1.0 - rate)


@dataclass(frozen=True, slots=True)
class IntegrateAndFire:
    """The family v' = decay_v v + (decay_u u + gain x), with the parameters that each member has.

    ``if``: no decay. ``lif``: v decays. ``cuba_lif``: the input first enters a current u that decays. ``li``, ``cuba_li``: the
    same without threshold, for readouts. ``ternary_lif``: a ``cuba_lif`` that also sends -1 below a second threshold (Lava's
    TernaryLIF).
    """

    name: str
    doc: str
    leaky: bool
    has_current: bool
    fires: bool
    signed: bool = False
    parameters: Mapping[str, Parameter] = field(init=False)
    axes: Mapping[str, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", {"compare": (">",), "spikes_per_tick": ("one",)} if self.signed else {})
        parameters: dict[str, Parameter] = {}
        if self.leaky:
            parameters["tau_mem"] = Parameter("s", "membrane time constant", positive=True)
            parameters["r"] = Parameter("1", "membrane resistance; used where input is 'current'", default=1.0)
        if self.has_current:
            parameters["tau_syn"] = Parameter("s", "synaptic time constant", positive=True)
        if self.fires:
            parameters["v_threshold"] = Parameter("1", "threshold of the potential", default=1.0, positive=self.signed)
        if self.signed:
            doc = "threshold below which -1 is sent"
            parameters["v_threshold_low"] = Parameter("1", doc, default=-1.0, negative=True)
        parameters["v_init"] = Parameter("1", "potential at the start of a sample", default=0.0)
        if self.has_current:
            parameters["u_init"] = Parameter("1", "current at the start of a sample", default=0.0)
        object.__setattr__(self, "parameters", parameters)

    @property
    def dynamics(self) -> str:
        """See `NeuronModel.dynamics`."""
        return "ternary" if self.signed else "compartment"

    @property
    def threshold(self) -> str | None:
        """See `NeuronModel.threshold`."""
        return "v_threshold" if self.fires else None

    @property
    def recorded(self) -> Mapping[str, str]:
        """See `NeuronModel.recorded`."""
        return {"v": "v", "u": "u"} if self.has_current else {"v": "v"}

    @property
    def largest_spike(self) -> int:
        """See `NeuronModel.largest_spike`."""
        return 1

    @property
    def draws(self) -> bool:
        """See `NeuronModel.draws`."""
        return False

    def decays(self, parameters: Mapping[str, Array], semantics: Semantics, dt: float) -> tuple[Array, Array]:
        """See `NeuronModel.decays`."""
        current = decay_factor(parameters["tau_syn"], semantics, dt) if self.has_current else np.float64(0.0)
        potential = decay_factor(parameters["tau_mem"], semantics, dt) if self.leaky else np.float64(1.0)
        return np.asarray(current), np.asarray(potential)

    def input_gain(self, parameters: Mapping[str, Array], semantics: Semantics, dt: float) -> Array:
        """See `NeuronModel.input_gain`; with ``input: current`` it is (1 - decay_v) r."""
        if semantics.input == "delta" or not self.leaky:
            return np.asarray(1.0)
        return np.asarray((1.0 - self.decays(parameters, semantics, dt)[1]) * parameters["r"])

    def start(self, parameters: Mapping[str, Array], shape: tuple[int, ...]) -> State:
        """See `NeuronModel.start`."""
        state = {
            "v": np.broadcast_to(np.asarray(parameters["v_init"], np.float64), shape).copy(),
            "pending": np.zeros(shape),
            "refractory": np.zeros(shape),
        }
        if self.has_current:
            state["u"] = np.broadcast_to(np.asarray(parameters["u_init"], np.float64), shape).copy()
        return state

    def step(
        self, state: State, x: FloatArray, parameters: Mapping[str, Array], semantics: Semantics, dt: float, tick: int
    ) -> FloatArray:
        """See `NeuronModel.step`."""
        decay_u, decay_v = self.decays(parameters, semantics, dt)
        if semantics.reset_interval is not None and tick % semantics.reset_interval == semantics.reset_offset:
            for values in state.values():
                values[:] = 0.0
        x = x * self.input_gain(parameters, semantics, dt)
        if self.has_current:
            state["u"] *= decay_u
            state["u"] += x
            x = state["u"]
        return self.membrane(state, x, decay_v, parameters, semantics)

    def membrane(
        self, state: State, x: FloatArray, decay_v: Array, parameters: Mapping[str, Array], semantics: Semantics
    ) -> FloatArray:
        """Add ``x`` to the potential, compare, reset; return the spikes. ``parameters`` are the thresholds."""
        v = state["v"]
        if not self.fires:
            v[:] = decay_v * v + x
            if semantics.v_floor is not None:
                np.maximum(v, semantics.v_floor, out=v)
            return np.zeros_like(x)
        if semantics.reset_when == "next_tick":
            self._reset(v, state["pending"], parameters, semantics)
        tested = v.copy() if semantics.threshold_on == "old" else v
        if semantics.refractory:
            awake = state["refractory"] == 0
            v[:] = np.where(awake, decay_v * v + x, v)
        else:
            v *= decay_v
            v += x
        if semantics.reset_when == "next_update":
            self._reset(v, state["pending"], parameters, semantics)
        spikes = self._spikes(tested, parameters, semantics)
        if semantics.refractory:
            spikes *= awake
            state["refractory"][:] = np.where(spikes != 0, semantics.refractory, np.maximum(state["refractory"] - 1, 0))
        if semantics.reset_when == "same_tick":
            self._reset(v, spikes, parameters, semantics)
        else:
            state["pending"][:] = spikes
        if semantics.v_floor is not None:
            np.maximum(v, semantics.v_floor, out=v)
        return spikes

    def _spikes(self, v: FloatArray, parameters: Mapping[str, Array], semantics: Semantics) -> FloatArray:
        """Return the spikes of neurons that are not refractory at the potential v."""
        threshold = parameters["v_threshold"]
        above = v > threshold if semantics.compare == ">" else v >= threshold
        spikes: FloatArray = above.astype(np.float64)
        if self.signed:
            spikes -= v < parameters["v_threshold_low"]
        if semantics.spikes_per_tick == "many":
            spikes *= np.maximum(1.0, np.floor(v / threshold))
        return spikes

    def _reset(self, v: FloatArray, spikes: FloatArray, parameters: Mapping[str, Array], semantics: Semantics) -> None:
        """Reset v, in place, where there are spikes."""
        match semantics.reset:
            case "zero":
                v[spikes != 0] = 0.0
            case "value":
                v[spikes != 0] = semantics.reset_value
            case "subtract" if self.signed:
                v -= np.abs(spikes) * np.where(spikes > 0, parameters["v_threshold"], parameters["v_threshold_low"])
            case "subtract":
                v -= spikes * parameters["v_threshold"]
            case "none":
                return


_ONE_WAY: Mapping[str, tuple[str, ...]] = {
    "threshold_on": ("new",),
    "compare": (">=",),
    "spikes_per_tick": ("one",),
    "reset": ("zero",),
    "reset_when": ("same_tick",),
}
"""The axes of models that leave no choice."""


@dataclass(frozen=True, slots=True)
class LinearLeak(IntegrateAndFire):
    """``linear_lif``: after its input, v moves by ``leak`` toward 0, and beyond it where v is smaller than that."""

    @property
    def dynamics(self) -> str:
        """See `NeuronModel.dynamics`."""
        return "truenorth"

    def __post_init__(self) -> None:
        IntegrateAndFire.__post_init__(self)
        leak = {"leak": Parameter("1", "what v loses of its size in every tick", positive=True)}
        object.__setattr__(self, "parameters", leak | dict(self.parameters))

    def membrane(
        self, state: State, x: FloatArray, decay_v: Array, parameters: Mapping[str, Array], semantics: Semantics
    ) -> FloatArray:
        """See `IntegrateAndFire.membrane`."""
        v = state["v"]
        v += x
        v -= np.sign(v) * parameters["leak"]
        return IntegrateAndFire.membrane(self, state, np.zeros_like(x), np.asarray(1.0), parameters, semantics)


@dataclass(frozen=True, slots=True)
class _Crossbar:
    """What the models of crossbars have in common: v alone, whole spikes, and no choice of axes."""

    name: str
    doc: str
    memory: float
    """The factor per tick of the potential."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    has_current: bool = False
    fires: bool = True
    signed: bool = False
    dynamics: str = "truenorth"
    threshold: str | None = None
    recorded: Mapping[str, str] = field(default_factory=lambda: {"v": "v"})
    largest_spike: int = 1
    draws: bool = False
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _ONE_WAY)

    def decays(self, parameters: Mapping[str, Array], semantics: Semantics, dt: float) -> tuple[Array, Array]:
        """See `NeuronModel.decays`."""
        return np.asarray(0.0), np.asarray(self.memory)

    def input_gain(self, parameters: Mapping[str, Array], semantics: Semantics, dt: float) -> Array:
        """See `NeuronModel.input_gain`."""
        return np.asarray(1.0)

    def start(self, parameters: Mapping[str, Array], shape: tuple[int, ...]) -> State:
        """See `NeuronModel.start`; V is where v starts, else 0."""
        return {"v": np.broadcast_to(np.asarray(parameters.get("V", 0.0), np.float64), shape).copy()}


@dataclass(frozen=True, slots=True)
class Binary(_Crossbar):
    """``binary``: v is the input of the tick; it spikes where ``v >= v_threshold`` and remembers nothing.

    A file cannot say ``>``; a lowering that makes a neuron binary can.
    """

    def step(
        self, state: State, x: FloatArray, parameters: Mapping[str, Array], semantics: Semantics, dt: float, tick: int
    ) -> FloatArray:
        """See `NeuronModel.step`."""
        limit = parameters["v_threshold"]
        return np.asarray(x > limit if semantics.compare == ">" else x >= limit, np.float64)


@dataclass(frozen=True, slots=True)
class TrueNorth(_Crossbar):
    """``truenorth``: the neuron of Cassidy et al. 2013 in its own integers (`neurocomp.ir.quantized.TRUENORTH`).

    The float step is the same arithmetic without the width of v; neurons that draw random numbers have none.
    """

    def step(
        self, state: State, x: FloatArray, parameters: Mapping[str, Array], semantics: Semantics, dt: float, tick: int
    ) -> FloatArray:
        """See `NeuronModel.step`."""
        p, v = parameters, state["v"] + x
        v = v + np.where(p["epsilon"] == 1, np.sign(v), 1.0) * p["lambda"]
        spikes = v >= p["alpha"]
        below = ~spikes & ((v < -p["beta"]) | ((v == -p["beta"]) & (p["symmetric"] == 1)))
        above = np.where(p["gamma"] == 0, p["R"], np.where(p["gamma"] == 1, v - p["alpha"], v))
        floor = np.where(p["gamma"] == 0, -p["R"], np.where(p["gamma"] == 1, v + p["beta"], v))
        floor = np.where(p["kappa"] == 1, -p["beta"], floor)
        state["v"] = np.where(spikes, above, np.where(below, floor, v))
        return np.asarray(spikes, np.float64)


NEURON_MODELS: Table[NeuronModel] = Table("neuron model")


def register_model(model: NeuronModel) -> None:
    """Add a neuron model to the language; every engine then executes it.

    Raises:
        ValueError: A model of that name is registered already.
    """
    NEURON_MODELS.register(model.name, model)


def program_of(name: str) -> ProgrammedModel:
    """Return the registered model whose program a population of the dynamics ``programmed`` names.

    Raises:
        NetworkError: There is none (NC0208).
    """
    model = NEURON_MODELS[name]
    if not isinstance(model, ProgrammedModel) or model.program is None:
        raise NetworkError(Diagnostic("NC0208", f"the neuron model '{name}' has no integer program"))
    return model


NATIVE_FORMATS: Mapping[str, str] = {"truenorth": "truenorth"}
"""Neuron model that exists in a chip's integers alone -> their format."""
_models: tuple[NeuronModel, ...] = (
    IntegrateAndFire("if", "integrate and fire, no leak", leaky=False, has_current=False, fires=True),
    IntegrateAndFire("lif", "leaky integrate and fire, input adds to the potential", leaky=True, has_current=False, fires=True),
    IntegrateAndFire("cuba_lif", "leaky integrate and fire with an exponential synaptic current", True, True, True),
    IntegrateAndFire("li", "non-spiking leaky integrator, a readout", leaky=True, has_current=False, fires=False),
    IntegrateAndFire("i", "non-spiking integrator without leak, a readout", leaky=False, has_current=False, fires=False),
    IntegrateAndFire("cuba_li", "non-spiking leaky integrator with an exponential synaptic current", True, True, False),
    IntegrateAndFire(
        "ternary_lif", "cuba_lif with two thresholds that sends 1 above and -1 below", True, True, True, signed=True
    ),
    LinearLeak("linear_lif", "integrate and fire with a linear leak toward 0", leaky=False, has_current=False, fires=True),
    Binary(
        "binary",
        "memoryless: spikes where the input of the tick reaches the threshold",
        memory=0.0,
        parameters={"v_threshold": Parameter("1", "threshold of the input of a tick", default=1.0)},
    ),
    TrueNorth("truenorth", "the TrueNorth neuron with its own integer parameters", memory=1.0),
)
for _model in (*_models, *programmed.MODELS):
    register_model(_model)
