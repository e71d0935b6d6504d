"""Simulated venues and custodians behind their real wire protocols, on loopback."""
