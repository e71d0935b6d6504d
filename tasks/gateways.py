"""The gateways that transfers leave by, opened for as long as a piece of work needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import TypeAlias

from engine.errors import ParameterError
from engine.ports import TransferGateway
from infra.settings import Settings
from tasks.workplace import Workplace

Opener: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[Mapping[str, TransferGateway]]]
"""Opens all gateways of an installation, by venue or custodian, and closes them afterwards."""


@asynccontextmanager
async def gateways(place: Workplace) -> AsyncIterator[Mapping[str, TransferGateway]]:
    """Yield the gateways that PLIMSOLL_GATEWAYS opens; none where it is not set.

    Raises
    ------
    ParameterError
        If it names no function.
    """
    named = place.settings.gateways
    if named is None:
        yield {}
        return
    async with _opener(named)(place.settings) as opened:
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
