"""A NIR, an e-mail or a telephone number in any field of any source stays in the vault's folder."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.once

PLANTED = {
    "nir": "253072B07300470",
    "spaced": "2 53 07 2B 073 004 70",
    "mail": "jeanne.martin@exemple.fr",
    "phone": "0612345678",
    "dotted": "06.12.34.56.78",
    "abroad": "+33612345678",
}
COLUMNS = ("id", "dossier", "statut", "le", "saisi", "fin", "heures", "motif", "sujet", "remarque")
GOOD = ("r0", "D0", "HON", "2025-03-01", "2025-03-02", "2025-04-01", "3", "A", "s0", "rien")
SOURCE = """\
    {name}:
      service: {name}
      reader: {reader}
      person: {{system: {name}, columns: dossier}}
      persons:
        - {{path: "{path}", keys: {{{name}: dossier, nir: nir}}{part}}}
      tables:
        - path: "{path}"
          row_key: id{part_line}
          contract: {{remarque: {{required: true}}}}
          events:
            - code: "CONTACT//APPOINTMENT//{{statut}}"
              values: {{statut: {{HON: SEEN, ABS: NOSHOW}}}}
              time: le
              recorded_at: saisi
              end_time: fin
              numeric_value: heures
              text_value: motif
              reference: sujet
"""
SOURCES = {
    "delimited": ("csv", "rdv.csv", None),
    "zipped": ("csv", "exports.zip/*/rdv.csv", None),
    "gzipped": ("csv", "rdv.csv.gz", None),
    "lines": ("jsonl", "rdv.jsonl", None),
    "sheets": ("excel", "rdv.xlsx", "rdv"),
    "columns": ("parquet", "rdv.parquet", None),
    "base": ("sqlite", "rdv.sqlite", "rdv"),
}


def rows() -> list[dict[str, str]]:
    """Good rows, and every planted value in every field in turn, whole and within a sentence."""
    made = [dict(zip(COLUMNS, GOOD, strict=True))]
    for kind, value in PLANTED.items():
        for column in COLUMNS:
            for said in (value, f"voir {value} svp"):
                row = dict(zip(COLUMNS, GOOD, strict=True))
                row |= {"id": f"{kind}{len(made)}", "dossier": f"D{len(made)}", column: said}
                made.append(row)
    return [{**row, "nir": PLANTED["nir"] if n == 1 else ""} for n, row in enumerate(made)]


def delimited() -> bytes:
    lines = [";".join(row.values()) for row in rows()]
    lines += [f'{PLANTED["mail"]};D1;"{PLANTED["nir"]}', f"{PLANTED['phone']};;;"]
    return "\n".join([";".join([*COLUMNS, "nir"]), *lines, ""]).encode()


def write_exports(folder: Path) -> None:
    folder.mkdir()
    made = rows()
    (folder / "rdv.csv").write_bytes(delimited())
    (folder / "rdv.csv.gz").write_bytes(gzip.compress(delimited()))
    with zipfile.ZipFile(folder / "exports.zip", "w") as archive:
        archive.writestr("2025/rdv.csv", delimited())
    lines = [json.dumps(row) for row in made] + ['{"id": "' + PLANTED["mail"]]
    (folder / "rdv.jsonl").write_text("\n".join(lines) + "\n")
    pq.write_table(pa.Table.from_pylist(made), folder / "rdv.parquet")
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.title = "rdv"
    for line in ([*made[0]], *(list(row.values()) for row in made)):
        sheet.append(line)
    book.save(folder / "rdv.xlsx")
    with sqlite3.connect(folder / "rdv.sqlite") as base:
        names = [*made[0]]
        base.execute(f"CREATE TABLE rdv ({', '.join(names)})")
        marks = ", ".join("?" * len(names))
        base.executemany(f"INSERT INTO rdv VALUES ({marks})", [list(r.values()) for r in made])
    base.close()


def territory() -> str:
    text = "features:\n  observation: {since: 2020-01-01, until: 2026-01-01}\n  sources:\n"
    for name, (reader, path, part) in SOURCES.items():
        word = "sheet" if reader == "excel" else "table"
        said = SOURCE.format(
            name=name,
            reader=reader,
            path=path,
            part=f", {word}: {part}" if part else "",
            part_line=f"\n          {word}: {part}" if part else "",
        )
        if reader == "csv":
            said = said.replace("reader: csv", 'reader: csv\n      options: {delimiter: ";"}')
        text += said
    return text


def contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Everything outside the vault: each file's bytes, and what compression hides of it."""
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or "identity" in file.relative_to(folder).parts[:1]:
            continue
        content = file.read_bytes()
        yield file, str(file.relative_to(folder)).encode() + b"\n" + content
        if file.suffix == ".parquet":
            table = pq.read_table(io.BytesIO(content))
            yield file, repr([table.schema.metadata, *table.to_pylist()]).encode()
        if content.startswith(b"SQLite format 3"):
            with sqlite3.connect(file) as base:
                yield file, "\n".join(base.iterdump()).encode()
            base.close()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[Path, bytes]]]:
    folder = tmp_path_factory.mktemp("planted")
    write_exports(folder / "exports")
    (folder / "territory.yaml").write_text(territory())
    said = []
    for option in ([], ["--set-aside"], ["--retry"], ["--json"]):
        ran = subprocess.run(
            [sys.executable, "-m", "jalon", "ingest", str(folder / "territory.yaml"), *option,
             "--home", str(folder / "home"), "--data", str(folder / "exports")],
            capture_output=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        said.append((Path(" ".join(["said", *option])), ran.stdout + ran.stderr))
    return folder, said


def test_nothing_planted_is_found_outside_the_vault(
    played: tuple[Path, list[tuple[Path, bytes]]],
) -> None:
    folder, said = played
    met = 0
    for file, content in [*contents(folder / "home"), *said]:
        met += 1
        for value in PLANTED.values():
            for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
                assert value.encode(encoding) not in content, file
    assert met > 30


def test_looking_and_acting_at_once_is_refused(
    played: tuple[Path, list[tuple[Path, bytes]]],
) -> None:
    file = str(played[0] / "territory.yaml")
    arguments = [sys.executable, "-m", "jalon", "ingest", file, "--retry", "--set-aside"]
    ran = subprocess.run(arguments, capture_output=True, check=False, text=True)
    assert ran.returncode == 2
    assert "one of --retry, --set-aside and --dry-run" in ran.stderr


def test_the_rows_are_all_accounted_for(played: tuple[Path, list[tuple[Path, bytes]]]) -> None:
    folder, _ = played
    report = json.loads((folder / "home" / "reports" / "ingest.json").read_text("utf-8"))
    assert report["failures"] == []
    assert set(report["sources"]) == set(SOURCES)
    for source in report["sources"].values():
        [table] = source["tables"]
        aside = sum(table["set_aside"].values())
        assert table["rows"] == table["mapped"] + table["without_event"] + aside
        assert table["rows"] >= len(rows())
        assert source["set_aside"]["identity_in_field"] > 0
    kept = [pq.read_table(file) for file in (folder / "home" / "set-aside").glob("*.parquet")]
    assert sum(table["raw"].null_count for table in kept) < sum(t.num_rows for t in kept)
