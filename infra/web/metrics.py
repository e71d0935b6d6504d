"""Figures for Prometheus, read from the record at each scrape; labels have few values.

Names and meanings are in the README of this package; alert rules in ``infra/deploy`` rest on them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from starlette.responses import Response

from engine.errors import MarginPlatformError
from engine.times import close_of
from infra.db.tables import BreakRow, CallRow, RunRow
from infra.db.transfer_tables import TransferRow
from infra.web.state import web_of
from infra.web.views.book import last_close
from infra.web.views.totals import by_client, by_venue, headline

if TYPE_CHECKING:
    from infra.web.state import WebState

router = APIRouter(include_in_schema=False)
CLIENTS_SHOWN: Final = 20
"""Clients with a label of their own, the largest first; the others are summed up."""
CONSUMERS: Final = ("alerts", "prefect")
_STATES: Final = ("down", "degraded", "unknown", "live")


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Return all figures in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Figures(web_of(request)))
    own = generate_latest(registry).decode()
    loop = web_of(request).services.loop_metrics()
    return Response(own + loop, headers={"content-type": CONTENT_TYPE_LATEST})


class _Figures(Collector):
    def __init__(self, web: WebState) -> None:
        self._web = web

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name nothing beforehand: the record is asked at the scrape alone."""
        yield from ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the record. What cannot be read is absent, and ``plimsoll_up`` says so."""
        started = time.monotonic()
        up = _gauge("up", "1 if the record could be read at this scrape")
        found: list[GaugeMetricFamily] = []
        try:
            for part in (_book, _calls, _transfers, _breaks, _runs, _feeds, _outbox):
                found += part(self._web)
            up.add_metric([], 1.0)
        except MarginPlatformError:
            up.add_metric([], 0.0)
        yield up
        yield from found
        yield _one("scrape_seconds", "time this scrape took", time.monotonic() - started)


def _book(web: WebState) -> list[GaugeMetricFamily]:
    book, rates = web.live.book(), web.live.rates()
    whole = headline(book, rates)
    kinds = _gauge(
        "requirement_usd", "owed, house's, venues' and held, at the close's rates", "kind"
    )
    for kind, value in (
        ("owed", whole.owed), ("house", whole.house), ("venue", whole.venue_margin),
        ("collateral", whole.collateral_value),
    ):  # fmt: skip
        kinds.add_metric([kind], value)
    sets = _gauge("netting_sets", "netting sets by status", "status")
    for status in ("assessed", "held", "failed"):
        sets.add_metric([status], int(book.arrays.words["status"].is_word(status).sum()))
    binding = _gauge("netting_sets_binding", "netting sets by the side that binds", "side")
    for side, number in (
        ("house", whole.n_house_binds), ("venue", whole.n_venue_binds),
        ("unknown", whole.n_unknown_binds),
    ):  # fmt: skip
        binding.add_metric([side], number)
    clients = _gauge(
        "client_owed_usd", "owed by the largest clients; the others together", "client"
    )
    held = _gauge("client_collateral_usd", "held of the largest clients", "client")
    sums = by_client(book, rates)
    rows = sums.largest(CLIENTS_SHOWN)
    for row in rows:
        clients.add_metric([row.client_id], row.owed)
        held.add_metric([row.client_id], row.collateral_value)
    is_rest = len(sums.names) > len(rows)
    rest = [
        float(total.sum()) - sum(shown) if is_rest else 0.0
        for total, shown in (
            (sums.owed, [row.owed for row in rows]),
            (sums.collateral_value, [row.collateral_value for row in rows]),
        )
    ]
    clients.add_metric(["other"], rest[0])
    held.add_metric(["other"], rest[1])
    venues = _gauge("venue_initial_margin_usd", "demanded by a venue, last close", "venue")
    for venue in by_venue(web.database, book.run_id, None):
        venues.add_metric([venue.venue], float(venue.initial_margin))
    over = _one(
        "netting_sets_over_limit", "netting sets that owe more than they hold", whole.n_over
    )
    live = _one("board_is_live", "1 while the loop publishes", float(book.source == "live"))
    return [kinds, sets, binding, clients, held, venues, over, live]


def _calls(web: WebState) -> list[GaugeMetricFamily]:
    n_open, n_late = web.live.counts().n_calls, web.live.counts().n_late
    now = web.database.clock()
    query = select(func.min(CallRow.first_due_at)).where(
        CallRow.direction == "call",
        CallRow.state.not_in(("settled", "superseded", "withdrawn", "computed")),
    )
    with web.database.reading() as connection:
        oldest = connection.execute(query).scalar()
    late = max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0
    return [
        _one("calls_open", "calls to clients that are not settled", n_open),
        _one("calls_late", "of these, past due", n_late),
        _one("calls_late_seconds_max", "how long the oldest is past due", late),
    ]


def _transfers(web: WebState) -> list[GaugeMetricFamily]:
    now = web.database.clock()
    query = select(TransferRow.state, func.count(), func.min(TransferRow.recorded_at)).group_by(
        TransferRow.state
    )
    states = _gauge("transfers", "transfers by state", "state")
    ages = _gauge("transfer_age_seconds_max", "age of the oldest open transfer by state", "state")
    with web.database.reading() as connection:
        for state, number, oldest in connection.execute(query):
            states.add_metric([state], number)
            if state not in ("reconciled", "rejected", "cancelled"):
                ages.add_metric([state], (now - oldest).total_seconds())
    return [states, ages]


def _breaks(web: WebState) -> list[GaugeMetricFamily]:
    now = web.database.clock().date()
    query = select(func.count(), func.min(BreakRow.first_seen)).where(BreakRow.status == "open")
    with web.database.reading() as connection:
        number, oldest = connection.execute(query).one()
    days = (now - oldest).days if oldest is not None else 0
    return [
        _one("breaks_open", "differences between the books that are open", number),
        _one("break_age_days_max", "age of the oldest", days),
    ]


def _runs(web: WebState) -> list[GaugeMetricFamily]:
    now = web.database.clock()
    query = select(RunRow.kind, RunRow.status, func.count()).group_by(RunRow.kind, RunRow.status)
    runs = _gauge("runs", "runs of the record by kind and status", "kind", "status")
    with web.database.reading() as connection:
        for kind, status, number in connection.execute(query):
            runs.add_metric([kind, status], number)
    close = last_close(web.database)
    if close is None:
        return [runs]
    age = (now - close_of(close.business_date)).total_seconds()
    return [runs, _one("close_age_seconds", "since the end of the last closed date", age)]


def _feeds(web: WebState) -> list[GaugeMetricFamily]:
    now = web.database.clock()
    states = _gauge("health", "things that figures rest on, by scope and state", "scope", "state")
    ages = _gauge(
        "feed_age_seconds", "since a feed's last sign or change of state", "scope", "name"
    )
    counts: dict[tuple[str, str], int] = {}
    for row in web.live.health():
        counts[row.scope, row.state] = counts.get((row.scope, row.state), 0) + 1
        if row.since is not None and row.scope in ("venue", "system"):
            ages.add_metric([row.scope, row.name], (now - row.since).total_seconds())
    for scope in sorted({scope for scope, _ in counts}):
        for state in _STATES:
            states.add_metric([scope, state], counts.get((scope, state), 0))
    published = web.database.board.published_at()
    found = [states, ages]
    if published is not None:
        age = (now - published).total_seconds()
        found.append(_one("board_age_seconds", "since the loop published last", age))
    armed = float(web.services.kill_switch().status().is_armed)
    return [*found, _one("kill_switch_armed", "1 while everything that leaves is stopped", armed)]


def _outbox(web: WebState) -> list[GaugeMetricFamily]:
    messages = _gauge("messages", "messages to clients by state", "state")
    for state, number in web.database.webhooks.counts().items():
        messages.add_metric([state], number)
    told = _gauge("alert_messages", "messages to people by state", "state")
    for state, number in web.database.alerts.counts().items():
        told.add_metric([state], number)
    lag = _gauge("events_unread", "events that a reader has not handled", "reader")
    for reader, number in web.database.intraday_events.lag(CONSUMERS).items():
        lag.add_metric([reader], number)
    return [messages, told, lag]


def _gauge(name: str, words: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"plimsoll_{name}", words, labels=list(labels))


def _one(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"plimsoll_{name}", words, value=value)
