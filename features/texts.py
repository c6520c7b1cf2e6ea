"""Texts that people read, from the gettext catalogues of a package: the one reader of them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from features.errors import ConfigurationError

__all__ = ["LANGUAGES", "read_texts"]

LANGUAGES = ("fr", "en")


@cache
def read_texts(package: str, lang: str, part: str = "") -> dict[str, str]:
    """Every text of a language by its key, from `<package>/locale/<part>.<lang>.po`.

    Args:
        package: `features`, `training` or `serving`.
        lang: `fr` or `en`.
        part: Whose texts, where a package has several catalogues; without it, `<lang>.po`.

    Raises:
        ConfigurationError: another language.

    Example:
        >>> read_texts("features", "fr", "identity")["birth_date"]
        'date de naissance'
        >>> read_texts("features", "de")
        Traceback (most recent call last):
        features.errors.ConfigurationError: reading texts in 'de'. Expected fr or en. \
Hint: Ask for one of the two.
    """
    from babel.messages.pofile import read_po

    if lang not in LANGUAGES:
        raise ConfigurationError(
            f"reading texts in '{lang}'", expected="fr or en", hint="Ask for one of the two."
        )
    name = f"{part}.{lang}.po" if part else f"{lang}.po"
    with (files(package) / "locale" / name).open("rb") as file:
        catalog = read_po(file, locale=lang, abort_invalid=True)
    return {str(message.id): str(message.string) for message in catalog if message.id}
