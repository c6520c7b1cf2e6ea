"""What the one who reviews pairs reads, in French or English."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from features.errors import ConfigurationError

__all__ = ["words"]


@cache
def words(lang: str) -> dict[str, str]:
    """The texts of a language, by key.

    Raises:
        ConfigurationError: no catalogue of that language.

    Example:
        >>> words("fr")["birth_date"], words("en")["birth_date"]
        ('date de naissance', 'date of birth')
    """
    from babel.messages.pofile import read_po

    if lang not in ("fr", "en"):
        raise ConfigurationError(
            f"reading texts in '{lang}'", expected="fr or en", hint="Ask for one of the two."
        )
    with (files("features") / "locale" / f"identity.{lang}.po").open("rb") as file:
        catalog = read_po(file, locale=lang, abort_invalid=True)
    return {str(message.id): str(message.string) for message in catalog if message.id}
