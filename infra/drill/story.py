"""What happened in a drill: samples along the day, calls, transfers, doubts and liquidations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from infra.drill.clients import DrillClient
from infra.drill.days import DrillDay
from infra.simulator.venues.core.liquidation import Liquidated


@dataclass(frozen=True, slots=True, kw_only=True)
class Cushion:
    """An account at its venue, in dollars at the venue's own prices.

    Attributes
    ----------
    equity, maintenance : float
        Of everything there that counts for its positions. [USD]
    notional : float
        Sum of what it holds. [USD]
    """

    equity: float
    maintenance: float
    notional: float

    @property
    def above(self) -> float:
        """Return what is left until the venue liquidates. [USD]"""
        return self.equity - self.maintenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One instant of the day.

    Attributes
    ----------
    prices : mapping of str to float
        By asset, as most venues have it. [USD]
    pegs : mapping of str to float
        By ``asset`` or ``asset@venue``. [USD]
    utilisation : mapping of str to float
        By netting set, as the loop decides on it. [-]
    aided, unaided : mapping of str to Cushion
        By netting set, with the platform and without.
    """

    at: datetime
    prices: Mapping[str, float]
    pegs: Mapping[str, float]
    utilisation: Mapping[str, float]
    aided: Mapping[str, Cushion]
    unaided: Mapping[str, Cushion]


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A call of the loop and how it ended."""

    call_id: str
    netting_set_id: str
    issued_at: datetime
    amount: Decimal
    currency: str
    due_at: datetime
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A transfer that brought collateral; an instant is None where it has not come so far.

    ``n_executed`` is how often the venues carried it out, by their own books.
    """

    transfer_key: str
    netting_set_id: str
    call_id: str
    source: str
    destination: str
    asset: str
    quantity: Decimal
    proposed_at: datetime
    sent_at: datetime | None
    credited_at: datetime | None
    state: str
    n_executed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Something that the loop did not trust, and until when."""

    scope: str
    name: str
    state: str
    reason: str
    begins_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A drill from its close to its end.

    Attributes
    ----------
    liquidated, liquidated_unaided : sequence of Liquidated
        What the venues closed of the clients, with the platform and without.
    n_open_breaks : int
        Differences between ledger and venues after the last round of reconciliation.
    n_steps : int
    real_seconds : float
        How long all of it took.
    """

    day: DrillDay
    source: str
    clients: Sequence[DrillClient]
    samples: Sequence[Sample]
    calls: Sequence[Called]
    moves: Sequence[Moved]
    doubts: Sequence[Doubt]
    liquidated: Sequence[Liquidated]
    liquidated_unaided: Sequence[Liquidated]
    n_open_breaks: int
    breaks: Sequence[str]
    troubles: Mapping[str, str]
    """What kept a call from being paid last, by call."""
    n_steps: int
    step_seconds: float
    approval_minutes: float
    confirmation_seconds: float
    real_seconds: float

    @property
    def scale(self) -> float:
        """Return seconds of the day per real second."""
        return self.day.seconds / self.real_seconds if self.real_seconds else 0.0

    def outcomes(self) -> list[Outcome]:
        """Return what became of each client, with the platform and without."""
        return [_outcome(self, client) for client in self.clients]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A client's day in one row. Amounts in dollars.

    Attributes
    ----------
    first_call_at, first_credit_at, liquidated_at : datetime, optional
        The last is when its venue begins to liquidate it without the platform.
    paid : float
        Collateral that arrived, at the prices of the end.
    closed : float
        What the venue closed without the platform, at its marks then.
    fees, slipped : float
        What that cost beside the mark.
    missed : float
        What the closed positions would have gained (+) or lost (-) from there to the end.
    written_off : float
        What the venue's fund put in.
    n_calls, n_transfers, n_liquidated : int
        The last is with the platform.
    lowest, lowest_unaided : float
        The least that was left until liquidation.
    """

    netting_set_id: str
    says: str
    venue: str
    n_calls: int
    n_transfers: int
    n_liquidated: int
    first_call_at: datetime | None
    first_credit_at: datetime | None
    liquidated_at: datetime | None
    paid: float
    closed: float
    fees: float
    slipped: float
    missed: float
    written_off: float
    lowest: float
    lowest_unaided: float

    @property
    def cost(self) -> float:
        """Return what being liquidated cost until the end of the day. [USD]"""
        return self.fees + self.slipped + self.missed

    @property
    def lead_of_call(self) -> timedelta | None:
        """Return from the first call to the first liquidation; None without one of them."""
        return _between(self.first_call_at, self.liquidated_at)

    @property
    def lead_of_credit(self) -> timedelta | None:
        """Return from the first arrival of collateral to the first liquidation."""
        return _between(self.first_credit_at, self.liquidated_at)


def _between(earlier: datetime | None, later: datetime | None) -> timedelta | None:
    return None if earlier is None or later is None else later - earlier


def _outcome(played: Played, client: DrillClient) -> Outcome:
    name, last = client.netting_set_id, played.samples[-1]
    calls = [one for one in played.calls if one.netting_set_id == name]
    moves = [one for one in played.moves if one.netting_set_id == name]
    arrived = [one.credited_at for one in moves if one.credited_at is not None]
    closed = acts_of(client, played.liquidated_unaided)
    dollars = [in_dollars(one, last) for one in closed]
    prices = {**last.prices, **{asset: last.pegs.get(asset, 1.0) for asset in ("USDT", "USDC")}}
    return Outcome(
        netting_set_id=name,
        says=client.says,
        venue=client.venue,
        n_calls=len(calls),
        n_transfers=len(moves),
        n_liquidated=len(acts_of(client, played.liquidated)),
        first_call_at=min((one.issued_at for one in calls), default=None),
        first_credit_at=min(arrived, default=None),
        liquidated_at=min((one.at for one in closed), default=None),
        paid=sum(
            float(one.quantity) * prices.get(one.asset, 1.0)
            for one in moves
            if one.credited_at is not None
        ),
        closed=sum(one.closed for one in dollars),
        fees=sum(one.fee for one in dollars),
        slipped=sum(one.slipped for one in dollars),
        missed=sum(one.missed for one in dollars),
        written_off=sum(one.written_off for one in dollars),
        lowest=min(one.aided[name].above for one in played.samples),
        lowest_unaided=min(one.unaided[name].above for one in played.samples),
    )


def acts_of(client: DrillClient, acts: Sequence[Liquidated]) -> list[Liquidated]:
    """Return the liquidations of a client's account."""
    account = client.place.partition("/")[2]
    return [one for one in acts if one.venue == client.venue and one.account_id == account]


@dataclass(frozen=True, slots=True, kw_only=True)
class InDollars:
    """One act of liquidation in dollars."""

    closed: float
    fee: float
    slipped: float
    missed: float
    written_off: float


def in_dollars(act: Liquidated, last: Sample) -> InDollars:
    """Return an act in dollars; what was missed is measured at the prices of the last sample."""
    asset = underlying_of(act.symbol)
    is_inverse = is_inverse_symbol(act.symbol)
    mark, end = float(act.mark_price), last.prices[asset]
    # Fees are in the settlement asset: coins of an inverse contract, dollars nearly of others.
    unit = mark if is_inverse else 1.0
    closed = float(act.value) * unit
    sign = 1.0 if act.quantity < 0 else -1.0
    return InDollars(
        closed=closed,
        fee=float(act.fee) * unit,
        slipped=float(act.slipped) * unit,
        missed=sign * closed * (end / mark - 1.0),
        written_off=float(act.written_off) * unit,
    )


def underlying_of(symbol: str) -> str:
    """Return the coin of a venue's symbol."""
    return next(asset for asset in ("BTC", "ETH", "SOL") if symbol.startswith(asset))


def is_inverse_symbol(symbol: str) -> bool:
    """Return whether a venue's symbol is of a contract that settles in its coin."""
    return symbol in ("BTC-PERPETUAL", "ETH-PERPETUAL") or "-USD-" in symbol
