"""Sections and tables of the page: columns, heads, and how a cell is spelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import pandas as pd

from infra.report.amounts import ABSENT, count, exact, is_number, percent, signed
from infra.report.charts.style import Chart

WORDS = {
    "assessed": ("", "assessed"),
    "held": ("watch", "held"),
    "failed": ("act", "failed"),
    "call": ("act", "call"),
    "return": ("", "return"),
    "blocked": ("watch", "return blocked"),
    "none": ("", ABSENT),
    "yes": ("good", "passed"),
    "no": ("act", "broken"),
    "opened": ("", "new"),
    "closed": ("", "closed"),
    "recovered": ("good", "recovered"),
    "accepted": ("good", "accepted"),
    "too little": ("act", "too little"),
    "too much": ("watch", "too much"),
    "too low": ("act", "too low"),
    "clustered": ("watch", "clustered"),
    "green": ("good", "green"),
    "yellow": ("watch", "yellow"),
    "red": ("act", "red"),
    "unmodelled": ("watch", "unmodelled"),
    "house": ("", "house"),
    "venue": ("watch", "venue"),
    "unknown": ("act", "unknown"),
    "exact": ("good", "exact"),
    "snapshot_skew": ("", "snapshot skew"),
    "model_only": ("act", "model only"),
    "unreported": ("watch", "unreported"),
    "missing_position": ("act", "missing position"),
    "parameters": ("act", "parameters"),
}
NUMBER, TEXT, NAME, BADGE, LONG, WRAPPED = "n", "t", "k", "b", "l", "w"
# More rows than this scroll in a window of their own.
_ROWS_AT_ONCE = 14
_DIGIT, _POINT = "\N{FIGURE SPACE}", "\N{PUNCTUATION SPACE}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: key in the frame, head, and the format of its cells."""

    key: str
    head: str
    spell: Callable[[object], str]
    kind: str = NUMBER
    hint: str = ""
    extra: bool = False
    """Hidden until the reader asks for it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell, with the tone of a badge."""

    text: str
    kind: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table ready for the page. ``n_left_out`` rows stand in the Parquet file only."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    n_left_out: int = 0
    tall: bool = False
    search: bool = False
    totals: tuple[Cell, ...] = ()
    sortable: bool = True


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its anchor, heading, a lead sentence, charts and tables."""

    anchor: str
    title: str
    lead: str
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()


def table(
    name: str,
    caption: str,
    frame: pd.DataFrame,
    columns: Sequence[Column],
    *,
    rows_max: int = 500,
) -> Table:
    """Return the first ``rows_max`` rows of ``frame`` as a table; columns it lacks are left out."""
    shown = tuple(column for column in columns if column.key in frame.columns)
    cells = [
        _aligned([_cell(value, column) for value in frame[column.key].iloc[:rows_max].to_list()])
        for column in shown
    ]
    return Table(
        name=name,
        caption=caption,
        columns=shown,
        rows=tuple(zip(*cells, strict=True)),
        n_left_out=max(len(frame) - rows_max, 0),
        tall=len(frame) > _ROWS_AT_ONCE,
    )


def with_totals(shown: Table, totals: Mapping[str, str]) -> Table:
    """Return the table with a last row that holds ``totals`` by column key."""
    cells = tuple(
        Cell(totals.get(column.key, ""), NUMBER if column.kind == NUMBER else TEXT)
        for column in shown.columns
    )
    return replace(shown, totals=cells)


def money(key: str, head: str, hint: str = "", *, extra: bool = False) -> Column:
    """Return a column of exact amounts."""
    return Column(key, head, exact, hint=hint, extra=extra)


def moved(key: str, head: str, hint: str = "") -> Column:
    """Return a column of exact changes, gains with a plus."""
    return Column(key, head, signed, hint=hint)


def share(key: str, head: str, hint: str = "", *, decimals: int = 1) -> Column:
    """Return a column of fractions shown as percentages."""
    return Column(key, head, lambda value: percent(value, decimals), hint=hint)


def shock(key: str, head: str, hint: str = "") -> Column:
    """Return a column of relative moves with their sign."""
    return Column(key, head, _signed_percent, hint=hint)


def number(key: str, head: str, hint: str = "") -> Column:
    """Return a column of whole numbers."""
    return Column(key, head, count, hint=hint)


def quantity(key: str, head: str, hint: str = "") -> Column:
    """Return a column of quantities with the decimals that they carry, at most eight."""
    return Column(key, head, plain_number, hint=hint)


def text(key: str, head: str, hint: str = "", *, long: bool = False) -> Column:
    """Return a column of text; ``long`` text may wrap."""
    return Column(key, head, word, LONG if long else TEXT, hint)


def wrapped(key: str, head: str) -> Column:
    """Return a column of text that wraps before it takes room from the others."""
    return Column(key, head, word, WRAPPED)


def name(key: str, head: str) -> Column:
    """Return a column that names its row."""
    return Column(key, head, word, NAME)


def badge(key: str, head: str) -> Column:
    """Return a column of states, each with a tone and a word."""
    return Column(key, head, lambda value: WORDS.get(_state(value), ("", word(value)))[1], BADGE)


def word(value: object) -> str:
    """Return text as it is, dates as ISO days or UTC minutes, and a dash for what is absent."""
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return ABSENT
    if isinstance(value, pd.Timestamp):
        is_day = value == value.normalize() and value.tzinfo is None
        return f"{value:%Y-%m-%d}" if is_day else f"{value:%Y-%m-%d %H:%M}"
    return str(value) or ABSENT


def plain_number(value: object) -> str:
    """Return a number with separators and no more decimals than it has, at most eight."""
    if not is_number(value):
        return ABSENT
    # Fourteen figures of a float are digits, what follows is the noise of a sum.
    clean = Decimal(f"{value:.14g}") if isinstance(value, float) else value
    shown = exact(clean, 8).rstrip("0").rstrip(".")
    return shown or "0"


def _cell(value: object, column: Column) -> Cell:
    tone = WORDS.get(_state(value), ("", ""))[0] if column.kind == BADGE else ""
    return Cell(column.spell(value), column.kind, tone)


def _aligned(cells: list[Cell]) -> list[Cell]:
    """Pad numbers with blanks as wide as digits, so that decimal points stand in one line."""
    decimals = [_decimals(cell) for cell in cells]
    most = max(decimals, default=0)
    if most <= 0:
        return cells
    return [
        cell
        if places < 0 or places == most
        else replace(cell, text=cell.text + (places == 0) * _POINT + _DIGIT * (most - places))
        for cell, places in zip(cells, decimals, strict=True)
    ]


def _decimals(cell: Cell) -> int:
    """Digits after the point; -1 for what is no plain number."""
    if cell.kind != NUMBER or not cell.text[-1:].isdigit():
        return -1
    return len(cell.text.partition(".")[2])


def _state(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _signed_percent(value: object) -> str:
    shown = percent(value)
    return f"+{shown}" if is_number(value) and value > 0 else shown
