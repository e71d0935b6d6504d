"""What is particular to each venue: so far, how it publishes its margin parameters."""

__all__ = ["parameters"]
