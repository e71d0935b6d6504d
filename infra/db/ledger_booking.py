"""Booking: entries and their postings become rows, linked to the rows before, with balances."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.orm import aliased

from engine.errors import LedgerError
from engine.ledger.balances import Balance, BalanceKey, changes_of
from engine.ledger.entries import Entry, Hold, Posting, require_valid_entry
from infra.db.audit import chain_head
from infra.db.bulk import among, insert_rows
from infra.db.canonical import canonical_json, link
from infra.db.ledger_balances import asset_scales, planned, write_balances
from infra.db.tables import AccountRow, EntryRow, PostingRow


def book(
    connection: Connection, now: datetime, entries: Sequence[Entry], released: Sequence[Hold] = ()
) -> list[int]:
    """Book entries that are not booked yet and return their positions.

    ``released`` holds no longer count against their accounts from the same instant.
    """
    assets = frozenset(asset_scales(connection))
    for entry in entries:
        require_valid_entry(entry, assets)
    corrected = _corrected(connection, entries)
    changes = changes_of(posting for entry in entries for posting in entry.postings)
    new = planned(connection, with_holds(changes, released, -1))
    open_accounts(
        connection,
        now,
        (
            account
            for entry in entries
            for posting in entry.postings
            for account in (posting.debit, posting.credit)
        ),
    )
    positions = _insert(connection, now, entries, corrected)
    write_balances(connection, new)
    return positions


def with_holds(
    changes: Mapping[BalanceKey, Balance], holds: Sequence[Hold], sign: int
) -> dict[BalanceKey, Balance]:
    """Return ``changes`` with holds set aside (``sign`` 1) or released (-1)."""
    result = dict(changes)
    for hold in holds:
        key = (hold.debit, hold.asset)
        result[key] = result.get(key, Balance()) + Balance(held=sign * hold.amount)
    return result


def not_booked(connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries whose keys are new.

    Raises
    ------
    LedgerError
        If a key is booked with other postings.
    """
    keys = [entry.business_key for entry in entries]
    query = select(EntryRow.business_key, EntryRow.body_hash).where(
        among(connection, EntryRow.business_key, keys)
    )
    booked = {row.business_key: row.body_hash for row in connection.execute(query)}
    new: dict[str, Entry] = {}
    for entry in entries:
        before = booked.get(entry.business_key)
        if before is None and entry.business_key in new:
            before = _body_hash(new[entry.business_key])
        if before is None:
            new[entry.business_key] = entry
        elif before != _body_hash(entry):
            raise LedgerError(
                f"entry {entry.business_key} is booked with other postings: a correction is a new "
                "entry that names the old one",
                identifier=entry.business_key,
            )
    return list(new.values())


def open_accounts(connection: Connection, now: datetime, accounts: Iterable[str]) -> None:
    """Create the accounts that are not there yet."""
    used = set(accounts)
    is_used = among(connection, AccountRow.account, sorted(used))
    known = set(connection.execute(select(AccountRow.account).where(is_used)).scalars())
    insert_rows(
        connection,
        AccountRow,
        [
            {
                "account": account,
                "kind": account.partition(":")[0],
                "owner": account.partition(":")[2],
                "opened_at": now,
            }
            for account in sorted(used - known)
        ],
    )


def postings_by_entry(
    connection: Connection, positions: Sequence[int]
) -> dict[int, tuple[Posting, ...]]:
    """Return the postings of entries in their order."""
    found: dict[int, list[Posting]] = {}
    query = (
        select(PostingRow.__table__)
        .where(among(connection, PostingRow.position, positions))
        .order_by(PostingRow.position, PostingRow.line)
    )
    for row in connection.execute(query):
        posting = Posting(row.debit, row.credit, row.asset, row.amount)
        found.setdefault(row.position, []).append(posting)
    return {position: tuple(postings) for position, postings in found.items()}


def body_hash(
    kind: str, business_date: date, corrects: str | None, postings: Sequence[Posting]
) -> str:
    """Return the hash of what an entry says, whoever says it and when."""
    body = {
        "kind": kind,
        "business_date": business_date,
        "corrects": corrects,
        "postings": [
            [posting.debit, posting.credit, posting.asset, str(posting.amount)]
            for posting in postings
        ],
    }
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


def _body_hash(entry: Entry) -> str:
    return body_hash(entry.kind, entry.business_date, entry.corrects, entry.postings)


def _insert(
    connection: Connection, now: datetime, entries: Sequence[Entry], corrected: Mapping[str, int]
) -> list[int]:
    head = chain_head(connection, EntryRow.position, EntryRow.hash)
    digest = head.hash
    rows: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for position, entry in enumerate(entries, start=head.position + 1):
        row = {
            "business_key": entry.business_key,
            "body_hash": _body_hash(entry),
            "kind": entry.kind,
            "business_date": entry.business_date,
            "run_id": entry.run_id,
            "corrects": corrected.get(entry.corrects or ""),
            "recorded_at": now,
        }
        # The postings are part of the link through the hash of the body.
        digest = link(digest, row)
        rows.append({"position": position, "hash": digest, **row})
        lines += [
            {
                "position": position,
                "line": line,
                "debit": posting.debit,
                "credit": posting.credit,
                "asset": posting.asset,
                "amount": posting.amount,
            }
            for line, posting in enumerate(entry.postings, start=1)
        ]
    insert_rows(connection, EntryRow, rows)
    insert_rows(connection, PostingRow, lines)
    return [row["position"] for row in rows]


def _corrected(connection: Connection, entries: Sequence[Entry]) -> dict[str, int]:
    """Return the positions of the entries that are corrected, each booked and not corrected yet."""
    found: dict[str, int] = {}
    done: dict[str, str] = {}
    keys: dict[str, str] = {}
    for entry in entries:
        if entry.corrects:
            done |= {entry.corrects: keys[entry.corrects]} if entry.corrects in keys else {}
            keys[entry.corrects] = entry.business_key
    if not keys:
        return found
    correction = aliased(EntryRow)
    query = (
        select(EntryRow.business_key, EntryRow.position, correction.business_key)
        .outerjoin(correction, correction.corrects == EntryRow.position)
        .where(among(connection, EntryRow.business_key, sorted(keys)))
    )
    for key, position, by in connection.execute(query):
        found[key] = position
        if by is not None:
            done[key] = by
    for key, by in keys.items():
        if key not in found or key in done:
            fact = f"corrected already by {done[key]}" if key in done else "not booked"
            raise LedgerError(f"entry {by} corrects {key}, which is {fact}", identifier=key)
    return found
