"""What the one who connects a source reads, in French or English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from features.errors import ConfigurationError
from features.texts import read_texts

__all__ = ["Texts"]


@dataclass(frozen=True, eq=False)
class Texts:
    """The texts of one language.

    Example:
        >>> Texts.of("fr")("type.date"), Texts.of("en")("show.unreadable", rows=3)
        ('date', '3 rows of this sample cannot be read')
        >>> Texts.of("en")("nothing.of.the.kind")
        Traceback (most recent call last):
        features.errors.ConfigurationError: reading the texts of connect. Expected the text \
'nothing.of.the.kind' in features/locale/connect.en.po; got none. Hint: Add it.
    """

    lang: str
    texts: Mapping[str, str]

    @classmethod
    @cache
    def of(cls, lang: str) -> Texts:
        """The texts of a language.

        Raises:
            ConfigurationError: no catalogue of that language.
        """
        return cls(lang, read_texts("features", lang, "connect"))

    def __call__(self, key: str, /, **values: object) -> str:
        """A text, with its values filled in."""
        found = self.texts.get(key)
        if not found:
            raise ConfigurationError(
                "reading the texts of connect",
                expected=f"the text '{key}' in features/locale/connect.{self.lang}.po",
                got="none",
                hint="Add it.",
            )
        return found.format(**values)
