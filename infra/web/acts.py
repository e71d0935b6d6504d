"""What callers do: each act in the caller's own name, with a reason, through the parts that decide.

Pages and interface share these; neither has a rule of its own. The audit chain has each act with
principal, role and reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Literal

from engine.calls.disputes import dispute_reason
from engine.errors import ParameterError, StateError
from engine.money import Money, to_minor_units
from engine.transfers import TransferIntent, WhitelistEntry
from infra.db import Act, Arrival, Done
from infra.outbound import KillStatus
from infra.web.failures import Refused

if TYPE_CHECKING:
    from infra.db.alerts import AlertRecord
    from infra.db.intraday_grants import Grant
    from infra.db.reduction_records import ReductionRecord
    from infra.db.transfers import TransferRecord
    from infra.web.principals import Principal
    from infra.web.state import WebState


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAct:
    """An act on a call: why, and the last event that was seen."""

    call_id: str
    reason: str
    seen: int | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RungAct:
    """A decision on a rung of the ladder: whose, which and why."""

    netting_set_id: str
    rung: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What has arrived, as it is typed."""

    value: str
    pledge: int | None = None
    is_last: bool = False
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A transfer as it is worded; ``quantity`` in units of the asset, exact."""

    purpose: str
    source: str
    destination: str
    asset: str
    quantity: str
    leg: int = 1
    network: str = ""
    address: str = ""
    memo: str = ""
    attempt_group: int = 1


def agree(web: WebState, who: Principal, asked: CallAct) -> Done:
    """Agree to a call in full."""
    done = web.database.call_actions.agree(asked.call_id, _act(asked, who))
    return _noted(web, who, "call agreed over HTTP", asked.call_id, asked.reason, done)


def dispute(web: WebState, who: Principal, asked: CallAct, contested: str, agreed: str) -> Done:
    """Dispute a call but for the amount agreed."""
    why, undisputed = dispute_reason(contested), amount("agreed", agreed, or_zero=True)
    act = _act(asked, who)
    done = web.database.call_actions.dispute(asked.call_id, undisputed, why, act)
    return _noted(web, who, "call disputed over HTTP", asked.call_id, asked.reason, done)


def settle(web: WebState, who: Principal, asked: CallAct, paid: Paid) -> Done:
    """Record what has arrived for a call."""
    arrival = Arrival(
        value=amount("value", paid.value),
        pledge=paid.pledge,
        is_last=paid.is_last,
        reference=paid.reference,
    )
    done = web.database.call_actions.settle(asked.call_id, arrival, _act(asked, who))
    return _noted(web, who, "call settled over HTTP", asked.call_id, asked.reason, done)


def propose(web: WebState, who: Principal, wish: Wish, reason: str) -> TransferRecord:
    """Propose a transfer; the same wish again finds the first one."""
    scale = web.services.policy().asset_rule(wish.asset).scale
    intent = TransferIntent(
        purpose=wish.purpose,
        leg=wish.leg,
        source=wish.source,
        destination=wish.destination,
        asset=wish.asset,
        amount=to_minor_units(Money(amount("quantity", wish.quantity), wish.asset), scale),
        scale=scale,
        network=wish.network,
        address=wish.address,
        memo=wish.memo,
        attempt_group=wish.attempt_group,
    )
    record = web.services.desk().propose(intent, who.name, stated(reason))
    _note(web, who, "transfer proposed over HTTP", record.transfer_key, reason)
    return record


def approve(
    web: WebState, who: Principal, key: str, payload_hash: str, reason: str
) -> tuple[TransferRecord, str]:
    """Approve the payload of a transfer, and let a run go on that waits for it.

    Returns the transfer, and what became of the run.
    """
    require_may_approve(web, who)
    _require_whole(payload_hash)
    record = web.services.desk().approve(key, who.name, payload_hash, stated(reason))
    _note(web, who, "transfer approved over HTTP", record.transfer_key, reason)
    return record, _decided(web, who, record)


def reject(web: WebState, who: Principal, key: str, reason: str) -> tuple[TransferRecord, str]:
    """Refuse a transfer that was not sent, or take one's own back."""
    record = web.services.desk().reject(key, who.name, stated(reason))
    _note(web, who, "transfer rejected over HTTP", record.transfer_key, reason)
    return record, _decided(web, who, record)


def approve_reduction(
    web: WebState, who: Principal, plan_id: str, payload_hash: str, reason: str
) -> ReductionRecord:
    """Approve the payload of a plan; the last approval that is needed lets orders leave."""
    require_may_approve(web, who)
    _require_whole(payload_hash)
    desk = web.services.reduction_desk()
    record = desk.approve(plan_id, who.name, payload_hash, stated(reason))
    _note(web, who, "reduction approved over HTTP", record.plan_id, reason)
    return record


def end_reduction(
    web: WebState, who: Principal, plan_id: str, end: Literal["reject", "stop"], reason: str
) -> ReductionRecord:
    """Refuse a plan that is proposed, or stop one that is at work."""
    desk = web.services.reduction_desk()
    ended = desk.reject if end == "reject" else desk.stop
    record = ended(plan_id, who.name, stated(reason))
    _note(web, who, f"reduction {end} over HTTP", record.plan_id, reason)
    return record


def decide_rung(
    web: WebState, who: Principal, asked: RungAct, decision: Literal["granted", "refused"]
) -> Grant:
    """Grant or refuse what a rung of the ladder waits for."""
    require_may_approve(web, who)
    grant = web.database.intraday_grants.decide(
        asked.netting_set_id, asked.rung, decision, principal=who.name, reason=stated(asked.reason)
    )
    words = f"rung {asked.rung} {decision} over HTTP"
    _note(web, who, words, asked.netting_set_id, asked.reason)
    return grant


def list_destination(
    web: WebState, who: Principal, content: WhitelistEntry, reason: str
) -> WhitelistEntry:
    """Propose a destination."""
    entry = web.database.whitelist.propose(content, who.name, stated(reason))
    _note(web, who, "whitelist proposed over HTTP", entry.entry_id, reason)
    return entry


def approve_destination(web: WebState, who: Principal, key: str, reason: str) -> WhitelistEntry:
    """Approve a destination that another person has proposed; it cools off first."""
    require_may_approve(web, who)
    cool_off = timedelta(hours=web.services.policy().whitelist_cool_off_hours)
    entry = web.database.whitelist.approve(key, who.name, stated(reason), cool_off)
    _note(web, who, "whitelist approved over HTTP", entry.entry_id, reason)
    return entry


def revoke_destination(web: WebState, who: Principal, key: str, reason: str) -> WhitelistEntry:
    """Take a destination off the list at once."""
    entry = web.database.whitelist.revoke(key, who.name, stated(reason))
    _note(web, who, "whitelist revoked over HTTP", entry.entry_id, reason)
    return entry


def arm(web: WebState, who: Principal, reason: str) -> KillStatus:
    """Stop everything that leaves; works with the database down."""
    switch = web.services.kill_switch()
    found = switch.arm(who.name, stated(reason))
    switch.tell(web.database)
    _note(web, who, "kill switch armed over HTTP", "kill-switch", reason)
    return found


def disarm(web: WebState, who: Principal, reason: str) -> KillStatus:
    """Ask to disarm, or confirm what another person has asked."""
    require_may_approve(web, who)
    switch = web.services.kill_switch()
    # It may have been armed from another home, which only the database knows.
    switch.learn(web.database)
    found = switch.disarm(who.name, stated(reason))
    switch.tell(web.database)
    _note(web, who, "kill switch disarm over HTTP", "kill-switch", reason)
    return found


def acknowledge(web: WebState, who: Principal, alert_id: str, reason: str) -> AlertRecord:
    """Record that the caller has taken an alert up."""
    found = web.database.alerts.get(alert_id)
    web.database.alerts.acknowledge(found.alert_id, who.name, stated(reason))
    _note(web, who, "alert acknowledged over HTTP", found.alert_id, reason)
    return found


def require_may_approve(web: WebState, who: Principal) -> None:
    """Raise Refused unless a person is trusted long enough and has just given the password."""
    now = web.database.clock()
    if now < who.user.approves_from:
        raise Refused(
            403,
            f"{who.name} may approve from {who.user.approves_from:%Y-%m-%d %H:%M} UTC on: role or "
            "password were set by another person lately",
        )
    require_confirmed(web, who)


def require_confirmed(web: WebState, who: Principal) -> None:
    """Raise Refused unless a person has just given the password."""
    if who.is_person and needs_confirmation(web, who):
        raise Refused(
            403,
            "give your password again on /confirm: money, tokens and users move only shortly after",
        )


def needs_confirmation(web: WebState, who: Principal) -> bool:
    """Return whether a person has to give the password again before money moves."""
    given = who.confirmed_at
    return given is None or web.database.clock() - given > web.settings.confirmation


def amount(name: str, text: str, *, or_zero: bool = False) -> Decimal:
    """Return a typed amount, exact; ParameterError if it is no plain number above 0."""
    limit = "a plain number, at least 0" if or_zero else "a plain number above 0"
    try:
        if not text.isascii() or "_" in text or len(text) > 80:
            raise InvalidOperation
        found = Decimal(text.replace(",", "").strip())
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found < 0 or (not found and not or_zero):
        raise ParameterError(
            f"{name} is {text[:80]!r}, limit {limit}", identifier=name, value=text[:80], limit=limit
        )
    return found


def stated(reason: str) -> str:
    """Return a reason, or raise ParameterError if there is none."""
    if not reason.strip():
        raise ParameterError("a reason is needed", identifier="reason", limit="a text")
    return reason.strip()[:500]


def _require_whole(payload_hash: str) -> None:
    if len(payload_hash) != 64:
        raise ParameterError(
            f"payload hash of {len(payload_hash)} digits, limit: all 64 of the payload seen",
            identifier="payload_hash",
            value=len(payload_hash),
            limit="64",
        )


def _act(asked: CallAct, who: Principal) -> Act:
    return Act(principal=who.name, reason=stated(asked.reason), key=asked.key, seen=asked.seen)


def _decided(web: WebState, who: Principal, record: TransferRecord) -> str:
    if record.state == "proposed":
        return ""
    try:
        return web.services.transfer_decided(record.transfer_key, who.name, record.state)
    except StateError as error:
        # The decision stands on our record; the run finds it by itself or is resumed by hand.
        return str(error)


def _noted(
    web: WebState, who: Principal, action: str, subject: str, reason: str, done: Done
) -> Done:
    if not done.is_repetition:
        _note(web, who, action, subject, reason)
    return done


def _note(web: WebState, who: Principal, action: str, subject: str, reason: str) -> None:
    details = {**who.by(stated(reason)).details(), "by": "session" if who.is_person else "token"}
    with web.database.writing() as connection:
        web.database.audit.append_within(connection, action, subject, details, actor=who.name)
    web.live.expire()
