"""The scorecard of the house model: page, JSON twin and pictures. See README.md of infra/report."""

from infra.report.scorecard.content import HistoryFacts, ScorecardContent
from infra.report.scorecard.publish import published_scorecard

__all__ = ["HistoryFacts", "ScorecardContent", "published_scorecard"]
