"""Which formats the dates of a column are written in; told by the values, never by one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.instants import read_instants
from features.settings import Instant

__all__ = ["DateForm", "date_form"]

HOURS = (("", ""), (r" \d\d?:\d\d", " %H:%M"), (r" \d\d?:\d\d:\d\d", " %H:%M:%S"))
YEARS = ((r"\d{4}", "%Y"), (r"\d\d", "%y"))
ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?")
ENOUGH = 0.95
"""Share of the values that must be dates: some are mistyped in any column."""

BELIEVED = np.array(["1900-01-01", "2100-01-01"], "datetime64[us]")


@dataclass(frozen=True)
class DateForm:
    """How the dates of a column are written.

    Attributes:
        formats: As in a mapping, those with most values first.
        hours: Whether any has an hour.
        ambiguous: Day and month could change places in every value.
        mixed: Some values are only day first, others only month first.
        share: Of the values, those that are read.
        years: The years between which 98 in 100 values lie.
    """

    formats: tuple[str, ...]
    hours: bool
    ambiguous: bool
    mixed: bool
    share: float
    years: tuple[int, int]


def date_form(values: Mapping[str, int], *, named: bool = False) -> DateForm | None:
    """How the dates of a column are written, or None when they are none.

    With slashes, points or dashes, a first number above 12 means that days come first, a second
    above 12 that months do. Where every number is 12 or less, both fit: days first is proposed,
    as France writes, and said to be ambiguous.

    Args:
        values: Each different value with its count.
        named: The column's name suggests a date; eight digits without it may be a number.

    Example:
        >>> date_form({"31/03/2024": 1, "01/04/2024": 2}).formats
        ('%d/%m/%Y',)
        >>> date_form({"03/31/2024": 1, "04/01/2024": 2}).formats
        ('%m/%d/%Y',)
        >>> date_form({"03/04/2024": 1, "04/01/2024": 2}).ambiguous
        True
        >>> date_form({"ABS": 3, "HON": 2}) is None
        True
    """
    total = sum(values.values())
    found: dict[str, int] = {}
    firsts = seconds = undecided = 0
    for text, count in values.items():
        shape = _shape(text.strip())
        if shape is None:
            continue
        form, numbers = shape
        if form == "%Y%m%d" and not named and len(values) < 20:
            continue
        if numbers is not None:
            firsts += count * (numbers[0] > 12)
            seconds += count * (numbers[1] > 12)
            undecided += count * (max(numbers) <= 12)
        found[form] = found.get(form, 0) + count
    if not total or sum(found.values()) < ENOUGH * total:
        return None
    mixed = min(firsts, seconds) > 0.02 * total
    formats = tuple(sorted(found, key=lambda form: -found[form]))
    if seconds > firsts:
        formats = tuple(_month_first(form) for form in formats)
    texts = list(values)
    read = _read(texts, formats)
    counts = np.array([values[text] for text in texts])
    fits = ~np.isnat(read) & (read >= BELIEVED[0]) & (read < BELIEVED[1])
    share = float(counts[fits].sum() / total)
    if share < ENOUGH and not mixed:
        return None
    spread = np.repeat(read[fits].astype("datetime64[Y]").astype(int) + 1970, counts[fits])
    years = np.quantile(spread, [0.01, 0.99], method="nearest") if len(spread) else (0, 0)
    hours = any("%H" in form for form in formats) or any(
        len(text) > 10 for text in texts if ISO.fullmatch(text)
    )
    only_undecided = bool(undecided) and not firsts and not seconds
    return DateForm(formats, hours, only_undecided, mixed, share, (int(years[0]), int(years[1])))


def _shape(text: str) -> tuple[str, tuple[int, int] | None] | None:
    """A format that a text has the shape of, days first, and the two numbers that may be days."""
    if ISO.fullmatch(text):
        return "iso", None
    if re.fullmatch(r"(?:19|20)\d{6}", text):
        return "%Y%m%d", None
    for hours, said in HOURS:
        if re.fullmatch(rf"\d{{4}}/\d\d?/\d\d?{hours}", text):
            return f"%Y/%m/%d{said}", None
        for digits, year in YEARS:
            parted = re.fullmatch(rf"(\d\d?)([/.-])(\d\d?)\2{digits}{hours}", text)
            if parted:
                mark = parted[2]
                numbers = int(parted[1]), int(parted[3])
                return f"%d{mark}%m{mark}{year}{said}", numbers
    return None


def _month_first(form: str) -> str:
    return re.sub(r"^%d(.)%m", r"%m\1%d", form)


def _read(texts: Sequence[str], formats: Sequence[str]) -> np.ndarray:
    column = pa.chunked_array([pa.array(texts, pa.string())])
    return read_instants(column, Instant(column="x"), formats, "UTC", len(texts))
