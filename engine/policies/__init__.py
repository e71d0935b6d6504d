"""What is done about a deficit within the day, and who is told of it. See README.md."""

__all__ = [
    "ladder",
    "ladder_parameters",
    "ladder_terms",
    "new_risk",
    "quiet",
    "quiet_parameters",
    "utilisation",
]
