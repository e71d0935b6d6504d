"""Custodians behind the ports of the engine."""
