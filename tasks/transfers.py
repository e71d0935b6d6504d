"""Transfers as people work on them: proposed, approved, sent, resolved; without Prefect."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from engine.errors import ParameterError
from engine.money import Money, to_minor_units
from engine.transfers import TransferIntent, WhitelistEntry, uses_of
from engine.transfers.policy import TransferPolicy
from infra.clock import utc_now
from infra.dated_policies import require_network
from infra.db.transfers import TransferRecord
from infra.listings import (
    Shown,
    entry_as_json,
    record_as_json,
    shown_as_json,
    shown_transfer,
)
from infra.transfers import HandDecision, KillSwitch, TransferDesk, Worked, policy_in_force
from tasks.gateways import gateways
from tasks.principals import principal
from tasks.workplace import Workplace, workplace

__all__ = [
    "Shown",
    "TransferRecord",
    "WhitelistEntry",
    "Wish",
    "Worked",
    "approve",
    "decide",
    "desk_of",
    "entry_as_json",
    "limits",
    "propose",
    "record_as_json",
    "reject",
    "resolve_due",
    "send_due",
    "shown",
    "shown_as_json",
    "transfers",
    "whitelist",
    "whitelist_approve",
    "whitelist_propose",
    "whitelist_revoke",
]

OPEN: Final = ("proposed", "approved", "new", "unknown", "done", "credited", "stuck")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A transfer as a person words it; ``quantity`` as text, exact."""

    purpose: str
    source: str
    destination: str
    asset: str
    quantity: str
    reason: str
    leg: int = 1
    network: str = ""
    address: str = ""
    memo: str = ""
    attempt_group: int = 1


def transfers(states: Sequence[str] = (), *, only_open: bool = False) -> list[TransferRecord]:
    """Return transfers, the earliest first; those in ``states``, or only open ones."""
    known = (*OPEN, "reconciled", "rejected", "cancelled")
    for state in states:
        if state not in known:
            raise ParameterError(
                f"--state {state}, limit: {', '.join(known)}", identifier="state", value=state
            )
    wanted = tuple(states) or (OPEN if only_open else None)
    return _prepared().database.transfers.list(wanted)


def shown(key: str) -> Shown:
    """Return one transfer with everything that is known of it."""
    place = _prepared()
    return shown_transfer(place.database, _policy(place), key)


def propose(wish: Wish) -> TransferRecord:
    """Propose a transfer; the same wish again finds the first one."""
    place = _prepared()
    policy = _policy(place)
    scale = policy.asset_rule(wish.asset).scale
    intent = TransferIntent(
        purpose=wish.purpose,
        leg=wish.leg,
        source=wish.source,
        destination=wish.destination,
        asset=wish.asset,
        amount=to_minor_units(Money(_decimal(wish.quantity, "--quantity"), wish.asset), scale),
        scale=scale,
        network=wish.network,
        address=wish.address,
        memo=wish.memo,
        attempt_group=wish.attempt_group,
    )
    return _desk(place, policy).propose(intent, principal(), wish.reason)


def approve(key: str, payload_hash: str, reason: str = "") -> TransferRecord:
    """Approve a transfer's payload in one's own name."""
    place = _prepared()
    return _desk(place, _policy(place)).approve(key, principal(), payload_hash, reason)


def reject(key: str, reason: str) -> TransferRecord:
    """Refuse a transfer that was not sent, or take one's own back."""
    place = _prepared()
    return _desk(place, _policy(place)).reject(key, principal(), reason)


def decide(key: str, outcome: str, reason: str, fee: str) -> TransferRecord:
    """Decide about a stuck transfer by hand."""
    place = _prepared()
    decision = HandDecision(
        outcome=outcome, principal=principal(), reason=reason, fee=_decimal(fee, "--fee")
    )
    return _desk(place, _policy(place)).decide(key, decision)


def send_due() -> Worked:
    """Send what is approved and reserved, once each."""
    place = _prepared()

    async def work() -> Worked:
        async with gateways(place) as opened:
            return await _desk(place, _policy(place)).send_due(opened)

    return asyncio.run(work())


def resolve_due(*, everything: bool = False) -> Worked:
    """Ask the venues about open transfers; all of them, or those that are due."""
    place = _prepared()

    async def work() -> Worked:
        async with gateways(place) as opened:
            desk = _desk(place, _policy(place))
            return await desk.resolve_due(opened, everything=everything)

    return asyncio.run(work())


def limits() -> tuple[TransferPolicy, list[dict[str, Any]]]:
    """Return the policy in force and how much of its limits is used now."""
    from infra.db.transfer_queries import all_counted_within

    place = _prepared()
    policy = _policy(place)
    now = utc_now()
    with place.database.reading() as connection:
        past = [
            one for asset in sorted(policy.assets)
            for one in all_counted_within(connection, asset, now)
        ]  # fmt: skip
    rows = [
        {
            "source": use.limit.source,
            "destination": use.limit.destination,
            "asset": use.limit.asset,
            "day_used": str(use.day_used),
            "day_max": str(use.limit.day_max),
            "rolling_used": str(use.rolling_used),
            "rolling_max": str(use.limit.rolling_max),
        }
        for use in uses_of(policy.limits, past, now)
    ]
    return policy, rows


def whitelist() -> list[WhitelistEntry]:
    """Return all destinations, revoked ones too."""
    return _prepared().database.whitelist.list()


def whitelist_propose(content: WhitelistEntry, reason: str) -> WhitelistEntry:
    """Propose a destination in one's own name."""
    return _prepared().database.whitelist.propose(content, principal(), _stated(reason))


def whitelist_approve(entry: str, reason: str) -> WhitelistEntry:
    """Approve a destination that another person has proposed; it cools off first."""
    from datetime import timedelta

    place = _prepared()
    cool_off = timedelta(hours=_policy(place).whitelist_cool_off_hours)
    return place.database.whitelist.approve(entry, principal(), _stated(reason), cool_off)


def whitelist_revoke(entry: str, reason: str) -> WhitelistEntry:
    """Take a destination off the list at once."""
    return _prepared().database.whitelist.revoke(entry, principal(), _stated(reason))


def desk_of(place: Workplace) -> TransferDesk:
    """Return the desk of a workplace under the policy in force today."""
    return _desk(place, _policy(place))


def _prepared() -> Workplace:
    place = workplace()
    place.database.prepare()
    return place


def _policy(place: Workplace) -> TransferPolicy:
    """Return the policy in force; one for simulated networks is none where money is real."""
    found = policy_in_force(utc_now().date(), place.settings.parameters)
    return require_network(found, place.settings.venue_network)


def _desk(place: Workplace, policy: TransferPolicy) -> TransferDesk:
    return TransferDesk(place.database, policy, KillSwitch(place.settings.home_path))


def _decimal(text: str, name: str) -> Decimal:
    try:
        if not text.isascii() or "_" in text:
            raise InvalidOperation
        return Decimal(text)
    except InvalidOperation as error:
        raise ParameterError(
            f"{name} {text!r}, limit: a number such as 2.5", identifier=name, value=text
        ) from error


def _stated(reason: str) -> str:
    if not reason.strip():
        raise ParameterError("a reason is needed", identifier="reason", limit="a text")
    return reason
