"""Values that look like a person's number, telephone or address: they go no further."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["FEWEST", "WITHHELD", "code_shaped", "looks_like_identity"]

_BETWEEN = r"[\s./-]?"
NIR = _BETWEEN.join(
    (
        r"(?<!\d)[12378]",
        r"\d{2}",
        r"(?:0[1-9]|1[0-2]|[2-9]\d)",
        r"(?:\d{2}|2[AB])",
        r"\d{3}",
        rf"\d{{3}}(?:{_BETWEEN}\d{{2}})?(?!\d)",
    )
)
PHONE = r"(?<![\d-])(?:\+33\s?|0033\s?|0)[1-9](?:[\s.-]?\d{2}){4}(?!\d)"
EMAIL = r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"
SHORTEST = 10
"""Characters of the shortest telephone number or NIR."""

IDENTITY = re.compile(f"{NIR}|{PHONE}|{EMAIL}")

FEWEST = 3
"""Rows of a file that must hold an unlisted code before a report shows it."""

WITHHELD = "(withheld)"
"""Stands where a report shows no value; it is not shaped as a code itself."""

CODE = re.compile(r"[\w\-/?.]{1,12}")


def looks_like_identity(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Which texts hold something shaped as a NIR, a French telephone number or an e-mail.

    Example:
        >>> looks_like_identity(pa.array(["rdv-12", "voir 1 84 12 76 451 089 46", "a@b.fr", None]))
        array([False,  True,  True, False])
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array.cast(pa.string()).dictionary_encode()
    texts: list[Any] = encoded.dictionary.to_pylist()
    found = [
        (len(text) >= SHORTEST or "@" in text) and IDENTITY.search(text) is not None
        for text in texts
    ]
    places = encoded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
    return np.append(np.array(found, bool), False)[places]


def code_shaped(text: str) -> bool:
    """Whether a text may be a code: one short word, and nothing shaped as an identity.

    It cannot tell a first name or a file number from a code: what is shown must also be met in
    :data:`FEWEST` rows, and be no key of its row's person.

    Example:
        >>> [code_shaped(text) for text in ("A-REVOIR", "??", "Jeanne Martin", "0612345678")]
        [True, True, False, False]
    """
    return CODE.fullmatch(text) is not None and IDENTITY.search(text) is None
