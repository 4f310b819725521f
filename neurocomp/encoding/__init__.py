"""How data become spikes, and spikes become answers. Open sets, filled by registration."""

from neurocomp.encoding.decoders import DECODERS, DecoderScheme, decode
from neurocomp.encoding.encoders import ENCODERS, EncoderScheme, Option, Settings, clipping_warning, encode

__all__ = [
    "DECODERS",
    "ENCODERS",
    "DecoderScheme",
    "EncoderScheme",
    "Option",
    "Settings",
    "clipping_warning",
    "decode",
    "encode",
]
