"""What an order reads, checked before a run begins: data is there, rules are in range."""

from __future__ import annotations

from functools import partial

import pandas as pd

from data_contracts.preparation import empty_frame
from data_contracts.registry import contract
from data_contracts.validation import Judge, validate
from engine.errors import ParameterError
from engine.rules import Agreement
from infra.clock import utc_now
from infra.market.connected import Installation
from infra.market.daily import DATASETS
from infra.market.raw import MarketSource, RawRows, raw_rows
from infra.market.source import CONNECTIONS, open_source
from infra.oms import oms_positions
from infra.rules import agreements_from
from infra.telemetry import Step, progress
from tasks.orders import Order, generated_book_size
from tasks.rule_books import current_rules
from tasks.workplace import workplace

BOOK_SEED = 20261120
_OF_BOOK_MARKET = (
    "instruments", "marks", "index_prices", "fx_rates", "liquidity", "price_history",
)  # fmt: skip
_HOLDINGS = ("positions", "open_orders", "collateral")
_NAMES_SHOWN = 5

# What was read for the checks is what step ``ingest`` keeps, if this process comes that far.
_read: dict[Order, dict[str, RawRows]] = {}


def require_inputs(order: Order) -> None:
    """Check that ``order`` can be run, before anything is recorded about it.

    Raises
    ------
    MissingDataError
        If a required dataset is absent or has no rows for the date.
    ParameterError
        If no parameters are in force, one is out of range, or a netting set has no agreement.
    ContractViolation
        If a file cannot be read at all.
    """
    current_rules(workplace(), order.business_date)
    rows = read_inputs(order)
    agreements = _agreements(rows["agreements"], order)
    held = {
        str(name)
        for dataset in _HOLDINGS
        if "netting_set_id" in rows[dataset].frame
        for name in rows[dataset].frame["netting_set_id"].dropna().unique()
    }
    # An account that was not read has no rows, and its netting set terms all the same.
    readings = rows["readings"].frame
    if len(readings):
        held |= set(readings.loc[readings["kind"] == "account", "identifier"].astype(str))
    missing = sorted(held - set(agreements))
    if missing:
        more = f" and {len(missing) - _NAMES_SHOWN} more" if len(missing) > _NAMES_SHOWN else ""
        raise ParameterError(
            f"{rows['agreements'].origin} of {order.book} has no valid agreement for "
            f"{len(missing)} netting sets: {', '.join(missing[:_NAMES_SHOWN])}{more}"
            f"{_quarantined(rows['agreements'], order)}",
            identifier=missing[0],
            limit="one agreement per netting set",
        )


def read_inputs(order: Order) -> dict[str, RawRows]:
    """Return the rows of every dataset for the date, as their sources deliver them."""
    if order not in _read:
        _read.clear()
        _read[order] = _read_all(order)
    return _read[order]


def forget_inputs(order: Order) -> None:
    """Let go of what was read."""
    _read.pop(order, None)


def _read_all(order: Order) -> dict[str, RawRows]:
    size = generated_book_size(order.book)
    market, book = _sources(order, size)
    found: dict[str, RawRows] = {}
    for position, dataset in enumerate(DATASETS):
        progress().report(Step("read", position, len(DATASETS), dataset.name))
        if dataset.origin == "market":
            found[dataset.name] = market.read(dataset.name, order.business_date)
        elif size is None:
            found[dataset.name] = book.read(dataset.name, order.business_date)
    if size is not None:
        found.update(_generated(order, size, found))
    n_rows = sum(len(rows.frame) for rows in found.values())
    progress().report(Step("read", len(DATASETS), len(DATASETS), f"{n_rows:,} rows"))
    return found


def _sources(order: Order, size: int | None) -> tuple[MarketSource, MarketSource]:
    is_same = order.book == order.market or size is not None
    if order.market.startswith(CONNECTIONS):
        place = workplace()
        installation = Installation(
            place.settings, place.store, utc_now, partial(oms_positions, place.database)
        )
        # One source for both: accounts and market of a venue are read together.
        both = open_source(order.market, installation, None if is_same else order.book)
        return both, both
    market = open_source(order.market)
    return market, market if is_same else open_source(order.book)


def _generated(order: Order, size: int, market: dict[str, RawRows]) -> dict[str, RawRows]:
    from infra.simulator.world import BookMarket, generate_book

    frames = {name: _accepted(name, market[name], order) for name in _OF_BOOK_MARKET}
    book = generate_book(BookMarket(**frames), size, BOOK_SEED, [order.business_date])
    origin = f"generated book of {size:,} netting sets, seed {BOOK_SEED}"
    rows = {
        name: raw_rows(getattr(book, name), origin)
        for name in ("positions", "agreements", "collateral", "open_orders")
    }
    absent = (d.name for d in DATASETS if d.origin == "book" and d.name not in rows)
    return rows | {
        name: raw_rows(empty_frame(contract(name)), "a generated book has none") for name in absent
    }


def _accepted(dataset: str, rows: RawRows, order: Order) -> pd.DataFrame:
    # The masks alone: the suite follows in step ``validate``, on the same rows.
    return validate(contract(dataset), rows.frame, order.business_date, Judge.MASKS).accepted


def _agreements(rows: RawRows, order: Order) -> dict[str, Agreement]:
    # By the suite: loading it takes seconds, which a Prefect server that starts needs as well.
    found = validate(contract("agreements"), rows.frame, order.business_date)
    return agreements_from(found.accepted)


def _quarantined(rows: RawRows, order: Order) -> str:
    found = validate(contract("agreements"), rows.frame, order.business_date, Judge.MASKS)
    if found.quarantined.empty:
        return ""
    return f"; {len(found.quarantined)} rows are refused, first: " + str(
        found.quarantined["_reason"].iloc[0]
    )
