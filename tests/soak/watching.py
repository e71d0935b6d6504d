"""What people would see: the board, read over HTTP as a screen reads it, and timed.

A fault whose state has to be shown registers what is expected; what is not seen in time, or is
shown without reason, age or next action, is a violation.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.soak.facts import Facts
from tests.soak.place import Place

POLL_SECONDS = 0.5
TROUBLED = ("degraded", "down", "unknown")
Told = Callable[[str, str, dict[str, Any]], None]


@dataclass
class Expected:
    """A state that has to be shown: any row that ``matches`` and is not live."""

    what: str
    scope: str
    names: tuple[str, ...]
    since: float
    seconds: float
    fault: str
    seen_after: float | None = None

    def matches(self, scope: str, name: str) -> bool:
        """Return whether a row of the board is the one."""
        return scope == self.scope and (not self.names or name in self.names)


@dataclass
class Shown:
    """States of one scope as they were shown, for the report."""

    scope: str
    name: str
    since: float
    until: float | None = None
    reason: str = ""


@dataclass
class Watcher:
    """Reads the board until it is cancelled."""

    place: Place
    facts: Facts
    told: Told
    """Hears of a violation: invariant, sentence, values."""
    checks: Counter[str] = field(default_factory=Counter)
    is_strict: bool = True
    """Whether lateness is a violation; a quick form asserts nothing about speed."""
    expected: list[Expected] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    current: dict[tuple[str, str], Shown] = field(default_factory=dict)
    delays: list[tuple[str, float]] = field(default_factory=list)
    n_reads: int = 0
    n_failed: int = 0
    blind_at: float = 0.0
    """When the board could last not be read."""
    is_excused: Callable[[Expected], bool] = lambda _: False
    _bad: set[tuple[str, str, str]] = field(default_factory=set)

    @property
    def headers(self) -> dict[str, str]:
        """Return what the reader shows."""
        return {"Authorization": f"Bearer {self.place.token}"}

    async def run(self, sets: list[str], seed: int, pause: float = POLL_SECONDS) -> None:
        """Read health and two netting sets after each pause."""
        chance = random.Random(f"watch {seed}")
        base = f"http://127.0.0.1:{self.place.web_port}/v1"
        timeout = aiohttp.ClientTimeout(total=10.0)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as http:
            while True:
                began = time.monotonic()
                rows = await self._get(http, f"{base}/health")
                if rows is not None:
                    self.take(rows, time.time())
                self._overdue(time.time())
                for name in chance.sample(sets, min(2, len(sets))):
                    row = await self._get(http, f"{base}/netting-sets/{name}")
                    if row is not None:
                        self._sample(row)
                await asyncio.sleep(max(pause - (time.monotonic() - began), 0.05))

    def expect(self, expected: Expected) -> None:
        """Wait for a state to be shown."""
        self.expected.append(expected)

    def take(self, rows: list[dict[str, Any]], now: float) -> None:
        """Take what the board says now."""
        troubled = {}
        for row in rows:
            if row["state"] not in TROUBLED:
                continue
            key = (row["scope"], row["name"])
            troubled[key] = row
            if key not in self.current:
                shown = Shown(*key, since=now, reason=str(row["reason"])[:200])
                self.current[key] = shown
                self.shown.append(shown)
                self.facts.add("shown", scope=key[0], name=key[1], reason=str(row["reason"])[:200])
            self._complete(row)
        for key in [key for key in self.current if key not in troubled]:
            self.current.pop(key).until = now
        for one in list(self.expected):
            if any(one.matches(*key) for key in troubled):
                self._seen(one, now)

    def noted(self, scope: str, name: str, now: float) -> None:
        """Take a state that the record of events has: brief ones come and go between two reads."""
        for one in list(self.expected):
            if one.matches(scope, name):
                self._seen(one, now)

    def _seen(self, one: Expected, now: float) -> None:
        one.seen_after = max(now - one.since, 0.0)
        self.checks["shown in time"] += 1
        self.delays.append((one.what, one.seen_after))
        self.expected.remove(one)
        if one.seen_after > one.seconds and self.is_strict and not self.is_excused(one):
            self._late(one, f"after {one.seen_after:.1f} s")

    def _overdue(self, now: float) -> None:
        if not self.is_strict:
            return
        for one in list(self.expected):
            if now - one.since > one.seconds + 2.0:
                self.expected.remove(one)
                if not self.is_excused(one):
                    self._late(one, "not at all")

    def _late(self, one: Expected, how: str) -> None:
        self.told(
            "shown in time",
            f"{one.scope} {', '.join(one.names) or '(any)'} of {one.fault} was shown {how}, "
            f"limit {one.seconds:g} s",
            {"fault": one.fault, "limit_seconds": one.seconds},
        )

    def _complete(self, row: dict[str, Any]) -> None:
        self.checks["shown whole"] += 1
        missing = [name for name in ("reason", "next_action") if not row.get(name)]
        if row.get("since") is None and row["scope"] != "system":
            missing.append("since")
        for name in missing:
            key = (row["scope"], row["name"], name)
            if key not in self._bad:
                self._bad.add(key)
                self.told("shown whole", f"{row['scope']} {row['name']} has no {name}", dict(row))

    def _sample(self, row: dict[str, Any]) -> None:
        names = ("netting_set_id", "requirement", "collateral_value", "status", "as_of", "level",
                 "reason")  # fmt: skip
        self.facts.add("board", **{name: row.get(name) for name in names})

    async def _get(self, http: aiohttp.ClientSession, url: str) -> Any:
        try:
            async with http.get(url, headers=self.headers) as answer:
                raw = await answer.read()
                self.n_reads += 1
                self.checks["web answers"] += 1
                if answer.status == 200:
                    return json.loads(raw)
                self.n_failed += 1
                self.blind_at = time.time()
                if answer.status == 503:
                    # Told so: without its record the interface knows no token.
                    self.noted("system", "record", time.time())
                if answer.status >= 500 and answer.status != 503:
                    self.facts.add("web", path=url, status=answer.status)
                    self.told("web answers", f"{url} answered {answer.status}", {})
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.n_failed += 1
            self.blind_at = time.time()
        return None
