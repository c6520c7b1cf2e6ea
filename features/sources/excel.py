"""Excel workbooks: one sheet, its first row the header; formulas give their stored result."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from features.errors import DataError
from features.settings import ReaderOptions
from features.sources import Batch, SourceFile
from features.sources.workbooks import check_workbook

__all__ = ["ExcelReader"]

ROWS = 100_000


class ExcelReader:
    """Rows of one sheet, as text columns; see :mod:`features.sources`.

    A formula is never computed: its cell holds the result that was stored with it, and nothing
    where none was. A text that looks like a formula is a text.
    """

    def __init__(self, file: SourceFile, options: ReaderOptions, part: str | None = None) -> None:
        self._file = file
        self._options = options
        try:
            with file.seekable() as stream:
                check_workbook(stream, file.name)
                book = CalamineWorkbook.from_filelike(stream)
        except CalamineError as error:
            raise _unreadable(file, "an Excel workbook") from error
        name = part or next(iter(book.sheet_names), "")
        if name not in book.sheet_names:
            raise DataError(
                f"reading '{file.name}': sheet '{name}'",
                expected="one of its sheets",
                got=", ".join(book.sheet_names),
                hint="Correct 'sheet' in the mapping.",
            )
        self._name = name
        try:
            self._sheet: CalamineSheet = book.get_sheet_by_name(name)
        except CalamineError as error:
            raise self._damaged() from error
        header: list[object] = next(self._rows(), [])
        self.names = tuple(str(value).strip() for value in header)
        if not any(self.names):
            raise DataError(
                f"reading '{file.name}': sheet '{name}'",
                expected="column names in the first row",
                got="an empty row",
                hint="Put the names in the first row.",
            )

    def _damaged(self) -> DataError:
        return _unreadable(self._file, f"a sound sheet '{self._name}'")

    def _rows(self) -> Iterator[list[object]]:
        try:
            yield from self._sheet.iter_rows()
        except CalamineError as error:
            raise self._damaged() from error

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The sheet's rows; see :mod:`features.sources`."""
        places = [self.names.index(name) for name in columns]
        values: list[list[str | None]] = [[] for _ in columns]
        rows: list[int] = []
        for number, row in enumerate(self._rows()):
            if number == 0:
                continue
            picked = [self._text(row[place]) for place in places]
            if any(value is not None for value in picked):
                rows.append(number)
                for column, value in zip(values, picked, strict=True):
                    column.append(value)
            if len(rows) >= ROWS:
                yield _batch(columns, values, rows)
                values, rows = [[] for _ in columns], []
        if rows:
            yield _batch(columns, values, rows)

    def _text(self, value: object) -> str | None:
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        if isinstance(value, dt.datetime | dt.date):
            return value.isoformat()
        text = str(value).strip()
        return None if text == "" or text in self._options.nulls else text


def _unreadable(file: SourceFile, expected: str) -> DataError:
    return DataError(
        f"reading '{file.name}'",
        expected=expected,
        got="other content, or a damaged file",
        hint="Save it again as .xlsx.",
    )


def _batch(columns: Sequence[str], values: list[list[str | None]], rows: list[int]) -> Batch:
    arrays = [pa.array(column, pa.string()) for column in values]
    return Batch(pa.Table.from_arrays(arrays, names=list(columns)), np.array(rows, np.int64))
