"""JSON lines: one flat object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from features.errors import DataError
from features.settings import AUTO, ReaderOptions
from features.sources import Aside, Batch, SourceFile
from features.sources.lines import Lines, read_lines
from features.sources.sniffing import sniff_encoding

__all__ = ["JsonLinesReader"]

Object = dict[str, object]

HALF = re.compile("[\ud800-\udfff]")


class JsonLinesReader:
    """Rows of a JSON lines file, as text columns; see :mod:`features.sources`.

    The file's columns are the keys met in its first 8 MiB: a key that only later objects have is
    not known as a column.
    """

    def __init__(self, file: SourceFile, options: ReaderOptions, part: str | None = None) -> None:
        self._file = file
        if options.encoding == AUTO:
            options = options.model_copy(update={"encoding": sniff_encoding(file)})
        self._options = options
        self.dialect = {"encoding": options.encoding}
        self.names = self._keys()

    def _keys(self) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for lines in read_lines(self._file, self._options):
            for found, _ in _objects(lines):
                names.update(dict.fromkeys(name for name in found if _whole(name)))
            if names:
                return tuple(names)
        raise DataError(
            f"reading '{self._file.name}'",
            expected="a JSON object on each line",
            got="none",
            hint="Correct 'reader' of the source, or export the file again.",
        )

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The file's rows; see :mod:`features.sources`."""
        for lines in read_lines(self._file, self._options):
            rows: list[int] = []
            values: list[list[str | None]] = []
            aside = list(lines.aside)
            good = _objects(lines)
            read = {row for _, row in good}
            held = dict(zip(lines.rows, lines.texts, strict=True))
            aside += [
                Aside(row, "bad_json", raw=text.encode())
                for row, text in held.items()
                if row not in read
            ]
            for found, row in good:
                nested = next((c for c in columns if isinstance(found.get(c), dict | list)), None)
                if nested is not None:
                    aside.append(Aside(row, "nested_value", nested, held[row].encode()))
                    continue
                texts = [_text(found.get(name)) for name in columns]
                damaged = next(
                    (c for c, t in zip(columns, texts, strict=True) if not _whole(t)), None
                )
                if damaged is not None:
                    aside.append(Aside(row, "bad_encoding", damaged, held[row].encode()))
                    continue
                rows.append(row)
                values.append(texts)
            if not rows and not aside:
                continue
            arrays = [
                pa.array([line[place] for line in values], pa.string())
                for place in range(len(columns))
            ]
            table = pa.Table.from_arrays(arrays, names=list(columns))
            yield Batch(table, np.array(rows, np.int64), aside)


def _objects(lines: Lines) -> list[tuple[Object, int]]:
    """The objects of some lines, with their line numbers; lines that are none are left out."""
    try:
        found = json.loads(f"[{','.join(lines.texts)}]")
        if len(found) != len(lines.texts):
            found = [_object(text) for text in lines.texts]
    except (ValueError, RecursionError):
        found = [_object(text) for text in lines.texts]
    return [(one, row) for one, row in zip(found, lines.rows, strict=True) if isinstance(one, dict)]


def _object(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _whole(text: str | None) -> bool:
    """Whether a text holds no half of a surrogate pair: JSON can write one, UTF-8 cannot."""
    return text is None or text.isascii() or HALF.search(text) is None


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
