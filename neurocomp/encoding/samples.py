"""Whole samples of a network: all inputs encoded, and the output that answers for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.encoding.decoders import DECODERS
from neurocomp.encoding.encoders import encode, operations
from neurocomp.encoding.schemes import ENCODERS, Operations
from neurocomp.ir.network import NO_EVENT, Network, Samples


def encode_samples(network: Network, samples: Samples, first: int = 0) -> dict[str, NDArray[Any]]:
    """Encode raw samples; each input population needs an encoder.

    Args:
        network: Whose encoders are used.
        samples: Raw data.
        first: Number of the first sample, which keys the random numbers of stochastic encoders.

    Returns:
        Input population -> (samples, ticks, n).
    """
    return {
        p.name: encode(
            network.encoders[p.name], samples.inputs[p.name], scale=network.data.scale, ticks=network.ticks, size=p.size,
            first_sample=first, population=p.name, shape=p.shape,
        )
        for p in network.inputs
    }  # fmt: skip


def encoder_operations(network: Network, samples: Samples) -> dict[str, Operations]:
    """Return what the encoder of each input population computes on the host per sample; of events, their mean number counts."""
    found: dict[str, Operations] = {}
    for p in network.inputs:
        if p.name in network.encoders and p.name in samples.inputs:
            encoder, data = network.encoders[p.name], samples.inputs[p.name]
            events = 0
            if ENCODERS[encoder.scheme].events:
                events = int(np.count_nonzero(data[:, :, 0] != NO_EVENT)) // max(len(data), 1)
            found[p.name] = operations(encoder, p.shape, network.ticks, events)
    return found


def decoder_operations(network: Network, ticks: int) -> dict[str, Operations]:
    """Return what each decoder computes on the host per sample."""
    return {
        name: DECODERS[decoder.scheme].operations(network.populations[name].size, ticks, decoder.options)
        for name, decoder in network.decoders.items()
    }


def scored_output(network: Network) -> str | None:
    """Return the population whose spikes answer for the declared samples; None: accuracy cannot be told from spikes.

    That takes labels, an encoder for each input, and a single decoder, which does not read potentials.
    """
    samples = network.data.samples
    if samples is None or samples.labels is None or len(network.decoders) != 1:
        return None
    name, decoder = next(iter(network.decoders.items()))
    encoded = all(p.name in network.encoders for p in network.inputs)
    return name if encoded and not DECODERS[decoder.scheme].reads_potential else None
