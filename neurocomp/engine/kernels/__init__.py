"""The formulas of the engine, one module per part of a chip; they import numpy alone."""
