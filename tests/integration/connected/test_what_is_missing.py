"""What a venue does not say, says wrongly or too late: held by name, never absent, never zero."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from engine.errors import MissingDataError
from infra.market.connected import ConnectedSource
from infra.simulator.venues.core.accounts import TRADING
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.paths import Move
from tests.integration.connected.closing import Closed, closed, last_fresh_of
from tests.integration.connected.conftest import Opener
from tests.integration.connected.street import LAST_DATE, Street

DAY_BEFORE = LAST_DATE - timedelta(days=1)
NAN_MARK = Fault(
    kind=FaultKind.ODD_NUMBER, venue="binance", endpoint="/fapi/v1/premiumIndex",
    parameters={"field": "markPrice", "form": "nan"},
)  # fmt: skip


@pytest.fixture
def yesterday(whole: ConnectedSource, whole_closed: Closed, tmp_path: Path) -> Closed:
    """Leave readings and requirements of the day before, equal to those of the date."""
    home = Path(whole.installation.settings.home)
    kept = tmp_path / "home" / "readings" / DAY_BEFORE.isoformat()
    shutil.copytree(home / "readings" / LAST_DATE.isoformat(), kept)
    return whole_closed


def close(source: ConnectedSource, before: Closed | None = None) -> Closed:
    store = source.installation.store
    held_at = None if before is None else last_fresh_of(before, DAY_BEFORE)
    return closed(source, store, LAST_DATE, held_at)


def require_held(found: Closed, before: Closed, held: dict[str, str]) -> None:
    """Check that these are held with a reason, at no less than before, and nobody else is."""
    rows = found.assessment.requirements.set_index("netting_set_id")
    assert list(rows.index) == ["ash-1", "elm-1", "larch-1"]
    for name in rows.index:
        row = rows.loc[name]
        if name not in held:
            assert row["status"] == "assessed", row["reason"]
            continue
        assert row["status"] == "held"
        assert held[name] in row["reason"]
        assert row["requirement"] >= 1.1 * before.row(name)["requirement"] - 1e-6
        assert row["call_action"] != "return"


def test_a_venue_that_is_down_holds_its_netting_sets_and_no_other(
    opened: Opener, town: Street, yesterday: Closed
) -> None:
    """I-31: last known collateral with a cut, last reported margin with the same on top."""
    town.inject(Fault(kind=FaultKind.BAD_GATEWAY, venue="deribit"))
    source = opened()
    found = close(source, yesterday)
    require_held(
        found, yesterday, {"larch-1": "deribit/1002", "ash-1": "deribit/1003"}
    )  # fmt: skip
    assert found.row("elm-1")["requirement"] == yesterday.row("elm-1")["requirement"]
    now, then = (
        each.assessment.collateral.set_index(["location", "asset"])["quantity"]
        for each in (found, yesterday)
    )
    assert now["ash-deribit", "BTC"] == pytest.approx(0.9 * then["ash-deribit", "BTC"])
    assert now["elm-okx", "BTC"] == then["elm-okx", "BTC"]
    margins = found.assessment.venue_margins.set_index("account_id")
    said = yesterday.assessment.venue_margins.set_index("account_id")
    assert margins.loc["ash-deribit", "status"] == "failed"
    assert margins.loc["ash-deribit", "demand"] == pytest.approx(
        1.1 * said.loc["ash-deribit", "demand"]
    )
    assert "as last known of" in source.read("collateral", LAST_DATE).origin


def test_a_venue_that_wants_silence_is_read_after_it(
    opened: Opener, town: Street, yesterday: Closed
) -> None:
    """Whoever shares a credential may have spent its room; a close has the time to wait."""
    funding = "/api/v5/public/funding-rate-history"
    for fault in (
        Fault(kind=FaultKind.UNKNOWN_CODE, venue="okx", endpoint=funding, times=1,
              parameters={"code": "50011", "status": 429, "when": "before"}),
        Fault(kind=FaultKind.TOO_MANY_REQUESTS, venue="deribit", times=1,
              parameters={"retry_after": 1}),
        Fault(kind=FaultKind.TOO_MANY_REQUESTS, venue="binance", times=1,
              parameters={"retry_after": 1}),
    ):  # fmt: skip
        town.inject(fault)
    found = close(opened(), yesterday)
    assert town.town.plan.struck[FaultKind.UNKNOWN_CODE] == 1
    assert town.town.plan.struck[FaultKind.TOO_MANY_REQUESTS] == 2
    require_held(found, yesterday, {})


@pytest.mark.slow
def test_f25_i31_two_venues_that_fail_together_hold_everybody_who_is_there(
    opened: Opener, town: Street, yesterday: Closed
) -> None:
    """One index is left where three agreed before: nobody is taken at its word alone (I-32)."""
    for venue in ("deribit", "okx"):
        town.inject(Fault(kind=FaultKind.BAD_GATEWAY, venue=venue))
    found = close(opened(), yesterday)
    rows = found.assessment.requirements.set_index("netting_set_id")
    assert sorted(rows.index) == ["ash-1", "elm-1", "larch-1"]
    for name in rows.index:
        assert rows.loc[name, "status"] == "held", rows.loc[name, "reason"]
        assert rows.loc[name, "requirement"] >= 1.1 * yesterday.row(name)["requirement"] - 1e-6
        assert rows.loc[name, "collateral_value"] <= yesterday.row(name)["collateral_value"]
        assert rows.loc[name, "call_action"] != "return"


@pytest.mark.slow
def test_f42_i33_a_coin_that_loses_its_peg_on_one_venue_alone_releases_and_sells_nothing(
    opened: Opener, town: Street, yesterday: Closed
) -> None:
    town.inject(
        Fault(kind=FaultKind.DEPEG_ON_VENUE, venue="okx", endpoint="USDT",
              parameters={"factor": "0.65"})
    )  # fmt: skip
    source = opened()
    found = close(source, yesterday)
    readings = source.read("readings", LAST_DATE).frame.set_index("subject")
    told = readings.loc["fx_rates:USDT"]
    assert told["state"] == "withheld" and "binance 1, okx 0.65" in told["reason"]
    # Neither of the two is believed: the house's own market below them decides.
    rates = source.read("fx_rates", LAST_DATE).frame.set_index("asset")["usd_rate"]
    assert rates["USDT"] == pytest.approx(1.0, abs=0.01)
    for name in ("ash-1", "elm-1", "larch-1"):
        now, then = found.row(name), yesterday.row(name)
        assert now["requirement"] >= then["requirement"] - 1e-6
        assert now["collateral_value"] <= then["collateral_value"] + 1e-6


@pytest.mark.slow
def test_a_netting_set_without_any_reading_is_there_and_not_at_zero(
    opened: Opener, town: Street
) -> None:
    """On a first close there is nothing to hold it at: it fails by name, the others finish."""
    town.inject(Fault(kind=FaultKind.BAD_GATEWAY, venue="deribit", account="*"))
    found = close(opened())
    row = found.row("ash-1")
    assert row["status"] == "failed" and "deribit/1003" in row["reason"]
    assert found.row("elm-1")["status"] == "assessed"


def test_a_frozen_venue_is_found_by_the_others_and_its_marks_are_left_out(
    opened: Opener, town: Street, yesterday: Closed
) -> None:
    """I-32: it repeats its prices under fresh stamps while the market falls by a tenth."""
    town.inject(Fault(kind=FaultKind.MARK_FROZEN, venue="deribit"))
    with _moved(town, -0.10):
        found = close(opened(), yesterday)
    index = "index of BTC of deribit is +11.11% from the median of 3 venues: limit 2.00%"
    require_held(found, yesterday, {"larch-1": index, "ash-1": index})


def test_each_fault_holds_its_own_netting_set_with_its_own_reason(
    opened: Opener, town: Street, yesterday: Closed
) -> None:
    """An incomplete account and a NaN, a contract nobody lists, a mark of zero: in one close."""
    future = next(
        position.symbol
        for position in town.town.venues["deribit"].book.accounts["1003"].open_positions()
        if position.symbol != "BTC-PERPETUAL"
    )
    for fault in (
        Fault(kind=FaultKind.TORN_SNAPSHOT, venue="binance", account="alpha"),
        NAN_MARK,
        Fault(kind=FaultKind.INSTRUMENT_GONE, venue="okx", channel="SOL-USDT-SWAP"),
        Fault(kind=FaultKind.MARK_ZERO, venue="deribit", channel=future),
    ):
        town.inject(fault)
    source = opened()
    found = close(source, yesterday)
    reasons = {
        "larch-1": "positions and wallet differ by",
        "elm-1": "elm-okx has positions in okx:SOL-USDT-SWAP, which okx does not list",
        "ash-1": f"deribit {future}: mark 0 is not above 0",
    }
    require_held(found, yesterday, reasons)
    readings = source.read("readings", LAST_DATE).frame.set_index("subject")
    assert "NaN" in readings.loc[readings["source"] == "binance"].loc["market", "reason"]
    marks = set(source.read("marks", LAST_DATE).frame["instrument_id"])
    assert "deribit:BTC-PERPETUAL" in marks and f"deribit:{future}" not in marks


@pytest.mark.slow
def test_an_incomplete_account_is_no_account(
    opened: Opener, town: Street, yesterday: Closed
) -> None:
    town.inject(
        Fault(kind=FaultKind.TORN_SNAPSHOT, venue="binance", account="alpha")
    )  # fmt: skip
    found = close(opened(), yesterday)
    require_held(found, yesterday, {"larch-1": "positions and wallet differ by"})


@pytest.mark.slow
def test_a_position_in_what_the_venue_does_not_list_holds_its_netting_set(
    opened: Opener, town: Street, yesterday: Closed
) -> None:
    town.inject(
        Fault(kind=FaultKind.INSTRUMENT_GONE, venue="okx", channel="SOL-USDT-SWAP")
    )  # fmt: skip
    found = close(opened(), yesterday)
    foreign = "elm-okx has positions in okx:SOL-USDT-SWAP, which okx does not list"
    require_held(found, yesterday, {"elm-1": foreign})


@pytest.mark.slow
def test_a_mark_that_is_no_number_holds_who_rests_on_it(
    opened: Opener, town: Street, yesterday: Closed
) -> None:
    town.inject(
        Fault(
            kind=FaultKind.ODD_NUMBER, venue="binance", endpoint="/fapi/v1/premiumIndex",
            parameters={"field": "markPrice", "form": "nan"},
        )
    )  # fmt: skip
    found = close(opened(), yesterday)
    require_held(found, yesterday, {"larch-1": "no mark of binance:BTCUSDT (market of binance"})


@pytest.mark.slow
def test_one_mark_of_zero_is_left_out_alone(
    opened: Opener, town: Street, yesterday: Closed
) -> None:
    town.inject(Fault(kind=FaultKind.MARK_ZERO, venue="deribit", channel="BTC-PERPETUAL"))
    source = opened()
    found = close(source, yesterday)
    zero = "deribit BTC-PERPETUAL: mark 0 is not above 0"
    require_held(found, yesterday, {"larch-1": zero, "ash-1": zero})
    marks = set(source.read("marks", LAST_DATE).frame["instrument_id"])
    assert "deribit:ETH-PERPETUAL" in marks and "deribit:BTC-PERPETUAL" not in marks


@pytest.mark.slow
def test_a_vault_that_does_not_answer_in_time_blocks_returns_alone(
    opened: Opener, town: Street, yesterday: Closed
) -> None:
    town.inject(
        Fault(kind=FaultKind.LATENCY, venue="fireblocks", parameters={"seconds": 5.0})
    )  # fmt: skip
    source = opened(close="deadline_seconds = 0.8")
    found = close(source, yesterday)
    require_held(found, yesterday, {})
    row = source.read("readings", LAST_DATE).frame.set_index("subject").loc["fireblocks/0"]
    assert (row["state"], row["reason"]) == ("unread", "fireblocks/0: no answer within 0.8 s")
    assert found.row("larch-1")["collateral_value"] < yesterday.row("larch-1")["collateral_value"]
    assert found.row("larch-1")["call_action"] in ("blocked", "none")


@pytest.mark.slow
def test_a_debt_at_a_venue_is_no_missing_holding(
    opened: Opener, town: Street, yesterday: Closed
) -> None:
    wallet = town.town.venues["okx"].book.accounts["beta"].balances
    before = wallet[TRADING, "USDT"]
    wallet[TRADING, "USDT"] = Decimal(-750)
    try:
        found = close(opened(), yesterday)
    finally:
        wallet[TRADING, "USDT"] = before
    require_held(found, yesterday, {"elm-1": "elm-okx owes 750 USDT to okx"})


def test_with_every_venue_gone_nothing_is_computed_and_the_reasons_are_told(
    opened: Opener, town: Street
) -> None:
    town.inject(Fault(kind=FaultKind.BAD_GATEWAY))
    source = opened()
    with pytest.raises(MissingDataError, match=r"no marks for .*market of binance.*of deribit"):
        source.read("marks", LAST_DATE)
    # As soon as they are back, those that were not read are asked again.
    town.heal()
    readings = opened().read("readings", LAST_DATE).frame
    assert set(readings["state"]) == {"read"}


@contextmanager
def _moved(town: Street, fraction: float) -> Iterator[None]:
    """Let the market move while Deribit has already told its last prices."""
    book = town.town.venues["deribit"].book
    for symbol in book.listings:
        book.quote(symbol)
    paths = [town.town.market.paths[asset] for asset in ("BTC", "ETH", "SOL")]
    kept = [list(path._moves) for path in paths]
    for path in paths:
        path.add(Move(0.0, fraction))
    try:
        yield
    finally:
        for path, moves in zip(paths, kept, strict=True):
            path._moves = moves
