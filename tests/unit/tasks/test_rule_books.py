"""A rule book comes back from its text, and an altered text is refused."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from engine.errors import StateError
from infra.rules import (
    DEFAULT_PARAMETERS,
    HouseDocument,
    agreements_from,
    read_house_parameters,
    rule_book,
)
from tasks.rule_books import rule_book_content, rule_book_from

AGREEMENTS = pd.DataFrame(
    {
        "netting_set_id": ["NS-2", "NS-1"],
        "effective_date": pd.to_datetime(["2026-01-01", "2025-06-30"]),
        "client_id": ["B", "A"],
        "currency": ["USD", "EUR"],
        "confidence": [0.99, 0.975],
        "threshold": [0.1 + 0.2, 0.0],
        "minimum_transfer_amount": [10_000.0, 0.0],
        "rounding_increment": [1_000.0, 0.01],
        "independent_amount": [0.0, 5.0],
        "cure_hours": [24.0, 4.0],
    }
)


def test_a_rule_book_comes_back_exactly_from_its_text() -> None:
    house, text = read_house_parameters(DEFAULT_PARAMETERS, date(2026, 11, 20))
    rules = rule_book(house, text, agreements_from(AGREEMENTS))
    content = rule_book_content(rules, HouseDocument(file_name="2019-01-01.toml", text=text))
    assert rule_book_from(content, rules.rule_book_hash) == rules


def test_an_altered_text_is_refused_by_its_hash() -> None:
    house, text = read_house_parameters(DEFAULT_PARAMETERS, date(2026, 11, 20))
    rules = rule_book(house, text, agreements_from(AGREEMENTS))
    content = rule_book_content(rules, HouseDocument(file_name="2019-01-01.toml", text=text))
    with pytest.raises(StateError, match="was altered"):
        rule_book_from(content.replace('"confidence":0.99', '"confidence":0.95'), "h")
    with pytest.raises(StateError, match="was altered"):
        rule_book_from(
            content.replace('"confidence":0.99', '"confidence":0.95'), rules.rule_book_hash
        )
