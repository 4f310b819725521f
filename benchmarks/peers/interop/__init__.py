"""Networks exchanged with other frameworks, for tests/interop: a script for each, run in its environment."""
