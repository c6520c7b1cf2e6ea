"""The true probabilities are those of the process: they agree with what happened."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest

from simulator import layout
from simulator.history import run_truth
from simulator.outcomes import (
    COMPETING,
    HORIZON_DAYS,
    RUPTURE,
    observed_months,
    rows_at_risk,
    sample,
)
from simulator.truth import judge

from .conftest import SEED, Lived

ROWS, RUNS = 2500, 100


@pytest.fixture(scope="module")
def judged(lived: Lived):
    picked = sample(rows_at_risk(lived.history), lived.history, ROWS, SEED)
    rupture, competing = run_truth(
        lived.people,
        lived.world,
        SEED,
        picked.person,
        picked.day,
        HORIZON_DAYS * layout.DAY,
        RUNS,
    )
    return picked, rupture, competing


def test_mean_probability_is_the_realised_rate(judged) -> None:
    picked, rupture, competing = judged
    for p, code in ((rupture, RUPTURE), (competing, COMPETING)):
        error = np.sqrt((p * (1 - p)).sum()) / p.size
        # Months of one person overlap, so rows are not independent: twice the usual width.
        assert abs(p.mean() - (picked.outcome == code).mean()) < 2 * 2.6 * error


def test_probabilities_hold_in_every_bin(judged) -> None:
    picked, rupture, _ = judged
    happened = picked.outcome == RUPTURE
    edges = np.array([0.0, 0.03, 0.08, 0.15, 0.3, 0.6, 1.01])
    for low, high in pairwise(edges):
        here = (rupture >= low) & (rupture < high)
        assert here.sum() > 40
        p = rupture[here]
        # A bin is chosen on an estimate: beside sampling, allow for the estimate's own error.
        error = np.sqrt(np.maximum(p * (1 - p), 0.01).mean() * (1 / here.sum() + 1 / RUNS))
        assert abs(p.mean() - happened[here].mean()) < 3 * error


def test_truth_ranks_well_and_far_better_than_silence(judged) -> None:
    found = judge(*judged)
    assert 0.80 <= found["auc_best_attainable"] <= 0.87
    assert found["auc_best_attainable"] > found["auc_days_since_seen_on_truth_rows"] + 0.08


def test_forward_runs_do_not_depend_on_the_company(lived: Lived, judged) -> None:
    picked, rupture, _ = judged
    some = picked.take(np.array([3, 77, 1200]))
    alone, _ = run_truth(
        lived.people,
        lived.world,
        SEED,
        some.person,
        some.day,
        HORIZON_DAYS * layout.DAY,
        RUNS,
    )
    assert alone.tolist() == rupture[[3, 77, 1200]].tolist()


def test_sampled_rows_lie_mostly_in_the_last_year_and_end_in_time(lived: Lived, judged) -> None:
    picked = judged[0]
    months = observed_months(lived.history)
    assert np.isin(picked.month, months[-12:]).mean() >= 0.6
    assert picked.month.min() >= 8
    assert (picked.time + HORIZON_DAYS * layout.DAY <= lived.history.until).all()
    assert len({*zip(picked.person.tolist(), picked.time.tolist(), strict=True)}) == ROWS


def test_files_of_the_truth(folder: Path) -> None:
    table = pq.read_table(folder / "truth" / "rupture_probability.parquet")
    assert table.num_rows == 50
    assert table.schema.field("prediction_time").type == "timestamp[us]"
    assert set(table["outcome"].to_pylist()) <= {"rupture", "competing", "no_rupture"}
    for when in table["prediction_time"].to_pylist():
        local = when.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo("Europe/Paris"))
        assert (local.day, local.hour, local.minute) == (1, 0, 0)
        assert local > datetime(2023, 8, 1, tzinfo=ZoneInfo("Europe/Paris"))
    for rule, outcome in zip(
        table["onset_rule"].to_pylist(), table["outcome"].to_pylist(), strict=True
    ):
        assert (rule is not None) == (outcome == "rupture")
    persons = pq.read_table(folder / "truth" / "persons.parquet")
    assert persons.num_rows == 400
    known = set(persons["social_id"].to_pylist())
    assert set(table["social_id"].to_pylist()) <= known
    summary = json.loads((folder / "truth" / "summary.json").read_text())
    assert {"auc_best_attainable", "auc_days_since_seen", "share_R1"} <= summary.keys()
