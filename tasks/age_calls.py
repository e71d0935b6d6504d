"""Time passes for calls: what is past due fails, is escalated level by level, and is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from infra.clock import utc_now
from infra.db import Aged
from infra.messages.webhook_delivery import Subscriber, deliver_due
from infra.messages.webhook_signing import WebhookSecret
from infra.secrets import is_given, read_secret
from tasks import artifacts
from tasks.call_views import calls_as_json
from tasks.workplace import Workplace, workplace

PRINCIPAL = "plimsoll"
_SECRET = "WEBHOOK"
_NEXT = f"{_SECRET}_NEXT"


def aged(netting_sets: Sequence[str] | None = None) -> list[Aged]:
    """Take every step that is due now and return them; what was taken before is not taken again."""
    place = _prepared()
    return place.database.call_ageing.age(utc_now(), PRINCIPAL, netting_sets)


def told() -> dict[str, int] | None:
    """Tell the subscriber what is due and return the counts; None where there is no subscriber.

    Raises
    ------
    ParameterError
        If the secret is absent, or the URL leads where nothing may be sent.
    """
    place = _prepared()
    url = place.settings.webhook_url
    if not url:
        return None
    hosts = tuple(name.strip() for name in place.settings.webhook_hosts.split(",") if name.strip())
    # While a key is being changed both sign, so that whichever is known there will do.
    names = [_SECRET, *([_NEXT] if is_given(_NEXT) else [])]
    secrets = tuple(WebhookSecret.parse(read_secret(name).get_secret_value()) for name in names)
    deliver_due(place.database, Subscriber("settings", url, secrets, hosts), utc_now())
    return place.database.webhooks.counts()


def aged_as_json(steps: Sequence[Aged]) -> list[dict[str, Any]]:
    """Return steps as JSON values."""
    return [
        {
            "call_id": step.call_id,
            "netting_set_id": step.netting_set_id,
            "state": step.state,
            "level": step.level,
            "told": step.told,
            "due_at": step.due_at.isoformat(),
        }
        for step in steps
    ]


@task(name="age-calls", cache_policy=NO_CACHE)
def age_calls(netting_sets: list[str] | None = None) -> int:
    """Fail and escalate what is due; return how many steps were taken."""
    steps = aged(netting_sets)
    artifacts.show_table(
        "calls-aged",
        [
            {
                "netting set": step.netting_set_id,
                "call": step.call_id,
                "is now": step.state,
                "told": step.told,
                "due since": f"{step.due_at:%Y-%m-%d %H:%M}Z",
            }
            for step in steps[: artifacts.ROWS_MAX]
        ],
        f"{len(steps):,} steps of calls that are past due.",
        len(steps),
    )
    get_run_logger().info("%d steps taken", len(steps))
    return len(steps)


@task(name="show-calls", cache_policy=NO_CACHE)
def show_calls() -> dict[str, int]:
    """Show the open calls, the one that is due first leading; return how many by state."""
    calls = calls_as_json()
    artifacts.show_table(
        "calls-open",
        [
            {
                "netting set": call["netting_set_id"],
                "direction": call["direction"],
                "open": f"{call['outstanding']} {call['currency']}",
                "settled": call["settled"],
                "state": call["state"],
                "due": str(call["first_due_at"])[:16].replace("T", " ") + "Z",
                "late": "late" if call["is_late"] else "",
            }
            for call in calls[: artifacts.ROWS_MAX]
        ],
        f"{len(calls):,} open calls and returns.",
        len(calls),
    )
    states = sorted({call["state"] for call in calls})
    return {state: sum(call["state"] == state for call in calls) for state in states}


@task(name="tell-subscriber", cache_policy=NO_CACHE)
def tell_subscriber() -> dict[str, int]:
    """Send what the subscriber has not heard of; return the counts of its messages."""
    counts = told()
    if counts is None:
        get_run_logger().info("PLIMSOLL_WEBHOOK_URL is not set: nobody is told by webhook")
        return {}
    get_run_logger().info("webhooks: %s", counts)
    return counts


def _prepared() -> Workplace:
    place = workplace()
    place.database.check_schema()
    return place
