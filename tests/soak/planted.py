"""The loop with a bug: ``python -m tests.soak.planted BUG intraday ...``.

A checker that has never failed proves nothing. Each of these is put into a real loop process, in
memory, and a soak must catch it by the invariant that is named beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

PLANTED = {
    "drop-fill": "nothing acknowledged is lost",
    "double-fill": "fills are taken once",
    "wrong-fill": "fills are taken once",
    "forget-fill": "positions are what was told",
    "fall-on-nan": "prices that count were sent",
    "fall-when-down": "what is owed does not fall by a fault",
    "double-call": "one open call a key",
    "no-call": "every breach is called",
    "wrong-figure": "batch is loop",
    "silent-board": "shown in time",
    "wrong-hash": "state is what its hash says",
    "leak": "memory",
}
"""Bugs, and the invariant that each violates."""


def plant(name: str) -> None:
    """Put a bug into this process."""
    BUGS[name]()


def _drop_fill() -> None:
    from infra.intraday.watching import Watch

    look = Watch._new_executions

    def dropping(self: Watch) -> list[Any]:
        found = look(self)
        return [one for one in found if hash(one.message_id) % 7]

    Watch._new_executions = dropping  # type: ignore[method-assign]


def _double_fill() -> None:
    from infra.intraday.watching import Watch

    look = Watch._new_executions

    def doubling(self: Watch) -> list[Any]:
        found = look(self)
        again = [replace(one, message_id=f"{one.message_id}-again") for one in found[:1]]
        return [*found, *again]

    Watch._new_executions = doubling  # type: ignore[method-assign]


def _wrong_fill() -> None:
    from infra.intraday.watching import Watch

    report = Watch._report

    def halving(self: Watch, one: Any) -> Any:
        found = report(self, one)
        return replace(found, quantity=found.quantity * 0.5)

    Watch._report = halving  # type: ignore[method-assign]


def _forget_fill() -> None:
    """The inbox has it, the book does not."""
    from infra.intraday import core

    known = core.apply
    count = [0]

    def forgetting(book: Any, report: Any) -> int:
        count[0] += 1
        return 0 if count[0] % 5 == 0 else known(book, report)

    core.apply = forgetting


def _fall_on_nan() -> None:
    """What is no price counts as a tenth of the last one."""
    import numpy as np

    from engine.acceptance.prices import PriceAcceptance

    take = PriceAcceptance.take

    def believing(self: PriceAcceptance, ticks: Any) -> Any:
        bad = ~np.isfinite(ticks.price) | (ticks.price <= 0.0)
        verdicts = take(self, ticks)
        rows = ticks.row[bad & (ticks.row >= 0)]
        if rows.size:
            self.state.price[rows] = self.state.mark[rows] = self.state.mark[rows] * 0.1
            self._dirty.append(rows)
        return verdicts

    PriceAcceptance.take = believing  # type: ignore[method-assign]


def _fall_when_down() -> None:
    """What is not trusted is owed for by half."""
    from engine.intraday import LiveBook

    stored = LiveBook._stored

    def halved(self: LiveBook, rows: Any) -> Any:
        found = stored(self, rows)
        factor = 0.5 if self._book.trust.by_name else 1.0
        return replace(found, requirement=found.requirement * factor, owed=found.owed * factor)

    LiveBook._stored = halved  # type: ignore[method-assign]


def _double_call() -> None:
    """Each call is recorded a second time, and the index that would refuse it is gone."""
    from infra.db.intraday_commits import IntradayCommits

    commit_all = IntradayCommits.commit_all

    def doubling(self: IntradayCommits, batches: Any) -> Any:
        from sqlalchemy import insert, select, text

        from infra.db.tables import CallRow

        found = commit_all(self, batches)
        issued = [name for one in found for name in one.issued]
        with self._database.writing() as connection:
            if issued:
                connection.execute(text("DROP INDEX IF EXISTS uq_calls_open"))
            for name in issued[:1]:
                known = select(CallRow.__table__).where(CallRow.call_id == name)
                row = dict(connection.execute(known).mappings().one())
                again = {"call_id": f"{name}-again", "sequence": row["sequence"] + 500_000}
                connection.execute(insert(CallRow), {**row, **again})
        return found

    IntradayCommits.commit_all = doubling  # type: ignore[method-assign]


def _no_call() -> None:
    from infra.intraday.core import LoopCore

    LoopCore._call = lambda self, decision: None  # type: ignore[method-assign]


def _wrong_figure() -> None:
    from engine.intraday import LiveBook

    stored = LiveBook._stored

    def wrong(self: LiveBook, rows: Any) -> Any:
        found = stored(self, rows)
        return replace(found, requirement=found.requirement * 0.995)

    LiveBook._stored = wrong  # type: ignore[method-assign]


def _silent_board() -> None:
    from infra.intraday.trusting import TrustKeeper

    TrustKeeper.distrust = lambda *_, **__: None  # type: ignore[method-assign]


def _wrong_hash() -> None:
    from infra.intraday import session

    known = session.checkpointing

    def wrong(*arguments: Any) -> Any:
        make = known(*arguments)
        return lambda: replace(make(), state_hash="0" * 64)

    session.checkpointing = wrong


def _leak() -> None:
    from infra.intraday.core import LoopCore

    decide = LoopCore.decide
    kept: list[bytearray] = []

    def leaking(self: LoopCore, *arguments: Any, **more: Any) -> Any:
        kept.append(bytearray(4_096))
        return decide(self, *arguments, **more)

    LoopCore.decide = leaking  # type: ignore[method-assign]


BUGS: dict[str, Callable[[], None]] = {
    "drop-fill": _drop_fill,
    "double-fill": _double_fill,
    "wrong-fill": _wrong_fill,
    "forget-fill": _forget_fill,
    "fall-on-nan": _fall_on_nan,
    "fall-when-down": _fall_when_down,
    "double-call": _double_call,
    "no-call": _no_call,
    "wrong-figure": _wrong_figure,
    "silent-board": _silent_board,
    "wrong-hash": _wrong_hash,
    "leak": _leak,
}

if __name__ == "__main__":
    plant(sys.argv[1])
    sys.argv = ["plimsoll", *sys.argv[2:]]
    from flows.cli import main

    main()
