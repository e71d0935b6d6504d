"""A close through the adapters, over real sockets, beside one from files with the same content."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from engine.assessment import Assessment
from engine.errors import MissingDataError
from infra.market.connected import ConnectedSource
from infra.market.connected.archive import Archive
from infra.market.daily import DATASETS
from infra.market.source import open_source
from infra.store import open_store
from tests.integration.connected.closing import Closed, closed
from tests.integration.connected.conftest import Opener
from tests.integration.connected.street import LAST_DATE, Street, source_of

FRAMES = ("requirements", "collateral", "settlements", "venue_margins", "venue_drift", "breaks")


def written(source: ConnectedSource, folder: Path) -> Path:
    """Return a directory with what the source says of the date."""
    folder.mkdir()
    for dataset in DATASETS:
        frame = source.read(dataset.name, LAST_DATE).frame
        if len(frame) and dataset.name != "readings":
            frame.to_parquet(folder / f"{dataset.name}.parquet")
    return folder


def require_same(one: Assessment, other: Assessment) -> None:
    for name in FRAMES:
        pd.testing.assert_frame_equal(
            getattr(one, name), getattr(other, name), check_exact=True, obj=name
        )


def test_the_close_through_adapters_is_figure_for_figure_the_one_from_files(
    whole: ConnectedSource, whole_closed: Closed, tmp_path: Path
) -> None:
    source = whole
    through = whole_closed
    files = open_source(str(written(source, tmp_path / "files")))
    from_files = closed(files, open_store((tmp_path / "other").as_uri()), LAST_DATE)
    assert through.snapshot_id == from_files.snapshot_id
    require_same(through.assessment, from_files.assessment)
    rows = through.assessment.requirements.set_index("netting_set_id")
    assert list(rows.index) == ["ash-1", "elm-1", "larch-1"]
    assert set(rows["status"]) == {"assessed"}
    assert (rows["requirement"] > 0).all() and (rows["collateral_value"] > 0).all()
    assert through.faults.empty


def test_every_place_is_read_once_and_says_when_and_how_many_rows(
    whole: ConnectedSource, town: Street
) -> None:
    source = whole
    readings = source.read("readings", LAST_DATE)
    frame = readings.frame.set_index("subject")
    assert set(frame["state"]) == {"read"}
    assert frame.loc["deribit/1001", "kind"] == "house"
    assert frame.loc[frame["identifier"] == "larch-1", "dataset"].tolist() == [
        "positions", "positions", "collateral", "positions",
    ]  # fmt: skip
    assert (frame["rows"] > 0).all()
    lag = (frame["observed_utc"] - pd.Timestamp(LAST_DATE, tz="UTC")) / pd.Timedelta("1min")
    assert ((lag > 24 * 60 + 1) & (lag < 24 * 60 + 3)).all()
    assert "deribit 20" in readings.origin and "fireblocks 20" in readings.origin
    # The house's own account is part of no client's margin.
    assert "house-deribit" not in set(source.read("collateral", LAST_DATE).frame["location"])


def test_a_date_that_was_read_is_never_asked_again_and_a_late_one_is_refused(
    opened: Opener, town: Street, below: Path, tmp_path: Path
) -> None:
    first = opened().read("positions", LAST_DATE)
    # Hours later, with every venue gone, a rerun rests on the same readings.
    later = source_of(tmp_path / "home", below, town.at(timedelta(hours=9)))
    again = later.read("positions", LAST_DATE)
    assert again.content_hash == first.content_hash
    assert again.origin == first.origin
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    text = (tmp_path / "home" / "connections.toml").read_text()
    (elsewhere / "connections.toml").write_text(text)
    late = source_of(elsewhere, below, town.at(timedelta(hours=9)))
    with pytest.raises(MissingDataError, match=r"not read for .*limit 30 min"):
        late.read("positions", LAST_DATE)


def test_indices_are_the_median_of_the_venues_and_stablecoins_are_never_at_par_by_assumption(
    whole: ConnectedSource, town: Street
) -> None:
    source = whole
    indices = source.read("index_prices", LAST_DATE).frame.set_index("asset")["index_price"]
    market = town.town.market
    assert indices["BTC"] == pytest.approx(float(market.usd_price("BTC")), rel=1e-6)
    rates = source.read("fx_rates", LAST_DATE).frame.set_index("asset")["usd_rate"]
    # The euro comes from below: no venue has an index of it.
    assert rates.drop("EUR").to_dict() == {"USD": 1.0, "USDC": 1.0, "USDT": 1.0}


def test_what_a_venue_reports_is_compared_and_the_mode_comes_from_the_connections(
    whole: ConnectedSource,
) -> None:
    source = whole
    reported = source.read("venue_margin", LAST_DATE).frame
    assert {"larch-deribit", "elm-okx"} <= set(reported["account_id"])
    accounts = source.read("accounts", LAST_DATE).frame
    assert set(accounts["account_id"]) == {
        "larch-deribit", "ash-deribit", "larch-binance", "larch-okx", "elm-okx",
    }  # fmt: skip
    assert accounts["account_mode"].isna().all()


def test_the_history_below_gets_the_closes_that_were_read_here(
    opened: Opener, below: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short"
    short.mkdir()
    for path in below.iterdir():
        (short / path.name).symlink_to(path)
    history = pd.read_parquet(below / "price_history.parquet")
    (short / "price_history.parquet").unlink()
    day_before = pd.Timestamp(LAST_DATE - timedelta(days=1))
    history[history["date"] < day_before].to_parquet(short / "price_history.parquet")
    source = opened(market=short)
    indices = source.read("index_prices", LAST_DATE).frame.set_index("asset")["index_price"]
    # A date that was read here before, and a history that has not been brought up to it.
    kept = Path(source.installation.settings.home) / "readings"
    shutil.copytree(kept / LAST_DATE.isoformat(), kept / day_before.date().isoformat())
    archive = Archive(source.installation.store)
    closes = archive.closes(LAST_DATE)
    assert closes is not None
    archive.keep_closes(
        closes.assign(date=day_before, close=closes["close"] * 2), day_before.date()
    )
    rows = source.read("price_history", LAST_DATE).frame
    btc = rows[rows["asset"] == "BTC"].set_index("date")["close"]
    assert btc[pd.Timestamp(LAST_DATE)] == indices["BTC"]
    assert btc[day_before] == 2 * indices["BTC"]
    today = rows[rows["date"] == pd.Timestamp(LAST_DATE)]
    assert set(today["asset"]) == {"BTC", "ETH", "SOL", "USDC", "USDT"}
    # What the history has is left as it is.
    whole = opened(market=below).read("price_history", LAST_DATE)
    assert (
        whole.content_hash == open_source(str(below)).read("price_history", LAST_DATE).content_hash
    )


def test_liquidity_a_few_days_old_is_carried_and_says_so(
    opened: Opener, below: Path, tmp_path: Path
) -> None:
    older = tmp_path / "older"
    older.mkdir()
    for path in below.iterdir():
        (older / path.name).symlink_to(path)
    rows = pd.read_parquet(below / "liquidity.parquet")
    shifted = rows.assign(business_date=rows["business_date"] - pd.Timedelta(days=5))
    (older / "liquidity.parquet").unlink()
    shifted.to_parquet(older / "liquidity.parquet")
    found = opened(market=older).read("liquidity", LAST_DATE)
    assert f"of {LAST_DATE - timedelta(days=5)}" in found.origin
    assert set(found.frame["business_date"].astype(str)) == {LAST_DATE.isoformat()}
    assert (
        opened(close="carried_days_max = 2", market=older).read("liquidity", LAST_DATE).frame.empty
    )
