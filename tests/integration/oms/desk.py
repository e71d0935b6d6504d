"""What a desk would say, for tests of the ways in which it is heard."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from infra.db import Database
from infra.oms.fix.listening import Listener
from infra.oms.fix.session import SessionOptions
from infra.oms.naming import Naming
from infra.simulator.oms.drop_copy import DropCopyAcceptor
from infra.simulator.oms.reports import Report

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMING = Naming(accounts={"D-7": "larch-binance"}, exchanges={"BNCE": "binance"})


def report(name: str, **changes: Any) -> Report:
    """Return a buy of a quarter of a contract at noon, changed as asked."""
    one = Report(
        execution_id=name, kind="trade", refers_to="", account="D-7", exchange="BNCE",
        symbol="BTCUSDT", side="buy", quantity=Decimal("0.25"), price=Decimal("60000.5"),
        executed_at=NOON, reported_at=NOON,
    )  # fmt: skip
    return replace(one, **changes)


def options_of(folder: Path, port: int, **changes: Any) -> SessionOptions:
    """Return the options of a session against a port of this machine."""
    one = SessionOptions(
        host="127.0.0.1", port=port, sender="PLIMSOLL", target="DESK",
        store=str(folder / "store"), spool=str(folder / "spool"), heartbeat_seconds=1,
        reconnect_seconds=1,
    )  # fmt: skip
    return replace(one, **changes)


@contextmanager
def listening(database: Database, options: SessionOptions) -> Iterator[Listener]:
    """Run a listener in a thread, as its command does in a process."""
    listener, stop = Listener(database, "desk", options, NAMING), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            listener.run(stop)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listener
    finally:
        stop.set()
        thread.join(30.0)
    assert not failures, failures


@contextmanager
def accepting(acceptor: DropCopyAcceptor) -> Iterator[DropCopyAcceptor]:
    """Start an acceptor and stop it afterwards."""
    acceptor.start()
    try:
        yield acceptor
    finally:
        acceptor.stop()


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until a condition holds; fails if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def names(database: Database) -> list[str]:
    """Return the executions on record, in order of arrival."""
    return [one.execution.execution_id for one in database.executions.after(0)]
