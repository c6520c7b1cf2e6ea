"""HUD HMIS CSV exports: delimited text, with when each row was known and what kind of project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from features.settings import ReaderOptions
from features.sources import Batch, SourceFile
from features.sources.csv import CsvReader

__all__ = ["HmisReader", "HmisUpdatedReader"]

DATES = ("DateProvided", "DateOfEngagement", "DateUpdated")
"""Columns of days whose names do not end in `Date`."""

PLACES = ("LivingSituation", "CurrentLivingSituation", "Destination")
INSTITUTIONS = ("4", "5", "6", "7", "15", "25", "204", "205", "206", "207", "215", "225")
"""Codes until FY2023, and since."""

DAY = r"^\d{4}-\d\d-\d\d"
MIDNIGHT = r"[T ]00:00(:00(\.0+)?)?$"
UNSAID = "until FY2021"
"""Exports say their version since FY2022."""


class HmisReader:
    """One file of an export, with the columns that its own do not say outright.

    ``known(X)``, for each date X of the row: when the row was entered (`DateCreated`), and never
    before the day X. Systems write a row early and let its date move, or copy `DateCreated` from
    another row: without that rule a row recorded at exit would be known years before it. This
    assumes that what a row says was not changed after it was entered; where that matters more
    than a long history, :class:`HmisUpdatedReader` assumes nothing.

    ``changed(X)``: the same from the last change (`DateUpdated`), for what is filled in later.

    ``place(X)``, for each code X of where a person lives or goes: the code, `institution` for
    hospitals, prisons, care and foster homes, so that none of them is told from another further
    on, and 99 (not collected) where there is none.

    ``ProjectType``, beside `ProjectID`: what `Project.csv` of the same export says, or `none`.

    A time of midnight is a day without an hour; dates of another form are left as they are, for
    the mapping to refuse.

    Attributes:
        names: The file's columns, and those above.
        dialect: How the text was taken, and the version of the format by `Export.csv`.

    Example:
        >>> text = (b"ExitID,ExitDate,DateCreated,DateUpdated\\n"
        ...         b"1,2024-03-10,2022-01-05 00:00:00,2024-04-02 15:12:00\\n")
        >>> reader = HmisReader(SourceFile.in_memory("Exit.csv", text), ReaderOptions())
        >>> [batch] = reader.batches(["known(ExitDate)", "changed(ExitDate)"])
        >>> batch.table.to_pylist()
        [{'known(ExitDate)': '2024-03-10', 'changed(ExitDate)': '2024-04-02 15:12:00'}]
        >>> reader.dialect["hmis"]
        'until FY2021'
    """

    entered: tuple[str, ...] = ("DateCreated",)

    def __init__(self, file: SourceFile, options: ReaderOptions, part: str | None = None) -> None:
        self._text = CsvReader(file, options, part)
        own = self._text.names
        dates = [name for name in own if name.endswith("Date") or name in DATES]
        stamped = "DateCreated" in own and "DateUpdated" in own
        self._known = {f"known({name})": name for name in dates if stamped}
        self._changed = {f"changed({name})": name for name in dates if stamped}
        self._projects: dict[str, str] | None = None
        self._places = {f"place({name})": name for name in own if name in PLACES}
        derived = [*self._known, *self._changed, *self._places]
        if "ProjectID" in own and "ProjectType" not in own:
            self._projects = dict(_pairs(file, options, "Project.csv", "ProjectID", "ProjectType"))
            derived.append("ProjectType")
        self.names = (*own, *derived)
        version = [
            said for _, said in _pairs(file, options, "Export.csv", "ExportID", "CSVVersion")
        ]
        self.dialect = {**self._text.dialect, "hmis": (version or [UNSAID])[0]}

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """The file's rows; see :mod:`features.sources`."""
        own = [name for name in columns if name in self._text.names]
        more: list[str] = []
        for name in columns:
            if name in self._places:
                more.append(self._places[name])
            elif name in self._known or name in self._changed:
                more += [(self._known | self._changed)[name], "DateCreated", "DateUpdated"]
            elif name not in own:
                more.append("ProjectID")
        for batch in self._text.batches(list(dict.fromkeys([*own, *more]))):
            table = pa.table({name: self._column(batch.table, name) for name in columns})
            yield Batch(table, batch.rows, batch.aside)

    def _column(self, table: pa.Table, name: str) -> Any:
        if name in table.column_names:
            return table[name]
        if name in self._known:
            entered: Any = pc.coalesce(table["DateCreated"], table["DateUpdated"])
            place = table.column_names.index("DateCreated")
            table = table.set_column(place, "DateCreated", entered)
            return _latest(table, self._known[name], self.entered)
        if name in self._changed:
            return _latest(table, self._changed[name], ("DateCreated", "DateUpdated"))
        if name in self._places:
            return _place(table[self._places[name]])
        projects = self._projects or {}
        keys = pa.array(list(projects), pa.string())
        kinds = pa.array(list(projects.values()), pa.string())
        found: Any = kinds.take(pc.index_in(_trimmed(table["ProjectID"]), value_set=keys))
        return pc.fill_null(found, "none")


class HmisUpdatedReader(HmisReader):
    """The same, with rows known from their last change: nothing is known before it was said.

    A bulk change years later makes a whole history late. Use it for the exports that follow the
    first: corrections then become versions.
    """

    entered = ("DateCreated", "DateUpdated")


def _latest(table: pa.Table, day: str, stamps: Sequence[str]) -> Any:
    """The latest of the stamps, or the day where that is later, as text."""
    found: Any = None
    for stamp in stamps:
        text: Any = pc.replace_substring_regex(_trimmed(table[stamp]), MIDNIGHT, "")
        # A day without an hour ends after every hour of it.
        ended = pc.binary_join_element_wise(text, pa.scalar("~"), pa.scalar(""))
        text = pc.if_else(pc.equal(pc.utf8_length(text), pa.scalar(10, pa.int32())), ended, text)
        if found is None:
            found = text
        else:
            later = pc.fill_null(pc.greater(text, found), pc.is_null(found))
            found = pc.if_else(later, text, found)
    said: Any = pc.utf8_slice_codeunits(_trimmed(table[day]), 0, 10)
    said = pc.if_else(pc.match_substring_regex(said, DAY), said, None)
    after: Any = pc.greater(said, pc.utf8_slice_codeunits(found, 0, 10))
    after = pc.and_kleene(after, pc.match_substring_regex(found, DAY))
    found = pc.if_else(pc.fill_null(after, False), said, found)
    return pc.replace_substring(found, "~", "")


def _place(column: Any) -> Any:
    text = _trimmed(column)
    hidden = pc.is_in(text, value_set=pa.array(INSTITUTIONS, pa.string()))
    code = pc.if_else(hidden, "institution", text)
    return pc.if_else(pc.equal(pc.fill_null(code, ""), pa.scalar("")), "99", code)


def _trimmed(column: Any) -> Any:
    return pc.utf8_trim_whitespace(column)


def _pairs(
    file: SourceFile, options: ReaderOptions, name: str, key: str, value: str
) -> Iterator[tuple[str, str]]:
    """Two columns of another file of the same export; nothing where it or one of them is not there.

    Such files have a row for each project, or one: they are held whole.
    """
    beside = _beside(file, name)
    if beside is None:
        return
    reader = CsvReader(beside, options)
    if key not in reader.names or value not in reader.names:
        return
    for batch in reader.batches([key, value]):
        columns = [_trimmed(batch.table[name]).to_pylist() for name in (key, value)]
        yield from ((k, v) for k, v in zip(*columns, strict=True) if k and v)


def _beside(file: SourceFile, name: str) -> SourceFile | None:
    """Another file of the same export, in its folder or its archive."""
    if file.content is not None:
        return None
    if file.member is None:
        ending = ".gz" if file.path.suffix.lower() == ".gz" else ""
        path = file.path.with_name(name + ending)
        return SourceFile.of(path, limits=file.limits) if path.is_file() else None
    member = str(PurePosixPath(file.member).with_name(name))
    found = SourceFile.of(file.path, member=member, limits=file.limits)
    return found if found.size else None
