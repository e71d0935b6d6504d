"""Why a call is disputed: the one list of reasons, in the words of FpML and ISO 20022.

ISO 20022 ``DisputeResolutionType2Code`` and FpML's ``collateral-dispute-resolution-method-reason``
name the figure that has to be reconciled to resolve the dispute; so do these.
"""

from __future__ import annotations

from enum import Enum

from engine.errors import ParameterError


class DisputeReason(Enum):
    """The figure that the client contests; the value is the code of ISO 20022."""

    COLLATERAL = "RECO"
    EXPOSURE = "REEX"
    THRESHOLD = "RETH"
    MINIMUM_TRANSFER_AMOUNT = "RMTA"
    ROUNDING = "RERO"
    VALUATION_FREQUENCY = "REVF"
    INDEPENDENT_AMOUNT = "RNIA"

    @property
    def word(self) -> str:
        """Return the reason as people write it."""
        return self.name.lower()


def dispute_reason(text: str) -> DisputeReason:
    """Return the reason of a word or an ISO code.

    Raises
    ------
    ParameterError
        If there is no such reason.

    Examples
    --------
    >>> dispute_reason("exposure") is dispute_reason("REEX")
    True
    """
    for reason in DisputeReason:
        if text in (reason.word, reason.value):
            return reason
    listed = ", ".join(reason.word for reason in DisputeReason)
    raise ParameterError(
        f"dispute reason {text!r}, limit: one of {listed}",
        identifier="reason",
        value=text,
        limit=listed,
    )
