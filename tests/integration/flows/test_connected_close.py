"""The end of day through the adapters of venues, as a flow: read, kept, attested, replayed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

import tasks.inputs
from engine.errors import RunIncomplete
from flows.end_of_day import end_of_day
from tasks.prefect_server import PrefectServer
from tasks.replay import replay_run
from tasks.workplace import workplace
from tests.integration.connected.street import (
    LAST_DATE,
    connect,
    make_world,
    market_below,
    street,
)
from tests.integration.flows import conftest
from tests.integration.flows.test_flow_end_of_day import altered, answer, close, flow_runs

RUN = f"eod-{LAST_DATE}-1"


@pytest.mark.slow
def test_a_close_reads_the_venues_attests_them_and_is_replayed_without_them(
    prefect_server: PrefectServer,
    new_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    below = market_below(tmp_path / "below" / "market", make_world(tmp_path / "below" / "world"))
    with street() as town:
        for name, value in connect(new_home, town).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tasks.inputs, "utc_now", town.clock)
        assert end_of_day(business_date=LAST_DATE, market=f"connections:{below}") == RUN
        deribit = town.town.venues["deribit"].book
        held = {name: deribit.margins(deribit.accounts[name]) for name in ("1001", "1002")}
    place = workplace()
    assert place.database.runs.get(RUN).status == "completed"
    rows = place.database.requirements.of_run(RUN).set_index("netting_set_id")
    assert set(rows["status"]) == {"assessed"} and len(rows) == 3
    # What each place owes us, the house's own too, by its own word.
    known = place.database.ledger.backing().set_index("asset")["attested"]
    assert known["BTC"] > sum(
        bucket.equity for each in held.values() for bucket in each if bucket.currency == "BTC"
    ) * Decimal("0.999")
    place.database.ledger.verify(place.store)
    # The venues are gone: nothing is asked again, and every byte comes out alike.
    assert replay_run(RUN).is_equal
    assert end_of_day(business_date=LAST_DATE, market=f"connections:{below}") == RUN
    second = end_of_day(business_date=LAST_DATE, market=f"connections:{below}", force=True)
    again = place.database.requirements.of_run(second).set_index("netting_set_id")
    assert again["requirement_amount"].tolist() == rows["requirement_amount"].tolist()
    page = flow_runs(prefect_server, f"end-of-day {LAST_DATE} #1")[0]
    of_run = {"flow_runs": {"id": {"any_": [page["id"]]}}, "limit": 200}
    found = answer(prefect_server, "artifacts/filter", of_run)
    kinds = {one["key"]: one["type"] for one in found if one["key"]}
    assert kinds["readings"] == kinds["venues-read"] == kinds["attested"] == "table"
    told = {one["key"]: one["data"] for one in found if one["key"]}
    assert "deribit/1002" in told["readings"] and "1 min 3" in told["readings"]


@pytest.mark.slow
def test_a_credit_of_620_000_that_nobody_holds_is_refused_and_the_others_are_settled(
    new_home: Path, world: Path, tmp_path: Path
) -> None:
    """I-16: a price in the wrong unit would make one client the owner of 620,000 BTC."""
    instruments = pd.read_parquet(world / "instruments.parquet").set_index("instrument_id")
    planted: list[str] = []

    def plant(positions: pd.DataFrame) -> None:
        last = positions["business_date"] == pd.Timestamp(conftest.LAST_DATE)
        terms = instruments.reindex(positions["instrument_id"])
        fits = (
            (terms["payoff"] == "inverse")
            & (terms["settlement_asset"] == "BTC")
            & terms["kind"].isin(["perpetual", "future"])
        )
        longs = last & fits.to_numpy() & (positions["quantity"] > 0)
        chosen = positions[longs].iloc[0]
        same = last & (positions["instrument_id"] == chosen["instrument_id"])
        same &= positions["account_id"] == chosen["account_id"]
        size = chosen["quantity"] * terms.loc[chosen["instrument_id"], "contract_multiplier"]
        size = float(size.iloc[0]) if isinstance(size, pd.Series) else float(size)
        positions.loc[same, "settled_price"] = size / 620_000
        planted.append(str(chosen["netting_set_id"]))

    with pytest.raises(RunIncomplete, match=r"credits in BTC refused: clients would be credited 6"):
        close(altered(world, tmp_path / "planted", "positions", plant))
    place = workplace()
    run_id = f"eod-{conftest.LAST_DATE}-1"
    assert place.database.runs.get(run_id).status == "incomplete"
    booked = place.database.ledger.entries(run_id)
    settled = booked[booked["kind"] == "settlement"]
    assert len(settled) > 0
    assert f"collateral:{planted[0]}" not in set(settled["debit"]) | set(settled["credit"])
    backing = place.database.ledger.backing().set_index("asset").loc["BTC"]
    assert backing["credited"] <= backing["attested"]
    # Everybody is called for all the same.
    assert len(place.database.calls.of_run(run_id)) > 0
    place.database.ledger.verify(place.store)
