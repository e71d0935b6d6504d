"""Attestations as rows of a hash chain; each sets what counts as held at its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, or_, select

from engine.errors import LedgerError
from engine.ledger.attestations import Attestation, counted_quantity, require_valid_attestation
from engine.ledger.balances import Balance
from engine.ledger.entries import Posting
from engine.times import require_utc
from infra.db.audit import chain_head
from infra.db.bulk import among, insert_rows
from infra.db.canonical import link
from infra.db.ledger_balances import asset_scales, balances_of, planned, write_balances
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
    news = _news(connection, attestations)
    if news:
        _record(connection, now, news)
    return news


def _news(connection: Connection, attestations: Sequence[Attestation]) -> list[Attestation]:
    """Return those that are new, in their order, each seen beside the ones before it."""
    of_them = among(
        connection, AttestationRow.account, sorted({one.account for one in attestations})
    )
    instants = {require_utc(one.as_of, "as_of") for one in attestations}
    recorded: dict[tuple[str, str, datetime, str], int | None] = {
        (row.asset, row.account, row.as_of, row.source): row.quantity
        for row in connection.execute(
            select(AttestationRow.__table__).where(of_them, AttestationRow.as_of.in_(instants))
        )
    }
    newest = {
        (row.asset, row.account): row.newest
        for row in connection.execute(
            select(
                AttestationRow.asset,
                AttestationRow.account,
                func.max(AttestationRow.as_of).label("newest"),
            )
            .where(of_them)
            .group_by(AttestationRow.asset, AttestationRow.account)
        )
    }
    news = []
    for one in attestations:
        key = (one.asset, one.account, require_utc(one.as_of, "as_of"), one.source)
        said = recorded.setdefault(key, None)
        if said is not None and said != one.quantity:
            raise LedgerError(
                f"{one.source} attested {said} minor units of {one.asset} at {one.place} as of "
                f"{one.as_of.isoformat()}, not {one.quantity}: one instant has one quantity",
                identifier=f"{one.account} {one.asset}",
                value=one.quantity,
                limit=str(said),
            )
        latest = newest.get(key[:2])
        recorded[key] = one.quantity
        if said is None and (latest is None or latest <= key[2]):
            newest[key[:2]] = key[2]
            news.append(one)
    return news


def _record(connection: Connection, now: datetime, news: Sequence[Attestation]) -> None:
    """Add rows to the chain and set what counts as held at their places."""
    entries = chain_head(connection, EntryRow.position, EntryRow.hash)
    counted = _counted(connection, news)
    keys = {(one.account, one.asset) for one in news}
    before = balances_of(connection, sorted({account for account, _ in keys}))
    final = {(one.account, one.asset): units for one, units in zip(news, counted, strict=True)}
    open_accounts(connection, now, [account for account, _ in keys])
    head = chain_head(connection, AttestationRow.position, AttestationRow.hash)
    digest, rows = head.hash, []
    for position, (one, units) in enumerate(
        zip(news, counted, strict=True), start=head.position + 1
    ):
        row = {
            "asset": one.asset,
            "account": one.account,
            "quantity": one.quantity,
            "as_of": require_utc(one.as_of, "as_of"),
            "source": one.source,
            "after_entry": entries.position,
            "counted_quantity": units,
            "recorded_at": now,
        }
        digest = link(digest, row)
        rows.append({"position": position, "hash": digest, **row})
    insert_rows(connection, AttestationRow, rows)
    n_by_asset = Counter(one.asset for one in news)
    for asset, n in sorted(n_by_asset.items()):
        changes = {
            key: Balance(attested=units - before.get(key, Balance()).attested)
            for key, units in final.items()
            if key[1] == asset
        }
        write_balances(connection, planned(connection, changes, n_attested=n))


def _counted(connection: Connection, news: Sequence[Attestation]) -> list[int]:
    """Return what each is worth after what was booked since its instant.

    What was booked by then the source has seen: what it shows, it shows before we book it.
    """
    seen: dict[datetime, int] = {}
    for as_of in {require_utc(one.as_of, "as_of") for one in news}:
        query = select(func.coalesce(func.max(EntryRow.position), 0)).where(
            EntryRow.recorded_at <= as_of
        )
        seen[as_of] = connection.execute(query).scalar_one()
    accounts = sorted({one.account for one in news})
    query = select(PostingRow.__table__).where(
        PostingRow.position > min(seen.values()),
        or_(
            among(connection, PostingRow.debit, accounts),
            among(connection, PostingRow.credit, accounts),
        ),
    )
    since: dict[tuple[str, str], list[tuple[int, Posting]]] = {}
    for row in connection.execute(query.order_by(PostingRow.position, PostingRow.line)):
        posting = Posting(row.debit, row.credit, row.asset, row.amount)
        for account in (row.debit, row.credit):
            since.setdefault((account, row.asset), []).append((row.position, posting))
    return [
        counted_quantity(
            one,
            [
                posting
                for position, posting in since.get((one.account, one.asset), ())
                if position > seen[require_utc(one.as_of, "as_of")]
            ],
        )
        for one in news
    ]
