"""What a new row says beside what is held: a new event, a version, nothing, a contradiction."""

from __future__ import annotations

import hashlib
from binascii import unhexlify
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.events import WITHDRAWN

__all__ = [
    "CONTENT",
    "KnownVersions",
    "Verdict",
    "Versions",
    "halves",
    "judge",
    "withdrawals_of",
    "within",
]

CONTENT = ("time", "code", "numeric_value", "text_value", "end_time", "source_code", "reference")
"""Columns that make two versions of one event different; the person does, too."""

_WITHDRAWAL = np.uint64(0)
_KINDS = (np.uint64, np.uint64, np.int64, np.int64, np.uint64)
_AT_ONCE = 65_536
"""Event ids made numbers together: few enough to stay near the processor."""

Longs = npt.NDArray[np.int64]
Ulongs = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Versions:
    """Rows of events as numbers, five arrays of one length.

    Attributes:
        high: First half of the event id.
        low: Second half of the event id.
        recorded: When it was known, microseconds.
        subject: Whose it is.
        content: Hash of the other columns, valid within one process; 0 for a withdrawal.
    """

    high: Ulongs
    low: Ulongs
    recorded: Longs
    subject: Longs
    content: Ulongs

    @classmethod
    def of(cls, events: pa.Table) -> Versions:
        """The rows of an events table."""
        import duckdb

        if not events.num_rows:
            none: list[Any] = [np.empty(0, kind) for kind in _KINDS]
            return cls(*none)
        high, low = halves(events)
        with duckdb.connect() as connection:
            rows = events.select([*CONTENT])
            query = f"SELECT hash({', '.join(CONTENT)}) AS content FROM rows"  # noqa: S608
            content = connection.sql(query).to_arrow_table()["content"].to_numpy().copy()
            del rows
        content[content == _WITHDRAWAL] = 1
        gone = _numpy(pc.equal(events["code"], pa.scalar(WITHDRAWN)))
        content[gone.astype(bool)] = _WITHDRAWAL
        return cls(
            high, low, _numpy(events["recorded_at"].cast(pa.int64())),
            _numpy(events["subject_id"]), content,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.high)

    def event(self, row: int) -> tuple[int, int]:
        """The event of a row."""
        return int(self.high[row]), int(self.low[row])

    def gone(self, row: int) -> bool:
        """Whether a row is a withdrawal."""
        return bool(self.content[row] == _WITHDRAWAL)

    def of_owners(self, subjects: Longs) -> Versions:
        """The same rows, each of another person."""
        return Versions(self.high, self.low, self.recorded, subjects, self.content)

    def take(self, rows: npt.NDArray[np.intp]) -> Versions:
        """Some of the rows."""
        return Versions(
            self.high[rows], self.low[rows], self.recorded[rows],
            self.subject[rows], self.content[rows],
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: list[Versions]) -> Versions:
        """Several after one another."""
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("high", "low", "recorded", "subject", "content")
            )
        )


class KnownVersions:
    """Every version held of some source, found by event id; 40 bytes a row in memory.

    Rows are kept in sorted runs that are merged when they grow alike, so that adding n rows in
    many batches costs n log n, not n times the batches.
    """

    def __init__(self) -> None:
        self._runs: list[Versions] = []

    def add(self, versions: Versions) -> None:
        """Take note of rows that the table now holds."""
        if not len(versions):
            return
        run = versions.take(np.argsort(versions.high, kind="stable"))
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            both = Versions.joined([self._runs.pop(), run])
            run = both.take(np.argsort(both.high, kind="stable"))
        self._runs.append(run)

    def of(self, wanted: Versions) -> Versions:
        """Every version held of the event ids of some rows."""
        ids = np.unique(wanted.high)
        parts = [run.take(within(run.high, ids)) for run in self._runs]
        return Versions.joined(parts) if parts else wanted.take(np.empty(0, np.intp))


@dataclass(frozen=True)
class Verdict:
    """What is to be done with the rows of one append.

    Attributes:
        kept: Rows to write, ascending.
        added: How many of them are the first of their event.
        contradicting: Rows with the entry date of a known version and another content: which of
            the two is right cannot be told, so they are not written.
        withdrawals: (row, person who loses it, microseconds when): versions to write that say
            so; the row is of the same event.
    """

    kept: npt.NDArray[np.intp]
    added: int
    contradicting: npt.NDArray[np.intp]
    withdrawals: list[tuple[int, int, int]]


def judge(new: Versions, held: Versions) -> Verdict:
    """Which rows say something new, given every version held of their events.

    A row is nothing new only if one is held with its event, entry date, person and content. Equal
    content with another entry date is kept: whether it repeats its neighbour cannot be told
    before every row is there. Each version takes the event away, at its entry date, from every
    other person who had an earlier version. Both are decided by rows and pairs of rows alone, so
    what is kept in the end depends on the set of rows, not on their order or on how they were
    split and repeated.

    It is assumed that a source gives a corrected row a later entry date. Where it does not, two
    contents of one event have one entry date, and the row that came first stays: repeating and
    splitting the same sequence still change nothing, another order does.

    Args:
        new: Rows in the order of their arrival.
        held: From :meth:`KnownVersions.of`; may hold other events, too.

    Example:
        >>> def rows(recorded, content):
        ...     one = np.ones(len(recorded), np.uint64)
        ...     return Versions(one, one, np.array(recorded), one.astype(np.int64),
        ...                     np.array(content, np.uint64))
        >>> held = rows([4], [8])
        >>> verdict = judge(rows([4, 20, 10, 4], [8, 8, 9, 9]), held)
        >>> verdict.kept.tolist(), verdict.contradicting.tolist()
        ([1, 2], [3])
    """
    _, where = np.unique(np.concatenate([held.high, new.high]), return_inverse=True)
    alone = np.bincount(where)[where[len(held) :]] == 1
    plain = np.flatnonzero(alone)
    careful = np.flatnonzero(~alone)
    if not len(careful):
        return Verdict(plain, len(plain), careful, [])
    rows = Versions.joined([held, new.take(careful)])
    event = _events(rows)
    fresh = np.arange(len(rows)) >= len(held)
    gone = rows.content == _WITHDRAWAL
    order = np.lexsort((np.arange(len(rows)), rows.recorded, event))
    order = order[~gone[order]]
    kept, clash, chain = _walk(rows, event, fresh, order)
    added = len(np.setdiff1d(event[kept], event[~fresh & ~gone]))
    kept = np.concatenate([kept, _new_withdrawals(rows, event, fresh & gone, ~fresh & gone)])
    return Verdict(
        np.sort(np.concatenate([plain, careful[kept - len(held)]])),
        len(plain) + added,
        np.sort(careful[clash - len(held)]),
        [
            (int(careful[row - len(held)]), subject, at)
            for row, subject, at in _withdrawals(rows, event, fresh, gone, chain)
        ],
    )


def _events(rows: Versions) -> npt.NDArray[np.intp]:
    """A number for each event id: rows share it when both halves are equal."""
    _, first, event = np.unique(rows.high, return_index=True, return_inverse=True)
    if (rows.low[first[event]] == rows.low).all():
        return event
    pairs = np.empty(len(rows), dtype=[("high", np.uint64), ("low", np.uint64)])
    pairs["high"], pairs["low"] = rows.high, rows.low
    return np.unique(pairs, return_inverse=True)[1]


def _walk(
    rows: Versions, event: npt.NDArray[np.intp], fresh: npt.NDArray[np.bool_], order: Longs
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows to keep, rows that contradict, and the chain of all versions that stand, in order."""
    if not len(order):
        return order, order, order
    moment = np.ones(len(order), bool)
    moment[1:] = (event[order[1:]] != event[order[:-1]]) | (
        rows.recorded[order[1:]] != rows.recorded[order[:-1]]
    )
    first = order[np.maximum.accumulate(np.where(moment, np.arange(len(order)), 0))]
    other = (rows.subject[first] != rows.subject[order]) | (
        rows.content[first] != rows.content[order]
    )
    clash = order[~moment & other & fresh[order]]
    chain = order[moment]
    return chain[fresh[chain]], clash, chain


def _withdrawals(
    rows: Versions,
    event: npt.NDArray[np.intp],
    fresh: npt.NDArray[np.bool_],
    gone: npt.NDArray[np.bool_],
    chain: npt.NDArray[np.intp],
) -> list[tuple[int, int, int]]:
    """Each version's entry date, for each other person with an earlier one, unless known already.

    Not only the person just before: a version that comes late would make another person that.
    """
    before, after = chain[:-1], chain[1:]
    passed = (event[before] == event[after]) & (rows.subject[before] != rows.subject[after])
    moved = np.intersect1d(event[after[passed]], event[chain[fresh[chain]]])
    if not len(moved):
        return []
    known = {
        (int(event[i]), int(rows.subject[i]), int(rows.recorded[i])) for i in np.flatnonzero(gone)
    }
    found = []
    chain = chain[np.isin(event[chain], moved)]
    for versions in np.split(chain, np.flatnonzero(np.diff(event[chain])) + 1):
        newcomer = int(versions[fresh[versions]][0])
        earlier: dict[int, None] = {}
        for version in versions:
            owner, at = int(rows.subject[version]), int(rows.recorded[version])
            found += [
                (newcomer, subject, at)
                for subject in earlier
                if subject != owner and (int(event[version]), subject, at) not in known
            ]
            earlier[owner] = None
    return found


def withdrawals_of(rows: Versions) -> list[tuple[int, int, int]]:
    """Every withdrawal that follows from all versions of some events, whatever is held.

    Args:
        rows: Every version of the events; withdrawals among them count for nothing.

    Returns:
        (row of the event, person who loses it, microseconds when).

    Example:
        >>> one = np.ones(2, np.uint64)
        >>> withdrawals_of(Versions(one, one, np.array([4, 9]), np.array([7, 8]), one))
        [(0, 7, 9)]
    """
    event = _events(rows)
    gone = rows.content == _WITHDRAWAL
    order = np.lexsort((np.arange(len(rows)), rows.recorded, event))
    order = order[~gone[order]]
    fresh = np.ones(len(rows), bool)
    _, _, chain = _walk(rows, event, fresh, order)
    return list(dict.fromkeys(_withdrawals(rows, event, fresh, np.zeros_like(gone), chain)))


def _new_withdrawals(
    rows: Versions,
    event: npt.NDArray[np.intp],
    given: npt.NDArray[np.bool_],
    held: npt.NDArray[np.bool_],
) -> npt.NDArray[np.intp]:
    """Withdrawals that came as rows themselves (a copied table), each once."""
    known = {
        (int(event[i]), int(rows.subject[i]), int(rows.recorded[i])) for i in np.flatnonzero(held)
    }
    kept = []
    for i in np.flatnonzero(given):
        key = (int(event[i]), int(rows.subject[i]), int(rows.recorded[i]))
        if key not in known:
            known.add(key)
            kept.append(i)
    return np.array(kept, np.intp)


def halves(events: pa.Table) -> tuple[Ulongs, Ulongs]:
    """The two halves of each event id; an id that is not 32 hexadecimal digits is hashed first.

    Example:
        >>> high, low = halves(pa.table({"event_id": ["00000000000000ff0000000000000001", "x"]}))
        >>> int(high[0]), int(low[0])
        (255, 1)
    """
    parts = [
        _numbers(chunk.slice(start, _AT_ONCE))
        for chunk in events["event_id"].chunks
        for start in range(0, len(chunk), _AT_ONCE)
    ]
    numbers = np.concatenate(parts) if parts else np.empty((0, 2), np.uint64)
    return numbers[:, 0].copy(), numbers[:, 1].copy()


def _numbers(ids: pa.Array[Any]) -> npt.NDArray[np.uint64]:
    column: Any = ids.cast(pa.string())
    size = len(column)
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset :][: size + 1]
    if (np.diff(offsets) == 32).all():
        text = np.frombuffer(column.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
        # Capitals are digits to `unhexlify`, too, but such an id is another one.
        if not ((text & 0xE0) == 0x40).any():
            try:
                return np.frombuffer(unhexlify(text.data), ">u8").astype(np.uint64).reshape(size, 2)
            except ValueError:  # Some other letter: these are no digits.
                pass
    hashed = [_hex_or_hash(value) for value in column.to_pylist()]
    return np.frombuffer(b"".join(hashed), ">u8").astype(np.uint64).reshape(size, 2)


def _hex_or_hash(value: str) -> bytes:
    if len(value) == 32 and not set(value) - set("0123456789abcdef"):
        return bytes.fromhex(value)
    return hashlib.blake2b(value.encode(), digest_size=16).digest()


def within(ordered: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Positions in a sorted array of all values that are among some others."""
    start = np.searchsorted(ordered, wanted, side="left")
    stop = np.searchsorted(ordered, wanted, side="right")
    counts = stop - start
    hit = counts > 0
    start, counts = start[hit], counts[hit]
    if not len(start):
        return np.empty(0, np.intp)
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) + np.repeat(start - (ends - counts), counts)


def _numpy(column: pa.Array[Any] | pa.ChunkedArray[Any]) -> npt.NDArray[Any]:
    whole = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    return whole.to_numpy()
