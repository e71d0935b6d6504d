"""Listed contracts and spot pairs: what a position is in."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import (
    PRICE_MAX,
    QUANTITY_MAX,
    AmongWhere,
    Column,
    Contract,
    EqualWhere,
    FixedWhere,
    Kind,
    Threshold,
    present_iff,
)

KINDS: Final = ("spot", "future", "perpetual", "option")

CONTRACT: Final = Contract(
    dataset="instruments",
    version=1,
    meaning=(
        "One row per instrument. `linear`: profit in `settlement_asset` = quantity x multiplier x "
        "(exit - entry). `inverse`: quantity x multiplier x (1/entry - 1/exit) coins for futures "
        "and perpetuals; inverse options are quoted and paid in coin, the multiplier is coins per "
        "contract. `quanto`: as linear, the multiplier in settlement asset per unit of quote "
        "price. Spot is linear with multiplier 1, settled in its quote asset. Identifiers follow "
        "`<venue>:<venue_symbol>`."
    ),
    columns=(
        Column("instrument_id", Kind.IDENTIFIER, "name in all other datasets"),
        Column("venue", Kind.IDENTIFIER, "where it is listed, lower case"),
        Column("venue_symbol", Kind.IDENTIFIER, "name at the venue"),
        Column("kind", Kind.IDENTIFIER, "product", words=KINDS),
        Column("payoff", Kind.IDENTIFIER, "payoff", words=("linear", "inverse", "quanto")),
        Column("underlying", Kind.IDENTIFIER, "asset whose index drives it"),
        Column("quote_asset", Kind.IDENTIFIER, "asset in which the price is quoted"),
        Column("settlement_asset", Kind.IDENTIFIER, "asset in which gains are paid"),
        Column("contract_multiplier", Kind.NUMBER, "size of one contract",
               "units per contract", above=0.0, at_most=QUANTITY_MAX),
        Column("strike", Kind.NUMBER, "strike of an option", "quote asset", optional=True,
               above=0.0, at_most=PRICE_MAX),
        Column("option_type", Kind.IDENTIFIER, "right of an option", optional=True,
               words=("call", "put")),
        Column("expiry_utc", Kind.INSTANT, "instant of expiry", "UTC", optional=True),
        Column("tick_size", Kind.NUMBER, "smallest price step", "quote asset", above=0.0,
               at_most=PRICE_MAX),
        Column("lot_size", Kind.NUMBER, "smallest quantity step", "contracts", above=0.0,
               at_most=QUANTITY_MAX),
    ),
    key=("instrument_id",),
    identifier="instrument_id",
    threshold=Threshold(quarantined_share_max=0.02, quarantined_rows_free=10, accepted_rows_min=1),
    row_rules=(
        *present_iff("strike", "kind", ("option",), ("spot", "future", "perpetual")),
        *present_iff("option_type", "kind", ("option",), ("spot", "future", "perpetual")),
        *present_iff("expiry_utc", "kind", ("future", "option"), ("spot", "perpetual")),
        AmongWhere("payoff", ("linear",), "kind", ("spot",)),
        FixedWhere("contract_multiplier", 1.0, "kind", ("spot",)),
        EqualWhere("settlement_asset", "quote_asset", "kind", ("spot",)),
        EqualWhere("settlement_asset", "underlying", "payoff", ("inverse",)),
    ),
)  # fmt: skip
