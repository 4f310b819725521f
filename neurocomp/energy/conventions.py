"""Constants of the conventions that stand beside the chip's estimate, and published thresholds; each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from neurocomp.hardware import Kind

PJ = 1e-12
HOROWITZ = "Horowitz 2014, ISSCC, 45 nm, 0.9 V, rough costs of operations"


@dataclass(frozen=True, slots=True)
class Constant:
    """Joules of one operation or access."""

    value: float
    source: str
    key: str
    """Of the source in the bibliography."""
    kind: Kind
    node: str = "45 nm"

    def as_json(self) -> dict[str, float | str]:
        """Return what ``report --json`` prints of it."""
        return {"value_j": self.value, "kind": self.kind, "node": self.node, "source": self.source, "key": self.key}


def _horowitz(picojoules: float) -> Constant:
    return Constant(picojoules * PJ, HOROWITZ, "horowitz2014", "uncertain")


CONSTANTS: Mapping[str, Constant] = {
    "fp32_add": _horowitz(0.9),
    "fp32_mul": _horowitz(3.7),
    "int8_add": _horowitz(0.03),
    "int32_add": _horowitz(0.1),
    "int8_mul": _horowitz(0.2),
    "int32_mul": _horowitz(3.1),
    "sram_8KB": _horowitz(10.0),
    "sram_32KB": _horowitz(20.0),
    "sram_1MB": _horowitz(100.0),
}
"""The only numbers with a dimension in `neurocomp.energy.baselines`; ``sram`` is one access of 64 bits."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Below ``low`` a publication finds that a spiking network costs less, above ``high`` that it costs more."""

    low: float
    high: float
    unit: str
    """``spikes/synapse/inference`` or ``spikes/synapse/tick``."""
    source: str
    key: str

    def place(self, spikes_per_synapse: float, ticks: int) -> str:
        """Return ``below``, ``between`` or ``above``, where a layer with so many spikes per synapse and inference lies."""
        value = spikes_per_synapse / ticks if self.unit.endswith("tick") else spikes_per_synapse
        return "below" if value < self.low else "above" if value > self.high else "between"


THRESHOLDS: Mapping[str, Threshold] = {
    "dampfhoffer2023": Threshold(
        0.15, 1.38, "spikes/synapse/inference", "Dampfhoffer et al. 2023, IEEE TETCI 7(3):731", "dampfhoffer2023"
    ),
    "davidson2021": Threshold(
        1.72,
        1.72,
        "spikes/synapse/inference",
        "Davidson and Furber 2021, Front. Neurosci. 15, as others cite it",
        "davidson2021",
    ),
    "yan2024": Threshold(
        0.057,
        0.064,
        "spikes/synapse/tick",
        "Yan et al. arXiv:2409.08290: 6.4 % (v2, T = 5 to 10), 5.7 % (v4, T = 5)",
        "yan2024",
    ),
}
