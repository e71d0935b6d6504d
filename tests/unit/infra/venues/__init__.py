"""How venues publish their parameters."""
