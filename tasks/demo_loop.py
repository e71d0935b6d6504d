"""The loop between two closes, as a person can watch it: a tick, a call, its payment.

The venues' own contracts are the book here: a close is read from simulated venues, the loop follows
them through their protocols, and a short crash that is made up runs through them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from infra.drill.bars import generated_bars
from infra.drill.days import generated_day
from infra.drill.page import write_page
from infra.drill.play import Plan, play
from infra.drill.tables import books_line, headline, scale_line
from infra.settings import read_settings
from tasks.demo_call import Told

_FOLDER: Final = "drills"
_NAME: Final = "demo"
_MINUTES: Final = 30
_STEP_SECONDS: Final = 25.0
_APPROVAL_MINUTES: Final = 0.0
_CONFIRMATION_SECONDS: Final = 20.0


def watch_the_loop(tell: Callable[[Told], None]) -> str:
    """Let the loop run through half an hour that is made up; return where its page is."""
    folder = read_settings().home_path / _FOLDER
    day = generated_day(_MINUTES)
    logging.getLogger("stamina").setLevel(logging.ERROR)

    def hear(at: datetime, who: str, what: str) -> None:
        tell(Told(who, f"{at:%H:%M:%S} {what}"))

    plan = Plan(
        day=day, bars=generated_bars(day), home=folder / _NAME, step_seconds=_STEP_SECONDS,
        approval_minutes=_APPROVAL_MINUTES, confirmation_seconds=_CONFIRMATION_SECONDS,
    )  # fmt: skip
    played = play(plan, on_told=hear)
    for who, what in (
        ("drill", headline(played)), ("books", books_line(played)), ("time", scale_line(played)),
    ):  # fmt: skip
        tell(Told(who, what))
    return str(write_page(played, (folder / f"{_NAME}.html").resolve()))
