"""Crash points of a run's steps; see ``infra/crashpoints.py``."""

from __future__ import annotations

from infra.crashpoints import VARIABLE, crashpoint

__all__ = ["VARIABLE", "crashpoint"]
