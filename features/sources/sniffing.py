"""How a text file is written, told from its beginning: encoding, separator, quote, decimal mark."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from charset_normalizer import from_bytes

from features.sources.files import SourceFile

__all__ = ["Dialect", "sniff", "sniff_encoding"]

FOR_ENCODING = 4 << 20
"""Bytes looked at for the encoding: an accent may come late."""

FOR_DIALECT = 256 << 10
"""Characters looked at for the rest."""

RECORDS = 500
DELIMITERS = (";", ",", "\t", "|", "^", "~")
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
FRENCH = frozenset("éèêëàâçîïôùûüÿœæÉÈÊËÀÂÇÎÏÔÙÛÜŸŒÆ°€«»’…–\xa0²")
USUAL = ("windows-1252", "iso-8859-15", "cp850", "mac-roman")
"""One byte a character, as systems in France write; of two that fit as well, the first."""

COMMA = re.compile(r"[-+]?\d+(?:[ \u00a0\u202f]\d{3})*,\d+")
POINT = re.compile(r"[-+]?\d+\.\d+")
VALUE = re.compile(r"[-+]?[\d\s.,/:-]*\d[\d\s.,/:TZ+-]*")
"""A number, a date or an hour: what no column is called."""


@dataclass(frozen=True)
class Dialect:
    """How a delimited text is written.

    Attributes:
        encoding: As Python calls it.
        delimiter: One character; `,` where only one column was found.
        quote: One character.
        decimal: `.` or `,`, whichever more numbers of the sample have; `.` where none has any.
        header: Whether the first line looks like names of columns.
    """

    encoding: str
    delimiter: str
    quote: str
    decimal: str
    header: bool


def sniff(file: SourceFile, encoding: str | None = None) -> Dialect:
    """How a delimited text is written, for an ingest with `auto` options or a draft mapping.

    It assumes that the beginning is like the rest: what only occurs beyond the first 4 MiB (for
    the encoding) or 256 Ki characters (for the rest) is not seen, and shows later as rows set
    aside. The separator is the one that gives the most records as many fields as the first line.

    Args:
        file: The text; it is read from its beginning, a bounded part of it.
        encoding: Taken as it is when it is known.

    Raises:
        DataError: compressed content that cannot be read.

    Example:
        >>> text = "id;nom;montant\\n1;Éloïse;12,50\\n2;Zoé;3,20\\n"
        >>> sniff(SourceFile.in_memory("x.csv", text.encode("windows-1252")))
        Dialect(encoding='windows-1252', delimiter=';', quote='"', decimal=',', header=True)
    """
    sample = _beginning(file)
    encoding = encoding or _encoding(sample)
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    text = decoder.decode(sample).removeprefix("\ufeff")[:FOR_DIALECT].replace("\x00", "")
    whole, cut, _ = text.rpartition("\n")
    text = whole if cut and len(sample) >= FOR_ENCODING else text
    quote = _quote(text)
    tried = {mark: _records(text, mark, quote) for mark in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda mark: _fit(tried[mark]))
    if _fit(tried[delimiter])[0] == 0:
        delimiter = ","
    records = tried[delimiter]
    cells = [cell for record in records[1:] for cell in record]
    commas, points = (sum(form.fullmatch(c) is not None for c in cells) for form in (COMMA, POINT))
    decimal = "," if commas > points and delimiter != "," else "."
    return Dialect(encoding, delimiter, quote, decimal, _names(records[0] if records else []))


def sniff_encoding(file: SourceFile) -> str:
    """The encoding of a text, as Python calls it; `utf-8` for one that is all ASCII.

    Example:
        >>> sniff_encoding(SourceFile.in_memory("x.csv", "côté;été".encode("cp850")))
        'cp850'
    """
    return _encoding(_beginning(file))


def _beginning(file: SourceFile) -> bytes:
    with file.open() as stream:
        return stream.read(FOR_ENCODING)


def _encoding(sample: bytes) -> str:
    for mark, name in MARKS:
        if sample.startswith(mark):
            return name
    zeros = [sample[start : 1 << 16 : 2].count(0) for start in (0, 1)]
    if max(zeros) > len(sample[: 1 << 16]) // 5:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    try:
        # The sample may end inside a character.
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return _one_byte(sample)
    return "utf-8"


def _one_byte(sample: bytes) -> str:
    met = Counter(byte for byte in sample if byte >= 0x80)
    total = sum(met.values())
    shares = []
    for name in USUAL:
        read = {byte: bytes([byte]).decode(name, "replace") for byte in met}
        letters = sum(count for byte, count in met.items() if read[byte] in FRENCH)
        shares.append(letters / total)
    best = max(range(len(USUAL)), key=lambda place: (shares[place], -place))
    if shares[best] >= 0.8:
        return USUAL[best]
    lines = [line for line in sample.split(b"\n") if not line.isascii()]
    guess = from_bytes(b"\n".join(lines)[: 64 << 10]).best()
    return USUAL[0] if guess is None else guess.encoding.replace("_", "-")


def _quote(text: str) -> str:
    def held(mark: str) -> int:
        return len(
            re.findall(rf"(?:^|[;,\t|]){mark}[^{mark}\n]*{mark}(?=[;,\t|]|\r?$)", text, re.M)
        )

    return "'" if '"' not in text and held("'") >= 2 else '"'


def _records(text: str, delimiter: str, quote: str) -> list[list[str]]:
    records: list[list[str]] = []
    lines: Iterable[str] = text.splitlines(keepends=True)
    try:
        for record in csv.reader(lines, delimiter=delimiter, quotechar=quote):
            if record:
                records.append(record)
            if len(records) > RECORDS:
                break
    except csv.Error:
        return records
    return records


def _fit(records: Sequence[Sequence[str]]) -> tuple[float, int]:
    """The share of records with as many fields as the first, in twentieths; how many fields."""
    if not records or len(records[0]) < 2:
        return 0.0, 0
    fields = len(records[0])
    same = sum(len(record) == fields for record in records) / len(records)
    return round(same * 20) / 20, fields


def _names(first: Sequence[str]) -> bool:
    names = [name.strip() for name in first]
    return (
        bool(names)
        and all(names)
        and len(set(names)) == len(names)
        and not any(VALUE.fullmatch(name) for name in names)
    )
