"""Does the model keep its promise? Counting tests, and its coverage of history. See README.md."""

__all__ = ["christoffersen", "coverage", "kupiec", "traffic_light"]
