"""Retention: who has no contact any more goes, once, and a dry run says who without doing it."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from features.aside_files import aside_files
from features.errors import DataError
from features.events import EVENTS, WITHDRAWN
from features.identity import Vault
from features.ingest import ingest
from features.retention import Upkeep, expired, last_contacts, maintain
from features.territory import Territory
from features.timelines import Timelines
from tests.features.towns import PEOPLE, TERRITORY, dossier, export, number, opened, settings_of

NOW = datetime(2026, 6, 1).timestamp()
YEAR = 366 * 86_400


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JALON_KEY", raising=False)


def fresh(territory: Territory) -> None:
    """Make every file as old as the clock of these tests."""
    for file in territory.home.rglob("*"):
        os.utime(file, (NOW, NOW))


def kept(territory: Territory, at: date, *, dry_run: bool = False, now: float = NOW) -> Upkeep:
    return maintain(territory.home, settings_of(territory), at, dry_run=dry_run, now=now)


def row(subject: int, **said: object) -> dict[str, object]:
    base = {
        "subject_id": subject,
        "time": datetime(2023, 1, 1),
        "code": "CONTACT//APPOINTMENT//SEEN",
        "recorded_at": datetime(2023, 1, 2),
        "source": "social",
        "event_id": f"{subject:032x}",
    }
    return base | said


def test_the_last_contact_is_the_latest_that_still_holds(tmp_path: Path) -> None:
    far = datetime(2025, 6, 1)
    rows = [
        row(1),
        row(2),
        row(2, time=far, event_id="b"),
        row(3, end_time=far),
        row(4, time=far),  # corrected afterwards: the visit was earlier
        row(4, recorded_at=datetime(2025, 9, 1)),
        row(5, time=None, recorded_at=far),
        row(6),  # the source took it back: nothing else is known of the person
        row(6, time=far, recorded_at=far, code=WITHDRAWN),
    ]
    timelines = Timelines.open(tmp_path / "timelines", create=True, buckets=2)
    timelines.append(pa.Table.from_pylist(rows, schema=EVENTS), label="test")
    people, moments = last_contacts(timelines)
    seen = dict(zip(people.tolist(), moments.astype("datetime64[us]").tolist(), strict=True))
    early = datetime(2023, 1, 1)
    assert seen == {1: early, 2: far, 3: far, 4: early, 5: far, 6: far}
    assert expired(timelines, datetime(2024, 1, 1)).tolist() == [1, 4]
    assert expired(timelines, early).tolist() == []


def test_a_dry_run_tells_what_the_run_then_does_once(tmp_path: Path) -> None:
    territory = opened(tmp_path)
    # The last contact of everyone is the job of February 2024; two persons come again later.
    for n in (4, 7):
        with (tmp_path / "exports" / "offres.csv").open("a") as file:
            file.write(f"late{n};{number(n)};2025-02-01;2025-02-02\n")
    ingest(territory)
    fresh(territory)
    before = Timelines.open(territory.home / "timelines")
    rows = before.count()
    planned = kept(territory, date(2026, 3, 1), dry_run=True)
    assert (planned.limit, planned.expired, planned.dry_run) == (date(2024, 3, 1), PEOPLE - 2, True)
    assert Timelines.open(territory.home / "timelines").version == before.version
    done = kept(territory, date(2026, 3, 1))
    assert (done.expired, done.set_aside, done.ledger) == (PEOPLE - 2, 0, 0)
    assert done.erased["events"] == rows - 2 * 9
    assert len(Timelines.open(territory.home / "timelines").subjects()) == 2
    fresh(territory)
    version = Timelines.open(territory.home / "timelines").version
    again = kept(territory, date(2026, 3, 1))
    assert (again.expired, again.erased, again.compacted) == (0, {}, 0)
    assert (again.finished, again.stale_files, again.set_aside) == (0, 0, 0)
    assert Timelines.open(territory.home / "timelines").version == version
    vault = Vault.open(territory.home / "identity")
    assert vault.count() == 2
    vault.close()


def test_nobody_goes_before_the_time_or_where_persons_are_kept(tmp_path: Path) -> None:
    territory = opened(tmp_path)
    fresh(territory)
    assert kept(territory, date(2026, 1, 31), dry_run=True).expired == 0
    assert kept(territory, date(2026, 2, 2), dry_run=True).expired == PEOPLE
    kept_for_good = TERRITORY.replace(
        "  buckets: 4\n", "  buckets: 4\n  retention: {months_after_last_contact: null}\n"
    )
    (tmp_path / "town.yaml").write_text(kept_for_good)
    other = Territory.open(tmp_path / "town.yaml", home=territory.home, data=territory.data)
    done = kept(other, date(2026, 2, 2))
    assert (done.limit, done.expired) == (None, 0)
    with pytest.raises(DataError, match="one in the future"):
        kept(territory, date(2026, 7, 1))


def test_old_files_go_and_an_erased_persons_line_too(tmp_path: Path) -> None:
    territory = opened(tmp_path)
    fresh(territory)
    vault = Vault.open(territory.home / "identity")
    vault.forget(int(vault.resolve("social", [dossier(0)])[0]))
    vault.close()
    for store in ("matrices", "sparse"):
        (territory.home / store / "parts" / "left").mkdir(parents=True)
    entries = len(list((territory.home / "ledger").glob("*.json")))
    rows = sum(file.rows for file in aside_files(territory.home / "set-aside"))
    assert entries == 2
    day = date(2025, 1, 1)
    planned = kept(territory, day, dry_run=True)
    assert (planned.set_aside, planned.stale_files, planned.ledger) == (1, 2, 0)
    done = kept(territory, day)
    assert (done.set_aside, done.stale_files, done.ledger, done.undated) == (1, 2, 0, 0)
    assert sum(file.rows for file in aside_files(territory.home / "set-aside")) == rows - 1
    later = kept(territory, day, now=NOW + YEAR)
    assert (later.set_aside, later.ledger) == (rows - 1, 0)
    assert kept(territory, day, now=NOW + 2 * YEAR).ledger == entries
    assert kept(territory, day, now=NOW + 2 * YEAR).ledger == 0
    # What is forgotten is read again, and adds nothing.
    assert ingest(territory).added == 0


def test_a_late_file_lies_in_one_file_afterwards(tmp_path: Path) -> None:
    territory = opened(tmp_path)
    export(territory.data, more=True)
    timelines = Timelines.open(territory.home / "timelines")
    events = timelines.read().slice(0, 1)
    events = events.set_column(
        events.schema.get_field_index("recorded_at"),
        "recorded_at",
        pa.array([datetime(2025, 6, 1)], pa.timestamp("us")),
    )
    timelines.append(events, label="late")
    assert kept(territory, date(2025, 1, 1), dry_run=True).compacted == 1
    assert kept(territory, date(2025, 1, 1)).compacted == 1
    assert kept(territory, date(2025, 1, 1)).compacted == 0
