"""Parts of pages that change by themselves, by the name of the element they replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from engine.errors import MissingDataError, StateError
from infra.web import acts
from infra.web.objects import client_of
from infra.web.pages import details
from infra.web.pages.frame import NAVIGATION_TALLIES, house_of
from infra.web.pages.listed import TABLES
from infra.web.pages.overview import overview_context
from infra.web.views.lists import health_of, rungs_of, told_to

if TYPE_CHECKING:
    from infra.web.access import Subject
    from infra.web.principals import Principal
    from infra.web.state import WebState

ALERTS_SHOWN: Final = 100
_Parts = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a page shows: its name, the object it is about, and what its address asks of a table."""

    page: str = "none"
    subject: str = ""
    asked: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragments:
    """Parts by name, and where the page has a table the rows that it shows, in order."""

    version: str
    parts: Mapping[str, str]
    order: tuple[str, ...] | None = None


def fragments_of(web: WebState, who: Principal, view: View) -> Fragments:
    """Return the version of what is shown and the parts that may have changed.

    Everything depends on the record alone and not on the clock, so that equal parts are equal
    texts and only what has changed is sent; ages go on in the browser. What cannot be read just
    now is left out: the head of the page says so, and what was shown stays.
    """
    house = house_of(web, who)
    context: dict[str, Any] = {
        "house": house, "principal": who, "now": None,
        "tallies": NAVIGATION_TALLIES,
    }  # fmt: skip
    parts = {name: _part(web, name, context) for name in ("state", "banners", "tallies")}
    order = None
    try:
        if view.page in TABLES:
            order = _table(web, who, view, context, parts)
        if view.page in _OTHERS:
            _OTHERS[view.page](web, who, view.subject, context, parts)
    except (StateError, MissingDataError):
        order = None
    return Fragments(version=house["book"].version, parts=parts, order=order)


def _table(
    web: WebState, who: Principal, view: View, context: dict[str, Any], parts: _Parts
) -> tuple[str, ...]:
    table = TABLES[view.page]
    found = table.build(web, who, view.asked)
    if view.page == "overview":
        context |= overview_context(web, who)
        context["trail"] = partial(web.live.trail, is_look=False)
        parts["tiles"] = _part(web, "tiles", context)
        for one in context["clients"]:
            parts[f"client {one.client_id}"] = _part(web, "client_row", {**context, "row": one})
    if view.page in ("overview", "health"):
        context["troubles"] = health_of(web, who)
        parts["troubles"] = _part(web, "troubles", context)
    if view.page == "calls":
        context |= {
            "rungs": rungs_of(web, who), "needs_confirmation": acts.needs_confirmation(web, who)
        }  # fmt: skip
        parts["rungs"] = _part(web, "rungs", context)
    context["table"] = found
    parts["tally"] = _part(web, "table_tally", context)
    parts["pager"] = _part(web, "table_pager", context)
    for row in found.rows:
        parts[table.key(row)] = _part(web, table.template, {**context, "row": row})
    return tuple(table.key(row) for row in found.rows)


def _set(
    web: WebState, who: Principal, subject: str, context: dict[str, Any], parts: _Parts
) -> None:
    row = context["house"]["book"].find(subject)
    if row is not None and who.sees(row.client_id):
        context["row"] = row
        parts["figures"] = _part(web, "set_figures", context)


def _alerts(web: WebState, who: Principal, _: str, context: dict[str, Any], parts: _Parts) -> None:
    context["alerts"] = web.live.happenings(who.clients, ALERTS_SHOWN)
    parts["alerts"] = _part(web, "alert_list", context)
    context["told"] = told_to(web, who, ALERTS_SHOWN)
    parts["told"] = _part(web, "told_list", context)


def _runs(web: WebState, who: Principal, _: str, context: dict[str, Any], parts: _Parts) -> None:
    if who.clients is None:
        context["runs"] = details.runs_of(web)
        parts["runs"] = _part(web, "run_table", context)


def _detail(
    kind: Subject, templates: tuple[str, ...], read: Callable[[WebState, str], dict[str, Any]]
) -> Callable[[WebState, Principal, str, dict[str, Any], _Parts], None]:
    def add(
        web: WebState, who: Principal, subject: str, context: dict[str, Any], parts: _Parts
    ) -> None:
        if not who.sees(client_of(web.database, kind, subject)):
            return
        context |= read(web, subject)
        for name in templates:
            parts[name] = _part(web, name, context)

    return add


_OTHERS: Final[Mapping[str, Callable[[WebState, Principal, str, dict[str, Any], _Parts], None]]] = {
    "set": _set,
    "alerts": _alerts,
    "runs": _runs,
    "call": _detail("call", ("call_head", "call_tiles", "call_history"), details.call_of),
    "transfer": _detail("transfer", ("transfer_head", "transfer_life"), details.transfer_of),
    "reduction": _detail(
        "reduction", ("plan_head", "plan_tiles", "plan_orders"), details.reduction_of
    ),
}
PAGES: Final = frozenset({*TABLES, *_OTHERS, "none"})
"""Pages that a stream can be asked for."""


def _part(web: WebState, name: str, context: dict[str, Any]) -> str:
    body = web.pages.render(f"parts/{name}.html", **context).strip()
    # Outside of a template a browser drops rows that stand in no table.
    return f"<template>{body}</template>" if body.startswith("<tr") else body
