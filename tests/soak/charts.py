"""Lines over time as SVG, in the page itself, with faults as bands behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 1_080, 190
LEFT, RIGHT, TOP, BOTTOM = 74, 14, 22, 26
POINTS_MAX = 900
TICKS = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a name, its values at the chart's instants, and which colour it has."""

    name: str
    values: np.ndarray
    colour: int = 1


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time with a name. [s]"""

    name: str
    since: float
    until: float
    group: str


def chart(
    title: str,
    seconds: np.ndarray,
    lines: Sequence[Line],
    bands: Sequence[Band] = (),
    *,
    unit: str = "",
    is_log: bool = False,
) -> str:
    """Return a chart as SVG."""
    kept = [one for one in lines if np.isfinite(one.values).any()]
    if not seconds.size or not kept:
        return f"<figure><h3>{escape(title)}</h3><p>nothing was measured</p></figure>"
    every = np.concatenate([one.values[np.isfinite(one.values)] for one in kept])
    low, high = _range(every, is_log=is_log)
    begin, end = float(seconds[0]), max(float(seconds[-1]), float(seconds[0]) + 1.0)

    def x(value: float) -> float:
        return LEFT + (value - begin) / (end - begin) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        share = (_scaled(value, is_log=is_log) - low) / (high - low)
        return HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<figure><h3>{escape(title)}</h3><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">'
    ]
    for band in bands:
        if band.until < begin or band.since > end:
            continue
        left, right = x(max(band.since, begin)), x(min(band.until, end))
        parts.append(
            f'<rect class="band {escape(band.group)}" x="{left:.1f}" y="{TOP}" '
            f'width="{max(right - left, 1.0):.1f}" height="{HEIGHT - TOP - BOTTOM}">'
            f"<title>{escape(band.name)}, {band.since:.0f} to {band.until:.0f} s</title></rect>"
        )
    parts += [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" '
        f'y2="{y(value):.1f}"/><text class="tick" x="{LEFT - 6}" y="{y(value) + 4:.1f}">'
        f"{_number(value)}</text>"
        for value in _ticks(low, high, is_log=is_log)
    ]
    parts += [
        f'<text class="time" x="{x(minute):.1f}" y="{HEIGHT - 8}">{minute / 60:g} min</text>'
        for minute in _minutes(begin, end)
    ]
    parts += [_path(one, seconds, x, y) for one in kept]
    parts.append("</svg><p class='key'>")
    parts += [
        f'<span class="swatch c{one.colour}"></span>{escape(one.name)} '
        f"<small>median {_number(float(np.nanmedian(one.values)))}, "
        f"most {_number(float(np.nanmax(one.values)))} {escape(unit)}</small> "
        for one in kept
    ]
    parts.append("</p></figure>")
    return "".join(parts)


def _path(one: Line, seconds: np.ndarray, x, y) -> str:  # type: ignore[no-untyped-def]
    step = max(len(seconds) // POINTS_MAX, 1)
    pieces, is_open = [], False
    for place in range(0, len(seconds), step):
        # The highest of a stretch: what is rare must not be lost to the picture.
        stretch = one.values[place : place + step]
        finite = stretch[np.isfinite(stretch)]
        if not finite.size:
            is_open = False
            continue
        word = "L" if is_open else "M"
        pieces.append(f"{word}{x(float(seconds[place])):.1f} {y(float(finite.max())):.1f}")
        is_open = True
    return f'<path class="line c{one.colour}" d="{"".join(pieces)}"/>'


def _scaled(value: float, *, is_log: bool) -> float:
    return float(np.log10(max(value, 1e-12))) if is_log else value


def _range(values: np.ndarray, *, is_log: bool) -> tuple[float, float]:
    if is_log:
        above = values[values > 0.0]
        if not above.size:
            return -1.0, 1.0
        low = float(np.floor(np.log10(above.min())))
        high = float(np.ceil(np.log10(above.max())))
        return low, max(high, low + 1.0)
    high = float(values.max())
    return 0.0, high * 1.05 if high > 0.0 else 1.0


def _ticks(low: float, high: float, *, is_log: bool) -> list[float]:
    if is_log:
        return [10.0**power for power in range(int(low), int(high) + 1)]
    raw = (high - low) / TICKS
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(power * one for one in (1.0, 2.0, 5.0, 10.0) if power * one >= raw)
    return [float(value) for value in np.arange(0.0, high + step * 0.01, step) if value <= high]


def _minutes(begin: float, end: float) -> list[float]:
    span = (end - begin) / 60.0
    step = next((one for one in (0.25, 0.5, 1, 2, 5, 10, 15, 30, 60) if span / one <= 10), 60)
    first = np.ceil(begin / 60.0 / step) * step
    return [float(value) * 60.0 for value in np.arange(first, end / 60.0 + 1e-9, step)]


def _number(value: float) -> str:
    if value != value:
        return "-"
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
