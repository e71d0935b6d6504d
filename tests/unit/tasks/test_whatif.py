"""What a command line asks: candidates from options and files."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ContractViolation, MissingDataError
from tasks.whatif import candidates_from

ORDERS, TRANSFERS = ("buy 1 X", "sell 2 Y"), ("5 USDT in",)


def test_options_are_one_candidate_together() -> None:
    (found,) = candidates_from(ORDERS, TRANSFERS, None, each_alone=False)
    assert (len(found.orders), len(found.transfers)) == (2, 1)


def test_options_are_one_candidate_each_where_that_is_asked() -> None:
    found = candidates_from(ORDERS, TRANSFERS, None, each_alone=True)
    assert [each.candidate_id for each in found] == ["1", "2", "3"]
    assert [len(each.orders) for each in found] == [1, 1, 0]


def test_candidates_of_a_file_follow_those_of_the_options(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_text("what\nbuy 3 Z\n", encoding="utf-8")
    found = candidates_from(ORDERS, (), file, each_alone=False)
    assert [each.candidate_id for each in found] == ["1", "line 2"]


@pytest.mark.parametrize(
    ("orders", "transfers", "message"),
    [
        ((), (), "nothing is asked: give --order, --transfer or --candidates"),
        (("hold 3 X",), (), "'hold 3 X' is no order: write buy|sell QUANTITY INSTRUMENT"),
        ((), ("3 X sideways",), "'3 X sideways' is no transfer"),
        ((), ("buy 3 X",), "'buy 3 X' is no transfer"),
    ],
)
def test_what_cannot_be_read_is_refused_before_anything_is_loaded(
    orders: tuple[str, ...], transfers: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ContractViolation) as found:
        candidates_from(orders, transfers, None, each_alone=False)
    assert message in str(found.value)


def test_missing_file_is_named() -> None:
    with pytest.raises(MissingDataError, match=r"no file gone\.csv"):
        candidates_from((), (), Path("gone.csv"), each_alone=False)
