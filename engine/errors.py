"""The expected failures of the platform, each with the facts that a person needs.

Every class says whether trying again can help (``retryable``). An error names the identifier, the
value found and the limit; these also travel as attributes for reports and run pages.
"""

from __future__ import annotations

from typing import ClassVar


class MarginPlatformError(Exception):
    """An expected failure. ``retryable`` tells callers whether trying again can help."""

    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        identifier: str | None = None,
        value: object = None,
        limit: str | None = None,
    ) -> None:
        super().__init__(message)
        self.identifier = identifier
        self.value = value
        self.limit = limit


class ContractViolation(MarginPlatformError):
    """A payload breaks a data contract: quarantine it, never retry."""


class ModelInputError(MarginPlatformError):
    """A model input has a wrong shape, unit or value, or is not finite."""


class ParameterError(ModelInputError):
    """A margin parameter or agreement is out of range or absent: refused before a run starts."""


class StaleMarkError(MarginPlatformError):
    """Market data is older than its limit: retry, then hold the netting set."""

    retryable = True


class MissingDataError(MarginPlatformError):
    """Data that the run cannot do without is absent: no market data, empty book, no folder."""


class OpenBreak(MarginPlatformError):
    """Sources disagree on a holding, and the answer would depend on which one is right."""


class LedgerError(MarginPlatformError):
    """A posting or balance rule is broken."""


class UnbalancedEntry(LedgerError):
    """An entry's debits and credits differ."""


class InsufficientCollateral(LedgerError):
    """A posting would take an account below its floor."""


class StateError(MarginPlatformError):
    """The database cannot serve: locked, not migrated, or another run holds the lease."""


class StateUnavailable(StateError):
    """The database is locked or unreachable for now; trying again can help."""

    retryable = True


class RunIncomplete(MarginPlatformError):
    """The run finished its work but at least one netting set failed."""


class VenueError(MarginPlatformError):
    """A venue did not answer as needed."""


class VenueUnavailable(VenueError):
    """The venue cannot be reached for now."""

    retryable = True


class VenueRejected(VenueError):
    """The venue refused for good."""


class InvariantBroken(AssertionError):
    """A bug: outside the tree of expected failures, caught nowhere, stops the run."""
