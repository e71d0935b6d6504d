"""The registry of parameters: which set is in force on a date, as it was known at an instant.

Rows are only added. A set has an effective date and an instant since when it is known; of several
for one venue, model and scope the layer decides first (activated by two people, over a folder of
one's own, over what is shipped), then the later effective date, then what was recorded last.
``withdrawn`` ends a set on its date; ``retracted`` says that a date's set should not have been.
Only changes are kept: what is recorded for an earlier date stands until the next change after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, Select, case, func, insert, select

from infra.db.audit import chain_head
from infra.db.bulk import among, insert_rows
from infra.db.canonical import link
from infra.db.rule_tables import ParameterBodyRow, ParameterFileRow, ParameterSetRow

if TYPE_CHECKING:
    from infra.db.database import Database

SetState: TypeAlias = Literal["in_force", "withdrawn", "retracted"]
Origin: TypeAlias = Literal["shipped", "folder", "activated"]
Key: TypeAlias = tuple[str, str, str]

_RANK: Final[Mapping[str, int]] = {"shipped": 0, "folder": 1, "activated": 2}
_FACTS: Final = (
    "venue", "model", "scope", "effective_date", "state", "origin", "source", "evidence",
    "parameters_hash", "reference", "recorded_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSet:
    """A set to be recorded; without hash and body where it is withdrawn or retracted."""

    venue: str
    model: str
    scope: str
    effective_date: date
    state: SetState
    source: str
    evidence: str
    parameters_hash: str | None
    body: str | None

    @property
    def key(self) -> Key:
        """Return venue, model and scope."""
        return self.venue, self.model, self.scope


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSet(NewSet):
    """A set of the registry, with where it came from and since when it is known."""

    position: int
    origin: str
    reference: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which sets to look up; an empty field takes all."""

    venue: str | None = None
    model: str | None = None
    scope: str | None = None


ALL: Final = Wanted()


class Parameters:
    """Versions of parameters by effective date and by the instant they were recorded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def in_force(
        self, business_date: date, known_at: datetime | None = None, wanted: Wanted = ALL
    ) -> list[KnownSet]:
        """Return the sets in force on the date by venue, model and scope, as known at the instant.

        Without ``known_at`` all that is recorded counts. What is recorded later never changes the
        answer for an instant that has passed.
        """
        query = _in_force(business_date, known_at, wanted)
        with self._database.reading() as connection:
            return [KnownSet(**row) for row in connection.execute(query).mappings()]

    def in_force_if(self, sets: Sequence[NewSet], business_date: date) -> list[KnownSet]:
        """Return what would be in force on the date were ``sets`` activated; nothing stays."""
        query = _in_force(business_date, None, ALL)
        with self._database.writing() as connection, connection.begin_nested() as savepoint:
            self.record_within(connection, sets, "activated", "if activated")
            found = [KnownSet(**row) for row in connection.execute(query).mappings()]
            savepoint.rollback()
        return found

    def versions(self, wanted: Wanted = ALL, known_at: datetime | None = None) -> list[KnownSet]:
        """Return every version in the order of recording, superseded and retracted ones too."""
        query = _filtered(select(*_columns(ParameterSetRow), _body()), known_at, wanted)
        query = _with_bodies(query).order_by(ParameterSetRow.position)
        with self._database.reading() as connection:
            return [KnownSet(**row) for row in connection.execute(query).mappings()]

    def bodies(self, hashes: Sequence[str]) -> dict[str, str]:
        """Return the canonical text of the parameters by hash; what is unknown is left out."""
        row = ParameterBodyRow
        with self._database.reading() as connection:
            condition = among(connection, row.parameters_hash, list(hashes))
            found = connection.execute(select(row.parameters_hash, row.body).where(condition))
            return {str(name): str(body) for name, body in found}

    def head(self) -> int:
        """Return the position of the last version: it tells whether anything has been added."""
        with self._database.reading() as connection:
            return chain_head(connection, ParameterSetRow.position, ParameterSetRow.hash).position

    def known_files(self, origin: Origin) -> dict[str, str]:
        """Return the content hash of every file of the layer that has been taken over."""
        with self._database.reading() as connection:
            return _known_files(connection, origin)

    def take_over(
        self, origin: Origin, files: Mapping[str, str], sets: Mapping[str, Sequence[NewSet]]
    ) -> list[NewSet]:
        """Let the layer hold all that its files say, and return what had to be recorded.

        A set equal to the one in force is no new version. A set of the layer that the files do not
        hold any more is retracted: the layer below serves its dates again.

        Parameters
        ----------
        origin : {"shipped", "folder"}
        files : Mapping
            Content hash of every file of the layer.
        sets : Mapping
            What each file says, by its name.
        """
        file_of = {(one.key, one.effective_date): name for name, of in sets.items() for one in of}
        with self._database.writing() as connection:
            known = _timelines(connection, origin)
            gone = [
                _retraction(row)
                for timeline in known.values()
                for row in timeline.values()
                if row.state != "retracted" and (row.key, row.effective_date) not in file_of
            ]
            for row in gone:
                known[row.key].pop(row.effective_date)
            said = [one for of in sets.values() for one in of]
            changes = [*gone, *_changes(said, known)]
            references = [file_of.get((one.key, one.effective_date), "") for one in changes]
            _record(connection, self._database.clock(), changes, origin, references)
            self._remember_files(connection, origin, files)
            if changes:
                self._database.audit.append_within(
                    connection,
                    "parameters taken over",
                    origin,
                    {"files": dict(sorted(files.items())), "versions": len(changes)},
                )
        return changes

    def changes(self, sets: Sequence[NewSet], origin: Origin = "activated") -> list[NewSet]:
        """Return those of ``sets`` that would be new versions of the layer."""
        with self._database.reading() as connection:
            known = _timelines(connection, origin, sorted({one.venue for one in sets}))
        return _changes(sets, known)

    def record_within(
        self, connection: Connection, sets: Sequence[NewSet], origin: Origin, reference: str
    ) -> int:
        """Record what is new among ``sets`` in the transaction of who decided it; say how many."""
        known = _timelines(connection, origin, sorted({one.venue for one in sets}))
        changes = _changes(sets, known)
        references = [reference] * len(changes)
        _record(connection, self._database.clock(), changes, origin, references)
        return len(changes)

    def record_bodies_within(self, connection: Connection, sets: Iterable[NewSet]) -> None:
        """Keep the parameters of ``sets`` under their hashes; none is in force by that."""
        _record_bodies(connection, list(sets))

    def _remember_files(
        self, connection: Connection, origin: Origin, files: Mapping[str, str]
    ) -> None:
        known = _known_files(connection, origin)
        # An empty hash says that the file is not there any more.
        found = {**dict.fromkeys(known, ""), **files}
        changed = {name: value for name, value in found.items() if known.get(name) != value}
        last = connection.execute(select(func.max(ParameterFileRow.position))).scalar() or 0
        now = self._database.clock()
        for number, name in enumerate(sorted(changed), start=last + 1):
            row = {"position": number, "origin": origin, "name": name, "recorded_at": now}
            connection.execute(insert(ParameterFileRow), {**row, "content_hash": changed[name]})


def _in_force(business_date: date, known_at: datetime | None, wanted: Wanted) -> Select[Any]:
    row = ParameterSetRow
    key = (row.venue, row.model, row.scope)
    latest = func.row_number().over(
        partition_by=(*key, row.origin, row.effective_date), order_by=row.position.desc()
    )
    known = _filtered(select(*_columns(row), latest.label("age")), known_at, wanted)
    versions = known.where(row.effective_date <= business_date).subquery()
    layer = case(_RANK, value=versions.c.origin)
    order = func.row_number().over(
        partition_by=(versions.c.venue, versions.c.model, versions.c.scope),
        order_by=(layer.desc(), versions.c.effective_date.desc()),
    )
    standing = (
        select(versions, order.label("place"))
        .where(versions.c.age == 1, versions.c.state != "retracted")
        .subquery()
    )
    columns = [standing.c[name] for name in ("position", *_FACTS)]
    hashes = ParameterBodyRow.parameters_hash == standing.c.parameters_hash
    return (
        select(*columns, _body())
        .join_from(standing, ParameterBodyRow, hashes)
        .where(standing.c.place == 1, standing.c.state == "in_force")
        .order_by(standing.c.venue, standing.c.model, standing.c.scope)
    )


def _columns(row: type[ParameterSetRow]) -> list[Any]:
    return [getattr(row, name) for name in ("position", *_FACTS)]


def _body() -> Any:
    return ParameterBodyRow.body


def _with_bodies(query: Select[Any]) -> Select[Any]:
    hashes = ParameterBodyRow.parameters_hash == ParameterSetRow.parameters_hash
    return query.outerjoin_from(ParameterSetRow, ParameterBodyRow, hashes)


def _filtered(query: Select[Any], known_at: datetime | None, wanted: Wanted) -> Select[Any]:
    for name, value in asdict(wanted).items():
        if value is not None:
            query = query.where(getattr(ParameterSetRow, name) == value)
    return query if known_at is None else query.where(ParameterSetRow.recorded_at <= known_at)


_Timeline: TypeAlias = dict[date, NewSet]


def _timelines(
    connection: Connection, origin: Origin, venues: Sequence[str] | None = None
) -> dict[Key, _Timeline]:
    """Return by key what stands for each effective date of one layer, last recorded first."""
    query = (
        select(*_columns(ParameterSetRow))
        .where(ParameterSetRow.origin == origin)
        .order_by(ParameterSetRow.position)
    )
    if venues is not None:
        query = query.where(among(connection, ParameterSetRow.venue, list(venues)))
    found: dict[Key, _Timeline] = {}
    for row in connection.execute(query).mappings():
        names = [field.name for field in fields(NewSet) if field.name != "body"]
        one = NewSet(body=None, **{name: row[name] for name in names})
        found.setdefault(one.key, {})[one.effective_date] = one
    return found


def _changes(sets: Sequence[NewSet], known: dict[Key, _Timeline]) -> list[NewSet]:
    """Return, oldest first, the sets that differ from what would stand on their date."""
    timelines = {key: dict(timeline) for key, timeline in known.items()}
    changes: list[NewSet] = []
    for one in sorted(sets, key=lambda each: (each.effective_date, each.key)):
        timeline = timelines.setdefault(one.key, {})
        standing = _standing(timeline, one.effective_date)
        if _says(one) == _says(standing):
            continue
        timeline[one.effective_date] = one
        changes.append(one)
    return changes


def _standing(timeline: _Timeline, effective_date: date) -> NewSet | None:
    dates = [
        day for day, one in timeline.items() if day <= effective_date and one.state != "retracted"
    ]
    return timeline[max(dates)] if dates else None


def _says(one: NewSet | None) -> tuple[str | None, str] | None:
    """Return what is compared: another source alone makes no new version, other evidence does."""
    if one is None or one.state == "retracted":
        return None
    return one.parameters_hash, one.evidence if one.state == "in_force" else ""


def _retraction(row: NewSet) -> NewSet:
    content = {field.name: getattr(row, field.name) for field in fields(NewSet)}
    return NewSet(**{**content, "state": "retracted", "parameters_hash": None, "body": None})


def _record(
    connection: Connection,
    now: datetime,
    sets: Sequence[NewSet],
    origin: Origin,
    references: Sequence[str],
) -> None:
    if not sets:
        return
    _record_bodies(connection, sets)
    last = chain_head(connection, ParameterSetRow.position, ParameterSetRow.hash)
    query = select(ParameterSetRow.recorded_at).where(ParameterSetRow.position == last.position)
    previous = connection.execute(query).scalar()
    # A clock that stands or goes back must not change what was known at an instant gone by.
    instant = now if previous is None else max(now, previous + timedelta(microseconds=1))
    digest, rows = last.hash, []
    pairs = zip(sets, references, strict=True)
    for number, (one, reference) in enumerate(pairs, start=last.position + 1):
        content = {field.name: getattr(one, field.name) for field in fields(NewSet)}
        del content["body"]
        facts = {**content, "origin": origin, "reference": reference, "recorded_at": instant}
        digest = link(digest, facts)
        rows.append({"position": number, **facts, "hash": digest})
    insert_rows(connection, ParameterSetRow, rows)


def _record_bodies(connection: Connection, sets: Sequence[NewSet]) -> None:
    rows = {
        one.parameters_hash: {
            "parameters_hash": one.parameters_hash, "model": one.model, "body": one.body
        }
        for one in sets
        if one.parameters_hash is not None
    }  # fmt: skip
    condition = among(connection, ParameterBodyRow.parameters_hash, [str(name) for name in rows])
    known = set(
        connection.execute(select(ParameterBodyRow.parameters_hash).where(condition)).scalars()
    )
    insert_rows(
        connection,
        ParameterBodyRow,
        [rows[name] for name in sorted(str(name) for name in rows) if name not in known],
    )


def _known_files(connection: Connection, origin: Origin) -> dict[str, str]:
    row = ParameterFileRow
    query = select(row.name, row.content_hash).where(row.origin == origin).order_by(row.position)
    found = {str(name): str(digest) for name, digest in connection.execute(query)}
    return {name: digest for name, digest in found.items() if digest}
