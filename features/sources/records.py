"""The records of a delimited text file: where each ends, and which cannot be read, in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from features.settings import ReaderOptions
from features.sources import Aside, SourceFile
from features.sources.lines import decoded

__all__ = ["Records", "read_records"]

NUL, DAMAGED, RETURN, OPEN = 1, 2, 4, 8
"""What may be wrong with a record: a NUL byte, bytes of another encoding, a carriage return that
ends no line, a quote that is not closed."""


@dataclass(frozen=True)
class Records:
    """Some whole records of a file.

    Attributes:
        text: The good ones as UTF-8, one after another.
        rows: int64, their lines in the file, counted from the header's (0).
        aside: The others, with the reason and, where they are not too long, as they stood.
    """

    text: bytes
    rows: npt.NDArray[np.int64]
    aside: list[Aside]


def read_records(file: SourceFile, options: ReaderOptions, fields: int) -> Iterator[Records]:
    """The records after the header line, chunk by chunk; blank lines are passed over.

    A record may go over several lines inside quotes. A quote that is never closed costs its own
    line, not the rest of the file: a record of several lines with the wrong number of fields, with
    text after its closing quote, or longer than ``max_line_bytes`` is given up after its first
    line, and reading goes on with the second. A line beyond ``max_line_bytes`` is not held.

    Args:
        file: The text file.
        options: Encoding (any that Python knows), delimiter, quote, longest record in bytes.
        fields: How many fields a record must have.
    """
    limit = options.max_line_bytes
    tail, line, header, skipping = b"", 0, True, False
    for text, final in decoded(file, options.encoding):
        noted: list[Aside] = []
        if skipping:
            cut = text.find(b"\n") + 1
            if not cut:
                continue
            text, line, skipping = text[cut:], line + 1, False
        text = tail + text
        if header and (cut := text.find(b"\n") + 1):
            text, line, header = text[cut:], 1, False
        if header:
            tail = text
            continue
        if final and text and not text.endswith(b"\n"):
            text += b"\n"
        data = np.frombuffer(text, np.uint8)
        ends, counts, flags, lines, done = _split(
            data, ord(options.delimiter), ord(options.quote), fields, limit, final
        )
        rows = line + np.cumsum(lines) - lines
        line += int(lines.sum())
        tail = text[done:]
        good, bad = _judged(text, ends, counts, flags, rows, fields, limit)
        noted += bad
        if len(tail) > limit and b"\n" not in tail:
            noted.append(Aside(line, "line_too_long"))
            tail, skipping = b"", True
        yield Records(_kept(text, ends, good), rows[good], noted)


@njit(cache=True)
def _split(
    data: Any, delimiter: int, quote: int, fields: int, limit: int, final: bool
) -> Any:  # pragma: no cover
    """Ends, field counts, flags and lines of the whole records; where the first other begins."""
    most = 1
    for i in range(data.size):
        most += data[i] == 10
    ends = np.empty(most, np.int64)
    counts = np.empty(most, np.int32)
    flags = np.empty(most, np.uint8)
    lines = np.empty(most, np.int64)
    records = 0
    start = 0
    while start < data.size:
        count, flag, newlines, junk, first_end = 1, 0, 0, 0, -1
        quoted, fresh, ended = False, True, False
        i = start
        while i < data.size:
            byte = data[i]
            if byte == 0:
                flag |= NUL
            elif byte == 0xBD and i - start >= 2 and data[i - 1] == 0xBF and data[i - 2] == 0xEF:
                flag |= DAMAGED
            if byte == 10 and first_end < 0:
                first_end = i + 1
            if quoted:
                if byte == quote:
                    if i + 1 < data.size and data[i + 1] == quote:
                        i += 1
                    else:
                        quoted = False
                        if i + 1 < data.size:
                            after = data[i + 1]
                            junk |= after != delimiter and after != 10 and after != 13
                elif byte == 10:
                    newlines += 1
                    if i - start > limit:
                        break
                fresh = False
            elif byte == 10:
                ended = True
                i += 1
                break
            elif byte == delimiter:
                count += 1
                fresh = True
            elif byte == quote and fresh:
                quoted = True
                fresh = False
            else:
                if byte == 13 and i + 1 < data.size and data[i + 1] != 10:
                    flag |= RETURN
                fresh = False
            i += 1
        if newlines:
            broken = ended and (count != fields or junk)
            broken |= not ended and (final or i < data.size or i - start > limit)
            if broken:
                ends[records] = first_end
                counts[records], flags[records], lines[records] = count, OPEN, 1
                records += 1
                start = first_end
                continue
        if not ended:
            if not final:
                break
            # A quote was opened on the last line of the file.
            flag |= OPEN
            i = data.size
        ends[records] = i
        counts[records], flags[records], lines[records] = count, flag, newlines + 1
        records += 1
        start = i
    return ends[:records], counts[:records], flags[:records], lines[:records], start


def _judged(
    text: bytes, ends: Any, counts: Any, flags: Any, rows: Any, fields: int, limit: int
) -> tuple[npt.NDArray[np.bool_], list[Aside]]:
    data = np.frombuffer(text, np.uint8)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)]
    sizes = ends - starts
    blank = (sizes == 1) | ((sizes == 2) & (data[starts] == 13) if len(starts) else False)
    reasons = (
        ("line_too_long", sizes > limit),
        ("open_quote", flags & OPEN != 0),
        ("nul_byte", flags & NUL != 0),
        ("bad_encoding", flags & DAMAGED != 0),
        ("stray_return", flags & RETURN != 0),
        ("wrong_number_of_columns", counts != fields),
    )
    good = ~blank
    bad: list[Aside] = []
    for reason, mask in reasons:
        hit = good & mask
        for place in np.flatnonzero(hit).tolist():
            held = None if reason == "line_too_long" else text[starts[place] : ends[place]]
            raw = None if held is None else held.rstrip(b"\r\n")
            bad.append(Aside(int(rows[place]), reason, raw=raw))
        good &= ~mask
    return good, sorted(bad, key=lambda aside: aside.row)


def _kept(text: bytes, ends: Any, good: npt.NDArray[np.bool_]) -> bytes:
    """The good records, copied run by run."""
    if good.all():
        return text[: ends[-1]] if len(ends) else b""
    edges = np.flatnonzero(np.diff(good.astype(np.int8), prepend=0, append=0))
    starts = np.concatenate([[0], ends[:-1]])
    return b"".join(
        text[starts[begin] : ends[end - 1]]
        for begin, end in zip(edges[::2], edges[1::2], strict=True)
    )
