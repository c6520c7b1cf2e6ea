"""Lines that no reader could split: whose they are is found from the identifiers in them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from features.aside_files import AsideFile, aside_files, drop_persons
from features.mapping import table_name
from features.sealed_rows import Seal
from features.settings import AUTO, FeaturesSettings, Source

__all__ = ["Whose", "drop_lines", "drop_rows", "lines_of"]

Whose = Callable[[str, Sequence[str]], Sequence[bool]]
"""Told a system and values: which of them are an identifier of those who are meant."""

_ANY = re.compile(r"[;,\t|]")
_JSON = "jsonl"
_SPAN = re.compile(r'(?:[^"\\]|\\.)+')
"""What stands between two quotes of a line of JSON, whichever of them is missing."""
_AFTER_COLON = re.compile(r":\s*([^\s,:{}\[\]]+)")


def lines_of(
    folder: Path, settings: FeaturesSettings, secret: bytes, whose: Whose
) -> Iterator[dict[str, Any]]:
    """Lines kept under seal, set aside as unreadable, that hold an identifier of somebody.

    A line is cut at the source's delimiter, a line of JSON into its values; each piece is tried as
    an identifier of each system that the source's tables know. What is written otherwise than the
    source writes identifiers, or made of several columns, is not found.

    Args:
        folder: The territory's ``set-aside``.
        settings: The territory's: its sources say which systems a line may hold.
        secret: `Vault.secret_for("set-aside")`.
        whose: Which identifiers are meant.

    Yields:
        source, table, file, row, reason, and `raw`: the line.
    """
    for file in aside_files(folder):
        for rows in file.tables():
            for number in _found(file, rows, settings, secret, whose):
                row = rows.slice(number, 1).to_pylist()[0]
                raw = json.loads(_seal(file, secret).open(row["raw"]))
                yield {**row, "raw": {"line": raw["line"]}}


def drop_lines(folder: Path, settings: FeaturesSettings, secret: bytes, whose: Whose) -> int:
    """Delete the lines that :func:`lines_of` finds; returns how many.

    Args:
        folder: The territory's ``set-aside``.
        settings: The territory's.
        secret: `Vault.secret_for("set-aside")`.
        whose: Which identifiers are meant.
    """
    gone = 0
    for file in aside_files(folder):
        mine = sum(len(_found(file, rows, settings, secret, whose)) for rows in file.tables())
        if not mine:
            continue

        def stay(rows: pa.Table, file: AsideFile = file) -> pa.Table:
            found = set(_found(file, rows, settings, secret, whose))
            stays = [i for i in range(rows.num_rows) if i not in found]
            return rows.take(pa.array(stays, pa.int64()))

        with _as_old_as_before(file.path):
            file.rewrite(stay)
        gone += mine
    return gone


def drop_rows(folder: Path, persons: Sequence[str]) -> int:
    """As :func:`features.aside_files.drop_persons`, the files as old as before.

    How old a file is says when its rows were set aside, and so when they are deleted.
    """
    times = {file.path: file.path.stat() for file in aside_files(folder)}
    gone = drop_persons(folder, persons)
    for path, before in times.items():
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return gone


class _as_old_as_before:  # noqa: N801  reads as a verb where it is used
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        before = self._path.stat()
        self._times = (before.st_atime_ns, before.st_mtime_ns)

    def __exit__(self, *_: object) -> None:
        os.utime(self._path, ns=self._times)


def _seal(file: AsideFile, secret: bytes) -> Seal:
    return Seal(secret, *(file.place or ("", "", "")))


def _found(
    file: AsideFile, rows: pa.Table, settings: FeaturesSettings, secret: bytes, whose: Whose
) -> list[int]:
    """Places of the rows whose line holds an identifier of somebody."""
    place = file.place
    source = None if place is None else settings.sources.get(place[0])
    if place is None or source is None:
        return []
    # Rows that could be split have their person beside them, if they have one.
    said = zip(rows["person"].to_pylist(), rows["reason"].to_pylist(), strict=True)
    without = [i for i, (who, why) in enumerate(said) if who is None and why != "missing_person"]
    seal = _seal(file, secret)
    kinds = _kinds(source, place[1])
    pieces: list[tuple[int, str]] = []
    for number in without:
        sealed = rows["raw"][number].as_py()
        if sealed is None:
            continue
        raw = json.loads(seal.open(sealed))
        if "line" in raw:
            pieces += [(number, one) for one in _pieces(raw["line"], source, kinds)]
    if not pieces:
        return []
    values = [value for _, value in pieces]
    hit = {
        number
        for system in _systems(source)
        for (number, _), mine in zip(pieces, whose(system, values), strict=True)
        if mine
    }
    return sorted(hit)


def _kinds(source: Source, table: str) -> set[str]:
    """The readers of a table; those of all tables, where the settings no longer have that one."""
    named = {source.reader_for(one) for one in source.tables if table_name(one) == table}
    return named or {source.reader_for(one) for one in source.tables}


def _pieces(line: str, source: Source, kinds: Collection[str]) -> list[str]:
    """What may be an identifier in a line of one of some readers."""
    found: list[str] = []
    if _JSON in kinds:
        found += _json_pieces(line)
    if set(kinds) - {_JSON}:
        delimiter, quote = source.options.delimiter, source.options.quote
        cut = _ANY if delimiter == AUTO else re.compile(re.escape(delimiter))
        quotes = '"' if quote == AUTO else quote
        found += [one.strip().strip(quotes).strip() for one in cut.split(line)]
    return list(dict.fromkeys(one for one in found if one and _whole(one)))


def _json_pieces(line: str) -> list[str]:
    """The values of a line of JSON, however it is spaced; of a damaged one what may be a value.

    Example:
        >>> _json_pieces('{"dossier":"D1","of":{"le":12}}'), _json_pieces('{"dossier":"D1')
        (['dossier', 'D1', 'of', 'le', '12'], ['dossier', 'D1'])
    """
    try:
        # As pairs: a key that comes twice has two values.
        return list(_leaves(json.loads(line, object_pairs_hook=list)))
    except (ValueError, RecursionError):
        spans = _SPAN.findall(line)
    found = [_unescaped(one) for one in spans]
    found += [one for span in spans for one in _AFTER_COLON.findall(span)]
    return [bare for one in found if (bare := one.strip("{}[],:' \t"))]


def _leaves(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, list | tuple):
            left += reversed(one)
        elif one is not None and not isinstance(one, bool):
            yield str(one).strip()


def _unescaped(span: str) -> str:
    try:
        return str(json.loads(f'"{span}"', strict=False))
    except ValueError:
        return span


def _whole(piece: str) -> bool:
    """Whether a piece can be written in UTF-8: JSON can tell half of a surrogate pair."""
    try:
        piece.encode()
    except UnicodeEncodeError:
        return False
    return True


def _systems(source: Source) -> list[str]:
    tables = [table.person.system for table in source.tables if table.person is not None]
    keys = [system for persons in source.persons for system in persons.keys]
    return list(dict.fromkeys([source.person.system, *tables, *keys]))
