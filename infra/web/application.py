"""The application: pages, interface, events, webhooks and metrics over one database."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles

import infra.web.events as events
import infra.web.metrics as metrics
import infra.web.probes as probes
import infra.web.webhooks as webhooks
from engine.errors import InvariantBroken
from infra.web.access import ACCESS
from infra.web.admission import admit
from infra.web.answers import install_handlers
from infra.web.api import books as api_books
from infra.web.api import calls as api_calls
from infra.web.api import house as api_house
from infra.web.api import questions as api_questions
from infra.web.api import reductions as api_reductions
from infra.web.api import rungs as api_rungs
from infra.web.api import transfers as api_transfers
from infra.web.guards import Guard
from infra.web.live import Live
from infra.web.pages import account, login, overview, questions, stops, users
from infra.web.pages import calls as page_calls
from infra.web.pages import feeds as page_feeds
from infra.web.pages import reductions as page_reductions
from infra.web.pages import rungs as page_rungs
from infra.web.pages import transfers as page_transfers
from infra.web.rendering import STATIC, Pages
from infra.web.state import WebState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from infra.custody.fireblocks.receiving import Inbox
    from infra.db import Database
    from infra.web.configuration import WebSettings
    from infra.web.services import Services

_DESCRIPTION = (
    "Margin, calls, transfers and reductions of a cross-venue book. Amounts are exact, as text. "
    "Send `Authorization: Bearer <token>`; a token is made on the page of one's own account. "
    "What cannot be answered is refused with a status above 399 and a sentence; nothing is "
    "ever answered with a guess."
)
_ROUTERS: tuple[APIRouter, ...] = (
    api_reductions.router, page_reductions.router, api_rungs.router,
    page_rungs.router,
    api_books.router, api_calls.router, api_transfers.router, api_house.router,
    api_questions.router, login.router, account.router, overview.router, page_calls.router,
    page_transfers.router, page_feeds.router, questions.router, stops.router, users.router,
    events.router, probes.router, metrics.router, webhooks.router,
)  # fmt: skip


def create_app(
    database: Database,
    settings: WebSettings,
    services: Services,
    *,
    custody_inbox: Inbox | None = None,
) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    database : Database
        The record; its schema has been checked.
    settings : WebSettings
        Where it listens and what it allows.
    services : Services
        What the pages need beyond the record.
    custody_inbox : Inbox, optional
        Takes messages of a custodian; without it they are answered with 404.

    Raises
    ------
    InvariantBroken
        If a route is not in the access table, or the table names one that is not there.
    """
    require_complete_table()
    app = FastAPI(
        title="Plimsoll",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan,
        dependencies=[Depends(admit)],
        middleware=[Middleware(Guard, settings=settings)],
    )
    app.state.web = WebState(
        database=database,
        settings=settings,
        services=services,
        live=Live(database, services),
        pages=Pages(),
        custody_inbox=custody_inbox,
    )
    install_handlers(app)
    for router in _ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def require_complete_table() -> None:
    """Raise InvariantBroken unless routes and access table name each other."""
    served = {
        (method, route.path)
        for router in _ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    unlisted, unserved = served - ACCESS.keys(), ACCESS.keys() - served
    if unlisted or unserved:
        raise InvariantBroken(
            f"routes without access: {sorted(unlisted)}; access without route: {sorted(unserved)}"
        )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    web: WebState = app.state.web
    # The first page then waits for nothing.
    threading.Thread(target=web.live.begin, daemon=True, name="web begins").start()
    yield
    events.close(app)
