"""Steps of the flow that sees transfers through, and of the pause for an approval.

Prefect only calls and shows: what is due is read from the database, and a step that is lost or
started twice changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.input import RunInput

from infra.db.transfers import TRANSFERS, TransferRecord
from infra.outbound import Cause
from infra.report.amounts import exact
from infra.transfers.steps import TransferSteps
from tasks import artifacts
from tasks import transfers as desk
from tasks.paying import settle_paid
from tasks.workplace import workplace

if TYPE_CHECKING:
    from infra.transfers import Worked

MOVING: Final = ("approved", "new", "unknown", "done")
"""States in which a transfer can go on without a person."""


class TransferDecision(RunInput):
    """What a person types into the form of a paused approval.

    It is kept with the transfer as a note and approves nothing: who approved is what our own
    record says, made under that person's own login with `plimsoll transfers approve`.
    """

    decision: Literal["approved", "rejected", "look again"] = "look again"
    approver: str = ""
    payload_hash: str = ""
    comment: str = ""


@task(name="send", task_run_name="send, round {number}", cache_policy=NO_CACHE)
def send_transfers(number: int) -> int:
    """Send what is approved and reserved; return how many left."""
    return _told("sent", desk.send_due())


@task(name="resolve", task_run_name="resolve, round {number}", cache_policy=NO_CACHE)
def resolve_transfers(number: int, pause_seconds: float) -> int:
    """Ask the venues about what is open; return how many can still go on by themselves.

    What has arrived comes off the calls that it pays. While something can go on, it pauses, so
    that the next round finds something to do.
    """
    _told("resolved", desk.resolve_due())
    _settle_calls()
    moving = len(desk.transfers(MOVING))
    if moving:
        time.sleep(pause_seconds)
    return moving


@task(name="show", task_run_name="show transfers", cache_policy=NO_CACHE)
def show_transfers() -> dict[str, int]:
    """Show open transfers on the run's page; return how many are in which state."""
    records = desk.transfers(only_open=True)
    artifacts.show_table(
        "open-transfers",
        [_row(one) for one in records],
        "Transfers that are not at their end. Proposed ones wait for "
        "`plimsoll transfers approve`, stuck ones for `plimsoll transfers resolve`.",
    )
    states = sorted({one.state for one in records})
    return {state: sum(1 for one in records if one.state == state) for state in states}


@task(name="present", task_run_name="present {key}", cache_policy=NO_CACHE)
def present_transfer(key: str) -> tuple[str, str]:
    """Show a transfer on the run's page; return its state and the page."""
    found = desk.shown(key)
    page = _page(found)
    artifacts.show_markdown("transfer", page, "What is to be approved, as it is on record.")
    return found.record.state, page


@task(name="note", task_run_name="note what was typed for {key}", cache_policy=NO_CACHE)
def note_decision(key: str, decision: TransferDecision) -> str:
    """Keep what was typed with the transfer and return its state, which that does not change."""
    place = workplace()
    record = desk.shown(key).record
    words = f"typed into Prefect's form: {decision.decision} by {decision.approver or 'nobody'}"
    comment = f"{words}: {decision.comment}" if decision.comment else words
    details: dict[str, object] = {"payload_hash": decision.payload_hash, "counts": False}
    with place.database.writing() as connection:
        current = TRANSFERS.require(connection, record.transfer_key)
        cause = Cause(actor="prefect form", reason=comment, details=details)
        TransferSteps(place.database).noted(connection, current, "form", cause)
    if record.state == "proposed":
        get_run_logger().warning(
            "%s; our record has no approval by them: run `%s` under their own login",
            words, approve_command(record),
        )  # fmt: skip
    return record.state


def approve_command(record: TransferRecord) -> str:
    """Return the command that approves a transfer."""
    short, digest = record.transfer_key[:12], record.payload_hash[:16]
    return f"plimsoll transfers approve {short} --hash {digest}"


def _settle_calls() -> None:
    logger = get_run_logger()
    for one in settle_paid():
        what = f"{exact(one.value)} settled" if one.outcome == "settled" else "pledge freed"
        logger.info(
            "call %s: %s by %s, now %s", one.call_id, what, one.transfer_key[:12], one.state
        )


def _told(what: str, found: Worked) -> int:
    logger = get_run_logger()
    for key, sentence in (*found.moved.items(), *found.waiting.items()):
        logger.info("%s %s: %s", what, key[:12], sentence)
    return len(found.moved)


def _row(record: TransferRecord) -> dict[str, str]:
    intent = record.intent
    return {
        "Transfer": record.transfer_key[:12],
        "State": record.state,
        "Quantity": f"{intent.quantity} {intent.asset}",
        "From": intent.source,
        "To": intent.destination,
        "For": f"{intent.purpose}, leg {intent.leg}",
        "Since, UTC": f"{record.recorded_at:%Y-%m-%d %H:%M:%S}",
        "Next": approve_command(record) if record.state == "proposed" else record.note,
    }


def _page(found: desk.Shown) -> str:
    record, intent = found.record, found.record.intent
    rows: Sequence[tuple[str, str]] = (
        ("State", record.state),
        ("Quantity", f"{intent.quantity} {intent.asset}"),
        ("From", intent.source),
        ("To", intent.destination),
        ("Network", intent.network),
        ("Address", intent.address),
        ("Memo", intent.memo),
        ("For", f"{intent.purpose}, leg {intent.leg}"),
        ("Proposed by", f"{record.proposer}: {record.reason}"),
        ("Approved by", f"{', '.join(found.approvers) or 'nobody'} of {found.n_needed} needed"),
        ("Payload hash", record.payload_hash),
    )
    lines = [f"| {name} | {value} |" for name, value in rows if value]
    return "\n".join(
        [
            f"## Transfer {record.transfer_key[:12]}",
            "",
            "| | |",
            "|---|---|",
            *lines,
            "",
            f"Approve it under your own login: `{approve_command(record)}`, then resume.",
            "What is typed below is kept as a note and approves nothing.",
        ]
    )
