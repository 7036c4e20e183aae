"""Measurements: each prints a ratio against a peer or a physical limit of the same run."""
