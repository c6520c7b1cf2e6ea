"""XES event logs: events as rows, hostile files refused, and a log through an ingest."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import ConfigurationError, DataError
from features.ingest import ingest
from features.settings import ReaderOptions
from features.sources import SourceFile, open_reader
from features.sources.finding import find_files
from features.territory import Territory
from features.timelines import Timelines

OPTIONS = ReaderOptions(max_line_bytes=16 * 1024)
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<log xes.version="1.0" '
    'xmlns="http://www.xes-standard.org/">'
)
GLOBALS = (
    '<extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>'
    '<global scope="trace"><string key="concept:name" value="?"/></global>'
    '<global scope="event"><string key="org:resource" value="?"/></global>'
    '<classifier name="Activity" keys="concept:name"/>'
)
Event = dict[str, str]


def attributes(values: Event) -> str:
    kinds = {"time:timestamp": "date", "cost": "float", "done": "boolean"}
    return "".join(
        f"<{kinds.get(key, 'string')} key={quoteattr(key)} value={quoteattr(value)}/>"
        for key, value in values.items()
    )


def log(traces: dict[str, list[Event]], before: str = GLOBALS) -> bytes:
    body = "".join(
        f"<trace>{attributes({'concept:name': case})}"
        + "".join(f"<event>{attributes(event)}</event>" for event in events)
        + "</trace>\n"
        for case, events in traces.items()
    )
    return f"{HEAD}{before}{body}</log>".encode()


def event(name: str, day: str, **more: str) -> Event:
    return {"concept:name": name, "time:timestamp": f"{day}T10:00:00.000+01:00", **more}


LOG = log(
    {
        "D1": [event("rdv", "2024-01-10", cost="2.5"), event("absence", "2024-02-10")],
        "D2": [event("rdv", "2024-01-12")],
    }
)


def rows(content: bytes, columns: list[str] | None = None) -> list[dict[str, Any]]:
    reader = open_reader("xes", SourceFile.in_memory("log.xes", content), OPTIONS)
    found = reader.batches(columns or list(reader.names))
    return [row for batch in found for row in batch.table.to_pylist()]


def test_an_event_is_a_row_with_the_attributes_of_its_trace() -> None:
    found = rows(LOG)
    assert found[0] == {
        "case:concept:name": "D1",
        "concept:name": "rdv",
        "cost": "2.5",
        "event:number": "1",
        "org:resource": None,
        "time:timestamp": "2024-01-10T10:00:00.000+01:00",
    }
    assert [(row["case:concept:name"], row["event:number"]) for row in found] == [
        ("D1", "1"), ("D1", "2"), ("D2", "1"),
    ]  # fmt: skip


def test_attributes_within_attributes_and_lists_are_passed_over() -> None:
    nested = (
        '<trace><string key="concept:name" value="D1"><string key="inner" value="x"/></string>'
        '<list key="many"><values><string key="one" value="y"/></values></list>'
        '<event><string key="concept:name" value="rdv"><int key="inner" value="3"/></string>'
        '<list key="many"><values><int key="one" value="1"/></values></list>'
        '<id key="identity:id" value="e1"/></event></trace>'
    )
    assert rows(f"{HEAD}{nested}</log>".encode()) == [
        {
            "case:concept:name": "D1",
            "concept:name": "rdv",
            "event:number": "1",
            "identity:id": "e1",
        }
    ]


def test_events_outside_a_trace_have_no_case() -> None:
    alone = f"<event>{attributes(event('rdv', '2024-01-10'))}</event>"
    traced = f"<trace>{attributes({'concept:name': 'D1'})}{alone}</trace>"
    columns = ["case:concept:name", "concept:name", "event:number"]
    content = f"{HEAD}{alone}{traced}{alone}</log>".encode()
    assert [tuple(row.values()) for row in rows(content, columns)] == [
        (None, "rdv", "1"), ("D1", "rdv", "1"), (None, "rdv", "1"),
    ]  # fmt: skip


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)


@given(st.dictionaries(TEXTS, st.lists(TEXTS, max_size=4), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read(traces: dict[str, list[str]]) -> None:
    written = {c: [event(name, "2024-01-10") for name in names] for c, names in traces.items()}
    expected = [(case, name) for case, names in traces.items() for name in names]
    columns = ["case:concept:name", "concept:name"]
    if not expected:
        with pytest.raises(DataError, match="a log with events"):
            rows(log(written))
        return
    assert [tuple(row.values()) for row in rows(log(written), columns)] == expected


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "got an empty file"),
    "no event": (log({"D1": []}), "Expected a log with events; got none"),
    "cut off": (log({"D1": [event("rdv", "2024-01-10")] * 900})[:70_000], "that is cut off at"),
    "not its encoding": (LOG.replace(b'"rdv"', b'"r\xe9v"'), "not well-formed (invalid token)"),
    "billion laughs": (
        LOG.replace(b"<log", b'<!DOCTYPE log [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><log', 1),
        "Expected no document type",
    ),
    "another file": (
        LOG.replace(b"<log", b'<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><log', 1),
        "Expected no document type",
    ),
    "deep": (LOG.replace(b"<event>", b"<event>" + b"<a>" * 5_000, 1), "at most 64 elements"),
    "a large event": (
        log({"D1": [{f"key{n}": "x" * 1000 for n in range(200)}]}),
        "records of at most 16384 bytes",
    ),
    "another root": (LOG.replace(b"<log", b"<pnml").replace(b"/log", b"/pnml"), "root element 'l"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_damaged_or_hostile_is_refused_by_name(case: str) -> None:
    content, expected = HOSTILE[case]
    with pytest.raises(DataError) as caught:
        rows(content, ["concept:name"])
    assert expected in str(caught.value)
    assert "log.xes" in str(caught.value)


def test_traces_in_another_order_say_the_same() -> None:
    one = {"D1": [event("rdv", "2024-01-10")], "D2": [event("rdv", "2024-01-12")]}
    turned = dict(reversed(one.items()))
    assert sorted(rows(log(one)), key=str) == sorted(rows(log(turned)), key=str)


def test_a_compressed_log_is_read_in_place(tmp_path: Path) -> None:
    (tmp_path / "log.xes.gz").write_bytes(gzip.compress(LOG))
    files, _ = find_files(tmp_path, "*.xes.gz")
    reader = open_reader("xes", files[0], OPTIONS)
    assert [batch.rows.tolist() for batch in reader.batches(["concept:name"])] == [[1, 2, 3]]


# Through an ingest

MEANINGS = """\
            - code: "CONTACT//APPOINTMENT//{%s}"
              values: {"%s": {rdv: SEEN, absence: NOSHOW}}
              time: "%s"
              recorded_at: "%s"
"""
TERRITORY = """\
features:
  observation: {since: 2023-01-01, until: 2025-01-01}
  sources:
    workflow:
      service: social
      reader: xes
      person: {system: social, columns: "case:concept:name"}
      tables:
        - path: log.xes.gz
          row_key: ["case:concept:name", "event:number"]
          events:
""" + MEANINGS % (*["concept:name"] * 2, *["time:timestamp"] * 2)  # fmt: skip
PRESET = """\
features:
  observation: {since: 2023-01-01, until: 2025-01-01}
  sources:
    workflow:
      preset: eventlog
      service: social
      options: {delimiter: ";"}
      tables:
        - name: log
          events:
""" + MEANINGS % (*["activity"] * 2, *["timestamp"] * 2)  # fmt: skip


def opened(folder: Path, text: str) -> Territory:
    file = folder / "territory.yaml"
    file.write_text(text, encoding="utf-8")
    return Territory.open(file, home=folder / "home", data=folder)


def codes(territory: Territory) -> list[str]:
    table = Timelines.open(territory.home / "timelines").read()
    return sorted(row["code"].rsplit("//", 1)[1] for row in table.to_pylist())


def test_a_log_becomes_events(tmp_path: Path) -> None:
    (tmp_path / "log.xes.gz").write_bytes(gzip.compress(LOG))
    territory = opened(tmp_path, TERRITORY)
    report = ingest(territory)
    assert (report.failures, report.subjects, codes(territory)) == (
        [],
        2,
        ["NOSHOW", "SEEN", "SEEN"],
    )
    assert ingest(territory).skipped == 1


def test_a_csv_log_needs_the_meaning_of_its_activities_only(tmp_path: Path) -> None:
    lines = ["case_id;activity;timestamp", "D1;rdv;2024-01-10T10:00", "D1;absence;2024-02-10T09:30"]
    (tmp_path / "eventlog.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    territory = opened(tmp_path, PRESET)
    report = ingest(territory)
    assert (report.failures, report.subjects, codes(territory)) == ([], 1, ["NOSHOW", "SEEN"])
    without = PRESET[: PRESET.index("      tables:")]
    with pytest.raises(ConfigurationError, match="events: required key is missing"):
        ingest(opened(tmp_path, without))
