"""A crash day played again on simulated venues: the work behind `plimsoll drill`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.errors import ParameterError
from infra.drill.days import real_days
from infra.settings import read_settings
from tasks.display import Step, progress

if TYPE_CHECKING:
    from rich.console import RenderableType

    from infra.drill.story import Played

FOLDER: Final = "drills"
GENERATED: Final = "generated"
_PARTS: Final = 1000
_WORDS: Final = {
    "close": "close", "day": "with Plimsoll", "books": "books", "without": "without",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asked for; ``day`` is empty for a crash that is made up."""

    day: str
    bars: Path | None
    page: Path | None
    step_seconds: float
    approval_minutes: float
    confirmation_seconds: float
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What came of it, and where its page is."""

    played: Played
    page: Path


def drill(wish: Wish) -> Drilled:
    """Play a day and write its page.

    Raises
    ------
    ParameterError
        If the day is not known, needs bars and has none, or a number is out of range.
    MissingDataError
        If the bars do not cover the day.
    """
    from infra.drill.page import write_page
    from infra.drill.play import Plan, play

    plan = _plan(wish, Plan)
    # A venue that is gone is tried again and again, and that is the point.
    logging.getLogger("stamina").setLevel(logging.ERROR)
    progress().begin(plan.day.title)
    played = play(plan, _reported)
    page = wish.page or plan.home.parent / f"{plan.day.name}.html"
    return Drilled(played=played, page=write_page(played, page.resolve()))


def tables_shown(played: Played) -> list[RenderableType]:
    """Return the findings for a terminal."""
    from rich.table import Table as RichTable
    from rich.text import Text

    from infra.drill.tables import books_line, headline, scale_line, tables_of

    found: list[RenderableType] = []
    for table in tables_of(played):
        shown = RichTable(title=table.title, title_justify="left", caption_justify="left")
        for name in table.columns:
            right = name in table.right
            shown.add_column(name, justify="right" if right else "left", overflow="fold")
        for row in table.rows:
            shown.add_row(*(Text(value) for value in row))
        found.append(shown)
    sentences = (headline(played), books_line(played), scale_line(played), played.source)
    return [*found, *(Text(one) for one in sentences)]


def as_json(drilled: Drilled) -> dict[str, Any]:
    """Return the findings as JSON values."""
    from infra.drill.tables import tables_of

    played = drilled.played
    return {
        "schema": "plimsoll.drill/1",
        "day": played.day.name,
        "source": played.source,
        "page": str(drilled.page),
        "steps": played.n_steps,
        "scale": round(played.scale, 1),
        "open_breaks": list(played.breaks),
        "liquidated_with": len(played.liquidated),
        "liquidated_without": len(played.liquidated_unaided),
        "tables": [
            {
                "title": table.title,
                "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
            }
            for table in tables_of(played)
        ],
    }


def _reported(what: str, share: float) -> None:
    names = list(_WORDS)
    for earlier in names[: names.index(what)]:
        progress().report(Step(_WORDS[earlier], _PARTS, _PARTS))
    progress().report(Step(_WORDS[what], min(round(share * _PARTS), _PARTS), _PARTS))


def _plan(wish: Wish, make: Any) -> Any:
    from infra.drill.bars import generated_bars, read_bars
    from infra.drill.days import generated_day, real_day

    if wish.day in ("", GENERATED):
        day = generated_day(wish.minutes)
        bars = generated_bars(day)
    else:
        day = real_day(wish.day)
        if wish.bars is None:
            raise ParameterError(
                f"drill {wish.day}: name a folder with bars of that day by --bars, or leave the "
                "day out for a crash that is made up",
                identifier="bars",
                limit=", ".join(real_days()),
            )
        bars = read_bars(wish.bars, day)
    return make(
        day=day,
        bars=bars,
        home=read_settings().home_path / FOLDER / day.name,
        step_seconds=wish.step_seconds,
        approval_minutes=wish.approval_minutes,
        confirmation_seconds=wish.confirmation_seconds,
    )
