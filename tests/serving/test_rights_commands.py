"""`jalon person` and `jalon maintain` as they are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from features.errors import JalonError
from features.identity import Vault
from features.ingest import ingest
from features.territory import Territory
from features.timelines import Timelines
from jalon import app
from tests.features.towns import PEOPLE, dossier, number, opened


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("JALON_KEY", raising=False)
    opened(tmp_path)
    return tmp_path


def called(folder: Path, *arguments: str, given: str | None = None, code: int = 0) -> Any:
    words = 2 if arguments[0] == "person" else 1
    where = [str(folder / "town.yaml"), "--home", str(folder / "home"), "--json"]
    said = [*arguments[:words], *where, *arguments[words:]]
    ran = CliRunner().invoke(app, said, input=given)
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    assert ran.exit_code == code, ran.output
    return json.loads(ran.stdout) if code == 0 else ran.output


def known(folder: Path, n: int) -> int:
    vault = Vault.open(folder / "home" / "identity")
    found = int(vault.resolve("social", [dossier(n)])[0])
    vault.close()
    return found


def test_a_person_is_shown_objects_and_is_erased(town: Path) -> None:
    person = known(town, 3)
    given = f"{dossier(3)}\n"
    said = called(town, "person", "show", "--system", "social", given=given)
    assert (said["person"], said["events"], said["set_aside"]) == (person, 8, 2)
    assert said["objects_since"] is None
    assert called(town, "person", "object", "--system", "social", given=given)["changed"]
    assert not called(town, "person", "object", "--system", "social", given=given)["changed"]
    assert called(town, "person", "show", "--system", "social", given=given)["objects_since"]
    taken_back = called(town, "person", "object", "--withdraw", "--system", "social", given=given)
    assert (taken_back["changed"], taken_back["objects"]) == (True, False)
    with pytest.raises(JalonError, match="--yes, where nobody can be asked"):
        called(town, "person", "erase", "--system", "social", given=given)
    done = called(town, "person", "erase", "--yes", "--system", "social", given=given)
    assert (done["persons"], done["events"], done["set_aside"]) == (1, 8, 2)
    with pytest.raises(JalonError, match="one that the vault knows"):
        called(town, "person", "show", "--system", "social", given=given)
    again = called(town, "person", "readmit", "social", given=given)
    assert again == {"readmitted": 1, "files_to_read_again": 1}
    assert len(Timelines.open(town / "home" / "timelines").subjects()) == PEOPLE - 1


def test_who_is_readmitted_comes_back_with_the_next_ingest(town: Path) -> None:
    territory = Territory.open(town / "town.yaml", home=town / "home", data=town / "exports")
    timelines = Timelines.open(territory.home / "timelines")
    before = timelines.person(known(town, 3)).select(["event_id", "time", "code"])
    given = f"{dossier(3)}\n"
    called(town, "person", "erase", "--yes", "--system", "social", given=given)
    (territory.data / "offres.csv").rename(town / "offres.csv")
    report = ingest(territory)
    assert (report.added, report.skipped) == (0, 1)
    (town / "offres.csv").rename(territory.data / "offres.csv")
    called(town, "person", "readmit", "social", given=given)
    called(town, "person", "readmit", "emploi", given=f"{number(3)}\n")
    report = ingest(territory)
    assert (report.added, report.read, report.skipped) == (before.num_rows, 2, 0)
    timelines = Timelines.open(territory.home / "timelines")
    after = timelines.person(known(town, 3)).select(["event_id", "time", "code"])
    assert after.to_pylist() == before.to_pylist()
    report = ingest(territory)
    assert (report.added, report.read, report.skipped) == (0, 0, 2)


def test_maintenance_counts_first_and_does_nothing_twice(town: Path) -> None:
    planned = called(town, "maintain", "--at", "2026-06-01", "--dry-run")
    assert (planned["expired"], planned["limit"]) == (PEOPLE, "2024-06-01")
    assert called(town, "maintain", "--at", "2025-06-01")["expired"] == 0
    assert called(town, "maintain", "--at", "2026-06-01")["expired"] == PEOPLE
    assert called(town, "maintain", "--at", "2026-06-01")["expired"] == 0
    assert Timelines.open(town / "home" / "timelines").count() == 0
    with pytest.raises(JalonError, match="a date as 2025-12-31"):
        called(town, "maintain", "--at", "June")
    with pytest.raises(JalonError, match="one in the future"):
        called(town, "maintain", "--at", "9000-01-01")


def test_what_is_running_is_not_disturbed(town: Path) -> None:
    for name, said in (("ingest", "another that is running"), ("training", "one that is running")):
        with FileLock(town / "home" / f"{name}.lock"), pytest.raises(JalonError, match=said):
            called(town, "maintain", "--at", "2025-06-01")
    with pytest.raises(JalonError, match="either a pseudonym or --system"):
        called(town, "person", "show")
