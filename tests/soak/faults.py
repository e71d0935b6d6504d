"""How each fault is done to the real parts, and undone."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import aiohttp

from tests.soak.market import Crash
from tests.soak.schedule import DEPTH_LEAST, DEPTH_MOST, Planned
from tests.soak.servers import fill_disk, free_disk, held
from tests.soak.watching import Expected

if TYPE_CHECKING:
    from tests.soak.conductor import Conductor

AT_SENDER = ("ticks", "venue")
FILE_BYTES_MAX = 4_096
FLOODERS = 6
STRANGER = "127.0.0.2"
"""Floods come from another address than the soak's own readers, as they do in life."""


@dataclass
class Ongoing:
    """A fault that is in force."""

    planned: Planned
    began: float
    task: asyncio.Task[None] | None = None


@dataclass
class Faults:
    """Begins and ends faults; knows which are in force."""

    conductor: Conductor
    ongoing: dict[int, Ongoing] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def begin(self, planned: Planned) -> None:
        """Let a fault begin; it ends by itself."""
        one = Ongoing(planned, time.time())
        self.ongoing[planned.number] = one
        self.counts[planned.kind.name] = self.counts.get(planned.kind.name, 0) + 1
        one.task = asyncio.create_task(self._done(one))

    @property
    def names(self) -> list[str]:
        """Return what is on now, in words."""
        return [_worded(one.planned) for one in self.ongoing.values()]

    async def settled(self) -> None:
        """Wait until none is in force."""
        await asyncio.gather(*(one.task for one in list(self.ongoing.values()) if one.task))

    async def _done(self, one: Ongoing) -> None:
        planned, facts = one.planned, self.conductor.facts
        told = {"number": planned.number, "fault": planned.kind.name, "group": planned.kind.group,
                "venue": planned.venue, "seconds": planned.seconds}  # fmt: skip
        facts.add("fault begins", **told)
        self._expect(one)
        try:
            if planned.kind.group in AT_SENDER:
                await self._at_sender(planned)
            else:
                await self._deeds()[planned.kind.name](planned)
        except (OSError, aiohttp.ClientError) as error:
            facts.add("fault failed", number=planned.number, error=str(error)[:200])
        finally:
            self.ongoing.pop(planned.number, None)
            facts.add("fault ends", **told)

    def _expect(self, one: Ongoing) -> None:
        planned, kind = one.planned, one.planned.kind
        if not kind.shown or planned.seconds < kind.least:
            return
        names = (planned.venue,) if kind.shown == "venue" else ()
        self.conductor.watcher.expect(
            Expected(
                what=kind.name, scope=kind.shown, names=names, since=time.time(),
                seconds=kind.within, fault=_worded(planned),
            )
        )  # fmt: skip

    def _deeds(self) -> dict[str, Callable[[Planned], Awaitable[None]]]:
        return {
            "crash": self._crash,
            "database held": self._hold,
            "database down": self._down,
            "disk full": self._fill,
            "leader killed": self._kill_leader,
            "leader stands still": self._still_leader,
            "standby killed": self._kill_standby,
            "web killed": lambda planned: self._kill("web", planned),
            "alerts killed": lambda planned: self._kill("alerts", planned),
            "flood of requests": self._flood,
            "garbage requests": self._garbage,
        }

    async def _at_sender(self, planned: Planned) -> None:
        fields = {"factor": planned.factor}
        self.conductor.tell_sender(
            {
                "number": planned.number, "kind": planned.kind.name, "venue": planned.venue,
                "seconds": planned.seconds, "fields": fields,
            }
        )  # fmt: skip
        await asyncio.sleep(planned.seconds)

    async def _crash(self, planned: Planned) -> None:
        chance = random.Random(f"crash {planned.number} {planned.factor}")
        crash = Crash(
            at=self.conductor.seconds() + 1.0,
            depth=chance.uniform(DEPTH_LEAST, DEPTH_MOST),
            hold=planned.seconds / 2.0 - 4.0,
            rise=planned.seconds / 2.0,
        )
        # Whoever checks has to know of it before it begins.
        self.conductor.facts.add("crash", **asdict(crash))
        self.conductor.paths.add_crash(crash)
        self.conductor.tell_sender({"crash": asdict(crash)})
        await asyncio.sleep(planned.seconds + 1.0)

    async def _hold(self, planned: Planned) -> None:
        thread = held(self.conductor.place.server, planned.seconds)
        await asyncio.to_thread(thread.join)

    async def _down(self, planned: Planned) -> None:
        server = self.conductor.place.server
        await asyncio.to_thread(server.stop)
        try:
            await asyncio.sleep(planned.seconds)
        finally:
            await asyncio.to_thread(server.start)

    async def _fill(self, planned: Planned) -> None:
        pids = [one.pid for one in self.conductor.loops if one.is_alive]
        for pid in pids:
            fill_disk(pid, FILE_BYTES_MAX)
        try:
            await asyncio.sleep(planned.seconds)
        finally:
            for pid in pids:
                free_disk(pid)

    async def _kill_leader(self, planned: Planned) -> None:
        leader = self.conductor.leader()
        if leader is not None:
            self.conductor.note_end(leader, "killed")
            leader.kill()
        await asyncio.sleep(planned.seconds)

    async def _still_leader(self, planned: Planned) -> None:
        leader = self.conductor.leader()
        if leader is None:
            return
        self.conductor.note_end(leader, "stands still")
        leader.stand_still()
        await asyncio.sleep(planned.seconds)
        leader.go_on()

    async def _kill_standby(self, planned: Planned) -> None:
        leader = self.conductor.leader()
        for one in self.conductor.loops:
            if one is not leader and one.is_alive:
                one.kill()
                break
        await asyncio.sleep(planned.seconds)

    async def _kill(self, name: str, planned: Planned) -> None:
        self.conductor.member(name).kill()
        await asyncio.sleep(planned.seconds)

    async def _flood(self, planned: Planned) -> None:
        port, until = self.conductor.place.web_port, time.monotonic() + planned.seconds
        paths = (
            "/",
            "/v1/board",
            "/v1/health",
            "/login",
            "/metrics",
            "/healthz",
            "/v1/netting-sets",
        )
        await asyncio.gather(*(self._flooder(port, paths, until, n) for n in range(FLOODERS)))

    async def _flooder(self, port: int, paths: tuple[str, ...], until: float, number: int) -> None:
        chance = random.Random(number)
        headers = self.conductor.watcher.headers if number % 2 else {}
        async with _stranger() as http:
            while time.monotonic() < until:
                url = f"http://127.0.0.1:{port}{chance.choice(paths)}"
                await self._asked(http, "GET", url, headers=headers)

    async def _garbage(self, planned: Planned) -> None:
        port, until = self.conductor.place.web_port, time.monotonic() + planned.seconds
        chance = random.Random(f"garbage {planned.number}")
        async with _stranger() as http:
            while time.monotonic() < until:
                url, more = _nonsense(port, chance, self.conductor.watcher.headers)
                await self._asked(
                    http, chance.choice(("GET", "POST", "PUT", "DELETE")), url, **more
                )
                await asyncio.sleep(0.05)

    async def _asked(
        self, http: aiohttp.ClientSession, method: str, url: str, **more: object
    ) -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
            async with http.request(method, url, **more) as answer:  # type: ignore[arg-type]
                await answer.read()
                self.conductor.count_answer(method, url, answer.status)


def _stranger() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(local_addr=(STRANGER, 0), limit=0)
    return aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=5.0), trust_env=False
    )


def _nonsense(
    port: int, chance: random.Random, headers: dict[str, str]
) -> tuple[str, dict[str, object]]:
    base = f"http://127.0.0.1:{port}"
    junk = "".join(chr(chance.choice((0x20, 0x27, 0x3C, 0x3E, 0x7F, 0xE9, 0x2028, 0x1F600, 0x41)))
                   for _ in range(chance.randrange(1, 60)))  # fmt: skip
    path = chance.choice(
        ("/v1/netting-sets/" + junk, "/v1/whatif", "/webhooks/executions", "/webhooks/calls/x",
         "/login", "/events?page=" + junk, "/v1/runs?limit=-1&kind=" + junk, "/../../etc/passwd",
         "/v1/alerts?limit=1e9", "/netting-sets/<script>")
    )  # fmt: skip
    bodies: tuple[object, ...] = (
        chance.randbytes(chance.randrange(0, 4_000)),
        b'{"type": "executions.reported", "data": {"executions": [{"quantity": NaN}]}}',
        b"[" * 5_000,
        junk.encode("utf-8", "surrogatepass"),
        b"x" * 1_100_000 if chance.random() < 0.05 else b"{}",
    )
    more: dict[str, object] = {"data": chance.choice(bodies), "headers": dict(headers)}
    if chance.random() < 0.3:
        more["headers"] = {
            "Authorization": "Bearer " + "f" * chance.randrange(1, 3_000),
            "Content-Type": chance.choice(("application/json", "text/html", "multipart/form-data")),
            "Cookie": "session=" + "%00" * 20,
        }
    return base + path, more


def _worded(planned: Planned) -> str:
    place = f" at {planned.venue}" if planned.kind.group in AT_SENDER else ""
    return f"{planned.kind.name}{place}"
