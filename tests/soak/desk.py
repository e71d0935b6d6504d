"""A desk whose order management tells of its fills: signed, at a rate, twice, late, out of order.

What the web has answered 200 to is acknowledged: from then on it may neither be lost nor counted
twice. What was answered otherwise, or not at all, is sent again under the same name until it is.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp

from infra.messages.webhook_signing import signed_headers
from tests.soak.facts import Facts
from tests.soak.market import Paths
from tests.soak.place import Place

MESSAGE_SECONDS = 0.25
WAITING_MAX = 200
"""With so many messages unanswered nothing new is traded: the desk waits, it does not forget."""
RETRY_SECONDS = 1.0
TWICE, RETOLD, LATE = 0.10, 0.05, 0.05
"""Shares of messages that are sent again as they are, told again under another name, held back."""
AT_ONCE = 8


class Desk:
    """Trades for the book's accounts and tells of it."""

    def __init__(self, place: Place, paths: Paths, epoch_ns: int, facts: Facts, seed: int) -> None:
        self._place, self._paths, self._epoch_ns, self._facts = place, paths, epoch_ns, facts
        self._chance = random.Random(f"desk {seed}")
        held = place.positions
        held = held[held["instrument_id"].isin(paths.row_of)]
        self._held = list(
            zip(held["account_id"], held["instrument_id"], held["quantity"], strict=True)
        )
        self._seed = seed
        self._n = self._n_messages = 0
        self._acked: set[str] = set()
        self._waiting = 0
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self.answers: Counter[str] = Counter()
        self.n_sent = self.n_acked = 0
        self.is_trading = True

    async def run(self, rate: float) -> None:
        """Trade at so many fills a second until cancelled."""
        url = f"http://127.0.0.1:{self._place.web_port}/webhooks/executions"
        timeout = aiohttp.ClientTimeout(total=45.0)
        owing, before = 0.0, time.monotonic()
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as http:
            while True:
                await asyncio.sleep(MESSAGE_SECONDS)
                now = time.monotonic()
                owing, before = min(owing + rate * (now - before), rate), now
                if not self.is_trading or self._waiting >= WAITING_MAX:
                    owing = 0.0
                    continue
                n, owing = int(owing), owing - int(owing)
                if n:
                    self._tell(http, url, [self._fill() for _ in range(n)])

    async def quiet(self, seconds: float) -> bool:
        """Trade no more; return whether everything was answered in time."""
        self.is_trading = False
        deadline = time.monotonic() + seconds
        while self._waiting and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        return not self._waiting

    def _fill(self) -> dict[str, str]:
        chance = self._chance
        account, instrument, held = self._held[chance.randrange(len(self._held))]
        size = max(abs(held) * chance.uniform(0.002, 0.02), 1e-6)
        self._n += 1
        at = (time.time_ns() - self._epoch_ns) / 1e9
        price = self._paths.prices(at, self._paths.row_array(instrument))[0][0]
        executed = datetime.now(UTC) - timedelta(milliseconds=chance.uniform(0.0, 500.0))
        return {
            "execution_id": f"X{self._seed}-{self._n}",
            "account_id": account,
            "instrument_id": instrument,
            "side": chance.choice(("buy", "sell")),
            "quantity": format(Decimal(f"{size:.6f}"), "f"),
            "execution_price": format(Decimal(f"{max(price, 1e-8):.8f}"), "f"),
            "kind": "trade",
            "executed_utc": executed.isoformat(),
        }

    def _tell(self, http: aiohttp.ClientSession, url: str, fills: list[dict[str, str]]) -> None:
        self.n_sent += len(fills)
        self._facts.add(
            "sent",
            fills=[
                [
                    one["execution_id"], one["account_id"], one["instrument_id"], one["side"],
                    one["quantity"], one["execution_price"],
                ]
                for one in fills
            ],
        )  # fmt: skip
        chance = self._chance
        late = chance.uniform(1.0, 8.0) if chance.random() < LATE else 0.0
        name = self._message(http, url, fills, late)
        if chance.random() < TWICE:
            self._message(http, url, fills, late + chance.uniform(0.0, 5.0), name)
        if chance.random() < RETOLD:
            shuffled = chance.sample(fills, len(fills))
            self._message(http, url, shuffled, late + chance.uniform(0.0, 5.0))

    def _message(
        self,
        http: aiohttp.ClientSession,
        url: str,
        fills: list[dict[str, str]],
        late: float,
        name: str = "",
    ) -> str:
        if not name:
            self._n_messages += 1
            name = f"m-{self._seed}-{self._n_messages}"
        body = json.dumps({"type": "executions.reported", "data": {"executions": fills}}).encode()
        ids = [one["execution_id"] for one in fills]
        self._waiting += 1
        task = asyncio.create_task(self._delivered(http, url, (name, body, ids), late))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return name

    async def _delivered(
        self,
        http: aiohttp.ClientSession,
        url: str,
        message: tuple[str, bytes, list[str]],
        late: float,
    ) -> None:
        name, body, ids = message
        await asyncio.sleep(late)
        try:
            while not await self._posted(http, url, name, body):
                await asyncio.sleep(RETRY_SECONDS)
            new = [one for one in ids if one not in self._acked]
            if new:
                self._acked.update(new)
                self.n_acked += len(new)
                self._facts.add("acked", ids=new)
        finally:
            self._waiting -= 1

    async def _posted(self, http: aiohttp.ClientSession, url: str, name: str, body: bytes) -> bool:
        headers: dict[str, Any] = signed_headers(
            name, datetime.now(UTC), body, [self._place.secret]
        )
        try:
            async with self._room, http.post(url, data=body, headers=headers) as answer:
                await answer.read()
                self.answers[str(answer.status)] += 1
                if answer.status not in (200, 429, 503):
                    self._facts.add("web", path="/webhooks/executions", status=answer.status)
                return bool(answer.status == 200)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.answers[type(error).__name__] += 1
            return False
