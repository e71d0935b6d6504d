"""Browsers, the people in front of them, and what may not go wrong there."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from infra.web.events import close
from tests.worlds.house import PASSWORD

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE_MS = 60_000
"""How long a page may take on a machine that does much else; nothing is measured by it."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield Chromium, or skip where it is absent.

    Not for the whole run: while it is open no other test of the process can have an event loop.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=path, headless=True, args=list(FLAGS), timeout=2 * PATIENCE_MS
        )
        yield found
        found.close()


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port and yield its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1)
    )
    is_started = threading.Event()
    begin = server.startup

    async def startup(*given: object, **named: object) -> None:
        await begin(*given, **named)  # type: ignore[arg-type]
        is_started.set()

    server.startup = startup  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert is_started.wait(PATIENCE_MS / 1000), "the server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        close(app)
        server.should_exit = True
        thread.join(10)


class Seat:
    """A person in front of a browser, and what went wrong there."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        context.set_default_timeout(PATIENCE_MS)
        self.address, self.page = address, context.new_page()
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("request", lambda request: self._seen(request.url))

    def go(self, path: str) -> Page:
        """Open a page."""
        self.page.goto(self.address + path)
        return self.page

    def log_in(self, name: str) -> Page:
        """Log in by keyboard."""
        self.go("/login")
        self.page.locator("input[name=username]").focus()
        self.page.keyboard.type(name)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(self.address + "/")
        return self.page

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and "status of 4" not in text:
            self.errors.append(text)

    def _seen(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.outside.append(url)


@contextlib.contextmanager
def seats(
    browser: Browser, address: str, cookies: dict[str, list]
) -> Iterator[Callable[..., Seat]]:
    """Yield a function that seats people who have logged in; nothing may go wrong there."""
    contexts: list[BrowserContext] = []
    found: list[Seat] = []

    def sit(name: str, **options: object) -> Seat:
        context = browser.new_context(**options)
        context.add_cookies(cookies[name])
        contexts.append(context)
        found.append(Seat(context, address))
        return found[-1]

    yield sit
    for context in contexts:
        context.close()
    for one in found:
        assert one.errors == []
        assert one.outside == []


def cookies_of(browser: Browser, address: str, names: tuple[str, ...]) -> dict[str, list]:
    """Log people in once and return their cookies."""
    found = {}
    for name in names:
        context = browser.new_context()
        Seat(context, address).log_in(name)
        found[name] = context.cookies()
        context.close()
    return found
