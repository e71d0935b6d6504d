"""Events of the loop become Prefect events: one for each kind and moment, at least once.

The loop never waits for this. What Prefect cannot take stays in our outbox until it can, and what
is emitted twice changes nothing, because the flow that it starts is keyed by our own events.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from engine.errors import MarginPlatformError
from infra.db import IntradayEvent
from tasks.failures import InfrastructureError
from tasks.session import auth_of, served_at
from tasks.workplace import Workplace

if TYPE_CHECKING:
    from infra.db.intraday_events import RecordedEvent

CONSUMER: Final = "prefect"
TRIGGERING: Final = ("breach", "recovery", "degraded", "dead-man")
"""Kinds that start the flow; the others are shown, and start nothing."""
EVENTS_AT_ONCE: Final = 50_000
GROUP_SECONDS: Final = 10.0
"""After an emission, what follows within this is emitted together."""
NAMED_MAX: Final = 50
"""Resources that an event names; the flow reads all of them from our record."""
FAILED_ACTION: Final = "prefect.automation.action.failed"
_LOOK_BACK: Final = timedelta(hours=1)
_LOOK_SECONDS: Final = 30.0
_SECONDS_MAX: Final = 10.0


class Emitter:
    """Hands events to the Prefect server of this installation."""

    def __init__(self, place: Workplace, group_seconds: float = GROUP_SECONDS) -> None:
        self._place = place
        self._group_seconds = group_seconds
        self._emitted_at: float | None = None
        self._looked_at: float | None = None

    def round(self) -> int:
        """Emit what is unread and due; return how many of our events were covered.

        Raises
        ------
        InfrastructureError
            If no Prefect API takes them; they stay unread.
        """
        api_url = self._api_url()
        if api_url is None:
            return 0
        now = time.monotonic()
        if self._looked_at is None or now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._record_failed_actions(api_url)
        if self._emitted_at is not None and now - self._emitted_at < self._group_seconds:
            return 0
        events = self._place.database.intraday_events
        unread = events.unread(CONSUMER, EVENTS_AT_ONCE)
        if not unread:
            return 0
        self._post(api_url, "events", prefect_events(unread))
        events.acknowledge(CONSUMER, unread[-1].position)
        self._emitted_at = now
        return len(unread)

    def _record_failed_actions(self, api_url: str) -> None:
        """Record what Prefect could not do at an event: nothing else would say so."""
        now = self._place.database.clock()
        since = (now - _LOOK_BACK).isoformat()
        body = {
            "filter": {"event": {"name": [FAILED_ACTION]}, "occurred": {"since": since}},
            "limit": 50,
        }
        found = self._post(api_url, "events/filter", body)
        self._place.database.intraday_events.record(
            [failed_action(event, now) for event in (found or {}).get("events", [])]
        )

    def _api_url(self) -> str | None:
        settings = self._place.settings
        if settings.prefect_api_url:
            return settings.prefect_api_url
        served = served_at(settings)
        return None if served is None else served.api_url

    def _post(self, api_url: str, path: str, body: object) -> Any:
        import httpx

        auth = auth_of(self._place.settings)
        credentials = httpx.BasicAuth(*auth.split(":", 1)) if auth else None
        try:
            answer = httpx.post(
                f"{api_url}/{path}",
                json=body,
                auth=credentials,
                timeout=_SECONDS_MAX,
                trust_env=False,
            )
            answer.raise_for_status()
            return answer.json() if answer.content else None
        except (httpx.HTTPError, ValueError) as error:
            raise InfrastructureError(
                f"Prefect at {api_url} takes no events ({type(error).__name__}): they wait in our "
                "record, calls and transfers go on",
                identifier=api_url,
            ) from error


class EmitterService:
    """Rounds of the emitter in a service: what fails is said once, and tried again."""

    def __init__(self, emitter: Callable[[], Emitter], complain: Callable[[str], None]) -> None:
        self._make, self._complain = emitter, complain
        self._emitter: Emitter | None = None
        self._last = ""

    def round(self) -> int:
        """Do one round; 0 where it was not possible."""
        try:
            if self._emitter is None:
                self._emitter = self._make()
            done = self._emitter.round()
        except MarginPlatformError as error:
            if str(error) != self._last:
                self._complain(f"EVENTS: {error}")
            self._last = str(error)
            return 0
        self._last = ""
        return done


def prefect_events(unread: Sequence[RecordedEvent]) -> list[dict[str, Any]]:
    """Return one event for each kind, in the order in which the kinds first came."""
    by_name: dict[str, list[RecordedEvent]] = {}
    for event in unread:
        by_name.setdefault(event.name, []).append(event)
    return [_prefect_event(name, found) for name, found in by_name.items()]


def failed_action(event: Mapping[str, Any], now: datetime) -> IntradayEvent:
    """Return what Prefect says of an action that it could not do, as an event of ours."""
    payload = event.get("payload", {})
    said = payload if isinstance(payload, Mapping) else {}
    return IntradayEvent(
        kind="automation-failed",
        resource="plimsoll.system.prefect",
        subject=str(event.get("id", "")),
        occurred_at=now,
        payload={
            "cause": "automation",
            "reason": str(said.get("reason", ""))[:300],
            "next_action": "look at the automation on the Prefect pages, then `plimsoll calls age`",
        },
    )


def _prefect_event(name: str, found: Sequence[RecordedEvent]) -> dict[str, Any]:
    first, last = found[0], found[-1]
    resources = list(dict.fromkeys(event.resource for event in found))
    parameter = {
        "kind": name.removeprefix("plimsoll."),
        "first_position": first.position,
        "last_position": last.position,
        "n_events": len(found),
    }
    is_one = len(found) == 1
    range_name = f"plimsoll.burst.{first.position}-{last.position}"
    return {
        "id": str(_identity(name, first, last)),
        "occurred": last.occurred_at.isoformat(),
        "event": name,
        "resource": {
            "prefect.resource.id": first.resource if is_one else range_name,
            "prefect.resource.name": _label(first.resource) if is_one else f"{len(found)} events",
        },
        "related": [
            {"prefect.resource.id": resource, "prefect.resource.role": "subject"}
            for resource in resources[:NAMED_MAX]
            if not is_one
        ],
        "payload": {
            **(dict(first.payload) if is_one else {}),
            # One text, which the trigger reads as JSON: a template alone would yield texts.
            "parameter": json.dumps(parameter, sort_keys=True),
            "n_events": str(len(found)),
            "subjects": ", ".join(_label(resource) for resource in resources[:NAMED_MAX]),
        },
    }


def _identity(name: str, first: RecordedEvent, last: RecordedEvent) -> UUID:
    digest = hashlib.sha256(f"{name}\0{first.event_id}\0{last.event_id}".encode()).hexdigest()
    return UUID(hex=digest[:32])


def _label(resource: str) -> str:
    return resource.removeprefix("plimsoll.").removeprefix("netting-set.")
