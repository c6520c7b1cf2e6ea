"""A MEDS dataset as a source: Jalon's own come back the same, others by what they have."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.events import EVENTS
from features.identity import Vault
from features.ingest import ingest
from features.meds import Dataset, export_meds
from features.quality import IngestReport
from features.settings import FeaturesSettings
from features.territory import Territory
from features.timelines import Timelines
from features.vocabulary import Vocabulary

SEEN, MISSED = "CONTACT//APPOINTMENT//SEEN", "CONTACT//APPOINTMENT//NOSHOW"
OWN = "SPORT//CLUB//JOINED"
TERRITORY = f"""\
features:
  observation: {{since: 2020-01-01, until: 2026-01-01}}
  vocabulary:
    - {{code: {OWN}, label: {{fr: Club, en: Club}}, theme: social}}
  sources:
    hospital:
      preset: meds
      service: health
"""
MAPPED = """\
      tables:
        - name: data
          events:
            - code: "{code}"
              values: {code: {"*": "*", "VISIT//MISSED": "CONTACT//APPOINTMENT//NOSHOW"}}
              where: {time: present, end(observation): absent}
              time: time
              recorded_at: {column: time, days_later: 3}
"""
CORE: list[Any] = [
    pa.field("subject_id", pa.int64()),
    pa.field("time", pa.timestamp("us")),
    pa.field("code", pa.string()),
]


@pytest.fixture
def territory(tmp_path: Path) -> Territory:
    return opened(tmp_path, TERRITORY)


def opened(folder: Path, text: str) -> Territory:
    file = folder / "territory.yaml"
    file.write_text(text, encoding="utf-8")
    (folder / "exports" / "data").mkdir(parents=True, exist_ok=True)
    return Territory.open(file, home=folder / "home", data=folder / "exports")


def write(territory: Territory, name: str, rows: list[dict[str, Any]], schema: Any = None) -> None:
    file = territory.data / "data" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema or pa.schema(CORE)), file)


def events(territory: Territory) -> Iterator[dict[str, Any]]:
    """Newest events, with the identifier in MEDS in place of the pseudonym."""
    vault = Vault.open(territory.home / "identity")
    table = Timelines.open(territory.home / "timelines").read(as_known=datetime(2100, 1, 1))
    people = range(1, 100)
    known = dict(zip(vault.resolve("meds", [str(n) for n in people]).tolist(), people, strict=True))
    vault.close()
    for one in table.to_pylist():
        yield {**one, "subject_id": known[one["subject_id"]]}


def set_aside(report: IngestReport) -> dict[str, int]:
    [source] = report.sources
    found: dict[str, int] = {}
    for file in source.files:
        for reason, count in file.set_aside.items():
            found[reason] = found.get(reason, 0) + count
    return found


def at(day: int) -> datetime:
    return datetime(2024, 1, 1, 9, 30) + timedelta(days=day)


def test_a_dataset_of_our_own_comes_back_the_same(territory: Territory, tmp_path: Path) -> None:
    rows = [
        {
            "subject_id": person,
            "time": None if number == 0 else at(10 * number),
            "code": OWN if number == 0 else (SEEN, MISSED)[number % 2],
            "numeric_value": 0.1 * number if number % 3 else None,
            "text_value": "housing" if number % 2 else None,
            "recorded_at": at(10 * number + person),
            "end_time": at(300) if number == 4 else None,
            "source": "social",
            "reference": f"rdv-{number}" if number % 2 else None,
            # Digits alone, as a reference of a service: no telephone number.
            "event_id": f"06{person:02d}{number:06d}",
        }
        for person in range(1, 41)
        for number in range(6)
    ]
    before = Timelines.open(tmp_path / "before", create=True, buckets=1)
    before.append(pa.Table.from_pylist(rows, schema=EVENTS), label="test")
    settings = territory.section("features", FeaturesSettings)
    vocabulary = Vocabulary.load(settings.vocabulary)
    (territory.data / "data").rmdir()
    done = export_meds(
        before, vocabulary, territory.data, Dataset("own", datetime(2026, 1, 1)), rows=50
    )
    report = ingest(territory)
    assert set_aside(report) == {}
    [source] = report.sources
    assert sum(file.rows for file in source.files) == done.events + done.ends == 280
    assert sum(file.without_event for file in source.files) == done.ends == 40
    same = [one for one in EVENTS.names if one not in ("source", "source_code", "event_id")]

    def told(row: dict[str, Any]) -> str:
        return repr([row[name] for name in same])

    expected = sorted(told(one) for one in before.read().to_pylist())
    assert sorted(told(one) for one in events(territory)) == expected
    assert ingest(territory).added == 0


def test_a_dataset_of_others_is_known_a_day_later_and_its_codes_are_refused(
    territory: Territory,
) -> None:
    rows = [
        {"subject_id": 7, "time": None, "code": "GENDER//F"},
        {"subject_id": 7, "time": None, "code": OWN},
        {"subject_id": 7, "time": at(0), "code": SEEN},
        {"subject_id": 7, "time": at(0), "code": SEEN},
        {"subject_id": 7, "time": at(5), "code": "VISIT//MISSED"},
    ]
    write(territory, "train/0.parquet", rows)
    write(territory, "held_out/0.parquet", [{"subject_id": 8, "time": at(1), "code": MISSED}])
    report = ingest(territory)
    assert set_aside(report) == {"unknown_code": 2, "missing_recorded_at": 1}
    assert [
        (one["subject_id"], one["code"], one["recorded_at"])
        for one in sorted(events(territory), key=lambda one: one["subject_id"])
    ] == [(7, SEEN, at(1)), (8, MISSED, at(2))]


def test_codes_of_others_are_translated_beside_those_of_the_vocabulary(tmp_path: Path) -> None:
    territory = opened(tmp_path, TERRITORY + MAPPED)
    rows = [
        {"subject_id": 7, "time": at(0), "code": "VISIT//MISSED"},
        {"subject_id": 7, "time": at(1), "code": OWN},
        {"subject_id": 7, "time": at(2), "code": "LAB//1"},
    ]
    write(territory, "0.parquet", rows)
    report = ingest(territory)
    assert set_aside(report) == {"unknown_code": 1}
    found = [(one["code"], one["source_code"], one["recorded_at"]) for one in events(territory)]
    assert found == [(MISSED, "VISIT//MISSED", at(3)), (OWN, OWN, at(4))]


def test_text_of_any_kind_is_not_taken(territory: Territory) -> None:
    schema = pa.schema([*CORE, pa.field("text_value", pa.large_string())])
    texts = ["a long note on the person", "0612345678", "housing", None]
    rows = [
        {"subject_id": 7, "time": at(n), "code": SEEN, "text_value": text}
        for n, text in enumerate(texts)
    ]
    write(territory, "0.parquet", rows, schema)
    report = ingest(territory)
    assert set_aside(report) == {"free_text": 1, "identity_in_field": 1}
    assert [one["text_value"] for one in events(territory)] == ["housing", None]


def test_a_bad_shard_is_said_and_the_others_are_read(territory: Territory) -> None:
    write(territory, "0.parquet", [{"subject_id": 7, "time": at(0), "code": SEEN}])
    whole = (territory.data / "data" / "0.parquet").read_bytes()
    (territory.data / "data" / "1.parquet").write_bytes(whole[: len(whole) // 2])
    (territory.data / "data" / "2.parquet").write_bytes(b"")
    write(territory, "3.parquet", [{"code": SEEN}], pa.schema([CORE[2]]))
    report = ingest(territory)
    said = "\n".join(report.failures)
    assert "1.parquet" in said
    assert "2.parquet" in said
    assert "column(s) 'subject_id', 'time'" in said
    assert [one["code"] for one in events(territory)] == [SEEN]


def test_wrong_values_are_set_aside_with_their_reason(territory: Territory) -> None:
    rows: list[dict[str, Any]] = [
        {"subject_id": None, "time": at(0), "code": SEEN},
        {"subject_id": 7, "time": datetime(1850, 1, 1), "code": SEEN},
        {"subject_id": 7, "time": at(0), "code": None},
        {"subject_id": 7, "time": at(0), "code": MISSED},
    ]
    write(territory, "0.parquet", rows)
    report = ingest(territory)
    assert set_aside(report) == {
        "missing_person": 1,
        "date_out_of_range": 1,
        "unknown_code": 1,
    }
    assert [one["code"] for one in events(territory)] == [MISSED]
