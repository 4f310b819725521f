"""Simulation of networks in real numbers."""

from neurocomp.simulation.float_simulator import simulate

__all__ = ["simulate"]
