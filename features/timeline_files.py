"""The data files of a timelines table at one version: what their footers say, kept at hand."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

__all__ = ["IN_FILE", "ISSUED", "DataFile", "DataFiles", "Footers"]

IN_FILE = "superseded_in_file"
"""Stored column: when this version was replaced by one *of its own file*; null = by none there.

Its name differs from the `superseded_at` that :class:`features.timelines.Timelines` answers with:
whoever reads the files themselves must not take the one for the other.
"""

ISSUED = "issued_as"
"""Stored column: the pseudonym of the very identifier that the row came with.

`subject_id` is its present owner, which merges and splits change; this one stays. It is 0 for a
version that withdraws an event and follows from others. Where a file of an earlier format has no
such column, it is taken to be `subject_id`.
"""

_KEPT = 8_192
"""Row groups whose footers stay in memory, about 10 kB each."""

Longs = npt.NDArray[np.int64]
_UNKNOWN = np.iinfo(np.int64)
"""Where a writer left no statistics, anyone may be."""


@dataclass(frozen=True, eq=False)
class DataFile:
    """One Parquet file of the table and what its footer says; it never changes.

    Attributes:
        path: Where it lies.
        metadata: Its footer.
        first: int64 [row groups], the least subject_id of each.
        last: int64 [row groups], the greatest.
        rows: int64 [row groups], how many rows each has.
        dated: It has the column `IN_FILE`.
        issued: It has the column `ISSUED`.
        ordered: No row group begins before the end of the one before it.
    """

    path: Path
    metadata: pq.FileMetaData
    first: Longs
    last: Longs
    rows: Longs
    dated: bool
    issued: bool
    ordered: bool

    @classmethod
    def of(cls, path: Path) -> DataFile:
        """Read a footer."""
        metadata = pq.read_metadata(path)
        names = [metadata.schema.column(n).path for n in range(metadata.num_columns)]
        subject = names.index("subject_id")
        first, last, rows = [], [], []
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            said = group.column(subject).statistics
            known = said if said is not None and said.has_min_max else _UNKNOWN
            first.append(known.min)
            last.append(known.max)
            rows.append(group.num_rows)
        begins, ends = np.array(first, np.int64), np.array(last, np.int64)
        return cls(
            path,
            metadata,
            begins,
            ends,
            np.array(rows, np.int64),
            IN_FILE in names,
            ISSUED in names,
            bool((begins[1:] >= ends[:-1]).all()),
        )


class Footers:
    """Footers read lately, shared by threads; the eldest are forgotten when there are too many.

    A data file bears a name that no other file ever had, so that a footer never grows old.

    Args:
        most: Row groups in all whose footers are kept.
    """

    def __init__(self, most: int = _KEPT) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[Path, DataFile] = OrderedDict()
        self._groups = 0

    def __len__(self) -> int:
        return self._groups

    def of(self, path: Path) -> DataFile:
        """The footer of a file, read at most once while it is kept."""
        with self._lock:
            found = self._held.get(path)
            if found is not None:
                self._held.move_to_end(path)
                return found
        file = DataFile.of(path)
        with self._lock:
            if path not in self._held:
                self._held[path] = file
                self._groups += len(file.rows)
            while self._groups > self._most and len(self._held) > 1:
                _, gone = self._held.popitem(last=False)
                self._groups -= len(gone.rows)
        return file


class DataFiles:
    """Which files each bucket has at one version of the table.

    Args:
        table: The opened table; only looked at here, so that the answer stays that of its version.
        folder: Where it lies.
        footers: Where footers are kept.
    """

    def __init__(self, table: DeltaTable, folder: Path, footers: Footers) -> None:
        self.version = int(table.version())
        self._folder = folder
        self._footers = footers
        self._names: dict[int, list[tuple[str, int]]] = defaultdict(list)
        said = pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all()
        rows = said.select(["path", "size_bytes", "partition.bucket"]) if said.num_rows else said
        for row in rows.to_pylist():
            self._names[row["partition.bucket"]].append((row["path"], row["size_bytes"]))

    def of(self, bucket: int) -> list[DataFile]:
        """The files of a bucket, by name."""
        return [self._footers.of(self._folder / name) for name, _ in self._of(bucket)]

    def fingerprint(self, bucket: int) -> str:
        """Sha256 over the names and sizes of a bucket's files."""
        return hashlib.sha256(repr(self._of(bucket)).encode()).hexdigest()

    def _of(self, bucket: int) -> list[tuple[str, int]]:
        return sorted(self._names.get(bucket, []))
