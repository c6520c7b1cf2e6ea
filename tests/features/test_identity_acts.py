"""Merges, splits, erasure, objection, rules and a new key."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.events import EVENTS
from features.identity import ERASED, Vault
from features.identity.records import column, load
from features.identity.review import open_pairs
from features.identity.rotation import Rotation
from features.identity.settling import settle
from features.timelines import Timelines

NIR = "253072B07300470"
OTHER_NIR = "295109912611193"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JALON_KEY", raising=False)
    monkeypatch.delenv("JALON_NEW_KEY", raising=False)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.open(tmp_path / "identity")


def persons(**columns: list[str | None]) -> pa.Table:
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def of(vault: Vault, system: str, *ids: str) -> list[int]:
    return vault.resolve(system, list(ids)).tolist()


def test_what_an_identifier_is_issued_never_changes(vault: Vault) -> None:
    met = vault.meet("a", ["1", "2", "1", None])  # type: ignore[list-item]
    assert met.created == 2
    assert met.issued.tolist() == [*vault.issued("a", ["1", "2", "1"]).tolist(), 0]
    one, two, _, _ = met.subjects.tolist()
    vault.merge(one, two, "request")
    again = vault.meet("a", ["1", "2"])
    assert again.subjects.tolist() == [one, one]
    assert again.issued.tolist() == [one, two]
    assert vault.owners() == {two: one}
    assert vault.issued("nir", ["not a nir"]).tolist() == [0]


def test_a_merge_is_undone_and_done_in_order(vault: Vault) -> None:
    a, b, c = vault.adopt("s", ["1", "2", "3"])[0].tolist()
    first, second = vault.merge(a, b, "error"), vault.merge(a, c, "review")
    assert of(vault, "s", "1", "2", "3") == [a, a, a]
    vault.undo(first.number)
    assert of(vault, "s", "1", "2", "3") == [a, b, a]
    with pytest.raises(DataError, match="undid"):
        vault.undo(first.number)
    done = vault.undo(second.number)
    assert done.kind == "undo"
    assert of(vault, "s", "1", "2", "3") == [a, b, c]
    with pytest.raises(DataError, match="an undoing"):
        vault.undo(done.number)
    assert [act.kind for act in vault.acts()] == ["merge", "merge", "undo", "undo"]


def test_an_act_changed_by_a_later_one_waits(vault: Vault) -> None:
    a, b, c = vault.adopt("s", ["1", "2", "3"])[0].tolist()
    first = vault.merge(b, c, "error")
    vault.merge(a, b, "error")
    with pytest.raises(DataError, match="moved since"):
        vault.undo(first.number)


def test_a_split_survives_the_next_reading_and_is_undone(vault: Vault) -> None:
    table = persons(social=["D1"], nir=[NIR], health=["S1"])
    vault.link([table])
    whole = of(vault, "social", "D1")[0]
    own = dict(vault.identifiers(whole))
    act = vault.split(whole, [own["health"]], "error")
    apart = of(vault, "health", "S1")[0]
    assert apart not in (whole, own["health"])
    linked = vault.link([table])
    assert linked.conflicts == 1
    assert of(vault, "health", "S1") == [apart]
    assert open_pairs(vault) == []
    vault.undo(act.number)
    assert of(vault, "health", "S1") == [whole]
    for issued in ([], [own["health"], 5], list(own.values())):
        with pytest.raises(DataError, match="some, not all"):
            vault.split(whole, issued, "error")


def test_wrong_merges_are_refused(vault: Vault) -> None:
    a, b = vault.adopt("s", ["1", "2"])[0].tolist()
    with pytest.raises(DataError, match="does not"):
        vault.merge(a, 12345, "request")
    with pytest.raises(DataError, match="two pseudonyms"):
        vault.merge(a, a, "request")
    with pytest.raises(DataError, match="a reason among"):
        vault.merge(a, b, "because Jeanne said so")
    with pytest.raises(DataError, match="a merge or a split"):
        vault.undo(99)


def test_known_persons_met_on_one_row_are_listed_for_review(vault: Vault) -> None:
    vault.adopt("social", ["D1", "D2"])
    table = persons(social=["D1", "D2"], nir=[NIR, NIR])
    vault.link([table])
    vault.link([table])
    pairs = open_pairs(vault)
    assert [pair.reason for pair in pairs] == ["shared_identifier"]
    assert pairs[0].chance is None
    assert set(pairs[0].subjects) == set(of(vault, "social", "D1", "D2"))


def test_an_earlier_rule_tells_apart_what_a_later_one_would_unite(vault: Vault) -> None:
    rows = persons(
        own=["1", "2", "3", "4"],
        nir=[NIR, OTHER_NIR, NIR, None],
        number=["17", "17", "18", None],
        role=["DEM", "DEM", "CJT", "CJT"],
        file=["F", "F", "G", "G"],
    )
    rules = [["nir"], ["number"], ["role", "file"]]
    done = vault.link([rows], rules)
    one, two, three, four = of(vault, "own", "1", "2", "3", "4")
    assert one == three  # one NIR
    assert one != two  # one number, two NIR
    assert four == three  # one role and file
    assert done.against_rules == 2  # the number, and role and file of the first two
    assert {pair.reason for pair in open_pairs(vault)} == {"rules_disagree"}
    assert vault.resolve("role", ["DEM"]).tolist() == [0]


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*(st.sampled_from([None, "1", "2", "3"]) for _ in range(3))), max_size=8
    ),
    order=st.permutations(range(8)),
)
def test_rules_do_not_depend_on_the_order_of_rows(
    rows: list[tuple[str | None, ...]], order: list[int]
) -> None:
    def linked(some: list[tuple[str | None, ...]]) -> list[list[int]]:
        vault = Vault(Path(":memory:"), b"k" * 32)
        lists = [list(part) for part in zip(*some, strict=True)] if some else [[], [], []]
        vault.link([persons(a=lists[0], b=lists[1], c=lists[2])], [["a"], ["b", "c"]])
        return [vault.resolve(system, ["1", "2", "3"]).tolist() for system in "abc"]

    shuffled = [rows[place] for place in order if place < len(rows)]
    assert linked(rows) == linked(shuffled)


def test_an_erased_person_does_not_come_back(vault: Vault, tmp_path: Path) -> None:
    rows = persons(**{"social": ["D1"], "nir": [NIR], column("last_name"): ["Quattrocento"]})
    vault.link([rows])
    vault.adopt("social", ["D2"])
    subject = of(vault, "social", "D1")[0]
    pseudonyms = [subject, *(issued for _, issued in vault.identifiers(subject))]
    assert set(vault.forget(subject)) == set(pseudonyms)
    met = vault.meet("social", ["D1", "D2", "D3"])
    assert met.subjects[0] == ERASED
    assert met.created == 1
    assert vault.resolve("social", ["D1"]).tolist() == [0]
    # An identifier that comes on a row with an erased one is the same person's.
    again = vault.link([persons(employment=["F1"], nir=[NIR])])
    assert (again.created, again.erased) == (0, 2)
    assert vault.adopt("employment", ["F1"])[0].tolist() == [ERASED]
    with pytest.raises(DataError, match="does not"):
        vault.forget(subject)
    digest = vault.digest("social", "D1")
    vault.close()
    for file in (tmp_path / "identity").iterdir():
        content = file.read_bytes()
        assert digest not in content
        assert b"Quattrocento" not in content
        assert not any(one.to_bytes(8, "big") in content for one in pseudonyms)
    assert load(Vault.open(tmp_path / "identity")) == []


def test_erasure_after_merges_names_every_pseudonym(vault: Vault) -> None:
    a, b = vault.adopt("s", ["1", "2"])[0].tolist()
    vault.merge(a, b, "request")
    assert vault.forget(a) == sorted((a, b))
    assert all({act.kept, act.other} == {0} for act in vault.acts())
    assert vault.owners() == {}


def test_an_objection_follows_the_person(vault: Vault) -> None:
    a, b, c = vault.adopt("s", ["1", "2", "3"])[0].tolist()
    vault.object(b)
    assert vault.objected().tolist() == [b]
    act = vault.merge(a, b, "request")
    assert vault.objected().tolist() == [a]
    vault.undo(act.number)
    assert vault.objected().tolist() == [b]
    vault.object(b, stands=False)
    assert vault.objected().tolist() == []
    with pytest.raises(DataError, match="does not"):
        vault.object(c + 1)


def test_attributes_are_sealed_once_and_follow_merges(vault: Vault) -> None:
    rows = persons(
        **{"s": ["1", "1"], column("last_name"): ["Quattrocento", "Quattrocento"],
           column("phone"): ["06 39 98 00 01", None]}
    )  # fmt: skip
    vault.link([rows])
    vault.link([rows])
    subject = of(vault, "s", "1")[0]
    said = [record.said for record in load(vault, subject)]
    assert sorted(map(len, said)) == [1, 2]
    other = vault.adopt("t", ["9"])[0].tolist()[0]
    vault.merge(other, subject, "request")
    assert len(load(vault, other)) == 2


def events(*rows: tuple[int, str]) -> pa.Table:
    made = [
        {
            "subject_id": subject,
            "time": datetime(2025, 3, 3),
            "source": "social",
            "code": "NEED//MOBILITY//RAISED",
            "recorded_at": datetime(2025, 3, 4),
            "event_id": name * 32,
        }
        for subject, name in rows
    ]
    return pa.Table.from_pylist(made, schema=EVENTS)


def filled(vault: Vault, folder: Path) -> Timelines:
    met = vault.meet("s", ["1", "2"])
    timelines = Timelines.open(folder / "timelines", create=True)
    one, two = met.subjects.tolist()
    timelines.append(events((one, "a"), (two, "b")), label="test", issued=met.issued)
    return timelines


def test_timelines_follow_a_merge_and_its_undoing(vault: Vault, tmp_path: Path) -> None:
    timelines = filled(vault, tmp_path)
    one, two = of(vault, "s", "1", "2")
    act = vault.merge(one, two, "request")
    assert settle(vault, timelines) == 1
    assert settle(vault, timelines) == 0
    assert timelines.person(one).num_rows == 2
    vault.undo(act.number)
    settle(vault, timelines)
    assert timelines.person(two)["event_id"].to_pylist() == ["b" * 32]
    acts = [
        json.loads(line)["act"]
        for line in (tmp_path / "identity" / "audit.jsonl").read_text("utf-8").splitlines()
    ]
    assert acts == ["merge", "reissue", "undo", "reissue"]


@pytest.mark.parametrize("variable", [False, True])
def test_a_new_key_gives_new_pseudonyms_everywhere(
    variable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable:
        monkeypatch.setenv("JALON_KEY", "the secret of a territory")
        monkeypatch.setenv("JALON_NEW_KEY", "another secret of a territory")
    vault = Vault.open(tmp_path / "identity")
    timelines = filled(vault, tmp_path)
    vault.link([persons(**{"s": ["1"], column("last_name"): ["Quattrocento"]})])
    gone = vault.adopt("s", ["7"])[0].tolist()[0]
    vault.forget(gone)
    one, two = of(vault, "s", "1", "2")
    act = vault.merge(one, two, "request")
    vault.object(one)
    kept = vault.secret_for("event"), vault.secret_for("set-aside")
    other = vault.secret_for("something else")
    with pytest.raises(DataError, match="timelines that know every owner"):
        Rotation(tmp_path / "identity", timelines).start()
    settle(vault, timelines)
    vault.close()
    steps: list[str] = []
    done = Rotation(tmp_path / "identity", timelines).start(steps.append)
    assert (done.identifiers, done.subjects, done.rows, done.variable) == (2, 1, 2, variable)
    if variable:
        with pytest.raises(DataError, match="another key"):
            Vault.open(tmp_path / "identity")
        monkeypatch.setenv("JALON_KEY", "another secret of a territory")
    vault = Vault.open(tmp_path / "identity")
    new = of(vault, "s", "1", "2")
    assert new[0] == new[1] != one
    assert timelines.person(new[0]).num_rows == 2
    assert timelines.person(one).num_rows == 0
    files = (tmp_path / "timelines").rglob("*.parquet")
    held = {s for file in files for s in pq.read_table(file)["issued_as"].to_pylist()}
    assert held == set(vault.issued("s", ["1", "2"]).tolist())
    assert vault.objected().tolist() == [new[0]]
    assert vault.adopt("s", ["7"])[0].tolist() == [ERASED]
    assert [record.said for record in load(vault)] == [{"last_name": "Quattrocento"}]
    vault.link([persons(**{"s": ["1"], column("last_name"): ["Quattrocento"]})])
    assert len(load(vault)) == 1
    assert (vault.secret_for("event"), vault.secret_for("set-aside")) == kept
    assert vault.secret_for("something else") != other
    # What was done before can be undone after; whoever is new is issued by the new key, too.
    vault.undo(act.number)
    settle(vault, timelines)
    assert sorted(timelines.subjects().tolist()) == sorted(vault.issued("s", ["1", "2"]).tolist())
    assert vault.adopt("s", ["8"])[0].tolist() == vault.issued("s", ["8"]).tolist()
    vault.close()


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("at", [0, 1, 2, 3])
@pytest.mark.parametrize("back", [False, True])
def test_an_interrupted_change_is_resumed_or_rolled_back(
    at: int, back: bool, tmp_path: Path
) -> None:
    vault = Vault.open(tmp_path / "identity")
    timelines = filled(vault, tmp_path)
    before = of(vault, "s", "1", "2")
    vault.close()
    rotation = Rotation(tmp_path / "identity", timelines)
    met: list[str] = []

    def stop(step: str) -> None:
        met.append(step)
        if len(met) > at:
            raise StoppedError

    with pytest.raises(StoppedError):
        rotation.start(stop)
    with pytest.raises(DataError, match="--resume"):
        Vault.open(tmp_path / "identity")
    with pytest.raises(DataError, match="an unfinished one"):
        rotation.start()
    if back and at >= 2:
        with pytest.raises(DataError, match="timelines with the new ones"):
            rotation.roll_back()
    elif back:
        rotation.roll_back()
    if rotation.unfinished:
        rotation.resume()
    vault = Vault.open(tmp_path / "identity")
    assert (of(vault, "s", "1", "2") == before) == (back and at < 2)
    assert sorted(timelines.subjects().tolist()) == sorted(of(vault, "s", "1", "2"))
    assert {file.name for file in (tmp_path / "identity").iterdir()} <= {
        "audit.jsonl", "identity.key", "vault.sqlite", "vault.sqlite-wal", "vault.sqlite-shm",
    }  # fmt: skip
    with pytest.raises(DataError, match="got none"):
        rotation.resume()


def test_a_commit_that_nobody_noted_is_not_made_twice(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path / "identity")
    timelines = filled(vault, tmp_path)
    vault.close()
    rotation = Rotation(tmp_path / "identity", timelines)

    def stop(step: str) -> None:
        if step.startswith("taking"):
            raise StoppedError

    with pytest.raises(StoppedError):
        rotation.start(stop)
    journal = tmp_path / "identity" / "rotation.json"
    said = json.loads(journal.read_text("utf-8"))
    del said["timelines"]
    journal.write_text(json.dumps(said), encoding="utf-8")
    rotation.resume()
    vault = Vault.open(tmp_path / "identity")
    assert sorted(timelines.subjects().tolist()) == sorted(of(vault, "s", "1", "2"))


def test_a_vault_of_the_first_format_opens_with_the_same_pseudonyms(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    before = vault.adopt("s", ["1", "2"])[0].tolist()
    vault.link([persons(s=["1"], t=["x"])])
    vault.close()
    connection = sqlite3.connect(tmp_path / "vault.sqlite")
    with connection:
        connection.executescript(
            "CREATE TABLE old AS SELECT digest, system, subject_id FROM identifiers;"
            "DROP TABLE identifiers; DROP TABLE acts; DROP TABLE carried;"
            "CREATE TABLE identifiers (digest BLOB PRIMARY KEY, system TEXT NOT NULL, "
            "subject_id INTEGER NOT NULL) WITHOUT ROWID;"
            "INSERT INTO identifiers SELECT * FROM old; DROP TABLE old;"
        )
    connection.close()
    vault = Vault.open(tmp_path)
    assert vault.meet("s", ["1", "2"]).issued.tolist() == before
    assert vault.identifiers(before[0])[1] == ("t", vault.issued("t", ["x"])[0])
    assert np.array_equal(vault.issued("s", ["1", "2"]), before)
