"""Real data, by configuration only: 2,500 enrolments of OULAD from raw exports to a test AUC."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.events import EVENTS
from features.timelines import Timelines
from tests.end_to_end.conftest import Ran, jalon_json

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def oulad(oulad_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Every eighth enrolment, so that the whole way takes seconds."""
    folder = tmp_path_factory.mktemp("oulad")
    people = pq.read_table(oulad_data / "registrations.parquet", columns=["person"])["person"]
    chosen = people.take(np.arange(0, len(people), 8))
    for file in sorted(oulad_data.glob("*.parquet")):
        table = pq.read_table(file)
        kept = table.filter(pc.is_in(table["person"], value_set=chosen.combine_chunks()))
        pq.write_table(kept, folder / file.name)
    home = folder / "work"
    options = ("oulad", "--home", str(home), "--data", str(folder))
    printed: dict[str, Any] = {
        command: jalon_json(*command.split(), *options)
        for command in ("ingest", "features build", "train")
    }
    return Ran(home, printed | {"data": str(folder)})


def test_no_row_is_lost(oulad: Ran) -> None:
    for source in oulad.printed["ingest"]["sources"].values():
        assert source["rows_set_aside"] == 0
    activity = pq.read_metadata(Path(oulad.printed["data"]) / "activity.parquet").num_rows
    assert oulad.printed["ingest"]["sources"]["platform"]["events"] == activity


def test_the_final_result_is_nowhere(oulad: Ran) -> None:
    events = Timelines.open(oulad.home / "timelines").read(columns=["code", "text_value"])
    assert not pc.any(pc.match_substring_regex(events["code"], "PASS|FAIL|DISTINCTION")).as_py()
    assert pc.count(events["text_value"]).as_py() == 0
    assert events.schema.field("code").type == EVENTS.field("code").type


def test_labels_are_the_withdrawals_of_the_next_28_days(oulad: Ran) -> None:
    """Counted again from the raw registrations, without any of the package's own code."""
    raw = pq.read_table(Path(oulad.printed["data"]) / "registrations.parquet").to_pandas()
    raw = raw[raw["registered_on"].notna()]

    def instant(days: pd.Series) -> pd.Series:
        return pd.to_datetime(days).dt.tz_localize("Europe/London").dt.tz_convert("UTC")

    left = instant(raw["unregistered_on"])
    ruptures = 0
    for day in range(28, 169, 7):
        at = instant(pd.to_datetime(raw["starts_on"]) + pd.Timedelta(days=day))
        there = (instant(raw["registered_on"]) < at) & (left.isna() | (left >= at))
        ruptures += int((there & (left < at + pd.Timedelta(hours=28 * 24))).sum())
    assert oulad.printed["train"]["outcomes"]["rupture"] == ruptures


def test_2014b_is_the_test_and_training_ends_a_horizon_before(oulad: Ran) -> None:
    fold = oulad.printed["train"]["folds"][0]
    assert datetime.fromisoformat(fold["test_from"]) >= datetime(2014, 2, 1)
    for earlier, later in (("train", "calibration"), ("calibration", "test")):
        gap = datetime.fromisoformat(fold[f"{later}_from"]) - datetime.fromisoformat(
            fold[f"{earlier}_to"]
        )
        assert gap.days >= 28


def test_the_models_know_more_than_chance(oulad: Ran) -> None:
    auc = {m["kind"]: m["mean"]["auc"] for m in oulad.printed["train"]["models"]}
    assert auc["lightgbm"] > 0.6
    assert auc["logistic"] > 0.6


def test_the_first_catalogue_is_printed_beside_the_whole_one(oulad: Ran) -> None:
    """On an eighth of the people which is better is chance; on all of them it is the whole one."""
    told = oulad.printed["train"]
    [thin] = told["subsets"]
    assert (thin["name"], thin["features"]) == ("thin", 77)
    assert told["features"] > 200
    auc = {m["kind"]: m["last"]["auc"] for m in thin["models"]}
    assert auc["lightgbm"] > 0.6
    page = (oulad.home / "reports" / "training.fr.html").read_text(encoding="utf-8")
    for models in (told["models"], thin["models"]):
        whole = next(m for m in models if m["kind"] == "lightgbm")
        assert f"{whole['last']['auc']:.4f}" in page
