"""The first thing a committee reads: headline figures and what needs its attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from engine.money import MONEY_CONTEXT
from infra.report.amounts import count, short, signed, total
from infra.report.inputs import Coverage

GOOD, WATCH, ACT, PLAIN = "good", "watch", "act", "plain"


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure of the summary.

    ``amount`` is exact and None where the figure is a count or a verdict; ``shown`` is what people
    read, ``detail`` the line below it; ``change`` is against the previous date, exact or None.
    ``status`` is one of good, watch, act and plain.
    """

    key: str
    label: str
    shown: str
    detail: str
    status: str = PLAIN
    amount: Decimal | None = None
    change: Decimal | None = None
    section: str = ""


@dataclass(frozen=True, slots=True)
class Concern:
    """A sentence about what needs attention, with the section that shows it."""

    status: str
    text: str
    section: str


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """Today's and, where known, the previous date's netting sets in the reporting currency."""

    netting_sets: pd.DataFrame
    previous: pd.DataFrame | None
    currency: str


def money_headlines(book: Book) -> list[Headline]:
    """Return requirement, collateral, deficit, calls and returns, with their changes."""
    today, previous = book.netting_sets, book.previous
    return [
        _sum(book, "requirement", "Total requirement", "requirement_reported"),
        _sum(book, "collateral_value", "Collateral value", "collateral_value_reported"),
        _deficit(book),
        _decision(today, previous, "call", "Margin calls", book.currency),
        _decision(today, previous, "return", "Returns of excess", book.currency),
    ]


def status_headline(book: Book) -> Headline:
    """Return how many netting sets are held or failed, with the previous date's number."""
    counts = _status_counts(book.netting_sets)
    shown = f"{count(counts['held'])} held · {count(counts['failed'])} failed"
    detail = f"of {count(len(book.netting_sets))} netting sets"
    if book.previous is not None:
        before = _status_counts(book.previous)
        detail += f"; before {count(before['held'])} and {count(before['failed'])}"
    status = ACT if counts["failed"] else WATCH if counts["held"] else GOOD
    return Headline("status", "Held and failed", shown, detail, status, section="held-failed")


def break_headline(breaks: pd.DataFrame) -> Headline:
    """Return the number of open breaks and the age of the oldest."""
    n_sets = breaks["netting_set_id"].nunique()
    detail = f"in {count(n_sets)} netting sets" if n_sets else "books agree"
    if "age_days" in breaks and len(breaks) and breaks["age_days"].notna().any():
        oldest = int(breaks["age_days"].max())
        detail += f"; oldest {oldest} day{'' if oldest == 1 else 's'}"
    status = WATCH if len(breaks) else GOOD
    return Headline("breaks", "Open breaks", count(len(breaks)), detail, status, section="breaks")


def quality_headline(checks: pd.DataFrame | None, counts: pd.DataFrame | None) -> Headline:
    """Return the verdict on the data: refused, rows quarantined, or clean."""
    if checks is None:
        return Headline(
            "quality", "Data quality", "Not shown", "no checks recorded", WATCH, section="quality"
        )
    n_failed = int((~checks["passed"].astype(bool)).sum())
    n_rows = int(counts["n_quarantined"].sum()) if counts is not None else 0
    detail = f"{count(n_failed)} of {count(len(checks))} rules broken"
    if n_rows:
        shown = f"{count(n_rows)} row{'' if n_rows == 1 else 's'}"
        detail = f"quarantined; {detail}"
    else:
        shown = "Clean" if not n_failed else f"{count(n_failed)} rules broken"
    status = GOOD if not n_failed and not n_rows else WATCH
    return Headline("quality", "Data quality", shown, detail, status, section="quality")


def coverage_headline(coverage: Coverage | None) -> Headline:
    """Return the back-test's verdict: zone, exceptions and expected number."""
    if coverage is None:
        return Headline(
            "coverage", "Model coverage", "Not tested", "no back-test given", section="coverage"
        )
    n_days, n_exceptions = len(coverage.days), int(coverage.days["exception"].sum())
    expected = (1.0 - coverage.confidence) * n_days
    status = {"green": GOOD, "yellow": WATCH}.get(coverage.zone, ACT)
    return Headline(
        "coverage",
        "Model coverage",
        coverage.zone.capitalize(),
        f"with {count(n_exceptions)} exceptions in {count(n_days)} days, {expected:.1f} expected; "
        f"Kupiec p {coverage.p_value:.2f}",
        status,
        section="coverage",
    )


def concerns(book: Book, headlines: Sequence[Headline], breaks: pd.DataFrame) -> list[Concern]:
    """Return sentences on what needs attention, most urgent first."""
    table = book.netting_sets
    failed = table[table["status"] == "failed"]
    bare = table[(table["call_action"] == "call") & table["utilisation"].isna()]
    held = table[table["status"] == "held"]
    found: list[Concern] = []
    if len(failed):
        text = (
            f"{_sets(len(failed))} without a requirement: {_names(failed)}. "
            "The totals leave them out, and the run ends as failed."
        )
        found.append(Concern(ACT, text, "held-failed"))
    if len(bare):
        text = f"{_sets(len(bare))} called without any collateral: {_names(bare)}."
        found.append(Concern(ACT, text, "calls"))
    if len(held):
        text = (
            f"{_sets(len(held))} held at the last fresh requirement and a charge: {_names(held)}."
        )
        found.append(Concern(WATCH, text, "held-failed"))
    if len(breaks):
        text = (
            f"{count(len(breaks))} reconciliation break{'' if len(breaks) == 1 else 's'} open: "
            "the worse book is margined and returns are blocked."
        )
        found.append(Concern(WATCH, text, "breaks"))
    found += [
        Concern(item.status, f"{item.label}: {item.shown.lower()} {item.detail}.", item.section)
        for item in headlines
        if item.key in ("quality", "coverage") and item.status in (WATCH, ACT)
    ]
    return sorted(found, key=lambda concern: concern.status != ACT)


def _sum(book: Book, key: str, label: str, column: str) -> Headline:
    today = total(book.netting_sets[column])
    change = _difference(today, book.previous, column)
    return Headline(
        key, label, short(today), _moved(change, today, book.currency), amount=today, change=change
    )


def _deficit(book: Book) -> Headline:
    today = total(book.netting_sets["deficit_reported"])
    n_sets = sum(1 for amount in book.netting_sets["deficit_reported"] if amount)
    change = _difference(today, book.previous, "deficit_reported")
    detail = f"{_sets(n_sets)} below requirement"
    if change is not None:
        detail += f"; {short(change, plus=True)}"
    return Headline(
        "deficit", "Deficit", short(today), detail, WATCH if n_sets else GOOD, today, change,
        "netting-sets",
    )  # fmt: skip


def _decision(
    today: pd.DataFrame, previous: pd.DataFrame | None, action: str, label: str, currency: str
) -> Headline:
    chosen = today[today["call_action"] == action]
    amount = total(chosen["call_amount_reported"])
    change = None
    detail = f"{count(len(chosen))} {action}{'' if len(chosen) == 1 else 's'}"
    if previous is not None:
        before = previous[previous["call_action"] == action]
        change = MONEY_CONTEXT.subtract(amount, total(before["call_amount_reported"]))
        detail += (
            f"; before {count(len(before))} with {short(total(before['call_amount_reported']))}"
        )
    return Headline(f"{action}s", label, short(amount), detail, PLAIN, amount, change, "calls")


def _difference(today: Decimal, previous: pd.DataFrame | None, column: str) -> Decimal | None:
    return None if previous is None else MONEY_CONTEXT.subtract(today, total(previous[column]))


def _moved(change: Decimal | None, today: Decimal, currency: str) -> str:
    if change is None:
        return currency
    before = float(today) - float(change)
    share = f" ({signed(float(change) / before * 100, 1)} %)" if before else ""
    return f"{currency} · {short(change, plus=True)}{share}"


def _status_counts(table: pd.DataFrame) -> dict[str, int]:
    return {status: int((table["status"] == status).sum()) for status in ("held", "failed")}


def _sets(number: int) -> str:
    return f"{count(number)} netting set{'' if number == 1 else 's'}"


def _names(rows: pd.DataFrame) -> str:
    names = sorted(rows["netting_set_id"])
    more = f" and {count(len(names) - 4)} more" if len(names) > 5 else ""
    return ", ".join(names[:4] if more else names) + more
