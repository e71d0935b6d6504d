"""What a contract is worth: options by Black-76, their volatility, and linear or inverse futures.

Modules are imported by name, so that whoever needs a payoff does not wait for the others.
"""

__all__: list[str] = []
