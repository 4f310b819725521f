"""Every figure that neurocomp claims, one command each: ``python -m benchmarks [NAME] [--json] [--peers none]``."""
