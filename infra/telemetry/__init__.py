"""What a run says about itself: the version of the code that ran and how far it has come."""

from infra.telemetry.code_version import code_version
from infra.telemetry.progress import Progress, SilentProgress, Step, progress, show_progress_on

__all__ = ["Progress", "SilentProgress", "Step", "code_version", "progress", "show_progress_on"]
