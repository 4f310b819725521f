"""Passes from one stage to the next; one per file."""
