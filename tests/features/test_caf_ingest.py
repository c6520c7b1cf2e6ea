"""The preset of the CAF flow through an ingest: late, corrected, repeated and refused months."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.identity import Vault
from features.ingest import ingest
from features.mapping import check_mapping
from features.presets import preset_names
from features.quality import IngestReport
from features.settings import FeaturesSettings
from features.territory import Territory
from features.timelines import Timelines
from features.vocabulary import Vocabulary
from tests.features.caf_flow import Household, Person, flow

TERRITORY = """\
features:
  observation: {since: 2023-01-01, until: 2025-01-01}
  sources:
    caf: {preset: caf, service: social, folder: flux}
"""
MONTHS = {"01": "2024-01-31", "02": "2024-02-29", "03": "2024-03-31"}
WORK = (("SAL", "2023-11-01", "2024-01-19"), ("CHO", "2024-01-20", ""))
OPEN = Household(
    "2055990", persons=(Person(1, activities=WORK), Person(2, "CJT"), Person(3, "ENF", None))
)
SUSPENDED = replace(OPEN, state="4", motive="06", since="2024-02-01")
CLOSED = replace(OPEN, state="5", motive="RAU", since="2024-03-31")


@pytest.fixture
def territory(tmp_path: Path) -> Territory:
    file = tmp_path / "territory.yaml"
    file.write_text(TERRITORY, encoding="utf-8")
    (tmp_path / "exports" / "flux").mkdir(parents=True)
    return Territory.open(file, home=tmp_path / "home", data=tmp_path / "exports")


def write(territory: Territory, month: str, *households: Household, made: str = "") -> None:
    day = MONTHS[month]
    content = flow(households, day, made or day[:8] + "28")
    (territory.data / "flux" / f"RSABEM{month}.xml").write_bytes(content)


def rights(territory: Territory, person: Person) -> list[tuple[Any, ...]]:
    vault = Vault.open(territory.home / "identity")
    subject = int(vault.resolve("nir", [person.whole])[0])
    vault.close()
    versions = Timelines.open(territory.home / "timelines").person(subject).to_pylist()
    # Of each event what is known last.
    versions.sort(key=lambda row: row["recorded_at"])
    rows = {row["event_id"]: row for row in versions}.values()
    return [
        (row["code"].split("//", 1)[1], f"{row['time']:%m-%d}", row["text_value"])
        for row in sorted(rows, key=lambda row: (row["time"], row["code"]))
    ]


def test_a_preset_of_each_is_known() -> None:
    assert {"caf", "eventlog"} <= set(preset_names())


def test_three_months_become_the_events_of_the_two_adults(territory: Territory) -> None:
    for month, state in (("01", OPEN), ("02", SUSPENDED), ("03", CLOSED)):
        write(territory, month, state)
    report = ingest(territory)
    assert report.failures == []
    assert rights(territory, Person(1)) == [
        ("JOB//STARTED", "10-31", None),
        ("JOB//ENDED", "01-18", None),
        ("RSA//OPEN", "01-30", None),
        ("RSA//PAYMENT_SUSPENDED", "01-31", "06"),
        ("RSA//CLOSED", "03-30", "RAU"),
    ]  # instants in UTC: the day before, late in the evening
    assert [one[0] for one in rights(territory, Person(2))] == [
        "RSA//OPEN", "RSA//PAYMENT_SUSPENDED", "RSA//CLOSED",
    ]  # fmt: skip
    assert report.subjects == 2
    figures = report.as_dict()["sources"]["caf"]
    assert (figures["rows"], figures["events"], figures["rows_set_aside"]) == (14, 8, 0)
    again = ingest(territory)
    assert (again.read, again.skipped, again.added) == (0, 3, 0)


def test_a_late_month_adds_what_it_knew_and_has_the_next_read_again(territory: Territory) -> None:
    write(territory, "01", OPEN)
    write(territory, "03", SUSPENDED)
    ingest(territory)
    before = rights(territory, Person(1))
    write(territory, "02", SUSPENDED)
    report = ingest(territory)
    # The suspension has its own date: the late month tells the same event, known earlier.
    assert (report.read, report.skipped, report.failures) == (2, 1, [])
    assert report.as_dict()["sources"]["caf"]["versions"] == 2
    assert rights(territory, Person(1)) == before


def test_a_state_between_two_months_is_told_with_the_return(territory: Territory) -> None:
    write(territory, "01", OPEN)
    write(territory, "03", OPEN)
    ingest(territory)
    write(territory, "02", SUSPENDED)
    ingest(territory)
    assert [one[:2] for one in rights(territory, Person(2))] == [
        ("RSA//OPEN", "01-30"),
        ("RSA//PAYMENT_SUSPENDED", "01-31"),
        ("RSA//OPEN", "03-30"),
    ]


def test_a_corrected_motive_is_a_version_of_the_event(territory: Territory) -> None:
    write(territory, "01", SUSPENDED)
    write(territory, "02", replace(SUSPENDED, motive="70"))
    report = ingest(territory)
    assert report.as_dict()["sources"]["caf"]["versions"] == 2
    assert ("RSA//PAYMENT_SUSPENDED", "01-31", "70") in rights(territory, Person(1))


def test_an_unknown_state_and_a_missing_nir_are_set_aside_by_name(territory: Territory) -> None:
    nobody = replace(OPEN, persons=(Person(5, without_nir=True),))
    write(territory, "01", OPEN, replace(OPEN, state="8", persons=(Person(4),)), nobody)
    report = ingest(territory)
    set_aside = report.as_dict()["sources"]["caf"]["set_aside"]
    assert set_aside == {"contract": 2, "missing_person": 2}


def test_a_daily_flow_is_refused_and_costs_itself_only(territory: Territory) -> None:
    write(territory, "01", OPEN)
    daily = flow([OPEN], "2024-02-10", "2024-02-10", kind="I")
    (territory.data / "flux" / "RSABEI.xml").write_bytes(daily)
    report = ingest(territory)
    assert len(report.failures) == 1
    assert "full monthly flow" in report.failures[0]
    assert report.as_dict()["sources"]["caf"]["rows"] == 8


def test_no_identity_of_msa_leaves_the_vault(territory: Territory) -> None:
    """The file number is a NIR there: it is a key and a part of row keys, and kept nowhere."""
    number = Person(1).whole
    one = replace(OPEN, matricule=number)
    content = flow([one], organisation=("MSA", "751"))
    (territory.data / "flux" / "MSABEM.xml").write_bytes(content)
    # Set aside, to be kept as they stood: sealed.
    strange = replace(one, state="8", persons=(Person(6),))
    (territory.data / "flux" / "MSABEM2.xml").write_bytes(
        flow([strange], "2024-03-31", "2024-04-03", organisation=("MSA", "751"))
    )
    report = ingest(territory)
    told = rights(territory, Person(1))
    assert [one[0] for one in told] == ["JOB//STARTED", "JOB//ENDED", "RSA//OPEN"]
    assert [one[0] for one in rights(territory, Person(2))] == ["RSA//OPEN"]
    # Both rows of the household whose state is unknown, and for that alone.
    assert report.as_dict()["sources"]["caf"]["set_aside"] == {"contract": 2}
    assert_nowhere(territory, report, number, Person(6).whole, number[:13])


def test_a_flow_without_its_hour_is_known_when_its_day_ends(territory: Territory) -> None:
    content = flow([OPEN], "2024-01-31", "2024-02-05")
    bare = content.replace(b"<HEUCREAFLUX>01:18:36.0000</HEUCREAFLUX>", b"")
    assert bare != content
    (territory.data / "flux" / "RSABEM01.xml").write_bytes(bare)
    assert ingest(territory).failures == []
    table = Timelines.open(territory.home / "timelines").read()
    assert isinstance(table, pa.Table)
    # The last microsecond of 5 February in Paris.
    assert set(table["recorded_at"].to_pylist()) == {datetime(2024, 2, 5, 22, 59, 59, 999999)}


def test_a_flow_with_its_hour_is_known_at_that_hour(territory: Territory) -> None:
    write(territory, "01", OPEN, made="2024-02-05")
    ingest(territory)
    table = Timelines.open(territory.home / "timelines").read()
    assert isinstance(table, pa.Table)
    assert set(table["recorded_at"].to_pylist()) == {datetime(2024, 2, 5, 0, 18, 36)}


def test_a_source_that_knows_the_role_alone_is_joined(territory: Territory) -> None:
    text = blocks()[2].replace('"*.xml"', '"flux/*.xml"')
    text = text.replace("service: social\n", "service: social\n      folder: flux\n")
    territory.file.write_text(text, encoding="utf-8")
    own = Territory.open(territory.file, home=territory.home, data=territory.data)
    write(territory, "01", OPEN)
    report = ingest(own)
    assert report.failures == []
    vault = Vault.open(own.home / "identity")
    by_role = vault.resolve("caf", ["CAF-921-2055990-DEM", "CAF-921-2055990-CJT"])
    by_number = vault.resolve("nir", [Person(1).whole, Person(2).whole])
    vault.close()
    assert by_role.tolist() == by_number.tolist()
    assert len({*by_role.tolist()}) == 2


@pytest.mark.parametrize("place", range(5))
def test_the_documented_sources_are_accepted(tmp_path: Path, place: int) -> None:
    file = tmp_path / "territory.yaml"
    file.write_text(blocks()[place], encoding="utf-8")
    found = Territory.open(file, home=tmp_path / "home", data=tmp_path)
    settings = found.section("features", FeaturesSettings)
    check_mapping(settings, Vocabulary.load(settings.vocabulary))


def blocks() -> list[str]:
    """The examples of the page, each as a whole territory file."""
    text = (Path(__file__).parents[2] / "docs" / "caf.md").read_text(encoding="utf-8")
    head = "features:\n  observation: {since: 2023-01-01, until: 2025-01-01}\n"
    found = []
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        inside = block.removeprefix("features:\n")
        found.append(head + ("  sources:\n" if inside.startswith("    ") else "") + inside)
    return found


def assert_nowhere(territory: Territory, report: IngestReport, *values: str) -> None:
    looked = 0
    for file in territory.home.rglob("*"):
        if not file.is_file() or "identity" in file.relative_to(territory.home).parts:
            continue
        content = file.read_bytes()
        if file.suffix == ".parquet":
            content += repr(pq.read_table(file).to_pylist()).encode()
        looked += 1
        assert not any(value.encode() in content for value in values), file.name
    assert looked > 5
    assert not any(value in report.text() for value in values)
