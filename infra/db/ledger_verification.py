"""Is the ledger what was booked? Chains, balances against their fold, holds, backing, anchors.

The first row that is wrong is named: table, position or key, and what differs. Nothing is
repaired: a ledger that fails is evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from engine.errors import MarginPlatformError, StateError
from engine.ledger.accounts import CLIENT_KINDS
from engine.ledger.balances import Backing, Balance, BalanceKey, changes_of
from engine.ledger.entries import Posting
from infra.db.audit import Head, require_audit_chain
from infra.db.ledger_chains import chained_rows, entry_rows, rows_of, wrong
from infra.db.ledger_opening import TakenOver, require_accounts, require_assets, taken_over
from infra.db.ledger_tables import (
    AttestationRow,
    BackingRow,
    BalanceRow,
    HoldResolutionRow,
    HoldRow,
)

# Chain in the anchors -> what it counts. The chain of entries is older than its table's siblings.
ENTRIES: Final = "ledger"
COUNTED: Final = (
    "entries", "postings", "holds", "pending holds", "resolutions", "attestations", "accounts",
    "balances", "assets",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """A ledger that is in order: how much of each was verified, and the heads of its chains."""

    counts: Mapping[str, int]
    heads: Mapping[str, Head]
    n_anchors: int


@dataclass(frozen=True, slots=True)
class _PostedHold:
    """The resolution that posted a hold, and the one posting that its entry must have."""

    resolution: int
    posting: Posting


@dataclass(slots=True)
class _Books:
    """What the rows seen so far add up to."""

    taken: TakenOver
    balances: dict[BalanceKey, Balance] = field(default_factory=dict)
    n_attestations: dict[str, int] = field(default_factory=dict)
    used_at: dict[str, set[datetime]] = field(default_factory=dict)
    older: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)

    def add(self, key: BalanceKey, change: Balance) -> None:
        self.balances[key] = self.balances.get(key, Balance()) + change

    def use(self, account: str, instant: datetime) -> None:
        self.used_at.setdefault(account, set()).add(instant)


def verify_ledger(
    connection: Connection, anchors: Mapping[str, Mapping[int, str]], n_anchors: int = 0
) -> LedgerReport:
    """Recompute everything that the ledger keeps and compare.

    Parameters
    ----------
    connection : Connection
        One state of the database.
    anchors : Mapping
        Heads that were anchored outside the database: chain, then position, then hash.

    Raises
    ------
    StateError
        If a row was altered, removed, inserted or moved, or a sum is not the sum of its rows.
    """
    _require_audit(connection, anchors)
    books = _Books(taken=taken_over(connection))
    books.counts["assets"] = require_assets(connection, books.taken)
    posted_by = _resolutions(connection, books, anchors)
    attested = _attestations(connection, books, anchors)
    held = _holds(connection, books, anchors, posted_by)
    _entries(connection, books, anchors, held, attested)
    require_accounts(connection, books.used_at, books.older, books.taken)
    books.counts["accounts"] = len(books.used_at)
    _require_balances(connection, books)
    _require_backing(connection, books)
    _require_sound_file(connection)
    return LedgerReport({name: books.counts[name] for name in COUNTED}, books.heads, n_anchors)


def _require_audit(connection: Connection, anchors: Mapping[str, Mapping[int, str]]) -> None:
    try:
        require_audit_chain(connection, anchors.get("audit", {}))
    except StateError:
        raise
    except (SQLAlchemyError, MarginPlatformError, ValueError, TypeError) as error:
        raise wrong("audit", "", f"cannot be read: {error}") from error


def _resolutions(
    connection: Connection, books: _Books, anchors: Mapping[str, Mapping[int, str]]
) -> dict[int, Mapping[str, Any]]:
    """Return the resolutions by hold."""
    table = HoldResolutionRow
    name = table.__tablename__
    found: dict[int, Mapping[str, Any]] = {}
    for row in chained_rows(connection, table, anchors.get(name, {}), books.heads):
        if row["hold"] in found:
            raise wrong(name, row["position"], f"ends hold {row['hold']} a second time")
        found[row["hold"]] = row
    books.counts["resolutions"] = len(found)
    return found


def _attestations(
    connection: Connection, books: _Books, anchors: Mapping[str, Mapping[int, str]]
) -> list[Mapping[str, Any]]:
    table = AttestationRow
    anchored = anchors.get(table.__tablename__, {})
    found = list(chained_rows(connection, table, anchored, books.heads))
    books.counts["attestations"] = len(found)
    return found


def _entries(
    connection: Connection,
    books: _Books,
    anchors: Mapping[str, Mapping[int, str]],
    posted_holds: Mapping[int, _PostedHold],
    attested: list[Mapping[str, Any]],
) -> None:
    """Fold entries and attestations in the order in which they were recorded."""
    ends = dict(posted_holds)
    waiting = list(reversed(attested))
    n_postings = 0
    for row, postings in entry_rows(connection, anchors.get(ENTRIES, {}), books.heads):
        while waiting and waiting[-1]["after_entry"] < row["position"]:
            _attest(books, waiting.pop())
        for key, change in changes_of(postings).items():
            books.add(key, change)
            books.use(key[0], row["recorded_at"])
            if row["position"] <= books.taken.n_entries:
                books.older.add(key[0])
        n_postings += len(postings)
        end = ends.pop(row["position"], None)
        if end is not None and postings != (end.posting,):
            fact = f"names entry {row['position']}, which does not post its hold: {end.posting}"
            raise wrong(HoldResolutionRow.__tablename__, end.resolution, fact)
    while waiting:
        _attest(books, waiting.pop())
    for position, end in ends.items():
        fact = f"names entry {position}, which is not there"
        raise wrong(HoldResolutionRow.__tablename__, end.resolution, fact)
    books.counts["entries"] = books.heads[ENTRIES].position
    books.counts["postings"] = n_postings


def _attest(books: _Books, row: Mapping[str, Any]) -> None:
    key = (row["account"], row["asset"])
    before = books.balances.get(key, Balance())
    books.balances[key] = Balance(before.posted, before.held, row["counted_quantity"])
    books.n_attestations[row["asset"]] = books.n_attestations.get(row["asset"], 0) + 1
    books.use(row["account"], row["recorded_at"])


def _holds(
    connection: Connection,
    books: _Books,
    anchors: Mapping[str, Mapping[int, str]],
    posted_by: Mapping[int, Mapping[str, Any]],
) -> dict[int, _PostedHold]:
    """Fold the holds and return by entry what posted ones must have moved."""
    table = HoldRow
    posted: dict[int, _PostedHold] = {}
    ended = dict(posted_by)
    n_holds = n_pending = 0
    for row in chained_rows(connection, table, anchors.get(table.__tablename__, {}), books.heads):
        n_holds += 1
        for account in (row["debit"], row["credit"]):
            books.use(account, row["recorded_at"])
        # A hold leaves a row of its balance even when it was released.
        end = ended.pop(row["position"], None)
        n_pending += end is None
        books.add((row["debit"], row["asset"]), Balance(held=0 if end else row["amount"]))
        if end and (end["posted_amount"] or 0) > row["amount"]:
            fact = f"posts {end['posted_amount']} of hold {row['hold_key']}, which holds less"
            raise wrong(HoldResolutionRow.__tablename__, end["position"], fact)
        if end and end["entry"] is not None:
            moved = Posting(row["debit"], row["credit"], row["asset"], end["posted_amount"])
            posted[end["entry"]] = _PostedHold(end["position"], moved)
    for hold, end in ended.items():
        fact = f"ends hold {hold}, which is not there"
        raise wrong(HoldResolutionRow.__tablename__, end["position"], fact)
    books.counts["holds"] = n_holds
    books.counts["pending holds"] = n_pending
    return posted


def _require_balances(connection: Connection, books: _Books) -> None:
    """Raise unless every balance is the fold of its rows (I-02)."""
    table = BalanceRow
    left = dict(books.balances)
    for row in rows_of(connection, table, (table.account, table.asset)):
        name = f"{row['account']} {row['asset']}"
        wanted = left.pop((row["account"], row["asset"]), None)
        if wanted is None:
            raise wrong(table.__tablename__, name, "is there, but nothing was ever booked on it")
        for part in ("posted", "held", "attested"):
            if row[part] != getattr(wanted, part):
                fact = f"says {row[part]} {part}, but its rows add up to {getattr(wanted, part)}"
                raise wrong(table.__tablename__, name, fact)
    if left:
        account, asset = min(left)
        raise wrong(table.__tablename__, f"{account} {asset}", "is missing")
    books.counts["balances"] = len(books.balances)


def _require_backing(connection: Connection, books: _Books) -> None:
    table = BackingRow
    wanted: dict[str, Backing] = {}
    for (account, asset), balance in books.balances.items():
        before = wanted.get(asset, Backing())
        owed = balance.posted if account.partition(":")[0] in CLIENT_KINDS else 0
        wanted[asset] = Backing(
            before.credited + owed,
            before.attested + balance.attested,
            books.n_attestations.get(asset, 0),
        )
    for row in rows_of(connection, table, (table.asset,)):
        total = wanted.pop(row["asset"], None)
        if total is None:
            raise wrong(table.__tablename__, row["asset"], "is there, but nothing was ever booked")
        for part in ("credited", "attested", "n_attestations"):
            if row[part] != getattr(total, part):
                fact = f"says {row[part]} {part}, but its rows add up to {getattr(total, part)}"
                raise wrong(table.__tablename__, row["asset"], fact)
    if wanted:
        raise wrong(table.__tablename__, min(wanted), "is missing")


def _require_sound_file(connection: Connection) -> None:
    """Raise if an index of an embedded database is not that of its table."""
    if connection.dialect.name != "sqlite":
        return
    found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one()
    if found != "ok":
        raise wrong("the file", "", f"is damaged: {found}")
