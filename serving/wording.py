"""What a person reads in this part: texts by key from the catalogues, French or English."""

from __future__ import annotations

from features.texts import read_texts
from serving.settings import Language

__all__ = ["LANGUAGES", "catalogue", "text"]

LANGUAGES: tuple[Language, ...] = ("fr", "en")


def catalogue(lang: Language) -> dict[str, str]:
    """Every text of a language by its key, read from ``serving/locale/<lang>.po``."""
    return read_texts("serving", lang)


def text(key: str, lang: Language, **values: object) -> str:
    """One text, with its ``{placeholders}`` filled.

    Example:
        >>> text("problem.too_large.detail", "en", limit="4 MB")
        'The request exceeds what one call may hold: 4 MB.'
        >>> text("no.such.key", "en")
        Traceback (most recent call last):
        KeyError: 'no.such.key'
    """
    return catalogue(lang)[key].format(**values)
