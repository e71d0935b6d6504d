"""The rule book from the command line: a payload becomes rules by two people and a shadow run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from tests.integration.flows.conftest import LAST_DATE, CommandLine

RUN = f"eod-{LAST_DATE}-1"
COMMANDS = (
    "show", "diff", "margins", "import", "propose", "proposals", "shadow", "activate", "reject",
)  # fmt: skip
DOCUMENT = """
venue = "binance"
effective_date = {date}
source = "notice of the venue"
evidence = "documented"

[[set]]
model = "tiered"
scope = "BTCUSDT"
parameters.rule = "notional_tiers"
parameters.tiers = [{{ notional_floor = 0.0, maintenance_margin_rate = 0.5, leverage_max = 2.0 }}]
"""


@pytest.fixture
def closed(closed_both: Path, tmp_path: Path) -> CommandLine:
    """Return the command line in a copy of the home in which both dates are closed."""
    shutil.copytree(closed_both, tmp_path / "home")
    return CommandLine(tmp_path / "home")


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "notice.toml"
    path.write_text(DOCUMENT.format(date=LAST_DATE), encoding="utf-8")
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    ended = CliRunner().invoke(app, ["rules", command, "--help"])
    assert ended.exit_code == 0
    assert f"plimsoll rules {command}" in ended.stdout.split("Examples:", 1)[1]


def test_the_rules_in_force_are_shown_with_what_they_rest_on(plimsoll: CommandLine) -> None:
    (row,) = json.loads(
        plimsoll(
            "rules", "show", "--venue", "okx", "--model", "scenario_grid", "--scope", "BTC",
            "--date", "2025-01-03", "--json",
        ).out
    )  # fmt: skip
    assert (row["effective_date"], row["layer"], row["evidence"]) == (
        "2024-12-30", "shipped", "inferred"
    )  # fmt: skip
    assert (row["reference"], row["parameters"]["price_shocks"][0]) == ("venues/okx.toml", -0.15)
    table = plimsoll("rules", "show", "--venue", "okx", "--date", "2025-01-03").out
    assert "unverified" in table
    absent = plimsoll("rules", "show", "--venue", "nowhere")
    assert (absent.code, "no parameters nowhere/*/*" in absent.err) == (4, True)


def test_what_changed_between_two_dates_is_told_with_old_new_and_source(
    plimsoll: CommandLine,
) -> None:
    ended = plimsoll(
        "rules", "diff", "2025-01-03", "2025-01-10", "--venue", "okx", "--scope", "BTC", "--json"
    )
    found = {one["key"]: one for one in json.loads(ended.out)["changes"]}
    assert (found["price_shocks"]["old"][0], found["price_shocks"]["new"][0]) == (-0.15, -0.12)
    assert found["price_shocks"]["effective_date"] == "2025-01-06"
    refused = plimsoll("rules", "diff", "yesterday", "2025-01-10")
    assert (refused.code, "'yesterday' names no rules, limit: a date" in refused.err) == (3, True)


def test_a_proposal_is_shadowed_and_activated_by_a_second_person(
    closed: CommandLine, document: Path
) -> None:
    alice, bob = {"PLIMSOLL_PRINCIPAL": "alice"}, {"PLIMSOLL_PRINCIPAL": "bob"}
    found = json.loads(closed("rules", "propose", str(document), "--json", **alice).out)
    name, digest = found["proposal_id"], found["content_hash"]
    early = closed("rules", "activate", name, "--hash", digest, **bob)
    assert (early.code, "has no shadow run: run `plimsoll rules shadow" in early.err) == (5, True)

    effect = json.loads(closed("rules", "shadow", name, "--json", **alice).out)["effect"]
    assert effect["run_id"] == RUN
    assert effect["accounts_changed"] == len(effect["accounts_changed_rows"]) > 0
    rows = {row["account_id"]: row for row in effect["accounts_changed_rows"]}
    assert all(row["venue"] == "binance" for row in rows.values())
    assert all(
        row["maintenance_margin_after"] >= row["maintenance_margin_before"] for row in rows.values()
    )

    own = closed("rules", "activate", name, "--hash", digest, **alice)
    assert (own.code, "was proposed by alice, who cannot activate it" in own.err) == (3, True)
    wrong = closed("rules", "activate", name, "--hash", "0" * 64, **bob)
    assert (wrong.code, "the approval is for 0000" in wrong.err) == (3, True)
    done = closed("rules", "activate", name, "--hash", digest[:16], **bob)
    assert (done.code, "is in force: 1 versions recorded" in done.err) == (0, True)

    (row,) = json.loads(
        closed("rules", "show", "--venue", "binance", "--scope", "BTCUSDT", "--json").out
    )
    assert (row["layer"], row["reference"]) == ("activated", name)
    # What the last close rests on is untouched: it replays with the rules known then.
    assert closed("replay", RUN).code == 0
    assert closed("doctor").code in (0, 8)


def test_one_s_own_parameters_folder_lies_over_the_shipped_one(
    plimsoll: CommandLine, tmp_path: Path
) -> None:
    folder = tmp_path / "own" / "venues"
    folder.mkdir(parents=True)
    (folder / "binance.toml").write_text(DOCUMENT.format(date=LAST_DATE), encoding="utf-8")
    own = {"PLIMSOLL_PARAMETERS": str(folder.parent)}
    shown = ("rules", "show", "--venue", "binance", "--scope", "BTCUSDT", "--json")
    (row,) = json.loads(plimsoll(*shown, "--date", str(LAST_DATE), **own).out)
    assert (row["layer"], row["parameters"]["tiers[0].maintenance_margin_rate"]) == ("folder", 0.5)
    absent = plimsoll(*shown, PLIMSOLL_PARAMETERS=str(tmp_path / "absent"))
    assert (absent.code, "is no folder, limit" in absent.err) == (3, True)


def test_a_payload_that_is_none_is_refused_and_nothing_is_proposed(
    plimsoll: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "payload.json"
    file.write_text('{"hello": 1}', encoding="utf-8")
    undated = plimsoll("rules", "import", str(file), "--venue", "okx")
    assert (undated.code, "give --effective-date" in undated.err) == (3, True)
    dated = ("--effective-date", "2026-11-20")
    refused = plimsoll("rules", "import", str(file), "--venue", "okx", *dated)
    assert (refused.code, "this is no payload of okx that is known" in refused.err) == (3, True)
    assert json.loads(plimsoll("rules", "proposals", "--json").out) == []
