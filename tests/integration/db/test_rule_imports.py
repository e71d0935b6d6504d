"""A payload becomes a proposal: what it holds, what it withdraws, what it has to leave alone."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ParameterError
from tasks.principals import operating_system_user, principal
from tasks.rule_book_views import Asked, rules_shown
from tasks.rule_proposals import (
    ImportOrder,
    activate_proposal,
    import_rules,
    propose_document,
    reject_proposal,
    shadow_proposal,
    unit_notionals,
)
from tasks.workplace import workplace

DAY = date(2026, 11, 19)
BRACKET = {
    "bracket": 1, "initialLeverage": 20, "notionalCap": 1_000_000, "notionalFloor": 0,
    "maintMarginRatio": 0.03, "cum": 0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _alone(plimsoll_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "PARAMETERS", "PRINCIPAL"):
        monkeypatch.delenv(f"PLIMSOLL_{name}", raising=False)


def payload(folder: Path, *symbols: str, **changes: object) -> Path:
    rows = [{"symbol": symbol, "brackets": [{**BRACKET, **changes}]} for symbol in symbols]
    path = folder / "brackets.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def imported(file: Path, **options: Any) -> dict[str, str]:
    """Return what becomes of each set that is proposed."""
    proposed = import_rules(ImportOrder(file, "binance", DAY, **options))
    return {one.scope: one.state for one in proposed.proposal.sets}


def test_a_complete_listing_withdraws_what_it_leaves_out(tmp_path: Path) -> None:
    found = imported(payload(tmp_path, "BTCUSDT", "NEWUSDT"), is_complete=True)
    assert (found["BTCUSDT"], found["NEWUSDT"]) == ("in_force", "in_force")
    assert found["ETHUSDT"] == "withdrawn"
    # Pairs of the other product and scopes for many contracts are not in such a list.
    assert not [scope for scope in found if scope.endswith("*")]


def test_a_part_of_the_listing_withdraws_nothing(tmp_path: Path) -> None:
    assert imported(payload(tmp_path, "BTCUSDT")) == {"BTCUSDT": "in_force"}


def test_a_quarantined_symbol_keeps_what_is_in_force(tmp_path: Path) -> None:
    good, bad = payload(tmp_path, "BTCUSDT"), payload
    rows = json.loads(good.read_text()) + json.loads(
        bad(tmp_path, "ETHUSDT", maintMarginRatio=3.0).read_text()
    )
    good.write_text(json.dumps(rows), encoding="utf-8")
    proposed = import_rules(ImportOrder(good, "binance", DAY, is_complete=True))
    assert "ETHUSDT" not in {one.scope for one in proposed.proposal.sets}
    (row,) = proposed.quarantined
    assert (row["value"], row["limit"]) == ("3.0", "rate > 0 and <= 1")


def test_without_any_close_a_shadow_run_says_that_nothing_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLIMSOLL_PRINCIPAL", "alice")
    order = ImportOrder(payload(tmp_path, "BTCUSDT"), "binance", DAY)
    found = import_rules(order).proposal
    shadow = shadow_proposal(found.proposal_id)
    assert shadow.effect is None
    assert shadow.proposal.shadow is not None
    monkeypatch.setenv("PLIMSOLL_PRINCIPAL", "bob")
    activate_proposal(found.proposal_id, found.content_hash)
    (row,) = rules_shown(Asked("binance", "tiered", "BTCUSDT"), DAY)
    assert row["parameters"]["tiers[0].maintenance_margin_rate"] == 0.03
    history = rules_shown(Asked("binance", "tiered", "BTCUSDT"), with_history=True)
    assert [one["layer"] for one in history] == ["shipped", "activated"]


def test_house_parameters_are_proposed_like_any_others(tmp_path: Path) -> None:
    from infra.rules import DEFAULT_PARAMETERS

    text = (DEFAULT_PARAMETERS / "2019-01-01.toml").read_text(encoding="utf-8")
    file = tmp_path / "2026-11-01.toml"
    file.write_text(text.replace('"2019-01-01"', '"2026-11-01"'), encoding="utf-8")
    (one,) = propose_document(file).proposal.sets
    assert (one.venue, one.model, one.effective_date) == (
        "house", "house_parameters", date(2026, 11, 1)
    )  # fmt: skip
    file.write_text(file.read_text().replace("offset_cap = 0.80", "offset_cap = 8.0"))
    with pytest.raises(ParameterError, match=r"offset_cap: .* less than or equal to 1, found 8.0"):
        propose_document(file)


def test_a_rejection_needs_a_reason(tmp_path: Path) -> None:
    order = ImportOrder(payload(tmp_path, "BTCUSDT"), "binance", DAY)
    name = import_rules(order).proposal.proposal_id
    with pytest.raises(ParameterError, match="a rejection needs a reason"):
        reject_proposal(name, "  ")
    assert reject_proposal(name, "notice taken back").state == "rejected"


def test_who_acts_is_the_login_unless_somebody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert principal() == operating_system_user()
    monkeypatch.setenv("PLIMSOLL_PRINCIPAL", " alice ")
    assert principal() == "alice"


@pytest.mark.parametrize("pair", ["", "BTC-USDT", "=5", "BTC-USDT=0", "BTC-USDT=x", "A=inf"])
def test_the_worth_of_a_contract_is_a_number_above_zero(pair: str) -> None:
    with pytest.raises(ParameterError, match="SCOPE=NOTIONAL"):
        unit_notionals([pair])
    assert unit_notionals(["BTC-USDT=650.5"]) == {"BTC-USDT": 650.5}


def test_the_registry_of_a_home_is_its_own(plimsoll_home: Path) -> None:
    rules_shown(Asked(venue="okx"), DAY)
    assert workplace().database.file == plimsoll_home / "plimsoll.db"
