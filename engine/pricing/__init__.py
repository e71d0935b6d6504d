"""What an option is worth by Black-76, which volatility a price implies, and smiles between quotes.

Modules are imported by name, so that whoever needs one does not wait for the others.
"""

__all__: list[str] = []
