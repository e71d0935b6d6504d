"""Core of the simulated venues: accounts, market, chain, faults, admin endpoint, runner."""
