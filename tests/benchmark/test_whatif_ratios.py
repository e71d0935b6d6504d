"""What a what-if has to save, on any machine, with slack for a busy one."""

from __future__ import annotations

import pytest

from tests.benchmark import whatif

pytestmark = pytest.mark.benchmark

# Measured: 5 and more than 1,000, with venue margins or without.
ONE_MIN, EACH_OF_MANY_MIN = 2.0, 300.0


@pytest.mark.parametrize("with_venue", [False, True])
def test_candidate_costs_a_fraction_of_an_assessment_and_has_its_bits(with_venue: bool) -> None:
    figures = whatif.measure(with_venue=with_venue, n_candidates=3_000)
    assert figures["largest_difference"] == 0.0
    assert figures["assess_over_one"] > ONE_MIN
    assert figures["assess_over_each_of_many"] > EACH_OF_MANY_MIN
