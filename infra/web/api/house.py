"""The house: kill switch, runs, and the description of this interface."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from infra.db import RunHandle
from infra.outbound import KillStatus
from infra.web import acts
from infra.web.api.models import REFUSALS, Because, KillSwitch, Run
from infra.web.state import caller_of, web_of

router = APIRouter(tags=["house"], responses=REFUSALS)


@router.get("/v1/kill-switch", response_model=KillSwitch)
def kill_switch(request: Request) -> dict[str, Any]:
    """Whether everything that leaves is stopped, since when, by whom and why."""
    return _status(web_of(request).services.kill_switch().status())


@router.post("/v1/kill-switch/arm", response_model=KillSwitch)
def arm(request: Request, body: Because) -> dict[str, Any]:
    """Stop everything that leaves, at once; one person is enough."""
    return _status(acts.arm(web_of(request), caller_of(request), body.reason))


@router.post("/v1/kill-switch/disarm", response_model=KillSwitch)
def disarm(request: Request, body: Because) -> dict[str, Any]:
    """Ask to disarm, or confirm what another person has asked: it takes two."""
    return _status(acts.disarm(web_of(request), caller_of(request), body.reason))


@router.get("/v1/runs", response_model=list[Run])
def runs(
    request: Request,
    kind: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[dict[str, Any]]:
    """The latest runs, newest date first."""
    return [_run(one) for one in web_of(request).database.runs.list(limit, kind)]


@router.get("/v1/runs/{run_id}", response_model=Run)
def run(request: Request, run_id: Annotated[str, Path(max_length=120)]) -> dict[str, Any]:
    """One run with its steps."""
    database = web_of(request).database
    steps = {
        name: {"output_hash": step.output_hash}
        for name, step in database.runs.steps(run_id).items()
    }
    return {**_run(database.runs.get(run_id)), "steps": steps}


@router.get("/v1/openapi.json", include_in_schema=False)
def description(request: Request) -> dict[str, Any]:
    """Return the description of ``/v1`` in OpenAPI."""
    found = request.app.openapi()
    paths = {path: item for path, item in found["paths"].items() if path.startswith("/v1/")}
    return {**found, "paths": paths, "security": [{"token": []}], "components": _components(found)}


def _components(found: dict[str, Any]) -> dict[str, Any]:
    token = {"type": "http", "scheme": "bearer"}
    return {**found.get("components", {}), "securitySchemes": {"token": token}}


def _run(run: RunHandle) -> dict[str, Any]:
    names = (
        "run_id", "kind", "business_date", "sequence", "status", "started_at", "finished_at",
        "snapshot_id", "rule_book_hash", "code_version", "supersedes",
    )  # fmt: skip
    return {**{name: getattr(run, name) for name in names}, "summary": dict(run.summary or {})}


def _status(status: KillStatus) -> dict[str, Any]:
    names = ("is_armed", "actor", "reason", "since", "disarm_requested_by")
    return {name: getattr(status, name) for name in names}
