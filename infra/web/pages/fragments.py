"""Parts of pages that change by themselves, by the name of the element they replace."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from infra.web.pages.frame import house_of
from infra.web.pages.overview import overview_context
from infra.web.views.lists import alerts_of, breaks_of, calls_of, told_to, transfers_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.web.principals import Principal
    from infra.web.state import WebState

_ALERTS_SHOWN = 100


def fragments_of(
    web: WebState, who: Principal, page: str, subject: str
) -> tuple[str, Mapping[str, str]]:
    """Return the version of what is shown and the parts that may have changed.

    Everything depends on the record alone and not on the clock, so that equal parts are equal
    texts and only what has changed is sent; ages go on in the browser.
    """
    house = house_of(web, who)
    context: dict[str, Any] = {
        "house": house, "principal": who, "now": web.database.clock(), "is_swap": True,
    }  # fmt: skip
    parts = {name: _part(web, f"parts/{name}.html", context) for name in ("state", "banners")}
    if page == "overview":
        context.update(overview_context(web, who))
        context["trail"] = partial(web.live.trail, is_look=False)
        parts["tiles"] = _part(web, "parts/tiles.html", context)
        for row in context["sets"]:
            parts[f"set {row.netting_set_id}"] = _row(web, "parts/set_row.html", context, row)
        for one in context["clients"]:
            parts[f"client {one.client_id}"] = _row(web, "parts/client_row.html", context, one)
    elif page == "set":
        row = house["book"].find(subject)
        if row is not None and who.sees(row.client_id):
            context["row"] = row
            parts["figures"] = _part(web, "parts/set_figures.html", context)
    elif page == "calls":
        for call in calls_of(web, who):
            parts[f"call {call['call_id']}"] = _row(web, "parts/call_row.html", context, call)
    elif page == "transfers":
        for record in transfers_of(web, who):
            parts[record.transfer_key] = _row(web, "parts/transfer_row.html", context, record)
    elif page == "breaks":
        for found in breaks_of(web, who):
            parts[str(found["break_id"])] = _row(web, "parts/break_row.html", context, found)
    elif page == "health":
        for one in health_of(web, who):
            parts[one.key] = _row(web, "parts/health_row.html", context, one)
    elif page == "alerts":
        context["alerts"] = alerts_of(web, who, _ALERTS_SHOWN)
        parts["alerts"] = _part(web, "parts/alert_list.html", context)
        context["told"] = told_to(web, who, _ALERTS_SHOWN)
        parts["told"] = _part(web, "parts/told_list.html", context)
    return house["book"].version, parts


def health_of(web: WebState, who: Principal) -> list[Any]:
    """Return what is to be trusted; accounts of others are nobody's business."""
    return [row for row in web.live.health() if who.clients is None or row.scope != "account"]


def _part(web: WebState, template: str, context: dict[str, Any]) -> str:
    return web.pages.render(template, **context)


def _row(web: WebState, template: str, context: dict[str, Any], row: Any) -> str:
    # Outside of a template a browser drops rows that stand in no table.
    body = web.pages.render(template, **{**context, "row": row})
    return f"<template>{body}</template>"
