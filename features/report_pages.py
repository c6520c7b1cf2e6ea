"""The report of each source as pages that a non-programmer reads, in French and in English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.contracts import RULES
from features.errors import ConfigurationError
from features.facts import LANGUAGES, days_text
from features.ledger import write_json, write_text
from features.quality import REASONS, IngestReport, SourceFigures
from features.texts import read_texts

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Words", "page_of", "pages_of", "write_pages"]

SHOWN_WEEKS = 104
"""Weeks of the chart: two years, so that a summer can be set beside the last one."""


DAYS = ("days", "usual", "limit", "median", "p90")
"""Places of texts that are filled with a number of days."""


@dataclass(frozen=True)
class Words:
    """The texts of the reports in one language, with its numbers and dates.

    Example:
        >>> fr, en = Words.of("fr"), Words.of("en")
        >>> fr["reason.bad_date"], en["reason.bad_date"]
        ('date illisible', 'unreadable date')
        >>> en.number(12345), en.day(date(2025, 3, 1)), en.share(1, 8)
        ('12,345', '1 March 2025', '12.5%')
        >>> en["nothing.of.the.kind"]
        Traceback (most recent call last):
        features.errors.ConfigurationError: reading the texts of reports. Expected the text \
'nothing.of.the.kind' in features/locale/report.en.po; got none. Hint: Add it.
    """

    lang: str
    texts: Mapping[str, str]

    @classmethod
    @cache
    def of(cls, lang: str) -> Words:
        """The texts of a language.

        Raises:
            ConfigurationError: no catalogue of that language.
        """
        return cls(lang, read_texts("features", lang, "report"))

    def __getitem__(self, key: str) -> str:
        found = self.texts.get(key)
        if not found:
            raise ConfigurationError(
                "reading the texts of reports",
                expected=f"the text '{key}' in features/locale/report.{self.lang}.po",
                got="none",
                hint="Add it.",
            )
        return found

    def say(self, key: str, **values: object) -> str:
        """A text with its places filled; numbers, days and dates as the language writes them."""
        written = {
            name: days_text(int(value), self.lang)
            if name in DAYS and isinstance(value, int | float)
            else self._written(value)
            for name, value in values.items()
        }
        return self[key].format(**written)

    def reason(self, code: str) -> str:
        """Why a row was set aside; in English where no text is translated yet."""
        return self.texts.get(f"reason.{code}") or REASONS.get(code, code)

    def remedy(self, code: str) -> str:
        """What to do about it."""
        return self.texts.get(f"remedy.{code}") or self["remedy.other"]

    def rule(self, said: str) -> str:
        """A rule of a contract, as it is kept with the row."""
        names = {text: name for name, text in RULES.items()}
        return self[f"rule.{names[said]}"] if said in names else said

    def number(self, value: float) -> str:
        """A number with its separators."""
        from babel.numbers import format_decimal

        return str(format_decimal(value, locale=LANGUAGES[self.lang]))

    def share(self, part: int, whole: int) -> str:
        """A part of a whole as a percentage; a dash where there is no whole."""
        from babel.numbers import format_percent

        if not whole:
            return "–"
        # A part that is missing is never rounded away.
        value = min(part / whole, 0.999) if part < whole else 1.0
        return str(
            format_percent(
                value,
                "#,##0.#\u202f%" if self.lang == "fr" else "#,##0.#%",
                locale=LANGUAGES[self.lang],
            )
        )

    def day(self, value: date | str) -> str:
        """A date in full."""
        from babel.dates import format_date

        day = value if isinstance(value, date) else date.fromisoformat(value[:10])
        return str(format_date(day, format="long", locale=LANGUAGES[self.lang]))

    def _written(self, value: object) -> object:
        if isinstance(value, date):
            return self.day(value)
        return self.number(value) if isinstance(value, int | float) else value


def page_of(source: SourceFigures, report: IngestReport, lang: str) -> str:
    """The page of one source: one HTML file, nothing fetched, no script.

    Args:
        source: Its figures.
        report: The ingest they are from.
        lang: `fr` or `en`.
    """
    said = source.as_dict()
    words = Words.of(lang)
    recent = list(source.activity.items())[-SHOWN_WEEKS:]
    return environment().get_template("source.html").render(
        w=words, source=source, said=said, report=report, feed=source.feed,
        kept=sum(file.mapped for file in source.files),
        weeks=recent, bars=_bars([events for _, events in recent]),
        failures=[one for one in report.failures if one.startswith(f"{source.name}: ")],
        other=_name(source.name, _other(lang)), index=f"../{_name('sources', lang)}",
    )  # fmt: skip


def pages_of(report: IngestReport, lang: str) -> str:
    """The page that lists the sources, those that send nothing first.

    Args:
        report: An ingest.
        lang: `fr` or `en`.
    """
    return environment().get_template("sources.html").render(
        w=Words.of(lang), report=report, silent=report.silent,
        pages={source.name: f"sources/{_name(source.name, lang)}" for source in report.sources},
        other=_name("sources", _other(lang)),
    )  # fmt: skip


def write_pages(report: IngestReport, folder: Path) -> None:
    """Write `sources.html`, `sources/NAME.html`, their English versions, `sources/NAME.json`.

    Args:
        report: An ingest.
        folder: The territory's ``reports``.
    """
    for source in report.sources:
        write_json(folder / "sources" / f"{source.name}.json", source.as_dict())
        for lang in LANGUAGES:
            page = page_of(source, report, lang)
            write_text(folder / "sources" / _name(source.name, lang), page)
    for lang in LANGUAGES:
        write_text(folder / _name("sources", lang), pages_of(report, lang))


def _name(page: str, lang: str) -> str:
    return f"{page}.html" if lang == "fr" else f"{page}.{lang}.html"


def _other(lang: str) -> str:
    return "en" if lang == "fr" else "fr"


def _bars(values: list[int]) -> dict[str, Any]:
    """Bars of a chart 800 wide and 160 high, and the labels of its two grid lines."""
    most = max(values, default=0)
    width = 800 / max(len(values), 1)
    bars = [
        (round(place * width, 2), round(160 * value / most, 2), round(max(width * 0.8, 0.5), 2))
        for place, value in enumerate(values)
        if value
    ]
    return {"most": most, "bars": bars}


@cache
def environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("features", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
