"""Hash chains: audit, ledger entries, call events and parameters cannot be altered unnoticed.

Each row holds the hash of its content and of the row before. The heads are also written to the
store, where the user of the database cannot reach: cutting off the end is noticed as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Select, insert, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from engine.errors import StateError
from infra.db.call_tables import CallFactRow
from infra.db.canonical import GENESIS, link
from infra.db.grant_tables import IntradayGrantRow
from infra.db.intraday_tables import DecisionRow
from infra.db.ledger_tables import AttestationRow, HoldResolutionRow, HoldRow
from infra.db.oms_tables import ExecutionRow
from infra.db.reduction_tables import ReductionEventRow
from infra.db.rule_tables import ParameterSetRow
from infra.db.tables import AuditRow, CallEventRow, EntryRow, PostingRow
from infra.db.transfer_tables import TransferEventRow

if TYPE_CHECKING:
    from infra.db.database import Database
    from infra.store import Store

_BATCH: Final = 10_000


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of a chain: its position (0 for none) and its hash."""

    position: int
    hash: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What was verified: the head of each chain, and the number of anchors found in the store."""

    heads: Mapping[str, Head]
    n_anchors: int


class Audit:
    """The audit chain, and the verification of all chains."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, action: str, subject: str, details: Mapping[str, object]) -> None:
        """Record that the actor of this database did ``action`` to ``subject``."""
        with self._database.writing() as connection:
            self.append_within(connection, action, subject, details)

    def append_within(
        self,
        connection: Connection,
        action: str,
        subject: str,
        details: Mapping[str, object],
        *,
        actor: str | None = None,
    ) -> None:
        """Record it in the transaction of what was done: both are there or neither.

        ``actor`` is the person who did it, where that is not the actor of this database.
        """
        last = chain_head(connection, AuditRow.position, AuditRow.hash)
        row = {
            "recorded_at": self._database.clock(),
            "actor": actor or self._database.actor,
            "action": action,
            "subject": subject,
            "details": dict(details),
        }
        digest = link(last.hash, row)
        connection.execute(insert(AuditRow), {"position": last.position + 1, "hash": digest, **row})

    def anchor(self, store: Store, name: str) -> str:
        """Write the heads of all chains to the store and return the path."""
        with self._database.reading() as connection:
            heads = _heads(connection)
        # Numbered by the audit chain, so that a later anchor never overwrites an earlier one.
        path = f"audit/{heads['audit'].position:012d}-{name}.json"
        content = {
            chain: {"position": head.position, "hash": head.hash} for chain, head in heads.items()
        }
        store.write_text(path, json.dumps(content, indent=2) + "\n")
        return path

    def verify(self, store: Store | None = None) -> ChainReport:
        """Recompute every chain and compare it with the heads anchored in ``store``.

        Raises
        ------
        StateError
            If a row was altered, removed or inserted; names chain and position.
        """
        anchors, n_anchors = ({}, 0) if store is None else anchored_heads(store)
        with self._database.reading() as connection:
            heads = {}
            for chain, rows in (
                ("audit", _audit_rows(connection)),
                ("ledger", _ledger_rows(connection)),
                ("call_events", _call_event_rows(connection)),
                ("call_facts", _call_fact_rows(connection)),
                ("parameter_sets", _parameter_rows(connection)),
                ("ledger_holds", _rows_of(connection, HoldRow)),
                ("ledger_hold_resolutions", _rows_of(connection, HoldResolutionRow)),
                ("ledger_attestations", _rows_of(connection, AttestationRow)),
                ("transfer_events", _rows_of(connection, TransferEventRow)),
                ("reduction_events", _rows_of(connection, ReductionEventRow)),
                ("intraday_decisions", _rows_of(connection, DecisionRow)),
                ("intraday_grants", _rows_of(connection, IntradayGrantRow)),
                ("oms_executions", _rows_of(connection, ExecutionRow)),
            ):
                heads[chain] = _verify_chain(chain, rows, anchors.get(chain, {}))
        return ChainReport(heads, n_anchors)


def anchored_heads(store: Store) -> tuple[dict[str, dict[int, str]], int]:
    """Return the heads in the store as chain, position, hash, and the number of anchors."""
    paths = store.list("audit")
    found: dict[str, dict[int, str]] = {}
    for path in paths:
        for chain, position, digest in _anchored(store, path):
            found.setdefault(chain, {})[position] = digest
    return found, len(paths)


def require_audit_chain(connection: Connection, anchored: Mapping[int, str]) -> None:
    """Raise StateError unless the audit chain is whole; other tables are vouched for by it."""
    _verify_chain("audit", _audit_rows(connection), anchored)


def chain_head(
    connection: Connection,
    position: InstrumentedAttribute[int],
    digest: InstrumentedAttribute[str],
) -> Head:
    """Return the last row of the chain whose columns are given."""
    last = connection.execute(
        select(position, digest).order_by(position.desc()).limit(1)
    ).one_or_none()
    return Head(0, GENESIS) if last is None else Head(last[0], last[1])


def _heads(connection: Connection) -> dict[str, Head]:
    return {
        "audit": chain_head(connection, AuditRow.position, AuditRow.hash),
        "ledger": chain_head(connection, EntryRow.position, EntryRow.hash),
        "call_events": chain_head(connection, CallEventRow.position, CallEventRow.hash),
        "call_facts": chain_head(connection, CallFactRow.position, CallFactRow.hash),
        "parameter_sets": chain_head(connection, ParameterSetRow.position, ParameterSetRow.hash),
        "ledger_holds": chain_head(connection, HoldRow.position, HoldRow.hash),
        "ledger_hold_resolutions": chain_head(
            connection, HoldResolutionRow.position, HoldResolutionRow.hash
        ),
        "ledger_attestations": chain_head(connection, AttestationRow.position, AttestationRow.hash),
        "transfer_events": chain_head(connection, TransferEventRow.position, TransferEventRow.hash),
        "reduction_events": chain_head(
            connection, ReductionEventRow.position, ReductionEventRow.hash
        ),
        "intraday_decisions": chain_head(connection, DecisionRow.position, DecisionRow.hash),
        "intraday_grants": chain_head(connection, IntradayGrantRow.position, IntradayGrantRow.hash),
        "oms_executions": chain_head(connection, ExecutionRow.position, ExecutionRow.hash),
    }


_Row = tuple[int, str, dict[str, object]]


def _verify_chain(chain: str, rows: Iterator[_Row], anchors: Mapping[int, str]) -> Head:
    head = Head(0, GENESIS)
    for position, digest, content in rows:
        if position != head.position + 1:
            raise _broken(chain, head.position + 1, "is missing")
        if link(head.hash, content) != digest:
            raise _broken(chain, position, "does not match its hash: it or a row before it changed")
        if anchors.get(position, digest) != digest:
            raise _broken(chain, position, "differs from the head that was anchored in the store")
        head = Head(position, digest)
    beyond = [position for position in anchors if position > head.position]
    if beyond:
        raise _broken(chain, min(beyond), "is missing: the store has anchored it")
    return head


def _broken(chain: str, position: int, fact: str) -> StateError:
    return StateError(
        f"{chain} chain: row {position} {fact}; keep the database as evidence and restore a backup",
        identifier=f"{chain}[{position}]",
    )


def _audit_rows(connection: Connection) -> Iterator[_Row]:
    query = select(AuditRow.__table__).order_by(AuditRow.position)
    for row in connection.execute(query).yield_per(_BATCH).mappings():
        names = ("recorded_at", "actor", "action", "subject", "details")
        yield row["position"], row["hash"], {name: row[name] for name in names}


def _call_event_rows(connection: Connection) -> Iterator[_Row]:
    return _plain_rows(connection, select(CallEventRow.__table__).order_by(CallEventRow.position))


def _call_fact_rows(connection: Connection) -> Iterator[_Row]:
    return _plain_rows(connection, select(CallFactRow.__table__).order_by(CallFactRow.position))


def _parameter_rows(connection: Connection) -> Iterator[_Row]:
    query = select(ParameterSetRow.__table__).order_by(ParameterSetRow.position)
    return _plain_rows(connection, query)


def _rows_of(
    connection: Connection,
    table: type[
        HoldRow
        | HoldResolutionRow
        | AttestationRow
        | TransferEventRow
        | ReductionEventRow
        | ExecutionRow
        | DecisionRow
        | IntradayGrantRow
    ],
) -> Iterator[_Row]:
    return _plain_rows(connection, select(table.__table__).order_by(table.position))


def _plain_rows(connection: Connection, query: Select[Any]) -> Iterator[_Row]:
    for row in connection.execute(query).yield_per(_BATCH).mappings():
        content = dict(row)
        del content["position"], content["hash"]
        yield row["position"], row["hash"], content


def _ledger_rows(connection: Connection) -> Iterator[_Row]:
    from engine.ledger.entries import Posting
    from infra.db.ledger_booking import body_hash

    corrected = aliased(EntryRow)
    entries = (
        select(EntryRow.__table__, corrected.business_key.label("corrected_key"))
        .outerjoin(corrected, corrected.position == EntryRow.corrects)
        .order_by(EntryRow.position)
    )
    lines = select(PostingRow.__table__).order_by(PostingRow.position, PostingRow.line)
    postings = iter(connection.execute(lines).yield_per(_BATCH))
    current = next(postings, None)
    for row in connection.execute(entries).yield_per(_BATCH).mappings():
        found: list[Posting] = []
        while current is not None and current.position == row["position"]:
            # A line that was removed or added in between shifts the numbers.
            is_next = current.line == len(found) + 1
            amount = current.amount if is_next else 0
            found.append(Posting(current.debit, current.credit, current.asset, amount))
            current = next(postings, None)
        content = dict(row)
        corrects = content.pop("corrected_key")
        del content["position"], content["hash"]
        content["body_hash"] = body_hash(row["kind"], row["business_date"], corrects, found)
        yield row["position"], row["hash"], content
    if current is not None:
        raise _broken("ledger", current.position, "has a posting without an entry")


def _anchored(store: Store, path: str) -> list[tuple[str, int, str]]:
    try:
        content = json.loads(store.read_text(path))
        return [
            (str(chain), int(head["position"]), str(head["hash"]))
            for chain, head in content.items()
            if head["position"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(
            f"{store.url_of(path)} is no anchor of the chains: {error!r}; restore the file",
            identifier=path,
        ) from error
