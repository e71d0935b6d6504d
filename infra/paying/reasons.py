"""What keeps a call from being paid by itself: doubt, distrust, refusals; and what to do then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from infra.paying.live import Distrust, LiveAnswer, LiveStanding

if TYPE_CHECKING:
    from infra.connections import AccountConnection
    from infra.db.transfer_commitments import Refusals

ARRIVAL_KNOWN_AFTER: Final = timedelta(seconds=5)
REFUSALS_MAX: Final = 3
"""Transfers of one call that venues may refuse before a person is asked."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a call is not paid now, and what happens next or is to be done."""

    words: str
    next_action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """From where a call may be paid now, and to where; ``doubted`` assets do not pay.

    ``destinations`` are tried in their order: first the netting set's own accounts, since the venue
    that is short of margin there liquidates them; then the house's.
    """

    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    doubted: frozenset[str]

    def rates(self, all_rates: Mapping[str, float]) -> dict[str, float]:
        """Return the prices of assets that are not in doubt. [USD]"""
        return {name: rate for name, rate in all_rates.items() if name not in self.doubted}


def obstacle_of(netting_set_id: str, answer: LiveAnswer) -> Obstacle | None:
    """Return what the loop's book says against paying a netting set's call just now."""
    if not answer.is_deciding:
        return Obstacle("the loop waits for first snapshots", "it is taken up again by itself")
    live = answer.standings.get(netting_set_id)
    if live is None or live.owed is None or live.cover is None:
        return Obstacle(
            f"the loop has no figures of {netting_set_id}",
            "look at its feeds with `plimsoll intraday status`, or pay by hand",
        )
    if live.status != "assessed":
        return Obstacle(
            f"inputs of {netting_set_id} are in doubt: {live.reason or live.status}",
            "it is paid by itself when they are trusted again; until then a person decides with "
            "`plimsoll calls pay`",
        )
    if live.owed <= live.cover:
        return Obstacle(
            f"{netting_set_id} is covered again at present prices",
            "it is taken back if that lasts and nobody has acted on it",
        )
    return None


def refusal_of(refusals: Refusals) -> Obstacle | None:
    """Return why what was refused before is not proposed again."""
    if refusals.by_person:
        return Obstacle(
            f"transfer {refusals.by_person[:12]} was refused by a person",
            "a person decides: `plimsoll calls pay`, or leave it to its due date",
        )
    if refusals.n_by_venue >= REFUSALS_MAX:
        return Obstacle(
            f"{refusals.n_by_venue} transfers for it were refused by venues",
            "see why with `plimsoll transfers list --state rejected`, then `plimsoll calls pay`",
        )
    return None


def arrival_of(arrived_at: datetime | None, now: datetime) -> Obstacle | None:
    """Return whether a payment has come so lately that a venue may not have told the loop yet."""
    if arrived_at is None or now - arrived_at >= ARRIVAL_KNOWN_AFTER:
        return None
    return Obstacle(
        "a payment has arrived a moment ago, and figures may be from before",
        "it is looked at again by itself in a few seconds",
    )


def trusted_places(
    accounts: Sequence[AccountConnection],
    client_id: str,
    standing: LiveStanding,
    distrusted: Sequence[Distrust],
) -> Places | Obstacle:
    """Return the places of a client that may pay now, and those that may receive.

    Of several accounts of the netting set the one leads whose margin is nearest to its equity.
    """
    by_name = {(one.scope, one.name): one for one in distrusted}
    own = (standing.netting_set_id, client_id)
    payers = [one for one in accounts if one.role == "payer" and one.client_id == client_id]
    receivers = sorted(
        (
            one
            for one in accounts
            if one.role == "client" and (one.netting_set_id, one.client_id) == own
        ),
        key=lambda one: -standing.usage.get(one.account_id, 0.0),
    )
    receivers += [one for one in accounts if one.role == "house"]
    for found, what in (
        (payers, f'role = "payer" of {client_id}'),
        (receivers, f'role = "client" of {standing.netting_set_id}, or role = "house",'),
    ):
        if not found:
            return Obstacle(
                f"no place with {what} is connected",
                "add it as an [[account]] of the connections file, or pay by hand",
            )
    doubts = {one.place: _doubt(one, by_name) for one in (*payers, *receivers)}
    for group in (payers, receivers):
        if all(doubts[one.place] for one in group):
            told = "; ".join(doubts[one.place] for one in group)
            return Obstacle(told, "it is paid by itself when one of them is trusted again")
    return Places(
        sources=tuple(one.place for one in payers if not doubts[one.place]),
        destinations=tuple(one.place for one in receivers if not doubts[one.place]),
        doubted=frozenset(one.name for one in distrusted if one.scope == "underlying"),
    )


def _doubt(account: AccountConnection, by_name: Mapping[tuple[str, str], Distrust]) -> str:
    """Return why a place is not trusted, empty where it is."""
    venue = account.place.partition("/")[0]
    for key in (
        ("venue", venue), ("account", account.account_id), ("location", account.account_id),
        ("location", account.place),
    ):  # fmt: skip
        found = by_name.get(key)
        if found is not None:
            return f"{account.place}: {found.scope} {found.name} is {found.state}, {found.reason}"
    return ""
