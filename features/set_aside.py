"""Rows that could not become events: where they stand, why, and the row itself under seal."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.aside_files import SCHEMA, AsideFile, aside_path, described
from features.quality import REASONS
from features.sealed_rows import Seal
from features.sources import Aside

__all__ = [
    "PURPOSE",
    "Refusal",
    "SetAside",
]

PURPOSE = "set-aside"
"""Of the vault's secret that rows are sealed under."""


@dataclass(frozen=True)
class Refusal:
    """One row that is set aside.

    Attributes:
        row: Its number in the file.
        reason: One of :data:`features.quality.REASONS`.
        column: Where.
        rule: What was broken, in plain words; by default the reason's.
        coded: The values of its coded columns, as far as they may be shown.
        person: The pseudonym that its person's identifier alone would be given, as text.
        raw: The row as JSON, or its line; it is written under seal.
    """

    row: int
    reason: str
    column: str | None = None
    rule: str | None = None
    coded: str | None = None
    person: str | None = None
    raw: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, aside: Aside, names: Sequence[str] = ()) -> Refusal:
        """A row that its reader could not read.

        Args:
            aside: What the reader said, with the line itself where it has it.
            names: The columns of the file, by which the line may be read later.
        """
        raw = None
        if aside.raw is not None:
            text = aside.raw.decode(errors="replace").rstrip("\r\n")
            raw = json.dumps({"line": text, "names": list(names)}, ensure_ascii=False)
        return cls(aside.row, aside.reason, aside.column, raw=raw)


class SetAside:
    """The rows of one file, or of its persons table, that were set aside.

    They are written to one Parquet file, as they are met, and replaced whole when that file is
    read again: the same rows are never counted twice. Nothing is replaced before :meth:`finish`.

    Args:
        folder: The territory's ``set-aside``.
        source: Name of the source.
        table: Name of the table.
        file: Path of the file within the exports.
        secret: `Vault.secret_for(PURPOSE)`; without it no row is kept, only where and why.
        keep: Rows set aside before stay, but for those met again: for a table read further.
    """

    def __init__(
        self,
        folder: Path,
        source: str,
        table: str,
        file: str,
        secret: bytes | None = None,
        *,
        keep: bool = False,
    ) -> None:
        self._said = {"source": source, "table": table, "file": file}
        self._file = aside_path(folder, source, table, file)
        self._unfinished = self._file.with_suffix(".unfinished")
        self._writer: pq.ParquetWriter | None = None
        self._seal = None if secret is None else Seal(secret, source, table, file)
        self._kept = AsideFile(self._file) if keep and self._file.exists() else None
        self._met: set[bytes] = set()

    def add(self, rows: Iterable[Aside], coded: Mapping[int, str] | None = None) -> None:
        """Note rows without keeping them.

        Args:
            rows: Their number, reason and column.
            coded: By row number, the values of its coded columns.
        """
        values = coded or {}
        self.refuse(
            Refusal(row.row, row.reason, row.column, coded=values.get(row.row)) for row in rows
        )

    def refuse(self, rows: Iterable[Refusal]) -> None:
        """Note rows, each with what is kept of it."""
        lines = []
        for row in rows:
            raw = None
            if row.raw is not None and self._seal is not None:
                raw = self._seal.close(row.raw)
                if self._kept is not None:
                    self._met.add(hashlib.blake2b(raw, digest_size=16).digest())
            lines.append(
                {
                    **self._said,
                    "row": row.row,
                    "reason": row.reason,
                    "column": row.column,
                    "rule": row.rule or REASONS[row.reason],
                    "coded": row.coded,
                    "person": row.person,
                    "raw": raw,
                }
            )
        if lines:
            self._write(pa.Table.from_pylist(lines, schema=SCHEMA))

    def carry(self, rows: pa.Table) -> None:
        """Take rows over from an earlier file of the same source, table and file."""
        if rows.num_rows:
            self._write(rows)

    def finish(
        self,
        replayed: Mapping[str, int] | None = None,
        unknown: Mapping[str, int] | None = None,
    ) -> None:
        """Put the rows in the place of those of the last reading.

        Args:
            replayed: What replays made of rows that are no longer here: counts by name.
            unknown: Codes that no rule lists, in the rows that a replay left.
        """
        kept = self._kept
        if kept is not None:
            for rows in kept.tables():
                self.carry(rows.filter(pa.array([not self._again(r) for r in rows["raw"]])))
            replayed, unknown = kept.replayed, kept.unknown
        if self._writer is None and not replayed:
            self._file.unlink(missing_ok=True)
            return
        if self._writer is None:
            self._write(SCHEMA.empty_table())
        assert self._writer is not None
        mark = self._seal.mark if self._seal else None
        said = described((*self._said.values(),), mark, replayed or {}, unknown or {})
        self._writer.add_key_value_metadata(said)
        self._writer.close()
        os.replace(self._unfinished, self._file)

    def discard(self) -> None:
        """Forget the rows, when the file could not be read to its end."""
        if self._writer is not None:
            self._writer.close()
            self._unfinished.unlink()

    def _again(self, raw: pa.Scalar[Any]) -> bool:
        sealed = raw.as_py()
        return sealed is not None and hashlib.blake2b(sealed, digest_size=16).digest() in self._met

    def _write(self, rows: pa.Table) -> None:
        if self._writer is None:
            self._unfinished.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._unfinished, SCHEMA, compression="zstd")
        self._writer.write_table(rows)
