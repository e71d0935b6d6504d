"""Who may do what: the one table that the server asks and the tests generate from.

A route that is not listed is not served: the application refuses to start with one. Objects
(netting sets, calls, transfers) are checked as well: a user who is bound to clients gets the same
answer for another's object as for one that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Role: TypeAlias = Literal["viewer", "operator", "approver", "admin"]
Scope: TypeAlias = Literal["read", "act", "approve", "admin"]
Subject: TypeAlias = Literal["", "netting_set", "call", "transfer", "reduction"]

EVERYBODY: Final = frozenset({"viewer", "operator", "approver", "admin"})
WORKING: Final = frozenset({"operator", "approver"})
APPROVING: Final = frozenset({"approver"})
STOPPING: Final = frozenset({"operator", "approver", "admin"})
ADMINISTERING: Final = frozenset({"admin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a route asks of whoever calls it.

    Attributes
    ----------
    roles : frozenset of str
        Roles that may; empty for a route that anybody may call.
    scope : str
        What a token has to be issued for; ``admin`` is for people alone.
    subject : str
        Kind of the object that the path names: it has to be one of the caller's clients.
    is_house : bool
        Of the house as a whole: who is bound to clients may not.
    moves_money : bool
        A person has to have given the password lately.
    """

    roles: frozenset[str] = EVERYBODY
    scope: Scope = "read"
    subject: Subject = ""
    is_house: bool = False
    moves_money: bool = False

    @property
    def is_public(self) -> bool:
        """Whether anybody may."""
        return not self.roles


def _read(subject: Subject = "", *, is_house: bool = False) -> Access:
    return Access(subject=subject, is_house=is_house)


def _act(subject: Subject = "", *, is_house: bool = False) -> Access:
    return Access(roles=WORKING, scope="act", subject=subject, is_house=is_house)


def _approve(subject: Subject = "", *, is_house: bool = False) -> Access:
    return Access(
        roles=APPROVING, scope="approve", subject=subject, is_house=is_house, moves_money=True
    )


_PUBLIC: Final = Access(roles=frozenset())
_ADMIN: Final = Access(roles=ADMINISTERING, scope="admin", is_house=True)
_STOP: Final = Access(roles=STOPPING, scope="act", is_house=True)
# Signs and tokens of one's own account: every person, no program.
_OWN: Final = Access(scope="admin")

_API: Final[Mapping[tuple[str, str], Access]] = {
    ("GET", "/v1/netting-sets"): _read(),
    ("GET", "/v1/netting-sets/{netting_set_id}"): _read("netting_set"),
    ("GET", "/v1/netting-sets/{netting_set_id}/explanation"): _read("netting_set"),
    ("GET", "/v1/netting-sets/{netting_set_id}/history"): _read("netting_set"),
    ("GET", "/v1/rungs"): _read(),
    ("POST", "/v1/netting-sets/{netting_set_id}/rungs/{rung}/grant"): _approve(
        "netting_set", is_house=True
    ),
    ("POST", "/v1/netting-sets/{netting_set_id}/rungs/{rung}/refuse"): _approve(
        "netting_set", is_house=True
    ),
    ("GET", "/v1/requirements"): _read(),
    ("GET", "/v1/board"): _read(),
    ("GET", "/v1/health"): _read(),
    ("GET", "/v1/alerts"): _read(),
    ("GET", "/v1/calls"): _read(),
    ("GET", "/v1/calls/{call_id}"): _read("call"),
    ("POST", "/v1/calls/{call_id}/agree"): _act("call"),
    ("POST", "/v1/calls/{call_id}/dispute"): _act("call"),
    # What has settled is seen by the house itself and never taken from a client.
    ("POST", "/v1/calls/{call_id}/settle"): _act("call", is_house=True),
    ("GET", "/v1/transfers"): _read(),
    ("GET", "/v1/transfers/{transfer_key}"): _read("transfer"),
    ("POST", "/v1/transfers"): _act(is_house=True),
    ("POST", "/v1/transfers/{transfer_key}/approve"): _approve("transfer", is_house=True),
    ("POST", "/v1/transfers/{transfer_key}/reject"): _act("transfer", is_house=True),
    ("GET", "/v1/reductions"): _read(),
    ("GET", "/v1/reductions/{plan_id}"): _read("reduction"),
    ("POST", "/v1/reductions/{plan_id}/approve"): _approve("reduction", is_house=True),
    ("POST", "/v1/reductions/{plan_id}/reject"): _act("reduction", is_house=True),
    ("POST", "/v1/reductions/{plan_id}/stop"): _act("reduction", is_house=True),
    ("GET", "/v1/breaks"): _read(),
    ("GET", "/v1/whitelist"): _read(is_house=True),
    ("POST", "/v1/whitelist"): _act(is_house=True),
    ("POST", "/v1/whitelist/{entry_id}/approve"): _approve(is_house=True),
    ("POST", "/v1/whitelist/{entry_id}/revoke"): _act(is_house=True),
    ("GET", "/v1/kill-switch"): _read(is_house=True),
    ("POST", "/v1/kill-switch/arm"): _STOP,
    ("POST", "/v1/kill-switch/disarm"): _approve(is_house=True),
    ("GET", "/v1/runs"): _read(is_house=True),
    ("GET", "/v1/runs/{run_id}"): _read(is_house=True),
    ("GET", "/v1/compute"): _read(),
    ("POST", "/v1/compute"): _read(),
    ("POST", "/v1/whatif"): _read(),
    ("GET", "/v1/stress"): _read(),
    ("POST", "/v1/stress"): _read(is_house=True),
    ("GET", "/v1/openapi.json"): _read(),
    ("GET", "/metrics"): _read(is_house=True),
}

_PAGES: Final[Mapping[tuple[str, str], Access]] = {
    ("GET", "/"): _read(),
    ("GET", "/events"): Access(scope="admin"),
    ("GET", "/netting-sets/{netting_set_id}"): _read("netting_set"),
    ("POST", "/netting-sets/{netting_set_id}/whatif"): Access(subject="netting_set"),
    ("POST", "/netting-sets/{netting_set_id}/rungs/{rung}/grant"): _approve(
        "netting_set", is_house=True
    ),
    ("POST", "/netting-sets/{netting_set_id}/rungs/{rung}/refuse"): _approve(
        "netting_set", is_house=True
    ),
    ("GET", "/calls"): _read(),
    ("GET", "/calls/{call_id}"): _read("call"),
    ("POST", "/calls/{call_id}/agree"): _act("call"),
    ("POST", "/calls/{call_id}/dispute"): _act("call"),
    ("POST", "/calls/{call_id}/settle"): _act("call", is_house=True),
    ("GET", "/transfers"): _read(),
    ("GET", "/transfers/{transfer_key}"): _read("transfer"),
    ("POST", "/transfers"): _act(is_house=True),
    ("POST", "/transfers/{transfer_key}/approve"): _approve("transfer", is_house=True),
    ("POST", "/transfers/{transfer_key}/reject"): _act("transfer", is_house=True),
    ("GET", "/reductions"): _read(),
    ("GET", "/reductions/{plan_id}"): _read("reduction"),
    ("POST", "/reductions/{plan_id}/approve"): _approve("reduction", is_house=True),
    ("POST", "/reductions/{plan_id}/reject"): _act("reduction", is_house=True),
    ("POST", "/reductions/{plan_id}/stop"): _act("reduction", is_house=True),
    ("GET", "/breaks"): _read(),
    ("GET", "/health"): _read(),
    ("GET", "/alerts"): _read(),
    ("POST", "/alerts/{alert_id}/acknowledge"): _act(is_house=True),
    ("GET", "/stress"): _read(is_house=True),
    ("POST", "/stress"): _read(is_house=True),
    ("GET", "/runs"): _read(is_house=True),
    ("GET", "/runs/{run_id}/report"): _read(is_house=True),
    ("GET", "/whitelist"): _read(is_house=True),
    ("POST", "/whitelist"): _act(is_house=True),
    ("POST", "/whitelist/{entry_id}/approve"): _approve(is_house=True),
    ("POST", "/whitelist/{entry_id}/revoke"): _act(is_house=True),
    ("GET", "/kill-switch"): _read(is_house=True),
    ("POST", "/kill-switch/arm"): _STOP,
    ("POST", "/kill-switch/disarm"): _approve(is_house=True),
    ("GET", "/users"): _ADMIN,
    ("POST", "/users"): _ADMIN,
    ("POST", "/users/{username}/disable"): _ADMIN,
    ("POST", "/users/{username}/enable"): _ADMIN,
    ("POST", "/users/{username}/password"): _ADMIN,
    ("GET", "/account"): _OWN,
    ("POST", "/account/password"): _OWN,
    ("POST", "/account/tokens"): _OWN,
    ("POST", "/account/tokens/{token_id}/revoke"): _OWN,
    ("GET", "/confirm"): _OWN,
    ("POST", "/confirm"): _OWN,
    ("POST", "/logout"): _OWN,
    ("POST", "/account/sessions/end"): _OWN,
    ("GET", "/login"): _PUBLIC,
    ("POST", "/login"): _PUBLIC,
    ("GET", "/healthz"): _PUBLIC,
    ("GET", "/readyz"): _PUBLIC,
    # Each message proves by its own signature who has sent it.
    ("POST", "/webhooks/calls/{client_id}"): _PUBLIC,
    ("POST", "/webhooks/fireblocks"): _PUBLIC,
    ("POST", "/webhooks/executions"): _PUBLIC,
}

ACCESS: Final[Mapping[tuple[str, str], Access]] = {**_API, **_PAGES}
"""What each route asks, by method and path."""
