"""What was read of a source, as rows of the data contracts and of the archive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import pandas as pd

from data_contracts.preparation import empty_frame
from data_contracts.registry import contract
from engine.ports import AccountSnapshot, Mark
from infra.market.connected.reading import AccountRead, MarketRead, SourceRead

HELD: Final = ("positions", "open_orders", "collateral", "venue_margin")
OF_MARKET: Final = ("instruments", "marks", "funding")
# Beside the columns of their contracts: where positions were entered, what else marks tell, where
# collateral lies and what the venue owes of it.
_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "positions": ("entry_price",),
    "marks": ("index_price",),
    "collateral": ("place", "equity"),
}
_RATES: Final = ("asset", "usd_rate", "observed_utc")
_SETTLED: Final = ("instrument_id", "settled_utc", "settlement_price")
_NUMBERS: Final = frozenset(("entry_price", "index_price", "equity", "usd_rate"))


@dataclass(frozen=True, slots=True, eq=False)
class SourceFrames:
    """Frames of one source by name: datasets with their columns beside, rates, settled, readings.

    ``readings`` are of contract ``readings``: one row per account and one of the market.
    """

    source: str
    frames: Mapping[str, pd.DataFrame]
    is_whole: bool

    def frame(self, name: str) -> pd.DataFrame:
        """Return a frame of that name."""
        return self.frames[name]


@dataclass(slots=True)
class _Tables:
    """Rows that are gathered by table."""

    rows: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def add(self, table: str, **cells: object) -> None:
        self.rows.setdefault(table, []).append(cells)


@dataclass(frozen=True, slots=True)
class Limits:
    """When a reading is of the close: its instant, and how far from it it may be."""

    close: datetime
    lag_seconds_max: float

    def lateness(self, stamp: datetime) -> str:
        """Return why an instant is too far from the close, or empty text."""
        lag = (stamp - self.close).total_seconds()
        if abs(lag) <= self.lag_seconds_max:
            return ""
        when = "after" if lag > 0 else "before"
        return (
            f"read at {stamp:%Y-%m-%dT%H:%M:%SZ}, {abs(lag) / 60:.0f} min {when} the close: limit "
            f"{self.lag_seconds_max / 60:g} min"
        )


def source_frames(read: SourceRead, business_date: date, limits: Limits) -> SourceFrames:
    """Return the frames of what was read; what was not in time has no rows but a reason."""
    tables = _Tables()
    day = pd.Timestamp(business_date)
    states = [_account(tables, each, read, day, limits) for each in read.accounts]
    listed = empty_frame(contract("instruments"))
    if read.market is not None or read.market_failure:
        states.append(_market(tables, read, day, limits))
    if read.market is not None:
        listed = read.market.instruments
    frames = {name: _frame(name, tables.rows.get(name, ())) for name in (*HELD, "marks", "funding")}
    frames["instruments"] = listed
    frames["rates"] = _plain(_RATES, tables.rows.get("rates", ()))
    frames["settled"] = _plain(_SETTLED, tables.rows.get("settled", ()))
    frames["readings"] = _frame("readings", tables.rows.get("readings", ()))
    return SourceFrames(read.source, frames, is_whole=all(state == "read" for state in states))


def reading_row(day: pd.Timestamp, source: str, subject: str, **facts: object) -> dict[str, object]:
    """Return a row of contract ``readings``; facts that are not given are empty."""
    row: dict[str, object] = {
        "business_date": day, "source": source, "subject": subject, "dataset": None,
        "identifier": None, "rows": 0.0, "observed_utc": None, "watermark": None, "reason": None,
    }  # fmt: skip
    return row | facts


def contract_columns(dataset: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a dataset's contract alone."""
    return frame[[column.name for column in contract(dataset).columns]]


def _account(
    tables: _Tables, each: AccountRead, read: SourceRead, day: pd.Timestamp, limits: Limits
) -> str:
    account, snapshot = each.account, each.snapshot
    # What a client pays calls from is in no margin either, before it has arrived.
    is_house = account.role != "client"
    # A vault holds collateral alone: what it would add to risk is nothing.
    missing = "positions" if read.market is not None or read.market_failure else "collateral"
    state, reason, stamp = "unread", each.failure, None
    if snapshot is not None:
        # A venue's stamp of an account is when it last changed, which may be long ago.
        stamp = snapshot.reading.received_at
        state, reason = "read", ""
        late = limits.lateness(stamp)
        if late:
            state, reason = "stale", f"{account.place} was {late}"
        elif not snapshot.reading.is_complete:
            state, reason = "incomplete", f"{account.place}: its parts contradict each other"
    n_rows = 0
    if snapshot is not None and state == "read":
        n_rows = len(snapshot.positions) + len(snapshot.orders) + len(snapshot.balances)
        _holdings(tables, each, snapshot, read, day)
    tables.add(
        "readings",
        **reading_row(
            day, read.source, account.place, kind="house" if is_house else "account",
            state=state, dataset=None if is_house else missing,
            identifier=None if is_house else account.netting_set_id, rows=float(n_rows),
            observed_utc=stamp, reason=reason or None,
            watermark=(snapshot.reading.watermark or None) if snapshot is not None else None,
        ),
    )  # fmt: skip
    return state


def _holdings(
    tables: _Tables,
    each: AccountRead,
    snapshot: AccountSnapshot,
    read: SourceRead,
    day: pd.Timestamp,
) -> None:
    account = each.account
    observed = snapshot.reading.received_at
    whose = {
        "business_date": day, "account_id": account.account_id, "client_id": account.client_id,
        "netting_set_id": account.netting_set_id, "venue": read.source, "observed_utc": observed,
    }  # fmt: skip
    marks = _mark_prices(read.market)
    for held in snapshot.positions:
        tables.add(
            "positions", **whose, source="venue", instrument_id=held.instrument_id,
            quantity=float(held.quantity), settled_price=_number(held.entry_price),
            entry_price=_number(held.entry_price),
        )  # fmt: skip
    for order in snapshot.orders:
        # One without a limit stands at the mark.
        limit = order.limit_price or marks.get(order.instrument_id)
        tables.add(
            "open_orders", **whose, order_id=order.order_id, instrument_id=order.instrument_id,
            side=order.side, remaining_quantity=float(order.remaining_quantity),
            limit_price=_number(limit),
        )  # fmt: skip
    for balance in snapshot.balances:
        tables.add(
            "collateral", **whose, source="venue", location=account.account_id,
            asset=balance.asset, state="settled", quantity=float(balance.quantity),
            place=account.place, equity=_number(balance.equity),
        )  # fmt: skip
    for bucket in snapshot.margins:
        tables.add(
            "venue_margin", **whose, bucket=bucket.bucket, currency=bucket.currency,
            reported_initial_margin=float(bucket.initial_margin),
            reported_maintenance_margin=float(bucket.maintenance_margin),
            reported_equity=float(bucket.equity),
        )  # fmt: skip


def _mark_prices(market: MarketRead | None) -> dict[str, Decimal]:
    return {} if market is None else {one.instrument_id: one.mark_price for one in market.marks}


def _market(tables: _Tables, read: SourceRead, day: pd.Timestamp, limits: Limits) -> str:
    market = read.market
    state, reason, stamp = "unread", read.market_failure, None
    if market is not None:
        stamps = [_stamp(one) for one in market.marks]
        # One contract that nobody trades may be quiet; a venue of which nothing is new is not.
        stamp = max(stamps, default=None)
        late = limits.lateness(stamp) if stamp is not None else ""
        state, reason = ("stale", f"market of {read.source} was {late}") if late else ("read", "")
    if market is not None and state == "read":
        _figures(tables, read.source, market, day)
    n_rows = 0 if market is None else len(market.instruments) + len(market.marks)
    tables.add(
        "readings",
        **reading_row(
            day, read.source, "market", kind="market", state=state, rows=float(n_rows),
            observed_utc=stamp, reason=reason or None,
        ),
    )  # fmt: skip
    for name, failure in sorted((market.failures if market is not None else {}).items()):
        tables.add("readings", **withheld(day, read.source, "marks", name, failure))
    return "unread" if market is not None and market.failures else state


def withheld(
    day: pd.Timestamp, source: str, dataset: str, identifier: str, reason: str, subject: str = ""
) -> dict[str, object]:
    """Return the row of a figure that is kept out of a dataset."""
    return reading_row(
        day, source, f"{dataset}:{subject or identifier}", kind="figure", state="withheld",
        dataset=dataset, identifier=identifier, reason=reason,
    )  # fmt: skip


def _figures(tables: _Tables, source: str, market: MarketRead, day: pd.Timestamp) -> None:
    kinds = dict(zip(market.instruments["instrument_id"], market.instruments["kind"], strict=True))
    underlyings = dict(
        zip(market.instruments["instrument_id"], market.instruments["underlying"], strict=True)
    )
    for mark in market.marks:
        forward = mark.forward_price
        if kinds.get(mark.instrument_id) == "future":
            forward = mark.mark_price
        tables.add(
            "marks", business_date=day, instrument_id=mark.instrument_id,
            mark_price=float(mark.mark_price), mark_iv=_number(mark.mark_iv),
            forward_price=_number(forward), observed_utc=_stamp(mark),
            index_price=_number(mark.index_price),
        )  # fmt: skip
    for rate in market.rates:
        stamp = rate.reading.venue_time or rate.reading.received_at
        tables.add("rates", asset=rate.asset, usd_rate=float(rate.usd_rate), observed_utc=stamp)
    for paid in market.funding:
        tables.add(
            "funding", ts_utc=paid.paid_at, venue=source,
            symbol=paid.instrument_id.partition(":")[2],
            asset=underlyings.get(paid.instrument_id), funding_rate=float(paid.funding_rate),
            interval_hours=float(paid.interval_hours), source=source,
        )  # fmt: skip
    for one in market.settled:
        tables.add(
            "settled", instrument_id=one.instrument_id, settled_utc=one.settled_at,
            settlement_price=float(one.settlement_price),
        )  # fmt: skip


def _stamp(mark: Mark) -> datetime:
    return mark.reading.venue_time or mark.reading.received_at


def _number(figure: Decimal | None) -> float:
    return float("nan") if figure is None else float(figure)


def _frame(dataset: str, rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return rows with the columns and types of their contract, and those beside."""
    empty = empty_frame(contract(dataset))
    beside = _BESIDE.get(dataset, ())
    found = pd.DataFrame(list(rows), columns=[*empty.columns, *beside])
    types = {name: str(empty[name].dtype) for name in empty.columns}
    types |= {name: "float64" if name in _NUMBERS else "str" for name in beside}
    return _typed(found, types)


def _plain(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    types = {
        name: "datetime64[ms, UTC]"
        if name.endswith("_utc")
        else ("float64" if name in ("usd_rate", "settlement_price") else "str")
        for name in columns
    }
    return _typed(pd.DataFrame(list(rows), columns=list(columns)), types)


def _typed(frame: pd.DataFrame, types: Mapping[str, str]) -> pd.DataFrame:
    instants = [name for name, dtype in types.items() if "UTC" in dtype]
    for name in instants:
        frame[name] = pd.to_datetime(frame[name], utc=True)
    typed: pd.DataFrame = frame.astype(dict(types))
    return typed
