"""Readers by their names: Jalon's own, and one of another package, written as the page says."""

from __future__ import annotations

import gzip
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from features import sources
from features.errors import ConfigurationError, DataError
from features.ingest import ingest
from features.settings import ReaderOptions
from features.sources import READERS, open_reader, reader_names
from features.territory import Territory
from features.timelines import Timelines

ROOT = Path(__file__).parents[2]
CALENDAR = """\
BEGIN:VCALENDAR
BEGIN:VEVENT
UID:r1
DTSTART:20240331T143000
DTSTAMP:20240301T080000
STATUS:CONF
 IRMED
ATTENDEE;CN=x:D1
END:VEVENT
BEGIN:VEVENT
UID:r2
STATUS:\udce9
END:VEVENT
END:VCALENDAR
"""
TERRITORY = """\
features:
  observation: {since: 2020-01-01, until: 2026-01-01}
  sources:
    social:
      service: social
      reader: ics
      formats: ["%Y%m%dT%H%M%S"]
      person: {system: social, columns: ATTENDEE}
      tables:
        - path: "*.ics.gz"
          row_key: UID
          events:
            - code: "CONTACT//APPOINTMENT//{STATUS}"
              values: {STATUS: {CONFIRMED: SEEN}}
              time: DTSTART
              recorded_at: DTSTAMP
"""


def blocks(language: str) -> list[str]:
    page = (ROOT / "docs" / "readers.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of the page, as an installation leaves it."""
    (declared,) = blocks("toml")
    project = tomllib.loads(declared)["project"]
    (code,) = blocks("python")
    site = tmp_path / "site"
    info = site / "jalon_ics-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "jalon_ics.py").write_text(code)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: jalon-ics\nVersion: 1.0\n")
    (group,) = project["entry-points"].values()
    lines = "\n".join(f"{name} = {value}" for name, value in group.items())
    (info / "entry_points.txt").write_text(f"[{sources.GROUP}]\n{lines}\n")
    monkeypatch.syspath_prepend(site)
    sources._declared.cache_clear()
    yield site
    sources._declared.cache_clear()
    sys.modules.pop("jalon_ics", None)


def test_the_reader_of_the_page_is_found_and_short(installed: Path, tmp_path: Path) -> None:
    assert len(blocks("python")[0].splitlines()) < 100
    assert "ics" in reader_names()
    data = tmp_path / "data"
    data.mkdir()
    content = CALENDAR.encode("utf-8", "surrogateescape")
    (data / "x.ics.gz").write_bytes(gzip.compress(content))
    (tmp_path / "territory.yaml").write_text(TERRITORY)
    territory = Territory.open(tmp_path / "territory.yaml", home=tmp_path / "work", data=data)
    report = ingest(territory)
    assert report.failures == []
    (figures,) = report.sources[0].files
    assert (figures.rows, figures.events) == (2, 1)
    assert dict(figures.set_aside) == {"bad_encoding": 1}
    (event,) = Timelines.open(territory.home / "timelines").read().to_pylist()
    assert (event["code"], event["time"].hour) == ("CONTACT//APPOINTMENT//SEEN", 12)
    (data / "y.ics.gz").write_bytes(gzip.compress(b"id;day\n"))
    assert "Expected an iCalendar file" in ingest(territory).failures[0]


def test_a_name_that_is_not_known_is_said_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "territory.yaml").write_text(TERRITORY.replace("reader: ics", "reader: cvs"))
    territory = Territory.open(tmp_path / "territory.yaml", home=tmp_path / "work", data=tmp_path)
    with pytest.raises(ConfigurationError, match=r"no reader is called 'cvs' \(known: .*csv"):
        ingest(territory)
    with pytest.raises(ConfigurationError, match="Did you mean 'csv'"):
        open_reader("cvs", tmp_path / "x.csv", ReaderOptions())


def test_a_package_cannot_take_a_name_of_ours(installed: Path, tmp_path: Path) -> None:
    entries = installed / "jalon_ics-1.0.dist-info" / "entry_points.txt"
    entries.write_text(f"[{sources.GROUP}]\ncsv = jalon_ics:CalendarReader\n")
    sources._declared.cache_clear()
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert open_reader("csv", tmp_path / "x.csv", ReaderOptions()).names == ("a", "b")


@pytest.mark.parametrize("target", ["jalon_gone:Reader", "jalon_ics:Gone"])
def test_a_reader_that_cannot_be_loaded_is_said(
    installed: Path, tmp_path: Path, target: str
) -> None:
    entries = installed / "jalon_ics-1.0.dist-info" / "entry_points.txt"
    entries.write_text(f"[{sources.GROUP}]\nics = {target}\n")
    sources._declared.cache_clear()
    (tmp_path / "x.ics").write_text("BEGIN:VCALENDAR")
    with pytest.raises(ConfigurationError, match="Install that package again"):
        open_reader("ics", tmp_path / "x.ics", ReaderOptions())


def test_two_packages_with_one_name_are_refused(installed: Path, tmp_path: Path) -> None:
    other = installed / "other_ics-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other-ics\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text(f"[{sources.GROUP}]\nics = other:Reader\n")
    sources._declared.cache_clear()
    (tmp_path / "x.ics").write_text("BEGIN:VCALENDAR")
    with pytest.raises(ConfigurationError, match="2 packages that offer it"):
        open_reader("ics", tmp_path / "x.ics", ReaderOptions())


def test_our_own_are_declared_as_others_are() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ours = declared["project"]["entry-points"][sources.GROUP]
    assert ours == READERS
    for entry in entry_points(group=sources.GROUP):
        assert entry.load() is not None


def test_a_reader_s_own_error_is_not_hidden(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "x.ics").write_text("other")
    with pytest.raises(DataError, match="an iCalendar file"):
        open_reader("ics", tmp_path / "x.ics", ReaderOptions())
