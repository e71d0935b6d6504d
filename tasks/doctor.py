"""Check an installation: versions, state, schedules, and the dead-man. Repairs nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from engine.errors import MarginPlatformError
from tasks.failures import FailureKind, describe_failure

if TYPE_CHECKING:
    from rich.table import Table

_PYTHON_OLDEST: Final = (3, 11)
_FREE_BYTES_MIN: Final = 1_000_000_000
_LOG_BYTES_READ_MAX: Final = 1_000_000

# Versions outside the declared range that are known to do harm, and which.
_TRAPS: Final = {
    "fastapi": "Prefect's server does not start with newer ones",
    "sqlalchemy": "with 2.1 Prefect's server looks healthy but creates no scheduled run",
}


class Health(Enum):
    """Verdict on one check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it."""

    check: str
    health: Health
    found: str
    next_step: str = ""
    kind: FailureKind = FailureKind.STATE

    def as_json(self) -> dict[str, str]:
        """Return the finding as JSON values."""
        return {
            "check": self.check,
            "health": self.health.value,
            "found": self.found,
            "next_step": self.next_step,
        }


def examine() -> list[Finding]:
    """Return the findings of every check, in the order in which to read them."""
    findings: list[Finding] = []
    for name, check in _CHECKS:
        try:
            findings.extend(check())
        except MarginPlatformError as error:
            failure = describe_failure(error)
            findings.append(Finding(name, Health.FAIL, failure.sentence, kind=failure.kind))
    return findings


def worst_failure(findings: list[Finding]) -> FailureKind | None:
    """Return the kind of the first failed check, or None if none failed."""
    return next((f.kind for f in findings if f.health is Health.FAIL), None)


def findings_table(findings: list[Finding]) -> Table:
    """Return the findings as a table."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    styles = {Health.OK: "green", Health.WARN: "yellow", Health.FAIL: "bold red"}
    table = Table(title="plimsoll doctor", title_justify="left", box=box.SIMPLE_HEAD)
    for head in ("Check", "", "Found", "Next"):
        table.add_column(head, overflow="fold")
    for found in findings:
        style = styles[found.health]
        table.add_row(
            found.check,
            f"[{style}]{found.health.value}[/]",
            escape(found.found),
            escape(found.next_step),
        )
    return table


def _python() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < _PYTHON_OLDEST:
        yield Finding("python", Health.FAIL, version, "install Python 3.11 or later")
    else:
        yield Finding("python", Health.OK, version)


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    try:
        declared = [Requirement(text) for text in requires("plimsoll") or []]
    except PackageNotFoundError:
        yield Finding("packages", Health.WARN, "plimsoll is not installed", "run `make setup`")
        return
    bad = 0
    needed = [item for item in declared if item.marker is None or item.marker.evaluate()]
    for requirement in needed:
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = "missing"
        if found == "missing" or not requirement.specifier.contains(found, prereleases=True):
            bad += 1
            trap = _TRAPS.get(requirement.name.lower(), "")
            yield Finding(
                f"package {requirement.name}",
                Health.FAIL,
                f"{found}, needs {requirement.specifier}" + (f": {trap}" if trap else ""),
                "run `make setup`, which installs the locked versions",
                FailureKind.INPUT,
            )
    distributed, dask = version("distributed"), version("dask")
    if distributed != dask:
        bad += 1
        yield Finding(
            "package dask", Health.FAIL, f"dask {dask} with distributed {distributed}",
            "run `make setup`: the two belong together", FailureKind.INPUT,
        )  # fmt: skip
    if not bad:
        shown = ", ".join(f"{n} {version(n)}" for n in ("prefect", "fastapi", "sqlalchemy", "dask"))
        yield Finding("packages", Health.OK, f"{len(needed)} in range; {shown}")


def _settings() -> Iterator[Finding]:
    from infra.settings import unknown_variables
    from infra.telemetry import code_version
    from tasks.workplace import workplace

    home = workplace().settings.home_path
    yield Finding("settings", Health.OK, f"home {home}, code {code_version()}")
    for name in unknown_variables():
        if name != "PLIMSOLL_DEBUG":
            yield Finding("settings", Health.WARN, f"{name} is no setting", "correct or unset it")


def _home() -> Iterator[Finding]:
    import shutil
    import tempfile

    from tasks.workplace import workplace

    home = workplace().settings.home_path
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=home):
            pass
    except OSError as error:
        yield Finding(
            "home", Health.FAIL, f"{home} is not writable: {error.strerror}",
            "choose another folder with PLIMSOLL_HOME",
        )  # fmt: skip
        return
    free = shutil.disk_usage(home).free
    health = Health.OK if free >= _FREE_BYTES_MIN else Health.WARN
    next_step = "" if health is Health.OK else "make room: a run keeps its inputs and results"
    yield Finding("home", health, f"writable, {free / 1e9:,.1f} GB free", next_step)


def _database() -> Iterator[Finding]:
    from tasks.workplace import workplace

    database = workplace().database
    if database.is_embedded and not database.file.exists():
        yield Finding(
            "database", Health.WARN, f"{database.label} does not exist yet",
            "run `plimsoll demo`, or `plimsoll db upgrade` to create it empty",
        )  # fmt: skip
        return
    database.check_schema()
    yield Finding("database", Health.OK, f"{database.label}, schema is up to date")
    report = database.audit.verify(workplace().store)
    length = sum(head.position for head in report.heads.values())
    yield Finding(
        "audit chain",
        Health.OK,
        f"{length:,} rows verified against {report.n_anchors} anchors in the store",
    )


def _transfers() -> Iterator[Finding]:
    from tasks.kill import status

    report = status()
    if report.status.is_armed:
        yield Finding(
            "kill switch", Health.WARN, report.status.sentence,
            "two people let it go with `plimsoll kill disarm`",
        )  # fmt: skip
    if report.obstacle:
        # The check of the database says what is wrong with it.
        return
    stuck = [one for one in report.in_flight if one.state == "stuck"]
    if stuck:
        yield Finding(
            "transfers", Health.WARN, f"{len(stuck)} stuck, the first: {stuck[0].note}",
            f"plimsoll transfers show {stuck[0].transfer_key[:12]}",
        )  # fmt: skip
    else:
        yield Finding("transfers", Health.OK, f"{len(report.in_flight)} in flight, none stuck")


def _alerts() -> Iterator[Finding]:
    from tasks.alerting import examined

    found, next_step = examined()
    yield Finding("alerts", Health.WARN if next_step else Health.OK, found, next_step)


def _prefect() -> Iterator[Finding]:
    import os

    from tasks.prefect_server import is_healthy
    from tasks.session import auth_of, served_at
    from tasks.workplace import workplace

    settings = workplace().settings
    configured = settings.prefect_api_url or os.environ.get("PREFECT_API_URL")
    served = served_at(settings)
    url = configured or (served.api_url if served else None)
    if url is None:
        yield Finding(
            "prefect", Health.WARN, "no server runs for this home: nothing is scheduled",
            "start `plimsoll serve`",
        )  # fmt: skip
        return
    if not is_healthy(url, auth_of(settings)):
        yield Finding(
            "prefect", Health.FAIL, f"{url} does not answer",
            "start that server, or unset its address", FailureKind.INFRASTRUCTURE,
        )  # fmt: skip
        return
    yield Finding("prefect", Health.OK, f"{url} answers")
    yield _schedules(url, auth_of(settings))
    yield from _server_log()


def _schedules(url: str, auth: str | None) -> Finding:
    """A scheduler that fails looks healthy from outside, so its scheduled runs are counted."""
    import httpx

    credentials = httpx.BasicAuth(*auth.split(":", 1)) if auth else None
    body = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    try:
        answer = httpx.post(
            f"{url}/flow_runs/count", json=body, auth=credentials, timeout=10.0, trust_env=False
        )
        answer.raise_for_status()
        count = int(answer.json())
    except (httpx.HTTPError, ValueError) as error:
        return Finding(
            "schedules", Health.FAIL, f"the server does not count its runs: {error}",
            "restart `plimsoll serve`", FailureKind.INFRASTRUCTURE,
        )  # fmt: skip
    if count == 0:
        return Finding(
            "schedules", Health.FAIL, "no scheduled run exists: the close will not happen",
            "restart `plimsoll serve` and look into prefect/serve.log",
            FailureKind.INFRASTRUCTURE,
        )  # fmt: skip
    return Finding("schedules", Health.OK, f"{count} scheduled runs exist")


def _server_log() -> Iterator[Finding]:
    from tasks.workplace import workplace

    path = workplace().settings.home_path / "prefect" / "serve.log"
    if not path.is_file():
        return
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - _LOG_BYTES_READ_MAX))
        text = log.read().decode(errors="replace")
    lines = [line for line in text.splitlines() if "| ERROR" in line or "| CRITICAL" in line]
    if lines:
        yield Finding(
            "server log", Health.WARN, f"{len(lines)} errors, last: {lines[-1][:160]}",
            f"read {path}",
        )  # fmt: skip


def _dask() -> Iterator[Finding]:
    from tasks.cluster import close_clusters, connect
    from tasks.workplace import workplace

    place = workplace()
    if place.settings.dask_address is None:
        yield Finding("dask", Health.OK, f"{place.settings.n_workers} local workers per run")
        return
    try:
        client = connect(place.cluster_options)
        n_workers = len(client.scheduler_info()["workers"])
    finally:
        close_clusters()
    yield Finding("dask", Health.OK, f"{place.settings.dask_address}, {n_workers} workers")


def examine_connections() -> Iterator[Finding]:
    """Yield whether closes are read from venues, and what they would read."""
    from infra.connections import has_connections, read_connections
    from tasks.orders import closes_from_connections
    from tasks.workplace import workplace

    settings = workplace().settings
    if not has_connections(settings):
        yield Finding("connections", Health.OK, "none: closes are read from files")
        return
    found = read_connections(settings.connections_path)
    by_venue: dict[str, int] = {}
    for account in found.account:
        name = account.place.partition("/")[0]
        by_venue[name] = by_venue.get(name, 0) + 1
    told = ", ".join(f"{name} ({n} accounts)" for name, n in sorted(by_venue.items())) or "nobody"
    terms = found.close
    below = settings.market or terms.market
    if closes_from_connections():
        yield Finding(
            "connections", Health.OK,
            f"a scheduled close reads {told} within {terms.lag_minutes_max:g} min of the close, "
            f"{terms.deadline_seconds:g} s each; histories, liquidity and agreements from {below}",
        )  # fmt: skip
    else:
        yield Finding(
            "connections", Health.WARN,
            f"{told} are connected, and scheduled closes are read from files",
            "name a market of histories and agreements: PLIMSOLL_MARKET, or `market` under [close] "
            f"of {settings.connections_path}",
        )  # fmt: skip


def _market() -> Iterator[Finding]:
    from pathlib import Path

    from tasks.orders import sample_folder
    from tasks.workplace import workplace

    configured = workplace().settings.market
    if configured and ("://" in configured or Path(configured).expanduser().is_dir()):
        yield Finding("market", Health.OK, configured)
    elif configured:
        yield Finding(
            "market", Health.FAIL, f"PLIMSOLL_MARKET is {configured}, which is no folder",
            "correct it", FailureKind.MISSING_DATA,
        )  # fmt: skip
    elif sample_folder().is_dir():
        yield Finding("market", Health.OK, f"the sample world in {sample_folder()}")
    else:
        yield Finding(
            "market", Health.WARN, "none is configured and there is no sample world",
            "run `plimsoll sample`, or set PLIMSOLL_MARKET",
        )  # fmt: skip


def _last_close() -> Iterator[Finding]:
    from tasks.deadman import due_date, require_closed
    from tasks.kinds import KIND
    from tasks.workplace import workplace

    database = workplace().database
    if database.is_embedded and not database.file.exists():
        return
    if not database.runs.list(limit=1, kind=KIND):
        yield Finding(
            "last close", Health.WARN, "no end of day was ever started", "run `plimsoll demo`"
        )
        return
    due = require_closed(due_date())
    yield Finding("last close", Health.OK, f"{due.run.run_id} closed {due.business_date}")


_CHECKS: Final[tuple[tuple[str, Callable[[], Iterator[Finding]]], ...]] = (
    ("python", _python),
    ("packages", _packages),
    ("settings", _settings),
    ("home", _home),
    ("database", _database),
    ("transfers", _transfers),
    ("alerts", _alerts),
    ("prefect", _prefect),
    ("dask", _dask),
    ("market", _market),
    ("connections", examine_connections),
    ("last close", _last_close),
)
