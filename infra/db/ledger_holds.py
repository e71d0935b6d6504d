"""Holds: an amount set aside, and its one resolution, as rows of two hash chains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from engine.errors import LedgerError
from engine.ledger.entries import Entry, Hold, require_valid_hold
from engine.ledger.holds import HeldAmount, Outcome, Resolution, is_repetition
from engine.times import require_utc
from infra.db.audit import chain_head
from infra.db.bulk import among, insert_rows
from infra.db.canonical import link
from infra.db.ledger_balances import asset_scales, planned, write_balances
from infra.db.ledger_booking import book, not_booked, open_accounts, with_holds
from infra.db.ledger_tables import HoldResolutionRow, HoldRow

POSTED_HOLD = "hold posted"
_NAMES = ("hold_key", "debit", "credit", "asset", "amount", "business_date", "expires_at")


def entry_key_of(hold_key: str) -> str:
    """Return the business key of the entry that posts a hold."""
    return f"hold:{hold_key}"


def set_aside(connection: Connection, now: datetime, hold: Hold) -> bool:
    """Record a hold; return False if it is recorded already, whatever became of it since."""
    require_valid_hold(hold, frozenset(asset_scales(connection)))
    found = find_hold(connection, hold.hold_key)
    if found is not None:
        _require_same(found.hold, hold)
        return False
    new = planned(connection, with_holds({}, [hold], 1))
    open_accounts(connection, now, (hold.debit, hold.credit))
    head = chain_head(connection, HoldRow.position, HoldRow.hash)
    expires_at = hold.expires_at and require_utc(hold.expires_at, "expires_at")
    row = {**{name: getattr(hold, name) for name in _NAMES}, "expires_at": expires_at}
    row["recorded_at"] = now
    position = {"position": head.position + 1, "hash": link(head.hash, row)}
    insert_rows(connection, HoldRow, [{**position, **row}])
    write_balances(connection, new)
    return True


def post_hold(
    connection: Connection,
    now: datetime,
    hold_key: str,
    amount: int | None = None,
    business_date: date | None = None,
) -> bool:
    """Post a hold, or a part of it; return False if just that was done already."""
    found = require_hold(connection, hold_key)
    hold = found.hold
    wanted = Resolution("posted", hold.amount if amount is None else amount)
    if is_repetition(found, wanted):
        return False
    part = Hold(hold_key, hold.debit, hold.credit, hold.asset, wanted.posted_amount, date.min)
    entry = Entry(
        entry_key_of(hold_key),
        POSTED_HOLD,
        business_date or hold.business_date,
        None,
        (part.posting,),
    )
    if not not_booked(connection, [entry]):
        raise LedgerError(
            f"hold {hold_key}: an entry {entry.business_key} is booked that is not its own",
            identifier=hold_key,
        )
    [position] = book(connection, now, [entry], released=[hold])
    _resolve(connection, now, [hold_key], wanted, entry=position)
    return True


def release_hold(connection: Connection, now: datetime, hold_key: str, reason: str) -> bool:
    """Void a hold; return False if it is voided already."""
    found = require_hold(connection, hold_key)
    wanted = Resolution("voided", reason=reason)
    if is_repetition(found, wanted):
        return False
    _release(connection, now, [found.hold], wanted)
    return True


def expire(connection: Connection, now: datetime, instant: datetime) -> list[Hold]:
    """Release every pending hold whose time is over at ``instant``; return them."""
    query = (
        _pending()
        .where(HoldRow.expires_at.is_not(None), HoldRow.expires_at <= instant)
        .order_by(HoldRow.position)
    )
    due = [_held(row).hold for row in connection.execute(query)]
    if due:
        _release(connection, now, due, Resolution("expired", reason="its time is over"))
    return due


def find_hold(connection: Connection, hold_key: str) -> HeldAmount | None:
    """Return a hold and what became of it, or None."""
    row = connection.execute(_all().where(HoldRow.hold_key == hold_key)).one_or_none()
    return None if row is None else _held(row)


def require_hold(connection: Connection, hold_key: str) -> HeldAmount:
    """Return a hold and what became of it, or raise LedgerError."""
    found = find_hold(connection, hold_key)
    if found is None:
        raise LedgerError(f"there is no hold {hold_key}", identifier=hold_key)
    return found


def pending_holds(connection: Connection) -> list[Hold]:
    """Return what is set aside and not resolved, in the order of recording."""
    return [_held(row).hold for row in connection.execute(_pending().order_by(HoldRow.position))]


def _release(
    connection: Connection, now: datetime, holds: Sequence[Hold], wanted: Resolution
) -> None:
    new = planned(connection, with_holds({}, holds, -1))
    _resolve(connection, now, [hold.hold_key for hold in holds], wanted)
    write_balances(connection, new)


def _resolve(
    connection: Connection,
    now: datetime,
    hold_keys: Sequence[str],
    wanted: Resolution,
    entry: int | None = None,
) -> None:
    head = chain_head(connection, HoldResolutionRow.position, HoldResolutionRow.hash)
    positions = _positions(connection, hold_keys)
    digest = head.hash
    rows = []
    for position, hold_key in enumerate(hold_keys, start=head.position + 1):
        row = {
            "hold": positions[hold_key],
            "outcome": wanted.outcome,
            "posted_amount": wanted.posted_amount or None,
            "entry": entry,
            "reason": wanted.reason,
            "recorded_at": now,
        }
        digest = link(digest, row)
        rows.append({"position": position, "hash": digest, **row})
    insert_rows(connection, HoldResolutionRow, rows)


def _positions(connection: Connection, hold_keys: Sequence[str]) -> dict[str, int]:
    query = select(HoldRow.hold_key, HoldRow.position).where(
        among(connection, HoldRow.hold_key, hold_keys)
    )
    return {row.hold_key: row.position for row in connection.execute(query)}


def _all() -> Any:
    return select(
        HoldRow.__table__,
        HoldResolutionRow.outcome,
        HoldResolutionRow.posted_amount,
        HoldResolutionRow.reason,
    ).outerjoin(HoldResolutionRow, HoldResolutionRow.hold == HoldRow.position)


def _pending() -> Any:
    return _all().where(HoldResolutionRow.position.is_(None))


def _held(row: Row[Any]) -> HeldAmount:
    hold = Hold(*(getattr(row, name) for name in _NAMES))
    if row.outcome is None:
        return HeldAmount(hold)
    outcome: Outcome = row.outcome
    return HeldAmount(hold, Resolution(outcome, row.posted_amount or 0, row.reason))


def _require_same(found: Hold, wanted: Hold) -> None:
    differing = [name for name in _NAMES if getattr(found, name) != getattr(wanted, name)]
    if differing:
        name = differing[0]
        raise LedgerError(
            f"hold {wanted.hold_key} is recorded with {name} {getattr(found, name)}, not "
            f"{getattr(wanted, name)}: another intent needs another key",
            identifier=wanted.hold_key,
            value=getattr(wanted, name),
            limit=str(getattr(found, name)),
        )
