"""What can change between closes: marks, rates, fills, orders, collateral, transfers, trust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D

Scope: TypeAlias = Literal["venue", "account", "underlying", "location"]
TrustState: TypeAlias = Literal["fresh", "stale", "uncertain", "down", "no_quorum"]
TransferState: TypeAlias = Literal["sent", "debited", "credited", "rejected"]

FRESH: Final = "fresh"


@dataclass(frozen=True, slots=True, eq=False)
class MarkChanges:
    """Accepted prices; NaN leaves a figure as it is.

    Attributes
    ----------
    instrument : Int64Array1D, shape (n,)
        Rows of ``LiveBook.instrument_id``; a row at most once.
    mark_price, mark_iv, forward_price : Float64Array1D, shape (n,)
        As in contract ``marks``. [quote currency; coin for inverse options], annual, [quote]
    asset : Int64Array1D, shape (m,)
        Rows of ``LiveBook.assets``; a row at most once.
    usd_rate : Float64Array1D, shape (m,)
        Index price or FX rate of one unit. [USD]
    observed_ns : int
        When these prices held. [nanoseconds since the Unix epoch, UTC]
    """

    instrument: Int64Array1D
    mark_price: Float64Array1D
    mark_iv: Float64Array1D
    forward_price: Float64Array1D
    asset: Int64Array1D
    usd_rate: Float64Array1D
    observed_ns: int

    @classmethod
    def of_marks(
        cls, instrument: Int64Array1D, mark_price: Float64Array1D, observed_ns: int
    ) -> MarkChanges:
        """Return changes of mark prices alone."""
        same = np.full(len(instrument), np.nan)
        none = np.zeros(0)
        return cls(
            instrument, mark_price, same, same, np.zeros(0, dtype=np.int64), none, observed_ns
        )

    @classmethod
    def of_rates(
        cls, asset: Int64Array1D, usd_rate: Float64Array1D, observed_ns: int
    ) -> MarkChanges:
        """Return changes of index prices and FX rates alone."""
        none = np.zeros(0)
        return cls(np.zeros(0, dtype=np.int64), none, none, none, asset, usd_rate, observed_ns)


@dataclass(frozen=True, slots=True)
class AccountOwner:
    """Whose an account is; needed the first time that an account is named."""

    netting_set_id: str
    client_id: str
    venue: str


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution.

    Attributes
    ----------
    account_id, instrument_id : str
    quantity : float
        Signed contracts, buys > 0.
    fill_price : float
        > 0. [quote currency; coin for inverse options]
    sources : tuple of str
        Books that know of it: ``oms``, ``venue``, ``clearing``; none named stands for all that
        report. Until the others know of it too, they disagree, and the worse book is owed.
    owner : AccountOwner or None
        Needed where the account is new.
    """

    account_id: str
    instrument_id: str
    quantity: float
    fill_price: float
    sources: tuple[str, ...] = ()
    owner: AccountOwner | None = None


@dataclass(frozen=True, slots=True)
class PositionReport:
    """What a source says is held, as it stands; nothing is added up.

    ``settled_price`` is None where the report does not say; the one known stays, or for a new
    position the mark is taken.
    """

    account_id: str
    instrument_id: str
    quantity: float
    sources: tuple[str, ...] = ()
    settled_price: float | None = None
    owner: AccountOwner | None = None


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An open order as it stands; a remaining quantity of 0 takes it off."""

    account_id: str
    order_id: str
    instrument_id: str
    side: Literal["buy", "sell"]
    remaining_quantity: float
    limit_price: float
    owner: AccountOwner | None = None


@dataclass(frozen=True, slots=True)
class CollateralReport:
    """What lies at a location, as it stands. ``quantity`` >= 0; ``sources`` as of ``Fill``."""

    netting_set_id: str
    location: str
    asset: str
    quantity: float
    state: Literal["settled", "pending"] = "settled"
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TransferReport:
    """A transfer under its key, and how far it is.

    From ``sent`` on it counts at neither place: the source still reports what has left in truth,
    so it is deducted there until the source's own report has it (``debited``). ``credited`` and
    ``rejected`` end it.
    """

    transfer_key: str
    netting_set_id: str
    asset: str
    source: str
    quantity: float
    state: TransferState


@dataclass(frozen=True, slots=True)
class VenueReport:
    """What a venue says it demands of one bucket of an account. [``currency``]"""

    account_id: str
    bucket: str
    currency: str
    initial_margin: float
    maintenance_margin: float
    equity: float
    observed_ns: int


@dataclass(frozen=True, slots=True)
class Degradation:
    """Something that cannot be trusted for now, and for how long it could not.

    Attributes
    ----------
    scope : {"venue", "account", "underlying", "location"}
    name : str
        Of the venue, account, asset or location.
    state : {"fresh", "stale", "uncertain", "down", "no_quorum"}
        ``fresh`` ends it.
    age_seconds : float
        Since the last input that could be trusted, >= 0; measured by the caller.
    """

    scope: Scope
    name: str
    state: TrustState
    age_seconds: float = 0.0
