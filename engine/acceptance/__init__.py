"""Which prices are believed within the day, and what is done about those that are not."""

from engine.acceptance.parameters import UNSTATED, AcceptanceParameters

__all__ = ["UNSTATED", "AcceptanceParameters"]
