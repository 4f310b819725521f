"""Files of users become a `neurocomp.ir.network.Network`."""
