"""The fast integer engine; chip simulations share its kernels."""
