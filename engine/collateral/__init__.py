"""What collateral is worth after haircuts. See README.md."""

__all__ = ["haircuts", "items", "valuation"]
