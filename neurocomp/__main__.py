"""``python -m neurocomp``."""

from neurocomp.cli import main

main()
