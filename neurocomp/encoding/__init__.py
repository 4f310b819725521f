"""How data become spikes, and spikes become answers. Open sets, filled by registration."""

from neurocomp.encoding.decoders import DECODERS, DecoderScheme, decode
from neurocomp.encoding.encoders import (
    ENCODERS,
    EncoderScheme,
    Option,
    Settings,
    changes_in_time,
    clipping_warning,
    encode,
    time_varying,
)

__all__ = [
    "DECODERS",
    "ENCODERS",
    "DecoderScheme",
    "EncoderScheme",
    "Option",
    "Settings",
    "changes_in_time",
    "clipping_warning",
    "decode",
    "encode",
    "time_varying",
]
