"""The demo territory as a MEDS dataset: taken by the format, extracted from by ACES, read again."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from features.events import EVENTS
from features.identity import Vault
from features.meds_check import check_meds
from features.timelines import Timelines
from tests.end_to_end.conftest import ROOT, jalon_json

HERE = Path(__file__).parent
PEOPLE = 1_000
CONTRACT = "CONTRACT//CER//SIGNED"
WAIT, HORIZON = 75, 90
"""Days, as the two tasks of ACES have them."""

Labels = set[tuple[int, Any, bool]]


@dataclass(frozen=True)
class Written:
    """A territory with its work folder, its dataset, and what the commands printed."""

    file: Path
    home: Path
    meds: Path
    exported: dict[str, Any]
    labelled: dict[str, Any]


def territory_of(folder: Path) -> Path:
    """The demo's sources, with the rupture that ACES can say, and days of 24 hours."""
    raw = yaml.safe_load((ROOT / "territories" / "demo" / "territory.yaml").read_text("utf-8"))
    raw["features"] |= {"timezone": "UTC", "buckets": 2}
    raw["training"] |= {
        "cohort": {
            "opens": CONTRACT,
            "closes": "EXIT//PATHWAY//*",
            "schedule": {
                "anchor": CONTRACT,
                "from_day": WAIT,
                "to_day": WAIT,
                "every_days": 1,
            },
        },
        "horizon_days": HORIZON,
        "competing": "EXIT//PATHWAY//*",
        "rupture": {
            "first_of": ["R1"],
            "R1": {"missed": "CONTACT//APPOINTMENT//NOSHOW", "count": 1, "days": HORIZON},
            # Nothing that the services export ends a rupture: the first absence is for good.
            "seen": "ALERT//SHARED//APPOINTMENT_MADE",
        },
        "folds": {"kind": "cutoff", "test_from": "2025-03-01"},
    }
    file = folder / "absence" / "territory.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("meds")
    file, home, meds = territory_of(folder), folder / "home", folder / "dataset"
    there = (str(file), "--home", str(home))
    jalon_json("simulate", *there, "--people", str(PEOPLE))
    jalon_json("ingest", *there)
    exported = jalon_json("meds", "export", *there, "--to", str(meds))
    labels = meds / "labels" / "absence" / "0.parquet"
    labelled = jalon_json("meds", "labels", *there, "--to", str(labels))
    return Written(file, home, meds, exported, labelled)


def newest(home: Path) -> pa.Table:
    import datetime as dt

    return Timelines.open(home / "timelines").read(as_known=dt.datetime(2200, 1, 1)).cast(EVENTS)


def test_the_dataset_is_one_and_has_every_event(written: Written) -> None:
    events = newest(written.home)
    assert check_meds(written.meds) == events.num_rows + written.exported["subjects"]
    assert written.exported["events"] == events.num_rows > 50 * PEOPLE
    assert written.exported["left_out"] == 0
    # The territory's folds divide people.
    assert set(written.exported["splits"]) == {"train", "tuning", "held_out"}


def test_labels_are_those_of_the_cohort_and_what_has_none_is_counted(written: Written) -> None:
    from meds import LabelSchema

    labels = pq.read_table(written.meds / "labels" / "absence" / "0.parquet")
    LabelSchema.validate(labels)
    done = written.labelled
    assert labels.num_rows == done["rows"] > PEOPLE / 10
    assert pc.sum(labels["boolean_value"]).as_py() == done["positives"] > 10
    assert all(done["left_out"][name] > 0 for name in ("competing", "censored", "prior"))


def aces(written: Written, folder: Path, task: str) -> pa.Table:
    """The labels that ACES extracts from every shard."""
    shards = sorted(file.stem for file in (written.meds / "data").glob("*.parquet"))
    assert len(shards) > 1
    found = []
    for shard in shards:
        made = folder / task / f"{shard}.parquet"
        command = [
            *(str(Path(sys.executable).with_name("aces-cli")), "data.standard=meds"),
            f"data.path={written.meds / 'data' / shard}.parquet",
            *(f"cohort_dir={folder}", f"cohort_name={task}"),
            *(f"config_path={HERE / task}.yaml", f"output_filepath={made}"),
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(pq.read_table(made))
    return pa.concat_tables(found)


def rows_of(labels: pa.Table) -> Labels:
    columns = [labels[n].to_pylist() for n in ("subject_id", "prediction_time", "boolean_value")]
    return set(zip(*columns, strict=True))


@pytest.mark.skipif(find_spec("aces") is None, reason="es-aces is not installed (extra `meds`)")
def test_aces_extracts_the_same_cohort_and_labels(written: Written, tmp_path: Path) -> None:
    # MEDS cannot say when a fact was known. The two can agree only where every contract was known
    # at the prediction time; exits and absences entered later make a row `prior` here.
    events = newest(written.home)
    contracts = events.filter(pc.equal(events["code"], CONTRACT))
    late = pc.subtract(contracts["recorded_at"], contracts["time"])
    assert pc.max(late.cast(pa.int64())).as_py() < timedelta(days=WAIT) / timedelta(microseconds=1)

    theirs = pa.concat_tables(
        [aces(written, tmp_path, task) for task in ("aces_absence", "aces_no_absence")]
    )
    labels = pq.read_table(written.meds / "labels" / "absence" / "0.parquet")
    found, ours = rows_of(theirs), rows_of(labels)
    assert len(found) == theirs.num_rows
    assert len(ours) == labels.num_rows
    assert found == ours


def test_the_dataset_read_again_gives_the_same_events(written: Written, tmp_path: Path) -> None:
    raw = yaml.safe_load(written.file.read_text("utf-8"))
    del raw["data"]
    raw["features"]["sources"] = {"again": {"preset": "meds", "service": "social"}}
    file = tmp_path / "again.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    home = tmp_path / "home"
    report = jalon_json("ingest", str(file), "--home", str(home), "--data", str(written.meds))
    before, after = newest(written.home), newest(home)
    assert report["sources"]["again"]["set_aside"] == {}
    assert report["sources"]["again"]["rows"] == before.num_rows + written.exported["subjects"]
    people = pc.unique(before["subject_id"])
    vault = Vault.open(home / "identity")
    renamed = vault.resolve("meds", people.cast(pa.string()))
    vault.close()
    place = pc.index_in(before["subject_id"], value_set=people)
    before = before.set_column(0, EVENTS.field(0), pa.array(renamed).take(place))
    same = [name for name in EVENTS.names if name not in ("source", "source_code", "event_id")]
    order = [(name, "ascending") for name in same]
    assert after.select(same).sort_by(order).equals(before.select(same).sort_by(order))
    assert len(np.unique(renamed)) == len(people)
