"""Counts of a simulation on a mapped network, and what they cost."""
