"""The simulated territory beside the published figures; tolerances are in `figures.PUBLISHED`."""

from __future__ import annotations

import pytest

from simulator.figures import PUBLISHED, measure, ruptures
from simulator.outcomes import rows_at_risk


@pytest.fixture(scope="module")
def measured(lived) -> dict[str, float]:
    return measure(lived.people, lived.history)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_figure(measured: dict[str, float], name: str) -> None:
    published, tolerance = PUBLISHED[name]
    assert abs(measured[name] - published) <= tolerance


def test_summons_are_missed_more_often(measured: dict[str, float]) -> None:
    assert measured["noshow_share_summoned"] > measured["noshow_share_invited"] + 0.05


def test_unpublished_rate_is_in_its_stated_range(measured: dict[str, float]) -> None:
    assert 0.12 <= measured["iae_broken"] <= 0.25


def test_ruptures_are_neither_rare_nor_one_rule_nor_mere_silence(lived) -> None:
    found = ruptures(rows_at_risk(lived.history))
    assert 0.08 <= found["rupture_share"] <= 0.15
    shares = [found[f"share_R{rule}"] for rule in (1, 5, 6, 7)]
    assert max(shares) < 0.55
    assert min(shares) > 0.03
    assert 0.60 <= found["auc_days_since_seen"] <= 0.71
