"""Lists that pages and the interface share, cut to what the caller may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from engine.errors import MissingDataError
from infra.db.intraday_events import NETTING_SET, RecordedEvent
from infra.listings import record_as_json
from infra.web.objects import client_of

if TYPE_CHECKING:
    from infra.db.alerts import AlertRecord
    from infra.db.intraday_grants import WaitingRung
    from infra.db.reduction_records import ReductionRecord
    from infra.db.transfers import TransferRecord
    from infra.web.principals import Principal
    from infra.web.state import WebState
    from infra.web.views.health_rows import HealthRow

_ENDED_SHOWN: Final = 200


def calls_of(web: WebState, who: Principal) -> list[dict[str, Any]]:
    """Return open calls and returns with the client of each, what is due first leading."""
    book = web.live.book()
    found = []
    for call in web.live.calls():
        client = book.client_of(call["netting_set_id"])
        if who.sees(client):
            found.append({**call, "client_id": client or ""})
    return found


def transfers_of(web: WebState, who: Principal) -> list[TransferRecord]:
    """Return transfers, newest first: all that are open, and the last that have ended."""
    records = web.database.transfers.list()
    visible = records if who.clients is None else [one for one in records if _is_own(web, who, one)]
    return list(reversed(visible))[: _ENDED_SHOWN + sum(1 for one in visible if _is_open(one))]


def transfers_as_json(records: list[TransferRecord]) -> list[dict[str, Any]]:
    """Return transfers as JSON values."""
    return [record_as_json(one) for one in records]


def reductions_of(web: WebState, who: Principal) -> list[ReductionRecord]:
    """Return plans that make a book smaller, newest first."""
    book = web.live.book()
    found = web.database.reductions.list()
    visible = [one for one in found if who.sees(book.client_of(one.intent.netting_set_id))]
    return list(reversed(visible))[:_ENDED_SHOWN]


def rungs_of(web: WebState, who: Principal) -> list[WaitingRung]:
    """Return rungs of the ladder that wait for a person, the longest waiting first."""
    found = web.database.intraday_grants.waiting()
    return [one for one in found if who.sees(one.client_id)]


def breaks_of(web: WebState, who: Principal) -> list[dict[str, Any]]:
    """Return open breaks, oldest first."""
    frame = web.database.breaks.open_breaks(web.database.clock().date())
    book = web.live.book()
    rows = [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
    return [row for row in rows if who.sees(book.client_of(str(row.get("netting_set_id", ""))))]


def health_of(web: WebState, who: Principal) -> list[HealthRow]:
    """Return what is to be trusted; accounts of others are nobody's business."""
    return [row for row in web.live.health() if who.clients is None or row.scope != "account"]


def alerts_of(web: WebState, who: Principal, limit: int) -> list[RecordedEvent]:
    """Return the last events, newest first; of the house only to who sees the whole house."""
    found = web.database.intraday_events.latest(limit)
    if who.clients is None:
        return list(found)
    book = web.live.book()
    return [
        one
        for one in found
        if one.resource.startswith(NETTING_SET)
        and who.sees(book.client_of(one.resource.removeprefix(NETTING_SET)))
    ]


def told_to(web: WebState, who: Principal, limit: int) -> list[AlertRecord]:
    """Return what people were told, newest first; groups span clients, so of the house alone."""
    return web.database.alerts.latest(limit) if who.clients is None else []


def _is_own(web: WebState, who: Principal, record: TransferRecord) -> bool:
    try:
        return who.sees(client_of(web.database, "transfer", record.transfer_key))
    except MissingDataError:
        return False


def _is_open(record: TransferRecord) -> bool:
    return record.state not in ("reconciled", "rejected", "cancelled")
