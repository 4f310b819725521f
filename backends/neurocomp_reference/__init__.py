"""The executable specification of the integer semantics, in plain numpy."""

from neurocomp_reference.simulator import ReferenceSimulator

__all__ = ["ReferenceSimulator"]
