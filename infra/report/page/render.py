"""From a document to the bytes of one HTML file that asks nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from infra.report.amounts import exact
from infra.report.charts.style import variables
from infra.report.components import PARTS
from infra.report.document import Document
from infra.report.headline import Headline
from infra.report.inputs import RunFacts
from infra.report.page.cells import Section
from infra.report.page.rule_sections import NETTING_SET_ROWS
from infra.report.page.sections import sections
from infra.report.page.why import why_of

_HERE = Path(__file__).parent
_TONES = {"completed": "good", "incomplete": "act", "failed": "act"}


def render_page(document: Document) -> str:
    """Return the report as HTML: the same text for the same document."""
    return _render(
        document.inputs.run,
        sections(document),
        title="End-of-day margin report",
        why=why_of(document, NETTING_SET_ROWS),
        parts=PARTS,
        headlines=document.headlines,
        concerns=document.concerns,
        currency=document.reporting.currency,
    )


def render_sections(
    run: RunFacts, shown: list[Section], *, title: str, headlines: tuple[Headline, ...]
) -> str:
    """Return a page of some sections in the report's style, without its notes."""
    return _render(
        run,
        shown,
        title=title,
        why={"names": [], "sets": {}},
        parts=(),
        headlines=headlines,
        concerns=(),
        currency="",
    )


def _render(run: RunFacts, shown: list[Section], *, why: object, **content: object) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_HERE / "report.js").read_text(encoding="utf-8")
    digest = hashlib.sha256(script.encode()).digest()
    return environment.get_template("page.html").render(
        run=run,
        day=f"{run.business_date.day} {run.business_date:%B %Y}",
        as_of=f"{run.as_of:%Y-%m-%d %H:%M}",
        status_tone=_TONES.get(run.status, "watch"),
        sections=shown,
        exact=exact,
        style=_style(),
        script=script,
        script_hash=base64.b64encode(digest).decode(),
        # Inside a script element only "<" could end it.
        why=json.dumps(why, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c"),
        **content,
    )


def _style() -> object:
    from markupsafe import Markup

    text = (_HERE / "report.css").read_text(encoding="utf-8")
    text = text.replace("/*LIGHT*/", variables(0)).replace("/*DARK*/", variables(1))
    return Markup(text)
