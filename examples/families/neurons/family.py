"""The neuron models of the reviews, each as a small population between a spiking input and a LIF readout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from examples.families import Family, Part
from examples.families.neurons import patterns
from neurocomp.frontends import from_yaml
from neurocomp.ir.network import Network

HERE = Path(__file__).parent
INPUTS, NEURONS, READOUTS, SAMPLES = 24, 16, 4, 5

TEXT = """
neurocomp: 1
name: {name}
timestep: {timestep}
ticks: 60
populations:
  input: {{kind: input, shape: [24]}}
  cells: {{shape: [16], neuron: {neuron}}}
  readout: {{shape: [4], neuron: {readout}}}
projections:
  - {{from: input, to: cells, pattern: [{{scale: {{weights: {drive}}}}}, dense], weights: neurons.npz#to_cells, bias: {bias}}}
  - {{from: cells, to: readout, pattern: dense, weights: neurons.npz#to_readout}}
encode: {{input: {{scheme: {scheme}}}}}
data: {{inputs: {{input: neurons.npz#{data}}}}}
"""
CUBA = "{model: cuba_lif, tau_mem: 20 ms, tau_syn: 5 ms, compare: '>', reset: zero, integration: exact, input: delta}"
LIF = "{model: lif, tau_mem: 20 ms, compare: '>', reset: zero, integration: exact, input: delta}"


def network(
    name: str, neuron: str, *, drive: float = 1.0, current: float = 0.0, timestep: str = "1 ms", readout: str = LIF,
    scheme: str = "bernoulli, seed: 7, gain: 0.5", data: str = "rates",
) -> Network:  # fmt: skip
    """Return input -> 16 neurons -> 4 readouts.

    Args:
        name: Of the network.
        neuron: Its neurons, as net.yaml writes them.
        drive: Factor on the weights, in units of the neuron's potential.
        current: Constant input of each neuron.
        timestep: As net.yaml writes it.
        readout: The neurons of the readout.
        scheme: The encoder and its options.
        data: Which of the shipped data are encoded.
    """
    bias = [current] * NEURONS
    text = TEXT.format(
        name=name, neuron=neuron, drive=drive, bias=bias, timestep=timestep, readout=readout, scheme=scheme, data=data
    )
    return from_yaml.loads(text, HERE)


def make() -> None:
    """Write the weights and the data."""
    rng = np.random.default_rng(9)
    weights = rng.normal(0.08, 0.25, (NEURONS, INPUTS)), rng.normal(0.15, 0.4, (READOUTS, NEURONS))
    rates = rng.uniform(0.0, 1.0, (SAMPLES, INPUTS))
    values = np.where(rng.random((SAMPLES, 60, INPUTS)) < 0.1, rng.integers(-3, 9, (SAMPLES, 60, INPUTS)), 0)
    np.savez_compressed(HERE / "neurons.npz", to_cells=weights[0], to_readout=weights[1], rates=rates, values=values)


def _part(name: str, neuron: str, options: Mapping[str, Mapping[str, Any]] | None = None, **given: Any) -> Part:
    targets = ("reference", "loihi", "loihi2", "truenorth")
    return Part(lambda: network(name, neuron, **given), options or {}, targets)


LINEAR = {"truenorth": {"approximate_leak": True}}
"""TrueNorth has no exponential leak; a linear one takes its place, with a measured loss."""
SUBTRACTING = {"truenorth": {"approximate_leak": True, "compare": "ge"}}
IF = "{model: if, compare: '>=', reset: zero}"

FAMILY = Family(
    "Neuron models: leaky, current-based, adaptive, quadratic, resonating, sigma-delta, ternary, graded, stochastic",
    "Tavanaei et al. 2019; Izhikevich 2003 and 2004; Bellec et al. 2018; O'Connor and Welling 2016; Hodgkin and Huxley 1952",
    {
        "": _part("cuba", CUBA, LINEAR, drive=0.1),
        "lif_zero": _part("lif_zero", LIF, LINEAR),
        "lif_subtract": _part("lif_subtract", LIF.replace("reset: zero", "reset: subtract"), SUBTRACTING),
        "alpha": _part("alpha", CUBA.replace("20 ms", "8 ms").replace("5 ms", "8 ms"), LINEAR, drive=0.1),
        "adaptive_lif": _part("adaptive_lif", "{model: adaptive_lif, tau_mem: 20 ms, tau_adapt: 100 ms, beta: 5.0}"),
        "izhikevich": _part("izhikevich", "{model: izhikevich}", drive=20.0, current=5.0, timestep="0.5 ms"),
        "resonate_fire": _part("resonate_fire", "{model: resonate_and_fire, tau_mem: 20 ms, period: 10 ms}", drive=2.0),
        "sigma_delta": _part("sigma_delta", "{model: sigma_delta, v_threshold: 0.5}", LINEAR),
        "ternary": _part(
            "ternary",
            "{model: ternary_lif, tau_mem: 20 ms, tau_syn: 5 ms, v_threshold_low: -0.2, reset: zero}",
            LINEAR,
            drive=0.1,
        ),
        "graded": _part("graded", LIF, LINEAR, scheme="graded", data="values"),
        "stochastic_if": _part("stochastic_if", "{model: stochastic_if, noise: 2.0, seed: 3}", drive=3.0, readout=IF),
        "firing_patterns": Part(
            lambda: patterns.network(letter for letter, p in patterns.PATTERNS.items() if p.model == "izhikevich"),
            targets=("reference", "loihi", "loihi2", "truenorth"),
            samples=1,
        ),
        "hodgkin_huxley": _part("hodgkin_huxley", "{model: hodgkin_huxley}", drive=20.0),
    },
    make,
)
"""What becomes of each neuron model on each chip."""
