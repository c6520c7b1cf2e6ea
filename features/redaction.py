"""Values that look like a person's number, telephone or address: they go no further."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "FEWEST",
    "WITHHELD",
    "code_shaped",
    "looks_like_identity",
    "numbers_like_identity",
]

_BETWEEN = r"[\s./-]?"
NIR = _BETWEEN.join(
    (
        r"(?<!\d)[1-478]",
        r"\d{2}",
        r"(?:0[1-9]|1[0-2]|[2-9]\d)",
        r"(?:\d{2}|2[ABab])",
        r"\d{3}",
        rf"\d{{3}}(?:{_BETWEEN}\d{{2}})?(?!\d)",
    )
)
_UNDERSCORED = (
    r"(?<!\d)[1-478]_\d{2}_(?:0[1-9]|1[0-2]|[2-9]\d)_(?:\d{2}|2[ABab])_\d{3}_\d{3}"
    r"(?:_\d{2})?(?!\d)"
)
"""A NIR; elsewhere, a number before `_` and a time without any mark would look like one."""

_COUNTRY = r"(?:\+|00)(?:33|262|508|590|594|596|681|687|689)[\s./_-]?(?:\(0\)[\s./_-]?)?"
_NATIONAL = "|".join(
    (
        rf"{_COUNTRY}[1-9](?:[\s./_-]?\d{{2}}){{4}}",
        r"0[1-9](?:[\s.-]?\d{2}){4}",
        r"0[1-9]\d{2}(?P<a>[\s._-])\d{3}(?P=a)\d{3}",
        r"0[1-9](?P<b>[\s._-])\d{3}(?P=b)\d{3}(?P=b)\d{2}",
    )
)
_DATE = r"\d{1,3}\s(?:\d{4}[.-]\d{2}[.-]\d{2}|\d{2}[.-]\d{2}[.-]\d{4})(?!\d)"
_ABROAD = rf"(?<!\w)\+(?!{_DATE})[1-9](?:[\s._()-]{{0,2}}\d){{9,14}}(?!\d)"
"""A country's code needs its `+`; ten digits at least, so that no signed amount is taken for it."""

_PAIRS = r"(?<!\d)(?<!\d[/_-])0[1-9](?P<c>[\s./_-])\d{2}(?:(?P=c)\d{2}){3}(?!\d)"
"""One mark throughout: a date and an hour have two, and a year before them."""

PHONE = rf"(?<![\d-])(?:{_NATIONAL})(?!\d)|{_PAIRS}|{_ABROAD}"
EMAIL = r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"
LIKELY = r"@|(?:\p{Nd}[^\p{Nd}]{0,2}){9}\p{Nd}"
"""What each of them has: told quickly of a whole column, so that few texts are looked at."""

IDENTITY = re.compile(f"{NIR}|{_UNDERSCORED}|{PHONE}|{EMAIL}")

FEWEST = 3
"""Rows of a file that must hold an unlisted code before a report shows it."""

WITHHELD = "(withheld)"
"""Stands where a report shows no value; it is not shaped as a code itself."""

CODE = re.compile(r"[\w\-/?.]{1,12}")


def looks_like_identity(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Which texts hold something shaped as a NIR, a telephone number or an e-mail.

    Shape alone counts, so that a mistyped NIR is caught, too; the price is that a reference of ten
    digits that begins with 0 is taken for a telephone number. Other countries' numbers are told by
    their `+` only, and names have no shape that could be told.

    Example:
        >>> looks_like_identity(pa.array(["rdv-12", "voir 1 84 12 76 451 089 46", "a@b.fr", None]))
        array([False,  True,  True, False])
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    texts: Any = array.cast(pa.string())
    likely = pc.match_substring_regex(texts, LIKELY).fill_null(False)
    found = np.array(likely.to_numpy(zero_copy_only=False), bool)
    places = np.flatnonzero(found)
    if len(places):
        encoded = texts.take(pa.array(places)).dictionary_encode()
        distinct: list[Any] = encoded.dictionary.to_pylist()
        shaped = np.array([IDENTITY.search(text) is not None for text in distinct], bool)
        found[places] = shaped[encoded.indices.to_numpy(zero_copy_only=False)]
    return found


def numbers_like_identity(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which whole numbers are shaped as a NIR, or as a telephone number without its first 0.

    A spreadsheet that takes a telephone number for a quantity drops the 0: nine digits are left,
    or eleven with the country's code. No amount, duration or count of a pathway is as large.

    Args:
        values: Numbers; NaN for none.

    Example:
        >>> numbers_like_identity(np.array([184127645108946.0, 612345678.0, 1250.5, np.nan]))
        array([ True,  True, False, False])
    """
    found = np.zeros(len(values), bool)
    size = np.abs(np.nan_to_num(values))
    large = np.flatnonzero((size >= 1e8) & (size < 1e15) & (np.floor(size) == size))
    if len(large):
        digits = size[large].astype(np.int64)
        found[large] = (digits < 10**9) | ((digits >= 331 * 10**8) & (digits < 34 * 10**9))
        found[large] |= looks_like_identity(pa.array(digits).cast(pa.string()))
    return found


def code_shaped(text: str) -> bool:
    """Whether a text may be a code: one short word, and nothing shaped as an identity.

    It cannot tell a first name or a file number from a code: what is shown must also be met in
    :data:`FEWEST` rows, and be no key of its row's person.

    Example:
        >>> [code_shaped(text) for text in ("A-REVOIR", "??", "Jeanne Martin", "0612345678")]
        [True, True, False, False]
    """
    return CODE.fullmatch(text) is not None and IDENTITY.search(text) is None
