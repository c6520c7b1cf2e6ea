"""A text file as UTF-8 lines, chunk by chunk; a line that cannot be read is noted, never held."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

from features.settings import ReaderOptions
from features.sources import Aside, SourceFile

__all__ = ["CHUNK", "DAMAGED", "Lines", "decoded", "read_lines"]

CHUNK = 8 * 1024 * 1024
DAMAGED = "\ufffd"
"""Stands where bytes were not of the declared encoding."""


@dataclass(frozen=True)
class Lines:
    """Some whole lines of a file.

    Attributes:
        texts: The good ones, without their ends.
        rows: Their numbers in the file, from 1.
        aside: The others, with the reason.
    """

    texts: list[str]
    rows: list[int]
    aside: list[Aside]


def decoded(file: SourceFile, encoding: str) -> Iterator[tuple[bytes, bool]]:
    """A file as UTF-8 chunks without byte order mark, and whether each is the last (empty) one.

    Bytes that are not of the encoding become U+FFFD.
    """
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    first = True
    with file.open() as stream:
        while True:
            chunk = stream.read(CHUNK)
            text = decoder.decode(chunk, final=not chunk)
            yield (text.removeprefix("\ufeff") if first else text).encode(), not chunk
            first = False
            if not chunk:
                return


def read_lines(file: SourceFile, options: ReaderOptions) -> Iterator[Lines]:
    """The lines of a file; blank ones are passed over.

    Set aside are lines longer than ``max_line_bytes`` (counted in UTF-8), lines with bytes of
    another encoding, and lines with a NUL byte. A chunk and one line's allowance are held.
    """
    limit = options.max_line_bytes
    tail, number, skipping = b"", 0, False
    for chunk, final in decoded(file, options.encoding):
        aside: list[Aside] = []
        if skipping:
            cut = chunk.find(b"\n") + 1
            if not cut:
                continue
            chunk, skipping = chunk[cut:], False
        *whole, tail = (tail + chunk).split(b"\n")
        if final and tail:
            whole, tail = [*whole, tail], b""
        texts, rows = [], []
        for line in whole:
            number += 1
            reason = _fault(line, limit)
            if reason is not None:
                raw = None if reason == "line_too_long" else line.rstrip(b"\r")
                aside.append(Aside(number, reason, raw=raw))
            elif text := line.decode().strip():
                texts.append(text)
                rows.append(number)
        if len(tail) > limit:
            number += 1
            aside.append(Aside(number, "line_too_long"))
            tail, skipping = b"", True
        yield Lines(texts, rows, aside)


def _fault(line: bytes, limit: int) -> str | None:
    if len(line) > limit:
        return "line_too_long"
    if b"\x00" in line:
        return "nul_byte"
    return "bad_encoding" if DAMAGED.encode() in line else None
