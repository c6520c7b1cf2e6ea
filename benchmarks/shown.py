"""One line of the feature benchmark's table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table

__all__ = ["Shown", "table", "verdict"]


@dataclass(frozen=True)
class Shown:
    """Who did how many rows in how many seconds.

    Attributes:
        line: Letter of the line it belongs to.
        who: Who did what.
        rows: Rows written; 0 where rows are not the point.
        seconds: Median wall time.
        ratio: How many times as long as the line's first took; None where nothing is compared.
        note: What else was measured, and the aim with whether it was met.
    """

    line: str
    who: str
    rows: int
    seconds: float
    ratio: float | None = None
    note: str = ""


def verdict(aim: str, met: bool) -> str:
    """The aim, and whether it was met.

    Example:
        >>> verdict("under 2 s", 1.2 < 2)
        'under 2 s: met'
    """
    return f"{aim}: {'met' if met else 'MISSED'}"


def table(title: str, lines: Iterable[Shown]) -> Table:
    """The lines as a rich table."""
    shown = Table(title=title, title_justify="left")
    for column in ("", "who", "rows", "seconds", "rows/s", "ratio", "note"):
        shown.add_column(
            column,
            justify="left" if column in ("", "who", "note") else "right",
            no_wrap=column not in ("who", "note"),
        )
    before = ""
    for one in lines:
        if before and one.line != before:
            shown.add_section()
        before = one.line
        shown.add_row(
            one.line,
            one.who,
            f"{one.rows:,}" if one.rows else "",
            _seconds(one.seconds),
            f"{one.rows / one.seconds:,.0f}" if one.rows else "",
            "" if one.ratio is None else f"{one.ratio:,.2f}",
            one.note,
        )
    return shown


def _seconds(seconds: float) -> str:
    if seconds < 0.001:
        return f"{seconds * 1e6:.1f} µs"
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.2f}"
