"""The vault: one pseudonym per person, whatever the order, and no identifier on disk."""

from __future__ import annotations

import random
import sqlite3
import stat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.identity import Linked, Vault

NIR = "253072B07300470"
OTHER_NIR = "295109912611193"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JALON_KEY", raising=False)


def persons(**columns: list[str | None]) -> pa.Table:
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def test_identifiers_on_one_row_are_one_person_across_tables(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    social = persons(social=["D1", "D2"], nir=[NIR, None], employment=[None, "F2"])
    employment = persons(employment=["F1", "F2"], nir=[NIR, OTHER_NIR])
    done = vault.link([social, employment])
    assert (done.rows, done.persons, done.created) == (4, 2, 2)
    by_social = vault.resolve("social", ["D1", "D2", "D3"])
    by_employment = vault.resolve("employment", ["F1", "F2", "F3"])
    assert by_social.dtype == np.int64
    assert by_social[:2].tolist() == by_employment[:2].tolist()
    assert by_social[0] != by_social[1]
    assert (by_social[:2] > 0).all()
    assert by_social[2] == by_employment[2] == 0


def test_the_same_text_in_two_systems_is_two_persons(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    first, _ = vault.adopt("social", ["17"])
    second, _ = vault.adopt("housing", ["17"])
    assert first[0] != second[0]


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*(st.sampled_from([None, "1", "2", "3", "4"]) for _ in range(3))), max_size=12
    ),
    seed=st.integers(0, 9),
)
def test_order_of_rows_and_tables_never_matters(
    rows: list[tuple[str | None, ...]], seed: int
) -> None:
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    ids = [str(i) for i in range(1, 5)]

    def pseudonyms(parts: list[list[tuple[str | None, ...]]]) -> list[list[int]]:
        vault = _in_memory()
        vault.link([_table(part) for part in parts])
        return [vault.resolve(system, ids).tolist() for system in "abc"]

    cut = len(rows) // 2
    assert pseudonyms([rows]) == pseudonyms([shuffled[cut:], shuffled[:cut]])


def _in_memory() -> Vault:
    return Vault(Path(":memory:"), b"k" * 32)


def _table(rows: list[tuple[str | None, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    return persons(**{name: list(values) for name, values in zip("abc", columns, strict=True)})


def test_a_wrong_nir_links_nobody_and_is_counted(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    wrong = NIR[:-1] + "1"
    done = vault.link([persons(social=["D1", "D2", "D3"], nir=[wrong, wrong, " "])])
    assert done == Linked(rows=3, persons=3, created=3, without_key=0, invalid_nir=2, conflicts=0)
    assert vault.resolve("nir", [wrong]).tolist() == [0]


def test_a_nir_is_the_same_with_spaces(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    vault.link([persons(social=["D1"], nir=["2 95 10 99 126 111 93"])])
    assert vault.resolve("nir", [OTHER_NIR])[0] == vault.resolve("social", ["D1"])[0]


def test_two_known_persons_stay_two_and_are_counted(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    before, created = vault.adopt("social", ["D1", "D2", "D1", None])
    assert created == 2
    assert before[0] == before[2]
    assert before[3] == 0
    done = vault.link([persons(social=["D1", "D2"], nir=[NIR, NIR])])
    assert done.conflicts == 1
    assert vault.resolve("social", ["D1", "D2"]).tolist() == before[:2].tolist()
    assert vault.resolve("nir", [NIR])[0] in before[:2]


def test_linking_again_changes_nothing(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    table = persons(social=["D1", "D2"], nir=[NIR, None])
    vault.link([table])
    first = vault.resolve("social", ["D1", "D2"]).tolist()
    again = vault.link([table])
    assert (again.created, again.conflicts) == (0, 0)
    assert vault.resolve("social", ["D1", "D2"]).tolist() == first


def test_the_vault_holds_no_identifier_and_is_private(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path / "identity")
    vault.link([persons(social=["D0000017"], nir=[NIR])])
    vault.close()
    for file in (tmp_path / "identity").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        content = file.read_bytes()
        assert NIR.encode() not in content
        assert b"D0000017" not in content
    assert stat.S_IMODE((tmp_path / "identity").stat().st_mode) == 0o700


def test_pseudonyms_need_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JALON_KEY", "a secret of the territory")
    one, _ = Vault.open(tmp_path / "one").adopt("social", ["D1"])
    same, _ = Vault.open(tmp_path / "two").adopt("social", ["D1"])
    assert one[0] == same[0]
    assert not (tmp_path / "one" / "identity.key").exists()
    monkeypatch.setenv("JALON_KEY", "another secret, just as long")
    other, _ = Vault.open(tmp_path / "three").adopt("social", ["D1"])
    assert other[0] != one[0]
    with pytest.raises(DataError, match="Expected the key it was made with"):
        Vault.open(tmp_path / "one")


def test_a_short_or_damaged_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JALON_KEY", "short")
    with pytest.raises(DataError, match="at least 16 characters; got 5"):
        Vault.open(tmp_path)
    monkeypatch.delenv("JALON_KEY")
    Vault.open(tmp_path).close()
    (tmp_path / "identity.key").write_text("0123\n", encoding="ascii")
    with pytest.raises(DataError, match="64 hexadecimal digits; got 4"):
        Vault.open(tmp_path)


def test_secrets_differ_by_purpose(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    assert vault.secret_for("event") == vault.secret_for("event") != vault.secret_for("ledger")


def test_it_answers_while_another_process_writes(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    known, _ = vault.adopt("social", ["D1"])
    writer = sqlite3.connect(tmp_path / "vault.sqlite")
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert vault.resolve("social", ["D1"]).tolist() == known.tolist()
    finally:
        writer.rollback()
        writer.close()
