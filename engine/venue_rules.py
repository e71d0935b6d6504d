"""Parameters of the venues' own margin models, as a rule book holds them for one date.

What a venue publishes (brackets, grids, haircuts, discount tiers) is one ``ParameterSet`` per
venue, model and scope. Which model an account is margined by is itself such a set, of the model
``account_mode``. Missing is never zero: what has no set is an error that names it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

from annotated_types import MinLen

from engine.errors import ParameterError
from engine.limits import STRICT, Fraction, HaircutTier

Evidence: TypeAlias = Literal["published_example", "documented", "inferred", "unverified"]
"""How well a set is supported: an example of the venue's was reproduced; its documentation
states it; it was read from samples or third parties; or nothing of the kind was found."""
Scope: TypeAlias = Literal["symbol", "underlying", "settlement_asset"]
EVERY_SCOPE: Final = "*"
ACCOUNT_MODE: Final = "account_mode"
COLLATERAL_RATES: Final = "collateral_rates"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMode:
    """Parameters of ``account_mode``: by which models an account in this mode is margined."""

    __pydantic_config__ = STRICT
    futures_model: str
    """Model of perpetuals and dated futures."""
    option_model: str
    futures_scope: Scope
    """Which name of an instrument is the scope of its set of the futures model."""
    option_scope: Scope
    bucket: Literal["settlement_asset", "underlying", "account"]
    """What is margined together."""
    ratio: Literal["margin_balance", "adjusted_equity"]
    """Collateral counts in full, or after the venue's ``collateral_rates``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralRates:
    """Parameters of ``collateral_rates``: what one asset, the scope, counts for at the venue.

    A rate of 0.95 up to 2 million is a tier with haircut 0.05; tiers are marginal and the last
    one is open-ended, as in ``engine.collateral.haircuts.tiered_haircut``.
    """

    __pydantic_config__ = STRICT
    tier_basis: Literal["value", "quantity"] = "value"
    """Floors are USD value or units of the asset."""
    haircut_tiers: Annotated[tuple[HaircutTier, ...], MinLen(1)]
    loan_maintenance_margin_rate: Fraction = 0.0
    """Maintenance margin of a debt in the asset, as a fraction of its value."""

    def __post_init__(self) -> None:
        floors = [tier.floor for tier in self.haircut_tiers]
        if floors[0] != 0.0 or any(b <= a for a, b in itertools.pairwise(floors)):
            raise ParameterError(
                f"haircut_tiers have the floors {floors}, limit: from 0 on, strictly increasing",
                identifier="haircut_tiers",
                value=floors,
                limit="from 0 on, strictly increasing",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSet:
    """Parameters of one model of one venue for one scope, with what they rest on."""

    venue: str
    model: str
    scope: str
    """Venue symbol, underlying, settlement asset, collateral asset or name of an account mode. One
    that ends in ``*`` stands for every scope that begins so and has no set of its own."""
    effective_date: date
    source: str
    evidence: Evidence
    parameters: object
    """The dataclass of the model's parameters."""
    parameters_hash: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Return venue, model and scope, which name the set within a rule book."""
        return self.venue, self.model, self.scope

    @property
    def label(self) -> str:
        """Return ``venue/model/scope``, as messages name the set."""
        return f"{self.venue}/{self.model}/{self.scope}"


@dataclass(frozen=True, slots=True)
class VenueRules:
    """The sets in force on one date, one per venue, model and scope."""

    sets: Mapping[tuple[str, str, str], ParameterSet] = field(default_factory=dict)

    def find(self, venue: str, model: str, scope: str) -> ParameterSet:
        """Return the set of ``scope``, or else the one with the longest beginning of it.

        Dated contracts come and go while their parameters stay: ``BTCUSDT_*`` serves every one of
        them, and ``*`` every scope of the venue's model.

        Raises
        ------
        ParameterError
            If there is neither: a missing parameter is never taken as zero.
        """
        found = self.sets.get((venue, model, scope))
        n_shared = len(scope)
        while found is None and n_shared >= 0:
            found = self.sets.get((venue, model, f"{scope[:n_shared]}{EVERY_SCOPE}"))
            n_shared -= 1
        if found is None:
            raise ParameterError(
                f"no parameters {venue}/{model}/{scope} are in force: import the venue's payload "
                "with `plimsoll rules import`, or add the set to a parameters folder",
                identifier=f"{venue}/{model}/{scope}",
                limit="a set in force",
            )
        return found

    def parameters(self, venue: str, model: str, scope: str, kind: type[_T]) -> _T:
        """Return the parameters of the set that ``find`` returns, which must be of ``kind``."""
        found = self.find(venue, model, scope)
        if not isinstance(found.parameters, kind):
            raise ParameterError(
                f"{found.label} holds {type(found.parameters).__name__}, limit {kind.__name__}",
                identifier=found.label,
                value=type(found.parameters).__name__,
                limit=kind.__name__,
            )
        return found.parameters

    def account_mode(self, venue: str, mode: str) -> AccountMode:
        """Return the models of an account of the venue that is in ``mode``."""
        return self.parameters(venue, ACCOUNT_MODE, mode, AccountMode)

    def __iter__(self) -> Iterator[ParameterSet]:
        """Yield the sets by venue, model and scope."""
        return (self.sets[key] for key in sorted(self.sets))

    def __len__(self) -> int:
        """Return the number of sets."""
        return len(self.sets)


def venue_rules(sets: tuple[ParameterSet, ...] | list[ParameterSet]) -> VenueRules:
    """Return the rules of ``sets``, in the order of their keys.

    Raises
    ------
    ParameterError
        If two sets have the same venue, model and scope.
    """
    by_key: dict[tuple[str, str, str], ParameterSet] = {}
    for each in sorted(sets, key=lambda one: one.key):
        if each.key in by_key:
            raise ParameterError(
                f"{each.label} is given twice, effective {by_key[each.key].effective_date} and "
                f"{each.effective_date}, limit: once",
                identifier=each.label,
                limit="once",
            )
        by_key[each.key] = each
    return VenueRules(by_key)
