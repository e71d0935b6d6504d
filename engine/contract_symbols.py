"""How a venue names its futures and perpetuals: parameters of the model ``contract_symbols``.

A venue's tiers go by its own symbols, so a position that is moved there in thought needs the
symbol of the like contract: same underlying, same kind, same payoff.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final, Literal

from annotated_types import MinLen

from engine.errors import ParameterError
from engine.limits import STRICT

CONTRACT_SYMBOLS: Final = "contract_symbols"
_QUARTER_CODES: Final = "HMUZ"
_MONTHS: Final = (
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
)  # fmt: skip
# What a pattern may hold in braces besides the underlying, and how an expiry is written there.
_EXPIRY_WORDS: Final[Mapping[str, Callable[[date], str]]] = {
    "dMMMyy": lambda day: f"{day.day}{_MONTHS[day.month - 1]}{day:%y}",
    "yymmdd": lambda day: f"{day:%y%m%d}",
    "quarter_code": lambda day: _QUARTER_CODES[(day.month - 1) // 3],
    "yy": lambda day: f"{day:%y}",
}
_WORD: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractSymbol:
    """Symbols of one kind of contract.

    Attributes
    ----------
    kind : {"perpetual", "future"}
    payoff : {"linear", "inverse", "quanto"}
    pattern : str
        ``{underlying}`` and, of an expiry, ``{dMMMyy}`` 27MAR26, ``{yymmdd}`` 260327,
        ``{quarter_code}`` H, the code of the last month of its quarter, and ``{yy}`` 26.

    Raises
    ------
    ParameterError
        If the pattern has another word in braces, or a perpetual one of an expiry.
    """

    __pydantic_config__ = STRICT
    kind: Literal["perpetual", "future"]
    payoff: Literal["linear", "inverse", "quanto"]
    pattern: Annotated[str, MinLen(1)]

    def __post_init__(self) -> None:
        dated = tuple(_EXPIRY_WORDS) if self.kind == "future" else ()
        known = ("underlying", *dated)
        strange = [word for word in _WORD.findall(self.pattern) if word not in known]
        if strange or "underlying" not in _WORD.findall(self.pattern):
            raise ParameterError(
                f"pattern of a {self.kind} is {self.pattern!r}, limit: with {{underlying}}, and no "
                f"other words in braces than {', '.join(known)}",
                identifier="pattern",
                value=self.pattern,
                limit=", ".join(known),
            )

    def symbol(self, underlying: str, expiry: date | None) -> str:
        """Return the venue's symbol of the contract on ``underlying``."""

        def spelled(match: re.Match[str]) -> str:
            word = match.group(1)
            if word == "underlying":
                return underlying
            assert expiry is not None
            return _EXPIRY_WORDS[word](expiry)

        return _WORD.sub(spelled, self.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractSymbols:
    """All kinds of futures and perpetuals that a venue lists; another kind it does not list."""

    __pydantic_config__ = STRICT
    contracts: Annotated[tuple[ContractSymbol, ...], MinLen(1)]

    def of(self, kind: str, payoff: str) -> ContractSymbol | None:
        """Return the symbols of a kind and payoff; None where the venue lists none."""
        for each in self.contracts:
            if (each.kind, each.payoff) == (kind, payoff):
                return each
        return None
