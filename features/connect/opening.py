"""What lies at a place: which reader each file takes, and how it is written."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from features.connect.databases import database_tables
from features.errors import ConfigurationError, DataError, JalonError
from features.presets import preset_names
from features.settings import ReaderOptions
from features.sources import Origin, SourceFile, readable
from features.sources.finding import find_files, names_a_person
from features.sources.sniffing import sniff

__all__ = ["Found", "Place", "look_around"]

MOST = 30
"""Tables that are looked at in one place."""

BEGINNING = 1 << 16
XML = {b"Racine": "caf", b"log": "xes"}
"""Readers of XML by the name of the root."""

CODES = "metadata/codes.parquet"
SHARDS = "data/**/*.parquet"
"""How a MEDS dataset lies."""

NOT_DATA = (".md", ".pdf", ".doc", ".docx", ".html", ".yaml", ".yml", ".py", ".toml", ".lock")


@dataclass(frozen=True)
class Found:
    """One table of a place.

    Attributes:
        file: What is read.
        kind: The reader.
        path: As a mapping names it, relative to the folder of the exports; a database's table.
        part: The table of a database, or the sheet of a workbook.
        options: Those that are not the default.
    """

    file: Origin
    kind: str
    path: str
    part: str | None = None
    options: dict[str, str] = field(default_factory=dict)

    @property
    def reader_options(self) -> ReaderOptions:
        """The options, for a reader."""
        chosen: Any = self.options
        return ReaderOptions(**chosen)


@dataclass(frozen=True)
class Place:
    """Everything found.

    Attributes:
        name: Of the place.
        tables: At most thirty.
        preset: A mapping that comes with Jalon and fits all of them.
        folder: What the preset's paths lie in.
        passed: What was not looked at, and why.
        url: The address of a database, as it was given.
    """

    name: str
    tables: tuple[Found, ...]
    preset: str | None = None
    folder: str | None = None
    passed: tuple[str, ...] = ()
    url: str | None = None


def look_around(where: str) -> Place:
    """The tables at a place, for :func:`features.connect.connect`.

    What a file is, is told from its first bytes, not from its name.

    Args:
        where: A file, an archive, a folder, or the address of a database.

    Raises:
        ConfigurationError: nothing there.
        DataError: nothing that can be read.
    """
    if "://" in where or where.startswith("${"):
        return _database(where)
    path = Path(where)
    if not path.exists():
        raise ConfigurationError(
            f"looking at '{where}'",
            expected="a file, an archive or a folder",
            got="nothing of that name",
            hint="Correct the path.",
        )
    met = list(_files(path))
    files = [file for file in met if not names_a_person(file.relative)]
    preset, folder, kept = _preset(files)
    tables: list[Found] = []
    passed: list[str] = []
    if len(files) < len(met):
        left = DataError(
            f"looking at {len(met)} files",
            expected="names without anything of a person",
            got=f"{len(met) - len(files)} shaped as a person's number, telephone or address",
            hint="Rename these files and folders.",
        )
        if not files:
            raise left
        passed.append(str(left))
    shards = _shards(files)
    for file in kept:
        if len(tables) >= MOST:
            passed.append(f"{file.relative}: more than {MOST} tables")
            continue
        try:
            tables += list(_tables(file))[: MOST - len(tables)]
        except JalonError as error:
            passed.append(str(error))
    if not tables:
        raise DataError(
            f"looking at '{where}': nothing could be read\n  " + "\n  ".join(passed),
            hint="Give the file of an export, or ask the service for it again.",
        )
    if shards is not None:
        tables = [replace(one, path=shards) for one in tables]
    if all(one.kind == "caf" for one in tables) and "caf" in preset_names():
        # Its path is every XML file of one folder: a series of months is read together.
        preset, folder = "caf", tables[0].path.rpartition("/")[0] or None
    return Place(path.name.split(".")[0] or path.name, tuple(tables), preset, folder, tuple(passed))


def _database(address: str) -> Place:
    name, tables = database_tables(address)
    found = tuple(Found(one, "sql", one.table) for one in tables[:MOST])
    passed = tuple(f"{one.table}: more than {MOST} tables" for one in tables[MOST:])
    return Place(name, found, passed=passed, url=address)


def _files(path: Path) -> Iterator[SourceFile]:
    """The files of a place; paths are relative to the folder given, or to the file's own."""
    if path.is_file():
        if not _is_archive(path):
            yield SourceFile.of(path)
            return
        found, errors = find_files(path.parent, f"{path.name}/**/*")
    else:
        found, errors = [], []
        for each in sorted(path.rglob("*")):
            inside = each.relative_to(path)
            if not each.is_file() or any(part.startswith(".") for part in inside.parts):
                continue
            if _is_archive(each):
                more, wrong = find_files(path, f"{inside.as_posix()}/**/*")
                found, errors = [*found, *more], [*errors, *wrong]
            else:
                found.append(SourceFile.of(each, inside.as_posix()))
    if errors and not found:
        raise errors[0]
    for file in found:
        last = file.relative.rsplit("/", 1)[-1].lower()
        if not last.startswith(".") and not last.endswith(NOT_DATA):
            yield file


def _is_archive(path: Path) -> bool:
    """A zip archive that is no workbook."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return "[Content_Types].xml" not in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return True


def _preset(files: list[SourceFile]) -> tuple[str | None, str | None, list[SourceFile]]:
    """A preset that fits, the folder it is taken in, and the files to look at."""
    names = {file.relative.rsplit("/", 1)[-1]: file for file in files}
    known = preset_names()
    if {"Client.csv", "Enrollment.csv", "Exit.csv"} <= set(names):
        folder = names["Client.csv"].relative.rpartition("/")[0]
        inside = [file for file in files if file.relative.rpartition("/")[0] == folder]
        return ("hmis" if "hmis" in known else None), folder or None, inside
    pattern = _shards(files)
    if pattern is not None:
        root = pattern.removesuffix(SHARDS)
        shards = [
            file
            for file in files
            if file.relative.startswith(f"{root}data/") and file.suffix == ".parquet"
        ]
        return ("meds" if "meds" in known else None), root.strip("/") or None, shards[:1]
    return None, None, files


def _shards(files: list[SourceFile]) -> str | None:
    """The path of all shards of a MEDS dataset, where the files are one."""
    codes = next((f for f in files if f.relative.endswith(CODES)), None)
    return None if codes is None else codes.relative.removesuffix(CODES) + SHARDS


def _tables(file: SourceFile) -> Iterator[Found]:
    with readable(file, "a source"), file.open() as stream:
        head = stream.read(BEGINNING)
    if not head:
        raise _refused(file, "a file with content", "an empty one", "Ask for the export again.")
    if head.startswith(b"PAR1"):
        yield Found(file, "parquet", file.relative)
    elif head.startswith(b"SQLite format 3\x00"):
        yield from _sqlite(file)
    elif head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        yield from _workbook(file)
    elif head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        yield Found(file, _xml(file, head), file.relative)
    elif head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        yield Found(file, "jsonl", file.relative)
    elif head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        hint = "Ask for one object a line (JSON lines)."
        raise _refused(file, "a table", "one JSON list", hint)
    else:
        yield _text(file)


def _text(file: SourceFile) -> Found:
    dialect = sniff(file)
    if not dialect.header:
        # Column names that are a person's values would be shown and written in the draft.
        raise _refused(
            file,
            "a first line with the names of the columns",
            "values, or names that are empty or stand twice",
            "Ask for the export with a header.",
        )
    usual = ReaderOptions()
    chosen = {
        name: getattr(dialect, name)
        for name in ("encoding", "delimiter", "quote", "decimal")
        if getattr(dialect, name) != getattr(usual, name)
    }
    return Found(file, "csv", file.relative, None, chosen)


def _xml(file: SourceFile, head: bytes) -> str:
    rest = head
    while (start := rest.find(b"<")) >= 0:
        rest = rest[start + 1 :]
        if rest[:1] not in (b"?", b"!"):
            break
    name = rest.split(b">")[0].split()[:1]
    root = name[0].rpartition(b":")[2].rstrip(b"/") if name else b""
    if root not in XML:
        known = "the monthly flow of CAF and MSA, or a XES event log"
        raise _refused(file, known, "XML of another kind", "Ask for a table.")
    return XML[root]


def _sqlite(file: SourceFile) -> Iterator[Found]:
    import sqlite3

    if file.plain is None:
        hint = "Unpack it beside the other exports."
        raise _refused(file, "an SQLite database of its own", "a compressed one", hint)
    with readable(file, "sqlite"):
        connection = sqlite3.connect(f"{file.plain.resolve().as_uri()}?mode=ro", uri=True)
        try:
            query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            names = [name for (name,) in connection.execute(query)]
        finally:
            connection.close()
    for name in names:
        if not name.startswith("sqlite_"):
            yield Found(file, "sqlite", file.relative, name)


def _workbook(file: SourceFile) -> Iterator[Found]:
    from python_calamine import CalamineError, CalamineWorkbook

    from features.sources.workbooks import check_workbook

    try:
        with file.seekable() as stream:
            check_workbook(stream, file.name)
            names = CalamineWorkbook.from_filelike(stream).sheet_names
    except CalamineError:
        raise _refused(
            file, "an Excel workbook", "other content", "Save it again as .xlsx."
        ) from None
    for name in names:
        yield Found(file, "excel", file.relative, name)


def _refused(file: SourceFile, expected: str, got: str, hint: str) -> DataError:
    return DataError(f"looking at '{file.relative}'", expected=expected, got=got, hint=hint)
