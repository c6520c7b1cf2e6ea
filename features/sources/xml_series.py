"""Files that are states of the same things at successive dates: each knows the one before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import groupby

from features.errors import DataError
from features.sources.files import Hash, SourceFile

__all__ = ["Snapshot", "Stamp", "in_series"]


@dataclass(frozen=True, order=True)
class Stamp:
    """Where a file stands in its series.

    Attributes:
        series: Files of one series are compared; those of different ones never.
        date: The date whose state it tells, ISO 8601.
        made: When it was made, ISO 8601: of two files of one date the later made corrects.
    """

    series: tuple[str, ...]
    date: str
    made: str


@dataclass(frozen=True)
class Snapshot(SourceFile):
    """A file, and the file of its series that it is compared with.

    Attributes:
        earlier: The one before it, or None for the first.
    """

    earlier: SourceFile | None = None

    def digest(self, into: Hash) -> None:
        """Feed both to a hash: a file says something else when another one came in between."""
        super().digest(into)
        if self.earlier is not None:
            into.update(b"\x00compared with\x00")
            self.earlier.digest(into)


def in_series(
    files: Sequence[SourceFile], stamp: Callable[[SourceFile], Stamp]
) -> list[SourceFile]:
    """The same files, each with the one before it in its series.

    A file without a stamp that can be read is left as it is: it is refused when it is opened.

    Args:
        files: Of one path pattern.
        stamp: Reads the stamp of a file; raises what `file.open` raises, or a DataError.

    Returns:
        As many files, series by series in the order of their stamps, those without one last.

    Example:
        >>> files = [SourceFile.in_memory(f"{day}.xml", b"") for day in ("03", "01", "02")]
        >>> ordered = in_series(files, lambda file: Stamp(("CAF", "921"), file.name, ""))
        >>> [(one.name, one.earlier and one.earlier.name) for one in ordered]
        [('01.xml', None), ('02.xml', '01.xml'), ('03.xml', '02.xml')]
    """
    stamped: list[tuple[Stamp, str, SourceFile]] = []
    others: list[SourceFile] = []
    for file in files:
        try:
            stamped.append((stamp(file), file.relative, file))
        except (DataError, OSError):
            others.append(file)
    stamped.sort(key=lambda one: one[:2])
    found: list[SourceFile] = []
    for _, members in groupby(stamped, key=lambda one: one[0].series):
        earlier: SourceFile | None = None
        for _, _, file in members:
            held = {one.name: getattr(file, one.name) for one in fields(SourceFile)}
            found.append(Snapshot(**held, earlier=earlier))
            earlier = file
    return found + others
