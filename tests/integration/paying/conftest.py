"""The office of the transfer tests, with calls to pay."""

from __future__ import annotations

from tests.integration.transfers.conftest import clock, office

__all__ = ["clock", "office"]
