"""What the loop of a drill starts from: the venues read at the close, as a close reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from engine.errors import MissingDataError
from engine.snapshot import CollateralSet, LastFresh, PositionSet
from infra.clock import Clock
from infra.drill.clients import UTILISATION, DrillClient
from infra.drill.days import DrillDay
from infra.intraday.base import Base
from infra.rules import DEFAULT_PARAMETERS, agreements_from, read_house_parameters, rule_book
from infra.settings import Settings
from infra.store import open_store

if TYPE_CHECKING:
    from engine.intraday import LiveFigures
    from infra.market.raw import MarketSource
    from infra.store import Store

CLOSE: Final = "eod-{day}-1"
# A chain counts as two hours with the planner: a shorter cure would leave custody out.
_CURE_HOURS: Final = 4.0


@dataclass(frozen=True, slots=True)
class Opened:
    """The one close of a drill, as the loop asks for closes."""

    base: Base

    def latest(self) -> Base:
        """Return it."""
        return self.base

    def latest_id(self) -> str | None:
        """Return its name."""
        return self.base.close_id

    def load(self, close_id: str) -> Base:
        """Return it under its name; MissingDataError under another."""
        if close_id != self.base.close_id:
            raise MissingDataError(f"this drill has no close {close_id}", identifier=close_id)
        return self.base


def read_close(
    day: DrillDay, clients: Sequence[DrillClient], home: Path, history: str, clock: Clock
) -> Base:
    """Return the close of the day before, read from the venues that ``home`` is connected to.

    ``history`` is the market directory with the daily closes that scenarios are made of.
    """
    from data_contracts.registry import contract
    from data_contracts.validation import Judge, faults, validate
    from infra.market.daily import DATASETS

    settings, store = Settings(home=home), open_store((home / "store").as_uri())
    source = _source(day, clients, home, history, clock, settings, store)
    accepted: dict[str, pd.DataFrame] = {}
    lost: list[pd.DataFrame] = []
    for dataset in DATASETS:
        definition = contract(dataset.name)
        rows = source.read(dataset.name, day.business_date)
        found = validate(definition, rows.frame, day.business_date, Judge.MASKS)
        if found.refusal is not None:
            raise MissingDataError(
                f"{dataset.name} of {day.business_date} is refused: {found.refusal}",
                identifier=dataset.name,
            )
        accepted[dataset.name] = found.accepted
        lost.append(faults(definition, found, day.business_date))
    return _with_terms(_based(day, _of_the_venues(accepted), lost, store), day, clients)


def _with_terms(base: Base, day: DrillDay, clients: Sequence[DrillClient]) -> Base:
    """Return the close under agreements whose unsecured allowance leaves the wanted utilisation."""
    allowed = {}
    for name, found in figures_of(base).items():
        needed = float(found.owed[0]) / UTILISATION - float(found.cover[0])
        allowed[name] = max(round(needed, -3), 0.0)
    house, text = read_house_parameters(DEFAULT_PARAMETERS, day.business_date)
    rules = rule_book(house, text, agreements_from(_agreements(day, clients, allowed)))
    return replace(base, rules=rules)


def figures_of(base: Base) -> dict[str, LiveFigures]:
    """Return how each netting set stands at the close."""
    from engine.intraday import LiveBook

    book = LiveBook.open(base.snapshot, base.positions, base.collateral, base.rules)
    names = [str(name) for name in book.netting_set_id]
    return {name: book.figures(_row(number)) for number, name in enumerate(names)}


def _row(number: int) -> Any:
    import numpy as np

    return np.array([number], dtype=np.int64)


def _source(
    day: DrillDay,
    clients: Sequence[DrillClient],
    home: Path,
    history: str,
    clock: Clock,
    settings: Settings,
    store: Store,
) -> MarketSource:
    from infra.market.connected import Installation, connected_source

    book = home / "book"
    book.mkdir(parents=True, exist_ok=True)
    _agreements(day, clients, {}).to_parquet(book / "agreements.parquet")
    installation = Installation(settings, store, clock)
    return connected_source(f"connections:{history}", installation, str(book))


def _agreements(
    day: DrillDay, clients: Sequence[DrillClient], allowed: Mapping[str, float]
) -> pd.DataFrame:
    rows = [
        {
            "netting_set_id": one.netting_set_id,
            "effective_date": pd.Timestamp("2019-01-01").as_unit("ms"),
            "client_id": one.client_id,
            "currency": "USD",
            "confidence": 0.99,
            "threshold": allowed.get(one.netting_set_id, 0.0),
            "minimum_transfer_amount": 15_000.0,
            "rounding_increment": 1_000.0,
            "independent_amount": 0.0,
            "cure_hours": _CURE_HOURS,
            "call_basis": "house",
            "collection": "automatic",
        }
        for one in clients
    ]
    return pd.DataFrame(rows)


def _of_the_venues(accepted: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Leave out contracts of venues that nobody here is connected to: nothing prices them."""
    own = accepted["instruments"]
    is_own = own["venue"].isin(("binance", "deribit", "okx"))
    listed = own[is_own].reset_index(drop=True)
    marks = accepted["marks"]
    marks = marks[marks["instrument_id"].isin(listed["instrument_id"])].reset_index(drop=True)
    return {**accepted, "instruments": listed, "marks": marks}


def _based(
    day: DrillDay, accepted: dict[str, pd.DataFrame], lost: list[pd.DataFrame], store: Store
) -> Base:
    from engine.times import close_of
    from infra.market.readings import reading_faults
    from infra.store import SnapshotParts, freeze, load_snapshot

    lost.append(reading_faults(accepted["readings"]))
    names = [one.name for one in fields(SnapshotParts)]
    parts = SnapshotParts(
        business_date=day.business_date,
        as_of=close_of(day.business_date),
        faults=pd.concat(lost, ignore_index=True),
        **{name: accepted[name] for name in names if name in accepted},
    )
    # Agreements here call for the house's own requirement: what venues report is not asked for.
    held = PositionSet(accepted["positions"], accepted["open_orders"])
    frozen = freeze(store, parts, held, CollateralSet(accepted["collateral"]))
    loaded = load_snapshot(store, str(frozen.snapshot_id))
    house, text = read_house_parameters(DEFAULT_PARAMETERS, day.business_date)
    rules = rule_book(house, text, agreements_from(accepted["agreements"]))
    return Base(
        close_id=CLOSE.format(day=day.business_date),
        snapshot=loaded.snapshot,
        positions=loaded.positions,
        collateral=loaded.collateral,
        rules=rules,
        last_fresh=LastFresh(),
        content_hashes={name: str(value) for name, value in frozen.content_hashes.items()},
        rule_book=(house.effective_date, "shipped", text),
    )
