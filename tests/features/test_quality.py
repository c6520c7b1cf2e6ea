"""Figures of what came in: periods, delays, sums over files, and the report people read."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from features.events import EVENTS
from features.quality import FileFigures, IngestReport, SourceFigures

DAY = datetime(2025, 3, 1)


def events(*delays: float | None) -> pa.Table:
    """One event per delay in days between its time and its entry; None for a static one."""
    rows = [
        {
            "subject_id": 1,
            "time": None if delay is None else DAY,
            "code": "SOCIAL//DIAGNOSIS//DONE",
            "recorded_at": DAY + timedelta(days=delay or 0),
            "source": "social",
            "event_id": str(number),
        }
        for number, delay in enumerate(delays)
    ]
    return pa.Table.from_pylist(rows, schema=EVENTS)


def figures(*delays: float | None, **counts: int) -> FileFigures:
    made = FileFigures("social", "t", "t.csv", **counts)
    made.saw(events(*delays))
    return made


def test_delays_and_period_are_those_of_dated_events() -> None:
    source = SourceFigures("social", "social", (figures(0, 1, 1.5, 2), figures(900, None, -3)))
    assert source.delay(0.5) == 1
    assert source.delay(0.9) == 366
    said = source.as_dict()
    assert said["delay_days"] == {"median": 1, "p90": 366}
    assert said["first"] == said["last"] == DAY.isoformat()


def test_a_source_without_dated_events_has_no_delay() -> None:
    assert SourceFigures("social", "social", (figures(None),)).delay(0.5) is None
    assert SourceFigures("social", "social", ()).delay(0.5) is None


def test_figures_come_back_from_json() -> None:
    made = figures(1, 4, rows=3, mapped=2)
    made.set_aside.update(Counter(bad_date=1))
    made.unknown["statut=ZZ"] = 2
    assert FileFigures.from_dict(json.loads(json.dumps(made.as_dict()))) == made


def test_a_table_that_is_read_on_sums_its_readings() -> None:
    first, more = figures(1, 4, rows=3, mapped=2, events=2), figures(2, rows=2, mapped=1)
    first.refused("bad_date", "le")
    more.refused("bad_date", "le")
    more.refused("contract", "a|b", "a rule")
    first.read(pa.table({"le": ["1", None, ""], "n": [1, None, 3]}), [""])
    more.read(pa.table({"le": ["NULL", "2"]}), ["NULL"])
    both = more.plus(first)
    assert (both.rows, both.mapped, both.events) == (5, 3, 2)
    assert both.set_aside == {"bad_date": 2, "contract": 1}
    assert both.filled == {"le": [2, 5], "n": [2, 3]}
    assert sum(both.delays) == 3
    said = SourceFigures("social", "social", (both,)).as_dict()["set_aside_where"]
    assert {"reason": "contract", "column": "a|b", "rule": "a rule", "rows": 1} in said


def test_the_report_sums_files_and_says_what_was_not_read() -> None:
    one, two = figures(1, rows=1500, events=1490), figures(2, rows=5, events=1)
    one.set_aside.update(Counter(bad_date=7, unknown_code=3))
    two.set_aside.update(Counter(bad_date=4))
    report = IngestReport(
        sources=[SourceFigures("social", "social", (one, two))],
        added=1491,
        read=2,
        skipped=0,
        failures=["health: reading 'x.jsonl'. Got nothing."],
        identity={"persons": 3},
        subjects=3,
        version=4,
        places={},
        seconds=1.25,
        when=datetime(2025, 3, 2, tzinfo=UTC),
    )
    said = report.as_dict()["sources"]["social"]
    assert (said["rows"], said["events"], said["rows_set_aside"]) == (1505, 1491, 14)
    assert said["set_aside"] == {"bad_date": 11, "unknown_code": 3}
    text = report.text()
    assert "1 505" in text
    assert "11  a date that fits none of the formats" in text
    assert "health: reading 'x.jsonl'" in text
