"""Where a process works: settings, database and store, wired in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from infra.home import open_home_database
from infra.settings import ENVIRONMENT_PREFIX, Settings, read_settings
from infra.store import open_store
from tasks.cluster import ClusterOptions

if TYPE_CHECKING:
    from infra.db import Database
    from infra.store import Store


@dataclass(frozen=True, slots=True)
class Workplace:
    """Settings, database and store of this process."""

    settings: Settings
    database: Database
    store: Store

    @property
    def cluster_options(self) -> ClusterOptions:
        """Return where blocks are computed."""
        return ClusterOptions(address=self.settings.dask_address, n_workers=self.settings.n_workers)


def workplace() -> Workplace:
    """Return the workplace that the environment describes; connects on first use.

    Raises
    ------
    ParameterError
        If a setting is out of range or a URL cannot be served.
    """
    return _workplace(read_settings())


def back_up_database(target: Path) -> int:
    """Copy the embedded database to a new file; return its size. [bytes]"""
    from infra.db.backup import back_up

    # Of whatever revision: before an upgrade it is an older one.
    return back_up(workplace().database, target)


def use_workers(n_workers: int | None = None, dask_address: str | None = None) -> None:
    """Let a command's options win over the environment, in this process and its children."""
    if n_workers is not None:
        os.environ[f"{ENVIRONMENT_PREFIX}N_WORKERS"] = str(n_workers)
    if dask_address is not None:
        os.environ[f"{ENVIRONMENT_PREFIX}DASK_ADDRESS"] = dask_address


@lru_cache(maxsize=4)
def _workplace(settings: Settings) -> Workplace:
    database = open_home_database(settings)
    return Workplace(settings, database, open_store(settings.store_address))
