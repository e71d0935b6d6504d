"""Candidates of a what-if as people write them: short texts, and files of many."""

from infra.candidates.files import read_candidates
from infra.candidates.text import basket, order_from, transfer_from

__all__ = ["basket", "order_from", "read_candidates", "transfer_from"]
