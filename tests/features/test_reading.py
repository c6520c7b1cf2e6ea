"""One file read while the last rows are written: what is counted, and what stops it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import DataError
from features.ingest import ingest
from features.quality import FileFigures
from features.territory import Territory
from features.timelines import Timelines

TERRITORY = """\
features:
  observation: {since: 2020-01-01, until: 2026-01-01}
  sources:
    social:
      service: social
      reader: parquet
      person: {system: social, columns: who}
      tables:
        - path: rows.parquet
          row_key: id
          events:
            - {code: HEALTH//CARE//STARTED, time: day, recorded_at: entered, numeric_value: n}
"""


@pytest.fixture
def territory(tmp_path: Path) -> Territory:
    # Each row twice, a contradiction of every tenth, in row groups that are batches of 50.
    rows = [
        {"id": f"r{n}", "who": f"D{n % 7}", "day": "2024-03-01", "entered": "2024-03-02", "n": k}
        for k in (0, 0)
        for n in range(300)
    ]
    rows += [row | {"n": 1} for row in rows[:300:10]]
    (tmp_path / "territory.yaml").write_text(TERRITORY)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    return Territory.open(tmp_path / "territory.yaml", home=tmp_path / "work", data=tmp_path)


def figures_of(territory: Territory) -> FileFigures:
    report = ingest(territory)
    assert report.failures == []
    (figures,) = report.sources[0].files
    return figures


@pytest.mark.parametrize(("rows", "most"), [(50, 60), (50, 50), (7, 500_000), (630, 1)])
def test_counts_are_the_same_however_it_is_cut(
    territory: Territory, monkeypatch: pytest.MonkeyPatch, rows: int, most: int
) -> None:
    monkeypatch.setattr("features.sources.parquet.ROWS", rows)
    monkeypatch.setattr("features.reading.COMMIT_ROWS", most)
    found = figures_of(territory)
    assert (found.rows, found.events, found.duplicates) == (630, 300, 300)
    assert dict(found.set_aside) == {"contradiction": 30}
    assert found.mapped == 600


def test_a_commit_that_fails_stops_the_file_which_is_read_again(
    territory: Territory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.sources.parquet.ROWS", 50)
    monkeypatch.setattr("features.reading.COMMIT_ROWS", 50)
    append, calls = Timelines.append, []

    def full(self: Timelines, *args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise DataError("writing", expected="room on the disk", got="none")
        return append(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Timelines, "append", full)
    with pytest.raises(DataError, match="room on the disk"):
        ingest(territory)
    assert len(calls) == 3
    assert not list((territory.home / "ledger").glob("*.json"))
    assert not list(territory.home.rglob("*.unfinished"))
    monkeypatch.undo()
    found = figures_of(territory)
    # What the commits before the failure held is known; the rest is new; nothing is lost.
    assert found.events + found.duplicates == 600
    assert 0 < found.events < 300
    assert Timelines.open(territory.home / "timelines").count() == 300
