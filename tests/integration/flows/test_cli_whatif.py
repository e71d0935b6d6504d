"""`plimsoll whatif` in a process of its own, on a closed run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from infra.rules import DEFAULT_PARAMETERS
from tests.integration.flows.conftest import LAST_DATE, CommandLine

RUN = f"eod-{LAST_DATE}-1"
PERP = "binance:BTCUSDT"


@pytest.fixture(scope="module")
def closed(closed_both: Path, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Return the command line in a copy of the home in which both dates are closed."""
    home = tmp_path_factory.mktemp("whatif") / "home"
    shutil.copytree(closed_both, home)
    return CommandLine(home)


@pytest.fixture(scope="module")
def requirements(closed: CommandLine) -> pd.DataFrame:
    return pd.read_parquet(closed.home / f"runs/{RUN}/assessment/requirements.parquet")


@pytest.fixture(scope="module")
def netting_set(closed: CommandLine, requirements: pd.DataFrame) -> str:
    """Return a netting set without an open break."""
    breaks = pd.read_parquet(closed.home / f"runs/{RUN}/assessment/breaks.parquet")
    fit = ~requirements["netting_set_id"].isin(breaks["netting_set_id"])
    fit &= requirements["status"] == "assessed"
    return str(requirements.loc[fit, "netting_set_id"].iloc[0])


def test_answer_starts_from_what_the_close_has_found(
    closed: CommandLine, requirements: pd.DataFrame, netting_set: str
) -> None:
    ended = closed("whatif", netting_set, "--order", f"buy 2 {PERP}", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["run_id"] == RUN
    row = requirements.set_index("netting_set_id").loc[netting_set]
    assert found["before"]["requirement_amount"] == str(row["requirement_amount"])
    assert found["before"]["call_action"] == row["call_action"]
    (answer,) = found["candidates"]
    assert answer["answer"] == "answered"
    # Exact amounts are texts: a float would lose digits.
    assert isinstance(answer["requirement_amount"], str)
    assert answer["requirement"] != found["before"]["requirement"]


def test_people_get_a_table_and_the_decision_that_follows(
    closed: CommandLine, netting_set: str
) -> None:
    ended = closed(
        "whatif", netting_set, "--order", f"sell 1 {PERP}", "--transfer", "1000 USDT in",
        "--run", RUN,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    for text in ("Before", "After", "Change", "Requirement", "Excess", "Then", "1000 USDT in"):
        assert text in ended.out


def test_file_of_many_is_answered_row_by_row_with_progress(
    closed: CommandLine, netting_set: str, tmp_path: Path
) -> None:
    rows = [f"c{k},buy {k} {PERP}" for k in range(1, 300)]
    rows += ["bad,buy 0 binance:BTCUSDT", "odd,hold 3 X", "c1,1000 USDT in"]
    file = tmp_path / "ideas.csv"
    file.write_text("\n".join(["candidate,what", *rows]) + "\n", encoding="utf-8")
    ended = closed("whatif", netting_set, "--candidates", str(file), "--json")
    assert ended.code == 6, ended.err
    answers = {each["candidate_id"]: each for each in json.loads(ended.out)["candidates"]}
    assert len(answers) == 301
    assert answers["c299"]["answer"] == "answered"
    assert "limit above 0" in answers["bad"]["reason"]
    assert "is no transfer" in answers["odd"]["reason"]
    assert answers["odd"]["requirement"] is None
    assert "candidates" in ended.err


def test_command_line_that_asks_nothing_ends_with_3(closed: CommandLine) -> None:
    ended = closed("whatif", "anybody")
    assert ended.code == 3
    assert "nothing is asked: give --order, --transfer or --candidates" in ended.err
    assert not ended.out


def test_refused_order_says_why_and_ends_with_3(closed: CommandLine, netting_set: str) -> None:
    ended = closed("whatif", netting_set, "--order", "buy nan binance:BTCUSDT")
    assert ended.code == 3
    assert "is nan, limit above 0 and finite" in ended.out


def test_unknown_netting_set_is_named(closed: CommandLine) -> None:
    ended = closed("whatif", "nobody", "--order", f"buy 1 {PERP}")
    assert ended.code == 4
    assert "no netting set nobody among 40" in ended.err


def test_open_break_is_refused_with_its_name(closed: CommandLine) -> None:
    breaks = pd.read_parquet(closed.home / f"runs/{RUN}/assessment/breaks.parquet")
    name = str(breaks["netting_set_id"].iloc[0])
    ended = closed("whatif", name, "--order", f"buy 1 {PERP}")
    assert ended.code == 3
    assert f"{name} has an open break" in ended.err
    assert str(breaks["break_id"].iloc[0]) in ended.err


def test_reduction_is_planned_and_nothing_is_sent(closed: CommandLine, netting_set: str) -> None:
    ended = closed("reduce", "plan", netting_set, "--ratio", "0.05", "--json")
    assert ended.code in (0, 6), ended.err
    found = json.loads(ended.out)
    assert found["status"] in ("restores", "insufficient")
    assert (ended.code == 6) == (found["status"] == "insufficient")
    assert found["orders"] and all(order["is_reduce_only"] for order in found["orders"])
    assert found["ratio_after"] < found["ratio_before"]
    shown = closed("reduce", "plan", netting_set, "--ratio", "0.05")
    assert "Planned, nothing has been sent" in shown.out


def test_a_plan_is_proposed_listed_and_shown_and_a_shadow_cannot_be_approved(
    closed: CommandLine, netting_set: str, tmp_path: Path
) -> None:
    """In a house of its own policy, whose target every book misses."""
    own = tmp_path / "own" / "reductions"
    own.mkdir(parents=True)
    shipped = (DEFAULT_PARAMETERS / "reductions" / "2019-01-01.toml").read_text(encoding="utf-8")
    text = shipped.replace("ratio_target = 0.95", "ratio_target = 0.05")
    (own / "2019-01-01.toml").write_text(text, encoding="utf-8")
    house = {"PLIMSOLL_PARAMETERS": str(own.parent), "PLIMSOLL_PRINCIPAL": "alice"}
    said = ("reduce", "propose", netting_set, "--reason", "a drill", "--json")
    ended = closed(*said, **house)
    assert ended.code == 0, ended.err
    plan = json.loads(ended.out)
    assert (plan["state"], plan["proposer"]) == ("shadow", "alice")
    listed = json.loads(closed("reduce", "list", "--state", "shadow", "--json", **house).out)
    assert plan["plan_id"] in [one["plan_id"] for one in listed]
    shown = closed("reduce", "show", plan["plan_id"][:12], **house)
    assert "If nothing is done" in shown.out and "a drill" in shown.out
    refused = closed(
        "reduce", "approve", plan["plan_id"], "--hash", plan["payload_hash"],
        **{**house, "PLIMSOLL_PRINCIPAL": "bob"},
    )  # fmt: skip
    assert refused.code != 0 and "is shadow: there is nothing to approve" in refused.err
    assert "nothing is due" in closed("reduce", "send", **house).err


def test_a_ratio_or_hedge_that_cannot_be_is_refused(closed: CommandLine, netting_set: str) -> None:
    ended = closed("reduce", "plan", netting_set, "--ratio", "1.5")
    assert ended.code == 3
    assert "ratio is 1.5, limit above 0, at most 1" in ended.err
    ended = closed("reduce", "plan", netting_set, "--hedge", "binance:NOPE")
    assert ended.code == 4
    assert "hedge binance:NOPE is no instrument of the snapshot" in ended.err
