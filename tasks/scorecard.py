"""The content of a scorecard, and what is shown of it elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from engine.backtest.findings import (
    RELEASED,
    misses,
    procyclicality_table,
    regime_table,
    sensitivity_table,
    turbulence_by_date,
    with_released_buffer,
)
from engine.backtest.panel import trailing_volatility
from engine.backtest.regimes import TRAILING_DAYS, is_turbulent
from engine.backtest.replays import replays
from engine.backtest.unit_pnl import worst_loss
from engine.backtest.variants import (
    HOUSE,
    NO_TOOL,
    ONE_DAY,
    SHIPPED,
    parameter_values,
    sensitivity_variants,
)
from engine.times import close_of
from infra.report.inputs import RunFacts
from infra.report.scorecard import HistoryFacts, ScorecardContent
from tasks.backtest_inputs import StudyInputs, parameters_hash, study_inputs
from tasks.coverage_days import CONFIDENCE
from tasks.records import facts_of, run_folder
from tasks.workplace import Workplace, workplace

# Books drawn over time; the last one also as losses against margin.
DRAWN: Final = ("BTC long", "directional long", "basket long")
# From here on most assets are there: early years are of one coin, at volatilities of its youth.
TOOLS_FIRST: Final = pd.Timestamp("2017-01-01")
RELEASE_QUANTILE: Final = 0.75
_TOOL_ORDER: Final = {
    name: i
    for i, name in enumerate(
        (NO_TOOL, "buffer", RELEASED, "stress weight", "long-run floor", SHIPPED)
    )
}


def scorecard_content(place: Workplace, run_id: str) -> ScorecardContent:
    """Return the content of a scorecard from what the steps of its run have kept."""
    inputs = study_inputs(place.database.runs.get(run_id))
    days = _frame(place, run_id, "walk")
    one_day, house = (days[days["variant"] == name] for name in (ONE_DAY, HOUSE))
    turbulent = _turbulence(inputs, 0.5)
    tools = with_released_buffer(
        _frame(place, run_id, "tools"), _turbulence(inputs, RELEASE_QUANTILE)
    )
    studied = {book.name: inputs.notional[book.name] for book in inputs.studied}
    tool_book = "directional long" if "directional long" in studied else next(iter(studied))
    variants = sensitivity_variants(inputs.house, CONFIDENCE)
    is_tuned = "choice.json" in _names(place, run_id)
    return ScorecardContent(
        run=_run_facts(place, run_id),
        confidence=CONFIDENCE,
        facts=_history_facts(run_id),
        families={book.name: book.family for book in inputs.books},
        notional=inputs.notional,
        verdicts=_frame(place, run_id, "verdicts"),
        regimes=regime_table(one_day, turbulent, confidence=CONFIDENCE),
        tools=_tool_table(tools, studied),
        sensitivity=sensitivity_table(
            _frame(place, run_id, "values"),
            parameter_values(inputs.house, CONFIDENCE),
            studied,
            {variant.name: variant.confidence for variant in variants},
        ),
        replays=_with_worst(replays(house), inputs),
        misses=misses(house),
        drawn=_drawn(one_day),
        tool_days=_tool_days(tools, tool_book, studied[tool_book]),
        tool_book=tool_book,
        grid=_frame(place, run_id, "grid") if is_tuned else pd.DataFrame(),
        choice=_choice(place, run_id) if is_tuned else {},
    )


def scorecard_path(run_id: str) -> str:
    """Return where the figures of a scorecard are kept."""
    return f"{run_folder(run_id)}/scorecard.json"


def scorecard_figures(run_id: str) -> dict[str, Any]:
    """Return every figure of a finished back-test."""
    found: dict[str, Any] = json.loads(workplace().store.read_bytes(scorecard_path(run_id)))
    return found


def scorecard_rows(run_id: str) -> list[dict[str, str]]:
    """Return the coverage of a finished back-test over one day as text, a row per book."""
    rows = scorecard_figures(run_id)["coverage"][ONE_DAY]
    return [
        {
            "book": row["book"],
            "days": str(row["n_days"]),
            "exceptions": str(row["exceptions"]),
            "expected": f"{row['expected']:.1f}",
            "kupiec p": f"{row['coverage_p_value']:.3f}",
            "margin": row["coverage"],
            "shortfall": row["shortfall"],
            "last 250": f"{row['year_last']} {row['year_zone']}".strip(),
            "beyond core": str(row["beyond_core"]),
            "beyond requirement": str(row["beyond_requirement"]),
            "mean requirement": f"{row['requirement_share']:.1%}",
        }
        for row in rows
    ]


def scorecard_places(run_id: str) -> dict[str, str]:
    """Return where the results of a finished back-test are."""
    store = workplace().store
    names = {"scorecard": "scorecard.html", "figures": "scorecard.json", "days": "walk.parquet"}
    return {name: store.url_of(f"{run_folder(run_id)}/{file}") for name, file in names.items()}


def _frame(place: Workplace, run_id: str, name: str) -> pd.DataFrame:
    return place.store.read_frame(f"{run_folder(run_id)}/{name}.parquet")


def _names(place: Workplace, run_id: str) -> set[str]:
    done = place.database.runs.step_result(run_id, "tune")
    return {"choice.json"} if done is not None else set()


def _choice(place: Workplace, run_id: str) -> Mapping[str, object]:
    found: dict[str, object] = json.loads(
        place.store.read_bytes(f"{run_folder(run_id)}/choice.json")
    )
    return found


def _turbulence(inputs: StudyInputs, quantile: float) -> pd.Series:
    """Return whether the proxy asset was turbulent, by date, as known on the date."""
    panel = inputs.panel
    returns = panel.returns[:, panel.column_of(inputs.house.proxy.asset)]
    volatility = trailing_volatility(returns, TRAILING_DAYS)
    return turbulence_by_date(panel.dates, is_turbulent(volatility, quantile=quantile))


def _first(tools: pd.DataFrame) -> pd.Timestamp | None:
    """Return from when on the tools are compared: all of history where that is short."""
    return TOOLS_FIRST if (tools["date"] < TOOLS_FIRST).any() else None


def _drawn(one_day: pd.DataFrame) -> dict[str, pd.DataFrame]:
    names = [name for name in DRAWN if (one_day["book"] == name).any()]
    columns = ["date", "loss", "value_at_risk", "requirement"]
    found = {}
    for name in names or sorted(one_day["book"].unique())[:1]:
        rows = one_day[one_day["book"] == name].sort_values("date")[columns]
        exception = rows["loss"] > rows["value_at_risk"]
        found[str(name)] = rows.assign(exception=exception).reset_index(drop=True)
    return found


def _tool_days(tools: pd.DataFrame, book: str, notional: float) -> pd.DataFrame:
    rows = tools[tools["book"] == book]
    first = _first(tools)
    rows = rows if first is None else rows[rows["date"] >= first]
    share = rows["requirement"] / notional
    drawn = rows.assign(share=share, place=rows["variant"].map(_TOOL_ORDER))
    return drawn.sort_values(["place", "date"], ignore_index=True)[["variant", "date", "share"]]


def _tool_table(tools: pd.DataFrame, notional: Mapping[str, float]) -> pd.DataFrame:
    """Return the tools side by side, book by book."""
    found = procyclicality_table(tools, notional, first=_first(tools))
    if found.empty:
        return found
    order = {name: i for i, name in enumerate(notional)}
    placed = found.assign(b=found["book"].map(order), t=found["variant"].map(_TOOL_ORDER))
    return placed.sort_values(["b", "t"], ignore_index=True).drop(columns=["b", "t"])


def _with_worst(found: pd.DataFrame, inputs: StudyInputs) -> pd.DataFrame:
    books = {book.name: book for book in inputs.books}
    mpor = inputs.house.mpor
    worst = [
        worst_loss(books[row["book"]].legs, inputs.panel, row["date"].date(), mpor)
        for row in found.to_dict(orient="records")
    ]
    wanted = [
        "event", "book", "date", "requirement", "core_margin", "loss", "shortfall", "horizon_days",
    ]  # fmt: skip
    order = {name: i for i, name in enumerate(books)}
    events = {name: i for i, name in enumerate(dict.fromkeys(found["event"]))}
    rows = found[wanted].assign(worst_loss=worst)
    place = pd.DataFrame({"e": rows["event"].map(events), "b": rows["book"].map(order)})
    return rows.loc[place.sort_values(["e", "b"]).index].reset_index(drop=True)


def _history_facts(run_id: str) -> HistoryFacts:
    facts = facts_of(run_id, "measure")
    return HistoryFacts(
        n_days=int(facts["days"]),
        n_compared=int(facts["compared"]),
        largest_difference=float(facts["largest_difference"]),
    )


def _run_facts(place: Workplace, run_id: str) -> RunFacts:
    run = place.database.runs.get(run_id)
    return RunFacts(
        run_id=run.run_id,
        business_date=run.business_date,
        sequence=run.sequence,
        snapshot_id=str(facts_of(run_id, "measure")["hash"]),
        rule_book_hash=parameters_hash(run.business_date),
        code_version=run.code_version,
        status="completed",
        as_of=close_of(run.business_date),
    )
