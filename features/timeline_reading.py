"""Reading a range of people from the files of one bucket, as one sorted table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import ConfigurationError
from features.event_order import in_order, longs, sorted_events
from features.events import EVENTS, WITHDRAWN
from features.superseded import NEVER, superseded_at
from features.timeline_files import IN_FILE, ISSUED, DataFile
from features.versions import within

__all__ = ["Asked", "Span", "read_columns", "read_span"]

_SORT = ("subject_id", "time", "recorded_at")
_TEXTS = tuple(field.name for field in EVENTS if pa.types.is_string(field.type))

Longs = npt.NDArray[np.int64]

SUPERSEDED = "superseded_at"
"""Column of an answer: when each version was replaced, over all files."""


@dataclass(frozen=True)
class Asked:
    """What a reader wants of the rows.

    Attributes:
        columns: Columns of the contract.
        at: Only what was known before this instant.
        superseded: The column superseded_at, too.
        dictionaries: Columns wanted as dictionary<int32, string>.
    """

    columns: tuple[str, ...]
    at: np.datetime64 | None
    superseded: bool
    dictionaries: frozenset[str]

    @classmethod
    def of(
        cls,
        columns: Sequence[str] | None,
        as_known: datetime | None,
        superseded: bool,
        dictionaries: Sequence[str],
    ) -> Asked:
        """The same, checked.

        Raises:
            ConfigurationError: a column that events do not have, or that is no text.

        Example:
            >>> Asked.of(["code", "place"], None, False, ["time"])
            Traceback (most recent call last):
            features.errors.ConfigurationError: reading timelines: no column(s) place; no \
dictionary of column(s) time. Expected columns of features.events.EVENTS, dictionaries of code, \
source, source_code, reference, event_id; got 2 other(s). Hint: Correct the names.
        """
        if as_known is not None and as_known.tzinfo is not None:
            as_known = as_known.astimezone(UTC).replace(tzinfo=None)
        asked = cls(
            tuple(EVENTS.names if columns is None else columns),
            None if as_known is None else np.datetime64(as_known, "us"),
            superseded,
            frozenset(dictionaries),
        )
        unknown = [name for name in asked.columns if name not in EVENTS.names]
        other = [name for name in dictionaries if name not in _TEXTS]
        if unknown or other:
            wrong = [f"no column(s) {', '.join(unknown)}"] if unknown else []
            wrong += [f"no dictionary of column(s) {', '.join(other)}"] if other else []
            raise ConfigurationError(
                f"reading timelines: {'; '.join(wrong)}",
                expected=f"columns of features.events.EVENTS, dictionaries of {', '.join(_TEXTS)}",
                got=f"{len(unknown) + len(other)} other(s)",
                hint="Correct the names.",
            )
        return asked

    @property
    def schema(self) -> pa.Schema:
        """Columns of the answer."""
        fields = [self.field(name) for name in self.columns]
        if self.superseded:
            fields.append(pa.field(SUPERSEDED, pa.timestamp("us"), nullable=False))
        return pa.schema(fields)

    def field(self, name: str) -> pa.Field:
        """A stored column as it is wanted."""
        if name == IN_FILE:
            return pa.field(IN_FILE, pa.timestamp("us"))
        if name == ISSUED:
            return pa.field(ISSUED, pa.int64())
        field = EVENTS.field(name)
        if name in self.dictionaries:
            return field.with_type(pa.dictionary(pa.int32(), pa.string()))
        return field


@dataclass(frozen=True, eq=False)
class Span:
    """People to read: a range, and in it all of them or some.

    Attributes:
        first: The least subject_id.
        last: The greatest, which belongs to it.
        subjects: Only these, int64 ascending.
    """

    first: int = 0
    last: int = np.iinfo(np.int64).max
    subjects: Longs | None = None

    def groups(self, file: DataFile) -> list[int]:
        """Row groups of a file that may hold one of them."""
        hit = (file.first <= self.last) & (file.last >= self.first)
        if self.subjects is not None:
            start = np.searchsorted(self.subjects, file.first, side="left")
            hit &= start < np.searchsorted(self.subjects, file.last, side="right")
        return [int(group) for group in np.flatnonzero(hit)]

    def rows(self, subject: Longs) -> npt.NDArray[np.intp] | None:
        """Which rows are theirs, by position ascending; None = all."""
        if not len(subject):
            return None
        least, most = subject.min(), subject.max()
        if self.subjects is None and least >= self.first and most <= self.last:
            return None
        if (subject[1:] < subject[:-1]).any():
            theirs = (subject >= self.first) & (subject <= self.last)
            if self.subjects is not None:
                theirs &= np.isin(subject, self.subjects)
            return np.flatnonzero(theirs)
        if self.subjects is None:
            start = np.searchsorted(subject, self.first, side="left")
            return np.arange(start, np.searchsorted(subject, self.last, side="right"))
        start = np.searchsorted(self.subjects, max(least, self.first), side="left")
        stop = np.searchsorted(self.subjects, min(most, self.last), side="right")
        return within(subject, self.subjects[start:stop])


def read_span(files: Sequence[DataFile], span: Span, asked: Asked, *, threads: bool) -> pa.Table:
    """Events of some people, sorted by subject_id, time (static ones first), recorded_at, event_id.

    One file has its rows in that order and says itself when they were superseded, so that event
    ids are not read. What was superseded across several files is found from their event ids.

    Args:
        files: All files of the people's bucket.
        span: The people.
        asked: What is wanted of the rows.
        threads: Read the columns of a row group at the same time.

    Returns:
        Columns `asked.schema`.
    """
    dated = asked.superseded or asked.at is not None
    names = list(dict.fromkeys([*asked.columns, *_SORT]))
    if asked.at is not None:
        names = list(dict.fromkeys([*names, "code"]))
    with_ids = list(dict.fromkeys([*names, "event_id"]))
    alone = len(files) == 1 and files[0].ordered
    stored = dated and alone and files[0].dated
    wanted = [*names, IN_FILE] if stored else with_ids if dated or not alone else names
    events = read_columns(files, span, wanted, asked, threads=threads)
    if not (alone and in_order(events)):
        if "event_id" not in events.column_names:
            wanted = [*with_ids, IN_FILE] if stored else with_ids
            events = read_columns(files, span, wanted, asked, threads=threads)
        events = sorted_events(events)
    if not dated:
        return events.select(list(asked.columns))
    if stored:
        never = pa.scalar(NEVER.astype(object), pa.timestamp("us"))
        replaced = cast(pa.ChunkedArray, pc.fill_null(events[IN_FILE], never))
        events = events.drop_columns([IN_FILE])
    else:
        replaced = pa.chunked_array([pa.array(superseded_at(events), pa.timestamp("us"))])
    answer = events.select(list(asked.columns))
    if asked.superseded:
        answer = answer.append_column(asked.schema.field(SUPERSEDED), replaced)
    if asked.at is not None:
        answer = answer.filter(_known(events, replaced, asked.at))
    return answer


def _known(events: pa.Table, replaced: pa.ChunkedArray, at: np.datetime64) -> pa.ChunkedArray:
    instant = pa.scalar(at.astype(object), pa.timestamp("us"))
    known = pc.and_(pc.less(events["recorded_at"], instant), pc.greater_equal(replaced, instant))
    code = events["code"]
    if isinstance(code.type, pa.DictionaryType):
        code = code.cast(pa.string())
    return cast(pa.ChunkedArray, pc.and_(known, pc.not_equal(code, pa.scalar(WITHDRAWN))))


def read_columns(
    files: Sequence[DataFile],
    span: Span,
    names: Sequence[str],
    asked: Asked,
    *,
    threads: bool,
) -> pa.Table:
    """Rows of some people from each file in turn, a row group at a time, in the files' order."""
    schema = pa.schema([asked.field(name) for name in names])
    texts = {name for name in names if name in asked.dictionaries}
    # Of a few rows of a row group, only their own texts are then made.
    lean = texts if span.subjects is None else texts | {"code", "source", "source_code"}
    parts = [schema.empty_table()]
    for file in files:
        groups = span.groups(file)
        if not groups:
            continue
        with pq.ParquetFile(
            file.path,
            metadata=file.metadata,
            read_dictionary=sorted(lean),
            memory_map=True,
            pre_buffer=False,
        ) as opened:
            for group in groups:
                part = _of_group(opened, group, names, span, threads)
                if part.num_rows:
                    if ISSUED in names and not file.issued:
                        part = part.append_column(ISSUED, part["subject_id"])
                    parts.append(part.select(list(names)).cast(schema))
    table = pa.concat_tables(parts)
    return table.unify_dictionaries() if texts else table


def _of_group(
    opened: pq.ParquetFile, group: int, names: Sequence[str], span: Span, threads: bool
) -> pa.Table:
    """The people's rows of a row group; of one that holds others, too, not more than needed."""
    alone = opened.read_row_groups([group], columns=["subject_id"], use_threads=False)
    rows = span.rows(longs(alone["subject_id"]))
    if rows is None:
        return opened.read_row_groups([group], columns=list(names), use_threads=threads)
    if not len(rows):
        return alone.slice(0, 0)
    # What lies behind the last row is not decoded.
    stop, read, batches = int(rows[-1]) + 1, 0, []
    for batch in opened.iter_batches(stop, [group], list(names), use_threads=threads):
        batches.append(batch)
        read += batch.num_rows
        if read >= stop:
            break
    # A copy, so that a few rows do not keep a whole row group in memory.
    return pa.Table.from_batches(batches).take(rows)
