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
    "largest_value",
    "possible_answers",
    "time_varying",
]
