"""The dashboard and the HTTP interface: what they need of the runs, the engine and Prefect."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from engine.errors import MarginPlatformError, MissingDataError, ParameterError, StateError
from infra.settings import Settings
from infra.web.configuration import WebSettings, is_loopback, require_safe_address
from tasks.closes import load_basis, usd_rates_of
from tasks.prefect_environment import apply_prefect_environment
from tasks.records import run_folder
from tasks.session import auth_of, served_at
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from engine.assessment import Assessment
    from engine.attribution import Close
    from engine.market import PreparedMarket
    from engine.portfolio import Portfolio
    from engine.rules import StressScenario
    from engine.transfers.policy import TransferPolicy
    from infra.custody.fireblocks.receiving import Inbox
    from infra.messages.webhook_inbound import Sender
    from infra.oms import OmsEndpoint
    from infra.transfers import KillSwitch, TransferDesk
    from infra.web.services import Question, StressQuestion

_START_SECONDS_MAX: Final = 15.0
_STOP_SECONDS_MAX: Final = 5.0
_RESUME_SECONDS_MAX: Final = 10.0
_APPROVAL_FLOW: Final = "approve-transfer"


@dataclass(frozen=True, slots=True, eq=False)
class _Closed:
    """A close as it was computed."""

    close: Close
    assessment: Assessment


@dataclass(frozen=True, slots=True, eq=False)
class _Market:
    """A close made ready for questions."""

    market: PreparedMarket
    book: Portfolio


class HouseServices:
    """What the pages need beyond the record, from this workplace."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._lock = threading.Lock()
        # One close at a time is asked about by nearly everybody: the last one.
        self._closed = lru_cache(maxsize=2)(self._read_closed)
        self._market = lru_cache(maxsize=1)(self._prepare)
        self._rates = lru_cache(maxsize=4)(self._read_rates)

    def explanation(self, netting_set_id: str, run_id: str) -> dict[str, Any]:
        """Return why a netting set owes what it owes."""
        from infra.report import explain_json

        found = self._close(run_id)
        snapshot, rules = found.close.snapshot, found.close.rules
        return {
            "run_id": run_id,
            **explain_json(found.assessment, snapshot, rules, netting_set_id),
        }

    def what_if(self, question: Question) -> dict[str, Any]:
        """Return what orders and transfers would do, and whether they may be taken just now."""
        from engine.whatif import prepare_book
        from tasks.pre_trade import with_leave
        from tasks.whatif import answer_of, answered_as_json, candidates_from

        candidates = candidates_from(
            question.orders, question.transfers, None, each_alone=question.each_alone
        )
        run_id = question.run_id or self._last_run()
        close, ready = self._close(run_id).close, self._ready(run_id)
        held = prepare_book(
            close.snapshot, ready.market, ready.book, close.positions, close.rules,
            question.netting_set_id,
        )  # fmt: skip
        found = answered_as_json(answer_of(run_id, close, held, candidates))
        return with_leave(self._place.database, self.kill_switch(), found, close.rules)

    def stress_library(self) -> list[dict[str, Any]]:
        """Return the house's stress days."""
        try:
            run_id = self._last_run()
        except MissingDataError:
            return []
        days = self._close(run_id).close.rules.house.stress
        return [
            {
                "name": day.name,
                "source": day.source,
                "btc": _relative(day.index.get("BTC", day.index.get("default", 0.0))),
                "volatility": _relative(day.volatility),
                "basis": day.basis,
                "index": {name: _relative(move) for name, move in day.index.items()},
                "peg": {name: _relative(move) for name, move in day.peg.items()},
            }
            for day in days
        ]

    def stress(self, question: StressQuestion) -> dict[str, Any]:
        """Return losses and the calls they would make, the largest call first."""
        from engine.whatif import stress_day
        from infra.report.stress_day import stress_day_json

        run_id = self._last_run()
        found, ready = self._close(run_id), self._ready(run_id)
        scenario = _scenario(question, found.close)
        before = found.assessment.requirements
        after = stress_day(
            found.close, ready.market, ready.book, before, found.assessment.collateral, scenario
        )
        return stress_day_json(run_id, found.close, scenario, after, before, self.usd_rates(run_id))

    def usd_rates(self, run_id: str) -> Mapping[str, float]:
        """Return USD per unit of each currency at a run's close."""
        return self._rates(run_id)

    def value_of(
        self, call: Mapping[str, Any], asset: str, quantity: Decimal, place: str
    ) -> Decimal:
        """Return what collateral is worth for a call."""
        from tasks.call_values import CallValuation

        return CallValuation(self._place, call).value_in(asset, quantity, place)

    def policy(self) -> TransferPolicy:
        """Return the transfer policy in force."""
        return self.desk().policy

    def desk(self) -> TransferDesk:
        """Return the transfer desk."""
        from tasks.transfers import desk_of

        return desk_of(self._place)

    def kill_switch(self) -> KillSwitch:
        """Return the kill switch of this home."""
        from infra.outbound import KillSwitch

        return KillSwitch(self._place.settings.home_path)

    def transfer_decided(self, key: str, approver: str, state: str) -> str:
        """Resume the paused runs that wait for a transfer; say what became of it."""
        address = self._prefect_address()
        if address is None:
            return ""
        # Prefect reads its environment once, when it is imported: here, in a process without it.
        if "PREFECT_API_URL" not in os.environ:
            apply_prefect_environment(self._place.settings.home_path, address)
        try:
            resumed = asyncio.run(
                asyncio.wait_for(_resume(key, approver, state), _RESUME_SECONDS_MAX)
            )
        except Exception as error:
            # Whatever Prefect says: the decision stands on our record, and the run finds it.
            raise StateError(
                f"the run that waits for transfer {key[:12]} was not resumed "
                f"({type(error).__name__}): resume it on its page",
                identifier=key,
            ) from error
        return f"{resumed} waiting run{'' if resumed == 1 else 's'} resumed." if resumed else ""

    def run_pages(self) -> str:
        """Return the address of the Prefect pages where `plimsoll serve` answers."""
        found = served_at(self._place.settings)
        return "" if found is None else found.ui_url

    def report(self, run_id: str) -> str | None:
        """Return the report of a run."""
        path = f"{run_folder(run_id)}/report.html"
        return self._place.store.read_text(path) if self._place.store.exists(path) else None

    def oms_endpoint(self) -> OmsEndpoint | None:
        """Return the order management of the connections file."""
        from infra.oms import oms_endpoint

        return oms_endpoint(self._place.settings)

    def loop_metrics(self) -> str:
        """Return what the loop of this home has written of itself, while it lives."""
        from infra.clock import utc_now
        from infra.intraday.status import FOLDER, METRICS, read_status

        home = self._place.settings.home_path
        status = read_status(home, utc_now())
        if status is None or not status.is_alive:
            return ""
        try:
            return (home / FOLDER / METRICS).read_text(encoding="utf-8")
        except OSError:
            return ""

    def client_sender(self, client_id: str) -> Sender | None:
        """Return the secrets that a client signs with, ``WEBHOOK_CLIENT_<NAME>``."""
        from tasks.webhook_secrets import client_sender

        return client_sender(client_id)

    def _prefect_address(self) -> str | None:
        settings = self._place.settings
        found = None if settings.prefect_api_url else served_at(settings)
        if found is None and not settings.prefect_api_url:
            return None
        auth = auth_of(settings)
        if auth:
            os.environ["PREFECT_API_AUTH_STRING"] = auth
        return settings.prefect_api_url or (found.api_url if found else None)

    def _last_run(self) -> str:
        from tasks.lookup import chosen_run

        return str(chosen_run(None).run_id)

    def _close(self, run_id: str) -> _Closed:
        # The first who asks reads; the others wait for it instead of reading as well.
        with self._lock:
            return self._closed(run_id)

    def _ready(self, run_id: str) -> _Market:
        close = self._close(run_id).close
        with self._lock:
            return self._market(run_id, close)

    def _read_closed(self, run_id: str) -> _Closed:
        from tasks.assessments import read_assessment

        found = self._place.database.runs.step_result(run_id, "require")
        if found is None:
            run = self._place.database.runs.get(run_id)
            raise MissingDataError(
                f"{run_id} is {run.status} and has no requirements yet", identifier=run_id
            )
        hashes = dict(found.result["hashes"])
        close = load_basis(self._place, run_id).close
        return _Closed(close, read_assessment(self._place.store, run_id, hashes))

    def _prepare(self, run_id: str, close: Close) -> _Market:
        from engine.market import prepare
        from engine.portfolio import portfolio

        market = prepare(close.snapshot, close.rules)
        book = portfolio(market, close.positions, close.collateral, close.rules)
        return _Market(market, book)

    def _read_rates(self, run_id: str) -> dict[str, float]:
        return usd_rates_of(self._close(run_id).close.snapshot)


def web_settings_of(
    settings: Settings, host: str | None = None, port: int | None = None
) -> WebSettings:
    """Return how the web server is set up, from the environment and the command line.

    Raises
    ------
    ParameterError
        If it would listen beyond loopback without TLS.
    """
    found = WebSettings(
        host=host or settings.web_host,
        port=settings.web_port if port is None else port,
        certificate=settings.web_tls_certificate,
        key=settings.web_tls_key,
        is_behind_tls=settings.web_behind_tls,
        hosts=tuple(name.strip() for name in settings.web_hosts.split(",") if name.strip()),
        approver_cool_off=approver_cool_off(settings),
    )
    require_safe_address(found)
    return found


def approver_cool_off(settings: Settings) -> timedelta:
    """Return how long a new approver waits; where no money is real, nobody has to."""
    return timedelta(hours=0 if settings.venue_network == "sim" else 24)


def serve_web(host: str | None, port: int | None, ready: Callable[[str], None]) -> None:
    """Serve the pages alone until SIGINT or SIGTERM."""
    place = workplace()
    place.database.prepare()
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    with dashboard(host, port) as address:
        ready(address)
        stop.wait()


def dashboard(host: str | None, port: int | None) -> AbstractContextManager[str]:
    """Return a context that serves the pages of this workplace and yields their address.

    Raises
    ------
    ParameterError
        If it would listen beyond loopback without TLS.
    """
    place = workplace()
    return web_served(place, web_settings_of(place.settings, host, port))


@contextmanager
def web_served(place: Workplace, settings: WebSettings) -> Iterator[str]:
    """Serve pages and interface from a thread for the block, and yield their address.

    Raises
    ------
    StateError
        If the address is taken, or the server does not start.
    """
    import uvicorn

    from infra.web import create_app

    app = create_app(
        place.database, settings, HouseServices(place), custody_inbox=_custody_inbox(place)
    )
    listening = _listen(settings)
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=settings.is_behind_tls,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        timeout_graceful_shutdown=int(_STOP_SECONDS_MAX),
        timeout_keep_alive=30,
        limit_concurrency=500,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True, name="web")
    thread.start()
    try:
        _wait_until(lambda: server.started or not thread.is_alive())
        if not server.started:
            raise StateError("the web server did not start: look into the log above")
        yield _address(settings, listening)
    finally:
        from infra.web.events import close

        close(app)
        server.should_exit = True
        thread.join(_STOP_SECONDS_MAX + 1.0)
        listening.close()


def _listen(settings: WebSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host.strip("[]"), settings.port))
    except OSError as error:
        listening.close()
        raise StateError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; give "
            "another --web-port, or 0 for any",
            identifier=str(settings.port),
        ) from error
    return listening


def _address(settings: WebSettings, listening: socket.socket) -> str:
    scheme = "https" if settings.speaks_tls else "http"
    host = settings.host if is_loopback(settings.host) else socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{listening.getsockname()[1]}"


def _wait_until(is_done: Callable[[], bool]) -> None:
    import time

    deadline = time.monotonic() + _START_SECONDS_MAX
    while not is_done() and time.monotonic() < deadline:
        time.sleep(0.02)


async def _resume(key: str, approver: str, state: str) -> int:
    """Resume paused approval runs of a transfer; return how many."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowFilter,
        FlowFilterName,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.flow_runs import aresume_flow_run

    paused = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED]))
    async with get_client() as client:
        runs = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[_APPROVAL_FLOW])),
            flow_run_filter=FlowRunFilter(state=paused),
            limit=200,
        )
    waiting = [run for run in runs if key.startswith(str(run.parameters.get("key", "-")))]
    typed = {
        "decision": "rejected" if state in ("rejected", "cancelled") else "approved",
        "approver": approver,
        "comment": "decided over HTTP; this note approves nothing",
    }
    for run in waiting:
        await aresume_flow_run(run.id, run_input=typed)
    return len(waiting)


def _scenario(question: StressQuestion, close: Close) -> StressScenario:
    from engine.whatif import day_of_history, own_day

    asked = [bool(question.library), question.day is not None, bool(question.index or question.peg)]
    if sum(asked) > 1:
        raise ParameterError("choose one: a library day, a day of the history, or own moves")
    if question.day is not None:
        return day_of_history(close.snapshot.price_history, question.day)
    if not question.library:
        return own_day(
            dict(question.index), dict(question.peg), question.volatility, question.basis
        )
    days = {day.name: day for day in close.rules.house.stress}
    if question.library not in days:
        raise ParameterError(
            f"stress day {question.library[:60]!r}, limit: one of {', '.join(days)}",
            identifier="library",
            value=question.library[:60],
        )
    return days[question.library]


def _relative(log_move: float) -> float:
    import math

    return math.expm1(log_move)


def _custody_inbox(place: Workplace) -> Inbox | None:
    """Return what takes the custodian's messages, where one is connected."""
    from infra.connections import has_connections
    from infra.connections.document import read_connections

    if not has_connections(place.settings):
        return None
    try:
        found = read_connections(place.settings.connections_path).fireblocks
    except MarginPlatformError:
        # The commands that need the file say what is wrong with it.
        return None
    if found is None:
        return None
    from infra.custody.fireblocks.receiving import Inbox
    from infra.custody.fireblocks.webhooks import PublishedKeys, WebhookVerifier
    from tasks.transfers import desk_of

    verifier = WebhookVerifier(PublishedKeys(found.keys), workspace_id=found.workspace_id)
    return Inbox(
        place.database, verifier, lambda report, source: desk_of(place).ingest(report, source)
    )
