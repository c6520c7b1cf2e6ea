"""Linkage of persons without a key, against the truth of simulated registers."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.errors import ConfigurationError
from features.identity import Vault
from features.identity.linkage import MODEL
from features.identity.people import unite
from features.identity.records import column
from features.identity.review import accept, open_pairs, refuse
from features.settings import IdentitySettings, LinkageSettings
from simulator.registers import Register, registers

pytestmark = pytest.mark.once

LINKAGE = IdentitySettings(linkage=LinkageSettings())
ATTRIBUTES = ("first_name", "last_name", "birth_date", "phone")


@dataclass(frozen=True)
class Quality:
    """How far pairs of rows are those of one person."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def tables(found: Mapping[str, Register], *keys: str) -> list[pa.Table]:
    made = []
    for name, register in found.items():
        held = {name: register.table["id"]}
        held |= {key: register.table[key] for key in keys if key != name}
        held |= {column(one): register.table[one] for one in ATTRIBUTES}
        made.append(pa.table(held))
    return made


def quality(vault: Vault, found: Mapping[str, Register]) -> Quality:
    subjects = [vault.resolve(name, one.table["id"]) for name, one in found.items()]
    subject, person = np.concatenate(subjects), np.concatenate([r.person for r in found.values()])

    def pairs(keys: np.ndarray) -> int:
        counts = np.unique(keys, axis=0, return_counts=True)[1]
        return int((counts * (counts - 1) // 2).sum())

    both = pairs(np.stack([subject, person], axis=1))
    return Quality(both / max(pairs(subject[:, None]), 1), both / pairs(person[:, None]))


@pytest.fixture(scope="module")
def found() -> dict[str, Register]:
    return registers(2000, 7)


def test_without_any_key_two_thousand_people_are_linked(
    found: dict[str, Register], tmp_path: Path
) -> None:
    vault = Vault.open(tmp_path)
    figures = unite(vault, tables(found), LINKAGE)
    reached = quality(vault, found)
    assert reached.precision >= 0.99
    assert reached.f1 >= 0.97
    assert figures["merged_by_linkage"] > 3000
    # The model says nothing of a person, and a second run finds nothing more.
    model = (tmp_path / MODEL).read_text(encoding="utf-8")
    assert not any(name.casefold() in model for name in ("martin", "dupont", "aïcha"))
    before = vault.resolve("social", found["social"].table["id"]).tolist()
    assert unite(vault, tables(found), LINKAGE)["merged_by_linkage"] == 0
    assert vault.resolve("social", found["social"].table["id"]).tolist() == before


def test_keys_and_likeness_together_and_the_same_twice(
    found: dict[str, Register], tmp_path: Path
) -> None:
    monkeyed = []
    for place in ("one", "two"):
        folder = tmp_path / place
        folder.mkdir()
        (folder / "identity.key").write_text("ab" * 32 + "\n", encoding="ascii")
        vault = Vault.open(folder)
        exact = unite(vault, tables(found, "nir", "social"), IdentitySettings())
        alone = quality(vault, found)
        figures = unite(vault, tables(found, "nir", "social"), LINKAGE)
        reached = quality(vault, found)
        assert alone.recall < 0.9
        assert reached.precision >= 0.99
        assert reached.f1 >= 0.98
        assert exact["merged_by_linkage"] == 0
        monkeyed.append((figures, vault.resolve("health", found["health"].table["id"]).tolist()))
        vault.close()
    assert monkeyed[0] == monkeyed[1]
    # No record lies readable in the vault.
    for file in (tmp_path / "one").iterdir():
        content = file.read_bytes()
        for value in ('birth_date": "19', "Dupont", "DUPONT"):
            assert value.encode() not in content or file.name == MODEL


def people(*rows: dict[str, str | None]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table(
        {
            (column(name) if name in ATTRIBUTES else name): pa.array(
                [row.get(name) for row in rows], pa.string()
            )
            for name in names
        }
    )


def crowd(found: dict[str, Register]) -> list[pa.Table]:
    """A few hundred rows, so that the model has something to learn from."""
    return [table.slice(0, 300) for table in tables(found)]


def test_two_files_of_one_service_are_reviewed_not_merged(
    found: dict[str, Register], tmp_path: Path
) -> None:
    vault = Vault.open(tmp_path)
    twins = {"first_name": "Zénobie", "last_name": "Quattrocento", "birth_date": "1951-02-03"}
    pair = people({"social": "D-1", **twins}, {"social": "D-2", **twins})
    unite(vault, [*crowd(found), pair], LINKAGE)
    one, other = vault.resolve("social", ["D-1", "D-2"]).tolist()
    assert one != other
    listed = [pair for pair in open_pairs(vault) if {one, other} == set(pair.subjects)]
    assert [pair.reason for pair in listed] == ["conflict"]
    assert listed[0].said[0][0]["last_name"] == "Quattrocento"
    act = accept(vault, listed[0].number)
    assert len(set(vault.resolve("social", ["D-1", "D-2"]).tolist())) == 1
    assert vault.owners()
    # Taken back, the pair is two for good, whatever the model says.
    vault.undo(act.number)
    unite(vault, [*crowd(found), pair, people({"health": "S-9", **twins})], LINKAGE)
    assert len(set(vault.resolve("social", ["D-1", "D-2"]).tolist())) == 2


def test_merges_without_their_note_do_not_stay(found: dict[str, Register], tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    with vault.transaction() as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON notes BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    with pytest.raises(sqlite3.IntegrityError, match="full"):
        unite(vault, crowd(found), LINKAGE)
    assert vault.acts() == []
    assert vault.owners() == {}
    assert vault.rows("SELECT * FROM reviews") == []
    with vault.transaction() as connection:
        connection.execute("DROP TRIGGER full")
    merged = unite(vault, crowd(found), LINKAGE)["merged_by_linkage"]
    assert merged == len(vault.acts()) > 0


def test_a_refused_pair_does_not_come_back(found: dict[str, Register], tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    twins = {"first_name": "Zénobie", "last_name": "Quattrocento", "birth_date": "1951-02-03"}
    rows = people({"social": "D-1", **twins}, {"social": "D-2", **twins})
    unite(vault, [*crowd(found), rows], LINKAGE)
    pair = next(p for p in open_pairs(vault) if p.said[0][0]["first_name"] == "Zénobie")
    refuse(vault, pair.number)
    lower = IdentitySettings(linkage=LinkageSettings(merge_above=0.9))
    unite(vault, [*crowd(found), rows], lower)
    assert pair.number not in [one.number for one in open_pairs(vault)]
    assert len(set(vault.resolve("social", ["D-1", "D-2"]).tolist())) == 2


def test_without_splink_the_remedy_is_said(found: dict[str, Register], tmp_path: Path) -> None:
    script = f"""
import sys
sys.modules["splink"] = None
import pyarrow as pa
from features.errors import ConfigurationError
from features.identity import Vault
from features.identity.people import unite
from features.identity.records import column
from features.settings import IdentitySettings, LinkageSettings
table = pa.table({{"a": ["1", "2"], column("first_name"): ["x", "y"]}})
vault = Vault.open({str(tmp_path / "v")!r})
unite(vault, [table], IdentitySettings())
try:
    unite(vault, [table], IdentitySettings(linkage=LinkageSettings()))
except ConfigurationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "pip install 'jalon[linkage]'" in done.stdout, done.stderr


def test_blocks_of_attributes_nobody_has_are_refused(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    only = IdentitySettings(linkage=LinkageSettings(block_on=[["email"]]))
    rows = people({"a": "1", "first_name": "Ana"}, {"b": "2", "first_name": "Ana"})
    with pytest.raises(ConfigurationError, match="block_on"):
        unite(vault, [rows], only)


def test_every_run_leaves_a_trace_without_identity(
    found: dict[str, Register], tmp_path: Path
) -> None:
    vault = Vault.open(tmp_path)
    unite(vault, crowd(found), LINKAGE)
    lines = (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    acts = [json.loads(line)["act"] for line in lines]
    assert acts == ["estimate", "link"]
    assert set(json.loads(lines[1])) == {"at", "by", "act", "merges", "for_review"}
