"""Where webhooks come in: verified, taken once, and handed on as a hint to look.

An event that was taken and whose hint was lost by a crash does no harm: the desk asks by itself
as well. So the receipt comes first, and whatever is repeated has no effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from aiohttp import web

from engine.errors import ContractViolation, MarginPlatformError
from engine.ports import TransferReport
from infra.clock import Clock, utc_now
from infra.custody.fireblocks.assets import CUSTODIAN
from infra.custody.fireblocks.transfers import report_of_hint
from infra.custody.fireblocks.webhooks import BODY_BYTES_MAX, WebhookVerifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.db import Database

Received: TypeAlias = Literal["hint", "repeat", "not ours"]
Ingest: TypeAlias = Callable[[TransferReport, str], bool]
PATH: Final = "/webhooks/fireblocks"


class Inbox:
    """Takes messages of one workspace; ``ingest`` is ``TransferDesk.ingest``."""

    def __init__(
        self,
        database: Database,
        verifier: WebhookVerifier,
        ingest: Ingest,
        clock: Clock = utc_now,
    ) -> None:
        self._database, self._verifier = database, verifier
        self._ingest, self._clock = ingest, clock

    async def receive(self, headers: Mapping[str, str], raw: bytes) -> Received:
        """Return what became of a message.

        Raises
        ------
        ContractViolation
            If it is not Fireblocks' own, or not of now: it had no effect.
        MarginPlatformError
            If keys or database could not be read; the sender may try again.
        """
        event = await self._verifier.verify(headers, raw)
        with self._database.writing() as connection:
            is_new = self._database.webhooks.receive_within(
                connection, CUSTODIAN, event.event_id, event.sent_at, raw
            )
        if not is_new:
            return "repeat"
        if not event.key:
            return "not ours"
        hint = report_of_hint(event.key, event.transaction_id, event.status, self._clock())
        return "hint" if self._ingest(hint, f"webhook {CUSTODIAN}") else "not ours"


def receiving_application(inbox: Inbox) -> web.Application:
    """Return a server that takes webhooks under ``PATH``.

    It answers 200 for what was taken or repeated, 401 for what is not Fireblocks', 503 for what
    could not be judged, so that it comes again; and never says why.
    """

    async def take(request: web.Request) -> web.Response:
        raw = await request.read()
        try:
            await inbox.receive(request.headers, raw)
        except ContractViolation:
            return web.Response(status=401)
        except MarginPlatformError:
            return web.Response(status=503)
        return web.Response(status=200)

    application = web.Application(client_max_size=BODY_BYTES_MAX)
    application.router.add_post(PATH, take)
    return application
