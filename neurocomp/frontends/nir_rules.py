"""How a node of NIR behaves in one tick: the rules of frameworks, the length of a tick, neurons in the words of the IR.

NIR holds differential equations. What a framework computes per tick, when it resets and what counts as above the threshold is
in none of its files; docs/nir.md lists the rules with their sources.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, Location, NetworkError, did_you_mean
from neurocomp.frontends.nir_file import Graph, Node
from neurocomp.frontends.reading import Reading
from neurocomp.ir.network import Choice, Neuron, frozen
from neurocomp.models.neurons import Semantics

Array = NDArray[Any]
FloatArray = NDArray[np.float64]

MODELS: Mapping[str, str] = {
    "I": "i",
    "IF": "if",
    "LI": "li",
    "LIF": "lif",
    "CubaLI": "cuba_li",
    "CubaLIF": "cuba_lif",
    "Threshold": "lif",
}
"""Type of a node -> neuron model."""
LEAKY = ("LI", "LIF", "CubaLI", "CubaLIF")
CURRENT_BASED = ("CubaLI", "CubaLIF")
FIRING = ("IF", "LIF", "CubaLIF", "Threshold")
DEFAULTS: Mapping[str, float] = {"r": 1.0, "v_leak": 0.0, "v_reset": 0.0, "w_in": 1.0}
"""What stands for a parameter that an older file leaves out."""
IN_TICKS = 0.1
"""A tick of more units of the file than this: its times are in ticks, not in seconds."""
USUAL_TICK = 1e-3
CLOSE = 1e-5
"""Relative difference up to which numbers of a file are taken for equal: float32 with some arithmetic."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a framework computes in one tick."""

    name: str
    integration: Literal["exact", "euler"] = "euler"
    enters: Literal["equation", "direct", "decayed"] = "equation"
    """How weighted input enters: as the equation integrates it; as it is; as it is and before the current decays."""
    currents: Literal["direct", "decayed", "jump"] | None = None
    """The same of current-based neurons; None: as ``enters`` says. ``jump`` into the current, which the equation integrates."""
    reset: Literal["zero", "subtract", "value", "none"] = "value"
    reset_when: Literal["same_tick", "next_tick", "next_update"] = "same_tick"
    compare: Literal[">", ">="] = ">"
    spikes: Literal["one", "many"] = "one"
    threshold_on: Literal["new", "old"] = "new"
    in_ticks: bool = False
    """Times in its files are in ticks."""
    dt: float | None = None
    """Its default length of a tick, in the unit of its files."""
    latency: int = 0
    """Ticks from one population to the next."""
    floor: float | Literal["threshold"] | None = None
    """The potential is never below this; ``threshold``: that of IF never below minus its threshold."""
    starts: Literal["zero", "v_leak", "v_reset"] = "zero"
    """The potential at the start of a sample."""
    hint: str | None = None
    """What to do about times that are shorter than a tick."""
    missing: tuple[str, ...] = ()
    """Types of nodes whose rule has no words here."""


RULES: Mapping[str, Rule] = {
    "snntorch": Rule("snntorch", dt=1e-4),
    "norse": Rule(
        "norse",
        currents="jump",
        dt=1e-3,
        starts="v_leak",
        hint="norse writes dt times its times: export again with norse.torch.to_nir(..., dt=1), or use neurocomp.from_norse",
    ),
    "sinabs": Rule(
        "sinabs",
        "exact",
        "direct",
        "decayed",
        "subtract",
        compare=">=",
        spikes="many",
        in_ticks=True,
        dt=1.0,
        floor="threshold",
    ),
    "spyx": Rule("spyx", enters="direct", reset="subtract", threshold_on="old", dt=1.0, missing=("CubaLIF",)),
    "rockpool": Rule("rockpool", "exact", "decayed", reset="subtract", compare=">", spikes="many"),
    "spikingjelly": Rule("spikingjelly", compare=">=", dt=1e-4, starts="v_reset"),
    "lava": Rule("lava", dt=1e-4, latency=1),
}
EQUATION = Rule("the equation")
"""Forward Euler of NIR's own equations."""


_METADATA: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "reset": ("reset_mechanism", ("zero", "subtract", "none")),
    "reset_when": ("reset_when", ("same_tick", "next_tick", "next_update")),
    "input": ("input", ("equation", "direct")),
    "integration": ("integration", ("exact", "euler")),
    "compare": ("compare", (">", ">=")),
    "spikes_per_tick": ("spikes_per_tick", ("one", "many")),
    "threshold_on": ("threshold_on", ("new", "old")),
}
"""Axis -> (the key of its word in the metadata, its words)."""
_FIELDS = {"spikes_per_tick": "spikes", "input": "enters"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A rule with what was given in its place, and the length of a tick."""

    rule: Rule
    dt: float
    """Of a tick, in the unit of the file."""
    timestep: float
    """Of a tick, in seconds."""
    origins: Mapping[str, str]
    """Axis -> where its value comes from."""
    choices: tuple[Choice, ...] = ()

    def of(self, node: Node) -> Chosen:
        """Return the choice with what the metadata of a node say, where nothing else was given."""
        rule, origins = self.rule, dict(self.origins)
        for axis, (key, words) in _METADATA.items():
            word = node.metadata.get(key)
            if word in words and origins.get(axis) != "given":
                said: dict[str, Any] = {_FIELDS.get(axis, axis): word}
                rule = replace(rule, **said)
                origins[axis] = "metadata"
        floor = node.metadata.get("v_floor")
        if floor == "none" or (isinstance(floor, (int, float)) and math.isfinite(floor)):
            rule = replace(rule, floor=None if floor == "none" else float(floor))
            origins["v_floor"] = "metadata"
        if rule.spikes == "many" and rule.reset != "subtract":
            rule = replace(rule, spikes="one")
            origins["spikes_per_tick"] = f"reset {rule.reset} leaves nothing for a second spike"
        return replace(self, rule=rule, origins=origins)

    @property
    def unit(self) -> float:
        """Seconds per unit of time in the file."""
        return 1.0 if self.dt == self.timestep else self.timestep / self.dt


def choose(graph: Graph, reading: Reading, neurons: Sequence[Node], name: str) -> Chosen:
    """Return the rule and the length of a tick: given, of the metadata, inferred, of the framework, or the default.

    Raises:
        NetworkError: The framework is not known (NC0208), or nothing says how long a tick is (NC0219).
    """
    where = Location(graph.file)
    rule, origins = EQUATION, dict.fromkeys(("integration", "input", "reset", "compare", "spikes_per_tick"), "default")
    metadata: dict[str, Any] = {}
    for node in neurons:
        metadata = {**node.metadata, **metadata}
    metadata = {**metadata, **graph.metadata}
    written = str(metadata.get("framework", "")).lower().split()
    if reading.trained_in is not None:
        if reading.trained_in not in RULES:
            message = f"no rule is known for networks trained in '{reading.trained_in}'"
            hint = did_you_mean(reading.trained_in, list(RULES))
            raise NetworkError(Diagnostic("NC0208", message, where, hint=hint))
        rule, origin = RULES[reading.trained_in], f"rule of {reading.trained_in}"
        origins = dict.fromkeys(origins, origin)
    elif written and written[0] in RULES:
        rule = RULES[written[0]]
        origins = dict.fromkeys(origins, f"rule of {rule.name}, which the metadata name")
    given = {
        "reset": reading.reset,
        "reset_when": reading.reset_when,
        "compare": reading.compare,
        "integration": reading.integration,
    }
    for axis, value in given.items():
        if value is not None:
            changed: dict[str, Any] = {axis: value}
            rule = replace(rule, **changed)
            origins[axis] = "given"
    return _timed(rule, origins, graph, reading, neurons, metadata, name)


def _timed(
    rule: Rule, origins: Mapping[str, str], graph: Graph, reading: Reading, neurons: Sequence[Node],
    metadata: Mapping[str, Any], name: str,
) -> Chosen:  # fmt: skip
    """Return the choice with the length of a tick."""
    inferred = _inferred(rule, neurons)
    stated = metadata.get("dt")
    known = isinstance(stated, float) and math.isfinite(stated) and stated > 0
    choices: list[Choice] = []
    if rule.in_ticks:
        dt, origin = 1.0, f"rule of {rule.name}: times are in ticks"
    elif reading.dt is not None and not (inferred is not None and inferred[0] >= IN_TICKS) and rule.dt != 1.0:
        dt, origin = reading.dt, "given"
        if inferred is not None and abs(inferred[0] / dt - 1.0) > 1e-3:
            origin = f"given, where {inferred[1]} would be {inferred[0]:g}"
    elif known:
        dt, origin = float(stated or 0.0), "metadata"
    elif inferred is not None:
        dt, origin = inferred[0], f"inferred from {inferred[1]}"
    elif rule.dt is not None:
        dt, origin = rule.dt, f"default of {rule.name}"
    elif not any(node.kind in (*LEAKY, "IF", "I") for node in neurons):
        dt, origin = USUAL_TICK, "default"
    else:
        message = f"nothing says how long a tick is: NIR has no timestep, and {_untold(rule, neurons)}"
        hint = "say it with --dt, such as --dt 0.1ms"
        if reading.trained_in is None:
            hint += ", or name the framework with --trained-in"
        raise NetworkError(Diagnostic("NC0219", message, Location(graph.file), hint=hint))
    timestep = dt
    if dt >= IN_TICKS and origin != "given":
        timestep = USUAL_TICK if reading.dt is None else reading.dt
        said = "default" if reading.dt is None else "given"
        choices.append(Choice(name, "times in the file", f"in units of {1 / dt:g} tick" if dt != 1 else "in ticks", origin))
        origin = f"{said}; the file counts in ticks"
    choices.append(Choice(name, "timestep", f"{timestep:g} s", origin))
    return Chosen(rule, dt, timestep, origins, tuple(choices))


def _inferred(rule: Rule, neurons: Sequence[Node]) -> tuple[float, str] | None:
    """Return the length of a tick that r (and w_in) tell, where all nodes agree, and the formula."""
    found, formula = _told(rule, neurons)
    values = [value for value in found.values() if value is not None]
    if not values or len(values) < len(found):
        return None
    every = np.concatenate(values)
    if not len(every) or float(every.max()) > float(every.min()) * (1.0 + 10 * CLOSE):
        return None
    return _snapped(float(np.median(every))), formula


def _told(rule: Rule, neurons: Sequence[Node]) -> tuple[dict[str, FloatArray | None], str]:
    """Return the lengths of a tick that each node tells by the formula, which is the other part."""
    leaky = [node for node in neurons if node.kind in LEAKY and "r" in node.values]
    if leaky:
        solve, formula = (_of_decay, "r = tau exp(-dt/tau)/dt") if rule.name == "rockpool" else (_of_gain, "r = tau/dt")
        return {node.name: solve(node) for node in leaky}, formula
    integrators = [node for node in neurons if node.kind in ("IF", "I") and "r" in node.values]
    return {node.name: _of_integrator(node) for node in integrators}, "r = 1/dt"


def _untold(rule: Rule, neurons: Sequence[Node]) -> str:
    """Return why r tells no length of a tick."""
    found, formula = _told(rule, neurons)
    for name, values in found.items():
        if values is None:
            return f"r of node '{name}' does not follow {formula}"
    told = [(name, float(value)) for name, values in found.items() for value in (values if values is not None else ())]
    if not told:
        return "its nodes have no r"
    low, high = min(told, key=lambda one: one[1]), max(told, key=lambda one: one[1])
    return f"by {formula} it is {low[1]:.6g} in node '{low[0]}' and {high[1]:.6g} in node '{high[0]}'"


def _positive(*arrays: Array | None) -> list[FloatArray] | None:
    """Return arrays as float64 of one shape if all values are finite and above 0."""
    try:
        read = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in arrays if a is not None))
    except ValueError:
        return None
    flat = [np.asarray(a).reshape(-1) for a in read]
    return flat if all(a.size and np.isfinite(a).all() and (a > 0).all() for a in flat) else None


def _of_gain(node: Node) -> FloatArray | None:
    """Return dt = tau / r per neuron; None where this makes no sense, nothing of neurons that would have no memory."""
    tau = node.values.get("tau_mem" if node.kind in CURRENT_BASED else "tau")
    read = _positive(tau, node.values["r"])
    if read is None:
        return None
    dt = read[0] / read[1]
    if (read[1] <= 1.0 + CLOSE).any():
        return None
    if node.kind in CURRENT_BASED and "w_in" in node.values:
        also = _positive(node.values.get("tau_syn"), node.values["w_in"])
        if also is None or not np.allclose(also[0] / also[1], dt, rtol=10 * CLOSE, atol=0.0):
            return None
    return dt


def _of_decay(node: Node) -> FloatArray | None:
    """Return dt of r = tau exp(-dt/tau) / dt per neuron."""
    tau = node.values.get("tau_mem" if node.kind in CURRENT_BASED else "tau")
    read = _positive(tau, node.values["r"])
    if read is None:
        return None
    x = 1.0 / (1.0 + read[1])
    for _ in range(60):  # Newton's method on log(r x) + x = 0
        x = np.maximum(x - (np.log(read[1] * x) + x) / (1.0 / x + 1.0), x / 4.0)
    return np.asarray(read[0] * x)


def _of_integrator(node: Node) -> FloatArray | None:
    read = _positive(node.values["r"])
    return None if read is None or (read[0] < 1.0 - CLOSE).any() else 1.0 / read[0]


def _snapped(value: float) -> float:
    """Return the number of three digits that a value is close to, else itself."""
    near = float(f"{value:.2e}")
    return near if abs(near / value - 1.0) < CLOSE else value


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A node in the words of the IR."""

    neuron: Neuron
    gain: FloatArray
    """Factor on weights and bias that the neuron itself does not apply; 0-d or (n,)."""
    bias: FloatArray | None
    """Input of every tick, (n,), beside that of the projections; ``gain`` does not apply to it."""
    shift: FloatArray
    """What the potential of the node has more than that of the neuron; 0-d or (n,)."""
    choices: tuple[Choice, ...]


class Unclear(Exception):
    """A node that cannot be mapped: (code, message, hint)."""


def cell_of(node: Node, population: str, size: int, values: Mapping[str, FloatArray], chosen: Chosen) -> Cell:
    """Return the neurons of a node.

    Args:
        node: Its type and name.
        population: Name in the network.
        size: How many neurons it has.
        values: Its parameters, each (size,) or 0-d, in the file's units.
        chosen: The rule.

    Raises:
        Unclear: The rule cannot be kept.
    """
    return _Mapping(node, population, size, values, chosen.of(node)).cell()


class _Mapping:
    """Maps one node."""

    def __init__(self, node: Node, population: str, size: int, values: Mapping[str, FloatArray], chosen: Chosen) -> None:
        self.node, self.kind, self.population, self.size = node, node.kind, population, size
        self.values = {**{key: np.asarray(value) for key, value in DEFAULTS.items()}, **values}
        self.chosen, self.rule = chosen, chosen.rule
        self.choices: list[Choice] = []
        self.outside: FloatArray = np.ones(())

    def cell(self) -> Cell:
        """Return the neurons."""
        rule, kind = self.rule, self.kind
        if kind in rule.missing:
            message = f"{rule.name} takes the threshold off the potential before it decays, a tick late; no axis says that"
            raise Unclear("NC0345", message, "import it by the equation (leave --trained-in out), and expect other spikes")
        potential, current = self.decays()
        gain, delta = self.entry(potential, current)
        shift, bias = np.zeros(()), None
        v_leak = self.values["v_leak"]
        if kind in LEAKY and v_leak.any():
            shift, bias = self.leak(potential, gain, delta)
        parameters: dict[str, Array] = {}
        if kind != "IF" and kind != "I":
            time = (
                np.asarray(self.chosen.timestep) if kind == "Threshold" else self.time("tau_mem" if "Cuba" in kind else "tau")
            )
            parameters["tau_mem"] = time
            plain = kind in ("LI", "LIF") and rule.enters == "equation"
            stated = self.values["r"] if plain else _divided(gain, 1.0 - potential, self.values["r"])
            parameters["r"] = np.asarray(1.0) if delta else stated
        if kind in CURRENT_BASED:
            parameters["tau_syn"] = self.time("tau_syn")
        semantics = self.semantics(delta)
        start = np.zeros(()) if rule.starts == "zero" else self.values[rule.starts]
        if kind in FIRING:
            threshold = self.values["threshold" if kind == "Threshold" else "v_threshold"]
            reset = "zero" if kind == "Threshold" else rule.reset
            level = self.values["v_reset"] if reset == "value" else np.zeros(())
            if reset in ("zero", "value"):
                level = level - shift
                if np.ptp(level) <= 1e-8 * max(1.0, float(np.abs(level).max())):
                    level = np.asarray(level).reshape(-1)[:1]
                else:
                    more = np.asarray(level)
                    shift, level = shift + more, np.zeros(())
                    bias = self.moved(bias, more, potential, gain, delta)
                reset = "value" if float(level.min()) else "zero"
            elif reset == "subtract" and shift.any():
                message = "'subtract' takes the threshold off; with v_leak in a current-based neuron that has no words here"
                raise Unclear("NC0345", message, "use --reset zero, or v_leak 0")
            semantics = replace(semantics, reset=reset, reset_value=float(level.min()))
            parameters["v_threshold"] = threshold - shift
            semantics = self.firing(semantics, parameters["v_threshold"])
        semantics = self.floored(semantics, shift)
        parameters["v_init"] = start - shift
        if kind in CURRENT_BASED:
            parameters["u_init"] = np.zeros(())
        neuron = Neuron(MODELS[kind], {key: _single(value) for key, value in parameters.items()}, semantics)
        outside = self.outside if kind in LEAKY or delta else gain
        return Cell(neuron, outside, bias, np.asarray(shift), tuple(self.choices))

    def time(self, key: str) -> FloatArray:
        """Return a time constant in seconds."""
        return np.asarray(self.values[key] * self.chosen.unit) if self.chosen.unit != 1.0 else self.values[key]

    def decays(self) -> tuple[FloatArray, FloatArray]:
        """Return the factors per tick of the potential and of the current."""
        if self.kind == "Threshold":
            return np.zeros(()), np.zeros(())
        if self.kind not in LEAKY:
            return np.ones(()), np.zeros(())
        factors = [np.zeros(()), np.zeros(())]
        keys = ("tau_mem", "tau_syn") if self.kind in CURRENT_BASED else ("tau",)
        for at, key in enumerate(keys):
            tau = self.values[key]
            if not (tau > 0).all():
                raise Unclear("NC0209", f"{key} is {tau.min():g}; a time constant is above 0", "mend the file")
            if self.rule.integration == "euler" and (tau < self.chosen.dt * (1.0 - CLOSE)).any():
                message = (
                    f"{key} {tau.min():g} is shorter than a tick of {self.chosen.dt:g}, which Euler's method cannot follow"
                )
                raise Unclear("NC0209", message, self.rule.hint or "use --integration exact, or a shorter --dt")
            rate = self.chosen.dt / tau
            # Times that are one tick to the accuracy of float32 are one tick.
            factors[at] = np.exp(-rate) if self.rule.integration == "exact" else np.maximum(1.0 - rate, 0.0)
        return factors[0], factors[1]

    def entry(self, potential: FloatArray, current: FloatArray) -> tuple[FloatArray, bool]:
        """Return the factor on weighted input, and whether it is 1."""
        kind, r = self.kind, self.values["r"]
        origin = self.chosen.origins["input"]
        enters = self.enters
        if enters == "jump":
            gain, origin = np.asarray(r * (1.0 - potential)), f"rule of {self.rule.name}, which writes w_in as 1"
        elif kind == "Threshold" or enters == "direct":
            gain = np.ones(())
        elif enters == "decayed":
            gain = current if kind in CURRENT_BASED else potential if kind == "LI" else np.ones(())
        elif kind not in LEAKY:
            gain, origin = np.asarray(r * self.chosen.dt), "r dt of the equation"
        elif kind in CURRENT_BASED:
            gain, origin = np.asarray(self.values["w_in"] * (1.0 - current) * (r * (1.0 - potential))), "the equation"
        else:
            gain, origin = np.asarray(r * (1.0 - potential)), "the equation"
        close = CLOSE if enters == "equation" else 0.0
        delta = bool((np.abs(gain - 1.0) <= close).all())
        if delta and enters == "equation" and kind in LEAKY:
            origin = "r dt/tau is 1" if kind not in CURRENT_BASED else "r dt/tau_mem and w_in dt/tau_syn are 1"
        if kind != "Threshold":
            low, high = float(gain.min()), float(gain.max())
            word = (
                "as weighted"
                if delta
                else f"times {low:.6g}"
                if high - low <= CLOSE * abs(high)
                else f"times {low:.4g} to {high:.4g}"
            )
            self.choices.append(Choice(self.population, "input", word, origin))
        if enters == "decayed" and not delta:
            self.outside = gain  # on the weights
            return np.ones(()), True
        return (np.ones(()) if delta else gain), delta

    @property
    def enters(self) -> str:
        """How weighted input enters; see `Rule`."""
        if self.kind not in CURRENT_BASED or self.rule.currents is None:
            return self.rule.enters
        if self.rule.currents == "jump" and (self.values["w_in"] != 1.0).any():
            return self.rule.enters
        return self.rule.currents

    def leak(self, potential: FloatArray, gain: FloatArray, delta: bool) -> tuple[FloatArray, FloatArray | None]:
        """Return (shift, bias) that stand for v_leak."""
        v_leak = self.values["v_leak"]
        if self.rule.enters == "direct":
            raise Unclear("NC0345", f"v_leak is {v_leak[v_leak != 0].flat[0]:g}; {self.rule.name} has none", "set v_leak to 0")
        if self.kind in CURRENT_BASED:
            # Seen from where it rests, the potential obeys the same equation without v_leak.
            if self.rule.enters != "equation" and (potential == 1.0).any():
                raise Unclear("NC0345", "v_leak drives a potential that never leaks", "set v_leak to 0")
            shift = v_leak if self.rule.enters == "equation" else v_leak / (1.0 - potential)
            self.choices.append(Choice(self.population, "potential", "counted from v_leak", "v_leak is not 0"))
            return np.asarray(shift), None
        drive = (1.0 - potential) * v_leak if self.rule.enters == "equation" else v_leak
        if not delta and (np.broadcast_to(gain, np.shape(drive)) == 0).any():
            raise Unclear("NC0345", "r is 0 where v_leak is not", "set r to 1 and the weights to 0")
        bias = drive if delta else v_leak / self.values["r"] if self.rule.enters == "equation" else drive / gain
        self.choices.append(Choice(self.population, "v_leak", "a bias", "the equation"))
        return np.zeros(()), np.broadcast_to(np.asarray(bias), (self.size,))

    def moved(
        self, bias: FloatArray | None, shift: FloatArray, potential: FloatArray, gain: FloatArray, delta: bool
    ) -> FloatArray | None:
        """Return the bias with what a potential counted from ``shift`` needs more."""
        self.choices.append(Choice(self.population, "potential", "counted from v_reset", "v_reset differs between neurons"))
        if not (potential != 1.0).any():
            return bias
        if self.kind in CURRENT_BASED:
            raise Unclear("NC0345", "v_reset - v_leak differs between neurons of a current-based node", "use one v_reset")
        drive = (potential - 1.0) * shift
        more = drive if delta else drive / gain
        return np.broadcast_to(more if bias is None else bias + more, (self.size,))

    def semantics(self, delta: bool) -> Semantics:
        """Return the axes of integration and input, which are recorded."""
        origins = self.chosen.origins
        if self.kind in LEAKY:
            self.choices.append(Choice(self.population, "integration", self.rule.integration, origins["integration"]))
        integration = "euler" if self.kind == "Threshold" else self.rule.integration
        leaky = self.kind in LEAKY
        if not leaky and self.kind != "Threshold":
            return Semantics()
        return Semantics(integration, "delta" if delta else "current")

    def firing(self, semantics: Semantics, threshold: FloatArray) -> Semantics:
        """Return the axes with those of the spike, which are recorded."""
        rule, origins, name = self.rule, self.chosen.origins, self.population
        if self.kind == "Threshold":
            compare = rule.compare if origins["compare"] == "given" else ">"
            return replace(semantics, compare=compare)
        value = f"to {semantics.reset_value:g}" if semantics.reset == "value" else semantics.reset
        origin = origins["reset"]
        if origin == "default":
            origin = "v_reset of the file" if "v_reset" in self.node.values else "the file has no v_reset"
        found = replace(semantics, compare=rule.compare, spikes_per_tick=rule.spikes, threshold_on=rule.threshold_on)
        if rule.reset_when != "same_tick" and rule.reset != "none":
            found = replace(found, reset_when=rule.reset_when)
            self.choices.append(Choice(name, "reset_when", rule.reset_when, origins["reset_when"]))
        self.choices.append(Choice(name, "reset", value, origin))
        self.choices.append(Choice(name, "compare", rule.compare, origins["compare"]))
        if rule.spikes == "many" and not (threshold > 0).all():
            raise Unclear("NC0209", "thresholds must be above 0 where a tick can have many spikes", "use --reset zero")
        if rule.spikes != "one" or origins["spikes_per_tick"] != "default":
            self.choices.append(Choice(name, "spikes_per_tick", rule.spikes, origins["spikes_per_tick"]))
        if rule.threshold_on != "new":
            said = "metadata" if origins.get("threshold_on") == "metadata" else f"rule of {rule.name}"
            self.choices.append(Choice(name, "threshold_on", rule.threshold_on, said))
        return found

    def floored(self, semantics: Semantics, shift: FloatArray) -> Semantics:
        """Return the axes with the floor of the potential, which is recorded."""
        floor = self.rule.floor
        if floor is None or (floor == "threshold" and self.kind != "IF"):
            return semantics
        lowest = (-self.values["v_threshold"] if floor == "threshold" else np.asarray(floor)) - shift
        if lowest.min() != lowest.max():
            what = (
                "potentials end at minus the threshold, and thresholds differ" if floor == "threshold" else "it moves a floor"
            )
            raise Unclear("NC0345", what, "use one threshold and one v_reset")
        origin = self.chosen.origins.get("v_floor", f"rule of {self.rule.name}")
        self.choices.append(Choice(self.population, "v_floor", f"{float(lowest.min()):g}", origin))
        return replace(semantics, v_floor=float(lowest.min()))


def _divided(gain: FloatArray, by: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Return gain / by, and ``otherwise`` where ``by`` is 0 and the gain does not matter."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(by == 0, otherwise, gain / np.where(by == 0, 1.0, by)))


def _single(value: Array) -> Array:
    """Return an array of one value for all as that value."""
    flat = np.asarray(value, np.float64).reshape(-1) if np.ndim(value) else np.asarray(value, np.float64)
    if flat.ndim and flat.size and (flat == flat[0]).all():
        flat = np.asarray(flat[0])
    return frozen(flat)
