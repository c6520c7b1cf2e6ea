"""Ranges of people whose events fit in memory together, planned from footers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from features.timeline_files import DataFile

__all__ = ["Chunk", "plan_chunks"]

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Chunk:
    """A range of people of one bucket.

    Attributes:
        bucket: Part of the table.
        first: The least subject_id.
        last: The greatest; it belongs to the range.
        rows: Events they have at most: those of all row groups that overlap the range.
    """

    bucket: int
    first: int
    last: int
    rows: int


def plan_chunks(
    bucket: int, files: Sequence[DataFile], rows: int, wanted: Longs | None = None
) -> list[Chunk]:
    """Ranges that together hold every person of a bucket, ascending, of about equal size.

    Nothing but row-group statistics is read: within a row group, people are taken to have alike
    many events and their pseudonyms to be spread evenly, as keyed hashes are. Where that is wrong
    chunks are unequal, never incomplete: any border is a right one. In files written one after
    another a person's rows may lie in many row groups, so that `rows` of the chunks is far too
    high there; in a compacted file it is right to a row group.

    Args:
        bucket: Said in the chunks.
        files: The bucket's files.
        rows: Events a chunk should have at most.
        wanted: Only ranges with one of these people, int64 ascending; narrowed to them.
    """
    first = np.concatenate([np.empty(0, np.int64), *(file.first for file in files)])
    last = np.concatenate([np.empty(0, np.int64), *(file.last for file in files)])
    count = np.concatenate([np.empty(0, np.int64), *(file.rows for file in files)])
    first, last, count = first[count > 0], last[count > 0], count[count > 0]
    if not len(count):
        return []
    ends = [*_cuts(first, last, count, rows, len(files) > 1), int(last.max())]
    begins = [int(first.min()), *(end + 1 for end in ends[:-1])]
    chunks = []
    for begin, end in zip(begins, ends, strict=True):
        chunk: Chunk | None = Chunk(bucket, begin, end, 0)
        if wanted is not None:
            chunk = _narrowed(Chunk(bucket, begin, end, 0), wanted)
        if chunk is not None:
            overlap = (first <= chunk.last) & (last >= chunk.first)
            chunks.append(replace(chunk, rows=int(count[overlap].sum())))
    return chunks


def _narrowed(chunk: Chunk, wanted: Longs) -> Chunk | None:
    start = int(np.searchsorted(wanted, chunk.first, side="left"))
    stop = int(np.searchsorted(wanted, chunk.last, side="right"))
    if start == stop:
        return None
    return replace(chunk, first=int(wanted[start]), last=int(wanted[stop - 1]))


def _cuts(first: Longs, last: Longs, count: Longs, rows: int, mixed: bool) -> list[int]:
    """The last person of each chunk but the last one, ascending.

    The rows of a row group are laid on a few points of its range: only on its end where row groups
    follow one another and are small beside a chunk, so that cuts lie between row groups.
    """
    total = int(count.sum())
    pieces = -(-total // rows)
    if pieces == 1:
        return []
    points = np.clip(-(-4 * count // rows), 64 if mixed else 1, 4096)
    points = np.where(first == last, 1, np.minimum(points, count))
    step = np.maximum(last // points - first // points - 1, 0)
    number = np.arange(points.sum()) - np.repeat(np.cumsum(points) - points, points)
    place = np.repeat(first, points) + np.repeat(step, points) * (number + 1)
    final = np.cumsum(points) - 1
    place[final] = last
    order = np.argsort(place, kind="stable")
    weight = np.cumsum(np.repeat(count / points, points)[order])
    goals = total * np.arange(1, pieces) / pieces
    hit = np.searchsorted(weight, goals * (1 - 1e-9), side="left")
    cuts = np.unique(place[order][np.minimum(hit, len(order) - 1)])
    return [int(cut) for cut in cuts if cut < last.max()]
