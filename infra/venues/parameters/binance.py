"""Binance: leverage brackets of USD-M and COIN-M futures, and collateral rates.

``GET /fapi/v1/leverageBracket`` and ``/dapi/v1|v2/leverageBracket`` (developers.binance.com,
"Notional and Leverage Brackets"), ``/sapi/v1|v2/portfolio/collateralRate`` ("Portfolio Margin
Collateral Rate", tiered for Portfolio Margin Pro), and a Parquet table of past brackets:
as_of, symbol, tier, notional_floor, notional_cap, maint_margin_rate, max_leverage, cum_deduction,
last_seen. The brackets of an account whose caps were changed (``notionalCoef``) are that account's.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from io import BytesIO
from typing import Any, Final

import pandas as pd

from engine.errors import ContractViolation
from infra.venues.parameters.importing import (
    BadRow,
    Imported,
    PayloadFacts,
    Row,
    exact_complement,
    imported_rows,
    number,
    read_json,
    text,
    unknown_form,
)
from infra.venues.parameters.tiers import (
    PublishedTier,
    notional_tiers,
    require_consistent,
    require_rising,
)

VENUE: Final = "binance"
_FORMS: Final = (
    "leverageBracket: a list of {symbol or pair, brackets}",
    "collateralRate: a list of {asset, collateralRate} or {asset, collateralInfo}",
    "a Parquet table of brackets by as_of and symbol",
)
_COLUMNS: Final = (
    "as_of", "symbol", "tier", "notional_floor", "notional_cap", "maint_margin_rate",
    "max_leverage", "cum_deduction", "last_seen",
)  # fmt: skip
# ccxt's name of a contract: base/quote:settlement, then the delivery date.
_CCXT_SYMBOL: Final = re.compile(r"(?P<base>[^/]+)/(?P<quote>[^:]+):[^-]+(?:-(?P<delivery>\d{6}))?")
_USD_M: Final = r"(?!.*USD_).*"
_COIN_M: Final = r".*USD_.*"


def import_payload(payload: bytes, facts: PayloadFacts) -> Imported:
    """Return the sets of brackets (``tiered``) or ``collateral_rates`` that a payload holds."""
    if payload[:4] == b"PAR1":
        return _bracket_history(payload, facts)
    content = read_json(payload, VENUE)
    rows = [content] if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not rows:
        raise unknown_form(VENUE, _FORMS)
    if "brackets" in rows[0]:
        is_coin = any("USD_" in _scope(row) for row in rows)
        pattern = _COIN_M if is_coin else _USD_M
        made = [Row(_scope(row), partial(_brackets, row)) for row in rows]
        return imported_rows(VENUE, "tiered", made, facts, pattern)
    if "collateralRate" in rows[0] or "collateralInfo" in rows[0]:
        made = [Row(str(row.get("asset")), partial(_rates, row)) for row in rows]
        return imported_rows(VENUE, "collateral_rates", made, facts)
    raise unknown_form(VENUE, _FORMS)


def _scope(row: Mapping[str, Any]) -> str:
    # A pair's brackets hold for its perpetual and every delivery.
    return f"{row['pair']}_*" if "pair" in row else str(row.get("symbol"))


def _brackets(row: Mapping[str, Any]) -> dict[str, object]:
    identifier = f"{VENUE} brackets {_scope(row)}"
    listed = row.get("brackets")
    if not isinstance(listed, list):
        raise BadRow(identifier, listed, "a list", f"{identifier} are no list")
    return _tiers([_bracket(one, identifier) for one in listed], identifier)


def _bracket(one: Mapping[str, Any], identifier: str) -> PublishedTier:
    unit = "qty" if "qtyCap" in one else "notional"
    return PublishedTier(
        floor=number(one, f"{unit}Floor", identifier),
        cap=number(one, f"{unit}Cap", identifier),
        rate=number(one, "maintMarginRatio", identifier),
        leverage_max=number(one, "initialLeverage", identifier),
        deduction=number(one, "cum", identifier),
    )


def _tiers(tiers: Sequence[PublishedTier], identifier: str) -> dict[str, object]:
    ordered = sorted(tiers, key=lambda tier: tier.floor)
    require_consistent(ordered, identifier)
    return notional_tiers(ordered)


def _rates(row: Mapping[str, Any]) -> dict[str, object]:
    identifier = f"{VENUE} collateral rate of {row.get('asset')}"
    text(row, "asset", identifier)
    listed = row.get("collateralInfo")
    if listed is None:
        number(row, "collateralRate", identifier)
        return {
            "haircut_tiers": [{"floor": 0.0, "haircut": exact_complement(row["collateralRate"])}]
        }
    tiers = sorted(listed, key=lambda one: number(one, "tierFloor", identifier))
    floors = [
        (number(one, "tierFloor", identifier), number(one, "tierCap", identifier)) for one in tiers
    ]
    require_rising(floors, identifier)
    found = [
        {"floor": floor, "haircut": exact_complement(one["collateralRate"])}
        for (floor, _), one in zip(floors, tiers, strict=True)
        if number(one, "collateralRate", identifier) >= 0.0
    ]
    # What lies above the last cap counts for nothing.
    return {"haircut_tiers": [*found, {"floor": floors[-1][1], "haircut": 1.0}]}


def _bracket_history(payload: bytes, facts: PayloadFacts) -> Imported:
    try:
        frame = pd.read_parquet(BytesIO(payload))
    except (ValueError, OSError) as error:
        raise ContractViolation(f"payload of {VENUE} is no Parquet: {error}") from error
    missing = [name for name in _COLUMNS if name not in frame]
    if missing:
        raise unknown_form(VENUE, (f"a Parquet table with the column {missing[0]}",))
    frame = frame.sort_values(["as_of", "symbol", "tier"], kind="stable")
    made = imported_rows(VENUE, "tiered", _versions(frame), replace(facts, is_complete=False))
    return replace(made, withdrawn=tuple(_withdrawals(frame)))


def _versions(frame: pd.DataFrame) -> Iterator[Row]:
    for (as_of, symbol), rows in frame.groupby(["as_of", "symbol"], sort=True):
        yield Row(
            venue_symbol(str(symbol)),
            partial(_historic, rows, f"{VENUE} brackets {symbol}"),
            effective_date=pd.Timestamp(str(as_of)).date(),
        )


def _historic(rows: pd.DataFrame, identifier: str) -> dict[str, object]:
    names = ("notional_floor", "notional_cap", "maint_margin_rate", "max_leverage", "cum_deduction")
    columns = [rows[name].astype(float).tolist() for name in names]
    tiers = [
        PublishedTier(floor, cap, rate, leverage, deduction)
        for floor, cap, rate, leverage, deduction in zip(*columns, strict=True)
    ]
    return _tiers(tiers, identifier)


def _withdrawals(frame: pd.DataFrame) -> Iterator[tuple[str, str, date]]:
    """Yield symbols on the day of the first version that does not list them any more."""
    versions = sorted({*frame["as_of"], *frame["last_seen"]})
    following = dict(itertools.pairwise(versions))
    listed = frame[["symbol", "as_of", "last_seen"]].drop_duplicates()
    starts = set(zip(listed["symbol"], listed["as_of"], strict=True))
    last = listed.groupby(["symbol", "last_seen"], sort=True).size().reset_index()
    for symbol, last_seen in zip(last["symbol"], last["last_seen"], strict=True):
        gone = following.get(last_seen)
        if gone is not None and (symbol, gone) not in starts:
            yield "tiered", venue_symbol(str(symbol)), gone.date()


def venue_symbol(name: str) -> str:
    """Return the venue's symbol of a contract in ccxt's spelling; other names are kept.

    >>> venue_symbol("BTC/USDT:USDT-241227")
    'BTCUSDT_241227'
    """
    found = _CCXT_SYMBOL.fullmatch(name)
    if found is None:
        return name
    symbol = f"{found['base']}{found['quote']}"
    return f"{symbol}_{found['delivery']}" if found["delivery"] else symbol
