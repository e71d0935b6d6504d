"""Files are taken over into the registry: one's own over the shipped, whole or not at all."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from engine.errors import ParameterError, StateError
from infra.db import Database
from infra.rule_layers import rules_in_force, take_over_files
from infra.rules import DEFAULT_PARAMETERS, rule_book
from tasks.rule_books import rule_book_content, rule_book_from
from tests.integration.db.test_audit import tamper

DAY = date(2026, 11, 20)
OWN = """
venue = "binance"
effective_date = 2020-01-01
source = "our own reading"
evidence = "inferred"

[[set]]
model = "tiered"
scope = "BTCUSDT"
parameters.rule = "notional_tiers"
parameters.tiers = [{ notional_floor = 0.0, maintenance_margin_rate = 0.05 }]
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    (folder / "venues").mkdir(parents=True)
    (folder / "venues" / "binance.toml").write_text(OWN, encoding="utf-8")
    return folder


def house_text() -> str:
    return (DEFAULT_PARAMETERS / "2019-01-01.toml").read_text(encoding="utf-8")


def rate(database: Database, symbol: str = "BTCUSDT", day: date = DAY) -> float | None:
    found = rules_in_force(database, day).venues.find("binance", "tiered", symbol)
    return found.parameters.tiers[0].maintenance_margin_rate


def test_files_are_taken_over_once(database: Database) -> None:
    assert len(take_over_files(database)) > 200
    assert take_over_files(database) == []
    rules = rules_in_force(database, DAY)
    assert rules.house.file_name == "2019-01-01.toml"
    assert rules.venues.find("deribit", "scenario_grid", "BTC").evidence == "inferred"


def test_a_folder_of_ones_own_lies_over_the_shipped_one_set_by_set(
    database: Database, own: Path
) -> None:
    take_over_files(database, own)
    assert (rate(database), rate(database, "ETHUSDT")) == (0.05, 0.004)
    (own / "venues" / "binance.toml").write_text(OWN.replace("0.05", "0.06"), encoding="utf-8")
    assert len(take_over_files(database, own)) == 1
    assert rate(database) == 0.06
    take_over_files(database)
    assert rate(database) == 0.004


def test_own_house_parameters_reach_back_before_the_shipped_ones(
    database: Database, own: Path
) -> None:
    take_over_files(database)
    with pytest.raises(ParameterError, match="no house parameters are in force on 2017-06-01: add"):
        rules_in_force(database, date(2017, 6, 1))
    text = house_text().replace('effective_date = "2019-01-01"', 'effective_date = "2016-01-01"')
    text = text.replace("offset_cap = 0.80", "offset_cap = 0.50")
    (own / "2016-01-01.toml").write_text(text, encoding="utf-8")
    take_over_files(database, own)
    assert rules_in_force(database, date(2017, 6, 1)).house.parameters().offset_cap == 0.5
    # One's own wins on later dates too, although the shipped file is of a later date.
    assert rules_in_force(database, DAY).house.parameters().offset_cap == 0.5


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("venues/okx.toml", "venue =", "venues/okx.toml: no TOML"),
        ("venues/okx.toml", OWN.replace("0.05", "5.0"), "less than or equal to 1, found 5.0"),
        ("venues/more.toml", OWN, "effective 2020-01-01 is in venues/binance.toml too"),
        ("2020-01-01.toml", None, "effective_date is 2019-01-01, limit: the date of its name"),
        ("2020-01-01.toml", "offset_cap = 2.0", "2020-01-01.toml: "),
    ],
)
def test_a_fault_in_one_file_leaves_every_layer_as_it_was(
    database: Database, own: Path, name: str, text: str | None, named: str
) -> None:
    take_over_files(database)
    (own / name).write_text(house_text() if text is None else text, encoding="utf-8")
    with pytest.raises(ParameterError, match=named):
        take_over_files(database, own)
    assert rate(database) == 0.004
    assert database.parameters.known_files("folder") == {}


def test_a_folder_that_is_none_is_refused(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"PLIMSOLL_PARAMETERS: .* is no folder"):
        take_over_files(database, tmp_path / "absent")


def test_a_rule_book_comes_back_from_its_text_and_the_bodies_that_it_names(
    database: Database, own: Path
) -> None:
    take_over_files(database)
    current = rules_in_force(database, DAY)
    house = current.house.parameters()
    rules = rule_book(house, current.house.text, {}, current.venues)
    content = rule_book_content(rules, current.house)
    # Later changes are nothing to a rule book that is there already.
    take_over_files(database, own)
    bodies = database.parameters.bodies
    assert rule_book_from(content, rules.rule_book_hash, bodies) == rules
    changed = rules_in_force(database, DAY).venues
    other = rule_book(house, current.house.text, {}, changed)
    assert other.rule_book_hash != rules.rule_book_hash
    with pytest.raises(StateError, match="was altered"):
        rule_book_from(content.replace("2024-10-24", "2024-10-25"), rules.rule_book_hash, bodies)
    tamper(
        database,
        "parameter_bodies",
        "UPDATE parameter_bodies SET body = replace(body, '0.004', '0.001')",
    )
    with pytest.raises(StateError, match="were altered"):
        rule_book_from(content, rules.rule_book_hash, bodies)


def test_a_body_that_is_gone_is_named(database: Database) -> None:
    take_over_files(database)
    current = rules_in_force(database, DAY)
    rules = rule_book(current.house.parameters(), current.house.text, {}, current.venues)
    content = rule_book_content(rules, current.house)
    with pytest.raises(ParameterError, match=r"of binance/.* are not in the database: restore"):
        rule_book_from(content, rules.rule_book_hash)
