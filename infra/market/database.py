"""A database with one table per dataset, read and never written."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from data_contracts.contract import Contract, Kind
from data_contracts.preparation import empty_frame
from data_contracts.registry import contract
from engine.errors import MissingDataError, StateUnavailable
from infra.market.daily import daily_dataset
from infra.market.raw import RawRows, raw_rows
from infra.market.selection import (
    Selection,
    dates_in,
    last_snapshots,
    nearest_dates,
    selected,
    selection_of,
    serves,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

CONNECT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class DatabaseSource:
    """Datasets of one database; tables may carry the other names that a contract accepts.

    Cells are taken as the driver gives them, without SQLAlchemy's own types, so that the contract
    sees what is stored: SQLite keeps instants as text and needs their offset in it.
    """

    url: str

    @property
    def location(self) -> str:
        """Return the URL without its password."""
        from sqlalchemy.engine import make_url

        return make_url(self.url).render_as_string(hide_password=True)

    def read(
        self, dataset: str, business_date: date, *, is_required: bool | None = None
    ) -> RawRows:
        """Return the rows that the date needs; see ``MarketSource``.

        Raises
        ------
        MissingDataError
            If a required dataset has no table or no rows for the date.
        StateUnavailable
            If the database is locked or cannot be reached.
        """
        definition = contract(dataset)
        required = daily_dataset(dataset).required if is_required is None else is_required
        with _connected(self.url, self.location) as connection:
            table, columns = _find_table(connection, definition)
            if table is None:
                if required:
                    raise MissingDataError(
                        f"{self.location} has no table {dataset}", identifier=dataset
                    )
                return raw_rows(empty_frame(definition), f"no table of {dataset}")
            selection = selection_of(definition, list(columns), business_date)
            frame = _rows(connection, table, columns, definition, selection)
            if dataset == "option_chains":
                frame = last_snapshots(frame, "ts_utc", "currency")
            if required and not serves(definition, frame, selection, business_date):
                near = ""
                if selection is not None:
                    dates = _all_dates(connection, table, selection)
                    near = f": {nearest_dates(dates, business_date)}"
                raise MissingDataError(
                    f"{self.location} has no {dataset} for {business_date}{near}",
                    identifier=dataset,
                    value=str(business_date),
                )
        return raw_rows(frame, f"table {table}")


@contextmanager
def _connected(url: str, location: str) -> Iterator[Connection]:
    from sqlalchemy import exc

    engine = _read_only_engine(url, location)
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(postgresql_readonly=True)
                connection.exec_driver_sql("SET TIME ZONE 'UTC'")
            yield connection
    except (exc.OperationalError, exc.InterfaceError, exc.DatabaseError) as error:
        cause = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
        raise StateUnavailable(
            f"market database {location} cannot be read: {cause}", identifier=location
        ) from error
    finally:
        engine.dispose()


def _read_only_engine(url: str, location: str) -> Any:
    import sqlite3
    from urllib.parse import quote

    import sqlalchemy as sa
    from sqlalchemy.engine import make_url

    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        path = Path(address.database or "")
        if not path.is_file():
            raise MissingDataError(f"market database {path} does not exist", identifier=str(path))
        # A plain connection would create the file, and could write to it.
        read_only = f"file:{quote(str(path.resolve()))}?mode=ro"
        return sa.create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(read_only, uri=True, timeout=CONNECT_SECONDS),
            poolclass=sa.pool.NullPool,
        )
    if address.drivername in {"postgresql", "postgres"}:
        address = address.set(drivername="postgresql+psycopg")
    if address.get_backend_name() != "postgresql":
        raise MissingDataError(
            f"market database {location}: SQLite and PostgreSQL are read, "
            f"found {address.get_backend_name()}",
            identifier=location,
        )
    return sa.create_engine(
        address, poolclass=sa.pool.NullPool, connect_args={"connect_timeout": CONNECT_SECONDS}
    )


def _find_table(connection: Connection, definition: Contract) -> tuple[str | None, dict[str, Any]]:
    """Return the table of the dataset, or None, and the stored type of its columns."""
    import sqlalchemy as sa

    inspector = sa.inspect(connection)
    present = {*inspector.get_table_names(), *inspector.get_view_names()}
    for name in (definition.dataset, *definition.names_accepted):
        if name in present:
            return name, {c["name"]: c["type"] for c in inspector.get_columns(name)}
    return None, {}


def _rows(
    connection: Connection,
    table: str,
    columns: dict[str, Any],
    definition: Contract,
    selection: Selection | None,
) -> pd.DataFrame:
    import sqlalchemy as sa

    query = sa.select(sa.text("*")).select_from(sa.table(table))
    if selection is not None:
        query = query.where(_condition(connection, columns[selection.column], selection))
    key = [name for name in definition.key if name in columns]
    ordered = key if len(key) == len(definition.key) else sorted(columns)
    query = query.order_by(*(sa.column(name) for name in ordered))
    found = connection.execute(query)
    names = list(found.keys())
    frame = pd.DataFrame([tuple(row) for row in found], columns=names)
    if frame.empty:
        frame = pd.DataFrame({name: pd.Series([], dtype="str") for name in names})
    if selection is not None:
        frame = frame[selected(frame[selection.column], selection)]
    return frame.reset_index(drop=True)


def _condition(connection: Connection, stored: Any, selection: Selection) -> Any:
    """Return the rows to fetch: a wide net, which ``selected`` then narrows.

    Where dates are stored as text, other texts are fetched too, for the contract to name them.
    """
    import sqlalchemy as sa

    cells: Any = sa.column(selection.column)
    typed = isinstance(stored, sa.Date | sa.DateTime) and connection.dialect.name != "sqlite"
    margin = timedelta(days=2 if selection.kind is Kind.INSTANT else 0)
    last = selection.last + margin
    first = None if selection.first is None else selection.first - margin
    if typed:
        inside = cells <= last
        if first is not None:
            inside = sa.and_(inside, cells >= first)
        return sa.or_(cells.is_(None), inside)
    text = sa.cast(cells, sa.String)
    inside = text < f"{last + timedelta(days=1):%Y-%m-%d}"
    if first is not None:
        inside = sa.and_(inside, text >= f"{first:%Y-%m-%d}")
    return sa.or_(cells.is_(None), inside, sa.not_(text.like("____-__-__%")))


def _all_dates(connection: Connection, table: str, selection: Selection) -> list[date]:
    import sqlalchemy as sa

    query: Any = sa.select(sa.column(selection.column)).select_from(sa.table(table)).distinct()
    cells = [row[0] for row in connection.execute(query)]
    return dates_in(pd.Series(cells, dtype=object), selection.kind)
