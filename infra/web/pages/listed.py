"""Tables that are alive: the same rows on the page and in its stream, for the same address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.web.listing import Listing, asked_of, listing
from infra.web.pages.tables import BREAKS, CALLS, HEALTH, REDUCTIONS, SETS, TRANSFERS
from infra.web.views.lists import breaks_of, calls_of, health_of, reductions_of, transfers_of
from infra.web.views.sets import sets_listing

if TYPE_CHECKING:
    from infra.web.principals import Principal
    from infra.web.state import WebState

_BREAK_FIELDS: Final = ("kind", "netting_set_id", "account_id", "item", "owner", "break_id")


@dataclass(frozen=True, slots=True)
class LiveTable:
    """A table of a page: how it is built from an address, and how a row of it is shown."""

    build: Callable[[WebState, Principal, Mapping[str, str]], Listing[Any]]
    template: str
    key: Callable[[Any], str]
    """Name of a row's element on the page."""


def sets(web: WebState, who: Principal, parameters: Mapping[str, str]) -> Listing[Any]:
    """Return netting sets."""
    asked = asked_of(parameters, "-used", ("status",))
    return sets_listing(web.live.book(), who.clients, SETS, asked)


def calls(web: WebState, who: Principal, parameters: Mapping[str, str]) -> Listing[Any]:
    """Return open calls, and returns where they are asked for."""
    asked = asked_of(parameters, "due", ("direction",), {"direction": "call"})
    wanted = asked.filters["direction"]
    rows = [call for call in calls_of(web, who) if wanted in ("", "all", call["direction"])]
    return listing(
        "calls", "/calls", rows, CALLS, asked,
        lambda call: f"{call['netting_set_id']} {call['client_id']} {call['call_id']}",
    )  # fmt: skip


def transfers(web: WebState, who: Principal, parameters: Mapping[str, str]) -> Listing[Any]:
    """Return transfers, newest first."""
    asked = asked_of(parameters, "-since", ("state",))
    wanted = asked.filters["state"]
    rows = [one for one in transfers_of(web, who) if wanted in ("", one.state)]
    return listing(
        "transfers", "/transfers", rows, TRANSFERS, asked,
        lambda one: f"{one.transfer_key} {one.intent.purpose} {one.intent.source} "
        f"{one.intent.destination} {one.intent.asset} {one.proposer}",
    )  # fmt: skip


def reductions(web: WebState, who: Principal, parameters: Mapping[str, str]) -> Listing[Any]:
    """Return plans that make a book smaller, newest first."""
    asked = asked_of(parameters, "-since")
    return listing(
        "reductions", "/reductions", reductions_of(web, who), REDUCTIONS, asked,
        lambda one: f"{one.intent.netting_set_id} {one.intent.cause} {one.proposer} {one.state}",
    )  # fmt: skip


def breaks(web: WebState, who: Principal, parameters: Mapping[str, str]) -> Listing[Any]:
    """Return open differences between the books."""
    return listing(
        "breaks", "/breaks", breaks_of(web, who), BREAKS, asked_of(parameters, "-age"),
        lambda row: " ".join(str(row.get(name) or "") for name in _BREAK_FIELDS),
    )  # fmt: skip


def health(web: WebState, who: Principal, parameters: Mapping[str, str]) -> Listing[Any]:
    """Return what is to be trusted, worst first."""
    return listing(
        "health", "/health", health_of(web, who), HEALTH, asked_of(parameters, "state"),
        lambda row: f"{row.scope} {row.name} {row.reason}",
    )  # fmt: skip


TABLES: Final[Mapping[str, LiveTable]] = {
    "overview": LiveTable(sets, "set_row", lambda row: f"set-{row.netting_set_id}"),
    "calls": LiveTable(calls, "call_row", lambda row: f"row-{row['call_id']}"),
    "transfers": LiveTable(transfers, "transfer_row", lambda row: f"transfer-{row.transfer_key}"),
    "reductions": LiveTable(reductions, "reduction_row", lambda row: f"plan-{row.plan_id}"),
    "breaks": LiveTable(breaks, "break_row", lambda row: str(row["break_id"])),
    "health": LiveTable(health, "health_row", lambda row: f"health-{row.key}".replace(" ", "-")),
}
"""By the name of the page that its stream is asked for."""
