"""Parquet, Excel and SQLite: typed or text columns, row numbers, and files that are not theirs."""

from __future__ import annotations

import datetime as dt
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

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


HEADERLESS = (
    "R1;0612345678;Martin;0612345678;2024-03-01\nR2;0698765432;Durand;0698765432;2024-03-02\n"
)


def test_a_file_without_a_header_shows_none_of_its_cells(tmp_path: Path) -> None:
    file = tmp_path / "rdv.csv"
    file.write_text(HEADERLESS)
    with pytest.raises(DataError, match=r"a header that repeats 1 of its 5 names") as caught:
        open_reader("csv", file, ReaderOptions(delimiter=";"))
    assert "0612345678" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (["R1", "0612345678", "Martine"], ["martine", "id"]),
        (["Martine", "Paul"], ["martines", "id"]),
        (["id", "0612345678", "Martine"], ["martine", "id"]),
        (["id", "x@y.fr"], ["x@y_fr", "id"]),
        (["id", "2024-03-01"], ["2024-03-02", "id"]),
    ],
)
def test_no_cell_of_a_first_row_of_values_is_proposed(header: list[str], wanted: list[str]) -> None:
    error = missing_column(Path("rdv.csv"), header, wanted)
    assert error is not None
    assert "id you mean" not in str(error)
    assert f"{len(header)} other columns" in str(error)


def test_a_parquet_file_of_long_texts_is_read_in_small_batches(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    long = "x" * 100_000
    rows: list[str | None] = [long, None] * 1_500
    table = pa.table({"a": rows, "n": range(3_000), "c": pa.array(rows).dictionary_encode()})
    pq.write_table(table, file, row_group_size=2_000)
    reader = open_reader("parquet", file, ReaderOptions(max_ratio=1_000_000))
    batches = list(reader.batches(["n", "a", "c"]))
    assert [number for b in batches for number in b.rows] == list(range(1, 3_001))
    assert [n for b in batches for n in b.table["n"].to_pylist()] == list(range(3_000))
    for name in ("a", "c"):
        assert [text for b in batches for text in b.table[name].to_pylist()] == rows
    assert len(batches) > 3
    assert max(b.table.nbytes for b in batches) < 70 << 20


@pytest.mark.parametrize("dictionary", [True, False])
def test_parquet_batches_are_as_large_as_they_may_be(tmp_path: Path, dictionary: bool) -> None:
    file = tmp_path / "x.parquet"
    table = pa.table({"a": list(range(300_000)), "b": [f"c{n % 7}" for n in range(300_000)]})
    pq.write_table(table, file, row_group_size=10_000, use_dictionary=dictionary)
    batches = list(open_reader("parquet", file, OPTIONS).batches(["a", "b"]))
    assert len(batches) == 2
    assert pa.concat_tables([b.table for b in batches]).equals(table)


PEAK = """
import resource, sys
from pathlib import Path
from typing import Any
from features.errors import DataError
from features.settings import ReaderOptions
from features.sources import open_reader
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
reader = open_reader("parquet", Path(sys.argv[1]), ReaderOptions(max_ratio=int(sys.argv[2])))
before, rows, said = peak(), 0, "read"
try:
    for batch in reader.batches(["a"]):
        rows += batch.table.num_rows
except DataError as error:
    said = str(error)
print(peak() - before, rows, said)
"""


def swollen(file: Path, how: str) -> None:
    """A few kilobytes that stand for gigabytes."""
    text = "".join(chr(97 + n * n % 23) for n in range(12_000))
    if how == "zstd":
        table = pa.table({"a": ["x" * 1_000_000] * 400})
        pq.write_table(table, file, compression="zstd", use_dictionary=False)
        return
    coded: Any = {"use_dictionary": True}
    if how == "delta":
        coded = {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}}
    # The second row group has other texts besides: they alone do not make it harmless.
    others = [f"{n:04d}" * 5 for n in range(1_000)]
    table = pa.table({"a": pa.array([*[text] * 30_000, *others, *[text] * 29_000])})
    if how == "list":
        table = pa.table({"a": pa.array([[text]] * 60_000)})
    pq.write_table(table, file, compression="zstd", row_group_size=30_000, **coded)


@pytest.mark.parametrize("how", ["dictionary", "delta", "zstd", "list"])
def test_a_small_parquet_file_that_stands_for_gigabytes_is_refused(
    tmp_path: Path, how: str
) -> None:
    file = tmp_path / "x.parquet"
    swollen(file, how)
    assert file.stat().st_size < 50_000
    for ratio, refused in ((1000, True), (1 << 30, False)):
        ran = subprocess.run(
            [sys.executable, "-c", PEAK, str(file), str(ratio)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
        )
        taken, rows, said = ran.stdout.split(maxsplit=2)
        assert ("at most 1000 bytes of content for each byte" in said) == refused, said
        assert refused or int(rows) == (400 if how == "zstd" else 60_000), said
        assert int(taken) < (600 if how != "zstd" else 1_000), (how, ratio, taken)
