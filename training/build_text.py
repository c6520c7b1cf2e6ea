"""What a build of the matrix did, in words: each figure with what it counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["build_lines"]

_SAID = {
    "territory": "territory",
    "data_version": "version of the timelines",
    "rows": "rows: one person at one prediction time",
    "people": "people in them",
    "features": "features: columns of the matrix",
    "left_out": "features left out: what is not written is not 0 for them",
    "values": "values written: those that are not 0",
    "parts": "parts of the matrix on disk, each some people",
    "computed": "parts in which something was computed; the others were there",
    "columns": "most columns computed in a part, the latest days of groups with them",
    "cohort_hash": "cohort, by its content",
    "catalogue_hash": "catalogue, by its definitions",
    "matrix_hash": "matrix, by its content",
}


def build_lines(report: Mapping[str, Any]) -> list[str]:
    """A report of `jalon features build` as lines of text.

    Args:
        report: `as_dict` of a build's report.

    Example:
        >>> told = {"rows": 21657, "parts": 16, "computed": 0, "columns": 0, "reused": True,
        ...         "outcomes": {"rupture": 2802}, "seconds": {"cohort": 1.768}}
        >>> print("\\n".join(build_lines(told)))
                21 657  rows: one person at one prediction time
                    16  parts of the matrix on disk, each some people
                     0  parts in which something was computed; the others were there
                     0  most columns computed in a part, the latest days of groups with them
                 2 802  rows that end in: rupture
                 1.768  seconds: cohort
        Nothing was computed: the matrix was there already.
    """
    figures = [(_figure(report[key]), words) for key, words in _SAID.items() if key in report]
    for key, words in (("outcomes", "rows that end in"), ("rules", "ruptures first by rule")):
        figures += [(_figure(n), f"{words}: {name}") for name, n in report.get(key, {}).items()]
    figures += [(_figure(n), f"seconds: {step}") for step, n in report.get("seconds", {}).items()]
    lines = [f"{figure:>14}  {words}" for figure, words in figures]
    if report.get("reused"):
        lines.append("Nothing was computed: the matrix was there already.")
    return lines


def _figure(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}".replace(",", " ")
    text = str(value)
    # A hash is told by its beginning, as file names do; `--json` has the whole.
    return text[:12] if len(text) == 64 else text
