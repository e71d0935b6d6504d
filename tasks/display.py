"""The joint between steps that report progress and the command line that shows it."""

from __future__ import annotations

from infra.telemetry import Progress, Step, progress, show_progress_on

__all__ = ["Progress", "Step", "progress", "show_progress_on"]
