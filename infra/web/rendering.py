"""Templates, the words in which figures are shown, and small pictures without scripts or styles."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from infra.report.amounts import ABSENT, count, exact, percent, short, signed
from infra.web.views.health_rows import together
from infra.web.views.totals import is_small

STATIC: Final = Path(__file__).parent / "static"
_TEMPLATES: Final = Path(__file__).parent / "templates"
_SPARK_WIDTH, _SPARK_HEIGHT = 88, 22
_SPARK_LINE_POINTS: Final = 5
"""Fewer points are dots: a line would say what was never measured."""
_BAR_WIDTH, _BAR_FULL = 64, 1.25


class Pages:
    """Templates of the pages; everything that is put into them is escaped."""

    def __init__(self) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(FILTERS)
        self._environment.globals.update(
            asset=asset_address,
            bar=bar,
            spark=spark,
            usage=usage,
            level_of=level_of,
            is_small=is_small,
            together=together,
        )

    def render(self, name: str, **context: Any) -> str:
        """Return a page or a part of one."""
        return self._environment.get_template(name).render(**context)


@lru_cache(maxsize=64)
def asset_address(name: str) -> str:
    """Return the address of a static file; it changes with its content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def amount(value: object) -> str:
    """Return an exact amount; a text of digits counts as one."""
    if isinstance(value, str) and value:
        value = Decimal(value)
    return exact(value)


def whole(value: object) -> str:
    """Return an amount for the eye, without decimals."""
    return exact(value, 0)


def cents(value: object) -> str:
    """Return an amount that was computed, not booked, to two decimals."""
    return exact(value, 2)


def ratio(value: object) -> str:
    """Return a share in percent; without collateral it is no number."""
    if isinstance(value, float) and math.isinf(value):
        return "no collateral"
    return percent(value)


def move(value: object) -> str:
    """Return a relative move in percent, with its sign."""
    text = percent(value)
    return f"+{text}" if isinstance(value, float) and value > 0.0 else text


def quantity(value: object) -> str:
    """Return a quantity with as many digits as it needs."""
    if isinstance(value, str) and value:
        return exact(Decimal(value))
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, int | float) and math.isfinite(value):
        return f"{value:,.10g}".replace("-", "\N{MINUS SIGN}")
    return ABSENT


def instant(value: object) -> Markup:
    """Return an instant as people read it, in UTC, for machines in full."""
    moment = _moment(value)
    if moment is None:
        return Markup(ABSENT)
    return Markup('<time datetime="{}">{}</time>').format(
        f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d %H:%M:%S}"
    )


def minute(value: object) -> Markup:
    """Return an instant to the minute."""
    moment = _moment(value)
    if moment is None:
        return Markup(ABSENT)
    return Markup('<time datetime="{}">{}</time>').format(
        f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d %H:%M}"
    )


def clock(value: object, now: datetime | None, word: str = "age") -> Markup:
    """Return how long ago, or until, an instant; the page's script lets it go on.

    Without ``now`` the text is left to the script, so that a part does not change with the clock.
    """
    moment = _moment(value)
    if moment is None:
        return Markup(ABSENT)
    text = ""
    if now is not None:
        seconds = (now - moment).total_seconds()
        text = span_of(seconds) if word == "age" else due_in(seconds)
    return Markup('<time datetime="{}" data-clock="{}">{}</time>').format(
        f"{moment:%Y-%m-%dT%H:%M:%SZ}", word, text
    )


def span_of(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    left = max(0, int(seconds))
    days, left = divmod(left, 86_400)
    hours, left = divmod(left, 3_600)
    minutes, left = divmod(left, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {left:02d} s" if minutes else f"{left} s"


def due_in(seconds_since: float) -> str:
    """Return until when something is due, or since when it is late."""
    if seconds_since >= 0:
        return f"{span_of(seconds_since)} late"
    return f"in {span_of(-seconds_since)}"


def coded(text: object) -> Markup:
    """Return a text with what stands between backticks as code."""
    pieces = str(text).split("`")
    if len(pieces) % 2 == 0:
        return Markup("{}").format(str(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if i % 2 else Markup("{}").format(piece)
        for i, piece in enumerate(pieces)
    )


def words(value: object) -> str:
    """Return a recorded word as people read it."""
    return str(value).replace("_", " ")


def level_of(value: float | None) -> str:
    """Return how a margin ratio is to be taken: good, watch or act."""
    if value is None:
        return "unknown"
    if value > 1.0:
        return "act"
    return "watch" if value > 0.9 else "good"


def usage(value: float | None) -> Markup:
    """Return a bar of a margin ratio with a tick at 100 %; the figure stands beside it."""
    if value is None:
        return Markup("")
    shown = _BAR_FULL if math.isinf(value) else min(max(value, 0.0), _BAR_FULL)
    tick = _BAR_WIDTH / _BAR_FULL
    return Markup(
        '<svg class="usage {}" viewBox="0 0 64 8" width="64" height="8" aria-hidden="true">'
        '<rect class="all" width="64" height="8" rx="1"/><rect class="part" width="{}" height="8" '
        'rx="1"/><line class="tick" x1="{}" x2="{}" y1="0" y2="8"/></svg>'
    ).format(level_of(value), f"{shown / _BAR_FULL * _BAR_WIDTH:.1f}", f"{tick:.1f}", f"{tick:.1f}")


def bar(value: object, largest: float) -> Markup:
    """Return a bar beside an amount, to the right for above 0 and to the left for below."""
    number = float(value) if isinstance(value, int | float | str | Decimal) else math.nan
    if not math.isfinite(number) or largest <= 0.0:
        return Markup("")
    width = min(abs(number) / largest, 1.0) * 118
    return Markup(
        '<svg class="bar {}" viewBox="0 0 120 10" width="120" height="10" aria-hidden="true">'
        '<rect x="{}" width="{}" height="10" rx="1"/></svg>'
    ).format("less" if number < 0 else "more", "0", f"{width:.1f}")


def spark(points: Sequence[tuple[datetime, float]]) -> Markup:
    """Return a small chart of margin ratios by time, with the line of 100 % where it is near.

    What was not measured is not drawn: a line joins points of one unbroken series alone, and where
    there are few points each is a dot.
    """
    finite = [(at, value) for at, value in points if math.isfinite(value)]
    if not finite:
        return Markup('<span class="quiet">{}</span>').format(ABSENT)
    first, last = finite[0], finite[-1]
    label = f"used, {_stamp(first[0], finite)}: {percent(first[1])}"
    if len(finite) > 1:
        label += f", {_stamp(last[0], finite)}: {percent(last[1])}; {len(finite)} points"
    drawn = _Drawing(finite)
    dots = finite if len(finite) < _SPARK_LINE_POINTS else [last]
    inside = Markup("").join(
        [
            drawn.limit(),
            *(Markup('<polyline points="{}"/>').format(line) for line in drawn.lines()),
            *(drawn.dot(at, value, is_last=(at, value) == last) for at, value in dots),
        ]
    )
    return Markup(
        '<svg class="spark {}" viewBox="0 0 88 22" width="88" height="22" role="img" '
        'aria-label="{}"><title>{}</title>{}</svg>'
    ).format(level_of(last[1]), label, label, inside)


class _Drawing:
    """Points of a small chart, placed by time and height."""

    def __init__(self, points: Sequence[tuple[datetime, float]]) -> None:
        self._points = points
        values = [value for _, value in points]
        low, high = min(values), max(values)
        high = max(high, 1.0) if high > 0.8 else high
        self._low, self._high = (low - 0.02, high + 0.02) if high - low < 0.04 else (low, high)
        self._from = points[0][0].timestamp()
        self._span = points[-1][0].timestamp() - self._from

    def lines(self) -> list[str]:
        """Return the unbroken pieces that are long enough for a line."""
        if len(self._points) < _SPARK_LINE_POINTS:
            return []
        steps = sorted(
            (after[0] - before[0]).total_seconds() for before, after in pairwise(self._points)
        )
        # Five times the usual step between two points is a hole.
        longest = max(steps[len(steps) // 2] * 5.0, 1.0)
        pieces: list[list[tuple[datetime, float]]] = [[self._points[0]]]
        for before, after in pairwise(self._points):
            if (after[0] - before[0]).total_seconds() > longest:
                pieces.append([])
            pieces[-1].append(after)
        return [
            " ".join(f"{self._x(at):.1f},{self._y(value):.1f}" for at, value in piece)
            for piece in pieces
            if len(piece) > 1
        ]

    def dot(self, at: datetime, value: float, *, is_last: bool) -> Markup:
        """Return one point."""
        return Markup('<circle{} cx="{}" cy="{}" r="{}"/>').format(
            Markup("") if is_last else Markup(' class="past"'),
            f"{self._x(at):.1f}", f"{self._y(value):.1f}", "2" if is_last else "1.4",
        )  # fmt: skip

    def limit(self) -> Markup:
        """Return the line of 100 % where it is near."""
        if not self._low <= 1.0 <= self._high:
            return Markup("")
        full = f"{self._y(1.0):.1f}"
        return Markup('<line class="limit" x1="0" x2="88" y1="{}" y2="{}"/>').format(full, full)

    def _x(self, at: datetime) -> float:
        share = (at.timestamp() - self._from) / self._span if self._span > 0.0 else 1.0
        return 3 + share * (_SPARK_WIDTH - 6)

    def _y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return _SPARK_HEIGHT - 3 - share * (_SPARK_HEIGHT - 6)


def _stamp(at: datetime, points: Sequence[tuple[datetime, float]]) -> str:
    is_of_a_day = points[-1][0] - points[0][0] < timedelta(hours=24) and any(
        one[0].minute or one[0].hour for one in points
    )
    return f"{at:%H:%M}" if is_of_a_day else f"{at:%Y-%m-%d}"


def _moment(value: object) -> datetime | None:
    if isinstance(value, str) and value:
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return None


FILTERS: Final = {
    "amount": amount,
    "cents": cents,
    "clock": clock,
    "coded": coded,
    "count": count,
    "instant": instant,
    "minute": minute,
    "move": move,
    "percent": percent,
    "quantity": quantity,
    "ratio": ratio,
    "short": short,
    "signed": signed,
    "whole": whole,
    "words": words,
}
