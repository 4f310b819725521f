"""How data become spikes, and spikes become answers. Open sets, filled by registration."""

from neurocomp.encoding.decoders import DECODERS, DecoderScheme, decode, possible_answers
from neurocomp.encoding.encoders import (
    ENCODERS,
    EncoderScheme,
    Option,
    Settings,
    carries_values,
    changes_in_time,
    clipping_warning,
    encode,
    largest_value,
    time_varying,
)
from neurocomp.encoding.samples import encode_samples, scored_output

__all__ = [
    "DECODERS",
    "ENCODERS",
    "DecoderScheme",
    "EncoderScheme",
    "Option",
    "Settings",
    "carries_values",
    "changes_in_time",
    "clipping_warning",
    "decode",
    "encode",
    "encode_samples",
    "largest_value",
    "possible_answers",
    "scored_output",
    "time_varying",
]
