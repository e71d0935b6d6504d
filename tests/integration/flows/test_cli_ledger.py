"""`plimsoll ledger`: what an operator reads, and what a monitor is told about a wrong row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from infra.db import open_database
from infra.store import open_store
from tests.integration.db.ledger_facts import PLACE, fill
from tests.integration.db.tampering import tamper
from tests.integration.flows.conftest import CommandLine


@pytest.fixture
def booked(tmp_path: Path) -> CommandLine:
    """Return the command line in a home with a small ledger, anchored once."""
    database = open_database(f"sqlite:///{tmp_path / 'plimsoll.db'}")
    database.upgrade()
    fill(database)
    database.audit.anchor(open_store(tmp_path.as_uri()), "one")
    database.close()
    return CommandLine(tmp_path)


@pytest.mark.parametrize("command", ["verify", "balances", "entries", "backing"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    ended = CliRunner().invoke(app, ["ledger", command, "--help"])
    assert ended.exit_code == 0
    assert f"plimsoll ledger {command}" in ended.output.split("Examples:", 1)[1]


def test_a_whole_ledger_ends_with_zero_and_says_against_what_it_was_checked(
    booked: CommandLine,
) -> None:
    ended = booked("ledger", "verify")
    assert ended.code == 0, ended.err
    assert "whole: 9 entries, 15 postings, 6 holds, 1 pending holds" in ended.out
    assert "1 anchors in the store" in ended.out
    found = json.loads(booked("ledger", "verify", "--json").out)
    assert (found["is_whole"], found["n_anchors"]) == (True, 1)
    assert found["heads"]["ledger"]["position"] == 9


def test_a_wrong_row_ends_with_five_and_is_named_for_people_and_monitors(
    booked: CommandLine,
) -> None:
    database = open_database(f"sqlite:///{booked.home / 'plimsoll.db'}")
    tamper(
        database,
        "ledger_postings",
        "UPDATE ledger_postings SET amount = '620000' WHERE position = 2 AND line = 1",
    )
    ended = booked("ledger", "verify")
    assert (ended.code, ended.out) == (5, "")
    assert "ledger_postings: row 2 does not match entry k-0" in ended.err
    ended = booked("ledger", "verify", "--json")
    found = json.loads(ended.out)
    assert ended.code == 5
    assert (found["is_whole"], found["table"], found["row"]) == (False, "ledger_postings", "2")
    assert found["fact"].startswith("does not match entry k-0")


def test_a_cut_off_end_is_found_through_the_store(booked: CommandLine) -> None:
    database = open_database(f"sqlite:///{booked.home / 'plimsoll.db'}")
    tamper(database, "ledger_hold_resolutions", "DELETE FROM ledger_hold_resolutions")
    ended = booked("ledger", "verify")
    assert ended.code == 5
    assert "ledger_hold_resolutions: row 1 is missing: the store has anchored row 5" in ended.err


def test_balances_are_listed_by_kind_and_account(booked: CommandLine) -> None:
    rows = json.loads(booked("ledger", "balances", "--kind", "location", "--json").out)
    assert rows == [
        {
            "account": PLACE,
            "asset": "BTC",
            "posted": "9999.99999940",
            "held": "0.00000053",
            "available": "9999.99999887",
        }
    ]
    page = booked("ledger", "balances", "--account", "collateral:NS-0").out
    assert "collateral:NS-0" in page
    assert "2.03" in page
    assert "9,999.99999887" in booked("ledger", "balances").out


def test_entries_are_listed_newest_first_by_account_and_by_key(booked: CommandLine) -> None:
    newest = json.loads(booked("ledger", "entries", "--limit", "2", "--json").out)
    assert [entry["business_key"] for entry in newest] == ["k-5", "hold:h-4"]
    [posted] = json.loads(booked("ledger", "entries", "--account", "transit:h-0", "--json").out)
    assert posted["postings"] == [
        {"debit": PLACE, "credit": "transit:h-0", "asset": "BTC", "amount": "0.00000030"}
    ]
    page = booked("ledger", "entries", "--key", "k-3").out
    assert "collateral:NS-0" in page
    assert "1.03" in page


def test_what_is_credited_stands_beside_what_is_attested(booked: CommandLine) -> None:
    rows = json.loads(booked("ledger", "backing", "--json").out)
    assert rows[0] == {
        "asset": "BTC", "credited": "0.00000042", "attested": "10000.00000000", "is_backed": True,
    }  # fmt: skip
    assert rows[1]["attested"] is None
    assert "not attested" in booked("ledger", "backing").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("balances", "--kind", "vault"), "no account of kind vault: there are collateral, loc"),
        (("balances", "--account", "margin:NS-9"), "no account margin:NS-9"),
        (("entries", "--key", "k-99"), "nothing is booked under the key k-99"),
        (("entries", "--account", "margin:NS-9"), "nothing is booked on account margin:NS-9"),
    ],
)
def test_what_is_not_there_ends_with_four(
    booked: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    ended = booked("ledger", *arguments)
    assert ended.code == 4
    assert said in ended.err
