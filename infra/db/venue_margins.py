"""What venues demand of each account, by run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import Connection, select

from engine.errors import InvariantBroken
from engine.money import Rounding, round_amounts
from infra.db.bulk import as_text, insert_rows
from infra.db.requirements import recorded_figure, restored_figure
from infra.db.runs import get_run
from infra.db.tables import VenueMarginRow

if TYPE_CHECKING:
    from infra.db.database import Database

_TEXTS: Final = (
    "account_id", "venue", "client_id", "netting_set_id", "account_mode", "status", "reason",
    "currency", "evidence",
)  # fmt: skip
_MARGINS: Final = ("initial_margin", "maintenance_margin")
# Venue margins are in USD, whose ledger has two decimals.
_DECIMALS: Final = 2


class VenueMarginRecords:
    """Margins of venue accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, run_id: str, margins: pd.DataFrame, drift: pd.DataFrame) -> int:
        """Record the margins of a run's venue accounts and return their number.

        Parameters
        ----------
        run_id : str
            A run that has been begun.
        margins, drift : pandas.DataFrame
            ``Assessment.venue_margins`` and ``venue_drift``. Margins are kept as exact amounts,
            rounded up; all figures are kept in full precision beside them.

        Raises
        ------
        InvariantBroken
            If the run has recorded other figures before.
        """
        if margins.empty:
            return 0
        with self._database.writing() as connection:
            run = get_run(connection, run_id)
            rows = _rows(margins, _classes(drift))
            rows = [{"run_id": run_id, "business_date": run.business_date, **row} for row in rows]
            found = _found(connection, run_id)
            if not found:
                insert_rows(connection, VenueMarginRow, rows)
            elif found != {str(row["account_id"]): row for row in rows}:
                raise InvariantBroken(f"{run_id} gave other venue margins than it has recorded")
        return len(rows)

    def of_run(self, run_id: str) -> pd.DataFrame:
        """Return the recorded margins, sorted by account; figures as columns."""
        with self._database.reading() as connection:
            get_run(connection, run_id)
            found = _found(connection, run_id)
        rows = [found[key] for key in sorted(found)]
        plain = ("drift_class", *(f"{name}_amount" for name in _MARGINS))
        return pd.DataFrame(
            [
                {name: row[name] for name in (*_TEXTS, *plain)}
                | {name: restored_figure(value) for name, value in row["figures"].items()}
                for row in rows
            ]
        )


def _rows(margins: pd.DataFrame, classes: dict[str, str]) -> list[dict[str, Any]]:
    exact = {}
    for name in _MARGINS:
        values = margins[name].to_numpy(dtype=np.float64)
        decimals = np.full(len(values), _DECIMALS, dtype=np.int64)
        rounded = round_amounts(np.nan_to_num(values), decimals, Rounding.REQUIREMENT)
        exact[name] = [a if np.isfinite(v) else None for a, v in zip(rounded, values, strict=True)]
    figures = margins[[n for n in margins.columns if n not in _TEXTS]].to_dict("records")
    texts = {name: margins[name].tolist() for name in _TEXTS}
    return [
        {
            **{name: as_text(texts[name][row]) for name in _TEXTS},
            **{f"{name}_amount": exact[name][row] for name in _MARGINS},
            "drift_class": classes.get(str(texts["account_id"][row]), ""),
            "figures": {str(key): recorded_figure(value) for key, value in figures[row].items()},
        }
        for row in range(len(margins))
    ]


def _classes(drift: pd.DataFrame) -> dict[str, str]:
    """Return the class of each account's bucket that is furthest from the venue's report."""
    size = drift["relative_difference"].abs().fillna(0.0)
    ordered = drift.assign(size=size).sort_values("size", kind="stable")
    last = ordered.drop_duplicates("account_id", keep="last")
    return dict(zip(last["account_id"].astype(str), last["drift_class"].astype(str), strict=True))


def _found(connection: Connection, run_id: str) -> dict[str, dict[str, Any]]:
    query = select(VenueMarginRow.__table__).where(VenueMarginRow.run_id == run_id)
    return {row["account_id"]: dict(row) for row in connection.execute(query).mappings()}
