"""The rules over rows that a contract implies, in the order in which they are checked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from data_contracts.contract import (
    AbsentWhere,
    Among,
    AmongWhere,
    Column,
    Contract,
    EqualWhere,
    FixedWhere,
    Kind,
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

LINE_FAULT = "_line_fault"
OBSERVED_AFTER_CLOSE_MAX = timedelta(hours=1)

_READABLE_AS = {
    Kind.IDENTIFIER: "must be text of 1 to 96 letters, digits or : . _ + / -",
    Kind.TEXT: "must be text without surrounding space or control characters",
    Kind.NUMBER: "must be a plain decimal number that float64 can hold",
    Kind.DATE: "must be a date YYYY-MM-DD, at midnight UTC",
    Kind.INSTANT: "must be an ISO 8601 instant with its offset from UTC",
    Kind.FLAG: "must be true or false",
}


def rules_of(contract: Contract, business_date: date | None = None) -> tuple[RowRule, ...]:
    """Return all rules over rows of the contract.

    With a business date, rows must not have been observed later than an hour after its close: an
    observation from the future would pass for fresh for ever.
    """
    rules: list[RowRule] = [WholeLine(LINE_FAULT)]
    for column in contract.columns:
        rules.extend(_column_rules(column))
    if business_date is not None and contract.observed_column is not None:
        latest = close_instant(business_date) + OBSERVED_AFTER_CLOSE_MAX
        rules.append(Timely(contract.observed_column, latest))
    rules.extend(contract.row_rules)
    rules.append(UniqueKey("+".join(contract.key), contract.key))
    return tuple(rules)


def statement(rule: RowRule, contract: Contract) -> str:
    """Return what the rule asks of a row, as a clause for people."""
    match rule:
        case WholeLine():
            return "the line must have as many fields as the header"
        case Required():
            return "must not be empty"
        case Readable(column):
            return _READABLE_AS[contract.column(column).kind]
        case Within():
            return f"must be {_limits(rule)}"
        case Among(_, words):
            return f"must be one of {', '.join(words)}"
        case Timely(_, last):
            return f"must not be after {last.isoformat()}"
        case NotAbove(_, other):
            return f"must not be above {other}"
        case PresentWhere(_, when, words):
            return f"must be present where {when} is {' or '.join(words)}"
        case AbsentWhere(_, when, words):
            return f"must be empty where {when} is {' or '.join(words)}"
        case EqualWhere(_, other, when, words):
            return f"must equal {other} where {when} is {' or '.join(words)}"
        case AmongWhere(_, allowed, when, words):
            return f"must be {' or '.join(allowed)} where {when} is {' or '.join(words)}"
        case FixedWhere(_, number, when, words):
            return f"must be {number:g} where {when} is {' or '.join(words)}"
        case UniqueKey():
            return "key must be unique: rows of one key that differ are all kept out"
        case _:
            raise TypeError(f"no statement for {rule!r}")


def columns_of(rule: RowRule) -> tuple[str, ...]:
    """Return the columns whose values a reason shows."""
    match rule:
        case NotAbove(column, other):
            return (column, other)
        case PresentWhere(column, when, _) | AbsentWhere(column, when, _):
            return (column, when)
        case EqualWhere(column, other, when, _):
            return (column, other, when)
        case AmongWhere(column, _, when, _) | FixedWhere(column, _, when, _):
            return (column, when)
        case UniqueKey(_, columns):
            return columns
        case _:
            return (rule.column,)


def close_instant(business_date: date) -> datetime:
    """Return the instant that ends a UTC business date: the next midnight."""
    following = business_date + timedelta(days=1)
    return datetime(following.year, following.month, following.day, tzinfo=UTC)


def _column_rules(column: Column) -> list[RowRule]:
    rules: list[RowRule] = []
    if not column.optional:
        rules.append(Required(column.name))
    rules.append(Readable(column.name))
    limits = (column.above, column.at_least, column.at_most, column.below)
    if any(limit is not None for limit in limits):
        rules.append(Within(column.name, *limits))
    if column.words:
        rules.append(Among(column.name, column.words))
    return rules


def _limits(rule: Within) -> str:
    parts = []
    if rule.above is not None:
        parts.append(f"above {rule.above:g}")
    if rule.at_least is not None:
        parts.append(f"at least {rule.at_least:g}")
    if rule.at_most is not None:
        parts.append(f"at most {rule.at_most:g}")
    if rule.below is not None:
        parts.append(f"below {rule.below:g}")
    return " and ".join(parts)
