"""Whether the process lives, and whether it can serve; the second says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse

from engine.errors import MarginPlatformError
from infra.web.state import web_of

if TYPE_CHECKING:
    from infra.web.state import WebState

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def alive() -> PlainTextResponse:
    """Return 200 as long as the process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
def ready(request: Request) -> JSONResponse:
    """Return 200 if the database has the schema of this code, else 503 with the reasons."""
    reasons = obstacles(web_of(request))
    content = {"is_ready": not reasons, "reasons": reasons}
    return JSONResponse(content, 503 if reasons else 200)


def obstacles(web: WebState) -> list[str]:
    """Return why the application cannot serve, in words without addresses or names of users."""
    try:
        web.database.check_schema()
    except MarginPlatformError as error:
        kind = (
            "unreachable or locked" if type(error).retryable else "not at the schema of this code"
        )
        return [f"the database is {kind}: run `plimsoll doctor` on the host"]
    return []
