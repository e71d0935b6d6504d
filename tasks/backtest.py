"""Steps of the back-test: what to test, walking history, the verdicts, and the scorecard."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import Final

import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.backtest.findings import forecasts_of, procyclicality_table
from engine.backtest.reference import reference_requirements
from engine.backtest.regimes import TUNING_END
from engine.backtest.tuning import choose, grid_table
from engine.backtest.variants import (
    HOUSE,
    ONE_DAY,
    SHIPPED,
    base_variants,
    grid_variants,
    sensitivity_variants,
    tool_variants,
)
from engine.backtest.walk_forward import Variant, WalkStudy, known_on
from engine.errors import InvariantBroken, StateError, StateUnavailable
from infra.report.scorecard import published_scorecard
from infra.telemetry import Step, code_version, progress
from tasks import artifacts
from tasks.backtest_inputs import StudyInputs, parameters_hash, study_inputs
from tasks.backtest_walks import Spread, judged, scored, walked
from tasks.coverage_days import CONFIDENCE
from tasks.orders import make_order
from tasks.records import run_folder
from tasks.run_names import name_flow_run
from tasks.scorecard import scorecard_content, scorecard_places, scorecard_rows
from tasks.steps import Achievement, achieve, step
from tasks.workplace import Workplace, workplace

KIND: Final = "backtest"
# Days on which the walk is compared with whole assessments, spread evenly over history.
DAYS_COMPARED: Final = 24
# Both are sums of a thousand products; beyond rounding they must agree.
DIFFERENCE_MAX: Final = 1e-9


@task(name="begin", task_run_name="begin backtest {assets}", cache_policy=NO_CACHE)
def begin_backtest(
    market: str | None, assets: str, first: date | None, last: date | None, tune: bool
) -> str:
    """Return the run that tests these assets; one that is finished is found again.

    Other inputs, parameters or code are another study, hence a new sequence of the date.
    """
    place = workplace()
    place.database.prepare()
    order = make_order(last, market)
    names = tuple(sorted({name.strip().upper() for name in assets.split(",") if name.strip()}))
    inputs: dict[str, object] = {
        "market": order.market,
        "assets": list(names),
        "first": first.isoformat() if first else "",
        "tune": tune,
        "parameters": parameters_hash(order.business_date),
    }
    runs = place.database.runs
    try:
        run = runs.begin(KIND, order.business_date, inputs, code_version())
    except StateUnavailable:
        raise
    except StateError:
        run = runs.begin(KIND, order.business_date, inputs, code_version(), force=True)
    subject = ", ".join(names) or "standard assets"
    name_flow_run(f"backtest {subject} to {order.business_date} #{run.sequence}")
    get_run_logger().info("%s: %s", run.run_id, inputs)
    return str(run.run_id)


@step("measure")
def measure_history(run_id: str) -> None:
    """Margin every book on every day, and compare some days with whole assessments."""
    achieve(run_id, "measure", lambda place: _measure(place, run_id))


@step("vary")
def vary_parameters(run_id: str) -> None:
    """Walk again with each tool and each parameter changed."""
    achieve(run_id, "vary", lambda place: _vary(place, run_id))


@step("tune")
def tune_filter(run_id: str) -> None:
    """Choose the best filter on data up to the end of 2023 and compare it afterwards."""
    if workplace().database.runs.get(run_id).inputs["tune"]:
        achieve(run_id, "tune", lambda place: _tune(place, run_id))


@step("judge")
def judge_forecasts(run_id: str) -> None:
    """Test the forecasts of every book."""
    achieve(run_id, "judge", lambda place: _judge(place, run_id))


@step("scorecard")
def publish_scorecard(run_id: str) -> None:
    """Write the scorecard with its twins, show it, and record the run as completed."""
    facts = achieve(run_id, "scorecard", lambda place: _publish(place, run_id))
    artifacts.show_table(
        "scorecard", scorecard_rows(run_id), "Exceptions of each book against 99 % coverage"
    )
    for name, url in scorecard_places(run_id).items():
        artifacts.show_link(name, url, name, f"{name} of {run_id}")
    workplace().database.runs.finish(run_id, "completed", {"books": facts["books"]})


def _measure(place: Workplace, run_id: str) -> Achievement:
    inputs = study_inputs(place.database.runs.get(run_id))
    variants = base_variants(inputs.house, CONFIDENCE)
    study = WalkStudy(inputs.panel, inputs.books, variants)
    days = walked(study, inputs.dates, _spread(place, "measure"))
    n_compared, difference = _compare(inputs, variants[0], days)
    written = place.store.write_frame(f"{run_folder(run_id)}/walk.parquet", days)
    facts = {
        "days": int(days["date"].nunique()),
        "books": int(days["book"].nunique()),
        "compared": n_compared,
        "largest_difference": difference,
        "hash": written,
    }
    return Achievement(facts, written)


def _compare(inputs: StudyInputs, variant: Variant, days: pd.DataFrame) -> tuple[int, float]:
    """Return how many requirements equal those of whole assessments, and the largest gap."""
    tested = days[days["variant"] == variant.name]
    dates = [day.date() for day in sorted(tested["date"].unique())]
    n_compared, largest = 0, 0.0
    for business_date in dates[:: max(len(dates) // DAYS_COMPARED, 1)]:
        rows = tested[tested["date"] == pd.Timestamp(business_date)].set_index("book")
        found = rows["requirement"]
        # A leg without a later price was left out of the walk, which an assessment would not do.
        whole = tuple(
            book
            for book in inputs.books
            if book.name in rows.index and rows["n_assets"][book.name] == len(book.assets)
        )
        house = known_on(variant.house, business_date)
        expected = reference_requirements(
            inputs.panel, inputs.frames, whole, house, business_date, confidence=variant.confidence
        )
        for book in whole:
            required = expected[book.name]
            gap = abs(float(found[book.name]) - required) / max(required, 1.0)
            if gap > DIFFERENCE_MAX:
                raise InvariantBroken(
                    f"{book.name} on {business_date}: the walk requires {found[book.name]}, the "
                    f"assessment {required}"
                )
            n_compared, largest = n_compared + 1, max(largest, gap)
    return n_compared, largest


def _vary(place: Workplace, run_id: str) -> Achievement:
    inputs = study_inputs(place.database.runs.get(run_id))
    sets = {
        "tools": tool_variants(inputs.house, CONFIDENCE),
        "values": sensitivity_variants(inputs.house, CONFIDENCE),
    }
    both = WalkStudy(inputs.panel, inputs.studied, tuple(_joined(sets)))
    days = walked(both, inputs.dates, _spread(place, "vary"))
    hashes = []
    for name in sets:
        chosen = days[days["variant"].str.startswith(f"{name}/")]
        rows = chosen.assign(variant=chosen["variant"].str.removeprefix(f"{name}/"))
        path = f"{run_folder(run_id)}/{name}.parquet"
        hashes.append(place.store.write_frame(path, rows.reset_index(drop=True)))
    return Achievement({"variants": len(both.variants), "hashes": hashes}, "-".join(hashes))


def _joined(sets: dict[str, tuple[Variant, ...]]) -> list[Variant]:
    return [
        Variant(f"{name}/{one.name}", one.house, one.confidence)
        for name, variants in sets.items()
        for one in variants
    ]


def _tune(place: Workplace, run_id: str) -> Achievement:
    inputs = study_inputs(place.database.runs.get(run_id))
    grid = grid_variants(inputs.house, CONFIDENCE)
    past = [day for day in inputs.dates if day <= TUNING_END]
    future = [day for day in inputs.dates if day > TUNING_END]
    study = WalkStudy(inputs.panel, inputs.scored, grid)
    tuned = scored(study, past, _spread(place, "tune"))
    table = grid_table(tuned)
    pair = tuple(one for one in grid if one.name in (SHIPPED, str(table["variant"].iloc[0])))
    spread = _spread(place, "tune-pair")
    two = WalkStudy(inputs.panel, inputs.studied, pair)
    rises = procyclicality_table(walked(two, past, spread), inputs.notional)
    later = pd.DataFrame(columns=tuned.columns)
    if future:
        later = scored(WalkStudy(inputs.panel, inputs.scored, pair), future, spread)
    choice = choose(table, rises, tuned, later)
    folder = run_folder(run_id)
    hashes = [
        place.store.write_frame(f"{folder}/grid.parquet", table),
        place.store.write_bytes(f"{folder}/choice.json", json.dumps(asdict(choice)).encode()),
    ]
    facts = {"filters": len(grid), "replaces": choice.replaces, "best": choice.variant}
    return Achievement(facts, "-".join(hashes))


def _judge(place: Workplace, run_id: str) -> Achievement:
    days = place.store.read_frame(f"{run_folder(run_id)}/walk.parquet")
    rows = []
    for variant in (ONE_DAY, HOUSE):
        parts = days[days["variant"] == variant].groupby("book", sort=True)
        forecasts = [forecasts_of(str(name), part) for name, part in parts]
        verdicts = judged(forecasts, CONFIDENCE, _spread(place, f"judge {variant}"))
        for one, found in zip(forecasts, verdicts, strict=True):
            flat = asdict(found)
            for window in ("year", "three_years"):
                flat |= {f"{window}_{key}": value for key, value in flat.pop(window).items()}
            rows.append({"variant": variant, "book": one.name, **flat})
    frame = pd.DataFrame(rows)
    written = place.store.write_frame(f"{run_folder(run_id)}/verdicts.parquet", frame)
    return Achievement({"verdicts": len(frame), "hash": written}, written)


def _publish(place: Workplace, run_id: str) -> Achievement:
    content = scorecard_content(place, run_id)
    hashes = [
        place.store.write_bytes(f"{run_folder(run_id)}/{name}", data)
        for name, data in sorted(published_scorecard(content).items())
    ]
    return Achievement({"books": len(content.verdicts["book"].unique())}, "-".join(hashes))


def _spread(place: Workplace, name: str) -> Spread:
    bar = artifacts.ProgressBar(name.replace(" ", "-"), f"Blocks of {name} done")
    return Spread(place.cluster_options, _reporter(name, bar.update))


def _reporter(name: str, update: Callable[[int, int], None]) -> Callable[[int, int], None]:
    def on_progress(n_done: int, n_total: int) -> None:
        update(n_done, n_total)
        progress().report(Step(name, n_done, n_total, f"{n_done} of {n_total} blocks"))

    return on_progress
