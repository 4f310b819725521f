"""One neuron of each kind that was imported, alone: the float simulator against the node's own equation.

The equation is written down here a second time; with the mapping that it checks it shares the table of rules, and what was
chosen. It cannot tell > from >=, as rounding decides at the threshold itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.frontends.nir_file import Node
from neurocomp.frontends.nir_rules import Cell, Chosen
from neurocomp.ir.network import Network, Neuron, Population, Projection, frozen
from neurocomp.models.patterns import Pattern
from neurocomp.simulation import simulate

Array = NDArray[Any]
FloatArray = NDArray[np.float64]

TICKS = 48
CONFIGURATIONS = 64
"""Of a population, spread evenly over those that differ where there are more."""
TOLERANCE = 1e-9
CLOSE = 1e-5
"""How far r dt/tau may be from 1 and count as 1; see docs/nir.md."""


def probe(cells: Mapping[str, tuple[Node, Mapping[str, FloatArray], Cell]], chosen: Chosen) -> None:
    """Compare each kind of neuron with its equation.

    Args:
        cells: Name of a node -> the node, its parameters in the file's units, (n,) or 0-d, and what it became.
        chosen: The rule and the length of a tick.

    Raises:
        InternalError: A neuron of the IR does something else than the equation of its node, which it names.
    """
    for name, (node, values, cell) in cells.items():
        rule = chosen.of(node)
        for configuration, neuron, gain, bias, shift in _configurations(values, cell):
            drive = _drive(configuration, node, rule)
            spikes, v = _simulated(neuron, gain, bias, drive, chosen)
            expected = _Scalar(node.kind, configuration, rule)
            for tick in range(TICKS):
                fired, potential = expected.step(float(drive[tick]))
                scale = max(1.0, abs(float(shift)), expected.largest)
                if fired != spikes[tick] and expected.margin <= TOLERANCE * scale * TICKS:
                    break  # at the threshold to the last digits, where both are right
                if fired != spikes[tick] or abs(v[tick] + shift - potential) > TOLERANCE * scale * TICKS:
                    claim = (
                        f"node '{name}' ({node.kind}) does what its equation says: in tick {tick} it sends {fired} at "
                        f"v {potential!r}, the neuron {spikes[tick]} at {float(v[tick] + shift)!r}"
                    )
                    raise broken_invariant("the import of NIR", claim)


def _configurations(values: Mapping[str, FloatArray], cell: Cell) -> list[tuple[dict[str, float], Neuron, float, float, float]]:
    """Return (parameters, neuron, gain, bias, shift) of the neurons that differ."""
    own = {**values, "shift": cell.shift, "gain": cell.gain, **({} if cell.bias is None else {"bias": cell.bias})}
    size = max((int(np.size(value)) for value in own.values()), default=1)
    table = np.stack([np.broadcast_to(np.asarray(value, np.float64), (size,)) for value in own.values()], axis=1)
    _, first = np.unique(table, axis=0, return_index=True)
    if len(first) > CONFIGURATIONS:
        first = first[np.linspace(0, len(first) - 1, CONFIGURATIONS).astype(np.int64)]
    found = []
    for index in first:
        at = int(index)
        row = dict(zip(own, table[at].tolist(), strict=True))
        parameters = {key: frozen(value if not value.ndim else value[at]) for key, value in cell.neuron.parameters.items()}
        neuron = Neuron(cell.neuron.model, parameters, cell.neuron.semantics)
        configuration = {key: row[key] for key in values}
        found.append((configuration, neuron, row["gain"], row.get("bias", 0.0), row["shift"]))
    return found


def _drive(values: Mapping[str, float], node: Node, chosen: Chosen) -> FloatArray:
    """Return weighted input of some ticks that makes a neuron spike now and then."""
    threshold = abs(values.get("v_threshold", values.get("threshold", 1.0))) or 1.0
    gain = abs(_Scalar(node.kind, values, chosen).weight)
    strength = threshold / gain if 0 < gain < math.inf else threshold
    # Numbers without a pattern, the same everywhere; some ticks are silent, some far beyond the threshold or a floor.
    ticks = np.arange(1, TICKS + 1)
    fraction = np.modf(ticks * 0.7548776662466927)[0]
    drive = strength * (1.6 * fraction - 0.45)
    drive[ticks % 7 == 0] = 0.0
    drive[ticks % 11 == 0] = 3.7 * strength
    drive[ticks % 19 == 0] = -2.5 * strength
    return np.asarray(drive)


def _simulated(neuron: Neuron, gain: float, bias: float, drive: FloatArray, chosen: Chosen) -> tuple[list[int], FloatArray]:
    """Return spikes and potentials of one neuron in the float simulator."""
    populations = {"x": Population("x", (len(drive),)), "y": Population("y", (1,), neuron)}
    weights = frozen((drive * gain)[None, :])
    synapses = Projection("x->y", "x", "y", Pattern("dense"), weights, frozen(np.array([bias])))
    network = Network("probe", chosen.timestep, len(drive), populations, (synapses,))
    trace = simulate(network, {"x": np.eye(len(drive), dtype=np.int8)[None]}, record=["y"])
    return [int(spike) for spike in trace.spikes["y"][0, :, 0]], np.asarray(trace.v["y"][0, :, 0])


class _Scalar:
    """The equation of one node in plain numbers, tick by tick, by a framework's rule."""

    def __init__(self, kind: str, values: Mapping[str, float], chosen: Chosen) -> None:
        self.kind, self.rule, self.dt = kind, chosen.rule, chosen.dt
        self.r, self.w_in = values.get("r", 1.0), values.get("w_in", 1.0)
        self.v_leak, self.v_reset = values.get("v_leak", 0.0), values.get("v_reset", 0.0)
        self.threshold = values.get("v_threshold", values.get("threshold", math.inf))
        self.alpha = self._kept(values.get("tau_syn"))
        self.beta = self._kept(values.get("tau_mem", values.get("tau")))
        self.i = 0.0
        self.v = {"zero": 0.0, "v_leak": self.v_leak, "v_reset": self.v_reset}[self.rule.starts]
        self.pending = 0
        self.largest = 0.0
        """The largest magnitude of a potential so far."""
        self.margin = math.inf
        """How far the potential of the tick was from one that sends other spikes."""

    def _kept(self, tau: float | None) -> float:
        """Return what is left of a state after a tick."""
        if tau is None:
            return 0.0 if self.kind == "Threshold" else 1.0
        if self.rule.integration == "exact":
            return math.exp(-self.dt / tau)
        return max(0.0, 1.0 - self.dt / tau)

    @property
    def weight(self) -> float:
        """What an input of 1 adds to the state that it enters, times what that adds to the potential."""
        cuba = self.kind.startswith("Cuba")
        enters = self.rule.currents if cuba and self.rule.currents else self.rule.enters
        if enters == "jump" and self.w_in == 1.0:
            return self.r * (1.0 - self.beta)
        if self.kind == "Threshold" or enters == "direct":
            return 1.0
        if enters == "decayed":
            return self.alpha if cuba else self.beta if self.kind == "LI" else 1.0
        if self.kind in ("I", "IF"):
            found = self.r * self.dt
        elif cuba:
            found = self.w_in * (1.0 - self.alpha) * self.r * (1.0 - self.beta)
        else:
            found = self.r * (1.0 - self.beta)
        return 1.0 if abs(found - 1.0) <= CLOSE else found

    def step(self, x: float) -> tuple[int, float]:
        """Advance by one tick; return the spikes, and the potential after it."""
        if self.rule.reset_when == "next_tick":
            self._reset(self.pending)
        before = self.v
        leak = 0.0
        if self.kind in ("LI", "LIF", "CubaLI", "CubaLIF"):
            leak = self.v_leak if self.rule.enters == "decayed" else (1.0 - self.beta) * self.v_leak
        if self.kind.startswith("Cuba"):
            self.i = self.alpha * self.i + self.weight * x
            self.v = self.beta * self.v + self.i + leak
        else:
            self.v = self.beta * self.v + self.weight * x + leak
        self.largest = max(self.largest, abs(self.v), abs(self.v_reset), abs(self.v_leak))
        if self.kind in ("I", "LI", "CubaLI"):
            self._floor()
            return 0, self.v
        if self.rule.reset_when == "next_update":
            self._reset(self.pending)
        tested = before if self.rule.threshold_on == "old" and self.kind != "Threshold" else self.v
        at_least = self.rule.compare == ">=" and self.kind != "Threshold"
        self.margin = abs(tested - self.threshold)
        if self.rule.spikes == "many" and tested > self.threshold:
            self.margin = min(self.margin, abs(tested - self.threshold * round(tested / self.threshold)))
        spikes = int(tested >= self.threshold if at_least else tested > self.threshold)
        if self.kind == "Threshold":
            self.v = 0.0 if spikes else self.v
            return spikes, self.v
        if spikes and self.rule.spikes == "many":
            spikes = max(1, math.floor(tested / self.threshold))
        self.pending = spikes
        if self.rule.reset_when == "same_tick":
            self._reset(spikes)
        self._floor()
        return spikes, self.v

    def _reset(self, spikes: int) -> None:
        """Reset the potential where there are spikes."""
        if spikes and self.rule.reset == "subtract":
            self.v -= spikes * self.threshold
        elif spikes and self.rule.reset != "none":
            self.v = self.v_reset if self.rule.reset == "value" else 0.0

    def _floor(self) -> None:
        """Keep the potential above its floor."""
        if self.rule.floor == "threshold" and self.kind == "IF":
            self.v = max(self.v, -self.threshold)
        elif isinstance(self.rule.floor, float):
            self.v = max(self.v, self.rule.floor)
