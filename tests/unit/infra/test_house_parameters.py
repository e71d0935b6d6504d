"""House parameters that cannot be meant are refused whole, with file, key and what was found."""

from __future__ import annotations

import pytest

from engine.errors import ParameterError
from infra.rules import DEFAULT_PARAMETERS, parse_house_parameters

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
