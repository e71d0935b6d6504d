"""The report as JSON: one stable shape, exact amounts as text, ratios and losses as numbers."""

from __future__ import annotations

import json
import math
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias

import numpy as np
import pandas as pd

from infra.report.document import Document

SCHEMA = "plimsoll.report/1"
Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


def report_json(document: Document) -> str:
    """Return the figures of ``document`` as JSON text, the same bytes every time.

    Top-level keys: ``schema``, ``run``, ``reporting_currency``, ``headlines``, ``concerns``,
    ``change`` (null without an earlier close), ``coverage`` (null without a back-test) and
    ``tables``, one list of rows per Parquet table. Exact amounts are strings.
    """
    run = document.inputs.run
    content: dict[str, Json] = {
        "schema": SCHEMA,
        "run": {
            "run_id": run.run_id,
            "business_date": run.business_date.isoformat(),
            "sequence": run.sequence,
            "status": run.status,
            "as_of": f"{run.as_of:%Y-%m-%dT%H:%M:%SZ}",
            "snapshot_id": run.snapshot_id,
            "rule_book_hash": run.rule_book_hash,
            "code_version": run.code_version,
        },
        "reporting_currency": document.reporting.currency,
        "headlines": [
            {
                "key": item.key,
                "label": item.label,
                "shown": item.shown,
                "detail": item.detail,
                "status": item.status,
                "amount": plain(item.amount),
                "change": plain(item.change),
            }
            for item in document.headlines
        ],
        "concerns": [
            {"status": item.status, "text": item.text, "section": item.section}
            for item in document.concerns
        ],
        "change": _change(document),
        "coverage": _coverage(document),
    }
    head = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    tables = [
        f"  {json.dumps(name)}: [{_lines(frame)}]" for name, frame in document.tables().items()
    ]
    return head.removesuffix("\n}") + ',\n "tables": {\n' + ",\n".join(tables) + "\n }\n}\n"


def rows_of(frame: pd.DataFrame) -> list[Json]:
    """Return the rows of a frame as JSON objects."""
    names = [str(name) for name in frame.columns]
    columns = [[plain(value) for value in frame[name].to_list()] for name in frame.columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _lines(frame: pd.DataFrame) -> str:
    """One row a line: people read it, and two reports differ where their rows do."""
    lines = [
        "\n   " + json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows_of(frame)
    ]
    return ",".join(lines) + ("\n  " if lines else "")


def plain(value: object) -> Json:
    """Return a value as JSON has it: exact decimals and dates as text, what is absent as null."""
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, datetime):
        is_day = value.tzinfo is None and value == value.replace(hour=0, minute=0, second=0)
        return f"{value:%Y-%m-%d}" if is_day else f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _change(document: Document) -> Json:
    change = document.change
    if change is None:
        return None
    day = document.inputs.previous_date
    return {
        "previous_date": day.isoformat() if day else None,
        "before": plain(change.before),
        "after": plain(change.after),
        "causes": [{"cause": cause, "amount": amount} for cause, amount in change.causes],
    }


def _coverage(document: Document) -> Json:
    coverage = document.inputs.coverage
    if coverage is None:
        return None
    return {
        "subject": coverage.subject,
        "currency": coverage.currency,
        "confidence": coverage.confidence,
        "n_days": len(coverage.days),
        "n_exceptions": int(coverage.days["exception"].sum()),
        "likelihood_ratio": coverage.likelihood_ratio,
        "p_value": coverage.p_value,
        "zone": coverage.zone,
    }
