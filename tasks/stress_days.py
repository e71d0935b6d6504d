"""The day that a stress question asks for: of the library, of the history, or one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ParameterError

if TYPE_CHECKING:
    from engine.attribution import Close
    from engine.rules import StressScenario
    from infra.web.services import StressQuestion


def scenario_of(question: StressQuestion, close: Close) -> StressScenario:
    """Return the day that is asked for.

    Raises
    ------
    ParameterError
        If more than one is asked for, or none of that name is known.
    MissingDataError
        If the history does not have the day.
    """
    from engine.whatif import day_of_history, own_day

    asked = [bool(question.library), question.day is not None, bool(question.index or question.peg)]
    if sum(asked) > 1:
        raise ParameterError("choose one: a library day, a day of the history, or own moves")
    if question.day is not None:
        return day_of_history(close.snapshot.price_history, question.day)
    if not question.library:
        return own_day(
            dict(question.index), dict(question.peg), question.volatility, question.basis
        )
    days = {day.name: day for day in close.rules.house.stress}
    if question.library not in days:
        raise ParameterError(
            f"stress day {question.library[:60]!r}, limit: one of {', '.join(days)}",
            identifier="library",
            value=question.library[:60],
        )
    return days[question.library]
