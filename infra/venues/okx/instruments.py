"""Instruments of OKX as rows of the data contract ``instruments``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec
import pandas as pd

from engine.errors import BadPayload
from infra.venues.frames import instrument_frame
from infra.venues.okx import wire
from infra.venues.okx.client import VENUE, Call, OkxClient
from infra.venues.payloads import exact_decimal, instant

OPTION_FAMILIES: Final = ("BTC-USD", "ETH-USD")
_LISTED: Final = msgspec.json.Decoder(list[wire.Instrument])
_KINDS: Final = {"SPOT": "spot", "SWAP": "perpetual", "FUTURES": "future", "OPTION": "option"}
_NOT_YET: Final = frozenset(("preopen", "test"))


class OkxCatalog:
    """Spot, swaps, futures and options of OKX.

    A contract is ``ctVal * ctMult`` units: of the underlying where it is linear, of quote currency
    where it is inverse, and coins for options, which are quoted and paid in coin.
    """

    def __init__(self, client: OkxClient, families: Sequence[str] = OPTION_FAMILIES) -> None:
        self._client, self._families = client, tuple(families)
        self._sizes: dict[str, object] = {}

    async def instruments(self) -> pd.DataFrame:
        """Return rows of the data contract ``instruments``; those not yet open are absent.

        Raises
        ------
        BadPayload
            If a contract's size is another than before: every position in it would change.
        """
        asked: list[Mapping[str, str]] = [
            {"instType": kind} for kind in ("SPOT", "SWAP", "FUTURES")
        ]
        asked += [{"instType": "OPTION", "instFamily": name} for name in self._families]
        answers = await asyncio.gather(*(self._listed(parameters) for parameters in asked))
        rows = [_row(one) for listed in answers for one in listed if one.state not in _NOT_YET]
        for row in rows:
            name, size = str(row["instrument_id"]), row["contract_multiplier"]
            if self._sizes.setdefault(name, size) != size:
                raise BadPayload(
                    f"{name}: a contract was {self._sizes[name]} and is {size} now",
                    identifier=name,
                    value=size,
                )
        return instrument_frame(rows)

    async def _listed(self, parameters: Mapping[str, str]) -> list[wire.Instrument]:
        call = Call(
            path="/api/v5/public/instruments", parameters=parameters, weight=3, is_signed=False
        )
        return (await self._client.read(call, _LISTED)).rows


def instrument_id(inst_id: str) -> str:
    """Return our name of an instrument of the venue."""
    return f"{VENUE}:{inst_id}"


def inst_id_of(instrument: str) -> str:
    """Return the venue's name of an instrument."""
    return instrument.removeprefix(f"{VENUE}:")


def inst_type_of(inst_id: str) -> str:
    """Return the venue's kind of an instrument, from the form of its name.

    >>> [inst_type_of(n) for n in ("BTC-USDT", "BTC-USD-SWAP", "BTC-USD-261225",
    ...                            "BTC-USD-261225-80000-P")]
    ['SPOT', 'SWAP', 'FUTURES', 'OPTION']
    """
    parts = inst_id.split("-")
    if len(parts) <= 2:
        return "SPOT"
    if parts[-1] == "SWAP":
        return "SWAP"
    return "OPTION" if parts[-1] in ("C", "P") else "FUTURES"


def family_of(inst_id: str) -> str:
    """Return the family of a contract: its base and quote."""
    return "-".join(inst_id.split("-")[:2])


def _row(listed: wire.Instrument) -> dict[str, object]:
    name = f"{VENUE} instrument {listed.inst_id}"
    kind = _KINDS.get(listed.inst_type)
    if kind is None:
        raise BadPayload(f"{name}: kind {listed.inst_type!r} is none of {sorted(_KINDS)}")
    if kind == "spot":
        base, quote, settlement = listed.base_ccy, listed.quote_ccy, listed.quote_ccy
        multiplier = Decimal(1)
    else:
        base, _, quote = (listed.inst_family or listed.uly).partition("-")
        settlement = listed.settle_ccy
        multiplier = exact_decimal(listed.ct_val, name) * exact_decimal(listed.ct_mult, name)
    is_inverse = kind != "spot" and settlement == base
    return {
        "instrument_id": instrument_id(listed.inst_id),
        "venue": VENUE,
        "venue_symbol": listed.inst_id,
        "kind": kind,
        "payoff": "inverse" if is_inverse else "linear",
        "underlying": base,
        "quote_asset": quote,
        "settlement_asset": settlement,
        "contract_multiplier": float(multiplier),
        "strike": float(exact_decimal(listed.stk, name)) if kind == "option" else None,
        "option_type": {"C": "call", "P": "put"}.get(listed.opt_type),
        "expiry_utc": instant(listed.exp_time) if kind in ("future", "option") else None,
        "tick_size": float(exact_decimal(listed.tick_sz, name)),
        "lot_size": float(exact_decimal(listed.lot_sz, name)),
    }
