"""Quiet rules over all histories: each notice in one alert, and no more alerts than agreed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.policies.quiet import (
    OVERFLOW_KEY,
    Notice,
    PastAlert,
    PastMember,
    Quieted,
    heard_of,
    quieted,
)
from engine.policies.quiet_parameters import Quiet

BEGIN = datetime(2026, 3, 11, 12, tzinfo=UTC)

TERMS = st.builds(
    Quiet,
    group_by=st.sampled_from([("cause",), ("cause", "venue"), ("venue", "client", "cause")]),
    single_max=st.integers(1, 4),
    group_seconds=st.sampled_from([0.0, 30.0, 300.0]),
    summary_seconds=st.just(60.0),
    repeat_seconds=st.sampled_from([0.0, 60.0, 900.0]),
    alerts_max=st.integers(1, 6),
    window_seconds=st.sampled_from([60.0, 600.0]),
)
BATCHES = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 20.0, 61.0, 301.0]),
        st.lists(
            st.tuples(
                st.integers(0, 30),
                st.integers(0, 4),
                st.sampled_from(["breach", "recovery"]),
                st.sampled_from(["", "BTC", "ETH"]),
                st.sampled_from(["", "okx", "deribit"]),
            ),
            max_size=25,
        ),
    ),
    min_size=1,
    max_size=8,
)


@dataclass
class Desk:
    """Keeps what has been decided, as the database does."""

    terms: Quiet
    alerts: dict[str, PastAlert] = field(default_factory=dict)
    members: list[PastMember] = field(default_factory=list)

    def take(self, notices: list[Notice], now: datetime) -> Quieted:
        heard = heard_of(self.terms, list(self.alerts.values()), self.members, now)
        found = quieted(self.terms, heard, notices, now)
        for new in found.opened:
            self.alerts[new.alert_id] = PastAlert(
                alert_id=new.alert_id, key=new.key, rank=new.rank, opened_at=now, told_at=now
            )
            self._keep(new.alert_id, new.notices, now)
        for join in found.joined:
            old = self.alerts[join.alert_id]
            if join.is_told:
                rank = max(one.rank for one in join.notices)
                self.alerts[join.alert_id] = replace(old, rank=rank, told_at=now)
            self._keep(join.alert_id, join.notices, now)
        for again in found.repeated:
            self._keep(again.alert_id, (again.notice,), now, is_repeat=True)
        return found

    def _keep(
        self, name: str, notices: tuple[Notice, ...], now: datetime, *, is_repeat: bool = False
    ) -> None:
        self.members += [
            PastMember(alert_id=name, notice=one, taken_at=now, is_repeat=is_repeat)
            for one in notices
        ]


def drawn(
    batches: list[tuple[float, list[tuple[int, int, str, str, str]]]],
) -> list[tuple[datetime, list[Notice]]]:
    """Return batches of notices with the instants at which they are decided."""
    now, number, found = BEGIN, 0, []
    for wait, rows in batches:
        now += timedelta(seconds=wait)
        notices = []
        for subject, rank, kind, cause, venue in rows:
            number += 1
            notices.append(
                Notice(
                    event_id=f"e{number:05d}",
                    kind=kind,
                    subject=f"set-{subject}",
                    rank=rank,
                    occurred_at=now,
                    cause=cause,
                    venue=venue,
                    client=f"c{subject % 3}",
                )
            )
        found.append((now, notices))
    return found


@settings(max_examples=150, deadline=None)
@given(TERMS, BATCHES)
def test_every_notice_ends_in_exactly_one_alert(terms: Quiet, batches: list) -> None:  # type: ignore[type-arg]
    desk = Desk(terms)
    history = drawn(batches)
    for now, notices in history:
        desk.take(notices, now)
    taken = [member.notice.event_id for member in desk.members]
    assert sorted(taken) == sorted(one.event_id for _, notices in history for one in notices)
    assert {member.alert_id for member in desk.members} == set(desk.alerts)


@settings(max_examples=150, deadline=None)
@given(TERMS, BATCHES)
def test_no_more_alerts_than_agreed_in_any_window(terms: Quiet, batches: list) -> None:  # type: ignore[type-arg]
    desk = Desk(terms)
    for now, notices in drawn(batches):
        desk.take(notices, now)
    window = timedelta(seconds=terms.window_seconds)
    opened = sorted(one.opened_at for one in desk.alerts.values() if one.key != OVERFLOW_KEY)
    for begin in opened:
        assert sum(begin <= other < begin + window for other in opened) <= terms.alerts_max
    overflows = sorted(one.opened_at for one in desk.alerts.values() if one.key == OVERFLOW_KEY)
    gap = timedelta(seconds=terms.group_seconds)
    assert all(late - early >= gap for early, late in pairwise(overflows))


@settings(max_examples=150, deadline=None)
@given(TERMS, BATCHES)
def test_a_first_notice_and_a_rise_are_told_at_once_or_in_a_group(
    terms: Quiet,
    batches: list,  # type: ignore[type-arg]
) -> None:
    desk = Desk(terms)
    seen: dict[tuple[str, str], int] = {}
    for now, notices in drawn(batches):
        found = desk.take(notices, now)
        loud = {one.event_id for alert in found.opened for one in alert.notices}
        member = {one.event_id for join in found.joined for one in join.notices}
        gravest: dict[tuple[str, str], Notice] = {}
        for one in notices:
            about = (one.kind, one.subject)
            if about not in gravest or one.rank > gravest[about].rank:
                gravest[about] = one
        for about, one in gravest.items():
            if one.rank > seen.get(about, -1):
                assert one.event_id in loud | member
            seen[about] = max(seen.get(about, -1), one.rank)


@settings(max_examples=100, deadline=None)
@given(TERMS, BATCHES, st.randoms(use_true_random=False))
def test_the_order_of_a_batch_changes_nothing(terms: Quiet, batches: list, chance) -> None:  # type: ignore[type-arg, no-untyped-def]
    one, other = Desk(terms), Desk(terms)
    for now, notices in drawn(batches):
        shuffled = list(notices)
        chance.shuffle(shuffled)
        assert one.take(notices, now) == other.take(shuffled, now)
