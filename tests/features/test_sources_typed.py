"""Parquet, Excel and SQLite: typed or text columns, row numbers, and files that are not theirs."""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import DataError
from features.settings import ReaderOptions
from features.sources import missing_column, open_reader

OPTIONS = ReaderOptions(nulls=["", "NULL"])


def rows_of(kind: str, file: Path, columns: list[str], part: str | None = None) -> list[object]:
    reader = open_reader(kind, file, OPTIONS, part=part)
    found: list[object] = []
    for batch in reader.batches(columns):
        rows = batch.table.to_pylist()
        found += [
            (int(number), *row.values()) for number, row in zip(batch.rows, rows, strict=True)
        ]
    return found


def test_parquet_keeps_types(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    table = pa.table({"a": [1, 2], "b": ["x", None], "c": [dt.date(2024, 1, 1)] * 2})
    pq.write_table(table, file)
    assert open_reader("parquet", file, OPTIONS).names == ("a", "b", "c")
    day = dt.date(2024, 1, 1)
    assert rows_of("parquet", file, ["c", "a", "b"]) == [(1, day, 1, "x"), (2, day, 2, None)]


def test_a_parquet_file_damaged_in_the_middle_is_said(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [str(n) for n in range(50_000)]}), file)
    content = bytearray(file.read_bytes())
    content[1000:60_000] = b"\xff" * 59_000
    file.write_bytes(content)
    with pytest.raises(DataError, match="a Parquet file"):
        rows_of("parquet", file, ["a"])


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "x.sqlite"
    connection = sqlite3.connect(file)
    connection.execute('CREATE TABLE "rendez vous" (id INTEGER, "le ""jour" TEXT, montant REAL)')
    connection.executemany(
        'INSERT INTO "rendez vous" VALUES (?, ?, ?)',
        [(1, "2024-01-01", 12.5), (2, None, None), (3, "NULL", 4)],
    )
    connection.commit()
    connection.close()
    return file


def test_sqlite_gives_text(database: Path) -> None:
    assert rows_of("sqlite", database, ["id", 'le "jour', "montant"], "rendez vous") == [
        (1, "1", "2024-01-01", "12.5"),
        (2, "2", None, None),
        (3, "3", "NULL", "4.0"),
    ]


def test_sqlite_bytes_that_are_no_text_are_noted(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE t (a TEXT, b TEXT)")
    connection.execute("INSERT INTO t VALUES ('1', CAST(X'E9' AS TEXT)), ('2', 'é')")
    connection.commit()
    connection.close()
    (batch,) = open_reader("sqlite", file, OPTIONS, part="t").batches(["a", "b"])
    assert batch.table.to_pylist() == [{"a": "2", "b": "é"}]
    assert batch.rows.tolist() == [2]
    assert [(one.row, one.reason, one.column) for one in batch.aside] == [(1, "bad_encoding", "b")]


def test_a_table_that_is_not_there_names_those_that_are(database: Path) -> None:
    with pytest.raises(DataError, match=r"table 'rdv'. Expected one of its tables; got rendez v"):
        open_reader("sqlite", database, OPTIONS, part="rdv")


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    file = tmp_path / "x.xlsx"
    book = openpyxl.Workbook()
    sheet = book.create_sheet("stagiaires")
    for row in (
        ["id", "nir", "le", "heures"],
        ["F1", 253072000000000, dt.datetime(2024, 3, 5, 14, 30), 12.5],
        [None, None, None, None],
        ["F2", "NULL", "05/03/2024", True],
    ):
        sheet.append(row)
    book.save(file)
    return file


def test_excel_gives_text_and_passes_over_empty_rows(workbook: Path) -> None:
    columns = ["id", "nir", "le", "heures"]
    assert rows_of("excel", workbook, columns, "stagiaires") == [
        (1, "F1", "253072000000000", "2024-03-05T14:30:00", "12.5"),
        (3, "F2", None, "05/03/2024", "True"),
    ]


def test_a_sheet_that_is_not_there_or_empty_is_said(workbook: Path) -> None:
    with pytest.raises(DataError, match=r"sheet 'personnes'\. Expected one of its sheets"):
        open_reader("excel", workbook, OPTIONS, part="personnes")
    with pytest.raises(DataError, match="column names in the first row"):
        open_reader("excel", workbook, OPTIONS, part="Sheet")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("parquet", "a Parquet file"),
        ("excel", "an Excel workbook"),
        ("sqlite", "an SQLite database"),
        ("jsonl", "a JSON object on each line"),
    ],
)
def test_a_file_of_another_kind_is_said(tmp_path: Path, kind: str, expected: str) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"a;b\n1;2\n" * 100)
    with pytest.raises(DataError) as caught:
        open_reader(kind, file, OPTIONS, part="t")
    assert f"Expected {expected}" in str(caught.value)


@pytest.mark.parametrize("kind", ["csv", "excel", "jsonl", "parquet", "sqlite"])
def test_an_empty_file_is_said(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "x"
    file.touch()
    with pytest.raises(DataError, match="got an empty file"):
        open_reader(kind, file, OPTIONS)


def test_a_column_that_is_not_there_names_the_nearest() -> None:
    error = missing_column(Path("rdv.csv"), ["id_rdv", "date_rdv"], ["date_rvd", "id_rdv"])
    assert "'date_rvd'" in str(error)
    assert "Did you mean 'date_rdv' for 'date_rvd'?" in str(error)
    assert missing_column(Path("rdv.csv"), ["a"], ["a"]) is None
