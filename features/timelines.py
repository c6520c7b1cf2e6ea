"""The timelines: one Delta table of events, sorted by person and time, bucketed by person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake

from features.errors import DataError
from features.events import EVENTS, WITHDRAWN, check_events
from features.versions import CONTENT, KnownVersions, Versions, halves, judge

__all__ = ["Appended", "Timelines", "sorted_events", "superseded_at"]

NEVER = np.datetime64("2262-01-01", "us")
"""When a version that nothing replaced is replaced: beyond any prediction time."""

STORED = pa.schema([pa.field("bucket", pa.int32(), nullable=False), *EVENTS])
_SORT = ("subject_id", "time", "recorded_at")
_STATIC = np.iinfo(np.int64).min

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Appended:
    """What one append did.

    Attributes:
        added: Events new to the table.
        duplicates: Rows held already: event, entry date, person and content are equal.
        versions: Further versions of events: corrections, and equal content with another entry
            date.
        withdrawn: Versions that take an event from a person because its row moved to another.
        contradicting: Positions of rows not written: another content than a known version with
            the same entry date.
    """

    added: int
    duplicates: int
    versions: int
    withdrawn: int = 0
    contradicting: tuple[int, ...] = ()


class Timelines:
    """Every event of every person, each with all its versions.

    A row that its source corrected is a second version: same ``event_id``, later
    ``recorded_at``. What was known at *t* is, for each event, the newest version recorded before
    *t*. Nothing is overwritten. The table is a function of the set of rows ever appended, whatever
    their order, the commits they came in and how often they came; one exception: of two rows of
    one event with one ``recorded_at`` and two contents, the first to come stays. An ``event_id``
    is assumed to belong to one source: those of two sources are not compared.

    An opened table stays at the version it was opened at, its own writing apart; :meth:`refresh`
    goes on to the newest. One process writes at a time.

    Args:
        folder: Where the Delta table lies.
        table: The opened table.
        buckets: Parts of the table, by ranges of pseudonyms; a person's events are in one.

    Example:
        >>> import tempfile
        >>> seen = {"subject_id": 7, "time": datetime(2025, 3, 3), "source": "social",
        ...         "code": "CONTACT//APPOINTMENT//UNKNOWN", "recorded_at": datetime(2025, 3, 4),
        ...         "event_id": "a1"}
        >>> corrected = seen | {"code": "CONTACT//APPOINTMENT//NOSHOW",
        ...                     "recorded_at": datetime(2025, 3, 20)}
        >>> events = pa.Table.from_pylist([seen, corrected], schema=EVENTS)
        >>> timelines = Timelines.open(tempfile.mkdtemp() + "/timelines", create=True)
        >>> done = timelines.append(events, label="two versions")
        >>> done.added, done.duplicates, done.versions
        (1, 0, 1)
        >>> timelines.append(events, label="again").duplicates
        2
        >>> timelines.person(7, as_known=datetime(2025, 3, 10))["code"].to_pylist()
        ['CONTACT//APPOINTMENT//UNKNOWN']
        >>> timelines.person(7, as_known=datetime(2025, 4, 1))["code"].to_pylist()
        ['CONTACT//APPOINTMENT//NOSHOW']
    """

    def __init__(self, folder: Path, table: DeltaTable, buckets: int) -> None:
        self.folder = folder
        self.buckets = buckets
        self._table = table
        self._known: dict[str, KnownVersions] = {}

    @classmethod
    def open(cls, folder: str | Path, *, create: bool = False, buckets: int = 16) -> Timelines:
        """Open a table, or create an empty one.

        Args:
            folder: Where the table lies.
            create: Make it when it does not exist.
            buckets: Parts of a new table; an existing one keeps its own.

        Raises:
            DataError: no table there and ``create`` is false.
        """
        path = Path(folder)
        if not DeltaTable.is_deltatable(str(path)):
            if not create:
                raise DataError(
                    f"opening timelines in '{path}'",
                    expected="a Delta table",
                    got="none",
                    hint="Run `jalon ingest TERRITORY` first.",
                )
            path.mkdir(parents=True, exist_ok=True)
            DeltaTable.create(
                str(path),
                schema=STORED,
                partition_by=["bucket"],
                description=f"events of the pathways; buckets={buckets}",
                mode="ignore",
            )
        table = DeltaTable(str(path))
        said = (table.metadata().description or "").partition("buckets=")[2]
        return cls(path, table, int(said or buckets))

    @property
    def version(self) -> int:
        """The Delta version, which names the data a matrix or a model was made from."""
        return int(self._table.version())

    @property
    def table_id(self) -> str:
        """A name that no other table bears, not even one made again in the same folder."""
        return str(self._table.metadata().id)

    def refresh(self) -> None:
        """Go on to the newest version of the table."""
        self._table.update_incremental()

    def append(self, events: pa.Table, *, label: str) -> Appended:
        """Add events in one atomic commit; rows that the table holds already are passed over.

        The versions held of the sources of these events are kept in memory (40 bytes a row)
        until events of other sources come.

        Args:
            events: A table of the events contract; any order.
            label: Said in the table's history: a source and a table, never a person.

        Raises:
            DataError: events that break the contract.
        """
        events = check_events(events).combine_chunks()
        if not events.num_rows:
            return Appended(0, 0, 0)
        new = Versions.of(events)
        sources: list[Any] = pc.unique(events["source"]).to_pylist()
        known = self._versions_of(sources)
        verdict = judge(new, Versions.joined([one.of(new) for one in known.values()]))
        fresh = events.take(verdict.kept)
        if verdict.withdrawals:
            fresh = pa.concat_tables([fresh, _withdrawn(events, verdict.withdrawals)])
        if fresh.num_rows:
            self._write(fresh, label)
            added = Versions.of(fresh) if verdict.withdrawals else new.take(verdict.kept)
            source = np.asarray(fresh["source"].to_pandas(), object)
            for name, one in known.items():
                mine = np.flatnonzero(source == name)
                one.add(added.take(mine) if len(known) > 1 else added)
        versions = len(verdict.kept) - verdict.added
        passed = events.num_rows - len(verdict.kept) - len(verdict.contradicting)
        return Appended(
            verdict.added,
            passed,
            versions,
            len(verdict.withdrawals),
            tuple(verdict.contradicting.tolist()),
        )

    def _write(self, events: pa.Table, label: str) -> None:
        stored = sorted_events(events)
        bucket = pa.array(self._bucket(_longs(stored["subject_id"])), pa.int32())
        write_deltalake(
            self._table,
            stored.add_column(0, STORED.field(0), bucket),
            mode="append",
            writer_properties=_writer(),
            commit_properties=CommitProperties(custom_metadata={"jalon": label}),
        )

    def _versions_of(self, sources: Sequence[str]) -> dict[str, KnownVersions]:
        self._known = {name: one for name, one in self._known.items() if name in sources}
        missing = [source for source in sources if source not in self._known]
        for source in missing:
            self._known[source] = KnownVersions()
        columns = list(dict.fromkeys(["event_id", "subject_id", "recorded_at", *CONTENT]))
        for source in missing:
            for bucket in range(self.buckets):
                held = self._scan(columns, bucket=bucket, filters=[("source", "==", source)])
                self._known[source].add(Versions.of(held))
        return self._known

    def _bucket(self, subjects: Longs) -> npt.NDArray[np.int32]:
        """Ranges, not remainders: sorted buckets one after another are a sorted table."""
        return (((subjects >> 32) * self.buckets) >> 31).astype(np.int32)

    def person(self, subject_id: int, as_known: datetime | None = None) -> pa.Table:
        """One person's events, sorted by time and recorded_at; empty for an unknown person.

        Args:
            subject_id: The pseudonym.
            as_known: Only what was known strictly before this instant (UTC without zone), and of
                each event only the newest version known then; by default all versions.
        """
        return self.read(np.array([subject_id], np.int64), as_known)

    def read(
        self,
        subjects: npt.NDArray[np.int64] | None = None,
        as_known: datetime | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Events sorted by subject_id, time (static events first), recorded_at.

        Args:
            subjects: Only these people, int64; by default everyone.
            as_known: As for :meth:`person`; withdrawn events are left out.
            columns: Only these columns of the contract; by default all.
        """
        needed = list(EVENTS.names if columns is None else columns)
        read = list(dict.fromkeys([*needed, *_SORT]))
        if as_known is not None:
            read = list(dict.fromkeys([*read, "event_id", "code"]))
        buckets: Iterable[int] = range(self.buckets)
        filters = wanted = None
        if subjects is not None:
            wanted = np.unique(np.asarray(subjects, np.int64))
            wanted = wanted[wanted > 0]
            buckets = np.unique(self._bucket(wanted)).tolist()
            if len(wanted) <= 1000:
                filters = [("subject_id", "in", wanted.tolist())]
        parts = [pa.schema([EVENTS.field(name) for name in needed]).empty_table()]
        for bucket in buckets:
            several = len(self._files(bucket)) > 1
            part = self._scan([*read, "event_id"] if several else read, bucket, filters)
            if wanted is not None and filters is None:
                part = part.filter(pc.is_in(part["subject_id"], pa.array(wanted)))
            if as_known is not None:
                part = _known_at(part, as_known)
            parts.append(sorted_events(part).select(needed))
        return pa.concat_tables(parts)

    def subjects(self) -> npt.NDArray[np.int64]:
        """Every pseudonym with at least one event, int64, sorted."""
        parts = [
            np.unique(_longs(self._scan(["subject_id"], bucket)["subject_id"]))
            for bucket in range(self.buckets)
        ]
        return np.concatenate(parts)

    def observed(self) -> tuple[datetime, datetime]:
        """The first and the last `recorded_at` of the table, UTC without zone.

        Raises:
            DataError: a table without events.
        """
        bounds: list[Any] = [
            pc.min_max(self._scan(["recorded_at"], bucket)["recorded_at"]).as_py()
            for bucket in range(self.buckets)
        ]
        found = [one for one in bounds if one["min"] is not None]
        if not found:
            raise DataError(
                "reading the observed period",
                expected="at least one event",
                got="none",
                hint="Run `jalon ingest TERRITORY` first.",
            )
        return min(one["min"] for one in found), max(one["max"] for one in found)

    def count(self) -> int:
        """Rows of the table, every version counted."""
        return sum(pq.read_metadata(file).num_rows for file in self._table.file_uris())

    def compact(self) -> int:
        """Rewrite each bucket of several files as one sorted file; returns how many were.

        Each bucket is one atomic commit; earlier Delta versions stay readable for a week.
        """
        rewritten = 0
        for bucket in range(self.buckets):
            if len(self._files(bucket)) < 2:
                continue
            events = sorted_events(self._scan(list(EVENTS.names), bucket))
            column = pa.array(np.full(events.num_rows, bucket), pa.int32())
            write_deltalake(
                self._table,
                events.add_column(0, STORED.field(0), column),
                mode="overwrite",
                predicate=f"bucket = {bucket}",
                target_file_size=1 << 40,
                writer_properties=_writer(),
                commit_properties=CommitProperties(custom_metadata={"jalon": "compact"}),
            )
            rewritten += 1
        if rewritten:
            self._table.vacuum(dry_run=False)
        return rewritten

    def _files(self, bucket: int) -> list[str]:
        return sorted(self._table.file_uris(file_pruning_predicate=[("bucket", "=", bucket)]))

    def _scan(
        self,
        columns: Sequence[str],
        bucket: int,
        filters: Any = None,
    ) -> pa.Table:
        names = list(dict.fromkeys(columns))
        schema = pa.schema([EVENTS.field(name) for name in names])
        parts = [schema.empty_table()]
        for file in self._files(bucket):
            part = pq.read_table(file, columns=names, filters=filters, partitioning=None)
            parts.append(part.select(names).cast(schema))
        return pa.concat_tables(parts)


def sorted_events(events: pa.Table) -> pa.Table:
    """Events by subject_id, time (static ones first), recorded_at; as they are if sorted already.

    Ties keep a fixed order by event_id where that column is there, so that the order of writing
    never matters.

    Example:
        >>> events = pa.table({"subject_id": [2, 1], "time": pa.array([5, 9], pa.timestamp("us")),
        ...                    "recorded_at": pa.array([6, 9], pa.timestamp("us"))})
        >>> sorted_events(events)["subject_id"].to_pylist()
        [1, 2]
    """
    if events.num_rows < 2:
        return events
    keys = [
        _longs(events["subject_id"]),
        _longs(events["time"].cast(pa.int64()).fill_null(pa.scalar(_STATIC, pa.int64()))),
        _longs(events["recorded_at"].cast(pa.int64())),
    ]
    if "event_id" in events.column_names:
        keys += [*halves(events)]  # type: ignore[list-item]
    if _in_order(keys):
        return events
    return events.take(np.lexsort(tuple(reversed(keys)))).combine_chunks()


def _in_order(keys: list[Longs]) -> bool:
    equal = np.ones(len(keys[0]) - 1, bool)
    for key in keys:
        if (equal & (key[1:] < key[:-1])).any():
            return False
        equal &= key[1:] == key[:-1]
    return True


def superseded_at(events: pa.Table) -> npt.NDArray[np.datetime64]:
    """When each version was replaced by the next of its event.

    The withdrawal of a row that moved to another person replaces what the first person had, so
    that one person's events suffice.

    Args:
        events: Columns event_id and recorded_at; any order, all versions.

    Returns:
        datetime64[us], one per row, far in the future where nothing replaced it. A row was the
        known version at *t* iff ``recorded_at < t <= superseded_at``.

    Example:
        >>> rows = [{"event_id": "a", "recorded_at": datetime(2025, 1, d)} for d in (9, 2)]
        >>> superseded_at(pa.Table.from_pylist(rows))
        array(['2262-01-01T00:00:00.000000', '2025-01-09T00:00:00.000000'],
              dtype='datetime64[us]')
    """
    replaced = np.full(events.num_rows, NEVER)
    if events.num_rows < 2:
        return replaced
    high, low = halves(events)
    order = np.argsort(high, kind="stable")
    twice = high[order[1:]] == high[order[:-1]]
    several = np.zeros(len(high), bool)
    several[1:] |= twice
    several[:-1] |= twice
    rows = order[several]
    if not len(rows):
        return replaced
    recorded = _longs(events["recorded_at"].cast(pa.timestamp("us")).cast(pa.int64()))
    rows = rows[np.lexsort((recorded[rows], low[rows], high[rows]))]
    new_event = np.ones(len(rows), bool)
    new_event[1:] = (high[rows[1:]] != high[rows[:-1]]) | (low[rows[1:]] != low[rows[:-1]])
    new_moment = new_event.copy()
    new_moment[1:] |= recorded[rows[1:]] != recorded[rows[:-1]]
    # The next version is the first row of the next moment, if that is of the same event.
    starts = np.append(np.flatnonzero(new_moment), len(rows))
    following = starts[np.searchsorted(starts, np.arange(len(rows)), side="right")]
    inside = following < len(rows)
    inside[inside] = ~new_event[following[inside]]
    replaced[rows[inside]] = recorded[rows[following[inside]]].view("datetime64[us]")
    return replaced


def _known_at(events: pa.Table, at: datetime) -> pa.Table:
    if at.tzinfo is not None:
        at = at.astimezone(UTC).replace(tzinfo=None)
    instant = np.datetime64(at, "us")
    recorded = _longs(events["recorded_at"].cast(pa.int64())).view("datetime64[us]")
    known = (recorded < instant) & (superseded_at(events) >= instant)
    events = events.filter(pa.array(known))
    return events.filter(pc.not_equal(events["code"], pa.scalar(WITHDRAWN)))


def _withdrawn(events: pa.Table, withdrawals: list[tuple[int, int, int]]) -> pa.Table:
    """Versions that say: this person no longer has this event.

    They hold nothing but what follows from the event and the instant: the row they are made from
    is the one that happened to come last.
    """
    rows, subjects, instants = zip(*withdrawals, strict=True)
    of = events.take(pa.array(rows, pa.int64()))
    columns = {field.name: pa.nulls(of.num_rows, field.type) for field in EVENTS}
    columns |= {
        "subject_id": pa.array(subjects, pa.int64()),
        "time": pa.array(instants, pa.int64()).cast(pa.timestamp("us")),
        "code": pa.array([WITHDRAWN] * of.num_rows, pa.string()),
        "recorded_at": pa.array(instants, pa.int64()).cast(pa.timestamp("us")),
        "source": of["source"],
        "event_id": of["event_id"],
    }
    return pa.table(columns, schema=EVENTS)


def _longs(column: pa.ChunkedArray) -> Longs:
    return np.ascontiguousarray(column.to_numpy(), np.int64)


def _writer() -> WriterProperties:
    return WriterProperties(compression="ZSTD", compression_level=1, max_row_group_size=65_536)
