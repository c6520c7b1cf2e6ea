"""Events of erased persons out of the timelines: the files, the earlier versions and the log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from deltalake import DeltaTable

from features.event_order import Longs, longs, sorted_events
from features.events import EVENTS
from features.timeline_files import ISSUED
from features.timeline_writing import STORED, stored_rows

if TYPE_CHECKING:
    from features.timelines import Timelines

__all__ = ["erase_events", "forget_log"]

_ROWS = [*EVENTS.names, ISSUED]
_ENTRY = re.compile(r"(\d{20})\.")


def erase_events(timelines: Timelines, subjects: Longs, issued: Longs) -> int:
    """Take every row of some persons away, in one commit, and all that told of them before it.

    The buckets concerned are written anew, every file that the new version does not name is
    deleted, and so is the log before it, whose statistics hold pseudonyms and event ids. Nobody
    else may read or write the table meanwhile: earlier versions are gone. Done twice, or begun
    again after an interruption, it ends the same.

    Rows of another person stay although they tell of the same event: one that was corrected from
    one person to the other.

    Args:
        timelines: The table; goes on to the new version.
        subjects: int64, whose rows go.
        issued: int64, the pseudonyms of the identifiers by which rows came that go.

    Returns:
        Rows that went, every version counted.
    """
    timelines.refresh()
    kept: dict[int, npt.NDArray[np.intp]] = {}
    gone = 0
    for bucket in range(timelines.buckets):
        held = timelines.scan(["subject_id", ISSUED], bucket)
        mine = np.isin(longs(held["subject_id"]), subjects) | np.isin(longs(held[ISSUED]), issued)
        if mine.any():
            kept[bucket] = np.flatnonzero(~mine)
            gone += int(mine.sum())

    def batches() -> Iterator[pa.RecordBatch]:
        for bucket, rows in kept.items():
            if len(rows):
                stay = sorted_events(timelines.scan(_ROWS, bucket).take(rows).combine_chunks())
                number = pa.array(np.full(len(rows), bucket, np.int32))
                yield from stored_rows(stay, number).cast(STORED).to_batches()

    if kept:
        stream = pa.RecordBatchReader.from_batches(STORED, batches())
        timelines.overwrite(sorted(kept), stream, "erase")
    timelines.forget_former()
    forget_log(timelines.folder)
    timelines.refresh()
    return gone


def forget_log(folder: Path) -> int:
    """Replace the log of a Delta table by a checkpoint of its newest version, and that commit.

    A commit says the least and the greatest value of each column of the files it adds, and stays
    long after them. A checkpoint holds only what it says of the files there are. The newest commit
    stays, since the next one is written after it: it adds files that are there, or none.

    Args:
        folder: Of the table.

    Returns:
        Files of the log that were deleted.
    """
    table = DeltaTable(str(folder))
    table.create_checkpoint()
    newest = table.version()
    log = folder / "_delta_log"
    deleted = 0
    # The eldest first: what is left of an interruption is the end of the log, which is valid.
    for file in sorted(log.iterdir()):
        entry = _ENTRY.match(file.name)
        former = file.name.endswith(".tmp") if entry is None else int(entry[1]) < newest
        if former:
            file.unlink()
            deleted += 1
    return deleted
