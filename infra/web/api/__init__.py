"""The HTTP interface for programs, ``/v1``."""
