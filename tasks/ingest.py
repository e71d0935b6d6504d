"""Read every dataset of the date and keep it as it was delivered."""

from __future__ import annotations

from engine.times import close_of
from infra.report.readings import reading_rows
from infra.telemetry import Step, progress
from tasks import artifacts
from tasks.assessments import joint_hash
from tasks.inputs import forget_inputs, read_inputs
from tasks.orders import Order
from tasks.records import facts_of, run_folder
from tasks.steps import Achievement, achieve, step
from tasks.workplace import Workplace, workplace


@step("ingest")
def ingest(run_id: str) -> None:
    """Keep the rows of every dataset with their origin and hash, before any check."""
    achieve(run_id, "ingest", lambda place: _ingest(place, run_id))
    artifacts.show_table(
        "inputs",
        [
            {
                "Dataset": name,
                "Rows": f"{facts['rows']:,}",
                "Origin": facts["origin"],
                "Content": facts["content_hash"][:16],
            }
            for name, facts in facts_of(run_id, "ingest")["datasets"].items()
        ],
        "What was read, as delivered",
    )
    _show_readings(run_id)


def _show_readings(run_id: str) -> None:
    """Show what venues and custodians were asked, where the close was read through adapters."""
    readings = workplace().store.read_frame(raw_path(run_id, "readings"))
    if readings.empty:
        return
    business_date = workplace().database.runs.get(run_id).business_date
    rows = reading_rows(readings, close_of(business_date))
    lost = int((readings["state"] != "read").sum())
    verdict = "all of it whole and in time" if not lost else f"{lost} not read, or kept out"
    artifacts.show_table(
        "readings", rows, f"What venues and custodians said for the close: {verdict}."
    )


def raw_path(run_id: str, dataset: str) -> str:
    """Return where the rows of a dataset are kept as delivered."""
    return f"{run_folder(run_id)}/raw/{dataset}.parquet"


def order_of(run_id: str) -> Order:
    """Return the order that a run was begun with."""
    run = workplace().database.runs.get(run_id)
    market, book = str(run.inputs["market"]), str(run.inputs["book"])
    return Order(run.business_date, market, book, force=False)


def _ingest(place: Workplace, run_id: str) -> Achievement:
    order = order_of(run_id)
    rows = read_inputs(order)
    datasets: dict[str, dict[str, object]] = {}
    hashes: dict[str, str] = {}
    for position, (name, found) in enumerate(rows.items()):
        progress().report(Step("ingest", position, len(rows), name))
        hashes[name] = place.store.write_frame(raw_path(run_id, name), found.frame)
        datasets[name] = {
            "rows": len(found.frame),
            "origin": found.origin,
            "content_hash": found.content_hash,
        }
    forget_inputs(order)
    n_rows = sum(len(found.frame) for found in rows.values())
    return Achievement({"rows": n_rows, "datasets": datasets}, joint_hash(hashes))
