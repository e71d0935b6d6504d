"""Templates, the words in which figures are shown, and small pictures without scripts or styles."""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from infra.report.amounts import ABSENT, count, exact, percent, short, signed

STATIC: Final = Path(__file__).parent / "static"
_TEMPLATES: Final = Path(__file__).parent / "templates"
_SPARK_WIDTH, _SPARK_HEIGHT = 88, 22
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
            asset=asset_address, bar=bar, spark=spark, usage=usage, level_of=level_of
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


def clock(value: object, now: datetime, word: str = "age") -> Markup:
    """Return how long ago, or until, an instant; the page's script lets it go on."""
    moment = _moment(value)
    if moment is None:
        return Markup(ABSENT)
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


def spark(points: list[tuple[str, float]]) -> Markup:
    """Return a sparkline of margin ratios, with the line of 100 % where it is near."""
    finite = [(label, value) for label, value in points if math.isfinite(value)]
    if len(finite) < 2:
        return Markup('<span class="quiet">one point</span>' if finite else ABSENT)
    values = [value for _, value in finite]
    low, high = min(values), max(values)
    if high > 0.8:
        high = max(high, 1.0)
    low, high = (low - 0.02, high + 0.02) if high - low < 0.04 else (low, high)
    step = (_SPARK_WIDTH - 6) / (len(values) - 1)

    def height(value: float) -> float:
        return _SPARK_HEIGHT - 3 - (value - low) / (high - low) * (_SPARK_HEIGHT - 6)

    line = " ".join(f"{3 + i * step:.1f},{height(value):.1f}" for i, value in enumerate(values))
    full = height(1.0)
    limit = (
        Markup('<line class="limit" x1="0" x2="88" y1="{}" y2="{}"/>').format(
            f"{full:.1f}", f"{full:.1f}"
        )
        if low <= 1.0 <= high
        else Markup("")
    )
    label = (
        f"used, {finite[0][0]} to {finite[-1][0]}: {percent(values[0])} to {percent(values[-1])}"
    )
    return Markup(
        '<svg class="spark {}" viewBox="0 0 88 22" width="88" height="22" role="img" '
        'aria-label="{}"><title>{}</title>{}<polyline points="{}"/><circle cx="{}" cy="{}" r="2"/>'
        "</svg>"
    ).format(
        level_of(values[-1]), label, label, limit, line,
        f"{3 + (len(values) - 1) * step:.1f}", f"{height(values[-1]):.1f}",
    )  # fmt: skip


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
