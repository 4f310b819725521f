"""Neuron models and synapse patterns: parameters, shapes, float steps, synapse lists. Open sets, filled by registration."""
