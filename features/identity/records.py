"""What tells persons apart, sealed in the vault: names, birth date, place, telephone, e-mail."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from features.identity.keys import Keys
    from features.identity.vault import Vault

__all__ = [
    "ATTRIBUTES",
    "Record",
    "birth_dates",
    "column",
    "content_mark",
    "is_attribute",
    "keep",
    "load",
    "plain",
]

_PREFIX = "attribute\x1f"


def column(attribute: str) -> str:
    """The name of an attribute's column in a table of persons."""
    return _PREFIX + attribute


def is_attribute(name: str) -> bool:
    """Whether a column of a table of persons holds an attribute, not an identifier."""
    return name.startswith(_PREFIX)


@dataclass(frozen=True)
class Record:
    """One row of a persons table.

    Attributes:
        digest: Of its first identifier.
        subject: Whom that identifier belongs to now.
        said: Its attributes as they were written.
    """

    digest: bytes
    subject: int
    said: dict[str, str]


def keep(vault: Vault, table: pa.Table, digests: Sequence[bytes | None]) -> int:
    """Seal the attributes of rows; a row known already is passed over.

    Args:
        vault: Where.
        table: Columns named by :func:`column`, text.
        digests: Of each row, its first identifier; None for a row without.

    Returns:
        Rows newly kept.
    """
    names = [name for name in table.column_names if is_attribute(name)]
    if not names:
        return 0
    known = {content for (content,) in vault.rows("SELECT content FROM records")}
    columns: list[list[Any]] = [table[name].to_pylist() for name in names]
    short = [name.removeprefix(_PREFIX) for name in names]
    rows = []
    for digest, *values in zip(digests, *columns, strict=True):
        said = {name: value for name, value in zip(short, values, strict=True) if value}
        if digest is None or not said:
            continue
        text = json.dumps(said, ensure_ascii=False, sort_keys=True).encode()
        content = content_mark(vault.keys, digest, text)
        if content not in known:
            known.add(content)
            rows.append((digest, content, vault.keys.sealed(text, digest)))
    with vault.transaction() as connection:
        connection.executemany("INSERT OR IGNORE INTO records VALUES (?, ?, ?)", rows)
    return len(rows)


def content_mark(keys: Keys, digest: bytes, text: bytes) -> bytes:
    """What tells, without its content being read, that a record is kept already; 16 bytes."""
    return hashlib.blake2b(digest + text, key=keys.for_attributes, digest_size=16).digest()


def load(vault: Vault, subject: int | None = None) -> list[Record]:
    """The records kept, of everyone or of one person, in the order of their hashes.

    Args:
        vault: Where.
        subject: Only of this person.
    """
    which = "" if subject is None else "WHERE subject_id = ?"
    query = (
        "SELECT digest, subject_id, sealed FROM records JOIN identifiers USING (digest) "  # noqa: S608
        f"{which} ORDER BY digest, content"
    )
    values = () if subject is None else (subject,)
    return [
        Record(digest, owner, json.loads(vault.keys.unsealed(sealed, digest)))
        for digest, owner, sealed in vault.rows(query, *values)
    ]


def birth_dates(texts: pa.Array, formats: Sequence[str]) -> pa.Array:
    """Birth dates as ISO days, null where none of the formats fits.

    Args:
        texts: As they were written.
        formats: Of `strptime`, or `iso`, tried in order.

    Example:
        >>> said = pa.array(["21/07/1984", "1984-07-21 00:00:00", "?"])
        >>> birth_dates(said, ["%d/%m/%Y", "iso"]).to_pylist()
        ['1984-07-21', '1984-07-21', None]
    """
    values: list[Any] = texts.to_pylist()
    met: dict[Any, str | None] = {None: None}
    for value in set(values) - {None}:
        met[value] = next((day for one in formats if (day := _day(value, one))), None)
    return pa.array([met[value] for value in values], pa.string())


def _day(text: str, form: str) -> str | None:
    try:
        if form == "iso":
            return datetime.fromisoformat(text).date().isoformat()
        return datetime.strptime(text, form).date().isoformat()
    except ValueError:
        return None


@lru_cache(maxsize=500_000)
def _letters(text: str) -> str | None:
    bare = unicodedata.normalize("NFKD", text.casefold())
    return re.sub(r"[^a-z0-9]", "", bare) or None


def _digits(text: str) -> str | None:
    digits = re.sub(r"\D", "", text)
    return digits[-9:] if len(digits) >= 9 else None


def _address(text: str) -> str | None:
    return text.strip().casefold() or None


def _as_it_is(text: str) -> str | None:
    return text


ATTRIBUTES: dict[str, Callable[[str], str | None]] = {
    "first_name": _letters,
    "last_name": _letters,
    "birth_date": _as_it_is,
    "place": _letters,
    "phone": _digits,
    "email": _address,
}
"""What may be mapped, and how a value is made comparable."""


def plain(record: Record) -> dict[str, str | None]:
    """A record's attributes made comparable: no accents, capitals, spaces, country codes.

    Example:
        >>> said = {"last_name": "N'Diaye", "first_name": "Aïcha", "phone": "+33 6 39 98 00 01"}
        >>> plain(Record(b"", 1, said))["last_name"], plain(Record(b"", 1, said))["phone"]
        ('ndiaye', '639980001')
    """
    said = record.said
    return {name: made(said[name]) if said.get(name) else None for name, made in ATTRIBUTES.items()}
