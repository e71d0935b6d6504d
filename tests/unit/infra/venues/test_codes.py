"""Codes of Binance and OKX mean one thing each, and what is not known is no refusal."""

from __future__ import annotations

import inspect
import re

import pytest

from engine.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from infra.venues.binance import codes as binance
from infra.venues.okx import codes as okx
from infra.venues.verdicts import Refusal, error_of


@pytest.mark.parametrize("module", [binance, okx])
def test_no_code_of_one_table_has_two_verdicts(module: object) -> None:
    source = inspect.getsource(module)  # type: ignore[arg-type]
    for block in re.findall(r"table\((.*?)\n\s*\)", source, re.DOTALL):
        codes = re.findall(r"-?\d{4,6}", block)
        assert len(codes) == len(set(codes))


@pytest.mark.parametrize("code", ["-1000", "-1001", "-1006", "-1007", "-1", "-9999"])
@pytest.mark.parametrize("path", ["/fapi/v1/order", "/sapi/v1/asset/transfer"])
def test_binance_codes_that_leave_the_outcome_open_have_no_verdict(code: str, path: str) -> None:
    assert binance.verdict(path, code, "An unknown error occurred.", 400) is None


@pytest.mark.parametrize("code", ["50004", "50005", "50013", "50026", "58007", "58112", "58124"])
def test_okx_codes_that_leave_the_outcome_open_have_no_verdict(code: str) -> None:
    assert okx.verdict(code, 200) is None


def test_a_server_fault_proves_nothing_but_what_says_so() -> None:
    assert binance.verdict("/fapi/v1/order", "-2019", "Margin is insufficient.", 500) is None
    assert binance.verdict("/fapi/v1/order", "-1008", "busy", 503) == "throttled"
    assert binance.verdict("/fapi/v1/order", "-1", "System is under maintenance.", 503) == (
        "maintenance"
    )
    assert okx.verdict("51008", 500) is None and okx.verdict("50001", 503) == "maintenance"


def test_one_number_means_another_thing_on_another_path() -> None:
    assert binance.verdict("/fapi/v1/order", "-4023", "", 400) == "limit"
    assert binance.verdict("/sapi/v1/capital/withdraw/apply", "-4026", "", 400) == "funds"
    assert binance.verdict("/fapi/v1/order", "-4026", "", 400) is None


def test_a_repeated_client_id_is_known_by_its_words() -> None:
    assert okx.verdict("58129", 200, "clientId is duplicated.") == "duplicate_key"
    assert okx.verdict("58129", 200, "Parameter type is incorrect.") == "other"


@pytest.mark.parametrize(("is_write", "kind"), [(True, OutcomeUnknown), (False, VenueUnavailable)])
def test_without_a_verdict_a_write_is_unknown_and_a_read_unavailable(
    is_write: bool, kind: type[Exception]
) -> None:
    refusal = Refusal(name="r", code="-9999", message="new", is_write=is_write)
    error = error_of(refusal, None)
    assert type(error) is kind and error.code == "-9999"
    assert isinstance(error_of(refusal, "funds"), VenueRejected)
