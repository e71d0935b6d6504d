"""House parameters that cannot be meant are refused whole, with file, key and what was found."""

from __future__ import annotations

import pytest

from engine.acceptance import UNSTATED
from engine.errors import ParameterError
from infra.report.parameters import parameter_table
from infra.rule_changes import flattened
from infra.rules import DEFAULT_PARAMETERS, HouseDocument, parse_house_parameters, rule_book

NAME = "2019-01-01.toml"
SHIPPED = (DEFAULT_PARAMETERS / NAME).read_text(encoding="utf-8")
HAIRCUT = "fx_haircut = "


def changed(line: str, new: str) -> str:
    """Return the shipped text with the first line that begins with ``line`` replaced."""
    lines = SHIPPED.splitlines()
    (place, *_) = [number for number, one in enumerate(lines) if one.startswith(line)]
    lines[place] = new
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("fx_haircut = 1.5", "fx_haircut"),
        ("fx_haircut = -0.5", "fx_haircut"),
        ("fx_haircut = nan", "fx_haircut"),
        ("fx_haircut = inf", "fx_haircut"),
        ('fx_haircut = "0.08"', "fx_haircut"),
        ("fx_haircut = true", "fx_haircut"),
        ("fx_haircut = 12:30:45", "a valid number, found '12:30:45'"),
        ("fx_haircut = NO", "no TOML"),
        ("fx_haircut = 0.08\nfx_haircut = 0.5", r"no TOML: .*line \d+"),
        ("fx_haircutt = 0.08", "fx_haircutt"),
    ],
)
def test_i34_a_parameter_that_cannot_be_meant_is_refused_by_name(new: str, words: str) -> None:
    with pytest.raises(ParameterError, match=words) as caught:
        parse_house_parameters(changed(HAIRCUT, new), NAME)
    assert NAME in str(caught.value)


def test_the_shipped_parameters_are_in_range() -> None:
    assert parse_house_parameters(SHIPPED, NAME) == parse_house_parameters(SHIPPED, "copy.toml")


@pytest.mark.parametrize(
    ("line", "new", "words"),
    [
        (
            "n_sources_min",
            "n_sources_min = 2",
            "n_sources_min.*greater than or equal to 3, found 2",
        ),
        ("band_minor", "band_minor = 0.01", "band_minor is 0.01, limit at least band_major, 0.02"),
        ("band_major", "band_major = 1.0", "band_major.*less than 1, found 1"),
        (
            "frozen_sec",
            "frozen_seconds_max = 29.0",
            "frozen_seconds_max is 29, limit at least mark",
        ),
        ("redemption", "redemption_value = { USDC = 0.0 }", "USDC.*greater than 0, found 0"),
        ("confirm_sec", "", "acceptance.confirm_seconds: Field required"),
        ("jump_max", "jump_max = 0.1\njump_min = 0.1", "jump_min"),
    ],
)
def test_i34_a_limit_of_prices_that_cannot_be_meant_is_refused_by_name(
    line: str, new: str, words: str
) -> None:
    with pytest.raises(ParameterError, match=words) as caught:
        parse_house_parameters(changed(line, new), NAME)
    assert NAME in str(caught.value) and "acceptance" in str(caught.value)


def test_which_prices_are_believed_is_named_by_the_rule_book_and_shown() -> None:
    text = changed("band_minor", "band_minor = 0.06")
    before, after = parse_house_parameters(SHIPPED, NAME), parse_house_parameters(text, NAME)
    assert before.acceptance is not None and after.acceptance is not None
    assert (before.acceptance.band_minor, after.acceptance.band_minor) == (0.05, 0.06)
    hashes = {
        rule_book(before, SHIPPED, {}).rule_book_hash,
        rule_book(after, text, {}).rule_book_hash,
    }
    assert len(hashes) == 2
    paths = [flattened(HouseDocument(file_name=NAME, text=one)) for one in (SHIPPED, text)]
    assert {key for key in paths[0] if paths[0][key] != paths[1][key]} == {"acceptance.band_minor"}
    shown = parameter_table(after).set_index(["section", "key"])["value"]
    assert shown["acceptance", "band_minor"] == "0.06"


def test_a_rule_book_from_before_there_were_such_limits_keeps_those_that_counted() -> None:
    began = SHIPPED.index("[acceptance]")
    old = SHIPPED[:began] + SHIPPED[SHIPPED.index("[ladder.warn]") :]
    assert parse_house_parameters(old, NAME).acceptance is None
    assert parse_house_parameters(SHIPPED, NAME).acceptance == UNSTATED
