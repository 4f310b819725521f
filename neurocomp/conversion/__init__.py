"""A trained artificial network becomes a spiking one: layers, normalization, the network, and what is lost on the way."""

from neurocomp.conversion.convert import converted
from neurocomp.conversion.graph import Graph, Layer
from neurocomp.conversion.options import Options
from neurocomp.conversion.waterfall import Waterfall, measured

__all__ = ["Graph", "Layer", "Options", "Waterfall", "converted", "measured"]
