"""What a person reads in this part: texts by key from the catalogues, French or English."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

from serving.settings import Language

__all__ = ["LANGUAGES", "catalogue", "text"]

LANGUAGES: tuple[Language, ...] = ("fr", "en")


@cache
def catalogue(lang: Language) -> dict[str, str]:
    """Every text of a language by its key, read from ``serving/locale/<lang>.po``."""
    file = Path(__file__).with_name("locale") / f"{lang}.po"
    with file.open("rb") as stream:
        messages = read_po(stream, locale=lang)
    return {str(message.id): str(message.string) for message in messages if message.id}


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
