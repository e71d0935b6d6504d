"""A simulated order management: it hears of every fill of a town, and tells it with faults."""
