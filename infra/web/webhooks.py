"""Where messages of clients and custodians come in. Each proves by its signature who has sent it.

Answers say what became of a message and never why one was refused.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from engine.errors import ContractViolation, MarginPlatformError, MissingDataError, StateError
from infra.listings import done_as_json
from infra.messages.webhook_inbound import handle
from infra.oms import handle as record_executions
from infra.web.state import web_of

router = APIRouter(tags=["webhooks"], include_in_schema=False)
_LOG: Final = logging.getLogger(__name__)


@router.post("/webhooks/calls/{client_id}")
async def client_message(
    request: Request, client_id: Annotated[str, Path(max_length=200)]
) -> Response:
    """Take what a client says about its calls."""
    web = web_of(request)
    sender = await run_in_threadpool(web.services.client_sender, client_id)
    if sender is None:
        return Response(status_code=401)
    raw, headers = await request.body(), dict(request.headers)
    database = web.database
    try:
        handled = await run_in_threadpool(
            handle,
            database,
            sender,
            headers,
            raw,
            now=database.clock(),
            value=web.services.value_of,
        )
    except ContractViolation as error:
        _LOG.warning("message of client %s refused: %s", client_id, error)
        return Response(status_code=401)
    except (MissingDataError, StateError) as error:
        if type(error).retryable:
            return Response(status_code=503, headers={"Retry-After": "5"})
        # The signature was the client's own: it may know what is wrong with its own call.
        return JSONResponse({"error": {"status": 409, "message": str(error)}}, 409)
    content = {"is_replay": handled.is_replay, **done_as_json(handled.done)}
    return JSONResponse(content)


@router.post("/webhooks/executions")
async def executions(request: Request) -> Response:
    """Take what order management says of executions and opening positions."""
    web = web_of(request)
    endpoint = await run_in_threadpool(web.services.oms_endpoint)
    if endpoint is None:
        return Response(status_code=404)
    raw, headers = await request.body(), dict(request.headers)
    now = web.database.clock()
    try:
        taken = await run_in_threadpool(
            record_executions, web.database, endpoint, headers, raw, now=now
        )
    except ContractViolation as error:
        _LOG.warning("message of order management refused: %s", error)
        return Response(status_code=401)
    except StateError:
        return Response(status_code=503, headers={"Retry-After": "5"})
    return JSONResponse(asdict(taken))


@router.post("/webhooks/fireblocks")
async def custodian_message(request: Request) -> Response:
    """Take a custodian's message as a hint to look."""
    inbox = web_of(request).custody_inbox
    if inbox is None:
        return Response(status_code=404)
    try:
        await inbox.receive(request.headers, await request.body())
    except ContractViolation:
        return Response(status_code=401)
    except MarginPlatformError:
        return Response(status_code=503, headers={"Retry-After": "5"})
    return Response(status_code=200)
