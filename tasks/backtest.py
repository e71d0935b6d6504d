"""Steps of the back-test: what to test, measuring it over history, and the scorecard."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Final

import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from data_contracts.registry import contract
from data_contracts.validation import validate
from engine.backtest.books import CoverageBook
from engine.backtest.coverage import first_testable_date
from engine.errors import MissingDataError
from infra.market.source import open_source
from infra.report import coverage_of
from infra.report.charts.over_time import back_test_svg
from infra.rules import DEFAULT_PARAMETERS, read_house_parameters
from infra.telemetry import Step, code_version, progress
from tasks import artifacts
from tasks.coverage import closes_of
from tasks.coverage_days import CoverageStudy, measure_coverage
from tasks.orders import make_order
from tasks.records import run_folder
from tasks.run_names import name_flow_run
from tasks.scorecard import CONFIDENCE, exception_counts, scorecard_path, scorecard_rows
from tasks.steps import Achievement, achieve, step
from tasks.workplace import Workplace, workplace

KIND: Final = "backtest"
NOTIONAL_USD: Final = 1_000_000.0
LONG, SHORT = "long book", "short book"


@task(name="begin", task_run_name="begin backtest {assets}", cache_policy=NO_CACHE)
def begin_backtest(market: str | None, assets: str, first: date | None, last: date | None) -> str:
    """Return the run that tests these assets; one that is finished is found again.

    Raises
    ------
    MissingDataError
        If the market has no close of an asset, or none inside the dates.
    """
    place = workplace()
    place.database.prepare()
    order = make_order(last, market)
    names = tuple(sorted({name.strip().upper() for name in assets.split(",") if name.strip()}))
    inputs: dict[str, object] = {
        "market": order.market,
        "assets": list(names),
        "first": first.isoformat() if first else "",
    }
    run = place.database.runs.begin(KIND, order.business_date, inputs, code_version(), force=False)
    name_flow_run(f"backtest {', '.join(names)} to {order.business_date} #{run.sequence}")
    get_run_logger().info("%s: %s", run.run_id, inputs)
    return str(run.run_id)


@step("measure")
def measure_history(run_id: str) -> None:
    """Margin the books on every day and keep margins and next-day losses."""
    achieve(run_id, "measure", lambda place: _measure(place, run_id))


@step("scorecard")
def publish_scorecard(run_id: str) -> None:
    """Count exceptions of every book, draw the long one, and record the run as completed."""
    facts = achieve(run_id, "scorecard", lambda place: _publish(place, run_id))
    artifacts.show_table(
        "scorecard", scorecard_rows(run_id), "Exceptions of each book against 99 % coverage"
    )
    artifacts.show_link(
        "chart",
        workplace().store.url_of(f"{run_folder(run_id)}/coverage.svg"),
        "Loss against margin",
        f"{LONG} of equal notionals",
    )
    workplace().database.runs.finish(run_id, "completed", {"books": facts["books"]})


def _measure(place: Workplace, run_id: str) -> Achievement:
    run = place.database.runs.get(run_id)
    assets = [str(name) for name in _list(run.inputs["assets"])]
    house, _ = read_house_parameters(DEFAULT_PARAMETERS, run.business_date)
    closes = _closes(str(run.inputs["market"]), run.business_date, assets)
    study = CoverageStudy(closes, _books(assets), house, CONFIDENCE)
    given = str(run.inputs["first"])
    first = date.fromisoformat(given) if given else first_testable_date(closes, house)
    last = min(run.business_date, closes["date"].max().date())
    dates = [first + timedelta(days=k) for k in range((last - first).days + 1)]
    bar = artifacts.ProgressBar("history", "Days of history margined")

    def on_progress(n_done: int, n_total: int) -> None:
        bar.update(n_done, n_total)
        progress().report(Step("measure", n_done, n_total, f"{n_done} of {n_total} blocks"))

    days = measure_coverage(study, dates, place.cluster_options, on_progress)
    written = place.store.write_frame(_coverage_path(run_id), days)
    return Achievement({"days": int(days["date"].nunique()), "hash": written}, written)


def _publish(place: Workplace, run_id: str) -> Achievement:
    days = place.store.read_frame(_coverage_path(run_id))
    counts = {str(name): exception_counts(rows) for name, rows in days.groupby("book", sort=True)}
    text = json.dumps({"run_id": run_id, "confidence": CONFIDENCE, "books": counts}, indent=1)
    hashes = [place.store.write_bytes(scorecard_path(run_id), text.encode())]
    long_book = days[days["book"] == LONG].reset_index(drop=True)
    drawn = back_test_svg(
        coverage_of(LONG, "USD", long_book, CONFIDENCE).days, "USD", CONFIDENCE, on_page=False
    )
    if drawn is not None:
        path = f"{run_folder(run_id)}/coverage.svg"
        hashes.append(place.store.write_bytes(path, drawn.svg.encode()))
    return Achievement({"books": len(counts)}, "-".join(hashes))


def _closes(market: str, business_date: date, assets: list[str]) -> pd.DataFrame:
    found = _history(market, business_date)
    house, _ = read_house_parameters(DEFAULT_PARAMETERS, business_date)
    missing = sorted(set(assets) - set(found["asset"]))
    if missing:
        raise MissingDataError(
            f"{market} has no close of {', '.join(missing)} up to {business_date}"
        )
    return closes_of(found, {*assets}, house)


def _history(market: str, last: date) -> pd.DataFrame:
    """Return the accepted closes of all years: a close needs eleven, a back-test every one."""
    source, terms = open_source(market), contract("price_history")
    parts: list[pd.DataFrame] = []
    day: date | None = last
    while day is not None:
        raw = source.read("price_history", day)
        found = validate(terms, raw.frame, day)
        if found.refusal is not None:
            raise MissingDataError(found.refusal)
        parts.append(found.accepted)
        oldest: date = found.accepted["date"].min().date()
        # Windows overlap in their first day; where it is all that is left, history has ended.
        day = oldest if oldest < day else None
    return pd.concat(parts).drop_duplicates(["date", "asset"]).reset_index(drop=True)


def _books(assets: list[str]) -> tuple[CoverageBook, ...]:
    singles = [CoverageBook(asset, {asset: NOTIONAL_USD}) for asset in assets]
    return (
        CoverageBook(LONG, dict.fromkeys(assets, NOTIONAL_USD)),
        CoverageBook(SHORT, dict.fromkeys(assets, -NOTIONAL_USD)),
        *singles,
    )


def _coverage_path(run_id: str) -> str:
    return f"{run_folder(run_id)}/coverage.parquet"


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
