"""Constant analog inputs: their first weight layer leaves the network for the host, which writes its sums beside the biases.

A chip's spikes carry no value, so an input of direct current cannot be sent to it. What its synapses make of a sample does not
change over the sample's ticks, however: the host computes it once and writes it as a bias of the sample.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from neurocomp.encoding import ENCODERS
from neurocomp.errors import Diagnostic, UnsupportedError
from neurocomp.ir.host import HostProjection
from neurocomp.ir.network import Network
from neurocomp.models.neurons import NEURON_MODELS


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The network that spikes, and per population the projections from analog inputs that the host computes."""

    network: Network
    currents: dict[str, tuple[HostProjection, ...]]
    notes: tuple[str, ...]


def analog_inputs(network: Network) -> tuple[str, ...]:
    """Return the input populations whose encoder makes constant values in place of spikes."""
    return tuple(
        p.name for p in network.inputs if p.name in network.encoders and ENCODERS[network.encoders[p.name].scheme].analog
    )


def split_currents(network: Network) -> Split:
    """Take the analog inputs and their projections out of a legal network.

    Raises:
        UnsupportedError: A projection that a bias per sample cannot stand for (NC0330), with all that there are.
    """
    analog = set(analog_inputs(network))
    if not analog:
        return Split(network, {}, ())
    currents: dict[str, tuple[HostProjection, ...]] = {}
    problems: list[Diagnostic] = []
    for q in network.projections:
        if q.source not in analog:
            continue
        neuron = network.populations[q.target].neuron
        assert neuron is not None
        what = f"projection '{q.name}': the constant current of '{q.source}'"
        if neuron.number_format is not None:
            message = f"{what} enters a chip's own integers"
            hint = "give the neurons real parameters, or encode the input as spikes"
        elif NEURON_MODELS[neuron.model].has_current:
            message = f"{what} enters '{q.target}', which has a synaptic current of its own"
            hint = "put a population of 'if' neurons between them as an encoder, or encode the input as spikes"
        elif q.delay.size and (q.delay != 0).any():
            message, hint = f"{what} has a delay, and a bias has none", "write 'delay: 0'"
        elif q.before:
            message, hint = f"{what} passes a maximum", "pool in front of the network, or encode the input as spikes"
        else:
            shape = network.populations[q.source].shape
            made = HostProjection(q.name, q.source, shape, q.pattern, q.weights, q.bias)
            currents[q.target] = (*currents.get(q.target, ()), made)
            continue
        problems.append(Diagnostic("NC0330", message, q.origin, hint=hint))
    if problems:
        raise UnsupportedError(problems)
    rest = replace(
        network,
        populations={name: p for name, p in network.populations.items() if name not in analog},
        projections=tuple(q for q in network.projections if q.source not in analog),
        encoders={name: encoder for name, encoder in network.encoders.items() if name not in analog},
    )
    notes = tuple(
        f"'{name}' takes its constant input as a bias per sample: the host computes {', '.join(q.name for q in own)}"
        for name, own in currents.items()
    )
    return Split(rest, currents, notes)
