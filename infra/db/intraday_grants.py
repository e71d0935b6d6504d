"""Rungs of the ladder that wait for a person: which there are, and what people have said.

The loop asks by the event that says that a rung was entered and names what waits; a decision is on
that event. It ends when the rung is left, or with the close that the loop builds upon: whoever
comes there again is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, func, insert, select

from engine.errors import MissingDataError, ParameterError, StateError
from engine.policies.ladder_parameters import RUNG_NAMES
from infra.db.audit import chain_head
from infra.db.board_tables import IntradayEventRow
from infra.db.canonical import link
from infra.db.grant_tables import IntradayGrantRow
from infra.db.intraday_events import NETTING_SET
from infra.db.tables import RunRow

if TYPE_CHECKING:
    from infra.db.database import Database

Decision: TypeAlias = Literal["granted", "refused"]
WAITS_FOR: Final = "waits_for"
"""What an event of a level says of rungs that wait for a person: their names, joined by commas."""
_LEVELS: Final = ("plimsoll.breach", "plimsoll.recovery")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What somebody has said about a rung of a netting set."""

    position: int
    event_id: str
    run_id: str
    netting_set_id: str
    rung: str
    decision: str
    principal: str
    reason: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRung:
    """A rung that waits for a person, and how the netting set stood when it was entered."""

    netting_set_id: str
    client_id: str
    rung: str
    since: datetime
    level: str
    utilisation: str
    shortfall: str
    currency: str
    reason: str
    event_id: str


class IntradayGrants:
    """Decisions on rungs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def decide(
        self, netting_set_id: str, rung: str, decision: Decision, *, principal: str, reason: str
    ) -> Grant:
        """Record what a person says about a rung that waits; the same again finds the first.

        Raises
        ------
        ParameterError
            If there is no such rung, or principal or reason is empty.
        MissingDataError
            If no loop has told of the netting set.
        StateError
            If the rung does not wait for anybody.
        """
        _require_words(rung, principal, reason)
        with self._database.writing() as connection:
            event = _last_event(connection, netting_set_id)
            known = _last_grant(connection, event["event_id"], rung)
            if known is not None and known.decision == decision:
                return known
            if known is None and rung not in _waits_for(event):
                raise _not_waiting(netting_set_id, rung, event)
            head = chain_head(connection, IntradayGrantRow.position, IntradayGrantRow.hash)
            row = {
                "event_id": event["event_id"],
                "run_id": event["run_id"],
                "netting_set_id": netting_set_id,
                "rung": rung,
                "decision": decision,
                "principal": principal.strip(),
                "reason": reason.strip(),
                "recorded_at": self._database.clock(),
            }
            content = {"position": head.position + 1, "hash": link(head.hash, row), **row}
            connection.execute(insert(IntradayGrantRow), content)
            self._database.audit.append_within(
                connection,
                f"rung {decision}",
                netting_set_id,
                {"rung": rung, "event_id": event["event_id"], "reason": row["reason"]},
                actor=str(row["principal"]),
            )
        return Grant(position=head.position + 1, **row)

    def waiting(self, limit: int = 1_000) -> list[WaitingRung]:
        """Return the rungs that wait for a person now, the longest waiting first."""
        with self._database.reading() as connection:
            run_id = _latest_run(connection)
            if run_id is None:
                return []
            last = (
                select(func.max(IntradayEventRow.position))
                .where(IntradayEventRow.run_id == run_id, IntradayEventRow.name.in_(_LEVELS))
                .group_by(IntradayEventRow.resource)
            )
            query = (
                select(IntradayEventRow.__table__)
                .where(IntradayEventRow.position.in_(last))
                .order_by(IntradayEventRow.position)
            )
            events = [
                event
                for event in connection.execute(query).mappings()
                if event["payload"].get(WAITS_FOR)
            ]
            decided = {(one.event_id, one.rung) for one in _of_run(connection, run_id)}
        found = [
            _waiting(event, rung)
            for event in events
            for rung in _waits_for(event)
            if (event["event_id"], rung) not in decided
        ]
        return found[:limit]

    def in_force(self, run_id: str, after: int = 0) -> list[Grant]:
        """Return what counts of the decisions of a run after a position, in their order.

        Of each rung its last decision, unless the rung has been left since it was asked about.
        """
        with self._database.reading() as connection:
            found = [one for one in _of_run(connection, run_id) if one.position > after]
            if not found:
                return []
            last = {(one.netting_set_id, one.rung): one for one in found}
            left = _left(connection, run_id, sorted({one.netting_set_id for one in found}))
            asked = _positions(connection, sorted({one.event_id for one in last.values()}))
        return [
            one
            for one in sorted(last.values(), key=lambda one: one.position)
            if not any(
                position > asked[one.event_id] and level <= RUNG_NAMES.index(one.rung)
                for position, level in left.get(one.netting_set_id, ())
            )
        ]

    def history(self, netting_set_id: str) -> list[Grant]:
        """Return everything that was said about a netting set's rungs, oldest first."""
        query = (
            select(IntradayGrantRow.__table__)
            .where(IntradayGrantRow.netting_set_id == netting_set_id)
            .order_by(IntradayGrantRow.position)
        )
        with self._database.reading() as connection:
            return [_grant(row) for row in connection.execute(query).mappings()]


def _last_event(connection: Connection, netting_set_id: str) -> Mapping[Any, Any]:
    """Return the last event of a netting set's level in the present run of the loop."""
    run_id = _latest_run(connection)
    query = (
        select(IntradayEventRow.__table__)
        .where(
            IntradayEventRow.resource == f"{NETTING_SET}{netting_set_id}",
            IntradayEventRow.run_id == run_id,
            IntradayEventRow.name.in_(_LEVELS),
        )
        .order_by(IntradayEventRow.position.desc())
        .limit(1)
    )
    row = None if run_id is None else connection.execute(query).mappings().one_or_none()
    if row is None:
        raise MissingDataError(
            f"the loop has told of no rung of {netting_set_id} since the last close; "
            "`plimsoll intraday status` says what waits",
            identifier=netting_set_id,
        )
    return row


def _latest_run(connection: Connection) -> str | None:
    query = (
        select(RunRow.run_id)
        .where(RunRow.kind == "intraday")
        .order_by(RunRow.business_date.desc(), RunRow.sequence.desc())
        .limit(1)
    )
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def _waits_for(event: Mapping[Any, Any]) -> list[str]:
    return [name for name in event["payload"].get(WAITS_FOR, "").split(",") if name]


def _waiting(event: Mapping[Any, Any], rung: str) -> WaitingRung:
    said = event["payload"]
    return WaitingRung(
        netting_set_id=said.get("netting_set_id", ""),
        client_id=said.get("client_id", ""),
        rung=rung,
        since=event["occurred_at"],
        level=said.get("level", ""),
        utilisation=said.get("utilisation", ""),
        shortfall=said.get("shortfall", ""),
        currency=said.get("currency", ""),
        reason=said.get("reason", "") or said.get("cause", ""),
        event_id=event["event_id"],
    )


def _last_grant(connection: Connection, event_id: str, rung: str) -> Grant | None:
    query = (
        select(IntradayGrantRow.__table__)
        .where(IntradayGrantRow.event_id == event_id, IntradayGrantRow.rung == rung)
        .order_by(IntradayGrantRow.position.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _grant(row)


def _of_run(connection: Connection, run_id: str) -> list[Grant]:
    query = (
        select(IntradayGrantRow.__table__)
        .where(IntradayGrantRow.run_id == run_id)
        .order_by(IntradayGrantRow.position)
    )
    return [_grant(row) for row in connection.execute(query).mappings()]


def _left(
    connection: Connection, run_id: str, netting_sets: Sequence[str]
) -> dict[str, list[tuple[int, int]]]:
    """Return by netting set where its level fell, and to which: position and number of level."""
    query = (
        select(IntradayEventRow.position, IntradayEventRow.payload)
        .where(
            IntradayEventRow.run_id == run_id,
            IntradayEventRow.name == "plimsoll.recovery",
            IntradayEventRow.resource.in_([f"{NETTING_SET}{name}" for name in netting_sets]),
        )
        .order_by(IntradayEventRow.position)
    )
    levels = ("none", *RUNG_NAMES)
    found: dict[str, list[tuple[int, int]]] = {}
    for position, said in connection.execute(query):
        found.setdefault(said["netting_set_id"], []).append((position, levels.index(said["level"])))
    return found


def _positions(connection: Connection, event_ids: Sequence[str]) -> dict[str, int]:
    query = select(IntradayEventRow.event_id, IntradayEventRow.position).where(
        IntradayEventRow.event_id.in_(event_ids)
    )
    return {row.event_id: row.position for row in connection.execute(query)}


def _grant(row: Mapping[Any, Any]) -> Grant:
    return Grant(**{name: row[name] for name in Grant.__slots__})


def _require_words(rung: str, principal: str, reason: str) -> None:
    if rung not in RUNG_NAMES:
        listed = ", ".join(RUNG_NAMES)
        raise ParameterError(
            f"rung {rung!r}, limit: {listed}", identifier="rung", value=rung, limit=listed
        )
    for name, text in (("principal", principal), ("reason", reason)):
        if not text.strip():
            raise ParameterError(
                f"a decision on a rung needs a {name}", identifier=name, limit="a text"
            )


def _not_waiting(netting_set_id: str, rung: str, event: Mapping[Any, Any]) -> StateError:
    level = event["payload"].get("level", "none")
    waits = ", ".join(_waits_for(event)) or "nothing"
    return StateError(
        f"rung {rung} of {netting_set_id} waits for nobody: it stands at {level}, and {waits} "
        "waits; what a rung has called for by itself is answered with `plimsoll calls`",
        identifier=netting_set_id,
        value=level,
        limit=rung,
    )
