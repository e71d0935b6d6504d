"""Great Expectations suites made from contracts, and the verdict that they give.

The suite sees the canonical columns, instants as UTC without their zone, and beside each column
``<name>.reading``: how its cells were read. Cells that could not be read are empty in the column.
"""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts._gx import great_expectations
from data_contracts.contract import (
    AbsentWhere,
    Among,
    AmongWhere,
    Contract,
    EqualWhere,
    FixedWhere,
    NotAbove,
    PresentWhere,
    Readable,
    Required,
    RowRule,
    Timely,
    UniqueKey,
    WholeLine,
    Within,
)
from data_contracts.preparation import Prepared
from data_contracts.reading import BoolArray, Code
from data_contracts.rules import columns_of, rules_of

READING = ".reading"
# Great Expectations keeps its current context in a global.
_LOCK = threading.Lock()
_FAULTY = [int(code) for code in Code if code > Code.EMPTY]


@dataclass(frozen=True, slots=True)
class BatchCheck:
    """The outcome of an expectation over the whole dataset that keeps no row out."""

    rule: str
    column: str
    passed: bool
    n_evaluated: int
    n_failed: int
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class SuiteVerdict:
    """Rows that break each rule, in the order of ``rules_of``, and the checks of the batch."""

    fails: tuple[BoolArray, ...]
    batch: tuple[BatchCheck, ...]


class SuiteFailed(RuntimeError):
    """Great Expectations could not evaluate an expectation: no verdict may rest on it."""


def contract_suite(
    contract: Contract, business_date: date | None = None, batch_expectations: tuple[Any, ...] = ()
) -> Any:
    """Return the ``ExpectationSuite`` of the contract's rules and of ``batch_expectations``.

    Each expectation carries ``meta["rules"]``: the place in ``rules_of`` of each rule that it
    decides, by name. Those of the batch carry ``meta["batch"]`` instead, what they look for.
    """
    gx = great_expectations()
    places: dict[str, dict[str, int]] = {}
    expectations = []
    for place, rule in enumerate(rules_of(contract, business_date)):
        if isinstance(rule, Required | Readable | WholeLine):
            places.setdefault(rule.column, {})[rule.name] = place
        else:
            expectations.append(_expectation(rule, {"rules": {rule.name: place}}))
    readings = [_reading_expectation(column, rules) for column, rules in places.items()]
    return gx.root.ExpectationSuite(
        name=f"{contract.dataset}_v{contract.version}",
        expectations=[*readings, *expectations, *batch_expectations],
    )


def suite_of(contract: Contract, business_date: date | None = None) -> Any:
    """Return the suite that the dataset's ``suite.py`` makes of ``contract``."""
    module = importlib.import_module(f"data_contracts.{contract.dataset}.v{contract.version}.suite")
    return module.suite(contract, business_date)


def suite_verdict(prepared: Prepared, business_date: date | None = None) -> SuiteVerdict:
    """Return what the dataset's suite says about the prepared rows.

    Raises
    ------
    SuiteFailed
        If an expectation ended in an exception.
    """
    rules = rules_of(prepared.contract, business_date)
    outcome = _outcome(prepared, business_date)
    fails: list[BoolArray] = [np.zeros(len(prepared.frame), dtype=bool) for _ in rules]
    seen: set[int] = set()
    checks = []
    for result in outcome.results:
        config = result.expectation_config
        if result.exception_info.get("raised_exception", True):
            raise SuiteFailed(
                f"{prepared.contract.dataset}: {config.type}: {result.exception_info}"
            )
        if "batch" in config.meta:
            checks.append(_batch_check(config, result))
            continue
        for name, place in config.meta["rules"].items():
            seen.add(place)
            fails[place][_failing_rows(name, config, result.result)] = True
    if len(seen) != len(rules):
        raise SuiteFailed(f"{prepared.contract.dataset}: {len(seen)} of {len(rules)} rules checked")
    return SuiteVerdict(tuple(fails), tuple(sorted(checks, key=lambda c: (c.rule, c.column))))


def _failing_rows(rule_name: str, config: Any, found: Any) -> npt.NDArray[np.int64]:
    rows = np.array(found.get("unexpected_index_list") or [], dtype=np.int64)
    if len(config.meta["rules"]) > 1:
        # One expectation looks at how cells were read; the code says which rule that breaks.
        is_empty = np.array(found.get("unexpected_list") or [], dtype=np.int64) == Code.EMPTY
        rows = rows[is_empty if rule_name == "required" else ~is_empty]
    return rows


def _outcome(prepared: Prepared, business_date: date | None) -> Any:
    gx = great_expectations()
    with _LOCK:
        context = gx.root.get_context(mode="ephemeral")
        context.variables.progress_bars = gx.progress_bars(globally=False)
        suite = suite_of(prepared.contract, business_date)
        frame = _columns_seen(prepared, suite, business_date)
        asset = context.data_sources.add_pandas("memory").add_dataframe_asset("rows")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
        return batch.validate(suite, result_format="COMPLETE")


def _columns_seen(prepared: Prepared, suite: Any, business_date: date | None) -> pd.DataFrame:
    """Return the columns that the suite looks at, and how every cell was read.

    Great Expectations copies the whole frame for each column with empty cells, so columns that
    no rule needs stay out and texts go as categories, which are copied as numbers.
    """
    needed = {e.column for e in suite.expectations if "batch" in e.meta}
    compared: set[str] = set()
    for rule in rules_of(prepared.contract, business_date):
        if not isinstance(rule, Required | Readable | WholeLine):
            needed.update(columns_of(rule))
        if isinstance(rule, EqualWhere):
            compared.update((rule.column, rule.other))
    columns: dict[str, Any] = {}
    for name in prepared.frame.columns:
        if name in needed:
            cells = prepared.frame[name]
            if isinstance(cells.dtype, pd.DatetimeTZDtype):
                cells = cells.dt.tz_localize(None)
            elif isinstance(cells.dtype, pd.StringDtype) and name not in compared:
                cells = cells.astype("category")
            columns[name] = cells
    for name, codes in prepared.codes.items():
        columns[f"{name}{READING}"] = codes
    return pd.DataFrame(columns, index=prepared.frame.index)


def _batch_check(config: Any, result: Any) -> BatchCheck:
    found = result.result
    n_evaluated = int(found.get("element_count") or 0) - int(found.get("missing_count") or 0)
    observed = found.get("observed_value")
    detail = str(config.meta["batch"])
    if observed is not None:
        detail += f"; observed {_plain(observed)}"
    return BatchCheck(
        rule=str(config.meta.get("name", config.type)),
        column=str(config.kwargs.get("column", "")),
        passed=bool(result.success),
        n_evaluated=n_evaluated,
        n_failed=int(found.get("unexpected_count") or 0),
        detail=detail,
    )


def _plain(observed: Any) -> str:
    if isinstance(observed, int | float | np.number):
        return f"{float(observed):g}"
    return str(observed)


def _reading_expectation(column: str, places: dict[str, int]) -> Any:
    unwanted = [*([int(Code.EMPTY)] if "required" in places else []), *_FAULTY]
    return great_expectations().expectations.ExpectColumnValuesToNotBeInSet(
        column=column + READING, value_set=unwanted, meta={"rules": places}
    )


def _expectation(rule: RowRule, meta: dict[str, Any]) -> Any:
    gx = great_expectations()
    kinds = gx.expectations
    match rule:
        case Within(column, above, at_least, at_most, below):
            return kinds.ExpectColumnValuesToBeBetween(
                column=column,
                min_value=above if above is not None else at_least,
                strict_min=above is not None,
                max_value=below if below is not None else at_most,
                strict_max=below is not None,
                meta=meta,
            )
        case Among(column, words):
            return kinds.ExpectColumnValuesToBeInSet(
                column=column, value_set=list(words), meta=meta
            )
        case Timely(column, last):
            latest = last.astimezone(UTC).replace(tzinfo=None)
            return kinds.ExpectColumnValuesToBeBetween(column=column, max_value=latest, meta=meta)
        case NotAbove(column, other):
            return kinds.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=other,
                column_B=column,
                or_equal=True,
                ignore_row_if="either_value_is_missing",
                meta=meta,
            )
        case UniqueKey(_, columns) if len(columns) == 1:
            return kinds.ExpectColumnValuesToBeUnique(column=columns[0], meta=meta)
        case UniqueKey(_, columns):
            return kinds.ExpectCompoundColumnsToBeUnique(
                column_list=list(columns), ignore_row_if="any_value_is_missing", meta=meta
            )
        case _:
            return _conditional_expectation(rule, meta)


def _conditional_expectation(rule: RowRule, meta: dict[str, Any]) -> Any:
    gx = great_expectations()
    kinds = gx.expectations
    match rule:
        case PresentWhere(column, when, words):
            return kinds.ExpectColumnValuesToNotBeInSet(
                column=column + READING,
                value_set=[int(Code.EMPTY)],
                row_condition=gx.condition_on(when).is_in(list(words)),
                meta=meta,
            )
        case AbsentWhere(column, when, words):
            return kinds.ExpectColumnValuesToBeInSet(
                column=column + READING,
                value_set=[int(Code.EMPTY)],
                row_condition=gx.condition_on(when).is_in(list(words)),
                meta=meta,
            )
        case EqualWhere(column, other, when, words):
            return kinds.ExpectColumnPairValuesToBeEqual(
                column_A=column,
                column_B=other,
                ignore_row_if="either_value_is_missing",
                row_condition=gx.condition_on(when).is_in(list(words)),
                meta=meta,
            )
        case AmongWhere(column, allowed, when, words):
            return kinds.ExpectColumnValuesToBeInSet(
                column=column,
                value_set=list(allowed),
                row_condition=gx.condition_on(when).is_in(list(words)),
                meta=meta,
            )
        case FixedWhere(column, number, when, words):
            return kinds.ExpectColumnValuesToBeBetween(
                column=column,
                min_value=number,
                max_value=number,
                row_condition=gx.condition_on(when).is_in(list(words)),
                meta=meta,
            )
        case _:
            raise TypeError(f"no expectation for {rule!r}")
