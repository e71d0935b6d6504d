"""Dashboard and HTTP interface: what people see and do, over one database."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.web.application import create_app
    from infra.web.configuration import WebSettings, require_safe_address
    from infra.web.services import Question, Services, StressQuestion

# Resolved on first use: FastAPI stays out of the start of a command.
_HOMES = {
    "Question": "services",
    "Services": "services",
    "StressQuestion": "services",
    "WebSettings": "configuration",
    "create_app": "application",
    "require_safe_address": "configuration",
}

__all__ = [
    "Question",
    "Services",
    "StressQuestion",
    "WebSettings",
    "create_app",
    "require_safe_address",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"infra.web.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
