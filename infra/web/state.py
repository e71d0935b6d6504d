"""What every request of one application shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from infra.web.limits import Workbench
from infra.web.remembering import RememberedSessions

if TYPE_CHECKING:
    from fastapi import Request

    from infra.custody.fireblocks.receiving import Inbox
    from infra.db import Database
    from infra.web.configuration import WebSettings
    from infra.web.live import Live
    from infra.web.principals import Principal
    from infra.web.rendering import Pages
    from infra.web.services import Services

_HEAVY_PLACES, _HEAVY_WAIT_SECONDS = 2, 4.0


@dataclass(slots=True, kw_only=True)
class WebState:
    """Database, settings, services, templates, live figures, and what is bounded."""

    database: Database
    settings: WebSettings
    services: Services
    live: Live
    pages: Pages
    custody_inbox: Inbox | None = None
    remembered: RememberedSessions = field(default_factory=RememberedSessions)
    bench: Workbench = field(default_factory=lambda: Workbench(_HEAVY_PLACES, _HEAVY_WAIT_SECONDS))


def web_of(request: Request) -> WebState:
    """Return the state of the application that a request came to."""
    return cast("WebState", request.app.state.web)


def caller_of(request: Request) -> Principal:
    """Return who calls; admission has put it there."""
    return cast("Principal", request.state.principal)


def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a posted form; admission has read them."""
    return cast("dict[str, str]", request.state.form)
