"""The Dask cluster of this process: local worker processes, or the one at an address."""

from __future__ import annotations

import atexit
import importlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tasks.failures import InfrastructureError

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_SECONDS_MAX: Final = 30
_CLOSE_SECONDS_MAX: Final = 5
# A block whose worker dies more often than this is not started again: it is what kills them.
_WORKER_DEATHS_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Where blocks are computed.

    Attributes
    ----------
    address : str or None
        Scheduler of a running cluster, for example ``tcp://10.0.0.5:8786``; None starts a local
        cluster for the life of this process.
    n_workers : int
        Worker processes of the local cluster, one thread each.
    memory_limit : str
        Memory of each local worker, as Dask words it.
    silence_seconds_max : float
        Without any block finishing for this long, the blocks count as hung.
    """

    address: str | None = None
    n_workers: int = 2
    memory_limit: str = "auto"
    silence_seconds_max: float = 900.0


_open_clients: dict[ClusterOptions, Client] = {}
_connecting = threading.Lock()


def connect(options: ClusterOptions) -> Client:
    """Return the process's client for ``options``, starting a local cluster if there is none.

    Raises
    ------
    InfrastructureError
        If no scheduler with workers answers at the address, or local workers cannot start.
    """
    with _connecting:
        client = _open_clients.get(options)
        if client is not None and client.status == "running":
            # A worker that has just died is being replaced; without it half the speed is lost.
            with suppress(TimeoutError):
                client.wait_for_workers(1 if options.address else options.n_workers, timeout=10)
            return client
        if not _open_clients:
            atexit.register(close_clusters)
        client = _attach(options.address) if options.address else _start_local(options)
        _open_clients[options] = client
        return client


def warm_up(options: ClusterOptions, module: str) -> None:
    """Start the cluster beside other work, and let its workers import ``module`` meanwhile.

    What goes wrong here is left to the next ``connect``, which says it.
    """

    def start() -> None:
        with suppress(Exception):
            connect(options).run(importlib.import_module, module, on_error="ignore")

    threading.Thread(target=start, name="dask-warm-up", daemon=True).start()


def discard(options: ClusterOptions) -> None:
    """Close the client for ``options``, and its local workers, hung ones included."""
    client = _open_clients.pop(options, None)
    if client is None:
        return
    local = client.cluster
    with _quiet(), suppress(Exception):
        client.close(timeout=_CLOSE_SECONDS_MAX)
    if local is not None:
        with _quiet(), suppress(Exception):
            local.close(timeout=_CLOSE_SECONDS_MAX)


def close_clusters() -> None:
    """Close every client and local cluster of this process."""
    for options in list(_open_clients):
        discard(options)


def _attach(address: str) -> Client:
    from distributed import Client

    try:
        client = Client(
            address, timeout=_CONNECT_SECONDS_MAX, set_as_default=False, name="plimsoll"
        )
        client.wait_for_workers(1, timeout=_CONNECT_SECONDS_MAX)
    except (OSError, TimeoutError, ValueError) as error:
        raise InfrastructureError(
            f"no Dask scheduler with workers answers at {address} within {_CONNECT_SECONDS_MAX} "
            "s; start one, or leave --dask-address out to use local workers",
            identifier=address,
            limit=f"{_CONNECT_SECONDS_MAX} s",
        ) from error
    return client


def _start_local(options: ClusterOptions) -> Client:
    import dask

    dask.config.set(
        {
            # Read when distributed is imported: what it has to say goes into our own sentences.
            "logging": {"distributed": "critical"},
            "distributed.scheduler.allowed-failures": _WORKER_DEATHS_MAX,
            "distributed.comm.timeouts.connect": f"{_CONNECT_SECONDS_MAX}s",
            "distributed.nanny.pre-spawn-environ.NUMBA_NUM_THREADS": 1,
            # What the blocks share travels inside the graph on purpose.
            "distributed.admin.large-graph-warning-threshold": "1TiB",
        }
    )
    from distributed import Client, LocalCluster

    try:
        local = LocalCluster(
            n_workers=options.n_workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            memory_limit=options.memory_limit,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
    except (OSError, TimeoutError, RuntimeError) as error:
        raise InfrastructureError(
            f"cannot start {options.n_workers} local Dask workers: {error}",
            identifier="n_workers",
            value=options.n_workers,
        ) from error
    return Client(local, set_as_default=False, name="plimsoll")


@contextmanager
def _quiet() -> Iterator[None]:
    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(previous)
