"""Line charts as SVG text: times across, one scale up, a stretch shaded, instants marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from typing import Final

_WIDTH: Final = 920
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 14, 12, 26
_POINTS_MAX: Final = 700
_STEPS: Final = (5, 10, 15, 30, 60, 120, 180, 240, 360)


@dataclass(frozen=True, slots=True)
class Line:
    """One series; ``style`` is a class of the page's style sheet. NaN breaks the line."""

    name: str
    style: str
    values: Sequence[float]
    is_stepped: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """An instant that is marked, with a word on it."""

    at: datetime
    value: float
    style: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What a chart shows.

    Attributes
    ----------
    title, unit : str
        ``unit`` is ``%``, ``$`` or empty.
    at : sequence of datetime
        Instants of all series.
    shaded : sequence of (datetime, datetime, str)
        Stretches and what they are.
    level : float, optional
        A line across, with its name.
    """

    title: str
    unit: str
    at: Sequence[datetime]
    lines: Sequence[Line]
    shaded: Sequence[tuple[datetime, datetime, str]] = ()
    marks: Sequence[Mark] = ()
    level: tuple[float, str] | None = None
    height: int = 230
    says: str = ""
    width: int = field(default=_WIDTH)


def svg_of(chart: Chart) -> str:
    """Return a chart as a figure of a page."""
    frame = _Frame(chart)
    parts = [
        *frame.shades(), *frame.grid(), *frame.level(), *frame.curves(), *frame.marks()
    ]  # fmt: skip
    keys = "".join(
        f'<span><i class="{line.style}"></i>{escape(line.name)}</span>' for line in chart.lines
    )
    body = "".join(parts)
    label = escape(f"{chart.title}. {chart.says}".strip())
    return (
        f'<figure><figcaption><b>{escape(chart.title)}</b> <span class="keys">{keys}</span>'
        f'</figcaption><svg viewBox="0 0 {chart.width} {chart.height}" role="img" '
        f'aria-label="{label}">{body}</svg></figure>'
    )


class _Frame:
    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._first, self._last = chart.at[0], chart.at[-1]
        values = [one for line in chart.lines for one in line.values if math.isfinite(one)]
        if chart.level is not None:
            values.append(chart.level[0])
        values += [one.value for one in chart.marks]
        low, high = min(values, default=0.0), max(values, default=1.0)
        room = (high - low) * 0.06 or abs(high) * 0.01 or 1.0
        self._ticks = _ticks(low - room, high + room)
        self._low = min(low - room, self._ticks[0])
        self._high = max(high + room, self._ticks[-1])

    def _x(self, at: datetime) -> float:
        span = (self._last - self._first).total_seconds() or 1.0
        share = min(max((at - self._first).total_seconds() / span, 0.0), 1.0)
        return round(_LEFT + share * (self._chart.width - _LEFT - _RIGHT), 1)

    def _y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return round(
            self._chart.height - _BOTTOM - share * (self._chart.height - _TOP - _BOTTOM), 1
        )

    def shades(self) -> list[str]:
        found = []
        for begins, ends, says in self._chart.shaded:
            x, width = self._x(begins), max(self._x(ends) - self._x(begins), 1.0)
            height = self._chart.height - _TOP - _BOTTOM
            found.append(
                f'<rect class="shade" x="{x}" y="{_TOP}" width="{width:.1f}" height="{height}">'
                f"<title>{escape(says)}</title></rect>"
                f'<text class="soft" x="{x + 4}" y="{_TOP + 12}">{escape(says)}</text>'
            )
        return found

    def grid(self) -> list[str]:
        chart, found = self._chart, []
        for tick in self._ticks:
            y = self._y(tick)
            found.append(
                f'<line class="grid" x1="{_LEFT}" x2="{chart.width - _RIGHT}" y1="{y}" y2="{y}"/>'
                f'<text class="tick" x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">'
                f"{_worded(tick, chart.unit, self._ticks)}</text>"
            )
        found.extend(
            f'<text class="tick" x="{self._x(at)}" y="{chart.height - 8}" '
            f'text-anchor="middle">{at:%H:%M}</text>'
            for at in _hours(self._first, self._last)
            # Below the end of the scale a word would be cut off.
            if self._x(at) < self._chart.width - _RIGHT - 16
        )
        return found

    def level(self) -> list[str]:
        if self._chart.level is None:
            return []
        value, says = self._chart.level
        y, right = self._y(value), self._chart.width - _RIGHT
        return [
            f'<line class="level" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>'
            f'<text class="soft" x="{right - 4}" y="{y - 5}" text-anchor="end">'
            f"{escape(says)}</text>"
        ]

    def curves(self) -> list[str]:
        stride = max(len(self._chart.at) // _POINTS_MAX, 1)
        chosen = sorted({*range(0, len(self._chart.at), stride), len(self._chart.at) - 1})
        found = []
        for line in self._chart.lines:
            words, is_down, before = [], False, 0.0
            for k in chosen:
                if not math.isfinite(line.values[k]):
                    is_down = False
                    continue
                x, y = self._x(self._chart.at[k]), self._y(line.values[k])
                if is_down and line.is_stepped and y != before:
                    words.append(f"L{x} {before}")
                words.append(f"{'L' if is_down else 'M'}{x} {y}")
                is_down, before = True, y
            found.append(f'<path class="{line.style}" d="{"".join(words)}"/>')
        return found

    def marks(self) -> list[str]:
        return [
            f'<circle class="{one.style}" cx="{self._x(one.at)}" cy="{self._y(one.value)}" r="4">'
            f"<title>{escape(one.says)}</title></circle>"
            for one in self._chart.marks
        ]


def _ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(one * unit for one in (1.0, 2.0, 2.5, 5.0, 10.0) if one * unit >= rough)
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step) + 1)] or [low, high]


def _worded(value: float, unit: str, ticks: Sequence[float]) -> str:
    step = abs(ticks[1] - ticks[0]) if len(ticks) > 1 else abs(value) or 1.0
    if unit == "$":
        return f"{value / 1000:,.0f}k" if step >= 1000 or value == 0 else f"{value:,.0f}"
    if unit == "%":
        return f"{value:.0%}" if step >= 0.01 else f"{value:.1%}"
    return f"{value:.{max(0, -math.floor(math.log10(step)))}f}"


def _hours(first: datetime, last: datetime) -> list[datetime]:
    minutes = (last - first).total_seconds() / 60
    step = next((one for one in _STEPS if minutes / one <= 10), _STEPS[-1])
    day = first.replace(hour=0, minute=0, second=0, microsecond=0)
    begun = math.ceil((first - day).total_seconds() / 60 / step)
    found, at = [], day + timedelta(minutes=begun * step)
    while at <= last:
        found.append(at)
        at += timedelta(minutes=step)
    return found
