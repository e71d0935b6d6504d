"""The expected failures of the platform, each with the facts that a person needs.

Every class says whether trying again can help (``retryable``). An error names the identifier, the
value found and the limit; these also travel as attributes for reports and run pages.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias


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


class InsufficientCollateral(LedgerError):
    """A posting would take an account below its floor."""


class UnbackedCredit(LedgerError):
    """A posting would credit clients with more than outside sources vouch for."""


class StateError(MarginPlatformError):
    """The database cannot serve: locked, not migrated, or another run holds the lease."""


class StateUnavailable(StateError):
    """The database is locked or unreachable for now; trying again can help."""

    retryable = True


class RunIncomplete(MarginPlatformError):
    """The run finished its work but at least one netting set failed."""


class VenueError(MarginPlatformError):
    """A venue, custodian or counterparty did not answer as needed.

    ``was_sent`` says whether the request can have had an effect: ``no`` is proof that it had none,
    ``maybe`` is how every write without a clear answer ends. ``code`` is the venue's own.
    """

    was_sent: ClassVar[Literal["no", "maybe", "yes"]] = "maybe"

    def __init__(
        self,
        message: str,
        *,
        identifier: str | None = None,
        value: object = None,
        limit: str | None = None,
        code: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, identifier=identifier, value=value, limit=limit)
        self.code = code
        self.retry_after_seconds = retry_after_seconds


class VenueUnavailable(VenueError):
    """A read failed for now: trying again can help. Never raised by a write."""

    retryable = True


class NotSent(VenueUnavailable):
    """The request never left: connection refused, no address, limiter or breaker said no."""

    was_sent = "no"


class Throttled(VenueUnavailable):
    """The venue refused because of too many requests; ``retry_after_seconds`` if it said."""

    was_sent = "no"


class Maintenance(VenueUnavailable):
    """The venue is in settlement, maintenance or cancel-only and refused."""

    was_sent = "no"


class OutcomeUnknown(VenueError):
    """A write ended without a clear answer: it may have been carried out. Never send it anew."""


class VenueRejected(VenueError):
    """The venue refused for good; ``cause`` says why in our words."""

    was_sent = "no"

    def __init__(self, message: str, *, cause: RejectCause, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.cause = cause


class VenueAccessDenied(VenueError):
    """Credentials, permission, address or account refused: stop, and call a person."""

    was_sent = "no"


class ClockSkew(VenueError):
    """The venue refused the request's time: measure the offset before anything else."""

    was_sent = "no"


class BadPayload(VenueError):
    """An answer that cannot be read as what it should be; on a write the outcome is unknown."""


class SequenceGap(VenueError):
    """A stream skipped: the account or book is uncertain until a snapshot."""


class StaleFeed(VenueError):
    """A stream is silent, or repeats itself, for longer than its limit."""


class Unsupported(VenueError):
    """The venue has no such function; absent is not zero."""

    was_sent = "no"


RejectCause: TypeAlias = Literal[
    "funds", "reduce_only", "limit", "instrument", "address", "policy", "duplicate_key", "other"
]


class InvariantBroken(AssertionError):
    """A bug: outside the tree of expected failures, caught nowhere, stops the run."""
