"""Every row that was read, accounted for, table by table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from features.quality import FileFigures, IngestReport

__all__ = ["Account", "accounts", "accounts_text"]


@dataclass(frozen=True)
class Account:
    """Rows of one table, over all its files.

    Attributes:
        table: `source: table`.
        rows: Rows read.
        mapped: Rows that became events.
        without_event: Rows of which no rule made an event.
        aside: Rows set aside.
        events: Events that the rows became; one row may hold several.
    """

    table: str
    rows: int
    mapped: int
    without_event: int
    aside: int
    events: int

    @property
    def balanced(self) -> bool:
        """Whether every row is one of the three."""
        return self.rows == self.mapped + self.without_event + self.aside

    @classmethod
    def of(cls, table: str, files: list[FileFigures]) -> Account:
        """The sum of a table's files."""
        return cls(
            table,
            sum(one.rows for one in files),
            sum(one.mapped for one in files),
            sum(one.without_event for one in files),
            sum((sum(one.set_aside.values()) for one in files), 0),
            sum(one.events + one.versions + one.duplicates for one in files),
        )


def accounts(report: IngestReport) -> list[Account]:
    """One account for each table that was read, in the order of the territory file.

    Example:
        >>> from datetime import UTC, datetime
        >>> from features.quality import SourceFigures
        >>> file = FileFigures("hmis", "exit", "Exit.csv", rows=10, mapped=7, without_event=2,
        ...                    events=12, set_aside=Counter(bad_date=1))
        >>> report = IngestReport([SourceFigures("hmis", "housing", (file,))], 12, 1, 0, [], {}, 5,
        ...                       1, {}, 0.1, datetime(2026, 1, 1, tzinfo=UTC))
        >>> [account] = accounts(report)
        >>> account.balanced, account.table
        (True, 'hmis: exit')
        >>> print(accounts_text(report))
                    rows  with events  no event  set aside  events
        hmis: exit    10            7         2          1      12
        total         10            7         2          1      12
    """
    files: dict[str, list[FileFigures]] = {}
    for source in report.sources:
        for file in source.files:
            files.setdefault(f"{source.name}: {file.table}", []).append(file)
    return [Account.of(table, found) for table, found in files.items()]


def accounts_text(report: IngestReport) -> str:
    """The accounts as a table for a terminal: rows = with events + no event + set aside."""
    found = accounts(report)
    total = Counter[str]()
    for one in found:
        total.update({name: getattr(one, name) for name in COLUMNS})
    lines = [("", *COLUMNS.values())]
    lines += [(one.table, *(_number(getattr(one, name)) for name in COLUMNS)) for one in found]
    lines.append(("total", *(_number(total[name]) for name in COLUMNS)))
    lines += [
        (f"not accounted for: {one.table}", *[""] * len(COLUMNS))
        for one in found
        if not one.balanced
    ]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


COLUMNS = {
    "rows": "rows",
    "mapped": "with events",
    "without_event": "no event",
    "aside": "set aside",
    "events": "events",
}


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")
