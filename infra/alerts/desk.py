"""The desk: takes events in, decides who is told what, and sends it until it is taken.

What is decided is on record before anything leaves. A crash between the sending and the note sends
again: a message twice is better than none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from engine.policies.quiet import GroupKey, Notice, Quieted, heard_of, quieted, summary_is_due
from engine.policies.quiet_parameters import Quiet
from infra.alerts.channels import Channel
from infra.alerts.notices import notice_of
from infra.alerts.sending import SecretOf, attempt
from infra.alerts.watching import Check, given_up
from infra.alerts.wording import body_of, named, title_of
from infra.crashpoints import crashpoint
from infra.db.alerts import AlertMessage, Telling
from infra.messages.webhook_delivery import wait_after
from infra.secrets import read_secret

if TYPE_CHECKING:
    from infra.db import Database

CONSUMER: Final = "alerts"
LEASE: Final = "alerts"
"""Of several desks one works at a time."""
EVENTS_AT_ONCE: Final = 50_000
ATTEMPTS_MAX: Final = 12
"""About three quarters of an hour: later than that, an alert is history."""
WAIT_MAX: Final = timedelta(minutes=5)
_HORIZON: Final = timedelta(days=2)
"""Longer than any wait of the quiet rules; what is older is settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round of the desk did."""

    n_events: int = 0
    n_alerts: int = 0
    n_tellings: int = 0
    n_delivered: int = 0
    n_failed: int = 0
    n_given_up: int = 0


class AlertDesk:
    """Alerts of one installation; one process at a time, by a lease."""

    def __init__(
        self,
        database: Database,
        channels: Sequence[Channel],
        terms: Quiet,
        *,
        allowed_hosts: Collection[str] = (),
        secret_of: SecretOf = read_secret,
    ) -> None:
        self._database = database
        self._channels = {channel.name: channel for channel in channels}
        self._terms = terms
        self._hosts = tuple(allowed_hosts)
        self._secret_of = secret_of

    def round(self, checks: Sequence[Check] = ()) -> Round:
        """Look, take in, tell and send what is due; return what was done.

        Raises
        ------
        StateError
            If another process does the same at the moment.
        """
        with self._database.lease(LEASE):
            found = [
                event for check in checks for event in check(self._database, self._database.clock())
            ]
            self._database.intraday_events.record(found)
            done = self.take_in()
            done = replace(done, n_tellings=done.n_tellings + self.summarise())
            return self._sent(done)

    def take_in(self) -> Round:
        """Take unread events in; each ends in exactly one alert."""
        done = Round()
        events = self._database.intraday_events
        while batch := events.unread(CONSUMER, EVENTS_AT_ONCE):
            with self._database.writing() as connection:
                known = self._database.alerts.known_within(
                    connection, [event.event_id for event in batch]
                )
                notices = [notice_of(event) for event in batch if event.event_id not in known]
                payloads = {event.event_id: event.payload for event in batch}
                decided, n_told = self._decided(connection, notices, payloads)
            crashpoint("alerts:taken-in")
            events.acknowledge(CONSUMER, batch[-1].position)
            done = replace(
                done,
                n_events=done.n_events + len(notices),
                n_alerts=done.n_alerts + len(decided.opened),
                n_tellings=done.n_tellings + n_told,
            )
        return done

    def summarise(self) -> int:
        """Tell again of groups that have grown; return how many."""
        alerts, now = self._database.alerts, self._database.clock()
        with self._database.writing() as connection:
            due = [
                alert_id
                for alert_id, told_at in alerts.grown_within(connection, now - _HORIZON)
                if summary_is_due(self._terms, told_at, 1, now)
            ]
            self._tell(connection, due, {})
        return len(due)

    def _decided(
        self,
        connection: Connection,
        notices: Sequence[Notice],
        payloads: Mapping[str, Mapping[str, str]],
    ) -> tuple[Quieted, int]:
        alerts, now = self._database.alerts, self._database.clock()
        subjects = sorted({notice.subject for notice in notices})
        past = alerts.past_within(connection, subjects, now - _HORIZON)
        decided = quieted(self._terms, heard_of(self._terms, *past, now), notices, now)
        alerts.open_within(connection, decided.opened)
        joining = [(join.alert_id, one, False) for join in decided.joined for one in join.notices]
        joining += [(again.alert_id, again.notice, True) for again in decided.repeated]
        alerts.join_within(connection, joining)
        told = [alert.alert_id for alert in decided.opened]
        told += [join.alert_id for join in decided.joined if join.is_told]
        self._tell(connection, told, payloads)
        return decided, len(told)

    def _tell(
        self,
        connection: Connection,
        alert_ids: Sequence[str],
        payloads: Mapping[str, Mapping[str, str]],
    ) -> None:
        alerts = self._database.alerts
        for alert_id in alert_ids:
            key, members = alerts.members_within(connection, alert_id)
            said = dict(payloads)
            absent = [one.event_id for one in named(members) if one.event_id not in said]
            said |= alerts.payloads_within(connection, absent)
            rank = max(one.rank for one in members)
            alerts.tell_within(
                connection,
                Telling(
                    alert_id=alert_id,
                    rank=rank,
                    n_members=len(members),
                    title=title_of(key, members),
                    body=body_of(key, members, said),
                    channels=self._channels_for(key, rank),
                ),
            )

    def _channels_for(self, key: GroupKey, rank: int) -> tuple[str, ...]:
        wanted = [one.name for one in self._channels.values() if one.wants(key[0], rank)]
        return tuple(sorted(wanted))

    def _sent(self, done: Round) -> Round:
        """Send what is due; a channel that fails once is left alone for the rest of the round."""
        alerts, now = self._database.alerts, self._database.clock()
        silent: set[str] = set()
        n_delivered = n_failed = n_given_up = 0
        for message in alerts.due(now):
            if message.channel in silent:
                continue
            crashpoint("alerts:before-send")
            error = self._attempt(message, now)
            crashpoint("alerts:after-send")
            if not error:
                alerts.delivered(message.message_id)
                n_delivered += 1
                continue
            silent.add(message.channel)
            if message.n_attempts + 1 >= ATTEMPTS_MAX or message.channel not in self._channels:
                alerts.failed(message.message_id, error, None)
                self._database.intraday_events.record(
                    [given_up(message.channel, message.kind, error, now)]
                )
                n_given_up += 1
            else:
                wait = min(wait_after(message.message_id, message.n_attempts + 1), WAIT_MAX)
                alerts.failed(message.message_id, error, now + wait)
                n_failed += 1
        return replace(done, n_delivered=n_delivered, n_failed=n_failed, n_given_up=n_given_up)

    def _attempt(self, message: AlertMessage, now: datetime) -> str:
        channel = self._channels.get(message.channel)
        if channel is None:
            return f"channel {message.channel} is no longer in the channels file"
        return attempt(
            channel,
            message,
            now,
            kind=message.kind,
            allowed_hosts=self._hosts,
            secret_of=self._secret_of,
        )
