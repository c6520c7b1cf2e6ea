"""Delimited text: any encoding, separator, decimal mark and missing values."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from features.errors import DataError
from features.settings import AUTO, ReaderOptions
from features.sources import Batch, SourceFile
from features.sources.lines import decoded
from features.sources.records import read_records
from features.sources.sniffing import sniff

__all__ = ["CsvReader"]


class CsvReader:
    """Rows of a delimited text file, as text columns; see :mod:`features.sources`.

    Cells are data, whatever they look like: a formula is the text of a formula.

    Attributes:
        names: The columns.
        dialect: What was taken for encoding, delimiter and quote.
    """

    def __init__(self, file: SourceFile, options: ReaderOptions, part: str | None = None) -> None:
        self._file = file
        self._options = resolved(file, options)
        self.dialect = {
            name: str(getattr(self._options, name)) for name in ("encoding", "delimiter", "quote")
        }
        self.names = self._header()

    def _header(self) -> tuple[str, ...]:
        options = self._options
        text = b"".join(part for part, _ in islice(decoded(self._file, options.encoding), 2))
        line, _, _ = text.partition(b"\n")
        if b"\r" in line.removesuffix(b"\r"):
            raise self._unreadable(
                "lines that end with a line feed", "carriage returns inside the header"
            )
        if len(line) > options.max_line_bytes:
            raise self._unreadable(
                "a first line of column names", f"over {options.max_line_bytes} bytes"
            )
        header = line.decode()
        if "\ufffd" in header:
            raise self._unreadable(f"a header in {options.encoding}", "bytes of another encoding")
        if "\x00" in header:
            raise self._unreadable("text", "NUL bytes in the header")
        rows = csv.reader([header], delimiter=options.delimiter, quotechar=options.quote)
        try:
            names = tuple(name.strip() for name in next(rows, []))
        except csv.Error:
            raise self._unreadable("a first line of column names", "other content") from None
        if not any(names):
            raise self._unreadable("a first line of column names", "a blank line")
        return names

    def _unreadable(self, expected: str, got: str) -> DataError:
        return DataError(
            f"reading '{self._file.name}'",
            expected=expected,
            got=got,
            hint="Correct 'options' of the source, or export the file again.",
        )

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The file's rows; see :mod:`features.sources`."""
        for records in read_records(self._file, self._options, len(self.names)):
            try:
                table = self._parsed(records.text, list(columns))
                same = table.num_rows == len(records.rows)
            except pa.ArrowInvalid:
                same = False
            if not same:
                raise self._unreadable(
                    "quotes and separators as in 'options'",
                    f"text that does not split into {len(records.rows)} rows",
                )
            if table.num_rows or records.aside:
                yield Batch(table, records.rows, records.aside)

    def _parsed(self, text: bytes, columns: list[str]) -> pa.Table:
        if not text:
            return pa.schema([(name, pa.string()) for name in columns]).empty_table()
        options = self._options
        places = {name: f"{self.names.index(name)}" for name in columns}
        stream: Any = pa.BufferReader(text)
        table = arrow_csv.read_csv(
            stream,
            read_options=arrow_csv.ReadOptions(
                block_size=len(text) + 1,
                column_names=[str(place) for place in range(len(self.names))],
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=options.delimiter,
                quote_char=options.quote,
                newlines_in_values=True,
                ignore_empty_lines=True,
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(places.values()),
                column_types=dict.fromkeys(places.values(), pa.string()),
                null_values=options.nulls,
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                check_utf8=False,
            ),
        )
        return table.rename_columns(columns)


def resolved(file: SourceFile, options: ReaderOptions) -> ReaderOptions:
    """Options without `auto`: what is, is told from the beginning of the file."""
    told = [name for name in ("encoding", "delimiter", "quote") if getattr(options, name) == AUTO]
    if not told:
        return options
    found = sniff(file, None if "encoding" in told else options.encoding)
    return options.model_copy(update={name: getattr(found, name) for name in told})
