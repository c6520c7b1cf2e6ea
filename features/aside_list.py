"""The rows set aside, as a person reads them: how many, where, why, and what to do about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.aside_files import aside_files
from features.quality import REASONS
from features.report_pages import Words

__all__ = ["AsideLine", "AsideList", "aside_list"]


@dataclass(frozen=True)
class AsideLine:
    """Rows of one table set aside for one reason at one column.

    Attributes:
        source: Name of the source.
        table: Name of the table.
        reason: One of :data:`features.quality.REASONS`.
        column: Where; None where the whole row is at fault.
        said: The reason in words, with the broken rule of a contract.
        remedy: What to do, in words.
        rows: How many.
    """

    source: str
    table: str
    reason: str
    column: str | None
    said: str
    remedy: str
    rows: int


@dataclass(frozen=True)
class AsideList:
    """Every line, the most rows first, under a title."""

    title: str
    lines: tuple[AsideLine, ...]

    def text(self) -> str:
        """For a terminal: each reason with its remedy, and where rows are set aside for it."""
        by_reason: dict[tuple[str, str], list[AsideLine]] = {}
        for line in self.lines:
            by_reason.setdefault((line.said, line.remedy), []).append(line)
        told = [self.title]
        ordered = sorted(by_reason.items(), key=lambda one: -sum(line.rows for line in one[1]))
        for (said, remedy), lines in ordered:
            told += ["", f"{sum(line.rows for line in lines):>7}  {said}", f"         {remedy}"]
            for line in lines:
                where = f"{line.source}, {line.table}" + f": {line.column}" * bool(line.column)
                told.append(f"         {line.rows:>7}  {where}")
        return "\n".join(told)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "rows": sum(line.rows for line in self.lines),
            "set_aside": [line.__dict__ for line in self.lines],
        }


def aside_list(folder: Path, lang: str) -> AsideList:
    """What a territory's ``set-aside`` holds; no row of it is opened.

    Args:
        folder: The folder.
        lang: `fr` or `en`.
    """
    words = Words.of(lang)
    found: Counter[tuple[str, str, str, str | None, str]] = Counter()
    for file in aside_files(folder):
        source, table, _ = file.place or ("", "", "")
        for (reason, column, rule), rows in file.reasons().items():
            found[source, table, reason, column, rule] += rows
    lines = tuple(
        AsideLine(
            source,
            table,
            reason,
            column,
            words.reason(reason) + ("" if rule == REASONS.get(reason) else f": {words.rule(rule)}"),
            words.remedy(reason),
            rows,
        )
        for (source, table, reason, column, rule), rows in found.most_common()
    )
    total = sum(line.rows for line in lines)
    title = words.say("list.title", rows=total) if total else words["list.none"]
    return AsideList(title, lines)
