"""Attestations as rows of a hash chain; each sets what counts as held at its place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, or_, select

from engine.errors import LedgerError
from engine.ledger.attestations import Attestation, counted_quantity, require_valid_attestation
from engine.ledger.balances import Balance
from engine.ledger.entries import Posting
from engine.times import require_utc
from infra.db.audit import chain_head
from infra.db.bulk import insert_rows
from infra.db.canonical import link
from infra.db.ledger_balances import asset_scales, balance_of, planned, write_balances
from infra.db.ledger_booking import open_accounts
from infra.db.ledger_tables import AttestationRow
from infra.db.tables import EntryRow, PostingRow


def attest(
    connection: Connection, now: datetime, attestations: Sequence[Attestation]
) -> list[Attestation]:
    """Record attestations in their order and return those that are new.

    One that is recorded already, or older than what stands for its place and asset, is left out.

    Raises
    ------
    LedgerError
        If the same source said another quantity for the same instant, or a value is out of range.
    """
    assets = frozenset(asset_scales(connection))
    for attestation in attestations:
        require_valid_attestation(attestation, assets, now)
    return [
        one for one in attestations if _is_news(connection, one) and _record(connection, now, one)
    ]


def _is_news(connection: Connection, attestation: Attestation) -> bool:
    is_its = (
        AttestationRow.asset == attestation.asset,
        AttestationRow.account == attestation.account,
    )
    same = connection.execute(
        select(AttestationRow.quantity).where(
            *is_its,
            AttestationRow.as_of == attestation.as_of,
            AttestationRow.source == attestation.source,
        )
    ).scalar_one_or_none()
    if same is not None and same != attestation.quantity:
        raise LedgerError(
            f"{attestation.source} attested {same} minor units of {attestation.asset} at "
            f"{attestation.place} as of {attestation.as_of.isoformat()}, not "
            f"{attestation.quantity}: one instant has one quantity",
            identifier=f"{attestation.account} {attestation.asset}",
            value=attestation.quantity,
            limit=str(same),
        )
    newest = connection.execute(
        select(AttestationRow.as_of).where(*is_its).order_by(AttestationRow.as_of.desc()).limit(1)
    ).scalar_one_or_none()
    as_of = require_utc(attestation.as_of, "as_of")
    return same is None and (newest is None or newest <= as_of)


def _record(connection: Connection, now: datetime, attestation: Attestation) -> bool:
    as_of = require_utc(attestation.as_of, "as_of")
    entries = chain_head(connection, EntryRow.position, EntryRow.hash)
    counted = counted_quantity(attestation, _booked_since(connection, attestation, as_of))
    key = (attestation.account, attestation.asset)
    before = balance_of(connection, *key)
    change = Balance(attested=counted - before.attested)
    new = planned(connection, {key: change}, n_attested=1)
    open_accounts(connection, now, [attestation.account])
    head = chain_head(connection, AttestationRow.position, AttestationRow.hash)
    row = {
        "asset": attestation.asset,
        "account": attestation.account,
        "quantity": attestation.quantity,
        "as_of": as_of,
        "source": attestation.source,
        "after_entry": entries.position,
        "counted_quantity": counted,
        "recorded_at": now,
    }
    position = {"position": head.position + 1, "hash": link(head.hash, row)}
    insert_rows(connection, AttestationRow, [{**position, **row}])
    write_balances(connection, new)
    return True


def _booked_since(
    connection: Connection, attestation: Attestation, as_of: datetime
) -> list[Posting]:
    # What was booked by then the source has seen: what it shows, it shows before we book it.
    last_seen = (
        select(func.coalesce(func.max(EntryRow.position), 0))
        .where(EntryRow.recorded_at <= as_of)
        .scalar_subquery()
    )
    query = select(PostingRow.__table__).where(
        PostingRow.position > last_seen,
        PostingRow.asset == attestation.asset,
        or_(PostingRow.debit == attestation.account, PostingRow.credit == attestation.account),
    )
    return [
        Posting(row.debit, row.credit, row.asset, row.amount) for row in connection.execute(query)
    ]
