"""How data become spikes, and spikes become answers. Open sets, filled by registration."""

from neurocomp.encoding import events, rates, signals, times
from neurocomp.encoding.decoders import DECODERS, DecoderScheme, decode, decode_early, decoder_problem, possible_answers
from neurocomp.encoding.encoders import (
    carries_values,
    changes_in_time,
    clipping_warning,
    data_shape,
    encode,
    encoder_problem,
    largest_value,
    operations,
    takes_front,
    time_varying,
)
from neurocomp.encoding.front import FILTERS, FilterScheme
from neurocomp.encoding.samples import decoder_operations, encode_samples, encoder_operations, scored_output
from neurocomp.encoding.schemes import ENCODERS, EncoderScheme, Operations, Option, Problem, Settings

__all__ = [
    "DECODERS",
    "ENCODERS",
    "FILTERS",
    "DecoderScheme",
    "EncoderScheme",
    "FilterScheme",
    "Operations",
    "Option",
    "Problem",
    "Settings",
    "carries_values",
    "changes_in_time",
    "clipping_warning",
    "data_shape",
    "decode",
    "decode_early",
    "decoder_operations",
    "decoder_problem",
    "encode",
    "encode_samples",
    "encoder_operations",
    "encoder_problem",
    "events",
    "largest_value",
    "operations",
    "possible_answers",
    "rates",
    "scored_output",
    "signals",
    "takes_front",
    "time_varying",
    "times",
]
