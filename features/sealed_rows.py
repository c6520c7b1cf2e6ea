"""Raw rows as sealed text: kept so that they can be mapped again, readable with the vault alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from features.errors import DataError

__all__ = ["Seal", "raw_rows", "table_of"]

_ZONED = re.compile(r"timestamp\[(s|ms|us|ns), tz=(.+)\]")


class Seal:
    """Encrypts texts under a secret of the vault, the same text always to the same bytes.

    AES-SIV (RFC 5297) with a key of 512 bits: what it tells is whether two rows of one file are
    the same, and nothing else. A row that was moved to another file's place no longer opens.

    Args:
        secret: `Vault.secret_for("set-aside")`, 32 bytes.
        scope: What the texts belong to: a source, a table, a file.

    Example:
        >>> seal = Seal(b"s" * 32, "social", "visits.csv")
        >>> sealed = seal.close("Jeanne")
        >>> b"Jeanne" in sealed, seal.open(sealed), seal.close("Jeanne") == sealed
        (False, 'Jeanne', True)
        >>> Seal(b"t" * 32, "social", "visits.csv").open(sealed)
        Traceback (most recent call last):
        features.errors.DataError: opening a row that was set aside. Expected the key it was \
sealed with; got another key, or damaged content. Hint: Read the exports again, or restore the \
vault's key.
    """

    def __init__(self, secret: bytes, *scope: str) -> None:
        key = hashlib.sha512(secret).digest()
        self._cipher = AESSIV(key)
        self._scope = [part.encode() for part in scope] or None
        self.mark = hashlib.sha256(key + b"mark").hexdigest()[:16]
        """Tells one secret from another, and nothing of either."""

    def close(self, text: str) -> bytes:
        """The sealed bytes of a text."""
        return self._cipher.encrypt(text.encode(), self._scope)

    def open(self, sealed: bytes) -> str:
        """The text.

        Raises:
            DataError: bytes that this seal did not close.
        """
        try:
            return self._cipher.decrypt(sealed, self._scope).decode()
        except InvalidTag:
            raise DataError(
                "opening a row that was set aside",
                expected="the key it was sealed with",
                got="another key, or damaged content",
                hint="Read the exports again, or restore the vault's key.",
            ) from None


def raw_rows(table: pa.Table, places: Sequence[int]) -> list[str]:
    """Some rows as JSON, with the types of columns that are no text.

    Args:
        table: The rows as they were read.
        places: Which of them.

    Returns:
        One text per place; :func:`table_of` is the inverse.

    Example:
        >>> rows = pa.table({"id": ["a", "b"], "n": pa.array([1, None], pa.int32())})
        >>> raw_rows(rows, [1])
        ['{"row": {"id": "b", "n": null}, "types": {"n": "int32"}}']
    """
    picked = table.take(pa.array(list(places), pa.int64()))
    types: dict[str, str] = {}
    columns: list[list[Any]] = []
    for name in picked.column_names:
        column = picked[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            types[name] = str(column.type)
        columns.append(_plain(column))
    said: dict[str, Any] = {"types": types} if types else {}
    return [
        json.dumps(
            {"row": dict(zip(picked.column_names, values, strict=True)), **said},
            ensure_ascii=False,
        )
        for values in zip(*columns, strict=True)
    ]


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pa.Table:
    """The raw table of rows kept by :func:`raw_rows`, all with the same types.

    Args:
        rows: Their parsed JSON.
        columns: The columns wanted; each is in every row.

    Example:
        >>> kept = [json.loads(text) for text in raw_rows(pa.table({"n": [4, 5]}), [0, 1])]
        >>> table_of(kept, ["n"])["n"].to_pylist()
        [4, 5]
    """
    types: Mapping[str, str] = rows[0].get("types", {}) if rows else {}
    return pa.table(
        {name: _typed([one["row"][name] for one in rows], types.get(name)) for name in columns}
    )


def _plain(column: pa.ChunkedArray[Any]) -> list[Any]:
    kind: Any = column.type
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.string())
    values: list[Any] = column.to_pylist()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [None if v is None else base64.b64encode(v).decode() for v in values]
    return values


def _typed(values: list[Any], said: str | None) -> pa.Array[Any]:
    # A decimal is read by the mapping through its text.
    if said is None or said.startswith("decimal"):
        return pa.array(values, pa.string())
    kind: Any
    if zoned := _ZONED.fullmatch(said):
        kind = pa.timestamp(zoned[1], zoned[2])
    else:
        kind = pa.type_for_alias(said.removeprefix("large_"))  # type: ignore[call-overload]
    if pa.types.is_temporal(kind):
        whole = pa.int32() if kind.bit_width == 32 else pa.int64()
        return pa.array(values, whole).cast(kind)
    if pa.types.is_binary(kind):
        return pa.array([None if v is None else base64.b64decode(v) for v in values], kind)
    return pa.array(values, kind)
