"""From live figures to the calls that a decision wants, decided as a close decides them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np

from engine.calls.due_dates import DueDates, due_dates
from engine.calls.margin_call import Holdings, decide_calls
from engine.calls.terms import EscalationLevel, cure_terms, escalation_levels
from engine.decisions import DECIMALS_DEFAULT
from engine.intraday import LiveFigures
from engine.money import REQUIREMENT_DECIMALS_MAX, Rounding, round_amounts
from engine.rules import Agreement, RuleBook
from infra.calendars import holidays_of
from infra.db.call_wanted import WantedCall, call_id
from infra.db.intraday_commits import LoopCall

MARGIN_TYPE: Final = "house"
SEQUENCE_FIRST: Final = 1_000_000
"""Sequences of the loop's calls begin beyond those of any close of the same date."""
STEP_MIN: Final = Decimal("0.10")
"""An open call is replaced when the deficit has grown by this part of it, and not for less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAmount:
    """An open call, as far as a decision needs to know it."""

    call_id: str
    amount: Decimal
    is_call: bool
    is_untouched: bool
    """Nobody but its issuer has done anything with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """What all calls of a decision have in common."""

    run_id: str
    snapshot_id: str
    business_date: date
    rules: RuleBook
    number: int
    decided_at: datetime
    granted_by: Callable[[str], str] = lambda _: ""
    """Who has granted the call of a netting set, and why; empty where nobody had to."""


class CallMaker:
    """Makes calls from figures; terms that many agreements share are worked out once."""

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._dates: dict[tuple[object, ...], DueDates] = {}
        self._terms: dict[tuple[object, ...], dict[str, Any]] = {}

    def calls(
        self, figures: LiveFigures, names: Sequence[str], open_amounts: Mapping[str, OpenAmount]
    ) -> list[LoopCall]:
        """Return the calls for netting sets in deficit that no open call covers yet.

        What the venues or the house demand rounds up, cover rounds down, and the agreement says
        what of the difference moves. An open call stays unless the deficit has outgrown it by
        ``STEP_MIN`` and by the agreement's minimum transfer.
        """
        agreements = [self._context.rules.agreements[name] for name in names]
        required, held = exact_sides(figures, agreements, self._context.rules)
        decided = decide_calls(
            Holdings(
                agreements=agreements,
                requirement=required,
                collateral=held,
                pending=np.full(len(names), Decimal(0), dtype=object),
                is_releasable=np.zeros(len(names), dtype=np.bool_),
            )
        )
        made = []
        for row, name in enumerate(names):
            amount, known = decided.amount[row], open_amounts.get(name)
            if amount > 0 and _outgrown(amount, known, agreements[row]):
                sides = (required[row], held[row])
                made.append(self._call(figures, row, agreements[row], amount, sides, known))
        made.sort(key=lambda one: str(one.wanted.call["netting_set_id"]))
        return made

    def _call(
        self,
        figures: LiveFigures,
        row: int,
        agreement: Agreement,
        amount: Decimal,
        sides: tuple[Decimal, Decimal],
        known: OpenAmount | None,
    ) -> LoopCall:
        context, name = self._context, agreement.netting_set_id
        sequence = SEQUENCE_FIRST + context.number
        dates = self._due(agreement)
        named = call_id(name, MARGIN_TYPE, context.business_date, sequence)
        call = {
            "call_id": named,
            "netting_set_id": name,
            "margin_type": MARGIN_TYPE,
            "business_date": context.business_date,
            "sequence": sequence,
            "direction": "call",
            "amount": amount,
            "currency": agreement.currency,
            "due_at": dates.due_at,
            "first_due_at": dates.due_at,
            "run_id": context.run_id,
            "snapshot_id": context.snapshot_id,
            "rule_book_hash": context.rules.rule_book_hash,
            "supersedes": None,
            "state": "issued",
            "n_events": 2,
        }
        terms = {
            "call_id": named,
            "issued_at": dates.issued_at,
            "notified_at": dates.notified_at,
            "terms": self._terms_of(agreement),
        }
        return LoopCall(
            wanted=WantedCall(call, terms),
            replaces="" if known is None else known.call_id,
            client_id=agreement.client_id,
            figures={
                "owed": str(sides[0]),
                "cover": str(sides[1]),
                "requirement": repr(float(figures.requirement[row])),
                "venue_initial_margin": repr(float(figures.venue_initial_margin[row])),
                "collateral_value": repr(float(figures.collateral_value[row])),
                "unsettled": repr(float(figures.unsettled[row])),
                "binding": str(figures.binding[row]),
                "status": str(figures.status[row]),
                "reason": str(figures.reason[row]),
                **({"granted_by": granted} if (granted := context.granted_by(name)) else {}),
            },
        )

    def _due(self, agreement: Agreement) -> DueDates:
        key = (
            agreement.cure_hours, agreement.cure_unit, agreement.time_zone,
            agreement.notification_cut_off, agreement.holiday_calendar, agreement.business_hours,
        )  # fmt: skip
        if key not in self._dates:
            at = self._context.decided_at
            self._dates[key] = due_dates(at, cure_terms(agreement, holidays_of, at))
        return self._dates[key]

    def _terms_of(self, agreement: Agreement) -> dict[str, Any]:
        key = (agreement.escalation, agreement.returns)
        if key not in self._terms:
            levels: Sequence[EscalationLevel] = escalation_levels(agreement)
            self._terms[key] = {
                "returns": agreement.returns,
                "levels": [
                    {
                        "level": one.level,
                        "name": one.name,
                        "after_seconds": int(one.after.total_seconds()),
                    }
                    for one in levels
                ],
            }
        return self._terms[key]


def exact_sides(
    figures: LiveFigures, agreements: Sequence[Agreement], rules: RuleBook
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is owed, rounded up, and cover, rounded down, as exact decimals."""
    scale = {asset: terms.scale for asset, terms in rules.house.collateral.items()}
    decimals = np.array(
        [
            min(scale.get(one.currency, DECIMALS_DEFAULT), REQUIREMENT_DECIMALS_MAX)
            for one in agreements
        ],
        dtype=np.int64,
    )
    # A failed netting set has no figure: it is called nothing, and stays called what it was.
    failed = ~np.isfinite(figures.owed)
    owed = np.where(failed, 0.0, figures.owed)
    cover = np.where(failed, np.inf, figures.cover)
    cover = np.where(np.isfinite(cover), cover, owed + 1.0)
    return (
        round_amounts(owed, decimals, Rounding.REQUIREMENT),
        round_amounts(cover, decimals, Rounding.COLLATERAL_VALUE),
    )


def _outgrown(amount: Decimal, known: OpenAmount | None, agreement: Agreement) -> bool:
    if known is None or not known.is_call:
        return True
    step = max(known.amount * STEP_MIN, Decimal(repr(agreement.minimum_transfer_amount)))
    return amount >= known.amount + max(step, Decimal(repr(agreement.rounding_increment)))
