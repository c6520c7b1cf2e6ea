"""What a feature's value says of a person, in plain words: an observed fact, never a cause."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from features.errors import ConfigurationError
from features.measures import MEASURES
from features.texts import read_texts

if TYPE_CHECKING:
    from features.catalogue import Feature

__all__ = ["LANGUAGES", "day_text", "days_text", "messages", "sentence", "window_text"]

LANGUAGES: Mapping[str, str] = {"fr": "fr_FR", "en": "en_GB"}
"""Languages that facts are told in, and the manner of their dates and numbers."""

_EUROS = frozenset({"EUR", "EUR/month"})
_EPOCH = date(1970, 1, 1)
_DATED = frozenset(
    {"count", "any.yes", "any.yes.all", "sum", "current.yes", "current_over_usual_gap"}
    | {"streak", "trend", "trend_ratio", "share", "active_days"}
)
"""Facts that the date of the latest event completes."""
_MIDDLE = 0.05
"""How far from the middle a rank may lie and still be told as the middle."""


def messages(lang: str) -> dict[str, str]:
    """Every sentence of a language by its key, read from `features/locale`.

    Raises:
        ConfigurationError: a language that there is no catalogue of.
    """
    return read_texts("features", lang)


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
        features.errors.ConfigurationError: reading texts in 'de'. Expected fr or en. Hint: \
Ask for one of the two.
    """
    texts = messages(lang)
    if not _latest_is_measured(feature) and not feature.measure.startswith("month_"):
        last_day = None
    key = _key(feature, value, last_day, texts)
    if f"{key}.{_plural_form(value, lang)}" in texts:
        key = f"{key}.{_plural_form(value, lang)}"
    if key not in texts:
        raise ConfigurationError(
            f"telling feature '{feature.name}' in '{lang}'",
            expected=f"the sentence '{key}' in features/locale/{lang}.po",
            hint="Add it in both languages.",
        )
    told = _Told(feature, value, last_day, lang)
    fact = texts[key].format_map(told)
    if key.removesuffix(".one") in _DATED and last_day is not None and value:
        return texts["latest"].format(fact=fact, date=told["date"])
    return fact


def _latest_is_measured(feature: Feature) -> bool:
    """Whether the latest event of the group, if any lies in the window, is one of the feature's."""
    ranged = feature.value_min is not None or feature.value_max is not None
    past = feature.period is not None and feature.period.startswith("last_")
    return not (ranged or feature.about or past or feature.peers is not None)


def _key(feature: Feature, value: float, last_day: int | None, texts: Mapping[str, str]) -> str:
    """The message that fits a measure and a value."""
    measure = feature.measure
    if math.isnan(value) or (measure.startswith("month_") and last_day is None):
        if f"{measure}.missing" in texts:
            return f"{measure}.missing"
        return "missing.since" if feature.period == "since" else "missing"
    if measure in ("any", "current"):
        whole = measure == "any" and feature.window == "all"
        return f"{measure}.{'yes' if value else 'no'}{'.all' if whole else ''}"
    if measure == "days_since_last" and last_day is not None:
        return "days_since_last.dated"
    if measure == "rank":
        side = "above" if value > 0.5 else "below"
        return "rank.middle" if abs(value - 0.5) <= _MIDDLE else f"rank.{side}"
    special = {
        "days_to_next": ("days_to_next.today", value == 0),
        "days_to_spell_end": ("days_to_spell_end.past", value < 0),
        "overlap": ("overlap.none", value == 0),
    }
    key, fits = special.get(measure, (measure, False))
    return key if fits else measure


def _plural_form(value: float, lang: str) -> str:
    """The grammatical number of a value: `one` or another of the language.

    Example:
        >>> _plural_form(0, "fr"), _plural_form(0, "en"), _plural_form(1, "en")
        ('one', 'other', 'one')
    """
    from babel import Locale

    if math.isnan(value):
        return "other"
    return Locale.parse(LANGUAGES[lang]).plural_form(abs(round(value, 1)))


def window_text(feature: Feature, lang: str, *, whole: str = "window.all") -> str:
    """A feature's window in words, to stand after a number.

    Args:
        feature: Any feature.
        lang: `fr` or `en`.
        whole: The message that tells the whole history.

    Example:
        >>> from features.catalogue import Feature
        >>> seen = Feature("seen.count.last_month", "seen", "count", None, "contact", {}, "count",
        ...                ("CONTACT//APPOINTMENT//SEEN",), period="last_month")
        >>> window_text(seen, "fr"), window_text(seen, "en")
        ('le mois dernier', 'last month')
    """
    texts = messages(lang)
    if feature.window_days is not None:
        return texts["window.days"].format(days=days_text(feature.window_days, lang))
    if feature.period == "since":
        return texts["window.since"].format(anchor=_anchor_text(feature, lang))
    return texts[whole if feature.period is None else f"window.{feature.period}"]


def _anchor_text(feature: Feature, lang: str) -> str:
    """What a window begins at: the narrowest message for all anchor codes, or a general one."""
    texts, parts = messages(lang), [code.split("//") for code in feature.anchor]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    while shared:
        key = f"anchor.{'//'.join(shared)}"
        if key in texts:
            return texts[key]
        shared.pop()
    return texts["anchor"]


def days_text(days: float, lang: str) -> str:
    """A number of days with its unit, rounded to a tenth.

    Example:
        >>> days_text(1, "en"), days_text(30.04, "en")
        ('1 day', '30 days')
    """
    from babel.units import format_unit

    rounded = round(abs(days), 1)
    whole = int(rounded) if rounded == int(rounded) else rounded
    return format_unit(whole, "duration-day", length="long", locale=LANGUAGES[lang])


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

        pattern = "#,##0.#"
        if self.feature.measure == "trend" and self.value:
            pattern = "+#,##0;-#,##0"
        elif self.feature.measure == "slope":
            pattern = "+#,##0.##;-#,##0.##" if round(self.value, 2) else "0"
        return format_decimal(self.value, format=pattern, locale=self.locale)

    def _percent(self) -> str:
        return self._share(self.value)

    def _other_percent(self) -> str:
        return self._share(1 - self.value)

    def _share(self, value: float) -> str:
        from babel.numbers import format_percent

        return format_percent(value, locale=self.locale)

    def _days(self) -> str:
        own = self.feature.unit == "days"
        return days_text(self.value if own else self.feature.window_days or 0, self.lang)

    def _day_count(self) -> str:
        return days_text(self.value, self.lang)

    def _within(self) -> str:
        return days_text(self.feature.within or 0, self.lang)

    def _window(self) -> str:
        return window_text(self.feature, self.lang)

    def _span(self) -> str:
        return window_text(self.feature, self.lang, whole="span.all")

    def _anchor(self) -> str:
        return _anchor_text(self.feature, self.lang)

    def _peers(self) -> str:
        return messages(self.lang)[f"peers.{self.feature.peers}"]

    def _compared(self) -> str:
        """The value of another feature, in that one's unit."""
        measure = (self.feature.of or "").rsplit(".", 2)[-2:-1]
        unit = MEASURES[measure[0]].unit if measure and measure[0] in MEASURES else None
        if unit == "days":
            return days_text(self.value, self.lang)
        return self._share(self.value) if unit in ("share", "flag") else self._number()

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
