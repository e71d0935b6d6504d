"""Files and webhooks of a desk: taken once, bad items kept apart by name, value and limit."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from engine.errors import ContractViolation, StateError
from infra.db import Database
from infra.db.executions import Taken
from infra.messages.webhook_signing import WebhookSecret
from infra.oms import Naming, OmsEndpoint, handle, oms_positions, take_files
from infra.oms.fix.listening import read_spool
from infra.oms.fix.messages import read_message
from infra.oms.fix.spool import SpoolWriter
from infra.simulator.oms.reports import Opened
from infra.simulator.oms.senders import FileSender, WebhookSender
from tests.integration.oms.desk import NAMING, NOON, names, report

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
PLAIN = Naming(accounts={"D-7": "larch-binance"})
HEADER = (
    "execution_id,kind,refers_to,account_id,instrument_id,side,quantity,execution_price,"
    "executed_utc,reported_utc\n"
)
GOOD = "E-1,trade,,D-7,binance:BTCUSDT,buy,0.1,60000,2026-11-20T12:00:00Z,\n"
BAD_ROWS = {
    "E-2,trade,,D-7,binance:BTCUSDT,hold,0.1,60000,2026-11-20T12:00:00Z,": "side is 'hold'",
    "E-3,trade,,D-7,binance:BTCUSDT,buy,-1,60000,2026-11-20T12:00:00Z,": "quantity is '-1'",
    "E-4,trade,,D-7,binance:BTCUSDT,buy,1e3,60000,2026-11-20T12:00:00Z,": "quantity is '1e3'",
    "E-5,bust,,D-7,binance:BTCUSDT,buy,1,60000,2026-11-20T12:00:00Z,": "refers_to is empty",
    "E-6,trade,,D-7,binance:BTCUSDT,buy,1,60000,2026-11-20 12:00,": "executed_utc",
    "E-7,trade,,D-7,binance:BTCUSDT,buy,1": "fields",
    "E-8,trade,,D-7,binance:BTCUSDT,buy,١,60000,2026-11-20T12:00:00Z,": "quantity",
}


def endpoint() -> OmsEndpoint:
    return OmsEndpoint("desk", [WebhookSecret.parse(SECRET)], PLAIN)


def test_a_file_is_taken_once_and_its_bad_rows_are_kept_apart(
    sqlite_database: Database, tmp_path: Path
) -> None:
    text = HEADER + GOOD + "".join(f"{row}\n" for row in BAD_ROWS)
    (tmp_path / "executions-1.csv").write_text(text, encoding="utf-8")
    (found,) = take_files(sqlite_database, "desk", tmp_path, PLAIN)
    assert found.taken == Taken(n_new=1, n_quarantined=len(BAD_ROWS))
    reasons = [one.reason for one in sqlite_database.executions.doubts()]
    for words in BAD_ROWS.values():
        assert any(words in reason for reason in reasons), words
    assert all("limit" in reason or "must" in reason for reason in reasons)
    assert {path.name for path in tmp_path.iterdir()} == {"taken"}
    # The same content under another name changes nothing, nor do its good rows in another file.
    (tmp_path / "executions-2.csv").write_text(text, encoding="utf-8")
    (again,) = take_files(sqlite_database, "desk", tmp_path, PLAIN)
    assert again.is_known
    assert again.taken == Taken()
    (tmp_path / "executions-3.csv").write_text(HEADER + GOOD, encoding="utf-8")
    assert take_files(sqlite_database, "desk", tmp_path, PLAIN)[0].taken == Taken(n_known=1)
    assert oms_positions(sqlite_database)[0].quantity == Decimal("0.1")


def test_a_file_that_cannot_be_read_is_refused_whole_and_put_aside(
    sqlite_database: Database, tmp_path: Path
) -> None:
    (tmp_path / "executions-1.csv").write_text("execution_id,kind\nE-1,trade\n", encoding="utf-8")
    (tmp_path / "fills.csv").write_text(HEADER + GOOD, encoding="utf-8")
    (tmp_path / "secret").write_text(HEADER + GOOD, encoding="utf-8")
    (tmp_path / "executions-2.csv").symlink_to(tmp_path / "secret")
    found = {one.name: one.refusal for one in take_files(sqlite_database, "desk", tmp_path, PLAIN)}
    assert "required columns" in found["executions-1.csv"]
    assert "begins with none of executions, openings" in found["fills.csv"]
    assert "executions-2.csv" in found["executions-2.csv"]
    assert names(sqlite_database) == []
    assert len(list((tmp_path / "refused").iterdir())) == 3
    assert len(sqlite_database.executions.doubts()) == 3


def test_an_opening_by_file_and_by_webhook_is_one_statement(
    sqlite_database: Database, tmp_path: Path
) -> None:
    opened = [
        Opened(account="D-7", as_of=NOON, quantities=(("binance", "BTCUSDT", Decimal("-2.5")),)),
        Opened(account="flat", as_of=NOON, quantities=()),
    ]
    FileSender(tmp_path).open_day(opened)
    assert take_files(sqlite_database, "desk", tmp_path, PLAIN)[0].taken.n_new == 2
    headers, body = WebhookSender(SECRET).open_day(opened, NOON)
    assert handle(sqlite_database, endpoint(), headers, body, now=NOON) == Taken(n_known=2)
    (held,) = oms_positions(sqlite_database)
    assert (held.account_id, held.quantity) == ("larch-binance", Decimal("-2.5"))


def test_a_webhook_is_verified_taken_once_and_its_bad_items_kept_apart(
    sqlite_database: Database,
) -> None:
    sender = WebhookSender(SECRET)
    bad = replace(report("E-2", exchange="binance"), quantity=Decimal(0))
    headers, body = sender.message([report("E-1", exchange="binance"), bad], NOON, "msg-1")
    taken = handle(sqlite_database, endpoint(), headers, body, now=NOON)
    assert taken == Taken(n_new=1, n_quarantined=1)
    assert handle(sqlite_database, endpoint(), headers, body, now=NOON) == Taken()
    (doubt,) = sqlite_database.executions.doubts()
    assert doubt.identifier == "E-2"
    assert "quantity is '0', limit above 0" in doubt.reason
    # The same facts in another message are known.
    headers, body = sender.message([report("E-1", exchange="binance")], NOON, "msg-2")
    assert handle(sqlite_database, endpoint(), headers, body, now=NOON) == Taken(n_known=1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("signature", "no match"),
        ("body", "no match"),
        ("late", "webhook-timestamp"),
        ("type", "webhook type"),
        ("list", "a list of 1 to 1000 items"),
        ("repeated key", "a key occurs twice"),
    ],
)
def test_a_webhook_that_is_not_right_does_nothing(
    sqlite_database: Database, change: str, words: str
) -> None:
    sender, now = WebhookSender(SECRET), NOON
    headers, body = sender.message([report("E-1")], NOON)
    if change == "signature":
        headers, _ = WebhookSender("whsec_" + base64.b64encode(b"x" * 32).decode()).message(
            [], NOON
        )
    elif change == "body":
        body = body.replace(b"0.25", b"9.25")
    elif change == "late":
        now = NOON + timedelta(minutes=6)
    else:
        told = {
            "type": json.dumps({"type": "orders", "data": {}}),
            "list": json.dumps({"type": "executions.reported", "data": {"executions": []}}),
            "repeated key": '{"type": "executions.reported", "type": "x"}',
        }[change]
        headers, body = resigned(told.encode())
    with pytest.raises(ContractViolation, match=words):
        handle(sqlite_database, endpoint(), headers, body, now=now)
    assert names(sqlite_database) == []


def resigned(body: bytes) -> tuple[dict[str, str], bytes]:
    from infra.messages.webhook_signing import signed_headers

    return signed_headers("m-1", NOON, body, [WebhookSecret.parse(SECRET)]), body


RAW = (
    "8=FIX.4.4|35=8|34=7|49=DESK|56=PLIMSOLL|52=20261120-12:00:01.250|37=O-1|17=E-1|150=F|39=2|"
    "1=D-7|55=BTCUSDT|207=BNCE|54=5|32=0.10|31=60000.5|60=20261120-12:00:00.123456|151=0|14=0.1|"
    "6=60000.5|10=000|"
).replace("|", "\x01")


def test_a_report_of_a_short_sale_is_a_sale_with_its_stamps() -> None:
    found = read_message(RAW, NAMING)
    assert getattr(found, "side", None) == "sell"
    assert getattr(found, "quantity", None) == Decimal("0.10")
    assert getattr(found, "executed_at", None) == datetime(
        2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC
    )
    resent = RAW.replace("35=8", "35=8\x0143=Y\x01122=20261120-11:59:59")
    assert getattr(read_message(resent, NAMING), "reported_at", None) == datetime(
        2026, 11, 20, 11, 59, 59, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("54=5", "54=9", r"E-1: Side \(54\) is '9', limit 1, 2, 5 or 6"),
        ("32=0.10", "32=NaN", r"LastQty \(32\) is 'NaN'"),
        ("32=0.10", "32=0", r"limit above 0"),
        ("\x011=D-7", "", r"Account \(1\) is '', limit present"),
        ("60=20261120-12:00:00.123456", "60=soon", r"TransactTime \(60\)"),
        ("150=F", "150=H", r"ExecRefID \(19\) is '', limit present"),
        ("55=BTCUSDT", "55=BTC USDT", "instrument"),
    ],
)
def test_a_report_that_makes_no_sense_says_what_is_wrong(old: str, new: str, words: str) -> None:
    import re

    found = read_message(RAW.replace(old, new), NAMING)
    assert re.search(words, getattr(found, "reason", ""))
    assert "\x01" not in getattr(found, "raw", "\x01")


def test_orders_that_live_and_heartbeats_are_no_facts() -> None:
    for old, new in (("150=F", "150=0"), ("150=F", "150=4"), ("35=8", "35=0")):
        assert type(read_message(RAW.replace(old, new), NAMING)).__name__ == "Ignored"


def test_the_spool_is_read_once_across_torn_ends_and_restarts(
    sqlite_database: Database, tmp_path: Path
) -> None:
    first = SpoolWriter(tmp_path, is_synced=False)
    first.append(NOON, "event", "started", {"pid": "1"})
    first.append(NOON, "message", RAW)
    first.close()
    with first.path.open("ab") as file:
        file.write(b'{"at": "2026-11-20T12:00:00+00:00", "kind": "mess')
    # Its writer may still be at it.
    assert read_spool(sqlite_database, "desk", tmp_path, NAMING).taken == Taken(n_new=1)
    assert read_spool(sqlite_database, "desk", tmp_path, NAMING).n_records == 0
    second = SpoolWriter(tmp_path, is_synced=False)
    second.append(NOON, "message", RAW)
    second.append(NOON, "message", RAW.replace("17=E-1", "17=E-2"))
    found = read_spool(sqlite_database, "desk", tmp_path, NAMING)
    assert found.taken == Taken(n_new=1, n_known=1)
    assert [one.event for one in sqlite_database.oms_channels.events("desk")] == [
        "torn", "started",
    ]  # fmt: skip
    assert names(sqlite_database) == ["E-1", "E-2"]
    second.close()
    second.path.write_bytes(b"")
    with pytest.raises(StateError, match="it was altered"):
        read_spool(sqlite_database, "desk", tmp_path, NAMING)
    second.path.unlink()
    with pytest.raises(StateError, match="is gone and was read up to byte"):
        read_spool(sqlite_database, "desk", tmp_path, NAMING)


def test_a_desk_beside_a_town_tells_of_every_fill_by_file(
    sqlite_database: Database, tmp_path: Path
) -> None:
    import asyncio

    from infra.simulator.oms.hosting import desk_at
    from infra.simulator.venues.core.town import TownParameters
    from infra.simulator.venues.core.trading import OrderRequest, place
    from infra.simulator.venues.streets import build_town

    async def act() -> Decimal:
        async with build_town(["binance"], TownParameters(tick_seconds=0.0, speed=0.0)) as town:
            book = town.venues["binance"].book
            async with desk_at(town, tmp_path, tell_seconds=0.05) as accounts:
                assert accounts["binance/alpha"] == "binance-alpha"
                request = OrderRequest(symbol="BTCUSDT", side="buy", quantity=Decimal("0.5"))
                place(book, book.accounts["alpha"], request)
                await asyncio.sleep(0.3)
            return book.accounts["alpha"].positions["BTCUSDT"].quantity

    held = asyncio.run(act())
    take_files(sqlite_database, "desk", tmp_path, Naming())
    found = {
        (one.account_id, one.instrument_id): one.quantity for one in oms_positions(sqlite_database)
    }
    assert found["binance-alpha", "binance:BTCUSDT"] == held
    assert len(names(sqlite_database)) == 1
