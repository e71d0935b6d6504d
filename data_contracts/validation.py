"""Check a raw frame against its contract: accepted rows, quarantined rows, reasons, verdict.

In a batch the Great Expectations suite decides about every row and the masks of the same
contract must agree with it; the intraday loop decides by the masks alone. Nothing is repaired:
a row is accepted as written or kept out with its reason.
"""

from __future__ import annotations

from datetime import date
from enum import Enum

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.contract import Contract, RowRule, Window
from data_contracts.masks import applies, fails
from data_contracts.notes import accepted_notes
from data_contracts.preparation import ROW_NUMBER, Note, Prepared, empty_frame, prepare
from data_contracts.quarantine import REASON, quarantined_rows
from data_contracts.reading import BoolArray, Code, as_text
from data_contracts.results import CheckResult, Validation
from data_contracts.rules import rules_of, statement


class Judge(Enum):
    """Who decides about the rows."""

    GREAT_EXPECTATIONS = "the suite, held against the masks"
    MASKS = "the masks alone"


class VerdictsDiffer(AssertionError):
    """The suite and the masks disagree about a row: a bug, caught nowhere."""


def validate(
    contract: Contract,
    frame: pd.DataFrame,
    business_date: date | None = None,
    judge: Judge = Judge.GREAT_EXPECTATIONS,
) -> Validation:
    """Return the accepted and the quarantined rows of ``frame``, with the outcome of every rule.

    Parameters
    ----------
    contract : Contract
        From ``data_contracts.registry.contract``.
    frame : pandas.DataFrame
        As a source delivers it: typed columns, or text as it was written. A column ``_row``
        numbers the rows for people, ``_line_fault`` marks lines that could not be split.
    business_date : date, optional
        Date being closed: rows of other dates are set aside, and no row may have been observed
        later than an hour after the close.
    judge : Judge
        Who decides about the rows.

    Raises
    ------
    VerdictsDiffer
        If suite and masks disagree: a bug.
    """
    prepared = prepare(contract, frame, business_date)
    if prepared.missing:
        return _refused_for_columns(contract, prepared)
    rules = rules_of(prepared.contract, business_date)
    failing = [fails(rule, prepared) for rule in rules]
    batch: list[CheckResult] = []
    if judge is Judge.GREAT_EXPECTATIONS:
        failing, batch = _suite_verdict(prepared, business_date, rules, failing)
    bad = np.zeros(len(prepared.frame), dtype=bool)
    for mask in failing:
        bad |= mask
    accepted, set_aside = _accepted(contract, prepared, bad)
    quarantined = quarantined_rows(prepared, rules, failing, bad)
    n_judged, n_bad = len(bad), int(bad.sum())
    checks = [
        *(_row_check(prepared, rule, mask) for rule, mask in zip(rules, failing, strict=True)),
        *_threshold_checks(contract, n_judged, n_bad, len(accepted)),
        *batch,
        *(_note_check(contract, note) for note in (*prepared.notes, *set_aside)),
        *(_note_check(contract, note) for note in accepted_notes(contract, accepted)),
    ]
    refusal = _refusal(contract, quarantined, n_judged, len(accepted))
    return Validation(
        contract.dataset, accepted, quarantined, tuple(checks), refusal, len(prepared.raw)
    )


def faults(contract: Contract, validation: Validation, business_date: date) -> pd.DataFrame:
    """Return what validation kept out, as the snapshot records it.

    Columns ``dataset``, ``identifier`` (the contract's identifier column as written) and
    ``reason``. A quarantined row of an earlier day of a history is a gap, not a fault: only rows
    of the business date, and rows whose date cannot be read, leave their identifier without data.
    """
    rows = validation.quarantined
    if contract.window is Window.UP_TO_DATE:
        dated = contract.date_column
        if dated not in rows.columns and contract.finer is not None:
            dated = contract.finer.date_column
        if dated in rows.columns:
            written = rows[dated].fillna("")
            readable = written.str.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
            rows = rows[~readable | (written.str.slice(0, 10) >= business_date.isoformat())]
    named = contract.identifier in rows.columns
    identifiers = list(rows[contract.identifier].fillna("")) if named else [""] * len(rows)
    return pd.DataFrame(
        {
            "dataset": pd.Series([validation.dataset] * len(rows), dtype="str"),
            "identifier": pd.Series(identifiers, dtype="str"),
            "reason": pd.Series(list(rows[REASON]), dtype="str"),
        }
    )


def _suite_verdict(
    prepared: Prepared,
    business_date: date | None,
    rules: tuple[RowRule, ...],
    by_masks: list[BoolArray],
) -> tuple[list[BoolArray], list[CheckResult]]:
    # Great Expectations is slow to import, so it is loaded where a batch needs it.
    from data_contracts.suites import suite_verdict

    dataset = prepared.contract.dataset
    verdict = suite_verdict(prepared, business_date)
    for rule, by_suite, by_mask in zip(rules, verdict.fails, by_masks, strict=True):
        if not np.array_equal(by_suite, by_mask):
            row = int(prepared.row_numbers[np.flatnonzero(by_suite != by_mask)[0]])
            raise VerdictsDiffer(f"{dataset}: row {row}: suite and mask differ on {rule!r}")
    batch = [
        _check(dataset, check.rule, check.column, "batch",
               counts=(check.n_evaluated, check.n_failed), passed=check.passed, detail=check.detail)
        for check in verdict.batch
    ]  # fmt: skip
    return list(verdict.fails), batch


def _accepted(
    contract: Contract, prepared: Prepared, bad: BoolArray
) -> tuple[pd.DataFrame, list[Note]]:
    notes: list[Note] = []
    good = prepared.frame[~bad] if bad.any() else prepared.frame
    key = list(prepared.contract.key)
    order = _order(good, key)
    n_moved = int((order != np.arange(len(order))).sum())
    ordered = good.iloc[order] if n_moved else good
    if n_moved:
        detail = f"rows out of their place by {', '.join(key)}: sorted"
        notes.append(Note("sorted", "+".join(key), len(good), n_moved, detail))
    if prepared.contract is not contract:
        ordered, note = _last_of_day(contract, prepared.contract, ordered)
        notes.append(note)
    return ordered.reset_index(drop=True), notes


def _order(frame: pd.DataFrame, key: list[str]) -> npt.NDArray[np.int64]:
    """Return the places of the rows in the order of the key, stable."""
    parts = []
    for name in key:
        cells = frame[name]
        is_text = isinstance(cells.dtype, pd.StringDtype)
        # Categories are sorted, so their numbers have the order of the texts.
        codes = cells.astype("category").cat.codes if is_text else cells.astype("int64")
        parts.append(codes.to_numpy())
    return np.lexsort(parts[::-1])


def _last_of_day(
    contract: Contract, finer: Contract, ordered: pd.DataFrame
) -> tuple[pd.DataFrame, Note]:
    coarse_date, instant = str(contract.date_column), str(finer.date_column)
    days = ordered[instant].dt.tz_localize(None).dt.floor("D").astype("datetime64[ms]")
    by_time = ordered.assign(**{coarse_date: days}).sort_values(instant, kind="stable")
    key = list(contract.key)
    last = by_time.drop_duplicates(key, keep="last").sort_values(key)
    detail = "rows earlier than the last accepted one of their UTC day: set aside"
    note = Note("last_of_day", instant, len(ordered), len(ordered) - len(last), detail)
    return last[[column.name for column in contract.columns]], note


def _refused_for_columns(contract: Contract, prepared: Prepared) -> Validation:
    n_rows = len(prepared.raw)
    labels = list(prepared.raw.columns)
    twice = [name for name in prepared.missing if labels.count(name) > 1]
    absent = [name for name in prepared.missing if name not in twice]
    parts = [f"required columns {', '.join(absent)} are absent"] if absent else []
    parts += [f"columns {', '.join(twice)} occur twice"] if twice else []
    found = ", ".join(label for label in labels if not label.startswith("_")) or "none"
    detail = f"{' and '.join(parts)}; columns found: {found}"
    refusal = f"{contract.dataset} is refused: {detail}"
    unique = prepared.raw.loc[:, ~prepared.raw.columns.duplicated()]
    rows = pd.DataFrame({label: as_text(unique[label]) for label in unique.columns})
    rows[ROW_NUMBER] = prepared.row_numbers
    rows[REASON] = pd.Series([refusal] * n_rows, dtype="str")
    counts = (len(prepared.contract.columns), len(prepared.missing))
    columns = _check(
        contract.dataset, "columns", "", "batch", counts=counts, passed=False, detail=detail
    )
    checks = (columns, *(_note_check(contract, note) for note in prepared.notes))
    return Validation(contract.dataset, empty_frame(contract), rows, checks, refusal, n_rows)


def _refusal(
    contract: Contract, quarantined: pd.DataFrame, n_judged: int, n_accepted: int
) -> str | None:
    threshold = contract.threshold
    n_bad = len(quarantined)
    first = f"; first: {quarantined[REASON].iloc[0]}" if n_bad else ""
    if _too_many(contract, n_judged, n_bad):
        return (
            f"{contract.dataset} is refused: {n_bad:,} of {n_judged:,} rows "
            f"({n_bad / n_judged:.2%}) are quarantined, limit "
            f"{threshold.quarantined_share_max:.2%}{first}"
        )
    if n_accepted < threshold.accepted_rows_min:
        return (
            f"{contract.dataset} is refused: {n_accepted:,} of {n_judged:,} rows are accepted, "
            f"at least {threshold.accepted_rows_min:,} needed{first}"
        )
    return None


def _too_many(contract: Contract, n_judged: int, n_bad: int) -> bool:
    threshold = contract.threshold
    return n_bad > max(threshold.quarantined_rows_free, threshold.quarantined_share_max * n_judged)


def _row_check(prepared: Prepared, rule: RowRule, mask: BoolArray) -> CheckResult:
    contract = prepared.contract
    counts = (int(applies(rule, prepared).sum()), int(mask.sum()))
    detail = statement(rule, contract) + _by_code(prepared, rule, mask)
    column = "" if rule.name == "whole_line" else rule.column
    return _check(
        contract.dataset, rule.name, column, "row",
        counts=counts, passed=counts[1] == 0, detail=detail,
    )  # fmt: skip


def _by_code(prepared: Prepared, rule: RowRule, mask: BoolArray) -> str:
    if rule.name != "readable" or not mask.any():
        return ""
    codes, counts = np.unique(prepared.codes[rule.column][mask], return_counts=True)
    words = [
        f"{count:,} {Code(int(code)).name.lower().replace('_', ' ')}"
        for code, count in zip(codes, counts, strict=True)
    ]
    return f" ({', '.join(words)})"


def _threshold_checks(
    contract: Contract, n_judged: int, n_bad: int, n_accepted: int
) -> list[CheckResult]:
    threshold = contract.threshold
    dataset = contract.dataset
    share = (
        f"at most {threshold.quarantined_share_max:.2%} of the rows quarantined, "
        f"{threshold.quarantined_rows_free} always free"
    )
    least = f"at least {threshold.accepted_rows_min} rows accepted"
    n_columns = len(contract.columns)
    return [
        _check(dataset, "columns", "", "batch", counts=(n_columns, 0), passed=True,
               detail="all required columns are there"),
        _check(dataset, "quarantined_share", "", "batch", counts=(n_judged, n_bad),
               passed=not _too_many(contract, n_judged, n_bad), detail=share),
        _check(dataset, "accepted_rows", "", "batch", counts=(n_judged, n_judged - n_accepted),
               passed=n_accepted >= threshold.accepted_rows_min, detail=least),
    ]  # fmt: skip


def _note_check(contract: Contract, note: Note) -> CheckResult:
    return _check(
        contract.dataset, note.rule, note.column, "note",
        counts=(note.n_evaluated, note.n_found), passed=True, detail=note.detail,
    )  # fmt: skip


def _check(
    dataset: str,
    rule: str,
    column: str,
    kind: str,
    *,
    counts: tuple[int, int],
    passed: bool,
    detail: str,
) -> CheckResult:
    n_evaluated, n_failed = counts
    share = n_failed / n_evaluated if n_evaluated else 0.0
    return CheckResult(dataset, rule, column, kind, n_evaluated, n_failed, share, passed, detail)
