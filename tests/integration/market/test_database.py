"""Databases are read like files, and are never written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from data_contracts.registry import contract
from data_contracts.validation import Judge, validate
from engine.errors import MissingDataError, StateUnavailable
from infra.market.daily import DATASETS
from infra.market.source import open_source
from tests.integration.market.places import sqlite_file, typed
from tests.unit.data_contracts.samples import BUSINESS_DATE, sample
from tests.unit.data_contracts.samples import DATASETS as SAMPLES

NAMES = [dataset.name for dataset in DATASETS]


@pytest.fixture(scope="module")
def postgresql_market(postgresql_server: str) -> str:
    """Return the URL of a database with every sample in typed columns."""
    server = sa.engine.make_url(postgresql_server).set(drivername="postgresql+psycopg")
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE market_source")
    admin.dispose()
    engine = sa.create_engine(server.set(database="market_source"))
    for dataset in SAMPLES:
        frame = typed(dataset)
        dated = {"date", "business_date", "effective_date"} & set(frame.columns)
        types: dict[str, object] = dict.fromkeys(dated, sa.Date())
        if dataset == "marks":
            types["mark_price"] = sa.Numeric(38, 12)
        frame.to_sql(dataset, engine, index=False, dtype=types)
    engine.dispose()
    return server.set(database="market_source").render_as_string(hide_password=False)


@pytest.mark.parametrize("dataset", NAMES)
def test_sqlite_text_gives_the_accepted_rows_of_the_sample(dataset: str, tmp_path: Path) -> None:
    rows = open_source(sqlite_file(tmp_path / "m.db")).read(dataset, BUSINESS_DATE)
    outcome = validate(contract(dataset), rows.frame, BUSINESS_DATE, Judge.MASKS)
    assert outcome.refusal is None
    pd.testing.assert_frame_equal(outcome.accepted, typed(dataset))


@pytest.mark.postgres
@pytest.mark.parametrize("dataset", NAMES)
def test_postgresql_gives_the_accepted_rows_of_the_sample(
    dataset: str, postgresql_market: str
) -> None:
    rows = open_source(postgresql_market).read(dataset, BUSINESS_DATE)
    outcome = validate(contract(dataset), rows.frame, BUSINESS_DATE, Judge.MASKS)
    assert outcome.refusal is None
    assert len(outcome.quarantined) == 0
    pd.testing.assert_frame_equal(outcome.accepted, typed(dataset))
    assert rows.origin == f"table {dataset}"


@pytest.mark.postgres
def test_a_plain_postgresql_url_is_understood_and_its_password_is_not_shown(
    postgresql_market: str,
) -> None:
    source = open_source(postgresql_market.replace("+psycopg", "").replace("@", ":hunter2@"))
    assert "hunter2" not in source.location
    assert "***" in source.location
    assert len(source.read("marks", BUSINESS_DATE).frame) == len(sample("marks"))


@pytest.mark.postgres
def test_postgresql_without_rows_names_the_nearest_date(postgresql_market: str) -> None:
    with pytest.raises(
        MissingDataError, match="no marks for 2026-11-23: the nearest is 2026-11-20"
    ):
        open_source(postgresql_market).read("marks", date(2026, 11, 23))


@pytest.mark.postgres
def test_a_view_is_as_good_as_a_table_and_may_carry_an_accepted_name(
    postgresql_market: str,
) -> None:
    url = sa.engine.make_url(postgresql_market)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE volatility_history RENAME TO volatility_kept")
        connection.exec_driver_sql(
            "CREATE VIEW options_deribit_atm30d AS SELECT * FROM volatility_kept"
        )
    try:
        rows = open_source(postgresql_market).read("volatility_history", BUSINESS_DATE)
        assert rows.origin == "table options_deribit_atm30d"
        assert len(rows.frame)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP VIEW options_deribit_atm30d")
            connection.exec_driver_sql("ALTER TABLE volatility_kept RENAME TO volatility_history")
        engine.dispose()


def test_a_missing_sqlite_file_is_an_error_and_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="does not exist"):
        open_source(f"sqlite:///{tmp_path}/none.db").read("marks", BUSINESS_DATE)
    assert not (tmp_path / "none.db").exists()


def test_a_missing_table_is_one_sentence_and_an_optional_one_is_empty(tmp_path: Path) -> None:
    url = sqlite_file(tmp_path / "m.db")
    connection = sqlite3.connect(tmp_path / "m.db")
    connection.executescript("DROP TABLE marks; DROP TABLE funding")
    connection.close()
    with pytest.raises(MissingDataError, match="has no table marks"):
        open_source(url).read("marks", BUSINESS_DATE)
    assert len(open_source(url).read("funding", BUSINESS_DATE).frame) == 0


def test_text_in_a_number_and_a_junk_date_reach_the_contract(tmp_path: Path) -> None:
    frame = sample("marks")
    frame.loc[0, "mark_price"] = "91,251.8"
    frame.loc[1, "business_date"] = "yesterday"
    rows = open_source(sqlite_file(tmp_path / "m.db", marks=frame)).read("marks", BUSINESS_DATE)
    outcome = validate(contract("marks"), rows.frame, BUSINESS_DATE, Judge.MASKS)
    assert len(outcome.quarantined) == 2
    reasons = " ".join(outcome.quarantined["_reason"])
    assert "'91,251.8'" in reasons
    assert "'yesterday'" in reasons


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "m.db").write_text(
        "no database, but long enough to be taken for a page of one" * 50
    )
    with pytest.raises(StateUnavailable, match="file is not a database"):
        open_source(f"sqlite:///{tmp_path}/m.db").read("marks", BUSINESS_DATE)


def test_a_locked_database_is_unavailable_and_may_be_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.market.database.CONNECT_SECONDS", 0)
    url = sqlite_file(tmp_path / "m.db")
    holder = sqlite3.connect(tmp_path / "m.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(StateUnavailable, match="locked") as failure:
            open_source(url).read("marks", BUSINESS_DATE)
        assert failure.value.retryable
    finally:
        holder.close()


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "nonsense://x", "://x"])
def test_other_urls_are_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(MissingDataError) as failure:
        open_source(url).read("marks", BUSINESS_DATE)
    assert "secret" not in str(failure.value)


def test_an_unreachable_server_is_unavailable(unused_port: Callable[[], int]) -> None:
    url = f"postgresql://u:secret@127.0.0.1:{unused_port()}/m"
    with pytest.raises(StateUnavailable) as failure:
        open_source(url).read("marks", BUSINESS_DATE)
    assert "secret" not in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.fixture
def unused_port() -> Callable[[], int]:
    """Return a function that gives a loopback port on which nothing listens."""
    import socket

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


def test_decimals_of_a_database_are_read_exactly_as_far_as_float64_goes() -> None:
    frame = typed("marks").astype({"mark_price": object})
    frame.loc[0, "mark_price"] = Decimal("91251.800000000001")
    outcome = validate(contract("marks"), frame, BUSINESS_DATE, Judge.MASKS)
    assert outcome.accepted["mark_price"].iloc[0] == 91251.800000000001
