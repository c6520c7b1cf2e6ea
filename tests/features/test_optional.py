"""Optional tables and rules: what is not there is no failure, and is said."""

from __future__ import annotations

from pathlib import Path

from features.ingest import ingest
from features.quality import IngestReport
from features.territory import Territory
from features.timelines import Timelines

TERRITORY = """\
features:
  observation: {since: 2020-01-01, until: 2026-01-01}
  buckets: 1
  sources:
    social:
      service: social
      reader: csv
      person: {system: social, columns: file}
      tables:
        - path: exits.csv
          row_key: id
          events:
            - {code: EXIT//PATHWAY//JOB, time: day, recorded_at: day}
            - code: SOCIAL//ACTION//DONE
              optional: true
              where: {completed: ["1"]}
              time: day
              recorded_at: day
        - path: visits.csv
          optional: true
          row_key: id
          events: [{code: SOCIAL//DIAGNOSIS//DONE, time: day, recorded_at: day}]
"""
EXITS = "id,file,day,completed\n1,p,2024-03-01,1\n"


def run(folder: Path, **files: str) -> tuple[IngestReport, list[str]]:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    for name, text in files.items():
        (data / f"{name}.csv").write_text(text, "utf-8")
    (folder / "territory.yaml").write_text(TERRITORY, "utf-8")
    report = ingest(Territory.open(folder / "territory.yaml", home=folder / "home", data=data))
    events = Timelines.open(folder / "home" / "timelines").read()
    return report, sorted(str(code) for code in events["code"].to_pylist())


def test_what_is_there_is_read(tmp_path: Path) -> None:
    report, codes = run(tmp_path, exits=EXITS, visits="id,file,day\n1,p,2024-03-01\n")
    assert codes == ["EXIT//PATHWAY//JOB", "SOCIAL//ACTION//DONE", "SOCIAL//DIAGNOSIS//DONE"]
    assert (report.failures, report.notes) == ([], [])


def test_a_column_and_a_table_that_are_not_there_are_said(tmp_path: Path) -> None:
    report, codes = run(tmp_path, exits="id,file,day\n1,p,2024-03-01\n")
    assert codes == ["EXIT//PATHWAY//JOB"]
    assert report.failures == []
    assert report.notes == [
        "social: no file 'visits.csv' (optional)",
        "social, exits.csv: no column 'completed': no SOCIAL//ACTION//DONE (optional)",
    ]
    assert all(note in report.text() for note in report.notes)
    again, _ = run(tmp_path)
    assert (again.skipped, again.notes) == (1, report.notes)


def test_the_column_comes_later_and_the_ids_stay(tmp_path: Path) -> None:
    run(tmp_path, exits="id,file,day\n1,p,2024-03-01\n")
    report, codes = run(tmp_path, exits=EXITS)
    assert codes == ["EXIT//PATHWAY//JOB", "SOCIAL//ACTION//DONE"]
    [figures] = report.sources[0].files
    assert (figures.events, figures.duplicates) == (1, 1)
    assert report.notes == ["social: no file 'visits.csv' (optional)"]


def test_an_optional_file_that_is_damaged_is_a_failure(tmp_path: Path) -> None:
    report, _ = run(tmp_path, exits=EXITS, visits="")
    [failure] = report.failures
    assert "visits.csv" in failure
