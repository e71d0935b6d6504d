"""What places hold, by their own word, recorded as what stands behind credits to clients.

Only a reading that is whole says anything. It counts what the place owes us of an asset: the wallet
and, where the venue says so by asset, the open profit, because clients are credited their gains
before a venue has paid them. A debt counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, or_, select

from engine.ledger.accounts import location_account
from engine.ledger.attestations import Attestation
from infra.db.bulk import among
from infra.db.ledger_balances import asset_scales, balances_of
from infra.db.ledger_tables import AttestationRow
from infra.db.tables import EntryRow, PostingRow

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from engine.ports import AccountSnapshot
    from infra.db import Database
    from infra.reconciling.looking import PlaceLook

AUDITED: Final = "holdings attested"
AGAIN_AFTER: Final = timedelta(hours=1)
"""A place that says the same is recorded again after this long."""
RISE_MIN: Final = Decimal("0.01")
"""Within that hour a rise is recorded from this share on; a fall always is. [-]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHoldings:
    """What one place holds, read whole.

    Attributes
    ----------
    place : str
        ``<venue>/<account>``, ``<custodian>/<vault>``, or the location of a statement.
    source : str
        Whose word it is.
    as_of : datetime
        Instant of the reading.
    quantities : mapping of str to Decimal
        Units by asset; one that is not there is held no longer.
    watermark : str
        Position in the source's history that the reading includes, where it says so.
    """

    place: str
    source: str
    as_of: datetime
    quantities: Mapping[str, Decimal]
    watermark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """What was recorded: new attestations, and places or assets left for the next time."""

    n_places: int = 0
    n_new: int = 0
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """What stands for a place and asset."""

    units: int = 0
    as_of: datetime | None = None


@dataclass(slots=True)
class _Plan:
    scales: Mapping[str, int]
    known: Mapping[str, Mapping[str, _Known]]
    attestations: list[Attestation] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


def holdings_of(place: str, snapshot: AccountSnapshot) -> PlaceHoldings:
    """Return what an account or vault holds, from a reading of it."""
    return PlaceHoldings(
        place=place,
        source=snapshot.reading.source,
        as_of=snapshot.reading.received_at,
        quantities={one.asset: _owed(one.quantity, one.equity) for one in snapshot.balances},
        watermark=snapshot.reading.watermark,
    )


def attest_holdings(
    database: Database, holdings: Sequence[PlaceHoldings], reference: str
) -> Attested:
    """Record what places hold, as of their readings; ``reference`` is the run that read them.

    What was booked at a place since its reading is allowed for by the ledger; a reading older than
    what stands for a place changes nothing.
    """
    with database.writing() as connection:
        plan = _Plan(asset_scales(connection), _known(connection, holdings))
        for one in holdings:
            _plan(plan, one, one.as_of, frozenset(), is_all=True)
        return _recorded(database, connection, holdings, plan, reference)


def attest_round(
    database: Database, looks: Iterable[PlaceLook], started_at: datetime, reference: str
) -> Attested:
    """Record what the places of a round of reconciliation hold, once their history is booked.

    The lines that a round books are in the balances that it read, so these count as of now. What
    moved in between by a transfer of ours, or by a line that may be in the balances or not, waits
    for the next round.
    """
    whole = [
        each
        for each in looks
        if each.snapshot is not None
        and each.snapshot.reading.is_complete
        and not each.booked.refused
    ]
    holdings = [holdings_of(each.place, each.snapshot) for each in whole if each.snapshot]
    with database.writing() as connection:
        now = database.clock()
        plan = _Plan(asset_scales(connection), _known(connection, holdings))
        moved = _moved(connection, [each.place for each in whole], started_at)
        for each, one in zip(whole, holdings, strict=True):
            between = {line.asset for line in each.between}
            unsure = frozenset(between | moved.get(each.place, set()))
            _plan(plan, one, now, unsure, is_all=False)
        return _recorded(database, connection, holdings, plan, reference)


def _plan(
    plan: _Plan,
    one: PlaceHoldings,
    as_of: datetime,
    unsure: frozenset[str],
    *,
    is_all: bool,
) -> None:
    known = plan.known.get(one.place, {})
    assets = {*one.quantities, *(asset for asset, stands in known.items() if stands.units)}
    for asset in sorted(assets):
        if asset not in plan.scales:
            continue
        if asset in unsure:
            plan.waiting.append(f"{one.place} {asset}")
            continue
        units = _units(one.quantities.get(asset, Decimal(0)), plan.scales[asset])
        stands = known.get(asset, _Known())
        if is_all or _is_worth_it(units, stands, as_of):
            plan.attestations.append(
                Attestation(
                    asset=asset, place=one.place, quantity=units, as_of=as_of, source=one.source
                )
            )


def _is_worth_it(units: int, stands: _Known, as_of: datetime) -> bool:
    if stands.as_of is None or units < stands.units or as_of - stands.as_of >= AGAIN_AFTER:
        return True
    return units - stands.units > RISE_MIN * stands.units


def _known(
    connection: Connection, holdings: Sequence[PlaceHoldings]
) -> dict[str, dict[str, _Known]]:
    """Return what stands by place and asset."""
    places = {location_account(one.place): one.place for one in holdings}
    accounts = sorted(places)
    balances = balances_of(connection, accounts)
    query = (
        select(
            AttestationRow.account,
            AttestationRow.asset,
            func.max(AttestationRow.as_of).label("newest"),
        )
        .where(among(connection, AttestationRow.account, accounts))
        .group_by(AttestationRow.account, AttestationRow.asset)
    )
    known: dict[str, dict[str, _Known]] = {}
    for account, asset, newest in connection.execute(query):
        units = balances[account, asset].attested if (account, asset) in balances else 0
        known.setdefault(places[account], {})[asset] = _Known(units, newest)
    return known


def _moved(
    connection: Connection, places: Sequence[str], started_at: datetime
) -> dict[str, set[str]]:
    """Return by place the assets that anything but the place's own lines moved since then."""
    accounts = {location_account(place): place for place in places}
    names = sorted(accounts)
    query = (
        select(PostingRow.debit, PostingRow.credit, PostingRow.asset)
        .join(EntryRow, EntryRow.position == PostingRow.position)
        .where(
            EntryRow.recorded_at >= started_at,
            EntryRow.kind != "opening",
            ~EntryRow.kind.startswith("venue "),
            or_(
                among(connection, PostingRow.debit, names),
                among(connection, PostingRow.credit, names),
            ),
        )
    )
    moved: dict[str, set[str]] = {}
    for debit, credit, asset in connection.execute(query):
        for account in (debit, credit):
            if account in accounts:
                moved.setdefault(accounts[account], set()).add(asset)
    return moved


def _recorded(
    database: Database,
    connection: Connection,
    holdings: Sequence[PlaceHoldings],
    plan: _Plan,
    reference: str,
) -> Attested:
    new = database.ledger.attest_within(connection, plan.attestations)
    if new:
        places = {one.place for one in new}
        read = [one for one in holdings if one.place in places]
        database.audit.append_within(
            connection,
            AUDITED,
            reference,
            {
                "n_attestations": len(new),
                "read_at": {one.place: one.as_of.isoformat() for one in read},
                "watermarks": {one.place: one.watermark for one in read if one.watermark},
            },
        )
    return Attested(n_places=len(holdings), n_new=len(new), waiting=tuple(plan.waiting))


def _owed(quantity: Decimal, equity: Decimal | None) -> Decimal:
    return max(quantity if equity is None else equity, Decimal(0))


def _units(quantity: Decimal, scale: int) -> int:
    """Return whole minor units, never more than there are."""
    # In whole numbers: a decimal context would round what has more digits than it keeps, also up.
    numerator, denominator = quantity.as_integer_ratio()
    return max(int(numerator * 10**scale // denominator), 0)
