"""The amounts of a recorded decision, computed again by `assess` from what the journal kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from engine.assess import assess
from engine.calls.margin_call import Holdings, decide_calls
from engine.intraday import Degradation, LiveBook
from engine.intraday.floors import count_floors
from infra.intraday.base import Base
from infra.intraday.calling import exact_sides
from infra.intraday.market import changes_of
from infra.intraday.packing import unpack
from infra.intraday.reports import apply, report_of

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.intraday_journal import RecordedDecision

EXACT, AT_LEAST = "equal", "at least"
_SOUND: Final = (EXACT, AT_LEAST)


@dataclass(frozen=True, slots=True)
class CallVerdict:
    """One call: what was called, and what its decision's inputs give now.

    ``verdict`` is ``equal``, ``at least`` (an input was not trusted then, and quantities or prices
    there moved meanwhile: what was called must not be less than what the inputs alone ask for), or
    ``different``.
    """

    call_id: str
    netting_set_id: str
    called: Decimal
    recomputed: Decimal
    verdict: str


@dataclass(frozen=True, slots=True)
class DecisionVerdict:
    """What recomputing one decision found."""

    run_id: str
    number: int
    decided_at: datetime
    calls: tuple[CallVerdict, ...]
    equals_assessment: bool
    """Whether requirements of the live book are those of `assess` on its inputs."""

    @property
    def is_sound(self) -> bool:
        """Return whether every call follows from its inputs."""
        return self.equals_assessment and all(one.verdict in _SOUND for one in self.calls)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            **asdict(self),
            "decided_at": self.decided_at.isoformat(),
            "calls": [
                {**asdict(one), "called": str(one.called), "recomputed": str(one.recomputed)}
                for one in self.calls
            ],
            "is_sound": self.is_sound,
        }


def recompute(database: Database, base: Base, run_id: str, number: int) -> DecisionVerdict:
    """Return how the calls of a decision compare with what its inputs give.

    The close is opened, the reports that the decision had are folded over it, the prices of all
    decisions up to it are handed over, what was degraded is degraded, and what was owed when all
    was last fresh counts as the journal has it.

    Raises
    ------
    MissingDataError
        If there is no such decision.
    """
    journal = database.intraday_journal
    called = journal.calls(run_id, number)
    decisions = journal.decisions(run_id, until=number)
    last = decisions[-1]
    book = LiveBook.open(
        base.snapshot, base.positions, base.collateral, base.rules, base.last_fresh
    )
    for message in journal.messages(run_id, until=last.inbox_position):
        apply(book, report_of(message.kind, message.body))
    as_of = datetime.fromisoformat(str(last.facts["as_of"]))
    if as_of > book.as_of:
        book.advance(as_of)
    for decision in decisions:
        book.apply_marks(changes_of(unpack(decision.marks)))
    names = list(book.netting_set_id)
    wanted = [names.index(str(one["netting_set_id"])) for one in called.values()]
    rows = np.array(sorted(set(wanted)), dtype=np.int64)
    is_equal = _equals_assessment(book, base, rows)
    degraded = _degrade(book, last)
    _count_floors(book, last)
    return DecisionVerdict(
        run_id=run_id,
        number=number,
        decided_at=last.decided_at,
        calls=tuple(_verdicts(book, base, called, degraded)),
        equals_assessment=is_equal,
    )


def _equals_assessment(book: LiveBook, base: Base, rows: np.ndarray) -> bool:
    if not rows.size:
        return True
    snapshot, positions, collateral = book.inputs()
    found = assess(snapshot, positions, collateral, base.rules, base.last_fresh).requirements
    names = [book.netting_set_id[row] for row in rows.tolist()]
    wanted = found.set_index("netting_set_id")["requirement"].reindex(names).to_numpy()
    return bool(np.array_equal(book.figures(rows).requirement, wanted, equal_nan=True))


def _degrade(book: LiveBook, decision: RecordedDecision) -> bool:
    stated = decision.facts.get("distrusted", ())
    for one in stated if isinstance(stated, list) else ():
        book.degrade(
            Degradation(one["scope"], one["name"], one["state"], float(one["age_seconds"]))
        )
    return bool(stated)


def _count_floors(book: LiveBook, decision: RecordedDecision) -> None:
    """Let what was owed when all was last fresh count, as the journal has it to the bit."""
    floors = decision.facts.get("floors")
    if not isinstance(floors, dict) or not floors:
        return
    row_of = {name: row for row, name in enumerate(book.netting_set_id)}
    rows = np.array([row_of[name] for name in floors], dtype=np.int64)
    values = np.array([[float(text) for text in pair] for pair in floors.values()])
    order = np.argsort(rows)
    count_floors(book, rows[order], values[order, 0].copy(), values[order, 1].copy())


def _verdicts(
    book: LiveBook, base: Base, called: Mapping[str, Mapping[str, Any]], degraded: bool
) -> list[CallVerdict]:
    names = list(book.netting_set_id)
    found = []
    for call_id, one in called.items():
        name = str(one["netting_set_id"])
        figures = book.figures(np.array([names.index(name)], dtype=np.int64))
        agreements = [base.rules.agreements[name]]
        required, held = exact_sides(figures, agreements, base.rules)
        decided = decide_calls(
            Holdings(
                agreements=agreements,
                requirement=required,
                collateral=held,
                pending=np.array([Decimal(0)], dtype=object),
                is_releasable=np.zeros(1, dtype=np.bool_),
            )
        )
        amount = Decimal(decided.amount[0])
        is_distrusted = degraded and str(figures.status[0]) == "held"
        verdict = EXACT if amount == one["amount"] else "different"
        if verdict != EXACT and is_distrusted and one["amount"] >= amount:
            verdict = AT_LEAST
        found.append(CallVerdict(call_id, name, one["amount"], amount, verdict))
    return found
