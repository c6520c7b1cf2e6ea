"""What a territory's set-aside folder holds: its files, their rows, and what may change in them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.sealed_rows import Seal

__all__ = [
    "SCHEMA",
    "AsideFile",
    "aside_files",
    "aside_path",
    "described",
    "drop_persons",
    "rename_persons",
    "rows_of_persons",
]

_COLUMNS: list[pa.Field[Any]] = [
    pa.field("source", pa.string()),
    pa.field("table", pa.string()),
    pa.field("file", pa.string()),
    pa.field("row", pa.int64()),
    pa.field("reason", pa.string()),
    pa.field("column", pa.string()),
    pa.field("rule", pa.string()),
    pa.field("coded", pa.string()),
    pa.field("person", pa.string()),
    pa.field("raw", pa.binary()),
]
SCHEMA = pa.schema(_COLUMNS)

_SAID = b"jalon.set_aside"
"""Of a file's metadata: the seal's mark, and what earlier replays made of its rows."""

_ROWS = 16_384


def described(
    place: tuple[str, ...] | None,
    mark: str | None,
    replayed: Mapping[str, int],
    unknown: Mapping[str, int],
    label: str | None = None,
) -> dict[str, str]:
    """A file's metadata.

    Args:
        place: Source, table and file.
        mark: Of the seal of its rows.
        replayed: What replays made of rows that are no longer here.
        unknown: Codes that no rule lists, in the rows that a replay left.
        label: Of the last change of pseudonyms.
    """
    said = {
        "place": place,
        "mark": mark,
        "replayed": dict(replayed),
        "unknown": dict(unknown),
        "label": label,
    }
    return {_SAID.decode(): json.dumps(said)}


class AsideFile:
    """The rows that one reading set aside, as they lie on disk.

    Args:
        path: A file of the territory's ``set-aside``.

    Attributes:
        path: The file.
        rows: How many rows it holds.
        mark: Of the seal its rows were closed with; None where none was.
        replayed: What replays made of rows that are no longer here: counts by name.
        unknown: Codes that no rule lists, in the rows that the last replay left.
        label: Of the last change of pseudonyms.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        metadata = pq.read_metadata(path)
        said = json.loads((metadata.metadata or {}).get(_SAID, b"{}"))
        self.rows = int(metadata.num_rows)
        self.mark: str | None = said.get("mark")
        self.replayed: dict[str, int] = said.get("replayed", {})
        self.unknown: dict[str, int] = said.get("unknown", {})
        self.label: str | None = said.get("label")
        self._place: list[str] | None = said.get("place")

    def tables(self) -> Iterator[pa.Table]:
        """The rows, a few thousand at a time, columns of files of an earlier format added."""
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(_ROWS):
                table = pa.Table.from_batches([batch])
                columns: dict[str, Any] = {
                    f.name: table[f.name]
                    if f.name in table.column_names
                    else pa.nulls(table.num_rows, f.type)
                    for f in SCHEMA
                }
                yield pa.table(columns, schema=SCHEMA)

    @property
    def place(self) -> tuple[str, str, str] | None:
        """Source, table and file; None for a file of an earlier format without rows."""
        if self._place is not None:
            source, table, file = self._place
            return source, table, file
        for rows in self.tables():
            first = rows.slice(0, 1).to_pylist()[0]
            return first["source"], first["table"], first["file"]
        return None

    def reasons(self) -> Counter[tuple[str, str | None, str]]:
        """How many rows by reason, column and rule."""
        found: Counter[tuple[str, str | None, str]] = Counter()
        for table in self.tables():
            columns = [table[name].to_pylist() for name in ("reason", "column", "rule")]
            found.update(zip(*columns, strict=True))
        return found

    def rewrite(self, change: Callable[[pa.Table], pa.Table]) -> None:
        """Put changed rows in the place of these, whole or not at all.

        Args:
            change: From some rows to what stays of them.
        """
        unfinished = self.path.with_suffix(".unfinished")
        with pq.ParquetWriter(unfinished, SCHEMA, compression="zstd") as writer:
            for table in self.tables():
                writer.write_table(change(table))
            said = described(self.place, self.mark, self.replayed, self.unknown, self.label)
            writer.add_key_value_metadata(said)
        os.replace(unfinished, self.path)


def aside_path(folder: Path, source: str, table: str, file: str) -> Path:
    """Where the rows set aside of one file of one table lie."""
    name = hashlib.sha256(json.dumps([source, table, file]).encode()).hexdigest()[:16]
    return folder / f"{source}-{name}.parquet"


def aside_files(folder: Path) -> list[AsideFile]:
    """Every file of a territory's ``set-aside``, in the order of their names."""
    return [AsideFile(path) for path in sorted(folder.glob("*.parquet"))]


def drop_persons(folder: Path, persons: Collection[str]) -> int:
    """Erase the rows of some persons; lines that no reader could split are nobody's and stay.

    Args:
        folder: The territory's ``set-aside``.
        persons: Pseudonyms of their identifiers, as in the column `person`.

    Returns:
        How many rows went.
    """
    gone = 0
    wanted = pa.array(sorted(persons), pa.string())
    for file in aside_files(folder):
        mine = sum(int(pc.sum(_is_of(t, wanted)).as_py() or 0) for t in file.tables())
        if mine:
            file.rewrite(lambda rows: rows.filter(_not_of(rows, wanted)))
            gone += mine
    return gone


def rows_of_persons(
    folder: Path, persons: Collection[str], secret: bytes
) -> Iterator[dict[str, Any]]:
    """The rows of some persons with their content, for the person's own access.

    Args:
        folder: The territory's ``set-aside``.
        persons: Pseudonyms of their identifiers, as in the column `person`.
        secret: `Vault.secret_for("set-aside")`.

    Yields:
        The columns of :data:`SCHEMA`; `raw` is the row as columns and values, None where it was
        not kept.

    Raises:
        DataError: rows that were sealed with another key.
    """
    wanted = pa.array(sorted(persons), pa.string())
    for file in aside_files(folder):
        place = file.place
        for rows in file.tables():
            for row in rows.filter(_is_of(rows, wanted)).to_pylist():
                sealed = row["raw"]
                if place is not None and sealed is not None:
                    row["raw"] = json.loads(Seal(secret, *place).open(sealed)).get("row")
                yield row


def rename_persons(folder: Path, renamed: Mapping[str, str], label: str) -> int:
    """Give rows the new pseudonyms of their persons, after the vault's key was changed.

    Args:
        folder: The territory's ``set-aside``.
        renamed: Former to new pseudonyms of the column `person`; others become unknown.
        label: Of this change: files that bear it are done, so that it may be begun again.

    Returns:
        How many files were rewritten.
    """
    done = 0
    place = SCHEMA.get_field_index("person")

    def change(rows: pa.Table) -> pa.Table:
        whose: list[Any] = rows["person"].to_pylist()
        moved = pa.array([renamed.get(one) for one in whose], pa.string())
        return rows.set_column(place, "person", moved)

    for file in aside_files(folder):
        if file.label != label:
            file.label = label
            file.rewrite(change)
            done += 1
    return done


def _is_of(rows: pa.Table, persons: pa.Array[Any]) -> Any:
    return pc.is_in(rows["person"], value_set=persons)


def _not_of(rows: pa.Table, persons: pa.Array[Any]) -> Any:
    return pc.invert(_is_of(rows, persons))
