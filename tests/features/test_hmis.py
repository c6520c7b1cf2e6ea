"""HUD HMIS: every row accounted for, events known when they were, and nothing sensitive."""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Sequence
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.accounts import accounts, accounts_text
from features.errors import DataError
from features.ingest import ingest
from features.quality import IngestReport
from features.settings import ReaderOptions
from features.sources import SourceFile, open_reader
from features.territory import Territory
from features.timelines import Timelines

ROOT = Path(__file__).parents[2]
STAMPS = ["DateCreated", "DateUpdated", "UserID", "DateDeleted", "ExportID"]
HEADERS = {
    "Export": ["ExportID", "SourceType", "ExportDate", "CSVVersion"],
    "Project": ["ProjectID", "ProjectName", "ProjectType", *STAMPS],
    "Client": ["PersonalID", "FirstName", "LastName", "SSN", "DOB", "VeteranStatus", *STAMPS],
    "Enrollment": [
        *("EnrollmentID", "PersonalID", "ProjectID", "EntryDate", "LivingSituation"),
        *("DisablingCondition", "DateOfEngagement", "MoveInDate", *STAMPS),
    ],
    "Exit": [
        *("ExitID", "EnrollmentID", "PersonalID", "ExitDate", "Destination"),
        *("ProjectCompletionStatus", *STAMPS),
    ],
    "Services": [
        *("ServicesID", "EnrollmentID", "PersonalID", "DateProvided", "RecordType"),
        *("TypeProvided", "FAAmount", "ReferralOutcome", *STAMPS),
    ],
    "CurrentLivingSituation": [
        *("CurrentLivingSitID", "EnrollmentID", "PersonalID", "InformationDate"),
        *("CurrentLivingSituation", *STAMPS),
    ],
    "Event": [
        *("EventID", "EnrollmentID", "PersonalID", "EventDate", "Event", "ReferralResult"),
        *("ResultDate", *STAMPS),
    ],
    "IncomeBenefits": [
        *("IncomeBenefitsID", "EnrollmentID", "PersonalID", "InformationDate"),
        *("IncomeFromAnySource", "TotalMonthlyIncome", "BenefitsFromAnySource"),
        *("InsuranceFromAnySource", "DataCollectionStage", *STAMPS),
    ],
    "Disabilities": [
        *("DisabilitiesID", "EnrollmentID", "PersonalID", "InformationDate", "DisabilityType"),
        *("DisabilityResponse", "IndefiniteAndImpairs", "DataCollectionStage", *STAMPS),
    ],
    "HealthAndDV": [
        *("HealthAndDVID", "EnrollmentID", "PersonalID", "InformationDate"),
        *("DomesticViolenceSurvivor", "GeneralHealthStatus", "DataCollectionStage", *STAMPS),
    ],
    "EmploymentEducation": [
        *("EmploymentEducationID", "EnrollmentID", "PersonalID", "InformationDate"),
        *("SchoolStatus", "Employed", "NotEmployedReason", "DataCollectionStage", *STAMPS),
    ],
    "YouthEducationStatus": [
        *("YouthEducationStatusID", "EnrollmentID", "PersonalID", "InformationDate"),
        *("CurrentSchoolAttend", "DataCollectionStage", *STAMPS),
    ],
}
ATTRIBUTES = {
    "2022 v1.3": ["Female", "Male", "NoSingleGender", "Ethnicity"],
    "2024 v1.5": ["Woman", "Man", "NonBinary", "HispanicLatinao"],
    "2026 v1.0": ["Sex", "HispanicLatinaeo"],
}
"""Of Client.csv, by version: some of what no event may come from."""
ENTERED = {"DateCreated": "2024-02-01 09:30:00", "DateUpdated": "2024-02-01 09:30:00"}
BASE = {"PersonalID": "P1", "EnrollmentID": "E1", **ENTERED}
Row = dict[str, str]


def export(version: str, rows: dict[str, list[Row]], leave: Sequence[str] = ()) -> dict[str, str]:
    """The files of an export, by name; tables without rows have their header."""
    given: dict[str, list[Row]] = {
        "Export": [{"ExportID": "X", "CSVVersion": version}],
        "Project": [
            {"ProjectID": "10", "ProjectType": "1"},
            {"ProjectID": "13", "ProjectType": "13"},
        ],
        "Client": [{"PersonalID": "P1", "VeteranStatus": "0", **ENTERED}],
        **rows,
    }
    files = {}
    for name, common in HEADERS.items():
        header = [*common, *(ATTRIBUTES.get(version, []) if name == "Client" else [])]
        if name not in leave:
            text = StringIO()
            writer = csv.DictWriter(text, header, restval="", quoting=csv.QUOTE_MINIMAL)
            writer.writeheader()
            writer.writerows(given.get(name, []))
            files[f"{name}.csv"] = text.getvalue()
    return files


def run(
    folder: Path, files: dict[str, str] | None, *, archive: str | None = None, more: str = ""
) -> tuple[IngestReport, list[dict[str, Any]]]:
    """An ingest of some files, as a folder or an archive: the report, and the events."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    if archive is None:
        for name, text in (files or {}).items():
            (data / name).write_text(text, "utf-8")
    else:
        with zipfile.ZipFile(data / archive, "w") as made:
            for name, text in (files or {}).items():
                made.writestr(f"sub/{name}", text)
        more += '\n      folder: "*.zip/**"'
    file = folder / "territory.yaml"
    file.write_text(
        "features:\n  timezone: America/New_York\n"
        "  observation: {since: 2020-01-01, until: 2026-01-01}\n  buckets: 2\n"
        f"  sources:\n    hmis:\n      preset: hmis{more}\n",
        "utf-8",
    )
    report = ingest(Territory.open(file, home=folder / "home", data=data))
    table = Timelines.open(folder / "home" / "timelines").read()
    assert isinstance(table, pa.Table)
    return report, table.to_pylist()


def said(events: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return sorted((one["code"], local(one["time"])) for one in events)


def local(time: datetime | None, form: str = "%Y-%m-%d") -> str | None:
    if time is None:
        return None
    zone = ZoneInfo("America/New_York")
    return time.replace(tzinfo=ZoneInfo("UTC")).astimezone(zone).strftime(form)


def known(events: list[dict[str, Any]], code: str) -> str | None:
    [found] = [one for one in events if one["code"] == code]
    return local(found["recorded_at"], "%Y-%m-%d %H:%M")


def test_the_sample_export_is_accounted_for_table_by_table(tmp_path: Path) -> None:
    given = os.environ.get("JALON_DATA")
    bases = ([Path(given)] if given else []) + [ROOT.parent / "shared" / "data"]
    found = [base for base in bases if (base / "hmis" / "greenriver_fy2019.zip").is_file()]
    if not found:
        pytest.skip("HMIS sample export not found: set JALON_DATA to the folder that holds hmis/")
    territory = Territory.open(ROOT / "territories" / "hmis", home=tmp_path, data=found[0] / "hmis")
    report = ingest(territory)
    by_table = {one.table.removeprefix("hmis: "): one for one in accounts(report)}
    assert all(one.balanced for one in by_table.values())
    assert {table: one.rows for table, one in by_table.items()} == {
        "client": 4034,
        "enrollment": 6390,
        "exit": 5965,
        "services": 6023,
        "current_living_situation": 0,
        "event": 0,
        "income_benefits": 15949,
        "disabilities": 74172,
        "health": 12362,
        "employment_education": 12334,
    }
    assert report.subjects == 4034
    assert by_table["enrollment"].mapped == 6389
    assert by_table["exit"].mapped == 5965
    assert sum(one.aside for one in by_table.values()) == 66
    assert "total" in accounts_text(report)
    # It was introduced three years later; that it is not there is said.
    left = [one for one in (*report.failures, *report.notes) if "YouthEducation" in one]
    assert len(left) == 1
    assert len(report.failures) + len(report.notes) == 1
    mapping = (ROOT / "territories" / "hmis" / "territory.yaml").read_text("utf-8")
    features = mapping.partition("features:")[2].partition("training:")[0]
    assert len(features.strip().splitlines()) < 20


def test_a_row_recorded_at_exit_is_known_only_then(tmp_path: Path) -> None:
    # The date of creation was copied from the enrolment, two years before.
    early = {**BASE, "DateCreated": "2022-01-05 00:00:00", "DateUpdated": "2022-01-05 00:00:00"}
    late = {**early, "InformationDate": "2024-03-10", "DataCollectionStage": "3"}
    report, events = run(
        tmp_path,
        export(
            "2024 v1.5",
            {
                "Enrollment": [
                    {
                        **early,
                        "ProjectID": "10",
                        "EntryDate": "2022-01-05",
                        "LivingSituation": "116",
                    }
                ],
                "IncomeBenefits": [{**late, "IncomeBenefitsID": "I1", "IncomeFromAnySource": "0"}],
                "Exit": [{**early, "ExitID": "X1", "ExitDate": "2024-03-10", "Destination": "410"}],
            },
        ),
    )
    assert not report.failures
    assert known(events, "HOUSING//PROGRAMME//SHELTER") == "2022-01-05 23:59"
    assert known(events, "RIGHTS//RESOURCES//NONE") == "2024-03-10 23:59"
    assert known(events, "EXIT//PATHWAY//HOUSED") == "2024-03-10 23:59"
    files = report.sources[0].files
    assert {one.taken["hmis"] for one in files} == {"2024 v1.5"}


def test_what_is_filled_in_later_is_known_from_the_last_change(tmp_path: Path) -> None:
    changed = {**BASE, "DateUpdated": "2024-06-02 14:00:00"}
    _, events = run(
        tmp_path,
        export(
            "2024 v1.5",
            {
                "Enrollment": [
                    {
                        **changed,
                        "ProjectID": "13",
                        "EntryDate": "2024-02-01",
                        "DateOfEngagement": "2024-02-15",
                        "MoveInDate": "2024-05-20",
                        "DisablingCondition": "1",
                        "LivingSituation": "116",
                    }
                ],
                "Event": [
                    {
                        **changed,
                        "EventID": "R1",
                        "EventDate": "2024-02-03",
                        "Event": "10",
                        "ReferralResult": "1",
                        "ResultDate": "2024-07-01",
                    }
                ],
            },
        ),
    )
    assert known(events, "HOUSING//PROGRAMME//REHOUSING") == "2024-02-01 09:30"
    assert known(events, "HEALTH//BARRIER//RAISED") == "2024-06-02 14:00"
    assert known(events, "HOUSING//SITUATION//STREET") == "2024-06-02 14:00"
    assert known(events, "SOCIAL//DIAGNOSIS//DONE") == "2024-06-02 14:00"
    assert known(events, "HOUSING//REHOUSING//DONE") == "2024-06-02 14:00"
    # Entered on 1 February for a date that was still to come.
    assert known(events, "ORIENTATION//REFERRAL//OPEN") == "2024-02-03 23:59"
    assert known(events, "ORIENTATION//REFERRAL//ACCEPTED") == "2024-07-01 23:59"
    references = {one["code"]: one["reference"] for one in events}
    assert references["ORIENTATION//REFERRAL//OPEN"] == "R1"
    assert references["ORIENTATION//REFERRAL//ACCEPTED"] == "R1"


EXIT = {
    **BASE,
    "ExitID": "X1",
    "ExitDate": "2024-03-01",
    "Destination": "99",
    "DateCreated": "2024-03-02 08:00:00",
    "DateUpdated": "2024-03-02 08:00:00",
}
MENDED = {**EXIT, "Destination": "206", "DateUpdated": "2024-04-09 08:00:00"}


def exit_known(home: Path, subject: int, day: int) -> list[str]:
    timelines = Timelines.open(home / "timelines")
    known = timelines.person(subject, as_known=datetime(2024, 4, day))
    return [str(code) for code in known["code"].to_pylist() if str(code).startswith("EXIT")]


def test_corrections_in_later_exports_become_versions(tmp_path: Path) -> None:
    run(tmp_path, export("2024 v1.5", {"Exit": [EXIT]}), archive="a.zip")
    report, events = run(
        tmp_path,
        export("2024 v1.5", {"Exit": [MENDED]}),
        archive="b.zip",
        more="\n      reader: hmis_updated",
    )
    assert not report.failures
    assert report.sources[0].counter("set_aside") == {}
    subject = events[0]["subject_id"]
    assert exit_known(tmp_path / "home", subject, 8) == ["EXIT//PATHWAY//UNKNOWN"]
    assert exit_known(tmp_path / "home", subject, 10) == ["EXIT//PATHWAY//INSTITUTION"]


def test_a_correction_with_the_same_entry_date_is_set_aside(tmp_path: Path) -> None:
    run(tmp_path, export("2024 v1.5", {"Exit": [EXIT]}), archive="a.zip")
    report, events = run(tmp_path, export("2024 v1.5", {"Exit": [MENDED]}), archive="b.zip")
    assert report.sources[0].counter("set_aside") == {"contradiction": 1}
    assert exit_known(tmp_path / "home", events[0]["subject_id"], 10) == ["EXIT//PATHWAY//UNKNOWN"]


OLD, NEW = ("until FY2021", "2026 v1.0")


@pytest.mark.parametrize(
    ("version", "situation", "destination"),
    [
        (OLD, "16", "22"),
        ("2022 v1.3", "16", "22"),
        ("2024 v1.5", "116", "422"),
        (NEW, "116", "422"),
    ],
)
@pytest.mark.parametrize("archive", [None, "hmis.zip"])
def test_versions_of_the_lists_give_the_same_events(
    tmp_path: Path, version: str, situation: str, destination: str, archive: str | None
) -> None:
    rows: dict[str, list[Row]] = {
        "Enrollment": [
            {**BASE, "ProjectID": "10", "EntryDate": "2024-01-31", "LivingSituation": situation}
        ],
        "Exit": [{**BASE, "ExitID": "X", "ExitDate": "2024-02-01", "Destination": destination}],
        "CurrentLivingSituation": [
            {
                **BASE,
                "CurrentLivingSitID": "C",
                "InformationDate": "2024-01-31",
                "CurrentLivingSituation": situation,
            }
        ],
    }
    report, events = run(tmp_path, export(version, rows), archive=archive)
    assert not report.failures
    assert said(events) == [
        ("CONTACT//OUTREACH//SEEN", "2024-01-31"),
        ("EXIT//PATHWAY//HOUSED", "2024-02-01"),
        ("HOUSING//PROGRAMME//SHELTER", "2024-01-31"),
        ("HOUSING//SITUATION//HOSTED", "2024-02-01"),
        ("HOUSING//SITUATION//STREET", "2024-01-31"),
        ("HOUSING//SITUATION//STREET", "2024-01-31"),
    ]
    assert all(one.balanced for one in accounts(report))


@pytest.mark.parametrize(
    ("destination", "code"),
    [
        ("30", "DROPPED_OUT"),
        ("24", "DEATH"),
        ("116", "NO_SOLUTION"),
        ("302", "TEMPORARY"),
        ("99", "UNKNOWN"),
        ("", "UNKNOWN"),
        ("204", "INSTITUTION"),
        ("7", "INSTITUTION"),
    ],
)
def test_an_exit_says_where_to(tmp_path: Path, destination: str, code: str) -> None:
    row = {**BASE, "ExitID": "X", "ExitDate": "2024-02-01", "Destination": destination}
    _, events = run(tmp_path, export("2024 v1.5", {"Exit": [row]}))
    assert [one["code"] for one in events if one["code"].startswith("EXIT")] == [
        f"EXIT//PATHWAY//{code}"
    ]


def test_services_are_told_by_their_type(tmp_path: Path) -> None:
    kinds = [
        ("200", "200", "", "HOUSING//NIGHT//SHELTERED"),
        ("12", "1", "", "CONTACT//OUTREACH//SEEN"),
        ("144", "2", "", "SOCIAL//SERVICE//PROVIDED"),
        ("152", "1", "812.50", "SOCIAL//FINANCIAL_AID//PAID"),
        ("210", "5", "", "HOUSING//REHOUSING//DONE"),
        ("210", "2", "", None),
        ("161", "1", "", "ORIENTATION//REFERRAL//OPEN"),
    ]
    rows = [
        {
            **BASE,
            "ServicesID": f"S{number}",
            "DateProvided": "2024-01-30",
            "RecordType": kind,
            "TypeProvided": sort,
            "FAAmount": amount,
            "ReferralOutcome": "2" if kind == "161" else "",
        }
        for number, (kind, sort, amount, _) in enumerate(kinds)
    ]
    rows.append({**rows[0], "ServicesID": "S9", "RecordType": "977"})
    report, events = run(tmp_path, export("2024 v1.5", {"Services": rows}))
    wanted = [code for *_, code in kinds if code] + ["ORIENTATION//REFERRAL//REFUSED"]
    assert sorted(one["code"] for one in events) == sorted(wanted)
    assert [one["numeric_value"] for one in events if "AID" in one["code"]] == [812.5]
    [services] = [one for one in accounts(report) if one.table == "hmis: services"]
    assert (services.rows, services.mapped, services.without_event, services.aside) == (8, 6, 1, 1)


def test_a_code_of_no_list_sets_its_row_aside(tmp_path: Path) -> None:
    rows: dict[str, list[Row]] = {
        "Enrollment": [
            {**BASE, "ProjectID": "10", "EntryDate": "2024-01-31", "LivingSituation": "777"}
        ],
        "Exit": [{**BASE, "ExitID": "X", "ExitDate": "2024-02-01", "Destination": "777"}],
    }
    report, events = run(tmp_path, export("2026 v1.0", rows))
    assert events == []
    assert report.sources[0].counter("set_aside") == {"contract": 1, "unknown_code": 1}


@pytest.mark.parametrize("version", ATTRIBUTES)
def test_no_diagnosis_and_no_identity_is_in_an_event(tmp_path: Path, version: str) -> None:
    stage = {"InformationDate": "2024-01-31", "DataCollectionStage": "1"}
    rows: dict[str, list[Row]] = {
        "Client": [
            {
                "PersonalID": "P1",
                "FirstName": "Zebulon",
                "LastName": "Quatermain",
                "SSN": "000100343",
                "DOB": "1971-11-14",
                "VeteranStatus": "1",
                **dict.fromkeys(ATTRIBUTES[version], "1"),
                **ENTERED,
            }
        ],
        "Enrollment": [
            {**BASE, "ProjectID": "10", "EntryDate": "2024-01-31", "LivingSituation": "204"}
        ],
        "Disabilities": [
            {
                **BASE,
                **stage,
                "DisabilitiesID": f"D{kind}",
                "DisabilityType": kind,
                "DisabilityResponse": "1",
                "IndefiniteAndImpairs": "1",
            }
            for kind in ("5", "8", "9")
        ],
        "HealthAndDV": [
            {
                **BASE,
                **stage,
                "HealthAndDVID": "H1",
                "DomesticViolenceSurvivor": "1",
                "GeneralHealthStatus": "5",
            }
        ],
    }
    report, events = run(tmp_path, export(version, rows))
    assert not report.failures
    health = [one for one in events if one["code"].startswith(("HEALTH", "NEED"))]
    assert [one["code"] for one in sorted(health, key=lambda one: one["code"])] == [
        "HEALTH//BARRIER//OPEN",
        "HEALTH//BARRIER//OPEN",
        "NEED//HEALTH//RAISED",
    ]
    assert {one["source_code"] for one in health} == {None}
    institution = [one for one in events if one["code"].endswith("INSTITUTION")]
    assert [one["source_code"] for one in institution] == ["institution"]
    hidden = {"DomesticViolenceSurvivor", "SSN", "FirstName", "DOB", *ATTRIBUTES[version]}
    assert not hidden & {column for file in report.sources[0].files for column in file.filled}
    for file in (tmp_path / "home").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [w for w in (b"Zebulon", b"Quatermain", b"000100343") if w in content], file


def test_a_deleted_row_makes_no_event(tmp_path: Path) -> None:
    row = {**BASE, "ExitID": "X", "ExitDate": "2024-02-01", "Destination": "410"}
    deleted = {**row, "ExitID": "Y", "DateDeleted": "2024-02-03 10:00:00"}
    report, events = run(tmp_path, export("2024 v1.5", {"Exit": [row, deleted]}))
    assert len([one for one in events if one["code"].startswith("EXIT")]) == 1
    [exits] = [one for one in accounts(report) if one.table == "hmis: exit"]
    assert (exits.rows, exits.mapped, exits.without_event) == (2, 1, 1)


def read(text: str, columns: list[str], kind: str = "hmis") -> list[dict[str, Any]]:
    file = SourceFile.in_memory("Exit.csv", text.encode())
    reader = open_reader(kind, file, ReaderOptions())
    return [row for batch in reader.batches(columns) for row in batch.table.to_pylist()]


MORNING, NOON = "2024-02-01 09:30:00", "2024-02-01 12:00:00"


@pytest.mark.parametrize(
    ("created", "updated", "day", "entered", "changed"),
    [
        (MORNING, "2024-03-01 08:00:00", "2024-01-31", MORNING, "2024-03-01 08:00:00"),
        (MORNING, MORNING, "2024-02-05", "2024-02-05", "2024-02-05"),
        ("2024-02-01 00:00:00", NOON, "2024-02-01", "2024-02-01", "2024-02-01"),
        ("2024-02-01T00:00:00", "2024-02-01T00:00", "2024-01-01", "2024-02-01", "2024-02-01"),
        (NOON, MORNING, "2024-02-01", NOON, NOON),
        ("", NOON, "2024-01-01", NOON, NOON),
        (MORNING, "", "2024-01-01", MORNING, MORNING),
        ("1/2/2024", NOON, "2024-03-01", "1/2/2024", "2024-03-01"),
        (MORNING, MORNING, "", MORNING, MORNING),
        (MORNING, MORNING, "3/1/2024", MORNING, MORNING),
    ],
)
def test_when_a_row_was_known(
    created: str, updated: str, day: str, entered: str, changed: str
) -> None:
    text = f"ExitID,ExitDate,DateCreated,DateUpdated\n1,{day},{created},{updated}\n"
    columns = ["known(ExitDate)", "changed(ExitDate)"]
    assert read(text, columns) == [dict(zip(columns, (entered, changed), strict=True))]
    assert read(text, columns, "hmis_updated") == [dict.fromkeys(columns, changed)]


MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2025, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, minute=0, hour=moment.hour % 3)
)


@given(MOMENTS, MOMENTS, st.dates(date(2015, 1, 1), date(2025, 1, 1)))
@settings(max_examples=60, deadline=None)
def test_nothing_is_known_before_it_was_entered_nor_before_its_day(
    created: datetime, updated: datetime, day: date
) -> None:
    text = f"ExitID,ExitDate,DateCreated,DateUpdated\n1,{day},{created},{updated}\n"
    columns = ["known(ExitDate)", "changed(ExitDate)"]
    [row] = read(text, columns)
    known_at, changed_at = (_end(row[column]) for column in columns)
    assert known_at >= created
    assert known_at.date() >= day
    assert changed_at >= max(known_at, updated)
    assert changed_at.date() == max(created.date(), updated.date(), day)
    assert known_at.date() == max(created.date(), day)


def _end(said: str) -> datetime:
    return datetime.fromisoformat(said if len(said) > 10 else f"{said} 23:59:59")


def test_a_row_without_any_stamp_is_not_known() -> None:
    text = "ExitID,ExitDate,DateCreated,DateUpdated\n1,2024-01-01,,\n"
    assert read(text, ["known(ExitDate)"]) == [{"known(ExitDate)": None}]


def test_a_file_without_stamps_is_refused_by_name(tmp_path: Path) -> None:
    files = export("2024 v1.5", {})
    files["Exit.csv"] = "ExitID,EnrollmentID,PersonalID,ExitDate,Destination,DateDeleted\n"
    report, _ = run(
        tmp_path,
        {**files, "Client.csv": files["Client.csv"].replace("P1,,,,,0", "P1,,,,,1")},
    )
    [failure] = report.failures
    assert "known(ExitDate)" in failure


def test_what_came_with_a_later_version_may_be_absent(tmp_path: Path) -> None:
    leave = ["CurrentLivingSituation", "Event", "YouthEducationStatus"]
    rows: dict[str, list[Row]] = {"Exit": [EXIT]}
    report, events = run(tmp_path, export("", rows, leave))
    assert [one["code"] for one in events] == ["EXIT//PATHWAY//UNKNOWN"]
    told = [*report.failures, *report.notes]
    assert len(told) == 3
    assert all(any(f"{name}.csv" in one for one in told) for name in leave)
    assert {one.taken["hmis"] for one in report.sources[0].files} == {"until FY2021"}


def test_a_project_of_no_known_type_is_another_programme(tmp_path: Path) -> None:
    rows: dict[str, list[Row]] = {
        "Enrollment": [{**BASE, "ProjectID": "404", "EntryDate": "2024-01-31"}],
    }
    _, events = run(tmp_path, export("2024 v1.5", rows), archive="hmis.zip")
    assert [one["code"] for one in events] == ["HOUSING//PROGRAMME//OTHER"]


def test_a_damaged_list_of_projects_stops_the_enrolments_alone(tmp_path: Path) -> None:
    files = export(
        "2024 v1.5",
        {
            "Enrollment": [{**BASE, "ProjectID": "10", "EntryDate": "2024-01-31"}],
            "Exit": [{**BASE, "ExitID": "X", "ExitDate": "2024-02-01", "Destination": "410"}],
        },
    )
    report, events = run(tmp_path, {**files, "Project.csv": "\n\n"})
    [failure] = report.failures
    assert "Project.csv" in failure
    assert ("EXIT//PATHWAY//HOUSED", "2024-02-01") in said(events)


def test_a_reader_says_what_is_wrong_with_its_own_file() -> None:
    with pytest.raises(DataError, match="blank line"):
        read("\n\n", ["ExitID"])
