"""What one column of a source holds, told without a person's value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from stdnum.fr import nir

from features.cells import Cells
from features.connect.dates import DateForm, date_form
from features.connect.names import PERSONAL, meaning
from features.redaction import FEWEST, code_shaped, looks_like_identity

__all__ = ["ColumnLook", "look_at", "nulls_of"]

NULLS = ("NULL", "null", "NA", "N/A", "n/a", "NaN", "nan", "None", "\\N", "-", "#N/A")
"""What systems write for a missing value."""

INTEGER = re.compile(r"[-+]?\d{1,18}")
POINT = re.compile(r"[-+]?\d+\.\d+")
COMMA = re.compile(r"[-+]?\d+(?:[ \u00a0\u202f]\d{3})*,\d+")
MOST = 0.95
CODES = 40
"""Different values that a column of codes has at most."""

COVER = 0.8
"""Share of the rows that the codes shown must cover, for any to be shown: names never do."""

NO_CODE = PERSONAL | {"amount", "person", "key"}
"""Meanings of columns that hold no codes, however few their values are."""

LOOKED_AT = 2000
"""Different values of which the shape is told."""


@dataclass(frozen=True)
class ColumnLook:
    """One column of a sample.

    Attributes:
        name: As the source has it.
        rows: Of the sample.
        filled: Rows with a value.
        distinct: Different values.
        type: `empty`, `date`, `instant` (with an hour), `integer`, `number`, `code`, `text`, or
            `nested` for lists and objects.
        dates: How dates are written.
        decimal: The decimal mark of numbers that have one.
        shape: The usual form of a value, `A` for a capital, `a` for a letter, `9` for a digit.
        identity: `nir`, `phone` or `email` when values are shaped so, by how many in 100.
        meaning: What the name suggests (:mod:`features.connect.names`).
        codes: Values of a column of codes that may be shown, with their rows, most first.
        hidden: How many other values it has.
    """

    name: str
    rows: int
    filled: int
    distinct: int
    type: str
    dates: DateForm | None = None
    decimal: str | None = None
    shape: str | None = None
    identity: tuple[str, int] | None = None
    meaning: str | None = None
    codes: tuple[tuple[str, int], ...] = ()
    hidden: int = 0

    @property
    def missing(self) -> float:
        """Share of the rows without a value."""
        return 1 - self.filled / self.rows if self.rows else 1.0

    @property
    def unique(self) -> bool:
        """Every row has a value, each another."""
        return 0 < self.rows == self.filled == self.distinct

    @property
    def personal(self) -> bool:
        """No value of it may be shown or kept in an event."""
        return self.identity is not None or self.meaning in PERSONAL

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        dates = self.dates
        return {
            "name": self.name,
            "type": self.type,
            "missing": round(self.missing, 4),
            "distinct": self.distinct,
            "unique": self.unique,
            "formats": list(dates.formats) if dates else [],
            "ambiguous": bool(dates and dates.ambiguous),
            "mixed": bool(dates and dates.mixed),
            "years": list(dates.years) if dates and self.meaning != "birth_date" else [],
            "decimal": self.decimal,
            "shape": self.shape,
            "identity": self.identity[0] if self.identity else None,
            "meaning": self.meaning,
            "codes": dict(self.codes),
            "other_values": self.hidden,
        }


def look_at(table: pa.Table, name: str, nulls: Sequence[str] = ()) -> ColumnLook:
    """What a column of a sample holds.

    Args:
        table: The sample.
        name: Of the column.
        nulls: Texts that mean a missing value, besides the empty one.

    Example:
        >>> days = [f"{day:02}/03/2024" for day in range(1, 21)]
        >>> table = pa.table({"le": days, "statut": ["ABS", "HON"] * 10})
        >>> look_at(table, "le").dates.formats, look_at(table, "statut").codes
        (('%d/%m/%Y',), (('ABS', 10), ('HON', 10)))
    """
    kind = table.schema.field(name).type
    said = meaning(name)
    if pa.types.is_nested(kind):
        return ColumnLook(name, table.num_rows, table.num_rows, 0, "nested", meaning=said)
    texts = Cells(table.select([name]), nulls).text(name)
    counted: Any = pc.value_counts(texts.drop_null())
    values = {one["values"]: one["counts"] for one in counted.to_pylist()}
    filled = sum(values.values())
    shared: dict[str, Any] = {
        "name": name,
        "rows": table.num_rows,
        "filled": filled,
        "distinct": len(values),
        "meaning": said,
    }
    if not values:
        return ColumnLook(type="empty", **shared)
    named = said == "birth_date" or meaning(name, among=("recorded", "end", "time")) is not None
    dates = date_form(values, named=named)
    if dates is not None:
        return ColumnLook(type="instant" if dates.hours else "date", dates=dates, **shared)
    identity = _identity(values)
    if identity is not None:
        return ColumnLook(type="text", identity=identity, **shared)
    decimal, integer = _number(values, filled)
    few = len(values) <= CODES and 2 * len(values) <= filled and said not in NO_CODE
    if decimal is None and few and (said == "code" or not _numbered(values)):
        codes = _codes(values, filled)
        return ColumnLook(type="code", codes=codes, hidden=len(values) - len(codes), **shared)
    if decimal is not None:
        return ColumnLook(type="number", decimal=decimal, **shared)
    shape = None if said in PERSONAL else _shape(values)
    return ColumnLook(type="integer" if integer else "text", shape=shape, **shared)


def nulls_of(table: pa.Table) -> tuple[str, ...]:
    """Words for a missing value that columns of texts hold.

    A dash or `NA` in one column alone may be a code: it counts where the column is of dates or
    numbers besides, or in two columns.

    Example:
        >>> nulls_of(pa.table({"le": ["2024-03-01", "NULL", "2024-03-02"], "a": ["x", "-", "y"]}))
        ('NULL',)
    """
    met: Counter[str] = Counter()
    sure: set[str] = set()
    for name in table.column_names:
        if not pa.types.is_string(table.schema.field(name).type):
            continue
        texts = pc.utf8_trim_whitespace(table[name].drop_null())
        counted: Any = pc.value_counts(texts.combine_chunks())
        values = {one["values"]: one["counts"] for one in counted.to_pylist() if one["values"]}
        here = [word for word in NULLS if word in values]
        rest = {text: count for text, count in values.items() if text not in here}
        met.update(here)
        typed = date_form(rest) is not None or _number(rest, sum(rest.values())) != (None, False)
        if here and rest and typed:
            sure.update(here)
    return tuple(word for word in NULLS if word in sure or met[word] > 1)


def _identity(values: dict[str, int]) -> tuple[str, int] | None:
    texts = list(values)[:LOOKED_AT]
    shaped = [
        text for text, hit in zip(texts, looks_like_identity(pa.array(texts)), strict=True) if hit
    ]
    share = len(shaped) / len(texts)
    if share < 0.05:
        return None
    mails = sum("@" in text for text in shaped)
    numbers = sum(nir.is_valid(text) for text in shaped)
    kind = "email" if mails > len(shaped) / 2 else "nir" if numbers > len(shaped) / 2 else "phone"
    if (
        kind == "phone"
        and sum(len(re.sub(r"\D", "", text)) >= 13 for text in shaped) > len(shaped) / 2
    ):
        kind = "nir"
    return kind, round(100 * share)


def _number(values: dict[str, int], filled: int) -> tuple[str | None, bool]:
    """The decimal mark, if any; whether all are whole numbers."""
    counts: Counter[str] = Counter()
    for text, count in values.items():
        for kind, form in (("integer", INTEGER), (",", COMMA), (".", POINT)):
            counts[kind] += count * (form.fullmatch(text) is not None)
    if not filled or counts.total() < MOST * filled:
        return None, False
    if not counts[","] and not counts["."]:
        return None, True
    return ("," if counts[","] > counts["."] else "."), False


def _codes(values: dict[str, int], filled: int) -> tuple[tuple[str, int], ...]:
    shown = {text: n for text, n in values.items() if n >= FEWEST and code_shaped(text)}
    if sum(shown.values()) < COVER * filled:
        return ()
    return tuple(sorted(shown.items(), key=lambda one: (-one[1], one[0])))


def _numbered(values: dict[str, int]) -> bool:
    """Whether most values are numbered, as files and persons are, and as codes seldom are."""
    return 2 * sum(re.search(r"\d{3}", text) is not None for text in values) > len(values)


def _shape(values: dict[str, int]) -> str | None:
    """The form that at least half of the values have; only where it has a digit."""
    shapes: Counter[str] = Counter()
    for text, count in list(values.items())[:LOOKED_AT]:
        form = re.sub(r"[^\W\d_]", lambda m: "A" if m[0].isupper() else "a", text)
        shapes[re.sub(r"\d", "9", form)] += count
    form, count = shapes.most_common(1)[0]
    told = count * 2 >= shapes.total() and "9" in form and len(form) <= 24
    return form if told else None
