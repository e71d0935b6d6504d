"""From the last close and the journal to a loop that decides: what was acknowledged is there again.

The checkpoint holds the live book as it was seconds ago; reports that came after it are in the
inbox. Without a checkpoint, or with one that does not give the state it names, the inbox is folded
over the close from the beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from engine.arrays import Int64Array1D
from engine.errors import ModelInputError, StateError
from engine.intraday import LiveBook
from engine.intraday.state import digest
from infra.db.intraday_journal import Checkpoint, RecordedMessage
from infra.intraday.base import Base
from infra.intraday.calling import OpenAmount
from infra.intraday.core import TAKEN_MAX, LoopCore
from infra.intraday.packing import PackedMarks, pack, unpack
from infra.intraday.reports import Incoming, report_of

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.intraday_journal import IntradayJournal, OpenCall

KIND: Final = "intraday"


@dataclass(frozen=True, slots=True)
class Restarted:
    """A loop as it takes up again.

    Attributes
    ----------
    how : str
        ``opened`` from the close, ``restored`` from a checkpoint, or ``folded`` anew because the
        checkpoint did not give the state that it names.
    inbox_position : int
        The last report that the book has.
    """

    core: LoopCore
    how: str
    inbox_position: int


def begin_run(database: Database, base: Base, code_version: str) -> str:
    """Return the run on a base: the unfinished one of the same base and code, or a new one."""
    inputs = {"close": base.close_id}
    known = [
        run
        for run in database.runs.list(limit=50, kind=KIND)
        if run.business_date == base.business_date
    ]
    latest = max(known, key=lambda run: run.sequence, default=None)
    is_same = (
        latest is not None
        and latest.status == "running"
        and dict(latest.inputs) == inputs
        and latest.code_version == code_version
    )
    force = latest is not None and not is_same
    run = database.runs.begin(KIND, base.business_date, inputs, code_version, force=force)
    snapshot = base.snapshot
    database.records.record_snapshot(
        run.run_id, snapshot.snapshot_id, snapshot.business_date, snapshot.as_of,
        base.content_hashes,
    )  # fmt: skip
    effective, source, content = base.rule_book
    database.records.record_rule_book(
        run.run_id, base.rules.rule_book_hash, effective, source, content
    )
    return str(run.run_id)


def restart(database: Database, base: Base, run_id: str) -> Restarted:
    """Return the loop of a run as the journal leaves it."""
    journal = database.intraday_journal
    number = journal.last_number(run_id)
    point = journal.checkpoint(run_id)
    how, core, after = "opened", None, 0
    if point is not None:
        how, core, after = "restored", _restored(base, run_id, point, number), 0
        if core is None:
            how = "folded"
        else:
            after = point.inbox_position
    if core is None:
        core = LoopCore(base, run_id, number=number)
    messages = journal.messages(run_id, after=after)
    for message in messages:
        core.replay_report(incoming_of(message))
    core.know_reports(journal.message_ids(run_id, TAKEN_MAX))
    if how != "restored":
        _give_marks(core, journal, run_id)
    core.know_open(open_amounts(journal.open_calls()))
    position = messages[-1].position if messages else after
    return Restarted(core, how, position)


def checkpoint_of(core: LoopCore, at: datetime, inbox_position: int) -> Checkpoint:
    """Return where a loop stands; its book and everything that the book does not hold."""
    return checkpointing(core, at, inbox_position)()


def checkpointing(core: LoopCore, at: datetime, inbox_position: int) -> Callable[[], Checkpoint]:
    """Return what gives ``checkpoint_of`` of this moment, in any thread and at any time later."""
    saving, number = core.book.saving(), core.number
    marks, levels = pack(core.market.all_given()), core.ladder.level.astype("<i1").tobytes()

    def make() -> Checkpoint:
        state = saving()
        arrays = {
            name: (str(values.dtype), list(values.shape), np.ascontiguousarray(values).data)
            for name, values in sorted(state.items())
        }
        return Checkpoint(
            taken_at=at,
            number=number,
            inbox_position=inbox_position,
            marks=msgspec.msgpack.encode({"book": arrays, "marks": marks}),
            levels=levels,
            state_hash=digest(state),
        )

    return make


def incoming_of(message: RecordedMessage) -> Incoming:
    """Return a recorded report as it came in."""
    report = report_of(message.kind, message.body)
    return Incoming(message.source, message.message_id, report, message.received_at)


def open_amounts(calls: Mapping[str, OpenCall]) -> dict[str, OpenAmount]:
    """Return open calls as decisions need to know them."""
    return {
        name: OpenAmount(
            call_id=call.call_id,
            amount=call.amount,
            is_call=call.direction == "call",
            is_untouched=call.state == "issued" and call.n_events <= 2,
        )
        for name, call in calls.items()
    }


def _restored(base: Base, run_id: str, point: Checkpoint, number: int) -> LoopCore | None:
    try:
        content: dict[str, Any] = msgspec.msgpack.decode(point.marks)
        state = {
            name: np.frombuffer(values, dtype=kind).reshape(shape).copy()
            for name, (kind, shape, values) in content["book"].items()
        }
        book = LiveBook.load(state, base.snapshot, base.positions, base.rules, base.last_fresh)
        if book.state_hash() != point.state_hash:
            return None
        marks = unpack(content["marks"])
    except (msgspec.DecodeError, ModelInputError, StateError, KeyError, ValueError):
        return None
    core = LoopCore(base, run_id, book=book, levels=_levels(point), number=number)
    core.market.restore(marks)
    return core


def _levels(point: Checkpoint) -> Int64Array1D:
    levels: Int64Array1D = np.frombuffer(point.levels, dtype="<i1").astype(np.int64)
    return levels


def _give_marks(core: LoopCore, journal: IntradayJournal, run_id: str) -> None:
    """Let the prices of recorded decisions count again, each as the last one said."""
    for decision in journal.decisions(run_id):
        packed: PackedMarks = unpack(decision.marks)
        core.book.apply_marks(core.market.restore(packed))
