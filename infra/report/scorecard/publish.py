"""From a scorecard's content to the bytes of its page, twin and pictures."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pandas as pd

from infra.report.charts.over_time import back_test_svg
from infra.report.page.render import render_sections
from infra.report.scorecard.charts import exceptions_chart, replays_chart
from infra.report.scorecard.content import HOUSE, ONE_DAY, ScorecardContent
from infra.report.scorecard.sections import scorecard_headlines, scorecard_sections

SCHEMA = "plimsoll.scorecard/1"


def published_scorecard(content: ScorecardContent) -> dict[str, bytes]:
    """Return the files of a scorecard by name: page, JSON twin and three pictures."""
    page = render_sections(
        content.run,
        scorecard_sections(content),
        title="Scorecard of the house model",
        headlines=scorecard_headlines(content),
    )
    files = {"scorecard.html": page, "scorecard.json": _twin(content)}
    pictures = {
        "exceptions.svg": exceptions_chart(content.of(ONE_DAY), content.confidence, on_page=False),
        "coverage.svg": back_test_svg(
            list(content.drawn.values())[-1], "USD", content.confidence, on_page=False
        ),
    }
    if len(content.replays):
        pictures["replays.svg"] = replays_chart(content.replays, on_page=False)
    files |= {name: drawn.svg + "\n" for name, drawn in pictures.items() if drawn is not None}
    return {name: text.encode() for name, text in files.items()}


def _twin(content: ScorecardContent) -> str:
    run = content.run
    figures = {
        "schema": SCHEMA,
        "run_id": run.run_id,
        "business_date": run.business_date.isoformat(),
        "parameters_hash": run.rule_book_hash,
        "walk_hash": run.snapshot_id,
        "confidence": content.confidence,
        "facts": asdict(content.facts),
        "choice": dict(content.choice),
        "coverage": {
            variant: _records(content.of(variant).drop(columns="variant"))
            for variant in (ONE_DAY, HOUSE)
        },
        "regimes": _records(content.regimes),
        "tools": _records(content.tools),
        "sensitivity": _records(content.sensitivity),
        "replays": _records(content.replays),
        "misses": _records(content.misses),
        "grid": _records(content.grid),
    }
    return json.dumps(figures, indent=1, ensure_ascii=False) + "\n"


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return rows with dates as text, and nothing where a figure is not known or not finite."""
    return [
        {str(key): _plain(value) for key, value in row.items()}
        for row in frame.to_dict(orient="records")
    ]


def _plain(value: object) -> object:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
