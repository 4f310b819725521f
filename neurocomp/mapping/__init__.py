"""Mapping: neurons to cores, cores to the mesh, messages to routes."""
