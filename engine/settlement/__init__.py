"""What moves in cash for profit, funding and expiry. See README.md."""

__all__ = ["day", "funding", "mark_to_market", "position", "terms", "variation"]
