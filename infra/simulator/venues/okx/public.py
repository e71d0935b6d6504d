"""Public endpoints of the simulated OKX: instruments, marks, indices, funding, tiers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from infra.simulator.venues.core.accounts import ZERO
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.listings import Listing
from infra.simulator.venues.core.paid import full_intervals
from infra.simulator.venues.okx.contracts import INST_TYPES, family, instrument, plain, tiers
from infra.simulator.venues.okx.requests import Call, Endpoint

_FUNDING_MS: Final = 8 * 3_600_000


class Public:
    """What everybody may ask."""

    def __init__(self, book: VenueBook) -> None:
        self._book = book

    def endpoints(self) -> list[Endpoint]:
        """Return method, path, access, limit and answer of each endpoint."""
        base = "/api/v5/"
        return [
            Endpoint("GET", f"{base}public/time", False, 10, self._time),
            Endpoint("GET", f"{base}public/instruments", False, 20, self._instruments),
            Endpoint("GET", f"{base}public/mark-price", False, 10, self._marks),
            Endpoint("GET", f"{base}public/funding-rate", False, 20, self._funding),
            Endpoint("GET", f"{base}public/funding-rate-history", False, 10, self._paid),
            Endpoint("GET", f"{base}public/delivery-exercise-history", False, 40, self._expired),
            Endpoint("GET", f"{base}public/position-tiers", False, 10, self._tiers),
            Endpoint("GET", f"{base}public/opt-summary", False, 20, self._options),
            Endpoint("GET", f"{base}market/index-tickers", False, 20, self._indices),
            Endpoint("GET", f"{base}market/ticker", False, 20, self._tickers),
            Endpoint("GET", f"{base}market/tickers", False, 20, self._tickers),
        ]

    def listed(self) -> list[Listing]:
        """Return listings that are shown, without those that a fault has taken away."""
        venue, plan = self._book.venue, self._book.plan
        return [
            listing
            for listing in self._book.listings.values()
            if not plan.draw(
                FaultKind.INSTRUMENT_GONE,
                Scope(venue=venue, endpoint="instruments", channel=listing.symbol),
            )
        ]

    def mark(self, listing: Listing) -> dict[str, str]:
        """Return a row of ``mark-price``."""
        kind = "MARGIN" if listing.kind == "spot" else INST_TYPES[listing.kind]
        price = self._book.quote(listing.symbol).mark_price
        return {"instType": kind, "instId": listing.symbol, "markPx": plain(price),
                "ts": self._now()}  # fmt: skip

    def ticker(self, listing: Listing) -> dict[str, str]:
        """Return a row of ``tickers``; changes over the day are not kept."""
        quote = self._book.quote(listing.symbol)
        last = plain(quote.mark_price)
        return {
            "instType": INST_TYPES[listing.kind], "instId": listing.symbol, "last": last,
            "lastSz": "1", "askPx": plain(quote.ask), "askSz": "10", "bidPx": plain(quote.bid),
            "bidSz": "10", "open24h": last, "high24h": last, "low24h": last, "volCcy24h": "0",
            "vol24h": "0", "sodUtc0": last, "sodUtc8": last, "ts": self._now(),
        }  # fmt: skip

    def index(self, listing: Listing) -> dict[str, str]:
        """Return the row of a listing's index."""
        price = plain(self._book.quote(listing.symbol).index_price)
        return {
            "instId": family(listing), "idxPx": price, "high24h": price, "low24h": price,
            "open24h": price, "sodUtc0": price, "sodUtc8": price, "ts": self._now(),
        }  # fmt: skip

    def funding(self, listing: Listing) -> dict[str, str]:
        """Return the row of a swap's funding."""
        rate = plain(self._book.quote(listing.symbol).funding_rate or ZERO)
        now = self._book.clock.wall_ms()
        due = (now // _FUNDING_MS + 1) * _FUNDING_MS
        return {
            "instType": "SWAP", "instId": listing.symbol, "fundingRate": rate,
            "nextFundingRate": "", "fundingTime": str(due),
            "nextFundingTime": str(due + _FUNDING_MS), "method": "current_period",
            "formulaType": "withRate", "maxFundingRate": "0.00375", "minFundingRate": "-0.00375",
            "settFundingRate": rate, "settState": "settled", "premium": "0",
            "interestRate": "0.0001", "impactValue": "20000", "ts": str(now),
        }  # fmt: skip

    def _now(self) -> str:
        return str(self._book.clock.wall_ms())

    def _time(self, _: Call) -> list[Any]:
        return [{"ts": self._now()}]

    def _instruments(self, call: Call) -> list[Any]:
        changed = self._book.plan.draw(
            FaultKind.UNIT_CHANGE, Scope(venue=self._book.venue, endpoint=call.path)
        )
        factor = Decimal(1) if changed is None else changed.number("factor", "10")
        return [instrument(one, factor) for one in self._chosen(call)]

    def _marks(self, call: Call) -> list[Any]:
        return [self.mark(one) for one in self._chosen(call)]

    def _tickers(self, call: Call) -> list[Any]:
        return [self.ticker(one) for one in self._chosen(call)]

    def _funding(self, call: Call) -> list[Any]:
        wanted = call.text("instId")
        swaps = [one for one in self.listed() if one.kind == "perpetual"]
        if wanted != "ANY":
            swaps = [one for one in swaps if one.symbol == self._book.listing(wanted).symbol]
        return [self.funding(one) for one in swaps]

    def _paid(self, call: Call) -> list[Any]:
        listing = self._book.listing(call.text("instId"))
        rate = plain(self._book.quote(listing.symbol).funding_rate or ZERO)
        # Both ends are outside.
        first, now = call.whole("before", 0) + 1, self._book.clock.wall_ms()
        last = min(call.whole("after", now + 1) - 1, now)
        paid = full_intervals(first, last, _FUNDING_MS) if listing.kind == "perpetual" else []
        return [
            {
                "instType": "SWAP", "instId": listing.symbol, "fundingRate": rate,
                "realizedRate": rate, "fundingTime": str(at), "method": "current_period",
            }
            for at in paid[::-1][: call.whole("limit", 100)]
        ]  # fmt: skip

    def _expired(self, call: Call) -> list[Any]:
        now, rows = self._book.clock.now(), []
        for one in self._chosen(call):
            if one.expiry_utc is None or one.expiry_utc > now:
                continue
            price = plain(self._book.quote(one.symbol).index_price)
            kind = "exercised" if one.kind == "option" else "delivery"
            detail = {"type": kind, "insId": one.symbol, "px": price}
            stamp = str(int(one.expiry_utc.timestamp() * 1000))
            rows.append({"ts": stamp, "details": [detail]})
        return rows

    def _tiers(self, call: Call) -> list[Any]:
        return [tiers(one) for one in self._chosen(call) if one.kind != "spot"]

    def _options(self, call: Call) -> list[Any]:
        wanted = call.text("instFamily", call.text("uly", ""))
        rows = []
        for one in self.listed():
            if one.kind != "option" or family(one) != wanted:
                continue
            quote = self._book.quote(one.symbol)
            volatility = plain(quote.mark_iv or ZERO)
            rows.append(
                {
                    "instType": "OPTION", "instId": one.symbol, "uly": wanted, "delta": "0",
                    "gamma": "0", "theta": "0", "vega": "0", "deltaBS": "0", "gammaBS": "0",
                    "thetaBS": "0", "vegaBS": "0", "realVol": "", "volLv": volatility,
                    "bidVol": volatility, "askVol": volatility, "markVol": volatility,
                    "lever": "1", "fwdPx": plain(quote.forward_price or ZERO), "ts": self._now(),
                }
            )  # fmt: skip
        return rows

    def _indices(self, call: Call) -> list[Any]:
        wanted, quote = call.parameters.get("instId"), call.parameters.get("quoteCcy")
        rows = {}
        for one in self.listed():
            name = family(one)
            if wanted in (None, name) and quote in (None, one.quote_asset):
                rows[name] = self.index(one)
        return list(rows.values()) or self._dollar_index(wanted)

    def _dollar_index(self, name: str | None) -> list[Any]:
        asset, _, quote = (name or "").partition("-")
        if quote != "USD" or asset not in self._book.market.assets:
            return []
        price = plain(self._book.market.usd_price(asset, self._book.venue))
        told = dict.fromkeys(("idxPx", "high24h", "low24h", "open24h", "sodUtc0", "sodUtc8"), price)
        return [{"instId": name, **told, "ts": self._now()}]

    def _chosen(self, call: Call) -> list[Listing]:
        kind, wanted = call.parameters.get("instType"), call.parameters.get("instId")
        kind = "SPOT" if kind == "MARGIN" else kind
        group = call.parameters.get("instFamily") or call.parameters.get("uly")
        if wanted is not None:
            self._book.listing(wanted)
        return [
            one
            for one in self.listed()
            if kind in (None, INST_TYPES[one.kind])
            and wanted in (None, one.symbol)
            and group in (None, family(one))
        ]
