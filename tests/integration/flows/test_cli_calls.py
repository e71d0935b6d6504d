"""Margin calls from the command line: what two people do to one, and what they are told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import app
from tests.integration.flows.conftest import CommandLine, Ended

COMMANDS = (
    "list", "show", "agree", "dispute", "withdraw-dispute", "pledge", "reject-pledge", "settle",
    "request", "substitute", "substitution", "age",
    "message", "receive",
)  # fmt: skip


@pytest.fixture
def closed(closed_both: Path, tmp_path: Path) -> CommandLine:
    """Return the command line in a copy of the home in which both dates are closed."""
    shutil.copytree(closed_both, tmp_path / "home")
    return CommandLine(tmp_path / "home", {"PLIMSOLL_PRINCIPAL": "alice"})


@pytest.fixture
def call(closed: CommandLine) -> dict[str, Any]:
    return json.loads(closed("calls", "list", "--direction", "call", "--json").out)[0]


def done(ended: Ended) -> dict[str, Any]:
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    ended = CliRunner().invoke(app, ["calls", command, "--help"])
    assert ended.exit_code == 0
    assert f"plimsoll calls {command}" in ended.output.split("Examples:", 1)[1]


def test_a_call_is_lived_through_in_the_terminal(closed: CommandLine, call: dict[str, Any]) -> None:
    name, why = call["call_id"], ("--reason", "ticket 4711", "--json")
    disputed = done(
        closed("calls", "dispute", name, "--contested", "exposure", "--agreed", "1000", *why)
    )
    assert disputed["state"] == "partially_disputed"
    pledged = done(
        closed("calls", "pledge", name, "--asset", "USDC", "--quantity", "5000", "--place",
               "fireblocks/7", *why, PLIMSOLL_PRINCIPAL="bob")
    )  # fmt: skip
    assert pledged["state"] == "pledged"
    # After haircut, hence less than it is worth on the market.
    assert 0 < float(pledged["in_flight"]) < 5000
    number = str(pledged["event"])
    paid = done(closed("calls", "settle", name, "--value", "100", "--pledge", number, *why))
    assert float(paid["outstanding"]) == float(call["amount"]) - 100
    shown = json.loads(closed("calls", "show", name, "--json").out)
    assert [event["actor"] for event in shown["history"][2:]] == ["alice", "bob", "alice"]
    assert {event["reason"] for event in shown["history"][2:]} == {"ticket 4711"}
    assert shown["pledges"][0]["place"] == "fireblocks/7"
    page = closed("calls", "show", name, COLUMNS="160")
    assert "partially disputed" in page.out
    assert "fireblocks/7" in page.out


def test_who_is_too_late_is_told_to_look_again(closed: CommandLine, call: dict[str, Any]) -> None:
    name = call["call_id"]
    assert closed("calls", "agree", name, "--seen", "2", "--reason", "by phone").code == 0
    late = closed("calls", "agree", name, "--seen", "2", "--reason", "by mail")
    assert late.code == 5
    assert "event 3 by alice made it agreed, you have seen event 2" in late.err
    assert f"plimsoll calls show {name}" in late.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("agree", "no-call", "--reason", "x"), 4, "there is no call no-call"),
        (("agree", "CALL", "--reason", " "), 3, "an act needs a reason"),
        (("agree", "CALL"), 2, "--reason"),
        (("pledge", "CALL", "--asset", "USDC", "--quantity", "-1", "--place", "a/b", "--reason",
          "x"), 3, "--quantity is '-1', limit a plain number above 0"),
        (("pledge", "CALL", "--asset", "NOCOIN", "--quantity", "1", "--place", "a/b", "--reason",
          "x"), 3, "no collateral parameters of NOCOIN"),
        (("dispute", "CALL", "--contested", "mood", "--reason", "x"), 3, "one of collateral, exp"),
        (("settle", "CALL", "--value", "nan", "--reason", "x"), 3, "--value is 'nan'"),
        (("withdraw-dispute", "CALL", "--reason", "x"), 5, "nothing of it is disputed"),
        (("request", "CALL", "--reason", "x"), 5, "only a return that is computed"),
        (("list", "--state", "mad"), 3, "--state is 'mad', limit: one of agreed"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_clear_sentence(
    closed: CommandLine, call: dict[str, Any], arguments: tuple[str, ...], code: int, words: str
) -> None:
    typed = [call["call_id"] if word == "CALL" else word for word in arguments]
    ended = closed("calls", *typed)
    assert ended.code == code, ended.err
    assert words in ended.err.replace("\n", " ")
