"""The frame of every page: navigation by role, the state of the house, a notice, the form token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import HTMLResponse, RedirectResponse

from infra.web.access import ACCESS
from infra.web.rendering import span_of
from infra.web.state import caller_of, web_of
from infra.web.views.lists import health_of

if TYPE_CHECKING:
    from fastapi import Request

    from infra.web.principals import Principal
    from infra.web.state import WebState

_WATCH: Final = (
    ("/", "Overview"), ("/calls", "Calls"), ("/transfers", "Transfers"),
    ("/reductions", "Reductions"), ("/breaks", "Breaks"), ("/health", "Feeds"),
    ("/alerts", "Alerts"),
)  # fmt: skip
_ASK: Final = (("/stress", "Stress"), ("/runs", "Runs"))
_CONTROL: Final = (
    ("/whitelist", "Whitelist"), ("/kill-switch", "Kill switch"), ("/users", "Users"),
)  # fmt: skip
NAVIGATION_TALLIES: Final = (
    ("/calls", "n_late", "act", "past due"), ("/transfers", "n_proposed", "watch",
    "wait for approval"), ("/breaks", "n_breaks", "", "open"),
    ("/health", "n_troubled", "watch", "degraded or down"),
)  # fmt: skip
"""Counts beside entries of the navigation: address, what of the house, colour, words."""
_NAVIGATION: Final = (("Watch", _WATCH), ("Ask", _ASK), ("Control", _CONTROL))


def page(
    request: Request, template: str, *, live: str = "none", subject: str = "", status: int = 200,
    **context: Any,
) -> HTMLResponse:  # fmt: skip
    """Return a page.

    Parameters
    ----------
    template : str
        Its file.
    live, subject : str
        What the page's stream of changes is about.
    """
    web, who = web_of(request), caller_of(request)
    if who.notice:
        web.database.web_sessions.leave_notice(who.session_hash, "")
    kind, _, sentence = who.notice.partition("|")
    body = web.pages.render(
        template,
        principal=who,
        navigation=navigation_of(who),
        path=request.url.path,
        now=web.database.clock(),
        house=house_of(web, who),
        tallies=NAVIGATION_TALLIES,
        silence_ms=int(web.settings.silence.total_seconds() * 1000),
        live=live,
        subject=subject,
        notice=sentence,
        notice_kind=kind or "done",
        runs_address=web.services.run_pages() if who.clients is None else "",
        **context,
    )
    return HTMLResponse(body, status)


def part(request: Request, template: str, **context: Any) -> HTMLResponse:
    """Return a part of a page, for a form that puts its answer beside itself."""
    web = web_of(request)
    now = web.database.clock()
    body = web.pages.render(template, principal=caller_of(request), now=now, **context)
    return HTMLResponse(body)


def back_to(
    request: Request, address: str, sentence: str, *, kind: str = "done"
) -> RedirectResponse:
    """Send a browser on after a form, with a sentence for the page it comes to."""
    who = caller_of(request)
    web_of(request).database.web_sessions.leave_notice(who.session_hash, f"{kind}|{sentence}")
    return RedirectResponse(address, 303)


def navigation_of(who: Principal) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the pages that the caller may open, by group."""
    found = []
    for group, entries in _NAVIGATION:
        allowed = [entry for entry in entries if who.may(ACCESS["GET", entry[0]])]
        if allowed:
            found.append((group, allowed))
    return found


def house_of(web: WebState, who: Principal) -> dict[str, Any]:
    """Return what every page says: source and age of figures, what waits, the switch."""
    book, counts, is_whole = web.live.book(), web.live.counts(), who.clients is None
    calls, breaks = counts.calls, counts.breaks
    if not is_whole:
        calls = {name: pair for name, pair in calls.items() if who.sees(book.client_of(name))}
        breaks = {name: n for name, n in breaks.items() if who.sees(book.client_of(name))}
    now = web.database.clock()
    age = (now - book.as_of).total_seconds() if book.as_of is not None else None
    return {
        "book": book,
        "age": "" if age is None else span_of(age),
        "n_calls": counts.n_calls if is_whole else sum(pair[0] for pair in calls.values()),
        "n_late": counts.n_late if is_whole else sum(pair[1] for pair in calls.values()),
        "n_proposed": counts.n_proposed if is_whole else 0,
        "n_stuck": counts.n_stuck if is_whole else 0,
        "n_moving": counts.n_moving if is_whole else 0,
        "n_breaks": sum(breaks.values()),
        "kill": web.services.kill_switch().status(),
        "fault": web.live.fault(),
        "n_troubled": sum(1 for row in health_of(web, who) if row.is_troubled),
    }
