"""A row of figures each second: rates, latency, memory, what waits; and what follows from them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import numpy as np

from tests.soak.loopword import read_metrics, read_word
from tests.soak.takeover import Takeover

if TYPE_CHECKING:
    from tests.soak.conductor import Conductor

WARM_SECONDS = 180.0
"""Of a life of the loop, before its memory is judged. [s]"""
LIFE_SECONDS_MIN = 600.0
SLOPE_MAX = 0.05
"""Growth of resident memory of one life, as a part of it. [1/h]"""
FILES_GROWTH_MAX = 16
WAITING_MAX = 5.0
"""Age of what is not durable, a minute after the last fault of the database. [s]"""
DRIFT_MAX = 1e-12
"""Largest difference between figures kept up to date and built anew, of a price. [-]"""
BLIND_AGE = 3.0


class Sampler:
    """Samples of one run."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self.rows: list[dict[str, float]] = []
        self.lives: list[tuple[int, list[tuple[float, float, float]]]] = []
        """By life of a leader: seconds, resident memory [MiB], open files."""
        self._before: dict[str, float] = {}
        self._database_at = 0.0
        self._epoch = 0
        self._led_at = 0.0

    async def run(self) -> None:
        """Take a sample each second and keep the processes alive, until cancelled."""
        due = time.monotonic()
        while True:
            self._keep()
            self._look()
            if self._conductor.began:
                self.rows.append(self._sample())
                self._judge_now(self.rows[-1])
            self._conductor.tell(self._conductor)
            due = max(due + 1.0, time.monotonic())
            for _ in range(5):
                await asyncio.sleep(max((due - time.monotonic()) / 5.0, 0.0))
                self._look()

    def _look(self) -> None:
        """Look at who leads: more often than once a second, as takeovers are timed by it."""
        conductor = self._conductor
        word = conductor.word = read_word(conductor.place.home)
        leads = word is not None and word.age < BLIND_AGE and word.is_deciding
        if not leads or not conductor.member("web").is_alive:
            conductor.blind_at = time.time()
        if word is not None and leads:
            known = max((one.epoch for one in conductor.takeovers), default=0)
            if 0 < self._epoch < word.epoch and known < self._epoch:
                # Nobody ended it: its lease ran out, or it ended by itself.
                conductor.takeovers.append(
                    Takeover("lost the lead", conductor.elapsed(), self._led_at, self._epoch)
                )
            self._epoch, self._led_at = word.epoch, time.time()
        for one in conductor.takeovers:
            if one.seconds is None and word is not None and word.epoch > one.epoch and leads:
                one.seconds = time.time() - one.began
                conductor.facts.add("leader decides", epoch=word.epoch, seconds=one.seconds)

    def _keep(self) -> None:
        conductor = self._conductor
        for one in (*conductor.loops, *conductor.others):
            if not one.is_wanted:
                continue
            code = one.keep()
            if code is not None:
                conductor.facts.add("process ended", member=one.name, code=code)
                # Killed by us, fenced, or stopped because the database was away at its start.
                if code not in (-9, 0, 5):
                    sentence = f"{one.name} ended by itself with {code}: see {one.log.name}"
                    conductor.violated("processes live", sentence, {"code": code})

    def _sample(self) -> dict[str, float]:
        conductor, now = self._conductor, time.time()
        word, leader = conductor.word, conductor.leader()
        metrics = read_metrics(conductor.place.home) if leader else {}
        totals = {
            "prices sent": float(conductor.sent.get("prices", 0)),
            "prices taken": sum(v for k, v in metrics.items() if 'verdict="taken"' in k),
            "fills sent": float(conductor.desk.n_sent),
            "fills acknowledged": float(conductor.desk.n_acked),
            "decisions": metrics.get("plimsoll_loop_decisions_total", 0.0),
            "durable": metrics.get("plimsoll_loop_durable_total", 0.0),
        }
        row = {"second": conductor.elapsed()}
        for name, value in totals.items():
            row[name] = max(value - self._before.get(name, value), 0.0)
        self._before = totals
        row["open calls"] = float(word.content["open_calls"]) if word else 0.0
        row["waiting seconds"] = metrics.get("plimsoll_loop_waiting_seconds", 0.0)
        row["drift"] = metrics.get("plimsoll_loop_drift", 0.0)
        row["degraded"] = float(len(conductor.watcher.current))
        row["leads"] = float(leader is not None)
        if word is not None and leader is not None:
            for what in ("frame_to_decision", "frame_to_durable", "commit"):
                for share in ("p50", "p99", "p99.9"):
                    row[f"{what} {share}"] = word.quantile(what, share)
        self._add_processes(row, now)
        if leader is not None:
            self._add_life(leader.pid, row)
        return row

    def _add_processes(self, row: dict[str, float], now: float) -> None:
        conductor = self._conductor
        for one in (*conductor.loops, *conductor.others):
            for name, value in one.figures().items():
                key = f"{one.name} {name}"
                if name != "cpu_seconds":
                    row[key] = value
                    continue
                used = value - self._before.get(f"{key} {one.pid}", value)
                self._before[f"{key} {one.pid}"] = value
                row[f"{one.name} cpu"] = used

    def _add_life(self, pid: int, row: dict[str, float]) -> None:
        found = next((one for one in self._conductor.loops if one.pid == pid), None)
        if found is None or f"{found.name} resident_mib" not in row:
            return
        if not self.lives or self.lives[-1][0] != pid:
            self.lives.append((pid, []))
        point = (row["second"], row[f"{found.name} resident_mib"], row[f"{found.name} files"])
        self.lives[-1][1].append(point)

    def _judge_now(self, row: dict[str, float]) -> None:
        conductor = self._conductor
        groups = {one.planned.kind.group for one in conductor.faults.ongoing.values()}
        if groups & {"database", "process"} or not row["leads"]:
            self._database_at = time.time()
        conductor.checks["backlog"] += 1
        conductor.checks["processes live"] += 1
        waited = time.time() - self._database_at
        if row["waiting seconds"] > WAITING_MAX and waited > 60.0:
            conductor.violated(
                "backlog", f"a decision has waited {row['waiting seconds']:.1f} s, {waited:.0f} s "
                "after the last fault of database or processes", {"limit_seconds": WAITING_MAX},
            )  # fmt: skip
        conductor.checks["drift"] += 1
        if row["drift"] > DRIFT_MAX:
            conductor.violated("drift", f"drift {row['drift']:.3e}", {"limit": DRIFT_MAX})

    def slopes(self) -> list[dict[str, float]]:
        """Return of each life that is long enough: its length, memory, and growth. [s], [MiB]"""
        found = []
        for pid, points in self.lives:
            every = np.array(points)
            if not len(points) or every[-1, 0] - every[0, 0] < LIFE_SECONDS_MIN:
                continue
            warm = every[every[:, 0] >= every[0, 0] + WARM_SECONDS]
            slope = float(np.polyfit(warm[:, 0] / 3_600.0, warm[:, 1], 1)[0])
            found.append(
                {
                    "pid": float(pid), "seconds": float(every[-1, 0] - every[0, 0]),
                    "resident_mib": float(warm[:, 1].mean()), "mib_per_hour": slope,
                    "files_growth": float(warm[-1, 2] - warm[0, 2]),
                }
            )  # fmt: skip
        return found

    def judge(self) -> None:
        """Judge what only a whole run shows."""
        conductor = self._conductor
        for one in self.slopes():
            conductor.checks["memory"] += 1
            if not conductor.options.is_strict:
                continue
            share = one["mib_per_hour"] / one["resident_mib"]
            if share > SLOPE_MAX:
                conductor.violated(
                    "memory", f"memory grows by {share:.1%} an hour over {one['seconds']:.0f} s",
                    {**one, "limit": SLOPE_MAX},
                )  # fmt: skip
            if one["files_growth"] > FILES_GROWTH_MAX:
                conductor.violated("memory", f"{one['files_growth']:.0f} files more are open", one)
        for takeover in conductor.takeovers:
            conductor.checks["takeovers"] += 1
            if takeover.seconds is None:
                conductor.violated("one leader", f"nobody led after it {takeover.how}", {})
