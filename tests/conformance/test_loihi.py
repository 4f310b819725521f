"""The Loihi backend passes the conformance suite."""

from neurocomp.testing.conformance import BackendConformance


class TestLoihi(BackendConformance):
    """Chips of `loihi.yaml`, with Lava as the witness."""

    target = "loihi"
