"""One look for every chart: palette, type, axes, and the step from a figure to clean SVG.

Inside the page, colours become CSS variables, so that one drawing serves light, dark and print.
As a file or an image of its own, a chart is a light card with the same colours spelled out.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.report.amounts import brief

# Checked for the three kinds of colour blindness (Machado et al. 2009): neighbours in a stack
# differ by 20 or more in CIELAB. Light value, dark value.
PALETTE: Mapping[str, tuple[str, str]] = {
    "ink": ("#1a2027", "#e6eaef"),
    "muted": ("#57626e", "#a3aeba"),
    "grid": ("#d9dee4", "#2d3640"),
    "card": ("#fefefe", "#141a21"),
    "core": ("#1d4e89", "#4a86c5"),
    "offset": ("#5fa3d9", "#9ccbf0"),
    "procyclicality": ("#117864", "#2fa98c"),
    "floor": ("#a9cf8f", "#d3ecc0"),
    "gap": ("#e3a008", "#f0bf45"),
    "liquidity": ("#c2451e", "#e0703f"),
    "wrong-way": ("#b56aa6", "#c77bb6"),
    "hold": ("#3c434c", "#d5dae1"),
    "up": ("#c2461f", "#e06f40"),
    "down": ("#1d4f89", "#4b86c5"),
    "total": ("#67727e", "#8e99a5"),
    "region": ("#f6e3dc", "#3a251e"),
}
PART_COLOURS = (
    "core", "offset", "procyclicality", "floor", "gap", "liquidity", "wrong-way", "hold",
)  # fmt: skip
FONT_STACK = "var(--sans)"
_FONT_SIZE = 9.0
_WHITE_SPACE = re.compile(r">\s+<")


def colour(name: str) -> str:
    """Return the colour of a role, as drawn."""
    return PALETTE[name][0]


def variables(theme: int) -> str:
    """Return the CSS variables of the light (0) or dark (1) theme."""
    return "".join(f"--c-{name}:{values[theme]};" for name, values in PALETTE.items())


def new_figure(width: float, height: float, *, rows: int = 1, columns: int = 1, **grid: Any) -> Any:
    """Return figure and axes in the report's style. [inches]"""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0.0)
    axes = figure.subplots(rows, columns, **grid)
    for one in axes.flat if rows * columns > 1 else [axes]:
        _plain(one)
    return figure, axes


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and the sentence that says what it shows."""

    name: str
    summary: str
    svg: str


def chart(name: str, summary: str, paint: Callable[[], Any], *, on_page: bool) -> Chart:
    """Return the figure that ``paint`` draws as a chart.

    Parameters
    ----------
    name : str
        Prefix of the identifiers inside the drawing.
    summary : str
        What a reader who cannot see the chart is told.
    paint : Callable
        Draws with ``new_figure`` and returns the figure.
    on_page : bool
        Whether colours become CSS variables and type the page's own; else a light card.
    """
    from matplotlib import rc_context, rcdefaults, rcParams

    with rc_context():
        # Whatever a matplotlibrc or another library has set: the same figures, the same bytes.
        rcdefaults()
        rcParams.update(_settings(on_page))
        svg = _svg(paint(), name, summary, on_page)
    return Chart(name, summary, svg)


def _settings(on_page: bool) -> dict[str, Any]:
    return {
        "font.family": ["DejaVu Sans"],
        "font.size": _FONT_SIZE,
        # Text stays text on the page; a card looks the same where its font is not installed.
        "svg.fonttype": "none" if on_page else "path",
        "svg.hashsalt": "plimsoll",
        "text.color": colour("ink"),
        "axes.labelcolor": colour("muted"),
        "axes.edgecolor": colour("grid"),
        "axes.titlesize": _FONT_SIZE + 1,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "xtick.color": colour("muted"),
        "ytick.color": colour("muted"),
        "xtick.labelsize": _FONT_SIZE,
        "ytick.labelsize": _FONT_SIZE,
        "axes.unicode_minus": True,
        "path.simplify": True,
        "path.simplify_threshold": 0.2,
    }


def _svg(figure: Any, name: str, summary: str, on_page: bool) -> str:
    buffer = io.StringIO()
    # Off the page nobody knows what is behind: a card brings its own background.
    figure.patch.set_alpha(0.0 if on_page else 1.0)
    figure.savefig(
        buffer,
        format="svg",
        facecolor="none" if on_page else colour("card"),
        metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Its selector * would reach out of the drawing; the page has the same rule for charts only.
    text = re.sub(
        r"<defs>\s*<style.*?</style>\s*</defs>", "" if on_page else r"\g<0>", text, flags=re.DOTALL
    )
    text = _own_identifiers(text, name)
    text = _WHITE_SPACE.sub("><", text.replace("\n", " "))
    label = summary.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    text = text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return _themed(text) if on_page else text.strip()


def short_ticks(axis: Any) -> None:
    """Label an axis of amounts with three figures and a unit."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: brief(value)))


def _plain(axes: Any) -> None:
    axes.patch.set_alpha(0.0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, pad=4)
    axes.set_axisbelow(True)
    axes.grid(axis="both", color=colour("grid"), linewidth=0.6)


def _own_identifiers(text: str, name: str) -> str:
    """Drop identifiers that nothing refers to; prefix the others with the chart's name."""
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
    kept = {first or second for first, second in used}

    def own(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in kept else ""

    text = re.sub(r' id="([^"]+)"', own, text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)


def _themed(text: str) -> str:
    for role, (light, _) in PALETTE.items():
        text = text.replace(light, f"var(--c-{role})")
    text = re.sub(r"'DejaVu Sans'[^;\"]*", FONT_STACK, text)
    # The page sizes the drawing; its own aspect ratio stays in the view box.
    return re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text, count=1).strip()
