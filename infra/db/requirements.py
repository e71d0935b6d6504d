"""Requirements by run, and the last one of each netting set that rested on fresh data."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import Connection, Text, bindparam, select, text

from engine.errors import InvariantBroken, ModelInputError
from infra.db.bulk import as_text, dates, insert_rows
from infra.db.column_types import BusinessDate, ExactAmount
from infra.db.runs import FINISHED, get_run
from infra.db.tables import FRESH, RequirementRow

if TYPE_CHECKING:
    from infra.db.database import Database

_TEXTS: Final = ("netting_set_id", "client_id", "currency", "status", "reason", "call_action")
_AMOUNTS: Final = ("requirement_amount", "collateral_amount", "call_amount")
_OF_VENUES: Final = ("venue_amount", "owed_amount")
"""There where venue accounts are known, as is ``binding``."""
_EXACT: Final = "exact"
_NOT_FINITE: Final = {"inf": math.inf, "-inf": -math.inf}

# The recursive part walks the index from netting set to netting set, so that the time grows with
# their number and not with the length of the history.
_LAST_FRESH: Final = f"""
WITH RECURSIVE sets(netting_set_id) AS (
    SELECT min(netting_set_id) FROM requirements WHERE {FRESH}
    UNION ALL
    SELECT (
        SELECT min(r.netting_set_id) FROM requirements r
        WHERE r.{FRESH} AND r.netting_set_id > sets.netting_set_id
    )
    FROM sets WHERE sets.netting_set_id IS NOT NULL
)
SELECT r.netting_set_id, r.business_date, r.requirement_amount
FROM sets s JOIN requirements r ON r.netting_set_id = s.netting_set_id AND r.run_id = (
    SELECT q.run_id FROM requirements q JOIN runs u ON u.run_id = q.run_id
    WHERE q.{FRESH} AND q.netting_set_id = s.netting_set_id AND q.business_date < :before
    AND u.kind = :kind AND u.status IN {FINISHED!r}
    AND NOT EXISTS (
        SELECT 1 FROM runs n WHERE n.kind = u.kind AND n.business_date = u.business_date
        AND n.sequence > u.sequence AND n.status IN {FINISHED!r}
    )
    ORDER BY q.business_date DESC LIMIT 1
)
"""


class Requirements:
    """What netting sets owe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, run_id: str, requirements: pd.DataFrame) -> int:
        """Record the requirements of a run and return their number.

        Parameters
        ----------
        run_id : str
            A run that has been begun.
        requirements : pandas.DataFrame
            ``Assessment.requirements``. Amounts are exact ``Decimal``; all other figures are kept
            in full precision as components.

        Raises
        ------
        InvariantBroken
            If the run has recorded other figures before.
        ModelInputError
            If a column is missing or an amount is no Decimal.
        """
        missing = [name for name in (*_TEXTS, *_AMOUNTS) if name not in requirements.columns]
        if missing:
            raise ModelInputError(f"requirements lack the columns {', '.join(missing)}")
        with self._database.writing() as connection:
            run = get_run(connection, run_id)
            rows = _rows(requirements, run_id, run.business_date)
            found = _found(connection, run_id)
            if not found:
                insert_rows(connection, RequirementRow, rows)
            elif found != {str(row["netting_set_id"]): row for row in rows}:
                raise InvariantBroken(f"{run_id} gave other requirements than it has recorded")
        return len(rows)

    def of_run(self, run_id: str) -> pd.DataFrame:
        """Return the recorded requirements: exact amounts, components as columns, sorted."""
        with self._database.reading() as connection:
            get_run(connection, run_id)
            found = _found(connection, run_id)
        rows = [found[key] for key in sorted(found)]
        fixed = pd.DataFrame(
            {name: pd.Series([row[name] for row in rows], dtype="str") for name in _TEXTS}
        )
        for name in _AMOUNTS:
            fixed[name] = pd.Series([row[name] for row in rows], dtype=object)
        if any(row["binding"] is not None for row in rows):
            for name in _OF_VENUES:
                fixed[name] = pd.Series([row[name] for row in rows], dtype=object)
            fixed["binding"] = pd.Series([row["binding"] for row in rows], dtype="str")
        names = list(dict.fromkeys(name for row in rows for name in row["components"]))
        figures = {
            name: _column([restored_figure(row["components"].get(name)) for row in rows])
            for name in names
        }
        return pd.concat([fixed, pd.DataFrame(figures)], axis=1)

    def last_fresh(self, before: date, kind: str = "eod") -> pd.DataFrame:
        """Return the last requirement of each netting set that rested on fresh data alone.

        Only finished runs of earlier dates count that no later sequence supersedes.

        Returns
        -------
        pandas.DataFrame
            netting_set_id, business_date, requirement [agreement currency], sorted; the shape of
            ``engine.snapshot.LastFresh.requirements``.
        """
        query = (
            text(_LAST_FRESH)
            .bindparams(bindparam("before", before, BusinessDate()), kind=kind)
            .columns(
                netting_set_id=Text(),
                business_date=BusinessDate(),
                requirement_amount=ExactAmount(),
            )
        )
        with self._database.reading() as connection:
            rows = sorted(connection.execute(query).all())
        return pd.DataFrame(
            {
                "netting_set_id": pd.Series([row[0] for row in rows], dtype="str"),
                "business_date": dates(row[1] for row in rows),
                "requirement": pd.Series([float(row[2]) for row in rows], dtype="float64"),
            }
        )


def _rows(frame: pd.DataFrame, run_id: str, business_date: date) -> list[dict[str, Any]]:
    named = (*_TEXTS, *_AMOUNTS, *_OF_VENUES, "binding")
    others = [str(name) for name in frame.columns if name not in named]
    components = frame[others].to_dict(orient="records")
    absent = [None] * len(frame)
    columns = {n: frame[n].tolist() if n in frame.columns else absent for n in named}
    return [
        {
            "run_id": run_id,
            "business_date": business_date,
            **{name: as_text(columns[name][row]) for name in _TEXTS},
            **{name: exact_cell(columns[name][row], name) for name in (*_AMOUNTS, *_OF_VENUES)},
            "binding": columns["binding"][row],
            "components": {
                str(name): recorded_figure(value) for name, value in components[row].items()
            },
        }
        for row in range(len(frame))
    ]


def _found(connection: Connection, run_id: str) -> dict[str, dict[str, Any]]:
    query = select(RequirementRow.__table__).where(RequirementRow.run_id == run_id)
    return {row["netting_set_id"]: dict(row) for row in connection.execute(query).mappings()}


def exact_cell(value: object, name: str) -> Decimal | None:
    """Return an exact amount, or None where there is none; a float is refused."""
    if value is None or value is pd.NA or value != value:
        return None
    if not isinstance(value, Decimal):
        raise ModelInputError(f"{name} needs a Decimal, found {value!r}", identifier=name)
    return value


def recorded_figure(value: Any) -> object:
    """Return a figure in the form that JSON can hold.

    NaN is absent, infinity a text, and an exact amount a text that says so.
    """
    if value is None or value is pd.NA:
        return None
    if isinstance(value, Decimal):
        return {_EXACT: str(value)}
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else str(value)
    return value


def _column(values: list[Any]) -> pd.Series:
    kinds = {type(value) for value in values}
    if str in kinds:
        return pd.Series(values, dtype="str")
    if Decimal in kinds:
        return pd.Series(values, dtype=object)
    # A column without any figure had figures that were NaN.
    dtype = "bool" if kinds == {bool} else "int64" if kinds == {int} else "float64"
    return pd.Series(values, dtype=dtype)


def restored_figure(value: object) -> object:
    """Return what ``recorded_figure`` has recorded."""
    if isinstance(value, dict):
        return Decimal(value[_EXACT])
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value
