"""The heartbeat: a feed that stops is named, one that keeps its own rhythm is not."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from features.events import EVENTS, WITHDRAWN
from features.heartbeat import Silence, feeds, heartbeat, weeks
from features.ingest import ingest
from features.settings import FeaturesSettings
from features.territory import Territory
from features.timelines import Timelines

START = date(2022, 1, 3)

rhythms = st.sampled_from(["daily", "workdays", "weekly", "monthly"])


def active(rhythm: str, days: int, holes: set[int]) -> list[date]:
    """Days with entries; of the days in `holes` nothing comes."""
    every = {"daily": 1, "workdays": 1, "weekly": 7, "monthly": 30}[rhythm]
    return [
        START + timedelta(n)
        for n in range(0, days, every)
        if n not in holes and (rhythm != "workdays" or (START + timedelta(n)).weekday() < 5)
    ]


@given(rhythms, st.integers(400, 1200), st.integers(10, 40), st.sets(st.integers(0, 1200)))
def test_a_feed_that_stops_for_weeks_is_named_with_its_last_day(
    rhythm: str, days: int, stopped_weeks: int, holes: set[int]
) -> None:
    days_active = active(rhythm, days, {hole for hole in holes if hole % 9 == 0})
    found = heartbeat(days_active, max(days_active) + timedelta(7 * stopped_weeks))
    assert (found.state, found.last) == ("silent", max(days_active))
    assert found.days == 7 * stopped_weeks


@given(rhythms, st.integers(400, 1200), st.integers(0, 20), st.data())
def test_a_feed_with_its_natural_gaps_is_not_named_on_any_day_of_them(
    rhythm: str, days: int, closure: int, data: st.DataObject
) -> None:
    closed = {365 * year + 200 + n for year in range(4) for n in range(closure)}
    days_active = active(rhythm, days, closed)
    gaps = [(b - a).days for a, b in itertools.pairwise(days_active)]
    natural = sorted(gaps)[-2]
    after = data.draw(st.integers(0, natural))
    assert heartbeat(days_active, max(days_active) + timedelta(after)).state == "alive"


@given(st.lists(st.integers(0, 300), min_size=1), st.integers(1, 60), st.integers(0, 400))
def test_a_declared_rhythm_is_taken_at_its_word(numbers: list[int], limit: int, at: int) -> None:
    days = [START + timedelta(n) for n in numbers]
    found = heartbeat(days, START + timedelta(at), limit)
    known = [n for n in numbers if n <= at]
    if not known:
        assert found.state == "never"
        return
    assert found.limit == limit
    assert (found.state == "silent") == (at - max(known) > limit)


def test_one_outage_is_remembered_and_does_not_stretch_the_rhythm() -> None:
    days = active("daily", 400, set(range(100, 160)))
    found = heartbeat(days, days[-1] + timedelta(10))
    assert found.state == "silent"
    assert found.past == (Silence(START + timedelta(99), START + timedelta(160)),)


def test_too_few_days_tell_nothing_unless_a_rhythm_is_declared() -> None:
    days = active("daily", 5, set())
    assert heartbeat(days, START + timedelta(300)).state == "unknown"
    assert heartbeat(days, START + timedelta(300), 30).state == "silent"


def test_weeks_begin_on_mondays_and_none_is_left_out() -> None:
    found = weeks({date(2025, 3, 2): 1, date(2025, 3, 17): 2})
    assert [day.isoformat() for day in found] == [
        "2025-02-24",
        "2025-03-03",
        "2025-03-10",
        "2025-03-17",
    ]
    assert list(found.values()) == [1, 0, 0, 2]
    assert weeks({}) == {}


def settings(until: str, **source: str) -> FeaturesSettings:
    table = {
        "path": "t.csv",
        "row_key": "id",
        "events": [{"code": "SOCIAL//DIAGNOSIS//DONE", "recorded_at": "day"}],
    }
    person = {"system": "p", "columns": "person"}
    one = {"service": "s", "reader": "csv", "person": person, "tables": [table]}
    return FeaturesSettings.model_validate(
        {
            "observation": {"since": "2020-01-01", "until": until},
            "sources": {"social": {**one, **source}, "health": one},
        }
    )


def test_feeds_are_counted_in_local_days_of_the_timelines(tmp_path: Path) -> None:
    timelines = Timelines.open(tmp_path / "timelines", create=True, buckets=3)
    first = datetime(2025, 1, 6, 23, 30)  # 00:30 of the next day in Paris
    rows = [
        {
            "subject_id": 1 + n * (1 << 58),
            "time": first,
            "code": WITHDRAWN if n == 3 else "SOCIAL//DIAGNOSIS//DONE",
            "recorded_at": first + timedelta(days=n),
            "source": "social",
            "event_id": f"{n:032x}",
        }
        for n in range(12)
    ]
    timelines.append(pa.Table.from_pylist(rows, schema=EVENTS), label="t")
    now = datetime(2025, 6, 1, tzinfo=UTC)
    found = feeds(timelines, settings("2026-01-01"), now)
    feed, entries = found["social"]
    assert feed.state == "silent"
    assert feed.last == date(2025, 1, 18)
    assert feed.days == (date(2025, 6, 1) - date(2025, 1, 18)).days
    assert sorted(entries) == [date(2025, 1, 7 + n) for n in range(12) if n != 3]
    assert found["health"][0].state == "never"
    # What is asked of a territory whose observation has ended is whether it sent up to its end.
    ended = feeds(timelines, settings("2025-01-19"), now)["social"][0]
    assert (ended.state, ended.days) == ("alive", 0)
    assert feeds(timelines, settings("2026-01-01", heartbeat="200d"), now)["social"][0].state == (
        "alive"
    )


def test_an_ingest_names_the_source_that_stopped(tmp_path: Path) -> None:
    days = [date(2025, 1, 1) + timedelta(n) for n in range(360)]
    for name, kept in (("social", days), ("health", days[:200])):
        lines = [f"{n},P{n % 7},{day},{day}" for n, day in enumerate(kept)]
        folder = tmp_path / "exports"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.csv").write_text("\n".join(["id,person,day,entered", *lines]) + "\n")
    source = """\
    {name}:
      service: {name}
      reader: csv
      person: {{system: {name}, columns: person}}
      tables:
        - path: {name}.csv
          row_key: id
          events: [{{code: SOCIAL//DIAGNOSIS//DONE, time: day, recorded_at: entered}}]
"""
    (tmp_path / "town.yaml").write_text(
        "features:\n  observation: {since: 2024-01-01, until: 2026-01-01}\n  sources:\n"
        + source.format(name="social")
        + source.format(name="health")
    )
    town = Territory.open(tmp_path / "town.yaml", home=tmp_path / "home", data=tmp_path / "exports")
    report = ingest(town)
    assert [one.name for one in report.silent] == ["health"]
    assert (
        "  health: nothing since 2025-07-19, 165 days; it used to every 1 day(s)" in report.text()
    )
    page = (town.home / "reports" / "sources.html").read_text(encoding="utf-8")
    said = "Aucune saisie depuis le 19 juillet 2025, soit 165 jours."
    assert said in page.replace("\u00a0", " ")
    # The export that is gone still counts: its events are there.
    (tmp_path / "exports" / "health.csv").unlink()
    again = ingest(town)
    assert [one.name for one in again.silent] == ["health"]
    [gone] = again.sources[1].files
    assert (gone.gone, gone.rows, gone.events) == (True, 200, 200)
