"""Questions that move nothing: calculations, what-ifs, stress days. No answer is ever a guess."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from engine.errors import ContractViolation, MissingDataError
from infra.compute import CALCULATION_NAMES, compute
from infra.report.json_twin import plain
from infra.web.api.models import REFUSALS, Calculation, Stress, WhatIf
from infra.web.objects import client_of_netting_set
from infra.web.services import Question, StressQuestion
from infra.web.state import caller_of, web_of

router = APIRouter(tags=["questions"], responses=REFUSALS)


@router.get("/v1/compute")
def calculations(request: Request) -> dict[str, list[str]]:
    """The calculations that can be asked for."""
    return {"calculations": list(CALCULATION_NAMES)}


@router.post("/v1/compute")
def calculate(request: Request, body: Calculation) -> dict[str, Any]:
    """Answer one calculation, as ``plimsoll compute`` does."""
    with web_of(request).bench.place(body.calculation):
        return {"outputs": compute(body.calculation, body.inputs)}


@router.post("/v1/whatif")
def what_if(request: Request, body: WhatIf) -> dict[str, Any]:
    """Say what orders and transfers would do to a netting set.

    Each candidate is ``answered`` or ``refused`` with a reason; if none can be answered, the whole
    question is refused. A refusal is no permission.
    """
    web, who = web_of(request), caller_of(request)
    if who.clients is not None:
        _require_own(request, body.netting_set_id)
    if not body.orders and not body.transfers:
        raise ContractViolation("nothing is asked: give orders or transfers", identifier="orders")
    question = Question(
        netting_set_id=body.netting_set_id,
        orders=tuple(body.orders),
        transfers=tuple(body.transfers),
        each_alone=body.each_alone,
        run_id=body.run_id,
    )
    with web.bench.place("what-if"):
        found = web.services.what_if(question)
    refused = [one for one in found["candidates"] if one["answer"] != "answered"]
    if len(refused) == len(found["candidates"]):
        reasons = "; ".join(sorted({str(one["reason"]) for one in refused}))
        raise ContractViolation(f"refused: {reasons}", identifier=body.netting_set_id)
    return found


@router.get("/v1/stress")
def library(request: Request) -> list[dict[str, Any]]:
    """The stress days of the library."""
    return web_of(request).services.stress_library()


@router.post("/v1/stress")
def stress(request: Request, body: Stress) -> dict[str, Any]:
    """Say what a day would take from each netting set, and the calls it would make."""
    web = web_of(request)
    question = StressQuestion(**body.model_dump())
    with web.bench.place("stress"):
        found = web.services.stress(question)
    rows = [{**row, "margin_ratio": plain(row["margin_ratio"])} for row in found["rows"]]
    return {**found, "rows": rows}


def _require_own(request: Request, netting_set_id: str) -> None:
    web, who = web_of(request), caller_of(request)
    try:
        client: str | None = client_of_netting_set(web.database, netting_set_id)
    except MissingDataError:
        client = None
    who.require_sees(client, "netting set", netting_set_id)
