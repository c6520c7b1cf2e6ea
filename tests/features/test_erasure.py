"""Erasure: nothing of the person is left in the work folder, whenever it was interrupted."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from features.aside_files import aside_files
from features.definitions import build_catalogue
from features.erased_matrices import prune_matrices
from features.erasure import Erased, erase, finish, known_as, unfinished
from features.errors import DataError
from features.identity import Vault
from features.identity.settling import settle
from features.ingest import ingest
from features.retention import maintain
from features.sparse import SparseMatrix, build_sparse, sparse_as_zero
from features.store import build_store
from features.stored_matrix import StoredMatrix
from features.territory import Territory
from features.timelines import Timelines
from tests.features.towns import FIRST, PEOPLE, dossier, export, number, opened, settings_of
from tests.features.traces import traces_of

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2025, 1, 1)
STEPS = (
    ("features.identity.vault.Vault", "forget"),
    ("features.timelines.Timelines", "overwrite"),
    ("features.timelines.Timelines", "forget_former"),
    ("features.erased_events", "forget_log"),
    ("features.aside_files.AsideFile", "rewrite"),
    ("features.erased_matrices", "_remove"),
    ("features.erasure", "note"),
)
KILLED = """\
import importlib, os, signal, sys
from features.erasure import erase
from features.identity import Vault
from features.settings import FeaturesSettings
from features.territory import Territory

file, home, owner, name, before, person = sys.argv[1:]
module, _, cls = owner.rpartition(".")
holder = importlib.import_module(owner) if cls[0].islower() else getattr(
    importlib.import_module(module), cls)
call = getattr(holder, name)

def dying(*args, **kwargs):
    if before == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    call(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(holder, name, dying)
territory = Territory.open(file, home=home, data=home)
vault = Vault.open(territory.home / "identity")
settings = territory.section("features", FeaturesSettings)
erase(territory.home, settings, vault, [int(person)], "request")
"""


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JALON_KEY", raising=False)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town with timelines of several versions, matrices of both stores, and rows set aside."""
    folder = tmp_path_factory.mktemp("played")
    territory = opened(folder)
    export(folder / "exports", more=True)
    ingest(territory)
    timelines = Timelines.open(territory.home / "timelines")
    catalogue = build_catalogue(settings_of(territory))
    wide = catalogue.only([one.name for one in catalogue.features if sparse_as_zero(one)])
    people = timelines.subjects()
    for some in (people, people[: PEOPLE // 2], people[PEOPLE // 2 :]):
        cohort = pa.table(
            {
                "subject_id": pa.array(some),
                "prediction_time": pa.array([AT] * len(some), pa.timestamp("us")),
            }
        )
        built = build_store(
            territory.home / "matrices", timelines, cohort, catalogue, events_at_once=20
        )
        built.matrix.memmap()
        build_sparse(territory.home / "sparse", timelines, cohort, wide, events_at_once=20).csr()
    return folder


def copied(played: Path, to: Path) -> Territory:
    shutil.copytree(played, to, dirs_exist_ok=True)
    return Territory.open(to / "town.yaml", home=to / "home", data=to / "exports")


def person_of(territory: Territory, number_of: int) -> int:
    vault = Vault.open(territory.home / "identity")
    found = int(vault.resolve("social", [dossier(number_of)])[0])
    vault.close()
    assert found
    return found


def marks(territory: Territory, person: int, n: int) -> tuple[list[str], list[int]]:
    """What must not be found: identifiers, names, event ids and pseudonyms."""
    vault = Vault.open(territory.home / "identity")
    known = known_as(vault, [person])
    vault.close()
    events = Timelines.open(territory.home / "timelines").person(person)
    ids = set(events["event_id"].to_pylist())
    texts = [dossier(n), number(n), f"Martin{n};", f"{FIRST[n].lower()}{n}@exemple.fr", *ids]
    return texts, [*known.subjects, *known.issued]


def run(territory: Territory, person: int) -> Erased:
    vault = Vault.open(territory.home / "identity")
    try:
        return erase(territory.home, settings_of(territory), vault, [person], "request")
    finally:
        vault.close()


def events_of(territory: Territory) -> list[dict[str, Any]]:
    return Timelines.open(territory.home / "timelines").read().to_pylist()


def test_nothing_of_the_person_is_left_and_nothing_of_others_is_gone(
    played: Path, tmp_path: Path
) -> None:
    territory = copied(played, tmp_path)
    person = person_of(territory, 3)
    texts, numbers = marks(territory, person, 3)
    found = traces_of(territory.home, texts, numbers)
    places = {place.split("/")[0] for place in found}
    assert {"timelines", "matrices", "sparse", "set-aside", "identity"} <= places
    assert any("_delta_log" in place for place in found)
    before = events_of(territory)
    aside = sum(file.rows for file in aside_files(territory.home / "set-aside"))
    done = run(territory, person)
    assert traces_of(territory.home, texts, numbers) == []
    mine = [row for row in before if row["subject_id"] == person]
    assert done.rows["events"] == len(mine) > 8
    assert events_of(territory) == [row for row in before if row["subject_id"] != person]
    assert done.rows["set_aside"] == 2
    assert sum(file.rows for file in aside_files(territory.home / "set-aside")) == aside - 2
    assert (done.rows["matrices"], done.rows["sparse_matrices"]) == (2, 2)
    audit = (territory.home / "identity" / "audit.jsonl").read_text().splitlines()
    line = json.loads(audit[-1])
    assert (line["act"], line["why"], line["persons"]) == ("erase", "request", 1)
    assert set(line) == {"at", "by", "act", "erasure", "why", "persons"}


def test_matrices_of_others_stay_and_the_rest_is_computed_again(
    played: Path, tmp_path: Path
) -> None:
    territory = copied(played, tmp_path)
    person = person_of(territory, 3)
    run(territory, person)
    [left] = (territory.home / "matrices").glob("matrix-*.json")
    kept = StoredMatrix.open(left)
    assert person not in kept.cohort["subject_id"].to_pylist()
    assert kept.matrix().values.shape[0] == PEOPLE // 2
    timelines = Timelines.open(territory.home / "timelines")
    people = timelines.subjects()
    assert len(people) == PEOPLE - 1
    cohort = pa.table(
        {
            "subject_id": pa.array(people),
            "prediction_time": pa.array([AT] * len(people), pa.timestamp("us")),
        }
    )
    catalogue = build_catalogue(settings_of(territory))
    again = build_store(territory.home / "matrices", timelines, cohort, catalogue)
    fresh = build_store(tmp_path / "fresh", timelines, cohort, catalogue)
    np.testing.assert_array_equal(again.matrix.matrix().values, fresh.matrix.matrix().values)


def test_sparse_matrices_of_others_stay_and_the_rest_is_computed_again(
    played: Path, tmp_path: Path
) -> None:
    territory = copied(played, tmp_path)
    store = territory.home / "sparse"
    before = {part.name for part in (store / "parts").iterdir()}
    person = person_of(territory, 3)
    run(territory, person)
    [left] = store.glob("sparse-*.json")
    kept = SparseMatrix.open(left)
    assert person not in kept.cohort["subject_id"].to_pylist()
    assert sum(part.shape[0] for part in kept.parts()) == PEOPLE // 2
    names = {file.name.split("-")[1].split(".")[0] for file in store.glob("rows-*")}
    assert names == {kept.hash[:20]}
    parts = {part.name for part in (store / "parts").iterdir()}
    assert set(kept.parts_on_disk) <= parts < before
    people = Timelines.open(territory.home / "timelines").subjects()
    cohort = pa.table(
        {
            "subject_id": pa.array(people),
            "prediction_time": pa.array([AT] * len(people), pa.timestamp("us")),
        }
    )
    timelines = Timelines.open(territory.home / "timelines")
    again = build_sparse(store, timelines, cohort, kept.catalogue)
    fresh = build_sparse(tmp_path / "fresh", timelines, cohort, kept.catalogue)
    np.testing.assert_array_equal(again.csr().toarray(), fresh.csr().toarray())


def test_files_of_a_sparse_store_that_no_matrix_names_are_pruned_and_no_other(
    played: Path, tmp_path: Path
) -> None:
    store = copied(played, tmp_path).home / "sparse"
    prune_matrices(store)
    before = sorted(store.rglob("*"))
    assert prune_matrices(store) == 0
    (store / "parts" / "left").mkdir()
    (store / "rows-left.parquet").write_bytes(b"")
    assert prune_matrices(store, dry_run=True) == 2
    assert prune_matrices(store) == 2
    assert sorted(store.rglob("*")) == before
    assert SparseMatrix.open(store).csr().shape[0] == PEOPLE // 2


def test_the_table_goes_on_after_its_log_was_cut(played: Path, tmp_path: Path) -> None:
    territory = copied(played, tmp_path)
    open_before = Timelines.open(territory.home / "timelines")
    run(territory, person_of(territory, 3))
    table = DeltaTable(str(territory.home / "timelines"))
    version, table_id = table.version(), table.metadata().id
    assert table_id == open_before.table_id
    assert len(table.history()) == 1
    log = territory.home / "timelines" / "_delta_log"
    assert [file.stem for file in log.glob("*.json")] == [f"{version:020}"]
    timelines = Timelines.open(territory.home / "timelines")
    events = timelines.read().slice(0, 1)
    assert timelines.append(events, label="again").duplicates == 1
    later = events.set_column(
        events.schema.get_field_index("recorded_at"),
        "recorded_at",
        pa.array([datetime(2025, 6, 1)], pa.timestamp("us")),
    )
    assert timelines.append(later, label="later").versions == 1
    assert timelines.version == version + 1
    assert Timelines.open(territory.home / "timelines").count() == timelines.count()


def test_a_later_export_does_not_bring_the_person_back(played: Path, tmp_path: Path) -> None:
    territory = copied(played, tmp_path)
    person = person_of(territory, 3)
    texts, numbers = marks(territory, person, 3)
    run(territory, person)
    file = territory.data / "rdv.csv"
    file.write_text(file.read_text() + f"new;{dossier(3)};2024-07-01;2024-07-02;HON;1\n")
    report = ingest(territory)
    [figures] = [s for s in report.sources if s.name == "social"]
    # Six visits, one of them corrected, and the new one; a row of an unlisted code stays one.
    assert figures.as_dict()["set_aside"]["erased"] == 8
    assert report.identity["erased"] == 2
    assert traces_of(territory.home, [t for t in texts if t.startswith("DOS")], numbers) == []
    assert len(Timelines.open(territory.home / "timelines").subjects()) == PEOPLE - 1


def records_of(vault: Vault) -> tuple[int, int]:
    """Sealed records, and those of them that nobody's identifier leads to."""
    [(kept,)] = vault.rows("SELECT count(*) FROM records")
    [(known,)] = vault.rows("SELECT count(*) FROM records JOIN identifiers USING (digest)")
    return kept, kept - known


def test_a_later_ingest_seals_nothing_of_the_erased_person(played: Path, tmp_path: Path) -> None:
    territory = copied(played, tmp_path)
    run(territory, person_of(territory, 3))
    file = territory.data / "personnes.csv"
    # By one of the two numbers only, and by one of them with a number never met before.
    file.write_text(
        f"{file.read_text()}{dossier(3)};;David;Autrement;d@exemple.fr\n"
        f"NEW-1;{number(3)};David;Encore;d3@exemple.fr\nNEW-1;;David;Toujours;d4@exemple.fr\n"
        "NEW-2;;Rose;Neuve;r@exemple.fr\n"
    )
    ingest(territory)
    vault = Vault.open(territory.home / "identity")
    assert records_of(vault) == (PEOPLE - 1 + 1, 0)
    vault.close()


def test_maintenance_drops_records_that_lead_to_nobody(played: Path, tmp_path: Path) -> None:
    territory = copied(played, tmp_path)
    run(territory, person_of(territory, 3))
    vault = Vault.open(territory.home / "identity")
    digest = vault.digest("social", dossier(3))
    row = (digest, b"content", vault.keys.sealed(b'{"last_name": "Martin3"}', digest))
    with vault.transaction() as connection:
        connection.execute("INSERT INTO records VALUES (?, ?, ?)", row)
    assert records_of(vault) == (PEOPLE, 1)
    maintain(territory.home, settings_of(territory), date(2025, 1, 1), dry_run=True)
    assert records_of(vault) == (PEOPLE, 1)
    maintain(territory.home, settings_of(territory), date(2025, 1, 1))
    assert records_of(vault) == (PEOPLE - 1, 0)
    vault.close()


@pytest.mark.parametrize(
    ("owner", "name", "when"),
    [(*STEPS[0], "before"), *((owner, name, "after") for owner, name in STEPS)],
    ids=["nothing", *(name for _, name in STEPS)],
)
def test_killed_at_any_step_a_second_run_finishes(
    played: Path, tmp_path: Path, owner: str, name: str, when: str
) -> None:
    territory = copied(played, tmp_path)
    person = person_of(territory, 3)
    texts, numbers = marks(territory, person, 3)
    whole = copied(played, tmp_path / "whole")
    run(whole, person)
    arguments = [str(tmp_path / "town.yaml"), str(territory.home), owner, name, when, str(person)]
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], cwd=ROOT, capture_output=True, check=False
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr.decode()
    assert unfinished(territory.home)
    assert traces_of(territory.home / "identity", [], [person]) == [] or name == "forget"
    vault = Vault.open(territory.home / "identity")
    with pytest.raises(DataError, match="interrupted"):
        erase(territory.home, settings_of(territory), vault, [], "request")
    assert finish(territory.home, settings_of(territory), vault).persons == 1
    assert not unfinished(territory.home)
    assert finish(territory.home, settings_of(territory), vault).persons == 0
    vault.close()
    assert traces_of(territory.home, texts, numbers) == []
    assert events_of(territory) == events_of(whole)
    audit = (territory.home / "identity" / "audit.jsonl").read_text()
    assert audit.count('"erase"') == 1


def test_merged_persons_go_with_every_pseudonym_and_split_ones_leave_the_rest(
    played: Path, tmp_path: Path
) -> None:
    territory = copied(played, tmp_path)
    one, other = person_of(territory, 1), person_of(territory, 2)
    vault = Vault.open(territory.home / "identity")
    timelines = Timelines.open(territory.home / "timelines")
    merged = vault.merge(one, other, "request")
    settle(vault, timelines)
    assert set(known_as(vault, [one]).subjects) >= {one, other}
    vault.undo(merged.number)
    settle(vault, timelines)
    assert known_as(vault, [one]).subjects == [one] or other not in known_as(vault, [one]).subjects
    # The first number of a person is taken out of them: its pseudonym stays the person's.
    [issued] = [own for system, own in vault.identifiers(one) if system == "social"]
    act = vault.split(one, [issued], "error")
    settle(vault, timelines)
    rest = timelines.person(act.kept).num_rows
    erase(territory.home, settings_of(territory), vault, [act.other], "request")
    timelines = Timelines.open(territory.home / "timelines")
    assert timelines.person(act.other).num_rows == 0
    assert timelines.person(act.kept).num_rows == rest > 0
    assert timelines.person(other).num_rows > 0
    vault.close()


def test_nobody_unknown_is_erased(played: Path, tmp_path: Path) -> None:
    territory = copied(played, tmp_path)
    with pytest.raises(DataError, match="a pseudonym that it knows"):
        run(territory, 12345)
    assert not unfinished(territory.home)
