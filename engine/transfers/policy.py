"""The policy of transfers: limits, approvals, waits; dated, with their limits on the types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated

from annotated_types import Ge, Le, Lt, MinLen

from engine.approvals import ApprovalTier, approvers_for, require_tiers
from engine.errors import ParameterError
from engine.limits import STRICT as _STRICT
from engine.limits import NonNegative, Positive
from engine.sending import Environment, PositiveAmount, SendTiming

__all__ = ["ApprovalTier", "AssetRule", "RouteLimit", "Timing", "TransferPolicy"]

AmountFromZero = Annotated[Decimal, Ge(0)]
Share = Annotated[Decimal, Ge(0), Lt(1)]


@dataclass(frozen=True, slots=True)
class Timing(SendTiming):
    """How long to wait for what, and how often to try."""

    credit_due_seconds: Positive
    """A credit missing for longer after the debit is put before a person."""
    final_after_seconds: NonNegative
    """A credit that still stands after this is final."""
    attempts_max: Annotated[int, Ge(1), Le(20)]
    """Sendings of one key, the first included."""
    balance_tolerance: Annotated[float, Ge(0.0), Lt(0.5)]
    """Share of the amount by which a balance may move by itself and still prove something."""


@dataclass(frozen=True, slots=True)
class AssetRule:
    """What may be moved of one asset. Amounts in units of the asset."""

    __pydantic_config__ = _STRICT
    scale: Annotated[int, Ge(0), Le(18)]
    transfer_max: PositiveAmount
    fee_max: AmountFromZero
    tiers: Annotated[tuple[ApprovalTier, ...], MinLen(1)]
    use_cost: Share = Decimal(0)
    """What it costs to part with the asset, by which plans choose. [fraction of its value]"""
    kept_share: Share = Decimal(0)
    """What plans leave behind of each holding. [fraction]"""
    unattended_max: AmountFromZero = Decimal(0)
    """What the payment desk may move at once for a call without a second person; 0 for nothing."""

    def __post_init__(self) -> None:
        require_tiers(self.tiers)

    def approvers_for(self, quantity: Decimal) -> int:
        """Return how many people beside the proposer ``quantity`` needs."""
        return approvers_for(self.tiers, quantity)


@dataclass(frozen=True, slots=True)
class RouteLimit:
    """Most of an asset that may leave in a UTC day, and in any 24 hours, on routes that match.

    ``source`` and ``destination`` are places; ``*`` stands for any characters.
    """

    __pydantic_config__ = _STRICT
    source: Annotated[str, MinLen(1)]
    destination: Annotated[str, MinLen(1)]
    asset: Annotated[str, MinLen(1)]
    day_max: AmountFromZero
    rolling_max: AmountFromZero

    def covers(self, source: str, destination: str, asset: str) -> bool:
        """Return whether a movement counts against this limit."""
        return (
            asset == self.asset
            and fnmatchcase(source, self.source)
            and fnmatchcase(destination, self.destination)
        )

    @property
    def label(self) -> str:
        """Return route and asset in words."""
        return f"{self.source} to {self.destination}, {self.asset}"


@dataclass(frozen=True, slots=True)
class TransferPolicy:
    """All rules of transfers in force from one date."""

    __pydantic_config__ = _STRICT
    effective_date: date
    source: str
    environment: Environment
    """Networks that these limits were made for."""
    approval_lifetime_hours: Positive
    """An approval that was not used by then is void."""
    whitelist_cool_off_hours: NonNegative
    """A new destination is of use only after this."""
    timing: Timing
    assets: Mapping[str, AssetRule]
    limits: tuple[RouteLimit, ...]

    def asset_rule(self, asset: str) -> AssetRule:
        """Return the rule of an asset; ParameterError where it has none, for nothing may move."""
        found = self.assets.get(asset)
        if found is None:
            known = ", ".join(sorted(self.assets)) or "none"
            raise ParameterError(
                f"the transfer policy of {self.effective_date} has no rule for {asset}; it has "
                f"{known}",
                identifier=asset,
                limit=known,
            )
        return found
