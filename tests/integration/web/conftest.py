"""One house for all tests of this folder, and one that a test may spoil."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.worlds.house import PASSWORD, House, build_house

Browser = Callable[..., TestClient]


def _folder() -> Path:
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="plimsoll-web-", dir=place))


@pytest.fixture(scope="session")
def built(sqlite_template: Path) -> Iterator[House]:
    """Yield a house; what tests do to it is not seen in copies of it."""
    folder = _folder()
    shutil.copy(sqlite_template, folder / "plimsoll.db")
    house = build_house(folder / "plimsoll.db")
    # Closing the last connection folds the write-ahead log back into the file.
    house.database.close()
    shutil.copy(folder / "plimsoll.db", folder / "as-built.db")
    yield house
    house.database.close()
    shutil.rmtree(folder)


@pytest.fixture
def house(built: House) -> Iterator[House]:
    """Yield a copy of the house that a test may change."""
    folder = _folder()
    shutil.copy(built.database.file.with_name("as-built.db"), folder / "plimsoll.db")
    from infra.db import open_database

    database = open_database(
        f"sqlite:///{folder / 'plimsoll.db'}", wait_seconds=5.0, actor="test", clock=built.clock
    )
    skew = built.clock.skew
    yield House(**{**vars(built), "database": database})
    built.clock.skew = skew
    database.close()
    shutil.rmtree(folder)


@pytest.fixture
def client(house: House, tmp_path: Path) -> Iterator[TestClient]:
    """Yield a client without a login."""
    with TestClient(house.app(tmp_path), base_url="http://127.0.0.1") as found:
        found.follow_redirects = False
        yield found


class Caller:
    """A program with a person's token."""

    def __init__(self, client: TestClient, token: str) -> None:
        self._client, self._headers = client, {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **more: Any) -> Any:
        """Ask."""
        return self._client.get(path, headers=self._headers, **more)

    def post(self, path: str, **body: Any) -> Any:
        """Send a JSON body."""
        return self._client.post(path, headers=self._headers, json=body)


@pytest.fixture
def program(client: TestClient, house: House) -> Callable[[str], Caller]:
    """Return programs by the name of their user."""
    return lambda name: Caller(client, house.tokens[name])


def log_in(client: TestClient, name: str, password: str = PASSWORD) -> Any:
    """Log in as a browser does and return the answer."""
    client.cookies.clear()
    page = client.get("/login")
    token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
    form = {"csrf": token, "username": name, "password": password}
    return client.post("/login", data=form)


def form_token(client: TestClient) -> str:
    """Return the CSRF token of the session."""
    text = client.get("/account").text
    return text.partition('name="csrf" value="')[2].partition('"')[0]


def submit(client: TestClient, path: str, **form: str) -> Any:
    """Send a form of the session."""
    return client.post(path, data={"csrf": form_token(client), **form})
