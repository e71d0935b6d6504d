"""Which notices become alerts: grouped, not repeated, limited in number, and none of them lost.

Every notice ends in exactly one alert, alone or as a member of a group. What is quiet is only how
often people are told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

from engine.policies.quiet_parameters import Quiet

OVERFLOW: Final = "overflow"
"""Dimension of the group that takes what is beyond the number of alerts."""
SINGLE: Final = "single"
"""Dimension of an alert about one subject."""

GroupKey: TypeAlias = tuple[str, str, str]
"""Kind, dimension and value: what the members of a group share."""
OVERFLOW_KEY: Final[GroupKey] = ("any", OVERFLOW, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that people may have to hear of.

    Attributes
    ----------
    event_id : str
        Name of the fact; the same fact has the same name.
    kind : str
        ``breach``, ``recovery``, ``degraded``, ...
    subject : str
        What it is about.
    rank : int
        How grave: the ladder's level, 0 to 4.
    shortfall : Decimal
        What is missing, 0 where nothing is. [currency]
    """

    event_id: str
    kind: str
    subject: str
    rank: int
    occurred_at: datetime
    client: str = ""
    venue: str = ""
    underlying: str = ""
    cause: str = ""
    currency: str = ""
    shortfall: Decimal = Decimal(0)

    def key(self, dimension: str) -> GroupKey | None:
        """Return the group of a dimension that it may belong to, None where that is unknown."""
        value: str = getattr(self, dimension)
        return (self.kind, dimension, value) if value else None


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """A group that still takes members."""

    alert_id: str
    key: GroupKey
    rank: int
    """Highest rank that people were told of."""
    told_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """What people were last told of a subject."""

    alert_id: str
    rank: int
    told_at: datetime


@dataclass(frozen=True, slots=True)
class Heard:
    """What people have been told of late: all that the decision rests on.

    Attributes
    ----------
    groups : sequence of OpenGroup
        Groups opened within ``group_seconds``.
    told : mapping
        By kind and subject, what was told within ``repeat_seconds``.
    singles : mapping
        By group key, how many alerts of one subject were opened within ``group_seconds``.
    n_alerts : int
        Alerts opened within ``window_seconds``, the overflow's own left out.
    """

    groups: Sequence[OpenGroup] = ()
    told: Mapping[tuple[str, str], Told] = field(default_factory=dict)
    singles: Mapping[GroupKey, int] = field(default_factory=dict)
    n_alerts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAlert:
    """An alert of late; ``rank`` is the highest that people were told of."""

    alert_id: str
    key: GroupKey
    rank: int
    opened_at: datetime
    told_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMember:
    """A notice that an alert took in of late, and when."""

    alert_id: str
    notice: Notice
    taken_at: datetime
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert to be opened and told."""

    alert_id: str
    key: GroupKey
    notices: tuple[Notice, ...]

    @property
    def rank(self) -> int:
        """Return the highest rank of its members."""
        return max(notice.rank for notice in self.notices)


@dataclass(frozen=True, slots=True)
class Joined:
    """Notices that join an open group; told at once only if they are graver than what was told."""

    alert_id: str
    notices: tuple[Notice, ...]
    is_told: bool


@dataclass(frozen=True, slots=True)
class Repeated:
    """A notice that says again what was told; it joins the alert that told it, silently."""

    alert_id: str
    notice: Notice


@dataclass(frozen=True, slots=True)
class Quieted:
    """What becomes of a batch of notices."""

    opened: tuple[NewAlert, ...]
    joined: tuple[Joined, ...]
    repeated: tuple[Repeated, ...]


def heard_of(
    terms: Quiet, alerts: Sequence[PastAlert], members: Sequence[PastMember], now: datetime
) -> Heard:
    """Return what people have been told of late, from what is on record.

    Parameters
    ----------
    alerts : sequence of PastAlert
        At least those opened within ``window_seconds`` and ``group_seconds``.
    members : sequence of PastMember
        At least those of the subjects in question within ``repeat_seconds``, and all of alerts
        about one subject within ``group_seconds``.
    """
    told: dict[tuple[str, str], Told] = {}
    singles: dict[GroupKey, int] = {}
    alone = {alert.alert_id for alert in alerts if alert.key[1] == SINGLE}
    for member in members:
        one = member.notice
        if member.is_repeat:
            # A repetition does not make the silence longer.
            continue
        about = (one.kind, one.subject)
        if _within(member.taken_at, now, terms.repeat_seconds):
            before = told.get(about)
            if before is None or (one.rank, member.taken_at) > (before.rank, before.told_at):
                told[about] = Told(member.alert_id, one.rank, member.taken_at)
        if member.alert_id in alone and _within(member.taken_at, now, terms.group_seconds):
            for key in filter(None, (one.key(dimension) for dimension in terms.group_by)):
                singles[key] = singles.get(key, 0) + 1
    counted = [alert for alert in alerts if alert.key != OVERFLOW_KEY]
    return Heard(
        groups=tuple(
            OpenGroup(alert.alert_id, alert.key, alert.rank, alert.told_at)
            for alert in alerts
            if alert.key[1] != SINGLE and _within(alert.opened_at, now, terms.group_seconds)
        ),
        told=told,
        singles=singles,
        n_alerts=sum(_within(one.opened_at, now, terms.window_seconds) for one in counted),
    )


def quieted(terms: Quiet, heard: Heard, notices: Iterable[Notice], now: datetime) -> Quieted:
    """Return what becomes of notices, each in exactly one place.

    A notice of what was told at no lower rank within ``repeat_seconds`` is a repetition. Others
    join the open group that they share, else form a group where more than ``single_max`` share
    something, those told one by one of late counted; else they are told one by one. Beyond
    ``alerts_max`` all that is new joins one overflow, the gravest first in line for what is left.

    Parameters
    ----------
    terms : Quiet
        Terms of the house.
    heard : Heard
        What people have been told.
    notices : iterable of Notice
        Not yet decided about; a fact that comes twice is taken once.
    now : datetime
        Instant of the decision, UTC.

    Returns
    -------
    Quieted
        The same for any order of the notices.
    """
    unique = {notice.event_id: notice for notice in notices}
    ordered = sorted(unique.values(), key=lambda one: (one.occurred_at, one.event_id))
    repeated: list[Repeated] = []
    gravest: dict[tuple[str, str], Notice] = {}
    for notice in ordered:
        about = (notice.kind, notice.subject)
        before = heard.told.get(about)
        if before is not None and _says_no_more(terms, before, notice, now):
            repeated.append(Repeated(before.alert_id, notice))
        elif about not in gravest or notice.rank > gravest[about].rank:
            gravest[about] = notice
    joined, rest = _joined(terms, heard.groups, gravest.values())
    opened, beyond = _limited(terms, heard, _candidates(terms, heard.singles, rest))
    if beyond:
        overflow = _overflow(heard.groups, beyond)
        if isinstance(overflow, Joined):
            joined.append(overflow)
        else:
            opened.append(overflow)
    placed = [(alert.alert_id, alert.notices) for alert in opened]
    placed += [(alert.alert_id, alert.notices) for alert in joined]
    home = {(one.kind, one.subject): name for name, found in placed for one in found}
    taken = {one.event_id for one in gravest.values()} | {one.notice.event_id for one in repeated}
    # What came before the gravest of its subject in the same moment is told with it.
    repeated += [
        Repeated(home[(one.kind, one.subject)], one) for one in ordered if one.event_id not in taken
    ]
    return Quieted(tuple(opened), tuple(joined), tuple(repeated))


def summary_is_due(terms: Quiet, told_at: datetime, n_untold: int, now: datetime) -> bool:
    """Return whether a group that has grown silently is to be told again."""
    return n_untold > 0 and not _within(told_at, now, terms.summary_seconds)


def alert_name(key: GroupKey, notices: Sequence[Notice]) -> str:
    """Return the name of an alert: that of its first fact and of what its members share."""
    first = min(notice.event_id for notice in notices)
    return hashlib.sha256("\0".join((*key, first)).encode()).hexdigest()[:32]


def _says_no_more(terms: Quiet, before: Told, notice: Notice, now: datetime) -> bool:
    return before.rank >= notice.rank and _within(before.told_at, now, terms.repeat_seconds)


def _within(before: datetime, now: datetime, seconds: float) -> bool:
    return now - before < timedelta(seconds=seconds)


def _joined(
    terms: Quiet, groups: Sequence[OpenGroup], notices: Iterable[Notice]
) -> tuple[list[Joined], list[Notice]]:
    """Return what joins open groups, by the first dimension that fits, and what is left."""
    by_key = {group.key: group for group in sorted(groups, key=lambda one: one.told_at)}
    taken: dict[str, list[Notice]] = {}
    rest = []
    for notice in notices:
        keys = (notice.key(dimension) for dimension in terms.group_by)
        group = next((by_key[key] for key in keys if key in by_key), None)
        if group is None:
            rest.append(notice)
        else:
            taken.setdefault(group.alert_id, []).append(notice)
    rank = {group.alert_id: group.rank for group in groups}
    return [_joining(name, found, rank[name]) for name, found in taken.items()], rest


def _joining(alert_id: str, notices: Sequence[Notice], told_rank: int) -> Joined:
    return Joined(alert_id, tuple(notices), max(one.rank for one in notices) > told_rank)


def _candidates(
    terms: Quiet, singles: Mapping[GroupKey, int], notices: Sequence[Notice]
) -> list[NewAlert]:
    """Return the alerts that there would be without a limit to their number."""
    found = []
    rest = list(notices)
    for dimension in terms.group_by:
        buckets: dict[GroupKey, list[Notice]] = {}
        for notice in rest:
            key = notice.key(dimension)
            if key is not None:
                buckets.setdefault(key, []).append(notice)
        many = {
            key: members
            for key, members in buckets.items()
            if len(members) + singles.get(key, 0) > terms.single_max
        }
        found += [_alert(key, members) for key, members in many.items()]
        rest = [notice for notice in rest if notice.key(dimension) not in many]
    return found + [_alert((one.kind, SINGLE, one.subject), [one]) for one in rest]


def _limited(
    terms: Quiet, heard: Heard, candidates: Sequence[NewAlert]
) -> tuple[list[NewAlert], list[Notice]]:
    """Return the alerts that may be opened, the gravest first, and the notices of the others."""
    ordered = sorted(candidates, key=lambda one: (-one.rank, -len(one.notices), one.alert_id))
    n_left = max(terms.alerts_max - heard.n_alerts, 0)
    return ordered[:n_left], [one for alert in ordered[n_left:] for one in alert.notices]


def _overflow(groups: Sequence[OpenGroup], notices: Sequence[Notice]) -> Joined | NewAlert:
    for group in groups:
        if group.key == OVERFLOW_KEY:
            return _joining(group.alert_id, notices, group.rank)
    return _alert(OVERFLOW_KEY, notices)


def _alert(key: GroupKey, notices: Sequence[Notice]) -> NewAlert:
    return NewAlert(alert_name(key, notices), key, tuple(notices))
