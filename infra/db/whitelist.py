"""The whitelist: one person proposes a destination, another approves it, then it cools off.

An approval is sealed with a key that the database does not hold, so that nobody who can only write
rows lists a destination.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, func, insert, select

from engine.errors import MissingDataError, ParameterError, StateError
from engine.ids import parse_identifier
from engine.transfers.whitelist import WhitelistEntry, entry_id
from infra.db.transfer_tables import WhitelistEventRow, WhitelistRow

if TYPE_CHECKING:
    from infra.db.database import Database

_CONTENT = ("destination", "asset", "network", "address", "memo")


class Whitelist:
    """Destinations and what people did with them; every step is in the audit chain as well."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def propose(self, content: WhitelistEntry, principal: str, reason: str) -> WhitelistEntry:
        """Record a destination that waits for a second person; one that is listed stays as it is.

        ``content`` holds destination, asset, network, address and memo; its name is made from them.
        """
        for name in ("destination", "asset"):
            parse_identifier(getattr(content, name), name)
        facts = {name: getattr(content, name) for name in _CONTENT}
        key = entry_id(**facts)
        with self._database.writing() as connection:
            last = _last(connection, key)
            if last is not None and last["event"] != "revoked":
                return self._entry(connection, key)
            if last is None:
                row = {"entry_id": key, "recorded_at": self._database.clock(), **facts}
                connection.execute(insert(WhitelistRow), row)
            event = {"round": (last["round"] if last else 0) + 1, "proposer": principal}
            self._append(connection, key, "proposed", principal, {**event, "reason": reason})
            return self._entry(connection, key)

    def approve(self, key: str, principal: str, reason: str, cool_off: timedelta) -> WhitelistEntry:
        """Let a destination be used after ``cool_off``.

        Raises
        ------
        ParameterError
            If the approver is the proposer.
        StateError
            If it does not wait for an approval.
        """
        with self._database.writing() as connection:
            found = _find(connection, key)
            last = _last(connection, found)
            if last is None or last["event"] != "proposed":
                raise _not_waiting(found, last)
            if last["proposer"] == principal:
                raise ParameterError(
                    f"whitelist entry {found[:12]} was proposed by {principal}, who cannot approve "
                    "it: another person does, with their own login or PLIMSOLL_PRINCIPAL",
                    identifier=found,
                    value=principal,
                    limit=f"another principal than {principal}",
                )
            event = {
                "round": last["round"],
                "proposer": last["proposer"],
                "reason": reason,
                "active_from": self._database.clock() + cool_off,
            }
            event["seal"] = self._seal(found, principal, event)
            self._append(connection, found, "approved", principal, event)
            return self._entry(connection, found)

    def revoke(self, key: str, principal: str, reason: str) -> WhitelistEntry:
        """Take a destination off the list at once; one person is enough."""
        with self._database.writing() as connection:
            found = _find(connection, key)
            last = _last(connection, found)
            if last is None or last["event"] == "revoked":
                raise _not_waiting(found, last)
            event = {"round": last["round"], "proposer": last["proposer"], "reason": reason}
            self._append(connection, found, "revoked", principal, event)
            return self._entry(connection, found)

    def history(self, key: str) -> list[dict[str, Any]]:
        """Return what people did with an entry, in order."""
        with self._database.reading() as connection:
            query = (
                select(WhitelistEventRow.__table__)
                .where(WhitelistEventRow.entry_id == _find(connection, key))
                .order_by(WhitelistEventRow.position)
            )
            return [dict(row) for row in connection.execute(query).mappings()]

    def entries_within(
        self, connection: Connection, destination: str | None = None
    ) -> list[WhitelistEntry]:
        """Return the entries, of one destination if given, as they stand."""
        query = select(WhitelistRow.__table__).order_by(
            WhitelistRow.destination, WhitelistRow.asset, WhitelistRow.entry_id
        )
        events = select(WhitelistEventRow.__table__).order_by(WhitelistEventRow.position)
        if destination is not None:
            query = query.where(WhitelistRow.destination == destination)
            named = select(WhitelistRow.entry_id).where(WhitelistRow.destination == destination)
            events = events.where(WhitelistEventRow.entry_id.in_(named))
        last: dict[str, RowMapping] = {
            row["entry_id"]: row for row in connection.execute(events).mappings()
        }
        return [
            _entry_of(row, last.get(row["entry_id"]), self._is_sealed)
            for row in connection.execute(query).mappings()
        ]

    def _entry(self, connection: Connection, key: str) -> WhitelistEntry:
        query = select(WhitelistRow.destination).where(WhitelistRow.entry_id == key)
        destination = connection.execute(query).scalar_one()
        found = self.entries_within(connection, destination)
        return next(one for one in found if one.entry_id == key)

    def _seal(self, key: str, approver: str, event: Mapping[Any, Any]) -> str | None:
        if self._database.seal is None:
            return None
        active_from = event["active_from"].astimezone(UTC).isoformat(timespec="microseconds")
        content = [key, event["round"], event["proposer"], approver, active_from]
        return self._database.seal(json.dumps(["whitelist", *content]))

    def _is_sealed(self, approval: RowMapping) -> bool:
        expected = self._seal(approval["entry_id"], approval["actor"], approval)
        return expected is None or hmac.compare_digest(expected, approval["seal"] or "")

    def _append(
        self, connection: Connection, key: str, event: str, actor: str, facts: dict[str, Any]
    ) -> None:
        last = connection.execute(select(func.max(WhitelistEventRow.position))).scalar() or 0
        row = {
            "position": last + 1,
            "entry_id": key,
            "event": event,
            "actor": actor,
            "active_from": None,
            **facts,
            "recorded_at": self._database.clock(),
        }
        connection.execute(insert(WhitelistEventRow), row)
        details = {name: value for name, value in facts.items() if value is not None}
        self._database.audit.append_within(
            connection, f"whitelist {event}", key, details, actor=actor
        )

    def list(self) -> list[WhitelistEntry]:
        """Return all entries, revoked ones too, by destination and asset."""
        with self._database.reading() as connection:
            return self.entries_within(connection)


def _entry_of(
    row: RowMapping, last: RowMapping | None, is_sealed: Callable[[RowMapping], bool]
) -> WhitelistEntry:
    event = None if last is None else last["event"]
    return WhitelistEntry(
        entry_id=row["entry_id"],
        **{name: row[name] for name in _CONTENT},
        active_from=last["active_from"] if last is not None and event == "approved" else None,
        revoked_at=last["recorded_at"] if last is not None and event == "revoked" else None,
        is_sealed=last is None or event != "approved" or is_sealed(last),
    )


def _last(connection: Connection, key: str) -> dict[str, Any] | None:
    query = (
        select(WhitelistEventRow.__table__)
        .where(WhitelistEventRow.entry_id == key)
        .order_by(WhitelistEventRow.position.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def _find(connection: Connection, key: str) -> str:
    query = select(WhitelistRow.entry_id).where(WhitelistRow.entry_id.startswith(key)).limit(2)
    found = list(connection.execute(query).scalars()) if len(key) >= 8 and key.isalnum() else []
    if len(found) != 1:
        what = "more than one whitelist entry begins with" if found else "no whitelist entry is"
        raise MissingDataError(
            f"{what} {key}: `plimsoll transfers whitelist list` has them", identifier=key
        )
    return str(found[0])


def _not_waiting(key: str, last: dict[str, Any] | None) -> StateError:
    fact = f"{last['event']} by {last['actor']}" if last else "without a proposal"
    return StateError(
        f"whitelist entry {key[:12]} is {fact}: nothing to do", identifier=key, value=fact
    )
