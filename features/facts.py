"""What a feature's value says of a person, in plain words: an observed fact, never a cause."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from features.errors import ConfigurationError

if TYPE_CHECKING:
    from features.catalogue import Feature

__all__ = ["LANGUAGES", "day_text", "messages", "sentence"]

LANGUAGES: Mapping[str, str] = {"fr": "fr_FR", "en": "en_GB"}
"""Languages that facts are told in, and the manner of their dates and numbers."""

_EUROS = frozenset({"EUR", "EUR/month"})
_EPOCH = date(1970, 1, 1)
_DATED = frozenset(
    {"count", "any.yes", "any.yes.all", "sum", "current.yes", "current_over_usual_gap"}
    | {"streak", "trend", "share"}
)
"""Facts that the date of the latest event completes."""


@cache
def messages(lang: str) -> dict[str, str]:
    """Every sentence of a language by its key, read from `features/locale`.

    Raises:
        ConfigurationError: a language that there is no catalogue of.
    """
    from babel.messages.pofile import read_po

    if lang not in LANGUAGES:
        raise ConfigurationError(
            f"reading sentences in '{lang}'",
            expected=" or ".join(LANGUAGES),
            hint="Ask for one of those.",
        )
    with (files("features") / "locale" / f"{lang}.po").open("rb") as file:
        catalog = read_po(file, locale=lang, abort_invalid=True)
    return {str(message.id): str(message.string) for message in catalog if message.id}


def sentence(feature: Feature, value: float, last_day: int | None, lang: str) -> str:
    """The observed fact behind one value, for a caseworker: what, how much, since when.

    It takes the colon form (`label : fact`), so that labels of any gender and number fit.

    Args:
        feature: The column.
        value: Its value for the person; NaN says what is not known.
        last_day: Local calendar day (days since 1970-01-01) of the latest event of the feature's
            group, as in `Matrix.last_seen`; None when there never was one. It is told where the
            fact is about the latest event, and only when it lies in the feature's window.
        lang: `fr` or `en`.

    Returns:
        One sentence without a final point; numbers keep to their unit by a no-break space.

    Raises:
        ConfigurationError: another language, or a measure without a sentence.

    Example:
        >>> from features.catalogue import Feature
        >>> missed = Feature("noshow.count.90d", "noshow", "count", 90, "contact",
        ...                  {"fr": "Absences à un rendez-vous", "en": "Missed appointments"},
        ...                  "count", ("CONTACT//APPOINTMENT//NOSHOW",))
        >>> " ".join(sentence(missed, 3.0, 20_159, "fr").split())
        'Absences à un rendez-vous : 3 en 90 jours (dernière fois le 12 mars 2025)'
        >>> sentence(missed, 0.0, None, "en")
        'Missed appointments: 0 in 90 days'
        >>> sentence(missed, 0.0, None, "de")
        Traceback (most recent call last):
        features.errors.ConfigurationError: reading sentences in 'de'. Expected fr or en. Hint: \
Ask for one of those.
    """
    texts = messages(lang)
    key = _key(feature, value, last_day)
    if key not in texts:
        raise ConfigurationError(
            f"telling feature '{feature.name}' in '{lang}'",
            expected=f"the sentence '{key}' in features/locale/{lang}.po",
            hint="Add it in both languages.",
        )
    told = _Told(feature, value, last_day, lang)
    fact = texts[key].format_map(told)
    if key in _DATED and last_day is not None and value:
        return texts["latest"].format(fact=fact, date=told["date"])
    return fact


def _key(feature: Feature, value: float, last_day: int | None) -> str:
    """The message that fits a measure and a value."""
    measure = feature.measure
    if math.isnan(value) or (measure.startswith("month_") and last_day is None):
        return f"{measure}.missing"
    if measure == "any":
        return f"any.{'yes' if value else 'no'}{'' if feature.window_days else '.all'}"
    if measure == "current":
        return f"current.{'yes' if value else 'no'}"
    if measure == "days_since_last" and last_day is not None:
        return "days_since_last.dated"
    if measure == "days_to_next" and value == 0:
        return "days_to_next.today"
    if measure == "days_to_spell_end" and value < 0:
        return "days_to_spell_end.past"
    return measure


def day_text(day: date, lang: str) -> str:
    """A date as a person writes it.

    Example:
        >>> day_text(date(2025, 9, 1), "fr"), day_text(date(2025, 9, 1), "en")
        ('1er septembre 2025', '1 September 2025')
    """
    from babel.dates import format_date

    said = format_date(day, format="long", locale=LANGUAGES[lang])
    # French writes the first of a month as an ordinal, which CLDR's pattern cannot.
    return f"1er{said[1:]}" if lang == "fr" and day.day == 1 else said


class _Told(dict[str, str]):
    """The places of a sentence, worded only when the sentence has them."""

    def __init__(self, feature: Feature, value: float, last_day: int | None, lang: str) -> None:
        super().__init__()
        self.feature, self.value, self.last_day, self.lang = feature, value, last_day, lang
        self.locale = LANGUAGES[lang]

    def __missing__(self, place: str) -> str:
        return str(getattr(self, f"_{place}")())

    def _label(self) -> str:
        return self.feature.label[self.lang]

    def _date(self) -> str:
        return day_text(self._day(), self.lang)

    def _month(self) -> str:
        from babel.dates import format_date

        return format_date(self._day(), format="LLLL", locale=self.locale)

    def _day(self) -> date:
        return _EPOCH + timedelta(days=self.last_day or 0)

    def _number(self) -> str:
        from babel.numbers import format_decimal

        pattern = "+#,##0;-#,##0" if self.feature.measure == "trend" and self.value else "#,##0.#"
        return format_decimal(self.value, format=pattern, locale=self.locale)

    def _percent(self) -> str:
        from babel.numbers import format_percent

        return format_percent(self.value, locale=self.locale)

    def _days(self) -> str:
        from babel.units import format_unit

        days = self.value if self.feature.unit == "days" else self.feature.window_days or 0
        rounded = round(abs(days), 1)
        whole = int(rounded) if rounded == int(rounded) else rounded
        return format_unit(whole, "duration-day", length="long", locale=self.locale)

    def _window(self) -> str:
        from babel.units import format_unit

        days = self.feature.window_days
        if days is None:
            return messages(self.lang)["window.all"]
        said = format_unit(days, "duration-day", length="long", locale=self.locale)
        return messages(self.lang)["window.days"].format(days=said)

    def _amount(self) -> str:
        from babel.numbers import format_currency

        unit, texts = self.feature.unit, messages(self.lang)
        number = self._number()
        if unit in _EUROS:
            pattern = "#,##0 ¤" if self.lang == "fr" else "¤#,##0"
            number = format_currency(
                self.value, "EUR", pattern, locale=self.locale, currency_digits=False
            )
        return texts.get(f"unit.{unit}", f"{{number}} {unit}").format(number=number)
