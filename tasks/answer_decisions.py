"""What a triggered run decides: figures of affected netting sets, and which calls are missing.

Decided once and kept as a frame, so that a run that is started again calls the same amounts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from engine.calls.terms import escalation_levels
from engine.intraday import LiveBook
from engine.policies.ladder_terms import ladder_of
from engine.rules import Agreement, RuleBook
from infra.intraday.calling import MARGIN_TYPE, CallContext, CallMaker, OpenAmount

if TYPE_CHECKING:
    from infra.db import RunHandle
    from infra.db.intraday_commits import LoopCall
    from infra.intraday.base import Base

_FIGURES: Final = ("requirement", "owed", "cover", "margin_ratio")
_INSTANTS: Final = ("issued_at", "notified_at", "due_at")
_TYPES: Final[Mapping[str, str]] = {
    "netting_set_id": "str",
    "client_id": "str",
    "currency": "str",
    **dict.fromkeys(_FIGURES, "float64"),
    "status": "str",
    "reason": "str",
    "action": "str",
    "amount": "str",
    "replaces": "str",
    **dict.fromkeys(_INSTANTS, "datetime64[ms, UTC]"),
}


def decisions(
    run: RunHandle,
    base: Base,
    book: LiveBook,
    names: Sequence[str],
    open_calls: Mapping[str, OpenAmount],
) -> pd.DataFrame:
    """Return a row per netting set: its figures, and ``action``: none, call or approval.

    A call is missing where the figures ask for one and no open call covers it. Where the agreement
    wants a person to decide on the rung ``call``, the action is ``approval``.
    """
    row_of = {name: row for row, name in enumerate(book.netting_set_id)}
    held = [name for name in names if name in row_of]
    figures = book.figures(np.array([row_of[name] for name in held], dtype=np.int64))
    rules = base.rules
    context = CallContext(
        run_id=str(run.run_id),
        snapshot_id=str(base.snapshot.snapshot_id),
        business_date=run.business_date,
        rules=rules,
        number=0,
        decided_at=run.started_at,
    )
    made = CallMaker(context).calls(figures, held, open_calls)
    missing = {str(one.wanted.call["netting_set_id"]): one for one in made}
    rows = [
        {
            "netting_set_id": name,
            **{field: float(getattr(figures, field)[place]) for field in _FIGURES},
            "status": str(figures.status[place]),
            "reason": str(figures.reason[place]),
            **_of_agreement(rules, rules.agreements[name], missing.get(name)),
        }
        for place, name in enumerate(held)
    ]
    frame = pd.DataFrame(rows, columns=list(_TYPES))
    # What is absent in all rows would have no time zone.
    instants = {name: pd.to_datetime(frame[name], utc=True) for name in _INSTANTS}
    return frame.assign(**instants).astype(dict(_TYPES))


def still_missing(missing: pd.DataFrame, open_now: Mapping[str, OpenAmount]) -> pd.DataFrame:
    """Return the rows whose open call is the one that the decision knew.

    Another one is the loop's, which knows more: it stands.
    """
    is_same = [
        (open_now[name].call_id if name in open_now else "") == replaces
        for name, replaces in zip(missing["netting_set_id"], missing["replaces"], strict=True)
    ]
    return missing[np.array(is_same, dtype=np.bool_)]


def call_rows(due: pd.DataFrame, agreements: Mapping[str, Agreement]) -> pd.DataFrame:
    """Return rows as ``Calls.issue`` takes them."""
    terms = [agreements[str(name)] for name in due["netting_set_id"]]
    return pd.DataFrame(
        {
            "netting_set_id": due["netting_set_id"].to_numpy(),
            "margin_type": MARGIN_TYPE,
            "amount": [Decimal(text) for text in due["amount"]],
            "currency": due["currency"].to_numpy(),
            **{name: list(due[name]) for name in _INSTANTS},
            "levels": pd.Series([escalation_levels(one) for one in terms], dtype=object),
            "returns": [one.returns for one in terms],
        }
    )


def _of_agreement(rules: RuleBook, agreement: Agreement, call: LoopCall | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "client_id": agreement.client_id,
        "currency": agreement.currency,
        "action": "none",
        "amount": "",
        "replaces": "",
        **dict.fromkeys(_INSTANTS, pd.NaT),
    }
    if call is None:
        return found
    wanted = call.wanted
    is_automatic = ladder_of(rules, agreement).call.action == "automatic"
    terms = wanted.terms or {}
    return {
        **found,
        "action": "call" if is_automatic else "approval",
        "amount": str(wanted.call["amount"]),
        "replaces": call.replaces,
        "issued_at": terms.get("issued_at"),
        "notified_at": terms.get("notified_at"),
        "due_at": wanted.call["due_at"],
    }
