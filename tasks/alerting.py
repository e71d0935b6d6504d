"""Alerts as a service and as people use them: rounds, lists, acknowledgements, tests."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from engine.errors import MarginPlatformError, MissingDataError
from engine.policies.ladder_parameters import LEVEL_NAMES
from engine.policies.quiet_parameters import Quiet
from infra.alerts import AlertDesk, Round, read_channels
from infra.alerts.desk import CONSUMER, LEASE
from infra.alerts.sending import attempt
from infra.alerts.watching import Check, loop_silence, signs_missing
from infra.clock import utc_now
from infra.db.alerts import AlertMessage, AlertRecord
from tasks.deadman import close_overdue
from tasks.principals import principal
from tasks.rule_books import current_rules
from tasks.workplace import Workplace, workplace

# Rule books from before there were quiet rules: everything is told by itself.
UNGROUPED: Final = Quiet(
    group_by=("cause",),
    single_max=1_000,
    group_seconds=0.0,
    summary_seconds=0.0,
    repeat_seconds=0.0,
    alerts_max=10_000,
    window_seconds=60.0,
)
_TERMS_SECONDS: Final = 60.0
"""How long terms and channels are used before they are read again."""
_OVERDUE_SECONDS: Final = 60.0


class AlertService:
    """Rounds of the desk in one process; what goes wrong is told, and the next round comes."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._desk: AlertDesk | None = None
        self._read_at = 0.0
        self._looked_at = 0.0
        self._last = ""

    def round(self) -> Round | None:
        """Do one round; None if it was not possible, which is complained about once.

        That another process is at it is as it should be.
        """
        try:
            done = self._current().round(self._checks())
        except MarginPlatformError as error:
            if error.identifier != LEASE and str(error) != self._last:
                self._complain(f"ALERTS: {error}")
            self._last = str(error)
            return None
        self._last = ""
        return done

    def _current(self) -> AlertDesk:
        now = time.monotonic()
        if self._desk is None or now - self._read_at > _TERMS_SECONDS:
            self._desk, self._read_at = desk_of(workplace()), now
        return self._desk

    def _checks(self) -> tuple[Check, ...]:
        now = time.monotonic()
        if now - self._looked_at < _OVERDUE_SECONDS:
            return (loop_silence, signs_missing)
        self._looked_at = now
        return (loop_silence, signs_missing, close_overdue)


def desk_of(place: Workplace) -> AlertDesk:
    """Return the desk of this installation, by the terms in force today.

    Raises
    ------
    ParameterError
        If the channels file or the parameters in force cannot be used.
    """
    place.database.check_schema()
    settings = place.settings
    house = current_rules(place, utc_now().date()).house.parameters()
    hosts = tuple(name.strip() for name in settings.webhook_hosts.split(",") if name.strip())
    return AlertDesk(
        place.database,
        read_channels(settings.alerts_path),
        house.quiet or UNGROUPED,
        allowed_hosts=hosts,
    )


def send_now() -> Round:
    """Do one round of the desk.

    Raises
    ------
    StateError
        If another process does so at the moment.
    """
    return desk_of(workplace()).round((loop_silence, signs_missing, close_overdue))


def keep_sending(seconds: float, complain: Callable[[str], None]) -> None:
    """Do rounds until SIGINT or SIGTERM; a round that has begun is finished."""
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    service = AlertService(complain)
    while not stop.is_set():
        service.round()
        stop.wait(seconds)


def alerts(limit: int, *, is_open: bool) -> list[AlertRecord]:
    """Return alerts, last told first."""
    return _prepared().database.alerts.latest(limit, is_open=is_open)


def alert(beginning: str) -> AlertRecord:
    """Return the alert whose name begins so."""
    return _prepared().database.alerts.get(beginning)


def acknowledge(beginning: str, reason: str) -> tuple[AlertRecord, bool]:
    """Take an alert up in the name of who acts; return it, and whether that is new."""
    database = _prepared().database
    found = database.alerts.get(beginning)
    is_new = database.alerts.acknowledge(found.alert_id, principal(), reason)
    return database.alerts.get(found.alert_id), is_new


def try_channels(name: str | None) -> list[dict[str, str]]:
    """Send a test message to one channel, or to all; return what came of each.

    Raises
    ------
    MissingDataError
        If there is no such channel.
    """
    place = workplace()
    channels = read_channels(place.settings.alerts_path)
    wanted = [channel for channel in channels if name in (None, channel.name)]
    if not wanted:
        known = ", ".join(channel.name for channel in channels) or "none"
        raise MissingDataError(
            f"{place.settings.alerts_path} has no channel{f' {name}' if name else ''}; it has "
            f"{known}: name one as infra/alerts/README.md shows",
            identifier=name or "channels",
        )
    now = utc_now()
    hosts = place.settings.webhook_hosts.split(",")
    message = AlertMessage(
        message_id=f"msg_test_{now:%Y%m%d%H%M%S}",
        channel="",
        n_attempts=0,
        alert_id="test",
        kind="test",
        rank=1,
        title="Plimsoll: test of a channel",
        body=f"{principal()} tests this channel at {now:%Y-%m-%d %H:%M}Z. Nothing is to be done.",
        told_at=now,
    )
    return [
        {
            "channel": one.name,
            "kind": one.kind,
            "from level": one.level,
            "error": attempt(
                one, replace(message, channel=one.name), now, kind="test", allowed_hosts=hosts
            ),
        }
        for one in wanted
    ]


def backlog() -> dict[str, int]:
    """Return events not yet taken in, and messages pending, delivered and given up."""
    database = _prepared().database
    unread = database.intraday_events.lag([CONSUMER])[CONSUMER]
    return {"unread": unread, **database.alerts.counts()}


def examined() -> tuple[str, str]:
    """Return how alerts stand, and what to do where that is needed."""
    channels, counts = read_channels(workplace().settings.alerts_path), backlog()
    if counts["given_up"]:
        return f"{counts['given_up']} messages were given up", "run `plimsoll alerts test`"
    if not channels:
        return "no channels: on record, told to nobody", ""
    waiting = f"{counts['unread']} events unread, {counts['pending']} messages waiting"
    return f"{len(channels)} channels, {waiting}", ""


def as_json(found: Sequence[AlertRecord]) -> list[dict[str, Any]]:
    """Return alerts as JSON values."""
    return [
        {
            **asdict(one),
            "rank": LEVEL_NAMES[one.rank],
            "opened_at": one.opened_at.isoformat(),
            "told_at": one.told_at.isoformat(),
        }
        for one in found
    ]


def _prepared() -> Workplace:
    place = workplace()
    place.database.check_schema()
    return place
