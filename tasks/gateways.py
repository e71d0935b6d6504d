"""The gateways that transfers leave by, opened for as long as a piece of work needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import TypeAlias

from engine.errors import ParameterError
from engine.ports import TransferGateway
from infra.connections import has_connections, open_gateways
from infra.settings import Settings
from tasks.workplace import Workplace

Opener: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[Mapping[str, TransferGateway]]]
"""Opens all gateways of an installation, by venue or custodian, and closes them afterwards."""


@asynccontextmanager
async def gateways(place: Workplace) -> AsyncIterator[Mapping[str, TransferGateway]]:
    """Yield the gateways that PLIMSOLL_GATEWAYS opens, else those of the connections file.

    None where there is no such file: nothing leaves then.

    Raises
    ------
    ParameterError
        If it names no function.
    """
    named = place.settings.gateways
    if named is None and not has_connections(place.settings):
        yield {}
        return
    opener = open_gateways if named is None else _opener(named)
    async with opener(place.settings) as opened:
        yield opened


def _opener(named: str) -> Opener:
    module, _, function = named.partition(":")
    try:
        found: Opener = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ParameterError(
            f"PLIMSOLL_GATEWAYS: {named!r} is no <module>:<function> ({error})",
            identifier="gateways",
            value=named,
            limit="<module>:<function>",
        ) from error
    return found
