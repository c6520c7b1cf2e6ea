"""The texts of this package in French and English, read from its catalogues at run time."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from features.errors import ConfigurationError

__all__ = ["LANGUAGES", "text", "texts"]

LANGUAGES = ("fr", "en")


@cache
def texts(lang: str) -> dict[str, str]:
    """Every text of a language by its key.

    Raises:
        ConfigurationError: no catalogue of that language.
    """
    from babel.messages.pofile import read_po

    if lang not in LANGUAGES:
        raise ConfigurationError(
            f"reading texts in '{lang}'", expected="fr or en", hint="Ask for one of the two."
        )
    with Path(__file__).with_name("locale").joinpath(f"{lang}.po").open("rb") as file:
        catalog = read_po(file, locale=lang, abort_invalid=True)
    return {str(m.id): str(m.string) for m in catalog if m.id}


def text(key: str, lang: str, **values: object) -> str:
    """One text with its places filled.

    Raises:
        ConfigurationError: no such key in the catalogue.

    Example:
        >>> text("strength.strong", "fr"), text("strength.strong", "en")
        ('fort', 'strong')
        >>> text("strength.enormous", "fr")
        Traceback (most recent call last):
        features.errors.ConfigurationError: text 'strength.enormous' in 'fr'. Expected a key of \
training/locale/fr.po.
    """
    found = texts(lang).get(key)
    if not found:
        raise ConfigurationError(
            f"text '{key}' in '{lang}'", expected=f"a key of training/locale/{lang}.po"
        )
    return found.format(**values) if values else found
