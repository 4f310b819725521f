"""The TrueNorth-style backend: cores of a binary crossbar, four weights per neuron."""
