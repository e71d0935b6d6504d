"""One self-contained HTML page that shows what validation found in each dataset.

It asks nothing from outside, runs no script, and has the same bytes for the same results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from data_contracts.preparation import ROW_NUMBER
from data_contracts.quarantine import REASON
from data_contracts.results import CheckResult, Validation

ROWS_SHOWN: Final = 200
_TEMPLATE: Final = "quality_page.html"
_CONCERN: Final = ("act", "watch", "good", "plain")
"""Tones of the datasets' sections, what needs a person first."""


@dataclass(frozen=True, slots=True, eq=False)
class DatasetQuality:
    """A validated dataset and where its rows came from."""

    validation: Validation
    origin: str


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule as the page shows it."""

    name: str
    column: str
    asked: str
    n_evaluated: int
    n_failed: int
    share: float
    is_batch: bool
    passed: bool


@dataclass(frozen=True, slots=True)
class KeptOut:
    """A quarantined row as the page shows it."""

    row: int
    key: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatasetView:
    """A dataset as the page shows it."""

    name: str
    origin: str
    verdict: str
    tone: str
    refusal: str | None
    n_rows: int
    n_accepted: int
    n_quarantined: int
    n_set_aside: int
    share: float
    broken: tuple[RuleLine, ...]
    kept: tuple[RuleLine, ...]
    notes: tuple[RuleLine, ...]
    rows: tuple[KeptOut, ...]


def quality_html(title: str, business_date: date, datasets: Sequence[DatasetQuality]) -> str:
    """Return the page as HTML text.

    Parameters
    ----------
    title : str
        What was validated, for example the run.
    business_date : date
        The date being closed.
    datasets : sequence of DatasetQuality
        In the order of the page.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    views = [_view(dataset) for dataset in datasets]
    return environment.get_template(_TEMPLATE).render(
        title=title,
        day=f"{business_date.day} {business_date:%B %Y}",
        datasets=views,
        by_concern=sorted(views, key=lambda view: _CONCERN.index(view.tone)),
        headline=_headline(views),
        tone="act" if any(view.refusal for view in views)
        else "watch" if any(view.n_quarantined for view in views) else "good",
        n_rows=sum(view.n_rows for view in views),
        n_quarantined=sum(view.n_quarantined for view in views),
        n_refused=sum(view.refusal is not None for view in views),
        n_rules=sum(len(view.broken) + len(view.kept) for view in views),
        n_broken=sum(len(view.broken) for view in views),
        rows_shown=ROWS_SHOWN,
    )  # fmt: skip


def write_quality_page(
    path: Path, title: str, business_date: date, datasets: Sequence[DatasetQuality]
) -> Path:
    """Write the page to ``path`` whole and return it."""
    staged = path.with_name(f".{path.name}.part")
    staged.write_text(quality_html(title, business_date, datasets), encoding="utf-8")
    return staged.replace(path)


def _view(dataset: DatasetQuality) -> DatasetView:
    validation = dataset.validation
    n_accepted, n_quarantined = len(validation.accepted), len(validation.quarantined)
    lines = [_line(check) for check in validation.checks if check.kind != "note"]
    notes = [_line(check) for check in validation.checks if check.kind == "note"]
    broken = sorted((line for line in lines if not line.passed), key=lambda x: -x.n_failed)
    verdict, tone = "clean", "good"
    if n_quarantined or broken:
        verdict, tone = "rows kept out" if n_quarantined else "unusual", "watch"
    if validation.refusal is not None:
        verdict, tone = "refused", "act"
    if validation.n_rows == 0 and validation.refusal is None:
        verdict, tone = "no rows", "plain"
    return DatasetView(
        name=validation.dataset,
        origin=dataset.origin,
        verdict=verdict,
        tone=tone,
        refusal=validation.refusal,
        n_rows=validation.n_rows,
        n_accepted=n_accepted,
        n_quarantined=n_quarantined,
        n_set_aside=validation.n_rows - n_accepted - n_quarantined,
        share=n_quarantined / validation.n_rows if validation.n_rows else 0.0,
        broken=tuple(broken),
        kept=tuple(line for line in lines if line.passed),
        notes=tuple(notes),
        rows=_rows(validation),
    )


def _line(check: CheckResult) -> RuleLine:
    return RuleLine(
        name=check.rule.replace("_", " "),
        column=check.column.replace("+", ", "),
        asked=check.detail,
        n_evaluated=check.n_evaluated,
        n_failed=check.n_failed,
        share=check.share,
        is_batch=check.kind == "batch",
        passed=check.passed,
    )


def _rows(validation: Validation) -> tuple[KeptOut, ...]:
    shown = validation.quarantined.head(ROWS_SHOWN)
    rows = []
    for number, reason in zip(shown[ROW_NUMBER], shown[REASON], strict=True):
        prefix, separator, rest = str(reason).partition("): ")
        key = prefix.partition(" (")[2] if separator else ""
        text = rest if separator else str(reason)
        rows.append(KeptOut(int(number), key, _parts(text)))
    return tuple(rows)


def _parts(text: str) -> tuple[str, ...]:
    # Each reason ends with its rule in brackets, and a value may hold a semicolon.
    parts = text.split("]; ")
    return tuple(part if part is parts[-1] else f"{part}]" for part in parts)


def _headline(views: Sequence[DatasetView]) -> str:
    refused = [view.name for view in views if view.refusal is not None]
    touched = [view for view in views if view.n_quarantined]
    if refused:
        return f"Refused: {', '.join(refused)}. No row of what is refused is used."
    if touched:
        n_rows = sum(view.n_quarantined for view in touched)
        rows = f"{n_rows:,} row{'s' if n_rows > 1 else ''}"
        names = ", ".join(view.name for view in touched)
        return f"{rows} kept out of {names}. All other rows are used as they were written."
    return "Every row is used as it was written."
