"""neurocomp compiles spiking neural networks for neuromorphic chips and proves what it did.

>>> import neurocomp
>>> network = neurocomp.load("net.yaml")                       # doctest: +SKIP
>>> compiled = neurocomp.compile(network, target="loihi")      # doctest: +SKIP
>>> compiled.verify().bit_exact                                # doctest: +SKIP
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Compiled",
    "NeurocompError",
    "compile",
    "from_norse",
    "from_sinabs",
    "from_snntorch",
    "from_spikingjelly",
    "load",
]

if TYPE_CHECKING:
    from neurocomp.api import Compiled, compile, load
    from neurocomp.errors import NeurocompError
    from neurocomp.frontends.from_frameworks import from_norse, from_sinabs, from_snntorch, from_spikingjelly


def __getattr__(name: str) -> Any:
    if name == "NeurocompError":
        from neurocomp import errors

        return errors.NeurocompError
    if name in __all__ and name.startswith("from_"):
        from neurocomp.frontends import from_frameworks

        return getattr(from_frameworks, name)
    if name in __all__:
        from neurocomp import api

        return getattr(api, name)
    raise AttributeError(f"module 'neurocomp' has no attribute '{name}'")
