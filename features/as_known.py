"""The timelines as they were at an instant: every reading method, nothing recorded later."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import DataError
from features.event_order import Longs, longs
from features.superseded import NEVER
from features.timeline_reading import SUPERSEDED

if TYPE_CHECKING:
    from features.timelines import Chunk, Timelines

__all__ = ["AsKnown"]

_RECORDED = "recorded_at"


class AsKnown:
    """What the timelines held when only rows recorded strictly before an instant had come.

    It answers as :class:`features.timelines.Timelines` does: the engine, the cohort and a notebook
    take it in its place. Its rows are those of a table to which only these rows were appended;
    withdrawals are among them, since each has the entry date of the version it follows from. Two
    things are told as they are at present, not as they were: whose an event is, since identity is
    corrected in place, and that erased persons have none. Where a source gave a corrected row no
    later entry date, the version that came first is the one that is known.

    Args:
        timelines: The table, at any version.
        at: The instant, UTC where it has no zone.

    Example:
        >>> import tempfile
        >>> from features.events import EVENTS
        >>> from features.timelines import Timelines
        >>> seen = {"subject_id": 7, "time": datetime(2025, 3, 3), "source": "social",
        ...         "code": "CONTACT//APPOINTMENT//UNKNOWN", "recorded_at": datetime(2025, 3, 4),
        ...         "event_id": "a1"}
        >>> corrected = seen | {"code": "CONTACT//APPOINTMENT//NOSHOW",
        ...                     "recorded_at": datetime(2025, 3, 20)}
        >>> timelines = Timelines.open(tempfile.mkdtemp() + "/timelines", create=True)
        >>> events = pa.Table.from_pylist([seen, corrected], schema=EVENTS)
        >>> _ = timelines.append(events, label="two versions")
        >>> then = AsKnown(timelines, datetime(2025, 3, 10))
        >>> then.count(), then.read(superseded=True)["superseded_at"].to_pylist()[0].year
        (1, 2262)
        >>> AsKnown(timelines, datetime(2025, 3, 1)).observed()
        Traceback (most recent call last):
        features.errors.DataError: reading the period observed as known at 2025-03-01. Expected at \
least one event; got none recorded before. Hint: Give a later date.
    """

    def __init__(self, timelines: Timelines, at: datetime) -> None:
        self.timelines = timelines
        self.at = at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)
        self.folder = timelines.folder
        self.buckets = timelines.buckets

    @property
    def version(self) -> int:
        """The Delta version that is read."""
        return self.timelines.version

    @property
    def table_id(self) -> str:
        """The name of the table that is read."""
        return self.timelines.table_id

    def refresh(self) -> None:
        """Go on to the newest version of the table; the instant stays."""
        self.timelines.refresh()

    def bucket_of(self, subjects: Longs) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """The bucket of each person, int32."""
        return self.timelines.bucket_of(subjects)

    def person(self, subject_id: int, as_known: datetime | None = None) -> pa.Table:
        """One person's events, as `Timelines.person` gives them."""
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
        """Events as `Timelines.read` gives them; `as_known` later than the instant is the instant.

        Args:
            subjects: Only these people, int64; by default everyone.
            as_known: Of each event only the newest version known before this instant.
            columns: Only these columns of the contract; by default all.
            superseded: Add a column `superseded_at`: a version replaced later was not replaced.
            dictionaries: Text columns wanted as dictionary<int32, string>.

        Raises:
            ConfigurationError: columns that events do not have, or dictionaries of other types.
        """
        found = self.timelines.read(
            subjects,
            self._earlier(as_known),
            self._with_date(columns),
            superseded=superseded,
            dictionaries=dictionaries,
        )
        found = self._then(found, columns)
        return found.unify_dictionaries() if dictionaries else found

    def chunks(self, subjects: Longs | None = None, *, rows: int) -> list[Chunk]:
        """Ranges of people, as `Timelines.chunks` plans them; some may hold nobody known then.

        Args:
            subjects: Only ranges with one of these people, int64.
            rows: Events a chunk should have at most, those recorded later among them.

        Raises:
            ConfigurationError: `rows` below 1.
        """
        return self.timelines.chunks(subjects, rows=rows)

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

        Args:
            chunk: From :meth:`chunks`.
            columns: As for :meth:`read`.
            as_known: As for :meth:`read`.
            subjects: Of the range only these people, int64.
            superseded: As for :meth:`read`.
            dictionaries: As for :meth:`read`.

        Raises:
            ConfigurationError: columns that events do not have, or dictionaries of other types.
        """
        found = self.timelines.read_chunk(
            chunk,
            self._with_date(columns),
            self._earlier(as_known),
            subjects=subjects,
            superseded=superseded,
            dictionaries=dictionaries,
        )
        return self._then(found, columns)

    def fingerprint(self, bucket: int) -> str:
        """Sha256 of a bucket's files and the instant: while it is the same, so are the rows."""
        said = f"{self.timelines.fingerprint(bucket)} before {self.at.isoformat()}"
        return hashlib.sha256(said.encode()).hexdigest()

    def subjects(self) -> Longs:
        """Every pseudonym with at least one event known then, int64, sorted."""
        parts = [np.empty(0, np.int64)]
        for bucket in range(self.buckets):
            held = self.timelines.scan(["subject_id", _RECORDED], bucket)
            parts.append(np.unique(longs(self._before(held)["subject_id"])))
        return np.concatenate(parts)

    def observed(self) -> tuple[datetime, datetime]:
        """The first and the last `recorded_at` known then, UTC without zone.

        Raises:
            DataError: nothing was known then.
        """
        first, last = [], []
        for bucket in range(self.buckets):
            held = self._before(self.timelines.scan([_RECORDED], bucket))
            if held.num_rows:
                bounds: Any = pc.min_max(held[_RECORDED]).as_py()
                first.append(bounds["min"])
                last.append(bounds["max"])
        if not first:
            raise DataError(
                f"reading the period observed as known at {self.at.date()}",
                expected="at least one event",
                got="none recorded before",
                hint="Give a later date.",
            )
        return min(first), max(last)

    def count(self) -> int:
        """Rows known then, every version counted."""
        return sum(
            self._before(self.timelines.scan([_RECORDED], bucket)).num_rows
            for bucket in range(self.buckets)
        )

    def _earlier(self, as_known: datetime | None) -> datetime | None:
        if as_known is None:
            return None
        if as_known.tzinfo is not None:
            as_known = as_known.astimezone(UTC).replace(tzinfo=None)
        return min(as_known, self.at)

    def _with_date(self, columns: Sequence[str] | None) -> list[str] | None:
        return None if columns is None else list(dict.fromkeys([*columns, _RECORDED]))

    def _before(self, events: pa.Table) -> pa.Table:
        return events.filter(pc.less(events[_RECORDED], pa.scalar(self.at, pa.timestamp("us"))))

    def _then(self, events: pa.Table, columns: Sequence[str] | None) -> pa.Table:
        """The rows recorded before the instant; what replaced them later had not replaced them."""
        events = self._before(events)
        names = list(columns) if columns is not None else None
        if SUPERSEDED in events.column_names:
            instant = pa.scalar(self.at, pa.timestamp("us"))
            never = pa.scalar(NEVER.astype(object), pa.timestamp("us"))
            replaced = events[SUPERSEDED]
            then = pc.if_else(pc.less(replaced, instant), replaced, never)
            place = events.schema.get_field_index(SUPERSEDED)
            events = events.set_column(place, events.schema.field(SUPERSEDED), then)
            names = None if names is None else [*names, SUPERSEDED]
        return events if names is None else events.select(names)
