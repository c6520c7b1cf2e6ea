"""Replay: rows set aside become events once the mapping is mended, with or without the export."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.aside_files import aside_files, drop_persons, rename_persons, rows_of_persons
from features.aside_list import aside_list
from features.errors import DataError
from features.identity import Vault
from features.ingest import ingest
from features.replay import retry
from features.sealed_rows import Seal, raw_rows, table_of
from features.set_aside import PURPOSE, Refusal, SetAside
from features.territory import Territory
from features.timelines import Timelines

TERRITORY = """\
features:
  observation: {since: 2020-01-01, until: 2026-01-01}
  buckets: 2
  sources:
    social:
      service: social
      reader: csv
      options: {delimiter: ";"}
      formats: ["%d/%m/%Y"]
      person: {system: social, columns: dossier}
      tables:
        - path: "rdv.csv"
          row_key: id
          contract: {heures: {type: number, max: 35}, id: {unique: true}}
          events:
            - code: "CONTACT//APPOINTMENT//{statut}"
              values: {statut: {HON: SEEN, ABS: NOSHOW}}
              time: le
              recorded_at: saisi
"""
ROWS = [
    "r1;D1;01/03/2025;02/03/2025;HON;3",
    "r2;D2;01/03/2025;02/03/2025;INC;3",
    "r3;D3;2025-03-01;02/03/2025;ABS;3",
    "r4;D4;01/03/2025;02/03/2025;ABS;99",
    "r1;D1;01/03/2025;02/03/2025;HON;4",
    "r5;D5;01/03/2025;02/03/2025;INC;3;;",
    "r6;D6;01/03/2025;02/03/2025;ABS;",
]
HEADER = "id;dossier;le;saisi;statut;heures"
MENDED = (
    TERRITORY.replace("ABS: NOSHOW", "ABS: NOSHOW, INC: UNKNOWN")
    .replace('["%d/%m/%Y"]', '["%d/%m/%Y", iso]')
    .replace("max: 35", "max: 100")
)


KILLED = """\
import os, signal, sys
from features.replay import retry
from features.set_aside import SetAside
from features.territory import Territory
from features.timelines import Timelines

file, home, place = sys.argv[1:]
owner, name = (Timelines, "append") if place == "append" else (SetAside, "finish")
call = getattr(owner, name)

def dying(*args, **kwargs):
    call(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, dying)
retry(Territory.open(file, home=home, data=home))
"""
"""A retry that is killed once the events are in, or once the rows set aside are replaced."""


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JALON_KEY", raising=False)


def opened(folder: Path, text: str = TERRITORY, home: str = "home") -> Territory:
    file = folder / "town.yaml"
    file.write_text(text)
    return Territory.open(file, home=folder / home, data=folder / "exports")


def exported(folder: Path, rows: list[str] = ROWS) -> Territory:
    (folder / "exports").mkdir(exist_ok=True)
    (folder / "exports" / "rdv.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return opened(folder)


def events_of(territory: Territory) -> list[dict[str, Any]]:
    """Without pseudonyms: two work folders have two keys."""
    found = Timelines.open(territory.home / "timelines").read()
    return sorted(
        found.drop_columns(["subject_id"]).to_pylist(), key=lambda row: str(row["event_id"])
    )


def aside_of(territory: Territory) -> set[tuple[int, str, str | None]]:
    files = sorted((territory.home / "set-aside").glob("*.parquet"))
    rows = pa.concat_tables([pq.read_table(file) for file in files]).to_pylist() if files else []
    return {(row["row"], row["reason"], row["column"]) for row in rows}


def figures_of(territory: Territory) -> dict[str, Any]:
    report = json.loads((territory.home / "reports" / "ingest.json").read_text("utf-8"))
    found: dict[str, Any] = report["sources"]["social"]
    return found


def test_what_the_mended_mapping_takes_becomes_events_when_the_export_is_gone(
    tmp_path: Path,
) -> None:
    first = exported(tmp_path)
    ingest(first)
    assert aside_of(first) == {
        (2, "unknown_code", "statut"),
        (3, "bad_date", "le"),
        (4, "contract", "heures"),
        (5, "contract", "id"),
        (6, "wrong_number_of_columns", None),
    }
    shutil.rmtree(tmp_path / "exports")
    done = retry(opened(tmp_path, MENDED))
    assert (done.rows, done.mapped, done.events, done.failures) == (5, 3, 3, [])
    assert done.aside == {"contract": 1, "wrong_number_of_columns": 1}
    assert aside_of(first) == {(5, "contract", "id"), (6, "wrong_number_of_columns", None)}
    figures = figures_of(first)
    assert (figures["rows"], figures["events"], figures["rows_set_aside"]) == (7, 5, 2)
    assert figures["unknown_codes"] == {}
    assert [table["gone"] for table in figures["tables"]] == [True]

    clean = tmp_path / "clean"
    clean.mkdir()
    exported(clean)
    ingest(opened(clean, MENDED))
    assert events_of(first) == events_of(opened(clean, MENDED))


def test_a_second_retry_changes_nothing(tmp_path: Path) -> None:
    first = exported(tmp_path)
    ingest(first)
    town = opened(tmp_path, MENDED)
    retry(town)
    events, figures = events_of(town), figures_of(town)
    content = [file.read_bytes() for file in sorted((town.home / "set-aside").glob("*"))]
    again = retry(town)
    assert (again.mapped, again.events, again.duplicates) == (0, 0, 0)
    assert (events_of(town), figures_of(town)) == (events, figures)
    assert [f.read_bytes() for f in sorted((town.home / "set-aside").glob("*"))] == content


def test_without_a_mended_mapping_every_row_stays_with_its_reason(tmp_path: Path) -> None:
    town = exported(tmp_path)
    ingest(town)
    before, figures = aside_of(town), figures_of(town)
    assert retry(town).mapped == 0
    assert aside_of(town) == before
    assert figures_of(town) == figures


def test_an_ingest_after_a_retry_counts_no_row_twice(tmp_path: Path) -> None:
    ingest(exported(tmp_path))
    town = opened(tmp_path, MENDED)
    retry(town)
    report = ingest(town)
    assert report.added == 0
    figures = figures_of(town)
    assert (figures["rows"], figures["events"], figures["duplicates"]) == (7, 0, 5)
    assert figures["rows_set_aside"] == 2


@pytest.mark.parametrize("place", ["append", "replace"])
def test_a_retry_that_is_killed_and_begun_again_ends_as_one_that_was_not(
    tmp_path: Path, place: str
) -> None:
    ingest(exported(tmp_path))
    town = opened(tmp_path, MENDED)
    shutil.copytree(town.home, tmp_path / "other")
    retry(town)
    other = opened(tmp_path, MENDED, "other")
    arguments = [sys.executable, "-c", KILLED, str(other.file), str(other.home), place]
    ended = subprocess.run(arguments, check=False, cwd=Path.cwd())
    assert ended.returncode == -signal.SIGKILL
    retry(other)
    assert events_of(other) == events_of(town)
    assert aside_of(other) == aside_of(town)
    assert figures_of(other)["rows_set_aside"] == 2


def test_a_line_that_could_not_be_split_is_read_with_the_corrected_options(
    tmp_path: Path,
) -> None:
    rows = [ROWS[0], "r7;D7;01/03/2025;02/03/2025;ABS;'1;5'"]
    town = exported(tmp_path, rows)
    ingest(town)
    assert aside_of(town) == {(2, "wrong_number_of_columns", None)}
    quoted = TERRITORY.replace('";"}', '";", quote: "\'"}').replace("type: number, max: 35", "")
    done = retry(opened(tmp_path, quoted))
    assert (done.mapped, done.events, aside_of(town)) == (1, 1, set())


def test_a_row_that_lacks_a_column_now_needed_waits_for_the_export(tmp_path: Path) -> None:
    ingest(exported(tmp_path))
    more = MENDED.replace(
        "recorded_at: saisi", "recorded_at: saisi\n              reference: motif"
    )
    done = retry(opened(tmp_path, more))
    assert (done.mapped, done.not_kept) == (0, 3)
    assert done.aside.total() == 5


def test_rows_of_another_key_are_named_and_left(tmp_path: Path) -> None:
    town = exported(tmp_path)
    ingest(town)
    before = aside_of(town)
    shutil.rmtree(town.home / "identity")
    done = retry(opened(tmp_path, MENDED))
    assert len(done.failures) == 1
    assert "Restore the vault's key" in done.failures[0]
    assert aside_of(town) == before


def test_nothing_ingested_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"jalon ingest"):
        retry(exported(tmp_path))


def test_a_person_s_rows_are_told_by_pseudonym_and_can_be_erased_or_renamed(
    tmp_path: Path,
) -> None:
    town = exported(tmp_path)
    ingest(town)
    vault = Vault.open(town.home / "identity")
    two, three = (str(one) for one in vault.issued("social", ["D2", "D3"]))
    secret = vault.secret_for(PURPOSE)
    vault.close()
    folder = town.home / "set-aside"
    persons = {row["person"] for file in aside_files(folder) for t in file.tables()
               for row in t.to_pylist()}  # fmt: skip
    assert {two, three} < persons
    [own] = rows_of_persons(folder, {three}, secret)
    assert (own["row"], own["reason"], own["raw"]["le"]) == (3, "bad_date", "2025-03-01")
    assert rename_persons(folder, {two: "22"}, "rotation 1") == 1
    assert rename_persons(folder, {two: "33"}, "rotation 1") == 0
    assert drop_persons(folder, {"22"}) == 1
    assert (2, "unknown_code", "statut") not in aside_of(town)
    assert len(aside_of(town)) == 4


def test_an_erased_person_s_row_keeps_nothing(tmp_path: Path) -> None:
    town = exported(tmp_path)
    vault = Vault.open(town.home / "identity")
    subject = int(vault.adopt("social", ["D2"])[0][0])
    vault.forget(subject)
    vault.close()
    ingest(town)
    kept = {
        row["row"]: (row["person"], row["raw"], row["coded"])
        for file in aside_files(town.home / "set-aside")
        for table in file.tables()
        for row in table.to_pylist()
    }
    assert kept.get(2, (None, None, None)) == (None, None, None)
    assert kept[3][0] is not None


def test_the_list_tells_rows_by_reason_with_the_remedy_in_both_languages(tmp_path: Path) -> None:
    town = exported(tmp_path)
    ingest(town)
    french = aside_list(town.home / "set-aside", "fr")
    said = {(line.reason, line.column, line.said, line.rows) for line in french.lines}
    assert ("contract", "heures", "valeur contraire au contrat de la table: valeur "
            "au-dessus du maximum", 1) in said  # fmt: skip
    assert french.as_dict()["rows"] == 5
    assert "      1  valeur contraire au contrat" in french.text()
    assert "\n               1  social, rdv.csv: statut\n" in french.text()
    english = aside_list(town.home / "set-aside", "en")
    assert "Add the code to “values”, then run again with --retry." in {
        line.remedy for line in english.lines
    }
    assert aside_list(tmp_path / "none", "fr").lines == ()


columns = st.fixed_dictionaries(
    {
        "t": st.tuples(st.just(pa.string()), st.text()),
        "i": st.tuples(st.just(pa.int64()), st.integers(-(2**60), 2**60)),
        "f": st.tuples(st.just(pa.float64()), st.floats(allow_nan=False)),
        "b": st.tuples(st.just(pa.bool_()), st.booleans()),
        "d": st.tuples(st.just(pa.date32()), st.dates()),
        "u": st.tuples(
            st.just(pa.timestamp("us", "Europe/Paris")),
            st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2200, 1, 1)),
        ),
    }
)


@given(columns, st.sampled_from(["t", "i", "f", "b", "d", "u"]))
def test_a_raw_row_comes_back_as_it_was_read(
    row: dict[str, tuple[pa.DataType, Any]], missing: str
) -> None:
    values = {name: (kind, None if name == missing else v) for name, (kind, v) in row.items()}
    table = pa.table({name: pa.array([v], kind) for name, (kind, v) in values.items()})
    seal = Seal(b"s" * 32, "here")
    [text] = raw_rows(table, [0])
    again = json.loads(seal.open(seal.close(text)))
    assert table_of([again], table.column_names).equals(table)


def test_rows_set_aside_before_stay_when_a_table_is_read_on(tmp_path: Path) -> None:
    secret = b"s" * 32
    place = (tmp_path, "social", "visits", "base")

    def row(number: int) -> Refusal:
        raw = json.dumps({"row": {"id": f"v{number}"}})
        return Refusal(number, "bad_date", "day", raw=raw)

    first = SetAside(*place, secret)
    first.refuse([row(1), row(2)])
    first.finish()
    on = SetAside(*place, secret, keep=True)
    on.refuse([row(2), row(3)])
    on.finish()
    [file] = aside_files(tmp_path)
    assert sorted(n for table in file.tables() for n in table["row"].to_pylist()) == [1, 2, 3]
    assert file.mark == Seal(secret, *place[1:]).mark
    whole = SetAside(*place, secret)
    whole.finish()
    assert aside_files(tmp_path) == []
    assert PURPOSE == "set-aside"
