"""The timelines: one Delta table of events, sorted by person and time, bucketed by person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from features.errors import ConfigurationError, DataError
from features.event_order import Longs, longs, sorted_events
from features.events import EVENTS, check_events
from features.superseded import NEVER, superseded_at
from features.timeline_chunks import Chunk, plan_chunks
from features.timeline_files import ISSUED, DataFile, DataFiles, Footers
from features.timeline_reading import Asked, Span, read_columns, read_span
from features.timeline_writing import STORED, by_nobody, how_to_write, stored_rows, withdrawn
from features.versions import CONTENT, KnownVersions, Versions, judge

if TYPE_CHECKING:
    from features.as_known import AsKnown

__all__ = ["NEVER", "Appended", "Chunk", "Timelines", "sorted_events", "superseded_at"]


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
        self._footers = Footers()
        self._held: DataFiles | None = None

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

    def append(self, events: pa.Table, *, label: str, issued: Longs | None = None) -> Appended:
        """Add events in one atomic commit; rows that the table holds already are passed over.

        The versions held of the sources of these events are kept in memory (40 bytes a row)
        until events of other sources come.

        Args:
            events: A table of the events contract; any order.
            label: Said in the table's history: a source and a table, never a person.
            issued: int64, the pseudonym of the very identifier that each event came with, whoever
                owns it at present; by default the event's subject_id. :meth:`reissue` needs it.

        Raises:
            DataError: events that break the contract.
        """
        events = check_events(events).combine_chunks()
        came = longs(events["subject_id"]) if issued is None else np.asarray(issued, np.int64)
        if not events.num_rows:
            return Appended(0, 0, 0)
        new = Versions.of(events)
        sources: list[Any] = pc.unique(events["source"]).to_pylist()
        known = self._versions_of(sources)
        verdict = judge(new, Versions.joined([one.of(new) for one in known.values()]))
        fresh = events.take(verdict.kept)
        fresh = fresh.append_column(ISSUED, pa.array(came[verdict.kept]))
        if verdict.withdrawals:
            gone = withdrawn(events, verdict.withdrawals)
            gone = gone.append_column(ISSUED, by_nobody(gone.num_rows))
            fresh = pa.concat_tables([fresh, gone])
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
        bucket = pa.array(self.bucket_of(longs(stored["subject_id"])), pa.int32())
        write_deltalake(
            self._table,
            stored_rows(stored, bucket),
            mode="append",
            **how_to_write(self._table, label),
        )

    def _versions_of(self, sources: Sequence[str]) -> dict[str, KnownVersions]:
        self._known = {name: one for name, one in self._known.items() if name in sources}
        missing = [source for source in sources if source not in self._known]
        for source in missing:
            self._known[source] = KnownVersions()
        columns = list(dict.fromkeys(["event_id", "subject_id", "recorded_at", *CONTENT]))
        for source in missing:
            for bucket in range(self.buckets):
                held = [
                    pq.read_table(
                        file.path,
                        columns=columns,
                        filters=[("source", "==", source)],
                        partitioning=None,
                    )
                    for file in self._files(bucket)
                ]
                if held:
                    self._known[source].add(Versions.of(pa.concat_tables(held)))
        return self._known

    def bucket_of(self, subjects: Longs) -> npt.NDArray[np.int32]:
        """The bucket of each person, int32.

        Ranges, not remainders: sorted buckets one after another are a sorted table.
        """
        return (((subjects >> 32) * self.buckets) >> 31).astype(np.int32)

    def person(self, subject_id: int, as_known: datetime | None = None) -> pa.Table:
        """One person's events, sorted by time and recorded_at; empty for an unknown person.

        Only the row groups that may hold the person are read.

        Args:
            subject_id: The pseudonym.
            as_known: Only what was known strictly before this instant (UTC without zone), and of
                each event only the newest version known then; by default all versions.
        """
        return self.read(np.array([subject_id], np.int64), as_known)

    def read(
        self,
        subjects: Longs | None = None,
        as_known: datetime | None = None,
        columns: Sequence[str] | None = None,
        *,
        superseded: bool = False,
        dictionaries: Sequence[str] = (),
    ) -> pa.Table:
        """Events sorted by subject_id, time (static events first), recorded_at.

        Args:
            subjects: Only these people, int64; by default everyone.
            as_known: As for :meth:`person`; withdrawn events are left out.
            columns: Only these columns of the contract; by default all. Others are read from disk
                only where the order or the versions cannot be told without them.
            superseded: Add a column `superseded_at`, timestamp us: when the version was replaced,
                far in the future where it was not; see :func:`superseded_at`.
            dictionaries: Text columns wanted as dictionary<int32, string>, one dictionary for
                the whole table.

        Raises:
            ConfigurationError: columns that events do not have, or dictionaries of other types.
        """
        asked = Asked.of(columns, as_known, superseded, dictionaries)
        files = self._data_files()
        buckets: Iterable[int] = range(self.buckets)
        span = Span()
        if subjects is not None:
            span = Span(subjects=_people(subjects))
            buckets = np.unique(self.bucket_of(_people(subjects))).tolist()
        parts = [asked.schema.empty_table()]
        for bucket in buckets:
            held = files.of(bucket)
            parts.append(read_span(held, span, asked, threads=True).cast(asked.schema))
        table = pa.concat_tables(parts)
        return table.unify_dictionaries() if dictionaries else table

    def as_known(self, at: datetime) -> AsKnown:
        """The table as it was when only what was recorded before an instant had come.

        Args:
            at: UTC where it has no zone.

        Returns:
            What has the reading methods of this class and takes its place in the engine.
        """
        from features.as_known import AsKnown

        return AsKnown(self, at)

    def chunks(self, subjects: Longs | None = None, *, rows: int) -> list[Chunk]:
        """Ranges of people that together hold everyone, each of at most about `rows` events.

        They are planned from the statistics of row groups, without reading a row. A person is
        never divided: one of more events than `rows` is in one chunk all the same.

        Args:
            subjects: Only ranges with one of these people, int64, narrowed to them.
            rows: Events a chunk should have at most.

        Returns:
            Ranges in ascending order of subject_id, for the version the table is at.

        Raises:
            ConfigurationError: `rows` below 1.
        """
        if rows < 1:
            raise ConfigurationError(
                "planning chunks of timelines",
                expected="at least 1 row a chunk",
                got=rows,
                hint="Give a larger number of rows.",
            )
        wanted = None if subjects is None else _people(subjects)
        files = self._data_files()
        planned = [
            plan_chunks(bucket, files.of(bucket), rows, wanted) for bucket in range(self.buckets)
        ]
        return [chunk for chunks in planned for chunk in chunks]

    def read_chunk(
        self,
        chunk: Chunk,
        columns: Sequence[str] | None = None,
        as_known: datetime | None = None,
        *,
        subjects: Longs | None = None,
        superseded: bool = False,
        dictionaries: Sequence[str] = (),
    ) -> pa.Table:
        """The rows that :meth:`read` gives for the people of a chunk, in the same order.

        Only the row groups that overlap the range are read, each file opened anew: several threads
        may call this at once. The chunk must be of the version that the table is at.

        Args:
            chunk: From :meth:`chunks`.
            columns: As for :meth:`read`.
            as_known: As for :meth:`read`.
            subjects: Of the range only these people, int64; by default all.
            superseded: As for :meth:`read`.
            dictionaries: As for :meth:`read`.

        Raises:
            ConfigurationError: columns that events do not have, or dictionaries of other types.
        """
        asked = Asked.of(columns, as_known, superseded, dictionaries)
        wanted = None if subjects is None else _people(subjects)
        span = Span(chunk.first, chunk.last, wanted)
        held = self._files(chunk.bucket)
        return read_span(held, span, asked, threads=False).cast(asked.schema)

    def fingerprint(self, bucket: int) -> str:
        """Sha256 over a bucket's files: as long as it is the same, so are the bucket's rows."""
        return self._data_files().fingerprint(bucket)

    def subjects(self) -> Longs:
        """Every pseudonym with at least one event, int64, sorted."""
        parts = [np.empty(0, np.int64)]
        for bucket in range(self.buckets):
            held = longs(self.scan(["subject_id"], bucket)["subject_id"])
            parts.append(np.unique(held))
        return np.concatenate(parts)

    def observed(self) -> tuple[datetime, datetime]:
        """The first and the last `recorded_at` of the table, UTC without zone.

        Raises:
            DataError: a table without events.
        """
        bounds: list[Any] = [
            pc.min_max(self.scan(["recorded_at"], bucket)["recorded_at"]).as_py()
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
        files = self._data_files()
        held = [file for bucket in range(self.buckets) for file in files.of(bucket)]
        return sum(int(file.rows.sum()) for file in held)

    def reissue(self, owners: Mapping[int, int]) -> int:
        """Give the rows that came by some identifiers to their present owners, in one commit.

        Who a row is about is corrected in place: earlier versions of events go with it, so that
        what was known at any instant is told of the right person from then on. Rows of one event
        whose owners become one, or several, gain or lose the versions that withdraw it. Doing it
        twice changes nothing. See docs/decisions/012-identity-in-place.md.

        Args:
            owners: The pseudonym an identifier was issued to the subject_id that owns it now.

        Returns:
            Rows whose subject_id changed.
        """
        from features.timeline_reissue import reissue

        return reissue(self, owners)

    def rename(self, renamed: Callable[[Longs], Longs], *, label: str) -> int:
        """Write the whole table anew with other pseudonyms, in one commit, and forget the former.

        Args:
            renamed: The new pseudonym of each, int64 to int64; two never become one.
            label: Said in the table's history, so that an interrupted renaming can tell whether
                it was done.

        Returns:
            Rows written.
        """
        from features.timeline_reissue import rename

        return rename(self, renamed, label)

    def compact(self) -> int:
        """Rewrite each bucket of several files as one sorted file; returns how many were.

        A file of an earlier format, without one of the columns kept beside events, is rewritten,
        too. Each
        bucket is one atomic commit; earlier Delta versions stay readable for a week.
        """
        rewritten = 0
        for bucket in range(self.buckets):
            files = self._files(bucket)
            if not files or (len(files) == 1 and files[0].dated and files[0].issued):
                continue
            events = sorted_events(self.scan([*EVENTS.names, ISSUED], bucket))
            column = pa.array(np.full(events.num_rows, bucket), pa.int32())
            write_deltalake(
                self._table,
                stored_rows(events, column),
                mode="overwrite",
                predicate=f"bucket = {bucket}",
                **how_to_write(self._table, "compact"),
            )
            rewritten += 1
        if rewritten:
            self._table.vacuum(dry_run=False)
        return rewritten

    def overwrite(self, buckets: Sequence[int], rows: pa.RecordBatchReader, label: str) -> None:
        """Put other rows in place of some buckets', in one atomic commit.

        Args:
            buckets: The buckets.
            rows: Stored columns, one sorted batch a bucket; none for a bucket that becomes empty.
            label: Said in the table's history, never a person.
        """
        write_deltalake(
            self._table,
            rows,
            mode="overwrite",
            predicate=f"bucket IN ({', '.join(map(str, buckets))})",
            **how_to_write(self._table, label),
        )
        self._known = {}

    def forget_former(self) -> None:
        """Delete every file that the present version does not name: earlier ones are then gone."""
        self._table.vacuum(
            retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True
        )

    def said(self, label: str) -> bool:
        """Whether a commit of this label is in the table's history."""
        return any(entry.get("jalon") == label for entry in self._table.history())

    def _data_files(self) -> DataFiles:
        held = self._held
        if held is None or held.version != self.version:
            held = DataFiles(self._table, self.folder, self._footers)
            self._held = held
        return held

    def _files(self, bucket: int) -> list[DataFile]:
        return self._data_files().of(bucket)

    def scan(self, columns: Sequence[str], bucket: int) -> pa.Table:
        """Columns of a bucket, a file after the other: for whoever rewrites it.

        Args:
            columns: Of the contract, or `issued_as`.
            bucket: Part of the table.
        """
        asked = Asked.of(None, None, False, ())
        names = list(dict.fromkeys([*columns, "subject_id"]))
        files = self._files(bucket)
        return read_columns(files, Span(), names, asked, threads=True).select(list(columns))


def _people(subjects: Longs) -> Longs:
    wanted = np.unique(np.asarray(subjects, np.int64))
    return wanted[wanted > 0]
