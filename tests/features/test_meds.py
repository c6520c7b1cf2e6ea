"""Timelines as a MEDS dataset: what is in it, what is not, and what its check finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import ConfigurationError, DataError
from features.events import EVENTS, WITHDRAWN
from features.meds import EXTRAS, Dataset, export_meds, seeded_splits
from features.meds_check import check_meds
from features.sources.meds import OBSERVATION_END
from features.timelines import Timelines
from features.vocabulary import Vocabulary

UNTIL = datetime(2025, 1, 1)
SEEN, MISSED = "CONTACT//APPOINTMENT//SEEN", "CONTACT//APPOINTMENT//NOSHOW"
FAR = 1 << 58
"""Pseudonyms are spread over all positive numbers: so far apart, they lie in several buckets."""

Row = dict[str, Any]


def row(person: int, number: int, day: int | None, code: str = SEEN, **other: Any) -> Row:
    time = None if day is None else datetime(2024, 1, 1) + timedelta(days=day)
    known = datetime(2024, 1, 2) + timedelta(days=day or 0)
    made = {"subject_id": person, "time": time, "code": code, "recorded_at": known}
    return {**made, "source": "social", "event_id": f"e{number}", **other}


def timelines_of(folder: Path, rows: list[Row], buckets: int = 4) -> Timelines:
    timelines = Timelines.open(folder, create=True, buckets=buckets)
    timelines.append(pa.Table.from_pylist(rows, schema=EVENTS), label="test")
    return timelines


def data_of(folder: Path) -> list[Row]:
    files = sorted((folder / "data").glob("*.parquet"))
    return [one for file in files for one in pq.read_table(file).to_pylist()]


ROWS = [
    row(FAR, 1, 30, reference="rdv-1", numeric_value=2.5, text_value="housing"),
    row(FAR, 2, None, "RIGHTS//RSA//OPEN"),
    row(FAR, 3, 10, MISSED, end_time=datetime(2024, 6, 1)),
    row(9 * FAR, 4, 5),
    row(20 * FAR, 5, 50),
]


@pytest.fixture
def timelines(tmp_path: Path) -> Timelines:
    return timelines_of(tmp_path / "timelines", ROWS)


def test_a_dataset_has_every_event_in_order_and_says_what_it_is(
    timelines: Timelines, tmp_path: Path
) -> None:
    folder = tmp_path / "out" / "meds"
    done = export_meds(timelines, Vocabulary.load(), folder, Dataset("demo", UNTIL), rows=2)
    assert (done.events, done.ends, done.subjects, done.left_out) == (5, 3, 3, 0)
    assert done.shards == len(list((folder / "data").iterdir())) > 1
    assert check_meds(folder) == 8
    first = [one for one in data_of(folder) if one["subject_id"] == FAR]
    assert [one["code"] for one in first] == ["RIGHTS//RSA//OPEN", MISSED, SEEN, OBSERVATION_END]
    assert first[2] == {
        "subject_id": FAR,
        "time": datetime(2024, 1, 31),
        "code": SEEN,
        "numeric_value": 2.5,
        "text_value": "housing",
        "recorded_at": datetime(2024, 2, 1),
        "end_time": None,
        "source": "social",
        "reference": "rdv-1",
        "event_id": "e1",
    }
    assert first[3]["time"] == UNTIL
    assert [first[3][name] for name in ("source", "reference", "event_id")] == [None] * 3
    said = json.loads((folder / "metadata" / "dataset.json").read_text())
    assert (said["dataset_name"], said["etl_name"]) == ("demo", "jalon")
    assert said["other_extension_columns"] == ["recorded_at", "end_time"]
    codes = {
        one["code"]: one for one in pq.read_table(folder / "metadata" / "codes.parquet").to_pylist()
    }
    assert codes[SEEN]["description"] == "Rendez-vous : honoré"
    assert codes[SEEN]["parent_codes"] == ["CONTACT//APPOINTMENT", "CONTACT"]
    assert codes[OBSERVATION_END]["label_en"] == "End of observation"
    assert set(Vocabulary.load().codes) | {OBSERVATION_END} == set(codes)
    # Nothing but the dataset is left beside it.
    assert [one.name for one in folder.parent.iterdir()] == ["meds"]


def test_of_each_event_the_newest_version_known_is_written(tmp_path: Path) -> None:
    corrected = {**ROWS[0], "code": MISSED, "recorded_at": datetime(2024, 5, 1)}
    gone = {**ROWS[3], "code": WITHDRAWN, "recorded_at": datetime(2024, 6, 1)}
    timelines = timelines_of(tmp_path / "timelines", [*ROWS, corrected, gone])

    def exported(name: str, **chosen: Any) -> list[tuple[str, str]]:
        dataset = Dataset("demo", UNTIL, **chosen)
        export_meds(timelines, Vocabulary.load(), tmp_path / name, dataset)
        return sorted(
            (one["event_id"], one["code"]) for one in data_of(tmp_path / name) if one["event_id"]
        )

    newest = exported("newest")
    assert ("e1", MISSED) in newest
    assert [event for event, _ in newest] == ["e1", "e2", "e3", "e5"]
    april = exported("april", as_known=datetime(2024, 4, 1))
    assert ("e1", SEEN) in april
    assert [event for event, _ in april] == ["e1", "e2", "e3", "e4", "e5"]
    assert max(one["recorded_at"] for one in data_of(tmp_path / "april")) == datetime(2024, 4, 1)
    assert [event for event, _ in exported("early", as_known=datetime(2024, 1, 8))] == ["e2", "e4"]


def test_columns_of_our_own_and_rows_of_ends_can_be_left_out(
    timelines: Timelines, tmp_path: Path
) -> None:
    dataset = Dataset("demo", UNTIL, extras=False, ends=False)
    done = export_meds(timelines, Vocabulary.load(), tmp_path / "meds", dataset)
    assert done.ends == 0
    assert done.columns == ("subject_id", "time", "code", "numeric_value", "text_value")
    assert check_meds(tmp_path / "meds") == 5
    assert not set(EXTRAS) & set(data_of(tmp_path / "meds")[0])
    assert "site_id_columns" not in json.loads(
        (tmp_path / "meds" / "metadata" / "dataset.json").read_text()
    )


def test_who_objects_is_not_in_it(timelines: Timelines, tmp_path: Path) -> None:
    dataset = Dataset("demo", UNTIL, leave_out=np.array([FAR], np.int64))
    done = export_meds(timelines, Vocabulary.load(), tmp_path / "meds", dataset)
    assert (done.subjects, done.left_out, done.events) == (2, 1, 2)
    assert FAR not in {one["subject_id"] for one in data_of(tmp_path / "meds")}
    split = pq.read_table(tmp_path / "meds" / "metadata" / "subject_splits.parquet")
    assert split["subject_id"].to_pylist() == [9 * FAR, 20 * FAR]


def test_splits_hang_on_the_person_and_the_seed_alone(timelines: Timelines, tmp_path: Path) -> None:
    people = np.random.default_rng(1).integers(1, 2**63 - 1, 20_000)
    split = seeded_splits(people)
    assert (split[:100] == seeded_splits(people[:100])).all()
    assert (split != seeded_splits(people, 7)).any()
    for name, share in (("train", 0.7), ("tuning", 0.15), ("held_out", 0.15)):
        assert abs((split == name).mean() - share) < 0.02
    told = Dataset("demo", UNTIL, splits={9 * FAR: "held_out"})
    done = export_meds(timelines, Vocabulary.load(), tmp_path / "meds", told)
    assert done.splits == {"train": 2, "held_out": 1}


def test_nothing_is_written_over_and_a_failure_leaves_nothing(
    timelines: Timelines, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("kept")
    with pytest.raises(ConfigurationError, match="one with files"):
        export_meds(timelines, Vocabulary.load(), tmp_path / "full", Dataset("demo", UNTIL))
    before = Dataset("demo", UNTIL, as_known=datetime(2020, 1, 1))
    with pytest.raises(DataError, match="at least one event"):
        export_meds(timelines, Vocabulary.load(), tmp_path / "none", before)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["full", "timelines"]


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.one_of(st.none(), st.integers(0, 300))),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 30),
)
def test_any_timelines_make_a_dataset_of_the_same_events(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int | None]], rows: int
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    made = [row(person * FAR, n, day) for n, (person, day) in enumerate(drawn)]
    timelines = timelines_of(folder / "timelines", made)
    dataset = Dataset("demo", UNTIL)
    done = export_meds(timelines, Vocabulary.load(), folder / "meds", dataset, rows=rows)
    assert done.events == len(made)
    found = [one for one in data_of(folder / "meds") if one["code"] != OBSERVATION_END]
    assert sorted((one["event_id"], one["subject_id"]) for one in found) == sorted(
        (one["event_id"], one["subject_id"]) for one in made
    )


def reversed_rows(folder: Path) -> None:
    file = folder / "data" / "0.parquet"
    table = pq.read_table(file)
    pq.write_table(table.take(list(range(table.num_rows))[::-1]), file)


def torn_apart(folder: Path) -> None:
    file = folder / "data" / "0.parquet"
    table = pq.read_table(file)
    pq.write_table(table.slice(0, 1), folder / "data" / "9.parquet")
    pq.write_table(table.slice(1), file)


def mistyped(folder: Path) -> None:
    file = folder / "data" / "0.parquet"
    table = pq.read_table(file)
    place = table.column_names.index("code")
    pq.write_table(table.set_column(place, "code", pa.nulls(table.num_rows, pa.int64())), file)


def undescribed(folder: Path) -> None:
    file = folder / "metadata" / "codes.parquet"
    pq.write_table(pq.read_table(file).slice(0, 1), file)


def unsplit(folder: Path) -> None:
    file = folder / "metadata" / "subject_splits.parquet"
    pq.write_table(pq.read_table(file).slice(1), file)


def empty(folder: Path) -> None:
    for file in (folder / "data").iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (reversed_rows, "not in order of time"),
        (torn_apart, "a person is in several files"),
        (mistyped, "incorrect types: code"),
        (undescribed, "without description"),
        (unsplit, "1 person\\(s\\) without split"),
        (empty, "no row of data"),
        (lambda folder: (folder / "metadata" / "dataset.json").unlink(), "no metadata"),
    ],
)
def test_the_check_says_what_is_wrong(
    timelines: Timelines, tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    folder = tmp_path / "meds"
    export_meds(timelines, Vocabulary.load(), folder, Dataset("demo", UNTIL))
    harm(folder)
    with pytest.raises(DataError, match=said):
        check_meds(folder)
