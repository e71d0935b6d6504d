"""What the record must hold: nothing acknowledged lost or doubled, one leader, one open call."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, Row, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from engine.errors import StateError
from infra.db import open_database
from tests.soak.history import History

if TYPE_CHECKING:
    from tests.soak.checker import Findings

TAKEN_SECONDS = 30.0
"""What is on record, and led by somebody for so long, is in the loop's inbox. [s]"""
CALLED_SECONDS = 40.0
"""A netting set that stands at a call has one after so long with a leader and a database. [s]"""
ENDED = ("settled", "superseded", "withdrawn")
DESK = "desk"
LOOP_SOURCE = "oms"
AMOUNT_LEAST = Decimal(1_200)
"""Minimum transfer and rounding of the book's agreements: less is owed without a call."""


@dataclass(frozen=True, slots=True)
class TakenFill:
    """A fill as the loop's inbox has it."""

    position: int
    account_id: str
    instrument_id: str
    quantity: Decimal
    fill_price: float


class RecordChecks:
    """Reads what is new since the last time, by SQL of its own."""

    def __init__(self, address: str, history: History) -> None:
        self._address, self._history = address, history
        self._engine: Engine = create_engine(driver(address), pool_pre_ping=True)
        self.executions: dict[str, tuple[float, tuple[str, str, str, Decimal, Decimal]]] = {}
        self.fills: dict[str, TakenFill] = {}
        self.inbox_last = 0
        self._execution_last = self._inbox_last = self._decision_last = 0
        self._numbers: dict[str, int] = {}
        self._epoch = 0
        self._without_call: dict[str, float] = {}
        self._at = time.time()

    @staticmethod
    def is_away(error: BaseException) -> bool:
        """Return whether an error says that the database is away for the moment."""
        return isinstance(error, SQLAlchemyError | StateError | OSError)

    def rows(self, query: str, **parameters: Any) -> list[Row[Any]]:
        """Return rows of a query."""
        with self._engine.connect() as connection:
            return list(connection.execute(text(query), parameters))

    def check(self, found: Findings, *, is_final: bool) -> None:
        """Check everything that is new."""
        self._at = time.time()
        self._read_executions(found)
        self._read_inbox(found)
        self._acknowledged(found, is_final=is_final)
        self._decisions(found)
        self._leaders(found)
        self._calls(found)
        self._called(found)

    def chains(self, found: Findings, *, is_final: bool) -> None:
        """Let every chain and the ledger be verified."""
        database = open_database(self._address, wait_seconds=10.0, actor="soak")
        try:
            began = time.monotonic()
            database.audit.verify()
            database.ledger.verify()
            found.notes["seconds of the ledger's verification"] = round(time.monotonic() - began, 2)
        except StateError as error:
            if self.is_away(error) and type(error).retryable:
                raise
            found.violated("ledger verifies", str(error)[:300])
        finally:
            database.close()
        found.checked("ledger verifies")

    def _read_executions(self, found: Findings) -> None:
        query = (
            "SELECT position, source, execution_id, account_id, instrument_id, side, quantity, "
            "execution_price FROM oms_executions WHERE position > :after ORDER BY position"
        )
        for row in self.rows(query, after=self._execution_last):
            self._execution_last = row.position
            content = (row.account_id, row.instrument_id, row.side, Decimal(str(row.quantity)),
                       Decimal(str(row.execution_price)))  # fmt: skip
            found.checked("fills are on record once")
            if row.execution_id in self.executions:
                found.violated("fills are on record once", f"{row.execution_id} is there twice")
            self.executions[row.execution_id] = (self._at, content)
            sent = self._history.sent.get(row.execution_id)
            if sent is not None and _exact(sent) != content:
                found.violated(
                    "fills are on record once", f"{row.execution_id} is not what was sent",
                    sent=sent, recorded=content,
                )  # fmt: skip

    def _read_inbox(self, found: Findings) -> None:
        query = (
            "SELECT position, run_id, source, message_id, kind, body FROM intraday_inbox "
            "WHERE position > :after ORDER BY position"
        )
        for row in self.rows(query, after=self._inbox_last):
            found.checked("fills are taken once")
            if row.position != self._inbox_last + 1 and self._inbox_last:
                found.violated("fills are taken once", f"a hole before {row.position} of the inbox")
            self._inbox_last = self.inbox_last = row.position
            if row.source != LOOP_SOURCE:
                continue
            execution_id = row.message_id.partition("/")[2]
            body = row.body if isinstance(row.body, Mapping) else json.loads(row.body)
            taken = TakenFill(row.position, body["account_id"], body["instrument_id"],
                              Decimal(repr(body["quantity"])), body["fill_price"])  # fmt: skip
            if execution_id in self.fills:
                found.violated("fills are taken once", f"{execution_id} is in the inbox twice")
            self.fills[execution_id] = taken
            known = self.executions.get(execution_id)
            if known is None:
                found.violated("fills are taken once", f"{execution_id} was never on record")
            elif _signed(known[1]) != float(taken.quantity):
                found.violated(
                    "fills are taken once", f"{execution_id} was taken as {taken.quantity}",
                    recorded=_signed(known[1]),
                )  # fmt: skip

    def _acknowledged(self, found: Findings, *, is_final: bool) -> None:
        history, now = self._history, self._at
        for execution_id, at in history.acked.items():
            # What was acknowledged after this round had read is read by the next one.
            if at > now - 0.5:
                continue
            known = self.executions.get(execution_id)
            if known is None:
                found.violated(
                    "nothing acknowledged is lost", f"{execution_id} is not on record",
                    acknowledged_at=at,
                )  # fmt: skip
                continue
            if execution_id in self.fills:
                continue
            groups = ("database", "process")
            since = max(known[0], history.leads_since(now), history.quiet_since(now, groups))
            if is_final or now - since > TAKEN_SECONDS:
                found.violated(
                    "nothing acknowledged is lost", f"{execution_id} is not in the loop's inbox",
                    on_record_for=round(now - known[0], 1), led_for=round(now - since, 1),
                )  # fmt: skip
        found.checked("nothing acknowledged is lost", len(history.acked))

    def _decisions(self, found: Findings) -> None:
        query = (
            "SELECT position, run_id, number, epoch, inbox_position, n_calls FROM "
            "intraday_decisions WHERE position > :after ORDER BY position"
        )
        for row in self.rows(query, after=self._decision_last):
            found.checked("one leader acts")
            if row.position != self._decision_last + 1:
                found.violated("one leader acts", f"a hole before decision {row.position}")
            self._decision_last = row.position
            before = self._numbers.get(row.run_id, 0)
            if row.number != before + 1:
                found.violated(
                    "one leader acts", f"decision {row.number} of {row.run_id} follows {before}"
                )
            self._numbers[row.run_id] = row.number
            if row.epoch < self._epoch:
                found.violated(
                    "one leader acts",
                    f"decision {row.number} is of epoch {row.epoch}, after one of {self._epoch}",
                )
            self._epoch = max(self._epoch, row.epoch)

    def _leaders(self, found: Findings) -> None:
        query = "SELECT details FROM audit WHERE action = 'loop led' ORDER BY position"
        holders: dict[int, set[str]] = defaultdict(set)
        last = 0
        for row in self.rows(query):
            details = row.details if isinstance(row.details, Mapping) else json.loads(row.details)
            epoch = int(details["epoch"])
            holders[epoch].add(str(details["holder"]))
            if epoch <= last:
                found.violated("one leader acts", f"epoch {epoch} was taken after {last}")
            last = epoch
        for epoch, names in holders.items():
            if len(names) > 1:
                found.violated("one leader acts", f"epoch {epoch} has {len(names)} leaders",
                               holders=sorted(names))  # fmt: skip
        found.checked("one leader acts", len(holders))
        found.notes["epochs"] = last

    def _calls(self, found: Findings) -> None:
        listed = ", ".join(f"'{state}'" for state in ENDED)
        twice = self.rows(
            "SELECT netting_set_id, margin_type, count(*) AS n FROM calls WHERE state NOT IN "
            f"({listed}) GROUP BY netting_set_id, margin_type HAVING count(*) > 1"
        )
        for row in twice:
            found.violated(
                "one open call a key", f"{row.netting_set_id} has {row.n} open calls",
                margin_type=row.margin_type,
            )  # fmt: skip
        counts = self.rows(
            "SELECT d.run_id, d.number, d.n_calls, count(c.call_id) AS n FROM intraday_decisions d "
            "LEFT JOIN intraday_calls c ON c.run_id = d.run_id AND c.number = d.number "
            "GROUP BY d.run_id, d.number, d.n_calls HAVING count(c.call_id) <> d.n_calls"
        )
        for row in counts:
            found.violated(
                "no decision is lost",
                f"decision {row.number} has {row.n} calls, {row.n_calls} were decided",
            )
        total = self.rows("SELECT count(*) AS n FROM intraday_calls")[0].n
        found.checked("one open call a key", max(int(total), 1))
        found.checked("no decision is lost", max(self._decision_last, 1))
        found.notes["calls"] = int(total)
        found.notes["decisions with calls"] = self._decision_last

    def _called(self, found: Findings) -> None:
        """Check that who stands at a call has one, once there was time for it (I-21)."""
        listed = ", ".join(f"'{state}'" for state in ENDED)
        due = self.rows(
            "SELECT b.netting_set_id, b.excess FROM board_rows b WHERE b.level IN "
            "('call', 'restrict', 'reduce') AND NOT EXISTS (SELECT 1 FROM calls c WHERE "
            f"c.netting_set_id = b.netting_set_id AND c.state NOT IN ({listed}))"
        )
        now = self._at
        short = {
            row.netting_set_id: Decimal(str(row.excess))
            for row in due
            if row.excess is not None and Decimal(str(row.excess)) < -AMOUNT_LEAST
        }
        self._without_call = {name: self._without_call.get(name, now) for name in short}
        groups = ("database", "process")
        usable = max(self._history.leads_since(now), self._history.quiet_since(now, groups))
        for name, since in self._without_call.items():
            if now - max(since, usable) > CALLED_SECONDS:
                found.violated(
                    "every breach is called", f"{name} is short of {-short[name]:,} without a call",
                    seconds=round(now - since, 1),
                )  # fmt: skip
        found.checked("every breach is called", max(len(due), 1))


def _exact(sent: tuple[str, ...]) -> tuple[str, str, str, Decimal, Decimal]:
    return (sent[0], sent[1], sent[2], Decimal(sent[3]), Decimal(sent[4]))


def _signed(content: tuple[str, str, str, Decimal, Decimal]) -> float:
    return float(content[3]) * (1.0 if content[2] == "buy" else -1.0)


def driver(address: str) -> str:
    return address.replace("postgresql://", "postgresql+psycopg://", 1)
