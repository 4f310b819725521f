"""A first run of every kernel."""

def run_every_kernel() -> None:
    pass
