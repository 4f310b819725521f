"""The public test kit: random networks, builders of integer networks, comparison with golden vectors."""
