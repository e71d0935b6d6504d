"""Names of order management in ours: accounts and venues, each translated in one place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.errors import ContractViolation
from engine.ids import IDENTIFIER_PATTERN

_IDENTIFIER: Final = re.compile(IDENTIFIER_PATTERN)


@dataclass(frozen=True, slots=True)
class Naming:
    """How order management calls what we call otherwise; what is not there is taken as it is."""

    accounts: Mapping[str, str] = field(default_factory=dict)
    exchanges: Mapping[str, str] = field(default_factory=dict)

    def account(self, theirs: str) -> str:
        """Return our name of an account; raises ContractViolation if it can be none."""
        return identifier("account", self.accounts.get(theirs, theirs))

    def instrument(self, exchange: str, symbol: str) -> str:
        """Return our name of an instrument; without an exchange the symbol is ours already."""
        if not exchange:
            return identifier("instrument", symbol)
        venue = self.exchanges.get(exchange, exchange.lower())
        return identifier("instrument", f"{venue}:{symbol}")


def identifier(what: str, text: str) -> str:
    """Return ``text`` if it has the alphabet of identifiers; raises ContractViolation."""
    if _IDENTIFIER.fullmatch(text) is None:
        raise ContractViolation(
            f"{what} is {text!r:.110}, limit 1 to 96 letters, digits or : . _ + / -",
            identifier=what,
            value=text,
            limit=IDENTIFIER_PATTERN,
        )
    return text
