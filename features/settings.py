"""The `features:` section of the territory file."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from features.territory import Placed

__all__ = [
    "CatalogueSettings",
    "CodeEntry",
    "EventRule",
    "FeatureGroup",
    "FeaturesSettings",
    "Instant",
    "Label",
    "Observation",
    "PersonKey",
    "PersonsTable",
    "ReaderOptions",
    "Source",
    "Table",
    "Value",
    "ValueRange",
]

NAME = re.compile(r"^[a-z][a-z0-9_]*$")
WINDOW = re.compile(r"^(?:[1-9][0-9]{0,4}d|all|since|(?:last_)?(?:week|month|quarter|year))$")


class Section(BaseModel):
    """Settings that refuse unknown keys and never change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _inside(value: str) -> str:
    if value.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", value):
        raise ValueError(
            "path leads out of the folder of the exports. "
            "Hint: Write it relative to that folder, and give the folder with --data"
        )
    return value


Inside = Annotated[str, Field(min_length=1), AfterValidator(_inside)]
Columns = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]


class Label(Section):
    """A short noun phrase in both languages."""

    fr: str
    en: str


class Observation(Section):
    """The period in which an event's time and entry date are believed; `until` is exclusive.

    `until` is also the end of observation: a horizon that runs past it is censored.
    """

    since: date
    until: date

    @model_validator(mode="after")
    def _ordered(self) -> Observation:
        if self.since >= self.until:
            raise ValueError("since must be earlier than until. Hint: Exchange the two dates")
        return self


class ReaderOptions(Section):
    """How a source is written: encoding, separator, missing values, sheet or table."""

    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    decimal: Literal[".", ","] = "."
    nulls: list[str] = [""]
    sheet: str | None = None
    max_line_bytes: int = Field(default=1_048_576, ge=1024)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError:
            raise ValueError(
                f"'{value}' is no text encoding. Hint: Write utf-8, windows-1252 or iso-8859-15"
            ) from None
        return value

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if len(value) != 1 or not value.isascii():
            raise ValueError("one ASCII character is needed. Hint: Write ';', ',' or \"\\t\"")
        return value


class Instant(Section):
    """A date or a time of day in a column, or one assumed for every row.

    Args of the file: `column`, the formats to try in order (`iso` reads ISO 8601), and `at`, the
    instant meant by a date without an hour: `start_of_day` (00:00 local) or `end_of_day` (the last
    microsecond of that local day: for a fact about a whole day, which is known only when it ends).
    `days_later` moves it by local calendar days: for a fact whose own date the source does not
    give, known so many days after another. `assumed` is a date used for every row, for sources that
    have none.
    """

    column: str | None = None
    formats: list[str] | None = None
    at: Literal["start_of_day", "end_of_day"] = "start_of_day"
    days_later: int = Field(default=0, ge=0, le=3660)
    assumed: date | None = None

    @model_validator(mode="after")
    def _one(self) -> Instant:
        if (self.column is None) == (self.assumed is None):
            raise ValueError("either column or assumed is needed. Hint: Give one of the two")
        if self.days_later and self.assumed is not None:
            raise ValueError("days_later needs a column. Hint: Write the later date in assumed")
        return self


InstantIn = Annotated[Instant, BeforeValidator(_column)]


class Value(Section):
    """A column, translated by `values` when given; an unlisted value sets the row aside."""

    column: str
    values: dict[str, str] | None = None


ValueIn = Annotated[Value, BeforeValidator(_column)]


class EventRule(Section):
    """One event that a row may hold.

    `code` is a vocabulary code; `{column}` in it is replaced by the column's value, translated by
    `values[column]`. `where` says when the row holds this event: a column to `present`, `absent`,
    or a list of accepted values. A rule with no `time` makes a static event.
    """

    code: str
    values: dict[str, dict[str, str]] = {}
    where: dict[str, Literal["present", "absent"] | list[str]] = {}
    time: InstantIn | None = None
    recorded_at: InstantIn
    end_time: InstantIn | None = None
    numeric_value: str | None = None
    text_value: ValueIn | None = None
    reference: Columns | None = None

    @property
    def code_columns(self) -> tuple[str, ...]:
        """Columns named in `code`, in order."""
        return tuple(re.findall(r"\{([^{}]+)\}", self.code))

    @model_validator(mode="after")
    def _translated(self) -> EventRule:
        missing = [c for c in self.code_columns if c not in self.values]
        if missing:
            raise ValueError(
                f"code uses {missing} without values. Hint: Add values: {{{missing[0]}: {{...}}}}"
            )
        return self


class PersonKey(Section):
    """The column or columns that hold a person's identifier in one system."""

    system: str
    columns: Columns


Reading = Literal["csv", "jsonl", "parquet", "excel", "sqlite"]


class PersonsTable(Section):
    """A table of persons: which columns hold which identifier; every other column is not read.

    `keys` maps a system of identifiers (`nir`, or any source's own) to its column or columns.
    Identifiers on one row belong to one person: this is the declared crosswalk.
    """

    path: Inside
    reader: Reading | None = None
    sheet: str | None = None
    table: str | None = None
    keys: dict[str, Columns] = Field(min_length=1)


class Table(Section):
    """A table of events: its file (`*` allowed), the key of a row, and the events of a row."""

    path: Inside
    name: str | None = None
    reader: Reading | None = None
    sheet: str | None = None
    table: str | None = None
    row_key: Columns
    person: PersonKey | None = None
    events: list[EventRule] = Field(min_length=1)


class Source(Section):
    """One service's system: its service, how it is written, its persons and its events."""

    service: str
    reader: Reading
    options: ReaderOptions = ReaderOptions()
    formats: list[str] = ["iso"]
    timezone: str | None = None
    person: PersonKey
    persons: list[PersonsTable] = []
    tables: list[Table] = Field(min_length=1)

    def reader_for(self, table: Table | PersonsTable) -> Reading:
        """How a table is read: its own reader, or the source's."""
        return table.reader or self.reader

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return value if value is None else _known_zone(value)


class CodeEntry(Section):
    """A code that the territory adds to the vocabulary."""

    code: str
    label: Label
    theme: str
    planned: bool = False
    unit: str | None = None
    provenance: str = "territory"


class ValueRange(Section):
    """Numeric values from `min`, included, to `max`, excluded; at least one of the two."""

    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _some(self) -> ValueRange:
        if self.min is None and self.max is None:
            raise ValueError("neither min nor max. Hint: Give one, or leave the range out")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("no value lies from min to max. Hint: Give a min below max")
        return self


class FeatureGroup(Section):
    """A family of features over the same events.

    `measures` maps a measure to its windows: `{count: [30d, 90d], days_since_last: [all]}`. The
    events are those of `codes` (patterns with `*`) and of the domains in `domain`, recorded by
    `services`, with a numeric value in `value`, and with a reference that an event of `about` has,
    too: whichever are given. `among` (denominator of `share`), `closed_by` (end of a spell),
    `answered_by`, `followed_by`, `alongside` (a second kind of spells) and `anchor` (start of the
    window `since`) are patterns as `codes` is. `match` says what an answer or a follower must share
    with the event: its `reference`, or only the `person`; by person, `answered_by_service` says who
    may answer: `any` service, any `other` than the event's own, or the `receiving` one that the
    event's text_value names (any other where it names none). `peers` says what makes two people
    peers: the code, service, reference or text_value of their latest event of `codes`; `of` names
    the features compared. `each` makes one group for every code: `{name}.{domain_event_status}`.
    `direction` says which way a value is usually worrying; it changes no figure.
    """

    name: str
    codes: Annotated[list[str], BeforeValidator(_listed)] = []
    domain: Annotated[list[str], BeforeValidator(_listed)] = []
    services: list[str] | None = None
    value: ValueRange | None = None
    about: Annotated[list[str] | None, BeforeValidator(_listed)] = None
    theme: str
    label: Label | None = None
    measures: dict[str, list[str]] = Field(min_length=1)
    among: list[str] | None = None
    closed_by: list[str] | None = None
    alongside: Annotated[list[str] | None, BeforeValidator(_listed)] = None
    answered_by: list[str] | None = None
    followed_by: Annotated[list[str] | None, BeforeValidator(_listed)] = None
    anchor: Annotated[list[str] | None, BeforeValidator(_listed)] = None
    match: Literal["reference", "person"] = "reference"
    answered_by_service: Literal["any", "other", "receiving"] = "any"
    within: int | None = Field(default=None, ge=1)
    peers: Literal["code", "service", "reference", "text_value"] | None = None
    of: Annotated[list[str] | None, BeforeValidator(_listed)] = None
    least: int = Field(default=20, ge=1)
    each: bool = False
    direction: Literal["higher", "lower"] | None = None

    @model_validator(mode="after")
    def _label_or_each(self) -> FeatureGroup:
        if self.label is None and not self.each:
            raise ValueError("no label. Hint: Add label: {fr: ..., en: ...}")
        return self

    @field_validator("measures")
    @classmethod
    def _windows(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for measure, windows in value.items():
            for window in windows:
                if not WINDOW.match(window):
                    raise ValueError(
                        f"{measure}: window '{window}' is neither days, a period nor 'all'. "
                        "Hint: Write 90d, since, month, last_month or all"
                    )
            if len(set(windows)) != len(windows):
                raise ValueError(f"{measure}: a window stands twice. Hint: Keep one")
        return value


class CatalogueSettings(Section):
    """Which features: the default catalogue, or none, and the territory's own groups."""

    extends: Literal["default", "none"] = "default"
    groups: list[FeatureGroup] = []


def _known_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"'{value}' is no time zone. Hint: Write one as Europe/Paris")
    return value


class FeaturesSettings(Section, Placed):
    """The `features:` section: sources and their mapping, vocabulary, catalogue.

    `smallest_group` is the fewest people that an aggregate is shown of, where a person reads it.
    """

    timezone: str = "Europe/Paris"
    observation: Observation
    buckets: int = Field(default=16, ge=1, le=4096)
    smallest_group: int = Field(default=11, ge=1)
    sources: dict[str, Source] = Field(min_length=1)
    vocabulary: list[CodeEntry] = []
    catalogue: CatalogueSettings = CatalogueSettings()

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return _known_zone(value)

    @field_validator("sources")
    @classmethod
    def _names(cls, value: dict[str, Source]) -> dict[str, Source]:
        for name in value:
            if not NAME.match(name):
                raise ValueError(
                    f"source name '{name}' is not a lower-case word. "
                    "Hint: Use letters, digits and _"
                )
        return value

    @property
    def services(self) -> tuple[str, ...]:
        """The services that share their data, in the order of the file."""
        return tuple(dict.fromkeys(source.service for source in self.sources.values()))

    def service_of(self, source: str) -> str:
        """The service that a source belongs to."""
        return self.sources[source].service
