"""Networks exchanged with other frameworks, which tests/interop compares with ours: a script for each, run in its environment."""
