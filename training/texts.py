"""The texts of this package in French and English, read from its catalogues at run time."""

from __future__ import annotations

from features.errors import ConfigurationError
from features.texts import LANGUAGES, read_texts

__all__ = ["LANGUAGES", "text", "texts"]


def texts(lang: str) -> dict[str, str]:
    """Every text of a language by its key.

    Raises:
        ConfigurationError: no catalogue of that language.
    """
    return read_texts("training", lang)


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
