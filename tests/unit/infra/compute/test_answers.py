"""One answer per request, whatever the line holds."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import pytest

from engine.errors import ContractViolation, ModelInputError
from infra.compute import answer_line, answer_stream, compute, read_lines
from infra.compute.answers import LINE_BYTES_MAX

CALL: dict[str, Any] = {
    "exposure": 5_000_000,
    "parameters": {"agreement": "one_way", "threshold": 0, "minimum_transfer_amount": 0},
}


def request(inputs: object, calculation: object = "margin_call", **more: object) -> str:
    return json.dumps({"id": "r", "calculation": calculation, "inputs": inputs, **more})


def answered(line: str | bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(answer_line(line))
    return answer


def refused(line: str | bytes) -> str:
    answer = answered(line)
    assert set(answer) == {"id", "error"}
    return str(answer["error"]["type"])


def changed(**fields: object) -> dict[str, Any]:
    return {**CALL, **fields}


def test_answer_carries_the_request_id_and_outputs() -> None:
    answer = answered(request(CALL))
    assert answer["id"] == "r"
    assert answer["outputs"]["transfer_amount"] == 5_000_000.0


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        "3",
        '{"id": "r"}',
        '{"id": "r", "calculation": "margin_call"}',
        '{"id": "r", "calculation": "margin_call", "inputs": []}',
        '{"id": 3, "calculation": "margin_call", "inputs": {}}',
        '{"id": "r", "calculation": "nothing", "inputs": {}}',
        '{"id": "r", "calculation": ["margin_call"], "inputs": {}}',
        '{"id": "r", "calculation": "margin_call", "inputs": {}, "more": 1}',
        '{"id": "r", "id": "s", "calculation": "margin_call", "inputs": {}}',
        '{"id": "r", "calculation": "margin_call", "inputs": {"exposure": 1, "exposure": 2}}',
        '{"id": "r", "calculation": "margin_call", "inputs": ' + "[" * 100_000,
        '{"id": "r", "calculation": "margin_call", "inputs": ' + '{"a":' * 900 + "1" + "}" * 900,
        b"\xff\xfe\x00",
        "\x00",
        '{"id": "\\ud800", "calculation": "x", "inputs": {}}',
    ],
)
def test_line_that_is_no_request_breaks_the_contract(line: str | bytes) -> None:
    assert refused(line) == "ContractViolation"


@pytest.mark.parametrize(
    ("given", "echoed"),
    [('"a b"', "a b"), ("7", 7), ("[1]", None), ("null", None), ("NaN", None), ("1e999", None)],
)
def test_refusal_echoes_the_id_that_can_be_read(given: str, echoed: object) -> None:
    assert answered(f'{{"id": {given}, "calculation": "x"}}')["id"] == echoed


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        changed(exposure=None),
        changed(exposure="5"),
        changed(exposure=True),
        changed(exposure=[1]),
        changed(spot=None),
        changed(collateral={}),
        changed(collateral=[3]),
        changed(collateral=[{"market_value": 1, "hair": 2}]),
        changed(collateral=[{"market_value": 1}], collateral_balance=1),
        changed(parameters={"agreement": 1, "threshold": 0, "minimum_transfer_amount": 0}),
        changed(parameters={**CALL["parameters"], "agreement": "two_way"}),
        # Both kinds of fault: the contract wins.
        changed(exposure=float("nan"), spot=1),
        changed(exposure=float("inf"), parameters={**CALL["parameters"], "threshold": "0"}),
    ],
)
def test_wrong_shape_breaks_the_contract(inputs: object) -> None:
    assert refused(request(inputs)) == "ContractViolation"


@pytest.mark.parametrize(
    "inputs",
    [
        changed(exposure=float("nan")),
        changed(exposure=float("-inf")),
        changed(parameters={**CALL["parameters"], "threshold": -1}),
        changed(parameters={**CALL["parameters"], "agreement": "both_ways"}),
        changed(parameters={**CALL["parameters"], "rounding_increment": 0}),
        changed(collateral=[{"market_value": 1, "haircut": 1.5}]),
        changed(exposure=1e300, collateral=[{"market_value": 1}],
                parameters={**CALL["parameters"], "rounding_increment": 1e-20}),
    ],
)  # fmt: skip
def test_unusable_value_is_a_model_input_error(inputs: object) -> None:
    assert refused(request(inputs)) == "ModelInputError"


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 400, "1" * 5_000])
def test_number_beyond_all_floats_is_a_number_that_is_not_finite(number: str) -> None:
    assert refused(request(CALL).replace("5000000", number)) == "ModelInputError"


def test_null_counts_as_absent() -> None:
    assert "outputs" in answered(request(changed(collateral_balance=None, pending_transfer=None)))


def test_empty_list_is_the_default_and_excludes_nothing() -> None:
    assert "outputs" in answered(request(changed(collateral=[], collateral_balance=7)))


def test_fields_of_another_rule_are_ignored() -> None:
    inputs = {"rule": "floor", "base_margin": 1, "floor_margin": 2, "stress_weight": 25}
    answer = answered(request(inputs, "anti_procyclicality"))
    assert answer["outputs"] == {"initial_margin": 2.0}


@pytest.mark.parametrize(
    ("observations", "kind"),
    [("250.0", None), ("250.5", "ModelInputError"), ('"250"', "ContractViolation"),
     ("true", "ContractViolation"), ("0", "ModelInputError"), ("NaN", "ModelInputError")],
)  # fmt: skip
def test_whole_numbers(observations: str, kind: str | None) -> None:
    line = request({"observations": "N", "confidence": 0.99}, "kupiec_test")
    answer = answered(line.replace('"N"', observations))
    assert answer.get("error", {}).get("type") == kind


@pytest.mark.parametrize(
    ("valuation_date", "kind"),
    [('"2026-02-15"', None), ('"2026-02-30"', "ModelInputError"), ('"20260215"', "ModelInputError"),
     ('"2026-W07-7"', "ModelInputError"), ('"2026-02-15T00:00:00Z"', "ModelInputError"),
     ("20260215", "ContractViolation")],
)  # fmt: skip
def test_dates(valuation_date: str, kind: str | None) -> None:
    line = request({"valuation_date": "D", "direction": "collect", "trades": []}, "schedule_margin")
    answer = answered(line.replace('"D"', valuation_date))
    assert answer.get("error", {}).get("type") == kind


def test_result_beyond_all_floats_is_a_model_input_error() -> None:
    inputs = {"fills": [{"quantity": 1e200, "fill_price": 1e200}], "mark_price": 1}
    assert refused(request(inputs, "position_pnl")) == "ModelInputError"


def test_refusal_names_the_field_the_value_and_the_limit() -> None:
    message = answered(request(changed(collateral=[{"market_value": 1, "haircut": 1.5}])))
    assert "collateral[0].haircut" in message["error"]["message"]
    assert "1.5" in message["error"]["message"]
    assert "less than or equal to 1" in message["error"]["message"]


def test_refusal_of_a_huge_value_stays_short() -> None:
    answer = answer_line(request(changed(exposure="5" * 100_000)))
    assert len(answer) < 1_000


def test_stream_answers_every_request_in_order_and_skips_blank_lines() -> None:
    lines = [request(CALL), "", "no json", "  \n", request(CALL, "nothing"), request(CALL)]
    written: list[str] = []
    summary = answer_stream(lines, written.append)
    assert (summary.n_requests, summary.n_errors) == (4, 2)
    assert [("outputs" in json.loads(each)) for each in written] == [True, False, False, True]
    assert all(each.endswith("\n") and each.count("\n") == 1 for each in written)


def test_line_without_an_end_keeps_memory_bounded_and_spares_the_next_one() -> None:
    stream = io.BytesIO(b"x" * 1_000 + b"\n" + b"next\n" + b"y" * 101)
    assert list(read_lines(stream, line_bytes_max=100)) == [b"x" * 101, b"next\n", b"y" * 101]


def test_line_over_its_bound_is_refused() -> None:
    assert refused(b" " * LINE_BYTES_MAX + b"{}") == "ContractViolation"


def test_line_at_its_bound_is_read() -> None:
    lines = list(read_lines(io.BytesIO(b"x" * 99 + b"\n" + b"z\n"), line_bytes_max=100))
    assert lines == [b"x" * 99 + b"\n", b"z\n"]


def test_compute_in_process_raises_the_errors_themselves() -> None:
    assert compute("margin_call", CALL)["action"] == "call"
    with pytest.raises(ContractViolation, match="unknown calculation"):
        compute("nothing", {})
    with pytest.raises(ModelInputError, match="threshold"):
        compute("margin_call", changed(parameters={**CALL["parameters"], "threshold": -1}))


def test_package_starts_without_pandas_and_scipy() -> None:
    program = (
        "import sys; import infra.compute, infra.compute.calculations.calls as _;"
        "print([name for name in ('pandas', 'scipy', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_module_answers_standard_input() -> None:
    lines = f"{request(CALL)}\nno json\n"
    done = subprocess.run(
        [sys.executable, "-m", "infra.compute"], input=lines, capture_output=True, text=True
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [set(answer) for answer in answers] == [{"id", "outputs"}, {"id", "error"}]
    assert done.returncode == 0
