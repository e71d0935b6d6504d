"""What postings and holds do to balances, and which balances may not be.

Three whole numbers of minor units per account and asset: ``posted`` (credits less debits),
``held`` (set aside by pending holds on the debit side) and ``attested`` (how much of it an outside
source vouches for; locations and transit only).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from engine.errors import InsufficientCollateral, UnbackedCredit
from engine.ledger.accounts import CLIENT_KINDS, FLOORED_KINDS, kind_of, may_overdraw
from engine.ledger.entries import Posting
from engine.money import from_minor_units

BalanceKey: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Balance:
    """Minor units of one asset in one account."""

    posted: int = 0
    held: int = 0
    attested: int = 0

    @property
    def available(self) -> int:
        """Return what can still be moved: posted less held."""
        return self.posted - self.held

    def __add__(self, other: Balance) -> Balance:
        return Balance(
            self.posted + other.posted, self.held + other.held, self.attested + other.attested
        )


@dataclass(frozen=True, slots=True)
class Backing:
    """Minor units of one asset over all accounts: credited to clients, and vouched for.

    Attributes
    ----------
    credited : int
        Sum of the clients' collateral and margin; debts of clients count negative.
    attested : int
        Sum of what outside sources vouch for at all places, and of it what is in transit.
    n_attestations : int
        Attestations of the asset so far; without one, nothing is known and nothing refused.
    """

    credited: int = 0
    attested: int = 0
    n_attestations: int = 0


def changes_of(postings: Iterable[Posting]) -> dict[BalanceKey, Balance]:
    """Return by account and asset what postings add to the balances.

    What leaves a location or transit is attested there no longer. It stays attested on its way
    to another place, which the venue's own records show, but what comes in from elsewhere does
    not until somebody attests it.
    """
    changes: dict[BalanceKey, Balance] = {}
    for posting in postings:
        is_held = kind_of(posting.debit) in FLOORED_KINDS
        stays_held = is_held and kind_of(posting.credit) in FLOORED_KINDS
        taken = Balance(-posting.amount, 0, -posting.amount if is_held else 0)
        given = Balance(posting.amount, 0, posting.amount if stays_held else 0)
        for account, change in ((posting.debit, taken), (posting.credit, given)):
            key = (account, posting.asset)
            changes[key] = changes.get(key, Balance()) + change
    return changes


def backing_changes(changes: Mapping[BalanceKey, Balance]) -> dict[str, Backing]:
    """Return by asset what changes of balances add to what is credited and attested."""
    totals: dict[str, Backing] = {}
    for (account, asset), change in changes.items():
        before = totals.get(asset, Backing())
        credited = change.posted if kind_of(account) in CLIENT_KINDS else 0
        totals[asset] = replace(
            before,
            credited=before.credited + credited,
            attested=before.attested + change.attested,
        )
    return totals


def require_floor(account: str, asset: str, before: Balance, after: Balance, scale: int) -> None:
    """Raise InsufficientCollateral if an account that may not overdraw would (I-09).

    Parameters
    ----------
    account, asset : str
        Whose balance it is.
    before, after : Balance
        The balance as it is and as it would become.
    scale : int
        Decimals of the asset's minor unit, for the message.
    """
    if after.available >= 0 or may_overdraw(account):
        return
    wanted = before.available - after.available
    raise InsufficientCollateral(
        f"{account} has {_amount(before.available, asset, scale)} {asset} available "
        f"({_amount(before.posted, asset, scale)} posted, {_amount(before.held, asset, scale)} "
        f"held), wanted {_amount(wanted, asset, scale)}: wait for what is on its way in, void a "
        "hold, or ask for less",
        identifier=f"{account} {asset}",
        value=_amount(wanted, asset, scale),
        limit=f"{_amount(before.available, asset, scale)} available",
    )


def require_backed(asset: str, before: Backing, after: Backing, scale: int) -> None:
    """Raise UnbackedCredit if clients would be credited more than is attested (I-16).

    Only a credit is refused: what lowers the clients' sum always may, and what has left a place
    has left it whether clients are still credited or not.
    """
    is_credit = after.credited > before.credited
    if not after.n_attestations or not is_credit or after.credited <= after.attested:
        return
    raise UnbackedCredit(
        f"clients would be credited {_amount(after.credited, asset, scale)} {asset}, but "
        f"{_amount(after.attested, asset, scale)} are attested at all places and in transit: "
        "check amount and unit, or attest what came in since",
        identifier=asset,
        value=_amount(after.credited, asset, scale),
        limit=f"{_amount(after.attested, asset, scale)} attested",
    )


def _amount(units: int, asset: str, scale: int) -> Decimal:
    return from_minor_units(units, asset, scale).amount
