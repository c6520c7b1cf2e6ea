"""Values that look like a person's number, telephone or address: they go no further."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["looks_like_identity", "redacted"]

NIR = (
    r"(?<!\d)[12378]\s?\d{2}\s?(?:0[1-9]|1[0-2]|[2-9]\d)\s?(?:\d{2}|2[AB])"
    r"\s?\d{3}\s?\d{3}(?:\s?\d{2})?(?!\d)"
)
PHONE = r"(?<![\d-])(?:\+33\s?|0033\s?|0)[1-9](?:[ .-]?\d{2}){4}(?!\d)"
EMAIL = r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"
SHORTEST = 10
"""Characters of the shortest telephone number or NIR."""

IDENTITY = re.compile(f"{NIR}|{PHONE}|{EMAIL}")


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


def redacted(text: str) -> str:
    """A text with every such shape replaced.

    Example:
        >>> redacted("rappeler au 06 12 34 56 78")
        'rappeler au [redacted]'
    """
    return IDENTITY.sub("[redacted]", text)
